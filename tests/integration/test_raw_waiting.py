# SPDX-License-Identifier: MIT
"""wait, lend, snapshot and holders: what is there later, longer, as it is now, and with whom."""
import os
import struct

import msgpack
import pytest

from raw import Raw, Refused, eventually
from users import ALICE, BOB, connect_as, takes_root

N = 1000


@pytest.fixture
def daemon(open_daemon):
    return open_daemon


@pytest.fixture
def raw(daemon):
    with Raw(daemon.path) as raw:
        yield raw


@pytest.fixture
def other(daemon):
    with Raw(daemon.path) as raw:
        yield raw


def pack(msgid, method, **keys):
    return msgpack.packb([0, msgid, method, [keys]])


def total(raw, **ref):
    return struct.unpack("d", raw.run([["sum", [0], {}]], [ref])[0]["data"])[0]


def ones(raw, n=N, **output):
    return raw.run([["ones", [], {"shape": [n], "dtype": "float64"}]],
                   outputs=[{"value": 0, **output}])[0]


def mutable(raw, value, name=None, n=N):
    """A mutable tensor of n times the value: its handle, and a descriptor to write by."""
    handle = raw.handle()
    made = raw.call("create", handle=handle, dtype="float64", shape=[n], mutable=True,
                    **({"name": name} if name else {}))
    os.pwrite(raw.fds[0], struct.pack("d", value) * n, made["offset"])
    raw.call("seal", handle=handle)
    return handle, raw.fds.popleft()


# ---- wait ----


def test_a_name_that_is_there_is_opened_at_once(raw):
    raw.put([1, 2], name="x")
    for wait_ms in (0, 60000):
        handle = raw.handle()
        assert raw.call("wait", name="x", wait_ms=wait_ms, handle=handle)["name"] == "x"
        assert total(raw, handle=handle) == 3
    assert raw.call("wait", name="x", wait_ms=0)["shape"] == [2]
    mapped = raw.call("wait", name="x", wait_ms=0, handle=raw.handle(), map=True)
    assert len(mapped["fds"]) == len(raw.fds) == 1
    assert raw.refusal("wait", name="x", wait_ms=0, map=True).code == "bad_arguments"
    assert raw.refusal("wait", name="x").code == "bad_arguments"


def commit_put(raw):
    raw.put([1, 2], name="x")


def commit_run(raw):
    raw.run([["full", [], {"shape": [2], "dtype": "float64", "value": 1.5}]],
            outputs=[{"value": 0, "name": "x"}])


def commit_name(raw):
    raw.call("name", handle=raw.put([1, 2]), name="x")


def commit_seal(raw):
    raw.call("create", handle=900, dtype="float64", shape=[2], name="x")
    os.pwrite(raw.fds[0], struct.pack("2d", 1, 2), 4096)
    raw.call("seal", handle=900)


def commit_snapshot(raw):
    raw.call("snapshot", handle=raw.put([1, 2]), **{"as": "x"})


@pytest.mark.parametrize("commit", [commit_put, commit_run, commit_name, commit_seal,
                                    commit_snapshot])
def test_whoever_waits_gets_it_when_it_is_named(raw, other, commit):
    waiting = [other.send("wait", name="x", wait_ms=60000, handle=i + 1) for i in range(3)]
    summed = other.send("run", inputs=[{"handle": 2}], nodes=[["sum", [0], {}]],
                        outputs=[{"value": 1}])
    other.call("ping")  # nothing else was answered
    commit(raw)
    assert [other.wait(msgid)["name"] for msgid in waiting] == ["x"] * 3
    assert struct.unpack("d", other.wait(summed)["outputs"][0]["data"]) == (3,)


