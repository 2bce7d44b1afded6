# SPDX-License-Identifier: MIT
"""numpy's statistics on arrays of tensord's: of order, without NaN, of several variables, in bins.

They enter the table of the module `_array_functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

import tensord as td

from ._array_functions import implements
from ._errors import error
from ._index import axes_of
from ._ufuncs import array_of, floating, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ._array import Array
    from ._types import ArrayLike, Axis, DTypeLike, NDArray, Shape

# ---- of order ----


def _in_last(op: str, x: Array, axis: Axis) -> tuple[Array, Shape]:
    """(x with what is reduced in one axis, the last; shape of a result that keeps dimensions)."""
    if x.dtype.kind == "c":
        raise error("dtype_mismatch", f"{op}: {x.dtype} has no order")
    axes = range(x.ndim) if axis is None else axes_of(op, axis, x.ndim)
    others = [i for i in range(x.ndim) if i not in axes]
    kept = tuple([1 if i in axes else extent for i, extent in enumerate(x.shape)])
    x = x.permute_dims((*others, *axes))
    n = 1
    for extent in x.shape[len(others) :]:
        n *= extent
    return x.reshape(x.shape[: len(others)] + (n,)), kept


def _midpoint(low: Array, high: Array) -> Array:
    return td.where(td.equal(low, high), low, td.multiply(td.add(low, high), 0.5))


@implements("median")
def _median(
    a: ArrayLike, axis: Axis = None, *, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    x, kept = _in_last("median", floating(a), axis)
    n = x.shape[-1]
    if n == 0:
        return td.full(kept if keepdims else x.shape[:-1], td.nan, dtype=x.dtype)
    ordered = td.sort(x)  # NaN last
    result = _midpoint(ordered[..., (n - 1) // 2], ordered[..., n // 2])
    result = td.where(td.isnan(ordered[..., -1]), td.nan, result)
    return result.reshape(kept) if keepdims else result


#: where in n sorted elements the one lies that a share of them is below, as numpy's methods say
_PLACES: dict[str, Callable[[NDArray, int], Any]] = {
    "linear": lambda q, n: q * (n - 1),
    "lower": lambda q, n: numpy.floor(q * (n - 1)),
    "higher": lambda q, n: numpy.ceil(q * (n - 1)),
    "nearest": lambda q, n: numpy.round(q * (n - 1)),
    "midpoint": lambda q, n: (numpy.floor(q * (n - 1)) + numpy.ceil(q * (n - 1))) / 2,
}

#: those that choose one element, whose dtype stays
_OF_ONE = ("lower", "higher", "nearest")


def _between(low: Array, high: Array, weight: NDArray) -> Array:
    """From low to high by a weight of 0 to 1, from the nearer of both: exact at both ends."""
    step = td.subtract(high, low)
    from_low = td.add(low, td.multiply(step, weight))
    from_high = td.subtract(high, td.multiply(step, 1 - weight))
    result = td.where(weight < 0.5, from_low, from_high)
    return td.where(weight == 0, low, result)  # whatever is above it


def _quantiles(
    op: str, a: ArrayLike, q: ArrayLike, axis: Axis, method: str, keepdims: bool
) -> Array:
    if method not in _PLACES:
        raise refused(f"numpy.{op}: method={method!r} is none of {', '.join(_PLACES)}")
    shares = numpy.asarray(q, "float64")
    if shares.ndim > 1 or not ((shares >= 0) & (shares <= 1)).all():
        raise error("bad_arguments", f"{op}: a share of all lies between 0 and 1, not {q!r}")
    x, kept = _in_last(op, array_of(a) if method in _OF_ONE else floating(a), axis)
    n = x.shape[-1]
    if n == 0:
        raise error("bad_arguments", f"{op}: of no elements there is none; shape {x.shape}")
    place = _PLACES[method](shares, n)
    low = numpy.floor(place).astype("int64")
    ordered = td.sort(x)
    result = td.take(ordered, low.reshape(-1), axis=-1)
    if method not in _OF_ONE:
        weight = (place - low).reshape(-1).astype(x.dtype if shares.ndim == 0 else "float64")
        high = td.take(ordered, numpy.minimum(low + 1, n - 1).reshape(-1), axis=-1)
        result = _between(result, high, weight)
    if x.dtype.kind == "f":
        result = td.where(td.isnan(ordered[..., -1:]), td.nan, result)
    if shares.ndim == 0:
        return result.reshape(kept if keepdims else x.shape[:-1])
    result = td.moveaxis(result, -1, 0)
    return result.reshape(result.shape[:1] + kept) if keepdims else result


@implements("quantile")
def _quantile(
    a: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    *,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    return _quantiles("quantile", a, q, axis, method, keepdims)


@implements("percentile")
def _percentile(
    a: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    *,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    return _quantiles(
        "percentile", a, numpy.true_divide(numpy.asarray(q), 100), axis, method, keepdims
    )


# ---- without NaN ----


def _valid(a: ArrayLike) -> tuple[Array, Array]:
    """(x, where it is none)."""
    x = array_of(a)
    return x, td.isnan(x) if x.dtype.kind in "fc" else td.zeros_like(x, dtype="bool")


def _without(name: str, instead: float) -> None:
    def function(
        a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
    ) -> Any:
        x, is_nan = _valid(a)
        x = td.where(is_nan, instead, x)
        return getattr(td, name)(x, axis=axis, dtype=dtype, keepdims=keepdims)

    implements(f"nan{name}")(function)


for _name, _instead in {"sum": 0, "prod": 1}.items():
    _without(_name, _instead)


def _nan_extreme(name: str, instead: float) -> None:
    def function(a: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
        reduction = getattr(td, name)
        x, is_nan = _valid(a)
        if x.dtype.kind != "f":
            return reduction(x, axis=axis, keepdims=keepdims)
        result = reduction(td.where(is_nan, instead, x), axis=axis, keepdims=keepdims)
        return td.where(td.all(is_nan, axis=axis, keepdims=keepdims), td.nan, result)

    implements(f"nan{name}")(function)


for _name, _limit in {"max": -numpy.inf, "min": numpy.inf}.items():
    _nan_extreme(_name, _limit)


def _nan_accumulation(name: str, instead: float) -> None:
    def function(
        a: ArrayLike, axis: int | None = None, dtype: DTypeLike | None = None
    ) -> Any:
        x, is_nan = _valid(a)
        return getattr(numpy, name)(td.where(is_nan, instead, x), axis=axis, dtype=dtype)

    implements(f"nan{name}")(function)


for _name, _instead in {"cumsum": 0, "cumprod": 1}.items():
    _nan_accumulation(_name, _instead)


def _counted(is_nan: Array, axis: Axis, keepdims: bool) -> Array:
    return td.sum(td.logical_not(is_nan), axis=axis, keepdims=keepdims, dtype="int64")


@implements("nanmean")
def _nanmean(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Array:
    x, is_nan = _valid(floating(a) if dtype is None else array_of(a).astype(dtype))
    total = td.sum(td.where(is_nan, 0, x), axis=axis, keepdims=keepdims)
    return td.divide(total, _counted(is_nan, axis, keepdims).astype(x.dtype))


def _nan_variance(a: ArrayLike, axis: Axis, ddof: float, keepdims: bool) -> Array:
    x, is_nan = _valid(floating(a))
    away = td.where(is_nan, 0, td.subtract(x, _nanmean(x, axis, keepdims=True)))
    away = td.square(td.abs(away))
    n = _counted(is_nan, axis, keepdims).astype(away.dtype) - ddof
    result = td.divide(td.sum(away, axis=axis, keepdims=keepdims), n)
    return td.where(n > 0, result, td.nan)


@implements("nanvar")
def _nanvar(a: ArrayLike, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    return _nan_variance(a, axis, ddof, keepdims)


@implements("nanstd")
def _nanstd(a: ArrayLike, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Array:
    return td.sqrt(_nan_variance(a, axis, ddof, keepdims))


@implements("nanmedian")
def _nanmedian(
    a: ArrayLike, axis: Axis = None, *, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    x, kept = _in_last("nanmedian", floating(a), axis)
    if x.shape[-1] == 0:
        return _median(x, -1).reshape(kept if keepdims else x.shape[:-1])
    ordered = td.sort(x)  # NaN last
    n = td.sum(td.logical_not(td.isnan(x)), axis=-1, keepdims=True, dtype="int64")
    places = [td.maximum(n - 1, 0) // 2, td.minimum(n // 2, x.shape[-1] - 1)]
    low, high = (td.take_along_axis(ordered, place, axis=-1) for place in places)
    result = _midpoint(low, high)
    return result.reshape(kept if keepdims else x.shape[:-1])


# ---- of several variables ----


def _rows(m: ArrayLike, dtype: DTypeLike | None, rowvar: bool) -> Array:
    """A variable in each row, its observations in columns."""
    x = array_of(m)
    x = x.astype(td.result_type(x.dtype, "float64") if dtype is None else dtype)
    if x.ndim > 2:
        raise error("shape_mismatch", f"cov: shape {x.shape} is of more than two dimensions")
    if x.ndim < 2:
        return x.reshape(1, -1)
    return x if rowvar else x.T


def _covariance(x: Array, ddof: float) -> Array:
    away = td.subtract(x, td.mean(x, axis=1, keepdims=True))
    n = max(x.shape[1] - ddof, 0)
    return td.divide(td.matmul(away, td.conj(away).T), float(n))


@implements("cov")
def _cov(
    m: ArrayLike,
    y: ArrayLike | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    *,
    dtype: DTypeLike | None = None,
) -> Array:
    x = _rows(m, dtype, rowvar)
    if y is not None:
        x = td.concat((x, _rows(y, dtype, rowvar)))
    result = _covariance(x, (0 if bias else 1) if ddof is None else ddof)
    return result[0, 0] if result.shape == (1, 1) else result


@implements("corrcoef")
def _corrcoef(
    x: ArrayLike, y: ArrayLike | None = None, rowvar: bool = True, *, dtype: DTypeLike | None = None
) -> Array:
    cov = _cov(x, y, rowvar, dtype=dtype)
    if cov.ndim == 0:
        return td.divide(cov, cov)
    spread = td.sqrt(td.real(td.linalg.diagonal(cov)))
    cov = td.divide(td.divide(cov, spread[:, None]), spread[None, :])
    if cov.dtype.kind != "c":
        return td.clip(cov, -1, 1)
    return td.clip(td.real(cov), -1, 1) + td.clip(td.imag(cov), -1, 1) * 1j


# ---- in bins ----


@implements("bincount")
def _bincount(x: ArrayLike, /, weights: ArrayLike | None = None, minlength: int = 0) -> Array:
    x = array_of(x)
    if x.ndim != 1 or x.dtype.kind not in "iub":
        raise error(
            "bad_arguments", f"bincount: takes integers in one dimension, not {x.dtype} {x.shape}"
        )
    if minlength < 0:
        raise error("bad_arguments", f"bincount: minlength is {minlength}, it cannot be negative")
    x = x.astype("uint8") if x.dtype.kind == "b" else x
    n = max(int(td.max(x)) + 1 if x.size else 0, minlength)
    if x.size and x.dtype.kind == "i" and int(td.min(x)) < 0:
        raise error("bad_arguments", "bincount: there are negative numbers among what is counted")
    if weights is None:
        return td.segment_sum(td.ones(x.shape), x, n).astype("int64")
    return td.segment_sum(array_of(weights).astype("float64"), x, n)


@implements("digitize")
def _digitize(x: ArrayLike, bins: ArrayLike, right: bool = False) -> Array:
    edges = numpy.asarray(bins)
    if edges.ndim != 1:
        raise error("bad_arguments", f"digitize: bins of shape {edges.shape}, wanted one dimension")
    rises, falls = (edges[1:] >= edges[:-1]).all(), (edges[1:] <= edges[:-1]).all()
    if not rises and not falls:
        raise error("bad_arguments", "digitize: bins neither rise nor fall all along")
    found = td.searchsorted(
        edges if rises else edges[::-1], array_of(x), side="left" if right else "right"
    )
    return found if rises else td.subtract(len(edges), found)


def _bounds_of(x: Array, given: Sequence[float] | None) -> tuple[float, float]:
    if given is not None:
        low, high = map(float, given)
    elif x.size:
        low, high = float(td.min(x)), float(td.max(x))
    else:
        low, high = 0.0, 1.0
    if not (numpy.isfinite(low) and numpy.isfinite(high) and low <= high):
        raise error("bad_arguments", f"histogram: bins do not reach from {low} to {high}")
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _edges(x: Array, bins: ArrayLike | str, between: Sequence[float] | None) -> NDArray:
    if isinstance(bins, str):
        raise refused(f"numpy.histogram: bins={bins!r} is not known here; say how many")
    edges = numpy.asarray(bins)
    if edges.ndim == 0:
        n = int(edges)
        if n < 1 or n != edges:
            raise error("bad_arguments", f"histogram: {bins!r} bins are none")
        equal = numpy.linspace(*_bounds_of(x, between), n + 1)
        return equal.astype(x.dtype) if x.dtype.kind == "f" else equal
    if edges.ndim != 1 or not edges.size or (edges[1:] < edges[:-1]).any():
        raise error("bad_arguments", "histogram: edges of bins rise, in one dimension")
    return edges


@implements("histogram")
def _histogram(
    a: ArrayLike,
    bins: ArrayLike | str = 10,
    range: Sequence[float] | None = None,
    density: bool | None = None,
    weights: ArrayLike | None = None,
) -> tuple[Array, Array]:
    x = array_of(a).reshape(-1)
    edges = _edges(x, bins, range)
    n = len(edges) - 1
    found = td.searchsorted(edges, x, side="right") - 1
    found = td.where(td.equal(x, edges[-1]), n - 1, found)
    is_in = td.logical_and(td.greater_equal(x, edges[0]), td.less_equal(x, edges[-1]))
    weight = is_in if weights is None else td.where(is_in, array_of(weights).reshape(-1), 0)
    counts = td.segment_sum(weight.astype("float64"), td.where(is_in, found, 0), n)
    if density:
        widths = array_of(numpy.diff(edges.astype("float64")))
        counts = td.divide(td.divide(counts, widths), td.sum(counts))
    elif weights is None or array_of(weights).dtype.kind in "iu":
        counts = counts.astype("int64" if weights is None else array_of(weights).dtype)
    return counts, array_of(edges)
