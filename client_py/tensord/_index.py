# SPDX-License-Identifier: MIT
"""Indexing, as numpy's: integers, slices, ``...`` and ``numpy.newaxis``; and arrays."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy

from ._errors import ShapeError, error
from ._operands import as_operand, dtype_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, SupportsIndex

    from ._types import Axes, DType, Key, Operand, Shape


class IndexRefused(ShapeError, IndexError):
    """Masks or arrays of indices do not fit the axes, or one another: numpy's is an IndexError."""


class Index:
    """An index expression, resolved against a shape.

    Attributes
    ----------
    start, count, step : list of int
        One entry per axis: ``count`` elements from ``start`` on, ``step`` apart.
    axes : list of (int or None)
        Axes of the result: an axis of what was indexed, or None for a new one of extent 1.
    is_element : bool
        An integer for each axis, and no ``...``: numpy yields a number, not a view.
    """

    __slots__ = ("start", "count", "step", "axes", "is_element")

    def __init__(self, shape: Shape, key: Key) -> None:
        self.start: list[int] = []
        self.count: list[int] = []
        self.step: list[int] = []
        self.axes: list[int | None] = []
        items = key if isinstance(key, tuple) else (key,)
        for item in _expand(items, len(shape)):
            if item is None:
                self.axes.append(None)
            elif isinstance(item, slice):
                self._add_slice(shape, item)
            else:
                self._add_integer(shape, item)
        self.is_element = not self.axes and all(item is not Ellipsis for item in items)

    def _add_slice(self, shape: Shape, item: slice) -> None:
        axis = len(self.start)
        start, stop, step = item.indices(shape[axis])
        count = len(range(start, stop, step))
        self.axes.append(axis)
        self.start.append(start if count else 0)
        self.count.append(count)
        self.step.append(step if count > 1 else 1)

    def _add_integer(self, shape: Shape, item: object) -> None:
        axis = len(self.start)
        extent = shape[axis]
        at = _integer(item)
        if not -extent <= at < extent:
            raise IndexError(f"index {at} is out of bounds for axis {axis} with size {extent}")
        self.start.append(at + extent if at < 0 else at)
        self.count.append(1)
        self.step.append(1)

    @property
    def shape(self) -> Shape:
        """Shape of the result."""
        return tuple([1 if axis is None else self.count[axis] for axis in self.axes])


def _is_array(item: Any) -> bool:
    """An array of indices or a mask; what is one integer is none, but while it is traced."""
    if isinstance(item, (list, numpy.ndarray)):
        return True
    if not hasattr(item, "_number") or not hasattr(item, "__index__"):
        return hasattr(item, "_number")
    return bool(item.shape) or _is_traced(item)


def _is_traced(item: Any) -> bool:
    node = item._operand().node
    return node is not None and node.block is not None


class Advanced:
    """An index expression in which arrays stand.

    Attributes
    ----------
    mask : array of bool, or None
        The whole key, if it is one. Beside others a mask is the indices where it is true.
    basic : tuple
        What is indexed first: the key with whole axes in place of integers and arrays.
    indices : list of operand
        Integers and arrays of them.
    axes : tuple of int
        Where they stand, once `basic` is taken.
    places : tuple of int
        What the indices broadcast to.
    is_whole : bool
        Taking `basic` changes nothing.
    n_before : int
        So many axes before those of the places are to come behind them: ``...`` keeps the indices
        apart, also where it stands for no axis.
    """

    __slots__ = ("mask", "basic", "indices", "axes", "places", "is_whole", "n_before")

    def __init__(self, shape: Shape, items: Sequence[Any]) -> None:
        self.mask: Any = None
        self.indices: list[Operand] = []
        basic: list[slice | None] = []
        axes = []
        axis = 0
        for place, item in enumerate(_expand(tuple(items), len(shape))):
            if item is None or isinstance(item, slice):
                basic.append(item)
                axis += item is not None
                continue
            axes.append(place)
            if isinstance(item, _Switch):
                basic.append(None)
                self.indices.append(as_operand(item.indices))
                continue
            if isinstance(item, _Places):
                item = item.fitting(shape, axis)
            elif not _is_array(item):
                item = _in_range(shape, axis, item)
            basic.append(slice(None))
            axis += 1
            self.indices.append(as_operand(item))
        self.basic, self.axes = tuple(basic), tuple(axes)
        self.places = _places_of([x.shape for x in self.indices])
        self.is_whole = all(item == slice(None) for item in basic)
        is_row = axes == [*range(axes[0], axes[-1] + 1)] if axes else False
        self.n_before = axes[0] if is_row and _are_apart(items) else 0

    def order(self) -> Shape:
        """Of the axes that ``take`` yields, as they are to come; see `n_before`."""
        n_all = len(self.basic) - len(self.axes) + len(self.places)
        end = self.n_before + len(self.places)
        return (*range(self.n_before, end), *range(self.n_before), *range(end, n_all))

    @property
    def is_unknown_view(self) -> bool:
        """Is it a part with axes, which is a view in numpy, at a place that is being traced?"""
        is_part = len(self.basic) > len(self.axes) and not any(x.shape for x in self.indices)
        return is_part and any(hasattr(x, "__index__") and _is_traced(x) for x in self.indices)

    @classmethod
    def of(cls, shape: Shape, key: Any) -> Advanced | None:
        """None if the key is a basic one."""
        items: Sequence[Any] = key if type(key) is tuple else (key,)
        if len(items) > 1:
            items = [_Switch(item) if is_mask_of_all(item) else item for item in items]
        if not any(_is_array(item) or isinstance(item, _Switch) for item in items):
            return None
        found = [_as_index(item) if _is_array(item) else item for item in items]
        for item in found:
            if _is_array(item) and _kind(item) not in "iub":
                raise IndexError(f"arrays of indices are of integers or bool, not {item.dtype}")
        masks = [item for item in found if _is_array(item) and _kind(item) == "b"]
        if not masks:
            return cls(shape, found)
        if len(found) > 1:
            return cls(shape, _without_masks(found))
        advanced = cls(shape, ())
        advanced.mask = masks[0]
        return advanced

    @classmethod
    def of_mask(cls, shape: Shape, mask: Any) -> Advanced:
        """The same places as a mask alone, by their indices."""
        return cls(shape, _without_masks([mask]))


