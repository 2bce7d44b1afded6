# SPDX-License-Identifier: MIT
"""What the table of operations is made of: rows, operands in every layout, and how results compare.

A row is one operation; the test runs it for each of its dtypes on every shape and layout, and
compares values, dtype and shape with what its ``expected`` says of numpy arrays.
"""

import dataclasses
import zlib
from typing import Any, Callable

import numpy

import tensord

SHAPES = [(), (0,), (1,), (3,), (0, 3), (2, 0, 4), (2, 3, 4), (300, 401)]
LAYOUTS = ["C", "F", "sliced", "negative", "broadcast"]

BOOL = ["bool"]
SIGNED = ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
INTEGER = SIGNED + UNSIGNED
FLOAT = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
FLOATING = FLOAT + COMPLEX
REAL = INTEGER + FLOAT
NUMERIC = REAL + COMPLEX
ALL = BOOL + NUMERIC


def no_options(shape):
    """One call, without keywords."""
    return [{}]


@dataclasses.dataclass
class Row:
    """One operation.

    Attributes
    ----------
    name : str
        Of the function of tensord, dotted for linalg's.
    dtypes : list of str
        Of all operands; of an operation without any, its keyword.
    expected : callable
        From arrays and keywords to an array (or a tuple of them); or to an exception's class.
    domains : tuple of str
        What values each operand has, see `values`; their number is that of the operands.
    ulp : float
        How far floats may be off, in units of the last place; 0: equal.
    options : callable
        From a shape to the keywords of each call.
    call : callable, optional
        Instead of the function of that name.
    shapes : list of tuple
    accepts : callable, optional
        False for shapes that the operation does not take.
    op : str, optional
        The operation of ops.def, where the name does not end in it.
    is_joint : bool
        Units are those of the result's largest element, as for matrices.
    """

    name: str
    dtypes: list
    expected: Callable
    domains: tuple = ("any",)
    ulp: float = 0
    options: Callable = no_options
    call: Any = None
    shapes: list = dataclasses.field(default_factory=lambda: SHAPES)
    accepts: Callable = lambda shape: True
    op: Any = None
    is_joint: bool = False

    def function(self):
        """What is called with tensors."""
        if self.call is not None:
            return self.call
        function = tensord
        for part in self.name.split("."):
            function = getattr(function, part)
        return function


def values(shape, dtype, domain, seed):
    """An array of a domain: any, small, nonzero, positive, unit, over_one, shift, ties.

    Matrices: dominant (by their diagonal, so well-conditioned), definite, not_finite.
    """
    if domain in ("dominant", "definite", "not_finite"):
        return _matrices(shape, dtype, domain, seed)
    random = numpy.random.default_rng([seed, zlib.crc32(domain.encode()), len(shape)])
    dtype = numpy.dtype(dtype)
    if dtype.kind == "b":
        return random.random(shape) > 0.4
    if dtype.kind in "iu":
        return _integers(random, shape, dtype, domain)
    if dtype.kind == "c":
        parts = [_floats(random, shape, domain) for _ in range(2)]
        return (parts[0] + 1j * parts[1]).astype(dtype)
    return _floats(random, shape, domain).astype(dtype)


def _integers(random, shape, dtype, domain):
    limits = numpy.iinfo(dtype)
    if domain == "shift":
        return random.integers(0, limits.bits, shape).astype(dtype)
    low, high = max(limits.min, -9), 9
    if domain in ("positive", "nonzero"):
        low = 1
    small = random.integers(low, high, shape, endpoint=True).astype(dtype)
    if domain != "any":
        return small
    full = random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return numpy.where(random.random(shape) < 0.5, small, full)


def _floats(random, shape, domain):
    if domain == "ties":
        return random.integers(-6, 6, shape) / 2
    if domain == "unit":
        return random.uniform(-1, 1, shape)
    if domain == "small":
        return random.uniform(-5, 5, shape)
    numbers = random.standard_normal(shape) * 10.0 ** random.integers(-3, 3, shape)
    if domain in ("positive", "over_one"):
        return numpy.abs(numbers) + (1 if domain == "over_one" else 1e-3)
    return numbers


