# SPDX-License-Identifier: MIT
"""Functions that are compositions of operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._array import array_of, client_of
from ._graph import Value, value_of
from ._operands import as_operands

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._array import Array
    from ._client import Client


def as_it_is(x: Any, client: Client | None) -> Any:
    """The same; for what numpy's arrays hold now, which the caller may write, an array."""
    is_number = type(x) in (bool, int, float, complex)
    return x if is_number or hasattr(x, "_number") else array_of(x, client)


def compose(function: Callable[..., Array], *operands: Any) -> Array:
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
