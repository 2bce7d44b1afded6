# SPDX-License-Identifier: MIT
"""Daemons killed and started again: what was acknowledged is there, what was not is not, and a
catalog that cannot be trusted is touched by nobody. Kills under load: tests/crash."""
import hashlib
import mmap
import os
import random
import struct
import subprocess

import pytest

import kit
from raw import Raw

pytestmark = pytest.mark.kill
MIB = 1 << 20
# sysexits.h: something was found in a state that a person must look at
EX_CONFIG = 78


@pytest.fixture
def daemon(own_daemon):
    return own_daemon


def create(raw, name, data, handle, seal=True):
    made = raw.call("create", handle=handle, dtype="bool", shape=[len(data)], name=name,
                    replace=True)
    with mmap.mmap(raw.fds[-1], made["n_bytes"]) as memory:
        memory[made["offset"]:made["offset"] + len(data)] = data
    if seal:
        raw.call("seal", handle=handle)
    return made


def read(raw, name, handle):
    opened = raw.call("open", name=name, handle=handle, map=True)
    with mmap.mmap(raw.fds[-1], opened["n_bytes"], access=mmap.ACCESS_READ) as memory:
        return memory[opened["offset"]:opened["offset"] + opened["nbytes"]]


def test_what_is_named_survives_and_nothing_else(daemon):
    bits = random.Random(7).randbytes(5 * MIB)
    with Raw(daemon.path) as raw:
        named = create(raw, "large", bits, 1)
        raw.put([1.5, -0.0, float("inf")], name="small")
        raw.call("create", handle=2, dtype="float64", shape=[0, 3], name="empty")
        raw.call("seal", handle=2)
        unnamed = raw.call("run", inputs=[], nodes=[["ones", [], {"shape": [MIB],
                                                                  "dtype": "float64"}]],
                           outputs=[{"value": 0, "handle": 3}])["outputs"][0]
        create(raw, "unsealed", bytes(MIB), 4, seal=False)
        create(raw, "deleted", bytes(MIB), 5)
        raw.call("delete", name="deleted")
        before = raw.call("stat")
    daemon.restart9()
    with Raw(daemon.path) as raw:
        assert [row["name"] for row in raw.call("list")["tensors"]] == ["empty", "large", "small"]
        assert read(raw, "large", 1) == bits
        assert raw.call("open", name="large", handle=2)["id"] == named["id"]
        small = raw.call("open", name="small", handle=3)
        assert struct.unpack("3d", small["data"]) == (1.5, -0.0, float("inf"))
        assert raw.call("open", name="empty", handle=4)["shape"] == [0, 3]
        assert raw.refusal("open", id=unnamed["id"], handle=5).code in ("gone", "not_found")
        after = raw.call("stat")
        assert after["lost"] == 0 and after["names"] == 3
        assert 5 * MIB <= after["memory"]["live"] <= 6 * MIB < before["memory"]["live"]
    # segment of "large", catalog, lock
    assert len(daemon.shm()) <= 4


def test_a_hello_tells_that_it_is_another_run(daemon):
    with Raw(daemon.path) as raw:
        first = raw.call("hello", version=1)["epoch"]
        assert raw.call("hello", version=1)["epoch"] == first
    daemon.restart9()
    with Raw(daemon.path) as raw:
        assert raw.call("hello", version=1)["epoch"] != first


def test_a_named_write_sent_again_after_the_kill(daemon):
    once, gone = {"op_id": os.urandom(16)}, {"op_id": os.urandom(16)}
    item = {"dtype": "float64", "shape": [], "data": struct.pack("d", 1)}
    with Raw(daemon.path) as raw:
        first = raw.call("put", name="x", **item, **once)
        raw.put([2], name="y")
        raw.call("delete", name="y", **gone)
    daemon.restart9()
    with Raw(daemon.path) as raw:
        assert raw.call("put", name="x", **item, **once, retry_ms=500)["id"] == first["id"]
        assert raw.call("delete", name="y", **gone, retry_ms=500) is None
        # what it never saw is done now
        raw.call("put", name="z", **item, op_id=os.urandom(16), retry_ms=500)


def test_arrays_mapped_before_stay_readable(daemon):
    bits = random.Random(8).randbytes(MIB)
    with Raw(daemon.path) as raw:
        create(raw, "x", bits, 1)
        opened = raw.call("open", name="x", handle=2, map=True)
        with mmap.mmap(raw.fds[0], opened["n_bytes"], access=mmap.ACCESS_READ) as memory:
            def look():
                return memory[opened["offset"]:opened["offset"] + MIB] == bits

            daemon.kill9()
            assert look()
            daemon.start()
            assert look()
            with Raw(daemon.path) as other:
                other.call("delete", name="x")
                create(other, "y", bytes(MIB), 1)
            assert look()


