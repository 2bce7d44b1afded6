# SPDX-License-Identifier: MIT
"""tensorctl, the C example, and an installed libtensord."""

import json
import os
import shutil
import subprocess

import kit
import numpy
import pytest
from raw import eventually, leave_endless


@pytest.fixture(scope="module")
def daemon(make_daemon):
    return make_daemon()


@pytest.fixture
def ctl(daemon):
    """A function that runs tensorctl and returns its standard output; `ctl.error` is the other."""

    def run(*words, status=0, socket=daemon.socket):
        done = subprocess.run(
            [kit.BUILD / "bin" / "tensorctl", "--socket", socket, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        run.error = done.stderr
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    return run


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (30, 50, 7)])
@pytest.mark.parametrize("order", "CF")
def test_files_go_and_come_back(ctl, tmp_path, dtype, shape, order):
    array = numpy.asarray(
        (numpy.arange(numpy.prod(shape, dtype=int)) % 100).reshape(shape), dtype, order
    )
    numpy.save(tmp_path / "in.npy", array)
    ctl("put", "--replace", tmp_path / "in.npy", "some/array")
    ctl("get", "some/array", tmp_path / "out.npy")
    back = numpy.load(tmp_path / "out.npy")
    assert back.dtype == array.dtype and back.shape == array.shape
    assert (back == array).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy", "out.npy"]
    ctl("rm", "some/array")


def test_version(ctl, daemon):
    with daemon.connect() as client:
        assert ctl("--version") == f"tensorctl {client.stat()['version']}\n"


def test_names_and_figures(ctl, tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.ones((200, 300)))
    name = 'quote " and ü'
    ctl("put", tmp_path / "a.npy", name)
    ctl("put", tmp_path / "a.npy", "other")
    assert [row["name"] for row in json.loads(ctl("--json", "ls"))] == ["other", name]
    row = json.loads(ctl("--json", "ls", "quote"))[0]
    assert (row["dtype"], row["shape"], row["nbytes"]) == ("float64", [200, 300], 480000)
    assert name in ctl("ls") and "(200, 300)" in ctl("ls")
    figures = json.loads(ctl("--json", "stat"))
    assert figures["names"] == 2 and figures["memory"]["live"] >= 960000
    assert "limit:" in ctl("stat")
    assert json.loads(ctl("--json", "stat", "other"))["tensor"]["shape"] == [200, 300]
    ops = {row["name"] for row in json.loads(ctl("--json", "ops"))}
    assert {"add", "matmul", "lstsq", "loop"} <= ops
    assert "matmul" in ctl("ops")
    assert json.loads(ctl("--json", "rm", name)) == {"removed": 1}
    assert json.loads(ctl("--json", "ping"))["socket"]
    assert json.loads(ctl("--json", "purge")) == {"names": 1}
    assert json.loads(ctl("--json", "ls")) == []


def test_errors_have_their_status(ctl, tmp_path):
    ctl("rm", "nothing", status=1)
    assert ctl.error.startswith("tensorctl: not_found: ")
    ctl("get", "nothing", tmp_path / "x.npy", status=1)
    assert not list(tmp_path.iterdir())
    ctl("frobnicate", status=64)
    ctl(status=64)
    ctl("put", "one", status=64)
    ctl("--colour", "ls", status=64)
    ctl("ping", socket=str(tmp_path / "nobody"), status=69)
    assert "no_daemon" in ctl.error
    assert "tensorctl get model/weights copy.npy" in ctl("--help")


def test_name_in_use(ctl, tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.ones(3))
    ctl("put", tmp_path / "a.npy", "x")
    ctl("put", tmp_path / "a.npy", "x", status=1)
    assert "name_taken" in ctl.error
    ctl("put", "--replace", tmp_path / "a.npy", "x")
    ctl("rm", "x")


@pytest.mark.parametrize(
    "array, code, named",
    [
        (numpy.array([1, "a", None], dtype=object), "unsupported_dtype", "|O"),
        (numpy.zeros(3, ">f8"), "unsupported_dtype", ">f8"),
        (numpy.zeros(3, "f2"), "unsupported_dtype", "<f2"),
        (numpy.zeros(3, [("x", "f8")]), "unsupported_dtype", "records"),
        (None, "bad_file", "header"),
    ],
)
def test_files_that_are_no_tensor(ctl, tmp_path, array, code, named):
    path = tmp_path / "a.npy"
    if array is None:
        numpy.save(path, numpy.zeros(100))
        path.write_bytes(path.read_bytes()[:-1])
    else:
        numpy.save(path, array)
    ctl("put", path, "x", status=1)
    assert code in ctl.error and named in ctl.error
    assert json.loads(ctl("--json", "ls")) == []


