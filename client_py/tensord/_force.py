# SPDX-License-Identifier: MIT
"""Forcing: pending values become tensors, in one request.

What is computed with the wanted values. Of the nodes that they need, some have values that somebody
else still refers to: an array of the user's, or a node that is not needed now. Where such a node
ends a region of the engine (a matmul, a sort, a reduction, ...), its value is an output too, since
it lies in memory anyway; where it is element by element, it is recomputed the first time, and kept
from the second time on. `_plan` finds out.

Threads. Nodes that are being computed are marked with their `Run`; whoever meets the mark waits for
that run. `_lock` covers planning, marking and handing out results, never a request; what a program
of `Client.run` needs is found under it, too (`outputs_of`). A run that was sent ahead, because too
much was pending, is waited for by whoever needs something of it; what fails in it is pending as
before, and shows where it is needed.

One operation on what exists needs no plan: it is marked here, and computed by `_native_force.c`.
"""

from __future__ import annotations

import collections
import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING

from . import _native
from ._dtypes import KINDS
from ._errors import TensordError, classes, error
from ._graph import emit_node, sort_outputs
from ._operands import Scalar
from ._plan import DONATED_MIN, Plan, n_pending, run_of
from ._progress import shown
from ._tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from ._client import Client
    from ._graph import Node, Value
    from ._types import Numbers, OutputRow, Term

#: So many pending nodes at most; then they are sent, without waiting.
PENDING_MAX = 256

_MAY_FAIL = frozenset(name for name, _, _, may_fail, _ in _native.OPS if may_fail)

# What may be the fault of a value that nobody asked for.
_OF_VALUES = tuple(
    classes[name]
    for name in "OutOfMemory QuotaExceeded LimitError ValueRefused LinAlgError OutOfRange "
    "KernelError".split()
)


class _Lock:
    """A lock that a thread cannot wait for itself for.

    A finalizer may come in between at any time, also while its thread holds the lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        if self._owner == threading.get_ident():
            raise error(
                "bad_arguments",
                "a finalizer wants the value of an array while this thread plans what to compute",
            )
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *exception: object) -> None:
        self._owner = None
        self._lock.release()


_lock = _Lock()


def _renew_lock() -> None:
    global _lock
    _lock = _Lock()


os.register_at_fork(after_in_child=_renew_lock)


def may_fail(node: Node, number: int) -> bool:
    """Can a node fail on its data? number: of its first result's dtype."""
    if node.op != "pow":
        return node.op in _MAY_FAIL or node.op.startswith("user.")
    if KINDS[number] not in "iu":  # only an integer to a negative integer power fails
        return False
    exponent = node.args[1]
    return not (isinstance(exponent, Scalar) and exponent.value.real >= 0)


