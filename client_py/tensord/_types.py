# SPDX-License-Identifier: MIT
"""Types that hints speak of, named as those of ``numpy.typing`` and of the array API standard.

For type checkers alone: no module imports it when the package runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any, Literal, Protocol, SupportsIndex, TypeAlias, TypeVar, Union, overload

import numpy
import numpy.typing

from . import _native
from ._array import Array
from ._graph import Block, Value
from ._operands import Constant, Parameter, Scalar
from ._operators import Operators
from ._questions import Record
from ._tensor import Tensor
from ._views import Broadcast, Component, Diagonal, Part, Permuted, Reshaped

# ---- what users pass ----

#: numpy's arrays and dtypes; which of them follows from the data alone.
NDArray: TypeAlias = "numpy.ndarray[Any, numpy.dtype[Any]]"
DType: TypeAlias = "numpy.dtype[Any]"
DTypeLike: TypeAlias = Union[str, type, DType]

#: Whatever can stand in an operation; and what is no value of a program, so that arrays come of it.
ArrayLike: TypeAlias = Union[Array, Value, numpy.typing.ArrayLike]
Concrete: TypeAlias = Union[Array, numpy.typing.ArrayLike]

Number: TypeAlias = Union[bool, int, float, complex]
Shape: TypeAlias = tuple[int, ...]
ShapeLike: TypeAlias = Union[SupportsIndex, Sequence[SupportsIndex]]
Axes: TypeAlias = Union[SupportsIndex, Sequence[SupportsIndex]]
Axis: TypeAlias = Union[Axes, None]  # None: all of them
Device: TypeAlias = Literal["cpu", None]
Norm: TypeAlias = Literal["backward", "ortho", "forward"]
Order: TypeAlias = Literal["C", "F"]

_Item: TypeAlias = Union[
    SupportsIndex, slice, EllipsisType, None, Sequence[Any], NDArray, Array, Value
]
#: What stands between ``[]``.
Key: TypeAlias = Union[_Item, tuple[_Item, ...]]

PathLike: TypeAlias = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
#: Whose a name is: a uid, or the name of a user.
Owner: TypeAlias = Union[int, str, None]
#: Names of results: of one; or one each, None for those that get none.
Names: TypeAlias = Union[str, Sequence[Union[str, None]], None]
#: Mutable tensors that results go into, None for those that go into none.
Into: TypeAlias = Union[Array, Sequence[Union[Array, None]]]
#: Told how many steps of a run ended, and how many there are.
Progress: TypeAlias = Callable[[int, int], object]

# ---- what operations are made of ----

#: What exists before a program runs; all that stands in programs; and what stands for it.
Leaf: TypeAlias = Union[Tensor, Scalar, Constant, Parameter]
Term: TypeAlias = Union[Value, Leaf]
Operand: TypeAlias = Union[Array, Term]

#: What leads from a base to a view.
Step: TypeAlias = Union[Part, Permuted, Reshaped, Broadcast, Diagonal, Component]

#: Attributes of an operation, whose kinds differ by their names (``ops.def``).
Attrs: TypeAlias = dict[str, Any]
#: Number of a dtype, and a shape.
Type: TypeAlias = tuple[int, Shape]
Types: TypeAlias = Sequence[Type]
#: The blocks that are being written, each with what it watches.
Blocks: TypeAlias = list[tuple[Block, list[Term]]]
#: What tells an operand apart from others.
OperandKey: TypeAlias = Union[int, tuple[int, int], tuple[str, int, Union[int, bytes]]]
#: Their numbers in a builder.
Numbers: TypeAlias = dict[OperandKey, int]
#: Of a result: its number, its name, how that is given, is it mapped; what it goes into.
OutputRow: TypeAlias = Union[
    int, tuple[int, Union[str, None], int, bool], tuple[int, Union[str, None], int, bool, int]
]
#: What a run puts its results into.
Outputs: TypeAlias = list[Union[_native.Tensor, None]]

# ---- what the daemon tells ----

#: MessagePack's maps; and what is named.
Map: TypeAlias = dict[str, Any]
Maps: TypeAlias = list[Map]
Records: TypeAlias = list[Record]

# ---- functions ----

Function = TypeVar("Function", bound=Callable[..., Any])
#: Array, or Value.
T = TypeVar("T", bound=Operators)


class SupportsDLPack(Protocol):
    """An array of another library's."""

    def __dlpack__(self) -> object:
        ...

    def __dlpack_device__(self) -> tuple[int, int]:
        ...


class OfArray(Protocol):
    """An operator of an array, bound to it."""

    @overload
    def __call__(self, other: Value, /) -> Value:
        ...

    @overload
    def __call__(self, other: Concrete, /) -> Array:
        ...


class Operator(Protocol):
    """An operator of arrays and values, whichever its class has."""

    @overload
    def __get__(self, owner: Value, type: object = None, /) -> Callable[[ArrayLike], Value]:
        ...

    @overload
    def __get__(self, owner: Array, type: object = None, /) -> OfArray:
        ...

    @overload
    def __get__(self, owner: T, type: object = None, /) -> Callable[[object], T]:
        ...


class Unary(Protocol):
    """A function of one operand."""

    @overload
    def __call__(self, x: Value, /) -> Value:
        ...

    @overload
    def __call__(self, x: Concrete, /) -> Array:
        ...


class Binary(Protocol):
    """A function of two operands."""

    @overload
    def __call__(self, x1: Value, x2: ArrayLike, /) -> Value:
        ...

    @overload
    def __call__(self, x1: ArrayLike, x2: Value, /) -> Value:
        ...

    @overload
    def __call__(self, x1: Concrete, x2: Concrete, /) -> Array:
        ...
