# SPDX-License-Identifier: MIT
"""Mutable tensors in Python: assignments, in-place operators, leases between processes."""

import contextlib

import numpy
import pytest

import tensord


@pytest.fixture
def t(client):
    """0, 1, ... 31 in eight rows of four."""
    return client.put(numpy.arange(32.0).reshape(8, 4), "t", mutable=True)


@pytest.fixture
def expected():
    return numpy.arange(32.0).reshape(8, 4)


# ---- programs read ----

_NOT_ON_ARRAYS = frozenset(
    "array assign connect copyto create csv_batches delete eval fill_diagonal fori_loop get jit "
    "from_dlpack memory open progress publish put run share wait while_loop".split()
)


def outcome(function, *args):
    """What it yields, as lists; or what it raises."""
    try:
        result = function(*args)
        results = result if isinstance(result, (tuple, list)) else [result]
        return [numpy.asarray(one).tolist() for one in results]
    except Exception as problem:
        return type(problem), str(problem)


@pytest.mark.parametrize("module", [tensord, tensord.linalg, tensord.fft], ids=range(3))
def test_functions_take_them_as_what_is_sealed(client, module):
    """Whatever takes an array, alone, beside a number or beside itself."""
    elements = numpy.arange(1, 10.0).reshape(3, 3) + numpy.eye(3) * 9
    t, sealed = client.put(elements, mutable=True), client.put(elements)
    n_computed = 0
    for name in sorted({*module.__all__} - _NOT_ON_ARRAYS):
        function = getattr(module, name)
        if callable(function) and not isinstance(function, type):
            for beside in ((), (1,), (None,)):
                args = [(x, *(x if y is None else y for y in beside)) for x in (t.T, sealed.T)]
                got, wanted = outcome(function, *args[0]), outcome(function, *args[1])
                assert repr(got) == repr(wanted), (name, beside)
                n_computed += isinstance(got, list)
                assert numpy.array_equal(t, elements), name
    assert n_computed > 15


# ---- programs write ----


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        (2, 3),
        slice(1, 5),
        (slice(None), 1),
        (slice(None, None, -2), slice(1, 3)),
        Ellipsis,
        (Ellipsis, None, 2),
        [0, 3, 0],
        ([1, 2], [3, 0]),
        (slice(2, 6), [0, 2]),
        numpy.arange(32).reshape(8, 4) % 3 == 0,
    ],
    ids=str,
)
def test_assignment(client, t, expected, key):
    n = numpy.asarray(expected[key]).size
    for value in 7, numpy.arange(100.0, 100 + n).reshape(numpy.shape(expected[key])):
        t[key] = value
        expected[key] = value
        assert numpy.array_equal(t, expected)
    t[key] = client.put(numpy.float32(0.5))
    expected[key] = 0.5
    assert numpy.array_equal(client.get("t"), expected)


def test_assignment_converts(client):
    t = client.put(numpy.zeros(3, "int32"), mutable=True)
    t[:] = [1.9, -2.9, 3.0]
    assert numpy.asarray(t).tolist() == [1, -2, 3] and t.dtype == "int32"


def test_in_place_operators(t, expected):
    x = t
    x += 1
    x *= numpy.arange(4.0)
    x[2:4] -= 5
    x[:, 0] = x[:, 1] + x[:, 2]
    x[::-1] = x
    e = expected
    e += 1
    e *= numpy.arange(4.0)
    e[2:4] -= 5
    e[:, 0] = e[:, 1] + e[:, 2]
    e[::-1] = e.copy()
    assert x is t and numpy.array_equal(t, expected)


def test_in_place_matrix_product(client):
    x = client.put(numpy.arange(9.0).reshape(3, 3), mutable=True)
    expected = numpy.asarray(x) @ numpy.eye(3)[::-1]
    x @= numpy.eye(3)[::-1].copy()
    assert numpy.array_equal(x, expected)


def test_in_place_on_a_sealed_tensor_gives_the_array_another_value(client):
    x = y = client.put([1.0, 2.0])
    before = numpy.asarray(x)
    x += 1
    assert x is y and x.tolist() == [2, 3] and before.tolist() == [1, 2]


