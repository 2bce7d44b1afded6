# SPDX-License-Identifier: MIT
"""Columns of other libraries' tables, each made an array.

Arrow and pandas keep marks for missing values beside the numbers, for which an array has no place:
what becomes of them is said by whoever reads. Neither library is imported here; whatever has the
same methods will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from ._csv import check_missing, filled_with
from ._default import default_client
from ._dtypes import number_of
from ._errors import classes, error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal, TypeVar

    from ._array import Array
    from ._client import Client
    from ._csv import Missing
    from ._errors import TensordError
    from ._types import DType, NDArray

    _T = TypeVar("_T")
    _Name = TypeVar("_Name")


def _missing_refused(what: str, n: int) -> TensordError:
    return error(
        "bad_arguments",
        f"{what} has {n} missing values; missing= says what becomes of those: 'nan', or a number",
    )


def _check_column_policy(missing: object) -> None:
    check_missing(missing)
    if missing == "skip":
        raise error("bad_arguments", "missing='skip' is of rows; columns are read one by one")


def _named(what: str, make: Callable[[], _T]) -> _T:
    """What make() yields; a dtype that is not kept is refused with the column's name."""
    try:
        return make()
    except classes["DtypeError"] as problem:
        raise error("unsupported_dtype", f"{what}: {problem}") from None


# ---- Arrow ----


def _numbers_of_chunk(chunk: Any, missing: Missing) -> NDArray:
    """An ndarray of an Arrow array; over its memory where that has nothing missing, nor bits."""
    if chunk.null_count:
        chunk = chunk.fill_null(_fill_of(chunk, missing))
    numbers: NDArray = chunk.to_numpy(zero_copy_only=False)
    return numbers


def _fill_of(chunk: Any, missing: Missing) -> float:
    if not isinstance(missing, str):
        return missing
    if str(chunk.type) not in ("float", "double"):
        raise error(
            "bad_arguments", f"a column of {chunk.type} has no NaN; give a number for the missing"
        )
    return float("nan")


def _of_column(column: Any, what: str, missing: Missing, client: Client) -> Array:
    if column.null_count and missing == "raise":
        raise _missing_refused(what, column.null_count)
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    parts = [_numbers_of_chunk(chunk, missing) for chunk in chunks]
    if len(parts) == 1:
        return _named(what, lambda: client.put(parts[0]))
    dtype = parts[0].dtype if parts else numpy.dtype(column.type.to_pandas_dtype())
    _named(what, lambda: number_of(dtype))
    with client.create(len(column), dtype) as made:
        at = 0
        for part in parts:
            made.array[at : at + len(part)] = part
            at += len(part)
    return made


def from_arrow(
    data: Any, *, missing: Literal["raise", "nan"] | float = "raise", client: Client | None = None
) -> Any:
    """Arrow's data as arrays: columns from memory, from IPC streams and files, from Parquet.

    Parameters
    ----------
    data : pyarrow.Array, ChunkedArray, Tensor, RecordBatch or Table
        Of numbers or bool.
    missing : {"raise", "nan"} or number
        What becomes of nulls: refused, a NaN in columns of floats, or this number.
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    Array, or dict of str to Array
        A dict of a RecordBatch or a Table: an array of shape (rows,) for each column. Elements
        are copied once, out of Arrow's own memory; those of chunks to one place.

    Raises
    ------
    ArgumentError
        There are nulls, and nothing was said of them; or a column's name stands twice.
    DtypeError
        A column of anything else; the message names it.

    Examples
    --------
    >>> import pyarrow, tensord
    >>> table = pyarrow.table({"hour": [0, 1, 2], "level": [1.5, None, 2.5]})
    >>> tensord.from_arrow(table, missing="nan")["level"]
    Array([1.5, nan, 2.5], shape=(3,), dtype=float64, 24 bytes)

    A column of a Parquet file, only that one being read::

        table = pyarrow.parquet.read_table("readings.parquet", columns=["level"])
        level = tensord.from_arrow(table, missing="nan")["level"]
    """
    _check_column_policy(missing)
    to = client or default_client()
    if not hasattr(data, "column_names"):
        if hasattr(data, "null_count"):
            return _of_column(data, "from_arrow: the array", missing, to)
        return _named("from_arrow", lambda: to.put(data.to_numpy()))
    return _by_name(
        "from_arrow",
        data.column_names,
        lambda i, what: _of_column(data.column(i), what, missing, to),
    )


def _by_name(
    function: str, names: Iterable[_Name], make: Callable[[int, str], Array]
) -> dict[_Name, Array]:
    names = list(names)
    for name in names:
        if names.count(name) > 1:
            raise error("bad_arguments", f"{function}: column {name!r} stands twice")
    return {name: make(i, f"{function}: column {name!r}") for i, name in enumerate(names)}


# ---- pandas ----


def _of_series(series: Any, what: str, missing: Missing, client: Client) -> Array:
    if not hasattr(series.dtype, "numpy_dtype"):
        return _named(what, lambda: client.put(series.to_numpy()))
    dtype: DType = series.dtype.numpy_dtype  # of those with a mask
    _named(what, lambda: number_of(dtype))
    n_missing = int(series.isna().sum())
    if n_missing and missing == "raise":
        raise _missing_refused(what, n_missing)
    if n_missing and missing == "nan" and dtype.kind != "f":
        raise error("bad_arguments", f"{what}: {dtype} has no NaN; give a number for the missing")
    fill = {"na_value": filled_with(missing)} if n_missing else {}
    return client.put(series.to_numpy(dtype=dtype, **fill))


def from_frame(
    frame: Any,
    columns: Iterable[Any] | None = None,
    *,
    missing: Literal["raise", "nan"] | float = "raise",
    client: Client | None = None,
) -> dict[Any, Array]:
    """Columns of a pandas DataFrame as arrays. (`asarray` makes one array of a whole frame.)

    Parameters
    ----------
    frame : pandas.DataFrame
    columns : sequence, optional
        Which, in this order; all where it is left out.
    missing : {"raise", "nan"} or number
        What becomes of the NA of columns that have a mask (``Int64``, ``boolean``, ...): refused,
        a NaN in columns of floats, or this number. NaN of ordinary columns are numbers, and stay.
    client : Client, optional
        The default one where it is left out.

    Returns
    -------
    dict of str to Array
        An array of shape (rows,) for each column, by its name. The index is no column.

    Raises
    ------
    ArgumentError
        There is NA, and nothing was said of it; a name is missing, or stands twice.
    DtypeError
        A column of text, objects, moments, ...; the message names it.

    Examples
    --------
    >>> import pandas, tensord
    >>> n = pandas.array([1, None, 3], "Int64")
    >>> frame = pandas.DataFrame({"n": n, "level": [1.5, 2.0, 2.5]})
    >>> tensord.from_frame(frame, ["n"], missing=-1)
    {'n': Array([ 1, -1,  3], shape=(3,), dtype=int64, 24 bytes)}
    """
    _check_column_policy(missing)
    names = list(frame.columns)
    wanted = names if columns is None else list(columns)
    for name in wanted:
        if name not in names:
            raise error("bad_arguments", f"from_frame: there is no column {name!r}, but {names}")
    to = client or default_client()
    return _by_name(
        "from_frame",
        wanted,
        lambda i, what: _of_series(frame.iloc[:, names.index(wanted[i])], what, missing, to),
    )
