# SPDX-License-Identifier: MIT
"""Indexing, as numpy's: integers, slices, ``...`` and ``numpy.newaxis``; and arrays."""

import operator

import numpy

from ._errors import classes, error
from ._operands import as_operand, dtype_of


class MaskRefused(classes["ShapeError"], IndexError):
    """A mask does not fit the axes that it stands for: the standard wants an IndexError."""


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

    def __init__(self, shape, key):
        self.start, self.count, self.step, self.axes = [], [], [], []
        items = key if isinstance(key, tuple) else (key,)
        for item in _expand(items, len(shape)):
            if item is None:
                self.axes.append(None)
            elif isinstance(item, slice):
                self._add_slice(shape, item)
            else:
                self._add_integer(shape, item)
        self.is_element = not self.axes and all(item is not Ellipsis for item in items)

    def _add_slice(self, shape, item):
        axis = len(self.start)
        start, stop, step = item.indices(shape[axis])
        count = len(range(start, stop, step))
        self.axes.append(axis)
        self.start.append(start if count else 0)
        self.count.append(count)
        self.step.append(step if count > 1 else 1)

    def _add_integer(self, shape, item):
        axis = len(self.start)
        extent = shape[axis]
        at = _integer(item)
        if not -extent <= at < extent:
            raise IndexError(f"index {at} is out of bounds for axis {axis} with size {extent}")
        self.start.append(at + extent if at < 0 else at)
        self.count.append(1)
        self.step.append(1)

    @property
    def shape(self):
        """Shape of the result."""
        return tuple([1 if axis is None else self.count[axis] for axis in self.axes])


def _is_array(item):
    """An array of indices or a mask; what is one integer is none."""
    if isinstance(item, (list, numpy.ndarray)):
        return True
    return hasattr(item, "_number") and (bool(item.shape) or not hasattr(item, "__index__"))


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
    is_whole : bool
        Taking `basic` changes nothing.
    """

    __slots__ = ("mask", "basic", "indices", "axes", "is_whole")

    def __init__(self, shape, items):
        self.mask = None
        self.indices = []
        basic, axes = [], []
        axis = 0
        for place, item in enumerate(_expand(tuple(items), len(shape))):
            if item is None or isinstance(item, slice):
                basic.append(item)
                axis += item is not None
                continue
            if isinstance(item, _Places):
                item = item.fitting(shape, axis)
            elif not _is_array(item):
                item = _in_range(shape, axis, item)
            basic.append(slice(None))
            axes.append(place)
            axis += 1
            self.indices.append(as_operand(item))
        self.basic, self.axes = tuple(basic), tuple(axes)
        self.is_whole = all(item == slice(None) for item in basic)

    @classmethod
    def of(cls, shape, key):
        """None if the key is a basic one."""
        items = key if type(key) is tuple else (key,)
        if not any(map(_is_array, items)):
            return None
        items = [_as_index(item) if _is_array(item) else item for item in items]
        masks = [item for item in items if _is_array(item) and _kind(item) == "b"]
        if not masks:
            return cls(shape, items)
        if len(items) > 1:
            return cls(shape, _without_masks(items))
        advanced = cls(shape, ())
        advanced.mask = masks[0]
        return advanced


    @classmethod
    def of_mask(cls, shape, mask):
        """The same places as a mask alone, by their indices."""
        return cls(shape, _without_masks([mask]))


class _Places:
    """One axis of a mask: the indices along it where the mask is true."""

    __slots__ = ("mask", "axis", "indices")

    def __init__(self, mask, axis, indices):
        self.mask, self.axis, self.indices = mask, axis, indices

    def fitting(self, shape, axis):
        if self.mask.shape[self.axis] not in (0, shape[axis]):
            message = f"a mask of shape {self.mask.shape} for axis {axis} with size {shape[axis]}"
            raise MaskRefused(message, "shape_mismatch")
        return self.indices


def _without_masks(items):
    """The items of an index, with an item for each axis of a mask in its place."""
    found = []
    for item in items:
        if not _is_array(item) or _kind(item) != "b":
            found.append(item)
            continue
        if not item.shape:
            raise TypeError("a bool, or a mask without dimensions, stands alone in an index")
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


def _kind(item):
    return item.dtype.kind if hasattr(item, "dtype") else dtype_of(item._number).kind


def _as_index(item):
    """Lists become arrays; an empty one is one of integers."""
    if isinstance(item, list):
        item = numpy.asarray(item)
        if item.size == 0:
            item = item.astype("int64")
    return item


def _in_range(shape, axis, item):
    at = _integer(item)
    if not -shape[axis] <= at < shape[axis]:
        raise IndexError(f"index {at} is out of bounds for axis {axis} with size {shape[axis]}")
    return at


def _integer(item):
    if not isinstance(item, bool):
        try:
            return operator.index(item)
        except TypeError:
            pass
    raise TypeError(
        f"indices are integers, slices, ... and None, not {type(item).__name__}; "
        "for others, index numpy.asarray(tensor)"
    )


def _expand(key, ndim):
    """The items with ``...`` written out, so that every axis has one."""
    n_used = sum(item is not None and item is not Ellipsis for item in key)
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


def is_mask(key):
    """Is it a bool, or an array of bool, so that it selects where it is true?"""
    if isinstance(key, list):
        key = numpy.asarray(key)
    dtype = getattr(key, "dtype", None)
    return isinstance(key, bool) or getattr(dtype, "kind", None) == "b"


def is_mask_of_all(key):
    """Is it a mask without dimensions, which selects the whole array, or nothing of it?"""
    return isinstance(key, bool) or (getattr(key, "shape", None) == () and is_mask(key))


def is_void_mask(mask, shape):
    """Of the shape of a mask: does it select nothing, since an axis is empty that need not be?"""
    if len(mask) > len(shape) or any(n not in (0, extent) for n, extent in zip(mask, shape)):
        raise MaskRefused(f"a mask of shape {mask} for shape {shape}", "shape_mismatch")
    return tuple(mask) != tuple(shape[: len(mask)])


def integers_of(x):
    """One integer or a sequence of them, as a tuple: axes, a shape."""
    try:
        return (operator.index(x),)
    except TypeError:
        return tuple(map(operator.index, x))


def diagonal_of(k):
    """The number of a diagonal; those beyond every array are all one."""
    return max(-(2**62), min(operator.index(k), 2**62))


def axis_of(op, axis, ndim):
    """An axis of an operand, counted from the front."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise error("bad_axis", f"{op}: axis {axis} is out of range for {ndim} dimensions")
    return axis % ndim


