# SPDX-License-Identifier: MIT
"""What a user may hold: base/quota against a model, and a hostile user at every cap of its own,
beside a victim.

The hostile one takes connections, memory, tensors, leases and names until each is refused, keeps
them, and goes on asking on some of its connections. The victim gets its share whenever it wants it,
and is served as quickly as when the other one only holds what it has: its 99th percentiles are
taken in turn, and their medians compared.
"""

import contextlib
import mmap
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import hostile
import kit
from hostile import NOBODY, OTHER, Child
from kit import MIB, Raw

NAME = "quota"
CHECKS = ("charges and model agree, everything comes back; beside a user at its caps a victim gets "
          "its share, and its 99th percentile is at most twice its quiet one")
QUICK = {"operations": 100_000, "pairs": 5}
FULL = {"operations": 10_000_000, "pairs": 60}
NEEDS_ROOT = True
LIMIT_S = (120, 1200)

MEMORY = 64 * MIB
CAPS = {"tensors": 1500, "leases": 100, "requests": 400, "connections": 100}
ASKING = 4  # connections that go on asking
ASK_S = 0.002
PHASE_S = 0.4
RATIO = 2
LOOKS = 4  # times the pairs, before a ratio is believed that is too large
CROWD = 4  # threads a processor that want to run: the machine is overloaded
REFUSED = {"quota_exceeded", "memory_limit", "too_many"}


