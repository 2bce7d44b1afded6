# SPDX-License-Identifier: MIT
"""Rows of the table of operations: element by element; the mathematical functions are in ops_math.

Integers and bool in functions of floats compute as float64, which the standard leaves open.
"""

import numpy
from ops_kit import (
    ALL,
    BOOL,
    COMPLEX,
    FLOAT,
    FLOATING,
    INTEGER,
    NUMERIC,
    REAL,
    Row,
)

import tensord
from tensord._dtypes import number_of


def as_float(function):
    """The function, of integers and bool as float64."""

    def expected(*arrays):
        return function(*(x if x.dtype.kind in "fc" else x.astype("float64") for x in arrays))

    return expected


def same_dtype(function):
    """The function, with its result in the operand's dtype (numpy 1.24 makes it float)."""

    def expected(x):
        return x if x.dtype.kind in "iu" else function(x)

    return expected


def unary(name, dtypes, expected=None, domain="any", ulp=0):
    return Row(name, dtypes, expected or getattr(numpy, name), (domain,), ulp)


def binary(name, dtypes, expected=None, domain="any", second=None, ulp=0):
    domains = (domain, second or domain)
    return Row(name, dtypes, expected or getattr(numpy, name), domains, ulp)


def sign(x):
    if x.dtype.kind != "c":
        return numpy.sign(x)  # of complex numbers, numpy 1.24 has the sign of the real part
    size = numpy.abs(x)
    return numpy.where(size == 0, 0, x / numpy.where(size == 0, 1, size)).astype(x.dtype)


WITH_INTEGERS = INTEGER + FLOATING

ROWS = [
    unary("abs", REAL),
    unary("abs", COMPLEX, ulp=2),
    binary("add", ALL),
    binary("bitwise_and", BOOL + INTEGER),
    binary("bitwise_or", BOOL + INTEGER),
    binary("bitwise_xor", BOOL + INTEGER),
    unary("bitwise_invert", BOOL + INTEGER, numpy.invert),
    binary("bitwise_left_shift", INTEGER, numpy.left_shift, second="shift"),
    binary("bitwise_right_shift", INTEGER, numpy.right_shift, second="shift"),
    unary("ceil", REAL, same_dtype(numpy.ceil)),
    unary("floor", REAL, same_dtype(numpy.floor)),
    unary("trunc", REAL, same_dtype(numpy.trunc)),
    unary("round", REAL, same_dtype(numpy.round)),
    unary("round", FLOAT, numpy.round, "ties"),
    unary("conj", NUMERIC),
    binary("copysign", FLOAT),
    binary("divide", WITH_INTEGERS, as_float(numpy.divide), second="nonzero", ulp=4),
    binary("equal", ALL, domain="small"),
    binary("not_equal", ALL, domain="small"),
    binary("less", BOOL + REAL),
    binary("less_equal", BOOL + REAL, domain="small"),
    binary("greater", BOOL + REAL),
    binary("greater_equal", BOOL + REAL, domain="small"),
    binary("floor_divide", REAL, second="nonzero"),
    binary("remainder", REAL, second="nonzero"),
    unary("imag", COMPLEX),
    unary("real", COMPLEX),
    unary("isfinite", NUMERIC),
    unary("isinf", NUMERIC),
    unary("isnan", NUMERIC),
    binary("logical_and", BOOL),
    binary("logical_or", BOOL),
    binary("logical_xor", BOOL),
    unary("logical_not", BOOL),
    binary("maximum", BOOL + REAL),
    binary("minimum", BOOL + REAL),
    binary("multiply", BOOL + REAL),
    binary("multiply", COMPLEX, ulp=32),
    unary("negative", NUMERIC),
    binary("nextafter", FLOAT),
    unary("positive", NUMERIC),
    binary("pow", INTEGER, numpy.power, second="positive"),
    unary("reciprocal", FLOAT),
    unary("reciprocal", COMPLEX, lambda x: (1 / x).astype(x.dtype), ulp=8),
    unary("sign", REAL),
    unary("sign", COMPLEX, sign, ulp=4),
    unary("signbit", FLOAT),
    unary("square", REAL),
    unary("square", COMPLEX, ulp=32),
    unary("sqrt", FLOAT, domain="positive"),
    binary("subtract", NUMERIC),
    Row("clip", BOOL + REAL, numpy.clip, ("any", "small", "small")),
    Row(
        "where",
        BOOL + REAL,
        lambda x, y, z: numpy.where(x > y, y, z),
        ("small", "small", "any"),
        call=lambda x, y, z: tensord.where(x > y, y, z),
    ),
]

ROWS += [
    Row(
        f"astype_{to}",
        ["bool", "int8", "uint16", "int64", "float32", "complex64"],
        lambda x, to=to: (x.real if x.dtype.kind == "c" and to not in COMPLEX + BOOL else x).astype(
            to
        ),
        ("small",),
        # tensord.astype() refuses to make real numbers of complex ones, which the operation does
        call=lambda x, to=to: x._make("astype", (x,), {"dtype": number_of(to)}),
        op="astype",
    )
    for to in ALL
]
