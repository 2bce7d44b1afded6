# SPDX-License-Identifier: MIT
"""Linear algebra, computed in the daemon: the linalg extension of the array API standard, and more.

All functions take stacks of matrices, in the last two dimensions. Integers and bool compute as
float64. What can fail on its data raises `LinAlgError`, which names the matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._errors import error
from ._functions import call, call_several, matmul
from ._matrices import (
    diagonal,
    matrix_power,
    matrix_rank,
    matrix_transpose,
    pinv,
    trace,
)
from ._norms import matrix_norm, vector_norm
from ._products import cross, outer, tensordot, vecdot

if TYPE_CHECKING:
    from typing import Literal

    from ._array import Array
    from ._given_numpy import multi_dot, norm
    from ._types import ArrayLike


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

    Returns
    -------
    Array or Value
        Of x2's shape, but that leading dimensions broadcast.

    Raises
    ------
    LinAlgError
        ``x1`` is singular; the message says which matrix of a stack.
    ShapeError
        x1 is not square, or x2 has other rows.

    Notes
    -----
    LU factors with partial pivoting (LAPACK getrf).

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [6.0, 8.0])
    Array([3., 2.], shape=(2,), dtype=float64, 16 bytes)
    >>> tensord.linalg.solve([[1.0, 2.0], [2.0, 4.0]], [1.0, 1.0])
    Traceback (most recent call last):
        ...
    tensord.LinAlgError: solve: the 2 x 2 matrix is singular: pivot 2 is zero
    """
    return call("solve", (x1, x2))


def inv(x: ArrayLike, /) -> Array:
    """The inverse of a matrix.

    Parameters
    ----------
    x : (..., n, n) array_like or Value

    Returns
    -------
    (..., n, n) Array or Value

    Raises
    ------
    LinAlgError
        ``x`` is singular.
    ShapeError
        It is not square.

    Notes
    -----
    LU factors with partial pivoting (LAPACK getrf and getri). For systems, `solve` takes fewer
    steps and is more exact.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.inv([[2.0, 1.0], [1.0, 1.0]])
    Array([[ 1., -1.],
           [-1.,  2.]], shape=(2, 2), dtype=float64, 32 bytes)
    """
    return call("inv", (x,))


def det(x: ArrayLike, /) -> Array:
    """The determinant; 0 of a singular matrix.

    Parameters
    ----------
    x : (..., n, n) array_like or Value

    Returns
    -------
    (...) Array or Value

    Raises
    ------
    ShapeError
        x is not square.

    Notes
    -----
    The product of the pivots of LU factors (LAPACK getrf), which may overflow; see `slogdet`.

    Examples
    --------
    >>> import tensord
    >>> float(tensord.linalg.det([[2.0, 1.0], [0.0, 4.0]]))
    8.0
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

    Raises
    ------
    ShapeError
        x is not square.

    Notes
    -----
    The pivots of LU factors (LAPACK getrf), their logarithms added.

    Examples
    --------
    >>> import tensord
    >>> sign, logabsdet = tensord.linalg.slogdet([[0.0, 1.0], [1.0, 0.0]])
    >>> float(sign), float(logabsdet)
    (-1.0, 0.0)
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

    Notes
    -----
    By QR and singular values (LAPACK geqrf, gelsd). Real problems of full rank are refined with
    residuals in extended precision: A. Bjorck, "Iterative refinement of linear least squares
    solutions I", BIT 7 (1967).

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

    Returns
    -------
    (..., n, n) Array or Value

    Raises
    ------
    LinAlgError
        ``x`` is not positive definite.
    ShapeError
        It is not square.

    Notes
    -----
    LAPACK potrf.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]])
    Array([[2., 0.],
           [1., 2.]], shape=(2, 2), dtype=float64, 32 bytes)
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
        ``Q`` (..., m, k) and ``R`` (..., k, n), where k is min(m, n), or m if complete.

    Raises
    ------
    ArgumentError
        There is no such mode.
    ShapeError
        x has less than two dimensions.

    Notes
    -----
    Householder reflections (LAPACK geqrf, then orgqr or ungqr). Signs are as they come: the
    diagonal of R may be negative.

    Examples
    --------
    >>> import tensord
    >>> q, r = tensord.linalg.qr([[3.0, 5.0], [4.0, 0.0]])
    >>> (q @ r).round().tolist()
    [[3.0, 5.0], [4.0, 0.0]]
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

    Raises
    ------
    ShapeError
        x has less than two dimensions.

    Notes
    -----
    LAPACK getrf.

    Examples
    --------
    >>> import tensord
    >>> factors = tensord.linalg.lu([[1.0, 2.0], [4.0, 4.0]])
    >>> factors.lu.tolist(), factors.pivots.tolist()
    ([[4.0, 4.0], [0.25, 1.0]], [1, 1])
    """
    return LUResult(*call_several("lu", (x,)))


