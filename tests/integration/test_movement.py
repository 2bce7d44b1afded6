# SPDX-License-Identifier: MIT
"""Indexing by arrays, assignment, and what moves elements, beyond the rows of the table."""

import numpy
import pytest

import tensord

X = numpy.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


@pytest.fixture(scope="module")
def x(client):
    return client.put(X)


I = numpy.array([0, -1, 1])
J = numpy.array([[2, 0, -3]], dtype="int8")
KEYS = [
    (I,),
    (I, J),
    (slice(None), J),
    (..., I),
    (slice(None), I, J),
    (slice(None), I, slice(None), J),
    (I, ..., J),
    (0, slice(None), I),
    (0, I),
    (slice(None), 1, I),
    (None, I, slice(None), J),
    (I, None, J),
    (slice(1, None), slice(None, None, -1), I, slice(0, 5, 2)),
    (I, J, -I, 3),
    (numpy.array(1),),
    ([1, 0],),
    ([],),
    (slice(None), []),
    (slice(0, 0), I),
]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_an_index_of_arrays_is_numpys(client, x, key):
    expected = X[key]
    numpy.testing.assert_array_equal(numpy.asarray(x[key]), expected)
    p = tensord.Program()
    got = client.run(p, p.input(x)[key])
    assert got.shape == expected.shape
    numpy.testing.assert_array_equal(numpy.asarray(got), expected)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_assignment_is_numpys(client, x, key):
    if any(item is None for item in key):
        key = tuple(item for item in key if item is not None)
    part = X[key]
    for value in (7, -numpy.arange(part.size).reshape(part.shape), numpy.full(part.shape[-1:], 2)):
        expected = X.copy()
        # a place that is named twice: the last one stays, in the order of the indices
        expected[key] = value
        got = tensord.assign(x, key, value)
        assert (got.dtype, got.shape) == (X.dtype, X.shape)
        numpy.testing.assert_array_equal(numpy.asarray(got), expected)
    numpy.testing.assert_array_equal(numpy.asarray(x), X)


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_the_last_of_several_stays(make_own_daemon, n_threads):
    """Whatever the number of threads, among which the target is divided."""
    n, n_values = 300_000, 700_000
    random = numpy.random.default_rng(3)
    indices, values = random.integers(-n, n, n_values), numpy.arange(n_values)
    expected = numpy.zeros(n, "int64")
    expected[indices] = values
    wide = numpy.zeros((n, 3), "int64")
    rows = numpy.stack([values, values, values], axis=1)
    wide[indices] = rows
    with make_own_daemon("--threads", str(n_threads)).connect() as client:
        got = tensord.assign(client.put(numpy.zeros(n, "int64")), indices, values)
        numpy.testing.assert_array_equal(numpy.asarray(got), expected)
        got = tensord.assign(client.put(numpy.zeros((n, 3), "int64")), indices, rows)
        numpy.testing.assert_array_equal(numpy.asarray(got), wide)


def test_assignment_by_a_mask(client, x):
    mask = X % 3 == 0
    expected = X.copy()
    expected[mask] = -1
    numpy.testing.assert_array_equal(numpy.asarray(tensord.assign(x, mask, -1)), expected)
    rows = numpy.array([[True, False, True], [False, False, True]])
    expected = X.copy()
    expected[rows] = numpy.arange(5)
    got = tensord.assign(x, client.put(rows), numpy.arange(5))
    numpy.testing.assert_array_equal(numpy.asarray(got), expected)


ROWS = numpy.array([[True, False, True], [False, False, True]])
MIDDLE, LAST = ROWS[0], X[0, 0, 0] % 3 > 0
MASKED = {
    "rows": (ROWS,),
    "rows and a number": (ROWS, 1),
    "behind": (slice(None), MIDDLE),
    "behind an ellipsis": (..., LAST),
    "at the end": (slice(None), slice(None), slice(None), LAST),
    "number and mask": (0, MIDDLE),
    "mask, slice, number": (numpy.array([True, False]), slice(None), 0),
    "mask and indices": (slice(None), numpy.array([True, False, True]), [0, -1]),
    "two masks": (slice(None), numpy.array([True, False, True]), slice(None), X[0, 0, 0] > 2),
    "with a new axis": (ROWS, None),
    "nothing": (slice(None), numpy.zeros(3, bool), 1),
}


@pytest.mark.parametrize("key", MASKED.values(), ids=MASKED)
def test_masks_beside_others(client, x, key):
    part = X[key]
    of_tensors = tuple(client.put(k) if isinstance(k, numpy.ndarray) else k for k in key)
    for given in (key, of_tensors):
        got = x[given]
        assert got.shape == part.shape
        numpy.testing.assert_array_equal(numpy.asarray(got), part)
    if None in [k for k in key if not isinstance(k, (numpy.ndarray, list))]:
        return
    for value in (-1, -numpy.arange(part.size).reshape(part.shape), part[..., :1] + 5):
        expected = X.copy()
        expected[key] = value
        for given in (key, of_tensors):
            got = tensord.assign(x, given, value)
            numpy.testing.assert_array_equal(numpy.asarray(got), expected)


