# SPDX-License-Identifier: MIT
"""Real and imaginary parts in Python: views of complex numbers, seen and assigned in place."""

import numpy
import pytest
from test_python_lazy import Counted

import tensord


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_parts_of_complex_numbers_are_seen_where_they_lie(client, dtype):
    want = numpy.random.default_rng(7).random((60, 140)).view(complex).astype(dtype)
    x = client.put(want)
    looks = [lambda a: a, lambda a: a[3:, ::2], lambda a: a.T[::-1], lambda a: a[4],
             lambda a: a[:, None].reshape(60, 7, 10)]
    with Counted(client) as c:
        for look in looks:
            for part, of_want in ((look(x).real, look(want).real), (look(x.imag), look(want.imag))):
                array = numpy.asarray(part)
                assert numpy.shares_memory(array, numpy.asarray(x)) and not array.flags.writeable
                assert (part.dtype, part.shape) == (of_want.dtype, of_want.shape)
                assert array.tolist() == part.tolist() == of_want.tolist()
    assert c.n == 0
    for look in looks:
        numpy.testing.assert_array_equal(look(x).real * 2 + look(x.imag),
                                         look(want).real * 2 + look(want.imag))
    numpy.testing.assert_array_equal(tensord.jit(lambda x: x.imag[1:] - x[1:].real)(x),
                                     want.imag[1:] - want[1:].real)
    assert float(x.imag[3, 5]) == want.imag[3, 5] and x.real.real.tolist() == want.real.tolist()
    assert (x.real.T.imag == 0).all()


def test_parts_of_complex_numbers_see_what_is_assigned(client):
    want = numpy.arange(6) * (1 + 2j)
    x = client.put(want)
    part, want_part = x.imag[1:], want.imag[1:]
    first = x.imag[1]
    x[2:4] = 9 - 7j
    want[2:4] = 9 - 7j
    assert part.tolist() == want_part.tolist() and float(first) == 2.0
    pending = (x + 1).real
    assert pending.tolist() == (want + 1).real.tolist()
    m = client.put(want, mutable=True)
    part = m.real
    m[0] = 100j + 50
    assert part.tolist()[0] == 50.0
    for k in range(3):
        m[1] = k
        assert numpy.asarray(part)[1] == float(part[1:2].sum()) == (part + 0).tolist()[1] == k
        assert part.max() == 50 and part.tolist()[1] == k
    for write in (lambda: part.__setitem__(0, 1.0), lambda: part.__iadd__(1.0)):
        with pytest.raises(tensord.ArgumentError, match="real of a mutable tensor"):
            write()
    assert m.tolist()[0] == 100j + 50
    for lease in part.read, part[1:].write:
        with pytest.raises(tensord.ArgumentError, match="real of a mutable tensor"):
            lease()


def test_parts_of_complex_numbers_of_what_others_write(client):
    """Nobody here has the whole, but what is seen changes."""
    m = client.put(numpy.zeros(1000, complex), "whole", mutable=True)
    part = client.open("whole").imag
    for k in range(3):
        m[...] = k * 1j
        assert numpy.asarray(part)[0] == float(part.max()) == (part + 0).tolist()[0] == k
    client.delete("whole")


def test_parts_of_complex_numbers_take_no_copy(client):
    for n in (5, 5000):
        want = numpy.arange(n) * (1 + 2j)
        x = client.put(want)
        y, kept = x * 2, (x * 3).imag
        with Counted(client) as c:
            array = numpy.asarray(y.real)
            assert numpy.shares_memory(array, numpy.asarray(y)) and array[2] == 4
            assert numpy.shares_memory(numpy.asarray(y.imag[1:]), numpy.asarray(y))
        assert c.n == 1
        with Counted(client) as c:
            assert numpy.asarray(kept)[2] == kept[2:3].item() == 12
            assert numpy.shares_memory(numpy.asarray(kept), numpy.asarray(kept))
        assert c.n == 1
        with Counted(client) as c:
            assert repr(y.real[:2]) == "Array([0., 2.], shape=(2,), dtype=float64, 16 bytes)"
            assert y.imag.strides == (16,) and float(y.imag[1:2]) == 4
        assert c.n == 0


def test_a_part_of_parts_is_assigned_without_the_rest(client):
    """What is computed has a plan that another spelling left behind, and nothing more."""

    def add(of_part, of_all):
        of_part.real += 5
        of_all.real[3:9] += 5

    def set_to(of_part, of_all):
        of_part.imag[...] = 7
        of_all.imag[3:9] = 7

    for write in add, set_to:
        x, y = [client.put(numpy.arange(12) * (1 + 2j)) for _ in range(2)]
        write(x[3:9], client.put(numpy.zeros(12, complex)))
        tensord.eval(x)
        misses = client.stat()["plans"]["misses"]
        write(client.put(numpy.zeros(6, complex)), y)
        tensord.eval(y)
        assert client.stat()["plans"]["misses"] == misses
        assert x.tolist() == y.tolist()


def test_parts_of_complex_numbers_are_assigned(client):
    want = (numpy.arange(24.0) * (1 - 2j)).reshape(4, 6)
    want[0, :3] = complex(numpy.inf, -0.0), complex(numpy.nan, 1), complex(-0.0, -numpy.inf)
    x, row = client.put(want), None
    want = want.copy()
    for a in (x, want):
        row = a[0]
        a.real[1:, ::2] = 7
        a.imag.T[0] = [3.0, -0.0, 5.0, 6.0]
        part = a[2].real
        part *= 2
        a.imag += 1
        a[3].real = a[2].imag
        a.real[a.real > 30] = -1
        a.real[1:3, 2] += 5
        a.imag[::-1][None, 1, ..., 2:4] = [[8.0, 9.0]]
        a.T.real[3:5] *= a.imag.T[3:5]
        a.imag[3, 5] -= 2
        a.real[0, 1:1] = 4
    assert numpy.asarray(x).tobytes() == want.tobytes() and row.tolist()[3:] == want[0].tolist()[3:]
    with pytest.raises(tensord.ShapeError):
        x.real[1:3] = numpy.zeros((3, 6))
    with pytest.raises(tensord.DtypeError):
        x.real[1:3] = 1j
    with pytest.raises(IndexError):
        x.real[4] = 1
    real = client.put(numpy.arange(3.0))
    real.real = 5.0
    assert real.tolist() == [5.0] * 3
    with pytest.raises(TypeError, match="float64 have no imaginary part"):
        real.imag = 1.0
