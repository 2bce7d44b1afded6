# SPDX-License-Identifier: MIT
"""Rows of the mathematical functions; special values are in ops_math_special.py."""

import numpy
from ops_kit import ALL, BOOL, COMPLEX, FLOAT, REAL, Row

import tensord


def in_double(function):
    """Integers and bool compute as float64, also where numpy has smaller floats for them."""

    def expected(*arrays):
        return function(*(a.astype("float64") if a.dtype.kind in "biu" else a for a in arrays))

    return expected


def wider(function):
    """Complex64 by way of complex128: numpy's own single precision is less exact."""

    def expected(*arrays):
        if arrays[0].dtype != "complex64":
            return in_double(function)(*arrays)
        return function(*(a.astype("complex128") for a in arrays)).astype("complex64")

    return expected


def _unary(name, theirs, domain="any", ulp=8, dtypes=ALL):
    return Row(name, dtypes, wider(getattr(numpy, theirs)), domains=(domain,), ulp=ulp)


def complex_of(re, im):
    z = numpy.empty(re.shape, "complex64" if re.dtype == "float32" else "complex128")
    z.real, z.imag = re, im
    return z


def complex_of_parts(re, im):
    """What is made where one part of complex numbers is assigned to."""
    return re._make("complex", (re, im))


def refused(*_):
    return tensord.DtypeError


ROWS = [
    _unary("exp", "exp", "small"),
    _unary("expm1", "expm1", "small", dtypes=BOOL + REAL),
    _unary("log", "log", "positive"),
    _unary("log1p", "log1p", "positive", dtypes=BOOL + REAL),
    _unary("log2", "log2", "positive"),
    _unary("log10", "log10", "positive"),
    _unary("sqrt", "sqrt", ulp=4),
    _unary("sin", "sin", "small"),
    _unary("cos", "cos", "small"),
    _unary("tan", "tan", "small"),
    _unary("asin", "arcsin", "unit"),
    _unary("acos", "arccos", "unit"),
    _unary("atan", "arctan", "unit"),
    _unary("sinh", "sinh", "small"),
    _unary("cosh", "cosh", "small"),
    _unary("tanh", "tanh", "small"),
    _unary("asinh", "arcsinh"),
    _unary("acosh", "arccosh", "over_one"),
    _unary("atanh", "arctanh", "unit"),
    Row("atan2", BOOL + REAL, in_double(numpy.arctan2), ("any", "any"), ulp=8),
    Row("hypot", BOOL + REAL, in_double(numpy.hypot), ("any", "any"), ulp=4),
    Row("logaddexp", BOOL + REAL, in_double(numpy.logaddexp), ("positive", "positive"), ulp=8),
    Row("complex", BOOL + REAL, complex_of, ("any", "any"), call=complex_of_parts),
    Row("complex", COMPLEX, refused, ("any", "any"), call=complex_of_parts, shapes=[(3,)]),
    Row("atan2", COMPLEX, refused, ("any", "any"), shapes=[(3,)]),
    Row("hypot", COMPLEX, refused, ("any", "any"), shapes=[(3,)]),
    Row("logaddexp", COMPLEX, refused, ("any", "any"), shapes=[(3,)]),
    Row("pow", FLOAT, numpy.power, ("positive", "small"), ulp=8),
    Row("pow", COMPLEX, wider(numpy.power), ("small", "small"), ulp=400),
]
