# SPDX-License-Identifier: MIT
"""What comes in: asarray, from_dlpack, astype and reshape, and what is refused, by name."""

import array
import ctypes
import decimal
import gc

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def asarray(client, obj, **keywords):
    return tensord.asarray(obj, client=client, **keywords)


def same(tensor, wanted):
    got = numpy.asarray(tensor)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    numpy.testing.assert_array_equal(got, wanted)


def left_nothing(client, before):
    after = client.stat()
    assert after["names"] == before["names"] and after["tensors"] <= before["tensors"]


# ---- asarray ----

MADE = [
    (True, "bool"), (3, "int64"), (2.5, "float64"), (1j, "complex128"), (2**63, "uint64"),
    ([True, False], "bool"), ([1, True], "int64"), ([1, 2.5, True], "float64"),
    ([[1, 2j], [3.5, True]], "complex128"), ([], "float64"), ([[], []], "float64"),
    (range(5), "int64"), ((1.0, (2)), "float64"), (numpy.float32(1.5), "float32"),
    ([numpy.int8(3), numpy.int8(4)], "int8"), (bytearray(b"abc"), "uint8"),
    (array.array("f", [1, 2]), "float32"), (memoryview(b"\1\2"), "uint8"),
    (memoryview(array.array("d", [1, 2])), "float64"),
]
NAMES = [f"{type(obj).__name__}-{dtype}" for obj, dtype in MADE]


@pytest.mark.parametrize("obj, dtype", MADE, ids=NAMES)
def test_asarray(client, obj, dtype):
    x = asarray(client, obj)
    assert x.dtype == dtype
    same(x, numpy.asarray(obj, dtype=dtype))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "float64", "complex64"])
def test_asarray_with_dtype(client, dtype):
    for obj in ([0, 1, 100], [[True], [False]], 7, [], numpy.arange(5, dtype="uint8")):
        same(asarray(client, obj, dtype=dtype), numpy.asarray(obj).astype(dtype))
    same(tensord.asarray([1, 2], dtype, client=client), numpy.array([1, 2], dtype))
    same(asarray(client, [1.5, 0.0], dtype=dtype), numpy.array([1.5, 0.0]).astype(dtype))


def test_asarray_out_of_range(client):
    for obj, dtype in (([1, 300], "uint8"), ([-1], "uint64"), (2**63, "int64"), (-129, "int8")):
        with pytest.raises(OverflowError, match=f"does not fit {dtype}"):
            asarray(client, obj, dtype=dtype)
    same(asarray(client, [0, 255], dtype="uint8"), numpy.array([0, 255], "uint8"))
    same(asarray(client, numpy.array([300]), dtype="uint8"), numpy.array([44], "uint8"))  # a cast


def test_asarray_of_tensors(client):
    x = client.put(numpy.arange(3.0))
    assert tensord.asarray(x) is x and tensord.asarray(x, copy=False) is x
    assert tensord.asarray(x, dtype="float64", copy=False) is x
    same(tensord.asarray(x, dtype="int8"), numpy.arange(3, dtype="int8"))
    with pytest.raises(ValueError, match="copy"):
        tensord.asarray(x, dtype="int8", copy=False)
    same(asarray(client, [x, x]), numpy.stack([numpy.arange(3.0)] * 2))


def test_copies_do_not_share(client):
    m = client.put(numpy.arange(4.0), mutable=True)
    copies = [tensord.asarray(m, copy=True), tensord.astype(m, m.dtype),
              tensord.reshape(m, (2, 2), copy=True), tensord.from_dlpack(m, copy=True)]
    same_as_m = [tensord.asarray(m), tensord.astype(m, m.dtype, copy=False),
                 tensord.from_dlpack(m), tensord.reshape(m, (2, 2), copy=False)]
    before = [numpy.asarray(x).copy() for x in copies]
    m[0] = 9
    for x, wanted in zip(copies, before):
        same(x, wanted)
    assert [numpy.asarray(x).flat[0] for x in same_as_m] == [9] * 4


def test_asarray_without_copy(client):
    for obj in (numpy.arange(3.0), [1], 5, memoryview(b"ab")):
        with pytest.raises(ValueError, match="copy=False"):
            asarray(client, obj, copy=False)
    mine = numpy.arange(3.0)
    for copy in (None, True):
        x = asarray(client, mine, copy=copy)
        mine[0] = 7
        assert x[0].item() == 0
        mine[0] = 0


