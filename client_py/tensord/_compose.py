# SPDX-License-Identifier: MIT
"""Functions that are compositions of operations: written on values, run as one request."""

import functools

from ._client import default_client
from ._graph import Input, Value
from ._operands import as_operands
from ._operators import Operators
from ._program import Program


def compose(function, *operands):
    """The result of a function of values.

    Parameters
    ----------
    function : callable
        From values to a value, or a tuple of values.
    *operands : Value, Tensor, array_like or number
        If one of them is a value of a program, the result is part of it; else it is computed, in
        one request.
    """
    operands = as_operands(operands)
    if any(isinstance(x, Value) for x in operands):
        return function(*(x if isinstance(x, Value) else Input(x) for x in operands))
    client = next((x.client for x in operands if isinstance(x, Operators)), None)
    result = function(*map(Input, operands))
    outputs = result if isinstance(result, tuple) else (result,)
    return (client or default_client()).run(Program(), *outputs)


def composition(n_operands):
    """Decorator: the first operands of a function on values may be whatever `compose` takes."""

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **keywords):
            operands, rest = args[:n_operands], args[n_operands:]
            return compose(lambda *values: function(*values, *rest, **keywords), *operands)

        return wrapper

    return decorate
