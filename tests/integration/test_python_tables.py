# SPDX-License-Identifier: MIT
"""What notebooks and people see: arrays as HTML, and who holds the memory."""

import os
import re
from html.parser import HTMLParser

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain


class Cells(HTMLParser):
    """The cells of all tables, row by row; every element must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.words = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in ("p", "table", "thead", "tbody", "tr", "th", "td", "pre", "code")
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_matrix(client):
    x = client.put([[1.5, -2.0], [0.25, numpy.nan]]) * 2
    cells = Cells(x._repr_html_())
    assert cells.rows == [["", "0", "1"], ["0", "3.", "-4."], ["1", "0.5", "nan"]]
    assert "shape (2, 2), float64, 32 bytes" in cells.words


def test_vector_and_others(client):
    assert Cells(client.put([1, 2, 3])._repr_html_()).rows == [
        ["", "0", "1", "2"], ["0", "1", "2", "3"]
    ]
    for array in numpy.array(2.5), numpy.zeros((2, 0)), numpy.arange(8).reshape(2, 2, 2):
        cells = Cells(client.put(array)._repr_html_())
        assert cells.rows == [] and str(array.shape) in cells.words
    assert "2.5" in cells.words or "[[0, 1]," in cells.words


def test_a_large_one_is_a_corner(client):
    x = client.put(numpy.arange(1_000_000.0).reshape(1000, 1000))
    text = x._repr_html_()
    assert len(text) < 5000
    rows = Cells(text).rows
    assert len(rows) == 12 and {len(row) for row in rows} == {12}
    assert rows[0][1:6] == list("01234") and rows[0][6] == "…" and rows[0][-1] == "999"
    assert rows[-1][0] == "999" and rows[-1][-1] == "999999." and set(rows[6]) == {"…"}
    assert "7.6 MiB" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><b>&amp;', "größe"])
def test_names_are_escaped(client, name):
    x = client.put([1.0], name)
    cells = Cells(x._repr_html_())
    assert repr(name) in cells.words
    table = Cells(client.memory()._repr_html_())
    assert [row[0] for row in table.rows[1:2]] == [name]
    assert "<script" not in x._repr_html_() + client.memory()._repr_html_()


def test_what_has_no_value(client):
    unsealed = client.create((2,))
    assert Cells(unsealed._repr_html_()).words == repr(unsealed)
    unsealed.seal()
    seen = []
    tensord.jit(lambda x: seen.append(x._repr_html_()) or x)(client.put([1.0]))
    assert "traced" in Cells(seen[0]).words


def test_what_has_no_value_any_more(daemon, client):
    with daemon.connect() as other:
        x = other.put([1.0])
    assert Cells(x._repr_html_()).words == repr(x)


def test_memory(client, daemon):
    small = client.put(numpy.zeros(100), "small")
    large = client.put(numpy.zeros((500, 1000)), "large")
    shown = numpy.asarray(large)
    client.put(numpy.zeros(10), "nobodys")
    with daemon.connect(client_name="a plotter") as other:
        theirs = other.open("small")
        memory = client.memory()
        text = str(memory)
        assert [row["name"] for row in memory.tensors] == ["large", "small", "nobodys"]
        assert [row["nbytes"] for row in memory.tensors] == [4_000_000, 800, 80]
        assert {row["pid"] for row in memory.connections} == {os.getpid()}
        assert memory.memory["used"] >= 4_000_000
        lines = text.splitlines()
        assert re.search(r"tensord at \S+: \S+ MiB of \S+ .iB used \(.*live", lines[0])
        row = next(line for line in lines if line.startswith("large"))
        assert re.search(r"large +500x1000 +float64 +3\.8 MiB +\S+ \d+ \(maps\)", row)
        assert re.search(rf"small .*a plotter {os.getpid()} \(refers\)", text)
        assert re.search(r"nobodys .* -$", text, re.MULTILINE)
        assert len(Cells(memory._repr_html_()).rows) == 4 + 3
        del theirs
    del small, shown
    assert len(client.memory(limit=1).tensors) == 1
    assert "and 2 more" in str(client.memory(limit=1))
    with pytest.raises(tensord.ArgumentError, match="0 or more"):
        client.memory(limit=-1)


@pytest.mark.kill
def test_lost_names_are_shown_and_deleted(own_daemon):
    with own_daemon.connect() as client:
        client.put(numpy.zeros((500, 1000)), "large")
        client.put([1.0], "small")
    own_daemon.lose_segments()
    with own_daemon.connect() as client:
        row, small = client.list()
        assert row == ("large", (500, 1000), numpy.dtype("float64"), 4_000_000, None,
                       "memory_missing")
        assert row.lost and small.lost is None and small.id == client.open("small").id
        with pytest.raises(tensord.Lost):
            client.open(row.name)
        memory = client.memory()
        assert [(row["name"], row["lost"]) for row in memory.tensors] == [
            ("small", None), ("large", "memory_missing")]
        assert (memory.n_named, memory.n_lost) == (2, 1)
        assert "1 of the names is lost" in str(memory).splitlines()[0]
        assert re.search(r"large +500x1000 +float64 +3\.8 MiB +lost: memory_missing$", str(memory),
                         re.MULTILINE)
        assert "lost: memory_missing" in Cells(memory._repr_html_()).words
        client.delete(row.name)
        assert client.list() == [small] and "lost" not in str(client.memory())


def test_memory_of_nothing(client):
    assert client.memory().tensors == [] and "bytes" in str(client.memory())
    assert len(client.memory().connections) == 1
