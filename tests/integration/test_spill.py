# SPDX-License-Identifier: MIT
"""Named tensors that nobody uses move to --spill-dir where memory runs out, and back when they are
used: what is named is always there, as it was, and says so."""
import contextlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import kit
import users
from raw import Raw, Refused, eventually

MIB = 1 << 20
N = MIB // 4  # elements: 2 MiB, so that workers give them back
LIMIT = 9 * 8 * N  # of memory
N_NAMES = 16  # twice as many as fit
PAGE = 4096


@pytest.fixture
def directory():
    path = Path(tempfile.mkdtemp(prefix="td-spill-"))
    yield path / "files"
    with contextlib.suppress(FileNotFoundError):
        assert list((path / "files").iterdir()) == [], "files were left"
    shutil.rmtree(path)


def spilling(directory):
    """Options: there, on however full a disk."""
    return "--spill-dir", str(directory), "--spill-limit", "1G"


@pytest.fixture
def daemon(make_own_daemon, directory):
    daemon = make_own_daemon("--memory", str(LIMIT), *spilling(directory))
    yield daemon
    # before the directory is looked at
    daemon.finish()
    daemon.has_ended = True


def make(raw, i, n=N, **keys):
    """A tensor that a generator of that seed makes, as the name a<i>."""
    return raw.call("run", inputs=[], nodes=[
        ["random_uniform", [], {"shape": [n], "dtype": "float64", "seed": i}]],
        outputs=[{"value": 0, "name": f"a{i}", **keys}])["outputs"][0]


def check(raw, *numbers):
    """They are what was made: compared beside them, in one request."""
    nodes, inputs = [], [{"name": f"a{i}"} for i in numbers]
    outputs = []
    for k, i in enumerate(numbers):
        at = len(inputs) + len(nodes)
        nodes += [["random_uniform", [], {"shape": [N], "dtype": "float64", "seed": i}],
                  ["equal", [k, at], {}], ["all", [at + 1], {"axes": [0]}]]
        outputs.append({"value": at + 2})
    for made in raw.call("run", inputs=inputs, nodes=nodes, outputs=outputs)["outputs"]:
        assert made["data"] == b"\1"


def listed(raw):
    rows = raw.call("list", prefix="a")["tensors"]
    return {row["name"]: row.get("spilled", False) for row in rows}


def files(directory):
    """Of tensors, finished or not."""
    return sorted(path for path in directory.iterdir() if not path.name.startswith(".tensord"))


def fill(raw, count=N_NAMES):
    for i in range(count):
        make(raw, i)


def test_more_than_fits(daemon, directory):
    with Raw(daemon.path) as raw:
        fill(raw)
        memory = raw.call("stat")["memory"]
        assert memory["used"] <= memory["limit"] == LIMIT
        names = listed(raw)
        assert len(names) == N_NAMES
        n_spilled = sum(names.values())
        assert n_spilled >= N_NAMES // 2
        # the longest unused went first
        assert [names[f"a{i}"] for i in range(N_NAMES)] == [True] * n_spilled + \
            [False] * (N_NAMES - n_spilled)
        eventually(lambda: len(files(directory)) == n_spilled, what="the files")
        assert memory["spilled"] == n_spilled * (8 * N + PAGE)
        assert raw.call("stat")["users"][0]["spilled"] == memory["spilled"]
        for i in (*range(N_NAMES), *reversed(range(N_NAMES))):
            check(raw, i)
        check(raw, 0, 1, 2)
        assert raw.call("stat")["lost"] == 0


def run_small(raw, name, value):
    raw.call("run", inputs=[], nodes=[["full", [], {"shape": [PAGE], "dtype": "uint8",
                                                    "value": value}]],
             outputs=[{"value": 0, "name": name}], wait_ms=20000)


def put_small(raw, name, value):
    raw.call("put", dtype="uint8", shape=[PAGE], data=bytes([value]) * PAGE, name=name,
             wait_ms=20000)


