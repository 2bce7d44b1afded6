# SPDX-License-Identifier: MIT
"""Arrays: what numpy's are, computed in the daemon.

An array is lazy: an operation on it is noted, with dtype and shape known at once, and computed with
others in one request when somebody looks (module `_force`). It has an immutable value, which an
assignment replaces; or it is a view of another array, its base (module `_views`).

What the value of an array is, ``_operand()`` says: a `Tensor` where it lies in the daemon, a
`Value` while it is pending, or the number or small array that it was made of.

Ordinary operations are noted natively, in `_native_compute.c`, which says what those are; all
others come to `_compute_any`. The rules - whose client, what a number becomes, what is traced or
computed at once - are written in Python only.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, cast

import numpy

from . import _native
from ._dtypes import COMPLEX64, DTYPES, FLOAT32, FLOAT64
from ._errors import error
from ._force import PENDING_MAX, force, may_fail, track
from ._graph import (
    OPS,
    Input,
    Node,
    Value,
    infer,
    innermost,
    lookup,
    open_blocks,
    user_place,
    values_of,
)
from ._index import c_strides, normal_axes
from ._lease import Lease
from ._operands import Constant, Scalar, as_operand, operand_for, traced_number, weak_numbers
from ._operators import Operators
from ._tensor import Tensor, as_asked
from ._views import Broadcast, Component, Diagonal, Part, Permuted, Reshaped, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, SupportsIndex

    from ._client import Client
    from ._given import Given
    from ._index import Index
    from ._types import Attrs, DTypeLike, Leaf, NDArray, Shape, Step, Term, Type
else:
    Given = object


_SMALL = 4096  # of a base with so few bytes all is computed for a view: no more work, done once

# Operands that keep their own dtype beside the others: a condition, indices.
_APART = dict.fromkeys(("take", "take_along_axis", "mask"), slice(1, None))
_APART |= {"where": slice(1), "put": slice(2, None)}


#: The results of an operation, pending: an array, or a tuple of them if it has several. What may
#: fail on its data is computed now, and so is what has a shape that depends on them.
#:
#: compute(op, args, attrs=None, client=None): operands (arrays, numbers, arrays of numpy's) in a
#: tuple; the client is who computes, where no array says it; without, the default one.
compute = _native.compute


def _compute_any(
    op: str,
    args: tuple[Any, ...],
    attrs: Attrs | tuple[Type, ...] | None,
    client: Client | None,
) -> Any:
    """The same for what `_native.compute` leaves to Python."""
    client = client_of(args, client)
    if any(isinstance(arg, TracedNumber) for arg in args):
        met, is_number = _met(op, args)
        args = tuple(met)
        if is_number and op != "astype":
            return TracedNumber(client, compute(op, args, attrs)._operand())
    operands = [arg._operand() if isinstance(arg, Array) else _frozen(arg, client) for arg in args]
    return compute_node(Node(op, tuple(operands), attrs, innermost(operands)), client)


def compute_node(node: Node, client: Client | None) -> Array | tuple[Array, ...]:
    """The same for a node."""
    values = values_of(node, infer(node))
    is_counted = any(None in value.shape for value in values)
    is_now = is_counted or may_fail(node, values[0]._number)
    if node.block is not None and is_now:
        if is_counted:
            raise error(
                "bad_program", f"{node.op}: a result whose shape depends on data is not traced"
            )
        node.place = user_place()
    arrays = pending_arrays(values, client)
    if is_now and node.block is None:
        force(client or default_client(), values)
        for array, value in zip(arrays, values):
            array._shape = value.shape
    return arrays[0] if len(arrays) == 1 else arrays


def pending_arrays(values: Sequence[Value], client: Client | None) -> tuple[Array, ...]:
    """An array for each of the values, the results of one node."""
    node = values[0].node
    assert node is not None
    if client is None:
        tensors = (arg._source for arg in node.args)
        client = next((x.client for x in tensors if type(x) is Tensor), None)
    for value in values:
        track(value, client)
    if len(values) > 1:
        node.results = [weakref.ref(value) for value in values]
    return tuple([Array(client, value) for value in values])


def client_of(args: Iterable[object], client: Client | None = None) -> Client | None:
    """The one client that the arrays among the operands belong to; None if none of them tells."""
    for arg in args:
        own = arg._client if isinstance(arg, Array) else None
        if own is not None and own is not client:
            if client is not None:
                raise error(
                    "bad_arguments", "arrays of two clients; open one with the other, by name or id"
                )
            client = own
    return client


def is_traced(array: Array) -> bool:
    """Is it without a value, since a function is being traced?"""
    value = array._operand()
    return type(value) is Value and value.node is not None and value.node.block is not None


def _met(op: str, args: tuple[Any, ...]) -> tuple[list[Any], bool]:
    """Operands with traced numbers as arrays, of the dtype of what they meet; are all numbers?"""
    apart = range(len(args))[_APART.get(op, slice(0))]
    met = [arg for place, arg in enumerate(args) if place not in apart]
    strong = [arg for arg in met if not isinstance(arg, (TracedNumber, Scalar))]
    arrays = []
    for place, arg in enumerate(args):
        if isinstance(arg, TracedNumber) and place in apart:
            arg = Array(arg._client, arg._operand())
        elif isinstance(arg, TracedNumber):
            number = traced_number(op, arg._number, strong[0]._number) if strong else arg._number
            value = arg._operand()
            assert isinstance(value, Value)
            node = value.node
            if node is not None and node.block is not None and not node.op:  # a parameter
                node.block.met.add((node.serial, number))
            arg = Array(arg._client, arg._operand()).astype(DTYPES[number])
        arrays.append(arg)
    return arrays, not strong


def array_of(x: object, client: Client | None = None) -> Array:
    """An array of whatever can be an operand; an array, or a value of a program, as it is."""
    operand = as_operand(x)
    if isinstance(operand, Operators):
        return cast("Array", operand)  # hints say Array of both, which have the same operators
    return Array(client, _frozen(operand, client))


def default_client() -> Client:
    """The client of the module's functions: `_default` has it, and stands on this module."""
    from . import _default

    return _default.default_client()


