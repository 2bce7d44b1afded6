# SPDX-License-Identifier: MIT
"""Files: .npy and .npz, JSON, CSV with missing values and in batches."""

import io
import json
import math
import os
import zipfile

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain

DTYPES = "bool int8 uint64 int64 float32 float64 complex64 complex128".split()


def array_of(dtype, shape=(3, 4)):
    values = numpy.random.default_rng(3).integers(0, 100, shape)
    return (values * 1.25).astype(dtype) if dtype not in ("bool",) else values > 50


def same(got, wanted):
    got = numpy.asarray(got)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    numpy.testing.assert_array_equal(got, wanted)


# ---- .npy and .npz ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x.T, lambda x: x[::-1, 1::2], lambda x: x[0, 0]]
)
def test_save_and_load(client, tmp_path, dtype, view):
    wanted = view(array_of(dtype))
    tensord.save(tmp_path / "x.npy", view(client.put(array_of(dtype))))
    same(numpy.load(tmp_path / "x.npy"), numpy.asarray(wanted))
    same(client.load(tmp_path / "x.npy"), numpy.asarray(wanted))
    assert os.listdir(tmp_path) == ["x.npy"]


def test_save_appends_npy_and_replaces(client, tmp_path):
    tensord.save(str(tmp_path / "x"), client.put([1.0]))
    tensord.save(tmp_path / "x.npy", [2.0, 3.0])
    assert client.load(tmp_path / "x.npy").tolist() == [2.0, 3.0]
    assert os.listdir(tmp_path) == ["x.npy"]


def test_save_to_a_file(client):
    file = io.BytesIO()
    tensord.save(file, client.put([1.0, 2.0]))
    file.seek(0)
    assert numpy.load(file).tolist() == [1.0, 2.0]


def test_save_leaves_what_was_there_where_it_fails(client, tmp_path):
    tensord.save(tmp_path / "x.npy", [1.0])
    with pytest.raises(tensord.DtypeError):
        tensord.save(tmp_path / "x.npy", ["text"])
    with pytest.raises(OSError):
        tensord.save(tmp_path / "nothing" / "x.npy", [1.0])
    assert client.load(tmp_path / "x.npy").tolist() == [1.0]
    assert os.listdir(tmp_path) == ["x.npy"]


def test_file_is_whole_or_not_there(monkeypatch, tmp_path):
    def broken(file, array, **options):
        file.write(b"half")
        raise OSError("no space left")

    tensord.save(tmp_path / "x.npy", [1.0])
    monkeypatch.setattr(numpy, "save", broken)
    with pytest.raises(OSError, match="no space"):
        tensord.save(tmp_path / "x.npy", [2.0])
    monkeypatch.undo()
    assert numpy.load(tmp_path / "x.npy").tolist() == [1.0]
    assert os.listdir(tmp_path) == ["x.npy"]


@pytest.mark.parametrize("compress", [False, True])
def test_savez_and_load(client, tmp_path, compress):
    arrays = {dtype: array_of(dtype) for dtype in DTYPES}
    tensord.savez(
        tmp_path / "all", client.put([7]), compress=compress,
        **{name: client.put(array) for name, array in arrays.items()},
    )
    loaded = client.load(tmp_path / "all.npz")
    assert list(loaded) == ["arr_0", *arrays]
    assert loaded["arr_0"].tolist() == [7]
    for name, array in arrays.items():
        assert isinstance(loaded[name], tensord.Array)
        same(loaded[name], array)
    with numpy.load(tmp_path / "all.npz") as file:
        same(file["complex64"], arrays["complex64"])
    is_smaller = [row.compress_type == zipfile.ZIP_DEFLATED
                  for row in zipfile.ZipFile(tmp_path / "all.npz").infolist()]
    assert set(is_smaller) == {compress}


def test_savez_names_that_are_keywords_of_numpys(client, tmp_path):
    names = ["allow_pickle", "args", "kwds", "to"]
    tensord.savez(tmp_path / "x", **{name: client.put([i]) for i, name in enumerate(names)})
    assert {name: x.tolist() for name, x in client.load(tmp_path / "x.npz").items()} == {
        name: [i] for i, name in enumerate(names)
    }


def test_savez_one_name_twice(client, tmp_path):
    with pytest.raises(tensord.ArgumentError, match="arr_0"):
        tensord.savez(tmp_path / "x", [1], arr_0=[2])


def test_load_npz_of_nothing(client, tmp_path):
    numpy.savez(tmp_path / "x.npz")
    assert client.load(tmp_path / "x.npz") == {}


