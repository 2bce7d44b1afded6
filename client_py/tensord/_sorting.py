# SPDX-License-Identifier: MIT
"""Sorting, by the names of the Python array API standard; `topk` stands beside it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ._functions import call, call_several

if TYPE_CHECKING:
    from ._array import Array
    from ._types import ArrayLike, Attrs


def _attrs(axis: int, descending: bool) -> Attrs:
    return {"axes": (operator.index(axis),), "descending": bool(descending)}


def sort(
    x: ArrayLike, /, *, axis: int = -1, descending: bool = False, stable: bool = True
) -> Array:
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

    Returns
    -------
    Array or Value
        Of x's shape and dtype.

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


def argsort(
    x: ArrayLike, /, *, axis: int = -1, descending: bool = False, stable: bool = True
) -> Array:
    """Indices that sort along an axis; parameters as for `sort`.

    Returns
    -------
    Array or Value
        int64, of x's shape.

    Examples
    --------
    >>> import tensord
    >>> tensord.argsort([3, 1, 2])
    Array([1, 2, 0], shape=(3,), dtype=int64, 24 bytes)
    """
    return call("argsort", (x,), _attrs(axis, descending))


def topk(x: ArrayLike, k: int, /, *, axis: int = -1, largest: bool = True) -> tuple[Array, Array]:
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
    attrs = {**_attrs(axis, largest), "k": operator.index(k)}
    values, indices = call_several("topk", (x,), attrs)
    return values, indices
