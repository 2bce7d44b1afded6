# SPDX-License-Identifier: MIT
"""jit and loops: what is traced, when, and what it yields."""

import functools
import gc
import weakref

import numpy
import pytest

import tensord
from test_python_lazy import Counted


@pytest.fixture
def x(client):
    return client.put(numpy.arange(4.0))


def traced(function, **options):
    """The same under jit, and a list with an entry for each time it was traced."""
    traces = []

    @functools.wraps(function)
    def wrapper(*args, **keywords):
        traces.append(args)
        return function(*args, **keywords)

    return tensord.jit(wrapper, **options), traces


# ---- jit ----


def test_it_is_traced_once_for_each_kind_of_arguments(client, x):
    step, traces = traced(lambda x, dt: x + dt * (1 - x))
    for dt in (0.5, 0.25, 0.125):
        assert step(x, dt).tolist() == (numpy.arange(4) + dt * (1 - numpy.arange(4))).tolist()
    assert len(traces) == 1
    assert step(x, 1).tolist() == [1] * 4  # an int is another type
    assert step(x[:2], 0.5).shape == (2,)  # another shape
    assert step(x.astype("float32"), 0.5).dtype == numpy.float32  # another dtype
    assert len(traces) == 4
    assert step(x[::-1], 0.5).tolist() == [2, 1.5, 1, 0.5] and len(traces) == 4


def test_a_call_is_one_request(client, x):
    f = tensord.jit(lambda a, b: (tensord.exp(a) @ b, a.sum()))
    f(x, x)
    with Counted(client) as c:
        f(x + 1, x)
    assert c.n == 2  # its pending argument, and the call


def test_numbers_are_as_weak_as_without(client):
    x = client.put(numpy.ones(3, "float32"))
    f = tensord.jit(lambda x, n, y: x * (2 * n) + y)
    for n, y in ((2, 1.5), (2.0, 1), (3, 2)):
        want = x * (2 * n) + y
        got = f(x, n, y)
        assert got.dtype == want.dtype == numpy.float32 and got.tolist() == want.tolist()
    i = client.put(numpy.ones(3, "int8"))
    assert tensord.jit(lambda x, n: x * n)(i, 3).dtype == numpy.int8
    assert tensord.jit(lambda x, n: x * n)(i, 1.5).dtype == numpy.float64
    assert tensord.jit(lambda x, n: tensord.where(x > 0, x, n))(i, 7).dtype == numpy.int8


def test_numbers_fit_the_dtype_that_they_take(client):
    """As without: what does not is refused by the call, wherever it was met."""
    i = client.put(numpy.ones(3, "int8"))
    twice = tensord.jit(lambda x, n: tensord.where(x > 0, x * 2, n))
    nested = tensord.jit(lambda x, n: tensord.fori_loop(0, 2, lambda _, u: u + n, x))
    for f in (tensord.jit(lambda x, n: x + n), twice, nested):
        assert f(i, 5).dtype == numpy.int8
        for n in (128, -129, 1 << 40):
            with pytest.raises(OverflowError, match=f"{n} does not fit int8, which is -128 to 127"):
                f(i, n)
        assert f(i, -7).dtype == numpy.int8
    unsigned = client.put(numpy.ones(3, "uint8"))
    with pytest.raises(OverflowError, match="-1 does not fit uint8"):
        tensord.jit(lambda x, n: x + n)(unsigned, -1)
    assert tensord.jit(lambda x, y, n: (x + n, y + n * 1.0))(i, i, 3)[1].dtype == numpy.float64


def test_numbers_beside_integers_are_compared_and_divided_as_they_are(client):
    x = client.put(numpy.array([1, 200], "uint8"))
    for f in (lambda x, n: x < n, lambda x, n: n == x, lambda x, n: x / n):
        for n in (300, -5, 200):
            got, want = tensord.jit(f)(x, n), f(x, n)
            assert got.dtype == want.dtype and got.tolist() == want.tolist()


def test_numbers_are_given_a_dtype(client):
    x = client.put(numpy.array([1, 2], "uint8"))

    def masked(x, n):
        y = tensord.asarray(x, copy=True)
        y[y > 1] = n
        return y

    assert tensord.jit(masked)(x, 7).tolist() == [1, 7]
    got = tensord.jit(lambda x, n: tensord.asarray(n, dtype="uint8") + x)(x, 3)
    assert got.dtype == numpy.uint8 and got.tolist() == [4, 5]


