# SPDX-License-Identifier: MIT
"""wait_ms of requests that need memory: they wait for it in line, and cost nothing meanwhile."""
import time
from pathlib import Path

import pytest

from raw import Raw, Refused, eventually
from users import ALICE, BOB, connect_as, delete_all, open_to_all, takes_root

MIB = 1 << 20


@pytest.fixture
def daemon(make_own_daemon):
    daemon = make_own_daemon("--memory", "32M")
    yield daemon
    daemon.delete_all()


@pytest.fixture
def full(daemon):
    """A connection that holds 24 MiB under the handles 1 to 3."""
    with daemon.raw() as raw:
        for i in (1, 2, 3):
            create(raw, i, 8 * MIB)
        yield raw


def create(raw, handle, n_bytes, **keys):
    made = raw.call("create", handle=handle, dtype="uint8", shape=[n_bytes], **keys)
    raw.close_fds()
    return made


def send_create(raw, handle, n_bytes, **keys):
    return raw.send("create", handle=handle, dtype="uint8", shape=[n_bytes], **keys)


def waits(raw):
    """What came before is not answered: a ping behind it is."""
    msgid = raw.send("ping")
    message = raw.receive()
    assert message[:2] == [1, msgid], message


def answer(raw, msgid):
    message = raw.receive()
    while message is not None and message[0] == 2:  # asked for segments: none is mapped here
        if message[1] == "trim":
            raw.notify("unmap", segments=message[2])
        message = raw.receive()
    assert message is not None and message[1] == msgid, message
    if message[2] is not None:
        raise Refused(message[2])
    raw.close_fds()
    return message[3]


def test_it_comes_free(daemon, full):
    with daemon.raw() as raw:
        msgid = send_create(raw, 1, 20 * MIB, wait_ms=20000)
        waits(raw)
        full.close()
        assert answer(raw, msgid)["nbytes"] == 20 * MIB


def test_a_run_waits_too(daemon, full):
    with daemon.raw() as raw:
        msgid = raw.send("run", inputs=[], nodes=[["zeros", [], {"shape": [20 * MIB],
                                                                  "dtype": "uint8"}]],
                         outputs=[{"value": 0, "name": "r"}], wait_ms=20000)
        waits(raw)
        assert raw.call("list")["tensors"] == []
        full.close()
        assert answer(raw, msgid)["outputs"][0]["nbytes"] == 20 * MIB


def fill(raw):
    """Until not a page is left."""
    handle, n_bytes = 100, 4 * MIB
    while n_bytes >= 2048:
        try:
            create(raw, handle, n_bytes)
            handle += 1
        except Refused as problem:
            assert problem.code == "memory_limit"
            n_bytes //= 2


def test_a_small_result_that_is_to_be_mapped_does(daemon, full):
    """it has a segment of its own, for which it waits before anything is computed"""
    fill(full)
    with daemon.raw() as raw:
        keys = {"inputs": [], "nodes": [["zeros", [], {"shape": [16], "dtype": "uint8"}]],
                "outputs": [{"value": 0, "handle": 1, "map": True}]}
        with pytest.raises(Refused, match="memory_limit"):
            raw.call("run", **keys)
        keys["outputs"][0]["handle"] = 2
        msgid = raw.send("run", wait_ms=20000, **keys)
        waits(raw)
        full.close()
        output = answer(raw, msgid)["outputs"][0]
        assert output["nbytes"] == 16 and "segment" in output and "data" not in output


def test_not_longer_than_it_said(daemon, full):
    with daemon.raw() as raw:
        began = time.monotonic()
        msgid = send_create(raw, 1, 20 * MIB, wait_ms=300)
        waits(raw)
        with pytest.raises(Refused) as refused:
            answer(raw, msgid)
        took = time.monotonic() - began
        assert 0.29 < took < 3
        assert refused.value.code == "memory_limit"
        data = refused.value.data
        assert data["asked"] == 20 * MIB and 24 * MIB < data["used"] < data["limit"] == 32 * MIB
        # who does not say so does not wait
        with pytest.raises(Refused):
            create(raw, 2, 20 * MIB)


