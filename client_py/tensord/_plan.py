# SPDX-License-Identifier: MIT
"""Plans: what a request for some pending values has in it.

The nodes that they need, what these need that exists, which of their values become tensors with the
wanted ones, and whose memory may be given away for that (`_force` says by which rules). Who refers
to a value is counted by Python itself (`_n_references`): what is above the references from within
the program is somebody else's. Too many only mean that less is given away, or more kept.

What is more than a request may have is cut: its first part is to be computed before.
"""

from __future__ import annotations

import collections
import math
import os
import sys
import types
import weakref
from typing import TYPE_CHECKING

from . import _native
from ._dtypes import DTYPES, ITEM_SIZES
from ._errors import TensordError, error
from ._graph import Value
from ._narrow import ELEMENTWISE, narrowed
from ._tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ._force import Run
    from ._graph import Node
    from ._types import Term

# Operations whose results lie in memory only where somebody keeps them: the engine fuses them.
_FUSED = ELEMENTWISE | frozenset(
    "permute_dims slice reshape broadcast_to zeros ones full arange eye linspace".split()
)

# Memory of smaller ones is not worth asking who else refers to it.
DONATED_MIN = 65536


def _n_references(held: object) -> int:
    """How many references there are to what a loop has in hand, beside the loop's."""
    return sys.getrefcount(held) - _own_references


