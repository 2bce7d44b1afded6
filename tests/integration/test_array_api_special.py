# SPDX-License-Identifier: MIT
"""What the array API standard 2024.12 says of special cases, beyond the tables ops_*_special.py.

Those have values along lines and of whole operations; here are dtypes of results, Python numbers
among operands, shapes at the edge, and what is refused. Answers are written out or computed with
Python's integers, not by numpy, whose versions differ.
"""

import itertools
import math

import numpy
import pytest
from ops_kit import ALL, COMPLEX, FLOAT, SIGNED, UNSIGNED

import tensord

pytestmark = pytest.mark.plain

INTEGERS = SIGNED + UNSIGNED
inf, nan = math.inf, math.nan


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def is_same(got, wanted, dtype=None, ulps=0):
    """Values, zeros by their signs, NaN wherever NaN is wanted; dtype and shape if given."""
    got = numpy.asarray(got)
    wanted = numpy.asarray(wanted, dtype or got.dtype)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if ulps:
        numpy.testing.assert_array_max_ulp(got, wanted, ulps)
    else:
        numpy.testing.assert_array_equal(got, wanted)
    if got.dtype.kind == "f":
        zero = wanted == 0
        numpy.testing.assert_array_equal(numpy.signbit(got[zero]), numpy.signbit(wanted[zero]))


# ---- dtypes of results ----


def wide(dtype):
    """What sum, prod and their scans accumulate and yield."""
    return {"i": "int64", "b": "int64", "u": "uint64"}.get(numpy.dtype(dtype).kind, dtype)


@pytest.mark.parametrize("dtype", ALL)
def test_sums_have_the_standards_dtype(put, dtype):
    for shape in ((2, 2), (0, 2), (1, 0)):
        x = put(numpy.ones(shape), dtype)
        for function in (tensord.sum, tensord.prod):
            for keywords in ({}, {"axis": 0}, {"axis": (0, 1)}, {"keepdims": True}):
                assert function(x, **keywords).dtype == wide(dtype)
        for function in (tensord.cumulative_sum, tensord.cumulative_prod):
            assert function(x, axis=1).dtype == wide(dtype)
            assert function(x, axis=0, include_initial=True).dtype == wide(dtype)
        assert tensord.linalg.trace(x).dtype == wide(dtype)
    assert tensord.sum(put(1, dtype)).dtype == wide(dtype)


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("to", ALL)
def test_sums_of_a_dtype(put, dtype, to):
    """Elements are cast before they are added up."""
    x = put([[1, 1, 0], [1, 0, 1]], dtype)
    if dtype in COMPLEX and to not in ["bool", *COMPLEX]:
        with pytest.raises(tensord.DtypeError, match="take real"):
            tensord.sum(x, dtype=to)
        return
    ones = 1 if to == "bool" else 4
    is_same(tensord.sum(x, dtype=to), ones, to)
    is_same(tensord.prod(x, axis=0, dtype=to), [1, 0, 0], to)
    is_same(tensord.cumulative_sum(x, axis=1, dtype=to), [[1, min(ones, 2), min(ones, 2)],
                                                          [1, 1, min(ones, 2)]], to)
    is_same(tensord.cumulative_prod(x, axis=0, dtype=to, include_initial=True),
            [[1, 1, 1], [1, 1, 0], [1, 0, 0]], to)
    is_same(tensord.linalg.trace(x, offset=1, dtype=to), min(ones, 2), to)


def test_sums_are_cast_before(put):
    x = put([200, 100, 100], "uint8")
    is_same(tensord.sum(x, dtype="uint8"), 144, "uint8")
    is_same(tensord.sum(x, dtype="int8"), -112, "int8")
    is_same(tensord.prod(put([0.5, 4.0]), dtype="int64"), 0, "int64")
    is_same(tensord.cumulative_sum(put([0.5, 0.5, 1.9]), dtype="int32"), [0, 0, 1], "int32")
    is_same(tensord.sum(put([1e300, -1e300, 1.0]), dtype="float32"), nan, "float32")


