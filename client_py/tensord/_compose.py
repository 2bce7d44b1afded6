# SPDX-License-Identifier: MIT
"""Functions that are compositions of operations."""

import functools

from ._array import array_of, client_of
from ._graph import Value, value_of
from ._operands import as_operands


def compose(function, *operands):
    """The result of a function of arrays, or of values of a program if one is among the operands.

    Parameters
    ----------
    function : callable
    *operands : Value, Array, array_like or number
    """
    operands = as_operands(operands)
    if any(isinstance(x, Value) for x in operands):
        return function(*map(value_of, operands))
    client = client_of(operands)
    return function(*(array_of(x, client) for x in operands))


def composition(n_operands):
    """Decorator: the first operands of a function on values may be whatever `compose` takes."""

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **keywords):
            operands, rest = args[:n_operands], args[n_operands:]
            return compose(lambda *values: function(*values, *rest, **keywords), *operands)

        return wrapper

    return decorate
