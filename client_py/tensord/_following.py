# SPDX-License-Identifier: MIT
"""Following a mutable tensor that others write: its version, and waiting for the next one.

The daemon counts the writes that ended well. It does not tell of them, so who waits asks again and
again: after 1 ms, then ever more seldom, down to 20 times a second; a question is some 20 us of
work.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ._array import Array
from ._errors import error
from ._timeouts import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._errors import TensordError

FIRST_S, LAST_S = 0.001, 0.05


def pauses(timeout: float | None) -> Iterator[float]:
    """How long to sleep between questions, in seconds, until the timeout is over."""
    end = None if timeout is None else time.monotonic() + milliseconds(timeout, 0) / 1000
    pause = FIRST_S
    while True:
        left = pause if end is None else end - time.monotonic()
        if left <= 0:
            return
        yield min(pause, left)
        pause = min(2 * pause, LAST_S)


def too_late(array: Array, version: int, timeout: float | None) -> TensordError:
    """Nobody wrote it in time."""
    return error(
        "deadline_exceeded",
        f"shape {array.shape} was still of version {version} after {timeout} s",
    )


def _get_version(self: Array) -> int | None:
    """How many writes of it ended well, as the daemon counts them; None: it is not mutable.

    Each lease to write that was given back, and each program that wrote into it, counts; also one
    that wrote another part than a view shows.
    """
    if not self.is_mutable:
        return None
    version: int = self.client._call("stat", {"id": self.id})["tensor"]["version"]
    return version


def version_of(array: Array) -> int:
    """The version of what must be mutable."""
    version = array.version
    if version is None:
        raise error("not_mutable", f"shape {array.shape} is not mutable, so there is no newer one")
    return version


def _wait_newer(self: Array, than: int, timeout: float | None = None) -> int:
    """Wait until a mutable tensor was written again.

    Parameters
    ----------
    than : int
        The version that is known (`version`).
    timeout : float, optional
        Seconds to wait at most; without it as long as it takes.

    Returns
    -------
    int
        The version now, larger than that; several writes may lie between.

    Raises
    ------
    DeadlineExceeded
        Nobody wrote it in time.
    Sealed
        It is not mutable.

    Notes
    -----
    The daemon is asked again and again, at most 20 times a second where it takes long.

    Examples
    --------
    >>> import tensord
    >>> t = tensord.put([1.0, 2.0], mutable=True)
    >>> known = t.version
    >>> t[0] = 5
    >>> t.wait_newer(known, timeout=10) > known
    True
    """
    for pause in pauses(timeout):
        version = version_of(self)
        if version > than:
            return version
        time.sleep(pause)
    version = version_of(self)
    if version > than:
        return version
    raise too_late(self, than, timeout)


def _follow(self: Array, timeout: float | None = None) -> Iterator[int]:
    """Follow a mutable tensor that others write.

    Parameters
    ----------
    timeout : float, optional
        The loop ends when nobody wrote it for so many seconds; without it never.

    Yields
    ------
    int
        The version: at once, and whenever it is another one. Who is slow misses some, never the
        last. To see what no one is writing meanwhile, `read` it.

    Raises
    ------
    Sealed
        It is not mutable.

    Examples
    --------
    >>> import tensord
    >>> t = tensord.put([1.0, 2.0], mutable=True)
    >>> for version in t.follow(timeout=0):
    ...     with t.read() as a:
    ...         print(a)
    [1. 2.]
    """
    version = version_of(self)
    while True:
        yield version
        try:
            version = self.wait_newer(version, timeout)
        except TimeoutError:
            return


setattr(Array, "version", property(_get_version))
for _method in _wait_newer, _follow:
    _method.__name__ = _method.__name__[1:]
    _method.__qualname__ = f"Array.{_method.__name__}"
    setattr(Array, _method.__name__, _method)
