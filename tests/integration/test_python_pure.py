# SPDX-License-Identifier: MIT
"""What the Python package does without a daemon: indices, MessagePack, CSV, dtypes, errors."""

import itertools
import pickle
import re

import msgpack
import numpy
import pytest

import kit
import tensord
from tensord import _dtypes, _errors, _msgpack, _operands
from tensord._index import Index

# ---- indices ----

KEYS = [
    0,
    -1,
    2,
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(None, None, 2),
    slice(-2, None),
    slice(3, 0, -2),
    slice(5, 1),
    slice(100, -100, -3),
    None,
    Ellipsis,
    numpy.int64(1),
]


def apply_index(array, key):
    """Index, acted out with numpy."""
    index = Index(array.shape, key)
    part = array
    for axis, (start, count, step) in enumerate(zip(index.start, index.count, index.step)):
        part = part.take([start + i * step for i in range(count)], axis)
    return part.reshape(index.shape)


@pytest.mark.parametrize("shape", [(4,), (4, 5), (3, 4, 5), (1, 4)])
def test_index_as_numpy(shape):
    array = numpy.arange(numpy.prod(shape)).reshape(shape)
    n_checked = 0
    for n in range(4):
        for key in itertools.product(KEYS, repeat=n):
            try:
                expected = array[key]
            except IndexError:
                with pytest.raises(IndexError):
                    Index(shape, key)
                continue
            got = apply_index(array, key)
            assert got.shape == expected.shape, key
            assert (got == expected).all(), key
            n_checked += 1
    assert n_checked > len(KEYS)


@pytest.mark.parametrize("key", [[0, 1], 1.5, "a", True, numpy.array([True]), (0, [1])])
def test_index_of_another_kind(key):
    with pytest.raises(IndexError, match="numpy.asarray"):
        Index((2, 3), key)


# ---- MessagePack ----

VALUES = [
    None,
    True,
    False,
    0,
    1,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2**32,
    2**64 - 1,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32769,
    -(2**31) - 1,
    -(2**63),
    0.5,
    -1e300,
    "",
    "a",
    "ä" * 20,
    "x" * 40,
    "x" * 300,
    "x" * 70000,
    b"",
    b"\x00" * 200,
    b"y" * 70000,
    [],
    [1, [2, [3]]],
    list(range(20)),
    list(range(70000)),
    {},
    {"a": {"b": [1, 2.5, None]}},
    {str(i): i for i in range(20)},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_msgpack_unpack(value):
    assert _msgpack.unpack(msgpack.packb(value)) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"\x92\x01", b"\xa5abc", b"\xcf\x00", b"\xc1", b"\x01\x01", b"\xdc", b"\xd4\x00\x00"],
)
def test_msgpack_refuses(data):
    with pytest.raises(ValueError):
        _msgpack.unpack(data)


def test_msgpack_pack():
    value = {
        "name": "größe",
        "n": 5,
        "m": 2**40,
        "id": bytes(16),
        "deep": {"yes": True, "no": False, "nil": None},
    }
    assert msgpack.unpackb(_msgpack.pack(value)) == value


# ---- CSV ----


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_csv(tmp_path):
    table = tensord.read_csv(write(tmp_path, 'a,"b, c",d\n1,2.5,-3e2\r\n\n4,5,6\n'))
    assert list(table) == ["a", "b, c", "d"]
    assert [column.tolist() for column in table.values()] == [[1, 4], [2.5, 5], [-300, 6]]
    assert {column.dtype for column in table.values()} == {numpy.dtype("float64")}


def test_csv_columns(tmp_path):
    path = write(tmp_path, "\ufeffname,x,y\nfoo,1,2\nbar,3,4\n")
    table = tensord.read_csv(path, ["y", "x"])
    assert {name: column.tolist() for name, column in table.items()} == {"y": [2, 4], "x": [1, 3]}
    assert list(table) == ["y", "x"]


def test_csv_header_only(tmp_path):
    table = tensord.read_csv(write(tmp_path, "a,b\n"))
    assert [column.shape for column in table.values()] == [(0,), (0,)]


def test_csv_longley():
    table = tensord.read_csv(kit.DATA / "longley.csv")
    assert len(table) == 7
    assert table["employed"][0] == 60323
    assert table["year"].tolist() == list(range(1947, 1963))


