# SPDX-License-Identifier: MIT
"""The package as a namespace of the Python array API standard 2024.12: names and signatures.

A parameter may be wider than the standard's: what is keyword-only there may stand by position where
numpy's users have it there (BY_POSITION), and there may be more keywords, each with a default.
"""

import inspect
import math

import numpy
import pytest

import tensord

pytestmark = pytest.mark.plain

UNARY = """abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor
    imag isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal
    round sign signbit sin sinh square sqrt tan tanh trunc
    matrix_transpose nonzero unique_all unique_counts unique_inverse unique_values"""
BINARY = """add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp
    logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder
    subtract matmul"""
REDUCTIONS = "all any argmax argmin count_nonzero max mean min"

MAIN = {
    **{name: "x, /" for name in UNARY.split()},
    **{name: "x1, x2, /" for name in BINARY.split()},
    **{name: "x, /, *, axis=None, keepdims=False" for name in REDUCTIONS.split()},
    "clip": "x, /, min=None, max=None",
    # creation
    "arange": "start, /, stop=None, step=1, *, dtype=None, device=None",
    "asarray": "obj, /, *, dtype=None, device=None, copy=None",
    "empty": "shape, *, dtype=None, device=None",
    "empty_like": "x, /, *, dtype=None, device=None",
    "eye": "n_rows, n_cols=None, /, *, k=0, dtype=None, device=None",
    "from_dlpack": "x, /, *, device=None, copy=None",
    "full": "shape, fill_value, *, dtype=None, device=None",
    "full_like": "x, /, fill_value, *, dtype=None, device=None",
    "linspace": "start, stop, /, num, *, dtype=None, device=None, endpoint=True",
    "meshgrid": "*arrays, indexing='xy'",
    "ones": "shape, *, dtype=None, device=None",
    "ones_like": "x, /, *, dtype=None, device=None",
    "tril": "x, /, *, k=0",
    "triu": "x, /, *, k=0",
    "zeros": "shape, *, dtype=None, device=None",
    "zeros_like": "x, /, *, dtype=None, device=None",
    # dtypes
    "astype": "x, dtype, /, *, copy=True, device=None",
    "can_cast": "from_, to, /",
    "finfo": "type, /",
    "iinfo": "type, /",
    "isdtype": "dtype, kind",
    "result_type": "*arrays_and_dtypes",
    # indices, linear algebra, movement
    "take": "x, indices, /, *, axis=None",
    "take_along_axis": "x, indices, /, *, axis=-1",
    "tensordot": "x1, x2, /, *, axes=2",
    "vecdot": "x1, x2, /, *, axis=-1",
    "broadcast_arrays": "*arrays",
    "broadcast_to": "x, /, shape",
    "concat": "arrays, /, *, axis=0",
    "expand_dims": "x, /, axis",
    "flip": "x, /, *, axis=None",
    "moveaxis": "x, source, destination, /",
    "permute_dims": "x, /, axes",
    "repeat": "x, repeats, /, *, axis=None",
    "reshape": "x, /, shape, *, copy=None",
    "roll": "x, /, shift, *, axis=None",
    "squeeze": "x, /, axis",
    "stack": "arrays, /, *, axis=0",
    "tile": "x, repetitions, /",
    "unstack": "x, /, *, axis=0",
    # searching, sorting, statistics
    "searchsorted": "x1, x2, /, *, side='left', sorter=None",
    "where": "condition, x1, x2, /",
    "argsort": "x, /, *, axis=-1, descending=False, stable=True",
    "sort": "x, /, *, axis=-1, descending=False, stable=True",
    "cumulative_prod": "x, /, *, axis=None, dtype=None, include_initial=False",
    "cumulative_sum": "x, /, *, axis=None, dtype=None, include_initial=False",
    "diff": "x, /, *, axis=-1, n=1, prepend=None, append=None",
    "prod": "x, /, *, axis=None, dtype=None, keepdims=False",
    "std": "x, /, *, axis=None, correction=0.0, keepdims=False",
    "sum": "x, /, *, axis=None, dtype=None, keepdims=False",
    "var": "x, /, *, axis=None, correction=0.0, keepdims=False",
    "__array_namespace_info__": "",
}
LINALG = {
    **{name: "x, /" for name in "det eigh eigvalsh inv matrix_transpose slogdet svdvals".split()},
    **{name: "x1, x2, /" for name in "matmul outer solve".split()},
    "cholesky": "x, /, *, upper=False",
    "cross": "x1, x2, /, *, axis=-1",
    "diagonal": "x, /, *, offset=0",
    "matrix_norm": "x, /, *, keepdims=False, ord='fro'",
    "matrix_power": "x, n, /",
    "matrix_rank": "x, /, *, rtol=None",
    "pinv": "x, /, *, rtol=None",
    "qr": "x, /, *, mode='reduced'",
    "svd": "x, /, *, full_matrices=True",
    "tensordot": "x1, x2, /, *, axes=2",
    "trace": "x, /, *, offset=0, dtype=None",
    "vecdot": "x1, x2, /, *, axis=-1",
    "vector_norm": "x, /, *, axis=None, keepdims=False, ord=2",
}
ONE_AXIS = "x, /, *, n=None, axis=-1, norm='backward'"
SEVERAL_AXES = "x, /, *, s=None, axes=None, norm='backward'"
FFT = {
    **{name: ONE_AXIS for name in "fft ifft rfft irfft hfft ihfft".split()},
    **{name: SEVERAL_AXES for name in "fftn ifftn rfftn irfftn".split()},
    "fftfreq": "n, /, *, d=1.0, dtype=None, device=None",
    "rfftfreq": "n, /, *, d=1.0, dtype=None, device=None",
    "fftshift": "x, /, *, axes=None",
    "ifftshift": "x, /, *, axes=None",
}
INFO = {
    "capabilities": "",
    "default_device": "",
    "default_dtypes": "*, device=None",
    "devices": "",
    "dtypes": "*, device=None, kind=None",
}
SPACES = {"": MAIN, "linalg": LINALG, "fft": FFT, "info": INFO}
ROWS = [(space, name) for space, names in SPACES.items() for name in names]