def test_parts_of_numbers_are_as_weak(client):
    x = client.put(numpy.ones(2, "float32"))
    for part in (lambda c: c.real, lambda c: c.imag, lambda c: c.real + c.imag):
        got = tensord.jit(lambda x, c: x * part(c))(x, 1 + 2j)
        assert got.dtype == numpy.float32 and got.tolist() == [part(1 + 2j)] * 2


@pytest.mark.parametrize(
    "function",
    [lambda x, n: tensord.where(n > 0, x, -x), lambda x, n: tensord.where((n > 0) & (x > 1), n, x),
     lambda x, n: tensord.where((n > 2) | (n < 0), x, n), lambda x, n: tensord.where(n == 1, n, 2),
     lambda x, n: tensord.where(n > 0, n, x), lambda x, n: tensord.take(x, n), lambda x, n: x[n],
     lambda x, n: numpy.where(n % 2 == 1, numpy.sin(x), x), lambda x, n: x[n] * x[-n] + x.sum(),
     lambda x, n: tensord.assign(x, n, n * 2), lambda x, n: x.reshape(2, 2)[n, 0],
     lambda x, n: tensord.take(x.reshape(2, 2), n, axis=0)],
    ids=range(12),
)
def test_numbers_are_conditions_and_indices(client, x, function):
    """Which have a dtype of their own beside what they are for."""
    y, traced = function(x, 1), tensord.jit(function)(x, 1)
    assert (y.dtype, y.tolist()) == (traced.dtype, traced.tolist())
    assert tensord.jit(lambda x, f: tensord.where(f, x, -x))(x, False).tolist() == (-x).tolist()


def test_what_an_index_is_a_view_of_is_known(client, x):
    """A row is a view in numpy, which what is taken would not be."""
    f = tensord.jit(lambda x, i: x.reshape(2, 2)[i])
    with pytest.raises(tensord.ArgumentError, match="view"):
        f(x, 1)


def test_nests(client, x):
    f = tensord.jit(lambda p, *rest, k: {"a": p["w"] + rest[0], "b": [k, (p["n"],)], "c": 3})
    got = f({"w": x, "n": 2.5}, x, k=x[1:])
    assert got["a"].tolist() == [0, 2, 4, 6] and got["b"][0].tolist() == [1, 2, 3]
    assert float(got["b"][1][0]) == 2.5 and int(got["c"]) == 3
    assert tensord.jit(lambda: ())() == ()


def test_static_arguments(client, x):
    def power(x, n, way="up"):
        for _ in range(n):
            x = x * 2 if way == "up" else x / 2
        return x

    for options in ({"static_argnums": (1, 2)}, {"static_argnames": ("n", "way")}):
        f, traces = traced(power, **options)
        assert f(x, 3).tolist() == [0, 8, 16, 24] and f(x, 3).tolist() == [0, 8, 16, 24]
        assert f(x, 1).tolist() == [0, 2, 4, 6]
        assert f(x, n=1, way="down").tolist() == [0, 0.5, 1, 1.5]
        assert len(traces) == 3
    with pytest.raises(TypeError):
        f(x, [3])


def test_arrays_without_axes_and_numbers(client, x):
    """As without: += of an array is seen by all who have it, of a number it makes another one."""

    def f(s):
        before, row = s, s.reshape(-1)
        s += 1
        return before, row, s

    for make in (lambda: client.put(numpy.array(2.0)), lambda: x[2], lambda: x.sum()):
        expected = [v.tolist() for v in f(make())]
        assert [v.tolist() for v in tensord.jit(f)(make())] == expected
    g = tensord.jit(f)
    assert [float(g(y)[0]) for y in (x[2], client.put(numpy.array(2.0)), numpy.float64(2))] == [
        2, 3, 2]


def test_assignments_stay_inside(client, x):
    def f(a):
        a[0] = 9
        view = a[1:]
        view += 1
        return a, view * 2

    a, b = tensord.jit(f)(x)
    assert a.tolist() == [9, 2, 3, 4] and b.tolist() == [4, 6, 8] and x.tolist() == [0, 1, 2, 3]


