# SPDX-License-Identifier: MIT
"""Arrays in and out: put, get, open, create, names, files."""

import gc
import inspect
import sys
import warnings

import numpy
import pytest

import tensord

DTYPES = ["bool", "int64", "float32", "float64"]
SHAPES = [(), (1,), (7,), (0,), (3, 0, 2), (2, 3), (300, 70), (4, 1, 5), (2,) * 16]


def values(shape, dtype, seed=7):
    random = numpy.random.default_rng(seed)
    if dtype == "bool":
        return random.random(shape) > 0.5
    return (random.standard_normal(shape) * 1000).astype(dtype)


def same(got, expected):
    assert isinstance(got, numpy.ndarray)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert numpy.ascontiguousarray(got).tobytes() == numpy.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_put_and_get(client, dtype, shape):
    array = values(shape, dtype)
    tensor = client.put(array, "x")
    assert (tensor.shape, tensor.dtype, tensor.name) == (shape, numpy.dtype(dtype), "x")
    assert (tensor.ndim, tensor.size, tensor.nbytes) == (array.ndim, array.size, array.nbytes)
    got = client.get("x")
    same(got, array)
    same(numpy.asarray(tensor), array)
    same(numpy.asarray(client.open("x")), array)
    assert not got.flags.writeable
    with pytest.raises(ValueError):
        got.flags.writeable = True
    with pytest.raises(ValueError):
        got[...] = 0


LAYOUTS = {
    "fortran": lambda a: numpy.asfortranarray(a),
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1],
    "reversed both": lambda a: a[::-1, ::-1],
    "every second": lambda a: a[::2, 1::3],
    "a column": lambda a: a[:, 3],
    "broadcast": lambda a: numpy.broadcast_to(a[0], (5, *a[0].shape)),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": lambda a: numpy.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "read-only": lambda a: numpy.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "list": lambda a: a.tolist(),
    "matrix": lambda a: a.view(numpy.matrix),
}


@pytest.mark.parametrize("size", [(6, 10), (600, 100)], ids=["small", "large"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_put_any_layout(client, dtype, layout, size):
    array = LAYOUTS[layout](values(size, dtype))
    client.put(array, "x")
    same(client.get("x"), numpy.array(array, dtype=dtype, subok=False, order="C"))


def test_order_is_kept(client):
    array = values((300, 40), "float64")
    client.put(numpy.asfortranarray(array), "f")
    client.put(array, "c")
    client.put(array[::2, ::2], "s")
    assert client.get("f").flags.f_contiguous and not client.get("f").flags.c_contiguous
    assert client.get("c").flags.c_contiguous
    assert client.get("s").flags.c_contiguous
    assert client.open("f").strides == (8, 2400)
    same(client.get("f"), array)


def test_bool_bytes_are_normal(client):
    odd = numpy.array([0, 1, 2, 255], "uint8").view("bool")
    tensor = client.put(odd)
    assert int(tensor.sum()) == 3


@pytest.mark.parametrize("n", [3, 100_000])
def test_gets_share_memory(client, n):
    client.put(numpy.arange(float(n)), "x")
    a, b = client.get("x"), client.get("x")
    assert numpy.shares_memory(a, b)
    assert numpy.shares_memory(a, numpy.asarray(client.open("x")))
    assert a.ctypes.data == b.ctypes.data


@pytest.mark.parametrize("n", [3, 100_000])
def test_copy_on_write(client, n):
    client.put(numpy.zeros(n), "x")
    shared, private, other = (
        client.get("x"),
        client.get("x", mode="cow"),
        client.get("x", mode="cow"),
    )
    assert private.flags.writeable
    private[1] = 5
    assert (shared[1], other[1], client.get("x")[1], private[1]) == (0, 0, 0, 5)
    assert float(client.open("x").sum()) == 0


def test_get_mode_refused(client):
    client.put([1.0], "x")
    with pytest.raises(tensord.ArgumentError, match="'r' or 'cow'"):
        client.get("x", mode="w")


def test_array_protocol(client):
    tensor = client.put(numpy.arange(6.0).reshape(2, 3))
    assert numpy.array(tensor).flags.writeable
    assert numpy.asarray(tensor, dtype="float32").dtype == numpy.float32
    assert tensor.__array__(copy=True).flags.writeable
    assert tensor.__array__(numpy.dtype("float64"), copy=False).shape == (2, 3)
    with pytest.raises(ValueError, match="copy"):
        tensor.__array__("float32", copy=False)
    assert numpy.sqrt(tensor).tolist() == numpy.sqrt(numpy.arange(6.0).reshape(2, 3)).tolist()
    assert numpy.concatenate([tensor, tensor]).shape == (4, 3)


def test_arrays_outlive_everything(daemon):
    client = daemon.connect()
    array = values((500, 300), "float64")
    client.put(array, "x")
    first, second = client.get("x"), numpy.asarray(client.put(array * 2))
    client.delete("x")
    same(first, array)
    client.put(numpy.zeros_like(array), "x")
    same(first, array)
    client.close()
    del client
    gc.collect()
    same(first, array)
    same(second, array * 2)
    daemon.delete_all()


@pytest.mark.parametrize(
    "array, words",
    [
        (numpy.ones(3, "float16"), ["float16", 'astype("float32")']),
        (numpy.ones(3, numpy.longdouble), ['astype("float64")']),
        (numpy.array([object()]), ["object"]),
        (numpy.array(["a"]), ["<U1"]),
        (numpy.array(["2020-01-01"], "datetime64[D]"), ["datetime64"]),
        (numpy.zeros(2, [("a", "f8")]), ["'a'"]),
    ],
)
def test_put_refuses_dtypes(client, array, words):
    with pytest.raises(tensord.DtypeError) as caught:
        client.put(array, "x")
    for word in ["bool, int64, float32, float64, int8", *words]:
        assert word in str(caught.value)
    assert client.list() == []


def test_put_refuses_masks_and_ranks(client):
    with pytest.raises(tensord.ArgumentError, match="filled"):
        client.put(numpy.ma.masked_array([1.0, 2.0], [True, False]))
    with pytest.raises(tensord.ShapeError, match="16"):
        client.put(numpy.zeros((1,) * 17))


# ---- names ----


@pytest.mark.parametrize("name", ["x", "a b/c.d", "größe", "名前", "🦊", "x" * 255, "é" * 127])
def test_names(client, name):
    client.put(numpy.arange(3.0), name)
    assert [row.name for row in client.list()] == [name]
    assert client.open(name).name == name
    assert client.get(name).tolist() == [0, 1, 2]
    client.delete(name)
    with pytest.raises(tensord.NotFound) as caught:
        client.open(name)
    assert name[:20] in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "x" * 256, "é" * 128, "a\nb", "a\x00b", "\x7f", "\ud800"], ids=ascii
)
def test_names_refused(client, name):
    with pytest.raises(tensord.ArgumentError) as caught:
        client.put(numpy.arange(3.0), name)
    assert caught.value.code == "bad_name"
    with pytest.raises((tensord.ArgumentError, tensord.NotFound)):
        client.open(name)
    assert client.list() == []


