# SPDX-License-Identifier: MIT
"""Discrete Fourier transforms: the fft extension of the array API standard.

The transforms (`fft` to `ihfft`) run in this process, by numpy.fft: they read the memory of the
tensor and write that of the result, so nothing travels. That makes them forcing points, which
values of a program cannot pass. The others are computed in the daemon.

All take x real or complex, but `rfft`, `rfftn` and `ihfft`, which want real numbers. float32 and
complex64 yield float32 and complex64; integers and bool count as float64, as in numpy.

norm says where results are divided by n, the number of elements transformed: "backward" by n in the
inverse transforms (ifft, ifftn, irfft, irfftn, ihfft), "forward" by n in the others, "ortho" by
sqrt(n) in both.

>>> import tensord
>>> x = tensord.fft.fft([1.0, 2.0, 3.0, 4.0])
>>> x.tolist()
[(10+0j), (-2+2j), (-2+0j), (-2-2j)]
>>> tensord.real(tensord.fft.ifft(x)).tolist()
[1.0, 2.0, 3.0, 4.0]
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy

from ._default import default_client
from ._compose import compose
from ._conversion import astype
from ._creation import arange
from ._dtypes import COMPLEX64, COMPLEX128, DTYPES, FLOAT32, FLOAT64, number_of
from ._errors import error
from ._index import axes_of
from ._manipulation import roll
from ._operands import Constant, Scalar, as_operand
from ._array import Array, array_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ._client import Client
    from ._given_numpy import fft2, ifft2, irfft2, rfft2
    from ._types import ArrayLike, Axis, Device, DTypeLike, NDArray, Norm, Shape

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

_NORMS = ("backward", "ortho", "forward")
_OF_REAL = ("rfft", "rfftn", "ihfft")  # half of the spectrum comes out
_TO_REAL = ("irfft", "irfftn", "hfft")  # half of the spectrum goes in


# ---- one axis ----


def fft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The Fourier transform along an axis.

    Parameters
    ----------
    x : array_like
    n : int, optional
        Length of the transform, at least 1: x is cut there, or continued by zeros. That of the axis
        where it is left out.
    axis : int
    norm : {"backward", "ortho", "forward"}

    Returns
    -------
    Array
        Complex.

    Raises
    ------
    ValueRefused
        n is less than 1, or left out with an empty axis.
    AxisError, DtypeError, OutOfMemory
    ArgumentError
        x is a value of a program, or there is no such norm.

    Notes
    -----
    numpy's pocketfft; any n takes O(n log n) steps.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.fft([1.0, 2.0, 3.0, 4.0]).tolist()
    [(10+0j), (-2+2j), (-2+0j), (-2-2j)]
    """
    return _along_one("fft", x, n, axis, norm)


