# SPDX-License-Identifier: MIT
"""Random programs in Python, evaluated at the end, after each step, and now and then: as numpy.

A program is a list of steps over numbered arrays: functions, views, operators in place,
assignments, and arrays that are let go. It is made up from a seed (the test's name ends with it)
while numpy and tensord, evaluated after each step, run side by side: equal for integers and
movement of data, within a few units in the last place for floats, whose values numpy then takes
over, so that no error adds up. Then the same steps run lazily; all arrays have the same bits.
"""

import numpy
import pytest
from random_steps import Maker, bits

import tensord

N_STEPS, N_ARRAYS = 40, 10


class Program:
    """A program as it was made up, and what it yields if it is evaluated after each step."""

    def __init__(self, client, seed, without=()):
        self.client = client
        self.maker = Maker(seed, without)
        self.is_mutable = seed % 4 == 3  # is the first of its arrays?
        self.leaves = {}
        self.steps = []  # (step, number of what it makes, numbers of what is let go then)
        self.eager = {}
        self.n_arrays = 0
        for _ in range(3):
            self.leaves[self.n_arrays] = leaf = self.maker.leaf()
            self.maker.arrays[self.n_arrays] = leaf.copy()  # tensord's reshape counts as C order
            self.n_arrays += 1
        self.eager = self.begin()
        for _ in range(N_STEPS):
            self.step()

    def begin(self):
        """The arrays that a run of it begins with."""
        arrays = {number: self.client.put(leaf) for number, leaf in self.leaves.items()}
        if self.is_mutable:
            arrays[0] = self.client.put(self.leaves[0].copy(), mutable=True)
        return arrays

    def __str__(self):
        lines = [f"{n} = {a.dtype}{a.shape}" for n, a in self.leaves.items()]
        for step, number, gone in self.steps:
            lines.append(f"{number} = {step.text} of {step.places}; del {gone}")
        return "\n".join(lines)

    def step(self):
        maker = self.maker
        step = maker.random.choice(maker.kinds)()
        if step is None:
            return
        number = step.places[0]
        if step.makes:
            number, self.n_arrays = self.n_arrays, self.n_arrays + 1
        gone = []
        self.steps.append((step, number, gone))
        self.run_numpy(step, number)
        run_step(self.eager, step, number)
        tensord.eval(*self.eager.values())
        self.compare(step, number)
        while len(maker.arrays) > N_ARRAYS:
            gone.append(maker.random.choice(list(maker.arrays)))
            del maker.arrays[gone[-1]], self.eager[gone[-1]]

    def run_numpy(self, step, number):
        arrays = self.maker.arrays
        operands = [arrays[i] for i in step.places]
        self.before = [a.copy() for a in operands]
        with numpy.errstate(all="ignore"):
            result = step.theirs(*operands)
        if step.makes:
            is_view = isinstance(result, numpy.ndarray) and result.base is not None
            if not is_view or result.size and not numpy.shares_memory(result, operands[0]):
                result = numpy.array(result, order="C")
            arrays[number] = result

    def compare(self, step, number):
        theirs, ours = self.maker.arrays, self.eager
        got, expected = numpy.asarray(ours[number]), theirs[number]
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape), str(self)
        with numpy.errstate(all="ignore"):
            step.check(got, expected, self.before)
        if expected.flags.writeable and expected.dtype.kind in "fc":
            expected[...] = got
        for i, array in theirs.items():
            numpy.testing.assert_array_equal(numpy.asarray(ours[i]), array, err_msg=f"{i}: {self}")


def run_step(arrays, step, number):
    result = step.ours(*[arrays[i] for i in step.places])
    if step.makes:
        arrays[number] = result


def run_lazily(program, look=None, arrays=None):
    """Its arrays, after all steps; look: called with what there is after each of them."""
    arrays = program.begin() if arrays is None else dict(arrays)
    for step, number, gone in program.steps:
        run_step(arrays, step, number)
        for i in gone:
            del arrays[i]
        if look is not None:
            look(arrays)
    return arrays


def same(program, arrays):
    assert arrays.keys() == program.eager.keys()
    for number, array in arrays.items():
        eager = program.eager[number]
        assert (array.shape, array.dtype) == (eager.shape, eager.dtype)
        assert bits(array) == bits(eager), f"{number}:\n{program}\n{array}\n{eager}"


@pytest.mark.parametrize("seed", range(80))
def test_as_numpy_and_as_when_evaluated_each_step(client, monkeypatch, seed):
    """Also with memory of the smallest arrays given away, with slices of the smallest computed by
    themselves, while arrays are looked at, and with one that is mutable, which is written when it
    is assigned to."""
    if seed % 2:
        monkeypatch.setattr(tensord._plan, "DONATED_MIN", 0)
        monkeypatch.setattr(tensord._force, "DONATED_MIN", 0)
    if seed % 3:
        monkeypatch.setattr(tensord._narrow, "_WORTH", 0)
        monkeypatch.setattr(tensord._narrow, "_COMPUTES_ON", frozenset())
    program = Program(client, seed)
    same(program, run_lazily(program))
    random = program.maker.random
    shown = []

    def look(arrays):
        if random.random() < 0.2:
            shown.append(numpy.asarray(random.choice(list(arrays.values()))))
            shown.append(shown[-1].copy())

    same(program, run_lazily(program, look))
    for snapshot, copy in zip(shown[::2], shown[1::2]):  # of a mutable one it is none
        assert program.is_mutable or bits(snapshot) == bits(copy)


@pytest.mark.parametrize("seed", range(1000, 1040, 2))
def test_as_a_function_that_is_traced(client, seed):
    """All of it is one call; what it assigns to is its own."""
    program = Program(client, seed, without=["make_chosen"])
    function = tensord.jit(lambda arrays: run_lazily(program, arrays=arrays))
    leaves = program.begin()
    for _ in range(2):
        same(program, function(leaves))
    for number, leaf in program.leaves.items():
        assert bits(leaves[number]) == bits(leaf)


def test_programs_are_of_all_kinds(client):
    """Each way to make a step is taken, and most steps fit."""
    programs = [Program(client, seed) for seed in range(12)]
    assert sum(len(program.steps) for program in programs) > 12 * N_STEPS / 2
    texts = "\n".join(map(str, programs))
    for word in ("where", "sum", "sort", "matmul", "astype", "reshape", "diagonal", "roll",
                 "unique_values", "iadd", "] =", "] +=", "permute_dims"):
        assert word in texts


@pytest.mark.parametrize(
    "function",
    [lambda x: tensord.repeat(x, 3), lambda x: tensord.repeat(x, 1), lambda x: tensord.tile(x, 3),
     lambda x: tensord.meshgrid(x, [1.0, 2.0, 3.0])[0].reshape(-1), tensord.positive, tensord.clip],
    ids="repeat once tile meshgrid positive clip".split(),
)
def test_copies_that_take_no_memory_are_copies(client, function):
    x = client.put([5.0])
    y = function(x)
    x[0] = 6
    y[-1:] += 2
    assert x.tolist() == [6] and y.tolist() == [5] * (y.size - 1) + [7]
