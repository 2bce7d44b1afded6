# SPDX-License-Identifier: MIT
"""Fixtures: real daemons, ended and checked after each test."""

import gc
import shutil
import sys
import tempfile

import pytest

pytest.register_assert_rewrite("kit", "raw")

import kit  # noqa: E402

sys.path.insert(0, str(kit.BUILD / "python"))


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
