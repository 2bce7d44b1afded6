# SPDX-License-Identifier: MIT
"""sort, argsort, topk, searchsorted, isin and unique_* against numpy."""

import bisect

import numpy
import pytest

import tensord

pytestmark = pytest.mark.values

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
COMPLEX = ["complex64", "complex128"]
SHAPES = [(0,), (1,), (30,), (3, 5), (0, 4), (4, 0), (2, 3, 4), (70_001,), (3, 1000), (2, 50_000)]


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def values(shape, dtype, seed=0):
    random = numpy.random.default_rng(seed)
    kind = numpy.dtype(dtype).kind
    if kind == "b":
        return random.random(shape) < 0.5
    if kind in "iu":
        limits = numpy.iinfo(dtype)
        few = random.integers(0, 9, shape).astype(dtype)
        many = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        return numpy.where(random.random(shape) < 0.3, few, many)
    if kind == "c":
        return values(shape, "float64", seed) + 1j * random.choice([0.0, -0.0, 1.0, 2.5], shape)
    x = random.standard_normal(shape) * 10.0 ** random.integers(-30, 30, shape)
    special = random.choice([numpy.nan, 0.0, -0.0, numpy.inf, -numpy.inf, 1.0], shape)
    return numpy.where(random.random(shape) < 0.3, special, x).astype(dtype)


def expected_argsort(x, axis, descending):
    """Stable, NaN last; keys that ascend where the elements descend."""
    if not descending:
        return numpy.argsort(x, axis=axis, kind="stable")
    back = numpy.flip(x, axis)
    if x.dtype.kind != "f":
        order = numpy.flip(numpy.argsort(back, axis=axis, kind="stable"), axis)
        return x.shape[axis] - 1 - order
    return numpy.argsort(-x, axis=axis, kind="stable")