def without_tracing(count: Callable[[], int]) -> int:
    """What a function counts; a debugger that looks on may refer to what is counted itself."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        return min(count() for _ in range(3))
    finally:
        sys.settrace(trace)


def _count_own_references() -> int:
    count = 0
    for held in [object()]:
        count = _n_references(held) - 1
    return count


def _count_references() -> int:
    """To something that one object refers to, as `Array._operand_of_view` counts them."""
    holder = types.SimpleNamespace(base=object())
    base = holder.base
    return sys.getrefcount(base)


#: What it counts where that one object alone refers to it.
ALONE = without_tracing(_count_references)
_own_references = 0
_own_references = without_tracing(_count_own_references)


def run_of(node: Node) -> Run | None:
    """The run that computes a node, or None.

    One that another process began before it forked does not count, nor one that an exception ended
    before it had begun.
    """
    run = node.run
    if isinstance(run, weakref.ref):
        run = run()
    return run if run is not None and run.pid == os.getpid() else None


def n_pending(value: Value) -> int:
    """How many nodes have to be computed for it."""
    seen = set()
    operands: list[Term] = [value]
    for operand in operands:
        node = operand.node
        if node is not None and node.serial not in seen:
            seen.add(node.serial)
            operands += node.args
    return len(seen)


class Plan:
    """What a request for some values has in it.

    Attributes
    ----------
    roots : list of operand
        What is computed for the wanted values: them, or the same from parts of the operands.
    nodes : list of Node
        Each after those that it needs.
    leaves : list of operand
        What they need that exists.
    extra : list of Value
        Beside the wanted ones, those that are outputs too.
    donated : list of operand
        Those leaves that nothing else refers to: results may lie in their memory.
    busy : Run or None
        What must be waited for first; there is nothing else then.
    first : list of Value
        What must be computed first, since all of it is more than a request may have; likewise.
    """

    __slots__ = ("roots", "nodes", "leaves", "extra", "donated", "busy", "first")
    roots: list[Term]
    nodes: list[Node]
    leaves: list[Term]
    extra: list[Value]
    donated: list[Term]
    busy: Run | None
    first: list[Value]

    def __init__(self, wanted: Sequence[Value], is_alone: bool = False) -> None:
        self.busy = None
        self.first = []
        self.leaves, self.extra, self.donated = [], [], []
        for value in wanted:
            assert value.node is not None
            self.busy = run_of(value.node)
            if self.busy is not None:
                return
        self.roots = [narrowed(value, is_alone) for value in wanted]
        operands, nodes = self._walk()
        if self.busy is None and not is_alone and _is_large(operands):
            self.roots = [*wanted]  # parts are not there any more when it is planned anew
            operands, nodes = self._walk()
            self.first = self._first_part()
        if self.busy is not None or self.first:
            return
        self._look_around(set(map(id, self.roots)), operands, nodes)
        if is_alone:
            self.extra, self.donated = [], []

    def _walk(self) -> tuple[list[Term], dict[int, Node]]:
        """The operands, once for each reference from within the program, and the nodes."""
        nodes: dict[int, Node] = {}
        operands: list[Term] = [*self.roots]
        for operand in operands:
            node = operand.node
            if node is None:
                continue
            self.busy = run_of(node)
            if self.busy is not None:
                break
            if node.serial not in nodes:
                if node.block is not None:
                    raise _traced(operand)
                nodes[node.serial] = node
                operands += node.args
        self.nodes = [nodes[serial] for serial in sorted(nodes)]
        return operands, nodes

    def _first_part(self) -> list[Value]:
        """What the nodes yield that come first, and are no more than a request may have; nothing
        where all are.
        """
        part: set[int] = set()
        size = _Size()
        for node in self.nodes:
            size.add(node.args)
            if part and size.is_large:
                break
            part.add(node.serial)
        if len(part) == len(self.nodes):
            return []
        rest = [arg for node in self.nodes if node.serial not in part for arg in node.args]
        return [
            value
            for value in {id(x): x for x in (*rest, *self.roots)}.values()
            if isinstance(value, Value) and value.node and value.node.serial in part
        ]

    def _look_around(
        self, roots: set[int], operands: list[Term], nodes: dict[int, Node]
    ) -> None:
        """Who is referred to by others?"""
        counts = collections.Counter(map(id, operands))
        unique = {id(operand): operand for operand in operands}
        own: list[Term] = []
        live: list[Value] = []
        for operand in unique.values():
            # From within: the list of operands, the arguments of nodes, and unique.
            is_live = _n_references(operand) > 2 * counts[id(operand)] + 1
            if operand.node is None or operand.node.serial not in nodes:
                self.leaves.append(operand)
                if not is_live:
                    own.append(operand)
            elif is_live and id(operand) not in roots:
                live.append(operand)
        for node in self.nodes:
            for ref in node.results or ():
                value = ref()
                if value is not None and id(value) not in unique:
                    live.append(value)
        for value in live:
            if value.node is not None and value.node.op in _FUSED and not value.was_live:
                value.was_live = True
            else:
                self.extra.append(value)
        if len(self.extra) == len(live):  # else a leaf may be needed again
            self.donated = [leaf for leaf in own if _may_be_given_away(leaf)]


class _Size:
    """How much of a request operands are."""

    __slots__ = ("seen", "n_bytes")

    def __init__(self, operands: Iterable[Term] = ()) -> None:
        self.seen: set[int] = set()
        self.n_bytes = 0
        self.add(operands)

    def add(self, operands: Iterable[Term]) -> None:
        for operand in operands:
            if id(operand) not in self.seen:
                self.seen.add(id(operand))
                if operand.node is None:
                    n_bytes = math.prod(operand.shape) * ITEM_SIZES[operand._number]
                    if n_bytes <= _native.INLINE_MAX:  # others do not travel with it
                        self.n_bytes += n_bytes

    @property
    def is_large(self) -> bool:
        """Is it more than half of the values, or of the bytes, that one request may have?"""
        half_of_values, half_of_bytes = _native.VALUES_MAX // 2, _native.MESSAGE_MAX // 2
        return len(self.seen) > half_of_values or self.n_bytes > half_of_bytes


def _is_large(operands: Sequence[Term]) -> bool:
    if len(operands) * _native.INLINE_MAX <= _native.MESSAGE_MAX // 2:
        return False
    return _Size(operands).is_large


def _may_be_given_away(leaf: Term) -> bool:
    """Is it a large unnamed tensor to which nothing but the leaf refers?"""
    tensor = leaf._source
    if type(tensor) is not Tensor or tensor.nbytes < DONATED_MIN:
        return False
    if tensor.is_mutable or tensor._is_view or tensor.name is not None:
        return False
    # The leaf's slot, the name here, and the row; the tensor's slot and the row.
    for held, n_own in ((tensor, 3), (tensor._handle, 2)):
        if held is not leaf and _n_references(held) > n_own:
            return False
    return True


def _traced(value: Term) -> TensordError:
    return error(
        "bad_program",
        f"an array of shape {value.shape} and dtype {DTYPES[value._number]} that is being traced "
        "has no value yet; inside of jit and of loops use where() and while_loop() for what "
        "depends on it",
    )
