# SPDX-License-Identifier: MIT
"""Methods of numpy's arrays that the standard does not have: the same on arrays of tensord's."""

import copy

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain

RANDOM = numpy.random.default_rng(9)
A = RANDOM.standard_normal((3, 4)).round(2)
C = A + 1j * A[::-1]
LINES = """x.argsort(); x.argsort(axis=0); x.clip(-0.5, 0.5); x.clip(0); x.compress([1, 0, 1], 0)
    x.cumsum(); x.cumsum(1); x.cumprod(axis=0); x.diagonal(); x.diagonal(1); x.dot(x.T); x.nonzero()
    x.ptp(0); x.ravel(); x.T.ravel(); x.repeat(2, axis=1); x.round(1)
    (x.ravel() * 0 + 1).searchsorted(0.3); x[:1].squeeze(); x.swapaxes(0, 1); x.swapaxes(-1, 0)
    x.take([1, 2], axis=1)
    x.trace(); x.trace(1); x.conj(); c.conj(); c.conjugate(); c.real; c.imag; x.real; x.imag
    x.flatten(); x.T.flatten(); x.copy(); x.itemsize; c.itemsize; x.tobytes(); x.T.tobytes()
    divmod(x, 0.3); divmod(2.0, x + 9); x[0, 0] in x; 99.0 in x
    x.std(ddof=1); x.var(0, ddof=1); x.sum(dtype="float32"); (x > 0).sum(0, dtype="int32")
    x.sum(0, "float32"); x.prod(1, "float32"); (x * 3).prod(1, dtype="float64")
    x.astype("float64", copy=False); x.astype("int8")"""


@pytest.mark.parametrize("line", [one.strip() for one in LINES.replace("\n", ";").split(";")])
def test_same_as_numpy(client, line):
    if "ptp" in line and not hasattr(A, "ptp"):
        pytest.skip("numpy 2 has no such method")
    wanted = eval(line, {}, {"x": A, "c": C})
    got = eval(line, {}, {"x": client.put(A), "c": client.put(C)})
    if isinstance(wanted, (bool, int, bytes, numpy.bool_)):
        assert got == wanted
        return
    parts = got if isinstance(wanted, tuple) else (got,)
    for part, other in zip(parts, wanted if isinstance(wanted, tuple) else (wanted,)):
        assert isinstance(part, tensord.Array) and part.dtype == other.dtype
        numpy.testing.assert_allclose(part, other, rtol=1e-6, atol=1e-12)
    assert len(parts) == (len(wanted) if isinstance(wanted, tuple) else 1)


@pytest.mark.parametrize("name", "mean max min any all argmax argmin std var".split())
def test_what_is_no_axis_is_named(client, name):
    """In numpy other parameters than ours come second."""
    with pytest.raises(TypeError, match="positional"):
        getattr(client.put(A), name)(0, True)


def test_parts_of_complex_numbers_as_memory(client):
    c = client.put(C)
    assert numpy.array_equal(c.imag.__array__(), C.imag)
    single = c.real.__array__("float32")
    assert single.dtype == "float32" and numpy.array_equal(single, C.real.astype("float32"))
    with pytest.raises(ValueError, match="needs a copy"):
        c.real.__array__("float32", copy=False)


def test_views_and_copies(client):
    x = client.put(A)
    views, copies = [x.ravel(), x[:1].squeeze(), x.swapaxes(0, 1)], [x.copy(), x.flatten()]
    copies += [copy.copy(x), copy.deepcopy(x)]
    x[0, 0] = 77.0
    assert [float(view.reshape(-1)[0]) for view in views] == [77.0] * 3
    assert [float(one.reshape(-1)[0]) for one in copies] == [A[0, 0]] * 4
    copies[0][0, 0] = 1.0
    assert x[0, 0] == 77.0


def test_sort_and_fill_in_place(client):
    x = client.put(A)
    row = x[0]
    assert x.sort() is None
    numpy.testing.assert_array_equal(x, numpy.sort(A))
    numpy.testing.assert_array_equal(row, numpy.sort(A)[0])
    x.sort(axis=0)
    numpy.testing.assert_array_equal(x, numpy.sort(numpy.sort(A), axis=0))
    x.fill(2)
    assert row.tolist() == [2.0] * 4
    with pytest.raises(tensord.Sealed):
        client.put(A, "named").sort()


def test_astype_without_a_copy(client):
    x = client.put(A)
    assert x.astype("float64", copy=False) is x and x.astype("float64") is not x


def test_format(client):
    x = client.put([1.25, 2.0])
    assert f"{x.sum():.1f} {x[0]:6.2f} {x.argmax():d}" == "3.2   1.25 1"
    assert f"{x}" == str(x)
    with pytest.raises(TypeError, match=r"shape \(2,\).*array2string"):
        f"{x:.1f}"


def test_options(client):
    x, out = client.put(A), client.put(numpy.zeros((3, 4)))
    assert x.clip(0.0, 1.0, out=out) is out
    numpy.testing.assert_array_equal(out, A.clip(0, 1))
    with pytest.raises(TypeError, match="takes"):
        x.round(decimal=1)
    with pytest.raises(ValueError, match="order"):
        x.tobytes("F")


def test_refusals(client):
    x = client.put(A)
    for axes in ((0, 2), (-3, 0)):
        with pytest.raises(tensord.AxisError, match="swapaxes"):
            x.swapaxes(*axes)
    for condition in (True, [[True, False, True]]):
        with pytest.raises(tensord.ShapeError, match="compress: .* one dimension"):
            x.compress(condition, axis=0)


def test_item(client):
    a = numpy.arange(6.0).reshape(2, 3)
    x = client.put(a)
    for index in [(4,), (-1,), (1, 2), (-2, 0), ((0, 1),), (numpy.int64(3),)]:
        assert x.item(*index) == a.item(*index) and type(x.item(*index)) is float
    for wrong, kind in {(): ValueError, (6,): IndexError, (0, 3): IndexError, (0, 0, 0): ValueError,
                        ((),): ValueError}.items():
        for array in (a, x):
            with pytest.raises(kind):
                array.item(*wrong)


@pytest.mark.parametrize("key", [1.5, "a", [0.5], numpy.array([0.0, 1.0]), (0, [1j])])
def test_what_is_no_index(client, key):
    x = client.put(numpy.zeros((2, 3)))
    with pytest.raises(IndexError):
        numpy.zeros((2, 3))[key]
    with pytest.raises(IndexError):
        x[key]
    with pytest.raises(IndexError):
        x[key] = 1
