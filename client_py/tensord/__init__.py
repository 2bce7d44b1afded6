# SPDX-License-Identifier: MIT
"""tensord: tensors in shared memory, and a daemon that computes beside them.

>>> import numpy, tensord
>>> tensord.put(numpy.arange(6.0).reshape(2, 3), "x", replace=True).shape
(2, 3)
>>> x = tensord.get("x")                  # a numpy.ndarray over the shared memory
>>> x.flags.writeable
False
>>> (tensord.open("x") @ x.T + 1)         # computed by the daemon
Array([[ 6., 15.],
       [15., 51.]], shape=(2, 2), dtype=float64, 32 bytes)

The functions here use one client, connected by the first of them; `connect` makes others.
"""

import sys as _sys
from typing import TYPE_CHECKING

from . import (
    _array_functions_linalg,
    _array_functions_numerical,
    _array_functions_shaping,
    _array_functions_statistics,
    _array_functions_values,
    _assignment,
    _data_types,
    _default,
    _following,
    _functions,
    _methods,
    _lease,
    _native,
    _sharing,
    _notebook,
    _numpy_names,
    _operators,
    _protocols,
    _questions,
    _traceback,
    aio,
    fft,
    linalg,
    random,
)
from ._array import Array
from ._client import Client, connect
from ._columns import from_arrow, from_frame
from ._conversion import asarray, astype, from_dlpack, reshape
from ._default import default_client
from ._creation import (
    arange,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from ._creation_numpy import array, geomspace, identity, logspace
from ._data_types import can_cast, finfo, iinfo, isdtype, result_type
from ._define import Function
from ._errors import (
    ArgumentError,
    AxisError,
    Cancelled,
    Closed,
    ConnectionLost,
    DeadlineExceeded,
    DtypeError,
    FileError,
    InternalError,
    KernelError,
    LeaseConflict,
    LeaseLost,
    LimitError,
    LinAlgError,
    Lost,
    MutableTensor,
    NameTaken,
    NoDaemon,
    NotCreator,
    NotFound,
    NotOwner,
    NotSealed,
    OutOfMemory,
    OutOfRange,
    OutcomeUnknown,
    Poisoned,
    ProtocolError,
    QuotaExceeded,
    Sealed,
    ShapeError,
    SystemFailure,
    TensorGone,
    TensordError,
    Torn,
    UnknownOp,
    ValueRefused,
    VersionError,
)
from ._einsum import einsum
from ._csv import csv_batches, read_csv
from ._evaluate import evaluate as eval
from ._files import save, savez
from ._json import from_json, to_json
from ._elementwise import (
    abs as absolute,
    bitwise_invert as invert,
    bitwise_left_shift as left_shift,
    bitwise_right_shift as right_shift,
    conj as conjugate,
    divide as true_divide,
    pow as power,
    remainder as mod,
)
from ._elementwise import (
    abs,
    add,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clip,
    conj,
    copysign,
    divide,
    equal,
    exp,
    floor,
    floor_divide,
    greater,
    greater_equal,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    pow,
    real,
    reciprocal,
    remainder,
    round,
    sign,
    signbit,
    sqrt,
    square,
    subtract,
    trunc,
    where,
)
from ._functions import (
    broadcast_to,
    matmul,
    permute_dims,
)
from ._graph import Value
from ._products import tensordot, vecdot
from ._jit import jit
from ._loops import fori_loop, while_loop
from ._manipulation import (
    broadcast_arrays,
    concat,
    diff,
    expand_dims,
    flip,
    meshgrid,
    moveaxis,
    repeat,
    roll,
    squeeze,
    stack,
    tile,
    tril,
    triu,
    unstack,
)
from ._math import (
    acos as arccos,
    acosh as arccosh,
    asin as arcsin,
    asinh as arcsinh,
    atan as arctan,
    atan2 as arctan2,
    atanh as arctanh,
)
from ._math import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    expm1,
    hypot,
    log10,
    log1p,
    log2,
    logaddexp,
    sin,
    sinh,
    tan,
    tanh,
)
from ._namespace import (
    __array_api_version__,
    __array_namespace_info__,
    e,
    inf,
    nan,
    newaxis,
    pi,
)
from ._memory import Memory
from ._program import Program
from ._progress import progress
from ._questions import Record
from ._searching import nonzero, searchsorted
from ._selection import assign, take, take_along_axis
from ._sets import isin, unique_all, unique_counts, unique_inverse, unique_values
from ._sorting import argsort, sort, topk
from ._statistical import (
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    cumulative_prod,
    cumulative_sum,
    max,
    mean,
    min,
    prod,
    segment_sum,
    std,
    sum,
    var,
)
from ._unsealed import Unsealed
from .linalg import matrix_transpose

