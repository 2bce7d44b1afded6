# SPDX-License-Identifier: MIT
"""Arrays are lazy: when requests are made, what views and assignments see, what failures do."""

import math
import os
import random
import signal
import subprocess
import sys
import threading

import numpy
import pytest

import tensord


class Counted:
    """How many programs a block has the daemon compute."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        self.before = sum(self.client.stat()["plans"][key] for key in ("hits", "misses"))
        return self

    def __exit__(self, *exception):
        self.n = sum(self.client.stat()["plans"][key] for key in ("hits", "misses")) - self.before


def take_long(client, n, n_turns):
    """What takes a while to compute: the operand, and a pending array."""
    x = y = client.put(numpy.random.default_rng(3).standard_normal((n, n)))
    for _ in range(n_turns):
        y = tensord.tanh(y @ x)
    return x, y


@pytest.fixture
def x(client):
    return client.put(numpy.arange(12.0).reshape(3, 4))


# ---- when ----


@pytest.mark.parametrize("write", [
    "x[:] = x + 1", "x[...] = x + 1", "numpy.add(x, 1, out=x)", "x[:][:] += 1", "x.T[:] += 1",
    "v = x[:][:]; v += 1"])
def test_many_writes_of_the_whole(client, write):
    """Steps that change nothing are no more work, however often they stand there."""
    x = client.put(numpy.ones(8))
    code = compile(write, "write", "exec")
    for _ in range(600):
        exec(code, {"x": x, "numpy": numpy})
    assert x.tolist() == [601] * 8


@pytest.mark.parametrize("n", [24, 30])
def test_orthogonal_columns(client, n):
    """Gram-Schmidt in place: views, what they are of, and what was sent ahead in one operation."""
    a = numpy.random.default_rng(1).normal(size=(n, n))

    def columns(a, zeros, sums, sqrt):
        q = zeros((n, n))
        for j in range(n):
            v = a[:, j] + 0
            for k in range(j):
                v -= sums(q[:, k] * a[:, j]) * q[:, k]
            q[:, j] = v / sqrt(sums(v * v))
        return numpy.asarray(q)

    got = columns(client.put(a), tensord.zeros, tensord.sum, tensord.sqrt)
    want = columns(a, numpy.zeros, numpy.sum, numpy.sqrt)
    numpy.testing.assert_allclose(got, want, atol=1e-9)


def test_what_is_element_by_element_is_what_the_table_says():
    """Those operations stand before all others in ops.def."""
    names = [row[0] for row in tensord._native.OPS]
    assert set(names[: names.index("permute_dims")]) == tensord._narrow.ELEMENTWISE


def test_nothing_is_sent_before_a_value_is_needed(client, x):
    with Counted(client) as c:
        y = tensord.exp(x) * 2 - x.mean(axis=0)
        z = (y.T[1:, ::-1] + 1).reshape(-1)
        shape, dtype, size = z.shape, z.dtype, z.size
    assert c.n == 0 and shape == (9,) and dtype == numpy.float64 and size == 9
    with Counted(client) as c:
        got = numpy.asarray(z)
    assert c.n == 1
    a = numpy.arange(12.0).reshape(3, 4)
    numpy.testing.assert_allclose(
        got, ((numpy.exp(a) * 2 - a.mean(axis=0)).T[1:, ::-1] + 1).reshape(-1)
    )
    with Counted(client) as c:
        assert numpy.asarray(z) is not None
    assert c.n == 0


@pytest.mark.parametrize(
    "use",
    [numpy.asarray, repr, str, lambda y: y.tolist(), lambda y: y.item(), float, int, bool, complex,
     tensord.eval, lambda y: tensord.nonzero(y[None]), lambda y: y[y > 3], lambda y: y.id],
    ids=range(13),
)
def test_what_needs_a_value_gets_it(client, use):
    y = client.put(3.0) + 1
    with Counted(client) as c:
        use(y)
    assert c.n >= 1


def test_mistakes_are_raised_where_they_are_made(client, x):
    with Counted(client) as c:
        with pytest.raises(tensord.ShapeError, match=r"add.*\(3, 4\).*\(5,\)"):
            x + numpy.ones(5)
        with pytest.raises(tensord.DtypeError, match="bitwise_and"):
            x & x
        with pytest.raises(tensord.AxisError, match="sum"):
            x.sum(axis=2)
        with pytest.raises(IndexError):
            x[5]
        with pytest.raises(tensord.ShapeError, match="reshape"):
            x.reshape(5)
    assert c.n == 0


def test_what_may_fail_on_its_data_runs_when_called(client):
    with pytest.raises(tensord.LinAlgError):
        tensord.linalg.inv(client.put(numpy.zeros((2, 2))))
    with pytest.raises(tensord.OutOfRange):
        client.put([1.0, 2.0])[client.put([5])]
    with pytest.raises(tensord.ValueRefused):
        client.put([2, 3]) ** -1


def test_powers_that_cannot_fail_are_pending(client, x):
    i = client.put([1, 2, 3])
    with Counted(client) as c:
        powers = x**2, x**-1, i**2, i**0.5, 2.0**x
    assert c.n == 0 and powers[2].tolist() == [1, 4, 9]
    with Counted(client) as c:
        i**i
    assert c.n == 1


@pytest.mark.parametrize("is_mutable", [False, True])
def test_resident_elements_are_read_without_a_request(client, is_mutable):
    x = client.put(numpy.arange(12.0, dtype="float32").reshape(3, 4), mutable=is_mutable)
    numpy.asarray(x)
    with Counted(client) as c:
        assert float(x[1, 2]) == 6 and [float(v) for v in x[0]] == [0, 1, 2, 3]
        assert int(x.T[3, 2]) == 11 and x[::2].tolist()[1] == [8, 9, 10, 11]
    assert c.n == 0


def test_several_at_once(client, x):
    y, z = x + 1, x.sum()
    with Counted(client) as c:
        got = tensord.eval(y, z)
    assert got[0] is y and got[1] is z
    assert c.n == 1
    with Counted(client) as c:
        numpy.asarray(y), float(z)
    assert c.n == 0


def test_a_chain_of_thousands(client):
    x = client.put(numpy.zeros(3))
    with Counted(client) as c:
        for _ in range(3000):
            x = x + 1
    assert 3000 // 300 <= c.n <= 3000 // 200
    assert x.tolist() == [3000.0] * 3


def test_a_chain_without_a_client(client, monkeypatch):
    """The default one gets what was made of nothing."""
    monkeypatch.setattr(tensord._default, "default_client", lambda: client)
    x = tensord.zeros(3)
    for _ in range(1000):
        x = x + 1
    assert x.client is client and x.tolist() == [1000.0] * 3


def test_a_reader_that_fails_is_not_lost(make_own_daemon):
    """Nobody writes what is still to be read; it can be read once there is memory."""
    with make_own_daemon("--memory", "64M").connect() as client:
        t = client.put(numpy.ones(1_000_000), mutable=True)
        y = tensord.broadcast_to(t, (10, 1_000_000)) + 1
        for _ in range(2):
            with pytest.raises(tensord.OutOfMemory):
                t[0] = 5
        assert float(y[0, 0]) == 2
        del y
        t[0] = 5


def test_a_program_of_many_paths(client):
    """Distinct nodes count, not paths."""
    x = client.put([1.0])
    with Counted(client) as c:
        for _ in range(200):
            x = x + x
    assert c.n == 0 and float(x[0]) == 2.0**200


def test_what_was_sent_ahead_and_failed(make_own_daemon):
    """It raises where its value is needed, and nowhere else."""
    with make_own_daemon("--memory", "64M").connect() as client:
        x = client.put(numpy.zeros(1_000_000))
        other = client.put([1.0])
        large = tensord.broadcast_to(x, (16, 1_000_000))
        for _ in range(400):
            large = large + 1
        assert float(other + 1) == 2
        for _ in range(2):
            with pytest.raises(tensord.OutOfMemory):
                numpy.asarray(large)
        assert float(large[3, 5]) == 400  # a part of it fits
        assert float((other + 2)[0]) == 3


# ---- what is kept ----


def test_live_intermediates_are_computed_once(client):
    x = client.put(numpy.arange(10_000.0))
    s = tensord.sort(-x)
    y = s * 2
    assert float(y[0]) == -19998
    with Counted(client) as c:
        assert float(s[0]) == -9999
    assert c.n == 0


def test_live_elementwise_ones_are_recomputed_once(client):
    x = client.put(numpy.arange(10_000.0))
    y = x + 1
    assert float((y * 2)[0]) == 2 and float((y * 3)[1]) == 6
    with Counted(client) as c:
        assert float(y[2]) == 3
    assert c.n == 0


def test_a_view_of_a_pending_value_computes_what_it_needs(make_own_daemon):
    with make_own_daemon("--memory", "64M").connect() as client:
        x = tensord.ones((1000, 1_000_000), client=client)  # 8 GB
        y = (x * 2 + 1)[10:12, ::500_000]
        assert y.tolist() == [[3, 3], [3, 3]]
        z = tensord.stack([(x * i)[500, i::300_000] for i in range(20)])
        assert z.tolist() == [[i] * 4 for i in range(20)]
        u = x - 3
        assert (u[0, :4] @ u[1, :4] + u[2, :3][::-1] * u[7, 1:4]).tolist() == [20] * 3


def test_what_is_needed_as_a_whole_is_computed_once(client, monkeypatch):
    """Slices of it are views of it then, also where it is kept."""
    emitted = []
    emit = tensord._force.emit_node
    monkeypatch.setattr(
        tensord._force, "emit_node",
        lambda builder, node, numbers: emitted.append(node.op) or emit(builder, node, numbers),
    )
    x = client.put(numpy.arange(200_000.0))
    y = x + 1
    assert tensord.concat([y[-2:], y, y[:1]])[:4].tolist() == [199_999, 200_000, 1, 2]
    assert emitted.count("add") == 1
    parts = tensord.sort(y[:3]), tensord.sort(y[5:7])
    emitted.clear()
    tensord.eval(*parts)
    assert emitted.count("add") == 1  # for the second time: it is kept
    emitted.clear()
    assert tensord.sort(y[7:9]).tolist() == [8, 9] and emitted == ["sort"]


def test_failed_extras_do_not_hold_up_others(make_own_daemon):
    """What nobody asked for fails alone."""
    with make_own_daemon("--memory", "64M").connect() as client:
        y = tensord.ones((10_000_000,), client=client) + 1  # 80 MB
        for i in range(3):
            assert float(tensord.sum(y * i)) == 2e7 * i  # the second time, y would be kept
        with pytest.raises(tensord.OutOfMemory):
            numpy.asarray(y)


def test_what_has_no_memory_is_asked_for_once(make_own_daemon, monkeypatch):
    """And once more only where that asks for less."""
    emitted = []
    emit = tensord._force.Run._emit
    monkeypatch.setattr(
        tensord._force.Run, "_emit", lambda run, *how: emitted.append(run) or emit(run, *how)
    )
    with make_own_daemon("--memory", "64M").connect() as client:
        large = tensord.sort(tensord.ones((10_000_000,), client=client) + 1)
        for _ in range(2):
            emitted.clear()
            with pytest.raises(tensord.OutOfMemory):
                numpy.asarray(large)
            assert len(emitted) == 1
        kept = tensord.ones((10_000_000,), client=client) + 1
        for n in 1, 2:  # the second time it would be kept
            emitted.clear()
            assert float(tensord.sum(kept)) == 2e7
            assert len(emitted) == n


def test_threads_that_force_the_same(client):
    _, y = take_long(client, 300, 20)
    results = []

    def force():
        results.append(numpy.asarray(y).copy())

    threads = [threading.Thread(target=force) for _ in range(8)]
    with Counted(client) as c:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert c.n == 1 and len(results) == 8
    assert all((r == results[0]).all() for r in results)


def test_what_is_pending_goes_into_programs_and_loops(client, x):
    y, small = x + 1, x[0] + 1
    p = tensord.Program()
    with Counted(client) as c:
        got = client.run(p, p.input(y) * p.input(x))
    assert c.n == 1
    assert got.tolist() == ((numpy.arange(12.0) + 1) * numpy.arange(12.0)).reshape(3, 4).tolist()
    turns = tensord.while_loop(lambda v: v.sum() < 100, lambda v: v * small, small)
    assert turns.tolist() == [1, 8, 27, 64]
    assert tensord.fori_loop(0, 2, lambda i, v: v * small + i, small).tolist() == [2, 9, 28, 65]
    assert y.tolist() == (numpy.arange(12.0) + 1).reshape(3, 4).tolist()


# ---- assignment ----


def test_views_see_assignments(client, x):
    v, t, r = x[1:], x.T, x.reshape(-1)
    x[2, 0] = 100
    assert v[1, 0].item() == 100 and t[0, 2].item() == 100 and r[8].item() == 100
    v[:, 1] = [7, 8]
    assert x.tolist() == [[0, 1, 2, 3], [4, 7, 6, 7], [100, 8, 10, 11]]
    t[3] += 1000
    r[0] -= 1
    assert x.tolist() == [[-1, 1, 2, 1003], [4, 7, 6, 1007], [100, 8, 10, 1011]]


def test_exported_arrays_are_snapshots(x):
    a = numpy.asarray(x)
    x[0] = 9
    x += 1
    assert a.tolist()[0] == [0, 1, 2, 3] and not a.flags.writeable
    assert x.tolist()[0] == [10, 10, 10, 10]


def test_pending_readers_see_what_was_there(x):
    y = x * 2
    x[0, 0] = 50
    assert y.tolist()[0] == [0, 2, 4, 6] and x[0, 0].item() == 50


def test_what_is_not_written(client, x):
    named = client.put([1.0, 2.0], "n")
    repeated = tensord.broadcast_to(x, (2, 3, 4))
    for refused in (named, client.open("n"), client.open("n")[:1], repeated,
                    tensord.linalg.diagonal(x), repeated[0]):
        with pytest.raises(tensord.Sealed):
            refused[0] = 1
        with pytest.raises(tensord.Sealed):
            refused += 1
    copy = tensord.asarray(named, copy=True)
    copy[0] = 9
    assert copy.tolist() == [9, 2] and named.tolist() == [1, 2]


def test_copies_are_apart(client, x):
    copy = tensord.asarray(x, copy=True)
    x[0] = 5
    assert copy.tolist()[0] == [0, 1, 2, 3]
    copy += 1
    assert x.tolist()[0] == [5] * 4


def test_dtypes_of_assignments(client):
    x = client.put(numpy.arange(3))
    x[0] = 2.7
    assert x.dtype == numpy.int64 and x.tolist() == [2, 1, 2]
    with pytest.raises(tensord.DtypeError, match="float64 is not cast to the array's int64"):
        x += 0.5
    with pytest.raises(tensord.ShapeError):
        x += [[1], [2]]
    with pytest.raises(tensord.ShapeError):
        x[:2] = [1, 2, 3]
    assert x.tolist() == [2, 1, 2]


def test_in_place_in_the_memory_of_the_old_value(client):
    """Nothing else refers to it, so it is given away."""
    x = client.put(numpy.zeros(1_000_000))
    tensord.eval(x)
    live = client.stat()["memory"]["live"]
    for i in range(5):
        x[i] = 1.0
        x += 1
        tensord.eval(x)
        assert client.stat()["memory"]["live"] == live
    kept = numpy.asarray(x)
    x += 1
    assert x[0].item() == kept[0] + 1 and kept[0] == 6


@pytest.mark.parametrize("is_mutable", [False, True])
def test_elements_are_numbers(client, is_mutable):
    """As numpy's: what is one integer for each axis is no view."""
    x = client.put([1.0, 2.0, 3.0], mutable=is_mutable)
    x[0], x[1] = x[1], x[0]
    assert x.tolist() == [2, 1, 3]
    best = x[0]
    x[0] += 5
    assert float(best) == 2 and x.tolist() == [7, 1, 3]
    history, total = [], x.sum()
    for _ in range(3):
        history.append(total)
        total += 1
    assert [float(v) for v in history] == [11, 12, 13] and float(total) == 14
    view = x[0, ...]
    view += 1
    assert x.tolist() == [8, 1, 3]
    first, *others = x
    first += 1
    x[:] = 0
    assert float(first) == 9 and [float(v) for v in others] == [1, 3]
    largest = client.put(numpy.array([2**63 + 1], "uint64"), mutable=is_mutable)[0]
    assert largest.dtype == "uint64" and int(largest) == 2**63 + 1


