# SPDX-License-Identifier: MIT
"""Rows of the table of operations: reductions and scans.

Floats are compared with what numpy computes in long double; they are of one sign, or below 1 where
they are multiplied, so that nothing cancels.
"""

import itertools

import numpy
from ops_kit import ALL, FLOATING, INTEGER, REAL, Row

import tensord

UNITS = 16  # of float64 or float32 in the last place, for sums of 120300


def some_axes(shape):
    """None, each axis from either end, all pairs, no axis; each with and without keepdims."""
    n = len(shape)
    axes = [None, *range(-n, n), *itertools.combinations(range(n), 2), ()]
    return [{"axis": axis, "keepdims": keep} for axis in axes for keep in (False, True)]


def one_axis(shape):
    axes = [None, *range(-len(shape), len(shape))]
    return [{"axis": axis, "keepdims": keep} for axis in axes for keep in (False, True)]


def scanned(shape):
    axes = range(-len(shape), len(shape))
    return [{"axis": axis, "include_initial": first} for axis in axes for first in (False, True)]


def corrections(shape):
    axes = [None, *range(len(shape)), *itertools.combinations(range(len(shape)), 2)]
    return [{"axis": axis, "keepdims": axis is None, "correction": c} for axis in axes
            for c in (0, 0.5)]


def wide(x):
    """What sums and products of it are made in, or wider."""
    return x.astype({"b": "int64", "i": "int64", "u": "uint64", "f": "longdouble",
                     "c": "clongdouble"}[x.dtype.kind])


def total_dtype(x):
    return {"b": "int64", "i": "int64", "u": "uint64"}.get(x.dtype.kind, x.dtype)


def float_dtype(x):
    return x.dtype if x.dtype.kind in "fc" else numpy.dtype("float64")


def of_floats(x):
    return x.astype("clongdouble" if x.dtype.kind == "c" else "longdouble")


def reduction(name):
    def expected(x, **given):
        return numpy.asarray(getattr(numpy, name)(wide(x), **given)).astype(total_dtype(x))

    return expected


def count(x, axis, keepdims):
    return numpy.asarray((x != 0).sum(axis=axis, keepdims=keepdims, dtype="int64"))


def mean(x, **given):
    n = numpy.ones(x.shape).sum(**given)
    return numpy.asarray(of_floats(x).sum(**given) / n).astype(float_dtype(x))


def variance(x, axis, keepdims, correction):
    exact = of_floats(x)
    n = numpy.ones(x.shape).sum(axis=axis, keepdims=True)
    squares = abs(exact - exact.sum(axis=axis, keepdims=True) / n) ** 2
    divisor = numpy.maximum(n - correction, 0)
    result = squares.sum(axis=axis, keepdims=True) / divisor
    if not keepdims:
        result = result.reshape(x.sum(axis=axis).shape)
    return numpy.asarray(result)


def and_one(name, expected):
    """Off by one, in the result and in what is wanted: what is equal has no variance but noise."""
    def call(x, **given):
        return getattr(tensord, name)(x, **given) + 1

    def wanted(x, **given):
        return (expected(x, **given) + 1).astype(float_dtype(x).type(0).real.dtype)

    return call, wanted


def deviation(x, **given):
    return numpy.sqrt(variance(x, **given))


def extremum(name):
    def expected(x, **given):
        try:
            return getattr(numpy, name)(x, **given)
        except ValueError:
            return tensord.ValueRefused

    return expected


def scan(name):
    numpys = {"cumulative_sum": numpy.cumsum, "cumulative_prod": numpy.cumprod}[name]

    def expected(x, axis, include_initial):
        result = numpys(wide(x), axis=axis)
        if include_initial:
            shape = list(x.shape)
            shape[axis] = 1
            first = numpy.full(shape, name == "cumulative_prod", result.dtype)
            result = numpy.concatenate([first, result], axis=axis)
        return result.astype(total_dtype(x))

    return expected


def row(name, dtypes, expected, options=some_axes, domain="any", ulp=0, accepts=lambda shape: True):
    return Row(name, dtypes, expected, (domain,), ulp, options, accepts=accepts)


def moment(name, expected):
    call, wanted = and_one(name, expected)
    return Row(name, WHOLE + FLOATING, wanted, ("unit",), UNITS, corrections, call)


WHOLE = ["bool"] + INTEGER

ROWS = [
    row("sum", WHOLE, reduction("sum")),
    row("sum", FLOATING, reduction("sum"), domain="positive", ulp=UNITS),
    row("prod", WHOLE, reduction("prod")),
    row("prod", FLOATING, reduction("prod"), domain="unit", ulp=8 * UNITS),
    row("mean", WHOLE + FLOATING, mean, domain="positive", ulp=UNITS),
    moment("var", variance),
    moment("std", deviation),
    row("max", REAL, extremum("max")),
    row("min", REAL, extremum("min")),
    row("any", ALL, lambda x, **given: (x != 0).any(**given), domain="small"),
    row("all", ALL, lambda x, **given: (x != 0).all(**given), domain="small"),
    row("count_nonzero", ALL, count, domain="small"),
    row("argmax", REAL, extremum("argmax"), one_axis),
    row("argmin", REAL, extremum("argmin"), one_axis),
    row("cumulative_sum", WHOLE, scan("cumulative_sum"), scanned, accepts=len),
    row("cumulative_sum", FLOATING, scan("cumulative_sum"), scanned, "positive", 8 * UNITS,
        accepts=len),
    row("cumulative_prod", WHOLE, scan("cumulative_prod"), scanned, accepts=len),
    row("cumulative_prod", FLOATING, scan("cumulative_prod"), scanned, "unit", 8 * UNITS,
        accepts=len),
]
