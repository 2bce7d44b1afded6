# SPDX-License-Identifier: MIT
"""Pending values that read mutable tensors: they come before what is written, whoever writes it."""

import contextlib
import gc
import queue
import threading

import numpy
import pytest

import tensord
from kit import wait_until
from sanitized import SLOWER
from tensord._force import Run
from threads import in_thread, in_threads

pytestmark = pytest.mark.plain


@pytest.fixture
def waits(monkeypatch):
    """Set where a thread begins to wait for what another computes."""
    begun, finish = threading.Event(), Run.finish

    def finish_and_tell(run):
        begun.set()
        finish(run)

    monkeypatch.setattr(Run, "finish", finish_and_tell)
    return begun


def test_a_part_that_waits_for_another_value(client, waits):
    """While a part is planned beside something that is being computed, its whole may be written."""
    m = client.put(numpy.zeros(100_000), mutable=True)
    part = (m + client.put(numpy.zeros(100_000)))[:2].copy()
    other = client.put(numpy.zeros(3)) + 1
    run = Run(client)
    run.lock.acquire()
    run.mark([other._operand().node])
    with in_thread(lambda: tensord.eval(part, other * 2)):
        try:
            assert waits.wait(60 * SLOWER)
            m[0] = 5
        finally:
            run.unmark()
            run.lock.release()
    assert part.tolist() == [0, 0]


@pytest.mark.parametrize("how", ["assign", "lease"])
def test_what_somebody_else_computes_along(client, monkeypatch, waits, how):
    """Whoever writes waits for it, and needs nothing of it that was given away meanwhile."""
    for module in (tensord._force, tensord._plan):
        monkeypatch.setattr(module, "DONATED_MIN", 0)
    m = client.put(numpy.zeros(100), mutable=True)
    x = tensord.sin(m + client.put(numpy.ones(100))) * 2
    compute = Run.compute

    def write():
        if how == "assign":
            m[0] = 5
        else:
            with m.write(timeout=60) as array:
                array[0] = 5

    def compute_later(run, *args):
        monkeypatch.setattr(Run, "compute", compute)
        threads.enter_context(in_thread(write))
        assert waits.wait(60 * SLOWER)
        compute(run, *args)

    monkeypatch.setattr(Run, "compute", compute_later)
    with contextlib.ExitStack() as threads:
        tensord.eval(x)
    assert x.tolist() == [2 * numpy.sin(1)] * 100 and float(m[0]) == 5


@pytest.mark.parametrize("theirs", ["read", "write"])
def test_what_is_noted_while_a_lease_is_waited_for(client, daemon, monkeypatch, theirs):
    """It reads what was there before the block."""
    m = client.put(numpy.zeros(4), "m", mutable=True)
    asked = threading.Event()
    ask = tensord._lease.Lease._ask

    def ask_later(lease, *args):
        asked.set()
        return ask(lease, *args)

    monkeypatch.setattr(tensord._lease.Lease, "_ask", ask_later)

    def write():
        with m.write(timeout=60) as array:
            array += 5

    with daemon.connect() as other:
        before, lease = m + 1, getattr(other.open("m"), theirs)()
        lease.__enter__()
        with in_thread(write), contextlib.ExitStack() as stack:
            stack.push(lease)
            assert asked.wait(60 * SLOWER)
            noted = m * 2
        assert (before.tolist(), noted.tolist(), m.tolist()) == ([1] * 4, [0] * 4, [5] * 4)
    client.delete("m")


@pytest.mark.parametrize("whose", ["theirs", "ours"])
def test_a_block_reads_though_somebody_waits_to_write(client, daemon, whose):
    """What is looked at in it, and behind it, is as it was; who waits comes afterwards."""
    m = client.put(numpy.zeros(4), "m", mutable=True)

    def write():
        with waiting.write(timeout=60) as array:
            array += 5

    def n_leases():
        return sum(user["leases"] for user in client.stat()["users"])

    with daemon.connect() as other, contextlib.ExitStack() as stack:
        waiting = m if whose == "ours" else other.open("m")
        with m.read() as array:
            stack.enter_context(in_thread(write))
            wait_until(lambda: n_leases() == 2, "somebody waits to write")
            y, z = m + 1, m * 2
            assert y.tolist() == [1] * 4 and array.tolist() == [0] * 4
    assert z.tolist() == [0] * 4 and m.tolist() == [5] * 4
    client.delete("m")