@pytest.mark.parametrize("step", [lambda x: x[1:], lambda x: x[:, None, :][:, 0], lambda x: x.T,
                                  lambda x: x.reshape(-1)[::-1].reshape(x.shape)], ids=range(4))
def test_views_of_views_of_views(client, step):
    """As many as one likes."""
    x, a = client.put(numpy.arange(2200.0).reshape(1100, 2)), numpy.arange(2200.0).reshape(1100, 2)
    v, w = x, a
    for _ in range(1000):
        v, w = step(v), step(w)
    v[0] = 5
    w[0] = 5
    assert v.tolist() == w.tolist() and x.tolist() == a.tolist()


def test_numbers_that_are_equal_and_not_the_same(client):
    """-1-0j has another root than -1+0j; one request has both."""
    x = client.put(numpy.ones(1, "complex128"))
    roots = tensord.concat([tensord.sqrt(x * complex(-1, sign)) for sign in (0.0, -0.0)])
    numbers = [numpy.sqrt(numpy.ones(1, "complex128") * complex(-1, sign)) for sign in (0.0, -0.0)]
    assert roots.tolist() == numpy.concatenate(numbers).tolist()
    signs = [tensord.copysign(tensord.ones(1), math.copysign(math.nan, sign)) for sign in (1, -1)]
    assert tensord.concat(signs).tolist() == [1, -1]