def test_its_own_deadline_and_cancel_end_it(daemon, full):
    with daemon.raw() as raw:
        run = {"inputs": [], "outputs": [{"value": 0, "handle": 5}],
               "nodes": [["zeros", [], {"shape": [20 * MIB], "dtype": "uint8"}]]}
        msgid = raw.send("run", **run, wait_ms=20000, deadline_ms=200)
        with pytest.raises(Refused) as refused:
            answer(raw, msgid)
        assert refused.value.code == "deadline_exceeded"
        msgid = send_create(raw, 6, 20 * MIB, wait_ms=20000)
        raw.notify("cancel", msgid=msgid)
        with pytest.raises(Refused) as refused:
            answer(raw, msgid)
        assert refused.value.code == "cancelled"


def test_it_ends_with_its_connection(daemon, full):
    with daemon.raw() as raw:
        raw.send("create", handle=1, dtype="uint8", shape=[20 * MIB], wait_ms=3600000, name="n")
        raw.send("run", inputs=[], outputs=[{"value": 0, "name": "m"}], wait_ms=3600000,
                 nodes=[["zeros", [], {"shape": [20 * MIB], "dtype": "uint8"}]])
        waits(raw)
        assert full.call("stat")["users"][0]["requests"] == 3
    eventually(lambda: full.call("stat")["users"][0]["requests"] == 1)
    # and its names are free
    full.call("put", dtype="int8", shape=[1], data=b"1", name="n")
    full.call("put", dtype="int8", shape=[1], data=b"1", name="m")


def switches(pid):
    return sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


def test_it_costs_nothing_while_it_waits(make_own_daemon):
    daemon = make_own_daemon("--memory", "32M", "--busy-poll-us", "0")
    with daemon.raw() as full, daemon.raw() as raw:
        create(full, 1, 24 * MIB)
        msgids = [send_create(raw, i, 20 * MIB, wait_ms=4000) for i in range(1, 101)]
        waits(raw)
        before = switches(daemon.pid)
        time.sleep(1)  # what is measured: ticks would be 10, tries 50 and more
        assert switches(daemon.pid) - before < 8
        answers = [raw.receive() for _ in msgids]
        assert sorted(a[1] for a in answers) == msgids
        assert {a[2]["code"] for a in answers} == {"memory_limit"}


def test_in_the_order_in_which_they_came(daemon, full):
    """a large one and a small one behind it get what comes free together"""
    with daemon.raw() as large, daemon.raw() as small:
        first = send_create(large, 1, 20 * MIB, wait_ms=20000)
        waits(large)
        second = send_create(small, 1, 10 * MIB, wait_ms=20000)
        waits(small)
        full.call("release", handles=[1])  # parked with it; enough for the small one alone
        waits(small)
        waits(large)
        full.close()
        assert answer(large, first)["nbytes"] == 20 * MIB
        assert answer(small, second)["nbytes"] == 10 * MIB


def test_who_overtakes_does_not_for_ever(daemon, full):
    """as many bytes as the first one asks for; then what is free is kept for it"""
    with daemon.raw() as large, daemon.raw() as small:
        msgid = send_create(large, 1, 20 * MIB, wait_ms=4000)
        waits(large)
        n = 0
        with pytest.raises(Refused) as refused:
            for n in range(100):
                create(small, 1 + n, 2 * MIB)
                small.call("release", handles=[1 + n])
        assert n == 10 and refused.value.code == "memory_limit"
        assert "kept for a request that waits" in str(refused.value)
        # one that waits is behind it, and is served when it has ended
        behind = send_create(small, 1000, 2 * MIB, wait_ms=20000)
        waits(small)
        with pytest.raises(Refused):
            answer(large, msgid)
        assert answer(small, behind)["nbytes"] == 2 * MIB
        create(small, 2000, 2 * MIB)


def test_it_does_not_stay_the_first_for_ever(daemon, full):
    """10 s, then whoever stands behind it has a turn"""
    with daemon.raw() as large, daemon.raw() as small:
        send_create(large, 1, 20 * MIB, wait_ms=60000)
        waits(large)
        began = time.monotonic()
        for i in range(1, 6):  # there is room: it is had at once
            msgid = send_create(small, i, 4 * MIB, wait_ms=60000)
            assert answer(small, msgid)["nbytes"] == 4 * MIB
            small.call("release", handles=[i])
        msgid = send_create(small, 6, 4 * MIB, wait_ms=60000)  # it is kept for the large one now
        waits(small)
        assert answer(small, msgid)["nbytes"] == 4 * MIB
        assert 8 < time.monotonic() - began < 20


