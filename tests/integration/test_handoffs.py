# SPDX-License-Identifier: MIT
"""Arrays handed to other libraries and taken from them, each with the library itself.

A test whose library is not installed is skipped. Where memory is shared, `numpy.shares_memory` says
so.
"""

import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain

RANDOM = numpy.random.default_rng(11)


@pytest.fixture
def x(client):
    return client.put(RANDOM.random((500, 4)))


@pytest.fixture
def y(client):
    return client.put(RANDOM.random(500))


def shares(array, x):
    return numpy.shares_memory(array, numpy.asarray(x))


# ---- pandas ----


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas")


def test_frame_over_an_array(pandas, x):
    for frame in (pandas.DataFrame(numpy.asarray(x), copy=False), pandas.DataFrame(x, copy=False)):
        assert shares(frame.to_numpy(), x)
        assert frame.sum().sum() == pytest.approx(float(x.sum()))
    with pytest.raises(ValueError):
        frame.to_numpy()[0, 0] = 1.0


def test_frame_of_arrays(pandas, client, y):
    counts = client.put(numpy.arange(500))
    frame = pandas.DataFrame({"y": numpy.asarray(y), "n": numpy.asarray(counts)}, copy=False)
    assert shares(frame["y"].to_numpy(), y) and shares(frame["n"].to_numpy(), counts)
    assert frame["n"].dtype == "int64"
    assert frame.groupby(frame["n"] % 3)["y"].mean().shape == (3,)


def test_series_and_arrays_compute(pandas, y):
    series = pandas.Series(numpy.asarray(y))
    for got in (series + y, y + series):
        assert isinstance(got, pandas.Series)
        numpy.testing.assert_allclose(got.to_numpy(), 2 * numpy.asarray(y))


def test_from_a_frame(pandas, client):
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [1.5, numpy.nan, 2.5], "c": [True, False, True]})
    arrays = tensord.from_frame(frame, client=client)
    assert list(arrays) == ["a", "b", "c"]
    assert [str(array.dtype) for array in arrays.values()] == ["int64", "float64", "bool"]
    numpy.testing.assert_array_equal(arrays["b"], frame["b"].to_numpy())
    arrays = tensord.from_frame(frame, ["c", "a"], client=client)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "c": [True, False, True],
        "a": [1, 2, 3],
    }
    assert tensord.asarray(frame[["a", "b"]], client=client).shape == (3, 2)


def test_from_a_frame_with_missing(pandas, client):
    frame = pandas.DataFrame({
        "n": pandas.array([1, None, 3], "Int64"),
        "v": pandas.array([1.5, None, 2.5], "Float64"),
        "w": pandas.array([1, 2, 3], "Int32"),
    })
    with pytest.raises(tensord.ArgumentError, match="column 'n' has 1 missing"):
        tensord.from_frame(frame, client=client)
    with pytest.raises(tensord.ArgumentError, match="'n': int64 has no NaN"):
        tensord.from_frame(frame, missing="nan", client=client)
    arrays = tensord.from_frame(frame, missing=-1, client=client)
    assert arrays["n"].tolist() == [1, -1, 3] and arrays["n"].dtype == "int64"
    assert arrays["v"].tolist() == [1.5, -1.0, 2.5]
    (v,) = tensord.from_frame(frame, ["v"], missing="nan", client=client).values()
    numpy.testing.assert_array_equal(v, [1.5, numpy.nan, 2.5])
    (w,) = tensord.from_frame(frame, ["w"], client=client).values()
    assert w.dtype == "int32"


def test_frame_refused(pandas, client):
    frame = pandas.DataFrame({"a": [1], "t": ["text"], "d": pandas.to_datetime(["2024-01-01"])})
    for name in "td":
        with pytest.raises(tensord.DtypeError, match=f"column '{name}'"):
            tensord.from_frame(frame, [name], client=client)
    with pytest.raises(tensord.ArgumentError, match="no column 'z'"):
        tensord.from_frame(frame, ["z"], client=client)
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(tensord.ArgumentError, match="'a' stands twice"):
        tensord.from_frame(twice, client=client)
    for missing in ("skip", "drop"):
        with pytest.raises(tensord.ArgumentError, match="missing"):
            tensord.from_frame(frame, ["a"], missing=missing, client=client)


# ---- PyTorch ----


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32", "float64",
                                   "complex64"])