# ---- one thread and others ----


def test_a_program_beside_a_run_that_gives_memory_away(client):
    """What `run` needs of pending arrays is not given away meanwhile."""
    for _ in range(10):
        x, y = take_long(client, 400, 10)
        del x
        results = []
        thread = threading.Thread(target=lambda: results.append(tensord.eval(y)))
        thread.start()
        got = client.run(tensord.Program(), y)
        thread.join()
        assert numpy.array_equal(got, results[0])


def test_a_handler_that_looks_at_what_is_computed(client):
    """It is refused; its thread cannot wait for itself."""
    _, y = take_long(client, 500, 60)
    caught = []

    def look(*_):
        try:
            float(y[0, 0])
        except tensord.ArgumentError as problem:
            caught.append(problem)

    before = signal.signal(signal.SIGUSR1, look)
    timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        tensord.eval(y)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not caught or "signal handler" in str(caught[0])
    assert numpy.isfinite(float(y[0, 0]))


def test_what_is_read_is_counted_rightly_under_a_debugger(daemon):
    """One that looks at local variables refers to them. (At others Python 3.12.1 fails itself.)"""
    program = """
import sys
def trace(frame, event, arg):
    frame.f_code.co_name == "_count_own_references" and frame.f_locals
    return trace
sys.settrace(trace)
import numpy, tensord
sys.settrace(None)
client = tensord.connect()
x = client.put(numpy.zeros(100000)) + 1
tensord.eval(x)
y = x + 1
tensord.eval(y)
print(float(x[0]), float(y[0]))
client.close()
"""
    assert daemon.python(program) == "1.0 2.0\n"