BY_POSITION = {
    *((name, "dtype") for name in "arange asarray empty eye full ones zeros".split()),
    ("eye", "k"),
}
DTYPES = """bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64
    complex128""".split()
CONSTANTS = {"e": math.e, "inf": math.inf, "nan": math.nan, "newaxis": None, "pi": math.pi}
KEYWORD, POSITION = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


def space_named(name):
    if name == "info":
        return tensord.__array_namespace_info__()
    return getattr(tensord, name) if name else tensord


def test_how_many():
    assert [len(names) for names in SPACES.values()] == [134, 23, 14, 5]


@pytest.mark.parametrize("space, name", ROWS, ids=[".".join(row).strip(".") for row in ROWS])
def test_signature(space, name):
    wanted = inspect.signature(eval(f"lambda {SPACES[space][name]}: 0")).parameters
    got = dict(inspect.signature(getattr(space_named(space), name)).parameters)
    for i, (key, parameter) in enumerate(wanted.items()):
        assert key in got, f"{key} of {list(wanted)} is missing"
        mine = got.pop(key)
        assert mine.default == parameter.default, mine
        if (name, key) in BY_POSITION and mine.kind == POSITION:
            continue
        assert mine.kind == parameter.kind, f"{key}: {mine.kind.description}"
        if parameter.kind != KEYWORD:
            in_order = list(inspect.signature(getattr(space_named(space), name)).parameters)
            assert in_order[i] == key
    for more in got.values():
        assert more.kind == KEYWORD and more.default is not more.empty, more


@pytest.mark.parametrize("space", ["", "linalg", "fft"])
def test_names_are_exported(space):
    module = space_named(space)
    assert set(SPACES[space]) <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


def test_import_all():
    names = {}
    exec("from tensord import *", names)
    assert {*MAIN, *DTYPES, *CONSTANTS, "linalg", "fft"} <= set(names)
    assert names["abs"] is tensord.abs and "open" not in names


def test_constants():
    for name, value in CONSTANTS.items():
        got = getattr(tensord, name)
        assert got is value or got == value or (math.isnan(got) and math.isnan(value)), name
        assert name in tensord.__all__
    assert tensord.__array_api_version__ == "2024.12"


# ---- dtypes ----


@pytest.mark.parametrize("name", DTYPES)
def test_dtype_objects(name):
    dtype = getattr(tensord, name)
    assert isinstance(dtype, numpy.dtype) and dtype == numpy.dtype(name) and name in tensord.__all__
    assert tensord.finfo(dtype) if dtype.kind in "fc" else True
    assert hash(dtype) == hash(numpy.dtype(name)) and len({dtype, numpy.dtype(name)}) == 1


def test_dtype_of_an_array(daemon):
    with daemon.connect() as client:
        for name in DTYPES:
            assert client.put(numpy.zeros(3, name)).dtype == getattr(tensord, name)
            assert tensord.zeros(2, dtype=getattr(tensord, name), client=client).dtype == name


@pytest.mark.parametrize("name", ["float32", "float64", "complex64", "complex128"])
def test_finfo(name):
    real = numpy.dtype(name).type(0).real.dtype
    info, wanted = tensord.finfo(getattr(tensord, name)), numpy.finfo(real)
    assert info.dtype == real and info.bits == real.itemsize * 8 and type(info.bits) is int
    for key in ("eps", "max", "min", "smallest_normal"):
        value = getattr(info, key)
        assert type(value) is float and value == float(getattr(wanted, key))
    assert tensord.finfo(numpy.zeros(2, name)).max == info.max


