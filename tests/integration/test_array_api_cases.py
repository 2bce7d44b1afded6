# SPDX-License-Identifier: MIT
"""Cases of the array API standard 2024.12 that random operands found wrong once."""

import math

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain

inf, nan = math.inf, math.nan


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_powers_of_numbers(put, dtype):
    """Whether an integer power is negative is asked of integers alone."""
    x = put([1 + 1j, 2], dtype)
    for power in (1j, 2 - 1j, -2, 0.5):
        for got in (x**power, tensord.pow(x, power)):
            assert got.dtype == dtype
            numpy.testing.assert_allclose(got, numpy.array([1 + 1j, 2]) ** power, 1e-5)
    x **= 1j
    numpy.testing.assert_allclose(x, numpy.array([1 + 1j, 2]) ** 1j, 1e-5)


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
@pytest.mark.parametrize("is_true", [True, False])
def test_masks_without_dimensions(put, shape, is_true):
    """All of an array is assigned, or nothing of it; an axis in front of the value goes with it."""
    for key in (is_true, numpy.array(is_true), put(is_true)):
        for value in (5, [6], numpy.full(shape, 7.0), numpy.full((1, *shape), 8.0)):
            wanted = numpy.zeros(shape)
            wanted[bool(key)] = value
            x = put(wanted * 0)
            x[key] = value
            assert x.shape == shape
            numpy.testing.assert_array_equal(x, wanted)
        assert x[key].shape == (int(is_true), *shape)


def test_masks_without_dimensions_of_views_and_mutables(client, put):
    x = put([0.0, 0.0, 0.0], mutable=True)
    x[1:][put(True)] = 4
    x[put(False)] = 5
    assert x.tolist() == [0.0, 4.0, 4.0]
    assign = tensord.jit(lambda x, mask: tensord.assign(x, mask, 7))
    assert assign(put([1, 2]), put(True)).tolist() == [7, 7]
    assert assign(put([1, 2]), put(False)).tolist() == [1, 2]


@pytest.mark.parametrize("shape, mask, left", [
    ((3,), (0,), (0,)), ((3, 2), (0,), (0, 2)), ((3, 2), (3, 0), (0,)), ((3, 2), (0, 2), (0,)),
    ((3, 2), (0, 0), (0,)), ((0, 3), (0, 0), (0,)), ((2, 3, 4), (0, 3), (0, 4)),
])  # fmt: skip
def test_empty_masks(put, shape, mask, left):
    """An axis of a mask may be empty where that of the array is not: it selects nothing."""
    x, mask = put(numpy.ones(shape)), put(numpy.zeros(mask, bool))
    for key in (mask, numpy.asarray(mask)):
        assert x[key].shape == left
        x[key] = 5
    assert x.shape == shape and (numpy.asarray(x) == 1).all()
    assert tensord.jit(lambda x, mask: x[mask].shape[-1])(x, mask) == left[-1]
    y = put(numpy.ones(shape), mutable=True)
    y[mask] = 5
    assert (numpy.asarray(y) == 1).all()


@pytest.mark.parametrize("shape, mask", [
    ((3,), (2,)), ((), (1,)), ((), (0,)), ((2,), (2, 1)), ((3,), (1,)), ((2, 3), (2, 1)),
    ((2, 3), (3,)),
])  # fmt: skip
def test_masks_that_do_not_fit(put, shape, mask):
    x, mask = put(numpy.ones(shape)), put(numpy.zeros(mask, bool))
    for key in (mask, numpy.asarray(mask)):
        for refusal in (IndexError, tensord.ShapeError):
            with pytest.raises(refusal, match="mask"):
                x[key]
            with pytest.raises(refusal, match="mask"):
                x[key] = 1


def test_diagonals_beyond_every_array(client, put):
    x = put(numpy.ones((2, 3)))
    far = 2**70
    assert tensord.eye(2, 3, k=far, client=client).tolist() == [[0] * 3] * 2
    assert tensord.eye(2, 3, k=-far, client=client).tolist() == [[0] * 3] * 2
    assert tensord.tril(x, k=far).tolist() == tensord.triu(x, k=-far).tolist() == [[1] * 3] * 2
    assert tensord.tril(x, k=-far).tolist() == tensord.triu(x, k=far).tolist() == [[0] * 3] * 2
    assert tensord.linalg.diagonal(x, offset=far).shape == (0,)
    assert tensord.linalg.trace(x, offset=-far).item() == 0


BEYOND = 2**63 + 1


