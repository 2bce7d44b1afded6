# SPDX-License-Identifier: MIT
"""Linear algebra, computed in the daemon: the linalg extension of the array API standard, and more.

All functions take stacks of matrices, in the last two dimensions. Integers and bool compute as
float64. What can fail on its data raises `LinAlgError`, which names the matrix.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple

from ._array import Array, array_of, compute
from ._compose import compose
from ._errors import error
from ._functions import call, call_several, matmul
from ._graph import Value, apply
from ._norms import matrix_norm, vector_norm
from ._operands import as_operand
from ._products import cross, diagonal_of, outer, tensordot, vecdot
from ._statistical import sum as _sum

if TYPE_CHECKING:
    from typing import Any, Literal

    from ._types import ArrayLike, DTypeLike


class QRResult(NamedTuple):
    """What `qr` yields."""

    Q: Array
    R: Array


class LUResult(NamedTuple):
    """What `lu` yields, and `lu_solve` takes."""

    lu: Array
    pivots: Array


class SVDResult(NamedTuple):
    """What `svd` yields."""

    U: Array
    S: Array
    Vh: Array


class EighResult(NamedTuple):
    """What `eigh` yields."""

    eigenvalues: Array
    eigenvectors: Array


class EigResult(NamedTuple):
    """What `eig` yields."""

    eigenvalues: Array
    eigenvectors: Array


class SlogdetResult(NamedTuple):
    """What `slogdet` yields."""

    sign: Array
    logabsdet: Array


class LstsqResult(NamedTuple):
    """What `lstsq` yields."""

    x: Array
    residuals: Array
    rank: Array
    singular_values: Array


# ---- systems ----


def solve(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x with x1 @ x = x2.

    Parameters
    ----------
    x1 : (..., n, n) array_like or Value
        Of full rank.
    x2 : (n,) or (..., n, k) array_like or Value

    Raises
    ------
    LinAlgError
        ``x1`` is singular.
    ShapeError

    Notes
    -----
    LU factors with partial pivoting (LAPACK getrf).
    """
    return call("solve", (x1, x2))


def inv(x: ArrayLike, /) -> Array:
    """The inverse of a matrix.

    Parameters
    ----------
    x : (..., n, n) array_like or Value

    Raises
    ------
    LinAlgError
        ``x`` is singular.
    ShapeError
    """
    return call("inv", (x,))


def det(x: ArrayLike, /) -> Array:
    """The determinant; 0 of a singular matrix.

    Parameters
    ----------
    x : (..., n, n) array_like or Value
    """
    return call("det", (x,))


def slogdet(x: ArrayLike, /) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant.

    Parameters
    ----------
    x : (..., n, n) array_like or Value

    Returns
    -------
    SlogdetResult
        ``sign`` (complex of a complex matrix) and ``logabsdet``; 0 and -inf of a singular matrix.
    """
    return SlogdetResult(*call_several("slogdet", (x,)))


def lstsq(a: ArrayLike, b: ArrayLike, rcond: float | None = None) -> LstsqResult:
    """The x of smallest norm that minimises the norm of a @ x - b.

    Parameters
    ----------
    a : (..., m, n) array_like or Value
    b : (m,) or (..., m, k) array_like or Value
        Leading dimensions broadcast.
    rcond : float, optional
        Singular values below rcond times the largest count as 0; max(m, n) times the machine
        epsilon where it is left out.

    Returns
    -------
    LstsqResult
        ``x``; sums of squared ``residuals``, one for each column of b, whatever the rank (numpy
        leaves them out where it is not full); ``rank`` (int64); ``singular_values`` of a, in
        descending order. One of each for every problem of a stack.

    Raises
    ------
    LinAlgError
        The algorithm did not converge.
    ShapeError

    Examples
    --------
    >>> import tensord
    >>> fit = tensord.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0])
    >>> [round(value, 12) for value in fit.x.tolist()]
    [1.0, 2.0]
    """
    attrs = {} if rcond is None else {"rcond": float(rcond)}
    return LstsqResult(*call_several("lstsq", (a, b), attrs))


# ---- factors ----


def cholesky(x: ArrayLike, /, *, upper: bool = False) -> Array:
    """The factor L, lower triangular, with L @ conj(L.T) = x.

    Parameters
    ----------
    x : (..., n, n) array_like or Value
        Symmetric or Hermitian, and positive definite; one triangle is read.
    upper : bool
        Return conj(L.T) instead.

    Raises
    ------
    LinAlgError
        ``x`` is not positive definite.
    ShapeError
    """
    return call("cholesky", (x,), {"upper": True} if upper else {})


def qr(x: ArrayLike, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Q with orthonormal columns and R, upper triangular, with Q @ R = x.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    mode : {"reduced", "complete"}
        Q has min(m, n) columns, or m.

    Returns
    -------
    QRResult
    """
    if mode not in ("reduced", "complete"):
        raise error("bad_arguments", f"qr: mode is 'reduced' or 'complete', not {mode!r}")
    attrs = {"full_matrices": True} if mode == "complete" else {}
    return QRResult(*call_several("qr", (x,), attrs))


