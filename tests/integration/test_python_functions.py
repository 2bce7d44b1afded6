# SPDX-License-Identifier: MIT
"""Programs that are defined once and called with other arrays."""

import gc
import threading

import numpy
import pytest

import tensord
from kit import wait_until

X = numpy.arange(12.0).reshape(4, 3)


def define_fit(client, n_steps=300, shape=(4, 3)):
    """x, y -> steps of gradient descent, sum of x"""
    p = tensord.Program()
    x, y = p.parameter(shape), p.parameter(shape[0])
    theta = p.loop(n_steps, lambda i, th: th - 0.002 * (x.T @ (x @ th - y)), numpy.zeros(shape[1]))
    return client.define(p, theta, x.sum())


def fit(x, y, n_steps=300):
    theta = numpy.zeros(x.shape[1])
    for _ in range(n_steps):
        theta = theta - 0.002 * (x.T @ (x @ theta - y))
    return theta


def n_requests(client):
    return client.stat()["requests"]


def test_calls_with_other_arrays(client):
    f = define_fit(client)
    for x, y in (X, numpy.ones(4)), (X[::-1] / 2, numpy.arange(4.0)), (X * 0, X[:, 0]):
        before = n_requests(client)
        theta, total = f(x, y)
        assert n_requests(client) - before == 2  # the call, and this question
        numpy.testing.assert_allclose(theta, fit(x, y), rtol=1e-12)
        assert float(total) == x.sum()
    assert repr(f) == "<tensord.Function (float64[4, 3], float64[4]) of 2 results>"


@pytest.mark.parametrize("n", [4, 3000])
def test_arguments_lie_in_any_way(client, n):
    x = numpy.random.default_rng(1).integers(-9, 9, (n, 3)).astype(float)
    y = numpy.arange(float(n))
    p = tensord.Program()
    a, b = p.parameter((n, 3)), p.parameter(n)
    f = client.define(p, a * 2 + b.reshape((n, 1)), (a.T @ b))
    wide = numpy.zeros((2 * n, 9))
    wide[::-2, 1::3] = x
    stored = client.put(wide)
    backwards = client.put(x.T[::-1].copy())
    for given in (
        x,
        numpy.asfortranarray(x),
        wide[::-2, 1::3],
        x.astype(">f8"),
        client.put(numpy.asfortranarray(x)),
        stored[::-2, 1::3],
        backwards[::-1].T,
    ):
        first, second = f(given, y)
        assert (numpy.asarray(first) == x * 2 + y[:, None]).all()
        assert (numpy.asarray(second) == x.T @ y).all()


def test_same_bits_as_a_run(client):
    rng = numpy.random.default_rng(2)
    p = tensord.Program()
    x = p.parameter((70, 50), "float32")
    outputs = tensord.exp(x) / 3, (x @ x.T).sum(), tensord.sqrt(abs(x)).mean(axis=0)
    f = client.define(p, *outputs)
    for _ in range(3):
        array = rng.standard_normal((70, 50)).astype("f4")
        q = tensord.Program()
        v = q.input(array)
        wanted = client.run(
            q, tensord.exp(v) / 3, (v @ v.T).sum(), tensord.sqrt(abs(v)).mean(axis=0)
        )
        for got, run in zip(f(array, threads=1), wanted):
            assert numpy.asarray(got).tobytes() == numpy.asarray(run).tobytes()


def test_what_the_program_names_is_kept(client):
    p = tensord.Program()
    x = p.parameter(1000)
    weights = client.put(numpy.arange(1000.0))
    unused = p.parameter(2, "int64")
    f = client.define(p, x * weights + numpy.ones(1000) - 0.5)
    del weights, unused
    gc.collect()
    for factor in 1.0, 2.0:
        result = f(numpy.full(1000, factor), numpy.zeros(2, int))
        assert (numpy.asarray(result) == numpy.arange(1000) * factor + 0.5).all()
    with pytest.raises(tensord.DtypeError, match="argument 1 is float64"):
        f(numpy.ones(1000), numpy.zeros(2))