def test_masks_refused(client, x):
    for key in [(ROWS.T, 1), (slice(None), ROWS), (ROWS, 1, 1, 1), (numpy.zeros(5, bool), 0)]:
        with pytest.raises(IndexError):
            X[key]
        with pytest.raises(IndexError):
            x[key]
    program = tensord.Program()
    mask = program.input(ROWS) & True
    with pytest.raises(tensord.ArgumentError, match="where"):
        program.input(X)[mask, 1]
    with pytest.raises(tensord.ShapeError):
        tensord.assign(x, ROWS, numpy.zeros((ROWS.sum() + 2, 4, 5)))


@pytest.mark.parametrize(
    "key", [(0,), (slice(None), 1), (None, 0, slice(None, None, 2)), (..., -1), ()]
)
def test_assigned_shapes_broadcast_as_numpys(client, x, key):
    shape = X[key].shape
    values = numpy.arange(X[key].size).reshape(shape)
    for value in (values, values[:1], values.reshape(-1)[: shape[-1]], values[None, None]):
        expected = X.copy()
        expected[key] = value
        numpy.testing.assert_array_equal(numpy.asarray(tensord.assign(x, key, value)), expected)
    with pytest.raises(tensord.ShapeError):
        tensord.assign(x, key, numpy.zeros(shape[-1] + 1))


def test_what_is_assigned_takes_the_dtype(client):
    got = tensord.assign(client.put(numpy.zeros(3, "float32")), 1, numpy.array(2, "int64"))
    assert got.dtype == "float32" and got.tolist() == [0, 2, 0]
    got = tensord.assign(client.put(numpy.zeros(3, "int64")), [2, 0], numpy.array([1.9, -2.9]))
    assert got.dtype == "int64" and got.tolist() == [-2, 0, 1]
    with pytest.raises(tensord.DtypeError, match="complex128 does not become float32"):
        tensord.assign(client.put(numpy.zeros(3, "float32")), 1, numpy.array(1j))


def test_an_index_out_of_range_is_refused(client, x):
    with pytest.raises(IndexError, match="take: index 3 is out of range for axis 1 with extent 3"):
        tensord.take(x, [0, 3, -4], axis=1)
    with pytest.raises(tensord.OutOfRange, match="index -4 .* axis 1 with extent 3") as caught:
        tensord.take(x, [0, -4], axis=1)
    assert caught.value.code == "index_out_of_range"
    with pytest.raises(IndexError, match="index 18446744073709551615 "):
        tensord.take(x, numpy.array([2**64 - 1], "uint64"), axis=0)
    with pytest.raises(IndexError, match="index -9223372036854775808 "):
        tensord.take(x, numpy.array([-(2**63)]), axis=0)
    with pytest.raises(IndexError, match="take_along_axis: index 5 .* axis 3 with extent 5"):
        tensord.take_along_axis(x, numpy.full((1, 1, 1, 2), 5))
    with pytest.raises(IndexError, match="put: index 2 .* axis 0 with extent 2"):
        tensord.assign(x, [0, 2], 1)
    with pytest.raises(IndexError, match="take: index 0 is out of range for axis 0 with extent 0"):
        tensord.take(client.put(numpy.zeros((0, 2))), [0], axis=0)
    with pytest.raises(IndexError):
        x[I, 4]
    many = numpy.zeros(1_000_000, "int32")
    many[[600_000, 700_000, 999_999]] = 9, 8, 7
    with pytest.raises(IndexError, match="index 9 "):  # the first, whichever thread finds one first
        tensord.take(client.put(numpy.zeros(5)), many)


def test_indices_are_integers(client, x):
    with pytest.raises(tensord.DtypeError, match="take: indices are integers, not float64"):
        tensord.take(x, [0.0], axis=0)
    with pytest.raises(IndexError):
        x[numpy.zeros(2, "float32")]


def test_shapes_are_refused(client, x):
    with pytest.raises(tensord.ShapeError, match="concat: shapes"):
        tensord.concat([x, x[0]])
    with pytest.raises(tensord.AxisError):
        tensord.concat([x, x], axis=4)
    with pytest.raises(tensord.ArgumentError):
        tensord.concat([])
    with pytest.raises(tensord.ShapeError):
        tensord.tril(numpy.zeros(3))
    with pytest.raises(tensord.ShapeError):
        tensord.take_along_axis(x, numpy.zeros((2, 2, 2, 2), "int64"), axis=1)
    with pytest.raises(tensord.ShapeError):
        x[I, [0, 1]]
    with pytest.raises(tensord.ShapeError):
        tensord.squeeze(x, 0)
    with pytest.raises(tensord.AxisError):
        tensord.flip(x, axis=(0, 0))


