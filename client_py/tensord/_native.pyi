# SPDX-License-Identifier: MIT
# The extension, as _native*.c have it: parameters are positional there.

import weakref
from collections.abc import Callable, Sequence
from collections.abc import Mapping as _Mapping
from typing import Any, Final, TypeVar, final

from . import _force, _graph
from ._array import Array as _Array
from ._client import Client as _Client
from ._tensor import Tensor as _Tensor
from ._types import Attrs, Leaf, NDArray, Operand, OutputRow, Outputs, Shape, Step, Term, Type
from ._types import Types

_T = TypeVar("_T")

VERSION: Final[str]
NDIM_MAX: Final[int]
ARGS_MAX: Final[int]
INLINE_MAX: Final[int]
OUTPUTS_MAX: Final[int]
VALUES_MAX: Final[int]
MESSAGE_MAX: Final[int]
MAP_READ: Final[int]
MAP_COW: Final[int]
MAP_WRITE: Final[int]

DTYPES: Final[tuple[tuple[str, int, int, str], ...]]  # name, number, item size, .npy descriptor
OPS: Final[tuple[tuple[str, int, int, int, str], ...]]  # name, number, results, may fail, sentence
ERRORS: Final[tuple[tuple[str, int, str, str], ...]]  # name, number, exception, sentence

def set_error_factory(factory: Callable[[str, str, int | None], Exception], /) -> None: ...
def set_package(names: _Mapping[str, object], /) -> None: ...
def connect(
    address: str | None,
    daemon: str | None,
    no_start: bool,
    busy_poll_us: int,
    timeout_ms: int,
    client_name: str | None,
    memory_wait_ms: int,
    /,
) -> Client: ...
def infer(op: int, args: Sequence[Operand], attrs: Attrs | None, /) -> list[Type]: ...
def lend(array: NDArray, kind: int, is_versioned: bool, flags: int, /) -> object: ...
def compute(
    op: str,
    args: tuple[object, ...],
    attrs: Attrs | tuple[Type, ...] | None = None,
    client: _Client | None = None,
    /,
) -> Any: ...  # an array, or a tuple of them: the operation says it
def run_one(client: _Client, value: _graph.Value, donated_min: int, /) -> _Tensor | None: ...
@final
class Client:
    @property
    def address(self) -> str | None: ...
    @property
    def is_closed(self) -> bool: ...
    def close(self) -> None: ...
    def ping(self) -> None: ...
    def put(
        self, array: NDArray, dtype: int, order: str, name: str | None, how: int, /
    ) -> Tensor: ...
    def create(
        self, dtype: int, shape: Shape, order: str, name: str | None, how: int, is_mutable: bool, /
    ) -> Tensor: ...
    def open(self, name: str, owner: int, map: bool, /) -> Tensor: ...
    def wait(self, name: str, owner: int, milliseconds: int, /) -> Tensor: ...
    def open_id(self, id: bytes, /) -> Tensor: ...
    def delete(self, name: str, /) -> None: ...
    def list(
        self, prefix: str, owner: int, /
    ) -> list[tuple[str, int, Shape, int, bytes | None, str | None]]: ...
    def call(self, method: str, params: bytes | None, /) -> bytes: ...
    def define(self, builder: Builder, values: tuple[int, ...], /) -> Function: ...
    def run(
        self, builder: Builder, outputs: tuple[OutputRow, ...], into: Outputs = ..., /
    ) -> tuple[Tensor | None, ...]: ...

@final
class Pending:
    def __init__(self, client: Client, /) -> None: ...
    def submit(self, builder: Builder, outputs: tuple[OutputRow, ...], /) -> None: ...
    @property
    def is_under_way(self) -> bool: ...
    def wait(self, into: Outputs, /) -> None: ...

@final
class Function:
    def call(
        self, builder: Builder, outputs: tuple[OutputRow, ...], /
    ) -> tuple[Tensor | None, ...]: ...

@final
class Stop:
    def set(self) -> None: ...
    def call(
        self, function: Callable[..., _T], args: tuple[Any, ...], keywords: dict[str, Any], /
    ) -> _T: ...

@final
class Mapping:  # a buffer
    def freeze(self) -> None: ...

@final
class Lease:
    def end(self) -> None: ...