def test_assignments_to_what_is_outside_are_refused(client, x):
    out = client.put([0.0, 0.0])

    def f(a):
        own = tensord.zeros(2)
        own[0] = a[1]
        kept = tensord.asarray([0.0, 0.0])
        kept[1] = a[2]
        again = own + 1
        again[0] = a[3]
        return own, kept, again

    assert [v.tolist() for v in tensord.jit(f)(x)] == [[1, 0], [0, 2], [3, 1]]

    @tensord.jit
    def g(a):
        out[0] = a[0]
        return a

    with pytest.raises(tensord.ArgumentError, match="outside"):
        g(x)
    with pytest.raises(tensord.ArgumentError, match="outside"):
        tensord.fori_loop(0, 2, lambda i, v: out.__setitem__(0, v[0]) or v, x)

    @tensord.jit
    def h(a):
        return tensord.fori_loop(0, 2, lambda i, v: a.__setitem__(0, v[0]) or v, a)

    with pytest.raises(tensord.ArgumentError, match="outside"):
        h(x)
    assert out.tolist() == [0, 0] and x.tolist() == [0, 1, 2, 3]


def test_static_arguments_by_type(client, x):
    f, traces = traced(lambda x, n: x * n[0], static_argnames="n")
    assert f(x, (1,)).dtype == f(x, (1.0,)).dtype == numpy.float64
    f(x, (True,))
    f(x, (-0.0,))
    f(x, (0.0,))
    assert len(traces) == 5


def test_nothing(client, x):
    assert tensord.jit(lambda a: None)(x) is None
    assert tensord.jit(lambda a, b: (a, b))(x, None)[1] is None


def test_clients_are_let_go(daemon):
    client = daemon.connect()
    f = tensord.jit(lambda a: a + 1)
    f(client.put([1.0]))
    ref = weakref.ref(client)
    client.close()
    del client
    gc.collect()
    assert ref() is None and f is not None


def test_arrays_of_outside(client, x):
    k = x * 2
    m = client.put([1.0, 2.0, 3.0, 4.0], mutable=True)
    f = tensord.jit(lambda a: a + k + m)
    assert f(x).tolist() == [1, 5, 9, 13]
    k[0] = 100  # as it was when traced
    m[0] = 50  # read by each call
    assert f(x).tolist() == [50, 5, 9, 13]


def test_what_is_computed_of_mutable_ones_alone_is_computed_by_each_call(client, x):
    m = client.put([1.0, 2.0, 3.0, 4.0], mutable=True)
    z = client.put([1j, 2.0], mutable=True)
    within = tensord.jit(lambda k: k + m[1])
    f = tensord.jit(lambda a: (a + m.sum(), m * 2, m[::2].reshape(1, 2) + 1, m[3], z.imag,
                               tensord.fori_loop(0, 2, lambda i, s: s + m[:1] * i, a[:1]),
                               within(client.put([1.0]))))
    for _ in range(2):
        twice = numpy.asarray(m) * 2
        sums, products, parts, last, imaginary, loop, inner = f(x)
        assert sums.tolist() == [i + twice.sum() / 2 for i in range(4)]
        assert products.tolist() == twice.tolist() and float(last) == twice[3] / 2
        assert parts.tolist() == [[twice[0] / 2 + 1, twice[2] / 2 + 1]]
        assert imaginary.tolist() == numpy.asarray(z).imag.tolist()
        assert loop.tolist() == [twice[0] / 2] and inner.tolist() == [1 + twice[1] / 2]
        m += 7
        z[0] = 3j


def test_mutable_ones_are_not_written_by_a_trace(client, x):
    m = client.put([1.0, 2.0, 3.0, 4.0], mutable=True)

    def write(how):
        how(m)
        return x

    def add(m):
        m += 1

    for how in (add, lambda m: m.__setitem__(0, 5.0), lambda m: m.__setitem__([0, 1], m[1:3])):
        with pytest.raises(tensord.ArgumentError, match="traced"):
            tensord.jit(lambda a: write(how))(x)
        with pytest.raises(tensord.ArgumentError, match="traced"):
            tensord.fori_loop(0, 3, lambda i, v: write(how), x)
    assert m.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("n", [3, 10000])
def test_ndarrays_are_returned_as_they_were(client, n):
    a = numpy.zeros(n)
    x = client.put(numpy.ones(n))
    f = tensord.jit(lambda x: (x, a))
    f(x)
    turns = tensord.fori_loop(0, 2, lambda i, v: a, x)
    turned = tensord.while_loop(lambda v: v[0] > 0, lambda v: a, x)
    a[:] = 9
    for y in (f(x)[1], turns, turned):
        assert y.shape == (n,) and not tensord.any(y)


