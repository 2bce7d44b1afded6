# SPDX-License-Identifier: MIT
"""Forcing: pending values become tensors, in one request, or as few as hold what they need.

What is computed with the wanted values. Of the nodes that they need, some have values that somebody
else still refers to: an array of the user's, or a node that is not needed now. Where such a node
ends a region of the engine (a matmul, a sort, a reduction, ...), its value is an output too, since
it lies in memory anyway; where it is element by element, it is recomputed the first time, and kept
from the second time on. `_plan` finds out.

Threads. Nodes that are being computed are marked with their `Run`; whoever meets the mark waits for
that run, but in what is called while its thread computes itself - a signal handler, a finalizer,
what draws a progress bar: it is refused, since others may wait for that thread. `_lock` covers
planning, marking and handing out results, never a request; what a program of `Client.run` needs is
found under it, too (`outputs_of`). A run that was sent ahead, because too much was pending, is
waited for by whoever needs something of it; what fails in it is pending as before, and shows where
it is needed.

Interrupts come between any two lines. What was given away for a run is gone with its results, so
there is no line where nobody has these: the run has its request before that is sent, and nodes stay
marked with it until the results are handed out.

One operation on what exists needs no plan: it is marked here, and computed by `_native_force.c`.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING

from . import _native
from ._dtypes import KINDS
from ._errors import TensordError, classes, error
from ._graph import emit_node, run_of, run_of_any, sort_outputs
from ._operands import Scalar
from ._plan import DONATED_MIN, Plan, is_large, lasting, n_pending, parts_of
from ._progress import shown
from ._tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from ._client import Client
    from ._graph import Node, Value
    from ._lease import Lease
    from ._types import Numbers, OperandKey, OutputRow, Shape, Term

#: So many pending nodes at most; then they are sent, without waiting.
PENDING_MAX = 256

_MAY_FAIL = frozenset(name for name, _, _, may_fail, _ in _native.OPS if may_fail)

# What may be the fault of a value that nobody asked for.
_OF_VALUES = tuple(
    classes[name]
    for name in "OutOfMemory QuotaExceeded LimitError ValueRefused LinAlgError OutOfRange "
    "KernelError".split()
)


class _Own(threading.local):
    """Of each thread: a lock that it holds while it computes."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


# To be entered by way of a `Hold`, so that no interrupt comes between.
_lock = threading.RLock()
_own = _Own()


def _renew_locks() -> None:
    global _lock, _own
    _lock, _own = threading.RLock(), _Own()


os.register_at_fork(after_in_child=_renew_locks)


def _is_owned(lock: Any) -> bool:
    """By this thread?"""
    owned: bool = lock._is_owned()  # as threading.Condition asks
    return owned


def planning() -> _native.Hold:
    """A hold on the lock, to be entered. A finalizer or a signal handler may come in between at any
    time, also while its thread holds the lock; it cannot wait for itself.
    """
    if _is_owned(_lock):
        raise error(
            "bad_arguments",
            "a signal handler or a finalizer wants the value of an array while the thread that it "
            "interrupted plans what to compute; have it note what it wants, and look afterwards",
        )
    return _native.Hold(_lock)


def may_fail(node: Node, number: int) -> bool:
    """Can a node fail on its data? number: of its first result's dtype."""
    if node.op != "pow":
        return node.op in _MAY_FAIL or node.op.startswith("user.")
    if KINDS[number] not in "iu":  # only an integer to a negative integer power fails
        return False
    exponent = node.args[1]
    return not (isinstance(exponent, Scalar) and exponent.value.real >= 0)


def _sizes(nodes: Iterable[Node]) -> list[tuple[str, list[Shape]]]:
    """Requests of which this is the same take as much memory."""
    return [(node.op, [arg.shape for arg in node.args]) for node in nodes]


