# SPDX-License-Identifier: MIT
"""Data types as objects, and what is asked of them, as in the Python array API standard.

A data type is a numpy.dtype; wherever one is asked for, its name or numpy's scalar type will do.
What meets what is decided by the inference that daemon and libtensord share.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy

from . import _native
from ._dtypes import DTYPES, KINDS, NAMES, number_of
from ._errors import error
from ._operands import Parameter, as_operand

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from ._types import ArrayLike, DType, DTypeLike

    Kind: TypeAlias = DTypeLike | tuple[DTypeLike, ...]

#: every dtype by its name
BY_NAME = dict(zip(NAMES, DTYPES))

_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}
_ADD = next(number for name, number, *_ in _native.OPS if name == "add")


def numbers_of_kind(kind: Kind) -> frozenset[int]:
    """The numbers of the dtypes of a kind, in the standard's words, or of any of a tuple."""
    if isinstance(kind, tuple):
        return frozenset().union(*map(numbers_of_kind, kind))
    if isinstance(kind, str) and kind in _KINDS:
        return frozenset(i for i, letter in enumerate(KINDS) if letter in _KINDS[kind])
    if isinstance(kind, str):
        raise error("bad_arguments", f"{kind!r} is no kind of dtype; {', '.join(_KINDS)} are")
    return frozenset((number_of(kind),))


def isdtype(dtype: DTypeLike, kind: Kind) -> bool:
    """Is a dtype of a kind?

    Parameters
    ----------
    dtype : numpy.dtype
    kind : str, numpy.dtype, or tuple of such
        "bool", "signed integer", "unsigned integer", "integral", "real floating",
        "complex floating", "numeric", a dtype for itself, or a tuple: any of these.

    Returns
    -------
    bool

    Raises
    ------
    ArgumentError
        There is no such kind.

    Examples
    --------
    >>> import tensord
    >>> tensord.isdtype(tensord.int8, ("integral", tensord.bool))
    True
    """
    return number_of(dtype) in numbers_of_kind(kind)


def _number(x: Any) -> int:
    """Of a dtype, or of whatever has one."""
    if hasattr(x, "_number"):
        number: int = x._number
        return number
    is_array = hasattr(x, "dtype") and not isinstance(x, type)
    return number_of(x.dtype if is_array else x)


@functools.lru_cache(maxsize=None)
def _promoted(a: int, b: int) -> int:
    """What two dtypes become where they meet; by the addition, which takes all."""
    return _native.infer(_ADD, (Parameter(a, ()), Parameter(b, ())), None)[0][0]


def result_type(*arrays_and_dtypes: ArrayLike | DTypeLike) -> DType:
    """The dtype of what is computed of operands.

    Parameters
    ----------
    *arrays_and_dtypes : Array, Value, numpy.ndarray, dtype, or Python number
        A number takes the dtype of what it meets, where its kind fits.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    ArgumentError
        There are no operands.
    DtypeError
        A dtype that tensord does not keep.

    Examples
    --------
    >>> import tensord
    >>> tensord.result_type(tensord.uint8, tensord.int8, 1)
    dtype('int16')
    >>> tensord.result_type(tensord.float32, 1.5)
    dtype('float32')
    """
    if not arrays_and_dtypes:
        raise error("bad_arguments", "result_type: there is nothing that has a dtype")
    scalars = [x for x in arrays_and_dtypes if type(x) in (bool, int, float, complex)]
    others = [x for x in arrays_and_dtypes if type(x) not in (bool, int, float, complex)]
    numbers = [_number(x) for x in others]
    like = functools.reduce(_promoted, numbers) if numbers else None
    numbers = [] if like is None else [like]
    numbers += [as_operand(x, like)._number for x in scalars]
    return DTYPES[functools.reduce(_promoted, numbers)]


def can_cast(from_: DTypeLike | ArrayLike, to: DTypeLike, /) -> bool:
    """Does a dtype become another where the two meet, so that nothing is lost but precision?

    Parameters
    ----------
    from_ : dtype, Array, Value or numpy.ndarray
    to : dtype

    Returns
    -------
    bool

    Examples
    --------
    >>> import tensord
    >>> tensord.can_cast("int32", "int64"), tensord.can_cast("int64", "int32")
    (True, False)
    """
    target = number_of(to)
    return _promoted(_number(from_), target) == target


class finfo:  # noqa: N801, the standard's name
    """Limits of a floating-point dtype; of a complex one, those of its parts.

    Parameters
    ----------
    type : dtype, Array, Value or numpy.ndarray

    Attributes
    ----------
    bits : int
    eps : float
        From 1.0 to the next larger one.
    max, min : float
        The largest and the most negative finite one.
    smallest_normal : float
        The smallest above 0 with full precision.
    dtype : numpy.dtype
        Real.

    Raises
    ------
    DtypeError
        It is not floating-point.

    Examples
    --------
    >>> import tensord
    >>> tensord.finfo(tensord.complex64)
    finfo(bits=32, eps=1.1920928955078125e-07, max=3.4028234663852886e+38, dtype=float32)
    """

    __slots__ = ("bits", "eps", "max", "min", "smallest_normal", "dtype")
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType

    def __init__(self, type: DTypeLike | ArrayLike, /) -> None:
        dtype = DTYPES[_number(type)]
        if dtype.kind not in "fc":
            raise error("unsupported_dtype", f"finfo: wants a floating-point dtype, not {dtype}")
        limits = numpy.finfo(dtype)
        self.dtype = limits.dtype
        self.bits = limits.bits
        for name in ("eps", "max", "min", "smallest_normal"):
            setattr(self, name, float(getattr(limits, name)))

    def __repr__(self) -> str:
        return f"finfo(bits={self.bits}, eps={self.eps}, max={self.max}, dtype={self.dtype})"


class iinfo:  # noqa: N801
    """Limits of an integer dtype.

    Parameters
    ----------
    type : dtype, Array, Value or numpy.ndarray

    Attributes
    ----------
    bits, max, min : int
    dtype : numpy.dtype

    Raises
    ------
    DtypeError
        It is not of integers.

    Examples
    --------
    >>> import tensord
    >>> tensord.iinfo("uint8")
    iinfo(bits=8, min=0, max=255, dtype=uint8)
    """

    __slots__ = ("bits", "max", "min", "dtype")
    bits: int
    max: int
    min: int
    dtype: DType

    def __init__(self, type: DTypeLike | ArrayLike, /) -> None:
        dtype = DTYPES[_number(type)]
        if dtype.kind not in "iu":
            raise error("unsupported_dtype", f"iinfo: wants an integer dtype, not {dtype}")
        limits = numpy.iinfo(dtype)
        self.dtype = dtype
        self.bits, self.max, self.min = limits.bits, int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(bits={self.bits}, min={self.min}, max={self.max}, dtype={self.dtype})"