def test_random_numbers_are_not_drawn_once_for_all(client):
    generator = tensord.random.Generator(seed=1)

    def draw(v):
        return v + tensord.random.Generator(seed=1).normal(2) + tensord.random.normal(2, seed=1)

    draws = [lambda v: v + tensord.random.normal(2), lambda v: v + generator.uniform(2)]
    for one in draws:
        with pytest.raises(tensord.ArgumentError, match="random"):
            tensord.jit(one)(tensord.zeros(2))
        with pytest.raises(tensord.ArgumentError, match="random"):
            tensord.fori_loop(0, 2, lambda i, v: one(v), tensord.zeros(2))
    assert generator.stream == 0
    expected = 2 * numpy.asarray(tensord.random.normal(2, seed=1))
    numpy.testing.assert_allclose(tensord.jit(draw)(tensord.zeros(2)), expected)


@pytest.mark.parametrize(
    "use",
    [lambda a: float(a[0]), lambda a: bool(a[0]), lambda a: int(a[0]), numpy.asarray,
     lambda a: 1 if a.sum() > 0 else 2, lambda a: a.tolist(),
     lambda a: tensord.nonzero(a), lambda a: a[a > 1], tensord.unique_values, tensord.fft.fft,
     lambda a: list(map(float, a)), lambda a: tensord.eval(a + 1)],
    ids=range(12),
)
def test_what_needs_a_value_is_refused(client, x, use):
    with pytest.raises(tensord.ArgumentError, match="traced|value of a program|program"):
        tensord.jit(use)(x)


def test_what_leaks_is_refused(client, x):
    kept = []
    f = tensord.jit(lambda a: kept.append(a + 1) or a)
    f(x)
    with pytest.raises(tensord.ArgumentError):
        numpy.asarray(kept[0])
    with pytest.raises(tensord.ArgumentError):
        kept[0] + 1
    assert "traced" in repr(kept[0])


def test_failures_name_the_line(client):
    @tensord.jit
    def f(a):
        b = a + 1
        return tensord.linalg.inv(b) * 2  # the line

    with pytest.raises(tensord.LinAlgError) as caught:
        f(numpy.full((2, 2), -1.0))
    (note,) = caught.value.__notes__
    lines = open(__file__).read().split("\n")
    assert __file__ in note and "# the line" in lines[int(note.rsplit(":", 1)[1]) - 1]
    assert f(numpy.eye(2)).shape == (2, 2)


def test_within_one_another(client, x):
    inner, traces = traced(lambda a: a * 2)
    outer = tensord.jit(lambda a: inner(a) + inner(a + 1))
    assert outer(x).tolist() == [2, 6, 10, 14] and len(traces) == 2
    with Counted(client) as c:
        outer(x)
    assert c.n == 1 and inner(x).tolist() == [0, 2, 4, 6] and len(traces) == 3


def test_definitions_after_a_reconnect(own_daemon):
    with own_daemon.connect() as client:
        f, traces = traced(lambda a: a + 1)
        assert f(client.put([1.0])).tolist() == [2]
        own_daemon.restart9()
        assert f(client.put([2.0])).tolist() == [3] and len(traces) == 1


def test_each_client_has_its_own(daemon, client, x):
    f, traces = traced(lambda a: a + 1)
    with daemon.connect() as other:
        assert f(other.put([1.0])).client is other
        assert f(client.put([1.0])).client is client
    assert len(traces) == 2


def test_many_traces(client):
    """The oldest go, so that the daemon's limit of definitions is not met."""
    f = tensord.jit(lambda a: a.sum())
    for n in range(1, 1200):
        assert float(f(tensord.ones(n, client=client))) == n


# ---- loops ----


def test_fori_loop(client, x):
    with Counted(client) as c:
        got = tensord.fori_loop(2, 7, lambda i, v: v * 0.5 + i, x)
    assert c.n == 0
    want = numpy.arange(4.0)
    for i in range(2, 7):
        want = want * 0.5 + i
    numpy.testing.assert_allclose(got, want)
    single = client.put(numpy.ones(2, "float32"))
    assert tensord.fori_loop(0, 3, lambda i, v: v + i, single).dtype == numpy.float32


def test_a_loop_carries_a_nest(client, x):
    def body(i, state):
        position, (v, n) = state["x"], state["rest"]
        position[0] = 7
        return {"x": position + v, "rest": (v * 2, n + 1)}

    got = tensord.fori_loop(0, 3, body, {"x": x, "rest": (1.0, 0)})
    assert got["x"].tolist() == [11, 8, 9, 10]
    assert float(got["rest"][0]) == 8 and int(got["rest"][1]) == 3 and x.tolist() == [0, 1, 2, 3]