def test_numbers(client):
    p = tensord.Program()
    x, k, z = p.parameter((), "float32"), p.parameter((), "int64"), p.parameter((), "complex128")
    f = client.define(p, x * 2, k + 1, z * 1j)
    a, b, c = f(3, 4, 1.5)
    assert (a.dtype, b.dtype, c.dtype) == ("float32", "int64", "complex128")
    assert (float(a), int(b), c.tolist()) == (6, 5, 1.5j)
    with pytest.raises(tensord.DtypeError, match="argument 1 is float64 .* defined as int64"):
        f(3, 4.5, 1)


def test_named_outputs(client):
    f = define_fit(client)
    f(X, numpy.ones(4), names=["theta", None])
    numpy.testing.assert_allclose(client.get("theta"), fit(X, numpy.ones(4)), rtol=1e-12)
    with pytest.raises(tensord.NameTaken):
        f(X, numpy.ones(4), names=["theta", "total"])
    assert [row.name for row in client.list()] == ["theta"]
    f(X, numpy.zeros(4), names=["theta", "total"], replace=True)
    assert (client.get("theta") == 0).all() and client.get("total") == 66
    with pytest.raises(tensord.ArgumentError, match="2 outputs, but 1 names"):
        f(X, numpy.ones(4), names="theta")


def test_wrong_arguments(client):
    f = define_fit(client)
    y = numpy.ones(4)
    before = n_requests(client)
    for args, kind, says in (
        ((X,), tensord.ArgumentError, "1 arguments, .* 2 parameters"),
        ((X, y, y), tensord.ArgumentError, "3 arguments, .* 2 parameters"),
        ((X.T, y), tensord.ShapeError, r"argument 0 is .* \(3, 4\), .* float64 of shape \(4, 3\)"),
        ((X, 1.0), tensord.ShapeError, r"argument 1 is float64 of shape \(\), .* \(4,\)"),
        ((X, y.astype(int)), tensord.DtypeError, "argument 1 is int64 .* as float64"),
        ((X, "y"), TypeError, "str is no operand"),
        ((X, tensord.Program().input(y) + 1), TypeError, "not values"),
    ):
        with pytest.raises(kind, match=says):
            f(*args)
    assert n_requests(client) - before == 1  # nothing but this question was asked
    f(X, y)


def test_wrong_programs(client):
    p = tensord.Program()
    x = p.parameter(3)
    with pytest.raises(tensord.ShapeError, match="negative"):
        p.parameter((2, -1))
    with pytest.raises(tensord.DtypeError):
        p.parameter(3, "datetime64[s]")
    with pytest.raises(tensord.ShapeError):
        x + p.parameter(4)
    with pytest.raises(tensord.ArgumentError, match="parameter"):
        client.run(p, x + 1)
    with pytest.raises(tensord.ArgumentError, match="another program"):
        client.define(tensord.Program(), x + 1)
    with pytest.raises(tensord.ArgumentError, match="no value"):
        client.define(p)
    with pytest.raises(TypeError, match="Program"):
        client.define(x + 1)
    with pytest.raises(tensord.TensordError, match="limit of 64"):
        client.define(p, *[x] * 65)


def test_an_operation_that_fails_on_its_data(client):
    p = tensord.Program()
    f = client.define(p, tensord.linalg.cholesky(p.parameter((2, 2))))
    with pytest.raises(tensord.LinAlgError) as refused:
        f([[1.0, 2.0], [2.0, 1.0]])
    assert refused.value.node == 0
    assert f([[4.0, 0.0], [0.0, 9.0]]).tolist() == [[2, 0], [0, 3]]


def test_shapes_that_depend_on_data(client):
    p = tensord.Program()
    f = client.define(p, p.op("nonzero", p.parameter(5)))
    assert f([0, 1.0, 0, 2, 0]).tolist() == [[1, 3]]
    assert f(numpy.zeros(5)).shape == (1, 0)


def test_donated_arguments(client):
    n = 100_000
    p = tensord.Program()
    f = client.define(p, p.parameter(n) + 1)
    x, other = client.put(numpy.zeros(n)), client.put(numpy.ones(n))
    with pytest.raises(tensord.ArgumentError, match="donated must be an argument"):
        f(x, donate=[other])
    with pytest.raises(tensord.DeadlineExceeded):
        f(x, donate=[x], timeout=0)
    assert float(x.sum()) == 0
    y = x
    for _ in range(5):
        x, y = y, f(y, donate=[y])
        with pytest.raises(tensord.TensorGone):
            numpy.asarray(x)
    assert (numpy.asarray(y) == 5).all()
    p = tensord.Program()
    g = client.define(p, p.parameter(n) + p.parameter(n))
    z = client.put(numpy.ones(n))
    assert (numpy.asarray(g(z, z, donate=[z])) == 2).all()


