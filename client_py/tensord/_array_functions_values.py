# SPDX-License-Identifier: MIT
"""More of numpy's functions on arrays of tensord's: what is made, chosen, compared and sorted.

They enter the table of the module `_array_functions`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy

import tensord as td

from ._array_functions import _concatenate, _flat, implements
from ._errors import error
from ._operators import Operators
from ._ufuncs import array_of, floating, refused, store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, TypeAlias

    from ._array import Array
    from ._types import ArrayLike, Device, DType, DTypeLike, NDArray, ShapeLike

    _Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]

# ---- made ----


def _like(name: str) -> None:
    def function(
        a: ArrayLike,
        dtype: DTypeLike | None = None,
        *,
        shape: ShapeLike | None = None,
        device: Device = None,
    ) -> Any:
        if shape is not None:
            plain = getattr(td, name.removesuffix("_like"))
            return plain(shape, dtype=array_of(a).dtype if dtype is None else dtype)
        return getattr(td, name)(array_of(a), dtype=dtype, device=device)

    implements(name)(function)


for _name in ("zeros_like", "ones_like", "empty_like"):
    _like(_name)


@implements("full_like")
def _full_like(
    a: ArrayLike,
    fill_value: complex,
    dtype: DTypeLike | None = None,
    *,
    shape: ShapeLike | None = None,
    device: Device = None,
) -> Array:
    if shape is not None:
        return td.full(shape, fill_value, dtype=array_of(a).dtype if dtype is None else dtype)
    return td.full_like(array_of(a), fill_value, dtype=dtype, device=device)


@implements("copy")
def _copy(a: ArrayLike) -> Array:
    return td.asarray(a, copy=True)


@implements("astype")
def _astype(
    x: ArrayLike, dtype: DTypeLike, /, *, copy: bool = True, device: Device = None
) -> Array:
    return td.astype(x, dtype, copy=copy, device=device)


@implements("copyto")
def _copyto(dst: Array | NDArray, src: ArrayLike) -> None:
    if not isinstance(src, Operators) and numpy.ndim(src) == 0:
        src = numpy.asarray(src, numpy.result_type(dst.dtype, src))
    store(array_of(src), dst, "numpy.copyto")


# ---- dtypes ----


def _dtypes(xs: Iterable[Any]) -> list[Any]:
    return [x.dtype if isinstance(x, Operators) else x for x in xs]


@implements("result_type")
def _result_type(*arrays_and_dtypes: Any) -> DType:
    return numpy.result_type(*_dtypes(arrays_and_dtypes))


@implements("can_cast")
def _can_cast(from_: Any, to: Any, casting: _Casting = "safe") -> bool:
    from_, to = _dtypes((from_, to))
    return numpy.can_cast(from_, to, casting)


@implements("iscomplexobj")
def _iscomplexobj(x: ArrayLike) -> bool:
    return array_of(x).dtype.kind == "c"


@implements("isrealobj")
def _isrealobj(x: ArrayLike) -> bool:
    return array_of(x).dtype.kind != "c"


# ---- element by element ----


@implements("real")
def _real(val: ArrayLike) -> Array:
    val = array_of(val)
    return td.real(val) if val.dtype.kind == "c" else val


@implements("imag")
def _imag(val: ArrayLike) -> Array:
    val = array_of(val)
    return td.imag(val) if val.dtype.kind == "c" else td.zeros_like(val)


@implements("angle")
def _angle(z: ArrayLike, deg: bool = False) -> Array:
    z = floating(z)
    angle = td.atan2(_imag(z), _real(z))
    return angle * (180 / td.pi) if deg else angle


@implements("clip")
def _clip(
    a: ArrayLike,
    a_min: ArrayLike | None = None,
    a_max: ArrayLike | None = None,
    *,
    min: ArrayLike | None = None,
    max: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
) -> Array:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    result = td.clip(array_of(a), low, high)
    return result if dtype is None else result.astype(dtype)


@implements("round", "around", "round_")
def _round(a: ArrayLike, decimals: int = 0) -> Array:
    a = array_of(a)
    if decimals == 0 or (decimals > 0 and a.dtype.kind in "biu"):
        return td.round(a) if a.dtype.kind in "fc" else td.asarray(a, copy=True)
    if a.dtype.kind in "biu":
        raise refused("numpy.round: integers are not rounded to tens; use td.astype first")
    if a.dtype.kind == "c":  # each part by itself: an infinite one times a number has NaN beside
        return a._make("complex", (_round(a.real, decimals), _round(a.imag, decimals)))
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return td.divide(td.round(td.multiply(a, scale)), scale)
    return td.multiply(td.round(td.divide(a, scale)), scale)


def _beside(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Two arrays to be compared; those of two clients are compared by the first one's."""
    a, b = array_of(a), array_of(b)
    if a._client is not None and b._client is not None and a._client is not b._client:
        b = a._client.put(numpy.asarray(b))
    return a, b


