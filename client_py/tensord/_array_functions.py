# SPDX-License-Identifier: MIT
"""numpy's functions on arrays of tensord's: those that people use most, computed by the daemon.

A table has, for each such function of numpy's, what computes it here: a function with numpy's own
parameters. What is not in the table is refused, and the message names the way out, the memory as
an ndarray: numpy would otherwise compute in this process without a word.

What every function of numpy's may be given - ``out``, ``where``, ``order``, ... - is dealt with in
one place, `call`.
"""

from __future__ import annotations

import inspect
import operator
from typing import TYPE_CHECKING

import numpy

import tensord as td

from ._array import Array
from ._errors import TensordError, error, name_function
from ._index import axes_of, axis_of, integers_of
from ._operators import Operators
from ._ufuncs import (
    NO_VALUE,
    array_of,
    called,
    cast_to,
    check_options,
    client_of,
    floating,
    refused,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import ModuleType
    from typing import Any, Literal, TypeAlias, TypeVar

    from ._statistical import Variance
    from ._types import ArrayLike, Axes, Axis, DTypeLike, Shape, ShapeLike

    _F = TypeVar("_F", bound=Callable[..., Any])
    _Axes: TypeAlias = int | tuple[int | Sequence[int], int | Sequence[int]]

#: what computes each function of numpy's, and its signature
_TABLE: dict[Callable[..., Any], tuple[Callable[..., Any], inspect.Signature]] = {}
#: the same by name, with those that only an older or a newer numpy has
BY_NAME: dict[str, tuple[Callable[..., Any], inspect.Signature]] = {}
#: functions of numpy's that only look, and may do so at the memory itself
_LOOKING = """array2string array_repr array_str may_share_memory save savetxt savez
    savez_compressed shares_memory""".split()
_OPTIONS = ("where", "casting", "subok", "order")


def implements(*names: str, of: ModuleType = numpy) -> Callable[[_F], _F]:
    """Decorator: this computes the functions of these names."""

    def decorate(function: _F) -> _F:
        entry = function, inspect.signature(function)
        for name in names:
            BY_NAME[f"{of.__name__}.{name}"] = entry
            if hasattr(of, name):
                _TABLE[getattr(of, name)] = entry
        return function

    return decorate


def without_hints(signature: inspect.Signature) -> inspect.Signature:
    """Names and defaults alone."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return inspect.Signature(parameters)


def _name_of(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy.core.multiarray", "numpy")


def _look(x: object) -> object:
    """The same with ndarrays for arrays, within lists too."""
    if isinstance(x, Array):
        return numpy.asarray(x)
    if isinstance(x, (list, tuple)):
        return type(x)(map(_look, x))
    return x


def call(
    what: str,
    implementation: Callable[..., Any],
    signature: inspect.Signature,
    args: Sequence[Any],
    options: Mapping[str, Any],
) -> Any:
    """One in the table, with all options that functions of numpy's have."""
    given = {name: value for name, value in options.items() if value is not NO_VALUE}
    out = given.pop("out", None)
    check_options(what, {name: given.pop(name) for name in _OPTIONS if name in given})
    try:
        signature.bind(*args, **given)
    except TypeError as problem:
        raise refused(
            f"{what} on arrays of tensord takes {without_hints(signature)}: {problem}; give it "
            "numpy.asarray(x) for all else that numpy does"
        ) from None
    try:
        result = implementation(*args, **given)
    except TensordError as problem:
        name_function(problem, what.rpartition(".")[2])
        raise
    if out is None:
        return result
    store(result, out, what)
    return out


def parameters_of(function: Callable[..., Any]) -> str:
    """What one in the table takes behind its first parameter, with defaults."""
    (_, *rest) = without_hints(_TABLE[function][1]).parameters.values()
    return ", ".join(map(str, rest))


def compute_function(
    array: Array, function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """A function of numpy's that is in the table, by the client of an array among its arguments."""
    with called(client_of((array, *args, *options.values()))):
        return call(_name_of(function), *_TABLE[function], args, options)


def _array_function(
    self: Array,
    function: Callable[..., Any],
    types: Iterable[type],
    args: Sequence[Any],
    options: Mapping[str, Any],
) -> Any:
    """A function of numpy's on this array among others; see the module `_array_functions`."""
    if not all(issubclass(one, (Operators, numpy.ndarray, numpy.generic)) for one in types):
        return NotImplemented
    if function in _TABLE:
        return compute_function(self, function, args, options)
    if function.__name__ in _LOOKING:
        named = {name: _look(value) for name, value in options.items()}
        return function(*map(_look, args), **named)
    raise refused(
        f"{_name_of(function)} is not computed by tensord; give it numpy.asarray(x), the memory of "
        "the array without a copy"
    )


_array_function.__name__ = "__array_function__"
setattr(Array, "__array_function__", _array_function)


# ---- reductions ----


def _cast(x: ArrayLike, dtype: DTypeLike | None) -> Array:
    return array_of(x) if dtype is None else array_of(x).astype(dtype)


def _with_initial(op: Callable[..., Array], result: Array, initial: ArrayLike | None) -> Array:
    return result if initial is None else op(result, initial)


@implements("sum")
def _sum(
    a: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
) -> Array:
    result = td.sum(array_of(a), axis=axis, dtype=dtype, keepdims=keepdims)
    return _with_initial(td.add, result, initial)


@implements("prod", "product")
def _prod(
    a: ArrayLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
) -> Array:
    result = td.prod(array_of(a), axis=axis, dtype=dtype, keepdims=keepdims)
    return _with_initial(td.multiply, result, initial)


@implements("max", "amax")
def _max(
    a: ArrayLike, axis: Axis = None, *, keepdims: bool = False, initial: ArrayLike | None = None
) -> Array:
    return _with_initial(td.maximum, td.max(a, axis=axis, keepdims=keepdims), initial)


@implements("min", "amin")
def _min(
    a: ArrayLike, axis: Axis = None, *, keepdims: bool = False, initial: ArrayLike | None = None
) -> Array:
    return _with_initial(td.minimum, td.min(a, axis=axis, keepdims=keepdims), initial)


@implements("ptp")
def _ptp(a: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Array:
    return td.subtract(
        td.max(a, axis=axis, keepdims=keepdims), td.min(a, axis=axis, keepdims=keepdims)
    )


@implements("mean")
def _mean(
    a: ArrayLike, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
) -> Array:
    result = td.mean(floating(_cast(a, dtype)), axis=axis, keepdims=keepdims)
    return result if dtype is None else result.astype(dtype)


def _spread(op: Callable[[], Variance]) -> Callable[..., Array]:
    def function(
        a: ArrayLike,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        correction: float | None = None,
    ) -> Array:
        correction = ddof if correction is None else correction
        a = floating(_cast(a, dtype))
        return op()(a, axis=axis, correction=correction, keepdims=keepdims)

    return function


implements("std")(_spread(lambda: td.std))
implements("var")(_spread(lambda: td.var))


def _weights_along(weights: Array, shape: Shape, axis: Axis) -> Array:
    """Weights of the axes that are averaged over, with extents of 1 for the others."""
    if axis is None:
        raise TypeError("average: weights of another shape want an axis that they are for")
    axes = axes_of("average", axis, len(shape))
    if weights.shape != tuple([shape[i] for i in axes]):
        raise error(
            "shape_mismatch",
            f"average: weights of shape {weights.shape} for axes {tuple(axes)} of shape {shape}",
        )
    weights = weights.permute_dims(sorted(range(len(axes)), key=axes.__getitem__))
    return weights.reshape(tuple([n if i in axes else 1 for i, n in enumerate(shape)]))


@implements("average")
def _average(
    a: ArrayLike, axis: Axis = None, weights: ArrayLike | None = None, *, keepdims: bool = False
) -> Array:
    if weights is None:
        return _mean(a, axis, keepdims=keepdims)
    a, weights = array_of(a), array_of(weights)
    if weights.shape != a.shape:
        weights = _weights_along(weights, a.shape, axis)
    dtype = td.result_type(a, weights, *(["float64"] if a.dtype.kind in "biu" else []))
    a, weights = a.astype(dtype), weights.astype(dtype)
    weighted = td.sum(td.multiply(a, weights), axis=axis, keepdims=keepdims)
    return td.divide(weighted, td.sum(weights, axis=axis, keepdims=keepdims))


def _plain_reduction(name: str) -> None:
    def function(a: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Any:
        return getattr(td, name)(a, axis=axis, keepdims=keepdims)

    implements(name)(function)


for _name in ("all", "any", "argmax", "argmin", "count_nonzero"):
    _plain_reduction(_name)


def _flat(x: ArrayLike, axis: int | None) -> tuple[Array, int]:
    """(x, axis); where no axis is named, all elements in a row."""
    x = array_of(x)
    return (x.reshape(-1), 0) if axis is None else (x, axis)


@implements("cumsum", "cumulative_sum")
def _cumsum(
    a: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    *,
    include_initial: bool = False,
) -> Array:
    a, axis = _flat(a, axis)
    return td.cumulative_sum(a, axis=axis, dtype=dtype, include_initial=include_initial)


@implements("cumprod", "cumulative_prod")
def _cumprod(
    a: ArrayLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    *,
    include_initial: bool = False,
) -> Array:
    a, axis = _flat(a, axis)
    return td.cumulative_prod(a, axis=axis, dtype=dtype, include_initial=include_initial)


@implements("diff")
def _diff(
    a: ArrayLike,
    n: int = 1,
    axis: int = -1,
    prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
) -> Array:
    given = {"prepend": prepend, "append": append}
    given = {name: array_of(value) for name, value in given.items() if value is not None}
    return td.diff(a, axis=axis, n=n, **given)


# ---- products ----


@implements("dot")
def _dot(a: ArrayLike, b: ArrayLike) -> Array:
    a, b = array_of(a), array_of(b)
    if not a.ndim or not b.ndim:
        return td.multiply(a, b)
    if b.ndim == 1 or a.ndim <= 2 >= b.ndim:
        return td.matmul(a, b)
    return td.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2,)))


@implements("inner")
def _inner(a: ArrayLike, b: ArrayLike) -> Array:
    a, b = array_of(a), array_of(b)
    if not a.ndim or not b.ndim:
        return td.multiply(a, b)
    return td.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 1,)))


