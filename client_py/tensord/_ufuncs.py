# SPDX-License-Identifier: MIT
"""numpy's universal functions on arrays of tensord's: computed by the daemon.

A ufunc becomes the operation that stands for it, and of its methods ``reduce``, ``accumulate`` and
``outer`` do. Where something else would have to be computed here, over a copy and behind the user's
back, it is refused, and the message says what to write instead.
"""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING

import numpy

import tensord as td  # complete by the time that anything here is called

from . import _array
from ._array import Array
from ._errors import ArgumentError, TensordError, error, name_function
from ._operators import Operators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    from ._client import Client
    from ._types import ArrayLike, Concrete, DTypeLike, NDArray, Shape

    _Result: TypeAlias = Array | tuple[Array, ...]
    Options: TypeAlias = dict[str, Any]

SAME = """add bitwise_and bitwise_or bitwise_xor ceil copysign cos cosh divide equal exp
    expm1 floor floor_divide greater greater_equal hypot isfinite isinf isnan less less_equal log
    log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul maximum minimum
    multiply negative nextafter not_equal positive reciprocal remainder sign signbit sin sinh sqrt
    square subtract tan tanh trunc vecdot""".split()
OTHERS = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "conj",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "true_divide": "divide",
}
REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
ACCUMULATIONS = {"add": "cumulative_sum", "multiply": "cumulative_prod"}
#: what numpy hands on for a parameter that was left out
NO_VALUE = numpy._NoValue  # type: ignore[attr-defined]  # the hints of numpy leave it out
_KNOWN = (numpy.ndarray, numpy.generic, Operators, bool, int, float, complex, list, tuple)


class NumpyRefused(ArgumentError, TypeError):
    """A function of numpy's, or an option of one, that is not computed in the daemon."""


def refused(message: str) -> NumpyRefused:
    return NumpyRefused(message, "bad_arguments")


class _Calling(threading.local):
    """Of the array that numpy called upon: its client computes with what is no array yet."""

    client: Client | None = None


_calling = _Calling()


@contextlib.contextmanager
def called(client: Client | None) -> Iterator[None]:
    """While it runs, `array_of` makes arrays of this client's."""
    before, _calling.client = _calling.client, client
    try:
        yield
    finally:
        _calling.client = before


def client_of(values: Iterable[object]) -> Client | None:
    """Of the first array that has one among them, or in a list or tuple among them."""
    for x in values:
        client = None
        if isinstance(x, Array):
            client = x._client
        elif isinstance(x, (list, tuple)):
            client = client_of(x)
        if client is not None:
            return client
    return None


def array_of(x: ArrayLike) -> Array:
    """An array of whatever can be an operand; an array, or a value of a program, as it is."""
    return _array.array_of(x, _calling.client)


def floating(x: ArrayLike) -> Array:
    """A real or complex array of whatever is one, of integers in float64."""
    x = array_of(x)
    return x if x.dtype.kind in "fc" else x.astype("float64")


def _float_power(x: ArrayLike, y: Concrete) -> Array:
    x = floating(x)
    return td.pow(x.astype("complex128" if x.dtype.kind == "c" else "float64"), y)


def _passing_nan(op: str) -> Callable[..., Array]:
    """maximum or minimum, of the other one where one is NaN."""

    def function(x: ArrayLike, y: ArrayLike, /) -> Array:
        given: list[Any] = [v if type(v) in (bool, int, float) else array_of(v) for v in (x, y)]
        if not any(isinstance(v, Operators) for v in given):
            given[0] = array_of(x)
        result: Array = getattr(td, op)(*given)
        for one, other in (given, given[::-1]):
            if type(one) in (bool, int, float):
                if math.isnan(one):
                    return td.astype(other, result.dtype)
            elif one.dtype.kind == "f":
                result = td.where(td.isnan(one), other, result)
        return result

    return function


def _real(op: str, compute: Callable[[Array], Array]) -> Callable[[ArrayLike], Array]:
    """It is of real numbers, and computed of floats."""

    def function(x: ArrayLike, /) -> Array:
        x = floating(x)
        if x.dtype.kind == "c":
            raise error(
                "dtype_mismatch", f"{op}: is not defined for {x.dtype}; it takes real numbers"
            )
        return compute(x)

    return function


