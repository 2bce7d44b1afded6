# SPDX-License-Identifier: MIT
"""Products of tensors, as compositions of views, element-wise operations and matmul."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

import numpy

from ._compose import compose
from ._errors import error
from ._functions import call
from ._index import axes_of, axis_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from ._array import Array
    from ._errors import TensordError
    from ._types import ArrayLike, T

    _Axes: TypeAlias = int | tuple[Sequence[int], Sequence[int]]


def _conj(x: Array) -> Array:
    return call("conj", (x,)) if x.dtype.kind == "c" else x


def _shape_error(op: str, x1: Array, x2: Array, why: str) -> TensordError:
    return error("shape_mismatch", f"{op}: shapes {x1.shape} and {x2.shape} do not fit: {why}")


def sum_of_products(x1: Array, x2: Array, axes: Sequence[int]) -> Array:
    """x1 * x2 summed over axes, in the dtype of the product."""
    product = x1 * x2
    if not axes:
        return product
    return product.sum(axis=tuple(axes)).astype(product.dtype)


def diagonal_of(x: T, offset: int) -> T:
    """A diagonal of the last two axes of a value: its elements lie evenly in C order."""
    *lead, m, n = x.shape
    start = offset if offset >= 0 else -offset * n
    count = min(m, n - offset) if offset >= 0 else min(m + offset, n)
    flat = x.reshape((*lead, m * n))
    if count <= 0:
        return flat[..., :0]
    return flat[..., start : start + (count - 1) * (n + 1) + 1 : n + 1]


def vecdot(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Array:
    """Dot product of vectors: sum of conj(x1) * x2 along an axis.

    Parameters
    ----------
    x1, x2 : array_like or Value
        Their shapes broadcast.
    axis : int
        Of the vectors, counted after broadcasting.

    Returns
    -------
    Array or Value
        Of the shape together, without that axis; in the promoted dtype.

    Raises
    ------
    ShapeError
        The vectors have different extents.
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.vecdot([[1, 2], [3, 4]], [10, 1]).tolist()
    [12, 34]
    >>> tensord.vecdot([1j, 2.0], [1j, 2.0]).tolist()
    (5+0j)
    """

    def function(x1: Array, x2: Array) -> Array:
        ndim = max(x1.ndim, x2.ndim)
        place = axis_of("vecdot", axis, ndim)
        at = place - ndim
        if -at > x1.ndim or -at > x2.ndim or x1.shape[at] != x2.shape[at]:
            raise _shape_error("vecdot", x1, x2, f"their extents along axis {at} differ")
        return sum_of_products(_conj(x1), x2, (place,))

    return compose(function, x1, x2)


def tensordot(x1: ArrayLike, x2: ArrayLike, /, *, axes: _Axes = 2) -> Array:
    """Sum of products over several axes.

    Parameters
    ----------
    x1, x2 : array_like or Value
    axes : int, or (axes of x1, axes of x2)
        A number means the last ones of x1 and the first ones of x2.

    Returns
    -------
    Array or Value
        The axes of x1 that are left, then those of x2.

    Raises
    ------
    ShapeError
        Extents of axes that belong together differ.
    AxisError

    Notes
    -----
    One product of matrices, after axes are reordered.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.reshape(tensord.arange(6), (2, 3))
    >>> tensord.tensordot(x, x, axes=2).tolist()
    55
    >>> tensord.tensordot(x, [1, 10], axes=([0], [0])).tolist()
    [30, 41, 52]
    """
    return compose(lambda a, b: _tensordot(a, b, axes), x1, x2)


def _tensordot(x1: Array, x2: Array, axes: _Axes) -> Array:
    axes1, axes2 = _summed_axes(x1, x2, axes)
    summed = [x1.shape[axis] for axis in axes1]
    if summed != [x2.shape[axis] for axis in axes2]:
        raise _shape_error("tensordot", x1, x2, f"axes {(*axes1,)} and {(*axes2,)} differ")
    left1 = [axis for axis in range(x1.ndim) if axis not in axes1]
    left2 = [axis for axis in range(x2.ndim) if axis not in axes2]
    shape = [x1.shape[axis] for axis in left1] + [x2.shape[axis] for axis in left2]
    rows = math.prod(x1.shape[axis] for axis in left1)
    columns = math.prod(x2.shape[axis] for axis in left2)
    a = x1.permute_dims((*left1, *axes1)).reshape(rows, math.prod(summed))
    b = x2.permute_dims((*axes2, *left2)).reshape(math.prod(summed), columns)
    return call("matmul", (a, b)).reshape(tuple(shape))


def _summed_axes(x1: Array, x2: Array, axes: _Axes) -> tuple[Sequence[int], Sequence[int]]:
    if isinstance(axes, (tuple, list)):
        axes1, axes2 = axes
        return axes_of("tensordot", axes1, x1.ndim), axes_of("tensordot", axes2, x2.ndim)
    n = operator.index(axes)
    if not 0 <= n <= min(x1.ndim, x2.ndim):
        raise error("bad_axis", f"tensordot: {n} axes of {x1.ndim} and {x2.ndim} dimensions")
    return range(x1.ndim - n, x1.ndim), range(n)


def outer(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """All products of an element of x1 and one of x2.

    Parameters
    ----------
    x1 : (n,) array_like or Value
    x2 : (m,) array_like or Value

    Returns
    -------
    (n, m) Array or Value

    Raises
    ------
    ShapeError
        One of them is no vector.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.outer([1, 2], [3, 4, 5]).tolist()
    [[3, 4, 5], [6, 8, 10]]
    """

    def function(x1: Array, x2: Array) -> Array:
        if x1.ndim != 1 or x2.ndim != 1:
            raise _shape_error("outer", x1, x2, "two vectors are wanted")
        return x1[:, None] * x2[None, :]

    return compose(function, x1, x2)


def cross(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Array:
    """Cross product of vectors of three elements.

    Parameters
    ----------
    x1, x2 : array_like or Value
        Their shapes broadcast.
    axis : int
        Of the vectors, in both.

    Returns
    -------
    Array or Value
        Of the shape together.

    Raises
    ------
    ShapeError
        The axis has not three elements in each.
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """

    def function(x1: Array, x2: Array) -> Array:
        axis1, axis2 = axis_of("cross", axis, x1.ndim), axis_of("cross", axis, x2.ndim)
        if x1.shape[axis1] != 3 or x2.shape[axis2] != 3:
            raise _shape_error("cross", x1, x2, f"axis {axis} has 3 elements in each")
        at = axis if axis < 0 else axis1 - x1.ndim
        if at != axis2 - x2.ndim:
            raise _shape_error("cross", x1, x2, f"axis {axis} is not the same in both")
        a, b = _last(x1, at), _last(x2, at)
        parts = [
            a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1))
        ]
        index = numpy.arange(3)
        rows = [part[..., None] for part in parts]
        joined = call("where", (index == 0, rows[0], call("where", (index == 1, rows[1], rows[2]))))
        order = list(range(joined.ndim - 1))
        order.insert(joined.ndim + at, joined.ndim - 1)
        return joined.permute_dims(order)

    return compose(function, x1, x2)


def _last(x: Array, axis: int) -> Array:
    order = [i for i in range(x.ndim) if i != x.ndim + axis]
    return x.permute_dims((*order, x.ndim + axis))
