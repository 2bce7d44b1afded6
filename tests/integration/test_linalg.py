# SPDX-License-Identifier: MIT
"""The linalg extension against what its results must satisfy, and against numpy."""

import numpy
import pytest

import tensord
from tensord import linalg

DTYPES = ["float32", "float64", "complex64", "complex128", "int64"]
SQUARE = [(0, 0), (1, 1), (3, 3), (40, 40), (2, 0, 0), (5, 3, 3), (2, 3, 4, 4)]
RECTANGLES = [*SQUARE, (3, 5), (5, 3), (0, 3), (3, 0), (2, 30, 7), (2, 7, 30), (4, 1, 6)]
LAYOUTS = ["C", "F", "sliced", "negative"]


def matrices(shape, dtype, seed=0):
    random = numpy.random.default_rng([seed, *shape])
    x = random.standard_normal(shape)
    if numpy.dtype(dtype).kind == "c":
        x = x + 1j * random.standard_normal(shape)
    elif numpy.dtype(dtype).kind == "i":
        x = numpy.round(x * 5)
    return x.astype(dtype)


def laid_out(client, x, layout):
    """A tensor that shows x, but lies otherwise."""
    if layout == "F":
        return client.put(numpy.ascontiguousarray(x.swapaxes(-1, -2))).mT
    if layout == "sliced":
        base = numpy.zeros([2 * n + 1 for n in x.shape], x.dtype)
        part = tuple(slice(1, 2 * n + 1, 2) for n in x.shape)
        base[part] = x
        return client.put(base)[part]
    if layout == "negative":
        back = (slice(None, None, -1),) * x.ndim
        return client.put(numpy.ascontiguousarray(x[back]))[back]
    return client.put(x)


def real_of(dtype):
    return numpy.empty(0, floating(dtype)).real.dtype


def floating(dtype):
    return numpy.dtype("float64" if numpy.dtype(dtype).kind == "i" else dtype)


def close(got, expected, dtype, factor=1.0):
    tolerance = factor * (2e-4 if real_of(dtype) == "float32" else 1e-10)
    got = numpy.asarray(got)
    assert got.shape == numpy.shape(expected)
    numpy.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def adjoint(x):
    return numpy.conj(x.swapaxes(-1, -2))


def definite(shape, dtype):
    x = matrices(shape, floating(dtype))
    return x @ adjoint(x) + 3 * numpy.eye(shape[-1], dtype=floating(dtype))


