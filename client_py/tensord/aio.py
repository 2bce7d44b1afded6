# SPDX-License-Identifier: MIT
"""The same verbs for asyncio: what waits for the daemon is awaited, and the event loop goes on.

>>> import asyncio, tensord
>>> async def main():
...     x = await tensord.aio.put([1.0, 2.0])
...     y = await tensord.aio.eval(x * 2 + 1)     # computed meanwhile; y is as any array
...     return y.tolist()
>>> asyncio.run(main())
[3.0, 5.0]

The functions here use the default client, as the package's own; `connect` yields a `Client`. Arrays
are the package's: operators and functions on them only note what is to be computed, which is fine
in a task. What needs values (``print``, ``float``, ``numpy.asarray``, and what may fail on its
data, as ``linalg.inv``) would have the event loop wait: `eval` first, or `call` it.

A call is made by a thread, one for each that is under way. Where its task is cancelled, the daemon
stops computing for it, within about a tenth of a second, and the task goes on at once. Where a name
was to be given it may have been, just before.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import inspect
import os
import queue
import threading

import numpy

from . import _native
from ._array import Array, evaluate
from ._client import Client as _Client, connect as _connect
from ._default import FUNCTIONS
from ._following import pauses, too_late, version_of

__all__ = ["Client", "asarray", "call", "connect", "eval", "follow", "read", "write"]


class _Threads:
    """As many threads as there are calls; they stay for later ones. They do not keep the process
    from ending.
    """

    def __init__(self):
        self._work = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def submit(self, work):
        """Have a function called, which raises nothing."""
        self._work.put(work)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name="tensord.aio", daemon=True).start()

    def _serve(self):
        while True:
            self._work.get()()
            self._idle.release()


_threads = _Threads()


def _renew_threads():
    global _threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_renew_threads)


def _work(future, context, function):
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = context.run(function)
    except StopIteration as problem:  # a future does not take it
        future.set_exception(RuntimeError(f"StopIteration: {problem.value}"))
    except BaseException as problem:
        future.set_exception(problem)
    else:
        future.set_result(result)


async def _start(function, undo=None):
    """What a function returns, called by a thread.

    undo is called with it, later and by whatever thread, where nobody gets it any more.
    """
    stop = _native.Stop()
    future = concurrent.futures.Future()
    context = contextvars.copy_context()
    work = functools.partial(stop.call, function, (), {})
    _threads.submit(functools.partial(_work, future, context, work))
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        stop.set()
        if undo is not None:
            future.add_done_callback(functools.partial(_undo, undo))
        raise


def _undo(undo, future):
    if not future.cancelled() and future.exception() is None:
        undo(future.result())


async def call(function, /, *args, **keywords):
    """Call a function that uses tensord, or waits for something else, in a thread.

    Parameters
    ----------
    function : callable
    *args, **keywords
        What it is called with.

    Returns
    -------
    object
        What it returned.

    Examples
    --------
    >>> import asyncio, tensord
    >>> x = tensord.put([[2.0, 1.0], [1.0, 2.0]])
    >>> float(asyncio.run(tensord.aio.call(tensord.linalg.det, x)))
    3.0
    """
    return await _start(functools.partial(function, *args, **keywords))


async def eval(*arrays):
    """Have arrays be computed: `tensord.eval`."""
    return await call(evaluate, *arrays)


async def asarray(x):
    """Compute an array, and show its memory.

    Parameters
    ----------
    x : Array

    Returns
    -------
    numpy.ndarray
        Read-only; nothing is copied.
    """
    return await call(numpy.asarray, x)


async def follow(x, timeout=None):
    """Follow a mutable tensor that others write: ``async for version in follow(x)``.

    Parameters
    ----------
    x : Array
    timeout : float, optional
        The loop ends when nobody wrote it for so many seconds; without it never.

    Yields
    ------
    int
        As of `Array.follow`.
    """
    version = await call(version_of, x)
    while True:
        yield version
        try:
            version = await _newer(x, version, timeout)
        except TimeoutError:
            return


async def _newer(x, than, timeout):
    for pause in pauses(timeout):
        version = await call(version_of, x)
        if version > than:
            return version
        await asyncio.sleep(pause)
    version = await call(version_of, x)
    if version > than:
        return version
    raise too_late(x, than, timeout)


def read(x, timeout=None, torn=False):
    """As `Array.read`: ``async with read(x) as a``.

    Parameters
    ----------
    x : Array
    timeout, torn
        As there.

    Returns
    -------
    asynchronous context manager
    """
    return _leased(lambda: x.read(timeout, torn))


def write(x, timeout=None):
    """As `Array.write`: ``async with write(x) as a``.

    Parameters
    ----------
    x : Array
    timeout
        As there.

    Returns
    -------
    asynchronous context manager
    """
    return _leased(lambda: x.write(timeout))


@contextlib.asynccontextmanager
async def _leased(make):
    def enter():
        lease = make()
        return lease, lease.__enter__()

    lease, array = await _start(enter, lambda entered: _leave(entered[0]))
    try:
        yield array
    finally:
        del array
        await asyncio.shield(_start(functools.partial(_leave, lease)))


def _leave(lease):
    lease.__exit__(None, None, None)


async def connect(*args, **keywords):
    """Connect to a daemon; see `tensord.connect`, whose parameters these are.

    Returns
    -------
    Client
    """
    return Client(await _start(functools.partial(_connect, *args, **keywords), _Client.close))


class Client:
    """A connection to a daemon, made by `connect`: the methods of `tensord.Client`, to be awaited.

    Any number of tasks may use it at once. As an asynchronous context manager it closes itself.

    Attributes
    ----------
    sync : tensord.Client
        The same connection, for functions that wait.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     async with await tensord.aio.connect() as client:
    ...         x = await client.put([1.0, 2.0])
    ...         return float(await tensord.aio.eval(x.sum()))
    >>> asyncio.run(main())
    3.0
    """

    def __init__(self, client):
        self.sync = client

    @property
    def address(self):
        """Path of the daemon's socket; None once closed."""
        return self.sync.address

    @property
    def is_closed(self):
        """Was `close` called?"""
        return self.sync.is_closed

    async def close(self):
        """End the connection; calls under way end first."""
        await call(self.sync.close)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, exception, traceback):
        self.sync.close()

    def __repr__(self):
        return f"<tensord.aio.Client of {self.sync!r}>"


def _described(function, name, of, signature):
    function.__name__ = name
    function.__qualname__ = f"Client.{name}" if "self" in signature.parameters else name
    function.__doc__ = f"`{of}`, to be awaited."
    function.__signature__ = signature
    return function


def _method(name):
    of = getattr(_Client, name)

    async def method(self, *args, **keywords):
        return await call(of, self.sync, *args, **keywords)

    return _described(method, name, f"tensord.Client.{name}", inspect.signature(of))


def _function(name):
    of = FUNCTIONS[name]

    async def function(*args, **keywords):
        return await call(of, *args, **keywords)

    return _described(function, name, f"tensord.{name}", inspect.signature(of))


for _name in FUNCTIONS:
    setattr(Client, _name, _method(_name))
    globals()[_name] = _function(_name)
    if _name not in ("list", "open"):
        __all__.append(_name)
