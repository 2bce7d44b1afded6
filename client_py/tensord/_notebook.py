# SPDX-License-Identifier: MIT
"""How notebooks show arrays: what they are, and their values, a corner if they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from . import _tables
from ._array import Array, is_traced

if TYPE_CHECKING:
    from ._tensor import Tensor
    from ._types import NDArray

_ROWS, _COLUMNS = 10, 10  # of a larger table, a few of the first and of the last ones
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def _picked(extent: int, most: int) -> list[int | None]:
    """Indices to be shown of an axis; None stands for those left out."""
    if extent <= most:
        return list(range(extent))
    first = most // 2
    return [*range(first), None, *range(extent - (most - first), extent)]


def _grid(values: NDArray) -> list[list[str]]:
    """The rows of a table of a matrix's values, the first its head."""
    rows, columns = _picked(values.shape[0], _ROWS), _picked(values.shape[1], _COLUMNS)
    grid = [["", *(_ELLIPSIS if j is None else str(j) for j in columns)]]
    for i in rows:
        cells = [
            _ELLIPSIS if i is None or j is None else _written(values[i, j]) for j in columns
        ]
        grid.append([_ELLIPSIS if i is None else str(i), *cells])
    return grid


def _written(value: NDArray) -> str:
    return numpy.array2string(value, separator=", ")


def _is_complete(tensor: Tensor) -> bool:
    """Has it values to be seen?"""
    return tensor.is_sealed or tensor.is_mutable


def _repr_html(self: Array) -> str:
    """For notebooks: a table of the values, under shape, dtype, name and bytes."""
    tensor = self._resident
    is_shown = _is_complete(tensor) if tensor is not None else not is_traced(self)
    if not is_shown or (self._client is not None and self._client.is_closed):
        return f"<code>{_tables.escape(repr(self))}</code>"
    tensor = self._tensor()
    what = [f"shape {self.shape}", str(self.dtype), _tables.size(self.nbytes)]
    if tensor.name is not None:
        what.insert(0, repr(tensor.name))
    title = f"<p>tensord.Array: {_tables.escape(', '.join(what))}</p>"
    values = tensor._read()
    if 1 <= values.ndim <= 2 and values.size:
        return title + _tables.html(_grid(values.reshape(1, -1) if values.ndim == 1 else values))
    return f"{title}<pre>{_tables.escape(numpy.array2string(values, separator=', '))}</pre>"


setattr(Array, "_repr_html_", _repr_html)