def test_time_cancelling_and_the_end_of_the_connection_end_it(daemon, raw, other):
    assert raw.refusal("wait", name="x", wait_ms=0).code == "deadline_exceeded"
    late = raw.refusal("wait", name="x", wait_ms=30)
    assert late.code == "deadline_exceeded" and "30 ms" in late.message
    one, two = (raw.send("wait", name="x", wait_ms=60000, handle=i) for i in (1, 2))
    raw.notify("cancel", msgid=one)
    with pytest.raises(Refused, match="cancelled"):
        raw.wait(one)
    raw.notify("cancel", handle=2)
    with pytest.raises(Refused, match="cancelled"):
        raw.wait(two)
    with Raw(daemon.path) as leaving:
        leaving.send("wait", name="x", wait_ms=2**63, handle=1)
        leaving.send("run", inputs=[{"handle": 1}], nodes=[["sum", [0], {}]],
                     outputs=[{"value": 1, "name": "y"}])
        leaving.call("ping")
    eventually(lambda: raw.call("stat")["connections"] == 2, what="end of the connection")
    raw.put([1], name="x")
    assert raw.refusal("open", name="y", handle=9).code == "not_found"


def test_a_value_that_is_gone_again_is_waited_for_anew(raw, other):
    waiting = other.send("wait", name="x", wait_ms=60000, handle=1)
    other.call("ping")
    # both in one turn of the loop, or not: what comes is a value that the name had
    value = {"name": "x", "dtype": "float64", "shape": [1]}
    raw.send_bytes(b"".join((
        pack(1, "put", data=struct.pack("d", 1), **value),
        pack(2, "delete", name="x"),
        pack(3, "put", data=struct.pack("d", 2), **value))))
    for _ in range(3):
        assert raw.receive()[2] is None
    other.wait(waiting)
    assert total(other, handle=1) in (1, 2)


