# SPDX-License-Identifier: MIT
"""Functions that are traced once, and computed in one request from then on.

To trace is to call the function with arrays that have dtype and shape, and no value: their values
are parameters of a block, which becomes a definition in the daemon (`Client.define`). A client
keeps its traces, by function and by what the arguments are, so that they go with the connection.
Nothing is locked: two threads may trace the same at the same time, and one of the traces is kept.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, cast, overload

import numpy

from ._array import Array, TracedNumber, client_of, default_client, is_traced
from ._compose import as_it_is
from ._define import Function
from ._errors import TensordError
from ._evaluate import evaluate
from ._force import force
from ._graph import Block, Input, Node, Value, emit_definition, open_blocks, sort
from ._operands import as_operand, bits_of, check_range, default_number
from ._tree import flatten, unflatten

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from typing import Any, ParamSpec, TypeAlias, TypeVar

    from ._client import Client
    from ._tree import Structure
    from ._types import Term, Type

    P = ParamSpec("P")
    R = TypeVar("R")
    _Decorator: TypeAlias = "Callable[[Callable[P, R]], Callable[P, R]]"
    #: By what the arguments are, the one used longest ago first.
    Traces: TypeAlias = "dict[Hashable, Trace]"

# Traces that a function keeps for each client; the one used longest ago goes.
_TRACES_MAX = 128


@overload
def jit(
    function: Callable[P, R],
    /,
    *,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Callable[P, R]:
    ...


@overload
def jit(
    function: None = None,
    /,
    *,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    ...


def jit(
    function: Callable[P, R] | None = None,
    /,
    *,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function be traced once, and computed in one request by each later call.

    It is called with arrays that are being traced: they have dtype and shape, but no value, so
    ``if``, ``float`` and so on of them are refused; `where`, `fori_loop` and `while_loop` are for
    what depends on values. The operations are kept by the daemon, for the shapes and dtypes of the
    arguments, the types of numbers and the values of static arguments; other ones are traced anew.

    Parameters
    ----------
    function : callable
        Its arguments, and what it returns: arrays, numbers, and nested tuples, lists and dicts of
        such. What else it uses, arrays of outside included, is as it was when it was traced; but
        mutable ones are read by each call. Of a number of Python's, only the type is known; one
        that does not fit the integers that it meets is refused, as without. What is computed from
        numbers alone is one, too, but wraps.
    static_argnums : int or sequence of int
        Positions of arguments that are passed on as they are; hashable.
    static_argnames : str or sequence of str
        Likewise, by their names.

    Returns
    -------
    callable

    Raises
    ------
    ArgumentError
        By a call: a value of something traced is asked for, or a shape that depends on values.
    LinAlgError, OutOfRange, ...
        By a call: an operation failed on its data; a note says in which line it was traced.

    Examples
    --------
    >>> import tensord
    >>> @tensord.jit
    ... def step(x, dt):
    ...     return x + dt * (1 - x)
    >>> step(tensord.zeros(2), 0.5).tolist()
    [0.5, 0.5]
    """
    if function is None:
        options = {"static_argnums": static_argnums, "static_argnames": static_argnames}
        return cast("_Decorator[P, R]", functools.partial(jit, **options))
    if isinstance(static_argnums, int):
        static_argnums = (static_argnums,)
    if isinstance(static_argnames, str):
        static_argnames = (static_argnames,)
    traced = Traced(function, frozenset(static_argnums), frozenset(static_argnames))

    @functools.wraps(function)
    def wrapper(*args: P.args, **keywords: P.kwargs) -> R:
        result: R = traced.call(args, keywords)
        return result

    return wrapper


