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
else:
    globals().update(_default.FUNCTIONS)
    globals().update(_data_types.BY_NAME)

# All names of the standard, as numpy's; but nobody's `open` and `list` are hidden by "import *".
__all__ = [
    "ArgumentError", "Array", "AxisError", "Cancelled", "Client", "Closed", "ConnectionLost",
    "DeadlineExceeded", "DtypeError", "FileError", "Function", "InternalError", "KernelError",
    "LeaseConflict", "LeaseLost", "LimitError", "LinAlgError", "Lost", "Memory",
    "MutableTensor", "NameTaken", "NoDaemon", "NotCreator", "NotFound", "NotOwner", "NotSealed",
    "OutOfMemory", "OutOfRange", "OutcomeUnknown", "Poisoned", "Program", "ProtocolError",
    "QuotaExceeded", "Record", "Sealed", "ShapeError", "SystemFailure", "TensorGone",
    "TensordError", "Torn", "UnknownOp", "Unsealed", "Value", "ValueRefused", "VersionError",
    "__array_api_version__", "__array_namespace_info__", "abs", "acos", "acosh", "add", "aio",
    "all", "any", "arange", "argmax", "argmin", "argsort", "asarray", "asin", "asinh", "assign",
    "astype", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bool", "broadcast_arrays",
    "broadcast_to", "can_cast", "cancel", "ceil", "clip", "complex128", "complex64", "concat",
    "conj", "connect", "copysign", "cos", "cosh", "count_nonzero", "create", "csv_batches",
    "cumulative_prod", "cumulative_sum", "default_client", "define", "delete", "diff", "divide",
    "e", "einsum", "empty", "empty_like", "equal", "eval", "exp", "expand_dims", "expm1", "eye",
    "fft", "finfo", "flip", "float32", "float64", "floor", "floor_divide", "fori_loop",
    "from_arrow", "from_dlpack", "from_frame", "from_json", "full", "full_like", "get",
    "greater", "greater_equal", "holders", "hypot", "iinfo", "imag", "inf", "int16", "int32",
    "int64", "int8", "isdtype", "isfinite", "isin", "isinf", "isnan", "jit", "less",
    "less_equal", "linalg", "linspace", "load", "log", "log10", "log1p", "log2", "logaddexp",
    "logical_and", "logical_not", "logical_or", "logical_xor", "matmul", "matrix_transpose",
    "max", "maximum", "mean", "memory", "meshgrid", "min", "minimum", "moveaxis", "multiply",
    "nan", "negative", "newaxis", "nextafter", "nonzero", "not_equal", "ones", "ones_like",
    "open_id", "ops", "permute_dims", "pi", "ping", "positive", "pow", "prod", "progress",
    "publish", "put", "random", "read_csv", "real", "reciprocal", "remainder", "repeat",
    "reshape", "result_type", "roll", "round", "run", "save", "savez", "searchsorted",
    "segment_sum", "share", "sign", "signbit", "sin", "sinh", "sort", "sqrt", "square",
    "squeeze", "stack", "stat", "std", "subtract", "sum", "take", "take_along_axis", "tan",
    "tanh", "tensordot", "tile", "to_json", "topk", "tril", "triu", "trunc", "uint16", "uint32",
    "uint64", "uint8", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    "unstack", "var", "vecdot", "wait", "where", "while_loop", "zeros", "zeros_like",
]

# What a mistake shows ends where the user called one of these.
for _module in _sys.modules[__name__], linalg, fft, random:
    _traceback.make_public(_module)
for _class in (
    *(Array, Client, _questions.Questions, Function, Program, Unsealed),
    *(_lease.Lease, _operators.Operators),
):
    _traceback.make_public(_class)