def test_load_npz_refused(client, tmp_path):
    numpy.savez(tmp_path / "x.npz", a=numpy.ones(3), b=numpy.array([{}], object))
    with pytest.raises(tensord.ArgumentError, match="'name'"):
        client.load(tmp_path / "x.npz", "name")
    with pytest.raises(tensord.FileError, match="'b'"):
        client.load(tmp_path / "x.npz")
    numpy.savez_compressed(tmp_path / "y.npz", a=numpy.arange(10000.0))
    whole = (tmp_path / "y.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:-30])
    damaged = bytearray(whole)
    damaged[2000:2020] = bytes(20)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    for name in ("cut.npz", "damaged.npz"):
        with pytest.raises(tensord.FileError, match=name):
            client.load(tmp_path / name)


# ---- JSON ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_json_both_ways(client, dtype, shape):
    array = array_of(dtype, shape)
    x = client.put(array)
    text = tensord.to_json(x)
    record = json.loads(text)
    assert (record["shape"], record["dtype"]) == (list(shape), dtype)
    same(tensord.from_json(text, client=client), numpy.asarray(array))
    if 0 not in shape[:-1]:
        nested = tensord.to_json(x, nested=True)
        same(tensord.from_json(nested, dtype=dtype, client=client), numpy.asarray(array))


def test_json_of_a_view_is_in_order(client):
    x = client.put([[1, 2], [3, 4]])
    assert json.loads(tensord.to_json(x.T))["data"] == [1, 3, 2, 4]
    assert json.loads(tensord.to_json(x.T, nested=True)) == [[1, 3], [2, 4]]


def test_json_not_finite(client):
    x = client.put([math.nan, math.inf, -math.inf, -0.0])
    text = tensord.to_json(x)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    got = tensord.from_json(text, client=client).tolist()
    assert math.isnan(got[0]) and got[1:3] == [math.inf, -math.inf]
    assert math.copysign(1, got[3]) == -1
    got = tensord.from_json("[null, NaN, Infinity]", client=client).tolist()
    assert math.isnan(got[0]) and math.isnan(got[1]) and got[2] == math.inf


def test_json_dtypes(client):
    def dtype(text, **given):
        return tensord.from_json(text, client=client, **given).dtype

    assert dtype("[1, 2]") == "int64" and dtype("[1, 2.5]") == "float64"
    assert dtype("[true]") == "bool" and dtype("[]") == "float64" and dtype("3") == "int64"
    assert dtype("[18446744073709551615]") == "uint64"
    assert dtype("[1, 2]", dtype="float32") == "float32"
    assert dtype('{"shape": [1], "data": [1], "dtype": "int8"}') == "int8"
    big = tensord.from_json("[9007199254740993]", client=client)
    assert big.tolist() == [9007199254740993]


def test_json_of_a_file(client, tmp_path):
    (tmp_path / "x.json").write_text('{"shape": [2], "data": [1, 2], "unit": "m"}')
    with open(tmp_path / "x.json") as file:
        assert tensord.from_json(file, client=client).tolist() == [1, 2]
    assert tensord.from_json((tmp_path / "x.json").read_bytes(), client=client).tolist() == [1, 2]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "no JSON"),
        ("[1, 2", "no JSON.*column"),
        ("[[1, 2], [3]]", r"\[1\] is a list of 1.*lists of 2"),
        ("[[1, 2], 3]", r"\[1\] is 3"),
        ("[1, [2]]", r"\[1\] is no number"),
        ('[1, "two"]', r'\[1\] is no number: "two"'),
        ('[[1, 2], [3, {"a": 1}]]', r"\[1, 1\] is no number"),
        ('{"data": [1]}', "no 'shape'"),
        ('{"shape": [2]}', "no 'data'"),
        ('{"shape": [2, 2], "data": [1, 2, 3]}', r"\[2, 2\] has 4 elements, data 3"),
        ('{"shape": [-1], "data": []}', r"\[-1\] is no shape"),
        ('{"shape": [1.5], "data": [1]}', "no shape"),
        ('{"shape": 2, "data": [1, 2]}', "2 is no shape"),
        ('{"shape": [1], "data": 5}', "data 5"),
        ('{"shape": [1], "data": [300], "dtype": "uint8"}', "300.*uint8"),
        ('{"shape": [1], "data": [1.5], "dtype": "int64"}', "1.5.*int64"),
        ('{"shape": [1], "data": [null], "dtype": "int64"}', "nan.*int64"),
        ('"text"', "no number"),
        ("[" * 20 + "1" + "]" * 20, "deep"),
        ("[" * 100000, "no JSON"),
    ],
)
def test_json_refused(client, text, words):
    with pytest.raises(tensord.FileError, match=words):
        tensord.from_json(text, client=client)


