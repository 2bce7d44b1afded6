# SPDX-License-Identifier: MIT
"""Graphs of operations, and the way from a graph to a request.

A graph is made of nodes that know their operands, and nothing else: nothing is numbered and nothing
is sent before `emit` writes what some values need into a builder of libtensord. What a value will
be - dtype and shape - is asked of the same inference that the daemon uses, when the value is made,
so that a mistake is raised on its own line.

The fields of nodes and values are those of the native types they derive from, where ordinary
operations on arrays make them without these constructors (`_native_compute.c`).

A loop's body is a block. A node belongs to the innermost block among those of its operands, so what
does not depend on the step stays outside of the loop by itself; what a body uses of the outside
becomes the loop's captures.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING

from . import _native
from ._errors import TensordError, error
from ._operands import Parameter
from ._operators import Operators

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

    from ._client import Client
    from ._force import Run
    from ._tensor import Tensor
    from ._types import (
        Attrs,
        Blocks,
        Leaf,
        Numbers,
        Operand,
        OperandKey,
        Shape,
        Term,
        Type,
        Types,
    )

OPS = {name: (number, n_results) for name, number, n_results, _, _ in _native.OPS}


def lookup(op: str) -> tuple[int, int]:
    """(number, number of results) of an operation."""
    try:
        return OPS[op]
    except (KeyError, TypeError):
        raise error("unknown_op", f"there is no operation {op!r}") from None


_local = threading.local()


def open_blocks() -> Blocks:
    """The blocks that this thread is writing, innermost last, each with what it watches."""
    try:
        blocks: Blocks = _local.blocks
    except AttributeError:
        blocks = _local.blocks = []
    return blocks


class Block:
    """The body of a loop while it is written, and after.

    Attributes
    ----------
    met : set of (int, int)
        Serials of the nodes of numbers that are parameters, and dtypes that these took.
    is_function : bool
        Is it that of a function, run by each call of it?
    """

    __slots__ = ("parent", "is_open", "serial", "met", "is_function")

    def __init__(self, parent: Block | None, is_function: bool = False) -> None:
        self.parent = parent
        self.is_function = is_function
        self.is_open = True
        self.met: set[tuple[int, int]] = set()
        self.serial = Node("").serial  # below those of the nodes that are written while it is

    def is_inside(self, other: Block | None) -> bool:
        """Is it the other block, or within it? None is the outermost."""
        block: Block | None = self
        while block is not None and block is not other:
            block = block.parent
        return block is other


def _block_of(operand: Term) -> Block | None:
    """A mutable tensor is of the function that is being traced: each call of that reads it."""
    if operand.node is not None:
        return operand.node.block
    if getattr(operand._source, "is_mutable", False):
        return next((block for block, _ in reversed(open_blocks()) if block.is_function), None)
    return None


def innermost(operands: Iterable[Term]) -> Block | None:
    """The block that a node over these operands belongs to; None is the outermost."""
    found: Block | None = None
    for operand in operands:
        block = _block_of(operand)
        if block is None or block is found:
            continue
        if not block.is_open:
            raise error(
                "bad_program", "a value of a loop's body is used outside of it; return or watch it"
            )
        if block.is_inside(found):
            found = block
        elif found is not None and not found.is_inside(block):
            raise error("bad_program", "values of two loops that are not one within the other")
    return found


_here = os.path.dirname(__file__)


def user_place() -> tuple[str, int]:
    """File and line of whoever called into this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_here):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


class Node(_native.Node):
    """One operation on operands.

    Attributes
    ----------
    op : str
        "": a value that a block is handed.
    args : tuple of operand
    attrs : dict, or None; of a user kernel a tuple of (dtype number, shape)
        The last: of its results.
    block : Block or None
    loop : Loop or None
    serial : int
        Above those of its operands' nodes.
    results : list of weak reference to Value, or None
        Of a node with several results.
    run : Run, weak reference to one, or None
        What computes it now; ask `run_of`.
    place : (str, int) or None
        File and line that wrote it, where it may fail and runs later.
    """

    __slots__ = ("__weakref__",)

    def __init__(
        self,
        op: str,
        args: tuple[Term, ...] = (),
        attrs: Attrs | tuple[Type, ...] | None = None,
        block: Block | None = None,
        loop: Loop | None = None,
    ) -> None:
        self.op = op
        self.args = args
        self.attrs = attrs
        self.block = block
        self.loop = loop


def run_of(node: Node) -> Run | None:
    """The run that computes a node, or None.

    One that another process began before it forked does not count, nor one that an exception ended
    before it had begun.
    """
    run = node.run
    if isinstance(run, weakref.ref):
        run = run()
    return run if run is not None and run.pid == os.getpid() else None


def run_of_any(nodes: Iterable[Node | None]) -> Run | None:
    """A run that computes one of them, or None."""
    runs = (run_of(node) for node in nodes if node is not None)
    return next((run for run in runs if run is not None), None)