@pytest.mark.parametrize(
    "text, words",
    [
        ("a,b,c\n1,2,3\n4,5\n", ["row 3", "2 fields", "'c'"]),
        ("a,b\n1,2,3\n", ["row 2", "3 fields", "'b'"]),
        ("a,b\n1,2\n3,x4\n", ["row 3", "'b'", "'x4'"]),
        ("a,b\n1,\n", ["row 2", "'b'", "''"]),
        ("a,b\n\n\n1,0x10\n", ["row 4", "'b'"]),
        ("a,a\n1,2\n", ["row 1", "'a' twice"]),
        ("", ["no header"]),
        ('a,b\n1,"2\n', ["row"]),
    ],
)
def test_csv_refused(tmp_path, text, words):
    with pytest.raises(tensord.FileError) as caught:
        tensord.read_csv(write(tmp_path, text))
    assert caught.value.code == "bad_file"
    for word in [*words, "table.csv"]:
        assert word in str(caught.value)


def test_csv_missing_column(tmp_path):
    with pytest.raises(tensord.FileError, match="no column 'z'"):
        tensord.read_csv(write(tmp_path, "a,b\n1,2\n"), ["a", "z"])


def test_csv_not_text(tmp_path):
    with pytest.raises(tensord.FileError, match="UTF-8"):
        tensord.read_csv(write(tmp_path, "größe\n1\n", "latin-1"))


def test_csv_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        tensord.read_csv(tmp_path / "nothing.csv")


# ---- dtypes ----


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "longdouble",
        "object",
        "U3",
        "S1",
        "datetime64[s]",
        [("a", "f8")],
        "no such",
    ],
)
def test_dtype_refused(dtype):
    with pytest.raises(tensord.DtypeError) as caught:
        _dtypes.number_of(dtype)
    assert caught.value.code == "unsupported_dtype"
    if dtype != "no such":
        assert "bool, int64, float32, float64" in str(caught.value)
        assert str(numpy.dtype(dtype)) in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16"])
def test_dtype_advice(dtype):
    with pytest.raises(tensord.DtypeError, match=r'\.astype\("float32"\)'):
        _dtypes.number_of(dtype)


def test_dtype_any_spelling():
    for spelling in ("float64", float, "f8", ">f8", "<f8", numpy.float64, numpy.dtype(">f8")):
        assert _dtypes.DTYPES[_dtypes.number_of(spelling)] == numpy.float64


WEAK = {  # NEP 50: what a Python number becomes beside a dtype
    True: {"bool": "bool", "int64": "int64", "float32": "float32", "float64": "float64"},
    3: {"bool": "int64", "int64": "int64", "float32": "float32", "float64": "float64"},
    2.5: {"bool": "float64", "int64": "float64", "float32": "float32", "float64": "float64"},
}


@pytest.mark.parametrize("value", WEAK)
def test_weak_scalars(value):
    for like, expected in WEAK[value].items():
        operand = _operands.as_operand(value, _dtypes.NAMES.index(like))
        assert _dtypes.NAMES[operand._number] == expected


def test_numpy_scalars_are_not_weak():
    operand = _operands.as_operand(numpy.float64(1), _dtypes.FLOAT32)
    assert operand._number == _dtypes.FLOAT64


# ---- exceptions ----


def errors_def():
    text = (kit.TOP / "include" / "tensord" / "errors.def").read_text()
    return re.findall(r'^TD_ERROR\(\w+, \d+, "(\w+)", (\w+), ', text, re.MULTILINE)


def test_one_class_per_cause():
    rows = errors_def()
    assert len(rows) > 30
    for code, name in rows:
        problem = _errors.error(code, "why", 3)
        assert type(problem) is getattr(tensord, name)
        assert isinstance(problem, tensord.TensordError)
        assert (problem.code, str(problem), problem.node) == (code, "why", 3)
        assert code in type(problem).__doc__
    classes = [x for x in vars(_errors).values() if isinstance(x, type)]
    assert {x.__name__ for x in classes} == {"TensordError"} | {name for _, name in rows}


@pytest.mark.parametrize(
    "code, also",
    [
        ("not_found", KeyError),
        ("memory_limit", MemoryError),
        ("shm_full", MemoryError),
        ("shape_mismatch", ValueError),
        ("unsupported_dtype", TypeError),
        ("bad_axis", IndexError),
        ("no_daemon", ConnectionError),
        ("connection_lost", ConnectionError),
        ("singular", numpy.linalg.LinAlgError),
        ("system", OSError),
    ],
)
def test_also_an_exception_of_python(code, also):
    assert isinstance(_errors.error(code, ""), also)


def test_exceptions_can_be_pickled():
    problem = pickle.loads(pickle.dumps(_errors.error("not_found", "no x", 2)))
    assert type(problem) is tensord.NotFound
    assert (problem.code, str(problem), problem.node) == ("not_found", "no x", 2)


# ---- values of programs: dtype and shape are known before anything runs ----


