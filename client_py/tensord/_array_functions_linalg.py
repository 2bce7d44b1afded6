# SPDX-License-Identifier: MIT
"""``numpy.linalg`` and ``numpy.fft`` on arrays of tensord's.

They enter the table of the module `_array_functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

import tensord as td

from ._array_functions import implements
from ._errors import error
from ._index import integers_of
from ._ufuncs import array_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Literal, TypeAlias, TypeVar

    from ._array import Array
    from ._types import ArrayLike, Axis, DTypeLike, Norm
    from .linalg import EighResult, LstsqResult, QRResult, SVDResult

    _F = TypeVar("_F", bound=Callable[..., Any])
    _Order: TypeAlias = float | Literal["fro", "nuc"]


def _in_linalg(*names: str) -> Callable[[_F], _F]:
    return implements(*names, of=numpy.linalg)


def _as_here(name: str) -> None:
    """A function that has the same parameters in numpy as here."""

    def function(a: ArrayLike) -> Any:
        return getattr(td.linalg, name)(a)

    _in_linalg(name)(function)


for _name in ("det", "inv", "slogdet", "svdvals", "eig", "eigvals"):
    _as_here(_name)


@_in_linalg("solve")
def _solve(a: ArrayLike, b: ArrayLike) -> Array:
    return td.linalg.solve(a, b)


@_in_linalg("cholesky")
def _cholesky(a: ArrayLike, /, *, upper: bool = False) -> Array:
    return td.linalg.cholesky(a, upper=upper)


def _check_lower(op: str, UPLO: str) -> None:  # noqa: N803, numpy's name
    if UPLO != "L":
        raise refused(f"numpy.linalg.{op}: the lower triangle is read; give it x.mT for the upper")


@_in_linalg("eigh")
def _eigh(a: ArrayLike, UPLO: str = "L") -> EighResult:  # noqa: N803
    _check_lower("eigh", UPLO)
    return td.linalg.eigh(a)


@_in_linalg("eigvalsh")
def _eigvalsh(a: ArrayLike, UPLO: str = "L") -> Array:  # noqa: N803
    _check_lower("eigvalsh", UPLO)
    return td.linalg.eigvalsh(a)


@_in_linalg("qr")
def _qr(a: ArrayLike, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    if mode not in ("reduced", "complete"):
        raise refused(f"numpy.linalg.qr: mode is 'reduced' or 'complete' here, not {mode!r}")
    return td.linalg.qr(a, mode=mode)


@_in_linalg("svd")
def _svd(
    a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True, *, hermitian: bool = False
) -> SVDResult | Array:
    if not compute_uv:
        return td.linalg.svdvals(a)
    return td.linalg.svd(a, full_matrices=full_matrices)


@_in_linalg("pinv")
def _pinv(a: ArrayLike, rcond: ArrayLike | None = None, *, rtol: ArrayLike | None = None) -> Array:
    if rcond is None and rtol is None:
        rcond = 1e-15  # numpy's
    return td.linalg.pinv(a, rtol=rcond if rtol is None else rtol)


@_in_linalg("lstsq")
def _lstsq(a: ArrayLike, b: ArrayLike, rcond: float | Literal["warn"] | None = None) -> LstsqResult:
    return td.linalg.lstsq(a, b, None if rcond == "warn" else rcond)


@_in_linalg("matrix_rank")
def _matrix_rank(
    A: ArrayLike, tol: ArrayLike | None = None, *, rtol: ArrayLike | None = None
) -> Array:  # noqa: N803
    if tol is not None:
        above = td.greater(td.linalg.svdvals(A), array_of(tol)[..., None])
        return td.count_nonzero(above, axis=-1)
    return td.linalg.matrix_rank(A, rtol=rtol)


@_in_linalg("matrix_power")
def _matrix_power(a: ArrayLike, n: int) -> Array:
    return td.linalg.matrix_power(a, n)


def _cheapest(extents: Sequence[int]) -> dict[tuple[int, int], int]:
    """Of matrices of extents[i] x extents[i + 1]: (first, last) -> where their product is parted.

    By dynamic programming, as in Cormen et al., "Introduction to Algorithms", section 14.2.
    """
    n = len(extents) - 1
    costs, parted = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            k = i + length
            costs[i, k], parted[i, k] = min(
                (costs[i, j] + costs[j + 1, k] + extents[i] * extents[j + 1] * extents[k + 1], j)
                for j in range(i, k)
            )
    return parted


@_in_linalg("multi_dot")
def _multi_dot(arrays: Iterable[ArrayLike]) -> Array:
    given = [array_of(x) for x in arrays]
    if len(given) < 2:
        raise error("bad_arguments", f"multi_dot: of two arrays or more, not of {len(given)}")
    matrices = [*given]
    if given[0].ndim == 1:
        matrices[0] = given[0].reshape(1, -1)
    if given[-1].ndim == 1:
        matrices[-1] = given[-1].reshape(-1, 1)
    for x in matrices:
        if x.ndim != 2:
            raise error("shape_mismatch", f"multi_dot: shape {x.shape} is no matrix's")
    parted = _cheapest([matrices[0].shape[0], *(x.shape[1] for x in matrices)])

    def product(i: int, k: int) -> Array:
        if i == k:
            return matrices[i]
        return td.matmul(product(i, parted[i, k]), product(parted[i, k] + 1, k))

    rows, columns = given[0].shape[:-1], given[-1].shape[1:]  # without those of vectors
    return product(0, len(matrices) - 1).reshape(rows + columns)


@_in_linalg("norm")
def _norm(
    x: ArrayLike, ord: _Order | None = None, axis: Axis = None, keepdims: bool = False
) -> Array:  # noqa: A002, numpy's name
    x = array_of(x)
    if axis is None and ord is None:
        return td.linalg.vector_norm(x, keepdims=keepdims)
    axes = tuple(range(x.ndim)) if axis is None else integers_of(axis)
    if len(axes) == 1:
        order: Any = 2 if ord is None else ord
        return td.linalg.vector_norm(x, axis=axes[0], keepdims=keepdims, ord=order)
    if len(axes) != 2:
        raise refused(f"numpy.linalg.norm: of order {ord!r} along {len(axes)} axes is not defined")
    result = td.linalg.matrix_norm(
        td.moveaxis(x, axes, (-2, -1)), ord="fro" if ord is None else ord
    )
    return td.expand_dims(result, tuple(axis % x.ndim for axis in axes)) if keepdims else result


@_in_linalg("matrix_norm")
def _matrix_norm(
    x: ArrayLike, /, *, keepdims: bool = False, ord: _Order = "fro"
) -> Array:  # noqa: A002
    return td.linalg.matrix_norm(x, keepdims=keepdims, ord=ord)


@_in_linalg("vector_norm")
def _vector_norm(
    x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2
) -> Array:  # noqa: A002
    return td.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


@implements("trace")
def _trace(
    a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None
) -> Array:
    return td.linalg.trace(td.moveaxis(a, (axis1, axis2), (-2, -1)), offset=offset, dtype=dtype)


@implements("diagonal")
def _diagonal(a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    return td.linalg.diagonal(td.moveaxis(a, (axis1, axis2), (-2, -1)), offset=offset)


@_in_linalg("trace")
def _trace_last(x: ArrayLike, /, *, offset: int = 0, dtype: DTypeLike | None = None) -> Array:
    return td.linalg.trace(x, offset=offset, dtype=dtype)


@_in_linalg("diagonal")
def _diagonal_last(x: ArrayLike, /, *, offset: int = 0) -> Array:
    return td.linalg.diagonal(x, offset=offset)


@implements("cross")
@_in_linalg("cross")
def _cross(a: ArrayLike, b: ArrayLike, *, axis: int = -1) -> Array:
    return td.linalg.cross(a, b, axis=axis)


@_in_linalg("outer")
def _outer(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    return td.linalg.outer(x1, x2)


# ---- fft ----


def _in_fft(*names: str) -> Callable[[_F], _F]:
    return implements(*names, of=numpy.fft)


def _one_axis(name: str) -> None:
    def function(
        a: ArrayLike, n: int | None = None, axis: int = -1, norm: Norm | None = None
    ) -> Any:
        return getattr(td.fft, name)(a, n=n, axis=axis, norm=norm or "backward")

    _in_fft(name)(function)


def _several_axes(name: str, by: str, default: Sequence[int] | None) -> None:
    def function(
        a: ArrayLike,
        s: Sequence[int] | None = None,
        axes: Sequence[int] | None = default,
        norm: Norm | None = None,
    ) -> Any:
        return getattr(td.fft, by)(a, s=s, axes=axes, norm=norm or "backward")

    _in_fft(name)(function)


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _one_axis(_name)
for _name in ("fftn", "ifftn", "rfftn", "irfftn"):
    _several_axes(_name, _name, None)
for _name in ("fft2", "ifft2", "rfft2", "irfft2"):
    _several_axes(_name, _name[:-1] + "n", (-2, -1))


@_in_fft("fftshift")
def _fftshift(x: ArrayLike, axes: Axis = None) -> Array:
    return td.fft.fftshift(x, axes=axes)


@_in_fft("ifftshift")
def _ifftshift(x: ArrayLike, axes: Axis = None) -> Array:
    return td.fft.ifftshift(x, axes=axes)
