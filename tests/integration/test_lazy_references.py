# SPDX-License-Identifier: MIT
"""What is computed with what is asked for, and whose memory is given away: both are decided by who
else refers to a pending value, a tensor, or its handle, as Python counts it.
"""

import gc
import threading
import weakref

import numpy
import pytest

import tensord
from tensord import _force, _native

SIDE = 128  # a matrix of 128 KiB: large enough to be given away


@pytest.fixture
def plans(monkeypatch):
    """The plans of the requests that are made: [(operations, shapes kept beside, donated)]."""
    plans = []
    emit = _force.Run._emit

    def watched(self, *args):
        plan = self.plan
        plans.append(([node.op for node in plan.nodes], [value.shape for value in plan.extra],
                      [leaf.shape for leaf in plan.donated]))
        return emit(self, *args)

    monkeypatch.setattr(_force.Run, "_emit", watched)
    return plans


@pytest.fixture
def x(client):
    return client.put(numpy.arange(SIDE * SIDE, dtype=float).reshape(SIDE, SIDE) / SIDE)


def is_resident(array):
    return array._resident is not None


def of(x):
    return numpy.asarray(x).copy()


# ---- outputs beside those that are asked for ----

def test_a_product_that_is_held_is_kept(x, plans):
    product = x @ x
    total = product + 1
    tensord.eval(total)
    assert plans == [(["matmul", "add"], [(SIDE, SIDE)], [])]
    assert is_resident(product)


def test_a_product_that_nobody_holds_is_not_kept(x, plans):
    total = x @ x + 1
    tensord.eval(total)
    assert plans == [(["matmul", "add"], [], [])]


def test_a_product_that_was_forgotten_is_not_kept(x, plans):
    product = x @ x
    total = product + 1
    del product
    tensord.eval(total)
    assert plans == [(["matmul", "add"], [], [])]


def test_an_operand_used_twice_is_not_taken_for_held(x, plans):
    total = x.sum()
    result = (total + total) * total
    del total
    tensord.eval(result)
    assert plans == [(["sum", "add", "multiply"], [], [])]


@pytest.mark.parametrize("holder", [lambda y: [y], lambda y: y[1:], lambda y: y.T, lambda y: y * 2],
                         ids=["list", "slice", "transposed", "other node"])
def test_whatever_holds_a_product_has_it_kept(x, plans, holder):
    product = x @ x
    held = holder(product)
    total = product + 1
    del product
    tensord.eval(total)
    assert plans == [(["matmul", "add"], [(SIDE, SIDE)], [])]
    del held


def test_an_element_by_element_value_is_kept_from_the_second_time_on(x, plans):
    twice = x * 2
    first, second = twice + 1, twice + 2
    tensord.eval(first)
    assert plans.pop()[1] == [] and not is_resident(twice)
    tensord.eval(second)
    assert plans.pop()[1] == [(SIDE, SIDE)] and is_resident(twice)


def test_results_that_nobody_computed_with_are_kept(x, plans):
    """Of a node with several results one is asked for; the other is held, and no operand."""
    values, indices = tensord.topk(x, 3)
    tensord.eval(values)
    assert plans == [(["topk"], [(SIDE, 3)], [])]
    assert is_resident(indices)


def test_results_that_nobody_holds_are_not_kept(x, plans):
    total = tensord.topk(x, 3)[0] + 1
    tensord.eval(total)
    assert plans == [(["topk", "add"], [], [])]


def test_a_pending_value_that_was_asked_for_needs_no_other_request(x, plans):
    product = x @ x
    tensord.eval(product, product + 1)
    tensord.eval(product)
    assert len(plans) == 1


# ---- memory that is given away ----

def test_a_tensor_that_nobody_holds_is_given_away(x, plans):
    expected = of(x) + 1
    total = x + 1
    x = None  # noqa: F841  the fixture's is another reference
    gc.collect()
    tensord.eval(total)
    assert plans[0][2] == []  # the fixture holds it
    doubled = total * 2
    del total
    tensord.eval(doubled)
    assert plans[1] == (["multiply"], [], [(SIDE, SIDE)])
    assert (of(doubled) == expected * 2).all()


