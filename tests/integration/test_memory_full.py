# SPDX-License-Identifier: MIT
"""Memory that is not there is an error with figures, and costs nothing: the daemon's own limit, and
a shared memory file system without room."""
import mmap
import os

import pytest

from raw import Raw, eventually

MIB = 1 << 20


def segment_files(daemon):
    """(files, bytes allocated) of its objects"""
    while True:
        try:
            found = [(daemon.shm_directory / name).stat() for name in daemon.shm()]
        except FileNotFoundError:
            continue  # one went in between
        return len(found), sum(stat.st_blocks * 512 for stat in found)


def ones(n_bytes, **output):
    return {"inputs": [], "nodes": [["ones", [], {"shape": [n_bytes // 8], "dtype": "float64"}]],
            "outputs": [{"value": 0, **output}]}


@pytest.fixture(scope="module")
def limited(make_daemon):
    return make_daemon("--memory", "64M")


REQUESTS = {
    "create": ("create", {"handle": 1, "dtype": "float64", "shape": [128 * MIB // 8]}),
    "create with a name": ("create", {"handle": 1, "dtype": "float64", "shape": [128 * MIB // 8],
                                      "name": "large"}),
    "run": ("run", ones(128 * MIB, handle=1)),
    "run with a name": ("run", ones(128 * MIB, name="large")),
    "value in between": ("run", {
        "inputs": [], "nodes": [["ones", [], {"shape": [128 * MIB // 8], "dtype": "float64"}],
                                ["negative", [0], {}], ["matmul", [1, 1], {}]],
        "outputs": [{"value": 2}]}),
    "a terabyte": ("create", {"handle": 1, "dtype": "float64", "shape": [1 << 37]}),
}


def is_left_alone(raw):
    memory = raw.call("stat")["memory"]
    return memory["live"] == memory["held"] == 0


@pytest.mark.parametrize("name", REQUESTS)
def test_beyond_the_limit(limited, name):
    method, params = REQUESTS[name]
    with Raw(limited.path) as raw:
        eventually(lambda: is_left_alone(raw), what="what others had")
        before, files = raw.call("stat"), segment_files(limited)
        error = raw.refusal(method, **params)
        assert error.code == "memory_limit"
        assert error.data["limit"] == 64 * MIB
        assert error.data["asked"] >= 128 * MIB
        assert error.data["used"] == before["memory"]["used"]
        for figure in ("asked", "used", "limit"):
            assert str(error.data[figure]) in error.message or figure in error.message
        after = raw.call("stat")
        assert after["memory"] == before["memory"] and after["names"] == before["names"]
        assert segment_files(limited) == files
        # what fits is still served, under the same handle and name
        raw.call("create", handle=1, dtype="float64", shape=[MIB], name="large")
        raw.call("seal", handle=1)
        raw.call("delete", name="large")


def test_filled_by_many(limited):
    """64 MiB hold no 70 tensors of 1 MiB; when some go, others fit"""
    with Raw(limited.path) as raw:
        eventually(lambda: raw.call("stat")["memory"]["held"] == 0, what="what others mapped")
        n_made = 0
        while True:
            try:
                raw.call("create", handle=n_made + 1, dtype="bool", shape=[MIB])
            except Exception as error:
                assert error.code == "memory_limit", error
                break
            n_made += 1
            for fd in raw.fds:
                os.close(fd)
            raw.fds.clear()
        assert 50 <= n_made < 64
        stat = raw.call("stat")["memory"]
        assert stat["used"] <= stat["limit"] == 64 * MIB
        for handle in range(1, 11):
            raw.call("seal", handle=handle)
        raw.call("release", handles=list(range(1, 11)))
        raw.call("create", handle=1, dtype="bool", shape=[MIB])
    with Raw(limited.path) as raw:
        eventually(lambda: raw.call("stat")["memory"]["live"] == 0, what="the client's memory")


@pytest.fixture
def small_file_system(mount_tmpfs):
    return mount_tmpfs("16m")


def test_file_system_full(small_file_system, make_own_daemon):
    daemon = make_own_daemon("--memory", "1G", "--shm-directory", str(small_file_system))
    with Raw(daemon.path) as raw:
        raw.call("run", **ones(2 * MIB, name="kept"))
        before, files = raw.call("stat")["memory"], segment_files(daemon)
        for method, params in (("create", {"handle": 1, "dtype": "float64",
                                           "shape": [4 * MIB], "name": "large"}),
                               ("run", ones(32 * MIB, name="large"))):
            error = raw.refusal(method, **params)
            assert error.code == "shm_full"
            after = raw.call("stat")["memory"]
            assert after == before
            assert segment_files(daemon) == files
        # what fits is served, and writing to it is no SIGBUS
        made = raw.call("create", handle=1, dtype="float64", shape=[MIB], name="fits")
        with mmap.mmap(raw.fds[0], made["n_bytes"]) as memory:
            memory[made["offset"]:made["offset"] + 8 * MIB] = b"\1" * (8 * MIB)
        raw.call("seal", handle=1)
        assert {row["name"] for row in raw.call("list")["tensors"]} == {"fits", "kept"}
        # somebody else fills the rest: what was reserved stays good
        with open(small_file_system / "other", "wb") as other:
            with pytest.raises(OSError):
                while True:
                    other.write(bytes(MIB))
                    other.flush()
        assert raw.refusal("create", handle=2, dtype="float64", shape=[MIB]).code == "shm_full"
        total = raw.run([["sum", [0], {}]], [{"name": "kept"}])[0]
        assert total["shape"] == []
        os.unlink(small_file_system / "other")