class Run:
    """A request for some values. Its nodes are marked with it until they are tensors.

    Whoever computes holds `lock`, and that of its thread, before anything is marked, and leaves it
    afterwards, however that ends: so others may wait for it.
    """

    __slots__ = (
        "client",
        "lock",
        "wanted",
        "plan",
        "pid",
        "_roots",
        "_is_part",
        "_pending",
        "_marked",
        "_shown",
        "__weakref__",
    )
    _roots: Mapping[int, Term]
    _is_part: bool
    _shown: AbstractContextManager[object]

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lock = threading.RLock()
        self.pid = os.getpid()
        self.wanted: list[Value] = []
        self.plan: Plan | None = None
        self._pending: _native.Pending | None = None  # of what is sent ahead
        self._marked: Sequence[Node] = ()

    def plan_for(
        self, values: Sequence[Value], root_of: Mapping[int, Term], is_part: bool
    ) -> Plan | None:
        """Plan what those of the values need that are pending, and mark it, unless something else
        has to be done first; None: nothing is pending.
        """
        self._roots, self._is_part = root_of, is_part
        with planning():
            wanted = [*{id(v): v for v in values if v.node is not None}.values()]
            if not wanted:
                return None
            plan = Plan(wanted, root_of=root_of, is_part=is_part)
            if plan.is_complete:
                self._begin(wanted, plan)
            return plan

    def _begin(self, wanted: list[Value], plan: Plan) -> None:
        self.wanted, self.plan = wanted, plan
        n_extra = max(_native.OUTPUTS_MAX - len(wanted), 0)
        if len(plan.extra) > n_extra:
            del plan.extra[n_extra:]
            plan.donated = []  # what is not an output needs them again
        own = [value.node for value in wanted if value.node is not None]
        self.mark([*plan.nodes, *plan.seen_through, *own])

    def mark(self, nodes: Sequence[Node]) -> None:
        self._marked = nodes
        ref = weakref.ref(self)  # if it is interrupted now, the marks are void when it is gone
        for node in nodes:
            node.run = ref

    def unmark(self) -> None:
        for node in self._marked:
            run = node.run
            if run is self or (isinstance(run, weakref.ref) and run() is self):
                node.run = None
        self._marked = ()

    def _let_go(self) -> None:
        """It is over. Who waited for it may have it still, and keeps nothing of what it needed."""
        self.unmark()
        self.plan = None
        self.wanted = []

    def _plan_alone(self) -> bool:
        """Plan anew what the wanted values need, and no more. False: that is what it was, or too
        much for a request; or somebody else computes some of it by now.
        """
        before = self.plan
        assert before is not None
        with planning():
            self.unmark()
            wanted = [value for value in self.wanted if value.node is not None]
            plan = Plan(wanted, True, self._roots, self._is_part)
            if not plan.is_complete or (is_large(plan.nodes) and not is_large(before.nodes)):
                return False
            self._begin(wanted, plan)
        return not wanted or bool(before.extra) or _sizes(plan.nodes) != _sizes(before.nodes)

    def compute(self, name: str | None = None, how: int = 0) -> None:
        """Compute and wait; raises what is wrong with the wanted values."""
        is_alone = False
        try:
            while self.wanted:
                try:
                    builder, rows = self._emit(name, how)
                    with shown(builder):
                        self._receive(functools.partial(self.client._native.run, builder, rows))
                except TensordError as problem:
                    assert self.plan is not None
                    is_useful = self.plan.extra or isinstance(problem, MemoryError)
                    if is_alone or not is_useful or not isinstance(problem, _OF_VALUES):
                        raise
                    is_alone = True
                    if not self._plan_alone():
                        raise
                else:
                    return
        finally:
            self._let_go()

    def send(self) -> None:
        """Send it and come back. What fails shows where a value is needed."""
        try:
            builder, rows = self._emit(None, 0)
            self._shown = shown(builder)
            for node in self._marked:
                node.run = self  # they keep it until somebody waits for it
            self._pending = _native.Pending(self.client._native)
            self._pending.submit(builder, rows)
        except TensordError:
            pass
        finally:
            self._let_go_unless_sent()

    def finish(self) -> None:
        """Wait until another thread, or the daemon, is done with it."""
        if _is_owned(_own.lock):
            raise error(
                "bad_arguments",
                "a signal handler, a finalizer or a progress bar wants the value of an array that "
                "is being computed, while its own thread computes; have it note what it wants, and "
                "look afterwards",
            )
        with _native.Hold(self.lock), _native.Hold(_own.lock):
            try:
                if self._pending is not None and self._pending.is_under_way:
                    with self._shown:
                        self._receive(self._pending.wait)
            except TensordError:
                pass  # it is pending as before
            finally:
                self._let_go_unless_sent()

    def _let_go_unless_sent(self) -> None:
        if self._pending is None or not self._pending.is_under_way:
            self._let_go()

    def _outputs(self) -> list[Value]:
        assert self.plan is not None
        return self.wanted + self.plan.extra

    def _emit(
        self, name: str | None, how: int
    ) -> tuple[_native.Builder, tuple[OutputRow, ...]]:
        builder, plan = _native.Builder(), self.plan
        assert plan is not None
        numbers: Numbers = {}
        for leaf in plan.leaves:
            key = leaf.key
            if key not in numbers:  # numbers that are equal are one
                numbers[key] = leaf._add_to(builder, self.client)
        for leaf in plan.donated:
            builder.donate(numbers[leaf.key])
        for node in plan.nodes:
            part = plan.part_of.get(node.serial)
            if part is None:
                emit_node(builder, node, numbers)
            else:
                numbers[node.serial, 0] = numbers[part.key]
        roots = [plan.root_of[id(value)] for value in self.wanted]
        outputs = [numbers[value.key] for value in (*roots, *plan.extra)]
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
                try:
                    self._settle(handles)
                except BaseException:  # an interrupt: once more, what is there is the same
                    self._settle(handles)
                    raise

    def _settle(self, handles: Iterable[_native.Tensor | None]) -> None:
        with planning():  # whoever plans meets all of it or nothing
            for value, handle in zip(self._outputs(), handles):
                assert handle is not None  # it goes into nothing
                value._settle(Tensor(self.client, handle))


