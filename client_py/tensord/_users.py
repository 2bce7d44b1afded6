# SPDX-License-Identifier: MIT
"""Other users: whose a name is, and tensors on their way to other processes."""

import os
import pwd
import threading
import weakref

from ._errors import classes, error


def uid_of(owner):
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
_clients = weakref.WeakValueDictionary()
_kept = []
_lock = threading.RLock()


def _forget_all():
    global _lock
    _lock = threading.RLock()
    _clients.clear()
    _kept.clear()


os.register_at_fork(after_in_child=_forget_all)


def remember(client):
    """Tensors that come here from its daemon are this client's."""
    with _lock:
        _clients[client.address] = client


def client_at(address):
    """A client of the daemon there: one that this process has, or another that it keeps."""
    from ._client import connect

    with _lock:
        client = _clients.get(address)
        if client is None or client.is_closed:
            client = connect(address)
            client._warns = False
            _kept.append(client)
        return client


def arrive(address, id, name, view):
    """What was pickled, in the process that it came to."""
    try:
        tensor = client_at(address).open_id(id)
    except classes["NotFound"] as gone:
        what = "the unnamed tensor" if name is None else f"the tensor named {name!r}"
        raise error(
            "gone",
            f"{what} that was pickled is not there any more; what is unnamed lives a minute longer "
            "than who refers to it, and is of one user",
        ) from gone
    if view is not None:
        tensor._value = tensor._value._view(*view)
        tensor._shape = tensor._value.shape
    return tensor


def depart(tensor):
    """Of a tensor, what `arrive` takes. One without a name is lent meanwhile."""
    if not (tensor.is_sealed or tensor.is_mutable):
        raise error("not_sealed", "a tensor that is being written is not pickled; seal it first")
    handle = tensor._handle
    if handle.name is None:
        handle.lend()
    view = (tensor.shape, tensor.strides, tensor._offset) if tensor._is_view else None
    return arrive, (tensor.client.address, handle.id, handle.name, view)