def test_torch_shares_memory(torch, client, dtype):
    x = client.put(numpy.arange(3000).reshape(30, 100).astype(dtype))
    for view in (x, x.T, x[3:, ::2]):
        tensor = torch.from_dlpack(view)
        assert str(tensor.dtype) == f"torch.{dtype}"
        assert tensor.data_ptr() == numpy.asarray(view).ctypes.data
        assert shares(tensor.numpy(), x)
        numpy.testing.assert_array_equal(tensor.numpy(), numpy.asarray(view))


def test_torch_keeps_the_memory(torch, client):
    x = client.put(numpy.arange(100000.0))
    tensor = torch.from_dlpack(x)
    x[:] = 0.0
    del x
    client.put(numpy.full(100000, 5.0))
    assert float(tensor.sum()) == 100000 * 99999 / 2
    assert float((tensor.clone() + 1)[0]) == 1.0


def test_torch_sees_a_mutable_array_change(torch, client):
    x = client.put(numpy.zeros(2000), mutable=True)
    tensor = torch.from_dlpack(x)
    x[7] = 3.0
    assert float(tensor[7]) == 3.0


@pytest.mark.parametrize("take", ["asarray", "from_dlpack"])
def test_from_torch(torch, client, take):
    take = getattr(tensord, take)
    for tensor in (torch.arange(5), torch.ones(2, 3).T, torch.zeros(0), torch.tensor(1.5),
                   torch.rand(4, 4)[::2, 1:]):
        array = take(tensor, client=client)
        assert str(tensor.dtype) == f"torch.{array.dtype}"
        numpy.testing.assert_array_equal(array, tensor.numpy())


def test_torch_of_another_dtype(torch, client):
    with pytest.raises(tensord.DtypeError, match="bfloat"):
        tensord.from_dlpack(torch.ones(2, dtype=torch.bfloat16), client=client)


# ---- Arrow ----


@pytest.fixture
def arrow():
    return pytest.importorskip("pyarrow")


TYPES = "int8 uint16 int32 int64 uint64 float32 float64 bool".split()


@pytest.mark.parametrize("dtype", TYPES)
def test_from_an_arrow_array(arrow, client, dtype):
    array = arrow.array(numpy.arange(10).astype(dtype))
    for one in (array, array[3:7], arrow.chunked_array([array, array[:0], array[5:]]),
                arrow.chunked_array([], array.type)):
        got = tensord.from_arrow(one, client=client)
        assert got.dtype == dtype
        assert got.tolist() == one.to_pylist()


def test_from_an_arrow_tensor(arrow, client):
    values = numpy.arange(12.0).reshape(3, 4)
    for array in (values, values.T):
        tensor = arrow.Tensor.from_numpy(array)
        assert tensord.from_arrow(tensor, client=client).tolist() == array.tolist()
        if hasattr(tensor, "__dlpack__"):
            assert tensord.from_dlpack(tensor, client=client).tolist() == array.tolist()


def test_arrow_takes_the_memory(arrow, client):
    x = client.put(numpy.arange(1000.0))
    array = arrow.array(numpy.asarray(x))
    assert numpy.shares_memory(array.to_numpy(), numpy.asarray(x))
    tensor = arrow.Tensor.from_numpy(numpy.asarray(x))
    assert numpy.shares_memory(tensor.to_numpy(), numpy.asarray(x))


@pytest.fixture
def table(arrow):
    return arrow.table({
        "n": arrow.array([1, None, 3]),
        "v": arrow.array([1.5, None, 2.5]),
        "w": arrow.array([True, False, True]),
    })


