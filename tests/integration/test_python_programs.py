# SPDX-License-Identifier: MIT
"""Programs written by hand: many operations and loops in one request."""

import re

import numpy
import pytest

import tensord


def n_requests(client):
    return client.stat()["requests"]


X = numpy.array([[1, 0], [1, 1], [1, 2], [1, 3], [1, 4]], dtype=float)
Y = numpy.array([1, 3, 5, 7, 9], dtype=float)


def fit(p, x, y, n_steps, **watched):
    rate = 0.05

    def step(i, theta):
        if watched:
            p.watch(theta)
        return theta - rate * (2 / 5) * (x.T @ (x @ theta - y))

    return p.loop(n_steps, step, numpy.zeros(2), **watched)


def test_gradient_descent(client):
    x, y = client.put(X, "x"), client.put(Y, "y")
    for n_steps, expected in ((1, (0.5, 1.4)), (2, (0.67, 1.86))):
        p = tensord.Program()
        numpy.testing.assert_allclose(
            client.run(p, fit(p, x, y, n_steps)), expected, rtol=0, atol=1e-15
        )
    p = tensord.Program()
    before = n_requests(client)
    theta = client.run(p, fit(p, x, y, 2000))
    assert n_requests(client) - before == 2  # the program, and this question
    numpy.testing.assert_allclose(theta, (1, 2), rtol=0, atol=1e-12)
    expected = numpy.zeros(2)
    for _ in range(2000):
        expected = expected - 0.05 * (2 / 5) * (X.T @ (X @ expected - Y))
    numpy.testing.assert_allclose(theta, expected, rtol=1e-13)


def test_heat(client):
    r = 0.25
    a = numpy.eye(5)
    for i in (1, 2, 3):
        a[i, i - 1 : i + 2] = r, 1 - 2 * r, r
    u0 = numpy.array([0, 0, 0, 0, 100.0])
    p = tensord.Program()
    a_value = p.input(client.put(a))

    def step(i, u):
        u = a_value @ u
        p.watch(u)
        return u

    at = [1, 10, 50, 300]
    last, rods = client.run(p, *p.loop(300, step, u0, at=at))
    assert rods.shape == (4, 5)
    rods = numpy.asarray(rods)
    lines = [f"{k:>4}   [{', '.join(f'{x:.2f}' for x in rod)}]" for k, rod in zip(at, rods)]
    assert lines == [
        "   1   [0.00, 0.00, 0.00, 25.00, 100.00]",
        "  10   [0.00, 16.26, 37.61, 66.22, 100.00]",
        "  50   [0.00, 24.98, 49.98, 74.98, 100.00]",
        " 300   [0.00, 25.00, 50.00, 75.00, 100.00]",
    ]
    assert rods[1].tolist() == [0, 16.26434326171875, 37.61138916015625, 66.21551513671875, 100]
    assert numpy.asarray(last).tolist() == rods[3].tolist()


def test_watch_every(client):
    p = tensord.Program()

    def body(i, u, v):
        p.watch(i)
        p.watch(u * 2)
        return u + 1, v * 2

    u, v, steps, doubles = client.run(p, *p.loop(10, body, numpy.zeros(2), 1.0, every=3))
    assert (u.tolist(), float(v)) == ([10, 10], 1024)
    assert steps.tolist() == [2, 5, 8]
    assert doubles.tolist() == [[4, 4], [10, 10], [16, 16]]
    p = tensord.Program()
    u, each = client.run(p, *p.loop(3, lambda i, u: p.watch(u) or u + 1, 0))
    assert each.tolist() == [0, 1, 2]


def test_loop_of_no_steps(client):
    p = tensord.Program()
    u, none = client.run(p, *p.loop(0, lambda i, u: p.watch(u) or u * 2, [1.0, 2.0]))
    assert u.tolist() == [1, 2]
    assert none.shape == (0, 2)


def test_loops_within_loops(client):
    """The sum of a multiplication table, with values of every level in the innermost body."""
    p = tensord.Program()
    one = p.input(1.0)

    def outer(i, total):
        def middle(j, total):
            def inner(k, total):
                return total + (i + one) * (j + 1) * (k + 1)

            return p.loop(4, inner, total)

        return p.loop(3, middle, total)

    total = client.run(p, p.loop(2, outer, 0.0))
    assert float(total) == (1 + 2) * (1 + 2 + 3) * (1 + 2 + 3 + 4)


def test_loops_too_deep(client):
    p = tensord.Program()

    def nest(depth, value):
        return p.loop(1, lambda i, u: nest(depth - 1, u + i) if depth else u + i, value)

    assert float(client.run(p, nest(2, 1.0))) == 1
    with pytest.raises(tensord.ArgumentError, match="deep|nest"):
        nest(3, 1.0)


def test_what_does_not_depend_on_the_step(client):
    """is computed once, outside."""
    p = tensord.Program()
    x = p.input(client.put(X))
    y = p.input(Y)
    inside = []

    def step(i, theta):
        gram = x.T @ x
        inside.append(gram)
        return theta - 0.02 * (gram @ theta - x.T @ y)

    theta = p.loop(2000, step, numpy.zeros(2))
    gram = inside[0] + 0  # so it may be used after the loop
    got, same = client.run(p, theta, gram)
    numpy.testing.assert_allclose(got, (1, 2), rtol=0, atol=1e-12)
    assert numpy.asarray(same).tolist() == (X.T @ X).tolist()