def ifft(
    x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward"
) -> Array:
    """The inverse of `fft`; parameters as there.

    Returns
    -------
    Array
        Complex.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.ifft([10, -2 + 2j, -2, -2 - 2j]).real.tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return _along_one("ifft", x, n, axis, norm)


def rfft(
    x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward"
) -> Array:
    """The Fourier transform of real numbers along an axis: the half that says all.

    Parameters
    ----------
    x : array_like
        Real.
    n, axis, norm
        As for `fft`.

    Returns
    -------
    Array
        Complex; the axis has n // 2 + 1 elements.

    Raises
    ------
    DtypeError
        x is complex.
    ValueRefused, AxisError, OutOfMemory, ArgumentError
        As for `fft`.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.rfft([1.0, 2.0, 3.0, 4.0]).tolist()
    [(10+0j), (-2+2j), (-2+0j)]
    """
    return _along_one("rfft", x, n, axis, norm)


def irfft(
    x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward"
) -> Array:
    """The inverse of `rfft`.

    Parameters
    ----------
    x : array_like
        n // 2 + 1 elements along the axis are used.
    n : int, optional
        Length of the result; 2 * (m - 1), of m elements along the axis, where it is left out.
    axis, norm
        As for `fft`.

    Returns
    -------
    Array
        Real.

    Raises
    ------
    ValueRefused, AxisError, DtypeError, OutOfMemory, ArgumentError
        As for `fft`.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.irfft([10, -2 + 2j, -2]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return _along_one("irfft", x, n, axis, norm)


def hfft(
    x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward"
) -> Array:
    """The Fourier transform of numbers of which half are given, the rest being their conjugates.

    Parameters and result are those of `irfft`.

    Returns
    -------
    Array
        Real.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.hfft([10, -2 + 2j, -2]).tolist()
    [4.0, 16.0, 12.0, 8.0]
    """
    return _along_one("hfft", x, n, axis, norm)


def ihfft(
    x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward"
) -> Array:
    """The inverse of `hfft`; parameters and result are those of `rfft`.

    Returns
    -------
    Array
        Complex.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.ihfft([4.0, 16.0, 12.0, 8.0]).tolist()
    [(10-0j), (-2+2j), (-2-0j)]
    """
    return _along_one("ihfft", x, n, axis, norm)


# ---- several axes ----


def fftn(
    x: ArrayLike,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: Norm = "backward",
) -> Array:
    """The Fourier transform along several axes.

    Parameters
    ----------
    x : array_like
    s : sequence of int, optional
        Length of the transform along each of them, as `fft`'s n; -1: that of the axis.
    axes : sequence of int, optional
        Each once. The last ones, as many as s has lengths, or all, where it is left out.
    norm : {"backward", "ortho", "forward"}

    Returns
    -------
    Array
        Complex.

    Raises
    ------
    ValueRefused
        A length is less than 1.
    AxisError, DtypeError, OutOfMemory
    ArgumentError
        x is a value of a program, there is no such norm, or s and axes are not as many.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.fftn([[1, 2], [3, 4]]).real.tolist()
    [[10.0, -2.0], [-4.0, 0.0]]
    """
    return _along_several("fftn", x, s, axes, norm)


def ifftn(
    x: ArrayLike,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: Norm = "backward",
) -> Array:
    """The inverse of `fftn`; parameters as there.

    Returns
    -------
    Array
        Complex.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.ifftn([[10, -2], [-4, 0]]).real.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return _along_several("ifftn", x, s, axes, norm)


def rfftn(
    x: ArrayLike,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: Norm = "backward",
) -> Array:
    """The Fourier transform of real numbers along several axes: the half that says all.

    Parameters
    ----------
    x : array_like
        Real.
    s, axes, norm
        As for `fftn`; at least one axis.

    Returns
    -------
    Array
        Complex; the last of the axes has s[-1] // 2 + 1 elements.

    Raises
    ------
    DtypeError
        x is complex.
    ValueRefused, AxisError, OutOfMemory, ArgumentError
        As for `fftn`.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.rfftn([[1, 2, 0], [3, 4, 0]], s=(2, 2)).real.tolist()
    [[10.0, -2.0], [-4.0, 0.0]]
    """
    return _along_several("rfftn", x, s, axes, norm)


def irfftn(
    x: ArrayLike,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: Norm = "backward",
) -> Array:
    """The inverse of `rfftn`.

    Parameters
    ----------
    x : array_like
    s : sequence of int, optional
        Shape of the result along the axes. Left out, or -1, it is that of x, but 2 * (m - 1), of
        m elements, along the last of them.
    axes, norm
        As for `fftn`; at least one axis.

    Returns
    -------
    Array
        Real.

    Raises
    ------
    ValueRefused, AxisError, DtypeError, OutOfMemory, ArgumentError
        As for `fftn`.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.irfftn([[10, -2], [-4, 0]]).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return _along_several("irfftn", x, s, axes, norm)


def _along_one(name: str, x: ArrayLike, n: int | None, axis: int, norm: Norm) -> Array:
    client, array = _array_of(name, x, norm)
    axes = axes_of(name, (axis,), array.ndim)
    lengths = _lengths(name, array.shape, (n,), axes)
    return _transform(client, name, array, lengths, axes, (lengths[0], axes[0], norm))


def _along_several(
    name: str, x: ArrayLike, s: Sequence[int] | None, axes: Sequence[int] | None, norm: Norm
) -> Array:
    client, array = _array_of(name, x, norm)
    if axes is None:
        n_axes = array.ndim if s is None else len(s)
        axes = range(-n_axes, 0)
    axes = axes_of(name, axes, array.ndim)
    given = [None if n == -1 else n for n in ([-1] * len(axes) if s is None else s)]
    if len(given) != len(axes):
        raise error("bad_arguments", f"{name}: {len(given)} lengths in s for {len(axes)} axes")
    if not axes and name not in ("fftn", "ifftn"):
        raise error("bad_axis", f"{name}: at least one axis is transformed, none was given")
    lengths = _lengths(name, array.shape, given, axes)
    return _transform(client, name, array, lengths, axes, (lengths, axes, norm))


def _array_of(name: str, x: ArrayLike, norm: Norm) -> tuple[Client, NDArray]:
    """The client to make the result, and the values of x."""
    if norm not in _NORMS:
        raise error("bad_arguments", f"{name}: norm is one of {', '.join(_NORMS)}, not {norm!r}")
    operand = as_operand(x)
    if isinstance(operand, Array):
        if operand.is_mutable:
            operand = operand._copy()  # by the daemon, while nobody writes it
        elif not operand.is_sealed:
            raise error("not_sealed", f"{name}: the tensor is still being written; seal it first")
        client, array = operand.client, operand._read()
    elif isinstance(operand, Constant):
        client, array = default_client(), operand.array
    elif isinstance(operand, Scalar):
        client, array = default_client(), numpy.asarray(operand.value)
    else:
        raise error(
            "bad_arguments",
            f"{name}: a value of a program has no elements yet; run the program, then transform "
            "the tensor that it yields",
        )
    if name in _OF_REAL and array.dtype.kind == "c":
        raise error("unsupported_dtype", f"{name}: wants real numbers, not {array.dtype}")
    if array.dtype.kind == "b":
        array = array.view("uint8") != 0  # True may be any byte
    return client, array


def _lengths(
    name: str, shape: Shape, given: Iterable[int | None], axes: Sequence[int]
) -> list[int]:
    """Of the transform along each axis; None is given where the array says it."""
    lengths = []
    for i, (n, axis) in enumerate(zip(given, axes)):
        if n is None:
            is_half = name in _TO_REAL and i == len(axes) - 1
            n = 2 * (shape[axis] - 1) if is_half else shape[axis]
        where = f" along axis {axis}, whose extent is {shape[axis]}"
        lengths.append(_length(name, n, where))
    return lengths


def _length(name: str, n: int, where: str = "") -> int:
    n = operator.index(n)
    if n < 1:
        raise error("bad_value", f"{name}: n is {n}{where}; a transform has at least one element")
    return n


def _transform(
    client: Client,
    name: str,
    array: NDArray,
    lengths: Sequence[int],
    axes: Sequence[int],
    arguments: tuple[object, ...],
) -> Array:
    """The result, in memory that is reserved before anything is computed."""
    shape = list(array.shape)
    for n, axis in zip(lengths, axes):
        shape[axis] = n
    if name in _OF_REAL:
        shape[axes[-1]] = lengths[-1] // 2 + 1
    is_single = array.dtype in (DTYPES[FLOAT32], DTYPES[COMPLEX64])
    if name in _TO_REAL:
        dtype = DTYPES[FLOAT32 if is_single else FLOAT64]
    else:
        dtype = DTYPES[COMPLEX64 if is_single else COMPLEX128]
    with client.create(tuple(shape), dtype) as result, numpy.errstate(all="ignore"):
        if not axes:
            result.array[...] = array
        elif array.size == 0:  # continued by zeros, which numpy 2 leaves undone
            result.array[...] = 0
        else:
            try:
                result.array[...] = getattr(numpy.fft, name)(array, *arguments)
            except MemoryError:
                raise error("client_memory", f"{name}: no memory here for {shape}") from None
    return Array(client, result._tensor())


# ---- frequencies ----


def fftfreq(
    n: int,
    /,
    *,
    d: float = 1.0,
    dtype: DTypeLike | None = None,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """The frequencies that the elements of `fft`'s result belong to, in cycles per unit of d.

    Parameters
    ----------
    n : int
        Length of the transform, at least 1.
    d : float
        Distance of two samples.
    dtype : {"float64", "float32"}, optional
        float64 where it is left out.
    device : {"cpu"}, optional
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    (n,) Array

    Raises
    ------
    ValueRefused
        n is less than 1, or d is 0.
    DtypeError

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.fftfreq(5, d=0.5).tolist()
    [0.0, 0.4, 0.8, -0.8, -0.4]
    """
    n = _length("fftfreq", n)
    return _frequencies("fftfreq", n, -(n // 2), d, dtype, device, client)


def rfftfreq(
    n: int,
    /,
    *,
    d: float = 1.0,
    dtype: DTypeLike | None = None,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """The frequencies that the elements of `rfft`'s result belong to; parameters as for `fftfreq`.

    Returns
    -------
    (n // 2 + 1,) Array

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.rfftfreq(5, d=0.5).tolist()
    [0.0, 0.4, 0.8]
    """
    return _frequencies("rfftfreq", _length("rfftfreq", n), 0, d, dtype, device, client)


def _frequencies(
    name: str,
    n: int,
    first: int,
    d: float,
    dtype: DTypeLike | None,
    device: Device,
    client: Client | None,
) -> Array:
    """The multiples of 1 / (n * d) from first on; where that is negative, they begin at 0."""
    number = FLOAT64 if dtype is None else number_of(dtype)
    if number not in (FLOAT32, FLOAT64):
        raise error("unsupported_dtype", f"{name}: wants float32 or float64, not {DTYPES[number]}")
    if n * float(d) == 0:
        raise error("bad_value", f"{name}: d is {d}; samples have a distance")
    unit = 1 / (n * float(d))
    end = (n + 1) // 2 if first else n // 2 + 1
    multiples = arange(first, end, 1, "float64", device=device, client=client)
    return compose(lambda v: astype(roll(v * unit, first), DTYPES[number]), multiples)


def fftshift(x: ArrayLike, /, *, axes: Axis = None) -> Array:
    """The elements of `fft`'s result in another order: that of frequency 0 stands in the middle.

    Parameters
    ----------
    x : array_like or Value
    axes : int or sequence of int, optional
        All where it is left out.

    Returns
    -------
    Array or Value
        Of x's shape and dtype.

    Raises
    ------
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.fftshift([0, 1, 2, -2, -1]).tolist()
    [-2, -1, 0, 1, 2]
    """
    return _shifted("fftshift", x, axes, lambda extent: extent // 2)


def ifftshift(x: ArrayLike, /, *, axes: Axis = None) -> Array:
    """The inverse of `fftshift`; parameters as there.

    Returns
    -------
    Array or Value
        Of x's shape and dtype.

    Examples
    --------
    >>> import tensord
    >>> tensord.fft.ifftshift([-2, -1, 0, 1, 2]).tolist()
    [0, 1, 2, -2, -1]
    """
    return _shifted("ifftshift", x, axes, lambda extent: -(extent // 2))


def _shifted(
    name: str, x: ArrayLike, axes: Axis, shift_of: Callable[[int], int]
) -> Array:
    x = array_of(x)
    axes = axes_of(name, range(x.ndim) if axes is None else axes, x.ndim)
    return roll(x, [shift_of(x.shape[axis]) for axis in axes], axis=axes)