def test_values_know_what_they_will_be():
    p = tensord.Program()
    x = p.input(numpy.zeros((3, 4), "float32"))
    assert ((x @ x.T).shape, (x @ x.T).dtype) == ((3, 3), numpy.float32)
    assert (x > 1).dtype == bool
    assert (x + numpy.ones(4)).dtype == numpy.float64
    assert (x * 2.5).dtype == numpy.float32
    assert x.sum(axis=0).shape == (4,)
    assert x.sum(axis=(0, 1), keepdims=True).shape == (1, 1)
    assert x[1, ::-2].shape == (2,)
    assert x[:, None, 1:].shape == (3, 1, 3)
    assert x.reshape(2, -1).shape == (2, 6)
    parts = p.op("lstsq", x, numpy.zeros(3, "float32"))
    assert [part.shape for part in parts] == [(4,), (), (), (3,)]


@pytest.mark.parametrize(
    "write, cause, words",
    [
        (lambda p, x: x @ x, tensord.ShapeError, ["matmul", "(3, 4)"]),
        (lambda p, x: x + numpy.ones(3), tensord.ShapeError, ["add", "(3, 4)", "(3,)"]),
        (lambda p, x: x.sum(axis=2), tensord.AxisError, ["sum", "2"]),
        (lambda p, x: x.sum(axis=(0, 0)), tensord.AxisError, ["sum"]),
        (lambda p, x: x.transpose(0, 0), tensord.AxisError, ["permute_dims"]),
        (lambda p, x: x.reshape(5, 2), tensord.ShapeError, ["reshape"]),
        (lambda p, x: p.op("nonesuch", x), tensord.UnknownOp, ["nonesuch"]),
        (lambda p, x: p.op("user.nonesuch", x), tensord.UnknownOp, ["user.nonesuch"]),
        (lambda p, x: p.op("add", x), tensord.ArgumentError, ["add"]),
        (lambda p, x: p.op("zeros", shape=(-1,), dtype="float64"), tensord.ShapeError, ["zeros"]),
        (
            lambda p, x: p.op("zeros", shape=(2**40, 2**40), dtype="float64"),
            tensord.ShapeError,
            ["zeros"],
        ),
        (lambda p, x: p.op("sum", x, colour=1), tensord.ArgumentError, ["colour"]),
        (lambda p, x: p.op("solve", x, x), tensord.ShapeError, ["solve"]),
        (lambda p, x: -(x > 0), tensord.DtypeError, ["negative"]),
        (
            lambda p, x: p.loop(2, lambda i, u: u @ x.T, x),
            tensord.ShapeError,
            ["loop", "(3, 4)", "(3, 3)"],
        ),
        (lambda p, x: p.loop(2, lambda i, u: u > 0, x), tensord.ShapeError, ["loop", "bool"]),
        (
            lambda p, x: p.loop(2, lambda i, u: (u, u), x),
            tensord.ArgumentError,
            ["2 values", "1 are carried"],
        ),
        (lambda p, x: p.loop(-1, lambda i, u: u, x), tensord.ArgumentError, ["loop"]),
        (lambda p, x: p.loop(2, lambda i, u: u, x, every=1), tensord.ArgumentError, ["watch"]),
        (
            lambda p, x: p.loop(2, lambda i, u: p.watch(u) or u, x, at=[3]),
            tensord.ArgumentError,
            ["loop"],
        ),
        (
            lambda p, x: p.loop(2, lambda i, u: p.watch(u) or u, x, at=[2, 1]),
            tensord.ArgumentError,
            ["loop"],
        ),
        (
            lambda p, x: p.loop(2, lambda i, u: p.watch(u) or u, x, every=0),
            tensord.ArgumentError,
            ["every"],
        ),
        (
            lambda p, x: p.loop(2, lambda i, u: p.watch(u) or u, x, every=1, at=[1]),
            tensord.ArgumentError,
            ["both"],
        ),
        (lambda p, x: p.watch(x), tensord.ArgumentError, ["body"]),
    ],
)
def test_mistakes_are_raised_where_they_are_made(write, cause, words):
    p = tensord.Program()
    x = p.input(numpy.zeros((3, 4)))
    with pytest.raises(cause) as caught:
        write(p, x)
    for word in words:
        assert word in str(caught.value)


def test_values_stay_in_their_loop():
    p = tensord.Program()
    escaped = []
    p.loop(2, lambda i, u: escaped.append(u + 1) or u, 1.0)
    with pytest.raises(tensord.ArgumentError, match="outside"):
        escaped[0] + 1
    first = []

    def body(i, u):
        p.loop(2, lambda j, v: first.append(v + j) or v, u)
        return u + first[0]

    with pytest.raises(tensord.ArgumentError, match="outside"):
        p.loop(2, body, 1.0)


def test_values_are_not_arrays_yet():
    p = tensord.Program()
    x = p.input([1.0, 2.0])
    for use in (bool, numpy.asarray, float, lambda v: hash(v)):
        with pytest.raises(TypeError):
            use(x)
