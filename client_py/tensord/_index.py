# SPDX-License-Identifier: MIT
"""Basic indexing, as numpy's: integers, slices, ``...`` and ``numpy.newaxis``."""

import operator


class Index:
    """An index expression, resolved against a shape.

    Attributes
    ----------
    start, count, step : list of int
        One entry per axis: ``count`` elements from ``start`` on, ``step`` apart.
    axes : list of (int or None)
        Axes of the result: an axis of what was indexed, or None for a new one of extent 1.
    """

    __slots__ = ("start", "count", "step", "axes")

    def __init__(self, shape, key):
        self.start, self.count, self.step, self.axes = [], [], [], []
        for item in _expand(key if isinstance(key, tuple) else (key,), len(shape)):
            if item is None:
                self.axes.append(None)
            elif isinstance(item, slice):
                self._add_slice(shape, item)
            else:
                self._add_integer(shape, item)

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
        return tuple(1 if axis is None else self.count[axis] for axis in self.axes)


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
