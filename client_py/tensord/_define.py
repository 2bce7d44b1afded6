# SPDX-License-Identifier: MIT
"""Functions: programs that the daemon checked once and keeps, and what runs and calls share."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from . import _native
from ._dtypes import DTYPES
from ._errors import TensordError, error
from ._graph import Value
from ._naming import how_named
from ._operands import as_operand
from ._array import Array, opened
from ._program import Program
from ._progress import EVERY_MS, shown
from ._tensor import Tensor
from ._timeouts import milliseconds
from ._traceback import cut, cuts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeAlias

    from ._client import Client
    from ._types import ArrayLike, Into, Names, OutputRow, Progress, Term

    Rows: TypeAlias = tuple[OutputRow, ...]
    Handles: TypeAlias = tuple[_native.Tensor | None, ...]


class Function:
    """A program that its client's daemon knows, to be called with arrays; made by `Client.define`.

    It keeps its client, and what else its program names: tensors, arrays, numbers. The daemon
    forgets it when this object goes; where the connection is renewed, the next call defines it
    again. May be called by several threads.
    """

    __slots__ = ("_client", "_native", "_parameters", "_bound", "_n_results", "__weakref__")

    def __init__(
        self,
        client: Client,
        native: _native.Function,
        parameters: tuple[Value, ...],
        bound: Sequence[Term],
        n_results: int,
    ) -> None:
        self._client = client
        self._native = native
        self._parameters = parameters
        self._bound = bound  # operands that the program named itself: arguments of every call
        self._n_results = n_results

    def __repr__(self) -> str:
        types = ", ".join(f"{DTYPES[x._number]}{list(x.shape)}" for x in self._parameters)
        return f"<tensord.Function ({types}) of {self._n_results} results>"

    @cuts
    def __call__(
        self,
        *arrays: ArrayLike,
        names: Names = None,
        replace: bool = False,
        timeout: float | None = None,
        threads: int | None = None,
        donate: Iterable[Array] = (),
        progress: Progress | None = None,
        evictable: bool = False,
    ) -> Any:
        """Compute the values for these arguments, in one request.

        Parameters
        ----------
        *arrays : Array, array_like or number
            One for each parameter of the program, in the order in which they were made, of just
            their shapes and dtypes; they may lie in any way (slices, transposes). Python numbers
            take the dtype that is wanted.
        names, replace, timeout, threads, donate, progress, evictable
            As of `Client.run`, and so is what it raises beside the errors below. What is donated is
            among the arguments.

        Returns
        -------
        Array, or tuple of Array where there are several values

        Raises
        ------
        ArgumentError
            Another number of arguments than the program has parameters.
        ShapeError, DtypeError
            The message names the argument by its index, what was given and what was wanted.
        """
        try:
            names = names_of(names, self._n_results)
            builder = self._build(arrays, tuple(donate))
            how = how_named(replace, evictable)
            rows = tuple([(i, name, how, False) for i, name in enumerate(names)])
            handles = watched(self._native.call, builder, rows, timeout, threads, progress)
            return tensors_of(self._client, handles)
        except TensordError as problem:
            raise cut(problem)

    def _build(self, arrays: Sequence[ArrayLike], donate: Sequence[Array]) -> _native.Builder:
        if len(arrays) != len(self._parameters):
            raise error(
                "bad_arguments",
                f"{len(arrays)} arguments, but the function has {len(self._parameters)} parameters",
            )
        builder = _native.Builder()
        operands = [as_operand(x, p._number) for x, p in zip(arrays, self._parameters)]
        operands = [x._tensor() if isinstance(x, Array) else x for x in operands]
        given = donated_tensors(donate) if donate else ()
        for tensor in given:
            if all(operand is not tensor for operand in operands):
                raise error("bad_arguments", "what is donated must be an argument of this call")
        for operand in operands:
            if isinstance(operand, Value):
                raise TypeError("a function is called with tensors, arrays and numbers, not values")
            number = operand._add_to(builder, self._client)
            if given and any(operand is tensor for tensor in given):
                builder.donate(number)
        for term in self._bound:
            term._add_to(builder, self._client)
        return builder


def values_of(method: str, program: Program, outputs: Iterable[object]) -> list[Term]:
    """What a program is asked for, as operands."""
    if not isinstance(program, Program):
        raise TypeError(
            f"{method}() wants a Program, then what it computes, not {type(program).__name__}"
        )
    if not outputs:
        raise error("bad_program", "no value was asked for")
    return [as_operand(x)._operand() for x in outputs]


def donated_tensors(arrays: Iterable[Array]) -> list[Tensor]:
    """What arrays hold that are given away."""
    for array in arrays:
        if not isinstance(array, Array):
            raise error("bad_arguments", f"an array is donated, not {type(array).__name__}")
    return [array._tensor() for array in arrays]


def targets_of(into: Into, n: int) -> tuple[Array | None, ...]:
    """What each of n outputs goes into, or None."""
    targets = (into,) if isinstance(into, Array) else tuple(into) or (None,) * n
    if len(targets) != n:
        raise error("bad_arguments", f"{n} outputs go into {len(targets)} tensors")
    return targets


def names_of(names: Names, n: int) -> Sequence[str | None]:
    """Names for n results, as an argument gave them: one, a sequence, or None."""
    names = [names] if isinstance(names, str) else names or [None] * n
    if len(names) != n:
        raise error("bad_arguments", f"{n} outputs, but {len(names)} names")
    return names


def watched(
    run: Callable[[_native.Builder, Rows], Handles],
    builder: _native.Builder,
    rows: Rows,
    timeout: float | None,
    threads: int | None,
    progress: Progress | None,
) -> Handles:
    """Run it within bounds, and tell who asked how far it is."""
    if timeout is not None or threads is not None:
        ms = milliseconds(timeout, -1)
        if threads is not None and not 1 <= threads < 2**32:
            raise error("bad_arguments", f"at least one thread must compute, not {threads!r}")
        builder.limit(ms, 0 if threads is None else operator.index(threads))
    if progress is not None:
        builder.progress(progress, EVERY_MS)
        return run(builder, rows)
    with shown(builder):
        return run(builder, rows)


def tensors_of(
    client: Client,
    handles: Iterable[_native.Tensor | None],
    into: Sequence[Array | None] = (),
) -> Any:
    """What a run yields: an array, or a tuple of them if there are several.

    `into` stands for those results that have no handle.
    """
    arrays = [
        into[i] if handle is None else opened(Tensor(client, handle), handle.name is not None)
        for i, handle in enumerate(handles)
    ]
    return arrays[0] if len(arrays) == 1 else tuple(arrays)
