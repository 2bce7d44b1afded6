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

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import inspect
import os
import queue
import threading
from typing import TYPE_CHECKING, overload

import numpy

from . import _forwarded, _native
from ._array import Array
from ._client import Client as _Client, connect as _connect
from ._default import FUNCTIONS, default_client
from ._evaluate import evaluate
from ._following import pauses, too_late, version_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from typing import Any, Concatenate, ParamSpec, Self, TypeVar

    from ._lease import Lease
    from ._types import Function, NDArray

    P = ParamSpec("P")
    R = TypeVar("R")

    def _of_client(
        method: Callable[Concatenate[_Client, P], R]
    ) -> Callable[Concatenate[Client, P], Coroutine[Any, Any, R]]:
        ...

    def _of_default_client(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
        ...

__all__ = ["Client", "asarray", "call", "connect", "eval", "follow", "read", "write"]


class _Threads:
    """As many threads as there are calls; they stay for later ones. They do not keep the process
    from ending. Nothing here has a lock that an interrupt could leave held.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._idle: queue.SimpleQueue[None] = queue.SimpleQueue()  # one for each that waits

    def submit(self, work: Callable[[], object]) -> None:
        """Have a function called, which raises nothing."""
        try:
            self._idle.get_nowait()
        except queue.Empty:
            threading.Thread(target=self._serve, name="tensord.aio", daemon=True).start()
        self._work.put(work)  # last: where this is interrupted, a thread too many waits

    def _serve(self) -> None:
        while True:
            self._work.get()()
            self._idle.put(None)


_threads = _Threads()


def _renew_threads() -> None:
    global _threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_renew_threads)


def _work(
    future: concurrent.futures.Future[R], context: contextvars.Context, function: Callable[[], R]
) -> None:
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


async def _start(function: Callable[[], R], undo: Callable[[R], object] | None = None) -> R:
    """What a function returns, called by a thread.

    undo is called with it, later and by whatever thread, where nobody gets it any more.
    """
    stop = _native.Stop()
    future: concurrent.futures.Future[R] = concurrent.futures.Future()
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


def _undo(undo: Callable[[R], object], future: concurrent.futures.Future[R]) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())


async def call(function: Callable[P, R], /, *args: P.args, **keywords: P.kwargs) -> R:
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


@overload
async def eval(array: Array, /) -> Array:
    ...


@overload
async def eval(first: Array, second: Array, /, *others: Array) -> tuple[Array, ...]:
    ...


@overload
async def eval() -> tuple[()]:
    ...


async def eval(*arrays: Array) -> Array | tuple[Array, ...]:
    """Have arrays be computed, those of one client in one request: `tensord.eval`, to be awaited.

    Parameters
    ----------
    *arrays : Array

    Returns
    -------
    Array or tuple of Array
        What was given; a tuple, if not one.

    Raises
    ------
    TypeError
        One is no Array.
    LinAlgError, ValueRefused, OutOfMemory, LeaseConflict
        What computes one fails on its data, for want of memory, or for a lease.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     x = await tensord.aio.put([1.0, 2.0])
    ...     y, z = await tensord.aio.eval(x + 1, x.sum())
    ...     print(y.tolist(), float(z))
    >>> asyncio.run(main())
    [2.0, 3.0] 3.0
    """
    return await call(evaluate, *arrays)


async def asarray(x: Array) -> NDArray:
    """Compute an array, and show its memory.

    Parameters
    ----------
    x : Array

    Returns
    -------
    numpy.ndarray
        Of the array's shape and dtype. Read-only; nothing is copied. Of a mutable tensor it also
        shows what is written later: `read` it to see what nobody writes meanwhile.

    Raises
    ------
    LinAlgError, ValueRefused, OutOfMemory, LeaseConflict
        As of `eval`.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     x = await tensord.aio.put([1.0, 2.0])
    ...     return await tensord.aio.asarray(x * 2)
    >>> asyncio.run(main())
    array([2., 4.])
    """
    return await call(numpy.asarray, x)


async def follow(x: Array, timeout: float | None = None) -> AsyncIterator[int]:
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

    Raises
    ------
    Sealed
        It is not mutable.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     x = await tensord.aio.put([1.0, 2.0], mutable=True)
    ...     async for version in tensord.aio.follow(x, timeout=0):
    ...         async with tensord.aio.read(x) as a:
    ...             print(version, a)
    >>> asyncio.run(main())
    0 [1. 2.]
    """
    version = await call(version_of, x)
    while True:
        yield version
        try:
            version = await _newer(x, version, timeout)
        except TimeoutError:
            return


async def _newer(x: Array, than: int, timeout: float | None) -> int:
    for pause in pauses(timeout):
        version = await call(version_of, x)
        if version > than:
            return version
        await asyncio.sleep(pause)
    version = await call(version_of, x)
    if version > than:
        return version
    raise too_late(x, than, timeout)


def read(
    x: Array, timeout: float | None = None, torn: bool = False
) -> AbstractAsyncContextManager[NDArray]:
    """As `Array.read`: ``async with read(x) as a``.

    Parameters
    ----------
    x : Array
    timeout : float, optional
        Seconds to wait for those that write.
    torn : bool
        Read also what somebody who vanished was writing.

    Returns
    -------
    asynchronous context manager
        Its value is a read-only numpy.ndarray over the memory.

    Raises
    ------
    LeaseConflict, Torn, Sealed
        As there, when the block is entered.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     x = await tensord.aio.put([1.0, 2.0, 3.0], mutable=True)
    ...     async with tensord.aio.read(x[:2]) as a:
    ...         print(a)
    >>> asyncio.run(main())
    [1. 2.]
    """
    return _leased(lambda: x.read(timeout, torn))


def write(x: Array, timeout: float | None = None) -> AbstractAsyncContextManager[NDArray]:
    """As `Array.write`: ``async with write(x) as a``.

    Parameters
    ----------
    x : Array
    timeout : float, optional
        Seconds to wait for others that read or write.

    Returns
    -------
    asynchronous context manager
        Its value is a writable numpy.ndarray over the memory, for the block alone.

    Raises
    ------
    LeaseConflict, Sealed, LeaseLost
        As there.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     x = await tensord.aio.put([1.0, 2.0, 3.0], mutable=True)
    ...     async with tensord.aio.write(x[1:]) as a:
    ...         a += 0.5
    ...     return await tensord.aio.asarray(x)
    >>> asyncio.run(main())
    array([1. , 2.5, 3.5])
    """
    return _leased(lambda: x.write(timeout))


@contextlib.asynccontextmanager
async def _leased(make: Callable[[], Lease]) -> AsyncIterator[NDArray]:
    def enter() -> tuple[Lease, NDArray]:
        lease = make()
        return lease, lease.__enter__()

    def undo(entered: tuple[Lease, NDArray]) -> None:
        _leave(entered[0])

    lease, array = await _start(enter, undo)
    try:
        yield array
    finally:
        del array
        await asyncio.shield(_start(functools.partial(_leave, lease)))


def _leave(lease: Lease) -> None:
    lease.__exit__(None, None, None)


def _with_parameters(
    of: Callable[P, object]
) -> Callable[[Callable[..., Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Decorator: type checkers are told that the parameters are those of another function."""
    return lambda function: function


@_with_parameters(_Client)
async def connect(*args: Any, **keywords: Any) -> Client:
    """Connect to a daemon; see `tensord.connect`, whose parameters these are.

    Returns
    -------
    Client

    Raises
    ------
    NoDaemon, VersionError
        As there.

    Examples
    --------
    >>> import asyncio, tensord
    >>> async def main():
    ...     async with await tensord.aio.connect(client_name="weather") as client:
    ...         await client.ping()
    ...     return client.is_closed
    >>> asyncio.run(main())
    True
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

    if TYPE_CHECKING:
        cancel = _of_client(_Client.cancel)
        create = _of_client(_Client.create)
        define = _of_client(_Client.define)
        delete = _of_client(_Client.delete)
        get = _of_client(_Client.get)
        holders = _of_client(_Client.holders)
        list = _of_client(_Client.list)
        load = _of_client(_Client.load)
        memory = _of_client(_Client.memory)
        open = _of_client(_Client.open)
        open_id = _of_client(_Client.open_id)
        ops = _of_client(_Client.ops)
        ping = _of_client(_Client.ping)
        publish = _of_client(_Client.publish)
        put = _of_client(_Client.put)
        run = _of_client(_Client.run)
        share = _of_client(_Client.share)
        stat = _of_client(_Client.stat)
        wait = _of_client(_Client.wait)

    def __init__(self, client: _Client) -> None:
        self.sync = client

    @property
    def address(self) -> str | None:
        """Path of the daemon's socket; None once closed."""
        return self.sync.address

    @property
    def is_closed(self) -> bool:
        """Was `close` called?"""
        return self.sync.is_closed

    async def close(self) -> None:
        """End the connection; calls under way end first. Twice does no harm.

        Examples
        --------
        >>> import asyncio, tensord
        >>> async def main():
        ...     client = await tensord.aio.connect()
        ...     await client.close()
        ...     return client.is_closed
        >>> asyncio.run(main())
        True
        """
        await call(self.sync.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, exception: object, traceback: object) -> None:
        self.sync.close()

    def __repr__(self) -> str:
        return f"<tensord.aio.Client of {self.sync!r}>"


def _described(function: Function, name: str, of: Callable[..., Any]) -> Function:
    """The same function, which looks as what it calls in a thread."""
    method: Callable[..., Any] = getattr(_Client, name)
    is_method = of is method
    function.__name__ = name
    function.__qualname__ = f"Client.{name}" if is_method else name
    same = f"tensord.{function.__qualname__}"
    function.__doc__ = _forwarded.awaited(method, same, is_method)
    vars(function)["__signature__"] = inspect.signature(of)
    return function


def _method(name: str) -> Callable[..., Any]:
    of = getattr(_Client, name)

    async def method(self: Client, *args: Any, **keywords: Any) -> Any:
        return await call(of, self.sync, *args, **keywords)

    return _described(method, name, of)


def _function(name: str) -> Callable[..., Any]:
    of = FUNCTIONS[name]

    async def function(*args: Any, **keywords: Any) -> Any:
        return await call(of, *args, **keywords)

    return _described(function, name, of)


if TYPE_CHECKING:
    _client = default_client()
    cancel = _of_default_client(_client.cancel)
    create = _of_default_client(_client.create)
    define = _of_default_client(_client.define)
    delete = _of_default_client(_client.delete)
    get = _of_default_client(_client.get)
    holders = _of_default_client(_client.holders)
    list = _of_default_client(_client.list)
    load = _of_default_client(_client.load)
    memory = _of_default_client(_client.memory)
    open = _of_default_client(_client.open)
    open_id = _of_default_client(_client.open_id)
    ops = _of_default_client(_client.ops)
    ping = _of_default_client(_client.ping)
    publish = _of_default_client(_client.publish)
    put = _of_default_client(_client.put)
    run = _of_default_client(_client.run)
    share = _of_default_client(_client.share)
    stat = _of_default_client(_client.stat)
    wait = _of_default_client(_client.wait)


for _name in FUNCTIONS:
    setattr(Client, _name, _method(_name))
    globals()[_name] = _function(_name)
    if _name not in ("list", "open"):
        __all__.append(_name)
