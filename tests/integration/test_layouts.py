# SPDX-License-Identifier: MIT
"""In which order of axes results lie: where numpy's would. Names keep it, and so do kills."""

import itertools

import numpy
import pytest

import tensord
from raw import Raw

SHAPE = (3, 4, 5)
ORDERS = list(itertools.permutations(range(3)))
SMALL, LARGE = 1, 12  # in the daemon's heap; in a segment


def array(order, scale=SMALL, dtype="float64"):
    """Of shape SHAPE (the last extent larger, if scaled), its axes in memory from the slowest."""
    shape = (*SHAPE[:2], SHAPE[2] * scale * scale)
    values = (numpy.arange(numpy.prod(shape)) % 7 + 1).astype(dtype).reshape(shape)
    return numpy.ascontiguousarray(values.transpose(order)).transpose(numpy.argsort(order))


def order_of(x):
    """Axes with more than one element, the slowest first."""
    axes = [axis for axis in range(x.ndim) if x.shape[axis] > 1]
    return sorted(axes, key=lambda axis: -abs(x.strides[axis])) if x.size else None


def check(got, expected):
    got = numpy.asarray(got)
    numpy.testing.assert_allclose(got, expected, rtol=1e-12)
    assert order_of(got) == order_of(expected)
    for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
        if order_of(expected) == order_of(numpy.empty_like(expected, order="K")):
            assert got.flags[flag] == expected.flags[flag], flag


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


# what it is called, in tensord, in numpy; of one array
ONE = [
    ("negative", lambda x: -x, lambda x: -x),
    ("scalar", lambda x: 2 * x + 1, lambda x: 2 * x + 1),
    ("chain", lambda x: (x * x + x) / 2, lambda x: (x * x + x) / 2),
    ("astype", lambda x: tensord.astype(x, "float32"), lambda x: x.astype("float32")),
    ("where", lambda x: tensord.where(x > 3, x, 0.0), lambda x: numpy.where(x > 3, x, 0.0)),
    ("sliced", lambda x: x[:, ::-1, 1:] + 1, lambda x: x[:, ::-1, 1:] + 1),
    ("transposed", lambda x: (x + 1).T, lambda x: (x + 1).T),
    ("permuted", lambda x: tensord.permute_dims(x + 1, (1, 0, 2)),
     lambda x: (x + 1).transpose(1, 0, 2)),
    ("expanded", lambda x: x[:, None] + 1, lambda x: x[:, None] + 1),
    ("zeros_like", lambda x: tensord.zeros_like(x), lambda x: numpy.zeros_like(x)),
    ("ones_like", lambda x: tensord.ones_like(x[:, ::-1, 1:]),
     lambda x: numpy.ones_like(x[:, ::-1, 1:])),
    ("full_like", lambda x: tensord.full_like(x.T, 7, dtype="float32"),
     lambda x: numpy.full_like(x.T, 7, dtype="float32")),
    ("row", lambda x: x + numpy.ones(x.shape[2]), lambda x: x + numpy.ones(x.shape[2])),
    ("column", lambda x: x + numpy.ones((4, 1)), lambda x: x + numpy.ones((4, 1))),
    ("plane", lambda x: x + x[0], lambda x: x + x[0]),
    ("sum0", lambda x: tensord.sum(x, axis=0), lambda x: x.sum(0)),
    ("sum1", lambda x: tensord.sum(x, axis=1), lambda x: x.sum(1)),
    ("sum2", lambda x: tensord.sum(x, axis=2), lambda x: x.sum(2)),
    ("sum02", lambda x: tensord.sum(x, axis=(0, 2)), lambda x: x.sum((0, 2))),
    ("kept", lambda x: tensord.sum(x, axis=1, keepdims=True), lambda x: x.sum(1, keepdims=True)),
    ("mean", lambda x: tensord.mean(x, axis=1), lambda x: x.mean(1)),
    ("var", lambda x: tensord.var(x, axis=0), lambda x: x.var(0)),
    ("std", lambda x: tensord.std(x, axis=2), lambda x: x.std(2)),
    ("max", lambda x: tensord.max(x, axis=0), lambda x: x.max(0)),
    ("any", lambda x: tensord.any(x > 3, axis=2), lambda x: (x > 3).any(2)),
    ("count", lambda x: tensord.count_nonzero(x, axis=1),
     lambda x: numpy.count_nonzero(x, axis=1)),
    ("argmax", lambda x: tensord.argmax(x, axis=1), lambda x: x.argmax(1)),
    ("centred", lambda x: x - tensord.mean(x, axis=0, keepdims=True),
     lambda x: x - x.mean(0, keepdims=True)),
    ("cumulative0", lambda x: tensord.cumulative_sum(x, axis=0), lambda x: x.cumsum(0)),
    ("cumulative1", lambda x: tensord.cumulative_sum(x, axis=1), lambda x: x.cumsum(1)),
    ("cumulative2", lambda x: tensord.cumulative_sum(x, axis=2), lambda x: x.cumsum(2)),
    ("sort0", lambda x: tensord.sort(x, axis=0), lambda x: numpy.sort(x, 0)),
    ("sort2", lambda x: tensord.sort(x, axis=2), lambda x: numpy.sort(x, 2)),
    ("argsort", lambda x: tensord.argsort(x, axis=1),
     lambda x: numpy.argsort(x, 1, kind="stable")),
    ("concat", lambda x: tensord.concat([x, x], axis=1), lambda x: numpy.concatenate([x, x], 1)),
    ("stack", lambda x: tensord.stack([x, x]), lambda x: numpy.stack([x, x])),
    ("stacked", lambda x: tensord.stack([x, x], axis=-1), lambda x: numpy.stack([x, x], -1)),
    ("roll", lambda x: tensord.roll(x, 1, axis=1), lambda x: numpy.roll(x, 1, 1)),
    ("diff", lambda x: tensord.diff(x, axis=0), lambda x: numpy.diff(x, axis=0)),
    ("take", lambda x: tensord.take(x, numpy.array([1, 0]), axis=1),
     lambda x: numpy.take(x, [1, 0], 1)),
    ("matmul", lambda x: x @ tensord.permute_dims(x, (0, 2, 1)),
     lambda x: x @ x.transpose(0, 2, 1)),
    ("reshape", lambda x: tensord.reshape(x + 1, (12, -1)), lambda x: (x + 1).reshape(12, -1)),
]


