# SPDX-License-Identifier: MIT
# What `Array` has of modules that stand on it, and give it to it when they are imported. For type
# checkers alone.

from collections.abc import Callable

from . import _assignment, _following, _methods, _notebook, _protocols, _sharing
from ._array import Array
from ._graph import Block
from ._types import ArrayLike

class Given:
    """A base of `Array`, as far as type checkers know."""

    _block: Block
    __setitem__ = _assignment._set_item
    __iadd__ = __isub__ = __imul__ = __itruediv__ = _assignment._in_place("")
    __ifloordiv__ = __imod__ = __ipow__ = __imatmul__ = _assignment._in_place("")
    __ilshift__ = __irshift__ = _assignment._in_place("")
    __iand__ = __ior__ = __ixor__ = _assignment._in_place("")
    wait_newer, follow = _following._wait_newer, _following._follow
    share, snapshot, lend = _sharing.share, _sharing.snapshot, _sharing.lend
    argsort = clip = cumprod = cumsum = diagonal = dot = ptp = _methods._as_function("")
    ravel = repeat = round = searchsorted = squeeze = swapaxes = _methods._as_function("")
    take = trace = _methods._as_function("")
    nonzero: Callable[[], tuple[Array, ...]]
    compress, copy, flatten = _methods._compress, _methods._copy, _methods._flatten
    conj = conjugate = _methods._conj
    fill, sort = _methods._fill, _methods._sort
    item, tobytes, tolist = _methods._item, _methods._tobytes, _methods._tolist
    __contains__, __copy__ = _methods._contains, _methods._copy
    __divmod__, __rdivmod__ = _methods._divmod, _methods._rdivmod
    __dlpack__, __dlpack_device__ = _protocols._dlpack, _protocols._dlpack_device
    __array_namespace__, to_device = _protocols._array_namespace, _protocols._to_device
    _repr_html_ = _notebook._repr_html
    @property
    def version(self) -> int | None: ...
    @property
    def real(self) -> Array: ...
    @real.setter
    def real(self, value: ArrayLike) -> None: ...
    @property
    def imag(self) -> Array: ...
    @imag.setter
    def imag(self, value: ArrayLike) -> None: ...
    @property
    def itemsize(self) -> int: ...
