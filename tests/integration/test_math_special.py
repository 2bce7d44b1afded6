# SPDX-License-Identifier: MIT
"""Special values of the mathematical functions; the table is ops_math_special.py."""

import numpy
import pytest
from ops_math_special import BINARY, COMPLEX, COMPLEX_POW, UNARY, Either

import tensord


@pytest.fixture(scope="module")
def client(make_daemon):
    with make_daemon().connect() as client:
        yield client


def check(got, expected, dtype, context):
    """One float: NaN, infinities and zeros with their signs as they are, others to a few ulp."""
    if numpy.isnan(expected):
        assert numpy.isnan(got), context
    elif expected == 0 or numpy.isinf(expected):
        assert got == expected or isinstance(expected, Either) and abs(got) == expected, context
        if not isinstance(expected, Either):
            assert numpy.signbit(got) == numpy.signbit(expected), context
    else:
        assert abs(got - expected) <= 4 * numpy.finfo(dtype).eps * abs(expected), context


def columns(rows, dtype):
    """Columns of a table as arrays, repeated to where a vector's tail is never the same row."""
    return [numpy.tile(numpy.array(column, dtype), 3) for column in zip(*rows)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary(client, name, dtype):
    rows = UNARY[name]
    (x, _) = columns(rows, dtype)
    got = numpy.asarray(getattr(tensord, name)(client.put(x)))
    for i, value in enumerate(got):
        check(value, rows[i % len(rows)][1], dtype, f"{name}({x[i]}) is {value}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(BINARY))
def test_binary(client, name, dtype):
    rows, function = BINARY[name], getattr(tensord, name)
    x1, x2, _ = columns(rows, dtype)
    got = numpy.asarray(function(client.put(x1), client.put(x2)))
    for i, value in enumerate(got):
        check(value, rows[i % len(rows)][2], dtype, f"{name}({x1[i]}, {x2[i]}) is {value}")
    for a, b, expected in rows:  # one operand stands still
        one, many = numpy.array(a, dtype), numpy.full(19, b, dtype)
        value = numpy.asarray(function(client.put(one), client.put(many)))[-1]
        check(value, expected, dtype, f"{name}({a}, many {b}) is {value}")
        one, many = numpy.array(b, dtype), numpy.full(19, a, dtype)
        value = numpy.asarray(function(client.put(many), client.put(one)))[-1]
        check(value, expected, dtype, f"{name}(many {a}, {b}) is {value}")


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", sorted(COMPLEX))
def test_complex(client, name, dtype):
    rows = COMPLEX[name]
    z = numpy.zeros(len(rows), dtype)
    z.real, z.imag = [row[0] for row in rows], [row[1] for row in rows]
    got = numpy.asarray(getattr(tensord, name)(client.put(z)))
    mirrored = numpy.asarray(getattr(tensord, name)(client.put(numpy.conj(z))))
    assert got.dtype == dtype
    for x, y, (*_, re, im), value in zip(z.real, z.imag, rows, got):
        context = f"{name}({x}, {y}) is {value}, not ({re}, {im})"
        check(value.real, re, z.real.dtype, context)
        check(value.imag, im, z.real.dtype, context)
    for value, other, (*_, re, im) in zip(got, mirrored, rows):
        context = f"{name}({_}): {value} beside {other}"
        check(other.real, re, z.real.dtype, context)
        check(other.imag, im if isinstance(im, Either) else -im, z.real.dtype, context)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_pow(client, dtype):
    for a, b, expected in COMPLEX_POW:
        operands = [client.put(numpy.array([x, x], dtype)) for x in (a, b)]
        got = numpy.asarray(tensord.pow(*operands))[1]
        if numpy.isnan(expected):
            assert numpy.isnan(got.real) and numpy.isnan(got.imag), f"{a} ** {b} is {got}"
        else:
            eps = numpy.finfo(dtype).eps
            assert abs(got - expected) <= 4 * eps * max(abs(expected), eps), f"{a} ** {b} is {got}"


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_near_zero(client, dtype):
    """expm1 and log1p keep all digits of small numbers, and of log1p where |1 + z| is near 1."""
    random = numpy.random.default_rng(5)
    z = numpy.exp(random.uniform(-30, -3, 500) + 1j * random.uniform(-3, 3, 500)).astype(dtype)
    wide = z.astype("clongdouble")
    for name, series in (
        ("expm1", sum(wide**n / numpy.prod(numpy.arange(1.0, n + 1)) for n in range(12, 0, -1))),
        ("log1p", -sum((-wide) ** n / n for n in range(40, 0, -1))),
    ):
        got = numpy.asarray(getattr(tensord, name)(client.put(z)))
        error = numpy.abs(got - series) / numpy.abs(series)
        assert error.max() < 4 * numpy.finfo(dtype).eps, (name, z[error.argmax()])
    x = numpy.linspace(-0.9, -1e-4, 200)
    z = (x + 1j * numpy.sqrt(-2 * x - x * x)).astype(dtype)  # |1 + z| is 1, but for rounding
    wide = z.astype("clongdouble")
    expected = numpy.log1p(2 * wide.real + wide.real**2 + wide.imag**2) / 2
    got = numpy.asarray(tensord.log1p(client.put(z))).real
    assert numpy.all(numpy.abs(got - expected) <= 1e-2 * numpy.finfo(dtype).eps)
