# SPDX-License-Identifier: MIT
"""numpy's functions that the standard does not have, as functions of the modules here.

``tensord.concatenate`` is what ``numpy.concatenate`` does with arrays of tensord's: what the module
`_array_functions` has in its table, and of the ufuncs what `_ufuncs` puts together. Other names of
ufuncs, such as ``power``, are those of the standard's functions.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy

from . import _array_functions, _ufuncs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: name -> what it yields, an example, and what that shows
_SAID = {
    "allclose": (
        "Whether all elements of two arrays are about the same",
        "tensord.allclose([1.0, 2.0], [1.0, 2.0 + 1e-9])",
        "True",
    ),
    "amax": (
        "The largest element, or those along axes",
        "tensord.amax([[1, 5], [7, 2]], axis=0).tolist()",
        "[7, 5]",
    ),
    "amin": (
        "The smallest element, or those along axes",
        "tensord.amin([[1, 5], [7, 2]], axis=0).tolist()",
        "[1, 2]",
    ),
    "angle": (
        "The arguments of complex numbers, in radians or degrees",
        "tensord.angle([1.0, 1j], deg=True).tolist()",
        "[0.0, 90.0]",
    ),
    "append": (
        "An array, and behind it what is added",
        "tensord.append([1, 2], [[3], [4]]).tolist()",
        "[1, 2, 3, 4]",
    ),
    "argpartition": (
        "Places that put an array in order around its kth element: all in order",
        "tensord.argpartition([3, 1, 2], 1).tolist()",
        "[1, 2, 0]",
    ),
    "argwhere": (
        "Indices of what is not zero, a row each",
        "tensord.argwhere([[0, 1], [2, 0]]).tolist()",
        "[[0, 1], [1, 0]]",
    ),
    "around": (
        "Rounded to a number of decimals, halves to the even neighbour",
        "tensord.around([1.25, 2.5]).tolist()",
        "[1.0, 2.0]",
    ),
    "array_equal": (
        "Whether two arrays have the same shape and the same elements",
        "tensord.array_equal([1, 2], [1, 2])",
        "True",
    ),
    "array_equiv": (
        "Whether two arrays are the same once broadcast",
        "tensord.array_equiv([1, 1], [[1, 1], [1, 1]])",
        "True",
    ),
    "array_split": (
        "Parts along an axis, as equal as can be",
        "[part.tolist() for part in tensord.array_split([1, 2, 3], 2)]",
        "[[1, 2], [3]]",
    ),
    "atleast_1d": ("Arrays of one dimension at least", "tensord.atleast_1d(3).tolist()", "[3]"),
    "atleast_2d": (
        "Arrays of two dimensions at least",
        "tensord.atleast_2d([3, 4]).tolist()",
        "[[3, 4]]",
    ),
    "atleast_3d": (
        "Arrays of three dimensions at least",
        "tensord.atleast_3d([3, 4]).shape",
        "(1, 2, 1)",
    ),
    "average": (
        "The mean, each element counting as much as it weighs; inf or NaN where all weigh 0",
        "float(tensord.average([1.0, 4.0], weights=[2, 1]))",
        "2.0",
    ),
    "bincount": (
        "How often each number from 0 on is there, or the sums of what those weigh",
        "tensord.bincount([0, 2, 2]).tolist()",
        "[1, 0, 2]",
    ),
    "column_stack": (
        "Arrays of one dimension as the columns of one",
        "tensord.column_stack([[1, 2], [3, 4]]).tolist()",
        "[[1, 3], [2, 4]]",
    ),
    "compress": (
        "Parts of an array along an axis, where a condition holds",
        "tensord.compress([True, False], [[1, 2], [3, 4]], axis=0).tolist()",
        "[[1, 2]]",
    ),
    "concatenate": (
        "Arrays joined along an axis that there is",
        "tensord.concatenate([[1, 2], [3]]).tolist()",
        "[1, 2, 3]",
    ),
    "copy": (
        "An array with the same elements and memory of its own",
        "tensord.copy([1, 2]).tolist()",
        "[1, 2]",
    ),
    "copyto": (
        "Have an array hold the elements of another",
        "tensord.copyto(tensord.asarray([1, 2]), 5)",
        "",
    ),
    "corrcoef": (
        "Correlations of variables, one in each row",
        "tensord.corrcoef([[1.0, 2.0], [6.0, 4.0]]).tolist()",
        "[[0.9999999999999999, -0.9999999999999999], [-0.9999999999999999, 0.9999999999999999]]",
    ),
    "cov": (
        "Covariances of variables, one in each row",
        "tensord.cov([[1.0, 2.0], [6.0, 4.0]]).tolist()",
        "[[0.5, -1.0], [-1.0, 2.0]]",
    ),
    "cross": (
        "Products of vectors in three dimensions",
        "tensord.cross([1, 0, 0], [0, 1, 0]).tolist()",
        "[0, 0, 1]",
    ),
    "cumprod": (
        "Products of all elements up to each",
        "tensord.cumprod([1, 2, 3]).tolist()",
        "[1, 2, 6]",
    ),
    "cumsum": (
        "Sums of all elements up to each",
        "tensord.cumsum([1, 2, 3]).tolist()",
        "[1, 3, 6]",
    ),
    "diag": (
        "A matrix with this diagonal, or the diagonal of this matrix",
        "tensord.diag([1, 2]).tolist()",
        "[[1, 0], [0, 2]]",
    ),
    "diagflat": (
        "A matrix whose diagonal has all elements",
        "tensord.diagflat([[1], [2]]).tolist()",
        "[[1, 0], [0, 2]]",
    ),
    "diagonal": (
        "The diagonals of matrices, a view",
        "tensord.diagonal([[1, 2], [3, 4]]).tolist()",
        "[1, 4]",
    ),
    "digitize": (
        "The bins that elements lie in",
        "tensord.digitize([0.5, 2.5], [0, 1, 2]).tolist()",
        "[1, 3]",
    ),
    "dot": (
        "Products of matrices, of vectors, or of numbers",
        "tensord.dot([[1, 2], [3, 4]], [1, 1]).tolist()",
        "[3, 7]",
    ),
    "dstack": (
        "Arrays joined along the third axis",
        "tensord.dstack([[1, 2], [3, 4]]).tolist()",
        "[[[1, 3], [2, 4]]]",
    ),
    "ediff1d": (
        "Differences of neighbours among all elements",
        "tensord.ediff1d([1, 4, 9]).tolist()",
        "[3, 5]",
    ),
    "fill_diagonal": (
        "Write a diagonal in place",
        "tensord.fill_diagonal(tensord.zeros((2, 2)), 1.0)",
        "",
    ),
    "flatnonzero": (
        "Places of what is not zero, all elements in a row",
        "tensord.flatnonzero([[0, 1], [2, 0]]).tolist()",
        "[1, 2]",
    ),
    "fliplr": (
        "The second axis reversed, a view",
        "tensord.fliplr([[1, 2], [3, 4]]).tolist()",
        "[[2, 1], [4, 3]]",
    ),
    "flipud": (
        "The first axis reversed, a view",
        "tensord.flipud([[1, 2], [3, 4]]).tolist()",
        "[[3, 4], [1, 2]]",
    ),
    "gradient": (
        "Derivatives by differences of second order, one-sided at both ends",
        "tensord.gradient([0.0, 1.0, 4.0, 9.0]).tolist()",
        "[1.0, 2.0, 4.0, 5.0]",
    ),
    "histogram": (
        "How many elements lie in each bin, and the edges of the bins",
        "tensord.histogram([1, 2, 2, 4], 3)[0].tolist()",
        "[1, 2, 1]",
    ),
    "hsplit": (
        "Parts along the second axis, or the only one",
        "[part.tolist() for part in tensord.hsplit([1, 2, 3, 4], 2)]",
        "[[1, 2], [3, 4]]",
    ),
    "hstack": (
        "Arrays joined along the second axis, or the only one",
        "tensord.hstack([[1, 2], [3]]).tolist()",
        "[1, 2, 3]",
    ),
    "inner": (
        "Sums of products over the last axes of both",
        "tensord.inner([1, 2], [3, 4]).item()",
        "11",
    ),
    "interp": (
        "Values between points, on straight lines",
        "tensord.interp([0.5, 3.0], [0.0, 1.0], [10.0, 20.0]).tolist()",
        "[15.0, 20.0]",
    ),
    "intersect1d": (
        "What two arrays have in common, in order",
        "tensord.intersect1d([3, 1, 2], [2, 3, 5]).tolist()",
        "[2, 3]",
    ),
    "isclose": (
        "Where elements of two arrays are about the same",
        "tensord.isclose([1.0, 2.0], [1.0, 2.1]).tolist()",
        "[True, False]",
    ),
    "iscomplexobj": (
        "Whether an array is of complex numbers",
        "tensord.iscomplexobj([1j])",
        "True",
    ),
    "isrealobj": ("Whether an array is not of complex numbers", "tensord.isrealobj([1j])", "False"),
    "kron": (
        "The Kronecker product: one array, multiplied with each element of another",
        "tensord.kron([1, 10], [1, 2]).tolist()",
        "[1, 2, 10, 20]",
    ),
    "lexsort": (
        "Places in order of several keys, the last one first",
        "tensord.lexsort(([2, 1, 1], [0, 0, 1])).tolist()",
        "[1, 0, 2]",
    ),
    "median": (
        "The middle one of sorted elements, or the mean of the middle two",
        "tensord.median([[1.0, 5.0], [2.0, 3.0]], axis=1).tolist()",
        "[3.0, 2.5]",
    ),
    "nan_to_num": (
        "NaN and infinities replaced by numbers",
        "tensord.nan_to_num([1.0, tensord.nan]).tolist()",
        "[1.0, 0.0]",
    ),
    "nancumprod": (
        "Products of all elements up to each, NaN being 1",
        "tensord.nancumprod([2.0, tensord.nan, 3.0]).tolist()",
        "[2.0, 2.0, 6.0]",
    ),
    "nancumsum": (
        "Sums of all elements up to each, NaN being 0",
        "tensord.nancumsum([2.0, tensord.nan, 3.0]).tolist()",
        "[2.0, 2.0, 5.0]",
    ),
    "nanmax": (
        "The largest element that is no NaN; NaN if there is none, without a warning",
        "tensord.nanmax([2.0, tensord.nan]).item()",
        "2.0",
    ),
    "nanmean": (
        "The mean of what is no NaN; NaN if there is none, without a warning",
        "tensord.nanmean([2.0, tensord.nan]).item()",
        "2.0",
    ),
    "nanmedian": (
        "The median of what is no NaN; NaN if there is none, without a warning",
        "tensord.nanmedian([2.0, tensord.nan, 3.0]).item()",
        "2.5",
    ),
    "nanmin": (
        "The smallest element that is no NaN; NaN if there is none, without a warning",
        "tensord.nanmin([2.0, tensord.nan]).item()",
        "2.0",
    ),
    "nanprod": (
        "The product, NaN being 1",
        "tensord.nanprod([2.0, tensord.nan, 3.0]).item()",
        "6.0",
    ),
    "nanstd": (
        "The standard deviation of what is no NaN",
        "tensord.nanstd([2.0, tensord.nan, 4.0]).item()",
        "1.0",
    ),
    "nansum": ("The sum, NaN being 0", "tensord.nansum([2.0, tensord.nan, 3.0]).item()", "5.0"),
    "nanvar": (
        "The variance of what is no NaN",
        "tensord.nanvar([2.0, tensord.nan, 4.0]).item()",
        "1.0",
    ),
    "ndim": ("The number of dimensions", "tensord.ndim([[1, 2]])", "2"),
    "outer": (
        "Products of each element with each",
        "tensord.outer([1, 2], [3, 4]).tolist()",
        "[[3, 4], [6, 8]]",
    ),
    "pad": (
        "An array with more at its ends: a constant, its own edges, mirrored or again",
        "tensord.pad([1, 2], 1).tolist()",
        "[0, 1, 2, 0]",
    ),
    "partition": (
        "In order around the kth element: all in order",
        "tensord.partition([3, 1, 2], 1).tolist()",
        "[1, 2, 3]",
    ),
    "percentile": (
        "Below which a number of hundredths of all elements lie",
        "tensord.percentile([1.0, 2.0, 3.0], [0, 75]).tolist()",
        "[1.0, 2.5]",
    ),
    "polyval": (
        "A polynomial at each element, by Horner's scheme; its coefficients from the highest down",
        "tensord.polyval([1, 0, 3], [2, 3]).tolist()",
        "[7, 12]",
    ),
    "ptp": (
        "The difference between the largest and the smallest",
        "tensord.ptp([1, 5, 3]).item()",
        "4",
    ),
    "quantile": (
        "Below which a share of all elements lies",
        "tensord.quantile([1.0, 2.0, 3.0], 0.75).item()",
        "2.5",
    ),
    "ravel": (
        "All elements in a row, a view where that can be",
        "tensord.ravel([[1, 2], [3, 4]]).tolist()",
        "[1, 2, 3, 4]",
    ),
    "rot90": (
        "Turned by quarters, a view",
        "tensord.rot90([[1, 2], [3, 4]]).tolist()",
        "[[2, 4], [1, 3]]",
    ),
    "select": (
        "Of several choices, the first whose condition holds",
        "tensord.select([[True, False]], [[1, 2]], default=9).tolist()",
        "[1, 9]",
    ),
    "setdiff1d": (
        "What the one array has and the other has not, in order",
        "tensord.setdiff1d([3, 1, 2], [2]).tolist()",
        "[1, 3]",
    ),
    "setxor1d": (
        "What only one of two arrays has, in order",
        "tensord.setxor1d([1, 2], [2, 3]).tolist()",
        "[1, 3]",
    ),
    "shape": ("The extents", "tensord.shape([[1, 2]])", "(1, 2)"),
    "size": ("The number of elements, or the extent of an axis", "tensord.size([[1, 2]])", "2"),
    "split": (
        "Equal parts along an axis, or parts between places",
        "[part.tolist() for part in tensord.split([1, 2, 3], [1])]",
        "[[1], [2, 3]]",
    ),
    "swapaxes": (
        "Two axes in each other's place, a view",
        "tensord.swapaxes([[1, 2], [3, 4]], 0, 1).tolist()",
        "[[1, 3], [2, 4]]",
    ),
    "trace": ("The sums of diagonals", "tensord.trace([[1, 2], [3, 4]]).item()", "5"),
    "transpose": (
        "The axes in another order, a view",
        "tensord.transpose([[1, 2], [3, 4]]).tolist()",
        "[[1, 3], [2, 4]]",
    ),
    "trapezoid": (
        "The integral by the trapezoidal rule",
        "tensord.trapezoid([1.0, 2.0, 4.0]).item()",
        "4.5",
    ),
    "union1d": (
        "What either of two arrays has, in order",
        "tensord.union1d([2, 1], [3, 2]).tolist()",
        "[1, 2, 3]",
    ),
    "unique": (
        "What there is, each once and in order",
        "tensord.unique([2, 1, 2]).tolist()",
        "[1, 2]",
    ),
    "vdot": (
        "The sum of products of all elements, those of the first conjugated",
        "tensord.vdot([1j, 2], [1j, 3]).item()",
        "(7+0j)",
    ),
    "vsplit": (
        "Parts along the first axis",
        "[part.tolist() for part in tensord.vsplit([[1, 2], [3, 4]], 2)]",
        "[[[1, 2]], [[3, 4]]]",
    ),
    "vstack": (
        "Arrays joined along the first axis, as rows",
        "tensord.vstack([[1, 2], [3, 4]]).tolist()",
        "[[1, 2], [3, 4]]",
    ),
    "deg2rad": (
        "Degrees in radians",
        "tensord.deg2rad([0.0, 180.0]).tolist()",
        "[0.0, 3.141592653589793]",
    ),
    "degrees": (
        "Radians in degrees",
        "tensord.degrees([0.0, tensord.pi]).tolist()",
        "[0.0, 180.0]",
    ),
    "divmod": (
        "Quotients rounded down, and what remains",
        "[part.tolist() for part in tensord.divmod([7, -7], 2)]",
        "[[3, -4], [1, 1]]",
    ),
    "exp2": ("Powers of 2", "tensord.exp2([0.0, 3.0]).tolist()", "[1.0, 8.0]"),
    "fabs": ("Absolute values, as floats", "tensord.fabs([-1, 2]).tolist()", "[1.0, 2.0]"),
    "float_power": (
        "Powers, in float64 or complex128",
        "tensord.float_power([2, 3], 2).tolist()",
        "[4.0, 9.0]",
    ),
    "fmax": (
        "The larger of two elements; the other where one is NaN",
        "tensord.fmax([1.0, tensord.nan], 0.5).tolist()",
        "[1.0, 0.5]",
    ),
    "fmin": (
        "The smaller of two elements; the other where one is NaN",
        "tensord.fmin([1.0, tensord.nan], 0.5).tolist()",
        "[0.5, 0.5]",
    ),
    "rad2deg": (
        "Radians in degrees",
        "tensord.rad2deg([0.0, tensord.pi]).tolist()",
        "[0.0, 180.0]",
    ),
    "radians": (
        "Degrees in radians",
        "tensord.radians([0.0, 180.0]).tolist()",
        "[0.0, 3.141592653589793]",
    ),
    "rint": (
        "Rounded to integers, halves to the even neighbour",
        "tensord.rint([0.5, 1.6]).tolist()",
        "[0.0, 2.0]",
    ),
    "linalg.multi_dot": (
        "The product of several matrices, in the order that takes fewest operations",
        "tensord.linalg.multi_dot([[[1, 2], [3, 4]], [[1], [1]]]).tolist()",
        "[[3], [7]]",
    ),
    "linalg.norm": (
        "A norm of a vector or of matrices, by `ord` and the number of axes",
        "tensord.linalg.norm([3.0, 4.0]).item()",
        "5.0",
    ),
    "fft.fft2": (
        "The discrete Fourier transform over two axes",
        "tensord.fft.fft2([[1.0, 1.0], [1.0, 1.0]]).tolist()",
        "[[(4+0j), 0j], [0j, 0j]]",
    ),
    "fft.ifft2": (
        "The inverse of `fft2`",
        "tensord.fft.ifft2([[4.0, 0.0], [0.0, 0.0]]).tolist()",
        "[[(1+0j), (1+0j)], [(1+0j), (1+0j)]]",
    ),
    "fft.irfft2": (
        "The inverse of `rfft2`",
        "tensord.fft.irfft2([[4.0, 0.0], [0.0, 0.0]]).tolist()",
        "[[1.0, 1.0], [1.0, 1.0]]",
    ),
    "fft.rfft2": (
        "The same of real numbers, without what follows from symmetry",
        "tensord.fft.rfft2([[1.0, 1.0], [1.0, 1.0]]).tolist()",
        "[[(4+0j), 0j], [0j, 0j]]",
    ),
}


def _doc_of(name: str, signature: inspect.Signature) -> str:
    says, example, shows = _SAID[name]
    result = f"\n{shows}" if shows else ""
    text = f"""{says}.

