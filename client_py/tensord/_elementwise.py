# SPDX-License-Identifier: MIT
"""Element-wise functions, by the names and signatures of the Python array API standard.

Operands are tensors, values of programs, arrays and Python numbers; a number takes the dtype of
what it meets, where its kind fits (NumPy 2's rule). Shapes broadcast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from ._array import array_of
from ._dtypes import BOOL
from ._errors import TensordError
from ._functions import _named, call
from ._operands import as_operand, as_operands, fits
from ._operators import Operators
from ._traceback import cut, cuts

if TYPE_CHECKING:
    from typing import Any

    from ._array import Array
    from ._types import ArrayLike, Binary, Operand, Unary

_OPERANDS_DOC = """{doc}

    Parameters
    ----------
    {names} : array_like, Value or number
        {shapes}
    """


def _unary(op: str, doc: str) -> Unary:
    @cuts
    def function(x: ArrayLike, /) -> Any:
        try:
            return call(op, (x,))
        except TensordError as problem:
            raise cut(problem)

    return _named(function, op, _OPERANDS_DOC.format(doc=doc, names="x", shapes="Of any shape."))


def _binary(op: str, doc: str) -> Binary:
    @cuts
    def function(x1: ArrayLike, x2: ArrayLike, /) -> Any:
        try:
            return call(op, (x1, x2))
        except TensordError as problem:
            raise cut(problem)

    shapes = "Their shapes broadcast."
    return _named(function, op, _OPERANDS_DOC.format(doc=doc, names="x1, x2", shapes=shapes))


# arithmetic

add = _binary("add", "x1 + x2; logical or for bool.")
subtract = _binary("subtract", "x1 - x2; not for bool.")
multiply = _binary("multiply", "x1 * x2; logical and for bool.")
divide = _binary("divide", "x1 / x2; integers and bool divide as float64.")
floor_divide = _binary(
    "floor_divide", "x1 / x2 rounded down; an integer divided by 0 gives 0."
)
remainder = _binary(
    "remainder", "What floor_divide leaves, of the sign of x2; of an integer divided by 0, 0."
)
pow = _binary("pow", "x1 ** x2; an integer to a negative integer power is refused (ValueRefused).")
maximum = _binary("maximum", "The larger of the two; NaN if either is NaN.")
minimum = _binary("minimum", "The smaller of the two; NaN if either is NaN.")
negative = _unary("negative", "-x; wraps for integers; not for bool.")
abs = _unary("abs", "Absolute value; the most negative integer stays itself.")
square = _unary("square", "x * x.")
reciprocal = _unary("reciprocal", "1 / x; of integers cut off towards 0, and 0 of 0.")
sign = _unary("sign", "-1, 0 or 1; NaN of NaN; of complex x / abs(x), 0 of 0.")
sqrt = _unary("sqrt", "Square root; integers and bool compute as float64.")
exp = _unary("exp", "e ** x; integers and bool compute as float64.")
log = _unary("log", "Natural logarithm; integers and bool compute as float64.")


def positive(x: ArrayLike, /) -> Array:
    """+x, which is a copy.

    Parameters
    ----------
    x : array_like or Value
    """
    return array_of(x)._copy()


def clip(x: ArrayLike, /, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Array:
    """Values within bounds: minimum(maximum(x, min), max); NaN in any of them is kept.

    Parameters
    ----------
    x : array_like or Value
    min, max : array_like, Value or number, optional
        No bound where it is left out. An integer below or above all that x can hold is none either.

    Raises
    ------
    OverflowError
        Nothing that x can hold is within the bound.

    Examples
    --------
    >>> import numpy, tensord
    >>> tensord.clip(numpy.array([0, 100, 200], "uint8"), -1, 150)
    Array([  0, 100, 150], shape=(3,), dtype=uint8, 3 bytes)
    """
    operand = as_operand(x)
    if _is_beyond(min, operand, -1):
        min = None
    if _is_beyond(max, operand, 1):
        max = None
    if min is None:
        return array_of(x)._copy() if max is None else call("minimum", (operand, max))
    if max is None:
        return call("maximum", (operand, min))
    return call("clip", (operand, min, max))


def _is_beyond(bound: object, x: Operand, sign: int) -> bool:
    return type(bound) is int and bound * sign > 0 and not fits(bound, x._number)


# rounding

ceil = _unary("ceil", "Rounded up; integers stay.")
floor = _unary("floor", "Rounded down; integers stay.")
trunc = _unary("trunc", "Rounded towards 0; integers stay.")
round = _unary("round", "Rounded to the nearest integer, halves to the even one; integers stay.")

# bits and logic

bitwise_and = _binary("bitwise_and", "x1 & x2, of integers and bool.")
bitwise_or = _binary("bitwise_or", "x1 | x2, of integers and bool.")
bitwise_xor = _binary("bitwise_xor", "x1 ^ x2, of integers and bool.")
bitwise_invert = _unary("bitwise_invert", "~x, of integers and bool.")
bitwise_left_shift = _binary(
    "bitwise_left_shift", "x1 << x2; 0 where x2 is negative or not less than the width."
)
bitwise_right_shift = _binary(
    "bitwise_right_shift",
    "x1 >> x2; 0, or -1 of negative x1, where x2 is negative or not less than the width.",
)
logical_and = _binary("logical_and", "Both differ from 0, as bool.")
logical_or = _binary("logical_or", "Either differs from 0, as bool.")
logical_xor = _binary("logical_xor", "One of the two differs from 0, as bool.")
logical_not = _unary("logical_not", "x is 0, as bool.")

# comparison

equal = _binary("equal", "x1 == x2, as bool.")
not_equal = _binary("not_equal", "x1 != x2, as bool.")
less = _binary("less", "x1 < x2, as bool.")
less_equal = _binary("less_equal", "x1 <= x2, as bool.")
greater = _binary("greater", "x1 > x2, as bool.")
greater_equal = _binary("greater_equal", "x1 >= x2, as bool.")

# floats and complex numbers

isfinite = _unary("isfinite", "Neither infinite nor NaN, as bool.")
isinf = _unary("isinf", "Infinite, of complex numbers in either part, as bool.")
isnan = _unary("isnan", "NaN, of complex numbers in either part, as bool.")
signbit = _unary("signbit", "Is the sign bit set, of -0.0 too, as bool.")
copysign = _binary("copysign", "x1 with the sign of x2.")
nextafter = _binary("nextafter", "The float next to x1 in the direction of x2.")
real = _unary("real", "The real part; what is not complex stays.")
imag = _unary("imag", "The imaginary part; 0 of what is not complex.")
conj = _unary("conj", "The complex conjugate; real numbers stay.")

# choice


def where(condition: ArrayLike, x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 where the condition holds, else x2.

    Parameters
    ----------
    condition : Array, Value, array_like or bool
        Of any dtype: it holds where it is not 0.
    x1, x2 : array_like, Value or number
    """
    operands = as_operands((x1, x2))
    return call("where", (_holds(condition), *operands))


def _holds(condition: ArrayLike) -> Operand:
    """The condition as an operand of bool."""
    operand = as_operand(condition)
    if operand._number == BOOL:
        return operand
    if isinstance(operand, Operators):
        return not_equal(operand, 0)
    return as_operand(numpy.asarray(condition) != 0)
