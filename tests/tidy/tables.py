# SPDX-License-Identifier: MIT
"""The tables of PROTOCOL.md, generated from the .def files.

    tests/tidy/tables.py   write them anew, between the "begin" and "end" marks

tests/tidy/run calls stale() to find tables that were not.
"""
import re
import sys
from pathlib import Path

STRING = r'"(?:[^"\\]|\\.)*"'


def rows(path, macro):
    """(comment, fields) of each row of a .def file; the comment is the last on a line of its own"""
    comment = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        heading = re.fullmatch(r"/\* (.*) \*/", line)
        row = re.fullmatch(rf"{macro}\((.*)\)", line)
        if heading and "SPDX" not in line:
            comment = heading[1]
        elif row:
            fields = re.findall(rf"\s*({STRING}|[^,]+)(?:,|$)", row[1])
            yield comment, [field[1:-1] if field[0] == '"' else field.strip() for field in fields]


def attribute_keys(contract):
    """TD_ATTR_X -> its key on the wire"""
    found = {"TD_ATTR_LOOP": ["steps", "captures", "body", "results"]}
    for _, fields in rows(contract / "attrs.def", "TD_ATTRIBUTE"):
        found["TD_ATTR_" + fields[0]] = [fields[1]]
    return found


def sentence(text):
    return text[0].upper() + text[1:] + ("" if text[-1] == "." else ".")


def cell(text):
    return text.replace("|", "\\|").replace("*", "\\*")


def grouped(all_rows, header, to_cells):
    """a Markdown table for each comment"""
    lines, last = [], None
    for comment, fields in all_rows:
        if comment != last:
            lines += ["", *([sentence(comment), ""] if comment else []), *header]
            last = comment
        lines.append("| " + " | ".join(to_cells(fields)) + " |")
    return "\n".join(lines[1:]) + "\n"


def ops_table(contract):
    keys = attribute_keys(contract)

    def to_cells(fields):
        _, name, _, low, high, results, attributes, may_fail, text = fields
        wanted = [f"`{key}`" for symbol in attributes.split(" | ") for key in keys.get(symbol, ())]
        n_args = low if low == high else "any" if high == "TD_ARGS_MAX" else f"{low} to {high}"
        n_results = results if results != "-1" else "see 7"
        fails = "yes" if may_fail == "1" else ""
        return [f"`{name}`", n_args, n_results, " ".join(wanted), fails, cell(text)]

    header = ["| op | arguments | results | attributes | can fail on data | |", "|---" * 6 + "|"]
    return grouped(rows(contract / "ops.def", "TD_OP"), header, to_cells)


def attrs_table(contract):
    forms = {
        "DTYPE": "str",
        "EXTENTS": "array of integers",
        "AXES": "array of axes",
        "BOOL": "bool",
        "INT": "integer",
        "FLOAT": "float",
        "NUMBER": "number",
        "RANGE": "array of three numbers",
    }

    def to_cells(fields):
        _, name, form, _, optional, text = fields
        return [f"`{name}`", forms[form], "yes" if optional == "1" else "", cell(text)]

    header = ["| key | form | may be left out | |", "|---" * 4 + "|"]
    return grouped(rows(contract / "attrs.def", "TD_ATTRIBUTE"), header, to_cells)


def errors_table(contract):
    def to_cells(fields):
        _, _, name, exception, text = fields
        return [f"`{name}`", f"`{exception}`", cell(text)]

    header = ["| code | Python exception | meaning |", "|---|---|---|"]
    return grouped(rows(contract / "errors.def", "TD_ERROR"), header, to_cells)


def filled(top):
    contract = top / "include" / "tensord"
    text = (contract / "PROTOCOL.md").read_text(encoding="utf-8")
    tables = {
        "attrs.def": attrs_table(contract),
        "ops.def": ops_table(contract),
        "errors.def": errors_table(contract),
    }
    for name, table in tables.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"PROTOCOL.md: no marks for {name}")
        text = before + begin + table + end + after
    return text


def stale(top):
    """one line per finding: tables not generated anew, methods that the text does not describe"""
    contract = top / "include" / "tensord"
    text = (contract / "PROTOCOL.md").read_text(encoding="utf-8")
    if text != filled(top):
        yield "include/tensord/PROTOCOL.md: stale tables; run tests/tidy/tables.py"
    for _, (_, name, _) in rows(contract / "methods.def", "TD_METHOD"):
        if f"| `{name}` |" not in text:
            yield f"include/tensord/PROTOCOL.md: the method {name} is not described"


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    (root / "include" / "tensord" / "PROTOCOL.md").write_text(filled(root), encoding="utf-8")
    sys.exit(0)