@pytest.mark.parametrize("make_small", [run_small, put_small])
def test_small_ones_wait_for_it(daemon, make_small):
    """what is small, or only named, waits for what moves to the disk, however it is made"""
    with Raw(daemon.path, timeout=60) as raw:  # what it says after wait_ms is heard, too
        fill(raw, 8)
        before = raw.call("stat")["memory"]["spilled"]
        for i in range(1200):
            make_small(raw, f"small{i}", i % 256)
        memory = raw.call("stat")["memory"]
        assert memory["spilled"] > before and memory["used"] <= memory["limit"]
        for i in range(0, 1200, 100):
            assert raw.call("open", name=f"small{i}", handle=1)["data"] == bytes([i % 256]) * PAGE
            raw.call("release", handles=[1])


def test_files_are_numpys(daemon, directory):
    with Raw(daemon.path) as raw:
        raw.call("run", inputs=[], nodes=[
            ["random_uniform", [], {"shape": [500, 512], "dtype": "float64", "seed": 3}],
            ["permute_dims", [0], {"axes": [1, 0]}], ["sqrt", [1], {}]],
            outputs=[{"value": 2, "name": "f"}])
        fill(raw, 10)
        [tensor] = raw.call("list", prefix="f")["tensors"]
        assert tensor["spilled"] and "segment" not in tensor
        shapes = {path: np.load(path) for path in files(directory)}
        [array] = [array for array in shapes.values() if array.ndim == 2]
        assert array.shape == (512, 500) and array.flags.f_contiguous
        for path in shapes:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            # the tensor's name has nothing to do with it
            assert re.fullmatch(r"tensord\.[0-9a-f]{32}\.npy", path.name)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        with daemon.connect() as client:
            assert np.array_equal(client.get("f"), array)


def test_told_without_bringing_it_back(daemon):
    with Raw(daemon.path) as raw:
        fill(raw)
        before = listed(raw)
        told = raw.call("stat", name="a0")
        assert told["tensor"]["spilled"] is True and told["segment_bytes"] == 0
        assert told["references"] == 1 and told["tensor"]["shape"] == [N]
        assert raw.call("holders", name="a0")["holders"] == []
        assert raw.call("stat", id=told["tensor"]["id"])["tensor"]["name"] == "a0"
        assert listed(raw) == before
        # by id and by name, to map it
        made = raw.call("open", id=told["tensor"]["id"], handle=1, map=True)
        assert made["segment"] and "spilled" not in made and len(made["fds"]) == 1
        assert raw.call("stat", name="a0")["segment_bytes"] > 8 * N


def test_without_the_option(make_own_daemon):
    daemon = make_own_daemon("--memory", str(LIMIT))
    with Raw(daemon.path) as raw:
        fill(raw, 8)
        error = raw.refusal("run", inputs=[], nodes=[
            ["ones", [], {"shape": [N], "dtype": "float64"}]], outputs=[{"value": 0, "name": "x"}])
        assert error.code == "memory_limit" and error.data["limit"] == LIMIT
        assert not any(listed(raw).values())
        assert raw.call("stat")["memory"]["spilled"] == 0


def test_what_is_used_stays(daemon):
    """handles, loans and mapped arrays keep theirs; who needs more than the rest is told figures"""
    with Raw(daemon.path) as raw:
        for i in range(8):
            make(raw, i, handle=i + 1)
        error = raw.refusal("create", handle=99, dtype="float64", shape=[N])
        assert error.code == "memory_limit" and error.data["asked"] == 8 * N
        assert not any(listed(raw).values())
        raw.call("release", handles=[1])
        made = raw.call("create", handle=99, dtype="float64", shape=[N])
        assert [name for name, is_spilled in listed(raw).items() if is_spilled] == ["a0"]
        # no room to bring it back: the same, and it stays where it is
        error = raw.refusal("open", name="a0", handle=100)
        assert error.code == "memory_limit" and error.data["asked"] == 8 * N
        raw.call("release", handles=[99, 2, 3, 4])
        raw.call("unmap", segments=[made["segment"]])
        check(raw, 0)


