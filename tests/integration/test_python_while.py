# SPDX-License-Identifier: MIT
"""While loops: what goes on as long as something holds, in one request."""

import numpy
import pytest

import tensord


def halvings(x):
    n = 0
    while x > 1:
        x, n = x / 2, n + 1
    return n


def test_newton_stops_where_python_does(client):
    p = tensord.Program()
    a = client.put([2.0, 9.0, 1e6])
    x, last, n = p.while_loop(
        lambda x, last: tensord.max(tensord.abs(x - last)) > 1e-12,
        lambda i, x, last: ((x + a / x) / 2, x),
        [1.0, 1.0, 1.0],
        [0.0, 0.0, 0.0],
        max_steps=1000,
    )
    x, n = client.run(p, x, n)
    numpy.testing.assert_allclose(x, [2**0.5, 3, 1e3], rtol=1e-15)
    wanted, before, turns = numpy.ones(3), numpy.zeros(3), 0
    while numpy.abs(wanted - before).max() > 1e-12:
        wanted, before, turns = (wanted + numpy.asarray(a) / wanted) / 2, wanted, turns + 1
    assert int(n) == turns
    assert numpy.array_equal(x, wanted)


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 6, 7, 100])
def test_turns_even_and_odd(client, limit):
    """State is kept in two buffers: it must be found after any number of turns."""
    for max_steps in 0, 1, 3, 50:
        p = tensord.Program()
        values = p.while_loop(
            lambda k, u, w: k < limit,
            lambda i, k, u, w: (k + 1, u * 2, w),
            0,
            numpy.arange(3.0),
            numpy.arange(4),
            max_steps=max_steps,
        )
        k, u, w, n = client.run(p, *values)
        turns = min(limit, max_steps)
        assert int(n) == int(k) == turns
        assert numpy.array_equal(u, numpy.arange(3.0) * 2**turns)
        assert numpy.array_equal(w, numpy.arange(4))


def test_only_the_count_or_only_a_value(client):
    p = tensord.Program()
    u, n = p.while_loop(lambda u: u < 100, lambda i, u: u * 3, 1, max_steps=50)
    assert int(client.run(p, n)) == 5
    assert int(client.run(p, u)) == 243


def test_condition_that_never_changes(client):
    p = tensord.Program()
    yes = p.input(numpy.array(True))
    for condition, turns in (yes, 7), (yes < 0, 0):
        u, n = p.while_loop(lambda u: condition, lambda i, u: u + i, 0, max_steps=7)
        assert [int(x) for x in client.run(p, u, n)] == [sum(range(turns)), turns]


def test_nested_both_ways(client):
    p = tensord.Program()

    def count(i, total):
        _, n, _ = p.while_loop(
            lambda x, n: x > 1,
            lambda j, x, n: (x / 2, n + 1),
            i * 1.5,
            0,
            max_steps=10_000,
        )
        return total + n

    assert int(client.run(p, p.loop(30, count, 0))) == sum(halvings(i * 1.5) for i in range(30))

    p = tensord.Program()
    u, n = p.while_loop(
        lambda u: u < 1000,
        lambda i, u: p.loop(3, lambda j, v: v + i + 1, u),
        0.0,
        max_steps=1000,
    )
    u, n = client.run(p, u, n)
    wanted, turns = 0, 0
    while wanted < 1000:
        wanted, turns = wanted + 3 * (turns + 1), turns + 1
    assert (float(u), int(n)) == (wanted, turns)


def test_large_state(client):
    """Beyond what is computed on the loop thread, odd and even."""
    for turns in 4, 5:
        p = tensord.Program()
        u, _ = p.while_loop(
            lambda u: u[0, 0] < turns,
            lambda i, u: u + 1,
            numpy.zeros((700, 701)),
            max_steps=100,
        )
        assert numpy.array_equal(client.run(p, u.T), numpy.full((701, 700), float(turns)))


def test_refusals(client):
    p = tensord.Program()

    def loop(condition, body=lambda i, u: u, start=1.0, max_steps=3):
        return p.while_loop(condition, body, start, max_steps=max_steps)

    with pytest.raises(tensord.ShapeError, match=r"condition.*float64 of shape \(\)") as refused:
        loop(lambda u: u)
    assert refused.value.code == "loop_shape"
    with pytest.raises(tensord.ShapeError, match=r"condition.*bool of shape \(2,\)"):
        loop(lambda u: u > 0, start=[1.0, 2.0])
    with pytest.raises(tensord.ShapeError, match="while: carried value 1 is float64"):
        loop(lambda u: u > 0, lambda i, u: u > 0)
    with pytest.raises(tensord.ArgumentError, match="returns 2 values, but 1 are carried"):
        loop(lambda u: u > 0, lambda i, u: (u, u))
    with pytest.raises(tensord.ArgumentError, match="less than none"):
        loop(lambda u: u > 0, max_steps=-1)
    with pytest.raises(tensord.ArgumentError, match="watches nothing"):
        loop(lambda u: u > 0, lambda i, u: p.watch(u) or u)