def test_functions_are_forgotten(own_daemon):
    with own_daemon.connect() as client:
        p = tensord.Program()
        x = p.parameter(3)
        for i in range(3000):
            f = client.define(p, x + i)
        kept = [client.define(p, x * i) for i in range(1023)]
        with pytest.raises(tensord.LimitError, match="1024"):
            client.define(p, x)
        assert f(X[0]).tolist() == [2999, 3000, 3001]
        assert kept[1022](X[0]).tolist() == [0, 1022, 2044]
        del f
        f = client.define(p, -x)
        with pytest.raises(tensord.LimitError):
            client.define(p, x)
        assert f(X[0]).tolist() == [0, -1, -2]


def test_a_function_keeps_its_client(daemon):
    p = tensord.Program()
    client = daemon.connect()
    f = client.define(p, p.parameter(3) * 2)
    del client
    gc.collect()
    client = f(X[0]).client
    assert f(X[1]).tolist() == [6, 8, 10]
    client.close()
    with pytest.raises(tensord.Closed):
        f(X[0])


@pytest.mark.kill
def test_defined_again_after_a_restart(own_daemon):
    with own_daemon.connect() as client:
        f = define_fit(client)
        named, lost = client.put(X, "x"), client.put(X)
        wanted = fit(X, numpy.ones(4))
        for turn in range(3):
            own_daemon.restart9()
            numpy.testing.assert_allclose(f(X, numpy.ones(4))[0], wanted, rtol=1e-12)
            own_daemon.restart9()
            theta, _ = f(named, numpy.ones(4), names=["theta", "total"], replace=turn > 0)
            numpy.testing.assert_allclose(theta, wanted, rtol=1e-12)
        with pytest.raises(tensord.TensorGone):
            f(lost, numpy.ones(4))
    own_daemon.delete_all()


@pytest.mark.kill
def test_killed_while_it_is_called(own_daemon):
    """Every call that yields anything yields the right thing, however often the daemon ends."""
    with own_daemon.connect() as client:
        f = define_fit(client, 2000)
        wanted = f(X, numpy.ones(4))[0].tolist()
        problems, done = [], [0] * 3
        is_over = threading.Event()

        def call(which):
            while not is_over.is_set():
                try:
                    if f(X, numpy.ones(4))[0].tolist() != wanted:
                        problems.append("another result")
                except tensord.ConnectionLost:
                    pass
                except Exception as problem:
                    problems.append(problem)
                done[which] += 1

        threads = [threading.Thread(target=call, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(8):
            before = list(done)
            wait_until(lambda: all(a > b for a, b in zip(done, before)), "each called again")
            own_daemon.restart9()
        is_over.set()
        for thread in threads:
            thread.join()
        assert problems == []
        assert f(X, numpy.ones(4))[0].tolist() == wanted


INTERRUPTED = """
import os, signal, threading, time
import tensord

client = tensord.connect()
p = tensord.Program()
x = p.parameter(100_000)
n = p.parameter((), "int64")
f = client.define(p, p.while_loop(lambda u, i: i < n, lambda _, u, i: (tensord.exp(u * 0), i + 1),
                                  x, 0, max_steps=10**6)[0])
x = client.put([0.0] * 100_000)
started = time.monotonic()
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    f(x, 200_000)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - started < 5)
print(float(f(x, 1)[7]))
while client.stat()["jobs"]:
    time.sleep(0.01)
"""


def test_control_c(daemon):
    assert daemon.python(INTERRUPTED, timeout=60).split("\n")[:2] == ["interrupted True", "1.0"]


def test_several_threads(client):
    f = define_fit(client)
    results = [None] * 6

    def call(i):
        results[i] = [f(X * (k % 3), numpy.full(4, float(i)))[0].tolist() for k in range(40)]

    threads = [threading.Thread(target=call, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, result in enumerate(results):
        wanted = [f(X * k, numpy.full(4, float(i)))[0].tolist() for k in range(3)]
        assert result == [wanted[k % 3] for k in range(40)]
