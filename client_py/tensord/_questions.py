# SPDX-License-Identifier: MIT
"""What a client asks of its daemon beside tensors: its names, what it has, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import _msgpack
from ._dtypes import DTYPES
from ._errors import error
from ._memory import memory_of
from ._users import uid_of

if TYPE_CHECKING:
    from typing import Any

    from . import _native
    from ._memory import Memory
    from ._types import DType, Map, Maps, Owner, Records, Shape


class Record(NamedTuple):
    """A name and its tensor, as `Client.list` yields them; id has 16 bytes.

    Where the tensor is lost, lost says why ("memory_missing", "memory_changed", "file_missing",
    "file_damaged"), id is None, and the others say what it was. `Client.delete` forgets the name.
    """

    name: str
    shape: Shape
    dtype: DType
    nbytes: int
    id: bytes | None
    lost: str | None = None


class Questions:
    """Base of `Client`."""

    _native: _native.Client

    def ping(self) -> None:
        """Ask the daemon for a sign of life.

        Raises
        ------
        ConnectionLost, NoDaemon
            There is none.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     client.ping()
        """
        self._native.ping()

    def list(self, prefix: str = "", owner: Owner = None) -> Records:
        """The names and their tensors, in order; also names whose tensor is lost.

        Parameters
        ----------
        prefix : str
            Only names that begin with it.
        owner : int or str, optional
            Those that another user shares; for root and the daemon's user: all of that user's.

        Returns
        -------
        list of Record
            Named tuples ``(name, shape, dtype, nbytes, id, lost)``: a tuple of int, a numpy.dtype,
            a size in bytes, the 16 bytes of `Array.id`, and None, or why the tensor is lost: `open`
            raises Lost then, `delete` forgets the name.

        Raises
        ------
        NotFound
            The system has no user of that name.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([[1, 2, 3]], "list/x", replace=True)
        ...     y = client.put([0.5, 1.5], "list/y", replace=True)
        ...     print([(row.name, row.shape, row.nbytes) for row in client.list("list/")])
        [('list/x', (1, 3), 24), ('list/y', (2,), 16)]
        """
        rows = self._native.list(prefix, uid_of(owner))
        return [
            Record(name, shape, DTYPES[number], n_bytes, id_, lost)
            for name, number, shape, n_bytes, id_, lost in rows
        ]

    def delete(self, name: str) -> None:
        """Remove a name. Arrays and tensors that refer to what it meant stay valid.

        One whose tensor is lost is forgotten, and with it what is left of its file.

        Parameters
        ----------
        name : str

        Raises
        ------
        NotFound
            There is none.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([3.0, 4.0], "old", replace=True)
        ...     client.delete("old")
        ...     print(x.tolist(), client.list("old"))
        [3.0, 4.0] []
        """
        self._native.delete(name)

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
        NotFound
            There is no such tensor, or user.
        NotOwner
            Another user's, of whom this one may not know.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([1.0, 2.0], "held", replace=True)
        ...     found = client.holders("held")
        ...     print([(row["references"], row["leases"]) for row in found["holders"]])
        [(1, 0)]
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

        Raises
        ------
        ArgumentError
            There cannot be one of this number: they begin with 1.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     found = client.holders()
        ...     print([client.cancel(row["request"]) for row in found["left"]])
        []
        """
        return bool(self._call("cancel", {"request": request}))

    def _call(self, method: str, params: Map | None = None) -> Any:
        return _msgpack.unpack(self._native.call(method, _msgpack.pack(params) if params else None))

    def memory(self, limit: int = 20) -> Memory:
        """Who holds what, as a table: ``print`` it, or look at it in a notebook.

        Parameters
        ----------
        limit : int
            So many names at most, those of the largest tensors; last those whose tensor is lost.

        Returns
        -------
        Memory
            ``tensors``, ``connections`` (lists of dicts) and ``memory`` (a dict, in bytes) are what
            it shows.

        Raises
        ------
        ArgumentError
            The limit is negative.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([1.0, 2.0], "small", replace=True)
        ...     found = client.memory(limit=1)
        ...     print(len(found.tensors), found.memory["used"] >= x.nbytes)
        1 True
        """
        if limit < 0:
            raise error("bad_arguments", f"memory: limit is 0 or more, not {limit}")
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
            sizes in bytes. Of a tensor: ``tensor`` (a dict that describes it), ``references``,
            ``leases`` and ``segment_bytes``.

        Raises
        ------
        NotFound
            There is no such tensor.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([1.0, 2.0], "known", replace=True)
        ...     found = client.stat("known")
        ...     print(found["tensor"]["dtype"], found["tensor"]["shape"], found["leases"])
        float64 [2] 0
        """
        figures: Map = self._call("stat", {} if name is None else {"name": name})
        return figures

    def ops(self) -> Maps:
        """The operations that the daemon computes.

        Returns
        -------
        list of dict
            ``name min_args max_args results may_fail doc`` of each; of a user kernel also
            ``version signature file isolated``.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     print([row["doc"] for row in client.ops() if row["name"] == "add"])
        ['x1 + x2; logical or for bool']
        """
        rows: Maps = self._call("ops")
        return rows
