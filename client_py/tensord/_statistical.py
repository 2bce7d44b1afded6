# SPDX-License-Identifier: MIT
"""Reductions and scans, by the names and signatures of the Python array API standard.

Operands are tensors, values of programs, or what numpy makes an array of. `segment_sum` stands
beside the standard.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ._array import array_of
from ._compose import compose
from ._dtypes import DTYPES, number_of
from ._errors import error
from ._functions import _named, call
from ._operators import reduction_attrs

if TYPE_CHECKING:
    from typing import Protocol

    from ._array import Array
    from ._types import ArrayLike, Attrs, Axis, DTypeLike

    class Reduction(Protocol):
        def __call__(
            self, x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False
        ) -> Array:
            ...

    class Search(Protocol):
        def __call__(
            self, x: ArrayLike, /, *, axis: int | None = None, keepdims: bool = False
        ) -> Array:
            ...

    class Sum(Protocol):
        def __call__(
            self,
            x: ArrayLike,
            /,
            *,
            axis: Axis = None,
            dtype: DTypeLike | None = None,
            keepdims: bool = False,
        ) -> Array:
            ...

    class Variance(Protocol):
        def __call__(
            self,
            x: ArrayLike,
            /,
            *,
            axis: Axis = None,
            correction: float = 0.0,
            keepdims: bool = False,
        ) -> Array:
            ...

    class Scan(Protocol):
        def __call__(
            self,
            x: ArrayLike,
            /,
            *,
            axis: int | None = None,
            dtype: DTypeLike | None = None,
            include_initial: bool = False,
        ) -> Array:
            ...

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "max",
    "mean",
    "min",
    "prod",
    "segment_sum",
    "std",
    "sum",
    "var",
]


_AXIS = """axis : int or tuple of int, optional
        Along which to reduce; all where it is left out."""
_ONE_AXIS = """axis : int, optional
        Along which to look; all elements in C order where it is left out."""
_KEEPDIMS = """keepdims : bool
        Keep the reduced axes, with extent 1."""
_RESULTS = """Returns
    -------
    Array or Value
        Of x's shape without the axes."""
_DTYPE = """dtype : str or numpy.dtype, optional
        What elements are cast to before, and the dtype of the result."""


_ALONG_0: dict[str, object] = {
    "all": [False, True],
    "any": [True, True],
    "argmax": [1, 1],
    "argmin": [0, 0],
    "count_nonzero": [1, 2],
    "max": [3, 4],
    "mean": [1.5, 3.0],
    "min": [0, 2],
    "prod": [0, 8],
    "std": [1.5, 1.0],
    "sum": [3, 6],
    "var": [2.25, 1.0],
}
_ALONG_1: dict[str, object] = {
    "cumulative_prod": [[0, 0], [3, 12]],
    "cumulative_sum": [[0, 2], [3, 7]],
}


def _example(op: str, along: str = "axis=0") -> str:
    shown = (_ALONG_0 if along == "axis=0" else _ALONG_1)[op]
    return f"""Examples
    --------
    >>> import tensord
    >>> tensord.{op}([[0, 2], [3, 4]], {along}).tolist()
    {shown}"""