@implements("vdot")
def _vdot(a: ArrayLike, b: ArrayLike) -> Array:
    return td.vecdot(array_of(a).reshape(-1), array_of(b).reshape(-1))


@implements("outer")
def _outer(a: ArrayLike, b: ArrayLike) -> Array:
    return td.multiply(array_of(a).reshape(-1, 1), array_of(b).reshape(1, -1))


@implements("tensordot")
def _tensordot(a: ArrayLike, b: ArrayLike, axes: _Axes = 2) -> Array:
    if not isinstance(axes, int):
        axes1, axes2 = ((one,) if isinstance(one, int) else tuple(one) for one in axes)
        return td.tensordot(a, b, axes=(axes1, axes2))
    return td.tensordot(a, b, axes=axes)


@implements("einsum")
def _einsum(subscripts: str, *operands: ArrayLike, optimize: object = False) -> Array:
    return td.einsum(subscripts, *operands)


# ---- shapes ----


@implements("shape")
def _shape(a: ArrayLike) -> Shape:
    return array_of(a).shape


@implements("ndim")
def _ndim(a: ArrayLike) -> int:
    return array_of(a).ndim


@implements("size")
def _size(a: ArrayLike, axis: int | None = None) -> int:
    a = array_of(a)
    return a.size if axis is None else a.shape[axis]