def test_arrow_nulls(arrow, client, table):
    with pytest.raises(tensord.ArgumentError, match="column 'n' has 1 missing.*missing="):
        tensord.from_arrow(table, client=client)
    with pytest.raises(tensord.ArgumentError, match="int64 has no NaN"):
        tensord.from_arrow(table, missing="nan", client=client)
    got = tensord.from_arrow(table, missing=0, client=client)
    assert {name: array.tolist() for name, array in got.items()} == {
        "n": [1, 0, 3],
        "v": [1.5, 0.0, 2.5],
        "w": [True, False, True],
    }
    assert got["n"].dtype == "int64"
    v = tensord.from_arrow(table.select(["v"]), missing="nan", client=client)["v"]
    numpy.testing.assert_array_equal(v, [1.5, numpy.nan, 2.5])


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_ipc(arrow, client, table, tmp_path, kind):
    make = arrow.ipc.new_file if kind == "file" else arrow.ipc.new_stream
    with make(str(tmp_path / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table)
    with arrow.memory_map(str(tmp_path / "t.arrow")) as file:
        read = arrow.ipc.open_file if kind == "file" else arrow.ipc.open_stream
        got = tensord.from_arrow(read(file).read_all(), missing=7, client=client)
    assert got["n"].tolist() == [1, 7, 3, 1, 7, 3]
    (batch, *_) = table.to_batches()
    assert tensord.from_arrow(batch, missing=7, client=client)["w"].tolist() == [True, False, True]


def test_parquet_columns(arrow, client, table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    read = parquet.read_table(tmp_path / "t.parquet", columns=["w", "v"])
    got = tensord.from_arrow(read, missing="nan", client=client)
    assert list(got) == ["w", "v"]
    numpy.testing.assert_array_equal(got["v"], [1.5, numpy.nan, 2.5])


def test_arrow_refused(arrow, client):
    for array in (arrow.array(["text"]), arrow.array([b"bytes"]), arrow.array([[1, 2]])):
        table = arrow.table({"column": array})
        with pytest.raises(tensord.DtypeError, match="'column'"):
            tensord.from_arrow(table, client=client)
        with pytest.raises(tensord.DtypeError):
            tensord.from_arrow(arrow.chunked_array([array, array]), client=client)
    twice = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], ["a", "a"])
    with pytest.raises(tensord.ArgumentError, match="'a' stands twice"):
        tensord.from_arrow(twice, client=client)


# ---- SciPy ----


def test_scipy_linalg(client):
    linalg = pytest.importorskip("scipy.linalg")
    a, b = client.put(RANDOM.random((20, 20)) + 9 * numpy.eye(20)), client.put(RANDOM.random(20))
    solution = linalg.solve(a, b)
    numpy.testing.assert_allclose(a @ solution, b, atol=1e-12)
    lu, pivots = linalg.lu_factor(numpy.asarray(a))
    numpy.testing.assert_allclose(linalg.lu_solve((lu, pivots), b), solution)


def test_scipy_sparse_over_three_arrays(client):
    sparse = pytest.importorskip("scipy.sparse")
    wanted = sparse.random(300, 200, 0.05, format="csr", random_state=1)
    parts = [client.put(part) for part in (wanted.data, wanted.indices, wanted.indptr)]
    matrix = sparse.csr_matrix(tuple(map(numpy.asarray, parts)), shape=(300, 200), copy=False)
    for array, part in zip((matrix.data, matrix.indices, matrix.indptr), parts):
        assert shares(array, part)
    v = client.put(RANDOM.random(200))
    numpy.testing.assert_allclose(matrix @ numpy.asarray(v), wanted.toarray() @ numpy.asarray(v))
    again = sparse.csr_matrix(tuple(parts), shape=(300, 200))
    assert (again != wanted).nnz == 0


def test_scipy_special(y):
    special = pytest.importorskip("scipy.special")
    assert special.erf(numpy.asarray(y)).shape == (500,)


# ---- scikit-learn ----


@pytest.fixture
def sklearn():
    pytest.importorskip("sklearn.linear_model")
    return pytest.importorskip("sklearn")


@pytest.mark.parametrize("look", [lambda x: x, numpy.asarray], ids=["array", "ndarray"])
def test_estimators(sklearn, x, y, look):
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.preprocessing import StandardScaler

    labels = (y > 0.5).astype("int64")
    plain = LinearRegression().fit(numpy.array(x), numpy.array(y))
    model = LinearRegression().fit(look(x), look(y))
    numpy.testing.assert_allclose(model.coef_, plain.coef_)
    assert model.predict(look(x)).shape == (500,)
    assert KMeans(3, n_init=1, random_state=0).fit(look(x)).cluster_centers_.shape == (3, 4)
    assert PCA(2).fit_transform(look(x)).shape == (500, 2)
    assert abs(StandardScaler().fit_transform(look(x)).mean()) < 1e-12
    assert LogisticRegression().fit(look(x), look(labels)).predict(look(x)).shape == (500,)
    assert RandomForestClassifier(3).fit(look(x), look(labels)).score(look(x), look(labels)) > 0.5


