# SPDX-License-Identifier: MIT
"""Random arrays, keys and numbers through the array API, compared with numpy.

The same examples each time; `--hypothesis-seed` draws others.
"""

import math
import operator

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ops_kit import ALL, COMPLEX, FLOAT, SIGNED, UNSIGNED

import tensord

pytestmark = pytest.mark.plain

few = settings(max_examples=60, deadline=None, database=None, derandomize=True,
               suppress_health_check=list(HealthCheck))
INTEGERS = SIGNED + UNSIGNED
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def elements_of(dtype):
    """Python numbers of a dtype: small ones, the largest, and what is no number."""
    dtype = numpy.dtype(dtype)
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        limits = numpy.iinfo(dtype)
        least, most = int(limits.min), int(limits.max)
        return st.integers(least, most) | st.sampled_from([0, 1, least, most, most // 2 + 2])
    if dtype.kind == "f":
        return st.floats(width=dtype.itemsize * 8) | st.integers(-5, 5).map(float)
    part = elements_of("float32" if dtype.itemsize == 8 else "float64")
    return st.builds(complex, part, part)


@st.composite
def arrays_of(draw, dtypes, shapes=SHAPES):
    dtype, shape = draw(st.sampled_from(dtypes)), draw(shapes)
    return draw(arrays.arrays(dtype, shape, elements=elements_of(dtype)))


@st.composite
def laid_out(draw, client, array):
    """The array as a tensor: dense, or a view of a larger or mirrored one."""
    how = draw(st.sampled_from(["dense", "transposed", "mirrored", "every other"]))
    if how == "transposed":
        return client.put(array.T.copy()).T
    if how == "mirrored":
        return tensord.flip(client.put(numpy.flip(array).copy()))
    if how == "every other" and array.ndim:
        return client.put(numpy.repeat(array, 2, axis=0))[::2]
    return client.put(array)


def is_same(got, wanted):
    """In dtype, shape and bits, but for those of NaN."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    assert (got.ndim, got.size) == (wanted.ndim, wanted.size)
    numpy.testing.assert_array_equal(got, wanted)
    if wanted.dtype.kind == "f":
        zero = wanted == 0
        signs = numpy.signbit(numpy.asarray(got)[zero]), numpy.signbit(wanted[zero])
        numpy.testing.assert_array_equal(*signs)


# ---- indices ----


@st.composite
def masks_of(draw, shape):
    """Of leading axes, some of them empty at times."""
    shape = shape[: draw(st.integers(0, len(shape)))]
    if draw(st.integers(0, 3)) == 0:
        shape = [draw(st.sampled_from([extent, 0])) for extent in shape]
    return draw(arrays.arrays(bool, tuple(shape)))


@st.composite
def integers_of(draw, shape):
    """An array of indices or an integer for each axis."""
    if not shape or 0 in shape:
        return ...
    sides = draw(arrays.mutually_broadcastable_shapes(num_shapes=len(shape), max_dims=2, min_side=0,
                                                      max_side=3)).input_shapes
    key = []
    for extent, side in zip(shape, sides):
        index = st.integers(-extent, extent - 1)
        dtype = draw(st.sampled_from(SIGNED))
        key.append(draw(index | arrays.arrays(dtype, side, elements=index)))
    return tuple(key)


def keys_of(shape):
    return (arrays.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
            | masks_of(shape) | integers_of(shape))


def shared(client, key):
    """A key with tensors in place of numpy's arrays."""
    if isinstance(key, tuple):
        return tuple(shared(client, item) for item in key)
    return client.put(key) if isinstance(key, numpy.ndarray) else key


@given(st.data())
@few
def test_parts(client, data):
    x = data.draw(arrays_of(ALL))
    key = data.draw(keys_of(x.shape))
    wanted = numpy.asarray(x[key])
    tensor = data.draw(laid_out(client, x))
    is_same(tensor[shared(client, key)], wanted)
    is_same(tensor[key], wanted)


@given(st.data())
@few
def test_assigned_parts(client, data):
    x = data.draw(arrays_of(ALL))
    key = data.draw(keys_of(x.shape))
    part = numpy.asarray(x[key])
    is_one = isinstance(key, tuple) or data.draw(st.booleans())  # of a place named twice: which?
    shape = () if is_one else (1,) * data.draw(st.integers(0, part.ndim))
    value = data.draw(arrays_of([x.dtype], st.just(shape)))
    tensor = data.draw(laid_out(client, x))
    x[key] = value
    if shape == () and data.draw(st.booleans()):
        tensor[shared(client, key)] = value.item()
    else:
        tensor[shared(client, key)] = client.put(value)
    is_same(tensor, x)


@given(SHAPES, SHAPES)
@few
def test_masks_fit_or_are_refused(client, shape, mask):
    x, mask = client.put(numpy.zeros(shape)), client.put(numpy.zeros(mask, bool))
    fits = zip(mask.shape, shape)
    if mask.ndim <= x.ndim and all(extent in (0, axis) for extent, axis in fits):
        assert x[mask].shape == (0, *shape[mask.ndim :])
    else:
        with pytest.raises(IndexError):
            x[mask]
        with pytest.raises(IndexError):
            x[mask] = 1


# ---- what becomes an array ----


@given(st.data())
@few
def test_lists(client, data):
    x = data.draw(arrays_of(ALL))
    for sequence in (list, tuple) if x.ndim else (lambda number: number,):
        got = tensord.asarray(sequence(x.tolist()), dtype=x.dtype, client=client)
        is_same(got, x if x.size else numpy.zeros(numpy.shape(x.tolist()), x.dtype))
    if x.ndim and x.size:
        is_same(tensord.asarray([client.put(part) for part in x], client=client), x)


@given(st.data())
@few
def test_casts(client, data):
    """Where every element has a counterpart."""
    to = data.draw(st.sampled_from(ALL))
    kinds = {"b": ALL, "i": ["bool", *INTEGERS], "u": ["bool", *INTEGERS],
             "f": ["bool", *INTEGERS, *FLOAT], "c": ALL}[numpy.dtype(to).kind]
    x = data.draw(arrays_of(kinds))
    with numpy.errstate(all="ignore"):
        is_same(data.draw(laid_out(client, x)).astype(to), x.astype(to))


# ---- operators, with arrays and with Python numbers ----

OPERATORS = {  # the dtypes that the standard has for them, where the answer is exact
    "add": INTEGERS + FLOAT + COMPLEX, "sub": INTEGERS + FLOAT + COMPLEX, "mul": INTEGERS + FLOAT,
    "truediv": FLOAT, "floordiv": FLOAT, "mod": FLOAT, "eq": ALL, "ne": ALL, "lt": INTEGERS + FLOAT,
    "le": INTEGERS + FLOAT, "gt": INTEGERS + FLOAT, "ge": INTEGERS + FLOAT,
    "and_": ["bool", *INTEGERS], "or_": ["bool", *INTEGERS], "xor": ["bool", *INTEGERS],
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data())
@few
def test_operators(client, name, data):
    function = getattr(operator, name)
    shapes = arrays.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)
    one, other = data.draw(shapes).input_shapes
    x = data.draw(arrays_of(OPERATORS[name], st.just(one)))
    y = data.draw(arrays_of([x.dtype], st.just(other)))
    number = data.draw(elements_of(x.dtype))
    tensor = data.draw(laid_out(client, x))
    with numpy.errstate(all="ignore"):
        wanted = numpy.asarray(function(x, y))
        beside, before = (numpy.asarray(function(*pair)) for pair in (
            (x, numpy.array(number, x.dtype)), (numpy.array(number, x.dtype), x)))
    is_same(function(tensor, data.draw(laid_out(client, y))), wanted)
    is_same(function(tensor, number), beside)
    is_same(function(number, tensor), before)


@given(st.data())
@few
def test_powers(client, data):
    x = data.draw(arrays_of([*INTEGERS, *FLOAT, *COMPLEX]))
    kind = x.dtype.kind
    number = {"i": st.integers(0, 9), "u": st.integers(0, 9), "f": st.floats(-9, 9, width=32),
              "c": st.complex_numbers(max_magnitude=9)}[kind]
    for power in (data.draw(number), 2):
        got = data.draw(laid_out(client, x)) ** power
        assert (got.dtype, got.shape) == (x.dtype, x.shape)
        if kind in "iu":
            with numpy.errstate(all="ignore"):
                is_same(got, numpy.asarray(x ** numpy.array(power, x.dtype)))
        assert math.prod(x.shape) == len(numpy.ravel(got))
