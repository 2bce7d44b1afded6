# SPDX-License-Identifier: MIT
"""What the package says of itself as a namespace of the Python array API standard."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import _native
from ._creation import _check_device
from ._data_types import BY_NAME, numbers_of_kind
from ._dtypes import DTYPES, NAMES

if TYPE_CHECKING:
    from ._data_types import Kind
    from ._types import Device, DType

__array_api_version__ = "2024.12"

e = math.e
inf = math.inf
nan = math.nan
newaxis = None
pi = math.pi


class NamespaceInfo:
    """What `__array_namespace_info__` yields."""

    __slots__ = ()

    def capabilities(self) -> dict[str, bool | int]:
        """Which parts of the standard that a library may leave out are here: all of them.

        Examples
        --------
        >>> import tensord
        >>> tensord.__array_namespace_info__().capabilities()["boolean indexing"]
        True
        """
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": _native.NDIM_MAX,
        }

    def default_device(self) -> str:
        """The device where nothing else is said: "cpu"."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices: "cpu"."""
        return ["cpu"]

    def default_dtypes(self, *, device: Device = None) -> dict[str, DType]:
        """The dtypes where nothing else is said, by what they are for.

        Parameters
        ----------
        device : {"cpu"}, optional
        """
        _check_device(device)
        return {
            "real floating": BY_NAME["float64"],
            "complex floating": BY_NAME["complex128"],
            "integral": BY_NAME["int64"],
            "indexing": BY_NAME["int64"],
        }

    def dtypes(self, *, device: Device = None, kind: Kind | None = None) -> dict[str, DType]:
        """The dtypes that there are, by their names.

        Parameters
        ----------
        device : {"cpu"}, optional
        kind : str or tuple of str, optional
            Only those of a kind, or of any of several; see `isdtype`.

        Examples
        --------
        >>> import tensord
        >>> tensord.__array_namespace_info__().dtypes(kind="real floating")
        {'float32': dtype('float32'), 'float64': dtype('float64')}
        """
        _check_device(device)
        numbers = range(len(NAMES)) if kind is None else sorted(numbers_of_kind(kind))
        return {NAMES[number]: DTYPES[number] for number in numbers}


def __array_namespace_info__() -> NamespaceInfo:
    """What this library can do, in the words of the standard; see `NamespaceInfo`."""
    return NamespaceInfo()
