# SPDX-License-Identifier: MIT
"""Methods that numpy's arrays have beside those of the standard, on arrays of tensord's.

Most are numpy's functions of the same name, with the same parameters: see `_array_functions`. As in
numpy, `sort` and `fill` change the array itself; what `ravel` and `squeeze` yield are views where
that is possible, and `copy` and `flatten` make arrays of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy

from . import _array_functions_values  # noqa: F401, the table is complete then
from ._array import Array
from ._array_functions import compute_function
from ._assignment import is_same_view
from ._errors import error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, SupportsIndex

    from ._types import ArrayLike, Concrete

_AS_FUNCTIONS = """argsort clip cumprod cumsum diagonal dot nonzero ptp ravel repeat round
    searchsorted squeeze swapaxes take trace""".split()


def _as_function(name: str) -> Callable[..., Array]:
    function = getattr(numpy, name)

    def method(self: Array, *args: Any, **options: Any) -> Any:
        return compute_function(self, function, (self, *args), options)

    method.__name__ = name
    method.__qualname__ = f"Array.{name}"
    method.__doc__ = f"``numpy.{name}`` of this array, computed by the daemon."
    return method


def _compress(self: Array, condition: ArrayLike, axis: SupportsIndex | None = None) -> Array:
    """Parts along an axis where a condition holds; see ``numpy.compress``.

    Parameters
    ----------
    condition : (n,) array_like of bool
    axis : int, optional
        All elements in a row where it is left out.
    """
    result: Array = compute_function(self, numpy.compress, (condition, self, axis), {})
    return result


def _copy(self: Array) -> Array:
    """An array of its own with the same elements."""
    result: Array = compute_function(self, numpy.copy, (self,), {})
    return result


def _flatten(self: Array) -> Array:
    """A copy with all elements in a row, in C order."""
    return _copy(self).reshape(-1)


def _conj(self: Array) -> Array:
    """The complex conjugate; of a real array, the array itself."""
    return cast("Array", numpy.conjugate(self)) if self.dtype.kind == "c" else self


def _real(self: Array) -> Array:
    """The real part, a view; of a real array, the array itself."""
    if self.dtype.kind == "c" and type(self) is Array:
        return self._component("real")
    result: Array = compute_function(self, numpy.real, (self,), {})
    return result


def _imag(self: Array) -> Array:
    """The imaginary part, a view; of a real array, zeros."""
    if self.dtype.kind == "c" and type(self) is Array:
        return self._component("imag")
    result: Array = compute_function(self, numpy.imag, (self,), {})
    return result


def _set_part(part: Array, value: ArrayLike) -> None:
    if not is_same_view(value, part):  # as at the end of ``x.real += ...``
        part[...] = value


def _set_real(self: Array, value: ArrayLike) -> None:
    _set_part(self.real if self.dtype.kind == "c" else self, value)


def _set_imag(self: Array, value: ArrayLike) -> None:
    if self.dtype.kind != "c":
        raise error("unsupported_dtype", f"numbers of {self.dtype} have no imaginary part to set")
    _set_part(self.imag, value)


def _sort(self: Array, axis: SupportsIndex = -1, kind: str | None = None) -> None:
    """Sort it in place; see ``numpy.sort``, which yields another array.

    Parameters
    ----------
    axis : int
    kind : str, optional
        Equal elements always keep their order.
    """
    self[...] = compute_function(self, numpy.sort, (self, axis), {})


def _fill(self: Array, value: complex) -> None:
    """Have all elements be a number.

    Parameters
    ----------
    value : number
    """
    self[...] = value


def _tobytes(self: Array, order: Literal["C"] = "C") -> bytes:
    """The elements' bytes in C order.

    Parameters
    ----------
    order : {"C"}
    """
    if order != "C":
        raise error("bad_arguments", f"tobytes: order is 'C', not {order!r}; use x.T for 'F'")
    return self._read().tobytes()


def _divmod(self: Array, other: Concrete) -> tuple[Array, Array]:
    return cast("tuple[Array, Array]", numpy.divmod(self, other))


def _rdivmod(self: Array, other: Concrete) -> tuple[Array, Array]:
    return cast("tuple[Array, Array]", numpy.divmod(other, self))


def _contains(self: Array, value: ArrayLike) -> bool:
    return bool((self == value).any())


def _format(self: Array, spec: str) -> str:
    """Of an array without axes, its number by the format; of others, as `str` without one."""
    if not spec:
        return str(self)
    if self.shape == ():
        return format(self.item(), spec)
    raise TypeError(
        f"an array of shape {self.shape} has no format {spec!r}; numpy.array2string() takes one"
    )


def _deepcopy(self: Array, memo: object) -> Array:
    return _copy(self)


for _name in _AS_FUNCTIONS:
    setattr(Array, _name, _as_function(_name))
for _name, _method in {
    "compress": _compress,
    "conj": _conj,
    "conjugate": _conj,
    "copy": _copy,
    "fill": _fill,
    "flatten": _flatten,
    "sort": _sort,
    "tobytes": _tobytes,
    "__contains__": _contains,
    "__copy__": _copy,
    "__deepcopy__": _deepcopy,
    "__divmod__": _divmod,
    "__format__": _format,
    "__rdivmod__": _rdivmod,
}.items():
    setattr(Array, _name, _method)
    _method.__name__ = _name
for _name, _property in {
    "real": property(_real, _set_real),
    "imag": property(_imag, _set_imag),
    "itemsize": property(lambda self: self.dtype.itemsize, doc="Bytes of one element."),
}.items():
    setattr(Array, _name, _property)
