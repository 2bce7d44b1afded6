# SPDX-License-Identifier: MIT
"""Linear algebra, computed in the daemon (LAPACK)."""

import collections

from ._functions import call

LstsqResult = collections.namedtuple("LstsqResult", "x residuals rank singular_values")
LstsqResult.__doc__ = "What `lstsq` yields: x, residuals, rank, singular_values, as tensors."


def solve(a, b):
    """x with a @ x = b.

    Parameters
    ----------
    a : (..., n, n) Tensor, Value or array_like
        Of full rank.
    b : (n,) or (..., n, k) Tensor, Value or array_like

    Raises
    ------
    LinAlgError
        ``a`` is singular.
    ShapeError

    Notes
    -----
    LU factors with partial pivoting (LAPACK gesv).
    """
    return call("solve", (a, b))


def lstsq(a, b, rcond=None):
    """The x of smallest norm that minimises the norm of a @ x - b.

    Parameters
    ----------
    a : (m, n) Tensor, Value or array_like
    b : (m,) or (m, k) Tensor, Value or array_like
    rcond : float, optional
        Singular values below rcond times the largest count as 0; max(m, n) times the machine
        epsilon where it is left out.

    Returns
    -------
    LstsqResult
        ``x``; sums of squared ``residuals``, one for each column of b, whatever the rank (numpy
        leaves them out where it is not full); ``rank`` (0-d, int64); ``singular_values`` of a, in
        descending order.

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
    return LstsqResult(*call("lstsq", (a, b), {} if rcond is None else {"rcond": float(rcond)}))


def cholesky(x, upper=False):
    """The factor L, lower triangular, with L @ L.T = x.

    Parameters
    ----------
    x : (..., n, n) Tensor, Value or array_like
        Symmetric and positive definite; one triangle is read.
    upper : bool
        Return L.T instead.

    Raises
    ------
    LinAlgError
        ``x`` is not positive definite.
    ShapeError
    """
    return call("cholesky", (x,), {"upper": True} if upper else {})
