# SPDX-License-Identifier: MIT
"""Leases: claims to read or write mutable tensors in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _native
from ._errors import error
from ._timeouts import milliseconds

if TYPE_CHECKING:

    from ._tensor import Tensor
    from ._types import NDArray


def check_mutable(tensor: Tensor) -> None:
    """Refuse what is sealed."""
    if not tensor.is_mutable:
        raise error(
            "not_mutable",
            "the tensor is sealed; tensord.assign() yields what it would be, and "
            "put(..., mutable=True) or create(..., mutable=True) one that can be written",
        )


class Lease:
    """A claim to read or to write a tensor while a block runs; see `Array.read`, `Array.write`.

    May be entered again after it was left.
    """

    __slots__ = ("_tensor", "_write", "_wait_ms", "_torn", "_native", "_array", "__weakref__")

    def __init__(self, tensor: Tensor, write: bool, timeout: float | None, torn: bool) -> None:
        self._tensor = tensor
        self._write = write
        self._wait_ms = milliseconds(timeout, 0)
        self._torn = torn
        self._native: _native.Lease | None = None
        self._array: NDArray | None = None

    def __enter__(self) -> NDArray:
        tensor, readers = self._tensor, self._tensor.client._readers
        if self._native is not None:
            raise error("bad_arguments", "the lease is held already")
        check_mutable(tensor)
        readers.finish([tensor])
        native = tensor._handle.lease(
            tensor.shape, tensor.strides, tensor._offset, self._write, self._torn, self._wait_ms
        )
        try:
            mode = _native.MAP_WRITE if self._write else _native.MAP_READ
            array = self._array = tensor._map(mode, True)
            readers.finish([tensor])  # others came while it waited
            if self._write:
                readers.begin_write(self, tensor)
            self._native = native
        except BaseException:
            readers.end_write(self)
            native.end()
            raise
        return array

    def __exit__(self, *exception: object) -> None:
        native, array = self._native, self._array
        self._native = self._array = None
        if native is None or array is None:
            raise error("bad_arguments", "the lease is not held")
        array.flags.writeable = False
        readers = self._tensor.client._readers
        try:
            readers.finish([self._tensor])
        finally:
            readers.end_write(self)
            native.end()