def test_masks_and_indices(client, x):
    a = numpy.arange(12.0).reshape(3, 4)
    for key, value in ((a > 5, 0.0), (([0, 2], [1, 3]), [7.0, 8.0]), (slice(1), 3.0),
                       ((slice(None), [0, 2]), -1.0), (([0, 2], [1, 3]), [[[5.0, 6.0]]]),
                       ((slice(1), [0, 2]), numpy.ones((1, 1, 2))), ((a > 3,), 4.0),
                       ((True,), a + 0.5), ((False,), 0.0), (..., 2.5)):
        assert x[key].tolist() == a[key].tolist()
        x[key] = value
        a[key] = value
        assert x.tolist() == a.tolist()


# ---- mutable tensors ----


def test_a_mutable_one_is_read_before_it_is_written(client):
    t = client.put(numpy.zeros(4), mutable=True)
    y = t + 1
    t[0] = 10
    z = t + 1
    with t.write() as a:
        a[1] = 20
    u = t * 1
    with t.read():
        pass
    client.run(tensord.Program(), tensord.ones(4, client=client), into=t)
    assert y.tolist() == [1, 1, 1, 1] and z.tolist() == [11, 1, 1, 1]
    assert u.tolist() == [10, 20, 0, 0] and t.tolist() == [1] * 4


