# SPDX-License-Identifier: MIT
"""Methods that numpy's arrays have beside those of the standard, on arrays of tensord's.

Most are numpy's functions of the same name, with the same parameters: see `_array_functions`. As in
numpy, `sort` and `fill` change the array itself; what `ravel` and `squeeze` yield are views where
that is possible, and `copy` and `flatten` make arrays of their own.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, cast

import numpy

from . import _array_functions_values  # noqa: F401, the table is complete then
from ._array import Array
from ._array_functions import compute_function, parameters_of
from ._assignment import is_same_view
from ._errors import error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, SupportsIndex

    from ._types import ArrayLike, Concrete

#: Of each of numpy's functions that is a method: what it yields, what comes back, what is refused,
#: and an example, an expression -> what it shows.
_AS_FUNCTIONS = {
    "argsort": (
        "Indices that sort it along an axis; equal elements keep their order.",
        "Array of int64, of the same shape; for ``axis=None``, of all elements in a row.",
        "AxisError, DtypeError",
        "tensord.asarray([30, 10, 20]).argsort()"
        " -> Array([1, 2, 0], shape=(3,), dtype=int64, 24 bytes)",
    ),
    "clip": (
        "The elements, those below the one limit or above the other replaced by it.",
        "Array, of the shape that it and the limits have together.",
        "ShapeError, DtypeError",
        "tensord.asarray([1, 5, 9]).clip(2, 8)"
        " -> Array([2, 5, 8], shape=(3,), dtype=int64, 24 bytes)",
    ),
    "cumprod": (
        "Products of all elements up to each one.",
        "Array of the same shape, integers in 64 bits; without an axis, of all in a row.",
        "AxisError",
        "tensord.asarray([1, 2, 3]).cumprod()"
        " -> Array([1, 2, 6], shape=(3,), dtype=int64, 24 bytes)",
    ),
    "cumsum": (
        "Sums of all elements up to each one.",
        "Array of the same shape, integers in 64 bits; without an axis, of all in a row.",
        "AxisError",
        "tensord.asarray([1, 2, 3]).cumsum()"
        " -> Array([1, 3, 6], shape=(3,), dtype=int64, 24 bytes)",
    ),
    "diagonal": (
        "The diagonal of a matrix, or of each of a stack.",
        "Array of the same dtype, without the two axes, the diagonal last.",
        "AxisError",
        "tensord.asarray([[1, 2], [3, 4]]).diagonal()"
        " -> Array([1, 4], shape=(2,), dtype=int64, 16 bytes)",
    ),
    "dot": (
        "The matrix product; of vectors, the sum of their products.",
        "Array, without the last axis of this array and the last but one of the other.",
        "ShapeError",
        "tensord.asarray([1, 2]).dot([[1, 10], [2, 20]])"
        " -> Array([ 5, 50], shape=(2,), dtype=int64, 16 bytes)",
    ),
    "nonzero": (
        "Indices of the elements that are not 0, in C order.",
        "Tuple of arrays of int64, one for each axis.",
        "ShapeError",
        "tensord.asarray([0, 5, 7]).nonzero()"
        " -> (Array([1, 2], shape=(2,), dtype=int64, 16 bytes),)",
    ),
    "ptp": (
        "The largest element less the smallest.",
        "Array of the same dtype, without the axes.",
        "AxisError, DtypeError, ValueRefused",
        "tensord.asarray([3, 1, 8]).ptp() -> Array(7, shape=(), dtype=int64, 8 bytes)",
    ),
    "ravel": (
        "All elements in a row, in C order.",
        "Array of the same dtype; a view where the elements need not move for it.",
        "",
        "tensord.asarray([[1, 2], [3, 4]]).ravel()"
        " -> Array([1, 2, 3, 4], shape=(4,), dtype=int64, 32 bytes)",
    ),
    "repeat": (
        "Each element, or each part along an axis, so many times.",
        "Array of the same dtype; without an axis, of all elements in a row.",
        "AxisError, ShapeError, ValueRefused",
        "tensord.asarray([1, 2]).repeat(2)"
        " -> Array([1, 1, 2, 2], shape=(4,), dtype=int64, 32 bytes)",
    ),
    "round": (
        "Rounded to so many decimals; halves to the even neighbour.",
        "Array of the same shape and dtype.",
        "",
        "tensord.asarray([0.125, 2.5]).round()"
        " -> Array([0., 2.], shape=(2,), dtype=float64, 16 bytes)",
    ),
    "searchsorted": (
        "Indices at which elements would go into this ascending array; by bisection.",
        "Array of int64, of the shape of what is searched for.",
        "ShapeError",
        "tensord.asarray([1, 3, 5]).searchsorted([2, 9])"
        " -> Array([1, 3], shape=(2,), dtype=int64, 16 bytes)",
    ),
    "squeeze": (
        "Without the axes of extent 1, or without those that are named.",
        "Array of the same dtype; a view.",
        "AxisError, ShapeError",
        "tensord.zeros((1, 2, 1)).squeeze().shape -> (2,)",
    ),
    "swapaxes": (
        "Two axes exchanged. No bytes move.",
        "Array of the same dtype; a view.",
        "AxisError",
        "tensord.zeros((2, 3, 4)).swapaxes(0, 2).shape -> (4, 3, 2)",
    ),
    "take": (
        "The elements, or parts along an axis, at indices; negative ones count from the end.",
        "Array of the same dtype, with the shape of the indices in place of the axis.",
        "AxisError, OutOfRange",
        "tensord.asarray([10, 20, 30]).take([2, 0])"
        " -> Array([30, 10], shape=(2,), dtype=int64, 16 bytes)",
    ),
    "trace": (
        "The sum of the diagonal, or of each of a stack; integers in 64 bits.",
        "Array without the two axes.",
        "AxisError",
        "tensord.asarray([[1, 2], [3, 4]]).trace() -> Array(5, shape=(), dtype=int64, 8 bytes)",
    ),
}
_FUNCTION_DOC = """{doc}

        As ``numpy.{name}`` of this array, computed by the daemon.
{parameters}
        Returns
        -------
        {result}
{raises}
        Examples
        --------
        >>> import tensord
        >>> {example}
        {shown}
        """
_PARAMETERS_DOC = """
        Parameters
        ----------
        *args, **options
            Those behind the array: {}.
