# SPDX-License-Identifier: MIT
"""Clients that die, stop or fork at the worst moment: with leases, in the middle of a message or an
upload, while they wait, while the daemon computes for them.

Each way is a process of its own that is killed when it got there; then the daemon must have just
what it had, and others must not have noticed.
"""

import os
import random
import signal
import struct
import time

import hostile
import kit
import msgpack
import numpy
from hostile import Child
from kit import MIB, mapped

NAME = "clients_killed"
CHECKS = ("names of the dead are free, parts that they wrote are torn and nothing else is, memory, "
          "descriptors and leases come back, a good client is served")
QUICK = {"clients": 200}
FULL = {"clients": 2000}
LIMIT_S = (120, 1800)

ROWS, COLUMNS = 8, 64
LONG = [["loop", [0], {"steps": 1 << 40, "captures": 0, "body": [["exp", [1], {}]],
                       "results": [2]}]]


def rows(first, last):
    return {"shape": [last - first, COLUMNS], "strides": [8 * COLUMNS, 8],
            "offset": 8 * COLUMNS * first}


def lease(raw, number=1, part=(0, ROWS), **keys):
    return raw.call("lease", name="m", lease=number, view=rows(*part), **keys)


def fill(raw, part, value):
    """Write a part in the daemon, by a program."""
    return raw.call("run", inputs=[{"name": "m", "view": rows(*part)}],
                    nodes=[["full", [], {"shape": rows(*part)["shape"], "dtype": "float64",
                                         "value": value}]],
                    outputs=[{"value": 1, "into": 0}], wait_ms=20_000)


class Scene:
    """A daemon with a mutable tensor m, and an honest connection that looks on."""

    def __init__(self, daemon, chance):
        self.daemon, self.chance = daemon, chance
        self.raw = daemon.raw()
        hostile.create(self.raw, bytes(8 * ROWS * COLUMNS), "float64", [ROWS, COLUMNS],
                       name="m", mutable=True)
        self.raw.call("release", handles=[1])
        fill(self.raw, (0, ROWS), 0)
        self.n = 0

    def torn(self):
        return self.raw.call("stat", name="m")["tensor"]["torn"]

    def code(self, method, **keys):
        """"ok", or why not."""
        try:
            self.raw.call(method, **keys)
        except kit.Refused as error:
            return error.code
        return "ok"

    def mend(self):
        fill(self.raw, (0, ROWS), 0)
        assert not self.torn()

    def ends(self, child):
        child.kill()
        child.wait()


# ---- the ways to die ----


def writing_under_a_lease(scene):
    """Its part is torn, its neighbours are not; who writes it again mends it."""
    first = scene.chance.randrange(ROWS - 1)
    last = scene.chance.randrange(first + 1, ROWS)

    def client(child):
        raw = scene.daemon.raw()
        made = lease(raw, part=(first, last), writable=True)
        with mapped(raw.fds[0], made, writable=True) as data:
            child.tell()
            while True:
                for n in range(8 * COLUMNS * first, 8 * COLUMNS * last):
                    data[n] = n & 255

    with Child(client) as child:
        child.wait_told()
        assert scene.code("lease", name="m", lease=1, view=rows(first, last)) == "lease_conflict"
        scene.ends(child)
        assert scene.code("lease", name="m", lease=1, view=rows(first, last),
                          wait_ms=20_000) == "torn"
        lease(scene.raw, 2, (last, ROWS), wait_ms=20_000)
        scene.raw.call("unlease", leases=[2])
        assert scene.torn()
    scene.mend()


def reading_under_a_lease(scene):
    """Whoever waits to write gets it; nothing is torn."""

    def client(child):
        raw = scene.daemon.raw()
        for number in range(1, 60):
            lease(raw, number)
        child.tell()
        child.rest()

    with Child(client) as child:
        child.wait_told()
        waiting = scene.raw.send("lease", name="m", lease=1, writable=True, view=rows(0, ROWS),
                                 wait_ms=20_000)
        scene.ends(child)
        scene.raw.wait(waiting)
        assert not scene.torn()
        scene.raw.call("unlease", leases=[1])


