# SPDX-License-Identifier: MIT
"""Leases to write outlive their daemon for as long as PROTOCOL.md says, for whoever has the nonce;
what was being written otherwise is torn."""
import os
import signal
import struct
import subprocess
import sys
import time

import numpy
import pytest

from kit import wait_until
from raw import eventually, mapped
from test_raw_leases import COLUMNS, ROW, fill, lease, make, refusal, rows, values

RETURN_S = 5  # limits.h: TD_LEASE_RETURN_MS

pytestmark = pytest.mark.kill


@pytest.fixture(params=["killed", "stopped"])
def again(request, make_own_daemon):
    """A daemon, and what starts it again after it was killed or stopped."""
    daemon = make_own_daemon()
    with daemon.raw() as raw:
        make(raw, "m")

    def restart():
        if request.param == "killed":
            daemon.kill9()
        else:
            daemon.stop()
        daemon.start()

    yield daemon, restart


def lease_and_restart(again, **keys):
    """The nonce of a lease that was held when the daemon was started again; the daemon."""
    daemon, restart = again
    nonce = os.urandom(16)
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True, nonce=nonce, **keys)
        restart()
    return nonce, daemon


def test_back_for_who_has_the_nonce(again):
    daemon, restart = again
    nonce = os.urandom(16)
    with daemon.raw() as raw:
        made = lease(raw, "m", 1, write=True, view=rows(2, 4), nonce=nonce)
        with mapped(raw.fds[-1], made, writable=True) as data:
            restart()
            with daemon.raw() as a, daemon.raw() as b:
                for number in range(2):  # others wait in vain
                    error = refusal(a, "m", 1, write=True, view=rows(3, 5))
                    assert error.code == "lease_conflict" and "before" in error.message
                lease(a, "m", 2, write=True, view=rows(4, 6))  # beside it
                a.call("unlease", leases=[2])
                # another nonce, another view: not the lease
                for keys in ({"nonce": os.urandom(16), "view": rows(2, 4)},
                             {"nonce": nonce, "view": rows(2, 3)}):
                    assert refusal(b, "m", 1, write=True, again=True, **keys).code == "lease_lost"
                back = lease(b, "m", 7, write=True, view=rows(2, 4), nonce=nonce, again=True)
                assert back["writable"] is True and back["segment"] == made["segment"]
                assert refusal(b, "m", 8, write=True, view=rows(2, 4), nonce=nonce,
                               again=True).code == "lease_lost"
                # the mapping from before is of the same memory
                data[2 * ROW:3 * ROW] = struct.pack("d", -7) * COLUMNS
                b.call("unlease", leases=[7])
                after = b.call("stat", name="m")["tensor"]
                assert after["version"] == 2 and after["torn"] is False
                assert (values(a, "m")[2] == -7).all()


def test_without_again_the_request_may_be_a_repeat(again):
    nonce, daemon = lease_and_restart(again)
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True, nonce=nonce)
        raw.call("unlease", leases=[1])
        lease(raw, "m", 1, write=True, nonce=nonce)


def test_too_late(again):
    daemon, restart = again
    nonce = os.urandom(16)
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True, view=rows(0, 2), nonce=nonce)
        lease(raw, "m", 2, write=True, view=rows(2, 4))  # no nonce: torn at once
        restart()
    started = time.monotonic()
    with daemon.raw() as a, daemon.raw() as b:
        assert refusal(a, "m", 1, view=rows(2, 3)).code == "torn"
        assert refusal(a, "m", 1, view=rows(0, 1)).code == "lease_conflict"
        lease(b, "m", 1, write=True, view=rows(0, 2), wait_ms=60_000)
        assert RETURN_S - 1 < time.monotonic() - started < RETURN_S + 20
        assert refusal(a, "m", 1, write=True, view=rows(0, 2), nonce=nonce,
                       again=True).code == "lease_lost"
        assert b.call("stat", name="m")["tensor"]["torn"] is True
        b.call("unlease", leases=[1])
        assert refusal(a, "m", 1, view=rows(0, 4)).code == "torn"
        fill(b, "m", 1.0)
        assert b.call("stat", name="m")["tensor"]["torn"] is False


def test_the_connection_that_has_it_back_ends(again):
    nonce, daemon = lease_and_restart(again)
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True, nonce=nonce, again=True)
    with daemon.raw() as raw:
        eventually(lambda: raw.call("stat", name="m")["tensor"]["torn"], what="it is torn")
        assert refusal(raw, "m", 1, write=True, nonce=nonce, again=True).code == "lease_lost"


def test_who_asks_and_cannot_have_it_leaves_it(again):
    """The number is in use, so the lease still waits for a better request."""
    nonce, daemon = lease_and_restart(again, view=rows(0, 1))
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True, view=rows(1, 2))
        assert refusal(raw, "m", 1, write=True, view=rows(0, 1), nonce=nonce,
                       again=True).code == "handle_taken"
        lease(raw, "m", 2, write=True, view=rows(0, 1), nonce=nonce, again=True)


