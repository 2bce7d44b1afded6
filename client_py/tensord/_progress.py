# SPDX-License-Identifier: MIT
"""A progress bar for what takes long.

The daemon tells how far a run is; who waits for the run draws it, in `progress` blocks alone. A
block is in force for its context (`contextvars`): its thread, and the tasks made in it.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Any, TextIO

    from ._native import Builder

EVERY_MS = 100
AFTER_S = 0.5  # what is done sooner is not shown

_display: contextvars.ContextVar[_Display | None] = contextvars.ContextVar(
    "tensord_progress", default=None
)
_nothing = contextlib.nullcontext()


def shown(builder: Builder) -> AbstractContextManager[object]:
    """To be entered while the request of a builder runs: the bar of this context shows it."""
    display = _display.get()
    if display is None:
        return _nothing
    run = _Run(display)
    builder.progress(run.tell, EVERY_MS)
    return run


@contextlib.contextmanager
def progress(show: bool | None = None, file: TextIO | None = None) -> Iterator[None]:
    """Show how far it is what takes longer than half a second, inside of a ``with`` block.

    Whatever is computed in the block by this thread (or asyncio task) is shown, while the daemon
    computes it: by tqdm where that is installed, else by a line of text. Of several runs at once it
    is the one that began to be shown first. Ctrl-C ends the run and has the daemon stop computing
    it; what was computed before, and the connection, stay.

    Parameters
    ----------
    show : bool, optional
        Without it only where the file is a terminal, or in a notebook.
    file : text file, optional
        Where to; ``sys.stderr`` if not given.

    Returns
    -------
    context manager
        Without a value.

    Examples
    --------
    >>> import tensord
    >>> with tensord.progress():
    ...     x = tensord.eval(tensord.ones(3) + 1)
    """
    file = sys.stderr if file is None else file
    if show is None:
        show = file is not None and (file.isatty() or "ipykernel" in sys.modules)
    display = _Display(file)
    token = _display.set(display if show else None)
    try:
        yield
    finally:
        display.is_over = True
        _display.reset(token)


class _Display:
    """Where bars are drawn, one at a time."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.lock = threading.Lock()
        self.is_over = False  # the block was left; or what cannot be written to

    def make_bar(self, n_steps: int) -> _Tqdm | _Line:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tqdm's, of notebooks without widgets
                from tqdm.auto import tqdm
        except ImportError:
            return _Line(self.file)
        return _Tqdm(tqdm(total=n_steps, file=self.file, unit="step", dynamic_ncols=True))


class _Run:
    """A run that may come to be shown."""

    __slots__ = ("_display", "_started", "_bar", "_n_steps")

    def __init__(self, display: _Display) -> None:
        self._display = display
        self._started = time.monotonic()
        self._bar: _Tqdm | _Line | None = None
        self._n_steps = 0

    def __enter__(self) -> _Run:
        return self

    def tell(self, n_done: int, n_steps: int) -> None:
        """What the daemon told."""
        display = self._display
        if display.is_over or time.monotonic() - self._started < AFTER_S:
            return
        if self._bar is None and not display.lock.acquire(blocking=False):
            return
        try:
            if self._bar is None:
                try:
                    self._bar = display.make_bar(n_steps)
                except BaseException:
                    display.lock.release()
                    raise
            self._n_steps = n_steps
            self._bar.draw(n_done, n_steps, time.monotonic() - self._started)
        except Exception:  # a closed file is no reason to end a computation
            display.is_over = True

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        bar, self._bar = self._bar, None
        if bar is None:
            return
        try:
            if kind is None and not self._display.is_over:
                bar.draw(self._n_steps, self._n_steps, time.monotonic() - self._started)
            bar.close()
        except Exception:
            self._display.is_over = True
        finally:
            self._display.lock.release()


class _Tqdm:
    """A bar of tqdm's."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def draw(self, n_done: int, n_steps: int, seconds: float) -> None:
        """So many steps are done."""
        self._bar.total = n_steps
        self._bar.n = n_done
        self._bar.refresh()

    def close(self) -> None:
        """It stays as it is."""
        self._bar.close()


class _Line:
    """A bar of text."""

    WIDTH = 30

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def draw(self, n_done: int, n_steps: int, seconds: float) -> None:
        """So many steps are done."""
        share = n_done / n_steps if n_steps else 1
        bar = ("#" * int(share * self.WIDTH)).ljust(self.WIDTH, ".")
        minutes, seconds = divmod(int(seconds), 60)
        text = f"\r[{bar}] {share:4.0%} {n_done}/{n_steps} {minutes}:{seconds:02}"
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        """It stays as it is."""
        self._file.write("\n")
        self._file.flush()