def _places_of(shapes: Sequence[Shape]) -> Shape:
    """What arrays of indices broadcast to."""
    if len(shapes) == 1:
        return shapes[0]
    try:
        return numpy.broadcast_shapes(*shapes)
    except ValueError:
        message = f"indices of shapes {', '.join(map(str, shapes))} cannot be broadcast together"
        raise IndexRefused(message, "shape_mismatch") from None


def _are_apart(items: Sequence[Any]) -> bool:
    """Are there integers or arrays on both sides of ``...``?"""
    kept = [not (item is None or isinstance(item, slice)) for item in items]
    at = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    return any(kept[:at]) and any(kept[at + 1 :])


class _Places:
    """One axis of a mask: the indices along it where the mask is true."""

    __slots__ = ("mask", "axis", "indices")

    def __init__(self, mask: Any, axis: int, indices: Any) -> None:
        self.mask, self.axis, self.indices = mask, axis, indices

    def fitting(self, shape: Shape, axis: int) -> Any:
        if self.mask.shape[self.axis] not in (0, shape[axis]):
            message = f"a mask of shape {self.mask.shape} for axis {axis} with size {shape[axis]}"
            raise IndexRefused(message, "shape_mismatch")
        return self.indices


class _Switch:
    """A mask without dimensions beside others: a new axis, of which all or nothing is taken."""

    __slots__ = ("indices",)

    def __init__(self, mask: Any) -> None:
        self.indices = numpy.zeros(1 if mask else 0, "int64")


def _without_masks(items: Iterable[Any]) -> list[Any]:
    """The items of an index, with an item for each axis of a mask in its place."""
    found: list[Any] = []
    for item in items:
        if not _is_array(item) or _kind(item) != "b":
            found.append(item)
            continue
        if getattr(item, "node", None) is not None:
            raise error(
                "bad_program",
                "how many places a mask has is not known before the program has run; use where()",
            )
        if hasattr(item, "_make"):
            indices = item._make("nonzero", (item,))
        else:
            indices = numpy.nonzero(item)
        found.extend(_Places(item, axis, indices[axis]) for axis in range(len(item.shape)))
    return found


def _kind(item: Any) -> str:
    dtype: DType = item.dtype if hasattr(item, "dtype") else dtype_of(item._number)
    return dtype.kind


def _as_index(item: Any) -> Any:
    """Lists become arrays; an empty one is one of integers."""
    if isinstance(item, list):
        item = numpy.asarray(item)
        if item.size == 0:
            item = item.astype("int64")
    return item


def _in_range(shape: Shape, axis: int, item: object) -> int:
    at = _integer(item)
    if not -shape[axis] <= at < shape[axis]:
        raise IndexError(f"index {at} is out of bounds for axis {axis} with size {shape[axis]}")
    return at


def _integer(item: Any) -> int:
    if not isinstance(item, bool):
        try:
            return operator.index(item)
        except TypeError:
            pass
    raise IndexError(
        f"indices are integers, slices, ... and None, not {type(item).__name__}; "
        "for others, index numpy.asarray(tensor)"
    )


