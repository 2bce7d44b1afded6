# SPDX-License-Identifier: MIT
"""Searching, by the names of the Python array API standard."""

from ._errors import error
from ._functions import call
from ._graph import Value


def nonzero(x, /):
    """Indices of the elements that are not zero.

    Parameters
    ----------
    x : Tensor or array_like
        Of at least one dimension. NaN is not zero.

    Returns
    -------
    tuple of Tensor
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
    >>> tensord.nonzero([[0, 3], [5, 0]])
    (Tensor([0, 1], dtype=int64), Tensor([1, 0], dtype=int64))
    """
    if isinstance(x, Value):
        raise error("bad_program", "of a value, use program.op('nonzero', x): a row for each axis")
    rows = call("nonzero", (x,))
    return tuple(rows[axis] for axis in range(rows.shape[0]))
