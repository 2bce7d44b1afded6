# SPDX-License-Identifier: MIT
"""What other libraries ask of an array: its namespace, its device, and its memory.

Memory is lent, never given: whoever borrows it keeps it where it is, and sees what the array held
then, read-only, whatever is assigned later. Of a mutable tensor it is the memory itself, which
changes as it is written.

DLPack before version 1 has no word for read-only memory, and its borrowers ask for no copies. Such
a borrower gets the same memory and must not write it: the processor refuses, and the process ends.

Arrays get these methods here, as those of the module `_assignment`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy

from . import _native
from ._array import Array
from ._dlpack import DEVICE, IS_COPIED, KIND_NUMBERS, READ_ONLY, VERSION, ExchangeRefused
from ._errors import error
from ._operators import Operators
from ._unsealed import Unsealed

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, NoReturn

    from ._types import T

_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


def _array_namespace(self: Operators, /, *, api_version: str | None = None) -> ModuleType:
    """The namespace of the array API standard that it belongs to: the package itself.

    Parameters
    ----------
    api_version : str, optional
        "2024.12", or an earlier one that is contained in it.

    Returns
    -------
    module
        ``tensord``.

    Raises
    ------
    ArgumentError
        Another version of the standard.

    Examples
    --------
    >>> import tensord
    >>> tensord.arange(3).__array_namespace__().__name__
    'tensord'
    """
    if api_version is not None and api_version not in _API_VERSIONS:
        raise error(
            "bad_arguments",
            f"__array_namespace__: version {api_version!r} of the standard is not among "
            f"{', '.join(_API_VERSIONS)}",
        )
    return sys.modules["tensord"]


def _to_device(self: T, device: str, /, *, stream: None = None) -> T:
    """Itself: there is one device, "cpu".

    Parameters
    ----------
    device : {"cpu"}
    stream : None
        Nothing here has streams.

    Returns
    -------
    Array or Value
        The array itself.

    Raises
    ------
    ArgumentError
        Another device, or a stream.

    Examples
    --------
    >>> import tensord
    >>> x = tensord.arange(3)
    >>> x.to_device("cpu") is x
    True
    """
    if device != "cpu":
        raise error("bad_arguments", f"to_device: the only device is 'cpu', not {device!r}")
    if stream is not None:
        raise error("bad_arguments", f"to_device: a 'cpu' has no streams, so no {stream!r}")
    return self


def _dlpack_device(self: Array, /) -> tuple[int, int]:
    """(kind, number) of the device in the words of DLPack: ordinary memory.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> import tensord
    >>> tensord.arange(3).__dlpack_device__()
    (1, 0)
    """
    return DEVICE


def _dlpack(
    self: Array,
    /,
    *,
    stream: None = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> object:
    """A DLPack capsule over its memory, without a copy.

    Parameters
    ----------
    stream : None
        Nothing here has streams.
    max_version : (int, int), optional
        The newest version that the borrower knows. From (1, 0) on the capsule says that the memory
        is read-only. Without, or before, it cannot: the borrower must not write.
    dl_device : (int, int), optional
        Where it is wanted: (1, 0), ordinary memory, is all there is.
    copy : bool, optional
        True: memory of its own, which may be written.

    Returns
    -------
    capsule

    Raises
    ------
    ArgumentError
        A BufferError too: another device, or a stream.

    Examples
    --------
    >>> import numpy, tensord
    >>> x = tensord.arange(3.0)
    >>> numpy.shares_memory(numpy.from_dlpack(x), numpy.asarray(x))
    True
    """
    if stream is not None:
        raise ExchangeRefused(
            f"__dlpack__: a 'cpu' has no streams, so no {stream!r}", "bad_arguments"
        )
    if dl_device is not None and tuple(map(int, dl_device)) != DEVICE:
        raise ExchangeRefused(
            f"__dlpack__: the elements lie on device {DEVICE}, not on {tuple(dl_device)}",
            "bad_arguments",
        )
    array = numpy.array(self) if copy else numpy.asarray(self)[...]  # a view, which seal() counts
    flags = (READ_ONLY if not array.flags.writeable else 0) | (IS_COPIED if copy else 0)
    is_versioned = max_version is not None and max_version[0] >= VERSION[0]
    return _native.lend(array, KIND_NUMBERS[array.dtype.kind], is_versioned, flags)


def _array_interface(self: Array) -> dict[str, Any]:
    """What numpy's array interface tells, of memory that stays as long as the borrower holds it."""
    tensor, component = self._in_memory()
    told = tensor._array_interface()
    if component is not None:
        told["typestr"] = self.dtype.str
        if component == "imag":
            told["offset"] += self.dtype.itemsize
    return told


def _no_interface(self: Unsealed) -> NoReturn:
    raise AttributeError("what is being filled is had by .array or numpy.asarray")


setattr(Operators, "__array_namespace__", _array_namespace)
setattr(Operators, "to_device", _to_device)
setattr(Array, "__dlpack_device__", _dlpack_device)
setattr(Array, "__dlpack__", _dlpack)
setattr(Array, "__array_interface__", property(_array_interface))
# numpy would hold the mapping alone then, and seal() could not see that it does.
setattr(Unsealed, "__array_interface__", property(_no_interface))
setattr(Unsealed, "__array_struct__", property(_no_interface))

for _method in (_array_namespace, _to_device, _dlpack_device, _dlpack, _array_interface):
    _method.__name__ = f"__{_method.__name__.lstrip('_')}__"
_to_device.__name__ = "to_device"