def test_deleted_and_replaced(daemon, directory):
    with Raw(daemon.path) as raw:
        fill(raw, 12)
        n_files = len(files(directory))
        assert n_files >= 4
        raw.call("delete", name="a0")
        raw.put([1.0], name="a1", replace=True)
        eventually(lambda: len(files(directory)) == n_files - 2, what="two files fewer")
        assert raw.refusal("open", name="a0", handle=7).code == "not_found"
        assert raw.call("open", name="a1", handle=8)["data"]
        raw.call("create", handle=9, dtype="float64", shape=[4], name="a2", replace=True)
        raw.call("seal", handle=9)
        eventually(lambda: len(files(directory)) == n_files - 3, what="one file fewer")


def test_many_ask_for_one(daemon):
    with Raw(daemon.path) as raw, contextlib.ExitStack() as stack:
        fill(raw)
        others = [stack.enter_context(Raw(daemon.path)) for _ in range(20)]
        msgids = [other.send("open", name="a0", handle=1, map=True) for other in others]
        places = {other.wait(msgid)["segment"] for other, msgid in zip(others, msgids)}
        assert len(places) == 1
        check(raw, 0)
        # and one that leaves while it waits
        gone = Raw(daemon.path)
        gone.send("open", name="a1", handle=1)
        gone.close()
        check(raw, 1)


def test_cancelled_while_it_waits(daemon):
    with Raw(daemon.path) as raw:
        fill(raw)
        for i in range(4):
            msgid = raw.send("run", inputs=[{"name": f"a{i}"}], nodes=[["negative", [0], {}]],
                             outputs=[{"value": 1, "handle": i + 1}], deadline_ms=0 if i % 2 else 1)
            with contextlib.suppress(Exception):
                raw.wait(msgid)
        for i in range(N_NAMES):
            check(raw, i)


def test_wait_and_snapshot(daemon):
    with Raw(daemon.path) as raw:
        fill(raw)
        waited = raw.call("wait", name="a0", wait_ms=10000, handle=1)
        raw.call("release", handles=[1])
        made = raw.call("snapshot", name="a1", result=2, map=True)
        assert waited["segment"] and made["segment"] and made["nbytes"] == 8 * N
        raw.call("release", handles=[2])
        raw.call("unmap", segments=[waited["segment"], made["segment"]])
        raw.call("share", name="a2")
        fill_more = [make(raw, i) for i in range(20, 28)]
        assert len(fill_more) == 8
        shown = {row["name"]: row for row in raw.call("list", prefix="a")["tensors"]}
        assert shown["a2"]["shared"] and shown["a2"]["spilled"]
        check(raw, 2)


def test_repeats(daemon):
    """a repeat of what named it gets a handle, whose bytes come when they are wanted"""
    with Raw(daemon.path) as raw:
        op_id = b"x" * 16
        params = {"inputs": [], "nodes": [
            ["random_uniform", [], {"shape": [N], "dtype": "float64", "seed": 0}]], "op_id": op_id}
        raw.call("run", **params, outputs=[{"value": 0, "name": "a0"}])
        for i in range(1, 12):
            make(raw, i)
        assert listed(raw)["a0"]
        [made] = raw.call("run", **params, outputs=[{"value": 0, "name": "a0", "handle": 5}])[
            "outputs"]
        assert made["spilled"]
        assert raw.call("map", handle=5)["segment"]
        check(raw, 0)


