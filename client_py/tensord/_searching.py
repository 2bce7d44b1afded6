# SPDX-License-Identifier: MIT
"""Searching, by the names of the Python array API standard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import error
from ._functions import call
from ._graph import Value
from ._selection import take

if TYPE_CHECKING:
    from typing import Literal

    from ._array import Array
    from ._types import ArrayLike


def nonzero(x: ArrayLike, /) -> tuple[Array, ...]:
    """Indices of the elements that are not zero.

    Parameters
    ----------
    x : array_like
        Of at least one dimension. NaN is not zero.

    Returns
    -------
    tuple of Array
        One of int64 for each axis; together the indices of the elements, in C order.

    Raises
    ------
    ShapeError
        x has no dimension.
    ArgumentError
        x is a value of a program: use ``program.op("nonzero", x)``, which has a row for each axis.

    Examples
    --------
    >>> import tensord
    >>> [x.tolist() for x in tensord.nonzero([[0, 3], [5, 0]])]
    [[0, 1], [1, 0]]
    """
    if isinstance(x, Value):
        raise error("bad_program", "of a value, use program.op('nonzero', x): a row for each axis")
    rows = call("nonzero", (x,))
    return tuple(rows[axis] for axis in range(rows.shape[0]))


def searchsorted(
    x1: ArrayLike,
    x2: ArrayLike,
    /,
    *,
    side: Literal["left", "right"] = "left",
    sorter: ArrayLike | None = None,
) -> Array:
    """Where in x1 each element of x2 belongs, so that x1 stays in order.

    Parameters
    ----------
    x1 : (n,) array_like or Value
        In ascending order, NaN last; or `sorter` says how it would be. Not complex.
    x2 : array_like or Value
        Of another dtype, if need be; int64 and uint64 are compared exactly.
    side : "left" or "right"
        Before those that are equal, or behind them.
    sorter : (n,) array_like or Value, optional
        Indices that sort x1.

    Returns
    -------
    Array or Value
        int64, of x2's shape.

    Examples
    --------
    >>> import tensord
    >>> tensord.searchsorted([1, 3, 3, 5], [3, 4])
    Array([1, 3], shape=(2,), dtype=int64, 16 bytes)
    """
    if side not in ("left", "right"):
        raise error("bad_arguments", f"side is 'left' or 'right', not {side!r}")
    if sorter is not None:
        x1 = take(x1, sorter, axis=0)
    return call("searchsorted", (x1, x2), {"right": side == "right"})
