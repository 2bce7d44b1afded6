# SPDX-License-Identifier: MIT
"""Ctrl-C, and signal handlers that use arrays, at any time: nothing is lost, and no lock is held.

The interpreter runs handlers after calls and where functions begin, which is where it tells a
profiler of. So one plays the signal here, once at each of these places.
"""

import contextlib
import os
import random
import signal
import sys
import threading

import numpy
import pytest

import tensord
from sanitized import SLOWER

pytestmark = pytest.mark.plain

HERE = os.path.dirname(tensord.__file__)


def is_free(client):
    """Can another thread compute?"""
    results = []
    thread = threading.Thread(target=lambda: results.append(float((client.put([2.0]) + 1)[0])))
    thread.daemon = True
    thread.start()
    thread.join(60 * SLOWER)
    return results == [3]


class Signal:
    """Call a handler at the n-th place of the package that is met; was it?"""

    def __init__(self, n, handler, file=""):
        self.n, self.handler, self.where = n, handler, os.path.join(HERE, file)
        self.is_done = False

    def __enter__(self):
        sys.setprofile(self.see)
        return self

    def __exit__(self, *exception):
        sys.setprofile(None)

    def see(self, frame, event, arg):
        del arg  # the traceback would keep it, a lock that was just held for one
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(self.where):
            self.n -= 1
            if self.n == 0:
                sys.setprofile(None)
                self.is_done = True
                self.handler()


def places():
    """A Signal for each place, until the last was met."""
    n = 0
    while True:
        n += 1
        made = []

        def signal_of(handler, file=""):
            made.append(Signal(n, handler, file))
            return made[-1]

        yield signal_of
        if not made[0].is_done:
            return


def interrupt_when_computed(client):
    """Ctrl-C, where the daemon has nothing to do any more."""

    def handler():
        while client.stat()["jobs"]:
            pass
        raise KeyboardInterrupt

    return handler


def test_a_hold():
    """A lock is let go of with the block, or with the hold, where an interrupt comes before it."""
    lock = threading.RLock()
    with tensord._native.Hold(lock):
        assert lock._is_owned()
    assert not lock._is_owned()
    with pytest.raises(ValueError, match="within"), tensord._native.Hold(lock) as nothing:
        assert nothing is None and lock._is_owned()
        raise ValueError("within")
    assert not lock._is_owned()
    hold = tensord._native.Hold(lock)
    hold.__enter__()
    with pytest.raises(RuntimeError, match="held already"):
        hold.__enter__()
    assert lock._is_owned()
    del hold
    assert not lock._is_owned()


def test_interrupts_at_any_time(client):
    """Ctrl-C leaves no lock behind: other threads compute, and so does this one."""
    hits = 0
    x = client.put(numpy.zeros(100))

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    rng = random.Random(7)
    try:
        while hits < 700:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + rng.random() * 1e-3)
                while True:
                    x += 1
                    float(x[0])
            except KeyboardInterrupt:
                hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert is_free(client)
    assert float((x - x)[3]) == 0


def test_an_interrupt_anywhere_in_assignments(client):
    """Each was made, or was not."""
    for signal_of in places():
        x = client.put(numpy.zeros(9000))
        n_done = 0
        try:
            with signal_of(interrupt_when_computed(client)):
                for _ in range(3):
                    x.__iadd__(1)
                    n_done += 1
                    x[:2] = x[3]
                    tensord.eval(x)
        except KeyboardInterrupt:
            pass
        array = numpy.asarray(x)
        assert array[0] in (n_done, n_done + 1) and (array == array[0]).all()
    assert is_free(client)


def test_an_interrupt_anywhere_in_what_is_sent_ahead(client, monkeypatch):
    """What was given away for it is not gone: somebody waits for the results."""
    monkeypatch.setattr(tensord._plan, "DONATED_MIN", 0)
    monkeypatch.setattr(tensord._force, "DONATED_MIN", 0)
    wanted = numpy.arange(100.0)
    for signal_of in places():
        x = client.put(wanted[::-1].copy())
        try:
            with signal_of(interrupt_when_computed(client), "_force.py"):
                for turn in range(300):
                    x = tensord.sort(x, descending=turn % 2 == 0)
        except KeyboardInterrupt:
            pass
        assert (numpy.sort(numpy.asarray(x)) == wanted).all()
    assert is_free(client)


@pytest.mark.parametrize("file", ["", "_lease.py"])
def test_an_interrupt_anywhere_in_a_lease(daemon, client, file):
    """It is not held afterwards, also where somebody has it, and the traceback."""
    with daemon.connect() as other:
        for signal_of in places():
            t = client.put(numpy.zeros(4), "t", mutable=True, replace=True)
            pending, lease = t + 1, t.write()

            def check():
                assert float(pending[0]) == 1 and float((t + 0)[0]) == 0
                with other.open("t").write() as array:
                    array[0] += 1

            try:
                with signal_of(interrupt_when_computed(client), file):
                    with lease as array:
                        array[1] += 1
            except KeyboardInterrupt:
                check()
            else:
                check()


def test_a_handler_that_assigns(client):
    """To what is being assigned to: both count."""
    for signal_of in places():
        x = client.put(numpy.zeros(4))
        view = x[1:]
        with signal_of(lambda: view.__iadd__(10)) as played:
            x += 1
            view += 100
        assert x.tolist() == [1, *[111 if played.is_done else 101] * 3]


def test_a_handler_that_notes_much(client):
    """More than may be pending is sent later, rather than refused here."""
    for signal_of in places():
        x = client.put(numpy.zeros(4))
        y = x + 1
        made = []

        def note():
            z = y
            for _ in range(300):
                z = z + 1
            made.append(z)

        with signal_of(note, "_force.py"):
            tensord.eval((y * 2)[:2] + y[:2])
        assert y.tolist() == [1] * 4 and all(z.tolist() == [301] * 4 for z in made)


def test_a_handler_that_looks(client):
    """It sees a value, or is refused; it never waits for the thread that it interrupted."""
    n_seen = n_refused = 0
    for signal_of in places():
        x = client.put(numpy.zeros(4))
        seen = []

        def look():
            try:
                seen.append(float(x[0]))
            except tensord.ArgumentError as problem:
                assert "signal handler" in str(problem)
                seen.append(None)

        with signal_of(look):
            for _ in range(2):
                x += 1
                y = x * 2
                tensord.eval(x)
        assert (x.tolist(), y.tolist()) == ([2] * 4, [4] * 4)
        n_refused += seen == [None]
        n_seen += seen in ([0], [1], [2])
        assert len(seen) <= 1
    assert n_seen > 5 and n_refused > 5 and is_free(client)


def test_a_handler_that_notes_what_is_leased(client):
    """It reads what was there before the block, or is refused."""
    n_noted = n_refused = 0
    t = client.put(numpy.zeros(4), mutable=True)
    for signal_of in places():
        before, noted, begun = float(t[0]), [], []

        def note():
            try:
                noted.append((t + 1, before + 2 * len(begun)))
            except tensord.LeaseConflict:
                noted.append(None)

        with signal_of(note):
            with t.write() as array:
                begun.append(1)
                array += 2
        for value, wanted in filter(None, noted):
            assert value.tolist() == [wanted + 1] * 4
            n_noted += 1
        n_refused += noted == [None]
    assert n_noted > 5 and n_refused > 5 and is_free(client)