@pytest.mark.parametrize("dtype", ALL)
def test_dtypes_that_follow_from_the_operands(put, dtype):
    x = put([[1, 0], [1, 1]], dtype)
    kind = numpy.dtype(dtype).kind
    floating = dtype if kind in "fc" else "float64"
    real = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    assert tensord.mean(x).dtype == floating
    assert tensord.count_nonzero(x).dtype == tensord.int64
    assert tensord.any(x).dtype == tensord.all(x, axis=0).dtype == tensord.bool
    assert tensord.std(x).dtype == (real if kind == "c" else floating)
    assert tensord.real(x).dtype == tensord.imag(x).dtype == real
    if kind != "b":
        assert tensord.abs(x).dtype == real
        assert tensord.square(x).dtype == tensord.positive(x).dtype == dtype
    if kind != "c":
        assert tensord.max(x).dtype == tensord.sort(x).dtype == dtype
        assert tensord.argmax(x).dtype == tensord.argsort(x).dtype == tensord.int64
        assert tensord.searchsorted(x[:, 1], x).dtype == tensord.int64
    if kind in "iuf":
        assert tensord.floor(x).dtype == tensord.ceil(x).dtype == tensord.trunc(x).dtype == dtype
    values, indices, inverse, counts = tensord.unique_all(x)
    assert values.dtype == dtype
    assert {indices.dtype, inverse.dtype, counts.dtype} == {tensord.int64}
    assert [index.dtype for index in tensord.nonzero(x)] == [tensord.int64] * 2
    for view in (tensord.flip(x), tensord.roll(x, 1), tensord.repeat(x, 2), tensord.tile(x, (2, 1)),
                 tensord.tril(x), tensord.concat([x, x]), tensord.stack([x, x]),
                 tensord.take(x, put([0]), axis=0), tensord.linalg.diagonal(x),
                 tensord.take_along_axis(x, put([[0], [1]])), tensord.clip(x)):
        assert view.dtype == dtype


# ---- Python numbers among operands ----

WEAK = [  # (dtype, number, dtype of the result)
    *((dtype, True, dtype) for dtype in ALL),
    ("bool", 2, "int64"), *((dtype, 2, dtype) for dtype in ALL[1:]),
    *((dtype, 2.5, "float64") for dtype in ["bool", *INTEGERS]),
    *((dtype, 2.5, dtype) for dtype in FLOAT + COMPLEX),
    *((dtype, 2j, "complex128") for dtype in ["bool", *INTEGERS, "float64", "complex128"]),
    ("float32", 2j, "complex64"), ("complex64", 2j, "complex64"),
]


@pytest.mark.parametrize("dtype, number, result", WEAK)
def test_numbers_take_the_dtype_of_what_they_meet(put, dtype, number, result):
    x = put([1, 0, 1], dtype)
    calls = [
        (tensord.add(x, number), tensord.add(number, x)), (x * number, number * x),
        (tensord.where(put([True, False, True]), x, number),
         tensord.where(put([False, True, False]), number, x)),
    ]
    if number.real == number and numpy.dtype(dtype).kind != "c":
        calls += [(tensord.maximum(x, number), tensord.maximum(number, x))]
    for got, reflected in calls:
        assert got.dtype == reflected.dtype == result
        assert got.tolist() == reflected.tolist()
    assert tensord.result_type(x, number) == result


def test_numbers_alone(put):
    condition = put([True, False])
    is_same(tensord.where(condition, 1, 2.5), [1.0, 2.5], "float64")
    is_same(tensord.where(condition, True, False), [True, False], "bool")
    is_same(tensord.where(condition, 1j, 0), [1j, 0], "complex128")
    is_same(tensord.where(condition, 7, True), [7, 1], "int64")


def test_where_of_any_condition(client, put):
    x, y = put([1.5, -0.0, nan]), put([7.0, 8.0, 9.0])
    is_same(tensord.where(True, x, y), [1.5, -0.0, nan], "float64")
    is_same(tensord.where(False, x, 3), [3, 3, 3], "float64")
    is_same(tensord.where(put(True), x, y), [1.5, -0.0, nan], "float64")
    for condition in (put([2, 0, -1], "int8"), put([nan, -0.0, 5e-324]), put([1j, 0, -1j]),
                      [0.5, 0, 1], numpy.array([1, 0, 256], "int16"), (True, False, True)):
        is_same(tensord.where(condition, x, y), [1.5, 8.0, nan], "float64")
    is_same(tensord.where(put([[True], [False]]), put([1, 2], "int8"), put(300, "int16")),
            [[1, 2], [300, 300]], "int16")
    with pytest.raises(tensord.ShapeError):
        tensord.where(put([True, False]), x, y)
    with pytest.raises(OverflowError, match="300 does not fit int8"):
        tensord.where(put([True]), put([1], "int8"), 300)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_comparisons_with_any_integer(put, dtype):
    """What the dtype does not have is compared all the same, and other operations refuse it."""
    limits = numpy.iinfo(dtype)
    elements = [int(limits.min), 0, int(limits.max)]
    x = put(elements, dtype)
    for number in (*elements, -1, 300, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30):
        for function, compare in (
            (tensord.equal, int.__eq__), (tensord.not_equal, int.__ne__),
            (tensord.less, int.__lt__), (tensord.less_equal, int.__le__),
            (tensord.greater, int.__gt__), (tensord.greater_equal, int.__ge__),
        ):
            assert function(x, number).tolist() == [compare(e, number) for e in elements]
            assert function(number, x).tolist() == [compare(number, e) for e in elements]
        if not limits.min <= number <= limits.max:
            for function in (tensord.add, tensord.bitwise_and, tensord.floor_divide):
                with pytest.raises(OverflowError):
                    function(x, number)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_floats_of_integers_and_any_integer(put, dtype):
    """What computes in floats takes integers that the dtype does not have."""
    x = put([1, 100, 0], dtype)
    for number in (256, -3, 2**64, 10**30):
        real = float(number)
        is_same(tensord.divide(x, number), [1 / real, 100 / real, 0 / real], "float64")
        is_same(tensord.divide(number, x), [real, real / 100, math.copysign(inf, real)], "float64")
        is_same(tensord.hypot(x, number), [math.hypot(v, number) for v in (1, 100, 0)], "float64",
                ulps=1)
        is_same(tensord.atan2(number, x), [math.atan2(number, v) for v in (1, 100, 0)], "float64",
                ulps=1)
        is_same(tensord.copysign(x, number), [math.copysign(v, number) for v in (1, 100, 0)],
                "float64")
        is_same(tensord.logical_and(x, number), [True, True, False], "bool")
        is_same(tensord.logical_xor(x, number), [False, False, True], "bool")
    with pytest.raises(OverflowError):
        tensord.divide(x, 10**400)


