# SPDX-License-Identifier: MIT
"""Rows of the table of operations: sorting, searching and sets.

Sorting is stable in both directions and puts NaN last, which numpy has only when it ascends.
"""

import numpy
from ops_kit import ALL, BOOL, REAL, Row

import tensord

ORDERED = BOOL + REAL


def axes(shape):
    """Each axis, once from the front and once from the back, in both directions."""
    n = len(shape)
    return [{"axis": i, "descending": d} for i in range(-n, n) for d in (False, True)]


def argsort(x, axis=-1, descending=False):
    if not descending:
        return numpy.argsort(x, axis, kind="stable")
    if x.dtype.kind == "f":
        return numpy.argsort(-x, axis, kind="stable")
    back = numpy.argsort(numpy.flip(x, axis), axis, kind="stable")
    return x.shape[axis] - 1 - numpy.flip(back, axis)


def sort(x, axis=-1, descending=False):
    return numpy.take_along_axis(x, argsort(x, axis, descending), axis)


def firsts(shape):
    return [
        {"k": k, "axis": i, "largest": largest}
        for i, n in enumerate(shape)
        for k in {0, min(2, n), n}
        for largest in (False, True)
    ]


def topk(x, k, axis, largest):
    order = numpy.take(argsort(x, axis, largest), numpy.arange(k), axis)
    return numpy.take_along_axis(x, order, axis), order


def searchsorted(x, what, side):
    return numpy.searchsorted(numpy.sort(x.reshape(-1)), what, side)


def call_searchsorted(x, what, side):
    return tensord.searchsorted(tensord.sort(tensord.reshape(x, (-1,))), what, side=side)


def unique(n_results):
    """Values and what of index, inverse and counts is wanted; the first of equal ones is shown."""

    def expected(x):
        flat = x.reshape(-1)
        _, index, inverse, counts = numpy.unique(
            flat, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
        )
        parts = {"v": flat[index], "i": index, "n": inverse.reshape(x.shape), "c": counts}
        found = tuple(parts[part] for part in n_results)
        return found if len(found) > 1 else found[0]

    return expected


ROWS = [
    Row("sort", ORDERED, sort, options=axes, accepts=len),
    Row("sort", ORDERED, sort, ("small",), options=axes, accepts=len),
    Row("argsort", ORDERED, argsort, options=axes, accepts=len),
    Row("argsort", ORDERED, argsort, ("small",), options=axes, accepts=len),
    Row("topk", ORDERED, topk, options=firsts, accepts=len,
        call=lambda x, k, axis, largest: tensord.topk(x, k, axis=axis, largest=largest)),
    Row("searchsorted", ORDERED, searchsorted, ("any", "any"), call=call_searchsorted,
        options=lambda shape: [{"side": "left"}, {"side": "right"}]),
    Row("nonzero", ALL, numpy.nonzero, ("small",), accepts=len),
    Row("isin", ALL, lambda x, among, invert: numpy.isin(x, among, invert=invert),
        ("small", "small"), options=lambda shape: [{"invert": False}, {"invert": True}]),
    Row("unique_values", ALL, unique("v"), ("small",)),
    Row("unique_counts", ALL, unique("vc"), ("small",)),
    Row("unique_inverse", ALL, unique("vn"), ("small",)),
    Row("unique_all", ALL, unique("vinc")),
    Row("unique_all", ALL, unique("vinc"), ("ties",)),
]
