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

from . import (
    _array_functions_linalg,
    _array_functions_values,
    _assignment,
    _data_types,
    _default,
    _errors,
    _following,
    _functions,
    _methods,
    _lease,
    _native,
    _sharing,
    _notebook,
    _operators,
    _protocols,
    _traceback,
    aio,
    fft,
    linalg,
    random,
)
from ._array import Array, evaluate as eval
from ._client import Client, Record, connect
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
from ._errors import TensordError
from ._einsum import einsum
from ._csv import csv_batches, read_csv
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
    assign,
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
    take,
    take_along_axis,
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
from ._searching import nonzero, searchsorted
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

__version__ = _native.VERSION

globals().update(_default.FUNCTIONS)
globals().update(_errors.classes)
globals().update(_data_types.BY_NAME)  # bool, int8, ..., as the standard has them

# All names of the standard, as numpy's; but nobody's `open` and `list` are hidden by "import *".
__all__ = [name for name in globals() if name[0] != "_" and name not in ("list", "open")]
__all__ += ["__array_api_version__", "__array_namespace_info__"]

# What a mistake shows ends where the user called one of these.
for _owner in (
    *(_sys.modules[__name__], linalg, fft, random),
    *(Array, Client, Function, Program, Unsealed, _lease.Lease, _operators.Operators),
):
    _traceback.make_public(_owner)
