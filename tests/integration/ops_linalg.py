# SPDX-License-Identifier: MIT
"""Rows of the table of operations: linear algebra.

Factors are not unique, so what they must satisfy is compared. Integers and bool compute as float64.
A single matrix whose rows are one row, broadcast, is singular, and that is a typed error.
"""

import numpy
from ops_kit import ALL, BOOL, COMPLEX, FLOATING, NUMERIC, Row

import tensord
from tensord import linalg

SQUARES = [(0, 0), (1, 1), (3, 3), (2, 0, 0), (0, 3, 3), (2, 3, 4, 4), (40, 40),
           (1600, 8, 8)]
RECTANGLES = [(0, 0), (1, 1), (0, 3), (3, 0), (2, 0, 4), (0, 2, 3), (3, 5), (5, 3), (2, 3, 4),
              (300, 21, 17)]
SMALL = [*RECTANGLES[:-1], (20, 21, 17)]
UNITS = 64  # of the largest element of a result, in the last place


# ---- what is wanted ----


def floating(x):
    """As the daemon computes it."""
    return x if x.dtype.kind in "fc" else x.astype("float64")


def wide(x):
    return x.astype("complex128" if x.dtype.kind == "c" else "float64")


def adjoint(x):
    return numpy.conj(x.swapaxes(-1, -2))


def real_of(x):
    return floating(x).real.dtype


def complex_of(x):
    return numpy.result_type(floating(x), "complex64")


def by_numpy(function, dtype=lambda x: floating(x).dtype):
    """numpy's function in double, and its errors as ours."""

    def expected(x, *more, **keywords):
        try:
            result = function(wide(x), *map(wide, more), **keywords)
        except numpy.linalg.LinAlgError:
            return tensord.LinAlgError
        except ValueError:
            return tensord.ValueRefused
        return numpy.asarray(result).astype(dtype(x))

    return expected


def eyes(x, n):
    return numpy.broadcast_to(numpy.eye(n, dtype=floating(x).dtype), (*x.shape[:-2], n, n))


def hermitian(x):
    """What eigh and cholesky read: the lower triangle, of its diagonal the real part."""
    x = floating(x)
    lower, n = numpy.tril(x, -1), x.shape[-1]
    return lower + adjoint(lower) + x.real * numpy.eye(n, dtype=x.real.dtype)


# ---- systems ----


def slogdet(x):
    sign, logarithm = numpy.linalg.slogdet(wide(x))
    return sign.astype(floating(x).dtype), logarithm.astype(real_of(x))


def rebuilt(x):
    """The product of the factors of lu, its rows back in place."""
    packed, pivots = map(numpy.asarray, linalg.lu(x))
    m, n = packed.shape[-2:]
    k = min(m, n)
    assert (pivots.dtype, pivots.shape) == ("int64", (*packed.shape[:-2], k))
    lower = numpy.tril(packed, -1)[..., :k] + numpy.eye(m, k, dtype=packed.dtype)
    product = lower @ numpy.triu(packed)[..., :k, :]
    stack = product.reshape(int(numpy.prod(packed.shape[:-2])), m, n)
    for matrix, rows in zip(stack, pivots.reshape(len(stack), k)):
        for i in reversed(range(k)):
            matrix[[i, rows[i]]] = matrix[[rows[i], i]]
    return stack.reshape(packed.shape)


def call_lstsq(x, y):
    fit = linalg.lstsq(x, y)
    return fit.x, fit.rank, fit.singular_values


def lstsq(x, y):
    """By the pseudo-inverse, as far as the dtype tells singular values from 0."""
    cut = max(x.shape[-2:]) * float(numpy.finfo(real_of(x)).eps)
    if 0 in x.shape:
        s = numpy.zeros((*x.shape[:-2], min(x.shape[-2:])))
        solution = numpy.zeros((*x.shape[:-2], x.shape[-1], y.shape[-1]))
    else:
        s = numpy.linalg.svd(wide(x), compute_uv=False)
        solution = numpy.linalg.pinv(wide(x), cut) @ wide(y)
    rank = (s > cut * s.max(axis=-1, initial=0, keepdims=True)).sum(axis=-1)
    return solution.astype(floating(x).dtype), rank.astype("int64"), s.astype(real_of(x))


