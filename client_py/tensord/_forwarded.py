# SPDX-License-Identifier: MIT
"""Docstrings of functions that forward to a method of `Client`: the method's, in their own form.

An example of such a method, which ends its docstring, looks as this one. It may print at its end.

>>> import tensord
>>> with tensord.connect() as client:
...     x = client.put([1.0, 2.0], "pair", replace=True)
...     print(client.open("pair"))
Array([1., 2.], shape=(2,), dtype=float64, name='pair', 16 bytes)
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_OPENING = ">>> with tensord.connect() as client:\n"
_INDENTED = "...     "
#: What is awaited: a client's methods, and what `Client.define` yields, which would wait.
_AWAITED = {"client.": "await client.", "scale(": "await tensord.aio.call(scale, "}


@functools.lru_cache(None)
def _parts(method: Callable[..., Any]) -> tuple[str, list[str], list[str]] | None:
    """What stands before the example's block; the block's lines; what it prints. None: Python runs
    without docstrings.
    """
    before, _, after = (inspect.getdoc(method) or "").partition(_OPENING)
    lines = after.splitlines()
    block = [line.removeprefix(_INDENTED) for line in lines if line.startswith(_INDENTED)]
    return (before, block, lines[len(block) :]) if block else None


def of_module(method: Callable[..., Any]) -> str | None:
    """The docstring of a function that calls the method of the default client."""
    parts = _parts(method)
    if parts is None:
        return None
    before, block, printed = parts
    block = [("... " if line[0] == " " else ">>> ") + line for line in block]
    return before + "\n".join([*block, *printed]).replace("client.", "tensord.")


def awaited(method: Callable[..., Any], of: str, is_method: bool) -> str | None:
    """The docstring of what is the same as `of`, but to be awaited: a method of `aio.Client`, or a
    function that does without.
    """
    parts = _parts(method)
    if parts is None:
        return None
    before, block, printed = parts
    before = before.replace("\n\n", f"\n\n`{of}`, to be awaited.\n\n", 1)
    before = before.replace(">>> import ", ">>> import asyncio, ")
    text = "\n".join(block)
    for what, how in _AWAITED.items():
        text = text.replace(what, how)
    if is_method:
        text = f"async with await tensord.aio.connect() as client:\n{text}".replace("\n", "\n    ")
    else:
        text = text.replace("client.", "tensord.aio.")
    text = f"async def main():\n{text}".replace("\n", f"\n{_INDENTED}")
    return before + "\n".join([f">>> {text}", ">>> asyncio.run(main())", *printed])
