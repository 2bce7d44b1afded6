# SPDX-License-Identifier: MIT
"""Plans: what a request for some pending values has in it.

The nodes that they need, what these need that exists, which of their values become tensors with the
wanted ones, and whose memory may be given away for that (`_force` says by which rules). Who refers
to a value is counted by Python itself (`_n_references`): what is above the references from within
the program is somebody else's. Too many only mean that less is given away, or more kept.

What is more than a request may have is cut: some of it is to be computed before.
"""

from __future__ import annotations

import collections
import math
import sys
from typing import TYPE_CHECKING

from . import _native
from ._dtypes import DTYPES, ITEM_SIZES
from ._errors import TensordError, error
from ._graph import Value, run_of
from ._narrow import ELEMENTWISE, Busy, Narrowing
from ._tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._force import Run
    from ._graph import Loop, Node
    from ._types import OperandKey, Term

# Operations whose results lie in memory only where somebody keeps them: the engine fuses them.
_FUSED = ELEMENTWISE | frozenset(
    "permute_dims slice reshape broadcast_to zeros ones full arange eye linspace".split()
)

# Memory of smaller ones is not worth asking who else refers to it.
DONATED_MIN = 65536


def _n_references(held: object) -> int:
    """How many references there are to what a loop has in hand, beside the loop's."""
    return sys.getrefcount(held) - _own_references


def _count_own_references() -> int:
    count = 0
    for held in [object()]:
        count = _n_references(held) - 1
    return count


_own_references = 0
_trace = sys.gettrace()
sys.settrace(None)  # a debugger that looks on may refer to what is counted
try:
    _own_references = min(_count_own_references() for _ in range(3))