"""
_RAISES_DOC = """
        Raises
        ------
        {}
"""


def _document(name: str) -> str:
    """The docstring of a method that is one of numpy's functions."""
    doc, result, raises, example = _AS_FUNCTIONS[name]
    parameters = parameters_of(getattr(numpy, name))
    expression, _, shown = example.partition(" -> ")
    return _FUNCTION_DOC.format(
        doc=doc,
        name=name,
        parameters=_PARAMETERS_DOC.format(parameters) if parameters else "",
        result=result,
        raises=_RAISES_DOC.format(raises) if raises else "",
        example=expression,
        shown=shown,
    )


def _as_function(name: str) -> Callable[..., Array]:
    function = getattr(numpy, name)

    def method(self: Array, *args: Any, **options: Any) -> Any:
        return compute_function(self, function, (self, *args), options)

    method.__name__ = name
    method.__qualname__ = f"Array.{name}"
    method.__doc__ = _document(name)
    return method


def _compress(self: Array, condition: ArrayLike, axis: SupportsIndex | None = None) -> Array:
    """Parts along an axis where a condition holds; see ``numpy.compress``.

    Parameters
    ----------
    condition : (n,) array_like of bool
    axis : int, optional
        All elements in a row where it is left out.

    Returns
    -------
    Array
        Of the same dtype.

    Raises
    ------
    AxisError
        There is no such axis.
    ShapeError
        The condition has another number of dimensions than one.
    OutOfRange
        It holds beyond the extent of the axis.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([1, 2, 3]).compress([True, False, True])
    Array([1, 3], shape=(2,), dtype=int64, 16 bytes)
    """
    result: Array = compute_function(self, numpy.compress, (condition, self, axis), {})
    return result


