# SPDX-License-Identifier: MIT
"""Random programs of element-wise operations, views, reductions, scans, sorting and products.

Each operation runs alone first and is compared with numpy's answer to the daemon's own operands, so
that no error adds up: exactly where it rounds once, else to a few units in the last place. Then the
whole is run as one program whose results must have the very same bits, however it was fused: by the
same daemon, by the oracle (tiles of 7 elements, nothing fused, one thread), and with 1, 2 and 7
threads.
"""

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ops_kit import ALL

import tensord

SHAPES = [(), (1,), (7,), (0, 3), (3, 5), (2, 3, 4), (4, 1, 300), (65, 70), (3000,), (50, 701)]
LAYOUTS = ["C", "F", "sliced", "negative", "broadcast"]
ARITHMETIC = ["add", "subtract", "multiply", "maximum", "minimum", "divide"]
COMPARISON = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
UNARY = ["negative", "abs", "sqrt", "exp", "log", "sin", "tanh", "expm1", "atan"]
ATAN = {"atan": "arctan"}
VIEWS = ["transpose", "reverse", "part"]
TOTALS = ["sum", "mean", "max", "min", "any", "all", "count_nonzero", "argmax"]  # of axes
LINES = ["cumulative_sum", "sort", "argsort"]  # along one axis
DAEMONS = [
    ["--engine-tile", "7", "--engine-unfused", "--threads", "1"],
    ["--threads", "1"],
    ["--threads", "2"],
    ["--threads", "7"],
]
ULPS = {"exp": 8, "log": 8, "sin": 8, "tanh": 8, "expm1": 8, "atan": 8}


@pytest.fixture(scope="module")
def clients(make_daemon):
    """Of a daemon as it is, and of those whose results must be the same."""
    clients = [make_daemon(*options).connect() for options in [[], *DAEMONS]]
    yield clients
    for client in clients:
        client.close()


# ---- operands ----


@st.composite
def leaves(draw, shape):
    """(dtype, shape that broadcasts to the one given, layout, seed)"""
    own = [1 if draw(st.integers(0, 4)) == 0 else n for n in shape]
    own = own[draw(st.integers(0, len(own))) if draw(st.booleans()) else 0 :]
    return (
        draw(st.sampled_from(ALL)),
        tuple(own),
        draw(st.sampled_from(LAYOUTS)),
        draw(st.integers(0, 99)),
    )


def make(dtype, shape, seed):
    """Small numbers and special ones.

    Made twice, they need not have the same bits: numpy's ``power`` rounds otherwise where operand
    and result lie less than a vector apart in memory.
    """
    random = numpy.random.default_rng(seed)
    kind = numpy.dtype(dtype).kind
    if kind == "b":
        return random.random(shape) > 0.5
    if kind in "iu":
        limits = numpy.iinfo(dtype)
        small = random.integers(max(limits.min, -9), 9, shape, endpoint=True)
        full = random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
        return numpy.where(random.random(shape) < 0.7, small.astype(dtype), full)
    numbers = random.standard_normal(shape) * 10.0 ** random.integers(-2, 2, shape)
    if kind == "c":
        return (numbers + 1j * random.standard_normal(shape)).astype(dtype)
    special = random.choice([0.0, -0.0, numpy.inf, -numpy.inf, numpy.nan, 1.0], shape)
    return numpy.where(random.random(shape) < 0.9, numbers, special).astype(dtype)


def lay_out(client, array, layout):
    """A tensor of that layout with the array's values, and the values."""
    if array.ndim == 0 or layout == "C":
        return client.put(array), array
    if layout == "F":
        return client.put(numpy.asfortranarray(array)), array
    if layout == "sliced":
        base = numpy.ones([2 * n + 1 for n in array.shape], array.dtype)
        every_other = tuple(slice(1, None, 2) for _ in array.shape)
        base[every_other] = array
        return client.put(base)[every_other], array
    if layout == "negative":
        back = tuple(slice(None, None, -1) for _ in array.shape)
        return client.put(numpy.ascontiguousarray(array[back]))[back], array
    row = numpy.ascontiguousarray(array[:1])
    if row.shape[0] == 0:
        return client.put(array), array
    return tensord.broadcast_to(client.put(row), array.shape), numpy.broadcast_to(row, array.shape)


# ---- reductions, scans, sorting and products ----


def axis_of(name, x, k):
    """An axis, or None, that the operation takes; False where there is none."""
    axes = [*range(x.ndim)] + ([None] if name in TOTALS else [])
    if name in ("max", "min", "argmax"):
        axes = [a for a in axes if x.size and (a is None or x.shape[a])]
    return axes[k % len(axes)] if axes else False