def test_a_lease_that_two_threads_enter(client, daemon):
    """Who was not the first is refused at once, and the other has it alone."""
    m = client.put(numpy.zeros(4), "m", mutable=True)
    lease = m.write(timeout=60)
    came, is_checked = queue.Queue(), threading.Event()

    def enter():
        try:
            with lease as array:
                array += 1
                came.put("entered")
                is_checked.wait(60)
        except tensord.ArgumentError as problem:
            came.put(str(problem))

    with daemon.connect() as other, contextlib.ExitStack() as stack:
        theirs = other.open("m")
        with theirs.write():  # both wait, if they may
            stack.enter_context(in_thread(enter))
            stack.enter_context(in_thread(enter))
            stack.callback(is_checked.set)
            assert "held already" in came.get(timeout=30)
        assert came.get(timeout=30) == "entered"
        with pytest.raises(tensord.LeaseConflict):
            theirs.write(timeout=0).__enter__()
    assert m.tolist() == [1] * 4
    with lease as array:
        assert array.tolist() == [1] * 4
    client.delete("m")


def test_threads_that_lease_and_look(client, often):
    """No lease is refused for what others only look at."""
    m = client.put(numpy.zeros(4), mutable=True)
    is_over = threading.Event()

    def look():
        while not is_over.is_set():
            with contextlib.suppress(tensord.LeaseConflict):
                float((m + 1)[0])

    with in_thread(look):
        try:
            for _ in range(40):
                with m.write(timeout=60) as array:
                    array += 1
        finally:
            is_over.set()
    assert m.tolist() == [40] * 4


def test_threads_that_write_what_is_still_to_be_read(client, often):
    """Each of them waits until it was."""
    for _ in range(100):
        t = client.put(numpy.zeros(4), mutable=True)
        y = t + 1

        def work(i):
            t[i] = 5

        in_threads(2, work)
        assert y.tolist() == [1, 1, 1, 1]


class Garbage:
    """In a cycle: does something when it is collected."""

    def __init__(self, work):
        self.itself, self.work = self, work

    def __del__(self):
        self.work()


def test_finalizers_that_note_what_is_read(client):
    """Also while a table of such values is looked through."""
    m, other = (client.put(numpy.zeros(4), mutable=True) for _ in range(2))
    kept = [m + i for i in range(1500)] + [other + i for i in range(1500)]
    made = []
    for turn in range(100):
        Garbage(lambda: made.extend((m + 1, other + 1)))
        m[0] = turn
        kept += [m + 1 for _ in range(20)]
    assert m.tolist() == [99, 0, 0, 0]
    assert all(value.tolist()[1:] == [1] * 3 for value in made)


def test_a_finalizer_that_assigns_while_a_view_is_settled(client):
    """What it assigned is seen."""
    x = client.put(numpy.zeros(12)) * 1
    view = x.reshape(3, 4).T[::2]
    value = view._operand()
    tensord.eval(view + 0)
    settle, settled = view._settle, (value, client.put(numpy.zeros((2, 3)))._tensor())

    def assign():
        x[...] = numpy.ones(12)
        view._operand()  # it sees that

    gc.collect()
    gc.disable()
    thresholds = gc.get_threshold()
    try:
        Garbage(assign)
        pairs = [(i, str(i)) for i in range(5000)]  # no tuple is left to be used again
        gc.set_threshold(1)
        gc.enable()
        settle(*settled)  # the first that allocates what is counted
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    gc.collect()
    assert view._seen[0] is x._operand() and view.tolist() == [[1] * 3] * 2, len(pairs)