def model(counts, seed, report):
    command = [kit.program("quota"), str(seed), str(counts["operations"])]
    told = subprocess.run(command,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert told.returncode == 0, f"seed {seed}: {told.returncode} {told.stdout} {told.stderr}"
    report.say(f"model: {told.stdout.strip()}")
    report.did("operations", int(re.match(r"(\d+) operations", told.stdout)[1]))


# ---- the hostile one ----


def connections(path):
    """All that there are for one user."""
    held = []
    while True:
        raw = Raw(path)
        try:
            raw.call("ping")
        except ConnectionError:  # refused, and told so
            raw.close()
            return held
        held.append(raw)
        assert len(held) <= CAPS["connections"]


def until_refused(function):
    """How often it went well; the code that ended it."""
    for n in range(1_000_000):
        try:
            function(n)
        except kit.Refused as error:
            assert error.code in REFUSED, error
            return n, error.code
    raise AssertionError("there is no end to it")


def create(raw, n_bytes):
    raw.call("create", handle=raw.handle(), dtype="uint8", shape=[n_bytes])
    raw.close_fds()


def hostile_user(child, path, is_on):
    """Take everything, tell how much it was, and ask for more while the flag says so."""
    held = connections(path)
    raw = held[0]
    raw.put([1.0], name="m")
    hostile.create(raw, bytes(8000), "float64", [1000], name="mutable", mutable=True)
    took = {
        "connections": (len(held), "too_many"),
        "leases": until_refused(lambda n: raw.call("lease", name="mutable", lease=n + 1)),
        "tensors": until_refused(lambda n: raw.put([1.0])),
    }
    raw.call("release", handles=list(range(raw.handle() - 100, raw.handle())))
    took |= {
        "MiB": until_refused(lambda n: create(raw, MIB)),
        "KiB": until_refused(lambda n: raw.put([1.0] * 128)),
    }
    child.tell(repr(took).encode())
    asking = held[1:1 + ASKING]
    more = [lambda raw: create(raw, MIB), lambda raw: raw.put([1.0] * 500),
            lambda raw: raw.call("lease", name="mutable", lease=900)]
    n = 0
    while True:
        time.sleep(ASK_S)
        if not is_on[0]:
            continue
        for raw in asking:
            n += 1
            try:
                more[n % len(more)](raw)
            except kit.Refused as error:
                assert error.code in REFUSED, error
            else:
                raise AssertionError("it got more than it may have")


# ---- the victim ----


def turn(raw):
    """What it does all day: its seconds."""
    began = time.monotonic()
    handle, result = raw.handle(), raw.handle()
    raw.put([1.0] * 100, name="v", replace=True)
    made = raw.call("create", handle=handle, dtype="float64", shape=[20_000])
    raw.close_fds()
    raw.call("seal", handle=handle)
    [total] = raw.run([["multiply", [0, 0], {}], ["exp", [1], {}], ["sum", [2], {}]],
                      [{"handle": handle}], [{"value": 3, "handle": result}])
    assert total["nbytes"] == 8
    raw.notify("unmap", segments=[made["segment"]])
    raw.notify("release", handles=[handle, result])
    return time.monotonic() - began


def phase(raw):
    """(median, 99th percentile) in ms"""
    end, took = time.monotonic() + PHASE_S, []
    while time.monotonic() < end or len(took) < 100:
        took.append(turn(raw) * 1e3)
    took.sort()
    return statistics.median(took), took[len(took) * 99 // 100]


def take_share(raw):
    """A victim that holds nothing gets most of what is left, at once."""
    limits = raw.call("stat")["users"][0]["limits"]
    assert limits["bytes"] >= MEMORY * 3 // 64, limits  # 3/4 of 1/16 at least: see base/quota.h
    handle = raw.handle()
    made = raw.call("create", handle=handle, dtype="uint8", shape=[2 * MIB])
    raw.close_fds()
    raw.call("unmap", segments=[made["segment"]])
    raw.call("release", handles=[handle])


def p99_of(phases):
    """Their median."""
    return statistics.median(p99 for _, p99 in phases)


def live(counts, report):
    options = [word for what, n in CAPS.items() for word in (f"--quota-{what}", str(n))]
    daemon = hostile.open_to_all(report, "--memory", str(MEMORY), *options)
    bounds = daemon.bounds(is_warm=True)
    is_on = mmap.mmap(-1, 1)
    with contextlib.ExitStack() as stack:
        bad = stack.enter_context(Child(lambda child: hostile_user(child, daemon.path, is_on),
                                        NOBODY))
        report.say(f"the hostile user got {bad.wait_told(60).decode()}")
        victim = stack.enter_context(hostile.connect_as(OTHER, daemon.path))
        phase(victim)  # warm
        quiet, loud, n_crowded = [], [], 0
        # few pairs differ by themselves: what looks bad is looked at for longer
        while len(quiet) < counts["pairs"] or (
                len(quiet) < LOOKS * counts["pairs"] and p99_of(loud) > RATIO * p99_of(quiet)):
            for flag, found in (0, quiet), (1, loud):
                is_on[0] = flag
                found.append(phase(victim))
                n_crowded += n_runnable() > CROWD * os.cpu_count()
            take_share(victim)
            os.kill(bad.pid, 0)
            report.did("pairs")
        with daemon.raw() as raw:
            for row in raw.call("stat")["users"]:
                if row["uid"] == NOBODY:
                    assert row["connections"] == CAPS["connections"], row
        victim.call("delete", name="v")
    p99 = [p99_of(found) for found in (quiet, loud)]
    p50 = [statistics.median(p50 for p50, _ in found) for found in (quiet, loud)]
    report.say(f"victim: p50 {p50[0]:.2f} ms quiet, {p50[1]:.2f} beside it; p99 {p99[0]:.2f} "
               f"quiet, {p99[1]:.2f} beside it ({p99[1] / p99[0]:.2f} times; medians of "
               f"{len(quiet)})")
    with hostile.connect_as(NOBODY, daemon.path) as raw:
        raw.call("delete", name="m")
        raw.call("delete", name="mutable")
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
    if n_crowded > len(quiet) // 4:
        report.say("the machine was overloaded: nothing is concluded from these times")
    else:
        assert p99[1] <= RATIO * p99[0], (
            f"the victim waits for the hostile one: {p99[1]:.2f} ms, {p99[0]:.2f} without it")


def n_runnable():
    """Threads of the machine that run or could."""
    return int(Path("/proc/loadavg").read_text().split()[3].split("/")[0])


def run(counts, seed, report):
    model(counts, seed, report)
    live(counts, report)