def _scaled(op: str, factor: float) -> Callable[[ArrayLike], Array]:
    return _real(op, lambda x: td.multiply(x, factor))


def _divmod(x: Concrete, y: Concrete) -> tuple[Array, Array]:
    return td.floor_divide(x, y), td.remainder(x, y)


COMPOSED: dict[str, Callable[..., _Result]] = {
    "deg2rad": _scaled("deg2rad", math.pi / 180),
    "degrees": _scaled("degrees", 180 / math.pi),
    "divmod": _divmod,
    "fabs": _real("fabs", lambda x: td.abs(x)),
    "rint": lambda x: td.round(floating(x)),
    "exp2": lambda x: td.pow(2.0, floating(x)),
    "float_power": _float_power,
    "fmax": _passing_nan("maximum"),
    "fmin": _passing_nan("minimum"),
    "rad2deg": _scaled("rad2deg", 180 / math.pi),
    "radians": _scaled("radians", math.pi / 180),
}


def _find(ufunc: numpy.ufunc) -> Callable[..., _Result]:
    name = what = ufunc.__name__
    if getattr(numpy, name, None) is ufunc:  # not another library's of that name
        what = f"numpy.{name}"
        if name in COMPOSED:
            return COMPOSED[name]
        if name in OTHERS or name in SAME:
            found: Callable[..., _Result] = getattr(td, OTHERS.get(name, name))
            return found
    raise refused(
        f"{what} is not computed by tensord; give it numpy.asarray(x), the memory of the array "
        "without a copy"
    )


def cast_to(x: ArrayLike, dtype: DTypeLike, what: str) -> ArrayLike:
    """An operand in the dtype that dtype= asks for."""
    if type(x) in (bool, int, float, complex):
        return x
    x = array_of(x)
    if not numpy.can_cast(x.dtype, dtype, "same_kind"):
        raise refused(f"{what}: {x.dtype} is not cast to {numpy.dtype(dtype)}; use astype() first")
    return x.astype(dtype)


def _spreads(shape: Shape, to: Shape) -> bool:
    try:
        return numpy.broadcast_shapes(shape, to) == tuple(to)
    except ValueError:
        return False


def store(result: Array, out: Array | NDArray, what: str) -> None:
    """Have out hold the result, whichever library's array it is."""
    if tuple(out.shape) != tuple(result.shape) and not _spreads(result.shape, out.shape):
        raise error(
            "shape_mismatch",
            f"{what}: a result of shape {result.shape} does not go into out of shape {out.shape}",
        )
    if not numpy.can_cast(result.dtype, out.dtype, "same_kind"):
        raise error(
            "dtype_mismatch",
            f"{what}: a result of dtype {result.dtype} is not cast to out's {out.dtype}",
        )
    if isinstance(out, Array):
        out[...] = result.astype(out.dtype)
    else:
        numpy.copyto(out, numpy.asarray(result), casting="same_kind")


def _store_all(result: _Result, outs: Sequence[Array | NDArray | None] | None, what: str) -> object:
    if outs is None:
        return result
    results = result if isinstance(result, tuple) else (result,)
    if len(outs) != len(results):
        raise refused(f"{what}: out= has {len(outs)} for {len(results)} results")
    for part, out in zip(results, outs):
        if out is not None:
            store(part, out, what)
    stored = tuple(part if out is None else out for part, out in zip(results, outs))
    return stored if isinstance(result, tuple) else stored[0]


def check_options(what: str, options: Options) -> None:
    """Refuse options that would change what is computed; those that say how it lies are let be."""
    if options.pop("where", True) is not True:
        raise refused(f"{what}: where= is not computed; use tensord.where(condition, x, y)")
    if options.pop("casting", "same_kind") not in ("same_kind", "unsafe", "safe"):
        raise refused(f"{what}: casting= other than 'same_kind' is not known here; use astype()")
    options.pop("subok", None)
    if options.pop("order", None) not in (None, "K", "C", "A"):
        raise refused(f"{what}: order='F' is not made here; transpose what is made of x.T")
    if options:
        raise refused(f"{what}: {', '.join(options)}= is not known here")


