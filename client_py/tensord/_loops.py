# SPDX-License-Identifier: MIT
"""Loops that run in the daemon: one request for all turns.

The body is called once, with arrays that are being traced: they have dtype and shape, but no value
yet. What it does to them becomes the body of a loop of the program. Each thread writes its own
blocks (`open_blocks`), so that several may trace at the same time.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ._array import Array, TracedNumber, array_of, client_of, pending_arrays
from ._compose import as_it_is
from ._errors import error
from ._graph import open_blocks
from ._operands import as_operand
from ._program import Program
from ._tree import flatten, unflatten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, SupportsIndex

    from ._client import Client
    from ._graph import Value
    from ._tree import Structure

MAX_STEPS = 2**31 - 1


def _program() -> Program:
    program = Program()
    program._open = open_blocks()
    return program


def _carried(init: object) -> tuple[list[Array], Structure]:
    leaves, structure = flatten(init)
    return [array_of(leaf) for leaf in leaves], structure  # as they are now


def _leaves_of(tree: object, structure: Structure, client: Client | None) -> list[Any]:
    """What a body returns."""
    leaves, given = flatten(tree)
    if given != structure:
        raise error("bad_program", "the body returns another structure than it got")
    return [as_it_is(leaf, client) for leaf in leaves]


def fori_loop(
    lower: SupportsIndex, upper: SupportsIndex, body: Callable[[Array, Any], object], init: object
) -> Any:
    """Repeat something a number of times, in the daemon.

    As this would, in one request in place of one for each turn that looks at a value::

        value = init
        for i in range(lower, upper):
            value = body(i, value)
        return value

    Parameters
    ----------
    lower, upper : int
    body : callable
        ``body(i, value)``, called once, with arrays that are being traced; i counts as a number of
        Python's, and may be an index of an element that is read or of what is assigned. What it
        returns has the structure, shapes and dtypes of what it got.
    init : array_like, or nested tuples, lists and dicts of such

    Returns
    -------
    Array, or a nest of them as `init`

    Raises
    ------
    ShapeError
        ``loop_shape``: the body does not return what it got. The message names both.

    Examples
    --------
    >>> import tensord
    >>> tensord.fori_loop(0, 10, lambda i, x: x * 0.5 + i, tensord.zeros(2)).tolist()
    [16.00390625, 16.00390625]
    """
    first, end = operator.index(lower), operator.index(upper)
    carried, structure = _carried(init)
    client = client_of(carried)

    def turn(i: Value, *values: Value) -> list[Any]:
        tree = unflatten(structure, [Array(client, value) for value in values])
        step = TracedNumber(client, i)
        return _leaves_of(body(step + first if first else step, tree), structure, client)

    if end <= first or not carried:
        return unflatten(structure, [x._copy() for x in carried])
    results = _program().loop(end - first, turn, *carried)
    results = results if isinstance(results, tuple) else (results,)
    return unflatten(structure, pending_arrays(results, client))


def while_loop(
    condition: Callable[[Any], object],
    body: Callable[[Any], object],
    init: object,
    *,
    max_steps: SupportsIndex = MAX_STEPS,
) -> Any:
    """Repeat something as long as a condition holds, in the daemon.

    In place of this, which asks the daemon for a value, and waits for it, each turn::

        while float(error(value)) > eps:
            value = body(value)

    Parameters
    ----------
    condition : callable
        ``condition(value)`` yields a bool of shape (). Called twice, with arrays that are being
        traced: they have no value yet.
    body : callable
        ``body(value)``, called once, likewise. It returns what has the structure, shapes and dtypes
        of what it got.
    init
        As of `fori_loop`, and so is what is returned.
    max_steps : int
        So many turns at most.

    Returns
    -------
    Array, or a nest of them as `init`

    Raises
    ------
    ShapeError
        As of `fori_loop`, or the condition is no bool.

    Examples
    --------
    >>> import tensord
    >>> float(tensord.while_loop(lambda x: x < 1000, lambda x: x * 2, 1.0))
    1024.0
    """
    carried, structure = _carried(init)
    client = client_of(carried)

    def tree_of(values: Iterable[object]) -> Any:
        return unflatten(structure, [Array(client, x._operand()) for x in map(as_operand, values)])

    def holds(*values: Value) -> object:
        return condition(tree_of(values))

    def turn(i: Value, *values: Value) -> list[Any]:
        return _leaves_of(body(tree_of(values)), structure, client)

    results = _program().while_loop(holds, turn, *carried, max_steps=max_steps)[:-1]
    return unflatten(structure, pending_arrays(results, client))