def _copy(self: Array) -> Array:
    """An array of its own with the same elements.

    Returns
    -------
    Array
        Not mutable, whatever this is. Memory is copied once one of the two is written.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.asarray([1, 2])
    >>> y = x.copy()
    >>> y[0] = 10
    >>> x
    Array([1, 2], shape=(2,), dtype=int64, 16 bytes)
    """
    result: Array = compute_function(self, numpy.copy, (self,), {})
    return result


def _flatten(self: Array) -> Array:
    """A copy with all elements in a row, in C order.

    Returns
    -------
    (size,) Array
        Of the same dtype.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([[1, 2], [3, 4]]).flatten()
    Array([1, 2, 3, 4], shape=(4,), dtype=int64, 32 bytes)
    """
    return _copy(self).reshape(-1)


def _conj(self: Array) -> Array:
    """The complex conjugate; of a real array, the array itself.

    Returns
    -------
    Array
        Of the same shape and dtype.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([1 + 2j]).conj()
    Array([1.-2.j], shape=(1,), dtype=complex128, 16 bytes)
    """
    return cast("Array", numpy.conjugate(self)) if self.dtype.kind == "c" else self


def _real(self: Array) -> Array:
    """The real part, a view; of a real array, the array itself. May be assigned to.

    Returns
    -------
    Array
        Of the same shape; float32 of complex64, float64 of complex128.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.asarray([1 + 2j])
    >>> x.real = 5
    >>> x
    Array([5.+2.j], shape=(1,), dtype=complex128, 16 bytes)
    """
    if self.dtype.kind == "c" and type(self) is Array:
        return self._component("real")
    result: Array = compute_function(self, numpy.real, (self,), {})
    return result


def _imag(self: Array) -> Array:
    """The imaginary part, a view; of a real array, zeros. That of a complex one may be assigned to.

    Returns
    -------
    Array
        Of the same shape; float32 of complex64, float64 of complex128.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([1 + 2j]).imag
    Array([2.], shape=(1,), dtype=float64, 8 bytes)
    """
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

    Raises
    ------
    AxisError
        There is no such axis.
    DtypeError
        Complex numbers have no order.
    Sealed
        It has a name and is not mutable.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.asarray([3, 1, 2])
    >>> x.sort()
    >>> x
    Array([1, 2, 3], shape=(3,), dtype=int64, 24 bytes)
    """
    self[...] = compute_function(self, numpy.sort, (self, axis), {})


def _fill(self: Array, value: complex) -> None:
    """Have all elements be a number.

    Parameters
    ----------
    value : number

    Raises
    ------
    DtypeError
        Complex numbers do not become real ones.
    OverflowError
        An integer that the dtype does not hold.
    Sealed
        It has a name and is not mutable.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.zeros(2)
    >>> x.fill(3)
    >>> x
    Array([3., 3.], shape=(2,), dtype=float64, 16 bytes)
    """
    self[...] = value


def _tobytes(self: Array, order: Literal["C"] = "C") -> bytes:
    """The elements' bytes in C order.

    Parameters
    ----------
    order : {"C"}

    Returns
    -------
    bytes
        ``nbytes`` of them, in the processor's order: little-endian.

    Raises
    ------
    ArgumentError
        Another order.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([1, 2], dtype="int16").tobytes()
    b'\\x01\\x00\\x02\\x00'
    """
    if order != "C":
        raise error("bad_arguments", f"tobytes: order is 'C', not {order!r}; use x.T for 'F'")
    return self._read().tobytes()


def _item(self: Array, *index: Any) -> Any:
    """An element, as a Python number.

    Parameters
    ----------
    *index : int, or tuple of int
        One for each axis; or one alone: among all elements in C order. None: the only one.

    Returns
    -------
    bool, int, float or complex

    Raises
    ------
    ValueError
        There are several elements, or none, and no index says which; or indices are too few or too
        many.
    IndexError
        An index is beyond the extent of its axis.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([1.5, 2.0]).sum().item()
    3.5
    >>> tensord.asarray([[1, 2], [3, 4]]).item(2)
    3
    """
    if index:
        given = index[0] if len(index) == 1 and isinstance(index[0], tuple) else index
        if len(given) == 1 and self.ndim != 1:
            return self.reshape(-1).item(*given)
        if len(given) != self.ndim:
            raise ValueError(f"item: {len(given)} indices for {self.ndim} dimensions")
        return self[(*map(operator.index, given), ...)]._item("a number")
    if self.size != 1:
        raise ValueError(
            f"only an array of one element becomes a number, this has shape {self.shape}"
        )
    return self._item("a number")


def _tolist(self: Array) -> Any:
    """The elements, as nested lists of Python numbers.

    Returns
    -------
    list
        As deep as there are axes; a number where there are none.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    return self._read().tolist()


