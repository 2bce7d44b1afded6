# SPDX-License-Identifier: MIT
"""Moving elements: views where strides can say it, one copy in the daemon where they cannot.

Names and signatures are those of the Python array API standard.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy

from ._array import array_of
from . import _native
from ._compose import compose
from ._errors import error
from ._elementwise import not_equal, subtract
from ._functions import call
from ._graph import Value, value_of
from ._index import axes_of, axis_of, diagonal_of, integers_of
from ._operands import as_operand, as_operands
from ._selection import take

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Literal, TypeAlias

    from ._array import Array
    from ._types import ArrayLike, Axes, Axis

    _Item: TypeAlias = int | slice | None

__all__ = [
    "broadcast_arrays",
    "concat",
    "diff",
    "expand_dims",
    "flip",
    "meshgrid",
    "moveaxis",
    "repeat",
    "roll",
    "squeeze",
    "stack",
    "tile",
    "tril",
    "triu",
    "unstack",
]


def arrays_of(xs: Iterable[ArrayLike]) -> list[Array]:
    """The same of several: arrays become tensors of the client that the tensors belong to."""
    operands: list[Any] = [as_operand(x) for x in xs]
    if any(isinstance(x, Value) for x in operands):
        values: list[Any] = [*map(value_of, operands)]
        return values
    return list(map(array_of, operands))


def _key(ndim: int, axis: int, item: _Item) -> tuple[_Item, ...]:
    """The key that indexes one axis."""
    return (slice(None),) * axis + (item,) + (slice(None),) * (ndim - axis - 1)


# ---- views ----


def expand_dims(x: ArrayLike, /, axis: Axes) -> Array:
    """A new axis of extent 1.

    Parameters
    ----------
    x : array_like or Value
    axis : int or tuple of int
        Where the new axes stand in the result; negative ones count from its end.

    Returns
    -------
    Array or Value
        A view of a tensor.

    Raises
    ------
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.expand_dims([1, 2], axis=1).tolist()
    [[1], [2]]
    """
    x = array_of(x)
    n_new = len(integers_of(axis))
    axes = axes_of("expand_dims", axis, x.ndim + n_new)
    return x[tuple(None if i in axes else slice(None) for i in range(x.ndim + n_new))]


def squeeze(x: ArrayLike, /, axis: Axes) -> Array:
    """Without axes of extent 1.

    Parameters
    ----------
    x : array_like or Value
    axis : int or tuple of int

    Returns
    -------
    Array or Value
        A view of a tensor.

    Raises
    ------
    AxisError
    ShapeError
        One of them has another extent.

    Examples
    --------
    >>> import tensord
    >>> tensord.squeeze([[1], [2]], axis=1).tolist()
    [1, 2]
    """
    x = array_of(x)
    axes = axes_of("squeeze", axis, x.ndim)
    for i in axes:
        if x.shape[i] != 1:
            raise error("shape_mismatch", f"squeeze: axis {i} of shape {x.shape} is not 1")
    return x[(*(0 if i in axes else slice(None) for i in range(x.ndim)), ...)]  # a view


def flip(x: ArrayLike, /, *, axis: Axis = None) -> Array:
    """The elements in reverse order along axes. A view of a tensor.

    Parameters
    ----------
    x : array_like or Value
    axis : int or tuple of int, optional
        All where it is left out.

    Returns
    -------
    Array or Value
        Of x's shape.

    Raises
    ------
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.flip([[1, 2], [3, 4]], axis=0).tolist()
    [[3, 4], [1, 2]]
    """
    x = array_of(x)
    axes = range(x.ndim) if axis is None else axes_of("flip", axis, x.ndim)
    return x[(*(slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)), ...)]


def moveaxis(
    x: ArrayLike, source: Axes, destination: Axes, /
) -> Array:
    """Axes moved to other positions, the others in their order. A view of a tensor.

    Parameters
    ----------
    x : array_like or Value
    source, destination : int or tuple of int
        As many of the one as of the other.

    Returns
    -------
    Array or Value

    Raises
    ------
    AxisError
        There is no such axis, one stands twice, or there are not as many of both.

    Examples
    --------
    >>> import tensord
    >>> tensord.moveaxis(tensord.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = array_of(x)
    axes = axes_of("moveaxis", source, x.ndim)
    places = axes_of("moveaxis", destination, x.ndim)
    if len(axes) != len(places):
        raise error("bad_axis", f"moveaxis: {len(axes)} axes to {len(places)} positions")
    order = [i for i in range(x.ndim) if i not in axes]
    for to, axis in sorted(zip(places, axes)):
        order.insert(to, axis)
    return x.permute_dims(order)


def broadcast_arrays(*arrays: ArrayLike) -> list[Array]:
    """Views of the arrays, repeated to the shape that they have together.

    Parameters
    ----------
    *arrays : array_like or Value

    Returns
    -------
    list of Array or Value

    Raises
    ------
    ShapeError
        They have no shape together.

    Examples
    --------
    >>> import tensord
    >>> [x.tolist() for x in tensord.broadcast_arrays([1, 2], [[3], [4]])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    xs = arrays_of(arrays)
    try:
        shape = numpy.broadcast_shapes(*(x.shape for x in xs))
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in xs)
        message = f"broadcast_arrays: shapes {shapes} cannot be broadcast together"
        raise error("shape_mismatch", message) from None
    return [x._broadcast(shape) for x in xs]


def meshgrid(*arrays: ArrayLike, indexing: Literal["xy", "ij"] = "xy") -> list[Array]:
    """Coordinates of a grid; repeated without memory until they are written.

    Parameters
    ----------
    *arrays : (n,) array_like or Value
        Coordinates along each axis.
    indexing : {"xy", "ij"}
        The order of the first two axes of the results: "xy" has that of the second array first.

    Returns
    -------
    list of Array or Value

    Raises
    ------
    ShapeError
        An array has more than one dimension.
    ArgumentError
        There is no such indexing.

    Examples
    --------
    >>> import tensord
    >>> x, y = tensord.meshgrid([1, 2, 3], [10, 20])
    >>> (x + y).tolist()
    [[11, 12, 13], [21, 22, 23]]
    """
    if indexing not in ("xy", "ij"):
        raise error("bad_arguments", f"indexing is 'xy' or 'ij', not {indexing!r}")
    xs = arrays_of(arrays)
    for x in xs:
        if x.ndim > 1:
            raise error("shape_mismatch", f"meshgrid: shape {x.shape} has more than one dimension")
    n = len(xs)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[:2] = 1, 0
    shape = tuple(xs[i].size for i in order)
    return [
        expand_dims(x[None] if x.ndim == 0 else x, axis=tuple(k for k in range(n) if order[k] != i))
        ._broadcast(shape)
        ._copy()
        for i, x in enumerate(xs)
    ]


def unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of an array along an axis, as views.

    Parameters
    ----------
    x : array_like or Value
    axis : int

    Returns
    -------
    tuple of Array or Value

    Raises
    ------
    AxisError

    Examples
    --------
    >>> import tensord
    >>> [x.tolist() for x in tensord.unstack([[1, 2], [3, 4]], axis=1)]
    [[1, 3], [2, 4]]
    """
    x = array_of(x)
    axis = axis_of("unstack", axis, x.ndim)
    return tuple(x[_key(x.ndim, axis, i)] for i in range(x.shape[axis]))


# ---- copies ----


def concat(arrays: Iterable[ArrayLike], /, *, axis: int | None = 0) -> Array:
    """Arrays one behind the other.

    Parameters
    ----------
    arrays : sequence of array_like or Value
        Of the same shape but along the axis; their dtypes are promoted.
    axis : int or None
        None: flattened first.

    Returns
    -------
    Array or Value

    Raises
    ------
    ShapeError
        Other extents than that along the axis differ.
    AxisError
    ArgumentError
        There are no arrays.

    Examples
    --------
    >>> import tensord
    >>> tensord.concat([[1, 2], [3.5]]).tolist()
    [1.0, 2.0, 3.5]
    """
    arrays = tuple(arrays)
    if not arrays:
        raise error("bad_arguments", "concat: there is nothing to put together")
    if axis is None:
        arrays = tuple(x.reshape(-1) for x in arrays_of(arrays))
    operands = as_operands(arrays)
    along = 0 if axis is None else operator.index(axis)
    if len(operands) <= _native.ARGS_MAX:
        return call("concat", operands, {"axes": (along,)})
    return compose(lambda *parts: _concat_many(parts, along), *operands)


def _concat_many(arrays: Sequence[Array], axis: int) -> Array:
    n = _native.ARGS_MAX
    while len(arrays) > 1:
        groups = [arrays[i : i + n] for i in range(0, len(arrays), n)]
        arrays = [call("concat", tuple(group), {"axes": (axis,)}) for group in groups]
    return arrays[0]


def stack(arrays: Iterable[ArrayLike], /, *, axis: int = 0) -> Array:
    """Arrays beside one another, along a new axis.

    Parameters
    ----------
    arrays : sequence of array_like or Value
        Of the same shape; their dtypes are promoted.
    axis : int
        Where the new axis stands in the result.

    Returns
    -------
    Array or Value

    Raises
    ------
    ShapeError
        Their shapes differ.
    AxisError
    ArgumentError
        There are no arrays.

    Examples
    --------
    >>> import tensord
    >>> tensord.stack([[1, 2], [3, 4]], axis=1).tolist()
    [[1, 3], [2, 4]]
    """
    xs = arrays_of(arrays)
    if not xs:
        raise error("bad_arguments", "stack: there is nothing to put together")
    for x in xs:
        if x.shape != xs[0].shape:
            raise error("shape_mismatch", f"stack: shapes {xs[0].shape} and {x.shape} differ")
    return concat([expand_dims(x, axis) for x in xs], axis=axis)


def roll(x: ArrayLike, /, shift: int | Sequence[int], *, axis: Axis = None) -> Array:
    """The elements moved on along axes; what leaves at the end comes in at the begin.

    Parameters
    ----------
    x : array_like or Value
    shift : int or tuple of int
    axis : int or tuple of int, optional
        As many as shifts, or one shift for all. The flattened array is rolled where it is left out.

    Returns
    -------
    Array or Value
        Of x's shape; a copy.

    Raises
    ------
    AxisError
    ArgumentError
        There are not as many shifts as axes.

    Examples
    --------
    >>> import tensord
    >>> tensord.roll([1, 2, 3, 4], 1).tolist()
    [4, 1, 2, 3]
    """
    x = array_of(x)
    if axis is None:
        if x.ndim != 1:
            shape = x.shape
            return compose(lambda v: roll(v.reshape(-1), shift, axis=0).reshape(shape), x)
        axis = 0
    axes = [axis_of("roll", i, x.ndim) for i in integers_of(axis)]
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    if len(axes) == 1:
        axes *= len(shifts)
    if len(axes) != len(shifts):
        raise error("bad_arguments", f"roll: {len(shifts)} shifts for {len(axes)} axes")
    total: dict[int, int] = {}
    for i, n in zip(axes, shifts):
        total[i] = (total.get(i, 0) + operator.index(n)) % max(x.shape[i], 1)
    total = {i: n for i, n in total.items() if n}
    return _rolled(x, total) if total else x._copy()


def _rolled(x: Array, total: Mapping[int, int]) -> Array:
    if len(total) > 1:
        return compose(lambda v: _rolled_each(v, total), x)
    return _rolled_each(x, total)


def _rolled_each(x: Array, total: Mapping[int, int]) -> Array:
    for axis, n in total.items():
        at = x.shape[axis] - n
        parts = x[_key(x.ndim, axis, slice(at, None))], x[_key(x.ndim, axis, slice(None, at))]
        x = concat(parts, axis=axis)
    return x


def repeat(x: ArrayLike, repeats: ArrayLike, /, *, axis: int | None = None) -> Array:
    """Each element, or each part along an axis, several times.

    Parameters
    ----------
    x : array_like or Value
    repeats : int or array_like of int
        How many times; an array has one entry for each, and is read now.
    axis : int, optional
        The flattened array is repeated where it is left out.

    Returns
    -------
    Array or Value

    Raises
    ------
    ValueRefused
        A count is negative.
    ShapeError
        There are not as many counts as entries along the axis.
    ArgumentError
        Counts are no integers.
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.repeat([1, 2], 2).tolist()
    [1, 1, 2, 2]
    >>> tensord.repeat([[1, 2], [3, 4]], [1, 2], axis=0).tolist()
    [[1, 2], [3, 4], [3, 4]]
    """
    x = array_of(x)
    if axis is None:
        x, axis = (x if x.ndim == 1 else x.reshape(-1)), 0
    axis = axis_of("repeat", axis, x.ndim)
    counts = numpy.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.ndim > 1:
        raise error("bad_arguments", "repeat: repeats is an integer, or a vector of such")
    if counts.size and counts.min() < 0:
        raise error("bad_value", f"repeat: {counts.min()} times is less than none")
    if counts.size != 1:
        if counts.size != x.shape[axis]:
            raise error(
                "shape_mismatch",
                f"repeat: {counts.size} repeats for axis {axis} of shape {x.shape}",
            )
        return take(x, numpy.repeat(numpy.arange(counts.size), counts), axis=axis)
    n = int(counts.reshape(()))
    many = x[_key(x.ndim + 1, axis + 1, None)]
    shape = x.shape[: axis + 1] + (n,) + x.shape[axis + 1 :]
    result = x.shape[:axis] + (x.shape[axis] * n,) + x.shape[axis + 1 :]
    return many._broadcast(shape).reshape(result)._copy()


def tile(x: ArrayLike, repetitions: int | Sequence[int], /) -> Array:
    """The array several times along its axes.

    Parameters
    ----------
    x : array_like or Value
    repetitions : tuple of int
        For each of the last axes; there may be more of them than axes.

    Returns
    -------
    Array or Value

    Raises
    ------
    ValueRefused
        A number of repetitions is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.tile([1, 2], (2, 2)).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    x = array_of(x)
    counts = repetitions if isinstance(repetitions, (tuple, list)) else (repetitions,)
    counts = [operator.index(n) for n in counts]
    if any(n < 0 for n in counts):
        raise error("bad_value", f"tile: {tuple(counts)} has a negative number of repetitions")
    counts = [1] * (x.ndim - len(counts)) + counts
    if len(counts) > x.ndim:
        x = x[(None,) * (len(counts) - x.ndim)]
    axes = [i for i, n in enumerate(counts) if n != 1]
    at_once = _native.NDIM_MAX - x.ndim  # each needs an axis of its own beside its extent
    if len(axes) > at_once > 0:
        groups = [axes[i : i + at_once] for i in range(0, len(axes), at_once)]
        for group in groups:
            x = _tiled(x, [n if i in group else 1 for i, n in enumerate(counts)])
        return x
    return _tiled(x, counts) if axes else x._copy()


def _tiled(x: Array, counts: Sequence[int]) -> Array:
    key: list[_Item] = []
    shape, result = [], []
    for extent, n in zip(x.shape, counts):
        if n != 1:
            key.append(None)
            shape.append(n)
        key.append(slice(None))
        shape.append(extent)
        result.append(n * extent)
    return x[tuple(key)]._broadcast(tuple(shape)).reshape(tuple(result))._copy()


def tril(x: ArrayLike, /, *, k: int = 0) -> Array:
    """On and below a diagonal of the last two axes the array, else zero.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    k : int
        Number of the diagonal: 0 is the main one, positive ones lie above.

    Returns
    -------
    Array or Value
        Of x's shape and dtype.

    Raises
    ------
    ShapeError
        x has less than two dimensions.

    Examples
    --------
    >>> import tensord
    >>> tensord.tril([[1, 2], [3, 4]]).tolist()
    [[1, 0], [3, 4]]
    """
    return call("tril", (x,), {"k": diagonal_of(k)})


def triu(x: ArrayLike, /, *, k: int = 0) -> Array:
    """On and above a diagonal of the last two axes the array, else zero; see `tril`.

    Returns
    -------
    Array or Value
        Of x's shape and dtype.

    Examples
    --------
    >>> import tensord
    >>> tensord.triu([[1, 2], [3, 4]], k=1).tolist()
    [[0, 2], [0, 0]]
    """
    return call("triu", (x,), {"k": diagonal_of(k)})


def diff(
    x: ArrayLike,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
) -> Array:
    """Differences of neighbours along an axis; of bool: whether they differ.

    Parameters
    ----------
    x : array_like or Value
    axis : int
    n : int
        How many times differences are taken.
    prepend, append : array_like, Value or number, optional
        Put before and behind x first.

    Returns
    -------
    Array or Value
        Shorter by n along the axis.

    Raises
    ------
    AxisError
    ValueRefused
        n is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.diff([1, 4, 9, 16]).tolist()
    [3, 5, 7]
    >>> tensord.diff([1, 4, 9, 16], prepend=0).tolist()
    [1, 3, 5, 7]
    """
    x = array_of(x)
    axis = axis_of("diff", axis, x.ndim)
    n = operator.index(n)
    if n < 0:
        raise error("bad_value", f"diff: {n} times is less than none")
    if n == 0:
        return x._copy()
    ends = [as_operand(part, x._number) for part in (prepend, append) if part is not None]
    if not ends and n == 1:
        return _differences(x, axis)

    def build(x: Array, *around: Array) -> Array:
        ends = [_as_end(part, x, axis) for part in around]
        before = ends[:1] if prepend is not None else []
        behind = ends[len(before) :]
        if ends:
            x = concat([*before, x, *behind], axis=axis)
        for _ in range(n):
            x = _differences(x, axis)
        return x

    return compose(build, x, *ends)


def _as_end(part: Array, x: Array, axis: int) -> Array:
    if part.shape:
        return part
    return part._broadcast(x.shape[:axis] + (1,) + x.shape[axis + 1 :])


def _differences(x: Array, axis: int) -> Array:
    later, earlier = x[_key(x.ndim, axis, slice(1, None))], x[_key(x.ndim, axis, slice(None, -1))]
    return (not_equal if x.dtype.kind == "b" else subtract)(later, earlier)
