# SPDX-License-Identifier: MIT
"""Add up the JUnit files that the runners wrote: what failed and why, a line for each part and one
for all.

A ctest case that is a Check program counts as its checks. A part whose file is missing counts as
one failure: its runner died.
"""
import re
import sys
import xml.etree.ElementTree
from pathlib import Path

CHECK_SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)


def count_case(case):
    """(passed, failed, skipped) of one testcase element"""
    if case.find("skipped") is not None:
        return 0, 0, 1
    has_failed = case.find("failure") is not None or case.find("error") is not None
    output = case.findtext("system-out") or ""
    checks = [tuple(map(int, row)) for row in CHECK_SUMMARY.findall(output)]
    if not checks:
        return (0, 1, 0) if has_failed else (1, 0, 0)
    failed = sum(failures + errors for _, failures, errors in checks)
    passed = sum(total for total, _, _ in checks) - failed
    return passed, max(failed, int(has_failed)), 0


def problem_of(case):
    """What a failed testcase element says, some lines of it."""
    elements = [*case.findall("failure"), *case.findall("error")]
    said = "\n".join(element.get("message") or element.text or "" for element in elements)
    return "\n    ".join(line[:200] for line in said.strip().splitlines()[:20])


def main(directory, parts):
    total = [0, 0, 0]
    for part in parts:
        path = Path(directory, f"{part}.xml")
        try:
            cases = list(xml.etree.ElementTree.parse(path).iter("testcase"))
        except (OSError, xml.etree.ElementTree.ParseError) as error:
            print(f"{part}: no result ({error})")
            total[1] += 1
            continue
        for case in cases:
            if count_case(case)[1]:
                print(f"{part}: FAILED {case.get('name')}\n    {problem_of(case)}")
        counts = [sum(column) for column in zip(*map(count_case, cases))] or [0, 0, 0]
        total = [old + new for old, new in zip(total, counts)]
        note = f", {counts[2]} skipped" if counts[2] else ""
        print(f"{part}: {counts[0]} passed, {counts[1]} failed{note}")
    print(f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] or not any(total) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
