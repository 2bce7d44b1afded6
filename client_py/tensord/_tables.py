# SPDX-License-Identifier: MIT
"""Tables of text, for terminals and for notebooks; and sizes for people."""

from __future__ import annotations

import html as _html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

escape = _html.escape
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(n_bytes: float) -> str:
    """A number of bytes for people: "24 bytes", "1.5 MiB"."""
    unit = 0
    while n_bytes >= 1024 and unit < len(_UNITS) - 1:
        n_bytes /= 1024
        unit += 1
    return f"{n_bytes} bytes" if unit == 0 else f"{n_bytes:.1f} {_UNITS[unit]}"


def text(rows: Sequence[Sequence[str]]) -> str:
    """Rows of str under their heads, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def html(rows: Sequence[Sequence[str]]) -> str:
    """The same for a notebook; what stands in cells is shown as it is."""
    head, *body = (["".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)]
                   for tag, row in zip(["th"] + ["td"] * (len(rows) - 1), rows))
    lines = "".join(f"<tr>{row[0]}</tr>" for row in body)
    return f"<table><thead><tr>{head[0]}</tr></thead><tbody>{lines}</tbody></table>"