class Loop:
    """What a loop node has beside its operands: the captured values, then the carried ones."""

    __slots__ = (
        "is_while",
        "n_steps",
        "n_captures",
        "parameters",
        "nodes",
        "results",
        "watch",
        "every",
        "at",
    )
    is_while: bool
    n_steps: int
    n_captures: int
    parameters: list[Value]
    nodes: list[Node]
    results: list[Term]
    watch: list[Term]
    every: int
    at: Shape


class Value(_native.Value, Operators):
    """What an operation of a program will yield; operators on it add operations.

    Attributes
    ----------
    node : Node or None
        None: it exists, as leaf.
    leaf : operand or None
    index : int
        Among the results of its node.
    cost : int
        Nodes that have to be computed for it: at most so many.
    was_live : bool
        Was it computed before, but not kept?
    shape : tuple of (int or None)
        None: an extent that depends on data. Such a value can only be an output.
    dtype : numpy.dtype
    """

    __slots__ = ("__weakref__",)
    _rank = 2

    def __init__(
        self, node: Node | None, index: int, type_: Type, leaf: Leaf | None = None
    ) -> None:
        if node is not None:
            self.node = node
            self.serial = node.serial
            self.index = index
        self._number, self._shape = type_
        self.leaf = leaf

    def _settle(self, tensor: Tensor) -> None:
        """From now on it exists, as a tensor."""
        self.leaf = tensor
        self._number, self._shape = tensor._number, tensor.shape
        self.cost = 0
        self.node = None

    def __repr__(self) -> str:
        return f"<tensord.Value shape={self.shape} dtype={self.dtype}>"

    def __bool__(self) -> NoReturn:
        raise TypeError("a value of a program has no truth value before the program has run")

    # By its hint it yields no array, so checkers do not take a value for what numpy takes.
    def __array__(self, dtype: object = None, copy: object = None) -> None:
        raise TypeError("a value of a program is no array before the program has run")

    def _make(self, op: str, args: tuple[Any, ...], attrs: Attrs | None = None) -> Any:
        return apply(op, args, attrs)

    def _operand(self) -> Value:
        return self

    @property
    def _source(self) -> Leaf | None:
        """The tensor, array or number that it stands for, if it exists."""
        return self.leaf

    def _add_to(self, builder: _native.Builder, client: Client) -> int:
        assert self.leaf is not None
        return self.leaf._add_to(builder, client)


class Input(Value):
    """A value that exists before the program runs: a tensor, an array or a number."""

    __slots__ = ()

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(None, 0, (leaf._number, leaf.shape), leaf)


def value_of(operand: Operand) -> Value:
    """What an operand is in a program: a value, pending or not."""
    term = operand._operand()
    return term if isinstance(term, Value) else Input(term)


def apply(
    op: str,
    args: Iterable[Operand],
    attrs: Attrs | tuple[Type, ...] | None = None,
    beside: Iterable[Term] = (),
) -> Any:
    """Value of an operation on operands; a tuple of values if the operation has several results.

    It belongs to the block of its operands and of those that it stands beside.
    """
    terms = tuple([arg._operand() for arg in args])
    node = Node(op, terms, attrs, innermost((*terms, *beside) if beside else terms))
    types = infer(node)
    if len(types) == 1:
        return Value(node, 0, types[0])
    return values_of(node, types)


def values_of(node: Node, types: Types) -> tuple[Value, ...]:
    """The results of a node, of these types."""
    return tuple([Value(node, i, type_) for i, type_ in enumerate(types)])


def unknown_shape(op: str) -> TensordError:
    """What is wrong with an argument of a shape with None."""
    return error(
        "bad_program",
        f"{op}: the shape of an argument depends on data; a result of such a shape can only be an "
        "output",
    )


def infer(node: Node) -> Types:
    """(dtype number, shape) of each result of a node; raises what is wrong with it."""
    for arg in node.args:
        if None in arg.shape:
            raise unknown_shape(node.op)
    if node.loop is not None:
        return _infer_loop(node, node.loop)
    if isinstance(node.attrs, tuple):  # of a user kernel, for which the daemon was asked
        return node.attrs
    return _native.infer(lookup(node.op)[0], node.args, node.attrs)


def _infer_loop(node: Node, loop: Loop) -> Types:
    builder = _native.Builder()
    numbers: Numbers = {arg.key: builder.parameter(arg._number, arg.shape) for arg in node.args}
    try:
        results = _emit_loop(builder, node, loop, numbers)
    except TensordError as problem:
        problem.node = None  # the number is that of this trial
        raise
    return [builder.type(number) for number in results]