finally:
    sys.settrace(_trace)


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
    root_of : dict of int to operand
        What is computed for each wanted value, by its id: itself, or the same from parts of the
        operands.
    nodes : list of Node
        Each after those that it needs.
    part_of : dict of int to operand
        What is computed in place of nodes that are slices, by their serials: the same from parts of
        the operands.
    seen_through : list of Node
        Those that are not computed, but in whose place others read mutable tensors.
    leaves : list of operand
        What they need that exists.
    extra : list of Value
        Beside the wanted ones, those that are outputs too.
    donated : list of operand
        Those leaves that nothing else refers to: results may lie in their memory.
    busy : Run or None
        What must be waited for first; of the others only root_of counts then.
    parts : list of lists of Value
        What must be computed first, one after the other, since all of it is more than a request may
        have; likewise. It is to be planned anew then, for the same roots.
    """

    __slots__ = (
        "root_of",
        "nodes",
        "part_of",
        "seen_through",
        "leaves",
        "extra",
        "donated",
        "busy",
        "parts",
    )
    root_of: dict[int, Term]
    nodes: list[Node]
    part_of: dict[int, Term]
    seen_through: list[Node]
    leaves: list[Term]
    extra: list[Value]
    donated: list[Term]
    busy: Run | None
    parts: list[list[Value]]

    @property
    def is_complete(self) -> bool:
        """Is there nothing to be done first?"""
        return self.busy is None and not self.parts

    def __init__(
        self,
        wanted: Sequence[Value],
        is_alone: bool = False,
        root_of: Mapping[int, Term] | None = None,
        is_part: bool = False,
    ) -> None:
        self.parts = []
        self.part_of = {}
        self.leaves, self.extra, self.donated = [], [], []
        given = {} if root_of is None else root_of
        narrowing = Narrowing(is_alone)
        self.seen_through = narrowing.readers
        roots, operands, nodes = self._walk_from(wanted, given, narrowing, is_part)
        is_first = self.busy is not None or (not is_alone and is_large(self.nodes))
        if is_first and narrowing.readers:
            narrowing.begin_anew()  # there is no run to mark them with before all is computed
            roots, operands, nodes = self._walk_from(wanted, given, narrowing, is_part)
        if self.busy is not None:
            return
        if not is_alone and is_large(self.nodes):
            self.parts = parts_of(roots, wanted)
            if self.parts:
                return
        if any([node.op == "slice" for node in self.nodes]):
            self.part_of = narrowing.narrowed_within(self.nodes, roots)
            if self.part_of:
                operands, nodes, _ = self._walk(roots, True)
                if is_large(self.nodes):
                    self.part_of = {}
                    operands, nodes, _ = self._walk(roots, is_alone)
        self._look_around(set(map(id, roots)), operands, nodes)
        if is_alone:
            self.extra, self.donated = [], []

    def _walk_from(
        self,
        wanted: Sequence[Value],
        given: Mapping[int, Term],
        narrowing: Narrowing,
        is_part: bool,
    ) -> tuple[list[Term], list[Term], dict[int, Node]]:
        """What is computed for the wanted values, and `_walk` from there."""
        self.root_of = {**given}
        try:
            for value in wanted:
                if id(value) not in given:
                    self.root_of[id(value)] = value if is_part else narrowing.narrowed(value)
        except Busy as problem:
            self.busy = problem.run
            return [], [], {}
        roots = [self.root_of[id(value)] for value in wanted]
        operands, nodes, self.busy = self._walk(roots, narrowing.is_alone)
        return roots, operands, nodes

    def _walk(
        self, roots: Sequence[Term], in_depth: bool
    ) -> tuple[list[Term], dict[int, Node], Run | None]:
        """The operands, once for each reference from within the program, the nodes, and what is to
        be waited for. In depth: nodes soon after what they need, so that little is kept at a time;
        else in the order in which they were written.
        """
        nodes: dict[int, Node] = {}
        operands: list[Term] = [*roots]
        for operand in operands:
            node = operand.node
            if node is None:
                continue
            busy = run_of(node)
            if busy is not None:
                return operands, nodes, busy
            if node.serial not in nodes:
                if node.block is not None:
                    raise _traced(operand)
                nodes[node.serial] = node
                operands += _args_of(node, self.part_of)
        if in_depth:
            self.nodes = _in_depth(roots, self.part_of)
        else:
            self.nodes = [nodes[serial] for serial in sorted(nodes)]
        return operands, nodes, None

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


def _args_of(node: Node, part_of: Mapping[int, Term]) -> tuple[Term, ...]:
    """What it is computed from: its operands, or what stands for it."""
    part = part_of.get(node.serial)
    return node.args if part is None else (part,)


def _in_depth(roots: Sequence[Term], part_of: Mapping[int, Term]) -> list[Node]:
    """The pending nodes, each after those that it needs, and soon after them."""
    found: dict[int, Node] = {}
    stack = [root.node for root in reversed(roots) if root.node is not None]
    while stack:
        node = stack[-1]
        missing = [
            arg.node
            for arg in _args_of(node, part_of)
            if arg.node is not None and arg.node.serial not in found
        ]
        if missing and node.serial not in found:
            stack += reversed(missing)
        else:
            stack.pop()
            found.setdefault(node.serial, node)
    return [*found.values()]


def parts_of(roots: Sequence[Term], wanted: Sequence[Value]) -> list[list[Value]]:
    """What is to be computed before some values, so that no request is more than it may be.

    Parameters
    ----------
    roots : sequence of operand
    wanted : sequence of Value
        As many: what stands in the parts for a root.

    Returns
    -------
    list of list of Value
        For each part but the last what it yields that others need, or that is wanted. Along the
        depth, so that little of each has to be kept.
    """
    part_of: dict[int, int] = {}  # by serial
    n_parts, size = 1, _Size()
    nodes = _in_depth(roots, {})
    for node in nodes:
        size.add(node)
        if size.is_large and part_of:
            n_parts, size = n_parts + 1, _Size()
            size.add(node)
        part_of[node.serial] = n_parts - 1
    parts: list[dict[int, Value]] = [{} for _ in range(n_parts)]
    for node in nodes:
        for arg in node.args:
            if isinstance(arg, Value) and arg.node is not None:
                if part_of[arg.node.serial] < part_of[node.serial]:
                    parts[part_of[arg.node.serial]][id(arg)] = arg
    for root, value in zip(roots, wanted):
        if root.node is not None:
            parts[part_of[root.node.serial]][id(value)] = value
    return [[*part.values()] for part in parts[:-1]]


def lasting(values: Iterable[Term], nodes: Iterable[Node]) -> tuple[list[Value], bool]:
    """Of what a program needs, the values that are the same whenever it runs, and that others need
    which are not, since they read a mutable tensor; and the program's own values. Are there others?
    """
    changing: set[int] = set()
    found: dict[int, Value] = {}
    for node in nodes:  # each after those that it needs
        if any(
            getattr(arg._source, "is_mutable", False) if arg.node is None
            else arg.node.serial in changing
            for arg in node.args
        ):
            changing.add(node.serial)
            found.update((id(arg), arg) for arg in node.args if isinstance(arg, Value))
    found.update((id(value), value) for value in values if isinstance(value, Value))
    return [
        x for x in found.values() if x.node is not None and x.node.serial not in changing
    ], bool(changing)


def _n_inside(loop: Loop) -> int:
    """Values of a loop's body, those of loops within it too."""
    n = len(loop.parameters) + loop.n_captures
    return n + sum(1 + (_n_inside(node.loop) if node.loop else 0) for node in loop.nodes)


class _Size:
    """How much of a request nodes are."""

    __slots__ = ("seen", "n_inside", "n_bytes")

    def __init__(self) -> None:
        self.seen: set[OperandKey] = set()
        self.n_inside = 0
        self.n_bytes = 0

    def add(self, node: Node) -> None:
        self.seen.add((node.serial, 0))
        if node.loop is not None:
            self.n_inside += _n_inside(node.loop)
        for arg in node.args:
            if arg.key not in self.seen:
                self.seen.add(arg.key)
                if arg.node is None and type(arg._source) is not Tensor:
                    n_bytes = math.prod(arg.shape) * ITEM_SIZES[arg._number]
                    if n_bytes <= _native.INLINE_MAX:  # others do not travel with it
                        self.n_bytes += n_bytes

    @property
    def is_large(self) -> bool:
        """Is it more than half of the values, or of the bytes, that one request may have?"""
        half_of_values, half_of_bytes = _native.VALUES_MAX // 2, _native.MESSAGE_MAX // 2
        return len(self.seen) + self.n_inside > half_of_values or self.n_bytes > half_of_bytes


def is_large(nodes: Sequence[Node]) -> bool:
    """Are they more than half of a request? Then they are cut."""
    n_args = len(nodes) + sum(len(node.args) for node in nodes)
    if n_args * _native.INLINE_MAX <= _native.MESSAGE_MAX // 2:
        if all(node.loop is None for node in nodes):
            return False
    size = _Size()
    for node in nodes:
        size.add(node)
    return size.is_large


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
