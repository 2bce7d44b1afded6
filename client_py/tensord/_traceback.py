# SPDX-License-Identifier: MIT
"""Tracebacks that end where the user called the package.

Whoever makes a mistake sees the own line and the one function called there, not what is behind it;
where that function called something of the user's, which failed, that is seen as well. Set
``TENSORD_TRACEBACK=full`` in the environment to see all of it.

What is called very often has the handler in its own body (`cut`), where it costs nothing as long as
nothing is raised; other functions are put into one that has it (`public`).
"""

from __future__ import annotations

import os
import types
from typing import TYPE_CHECKING

from ._errors import TensordError

if TYPE_CHECKING:
    from typing import Any

    from ._types import Function

# By users; __annotate__ is Python 3.14's own.
_NOT_CALLED = ("__init__", "__del__", "__annotate__")
_MARKS = {"__wrapped__", "cuts_traceback"}
_is_full = os.environ.get("TENSORD_TRACEBACK") == "full"


def cut(problem: TensordError) -> TensordError:
    """An exception to be raised anew, by a handler: with the user's frames alone."""
    if _is_full:
        return problem
    place = first = problem.__traceback__
    last: types.TracebackType | None = None
    while place is not None:
        name = place.tb_frame.f_globals.get("__name__", "")
        if name != "tensord" and not name.startswith("tensord."):
            last = place
        place = place.tb_next
    if first is None or last is None:
        return problem.with_traceback(None)
    last.tb_next = None
    return problem.with_traceback(first.tb_next)  # the handler's own comes anew


def cuts(function: Function) -> Function:
    """Mark a function that has the handler itself."""
    function.cuts_traceback = True  # type: ignore[attr-defined]  # functions take any
    return function


def public(function: types.FunctionType, name: str) -> types.FunctionType:
    """The same function, which raises what `cut` leaves; in its place, by its name."""
    mistake, trimmed = TensordError, cut  # its globals are the function's

    def caller(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except mistake as problem:
            raise trimmed(problem)

    of = function.__code__
    code = caller.__code__.replace(
        co_filename=of.co_filename,
        co_firstlineno=of.co_firstlineno - 4,  # so that the raise seems to be in the def's line
        co_name=name,
        co_qualname=name,
    )
    made = types.FunctionType(
        code, function.__globals__, function.__name__, None, caller.__closure__
    )
    for name in "__module__", "__name__", "__qualname__", "__doc__":
        setattr(made, name, getattr(function, name))
    made.__dict__.update(function.__dict__)
    made.__dict__["__wrapped__"] = function
    return made


def make_public(owner: types.ModuleType | type) -> None:
    """Have the functions of a module or class that users call be such."""
    for name, function in list(vars(owner).items()):
        if name[0] == "_" and name[-2:] != "__" or name in _NOT_CALLED:
            continue
        if type(function) is types.FunctionType and not _MARKS & vars(function).keys():
            setattr(owner, name, public(function, name))
