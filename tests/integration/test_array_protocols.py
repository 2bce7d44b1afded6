# SPDX-License-Identifier: MIT
"""An array as the array API standard 2024.12 has it, and as it is lent to other libraries.

Attributes and methods by name and signature; memory by DLPack, both of its layouts, and by numpy's
array interface.
"""

import ctypes
import gc
import inspect
import weakref

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain

NUMPY_2 = numpy.lib.NumpyVersion(numpy.__version__) >= "2.1.0"  # reads capsules with a version

ATTRIBUTES = "dtype device mT ndim shape size T".split()
UNARY = """__abs__ __bool__ __complex__ __float__ __index__ __int__ __invert__ __neg__
    __pos__""".split()
BINARY = """add and eq floordiv ge gt le lshift lt matmul mod mul ne or pow rshift sub truediv
    xor""".split()
REFLECTED = [name for name in BINARY if name not in "eq ge gt le lt ne".split()]
METHODS = {
    **{name: "self, /" for name in UNARY},
    **{f"__{name}__": "self, other, /" for name in BINARY},
    "__array_namespace__": "self, /, *, api_version=None",
    "__dlpack__": "self, /, *, stream=None, max_version=None, dl_device=None, copy=None",
    "__dlpack_device__": "self, /",
    "__getitem__": "self, key, /",
    "__setitem__": "self, key, value, /",
    "to_device": "self, device, /, *, stream=None",
}


def test_how_many():
    assert (len(ATTRIBUTES), len(METHODS)) == (7, 34)


@pytest.mark.parametrize("name", METHODS)
def test_method(name):
    wanted = inspect.signature(eval(f"lambda {METHODS[name]}: 0")).parameters.values()
    got = list(inspect.signature(getattr(tensord.Array, name)).parameters.values())
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted):
        assert one.default == other.default
        assert one.kind == other.kind or one.kind == one.POSITIONAL_OR_KEYWORD
        if other.kind == other.KEYWORD_ONLY:
            assert (one.name, one.kind) == (other.name, other.kind)


@pytest.mark.parametrize("name", REFLECTED)
def test_reflected_and_in_place(client, name):
    first, second = numpy.array([[6, 1], [4, 2]]), numpy.array([[3, 2], [1, 2]])
    if name == "truediv":
        first = first.astype("float64")
    wanted = getattr(first, f"__{name}__")(second)
    x, y = client.put(first), client.put(second)
    numpy.testing.assert_array_equal(getattr(y, f"__r{name}__")(first), wanted)
    assert getattr(x, f"__i{name}__")(y) is x
    numpy.testing.assert_array_equal(x, wanted)


def test_attributes(client):
    x = client.put(numpy.arange(24.0).reshape(2, 3, 4))
    assert (x.dtype, x.device, x.shape) == (tensord.float64, "cpu", (2, 3, 4))
    assert (x.ndim, x.size) == (3, 24)
    assert (x.T.shape, x.mT.shape) == ((4, 3, 2), (2, 4, 3))


@pytest.mark.parametrize("version", [None, "2021.12", "2022.12", "2023.12", "2024.12"])
def test_namespace(client, version):
    assert client.put([1]).__array_namespace__(api_version=version) is tensord


def test_namespace_of_another_version(client):
    with pytest.raises(tensord.ArgumentError, match="'1999.1'.*2024.12"):
        client.put([1]).__array_namespace__(api_version="1999.1")


def test_to_device(client):
    x = client.put([1.0])
    assert x.to_device("cpu") is x and x.to_device(x.device) is x
    with pytest.raises(ValueError, match="'gpu'"):
        x.to_device("gpu")
    with pytest.raises(ValueError, match="streams"):
        x.to_device("cpu", stream=1)


# ---- DLPack ----


class Flags:
    """Lends what an array lends, and notes the capsule."""

    def __init__(self, x, **wishes):
        self.x, self.wishes, self.capsule = x, wishes, None

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()

    def __dlpack__(self, **wishes):
        self.capsule = self.x.__dlpack__(**(self.wishes or wishes))
        return self.capsule


def name_of(capsule):
    get = ctypes.pythonapi.PyCapsule_GetName
    get.argtypes, get.restype = (ctypes.py_object,), ctypes.c_char_p
    return get(capsule)


def flags_of(capsule):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.argtypes, get.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p
    address = get(capsule, b"dltensor_versioned")
    major, minor = (ctypes.c_uint32 * 2).from_address(address)
    return (major, minor), ctypes.c_uint64.from_address(address + 24).value


VIEWS = {
    "whole": lambda x: x,
    "transposed": lambda x: x.T,
    "reversed": lambda x: x[::-1, :],
    "every second": lambda x: x[:, 1::2],
    "broadcast": lambda x: tensord.broadcast_to(x[0], (3, 4)),
    "number": lambda x: x[1, 2],
    "nothing": lambda x: x[:0],
}


