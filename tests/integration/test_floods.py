# SPDX-License-Identifier: MIT
"""Much of what is harmless once: connections that say nothing or nonsense, requests that wait,
clients that stand still. An honest client is served meanwhile."""
import contextlib
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

import msgpack
import pytest

from raw import eventually
from test_raw_leases import fill, lease, make, refusal, rows

MIB = 1 << 20
PROMPT_S = 0.1  # the middle one of what an honest client waits for an answer


def middle_of_pings(raw, count=100):
    seconds = []
    for _ in range(count):
        started = time.monotonic()
        assert raw.call("ping") == "pong"
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


@pytest.fixture
def descriptors():
    """As many as this process may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def closed_lines(daemon):
    return re.findall(r"uid \d+: .*connection closed: .*", daemon.read_log())


def test_what_clients_make_it_log_is_counted(make_own_daemon):
    daemon = make_own_daemon()
    count = 300
    for i in range(count):
        with daemon.raw() as raw:
            raw.send_bytes(bytes([0xc1, i % 256]))
            assert raw.farewell()[1]
    assert len(closed_lines(daemon)) == 1
    daemon.stop()
    first, rest = closed_lines(daemon)
    assert f": {count - 1} more in " in rest and "more" not in first
    daemon.start()


def cpu_s(daemon):
    with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_thousands_of_idle_connections(own_daemon, descriptors):
    daemon, count = own_daemon, 3000
    if descriptors < count + 200:
        pytest.skip(f"this process may have {descriptors} descriptors")
    with daemon.raw() as honest, contextlib.ExitStack() as stack:
        honest.call("ping")
        before = daemon.status("VmRSS")
        for _ in range(count):
            raw = stack.enter_context(daemon.raw())
            assert raw.call("ping") == "pong"
        assert honest.call("stat")["connections"] == count + 1
        assert middle_of_pings(honest) < PROMPT_S
        if not os.environ.get("TENSORD_SANITIZED"):
            assert (daemon.status("VmRSS") - before) / count < 16 * 1024
        used, started = cpu_s(daemon), time.monotonic()
        time.sleep(2)
        assert cpu_s(daemon) - used < 0.2 * (time.monotonic() - started)
    with daemon.raw() as honest:
        eventually(lambda: honest.call("stat")["connections"] == 1, 30, "all are gone")


def test_thousands_of_requests_that_wait(own_daemon):
    """Each is told when its own time is over, and those that do not wait wait for nobody."""
    daemon, n_tensors, per_tensor = own_daemon, 8, 400
    with daemon.raw() as holder, daemon.raw() as honest, contextlib.ExitStack() as stack:
        waiters = [stack.enter_context(daemon.raw()) for _ in range(n_tensors)]
        due_ms = [{} for _ in waiters]
        for i, raw in enumerate(waiters):
            make(holder, f"t{i}", handle=i + 1)
            lease(holder, f"t{i}", i + 1, write=True, view=rows(0, 1))
            for k in range(per_tensor):
                wait_ms = 60_000 if k % 4 else 1000 + (k * 37 + i * 61) % 2000
                msgid = raw.send("lease", name=f"t{i}", lease=k + 1, view=rows(0, 2),
                                 wait_ms=wait_ms)
                due_ms[i][msgid] = wait_ms
        eventually(lambda: honest.call("stat", name=f"t{n_tensors - 1}")["leases"]
                   == per_tensor + 1, 30, "all wait")
        assert middle_of_pings(honest) < PROMPT_S
        fill(honest, "t0", 1.0, into=rows(4, 5))
        for raw, due in zip(waiters, due_ms):
            for _ in range(per_tensor // 4):
                _, msgid, error, _ = raw.receive()
                assert error["code"] == "lease_conflict" and due.pop(msgid) < 60_000
        holder.call("unlease", leases=list(range(1, n_tensors + 1)))
        for raw, due in zip(waiters, due_ms):
            codes = []
            while due:
                _, msgid, error, _ = raw.receive()
                assert due.pop(msgid) == 60_000
                codes.append(error and error["code"])
            # so many a connection may hold
            assert codes.count(None) == 128 and set(codes) == {None, "too_many"}
    daemon.delete_all()


STANDS_STILL = """
import sys, tensord
client = tensord.connect()
x = client.open("t")
with x[0:2].write() as a:
    a[0] = -1
    pending = [client.open("t") for _ in range(10)]
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_client_that_stands_still(own_daemon):
    """Its lease is its own until it ends; nobody is held up, and then nothing is kept of it."""
    daemon = own_daemon
    with daemon.raw() as raw, daemon.raw() as other:
        make(raw, "t")
        process = subprocess.Popen([sys.executable, "-c", STANDS_STILL], env=daemon.env, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process:
            assert process.stdout.readline() == "held\n"
            process.send_signal(signal.SIGSTOP)
            assert refusal(raw, "t", 1, write=True, view=rows(1, 3)).code == "lease_conflict"
            started = time.monotonic()
            late = refusal(raw, "t", 1, write=True, view=rows(1, 3), wait_ms=300)
            assert late.code == "lease_conflict" and time.monotonic() - started >= 0.3
            fill(raw, "t", 2.0, into=rows(2, 8))
            assert middle_of_pings(other) < PROMPT_S
            process.kill()
            process.wait()
        lease(raw, "t", 1, write=True, view=rows(1, 3), wait_ms=10_000)
        assert refusal(other, "t", 1, view=rows(0, 1)).code == "torn"
        assert raw.call("stat")["connections"] == 2
        raw.call("unlease", leases=[1])
        raw.call("delete", name="t")


@pytest.mark.skipif("TENSORD_SANITIZED" in os.environ, reason="its allocator keeps what is freed")
def test_heap_that_came_free_goes_back_to_the_system(make_own_daemon, descriptors):
    """Clients ask for much and read nothing; what that took is not kept when they have gone."""
    daemon = make_own_daemon("--memory", "2G")
    asked = b"".join(msgpack.packb([0, i, "ops", []]) for i in range(200))
    with daemon.raw() as raw:
        raw.call("ping")
        before = daemon.status("VmRSS")
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                other = stack.enter_context(daemon.raw())
                other.call("ping")
                other.socket.setblocking(False)
                other.send_bytes(asked)
            eventually(lambda: daemon.status("VmRSS") > before + 48 * MIB, what="it took much")
        eventually(lambda: daemon.status("VmRSS") < before + 24 * MIB, what="it has given it back")