def test_what_does_not_fit(client, t):
    integers = client.put(numpy.arange(3), mutable=True)
    with pytest.raises(tensord.DtypeError, match="float64 is not cast to the array's int64"):
        integers += 0.5
    with pytest.raises(tensord.ShapeError):
        integers += [[1], [2]]
    with pytest.raises(tensord.ShapeError):
        t[0] = [1, 2, 3]
    with pytest.raises(tensord.OutOfRange):
        t[[9]] = 1
    with pytest.raises(IndexError):
        t[9] = 1
    with pytest.raises(tensord.Sealed, match="mutable=True"):
        client.put([1.0], "sealed")[0] = 2
    assert integers.tolist() == [0, 1, 2]


def test_a_view_that_shows_elements_twice_is_not_written(client):
    t = client.put(numpy.zeros(3), mutable=True)
    with pytest.raises(tensord.ArgumentError, match="may be one"):
        tensord.broadcast_to(t, (2, 3))[:] = 1


def test_results_of_a_program(client, t, expected):
    p = tensord.Program()
    x = p.input(t)
    total, y = client.run(p, x.sum(), x[0] * 10, into=(None, t[7]))
    expected[7] = expected[0] * 10
    assert float(total) == numpy.arange(32.0).sum() and y.name is None
    assert numpy.array_equal(t, expected)
    for into in [(t[0],), (t[0], None, t[1])]:
        with pytest.raises(tensord.ArgumentError):
            client.run(p, x.sum(), x[0], into=into)
    with pytest.raises(tensord.ShapeError):
        client.run(p, x[0], into=t)
    with pytest.raises(tensord.ArgumentError, match="no name of its own"):
        client.run(p, x[0], names="n", into=t[0])


def test_it_stays_one_piece_of_memory(client, t):
    array = numpy.asarray(t)
    again = client.get("t")
    assert not array.flags.writeable and numpy.shares_memory(array, again)
    t[0, 0] = 55
    assert array[0, 0] == again[0, 0] == 55


# ---- leases ----


def test_write_and_read(client, daemon, t):
    with daemon.connect() as other:
        mine, theirs = t, other.open("t")
        with mine[2:4].write() as a:
            assert a.shape == (2, 4) and a.flags.writeable
            a[:] = 9
            for refused in theirs, mine:
                with pytest.raises(tensord.LeaseConflict, match=r"writes shape \(2, 4\)"):
                    with refused.read():
                        pass
                with pytest.raises(BlockingIOError):
                    float(refused.sum())
            with theirs[4:].write() as b:
                b += 1
        assert not a.flags.writeable
        with theirs.read() as b, mine.read() as c:
            assert (b[2:4] == 9).all() and not b.flags.writeable
            assert numpy.array_equal(b, c)
            with pytest.raises(tensord.LeaseConflict):
                theirs[0] = 1
        theirs[0] = 1


def test_views_of_every_kind(t, expected):
    for key in [(slice(None), 2), (slice(None, None, -3), slice(None)), (1, 1, ...)]:
        with t[key].write() as a:
            a += 100
        expected[key] += 100
    with t.T.write() as a:
        a[0] = -1
    expected[:, 0] = -1
    assert numpy.array_equal(t, expected)


def test_the_end_of_a_block_that_raises(t):
    with contextlib.suppress(ZeroDivisionError):
        with t.write() as a:
            a[0, 0] = 1 / 0
    with t.write(), pytest.raises(tensord.LeaseConflict):
        t.read().__enter__()
    lease = t.read()
    with lease, lease_error(tensord.ArgumentError):
        lease.__enter__()
    with lease:
        pass


def lease_error(kind):
    return pytest.raises(kind)


def test_timeouts(t):
    with t.write():
        with pytest.raises(tensord.LeaseConflict, match="20 ms"):
            with t.read(timeout=0.02):
                pass


def test_ctrl_c_ends_a_wait(daemon, t):
    code = """
import os, signal, threading, time, tensord
t = tensord.open("t")
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    with t.write(timeout=60):
        pass
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - started < 30)
"""
    with t.read():
        assert "interrupted True" in str(daemon.python(code))
    with t.write():
        pass


def test_sealed_tensors_take_no_lease(client):
    for lease in client.put([1.0]).read(), client.put([1.0]).write():
        with pytest.raises(tensord.Sealed):
            lease.__enter__()


def test_a_lease_to_read_ends_with_the_daemon_one_to_write_does_not(own_daemon):
    with own_daemon.connect() as client:
        t = client.put(numpy.zeros(4), "t", mutable=True)
        with pytest.raises(tensord.LeaseLost, match="by others"):
            with t.read():
                own_daemon.restart9()
        with t.write() as a:
            a[0] = 1
            own_daemon.restart9()
            a[1] = 2
        assert client.get("t").tolist() == [1, 2, 0, 0]