def test_many_outputs_and_names(client):
    p = tensord.Program()
    x = p.input(numpy.arange(4000.0))
    total, double, three = client.run(
        p, x.sum(), x * 2, 3 + p.input(0), names=["total", None, "three"]
    )
    assert (float(total), total.name, double.name, three.name) == (7998000, "total", None, "three")
    assert client.get("three").shape == ()
    assert [row.name for row in client.list()] == ["three", "total"]
    with pytest.raises(tensord.NameTaken):
        client.run(p, x * 5, x * 3, names=["new", "total"])
    assert [row.name for row in client.list()] == ["three", "total"]  # all or none
    client.run(p, x.mean(), names="total", replace=True)
    assert float(client.open("total")) == 1999.5


def test_inputs_of_every_kind(client):
    p = tensord.Program()
    array = numpy.arange(5000.0)
    tensor = client.put(array)
    value = p.input(tensor)[::-1] + tensor[::-1] * 2 + array + 1 - [1.0]
    numpy.testing.assert_array_equal(client.run(p, value), array[::-1] * 3 + array)
    assert client.run(p, p.input(tensor)).tolist() == array.tolist()


def test_same_value_twice(client):
    p = tensord.Program()
    x = p.input(numpy.arange(3.0))
    y = x * 2
    a, b = client.run(p, y, y)
    assert a.tolist() == b.tolist() == [0, 2, 4]
    assert client.run(p, y + y * y).tolist() == [0, 6, 20]


def test_a_long_program(client):
    p = tensord.Program()
    x = p.input(0.0)
    for i in range(4000):
        x = x + 1
    assert float(client.run(p, x)) == 4000
    for i in range(200):
        x = x + 1
    assert float(client.run(p, x)) == 4200  # in two requests


def test_operations_by_name(client):
    p = tensord.Program()
    x = p.op("arange", range=(0, 6, 1), dtype="float64")
    m = p.op("reshape", x, shape=(2, 3))
    got = client.run(
        p,
        p.op(
            "sum", p.op("matmul", m, p.op("permute_dims", m, axes=(1, 0))), axes=(0,), keepdims=True
        ),
    )
    m = numpy.arange(6.0).reshape(2, 3)
    assert numpy.asarray(got).tolist() == (m @ m.T).sum(axis=0, keepdims=True).tolist()


def test_failure_names_the_node(client):
    p = tensord.Program()
    a = p.input(numpy.zeros((3, 3)))
    fine = a + 1
    x = p.op("solve", fine * 0, numpy.ones(3))
    with pytest.raises(tensord.LinAlgError) as caught:
        client.run(p, x)
    assert caught.value.code == "singular"
    assert caught.value.node == 2
    assert isinstance(caught.value, numpy.linalg.LinAlgError)


def test_failure_in_a_body_says_where(client):
    def rows(p, m, k):
        """Rows k, k + 1 ... of m, three in a turn: beyond its end in the second turn."""

        def turn(_, row, k):
            return p.loop(3, lambda j, row, k: (m[k], k + 1), row, k)

        return p.while_loop(lambda row, k: k < 9, turn, numpy.zeros(2), k, max_steps=9)[0]

    p = tensord.Program()
    f = client.define(p, rows(p, p.parameter((4, 2)), p.parameter((), "int64")))
    q = tensord.Program()
    x = rows(q, q.input(numpy.ones((4, 2))), q.input(0))
    for run in (lambda: f(numpy.ones((4, 2)), 0), lambda: client.run(q, x)):
        with pytest.raises(tensord.OutOfRange) as caught:
            run()
        assert re.match(
            r"while: node \d of its body: loop: node \d of its body: take: index 4 is",
            str(caught.value),
        )


def test_run_refused(client):
    p = tensord.Program()
    with pytest.raises(tensord.ArgumentError, match="value"):
        client.run(p)
    with pytest.raises(TypeError, match="Program"):
        client.run(p.input(1.0))
    with pytest.raises(tensord.ArgumentError, match="names"):
        client.run(p, p.input(1.0), names=["a", "b"])
    inner = []
    p.loop(1, lambda i, u: inner.append(u) or u, 1.0)
    with pytest.raises(tensord.ArgumentError, match="value"):
        client.run(p, inner[0])
    with pytest.raises(tensord.ArgumentError, match="64"):
        client.run(p, *[p.input(1.0) + i for i in range(65)])


def test_a_failing_body_leaves_the_program_whole(client):
    p = tensord.Program()

    def body(i, u):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        p.loop(3, body, 1.0)
    with pytest.raises(tensord.ArgumentError, match="body"):
        p.watch(1.0)
    assert float(client.run(p, p.loop(3, lambda i, u: u * 2, 1.0))) == 8


def test_numbers_are_sent_once(client):
    """A thousand steps with three numbers, among them both zeros, and a loop with many."""
    p = tensord.Program()
    x = p.input(numpy.ones(2))
    for i in range(1000):
        x = x * 1.5 / 1.5 + 0.0
    up, down = client.run(p, x / 0.0, x / -0.0)
    assert (up.tolist(), down.tolist()) == ([numpy.inf] * 2, [-numpy.inf] * 2)

    def body(i, u):
        for k in range(300):
            u = u + k % 3
        return u

    assert float(client.run(p, p.loop(2, body, 0.0))) == 600
