# SPDX-License-Identifier: MIT
"""Timeouts, as arguments give them: in seconds."""

from __future__ import annotations

import math

from ._errors import error


def milliseconds(timeout: float | None, none: int) -> int:
    """Of a timeout in seconds; none: what None means."""
    if timeout is None:
        return none
    if not timeout >= 0:
        raise error("bad_arguments", f"a timeout is not negative, as {timeout!r} is")
    return math.ceil(min(timeout, 1e12) * 1000)