def test_concat_promotes(client):
    parts = [numpy.arange(3), numpy.array([True]), numpy.array([0.5], "float32")]
    got = tensord.concat(parts)
    assert got.dtype == "float64" and got.tolist() == [0, 1, 2, 1, 0.5]
    many = [client.put(numpy.full(2, i)) for i in range(300)]
    assert tensord.concat(many).tolist() == numpy.repeat(numpy.arange(300), 2).tolist()


def test_views_are_numpys(client, x):
    pairs = [
        (tensord.moveaxis(x, 0, -1), numpy.moveaxis(X, 0, -1)),
        (tensord.moveaxis(x, (0, 1), (-1, 0)), numpy.moveaxis(X, (0, 1), (-1, 0))),
        (tensord.matrix_transpose(x), numpy.swapaxes(X, -1, -2)),
        (tensord.squeeze(x[:1, :, 1:2], (0, 2)), X[0, :, 1]),
        (tensord.unstack(x, axis=2)[3], X[:, :, 3]),
    ]
    for got, expected in pairs:
        numpy.testing.assert_array_equal(numpy.asarray(got), expected)
    arrays = numpy.arange(3), numpy.arange(2), numpy.float64(4)
    for indexing in ("xy", "ij"):
        for got, expected in zip(
            tensord.meshgrid(*arrays, indexing=indexing), numpy.meshgrid(*arrays, indexing=indexing)
        ):
            numpy.testing.assert_array_equal(numpy.asarray(got), expected)
    for got, expected in zip(
        tensord.broadcast_arrays([1, 2], [[3], [4]]), numpy.broadcast_arrays([1, 2], [[3], [4]])
    ):
        numpy.testing.assert_array_equal(numpy.asarray(got), expected)


def test_repeats_of_each(client, x):
    counts = [2, 0, 3]
    got = tensord.repeat(x, counts, axis=1)
    numpy.testing.assert_array_equal(numpy.asarray(got), numpy.repeat(X, counts, axis=1))
    with pytest.raises(tensord.ShapeError):
        tensord.repeat(x, [1, 2], axis=1)


def test_diff_with_ends(client, x):
    got = tensord.diff(x, axis=1, n=2, prepend=0, append=X[:, :1])
    numpy.testing.assert_array_equal(
        numpy.asarray(got), numpy.diff(X, axis=1, n=2, prepend=0, append=X[:, :1])
    )


def test_within_a_program(client, x):
    p = tensord.Program()
    v = p.input(x)
    outputs = [
        tensord.roll(v, (1, -2), axis=(0, 3)),
        tensord.stack([v, v * 2], axis=1),
        tensord.tile(v, (2, 1, 1, 3)),
        tensord.diff(v, n=2),
        tensord.assign(v, (0, slice(None), 1), 0),
        tensord.take(v + 1, [3, 0], axis=2),
        tensord.repeat(v, 2),
    ]
    assigned = X.copy()
    assigned[0, :, 1] = 0
    expected = [
        numpy.roll(X, (1, -2), axis=(0, 3)),
        numpy.stack([X, X * 2], axis=1),
        numpy.tile(X, (2, 1, 1, 3)),
        numpy.diff(X, n=2),
        assigned,
        numpy.take(X + 1, [3, 0], axis=2),
        numpy.repeat(X, 2),
    ]
    for got, wanted in zip(client.run(p, *outputs), expected):
        numpy.testing.assert_array_equal(numpy.asarray(got), wanted)
    p = tensord.Program()
    with pytest.raises(IndexError) as caught:
        client.run(p, tensord.take(p.input([1.0, 2.0]) + 1, [5]))
    assert caught.value.node == 1


def test_indices_into_nothing(client):
    """Refused as in NumPy 2 though the result is empty, if there is an index at all."""
    for shape, key in [((0, 3), (slice(None), [5])), ((3, 0), ([-4],)), ((0, 3), ([0],)),
                       ((2, 0, 4), ([0, 2],)), ((2, 0, 4), ([1, 0], slice(None), [0, 4]))]:
        x = client.put(numpy.zeros(shape))
        with pytest.raises(tensord.OutOfRange, match="is out of range for axis"):
            x[key]
        with pytest.raises(tensord.OutOfRange, match="is out of range for axis"):
            tensord.assign(x, key, 1.0)
    nothing = numpy.zeros((0, 1), "int64")
    for shape, key in [((0, 3), (slice(None), [2])), ((3, 0), ([-3],)), ((3, 3), ([[7]], nothing)),
                       ((2, 0, 4), ([1, 0], slice(None), [0, 3]))]:
        x = client.put(numpy.ones(shape))
        assert x[key].shape == numpy.ones(shape)[key].shape
        assert tensord.assign(x, key, 2.0).tolist() == numpy.ones(shape).tolist()