def test_name_is_text(client):
    for call in (client.open, client.delete, client.get, lambda name: client.put([1.0], name)):
        with pytest.raises(TypeError):
            call(5)


def test_list(client):
    for name, shape in (("b/2", (2, 3)), ("a", ()), ("b/1", (4,)), ("ä", (0,))):
        client.put(numpy.zeros(shape), name)
    client.put(numpy.zeros(3))  # unnamed
    rows = client.list()
    assert [row.name for row in rows] == ["a", "b/1", "b/2", "ä"]
    assert [row.name for row in client.list("b/")] == ["b/1", "b/2"]
    assert client.list("c") == []
    row = rows[2]
    assert (row.shape, row.dtype, row.nbytes) == ((2, 3), numpy.dtype("float64"), 48)
    assert row.id == client.open("b/2").id and len(row.id) == 16


def test_list_of_many_pages(client):
    n = 2500
    for i in range(n):
        client.put(numpy.zeros(1), f"many/{i:05}")
    assert [row.name for row in client.list("many/")] == [f"many/{i:05}" for i in range(n)]


@pytest.mark.parametrize("n", [3, 100_000])
def test_name_taken_and_replace(client, n):
    first = numpy.arange(float(n))
    client.put(first, "x")
    old = client.get("x")
    with pytest.raises(tensord.NameTaken, match="x"):
        client.put(first + 1, "x")
    with pytest.raises(tensord.NameTaken, match="x"):
        client.create((n,), "float64", "x")
    same(client.get("x"), first)
    client.put(first + 1, "x", replace=True)
    same(client.get("x"), first + 1)
    same(old, first)


@pytest.mark.parametrize("n", [3, 100_000])
def test_put_of_a_tensor(client, n):
    array = numpy.arange(float(n))
    unnamed = client.put(array) * 2
    named = client.put(unnamed, "y")
    assert named.name == "y"
    assert named.id == unnamed.id  # no copy was made
    same(client.get("y"), array * 2)
    copy = client.put(named, "z")
    assert copy.id != named.id
    view = client.put(unnamed[::-1], "reversed")
    same(numpy.asarray(view), (array * 2)[::-1])


