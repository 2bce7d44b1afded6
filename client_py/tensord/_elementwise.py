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

    Returns
    -------
    Array or Value
        {result}

    Examples
    --------
    >>> import tensord
    >>> tensord.{op}({args})
    {shown}
    """


def _document(op: str, doc: str, example: str, n_operands: int) -> str:
    """Its docstring; the example is what stands in the parentheses, an arrow, and the result."""
    args, _, shown = example.partition(" -> ")
    names, shapes, result = (
        ("x", "Of any shape.", "Of x's shape.")
        if n_operands == 1
        else ("x1, x2", "Their shapes broadcast.", "Of the shape that they have together.")
    )
    return _OPERANDS_DOC.format(
        doc=doc, names=names, shapes=shapes, result=result, op=op, args=args, shown=shown
    )


def _unary(op: str, doc: str, example: str) -> Unary:
    @cuts
    def function(x: ArrayLike, /) -> Any:
        try:
            return call(op, (x,))
        except TensordError as problem:
            raise cut(problem)

    return _named(function, op, _document(op, doc, example, 1))


def _binary(op: str, doc: str, example: str) -> Binary:
    @cuts
    def function(x1: ArrayLike, x2: ArrayLike, /) -> Any:
        try:
            return call(op, (x1, x2))
        except TensordError as problem:
            raise cut(problem)

    return _named(function, op, _document(op, doc, example, 2))


# arithmetic

add = _binary(
    "add",
    "x1 + x2; logical or for bool.",
    "[1, 2], 10 -> Array([11, 12], shape=(2,), dtype=int64, 16 bytes)",
)
subtract = _binary(
    "subtract",
    "x1 - x2; not for bool.",
    "[10, 20], [1, 2] -> Array([ 9, 18], shape=(2,), dtype=int64, 16 bytes)",
)
multiply = _binary(
    "multiply",
    "x1 * x2; logical and for bool.",
    "[1, 2], 10 -> Array([10, 20], shape=(2,), dtype=int64, 16 bytes)",
)
divide = _binary(
    "divide",
    "x1 / x2; integers and bool divide as float64.",
    "[1, 2], 4 -> Array([0.25, 0.5 ], shape=(2,), dtype=float64, 16 bytes)",
)
floor_divide = _binary(
    "floor_divide",
    "x1 / x2 rounded down; an integer divided by 0 gives 0.",
    "[7, -7], 2 -> Array([ 3, -4], shape=(2,), dtype=int64, 16 bytes)",
)
remainder = _binary(
    "remainder",
    "What floor_divide leaves, of the sign of x2; of an integer divided by 0, 0.",
    "[7, -7], 3 -> Array([1, 2], shape=(2,), dtype=int64, 16 bytes)",
)
pow = _binary(
    "pow",
    "x1 ** x2; an integer to a negative integer power is refused (ValueRefused).",
    "[2, 3], 2 -> Array([4, 9], shape=(2,), dtype=int64, 16 bytes)",
)
maximum = _binary(
    "maximum",
    "The larger of the two; NaN if either is NaN.",
    "[1, 5], [3, 4] -> Array([3, 5], shape=(2,), dtype=int64, 16 bytes)",
)
minimum = _binary(
    "minimum",
    "The smaller of the two; NaN if either is NaN.",
    "[1, 5], [3, 4] -> Array([1, 4], shape=(2,), dtype=int64, 16 bytes)",
)
negative = _unary(
    "negative",
    "-x; wraps for integers; not for bool.",
    "[1, -2] -> Array([-1,  2], shape=(2,), dtype=int64, 16 bytes)",
)
abs = _unary(
    "abs",
    "Absolute value; the most negative integer stays itself.",
    "[-3, 4] -> Array([3, 4], shape=(2,), dtype=int64, 16 bytes)",
)
square = _unary("square", "x * x.", "[1, -3] -> Array([1, 9], shape=(2,), dtype=int64, 16 bytes)")
reciprocal = _unary(
    "reciprocal",
    "1 / x; of integers cut off towards 0, and 0 of 0.",
    "[2.0, 4.0] -> Array([0.5 , 0.25], shape=(2,), dtype=float64, 16 bytes)",
)
sign = _unary(
    "sign",
    "-1, 0 or 1; NaN of NaN; of complex x / abs(x), 0 of 0.",
    "[-5, 0, 2] -> Array([-1,  0,  1], shape=(3,), dtype=int64, 24 bytes)",
)
sqrt = _unary(
    "sqrt",
    "Square root; integers and bool compute as float64.",
    "[1.0, 9.0] -> Array([1., 3.], shape=(2,), dtype=float64, 16 bytes)",
)
exp = _unary(
    "exp",
    "e ** x; integers and bool compute as float64.",
    "[0.0, 1.0] -> Array([1.        , 2.71828183], shape=(2,), dtype=float64, 16 bytes)",
)
log = _unary(
    "log",
    "Natural logarithm; integers and bool compute as float64.",
    "[1.0, 10.0] -> Array([0.        , 2.30258509], shape=(2,), dtype=float64, 16 bytes)",
)


def positive(x: ArrayLike, /) -> Array:
    """+x, which is a copy.

    Parameters
    ----------
    x : array_like or Value

    Returns
    -------
    Array or Value

    Examples
    --------
    >>> import tensord
    >>> tensord.positive([1, -2])
    Array([ 1, -2], shape=(2,), dtype=int64, 16 bytes)
    """
    return array_of(x)._copy()


def clip(x: ArrayLike, /, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Array:
    """Values within bounds: minimum(maximum(x, min), max); NaN in any of them is kept.

    Parameters
    ----------
    x : array_like or Value
    min, max : array_like, Value or number, optional
        No bound where it is left out. An integer below or above all that x can hold is none either.

    Returns
    -------
    Array or Value

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

