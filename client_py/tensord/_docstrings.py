# SPDX-License-Identifier: MIT
"""Docstrings of operators and reductions: one template for all of a kind, and a table of examples.

The examples are run as those of any docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._types import Function

_INT, _FLOAT, _BOOL = "int64, 16 bytes", "float64, 16 bytes", "bool, 2 bytes"

#: Of each operation that has an operator: the name and sign of that, and an example: what stands
#: left and right of the sign, and what comes out, with its dtype.
OPERATORS = {
    "add": ("add", "+", "[1, 2]", "10", "[11, 12]", _INT),
    "subtract": ("sub", "-", "[10, 20]", "1", "[ 9, 19]", _INT),
    "multiply": ("mul", "*", "[1, 2]", "10", "[10, 20]", _INT),
    "divide": ("truediv", "/", "[1.0, 2.0]", "4", "[0.25, 0.5 ]", _FLOAT),
    "floor_divide": ("floordiv", "//", "[7, -7]", "2", "[ 3, -4]", _INT),
    "remainder": ("mod", "%", "[7, -7]", "3", "[1, 2]", _INT),
    "pow": ("pow", "**", "[2, 3]", "2", "[4, 9]", _INT),
    "bitwise_and": ("and", "&", "[6, 5]", "3", "[2, 1]", _INT),
    "bitwise_or": ("or", "|", "[6, 5]", "3", "[7, 7]", _INT),
    "bitwise_xor": ("xor", "^", "[6, 5]", "3", "[5, 6]", _INT),
    "bitwise_left_shift": ("lshift", "<<", "[1, 2]", "3", "[ 8, 16]", _INT),
    "bitwise_right_shift": ("rshift", ">>", "[8, -8]", "2", "[ 2, -2]", _INT),
    "matmul": ("matmul", "@", "[1, 2]", "[[0, 1], [1, 0]]", "[2, 1]", _INT),
    "equal": ("eq", "==", "[1, 2]", "2", "[False,  True]", _BOOL),
    "not_equal": ("ne", "!=", "[1, 2]", "2", "[ True, False]", _BOOL),
    "less": ("lt", "<", "[1, 2]", "2", "[ True, False]", _BOOL),
    "less_equal": ("le", "<=", "[1, 3]", "2", "[ True, False]", _BOOL),
    "greater": ("gt", ">", "[2, 3]", "2", "[False,  True]", _BOOL),
    "greater_equal": ("ge", ">=", "[1, 2]", "2", "[False,  True]", _BOOL),
}

_OPERATOR_DOC = """``{expression}``; see `{op}`.{more}

        Parameters
        ----------
        other : array_like, Value or number
            A number takes the dtype of what it meets, where its kind fits.

        Returns
        -------
        {result}

        Raises
        ------
        ShapeError, DtypeError
            {op} does not take them{refused}

        Examples
        --------
        >>> import tensord
        >>> {example}
        Array({shown}, shape=(2,), dtype={dtype})
        """
_IN_PLACE_MORE = " The array, its base and views of it see the result."
_IN_PLACE_REFUSED = """, or the result has another shape, or a dtype of another kind.
        Sealed
            It is not to be written: it has a name and is not mutable, or is a broadcast view."""


def named_operator(method: Function, op: str, form: str = "") -> Function:
    """The method of an operator with name and docstring; form: "", "r" (reflected), "i"."""
    name, sign, left, right, shown, dtype = OPERATORS[op]
    expression, example = {
        "": (f"self {sign} other", f"tensord.asarray({left}) {sign} {right}"),
        "r": (f"other {sign} self", f"{left} {sign} tensord.asarray({right})"),
        "i": (
            f"self {sign}= other",
            f"x = tensord.asarray({left})\n        >>> x {sign}= {right}\n        >>> x",
        ),
    }[form]
    method.__name__ = f"__{form}{name}__"
    method.__doc__ = _OPERATOR_DOC.format(
        expression=expression,
        op=op,
        more=_IN_PLACE_MORE if form == "i" else "",
        result="Array" if form == "i" else "Array or Value",
        refused=_IN_PLACE_REFUSED if form == "i" else ".",
        example=example,
        shown=shown,
        dtype=dtype,
    )
    return method


# ---- reductions ----

_CORRECTION_DOC = """
        correction, ddof : int or float
            The divisor is the number of elements less this; ddof is numpy's name of it."""
_DTYPE_DOC = """
        dtype : str or numpy.dtype, optional
            In which to compute, and of the result."""
_REDUCTION_DOC = """{doc}

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which to reduce; all where it is left out.{parameters}
        keepdims : bool
            Keep the reduced axes, with extent 1.

        Returns
        -------
        Array or Value
            Of the shape that is left, () where all axes are reduced. {result}

        Raises
        ------
        AxisError
            There is no such axis, or it is named twice.{raises}

        Examples
        --------
        >>> import tensord
        >>> x = tensord.asarray([[1.0, 2.0], [3.0, 4.0]])
        >>> {example}
        {shown}
        """
# What the results are, and what else is refused.
AS_SUMS = "int64 of bool and signed integers, uint64 of unsigned ones, else of the same dtype."
AS_MEANS = "Of the same dtype; float64 of integers and bool."
AS_PARTS = "Real, of the precision of the elements; float64 of integers and bool."
OF_NOTHING = """
        DtypeError
            Complex numbers have no order.
        ValueRefused
            There are no elements."""
OF_ONE_AXIS = OF_NOTHING.replace("\n", " It takes one axis, or all.\n", 1)


def reduction(
    doc: str, example: str, result: str, raises: str = ""
) -> Callable[[Function], Function]:
    """Decorator: gives a reduction its docstring. The example: an expression -> what it shows."""

    def decorate(method: Function) -> Function:
        names = method.__code__.co_varnames
        expression, _, shown = example.partition(" -> ")
        method.__doc__ = _REDUCTION_DOC.format(
            doc=doc,
            parameters=_CORRECTION_DOC * ("ddof" in names) + _DTYPE_DOC * ("dtype" in names),
            result=result,
            raises=raises,
            example=expression,
            shown=shown,
        )
        return method

    return decorate
