# SPDX-License-Identifier: MIT
"""A mixed load for a while, clients killed all the time, the daemon now and then.

Each client keeps names of its own, filled with one number each, so that a torn or a foreign value
shows. Memory, descriptors, mappings and segments of the daemon are looked at twice a second. They
must not rise: neither in the later two thirds of its lives nor, where there are many of them, from
one life to the next.
"""

import contextlib
import os
import random
import statistics
import struct
import time

import hostile
import kit
import numpy
from hostile import Child

NAME = "soak"
CHECKS = ("values are right all the while, memory, descriptors, mappings and segments do not rise, "
          "a good client is served within 100 ms")
QUICK = {"seconds": 60, "daemons killed": 1}
FULL = {"seconds": 1800, "daemons killed": 59}
LIMIT_S = (150, 3600)

N_CLIENTS = 4
REST_S = 0.002  # between steps of one client
KILL_S = 0.7  # between clients killed
SIZES = (50, 2000, 30_000, 300_000)
LONG = [["loop", [0], {"steps": 1 << 40, "captures": 0, "body": [["exp", [1], {}]],
                       "results": [2]}]]
# What a figure may rise by in one life (bytes, or numbers), and from one life to the next.
RISES = {"private bytes": (4 * kit.MIB * kit.SHADOW, kit.MIB // 4), "descriptors": (60, 1),
         "mappings": (300, 10), "segments": (200, 10)}
LIVES = 10  # so many are enough to say how they differ


class Load:
    """What one client does, until it is killed."""

    def __init__(self, daemon, number, seed):
        self.daemon, self.number, self.chance = daemon, number, random.Random(seed)
        self.raw, self.serial = None, 0
        self.steps = [self.small, self.large, self.program, self.shared, self.pipeline, self.cancel,
                      self.delete, self.leave]

    def run(self, child):
        os.nice(5)
        self.connect()
        while True:
            try:
                self.chance.choice(self.steps)()
            except (OSError, IndexError):
                self.connect()
            child.tell()
            time.sleep(REST_S)

    def connect(self):
        if self.raw:
            self.raw.close()
        end = time.monotonic() + 30
        while True:
            try:
                self.raw = self.daemon.raw()
                self.raw.call("ping")
                return
            except OSError:
                assert time.monotonic() < end, "no daemon"
                time.sleep(0.01)

    def total(self, name):
        """(elements, smallest, largest) of what the name means, None if it means nothing."""
        try:
            made = self.raw.call("open", name=name, handle=(handle := self.raw.handle()))
            low, high = self.raw.run([["min", [0], {}], ["max", [0], {}]], [{"handle": handle}],
                                     [{"value": 1}, {"value": 2}])
        except kit.Refused as error:
            assert error.code == "not_found", error
            return None
        self.raw.notify("release", handles=[handle])
        return made["shape"], *(struct.unpack("d", one["data"])[0] for one in (low, high))

    def check(self, name, shape=None, value=None):
        found = self.total(name)
        assert found is None and value is None or found[1] == found[2], (name, found)
        assert value is None or found == (shape, value, value), (name, found, shape, value)

    def small(self):
        name, self.serial = f"{self.number} small", self.serial + 1
        self.check(name)
        self.raw.put([self.serial] * 100, name=name, replace=True)
        self.check(name, [100], self.serial)

    def large(self):
        name, n = f"{self.number} large", self.chance.choice(SIZES)
        self.serial += 1
        self.check(name)
        handle = self.raw.handle()
        hostile.create(self.raw, numpy.full(n, self.serial, "float64").tobytes(), "float64", [n],
                       handle=handle, name=name, replace=True)
        self.raw.notify("release", handles=[handle])
        self.check(name, [n], self.serial)

    def program(self):
        n = self.chance.choice(SIZES)
        [total, _] = self.raw.run([["arange", [], {"range": [0, n, 1], "dtype": "float64"}],
                                   ["multiply", [0, 0], {}], ["sum", [0], {}],
                                   ["sort", [1], {"axes": [0]}]], [],
                                  [{"value": 2}, {"value": 3, "handle": (h := self.raw.handle())}])
        assert struct.unpack("d", total["data"])[0] == n * (n - 1) / 2
        self.raw.notify("release", handles=[h])

    def shared(self):
        """A mutable tensor of all clients, a row of which is each one's own."""
        shape = [N_CLIENTS, 1000]
        with contextlib.suppress(kit.Refused):
            handle = self.raw.handle()
            made = self.raw.call("create", handle=handle, dtype="float64", shape=shape,
                                 name="shared", mutable=True)
            os.close(self.raw.fds.pop())
            self.raw.call("seal", handle=handle)
            self.raw.notify("unmap", segments=[made["segment"]])
            self.raw.notify("release", handles=[handle])
        part = {"shape": [1000], "strides": [8], "offset": 8000 * self.number}
        try:
            made = self.raw.call("lease", name="shared", lease=1, view=part, writable=True,
                                 torn=True, wait_ms=1000)
        except kit.Refused as error:  # the daemon died between, and with it an unsealed one
            assert error.code in ("not_found", "lease_conflict"), error
            return
        fd = kit.take(self.raw, made)
        self.serial += 1
        with kit.mapped(fd, made, writable=True) as data:
            row = numpy.frombuffer(data, "float64")[1000 * self.number:1000 * (self.number + 1)]
            row[:] = self.serial
            assert (row == self.serial).all()
            del row
        os.close(fd)
        self.raw.call("unlease", leases=[1])
        self.raw.notify("unmap", segments=[made["segment"]])

    def pipeline(self):
        """Each names the result of the one before; all are sent before the first is answered."""
        first = self.raw.handle()
        self.raw.run([["ones", [], {"shape": [600], "dtype": "float64"}]],
                     outputs=[{"value": 0, "handle": first}])
        handles = [first] + [self.raw.handle() for _ in range(20)]
        sent = [self.raw.send("run", inputs=[{"handle": old}], nodes=[["add", [0, 0], {}]],
                              outputs=[{"value": 1, "handle": new}])
                for old, new in zip(handles, handles[1:])]
        for msgid in sent:
            made = self.raw.wait(msgid)["outputs"][0]
            assert made["nbytes"] == 4800
        [last] = self.raw.run([["max", [0], {}]], [{"handle": handles[-1]}])
        assert struct.unpack("d", last["data"])[0] == 2.0 ** 20
        self.raw.notify("release", handles=handles)

    def cancel(self):
        msgid = self.raw.send("run", inputs=[kit.immediate([1.0])], nodes=LONG,
                              outputs=[{"value": 1}])
        self.raw.notify("cancel", msgid=msgid)
        with contextlib.suppress(kit.Refused):
            self.raw.wait(msgid)
            raise AssertionError("it cannot be done")

    def delete(self):
        with contextlib.suppress(kit.Refused):
            self.raw.call("delete", name=f"{self.number} {self.chance.choice(['small', 'large'])}")

    def leave(self):
        """With a job under way, and memory mapped."""
        self.raw.call("create", handle=self.raw.handle(), dtype="float64", shape=[10_000])
        self.raw.send("run", inputs=[kit.immediate([1.0])], nodes=LONG, outputs=[{"value": 1}])
        self.connect()


class Figures:
    """Of one life of the daemon."""

    def __init__(self, daemon):
        self.daemon, self.began = daemon, time.monotonic()
        self.points = {name: [] for name in RISES}

    def look(self):
        pid, stat = self.daemon.pid, self.daemon.stat()
        now = time.monotonic() - self.began
        for name, value in (("private bytes", self.daemon.resident() - stat["plans"]["bytes"]),
                            ("descriptors", len(os.listdir(f"/proc/{pid}/fd"))),
                            ("mappings", hostile.n_mappings(pid)),
                            ("segments", len(self.daemon.objects()))):
            self.points[name].append((now, value))

    def rises(self):
        """{name: by how much it rose in the later two thirds}"""
        found = {}
        for name, points in self.points.items():
            later = points[len(points) // 3:]
            found[name] = hostile.slope(later) * (later[-1][0] - later[0][0])
        return found

    def medians(self):
        return {name: statistics.median(value for _, value in points[len(points) // 3:])
                for name, points in self.points.items()}


class GoodClient:
    """A prober for each life; of what they say, the worst."""

    def __init__(self, daemon, stack):
        self.daemon, self.stack = daemon, stack
        self.worst, self.worst_ms = None, -1
        self.begin()

    def begin(self):
        self.prober = kit.Prober(self.daemon, self, 0.02)
        self.stack.callback(self.prober.process.kill)

    def say(self, text):
        self.said = text

    def end(self):
        worst_ms = self.prober.end()["worst_ms"]
        if worst_ms > self.worst_ms:
            self.worst, self.worst_ms = self.said, worst_ms


def check_rises(lives, report):
    for name, (in_life, between) in RISES.items():
        rises = [life.rises()[name] for life in lives]
        medians = [life.medians()[name] for life in lives]
        line = (f"{name}: {medians[-1]:,.0f} in the last life; rose in a life by "
                f"{statistics.median(rises):+,.1f} (median)")
        if len(lives) >= LIVES:
            later = hostile.slope(list(enumerate(medians)))
            line += f", from one life to the next by {later:+,.2f}"
            assert later < between, line
        report.say(line)
        assert statistics.median(rises) < in_life, line


def run(counts, seed, report):
    chance = random.Random(seed)
    daemon = report.daemon("--memory", "256M")
    bounds = daemon.bounds(is_warm=True)
    life_s = counts["seconds"] / (counts["daemons killed"] + 1)
    lives, n_killed = [Figures(daemon)], 0
    with contextlib.ExitStack() as stack:
        def start(number):
            load = Load(daemon, number, chance.random())
            return stack.enter_context(Child(load.run))

        clients = [start(number) for number in range(N_CLIENTS)]
        steps = [0] * N_CLIENTS
        began = looked = killed = time.monotonic()
        good = GoodClient(daemon, stack)
        while (now := time.monotonic()) - began < counts["seconds"]:
            time.sleep(0.05)
            for number, client in enumerate(clients):
                told = client.wait_told(60)
                assert told, "a client failed"
                steps[number] += len(told)
            if now - looked > 0.5:
                looked = now
                lives[-1].look()
            if now - killed > KILL_S:
                killed = now
                number = chance.randrange(N_CLIENTS)
                assert clients[number].end() == -9
                n_killed += 1
                clients[number] = start(number)
            if now - lives[-1].began > life_s and report.done["daemons killed"] < \
                    counts["daemons killed"]:
                good.end()
                daemon.restart9()
                lives.append(Figures(daemon))
                good.begin()
                report.did("daemons killed")
        report.did("seconds", int(now - began))
        good.end()
    report.say(good.worst)
    report.say(f"{sum(steps)} steps of {N_CLIENTS} clients, {n_killed} of them killed")
    hostile.at_rest(daemon)
    bounds.check()
    check_rises(lives, report)
    daemon.finish()
