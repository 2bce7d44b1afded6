# SPDX-License-Identifier: MIT
"""The fft extension beyond the rows of the table: signatures, round trips, what it refuses."""

import inspect

import numpy
import pytest

import tensord
from tensord import fft
from tensord._array_functions import without_hints

ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
SEVERAL = ["fftn", "ifftn", "rfftn", "irfftn"]
OF_REAL = ["rfft", "rfftn", "ihfft"]
PAIRS = [("fft", "ifft"), ("ifft", "fft"), ("rfft", "irfft"), ("ihfft", "hfft")]
NORMS = ["backward", "ortho", "forward"]


def numbers(shape, dtype, seed=1):
    random = numpy.random.default_rng(seed)
    x = random.standard_normal(shape)
    if numpy.dtype(dtype).kind == "c":
        x = x + 1j * random.standard_normal(shape)
    return x.astype(dtype)


def eps(dtype):
    return float(numpy.finfo(dtype).eps)


def test_signatures():
    """Those of the standard, with one keyword of our own where no tensor says who computes."""
    one = "(x, /, *, n=None, axis=-1, norm='backward')"
    several = "(x, /, *, s=None, axes=None, norm='backward')"
    frequencies = "(n, /, *, d=1.0, dtype=None, device=None, client=None)"
    expected = {name: one for name in ONE}
    expected.update({name: several for name in SEVERAL})
    expected.update(fftfreq=frequencies, rfftfreq=frequencies)
    expected.update(fftshift="(x, /, *, axes=None)", ifftshift="(x, /, *, axes=None)")
    two = "(a, s=None, axes=(-2, -1), norm=None)"  # numpy's
    expected.update(fft2=two, ifft2=two, rfft2=two, irfft2=two)
    signatures = {name: inspect.signature(getattr(fft, name)) for name in fft.__all__}
    assert {name: str(without_hints(signatures[name])) for name in signatures} == expected
    assert tensord.fft is fft


# ---- by the definition ----


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_fft_is_the_sum_that_defines_it(client, n):
    x = numbers((3, n), "complex128")
    matrix = numpy.exp(-2j * numpy.pi * numpy.outer(numpy.arange(n), numpy.arange(n)) / n)
    numpy.testing.assert_allclose(fft.fft(client.put(x)), x @ matrix, atol=1e-13)
    numpy.testing.assert_allclose(fft.ifft(client.put(x)), x @ matrix.conj() / n, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 300])
@pytest.mark.parametrize("there, back", PAIRS)
def test_round_trips(client, there, back, n, norm, dtype):
    if there in OF_REAL and dtype[0] == "c":
        dtype = {"complex64": "float32", "complex128": "float64"}[dtype]
    x = numbers((2, n, 3), dtype)
    y = getattr(fft, there)(client.put(x), axis=1, norm=norm)
    got = getattr(fft, back)(y, n=n, axis=1, norm=norm)
    single = "float32" if dtype in ("float32", "complex64") else "float64"
    assert eps(y.dtype) == eps(got.dtype) == eps(single)
    assert y.dtype.kind == "c" and got.dtype.kind == ("f" if there in OF_REAL else "c")
    numpy.testing.assert_allclose(got, x, atol=60 * eps(single))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape, axes", [((6, 5), None), ((3, 4, 7), (0, 2)), ((8, 2, 9), (2, 0))])
def test_round_trips_of_several_axes(client, shape, axes, norm, dtype):
    x = numbers(shape, dtype)
    tensor = client.put(x)
    lengths = [shape[axis] for axis in (range(x.ndim) if axes is None else axes)]
    half = fft.rfftn(tensor, axes=axes, norm=norm)
    for got in (
        fft.ifftn(fft.fftn(tensor, axes=axes, norm=norm), axes=axes, norm=norm),
        fft.irfftn(half, s=lengths, axes=axes, norm=norm),
    ):
        numpy.testing.assert_allclose(got, x, atol=60 * eps(dtype))


# ---- lengths ----


@pytest.mark.parametrize("n", [1, 3, 5, 6, 9, 16])
@pytest.mark.parametrize("name", ONE)
def test_a_length_cuts_or_continues_by_zeros(client, name, n):
    x = numbers((5, 3), "float64")
    n_used = n // 2 + 1 if name in ("irfft", "hfft") else n
    padded = numpy.zeros((n_used, 3))
    padded[: min(5, n_used)] = x[:n_used]
    function = getattr(fft, name)
    got = function(client.put(x), n=n, axis=0)
    numpy.testing.assert_array_equal(got, function(client.put(padded), n=n, axis=0))
    expected = getattr(numpy.fft, name)(x, n, 0)
    numpy.testing.assert_allclose(got, expected, atol=1e-13)