@pytest.mark.kill
def test_purge_of_what_a_killed_daemon_left(make_own_daemon, ctl, tmp_path):
    daemon = make_own_daemon()
    numpy.save(tmp_path / "a.npy", numpy.ones(100000))
    ctl("put", tmp_path / "a.npy", "x", socket=daemon.socket)
    daemon.kill9()
    daemon.has_ended = True
    assert daemon.shm()
    said = json.loads(ctl("--json", "purge", socket=daemon.socket))
    assert said["objects"] >= 2 and said["bytes"] >= 800000
    assert not daemon.shm()


def test_purge_leaves_a_silent_daemon_alone(make_own_daemon, ctl, tmp_path):
    daemon = make_own_daemon()
    numpy.save(tmp_path / "a.npy", numpy.ones(100000))
    ctl("put", tmp_path / "a.npy", "x", socket=daemon.socket)
    before = daemon.shm()
    os.rename(daemon.socket, daemon.socket + ".away")
    ctl("purge", socket=daemon.socket, status=69)
    assert daemon.shm() == before
    os.rename(daemon.socket + ".away", daemon.socket)
    ctl("purge", socket=daemon.socket)


@pytest.mark.kill
def test_lost_names_are_shown_and_removed(own_daemon, ctl, tmp_path):
    daemon, saved = own_daemon, tmp_path / "saved"
    numpy.save(tmp_path / "a.npy", numpy.arange(60_000.0).reshape(200, 300))
    numpy.save(tmp_path / "b.npy", numpy.ones(3))
    for name in "lost", "other":
        ctl("put", tmp_path / "a.npy", name, socket=daemon.socket)
    ctl("put", tmp_path / "b.npy", "kept", socket=daemon.socket)
    ctl("save", saved, socket=daemon.socket)
    daemon.lose_segments()

    rows = json.loads(ctl("--json", "ls", socket=daemon.socket))
    assert [(row["name"], row.get("lost")) for row in rows] == [
        ("kept", None), ("lost", "memory_missing"), ("other", "memory_missing")]
    assert rows[1] == {"name": "lost", "dtype": "float64", "shape": [200, 300], "nbytes": 480000,
                       "id": None, "lost": "memory_missing"}
    lines = ctl("ls", socket=daemon.socket).splitlines()
    assert len(lines) == 3 and "lost:" not in lines[0]
    assert lines[1].split() == ["float64", "480000!", "(200,", "300)", "lost", "(lost:",
                                "memory_missing)"]
    # what was saved before it was lost stays saved
    ctl("save", saved, status=1, socket=daemon.socket)
    assert "'lost': lost" in ctl.error and "2 of 3" in ctl.error
    ctl("rm", "lost", socket=daemon.socket)
    assert "lost" not in ctl("ls", "lost", socket=daemon.socket)
    assert ctl("load", "--replace", saved, socket=daemon.socket) == "3 tensors\n"
    ctl("get", "lost", tmp_path / "back.npy", socket=daemon.socket)
    assert (numpy.load(tmp_path / "back.npy") == numpy.load(tmp_path / "a.npy")).all()
    daemon.lose_segments()
    assert json.loads(ctl("--json", "purge", socket=daemon.socket)) == {"names": 3}
    with daemon.raw() as raw:
        assert raw.call("list", lost=True) == {"tensors": [], "more": False, "lost": 0}


def spill(make_own_daemon, directory):
    """A daemon with tensors in files there."""
    daemon = make_own_daemon("--memory", "6M", "--spill-dir", str(directory),
                             "--spill-limit", "1G")
    with daemon.raw() as raw:
        for i in range(8):
            raw.call("run", inputs=[], nodes=[["ones", [], {"shape": [1 << 17],
                                                            "dtype": "float64"}]],
                     outputs=[{"value": 0, "name": f"a{i}"}])
    assert len(spilled(directory)) >= 3
    return daemon


def kill(daemon):
    daemon.kill9()
    daemon.has_ended = True
    return daemon


def spilled(directory):
    return sorted(path.name for path in directory.glob("tensord.*"))


def contents(daemon, directory):
    """What a purge that is refused leaves as it was."""
    return sorted(daemon.shm()), sorted(path.name for path in directory.iterdir())


