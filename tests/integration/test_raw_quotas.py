# SPDX-License-Identifier: MIT
"""Quotas: what one uid may take, and what it leaves for others. Takes root, to be somebody else."""
import contextlib
import os

import pytest

from raw import Raw, Refused, eventually
from users import ALICE, BOB, connect_as, delete_all, open_to_all, takes_root

pytestmark = takes_root

MIB = 1 << 20
LIMIT = 64 * MIB


@pytest.fixture
def start(make_own_daemon):
    started = []

    def start(*options, mode="0666", memory="64M"):
        daemon = make_own_daemon("--memory", memory, "--socket-mode", mode, *options)
        started.append(open_to_all(daemon))
        return daemon

    yield start
    for daemon in started:
        delete_all(daemon)


def row(raw, uid=None):
    rows = raw.call("stat")["users"]
    return rows[0] if uid is None else next(r for r in rows if r["uid"] == uid)


def create(raw, handle, n_bytes):
    made = raw.call("create", handle=handle, dtype="uint8", shape=[n_bytes])
    os.close(raw.fds.popleft())
    return made


def values(raw, name):
    handle = raw.handle()
    data = raw.call("open", name=name, handle=handle)["data"]
    raw.call("release", handles=[handle])
    return list(memoryview(data).cast("d"))


def until_refused(function, n_max=1000):
    """function(0), function(1), ...: how many went well, and the refusal that ended it"""
    for n in range(n_max):
        try:
            function(n)
        except Refused as refused:
            return n, refused
    raise AssertionError("never refused")


def fill(raw, n_bytes):
    """As many tensors of so many bytes as it gets."""
    return until_refused(lambda n: create(raw, n + 1, n_bytes))


def conserved(raw):
    stat = raw.call("stat")
    memory = stat["memory"]
    assert sum(user["bytes"] for user in stat["users"]) == memory["used"]
    assert memory["used"] == sum(memory[key] for key in ("live", "idle", "parked", "held",
                                                         "catalog", "heap"))
    assert sum(user["tensors"] for user in stat["users"]) == stat["tensors"]
    assert sum(user["connections"] for user in stat["users"]) == stat["connections"]


def test_a_greedy_user_leaves_shares(start):
    """one takes three quarters of what is free, the next three quarters of the rest"""
    daemon = start()
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob, \
            Raw(daemon.path) as root:
        n, refused = fill(alice, MIB)
        assert refused.code == "quota_exceeded"
        assert refused.data["used"] == row(alice)["bytes"] <= LIMIT * 3 // 4
        assert refused.data["asked"] >= MIB
        assert refused.data["used"] + refused.data["asked"] > refused.data["limit"]
        assert f"uid {ALICE}" in refused.message
        assert n >= 40
        n, refused = fill(bob, MIB)
        assert refused.code == "quota_exceeded"
        assert 8 <= n <= 12
        create(root, 1, MIB)
        root.put([1.0], handle=2)
        conserved(root)
        # what one gave back, and what lies idle of it, is anybody's
        alice.call("release", handles=list(range(1, 100)))
        alice.close()
        create(bob, 100, 12 * MIB)
        conserved(root)


def test_alone_a_user_gets_everything(start):
    daemon = start(mode="0600")
    with Raw(daemon.path) as root:
        n, refused = fill(root, MIB)
        assert refused.code == "memory_limit"
        assert n > 55
        assert refused.data["limit"] == LIMIT


def test_caps(start):
    daemon = start("--quota-bytes", "8M", "--quota-tensors", "20", "--quota-connections", "3",
                   "--quota-leases", "2", "--quota-records", "4K", mode="0600")
    with Raw(daemon.path) as raw:
        limits = row(raw)["limits"]
        assert (limits["bytes"], limits["tensors"]) == (8 * MIB, 20)
        n, refused = fill(raw, MIB)
        assert (refused.code, refused.data["limit"]) == ("quota_exceeded", 8 * MIB)
        assert 5 <= n <= 7
        for i in range(20 - n):
            raw.put([i], handle=1000 + i)
        refused = raw.refusal("put", dtype="float64", shape=[], data=bytes(8), handle=1)
        assert refused.code == "handle_taken"
        refused = raw.refusal("put", dtype="float64", shape=[], data=bytes(8), handle=2000)
        assert refused.code == "too_many"
        assert refused.data == {"what": "tensors", "asked": 1, "used": 20, "limit": 20}
        ones = ["ones", [], {"shape": [2], "dtype": "int8"}]
        refused = raw.refusal("run", inputs=[], nodes=[ones],
                              outputs=[{"value": 0, "handle": 2000}])
        assert (refused.code, refused.data["what"]) == ("too_many", "tensors")
        # results without a handle are no tensors
        raw.run([ones])
        assert row(raw)["tensors"] == 20
        raw.call("release", handles=[1000 + i for i in range(10)])
        assert row(raw)["tensors"] == 10


def test_names_take_records(start):
    daemon = start("--quota-records", "4K")
    with Raw(daemon.path) as raw:
        n, refused = until_refused(lambda i: raw.put([i], name=f"name {i}"))
        assert (refused.code, refused.data["what"]) == ("too_many", "records")
        assert 10 < n < 50
        assert row(raw)["names"] == n
        assert row(raw)["records"] == refused.data["used"] <= 4096
        raw.call("delete", name="name 0")
        raw.put([1], name="name 0")
        used = row(raw)["records"]
    daemon.restart9()
    with Raw(daemon.path) as raw:
        assert row(raw)["records"] == used


