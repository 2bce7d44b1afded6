# SPDX-License-Identifier: MIT
"""Operations as functions, by the names of the Python array API standard; _elementwise has more.

Operands are tensors, values of programs, arrays and Python numbers; where no tensor is among them,
the default client computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._array import array_of, compute
from ._graph import Value, apply
from ._index import integers_of
from ._operands import as_operands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol, TypeVar

    from ._array import Array
    from ._client import Client
    from ._types import ArrayLike, Attrs, Function, ShapeLike

    _Results = TypeVar("_Results", covariant=True)

    class _Call(Protocol[_Results]):
        def __call__(
            self,
            op: str,
            args: tuple[Any, ...],
            attrs: Attrs | None = None,
            client: Client | None = None,
        ) -> _Results:
            ...


def _call(
    op: str, args: tuple[Any, ...], attrs: Attrs | None = None, client: Client | None = None
) -> Any:
    """The results of an operation: values if one is among the operands, else arrays."""
    args = as_operands(args, op)
    result: Array
    if any(isinstance(arg, Value) for arg in args):
        result = apply(op, args, attrs)
    else:
        result = compute(op, args, attrs, client)
    return result


#: The same function, for operations with one result and for those with several. Hints of functions
#: speak of arrays only: a value of a program is one as far as they can tell.
call: _Call[Array] = _call
call_several: _Call[tuple[Array, ...]] = _call


def _named(function: Function, op: str, doc: str) -> Function:
    function.__name__ = function.__qualname__ = op
    function.__module__ = "tensord"
    function.__doc__ = doc
    return function


def matmul(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Matrix product, with numpy's rules for vectors and stacks.

    Parameters
    ----------
    x1 : (..., n, k) or (k,) array_like or Value
    x2 : (..., k, m) or (k,) array_like or Value
        Leading dimensions broadcast.

    Returns
    -------
    (..., n, m) Array or Value
        Without n or m where the operand is a vector.

    Raises
    ------
    ShapeError
        k differs, an operand has no dimensions, or leading dimensions do not broadcast.

    Examples
    --------
    >>> import tensord
    >>> tensord.matmul([[1, 2], [3, 4]], [10, 1]).tolist()
    [12, 34]
    >>> tensord.matmul([1, 2], [1, 2, 3])
    Traceback (most recent call last):
        ...
    tensord.ShapeError: matmul: shapes (2,) and (3,) do not fit: 2 is not 3
    """
    return call("matmul", (x1, x2))


def permute_dims(x: ArrayLike, /, axes: Sequence[int]) -> Array:
    """The axes in another order. A view of a tensor.

    Parameters
    ----------
    x : array_like or Value
    axes : tuple of int
        Each axis once; negative ones count from the end.

    Returns
    -------
    Array or Value

    Raises
    ------
    AxisError

    Examples
    --------
    >>> import tensord
    >>> tensord.permute_dims([[1, 2, 3], [4, 5, 6]], (1, 0)).tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    return array_of(x).permute_dims(axes)


def broadcast_to(x: ArrayLike, /, shape: ShapeLike) -> Array:
    """A view of x repeated to a shape, by numpy's rule; not to be written.

    Parameters
    ----------
    x : array_like or Value
    shape : int or tuple of int
        Each of the last axes has the extent that x has there, or x has 1.

    Returns
    -------
    Array or Value
        Of that shape.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import tensord
    >>> tensord.broadcast_to([1, 2], (2, 2)).tolist()
    [[1, 2], [1, 2]]
    """
    return array_of(x)._broadcast(integers_of(shape))