def _expand(key: tuple[Any, ...], ndim: int) -> list[Any]:
    """The items with ``...`` written out, so that every axis has one."""
    n_used = sum(not (x is None or x is Ellipsis or isinstance(x, _Switch)) for x in key)
    n_ellipses = sum(item is Ellipsis for item in key)
    if n_ellipses > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if n_used > ndim:
        raise IndexError(
            f"too many indices: the tensor has {ndim} dimensions, but {n_used} were indexed"
        )
    rest = [slice(None)] * (ndim - n_used)
    if not n_ellipses:
        return [*key, *rest]
    at = next(i for i, item in enumerate(key) if item is Ellipsis)
    return [*key[:at], *rest, *key[at + 1 :]]


def alone(key: Key) -> Key:
    """A bool or an array that is all of a tuple, without that."""
    if isinstance(key, tuple) and len(key) == 1 and not isinstance(key[0], tuple):
        return key[0]
    return key


def is_mask(key: object) -> bool:
    """Is it a bool, or an array of bool, so that it selects where it is true?"""
    if isinstance(key, list):
        key = numpy.asarray(key)
    dtype = getattr(key, "dtype", None)
    return isinstance(key, bool) or getattr(dtype, "kind", None) == "b"


def is_mask_of_all(key: object) -> bool:
    """Is it a mask without dimensions, which selects the whole array, or nothing of it?"""
    is_bool = isinstance(key, (bool, numpy.bool_))
    return is_bool or (getattr(key, "shape", None) == () and is_mask(key))


def is_void_mask(mask: Shape, shape: Shape) -> bool:
    """Of the shape of a mask: does it select nothing, since an axis is empty that need not be?"""
    if len(mask) > len(shape) or any(n not in (0, extent) for n, extent in zip(mask, shape)):
        raise IndexRefused(f"a mask of shape {mask} for shape {shape}", "shape_mismatch")
    return tuple(mask) != tuple(shape[: len(mask)])


def integers_of(x: Axes) -> Shape:
    """One integer or a sequence of them, as a tuple: axes, a shape."""
    try:
        return (operator.index(x),)  # type: ignore[arg-type]  # this is the question
    except TypeError:
        return tuple(map(operator.index, x))  # type: ignore[arg-type]  # the answer


def diagonal_of(k: SupportsIndex) -> int:
    """The number of a diagonal; those beyond every array are all one."""
    return max(-(2**62), min(operator.index(k), 2**62))


def axis_of(op: str, axis: SupportsIndex, ndim: int) -> int:
    """An axis of an operand, counted from the front."""
    at = operator.index(axis)
    if not -ndim <= at < ndim:
        raise error("bad_axis", f"{op}: axis {at} is out of range for {ndim} dimensions")
    return at % ndim


def axes_of(op: str, axes: Axes, ndim: int) -> list[int]:
    """Axes of an operand, one or several but each once, counted from the front."""
    found = [axis_of(op, axis, ndim) for axis in integers_of(axes)]
    if len(set(found)) < len(found):
        raise error("bad_axis", f"{op}: an axis is named twice in {integers_of(axes)}")
    return found


def normal_axes(axes: Iterable[SupportsIndex], ndim: int) -> list[int] | None:
    """Axes counted from the front, or None if they are no permutation."""
    places = [operator.index(axis) for axis in axes]
    places = [axis + ndim if axis < 0 else axis for axis in places]
    return places if sorted(places) == list(range(ndim)) else None


def c_strides(shape: Shape, item_size: int) -> Shape:
    """Strides in bytes of a dense array in C order."""
    strides = []
    for extent in reversed(shape):
        strides.append(item_size)
        item_size *= max(extent, 1)
    return tuple(reversed(strides))


def reshaped_strides(
    shape: Sequence[int], strides: Sequence[int], new_shape: Shape
) -> Shape | None:
    """Of the same elements, in C order, under another shape; None: only a copy has such.

    Axes that lie as one in C order are taken as one block; each new axis must be a part of one.
    """
    if 0 in shape:
        return c_strides(new_shape, 1)
    blocks: list[tuple[int, int]] = []  # (extent, stride)
    for extent, stride in zip(shape, strides):
        if blocks and blocks[-1][1] == extent * stride:
            blocks[-1] = blocks[-1][0] * extent, stride
        elif extent != 1:
            blocks.append((extent, stride))
    result: list[int] = []
    left = stride = 1
    for extent in reversed(new_shape):
        if left == 1 and extent != 1:
            left, stride = blocks.pop()
        if left % extent:
            return None
        result.append(stride)
        left //= extent
        stride *= extent
    return tuple(reversed(result))
