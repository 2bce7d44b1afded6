# SPDX-License-Identifier: MIT
"""Einstein summation: a string, turned into views, sums and matrix products.

Operands are contracted two at a time, in the greedy order that numpy finds for their shapes. Each
contraction is one matmul: labels that both have and that stay are its stack, those that both have
and that go are summed, the others are its rows and columns.
"""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING

import numpy

from ._compose import compose
from ._errors import error
from ._functions import call
from ._products import diagonal_of, sum_of_products

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set
    from typing import TypeAlias

    from ._array import Array
    from ._errors import TensordError
    from ._types import ArrayLike

    _Term: TypeAlias = tuple[str, Array]


def einsum(subscripts: str, /, *operands: ArrayLike) -> Array:
    """Sums of products over named axes, as numpy's.

    Parameters
    ----------
    subscripts : str
        A letter for each axis of each operand, operands parted by commas: ``"ij,jk"``. Behind
        ``->`` stand the axes of the result; without it, all letters that occur once, in
        alphabetical order. A letter twice in one operand takes a diagonal; ``...`` stands for axes
        that broadcast, and comes first in the result where it is not told.
    *operands : array_like or Value

    Returns
    -------
    Array or Value

    Raises
    ------
    ArgumentError
        The string is not of that form.
    ShapeError
        The operands do not fit it.

    Examples
    --------
    >>> import tensord
    >>> tensord.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    Array([3., 7.], shape=(2,), dtype=float64, 16 bytes)
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts are a str, not {type(subscripts).__name__}")
    return compose(lambda *values: _einsum(subscripts, values), *operands)


def _refuse(message: str) -> TensordError:
    return error("bad_arguments", f"einsum: {message}")


# ---- the string ----


def _parse(subscripts: str, operands: Sequence[Array]) -> tuple[list[str], str]:
    """Labels of each operand, and of the result; Greek ones are what ``...`` stands for."""
    text = "".join(subscripts.split())
    left, arrow, right = text.partition("->")
    words = left.split(",")
    if len(words) != len(operands):
        raise _refuse(f"{subscripts!r} names {len(words)} operands, {len(operands)} are given")
    n_more = [_n_more(word, x) for word, x in zip(words, operands)]
    more = "".join(chr(0x391 + i) for i in range(max(n_more)))
    labels = [word.replace("...", more[len(more) - n :]) for word, n in zip(words, n_more)]
    if arrow:
        if not set(right.replace("...", "")) <= set(string.ascii_letters) or right.count(".") > 3:
            raise _refuse(f"{subscripts!r} has a result that is no list of letters")
        if more and "..." not in right:
            raise _refuse(f"{subscripts!r} has ... in an operand, but not in the result")
        result = right.replace("...", more)
    else:
        letters = left.replace("...", "").replace(",", "")
        result = more + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))
    if len(set(result)) != len(result) or not set(result) <= set("".join(labels)):
        raise _refuse(f"{subscripts!r}: a label of the result is there twice, or in no operand")
    return labels, result


def _n_more(word: str, x: Array) -> int:
    """How many axes of x ``...`` stands for."""
    letters = word.replace("...", "", 1)
    if not set(letters) <= set(string.ascii_letters):
        raise _refuse(f"{word!r} is no list of letters, with ... at most once")
    n = x.ndim - len(letters)
    if n < 0 or (n > 0 and "..." not in word):
        raise error(
            "shape_mismatch",
            f"einsum: {word!r} names {len(letters)} axes, but shape {x.shape} has {x.ndim}",
        )
    return n


def _extents(labels: Iterable[str], operands: Iterable[Array]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for word, x in zip(labels, operands):
        for label, extent in zip(word, x.shape):
            known = extents.setdefault(label, extent)
            if known == 1:
                extents[label] = extent
            elif extent not in (1, known):
                raise error(
                    "shape_mismatch", f"einsum: label {label!r} is {known} long, and {extent}"
                )
    return extents


# ---- one operand ----


def _permute(word: str, x: Array, order: str) -> Array:
    return x if word == order else x.permute_dims([word.index(label) for label in order])


def _diagonals(word: str, x: Array) -> _Term:
    """Each label once: repeated ones walk along a diagonal."""
    for label in dict.fromkeys(word):
        while word.count(label) > 1:
            first = word.index(label)
            second = word.index(label, first + 1)
            rest = [i for i in range(x.ndim) if i not in (first, second)]
            x = _diagonal(x.permute_dims((*rest, first, second)))
            word = "".join(word[i] for i in rest) + label
    return word, x


def _diagonal(x: Array) -> Array:
    """The main diagonal of the last two axes; an axis of extent 1 broadcasts."""
    *lead, m, n = x.shape
    if m != n and 1 in (m, n):
        return x.reshape((*lead, m * n))
    if m != n:
        raise error("shape_mismatch", f"einsum: one label is {m} long, and {n}")
    return diagonal_of(x, 0)


def _sum_out(word: str, x: Array, kept: Set[str]) -> _Term:
    """Without the labels that are not kept."""
    axes = tuple(i for i, label in enumerate(word) if label not in kept)
    if not axes:
        return word, x
    total = x.sum(axis=axes).astype(x.dtype)
    return "".join(label for label in word if label in kept), total


def _drop_ones(word: str, x: Array, extents: Mapping[str, int]) -> _Term:
    """Without axes of extent 1 where another operand is longer: they broadcast."""
    keep = [i for i, label in enumerate(word) if x.shape[i] == extents[label]]
    if len(keep) == len(word):
        return word, x
    return "".join(word[i] for i in keep), x.reshape(tuple(x.shape[i] for i in keep))


# ---- two operands ----


def _aligned(word: str, x: Array, result: str) -> Array:
    """x with an axis for each label of the result, 1 long where it has none."""
    order = "".join(label for label in result if label in word)
    shape = iter(_permute(word, x, order).shape)
    full = tuple(next(shape) if label in word else 1 for label in result)
    return _permute(word, x, order).reshape(full)


def _contract(a: str, x: Array, b: str, y: Array, kept: Set[str]) -> _Term:
    """Labels and value of the product of two operands, summed over all labels that are not kept."""
    a, x = _sum_out(a, x, kept | set(b))
    b, y = _sum_out(b, y, kept | set(a))
    stack = "".join(label for label in a if label in b and label in kept)
    summed = "".join(label for label in a if label in b and label not in kept)
    rows = "".join(label for label in a if label not in b)
    columns = "".join(label for label in b if label not in a)
    result = stack + rows + columns
    if not summed:
        return result, _aligned(a, x, result) * _aligned(b, y, result)
    if not rows and not columns:
        order = stack + summed
        axes = range(len(stack), len(order))
        return result, sum_of_products(_permute(a, x, order), _permute(b, y, order), axes)
    x, y = _permute(a, x, stack + rows + summed), _permute(b, y, stack + summed + columns)
    n = len(stack)
    lead, row_shape = x.shape[:n], x.shape[n : n + len(rows)]
    column_shape = y.shape[n + len(summed) :]
    depth = math.prod(x.shape[n + len(rows) :])
    x = x.reshape((*lead, math.prod(row_shape), depth))
    y = y.reshape((*lead, depth, math.prod(column_shape)))
    return result, call("matmul", (x, y)).reshape((*lead, *row_shape, *column_shape))


def _path(labels: Sequence[str], result: str, extents: Mapping[str, int]) -> list[tuple[int, ...]]:
    """Which operands to contract, step by step."""
    if len(labels) < 3:
        return [tuple(range(len(labels)))]
    names = {label: string.ascii_letters[i] for i, label in enumerate(extents)}
    words = ["".join(names[x] for x in word) for word in [*labels, result]]
    arrays = [numpy.broadcast_to(0.0, [extents[x] for x in word]) for word in labels]
    path, _ = numpy.einsum_path(
        ",".join(words[:-1]) + "->" + words[-1], *arrays, optimize=("greedy", 2**62)
    )
    return path[1:]


def _einsum(subscripts: str, operands: Sequence[Array]) -> Array:
    if not operands:
        raise _refuse("no operand is given")
    labels, result = _parse(subscripts, operands)
    extents = _extents(labels, operands)
    if len(extents) > len(string.ascii_letters):
        raise _refuse(f"{len(extents)} labels are more than there are letters")
    terms = [_drop_ones(*_diagonals(word, x), extents) for word, x in zip(labels, operands)]
    if len(terms) == 1:
        word, x = _sum_out(*terms[0], set(result))
        return _permute(word, x, result)
    for step in _path([word for word, _ in terms], result, extents):
        chosen = [terms[i] for i in step]
        terms = [term for i, term in enumerate(terms) if i not in step]
        word, x = chosen[0]
        for n, (other, y) in enumerate(chosen[1:], 2):
            left = chosen[n:] + terms
            kept = set(result).union(*(w for w, _ in left)) if left else set(result)
            word, x = _contract(word, x, other, y, kept)
        terms.append((word, x))
    word, x = _sum_out(*terms[0], set(result))
    return _permute(word, x, result)