ceil = _unary(
    "ceil",
    "Rounded up; integers stay.",
    "[0.5, -0.5] -> Array([ 1., -0.], shape=(2,), dtype=float64, 16 bytes)",
)
floor = _unary(
    "floor",
    "Rounded down; integers stay.",
    "[0.5, -0.5] -> Array([ 0., -1.], shape=(2,), dtype=float64, 16 bytes)",
)
trunc = _unary(
    "trunc",
    "Rounded towards 0; integers stay.",
    "[1.7, -1.7] -> Array([ 1., -1.], shape=(2,), dtype=float64, 16 bytes)",
)
round = _unary(
    "round",
    "Rounded to the nearest integer, halves to the even one; integers stay.",
    "[0.5, 1.5, 2.6] -> Array([0., 2., 3.], shape=(3,), dtype=float64, 24 bytes)",
)

# bits and logic

bitwise_and = _binary(
    "bitwise_and",
    "x1 & x2, of integers and bool.",
    "[6, 5], 3 -> Array([2, 1], shape=(2,), dtype=int64, 16 bytes)",
)
bitwise_or = _binary(
    "bitwise_or",
    "x1 | x2, of integers and bool.",
    "[6, 5], 3 -> Array([7, 7], shape=(2,), dtype=int64, 16 bytes)",
)
bitwise_xor = _binary(
    "bitwise_xor",
    "x1 ^ x2, of integers and bool.",
    "[6, 5], 3 -> Array([5, 6], shape=(2,), dtype=int64, 16 bytes)",
)
bitwise_invert = _unary(
    "bitwise_invert",
    "~x, of integers and bool.",
    "[0, 5] -> Array([-1, -6], shape=(2,), dtype=int64, 16 bytes)",
)
bitwise_left_shift = _binary(
    "bitwise_left_shift",
    "x1 << x2; 0 where x2 is negative or not less than the width.",
    "[1, 3], 2 -> Array([ 4, 12], shape=(2,), dtype=int64, 16 bytes)",
)
bitwise_right_shift = _binary(
    "bitwise_right_shift",
    "x1 >> x2; 0, or -1 of negative x1, where x2 is negative or not less than the width.",
    "[8, 5], 2 -> Array([2, 1], shape=(2,), dtype=int64, 16 bytes)",
)
logical_and = _binary(
    "logical_and",
    "Both differ from 0, as bool.",
    "[1, 0], [2, 2] -> Array([ True, False], shape=(2,), dtype=bool, 2 bytes)",
)
logical_or = _binary(
    "logical_or",
    "Either differs from 0, as bool.",
    "[1, 0], [0, 0] -> Array([ True, False], shape=(2,), dtype=bool, 2 bytes)",
)
logical_xor = _binary(
    "logical_xor",
    "One of the two differs from 0, as bool.",
    "[1, 0], [2, 2] -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
)
logical_not = _unary(
    "logical_not",
    "x is 0, as bool.",
    "[1, 0] -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
)

