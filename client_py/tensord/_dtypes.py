# SPDX-License-Identifier: MIT
"""Data types: numpy's on the outside, libtensord's numbers on the inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from . import _native
from ._errors import TensordError, error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._types import DType, DTypeLike, NDArray

#: numpy dtype of each number
DTYPES = tuple(numpy.dtype(npy) for _, _, _, npy in _native.DTYPES)
NAMES = tuple(name for name, _, _, _ in _native.DTYPES)
ITEM_SIZES = tuple(size for _, _, size, _ in _native.DTYPES)
KINDS = tuple(dtype.kind for dtype in DTYPES)
BOOL, INT64, FLOAT32, FLOAT64, COMPLEX64, COMPLEX128 = map(
    NAMES.index, ("bool", "int64", "float32", "float64", "complex64", "complex128")
)

_NUMBERS: dict[object, int] = {dtype: number for number, dtype in enumerate(DTYPES)}


_ADVICE = {
    "O": "objects have no fixed bytes; convert them to one of these",
    "U": "text is not kept; convert it to one of these, or number its values",
    "S": "bytes are kept as numbers only: numpy.frombuffer(..., 'uint8')",
    "M": "keep moments as numbers: .astype('int64') counts the dtype's units from 1970 on",
    "m": "keep durations as numbers: .astype('int64') counts the dtype's units",
    "V": "records are not kept; store each field by itself",
}


def _advice(dtype: DType) -> str:
    if dtype.kind in _ADVICE:
        return _ADVICE[dtype.kind]
    if dtype.kind == "c":
        return 'convert with .astype("complex64") or .astype("complex128")'
    if dtype.kind == "f":
        return 'convert with .astype("float32") or .astype("float64")'
    return "convert it to one of these"


def number_of(dtype: DTypeLike) -> int:
    """The number of a dtype.

    Parameters
    ----------
    dtype : str, numpy.dtype or type
        Byte order does not matter.

    Raises
    ------
    DtypeError
        It is not among those that tensord keeps; the message names both.
    """
    try:
        return _NUMBERS[dtype]  # a numpy.dtype, most of the time
    except (KeyError, TypeError):
        pass
    try:
        dtype = numpy.dtype(dtype)
    except TypeError as problem:
        raise error("unsupported_dtype", f"{dtype!r} is no dtype: {problem}") from None
    number = _NUMBERS.get(dtype.newbyteorder("=")) if dtype.names is None else None
    if number is None:
        raise error(
            "unsupported_dtype", f"tensord keeps {', '.join(NAMES)}, not {dtype}; {_advice(dtype)}"
        )
    return number


def check_part(kind: str, number: int) -> None:
    """Refuse that complex elements become those of a real dtype: which part is not said."""
    if kind == "c" and KINDS[number] in "iuf":
        raise error(
            "dtype_mismatch",
            f"complex numbers do not become {NAMES[number]}; take real() or imag() first",
        )


def array_of_lists(lists: Sequence[Any]) -> NDArray:
    """numpy's array of them, whatever dtype it finds."""
    try:
        return numpy.asarray(lists)
    except ValueError as problem:
        if isinstance(problem, TensordError):  # of an element
            raise
        raise error("shape_mismatch", f"lists beside one another differ: {problem}") from None


def native_array(array: object) -> tuple[NDArray, int]:
    """An array with the same values that libtensord can read: native byte order, a known dtype.

    Parameters
    ----------
    array : array_like

    Returns
    -------
    array : numpy.ndarray
        The argument itself where that is possible.
    number : int
        Of its dtype.

    Raises
    ------
    DtypeError
        The dtype is not supported.
    ArgumentError
        A masked array: there is no place for the mask.
    ShapeError
        Sequences that are no array: they differ in length or depth.
    """
    if isinstance(array, numpy.ma.MaskedArray):
        raise error(
            "bad_arguments", "a masked array has no place for its mask here; use .filled() first"
        )
    if isinstance(array, (list, tuple)):
        array = array_of_lists(array)
    array = numpy.asarray(array)
    number = number_of(array.dtype)
    if not array.dtype.isnative:
        array = array.astype(DTYPES[number])
    return array, number
