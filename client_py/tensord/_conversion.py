# SPDX-License-Identifier: MIT
"""Arrays of others made arrays of ours, and ours copied, cast and reshaped.

What belongs to this process is copied once, by `asarray` and `from_dlpack`; an array of ours stays
what it is, unless a copy is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy

from ._array import Array, array_of
from ._creation import _check_device
from ._default import default_client
from ._dlpack import ExchangeRefused, lent_array
from ._dtypes import DTYPES, native_array, number_of
from ._index import integers_of
from ._operands import check_range, exact_integers
from ._operators import Operators

if TYPE_CHECKING:
    from ._client import Client
    from ._types import ArrayLike, Device, DTypeLike, NDArray, ShapeLike, SupportsDLPack


def astype(
    x: ArrayLike, dtype: DTypeLike, /, *, copy: bool = True, device: Device = None
) -> Array:
    """The same values in another dtype; see `Array.astype`.

    Parameters
    ----------
    x : array_like or Value
    dtype : str or numpy.dtype
    copy : bool
        Make a new tensor even if x has that dtype already.
    device : {"cpu"}, optional

    Returns
    -------
    Array or Value
        Of x's shape.

    Raises
    ------
    DtypeError
        There is no such dtype, or x is complex and it is not.

    Examples
    --------
    >>> import tensord
    >>> tensord.astype([1.5, -2.5], "int8")
    Array([ 1, -2], shape=(2,), dtype=int8, 2 bytes)
    """
    _check_device(device)
    array = array_of(x)
    if number_of(dtype) != array._number:
        return array.astype(dtype)
    return array._copy() if copy else array


def _converted(array: NDArray, number: int) -> NDArray:
    """An array in another dtype where numpy does what the daemon does, else the array itself."""
    to, kind = DTYPES[number], array.dtype.kind
    if kind in "iu" and array.size:
        check_range(int(array.min()), number)
        check_range(int(array.max()), number)
    if kind in "biu" or to.kind in "cb" or kind == to.kind:
        with numpy.errstate(all="ignore"):
            return array.astype(to)
    return array


def asarray(
    obj: ArrayLike | SupportsDLPack,
    /,
    dtype: DTypeLike | None = None,
    *,
    device: Device = None,
    copy: bool | None = None,
    client: Client | None = None,
) -> Array:
    """A tensor of whatever holds elements.

    Parameters
    ----------
    obj : Array, Value, array_like, number, or an object with ``__dlpack__``
        Nested lists, numpy arrays with any strides and byte order, buffers, and what numpy makes
        arrays of. All but tensors and values is copied, once.
    dtype : str or numpy.dtype, optional
        That of obj where it is left out; of Python numbers bool, int64, float64 or complex128.
    device : {"cpu"}, optional
    copy : bool, optional
        True: a tensor too is copied. False: refuse (ArgumentError) what would have to be copied.
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    Array or Value
        obj itself, if it is one of that dtype and no copy is asked for.

    Raises
    ------
    DtypeError
        The dtype is not among those that tensord keeps; the message names it.
    ShapeError
        Lists of different lengths beside one another.
    OverflowError
        A Python integer is not among those of the dtype.
    ArgumentError
        A copy was ruled out, and is needed.

    Examples
    --------
    >>> import tensord
    >>> tensord.asarray([[1, 2], [3, 4]], dtype="float32")
    Array([[1., 2.],
           [3., 4.]], shape=(2, 2), dtype=float32, 16 bytes)
    """
    _check_device(device)
    number = None if dtype is None else number_of(dtype)
    if isinstance(obj, Operators):
        x = array_of(obj)
        if number is not None and number != x._number:
            if copy is False:
                raise _needs_copy("asarray", f"{x.dtype} to {DTYPES[number]}")
            return x.astype(DTYPES[number])
        return x._copy() if copy else x
    if copy is False:
        raise _needs_copy("asarray", f"a {type(obj).__name__}")
    if hasattr(obj, "__dlpack__") and not _is_numpys(obj):
        x = from_dlpack(cast("SupportsDLPack", obj), client=client)
    else:
        is_array = hasattr(obj, "dtype")
        array, own = native_array(obj if number is None else exact_integers(obj, number))
        if number is not None and number != own and not is_array:
            array = _converted(array, number)
        x = array_of(array, client)
    return x if number is None or number == x._number else x.astype(DTYPES[number])


def _is_numpys(obj: object) -> bool:
    return isinstance(obj, (numpy.ndarray, numpy.generic)) or hasattr(obj, "__array__")


def _needs_copy(op: str, what: str) -> ExchangeRefused:
    message = f"{op}: {what} needs a copy, which copy=False rules out"
    return ExchangeRefused(message, "bad_arguments")


def from_dlpack(
    x: SupportsDLPack,
    /,
    *,
    device: Device = None,
    copy: bool | None = None,
    client: Client | None = None,
) -> Array:
    """A tensor with the elements of another library's array.

    Parameters
    ----------
    x : Array, or an object with ``__dlpack__`` and ``__dlpack_device__``
        A tensor stays what it is. Elements of others are copied, once, out of their memory, which
        may be read-only, and of which only this machine's is reached.
    device : {"cpu"}, optional
    copy : bool, optional
        True: a tensor too is copied. False: refuse what would have to be copied.
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    Array or Value

    Raises
    ------
    AttributeError
        x lends nothing by this protocol.
    ArgumentError
        A BufferError too: the memory is another device's, or a copy was ruled out.
    DtypeError

    Examples
    --------
    >>> import numpy, tensord
    >>> tensord.from_dlpack(numpy.arange(3.0))
    Array([0., 1., 2.], shape=(3,), dtype=float64, 24 bytes)
    """
    _check_device(device)
    if isinstance(x, Operators):
        own = array_of(x)
        return own._copy() if copy else own
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise AttributeError(f"from_dlpack: {type(x).__name__} has no __dlpack__")
    if copy is False:
        raise _needs_copy("from_dlpack", f"a {type(x).__name__}")
    array = x if isinstance(x, numpy.ndarray) else lent_array(x)  # 1.24 lends no read-only ones
    return (client or default_client()).put(array)


# ---- under another shape ----


def reshape(x: ArrayLike, /, shape: ShapeLike, *, copy: bool | None = None) -> Array:
    """The same elements, in C order, under another shape; one extent may be -1.

    Parameters
    ----------
    x : array_like or Value
    shape : int or tuple of int
    copy : bool, optional
        True: always copy. False: refuse (ArgumentError) where a copy would be needed, which is
        where x does not lie in C order.

    Returns
    -------
    Array or Value
        A view where that needs no copy.

    Raises
    ------
    ShapeError
        The shape has another number of elements.
    ArgumentError
        A copy was ruled out, and is needed.

    Examples
    --------
    >>> import tensord
    >>> tensord.reshape([1, 2, 3, 4], (2, -1)).tolist()
    [[1, 2], [3, 4]]
    """
    x = array_of(x)
    result = x.reshape(integers_of(shape))
    if copy is False and isinstance(result, Array) and result._base is None:
        raise _needs_copy("reshape", f"a view of shape {x.shape} to {result.shape}")
    return result._copy() if copy else result
