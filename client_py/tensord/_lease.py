# SPDX-License-Identifier: MIT
"""Leases: claims to read or write mutable tensors in place."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from . import _native
from ._errors import TensordError, error
from ._timeouts import milliseconds
from ._traceback import cut, cuts

if TYPE_CHECKING:
    from ._readers import Readers
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


class Lease(_native.Lease):
    """A claim to read or to write a tensor while a block runs; see `Array.read`, `Array.write`.

    May be entered again after it was left.
    """

    __slots__ = ("_tensor", "_write", "_wait_ms", "_torn", "__weakref__")

    def __init__(self, tensor: Tensor, write: bool, timeout: float | None, torn: bool) -> None:
        self._tensor = tensor
        self._write = write
        self._wait_ms = milliseconds(timeout, 0)
        self._torn = torn

    @cuts  # a function around it could be interrupted when it is held
    def __enter__(self) -> NDArray:
        entry = object()
        try:
            self._enter(entry)
            check_mutable(self._tensor)
            until = time.monotonic() + self._wait_ms / 1000
            if self._write:
                self._begin_write(until)
            else:
                self._begin_read(until)
            mode = _native.MAP_WRITE if self._write else _native.MAP_READ
            array = self._array = self._tensor._map(mode, True)
        except BaseException as problem:
            self._give_up(entry)
            if isinstance(problem, TensordError):
                raise cut(problem)
            raise
        return array

    @property
    def _readers(self) -> Readers:
        return self._tensor.client._readers

    def _begin_read(self, until: float) -> None:
        """All that was to be read is computed then."""
        self._ask(False, until)
        self._readers.finish([self._tensor])

    def _begin_write(self, until: float) -> None:
        """Once all that was to be read is computed. Others may note more while it is waited for:
        that comes first, and what is noted later is refused.
        """
        while True:
            if self._readers.are_pending(self._tensor):
                self._begin_read(until)
                self._end()
            self._ask(True, until)
            self._readers.begin_write(self, self._tensor)
            if not self._readers.are_pending(self._tensor):
                return
            self._end()

    def _ask(self, write: bool, until: float) -> None:
        tensor = self._tensor
        wait_ms = max(math.ceil((until - time.monotonic()) * 1000), 0)
        self._begin(
            tensor._handle, tensor.shape, tensor.strides, tensor._offset, write, self._torn, wait_ms
        )

    @cuts
    def _finish(self) -> None:
        """Before it ends; of one to write nothing is noted."""
        if not self._write:
            try:
                self._readers.finish([self._tensor])
            except TensordError as problem:
                raise cut(problem)
