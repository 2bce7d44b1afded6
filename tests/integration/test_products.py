# SPDX-License-Identifier: MIT
"""einsum, tensordot and other products against numpy."""

import resource
import time

import numpy
import pytest

import tensord


def array(shape, dtype="float64", seed=0):
    random = numpy.random.default_rng([seed, *shape])
    return numpy.round(random.standard_normal(shape) * 4).astype(dtype)


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("i,i", (5,), (5,)),
    ("bij,bjk->bik", (4, 2, 3), (4, 3, 5)),
    ("bij,bkj->ikb", (4, 2, 3), (4, 5, 3)),
    ("...ij,...jk->...ik", (4, 2, 3), (3, 5)),
    ("...ij,...jk", (6, 1, 2, 3), (4, 3, 5)),
    ("i...,i...->...", (3, 2, 4), (3, 2, 4)),
    ("ii->i", (4, 4)),
    ("ii", (4, 4)),
    ("ij->ji", (2, 3)),
    ("ijk->", (2, 3, 4)),
    ("iij,jk->ik", (3, 3, 2), (2, 5)),
    ("iji->j", (3, 2, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,kj,kl,l->i", (2, 3), (4, 3), (4, 5), (5,)),
    ("a,b,c->cab", (2,), (3,), (4,)),
    ("ijk,ilm,njm,nlk,abc->", (2, 3, 4), (2, 5, 6), (7, 3, 6), (7, 5, 4), (1, 2, 3)),
    ("ij,j", (2, 3), (1,)),
    ("ij,ij->ij", (2, 3), (1, 3)),
    ("ij,jk->k", (2, 3), (3, 4)),
    ("ij,kl->", (2, 3), (3, 4)),
    ("ij,jk->ik", (0, 3), (3, 4)),
    ("ij,jk->ik", (2, 0), (0, 4)),
    ("...,...", (), ()),
    (" i j , j -> i ", (2, 3), (3,)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0])
def test_einsum(client, case, dtype):
    text, *shapes = case
    arrays = [array(shape, dtype, i) for i, shape in enumerate(shapes)]
    expected = numpy.einsum(text, *arrays)
    got = tensord.einsum(text, *map(client.put, arrays))
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    numpy.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    program = tensord.Program()
    got = client.run(program, tensord.einsum(text, *map(program.input, arrays)) * 1)
    numpy.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "text, shapes, kind",
    [
        ("ij,jk", [(2, 3)], tensord.ArgumentError),
        ("ij,jk", [(2, 3), (4, 2)], tensord.ShapeError),
        ("ijk", [(2, 3)], tensord.ShapeError),
        ("ij->ik", [(2, 3)], tensord.ArgumentError),
        ("ij->ii", [(2, 3)], tensord.ArgumentError),
        ("i?->i", [(2, 3)], tensord.ArgumentError),
        ("ii->i", [(2, 3)], tensord.ShapeError),
        ("...i->i", [(2, 3)], tensord.ArgumentError),
        ("i", [(2, 3)], tensord.ShapeError),
    ],
)
def test_einsum_refused(client, text, shapes, kind):
    with pytest.raises(kind, match="einsum"):
        tensord.einsum(text, *(client.put(array(shape)) for shape in shapes))


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_tensordot(client, dtype):
    a, b = array((2, 3, 4, 5), dtype), array((4, 5, 3, 6), dtype)
    ta, tb = client.put(a), client.put(b)
    for axes in [2, 0, ((2, 3), (0, 1)), ((1, -1), (2, 1)), ((3, 2, 1), (1, 0, 2)), ([], [])]:
        expected = numpy.tensordot(a, b, axes)
        got = tensord.tensordot(ta, tb, axes=axes)
        assert got.dtype == dtype
        numpy.testing.assert_array_equal(got, expected)
    with pytest.raises(tensord.ShapeError):
        tensord.tensordot(ta, tb, axes=1)
    with pytest.raises(tensord.AxisError):
        tensord.tensordot(ta, tb, axes=5)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_vectors(client, dtype):
    a, b = array((4, 1, 3), dtype), array((5, 3), dtype, 1)
    ta, tb = client.put(a), client.put(b)
    got = tensord.vecdot(ta, tb)
    assert got.dtype == dtype
    numpy.testing.assert_array_equal(got, (a * b).sum(axis=-1))
    numpy.testing.assert_array_equal(
        tensord.vecdot(ta.permute_dims((2, 0, 1)), tb.T[:, None, :], axis=-3),
        (a * b).sum(axis=-1),
    )
    numpy.testing.assert_array_equal(tensord.linalg.cross(ta, tb), numpy.cross(a, b))
    numpy.testing.assert_array_equal(
        tensord.linalg.cross(tb.T, tb.T + 1, axis=0), numpy.cross(b.T, b.T + 1, axis=0)
    )
    numpy.testing.assert_array_equal(
        tensord.linalg.outer(ta[:, 0, 0], tb[:, 0]), numpy.outer(a[:, 0, 0], b[:, 0])
    )
    with pytest.raises(tensord.ShapeError):
        tensord.vecdot(ta, tb[:, :2])
    with pytest.raises(tensord.ShapeError):
        tensord.linalg.cross(ta[..., :2], tb[..., :2])


DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
]
MATMULS = [
    ((3, 4), (4, 5)),
    ((40, 70), (70, 50)),
    ((40, 70), (70,)),
    ((70,), (70, 33)),
    ((70,), (70,)),
    ((1, 70), (70, 33)),
    ((300, 200), (200, 150)),
    ((6, 17, 20), (20, 19)),
    ((6, 17, 20), (6, 20, 19)),
    ((2, 1, 40, 30), (3, 30, 40)),
    ((5, 0), (0, 4)),
    ((0, 5), (5, 4)),
    ((2, 5000), (5000, 3)),
]


def operand(shape, dtype, seed):
    """Integers of the whole range, so that products wrap; others whose sums are exact."""
    random = numpy.random.default_rng([seed, *shape])
    kind = numpy.dtype(dtype).kind
    if kind == "b":
        return random.random(shape) > 0.9
    if kind in "iu":
        limits = numpy.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    x = random.integers(-9, 9, shape)
    return (x + 1j * random.integers(-9, 9, shape) if kind == "c" else x).astype(dtype)


def laid_out(client, x):
    """The same array, lying in several ways."""
    yield client.put(x)
    yield client.put(numpy.asfortranarray(x))
    base = numpy.zeros([2 * n + 1 for n in x.shape], x.dtype)
    part = tuple(slice(1, 2 * n + 1, 2) for n in x.shape)
    base[part] = x
    yield client.put(base)[part]
    back = (slice(None, None, -1),) * x.ndim
    yield client.put(numpy.ascontiguousarray(x[back]))[back]


@pytest.mark.parametrize("dtype", DTYPES)
def test_matmul(client, dtype):
    for shape1, shape2 in MATMULS:
        a, b = operand(shape1, dtype, 1), operand(shape2, dtype, 2)
        expected = a @ b
        for x, y in zip(laid_out(client, a), list(laid_out(client, b))[::-1]):
            got = numpy.asarray(x @ y)
            assert (got.dtype, got.shape) == (dtype, numpy.shape(expected))
            numpy.testing.assert_array_equal(got, expected, err_msg=f"{shape1} {shape2}")


def test_matmul_of_two_dtypes(client):
    for one in DTYPES:
        for other in DTYPES:
            a, b = operand((20, 30), one, 1), operand((30, 10), other, 2)
            kind = numpy.result_type(a, b)
            expected = a.astype(kind) @ b.astype(kind)
            got = numpy.asarray(client.put(a) @ client.put(b))
            assert got.dtype == kind
            numpy.testing.assert_allclose(got, expected, rtol=1e-5)


def test_matmul_keeps_what_is_not_finite(client):
    """Complex products: NaN in one row of the operand is NaN in one row of the result."""
    for dtype in ("complex64", "complex128", "float32", "float64"):
        a, b = operand((50, 60), dtype, 1), operand((60, 40), dtype, 2)
        a[7, 3] = numpy.nan
        got = numpy.isnan(numpy.asarray(client.put(a) @ client.put(b)))
        assert got[7].all() and got.sum() == got.shape[1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int64"])
@pytest.mark.parametrize("shapes", [((7, 33, 0), (0, 513)), ((7, 33, 0), (7, 0, 513)),
                                    ((7, 600, 0), (0,)), ((3000, 0), (0, 40))])
def test_sums_of_nothing_are_zero(client, dtype, shapes):
    """Whatever lay in that memory before."""
    a, b = (client.put(numpy.zeros(shape, dtype)) for shape in shapes)
    expected = numpy.matmul(*(numpy.zeros(shape, dtype) for shape in shapes))
    ones = [client.put(numpy.ones([n or 4 for n in shape], dtype)) for shape in shapes]
    for _ in range(80):  # what was let go of comes back some time
        full = tensord.matmul(*ones)
        del full
        got = numpy.asarray(tensord.matmul(a, b))
        assert got.dtype == expected.dtype
        numpy.testing.assert_array_equal(got, expected)
        del got


def test_an_integer_product_is_stopped(client):
    """It takes a minute on one thread."""
    x = client.put(numpy.ones((4096, 4096), "int8"))
    started = time.monotonic()
    with pytest.raises(tensord.DeadlineExceeded):
        p = tensord.Program()
        client.run(p, p.input(x) @ x, timeout=0.1, threads=1)
    assert time.monotonic() - started < 5


def test_a_small_stack(make_own_daemon):
    """Threads have the stack that products need, whatever the limit is."""
    limits = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, limits[1]))
    try:
        daemon = make_own_daemon()
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, limits)
    with daemon.connect() as client:
        a, b = client.put(numpy.ones((100000, 64))), client.put(numpy.ones((64, 64)))
        assert (numpy.asarray(tensord.maximum(a @ b, 0)) == 64).all()
        assert (numpy.asarray(a @ b) == 64).all()
