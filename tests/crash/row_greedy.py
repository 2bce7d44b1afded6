# SPDX-License-Identifier: MIT
"""A user with many connections, each of which sends nothing but good requests that cost the loop
thread as much as one message can: the longest programs, inputs and lists of numbers, the longest
pages. Another user waits for one of them at a time, not for one of each connection.
"""

import random
import select
import socket
import time

import hostile
import kit
import msgpack

NAME = "greedy"
CHECKS = ("a good client of another user is served within 100 ms, and waits for a few of these "
          "requests, not for one of each connection")
QUICK = {"seconds": 8}
FULL = {"seconds": 120}
NEEDS_ROOT = True
LIMIT_S = (120, 600)

N_CONNECTIONS = 48
N_NAMES = 2000
WAITS = 5  # of the others' requests on an average, by the median, however fast the machine is
X = {"dtype": "float64", "shape": [3], "data": bytes(24)}


def request(method, **keys):
    return msgpack.packb([0, 1, method, [keys] if keys else []])


def program(nodes, inputs=(X,)):
    return request("run", inputs=list(inputs), nodes=nodes,
                   outputs=[{"value": len(inputs) + len(nodes) - 1}])


def mixed(i):
    return [["add", [i, 0], {}], ["multiply", [i, max(0, i - 7)], {}], ["exp", [i], {}]][i % 3]


LONGEST = [
    program([["negative", [i], {}] for i in range(4000)]),
    program([mixed(i) for i in range(4000)]),
    request("define", definition=1, inputs=[{"dtype": "float64", "shape": [3]}],
            nodes=[mixed(i) for i in range(4000)], outputs=[{"value": 4000}])
    + request("undefine", definitions=[1]),
    program([["negative", [0], {}]], [X] * 4000),
    program([["negative", [0], {}]], [{"name": f"n{i}"} for i in range(N_NAMES)] * 2),
    program([["sort", [i], {"axes": [0]}] for i in range(2000)]),
    program([["matmul", [i, 0], {}] for i in range(500)],
            [{"dtype": "float64", "shape": [8, 8], "data": bytes(512)}]),
    request("release", handles=[(1 << 60) + i for i in range(4096)]),
    request("unmap", segments=[(1 << 60) + i for i in range(4096)]),
    request("release", handles=[1] * 131_000), request("unlease", leases=[1] * 1_040_000),
    request("ping", **{f"x{i}": [1] * 5 for i in range(30_000)}),
    request("list"), request("ops"), request("stat"),
]


class Greedy:
    """One client: sends as fast as it is read from, and reads what comes. Connects again where its
    connection was closed, because messages that are not whole took all that its user may have."""

    def __init__(self, daemon, poll, chance):
        self.daemon, self.poll, self.chance = daemon, poll, chance
        self.n = self.n_closed = 0
        self.connect()

    def connect(self):
        self.left = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.daemon.path)
        self.socket.setblocking(False)
        self.poll.register(self.socket, select.EPOLLIN | select.EPOLLOUT)

    def turn(self, events):
        try:
            if events & select.EPOLLIN and not self.socket.recv(1 << 18):
                raise ConnectionError
            if events & select.EPOLLOUT:
                if not self.left:
                    self.left, self.n = self.chance.choice(LONGEST), self.n + 1
                self.left = self.left[self.socket.send(self.left):]
        except BlockingIOError:
            pass
        except ConnectionError:
            self.n_closed += 1
            self.socket.close()
            self.connect()


def ask(daemon, chance, seconds):
    """How many were sent, and how many connections were closed."""
    with select.epoll() as poll, hostile.effective_uid(hostile.NOBODY):
        greedy = [Greedy(daemon, poll, chance) for _ in range(N_CONNECTIONS)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready = dict(poll.poll(0.05))
            for one in greedy:
                one.turn(ready.get(one.socket.fileno(), 0))
            time.sleep(0.001)  # the daemon is to be busy, not this process
        for one in greedy:
            one.socket.close()
    return sum(one.n for one in greedy), sum(one.n_closed for one in greedy)


def run(counts, seed, report):
    daemon = hostile.open_to_all(report, "--memory", "256M")
    bounds = daemon.bounds(is_warm=True)
    with hostile.connect_as(hostile.NOBODY, daemon.path) as raw:
        for i in range(N_NAMES):
            raw.put([1.0], name=f"n{i}")
    prober = kit.Prober(daemon, report, 0.002)
    with prober:
        n, n_closed = ask(daemon, random.Random(seed), counts["seconds"])
    report.did("seconds", counts["seconds"])
    report.say(f"{n} requests of {N_CONNECTIONS} clients, {n_closed} connections closed")
    assert n > 2 * N_CONNECTIONS, n
    each_ms = 1e3 * counts["seconds"] / n
    assert prober.found["p50_ms"] < WAITS * each_ms, (
        f"waited for {prober.found['p50_ms'] / each_ms:.1f} of the others' requests")
    with hostile.connect_as(hostile.NOBODY, daemon.path) as raw:
        for i in range(N_NAMES):
            raw.call("delete", name=f"n{i}")
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