# ---- factors ----


def call_cholesky(x, upper):
    factor = numpy.asarray(linalg.cholesky(x, upper=upper))
    lower = adjoint(factor) if upper else factor
    return lower @ adjoint(lower), numpy.triu(lower, 1)


def cholesky(x, upper):
    try:
        numpy.linalg.cholesky(wide(hermitian(x)))
    except numpy.linalg.LinAlgError:
        return tensord.LinAlgError
    return hermitian(x), numpy.zeros_like(floating(x))


def call_qr(x, mode):
    q, r = map(numpy.asarray, linalg.qr(x, mode=mode))
    return q @ r, adjoint(q) @ q, numpy.tril(r, -1)


def qr(x, mode):
    m, n = x.shape[-2:]
    k = m if mode == "complete" else min(m, n)
    below = numpy.zeros((*x.shape[:-2], k, n), floating(x).dtype)
    return floating(x), eyes(x, k), below


def call_svd(x, full_matrices):
    u, s, vh = map(numpy.asarray, linalg.svd(x, full_matrices=full_matrices))
    k = s.shape[-1]
    product = (u[..., :k] * s[..., None, :]) @ vh[..., :k, :]
    return product, adjoint(u) @ u, vh @ adjoint(vh), s


def svd(x, full_matrices):
    m, n = x.shape[-2:]
    k = min(m, n)
    return (
        floating(x),
        eyes(x, m if full_matrices else k),
        eyes(x, n if full_matrices else k),
        svdvals(x),
    )


def svdvals(x):
    return numpy.linalg.svd(wide(x), compute_uv=False).astype(real_of(x))


def call_eigh(x):
    w, v = map(numpy.asarray, linalg.eigh(x))
    return (v * w[..., None, :]) @ adjoint(v), adjoint(v) @ v, w


def eigvalsh(x):
    return numpy.linalg.eigvalsh(wide(hermitian(x))).astype(real_of(x))


def eigh(x):
    return hermitian(x), eyes(x, x.shape[-1]), eigvalsh(x)


def power_sums(w):
    return w.sum(axis=-1), (w * w).sum(axis=-1)


def wanted_sums(x):
    traces = (numpy.trace(y, axis1=-2, axis2=-1) for y in (wide(x), wide(x) @ wide(x)))
    return tuple(trace.astype(complex_of(x)) for trace in traces)


def call_eig(x):
    w, v = map(numpy.asarray, linalg.eig(x))
    norms = (numpy.abs(v) ** 2).sum(axis=-2)
    return (*power_sums(w), numpy.asarray(x) @ v - v * w[..., None, :], norms)


def eig(x):
    nothing = numpy.zeros(x.shape, numpy.result_type(x, complex_of(x)))
    return (*wanted_sums(x), nothing, numpy.ones(x.shape[:-1], real_of(x)))


# ---- by singular values, and compositions ----


def cutoff(x):
    return max(x.shape[-2:]) * float(numpy.finfo(real_of(x)).eps)


def pinv(x):
    if 0 in x.shape:
        return adjoint(floating(x))
    return numpy.linalg.pinv(wide(x), cutoff(x)).astype(floating(x).dtype)


def matrix_rank(x):
    s = numpy.linalg.svd(wide(x), compute_uv=False)
    largest = s.max(axis=-1, initial=0, keepdims=True)
    return (s > cutoff(x) * largest).sum(axis=-1)


def matrix_norms(shape):
    return [{"ord": ord_, "keepdims": ord_ in ("fro", -2, 1)}
            for ord_ in ("fro", "nuc", 1, -1, 2, -2, numpy.inf, -numpy.inf)]