DISPATCH = """
import numpy, sklearn, tensord
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.metrics import mean_squared_error, r2_score
random = numpy.random.default_rng(0)
a, b = random.random((200, 5)), random.random(200)
x, y = tensord.asarray(a), tensord.asarray(b)
with sklearn.config_context(array_api_dispatch=True):
    for make in (MinMaxScaler, StandardScaler, lambda: PCA(2, svd_solver="full")):
        got = make().fit_transform(x)
        assert isinstance(got, tensord.Array), type(got)
        numpy.testing.assert_allclose(abs(numpy.asarray(got)), abs(make().fit_transform(a)),
                                      atol=1e-9)
    got = Ridge(solver="svd").fit(x, y).predict(x)
    assert isinstance(got, tensord.Array), type(got)
    numpy.testing.assert_allclose(numpy.asarray(got), Ridge(solver="svd").fit(a, b).predict(a))
    assert abs(mean_squared_error(y, got) - mean_squared_error(b, numpy.asarray(got))) < 1e-12
    assert abs(r2_score(y, got) - r2_score(b, numpy.asarray(got))) < 1e-12
print("dispatched")
"""


def test_array_api_dispatch(sklearn, daemon):
    from importlib.metadata import version

    if tuple(map(int, version("scikit-learn").split(".")[:2])) < (1, 6):
        pytest.skip("this scikit-learn dispatches only one estimator")
    env = {**daemon.env, "SCIPY_ARRAY_API": "1"}  # SciPy wants it said before it is imported
    env["PYTHONPATH"] += os.pathsep + os.environ.get("PYTHONPATH", "")
    done = subprocess.run([sys.executable, "-c", DISPATCH], env=env, capture_output=True,
                          text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "dispatched"


# ---- other processes ----


POOL = """
import multiprocessing, os, sys
import numpy, tensord
sys.path.insert(0, {directory!r})
import work

if __name__ == "__main__":
    x = tensord.put(numpy.arange(100000.0))
    named = tensord.put(numpy.ones(5), "named", replace=True)
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        for pid, kind, total, is_writeable in pool.map(work.total_of, [x, x[::2], named, x]):
            assert pid != os.getpid() and kind == "Array" and not is_writeable
            print(total)
        print(float(pool.apply(work.doubled, (x,)).sum()))
        pool.close()
        pool.join()
"""
WORK = """
import os, numpy

def total_of(array):
    seen = numpy.asarray(array)
    return os.getpid(), type(array).__name__, float(seen.sum()), seen.flags.writeable

def doubled(array):
    return array * 2
"""
JOBLIB = """
import os, sys
import joblib, numpy, tensord
sys.path.insert(0, {directory!r})
import work

if __name__ == "__main__":
    x = tensord.put(numpy.arange(100000.0))
    call = joblib.delayed(work.total_of)
    for pid, kind, total, is_writeable in joblib.Parallel(2)(call(p) for p in (x, x[::2], x + 1)):
        assert pid != os.getpid() and kind == "Array" and not is_writeable
        print(total)
"""


def run_file(daemon, tmp_path, text):
    """The numbers that it prints; it finds the module of WORK."""
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "main.py").write_text(text)
    paths = [daemon.env["PYTHONPATH"], str(tmp_path), os.environ.get("PYTHONPATH", "")]
    env = {**daemon.env, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, tmp_path / "main.py"], env=env, text=True,
                          capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return list(map(float, done.stdout.split()))


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing(daemon, tmp_path, method):
    got = run_file(daemon, tmp_path, POOL.format(directory=str(tmp_path), method=method))
    whole, even = numpy.arange(100000.0).sum(), numpy.arange(0.0, 100000, 2).sum()
    assert got == [whole, even, 5.0, whole, 2 * whole]
    daemon.delete_all()


def test_a_pickle_has_no_elements(x):
    assert len(pickle.dumps(x)) < 500 and len(pickle.dumps(x[::2])) < 700
    assert len(pickle.dumps(x * 2)) < 500


def test_joblib(daemon, tmp_path):
    pytest.importorskip("joblib")
    got = run_file(daemon, tmp_path, JOBLIB.format(directory=str(tmp_path)))
    whole, even = numpy.arange(100000.0).sum(), numpy.arange(0.0, 100000, 2).sum()
    assert got == [whole, even, whole + 100000]