if TYPE_CHECKING:
    import numpy

__version__ = _native.VERSION

if TYPE_CHECKING:
    # The module's functions: methods of the default client.
    _client = default_client()
    cancel = _client.cancel
    create = _client.create
    define = _client.define
    delete = _client.delete
    get = _client.get
    holders = _client.holders
    list = _client.list
    load = _client.load
    memory = _client.memory
    open = _client.open
    open_id = _client.open_id
    ops = _client.ops
    ping = _client.ping
    publish = _client.publish
    put = _client.put
    run = _client.run
    share = _client.share
    stat = _client.stat
    wait = _client.wait

    # Data types, as the standard has them.
    bool: numpy.dtype[numpy.bool_]
    int8: numpy.dtype[numpy.int8]
    int16: numpy.dtype[numpy.int16]
    int32: numpy.dtype[numpy.int32]
    int64: numpy.dtype[numpy.int64]
    uint8: numpy.dtype[numpy.uint8]
    uint16: numpy.dtype[numpy.uint16]
    uint32: numpy.dtype[numpy.uint32]
    uint64: numpy.dtype[numpy.uint64]
    float32: numpy.dtype[numpy.float32]
    float64: numpy.dtype[numpy.float64]
    complex64: numpy.dtype[numpy.complex64]
    complex128: numpy.dtype[numpy.complex128]

    # numpy's functions beside those of the standard.
    from ._given_numpy import (
        allclose, amax, amin, angle, append, argpartition, argwhere, around, array_equal,
        array_equiv, array_split, atleast_1d, atleast_2d, atleast_3d, average, bincount,
        column_stack, compress, concatenate, copy, copyto, corrcoef, cov, cross, cumprod, cumsum,
        deg2rad, degrees, diag, diagflat, diagonal, digitize, divmod, dot, dstack, ediff1d, exp2,
        fabs, fill_diagonal, flatnonzero, fliplr, flipud, float_power, fmax, fmin, gradient,
        histogram, hsplit, hstack, inner, interp, intersect1d, isclose, iscomplexobj, isrealobj,
        kron, lexsort, median, nan_to_num, nancumprod, nancumsum, nanmax, nanmean, nanmedian,
        nanmin, nanprod, nanstd, nansum, nanvar, ndim, outer, pad, partition, percentile, polyval,
        ptp, quantile, rad2deg, radians, ravel, rint, rot90, select, setdiff1d, setxor1d, shape,
        size, split, swapaxes, trace, transpose, trapezoid, union1d, unique, vdot, vsplit, vstack,
    )
else:
    globals().update(_default.FUNCTIONS)
    globals().update(_data_types.BY_NAME)
    globals().update(_numpy_names.functions_of(""))
    vars(linalg).update(_numpy_names.functions_of("linalg"))
    vars(fft).update(_numpy_names.functions_of("fft"))

    def __getattr__(name: str) -> object:
        raise AttributeError(_numpy_names.missing(name), name=name, obj=_sys.modules[__name__])

