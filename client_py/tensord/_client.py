# SPDX-License-Identifier: MIT
"""Clients: one connection to a daemon, and what can be asked of it."""

from __future__ import annotations

import os
import warnings
import weakref
from typing import TYPE_CHECKING

import numpy

from . import _files, _native
from ._dtypes import DTYPES, native_array, number_of
from ._kernels import UserKernel
from ._define import (
    Function,
    donated_tensors,
    names_of,
    targets_of,
    tensors_of,
    values_of,
    watched,
)
from ._errors import error
from ._force import outputs_of
from ._graph import emit, emit_definition
from ._questions import Questions
from ._readers import Readers
from ._naming import how_named, named_without_copy
from ._index import integers_of
from ._operands import Constant, Scalar
from ._array import Array, opened
from ._tensor import Tensor
from ._unsealed import Unsealed
from ._timeouts import milliseconds
from ._users import remember, uid_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal, Self

    from ._jit import Traced, Traces
    from ._program import Program
    from ._types import ArrayLike, DTypeLike, Into, Names, NDArray, Order, Owner, PathLike
    from ._types import Progress, ShapeLike, Term


_MODES = {"r": _native.MAP_READ, "cow": _native.MAP_COW}


class Client(Questions):
    """A connection to a daemon.

    Looked for, in this order: `address`, ``$TENSORD_SOCKET``, ``$XDG_RUNTIME_DIR/tensord/socket``,
    ``/run/tensord/socket``; else a private daemon is started at the third place, or at
    ``/tmp/tensord-UID/socket`` where that variable is unset. Other processes of the same user find
    it there; it ends after 60 s without clients and leaves named tensors for the next start. An
    explicit address (argument or ``$TENSORD_SOCKET``) starts none.

    May be used by several threads. A call waits for its answer with the GIL released. Ctrl-C ends
    the wait for a program's results, and has the daemon stop computing them; other calls are short,
    and handle signals when their answer is there. A connection that breaks is renewed by the next
    call.

    After a fork, arrays stay valid in the child, but its copy of the client raises Closed: connect
    again there.

    As a context manager it closes itself.

    Parameters
    ----------
    address : str or path, optional
        Of the daemon's socket.
    daemon : str or path, optional
        The ``tensord`` binary to start, where one is started.
    start : bool
        False: never start a daemon.
    busy_poll_us : int
        How long a call spins before it sleeps, in microseconds; -1: what the daemon says.
    timeout_ms : int
        To connect and say hello, in milliseconds; 0: 5000.
    client_name : str, optional
        Told to the daemon.
    memory_timeout : float
        How long what makes tensors waits for memory to come free before it raises OutOfMemory or
        QuotaExceeded, in seconds (and what computes for leases, no longer than that).

    Raises
    ------
    NoDaemon
        Nothing answers.
    VersionError
        Another version of the protocol is spoken there.
    """

    def __init__(
        self, address: PathLike | None = None, *, daemon: PathLike | None = None,
        start: bool = True, busy_poll_us: int = -1, timeout_ms: int = 0,
        client_name: str | None = None, memory_timeout: float = 0,
    ) -> None:
        path, binary = (None if p is None else os.fsdecode(p) for p in (address, daemon))
        wait_ms = milliseconds(memory_timeout, 0)
        self._native = _native.connect(
            path, binary, not start, busy_poll_us, timeout_ms, client_name, wait_ms
        )
        self._readers = Readers(self)
        self._traces: weakref.WeakKeyDictionary[Traced, Traces] = weakref.WeakKeyDictionary()
        self._warns = True
        remember(self)

    # ---- connection ----

    @property
    def address(self) -> str | None:
        """Path of the daemon's socket; None once closed."""
        return self._native.address

    @property
    def is_closed(self) -> bool:
        """Was `close` called?"""
        return self._native.is_closed

    def close(self) -> None:
        """End the connection: its unnamed tensors go, arrays stay valid. Twice does no harm.

        Examples
        --------
        >>> import tensord
        >>> client = tensord.connect()
        >>> client.close()
        >>> client.is_closed
        True
        """
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, exception: object, traceback: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_warns", False) and not self.is_closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)

    def __repr__(self) -> str:
        return "<tensord.Client closed>" if self.is_closed else f"<tensord.Client {self.address}>"

    # ---- tensors ----

    def put(
        self,
        array: ArrayLike,
        name: str | None = None,
        replace: bool = False,
        mutable: bool = False,
        evictable: bool = False,
    ) -> Array:
        """Store a copy of an array.

        Parameters
        ----------
        array : array_like
            Of any shape, with any strides and byte order; of dtype bool, int8 to int64, uint8 to
            uint64, float32, float64, complex64 or complex128. The copy is dense, with the axes in
            the order in which they lie (numpy's ``order='K'``). An Array is given the name without
            a copy where that is possible.
        name : str, optional
            1 to 255 bytes of UTF-8 without control characters. Named tensors outlive client and
            daemon.
        replace : bool
            The name may be in use: from now on it means this tensor.
        mutable : bool
            It may be written later: by assignment, in place under a lease (`Array.write`), by
            any process of this user.
        evictable : bool
            A cache: before anyone is refused memory, the daemon deletes named tensors of this kind
            that nobody uses, the one used longest ago first. Opening, reading and computing with it
            is use. Who asks for it then gets NotFound. Not for mutable tensors.

        Returns
        -------
        Array
            Of the same shape and dtype.

        Raises
        ------
        DtypeError
            Another dtype; the message says which are kept.
        NameTaken, ArgumentError
            The name is in use; it is none, or the tensor both mutable and evictable.
        OutOfMemory, QuotaExceeded
            The daemon's limit, /dev/shm or the user's share is exhausted; the message has figures.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([[1.0, 2.0], [3.0, 4.0]], "square", replace=True)
        ...     print(x.name, x.shape, x.dtype, x.nbytes)
        square (2, 2) float64 32
        """
        if mutable:
            own = numpy.asarray(array)
            order: Order = "F" if own.flags.fnc else "C"
            with self.create(own.shape, own.dtype, name, order, replace, True, evictable) as t:
                t.array[...] = own
            return Array(self, t._tensor())
        how = how_named(replace, evictable)
        if isinstance(array, Array):
            tensor = named_without_copy(self, array, name, how)
            if tensor is not None:
                return opened(tensor, name is not None)
            array = numpy.asarray(array)
        own, number = native_array(array)
        handle = self._put_native(own, number, name, how)
        return opened(Tensor(self, handle), name is not None)

    def publish(
        self,
        name: str,
        x: ArrayLike,
        replace: bool = False,
        mutable: bool = False,
        evictable: bool = False,
    ) -> Array:
        """Give what was computed a name, under which other processes `open` it or `wait` for it.

        What is pending is computed and named in one request; nothing is copied where that is
        possible.

        Parameters
        ----------
        name : str
        x : Array or array_like
        replace, mutable, evictable : bool
            As for `put`, and so is what it raises.

        Returns
        -------
        Array
            The named one.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([0.0, 1.0, 2.0])
        ...     print(client.publish("twice", 2 * x, replace=True))
        Array([0., 2., 4.], shape=(3,), dtype=float64, name='twice', 24 bytes)
        """
        return self.put(x, name, replace, mutable, evictable)

    def _put(self, leaf: Term) -> Tensor:
        """A tensor with the value of a number or of an array of numpy's."""
        assert isinstance(leaf, (Constant, Scalar))
        array = leaf.array if isinstance(leaf, Constant) else native_array(leaf.value)[0]
        array = numpy.asarray(array, DTYPES[leaf._number])
        return Tensor(self, self._put_native(array, leaf._number, None, 0))

    def _put_native(
        self, array: NDArray, number: int, name: str | None, how: int
    ) -> _native.Tensor:
        return self._native.put(array, number, "K", name, how)

    def create(
        self,
        shape: ShapeLike,
        dtype: DTypeLike = "float64",
        name: str | None = None,
        order: Order = "C",
        replace: bool = False,
        mutable: bool = False,
        evictable: bool = False,
    ) -> Unsealed:
        """Reserve a tensor to be filled in place.

        Parameters
        ----------
        shape : int or tuple of int
        dtype : str or numpy.dtype
        name : str, optional
            Appears when it is sealed; reserved until then.
        order : {"C", "F"}
        replace : bool
            The name may be in use.
        mutable : bool
            It may be written later as well, see `put`.
        evictable : bool
            It may be deleted for its memory, see `put`.

        Returns
        -------
        Unsealed
            ``.array`` is a writable numpy.ndarray over its memory, which is zero at first or holds
            what was there before; ``.seal()``, or the end of a ``with`` block, makes it immutable,
            or has it written under leases alone.

        Raises
        ------
        ShapeError
            An extent is negative.
        DtypeError, NameTaken, ArgumentError, OutOfMemory, QuotaExceeded
            As for `put`.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     with client.create((2, 3), "int64", "squares", replace=True) as t:
        ...         t.array[:] = [[0, 1, 4], [9, 16, 25]]
        ...     print(client.get("squares"))
        [[ 0  1  4]
         [ 9 16 25]]
        """
        if order not in ("C", "F"):
            raise error("bad_arguments", f"order is 'C' or 'F', not {order!r}")
        how = how_named(replace, evictable)
        extents = integers_of(shape)
        native = self._native.create(number_of(dtype), extents, order, name, how, mutable)
        return Unsealed(self, native)

    def open(self, name: str, owner: Owner = None) -> Array:
        """A tensor by its name, to compute with.

        Parameters
        ----------
        name : str
        owner : int or str, optional
            Uid or name of another user, who shares it (`share`).

        Returns
        -------
        Array

        Raises
        ------
        NotFound
            There is none.
        Lost
            There was one, but its memory was missing when the daemon started.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([3.0, 4.0], "sides", replace=True)
        ...     print(client.open("sides"))
        Array([3., 4.], shape=(2,), dtype=float64, name='sides', 16 bytes)
        """
        return opened(Tensor(self, self._native.open(name, uid_of(owner), False)), True)

    def wait(self, name: str, timeout: float | None = None, owner: Owner = None) -> Array:
        """The same as `open`, as soon as there is a tensor of that name.

        Parameters
        ----------
        name : str
        timeout : float, optional
            Seconds to wait at most; without it as long as it takes, or until Ctrl-C.
        owner : int or str, optional
            Of another user: as soon as it is shared.

        Returns
        -------
        Array

        Raises
        ------
        DeadlineExceeded
            It was not there in time.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([3.0, 4.0], "ready", replace=True)
        ...     print(client.wait("ready", timeout=10))
        Array([3., 4.], shape=(2,), dtype=float64, name='ready', 16 bytes)
        """
        native = self._native.wait(name, uid_of(owner), milliseconds(timeout, -1))
        return opened(Tensor(self, native), True)

    def open_id(self, id: bytes) -> Array:
        """A tensor by its id (`Array.id`): of the same user, or of one who shares it.

        Parameters
        ----------
        id : bytes
            16 of them.

        Returns
        -------
        Array

        Raises
        ------
        NotFound
            It has gone, or another user does not share it.
        ArgumentError
            These are not 16 bytes.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([3.0, 4.0])
        ...     print(client.open_id(x.id))
        Array([3., 4.], shape=(2,), dtype=float64, 16 bytes)
        """
        handle = self._native.open_id(id)
        return opened(Tensor(self, handle), handle.name is not None)

    def get(self, name: str, mode: Literal["r", "cow"] = "r", owner: Owner = None) -> NDArray:
        """The memory of a named tensor, as an array. Nothing is copied (of another user's, nothing
        but what has at most 4 KiB).

        Parameters
        ----------
        name : str
        mode : {"r", "cow"}
            "r": shared and read-only; two such arrays of one tensor share their memory. "cow":
            writable; what is written is seen by this array alone.
        owner : int or str, optional
            Uid or name of another user, who shares it.

        Returns
        -------
        numpy.ndarray
            Valid as long as numpy holds it, whatever becomes of name, client or daemon.

        Raises
        ------
        NotFound, Lost
            As of `open`.
        ArgumentError
            There is no such mode.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([3.0, 4.0], "sides", replace=True)
        ...     a = client.get("sides", mode="cow")
        ...     a[0] = 5
        ...     print(a, client.get("sides"))
        [5. 4.] [3. 4.]
        """
        if mode not in _MODES:
            raise error("bad_arguments", f"mode is 'r' or 'cow', not {mode!r}")
        native = self._native.open(name, uid_of(owner), True)
        return Tensor(self, native)._map(_MODES[mode], True)

    def load(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        replace: bool = False,
        evictable: bool = False,
    ) -> Array | dict[str, Array]:
        """Store the array of an ``.npy`` file, or those of an ``.npz`` file.

        Parameters
        ----------
        path : str or path
        name, replace, evictable
            As for `put`; an ``.npz`` file has names of its own, which are none here.

        Returns
        -------
        Array, or dict of str to Array
            Of an ``.npz`` file a dict; one array after the other is read and stored.

        Raises
        ------
        FileError
            The file is no whole one of numpy's, or holds objects.
        ArgumentError
            A name for an ``.npz`` file: give the arrays names, ``put(arrays["a"], name)``.
        DtypeError
            Its dtype is not kept.
        OSError
            It cannot be read.

        Examples
        --------
        >>> import tempfile, numpy, tensord
        >>> with tensord.connect() as client:
        ...     with tempfile.NamedTemporaryFile() as file:
        ...         numpy.savez(file, a=[1.0, 2.0], b=3)
        ...         file.flush()
        ...         x = client.load(file.name)
        ...     print(x["a"])
        Array([1., 2.], shape=(2,), dtype=float64, 16 bytes)
        """
        found = _files.open_arrays(path, name)
        if isinstance(found, numpy.ndarray):
            return self.put(found, name, replace, evictable=evictable)
        return {key: self.put(array, evictable=evictable) for key, array in found}

    # ---- names ----

    def share(self, name: str, shared: bool = True) -> Array:
        """Let every user who may connect read a named tensor; see `Array.share`.

        Parameters
        ----------
        name : str
        shared : bool
            False: nobody else opens it any more.

        Returns
        -------
        Array

        Raises
        ------
        NotFound
            There is none.
        MutableTensor
            It is mutable: share a `snapshot` of it.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     x = client.put([1.0, 2.0], "both", replace=True)
        ...     y = client.share("both")
        ...     print(y.is_shared)
        True
        """
        return self.open(name).share(shared)

    def kernel(self, name: str) -> UserKernel:
        """A user kernel of the daemon, as a function.

        Parameters
        ----------
        name : str
            Without ``user.``.

        Returns
        -------
        UserKernel
            To be called with tensors, arrays, numbers or values of a program.

        Raises
        ------
        UnknownOp
            The daemon has none of that name; `ops` lists those that it has.

        Examples
        --------
        Of a daemon that was started with ``heat1d`` (tensord's ``deploy/kernels``):

        >>> import tensord
        >>> with tensord.connect() as client:
        ...     heat1d = client.kernel("heat1d")
        ...     print(heat1d([0.0, 4.0, 0.0], 0.25, 1))
        Array([0., 2., 0.], shape=(3,), dtype=float64, 24 bytes)
        """
        return UserKernel(self, name)

    # ---- programs ----

    def run(
        self, program: Program, *outputs: ArrayLike, names: Names = None, replace: bool = False,
        timeout: float | None = None, threads: int | None = None, donate: Iterable[Array] = (),
        progress: Progress | None = None, into: Into = (), evictable: bool = False,
    ) -> Any:
        """Compute values of a program, in one request.

        Parameters
        ----------
        program : Program
        *outputs : Value
            What is wanted.
        names : str or sequence of (str or None), optional
            Names for the results, one each. Either all of them are given, or none.
        replace, evictable : bool
            The names may be in use; what gets one may be deleted for its memory, see `put`.
        timeout : float, optional
            Seconds after which the daemon gives up, waiting for earlier requests included.
        threads : int, optional
            So many of the daemon's threads compute it at most.
        donate : sequence of Array
            Whole tensors that are not needed any more. Where the program succeeds they are gone (to
            use one raises TensorGone), and a result may lie in the memory of one that no array
            shows and nothing else refers to. Where it fails they are as before. Meanwhile no other
            thread maps them (ArgumentError). What is pending and needs one is lost; `eval` it.
        progress : callable, optional
            Called about ten times a second while the program computes, with the number of steps
            that ended and that of all steps (each turn of a loop has its own). What it raises
            cancels the run, and is raised.
        into : Array, or sequence of (Array or None), optional
            Mutable tensors, or views of them, that the outputs go into, one each, of just their
            shapes and dtypes; None: a tensor of its own. A run that fails writes nothing.

        Returns
        -------
        Array, or tuple of Array where there are several outputs
            Of the values' shapes and dtypes. What was written into is returned as it was given.

        Raises
        ------
        LinAlgError, ValueRefused
            An operation failed on its data; ``.node`` says which.
        DeadlineExceeded
            It was not done within `timeout`.
        LeaseConflict, Sealed
            What it reads or writes of a mutable tensor is leased; what it writes is not mutable.
        NameTaken, OutOfMemory, QuotaExceeded
            As for `put`.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     p = tensord.Program()
        ...     u = p.loop(3, lambda i, u: u / 2, p.input([16.0, 8.0]))
        ...     print(client.run(p, u))
        Array([2., 1.], shape=(2,), dtype=float64, 16 bytes)
        """
        values = values_of("run", program, outputs)
        names = names_of(names, len(outputs))
        into = targets_of(into, len(outputs))
        targets = [None if array is None else array._tensor() for array in into]
        self._readers.finish(targets)
        given = donated_tensors(donate)
        needed = outputs_of(values, None if given else self)  # what is given is an input of it
        builder, numbers, places = emit(self, values, *needed, given, targets)
        how = how_named(replace, evictable)
        rows = tuple((n, name, how, False, i) for n, name, i in zip(numbers, names, places))
        handles = watched(self._native.run, builder, rows, timeout, threads, progress)
        return tensors_of(self, handles, into)

    def define(self, program: Program, *values: ArrayLike) -> Function:
        """Have the daemon check a program once and keep it, to be called with other arrays.

        Parameters
        ----------
        program : Program
            Its parameters (`Program.parameter`) are those of the function, in the order in which
            they were made. Whatever else it names is kept, and the same in every call.
        *values : Value
            What a call yields, 64 at most.

        Returns
        -------
        Function

        Raises
        ------
        LimitError
            This client has 1024 functions, or too many bytes of them.
        ArgumentError
            A parameter of another program.
        UnknownOp, KernelError, ...
            The daemon does not know a user kernel, or it refuses these shapes.

        Examples
        --------
        >>> import tensord
        >>> with tensord.connect() as client:
        ...     p = tensord.Program()
        ...     x = p.parameter(3)
        ...     scale = client.define(p, x / x.sum())
        ...     print(scale([1.0, 2.0, 1.0]))
        Array([0.25, 0.5 , 0.25], shape=(3,), dtype=float64, 24 bytes)
        """
        terms = values_of("define", program, values)
        parameters = tuple(program._parameters)
        builder, numbers, bound = emit_definition(parameters, *outputs_of(terms), terms)
        native = self._native.define(builder, tuple(numbers))
        return Function(self, native, parameters, bound, len(numbers))


connect = Client
