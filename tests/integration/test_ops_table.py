# SPDX-License-Identifier: MIT
"""Every operation x dtype x shape x layout against numpy; the rows are in ops_*.py."""

import importlib
from pathlib import Path

import pytest
from ops_kit import Operands, run_row

FAMILIES = sorted(
    path.stem for path in Path(__file__).parent.glob("ops_*.py") if path.stem != "ops_kit"
)
ROWS = [
    row
    for family in FAMILIES
    for row in getattr(importlib.import_module(family), "ROWS", [])
]


@pytest.fixture(scope="module")
def operands(daemon):
    with daemon.connect() as client:
        yield Operands(client)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(operands, row):
    for dtype in row.dtypes:
        assert run_row(operands, row, dtype) > 0