def same(got, expected):
    got = numpy.asarray(got)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    numpy.testing.assert_array_equal(got, expected)
    if got.dtype.kind in "fc":
        for part in (numpy.real, numpy.imag):
            numpy.testing.assert_array_equal(
                numpy.signbit(part(got)), numpy.signbit(part(expected)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sort(client, dtype, shape):
    x = values(shape, dtype)
    t = client.put(x)
    views = [(t, x), (t.T, x.T), (t[::-1], x[::-1]), (t[..., ::2], x[..., ::2])]
    for tensor, array in views:
        for axis in range(-1, array.ndim - 1):
            for descending in (False, True):
                order = expected_argsort(array, axis, descending)
                same(tensord.argsort(tensor, axis=axis, descending=descending), order)
                same(tensord.sort(tensor, axis=axis, descending=descending),
                     numpy.take_along_axis(array, order, axis))
                k = min(3, array.shape[axis])
                first = numpy.take(order, numpy.arange(k), axis)
                got = tensord.topk(tensor, k, axis=axis, largest=descending)
                same(got[0], numpy.take_along_axis(array, first, axis))
                same(got[1], first)


PATTERNS = {
    "equal": lambda n: numpy.full(n, 3.5),
    "sorted": lambda n: numpy.arange(n) * 0.5,
    "reversed": lambda n: numpy.arange(n)[::-1] * 0.5,
    "organ pipe": lambda n: numpy.minimum(numpy.arange(n), n - numpy.arange(n)) * 1.0,
    "nan": lambda n: numpy.full(n, numpy.nan),
    "zeros": lambda n: numpy.where(numpy.arange(n) % 3 == 0, -0.0, 0.0),
    "two": lambda n: numpy.arange(n) % 2 * 1e-300,
    "clusters": lambda n: numpy.arange(n) % 16 * 1e9 + numpy.arange(n)[::-1] * 1e-9,
    "outlier": lambda n: numpy.append(numpy.arange(n - 1)[::-1] * 1e-12, 1e300),
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("n", [20, 5000, 200_001])
def test_patterns(client, pattern, n):
    x = PATTERNS[pattern](n)
    t = client.put(x)
    for descending in (False, True):
        order = expected_argsort(x, 0, descending)
        same(tensord.argsort(t, descending=descending), order)
        same(tensord.sort(t, descending=descending), x[order])


def test_refused(client):
    with pytest.raises(tensord.DtypeError):
        tensord.sort(client.put(numpy.ones(3, complex)))
    with pytest.raises(tensord.AxisError):
        tensord.sort(client.put(numpy.ones(3)), axis=1)
    with pytest.raises(tensord.ValueRefused):
        tensord.topk(client.put(numpy.ones(3)), 4)


def expected_unique(flat):
    """Index of the first of each distinct element, inverse, counts; NaN are last, each distinct."""
    if flat.dtype.kind != "c":
        found = numpy.unique(
            flat, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
        return found[1:]
    nan = numpy.isnan(flat)
    order = numpy.lexsort((numpy.where(nan, 0, flat.imag), numpy.where(nan, 0, flat.real), nan))
    begins = numpy.ones(flat.size, bool)
    begins[1:] = flat[order[1:]] != flat[order[:-1]]
    inverse = numpy.empty(flat.size, numpy.int64)
    inverse[order] = numpy.cumsum(begins) - 1
    counts = numpy.diff(numpy.append(numpy.flatnonzero(begins), flat.size))
    return order[begins], inverse, counts


@pytest.mark.parametrize("dtype", DTYPES + COMPLEX)
def test_unique(client, dtype):
    for shape in SHAPES:
        x = values(shape, dtype, 3)
        for tensor, array in ((client.put(x), x), (client.put(x).T, x.T)):
            flat = array.reshape(-1)
            i, inverse, counts = expected_unique(flat)
            inverse = inverse.reshape(array.shape)
            v = flat[i]  # with the sign of the first zero
            got = tensord.unique_all(tensor)
            for g, e in zip(got, (v, i, inverse, counts)):
                same(g, e)
            same(tensord.unique_values(tensor), v)
            for g, e in zip(tensord.unique_counts(tensor), (v, counts)):
                same(g, e)
            for g, e in zip(tensord.unique_inverse(tensor), (v, inverse)):
                same(g, e)


@pytest.mark.parametrize("dtype", DTYPES)
def test_searchsorted(client, dtype):
    for n, shape in ((0, (4,)), (1, (3, 5)), (1000, (2, 300)), (50_000, (40_000,))):
        a, b = numpy.sort(values((n,), dtype, 1)), values(shape, dtype, 2)
        for side in ("left", "right"):
            same(tensord.searchsorted(client.put(a), client.put(b), side=side),
                 numpy.searchsorted(a, b, side))
    a = values((100,), dtype, 4)
    order = numpy.argsort(a, kind="stable")
    same(tensord.searchsorted(client.put(a), client.put(b), sorter=client.put(order)),
         numpy.searchsorted(a, b, sorter=order))


@pytest.mark.parametrize("dtype", DTYPES + COMPLEX)
def test_isin(client, dtype):
    for n, shape in ((0, (4,)), (1, (3, 5)), (50, (2, 300)), (90_000, (40_000,))):
        a, b = values((n,), dtype, 1), values(shape, dtype, 2)
        same(tensord.isin(client.put(b), client.put(a)), numpy.isin(b, a))
        same(tensord.isin(client.put(b), client.put(a), invert=True), ~numpy.isin(b, a))


BETWEEN = [-(2**63), -1, 0, 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]


@pytest.mark.parametrize("signed", ["int8", "int32", "int64"])
def test_mixed_integers(client, signed):
    """Exact, as comparisons are; numpy goes by float64."""
    limits = numpy.iinfo(signed)
    a = numpy.array([i for i in BETWEEN if limits.min <= i <= limits.max], signed)
    b = numpy.array([i for i in BETWEEN if i >= 0], "uint64")
    for x1, x2 in ((a, b), (b, a)):
        t1, t2 = client.put(x1), client.put(x2)
        known = [int(i) for i in x1]
        same(tensord.isin(t2, t1), numpy.array([int(i) in known for i in x2]))
        for side, place in (("left", bisect.bisect_left), ("right", bisect.bisect_right)):
            same(tensord.searchsorted(t1, t2, side=side),
                 numpy.array([place(known, int(i)) for i in x2]))


def test_isin_of_complex_and_real(client):
    x = client.put(numpy.array([1, 2 + 0j, 2j, complex(2, numpy.nan), -0.0]))
    same(tensord.isin(x, client.put(numpy.array([2, 0]))),
         numpy.array([False, True, False, False, True]))
    same(tensord.isin(client.put(numpy.array([2, 0])), x), numpy.array([True, True]))
