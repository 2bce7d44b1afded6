# SPDX-License-Identifier: MIT
"""To have arrays be computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from ._array import Array, default_client
from ._force import force
from ._graph import Value

if TYPE_CHECKING:
    from ._client import Client


@overload
def evaluate(array: Array, /) -> Array:
    ...


@overload
def evaluate(first: Array, second: Array, /, *others: Array) -> tuple[Array, ...]:
    ...


@overload
def evaluate() -> tuple[()]:
    ...


def evaluate(*arrays: Array) -> Array | tuple[Array, ...]:
    """Have arrays be computed, those of one client together.

    Parameters
    ----------
    *arrays : Array

    Returns
    -------
    Array or tuple of Array
        What was given.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.put([1.0, 2.0])
    >>> y, z = tensord.eval(x + 1, x * 2)
    """
    clients: dict[int, tuple[Client, list[Value]]] = {}
    for array in arrays:
        if not isinstance(array, Array):
            raise TypeError(f"eval() wants arrays, one after the other, not {type(array).__name__}")
        value = array._operand()
        if type(value) is Value:
            client = array._client or default_client()
            clients.setdefault(id(client), (client, []))[1].append(value)
    for client, values in clients.values():
        force(client, values)
    return arrays[0] if len(arrays) == 1 else arrays
