# SPDX-License-Identifier: MIT
"""Random numbers and linspace: what they must be on the whole, with fixed seeds."""

import numpy
import pytest

import tensord


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def chi_square(counts):
    """In standard deviations from what is expected of equally likely classes."""
    expected = counts.sum() / counts.size
    n = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - n) / numpy.sqrt(2 * n)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform(client, dtype):
    n = 1_000_000
    x = numpy.asarray(tensord.random.uniform(n, dtype=dtype, seed=1, client=client))
    assert x.dtype == dtype and x.min() >= 0 and x.max() < 1
    assert abs(x.mean() - 0.5) < 4 / numpy.sqrt(12 * n)
    assert abs(chi_square(numpy.bincount((x * 1000).astype(int), minlength=1000))) < 4
    lag = numpy.corrcoef(x[:-1], x[1:])[0, 1]
    assert abs(lag) < 4 / numpy.sqrt(n)
    low = (x * 2.0 ** (24 if dtype == "float32" else 53)).astype("int64") & 255
    assert abs(chi_square(numpy.bincount(low, minlength=256))) < 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(client, dtype):
    n = 1_000_000
    x = numpy.asarray(tensord.random.normal(n, dtype=dtype, seed=2, client=client)).astype(float)
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((x**power).mean() - moment) < 4 * numpy.sqrt(variance / n)
    inside = [(numpy.abs(x) < k).mean() for k in (1, 2, 3)]
    assert numpy.allclose(inside, [0.682689, 0.954500, 0.997300], atol=0.002)
    assert abs(numpy.corrcoef(x[0::2], x[1::2])[0, 1]) < 4 / numpy.sqrt(n / 2)
    assert numpy.abs(x).max() < 8.6


def test_float32_normals_are_float64_ones_rounded(client):
    wide, narrow = (
        numpy.asarray(tensord.random.normal((3, 50), dtype=dtype, seed=3, client=client))
        for dtype in ("float64", "float32")
    )
    numpy.testing.assert_array_equal(wide.astype("float32"), narrow)


def test_scaled(client):
    keywords = {"seed": 4, "client": client}
    u = numpy.asarray(tensord.random.uniform(1000, **keywords))
    got = tensord.random.uniform(1000, low=-2, high=5, **keywords)
    numpy.testing.assert_array_equal(numpy.asarray(got), u * 7 - 2)
    x = numpy.asarray(tensord.random.normal(1000, **keywords))
    got = tensord.random.normal(1000, mean=10, std=0.5, **keywords)
    numpy.testing.assert_array_equal(numpy.asarray(got), x * 0.5 + 10)
    got = tensord.random.uniform(5, low=1, high=2, dtype="float32", **keywords)
    assert got.dtype == "float32"


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_integers(client, dtype):
    limits = numpy.iinfo(dtype)
    low = -3 if limits.min else 1
    x = tensord.random.integers(low, low + 7, 70_000, dtype=dtype, seed=5, client=client)
    assert x.dtype == dtype
    counts = numpy.bincount(numpy.asarray(x).astype("int64") - low, minlength=7)
    assert counts.size == 7 and abs(chi_square(counts)) < 4
    whole = tensord.random.integers(
        int(limits.min), int(limits.max) + 1, 100_000, dtype=dtype, seed=6, client=client
    )
    top = numpy.asarray(whole).astype("float64") / (float(limits.max) + 1)
    classes = numpy.floor((top - top.min()) / (1 + (limits.min < 0)) * 4.0).clip(0, 3)
    assert abs(chi_square(numpy.bincount(classes.astype(int), minlength=4))) < 5
    steps = tensord.random.integers(10, 30, 100, step=5, dtype=dtype, seed=7, client=client)
    assert set(steps.tolist()) == {10, 15, 20, 25}


def test_integers_are_refused(client):
    for args, words in [
        ((3, 3), "no integer to choose"),
        ((0, 300), "do not fit uint8"),
        ((-1, 3), "do not fit uint8"),
    ]:
        with pytest.raises(tensord.ValueRefused, match=words):
            tensord.random.integers(*args, 5, dtype="uint8", client=client)
    with pytest.raises(tensord.DtypeError):
        tensord.random.integers(0, 3, 5, dtype="float64", client=client)
    with pytest.raises(tensord.DtypeError):
        tensord.random.uniform(5, dtype="int64", client=client)
    with pytest.raises(tensord.ValueRefused, match="stream"):
        tensord.random.uniform(5, stream=2**48, client=client)


def test_permutation(client):
    x = numpy.asarray(tensord.random.permutation(200_000, seed=8, client=client))
    numpy.testing.assert_array_equal(numpy.sort(x), numpy.arange(200_000))
    assert abs(numpy.corrcoef(x, numpy.arange(x.size))[0, 1]) < 4 / numpy.sqrt(x.size)
    orders = [tuple(tensord.random.permutation(3, seed=9, stream=i, client=client).tolist())
              for i in range(1200)]
    _, counts = numpy.unique(orders, axis=0, return_counts=True)
    assert counts.size == 6 and abs(chi_square(counts)) < 4


def test_a_generator_takes_a_stream_for_each_call(client):
    generator = tensord.random.Generator(2**64 - 1, client=client)
    first, second = generator.uniform(4), generator.uniform(4)
    assert first.tolist() != second.tolist()
    assert generator.stream == 2
    again = tensord.random.uniform(4, seed=2**64 - 1, stream=1, client=client)
    assert second.tolist() == again.tolist()
    assert tensord.random.Generator(client=client).normal(4).tolist() != first.tolist()


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 3, 50, 100_001])
@pytest.mark.parametrize("bounds", [(0, 1), (-1.5, 2.25), (5, -7), (3, 3), (0.0, 5e-324), (1j, 2)])
def test_linspace_is_numpys(client, bounds, num, endpoint):
    kind = "complex128" if isinstance(bounds[0], complex) else "float64"
    got = tensord.linspace(*bounds, num, endpoint=endpoint, client=client)
    expected = numpy.linspace(*bounds, num, endpoint=endpoint)
    assert got.dtype == kind
    numpy.testing.assert_array_equal(numpy.asarray(got), expected)
    if endpoint and num > 1:
        assert numpy.asarray(got)[-1] == bounds[1]
    narrow = "complex64" if kind == "complex128" else "float32"
    got = tensord.linspace(*bounds, num, endpoint=endpoint, dtype=narrow, client=client)
    numpy.testing.assert_array_equal(numpy.asarray(got), expected.astype(narrow))


def test_linspace_is_refused(client):
    for args, dtype, kind in [
        ((0, 1, -1), None, tensord.ValueRefused),
        ((0, 1, 3), "bool", tensord.DtypeError),
        ((0, 1j, 3), "float64", tensord.DtypeError),
    ]:
        with pytest.raises(kind, match="linspace"):
            tensord.linspace(*args, dtype=dtype, client=client)


def test_arange_of_uint64(client):
    got = tensord.arange(2**63, 2**63 + 6, 2, dtype="uint64", client=client)
    assert got.tolist() == [2**63, 2**63 + 2, 2**63 + 4]