def test_so_many_wait_and_no_more(raw):
    for i in range(1024):
        raw.send("wait", name=f"x{i % 7}", wait_ms=60000)
    assert raw.refusal("wait", name="x", wait_ms=60000).code == "too_many"
    put = raw.send("put", name="x3", dtype="float64", shape=[1], data=bytes(8))
    n_woken = 0
    while (message := raw.receive())[1] != put:
        assert message[3]["name"] == "x3"
        n_woken += 1
    assert n_woken == 0  # the put is answered, then those that it wakes are
    for _ in range(1024 // 7):
        assert raw.receive()[3]["name"] == "x3"
    assert raw.refusal("wait", name="x", wait_ms=1).code == "deadline_exceeded"


@takes_root
def test_another_user_waits_until_it_is_shared(daemon):
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob:
        waiting = bob.send("wait", name="x", owner=ALICE, wait_ms=60000, handle=1)
        mine = alice.send("wait", name="x", owner=ALICE, wait_ms=60000, handle=900)
        bob.call("ping")
        put = alice.send("put", name="x", dtype="float64", shape=[1], data=struct.pack("d", 5))
        answers = {alice.receive()[1] for _ in range(2)}
        assert answers == {mine, put}
        bob.call("ping")  # not yet
        alice.call("share", name="x")
        assert bob.wait(waiting)["owner"] == ALICE
        assert total(bob, handle=1) == 5
        assert bob.refusal("wait", name="x", wait_ms=10).code == "deadline_exceeded"


# ---- lend ----


def test_a_lent_tensor_outlives_its_last_reference(daemon, raw):
    with Raw(daemon.path) as lender:
        described = ones(lender, handle=1)
        small = lender.call("put", handle=2, dtype="float64", shape=[1], data=struct.pack("d", 7))
        lender.call("lend", handles=[1, 2])
        lender.call("lend", handles=[1])  # begins anew
        lost = ones(lender, handle=3)
    eventually(lambda: raw.call("stat")["connections"] == 1, what="end of the connection")
    for i in range(3):
        assert total(raw, id=described["id"]) == N and total(raw, id=small["id"]) == 7
        raw.call("open", id=described["id"], handle=10)
        raw.call("release", handles=[10])
    assert raw.refusal("open", id=lost["id"], handle=1).code == "not_found"
    assert raw.call("stat", id=described["id"])["references"] == 1


def test_what_cannot_be_lent(raw):
    raw.call("create", handle=1, dtype="float64", shape=[N])
    raw.put([1], handle=2)
    assert raw.refusal("lend", handles=[2, 1]).code == "not_sealed"
    assert raw.refusal("lend", handles=[2, 9]).code == "not_found"
    assert raw.call("stat", handle=2)["references"] == 1  # nothing was, of either list
    assert raw.refusal("lend", handle=2).code == "bad_arguments"
    failing = raw.send("run", inputs=[], nodes=[["zeros", [], {"shape": [4], "dtype": "float64"}],
                                                ["reshape", [0], {"shape": [3]}]],
                       outputs=[{"value": 1, "handle": 5}])
    lending = raw.send("lend", handles=[5])
    for msgid in (failing, lending):
        with pytest.raises(Refused, match="shape_mismatch"):
            raw.wait(msgid)


@takes_root
def test_what_another_user_owns_is_not_lent(daemon):
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob:
        alice.put([1], name="x")
        alice.call("share", name="x")
        bob.call("open", name="x", owner=ALICE, handle=1)
        assert bob.refusal("lend", handles=[1]).code == "not_owner"


# ---- snapshot ----


def test_a_snapshot_is_sealed_and_stays_as_it_was(raw, other):
    handle, fd = mutable(raw, 2.0, "m")
    taken = raw.call("snapshot", handle=handle, result=100, **{"as": "now"})
    assert (taken["state"], taken["name"]) == ("sealed", "now") and "version" not in taken
    os.pwrite(fd, struct.pack("d", 3.0) * N, 4096)
    os.close(fd)
    assert total(raw, handle=handle) == 3 * N
    assert total(raw, handle=100) == total(other, name="now") == 2 * N
    assert raw.call("share", name="now")["shared"] is True
    assert raw.refusal("snapshot", name="m", **{"as": "now"}).code == "name_taken"
    raw.call("snapshot", name="m", replace=True, **{"as": "now"})
    assert total(other, name="now") == 3 * N
    mapped = raw.call("snapshot", name="m", result=101, map=True)
    assert len(mapped["fds"]) == len(raw.fds) == 1 and "name" not in mapped
    assert os.pread(raw.fds[0], 8, mapped["offset"]) == struct.pack("d", 3.0)
    sealed = raw.call("snapshot", id=taken["id"], result=102)  # of a sealed one a copy
    assert sealed["id"] != taken["id"] and total(raw, handle=102) == 2 * N
    for keys in ({}, {"result": 103, "map": True, "handle": handle, "name": "m"}, {"name": "m"},
                 {"name": "m", "map": True, "as": "y"}):
        assert raw.refusal("snapshot", **keys).code == "bad_arguments"


def test_a_snapshot_waits_for_who_writes_or_is_refused(raw, other):
    mutable(raw, 2.0, "m")
    raw.call("lease", name="m", lease=1, writable=True)
    assert other.refusal("snapshot", name="m", result=1).code == "lease_conflict"
    assert other.refusal("snapshot", name="m", result=1, wait_ms=20).code == "lease_conflict"
    waiting = other.send("snapshot", name="m", result=1, wait_ms=60000)
    other.call("ping")
    raw.call("unlease", leases=[1])
    assert other.wait(waiting)["state"] == "sealed"


def test_a_snapshot_sent_again_is_made_once(raw, other):
    mutable(raw, 2.0, "m")
    op_id = bytes(range(16))
    first = raw.call("snapshot", name="m", op_id=op_id, **{"as": "now"})
    again = other.call("snapshot", name="m", op_id=op_id, retry_ms=5, result=7, **{"as": "now"})
    assert again["id"] == first["id"] and total(other, handle=7) == 2 * N


# ---- holders ----


def test_who_holds_a_tensor(daemon, raw, other):
    raw.call("hello", version=1, client="reader")
    handle, fd = mutable(raw, 1.0, "m")
    os.close(fd)
    raw.call("open", name="m", handle=500)
    other.call("lease", name="m", lease=1)
    os.close(other.fds.popleft())
    told = raw.call("holders", name="m")
    assert told["more"] is False and told["held"] is False
    one, two = told["holders"]
    assert one == {"connection": one["connection"], "uid": os.geteuid(), "pid": os.getpid(),
                   "client": "reader", "references": 2, "maps": 1, "leases": 0}
    assert (two["client"], two["references"], two["maps"], two["leases"]) == ("unnamed", 0, 1, 1)
    assert one["connection"] < two["connection"]
    assert raw.call("holders", handle=handle) == told
    page = raw.call("holders", name="m", limit=1)
    assert page == {"holders": [one], "more": True, "held": False}
    assert raw.call("holders", name="m", after=one["connection"])["holders"] == [two]
    other.call("unlease", leases=[1])
    raw.call("release", handles=[handle])
    assert [row["references"] for row in raw.call("holders", name="m")["holders"]] == [1, 0]


def test_pages_of_holders_add_up(daemon, raw):
    ones(raw, handle=1, name="x")
    peers = [Raw(daemon.path) for _ in range(7)]
    try:
        for n, peer in enumerate(peers):
            for handle in range(1, 40 * n + 1):
                peer.call("open", name="x", handle=handle)
        peers[1].call("lend", handles=[1])
        peers[2].call("release", handles=list(range(1, 80)))
        peers[3].call("release", handles=list(range(1, 121)))
        peers[4].call("open", name="x", handle=1000, map=True)
        peers.pop(5).close()
        eventually(lambda: raw.call("stat")["connections"] == 7, what="end of the connection")
        whole = raw.call("holders", name="x")
        assert whole["more"] is False
        assert [row["references"] for row in whole["holders"]] == [1, 40, 1, 161, 240]
        assert [row["maps"] for row in whole["holders"]] == [0, 0, 0, 1, 0]
        for limit in range(1, 7):
            rows, page = [], {"more": True}
            while page["more"]:
                page = raw.call("holders", name="x", limit=limit,
                                after=rows[-1]["connection"] if rows else 0)
                assert len(page["holders"]) == limit or not page["more"]
                rows += page["holders"]
            assert rows == whole["holders"]
    finally:
        for peer in peers:
            peer.close()


def test_memory_that_no_connection_explains(daemon, raw):
    with Raw(daemon.path) as leaving:
        ones(leaving, handle=1, name="x", map=True)
        fd = leaving.fds.popleft()
    eventually(lambda: raw.call("stat")["connections"] == 1, what="end of the connection")
    assert raw.call("holders", name="x") == {"holders": [], "more": False, "held": True}
    raw.call("delete", name="x")
    held = raw.call("holders")["held"]
    assert held > 8 * N and held == raw.call("stat")["memory"]["held"]
    os.close(fd)
    eventually(lambda: raw.call("holders")["held"] == 0, what="nothing held")


def test_what_each_connection_holds(raw, other):
    handle, fd = mutable(raw, 1.0, "m")
    os.close(fd)
    raw.put([1, 2], handle=700)
    raw.call("lease", name="m", lease=1)
    waiting = raw.send("wait", name="x", wait_ms=60000)
    rows = other.call("holders")["connections"]
    assert [row["connection"] for row in rows] == sorted(row["connection"] for row in rows)
    mine = next(row for row in rows if row["references"] == 2)
    assert (mine["bytes"], mine["leases"], mine["requests"]) == (8 * N + 16, 1, 1)
    raw.notify("cancel", msgid=waiting)
    with pytest.raises(Refused):
        raw.wait(waiting)
    raw.call("release", handles=[handle, 700])
    rows = other.call("holders")["connections"]
    assert [row["bytes"] for row in rows] == [0, 0]
    page = other.call("holders", limit=1)
    assert page["connections"] == rows[:1] and page["more"] is True
    assert other.call("holders", after=rows[0]["connection"])["more"] is False


@takes_root
def test_holders_are_told_to_the_owner_and_to_administrators(daemon):
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob, \
            Raw(daemon.path) as root:
        alice.put([1], name="x")
        alice.call("share", name="x")
        bob.call("open", name="x", owner=ALICE, handle=1)
        rows = alice.call("holders", name="x")["holders"]
        assert [(row["uid"], row["references"]) for row in rows] == [(BOB, 1)]
        assert root.call("holders", name="x", owner=ALICE)["holders"] == rows
        assert bob.refusal("holders", name="x", owner=ALICE).code == "not_owner"
        assert bob.refusal("holders", handle=1).code == "not_owner"
        alice.call("share", name="x", shared=False)
        assert bob.refusal("holders", name="x", owner=ALICE).code == "not_found"
        assert [row["uid"] for row in bob.call("holders")["connections"]] == [BOB]
        assert {row["uid"] for row in root.call("holders")["connections"]} == {0, ALICE, BOB}
