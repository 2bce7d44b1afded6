# SPDX-License-Identifier: MIT
"""How a name is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import NameTaken
from ._force import force
from ._graph import Value
from ._tensor import Tensor

if TYPE_CHECKING:
    from ._array import Array
    from ._client import Client

_REPLACE, _EVICTABLE = 1, 2  # td_how of tensord.h


def how_named(replace: bool, evictable: bool) -> int:
    """As the native functions take it."""
    return (_REPLACE if replace else 0) | (_EVICTABLE if evictable else 0)


def named_without_copy(client: Client, array: Array, name: str | None, how: int) -> Tensor | None:
    """A tensor of the client's that has an array's value and the name; None: copy it."""
    value = array._operand()
    if name is None or (array._client is not None and array._client is not client):
        return None
    if isinstance(value, Value):
        force(client, (value,), name, how)
        value = array._tensor()
        if value.name == name:
            return value
    if type(value) is not Tensor or value._is_view or not value.is_sealed or value.name:
        return None
    try:
        value._handle.set_name(name, how)
    except NameTaken:  # or it was given one since
        return None
    return client.open(name)._tensor()
