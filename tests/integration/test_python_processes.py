# SPDX-License-Identifier: MIT
"""Pending arrays beside threads, processes that are started in every way, and ends of processes."""

import subprocess
import sys
import textwrap
import threading

import numpy
import pytest

import tensord
from sanitized import SLOWER, starts_threads_in_a_fork
from threads import in_threads

pytestmark = pytest.mark.plain

# ---- threads ----


def test_all_want_the_same(client, often):
    """Eight threads look at one graph, at other parts of it, and at views: each sees its value."""
    array = numpy.arange(5000.0)
    for turn in range(20):
        x = client.put(array)
        base = x * 2 + turn
        total = base.sum()
        root = tensord.sqrt(base)
        expected = array * 2 + turn

        def work(i):
            if i % 4 == 0:
                assert float(total) == expected.sum()
            elif i % 4 == 1:
                assert (numpy.asarray(root) == numpy.sqrt(expected)).all()
            elif i % 4 == 2:
                assert (numpy.asarray(base[::-1][:100]) == expected[::-1][:100]).all()
            else:
                assert (numpy.asarray(base) == expected).all()

        in_threads(8, work)


def test_threads_extend_and_force(client, often):
    """Each builds upon what others force at that moment, more than what may be pending at once."""
    x = client.put(numpy.ones(2000))
    shared = [x + 0]

    def work(i):
        own = shared[0]
        for step in range(150):
            own = own + shared[0] * (i + 1)
            if step % 37 == i:
                assert own[0].item() == 1 + (step + 1) * (i + 1)
        assert (numpy.asarray(own) == 1 + 150 * (i + 1)).all()

    in_threads(6, work)


def test_threads_fail_apart(client, often):
    """A run that fails is the one's who asked for it; what is shared is computed all the same."""
    x = client.put(numpy.eye(3))
    for _ in range(10):
        good = x * 3

        def work(i):
            if i % 2:
                with pytest.raises(tensord.LinAlgError):
                    tensord.linalg.inv(good * 0)
            else:
                assert numpy.asarray(good).trace() == 9

        in_threads(6, work)


def test_threads_assign_and_drop(client, often):
    """Arrays go, with what they are of, while other threads force."""
    x = client.put(numpy.arange(3000.0))

    def work(i):
        for n in range(40):
            y = x + n
            y[i] = 7
            z, _dropped = y * 2, y - 1
            if n % 3 == 0:
                del y
            assert z[i].item() == 14
            assert z[-1].item() == 2 * (2999 + n)

    in_threads(6, work)


@pytest.mark.parametrize("n_bytes", [0, None])
def test_a_part_while_the_whole_is_computed(client, often, monkeypatch, n_bytes):
    """What the whole may be written over is not looked for by the part."""
    if n_bytes is not None:
        monkeypatch.setattr(tensord._force, "DONATED_MIN", n_bytes)
        monkeypatch.setattr(tensord._plan, "DONATED_MIN", n_bytes)
    array = numpy.arange(90_000.0).reshape(300, 300)
    for _ in range(30):
        x = client.put(array)
        x += 1
        part = x[:10]

        def work(i):
            whole = numpy.asarray(x if i % 2 else part)
            assert (whole == (array + 1)[: len(whole)]).all()

        in_threads(4, work)


def test_threads_write_elements_of_one_array(client, often):
    """Each its own: none is lost, neither of assignments nor of operations in place."""
    x, y = client.put(numpy.zeros((6, 60))), client.put(numpy.zeros((6, 60)))
    total = client.put(numpy.zeros(3))

    def work(i):
        row = y[i]
        for k in range(60):
            x[i, k] = i + 1
            row[k] += i + 1
            y[i, k:] += 1
        for _ in range(20):
            total[...] += 1  # all write it, each upon what there is
            total.__iadd__(1)

    in_threads(6, work)
    want = numpy.repeat(numpy.arange(6.0)[:, None] + 1, 60, 1)
    assert (numpy.asarray(x) == want).all()
    assert (numpy.asarray(y) == want + numpy.arange(60) + 1).all()
    assert total.tolist() == [240] * 3