def outputs_of(
    values: Sequence[Term], client: Client | None = None
) -> tuple[list[Term], list[Node]]:
    """What values need, as `sort_outputs` has it, when no run is under way that would change it.

    Who has it refers to the leaves, so that nobody gives them away. Where it is more than a request
    may have, the client computes some of it before: what is the same whenever it runs.
    """
    while True:
        with planning():
            leaves, nodes = sort_outputs(values)
            busy = run_of_any(nodes)
            parts: list[list[Value]] = []
            if busy is None and client is not None and is_large(nodes):
                roots, has_others = lasting(values, nodes)
                parts = parts_of(roots, roots)
                if has_others and roots:
                    parts.append(roots)
            if busy is None and not parts:
                return leaves, nodes
        del leaves, nodes
        if busy is not None:
            busy.finish()
        elif client is not None:
            _force_parts(client, parts, {})


def _force_parts(client: Client, parts: list[list[Value]], root_of: Mapping[int, Term]) -> None:
    """One after the other; nothing is kept here of those that are done, so that their memory may be
    given away.
    """
    while parts:
        part = parts.pop(0)
        while part:
            some, part = part[: _native.OUTPUTS_MAX], part[_native.OUTPUTS_MAX :]
            _force_some(client, some, root_of=root_of, is_part=True)


def _force_some(
    client: Client,
    values: Sequence[Value],
    name: str | None = None,
    how: int = 0,
    *,
    is_ahead: bool = False,
    is_part: bool = False,
    root_of: Mapping[int, Term] | None = None,
) -> bool:
    """Have values be tensors, no more than a request yields; false: they are.

    Where that is more than a request may have, parts of it are computed before. Ahead: it is sent,
    or the first part of it is. As a part: values without a root are computed as they stand.
    """
    root_of = root_of or {}
    while True:
        run = Run(client)
        with _native.Hold(run.lock), _native.Hold(_own.lock):
            plan = run.plan_for(values, root_of, is_part)
            if plan is None:
                return False
            if plan.is_complete:
                del plan  # the run alone has it, until it is over
                if is_ahead:
                    run.send()
                else:
                    run.compute(name, how)
                return True
        busy, parts, root_of = plan.busy, plan.parts, plan.root_of
        del plan
        if busy is not None:
            busy.finish()
        elif is_ahead:
            values, is_part = parts[0][: _native.OUTPUTS_MAX], True
        else:
            _force_parts(client, parts, root_of)


def _compute_one(client: Client, value: Value) -> bool:
    """Have a value be a tensor whose node needs nothing that is pending, and nothing that could be
    given away; false: that takes a plan.
    """
    run = Run(client)
    with _native.Hold(run.lock), _native.Hold(_own.lock):
        with planning():
            if value.node is None or run_of(value.node) is not None:
                return False
            run.mark((value.node,))
        try:
            tensor = _native.run_one(client, value, DONATED_MIN)
            if tensor is not None:
                with planning():
                    value._settle(tensor)
        finally:
            run.unmark()
    return tensor is not None


def force(
    client: Client, values: Sequence[Value], name: str | None = None, how: int = 0
) -> None:
    """Have values be tensors.

    Parameters
    ----------
    client : Client
        Who computes.
    values : sequence of Value
    name, how
        Of the first, as the native client takes them.
    """
    if len(values) == 1 and name is None and _compute_one(client, values[0]):
        return
    values = list(values)
    for i in range(0, len(values), _native.OUTPUTS_MAX):
        _force_some(client, values[i : i + _native.OUTPUTS_MAX], name, how)


def track(value: Value, client: Client | None) -> None:
    """Note a new pending value: what it reads, and how much is pending for it."""
    cost, node = 1, value.node
    if node is None or node.block is not None:
        return  # it is there by now; or what it is a part of counts
    for arg in node.args:
        tensor = arg._source
        if type(tensor) is Tensor:
            if tensor.is_mutable:
                tensor.client._readers.add(tensor, value)
        elif arg.node is not None:
            cost += arg.cost
    value.cost = cost
    if cost > PENDING_MAX and not (_is_owned(_lock) or _is_owned(_own.lock)):  # nothing is refused
        value.cost = cost = n_pending(value)
        if cost > PENDING_MAX:
            from ._default import default_client

            if _force_some(client or default_client(), [value], is_ahead=True):
                value.cost = 1
