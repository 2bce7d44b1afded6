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


def test_what_is_shared_is_computed_once(client):
    x = client.put(numpy.arange(4.0))
    common = chain(x, 100)
    many = [common * float(i) for i in range(3000)]
    both = tensord.stack(many)
    want = numpy.stack([chain(numpy.arange(4.0), 100) * i for i in range(3000)])
    numpy.testing.assert_array_equal(both, want)