@pytest.mark.parametrize("scale", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
@pytest.mark.parametrize("name, ours, theirs", ONE, ids=[row[0] for row in ONE])
def test_of_one_array(client, name, ours, theirs, order, scale):
    x = array(order, scale)
    check(ours(client.put(x)), theirs(x))


@pytest.mark.parametrize("pair", itertools.product(ORDERS, ORDERS))
def test_where_two_disagree(client, pair):
    a, b = (array(order) for order in pair)
    x, y = client.put(a), client.put(b)
    check(x + y, a + b)
    check(tensord.concat([x, y], axis=2), numpy.concatenate([a, b], 2))
    check(tensord.where(x > y, x, y[:1]), numpy.where(a > b, a, b[:1]))
    p = tensord.Program()  # in one request: values of both orders are stored by it
    u, v = p.input(x), p.input(y)
    both, first, last = u + v, u * 2, tensord.permute_dims(u * 2 + (u + v), (2, 0, 1))
    for got, expected in zip(
        client.run(p, both, first, last, first),
        (a + b, a * 2, (a * 2 + (a + b)).transpose(2, 0, 1), a * 2),
    ):
        check(got, expected)


def test_matrices_have_numpys_flags(client):
    f = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
    x = client.put(f)
    for got, expected in [
        (x, f),
        (x + 1, f + 1),
        (x.T + 1, f.T + 1),
        (x[::-1] * 2, f[::-1] * 2),
        (x + numpy.ones((3, 4)), f + numpy.ones((3, 4))),
        (x[:, :1] + 1, f[:, :1] + 1),
        (x @ x.T, f @ f.T),
        (tensord.astype(x, "int32"), f.astype("int32")),
    ]:
        got = numpy.asarray(got)
        assert got.flags.f_contiguous == expected.flags.f_contiguous
        assert got.flags.c_contiguous == expected.flags.c_contiguous
        numpy.testing.assert_array_equal(got, expected)


def test_assignment_keeps_the_order(client):
    f = array((2, 0, 1), LARGE)
    x = tensord.assign(client.put(f), (slice(None), 1), 7.0)
    f[:, 1] = 7
    check(x, f)
    x = tensord.assign(x, (numpy.array([0, 2]), numpy.array([1, 3])), -1.0)
    f[[0, 2], [1, 3]] = -1
    check(x, f)


def test_a_loop_carries_in_c_order_and_is_right(client):
    f = array((2, 1, 0))
    p = tensord.Program()
    captured = p.input(f)
    u = p.loop(3, lambda i, u: u * 0.5 + captured, p.input(client.put(f)))
    expected = f
    for _ in range(3):
        expected = expected * 0.5 + f
    numpy.testing.assert_array_equal(numpy.asarray(client.run(p, u)), expected)


@pytest.mark.parametrize("scale", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_names_keep_it_beyond_the_daemons_end(own_daemon, order, scale):
    x = array(order, scale)
    with own_daemon.connect() as client:
        client.put(x, "put")
        p = tensord.Program()
        client.run(p, p.input(client.open("put")) + 1, names="made")
        check(client.get("put"), x)
        check(client.get("made"), x + 1)
    own_daemon.restart9()
    with own_daemon.connect() as client:
        check(client.get("put"), x)
        check(client.get("made"), x + 1)
        check(client.open("made") - 1, x)


def test_a_small_result_is_the_same_as_value_and_by_id(client):
    x = array((1, 2, 0))
    t = client.put(x) * 2
    t_id = t.id  # now it lies in the daemon
    check(t, x * 2)
    check(t[1:, ::2] + 0, x[1:, ::2] * 2 + 0)
    check(client.open_id(t_id), x * 2)


def test_the_file_in_shared_memory_says_so(own_daemon):
    f = numpy.asfortranarray(numpy.arange(40_000.0).reshape(200, 200))
    with own_daemon.connect() as client:
        client.put(f)
        kept = tensord.eval(client.put(f) + 1)
        files = [path for path in own_daemon.shm_directory.iterdir()
                 if path.name.startswith(own_daemon.prefix)]
        loaded = []
        for path in files:
            try:
                loaded.append(numpy.load(path, mmap_mode="r"))
            except (ValueError, EOFError):
                continue  # catalog and lock
        found = [a for a in loaded if a.shape == f.shape and (a == f + 1).all()]
        assert found and all(a.flags.f_contiguous for a in found)
        del loaded, found, kept


# ---- by hand ----


def test_put_takes_any_order_of_axes(daemon):
    with Raw(daemon.path) as raw:
        data = bytes(range(24))
        made = raw.call("put", handle=1, dtype="uint8", shape=[2, 3, 4], order=[1, 2, 0], data=data)
        assert made["strides"] == [1, 8, 2] and made["data"] == data
        result = raw.run([["negative", [0], {}]], inputs=[{"handle": 1}])[0]
        assert result["strides"] == [1, 8, 2]
        assert result["data"] == bytes(-b % 256 for b in data)
        twice = raw.run([["add", [0, 1], {}]], inputs=[
            {"handle": 1},
            {"dtype": "uint8", "shape": [2, 3, 4], "order": [1, 2, 0], "data": data},
        ])[0]
        assert twice["strides"] == [1, 8, 2] and twice["data"] == bytes(2 * b for b in data)
        made = raw.call("create", handle=2, dtype="float64", shape=[2, 3, 4], order=[2, 0, 1])
        assert made["strides"] == [24, 8, 48]


@pytest.mark.parametrize(
    "order, code",
    [
        ("K", "bad_arguments"),
        ("", "bad_arguments"),
        (7, "bad_arguments"),
        ([], "bad_axis"),
        ([0], "bad_axis"),
        ([0, 0], "bad_axis"),
        ([1, 2], "bad_axis"),
        ([-1, 0], "bad_axis"),
        ([0, 1, 2], "bad_axis"),
        ([0, 2**63 - 1], "bad_axis"),
        ([0, 2**64 - 1], "bad_arguments"),
        ([0, "1"], "bad_arguments"),
        (list(range(17)), "rank_limit"),
        (None, "bad_arguments"),
    ],
)
def test_an_order_is_all_axes_once(daemon, order, code):
    with Raw(daemon.path) as raw:
        refused = raw.refusal("put", handle=1, dtype="uint8", shape=[2, 3], data=bytes(6),
                              order=order)
        assert refused.code == code
        given = {"dtype": "uint8", "shape": [2, 3], "data": bytes(6), "order": order}
        refused = raw.refusal("run", inputs=[given], nodes=[], outputs=[{"value": 0}])
        assert refused.code == code and "input 0" in refused.message
        raw.call("put", handle=1, dtype="uint8", shape=[], data=b"\1", order=[])