def lu(x: ArrayLike, /) -> LUResult:
    """Factors of a matrix by elimination with partial pivoting, for `lu_solve`.

    Parameters
    ----------
    x : (..., m, n) array_like or Value

    Returns
    -------
    LUResult
        ``lu``: U, and below its diagonal L, whose own diagonal is 1. ``pivots`` (int64): row i was
        exchanged with row pivots[i], one after the other. A singular matrix is no error here.
    """
    return LUResult(*call_several("lu", (x,)))


def lu_solve(factors: LUResult, x2: ArrayLike, /) -> Array:
    """x with a @ x = x2, from the factors of a: factor once, solve many times.

    Parameters
    ----------
    factors : LUResult
        ``lu(a)``.
    x2 : (n,) or (..., n, k) array_like or Value

    Raises
    ------
    LinAlgError
        ``a`` is singular.
    ShapeError

    Examples
    --------
    >>> from tensord import linalg
    >>> factors = linalg.lu([[0.0, 2.0], [4.0, 0.0]])
    >>> linalg.lu_solve(factors, [2.0, 4.0])
    Array([1., 1.], shape=(2,), dtype=float64, 16 bytes)
    """
    return call("lu_solve", (*factors, x2))


def svd(x: ArrayLike, /, *, full_matrices: bool = True) -> SVDResult:
    """Singular value decomposition: x = U @ diag(S) @ Vh.

    Parameters
    ----------
    x : (..., m, n) array_like or Value
    full_matrices : bool
        U is (..., m, m) and Vh (..., n, n), else both have min(m, n) columns, or rows.

    Returns
    -------
    SVDResult
        Singular values in descending order.

    Raises
    ------
    LinAlgError
        It did not converge, or x has NaN or infinite elements.
    """
    return SVDResult(*call_several("svd", (x,), {"full_matrices": bool(full_matrices)}))


def svdvals(x: ArrayLike, /) -> Array:
    """Singular values, in descending order; see `svd`."""
    return call("svdvals", (x,))


def eigh(x: ArrayLike, /) -> EighResult:
    """Eigenvalues and eigenvectors of a symmetric or Hermitian matrix.

    Parameters
    ----------
    x : (..., n, n) array_like or Value
        Its lower triangle is read.

    Returns
    -------
    EighResult
        ``eigenvalues`` (..., n), real and in ascending order; ``eigenvectors`` (..., n, n), as
        columns.

    Raises
    ------
    LinAlgError
        It did not converge, or x has NaN or infinite elements.
    """
    return EighResult(*call_several("eigh", (x,)))


def eigvalsh(x: ArrayLike, /) -> Array:
    """Eigenvalues, in ascending order, of a symmetric or Hermitian matrix; see `eigh`."""
    return call("eigvalsh", (x,))


def eig(x: ArrayLike, /) -> EigResult:
    """Eigenvalues and eigenvectors, complex.

    Parameters
    ----------
    x : (..., n, n) array_like or Value

    Returns
    -------
    EigResult
        ``eigenvalues`` (..., n); ``eigenvectors`` (..., n, n), as columns.

    Raises
    ------
    LinAlgError
        It did not converge, or x has NaN or infinite elements.
    """
    return EigResult(*call_several("eig", (x,)))


def eigvals(x: ArrayLike, /) -> Array:
    """Eigenvalues, complex; see `eig`."""
    return call("eigvals", (x,))


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

    Raises
    ------
    ShapeError
        x has less than two axes.
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
    """
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def matrix_power(x: ArrayLike, n: int, /) -> Array:
    """x multiplied by itself n times; of negative n the inverse is.

    Parameters
    ----------
    x : (..., m, m) array_like or Value
    n : int

    Raises
    ------
    LinAlgError
        n is negative, and x singular.
    ShapeError
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


__all__ = [
    "EigResult",
    "EighResult",
    "LUResult",
    "LstsqResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "lu",
    "lu_solve",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