def test_numbers_that_do_not_fit_are_refused_on_their_line(client):
    program = tensord.Program()
    x = program.op("zeros", shape=(2,), dtype="int8")
    with pytest.raises(OverflowError, match="200 does not fit int8"):
        x + 200
    for fill in (300, -129):
        for call in (lambda: tensord.full(3, fill, dtype="int8", client=client),
                     lambda: tensord.full_like(client.put([1, 2]), fill, dtype="int8")):
            with pytest.raises(OverflowError, match=f"{fill} does not fit int8"):
                call()
    is_same(tensord.full(2, 300, dtype="float32", client=client), [300, 300], "float32")
    is_same(tensord.full((), True, dtype="int8", client=client), 1, "int8")


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOAT, "bool"])
def test_clip_with_numbers(put, dtype):
    x = put([0, 1, 1, 0], dtype)
    result = dtype if dtype != "bool" else "int64"
    is_same(tensord.clip(x, 1), [1, 1, 1, 1], result)
    is_same(tensord.clip(x, max=0), [0, 0, 0, 0], result)
    is_same(tensord.clip(x, min=0, max=1), [0, 1, 1, 0], result)
    is_same(tensord.clip(x, False, True), [0, 1, 1, 0], dtype)
    is_same(tensord.clip(x, None, None), [0, 1, 1, 0], dtype)
    if dtype in INTEGERS:
        is_same(tensord.clip(x, -(2**64), 2**64), [0, 1, 1, 0], dtype)
        is_same(tensord.clip(x, 0.5, 0.75), [0.5, 0.75, 0.75, 0.5], "float64")
        for bounds in ({"min": 2**64}, {"max": -(2**64)}):
            with pytest.raises(OverflowError):
                tensord.clip(x, **bounds)


def test_clip_broadcasts_and_promotes(put):
    x = put([[1, 5], [9, 3]], "int8")
    is_same(tensord.clip(x, put([2, 4], "int8"), put([[6], [5]], "int8")), [[2, 5], [5, 4]], "int8")
    is_same(tensord.clip(x, put(2, "int16"), None), [[2, 5], [9, 3]], "int16")
    is_same(tensord.clip(put([1, 9], "int8"), put(2, "uint8"), put(4.0, "float32")), [2, 4],
            "float32")
    is_same(tensord.clip(put([-0.0, nan], "float32"), -1, 1), [-0.0, nan], "float32")
    is_same(tensord.clip([1, 2, 3], 2), [2, 2, 3], "int64")


# ---- integers: signs of quotients and remainders ----