def test_open_id(client, daemon):
    tensor = client.put(numpy.arange(5.0))
    with daemon.connect() as other:
        again = other.open_id(tensor.id)
        assert numpy.asarray(again).tolist() == [0, 1, 2, 3, 4]
        again += 1  # a value of its own, as what numpy unpickles
        assert again.tolist() == [1, 2, 3, 4, 5] and tensor.tolist() == [0, 1, 2, 3, 4]
        client.put([1.0], "named", replace=True)
        with pytest.raises(tensord.Sealed):
            other.open_id(client.open("named").id)[0] = 2
        with pytest.raises(tensord.NotFound):
            other.open_id(bytes(16))
        with pytest.raises(tensord.ArgumentError, match="16 bytes"):
            other.open_id(b"short")


def test_other_clients_tensors(client, daemon):
    tensor = client.put(numpy.arange(5.0))
    with daemon.connect() as other:
        with pytest.raises(tensord.ArgumentError, match="two clients"):
            other.put([1.0]) + tensor


# ---- create and seal ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (200, 300)], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_create(client, shape, dtype, order):
    expected = values(shape, dtype)
    with client.create(shape, dtype, "x", order) as tensor:
        assert tensor.array.flags.writeable
        assert tensor.array.shape == shape and tensor.array.dtype == dtype
        assert tensor.array.flags[f"{order}_CONTIGUOUS"]
        assert tensor.array is numpy.asarray(tensor)
        tensor.array[...] = expected
        with pytest.raises(tensord.NotFound):
            client.open("x")
        assert client.list() == []
        assert not tensor.is_sealed
    assert tensor.is_sealed
    same(client.get("x"), expected)
    same(numpy.asarray(tensor), expected)
    assert not tensor.array.flags.writeable
    tensor.seal()  # a second time: nothing


def test_create_shape_is_a_number(client):
    with client.create(4, "int64") as tensor:
        tensor.array[:] = 1
    assert int(tensor.sum()) == 4


def test_arrays_turn_read_only(client):
    with client.create((100, 100), "float64", "x") as tensor:
        mine = tensor.array
        mine[:] = 1
    assert not mine.flags.writeable
    with pytest.raises(ValueError):
        mine[0, 0] = 2
    with pytest.raises(ValueError):
        mine.flags.writeable = True
    with pytest.raises(ValueError):
        mine[1:].flags.writeable = True
    assert client.get("x")[0, 0] == 1


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[1:],
        lambda a: a.T,
        lambda a: a.reshape(-1),
        lambda a: a[5][3:],
        numpy.ravel,
        lambda a: a.view("int64"),
    ],
)
def test_seal_waits_for_views(client, view):
    tensor = client.create((100, 100), "float64", "x")
    part = view(tensor.array)
    with pytest.raises(tensord.NotSealed, match="1 views"):
        tensor.seal()
    part[...] = 0  # still right to do
    assert tensor.array.flags.writeable
    with pytest.raises(tensord.NotFound):
        client.open("x")
    del part
    tensor.seal()
    assert client.get("x").shape == (100, 100)


def test_dropped_by_an_exception(client):
    with pytest.raises(ZeroDivisionError):
        with client.create((1000,), "float64", "x") as tensor:
            tensor.array[:] = 1 / 0
    with pytest.raises(tensord.NotFound):
        client.open("x")
    with pytest.raises(tensord.NotSealed):
        tensor + 1
    client.put([1.0], "x")  # the name is free
    assert not tensor.is_sealed and "float64" in repr(tensor)


def test_dropped_unsealed_warns(client):
    tensor = client.create((10,), "float64", "x")
    with pytest.warns(ResourceWarning, match="before it was sealed"):
        del tensor
    client.put([1.0], "x")


def test_unsealed_is_no_operand(client):
    tensor = client.create((3,), "float64")
    with pytest.raises(tensord.NotSealed):
        tensor + 1
    tensor.array[:] = 1
    tensor.seal()
    assert (tensor + 1).tolist() == [2, 2, 2]


def test_name_is_reserved_until_sealed(client, daemon):
    tensor = client.create((3,), "float64", "x")
    with daemon.connect() as other:
        with pytest.raises(tensord.NameTaken):
            other.put([1.0], "x")
        tensor.array[:] = 3
        tensor.seal()
        assert other.get("x").tolist() == [3, 3, 3]


def test_create_refused(client):
    with pytest.raises(tensord.DtypeError):
        client.create((3,), "float16")
    with pytest.raises(tensord.ShapeError):
        client.create((-3,), "int64")
    with pytest.raises(tensord.ShapeError):
        client.create((2**40, 2**40), "int64")
    with pytest.raises(tensord.ShapeError):
        client.create((2**70,), "int64")
    with pytest.raises(tensord.ShapeError):
        client.create((1,) * 17, "int64")
    with pytest.raises(tensord.ArgumentError, match="'C' or 'F'"):
        client.create((3,), "int64", order="K")
    with pytest.raises(TypeError):
        client.create((1.5,), "int64")