def test_killed(daemon, directory):
    with Raw(daemon.path) as raw:
        fill(raw)
    for turn in range(6):
        with Raw(daemon.path) as raw:
            raw.send("open", name=f"a{turn}", handle=1)
            raw.send("run", inputs=[{"name": f"a{turn + 6}"}], nodes=[["negative", [0], {}]],
                     outputs=[{"value": 1, "name": "b", "replace": True}])
            time.sleep(0.002 * turn)  # at another moment each time
            daemon.kill9()
        daemon.start()
        with Raw(daemon.path) as raw:
            assert raw.call("stat")["lost"] == 0
            names = listed(raw)
            assert len(names) == N_NAMES
            assert len(files(directory)) == sum(
                row.get("spilled", False) for row in raw.call("list")["tensors"])
            for i in range(N_NAMES):
                check(raw, i)


@users.takes_root
@pytest.mark.parametrize("how", ["open", "wait"])
def test_unshared_while_it_comes_back(make_own_daemon, directory, how):
    """Once its owner was told that it is not shared any more, no other user is given it."""
    large = 20 * MIB  # 160 MiB: it takes a while
    daemon = users.open_to_all(
        make_own_daemon("--memory", "480M", "--socket-mode", "0666", *spilling(directory)))
    with users.connect_as(users.ALICE, daemon.path, timeout=60) as alice:
        for _ in range(20):
            make(alice, 0, large, replace=True)
            alice.call("share", name="a0")
            while not listed(alice)["a0"]:
                make(alice, 1, large, replace=True)
                make(alice, 2, large, replace=True)
            with users.connect_as(users.BOB, daemon.path, timeout=60) as bob:
                keys = {"wait_ms": 60_000} if how == "wait" else {}
                asked = bob.send(how, name="a0", owner=users.ALICE, handle=1, map=True, **keys)
                ping = bob.send("ping")
                first = bob.receive()
                if first[1] != ping:
                    assert first[2] is None, first
                    continue  # it was back before that
                alice.call("share", name="a0", shared=False)
                with pytest.raises(Refused) as refused:
                    bob.wait(asked)
                assert refused.value.code == "not_found" and not bob.fds
                break
        else:
            raise AssertionError("each came back at once")
        for i in range(3):
            alice.call("delete", name=f"a{i}")
    daemon.finish()
    daemon.has_ended = True


def test_started_without_it(daemon):
    with Raw(daemon.path) as raw:
        fill(raw)
    daemon.stop()
    ended = subprocess.run([*daemon.command()[:3], "--memory", str(LIMIT)], capture_output=True,
                           text=True, timeout=30, check=False)
    assert ended.returncode == 78 and "--spill-dir" in ended.stderr
    daemon.start()
    with Raw(daemon.path) as raw:
        for i in range(N_NAMES):
            check(raw, i)


def refused_start(daemon, *options):
    """What a daemon says that does not start, with those options, since a person has to look."""
    ended = subprocess.run([*daemon.command(), *options], capture_output=True, text=True,
                           timeout=30, check=False)
    assert ended.returncode == 78, ended.stderr
    return ended.stderr


def test_files_of_another_catalog(daemon, make_own_daemon, directory):
    """are left alone by a daemon of another socket, of another directory, or without the catalog"""
    with Raw(daemon.path) as raw:
        fill(raw)
    names = files(directory)
    other = make_own_daemon()
    other.stop()
    assert "in use by another daemon" in refused_start(other, *spilling(directory))
    daemon.stop()
    assert "another catalog" in refused_start(other, *spilling(directory))
    shm = Path(tempfile.mkdtemp(prefix="td-shm-", dir=daemon.shm_directory))
    try:
        said = refused_start(daemon, "--shm-directory", str(shm))
        assert "another catalog" in said and str(directory) in said
        assert all(name.endswith(".lock") for name in os.listdir(shm))
        catalog = daemon.shm_directory / f"{daemon.prefix}.catalog"
        catalog.rename(shm / "catalog")
        assert "which is missing" in refused_start(daemon)
        (shm / "catalog").rename(catalog)
    finally:
        shutil.rmtree(shm)
    assert files(directory) == names
    daemon.start()
    with Raw(daemon.path) as raw:
        assert raw.call("stat")["lost"] == 0
        for i in range(N_NAMES):
            check(raw, i)


