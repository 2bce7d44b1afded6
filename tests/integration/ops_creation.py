# SPDX-License-Identifier: MIT
"""Rows of the table of operations: what is made in the daemon, of no operand or like one."""

import numpy
from ops_kit import ALL, FLOAT, FLOATING, REAL, Row

import tensord

VALUES = [0, 1, 100, True]


def shaped(shape):
    return [{"shape": shape}]


def filled(shape):
    return [{"shape": shape, "value": value} for value in VALUES]


def extents(shape):
    """Matrices with each of some diagonals; one extent alone is both."""
    rows = [{"n": n, "m": m} for n, m in [shape[-2:]]] if len(shape) > 1 else []
    rows += [{"n": n, "m": None} for n in shape[:1]]
    return [{**row, "k": k} for row in rows for k in (0, 1, -1, 2, -1000, 1000)]


def ranges(shape):
    """What every dtype can tell: up, down, none, and with a remainder."""
    n = min(int(numpy.prod(shape)), 100)
    return [{"start": a, "stop": b, "step": s}
            for a, b, s in [(0, n, 1), (3, n + 3, 2), (n, 0, -3), (5, 5, 1), (7, 2, 1)]
            if s > 0 or n < 100]


def long_ranges(shape):
    n = int(numpy.prod(shape))
    return [{"start": a, "stop": b, "step": s}
            for a, b, s in [(0, n, 1), (0.5, n, 0.25), (n, -n, -1.5), (-1.0, -2.0, 1)]]


def spaces(shape):
    n = int(numpy.prod(shape))
    return [{"start": a, "stop": b, "num": n, "endpoint": e}
            for a, b in [(0, 1), (-3.5, 7.25), (5, -5), (2, 2)] for e in (False, True)]


def like(name):
    return Row(f"{name}_like", ALL, lambda x: getattr(numpy, f"{name}_like")(x))


def arange(start, stop, step, dtype):
    count = max(0, int(numpy.ceil((stop - start) / step)))
    return (start + numpy.arange(count) * step).astype(dtype)


def call_arange(start, stop, step, dtype):
    return tensord.arange(start, stop, step, dtype=dtype)


def linspace(start, stop, num, endpoint, dtype):
    return numpy.linspace(start, stop, num, endpoint).astype(dtype)


ROWS = [
    Row("zeros", ALL, numpy.zeros, (), options=shaped),
    Row("ones", ALL, numpy.ones, (), options=shaped),
    Row("empty", ALL, numpy.zeros, (), options=shaped),
    Row("full", ALL, lambda shape, value, dtype: numpy.full(shape, value, dtype), (),
        options=filled, call=lambda shape, value, dtype: tensord.full(shape, value, dtype=dtype)),
    like("zeros"),
    like("ones"),
    Row("full_like", ALL, lambda x, value: numpy.full_like(x, value),
        options=lambda shape: [{"value": value} for value in VALUES],
        call=lambda x, value: tensord.full_like(x, value)),
    Row("eye", ALL, lambda n, m, k, dtype: numpy.eye(n, m, k, dtype), (), options=extents,
        call=lambda n, m, k, dtype: tensord.eye(n, m, k=k, dtype=dtype), accepts=len),
    Row("arange", REAL, arange, (), options=ranges, call=call_arange),
    Row("arange", FLOAT, arange, (), options=long_ranges, call=call_arange),
    Row("linspace", FLOATING, linspace, (), 4, spaces, is_joint=True,
        call=lambda start, stop, num, endpoint, dtype: tensord.linspace(
            start, stop, num, endpoint=endpoint, dtype=dtype)),
]
