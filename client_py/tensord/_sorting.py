# SPDX-License-Identifier: MIT
"""Sorting, by the names of the Python array API standard; `topk` stands beside it."""

import operator

from ._functions import call


def _attrs(axis, descending):
    return {"axes": (operator.index(axis),), "descending": bool(descending)}


def sort(x, /, *, axis=-1, descending=False, stable=True):
    """The elements in order along an axis.

    Parameters
    ----------
    x : array_like or Value
        Of a real dtype or bool; up to 2**32 - 1 elements along the axis.
    axis : int
    descending : bool
        The largest first. NaN is last either way.
    stable : bool
        Sorting is always stable: elements that are equal (0.0 and -0.0, NaN) stay in their order,
        in both directions.

    Raises
    ------
    DtypeError
        x is complex.
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.sort([3, 1, 2], descending=True)
    Array([3, 2, 1], shape=(3,), dtype=int64, 24 bytes)
    """
    return call("sort", (x,), _attrs(axis, descending))


def argsort(x, /, *, axis=-1, descending=False, stable=True):
    """Indices (int64) that sort along an axis; parameters as for `sort`.

    Examples
    --------
    >>> import tensord
    >>> tensord.argsort([3, 1, 2])
    Array([1, 2, 0], shape=(3,), dtype=int64, 24 bytes)
    """
    return call("argsort", (x,), _attrs(axis, descending))


def topk(x, k, /, *, axis=-1, largest=True):
    """The first k elements of `sort` along an axis, and their indices.

    Parameters
    ----------
    x : array_like or Value
    k : int
    axis : int
    largest : bool
        The k largest, in descending order; else the k smallest, in ascending order. NaN is last
        either way.

    Returns
    -------
    tuple
        Values, and indices (int64).

    Examples
    --------
    >>> import tensord
    >>> [x.tolist() for x in tensord.topk([3, 1, 2], 2)]
    [[3, 2], [0, 2]]
    """
    return call("topk", (x,), {**_attrs(axis, largest), "k": operator.index(k)})