def sums(raw, numbers, **keys):
    """All of these in one request."""
    n = len(numbers)
    return raw.send("run", inputs=[{"name": f"a{i}"} for i in numbers],
                    nodes=[["sum", [i], {"axes": [0]}] for i in range(n)],
                    outputs=[{"value": n + i} for i in range(n)], **keys)


@pytest.mark.parametrize("has_half", [False, True])
def test_two_that_want_more_than_there_is(daemon, has_half):
    """get it one after the other: neither holds half of it while it waits for the rest"""
    with Raw(daemon.path) as raw:
        fill(raw)
        for _ in range(5):
            if has_half:  # of either
                for i in (0, 1, 2, 8, 9, 10):
                    check(raw, i)
            with Raw(daemon.path) as one, Raw(daemon.path) as two:
                waiting = [(one, sums(one, range(6), wait_ms=20000)),
                           (two, sums(two, range(8, 14), wait_ms=20000))]
                for client, msgid in waiting:
                    assert len(client.wait(msgid)["outputs"]) == 6
        # what can never be had is refused, and nothing is kept for it
        msgid = sums(raw, range(10), wait_ms=500)
        with pytest.raises(Refused) as refused:
            raw.wait(msgid)
        assert refused.value.code == "memory_limit"
        check(raw, 15)


def test_nothing_is_free(make_own_daemon, directory):
    """a daemon full to the last page, its catalog too, goes on: what is used takes turns"""
    daemon = make_own_daemon("--memory", "6M", *spilling(directory))
    n = MIB // 8
    with Raw(daemon.path) as raw:
        for i in range(5):
            make(raw, i, n, handle=i + 1)
        for size in (7000, 3000, 1200, 600):
            with pytest.raises(Refused):
                for k in range(1000):
                    make(raw, f"small{size}.{k}", size)
        raw.call("release", handles=list(range(1, 6)))
        make(raw, 5, n)
        for i in range(120):
            raw.call("open", name=f"a{i % 6}", handle=100, map=False)
            raw.call("release", handles=[100])
        memory = raw.call("stat")["memory"]
        assert memory["used"] <= memory["limit"]
        assert raw.call("list", prefix="a")["tensors"][0]["nbytes"] == 8 * n
    daemon.finish()
    daemon.has_ended = True


def test_lost(daemon, directory):
    with Raw(daemon.path) as raw:
        fill(raw, 12)
        spilled = [name for name, is_spilled in listed(raw).items() if is_spilled]
        paths = files(directory)
        assert len(paths) == len(spilled)
        with open(paths[0], "r+b") as file:
            file.seek(100000)
            byte = file.read(1)
            file.seek(100000)
            file.write(bytes([byte[0] ^ 1]))
        errors = []
        for name in spilled:
            try:
                check(raw, int(name[1:]))
            except Exception as error:  # pylint: disable=broad-except
                errors.append((name, error))
        [(name, error)] = errors
        assert error.code == "lost" and name in error.message
        assert raw.call("stat")["lost"] == 1
        assert daemon.read_log().count("missing or damaged, it is lost") == 1
        assert raw.refusal("open", name=name, handle=3).code == "lost"
        page = raw.call("list", lost=True)
        assert page["lost"] == 1 and [row for row in page["tensors"] if "lost" in row] == [
            {"name": name, "lost": "file_damaged", "dtype": "float64", "shape": [N],
             "nbytes": 8 * N}]
        raw.call("delete", name=name)
        assert raw.call("stat")["lost"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
def test_full_disk(make_own_daemon):
    with tempfile.TemporaryDirectory(prefix="td-spill-") as path:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={5 * MIB},mode=700", "tmpfs", path],
                       check=True)
        try:
            daemon = make_own_daemon("--memory", str(LIMIT), *spilling(path))
            with Raw(daemon.path) as raw:
                errors, made = [], []
                for i in range(12):
                    try:
                        make(raw, i)
                        made.append(i)
                    except Exception as error:  # pylint: disable=broad-except
                        errors.append(error)
                # two files fit, with what they make room for
                assert len(made) >= 10 and len(errors) >= 2
                for error in errors:
                    assert error.code == "memory_limit" and error.data["limit"] == LIMIT
                eventually(lambda: len(files(Path(path))) == 2, what="two files")
                assert daemon.read_log().count("the file system is full") == 1
                assert daemon.read_log().count("lies in memory (tmpfs)") == 1
                # to compare takes memory, too
                for i in made[-3:]:
                    raw.call("delete", name=f"a{i}")
                for i in made[:-3]:
                    check(raw, i)
                assert raw.call("stat")["lost"] == 0
            daemon.finish()
            daemon.has_ended = True
            assert files(Path(path)) == []
        finally:
            subprocess.run(["umount", "--lazy", path], check=True)


