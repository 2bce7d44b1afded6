# SPDX-License-Identifier: MIT
"""Reductions and scans against numpy, for all dtypes, axes and layouts."""
import itertools

import numpy
import pytest
import tensord

pytestmark = pytest.mark.values

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float32", "float64", "complex64", "complex128"]
REALS = [dtype for dtype in DTYPES if not dtype.startswith("complex")]
SHAPES = [(), (0,), (1,), (3,), (0, 3), (2, 0, 4), (2, 3, 4), (3, 40), (130, 5), (40, 1100)]


def values(dtype, shape, seed=1):
    random = numpy.random.default_rng(seed)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if numpy.dtype(dtype).kind in "iu":
        info = numpy.iinfo(dtype)
        return random.integers(max(info.min, -50), min(info.max, 50), shape).astype(dtype)
    x = random.normal(size=shape)
    if numpy.dtype(dtype).kind == "c":
        x = x + 1j * random.normal(size=shape)
    return numpy.asarray(x).astype(dtype)


def layouts(x):
    """The same values in other layouts."""
    yield x
    yield numpy.asfortranarray(x)
    if x.ndim:
        wide = numpy.zeros([2 * n for n in x.shape], x.dtype)
        view = wide[tuple(slice(0, 2 * n, 2) for n in x.shape)]
        view[...] = x
        yield view
        yield x[tuple(slice(None, None, -1) for _ in x.shape)]


def axes_of(ndim):
    yield None
    for n in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), n)
    if ndim:
        yield -1


def sum_dtype(dtype):
    kind = numpy.dtype(dtype).kind
    return {"b": "int64", "i": "int64", "u": "uint64"}.get(kind, dtype)


def check(got, want, dtype):
    got = numpy.asarray(got)
    assert got.dtype == dtype and got.shape == numpy.shape(want)
    if got.dtype.kind in "fc":
        epsilon = numpy.finfo(got.dtype).eps
        size = numpy.max(abs(numpy.asarray(want)), initial=1, where=numpy.isfinite(want))
        numpy.testing.assert_allclose(got, numpy.asarray(want).astype(dtype),
                                      rtol=40 * epsilon, atol=40 * epsilon * size)
    else:
        numpy.testing.assert_array_equal(got, want)