def test_device(client):
    assert asarray(client, [1], device="cpu").shape == (1,)
    x = client.put([1.0])
    for call in (lambda: asarray(client, [1], device="gpu"),
                 lambda: tensord.astype(x, "int8", device=1),
                 lambda: tensord.from_dlpack(x, device="cuda:0")):
        with pytest.raises(tensord.ArgumentError, match="'cpu'"):
            call()


# ---- what is no array ----

REFUSED = [
    (numpy.array([object()]), "object"), ([None, 1], "object"), ([decimal.Decimal(1)], "object"),
    ("text", "<U4"), (["a", "bc"], "<U2"), (b"bytes", r"\|S5"), ([1, "2"], "<U"),
    (numpy.array(["2020-01-01"], "datetime64[D]"), r"datetime64\[D\]"),
    (numpy.timedelta64(5, "ms"), r"timedelta64\[ms\]"),
    (numpy.zeros(2, "float16"), "float16"), (numpy.zeros(2, "longdouble"), "float128"),
    (numpy.zeros(2, [("a", "int8")]), "'a'"), ({"a": 1}, "object"), (2**70, "object"),
]


@pytest.mark.parametrize("obj, name", REFUSED, ids=[name for _, name in REFUSED])
def test_dtypes_that_are_not_kept(client, obj, name):
    before = client.stat()
    calls = [lambda: asarray(client, obj), lambda: client.put(obj), lambda: client.put(obj, "x")]
    if isinstance(obj, numpy.ndarray):
        x = client.put(numpy.zeros(1))
        calls += [lambda: tensord.add(x, obj), lambda: x + obj, lambda: tensord.concat([x, obj])]
        before["tensors"] += 1
    for call in calls:
        with pytest.raises(tensord.DtypeError, match=name) as caught:
            call()
        assert isinstance(caught.value, TypeError) and "int64" in str(caught.value)
    left_nothing(client, before)


def test_dtype_arguments_that_are_none(client):
    x = client.put([1.0])
    for call in (lambda d: asarray(client, [1], dtype=d), lambda d: tensord.astype(x, d),
                 lambda d: tensord.zeros(3, dtype=d, client=client),
                 lambda d: tensord.sum(x, dtype=d), lambda d: tensord.can_cast(d, "int8"),
                 tensord.finfo, tensord.iinfo):
        for dtype, name in (("float16", "float16"), ("M8[ns]", "datetime64"), (object, "object"),
                            ("nonsense", "nonsense"), (str, "U")):
            with pytest.raises(tensord.DtypeError, match=name):
                call(dtype)


RAGGED = [[[1, 2], [3]], [[1], 2], [[[1], [2]], [[3]]], [numpy.zeros(2), numpy.zeros(3)],
          ([1.0, 2.0], [3.0, [4.0]])]


@pytest.mark.parametrize("lists", RAGGED, ids=map(str, range(len(RAGGED))))
def test_ragged_lists(client, lists):
    x = client.put(numpy.zeros(2))
    for call in (lambda: asarray(client, lists), lambda: client.put(lists),
                 lambda: tensord.add(x, lists), lambda: asarray(client, lists, dtype="float32")):
        with pytest.raises(tensord.ShapeError, match="differ") as caught:
            call()
        assert isinstance(caught.value, ValueError) and caught.value.__cause__ is None


def test_errors_of_elements_come_through(client):
    class Failing:
        def __array__(self, dtype=None, copy=None):
            raise tensord.NotSealed("not yet")

    with pytest.raises(tensord.NotSealed, match="not yet"):
        asarray(client, Failing())


def test_masked(client):
    with pytest.raises(tensord.ArgumentError, match="mask"):
        asarray(client, numpy.ma.array([1, 2], mask=[0, 1]))


# ---- layouts ----