class _Static:
    """An argument that is passed on as it is."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Traced:
    """A function and its traces, by client and by what the arguments are."""

    def __init__(
        self,
        function: Callable[..., Any],
        static_numbers: frozenset[int],
        static_names: frozenset[str],
    ) -> None:
        self._function = function
        self._numbers = static_numbers
        self._names = set(static_names)
        if static_names or static_numbers:
            try:
                parameters = list(inspect.signature(function).parameters)
            except (TypeError, ValueError):
                parameters = []
            self._names.update(parameters[i] for i in static_numbers if i < len(parameters))
            self._numbers |= {i for i, name in enumerate(parameters) if name in self._names}

    def call(self, args: Sequence[Any], keywords: dict[str, Any]) -> Any:
        args = [_Static(x) if i in self._numbers else x for i, x in enumerate(args)]
        keywords = {
            name: _Static(keywords[name]) if name in self._names else keywords[name]
            for name in sorted(keywords)
        }
        leaves, structure = flatten((args, keywords))
        if open_blocks() or any(isinstance(leaf, Array) and is_traced(leaf) for leaf in leaves):
            tree = [leaf.value if isinstance(leaf, _Static) else leaf for leaf in leaves]
            args, keywords = unflatten(structure, tree)
            return self._function(*args, **keywords)  # a part of what is being traced
        key = structure, tuple([_key_of(leaf) for leaf in leaves])
        client = client_of(leaves) or default_client()
        traces = client._traces.setdefault(self, {})  # by key, the one used longest ago first
        trace = traces.pop(key, None)
        if trace is None:
            trace = Trace(client, self._function, leaves, structure)
        traces[key] = trace
        if len(traces) > _TRACES_MAX:
            traces.pop(next(iter(traces)), None)
        return trace.call(leaves)


def _is_number(leaf: object) -> bool:
    return type(leaf) in (bool, int, float, complex)


def _typed(value: object) -> Hashable:
    """What tells a static argument apart from others: 1 from 1.0 and True, 0.0 from -0.0."""
    if isinstance(value, tuple):
        return type(value), tuple(map(_typed, value))
    if isinstance(value, frozenset):
        return type(value), frozenset(map(_typed, value))
    return type(value), bits_of(value) if isinstance(value, (float, complex)) else value


def _key_of(leaf: Any) -> Any:
    """What a trace depends on."""
    if isinstance(leaf, _Static):
        return _Static, _typed(leaf.value)
    if _is_number(leaf):
        return type(leaf)
    operand = as_operand(leaf)
    return operand._number, operand.shape, _is_element(leaf)


def _is_element(leaf: object) -> bool:
    """Is it a number, though of a dtype: a result or an element, no array without axes?"""
    return isinstance(leaf, numpy.generic) or (isinstance(leaf, Array) and leaf._is_number)


class Trace:
    """A definition in the daemon, and what calls of it need."""

    def __init__(
        self,
        client: Client,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        structure: Structure,
    ) -> None:
        block = Block(None, is_function=True)
        self._is_argument = [not isinstance(leaf, _Static) for leaf in leaves]
        self._parameters: list[Value] = []
        self._nodes: list[Node] = []
        traced = []
        for leaf in leaves:
            is_static = isinstance(leaf, _Static)
            traced.append(leaf.value if is_static else self._add(client, leaf, block))
        open_blocks().append((block, []))
        try:
            args, keywords = unflatten(structure, traced)
            results, self._structure = flatten(function(*args, **keywords))
            operands = [as_operand(as_it_is(x, client))._operand() for x in results]
        finally:
            open_blocks().pop()
            block.is_open = False
        self._function: Function | None = None
        serials = [value.serial for value in self._parameters]
        self._met = [(serials.index(serial), number) for serial, number in block.met]
        if operands:
            self._define(client, operands, block)

    def _add(self, client: Client, leaf: Any, block: Block) -> Array:
        if _is_number(leaf):
            kind: type[Array] = TracedNumber
            type_: Type = (default_number(leaf), ())
        else:
            operand = as_operand(leaf)
            kind, type_ = Array, (operand._number, operand.shape)
        node = Node("", block=block)
        value = Value(node, 0, type_)
        self._parameters.append(value)
        array = kind(client, value)
        array._is_made = kind is Array and not _is_element(leaf)
        return array

    def _define(self, client: Client, operands: Sequence[Term], block: Block) -> None:
        values = [x if isinstance(x, Value) else Input(x) for x in operands]
        leaves, self._nodes = sort(values, block)
        force(client, [x for x in leaves if isinstance(x, Value) and x.node is not None])
        parameters = self._parameters
        builder, numbers, bound = emit_definition(parameters, leaves, self._nodes, values)
        native = client._native.define(builder, tuple(numbers))
        self._function = Function(client, native, tuple(parameters), bound, len(numbers))

    def call(self, leaves: Sequence[Any]) -> Any:
        args = [leaf for leaf, is_one in zip(leaves, self._is_argument) if is_one]
        for i, number in self._met:
            check_range(args[i], number)
        if self._function is None:
            return unflatten(self._structure, ())
        evaluate(*[arg for arg in args if isinstance(arg, Array)])
        try:
            results = self._function(*args)
        except TensordError as problem:
            self._tell_place(problem)
            raise
        return unflatten(self._structure, results if isinstance(results, tuple) else (results,))

    def _tell_place(self, problem: TensordError) -> None:
        if problem.node is not None and problem.node < len(self._nodes):
            place = self._nodes[problem.node].place
            if place is not None:
                problem.add_note("computed for %s:%d" % place)
