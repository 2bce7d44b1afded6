# SPDX-License-Identifier: MIT
"""Element-wise operations: special values, refused dtypes, operators and Python numbers."""

import operator

import numpy
import pytest
from ops_elementwise_special import CONVERSIONS, SPECIAL

import tensord


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def _agree(got, want):
    got = numpy.asarray(got)
    numpy.testing.assert_array_equal(got, want)
    for part in ("real", "imag") if got.dtype.kind == "c" else ("real",) * (got.dtype.kind == "f"):
        g, w = getattr(got, part), getattr(want, part)
        numpy.testing.assert_array_equal(
            numpy.signbit(g)[~numpy.isnan(g)], numpy.signbit(w)[~numpy.isnan(w)]
        )


@pytest.mark.parametrize("op, dtype, operands, answer", SPECIAL)
def test_special(client, op, dtype, operands, answer):
    arrays = [numpy.array(x, dtype) for x in operands]
    got = getattr(tensord, op)(*(client.put(x) for x in arrays))
    real = numpy.zeros(0, dtype).real.dtype
    wanted = bool if isinstance(answer[0], bool) else real if op == "abs" else dtype
    assert got.dtype == wanted
    _agree(got, numpy.array(answer, wanted))
    for n in range(len(answer)):  # alone, and as a whole vector
        many = [numpy.full(100, x[n]) for x in arrays]
        got = getattr(tensord, op)(*(client.put(x) for x in many))
        _agree(got, numpy.full(100, answer[n], wanted))


@pytest.mark.parametrize("dtype, x, to, answer", CONVERSIONS)
def test_conversions(client, dtype, x, to, answer):
    """As the daemon converts; Array.astype asks which part of complex numbers is meant."""
    x = client.put(numpy.array(x * 30, dtype))
    program = tensord.Program()
    got = client.run(program, program.op("astype", x, dtype=to))
    assert got.dtype == to
    numpy.testing.assert_array_equal(numpy.asarray(got), numpy.array(answer * 30, to))


REFUSED = [
    ("subtract", ["bool"]),
    ("negative", ["bool"]),
    ("floor_divide", ["bool", "complex64"]),
    ("remainder", ["complex128"]),
    ("bitwise_and", ["float32", "complex64"]),
    ("bitwise_left_shift", ["bool", "float64"]),
    ("less", ["complex64"]),
    ("maximum", ["complex128"]),
    ("floor", ["bool", "complex64"]),
    ("round", ["bool"]),
    ("signbit", ["complex64"]),
]


@pytest.mark.parametrize("op, dtypes", REFUSED)
def test_refused(client, op, dtypes):
    function = getattr(tensord, op)
    n = 1 if op in ("negative", "floor", "round", "signbit") else 2
    for dtype in dtypes:
        with pytest.raises(TypeError, match=f"{op}.*{dtype}"):
            numpy.asarray(function(*[client.put(numpy.ones(3, dtype))] * n))


def test_operators(client):
    a = numpy.array([7, -7, 3, 0])
    x = client.put(a)
    for got, want in [
        (x // 2, a // 2),
        (x % 3, a % 3),
        (100 // (x + 8), 100 // (a + 8)),
        (100 % (x + 8), 100 % (a + 8)),
        (x & 6, a & 6),
        (6 | x, 6 | a),
        (x ^ x, a ^ a),
        (~x, ~a),
        (x << 2, a << 2),
        (1 << (x & 3), 1 << (a & 3)),
        (x >> 1, a >> 1),
        (1000 >> (x & 3), 1000 >> (a & 3)),
        (abs(x), abs(a)),
        (+x, a),
    ]:
        assert got.dtype == want.dtype
        numpy.testing.assert_array_equal(numpy.asarray(got), want)


COMPARISONS = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_signed_and_unsigned(client, name):
    """Exact, as in NumPy 2; numpy 1.24 compares int64 and uint64 as float64."""
    signed = [-(2**63), -1, 0, 1, 127, 2**53, 2**53 + 1, 2**63 - 1]
    unsigned = [0, 1, 127, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
    for dtype in ("int8", "int32", "int64"):
        a = [x for x in signed if numpy.iinfo(dtype).min <= x <= numpy.iinfo(dtype).max]
        x = client.put(numpy.array(a, dtype))
        y = client.put(numpy.array(unsigned, "uint64"))
        want = [[COMPARISONS[name](i, j) for j in unsigned] for i in a]
        compare = getattr(tensord, name)
        assert compare(x[:, None], y).tolist() == want
        back = [[COMPARISONS[name](j, i) for i in a] for j in unsigned]
        assert compare(y[:, None], x).tolist() == back
        for i, row in enumerate(a):  # one against many, and constants
            assert compare(x[i], y).tolist() == want[i]
            assert compare(y, x[i]).tolist() == [COMPARISONS[name](j, row) for j in unsigned]
            assert compare(numpy.array(row, dtype), y).tolist() == want[i]
            program = tensord.Program()
            one = program.op(name, numpy.array(row, dtype), numpy.array(2**63, "uint64"))
            assert client.run(program, one).item() == COMPARISONS[name](row, 2**63)


def test_clip_with_one_bound(client):
    x = client.put(numpy.array([-1.0, 0.5, 2.0]))
    numpy.testing.assert_array_equal(tensord.clip(x, 0, 1), [0, 0.5, 1])
    numpy.testing.assert_array_equal(tensord.clip(x, min=0), [0, 0.5, 2])
    numpy.testing.assert_array_equal(tensord.clip(x, max=1), [-1, 0.5, 1])
    numpy.testing.assert_array_equal(tensord.clip(x), [-1, 0.5, 2])