def layouts(a):
    """The values of a matrix, lying in every way."""
    swapped = a.astype(a.dtype.newbyteorder())
    room = numpy.zeros(a.nbytes + 1, "uint8")
    misaligned = numpy.ndarray(a.shape, a.dtype, room.data, 1)
    misaligned[...] = a
    wide = numpy.zeros((2 * a.shape[0], 3 * a.shape[1]), a.dtype)
    wide[::2, ::3] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    fields = numpy.zeros(a.shape, [("pad", "int8"), ("value", a.dtype)])  # packed: misaligned
    fields["value"] = a
    both = numpy.ndarray(a.shape, swapped.dtype, room.copy().data, 1)
    both[...] = a
    yield from (swapped, misaligned, wide[::2, ::3], frozen, fields["value"], both)
    yield from (numpy.asfortranarray(a), numpy.flip(a.copy()[::-1, ::-1]), swapped.T.copy().T)


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint64", "float32", "float64", "complex128"])
def test_layouts(client, dtype):
    first = 0 if dtype[0] in "ub" else -60
    a = (numpy.arange(77 * 53) % 120 + first).astype(dtype).reshape(77, 53)
    for b in layouts(a):
        numpy.testing.assert_array_equal(a, b)
        same(asarray(client, b), a)
        same(client.put(b), a)
        same(asarray(client, b, dtype="complex64"), a.astype("complex64"))
        same(tensord.where(tensord.asarray(True, client=client), b, b), a)
        same(client.put(b, mutable=True), a)
        small = b[:3, :2]
        same(tensord.positive(asarray(client, small)), a[:3, :2])
        joined = tensord.concat([client.put(a[:1, :2]), small])
        same(joined, numpy.concatenate([a[:1, :2], a[:3, :2]]))
    same(asarray(client, numpy.broadcast_to(a[0], (4, 53))), numpy.broadcast_to(a[0], (4, 53)))


def test_bool_bytes_of_others(client):
    odd = numpy.array([0, 1, 2, 255], "uint8").view("bool")
    x = asarray(client, odd)
    assert tensord.sum(x).item() == 3
    assert tensord.astype(x, "int8").tolist() == [0, 1, 1, 1]


# ---- DLPack ----