def waiting_for_a_lease(scene):
    """Its place in the queue goes with it."""
    lease(scene.raw, writable=True)

    def client(child):
        raw = scene.daemon.raw()
        for number in range(1, 20):
            raw.send("lease", name="m", lease=number, view=rows(0, ROWS), wait_ms=60_000,
                     writable=bool(number % 2))
        raw.send("run", inputs=[{"name": "m"}], nodes=[["exp", [0], {}]], wait_ms=60_000,
                 outputs=[{"value": 1, "into": 0}])
        child.tell()
        child.rest()

    with Child(client) as child:
        child.wait_told()
        kit.eventually(lambda: scene.raw.call("stat", name="m")["leases"] > 10, what="it waits")
        scene.ends(child)
        kit.eventually(lambda: scene.raw.call("stat", name="m")["leases"] == 1, what="it is gone")
    scene.raw.call("unlease", leases=[1])
    assert not scene.torn()


def in_mid_message(scene):
    """Half of it came, cut anywhere, behind whole ones."""
    name = f"whole {scene.n}"

    def client(child):
        raw = scene.daemon.raw()
        raw.put([1.0], name=name)
        message = msgpack.packb([0, 9, "put", [{"dtype": "uint8", "shape": [4000], "name": "half",
                                                "data": bytes(4000)}]])
        raw.send_bytes(message[:scene.chance.randrange(1, len(message))])
        child.tell()
        child.rest()

    with Child(client) as child:
        child.wait_told()
        scene.ends(child)
    assert scene.code("delete", name="half") == "not_found"
    scene.raw.call("delete", name=name)


def in_mid_upload(scene):
    """What it created was never seen, and its name is free again."""
    n_bytes = scene.chance.choice([8000, 300_000, 3 * MIB])
    is_mutable = scene.chance.random() < 0.5

    def client(child):
        raw = scene.daemon.raw()
        made = raw.call("create", handle=1, dtype="uint8", shape=[n_bytes], name="upload",
                        mutable=is_mutable)
        with mapped(raw.fds[0], made, writable=True) as data:
            child.tell()
            while True:
                data[scene.chance.randrange(n_bytes)] = 1

    with Child(client) as child:
        child.wait_told()
        assert scene.code("open", name="upload", handle=1) == "not_found"
        assert scene.code("put", name="upload", dtype="bool", shape=[], data=b"\0") == "name_taken"
        scene.ends(child)
    kit.eventually(lambda: scene.code("put", name="upload", dtype="bool", shape=[],
                                      data=b"\0") == "ok", what="the name is free")
    scene.raw.call("delete", name="upload")


def while_it_computes(scene):
    """A job for nobody ends; what it wrote into m it wrote whole or not at all."""
    into = scene.chance.random() < 0.5

    def client(child):
        raw = scene.daemon.raw()
        outputs = [{"value": 1, "into": 0}] if into else [{"value": 1, "handle": 1}]
        raw.send("run", inputs=[{"name": "m"}], nodes=LONG, outputs=outputs)
        raw.send("run", inputs=[{"handle": 1}], nodes=LONG, outputs=[{"value": 1, "handle": 2}])
        child.tell()
        child.rest()

    with Child(client) as child:
        child.wait_told()
        kit.eventually(lambda: scene.raw.call("stat")["jobs"] > 0, what="it computes")
        scene.ends(child)
    kit.eventually(lambda: scene.raw.call("stat")["jobs"] == 0, what="nobody's job ended")
    assert not scene.torn()
    scene.mend()


