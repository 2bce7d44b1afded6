# SPDX-License-Identifier: MIT
"""tensorctl save and load: what was named is there again, bit for bit, or told by name why not."""
import fcntl
import json
import os
import resource
import signal
import subprocess

import kit
import numpy
import pytest
from raw import eventually

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float32", "float64", "complex64", "complex128"]


@pytest.fixture
def ctl(daemon):
    """A function that runs tensorctl; what it printed, both ways."""

    def run(*words, status=0, **keys):
        done = subprocess.run([kit.BUILD / "bin" / "tensorctl", "--socket", daemon.socket,
                               *map(str, words)], capture_output=True, text=True, timeout=60,
                              check=False, **keys)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    return run


def random_array(dtype, shape, seed):
    random = numpy.random.default_rng(seed)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    item = numpy.dtype(dtype)
    count = int(numpy.prod(shape, dtype=int))
    array = numpy.frombuffer(random.bytes(count * item.itemsize), item).reshape(shape)
    return array


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def all_kinds():
    arrays = {f"dtypes/{dtype}": random_array(dtype, (3, 5), i) for i, dtype in enumerate(DTYPES)}
    arrays["scalar"] = numpy.array(1.5)
    arrays["empty"] = numpy.zeros((0, 4), "float32")
    arrays["large"] = random_array("float64", (300, 1000), 1)
    arrays["columns"] = numpy.asfortranarray(random_array("int32", (40, 50), 2))
    arrays["swapped"] = random_array("int16", (4, 5, 6), 3).transpose(1, 0, 2)
    for name in ("a/b/c", "../up", ".hidden", "MANIFEST", "per%20cent", "per cent", "größe 大",
                 "x.npy", "x.1", 'quote"\\', "-", "a\u2028b", "n" * 255, "n" * 254 + "m",
                 "ü" * 127, "%" * 255):
        arrays[name] = numpy.array([float(len(arrays))])
    return arrays


def test_everything_comes_back(client, ctl, daemon, tmp_path):
    arrays = all_kinds()
    for name, array in arrays.items():
        client.put(array, name)
    client.put(numpy.arange(6.0).reshape(2, 3), "m", mutable=True)
    client.put(numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)), "mf", mutable=True)
    with daemon.raw() as raw:
        raw.call("share", name="scalar")
        raw.call("share", name="large")
    saved = json.loads(ctl("--json", "save", tmp_path / "new"))
    assert saved == {"tensors": len(arrays) + 2, "failed": 0}
    files = list((tmp_path / "new").iterdir())
    assert len(files) == len(arrays) + 3
    assert all(path.name == "MANIFEST" or numpy.load(path) is not None for path in files)
    daemon.delete_all()
    assert ctl("load", tmp_path / "new") == f"{len(arrays) + 2} tensors\n"
    for name, array in arrays.items():
        assert same_bits(client.get(name), array), name
        assert not client.open(name).is_mutable
    assert client.get("columns").flags.f_contiguous
    for name in "m", "mf":
        assert client.open(name).is_mutable
        assert client.open(name)[...].tolist() == [[0, 1, 2], [3, 4, 5]]
    with daemon.raw() as raw:
        for name in arrays:
            shared = raw.call("stat", name=name)["tensor"].get("shared", False)
            assert shared is (name in ("scalar", "large")), name


def test_names_in_use(client, ctl, tmp_path):
    client.put(numpy.array([1.0]), "a")
    client.put(numpy.array([2.0]), "b")
    ctl("save", tmp_path)
    client.delete("a")
    client.put(numpy.array([3.0]), "b", replace=True)
    told = ctl("load", tmp_path, status=1)
    assert "'b': name_taken" in told and "1 of 2" in told
    assert client.get("a")[0] == 1 and client.get("b")[0] == 3
    ctl("load", "--replace", tmp_path)
    assert client.get("a")[0] == 1 and client.get("b")[0] == 2


def test_a_prefix_leaves_the_others(client, ctl, tmp_path):
    for name in "a/1", "a/2", "b/1":
        client.put(numpy.array([1.0]), name)
    assert ctl("save", tmp_path, "a/") == "2 tensors\n"
    assert ctl("save", tmp_path, "b/") == "1 tensors\n"
    client.delete("a/2")
    assert ctl("save", tmp_path, "a/") == "1 tensors\n"
    assert sorted(p.name for p in tmp_path.glob("*.npy")) == ["a%2F1.1.npy", "b%2F1.npy"]
    for name in "a/1", "b/1":
        client.delete(name)
    assert ctl("load", tmp_path) == "2 tensors\n"


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage, says", [
    (lambda path: flip(path, -3), "not as it was saved"),
    (lambda path: os.truncate(path, path.stat().st_size - 8), "bytes"),
    (lambda path: os.truncate(path, 20), "ends within its header"),
    (lambda path: flip(path, 2), "does not begin"),
    (lambda path: path.unlink(), "No such file"),
    (lambda path: path.write_bytes(path.read_bytes() + b"more"), "were saved"),
    (lambda path: (path.unlink(), os.symlink("/etc", path)), "no regular file"),
])
def test_a_damaged_file_is_refused_by_name(client, ctl, tmp_path, damage, says):
    for name in "one", "two", "three":
        client.put(numpy.arange(1000.0), name)
    ctl("save", tmp_path)
    for name in "one", "two", "three":
        client.delete(name)
    damage(tmp_path / "two.npy")
    told = ctl("load", tmp_path, status=1)
    assert "'two'" in told and says in told
    assert [row.name for row in client.list()] == ["one", "three"]


