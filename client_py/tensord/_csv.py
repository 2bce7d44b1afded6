# SPDX-License-Identifier: MIT
"""CSV files of numbers, in batches of rows.

A batch holds its numbers eight bytes each, a column at a time, and nothing of what was read before
it: what does not fit into memory passes through it.
"""

from __future__ import annotations

import array
import csv
import os
from typing import TYPE_CHECKING

import numpy

from ._errors import error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike
    from typing import IO, Literal, TypeAlias

    from ._errors import TensordError
    from ._types import NDArray

    Missing: TypeAlias = Literal["raise", "nan", "skip"] | float
    Columns: TypeAlias = dict[str, NDArray]
    _Batch: TypeAlias = list[array.array[float]]

#: what stands in a field for a value that is missing, beside nothing at all
MISSING = frozenset(("", "NA", "N/A", "NULL", "null", "None"))


def check_missing(missing: object) -> None:
    """Refuse what is no policy for missing values."""
    if not isinstance(missing, (int, float)) and missing not in ("raise", "nan", "skip"):
        raise error(
            "bad_arguments", f"missing is 'raise', 'nan', 'skip' or a number, not {missing!r}"
        )


def filled_with(missing: Missing) -> float:
    """What stands for a missing value; where none does, a NaN, too."""
    return float("nan") if isinstance(missing, str) else missing


class _Table:
    """What is read of a file: which columns, and what becomes of what is missing."""

    def __init__(
        self, where: str, header: list[str], columns: Sequence[str] | None, missing: Missing
    ) -> None:
        self.where = where
        self.header = header
        self.wanted = _find_columns(where, header, columns)
        self.policy = missing
        self.fill = filled_with(missing)

    def new_batch(self) -> _Batch:
        return [array.array("d") for _ in self.wanted]

    def named(self, batch: _Batch) -> Columns:
        """A dict of ndarrays over what was read."""
        return {
            self.header[column]: numpy.frombuffer(values, numpy.float64)
            for column, values in zip(self.wanted, batch)
        }

    def add(self, batch: _Batch, number: int, row: list[str]) -> None:
        """Add the numbers of a row, or nothing at all."""
        if len(row) != len(self.header):
            raise self._ragged(number, row)
        values = [self._value(number, column, row[column].strip()) for column in self.wanted]
        if None not in values:
            for column, value in zip(batch, values):
                column.append(value)  # type: ignore[arg-type]  # None is not among them

    def _value(self, number: int, column: int, field: str) -> float | None:
        """None: the row is left out."""
        place = f"{self.where}: row {number}, column {self.header[column]!r}"
        if field in MISSING:
            if self.policy == "raise":
                raise error(
                    "bad_file",
                    f"{place}: {field!r} is no number, but a missing value; missing= says what "
                    "becomes of those",
                )
            return None if self.policy == "skip" else self.fill
        try:
            if "_" not in field:  # Python's own would take it
                return float(field)
        except ValueError:
            pass
        raise error("bad_file", f"{place}: {field!r} is no number") from None

    def _ragged(self, number: int, row: list[str]) -> TensordError:
        n, wanted = len(row), len(self.header)
        if n < wanted:
            what = f"column {self.header[n]!r} is missing"
        else:
            what = f"{row[wanted]!r} follows column {self.header[-1]!r}"
        return error(
            "bad_file", f"{self.where}: row {number} has {n} fields, not {wanted}: {what}"
        )


def _find_columns(where: str, header: list[str], columns: Sequence[str] | None) -> list[int]:
    for name in header:
        if header.count(name) > 1:
            raise error("bad_file", f"{where}: row 1 has column {name!r} twice")
    if columns is None:
        return list(range(len(header)))
    for name in columns:
        if name not in header:
            raise error(
                "bad_file", f"{where}: row 1 has no column {name!r}, but {', '.join(header)}"
            )
    return [header.index(name) for name in columns]