@implements("transpose", "permute_dims")
def _transpose(a: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    return array_of(a).transpose(*(() if axes is None else axes))


@implements("matrix_transpose")
def _matrix_transpose(x: ArrayLike, /) -> Array:
    return array_of(x).mT


@implements("swapaxes")
def _swapaxes(a: ArrayLike, axis1: int, axis2: int) -> Array:
    a = array_of(a)
    order = list(range(a.ndim))
    i, k = (axis_of("swapaxes", axis, a.ndim) for axis in (axis1, axis2))
    order[i], order[k] = k, i
    return a.permute_dims(order)


@implements("moveaxis")
def _moveaxis(
    a: ArrayLike, source: Axes, destination: Axes
) -> Array:
    return td.moveaxis(a, source, destination)


@implements("reshape")
def _reshape(
    a: ArrayLike,
    /,
    shape: ShapeLike | None = None,
    newshape: ShapeLike | None = None,
    *,
    copy: bool | None = None,
) -> Array:
    shape = newshape if shape is None else shape
    if shape is None:
        raise TypeError("reshape() wants a shape")
    return td.reshape(a, shape, copy=copy)


@implements("ravel")
def _ravel(a: ArrayLike) -> Array:
    return array_of(a).reshape(-1)


@implements("expand_dims")
def _expand_dims(a: ArrayLike, axis: Axes) -> Array:
    return td.expand_dims(a, axis)


@implements("squeeze")
def _squeeze(a: ArrayLike, axis: Axis = None) -> Array:
    a = array_of(a)
    if axis is None:
        axis = tuple(i for i, extent in enumerate(a.shape) if extent == 1)
    return td.squeeze(a, axis)


@implements("broadcast_to")
def _broadcast_to(array: ArrayLike, shape: ShapeLike) -> Array:
    return td.broadcast_to(array, shape)


@implements("broadcast_arrays")
def _broadcast_arrays(*args: ArrayLike) -> list[Array]:
    return td.broadcast_arrays(*args)


def _at_least(n: int, x: ArrayLike) -> Array:
    """Of n dimensions, as numpy adds them."""
    x = array_of(x)
    if x.ndim >= n:
        return x
    if n == 3:
        x = _at_least(2, x)
        return x.reshape(x.shape + (1,))
    return x.reshape((1,) * (n - x.ndim) + x.shape)


def _at_least_function(n: int) -> None:
    def function(*arys: ArrayLike) -> Array | list[Array]:
        made = [_at_least(n, x) for x in arys]
        return made[0] if len(made) == 1 else made

    implements(f"atleast_{n}d")(function)


for _n in (1, 2, 3):
    _at_least_function(_n)


# ---- joining and parting ----


@implements("concatenate", "concat")
def _concatenate(
    arrays: Iterable[ArrayLike], axis: int | None = 0, *, dtype: DTypeLike | None = None
) -> Array:
    if axis is None:
        arrays, axis = [array_of(x).reshape(-1) for x in arrays], 0
    result = td.concat(tuple(arrays), axis=axis)
    return result if dtype is None else array_of(cast_to(result, dtype, "numpy.concatenate"))


@implements("stack")
def _stack(arrays: Iterable[ArrayLike], axis: int = 0, *, dtype: DTypeLike | None = None) -> Array:
    result = td.stack(tuple(arrays), axis=axis)
    return result if dtype is None else array_of(cast_to(result, dtype, "numpy.stack"))


@implements("vstack", "row_stack")
def _vstack(tup: Iterable[ArrayLike], *, dtype: DTypeLike | None = None) -> Array:
    return _concatenate([_at_least(2, x) for x in tup], 0, dtype=dtype)


@implements("hstack")
def _hstack(tup: Iterable[ArrayLike], *, dtype: DTypeLike | None = None) -> Array:
    parts = [_at_least(1, x) for x in tup]
    return _concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype=dtype)