def test_version_and_torn_survive(again):
    daemon, restart = again
    with daemon.raw() as raw:
        for number in range(3):
            fill(raw, "m", float(number))
        lease(raw, "m", 1, write=True, view=rows(5, 7))
    with daemon.raw() as raw:
        eventually(lambda: raw.call("stat", name="m")["tensor"]["torn"], what="it is torn")
    for _ in range(2):
        restart()
        with daemon.raw() as raw:
            after = raw.call("stat", name="m")["tensor"]
            assert after["version"] == 3 and after["torn"] is True
            lease(raw, "m", 1, view=rows(0, 5))
            assert refusal(raw, "m", 2, view=rows(6, 7)).code == "torn"


def test_a_deleted_tensor_takes_its_leases_along(again):
    daemon, restart = again
    nonce = os.urandom(16)
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True, nonce=nonce)
        raw.call("delete", name="m")
        make(raw, "m", handle=5)
        restart()
    with daemon.raw() as raw:
        lease(raw, "m", 1, write=True)
        assert refusal(raw, "m", 2, write=True, nonce=nonce, again=True).code == "lease_lost"


def test_bad_arguments(again):
    daemon, _ = again
    with daemon.raw() as raw:
        for keys in ({"again": True, "write": True}, {"nonce": bytes(16)},
                     {"nonce": bytes(15), "write": True}, {"nonce": "x" * 16, "write": True}):
            assert refusal(raw, "m", 1, **keys).code == "bad_arguments"
        assert raw.call("stat", name="m")["leases"] == 0


@pytest.mark.parametrize("turn", range(4))
def test_killed_while_a_run_copies(make_own_daemon, turn):
    """In the middle of a large write: it is torn, unless nothing or all of it was written."""
    daemon = make_own_daemon("--threads", "1")
    n = 1 << 23
    with daemon.raw() as raw:
        made = raw.call("create", handle=1, dtype="float64", shape=[n], mutable=True, name="big")
        raw.call("seal", handle=1)
        for number in 1.0, 2.0:
            raw.call("run", inputs=[{"name": "big"}],
                     nodes=[["full", [], {"shape": [n], "dtype": "float64", "value": number}]],
                     outputs=[{"value": 1, "into": 0}])
        with mapped(raw.fds[-1], made) as data:
            raw.send("run", inputs=[{"name": "big"}],
                     nodes=[["full", [], {"shape": [n], "dtype": "float64", "value": 3.0}]],
                     outputs=[{"value": 1, "into": 0}])
            array = numpy.frombuffer(data, count=n)
            at = [0, n // 8, n // 2, n - n // 8][turn]
            wait_until(lambda: array[at] == 3.0, "the copy is so far", 60)
            daemon.kill9()
            is_whole = bool((array[:: n // 4096] == array[0]).all())
            del array
    daemon.start()
    with daemon.raw() as raw:
        after = raw.call("stat", name="big")["tensor"]
        assert after["torn"] is True or (is_whole and after["version"] == 3)
        raw.call("delete", name="big")


HOLDS = """
import sys, numpy, tensord
client = tensord.connect()
x = client.open("m")
with x[2:4].write() as a:
    a[:] = 5.0
    print("held", flush=True)
    sys.stdin.readline()
    {between}
    a[1] = 6.0
print("done", float(x[2, 0]), flush=True)
"""


def holding(daemon, between):
    process = subprocess.Popen([sys.executable, "-c", HOLDS.format(between=between)],
                               env=daemon.env, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = process.stdout.readline()
    assert line == "held\n", process.communicate()
    return process


@pytest.mark.parametrize("between", ["pass", "client.stat()"])
def test_python_has_it_back(again, between):
    daemon, restart = again
    with holding(daemon, between) as process:
        restart()
        with daemon.raw() as raw:
            assert refusal(raw, "m", 1, view=rows(2, 3)).code == "lease_conflict"
        output, errors = process.communicate("go on\n", timeout=60)
        assert output == "done 5.0\n", errors
    with daemon.raw() as raw:
        after = raw.call("stat", name="m")["tensor"]
        assert after["version"] == 1 and after["torn"] is False
        assert (values(raw, "m")[2] == 5).all() and (values(raw, "m")[3] == 6).all()


def test_python_comes_too_late(again):
    daemon, restart = again
    with holding(daemon, "pass") as process:
        process.send_signal(signal.SIGSTOP)
        restart()
        with daemon.raw() as raw:
            eventually(lambda: raw.call("stat", name="m")["tensor"]["torn"], 60, what="it is torn")
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate("go on\n", timeout=60)
        assert process.returncode == 1 and "LeaseLost" in errors