def start_refused(daemon):
    """Start it; it must exit with 78. What it said."""
    process = subprocess.run([kit.DAEMON, "--socket", daemon.socket],
                             capture_output=True, text=True, timeout=30, check=False)
    assert process.returncode == EX_CONFIG, process.stderr
    return process.stderr


def contents(daemon):
    return {name: hashlib.sha256((daemon.shm_directory / name).read_bytes()).hexdigest()
            for name in daemon.shm()}


def catalog_of(daemon):
    names = [name for name in daemon.shm() if "catalog" in name]
    assert len(names) == 1, daemon.shm()
    return daemon.shm_directory / names[0]


@pytest.mark.parametrize("damage", ["a flipped bit in the header", "a flipped bit in a record",
                                    "a newer version", "no catalog", "an empty catalog"])
def test_a_catalog_that_cannot_be_trusted(daemon, damage):
    """Nothing is written, nothing removed, and a person is told."""
    with Raw(daemon.path) as raw:
        create(raw, "x", b"\1" * MIB, 1)
        raw.put([1], name="y")
    daemon.kill9()
    path = catalog_of(daemon)
    good = path.read_bytes()
    if damage == "no catalog":
        path.unlink()
    elif damage == "an empty catalog":
        os.truncate(path, 0)
    else:
        # magic first, then the version; records behind the header hold the names
        where = {"a flipped bit in the header": 0, "a newer version": 8,
                 "a flipped bit in a record": good.index(b"x", 64)}[damage]
        with open(path, "r+b") as file:
            file.seek(where)
            file.write(bytes([good[where] ^ 0x40]))
    before = contents(daemon)
    assert "catalog" in start_refused(daemon)
    assert contents(daemon) == before
    path.write_bytes(good)
    path.chmod(0o600)
    daemon.start()
    with Raw(daemon.path) as raw:
        assert read(raw, "x", 1) == b"\1" * MIB


def test_a_segment_that_vanished_is_lost_and_said_so(daemon):
    with Raw(daemon.path) as raw:
        create(raw, "x", b"\1" * MIB, 1)
        inode = os.fstat(raw.fds[0]).st_ino
        create(raw, "y", b"\2" * MIB, 2)
    daemon.kill9()
    for name in daemon.shm():
        path = daemon.shm_directory / name
        if path.stat().st_ino == inode:
            path.unlink()
    daemon.start()
    with Raw(daemon.path) as raw:
        assert raw.call("stat")["lost"] == 1
        assert raw.refusal("open", name="x", handle=1).code == "lost"
        assert raw.refusal("put", dtype="bool", shape=[], data=b"\1", name="x").code in (
            "lost", "name_taken")
        assert read(raw, "y", 1) == b"\2" * MIB
        raw.call("delete", name="x")
        assert raw.refusal("open", name="x", handle=2).code == "not_found"
        assert raw.call("stat")["lost"] == 0


@pytest.mark.kill
def test_lost_names_are_listed_to_who_asks_for_them(daemon):
    """and who does not know the key sees what it saw before"""
    with Raw(daemon.path) as raw:
        for i in range(3):
            create(raw, f"x/{i}", b"\1" * MIB, i + 1)
        raw.put([1], name="x/kept")
        assert raw.call("list", lost=True) == raw.call("list")
        assert raw.call("list")["lost"] == 0
    daemon.lose_segments()
    with Raw(daemon.path) as raw:
        plain = raw.call("list")
        assert [row["name"] for row in plain["tensors"]] == ["x/kept"]
        assert plain["lost"] == 3 and not plain["more"]
        rows = raw.call("list", lost=True)["tensors"]
        assert rows[3] == plain["tensors"][0] and "lost" not in rows[3]
        assert rows[0] == {"name": "x/0", "lost": "memory_missing", "dtype": "bool",
                           "shape": [MIB], "nbytes": MIB}
        page = raw.call("list", lost=True, prefix="x/", after="x/0", limit=2)
        assert page == {"tensors": rows[1:3], "more": True, "lost": 3}
        assert raw.call("list", limit=1)["more"] is False
        [user] = raw.call("stat")["users"]
        assert (user["names"], user["lost"]) == (1, 3)
        for row in rows[:3]:
            raw.call("delete", name=row["name"])
        assert raw.call("list", lost=True) == plain | {"lost": 0}


def test_one_daemon_at_a_time(daemon):
    """The second one leaves, and the first does not notice."""
    with Raw(daemon.path) as raw:
        create(raw, "x", b"\1" * MIB, 1)
        second = subprocess.run([kit.DAEMON, "--socket", daemon.socket],
                                capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode != 0 and second.stderr
        assert raw.call("ping") == "pong"
    with Raw(daemon.path) as raw:
        assert read(raw, "x", 1) == b"\1" * MIB
