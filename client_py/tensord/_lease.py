# SPDX-License-Identifier: MIT
"""Leases: claims to read or write mutable tensors in place."""

from . import _native
from ._errors import error
from ._timeouts import milliseconds


def check_mutable(tensor):
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

    __slots__ = ("_tensor", "_write", "_wait_ms", "_torn", "_native", "_array")

    def __init__(self, tensor, write, timeout, torn):
        self._tensor = tensor
        self._write = write
        self._wait_ms = milliseconds(timeout, 0)
        self._torn = torn
        self._native = self._array = None

    def __enter__(self):
        tensor = self._tensor
        if self._native is not None:
            raise error("bad_arguments", "the lease is held already")
        check_mutable(tensor)
        tensor.client._readers.finish([tensor])
        native = tensor._handle.lease(
            tensor.shape, tensor.strides, tensor._offset, self._write, self._torn, self._wait_ms
        )
        try:
            mode = _native.MAP_WRITE if self._write else _native.MAP_READ
            self._array = tensor._map(mode, True)
        except BaseException:
            native.end()
            raise
        tensor.client._readers.lease(tensor, self._write, 1)
        self._native = native
        return self._array

    def __exit__(self, kind, exception, traceback):
        native, array = self._native, self._array
        self._native = self._array = None
        array.flags.writeable = False
        try:
            self._tensor.client._readers.lease(self._tensor, self._write, -1)
        finally:
            native.end()
