# SPDX-License-Identifier: MIT
"""tensord.progress(): what takes long is shown, and nothing else; Ctrl-C ends it."""

import asyncio
import io
import os
import pty
import sys
import threading
import time
import types

import numpy
import pytest

import tensord
from sanitized import SLOWER
from tensord import _progress, aio

pytestmark = pytest.mark.plain


@pytest.fixture
def x(client):
    return client.put(numpy.zeros(100_000))


def turns(x, n):
    """A pending value of n turns of work."""
    return tensord.fori_loop(0, n, lambda i, u: tensord.exp(u * 0), x)


@pytest.fixture
def n_long(x, monkeypatch):
    """How many turns take more than half a second; and what takes a tenth of that is shown."""
    monkeypatch.setattr(_progress, "AFTER_S", 0.05)
    monkeypatch.setattr(_progress, "EVERY_MS", 10)
    started = time.monotonic()
    tensord.eval(turns(x, 400))
    return int(400 * 0.6 / (time.monotonic() - started)) + 1


@pytest.fixture
def long(x, n_long):
    """A function that yields a pending value which takes as long."""
    return lambda: turns(x, n_long)


@pytest.fixture(autouse=True)
def no_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def test_what_takes_long_is_shown(long):
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        assert tensord.eval(long()).shape == (100_000,)
    text = out.getvalue()
    lines = text.split("\r")
    assert len(lines) > 3 and text.endswith("\n")
    shares = [int(line.split("]")[1].split("%")[0]) for line in lines[1:]]
    assert shares == sorted(shares) and 0 < shares[0] < 100 and shares[-1] == 100
    assert "[" + "#" * 30 + "] 100%" in lines[-1]


def test_runs_and_functions_are_shown(client, x, n_long):
    out = io.StringIO()
    p = tensord.Program()
    u = p.loop(n_long, lambda i, u: tensord.exp(u * 0), x)
    function = client.define(p, u)
    traced = tensord.jit(lambda x: turns(x, n_long))
    for use in lambda: client.run(p, u), function, lambda: traced(x):
        out.seek(0)
        out.truncate()
        with tensord.progress(show=True, file=out):
            use()
        assert "100%" in out.getvalue()


def test_one_long_operation_is_shown(client):
    """Of which the daemon tells no more than that it goes on."""
    a = client.put(numpy.random.default_rng(0).standard_normal((900, 900)))
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        for n in range(1, 5):
            tensord.linalg.eigvals(tensord.stack([a] * 2**n))
            if out.getvalue():
                break
    assert "%" in out.getvalue()


class Looking(io.StringIO):
    """A file that looks, when it is written, at what another thread computes by then."""

    def __init__(self, barrier, other):
        super().__init__()
        self.barrier, self.other, self.refusal = barrier, other, None

    def write(self, text):
        if self.refusal is None:
            self.barrier.wait(60 * SLOWER)
            with pytest.raises(tensord.ArgumentError) as caught:
                float(self.other[0])
            self.refusal = str(caught.value)
            self.barrier.wait(60 * SLOWER)  # it was computed all the while
        return len(text)


def test_bars_that_look_at_one_another(long):
    """Each would wait for the other for ever."""
    pending, barrier = (long(), long() * 2), threading.Barrier(2)
    files = [Looking(barrier, other) for other in reversed(pending)]

    def work(i):
        with tensord.progress(show=True, file=files[i]):
            tensord.eval(pending[i])

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120 * SLOWER)
    assert all("progress bar" in file.refusal for file in files)
    assert [float(y[0]) for y in pending] == [1, 2]


def test_what_is_short_is_not_shown(x):
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        for _ in range(10):
            tensord.eval(turns(x, 20))
    assert out.getvalue() == ""


def test_outside_nothing_is_shown(long, capfd):
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        pending = tensord.ones(3) + 1
    tensord.eval(pending, long())
    with tensord.progress():  # stderr is no terminal here
        tensord.eval(long())
    with tensord.progress(show=False, file=out):
        tensord.eval(long())
    assert out.getvalue() == "" and capfd.readouterr() == ("", "")


def test_ones_own_callback_goes_first(client, x, n_long):
    out, told = io.StringIO(), []
    p = tensord.Program()
    u = p.loop(n_long, lambda i, u: tensord.exp(u * 0), x)
    with tensord.progress(show=True, file=out):
        client.run(p, u, progress=lambda *args: told.append(args))
    assert told and out.getvalue() == ""


