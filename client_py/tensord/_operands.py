# SPDX-License-Identifier: MIT
"""What operations take: arrays, values of programs, and leaves: numbers and numpy's arrays.

Every operand has ``shape``, ``_number`` (of its dtype), ``key``, which tells it apart from the
others of a program, and ``_operand()``, which is what stands in the program for it: itself, but of
an array its value. Of that, ``node`` is None for whatever exists before the program runs.
"""

from __future__ import annotations

import math
import operator
import struct
from typing import TYPE_CHECKING

import numpy

from . import _native
from ._dtypes import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    DTYPES,
    FLOAT32,
    FLOAT64,
    INT64,
    KINDS,
    NAMES,
    array_of_lists,
    native_array,
)

if TYPE_CHECKING:
    from typing import Any

    from ._client import Client
    from ._types import DType, Number, Operand, Shape

_NUMPY = (numpy.ndarray, numpy.generic, list, tuple)
_BOUNDS = {
    number: (int(numpy.iinfo(dtype).min), int(numpy.iinfo(dtype).max))
    for number, dtype in enumerate(DTYPES)
    if dtype.kind in "iu"
}
UINT64 = NAMES.index("uint64")


def check_range(value: int, number: int) -> None:
    """Refuse an integer that a dtype of integers does not have."""
    if not fits(value, number):
        least, most = _BOUNDS[number]
        raise OverflowError(f"{value} does not fit {NAMES[number]}, which is {least} to {most}")


def fits(value: int, number: int) -> bool:
    """Has the dtype, if one of integers, that integer?"""
    bounds = _BOUNDS.get(number)
    return bounds is None or bounds[0] <= value <= bounds[1]


def exact_integers(lists: Any, number: int) -> Any:
    """Lists that are to have a dtype, as numpy's array; what is no list stays.

    Integers beside those beyond int64 are exact, though numpy would hold them for floats. Python's
    integers that the dtype does not have are refused.
    """
    if not isinstance(lists, (list, tuple)) or KINDS[number] not in "iu":
        return lists
    array = array_of_lists(lists)
    if array.dtype.kind not in "iufO":
        return array
    if array.dtype.kind in "iu" and (
        array.size == 0 or fits(int(array.min()), number) and fits(int(array.max()), number)
    ):
        return array
    objects = numpy.asarray(lists, dtype=object)
    if array.dtype.kind in "iu":
        for value in objects.flat:
            if type(value) is int:
                check_range(value, number)
        return array
    try:
        values = [operator.index(x) for x in objects.flat]
    except TypeError:  # there are others among them
        return array
    for value in values:
        check_range(value, number)
    return numpy.array(values, DTYPES[number]).reshape(objects.shape)


def bits_of(number: complex) -> bytes:
    """What tells floats and complex numbers apart."""
    return struct.pack("=dd", number.real, number.imag)


class Scalar(_native.Scalar):
    """A Python number that was given a dtype."""

    __slots__ = ()
    node = _source = None
    shape: Shape = ()

    def __init__(self, value: complex, number: int) -> None:
        self.value = value
        self._number = number

    @property
    def key(self) -> tuple[str, int, int | bytes]:
        """Equal for the same numbers, so that a program has each once; 0.0 is not -0.0, nor is one
        NaN the other. Values have two integers.
        """
        value = self.value
        return "number", self._number, value if isinstance(value, int) else bits_of(value)

    def _operand(self) -> Scalar:
        return self

    def _add_to(self, builder: _native.Builder, client: Client) -> int:
        return builder.scalar(self._number, self.value)


class Constant:
    """An array of this process: small ones travel with the program, larger ones are put first."""

    __slots__ = ("array", "shape", "_number", "_put")
    node = _source = None

    def __init__(self, array: object) -> None:
        self.array, self._number = native_array(array)
        self.shape = self.array.shape
        self._put: tuple[Client, _native.Tensor] | None = None  # as long as the graph lives

    @property
    def key(self) -> int:
        return id(self)

    def _add_to(self, builder: _native.Builder, client: Client) -> int:
        if self.array.nbytes <= _native.INLINE_MAX:
            return builder.immediate(self._number, self.array)
        if self._put is None or self._put[0] is not client:
            self._put = client, client._put_native(self.array, self._number, None, False)
        return builder.input(self._put[1])

    def _operand(self) -> Constant:
        return self