def test_a_part_of_what_is_read_while_it_is_written(client, monkeypatch):
    """A part that is computed by itself reads what the whole reads: the writer waits for it."""
    t = client.put(numpy.zeros(4000), mutable=True)
    whole = t * 2 + 1
    part = whole[3:6]
    emit, finish = tensord._force.Run._emit, tensord._force.Run.finish
    is_waiting = threading.Event()
    writers = []

    def write():
        t[:] = 5
        is_waiting.set()  # it did not wait

    def slow_emit(run, *how):
        if not writers:
            writers.append(threading.Thread(target=write))
            writers[0].start()
            assert is_waiting.wait(60 * SLOWER)
        return emit(run, *how)

    def noted_finish(run):
        if threading.current_thread() in writers:
            is_waiting.set()
        finish(run)

    monkeypatch.setattr(tensord._force.Run, "_emit", slow_emit)
    monkeypatch.setattr(tensord._force.Run, "finish", noted_finish)
    assert part.tolist() == [1, 1, 1]
    writers[0].join()
    assert whole.tolist() == [1] * 4000 and t[0].item() == 5


def test_threads_look_at_one_view(client, often):
    """One of them is the first to see that nobody has its base any more."""
    array = numpy.arange(900.0).reshape(30, 30)
    for _ in range(60):
        t = client.put(array)
        views = [(t * 2)[1:], (t * 3).T, tensord.sort(t, axis=0)[:, ::-1]]
        wanted = [array[1:] * 2, array.T * 3, array[:, ::-1]]

        def work(i):
            for view, want in zip(views, wanted):
                got = view[...] if i % 2 else view + 0
                assert (numpy.asarray(got) == want).all()

        in_threads(4, work)


def test_threads_lease_parts(client, often):
    x = client.put(numpy.zeros((4, 20)), mutable=True)

    def work(i):
        for _ in range(10):
            with x[i].write(timeout=20) as rows:
                rows += 1
            x[i] += 1

    in_threads(4, work)
    assert (numpy.asarray(x) == 20).all()


def test_threads_look_while_a_base_is_assigned_to(client, often, monkeypatch):
    """What somebody assigns to the base, just before nobody has it any more, is seen."""
    look = tensord.Array._look
    waiting = []

    def slow(view, base):
        seen = look(view, base)
        if waiting:
            thread = threading.Thread(target=waiting.pop())
            thread.start()
            thread.join()
        return seen

    monkeypatch.setattr(tensord.Array, "_look", slow)
    bases = [client.put(numpy.zeros(10))]
    view = bases[0][2:5]

    def assign():
        bases[0][3] = 7
        bases.clear()

    waiting.append(assign)
    assert numpy.asarray(view).tolist() == [0, 7, 0]
    view[0] = 1
    assert view.tolist() == [1, 7, 0]


# ---- processes ----

START = """
import multiprocessing, sys, numpy, tensord

def work(x, pending, turn):
    own = tensord.put([1.0, 2.0]) + 1            # a client of its own
    assert own.tolist() == [2, 3]
    assert (numpy.asarray(x * 2) == numpy.arange(5000.0) * 2).all()
    assert (numpy.asarray(pending) == numpy.arange(5000.0) + 1).all()
    return float((x + pending).sum()) + turn

if __name__ == "__main__":
    method = sys.argv[1]
    x = tensord.put(numpy.arange(5000.0))
    pending, kept = x + 1, tensord.sqrt(x)
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        got = pool.starmap(work, [(x, pending, turn) for turn in range(6)])
        pool.close()
        pool.join()
    assert got == [float(2 * 12497500 + 5000) + turn for turn in range(6)], got
    assert (numpy.asarray(kept) == numpy.sqrt(numpy.arange(5000.0))).all()   # as before
    print("done")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_arrays_go_to_processes(daemon, client, tmp_path, method):
    """Pending ones are computed by who sends them; all begin with pending arrays alive."""
    script = tmp_path / "work.py"
    script.write_text(START)
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", str(script), method],
        env=daemon.env, capture_output=True, text=True, timeout=120 * SLOWER, check=False,
    )
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


FORK_PENDING = """
import os, sys, threading, numpy, tensord
x = tensord.put(numpy.zeros(100_000))
slow = tensord.fori_loop(0, 3000, lambda i, u: tensord.exp(u * 0), x)
pending, sent = x + 1, x
for _ in range(300):
    sent = sent + 1                               # some of it is under way
thread = threading.Thread(target=lambda: tensord.eval(slow))
thread.start()
while not tensord.stat()["jobs"]:
    pass