def _divmod(self: Array, other: Concrete) -> tuple[Array, Array]:
    """``divmod(self, other)``: the quotient, rounded down, and what is left.

    Parameters
    ----------
    other : array_like or number

    Returns
    -------
    tuple of Array
        Of `floor_divide` and of `remainder`.

    Examples
    --------
    >>> import tensord
    >>> quotient, rest = divmod(tensord.asarray([7, -7]), 2)
    >>> quotient.tolist(), rest.tolist()
    ([3, -4], [1, 1])
    """
    return cast("tuple[Array, Array]", numpy.divmod(self, other))


def _rdivmod(self: Array, other: Concrete) -> tuple[Array, Array]:
    """``divmod(other, self)``: the quotient, rounded down, and what is left.

    Parameters
    ----------
    other : array_like or number

    Returns
    -------
    tuple of Array
        Of `floor_divide` and of `remainder`.

    Examples
    --------
    >>> import tensord
    >>> quotient, rest = divmod(7, tensord.asarray([2, 4]))
    >>> quotient.tolist(), rest.tolist()
    ([3, 1], [1, 3])
    """
    return cast("tuple[Array, Array]", numpy.divmod(other, self))


def _contains(self: Array, value: ArrayLike) -> bool:
    """Is any element equal to it?

    Parameters
    ----------
    value : array_like or number

    Returns
    -------
    bool

    Examples
    --------
    >>> import tensord
    >>> 2 in tensord.asarray([1, 2])
    True
    """
    return bool((self == value).any())


def _format(self: Array, spec: str) -> str:
    """Of an array without axes, its number by the format; of others, as `str` without one.

    Parameters
    ----------
    spec : str

    Returns
    -------
    str

    Raises
    ------
    TypeError
        It has axes, and there is a format.

    Examples
    --------
    >>> import tensord
    >>> f"{tensord.asarray([1.0, 2.0]).mean():.3f}"
    '1.500'
    """
    if not spec:
        return str(self)
    if self.shape == ():
        return format(self.item(), spec)
    raise TypeError(
        f"an array of shape {self.shape} has no format {spec!r}; numpy.array2string() takes one"
    )


def _deepcopy(self: Array, memo: object) -> Array:
    """The same as `copy`.

    Parameters
    ----------
    memo : dict
        Left alone.

    Returns
    -------
    Array

    Examples
    --------
    >>> import copy, tensord
    >>> copy.deepcopy(tensord.asarray([1, 2]))
    Array([1, 2], shape=(2,), dtype=int64, 16 bytes)
    """
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
    "item": _item,
    "sort": _sort,
    "tobytes": _tobytes,
    "tolist": _tolist,
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
