# SPDX-License-Identifier: MIT
"""How a name is given."""

from __future__ import annotations

_REPLACE, _EVICTABLE = 1, 2  # td_how of tensord.h


def how_named(replace: bool, evictable: bool) -> int:
    """As the native functions take it."""
    return (_REPLACE if replace else 0) | (_EVICTABLE if evictable else 0)