def wide(x):
    """Wide enough that numpy's order does not matter; integers as the daemon has them."""
    return x.astype({"f": "longdouble", "c": "clongdouble"}.get(x.dtype.kind, sum_dtype(x.dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions(client, dtype):
    for shape in SHAPES:
        for x in layouts(values(dtype, shape)):
            t = client.put(x)
            for axis in axes_of(x.ndim):
                keep = axis == -1
                given = {"axis": axis, "keepdims": keep}
                check(tensord.sum(t, **given), wide(x).sum(**given), sum_dtype(dtype))
                if x.size < 1000:
                    check(tensord.prod(t, **given), wide(x).prod(**given), sum_dtype(dtype))
                for name in "any", "all":
                    check(getattr(tensord, name)(t, **given), getattr(x, name)(**given), "bool")
                check(tensord.count_nonzero(t, **given),
                      numpy.count_nonzero(x, **given), "int64")


def float_of(dtype):
    return dtype if numpy.dtype(dtype).kind in "fc" else "float64"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore")
def test_moments(client, dtype):
    for shape in SHAPES:
        for x in layouts(values(dtype, shape)):
            t = client.put(x)
            for axis in axes_of(x.ndim):
                exact = x.astype("clongdouble" if x.dtype.kind == "c" else "longdouble")
                check(tensord.mean(t, axis=axis), exact.mean(axis=axis), float_of(dtype))
                real = numpy.dtype(float_of(dtype)).type(0).real.dtype
                for correction in 0, 1:
                    check(tensord.var(t, axis=axis, correction=correction),
                          exact.var(axis=axis, ddof=correction), real)
                    check(tensord.std(t, axis=axis, correction=correction),
                          exact.std(axis=axis, ddof=correction), real)


@pytest.mark.parametrize("dtype", REALS)
def test_extrema(client, dtype):
    for shape in SHAPES:
        for x in layouts(values(dtype, shape)):
            t = client.put(x)
            for axis in axes_of(x.ndim):
                names = ["max", "min"]
                if not isinstance(axis, tuple) or len(axis) == 1:
                    names += ["argmax", "argmin"]
                for name in names:
                    single = axis[0] if isinstance(axis, tuple) and "arg" in name else axis
                    try:
                        want = getattr(x, name)(axis=single)
                    except ValueError:
                        with pytest.raises(tensord.ValueRefused):
                            getattr(tensord, name)(t, axis=single)
                        continue
                    check(getattr(tensord, name)(t, axis=single), want,
                          "int64" if "arg" in name else dtype)


def test_extrema_are_not_for_complex(client):
    for name in "max", "min", "argmax", "argmin":
        with pytest.raises(tensord.DtypeError, match=f"{name}.*complex64"):
            getattr(tensord, name)(client.put(values("complex64", (3,))))


def test_nan(client):
    for n in 5, 40, 600, 5000:
        for at in 0, n // 2, n - 1:
            x = numpy.arange(n, dtype="float32")
            x[at:] = numpy.nan
            t = client.put(x)
            assert numpy.isnan(numpy.asarray(tensord.max(t)))
            assert numpy.isnan(numpy.asarray(tensord.min(t)))
            assert int(tensord.argmax(t)) == int(tensord.argmin(t)) == at


def test_dtype_is_cast_to_before(client):
    x = client.put(numpy.array([200, 100], "uint8"))
    check(tensord.sum(x, dtype="int8"), numpy.int8(44), "int8")
    check(tensord.sum(x, dtype="float32"), numpy.float32(300), "float32")
    check(tensord.prod(x, dtype="int16"), numpy.int16(20000), "int16")
    check(tensord.cumulative_sum(x, dtype="float64"), numpy.array([200.0, 300.0]), "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_scans(client, dtype, name):
    function = getattr(tensord, name)
    for shape in [(0,), (1,), (3,), (1030,), (0, 3), (2, 3, 4), (3, 700), (700, 3), (5, 40, 30)]:
        if name == "cumulative_prod" and numpy.dtype(dtype).kind in "fc" and max(shape) > 100:
            continue
        for x in layouts(values(dtype, shape)):
            t = client.put(x)
            for axis in range(-1, x.ndim):
                want = (wide(x).cumsum if name.endswith("sum") else wide(x).cumprod)(axis=axis)
                check(function(t, axis=axis), want, sum_dtype(dtype))
                first = numpy.full_like(want.take([0] * (want.size > 0), axis=axis),
                                        0 if name.endswith("sum") else 1)
                if want.size:
                    check(function(t, axis=axis, include_initial=True),
                          numpy.concatenate([first, want], axis=axis), sum_dtype(dtype))


def test_scan_of_nothing_begins(client):
    x = client.put(numpy.zeros((0, 3), "float32"))
    check(tensord.cumulative_prod(x, axis=0, include_initial=True), numpy.ones((1, 3)), "float32")
    check(tensord.cumulative_sum(client.put(numpy.float64(3))), numpy.array([3.0]), "float64")
    with pytest.raises(tensord.TensordError):
        tensord.cumulative_sum(x)


def test_long_scan(client):
    x = values("float64", (300_007,))
    check(tensord.cumulative_sum(client.put(abs(x))), abs(wide(x)).cumsum(), "float64")
    assert (numpy.diff(numpy.asarray(tensord.cumulative_sum(client.put(abs(x))))) >= 0).all()
    n = values("int32", (3, 200_000))
    check(tensord.cumulative_sum(client.put(n), axis=1), n.cumsum(axis=1), "int64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_segment_sum(client, dtype):
    for shape, k in [((0, 3), 2), ((10,), 4), ((5000, 16), 16), ((300, 2, 700), 3)]:
        x = values(dtype, shape)
        labels = numpy.random.default_rng(3).integers(0, k, shape[0])
        want = numpy.zeros((k, *shape[1:]))
        numpy.add.at(want, labels, x)
        for rows in layouts(x):
            labels_of = labels if rows.strides == x.strides else labels.astype("int8")
            want_of = want
            if rows.size and not numpy.array_equal(rows, x):
                want_of = numpy.zeros_like(want)
                numpy.add.at(want_of, labels, rows)
            check(tensord.segment_sum(client.put(rows), client.put(labels_of), k), want_of, dtype)


def test_segment_sum_refuses(client):
    x = client.put(numpy.ones((4, 2)))
    for bad in -1, 3:
        with pytest.raises(tensord.ValueRefused, match=f"label {bad} at index 2"):
            tensord.segment_sum(x, client.put(numpy.array([0, 1, bad, 7])), 3)
    with pytest.raises(tensord.TensordError):
        tensord.segment_sum(x, client.put(numpy.array([0, 1])), 3)


# ---- lines as long as a block ----


def blocks(x):
    """Tensors' makers, of lines along axis 1 that are x's, in memory of many kinds."""
    n, m = x.shape
    padded = numpy.full((n, m + 90), x.max(), x.dtype)
    padded[:, :m] = x
    wide = numpy.full((m, 3 * n), x.max(), x.dtype)
    wide[:, ::3] = x.T
    yield lambda put: put(x)
    yield lambda put: put(padded)[:, :m]
    yield lambda put: put(numpy.ascontiguousarray(x[::-1, ::-1]))[::-1, ::-1]
    yield lambda put: put(numpy.ascontiguousarray(x.T)).T
    yield lambda put: put(wide)[:, ::3].T
    yield lambda put: put(numpy.ascontiguousarray(wide[::-1]))[::-1, ::3].T


@pytest.mark.parametrize("n_over", [511, 512, 513, 1024, 1025])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lines_of_a_block(client, dtype, n_over):
    is_real = dtype in REALS
    for n in (1, 2, 3, 7, 17, 50):
        x = values(dtype, (n, n_over), seed=n)
        for make in blocks(x):
            t = make(client.put)
            for name in ("sum", "prod", "any", "all", "count_nonzero", "max", "min", "argmax",
                         "argmin"):
                if not is_real and name[-3:] in ("max", "min", "rod"):
                    continue
                with numpy.errstate(all="ignore"):
                    expected = getattr(numpy, name)(x, axis=1)
                got = numpy.asarray(getattr(tensord, name)(t, axis=1))
                if got.dtype.kind in "fc":
                    numpy.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)
                else:
                    numpy.testing.assert_array_equal(got, expected.astype(got.dtype))
            if is_real:
                numpy.testing.assert_array_equal(
                    tensord.cumulative_sum(t.astype("int64"), axis=1),
                    numpy.cumsum(x.astype("int64"), axis=1))