def test_other_threads_are_not_shown(long):
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        thread = threading.Thread(target=lambda: tensord.eval(long()))
        thread.start()
        thread.join()
    assert out.getvalue() == ""


def test_of_several_one_is_shown(daemon, long):
    out = io.StringIO()

    async def main():
        with tensord.progress(show=True, file=out):
            await asyncio.gather(*[aio.eval(long()) for _ in range(3)])

    asyncio.run(main())
    assert "%" in out.getvalue()
    for line in out.getvalue().replace("\n", "\r").split("\r"):
        assert line.count("[") <= 1


class Broken(io.StringIO):
    def write(self, text):
        raise OSError("no room")


def test_a_file_that_cannot_be_written_harms_nothing(long):
    closed = io.StringIO()
    closed.close()
    for file in Broken(), closed:
        with tensord.progress(show=True, file=file):
            assert float(tensord.eval(long())[0]) == 1


def test_a_failed_run_ends_its_line(client, x, n_long):
    p = tensord.Program()
    u = p.loop(20 * n_long, lambda i, u: tensord.exp(u * 0), x)
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        with pytest.raises(tensord.DeadlineExceeded):
            client.run(p, u, timeout=0.5)
    assert out.getvalue().endswith("\n") and "100%" not in out.getvalue()


def test_tqdm(monkeypatch, long):
    """Where it is installed, it draws."""
    monkeypatch.delitem(sys.modules, "tqdm.auto")
    pytest.importorskip("tqdm.auto")
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        tensord.eval(long())
    lines = out.getvalue().split("\r")
    assert "100%|" in lines[-1] and "step/s" in lines[-1] and lines[-1].endswith("\n")


def test_what_tqdm_is_told(monkeypatch, long):
    calls = []

    class Bar:
        def __init__(self, **keywords):
            calls.append(keywords)
            self.n = self.total = 0

        def refresh(self):
            calls.append((self.n, self.total))

        def close(self):
            calls.append("closed")

    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    module = types.ModuleType("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    out = io.StringIO()
    with tensord.progress(show=True, file=out):
        tensord.eval(long())
    assert calls[0]["file"] is out and calls[0]["total"] == calls[-2][1] and calls[-1] == "closed"
    assert calls[-2][0] == calls[-2][1] and len(calls) > 3 and out.getvalue() == ""


INTERRUPTED = """
import os, signal, sys, threading, time
sys.modules["tqdm.auto"] = None
import numpy, tensord
x = tensord.put(numpy.zeros(100_000))
kept = x + 1
y = tensord.fori_loop(0, 200_000, lambda i, u: tensord.exp(u * 0), x)
started = time.monotonic()

class Out:                                    # as soon as something is shown
    n = 0
    def isatty(self):
        return True
    def write(self, text):
        self.n += 1
        if self.n == 3:
            os.kill(os.getpid(), signal.SIGINT)
    def flush(self):
        pass

try:
    with tensord.progress(file=Out()):
        tensord.eval(y)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - started < 10 * %d)
print(float(kept.sum()), float((x + 2)[0]))   # the connection is fine, what else is pending too
while tensord.stat()["jobs"]:
    time.sleep(0.01)
print(y.shape, y._resident)
"""


def test_control_c(daemon, client):
    out = daemon.python(INTERRUPTED % SLOWER, timeout=60 * SLOWER)
    assert out == "interrupted True\n100000.0 2.0\n(100000,) None\n"


def test_a_terminal_is_shown_without_asking(daemon, client):
    pid, fd = pty.fork()
    if pid == 0:
        code = """
import sys
sys.modules["tqdm.auto"] = None
import time, numpy, tensord
x = tensord.put(numpy.zeros(100_000))
turns = lambda n: tensord.eval(tensord.fori_loop(0, n, lambda i, u: tensord.exp(u * 0), x))
started = time.monotonic(); turns(400)
with tensord.progress():
    turns(int(400 * 3 / (time.monotonic() - started)) + 1)
"""
        os.execve(sys.executable, [sys.executable, "-c", code], daemon.env)
    shown = b""
    try:
        while part := os.read(fd, 4096):
            shown += part
    except OSError:  # its end
        pass
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert b"100%" in shown
