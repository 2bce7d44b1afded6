# SPDX-License-Identifier: MIT
"""The default client: that of the module's functions, connected by the first of them."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from typing import TYPE_CHECKING

from . import _forwarded, _native
from ._client import Client, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_default: Client | None = None
_default_pid: int | None = None
_default_lock = threading.RLock()  # a signal handler may come in between


def default_client() -> Client:
    """The client of the module's functions: connected by the first, and anew in a forked child.

    Returns
    -------
    Client

    Raises
    ------
    NoDaemon, VersionError
        As of `connect`.

    Examples
    --------
    >>> import tensord
    >>> client = tensord.default_client()
    >>> tensord.put([1.0, 2.0]).client is client
    True
    """
    global _default, _default_pid
    client = _default
    if client is not None and _default_pid == os.getpid() and not client.is_closed:
        return client
    with _native.Hold(_default_lock):
        client = _default
        if client is None or _default_pid != os.getpid() or client.is_closed:
            client = connect()
            client._warns = False
            _default, _default_pid = client, os.getpid()
        return client


def _renew_lock() -> None:
    global _default_lock
    _default_lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def _of_default_client(name: str) -> Callable[..., Any]:
    method = getattr(Client, name)

    @functools.wraps(method)
    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(default_client(), name)(*args, **kwargs)

    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]
    vars(function)["__signature__"] = signature.replace(parameters=parameters)
    function.__doc__ = _forwarded.of_module(method)
    function.__qualname__ = name
    function.__module__ = "tensord"
    vars(function).pop("__wrapped__", None)
    return function


FUNCTIONS = {
    name: _of_default_client(name)
    for name in (
        "put",
        "publish",
        "get",
        "open",
        "open_id",
        "create",
        "load",
        "delete",
        "list",
        "share",
        "wait",
        "holders",
        "cancel",
        "memory",
        "stat",
        "ops",
        "ping",
        "run",
        "define",
    )
}

#: As doctest looks here for examples.
__test__ = FUNCTIONS
