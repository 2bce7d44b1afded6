# SPDX-License-Identifier: MIT
"""Random numbers, made in the daemon by the counter-based generator Philox4x32-10.

An element depends on the seed, the stream and its index alone: the same numbers come out whatever
the number of threads, the client and the machine. A seed has 2**48 streams; numbers of different
streams have nothing to do with one another, those of one stream have. What `jit` or a loop traces
draws no numbers but by a seed that it names: they would be the same in each call and turn.

>>> import tensord
>>> generator = tensord.random.Generator(seed=7)
>>> generator.integers(1, 7, 8).shape
(8,)
>>> tensord.random.uniform(3, seed=7).tolist() == tensord.random.uniform(3, seed=7).tolist()
True
"""

from __future__ import annotations

import operator
import secrets
from typing import TYPE_CHECKING

from ._compose import compose
from ._creation import number
from ._dtypes import NAMES, number_of
from ._errors import error
from ._functions import call
from ._graph import open_blocks
from ._index import integers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._array import Array
    from ._client import Client
    from ._types import Attrs, DTypeLike, ShapeLike

UINT64 = NAMES.index("uint64")

__all__ = ["Generator", "integers", "normal", "permutation", "uniform"]


def _check_untraced(n_open: int) -> None:
    """Refuse a trace within which what is random would be drawn but once."""
    if len(open_blocks()) > n_open:
        raise error(
            "bad_program",
            "random numbers are drawn while a function or a loop is traced, and would be the same "
            "in all its calls or turns; hand them over as an argument, or name the seed",
        )


def _attrs(seed: int | None, stream: int) -> Attrs:
    """Any seed of 64 bits, as the int64 that travels; a new one where none is given."""
    if seed is None:
        _check_untraced(0)
    seed = secrets.randbits(64) if seed is None else operator.index(seed)
    if not -(2**63) <= seed < 2**64:
        raise error("bad_value", f"the seed {seed} has more than 64 bits")
    return {"seed": seed - 2**64 if seed >= 2**63 else seed, "stream": operator.index(stream)}


def _floats(
    op: str,
    shape: ShapeLike,
    dtype: DTypeLike,
    seed: int | None,
    stream: int,
    client: Client | None,
) -> Array:
    attrs = {"shape": integers_of(shape), "dtype": number_of(dtype), **_attrs(seed, stream)}
    return call(op, (), attrs, client)


def uniform(
    shape: ShapeLike = (),
    *,
    low: float = 0.0,
    high: float = 1.0,
    dtype: DTypeLike = "float64",
    seed: int | None = None,
    stream: int = 0,
    client: Client | None = None,
) -> Array:
    """Numbers from low to below high, equally likely.

    Parameters
    ----------
    shape : int or tuple of int
    low, high : float
        low + (high - low) * u is computed of a u from 0 to below 1; rounding may yield high.
    dtype : {"float64", "float32"}
        u is a multiple of 2**-53, or of 2**-24.
    seed : int, optional
        Of 64 bits; a new one each time where it is left out.
    stream : int
        From 0 to 2**48 - 1.
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    Array
        Of that shape and dtype.

    Raises
    ------
    DtypeError
        Not float64 or float32.
    ValueRefused
        The seed has more than 64 bits, or there is no such stream.

    Notes
    -----
    Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers:
    as easy as 1, 2, 3" (SC 2011). Element i depends on seed, stream and i alone.

    Examples
    --------
    >>> import tensord
    >>> tensord.random.uniform(3, seed=7)
    Array([0.75015222, 0.08565787, 0.79528404], shape=(3,), dtype=float64, 24 bytes)
    >>> tensord.random.uniform(3, low=-1.0, seed=7, stream=1)
    Array([-0.65652923, -0.54941029,  0.69967732], shape=(3,), dtype=float64, 24 bytes)
    """
    u = _floats("random_uniform", shape, dtype, seed, stream, client)
    return _scaled(u, float(high) - float(low), float(low))


def normal(
    shape: ShapeLike = (),
    *,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: DTypeLike = "float64",
    seed: int | None = None,
    stream: int = 0,
    client: Client | None = None,
) -> Array:
    """Numbers of the normal distribution.

    Parameters
    ----------
    shape : int or tuple of int
    mean, std : float
    dtype : {"float64", "float32"}
        float32 are the float64 of the same seed and stream, rounded.
    seed, stream, client
        As for `uniform`.

    Returns
    -------
    Array
        Of that shape and dtype.

    Raises
    ------
    ValueRefused
        std is negative; seed and stream as for `uniform`.
    DtypeError
        Not float64 or float32.

    Notes
    -----
    The method of Box and Muller, two numbers of two; logarithm, sine and cosine are polynomials
    whose bits do not depend on the processor.

    Examples
    --------
    >>> import tensord
    >>> tensord.random.normal(3, mean=10.0, std=2.0, seed=7)
    Array([12.86005542, 11.70742803, 13.43800073], shape=(3,), dtype=float64, 24 bytes)
    """
    if std < 0:
        raise error("bad_value", f"a standard deviation of {std} is less than 0")
    x = _floats("random_normal", shape, dtype, seed, stream, client)
    return _scaled(x, float(std), float(mean))


def _scaled(x: Array, factor: float, offset: float) -> Array:
    if (factor, offset) == (1.0, 0.0):
        return x

    def scaled(x: Array) -> Array:
        return x * factor + offset

    return compose(scaled, x)