@pytest.mark.parametrize("dtype", INTEGERS)
def test_floor_divide_and_remainder(put, dtype):
    limits = numpy.iinfo(dtype)
    some = {limits.min, limits.min + 1, -7, -2, -1, 0, 1, 2, 7, limits.max - 1, limits.max}
    pairs = [(int(a), int(b)) for a, b in itertools.product(some, some)
             if a >= limits.min and b >= limits.min and b and (a, b) != (limits.min, -1)]
    a, b = (put(column, dtype) for column in zip(*pairs))
    quotient = [a // b for a, b in pairs]
    rest = [a % b for a, b in pairs]
    is_same(tensord.floor_divide(a, b), quotient, dtype)
    is_same(tensord.remainder(a, b), rest, dtype)
    is_same(a // b, quotient, dtype)
    is_same(a % b, rest, dtype)
    is_same(tensord.floor_divide(a, b) * b + a % b, [a for a, _ in pairs], dtype)
    for number in (3, -3) if limits.min < 0 else (3, 100):
        one = [a for a, _ in pairs]
        is_same(a // number, [x // number for x in one], dtype)
        is_same(tensord.remainder(a, number), [x % number for x in one], dtype)
        is_same(number // b, [number // y for _, y in pairs], dtype)
        is_same(tensord.remainder(number, b), [number % y for _, y in pairs], dtype)


@pytest.mark.parametrize("dtype", FLOAT)
def test_floor_divide_and_remainder_of_floats(put, dtype):
    rows = [  # x1, x2, quotient, remainder; a zero's sign is the quotient's, or the divisor's
        (7.0, 2.0, 3.0, 1.0), (-7.0, 2.0, -4.0, 1.0), (7.0, -2.0, -4.0, -1.0),
        (-7.0, -2.0, 3.0, -1.0), (0.0, -3.0, -0.0, -0.0), (-0.0, -3.0, 0.0, -0.0),
        (-0.0, 3.0, -0.0, 0.0), (6.0, -3.0, -2.0, -0.0), (-6.0, 3.0, -2.0, 0.0),
        (1.0, -inf, -1.0, -inf), (-1.0, -inf, 0.0, -1.0), (0.0, inf, 0.0, 0.0),
        (inf, inf, nan, nan), (inf, -inf, nan, nan), (nan, 1.0, nan, nan), (1.0, nan, nan, nan),
        (0.0, 0.0, nan, nan), (-0.0, 0.0, nan, nan),
    ]
    x1, x2, quotient, rest = (put(column, dtype) for column in zip(*rows))
    is_same(tensord.floor_divide(x1, x2), numpy.asarray(quotient), dtype)
    is_same(tensord.remainder(x1, x2), numpy.asarray(rest), dtype)


# ---- sign bits and neighbours ----


@pytest.mark.parametrize("dtype", FLOAT)
def test_signbit_and_copysign(put, dtype):
    minus_nan = numpy.copysign(numpy.array(nan, dtype), -1)
    x = put([0.0, -0.0, 1.0, -1.0, inf, -inf, abs(minus_nan), minus_nan, -5e-324], dtype)
    signs = [False, True, False, True, False, True, False, True, True]
    is_same(tensord.signbit(x), signs, "bool")
    is_same(tensord.signbit(tensord.copysign(put([nan, 3.0, -0.0, inf], dtype)[:, None], x)),
            [signs] * 4, "bool")
    is_same(tensord.copysign(put([0.0, -0.0, 2.5, -inf], dtype), put(minus_nan, dtype)),
            [-0.0, -0.0, -2.5, -inf], dtype)
    is_same(tensord.copysign(put([2.0, -2.0], dtype), -0.0), [-2.0, -2.0], dtype)
    is_same(tensord.copysign(3, put([2.0, -2.0], dtype)), [3.0, -3.0], dtype)


@pytest.mark.parametrize("dtype", FLOAT)
def test_nextafter(put, dtype):
    info = tensord.finfo(dtype)
    tiny = {"float32": 2.0**-149, "float64": 5e-324}[dtype]
    rows = [
        (0.0, 1.0, tiny), (0.0, -1.0, -tiny), (-0.0, 1.0, tiny), (tiny, 0.0, 0.0),
        (-tiny, 0.0, -0.0), (0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (1.0, 1.0, 1.0),
        (1.0, 2.0, 1.0 + info.eps), (1.0, 0.0, 1.0 - info.eps / 2), (info.max, inf, inf),
        (inf, 0.0, info.max), (-inf, inf, info.min), (inf, inf, inf), (nan, 1.0, nan),
        (1.0, nan, nan), (info.smallest_normal, 0.0, info.smallest_normal - tiny),
    ]
    x1, x2, wanted = (put(column, dtype) for column in zip(*rows))
    is_same(tensord.nextafter(x1, x2), numpy.asarray(wanted), dtype)
    is_same(tensord.nextafter(put([1.0], dtype), 2), [1.0 + info.eps], dtype)


@pytest.mark.parametrize("dtype", FLOAT)
def test_hypot(put, dtype):
    big = tensord.finfo(dtype).max / 2
    rows = [
        (3.0, -4.0, 5.0), (inf, nan, inf), (nan, -inf, inf), (-inf, 1.0, inf), (nan, 1.0, nan),
        (1.0, nan, nan), (nan, nan, nan), (0.0, -0.0, 0.0), (-0.0, -0.0, 0.0), (-2.5, 0.0, 2.5),
        (big, 0.0, big), (inf, -inf, inf),
    ]
    x1, x2, wanted = (put(column, dtype) for column in zip(*rows))
    is_same(tensord.hypot(x1, x2), numpy.asarray(wanted), dtype)
    is_same(tensord.hypot(x2, x1), numpy.asarray(wanted), dtype)
    assert tensord.hypot(put(big, dtype), put(big, dtype)).item() < inf
    assert tensord.hypot(put(0.75 * big * 2, dtype), put(big * 2, dtype)).item() == inf


# ---- searching ----


def test_searchsorted(put):
    x1 = put([1, 3, 3, 5])
    for side, wanted in (("left", [[0, 0, 1], [3, 4, 1]]), ("right", [[0, 1, 1], [4, 4, 3]])):
        is_same(tensord.searchsorted(x1, put([[0, 1, 2], [5, 9, 3]]), side=side), wanted, "int64")
    is_same(tensord.searchsorted(x1, put(4)), 3, "int64")
    is_same(tensord.searchsorted(x1, 3, side="right"), 3, "int64")
    is_same(tensord.searchsorted(x1, put(numpy.zeros((0, 2)))), numpy.zeros((0, 2)), "int64")
    mixed, order = put([5, 1, 3, 3]), put([1, 2, 3, 0], "int16")
    is_same(tensord.searchsorted(mixed, put([0, 3, 6]), sorter=order), [0, 1, 4], "int64")
    is_same(tensord.searchsorted(mixed, put([3]), sorter=order, side="right"), [3], "int64")
    for call, kind in ((lambda: tensord.searchsorted(x1, x1, side="middle"), ValueError),
                       (lambda: tensord.searchsorted(put([[1]]), x1), tensord.ShapeError),
                       (lambda: tensord.searchsorted(put(1), x1), tensord.ShapeError),
                       (lambda: tensord.searchsorted(x1, x1, sorter=put([0.0])), TypeError)):
        with pytest.raises(kind):
            call()


def test_nonzero(put):
    for x in (put(1), put(0), put(True), 5, numpy.float64(2)):
        with pytest.raises(tensord.ShapeError, match="nonzero"):
            tensord.nonzero(x)
    assert [i.shape for i in tensord.nonzero(put(numpy.zeros((0, 3))))] == [(0,), (0,)]
    rows, columns = tensord.nonzero(put([[0, 1], [2, 0]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    assert isinstance(tensord.nonzero(put([1])), tuple)


def test_count_nonzero(put):
    x = put([[[0, 1], [2, 0]], [[0, 0], [3, 4]]], "int8")
    is_same(tensord.count_nonzero(x), 4, "int64")
    is_same(tensord.count_nonzero(x, axis=0), [[0, 1], [2, 1]], "int64")
    is_same(tensord.count_nonzero(x, axis=(0, -1)), [1, 3], "int64")
    is_same(tensord.count_nonzero(x, axis=(2, 1), keepdims=True), [[[2]], [[2]]], "int64")
    is_same(tensord.count_nonzero(x, keepdims=True), [[[4]]], "int64")
    is_same(tensord.count_nonzero(put(7.0)), 1, "int64")
    is_same(tensord.count_nonzero(put(numpy.zeros((0, 2))), axis=0), [0, 0], "int64")
    for axis in (3, -4, (0, 0), (1, -2)):
        with pytest.raises(tensord.AxisError):
            tensord.count_nonzero(x, axis=axis)


def test_argmax_goes_along_one_axis_or_all(put):
    x = put([[1, 9], [9, 0]])
    is_same(tensord.argmax(x), 1, "int64")
    is_same(tensord.argmax(x, keepdims=True), [[1]], "int64")
    is_same(tensord.argmin(x, axis=-1, keepdims=True), [[0], [1]], "int64")
    is_same(tensord.argmax(put(5)), 0, "int64")
    with pytest.raises((TypeError, ValueError)):
        tensord.argmax(x, axis=(0, 1))


# ---- sets ----


def test_unique_shapes(put):
    x = put([[3, 1], [1, 2]], "uint8")
    result = tensord.unique_all(x)
    assert result._fields == ("values", "indices", "inverse_indices", "counts")
    is_same(result.values, [1, 2, 3], "uint8")
    is_same(result.indices, [1, 3, 0], "int64")
    is_same(result.inverse_indices, [[2, 0], [0, 1]], "int64")
    is_same(result.counts, [2, 1, 1], "int64")
    assert tensord.unique_counts(x)._fields == ("values", "counts")
    inverse = tensord.unique_inverse(x)
    assert inverse._fields == ("values", "inverse_indices")
    is_same(tensord.take(inverse.values, tensord.reshape(inverse.inverse_indices, -1)),
            [3, 1, 1, 2], "uint8")
    is_same(tensord.unique_values(put(5)), [5], "int64")
    is_same(tensord.unique_inverse(put(numpy.zeros((2, 0)))).inverse_indices, numpy.zeros((2, 0)),
            "int64")


# ---- creation ----


def test_linspace(client):
    def linspace(*args, **keywords):
        return tensord.linspace(*args, client=client, **keywords)

    is_same(linspace(0, 1, num=3), [0.0, 0.5, 1.0], "float64")
    is_same(linspace(5, 1, 3), [5.0, 3.0, 1.0], "float64")
    is_same(linspace(0, 1, 1, dtype="float32"), [0.0], "float32")
    is_same(linspace(1 + 1j, 2, 3), [1 + 1j, 1.5 + 0.5j, 2], "complex128")
    is_same(linspace(0, 2, 3, dtype="complex64"), [0, 1, 2], "complex64")
    is_same(linspace(0, 2, 2, endpoint=False, dtype="float32"), [0.0, 1.0], "float32")
    is_same(linspace(True, 3, 3), [1.0, 2.0, 3.0], "float64")
    is_same(linspace(-1, 1, 4, dtype="int64"), [-1, -1, 0, 1], "int64")  # rounded down, as numpy's
    is_same(linspace(0, 200, 3, dtype="uint8", endpoint=False), [0, 66, 133], "uint8")
    for n in (2, 3, 7, 1000):
        for dtype in FLOAT:  # both ends as they are in the dtype, ascending between
            got = numpy.asarray(linspace(-0.1, 1 / 3, n, dtype=dtype))
            assert got[0] == numpy.array(-0.1, dtype) and got[-1] == numpy.array(1 / 3, dtype)
            assert (numpy.diff(got) > 0).all() and got.shape == (n,)
    with pytest.raises(TypeError):
        linspace(0, 1, 2.5)
    with pytest.raises(TypeError):
        linspace(0, 1)


def test_arange(client):
    def arange(*args, **keywords):
        return tensord.arange(*args, client=client, **keywords)

    is_same(arange(3), [0, 1, 2], "int64")
    is_same(arange(3, step=2), [0, 2], "int64")
    is_same(arange(1, stop=6, step=2), [1, 3, 5], "int64")
    is_same(arange(3.0), [0.0, 1.0, 2.0], "float64")
    is_same(arange(0, 3, 1.0), [0.0, 1.0, 2.0], "float64")
    is_same(arange(-3), [], "int64")
    is_same(arange(2, -3, -2), [2, 0, -2], "int64")
    is_same(arange(0, 1, 0.25, dtype="float32"), [0.0, 0.25, 0.5, 0.75], "float32")
    is_same(arange(3.0, dtype="int8"), [0, 1, 2], "int8")
    is_same(arange(2.0**53, 2.0**53 + 4, 2, dtype="int64"), [2**53, 2**53 + 2], "int64")
    is_same(arange(3, dtype="complex64"), [0, 1, 2], "complex64")
    is_same(arange(250, 256, dtype="uint8"), [250, 251, 252, 253, 254, 255], "uint8")
    is_same(arange(2**63 - 2, 2**63 - 1), [2**63 - 2], "int64")
    is_same(arange(2**53, 2**53 + 3), [2**53, 2**53 + 1, 2**53 + 2], "int64")
    for stop, step in ((1.0, 0.1), (0.7, 0.1), (2.0, 0.3)):
        assert arange(0, stop, step).shape == (math.ceil(stop / step),)
    for bad in ((0, 5, 0), (0.0, 1.0, 0.0), (inf,), (nan,)):
        with pytest.raises(ValueError):
            arange(*bad)
    with pytest.raises(tensord.DtypeError, match="floats"):
        arange(0, 1, 0.1, dtype="int8")
    for bad in (inf, nan):
        with pytest.raises(tensord.TensordError):
            arange(bad, dtype="int8")


def test_eye_and_full(client):
    is_same(tensord.eye(2, 3, k=1, client=client), [[0, 1, 0], [0, 0, 1]], "float64")
    is_same(tensord.eye(0, client=client), numpy.zeros((0, 0)), "float64")
    is_same(tensord.eye(2, None, dtype="complex64", client=client), [[1, 0], [0, 1]], "complex64")
    for value, dtype in ((True, "bool"), (3, "int64"), (2.5, "float64"), (1j, "complex128")):
        is_same(tensord.full((2,), value, client=client), [value] * 2, dtype)
        is_same(tensord.full(shape=2, fill_value=value, client=client), [value] * 2, dtype)
    is_same(tensord.full((), nan, client=client), nan, "float64")
    assert tensord.full((3, 0), 1, client=client).shape == (3, 0)


def test_meshgrid(put):
    assert tensord.meshgrid() == []
    (one,) = tensord.meshgrid(put([1, 2]))
    is_same(one, [1, 2], "int64")
    for indexing, shape in (("xy", (3, 2, 4)), ("ij", (2, 3, 4))):
        grids = tensord.meshgrid(put([0, 1]), put([0.0] * 3), put([0j] * 4), indexing=indexing)
        assert [grid.shape for grid in grids] == [shape] * 3
        assert [grid.dtype for grid in grids] == ["int64", "float64", "complex128"]


# ---- movement ----


def test_repeat(put):
    x = put([[1, 2], [3, 4]])
    is_same(tensord.repeat(x, 2), [1, 1, 2, 2, 3, 3, 4, 4], "int64")
    is_same(tensord.repeat(x, put([2], "uint8"), axis=-1), [[1, 1, 2, 2], [3, 3, 4, 4]], "int64")
    is_same(tensord.repeat(x, put([0, 2], "int16"), axis=0), [[3, 4], [3, 4]], "int64")
    is_same(tensord.repeat(x, put([1, 0, 2, 0])), [1, 3, 3], "int64")
    is_same(tensord.repeat(x, put(2), axis=0), [[1, 2], [1, 2], [3, 4], [3, 4]], "int64")
    is_same(tensord.repeat(put(7), 3), [7, 7, 7], "int64")
    is_same(tensord.repeat(x, 0, axis=1), numpy.zeros((2, 0)), "int64")
    for repeats, axis, kind in ((put([1, 2, 3]), 0, ValueError), (put([1.0, 2.0]), 0, ValueError),
                                (put([[1, 2]]), 0, ValueError), (2, 2, IndexError),
                                (put([1, -1]), 1, ValueError)):
        with pytest.raises(kind):
            tensord.repeat(x, repeats, axis=axis)


def test_tile(put):
    x = put([[1, 2]], "int8")
    is_same(tensord.tile(x, ()), [[1, 2]], "int8")
    is_same(tensord.tile(x, (2,)), [[1, 2, 1, 2]], "int8")
    is_same(tensord.tile(x, (2, 1, 2)), [[[1, 2, 1, 2]]] * 2, "int8")
    is_same(tensord.tile(x, (0, 1)), numpy.zeros((0, 2)), "int8")
    is_same(tensord.tile(put(5), (2, 2)), [[5, 5], [5, 5]], "int64")
    is_same(tensord.tile(put(5), ()), 5, "int64")


def test_diff(put):
    x = put([[1, 4, 9], [16, 25, 36]])
    is_same(tensord.diff(x), [[3, 5], [9, 11]], "int64")
    is_same(tensord.diff(x, axis=0), [[15, 21, 27]], "int64")
    is_same(tensord.diff(x, n=2), [[2], [2]], "int64")
    is_same(tensord.diff(x, n=0), [[1, 4, 9], [16, 25, 36]], "int64")
    is_same(tensord.diff(x, prepend=put([[0], [0]])), [[1, 3, 5], [16, 9, 11]], "int64")
    is_same(tensord.diff(x, axis=0, append=put([[0, 0, 0], [1, 1, 1]])),
            [[15, 21, 27], [-16, -25, -36], [1, 1, 1]], "int64")
    is_same(tensord.diff(x, n=2, prepend=put([[0, 0], [0, 0]]), append=put([[0], [0]])),
            [[1, 2, 2, -14], [16, -7, 2, -47]], "int64")
    is_same(tensord.diff(put([1, 4, 9]), prepend=0, append=10), [1, 3, 5, 1], "int64")
    is_same(tensord.diff(put([True, False, False])), [True, False], "bool")
    is_same(tensord.diff(put([5, 3], "uint8"), n=1), [254], "uint8")
    for keywords, kind in (({"axis": 2}, IndexError), ({"n": -1}, ValueError),
                           ({"prepend": put([[0]])}, ValueError)):
        with pytest.raises(kind):
            tensord.diff(x, **keywords)
    with pytest.raises(IndexError):
        tensord.diff(put(1))


def test_take_along_axis(put):
    x = put([[10, 20, 30], [40, 50, 60]])
    is_same(tensord.take_along_axis(x, put([[0, -1], [1, 1]])), [[10, 30], [50, 50]], "int64")
    is_same(tensord.take_along_axis(x, put([[0], [2]]), axis=-1), [[10], [60]], "int64")
    is_same(tensord.take_along_axis(x, put([[1, 0, 1]], "uint8"), axis=0), [[40, 20, 60]], "int64")
    is_same(tensord.take_along_axis(x, put([[1]]), axis=1), [[20], [50]], "int64")
    is_same(tensord.take_along_axis(x[:1], put([[0], [1], [-1]]), axis=1), [[10], [20], [30]],
            "int64")
    is_same(tensord.take_along_axis(x, tensord.argsort(x, descending=True)),
            [[30, 20, 10], [60, 50, 40]], "int64")
    is_same(tensord.take_along_axis(x, put(numpy.zeros((2, 0), "int64"))), numpy.zeros((2, 0)),
            "int64")
    for indices, axis, kind in ((put([0, 1]), -1, ValueError), (put([[3], [0]]), 1, IndexError),
                                (put([[0.0], [1.0]]), 1, TypeError),
                                (put([[0], [0]]), 2, IndexError)):
        with pytest.raises(kind):
            tensord.take_along_axis(x, indices, axis=axis)


def test_take(put):
    x = put([[10, 20, 30], [40, 50, 60]])
    is_same(tensord.take(x, put([-1, 0]), axis=1), [[30, 10], [60, 40]], "int64")
    is_same(tensord.take(x, put([1]), axis=-2), [[40, 50, 60]], "int64")
    is_same(tensord.take(put([1, 2]), put([], "int8")), [], "int64")
    with pytest.raises(ValueError, match="axis|axes"):
        tensord.take(x, put([0]))


def test_shapes_that_are_refused(put):
    x = put([[1, 2], [3, 4]])
    for call, kind in (
        (lambda: tensord.squeeze(x, 0), ValueError), (lambda: tensord.squeeze(x, 5), IndexError),
        (lambda: tensord.expand_dims(x, -4), IndexError),
        (lambda: tensord.stack([x, x[0]]), ValueError),
        (lambda: tensord.concat([x, put([1])]), ValueError),
        (lambda: tensord.concat([]), ValueError),
        (lambda: tensord.concat([x, x], axis=2), IndexError),
        (lambda: tensord.broadcast_to(x, (2,)), ValueError),
        (lambda: tensord.broadcast_arrays(x, put([1, 2, 3])), ValueError),
        (lambda: tensord.permute_dims(x, (0, 0)), ValueError),
        (lambda: tensord.permute_dims(x, (0,)), ValueError),
        (lambda: tensord.reshape(x, (3, -1)), ValueError),
        (lambda: tensord.reshape(x, (-1, -1)), ValueError),
        (lambda: tensord.moveaxis(x, (0, 0), (0, 1)), ValueError),
        (lambda: tensord.flip(x, axis=2), IndexError),
        (lambda: tensord.unstack(x, axis=2), IndexError),
        (lambda: tensord.tril(put([1, 2])), ValueError),
        (lambda: tensord.matmul(x, put(1)), ValueError),
        (lambda: tensord.matrix_transpose(put([1])), ValueError),
        (lambda: tensord.cumulative_sum(x), ValueError), (lambda: tensord.sort(put(1)), IndexError),
        (lambda: tensord.vecdot(x, put([1, 2, 3])), ValueError),
        (lambda: tensord.linalg.cross(x, x), ValueError),
        (lambda: tensord.tensordot(x, x, axes=3), ValueError),
    ):
        with pytest.raises(kind):
            call()


def test_views_of_0_d(put):
    x = put(2.5)
    for y in (tensord.flip(x), tensord.roll(x, 3), tensord.permute_dims(x, ()),
              tensord.broadcast_to(x, ()), tensord.reshape(x, ()), tensord.squeeze(x, ())):
        is_same(y, 2.5, "float64")
    is_same(tensord.concat([x, put([1, 2], "int8")], axis=None), [2.5, 1, 2], "float64")
    is_same(tensord.stack([x, x], axis=-1), [2.5, 2.5], "float64")
    is_same(tensord.expand_dims(x, 0), [2.5], "float64")
    assert [part.shape for part in tensord.broadcast_arrays(x, put([1, 2]))] == [(2,), (2,)]
    is_same(tensord.tensordot(put([1, 2]), put([3, 4]), axes=0), [[3, 4], [6, 8]], "int64")
    is_same(tensord.cumulative_sum(put([1, 2]), include_initial=True), [0, 1, 3], "int64")
    is_same(tensord.sum(put([[1, 2]]), axis=()), [[1, 2]], "int64")
