# SPDX-License-Identifier: MIT
"""Methods by which arrays come to others: other users, other processes.

Arrays get them here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._array import Array, opened
from ._errors import error
from ._naming import how_named
from ._tensor import Tensor
from ._timeouts import milliseconds
from ._users import depart

if TYPE_CHECKING:
    from ._users import _Departed


def share(self: Array, shared: bool = True) -> Array:
    """Let every user who may connect read this tensor under its name; they cannot write it.

    Nothing is copied where nobody can write its memory any more; this process gives that up.
    It lasts as long as the name means this tensor.

    Parameters
    ----------
    shared : bool
        False: nobody else opens it any more; who has it keeps it.

    Returns
    -------
    Array
        This one.

    Raises
    ------
    ArgumentError
        It has no name, or is a view.
    MutableTensor
        It is mutable: share a `snapshot`.
    NotOwner
        It is another user's.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.put([1.0, 2.0], "for all", replace=True)
    >>> x.share().is_shared
    True
    """
    tensor = self._tensor()
    if tensor._is_view:
        raise error("bad_arguments", "a view is not shared, only a whole array")
    tensor._handle.share(shared)
    return self


def snapshot(
    self: Array,
    name: str | None = None,
    replace: bool = False,
    timeout: float | None = None,
    evictable: bool = False,
) -> Array:
    """A sealed copy of what a tensor, mutable or not, holds now.

    Parameters
    ----------
    name : str, optional
        As of `Client.put`; without it the copy has none.
    replace : bool
        The name may be in use.
    timeout : float, optional
        How long to wait for those that write, and for memory, in seconds; see `read`.
    evictable : bool
        It may be deleted for its memory, see `Client.put`.

    Returns
    -------
    Array
        Of the same shape and dtype, dense.

    Raises
    ------
    ArgumentError
        It is a view, or the name is none.
    LeaseConflict
        Somebody writes a part of it.
    Torn
        Whoever wrote a part of it vanished before the end.
    NameTaken, OutOfMemory, QuotaExceeded
        As of `Client.put`.

    Examples
    --------
    >>> import tensord
    >>> t = tensord.put([1.0, 2.0, 3.0], mutable=True)
    >>> before = t.snapshot()
    >>> t[0] = 9
    >>> before
    Array([1., 2., 3.], shape=(3,), dtype=float64, 24 bytes)
    """
    tensor = self._tensor()
    if tensor._is_view:
        raise error("bad_arguments", "of a view compute an array; a snapshot is of a whole one")
    how = how_named(replace, evictable)
    handle = tensor._handle.snapshot(name, how, milliseconds(timeout, 0))
    return opened(Tensor(self.client, handle), name is not None)


def lend(self: Array) -> None:
    """Have it live for a minute more, even if nobody refers to it: time for another process of
    this user to `Client.open_id` it. Pickling an unnamed tensor does it. Begins anew with each
    call.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.put([1.0, 2.0])
    >>> id = x.id
    >>> x.lend()
    >>> del x
    >>> tensord.open_id(id)
    Array([1., 2.], shape=(2,), dtype=float64, 16 bytes)
    """
    self._tensor()._handle.lend()


def _reduce(self: Array) -> _Departed:
    return depart(self._tensor())


for _method in (share, snapshot, lend):
    setattr(Array, _method.__name__, _method)
    _method.__qualname__ = f"Array.{_method.__name__}"
setattr(Array, "__reduce__", _reduce)