def test_json_dtype_refused(client):
    with pytest.raises(tensord.DtypeError, match="float16"):
        tensord.from_json('{"shape": [1], "data": [1], "dtype": "float16"}', client=client)


# ---- CSV ----


TABLE = "hour,level,note\n0,1.5,a\n1,,b\n2,NA,c\n3,4.0,d\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def lists(table):
    return {name: column.tolist() for name, column in table.items()}


def test_missing_is_refused(table):
    with pytest.raises(tensord.FileError, match="table.csv: row 3, column 'level': ''.*missing="):
        tensord.read_csv(table, ["hour", "level"])
    assert lists(tensord.read_csv(table, ["hour"])) == {"hour": [0, 1, 2, 3]}


def test_missing_is_nan(table):
    level = tensord.read_csv(table, ["level"], missing="nan")["level"]
    numpy.testing.assert_array_equal(level, [1.5, math.nan, math.nan, 4.0])


def test_missing_is_a_number(table):
    got = tensord.read_csv(table, ["level"], missing=-1)
    assert lists(got) == {"level": [1.5, -1, -1, 4.0]}


def test_missing_is_skipped(table):
    got = tensord.read_csv(table, ["level", "hour"], missing="skip")
    assert lists(got) == {"level": [1.5, 4.0], "hour": [0, 3]}


@pytest.mark.parametrize("missing", ["nan", "skip", 0.0])
@pytest.mark.parametrize("field", ["x", "1_000", "0x1", "1,5"])
def test_what_is_no_number_is_refused_all_the_same(tmp_path, missing, field):
    path = tmp_path / "table.csv"
    path.write_text(f'a,b\n1,2\n3,"{field}"\n')
    with pytest.raises(tensord.FileError, match=f"row 3, column 'b': '{field}' is no number"):
        tensord.read_csv(path, missing=missing)


@pytest.mark.parametrize("given", [{"missing": "drop"}, {"delimiter": ""}, {"delimiter": 3}])
def test_csv_arguments(table, given):
    with pytest.raises(tensord.ArgumentError):
        tensord.read_csv(table, **given)


def test_delimiter(tmp_path):
    (tmp_path / "x.csv").write_text("a;b\n1; 2.5\n")
    assert lists(tensord.read_csv(tmp_path / "x.csv", delimiter=";")) == {"a": [1], "b": [2.5]}


def test_batches(table):
    batches = [lists(batch) for batch in tensord.csv_batches(table, ["hour"], n_rows=3)]
    assert batches == [{"hour": [0, 1, 2]}, {"hour": [3]}]
    batches = list(tensord.csv_batches(table, ["level"], n_rows=2, missing="skip"))
    assert [lists(batch) for batch in batches] == [{"level": [1.5, 4.0]}]


def test_batches_of_nothing(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n")
    assert list(tensord.csv_batches(tmp_path / "x.csv")) == []
    with pytest.raises(tensord.ArgumentError, match="not 0"):
        tensord.csv_batches(tmp_path / "x.csv", n_rows=0)


def test_batches_name_the_row_of_the_file(tmp_path):
    (tmp_path / "x.csv").write_text("a\n" + "1\n" * 10 + "one\n")
    batches = tensord.csv_batches(tmp_path / "x.csv", n_rows=4)
    assert len(next(batches)["a"]) == len(next(batches)["a"]) == 4
    with pytest.raises(tensord.FileError, match="row 12, column 'a': 'one'"):
        next(batches)


LARGE = """
import resource, sys, tensord
tensord.csv_batches  # imported before memory is measured
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows, total = 0, 0.0
for batch in tensord.csv_batches(sys.argv[1], n_rows=1000):
    rows += len(batch["b"])
    total += batch["b"].sum()
print(rows, total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_batches_of_a_file_larger_than_what_they_need(daemon, tmp_path):
    path = tmp_path / "large.csv"
    n = 200_000
    with open(path, "w") as file:
        file.write("a,b,c\n")
        file.writelines(f"{i},{i % 7},1234567890.123456789012345\n" for i in range(n))
    assert path.stat().st_size > 7_000_000
    rows, total, more_kib = daemon.python(LARGE, path).split()
    assert int(rows) == n and float(total) == sum(i % 7 for i in range(n))
    assert int(more_kib) < 3000
