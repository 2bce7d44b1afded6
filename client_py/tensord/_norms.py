# SPDX-License-Identifier: MIT
"""Norms of vectors and matrices, as compositions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._compose import compose
from ._errors import error
from ._functions import call

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from ._array import Array
    from ._types import ArrayLike, Axis

    _Order: TypeAlias = float | Literal["fro", "nuc"]


def _floating(x: Array) -> Array:
    return x if x.dtype.kind in "fc" else x.astype("float64")


def _abs(x: Array) -> Array:
    return call("abs", (x,))


def _sum_of_squares(x: Array, axis: Axis, keepdims: bool) -> Array:
    """Squares of absolute values, without the root that a complex one takes."""
    if x.dtype.kind == "c":
        re, im = call("real", (x,)), call("imag", (x,))
        return (re * re + im * im).sum(axis=axis, keepdims=keepdims)
    return (x * x).sum(axis=axis, keepdims=keepdims)


def _reduced(x: Array, reduce: str, axis: Axis, keepdims: bool) -> Array:
    """Of absolute values; the largest of none is 0, as their sum is."""
    if reduce == "max" and 0 in x.shape:
        reduce = "sum"
    reduced: Array = getattr(x, reduce)(axis=axis, keepdims=keepdims)
    return reduced


def vector_norm(
    x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """Norm of vectors.

    Parameters
    ----------
    x : array_like or Value
    axis : int or tuple of int, optional
        Along which the vectors lie; all axes where it is left out.
    keepdims : bool
        Keep these axes, with extent 1.
    ord : int or float
        The sum of abs(x) ** ord, to the power of 1 / ord. inf: the largest absolute value, 0 of
        nothing; -inf: the smallest; 0: how many are not zero.

    Returns
    -------
    Array or Value
        Real; of x's shape without the axes.

    Raises
    ------
    AxisError
    ValueRefused
        ord is -inf, and there are no elements.

    Notes
    -----
    Sums of squares are not scaled: they overflow where the norm is beyond the root of the dtype's
    largest number.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.vector_norm([[3.0, 4.0], [6.0, 8.0]], axis=1).tolist()
    [5.0, 10.0]
    >>> float(tensord.linalg.vector_norm([3.0, -4.0], ord=1))
    7.0
    """

    def function(x: Array) -> Array:
        x = _floating(x)
        if ord == math.inf:
            return _reduced(_abs(x), "max", axis, keepdims)
        if ord == -math.inf:
            return _abs(x).min(axis=axis, keepdims=keepdims)
        if ord == 0:
            total = (x != 0).sum(axis=axis, keepdims=keepdims)
            return total.astype(_abs(x).dtype)
        if ord == 1:
            return _abs(x).sum(axis=axis, keepdims=keepdims)
        if ord == 2:
            return call("sqrt", (_sum_of_squares(x, axis, keepdims),))
        power = float(ord)
        return (_abs(x) ** power).sum(axis=axis, keepdims=keepdims) ** (1 / power)

    return compose(function, x)


_BY_SUMS: dict[object, tuple[int, str]] = {
    1: (-2, "max"),
    -1: (-2, "min"),
    math.inf: (-1, "max"),
    -math.inf: (-1, "min"),
}


def matrix_norm(x: ArrayLike, /, *, keepdims: bool = False, ord: _Order = "fro") -> Array:
    """Norm of matrices, in the last two dimensions.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    keepdims : bool
        Keep the last two axes, with extent 1.
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        Frobenius: of all elements. Nuclear: the sum of the singular values. 1, -1: the largest or
        smallest sum of absolute values of a column; inf, -inf: of a row; 2, -2: the largest or
        smallest singular value. The largest of none is 0.

    Returns
    -------
    (...) Array or Value
        Real.

    Raises
    ------
    ShapeError
        x has less than two dimensions.
    ArgumentError
        There is no such norm.
    LinAlgError
        Singular values (2, -2, "nuc") as of `svd`.

    Examples
    --------
    >>> import tensord
    >>> x = [[1.0, -2.0], [3.0, 4.0]]
    >>> [float(tensord.linalg.matrix_norm(x, ord=ord)) for ord in (1, float("inf"))]
    [6.0, 7.0]
    >>> round(float(tensord.linalg.matrix_norm(x)) ** 2, 9)
    30.0
    """

    def function(x: Array) -> Array:
        if x.ndim < 2:
            raise error("shape_mismatch", f"matrix_norm: shape {x.shape} is not that of a matrix")
        x = _floating(x)
        if ord == "fro":
            return call("sqrt", (_sum_of_squares(x, (-2, -1), keepdims),))
        if ord in _BY_SUMS:
            axis, reduce = _BY_SUMS[ord]
            total = _abs(x).sum(axis=axis, keepdims=True)
            norm = _reduced(total, reduce, -3 - axis, True)
        elif ord in (2, -2, "nuc"):
            values = call("svdvals", (x,))
            reduce = {2: "max", -2: "min", "nuc": "sum"}[ord]
            norm = _reduced(values, reduce, -1, True)[..., None]
        else:
            raise error("bad_arguments", f"matrix_norm: there is no norm {ord!r}")
        return norm if keepdims else norm.reshape(x.shape[:-2])

    return compose(function, x)
