# SPDX-License-Identifier: MIT
"""Rows of the table of operations: element-wise ones that need no mathematics of libm."""

import numpy
from ops_kit import ALL, BOOL, COMPLEX, FLOAT, INTEGER, NUMERIC, REAL, Row


def _same_dtype(function):
    """numpy 1.24 rounds narrow integers to float16, where the standard leaves them."""
    return lambda x: function(x).astype(x.dtype) if x.dtype.kind == "f" else x


def _sign(x):
    if x.dtype.kind != "c":
        return numpy.sign(x)
    size = numpy.abs(x)  # numpy 1.24 gives the sign of the real part, numpy 2 this
    return (numpy.where(size == 0, 0, x.real / size)
            + 1j * numpy.where(size == 0, 0, x.imag / size)).astype(x.dtype)


def _round_complex(x):
    return numpy.round(x).astype(x.dtype) if x.dtype.kind in "fc" else x


BINARY_ALL = [("add", numpy.add), ("multiply", numpy.multiply)]
EXTREMA = [("maximum", numpy.maximum), ("minimum", numpy.minimum)]
ORDER = [
    ("less", numpy.less),
    ("less_equal", numpy.less_equal),
    ("greater", numpy.greater),
    ("greater_equal", numpy.greater_equal),
]
EQUALITY = [("equal", numpy.equal), ("not_equal", numpy.not_equal)]
LOGIC = ["and", "or", "xor"]
TWO = ("any", "any")

ROWS = [
    *(Row(name, ALL, f, TWO, ulp=4) for name, f in BINARY_ALL),
    Row("subtract", NUMERIC, numpy.subtract, TWO),
    Row("divide", FLOAT + ["int32", "int64", "uint32", "uint64"], numpy.divide, TWO),
    Row("divide", COMPLEX, numpy.divide, TWO, ulp=8),
    Row("floor_divide", REAL, numpy.floor_divide, TWO),
    Row("remainder", REAL, numpy.remainder, TWO),
    *(Row(name, BOOL + REAL, f, TWO) for name, f in EXTREMA + ORDER),
    *(Row(name, ALL, f, TWO) for name, f in EQUALITY),
    Row("negative", NUMERIC, numpy.negative),
    Row("abs", BOOL + REAL, numpy.abs),
    Row("abs", COMPLEX, numpy.abs, ulp=4),
    Row("square", REAL, numpy.square),
    Row("square", COMPLEX, numpy.square, ulp=4),
    Row("reciprocal", FLOAT, numpy.reciprocal, ("nonzero",)),
    Row("reciprocal", COMPLEX, numpy.reciprocal, ("nonzero",), ulp=8),
    Row("sign", REAL, _sign),
    Row("sign", COMPLEX, _sign, ulp=8),
    Row("ceil", REAL, _same_dtype(numpy.ceil)),
    Row("floor", REAL, _same_dtype(numpy.floor)),
    Row("trunc", REAL, _same_dtype(numpy.trunc)),
    Row("round", NUMERIC, _round_complex, ("ties",)),
    Row("positive", NUMERIC, numpy.positive),
    *(
        Row(f"bitwise_{name}", BOOL + INTEGER, getattr(numpy, f"bitwise_{name}"), TWO)
        for name in LOGIC
    ),
    Row("bitwise_invert", BOOL + INTEGER, numpy.invert),
    Row("bitwise_left_shift", INTEGER, numpy.left_shift, ("any", "shift")),
    Row("bitwise_right_shift", INTEGER, numpy.right_shift, ("any", "shift")),
    *(Row(f"logical_{name}", ALL, getattr(numpy, f"logical_{name}"), TWO) for name in LOGIC),
    Row("logical_not", ALL, numpy.logical_not),
    *(Row(name, ALL, getattr(numpy, name)) for name in ("isfinite", "isinf", "isnan")),
    Row("signbit", FLOAT, numpy.signbit),
    Row("copysign", FLOAT, numpy.copysign, TWO),
    Row("nextafter", FLOAT, numpy.nextafter, TWO),
    Row("real", NUMERIC, numpy.real),
    Row("imag", NUMERIC, numpy.imag),
    Row("conj", NUMERIC, numpy.conj),
    Row(
        "clip",
        REAL,
        lambda x, low, high: numpy.minimum(numpy.maximum(x, low), high),
        ("any", "small", "positive"),
    ),
]
