# SPDX-License-Identifier: MIT
"""Fixtures: real daemons, ended and checked after each test."""

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

# Of what numpy computes for comparison: threads of its OpenBLAS that spin take the cores from the
# daemons under test, which see the variable as it was.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("OPENBLAS_NUM_THREADS", os.environ.get("OPENBLAS_NUM_THREADS", "1"))
    import numpy

# Whoever runs in the background ignores it, and so would the processes under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("kit", "raw", "users")

import kit  # noqa: E402
import users  # noqa: E402

sys.path.insert(0, str(kit.PACKAGES))


def _make_daemons():
    """Yields a function that starts daemons; then checks, ends and removes them."""
    daemons = []

    def make(*args, env=None):
        # short: a socket's path has at most 107 bytes
        daemon = kit.Daemon(tempfile.mkdtemp(prefix="td-"), *args, env=env)
        daemons.append(daemon)
        daemon.start()
        return daemon

    yield make
    gc.collect()  # clients that the test forgot
    try:
        for daemon in daemons:
            if not daemon.has_ended:
                daemon.finish()
    finally:
        for daemon in daemons:
            daemon.destroy()
            shutil.rmtree(daemon.directory)


@pytest.fixture(scope="module")
def make_daemon():
    """A function that starts a daemon: ``make_daemon(*options)`` -> `kit.Daemon`.

    After the module's tests each daemon must be alive (but where a test said `stop()`), have the
    descriptors that it began with, and leave nothing in /dev/shm.
    """
    yield from _make_daemons()


@pytest.fixture
def make_own_daemon():
    """The same for one test."""
    yield from _make_daemons()


@pytest.fixture
def own_daemon(make_own_daemon):
    """A daemon with its default options, for one test."""
    return make_own_daemon()


@pytest.fixture
def mount_tmpfs(tmp_path):
    """A function that mounts a file system of a size ("16m") for one test: its directory."""
    with contextlib.ExitStack() as stack:

        def mount(size):
            directory = tmp_path / "tmpfs"
            directory.mkdir()
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                                      directory], capture_output=True, text=True, check=False)
            if mounted.returncode:
                pytest.skip("mounting a tmpfs takes root and CAP_SYS_ADMIN: "
                            f"{mounted.stderr.strip()}")
            stack.callback(subprocess.run, ["umount", directory], check=True)
            return directory

        yield mount


@pytest.fixture
def open_daemon(make_own_daemon):
    """A daemon that every user may connect to, for one test, which may leave names."""
    daemon = users.open_to_all(make_own_daemon("--socket-mode", "0666"))
    yield daemon
    users.delete_all(daemon)


@pytest.fixture(scope="module")
def daemon(make_daemon):
    """A daemon with its default options, for the tests of one module."""
    return make_daemon()


@pytest.fixture
def client(daemon):
    """A `tensord.Client` of the module's daemon, which has no names before and after."""
    with daemon.connect() as client:
        yield client
    daemon.delete_all()


@pytest.fixture
def often():
    """Threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def put(client):
    """A function that makes an array: ``put(elements, dtype, **keywords of Client.put)``."""

    def put(elements, dtype=None, **keywords):
        return client.put(numpy.asarray(elements, dtype), **keywords)

    return put