def before_a_named_result(scene):
    """The name comes to mean the whole result, or is free."""

    def client(child):
        raw = scene.daemon.raw()
        raw.send("run", inputs=[], nodes=[["arange", [], {"range": [0, 200_000, 1],
                                                          "dtype": "float64"}],
                                          ["sqrt", [0], {}]],
                 outputs=[{"value": 0, "name": "result", "replace": True},
                          {"value": 1, "name": "root", "replace": True}])
        child.tell()
        child.rest()

    def is_over():
        """What it sent was read, since its connection is gone, and was done."""
        stat = scene.raw.call("stat")
        return (stat["connections"], stat["jobs"]) == (n_connections, 0)

    n_connections = scene.raw.call("stat")["connections"]
    with Child(client) as child:
        child.wait_told()
        scene.ends(child)
    kit.eventually(is_over, what="its connection and its job ended")
    codes = {scene.code("open", name="root", handle=1), scene.code("open", name="result", handle=2)}
    if codes == {"ok"}:
        [total] = scene.raw.run([["multiply", [1, 1], {}], ["subtract", [0, 2], {}],
                                 ["abs", [3], {}], ["max", [4], {}]],
                                [{"name": "result"}, {"name": "root"}])
        assert struct.unpack("d", total["data"])[0] < 1e-9 * 200_000
        scene.raw.call("release", handles=[1, 2])
        scene.raw.call("delete", name="root")
        scene.raw.call("delete", name="result")
    else:
        assert codes == {"not_found"}, codes


def with_replies_unread(scene):
    """Descriptors and results are on their way to it."""

    def client(child):
        raw = scene.daemon.raw()
        for n in range(1, 60):
            raw.send("run", inputs=[], nodes=[["ones", [], {"shape": [3000], "dtype": "float64"}]],
                     outputs=[{"value": 0, "handle": n, "map": True}])
        for _ in range(20):
            raw.send("ops")
        child.tell()
        child.rest()

    with Child(client) as child:
        child.wait_told()
        kit.eventually(lambda: scene.raw.call("stat")["tensors"] > 10, what="results are there")
        scene.ends(child)


def stopped_with_a_lease(scene):
    """While it is stopped, others wait in vain and are told; then it goes on as if nothing was."""

    def client(child):
        raw = scene.daemon.raw()
        made = lease(raw, part=(2, 4), writable=True)
        child.tell()
        with mapped(raw.fds[0], made, writable=True) as data:
            data[8 * COLUMNS * 2:8 * COLUMNS * 4] = bytes(8 * COLUMNS * 2)
        raw.call("unlease", leases=[1])
        return raw.call("ping") == "pong"

    with Child(client) as child:
        child.wait_told()
        child.stop()
        holds = scene.code("lease", name="m", lease=1, view=rows(0, 2), wait_ms=10) == "ok"
        assert holds
        scene.raw.call("unlease", leases=[1])
        code = scene.code("lease", name="m", lease=1, view=rows(3, 5), wait_ms=10)
        assert code in ("lease_conflict", "ok")  # it may have given it back before it stopped
        if code == "ok":
            scene.raw.call("unlease", leases=[1])
        if scene.chance.random() < 0.5:
            child.kill(signal.SIGCONT)
            assert child.wait() == 0
        else:
            scene.ends(child)
    lease(scene.raw, 1, writable=True, wait_ms=20_000, torn=True)
    scene.raw.call("unlease", leases=[1])
    scene.mend()


def stopped_while_it_is_told_much(scene):
    """It reads nothing for a while; every answer is there when it goes on."""
    n = 60

    def client(child):
        raw = scene.daemon.raw()
        for x in range(n):
            raw.send("run", inputs=[kit.immediate([x] * 400)], nodes=[["negative", [0], {}]],
                     outputs=[{"value": 1}])
        child.tell()
        got = [raw.receive()[1] for _ in range(n)]
        return sorted(got) == list(range(1, n + 1))

    with Child(client) as child:
        child.wait_told()
        child.stop()
        for _ in range(20):
            assert scene.raw.call("ping") == "pong"
        child.kill(signal.SIGCONT)
        assert child.wait() == 0


