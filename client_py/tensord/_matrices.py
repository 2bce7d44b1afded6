# SPDX-License-Identifier: MIT
"""Linear algebra that is composed of other operations: by singular values, of diagonals, powers."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ._array import Array, array_of, compute
from ._compose import compose
from ._errors import error
from ._functions import call, call_several, matmul
from ._graph import Value, apply
from ._operands import as_operand
from ._products import diagonal_of
from ._statistical import sum as _sum

if TYPE_CHECKING:
    from typing import Any

    from ._types import ArrayLike, DTypeLike

# ---- by singular values ----


def _default_rtol(s: Array, m: int, n: int) -> float:
    return max(m, n) * 2.0 ** (-23 if s.dtype.itemsize == 4 else -52)


def _cutoff(s: Array, rtol: ArrayLike | None, m: int, n: int) -> Array:
    largest = s.max(axis=-1, keepdims=True)
    if rtol is None:
        return largest * _default_rtol(s, m, n)
    of_each = as_operand(rtol, s._number)
    if of_each.shape:
        return largest * array_of(of_each)[..., None]
    return call("multiply", (largest, of_each))


def _matrix(op: str, x: Array) -> tuple[int, int]:
    if x.ndim < 2:
        raise error("shape_mismatch", f"{op}: shape {x.shape} is not that of a matrix")
    return x.shape[-2], x.shape[-1]


def pinv(x: ArrayLike, /, *, rtol: ArrayLike | None = None) -> Array:
    """The pseudo-inverse (Moore-Penrose), by singular values.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    rtol : float, optional
        Singular values up to rtol times the largest count as 0; max(m, n) times the machine
        epsilon where it is left out.

    Returns
    -------
    (..., n, m) Array or Value

    Raises
    ------
    LinAlgError
        It did not converge, or x has NaN or infinite elements.
    ShapeError
        x has less than two dimensions.

    Notes
    -----
    By `svd`.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.pinv([[1.0, 1.0], [1.0, 1.0]])
    Array([[0.25, 0.25],
           [0.25, 0.25]], shape=(2, 2), dtype=float64, 32 bytes)
    """

    def function(x: Array) -> Array:
        m, n = _matrix("pinv", x)
        if 0 in (m, n):
            return _adjoint(x) if x.dtype.kind in "fc" else _adjoint(x).astype("float64")
        u, s, vh = call_several("svd", (x,), {"full_matrices": False})
        is_large = s > _cutoff(s, rtol, m, n)
        inverse = call("where", (is_large, 1 / s, as_operand(0.0, s._number)))
        return matmul(_adjoint(vh) * inverse[..., None, :], _adjoint(u))

    return compose(function, x)


def _adjoint(x: Array) -> Array:
    """The conjugate transpose of a value."""
    return call("conj", (x.mT,)) if x.dtype.kind == "c" else x.mT


def matrix_rank(x: ArrayLike, /, *, rtol: ArrayLike | None = None) -> Array:
    """How many singular values are more than rtol times the largest; int64.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    rtol : float or (...) array_like, optional
        max(m, n) times the machine epsilon where it is left out.

    Returns
    -------
    (...) Array or Value
        int64.

    Raises
    ------
    LinAlgError
        It did not converge, or x has NaN or infinite elements.
    ShapeError
        x has less than two dimensions.

    Notes
    -----
    By `svdvals`.

    Examples
    --------
    >>> import tensord
    >>> int(tensord.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
    1
    """

    def function(x: Array) -> Array:
        m, n = _matrix("matrix_rank", x)
        s = call("svdvals", (x,))
        if 0 in (m, n):
            return s.sum(axis=-1).astype("int64")
        return (s > _cutoff(s, rtol, m, n)).sum(axis=-1)

    return compose(function, x)


# ---- what is made of others ----


def matrix_transpose(x: ArrayLike, /) -> Array:
    """The last two axes exchanged; a view of a tensor.

    Parameters
    ----------
    x : (..., m, n) array_like or Value

    Returns
    -------
    (..., n, m) Array or Value

    Raises
    ------
    ShapeError
        x has less than two axes.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.matrix_transpose([[1, 2, 3], [4, 5, 6]]).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    x = array_of(x)
    _matrix("matrix_transpose", x)
    return x.mT


def diagonal(x: ArrayLike, /, *, offset: int = 0) -> Array:
    """A diagonal of the last two axes; a view of a tensor.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    offset : int
        0 is the main diagonal, positive ones lie above.

    Returns
    -------
    (..., k) Array or Value

    Raises
    ------
    ShapeError
        x has less than two axes.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.diagonal([[1, 2, 3], [4, 5, 6]], offset=1).tolist()
    [2, 6]
    """
    array, offset = array_of(x), operator.index(offset)
    m, n = _matrix("diagonal", array)
    if isinstance(x, Value):
        return diagonal_of(array, offset)
    count = max(min(m, n - offset) if offset >= 0 else min(m + offset, n), 0)
    return array._diagonal(offset, count, diagonal_of)


def trace(x: ArrayLike, /, *, offset: int = 0, dtype: DTypeLike | None = None) -> Array:
    """Sum of a diagonal of the last two axes.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    offset : int
        0 is the main diagonal, positive ones lie above.
    dtype : str or numpy.dtype, optional
        Of the result; that of `sum` where it is left out.

    Returns
    -------
    (...) Array or Value

    Raises
    ------
    ShapeError
        x has less than two axes.

    Examples
    --------
    >>> import tensord
    >>> int(tensord.linalg.trace([[1, 2], [3, 4]]))
    5
    """
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def matrix_power(x: ArrayLike, n: int, /) -> Array:
    """x multiplied by itself n times; of negative n the inverse is.

    Parameters
    ----------
    x : (..., m, m) array_like or Value
    n : int

    Returns
    -------
    (..., m, m) Array or Value

    Raises
    ------
    LinAlgError
        n is negative, and x singular.
    ShapeError
        x is not square.

    Notes
    -----
    Repeated squaring: about 2 * log2(n) products.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.matrix_power([[1, 1], [1, 0]], 10).tolist()
    [[89, 55], [55, 34]]
    """
    n = operator.index(n)

    def function(x: Any) -> Array:
        rows, columns = _matrix("matrix_power", x)
        if rows != columns:
            raise error(
                "shape_mismatch",
                f"matrix_power: shape {x.shape} is not that of a square matrix",
            )
        if n == 0:
            attrs = {"shape": (rows, rows), "dtype": x._number, "k": 0}
            if isinstance(x, Value):
                one: Array = apply("eye", (), attrs, beside=(x,))
            else:
                one = compute("eye", (), attrs, x.client)
            return one._broadcast(x.shape)
        power: Array | None = None
        square: Array = call("inv", (x,)) if n < 0 else x
        for i in range(abs(n).bit_length()):
            if i:
                square = matmul(square, square)
            if abs(n) >> i & 1:
                power = square if power is None else matmul(power, square)
        assert power is not None  # some bit is set
        return power

    return compose(function, x)
