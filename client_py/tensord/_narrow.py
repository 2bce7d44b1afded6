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

_SEEN_THROUGH = ELEMENTWISE | _FILLED | {"permute_dims", "broadcast_to", "slice"}


class Busy(Exception):
    """A node that would be looked into is being computed: what it needs may be given away then."""

    def __init__(self, run: Run) -> None:
        self.run = run


def _check_idle(node: Node) -> None:
    run = run_of(node)
    if run is not None:
        raise Busy(run)


def narrowed(value: Value, is_alone: bool) -> Term:
    """The same value, computed from parts of the operands if it is a small part; else itself.

    What is computed in part is marked. The next time it is computed as a whole, so that it can be
    kept where somebody refers to it; unless the value is computed alone, since there was no memory
    for more. Raises Busy.
    """
    node = value.node
    assert node is not None
    _check_idle(node)
    if node.op in ("reshape", "permute_dims") and isinstance(node.args[0], Value):
        if node.args[0].node is None:
            return value
        part = narrowed(node.args[0], is_alone)
        if part is not node.args[0]:
            value = apply(node.op, (part,), node.attrs)
        return value
    if node.op != "slice":
        return value
    whole = node.args[0]
    if whole.node is None or 2 * math.prod(value.shape) > math.prod(whole.shape):
        return value
    index = tuple(zip(node.attrs["start"], node.attrs["shape"], node.attrs["step"]))
    known: dict[tuple[OperandKey, _Part], Term] = {}  # (key of a value, index) -> its part
    stack: list[tuple[Term, _Part]] = [(whole, index)]
    while stack:
        what = stack[-1]
        parts = _parts_needed(*what, is_alone)
        missing = [part for part in parts if (part[0].key, part[1]) not in known]
        if missing:
            stack += missing
            continue
        stack.pop()
        known[what[0].key, what[1]] = _make_part(
            *what, [known[arg.key, inner] for arg, inner in parts], is_alone
        )
    return known[whole.key, index]


def _is_looked_into(value: Term, is_alone: bool) -> TypeGuard[Value]:
    if not isinstance(value, Value) or value.node is None:
        return False
    _check_idle(value.node)
    return value.node.op in _SEEN_THROUGH and (is_alone or not value.was_live)


def _parts_needed(value: Term, index: _Part, is_alone: bool) -> list[tuple[Term, _Part]]:
    """Parts of operands that a part is made of: (value, index) of each."""
    if not _is_looked_into(value, is_alone):
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


def _make_part(value: Term, index: _Part, parts: list[Term], is_alone: bool) -> Term:
    """The part of a value, of those of its operands."""
    if not index:
        return value
    if type(value) is Tensor:
        return value._at(_index_of(index))
    if not _is_looked_into(value, is_alone):
        return _sliced(value, index)
    node, count = value.node, tuple([n for _, n, _ in index])
    assert node is not None
    value.was_live = True
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
