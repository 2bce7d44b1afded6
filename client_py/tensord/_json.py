# SPDX-License-Identifier: MIT
"""Arrays as JSON: as nested lists, or as an object with shape, dtype and all elements in a row.

JSON knows no NaN and no infinity, so they are written as the strings "nan", "inf" and "-inf". A
complex number is a list of its two parts; a reader knows by the dtype.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy

from ._default import default_client
from ._dtypes import DTYPES, NAMES, number_of
from ._errors import error
from ._native import NDIM_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO, Any

    from ._array import Array
    from ._client import Client
    from ._types import ArrayLike, DType, DTypeLike, NDArray

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _plain(value: object) -> object:
    """What stands in JSON for an element, or for a list of them."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def to_json(x: ArrayLike, *, nested: bool = False) -> str:
    """The elements of an array as JSON text.

    Parameters
    ----------
    x : Array or array_like
    nested : bool
        Lists within lists alone; else an object with ``shape``, ``dtype`` and ``data``: all
        elements in C order.

    Returns
    -------
    str

    Examples
    --------
    >>> import tensord
    >>> x = tensord.asarray([[1.0, 2.0], [3.0, float("nan")]])
    >>> tensord.to_json(x)
    '{"shape": [2, 2], "dtype": "float64", "data": [1.0, 2.0, 3.0, "nan"]}'
    >>> tensord.to_json(x, nested=True)
    '[[1.0, 2.0], [3.0, "nan"]]'
    """
    array = numpy.asarray(x)
    name = NAMES[number_of(array.dtype)]
    if nested:
        return json.dumps(_plain(array.tolist()))
    data = _plain(array.reshape(-1).tolist())
    return json.dumps({"shape": list(array.shape), "dtype": name, "data": data})


def _number_of_json(value: object, is_complex: bool, place: tuple[int, ...]) -> complex:
    """The number that stands for an element; null is a NaN."""
    if is_complex and isinstance(value, list) and len(value) == 2:
        return complex(*(_number_of_json(part, False, place) for part in value))
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, (bool, int, float)):
        return value
    raise error("bad_file", f"from_json: element {list(place)} is no number: {json.dumps(value)}")


def _elements(
    value: object, shape: Sequence[int], is_complex: bool, place: tuple[int, ...] = ()
) -> Iterator[complex]:
    """Yields the elements of nested lists of a shape, in order."""
    if len(place) == len(shape):
        yield _number_of_json(value, is_complex, place)
        return
    extent = shape[len(place)]
    if not isinstance(value, list) or len(value) != extent:
        what = f"a list of {len(value)}" if isinstance(value, list) else json.dumps(value)
        raise error(
            "bad_file", f"from_json: {list(place)} is {what}, where others are lists of {extent}"
        )
    for i, part in enumerate(value):
        yield from _elements(part, shape, is_complex, (*place, i))


def _shape_of(value: object, is_complex: bool) -> list[int]:
    shape = []
    while isinstance(value, list):
        if is_complex and len(value) == 2 and not isinstance(value[0], list):
            break  # the two parts of a number
        shape.append(len(value))
        if not value:
            break
        value = value[0]
        if len(shape) > NDIM_MAX:
            raise error("bad_file", f"from_json: lists within lists, more than {NDIM_MAX} deep")
    return shape


def _array_of_object(record: dict[str, Any], number: int | None) -> NDArray:
    missing = {"shape", "data"} - record.keys()
    if missing:
        raise error(
            "bad_file", f"from_json: there is no {' and no '.join(map(repr, sorted(missing)))}"
        )
    if number is None and "dtype" in record:
        number = number_of(record["dtype"])
    shape, data = record["shape"], record["data"]
    if not isinstance(shape, list) or not all(
        type(extent) is int and extent >= 0 for extent in shape
    ):
        raise error("bad_file", f"from_json: {json.dumps(shape)} is no shape")
    size = math.prod(shape)
    if not isinstance(data, list) or len(data) != size:
        got = len(data) if isinstance(data, list) else json.dumps(data)
        raise error("bad_file", f"from_json: shape {shape} has {size} elements, data {got}")
    return _array(data, [size], number).reshape(shape)


def _array(value: object, shape: Sequence[int] | None, number: int | None) -> NDArray:
    is_complex = number is not None and DTYPES[number].kind == "c"
    if shape is None:
        shape = _shape_of(value, is_complex)
    elements = list(_elements(value, shape, is_complex))
    dtype = None if number is None else DTYPES[number]
    if dtype is None and not elements:
        dtype = numpy.dtype("float64")
    if dtype is not None and dtype.kind in "iub":
        _check_integers(elements, dtype)
    try:
        made = numpy.array(elements, dtype)
        number_of(made.dtype)
    except (OverflowError, TypeError) as problem:
        raise error("bad_file", f"from_json: {problem}") from None
    return made.reshape(shape)


def _check_integers(elements: Iterable[Any], dtype: DType) -> None:
    """NaN and fractions are not cut to integers in silence."""
    for place, value in enumerate(elements):
        if isinstance(value, float) and not value.is_integer():
            raise error(
                "bad_file", f"from_json: {value!r}, element {place} in order, is no {dtype}"
            )
        limits = (0, 1) if dtype.kind == "b" else (numpy.iinfo(dtype).min, numpy.iinfo(dtype).max)
        if not limits[0] <= value <= limits[1]:
            raise error(
                "bad_file", f"from_json: {value!r}, element {place} in order, is no {dtype}"
            )


def from_json(
    source: str | bytes | IO[str] | IO[bytes],
    *,
    dtype: DTypeLike | None = None,
    client: Client | None = None,
) -> Array:
    """An array of JSON: of what `to_json` writes, in either form.

    Parameters
    ----------
    source : str, bytes, or file opened to read
        Nested lists of numbers, or an object with ``shape`` and ``data``, and with or without
        ``dtype``. null, and what Python writes as NaN, are NaN.
    dtype : str or numpy.dtype, optional
        That of the object where it is left out, or what the numbers are: bool, int64, float64.
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    Array

    Raises
    ------
    FileError
        It is no JSON, or no array; the message says where.
    DtypeError

    Examples
    --------
    >>> import tensord
    >>> tensord.from_json('{"shape": [1, 2], "data": [1, 2]}')
    Array([[1, 2]], shape=(1, 2), dtype=int64, 16 bytes)
    """
    text = source.read() if hasattr(source, "read") else source
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error("bad_file", f"from_json: no JSON: {problem}") from None
    number = None if dtype is None else number_of(dtype)
    if isinstance(value, dict):
        array = _array_of_object(value, number)
    elif isinstance(value, list):
        array = _array(value, None, number)
    else:
        array = _array(value, [], number)
    return (client or default_client()).put(array)