class Parameter:
    """What calls of a function will bring: a dtype, a shape, and no more."""

    __slots__ = ("shape", "_number")
    node = _source = None

    def __init__(self, number: int, shape: Shape) -> None:
        self._number = number
        self.shape = shape

    @property
    def key(self) -> int:
        return id(self)

    def _operand(self) -> Parameter:
        return self

    def _add_to(self, builder: _native.Builder, client: Client) -> int:
        return builder.parameter(self._number, self.shape)


def default_number(value: Number) -> int:
    """Of the dtype that a Python number has where it meets none."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, complex):
        return COMPLEX128
    return INT64 if isinstance(value, int) else FLOAT64


def weak_number(own: int, like: int) -> int:
    """NumPy 2's rule: a Python number takes the dtype of what it meets, where its kind fits.

    Of a number of one's own dtype that meets another.
    """
    if "biufc".index(KINDS[like]) >= "bifc".index(KINDS[own]) + (own not in (BOOL, INT64)):
        return like
    return COMPLEX64 if own == COMPLEX128 and like == FLOAT32 else own


def weak_numbers() -> bytes:
    """What `weak_number` says, for a bool, an int, a float, a complex and each dtype, as bytes."""
    numbers = range(len(DTYPES))
    return bytes(
        weak_number(own, like) for own in (BOOL, INT64, FLOAT64, COMPLEX128) for like in numbers
    )


def _scalar(x: complex, number: int) -> Scalar:
    if isinstance(x, int):
        check_range(x, number)
    return Scalar(x, number)


def is_operand(x: object) -> bool:
    """Can it stand in an operation?"""
    return hasattr(x, "_number") or isinstance(x, (int, float, complex, *_NUMPY))


def as_operand(x: Any, like: int | None = None) -> Operand:
    """An operand.

    Parameters
    ----------
    x : operand, number, or array_like
    like : int, optional
        Number of the dtype that a Python number meets.

    Raises
    ------
    TypeError
        It cannot become one.
    DtypeError
        It has a dtype that tensord does not keep.
    """
    if hasattr(x, "_number"):
        operand: Operand = x
        return operand
    if isinstance(x, numpy.generic) or isinstance(x, _NUMPY):  # before float: numpy.float64 is one
        return Constant(x)
    if isinstance(x, (int, float, complex)):
        own = default_number(x)
        return _scalar(x, own if like is None else weak_number(own, like))
    if hasattr(x, "__array__"):
        return Constant(x)
    raise TypeError(f"{type(x).__name__} is no operand: a tensor, an array or a number is")


_OF_VALUES = frozenset(
    ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    + ("logical_and", "logical_or", "logical_xor")
)
_OF_FLOATS = frozenset(("divide", "atan2", "copysign", "hypot", "logaddexp", "nextafter"))


def operand_for(op: str | None, x: Any, like: int | None) -> Operand:
    """What stands for x beside integers in an operation.

    A Python integer that their dtype does not have is refused, but by what computes in floats, and
    where it is only compared.
    """
    if type(x) is not int or like is None or KINDS[like] not in "iu":
        return as_operand(x, like)
    if op in _OF_FLOATS:
        return Scalar(float(x), FLOAT64)
    return _comparable(x, like) if op in _OF_VALUES else _scalar(x, like)


def traced_number(op: str, own: int, like: int) -> int:
    """The dtype that a traced number takes: as `operand_for` has it, whatever its value will be."""
    if own == INT64 and KINDS[like] in "iu":
        if op in _OF_FLOATS:
            return FLOAT64
        if op in _OF_VALUES and like != UINT64:
            return INT64
    return weak_number(own, like)


def _comparable(value: int, like: int) -> Scalar:
    for number in (like, INT64, UINT64):
        if fits(value, number):
            return Scalar(value, number)
    return Scalar(math.copysign(math.inf, value), FLOAT64)  # beyond all integers there are


def as_operands(xs: tuple[Any, ...], op: str | None = None) -> tuple[Operand, ...]:
    """Operands; Python numbers among them take the dtype of the first that is none.

    Parameters
    ----------
    xs : tuple of operand, number, or array_like
    op : str, optional
        The operation they are for; see `operand_for`.
    """
    for x in xs:
        if not hasattr(x, "_number"):
            break
    else:
        return xs
    like = None
    operands = [x if type(x) in (int, float, bool, complex) else as_operand(x) for x in xs]
    for x in operands:
        if hasattr(x, "_number"):
            like = x._number
            break
    return tuple(operand_for(op, x, like) for x in operands)


def dtype_of(number: int) -> DType:
    return DTYPES[number]
