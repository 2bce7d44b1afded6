# SPDX-License-Identifier: MIT
"""Parts of pending values: only what they need of their operands is computed.

The engine computes a view of an element-wise value from views of its operands, as long as all is in
one region. A part of something large must not depend on that: here it is taken of the operands
before the program is written, down to what lies in memory.
"""

import math

from ._graph import Node, Value, apply
from ._index import Index
from ._tensor import Tensor

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


def narrowed(value, is_alone):
    """The same value, computed from parts of the operands if it is a small part; else itself.

    What is computed in part is marked. The next time it is computed as a whole, so that it can be
    kept where somebody refers to it; unless the value is computed alone, since there was no memory
    for more.
    """
    node = value.node
    if node.op in ("reshape", "permute_dims") and node.args[0].node is not None:
        part = narrowed(node.args[0], is_alone)
        return value if part is node.args[0] else apply(node.op, (part,), node.attrs)
    if node.op != "slice":
        return value
    whole = node.args[0]
    if whole.node is None or 2 * math.prod(value.shape) > math.prod(whole.shape):
        return value
    index = tuple(zip(node.attrs["start"], node.attrs["shape"], node.attrs["step"]))
    known = {}  # (key of a value, index) -> its part
    stack = [(whole, index)]
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


def _is_looked_into(value, is_alone):
    node = value.node
    return node is not None and node.op in _SEEN_THROUGH and (is_alone or not value.was_live)


def _parts_needed(value, index, is_alone):
    """Parts of operands that a part is made of: (value, index) of each."""
    if not _is_looked_into(value, is_alone):
        return []
    node = value.node
    if node.op == "permute_dims":
        axes = [axis % len(index) for axis in node.attrs["axes"]]
        inner = tuple([index[axes.index(axis)] for axis in range(len(index))])
        return [(node.args[0], inner)]
    if node.op == "slice":
        outer = zip(node.attrs["start"], node.attrs["step"], index)
        inner = tuple([(at + by * start, n, by * step) for at, by, (start, n, step) in outer])
        return [(node.args[0], inner)]
    return [(arg, _fitting(index, value, arg)) for arg in node.args]


def _make_part(value, index, parts, is_alone):
    """The part of a value, of those of its operands."""
    if not index:
        return value
    node, count = value.node, tuple([n for _, n, _ in index])
    if node is None:
        return value._at(_index_of(index)) if type(value) is Tensor else _sliced(value, index)
    if not _is_looked_into(value, is_alone):
        return _sliced(value, index)
    value.was_live = True
    if node.op in ELEMENTWISE:
        new = Node(node.op, tuple(parts), node.attrs)
        return Value(new, 0, (value._number, count))
    if node.op in _FILLED:
        return apply(node.op, (), {**node.attrs, "shape": count})
    if node.op == "permute_dims":
        return apply("permute_dims", tuple(parts), node.attrs)
    if node.op == "broadcast_to":
        return apply("broadcast_to", tuple(parts), {"shape": count})
    return parts[0]  # slice


def _fitting(index, value, arg):
    """The index for an operand that is broadcast to the value's shape."""
    n_new = len(value.shape) - len(arg.shape)
    pairs = zip(arg.shape, value.shape[n_new:], index[n_new:])
    return tuple([part if own == all_ else (0, 1, 1) for own, all_, part in pairs])


def _sliced(value, index):
    start, count, step = zip(*index)
    return apply("slice", (value,), {"start": start, "shape": count, "step": step})


def _index_of(index):
    result = object.__new__(Index)
    result.start, result.count, result.step = map(list, zip(*index))
    result.axes = list(range(len(index)))
    return result