class Run:
    """A request for some values, from the marking of its nodes until they are tensors."""

    __slots__ = (
        "client",
        "wanted",
        "plan",
        "pending",
        "pid",
        "_thread",
        "_marked",
        "_lock",
        "_shown",
        "__weakref__",
    )
    client: Client
    wanted: list[Value]
    plan: Plan
    pending: _native.Pending | None  # of a request that was sent ahead: what to wait for
    pid: int
    _marked: Sequence[Node]
    _shown: AbstractContextManager[object]

    def __init__(self, client: Client, wanted: list[Value], plan: Plan) -> None:
        self.client = client
        self.wanted = wanted
        self.pending = None
        self._take()
        self._begin(plan)

    def _take(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()  # held while the thread that forces is at it
        self._lock.acquire()
        self._thread: int | None = threading.get_ident()  # who holds it

    def _release(self) -> None:
        self._thread = None
        self._lock.release()

    @classmethod
    def of_one(cls, value: Value) -> Run:
        """A run of one value's node, without a plan; see `_compute_one`."""
        run = cls.__new__(cls)
        run.pending = None
        run._take()
        assert value.node is not None
        run._mark((value.node,))
        return run

    def _begin(self, plan: Plan) -> None:
        self.plan = plan
        n_extra = max(_native.OUTPUTS_MAX - len(self.wanted), 0)
        if len(plan.extra) > n_extra:
            del plan.extra[n_extra:]
            plan.donated = []  # what is not an output needs them again
        self._mark([*plan.nodes, *(x.node for x in self.wanted if x.node is not None)])

    def _mark(self, nodes: Sequence[Node]) -> None:
        self._marked = nodes
        ref = weakref.ref(self)  # if it ends before it began, the marks are void
        for node in nodes:
            node.run = ref

    def _plan_alone(self) -> bool:
        """Plan anew what the wanted values need, and no more; false: nothing any more."""
        self._unmark()
        while True:
            with _lock:
                self.wanted = [value for value in self.wanted if value.node is not None]
                if not self.wanted:
                    return False
                plan = Plan(self.wanted, True)
                if plan.busy is None:
                    self._begin(plan)
                    return True
            plan.busy.finish()

    def compute(
        self,
        name: str | None = None,
        how: int = 0,
        watch: Callable[[_native.Builder], object] | None = None,
    ) -> None:
        """Compute and wait; raises what is wrong with the wanted values."""
        is_alone = False
        try:
            while True:
                try:
                    builder, rows = self._emit(name, how)
                    if watch is not None:
                        watch(builder)
                    with shown(builder):
                        self._receive(functools.partial(self.client._native.run, builder, rows))
                except TensordError as problem:
                    is_useful = self.plan.extra or isinstance(problem, MemoryError)
                    if is_alone or not is_useful or not isinstance(problem, _OF_VALUES):
                        raise
                    is_alone = True
                    if not self._plan_alone():
                        return
                else:
                    return
        finally:
            self._unmark()
            self._release()

    def send(self) -> None:
        """Send it and come back. What fails shows where a value is needed."""
        try:
            try:
                builder, rows = self._emit(None, 0)
                self._shown = shown(builder)
                self.pending = self.client._native.submit(builder, rows)
                for node in self._marked:
                    node.run = self  # they keep it until somebody waits for it
            except BaseException as problem:
                self._unmark()
                if not isinstance(problem, TensordError):
                    raise
        finally:
            self._release()

    def finish(self) -> None:
        """Wait until another thread, or the daemon, is done with it."""
        if not self._lock.acquire(blocking=False):
            if self._thread == threading.get_ident():
                raise error(
                    "bad_arguments",
                    "a signal handler or a callback wants the value of an array that this thread "
                    "is computing",
                )
            self._lock.acquire()
        self._thread = threading.get_ident()
        try:
            pending, self.pending = self.pending, None
            if pending is None:
                return
            try:
                with self._shown:
                    self._receive(pending.wait)
            except TensordError:
                pass  # it is pending as before
            finally:
                self._unmark()
        finally:
            self._release()

    def _outputs(self) -> list[Value]:
        return self.wanted + self.plan.extra

    def _emit(
        self, name: str | None, how: int
    ) -> tuple[_native.Builder, tuple[OutputRow, ...]]:
        builder = _native.Builder()
        numbers: Numbers = {}
        for leaf in self.plan.leaves:
            numbers[leaf.key] = leaf._add_to(builder, self.client)
        for leaf in self.plan.donated:
            builder.donate(numbers[leaf.key])
        for node in self.plan.nodes:
            emit_node(builder, node, numbers)
        outputs = [numbers[value.key] for value in (*self.plan.roots, *self.plan.extra)]
        if name is None:
            return builder, tuple(outputs)
        named = (name, *[None] * (len(outputs) - 1))
        return builder, tuple([(n, name, how, False) for n, name in zip(outputs, named)])

    def _receive(self, wait: Callable[[list[_native.Tensor | None]], object]) -> None:
        """Take what a wait puts into a list, also where it is interrupted then: the memory that was
        given away for it is gone.
        """
        handles: list[_native.Tensor | None] = []
        try:
            wait(handles)
        finally:
            if handles:
                self._settle(handles)

    def _settle(self, handles: Iterable[_native.Tensor | None]) -> None:
        with _lock:  # whoever plans meets all of it or nothing
            for value, handle in zip(self._outputs(), handles):
                assert handle is not None  # it goes into nothing
                value._settle(Tensor(self.client, handle))

    def _unmark(self) -> None:
        for node in self._marked:
            run = node.run
            if run is self or (isinstance(run, weakref.ref) and run() is self):
                node.run = None


def outputs_of(values: Sequence[Term]) -> tuple[list[Term], list[Node]]:
    """What values need, as `sort_outputs` has it, when no run is under way that would change it.

    Who has it refers to the leaves, so that nobody gives them away.
    """
    while True:
        with _lock:
            leaves, nodes = sort_outputs(values)
            busy = next((run for node in nodes if (run := run_of(node)) is not None), None)
            if busy is None:
                return leaves, nodes
        busy.finish()


def _begin(client: Client, values: Sequence[Value], is_ahead: bool = False) -> Run | None:
    """A run for those of the values that are pending, its nodes marked; None if none is.

    Where that is more than a request may have, their first part is computed before; or, ahead,
    the run is for some of it.
    """
    while True:
        with _lock:
            wanted = [*{id(v): v for v in values if v.node is not None}.values()]
            if not wanted:
                return None
            plan = Plan(wanted)
            if plan.busy is None and not plan.first:
                return Run(client, wanted, plan)
        if plan.busy is not None:
            plan.busy.finish()
        elif is_ahead:
            values = plan.first[: _native.OUTPUTS_MAX]
        else:
            force(client, plan.first)


def _compute_one(client: Client, value: Value) -> bool:
    """Have a value be a tensor whose node needs nothing that is pending, and nothing that could be
    given away; false: that takes a plan.
    """
    with _lock:
        if value.node is None or run_of(value.node) is not None:
            return False
        run = Run.of_one(value)
    try:
        tensor = _native.run_one(client, value, DONATED_MIN)
        if tensor is not None:
            with _lock:
                value._settle(tensor)
    finally:
        run._unmark()
        run._release()
    return tensor is not None


def force(
    client: Client,
    values: Sequence[Value],
    name: str | None = None,
    how: int = 0,
    watch: Callable[[_native.Builder], object] | None = None,
) -> None:
    """Have values be tensors.

    Parameters
    ----------
    client : Client
        Who computes.
    values : sequence of Value
    name, how
        Of the first, as the native client takes them.
    watch : callable, optional
        Called with the builder of the request, to set bounds.
    """
    if len(values) == 1 and name is None and watch is None and _compute_one(client, values[0]):
        return
    values = list(values)
    for i in range(0, len(values), _native.OUTPUTS_MAX):
        run = _begin(client, values[i : i + _native.OUTPUTS_MAX])
        if run is not None:
            run.compute(name, how, watch)


class Readers:
    """Of a client: the pending values that read mutable tensors, by the tensors' ids.

    They are computed before such a tensor is written through this client, and when it is leased or
    a lease of it ends.
    """

    def __init__(self, client: Client) -> None:
        self._client = weakref.ref(client)
        self._lock = _Lock()
        self._values: dict[bytes, list[weakref.ref[Value]]] = {}  # by id
        self._n_added = 0  # since it was pruned
        # leases to write that are held here
        self._n_writes: collections.Counter[bytes] = collections.Counter()

    def add(self, tensor: Tensor, value: Value) -> None:
        """Note that a pending value reads it; refused while it is leased here to be written."""
        if self._n_writes[tensor.id]:
            raise error(
                "lease_conflict",
                f"shape {tensor.shape} is read while this process holds a lease to write the "
                "tensor; leave the block of write() first, or use its array",
            )
        with self._lock:
            self._put(tensor.id, [weakref.ref(value)])
            self._n_added += 1
            if self._n_added >= 2 * len(self._values) + 64:
                self._prune()

    def _put(self, id_: bytes, refs: Iterable[weakref.ref[Value]]) -> None:
        self._values.setdefault(id_, []).extend(refs)

    def _prune(self) -> None:
        """Forget what nobody has any more."""
        self._n_added = 0
        for id_, refs in list(self._values.items()):
            refs = [ref for ref in refs if (value := ref()) is not None and value.node is not None]
            if refs:
                self._values[id_] = refs
            else:
                del self._values[id_]

    def finish(self, tensors: Iterable[Tensor | None]) -> None:
        """Compute what is still to be read of tensors."""
        for tensor in tensors:
            if tensor is not None and self._values:
                with self._lock:
                    refs = self._values.pop(tensor.id, [])
                values = [value for ref in refs if (value := ref()) is not None]
                client = self._client()
                assert client is not None  # whose method this is
                try:
                    force(client, [value for value in values if value.node is not None])
                except BaseException:
                    with self._lock:
                        self._put(tensor.id, refs)  # they are still to be read
                    raise

    def lease(self, tensor: Tensor, is_write: bool, n: int) -> None:
        """A lease begins (n = 1) or ends (n = -1)."""
        try:
            self.finish([tensor])
        except BaseException:
            if n < 0:  # it ends all the same
                self._count(tensor, is_write, n)
            raise
        self._count(tensor, is_write, n)

    def _count(self, tensor: Tensor, is_write: bool, n: int) -> None:
        if is_write:
            self._n_writes[tensor.id] += n
            if not self._n_writes[tensor.id]:
                del self._n_writes[tensor.id]


def track(value: Value, client: Client | None) -> None:
    """Note a new pending value: what it reads, and how much is pending for it."""
    cost = 1
    assert value.node is not None
    if value.node.block is not None:
        return  # what it is a part of counts
    for arg in value.node.args:
        tensor = arg._source
        if type(tensor) is Tensor:
            if tensor.is_mutable:
                tensor.client._readers.add(tensor, value)
        elif arg.node is not None:
            cost += arg.cost
    value.cost = cost
    if cost > PENDING_MAX:
        value.cost = cost = n_pending(value)
        if cost > PENDING_MAX:
            from ._default import default_client

            run = _begin(client or default_client(), [value], is_ahead=True)
            if run is not None:
                value.cost = 1
                run.send()
