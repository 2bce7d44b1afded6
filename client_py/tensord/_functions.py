# SPDX-License-Identifier: MIT
"""Operations as functions, by the names of the Python array API standard; _elementwise has more.

Operands are tensors, values of programs, arrays and Python numbers; where no tensor is among them,
the default client computes.
"""

import operator

from ._client import default_client
from ._dtypes import BOOL, FLOAT64, INT64, number_of
from ._errors import error
from ._graph import Node, Value, apply
from ._operands import as_operands
from ._operators import Operators, make


def call(op, args, attrs=None, client=None):
    """The result of an operation: a value if one is among the operands, else tensors."""
    args = as_operands(args)
    if client is None and any(isinstance(arg, Operators) for arg in args):
        return make(op, args, attrs)
    if any(isinstance(arg, Value) for arg in args):
        return apply(op, args, attrs)
    return (client or default_client())._force(Node(op, args, attrs))


def _named(function, op, doc):
    function.__name__ = function.__qualname__ = op
    function.__module__ = "tensord"
    function.__doc__ = doc
    return function


def matmul(x1, x2, /):
    """Matrix product, with numpy's rules for vectors and stacks.

    Parameters
    ----------
    x1 : (..., n, k) or (k,) Tensor, Value or array_like
    x2 : (..., k, m) or (k,) Tensor, Value or array_like
        Leading dimensions broadcast.
    """
    return call("matmul", (x1, x2))


def _tensor(x):
    return x if isinstance(x, Operators) else default_client().put(x)


def _reduction(op):
    method = getattr(Operators, op)

    def function(x, /, axis=None, keepdims=False):
        return method(_tensor(x), axis, keepdims)

    return _named(function, op, method.__doc__)


sum = _reduction("sum")
mean = _reduction("mean")
max = _reduction("max")
min = _reduction("min")


def permute_dims(x, /, axes):
    """The axes in the order given; negative ones count from the end. A view of a tensor."""
    return _tensor(x).permute_dims(axes)


def reshape(x, /, shape):
    """The same elements, in C order, under another shape; one extent may be -1."""
    return _tensor(x).reshape(_shape(shape))


def broadcast_to(x, /, shape):
    """A view of x repeated to a shape, by numpy's rule."""
    return _tensor(x)._broadcast(_shape(shape))


def _shape(shape):
    try:
        return (operator.index(shape),)
    except TypeError:
        return tuple(map(operator.index, shape))


def zeros(shape, dtype="float64", *, client=None):
    """A tensor of zeros.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : str or numpy.dtype
    client : Client, optional
        The default one where it is left out.
    """
    return call("zeros", (), {"shape": _shape(shape), "dtype": number_of(dtype)}, client)


def ones(shape, dtype="float64", *, client=None):
    """A tensor of ones; parameters as for `zeros`."""
    return call("ones", (), {"shape": _shape(shape), "dtype": number_of(dtype)}, client)


def full(shape, value, dtype=None, *, client=None):
    """A tensor of one value.

    Parameters
    ----------
    shape : int or tuple of int
    value : bool, int or float
    dtype : str or numpy.dtype, optional
        That of the value (bool, int64 or float64) where it is left out.
    client : Client, optional
    """
    if dtype is not None:
        number = number_of(dtype)
    else:
        number = BOOL if isinstance(value, bool) else INT64 if isinstance(value, int) else FLOAT64
    return call(
        "full", (), {"shape": _shape(shape), "value": _number(value), "dtype": number}, client
    )


def arange(start, stop=None, step=1, dtype=None, *, client=None):
    """Numbers from start on, step apart, before stop.

    Parameters
    ----------
    start, stop, step : int or float
        One alone is the stop, and start is 0 then.
    dtype : str or numpy.dtype, optional
        int64 if all are integers, else float64, where it is left out.
    client : Client, optional
    """
    if stop is None:
        start, stop = 0, start
    numbers = tuple(map(_number, (start, stop, step)))
    if dtype is not None:
        number = number_of(dtype)
    else:
        number = FLOAT64 if any(isinstance(x, float) for x in numbers) else INT64
    return call("arange", (), {"range": numbers, "dtype": number}, client)


def eye(n_rows, n_columns=None, k=0, dtype="float64", *, client=None):
    """A matrix with ones on its diagonal k, else zeros.

    Parameters
    ----------
    n_rows : int
    n_columns : int, optional
        As many as rows where it is left out.
    k : int
        0 is the main diagonal, positive ones lie above.
    dtype : str or numpy.dtype
    client : Client, optional
    """
    shape = (n_rows, n_rows if n_columns is None else n_columns)
    return call("eye", (), {"shape": shape, "dtype": number_of(dtype), "k": k}, client)


def _number(x):
    """A plain int or float, of whatever is one."""
    try:
        return operator.index(x)
    except TypeError:
        pass
    if hasattr(x, "__float__") and not isinstance(x, (str, bytes)):
        return float(x)
    raise error("bad_arguments", f"{x!r} is no number")
