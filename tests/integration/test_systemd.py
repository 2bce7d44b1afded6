# SPDX-License-Identifier: MIT
"""The units are well-formed and tight, and the daemon keeps their promises: sockets it is given,
READY=1 after recovery, WATCHDOG=1 in time, STOPPING=1. No service manager is needed."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import kit
from raw import Raw, eventually

DEPLOY = kit.TOP / "deploy"
DAEMON = kit.DAEMON.resolve()
# sanitized daemons report leaks by their own options, and need no preloaded run-time
ENVIRONMENT = {key: value for key, value in os.environ.items()
               if key not in ("LD_PRELOAD", "ASAN_OPTIONS", "NOTIFY_SOCKET")}


@pytest.fixture
def units(tmp_path):
    """copies of the units that start the daemon of this build"""
    for kind in ("system", "user"):
        source = DEPLOY if kind == "system" else DEPLOY / "user"
        (tmp_path / kind).mkdir()
        for name in ("tensord.service", "tensord.socket"):
            text = (source / name).read_text()
            installed = "/usr/local/bin/tensord "
            assert (installed in text) == name.endswith(".service")
            (tmp_path / kind / name).write_text(text.replace(installed, f"{DAEMON} "))
    return tmp_path


@pytest.mark.parametrize("kind", ["system", "user"])
def test_units_verify(units, kind):
    names = [units / kind / name for name in ("tensord.service", "tensord.socket")]
    verified = subprocess.run(
        ["systemd-analyze", f"--{kind}", "verify", "--man=no", "--recursive-errors=yes", *names],
        capture_output=True, text=True, env={**ENVIRONMENT, "XDG_RUNTIME_DIR": str(units)})
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_exposure(units):
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager",
         units / "system" / "tensord.service"], capture_output=True, text=True, env=ENVIRONMENT)
    assert rated.returncode == 0, rated.stdout + rated.stderr


def test_units_keep_shared_memory():
    """what would remove, hide or replace /dev/shm, or the uids of clients"""
    for path in (DEPLOY / "tensord.service", DEPLOY / "user" / "tensord.service"):
        settings = dict(line.split("=", 1) for line in path.read_text().splitlines()
                        if "=" in line and not line.startswith("#"))
        assert settings.get("RemoveIPC", "no") == "no"
        assert settings["RuntimeDirectoryPreserve"] == "yes"
        assert not {"DynamicUser", "PrivateUsers", "TemporaryFileSystem", "ProcSubset",
                    "RootDirectory"} & set(settings)
        assert "/dev/shm" not in settings.get("InaccessiblePaths", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="writes an /etc of its own as root")
def test_sysusers_and_tmpfiles(tmp_path):
    (tmp_path / "etc").mkdir()
    for command, name in (("systemd-sysusers", "tensord.sysusers"),
                          ("systemd-tmpfiles", "tensord.tmpfiles")):
        options = ["--create"] if command == "systemd-tmpfiles" else []
        done = subprocess.run([command, *options, f"--root={tmp_path}", DEPLOY / name],
                              capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
    user = next(line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()
                if line.startswith("tensord:"))
    assert 0 < int(user[2]) < 1000
    assert (tmp_path / "run" / "tensord").stat().st_uid == int(user[2])


@pytest.fixture
def path():
    """of a socket, in a short directory; afterwards nothing may be left in /dev/shm"""
    directory = tempfile.mkdtemp(prefix="td-")
    path = Path(directory, "socket")
    yield path
    prefix = kit.shm_prefix(path)
    left = [name for name in os.listdir(kit.SHM) if name.startswith(prefix)]
    shutil.rmtree(directory)
    for name in left:
        os.unlink(kit.SHM / name)
    assert not left


def stop(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def is_listening(path):
    """as the kernel says it; a connection would start the daemon"""
    rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    accepting = 0x10000  # __SO_ACCEPTCON
    return any(row[-1] == str(path) and int(row[3], 16) & accepting for row in rows if row)


def test_socket_activation(path):
    """A connection made while nobody runs waits, and is served by the daemon that it starts."""
    process = subprocess.Popen(
        ["systemd-socket-activate", "-l", path, "--fdname=tensord", "-E", "ASAN_OPTIONS", DAEMON,
         "--socket", path], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: is_listening(path), what="the socket")
        with Raw(path) as raw, Raw(path) as other:
            assert raw.call("ping") == "pong" and other.call("ping") == "pong"
            assert raw.call("stat")["pid"] == process.pid
            inode = path.stat().st_ino
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    # the socket belongs to who made it
    assert path.stat().st_ino == inode


class Manager:
    """What systemd is to its service: a place for notifications."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.fspath(self.path))
        self.socket.settimeout(20)

    def start(self, path, **environment):
        return subprocess.Popen([DAEMON, "--socket", path],
                                env={**ENVIRONMENT, "NOTIFY_SOCKET": str(self.path), **environment})

    def wait_for(self, line):
        """the time when it came, and what came before it"""
        before = []
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            if line in lines:
                return time.monotonic(), before
            before += lines


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def test_notifications(path, manager):
    started = time.monotonic()
    process = manager.start(path)
    try:
        ready, before = manager.wait_for("READY=1")
        assert "STOPPING=1" not in before
        with Raw(path) as raw:  # at once: it listens before it says so
            assert raw.call("ping") == "pong"
        assert ready - started < 20
        process.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_watchdog(path, manager):
    """Twice as often as asked, also while it computes."""
    period = 1.0
    process = manager.start(path, WATCHDOG_USEC=str(int(period * 1e6)))
    try:
        last, _ = manager.wait_for("READY=1")
        with Raw(path) as raw:
            raw.call("run", inputs=[], nodes=[
                ["ones", [], {"shape": [1500, 1500], "dtype": "float64"}], ["matmul", [0, 0], {}]],
                outputs=[{"value": 1, "handle": 1}])
            raw.send("run", inputs=[{"handle": 1}], outputs=[{"value": 2, "handle": 2}],
                     nodes=[["matmul", [0, 0], {}], ["matmul", [1, 0], {}]])
            for _ in range(4):
                now, _ = manager.wait_for("WATCHDOG=1")
                assert now - last < period
                last = now
        stop(process)
    finally:
        process.kill()
        process.wait()


@pytest.mark.kill
def test_ready_after_recovery(path, manager):
    """When READY=1 arrives, what was named before is there."""
    process = manager.start(path)
    manager.wait_for("READY=1")
    with Raw(path) as raw:
        for i in range(200):
            raw.put([i], name=f"number {i}")
    process.kill()
    process.wait()

    process = manager.start(path)
    try:
        manager.wait_for("READY=1")
        with Raw(path) as raw:
            assert raw.call("stat")["names"] == 200
            for i in range(200):
                raw.call("delete", name=f"number {i}")
        stop(process)
    finally:
        process.kill()
        process.wait()