@pytest.mark.kill
def test_purge_of_spilled_tensors(make_own_daemon, ctl, tmp_path):
    directory = tmp_path / "files"
    daemon = kill(spill(make_own_daemon, directory))
    (directory / f"tensord.{'0' * 32}.part").write_bytes(bytes(5000))
    (directory / ".tensord.new").write_bytes(b"half")
    names = spilled(directory)
    n_bytes = sum((directory / name).stat().st_blocks * 512 for name in names)
    said = json.loads(ctl("--json", "purge", "--spill-dir", directory, socket=daemon.socket))
    assert said["objects"] >= 2 and said["bytes"] > 0
    assert said["spilled"] == {"files": len(names), "bytes": n_bytes, "left": []}
    assert not daemon.shm() and not list(directory.iterdir())
    daemon.start()
    daemon.has_ended = False
    assert json.loads(ctl("--json", "ls", socket=daemon.socket)) == []


@pytest.mark.kill
def test_purge_leaves_strangers_files(make_own_daemon, ctl, tmp_path):
    directory = tmp_path / "files"
    daemon = kill(spill(make_own_daemon, directory))
    n_files = len(spilled(directory))
    (tmp_path / "else").write_text("else")
    link = f"tensord.{'1' * 32}.npy"
    (directory / link).symlink_to(tmp_path / "else")
    (directory / f"tensord.{'2' * 32}.npy").mkdir()
    strangers = ["notes\n.txt", "tensord.12.npy", f"tensord.{'A' * 32}.npy",
                 f"tensord.{'a' * 32}.npz", f"tensord.{'a' * 33}.npy"]
    for name in strangers:
        (directory / name).write_text("mine")
    left = {**dict.fromkeys(strangers, "stranger"), link: "no_file",
            f"tensord.{'2' * 32}.npy": "no_file"}
    said = json.loads(ctl("--json", "purge", "--spill-dir", directory, socket=daemon.socket))
    assert said["spilled"]["files"] == n_files
    assert {row["name"]: row["why"] for row in said["spilled"]["left"]} == left
    assert sorted(path.name for path in directory.iterdir()) == sorted(left)
    assert (tmp_path / "else").read_text() == "else"
    said = ctl("purge", "--spill-dir", directory, socket=daemon.socket)
    assert f"{directory}: removed 0 files, 0 bytes; left 7\n" in said
    assert '  "tensord.12.npy": no file that a daemon made\n' in said
    assert "notes\n" not in said  # it makes no line of its own


@pytest.mark.kill
def test_purge_leaves_files_of_another_catalog(make_own_daemon, ctl, tmp_path):
    directory = tmp_path / "files"
    daemon, other = kill(spill(make_own_daemon, directory)), kill(make_own_daemon())
    for why in ("other_catalog", "no_owner"):
        before = contents(daemon, directory)
        said = json.loads(ctl("--json", "purge", "--spill-dir", directory, socket=other.socket))
        assert (said["spilled"]["files"], said["spilled"]["bytes"]) == (0, 0)
        assert {row["name"]: row["why"] for row in said["spilled"]["left"]} == \
            dict.fromkeys(before[1], why)
        assert not other.shm() and contents(daemon, directory) == before
        if why == "other_catalog":
            (directory / ".tensord").rename(tmp_path / "owner")
    (tmp_path / "owner").rename(directory / ".tensord")
    daemon.start()
    daemon.has_ended = False
    assert len(json.loads(ctl("--json", "ls", socket=daemon.socket))) == 8
    with daemon.raw() as raw:
        assert raw.call("stat")["lost"] == 0


@pytest.mark.kill
def test_purge_leaves_what_a_running_daemon_spilled(make_own_daemon, ctl, tmp_path):
    directory = tmp_path / "files"
    daemon, dead = spill(make_own_daemon, directory), kill(make_own_daemon())
    before, of_dead = contents(daemon, directory), dead.shm()
    purge = "purge", "--spill-dir", directory
    ctl(*purge, socket=daemon.socket, status=1)
    assert "bad_arguments" in ctl.error and "a daemon is running" in ctl.error
    os.rename(daemon.socket, daemon.socket + ".away")
    ctl(*purge, socket=daemon.socket, status=69)
    os.rename(daemon.socket + ".away", daemon.socket)
    ctl(*purge, socket=dead.socket, status=69)
    assert str(directory) in ctl.error and "nothing was removed" in ctl.error
    assert contents(daemon, directory) == before and set(of_dead) <= set(dead.shm())