@pytest.mark.parametrize("elements", [
    [1, BEYOND], (BEYOND, 0), [[0, 2**64 - 1], [True, 7]], [numpy.uint64(BEYOND), 1], [BEYOND],
])  # fmt: skip
def test_integers_beyond_int64(client, elements):
    """numpy holds a list of small and large ones for floats, and loses their last digits."""
    wanted = numpy.array(elements, object).astype("uint64")
    is_same = numpy.testing.assert_array_equal
    got = tensord.asarray(elements, dtype="uint64", client=client)
    assert got.dtype == "uint64" and got.shape == wanted.shape
    is_same(got, wanted)
    is_same(tensord.assign(got * 0, slice(None), elements), wanted)
    got *= 0
    got[...] = elements
    is_same(got, wanted)


def test_integers_beyond_their_dtype(client):
    pairs = (([0, 2**64], "uint64"), ([-1, BEYOND], "uint64"), ([1, BEYOND], "int64"))
    for elements, dtype in pairs:
        with pytest.raises(OverflowError, match=f"does not fit {dtype}"):
            tensord.asarray(elements, dtype=dtype, client=client)
        with pytest.raises(OverflowError, match=f"does not fit {dtype}"):
            tensord.zeros(2, dtype=dtype, client=client)[...] = elements
    assert tensord.asarray([], dtype="int8", client=client).dtype == "int8"
    assert tensord.asarray([1.5, 3], dtype="int8", client=client).tolist() == [1, 3]


def test_shapes_are_not_written(put):
    """What an array is does not change under it."""
    x = put([1, 2, 3])
    with pytest.raises(AttributeError):
        x.shape = (3, 1)
    with pytest.raises(AttributeError):
        tensord.jit(lambda x: setattr(x, "shape", (9,)))(x)
    assert (x + 1).shape == (3,)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_only_matrices_have_a_matrix_transpose(put, shape):
    x = put(numpy.ones(shape))
    for transpose in (lambda x: x.mT, tensord.matrix_transpose, tensord.linalg.matrix_transpose):
        with pytest.raises(tensord.ShapeError, match="matrix"):
            transpose(x)


@pytest.mark.parametrize("to", ["int8", "uint64", "float32", "float64"])
def test_complex_numbers_do_not_become_real_ones(client, put, to):
    """Which part is meant is to be said."""
    x = put([1 + 2j, 3])
    real = put([0, 0], to)

    def assign_where(mask):
        real[mask] = x

    for call in (
        lambda: x.astype(to), lambda: tensord.astype(x, to), lambda: tensord.asarray(x, dtype=to),
        lambda: tensord.asarray([1j], dtype=to, client=client),
        lambda: tensord.asarray(numpy.array([1j]), dtype=to, client=client),
        lambda: tensord.full(2, 1j, dtype=to, client=client), lambda: tensord.full_like(real, 1j),
        lambda: tensord.sum(x, dtype=to), lambda: x.sum(dtype=to),
        lambda: tensord.cumulative_prod(x, dtype=to),
        lambda: tensord.jit(lambda x: x.astype(to))(x),
        lambda: assign_where(put([True, False])), lambda: assign_where(slice(None)),
    ):
        with pytest.raises(tensord.DtypeError, match="real"):
            call()
    assert tensord.astype(tensord.imag(x), to).tolist() == [2, 0] and real.tolist() == [0, 0]
    assert x.astype("bool").tolist() == [True, True]


PARTS = [0.0, 0.5, 1.0, 1.5707, 3.0, 100.0, 1e-30, 1e30, inf, nan]
ALL_PARTS = PARTS + [-x for x in PARTS]


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name, sign", [
    ("atan", -1), ("atanh", -1), ("asin", -1), ("asinh", -1), ("sin", -1), ("sinh", -1),
    ("tan", -1), ("tanh", -1), ("cos", 1), ("cosh", 1),
])  # fmt: skip
def test_odd_and_even_functions(put, name, sign, dtype):
    """f(-z) is f(z) or its negative, bit for bit, where both are numbers."""
    z = numpy.array([complex(x, y) for x in ALL_PARTS for y in ALL_PARTS], dtype)
    function = getattr(tensord, name)
    got, mirrored = (numpy.asarray(function(put(z))) for z in (z, -z))
    for part in ("real", "imag"):
        x, y = getattr(got, part), sign * getattr(mirrored, part)
        is_number = numpy.isfinite(x)
        numpy.testing.assert_array_equal(is_number, numpy.isfinite(y))
        numpy.testing.assert_array_equal(x[is_number], y[is_number])