def test_a_loop_that_assigns_elements(client):
    def turn(i, s):
        s[i] = s[i - 1] + s[i - 2]
        s[i - 2] += 10
        return s

    expected = numpy.ones(9)
    for i in range(2, 9):
        turn(i, expected)
    assert tensord.fori_loop(2, 9, turn, tensord.ones(9)).tolist() == expected.tolist()
    evens = tensord.fori_loop(0, 5, lambda i, s: tensord.where(i % 2 == 0, s + i, s), 0.0)
    assert float(evens) == 6
    with pytest.raises(tensord.OutOfRange):
        tensord.fori_loop(0, 9, lambda i, s: s + tensord.arange(8.0)[i], 0.0).item()


def test_a_loop_of_no_turns(client, x):
    got = tensord.fori_loop(3, 3, lambda i, v: 1 / 0, (x, 2))
    assert got[0].tolist() == [0, 1, 2, 3] and int(got[1]) == 2


def test_while_loop(client, x):
    error = tensord.while_loop(
        lambda s: s[1] > 1e-6, lambda s: (s[0] / 2, tensord.abs(s[0]).max()), (x, numpy.float64(1))
    )
    assert float(error[1]) <= 1e-6
    n = tensord.while_loop(lambda n: n < 1000, lambda n: n + 1, 0, max_steps=10)
    assert int(n) == 10


def test_loops_in_loops_and_in_jit(client, x):
    @tensord.jit
    def f(x, n):
        return tensord.fori_loop(
            0, 3, lambda i, u: tensord.fori_loop(0, 2, lambda j, v: v + x + i * j + n, u), x
        )

    want = numpy.arange(4.0)
    for i in range(3):
        for j in range(2):
            want = want + numpy.arange(4.0) + i * j + 1.5
    assert f(x, 1.5).tolist() == want.tolist()


def test_what_loops_begin_with_is_as_it_was(client):
    a = numpy.array([1.0, 2.0])
    m = client.put([1.0, 2.0], mutable=True)
    results = [
        tensord.fori_loop(0, 2, lambda i, v: v * 2, a),
        tensord.while_loop(lambda v: v[0] < 4, lambda v: v * 2, a),
        tensord.fori_loop(0, 2, lambda i, v: v * 2, m),
        tensord.while_loop(lambda v: v[0] < 4, lambda v: v * 2, m),
        tensord.fori_loop(0, 0, lambda i, v: v * 2, m) * 4,
    ]
    a[:] = 100
    m[:] = 100
    assert [r.tolist() for r in results] == [[4, 8]] * 5


def test_mutable_tensors_in_loops(client, x):
    m = client.put([1.0, 1.0, 1.0, 1.0], mutable=True)
    y = tensord.fori_loop(0, 3, lambda i, v: v + m, x)
    m[...] = 100
    assert y.tolist() == [3, 4, 5, 6]


def test_loops_that_are_refused(client, x):
    with pytest.raises(tensord.ShapeError, match="float64"):
        tensord.fori_loop(0, 3, lambda i, v: v.sum(), x)
    with pytest.raises(tensord.ArgumentError, match="structure"):
        tensord.fori_loop(0, 3, lambda i, v: (v, v), x)
    with pytest.raises(tensord.ArgumentError, match="traced"):
        tensord.fori_loop(0, 3, lambda i, v: v * float(v[0]), x)
    with pytest.raises(tensord.ShapeError):
        tensord.while_loop(lambda v: v > 1, lambda v: v, x)
    assert tensord.fori_loop(0, 1, lambda i, v: v, x).tolist() == [0, 1, 2, 3]


def test_control_c_in_a_loop(daemon):
    """The job is cancelled, and the connection goes on."""
    program = """
import os, signal, threading, tensord
client = tensord.connect()
x = client.put([0.0] * 100000)
y = tensord.fori_loop(0, 10**9, lambda i, v: v + 1, x)
pid = os.getpid()
def interrupt():
    while not client2.stat()["jobs"]:
        pass
    os.kill(pid, signal.SIGINT)
client2 = tensord.connect()
threading.Thread(target=interrupt).start()
try:
    y[0].item()
except KeyboardInterrupt:
    print("interrupted", (x + 1)[0].item())
client.close()
client2.close()
"""
    process = daemon.python(program, check=False)
    assert process.stdout == "interrupted 1.0\n", process.stderr
