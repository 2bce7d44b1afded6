# SPDX-License-Identifier: MIT
"""The version of the package is that of the tree: what project() in its CMakeLists.txt says."""

import re
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def dynamic_metadata(settings, project):
    """What scikit-build-core adds to the table [project] of pyproject.toml.

    Raises
    ------
    RuntimeError
        This directory is not in a clone: there is nothing to build daemon and extension from.
    """
    try:
        text = (TREE / "CMakeLists.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    match = re.search(r"^project\(tensord VERSION ([0-9.]+)", text, re.MULTILINE)
    if not match:
        raise RuntimeError(
            f"tensord is built from a whole clone: beside client_py there must be server, client_c "
            f"and include, which are not in {TREE}. Get a clone and say: pip install ./client_py"
        )
    return {"version": match[1]}
