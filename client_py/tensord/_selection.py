# SPDX-License-Identifier: MIT
"""Elements by their indices: taken, and set in a copy.

Names and signatures are those of the Python array API standard; `assign` stands beside it.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy

from ._array import array_of
from ._compose import compose
from ._elementwise import where
from ._errors import error
from ._functions import call
from ._graph import Value, value_of
from ._index import Advanced, Index, alone, is_mask_of_all, is_void_mask
from ._operands import Constant, as_operand, exact_integers
from ._operators import Operators

if TYPE_CHECKING:
    from typing import Any

    from ._array import Array
    from ._types import ArrayLike, Key, Operand

__all__ = ["assign", "take", "take_along_axis"]


def take(x: ArrayLike, indices: ArrayLike, /, *, axis: int | None = None) -> Array:
    """Elements, or parts along an axis, by their numbers.

    Parameters
    ----------
    x : array_like or Value
    indices : array_like or Value
        Integers of any width and any shape; negative ones count from the end.
    axis : int, optional
        May be left out for an array of one dimension.

    Returns
    -------
    Array or Value
        Of x's shape, the indices' in place of the axis.

    Raises
    ------
    OutOfRange
        An index is beyond the extent of the axis; an IndexError.
    DtypeError
        Indices are no integers.
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.take([[1, 2, 3], [4, 5, 6]], [2, -3], axis=1).tolist()
    [[3, 1], [6, 4]]
    >>> tensord.take([1, 2], [2])
    Traceback (most recent call last):
        ...
    tensord.OutOfRange: take: index 2 is out of range for axis 0 with extent 2
    """
    x = array_of(x)
    if axis is None:
        if x.ndim != 1:
            raise error("bad_axis", f"take: shape {x.shape} has several axes; name one")
        axis = 0
    return call("take", (x, as_operand(indices)), {"axes": (operator.index(axis),)})


def take_along_axis(x: ArrayLike, indices: ArrayLike, /, *, axis: int = -1) -> Array:
    """Along an axis, at every place of the others, what the indices there say.

    Parameters
    ----------
    x : array_like or Value
    indices : array_like or Value
        Integers; of as many dimensions as x, and beside the axis they broadcast with it.
    axis : int

    Returns
    -------
    Array or Value
        Of the indices' shape, but where they broadcast.

    Raises
    ------
    OutOfRange
        An index is beyond the extent of the axis; an IndexError.
    DtypeError
        Indices are no integers.
    ShapeError
        They have not as many dimensions as x, or do not broadcast.
    AxisError

    Examples
    --------
    >>> import tensord
    >>> x = [[3, 1, 2], [9, 8, 7]]
    >>> tensord.take_along_axis(x, tensord.argsort(x)).tolist()
    [[1, 2, 3], [7, 8, 9]]
    """
    return call("take_along_axis", (x, indices), {"axes": (operator.index(axis),)})


def assign(x: ArrayLike, key: Key, value: ArrayLike, /) -> Array:
    """The array as it is after ``x[key] = value``; x itself stays as it is.

    Parameters
    ----------
    x : array_like or Value
    key : index expression
        Integers, slices, ``...``, None, arrays of integers, and arrays of bool with the shape of
        the axes that they stand for.
    value : array_like, Value or number
        Broadcasts to what the key says, and becomes the dtype of x. Where arrays of integers name a
        place several times, the last value stays.

    Returns
    -------
    Array or Value
        Of x's shape and dtype.

    Raises
    ------
    OutOfRange, IndexError
        An index is out of range.
    ShapeError
        The value does not broadcast.
    DtypeError
        It is complex, and x is not.

    Examples
    --------
    >>> import tensord
    >>> tensord.assign([1, 2, 3, 4], slice(1, 3), 0).tolist()
    [1, 0, 0, 4]
    """
    x = array_of(x)
    key = alone(key)
    if is_mask_of_all(key):
        of_all = key if isinstance(key, Operators) else numpy.asarray(key)
        return assign(x[None], of_all[None], value)[0]
    operand = as_operand(exact_integers(value, x._number), x._number)
    advanced = Advanced.of(x.shape, key)
    if advanced is None:
        return _assign_part(x, Index(x.shape, key), operand)
    if advanced.mask is not None:
        mask = as_operand(advanced.mask)
        if is_void_mask(mask.shape, x.shape):
            return assign(x, numpy.zeros(x.shape[: len(mask.shape)], bool), value)
        if len(operand.shape) <= max(len(x.shape) - len(mask.shape), 0):
            return _assign_mask(x, mask, operand)
        advanced = Advanced.of_mask(x.shape, advanced.mask)
    operand = _without_lead(operand, advanced)
    axes, basic = advanced.axes, advanced.basic
    if advanced.n_before and operand.shape:
        part = Index(x.shape, basic).shape
        beside = [extent for axis, extent in enumerate(part) if axis not in axes]
        spread = array_of(operand)._broadcast((*advanced.places, *beside))
        order = advanced.order()
        operand = spread._permute(sorted(range(len(order)), key=order.__getitem__))
    if advanced.is_whole:
        return call("put", (x, operand, *advanced.indices), {"axes": axes})

    def build(x: Array, value: Array, *indices: Array) -> Array:
        part = call("put", (x[basic], value, *indices), {"axes": axes})
        return _assign_part(x, Index(x.shape, basic), part)

    return compose(build, x, operand, *advanced.indices)


def fill(x: Array, value: ArrayLike) -> Value:
    """What ``x[...] = value`` makes of x, as a value of a program; x is not read."""
    operand = as_operand(value, x._number)
    if operand.shape:
        operand = _aligned(operand, Index(x.shape, ...))
    return value_of(operand).astype(x.dtype)._broadcast(x.shape)


def _assign_part(x: Array, index: Index, value: Operand) -> Array:
    attrs = {"start": index.start, "shape": index.count, "step": index.step}
    if value.shape:
        value = _aligned(value, index)
    return call("assign", (x, value), attrs)


def _aligned(value: Operand, index: Index) -> Operand:
    """With an axis for each that was indexed, without those that None made."""
    if isinstance(value, Constant):
        return as_operand(_aligned_array(value.array, index))
    aligned: Operand = _aligned_array(value, index)
    return aligned


def _aligned_array(value: Any, index: Index) -> Any:
    while value.ndim > len(index.axes) and value.shape[0] == 1:
        value = value[0]
    if value.ndim > len(index.axes):
        raise error(
            "shape_mismatch", f"assign: shape {value.shape} does not broadcast to {index.shape}"
        )
    lead = len(index.axes) - value.ndim
    items = {axis: place for place, axis in enumerate(index.axes) if axis is not None}
    key: list[slice | None] = [None] * len(index.count)
    for axis, place in items.items():
        if place >= lead:
            key[axis] = slice(None)
    new = [axis is None for axis in index.axes[lead:]]
    if any(n and is_new for n, is_new in zip((n > 1 for n in value.shape), new)):
        raise error(
            "shape_mismatch", f"assign: shape {value.shape} does not broadcast to {index.shape}"
        )
    return value[tuple(0 if is_new else slice(None) for is_new in new)][tuple(key)]


def _without_lead(value: Operand, advanced: Advanced) -> Operand:
    """Without the axes of extent 1 in front that are more than the places have, as numpy."""
    n_beside = len(advanced.basic) - len(advanced.axes)
    n_more = len(value.shape) - n_beside - max(len(x.shape) for x in advanced.indices)
    if n_more <= 0 or any(extent != 1 for extent in value.shape[:n_more]):
        return value
    array: Any = value.array if isinstance(value, Constant) else value
    return as_operand(array.reshape(value.shape[n_more:]))


def _assign_mask(x: Array, mask: Operand, value: Operand) -> Array:
    n_beside = x.ndim - len(mask.shape)

    def build(x: Array, mask: Array, value: Array) -> Array:
        mask = mask[(...,) + (None,) * n_beside]
        return where(mask, value.astype(x.dtype), x)

    return compose(build, x, mask, value)
