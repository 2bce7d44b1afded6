# SPDX-License-Identifier: MIT
"""Other users: whose a name is, and tensors on their way to other processes."""

from __future__ import annotations

import os
import pwd
import threading
import weakref
from typing import TYPE_CHECKING

from . import _native
from ._errors import NotFound, error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from ._array import Array
    from ._client import Client
    from ._tensor import Tensor
    from ._types import Owner, Shape

    # Of a view: shape, strides, offset.
    _Strided: TypeAlias = tuple[Shape, Shape, int]
    _Arguments: TypeAlias = tuple[str | None, bytes, str | None, _Strided | None]
    _Departed: TypeAlias = tuple[Callable[..., Array], _Arguments]


def uid_of(owner: Owner) -> int:
    """A uid from one, from the name of a user, or from None: -1, oneself."""
    if owner is None:
        return -1
    if isinstance(owner, str):
        try:
            return pwd.getpwnam(owner).pw_uid
        except KeyError:
            raise error("not_found", f"this system has no user {owner!r}") from None
    owner = int(owner)
    if not 0 <= owner < 2**32 - 1:
        raise error("bad_arguments", f"an owner is a uid or the name of a user, not {owner}")
    return owner


# The client of this process that was made last, by address; and those that were made for tensors
# that came to where there was none.
_clients: weakref.WeakValueDictionary[str | None, Client] = weakref.WeakValueDictionary()
_kept: list[Client] = []
_lock = threading.RLock()


def _forget_all() -> None:
    global _lock
    _lock = threading.RLock()
    _clients.clear()
    _kept.clear()


os.register_at_fork(after_in_child=_forget_all)


def remember(client: Client) -> None:
    """Tensors that come here from its daemon are this client's."""
    with _native.Hold(_lock):
        _clients[client.address] = client


def client_at(address: str | None) -> Client:
    """A client of the daemon there: one that this process has, or another that it keeps."""
    from ._client import connect

    with _native.Hold(_lock):
        client = _clients.get(address)
        if client is None or client.is_closed:
            client = connect(address)
            client._warns = False
            _kept.append(client)
        return client


def arrive(
    address: str | None, id: bytes, name: str | None, view: _Strided | None
) -> Array:
    """What was pickled, in the process that it came to."""
    try:
        tensor = client_at(address).open_id(id)
    except NotFound as gone:
        what = "the unnamed tensor" if name is None else f"the tensor named {name!r}"
        raise error(
            "gone",
            f"{what} that was pickled is not there any more; what is unnamed lives a minute longer "
            "than who refers to it, and is of one user",
        ) from gone
    if view is not None:
        part = tensor._value = tensor._tensor()._view(*view)
        tensor._shape = part.shape
    return tensor


def depart(tensor: Tensor) -> _Departed:
    """Of a tensor, what `arrive` takes. One without a name is lent meanwhile."""
    if not (tensor.is_sealed or tensor.is_mutable):
        raise error("not_sealed", "a tensor that is being written is not pickled; seal it first")
    handle = tensor._handle
    if handle.name is None:
        handle.lend()
    view = (tensor.shape, tensor.strides, tensor._offset) if tensor._is_view else None
    return arrive, (tensor.client.address, handle.id, handle.name, view)
