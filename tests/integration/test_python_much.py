# SPDX-License-Identifier: MIT
"""What is pending may be more than one request may have: then it takes several."""

import numpy
import pytest

import tensord


def chain(x, n):
    """A value for which so many nodes are pending."""
    for j in range(n):
        x = x + float(j)
    return x


def test_many_arrays_beside_one_another(client):
    rows = [client.put([float(i)]) for i in range(5000)]
    assert numpy.asarray(tensord.concat(rows)).tolist() == [*range(5000)]
    assert tensord.stack(rows).shape == (5000, 1)
    assert float(tensord.stack([x[0] for x in rows])[4321]) == 4321


@pytest.mark.parametrize("name", ["concat", "stack"])
def test_none_beside_one_another(name):
    with pytest.raises(tensord.ArgumentError, match=f"{name}: there is nothing to put together"):
        getattr(tensord, name)([])


@pytest.mark.parametrize("n_bytes", [8, 4096])
def test_many_arrays_of_the_callers(client, n_bytes):
    """Small ones travel with the request, results of small ones, too."""
    rows = list(numpy.random.default_rng(0).random((600, n_bytes // 8)))
    mixed = [*(client.put(row) * 2 for row in rows), *rows]
    numpy.testing.assert_array_equal(tensord.stack(mixed), [*(2 * row for row in rows), *rows])


def test_much_for_each_operand(client):
    """Each is below what is sent ahead; what has all of them is not."""
    x = client.put(numpy.arange(60.0))
    many = [chain(x[i], 200) for i in range(60)]
    both = tensord.stack(many)
    want = [chain(float(i), 200) for i in range(60)]
    assert both.tolist() == want
    assert [float(y) for y in many] == want


def test_much_at_once(client):
    x = client.put(numpy.arange(100.0))
    many = [chain(x[i], 200) for i in range(100)]
    assert tensord.eval(*many) is not None
    assert [float(y) for y in many] == [chain(float(i), 200) for i in range(100)]


def test_much_with_a_failure(client):
    """It shows where the value is needed that has it, and nowhere else."""
    x = client.put(numpy.arange(60.0))
    many = [chain(x[i], 200) for i in range(60)]
    huge = tensord.matmul(tensord.ones((1 << 22, 2)), tensord.ones((2, 1 << 22)))
    both = tensord.stack([*many, tensord.sum(huge)])
    with pytest.raises(tensord.OutOfMemory):
        both.tolist()
    assert float(many[7]) == chain(7.0, 200)


def test_what_is_shared_by_much(client):
    x = client.put(numpy.arange(4.0))
    common = chain(x, 100)
    many = [common * float(i) for i in range(3000)]
    both = tensord.stack(many)
    want = numpy.stack([chain(numpy.arange(4.0), 100) * i for i in range(3000)])
    numpy.testing.assert_array_equal(both, want)


@pytest.fixture
def requests(monkeypatch):
    """What each request computes: (number of nodes, of operands that exist, of donated ones)."""
    requests = []
    emit = tensord._force.Run._emit

    def watched(self, *args):
        builder, rows = emit(self, *args)
        plan = self.plan
        requests.append((len(plan.nodes), len(plan.leaves), len(plan.donated)))
        return builder, rows

    monkeypatch.setattr(tensord._force.Run, "_emit", watched)
    return requests


def test_parts_of_much(make_own_daemon):
    """Of a view only what it needs is computed, however much stands before it."""
    daemon = make_own_daemon("--memory", "64M")
    with daemon.connect() as client:
        x = client.put(numpy.arange(1 << 21, dtype=float))
        many = [chain(x * float(i), 200)[i : i + 1] for i in range(20)]
        tensord.eval(*many)
        assert [float(y[0]) for y in many] == [i * i + 19900 for i in range(20)]
        assert client.stat()["memory"]["used"] < 20 << 20


def test_memory_is_given_on_between_parts(client, requests):
    """What the first part yields is written over by the next one."""
    x = client.put(numpy.ones(1 << 14))
    many = [chain(x * float(i), 240) for i in range(12)]
    tensord.eval(*many)
    assert [float(y[1]) for y in many] == [i + 28680 for i in range(12)]
    assert len(requests) == 2 and requests[1][2] == 1  # the one that was cut through


def test_much_goes_into_mutable_ones(client):
    rows = [client.put([float(i)]) * 1 for i in range(5000)]
    x = client.put(numpy.zeros((5000, 1)), mutable=True)
    x[...] = tensord.stack(rows)
    x += tensord.stack(rows)
    assert numpy.asarray(x)[:, 0].tolist() == [2.0 * i for i in range(5000)]
    assert client.run(tensord.Program(), tensord.stack(rows)).tolist()[4999] == [4999]


def test_a_program_reads_anew_what_changes(client):
    """Too large for one request: what was computed before does not read the mutable tensor."""
    x = client.put([1.0], mutable=True)
    p = tensord.Program()
    y = p.input(x)
    same = chain(p.input([2.0]), 3000)
    changing = chain(y, 1000) + same
    first = client.run(p, changing)
    x += 1
    assert (client.run(p, changing) - first).tolist() == [1]
    assert first.tolist() == [1 + 499500 + 2 + 4498500]


def test_loops_count_for_what_is_in_them(client):
    def body(i, s):
        for _ in range(300):
            s = s + i
        return s

    many = [tensord.fori_loop(0, 3, body, client.put(float(i))) for i in range(30)]
    assert tensord.stack(many).tolist() == [900.0 + i for i in range(30)]


def test_equal_numbers_are_sent_once(client, monkeypatch):
    counts = []
    monkeypatch.setattr(tensord._operands.Scalar, "_add_to", lambda self, builder, client: (
        counts.append(self.value), builder.scalar(self._number, self.value))[1])
    y = client.put(numpy.ones(3))
    for _ in range(50):
        y = y + 1.5
    assert y.tolist() == [76.0] * 3 and counts == [1.5]