def _reduction(op: str, doc: str, axis_doc: str = _AXIS) -> Reduction:
    def function(x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return call(op, (array_of(x),), reduction_attrs(axis, keepdims))

    return _named(
        function,
        op,
        f"""{doc}

    Parameters
    ----------
    x : array_like or Value
    {axis_doc}
    {_KEEPDIMS}

    {_RESULTS}

    {_example(op)}
    """,
    )


mean = _reduction("mean", "Arithmetic mean; integers and bool as float64; NaN of nothing.")
max = _reduction("max", "Largest element; NaN if any is NaN; refused for nothing.")
min = _reduction("min", "Smallest element; NaN if any is NaN; refused for nothing.")
any = _reduction("any", "Is any element not 0? False of nothing.")
all = _reduction("all", "Is no element 0? True of nothing.")
count_nonzero = _reduction("count_nonzero", "How many elements are not 0, as int64.")
argmax: Search = _reduction(
    "argmax", "Index of the first NaN, else of the first of the largest elements.", _ONE_AXIS
)
argmin: Search = _reduction(
    "argmin", "Index of the first NaN, else of the first of the smallest elements.", _ONE_AXIS
)


def _through(op: str, x: ArrayLike, attrs: Attrs, dtype: DTypeLike | None) -> Array:
    """The operation on the elements cast to a dtype, with results of it."""
    x = array_of(x)
    if dtype is None:
        return call(op, (x,), attrs)
    to = DTYPES[number_of(dtype)]
    return compose(lambda x: call(op, (x.astype(to),), attrs).astype(to), x)


def _sum(op: str, doc: str) -> Sum:
    def function(
        x: ArrayLike,
        /,
        *,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        keepdims: bool = False,
    ) -> Array:
        return _through(op, x, reduction_attrs(axis, keepdims), dtype)

    return _named(
        function,
        op,
        f"""{doc}

    Integers and bool are taken in 64 bits, which wrap; floats in float64, rounded at the end.

    Parameters
    ----------
    x : array_like or Value
    {_AXIS}
    {_DTYPE}
    {_KEEPDIMS}

    {_RESULTS}

    {_example(op)}
    """,
    )


sum = _sum("sum", "Sum of the elements; 0 of nothing.")
prod = _sum("prod", "Product of the elements; 1 of nothing.")


def _variance(op: str, doc: str) -> Variance:
    def function(
        x: ArrayLike, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False
    ) -> Array:
        return call(op, (array_of(x),), reduction_attrs(axis, keepdims, correction))

    return _named(
        function,
        op,
        f"""{doc}

    Parameters
    ----------
    x : array_like or Value
    {_AXIS}
    correction : int or float
        The divisor is the number of elements less this; 1 is Bessel's correction. NaN if nothing
        or less is left.
    {_KEEPDIMS}

    {_RESULTS}

    {_example(op)}
    """,
    )


var = _variance("var", "Variance: the mean square of what differs from the mean.")
std = _variance("std", "Standard deviation: the square root of the variance.")


def _scan(op: str, doc: str) -> Scan:
    def function(
        x: ArrayLike,
        /,
        *,
        axis: int | None = None,
        dtype: DTypeLike | None = None,
        include_initial: bool = False,
    ) -> Array:
        x = array_of(x)
        if len(x.shape) == 0:
            x = x.reshape(1)
        if axis is None:
            if len(x.shape) != 1:
                raise error("bad_axis", f"{op}: an axis is needed for {len(x.shape)} dimensions")
            axis = 0
        attrs: Attrs = {"axes": (operator.index(axis),)}
        if include_initial:
            attrs["include_initial"] = True
        return _through(op, x, attrs, dtype)

    return _named(
        function,
        op,
        f"""{doc}

    Parameters
    ----------
    x : array_like or Value
    axis : int, optional
        May be left out where there is but one.
    {_DTYPE}
    include_initial : bool
        Begin with the value of nothing, so that there is one element more.

    Returns
    -------
    Array or Value
        Of x's shape, but for that element.

    {_example(op, "axis=1")}
    """,
    )


cumulative_sum = _scan("cumulative_sum", "Sums of all elements up to each one.")
cumulative_prod = _scan("cumulative_prod", "Products of all elements up to each one.")


def segment_sum(x: ArrayLike, labels: ArrayLike, k: int, /) -> Array:
    """Sums of the rows that have the same label.

    Parameters
    ----------
    x : (n, ...) array_like or Value of floats
    labels : (n,) array_like or Value of integers
        Each at least 0 and less than k, else ValueRefused names the first that is not.
    k : int
        Number of segments.

    Returns
    -------
    (k, ...) Array or Value
        0 where no row has the label.

    Examples
    --------
    >>> import tensord
    >>> tensord.segment_sum([1.0, 2.0, 3.0], [0, 1, 0], 2)
    Array([4., 2.], shape=(2,), dtype=float64, 16 bytes)
    """
    return call("segment_sum", (x, labels), {"k": operator.index(k)})