def along_axis(name, x, k):
    """(name with its axis, function), or None where it is not defined."""
    axis = axis_of(name, x, k)
    is_ordered = name in ("max", "min", "argmax", "sort", "argsort")
    if axis is False or is_ordered and x.dtype.kind == "c":
        return None
    keywords = {"axis": axis, "keepdims": True} if name in TOTALS else {"axis": axis}
    return f"{name} {axis}", lambda x: getattr(tensord, name)(x, **keywords)


def close_sums(got, x, axis, run, divisor):
    """Sums within a few units of what is summed, where that is finite."""
    wide = x.astype("clongdouble" if x.dtype.kind == "c" else "longdouble")
    expected, size = run(wide, axis) / divisor, run(numpy.abs(wide), axis) / divisor
    is_far = numpy.abs(got - expected) > 64 * numpy.finfo(got.dtype).eps * size
    is_told = size < numpy.finfo(got.dtype).max / 2
    assert not numpy.any(is_far & is_told)


def check_along_axis(name, got, x):
    name, axis = name.split()
    axis = None if axis == "None" else int(axis)
    kept = {"axis": axis, "keepdims": True}
    if name in ("sum", "mean", "cumulative_sum"):
        if x.dtype.kind in "biu":
            x = x.astype("float64" if name == "mean" else "uint64" if x.dtype.kind == "u" else int)
        run = numpy.cumsum if name == "cumulative_sum" else lambda y, _: y.sum(**kept)
        expected = run(x, axis)
        assert (got.dtype, got.shape) == (x.dtype, expected.shape)
        if x.dtype.kind in "fc":
            n = x.size // max(expected.size, 1) if name == "mean" else 1
            close_sums(got, x, axis, run, n or numpy.nan)
        else:
            numpy.testing.assert_array_equal(got, expected)
        return
    if name == "sort":
        expected = numpy.sort(x, axis, kind="stable")
    elif name == "argsort":
        expected = numpy.argsort(x, axis, kind="stable")
    elif name == "count_nonzero":
        expected = (x != 0).sum(**kept)
    else:
        expected = getattr(numpy, name)(x if name in ("max", "min", "argmax") else x != 0, **kept)
    assert got.dtype == expected.dtype
    numpy.testing.assert_array_equal(got, expected)


def product(x):
    """With the transpose: a matrix, of the same dtype."""
    return tensord.matmul(x, x.transpose((1, 0)))


def check_product(got, x):
    if x.dtype.kind in "fc":
        assert got.shape == (x.shape[0], x.shape[0])
        close_sums(got, x, None, lambda y, _: y @ y.T, 1)
    else:
        numpy.testing.assert_array_equal(got, x @ x.T)
    assert got.dtype == x.dtype


# ---- operations ----


def is_defined(name, arrays):
    """Whether standard and numpy agree on what the operation makes of such operands."""
    dtype = numpy.result_type(*(a.dtype for a in arrays))
    if dtype.kind == "f" and all(a.dtype.kind in "iu" for a in arrays) and len(arrays) == 2:
        return name not in COMPARISON  # int64 and uint64, which numpy 1.24 compares as float64
    if dtype.kind == "b":
        return name in ("add", "multiply", "abs", "maximum", "minimum") or name in COMPARISON
    if dtype.kind == "c":
        return name in ("add", "subtract", "multiply", "negative", "abs", "equal", "not_equal")
    return True


def by_numpy(name, arrays):
    """numpy's answer in the dtypes of NumPy 2, to which 0-d arrays are arrays."""
    dtype = numpy.result_type(*(a.dtype for a in arrays))
    if name in ("divide", "sqrt", *ULPS) and dtype.kind in "biu":
        dtype = numpy.dtype("float64")
    function = getattr(numpy, ATAN.get(name, name))
    with numpy.errstate(all="ignore"):
        return numpy.asarray(function(*(a.astype(dtype) for a in arrays)))


def compare(name, got, arrays):
    expected = by_numpy(name, arrays)
    context = f"{name} of {[(a.dtype.name, a.shape) for a in arrays]}"
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), context
    eps = numpy.finfo(expected.dtype).eps if expected.dtype.kind in "fc" else 0
    if any(a.dtype.kind == "c" for a in arrays) and name in ("multiply", "abs"):
        with numpy.errstate(all="ignore"):
            size = numpy.prod(numpy.broadcast_arrays(*map(numpy.abs, arrays)), axis=0)
            is_far = numpy.abs(got - expected) > 4 * eps * size
        assert not numpy.any(is_far & numpy.isfinite(expected) & numpy.isfinite(size)), context
    elif name in ULPS:
        tiny = numpy.finfo(expected.dtype).tiny
        numpy.testing.assert_allclose(
            got, expected, rtol=ULPS[name] * eps, atol=tiny, err_msg=context
        )
    else:
        numpy.testing.assert_array_equal(got, expected, err_msg=context)


