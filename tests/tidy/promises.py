# SPDX-License-Identifier: MIT
"""Count, for each of tensord's promises, the tests that would fail if it did not hold.

    promises.py RESULTS        the directory where the runners wrote their JUnit files

Reads tests/promises.toml, and prints for each promise how many tests passed and what its rows of
tests/crash and tests/fuzz did. Fails if one failed, was left out, or is a name that nothing has.
"""
import sys
import tomllib
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path

from summary import count_case

PROMISES = Path(__file__).resolve().parents[1] / "promises.toml"


def group_of(part, case):
    """What promises.toml calls the program, file, row or target of a testcase element."""
    if part == "integration":
        return case.get("classname").split(".")[-1]
    return case.get("name")


def read(results, part):
    """{program, file, row or target: [passed, failed, what it told]}"""
    found = {}
    for case in xml.etree.ElementTree.parse(Path(results, f"{part}.xml")).iter("testcase"):
        counts = found.setdefault(group_of(part, case), [0, 0, ""])
        passed, failed, skipped = count_case(case)
        counts[0] += passed
        counts[1] += failed + (skipped if part == "crash" else 0)
        counts[2] = case.findtext("system-out") or ""
    return found


def main(results):
    parts = {part: read(results, part) for part in ("unit", "integration", "crash", "fuzz")}
    promises = tomllib.loads(PROMISES.read_text())["promise"]
    is_kept = True
    for number, promise in enumerate(promises, 1):
        counts, told, broken = Counter(), [], []
        for part, groups in parts.items():
            for name in promise[part]:
                passed, failed, said = groups.get(name, (0, 1, ""))
                counts[part] += passed
                if failed or not passed:
                    broken.append(f"{part} {name}")
                elif part in ("crash", "fuzz"):
                    told.append(f"{name} ({said})")
        print(f"{number}. {promise['says']}: {counts['unit']} unit and {counts['integration']} "
              f"integration tests; {', '.join(told)}")
        if broken:
            is_kept = False
            print(f"   NOT SHOWN: {', '.join(broken)} failed, or is not there")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