# All names of the standard, as numpy's; but nobody's `open` and `list` are hidden by "import *".
__all__ = [
    "ArgumentError", "Array", "AxisError", "Cancelled", "Client", "Closed", "ConnectionLost",
    "DeadlineExceeded", "DtypeError", "FileError", "Function", "InternalError", "KernelError",
    "LeaseConflict", "LeaseLost", "LimitError", "LinAlgError", "Lost", "Memory", "MutableTensor",
    "NameTaken", "NoDaemon", "NotCreator", "NotFound", "NotOwner", "NotSealed", "OutOfMemory",
    "OutOfRange", "OutcomeUnknown", "Poisoned", "Program", "ProtocolError", "QuotaExceeded",
    "Record", "Sealed", "ShapeError", "SystemFailure", "TensorGone", "TensordError", "Torn",
    "UnknownOp", "Unsealed", "Value", "ValueRefused", "VersionError", "__array_api_version__",
    "__array_namespace_info__", "abs", "absolute", "acos", "acosh", "add", "aio", "all",
    "allclose", "amax", "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort",
    "argwhere", "around", "array", "array_equal", "array_equiv", "array_split", "asarray", "asin",
    "asinh", "assign", "astype", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d",
    "atleast_3d", "average", "bincount", "bitwise_and", "bitwise_invert", "bitwise_left_shift",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bool", "broadcast_arrays", "broadcast_to",
    "can_cast", "cancel", "ceil", "clip", "column_stack", "complex128", "complex64", "compress",
    "concat", "concatenate", "conj", "conjugate", "connect", "copy", "copysign", "copyto",
    "corrcoef", "cos", "cosh", "count_nonzero", "cov", "create", "cross", "csv_batches", "cumprod",
    "cumsum", "cumulative_prod", "cumulative_sum", "default_client", "define", "deg2rad",
    "degrees", "delete", "diag", "diagflat", "diagonal", "diff", "digitize", "divide", "divmod",
    "dot", "dstack", "e", "ediff1d", "einsum", "empty", "empty_like", "equal", "eval", "exp",
    "exp2", "expand_dims", "expm1", "eye", "fabs", "fft", "fill_diagonal", "finfo", "flatnonzero",
    "flip", "fliplr", "flipud", "float32", "float64", "float_power", "floor", "floor_divide",
    "fmax", "fmin", "fori_loop", "from_arrow", "from_dlpack", "from_frame", "from_json", "full",
    "full_like", "geomspace", "get", "gradient", "greater", "greater_equal", "histogram",
    "holders", "hsplit", "hstack", "hypot", "identity", "iinfo", "imag", "inf", "inner", "int16",
    "int32", "int64", "int8", "interp", "intersect1d", "invert", "isclose", "iscomplexobj",
    "isdtype", "isfinite", "isin", "isinf", "isnan", "isrealobj", "jit", "kron", "left_shift",
    "less", "less_equal", "lexsort", "linalg", "linspace", "load", "log", "log10", "log1p", "log2",
    "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "logspace", "matmul",
    "matrix_transpose", "max", "maximum", "mean", "median", "memory", "meshgrid", "min", "minimum",
    "mod", "moveaxis", "multiply", "nan", "nan_to_num", "nancumprod", "nancumsum", "nanmax",
    "nanmean", "nanmedian", "nanmin", "nanprod", "nanstd", "nansum", "nanvar", "ndim", "negative",
    "newaxis", "nextafter", "nonzero", "not_equal", "ones", "ones_like", "open_id", "ops", "outer",
    "pad", "partition", "percentile", "permute_dims", "pi", "ping", "polyval", "positive", "pow",
    "power", "prod", "progress", "ptp", "publish", "put", "quantile", "rad2deg", "radians",
    "random", "ravel", "read_csv", "real", "reciprocal", "remainder", "repeat", "reshape",
    "result_type", "right_shift", "rint", "roll", "rot90", "round", "run", "save", "savez",
    "searchsorted", "segment_sum", "select", "setdiff1d", "setxor1d", "shape", "share", "sign",
    "signbit", "sin", "sinh", "size", "sort", "split", "sqrt", "square", "squeeze", "stack",
    "stat", "std", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh",
    "tensordot", "tile", "to_json", "topk", "trace", "transpose", "trapezoid", "tril", "triu",
    "true_divide", "trunc", "uint16", "uint32", "uint64", "uint8", "union1d", "unique",
    "unique_all", "unique_counts", "unique_inverse", "unique_values", "unstack", "var", "vdot",
    "vecdot", "vsplit", "vstack", "wait", "where", "while_loop", "zeros", "zeros_like",
]

# What a mistake shows ends where the user called one of these.
for _module in _sys.modules[__name__], linalg, fft, random:
    _traceback.make_public(_module)
for _class in (
    *(Array, Client, _questions.Questions, Function, Program, Unsealed),
    *(_lease.Lease, _operators.Operators),
):
    _traceback.make_public(_class)
