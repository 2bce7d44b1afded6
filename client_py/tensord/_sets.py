# SPDX-License-Identifier: MIT
"""Sets, by the names of the Python array API standard."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._elementwise import equal
from ._functions import call, call_several

if TYPE_CHECKING:
    from ._array import Array
    from ._types import ArrayLike


class UniqueAllResult(NamedTuple):
    """What `unique_all` yields."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` yields."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` yields."""

    values: Array
    inverse_indices: Array


def unique_values(x: ArrayLike, /) -> Array:
    """The distinct elements, in ascending order.

    Parameters
    ----------
    x : array_like or Value
        Each NaN is distinct; -0.0 equals 0.0, and the first stands for both. Complex numbers
        ascend by their real, then by their imaginary parts; those with a NaN in either are last.

    Returns
    -------
    Array or Value
        Of one dimension; how many there are is known once they are computed.

    Examples
    --------
    >>> import tensord
    >>> tensord.unique_values([3, 1, 3])
    Array([1, 3], shape=(2,), dtype=int64, 16 bytes)
    """
    return call("unique_values", (x,))


def unique_counts(x: ArrayLike, /) -> UniqueCountsResult:
    """The distinct elements, and how often each occurs; see `unique_values`.

    Returns
    -------
    UniqueCountsResult
        ``values``, and ``counts`` (int64).

    Examples
    --------
    >>> import tensord
    >>> [part.tolist() for part in tensord.unique_counts([3, 1, 3])]
    [[1, 3], [1, 2]]
    """
    return UniqueCountsResult(*call_several("unique_counts", (x,)))


def unique_inverse(x: ArrayLike, /) -> UniqueInverseResult:
    """The distinct elements, and which of them each element is; see `unique_values`.

    Returns
    -------
    UniqueInverseResult
        ``values``, and ``inverse_indices`` (int64), of x's shape.

    Examples
    --------
    >>> import tensord
    >>> [part.tolist() for part in tensord.unique_inverse([3, 1, 3])]
    [[1, 3], [1, 0, 1]]
    """
    return UniqueInverseResult(*call_several("unique_inverse", (x,)))


def unique_all(x: ArrayLike, /) -> UniqueAllResult:
    """The distinct elements, where each is first, inverse and counts; see `unique_values`.

    Returns
    -------
    UniqueAllResult
        ``values``; ``indices`` of the first of each in the flattened array, ``inverse_indices`` in
        x's shape, and ``counts`` (all int64).

    Examples
    --------
    >>> import tensord
    >>> tensord.unique_all([3, 1, 3]).indices
    Array([1, 0], shape=(2,), dtype=int64, 16 bytes)
    """
    return UniqueAllResult(*call_several("unique_all", (x,)))


def isin(x1: ArrayLike, x2: ArrayLike, /, *, invert: bool = False) -> Array:
    """For each element of x1, whether it is among those of x2; NaN never is.

    Parameters
    ----------
    x1, x2 : array_like, Value or number
        Of any dtypes; int64 and uint64 are compared exactly.
    invert : bool
        Whether it is not.

    Returns
    -------
    Array or Value
        Of bool, of x1's shape.

    Examples
    --------
    >>> import tensord
    >>> tensord.isin([1, 2, 3], [3, 1])
    Array([ True, False,  True], shape=(3,), dtype=bool, 3 bytes)
    """
    found = call("isin", (x1, x2))
    return equal(found, False) if invert else found