@pytest.mark.parametrize("holder", [
    lambda y: y, lambda y: y[1:], lambda y: y.T, lambda y: y._operand(),
    lambda y: y._tensor()._handle, lambda y: y + 5, lambda y: y[1:] + 5,
], ids=["array", "slice", "transposed", "tensor", "handle", "node", "node of a view"])
def test_what_is_held_is_not_given_away(x, plans, holder):
    total = tensord.eval(x + 1)
    expected = of(total)
    held = holder(total)
    doubled = total * 2
    del total
    tensord.eval(doubled)
    assert plans[-1][2] == []
    if isinstance(held, tensord.Array):
        assert of(held).sum() in (expected.sum(), expected[1:].sum(), (expected + 5).sum(),
                                  (expected + 5)[1:].sum())


def test_an_array_of_numpys_keeps_its_values_whatever_is_given_away(x):
    total = tensord.eval(x + 1)
    shown = numpy.asarray(total)
    before = shown.copy()
    doubled = total * 2
    del total
    tensord.eval(doubled)
    assert (shown == before).all() and (of(doubled) == before * 2).all()


def test_a_small_tensor_is_not_given_away(client, plans):
    small = tensord.eval(client.put(numpy.ones(8)) + 1)
    doubled = small * 2
    del small
    tensord.eval(doubled)
    assert all(plan[2] == [] for plan in plans)


def test_a_named_tensor_is_not_given_away(client, x, plans):
    client.put(of(x), "named")
    total = client.open("named") + 1
    tensord.eval(total)
    assert plans[-1][2] == []
    assert (client.get("named") == of(x)).all()


def test_nothing_is_given_away_that_will_be_needed_again(x, plans):
    """An element-by-element value that is held is computed again: from the same tensor."""
    leaf = tensord.eval(x + 1)
    twice = leaf * 2
    del leaf
    total = twice + 1
    tensord.eval(total)
    assert plans[-1] == (["multiply", "add"], [], [])
    assert (of(twice) == (of(x) + 1) * 2).all()


# ---- threads ----

def test_threads_that_force_what_shares_a_product(x, plans):
    expected = of(x) @ of(x)
    for _ in range(20):
        product = x @ x
        totals = [product + i for i in range(4)]
        barrier, problems = threading.Barrier(4), []

        def force(i, totals=totals, barrier=barrier, problems=problems):
            try:
                barrier.wait(30)
                assert numpy.allclose(numpy.asarray(totals[i]), expected + i)
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=force, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not problems
        assert is_resident(product)
    n_products = sum(plan[0].count("matmul") for plan in plans)
    assert n_products == 20  # once each: who came later waited for it


