# SPDX-License-Identifier: MIT
"""Two uids at one daemon: each has its own names, ids, memory and share of descriptors. Takes root,
to be somebody else."""
import contextlib
import os
import resource
import struct

import pytest

from raw import Raw, eventually, leave_endless
from users import connect_as, takes_root

NOBODY = 65534
N_OPEN = 40

pytestmark = takes_root


@pytest.fixture
def few_descriptors():
    """What this process starts may open 512 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def daemon(few_descriptors, open_daemon):
    return open_daemon


def value(raw, name):
    total = raw.run([["sum", [0], {}]], [{"name": name}])[0]
    return struct.unpack("d", total["data"])[0]


def test_names_and_ids_are_of_one_user(daemon):
    with Raw(daemon.path) as root, connect_as(NOBODY, daemon.path) as nobody:
        assert root.call("hello", version=1)["uid"] == 0
        assert nobody.call("hello", version=1)["uid"] == NOBODY
        root.put([1], name="x")
        assert nobody.refusal("open", name="x", handle=1).code == "not_found"
        assert nobody.refusal("delete", name="x").code == "not_found"
        nobody.put([2], name="x")
        root.put([3], name="only root's")
        assert (value(root, "x"), value(nobody, "x")) == (1, 2)
        assert [row["name"] for row in nobody.call("list")["tensors"]] == ["x"]
        mine = root.call("open", name="x", handle=1)
        assert nobody.refusal("open", id=mine["id"], handle=1).code == "not_found"
        assert nobody.refusal("run", inputs=[{"id": mine["id"]}], nodes=[["sum", [0], {}]],
                              outputs=[{"value": 1}]).code == "not_found"
        nobody.call("delete", name="x")
        assert value(root, "x") == 1


def test_figures_of_others_are_not_shown(daemon):
    with Raw(daemon.path) as root, connect_as(NOBODY, daemon.path) as nobody:
        root.put([1], name="x")
        nobody.put([2, 3], name="y")
        assert {row["uid"] for row in root.call("stat")["users"]} == {0, NOBODY}
        rows = nobody.call("stat")["users"]
        assert [row["uid"] for row in rows] == [NOBODY]
        assert rows[0]["names"] == rows[0]["connections"] == 1


def test_memory_is_not_passed_on_to_another_user(daemon):
    """what one user freed is warm for that user alone"""
    shape = {"dtype": "bool", "shape": [3 << 20]}
    with connect_as(NOBODY, daemon.path) as nobody, Raw(daemon.path) as root:
        made = nobody.call("create", handle=1, **shape)
        os.pwrite(nobody.fds[0], b"\1", made["offset"])
        nobody.call("seal", handle=1)
        os.close(nobody.fds.popleft())
        nobody.call("release", handles=[1])
        nobody.call("unmap", segments=[made["segment"]])
        eventually(lambda: root.call("stat")["memory"]["idle"] >= 3 << 20, what="idle")
        other = root.call("create", handle=1, **shape)
        assert other["segment"] != made["segment"]
        assert os.pread(root.fds[0], 1, other["offset"]) == b"\0"
        again = nobody.call("create", handle=2, **shape)
        assert again["segment"] == made["segment"]


def test_a_user_who_reads_no_descriptors_does_not_stop_another(daemon):
    """With few descriptors to go round, one user leaves as many unread as the daemon lets it."""
    with contextlib.ExitStack() as stack:
        hostile = [stack.enter_context(connect_as(NOBODY, daemon.path)) for _ in range(12)]
        for i in range(N_OPEN):
            hostile[0].run([["ones", [], {"shape": [1000], "dtype": "float64"}]],
                           outputs=[{"value": 0, "name": f"segment {i}"}])
        with Raw(daemon.path) as root:
            wanted = root.call("stat")["requests"] + len(hostile) * N_OPEN
            for raw in hostile:
                for i in range(N_OPEN):
                    raw.send("open", name=f"segment {i}", handle=i + 1, map=True)
            eventually(lambda: root.call("stat")["requests"] >= wanted, what="all of it read")
            for i in range(N_OPEN):
                root.run([["ones", [], {"shape": [1000], "dtype": "float64"}]],
                         outputs=[{"value": 0, "handle": i + 1, "map": True}])
                assert len(root.fds) == i + 1


def left(raw):
    return raw.call("holders")["left"]


def test_who_may_end_what_its_connection_left(daemon):
    """its uid and administrators: a loop without end would keep name, memory and threads"""
    with Raw(daemon.path) as root, connect_as(NOBODY, daemon.path) as nobody, \
            connect_as(NOBODY - 1, daemon.path) as other:
        assert left(root) == []
        leave_endless(connect_as(NOBODY, daemon.path), "a")
        [row] = eventually(lambda: left(nobody), what="it is left")
        assert (row["uid"], row["method"], row["names"]) == (NOBODY, "run", ["a"])
        assert left(other) == []
        assert other.call("cancel", request=row["request"]) is False
        assert nobody.call("cancel", request=row["request"] + 1) is False
        assert nobody.call("holders", limit=1)["left"][0]["left_ms"] >= row["left_ms"]
        assert nobody.refusal("put", dtype="int8", shape=[0], data=b"",
                              name="a").code == "name_taken"
        assert nobody.call("cancel", request=row["request"]) is True
        eventually(lambda: root.call("stat")["jobs"] == 0, what="it ended")
        assert left(nobody) == []
        nobody.put([1], name="a")

        leave_endless(connect_as(NOBODY, daemon.path), "b")
        [row] = eventually(lambda: left(root), what="it is left")
        assert root.call("cancel", request=row["request"]) is True
        eventually(lambda: root.call("stat")["jobs"] == 0, what="it ended")
        assert nobody.refusal("cancel", request=0).code == "bad_arguments"
        assert nobody.refusal("cancel", request="1").code == "bad_arguments"
