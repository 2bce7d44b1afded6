# SPDX-License-Identifier: MIT
"""Clients that do not finish what they began, or do not read what they asked for.

All of them misbehave at the same time, each on a connection of its own, so that the file takes as
long as its longest deadline; each test looks at one outcome. An honest client works throughout.
"""
import os
import struct
import threading
import time

import msgpack
import pytest

from raw import Raw, eventually

PING = msgpack.packb([0, 1, "ping", []])
FIRST_S, STARTED_S, OUTPUT_S, DRAIN_S = 2, 5, 10, 5
# late is late: the daemon looks at deadlines now and then, and the machine may be busy
SLACK_S = 3
N_SEGMENTS = 40


def say_nothing(raw):
    return raw.farewell()


def half_a_message(raw):
    raw.send_bytes(PING[:4])
    return raw.farewell()


def half_a_message_later(raw):
    assert raw.call("ping") == "pong"
    raw.send_bytes(PING[:4])
    return raw.farewell()


def drop_by_drop(raw):
    """the deadline is that of the message, not of the last byte"""
    assert raw.call("ping") == "pong"
    message = msgpack.packb([0, 2, "stat", [{"name": "x" * 200}]])
    started = time.monotonic()

    def drip():
        try:
            for byte in message[:-1]:
                raw.send_bytes(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            pass

    dripping = threading.Thread(target=drip)
    dripping.start()
    outcome = raw.farewell()
    dripping.join()
    assert time.monotonic() - started < len(message) * 0.1
    return outcome


def idle(raw):
    """a client that has nothing to say may stay"""
    assert raw.call("ping") == "pong"
    time.sleep(OUTPUT_S + SLACK_S)
    assert raw.call("ping") == "pong"
    return [], False


def never_read(raw):
    """pipeline what has long answers, read none"""
    request = msgpack.packb([0, 1, "ops", []]) * 100
    started = time.monotonic()
    try:
        while time.monotonic() - started < OUTPUT_S + 2 * SLACK_S:
            raw.send_bytes(request)
    except TimeoutError:
        return [], False
    except OSError:
        return [], True
    return [], False


def never_read_descriptors(raw):
    """open many segments, read no answer: their descriptors stay in flight"""
    for i in range(N_SEGMENTS):
        raw.send("open", name=f"segment {i}", handle=i + 1, map=True)
    started = time.monotonic()
    while time.monotonic() - started < OUTPUT_S + 2 * SLACK_S:
        try:
            raw.send_bytes(PING)
        except OSError:
            return [], True
        time.sleep(0.2)
    return [], False


SCENARIOS = [say_nothing, half_a_message, half_a_message_later, drop_by_drop, idle, never_read,
             never_read_descriptors]


class Outcome(threading.Thread):
    def __init__(self, scenario, path):
        super().__init__(name=scenario.__name__)
        self.scenario, self.path = scenario, path
        self.errors = self.has_ended = self.seconds = self.failure = None

    def run(self):
        started = time.monotonic()
        try:
            with Raw(self.path, timeout=OUTPUT_S + 2 * SLACK_S) as raw:
                self.errors, self.has_ended = self.scenario(raw)
                self.seconds = time.monotonic() - started
        except Exception as failure:  # shown by the test that looks at it
            self.failure = failure


def honest_work(path):
    """one round of what an honest client does; its seconds"""
    started = time.monotonic()
    with Raw(path) as raw:
        opened = raw.call("open", name="segment 0", handle=1, map=True)
        assert len(raw.fds) == 1 and os.fstat(raw.fds[0]).st_size == opened["n_bytes"]
        total = raw.run([["sum", [0], {}]], [{"handle": 1}])[0]
        assert struct.unpack("<d", total["data"]) == (1000.0,)
    return time.monotonic() - started


def leave_for_ever(daemon):
    """A job that names its result and never ends, of a connection that has; the daemon is told to
    stop then."""
    with Raw(daemon.path) as raw:
        raw.send("run", inputs=[{"dtype": "float64", "shape": [], "data": bytes(8)}],
                 nodes=[["loop", [0], {"steps": 1 << 60, "captures": 0, "results": [2],
                                       "body": [["exp", [1], {}]]}]],
                 outputs=[{"value": 1, "name": "for ever"}])
        with Raw(daemon.path) as other:
            eventually(lambda: other.call("stat")["jobs"] == 1, what="it computes")
    daemon.process.terminate()


@pytest.fixture(scope="module")
def stopping(make_daemon):
    daemon = make_daemon()
    first_pid = daemon.pid
    leave_for_ever(daemon)
    yield daemon
    if daemon.pid == first_pid:  # the test that looks at it ran elsewhere
        daemon.process.wait(DRAIN_S + SLACK_S)
        daemon.start()


@pytest.fixture(scope="module")
def outcomes(make_daemon, stopping):
    daemon = make_daemon()
    with Raw(daemon.path) as raw:
        for i in range(N_SEGMENTS):
            raw.run([["ones", [], {"shape": [1000], "dtype": "float64"}]],
                    outputs=[{"value": 0, "name": f"segment {i}"}])
        before = raw.call("stat")
    threads = {scenario.__name__: Outcome(scenario, daemon.path) for scenario in SCENARIOS}
    for thread in threads.values():
        thread.start()
    rounds = []
    while any(thread.is_alive() for thread in threads.values()):
        rounds.append(honest_work(daemon.path))
        time.sleep(0.05)

    threads["rounds"] = rounds
    threads["before"] = before
    with Raw(daemon.path) as raw:
        eventually(lambda: raw.call("stat")["connections"] == 1, what="all connections gone")
        threads["after"] = raw.call("stat")
    return threads


@pytest.mark.parametrize("name, seconds", [
    ("say_nothing", FIRST_S), ("half_a_message", FIRST_S), ("half_a_message_later", STARTED_S),
    ("drop_by_drop", STARTED_S)])
def test_who_does_not_finish_is_told_and_left(outcomes, name, seconds):
    outcome = outcomes[name]
    assert outcome.failure is None, outcome.failure
    assert outcome.has_ended
    assert [code for code, _ in outcome.errors] == ["timeout"]
    assert seconds - 0.5 < outcome.seconds < seconds + SLACK_S


def test_who_is_silent_between_messages_may_stay(outcomes):
    outcome = outcomes["idle"]
    assert outcome.failure is None, outcome.failure
    assert not outcome.has_ended


@pytest.mark.parametrize("name", ["never_read", "never_read_descriptors"])
def test_who_does_not_read_is_dropped(outcomes, name):
    outcome = outcomes[name]
    assert outcome.failure is None, outcome.failure
    assert outcome.has_ended
    assert OUTPUT_S - 1 < outcome.seconds < OUTPUT_S + SLACK_S


def test_others_are_served_meanwhile(outcomes):
    rounds = sorted(outcomes["rounds"])
    assert len(rounds) > 50
    assert rounds[len(rounds) // 2] < 0.1 and rounds[-1] < 2


def test_what_would_go_on_for_ever_does_not_keep_the_daemon(outcomes, stopping):
    stopping.process.wait(DRAIN_S + SLACK_S)
    assert stopping.process.returncode == 0
    stopping.start()
    with Raw(stopping.path) as raw:
        assert raw.call("list")["tensors"] == []
        raw.put([1.0], name="for ever")


def test_nothing_stays_behind(outcomes):
    before, after = outcomes["before"]["memory"], outcomes["after"]["memory"]
    for key in ("live", "held", "parked", "heap", "scratch"):
        assert after[key] == before[key]
