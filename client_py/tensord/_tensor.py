# SPDX-License-Identifier: MIT
"""Tensors: references to what the daemon keeps."""

import sys
import warnings

import numpy

from . import _native
from ._dtypes import DTYPES, ITEM_SIZES
from ._errors import error
from ._graph import Node
from ._index import c_strides, normal_axes
from ._lease import Lease
from ._naming import how_named
from ._operators import Operators
from ._timeouts import milliseconds
from ._users import depart


class Tensor(Operators):
    """A tensor in the daemon, or a view of one.

    Operators and methods compute in the daemon and yield tensors; ``numpy.asarray(t)`` shows the
    memory itself, without a copy, read-only. Slices and transposes are views: they cost no request.
    Assignments and in-place operators write into mutable tensors (module ``_assignment``).

    The tensor stays in the daemon as long as this object (or a view made from it, or its name)
    does; an array over its memory is valid as long as numpy holds it, whatever becomes of tensor,
    name, client or daemon.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    __slots__ = ("_client", "_handle", "_number", "shape", "_strides", "_offset", "__weakref__")
    _rank = 1
    node = None

    def __init__(self, client, handle):
        self._client = client
        self._handle = handle
        self._number = handle.dtype
        self.shape = handle.shape
        self._strides = None  # the whole tensor, as it lies
        self._offset = 0

    @property
    def client(self):
        """The `Client` that it belongs to."""
        return self._client

    @property
    def name(self):
        """Its name when this reference was made; None if it had none, and for views."""
        return self._handle.name if self._strides is None else None

    @property
    def id(self):
        """16 bytes by which other connections of this user can open it; of a view, the whole's."""
        return self._handle.id

    @property
    def strides(self):
        """Bytes from one element to the next, along each axis."""
        return self._handle.strides if self._strides is None else self._strides

    @property
    def key(self):
        """What tells it apart from other operands of a program."""
        return id(self)

    @property
    def _source(self):
        return self

    @property
    def _is_view(self):
        return self._strides is not None

    def _is_same(self, other):
        """The same elements, in the same places?"""
        return (
            isinstance(other, Tensor)
            and other._handle is self._handle
            and (other.shape, other.strides, other._offset)
            == (self.shape, self.strides, self._offset)
        )

    @property
    def is_sealed(self):
        """Is it complete, and so immutable?"""
        return self._handle.is_sealed

    @property
    def is_mutable(self):
        """Is it, or will it be once it is sealed, written by assignments and under leases?"""
        return self._handle.is_mutable

    @property
    def is_evictable(self):
        """May it be deleted for its memory, as far as this reference was told?"""
        return self._handle.is_evictable

    @property
    def is_shared(self):
        """Do other users read it, as far as this reference was told?"""
        return self._handle.is_shared

    @property
    def owner(self):
        """Uid of the user whose it is; None: one's own."""
        return self._handle.owner

    # ---- for others ----

    def share(self, shared=True):
        """Let every user who may connect read this tensor under its name; they cannot write it.

        Nothing is copied where nobody can write its memory any more; this process gives that up.
        It lasts as long as the name means this tensor.

        Parameters
        ----------
        shared : bool
            False: nobody else opens it any more; who has it keeps it.

        Returns
        -------
        Tensor
            This one.

        Raises
        ------
        ArgumentError
            It has no name, or is a view.
        MutableTensor
            It is mutable: share a `snapshot`.
        NotOwner
            It is another user's.
        """
        if self._is_view:
            raise error("bad_arguments", "a view is not shared, only a whole tensor")
        self._handle.share(shared)
        return self

    def snapshot(self, name=None, replace=False, timeout=None, evictable=False):
        """A sealed copy of what a tensor, mutable or not, holds now.

        Parameters
        ----------
        name : str, optional
        replace : bool
            The name may be in use.
        timeout : float, optional
            How long to wait for those that write, and for memory, in seconds; see `read`.
        evictable : bool
            It may be deleted for its memory, see `Client.put`.

        Returns
        -------
        Tensor

        Raises
        ------
        LeaseConflict, Torn, NameTaken, OutOfMemory

        Examples
        --------
        >>> import tensord
        >>> t = tensord.put([1.0, 2.0, 3.0], mutable=True)
        >>> before = t.snapshot()
        >>> t[0] = 9
        >>> before
        Tensor([1., 2., 3.], dtype=float64)
        """
        if self._is_view:
            raise error("bad_arguments", "of a view compute a tensor; a snapshot is of a whole one")
        how = how_named(replace, evictable)
        return Tensor(self._client, self._handle.snapshot(name, how, milliseconds(timeout, 0)))

    def lend(self):
        """Have it live for a minute more, even if nobody refers to it: time for another process of
        this user to `open_id` it. Pickling an unnamed tensor does it. Begins anew with each call.
        """
        self._handle.lend()

    def __reduce__(self):
        return depart(self)

    # ---- memory ----

    def _map(self, mode, share):
        """An array over the memory; mode as for the native tensor."""
        mapping = self._handle.map(mode, share)
        return numpy.ndarray(self.shape, DTYPES[self._number], mapping, self._offset, self.strides)

    def _read(self):
        """An array to read values from, which need not be the shared memory."""
        return self._map(_native.MAP_READ, False)

    def __array__(self, dtype=None, copy=None):
        """The tensor's memory as a read-only numpy.ndarray.

        Parameters
        ----------
        dtype : numpy.dtype, optional
            Another one means a copy.
        copy : bool, optional
            True: always copy. False: refuse (ValueError) where a copy would be needed.
        """
        array = self._map(_native.MAP_READ, self.name is not None)
        if dtype is not None and numpy.dtype(dtype) != array.dtype:
            if copy is False:
                raise ValueError(f"{array.dtype} to {numpy.dtype(dtype)} needs a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def _item(self, to):
        if self.size != 1:
            raise TypeError(
                f"only a tensor of one element becomes {to}, this has shape {self.shape}"
            )
        return self._read().item()

    def item(self):
        """The only element, as a Python number."""
        return self._item("a number")

    def tolist(self):
        """The elements, as nested lists of Python numbers."""
        return self._read().tolist()

    def __float__(self):
        return float(self._item("a float"))

    def __int__(self):
        return int(self._item("an int"))

    def __index__(self):
        if self.ndim or self.dtype.kind != "i":
            raise TypeError("only a 0-d tensor of integers can be an index")
        return self._item("an index")

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"the truth value of a tensor of shape {self.shape} is ambiguous")
        return bool(self._item("a bool"))

    def __repr__(self):
        name = f", name={self.name!r}" if self.name is not None else ""
        if not (self.is_sealed or self.is_mutable) or self._client.is_closed:
            return f"<tensord.Tensor shape={self.shape} dtype={self.dtype}{name}>"
        text = numpy.array2string(self._read(), separator=", ", prefix="Tensor(")
        shape = f", shape={self.shape}" if not self.size else ""
        return f"Tensor({text}{shape}, dtype={self.dtype}{name})"

    # ---- operations ----

    def _make(self, op, args, attrs=None):
        # Every operation passes here. To compute later instead of now, keep the node.
        return self._client._force(Node(op, args, attrs))

    def _add_to(self, builder, client):
        """As an input of a program."""
        if type(self._handle) is _Dropped:
            self._handle.seal  # raises
        if client is not self._client:
            raise error("bad_arguments", "a tensor of another client; open it there, by name or id")
        if self._strides is None:
            return builder.input(self._handle)
        return builder.input_view(self._handle, self.shape, self._strides, self._offset)

    # ---- writing ----

    def read(self, timeout=None, torn=False):
        """Have nobody write this tensor, or view of one, while it is read.

        Parameters
        ----------
        timeout : float, optional
            How long to wait for those that write, in seconds; without it they are refused to be
            waited for (but for programs that were sent before).
        torn : bool
            Read also what somebody who vanished was writing.

        Returns
        -------
        Lease
            A context manager, whose value is a read-only numpy.ndarray over the memory.

        Raises
        ------
        LeaseConflict
            When the block is entered: somebody writes a part of it.
        Torn
            Likewise: whoever wrote a part of it vanished before the end.
        Sealed
            It is not mutable, so that it can be read without.

        Examples
        --------
        >>> import tensord
        >>> t = tensord.put([1.0, 2.0, 3.0], mutable=True)
        >>> with t[:2].read() as a:
        ...     print(a)
        [1. 2.]
        """
        return Lease(self, False, timeout, torn)

    def write(self, timeout=None):
        """Write this tensor, or view of one, in place, while nobody else reads or writes it.

        Parameters
        ----------
        timeout : float, optional
            How long to wait for others, in seconds; see `read`.

        Returns
        -------
        Lease
            A context manager, whose value is a writable numpy.ndarray over the memory: not to be
            written behind the block. What was written is seen by whoever looks afterwards, also
            where the block raises. If this process ends within the block, the part is torn.

        Raises
        ------
        LeaseConflict
            When the block is entered: somebody else reads or writes a part of it.
        Sealed
            It is not mutable.
        LeaseLost
            When the block is left: the connection ended meanwhile.

        Examples
        --------
        >>> import tensord
        >>> t = tensord.put([1.0, 2.0, 3.0], mutable=True)
        >>> with t[1:].write() as a:
        ...     a += 0.5
        >>> t
        Tensor([1. , 2.5, 3.5], dtype=float64)
        """
        return Lease(self, True, timeout, False)

    # ---- views ----

    def _view(self, shape, strides, offset=0):
        view = object.__new__(Tensor)
        view._client = self._client
        view._handle = self._handle
        view._number = self._number
        view.shape = tuple(shape)
        view._strides = tuple(strides)
        view._offset = self._offset + (0 if 0 in view.shape else offset)
        return view

    def _at(self, index):
        old = self.strides
        offset = sum(start * stride for start, stride in zip(index.start, old))
        strides = (0 if axis is None else old[axis] * index.step[axis] for axis in index.axes)
        return self._view(index.shape, strides, offset)

    def _permute(self, axes):
        order = normal_axes(axes, self.ndim)
        if order is None:
            return super()._permute(axes)  # refused, in the words of the inference
        strides = self.strides
        return self._view((self.shape[axis] for axis in order), (strides[axis] for axis in order))

    def _broadcast(self, shape):
        n_new = len(shape) - self.ndim
        pairs = list(zip(self.shape, shape[n_new:])) if n_new >= 0 else [(0, 1)]
        if len(shape) > _native.NDIM_MAX or any(old != new and old != 1 for old, new in pairs):
            return super()._broadcast(shape)  # refused, likewise
        own = zip(pairs, self.strides)
        return self._view(shape, [0] * n_new + [0 if old != new else s for (old, new), s in own])

    def _reshape(self, shape):
        item_size = ITEM_SIZES[self._number]
        if self.strides == c_strides(self.shape, item_size):
            size, known = self.size, 1
            for extent in shape:
                known *= extent if extent != -1 else 1
            if shape.count(-1) == 1 and known > 0 and size % known == 0:
                shape = tuple(size // known if extent == -1 else extent for extent in shape)
                known = size
            if known == size and all(extent >= 0 for extent in shape):
                return self._view(shape, c_strides(shape, item_size))
        return super()._reshape(shape)


class _Dropped:
    """Stands for the native tensor of one that was given up."""

    name = id = owner = None
    is_sealed = is_mutable = is_shared = is_evictable = False

    def __getattr__(self, attribute):
        raise error("not_sealed", "the tensor was dropped before it was sealed")


class Unsealed(Tensor):
    """A tensor that its creator fills in place, before anybody else sees it; see `Client.create`.

    As a context manager it seals itself at the end of the block, unless the block raised. Once
    sealed it is a tensor like any other. One that is dropped unsealed is gone, and its name is free
    again.

    Sealing makes the memory read-only. The array itself (`array`, ``numpy.asarray(t)``) turns
    read-only with it, whoever holds it, but numpy cannot reach views that were made from it: a
    write through one of those would end the process with SIGSEGV. So `seal` refuses (NotSealed) as
    long as such views are in use. What it cannot see are other aliases: a memoryview of the array,
    an array of another class, another library's tensor over it; those must not be written after
    sealing.
    """

    __slots__ = ("_mapping", "_root", "_array")

    def __init__(self, client, handle):
        super().__init__(client, handle)
        self._mapping = handle.map(_native.MAP_WRITE, True)
        # numpy makes a view's base the last ndarray above it that is itself based on something
        # else: _root, for the array handed out and for every view of it. So references to _root
        # count them.
        self._root = numpy.ndarray(self.shape, self.dtype, self._mapping, 0, self.strides)
        self._array = self._root[...]

    @property
    def array(self):
        """The memory, as a numpy.ndarray: writable until sealed; None after a failed block."""
        return self._array

    def __array__(self, dtype=None, copy=None):
        if self._root is None:
            return super().__array__(dtype, copy)
        if dtype is not None and numpy.dtype(dtype) != self._array.dtype:
            if copy is False:
                raise ValueError(f"{self._array.dtype} to {numpy.dtype(dtype)} needs a copy")
            return self._array.astype(dtype)
        return self._array.copy() if copy else self._array

    def seal(self):
        """Make it immutable; its name, if it has one, appears now. Does nothing if it is sealed.

        Raises
        ------
        NotSealed
            Views of `array` are still in use; delete them and seal again.
        NameTaken, Poisoned, OutOfMemory, ConnectionLost
            The daemon could not take it.
        """
        if self._root is None:
            return
        # This object's, getrefcount's argument, and that of _array itself.
        n_views = sys.getrefcount(self._root) - 3
        if n_views > 0:
            raise error(
                "not_sealed",
                f"{n_views} views of the array are still in use, and writing to them would then "
                "crash; delete them (del, or leave their scope) and seal again",
            )
        self._array.flags.writeable = False
        try:
            self._handle.seal()
        except BaseException:
            if not self._handle.is_sealed:
                self._array.flags.writeable = True
            raise
        self._root.flags.writeable = False
        self._mapping.freeze()
        self._root = None

    def __enter__(self):
        return self

    def __exit__(self, kind, exception, traceback):
        if kind is None:
            self.seal()
        else:
            self._drop()

    def _drop(self):
        """Give it up: it ends when no array shows its memory any more."""
        self._root = self._mapping = self._array = None
        self._handle = _Dropped()

    def __del__(self):
        if getattr(self, "_root", None) is not None and not self._client.is_closed:
            warnings.warn(
                f"tensor of shape {self.shape} was dropped before it was sealed",
                ResourceWarning,
                source=self,
            )