@pytest.mark.parametrize("max_version", [None, (0, 8), (1, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", "float32", "complex128"])
@pytest.mark.parametrize("view", VIEWS)
def test_dlpack_both_ways(client, view, dtype, max_version):
    x = VIEWS[view](client.put(numpy.arange(12).reshape(3, 4).astype(dtype)))
    lender = Flags(x, max_version=max_version)
    array = tensord._dlpack.lent_array(lender)
    assert array.dtype == dtype and array.shape == x.shape
    numpy.testing.assert_array_equal(array, numpy.asarray(x))
    is_versioned = max_version is not None and max_version[0] >= 1
    assert name_of(lender.capsule) == (b"dltensor_versioned" if is_versioned else b"dltensor")
    if is_versioned:
        assert flags_of(lender.capsule) == ((1, 0), 1)


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "nothing"])
def test_numpy_borrows(client, view):
    x = VIEWS[view](client.put(numpy.arange(12.0).reshape(3, 4)))
    array = numpy.from_dlpack(x)
    numpy.testing.assert_array_equal(array, numpy.asarray(x))
    assert numpy.shares_memory(array, numpy.asarray(x))
    assert not array.flags.writeable


def test_borrowed_memory_outlives_the_array_and_its_values(client):
    x = client.put(numpy.arange(100000.0))
    array = numpy.from_dlpack(x)
    x[:] = 7.0
    client.ping()
    y = client.put(numpy.full(100000, -1.0))
    del x
    gc.collect()
    numpy.testing.assert_array_equal(array, numpy.arange(100000.0))
    del y


@pytest.mark.parametrize("is_versioned", [False, True])
def test_capsule_that_nobody_takes(is_versioned):
    array = numpy.arange(1000.0)
    seen = weakref.ref(array)
    capsule = tensord._native.lend(array, 2, is_versioned, 0)
    del array
    gc.collect()
    assert seen() is not None
    del capsule
    assert seen() is None


@pytest.mark.parametrize("is_versioned", [False, True])
def test_capsule_that_was_taken(is_versioned):
    if is_versioned and not NUMPY_2:
        pytest.skip("this numpy takes no capsules with a version")

    class Lender:
        def __dlpack_device__(self):
            return 1, 0

        def __dlpack__(self, **wishes):
            return capsule

    array = numpy.arange(1000.0)
    seen = weakref.ref(array)
    capsule = tensord._native.lend(array, 2, is_versioned, 0)
    taken = numpy.from_dlpack(Lender())
    del array, capsule
    gc.collect()
    assert seen() is not None and taken[-1] == 999
    del taken
    assert seen() is None


def test_capsule_left_at_the_end(daemon):
    daemon.python(
        "import tensord, numpy, threading\n"
        "x = tensord.put(numpy.arange(1e5))\n"
        "kept = [x.__dlpack__(), numpy.from_dlpack(x), x]\n"
        "kept.append(kept)\n"
    )


def test_dlpack_copy(client):
    x = client.put(numpy.arange(4.0))
    lender = Flags(x, max_version=(1, 0), copy=True)
    tensord._dlpack.lent_array(lender)
    assert flags_of(lender.capsule) == ((1, 0), 2)
    assert not numpy.shares_memory(tensord._dlpack.lent_array(lender), numpy.asarray(x))
    if NUMPY_2:
        array = numpy.from_dlpack(x, copy=True)
        array[0] = 9
        assert x.tolist() == [0, 1, 2, 3]


def test_dlpack_of_what_is_filled_is_seen_by_seal(client):
    filled = client.create(1000)
    lent = tensord._dlpack.lent_array(Flags(filled, max_version=(1, 0)))
    with pytest.raises(tensord.NotSealed, match="1 views"):
        filled.seal()
    del lent
    gc.collect()
    filled.seal()


def test_dlpack_of_mutable_shows_what_is_written(client):
    x = client.put(numpy.zeros(2000), mutable=True)
    array = numpy.from_dlpack(x)
    x[3] = 5.0
    assert array[3] == 5.0 and not array.flags.writeable


@pytest.mark.parametrize("wish", [{"stream": 1}, {"dl_device": (2, 0)}, {"dl_device": (1, 1)}])
def test_dlpack_refused(client, wish):
    with pytest.raises(BufferError) as refused:
        client.put([1.0]).__dlpack__(**wish)
    assert isinstance(refused.value, tensord.ArgumentError)


def test_dlpack_device(client):
    assert client.put([1.0]).__dlpack_device__() == (1, 0)
    assert client.put([1.0]).__dlpack__(dl_device=(1, 0), copy=False)


def test_own_arrays_are_not_copied(client):
    x = client.put([1.0])
    assert tensord.from_dlpack(x) is x
    assert tensord.from_dlpack(x, copy=True) is not x


# ---- numpy's array interface ----


class Interface:
    """Has the array interface and nothing else."""

    def __init__(self, x):
        self.__array_interface__ = x.__array_interface__


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int64", "float32", "complex64"])
@pytest.mark.parametrize("view", [view for view in VIEWS if view != "nothing"])
def test_array_interface(client, view, dtype):
    whole = client.put(numpy.tile(numpy.arange(12).astype(dtype), (3, 1000))[:, :4000], "x")
    x = VIEWS[view if view != "broadcast" else "transposed"](whole)
    array = numpy.asarray(Interface(x))
    assert array.dtype == dtype and not array.flags.writeable
    numpy.testing.assert_array_equal(array, x.tolist())
    assert numpy.shares_memory(array, client.get("x"))
    del x, whole
    client.delete("x")
    gc.collect()
    assert array.shape == numpy.asarray(array.tolist()).shape


def test_array_interface_of_nothing(client):
    assert numpy.asarray(Interface(client.put(numpy.zeros((0, 3))))).shape == (0, 3)


def test_asarray_of_what_is_filled(client):
    filled = client.create(10)
    numpy.asarray(filled)[:] = 1.0
    view = numpy.asarray(filled)[2:]
    with pytest.raises(tensord.NotSealed):
        filled.seal()
    del view
    filled.seal()
    assert numpy.asarray(filled).tolist() == [1.0] * 10
