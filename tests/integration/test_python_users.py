# SPDX-License-Identifier: MIT
"""Tensors for other processes and other users: pickled, waited for, shared, copied as they are."""
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy
import pytest

import tensord
from kit import wait_until
from raw import leave_endless
from sanitized import starts_threads_in_a_fork
from users import ALICE, BOB, as_user, effective_uid, takes_root


# ---- pickles ----


def total(tensor):
    return float(tensor.sum())


def test_tensors_travel_to_spawned_processes(client):
    large = client.put(numpy.ones((100, 200)))
    small = client.put([1.0, 2.0, 3.0])
    local = small * 2  # a small result, whose bytes are in this process alone
    named = client.put(numpy.full(1000, 2.0), "named")
    mutable = client.put(numpy.full(10, 3.0), mutable=True)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sums = pool.map(total, [large, large[10:20, ::2].T, small, local, named, mutable])
    assert sums == [20000, 1000, 6, 12, 2000, 30]
    client.delete("named")


def test_a_pickle_is_good_when_its_tensor_is_dropped_and_more_than_once(client):
    data = pickle.dumps(client.put(numpy.arange(1000.0))[1:3])
    for _ in range(3):
        again = pickle.loads(data)
        assert again.tolist() == [1, 2] and again.client is client
        del again
    assert pickle.loads(pickle.dumps(pickle.loads(data))).tolist() == [1, 2]


def test_what_a_pickle_meant_is_not_another_tensor(client):
    data = pickle.dumps(client.put([1.0], "x"))
    client.put([2.0], "x", replace=True)
    with pytest.raises(tensord.TensorGone, match="'x'"):
        pickle.loads(data)
    client.delete("x")
    with client.create(3) as unsealed:
        with pytest.raises(tensord.NotSealed):
            pickle.dumps(unsealed)
        unsealed.array[:] = 1


# ---- wait ----


def n_requests(holders):
    """Under way, that for the figures included."""
    return sum(row["requests"] for row in holders["connections"])


def test_waiting_for_a_name(client, daemon):
    with pytest.raises(tensord.DeadlineExceeded):
        client.wait("x", timeout=0.02)
    with pytest.raises(tensord.DeadlineExceeded):
        client.wait("x", timeout=0)
    with pytest.raises(tensord.ArgumentError):
        client.wait("x", timeout=-1)
    found = []
    thread = threading.Thread(target=lambda: found.append(client.wait("x").tolist()))
    thread.start()
    with daemon.connect() as other:
        wait_until(lambda: n_requests(other.holders()) == 2, "the request")
        other.put([1.0, 2.0], "x")
        thread.join()
        assert found == [[1, 2]]
        assert client.wait("x", timeout=0).shape == (2,)
        other.delete("x")