def _frozen(leaf: Term, client: Client | None) -> Term:
    """What shows an array of the caller's, as it is now."""
    if type(leaf) is not Constant:
        return leaf
    if leaf.array.nbytes <= _native.INLINE_MAX:
        return Constant(leaf.array.copy("K"))
    return (client or default_client())._put(leaf)


class Array(_native.Array, Operators, Given):
    """An array that the daemon computes, and keeps.

    It has the operators and methods of numpy's arrays and of the array API standard. What they
    yield is computed when a value is needed: by ``numpy.asarray``, ``print``, ``float`` and so on,
    or `eval`. Slices and transposes are views, which see what is assigned to their base and cost
    nothing. ``numpy.asarray(x)`` shows the memory itself, without a copy, read-only: what the array
    held then, whatever is assigned later.

    What it holds stays in the daemon as long as somebody refers to it; an array of numpy's over its
    memory is valid as long as numpy holds it, whatever becomes of array, name, client or daemon.

    Mutable ones (`put` with ``mutable=True``) are written in place, by assignments and under
    leases, and seen by every process that opened them; an element, ``x[i]`` where x has one axis,
    is a number, read when it is taken, and ``x[i, ...]`` a view of it.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    __slots__ = ("_block", "_is_made", "__weakref__")
    _rank = 1
    node = None

    def __init__(self, client: Client | None, value: Term) -> None:
        self._is_made = type(value) is not Value  # not a result; of one that exists, without axes
        blocks = open_blocks()
        if blocks:
            self._block = blocks[-1][0]
        self._client = value.client if type(value) is Tensor else client
        self._shape = value.shape
        self._number = value._number
        self._value = value
        self._lies = None  # a view that lost its base: strides in elements; None: in C order
        self._is_fixed = False  # others know its value by a name, so it is not assigned to

    @property
    def _is_number(self) -> bool:
        """Would it be a number of numpy's, no array: a result, or an element, without axes?"""
        is_view = self._base is not None or self._lies is not None
        return not (self.shape or is_view or getattr(self, "_is_made", False))

    # ---- its value ----

    def _operand_of_view(self) -> Term:
        """What stands for a view in a program; ``_operand`` asks it."""
        base = self._base
        if base is None:  # another thread was here just now
            return self._operand()
        of, value = self._look(base)
        is_copy = type(of) is Tensor and of.is_mutable and type(value) is Value
        del base
        if self._is_last() and not is_copy:
            # Nobody can write the base any more, or see it; but for what others opened. Who still
            # looks at it as a view finds its steps as they were.
            self._detach(of, value, self._element_strides(), not self._is_writable)
            return self._operand()
        if type(value) is not Value or value.node is not None:
            return value
        leaf = value.leaf
        assert type(leaf) is Tensor
        self._seen = of, leaf
        return leaf

    def _look(self, base: Array) -> tuple[Term, Value | Tensor]:
        """The value of its base, and what the view sees of it."""
        of = base._operand()
        seen: tuple[Term, Value | Tensor] | None = self._seen
        if seen is None or seen[0] is not of:
            seen = of, self._levels(of)[-1]
            if not (type(of) is Tensor and of.is_mutable and type(seen[1]) is Value):
                self._seen = seen  # else it is another value each time
        return seen

    def _levels(self, of: Term, end: int | None = None) -> list[Value | Tensor]:
        """What is seen of the base's value after none of the steps, the first, and so on."""
        levels: list[Value | Tensor] = [of if isinstance(of, (Value, Tensor)) else Input(of)]
        for step in self._steps[:end]:
            value = step.get(levels[-1])
            if type(value) is Value and value is not levels[-1]:
                track(value, self._client)
            levels.append(value)
        return levels

    def _tensor(self) -> Tensor:
        """The tensor that its value is, computed first where it is pending."""
        value = self._operand()
        if type(value) is Tensor:
            return value
        if self._client is None:
            self._client = default_client()
        tensor: Leaf | None
        if isinstance(value, Value):
            base = self._base
            if base is not None and base.nbytes <= _SMALL:
                base._tensor()
                base = None  # it may be the only one who refers to it
                value = self._operand()
                if not isinstance(value, Value):
                    assert type(value) is Tensor
                    return value
            force(self._client, (value,))
            tensor = value.leaf
        else:
            tensor = self._client._put(value)
        assert type(tensor) is Tensor
        self._settle(value, tensor)  # unless somebody assigned to it meanwhile
        return tensor

    if not TYPE_CHECKING:
        _make = staticmethod(compute)

    def _copy(self) -> Array:
        """Another array of the same value, which two share until one of them is assigned to. That
        of a mutable tensor is copied by the time it is written.
        """
        if self.is_mutable:
            return self._make("astype", (self,), {"dtype": self._number})
        return Array(self._client, self._operand())

    def _add_to(self, builder: _native.Builder, client: Client) -> int:
        """As an input of a request."""
        return self._tensor()._add_to(builder, client)

    @property
    def key(self) -> int:
        """What tells it apart from other operands of a program."""
        return id(self)

    # ---- what it is ----

    @property
    def client(self) -> Client:
        """The `Client` that it belongs to."""
        if self._client is None:
            self._client = default_client()
        return self._client

    @property
    def device(self) -> str:
        """Where it is computed: "cpu"."""
        return "cpu"

    @property
    def _resident(self) -> Tensor | None:
        """The tensor, if there is one yet; nothing is computed for it."""
        value = self._operand()
        return value if type(value) is Tensor else None

    @property
    def name(self) -> str | None:
        """Its name when this reference was made; None if it had none, and for views."""
        tensor = self._resident
        return None if tensor is None else tensor.name

    @property
    def id(self) -> bytes:
        """16 bytes by which other connections of this user can open it; of a view, the whole's."""
        return self._tensor().id

    @property
    def strides(self) -> Shape:
        """Bytes from one element to the next, along each axis."""
        return self._in_memory()[0].strides

    @property
    def is_sealed(self) -> bool:
        """Is it complete, and so immutable?"""
        return self._tensor().is_sealed

    @property
    def is_mutable(self) -> bool:
        """Is it, or will it be once it is sealed, written by assignments and under leases?"""
        tensor = self._resident
        return tensor is not None and tensor.is_mutable

    @property
    def is_evictable(self) -> bool:
        """May it be deleted for its memory, as far as this reference was told?"""
        return self._tensor()._handle.is_evictable

    @property
    def is_shared(self) -> bool:
        """Do other users read it, as far as this reference was told?"""
        return self._tensor()._handle.is_shared

    @property
    def owner(self) -> int | None:
        """Uid of the user whose it is; None: one's own."""
        return self._tensor()._handle.owner

    # ---- memory ----

    def _map(self, mode: int, share: bool) -> NDArray:
        return self._tensor()._map(mode, share)

    def _read(self) -> NDArray:
        """An array of numpy's to read values from, which need not be the shared memory."""
        tensor, component = self._in_memory()
        return part_of(tensor._read(), component)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        """Its memory as a read-only numpy.ndarray: a snapshot, whatever is assigned later.

        Parameters
        ----------
        dtype : numpy.dtype, optional
            Another one means a copy.
        copy : bool, optional
            True: always copy. False: refuse (ValueError) where a copy would be needed.
        """
        tensor, component = self._in_memory()
        return as_asked(part_of(tensor._ndarray(None, None), component), dtype, copy)

    def _in_memory(self) -> tuple[Tensor, str | None]:
        """The tensor that its value is, or whose real or imaginary part, and which of them."""
        return self._component_in_memory() or (self._tensor(), None)

    def _component_in_memory(self) -> tuple[Tensor, str] | None:
        base = self._base
        if base is None or not isinstance(step := self._steps[-1], Component):
            return None
        if base.nbytes <= _SMALL or base.size == self.size:
            base._tensor()  # what others want of it is computed, too
        (*_, of) = self._levels(base._operand(), -1)
        return (of, step.op) if type(of) is Tensor else None

    def _tensor_to_show(self) -> Tensor:
        """What ``__array_struct__`` tells of; it has no words for parts of numbers."""
        tensor, component = self._in_memory()
        if component is not None:
            raise AttributeError("see __array_interface__")
        return tensor

    def _item(self, to: str) -> Any:
        if self.size != 1:
            raise TypeError(
                f"only an array of one element becomes {to}, this has shape {self.shape}"
            )
        if type(self._value) is Scalar:
            return DTYPES[self._number].type(self._value.value).item()
        tensor, component = self._in_memory()
        item = tensor._item()
        return item if component is None else getattr(item, component)

    def __complex__(self) -> complex:
        return complex(self._item("a complex"))

    def __float__(self) -> float:
        return float(self._item("a float"))

    def __int__(self) -> int:
        return int(self._item("an int"))

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError("only a 0-d array of integers can be an index")
        return int(self._item("an index"))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth value of an array of shape {self.shape} is ambiguous")
        return bool(self._item("a bool"))

    def __repr__(self) -> str:
        what = f"shape={self.shape}, dtype={self.dtype}"
        if is_traced(self):
            return f"<tensord.Array {what}, traced>"
        if self._client is not None and self._client.is_closed:
            return f"<tensord.Array {what}>"
        tensor, component = self._in_memory()
        if tensor.name is not None and component is None:
            what += f", name={tensor.name!r}"
        if not (tensor.is_sealed or tensor.is_mutable):
            return f"<tensord.Array {what}>"
        values = part_of(tensor._read(), component)
        text = numpy.array2string(values, separator=", ", prefix="Array(")
        return f"Array({text}, {what}, {self.nbytes} bytes)"

    # ---- writing ----

    def read(self, timeout: float | None = None, torn: bool = False) -> Lease:
        """Have nobody write this tensor, or view of one, while it is read.

        Parameters
        ----------
        timeout : float, optional
            How long to wait for those that write, in seconds; without it they are refused to be
            waited for (but for programs that were sent before).
        torn : bool
            Read also what somebody who vanished was writing.

        Returns
        -------
        Lease
            A context manager, whose value is a read-only numpy.ndarray over the memory.

        Raises
        ------
        LeaseConflict
            When the block is entered: somebody writes a part of it.
        Torn
            Likewise: whoever wrote a part of it vanished before the end.
        Sealed
            It is not mutable, so that it can be read without.

        Examples
        --------
        >>> import tensord
        >>> t = tensord.put([1.0, 2.0, 3.0], mutable=True)
        >>> with t[:2].read() as a:
        ...     print(a)
        [1. 2.]
        """
        return self._lease(False, timeout, torn)

    def write(self, timeout: float | None = None) -> Lease:
        """Write this tensor, or view of one, in place, while nobody else reads or writes it.

        Parameters
        ----------
        timeout : float, optional
            How long to wait for others, in seconds; see `read`.

        Returns
        -------
        Lease
            A context manager, whose value is a writable numpy.ndarray over the memory: not to be
            written behind the block. What was written is seen by whoever looks afterwards, also
            where the block raises. If this process ends within the block, the part is torn.

        Raises
        ------
        LeaseConflict
            When the block is entered: somebody else reads or writes a part of it.
        Sealed
            It is not mutable.
        LeaseLost
            When the block is left: the connection ended meanwhile.

        Examples
        --------
        >>> import tensord
        >>> t = tensord.put([1.0, 2.0, 3.0], mutable=True)
        >>> with t[1:].write() as a:
        ...     a += 0.5
        >>> t
        Array([1. , 2.5, 3.5], shape=(3,), dtype=float64, 24 bytes)
        """
        return self._lease(True, timeout, False)

    def _lease(self, write: bool, timeout: float | None, torn: bool) -> Lease:
        tensor, component = self._in_memory()
        if self._is_number:
            raise error("sealed", "a number is not leased; of an element, x[i, ...] is a view")
        if component is not None and tensor.is_mutable:
            raise error(
                "bad_arguments",
                f"not leased: {component} of a mutable tensor, by itself; lease the complex "
                f"numbers, `with x.write() as a`, where a.{component} is numpy's",
            )
        return Lease(tensor, write, timeout, torn)

    @property
    def _is_writable(self) -> bool:
        """May it be assigned to?"""
        base = self._base
        if base is None:
            return not self._is_fixed
        return not base._is_fixed and all(step.put is not None for step in self._steps)

    # ---- views ----

    def _element_strides(self) -> Shape:
        """Of numpy's array in this one's place: see `_views`."""
        base = self._base
        if base is not None:
            shape, strides = base.shape, base._element_strides()
            for step in self._steps:
                new = step.strides(shape, strides)
                assert new is not None  # or it would be no view
                strides = new
                shape = step.shape_of(shape)
            return strides
        if self._lies is None and self.is_mutable:
            return tuple([n // self.dtype.itemsize for n in self._tensor().strides])
        return c_strides(self.shape, 1) if self._lies is None else self._lies

    def _view(self, step: Step, shape: Shape) -> Array:
        view = object.__new__(Array)
        view._client = self._client
        view._shape = shape
        view._number = self._number
        view._value = view._seen = None
        base = self._base
        view._base = self if base is None else base
        steps = () if base is None else self._steps
        if steps and type(steps[-1]) is Component:
            view._steps = (*steps[:-1], step, steps[-1])
        else:
            view._steps = (*steps, step)
        view._lies = None
        view._is_fixed = False
        return view

    def _at(self, index: Index) -> Array:
        view = self._view(Part(index), index.shape)
        if not index.is_element:
            return view
        value = view._operand()
        if type(value) is Tensor and value.is_mutable:
            if open_blocks():
                return view  # to be read by each call
            value = Scalar(value._item(), value._number)
        element = Array(self._client, value)  # as numpy's scalars, no view
        element._is_made = False
        return element

    def _permute(self, axes: Sequence[SupportsIndex]) -> Array:
        order = normal_axes(axes, self.ndim)
        if order is None:
            self._infer("permute_dims", {"axes": tuple(axes)})  # refuses
            raise AssertionError
        return self._view(Permuted(order), tuple([self.shape[i] for i in order]))

    def _broadcast(self, shape: Shape) -> Array:
        return self._view(Broadcast(shape), self._infer("broadcast_to", {"shape": shape}))

    def _reshape(self, shape: Shape) -> Array:
        shape = self._infer("reshape", {"shape": shape})
        step = Reshaped(shape)
        if step.strides(self.shape, self._element_strides()) is None:
            return self._make("reshape", (self,), {"shape": shape})
        return self._view(step, shape)

    def _component(self, op: str) -> Array:
        """The real or imaginary parts, of complex numbers."""
        view = self._view(Component(op), self.shape)
        view._number = FLOAT32 if self._number == COMPLEX64 else FLOAT64
        return view

    def _diagonal(
        self, offset: int, count: int, of_value: Callable[[Value, int], Value]
    ) -> Array:
        return self._view(Diagonal(offset, of_value), (*self.shape[:-2], count))

    def _infer(self, op: str, attrs: Attrs) -> Shape:
        """Shape of the result of an operation on this one array; refused where it is wrong."""
        ((_, shape),) = _native.infer(lookup(op)[0], (self,), attrs)
        return shape


class TracedNumber(Array):
    """A Python number while a function is traced: like one, it takes the dtype of what it meets."""

    __slots__ = ()


def opened(tensor: Tensor, is_fixed: bool) -> Array:
    """An array of what the daemon keeps."""
    array = Array(None, tensor)
    array._is_fixed = is_fixed and not tensor.is_mutable
    return array


_native.set_package(
    {
        "Node": Node,
        "Value": Value,
        "Array": Array,
        "Tensor": Tensor,
        "Scalar": Scalar,
        "numbers": OPS,
        "operators": Operators,
        "compute": _compute_any,
        "operand_for": operand_for,
        "weak": weak_numbers(),
        "pending_max": PENDING_MAX,
    }
)
