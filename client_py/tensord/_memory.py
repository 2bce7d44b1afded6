# SPDX-License-Identifier: MIT
"""Who holds what of the daemon's memory, as tables.

What is shown was asked for when the table was made, and does not change any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _tables
from ._errors import Lost, NotFound

if TYPE_CHECKING:
    from ._questions import Questions
    from ._types import Map, Maps

_HEADS = {
    "name": "name",
    "shape": "shape",
    "dtype": "dtype",
    "nbytes": "bytes",
    "holders": "held by",
    "client": "client",
    "pid": "pid",
    "references": "tensors",
    "bytes": "bytes",
    "leases": "leases",
    "requests": "requests",
}


class Memory:
    """What `Client.memory` found, as it was then.

    Attributes
    ----------
    address : str
        Of the daemon.
    memory : dict
        Bytes: ``limit used live idle parked held`` and so on, as ``memory`` of `Client.stat`.
    tensors : list of dict
        ``name shape dtype nbytes holders lost``, the largest first; holders is a list of dicts as
        of `Client.holders`, lost is None. Last what is lost: there it says why, and what it was.
    n_named : int
        How many names there are,
    n_lost : int
        and of how many of them the tensor is lost.
    connections : list of dict
        As of `Client.holders`.
    """

    def __init__(
        self,
        address: str | None,
        memory: Map,
        tensors: Maps,
        n_named: int,
        n_lost: int,
        connections: Maps,
    ) -> None:
        self.address = address
        self.memory = memory
        self.tensors = tensors
        self.n_named = n_named
        self.n_lost = n_lost
        self.connections = connections

    def _title(self) -> str:
        memory = self.memory
        kinds = ", ".join(
            f"{_tables.size(memory[kind])} {kind}"
            for kind in ("live", "idle", "parked", "held", "evictable")
            if memory.get(kind)
        )
        used, limit = _tables.size(memory["used"]), _tables.size(memory["limit"])
        are = "is" if self.n_lost == 1 else "are"
        lost = f"; {self.n_lost} of the names {are} lost" if self.n_lost else ""
        kinds = kinds and f" ({kinds})"
        return f"tensord at {self.address}: {used} of {limit} used{kinds}{lost}"

    def _grids(self) -> tuple[list[list[str]], list[list[str]]]:
        """The two tables, each a list of rows, the first its head."""
        tensors = [[_HEADS[key] for key in ("name", "shape", "dtype", "nbytes", "holders")]]
        for row in self.tensors:
            held = ", ".join(map(_holder, row["holders"])) or "-"
            if row["lost"]:
                held = f"lost: {row['lost']}"
            shape = "x".join(map(str, row["shape"])) or "()"
            nbytes = _tables.size(row["nbytes"])
            tensors.append([row["name"], shape, str(row["dtype"]), nbytes, held])
        left = self.n_named - len(self.tensors)
        if left:
            tensors.append([f"and {left} more", "", "", "", ""])
        keys = "client", "pid", "references", "bytes", "leases", "requests"
        connections = [[_HEADS[key] for key in keys]]
        for row in self.connections:
            cells = [row["client"] or "-", row["pid"], row["references"]]
            cells += [_tables.size(row["bytes"]), row["leases"], row["requests"]]
            connections.append(list(map(str, cells)))
        return tensors, connections

    def __repr__(self) -> str:
        return "\n\n".join([self._title(), *map(_tables.text, self._grids())])

    def _repr_html_(self) -> str:
        parts = [f"<p>{_tables.escape(self._title())}</p>", *map(_tables.html, self._grids())]
        return "".join(parts)


def _holder(row: Map) -> str:
    who = f"{row['client'] or 'process'} {row['pid']}"
    leases = f", {row['leases']} leases" if row["leases"] else ""
    maps = "maps" if row["maps"] else "refers"
    return f"{who} ({maps}{leases})"


def memory_of(client: Questions, limit: int) -> Memory:
    """What the daemon of a client tells now."""
    records = sorted(
        client.list(), key=lambda record: (record.lost is not None, -record.nbytes, record.name)
    )
    tensors = []
    for record in records[:limit]:
        try:
            holders = [] if record.lost else client.holders(record.name)["holders"]
        except (NotFound, Lost):
            continue  # deleted meanwhile, or found damaged
        tensors.append(
            {
                "name": record.name,
                "shape": record.shape,
                "dtype": record.dtype,
                "nbytes": record.nbytes,
                "holders": holders,
                "lost": record.lost,
            }
        )
    n_lost = sum(record.lost is not None for record in records)
    memory = client.stat()["memory"]
    connections = client.holders()["connections"]
    address = client._native.address
    return Memory(address, memory, tensors, len(records), n_lost, connections)
