# SPDX-License-Identifier: MIT
"""A real daemon on a private socket, for tests.

`Daemon` starts the one under test in a directory of its own, waits for it by connecting, and at
the end checks what it leaves behind: that it is alive, that it has the descriptors it began with,
and that no object of its prefix stays in /dev/shm.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from raw import Raw
from sanitized import SLOWER, THREADS

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TENSORD_BUILD", TOP / "build"))
# Where an installed package is tested, the directory that holds it; it has a daemon of its own.
INSTALLED = os.environ.get("TENSORD_PACKAGES")
PACKAGES = Path(INSTALLED or BUILD / "python")
DAEMON = PACKAGES / "tensord/bin/tensord" if INSTALLED else BUILD / "bin/tensord"
DATA = TOP / "tests" / "data"
SHM = Path("/dev/shm")
READY_S = END_S = 30 * SLOWER


def wait_until(condition, what, seconds=10):
    """Until the condition holds, which does its own waiting (a round trip, a poll)."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in {seconds} s it did not happen that {what}"


def copy_kernels(directory, *sources):
    """User kernels of directories, of which a daemon takes none that others may write to."""
    directory.chmod(0o755)
    for source in sources:
        for path in source.glob("*.so"):
            shutil.copy(path, directory)
            (directory / path.name).chmod(0o755)
    return directory


def shm_prefix(path):
    """As include/tensord/prefix.h derives it: FNV-1a of "uid:path"."""
    directory, base = os.path.split(path)
    text = f"{os.getuid()}:{os.path.realpath(directory)}/{base}"
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"tensord.{value:016x}"


class Daemon:
    """One daemon at a time on one socket; it may be killed and started again.

    Attributes
    ----------
    socket, path : str
        Its socket, by two names.
    process : subprocess.Popen
    pid : int
    """

    def __init__(self, directory, *args, env=None):
        self.directory = Path(directory)
        self.socket = self.path = str(self.directory / "socket")
        self.log = self.directory / "log"
        self.args = args
        self.extra_env = env or {}
        self.process = None
        self.has_ended = False  # because a test said so
        self.first_fds = None
        self.prefix = shm_prefix(self.socket)
        self.shm_directory = SHM
        for option, value in zip(args, args[1:]):
            if option == "--shm-directory":
                self.shm_directory = Path(value)

    @property
    def pid(self):
        return self.process.pid

    @property
    def env(self):
        """The environment for a client's process."""
        return {**os.environ, "TENSORD_SOCKET": self.socket, "PYTHONPATH": str(PACKAGES)}

    def command(self):
        """What starts it."""
        options = list(self.args)
        if THREADS and not {"--threads", "-t"} & set(map(str, options)):
            options += ["--threads", THREADS]
        return [str(DAEMON), "--socket", self.socket, *options]

    def start(self):
        """Start it and wait until it answers."""
        env = dict(os.environ)
        if env.pop(
            "LD_PRELOAD", None
        ):  # the sanitizer's run-time, for Python; the daemon has it built in
            env["ASAN_OPTIONS"] = "detect_leaks=1:exitcode=99"
        env.update(self.extra_env)
        self.has_ended = False
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
            )
        self._wait_ready()
        if self.first_fds is None:  # later, clients of the one before may be there already
            with self.raw() as raw:
                raw.call("ping")
                self.first_fds = self.fds()

    def _wait_ready(self):
        deadline = time.monotonic() + READY_S
        died = select.poll()
        pidfd = os.pidfd_open(self.pid)
        try:
            died.register(pidfd, select.POLLIN)
            while True:
                try:
                    with self.raw() as raw:
                        raw.call("ping")
                    return
                except OSError as problem:
                    assert not died.poll(
                        5
                    ), f"the daemon ended: {self.process.wait()}\n{self.read_log()}"
                    assert time.monotonic() < deadline, f"no answer: {problem}\n{self.read_log()}"
        finally:
            os.close(pidfd)

    def read_log(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def raw(self, **kwargs):
        """A `raw.Raw` connection."""
        return Raw(self.socket, **kwargs)

    def connect(self, **kwargs):
        """A `tensord.Client`."""
        import tensord

        return tensord.connect(self.socket, **kwargs)

    def python(self, code, *args, check=True, timeout=60):
        """Run Python code in a process of its own, a client of this daemon.

        What it printed; the process itself where check is false.
        """
        process = subprocess.run(
            [sys.executable, "-c", code, *map(str, args)],
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
        if not check:
            return process
        assert process.returncode == 0, process.stderr
        return process.stdout

    def status(self, key):
        """A figure of /proc/PID/status, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def fds(self):
        """What its open descriptors are, sorted; sockets and the like without their numbers.

        Without those of segments that exist: idle ones stay warm, and are counted in /dev/shm.
        """
        directory = Path(f"/proc/{self.pid}/fd")
        links = []
        for fd in directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                links.append(os.readlink(fd).split(":[")[0])
        segment = re.compile(rf"{re.escape(str(self.shm_directory / self.prefix))}\.\d+\.\w+")
        return sorted(link for link in links if not segment.fullmatch(link))

    def shm(self):
        """Names of its shared memory objects."""
        return sorted(
            name for name in os.listdir(self.shm_directory) if name.startswith(self.prefix)
        )

    def kill9(self):
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self, code=0):
        """SIGTERM, and wait; the exit status must be that."""
        self.process.terminate()
        status = self.process.wait(END_S)
        assert status == code, f"exit status {status}\n{self.read_log()}"
        self.has_ended = True

    def restart9(self):
        """Kill it and start it again."""
        self.kill9()
        self.start()

    def lose_segments(self):
        """Kill it, remove every segment, and start it: what lay in one is lost."""
        self.kill9()
        for name in self.shm():
            if re.search(r"\.\d+\.[0-9a-f]+$", name):
                (self.shm_directory / name).unlink()
        self.start()

    def delete_all(self):
        with self.raw() as raw:
            while True:
                names = [row["name"] for row in raw.call("list", lost=True)["tensors"]]
                for name in names:
                    raw.call("delete", name=name)
                if not names:
                    return

    def _settled_fds(self, seconds=10):
        """Its descriptors, as soon as they are the first ones again, or after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            with self.raw() as raw:
                raw.call("ping")
                fds = self.fds()
            if fds == self.first_fds or time.monotonic() > deadline:
                return fds

    def finish(self):
        """Check and end it; every client should be closed by now."""
        try:
            assert self.is_alive(), f"the daemon ended: {self.process.poll()}\n{self.read_log()}"
            self.delete_all()
            assert self._settled_fds() == self.first_fds
            self.stop()
            assert self.shm() == []
        finally:
            self.destroy()

    def destroy(self):
        """Leave nothing, whatever happened."""
        if self.is_alive():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        for name in self.shm():
            os.unlink(self.shm_directory / name)