def test_lengths_may_be_those_of_the_axes(client):
    x = numbers((4, 5, 6), "complex128")
    tensor = client.put(x)
    got = fft.fftn(tensor, s=[-1, 8], axes=[0, 2])
    numpy.testing.assert_array_equal(got, numpy.fft.fftn(x, [4, 8], [0, 2]))
    got = fft.irfftn(tensor, s=[7, -1], axes=[1, 2])
    numpy.testing.assert_array_equal(got, numpy.fft.irfftn(x, [7, 10], [1, 2]))
    got = fft.ifftn(tensor, s=[3, 3])  # of the last two axes
    numpy.testing.assert_array_equal(got, numpy.fft.ifftn(x, [3, 3], [1, 2]))


def test_of_no_axes(client):
    for name in ("fftn", "ifftn"):
        for x in (numpy.float32(3), numbers((2, 3), "float32")):
            got = getattr(fft, name)(client.put(x), axes=())
            assert got.dtype == "complex64"
            numpy.testing.assert_array_equal(got, x)
    assert fft.fftn(5).tolist() == 5 and fft.fftn(5).shape == ()
    with pytest.raises(tensord.AxisError, match="rfftn.*at least one"):
        fft.rfftn(client.put(1.0))


# ---- frequencies ----


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 1000])
@pytest.mark.parametrize("d", [1.0, 0.1, -3, numpy.float32(0.25)])
def test_frequencies(client, n, d):
    for name in ("fftfreq", "rfftfreq"):
        expected = getattr(numpy.fft, name)(n, float(d))
        got = getattr(fft, name)(n, d=d, client=client)
        assert got.client is client and got.dtype == "float64"
        numpy.testing.assert_array_equal(got, expected)
        got = getattr(fft, name)(n, d=d, dtype="float32", device="cpu", client=client)
        assert got.dtype == "float32"
        numpy.testing.assert_array_equal(got, expected.astype("float32"))


def test_shifts_are_part_of_programs(client):
    x = numbers((4, 5), "float64")
    p = tensord.Program()
    value = p.input(x)
    shifted, back = fft.fftshift(value, axes=1), fft.ifftshift(fft.fftshift(value))
    got, same = client.run(p, shifted, back)
    numpy.testing.assert_array_equal(got, numpy.fft.fftshift(x, 1))
    numpy.testing.assert_array_equal(same, x)


def test_shifts_of_no_axes(client):
    for name in ("fftshift", "ifftshift"):
        assert getattr(fft, name)(client.put(5)).tolist() == 5
        assert getattr(fft, name)(client.put([1, 2]), axes=()).tolist() == [1, 2]
        with pytest.raises(tensord.AxisError, match=f"{name}: axis 1"):
            getattr(fft, name)(client.put([1, 2]), axes=1)


# ---- what comes in, and what comes out ----


def test_results_are_tensors_like_any_other(client):
    x = client.put(numbers((8,), "float64"), "x")
    y = fft.fft(x[::2])
    assert type(y) is tensord.Array and y.is_sealed and y.client is client
    client.put(y, "spectrum")
    assert client.get("spectrum").tolist() == numpy.fft.fft(numpy.asarray(x)[::2]).tolist()
    assert client.open("spectrum").id == y.id  # it was given the name, not copied
    assert not numpy.asarray(y).flags.writeable
    assert (y * 2).tolist() == (numpy.asarray(y) * 2).tolist()
    p = tensord.Program()
    assert client.run(p, p.input(y) + 1).tolist() == (numpy.asarray(y) + 1).tolist()


def test_truth_may_be_any_byte(client):
    with client.create(4, "bool") as x:
        x.array.view("uint8")[:] = [0, 1, 2, 255]
    numpy.testing.assert_array_equal(fft.fft(x), numpy.fft.fft([0.0, 1, 1, 1]))


