# SPDX-License-Identifier: MIT
"""Tensors made in the daemon, by the names and signatures of the Python array API standard.

Beyond the standard, dtypes may stand by position, and ``client`` says who computes.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy

from ._array import client_of
from ._dtypes import BOOL, COMPLEX128, FLOAT64, INT64, KINDS, check_part, number_of
from ._errors import error
from ._functions import call
from ._graph import Value, apply, unknown_shape
from ._index import diagonal_of, integers_of
from ._operands import Constant, as_operand, check_range

if TYPE_CHECKING:
    from typing import Any

    from ._array import Array
    from ._client import Client
    from ._types import ArrayLike, Attrs, Device, DTypeLike, Operand, Shape, ShapeLike

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def number(x: Any) -> complex:
    """A plain int, float or complex, of whatever is one."""
    try:
        return operator.index(x)
    except TypeError:
        pass
    if isinstance(x, (complex, numpy.complexfloating)):
        return complex(x)
    if hasattr(x, "__float__") and not isinstance(x, (str, bytes)):
        return float(x)
    raise error("bad_arguments", f"{x!r} is no number")


def _check_device(device: object) -> None:
    if device not in (None, "cpu"):
        raise error("bad_arguments", f"the only device is 'cpu', not {device!r}")


def _dtype(dtype: DTypeLike | None, default: int = FLOAT64) -> int:
    return default if dtype is None else number_of(dtype)


def _is_integral(x: object) -> bool:
    return isinstance(x, int) or isinstance(x, float) and x.is_integer()


def check_fill(value: object, number: int) -> None:
    """Refuse a Python number that is not among those of a dtype."""
    if isinstance(value, int):
        check_range(value, number)
    elif isinstance(value, complex):
        check_part("c", number)


def zeros(
    shape: ShapeLike,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """A tensor of zeros.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : str or numpy.dtype, optional
        float64 where it is left out.
    device : {"cpu"}, optional
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    Array
        Of that shape and dtype.

    Raises
    ------
    ShapeError
        An extent is negative.
    DtypeError
        There is no such dtype.
    OutOfMemory

    Examples
    --------
    >>> import tensord
    >>> tensord.zeros((2, 3), dtype="int8")
    Array([[0, 0, 0],
           [0, 0, 0]], shape=(2, 3), dtype=int8, 6 bytes)
    """
    _check_device(device)
    return call("zeros", (), {"shape": integers_of(shape), "dtype": _dtype(dtype)}, client)


def empty(
    shape: ShapeLike,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """A tensor of any values, which are zeros here; parameters as for `zeros`.

    Returns
    -------
    Array

    Examples
    --------
    >>> import tensord
    >>> tensord.empty(2).tolist()
    [0.0, 0.0]
    """
    return zeros(shape, dtype, device=device, client=client)


def ones(
    shape: ShapeLike,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """A tensor of ones; parameters as for `zeros`.

    Returns
    -------
    Array

    Examples
    --------
    >>> import tensord
    >>> tensord.ones((2, 2)).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    _check_device(device)
    return call("ones", (), {"shape": integers_of(shape), "dtype": _dtype(dtype)}, client)