new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
END = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, END)
CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Lender:
    """Lends an array in the old way or the new, and counts what was given back."""

    def __init__(self, array, versioned, flags=0, device=(1, 0), major=1, code=None, lanes=1,
                 with_strides=True):
        self.array, self.versioned, self.device = array, versioned, device
        self.n_lent = self.n_back = 0
        shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        strides = (ctypes.c_int64 * max(array.ndim, 1))(
            *(stride // array.itemsize for stride in array.strides))
        code = CODES[array.dtype.kind] if code is None else code
        begin = array.__array_interface__["data"][0]
        words = [begin - 8, device[0] | device[1] << 32,
                 array.ndim | code << 32 | array.itemsize * 8 << 40 | lanes << 48,
                 ctypes.addressof(shape), ctypes.addressof(strides) if with_strides else 0, 8]
        words = [major, 0, 0, flags, *words] if versioned else [*words, 0, 0]
        self.memory = (ctypes.c_uint64 * len(words))(*words)
        self.keep = shape, strides
        self.end = END(self.given_back)

    def given_back(self, capsule):
        self.n_back += 1

    def __dlpack_device__(self):
        return self.device

    def capsule(self):
        self.n_lent += 1
        self.name = b"dltensor_versioned" if self.versioned else b"dltensor"
        return new_capsule(ctypes.addressof(self.memory), self.name, self.end)

    def __dlpack__(self, *, max_version=None):
        assert max_version == (1, 0)
        return self.capsule()


class OldLender(Lender):
    """Of before there were versions."""

    def __dlpack__(self, stream=None):
        return self.capsule()


LENDERS = [(Lender, True, 0), (Lender, True, 1), (Lender, False, 0), (OldLender, False, 0)]


@pytest.mark.parametrize("kind, versioned, flags", LENDERS,
                         ids=["new", "new, read-only", "old capsule", "old protocol"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16", "float32", "complex128"])
def test_from_dlpack(client, kind, versioned, flags, dtype):
    a = numpy.arange(24).reshape(4, 6).astype(dtype)
    a.flags.writeable = not flags
    for part in (a, a.T, a[::-1, ::-2], a[1:3, 4:], a[2, 3, ...], a[:0]):
        lender = kind(part, versioned, flags)
        same(tensord.from_dlpack(lender, client=client), part)
        same(asarray(client, lender), part)
        same(asarray(client, lender, dtype="complex64"), part.astype("complex64"))
        gc.collect()
        assert lender.n_lent == lender.n_back == 3
    dense = kind(a.copy(), versioned, flags, with_strides=False)
    same(tensord.from_dlpack(dense, client=client, device="cpu", copy=True), a)


@pytest.mark.parametrize("n", [5, 100000])
def test_memory_is_given_back_after_it_was_read(client, n):
    class Reused(Lender):
        def given_back(self, capsule):
            super().given_back(capsule)
            self.array.fill(99)

    lender = Reused(numpy.arange(float(n)), True)
    x = tensord.from_dlpack(lender, client=client)
    same(x, numpy.arange(float(n)))
    gc.collect()
    assert lender.n_back == 1 and lender.array[0] == 99


def test_from_dlpack_of_numpy(client):
    a = numpy.arange(6.0).reshape(2, 3)
    x = tensord.from_dlpack(a, client=client)
    a.flags.writeable = False
    same(tensord.from_dlpack(a.T, client=client), a.T)
    same(x, a)
    assert tensord.from_dlpack(x) is x and tensord.from_dlpack(x, copy=False) is x


def test_from_dlpack_refuses(client):
    a = numpy.arange(6.0)
    before = client.stat()

    def refused(lender, *kinds, match):
        with pytest.raises(tensord.TensordError, match=match) as caught:
            tensord.from_dlpack(lender, client=client)
        assert all(isinstance(caught.value, kind) for kind in kinds)
        del caught  # it refers to the capsule
        gc.collect()
        assert lender.n_lent == lender.n_back

    refused(Lender(a, True, device=(2, 1)), BufferError, ValueError, match="device 2:1")
    refused(Lender(a, True, major=2), BufferError, match="version 2.0")
    refused(Lender(a, True, code=4), tensord.DtypeError, match="bfloat64")
    refused(Lender(a, True, code=17), tensord.DtypeError, match="17 of 64")
    refused(Lender(a, True, lanes=4), tensord.DtypeError, match="vectors of 4")
    refused(Lender(a.astype("float16"), False), tensord.DtypeError, match="float16")
    for lender in (a, Lender(a, True)):
        with pytest.raises(BufferError, match="copy=False") as caught:
            tensord.from_dlpack(lender, client=client, copy=False)
        assert isinstance(caught.value, tensord.ArgumentError)
    with pytest.raises(AttributeError, match="__dlpack__"):
        tensord.from_dlpack([1, 2], client=client)

    class Taken(Lender):
        def __dlpack__(self, **keywords):
            return new_capsule(ctypes.addressof(self.memory), b"used_dltensor", self.end)

    with pytest.raises(BufferError, match="no fresh"):
        tensord.from_dlpack(Taken(a, False), client=client)
    left_nothing(client, before)


# ---- astype and reshape ----


def test_astype(client):
    x = client.put(numpy.arange(3.0))
    same(tensord.astype(x, tensord.int8), numpy.arange(3, dtype="int8"))
    same(tensord.astype(x, "float64"), numpy.arange(3.0))
    assert tensord.astype(x, tensord.float64, copy=False) is x
    assert tensord.astype(x, tensord.float64) is not x
    same(tensord.astype([1.5, 0], "bool", copy=False), numpy.array([True, False]))


def test_reshape_with_copy(client):
    x = client.put(numpy.arange(6.0).reshape(2, 3))
    for copy in (None, True, False):
        same(tensord.reshape(x, (3, -1), copy=copy), numpy.arange(6.0).reshape(3, 2))
    same(tensord.reshape(x.T, 6), numpy.arange(6.0).reshape(2, 3).T.reshape(6))
    with pytest.raises(ValueError, match="copy=False"):
        tensord.reshape(x.T, 6, copy=False)


def test_expand_dims(client):
    x = client.put(numpy.zeros((2, 3)))
    assert tensord.expand_dims(x, 1).shape == tensord.expand_dims(x, axis=-2).shape == (2, 1, 3)
    with pytest.raises(IndexError):
        tensord.expand_dims(x, 3)
    with pytest.raises(TypeError, match="axis"):
        tensord.expand_dims(x)