def test_arrays_and_their_byte_order(daemon, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", daemon.socket)
    x = numbers((3, 4), "float64")
    for given in (x, x.astype(">f8"), x.tolist()):
        numpy.testing.assert_array_equal(fft.fft(given), numpy.fft.fft(x))
    with pytest.raises(tensord.ArgumentError, match="mask"):
        fft.fft(numpy.ma.masked_array(x))


def test_what_is_not_finite(client):
    x = numpy.array([1e300, numpy.inf, numpy.nan, 0])
    numpy.testing.assert_array_equal(fft.fft(client.put(x)), numpy.fft.fft(x))
    large = client.put(numpy.full(64, 3e38, "float32"))
    assert fft.rfft(large)[0].item().real == numpy.inf  # as float32, and without a warning


# ---- what is refused ----


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_values_of_programs_are_refused(client, name):
    p = tensord.Program()
    with pytest.raises(tensord.ArgumentError, match=f"{name}.*run the program"):
        getattr(fft, name)(p.input(numpy.ones(4)) + 1)


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_refused(client, name):
    function, x = getattr(fft, name), client.put(numpy.ones((2, 4, 0)))
    is_one = name in ONE

    def call(tensor, n=None, axis=-1, **keywords):
        if is_one:
            return function(tensor, n=n, axis=axis, **keywords)
        return function(tensor, s=None if n is None else [n], axes=[axis], **keywords)

    for cause, words, make in [
        (tensord.ValueRefused, "n is 0 along axis 1", lambda: call(x, 0, 1)),
        (tensord.ValueRefused, "n is -2 along axis 1", lambda: call(x, -2, -2)),
        (tensord.ValueRefused, "n is (0|-2) along axis 2", lambda: call(x)),
        (tensord.AxisError, "axis 3", lambda: call(x, axis=3)),
        (tensord.AxisError, "axis -4", lambda: call(x, axis=-4)),
        (tensord.AxisError, "0 dimensions", lambda: call(client.put(1.0))),
        (tensord.ArgumentError, "backward, ortho, forward", lambda: call(x, 3, norm="both")),
        (tensord.ArgumentError, "norm", lambda: call(x, 3, norm=None)),
        (TypeError, "", lambda: call(x, 2.5)),
        (tensord.ShapeError, "", lambda: call(x, 2**62, 1)),
    ]:
        with pytest.raises(cause, match=words) as caught:
            make()
        if cause is not TypeError and cause is not tensord.ShapeError:
            assert str(caught.value).startswith(name + ":")


@pytest.mark.parametrize("name", SEVERAL)
def test_axes_refused(client, name):
    function, x = getattr(fft, name), client.put(numpy.ones((2, 4)))
    with pytest.raises(tensord.AxisError, match="twice"):
        function(x, axes=[1, -1])
    with pytest.raises(tensord.ArgumentError, match="1 lengths in s for 2 axes"):
        function(x, s=[3], axes=[0, 1])
    with pytest.raises(tensord.AxisError, match="2 dimensions"):
        function(x, s=[3, 3, 3])


@pytest.mark.parametrize("name", OF_REAL)
def test_complex_numbers_refused(client, name):
    with pytest.raises(tensord.DtypeError, match=f"{name}.*complex64"):
        getattr(fft, name)(client.put(numpy.ones(3, "complex64")))


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies_refused(client, name):
    function = getattr(fft, name)
    for n in (0, -3):
        with pytest.raises(tensord.ValueRefused, match=f"n is {n}"):
            function(n, client=client)
    with pytest.raises(tensord.ValueRefused, match="d is 0"):
        function(3, d=0.0, client=client)
    for dtype in ("int64", "complex64", "bool"):
        with pytest.raises(tensord.DtypeError, match=dtype):
            function(3, dtype=dtype, client=client)
    with pytest.raises(tensord.ArgumentError, match="device"):
        function(3, device="gpu", client=client)


def test_unsealed_tensors_are_refused(client):
    x = client.create(3)
    with pytest.raises(tensord.NotSealed, match="fft"):
        fft.fft(x)
    x.seal()
    assert fft.fft(x).shape == (3,)


def test_too_little_memory_leaves_nothing(client, monkeypatch):
    def none(*args):
        raise MemoryError

    x = client.put(numpy.ones(1000))
    before = client.stat()["tensors"]
    monkeypatch.setattr(numpy.fft, "fft", none)
    with pytest.raises(tensord.OutOfMemory, match="fft") as caught:
        fft.fft(x)
    assert caught.value.code == "client_memory"
    del caught
    assert client.stat()["tensors"] == before
    monkeypatch.undo()
    with pytest.raises(tensord.OutOfMemory):
        fft.fft(x, n=2**44)
    assert client.stat()["tensors"] == before
