# SPDX-License-Identifier: MIT
"""Functions that are compositions of operations."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from ._array import array_of, client_of
from ._graph import Value, value_of
from ._operands import as_operands

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import Function


def compose(function: Callable[..., Any], *operands: Any) -> Any:
    """The result of a function of arrays, or of values of a program if one is among the operands.

    Parameters
    ----------
    function : callable
    *operands : Value, Array, array_like or number
    """
    terms = as_operands(operands)
    if any(isinstance(x, Value) for x in terms):
        return function(*map(value_of, terms))
    client = client_of(terms)
    return function(*(array_of(x, client) for x in terms))


def composition(n_operands: int) -> Callable[[Function], Function]:
    """Decorator: the first operands of a function on values may be whatever `compose` takes."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **keywords: Any) -> Any:
            operands, rest = args[:n_operands], args[n_operands:]
            return compose(lambda *values: function(*values, *rest, **keywords), *operands)

        return cast("Function", wrapper)

    return decorate