def matrix_norm(x, ord, keepdims):
    if ord in (1, 2, numpy.inf) and x.size == 0:  # numpy 1.24 refuses the largest of nothing
        ord = "fro"
    return numpy.linalg.norm(x, ord, (-2, -1), keepdims)


def vector_norms(shape):
    axes = [None, *range(-len(shape), len(shape)), *([(0, 1)] if len(shape) > 1 else [])]
    orders = (2, 1, 0, 3, -1.5, numpy.inf, -numpy.inf)
    if 300 in shape:
        axes, orders = [None, 0, -1], (2, 0, numpy.inf)
    return [{"ord": ord_, "axis": axis, "keepdims": keep}
            for ord_ in orders
            for axis, keep in zip(axes, [False, True] * len(axes))]


def vector_norm(x, ord, axis, keepdims):
    size = numpy.abs(x)
    if abs(ord) == numpy.inf:
        if ord > 0:  # NumPy 2.4 says so, too: the largest of nothing is 0
            return size.max(axis=axis, keepdims=keepdims, initial=0)
        return size.min(axis=axis, keepdims=keepdims)
    if ord == 0:
        return (size != 0).sum(axis=axis, keepdims=keepdims)
    return (size**ord).sum(axis=axis, keepdims=keepdims) ** (1 / ord)


def powers(shape):
    return [{"n": n} for n in (0, 1, 2, 3, 7, -1, -2)]


def matrix_power(x, n):
    try:
        return numpy.linalg.matrix_power(floating(x) if n < 0 else x, n)
    except numpy.linalg.LinAlgError:
        return tensord.LinAlgError


def offsets(shape):
    return [{"offset": k} for k in (0, 1, -1, 2, -1000, 1000)]


def diagonal(x, offset):
    return numpy.diagonal(x, offset, -2, -1)


def trace(x, offset):
    line = diagonal(x, offset)
    return line.sum(axis=-1, dtype={"b": "int64", "i": "int64", "u": "uint64"}.get(x.dtype.kind))


# ---- products ----


def axes(shape):
    return [{"axis": axis} for axis in range(-len(shape), 0)]


def vecdot(x, y, axis):
    return numpy.asarray((numpy.conj(x) * y).sum(axis=axis)).astype(x.dtype)


def contractions(shape):
    n = len(shape)
    found = [{"axes": n}, {"axes": (list(range(n)), list(range(n)))}]
    if n:
        found += [{"axes": ([-1], [-1])}, {"axes": ([0], [0])}]
    return found + ([{"axes": 0}] if n < 2 else [])


def subscripts(shape):
    word = "ijkl"[: len(shape)]
    found = [f"{word},{word}->", f"{word},{word}->{word}", f"{word},{word}", "...,...->..."]
    if word:
        found += ["...z,...z->...", "z...,z...", f"{word},{word}->{word[::-1]}",
                  f"{word},{word[:-1]}z->{word[:-1]}z"]
    return [{"text": text} for text in found]


def einsum(x, y, text):
    return numpy.asarray(numpy.einsum(text, x, y)).astype(x.dtype)


def last_two(x):
    return x if x.ndim < 2 else x.mT if isinstance(x, tensord.Array) else x.swapaxes(-1, -2)


def factors(name, expected, call=None, dtypes=ALL, domain="unit", shapes=RECTANGLES, ulp=UNITS,
            **more):
    """A row whose results are compared as matrices."""
    given = (domain,) if isinstance(domain, str) else domain
    return Row(f"linalg.{name}", dtypes, expected, given, ulp, call=call, shapes=shapes,
               is_joint=True, **more)


def square(name, expected, call=None, domain="dominant", **more):
    return factors(name, expected, call, domain=domain, shapes=SQUARES, **more)


def product(name, expected, shapes=SMALL, dtypes=ALL, **more):
    return factors(name, expected, dtypes=dtypes, domain=("unit", "unit"), shapes=shapes, **more)


def fails(name, call=None):
    return factors(name, lambda x: tensord.LinAlgError, call, FLOATING, "not_finite",
                   [(1, 1), (3, 3), (2, 3, 3), (70, 70)])


