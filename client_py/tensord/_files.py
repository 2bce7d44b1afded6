# SPDX-License-Identifier: MIT
"""Files of numpy's: ``.npy`` and ``.npz``.

What is written appears under its name when it is complete, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy

from ._array import Array
from ._dtypes import native_array
from ._errors import error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from typing import IO

    from ._types import ArrayLike, NDArray

_ZIP = b"PK\x03\x04", b"PK\x05\x06"  # the second: without members


def open_arrays(
    path: str | PathLike[str], name: str | None = None
) -> NDArray | Iterator[tuple[str, NDArray]]:
    """What `Client.load` stores under a name: the array of an ``.npy`` file, mapped; of an ``.npz``
    file, for which there is no name, (its own name, array) of each, one after the other.
    """
    where = os.fspath(path)
    prefix = numpy.lib.format.MAGIC_PREFIX
    with open(path, "rb") as file:
        magic = file.read(len(prefix))
    if magic.startswith(_ZIP):
        if name is not None:
            raise error(
                "bad_arguments",
                f"load: {where} has several arrays, so {name!r} names none of them; give each its "
                "own with put()",
            )
        return _members(path, where)
    if magic != prefix:
        raise error("bad_file", f"{where} is no .npy file, and no .npz file")
    try:
        array: NDArray = numpy.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except ValueError as problem:
        raise error("bad_file", f"{where}: {problem}") from None


def _members(path: str | PathLike[str], where: str) -> Iterator[tuple[str, NDArray]]:
    try:
        with numpy.load(path, allow_pickle=False) as file:
            for name in file.files:
                try:
                    yield name, file[name]
                except (ValueError, zipfile.BadZipFile, zlib.error, EOFError) as problem:
                    raise error("bad_file", f"{where}: array {name!r}: {problem}") from None
    except (zipfile.BadZipFile, EOFError) as problem:
        raise error("bad_file", f"{where}: {problem}") from None


@contextlib.contextmanager
def _complete(path: str | PathLike[str], suffix: str) -> Iterator[IO[bytes]]:
    """A file to be written, which gets the name at the end of the block."""
    path = os.fspath(path)
    if not path.endswith(suffix):
        path += suffix
    made = os.path.join(os.path.dirname(path), f".tensord.{secrets.token_hex(8)}")
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise


def _ndarray(x: ArrayLike) -> NDArray:
    return numpy.asarray(x) if isinstance(x, Array) else native_array(x)[0]


def save(file: str | PathLike[str] | IO[bytes], x: ArrayLike) -> None:
    """Write an array to an ``.npy`` file, from its memory, without a copy.

    Parameters
    ----------
    file : str, path, or file opened to write bytes
        Of a path, ``.npy`` is appended where it does not end in it. The file is there when it is
        complete; one that was there before is replaced.
    x : Array or array_like

    Raises
    ------
    DtypeError
    OSError

    Examples
    --------
    >>> import os, tempfile, tensord
    >>> path = os.path.join(tempfile.mkdtemp(), "x.npy")
    >>> tensord.save(path, tensord.arange(3.0))
    >>> tensord.load(path)
    Array([0., 1., 2.], shape=(3,), dtype=float64, 24 bytes)
    """
    array = _ndarray(x)
    with contextlib.nullcontext(file) if hasattr(file, "write") else _complete(file, ".npy") as to:
        numpy.save(to, array, allow_pickle=False)


def savez(
    file: str | PathLike[str] | IO[bytes],
    *arrays: ArrayLike,
    compress: bool = False,
    **named: ArrayLike,
) -> None:
    """Write arrays to an ``.npz`` file, each under a name.

    Parameters
    ----------
    file : str, path, or file opened to write bytes
        As for `save`, with ``.npz``.
    *arrays : Array or array_like
        Named ``arr_0``, ``arr_1``, and so on.
    compress : bool
    **named : Array or array_like

    Raises
    ------
    ArgumentError
        Two arrays of one name.
    DtypeError
    OSError

    Examples
    --------
    >>> import os, tempfile, tensord
    >>> path = os.path.join(tempfile.mkdtemp(), "both.npz")
    >>> tensord.savez(path, a=tensord.arange(3.0), b=tensord.ones(2))
    >>> tensord.load(path)["b"]
    Array([1., 1.], shape=(2,), dtype=float64, 16 bytes)
    """
    given = {f"arr_{i}": array for i, array in enumerate(arrays)}
    for name in named:
        if name in given:
            raise error("bad_arguments", f"savez: two arrays are named {name!r}")
    members = {name: _ndarray(array) for name, array in (given | named).items()}
    how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with contextlib.nullcontext(file) if hasattr(file, "write") else _complete(file, ".npz") as to:
        with zipfile.ZipFile(to, "w", how) as archive:  # numpy.savez has keywords of its own
            for name, array in members.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    numpy.save(member, array, allow_pickle=False)