@pytest.mark.kill
def test_purge_without_the_spill_directory(make_own_daemon, ctl, tmp_path):
    """is refused where it was given, and leaves it for later where it was not"""
    directory = tmp_path / "files"
    daemon = kill(spill(make_own_daemon, directory))
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir(mode=0o755)
    before = contents(daemon, directory)
    for name, said in (("nowhere", "No such file"), ("file", "Not a directory"), ("open", "0755")):
        ctl("purge", "--spill-dir", tmp_path / name, socket=daemon.socket, status=1)
        assert "system: " in ctl.error and said in ctl.error and name in ctl.error
        assert contents(daemon, directory) == before
    assert not (tmp_path / "nowhere").exists()
    assert json.loads(ctl("--json", "purge", socket=daemon.socket)).keys() == {"objects", "bytes"}
    assert contents(daemon, directory) == ([], before[1])
    said = json.loads(ctl("--json", "purge", "--spill-dir", directory, socket=daemon.socket))
    assert said["spilled"]["files"] >= 3 and not list(directory.iterdir())


def test_hello(daemon):
    done = subprocess.run(
        [kit.BUILD / "examples" / "hello"],
        env=daemon.env, capture_output=True, text=True, timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "[[3, 2],\n [2, 1]]\n"), done.stderr


@pytest.mark.skipif(
    "TENSORD_SANITIZED" in os.environ, reason="a sanitized library wants a sanitized program"
)
def test_an_installed_library(daemon, tmp_path):
    """pkg-config finds it, the example builds against it, only td_ functions are visible."""
    root = tmp_path / "root"
    subprocess.run(
        ["cmake", "--install", kit.BUILD, "--prefix", root],
        check=True,
        capture_output=True,
        timeout=60,
    )
    library = next(root.rglob("libtensord.so"))
    env = {**os.environ, "PKG_CONFIG_PATH": str(library.parent / "pkgconfig")}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "tensord"],
        env=env, check=True, capture_output=True, text=True,
    ).stdout.split()
    source = kit.TOP / "client_c" / "examples" / "hello.c"
    hello = tmp_path / "hello"
    command = [shutil.which("cc"), "-std=c11", "-Wall", "-Wextra", "-Werror", source, *flags]
    subprocess.run([*command, "-o", hello], check=True)
    done = subprocess.run(
        [hello],
        env={**daemon.env, "LD_LIBRARY_PATH": str(library.parent)},
        capture_output=True, text=True, timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "[[3, 2],\n [2, 1]]\n"), done.stderr
    for tool in ("tensord", "tensorctl"):
        assert os.access(root / "bin" / tool, os.X_OK)
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout.split("\n")
    names = [line.split()[-1] for line in symbols if line]
    assert "td_connect" in names
    assert all(name.startswith("td_") for name in names), names


def test_what_is_for_others(ctl, tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.zeros(1000))
    ctl("put", tmp_path / "a.npy", "a")
    ctl("wait", "a", "5")
    assert json.loads(ctl("--json", "share", "a")) == {"shared": "a"}
    assert "shared: true" in ctl("stat", "a")
    uid = str(os.geteuid())
    assert [row["name"] for row in json.loads(ctl("--json", "ls", "--owner", uid))] == ["a"]
    assert json.loads(ctl("--json", "ls", "--owner", "4711")) == []
    ctl("unshare", "a")
    assert "shared" not in ctl("stat", "a")
    ctl("snapshot", "a", "b")
    ctl("snapshot", "--replace", "a", "b")
    assert json.loads(ctl("--json", "holders", "a"))["holders"] == []
    rows = json.loads(ctl("--json", "holders"))["connections"]
    assert [row["client"] for row in rows] == ["tensorctl"]
    ctl("rm", "--owner", uid, "a", "b")
    assert json.loads(ctl("--json", "ls")) == []


def test_a_request_that_was_left_is_ended(ctl, daemon):
    def left():
        return json.loads(ctl("--json", "holders"))["left"]

    leave_endless(daemon.raw(), "endless")
    [row] = eventually(left, what="it is left")
    assert row["names"] == ["endless"] and "endless" in ctl("holders")
    assert ctl("--json", "cancel", row["request"]).strip() == "true"
    assert eventually(lambda: not left(), what="it ends")
    assert ctl("cancel", row["request"] + 1).strip() == "false"
    for word in "x", "0", "1x", "1" + "0" * 30:
        ctl("cancel", word, status=1)
        assert "is not the number of a request" in ctl.error
