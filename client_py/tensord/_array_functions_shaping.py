# SPDX-License-Identifier: MIT
"""numpy's functions that put arrays together from parts of others, on arrays of tensord's.

They enter the table of the module `_array_functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

import tensord as td

from ._array_functions import _flat, implements
from ._errors import error
from ._index import axes_of, axis_of
from ._ufuncs import array_of, refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._array import Array
    from ._types import ArrayLike, Shape


@implements("diag")
def _diag(v: ArrayLike, k: int = 0) -> Array:
    v = array_of(v)
    if v.ndim == 2:
        return td.linalg.diagonal(v, offset=k)
    if v.ndim != 1:
        raise error("shape_mismatch", f"diag: takes one dimension or two, not shape {v.shape}")
    n = v.shape[0] + abs(k)
    rest = td.zeros((abs(k),), dtype=v.dtype)
    # one row, or one column, of what stands in each column, or row
    spread = td.concat((v, rest))[:, None] if k >= 0 else td.concat((v, rest))[None, :]
    return td.where(td.eye(n, k=k, dtype="bool"), spread, td.zeros((), dtype=v.dtype))


@implements("diagflat")
def _diagflat(v: ArrayLike, k: int = 0) -> Array:
    return _diag(array_of(v).reshape(-1), k)


@implements("fill_diagonal")
def _fill_diagonal(a: Array, val: ArrayLike) -> None:
    if a.ndim < 2 or (a.ndim > 2 and len(set(a.shape)) > 1):
        raise error("shape_mismatch", f"fill_diagonal: shape {a.shape} has no diagonal to fill")
    places = numpy.arange(min(a.shape))
    a[(places,) * a.ndim] = val


@implements("kron")
def _kron(a: ArrayLike, b: ArrayLike) -> Array:
    a, b = array_of(a), array_of(b)
    ndim = max(a.ndim, b.ndim)
    shapes = [(1,) * (ndim - x.ndim) + x.shape for x in (a, b)]
    outer = td.multiply(
        a.reshape([n for extent in shapes[0] for n in (extent, 1)]),
        b.reshape([n for extent in shapes[1] for n in (1, extent)]),
    )
    return outer.reshape([n * m for n, m in zip(*shapes)])


@implements("rot90")
def _rot90(m: ArrayLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    m = array_of(m)
    if len(axes) != 2:
        raise error("bad_axis", f"rot90: turns from one axis to another, not {tuple(axes)}")
    first, second = axes_of("rot90", axes, m.ndim)
    if k % 4 == 2:
        return td.flip(m, axis=(first, second))
    if k % 4 == 0:
        return m[...]
    order = list(range(m.ndim))
    order[first], order[second] = second, first
    turned = td.flip(m, axis=second) if k % 4 == 1 else m
    turned = turned.permute_dims(order)
    return turned if k % 4 == 1 else td.flip(turned, axis=second)


def _pad_constant(x: Array, axis: int, widths: Sequence[int], values: Sequence[Any]) -> Array:
    parts = [x]
    for side in (0, 1):
        if widths[side]:
            shape: Shape = x.shape[:axis] + (int(widths[side]),) + x.shape[axis + 1 :]
            part = td.full(shape, values[side].item(), dtype=x.dtype)
            parts.insert(0 if side == 0 else len(parts), part)
    return td.concat(parts, axis=axis) if len(parts) > 1 else x


@implements("pad")
def _pad(
    array: ArrayLike,
    pad_width: ArrayLike,
    mode: str = "constant",
    *,
    constant_values: ArrayLike = 0,
    reflect_type: str = "even",
) -> Array:
    x = given = array_of(array)
    widths = numpy.broadcast_to(numpy.asarray(pad_width), (x.ndim, 2))
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad: widths are integers, not {widths.dtype}")
    if (widths < 0).any():
        raise error("bad_arguments", f"pad: widths cannot be negative, as in {pad_width!r}")
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap") or reflect_type != "even":
        raise refused(f"numpy.pad: mode={mode!r} is not computed; give it numpy.asarray(x)")
    values = numpy.broadcast_to(numpy.asarray(constant_values), (x.ndim, 2))
    if x.dtype.kind in "iu" and not numpy.isfinite(values).all():
        raise error("bad_arguments", f"pad: {constant_values!r} is no number of {x.dtype}")
    for axis in range(x.ndim):
        if mode == "constant":
            x = _pad_constant(x, axis, widths[axis], values[axis])
        elif widths[axis].any():
            if x.shape[axis] == 0:
                raise error("bad_arguments", f"pad: axis {axis} has nothing that fills it")
            pad: Any = numpy.pad  # its hints want each mode by itself
            x = td.take(x, pad(numpy.arange(x.shape[axis]), tuple(widths[axis]), mode), axis=axis)
    return td.asarray(x, copy=True) if x is given else x


@implements("delete")
def _delete(arr: ArrayLike, obj: Any, axis: int | None = None) -> Array:
    x, axis = _flat(arr, axis)
    axis = axis_of("delete", axis, x.ndim)
    if not isinstance(obj, (int, slice)):
        obj = numpy.asarray(obj)
    return td.take(x, numpy.delete(numpy.arange(x.shape[axis]), obj), axis=axis)


@implements("select")
def _select(
    condlist: Sequence[ArrayLike], choicelist: Sequence[ArrayLike], default: ArrayLike = 0
) -> Array:
    if len(condlist) != len(choicelist) or not condlist:
        raise error(
            "bad_arguments",
            f"select: {len(condlist)} conditions and {len(choicelist)} choices; as many, and some",
        )
    choices = [array_of(choice) for choice in choicelist]
    is_number = isinstance(default, (int, float, complex))
    result: Any = default if is_number else array_of(default)
    dtype = td.result_type(*choices, result)
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        result = td.where(array_of(condition), choice.astype(dtype), result)
    return td.astype(result, dtype)
