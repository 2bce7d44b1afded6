# SPDX-License-Identifier: MIT
"""Results whose shape depends on data: nonzero and masks, and what becomes of their memory."""

import numpy
import pytest

import tensord
from raw import Raw, eventually

MIB = 1 << 20


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


SHAPES = [(0,), (1,), (7,), (3, 5), (0, 4), (2, 3, 4), (100_003,), (300, 401)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nonzero(client, shape):
    random = numpy.random.default_rng(1)
    for dtype in "bool int64 float32 float64 uint8 complex64".split():
        x = (random.integers(0, 3, shape)).astype(dtype)
        for array in (x, numpy.asfortranarray(x), x[::-1], x[..., ::2]):
            t = client.put(numpy.ascontiguousarray(array))
            got = tensord.nonzero(t)
            assert isinstance(got, tuple)
            for g, e in zip(got, numpy.nonzero(array), strict=True):
                assert g.dtype == numpy.int64
                numpy.testing.assert_array_equal(g, e)


def test_nonzero_of_views(client):
    x = numpy.arange(24.0).reshape(4, 6) % 3
    t = client.put(x)
    for view in (lambda a: a.T, lambda a: a[::-1, 1::2], lambda a: a[1]):
        for g, e in zip(tensord.nonzero(view(t)), numpy.nonzero(view(x)), strict=True):
            numpy.testing.assert_array_equal(g, e)


def test_nonzero_wants_a_dimension(client):
    with pytest.raises(tensord.ShapeError):
        tensord.nonzero(client.put(numpy.array(3.0)))


@pytest.mark.parametrize("shape", [*SHAPES, ()], ids=str)
def test_masks(client, shape):
    random = numpy.random.default_rng(2)
    for dtype in "bool int64 float32 float64 int16 complex128".split():
        x = random.integers(0, 9, shape).astype(dtype)
        t = client.put(x)
        for n_lead in range(len(shape) + 1):
            mask = numpy.asarray(random.random(shape[:n_lead]) < 0.4)
            got = t[client.put(mask)]
            assert got.dtype == x.dtype
            numpy.testing.assert_array_equal(got, x[mask])
            numpy.testing.assert_array_equal(t[mask], x[mask])
    assert t[True].shape == (1, *shape)
    assert t[False].shape == (0, *shape)


def test_masks_of_views(client):
    x = numpy.arange(24.0).reshape(4, 6)
    t = client.put(x)
    numpy.testing.assert_array_equal(t.T[(t > 4).T], x.T[(x > 4).T])
    numpy.testing.assert_array_equal(t[::-1][[True, False, True, True]], x[::-1][[0, 2, 3]])
    with pytest.raises(tensord.ShapeError):
        t[numpy.ones(5, bool)]


def test_programs(client):
    p = tensord.Program()
    x = p.input(numpy.array([3.0, -1.0, 4.0]))
    part = x[x > 0]
    assert part.shape == (None,)
    numpy.testing.assert_array_equal(client.run(p, part, names="parts"), [3, 4])
    numpy.testing.assert_array_equal(client.get("parts"), [3, 4])
    with pytest.raises(tensord.ArgumentError, match="output"):
        part + 1
    rows, doubled = client.run(p, p.op("nonzero", x), x * 2)
    numpy.testing.assert_array_equal(rows, [[0, 1, 2]])
    numpy.testing.assert_array_equal(doubled, [6, -2, 8])
    client.delete("parts")


def raw_run(connection, values, **output):
    return connection.call("run", {
        "inputs": [{"dtype": "bool", "shape": [len(values)], "data": bytes(values)}],
        "nodes": [["nonzero", [0], {}]],
        "outputs": [{"value": 1, **output}]})


def test_others_lie_as_they_would_alone(client):
    x = numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3))
    p = tensord.Program()
    scan = tensord.cumulative_sum(p.input(client.put(x)), axis=1)
    got, places = client.run(p, scan, p.op("nonzero", scan.reshape(-1)))
    assert got.strides == (8, 16) and places.tolist() == [[1, 2, 3, 4, 5]]
    assert got.tolist() == x.cumsum(axis=1).tolist()


def test_inline(daemon):
    with Raw(daemon.socket) as raw:
        got = raw_run(raw, [0, 2, 1])["outputs"][0]
        assert got["shape"] == [1, 2]
        assert numpy.frombuffer(got["data"], "<i8").tolist() == [1, 2]
        with pytest.raises(Exception, match="too_large_inline"):
            raw_run(raw, [1] * 600)
        assert raw_run(raw, [0] * 600)["outputs"][0]["shape"] == [1, 0]
        assert raw_run(raw, [1] * 600, handle=5)["outputs"][0]["shape"] == [1, 600]


def test_memory_full_when_counted(make_daemon):
    """The outputs do not fit: an error with figures, nothing is left, and the next one works."""
    daemon = make_daemon("--memory", "64M")
    with daemon.connect() as client:
        ones = client.put(numpy.ones(4 * MIB, bool))
        with pytest.raises(tensord.OutOfMemory, match="bytes"):
            tensord.nonzero(tensord.broadcast_to(ones, (3, 4 * MIB)))
        before = client.stat()["memory"]
        for _ in range(5):
            with pytest.raises(tensord.OutOfMemory):
                tensord.nonzero(tensord.broadcast_to(ones, (3, 4 * MIB)))
        assert client.stat()["memory"]["scratch"] == 0
        eventually(lambda: client.stat()["memory"]["live"] == before["live"])
        assert tensord.nonzero(ones[: MIB])[0].shape == (MIB,)
        ones.client.close()
