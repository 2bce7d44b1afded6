# SPDX-License-Identifier: MIT
"""Index expressions of all that may stand in one, read and assigned to, as numpy does."""

import random

import numpy
import pytest

SWITCHES = (True, False, numpy.bool_(True), numpy.array(True), numpy.array(False))
PLACES = (numpy.zeros(1, int), numpy.zeros(2, int), numpy.zeros((2, 1), int))


def random_key(rng, shape):
    """Bools, new axes and ``...`` anywhere; integers, slices and arrays for the axes."""
    key, n_used = [], 0
    for _ in range(rng.randint(2, 5)):
        kind = rng.choice("ellipsis new switch integer slice array".split())
        if kind == "ellipsis" and not any(item is Ellipsis for item in key):
            key.append(...)
        elif kind == "new":
            key.append(None)
        elif kind == "switch":
            key.append(rng.choice(SWITCHES))
        elif n_used < len(shape) and kind != "ellipsis":
            n_used += 1
            steps = slice(None, None, rng.choice((1, -1)))
            key.append({"integer": 0, "slice": steps, "array": rng.choice(PLACES)}[kind])
    return tuple(key)


def outcome(function):
    try:
        return function()
    except IndexError:
        return None


@pytest.mark.parametrize("seed", range(4))
def test_as_numpy(client, seed):
    rng = random.Random(seed)
    for _ in range(400):
        shape = tuple(rng.choice((1, 2, 3)) for _ in range(rng.choice((1, 2, 3))))
        array = numpy.arange(float(numpy.prod(shape))).reshape(shape)
        key, x = random_key(rng, shape), client.put(array)
        want, got = outcome(lambda: array[key]), outcome(lambda: x[key])
        if want is None:
            assert got is None, key
            continue
        assert got is not None and got.shape == want.shape, key
        numpy.testing.assert_array_equal(got, want, str(key))
        values = 100 + numpy.arange(float(want.size)).reshape(want.shape)
        array[key] = values
        x[key] = values
        numpy.testing.assert_array_equal(x, array, str(key))