@implements("dstack")
def _dstack(tup: Iterable[ArrayLike]) -> Array:
    return _concatenate([_at_least(3, x) for x in tup], 2)


@implements("column_stack")
def _column_stack(tup: Iterable[ArrayLike]) -> Array:
    parts = [array_of(x) for x in tup]
    return _concatenate([x if x.ndim >= 2 else x.reshape(-1, 1) for x in parts], 1)


@implements("append")
def _append(arr: ArrayLike, values: ArrayLike, axis: int | None = None) -> Array:
    return _concatenate((array_of(arr), array_of(values)), axis)


def _bounds(length: int, sections: int | Sequence[int], is_even: bool) -> list[int]:
    try:
        n = operator.index(sections)  # type: ignore[arg-type]  # this is the question
    except TypeError:
        return [0, *sections, length]  # type: ignore[misc]  # the answer
    if n <= 0:
        raise error("bad_arguments", f"split: {n} parts are none")
    if is_even and length % n:
        raise error("bad_arguments", f"split: {length} is not divided into {n} equal parts")
    size, more = divmod(length, n)
    bounds = [0]
    for i in range(n):
        bounds.append(bounds[-1] + size + (i < more))
    return bounds


def _parts(
    x: ArrayLike, sections: int | Sequence[int], axis: int, is_even: bool = True
) -> list[Array]:
    x = array_of(x)
    if not -x.ndim <= axis < x.ndim:
        raise error("bad_axis", f"split: shape {x.shape} has no axis {axis}")
    bounds = _bounds(x.shape[axis], sections, is_even)
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(*pair))] for pair in zip(bounds, bounds[1:])]


