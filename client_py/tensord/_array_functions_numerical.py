# SPDX-License-Identifier: MIT
"""numpy's numerical methods on arrays of tensord's: derivatives, integrals, interpolation.

They enter the table of the module `_array_functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

import tensord as td

from ._array_functions import implements
from ._errors import error
from ._index import axes_of, axis_of
from ._operators import Operators
from ._ufuncs import array_of, cast_to, floating

if TYPE_CHECKING:
    from typing import Any

    from ._array import Array
    from ._types import ArrayLike, Axis, NDArray


def _at(axis: int, item: slice | int) -> tuple[slice | int, ...]:
    return (slice(None),) * axis + (item,)


def _along(values: NDArray, axis: int, ndim: int) -> NDArray:
    return values.reshape((-1,) + (1,) * (ndim - axis - 1))


def _differences(op: str, spacing: Any, n: int) -> NDArray | float:
    """Distances of neighbours: one number, or one for each pair of n."""
    if isinstance(spacing, Operators) or numpy.ndim(spacing):
        places = numpy.asarray(spacing)
        if places.shape != (n,):
            raise error(
                "shape_mismatch", f"{op}: coordinates of shape {places.shape} for {n} elements"
            )
        places = places.astype("float64") if places.dtype.kind in "biu" else places
        steps: NDArray = numpy.diff(places)
        return float(steps[0]) if steps.size and (steps == steps[0]).all() else steps
    return float(spacing)


def _edge_weights(steps: tuple[float, float], order: int) -> list[float]:
    """Of the first elements, for the derivative at the first: one-sided differences.

    Of order 2 through three points, as in Fornberg, "Generation of finite difference formulas on
    arbitrarily spaced grids", Math. Comp. 51 (1988).
    """
    h, k = steps
    if order == 1:
        return [-1 / h, 1 / h]
    return [-(2 * h + k) / (h * (h + k)), (h + k) / (h * k), -h / (k * (h + k))]


def _weighted(x: Array, axis: int, places: list[int], weights: list[float]) -> Array:
    parts = [
        td.multiply(x[_at(axis, slice(i, i + 1 or None))], weight)
        for i, weight in zip(places, weights)
    ]
    result = parts[0]
    for part in parts[1:]:
        result = td.add(result, part)
    return result


def _derivative(x: Array, axis: int, spacing: Any, order: int) -> Array:
    n = x.shape[axis]
    if n < order + 1:
        raise error(
            "shape_mismatch",
            f"gradient: {n} elements along axis {axis}, wanted at least {order + 1}",
        )
    steps = _differences("gradient", spacing, n)
    before, here, after = (
        x[_at(axis, part)] for part in (slice(None, -2), slice(1, -1), slice(2, None))
    )
    if isinstance(steps, float):
        inner = td.divide(td.subtract(after, before), 2 * steps)
        ends = [(steps, steps), (-steps, -steps)]
    else:
        h, k = (_along(part, axis, x.ndim).astype(x.dtype) for part in (steps[:-1], steps[1:]))
        inner = td.add(
            td.add(td.multiply(before, -k / (h * (h + k))), td.multiply(here, (k - h) / (h * k))),
            td.multiply(after, h / (k * (h + k))),
        )
        first = [float(one) for one in (steps[0], steps[min(1, n - 2)])]
        last = [-float(one) for one in (steps[-1], steps[max(-2, 1 - n)])]
        ends = [(first[0], first[1]), (last[0], last[1])]
    left = _weighted(x, axis, [0, 1, 2], _edge_weights(ends[0], order))
    right = _weighted(x, axis, [-1, -2, -3], _edge_weights(ends[1], order))
    return td.concat((left, inner, right), axis=axis)


@implements("gradient")
def _gradient(
    f: ArrayLike, *varargs: ArrayLike, axis: Axis = None, edge_order: int = 1
) -> Array | list[Array]:
    x = floating(f)
    axes = list(range(x.ndim)) if axis is None else axes_of("gradient", axis, x.ndim)
    if edge_order not in (1, 2):
        raise error("bad_arguments", f"gradient: edge_order is 1 or 2, not {edge_order!r}")
    spacings = varargs if len(varargs) == len(axes) else (*(varargs or (1.0,)),) * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"gradient: {len(varargs)} spacings for {len(axes)} axes")
    results = [_derivative(x, at, spacing, edge_order) for at, spacing in zip(axes, spacings)]
    return results[0] if len(results) == 1 else results


@implements("trapz", "trapezoid")
def _trapezoid(y: ArrayLike, x: ArrayLike | None = None, dx: float = 1.0, axis: int = -1) -> Array:
    y = floating(y)
    axis = axis_of("trapezoid", axis, y.ndim)
    sums = td.add(y[_at(axis, slice(1, None))], y[_at(axis, slice(None, -1))])
    if x is None:
        widths: Any = dx
    else:
        places = floating(x)
        if places.ndim == 1:
            widths = td.diff(places).reshape((-1,) + (1,) * (y.ndim - axis - 1))
        else:
            widths = td.diff(places, axis=axis)
    return td.sum(td.divide(td.multiply(widths, sums), 2.0), axis=axis)


@implements("interp")
def _interp(
    x: ArrayLike,
    xp: ArrayLike,
    fp: ArrayLike,
    left: float | None = None,
    right: float | None = None,
) -> Array:
    x, xp, fp = array_of(x).astype("float64"), array_of(xp).astype("float64"), array_of(fp)
    fp = fp.astype("complex128" if fp.dtype.kind == "c" else "float64")
    if xp.ndim != 1 or fp.shape != xp.shape or not xp.size:
        raise error(
            "shape_mismatch", f"interp: points of shape {xp.shape} with values of {fp.shape}"
        )
    n = xp.size
    place = td.searchsorted(xp, x, side="right") - 1
    low = td.clip(place, 0, max(n - 2, 0))
    high = td.minimum(low + 1, n - 1)
    x0, y0, y1 = td.take(xp, low), td.take(fp, low), td.take(fp, high)
    slope = td.divide(td.subtract(y1, y0), td.subtract(td.take(xp, high), x0))
    between = td.add(td.multiply(slope, td.subtract(x, x0)), y0)
    between = td.where(td.equal(x, x0), y0, between)
    result = td.where(td.greater_equal(place, n - 1), fp[-1] if right is None else right, between)
    result = td.where(td.equal(x, xp[-1]), fp[-1], result)
    result = td.where(td.less(x, xp[0]), fp[0] if left is None else left, result)
    return td.where(td.isnan(x), td.nan, result)


@implements("nan_to_num")
def _nan_to_num(
    x: ArrayLike,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Array:
    given = array_of(x)
    if given.dtype.kind not in "fc":
        return td.asarray(given, copy=True) if copy else given
    limits = td.finfo(given.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf

    def finite(part: Array) -> Array:
        part = td.where(td.isnan(part), nan, part)
        limit = td.where(td.greater(part, 0), high, low).astype(part.dtype)
        return td.where(td.isinf(part), limit, part)

    if given.dtype.kind == "f":
        result = finite(given)
    else:
        result = (finite(td.real(given)) + 1j * finite(td.imag(given))).astype(given.dtype)
    if copy:
        return result
    given[...] = result
    return given


@implements("ediff1d")
def _ediff1d(
    ary: ArrayLike, to_end: ArrayLike | None = None, to_begin: ArrayLike | None = None
) -> Array:
    x = array_of(ary).reshape(-1)
    given = [part for part in (to_begin, td.diff(x), to_end) if part is not None]
    flat = [array_of(part).reshape(-1) for part in given]
    return td.concat([array_of(cast_to(part, x.dtype, "numpy.ediff1d")) for part in flat])


@implements("polyval")
def _polyval(p: ArrayLike, x: ArrayLike) -> Array:
    """By Horner's scheme."""
    p, x = array_of(p), array_of(x)
    result = td.zeros_like(x)
    for i in range(p.shape[0]):
        result = td.add(td.multiply(result, x), p[i])
    return result