def test_share_of_the_disk(make_own_daemon, directory):
    """what a user may have there is its own bound, and memory's figures are told beyond it"""
    daemon = make_own_daemon("--memory", str(LIMIT), *spilling(directory),
                             "--quota-spilled", str(5 * MIB))
    with Raw(daemon.path) as raw:
        fill(raw, 10)
        error = raw.refusal("create", handle=1, dtype="float64", shape=[N])
        assert error.code == "memory_limit" and "what" not in error.data
        assert sum(listed(raw).values()) == 2
    daemon.finish()
    daemon.has_ended = True


def test_python_and_tensorctl(daemon, directory, tmp_path):
    arrays = [np.random.default_rng(i).random((500, 500)) for i in range(14)]
    with daemon.connect() as client:
        for i, array in enumerate(arrays):
            client.put(array, name=f"a{i}")
        assert len(files(directory)) >= 4
        for i, array in enumerate(arrays):
            assert np.array_equal(client.get(f"a{i}"), array)
        total = sum(float(client.open(f"a{i}").sum()) for i in range(14))
        assert np.isclose(total, sum(float(array.sum()) for array in arrays))
    done = subprocess.run([kit.BUILD / "bin" / "tensorctl", "--socket", daemon.socket, "save",
                           tmp_path / "saved"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    rows = subprocess.run([kit.BUILD / "bin" / "tensorctl", "--socket", daemon.socket, "ls"],
                          capture_output=True, text=True, timeout=60, check=True).stdout
    with Raw(daemon.path) as raw:
        assert rows.count("* (500, 500)") == sum(listed(raw).values()) > 0
    found = {tuple(np.load(path)[0, :4]) for path in (tmp_path / "saved").rglob("*.npy")}
    assert found == {tuple(array[0, :4]) for array in arrays}


def test_others_are_served(daemon):
    """while tensors go out and come back, the loop answers"""
    with Raw(daemon.path) as raw:
        fill(raw)
        other = Raw(daemon.path)
        times, is_done = [], threading.Event()

        def ping():
            while not is_done.is_set():
                begun = time.perf_counter()
                other.call("ping")
                times.append(time.perf_counter() - begun)

        thread = threading.Thread(target=ping)
        thread.start()
        try:
            for i in range(N_NAMES):
                raw.call("open", name=f"a{i}", handle=1)
                raw.call("release", handles=[1])
        finally:
            is_done.set()
            thread.join()
            other.close()
        assert len(times) > 20 and sorted(times)[len(times) // 2] < 0.05


def test_damage_to_the_directory(make_own_daemon, directory):
    """one that others may read or write is refused"""
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    daemon = make_own_daemon("--memory", str(LIMIT))
    daemon.stop()
    ended = subprocess.run([*daemon.command(), "--spill-dir", str(directory)], capture_output=True,
                           text=True, timeout=30, check=False)
    assert ended.returncode == 78 and "0755" in ended.stderr
    directory.chmod(0o700)
    daemon.has_ended = True