@pytest.mark.parametrize("name", [name for name in DTYPES if "int" in name])
def test_iinfo(name):
    info, wanted = tensord.iinfo(name), numpy.iinfo(name)
    assert (info.bits, info.min, info.max) == (wanted.bits, wanted.min, wanted.max)
    assert {type(info.bits), type(info.min), type(info.max)} == {int} and info.dtype == name


def test_no_limits_of_other_kinds():
    for function, dtype in ((tensord.finfo, "int8"), (tensord.iinfo, "float32"),
                            (tensord.iinfo, "bool"), (tensord.finfo, "float16")):
        with pytest.raises(tensord.DtypeError, match=dtype):
            function(dtype)


KINDS = {
    "bool": ["bool"],
    "signed integer": ["int8", "int16", "int32", "int64"],
    "unsigned integer": ["uint8", "uint16", "uint32", "uint64"],
    "real floating": ["float32", "float64"],
    "complex floating": ["complex64", "complex128"],
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]


@pytest.mark.parametrize("kind", KINDS)
def test_isdtype(kind):
    assert [name for name in DTYPES if tensord.isdtype(getattr(tensord, name), kind)] == [
        name for name in DTYPES if name in KINDS[kind]
    ]
    info = tensord.__array_namespace_info__()
    wanted = {name: getattr(tensord, name) for name in DTYPES if name in KINDS[kind]}
    assert info.dtypes(kind=kind) == wanted == info.dtypes(kind=(kind, kind), device="cpu")


def test_isdtype_of_dtypes_and_tuples():
    assert tensord.isdtype(tensord.int8, tensord.int8)
    assert not tensord.isdtype(tensord.int8, tensord.int16)
    assert tensord.isdtype(tensord.int8, (tensord.float32, "signed integer"))
    assert not tensord.isdtype(tensord.int8, ())
    assert tensord.isdtype(kind=("bool", ("numeric",)), dtype=tensord.complex64)
    for kind in ("integer", "", ("bool", "floating")):
        with pytest.raises(tensord.ArgumentError, match="is no kind of dtype"):
            tensord.isdtype(tensord.int8, kind)


def test_result_type_as_numpy():
    for a in DTYPES:
        for b in DTYPES:
            wanted = numpy.promote_types(a, b)
            assert tensord.result_type(getattr(tensord, a), b) == wanted, (a, b)
            assert tensord.can_cast(a, b) == (wanted == numpy.dtype(b)), (a, b)


def test_result_type_is_what_is_computed(daemon):
    with daemon.connect() as client:
        for a in DTYPES:
            x = client.put(numpy.ones(2, a))
            for scalar in (True, 2, 2.5, 2j):
                got = tensord.result_type(x, scalar)
                assert got == tensord.add(x, scalar).dtype == tensord.result_type(scalar, a)
            for b in DTYPES:
                wanted = tensord.multiply(x, client.put(numpy.ones(1, b))).dtype
                assert tensord.result_type(x, b) == wanted
            assert tensord.can_cast(x, a) and tensord.can_cast(x, "complex128")


def test_result_type_of_several():
    assert tensord.result_type("int8", "uint8", "float32", 1.5) == tensord.float32
    assert tensord.result_type("int8", 1, True) == tensord.int8
    assert tensord.result_type("bool", 1) == tensord.int64
    assert tensord.result_type("float32", 1j) == tensord.complex64
    assert tensord.result_type(numpy.float32(1), numpy.zeros(3, "int8"), 7) == tensord.float32
    assert tensord.result_type(1, 2.0) == tensord.float64
    with pytest.raises(tensord.ArgumentError):
        tensord.result_type()
    with pytest.raises(tensord.DtypeError, match="float16"):
        tensord.result_type("float16")


# ---- what the library says of itself ----


def test_info(daemon):
    info = tensord.__array_namespace_info__()
    capabilities = info.capabilities()
    assert capabilities == {
        "boolean indexing": True, "data-dependent shapes": True, "max dimensions": 16,
    }
    assert info.devices() == [info.default_device()]
    assert info.default_dtypes() == info.default_dtypes(device=info.default_device()) == {
        "real floating": tensord.float64, "complex floating": tensord.complex128,
        "integral": tensord.int64, "indexing": tensord.int64,
    }
    assert info.dtypes() == {name: getattr(tensord, name) for name in DTYPES}
    with pytest.raises(ValueError, match="cpu"):
        info.dtypes(device="gpu")
    with daemon.connect() as client:
        most = (1,) * capabilities["max dimensions"]
        assert tensord.zeros(most, device=info.devices()[0], client=client).shape == most
        with pytest.raises(tensord.TensordError):
            tensord.zeros((1, *most), client=client)
