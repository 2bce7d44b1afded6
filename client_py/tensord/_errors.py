# SPDX-License-Identifier: MIT
"""Exceptions: one class per thing that a caller would catch.

The classes are made from the table that daemon and libtensord use (``errors.def``), which names the
class of each error code. Here stands only which of Python's own exceptions a class also is, so
that ``except KeyError`` or ``except MemoryError`` do what one expects.
"""

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

    def __init__(self, message="", code=None, node=None):
        super().__init__(message)
        self.message = message
        self.code = code
        self.node = node

    def __str__(self):
        return self.message

    def __reduce__(self):
        return type(self), (self.message, self.code, self.node)


# What a class is besides a TensordError.
_ALSO = {
    "ProtocolError": ConnectionError,
    "VersionError": ConnectionError,
    "ArgumentError": ValueError,
    "LimitError": RuntimeError,
    "OutcomeUnknown": ConnectionError,
    "ConnectionLost": ConnectionError,
    "Cancelled": RuntimeError,
    "DeadlineExceeded": TimeoutError,
    "InternalError": RuntimeError,
    "NotFound": KeyError,
    "NameTaken": ValueError,
    "NotSealed": ValueError,
    "Sealed": ValueError,
    "LeaseConflict": BlockingIOError,
    "LeaseLost": ConnectionError,
    "Torn": RuntimeError,
    "NotCreator": PermissionError,
    "NotOwner": PermissionError,
    "MutableTensor": ValueError,
    "Poisoned": RuntimeError,
    "Lost": LookupError,
    "TensorGone": LookupError,
    "DtypeError": TypeError,
    "ShapeError": ValueError,
    "AxisError": (ValueError, IndexError),
    "UnknownOp": LookupError,
    "ValueRefused": ValueError,
    "KernelError": RuntimeError,
    "OutOfRange": IndexError,
    "LinAlgError": numpy.linalg.LinAlgError,
    "OutOfMemory": MemoryError,
    "QuotaExceeded": MemoryError,
    "NoDaemon": ConnectionError,
    "Closed": ConnectionError,
    "FileError": ValueError,
    "SystemFailure": OSError,
}


def _make_class(name, rows):
    also = _ALSO[name]
    bases = (TensordError, *(also if isinstance(also, tuple) else (also,)))
    doc = "\n".join(f"``{code}``: {sentence}" for code, _, _, sentence in rows)
    return type(name, bases, {"__doc__": doc, "__module__": "tensord"})


def _make_classes():
    rows_of = {}
    for row in _native.ERRORS:
        rows_of.setdefault(row[2], []).append(row)
    return {name: _make_class(name, rows) for name, rows in rows_of.items()}


classes = _make_classes()
class_of_code = {code: classes[name] for code, _, name, _ in _native.ERRORS}
globals().update(classes)


def error(code, message, node=None):
    """The exception for an error code, to be raised."""
    return class_of_code.get(code, TensordError)(message, code, node)


_native.set_error_factory(error)