Parameters
----------
{", ".join(signature.parameters)} : as of ``numpy.{name}``

Returns
-------
Array, or what is none in numpy either

Raises
------
ArgumentError
    For what is not computed here; it is a TypeError, too.
...
    As of numpy's function: ValueError, TypeError, IndexError, LinAlgError.

Examples
--------
>>> import tensord
>>> {example}{result}
"""
    return text


def _of_table(name: str) -> Callable[..., Any]:
    what = f"numpy.{name}"
    entry = _array_functions.BY_NAME[what]

    def function(*args: Any, **options: Any) -> Any:
        with _ufuncs.called(_ufuncs.client_of((*args, *options.values()))):
            return _array_functions.call(what, *entry, args, options)

    vars(function)["__signature__"] = entry[1]
    return function


def _of_ufunc(name: str) -> Callable[..., Any]:
    ufunc = getattr(numpy, name)

    def function(*args: Any, **options: Any) -> Any:
        with _ufuncs.called(_ufuncs.client_of((*args, *options.values()))):
            return _ufuncs.call(ufunc, args, options)

    kind = inspect.Parameter
    given = [kind(one, kind.POSITIONAL_ONLY) for one in ("x1", "x2")[: ufunc.nin]]
    options = [kind(one, kind.KEYWORD_ONLY, default=None) for one in ("out", "dtype")]
    vars(function)["__signature__"] = inspect.Signature([*given, *options])
    return function


def _function(path: str) -> Callable[..., Any]:
    function = (_of_ufunc if path in _ufuncs.COMPOSED else _of_table)(path)
    of, _, name = path.rpartition(".")
    function.__name__ = function.__qualname__ = name
    function.__module__ = f"tensord.{of}".rstrip(".")
    function.__doc__ = _doc_of(path, inspect.signature(function))
    return function


FUNCTIONS = {path: _function(path) for path in _SAID}

#: As doctest looks here for examples.
__test__ = FUNCTIONS


def functions_of(module: str) -> dict[str, Callable[..., Any]]:
    """Those of the package itself (""), of "linalg", or of "fft": name -> function."""
    paths = {path: path.rpartition(".") for path in FUNCTIONS}
    return {name: FUNCTIONS[path] for path, (of, _, name) in paths.items() if of == module}


def missing(name: str) -> str:
    """What is said of a name that there is not."""
    says = f"module 'tensord' has no attribute {name!r}"
    found = vars(numpy).get(name)
    if not name.startswith("_") and callable(found) and not isinstance(found, type):
        says += f"; numpy.{name} takes numpy.asarray(x), the memory of an array without a copy"
    return says
