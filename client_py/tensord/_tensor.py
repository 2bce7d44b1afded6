# SPDX-License-Identifier: MIT
"""Tensors: references to what the daemon keeps, and strided views of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import numpy

from . import _native
from ._dtypes import DTYPES, ITEM_SIZES
from ._errors import error
from ._graph import Input
from ._index import normal_axes, reshaped_strides

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, SupportsIndex

    from ._client import Client
    from ._graph import Value
    from ._index import Index
    from ._types import DTypeLike, NDArray, Shape


def as_asked(array: NDArray, dtype: DTypeLike | None, copy: bool | None) -> NDArray:
    """numpy's array as ``__array__(dtype, copy)`` yields it."""
    if dtype is not None and numpy.dtype(dtype) != array.dtype:
        if copy is False:
            raise ValueError(f"{array.dtype} to {numpy.dtype(dtype)} needs a copy")
        return array.astype(dtype)
    return array.copy() if copy else array


@final
class Tensor(_native.Strided):
    """What lies in the daemon: all of a tensor, or a part by strides.

    It stays there as long as this object, one made from it, or its name does.

    Attributes
    ----------
    client : Client
    shape : tuple of int
    is_mutable : bool
    _strides : tuple of int or None
        None: the whole tensor, as it lies.
    _offset : int
        Of a view.
    """

    __slots__ = ("__weakref__",)
    node = None

    def __init__(self, client: Client, handle: _native.Tensor) -> None:
        self.client = client
        self._handle = handle
        self._number = handle.dtype
        self.shape = handle.shape
        self.is_mutable = handle.is_mutable

    @property
    def name(self) -> str | None:
        """Its name when this reference was made; None if it had none, and for views."""
        return self._handle.name if self._strides is None else None

    @property
    def id(self) -> bytes:
        """16 bytes by which other connections of this user can open it; of a view, the whole's."""
        return self._handle.id

    @property
    def strides(self) -> Shape:
        """Bytes from one element to the next, along each axis."""
        return self._handle.strides if self._strides is None else self._strides

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, without gaps."""
        return math.prod(self.shape) * ITEM_SIZES[self._number]

    @property
    def is_sealed(self) -> bool:
        """Is it complete, and so immutable?"""
        return self._handle.is_sealed

    @property
    def key(self) -> int:
        """What tells it apart from other operands of a program."""
        return id(self)

    @property
    def _source(self) -> Tensor:
        return self

    @property
    def _is_view(self) -> bool:
        return self._strides is not None

    def _operand(self) -> Tensor:
        return self

    def _is_same(self, other: Tensor) -> bool:
        """The same elements, in the same places?"""
        return other._handle is self._handle and (other.shape, other.strides, other._offset) == (
            self.shape,
            self.strides,
            self._offset,
        )

    def _add_to(self, builder: _native.Builder, client: Client) -> int:
        """As an input of a program."""
        if client is not self.client:
            raise error("bad_arguments", "an array of another client; open it there, by name or id")
        if self._strides is None:
            return builder.input(self._handle)
        return builder.input_view(self._handle, self.shape, self._strides, self._offset)

    # ---- memory ----

    def _map(self, mode: int, share: bool) -> NDArray:
        """An array over the memory; mode as for the native tensor."""
        mapping = self._handle.map(mode, share)
        return numpy.ndarray(
            self.shape,
            DTYPES[self._number],
            mapping,  # type: ignore[arg-type]  # numpy's hints name those buffers that they know
            self._offset,
            self.strides,
        )

    def _read(self) -> NDArray:
        """An array to read values from, which need not be the shared memory."""
        return self._map(_native.MAP_READ, False)

    def _item(self) -> Any:
        """The only element, as a Python number."""
        return self._handle.item(self._offset)

    def _ndarray(self, dtype: DTypeLike | None, copy: bool | None) -> NDArray:
        """Its memory as `Array.__array__` has it."""
        return as_asked(self._map(_native.MAP_READ, self.name is not None), dtype, copy)

    def _array_interface(self) -> dict[str, Any]:
        """As numpy's ``__array_interface__``; who takes it holds the mapping."""
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": DTYPES[self._number].str,
            "strides": self.strides,
            "data": self._handle.map(_native.MAP_READ, self.name is not None),
            "offset": self._offset,
        }

    # ---- views ----

    def _view(self, shape: Iterable[int], strides: Iterable[int], offset: int = 0) -> Tensor:
        view = object.__new__(Tensor)
        view.client = self.client
        view._handle = self._handle
        view._number = self._number
        view.is_mutable = self.is_mutable
        view.shape = tuple(shape)
        view._strides = tuple(strides)
        view._offset = self._offset + (0 if 0 in view.shape else offset)
        return view

    def _at(self, index: Index) -> Tensor:
        old = self.strides
        offset = sum(start * stride for start, stride in zip(index.start, old))
        strides = (0 if axis is None else old[axis] * index.step[axis] for axis in index.axes)
        return self._view(index.shape, strides, offset)

    def _permute(self, axes: Sequence[SupportsIndex]) -> Tensor | Value:
        order = normal_axes(axes, len(self.shape))
        if order is None:
            return Input(self)._permute(axes)  # refused, in the words of the inference
        strides = self.strides
        return self._view((self.shape[axis] for axis in order), (strides[axis] for axis in order))

    def _broadcast(self, shape: Shape) -> Tensor | Value:
        n_new = len(shape) - len(self.shape)
        pairs = list(zip(self.shape, shape[n_new:])) if n_new >= 0 else [(0, 1)]
        if len(shape) > _native.NDIM_MAX or any(old != new and old != 1 for old, new in pairs):
            return Input(self)._broadcast(shape)  # refused, likewise
        own = zip(pairs, self.strides)
        return self._view(shape, [0] * n_new + [0 if old != new else s for (old, new), s in own])

    def _reshape(self, shape: Shape) -> Tensor | Value:
        size, known = math.prod(self.shape), 1
        for extent in shape:
            known *= extent if extent != -1 else 1
        if shape.count(-1) == 1 and known > 0 and size % known == 0:
            shape = tuple(size // known if extent == -1 else extent for extent in shape)
            known = size
        if known == size and all(extent >= 0 for extent in shape):
            item_size = ITEM_SIZES[self._number]
            own = [stride // item_size for stride in self.strides]
            strides = reshaped_strides(self.shape, own, shape)
            if strides is not None:
                return self._view(shape, tuple([stride * item_size for stride in strides]))
        return Input(self)._reshape(shape)

    def _diagonal(self, offset: int) -> Tensor:
        """Of the last two axes."""
        (*shape, m, n), (*lead, row, column) = self.shape, self.strides
        count = max(min(m, n - offset) if offset >= 0 else min(m + offset, n), 0)
        start = column * offset if offset >= 0 else -row * offset
        return self._view((*shape, count), (*lead, row + column), start)
