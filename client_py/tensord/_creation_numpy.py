# SPDX-License-Identifier: MIT
"""Ways of numpy's to make an array that the standard does not have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensord as td

from ._conversion import asarray
from ._creation import eye, linspace
from ._errors import error

if TYPE_CHECKING:
    from ._array import Array
    from ._client import Client
    from ._types import ArrayLike, DTypeLike, SupportsDLPack


def array(
    object: ArrayLike | SupportsDLPack,
    dtype: DTypeLike | None = None,
    *,
    copy: bool | None = True,
    ndmin: int = 0,
    client: Client | None = None,
) -> Array:
    """A tensor of its own with the elements of whatever holds some.

    Parameters
    ----------
    object : Array, Value, array_like, number, or an object with ``__dlpack__``
        As of `asarray`.
    dtype : str or numpy.dtype, optional
    copy : bool, optional
        None: a tensor is copied only where its dtype changes. False: refuse what has to be copied.
    ndmin : int
        So many dimensions at least; those that are missing stand in front.
    client : Client, optional

    Returns
    -------
    Array or Value

    Raises
    ------
    DtypeError, ShapeError, OverflowError, ArgumentError
        As of `asarray`.

    Examples
    --------
    >>> import tensord
    >>> tensord.array([1, 2, 3], ndmin=2)
    Array([[1, 2, 3]], shape=(1, 3), dtype=int64, 24 bytes)
    """
    x = asarray(object, dtype, copy=copy, client=client)
    return x if x.ndim >= ndmin else x.reshape((1,) * (ndmin - x.ndim) + x.shape)


def identity(n: int, dtype: DTypeLike | None = None, *, client: Client | None = None) -> Array:
    """The identity matrix.

    Parameters
    ----------
    n : int
    dtype : str or numpy.dtype, optional
        float64 where it is left out.
    client : Client, optional

    Returns
    -------
    (n, n) Array

    Raises
    ------
    ShapeError
        n is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.identity(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return eye(n, dtype=dtype, client=client)


def logspace(
    start: complex,
    stop: complex,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10.0,
    dtype: DTypeLike | None = None,
    *,
    client: Client | None = None,
) -> Array:
    """Powers of a base, their exponents equally spaced.

    Parameters
    ----------
    start, stop : int, float or complex
        The first and the last exponent.
    num : int
        How many.
    endpoint : bool
        ``base ** stop`` is the last one; else it would be the one behind the last.
    base : float
    dtype : str or numpy.dtype, optional
        float64, or complex128, where it is left out.
    client : Client, optional

    Returns
    -------
    (num,) Array

    Raises
    ------
    ValueRefused
        num is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    result = td.pow(base, linspace(start, stop, num, endpoint=endpoint, client=client))
    return result if dtype is None else result.astype(dtype)


def geomspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    *,
    client: Client | None = None,
) -> Array:
    """Numbers from start to stop, each the same multiple of the one before.

    Parameters
    ----------
    start, stop : int or float
        Neither is 0, and both have the same sign.
    num : int
        How many.
    endpoint : bool
        stop itself is the last one; else it would be the one behind the last.
    dtype : str or numpy.dtype, optional
        float64 where it is left out.
    client : Client, optional

    Returns
    -------
    (num,) Array

    Raises
    ------
    ArgumentError
        A bound is 0, or they lie on both sides of it.
    ValueRefused
        num is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.geomspace(1, 8, 4).tolist()
    [1.0, 2.0, 4.0, 8.0]
    """
    if not (0 < start and 0 < stop or start < 0 and stop < 0):
        raise error(
            "bad_arguments", f"geomspace: goes from {start!r} to {stop!r}; wanted: of one sign"
        )
    bounds = math.log10(abs(start)), math.log10(abs(stop))
    result = logspace(*bounds, num, endpoint, client=client) * (1 if start > 0 else -1)
    places = td.arange(num, client=client)
    result = td.where(places == 0, float(start), result)
    if endpoint and num > 1:
        result = td.where(places == num - 1, float(stop), result)
    return result if dtype is None else result.astype(dtype)
