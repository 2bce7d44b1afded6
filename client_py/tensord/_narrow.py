# SPDX-License-Identifier: MIT
"""Parts of pending values: only what they need of their operands is computed.

The engine computes a view of an element-wise value from views of its operands, as long as all is in
one region. A part of something large must not depend on that: here it is taken of the operands
before the program is written, down to what lies in memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._graph import Node, Value, apply, run_of
from ._index import Index
from ._tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias, TypeGuard

    from ._force import Run
    from ._types import OperandKey, Term

    #: Along each axis: first, how many, how far apart.
    _Part: TypeAlias = tuple[tuple[int, int, int], ...]

_FILLED = frozenset(("zeros", "ones", "full"))

# Operations whose element i needs elements i of the operands, and no other.
ELEMENTWISE = frozenset(
    "add subtract multiply divide pow maximum minimum negative abs sqrt exp log expm1 log1p log2 "
    "log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh atan2 hypot logaddexp equal "
    "not_equal less less_equal greater greater_equal floor_divide remainder bitwise_and bitwise_or "
    "bitwise_xor bitwise_invert bitwise_left_shift bitwise_right_shift logical_and logical_or "
    "logical_xor logical_not ceil floor trunc round sign signbit copysign nextafter isfinite isinf "
    "isnan clip square reciprocal real imag conj complex where astype".split()
)

# Operations that the engine computes along with a slice of an element-wise value.
_COMPUTES_ON = ELEMENTWISE | frozenset(
    "slice permute_dims sum prod mean var std max min argmax argmin any all count_nonzero".split()
)

# So many elements of an operation are computed while one more is written into a request.
_WORTH = 32768

_SEEN_THROUGH = ELEMENTWISE | _FILLED | {"permute_dims", "broadcast_to", "slice"}


class Busy(Exception):
    """A node that would be looked into is being computed: what it needs may be given away then."""

    def __init__(self, run: Run) -> None:
        self.run = run


def _check_idle(node: Node) -> None:
    run = run_of(node)
    if run is not None:
        raise Busy(run)


def _reads_mutable(node: Node) -> bool:
    sources = [arg._source for arg in node.args if arg.node is None]
    return any([type(source) is Tensor and source.is_mutable for source in sources])


class Narrowing:
    """Of one plan: slices of what is pending, computed from parts of the operands.

    What is computed in part is marked. The next time it is computed as a whole, so that it can be
    kept where somebody refers to it; unless a plan is alone, since there was no memory for more.

    Attributes
    ----------
    is_alone : bool
    readers : list of Node
        Those in whose place other nodes read a mutable tensor. Who writes it knows these nodes, and
        not the others: they are to be marked with the others' run.
    """

    def __init__(self, is_alone: bool) -> None:
        self.is_alone = is_alone
        self._looked_into: set[OperandKey] = set()
        self._sees_readers = True
        self.readers: list[Node] = []

    def begin_anew(self) -> None:
        """From now on nothing reads a mutable tensor in place of others."""
        self._sees_readers = False
        self.readers.clear()

    def narrowed(self, value: Value) -> Term:
        """The same value, computed from parts if it is a small part; else itself. Raises Busy."""
        node = value.node
        assert node is not None
        _check_idle(node)
        if node.op in ("reshape", "permute_dims") and isinstance(node.args[0], Value):
            if node.args[0].node is None:
                return value
            part = self.narrowed(node.args[0])
            if part is not node.args[0]:
                value = apply(node.op, (part,), node.attrs)
            return value
        if node.op != "slice":
            return value
        whole = node.args[0]
        if whole.node is None or 2 * math.prod(value.shape) > math.prod(whole.shape):
            return value
        return self._part_of(node, {})

    def narrowed_within(
        self, nodes: Iterable[Node], roots: Iterable[Term]
    ) -> dict[int, Term]:
        """The same for those of a plan's nodes that are slices, by their serials: where nobody
        needs the whole, and it takes longer than to write parts of its operations into the request.
        One slice, with which the engine computes on, is left to that.
        """
        slices: dict[OperandKey, list[Node]] = {}
        whole = {root.key for root in roots}
        in_memory: set[OperandKey] = set()
        for node in nodes:
            for arg in node.args:
                if node.op == "slice" and self._is_looked_into(arg):
                    slices.setdefault(arg.key, []).append(node)
                else:
                    whole.add(arg.key)
                if node.op not in _COMPUTES_ON:
                    in_memory.add(arg.key)
        known: dict[tuple[OperandKey, _Part], Term] = {}
        result: dict[int, Term] = {}
        for key, of_one in slices.items():
            size = math.prod(of_one[0].args[0].shape)
            is_small = 2 * sum(math.prod(node.attrs["shape"]) for node in of_one) <= size
            is_worth_it = self.is_alone or (
                len(of_one) * _WORTH <= size
                and (len(of_one) > 1 or (of_one[0].serial, 0) in in_memory)
            )
            if key not in whole and is_small and is_worth_it:
                result.update((node.serial, self._part_of(node, known)) for node in of_one)
        return result

    def _part_of(self, node: Node, known: dict[tuple[OperandKey, _Part], Term]) -> Term:
        """What a slice yields; known: (key of a value, index) -> its part."""
        whole = node.args[0]
        index = tuple(zip(node.attrs["start"], node.attrs["shape"], node.attrs["step"]))
        stack: list[tuple[Term, _Part]] = [(whole, index)]
        while stack:
            what = stack[-1]
            parts = self._parts_needed(*what)
            missing = [part for part in parts if (part[0].key, part[1]) not in known]
            if missing:
                stack += missing
                continue
            stack.pop()
            known[what[0].key, what[1]] = self._make_part(
                *what, [known[arg.key, inner] for arg, inner in parts]
            )
        return known[whole.key, index]

    def _is_looked_into(self, value: Term) -> TypeGuard[Value]:
        if not isinstance(value, Value) or value.node is None:
            return False
        _check_idle(value.node)
        if value.node.op not in _SEEN_THROUGH:
            return False
        if not self._sees_readers and _reads_mutable(value.node):
            return False
        return self.is_alone or not value.was_live or value.key in self._looked_into

    def _parts_needed(self, value: Term, index: _Part) -> list[tuple[Term, _Part]]:
        """Parts of operands that a part is made of: (value, index) of each."""
        if not self._is_looked_into(value):
            return []
        node = value.node
        assert node is not None
        if node.op == "permute_dims":
            axes = [axis % len(index) for axis in node.attrs["axes"]]
            inner = tuple([index[axes.index(axis)] for axis in range(len(index))])
            return [(node.args[0], inner)]
        if node.op == "slice":
            outer = zip(node.attrs["start"], node.attrs["step"], index)
            inner = tuple([(at + by * start, n, by * step) for at, by, (start, n, step) in outer])
            return [(node.args[0], inner)]
        return [(arg, _fitting(index, value, arg)) for arg in node.args]

    def _make_part(self, value: Term, index: _Part, parts: list[Term]) -> Term:
        """The part of a value, of those of its operands."""
        if not index:
            return value
        if type(value) is Tensor:
            return value._at(_index_of(index))
        if not self._is_looked_into(value):
            return _sliced(value, index)
        node, count = value.node, tuple([n for _, n, _ in index])
        assert node is not None
        self._looked_into.add(value.key)
        value.was_live = True
        if _reads_mutable(node):
            self.readers.append(node)
        result: Value
        if node.op in ELEMENTWISE:
            new = Node(node.op, tuple(parts), node.attrs)
            return Value(new, 0, (value._number, count))
        if node.op in _FILLED:
            result = apply(node.op, (), {**node.attrs, "shape": count})
        elif node.op == "permute_dims":
            result = apply("permute_dims", tuple(parts), node.attrs)
        elif node.op == "broadcast_to":
            result = apply("broadcast_to", tuple(parts), {"shape": count})
        else:
            return parts[0]  # slice
        return result


def _fitting(index: _Part, value: Value, arg: Term) -> _Part:
    """The index for an operand that is broadcast to the value's shape."""
    n_new = len(value.shape) - len(arg.shape)
    pairs = zip(arg.shape, value.shape[n_new:], index[n_new:])
    return tuple([part if own == all_ else (0, 1, 1) for own, all_, part in pairs])


def _sliced(value: Term, index: _Part) -> Value:
    start, count, step = zip(*index)
    part: Value = apply("slice", (value,), {"start": start, "shape": count, "step": step})
    return part


def _index_of(index: _Part) -> Index:
    result = object.__new__(Index)
    result.start, result.count, result.step = (list(column) for column in zip(*index))
    result.axes = list(range(len(index)))
    return result