def _batches(
    where: str,
    file: IO[str],
    columns: Sequence[str] | None,
    n_rows: int | None,
    missing: Missing,
    delimiter: str,
) -> Iterator[Columns]:
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise error("bad_file", f"{where}: there is no header in row 1")
        table = _Table(where, header, columns, missing)
        batch = table.new_batch()
        for row in reader:
            if row:
                table.add(batch, reader.line_num, row)
            if n_rows is not None and batch and len(batch[0]) == n_rows:
                yield table.named(batch)
                batch = table.new_batch()
        if n_rows is None or (batch and len(batch[0])):
            yield table.named(batch)
    except UnicodeDecodeError as problem:
        raise error("bad_file", f"{where} is no UTF-8 text: {problem}") from None
    except csv.Error as problem:
        raise error("bad_file", f"{where}: row {reader.line_num}: {problem}") from None


def _read(
    path: str | PathLike[str],
    columns: Sequence[str] | None,
    n_rows: int | None,
    missing: Missing,
    delimiter: str,
) -> Iterator[Columns]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        yield from _batches(os.fspath(path), file, columns, n_rows, missing, delimiter)


def _check(missing: object, delimiter: object) -> None:
    check_missing(missing)
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise error("bad_arguments", f"delimiter is one character, not {delimiter!r}")


def read_csv(
    path: str | PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    missing: Missing = "raise",
    delimiter: str = ",",
) -> Columns:
    """Columns of numbers from a CSV file whose first row names them.

    Parameters
    ----------
    path : str or path
        UTF-8, quoted as usual; blank lines are skipped.
    columns : sequence of str, optional
        Which columns, in this order; all, as they stand, where it is left out.
    missing : {"raise", "nan", "skip"} or float
        What becomes of fields that are empty or say NA, N/A, NULL, null or None: a FileError, a
        NaN, or this number; or the row is left out. Only wanted columns are looked at.
    delimiter : str
        Between fields: one character.

    Returns
    -------
    dict of str to numpy.ndarray
        One array of shape (rows,), float64, for each column.

    Raises
    ------
    FileError
        A row has not as many fields as there are names, a field of a wanted column is no number, a
        name is missing or stands twice, or the file is empty or no text. The message names row
        (from 1, the header being row 1) and column.
    OSError
        It cannot be read.

    See Also
    --------
    csv_batches : for files larger than memory.

    Examples
    --------
    >>> import os, tempfile, tensord
    >>> path = os.path.join(tempfile.mkdtemp(), "readings.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("hour,level\\n0,1.5\\n1,NA\\n")
    >>> tensord.read_csv(path, ["level"], missing="nan")
    {'level': array([1.5, nan])}
    """
    _check(missing, delimiter)
    (table,) = _read(path, columns, None, missing, delimiter)
    return table


def csv_batches(
    path: str | PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    n_rows: int = 100_000,
    missing: Missing = "raise",
    delimiter: str = ",",
) -> Iterator[Columns]:
    """The same as `read_csv` in batches: no more of the file is in memory than one of them.

    Parameters
    ----------
    path : str or path
    columns : sequence of str, optional
    n_rows : int
        So many rows in each batch but the last, which may have fewer. Of a file without rows there
        is no batch.
    missing : {"raise", "nan", "skip"} or float
    delimiter : str

    Returns
    -------
    iterator of dict of str to numpy.ndarray

    Examples
    --------
    >>> import os, tempfile, tensord
    >>> path = os.path.join(tempfile.mkdtemp(), "readings.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("hour,level\\n0,1.5\\n1,NA\\n2,2.5\\n3,3.0\\n")
    >>> for batch in tensord.csv_batches(path, n_rows=2, missing="skip"):
    ...     print(float(tensord.asarray(batch["level"]).sum()))
    4.0
    3.0
    """
    _check(missing, delimiter)
    if n_rows < 1:
        raise error("bad_arguments", f"a batch has 1 row or more, not {n_rows}")
    return _read(path, columns, n_rows, missing, delimiter)