# ---- files ----


@pytest.mark.parametrize("order", "CF")
def test_load(client, tmp_path, order):
    array = numpy.array(values((50, 30), "float32"), order=order)
    numpy.save(tmp_path / "a.npy", array)
    tensor = client.load(tmp_path / "a.npy", "x")
    assert tensor.name == "x"
    same(client.get("x"), array)
    assert client.get("x").flags[f"{order}_CONTIGUOUS"]


def test_load_refused(client, tmp_path):
    numpy.save(tmp_path / "objects.npy", numpy.array([{}, []], dtype=object), allow_pickle=True)
    numpy.save(tmp_path / "half.npy", numpy.ones(3, "float16"))
    numpy.save(tmp_path / "whole.npy", numpy.arange(1000.0))
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-8])
    (tmp_path / "head.npy").write_bytes(whole[:20])
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("objects.npy", "cut.npy", "head.npy", "text.npy", "empty.npy"):
        with pytest.raises(tensord.FileError) as caught:
            client.load(tmp_path / name, "x")
        assert name in str(caught.value)
    with pytest.raises(tensord.DtypeError, match="f2|float16"):
        client.load(tmp_path / "half.npy", "x")
    with pytest.raises(FileNotFoundError):
        client.load(tmp_path / "none.npy", "x")
    assert client.list() == []


# ---- the rest of a client ----


def test_stat_and_ops(client):
    client.put(numpy.zeros((100, 100)), "x")
    figures = client.stat()
    assert figures["names"] == 1
    assert figures["memory"]["used"] >= 80000
    assert figures["memory"]["limit"] > figures["memory"]["used"]
    one = client.stat("x")
    tensor = one["tensor"]
    assert one["segment_bytes"] >= 80000 and one["references"] >= 1
    assert (tensor["dtype"], tensor["shape"], tensor["nbytes"], tensor["state"]) == (
        "float64",
        [100, 100],
        80000,
        "sealed",
    )
    with pytest.raises(tensord.NotFound):
        client.stat("y")
    ops = {row["name"]: row for row in client.ops()}
    assert {"add", "matmul", "lstsq", "loop"} <= set(ops)
    assert (ops["add"]["min_args"], ops["lstsq"]["results"]) == (2, 4)


def test_closed(daemon):
    client = daemon.connect()
    tensor = client.put([1.0, 2.0])
    assert client.address == daemon.socket and daemon.socket in repr(client)
    client.close()
    client.close()
    assert client.is_closed and client.address is None and "closed" in repr(client)
    for use in (
        client.ping,
        client.list,
        client.stat,
        lambda: client.put([1.0]),
        lambda: client.open("x"),
        lambda: client.delete("x"),
        lambda: client.create((2,)),
        lambda: float((tensor + 1)[0]),
        lambda: numpy.asarray(tensor),
    ):
        with pytest.raises(tensord.Closed):
            use()
    assert "float64" in repr(tensor)


def test_unclosed_warns(daemon):
    client = daemon.connect()
    with pytest.warns(ResourceWarning, match="unclosed"):
        del client
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with daemon.connect() as client:
            client.ping()
        del client


def test_no_daemon(tmp_path):
    with pytest.raises(tensord.NoDaemon) as caught:
        tensord.connect(tmp_path / "socket")
    assert str(tmp_path) in str(caught.value)
    assert isinstance(caught.value, ConnectionError)


def test_tensors_hold_no_cycles(client):
    tensor = client.put(numpy.arange(10.0))
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(client)
        for _ in range(50):
            numpy.asarray((tensor * 2 + 1)[::2].sum())
        assert sys.getrefcount(client) == before
    finally:
        gc.enable()


def test_a_client_is_made_by_its_class_or_by_connect(daemon, tmp_path):
    makers = tensord.Client, tensord.connect
    for make in makers:
        with make(daemon.socket, client_name="one of two", memory_timeout=0.5) as client:
            assert client.put(numpy.arange(3)).tolist() == [0, 1, 2]
        with pytest.raises(tensord.NoDaemon):
            make(tmp_path / "nothing", start=False)
    assert len({str(inspect.signature(make)) for make in makers}) == 1


def test_lists_of_integers_fit_what_they_are_assigned_to(client):
    x = client.put(numpy.array([1, 2, 3], "uint8"))
    for values in ([300, 3], [3, -1]):
        with pytest.raises(OverflowError, match="does not fit uint8"):
            x[0:2] = values
        with pytest.raises(OverflowError, match="does not fit uint8"):
            tensord.assign(x, [0, 1], values)
    assert x.tolist() == [1, 2, 3]
    x[0:2] = list(numpy.array([300, 3]))  # numpy's integers wrap
    assert x.tolist() == [44, 3, 3]