def sort(values: Iterable[Term], block: Block | None) -> tuple[list[Term], list[Node]]:
    """What the values need within a block.

    Returns
    -------
    outside : list
        Operands that come from outside of the block (of the outermost: tensors, numbers, arrays).
    nodes : list of Node
        Each after those that it needs.
    """
    outside: dict[OperandKey, Term] = {}
    nodes: dict[int, Node] = {}
    operands = list(values)
    for operand in operands:  # those of the nodes that are met are appended
        node = operand.node
        if node is None or (block is not None and node.block is not block):
            outside[operand.key] = operand
        elif node.op and node.serial not in nodes:
            nodes[node.serial] = node
            operands += node.args
    return list(outside.values()), [nodes[serial] for serial in sorted(nodes)]


def _add_op(
    builder: _native.Builder, node: Node, args: tuple[int, ...]
) -> int | tuple[int, ...]:
    """The value of one operation, or a tuple of them if it has several results."""
    if isinstance(node.attrs, tuple):  # of a user kernel: types of the results
        values = builder.user(node.op.removeprefix("user."), args, node.attrs)
        return values[0] if len(values) == 1 else values
    op, n_results = lookup(node.op)
    return builder.op(op, args, node.attrs, n_results)


def emit_node(builder: _native.Builder, node: Node, numbers: Numbers) -> None:
    if node.loop is not None:
        results: int | tuple[int, ...] = _emit_loop(builder, node, node.loop, numbers)
    else:
        results = _add_op(builder, node, tuple([numbers[arg.key] for arg in node.args]))
    if isinstance(results, int):
        numbers[node.serial, 0] = results
        return
    for i, number in enumerate(results):
        numbers[node.serial, i] = number


def _emit_loop(
    builder: _native.Builder, node: Node, loop: Loop, numbers: Numbers
) -> tuple[int, ...]:
    args = tuple([numbers[arg.key] for arg in node.args])
    begin = builder.while_begin if loop.is_while else builder.loop_begin
    body = begin(loop.n_steps, args[: loop.n_captures], args[loop.n_captures :])
    inner: Numbers = dict(zip([arg.key for arg in node.args[: loop.n_captures]], body))
    for parameter, number in zip(loop.parameters, body[loop.n_captures :]):
        inner[parameter.key] = number
    for inner_node in loop.nodes:
        emit_node(builder, inner_node, inner)
    results = tuple([inner[value.key] for value in loop.results])
    if loop.is_while:
        return builder.while_end(results)
    return builder.loop_end(
        results,
        tuple([inner[value.key] for value in loop.watch]),
        loop.every,
        loop.at,
    )


def sort_outputs(values: Iterable[Term]) -> tuple[list[Term], list[Node]]:
    """What the values need, as `sort` has it; refused if they are of a loop's body."""
    for value in values:
        if value.node is not None and value.node.block is not None:
            raise error("bad_program", "a value of a loop's body is no output; return or watch it")
    return sort(values, None)


def emit(
    client: Client,
    values: Sequence[Term],
    leaves: Sequence[Term],
    nodes: Iterable[Node],
    donate: Sequence[Tensor] = (),
    into: Iterable[Tensor | None] = (),
) -> tuple[_native.Builder, list[int], list[int]]:
    """A builder that computes the values, their numbers in it, and those of what they go into.

    `leaves` and `nodes` are what the values need.
    The tensors in `donate`, each of them an input, are given away. Those in `into` are inputs of
    their own; -1 for None.
    """
    builder = _native.Builder()
    numbers: Numbers = {}
    for leaf in leaves:
        number = numbers[leaf.key] = leaf._add_to(builder, client)
        if donate and any(leaf._source is tensor for tensor in donate):
            builder.donate(number)
    for tensor in donate:
        if getattr(tensor, "_is_view", False):
            raise error(
                "bad_arguments", "a view cannot be donated, only the whole tensor that it is of"
            )
        if all(leaf._source is not tensor for leaf in leaves):
            raise error("bad_arguments", "what is donated must be a tensor that the outputs need")
    places = [-1 if tensor is None else tensor._add_to(builder, client) for tensor in into]
    for node in nodes:
        emit_node(builder, node, numbers)
    return builder, [numbers[value.key] for value in values], places


def emit_definition(
    parameters: Sequence[Value],
    leaves: Iterable[Term],
    nodes: Iterable[Node],
    values: Iterable[Term],
) -> tuple[_native.Builder, list[int], list[Term]]:
    """A builder that computes the values from parameters alone, and their numbers in it.

    `leaves` and `nodes` are what the values need. Its inputs are the parameters, then what else the
    values need: operands, returned last.
    """
    builder = _native.Builder()
    own = set(map(id, parameters))
    bound = [leaf for leaf in leaves if id(leaf) not in own]
    if any(isinstance(leaf._source, Parameter) for leaf in bound):
        raise error("bad_program", "a parameter of another program")
    numbers = {
        leaf.key: builder.parameter(leaf._number, leaf.shape) for leaf in (*parameters, *bound)
    }
    for node in nodes:
        emit_node(builder, node, numbers)
    return builder, [numbers[value.key] for value in values], bound