def lu_solve(factors: LUResult, x2: ArrayLike, /) -> Array:
    """x with a @ x = x2, from the factors of a: factor once, solve many times.

    Parameters
    ----------
    factors : LUResult
        ``lu(a)``.
    x2 : (n,) or (..., n, k) array_like or Value

    Returns
    -------
    Array or Value
        As of `solve`.

    Raises
    ------
    LinAlgError
        ``a`` is singular.
    ShapeError
        It is not square, or x2 has other rows.

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
        ``U``, ``S`` (real, in descending order) and ``Vh``.

    Raises
    ------
    LinAlgError
        It did not converge, or x has NaN or infinite elements.
    ShapeError
        x has less than two dimensions.

    Notes
    -----
    Divide and conquer (LAPACK gesdd).

    Examples
    --------
    >>> import tensord
    >>> u, s, vh = tensord.linalg.svd([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    >>> s
    Array([3., 2.], shape=(2,), dtype=float64, 16 bytes)
    >>> u.shape, vh.shape
    ((3, 3), (2, 2))
    """
    return SVDResult(*call_several("svd", (x,), {"full_matrices": bool(full_matrices)}))


def svdvals(x: ArrayLike, /) -> Array:
    """Singular values, in descending order; see `svd`.

    Returns
    -------
    (..., min(m, n)) Array or Value
        Real.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.svdvals([[0.0, 2.0], [3.0, 0.0]])
    Array([3., 2.], shape=(2,), dtype=float64, 16 bytes)
    """
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
    ShapeError
        x is not square.

    Notes
    -----
    Divide and conquer (LAPACK syevd, heevd).

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.eigh([[3.0, 0.0], [0.0, 2.0]]).eigenvalues
    Array([2., 3.], shape=(2,), dtype=float64, 16 bytes)
    """
    return EighResult(*call_several("eigh", (x,)))


def eigvalsh(x: ArrayLike, /) -> Array:
    """Eigenvalues, in ascending order, of a symmetric or Hermitian matrix; see `eigh`.

    Returns
    -------
    (..., n) Array or Value
        Real.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.eigvalsh([[3.0, 0.0], [0.0, 2.0]])
    Array([2., 3.], shape=(2,), dtype=float64, 16 bytes)
    """
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
    ShapeError
        x is not square.

    Notes
    -----
    The QR algorithm (LAPACK geev); eigenvalues come in no order.

    Examples
    --------
    >>> import tensord
    >>> values, vectors = tensord.linalg.eig([[2.0, 1.0], [0.0, 3.0]])
    >>> values
    Array([2.+0.j, 3.+0.j], shape=(2,), dtype=complex128, 32 bytes)
    >>> vectors[:, 0]
    Array([1.+0.j, 0.+0.j], shape=(2,), dtype=complex128, 32 bytes)
    """
    return EigResult(*call_several("eig", (x,)))


def eigvals(x: ArrayLike, /) -> Array:
    """Eigenvalues, complex; see `eig`.

    Returns
    -------
    (..., n) Array or Value
        Complex.

    Examples
    --------
    >>> import tensord
    >>> tensord.linalg.eigvals([[0.0, -1.0], [1.0, 0.0]]).imag
    Array([ 1., -1.], shape=(2,), dtype=float64, 16 bytes)
    """
    return call("eigvals", (x,))


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
    "multi_dot",
    "norm",
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
