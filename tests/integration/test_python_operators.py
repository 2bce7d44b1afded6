# SPDX-License-Identifier: MIT
"""Operators, functions, reductions and views against numpy."""

import itertools
import operator

import numpy
import pytest

import tensord

DTYPES = ["bool", "int64", "float32", "float64"]
PAIRS = list(itertools.product(DTYPES, DTYPES))


def values(shape, dtype, seed=1):
    random = numpy.random.default_rng(seed)
    if dtype == "bool":
        return random.random(shape) > 0.4
    if dtype == "int64":
        return random.integers(-9, 10, shape)
    return random.standard_normal(shape).astype(dtype)


def same(got, expected, tolerance=0.0):
    """Tensor and array agree; dtype, shape and NaN included."""
    got = numpy.asarray(got)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if tolerance and expected.dtype.kind == "f":
        numpy.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    else:
        numpy.testing.assert_array_equal(got, expected)


def epsilons(dtype, n=1):
    return n * float(numpy.finfo(dtype if numpy.dtype(dtype).kind == "f" else "float64").eps)


SHAPES = [
    ((4, 5), (4, 5)),
    ((4, 5), (5,)),
    ((4, 1), (1, 5)),
    ((), (3,)),
    ((0, 3), (3,)),
    ((70, 90), (70, 90)),
]
BINARY = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
NOT_FOR_BOOL = {"subtract", "pow", "negative"}


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("dtypes", PAIRS, ids="-".join)
def test_binary(client, op, dtypes):
    function = BINARY[op]
    for shapes in SHAPES:
        a, b = (
            values(shape, dtype, seed) for seed, (shape, dtype) in enumerate(zip(shapes, dtypes))
        )
        x, y = client.put(a), client.put(b)
        if op in NOT_FOR_BOOL and dtypes == ("bool", "bool"):
            with pytest.raises(tensord.DtypeError, match=op):
                function(x, y)
            continue
        with numpy.errstate(all="ignore"):
            expected = function(numpy.atleast_1d(a), b)  # 0-d: numpy 1.24 would look at its value
        same(function(x, y), expected)
        same(function(a, y), expected)  # an ndarray on the left
        same(function(x, b), expected)
        same(getattr(tensord, op)(x, b), expected)


@pytest.mark.parametrize("op", ["maximum", "minimum", "pow"])
@pytest.mark.parametrize("dtypes", PAIRS, ids="-".join)
def test_binary_functions(client, op, dtypes):
    a, b = (values((6, 7), dtype, seed) for seed, dtype in enumerate(dtypes))
    if op == "pow":
        a, b = numpy.abs(a), numpy.abs(b)
    x = client.put(a)
    if op in NOT_FOR_BOOL and dtypes == ("bool", "bool"):
        with pytest.raises(tensord.DtypeError, match=op):
            tensord.pow(x, b)
        return
    expected = {"maximum": numpy.maximum, "minimum": numpy.minimum, "pow": numpy.power}[op](a, b)
    same(getattr(tensord, op)(x, b), expected, epsilons(expected.dtype, 8) if op == "pow" else 0)


def test_nan_in_maximum(client):
    a, b = numpy.array([numpy.nan, 1, 2]), numpy.array([0, numpy.nan, 1])
    same(tensord.maximum(client.put(a), b), numpy.maximum(a, b))
    same(tensord.minimum(client.put(a), b), numpy.minimum(a, b))


UNARY = {
    "negative": operator.neg,
    "abs": abs,
    "sqrt": numpy.sqrt,
    "exp": numpy.exp,
    "log": numpy.log,
}


