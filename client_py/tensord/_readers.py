# SPDX-License-Identifier: MIT
"""Readers: pending values that read mutable tensors. They come before whatever writes these."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from . import _native
from ._errors import TensordError, error
from ._force import force, planning
from ._graph import run_of_any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._client import Client
    from ._graph import Value
    from ._lease import Lease
    from ._tensor import Tensor
    from ._types import OperandKey


class Readers:
    """Of a client: the pending values that read mutable tensors.

    They are computed before such a tensor is written through this client, and when it is leased or
    a lease of it ends. What is noted while a write is under way may be computed after it. Threads,
    handlers and finalizers change the tables in single steps, so that there is no lock.
    """

    def __init__(self, client: Client) -> None:
        self._client = weakref.ref(client)
        #: by id of the tensor, by key of the value
        self._noted: dict[bytes, dict[OperandKey, weakref.ref[Value]]] = {}
        self._n_kept = 0  # when it was pruned last
        self._n_added = 0  # since then
        #: leases to write, with the id of the tensor; only some are held here, or about to be
        self._writes: dict[weakref.ref[Lease], bytes] = {}

    def add(self, tensor: Tensor, value: Value) -> None:
        """Note that a pending value reads it; refused while it is leased here to be written."""
        if self._is_written(tensor):
            raise _refusal(tensor)
        ref = weakref.ref(value)
        while True:
            noted = self._noted.setdefault(tensor.id, {})
            noted[value.key] = ref
            if self._noted.get(tensor.id) is noted:  # else it was dropped in between
                break
        if self._is_written(tensor):  # by now: whoever leases it looks here after that
            noted.pop(value.key, None)
            raise _refusal(tensor)
        self._n_added += 1
        if self._n_added >= self._n_kept // 2 + 64:
            self._prune()

    def _prune(self) -> None:
        """Forget what nobody has any more, and what was computed."""
        self._n_added = 0
        n_kept = 0
        for tensor_id in [*self._noted]:
            noted = self._noted.get(tensor_id, {})
            keys = [*noted]
            pending = {value.key for value in _pending_of(noted, keys)}
            n_kept += len(pending)
            for key in keys:
                if key not in pending:
                    noted.pop(key, None)
            _native.drop_if_empty(self._noted, tensor_id)
        self._n_kept = n_kept

    def are_pending(self, tensor: Tensor) -> bool:
        """Is anything still to be read of it?"""
        noted = self._noted.get(tensor.id, {})
        return bool(_pending_of(noted, [*noted]))

    def finish(self, tensors: Iterable[Tensor | None]) -> None:
        """Compute what is still to be read of tensors."""
        for tensor in tensors:
            noted = None if tensor is None else self._noted.get(tensor.id)
            if tensor is None or noted is None:
                continue
            client = self._client()
            assert client is not None  # whose method this is
            keys = [*noted]
            # Another thread that writes waits for the same: they are in the table until then.
            if _pending_of(noted, keys):
                force(client, _idle_of(noted, keys))
            for key in keys:
                noted.pop(key, None)
            _native.drop_if_empty(self._noted, tensor.id)

    def begin_write(self, lease: Lease, tensor: Tensor) -> None:
        """A lease to write is held, or about to be."""
        lease._is_writing = True
        self._writes[weakref.ref(lease, self._writes.pop)] = tensor.id

    def _is_written(self, tensor: Tensor) -> bool:
        if tensor.id not in self._writes.values():
            return False
        leases = [(ref(), self._writes.get(ref)) for ref in [*self._writes]]
        return any([
            lease is not None and lease._is_writing and tensor_id == tensor.id
            for lease, tensor_id in leases
        ])


def _refusal(tensor: Tensor) -> TensordError:
    return error(
        "lease_conflict",
        f"shape {tensor.shape} is read while this process holds a lease to write the tensor, or "
        "waits for it; leave the block of write() first, or use its array",
    )


def _pending_of(
    noted: Mapping[OperandKey, weakref.ref[Value]], keys: Iterable[OperandKey]
) -> list[Value]:
    refs = [noted.get(key) for key in keys]
    values = [ref() for ref in refs if ref is not None]
    return [value for value in values if value is not None and value.node is not None]


def _idle_of(
    noted: Mapping[OperandKey, weakref.ref[Value]], keys: Sequence[OperandKey]
) -> list[Value]:
    """The pending ones, when no run computes any of them. They are not held while one is waited
    for: what else it computes may be all that needs them, and what they need be given away for it.
    """
    while True:
        with planning():
            values = _pending_of(noted, keys)
            busy = run_of_any([value.node for value in values])
            if busy is None:
                return values
            values.clear()
        busy.finish()