def integers(
    low: int,
    high: int | None = None,
    shape: ShapeLike = (),
    *,
    step: int = 1,
    dtype: DTypeLike = "int64",
    seed: int | None = None,
    stream: int = 0,
    client: Client | None = None,
) -> Array:
    """Integers of a range, equally likely without any bias.

    Parameters
    ----------
    low, high : int
        From low to below high; one alone is high, and low is 0 then.
    shape : int or tuple of int
    step : int
        Only low, low + step, low + 2 * step, ...
    dtype : str or numpy.dtype
        Of integers, wide enough for the range.
    seed, stream, client
        As for `uniform`.

    Returns
    -------
    Array
        Of that shape and dtype.

    Raises
    ------
    ValueRefused
        The range is empty, or does not fit the dtype.
    DtypeError
        Not of integers.

    Notes
    -----
    By multiplication and rejection: D. Lemire, "Fast random integer generation in an interval"
    (2019).

    Examples
    --------
    >>> import tensord
    >>> tensord.random.integers(1, 7, 8, seed=7).tolist()
    [6, 5, 1, 1, 3, 5, 2, 6]
    >>> tensord.random.integers(0, 100, 4, step=10, seed=7).tolist()
    [90, 70, 10, 0]
    """
    if high is None:
        low, high = 0, low
    if high == 2**64 and number_of(dtype) == UINT64:  # one more than travels
        half = 2**63

        def raised(x: Array) -> Array:
            return x.astype("uint64") + half

        x = integers(low - half, half, shape, step=step, seed=seed, stream=stream, client=client)
        return compose(raised, x)
    attrs = {
        "range": tuple(map(number, (low, high, step))),
        "shape": integers_of(shape),
        "dtype": number_of(dtype),
        **_attrs(seed, stream),
    }
    return call("random_integers", (), attrs, client)


def permutation(
    n: int, *, seed: int | None = None, stream: int = 0, client: Client | None = None
) -> Array:
    """The integers from 0 to n - 1 in random order, as int64; every order is equally likely.

    Parameters
    ----------
    n : int
    seed, stream, client
        As for `uniform`.

    Returns
    -------
    (n,) Array
        int64.

    Raises
    ------
    ShapeError
        n is negative.
    ValueRefused
        Seed and stream as for `uniform`.

    Notes
    -----
    The numbers in the order of random keys of 64 bits.

    Examples
    --------
    >>> import tensord
    >>> tensord.random.permutation(5, seed=7).tolist()
    [4, 1, 0, 2, 3]
    >>> tensord.random.permutation(-1)
    Traceback (most recent call last):
        ...
    tensord.ShapeError: random_permutation: shape (-1,) has a negative extent
    """
    attrs = {"shape": (operator.index(n),), **_attrs(seed, stream)}
    return call("random_permutation", (), attrs, client)


class Generator:
    """Random numbers in sequence: each call takes the next stream of the seed.

    Parameters
    ----------
    seed : int, optional
        Of 64 bits; a new one where it is left out.
    stream : int
        The first to be taken.
    client : Client, optional

    Attributes
    ----------
    seed, stream : int
        What the next call uses; a generator made of them goes on from here.

    Examples
    --------
    >>> import tensord
    >>> generator = tensord.random.Generator(seed=7)
    >>> generator.integers(1, 7, 3).tolist()
    [6, 5, 1]
    >>> generator.integers(1, 7, 3).tolist()
    [3, 2, 2]
    >>> generator
    Generator(seed=7, stream=2)
    """

    def __init__(
        self, seed: int | None = None, *, stream: int = 0, client: Client | None = None
    ) -> None:
        self.seed = secrets.randbits(64) if seed is None else operator.index(seed)
        self.stream = operator.index(stream)
        self._client = client
        self._n_open = len(open_blocks())  # it may be made within what is traced

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream})"

    def _next(self, function: Callable[..., Array], *args: object, **keywords: object) -> Array:
        _check_untraced(self._n_open)
        result = function(
            *args, seed=self.seed, stream=self.stream, client=self._client, **keywords
        )
        self.stream += 1
        return result

    def uniform(
        self,
        shape: ShapeLike = (),
        *,
        low: float = 0.0,
        high: float = 1.0,
        dtype: DTypeLike = "float64",
    ) -> Array:
        """Numbers from low to below high; see `tensord.random.uniform`.

        Returns
        -------
        Array

        Examples
        --------
        >>> import tensord
        >>> tensord.random.Generator(seed=7).uniform(2)
        Array([0.75015222, 0.08565787], shape=(2,), dtype=float64, 16 bytes)
        """
        return self._next(uniform, shape, low=low, high=high, dtype=dtype)

    def normal(
        self,
        shape: ShapeLike = (),
        *,
        mean: float = 0.0,
        std: float = 1.0,
        dtype: DTypeLike = "float64",
    ) -> Array:
        """Numbers of the normal distribution; see `tensord.random.normal`.

        Returns
        -------
        Array

        Examples
        --------
        >>> import tensord
        >>> tensord.random.Generator(seed=7).normal(2)
        Array([1.43002771, 0.85371402], shape=(2,), dtype=float64, 16 bytes)
        """
        return self._next(normal, shape, mean=mean, std=std, dtype=dtype)

    def integers(
        self,
        low: int,
        high: int | None = None,
        shape: ShapeLike = (),
        *,
        step: int = 1,
        dtype: DTypeLike = "int64",
    ) -> Array:
        """Integers of a range; see `tensord.random.integers`.

        Returns
        -------
        Array

        Examples
        --------
        >>> import tensord
        >>> tensord.random.Generator(seed=7).integers(1, 7, 3).tolist()
        [6, 5, 1]
        """
        return self._next(integers, low, high, shape, step=step, dtype=dtype)

    def permutation(self, n: int) -> Array:
        """The integers from 0 to n - 1 in random order; see `tensord.random.permutation`.

        Returns
        -------
        (n,) Array

        Examples
        --------
        >>> import tensord
        >>> tensord.random.Generator(seed=7).permutation(4).tolist()
        [1, 0, 2, 3]
        """
        return self._next(permutation, n)
