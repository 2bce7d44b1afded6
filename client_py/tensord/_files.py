# SPDX-License-Identifier: MIT
"""Files: ``.npy`` and CSV."""

import csv
import os

import numpy

from ._errors import error


def open_npy(path):
    """The array of an ``.npy`` file, mapped; see `Client.load`."""
    with open(path, "rb") as file:
        magic = file.read(len(numpy.lib.format.MAGIC_PREFIX))
    if magic != numpy.lib.format.MAGIC_PREFIX:
        raise error("bad_file", f"{os.fspath(path)} is no .npy file")
    try:
        return numpy.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as problem:
        raise error("bad_file", f"{os.fspath(path)}: {problem}") from None


def read_csv(path, columns=None):
    """Columns of numbers from a CSV file whose first row names them.

    Parameters
    ----------
    path : str or path
        UTF-8, comma-separated, quoted as usual; blank lines are skipped.
    columns : sequence of str, optional
        Which columns, in this order; all, as they stand, where it is left out.

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
    """
    where = os.fspath(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if not header:
                raise error("bad_file", f"{where}: there is no header in row 1")
            wanted = _find_columns(where, header, columns)
            rows = [_read_row(where, reader.line_num, header, wanted, row) for row in reader if row]
    except UnicodeDecodeError as problem:
        raise error("bad_file", f"{where} is no UTF-8 text: {problem}") from None
    except csv.Error as problem:
        raise error("bad_file", f"{where}: row {reader.line_num}: {problem}") from None
    values = numpy.array(rows, dtype=numpy.float64).reshape(len(rows), len(wanted))
    return {
        header[column]: numpy.ascontiguousarray(values[:, i]) for i, column in enumerate(wanted)
    }


def _find_columns(where, header, columns):
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


def _read_row(where, number, header, wanted, row):
    if len(row) < len(header):
        raise error(
            "bad_file",
            f"{where}: row {number} has {len(row)} fields, not {len(header)}: "
            f"column {header[len(row)]!r} is missing",
        )
    if len(row) > len(header):
        raise error(
            "bad_file",
            f"{where}: row {number} has {len(row)} fields, not {len(header)}: "
            f"{row[len(header)]!r} follows column {header[-1]!r}",
        )
    values = []
    for column in wanted:
        try:
            values.append(float(row[column]))
        except ValueError:
            raise error(
                "bad_file",
                f"{where}: row {number}, column {header[column]!r}: "
                f"{row[column]!r} is no number",
            ) from None
    return values
