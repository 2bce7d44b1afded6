# SPDX-License-Identifier: MIT
"""Exceptions: one class per thing that a caller would catch.

The table that daemon and libtensord use (``errors.def``) names the class of each error code, and
says what it means. Here stands only which of Python's own exceptions a class also is, so that
``except KeyError`` or ``except MemoryError`` do what one expects.
"""

from __future__ import annotations

import numpy

from . import _native


class TensordError(Exception):
    """Base of everything that tensord raises for a reason of its own.

    Attributes
    ----------
    code : str or None
        Name of the error, as on the wire: ``"not_found"``, ``"shape_mismatch"``, ...
    node : int or None
        Number of the operation to blame, in a program of several. In the body of a loop, it is the
        loop's; the message says which operation of the body it was.
    """

    def __init__(
        self, message: str = "", code: str | None = None, node: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.node = node

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[TensordError], tuple[str, str | None, int | None]]:
        return type(self), (self.message, self.code, self.node)


# What a class is besides a TensordError. What each means, the table says.


class ProtocolError(TensordError, ConnectionError):
    pass


class VersionError(TensordError, ConnectionError):
    pass


class ArgumentError(TensordError, ValueError):
    pass


class LimitError(TensordError, RuntimeError):
    pass


class OutcomeUnknown(TensordError, ConnectionError):
    pass


class ConnectionLost(TensordError, ConnectionError):
    pass


class Cancelled(TensordError, RuntimeError):
    pass


class DeadlineExceeded(TensordError, TimeoutError):
    pass


class InternalError(TensordError, RuntimeError):
    pass


class NotFound(TensordError, KeyError):
    pass


class NameTaken(TensordError, ValueError):
    pass


class NotSealed(TensordError, ValueError):
    pass


class Sealed(TensordError, ValueError):
    pass


class LeaseConflict(TensordError, BlockingIOError):
    pass


class LeaseLost(TensordError, ConnectionError):
    pass


class Torn(TensordError, RuntimeError):
    pass


class NotCreator(TensordError, PermissionError):
    pass


class NotOwner(TensordError, PermissionError):
    pass


class MutableTensor(TensordError, ValueError):
    pass


class Poisoned(TensordError, RuntimeError):
    pass


class Lost(TensordError, LookupError):
    pass


class TensorGone(TensordError, LookupError):
    pass


class DtypeError(TensordError, TypeError):
    pass


class ShapeError(TensordError, ValueError):
    pass


class AxisError(TensordError, ValueError, IndexError):
    pass


class UnknownOp(TensordError, LookupError):
    pass


class ValueRefused(TensordError, ValueError):
    pass


class KernelError(TensordError, RuntimeError):
    pass


class OutOfRange(TensordError, IndexError):
    pass


class LinAlgError(TensordError, numpy.linalg.LinAlgError):
    pass


class OutOfMemory(TensordError, MemoryError):
    pass


class QuotaExceeded(TensordError, MemoryError):
    pass


class NoDaemon(TensordError, ConnectionError):
    pass


class Closed(TensordError, ConnectionError):
    pass


class FileError(TensordError, ValueError):
    pass


class SystemFailure(TensordError, OSError):
    pass


def _described(name: str) -> type[TensordError]:
    cls: type[TensordError] = globals()[name]
    rows = [row for row in _native.ERRORS if row[2] == name]
    cls.__doc__ = "\n".join(f"``{code}``: {sentence}" for code, _, _, sentence in rows)
    cls.__module__ = "tensord"
    return cls


classes = {name: _described(name) for _, _, name, _ in _native.ERRORS}
class_of_code = {code: classes[name] for code, _, name, _ in _native.ERRORS}


def error(code: str, message: str, node: int | None = None) -> TensordError:
    """The exception for an error code, to be raised."""
    return class_of_code.get(code, TensordError)(message, code, node)


def name_function(problem: TensordError, name: str) -> None:
    """Have it begin with the function that was called, where that is made of what is named."""
    first, colon, rest = problem.message.partition(": ")
    if colon and first.isidentifier():
        problem.message = f"{name}: {rest}"


_native.set_error_factory(error)