def test_every_prefix_of_a_manifest(client, ctl, tmp_path):
    client.put(numpy.arange(10.0), "one")
    client.put(numpy.arange(10.0), "two")
    ctl("save", tmp_path)
    manifest = tmp_path / "MANIFEST"
    whole = manifest.read_bytes()
    client.delete("one")
    client.delete("two")
    for bad in [*(whole[:n] for n in range(0, len(whole) - 1, 7)), whole + b"x\n",
                whole.replace(b"archive 1", b"archive 2"), whole.replace(b"one.npy", b"../one.npy"),
                whole.replace(b"\tone\n", b"\t" + b"o" * 300 + b"\n")]:
        manifest.write_bytes(bad)
        assert "MANIFEST: is no whole manifest" in ctl("load", tmp_path, status=1)
        assert client.list() == []
    manifest.write_bytes(whole)
    ctl("load", tmp_path)


def test_what_cannot_be_saved_is_told_and_what_was_stays(client, ctl, daemon, tmp_path):
    client.put(numpy.arange(10.0), "m", mutable=True)
    client.put(numpy.arange(10.0), "other")
    ctl("save", tmp_path)
    with daemon.raw() as raw:
        raw.call("lease", name="m", lease=1, writable=True)
    with daemon.raw() as raw:
        eventually(lambda: raw.call("stat", name="m")["tensor"]["torn"], what="it is torn")
    told = ctl("save", tmp_path, status=1)
    assert "'m': torn" in told and "1 of 2" in told
    daemon.delete_all()
    assert ctl("load", tmp_path) == "2 tensors\n"
    assert client.open("m")[3:4].tolist() == [3.0]


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_save_that_does_not_fit_changes_nothing(client, ctl, daemon, tmp_path):
    client.put(numpy.arange(10.0), "a")
    client.put(numpy.arange(1000.0), "b")
    ctl("save", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    client.put(numpy.arange(20.0), "a", replace=True)
    client.put(numpy.arange(9000.0), "b", replace=True)
    told = ctl("save", tmp_path, status=1, preexec_fn=limit_files)
    assert "b.1.npy" in told and "File too large" in told
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    daemon.delete_all()
    ctl("load", tmp_path)
    assert len(client.get("a")) == 10


def test_no_room_on_the_disk(client, ctl, mount_tmpfs):
    small = mount_tmpfs("256k")
    client.put(numpy.arange(1000.0), "a")
    ctl("save", small)
    client.put(numpy.arange(100_000.0), "b")
    assert "No space left" in ctl("save", small, status=1)
    assert sorted(path.name for path in small.iterdir()) == ["MANIFEST", "a.npy"]
    client.delete("b")
    ctl("save", small)
    client.delete("a")
    ctl("load", small)
    assert len(client.get("a")) == 1000


def test_one_at_a_time(client, ctl, tmp_path):
    client.put(numpy.arange(10.0), "a")
    ctl("save", tmp_path)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert "another process" in ctl("save", tmp_path, status=1)
    ctl("load", "--replace", tmp_path)
    os.close(fd)
    ctl("save", tmp_path)


def test_places_that_are_none(ctl, tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in ctl("save", tmp_path / "file", status=1)
    assert "No such file" in ctl("save", tmp_path / "no" / "where", status=1)
    assert "No such file" in ctl("load", tmp_path / "nowhere", status=1)
    assert "MANIFEST" in ctl("load", tmp_path, status=1)
    ctl("save", status=64)


@pytest.mark.kill
def test_killed_while_saving(client, daemon, ctl, tmp_path):
    """What was saved before stays whole, or the new one is."""
    for i in range(20):
        client.put(numpy.full(50_000, 1.0), f"t{i}")
    ctl("save", tmp_path)
    for turn in range(12):
        for i in range(20):
            client.put(numpy.full(50_000, turn + 2.0), f"t{i}", replace=True)
        process = subprocess.Popen([kit.BUILD / "bin" / "tensorctl", "--socket", daemon.socket,
                                    "save", tmp_path], stdout=subprocess.DEVNULL)
        eventually(lambda: process.poll() is not None or len(list(tmp_path.iterdir())) > 21 + turn,
                   what="it is in the middle of it")
        process.kill()
        process.wait()
        assert ctl("load", "--replace", tmp_path) == "20 tensors\n"
        assert len({client.get(f"t{i}")[0] for i in range(20)}) == 1
