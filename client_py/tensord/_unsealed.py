# SPDX-License-Identifier: MIT
"""Tensors that are still being filled, in place."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

import numpy

from . import _native
from ._array import Array
from ._errors import error
from ._tensor import Tensor

if TYPE_CHECKING:
    from typing import Any, NoReturn, Self

    from ._client import Client
    from ._types import DTypeLike, NDArray


class _Dropped:
    """Stands for the native tensor of one that was given up."""

    name = id = owner = None
    is_sealed = is_mutable = is_shared = is_evictable = False

    def __getattr__(self, attribute: str) -> NoReturn:
        raise error("not_sealed", "the tensor was dropped before it was sealed")


class Unsealed(Array):
    """A tensor that its creator fills in place, before anybody else sees it; see `Client.create`.

    As a context manager it seals itself at the end of the block, unless the block raised. Once
    sealed it is a tensor like any other. One that is dropped unsealed is gone, and its name is free
    again.

    Sealing makes the memory read-only. The array itself (`array`, ``numpy.asarray(t)``) turns
    read-only with it, whoever holds it, but numpy cannot reach views that were made from it: a
    write through one of those would end the process with SIGSEGV. So `seal` refuses (NotSealed) as
    long as such views are in use. What it cannot see are other aliases: a memoryview of the array,
    an array of another class, another library's tensor over it; those must not be written after
    sealing.
    """

    __slots__ = ("_mapping", "_whole", "_array")
    _mapping: _native.Mapping | None
    _whole: NDArray | None  # None: it was sealed or dropped
    _array: Any  # NDArray; None: it was dropped

    def __init__(self, client: Client, handle: _native.Tensor) -> None:
        super().__init__(client, Tensor(client, handle))
        self._is_fixed = True
        mapping = self._mapping = handle.map(_native.MAP_WRITE, True)
        # numpy makes a view's base the last ndarray above it that is itself based on something
        # else: _root, for the array handed out and for every view of it. So references to _whole
        # count them.
        self._whole = numpy.ndarray(
            self.shape,
            self.dtype,
            mapping,  # type: ignore[arg-type]  # as in Tensor._map
            0,
            self.strides,
        )
        self._array = self._whole[...]

    def _operand(self) -> Tensor:
        if not self.is_sealed:
            raise error(
                "not_sealed", f"shape {self.shape} is still being written; seal it first"
            )
        return self._tensor()

    def _tensor(self) -> Tensor:
        tensor = self._value
        assert type(tensor) is Tensor
        return tensor

    @property
    def _resident(self) -> Tensor:
        return self._tensor()

    def __repr__(self) -> str:
        if not self.is_sealed:
            return f"<tensord.Unsealed shape={self.shape}, dtype={self.dtype}>"
        return super().__repr__()

    @property
    def array(self) -> NDArray:
        """The memory, as a numpy.ndarray: writable until sealed; None after a failed block.

        Returns
        -------
        numpy.ndarray

        Examples
        --------
        >>> import tensord
        >>> with tensord.create((2,), "int64") as t:
        ...     t.array[:] = 3
        >>> t.array
        array([3, 3])
        """
        array: NDArray = self._array
        return array

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        if self._whole is None:
            return super().__array__(dtype, copy)
        if dtype is not None and numpy.dtype(dtype) != self._array.dtype:
            if copy is False:
                raise ValueError(f"{self._array.dtype} to {numpy.dtype(dtype)} needs a copy")
            return self.array.astype(dtype)
        return self.array.copy() if copy else self.array

    def seal(self) -> None:
        """Make it immutable; its name, if it has one, appears now. Does nothing if it is sealed.

        Raises
        ------
        NotSealed
            Views of `array` are still in use; delete them and seal again.
        NameTaken, Poisoned, OutOfMemory, ConnectionLost
            The daemon could not take it.

        Examples
        --------
        >>> import tensord
        >>> t = tensord.create((2,), "float64")
        >>> t.array[:] = 1.0, 2.0
        >>> t.seal()
        >>> t + 1
        Array([2., 3.], shape=(2,), dtype=float64, 16 bytes)
        """
        if self._whole is None:
            return
        # This object's, getrefcount's argument, and that of _array itself.
        n_views = sys.getrefcount(self._whole) - 3
        if n_views > 0:
            raise error(
                "not_sealed",
                f"{n_views} views of the array are still in use, and writing to them would then "
                "crash; delete them (del, or leave their scope) and seal again",
            )
        self._array.flags.writeable = False
        try:
            self._tensor()._handle.seal()
        except BaseException:
            if not self.is_sealed:
                self._array.flags.writeable = True
            raise
        self._whole.flags.writeable = False
        if self._mapping is not None:
            self._mapping.freeze()
        self._whole = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.seal()
        else:
            self._drop()

    def _drop(self) -> None:
        """Give it up: it ends when no array shows its memory any more."""
        self._whole = self._mapping = self._array = None
        self._tensor()._handle = _Dropped()  # type: ignore[assignment]  # what says so

    def __del__(self) -> None:
        if getattr(self, "_whole", None) is not None and not self.client.is_closed:
            warnings.warn(
                f"tensor of shape {self.shape} was dropped before it was sealed",
                ResourceWarning,
                source=self,
            )