ROWS = [
    square("inv", by_numpy(numpy.linalg.inv)),
    square("solve", by_numpy(numpy.linalg.solve), domain=("dominant", "unit")),
    square("det", by_numpy(numpy.linalg.det), ulp=4 * UNITS),
    square("slogdet", slogdet),
    factors("lu", lambda x: floating(x), rebuilt),
    square("lu_solve", by_numpy(numpy.linalg.solve), lambda x, y: linalg.lu_solve(linalg.lu(x), y),
           domain=("dominant", "unit")),
    factors("lstsq", lstsq, call_lstsq, domain=("unit", "unit"), ulp=2000,
            shapes=[*SMALL, (80, 50)]),
    square("cholesky", cholesky, call_cholesky, domain="definite",
           options=lambda shape: [{"upper": False}, {"upper": True}]),
    factors("qr", qr, call_qr,
            options=lambda shape: [{"mode": "reduced"}, {"mode": "complete"}]),
    factors("svd", svd, call_svd, shapes=SMALL,
            options=lambda shape: [{"full_matrices": False}, {"full_matrices": True}]),
    factors("svdvals", svdvals),
    square("eigh", eigh, call_eigh, domain="definite"),
    square("eigvalsh", eigvalsh, domain="definite"),
    square("eig", eig, call_eig, ulp=100 * UNITS),
    square("eigvals", wanted_sums, lambda x: power_sums(numpy.asarray(linalg.eigvals(x)))),
    factors("pinv", pinv, ulp=2000, shapes=SMALL),
    factors("matrix_rank", matrix_rank),
    factors("matrix_norm", by_numpy(matrix_norm, real_of), options=matrix_norms, shapes=SMALL),
    factors("vector_norm", by_numpy(vector_norm, real_of), options=vector_norms, domain="positive",
            shapes=[(), (0,), (1,), (3,), (0, 3), (2, 0, 4), (2, 3, 4), (300, 401)]),
    factors("matrix_power", matrix_power, lambda x, n: linalg.matrix_power(x, n), options=powers,
            domain="dominant", shapes=[*SQUARES[:-2], (30, 8, 8)]),
    factors("matrix_transpose", lambda x: x.swapaxes(-1, -2)),
    factors("diagonal", diagonal, options=offsets),
    factors("trace", trace, options=offsets),
    product("cross", numpy.cross, [(3,), (0, 3), (1, 3), (2, 4, 3), (34000, 3)], NUMERIC),
    product("outer", numpy.outer, [(0,), (1,), (3,), (330,)]),
    product("vecdot", vecdot, [(3,), (0,), (0, 3), (2, 0, 4), (2, 3, 4), (300, 401)],
            options=axes),
    product("tensordot", numpy.tensordot, [(), (0,), (3,), (0, 3), (2, 0, 4), (2, 3, 4), (90, 70)],
            options=contractions),
    product("matmul", lambda x, y: numpy.matmul(x, last_two(y)),
            [(0,), (1,), (3,), (0, 3), (3, 0), (2, 0, 4), (2, 3, 4), (70, 80), (40, 50, 51)],
            call=lambda x, y: linalg.matmul(x, last_two(y))),
    Row("einsum", ALL, einsum, ("unit", "unit"), UNITS, subscripts,
        lambda x, y, text: tensord.einsum(text, x, y), is_joint=True,
        shapes=[(), (0,), (1,), (3,), (0, 3), (2, 0, 4), (2, 3, 4), (90, 70)]),
]
ROWS += [
    fails(name) for name in ("svd", "svdvals", "eigh", "eigvalsh", "eig", "eigvals", "pinv",
                             "matrix_rank")
]
ROWS += [
    factors(name, lambda x: tensord.ShapeError, dtypes=BOOL + COMPLEX,
            shapes=[(), (3,), (2, 3), (4, 2, 3)])
    for name in ("inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals")
]