pid = os.fork()
if pid == 0:
    for array in pending, sent, slow, slow + 1:   # of a connection that is the parent's
        try:
            tensord.eval(array)
            os._exit(1)
        except tensord.Closed:
            pass
    assert tensord.eval(tensord.put([1.0]) + 1).tolist() == [2]
    del pending, sent, slow, array
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
thread.join()
assert (pending[0].item(), sent[0].item(), slow[0].item()) == (1, 300, 1)
"""


@starts_threads_in_a_fork
def test_fork_with_pending_arrays(daemon, client):
    """The child neither waits for a run of the parent's nor spoils it."""
    daemon.python(FORK_PENDING, timeout=60 * SLOWER)


# ---- ends ----

ENDS = """
import atexit, sys, threading, time, numpy, tensord
from tensord import aio
n = int(sys.argv[1])
x = tensord.put(numpy.arange(100_000.0))
keep = [x, x + 1, (x * 2)[::-1], tensord.get(tensord.publish("x", x, replace=True).name),
        numpy.asarray(x + 2),
        tensord.put([1.0], mutable=True), tensord.create((1000,)), tensord.sqrt(x).sum()]
slow = tensord.fori_loop(0, 200_000, lambda i, u: tensord.exp(u * 0), x)
sent = x
for _ in range(300):
    sent = sent + 1
cycle = [slow, sent]
cycle.append(cycle)
class Late:
    def __del__(self, keep=keep):
        self.seen = keep[4][0]
cycle.append(Late())
if n % 2:
    threading.Thread(target=tensord.eval, args=(slow,), daemon=True).start()
    while not tensord.stat()["jobs"]:
        time.sleep(0.001)
if n % 3 == 0:
    held = keep[5].write()
    held.__enter__()
if n % 5 == 0:
    atexit.register(lambda: keep[1][0].item())
if n % 7 == 0:
    sys.exit(7)
"""


@pytest.mark.parametrize("first", range(0, 20, 10))
def test_ends_with_everything_alive(daemon, client, first):
    """Pending arrays, mappings, a lease, a run on another thread, cycles: no crash, no hang."""
    for n in range(first, first + 10):
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(ENDS), str(n)],
            env=daemon.env, capture_output=True, text=True, timeout=60 * SLOWER, check=False,
        )
        assert (result.returncode, result.stderr) == (7 if n % 7 == 0 else 0, ""), (n, result)


# ---- at rest ----

KEEPS = """
import sys, numpy, tensord
client = tensord.connect()
kept = client.put(numpy.full(1 << 20, 3.0))
array = numpy.asarray(kept * 2)  # 8 MiB that are used, by an array alone
del kept  # and 8 that stay mapped for the next
print(client.stat()["memory"]["parked"], flush=True)
sys.stdin.readline()
print(array.min(), array.max())
"""


def test_a_process_at_rest_gives_back(make_own_daemon):
    """What it only keeps mapped goes to whoever wants it, though it does nothing; what it uses
    does not."""
    daemon = make_own_daemon("--memory", "33M")
    with subprocess.Popen([sys.executable, "-c", KEEPS], env=daemon.env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as keeper:
        assert int(keeper.stdout.readline()) >= 2**23
        with tensord.connect(daemon.path) as client:
            held = client.put(numpy.zeros(3 << 20))
            with pytest.raises(tensord.OutOfMemory):
                client.put(numpy.zeros(1 << 18))
            assert held.nbytes == 3 << 23
            out, _ = keeper.communicate("\n", timeout=20 * SLOWER)
    assert out.split() == ["6.0", "6.0"]
    assert keeper.returncode == 0


WITHOUT = """
import os, resource, tensord, numpy.ma  # which numpy imports late
tensord.connect().close()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
while len(taken) < 64:
    try:
        taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
os.close(taken.pop())  # one is left: for the socket
client = tensord.connect()
print(float(client.put(3.0)))
"""


def test_a_process_without_room_for_a_thread(daemon):
    """Where there is no descriptor, nor thread, to answer with at rest, a client works without."""
    result = subprocess.run([sys.executable, "-c", WITHOUT], env=daemon.env, capture_output=True,
                            text=True, timeout=20 * SLOWER, check=False)
    assert (result.returncode, result.stdout.split()) == (0, ["3.0"]), result