def test_at_the_share_of_records_a_name_is_replaced(start):
    """by what takes as much, or less; what takes more asks for the difference"""
    daemon = start("--quota-records", "4K")
    with Raw(daemon.path) as raw:
        n, _ = until_refused(lambda i: raw.put([i, i], name=f"name {i}"))
        used = row(raw)["records"]
        for i in range(n):
            raw.put([i, 7], name=f"name {i}", replace=True)
            handle = raw.put([i, 8])
            raw.call("replace", handle=handle, name=f"name {i}")
            raw.call("release", handles=[handle])
        assert row(raw)["records"] == used
        more = 8 * ((4096 - used) // 8 + 2)
        refused = raw.refusal("put", dtype="int8", shape=[16 + more], data=bytes(16 + more),
                              name="name 1", replace=True)
        assert refused.data["what"] == "records"
        assert refused.data["asked"] <= more + 16 and refused.data["used"] == used
        assert values(raw, "name 1") == [1, 8]
        raw.call("put", dtype="int8", shape=[0], data=b"", name="name 1", replace=True)
        assert row(raw)["records"] <= used - 16
        raw.put([1, 9], name="name 1", replace=True)
        assert row(raw)["records"] == used


def test_at_its_share_a_small_tensor_is_put_in_the_place_of_one(start):
    """that goes by that, at once"""
    daemon = start("--quota-tensors", "4", "--quota-bytes", "8K")
    with connect_as(ALICE, daemon.path) as raw:
        for i in range(2):
            raw.put([1.0] * 512, name=f"x{i}")
        assert raw.refusal("put", dtype="int8", shape=[1], data=b"1",
                           handle=99).code == "quota_exceeded"
        for i in range(2):
            raw.put([2.0] * 512, name=f"x{i}", replace=True)
        raw.call("put", dtype="int8", shape=[0], data=b"", name="y0")
        raw.call("put", dtype="int8", shape=[0], data=b"", name="y1")
        assert raw.refusal("put", dtype="int8", shape=[0], data=b"", handle=99).code == "too_many"
        raw.put([3.0] * 512, name="x0", replace=True)
        assert values(raw, "x0") == [3.0] * 512
        used = row(raw)
        assert (used["tensors"], used["bytes"]) == (4, 8192)
        # a handle keeps the one before
        raw.call("open", name="x1", handle=77)
        assert raw.refusal("put", dtype="float64", shape=[1], data=bytes(8), name="x1",
                           replace=True).code == "too_many"
        assert values(raw, "x1") == [2.0] * 512
        assert row(raw) == used | {key: row(raw)[key] for key in ("workspace", "worker_ms")}


def test_connections_beyond_the_share_are_told(start):
    """and others connect all the same"""
    daemon = start("--max-connections", "16")
    with contextlib.ExitStack() as stack:
        crowd = []
        for _ in range(20):
            raw = stack.enter_context(connect_as(ALICE, daemon.path))
            if len(crowd) < 12:
                assert raw.call("ping") == "pong"
                crowd.append(raw)
                continue
            [[code, message]], is_closed = raw.farewell()
            assert (code, is_closed) == ("too_many", True)
            assert "connections" in message and str(ALICE) in message
        bob = stack.enter_context(connect_as(BOB, daemon.path))
        assert bob.call("ping") == "pong"
        crowd.pop().close()
        root = stack.enter_context(Raw(daemon.path))
        eventually(lambda: row(root, ALICE)["connections"] == 11, what="one gone")


def test_memory_of_the_daemon_itself_is_counted(start):
    """handles of one tensor, and definitions, are refused before they hurt"""
    daemon = start("--quota-workspace", "1M", mode="0600")
    with Raw(daemon.path) as raw:
        raw.put([1.0], name="x")
        n, refused = until_refused(lambda i: raw.call("open", name="x", handle=i + 1), 100000)
        assert (refused.code, refused.data["what"]) == ("too_many", "workspace")
        assert refused.data["limit"] == MIB
        assert 1000 < n < 10000
        # what gives back is never refused
        for first in range(1, n + 1, 4096):
            raw.call("release", handles=list(range(first, min(first + 4096, n + 1))))
        assert row(raw)["workspace"] < MIB // 4
        raw.call("open", name="x", handle=1)


def test_requests_under_way_are_bounded(start):
    daemon = start("--quota-requests", "4", mode="0600")
    with Raw(daemon.path) as raw, Raw(daemon.path) as other:
        work = {"inputs": [], "nodes": [["ones", [], {"shape": [1200, 1200], "dtype": "float64"}],
                                        ["matmul", [0, 0], {}], ["sum", [1], {}]],
                "outputs": [{"value": 2, "handle": 1}]}
        first = raw.send("run", work)
        sums = [raw.send("run", {"inputs": [{"handle": 1}], "nodes": [["sum", [0], {}]],
                                 "outputs": [{"value": 1}]}) for _ in range(8)]
        errors = {}
        while len(errors) < 9:
            _, msgid, errors[msgid], _ = raw.receive()
        assert errors[first] is None
        refused = [errors[msgid] for msgid in sums if errors[msgid]]
        assert len(refused) == 5
        for error in refused:
            assert error["code"] == "too_many"
            assert error["data"] == {"what": "requests", "asked": 1, "used": 4, "limit": 4}
        assert other.call("ping") == "pong"
        assert row(other)["requests"] == 1


def test_worker_time_is_told(start):
    daemon = start()
    with connect_as(ALICE, daemon.path) as alice, Raw(daemon.path) as root:
        for _ in range(3):
            alice.run([["ones", [], {"shape": [700, 700], "dtype": "float64"}],
                       ["matmul", [0, 0], {}], ["sum", [1], {}]])
        assert row(alice)["worker_ms"] >= 1
        assert row(root, 0)["worker_ms"] == 0
        assert row(root, ALICE)["worker_ms"] == row(alice)["worker_ms"]
