# SPDX-License-Identifier: MIT
"""User kernels: operations that somebody added to the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _msgpack
from ._dtypes import NAMES
from ._errors import error
from ._array import compute
from ._graph import Value, apply
from ._operands import as_operand

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._client import Client
    from ._types import ArrayLike, Operand, Shape, Type


class UserKernel:
    """An operation of a user kernel, to be called as a function; made by `Client.kernel`.

    Dtypes and shapes of its results are asked of the daemon once for each combination of arguments.

    Attributes
    ----------
    name, version, doc, signature : str
        As the kernel's author wrote them.
    """

    def __init__(self, client: Client, name: str) -> None:
        rows = [row for row in client.ops() if row["name"] == f"user.{name}"]
        if not rows:
            raise error("unknown_op", f"the daemon has no user kernel {name!r}")
        (row,) = rows
        self.name = name
        self.version, self.doc, self.signature = row["version"], row["doc"], row["signature"]
        self._client = client
        #: of arguments -> of results
        self._types: dict[tuple[tuple[str, Shape], ...], tuple[Type, ...]] = {}

    def __repr__(self) -> str:
        return f"<tensord.UserKernel {self.name}{self.signature}>"

    def __call__(self, *args: ArrayLike) -> Any:
        """Apply it.

        Parameters
        ----------
        *args : array_like, Value or number

        Returns
        -------
        Array (or Value, if one is among the arguments), or a tuple of them

        Raises
        ------
        KernelError
            It refused the arguments, failed, or its process ended.
        ShapeError
            The shapes do not match its signature.
        """
        operands = tuple(map(as_operand, args))
        op, types = f"user.{self.name}", self._infer(operands)
        if any(isinstance(operand, Value) for operand in operands):
            return apply(op, operands, types)
        return compute(op, operands, types, self._client)

    def _infer(self, args: Sequence[Operand]) -> tuple[Type, ...]:
        key = tuple((NAMES[arg._number], tuple(arg.shape)) for arg in args)
        if key not in self._types:
            inputs = [{"dtype": dtype, "shape": shape} for dtype, shape in key]
            params = _msgpack.pack({"name": self.name, "inputs": inputs})
            rows = _msgpack.unpack(self._client._native.call("infer", params))
            self._types[key] = tuple(
                (NAMES.index(row["dtype"]), tuple(row["shape"])) for row in rows
            )
        return self._types[key]