@pytest.mark.parametrize("op", UNARY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unary(client, op, dtype):
    for shape in [(), (5,), (0,), (70, 90)]:
        array = values(shape, dtype)
        if op in ("sqrt", "log"):
            array = abs(array)
        tensor = client.put(array)
        if op in NOT_FOR_BOOL and dtype == "bool":
            with pytest.raises(tensord.DtypeError, match=op):
                -tensor
            continue
        widened = (
            array
            if array.dtype.kind == "f" or op in ("negative", "abs")
            else array.astype("float64")
        )
        with numpy.errstate(all="ignore"):
            expected = numpy.asarray(UNARY[op](widened))
        same(
            getattr(tensord, op)(tensor),
            expected,
            epsilons(expected.dtype, 8) if op in ("exp", "log") else 0,
        )
    same(+tensor, numpy.asarray(tensor))


LAYOUTS = {
    "C": lambda a: a,
    "F": lambda a: a.copy(order="F"),
    "T": lambda a: a.T,
    "reversed": lambda a: a[::-1, ::-2],
    "column": lambda a: a[:, 1:2],
    "row": lambda a: a[3],
    "block": lambda a: a[5:40, 7:50],
    "new axis": lambda a: a[:, None, ::3],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_operands_of_any_layout(client, dtype, layout):
    """The same view, of an array put as it is and of a tensor in the daemon."""
    array = values((60, 60), dtype)
    part = LAYOUTS[layout](array)
    whole = client.put(array)
    view = LAYOUTS[layout](whole) if layout != "F" else client.put(part)
    same(view, part)
    for tensor in (view, client.put(part)):
        same(tensor + tensor, part + part)
        same(tensor * 2, part * 2)
        same(tensor.T == tensor.T, part.T == part.T)
        same(tensor.sum(axis=0), part.sum(axis=0), epsilons(dtype, 100))


# ---- weak scalars ----

NUMBERS = [True, 3, -2, 2.5, 0.1]


@pytest.mark.parametrize("op", ["add", "multiply", "divide", "less", "equal", "subtract"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_weak_scalars(client, op, dtype):
    """NumPy 2's rules (numpy 1.24 has them for arrays that are not 0-d)."""
    array = values((5,), dtype)
    tensor = client.put(array)
    for number in NUMBERS:
        for flip in (False, True):
            args = (number, array) if flip else (array, number)
            if op == "subtract" and dtype == "bool" and isinstance(number, bool):
                with pytest.raises(tensord.DtypeError):
                    BINARY[op](tensor, number)
                continue
            with numpy.errstate(all="ignore"):
                expected = BINARY[op](*args)
            if dtype == "float32" and expected.dtype.kind == "f":
                assert expected.dtype == numpy.float32
            same(BINARY[op](number, tensor) if flip else BINARY[op](tensor, number), expected)


def test_weak_scalars_of_0d(client):
    x = client.put(numpy.float32(1.5))
    assert (x + 1).dtype == numpy.float32
    assert (x + 1.5).dtype == numpy.float32
    assert (client.put(numpy.int64(2)) * 2.0).dtype == numpy.float64
    assert (client.put(numpy.True_) + 1).dtype == numpy.int64


def test_numpy_scalars_have_their_dtype(client):
    x = client.put(numpy.ones(3, "float32"))
    for got in (x * numpy.float64(2), numpy.float64(2) * x, x * numpy.array(2.0)):
        assert got.dtype == numpy.float64
        assert got.tolist() == [2, 2, 2]
    assert (x + numpy.int32(1)).dtype == numpy.float64
    with pytest.raises(tensord.DtypeError, match="float16"):
        x + numpy.float16(1)


def test_numbers_that_do_not_fit(client):
    with pytest.raises(OverflowError):
        client.put([1, 2]) + 2**64
    with pytest.raises(OverflowError):
        client.put(numpy.ones(2, "int8")) + 128
    got = client.put(numpy.ones(2, "float32")) + 1j
    assert got.dtype == numpy.complex64 and got.tolist() == [1 + 1j] * 2
    assert (client.put([1.0]) + 2**64).tolist() == [2.0**64 + 1]


def test_other_things_are_no_operands(client):
    x = client.put([1.0, 2.0])
    for other in (None, "a", {}, object()):
        with pytest.raises(TypeError):
            x + other
        with pytest.raises(TypeError):
            other @ x
    assert (x == None) is False  # noqa: E711
    with pytest.raises(TypeError):
        hash(x)


def test_lists_and_arrays_as_operands(client):
    x = client.put([1.0, 2.0, 3.0])
    assert (x + [1, 2, 3]).tolist() == [2, 4, 6]
    assert ([1, 2, 3] * x).tolist() == [1, 4, 9]
    large = numpy.arange(3000.0)
    got = client.put(large) + large
    same(got, large + large)
    got = numpy.arange(3.0)
    got += x
    assert got.tolist() == [1, 3, 5]


# ---- powers ----


def test_powers(client):
    whole = client.put([1, -2, 3])
    assert (whole**2).tolist() == [1, 4, 9]
    assert (whole**2).dtype == numpy.int64
    assert (2 ** client.put([0, 1, 10])).tolist() == [1, 2, 1024]
    with pytest.raises(tensord.ValueRefused) as caught:
        whole**-1
    assert caught.value.code == "bad_value"
    same(whole**-1.0, numpy.array([1, -0.5, 1 / 3]), 1e-15)
    assert (client.put(numpy.array([4.0], "float32")) ** 0.5).dtype == numpy.float32


# ---- integers ----


def test_integers_wrap(client):
    extremes = numpy.array([2**63 - 1, -(2**63), 5])
    x = client.put(extremes)
    with numpy.errstate(all="ignore"):
        same(x + 1, extremes + 1)
        same(x * 3, extremes * 3)
        same(-x, -extremes)
        same(abs(x), abs(extremes))
        same(x / 0, extremes / 0)


# ---- where, astype ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_where(client, dtype):
    condition, a, b = values((4, 5), "bool", 1), values((4, 5), dtype, 2), values((5,), dtype, 3)
    same(tensord.where(client.put(condition), a, client.put(b)), numpy.where(condition, a, b))
    weak = tensord.where(client.put(condition), a, 0)
    same(weak, numpy.where(condition, a, 0).astype("int64" if dtype == "bool" else dtype))
    both = tensord.where(client.put(condition), 1, 2.5)
    same(both, numpy.where(condition, 1, 2.5))
    assert tensord.where(client.put([3, 0]), 1, 2).tolist() == [1, 2]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_astype(client, pair):
    array = values((3, 40), pair[0])
    tensor = client.put(array)
    same(tensor.astype(pair[1]), array.astype(pair[1]))
    copy = tensor.astype(pair[1])
    copy[0] = 1
    same(tensor, array)


def test_astype_of_what_does_not_fit(client):
    lowest = -(2**63)
    got = client.put([numpy.nan, numpy.inf, -numpy.inf, 1e30, -1.9]).astype("int64")
    assert got.tolist() == [lowest, lowest, lowest, lowest, -1]
    with pytest.raises(tensord.DtypeError, match="float16"):
        client.put([1.0]).astype("float16")


# ---- reductions ----

AXES = [None, 0, 1, -1, (0, 1), (2, 0), ()]


@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions(client, op, dtype):
    array = values((6, 7, 50), dtype)
    if dtype == "float32":
        exact = array.astype("float64")
    else:
        exact = array
    tensor = client.put(array)
    for axis, keepdims in itertools.product(AXES, (False, True)):
        expected = numpy.asarray(getattr(exact, op)(axis=axis, keepdims=keepdims))
        if dtype == "float32":
            expected = expected.astype("float32")
        got = getattr(tensor, op)(axis=axis, keepdims=keepdims)
        same(got, expected, 0 if op in ("max", "min") else epsilons(dtype, 400))
        same(getattr(tensord, op)(tensor.T.T, axis=axis, keepdims=keepdims), numpy.asarray(got))


@pytest.mark.parametrize("op", ["max", "min"])
def test_extremes_of_nan(client, op):
    array = values((40, 50), "float64")
    array[3, 4] = numpy.nan
    same(getattr(client.put(array), op)(axis=0), getattr(array, op)(axis=0))
    same(getattr(client.put(array), op)(), numpy.asarray(numpy.nan))


def test_reductions_of_nothing(client):
    empty = client.put(numpy.zeros((0, 3)))
    assert empty.sum(axis=0).tolist() == [0, 0, 0]
    assert float(empty.sum()) == 0
    assert numpy.isnan(numpy.asarray(empty.mean(axis=0))).all()
    assert empty.max(axis=1).shape == (0,)
    for op in ("max", "min"):
        with pytest.raises(tensord.TensordError, match=op):
            getattr(empty, op)()


def test_bits_do_not_depend_on_layout(client):
    array = values((300, 400), "float64")
    assert float(client.put(array).sum()) == float(client.put(array.copy(order="F")).sum())


# ---- matmul ----

MATMUL = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((2, 1, 4, 3), (6, 3, 5)),
    ((3,), (4, 3, 2)),
    ((4, 2, 3), (3,)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((0,), (0,)),
    ((90, 80), (80, 70)),
    ((200, 150), (150,)),
]


@pytest.mark.parametrize("shapes", MATMUL, ids=str)
@pytest.mark.parametrize(
    "dtypes",
    [("float64",) * 2, ("float32",) * 2, ("int64",) * 2, ("bool",) * 2, ("int64", "float32")],
    ids="-".join,
)
def test_matmul(client, shapes, dtypes):
    a, b = (values(shape, dtype, seed) for seed, (shape, dtype) in enumerate(zip(shapes, dtypes)))
    expected = numpy.asarray(numpy.matmul(a, b))
    tolerance = epsilons(expected.dtype, 16 * max(1, shapes[0][-1]))
    same(client.put(a) @ client.put(b), expected, tolerance)
    same(a @ client.put(b), expected, tolerance)
    if min(a.ndim, b.ndim) == 2 == max(a.ndim, b.ndim):
        same(client.put(b).T @ client.put(a).T, expected.T, tolerance)
        same(client.put(a[::-1]) @ b, expected[::-1], tolerance)
        same(client.put(a)[::-1, ::-1] @ client.put(b)[::-1], expected[::-1], tolerance)


def test_matmul_refused(client):
    with pytest.raises(tensord.ShapeError) as caught:
        client.put(numpy.ones((2, 3))) @ numpy.ones((2, 3))
    assert all(word in str(caught.value) for word in ("matmul", "(2, 3)"))
    with pytest.raises(tensord.ShapeError):
        client.put(numpy.ones((2, 3))) @ client.put(1.0)
    with pytest.raises(tensord.ShapeError):
        client.put(numpy.ones((3, 2, 3))) @ numpy.ones((2, 3, 3))


# ---- views ----

KEYS = [
    0,
    -1,
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(None, None, 3),
    slice(7, 0, -2),
    slice(3, 3),
    None,
    Ellipsis,
]


@pytest.mark.parametrize("n", [3, 300], ids=["small", "large"])
def test_getitem(client, n):
    array = values((5, 8, n), "float64")
    tensor = client.put(array)
    p = tensord.Program()
    value = p.input(tensor)
    outputs, expected = [], []
    for key in itertools.chain(
        itertools.product(KEYS, repeat=2), [(1, 2, 0), (slice(1, 4), Ellipsis, 0, None)]
    ):
        if key.count(Ellipsis) > 1:
            continue
        view = tensor[key]
        same(view, array[key])
        expected.append(float(array[key].sum()))
        outputs.append(value[key].sum())
    assert float((tensor[2] - array[2]).sum()) == 0
    for at in range(0, len(outputs), 60):
        got = client.run(p, *outputs[at : at + 60])
        numpy.testing.assert_allclose(
            [float(one) for one in got], expected[at : at + 60], rtol=1e-9, atol=1e-9
        )


def test_views_share_memory(client):
    array = values((100, 200), "float64")
    tensor = client.put(array, "x")
    whole = numpy.asarray(client.open("x"))
    for view, expected in (
        (tensor[3:], array[3:]),
        (tensor.T, array.T),
        (tensor[::-1, ::-2], array[::-1, ::-2]),
        (tensor[:, 1], array[:, 1]),
        (tensor.reshape(-1), array.reshape(-1)),
        (tensor.reshape(50, -1, 8)[7], array.reshape(50, -1, 8)[7]),
        (tensord.broadcast_to(tensor[5], (4, 200)), numpy.broadcast_to(array[5], (4, 200))),
    ):
        same(view, expected)
        assert view.strides == expected.strides
    assert numpy.shares_memory(numpy.asarray(client.open("x").T), whole)
    assert tensor.T.name is None and tensor.T.id == tensor.id


def test_view_of_a_view(client):
    array = values((9, 10, 11), "int64")
    tensor = client.put(array)
    same(tensor[::-1][2:, 1][:, ::3].T, array[::-1][2:, 1][:, ::3].T)
    same(tensor[2:5].mT, array[2:5].swapaxes(-1, -2))
    same(tensor[2:5, ::2].reshape(-1), array[2:5, ::2].reshape(-1))
    same(tensor.transpose(2, 0, 1)[1:], array.transpose(2, 0, 1)[1:])
    same(tensord.permute_dims(tensor, (1, -1, 0)), array.transpose(1, 2, 0))


def test_reshape(client):
    array = values((4, 6), "float64")
    tensor = client.put(array)
    for shape in [(24,), (-1,), (2, 12), (2, -1, 3), (4, 6, 1), (1, 1, 24)]:
        same(tensor.reshape(shape), array.reshape(shape))
        same(tensor.T.reshape(*shape), array.T.reshape(shape))
    same(client.put(numpy.zeros((0, 3))).reshape(3, 0), numpy.zeros((3, 0)))
    for shape in [(5, 5), (-1, -1), (-1, 5), (-2, -12), (0, -1), (1,) * 17]:
        with pytest.raises(tensord.TensordError, match="reshape|shape"):
            tensor.reshape(shape)


def test_bad_axes(client):
    tensor = client.put(numpy.zeros((2, 3)))
    for call in (
        lambda: tensor.sum(axis=2),
        lambda: tensor.sum(axis=-3),
        lambda: tensor.sum(axis=(0, 0)),
        lambda: tensor.transpose(0, 0),
        lambda: tensor.transpose(0),
        lambda: tensor.transpose(0, 2),
        lambda: tensor.sum(axis=10**6),
    ):
        with pytest.raises((tensord.AxisError, tensord.ArgumentError)):
            call()
    with pytest.raises(tensord.ShapeError):
        tensord.broadcast_to(tensor, (2, 4))
    with pytest.raises(IndexError):
        tensor[2]
    with pytest.raises(IndexError):
        tensor[0, 0, 0]


# ---- one element ----


def test_one_element(client):
    x = client.put(numpy.arange(6.0).reshape(2, 3))
    assert float(x[1, 2]) == 5 and int(x[1, 1]) == 4 and bool(x[0, 1]) and not bool(x[0, 0])
    assert x[1, 2].item() == 5 and isinstance(x.sum().item(), float)
    assert float(client.put([7.0])) == 7
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(TypeError, match=r"\(2, 3\)"):
        float(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    assert [10, 20, 30][client.put(2)] == 30
    with pytest.raises(TypeError):
        operator.index(client.put(2.0))


def test_length_and_iteration(client):
    x = client.put(numpy.arange(6.0).reshape(2, 3))
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[0, 1, 2], [3, 4, 5]]
    for use in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            use(x[0, 0])


def test_repr(client):
    client.put(numpy.arange(3), "small")
    assert repr(client.open("small")) == (
        "Array([0, 1, 2], shape=(3,), dtype=int64, name='small', 24 bytes)"
    )
    assert repr(client.put(numpy.zeros((0, 2)))) == (
        "Array([], shape=(0, 2), dtype=float64, 0 bytes)"
    )
    assert "..." in repr(client.put(numpy.zeros(10**6)))
    p = tensord.Program()
    assert "(3,)" in repr(p.input([1, 2, 3]))


# ---- creation ----


def test_creation(client):
    same(tensord.zeros((2, 3), client=client), numpy.zeros((2, 3)))
    same(tensord.ones(4, "bool", client=client), numpy.ones(4, "bool"))
    same(tensord.full((2,), 2.5, client=client), numpy.full(2, 2.5))
    same(tensord.full((2,), 7, client=client), numpy.full(2, 7))
    same(tensord.full((), True, client=client), numpy.full((), True))
    same(tensord.full(3, 2, "float32", client=client), numpy.full(3, 2, "float32"))
    same(tensord.eye(3, client=client), numpy.eye(3))
    same(tensord.eye(3, 5, 1, "int64", client=client), numpy.eye(3, 5, 1, "int64"))
    same(tensord.eye(4, 2, -2, client=client), numpy.eye(4, 2, -2))
    same(tensord.zeros((300, 300), "float32", client=client), numpy.zeros((300, 300), "float32"))


@pytest.mark.parametrize(
    "args",
    [
        (5,),
        (2, 9),
        (2, 10, 3),
        (10, 2, -3),
        (0,),
        (5, 2),
        (0.0, 1.0, 0.25),
        (1, 2, 0.1),
        (3.5,),
        (0, 10**5),
    ],
)
def test_arange(client, args):
    same(tensord.arange(*args, client=client), numpy.arange(*args), 1e-15)


@pytest.mark.parametrize("n", [4, 400])
def test_creation_like_arrays(client, monkeypatch, n):
    """Their shapes and layouts are all that is asked of arrays: they stay where they are."""
    monkeypatch.setattr(tensord._default, "default_client", lambda: client)
    monkeypatch.setattr(client, "put", None)
    for x in (numpy.ones((n, 3), order="F"), numpy.ones((2, n, 3)).transpose(1, 2, 0),
              numpy.ones((n, 3))[::-1, ::2], [[1, 2], [3, 4]], numpy.float32(3), True):
        got = numpy.asarray(tensord.zeros_like(x))
        assert got.strides == numpy.zeros_like(x).strides
        same(got, numpy.zeros_like(x))
        same(tensord.full_like(x, 2), numpy.full_like(x, 2))


def test_creation_like_values(client):
    """They become a part of the value's program, in the bodies of its loops too."""
    p = tensord.Program()
    x = p.input(numpy.arange(6.0).reshape(2, 3))
    before = client.stat()["requests"]
    zeros, ones = tensord.zeros_like(x), tensord.ones_like(x, dtype="int8")
    fives = tensord.full_like(x, 5)
    total = p.loop(3, lambda i, u: u + tensord.ones_like(u) * i, tensord.empty_like(x))
    assert client.stat()["requests"] == before + 1  # this one
    for value in (zeros, ones, fives, total):
        assert isinstance(value, tensord.Value) and value.shape == x.shape
    assert (zeros.dtype, ones.dtype, fives.dtype) == ("float64", "int8", "float64")
    got = client.run(p, x + zeros, x * ones, x - fives, total)
    x = numpy.arange(6.0).reshape(2, 3)
    for ours, theirs in zip(got, (x, x, x - 5, numpy.full((2, 3), 3.0))):
        same(ours, theirs)
    f = client.define(q := tensord.Program(), tensord.ones_like(q.parameter((2, 3))) + 1)
    same(f(x), numpy.full((2, 3), 2.0))
    with pytest.raises(tensord.ArgumentError, match="depends on data"):
        tensord.zeros_like(p.op("nonzero", p.input(x)))
    with pytest.raises(tensord.ArgumentError, match="device"):
        tensord.zeros_like(p.input(x), device="gpu")


def test_creation_refused(client):
    with pytest.raises(tensord.TensordError, match="arange"):
        tensord.arange(1, 2, 0, client=client)
    with pytest.raises(tensord.ShapeError):
        tensord.zeros((-1,), client=client)
    with pytest.raises(tensord.ShapeError):
        tensord.zeros((2**31, 2**31, 2**31), client=client)
    with pytest.raises(tensord.DtypeError):
        tensord.zeros(3, "float16", client=client)
    with pytest.raises(tensord.ArgumentError, match="no number"):
        tensord.full(3, "x", client=client)


@pytest.mark.parametrize("x", [[[1.0, 2.0], [3.0, 4.0]]])
def test_functions_of_arrays(daemon, monkeypatch, x):
    """Without a tensor among the operands, the default client computes."""
    monkeypatch.setenv("TENSORD_SOCKET", daemon.socket)
    monkeypatch.setattr(tensord._default, "_default", None)
    array = numpy.array(x)
    try:
        same(tensord.matmul(x, array), array @ array)
        same(tensord.sum(x, axis=0), array.sum(axis=0))
        same(tensord.sqrt(4), numpy.asarray(2.0))
        same(tensord.add(2, 3), numpy.asarray(5))
        same(tensord.where([True, False], 1.5, x[0]), numpy.array([1.5, 2.0]))
        same(tensord.reshape(x, (4,)), array.reshape(4))
        same(tensord.arange(3), numpy.arange(3))
        assert tensord.put(x, "x").name == "x"
        assert [row.name for row in tensord.list()] == ["x"]
        tensord.delete("x")
    finally:
        tensord.default_client().close()