@final
class Tensor:
    @property
    def dtype(self) -> int: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def strides(self) -> Shape: ...
    @property
    def id(self) -> bytes: ...
    @property
    def name(self) -> str | None: ...
    @property
    def is_sealed(self) -> bool: ...
    @property
    def is_mutable(self) -> bool: ...
    @property
    def is_evictable(self) -> bool: ...
    @property
    def is_shared(self) -> bool: ...
    @property
    def owner(self) -> int | None: ...
    def map(self, mode: int, share: bool, /) -> Mapping: ...
    def item(self, offset: int, /) -> Any: ...  # a bool, int, float or complex, as its dtype says
    def seal(self) -> None: ...
    def lease(
        self, shape: Shape, strides: Shape, offset: int, write: bool, torn: bool, wait_ms: int, /
    ) -> Lease: ...
    def set_name(self, name: str, how: int, /) -> None: ...
    def share(self, is_shared: bool, /) -> None: ...
    def snapshot(self, name: str | None, how: int, wait_ms: int, /) -> Tensor: ...
    def lend(self) -> None: ...

class Builder:
    def input(self, tensor: Tensor, /) -> int: ...
    def parameter(self, dtype: int, shape: Sequence[int], /) -> int: ...
    def input_view(self, tensor: Tensor, shape: Shape, strides: Shape, offset: int, /) -> int: ...
    def immediate(self, dtype: int, array: NDArray, /) -> int: ...
    def scalar(self, dtype: int, number: complex, /) -> int: ...
    def op(
        self, number: int, values: tuple[int, ...], attrs: Attrs | None, n_results: int, /
    ) -> int | tuple[int, ...]: ...  # of one result no tuple
    def user(self, name: str, values: tuple[int, ...], types: Types, /) -> tuple[int, ...]: ...
    def loop_begin(
        self, steps: int, captures: tuple[int, ...], carried: tuple[int, ...], /
    ) -> tuple[int, ...]: ...
    def loop_end(
        self, results: tuple[int, ...], watch: tuple[int, ...], every: int, at: Shape, /
    ) -> tuple[int, ...]: ...
    def while_begin(
        self, max_steps: int, captures: tuple[int, ...], carried: tuple[int, ...], /
    ) -> tuple[int, ...]: ...
    def while_end(self, results: tuple[int, ...], /) -> tuple[int, ...]: ...
    def limit(self, deadline_ms: int, n_threads: int, /) -> None: ...
    def progress(self, tell: Callable[[int, int], object], every_ms: int, /) -> None: ...
    def donate(self, input: int, /) -> None: ...
    def type(self, value: int, /) -> Type: ...

# What the package's classes of these names derive from: their fields are here, for C.

class Node:
    op: str
    args: tuple[Term, ...]
    attrs: Any  # Attrs, or None; of a user kernel the types of its results
    block: _graph.Block | None
    loop: _graph.Loop | None
    results: list[weakref.ref[_graph.Value]] | None
    run: _force.Run | weakref.ref[_force.Run] | None
    place: tuple[str, int] | None
    @property
    def serial(self) -> int: ...

class Value:
    node: _graph.Node | None  # None: it exists, as leaf
    shape: Shape
    _shape: Shape  # the same, to be set
    leaf: Leaf | None  # None: it is pending
    serial: int
    index: int
    _number: int
    cost: int
    was_live: bool
    @property
    def key(self) -> int | tuple[int, int]: ...

class Array:
    _client: _Client | None
    shape: Shape
    _shape: Shape  # the same, to be set
    _value: Term | None  # None: of a view
    _base: _Array | None
    _steps: tuple[Step, ...]  # of a view alone
    _seen: tuple[Term, _graph.Value | _Tensor] | None  # of a view: value of the base; what is seen
    _lies: Shape | None
    _number: int
    _is_fixed: bool
    @property
    def _n_stores(self) -> int: ...
    def _operand(self) -> Term: ...
    def _is_last(self) -> bool: ...
    def _detach(self, of: Term, value: Term, lies: Shape, is_fixed: bool, /) -> bool: ...
    def _store(
        self, array: Array, n_stores: int, value: Term, client: _Client | None, /
    ) -> bool: ...
    def _settle(self, value: Term, tensor: _Tensor, /) -> None: ...
    @property
    def __array_struct__(self) -> object: ...

class Strided:
    client: _Client
    _handle: Tensor
    shape: Shape
    _strides: Shape | None
    _shown: object
    _number: int
    _offset: int
    is_mutable: bool

class Scalar:
    value: complex
    _number: int