def full(
    shape: ShapeLike,
    fill_value: complex,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """A tensor of one value.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : bool, int, float or complex
    dtype : str or numpy.dtype, optional
        That of the value (bool, int64, float64 or complex128) where it is left out.
    device : {"cpu"}, optional
    client : Client, optional

    Returns
    -------
    Array
        Of that shape and dtype.

    Raises
    ------
    OverflowError
        The value is an integer that the dtype does not have.
    DtypeError
        It is complex, and the dtype is not.
    ShapeError, OutOfMemory

    Examples
    --------
    >>> import tensord
    >>> tensord.full(3, 7)
    Array([7, 7, 7], shape=(3,), dtype=int64, 24 bytes)
    >>> tensord.full(3, 300, dtype="int8")
    Traceback (most recent call last):
        ...
    OverflowError: 300 does not fit int8, which is -128 to 127
    """
    _check_device(device)
    value = number(fill_value)
    own = number_of(fill_value.dtype) if hasattr(fill_value, "dtype") else None
    if own is None:
        kinds = {int: INT64, float: FLOAT64, complex: COMPLEX128}
        own = BOOL if isinstance(fill_value, bool) else kinds[type(value)]
    own = _dtype(dtype, own)
    check_fill(value, own)
    attrs = {"shape": integers_of(shape), "value": value, "dtype": own}
    return call("full", (), attrs, client)


def _axes_by_stride(x: Operand) -> list[int]:
    """The axes of an operand, the slowest first: the order in which numpy's copies lie, too."""
    x = x._operand()
    if isinstance(x, Value):
        return list(range(len(x.shape)))
    strides: Shape = x.array.strides if isinstance(x, Constant) else getattr(x, "strides", ())
    return sorted(range(len(strides)), key=lambda axis: -abs(strides[axis]))


def _make_like(
    op: str, x: ArrayLike | Operand, dtype: DTypeLike | None, device: Device, **attrs: object
) -> Array:
    """What an operation makes, of the shape of x, with its axes in the order in which x lies.

    How a value of a program will lie is not known; of one, the operation becomes a part of its
    program.
    """
    _check_device(device)
    like = as_operand(x)
    attrs["dtype"] = _dtype(dtype, like._number)
    if isinstance(like, Value):
        if None in like.shape:
            raise unknown_shape(op)
        made: Array = apply(op, (), {"shape": like.shape, **attrs}, beside=(like,))
        return made
    client = client_of((like,))
    axes = _axes_by_stride(like)
    if axes == list(range(len(axes))):
        return call(op, (), {"shape": like.shape, **attrs}, client)
    made = call(op, (), {"shape": tuple([like.shape[axis] for axis in axes]), **attrs}, client)
    return made.permute_dims(sorted(range(len(axes)), key=axes.__getitem__))


def zeros_like(x: ArrayLike, /, *, dtype: DTypeLike | None = None, device: Device = None) -> Array:
    """As `zeros`, of the shape of x, of its dtype unless another is given, and lying as x does.

    Parameters
    ----------
    x : array_like or Value
        Of a Value the result is one.
    dtype : str or numpy.dtype, optional
    device : {"cpu"}, optional

    Returns
    -------
    Array or Value
        Of x's shape.

    Examples
    --------
    >>> import numpy, tensord
    >>> numpy.asarray(tensord.zeros_like(numpy.ones((2, 3), order="F"))).flags.f_contiguous
    True
    """
    return _make_like("zeros", x, dtype, device)


def empty_like(x: ArrayLike, /, *, dtype: DTypeLike | None = None, device: Device = None) -> Array:
    """As `empty`, of the shape of x; parameters as for `zeros_like`.

    Returns
    -------
    Array or Value
        Of x's shape.

    Examples
    --------
    >>> import tensord
    >>> tensord.empty_like([1, 2]).shape
    (2,)
    """
    return zeros_like(x, dtype=dtype, device=device)


def ones_like(x: ArrayLike, /, *, dtype: DTypeLike | None = None, device: Device = None) -> Array:
    """As `ones`, of the shape of x; parameters as for `zeros_like`.

    Returns
    -------
    Array or Value
        Of x's shape.

    Examples
    --------
    >>> import tensord
    >>> tensord.ones_like([[0.5, 2.5]])
    Array([[1., 1.]], shape=(1, 2), dtype=float64, 16 bytes)
    """
    return _make_like("ones", x, dtype, device)


def full_like(
    x: ArrayLike, /, fill_value: complex, *, dtype: DTypeLike | None = None, device: Device = None
) -> Array:
    """As `full`, of the shape of x; the other parameters as for `zeros_like`.

    Parameters
    ----------
    fill_value : bool, int, float or complex

    Returns
    -------
    Array or Value
        Of x's shape.

    Raises
    ------
    OverflowError, DtypeError
        As of `full`, for the dtype of the result.

    Examples
    --------
    >>> import tensord
    >>> tensord.full_like([1, 2], 9).tolist()
    [9, 9]
    """
    like, value = as_operand(x), number(fill_value)
    check_fill(value, _dtype(dtype, like._number))
    return _make_like("full", like, dtype, device, value=value)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """Numbers from start on, step apart, before stop.

    Parameters
    ----------
    start, stop, step : int or float
        One alone is the stop, and start is 0 then.
    dtype : str or numpy.dtype, optional
        int64 if all are integers, else float64, where it is left out.
    device : {"cpu"}, optional
    client : Client, optional

    Returns
    -------
    Array
        Of ceil((stop - start) / step) elements, or none.

    Raises
    ------
    ValueRefused
        The step is 0.
    DtypeError
        bool is asked for.

    Notes
    -----
    Element i is start + i * step: errors of rounding do not add up.

    Examples
    --------
    >>> import tensord
    >>> tensord.arange(2, 10, 3).tolist()
    [2, 5, 8]
    >>> tensord.arange(0, 1, 0.25).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    _check_device(device)
    if stop is None:
        start, stop = 0, start
    numbers: tuple[Any, ...] = tuple(map(number, (start, stop, step)))
    own = _dtype(dtype, FLOAT64 if any(isinstance(x, float) for x in numbers) else INT64)
    if KINDS[own] in "iu" and all(map(_is_integral, numbers)):  # 1e3 is an integer
        numbers = tuple(map(int, numbers))
    if KINDS[own] != "c":
        return call("arange", (), {"range": numbers, "dtype": own}, client)
    attrs = {"range": numbers, "dtype": FLOAT64}
    return call("astype", (call("arange", (), attrs, client),), {"dtype": own})


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: DTypeLike | None = None,
    device: Device = None,
    endpoint: bool = True,
    client: Client | None = None,
) -> Array:
    """Numbers from start to stop, equally spaced.

    Parameters
    ----------
    start, stop : int, float or complex
    num : int
        How many.
    dtype : str or numpy.dtype, optional
        float64, or complex128 for complex bounds, where it is left out. Integers are rounded down.
    device : {"cpu"}, optional
    endpoint : bool
        stop itself is the last one; else it would be the one behind the last.
    client : Client, optional

    Returns
    -------
    (num,) Array

    Raises
    ------
    ValueRefused
        num is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.linspace(0, 1, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], shape=(5,), dtype=float64, 40 bytes)
    """
    _check_device(device)
    numbers = number(start), number(stop), operator.index(num)
    own = COMPLEX128 if any(isinstance(x, complex) for x in numbers) else FLOAT64
    to = _dtype(dtype, own)
    attrs: Attrs = {"range": numbers, "dtype": to}
    if not endpoint:
        attrs["endpoint"] = False
    if KINDS[to] not in "iu":
        return call("linspace", (), attrs, client)
    down = call("floor", (call("linspace", (), {**attrs, "dtype": FLOAT64}, client),))
    return call("astype", (down,), {"dtype": to})


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    k: int = 0,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    client: Client | None = None,
) -> Array:
    """A matrix with ones on its diagonal k, else zeros.

    Parameters
    ----------
    n_rows : int
    n_cols : int, optional
        As many as rows where it is left out.
    k : int
        0 is the main diagonal, positive ones lie above.
    dtype : str or numpy.dtype, optional
        float64 where it is left out.
    device : {"cpu"}, optional
    client : Client, optional

    Returns
    -------
    (n_rows, n_cols) Array

    Raises
    ------
    ShapeError
        An extent is negative.

    Examples
    --------
    >>> import tensord
    >>> tensord.eye(2, 3, k=1, dtype="int64").tolist()
    [[0, 1, 0], [0, 0, 1]]
    """
    _check_device(device)
    shape = (n_rows, n_rows if n_cols is None else n_cols)
    return call("eye", (), {"shape": shape, "dtype": _dtype(dtype), "k": diagonal_of(k)}, client)
