# SPDX-License-Identifier: MIT
"""What a client asks of its daemon beside tensors: what it has, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import _msgpack
from ._dtypes import DTYPES
from ._memory import memory_of
from ._users import uid_of

if TYPE_CHECKING:
    from typing import Any

    from . import _native
    from ._memory import Memory
    from ._types import DType, Map, Maps, Owner, Records, Shape


class Record(NamedTuple):
    """A named tensor, as `Client.list` yields it; id has 16 bytes."""

    name: str
    shape: Shape
    dtype: DType
    nbytes: int
    id: bytes



class Questions:
    """Base of `Client`."""

    _native: _native.Client

    def list(self, prefix: str = "", owner: Owner = None) -> Records:
        """The named tensors, in order.

        Parameters
        ----------
        prefix : str
            Only names that begin with it.
        owner : int or str, optional
            Those that another user shares.

        Returns
        -------
        list of Record
        """
        rows = self._native.list(prefix, uid_of(owner))
        return [
            Record(name, shape, DTYPES[number], n_bytes, id_)
            for name, number, shape, n_bytes, id_ in rows
        ]

    def holders(self, name: str | None = None, owner: Owner = None) -> Map:
        """Who refers to a tensor and maps it; or what each connection holds.

        Parameters
        ----------
        name : str, optional
        owner : int or str, optional
            For root and the daemon's user: of whoever it is.

        Returns
        -------
        dict
            Of a tensor: ``holders``, a list of dicts (``connection uid pid client references maps
            leases``), and ``held``: it is mapped where no connection knows of. Of nothing:
            ``connections``, a list of dicts (``connection uid pid client references bytes leases
            requests``), ``held``, bytes, and ``left``, what goes on though its connection ended: a
            list of dicts (``request uid method left_ms names``).

        Raises
        ------
        NotFound, NotOwner
        """
        params: Map = {} if name is None else {"name": name}
        if owner is not None:
            params["owner"] = uid_of(owner)
        key = "connections" if name is None else "holders"
        result: Map = self._call("holders", params)
        page = result
        while page["more"]:
            page = self._call("holders", params | {"after": page[key][-1]["connection"]})
            result[key] += page[key]
        del result["more"]
        return result

    def cancel(self, request: int) -> bool:
        """End a request whose connection ended: one of one's own, or, for root, of anybody's.

        Parameters
        ----------
        request : int
            Its number, as ``left`` of `holders` has it.

        Returns
        -------
        bool
            Whether there was such a one. It ends soon; or well, if it was just done.
        """
        return bool(self._call("cancel", {"request": request}))

    def _call(self, method: str, params: Map | None = None) -> Any:
        return _msgpack.unpack(self._native.call(method, _msgpack.pack(params) if params else None))

    def memory(self, limit: int = 20) -> Memory:
        """Who holds what, as a table: ``print`` it, or look at it in a notebook.

        Parameters
        ----------
        limit : int
            So many named tensors at most, the largest.

        Returns
        -------
        Memory
            ``tensors``, ``connections`` (lists of dicts) and ``memory`` (a dict, in bytes) are what
            it shows.
        """
        return memory_of(self, limit)

    def stat(self, name: str | None = None) -> Map:
        """Figures of the daemon, or of one tensor.

        Parameters
        ----------
        name : str, optional

        Returns
        -------
        dict
            Of the daemon: ``version pid uptime_ms memory tensors names connections blas ...``,
            sizes in bytes. Of a tensor: ``tensor`` (a dict that describes it), ``references``
            and ``segment_bytes``.

        Raises
        ------
        NotFound
        """
        figures: Map = self._call("stat", {} if name is None else {"name": name})
        return figures

    def ops(self) -> Maps:
        """The operations that the daemon computes, as a list of dicts (``name``, ``doc``, ...)."""
        rows: Maps = self._call("ops")
        return rows