# comparison

equal = _binary(
    "equal",
    "x1 == x2, as bool.",
    "[1, 2], 2 -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
)
not_equal = _binary(
    "not_equal",
    "x1 != x2, as bool.",
    "[1, 2], 2 -> Array([ True, False], shape=(2,), dtype=bool, 2 bytes)",
)
less = _binary(
    "less",
    "x1 < x2, as bool.",
    "[1, 2], 2 -> Array([ True, False], shape=(2,), dtype=bool, 2 bytes)",
)
less_equal = _binary(
    "less_equal",
    "x1 <= x2, as bool.",
    "[1, 2], 2 -> Array([ True,  True], shape=(2,), dtype=bool, 2 bytes)",
)
greater = _binary(
    "greater",
    "x1 > x2, as bool.",
    "[1, 3], 2 -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
)
greater_equal = _binary(
    "greater_equal",
    "x1 >= x2, as bool.",
    "[1, 2], 2 -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
)

# floats and complex numbers

isfinite = _unary(
    "isfinite",
    "Neither infinite nor NaN, as bool.",
    '[1.0, float("inf")] -> Array([ True, False], shape=(2,), dtype=bool, 2 bytes)',
)
isinf = _unary(
    "isinf",
    "Infinite, of complex numbers in either part, as bool.",
    '[1.0, float("inf")] -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)',
)
isnan = _unary(
    "isnan",
    "NaN, of complex numbers in either part, as bool.",
    '[1.0, float("nan")] -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)',
)
signbit = _unary(
    "signbit",
    "Is the sign bit set, of -0.0 too, as bool.",
    "[1.0, -0.0] -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
)
copysign = _binary(
    "copysign",
    "x1 with the sign of x2.",
    "[1.0, 2.0], -1.0 -> Array([-1., -2.], shape=(2,), dtype=float64, 16 bytes)",
)
nextafter = _binary(
    "nextafter",
    "The float next to x1 in the direction of x2.",
    "[1.0], 2.0 -> Array([1.], shape=(1,), dtype=float64, 8 bytes)",
)
real = _unary(
    "real",
    "The real part; what is not complex stays.",
    "[1 + 2j] -> Array([1.], shape=(1,), dtype=float64, 8 bytes)",
)
imag = _unary(
    "imag",
    "The imaginary part; 0 of what is not complex.",
    "[1 + 2j] -> Array([2.], shape=(1,), dtype=float64, 8 bytes)",
)
conj = _unary(
    "conj",
    "The complex conjugate; real numbers stay.",
    "[1 + 2j] -> Array([1.-2.j], shape=(1,), dtype=complex128, 16 bytes)",
)

# choice


def where(condition: ArrayLike, x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 where the condition holds, else x2.

    Parameters
    ----------
    condition : Array, Value, array_like or bool
        Of any dtype: it holds where it is not 0.
    x1, x2 : array_like, Value or number

    Returns
    -------
    Array or Value
        Of the shape that the three have together.

    Examples
    --------
    >>> import tensord
    >>> tensord.where([True, False], [1, 2], 0)
    Array([1, 0], shape=(2,), dtype=int64, 16 bytes)
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
