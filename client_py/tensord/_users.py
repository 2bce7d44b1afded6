# SPDX-License-Identifier: MIT
"""Other users: whose a name is, and tensors on their way to other processes."""

import math
import os
import pwd
import threading

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


def milliseconds(timeout, none):
    """Of a timeout in seconds; none: what None means."""
    if timeout is None:
        return none
    if not timeout >= 0:
        raise error("bad_arguments", f"a timeout is not negative, as {timeout!r} is")
    return math.ceil(min(timeout, 1e12) * 1000)


# Clients of daemons that tensors came from, by process and address.
_clients = {}
_lock = threading.Lock()


def _renew_lock():
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def client_at(address):
    """A client of the daemon there: the default one where that is it, else one that is kept."""
    from ._client import connect, existing_default

    default = existing_default()
    if default is not None and default.address == address:
        return default
    with _lock:
        client = _clients.get((os.getpid(), address))
        if client is None or client.is_closed:
            client = connect(address)
            client._warns = False
            _clients[os.getpid(), address] = client
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
    return tensor if view is None else tensor._view(*view)


def depart(tensor):
    """Of a tensor, what `arrive` takes. One without a name is lent meanwhile."""
    if not (tensor.is_sealed or tensor.is_mutable):
        raise error("not_sealed", "a tensor that is being written is not pickled; seal it first")
    handle = tensor._handle
    if handle.name is None:
        handle.lend()
    view = (tensor.shape, tensor.strides, tensor._offset) if tensor._is_view else None
    return arrive, (tensor.client.address, handle.id, handle.name, view)