@implements("isclose")
def _isclose(
    a: ArrayLike, b: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Array:
    a, b = _beside(a, b)
    b = floating(b)
    a = a.astype("float64") if a.dtype.kind == "b" else a
    near = td.less_equal(td.abs(td.subtract(a, b)), td.add(td.multiply(td.abs(b), rtol), atol))
    result = td.logical_or(td.logical_and(near, td.isfinite(b)), td.equal(a, b))
    if not equal_nan:
        return result
    return td.logical_or(result, td.logical_and(td.isnan(floating(a)), td.isnan(b)))


@implements("allclose")
def _allclose(
    a: ArrayLike, b: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    return bool(td.all(_isclose(a, b, rtol, atol, equal_nan)))


@implements("array_equal")
def _array_equal(a1: ArrayLike, a2: ArrayLike, equal_nan: bool = False) -> bool:
    a1, a2 = _beside(a1, a2)
    if a1.shape != a2.shape:
        return False
    same = td.equal(a1, a2)
    if equal_nan:
        same = td.logical_or(
            same, td.logical_and(td.isnan(floating(a1)), td.isnan(floating(a2)))
        )
    return bool(td.all(same))


@implements("array_equiv")
def _array_equiv(a1: ArrayLike, a2: ArrayLike) -> bool:
    a1, a2 = _beside(a1, a2)
    try:
        numpy.broadcast_shapes(a1.shape, a2.shape)
    except ValueError:
        return False
    return bool(td.all(td.equal(a1, a2)))


# ---- chosen ----


@implements("where")
def _where(
    condition: ArrayLike, x: ArrayLike | None = None, y: ArrayLike | None = None, /
) -> Array | tuple[Array, ...]:
    if x is None and y is None:
        return td.nonzero(array_of(condition))
    if x is None or y is None:
        raise refused("numpy.where: takes both x and y, or neither")
    condition = array_of(condition)
    if condition.dtype.kind != "b":
        condition = td.not_equal(condition, 0)
    return td.where(condition, x, y)


@implements("nonzero")
def _nonzero(a: ArrayLike) -> tuple[Array, ...]:
    return td.nonzero(a)


@implements("flatnonzero")
def _flatnonzero(a: ArrayLike) -> Array:
    return td.nonzero(array_of(a).reshape(-1))[0]


@implements("argwhere")
def _argwhere(a: ArrayLike) -> Array:
    a = array_of(a)
    if a.ndim == 0:
        return td.zeros((int(bool(a)), 0), dtype="int64", client=a._client)
    return td.stack(td.nonzero(a), axis=1)


@implements("take")
def _take(
    a: ArrayLike, indices: ArrayLike, axis: int | None = None, *, mode: str = "raise"
) -> Array:
    if mode != "raise":
        raise refused("numpy.take: mode= other than 'raise' is not known here")
    a, axis = _flat(a, axis)
    if not isinstance(indices, Operators):
        indices = numpy.asarray(indices)
    return td.take(a, indices, axis=axis)


@implements("take_along_axis")
def _take_along_axis(arr: ArrayLike, indices: ArrayLike, axis: int | None = -1) -> Array:
    arr, axis = _flat(arr, axis)
    return td.take_along_axis(arr, indices, axis=axis)


@implements("compress")
def _compress(condition: ArrayLike, a: ArrayLike, axis: int | None = None) -> Array:
    a, axis = _flat(a, axis)
    condition = numpy.asarray(condition)
    if condition.ndim != 1:
        raise error(
            "shape_mismatch", f"compress: the condition has one dimension, not {condition.shape}"
        )
    return td.take(a, numpy.flatnonzero(condition), axis=axis)


@implements("searchsorted")
def _searchsorted(
    a: ArrayLike,
    v: ArrayLike,
    side: Literal["left", "right"] = "left",
    sorter: ArrayLike | None = None,
) -> Array:
    return td.searchsorted(a, v, side=side, sorter=sorter)


# ---- sorted ----


@implements("sort")
def _sort(
    a: ArrayLike, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None
) -> Array:
    a, axis = _flat(a, axis)
    return td.sort(a, axis=axis)


@implements("argsort")
def _argsort(
    a: ArrayLike, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None
) -> Array:
    a, axis = _flat(a, axis)
    return td.argsort(a, axis=axis)


@implements("isin")
def _isin(
    element: ArrayLike,
    test_elements: ArrayLike,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: str | None = None,
) -> Array:
    return td.isin(element, test_elements, invert=invert)


def _check_kth(kth: int | Sequence[int], size: int) -> None:
    for k in kth if isinstance(kth, Iterable) else (kth,):
        if not -size <= operator.index(k) < size:
            raise error("bad_arguments", f"partition: kth = {k} of {size} elements")


@implements("partition")
def _partition(
    a: ArrayLike, kth: int | Sequence[int], axis: int | None = -1, kind: str | None = None
) -> Array:
    """All of it is sorted, which is in place for whichever kth."""
    a, axis = _flat(a, axis)
    _check_kth(kth, a.shape[axis])
    return _sort(a, axis)


@implements("argpartition")
def _argpartition(
    a: ArrayLike, kth: int | Sequence[int], axis: int | None = -1, kind: str | None = None
) -> Array:
    a, axis = _flat(a, axis)
    _check_kth(kth, a.shape[axis])
    return _argsort(a, axis)


@implements("lexsort")
def _lexsort(keys: Iterable[ArrayLike], axis: int = -1) -> Array:
    given = [array_of(key) for key in keys]
    if len({key.shape for key in given}) != 1:
        raise error(
            "shape_mismatch",
            f"lexsort: keys of one shape, and some, not {[key.shape for key in given]}",
        )
    first, *others = given
    places = td.argsort(first, axis=axis)
    for key in others:
        more = td.argsort(td.take_along_axis(key, places, axis=axis), axis=axis)
        places = td.take_along_axis(places, more, axis=axis)
    return places


def _n_more_nans(values: Array) -> int:
    """How many NaN there are behind the first one, at the end."""
    if values.dtype.kind not in "fc":
        return 0
    return max(int(td.count_nonzero(td.isnan(values))) - 1, 0)


def _all_of_unique(ar: ArrayLike, equal_nan: bool) -> tuple[Array, Array, Array, Array]:
    values, index, inverse, counts = td.unique_all(ar)
    more = _n_more_nans(values) if equal_nan else 0
    if more:
        n = values.size - more
        index, inverse = index[:n], td.minimum(inverse, n - 1)
        counts = td.concat((counts[: n - 1], td.sum(counts[n - 1 :]).reshape(1)))
        values = values[:n]
    return values, index, inverse, counts


@implements("unique")
def _unique(
    ar: ArrayLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Array | tuple[Array, ...]:
    if axis is not None:
        raise refused("numpy.unique: axis= is not computed by tensord; give it numpy.asarray(x)")
    ar = array_of(ar)
    wishes = (return_index, return_inverse, return_counts)
    if not any(wishes):
        values = td.unique_values(ar)
        more = _n_more_nans(values) if equal_nan else 0
        return values[: values.size - more] if more else values
    values, *others = _all_of_unique(ar, equal_nan)
    return (values, *(other for other, is_wanted in zip(others, wishes) if is_wanted))


@implements("union1d")
def _union1d(ar1: ArrayLike, ar2: ArrayLike) -> Any:
    return _unique(_concatenate((ar1, ar2), None))


@implements("intersect1d")
def _intersect1d(
    ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, return_indices: bool = False
) -> Array | tuple[Array, ...]:
    a, b = array_of(ar1).reshape(-1), array_of(ar2).reshape(-1)
    dtype = td.result_type(a, b)
    values, places = td.unique_all(a.astype(dtype))[:2]
    is_in = td.isin(values, b.astype(dtype))
    if not return_indices:
        return values[is_in]
    found = values[is_in]
    others, at = td.unique_all(b.astype(dtype))[:2]
    return found, places[is_in], td.take(at, td.searchsorted(others, found))


@implements("setdiff1d")
def _setdiff1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False) -> Array:
    a = array_of(ar1).reshape(-1)
    if not assume_unique:
        a = array_of(_unique(a))
    return a[td.isin(a, array_of(ar2), invert=True)]


@implements("setxor1d")
def _setxor1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False) -> Any:
    each = [array_of(x).reshape(-1) if assume_unique else _unique(x) for x in (ar1, ar2)]
    values = _concatenate(each, None)
    if values.dtype.kind == "c":  # which have no order
        return _unique(_concatenate((_setdiff1d(ar1, ar2), _setdiff1d(ar2, ar1)), None))
    values = td.sort(values)
    differs = td.concat([[True], td.not_equal(values[1:], values[:-1]), [True]])
    return values[td.logical_and(differs[1:], differs[:-1])] if values.size else values


for _name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
    implements(_name)(lambda x, name=_name: getattr(td, name)(x))
