# SPDX-License-Identifier: MIT
"""Views: what an array sees of another one, and what writing through it makes of that one.

A view has a base, which is no view itself, and the steps that lead from there to it. `get` yields
what a step sees of a tensor (another tensor, by strides: no request) or of a value (an operation
more); `put` yields what was before the step as it is after what is behind it was written. So a view
needs no memory to exist, and sees every later assignment to its base, as in numpy. `strides` are
those that numpy's view would have, in elements, where the base lies in C order: a reshaped array is
a view just where numpy's is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._graph import apply
from ._index import reshaped_strides
from ._tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._array import Array
    from ._graph import Value
    from ._index import Index
    from ._types import NDArray, Shape

__all__ = ["Broadcast", "Component", "Diagonal", "Part", "Permuted", "Reshaped", "part_of"]


class Part:
    """Elements a constant step apart along each axis; then axes are dropped and added."""

    __slots__ = ("index",)

    def __init__(self, index: Index) -> None:
        self.index = index

    def _key(self) -> tuple[list[int], list[int], list[int], list[int | None]]:
        index = self.index
        return index.start, index.count, index.step, index.axes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # what is in it may change

    def get(self, base: Value | Tensor) -> Value | Tensor:
        return base._at(self.index)

    def put(self, base: Array, new: Array) -> Array:
        index = self.index
        if new.shape != tuple(index.count):
            new = new.reshape(tuple(index.count))
        attrs = {"start": index.start, "shape": index.count, "step": index.step}
        return base._make("assign", (base, new), attrs)

    def shape_of(self, shape: Shape) -> Shape:
        return self.index.shape

    def strides(self, shape: Shape, strides: Shape) -> Shape:
        index = self.index
        return tuple(
            [0 if axis is None else strides[axis] * index.step[axis] for axis in index.axes]
        )


class Permuted:
    """The axes in another order."""

    __slots__ = ("axes",)

    def __init__(self, axes: list[int]) -> None:
        self.axes = axes

    def get(self, base: Value | Tensor) -> Value | Tensor:
        return base._permute(self.axes)

    def put(self, base: Array, new: Array) -> Array:
        places = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return new.permute_dims(tuple(places))

    def shape_of(self, shape: Shape) -> Shape:
        return tuple([shape[axis] for axis in self.axes])

    def strides(self, shape: Shape, strides: Shape) -> Shape:
        return tuple([strides[axis] for axis in self.axes])


class Reshaped:
    """The same elements, in C order, under another shape."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def get(self, base: Value | Tensor) -> Value | Tensor:
        return base._reshape(self.shape)

    def put(self, base: Array, new: Array) -> Array:
        return new.reshape(base.shape)

    def shape_of(self, shape: Shape) -> Shape:
        return self.shape

    def strides(self, shape: Shape, strides: Shape) -> Shape | None:
        """None: numpy would copy."""
        return reshaped_strides(shape, strides, self.shape)


class Broadcast:
    """Repeated along axes; not to be written."""

    __slots__ = ("shape",)
    put = None

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def get(self, base: Value | Tensor) -> Value | Tensor:
        return base._broadcast(self.shape)

    def shape_of(self, shape: Shape) -> Shape:
        return self.shape

    def strides(self, shape: Shape, strides: Shape) -> Shape:
        n_new = len(self.shape) - len(shape)
        pairs = zip(shape, self.shape[n_new:], strides)
        return (0,) * n_new + tuple([s if old == new else 0 for old, new, s in pairs])


class Diagonal:
    """A diagonal of the last two axes; not to be written, as numpy's."""

    __slots__ = ("offset", "of_value")
    put = None

    def __init__(self, offset: int, of_value: Callable[[Value, int], Value]) -> None:
        self.offset = offset
        self.of_value = of_value  # callable, from a value and the offset

    def get(self, base: Value | Tensor) -> Value | Tensor:
        if type(base) is Tensor:
            return base._diagonal(self.offset)
        return self.of_value(base, self.offset)

    def shape_of(self, shape: Shape) -> Shape:
        m, n = shape[-2:]
        count = min(m, n - self.offset) if self.offset >= 0 else min(m + self.offset, n)
        return (*shape[:-2], max(count, 0))

    def strides(self, shape: Shape, strides: Shape) -> Shape:
        return (*strides[:-2], strides[-2] + strides[-1])


class Component:
    """The real or the imaginary parts of complex numbers. Always the last step: which elements are
    seen, and in what order, is settled before.
    """

    __slots__ = ("op",)

    def __init__(self, op: str) -> None:
        self.op = op  # real, imag

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and self.op == other.op

    __hash__ = None  # type: ignore[assignment]  # as of Part

    def get(self, base: Value | Tensor) -> Value | Tensor:
        part: Value = apply(self.op, (base,))
        return part

    def put(self, base: Array, new: Array) -> Array:
        parts = (new, base.imag) if self.op == "real" else (base.real, new)
        return base._make("complex", parts)

    def shape_of(self, shape: Shape) -> Shape:
        return shape

    def strides(self, shape: Shape, strides: Shape) -> Shape:
        return tuple([2 * stride for stride in strides])


def part_of(array: NDArray, component: str | None) -> NDArray:
    """A view of the real or imaginary parts of numpy's array; None: the array."""
    if component is None:
        return array
    return array.real if component == "real" else array.imag