@implements("split")
def _split(ary: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Array]:
    return _parts(ary, indices_or_sections, axis)


@implements("array_split")
def _array_split(
    ary: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0
) -> list[Array]:
    return _parts(ary, indices_or_sections, axis, False)


@implements("vsplit")
def _vsplit(ary: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Array]:
    return _parts(ary, indices_or_sections, 0)


@implements("hsplit")
def _hsplit(ary: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Array]:
    return _parts(ary, indices_or_sections, 0 if array_of(ary).ndim == 1 else 1)


@implements("unstack")
def _unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Array, ...]:
    return td.unstack(x, axis=axis)


# ---- movement ----


@implements("flip")
def _flip(m: ArrayLike, axis: Axis = None) -> Array:
    return td.flip(m, axis=axis)


@implements("flipud")
def _flipud(m: ArrayLike) -> Array:
    return td.flip(m, axis=0)


@implements("fliplr")
def _fliplr(m: ArrayLike) -> Array:
    return td.flip(m, axis=1)


@implements("roll")
def _roll(a: ArrayLike, shift: int | Sequence[int], axis: Axis = None) -> Array:
    return td.roll(a, shift, axis=axis)


@implements("tile")
def _tile(A: ArrayLike, reps: int | Sequence[int]) -> Array:  # noqa: N803, numpy's name
    return td.tile(A, integers_of(reps))


@implements("repeat")
def _repeat(a: ArrayLike, repeats: ArrayLike, axis: int | None = None) -> Array:
    if not isinstance(repeats, (int, Operators)):
        repeats = array_of(repeats)
    return td.repeat(a, repeats, axis=axis)


@implements("tril")
def _tril(m: ArrayLike, k: int = 0) -> Array:
    return td.tril(m, k=k)


@implements("triu")
def _triu(m: ArrayLike, k: int = 0) -> Array:
    return td.triu(m, k=k)


@implements("meshgrid")
def _meshgrid(*xi: ArrayLike, indexing: Literal["xy", "ij"] = "xy") -> list[Array]:
    return td.meshgrid(*xi, indexing=indexing)