def test_ctrl_c_ends_the_wait(daemon):
    code = """
import os, signal, sys, tensord
client = tensord.connect(sys.argv[1])
print("waits", flush=True)
try:
    client.wait("nothing")
except KeyboardInterrupt:
    client.put([1.0], "y")
    client.delete("y")
    print("interrupted", len(client.holders()["connections"]), flush=True)
client.close()
"""
    process = subprocess.Popen([sys.executable, "-c", code, daemon.path], env=daemon.env,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    with daemon.connect() as client:
        wait_until(lambda: any(row["pid"] == process.pid and row["requests"]
                               for row in client.holders()["connections"]), "the request")
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().startswith("interrupted")
        assert process.wait(10) == 0
        process.stdout.close()


@pytest.mark.kill
def test_waiting_goes_on_at_another_daemon(make_own_daemon):
    daemon = make_own_daemon()
    found = []
    with daemon.connect() as client:
        thread = threading.Thread(target=lambda: found.append(client.wait("x", 30).tolist()))
        thread.start()
        with daemon.raw() as raw:
            wait_until(lambda: n_requests(raw.call("holders")) == 2, "the request")
        daemon.restart9()
        with daemon.raw() as raw:
            raw.put([5], name="x")
            thread.join()
            raw.call("delete", name="x")
    assert found == [[5]]


# ---- snapshot, share, holders ----


def test_a_snapshot(client):
    t = client.put(numpy.zeros(1000), mutable=True)
    before = t.snapshot()
    t[:] = 1
    after = t.snapshot("after")
    t[:] = 2
    assert (float(before.sum()), float(after.sum()), float(t.sum())) == (0, 1000, 2000)
    assert before.is_sealed and after.name == "after"
    with pytest.raises(tensord.NameTaken):
        t.snapshot("after")
    assert float(t.snapshot("after", replace=True).sum()) == 2000
    with t.write(), pytest.raises(tensord.LeaseConflict):
        t.snapshot()
    with t.write(), pytest.raises(tensord.LeaseConflict):
        t.snapshot(timeout=0.02)
    with pytest.raises(tensord.ArgumentError):
        t[1:].snapshot()
    client.delete("after")


def used(client):
    return client.stat()["memory"]["used"]


def test_what_was_put_is_shared_without_a_copy(client):
    """whether its memory is not mapped any more, parked, or shown by arrays"""
    a = numpy.arange(100_000.0)
    client.put(a, "parked")
    shown = client.put(a, "shown")
    array = numpy.asarray(shown)
    with client.create(a.shape, name="written") as written:
        written.array[:] = a
    kept = written.array
    before = used(client)
    for name in ("parked", "shown", "written"):
        segment = client._call("open", {"name": name, "handle": 1 << 50, "map": True})["segment"]
        client._native.call("release", b"\x81\xa7handles\x91\xcf" + (1 << 50).to_bytes(8, "big"))
        shared = client.share(name)
        assert shared.is_shared and used(client) == before
        again = client._call("open", {"name": name, "handle": 1 << 50})
        assert again["segment"] == segment
        client._native.call("release", b"\x81\xa7handles\x91\xcf" + (1 << 50).to_bytes(8, "big"))
    assert (array == a).all() and (kept == a).all() and not kept.flags.writeable
    # and its memory is used again afterwards
    del array, kept, shown, written, shared
    for name in ("parked", "shown", "written"):
        client.delete(name)
    client.put(a, "again")
    assert (client.get("again") == a).all()
    client.delete("again")


def test_what_is_not_shared(client):
    t = client.put([1.0], mutable=True)
    for wrong in (t, client.put([1.0]), client.put([1.0, 2.0], "x")[1:]):
        with pytest.raises(tensord.ArgumentError):
            wrong.share()
    client.delete("x")
    client.put([1.0], "m", mutable=True)
    with pytest.raises(tensord.MutableTensor):
        client.share("m")
    client.delete("m")
    with pytest.raises(tensord.NotFound, match="no user"):
        client.open("x", owner="nobody of that name")
    with pytest.raises(tensord.ArgumentError):
        client.open("x", owner=-5)


def test_holders(client, daemon):
    with daemon.connect() as other:
        t, array = client.put(numpy.zeros(1000), "x"), client.get("x")
        opened = other.open("x")
        rows = client.holders("x")["holders"]
        assert [(row["pid"], row["references"] > 0) for row in rows] == [(os.getpid(), True)] * 2
        assert client.holders("x")["held"] is False
        mine = client.holders()["connections"]
        assert {row["uid"] for row in mine} == {os.geteuid()}
        del t, array, opened
    client.delete("x")


def test_what_was_left_is_ended(client, daemon):
    leave_endless(daemon.raw(), "endless")
    wait_until(lambda: client.holders()["left"], "it is left")
    [row] = client.holders()["left"]
    assert (row["method"], row["names"]) == ("run", ["endless"])
    assert client.cancel(row["request"] + 1) is False and client.cancel(row["request"]) is True
    wait_until(lambda: not client.holders()["left"], "it ends")


@takes_root
@starts_threads_in_a_fork
def test_users(open_daemon):
    daemon, values = open_daemon, numpy.arange(100_000.0)

    def alice():
        with daemon.connect() as client:
            client.put(values, "x")
            assert client.share("x").is_shared and client.open("x").owner is None
            client.put([1.0], "private")

    def bob():
        with daemon.connect() as client:
            array = client.get("x", owner=ALICE)
            assert (array == values).all() and not array.flags.writeable
            t = client.open("x", owner=ALICE)
            assert t.owner == ALICE and t.is_shared and float(t.sum()) == values.sum()
            assert [row.name for row in client.list(owner=ALICE)] == ["x"] and not client.list()
            assert client.wait("x", 0, owner=ALICE).shape == values.shape
            assert pickle.loads(pickle.dumps(t)).shape == t.shape
            with pytest.raises(tensord.NotFound):
                client.open("private", owner=ALICE)
            with pytest.raises(tensord.NotOwner):
                t.share()
            with pytest.raises(tensord.NotOwner):
                client.holders("x", owner=ALICE)
            with pytest.raises(ValueError):
                array[0] = 1
            mine = client.put(t, "mine")
            assert mine.owner is None and (numpy.asarray(mine) == values).all()
            client.delete("mine")

    as_user(ALICE, alice)
    as_user(BOB, bob)
    with daemon.connect() as client:
        assert [row.name for row in client.list(owner=ALICE)] == ["private", "x"]
        assert client.holders("x", owner=ALICE)["holders"] == []


@takes_root
def test_small_ones_of_others(open_daemon):
    """their bytes come along, unless their owner has a segment of them; which may be gone then"""
    daemon = open_daemon
    with effective_uid(ALICE), daemon.connect() as client:
        client.put([1.0, 2.0], "bytes").share()
        client.put([3.0, 4.0], "mapped").share()
        assert client.get("mapped").tolist() == [3.0, 4.0]
    with effective_uid(BOB):
        client = daemon.connect()
        for name, values in (("bytes", [1.0, 2.0]), ("mapped", [3.0, 4.0])):
            array, own = (client.get(name, mode, owner=ALICE) for mode in ("r", "cow"))
            assert array.tolist() == values and not array.flags.writeable
            own[0] = 7
            assert client.get(name, owner=ALICE).tolist() == values
        handle = client._native.open("mapped", ALICE, True)
    daemon.restart9()
    with effective_uid(BOB):
        mapped = handle.map(tensord._native.MAP_READ, True)
        assert numpy.frombuffer(mapped, "float64", 2).tolist() == [3.0, 4.0]
        client.close()
