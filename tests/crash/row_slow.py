# SPDX-License-Identifier: MIT
"""Clients that send a byte a second, and clients that never read.

All of them are sockets of this one process, turned by one epoll. Whoever the daemon drops comes
back at once, so that there are always so many of each kind.
"""

import random
import select
import socket
import time

import hostile
import kit
import msgpack

NAME = "slow"
CHECKS = ("each is dropped in time and told why, a good client is served within 100 ms, memory of "
          "the daemon stays bounded")
SANITIZED = "1"  # under the thread sanitizer a thousand clients of one process are late themselves
QUICK = {"seconds": 15}
FULL = {"seconds": 300}
LIMIT_S = (120, 900)

N_SLOW = N_DEAF = 500
# Private memory for each of the deaf: what is queued before it is no longer read from, the answer
# that goes beyond, and what it sent; for each slow one: a session.
DEAF_BYTES, SLOW_BYTES = 320 * 1024, 16 * 1024
FIRST_S, STARTED_S, OUTPUT_S, LATE_S, TURN_S = 2, 5, 10, 5, 0.1

MESSAGE = msgpack.packb([0, 1, "stat", [{"name": "x" * 200}]])
ASK_MUCH = msgpack.packb([0, 1, "ops", []]) * 40
ASK_MEMORY = b"".join(
    msgpack.packb([0, n, "run", [{"inputs": [], "outputs": [{"value": 0, "handle": n, "map": True}],
                                  "nodes": [["ones", [], {"shape": [1000], "dtype": "float64"}]]}]])
    for n in range(1, 41))


class Slow:
    """One byte a second, from the first one or after a whole message."""

    def __init__(self, crowd):
        self.crowd, self.began = crowd, time.monotonic()
        self.socket = crowd.connect()
        self.at = 0
        self.has_spoken = crowd.chance.random() < 0.5
        self.limit_s = STARTED_S if self.has_spoken else FIRST_S
        if self.has_spoken:
            self.socket.send(msgpack.packb([0, 7, "ping", []]))
        self.due = self.began + crowd.chance.random()
        self.said = bytearray()
        self.started, self.away_s = None, crowd.away_s
        crowd.poll.register(self.socket, select.EPOLLIN)

    def turn(self, now):
        if now >= self.due:
            self.due += 1
            self.started = self.started or now
            try:
                self.socket.send(MESSAGE[self.at:self.at + 1])
            except OSError:
                return
            self.at += 1

    def ready(self, now):
        """True: it is over."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.said += data
        if data:
            return False
        messages = msgpack.Unpacker(raw=False)
        messages.feed(bytes(self.said))
        last = list(messages)[-1:]
        assert last and last[0][:2] == [2, "error"] and last[0][2][0] == "timeout", last
        waited = now - (self.started if self.has_spoken else self.began)
        late = LATE_S + self.crowd.away_s - self.away_s
        assert self.limit_s - 0.5 < waited < self.limit_s + late, (waited, self.has_spoken, late)
        return True


class Deaf:
    """Asks for much, or for memory, and reads nothing."""

    def __init__(self, crowd):
        self.crowd, self.began = crowd, time.monotonic()
        self.socket = crowd.connect()
        self.left = ASK_MEMORY if crowd.chance.random() < 0.3 else ASK_MUCH
        self.due = self.began
        # no EPOLLIN: what came is not looked at
        crowd.poll.register(self.socket, select.EPOLLRDHUP)

    def turn(self, now):
        if self.left and now >= self.due:
            self.due = now + 0.25
            try:
                self.left = self.left[self.socket.send(self.left):]
            except OSError:
                pass

    def ready(self, now):
        waited = now - self.began
        assert OUTPUT_S - 1 < waited < OUTPUT_S + 4 * LATE_S, waited
        return True


class Crowd:
    def __init__(self, daemon, chance):
        self.daemon, self.chance = daemon, chance
        self.poll = select.epoll()
        self.clients = {}
        self.n_dropped = {Slow: 0, Deaf: 0}
        self.looked, self.away_s = time.monotonic(), 0  # seconds it did not look, but ought to have

    def connect(self):
        end = socket.socket(socket.AF_UNIX)
        end.setblocking(True)
        end.connect(self.daemon.path)
        end.setblocking(False)
        return end

    def add(self, kind):
        client = kind(self)
        self.clients[client.socket.fileno()] = client

    def turn(self):
        """A tenth of a second, at the most, where there is a processor for it."""
        began = time.monotonic()
        self.away_s += max(0, began - self.looked - TURN_S)
        self.looked = began
        for fd, _ in self.poll.poll(0.02):
            client = self.clients[fd]
            if client.ready(time.monotonic()):
                del self.clients[fd]
                self.poll.unregister(fd)
                client.socket.close()
                self.n_dropped[type(client)] += 1
                self.add(type(client))
        now = time.monotonic()
        for client in list(self.clients.values()):
            client.turn(now)

    def is_dropped(self):
        """Nearly all of either kind were, once."""
        return self.n_dropped[Slow] >= N_SLOW and self.n_dropped[Deaf] >= N_DEAF * 9 // 10

    def close(self):
        for client in self.clients.values():
            client.socket.close()
        self.poll.close()


def run(counts, seed, report):
    chance = random.Random(seed)
    daemon = hostile.open_to_all(report, "--memory", "256M")
    bounds = daemon.bounds(is_warm=True)
    before = most = daemon.resident()
    crowd = Crowd(daemon, chance)
    with kit.Prober(daemon, report, 0.02), hostile.effective_uid(hostile.AS_USER):
        began = looked = time.monotonic()
        for _ in range(N_SLOW):
            crowd.add(Slow)
        for _ in range(N_DEAF):
            crowd.add(Deaf)
        while (now := time.monotonic()) - began < counts["seconds"] or \
                (not crowd.is_dropped() and now - began < 3 * counts["seconds"]):
            crowd.turn()
            if now - looked > 0.25:
                looked = now
                most = max(most, daemon.resident())
        report.did("seconds", int(now - began))
    crowd.close()
    hostile.at_rest(daemon)
    bounds.check(seconds=30)
    growth, stays = most - before, daemon.resident() - before
    report.say(f"{N_SLOW} + {N_DEAF} clients at a time; dropped {crowd.n_dropped[Slow]} that were "
               f"slow, {crowd.n_dropped[Deaf]} that never read")
    report.say(f"private memory grew by {growth / kit.MIB:.1f} MiB at most, {stays / kit.MIB:.1f} "
               "MiB of it stay")
    assert crowd.is_dropped()
    assert growth < N_DEAF * DEAF_BYTES + N_SLOW * SLOW_BYTES, growth
    daemon.finish()