def test_a_lease_that_was_forgotten_is_lost(own_daemon):
    with own_daemon.connect() as client:
        t = client.put(numpy.zeros(4), "t", mutable=True)
        with pytest.raises(tensord.LeaseLost, match="half done"):
            with t.write() as a:
                a[0] = 1
                own_daemon.kill9()
                for path in own_daemon.shm_directory.glob(own_daemon.prefix + ".ledger"):
                    path.unlink()
                own_daemon.start()
        with pytest.raises(tensord.Torn), t.read():
            pass


def test_a_run_that_writes_is_not_repeated(own_daemon):
    """Whether it took effect is not known, so it is not asked for twice."""
    with own_daemon.connect() as client:
        t = client.put(numpy.zeros(4), "t", mutable=True)
        own_daemon.kill9()
        with pytest.raises((tensord.OutcomeUnknown, tensord.NoDaemon, tensord.ConnectionLost)):
            t[0] = 1
        own_daemon.start()
        client.open("t")[0] = 2
        assert client.get("t").tolist() == [2, 0, 0, 0]


# ---- processes ----

ROWS = """
import sys
import numpy, tensord

t = tensord.open("rows")
row = int(sys.argv[1])
for turn in range(50):
    with t[row].write() as a:
        a += 1
    t[row] *= 1
    with t[row].read() as a:
        assert (a == turn + 1).all(), a
print("done")
"""


def test_eight_processes_write_rows_at_once(client, daemon):
    import concurrent.futures

    t = client.put(numpy.zeros((8, 5000)), "rows", mutable=True)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(daemon.python, ROWS, str(row)) for row in range(8)]
        for run in runs:
            assert "done" in str(run.result())
    assert (numpy.asarray(t) == 50).all()
    assert client.stat("rows")["tensor"]["version"] >= 8 * 100


COUNT = """
import tensord

t = tensord.open("count")
for turn in range(100):
    with t.write(timeout=60) as a:
        a += 1
"""


def test_processes_wait_for_each_other(client, daemon):
    import concurrent.futures

    client.put(numpy.zeros(()), "count", mutable=True)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: daemon.python(COUNT), range(4)))
    assert client.get("count") == 400


DIES = """
import os, signal, tensord

with tensord.open("t")[1:3].write() as a:
    a[0] = -1
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.kill
def test_a_lease_is_left_once(client):
    lease = client.put([1.0], mutable=True).write()
    with pytest.raises(tensord.ArgumentError, match="not held"):
        lease.__exit__(None, None, None)
    with lease as array:
        array[0] = 2
    with lease as array:  # again
        assert array[0] == 2


def test_a_writer_that_dies(client, daemon, t):
    daemon.python(DIES, check=False)
    with t[3:].read(timeout=10):
        pass
    with pytest.raises(tensord.Torn, match=r"shape \(2, 4\)"):
        with t.read(timeout=10):
            pass
    with pytest.raises(tensord.Torn):
        float(t.sum())
    with t.read(torn=True) as a:
        assert (a[1] == -1).all()
    t[1:3] = 0
    assert float(t.sum()) == float(numpy.asarray(t).sum())


def test_arrays_outlive_everything(client):
    t = client.put(numpy.arange(1000.0), mutable=True)
    with t.write() as a:
        kept = a[10:20]
    del t, a
    client.put(numpy.zeros(1000))
    assert kept.tolist() == list(range(10, 20))


def test_what_lies_oddly_is_copied_by_reshape(client):
    """As numpy's, which has no view of it."""
    want = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
    m = client.put(want, mutable=True)
    flat = m.reshape(-1)
    m[...] = 1.0
    assert flat.tolist() == list(range(12))
    flat[0] = 5.0
    assert flat.tolist()[0] == 5 and m.tolist()[0][0] == 1
    row = m.T.reshape(2, 2, 3)  # which is one in memory
    row[0, 0, 0] = 7.0
    assert m.tolist()[0][0] == 7


def test_assigning_by_a_mask_of_nothing_makes_another_array(client):
    for mutable in (False, True):
        x = client.put(numpy.arange(3.0), mutable=mutable)
        for mask in (numpy.zeros(0, bool), client.put(numpy.zeros(0, bool)), False):
            y = tensord.assign(x, mask, 5.0)
            y[0] = 99.0
            assert x.tolist() == [0, 1, 2] and y.tolist() == [99, 1, 2]
        with pytest.raises(tensord.DtypeError):
            tensord.assign(x, numpy.zeros(0, bool), 1j)