def view(name, x):
    """The same of a tensor, a value or an array."""
    if name == "transpose":
        return x.transpose(tuple(reversed(range(len(x.shape)))))
    if not x.shape:
        return x
    return x[::-1] if name == "reverse" else x[1::2]


def apply(step, values):
    """(name, operands' places, function of them) of a step, or None if these do not fit."""
    name, i, j, k, dtype = step
    i, j, k = (n % len(values) for n in (i, j, k))
    shapes = [values[n].shape for n in (i, j, k)]
    try:
        numpy.broadcast_shapes(*shapes[: 2 if name != "where" else 3])
    except ValueError:
        j = k = i
    if name in VIEWS:
        return name, (i,), lambda x: view(name, x)
    if name == "where":
        condition = next((n for n in (i, j, k) if values[n].dtype.kind == "b"), None)
        if condition is None:
            return None
        return name, (condition, j, k), tensord.where
    if name == "astype":
        if values[i].dtype.kind in "fc" and numpy.dtype(dtype).kind in "iu":
            return None
        if values[i].dtype.kind == "c" and numpy.dtype(dtype).kind == "f":
            return None
        return f"astype {dtype}", (i,), lambda x: tensord.astype(x, dtype)
    if name in TOTALS + LINES:
        found = along_axis(name, values[i], k)
        return found and (found[0], (i,), found[1])
    if name == "product":
        return (name, (i,), product) if values[i].ndim == 2 else None
    places = (i,) if name in UNARY else (i, j)
    if not is_defined(name, [values[n] for n in places]):
        return None
    return name, places, getattr(tensord, name)


def check(name, got, arrays):
    if name in VIEWS:
        numpy.testing.assert_array_equal(got, view(name, arrays[0]), err_msg=name)
    elif name == "where":
        condition, a, b = arrays
        dtype = numpy.result_type(a.dtype, b.dtype)
        expected = numpy.where(condition, a.astype(dtype), b.astype(dtype))
        assert got.dtype == dtype
        numpy.testing.assert_array_equal(got, expected, err_msg=name)
    elif name.startswith("astype"):
        with numpy.errstate(all="ignore"):
            expected = arrays[0].astype(name.split()[1])
        assert got.dtype == expected.dtype
        numpy.testing.assert_array_equal(got, expected, err_msg=name)
    elif name == "product":
        check_product(got, arrays[0])
    elif name.split()[0] in TOTALS + LINES:
        with numpy.errstate(all="ignore"):
            check_along_axis(name, got, arrays[0])
    else:
        compare(name, got, arrays)


def bits(array):
    """Comparable bytes; one NaN is as good as another."""
    array = numpy.ascontiguousarray(array)
    if array.dtype.kind in "fc":
        parts = array.reshape(-1).view(array.real.dtype).copy()
        parts[numpy.isnan(parts)] = numpy.nan
        return parts.tobytes()
    return array.tobytes()


STEPS = st.tuples(
    st.sampled_from(3 * ARITHMETIC + COMPARISON + 2 * UNARY + VIEWS + 3 * ["where"] + ["astype"]
                    + TOTALS + LINES + ["product"]),
    st.integers(0, 999),
    st.integers(0, 999),
    st.integers(0, 999),
    st.sampled_from(ALL),
)


@st.composite
def programs(draw):
    shape = draw(st.sampled_from(SHAPES))
    return draw(st.lists(leaves(shape), min_size=2, max_size=5)), draw(
        st.lists(STEPS, min_size=1, max_size=25)
    )


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_random_program(clients, program):
    tensors, arrays, done = [], [], []
    leaves = [(make(dtype, shape, seed), layout) for dtype, shape, layout, seed in program[0]]
    for leaf in leaves:
        tensor, array = lay_out(clients[0], *leaf)
        tensors.append(tensor)
        arrays.append(numpy.asarray(array))
    for step in program[1]:
        found = apply(step, arrays)
        if found is None:
            continue
        name, places, function = found
        tensors.append(function(*(tensors[n] for n in places)))
        arrays.append(numpy.asarray(tensors[-1]))
        done.append((name, places, function))
        check(name, arrays[-1], [arrays[n] for n in places])
    if not done:
        return
    used = {n for _, places, _ in done for n in places}
    last = [n for n in range(len(leaves), len(arrays)) if n not in used]
    for client in clients:
        for n, result in zip(last, run(client, leaves, done, last)):
            assert bits(result) == bits(arrays[n]), f"value {n}, {done}, {client.stat()}"


def run(client, leaves, done, last):
    """The values of the numbers given, by one program."""
    written = tensord.Program()
    values = []
    for leaf in leaves:
        values.append(written.input(lay_out(client, *leaf)[0]))
    for _, places, function in done:
        values.append(function(*(values[n] for n in places)))
    results = client.run(written, *(values[n] for n in last))
    return map(numpy.asarray, results if isinstance(results, tuple) else (results,))