def test_within_a_lease_to_write_operations_are_refused_on_their_line(client):
    t = client.put(numpy.zeros(4), mutable=True)
    with t[:2].write():
        with pytest.raises(tensord.LeaseConflict, match="lease to write"):
            t + 1
        with pytest.raises(tensord.LeaseConflict):
            t[2:] * 2
    assert (t + 1).tolist() == [1] * 4


# ---- as numpy, at random ----

SHAPES = [(6,), (3, 4), (2, 3, 4), (1, 5), (4, 1, 3)]


def _random_key(rng, shape):
    key = []
    for extent in shape[: rng.randint(0, len(shape))]:
        if extent and rng.random() < 0.3:
            key.append(rng.randrange(-extent, extent))
        else:
            step = rng.choice([1, 1, 2, -1, -2])
            ends = [rng.choice([None, rng.randint(-extent, extent)]) for _ in range(2)]
            key.append(slice(*ends, step))
    if rng.random() < 0.2:
        key.insert(rng.randint(0, len(key)), None)
    return (*key, ...)


def _step(rng, pairs):
    """One operation on both sides; appends what it makes."""
    ours, theirs = rng.choice(pairs)
    what = rng.randrange(9)
    if what == 0:
        key = _random_key(rng, theirs.shape)
        pairs.append((ours[key], theirs[key]))
    elif what == 1:
        axes = rng.sample(range(theirs.ndim), theirs.ndim)
        is_one = not axes  # transpose() of numpy's refuses ()
        pairs.append((ours[...], theirs) if is_one else
                     (ours.transpose(*axes), theirs.transpose(*axes)))
    elif what == 2:
        value = rng.randint(-9, 9)
        key = _random_key(rng, theirs.shape)
        ours[key] = value
        theirs[key] = value
    elif what == 3:
        value = rng.randint(-9, 9)
        ours += value
        theirs += value
    elif what == 4 and theirs.ndim:  # numpy's would be a number
        pairs.append((ours * 2 + 1, numpy.ascontiguousarray(theirs * 2 + 1).reshape(theirs.shape)))
    elif what == 5:
        pairs.append((ours.reshape(-1), theirs.reshape(-1)))
    elif what == 6:
        key = _random_key(rng, theirs.shape)
        part = theirs[key]
        if part.ndim and part.size:
            row = numpy.arange(float(part.shape[-1]))
            ours[key] = row
            theirs[key] = row
    elif what == 7:
        tensord.eval(ours)
    elif what == 8 and len(pairs) > 3:
        del pairs[next(i for i, pair in enumerate(pairs) if pair[0] is ours)]


