# SPDX-License-Identifier: MIT
"""Reading what another library lends by the DLPack protocol.

The capsule is not taken over: it stays the lender's, who is given the memory back when the last
reference to it goes. The array over the memory holds one, so it is valid for as long as anybody has
it. It is read-only, whether the lender's is or not. Both capsules are read, the one with a version
and the one of old, whichever the lender makes.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy

from ._errors import ArgumentError, error
from ._index import c_strides

if TYPE_CHECKING:
    from typing import Any

    from ._types import DType, NDArray, SupportsDLPack

_CPU_DEVICES = (1, 3, 11)  # ordinary memory; pinned for CUDA; pinned for ROCm
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
KIND_NUMBERS = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
VERSION = (1, 0)  # the layout below is that of major version 1
DEVICE = (1, 0)
READ_ONLY, IS_COPIED = 1, 2  # flags


class ExchangeRefused(ArgumentError, BufferError):
    """The memory of an array cannot be handed over as asked: the standard wants a BufferError."""


class _Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("number", ctypes.c_int32)]


class _DataType(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Lent(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("lent", _Lent),
    ]


_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.argtypes, _is_valid.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_int
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.argtypes, _pointer.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p


def _capsule_of(x: Any) -> object:
    try:
        return x.__dlpack__(max_version=VERSION)
    except TypeError:  # a lender that knows of no versions
        return x.__dlpack__()


def _lent_of(capsule: object) -> _Lent:
    lent: _Lent
    if _is_valid(capsule, b"dltensor_versioned"):
        versioned = _Versioned.from_address(_pointer(capsule, b"dltensor_versioned"))
        if versioned.major != VERSION[0]:
            raise ExchangeRefused(
                f"from_dlpack: version {versioned.major}.{versioned.minor} of DLPack, not "
                f"{VERSION[0]}",
                "bad_arguments",
            )
        lent = versioned.lent
        return lent
    if _is_valid(capsule, b"dltensor"):
        return _Lent.from_address(_pointer(capsule, b"dltensor"))
    raise ExchangeRefused(f"from_dlpack: {capsule!r} is no fresh DLPack capsule", "bad_arguments")


def _dtype_of(dtype: _DataType) -> DType:
    name = _KINDS.get(dtype.kind, f"dtype kind {dtype.kind} of ")
    name = "bool" if name == "bool" and dtype.bits == 8 else f"{name}{dtype.bits}"
    if dtype.lanes != 1:
        raise error("unsupported_dtype", f"from_dlpack: {name} in vectors of {dtype.lanes}")
    try:
        return numpy.dtype(name)
    except TypeError:
        raise error("unsupported_dtype", f"from_dlpack: {name} is not among the dtypes") from None


def _array_over(lent: _Lent, capsule: object) -> NDArray:
    """A read-only array over memory that belongs to somebody else; it keeps the capsule."""
    dtype = _dtype_of(lent.dtype)
    shape = tuple(lent.shape[: lent.ndim])
    if 0 in shape:
        return numpy.empty(shape, dtype)
    strides = c_strides(shape, dtype.itemsize)
    if lent.strides:
        strides = tuple(stride * dtype.itemsize for stride in lent.strides[: lent.ndim])
    spans = [(extent - 1) * stride for extent, stride in zip(shape, strides)]
    before = -sum(span for span in spans if span < 0)
    behind = sum(span for span in spans if span > 0) + dtype.itemsize
    first = lent.data + lent.byte_offset - before
    memory = (ctypes.c_char * (before + behind)).from_address(first)
    memory.capsule = capsule
    array: NDArray = numpy.ndarray(shape, dtype, memory, before, strides)
    array.flags.writeable = False
    return array


def lent_array(x: SupportsDLPack) -> NDArray:
    """An array over the memory of what has ``__dlpack__``.

    Raises
    ------
    ExchangeRefused
        A BufferError: the memory is that of another device.
    DtypeError
    """
    kind, number = x.__dlpack_device__()
    if kind not in _CPU_DEVICES:
        raise ExchangeRefused(
            f"from_dlpack: the array lies on device {int(kind)}:{int(number)}, not in the memory "
            "of this machine; bring it there first",
            "bad_arguments",
        )
    capsule = _capsule_of(x)
    return _array_over(_lent_of(capsule), capsule)
