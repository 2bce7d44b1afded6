# SPDX-License-Identifier: MIT
"""The default client: that of the module's functions, connected by the first of them."""

import contextlib
import functools
import inspect
import os
import threading

from ._client import Client, connect

_default = None
_default_pid = None
_default_lock = threading.Lock()


def default_client():
    """The client of the module's functions: connected by the first, and anew in a forked child.

    Returns
    -------
    Client
    """
    global _default, _default_pid
    client = _default
    if client is not None and _default_pid == os.getpid() and not client.is_closed:
        return client
    with _default_lock:
        if _default is None or _default_pid != os.getpid() or _default.is_closed:
            _default = connect()
            _default._warns = False
            _default_pid = os.getpid()
        return _default


def _renew_lock():
    global _default_lock
    _default_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def _of_default_client(name):
    method = getattr(Client, name)

    @functools.wraps(method)
    def function(*args, **kwargs):
        return getattr(default_client(), name)(*args, **kwargs)

    parameters = list(inspect.signature(method).parameters.values())[1:]
    function.__signature__ = inspect.Signature(parameters)
    function.__qualname__ = name
    function.__module__ = "tensord"
    with contextlib.suppress(AttributeError):
        del function.__wrapped__
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