def forked_with_the_socket(scene):
    """The parent dies, a child of its has the connection still: it lives until the child ends."""

    def client(child):
        raw = scene.daemon.raw()
        raw.call("create", handle=1, dtype="uint8", shape=[MIB], name="inherited")
        grandchild = os.fork()
        if grandchild == 0:
            child.rest()
        child.tell(str(grandchild).encode())
        child.rest()

    with Child(client) as child:
        grandchild = int(child.wait_told())
        scene.ends(child)
        for _ in range(10):
            assert scene.code("put", name="inherited", dtype="bool", shape=[],
                              data=b"\0") == "name_taken"
        os.kill(grandchild, signal.SIGKILL)
    kit.eventually(lambda: scene.code("put", name="inherited", dtype="bool", shape=[],
                                      data=b"\0") == "ok", what="the connection ended")
    scene.raw.call("delete", name="inherited")


def forked_with_a_mapping(scene):
    """A child of the dead still looks at an array, of which the daemon knows nothing."""
    value = scene.chance.randrange(1, 256)
    n_bytes = 64 * 1024

    def client(child):
        raw = scene.daemon.raw()
        made = hostile.create(raw, bytes([value]) * n_bytes, name="seen")
        opened = raw.call("map", handle=made["handle"])
        fd = raw.fds.pop() if opened["fds"] else None
        if fd is None:
            raw.call("unmap", segments=[made["segment"]])
            raw.call("map", handle=made["handle"])
            fd = raw.fds.pop()
        with mapped(fd, made) as data:
            grandchild = os.fork()
            if grandchild == 0:
                raw.close()
                os.close(fd)
                signal.sigwait({signal.SIGUSR1})
                child.tell(b"same" if bytes(data) == bytes([value]) * n_bytes else b"other")
                os._exit(0)
            raw.call("delete", name="seen")
            child.tell(str(grandchild).encode())
            child.rest()

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    with Child(client) as child:
        grandchild = int(child.wait_told())
        scene.ends(child)
        for n in range(5):
            handle = scene.raw.handle()
            made = hostile.create(scene.raw, bytes(n_bytes), handle=handle)
            scene.raw.call("unmap", segments=[made["segment"]])
            scene.raw.call("release", handles=[handle])
        os.kill(grandchild, signal.SIGUSR1)
        assert child.wait_told() == b"same"


def a_python_client(scene):
    """The real client, killed with arrays and pending work."""

    def client(child):
        import tensord

        with tensord.connect(scene.daemon.socket) as python:
            a = python.put(numpy.arange(50_000.0))
            b = numpy.asarray(a)
            c = a * 2 + 1
            numpy.asarray(c)
            if os.fork() == 0:
                assert b[7] == 7.0
                c = python = None
                os._exit(0)
            os.wait()
            child.tell()
            while True:
                a = a + 1
                float(a.sum())

    with Child(client) as child:
        child.wait_told()
        time.sleep(scene.chance.random() * 0.01)
        scene.ends(child)


WAYS = [writing_under_a_lease, reading_under_a_lease, waiting_for_a_lease, in_mid_message,
        in_mid_upload, while_it_computes, before_a_named_result, with_replies_unread,
        stopped_with_a_lease, stopped_while_it_is_told_much, forked_with_the_socket,
        forked_with_a_mapping, a_python_client]


def figures(scene):
    """What the dead may not leave more of."""
    stat = scene.raw.call("stat")
    memory = {key: stat["memory"][key] for key in ("live", "held", "parked", "heap", "scratch")}
    return (memory, stat["tensors"], stat["names"], stat["jobs"],
            scene.raw.call("stat", name="m")["leases"])


def run(counts, seed, report):
    chance = random.Random(seed)
    import tensord  # noqa: F401 -- once, for all that are forked

    daemon = report.daemon("--memory", "256M")
    bounds = daemon.bounds(is_warm=True)
    scene = Scene(daemon, chance)
    with scene.raw:
        before = figures(scene)
        with kit.Prober(daemon, report):
            while scene.n < counts["clients"]:
                way = WAYS[scene.n % len(WAYS)]
                scene.n += 1
                try:
                    way(scene)
                    kit.eventually(lambda: figures(scene) == before, seconds=20, what="at rest")
                except Exception as problem:
                    raise AssertionError(f"{way.__name__}, client {scene.n}; {before} before, "
                                         f"{figures(scene)} now") from problem
                kit.check_conserved(daemon)
                report.did("clients")
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