cases = pytest.mark.parametrize("layout", LAYOUTS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


@dtypes
@cases
def test_square(client, dtype, layout):
    for shape in SQUARE:
        a = matrices(shape, dtype)
        if a.size:
            a = a + (a.dtype.type(6) * numpy.eye(shape[-1])).astype(dtype)
        t = laid_out(client, a, layout)
        wide = a.astype(numpy.result_type(a, "float64"))
        eye = numpy.broadcast_to(numpy.eye(shape[-1]), shape)
        inverse = linalg.inv(t)
        assert inverse.dtype == floating(dtype)
        close(wide @ numpy.asarray(inverse), eye, dtype)
        det = linalg.det(t)
        assert det.dtype == floating(dtype)
        expected = numpy.linalg.det(wide)
        scale = numpy.maximum(numpy.abs(expected), 1)
        close(numpy.asarray(det) / scale, expected / scale, dtype)
        sign, logarithm = linalg.slogdet(t)
        assert (sign.dtype, logarithm.dtype) == (floating(dtype), real_of(dtype))
        for got, want in zip((sign, logarithm), numpy.linalg.slogdet(wide)):
            close(got, want, dtype)
        for n_rhs in (0, 1, 3):
            b = matrices((*shape[:-1], n_rhs), dtype, 1)
            x = linalg.solve(t, laid_out(client, b, layout))
            assert x.dtype == floating(dtype)
            close(wide @ numpy.asarray(x), b, dtype)
        b = matrices(shape[-1:], dtype, 1)
        x = numpy.asarray(linalg.solve(t, b))
        close(wide @ x[..., None], numpy.broadcast_to(b, shape[:-1])[..., None], dtype)


@dtypes
@cases
def test_lu(client, dtype, layout):
    for shape in RECTANGLES:
        a = matrices(shape, dtype)
        factors = linalg.lu(laid_out(client, a, layout))
        packed, pivots = map(numpy.asarray, factors)
        m, n = shape[-2:]
        k = min(m, n)
        assert (packed.shape, pivots.shape) == (shape, (*shape[:-2], k))
        assert (packed.dtype, pivots.dtype) == (floating(dtype), "int64")
        lower = numpy.tril(packed, -1)[..., :, :k] + numpy.eye(m, k)
        product = lower @ numpy.triu(packed)[..., :k, :]
        for index in numpy.ndindex(shape[:-2]):
            matrix, row = product[index], pivots[index]
            for i in reversed(range(k)):
                matrix[[i, row[i]]] = matrix[[row[i], i]]
        close(product, a, dtype)
        if m != n:
            continue
        a = a + (a.dtype.type(9) * numpy.eye(n)).astype(dtype)
        factors = linalg.lu(laid_out(client, a, layout))
        for n_rhs in (1, 4):
            b = matrices((*shape[:-1], n_rhs), dtype, 1)
            x = linalg.lu_solve(factors, laid_out(client, b, layout))
            close(a @ numpy.asarray(x), b, dtype)


def test_lu_solve_refused(client):
    singular = linalg.lu(client.put(numpy.ones((2, 3, 3))))
    with pytest.raises(tensord.LinAlgError, match=r"lu_solve: the 3 x 3 matrix \(0,\)"):
        linalg.lu_solve(singular, numpy.ones(3))
    factors = linalg.lu(client.put(numpy.eye(3)))
    for wrong in ([0, 1, 3], [0, 0, 2], [-1, 1, 2], [2**62, 1, 2]):
        with pytest.raises(tensord.ValueRefused):
            linalg.lu_solve((factors.lu, wrong), numpy.ones(3))
    with pytest.raises(tensord.ShapeError):
        linalg.lu_solve((factors.lu, [0, 1]), numpy.ones(3))
    with pytest.raises(tensord.DtypeError):
        linalg.lu_solve((factors.lu, [0.0, 1.0, 2.0]), numpy.ones(3))


def test_eig_of_a_rotation(client):
    w, v = linalg.eig(client.put([[0.0, -1.0], [1.0, 0.0]]))
    assert sorted(numpy.asarray(w).imag) == [-1.0, 1.0]


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_lstsq_complex(client, dtype):
    for shape in [(8, 3), (3, 8), (5, 5), (200, 40), (0, 3), (3, 0)]:
        for rhs in [(), (2,), (0,)]:
            a, b = matrices(shape, dtype), matrices((shape[0], *rhs), dtype, 1)
            got = linalg.lstsq(client.put(a), client.put(b))
            assert (got.x.dtype, got.residuals.dtype) == (dtype, real_of(dtype))
            assert (got.x.shape, got.residuals.shape) == ((shape[1], *rhs), rhs)
            assert int(got.rank) == min(shape)
            if 0 not in (*shape, *rhs):
                x = numpy.linalg.lstsq(a, b, rcond=None)[0]
                close(got.x, x, dtype, 10)
                residuals = (abs(a @ numpy.asarray(got.x) - b) ** 2).sum(axis=0)
                close(got.residuals, residuals, dtype, 10)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_stacks_of_lstsq(client, dtype):
    """Each problem as if it were alone; a vector, and stacks that broadcast."""
    for shape_a, shape_b in [((3, 1, 6, 2), (4, 6, 3)), ((5, 7, 4), (7,)), ((7, 4), (2, 7, 1)),
                             ((300, 5, 3), (300, 5, 2)), ((0, 5, 3), (5, 2))]:
        a, b = matrices(shape_a, dtype), matrices(shape_b, dtype, 1)
        got = linalg.lstsq(client.put(a), client.put(b))
        n_core = 1 if b.ndim == 1 else 2
        lead = numpy.broadcast_shapes(shape_a[:-2], shape_b[:-n_core])
        a = numpy.broadcast_to(a, lead + shape_a[-2:])
        b = numpy.broadcast_to(b, lead + shape_b[-n_core:])
        rhs = shape_b[-1:] if n_core == 2 else ()
        shapes = [lead + (shape_a[-1], *rhs), lead + rhs, lead, lead + (min(shape_a[-2:]),)]
        assert [part.shape for part in got] == shapes
        for index in numpy.ndindex(lead):
            one = linalg.lstsq(client.put(a[index]), client.put(b[index]))
            for part, of_one in zip(got, one):
                numpy.testing.assert_array_equal(numpy.asarray(part)[index], of_one)
            if sum(index) > 4:
                break
    bad = matrices((3, 5, 2), "float64")
    bad[1, 0, 0] = numpy.nan
    with pytest.raises(tensord.LinAlgError, match=r"lstsq: the 5 x 2 matrix \(1,\) of the stack"):
        linalg.lstsq(client.put(bad), numpy.ones(5))
    with pytest.raises(tensord.ShapeError, match="stacks do not broadcast"):
        linalg.lstsq(client.put(bad), numpy.ones((2, 5, 1)))


# ---- failures ----


@pytest.mark.parametrize("function", [linalg.inv, lambda x: linalg.solve(x, x[..., :1])])
@dtypes
def test_singular(client, function, dtype):
    a = numpy.ones((2, 3, 3), dtype) * numpy.arange(1, 3).reshape(2, 1, 1).astype(dtype)
    a[0] = numpy.eye(3)
    with pytest.raises(tensord.LinAlgError) as caught:
        function(client.put(a))
    assert caught.value.code == "singular"
    assert "the 3 x 3 matrix (1,) of the stack is singular" in str(caught.value)


@dtypes
def test_singular_determinants(client, dtype):
    a = numpy.array([[1, 2], [2, 4]], dtype)
    assert linalg.det(client.put(a)).item() == 0
    sign, logarithm = linalg.slogdet(client.put(a))
    assert (sign.item(), logarithm.item()) == (0, -numpy.inf)


def test_determinants_beyond_the_range(client):
    big, small = numpy.full(300, 1e10), numpy.full(300, 1e-10)
    a = client.put(numpy.diag(numpy.concatenate([big, small])))
    assert abs(linalg.det(a).item() - 1) < 1e-10
    assert linalg.det(client.put(numpy.diag(big))).item() == numpy.inf
    assert linalg.slogdet(client.put(numpy.diag(big))).logabsdet.item() == pytest.approx(
        3000 * numpy.log(10)
    )


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
@pytest.mark.parametrize("name", ["svd", "svdvals", "eigh", "eigvalsh", "eig", "eigvals", "pinv"])
@pytest.mark.parametrize("n", [3, 200])
def test_not_finite(client, name, value, n):
    a = numpy.eye(n) + numpy.ones((n, n))
    a[n - 1, 0] = value
    for dtype in DTYPES[:4]:
        with pytest.raises(tensord.LinAlgError, match=f"the {n} x {n} matrix") as caught:
            getattr(linalg, name)(client.put(a.astype(dtype)))
        assert caught.value.code == "not_converged"


def test_not_definite(client):
    a = numpy.stack([numpy.eye(3), -numpy.eye(3)])
    with pytest.raises(tensord.LinAlgError, match=r"the 3 x 3 matrix \(1,\) of the stack is not"):
        linalg.cholesky(client.put(a))


@pytest.mark.parametrize(
    "name", ["inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals"]
)
def test_shapes_refused(client, name):
    for shape in [(), (3,), (2, 3), (4, 2, 3)]:
        with pytest.raises(tensord.ShapeError, match=f"{name}: shape"):
            getattr(linalg, name)(client.put(numpy.ones(shape)))
    for name in ["qr", "svd", "svdvals", "lu"]:
        with pytest.raises(tensord.ShapeError, match=f"{name}: shape"):
            getattr(linalg, name)(client.put(numpy.ones(3)))


def test_many_small_ones(client):
    """A stack long enough for several threads; which one fails is told the same every time."""
    a = matrices((5000, 8, 8), "float64") + 10 * numpy.eye(8)
    t = client.put(a)
    close(linalg.inv(t), numpy.linalg.inv(a), "float64")
    close(linalg.det(t) / numpy.linalg.det(a), numpy.ones(5000), "float64")
    a[1234] = a[4321] = 0
    t = client.put(a)
    for _ in range(3):
        with pytest.raises(tensord.LinAlgError, match=r"matrix \(1234,\) of the stack"):
            linalg.inv(t)


# ---- compositions ----


def test_norms_refused(client):
    for ord_ in (3, "max"):
        with pytest.raises(tensord.ArgumentError, match="matrix_norm: there is no norm"):
            linalg.matrix_norm(client.put(numpy.eye(2)), ord=ord_)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_pinv_and_rank(client, dtype):
    for shape in [(5, 3), (3, 5), (2, 4, 4), (0, 3), (3, 0)]:
        a = matrices(shape, dtype)
        t = client.put(a)
        got = linalg.pinv(t)
        assert (got.dtype, got.shape) == (floating(dtype), (*shape[:-2], shape[-1], shape[-2]))
        close(got, numpy.linalg.pinv(a), dtype, 10)
        rank = linalg.matrix_rank(t)
        assert (rank.dtype, rank.shape) == ("int64", shape[:-2])
        assert (numpy.asarray(rank) == min(shape[-2:])).all()
    a = client.put(numpy.diag([1.0, 1e-3, 0.0]))
    assert int(linalg.matrix_rank(a)) == 2
    assert int(linalg.matrix_rank(a, rtol=1e-2)) == 1
    stack, rtol = client.put(numpy.stack([numpy.diag([1.0, 1e-3])] * 2)), numpy.array([1e-2, 1e-4])
    assert linalg.matrix_rank(stack, rtol=rtol).tolist() == [1, 2]
    assert linalg.matrix_rank(stack, rtol=client.put(rtol)).tolist() == [1, 2]
    assert linalg.pinv(stack, rtol=rtol)[:, 1, 1].tolist() == pytest.approx([0.0, 1e3])
    close(linalg.pinv(a, rtol=1e-2), numpy.diag([1.0, 0, 0]), "float64")


def test_matrix_power(client):
    a = matrices((2, 3, 3), "float64")
    t = client.put(a)
    for n in [0, 1, 2, 3, 7, -1, -2]:
        close(linalg.matrix_power(t, n), numpy.linalg.matrix_power(a, n), "float64")
    integers = client.put(numpy.array([[1, 1], [1, 0]]))
    assert numpy.asarray(linalg.matrix_power(integers, 10)).tolist() == [[89, 55], [55, 34]]


def test_diagonals(client):
    for shape in [(3, 4), (4, 3), (2, 3, 3), (0, 3), (1, 1)]:
        a = matrices(shape, "float64")
        for offset in range(-4, 5):
            expected = numpy.diagonal(a, offset, -2, -1)
            got = linalg.diagonal(client.put(a), offset=offset)
            numpy.testing.assert_array_equal(got, expected)
            got = linalg.diagonal(client.put(a).mT, offset=-offset)
            numpy.testing.assert_array_equal(got, expected)
            program = tensord.Program()
            got = client.run(program, linalg.diagonal(program.input(a) * 1.0, offset=offset))
            numpy.testing.assert_array_equal(got, expected)
            close(linalg.trace(client.put(a), offset=offset), expected.sum(axis=-1), "float64")


def test_in_programs(client):
    """Results of linear algebra are values like others, in one request."""
    a = definite((4, 4), "float64")
    program = tensord.Program()
    x = program.input(a)
    w, v = linalg.eigh(x)
    back = linalg.matmul(v * w, v.T)
    norm = linalg.matrix_norm(back - x)
    rank = linalg.matrix_rank(x)
    back, norm, rank = client.run(program, back, norm, rank)
    close(back, a, "float64")
    assert norm.item() < 1e-10 and int(rank) == 4
    program = tensord.Program()
    with pytest.raises(tensord.LinAlgError) as caught:
        client.run(program, linalg.inv(program.input(numpy.zeros((2, 2)))))
    assert caught.value.node == 0
