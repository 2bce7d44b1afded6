# SPDX-License-Identifier: MIT
"""Assignment: ``x[key] = value`` and ``x += value``.

The value of an array is immutable; an assignment gives the array another one, pending like the
result of any operation. Into a mutable tensor the daemon writes at once, in one request, after what
was still to be read of it.

Arrays get these methods here, since what they do stands on programs and functions, and those stand
on arrays.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, cast

import numpy

from ._array import Array
from ._docstrings import OPERATORS, named_operator
from ._errors import error
from ._graph import Input, Value, open_blocks
from ._index import Advanced, Index, alone, is_mask
from ._operands import as_operand, exact_integers
from ._program import Program
from ._selection import assign, fill
from ._views import Component, Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import ArrayLike, Key, Term


def _check_writable(array: Array) -> None:
    if not array._is_writable:
        raise error(
            "sealed",
            "not written: what has a name and is not mutable, broadcast views, diagonals, and what "
            "is being filled; copy it, put it with mutable=True, or use tensord.assign()",
        )
    if array._base is not None and array._base.is_mutable:  # whose memory has whole numbers
        what = [step.op for step in array._steps if isinstance(step, Component)] or ["a copy"]
        raise error(
            "bad_arguments",
            f"not written: {what[0]} of a mutable tensor, by itself; assign complex "
            "numbers, or use `with x.write() as a`, where a is numpy's",
        )


def _check_untraced() -> None:
    if open_blocks():
        raise error(
            "bad_program",
            "a mutable tensor would be written now, while a function or a loop is traced, and not "
            "by its calls or turns; have it return what is to be written",
        )


def is_same_view(value: object, part: Array) -> bool:
    """Does it see the same elements of the same array, in the same order?"""
    if not isinstance(value, Array) or value._base is None:
        return False
    return value._base is part._base and value._steps == part._steps


def _store(array: Array, make: Callable[[], Array]) -> None:
    """Have it hold the value of an array of its shape and dtype; views of it see that.

    make: yields the array, of what this one holds by then; again, where somebody else assigned
    meanwhile: another thread, a signal handler or a finalizer.
    """
    while not _store_once(array, make):
        pass


def _store_once(array: Array, make: Callable[[], Array]) -> bool:
    if array._base is not None:
        array._operand()  # one whose base nobody has is none any more
    base = array._base
    cell = array if base is None else base
    n_stores = cell._n_stores
    new = make()
    if base is not None:
        levels = array._levels(base._operand())
        for step, level in zip(reversed(array._steps), reversed(levels[:-1])):
            assert step.put is not None
            new = step.put(Array(array._client, level), new)
    value = new._operand()
    _check_leak(cell, value)
    return cell._store(array, n_stores, value, new._client)


def _check_leak(array: Array, value: Term) -> None:
    """Refuse what is being traced for an array that is there beyond the trace."""
    block = value.node.block if isinstance(value, Value) and value.node is not None else None
    if block is None:
        return
    own = array._value
    is_inside = type(own) is Value and own.node is not None and own.node.serial > block.serial
    made_in = getattr(array, "_block", None)
    if not is_inside and (made_in is None or not made_in.is_inside(block)):
        raise error(
            "bad_program",
            f"an array of shape {array.shape} from outside of what is being traced is assigned "
            "a value that is traced; return it, or carry it, instead",
        )


def _set_item(self: Array, key: Key, value: ArrayLike) -> None:
    """Assign to a part: the array, its base and views of it see the new elements.

    Parameters
    ----------
    key : int, slice, ..., None, array_like of int or of bool, or tuple of these
    value : array_like or number
        Broadcasts to the part; becomes the array's dtype.

    Raises
    ------
    ShapeError
        It does not broadcast to the part, or a mask has another shape.
    DtypeError
        Complex numbers do not become real ones.
    IndexError
        An index is beyond the extent of its axis, or there are too many.
    Sealed
        It is not to be written: it has a name and is not mutable, or is a broadcast view.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.zeros(4)
    >>> x[1:3] = [5, 6]
    >>> x
    Array([0., 5., 6., 0.], shape=(4,), dtype=float64, 32 bytes)
    """
    operand: Any = as_operand(exact_integers(value, self._number), self._number)
    if isinstance(operand, Value):
        raise error("bad_arguments", "a value of a program is not assigned; run the program first")
    key = alone(key)
    is_basic = not is_mask(key) and Advanced.of(self.shape, key) is None
    if self.is_mutable:
        _check_untraced()
        _write_item(self, key, operand, is_basic)
        return
    _check_writable(self)
    of_parts = self._base is not None and isinstance(self._steps[-1], Component)
    is_view = isinstance(operand, Array) and operand._base is not None
    if is_basic and (of_parts or is_view):
        index = Index(self.shape, key)
        part = self._view(Part(index), index.shape)
        if is_same_view(operand, part):
            return  # as at the end of ``x[key] += ...``
        if of_parts and part.size < self.size:  # then nothing is done beside it
            self, key = part, ...
    _store(self, lambda: assign(self, key, operand))


def _write_item(array: Array, key: Key, value: Any, is_basic: bool) -> None:
    if is_basic:
        index = Index(array.shape, key)
        target = array._view(Part(index), index.shape)
        if isinstance(value, Array) and value.is_mutable:
            if target._tensor()._is_same(value._tensor()):
                return  # likewise
        new: Array | Value = fill(target, value)
    else:
        target, new = array, assign(Input(array._tensor()), key, value)
    target.client.run(Program(), new, into=target)


def _in_place(op: str) -> Callable[[Array, ArrayLike], Array]:
    operate = getattr(operator, f"__{OPERATORS[op][0]}__")

    def method(self: Array, other: ArrayLike) -> Any:
        if isinstance(other, Value):
            return NotImplemented  # ``x = op(x, other)`` then
        is_mutable = self.is_mutable
        if self._is_number and not is_mutable:
            return operate(self, other)  # its name means another one then
        if is_mutable:
            _check_untraced()
        else:
            _check_writable(self)

        def make() -> Any:
            new = operate(Input(self._tensor()) if is_mutable else self, other)
            if new.shape != self.shape:
                raise error(
                    "shape_mismatch",
                    f"{op}: a result of shape {new.shape} does not go into an array of "
                    f"{self.shape}",
                )
            if not numpy.can_cast(new.dtype, self.dtype, "same_kind"):
                raise error(
                    "dtype_mismatch",
                    f"{op}: a result of dtype {new.dtype} is not cast to the array's "
                    f"{self.dtype}; assign to x[...] to convert, or bind the name anew",
                )
            return new.astype(self.dtype)

        if is_mutable:
            return self.client.run(Program(), make(), into=self)
        _store(self, make)
        return self

    return cast("Callable[[Array, ArrayLike], Array]", named_operator(method, op, "i"))


setattr(Array, "__setitem__", _set_item)
for _op, (_name, *_) in OPERATORS.items():
    if hasattr(operator, f"__i{_name}__"):  # not of comparisons
        setattr(Array, f"__i{_name}__", _in_place(_op))