def _call(ufunc: numpy.ufunc, inputs: Sequence[ArrayLike], options: Options) -> _Result:
    what = f"numpy.{ufunc.__name__}"
    function = _find(ufunc)
    dtype = options.pop("dtype", None)
    check_options(what, options)
    if dtype is not None:
        inputs = [cast_to(x, dtype, what) for x in inputs]
    try:
        return function(*inputs)
    except TensordError as problem:
        name_function(problem, ufunc.__name__)
        raise


def call(ufunc: numpy.ufunc, inputs: Sequence[ArrayLike], options: Options) -> object:
    """A ufunc on whatever can be an operand, with out= as ufuncs have it."""
    out = options.pop("out", None)
    outs = out if out is None or isinstance(out, tuple) else (out,)
    if not any(isinstance(x, Operators) for x in inputs):
        inputs = (array_of(inputs[0]), *inputs[1:])
    result = _call(ufunc, inputs, options)
    return _store_all(result, outs, f"numpy.{ufunc.__name__}")


def _method(
    ufunc: numpy.ufunc, method: str, names: Mapping[str, str], x: ArrayLike, options: Options
) -> _Result:
    """reduce and accumulate, by the function that does the same."""
    what = f"numpy.{ufunc.__name__}.{method}"
    name = names.get(ufunc.__name__)
    if name is None or getattr(numpy, ufunc.__name__) is not ufunc:
        raise refused(
            f"{what} is not computed by tensord, but that of {', '.join(names)} is; give it "
            "numpy.asarray(x), the memory of the array without a copy"
        )
    dtype, axis = options.pop("dtype", None), options.pop("axis", 0)
    keywords = {"keepdims": options.pop("keepdims", False)} if method == "reduce" else {}
    initial = options.pop("initial", None)
    check_options(what, options)
    x = array_of(x) if dtype is None else cast_to(x, dtype, what)
    if dtype is not None and name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        keywords["dtype"] = dtype
    result: Array = getattr(td, name)(x, axis=axis, **keywords)
    return result if initial is None or initial is NO_VALUE else _find(ufunc)(result, initial)


def _outer(ufunc: numpy.ufunc, x: ArrayLike, y: ArrayLike, options: Options) -> _Result:
    x, y = array_of(x), array_of(y)
    return _call(ufunc, (x.reshape(x.shape + (1,) * y.ndim), y), options)


def _compute(
    ufunc: numpy.ufunc, method: str, inputs: Sequence[ArrayLike], options: Options
) -> _Result:
    if method == "__call__":
        return _call(ufunc, inputs, options)
    if method == "reduce" and len(inputs) == 1:
        return _method(ufunc, method, REDUCTIONS, inputs[0], options)
    if method == "accumulate" and len(inputs) == 1:
        return _method(ufunc, method, ACCUMULATIONS, inputs[0], options)
    if method == "outer" and len(inputs) == 2:
        return _outer(ufunc, inputs[0], inputs[1], options)
    advice = "assign to x[...] instead" if method == "at" else "give it numpy.asarray(x)"
    raise refused(f"numpy.{ufunc.__name__}.{method} is not computed by tensord; {advice}")


def _array_ufunc(
    self: Array,
    ufunc: numpy.ufunc,
    method: str,
    *inputs: ArrayLike,
    out: Sequence[Array | NDArray | None] | None = None,
    **options: Any,
) -> object:
    """A ufunc of numpy's on this array among others; see the module `_ufuncs`."""
    for x in (*inputs, *(out or ())):
        if not isinstance(x, _KNOWN) and hasattr(x, "__array_ufunc__"):
            return NotImplemented
    with called(client_of((self, *inputs, *(out or ())))):
        result = _compute(ufunc, method, inputs, options)
    return _store_all(result, out, f"numpy.{ufunc.__name__}")


_array_ufunc.__name__ = "__array_ufunc__"
setattr(Array, "__array_ufunc__", _array_ufunc)