@pytest.mark.parametrize("seed", range(120))
def test_views_and_assignments_as_numpy(client, seed, monkeypatch):
    """Views share their memory just where numpy's do, whatever is written where; with memory of the
    smallest ones given away, too."""
    if seed % 2:
        monkeypatch.setattr(tensord._plan, "DONATED_MIN", 0)
        monkeypatch.setattr(tensord._force, "DONATED_MIN", 0)
    rng = random.Random(seed)
    pairs = []
    for _ in range(2):
        shape = rng.choice(SHAPES)
        start = numpy.arange(float(numpy.prod(shape))).reshape(shape)
        pairs.append((client.put(start) if rng.random() < 0.5 else client.put(start) + 0, start))
    for _ in range(60):
        _step(rng, pairs)
        if len(pairs) > 12:
            del pairs[rng.randrange(len(pairs))]
        if rng.random() < 0.1:
            ours, theirs = rng.choice(pairs)
            assert numpy.asarray(ours).tolist() == theirs.tolist()
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        assert numpy.asarray(ours).tolist() == theirs.tolist()


# ---- what the first operations of a process, and others, met ----


FIRST = """
import sys, tensord
x = tensord.asarray([1, -2, 3])
z = x * 2 * 3
if sys.argv[1] == "a number":
    assert (z + 0).tolist() == [6, -12, 18]
elif sys.argv[1] == "compared":
    assert (z > 0).tolist() == [True, False, True]
else:
    f = tensord.jit(lambda x: tensord.maximum(x * 2.5, 0))
    assert f(tensord.asarray([-1.0, 2.0])).tolist() == [0, 5]
"""


@pytest.mark.parametrize("case", ["a number", "compared", "traced"])
def test_numbers_are_not_taken_for_the_first_values_of_a_process(daemon, case):
    subprocess.run([sys.executable, "-c", FIRST, case], env=daemon.env, check=True)


def test_all_of_what_was_made_here(client):
    want = numpy.arange(4.0)
    made = tensord.asarray(want, client=client)
    for look in (lambda x: x[:], lambda x: x[...], lambda x: x[:1][::-1]):
        assert numpy.asarray(look(made)).tolist() == look(want).tolist()
        assert look(tensord.asarray(want, client=client)).tolist() == look(want).tolist()


def test_threads_that_look_at_what_another_assigns(client):
    z = client.put(numpy.arange(1000.0))
    problems = []

    def repeat(n, step):
        try:
            for k in range(n):
                step(k)
        except BaseException as problem:
            problems.append(problem)

    def write(k):
        z[::2] = k
        z[1::2] += 1

    steps = [(300, lambda k: (numpy.asarray(z[::2]), float(z.sum())))] * 2 + [(400, write)]
    threads = [threading.Thread(target=repeat, args=args) for args in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
