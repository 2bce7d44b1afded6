# SPDX-License-Identifier: MIT
"""Every operation x dtype x shape x layout against numpy; the rows are in ops_*.py."""

import importlib
import re
from pathlib import Path

import pytest
from ops_kit import Operands, run_row

pytestmark = pytest.mark.values

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


# Operations without a row, and the file that tests them.
ELSEWHERE = {
    "random_uniform": "test_random.py",  # numpy draws other numbers
    "random_normal": "test_random.py",
    "random_integers": "test_random.py",
    "random_permutation": "test_random.py",
    "user.*": "test_user_kernels.py",  # what it does is the kernel's own
    "loop": "test_python_programs.py",  # a block of nodes, which numpy has not
    "while": "test_python_while.py",
}


def test_every_operation_has_a_row():
    here = Path(__file__).parent
    table = (here.parents[1] / "include/tensord/ops.def").read_text()
    ops = set(re.findall(r'^TD_OP\(\w+, "([^"]+)"', table, re.MULTILINE))
    assert len(ops) > 100
    have_rows = {row.op or row.name.rpartition(".")[2] for row in ROWS}
    assert ops - have_rows == set(ELSEWHERE)
    for op, file in ELSEWHERE.items():
        stem = op.rstrip("*.").removeprefix("random_")
        assert re.search(rf"\b{stem}\b", (here / file).read_text()), f"{file} has no {op}"
