# SPDX-License-Identifier: MIT
"""Programs written by hand: many operations, loops among them, in one request."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from . import _native
from ._dtypes import INT64, number_of
from ._errors import error
from ._graph import (
    Block,
    Input,
    Loop,
    Node,
    Value,
    apply,
    infer,
    innermost,
    sort,
    value_of,
    values_of,
)
from ._index import integers_of
from ._operands import Parameter, as_operand, as_operands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, SupportsIndex

    from ._types import ArrayLike, Blocks, DTypeLike, Shape, ShapeLike, Term


class Program:
    """A program, written as if values were arrays; `Client.run` computes it in one request.

    Examples
    --------
    >>> import tensord
    >>> p = tensord.Program()
    >>> u = p.loop(10, lambda i, u: u * 0.5, p.input([1024.0, 2048.0]))
    >>> tensord.run(p, u)
    Array([1., 2.], shape=(2,), dtype=float64, 16 bytes)
    """

    def __init__(self) -> None:
        self._open: Blocks = []  # of the loops whose bodies are being written
        self._parameters: list[Value] = []

    def input(self, x: ArrayLike) -> Value:
        """A value for something that exists.

        Tensors, arrays and numbers can also be used as they are; this makes operators on two of
        them part of the program instead of computing them at once.

        Parameters
        ----------
        x : Array, array_like or number; a Value is returned as it is

        Returns
        -------
        Value

        Examples
        --------
        >>> import tensord
        >>> p = tensord.Program()
        >>> x = p.input([1.0, 2.0])
        >>> tensord.run(p, x * 2 + 1)
        Array([3., 5.], shape=(2,), dtype=float64, 16 bytes)
        """
        return value_of(as_operand(x))

    def parameter(self, shape: ShapeLike, dtype: DTypeLike = "float64") -> Value:
        """A value for what calls will bring, once the program is defined (`Client.define`).

        A program that needs its parameters cannot be run.

        Parameters
        ----------
        shape : int or sequence of int
        dtype : str or numpy.dtype

        Returns
        -------
        Value

        Raises
        ------
        ShapeError, DtypeError

        Examples
        --------
        >>> import tensord
        >>> p = tensord.Program()
        >>> x = p.parameter((2,))
        >>> triple = tensord.define(p, x * 3)
        >>> triple([1.0, 2.0])
        Array([3., 6.], shape=(2,), dtype=float64, 16 bytes)
        """
        builder = _native.Builder()
        type_ = builder.type(builder.parameter(number_of(dtype), integers_of(shape)))
        self._parameters.append(Input(Parameter(*type_)))
        return self._parameters[-1]

    def op(self, name: str, *args: ArrayLike, **attrs: Any) -> Any:
        """A value by the name of its operation.

        Parameters
        ----------
        name : str
            As ``tensord.ops()`` lists them.
        *args : Value, Array, array_like or number
            Operands.
        **attrs
            Attributes of the operation: ``dtype``, ``shape``, ``axes``, ``keepdims``, ``start``,
            ``step``, ``value``, ``range``, ``k``, ``rcond``, ``upper``.

        Returns
        -------
        Value, or tuple of Value where the operation has several results

        Raises
        ------
        UnknownOp, ArgumentError, ShapeError, DtypeError, AxisError

        Examples
        --------
        >>> import tensord
        >>> p = tensord.Program()
        >>> tensord.run(p, p.op("sum", [[1.0, 2.0], [3.0, 4.0]], axes=[0]))
        Array([4., 6.], shape=(2,), dtype=float64, 16 bytes)
        """
        if "dtype" in attrs:
            attrs["dtype"] = number_of(attrs["dtype"])
        return apply(name, as_operands(args), attrs)

    def loop(
        self,
        n_steps: SupportsIndex,
        body: Callable[..., Any],
        *carried: ArrayLike,
        every: SupportsIndex | None = None,
        at: Iterable[SupportsIndex] | None = None,
    ) -> Any:
        """Repeat a piece of the program.

        Parameters
        ----------
        n_steps : int
            How many times; 0 is allowed.
        body : callable
            ``body(i, *carried)`` is called once, now, with values: the number of the step (int64,
            from 0) and what is carried. It returns what the next step carries: as many values, each
            of the same shape and dtype. It may use any value of the program around it.
        *carried : Value, Array, array_like or number
            What the first step gets.
        every : int, optional
            Keep the watched values (see `watch`) of steps every, 2 * every, ...; 1 if neither this
            nor `at` is given.
        at : sequence of int, optional
            Or of these steps, in ascending order. Step k, from 1 to n_steps, is the state after k
            turns.

        Returns
        -------
        Value or tuple of Value
            The carried values after the last step, then, for each watched value, a stack of shape
            ``(watched steps, *shape)``.

        Raises
        ------
        ShapeError
            ``loop_shape``: the body does not return what it got. The message names both.
        ArgumentError
            The watch list does not fit.

        Examples
        --------
        >>> import tensord
        >>> p = tensord.Program()
        >>> u = p.loop(10, lambda i, u: u * 0.5, [1024.0, 2048.0])
        >>> tensord.run(p, u)
        Array([1., 2.], shape=(2,), dtype=float64, 16 bytes)
        """
        first = tuple(as_operand(x)._operand() for x in carried)
        loop, block = self._make_loop(False, n_steps, body, first)
        loop.every, loop.at = _watched_steps(loop, every, at)
        values = self._close_loop(loop, block, first)
        return values[0] if len(values) == 1 else values

    def while_loop(
        self,
        condition: Callable[..., Any],
        body: Callable[..., Any],
        *carried: ArrayLike,
        max_steps: SupportsIndex,
    ) -> tuple[Value, ...]:
        """Repeat a piece of the program as long as something holds.

        Parameters
        ----------
        condition : callable
            ``condition(*carried)`` yields a bool of shape (), looked at before each turn. It is
            called twice, now: for what the first turn gets, and for what a turn leaves.
        body : callable
            ``body(i, *carried)``, as of `loop`. It watches nothing.
        *carried : Value, Array, array_like or number
            What the first turn gets.
        max_steps : int
            So many turns at most.

        Returns
        -------
        tuple of Value
            The carried values at the end, then the number of turns made (int64, of shape ()).

        Raises
        ------
        ShapeError
            ``loop_shape``: the body does not return what it got, or the condition is no bool.

        Examples
        --------
        >>> import tensord
        >>> p = tensord.Program()
        >>> x, n = p.while_loop(lambda x: x < 1000, lambda i, x: x * 2, 1.0, max_steps=100)
        >>> [float(t) for t in tensord.run(p, x, n)]
        [1024.0, 10.0]
        """
        before = tuple(x if isinstance(x, Value) else self.input(x) for x in carried)
        first = as_operand(condition(*before))._operand()

        def turn(i: Value, _: Value, *values: Value) -> tuple[Any, ...]:
            results = body(i, *values)
            results = results if isinstance(results, (tuple, list)) else (results,)
            if len(results) != len(values):
                raise error(
                    "bad_program",
                    f"the body returns {len(results)} values, but {len(values)} are carried",
                )
            results = [as_operand(x, old._number)._operand() for x, old in zip(results, values)]
            results = [x if isinstance(x, Value) else Input(x) for x in results]
            return condition(*results), *results

        loop, block = self._make_loop(True, max_steps, turn, (first, *before))
        if loop.watch:
            raise error("bad_program", "a while loop watches nothing")
        loop.every, loop.at = 0, ()
        return self._close_loop(loop, block, (first, *before))[1:]

    def _make_loop(
        self,
        is_while: bool,
        n_steps: SupportsIndex,
        body: Callable[..., Any],
        carried: tuple[Term, ...],
    ) -> tuple[Loop, Block]:
        block = Block(self._open[-1][0] if self._open else None)
        loop = Loop()
        loop.is_while = is_while
        loop.n_steps = operator.index(n_steps)
        types = [(INT64, ()), *((x._number, x.shape) for x in carried)]
        loop.parameters = [values_of(Node("", block=block), [type_])[0] for type_ in types]
        try:
            self._write_body(loop, block, body, carried)
        finally:
            block.is_open = False
        return loop, block

    def _close_loop(
        self, loop: Loop, block: Block, carried: tuple[Term, ...]
    ) -> tuple[Value, ...]:
        captures, loop.nodes = sort([*loop.results, *loop.watch], block)
        loop.n_captures = len(captures)
        args = (*captures, *carried)
        node = Node("loop", args, None, innermost(args), loop)
        return values_of(node, infer(node))

    def _write_body(
        self, loop: Loop, block: Block, body: Callable[..., Any], carried: tuple[Term, ...]
    ) -> None:
        watched: list[Term] = []
        self._open.append((block, watched))
        try:
            results = body(*loop.parameters)
        finally:
            self._open.pop()
        if not isinstance(results, (tuple, list)):
            results = (results,)
        if len(results) != len(carried):
            raise error(
                "bad_program",
                f"the body returns {len(results)} values, but {len(carried)} are carried",
            )
        loop.results = [as_operand(x, old._number)._operand() for x, old in zip(results, carried)]
        loop.watch = watched

    def watch(self, value: ArrayLike) -> None:
        """Within a loop's body: keep this value, of the steps that ``every`` or ``at`` names.

        Parameters
        ----------
        value : Value

        Raises
        ------
        ArgumentError
            No loop's body is being written.

        Examples
        --------
        >>> import tensord
        >>> p = tensord.Program()
        >>> def body(i, u):
        ...     p.watch(u)
        ...     return u * 2
        >>> u, history = p.loop(4, body, 1.0, every=2)
        >>> tensord.run(p, history)
        Array([2., 8.], shape=(2,), dtype=float64, 16 bytes)
        """
        if not self._open:
            raise error("bad_program", "watch() is for the body of a loop")
        self._open[-1][1].append(as_operand(value)._operand())


def _watched_steps(
    loop: Loop, every: SupportsIndex | None, at: Iterable[SupportsIndex] | None
) -> tuple[int, Shape]:
    if not loop.watch:
        if every is not None or at is not None:
            raise error("bad_program", "steps to watch, but the body watches no value")
        return 0, ()
    if every is not None and at is not None:
        raise error("bad_program", "steps are watched either every k-th or at a list, not both")
    if at is not None:
        return 0, tuple(map(operator.index, at))
    kth = 1 if every is None else operator.index(every)
    if kth < 1:
        raise error("bad_program", f"steps are watched every k-th, k positive, not {kth}")
    return kth, ()
