# SPDX-License-Identifier: MIT
"""Sets, by the names of the Python array API standard."""

import collections

from ._elementwise import equal
from ._functions import call

UniqueAllResult = collections.namedtuple(
    "UniqueAllResult", "values indices inverse_indices counts"
)
UniqueAllResult.__doc__ = "What `unique_all` yields, as tensors."
UniqueCountsResult = collections.namedtuple("UniqueCountsResult", "values counts")
UniqueCountsResult.__doc__ = "What `unique_counts` yields, as tensors."
UniqueInverseResult = collections.namedtuple("UniqueInverseResult", "values inverse_indices")
UniqueInverseResult.__doc__ = "What `unique_inverse` yields, as tensors."


def unique_values(x, /):
    """The distinct elements, in ascending order.

    Parameters
    ----------
    x : array_like or Value
        Each NaN is distinct; -0.0 equals 0.0, and the first stands for both. Complex numbers
        ascend by their real, then by their imaginary parts; those with a NaN in either are last.

    Examples
    --------
    >>> import tensord
    >>> tensord.unique_values([3, 1, 3])
    Array([1, 3], shape=(2,), dtype=int64, 16 bytes)
    """
    return call("unique_values", (x,))


def unique_counts(x, /):
    """The distinct elements, and how often each occurs; see `unique_values`."""
    return UniqueCountsResult(*call("unique_counts", (x,)))


def unique_inverse(x, /):
    """The distinct elements, and in x's shape which of them each is; see `unique_values`."""
    return UniqueInverseResult(*call("unique_inverse", (x,)))


def unique_all(x, /):
    """The distinct elements, where each is first, inverse and counts; see `unique_values`."""
    return UniqueAllResult(*call("unique_all", (x,)))


def isin(x1, x2, /, *, invert=False):
    """For each element of x1, whether it is among those of x2; NaN never is.

    Parameters
    ----------
    x1, x2 : array_like, Value or number
        Of any dtypes; int64 and uint64 are compared exactly.
    invert : bool
        Whether it is not.

    Examples
    --------
    >>> import tensord
    >>> tensord.isin([1, 2, 3], [3, 1])
    Array([ True, False,  True], shape=(3,), dtype=bool, 3 bytes)
    """
    found = call("isin", (x1, x2))
    return equal(found, False) if invert else found