def axes_of(op, axes, ndim):
    """Axes of an operand, one or several but each once, counted from the front."""
    found = [axis_of(op, axis, ndim) for axis in integers_of(axes)]
    if len(set(found)) < len(found):
        raise error("bad_axis", f"{op}: an axis is named twice in {integers_of(axes)}")
    return found


def normal_axes(axes, ndim):
    """Axes counted from the front, or None if they are no permutation."""
    axes = [operator.index(axis) for axis in axes]
    axes = [axis + ndim if axis < 0 else axis for axis in axes]
    return axes if sorted(axes) == list(range(ndim)) else None


def c_strides(shape, item_size):
    """Strides in bytes of a dense array in C order."""
    strides = []
    for extent in reversed(shape):
        strides.append(item_size)
        item_size *= max(extent, 1)
    return tuple(reversed(strides))


def reshaped_strides(shape, strides, new_shape):
    """Of the same elements, in C order, under another shape; None: only a copy has such.

    Axes that lie as one in C order are taken as one block; each new axis must be a part of one.
    """
    if 0 in shape:
        return c_strides(new_shape, 1)
    blocks = []  # (extent, stride)
    for extent, stride in zip(shape, strides):
        if blocks and blocks[-1][1] == extent * stride:
            blocks[-1] = blocks[-1][0] * extent, stride
        elif extent != 1:
            blocks.append((extent, stride))
    result, left, stride = [], 1, 1
    for extent in reversed(new_shape):
        if left == 1 and extent != 1:
            left, stride = blocks.pop()
        if left % extent:
            return None
        result.append(stride)
        left //= extent
        stride *= extent
    return tuple(reversed(result))
