# SPDX-License-Identifier: MIT
"""Evictable tensors: a cache that gives way before anyone is refused memory."""
import concurrent.futures
import subprocess

import numpy
import pytest

import kit
import tensord
from raw import Raw, Refused
from users import ALICE, BOB, connect_as, delete_all, open_to_all, takes_root

MIB = 1 << 20


@pytest.fixture
def daemon(make_own_daemon):
    daemon = make_own_daemon("--memory", "32M")
    yield daemon
    daemon.delete_all()


@pytest.fixture
def client(daemon):
    with daemon.connect() as client:
        yield client


def ctl(daemon, *words):
    done = subprocess.run([kit.BUILD / "bin" / "tensorctl", "--socket", daemon.socket,
                           *map(str, words)], capture_output=True, text=True, timeout=60,
                          check=True)
    return done.stdout


def array(n_bytes, value=0):
    return numpy.full(n_bytes // 8, value, "int64")


def names(client):
    return [row.name for row in client.list()]


def fill(client, n=40):
    """Kept ones of 1 MiB, until there is no room for more."""
    kept = []
    try:
        for i in range(n):
            kept.append(client.put(array(MIB - 8192, i)))
    except tensord.OutOfMemory:
        return kept
    raise AssertionError("never refused")


def test_they_go_and_nothing_else_does(client):
    for i in range(4):
        client.put(array(MIB, i), f"cache/{i}", evictable=True)
        client.put(array(MIB, i), f"kept/{i}")
    held = client.open("cache/1")
    client.get("cache/0")
    assert client.stat()["evictions"] == 0
    kept = fill(client)
    assert names(client) == ["cache/1"] + [f"kept/{i}" for i in range(4)]
    stat = client.stat()
    assert stat["evictions"] == 3 and stat["memory"]["evictable"] == 0
    assert (numpy.asarray(held) == 1).all()
    for i in range(4):
        assert (client.get(f"kept/{i}") == i).all()
    for gone in ("cache/0", "cache/2", "cache/3"):
        with pytest.raises(tensord.NotFound):
            client.open(gone)
    del kept


def test_used_longest_ago_first(client):
    for i in range(8):
        client.put(array(2 * MIB, i), f"c{i}", evictable=True)
    assert (client.open("c0") + 1)[0] == 1
    client.open("c3")
    gone = []
    kept = []
    while len(gone) < 8:
        kept.append(client.put(array(MIB)))
        left = names(client)
        gone += [f"c{i}" for i in range(8) if f"c{i}" not in left and f"c{i}" not in gone]
    assert gone == ["c1", "c2", "c4", "c5", "c6", "c7", "c0", "c3"]


def test_wherever_a_name_is_given(client):
    with client.create((1000,), "float64", "create", evictable=True) as t:
        t.array[:] = 1
    client.put([1.0, 2.0], "put", evictable=True)
    client.put(client.put(array(MIB)), "name", evictable=True)
    program = tensord.Program()
    value = program.input(client.open("put")) + 1
    client.run(program, value, names="run", evictable=True)
    client.put([1.0], "mutable", mutable=True).snapshot("snapshot", evictable=True)
    client.put(client.put([1.0]), "replace", replace=True, evictable=True)
    function = tensord.Program()
    x = function.parameter((2,), "float64")
    client.define(function, x + x)([1.0, 2.0], names="call", evictable=True)
    rows = {name: client.open(name).is_evictable for name in names(client)}
    assert rows == {
        "create": True, "put": True, "name": True, "run": True, "mutable": False,
        "snapshot": True, "replace": True, "call": True,
    }
    assert client.open("run").is_evictable and not client.open("mutable").is_evictable
    # what the name means next is kept, unless it says so, too
    client.put([1.0, 2.0], "put", replace=True)
    assert not client.open("put").is_evictable
    for wrong in (
        lambda: client.put([1.0], "m", mutable=True, evictable=True),
        lambda: client.put([1.0], evictable=True),
        lambda: client.run(program, value, evictable=True),
    ):
        with pytest.raises(tensord.ArgumentError):
            wrong()


def test_a_mutable_one_is_not_named_so(daemon):
    with Raw(daemon.path) as raw:
        raw.call("create", handle=7, dtype="int8", shape=[10], mutable=True)
        raw.call("seal", handle=7)
        assert raw.refusal("name", handle=7, name="n", evictable=True).code == "bad_arguments"
        assert raw.refusal("put", handle=8, dtype="int8", shape=[1], data=b"1",
                           evictable=True).code == "bad_arguments"
        assert raw.refusal("run", inputs=[{"handle": 7}], nodes=[["negative", [0], {}]],
                           outputs=[{"value": 1, "handle": 9, "evictable": True}],
                           ).code == "bad_arguments"
        assert raw.refusal("run", inputs=[{"handle": 7}], nodes=[["negative", [0], {}]],
                           outputs=[{"value": 1, "into": 0, "evictable": True}],
                           ).code == "bad_arguments"


def test_shared_ones_too(client):
    client.put(array(MIB), "s", evictable=True).share()
    assert client.open("s").is_shared and client.open("s").is_evictable
    kept = fill(client)
    assert names(client) == []
    del kept


def test_who_maps_one_without_using_it_lets_go(daemon, client):
    """a client keeps mappings of what it released; it is asked for them, and answers as it reads"""
    with daemon.connect() as other, concurrent.futures.ThreadPoolExecutor() as pool:
        client.put(array(16 * MIB, 5), "c", evictable=True)
        assert (other.get("c") == 5).all()  # mapped, and no array is left
        assert (client.get("c") == 5).all()
        made = pool.submit(client.put, array(24 * MIB))
        kit.wait_until(lambda: other.ping() or made.done(), "there was room")
        large = made.result()
        assert names(client) == []
        del large


def test_who_never_lets_go_keeps_it(daemon, client):
    """its memory would not come free: nothing is deleted for it"""
    client.put(array(16 * MIB, 5), "c", evictable=True)
    n_connections = client.stat()["connections"]
    with Raw(daemon.path) as raw:
        raw.call("open", name="c", handle=1, map=True)
        raw.call("release", handles=[1])
        with pytest.raises(tensord.OutOfMemory):
            client.put(array(24 * MIB))
        assert (client.get("c") == 5).all()
    # its end lets go
    kit.wait_until(lambda: client.stat()["connections"] == n_connections, "the daemon sees the end")
    client.put(array(24 * MIB))
    assert names(client) == []


@takes_root
def test_small_ones_by_small_ones_of_the_same_user(make_own_daemon):
    daemon = open_to_all(make_own_daemon("--memory", "64M", "--quota-bytes", "1M",
                                         "--socket-mode", "0666"))
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob:
        bob.call("put", dtype="int8", shape=[4096], data=bytes(4096), name="b", evictable=True)
        for i in range(100):
            alice.call("put", dtype="int8", shape=[4096], data=bytes(4096), name=f"c{i:03}",
                       evictable=True)
        n = 0
        with pytest.raises(Refused) as refused:
            for n in range(1000):
                alice.call("put", dtype="int8", shape=[4096], data=bytes(4096), handle=1000 + n)
        assert refused.value.code == "quota_exceeded" and n == 256
        assert alice.call("list")["tensors"] == []
        assert [row["name"] for row in bob.call("list")["tensors"]] == ["b"]
        assert alice.call("stat")["evictions"] == 100
    delete_all(daemon)


def test_a_new_daemon_knows_them(daemon, client):
    client.put(array(MIB, 1), "first", evictable=True)
    client.put(array(MIB, 2), "kept")
    client.put(array(MIB, 3), "second", evictable=True)
    client.close()
    daemon.kill9()
    daemon.start()
    with daemon.connect() as client:
        assert client.open("first").is_evictable and not client.open("kept").is_evictable
        kept = fill(client)
        assert names(client) == ["kept"]
        client.close()
        del kept
    daemon.kill9()
    daemon.start()
    with daemon.connect() as client:
        assert names(client) == ["kept"]


def test_who_waits_gets_what_comes_free(daemon, client):
    """a put, a create, a program and a snapshot, as long as connect() was told"""
    makes = [
        lambda c: c.put(array(20 * MIB), "made"),
        lambda c: c.create((20 * MIB,), "uint8", "made").seal(),
        lambda c: c.run(p := tensord.Program(), p.input(c.open("small")) + 1, names="made"),
        lambda c: c.open("small").snapshot("made"),
    ]
    client.put(array(9 * MIB, 5), "small")
    for make in makes:
        held = client.put(array(16 * MIB))
        with daemon.connect(memory_timeout=60) as other, \
                concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(make, other)
            kit.wait_until(lambda: waiting.done() or
                           client.stat()["users"][0]["requests"] == 2, "it waits")
            assert not waiting.done(), waiting.exception()
            del held
            kit.wait_until(lambda: client.ping() or waiting.done(), "it came free")
            waiting.result()
            del waiting
        client.delete("made")


def test_no_longer_than_it_was_told(daemon, client):
    held = client.put(array(24 * MIB))
    with daemon.connect(memory_timeout=0.3) as other:
        with pytest.raises(tensord.OutOfMemory) as refused:
            other.put(array(20 * MIB))
        assert "asked for 20971520" in str(refused.value)
    del held


def test_from_the_command_line(daemon, client, tmp_path):
    numpy.save(tmp_path / "x.npy", numpy.arange(5.0))
    ctl(daemon, "put", "--evictable", tmp_path / "x.npy", "e")
    ctl(daemon, "put", tmp_path / "x.npy", "k")
    ctl(daemon, "share", "e")
    assert client.open("e").is_shared
    assert client.open("e").is_evictable and not client.open("k").is_evictable
    ctl(daemon, "save", tmp_path / "saved")
    for name in names(client):
        client.delete(name)
    ctl(daemon, "load", tmp_path / "saved")
    assert client.open("e").is_evictable and client.open("e").is_shared
    assert not client.open("k").is_evictable
    rows = ctl(daemon, "ls").splitlines()
    assert ["40e" in row for row in rows] == [True, False]
    assert '"evictable": true' in ctl(daemon, "--json", "ls")