def test_threads_that_note_operations_on_one_array(x):
    """Each gets its own nodes, though all begin with one value."""
    base = x + 1
    results = [None] * 4

    def note(i):
        y = base
        for _ in range(50):
            y = y + i
        results[i] = y

    threads = [threading.Thread(target=note, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for i, result in enumerate(results):
        assert numpy.allclose(numpy.asarray(result), of(x) + 1 + 50 * i)


# ---- small requests: one operation on what exists ----

@pytest.fixture
def n_small(monkeypatch):
    """How many operations were computed without a plan: a list that grows."""
    run_one, done = _native.run_one, []

    def counted(*args):
        tensor = run_one(*args)
        if tensor is not None:
            done.append(tensor.shape)
        return tensor

    monkeypatch.setattr(_native, "run_one", counted)
    return done


@pytest.mark.parametrize("operation", [
    lambda x: x + 1, lambda x: x + x, lambda x: x[1:] * x[:-1], lambda x: x.sum(axis=0),
    lambda x: x.nonzero()[0] if isinstance(x, numpy.ndarray) else tensord.nonzero(x)[0],
    lambda x: x.astype("int8"), lambda x: x ** 2.0,
], ids=["number", "twice", "views", "reduction", "counted", "converted", "power"])
def test_one_operation_on_small_tensors_takes_no_plan(client, plans, n_small, operation):
    values = numpy.arange(9.0)
    result = numpy.asarray(operation(client.put(values)))
    assert result.dtype == operation(values).dtype
    assert numpy.array_equal(result, operation(values))
    assert len(n_small) == 1 and not plans


def test_what_is_no_small_request_takes_a_plan(client, x, plans, n_small):
    small = client.put(numpy.arange(9.0))
    mutable = client.put(numpy.arange(9.0), mutable=True)
    values = tensord.topk(small, 2)[0]
    for y in x + 1, (small + 1) * 2, mutable + 1, values:
        tensord.eval(y)
    assert len(plans) == 4 and not n_small


def test_a_small_operation_on_arrays_of_two_clients_is_refused(daemon, client):
    with daemon.connect() as other:
        with pytest.raises(tensord.ArgumentError, match="two clients"):
            client.put(numpy.ones(3)) + other.put(numpy.ones(3))


def test_a_small_operation_that_fails_is_pending_as_before(client):
    index = client.put(numpy.array([7]))
    with pytest.raises(tensord.OutOfRange):
        tensord.take(client.put(numpy.arange(3.0)), index)
    singular = client.put(numpy.zeros((2, 2)))
    with pytest.raises(numpy.linalg.LinAlgError):
        tensord.linalg.inv(singular)
    assert (numpy.asarray(singular + 1) == 1).all()


def test_threads_that_force_one_small_value(client, n_small):
    x = client.put(numpy.arange(9.0))
    for turn in range(50):
        y = x + turn
        barrier, sums = threading.Barrier(4), []

        def force(y=y, barrier=barrier, sums=sums):
            barrier.wait(30)
            sums.append(float(numpy.asarray(y).sum()))

        threads = [threading.Thread(target=force) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sums == [36.0 + 9 * turn] * 4
    assert len(n_small) == 50  # once each


def test_what_numpy_sees_stays_when_the_array_is_assigned_to(client):
    x = tensord.eval(client.put(numpy.arange(9.0)) + 1)
    whole, part = numpy.asarray(x), numpy.asarray(x[2:5])
    x[:] = 0
    assert float(x.sum()) == 0
    del x
    gc.collect()
    assert whole.tolist() == list(range(1, 10)) and part.tolist() == [3, 4, 5]
    assert not whole.flags.writeable and not part.flags.writeable


def test_numpy_holds_the_mapping(client):
    shown = numpy.asarray(client.put(numpy.arange(9.0)))
    held = shown.base if isinstance(shown.base, tuple) else [shown.base]
    assert any(type(one).__name__ == "PyCapsule" for one in held)


def test_what_is_wrong_shows_when_numpy_asks(daemon):
    with daemon.connect() as client:
        x = client.put(numpy.arange(9.0))
        y = x + 1
    with pytest.raises(tensord.Closed):
        numpy.asarray(x)
    with pytest.raises(tensord.Closed):
        numpy.asarray(y)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "int64", "float32",
                                   "float64", "complex64", "complex128"])
def test_an_element_as_a_number(client, dtype):
    values = (numpy.arange(12) * 21).reshape(3, 4).astype(dtype)
    if dtype.startswith("complex"):
        values += 1j
    x = client.put(values)
    for key in (1, 2), (-1, 0), (0, -3):
        got, wanted = x.T.T[key], values[key]
        assert got.item() == wanted.item() and type(got.item()) is type(wanted.item())


# ---- the collector ----

def test_a_long_chain_goes_without_recursion(x):
    program = tensord.Program()
    value = program.input(x)
    for _ in range(100_000):
        value = value + 1
    del value, program
    gc.collect()


def test_a_cycle_through_an_array_is_collected(x):
    class Holder:
        pass

    holder, total = Holder(), x + 1
    holder.array = total
    total._operand().node.attrs = {"holder": holder}
    gone = weakref.ref(holder)
    del holder, total
    gc.collect()
    assert gone() is None