def test_those_without_stand_in_no_line(daemon):
    """a large one waits before it; it gets what a client was asked for as soon as that let go"""
    with daemon.raw() as keeper, daemon.raw() as large, daemon.raw() as raw:
        create(keeper, 1, 20 * MIB)
        create(keeper, 2, 7 * MIB)
        send_create(large, 1, 30 * MIB, wait_ms=60000)
        waits(large)
        keeper.call("release", handles=[2])
        began = time.monotonic()
        msgid = send_create(raw, 1, 9 * MIB)
        message = keeper.receive()
        assert message[:2] == [2, "trim"]
        keeper.notify("unmap", segments=message[2])
        assert answer(raw, msgid)["nbytes"] == 9 * MIB
        assert time.monotonic() - began < 0.9


def test_a_smaller_one_behind_gets_through(daemon):
    with daemon.raw() as one, daemon.raw() as two, daemon.raw() as large, daemon.raw() as small:
        create(one, 1, 22 * MIB)
        create(two, 1, 8 * MIB)
        send_create(large, 1, 30 * MIB, wait_ms=60000)
        waits(large)
        msgid = send_create(small, 1, 4 * MIB, wait_ms=60000)
        waits(small)
        two.close()
        began = time.monotonic()
        assert answer(small, msgid)["nbytes"] == 4 * MIB
        assert time.monotonic() - began < 5


def test_what_can_never_be_had_is_refused_at_once(make_own_daemon):
    daemon = make_own_daemon("--memory", "32M", "--quota-bytes", "16M")
    with daemon.raw() as raw:
        for n_bytes, code in ((1 << 40, "memory_limit"), (32 * MIB, "memory_limit"),
                              (24 * MIB, "quota_exceeded"), (16 * MIB, "quota_exceeded")):
            began = time.monotonic()
            with pytest.raises(Refused) as refused:
                create(raw, 1, n_bytes, wait_ms=20000)
            assert time.monotonic() - began < 5
            assert refused.value.code == code


@takes_root
def test_users_take_turns(make_own_daemon):
    """one that waits for much keeps nothing from another user"""
    daemon = open_to_all(make_own_daemon("--memory", "32M", "--socket-mode", "0666"))
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob:
        create(alice, 1, 16 * MIB)
        msgid = send_create(alice, 2, 20 * MIB, wait_ms=2000)
        waits(alice)
        for i in range(20):
            create(bob, 1 + i, 4 * MIB)
            bob.call("release", handles=[1 + i])
        with pytest.raises(Refused) as refused:
            answer(alice, msgid)
        assert refused.value.code in ("memory_limit", "quota_exceeded")
    delete_all(daemon)


def test_evictable_ones_that_come_to_be_unused_do(daemon):
    with daemon.raw() as holder, daemon.raw() as raw:
        raw.call("ping")  # who says nothing for 2 s is closed
        holder.run([["zeros", [], {"shape": [20 * MIB], "dtype": "uint8"}]],
                   outputs=[{"value": 0, "name": "c", "evictable": True, "handle": 1}])
        msgid = send_create(raw, 1, 20 * MIB, wait_ms=20000)
        waits(raw)
        assert [row["name"] for row in raw.call("list")["tensors"]] == ["c"]
        holder.notify("release", handles=[1])
        assert answer(raw, msgid)["nbytes"] == 20 * MIB
        assert raw.call("list")["tensors"] == []


def test_what_a_stranger_lets_go_of(daemon):
    """A descriptor that outlived its unmap keeps an evictable one; nobody is told of its end."""
    with daemon.raw() as stranger, daemon.raw() as raw:
        made = stranger.call("create", handle=1, dtype="uint8", shape=[20 * MIB], name="c",
                             evictable=True)
        stranger.call("seal", handle=1)
        stranger.notify("unmap", segments=[made["segment"]])
        stranger.call("release", handles=[1])
        msgid = send_create(raw, 1, 20 * MIB, wait_ms=30000)
        waits(raw)
        assert [row["name"] for row in raw.call("list")["tensors"]] == ["c"]
        assert raw.call("stat")["memory"]["evictable"] == 0
        began = time.monotonic()
        stranger.close_fds()
        assert answer(raw, msgid)["nbytes"] == 20 * MIB
        assert time.monotonic() - began < 5
        assert raw.call("list")["tensors"] == []
