# SPDX-License-Identifier: MIT
"""Publishing what was computed, and following what another process writes."""

import subprocess
import sys
import threading
import time

import numpy
import pytest

import tensord
from sanitized import SLOWER


def n_programs(client):
    return sum(client.stat()["plans"][key] for key in ("hits", "misses"))


# ---- publishing ----


def test_publish_is_one_request(client):
    x = client.put(numpy.arange(100_000.0))
    before = n_programs(client)
    y = client.publish("y", (x * 2 + 1)[::-1])
    assert n_programs(client) - before == 1
    assert isinstance(y, tensord.Array) and y.name == "y" and y.is_sealed
    assert (client.get("y") == numpy.arange(100_000.0)[::-1] * 2 + 1).all()
    assert n_programs(client) - before == 1
    assert y.id == client.open("y").id


def test_publish_what_there_is(client, daemon):
    x = client.put([1.0, 2.0])
    assert client.publish("x", x).id == x.id  # named as it lies
    assert client.publish("n", numpy.arange(3)).tolist() == [0, 1, 2]
    assert client.publish("m", [1.0, 2.0], mutable=True).is_mutable
    with pytest.raises(tensord.NameTaken):
        client.publish("n", x + 1)
    assert client.publish("n", x + 1, replace=True).tolist() == [2, 3]
    code = 'import tensord; print(tensord.open("n").tolist(), tensord.get("x").sum())'
    assert daemon.python(code) == "[2.0, 3.0] 3.0\n"


def test_publish_again(client):
    """The same array under another name, or its own once more: a copy then."""
    x = client.put([1.0, 2.0])
    client.publish("x", x)
    with pytest.raises(tensord.NameTaken, match="'x'"):
        client.publish("x", x)
    assert client.publish("x", x, replace=True).tolist() == [1, 2]
    y = client.publish("y", x.copy())
    assert (y.name, y.tolist()) == ("y", [1, 2]) and y.id != client.open("x").id


def test_published_is_not_assigned_to(client):
    """Others know its value by the name; what it was made of is as free as before."""
    x = client.put([1.0, 2.0]) + 1
    y = client.publish("y", x)
    with pytest.raises(tensord.Sealed):
        y[0] = 7
    x[0] = 9
    assert x.tolist() == [9, 3] and client.get("y").tolist() == [2, 3]


def test_wait_and_publish(client, daemon):
    process = subprocess.Popen(
        [sys.executable, "-c",
         'import tensord; print(tensord.wait("late", timeout=60).tolist())'],
        env=daemon.env, stdout=subprocess.PIPE, text=True,
    )
    client.publish("late", client.put([1.0, 2.0]) * 2)
    assert process.communicate(timeout=60)[0] == "[2.0, 4.0]\n"
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        client.wait("never", timeout=0.1)
    assert time.monotonic() - started < 5 * SLOWER


# ---- versions ----


def test_version(client):
    t = client.put(numpy.zeros(4), "t", mutable=True)
    sealed = client.put([1.0])
    assert sealed.version is None and (sealed + 1).version is None
    with pytest.raises(tensord.Sealed):
        sealed.wait_newer(0)
    with pytest.raises(tensord.Sealed):
        next(sealed.follow())
    versions = [t.version]
    with t.read():
        pass
    assert t.version == versions[0]  # nobody wrote
    for write in (
        lambda: t.__setitem__(0, 5),
        lambda: t.__iadd__(1),
        lambda: client.run(tensord.Program(), tensord.ones(4), into=t),
        lambda: t[1:].write().__enter__() is None,
    ):
        write()
        versions.append(t.version)
    assert versions == sorted(versions) and versions[1] < versions[2] < versions[3]
    with t[:1].write() as a:
        a[0] = 3
        during = client.open("t").version
    assert t.version == t[1:].version == client.open("t").version > during


def test_wait_newer(client):
    t = client.put(numpy.zeros(4), mutable=True)
    known = t.version
    started = time.monotonic()
    with pytest.raises(tensord.DeadlineExceeded, match=f"version {known} after 0.2 s"):
        t.wait_newer(known, timeout=0.2)
    assert 0.19 < time.monotonic() - started < 5 * SLOWER
    with pytest.raises(TimeoutError):
        t.wait_newer(known, timeout=0)
    with pytest.raises(tensord.ArgumentError):
        t.wait_newer(known, timeout=-1)
    thread = threading.Timer(0.1, t.__setitem__, (0, 1))
    thread.start()
    assert t.wait_newer(known, timeout=60) > known
    thread.join()
    assert t.wait_newer(known, timeout=0) > known
    assert t.wait_newer(known) > known


def test_waiting_is_cheap(client):
    """At most 20 questions a second, once it takes long."""
    t = client.put(numpy.zeros(4), mutable=True)
    known, asked = t.version, []
    call = client._call
    client._call = lambda *args: asked.append(args) or call(*args)
    with pytest.raises(TimeoutError):
        t.wait_newer(known, timeout=0.7)
    assert 3 < len(asked) < 25


SIMULATE = """
import time, tensord
t = tensord.wait("field", timeout=60)
for step in range(1, 31):
    with t.write(timeout=60) as a:
        a[0] = step
        a[1:] = step
    time.sleep(0.002)
"""


def test_a_running_simulation_is_followed(client, daemon):
    """What is seen is never half of a step, goes on, and the last one is seen."""
    process = subprocess.Popen([sys.executable, "-c", SIMULATE], env=daemon.env)
    try:
        t = client.put(numpy.zeros(50_000), "field", mutable=True)
        seen = []
        for version in t.follow(timeout=60):
            with t.read(timeout=60) as a:
                assert (a == a[0]).all()
                seen.append((version, int(a[0])))
            if seen[-1][1] == 30:
                break
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert len(seen) > 2 and seen == sorted(seen)
    versions = [version for version, _ in seen]
    assert len(set(versions)) == len(versions)
    assert list(t.follow(timeout=0)) == [t.version]


@pytest.mark.kill
def test_versions_go_on_when_the_daemon_was_killed(own_daemon):
    with own_daemon.connect() as client:
        t = client.put(numpy.zeros(4), "t", mutable=True)
        t[0] = 1
        known = t.version
        own_daemon.restart9()
        assert t.version >= known
        t[1] = 2
        assert t.wait_newer(known, timeout=10) > known
        client.delete("t")


# ---- modes ----


def test_copy_on_write(client):
    client.publish("x", numpy.arange(5000.0))
    own, other = client.get("x", mode="cow"), client.get("x")
    own[0] = 7
    assert (own[0], other[0], client.get("x")[0]) == (7, 0, 0)
    with pytest.raises(tensord.ArgumentError, match="'w'"):
        client.get("x", mode="w")
