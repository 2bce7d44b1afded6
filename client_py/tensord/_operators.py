# SPDX-License-Identifier: MIT
"""The operators and methods that tensors and values of programs have in common."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, cast

from ._docstrings import (
    AS_MEANS,
    AS_PARTS,
    AS_SUMS,
    OF_NOTHING,
    OF_ONE_AXIS,
    named_operator,
    reduction,
)
from ._dtypes import DTYPES, KINDS, check_part, number_of
from ._errors import TensordError, error
from ._index import Advanced, Index, alone, integers_of, is_mask, is_void_mask, normal_axes
from ._operands import as_operand, as_operands, is_operand, operand_for
from ._traceback import cut, cuts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Self, SupportsIndex

    from ._types import (
        ArrayLike,
        Attrs,
        Axes,
        Axis,
        DType,
        DTypeLike,
        Function,
        Key,
            Operand,
        Operator,
        Shape,
        ShapeLike,
            Term,
    )


# Items of a key that take no array into account.
_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def make(op: str, args: tuple[object, ...], attrs: Attrs | None = None) -> Any:
    """The result of an operation on operands (at least one of them a tensor or a value).

    If one of them is a value of a program the result is one, else it is computed.
    """
    maker: Operators | None = None
    for arg in args:
        if isinstance(arg, Operators) and (maker is None or arg._rank > maker._rank):
            maker = arg
    assert maker is not None
    return maker._make(op, args, attrs)


def _forward(op: str) -> Operator:
    def method(self: Operators, other: object) -> object:
        if not isinstance(other, Operators):
            if not is_operand(other):
                return NotImplemented
            other = operand_for(op, other, self._number)
        elif other._rank > self._rank:
            return other._make(op, (self, other))
        return self._make(op, (self, other))

    return cast("Operator", named_operator(method, op))


def _reflected(op: str) -> Operator:
    def method(self: Operators, other: object) -> object:
        if not is_operand(other):
            return NotImplemented
        return self._make(op, (operand_for(op, other, self._number), self))

    return cast("Operator", named_operator(method, op, "r"))


def reduction_attrs(axis: Axis, keepdims: bool, correction: float = 0) -> Attrs:
    """What a reduction is told: axes if not all, and what differs from the default."""
    attrs: Attrs = {"keepdims": True} if keepdims else {}
    if axis is not None:
        attrs["axes"] = integers_of(axis)
    if correction != 0:
        attrs["correction"] = float(correction)
    return attrs


class Operators:
    """Base of what operators work on; ``_make`` says what an operation on it becomes."""

    __slots__ = ()
    __array_priority__ = 1000  # ndarray + tensor is left to the tensor
    _rank = 0

    if TYPE_CHECKING:  # what Array and Value have
        _number: int
        shape: Shape

        def _make(self, op: str, args: tuple[object, ...], attrs: Attrs | None = None) -> Self:
            ...

        def _operand(self) -> Term:
            ...

    def _copy(self) -> Self:
        """What is apart from this one, with the same elements: a value never changes."""
        return self

    @property
    def dtype(self) -> DType:
        """numpy.dtype of the elements."""
        return DTYPES[self._number]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, without gaps."""
        return self.size * self.dtype.itemsize

    __add__, __radd__ = _forward("add"), _reflected("add")
    __sub__, __rsub__ = _forward("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _forward("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _forward("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _forward("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _forward("remainder"), _reflected("remainder")
    __pow__, __rpow__ = _forward("pow"), _reflected("pow")
    __and__, __rand__ = _forward("bitwise_and"), _reflected("bitwise_and")
    __or__, __ror__ = _forward("bitwise_or"), _reflected("bitwise_or")
    __xor__, __rxor__ = _forward("bitwise_xor"), _reflected("bitwise_xor")
    __lshift__, __rlshift__ = _forward("bitwise_left_shift"), _reflected("bitwise_left_shift")
    __rshift__, __rrshift__ = _forward("bitwise_right_shift"), _reflected("bitwise_right_shift")
    __matmul__, __rmatmul__ = _forward("matmul"), _reflected("matmul")
    if TYPE_CHECKING:
        # They yield arrays of bool, as numpy's.
        def __eq__(self, other: ArrayLike) -> Self:  # type: ignore[override]
            ...

        def __ne__(self, other: ArrayLike) -> Self:  # type: ignore[override]
            ...

    else:
        __eq__, __ne__ = _forward("equal"), _forward("not_equal")
    __lt__, __le__ = _forward("less"), _forward("less_equal")
    __gt__, __ge__ = _forward("greater"), _forward("greater_equal")
    __hash__ = None  # type: ignore[assignment]  # == does not tell whether two are the same

    def __neg__(self) -> Self:
        """``-self``; see `negative`.

        Returns
        -------
        Array or Value

        Raises
        ------
        DtypeError
            It is of bool.

        Examples
        --------
        >>> import tensord
        >>> -tensord.asarray([1, -2])
        Array([-1,  2], shape=(2,), dtype=int64, 16 bytes)
        """
        return self._make("negative", (self,))

    def __abs__(self) -> Self:
        """Absolute value; see `abs`.

        Returns
        -------
        Array or Value
            Of complex numbers, real.

        Examples
        --------
        >>> import tensord
        >>> abs(tensord.asarray([3.0, -4.0]))
        Array([3., 4.], shape=(2,), dtype=float64, 16 bytes)
        """
        return self._make("abs", (self,))

    def __invert__(self) -> Self:
        """``~self``, all bits inverted, of bool logical not; see `bitwise_invert`.

        Returns
        -------
        Array or Value

        Raises
        ------
        DtypeError
            It is of floating-point numbers.

        Examples
        --------
        >>> import tensord
        >>> ~tensord.asarray([True, False])
        Array([False,  True], shape=(2,), dtype=bool, 2 bytes)
        """
        return self._make("bitwise_invert", (self,))

    def __pos__(self) -> Self:
        """A copy.

        Returns
        -------
        Array or Value

        Examples
        --------
        >>> import tensord
        >>> +tensord.asarray([1, -2])
        Array([ 1, -2], shape=(2,), dtype=int64, 16 bytes)
        """
        return self._copy()

    def _reduce(self, op: str, axis: Axis, keepdims: bool, dtype: DTypeLike | None) -> Self:
        attrs = reduction_attrs(axis, keepdims)
        if dtype is None:
            return self._make(op, (self,), attrs)
        return self._make(op, (self.astype(dtype),), attrs).astype(dtype)

    @reduction(
        "Sum of the elements; integers and bool in 64 bits.",
        "x.sum(axis=0) -> Array([4., 6.], shape=(2,), dtype=float64, 16 bytes)",
        AS_SUMS,
    )
    def sum(
        self, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
    ) -> Self:
        return self._reduce("sum", axis, keepdims, dtype)

    @reduction(
        "Product of the elements; integers and bool in 64 bits.",
        "x.prod(axis=0) -> Array([3., 8.], shape=(2,), dtype=float64, 16 bytes)",
        AS_SUMS,
    )
    def prod(
        self, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False
    ) -> Self:
        return self._reduce("prod", axis, keepdims, dtype)

    @reduction(
        "Variance, by the number of elements less the correction; in two passes, mean first.",
        "x.var(axis=0) -> Array([1., 1.], shape=(2,), dtype=float64, 16 bytes)",
        AS_PARTS,
    )
    def var(
        self,
        axis: Axis = None,
        *,
        correction: float = 0.0,
        keepdims: bool = False,
        ddof: float | None = None,
    ) -> Self:
        attrs = reduction_attrs(axis, keepdims, correction if ddof is None else ddof)
        return self._make("var", (self,), attrs)

    @reduction(
        "Standard deviation, the square root of the variance; see `var`.",
        "x.std(axis=1) -> Array([0.5, 0.5], shape=(2,), dtype=float64, 16 bytes)",
        AS_PARTS,
    )
    def std(
        self,
        axis: Axis = None,
        *,
        correction: float = 0.0,
        keepdims: bool = False,
        ddof: float | None = None,
    ) -> Self:
        attrs = reduction_attrs(axis, keepdims, correction if ddof is None else ddof)
        return self._make("std", (self,), attrs)

    @reduction(
        "Arithmetic mean; NaN of nothing.",
        "x.mean(axis=0) -> Array([2., 3.], shape=(2,), dtype=float64, 16 bytes)",
        AS_MEANS,
    )
    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("mean", (self,), reduction_attrs(axis, keepdims))

    @reduction(
        "Largest element; NaN if any is NaN; refused for nothing.",
        "x.max(axis=0) -> Array([3., 4.], shape=(2,), dtype=float64, 16 bytes)",
        "Of the same dtype.",
        OF_NOTHING,
    )
    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("max", (self,), reduction_attrs(axis, keepdims))

    @reduction(
        "Smallest element; NaN if any is NaN; refused for nothing.",
        "x.min(axis=1) -> Array([1., 3.], shape=(2,), dtype=float64, 16 bytes)",
        "Of the same dtype.",
        OF_NOTHING,
    )
    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("min", (self,), reduction_attrs(axis, keepdims))

    @reduction(
        "Index of the first NaN, else of the first largest element.",
        "x.argmax(axis=1) -> Array([1, 1], shape=(2,), dtype=int64, 16 bytes)",
        "int64.",
        OF_ONE_AXIS,
    )
    def argmax(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("argmax", (self,), reduction_attrs(axis, keepdims))

    @reduction(
        "Index of the first NaN, else of the first smallest element.",
        "x.argmin(axis=1) -> Array([0, 0], shape=(2,), dtype=int64, 16 bytes)",
        "int64.",
        OF_ONE_AXIS,
    )
    def argmin(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("argmin", (self,), reduction_attrs(axis, keepdims))

    @reduction(
        "Is any element not 0?",
        "(x > 3).any(axis=0) -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
        "bool.",
    )
    def any(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("any", (self,), reduction_attrs(axis, keepdims))

    @reduction(
        "Is no element 0?",
        "(x > 1).all(axis=0) -> Array([False,  True], shape=(2,), dtype=bool, 2 bytes)",
        "bool.",
    )
    def all(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        return self._make("all", (self,), reduction_attrs(axis, keepdims))

    def astype(self, dtype: DTypeLike, *, copy: bool = True) -> Self:
        """The same values in another dtype.

        Parameters
        ----------
        dtype : str or numpy.dtype
            Integers wrap, and so do floats, once cut off towards 0. NaN and floats beyond int64 or
            int32 become the most negative of those first.
        copy : bool
            False: the array itself where it has that dtype.

        Returns
        -------
        Array or Value
            Of the same shape.

        Raises
        ------
        DtypeError
            Complex numbers do not become real ones: say which part, `real` or `imag`. Or it is no
            dtype that tensord keeps.

        Examples
        --------
        >>> import tensord
        >>> tensord.asarray([1.9, -1.9]).astype("int32")
        Array([ 1, -1], shape=(2,), dtype=int32, 8 bytes)
        """
        number = number_of(dtype)
        if number == self._number:
            return self._copy() if copy else self
        check_part(KINDS[self._number], number)
        return self._make("astype", (self,), {"dtype": number})

    def reshape(self, *shape: ShapeLike) -> Self:
        """The same elements, in C order, under another shape.

        Parameters
        ----------
        *shape : int
            Or one tuple; one extent may be -1, and follows from the rest.

        Returns
        -------
        Array or Value
            Of the same dtype; of an array, a view where the elements need not move for it.

        Raises
        ------
        ShapeError
            The shape has another number of elements.

        Examples
        --------
        >>> import tensord
        >>> tensord.arange(4).reshape(2, -1)
        Array([[0, 1],
               [2, 3]], shape=(2, 2), dtype=int64, 32 bytes)
        """
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            return self._reshape(tuple(map(operator.index, shape[0])))
        extents = tuple(map(operator.index, shape))  # type: ignore[arg-type]  # or it raises
        return self._reshape(extents)

    def transpose(self, *axes: Axes) -> Self:
        """The axes in another order; without arguments, reversed. No bytes move.

        Parameters
        ----------
        *axes : int
            Or one tuple; negative ones count from the end.

        Returns
        -------
        Array or Value
            Of the same dtype; of an array, a view.

        Raises
        ------
        AxisError
            The axes are not each of the array's once.

        Examples
        --------
        >>> import tensord
        >>> tensord.ones((2, 3, 4)).transpose(1, 0, 2).shape
        (3, 2, 4)
        """
        if len(axes) == 1 and isinstance(axes[0], (tuple, list)):
            return self.permute_dims(axes[0] or tuple(reversed(range(self.ndim))))
        places = axes or tuple(reversed(range(self.ndim)))
        return self.permute_dims(places)  # type: ignore[arg-type]  # or refused there

    def permute_dims(self, axes: Sequence[SupportsIndex]) -> Self:
        """The axes in another order. No bytes move.

        Parameters
        ----------
        axes : sequence of int
            Each axis once; negative ones count from the end.

        Returns
        -------
        Array or Value
            Of the same dtype; of an array, a view.

        Raises
        ------
        AxisError
            The axes are not each of the array's once.

        Examples
        --------
        >>> import tensord
        >>> tensord.ones((2, 3, 4)).permute_dims((-1, 0, 1)).shape
        (4, 2, 3)
        """
        return self._permute(tuple(axes))

    @property
    def T(self) -> Self:
        """The axes reversed, as numpy's."""
        return self.transpose()

    @property
    def mT(self) -> Self:
        """The last two axes exchanged: a stack of matrices, each transposed."""
        if self.ndim < 2:
            raise error("shape_mismatch", f"mT: shape {self.shape} is not that of a matrix")
        axes = list(range(self.ndim))
        axes[-2:] = axes[-1], axes[-2]
        return self.permute_dims(axes)

    @cuts
    def __getitem__(self, key: Key) -> Self:
        """A part of it, as numpy's keys name it.

        Parameters
        ----------
        key : int, slice, ..., None, array_like of int or of bool, or tuple of these

        Returns
        -------
        Array or Value
            Of an array a view, where no arrays are in the key.

        Raises
        ------
        IndexError
            An index is beyond the extent of its axis, there are too many, or a mask has another
            shape.
        ShapeError
            Arrays of indices do not broadcast.

        Examples
        --------
        >>> import tensord
        >>> x = tensord.asarray([[1, 2, 3], [4, 5, 6]])
        >>> x[:, ::2]
        Array([[1, 3],
               [4, 6]], shape=(2, 2), dtype=int64, 32 bytes)
        >>> x[x > 4]
        Array([5, 6], shape=(2,), dtype=int64, 16 bytes)
        """
        try:
            if type(key) in _BASIC or (type(key) is tuple and _BASIC.issuperset(map(type, key))):
                return self._at(Index(self.shape, key))
            key = alone(key)
            if is_mask(key):
                return self._at_mask(as_operand(key))
            advanced = Advanced.of(self.shape, key)
            if advanced is None:
                return self._at(Index(self.shape, key))
            return self._at_arrays(advanced)
        except TensordError as problem:
            raise cut(problem)

    def __len__(self) -> int:
        """Extent of the first axis.

        Returns
        -------
        int

        Raises
        ------
        TypeError
            It has no axes.

        Examples
        --------
        >>> import tensord
        >>> len(tensord.zeros((3, 4)))
        3
        """
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        """Its parts along the first axis.

        Returns
        -------
        iterator of Array or Value

        Raises
        ------
        TypeError
            It has no axes.

        Examples
        --------
        >>> import tensord
        >>> [part.shape for part in tensord.zeros((2, 4))]
        [(4,), (4,)]
        """
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    # Views as operations of a program; arrays do without (module `_views`).

    def _reshape(self, shape: Shape) -> Self:
        return self._make("reshape", (self,), {"shape": shape})

    def _permute(self, axes: Sequence[SupportsIndex]) -> Self:
        return self._make("permute_dims", (self,), {"axes": axes})

    def _at(self, index: Index) -> Self:
        part = self
        if index.count != list(self.shape) or any(step != 1 for step in index.step):
            attrs = {"start": index.start, "shape": index.count, "step": index.step}
            part = self._make("slice", (self,), attrs)
        if index.axes != list(range(self.ndim)):
            part = part._reshape(index.shape)
        return part

    def _at_mask(self, mask: Operand) -> Self:
        n_masked = len(mask.shape)
        if is_void_mask(mask.shape, self.shape):
            return self[(slice(0),) * n_masked]._reshape((0, *self.shape[n_masked:]))
        chosen: Self = make("mask", (self, mask))
        return chosen

    def _at_arrays(self, advanced: Advanced) -> Self:
        if advanced.mask is not None:
            return self._at_mask(as_operand(advanced.mask))
        if advanced.is_unknown_view:
            raise error(
                "bad_program",
                "which part this is a view of is not known while the index is traced; "
                "take(x, i, axis=0) yields a copy",
            )
        part = self if advanced.is_whole else self[advanced.basic]
        found: Self = make("take", (part, *advanced.indices), {"axes": advanced.axes})
        return found._permute(advanced.order()) if advanced.n_before else found

    def _broadcast(self, shape: Shape) -> Self:
        return self._make("broadcast_to", (self,), {"shape": shape})


__all__ = ["Operators", "as_operands", "make", "normal_axes"]