def _matrices(shape, dtype, domain, seed):
    """Each broadcast row is a singular matrix exactly: its pivot is a power of 2."""
    x = values(shape, dtype, "unit", seed)
    if domain == "not_finite":
        x[..., 0, 0] = numpy.nan if seed % 2 else numpy.inf
        return x
    n = shape[-1]
    if domain == "definite":
        x = numpy.tril(x) + numpy.conj(numpy.tril(x, -1)).swapaxes(-1, -2)
    pivot = 1 << (8 * n - 1).bit_length() if n else 0
    if x.dtype.kind in "iu":
        pivot = min(pivot, numpy.iinfo(x.dtype).max // 2 + 1)
    x[..., range(n), range(n)] = pivot
    if x.dtype.kind == "b":
        x = numpy.triu(x) if domain == "dominant" else x & numpy.eye(n, dtype=bool)
    return x


class Operands:
    """Tensors of every dtype, domain, shape and layout, with the arrays that they show."""

    def __init__(self, client):
        self.client = client
        self._made = {}
        self._values = {}

    def get(self, dtype, domain, shape, layout, seed):
        """(tensor, array); the array has the tensor's values."""
        key = dtype, domain, shape, layout, seed
        if key not in self._made:
            of = dtype, domain, shape, seed  # one array for all layouts but broadcast
            if of not in self._values:
                self._values[of] = values(shape, dtype, domain, seed)
            self._made[key] = self._make(self._values[of], layout)
        return self._made[key]

    def _make(self, array, layout):
        put = self.client.put
        if layout == "C" or array.ndim == 0:
            return put(array), array
        if layout == "F":
            return put(numpy.asfortranarray(array)), array
        if layout == "negative":
            back = tuple(slice(None, None, -1) for _ in array.shape)
            return put(numpy.ascontiguousarray(array[back]))[back], array
        if layout == "sliced":
            every_other = tuple(slice(1, 2 * n + 1, 2) for n in array.shape)
            base = numpy.ones([2 * n + 2 for n in array.shape], array.dtype)
            base[every_other] = array
            return put(base)[every_other], array
        row = numpy.ones((1, *array.shape[1:]), array.dtype)
        row[: array.shape[0]] = array[:1]
        broadcast = tensord.broadcast_to(put(row), array.shape)
        return broadcast, numpy.ascontiguousarray(numpy.broadcast_to(row, array.shape))


def check(got, expected, ulp, context, is_joint=False):
    """Values, dtype and shape agree; floats within ulp units in the last place."""
    if isinstance(expected, tuple):
        assert len(got) == len(expected), context
        for g, e in zip(got, expected):
            check(g, e, ulp, context, is_joint)
        return
    got, expected = numpy.asarray(got), numpy.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), context
    if got.tobytes() == expected.tobytes():
        return  # what follows would say so, in ten times as long
    if ulp and expected.dtype.kind in "fc" and expected.size:
        eps = float(numpy.finfo(expected.dtype).eps)
        tiny = float(numpy.finfo(expected.dtype).tiny)
        if is_joint:
            tiny = eps * float(numpy.max(numpy.abs(expected), where=numpy.isfinite(expected),
                                         initial=1))
        numpy.testing.assert_allclose(
            got, expected, rtol=ulp * eps, atol=ulp * tiny, err_msg=context
        )
    else:
        numpy.testing.assert_array_equal(got, expected, err_msg=context)


def in_program(function):
    """The function, of values of a program that runs at once; so that views are nodes as well."""

    def call(*tensors, **keywords):
        program = tensord.Program()
        values = [program.input(tensor) for tensor in tensors]
        return tensors[0].client.run(program, function(*values, **keywords))

    return call


def layouts(shape, row, dtype):
    """All of small operands; of large ones, a row's dtypes share them out."""
    if not shape or not row.domains:
        return ["C"]
    if numpy.prod(shape) < 1e5:
        return LAYOUTS
    n = min(len(row.dtypes), len(LAYOUTS))
    return LAYOUTS[row.dtypes.index(dtype) % n :: n]


def run_row(operands, row, dtype):
    """All shapes and layouts of one row and dtype; returns how many calls were compared."""
    function, n = row.function(), 0
    for shape in filter(row.accepts, row.shapes):
        options = row.options(shape)
        known = {}  # what is expected of the same arrays in other layouts
        for layout in layouts(shape, row, dtype):
            i = LAYOUTS.index(layout)
            pairs = [
                operands.get(dtype, domain, shape, LAYOUTS[(i + 2 * k) % len(LAYOUTS)], k)
                for k, domain in enumerate(row.domains)
            ]
            tensors = [tensor for tensor, _ in pairs]
            arrays = [array for _, array in pairs]
            for j, keywords in enumerate(options):
                if not row.domains:
                    keywords = {**keywords, "dtype": dtype}
                context = f"{row.name} {dtype} {shape} {layout} {keywords}"
                key = j, *map(id, arrays)
                if key not in known:
                    with numpy.errstate(all="ignore"):
                        known[key] = row.expected(*arrays, **keywords)
                expected = known[key]
                if isinstance(expected, type):
                    try:
                        function(*tensors, **keywords)
                    except expected:
                        n += 1
                        continue
                    raise AssertionError(f"{context}: {expected.__name__} was not raised")
                got = function(*tensors, **keywords)
                check(got, expected, row.ulp, context, row.is_joint)
                n += 1
    return n
