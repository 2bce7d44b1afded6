# SPDX-License-Identifier: MIT
"""Linear algebra from Python, and the Longley regression with its certified values."""

import numpy
import pytest

import kit
import tensord
from tensord import linalg

CERTIFIED = [
    -3482258.63459582,
    15.0618722713733,
    -0.0358191792925910,
    -2.02022980381683,
    -1.03322686717359,
    -0.0511041056535807,
    1829.15146461355,
]
PREDICTORS = ["gnp_deflator", "gnp", "unemployed", "armed_forces", "population", "year"]

PRODUCER = """
import sys, numpy, tensord
table = tensord.read_csv(sys.argv[1])
columns = [table[name] for name in sys.argv[2:]]
tensord.put(numpy.column_stack([numpy.ones(len(columns[0])), *columns]), "longley/X")
tensord.put(table["employed"], "longley/y")
"""
CONSUMER = """
import tensord
x, y = tensord.open("longley/X"), tensord.open("longley/y")
print(*(value.hex() for value in tensord.linalg.lstsq(x, y).x.tolist()))
"""


def test_longley(client, daemon):
    """A process reads the file and ends; another one fits."""
    daemon.python(PRODUCER, kit.DATA / "longley.csv", *PREDICTORS)
    fitted = [float.fromhex(word) for word in daemon.python(CONSUMER).split()]
    assert len(fitted) == 7
    for got, certified in zip(fitted, CERTIFIED):
        assert abs(got / certified - 1) < 0.5e-10


def matrices(shape, dtype, seed=3):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-11), ("float32", 1e-3)])
@pytest.mark.parametrize(
    "shapes",
    [((1, 1), (1,)), ((5, 5), (5,)), ((5, 5), (5, 3)), ((60, 60), (60, 2)), ((3, 4, 4), (3, 4, 2))],
    ids=str,
)
def test_solve(client, shapes, dtype, tolerance):
    a, b = matrices(shapes[0], dtype), matrices(shapes[1], dtype, 4)
    x = linalg.solve(client.put(a), b)
    assert x.dtype == dtype
    numpy.testing.assert_allclose(x, numpy.linalg.solve(a, b), rtol=tolerance, atol=tolerance)
    numpy.testing.assert_allclose(
        linalg.solve(client.put(a).mT, b),
        numpy.linalg.solve(a.swapaxes(-1, -2), b),
        rtol=tolerance,
        atol=tolerance,
    )


def test_solve_refused(client):
    with pytest.raises(tensord.LinAlgError) as caught:
        linalg.solve(client.put(numpy.ones((3, 3))), numpy.ones(3))
    assert caught.value.code == "singular"
    with pytest.raises(tensord.ShapeError, match="solve"):
        linalg.solve(client.put(numpy.ones((3, 2))), numpy.ones(3))
    with pytest.raises(tensord.ShapeError, match="solve"):
        linalg.solve(client.put(numpy.eye(3)), numpy.ones(4))


@pytest.mark.parametrize(
    "shapes",
    [((8, 3), (8,)), ((8, 3), (8, 2)), ((3, 8), (3,)), ((5, 5), (5,)), ((200, 40), (200, 3))],
    ids=str,
)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-2)])
def test_lstsq(client, shapes, dtype, tolerance):
    a, b = matrices(shapes[0], dtype), matrices(shapes[1], dtype, 4)
    got = linalg.lstsq(client.put(a), client.put(b))
    x, _, rank, singular_values = numpy.linalg.lstsq(a, b, rcond=None)
    residuals = ((a.astype("float64") @ x - b) ** 2).sum(axis=0)
    numpy.testing.assert_allclose(got.x, x, rtol=tolerance, atol=tolerance)
    numpy.testing.assert_allclose(got.singular_values, singular_values, rtol=tolerance)
    assert int(got.rank) == rank
    assert got.residuals.shape == b.shape[1:]
    numpy.testing.assert_allclose(got.residuals, residuals, rtol=tolerance * 10, atol=tolerance)


def test_lstsq_of_lower_rank(client):
    a = numpy.outer(numpy.arange(1.0, 7), [1.0, 2, 3])
    b = numpy.arange(6.0)
    got = linalg.lstsq(client.put(a), b)
    assert int(got.rank) == 1
    numpy.testing.assert_allclose(got.x, numpy.linalg.lstsq(a, b, rcond=None)[0], atol=1e-12)
    assert int(linalg.lstsq(numpy.diag([1, 1e-3]), client.put([1.0, 1.0]), rcond=1e-2).rank) == 1


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (80, 80), (4, 3, 3)], ids=str)
def test_cholesky(client, shape):
    a = matrices(shape, "float64")
    a = a @ a.swapaxes(-1, -2) + 5 * numpy.eye(shape[-1])
    lower = numpy.linalg.cholesky(a)
    numpy.testing.assert_allclose(linalg.cholesky(client.put(a)), lower, rtol=1e-12, atol=1e-12)
    numpy.testing.assert_allclose(
        linalg.cholesky(client.put(a), upper=True), lower.swapaxes(-1, -2), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_cholesky_reads_one_triangle(client, dtype, upper):
    a = matrices((80, 80), "float64")
    if "complex" in dtype:
        a = a + 1j * matrices((80, 80), "float64", 4)
    a = (a @ a.conj().T + 80 * numpy.eye(80)).astype(dtype)
    factor = numpy.asarray(linalg.cholesky(client.put(a), upper=upper))
    lower = factor.conj().T if upper else factor
    numpy.testing.assert_allclose(lower @ lower.conj().T, a, rtol=0, atol=1e-6 * abs(a).max())
    a[numpy.tril_indices(80, -1) if upper else numpy.triu_indices(80, 1)] = numpy.nan
    for x in client.put(a), client.put(a.T.copy()).T, client.put(a.repeat(2, axis=1))[:, ::2]:
        numpy.testing.assert_array_equal(linalg.cholesky(x, upper=upper), factor)


def test_cholesky_refused(client):
    with pytest.raises(tensord.LinAlgError) as caught:
        linalg.cholesky(client.put([[1.0, 2.0], [2.0, 1.0]]))
    assert caught.value.code == "singular"
    with pytest.raises(tensord.ShapeError, match="cholesky"):
        linalg.cholesky(client.put(numpy.ones((2, 3))))


def test_not_converged(client):
    a = numpy.full((4, 4), numpy.nan)
    with pytest.raises(tensord.LinAlgError):
        linalg.lstsq(client.put(a), numpy.ones(4))
