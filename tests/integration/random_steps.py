# SPDX-License-Identifier: MIT
"""Steps of random programs: what each does in tensord, what in numpy, and how they compare."""

import collections
import operator
import random

import numpy

import tensord

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
DTYPES += ["float32", "float64", "complex64", "complex128"] * 2
SHAPES = [(), (1,), (0, 3), (7,), (3, 4), (2, 3, 4), (4, 1, 3), (5, 5), (40, 30), (3000,)]
LARGEST = 20_000

# What a step does: in words, to which arrays, how in tensord, how in numpy; how far floats may be
# off; whether it makes an array (else it writes the first of them).
Step = collections.namedtuple("Step", "text places ours theirs check makes")


# ---- comparing ----


def equal(got, expected, arrays):
    numpy.testing.assert_array_equal(got, expected)


def ulps(n):
    def check(got, expected, arrays):
        eps = numpy.finfo(expected.dtype).eps
        tiny = numpy.finfo(expected.dtype).tiny
        if expected.dtype.kind == "c":  # as a whole, where all of it is finite
            is_told = numpy.isfinite(expected) & numpy.isfinite(got)
            got, expected = got[is_told], expected[is_told]
            assert (abs(got - expected) <= n * eps * abs(expected) + tiny).all()
        else:
            numpy.testing.assert_allclose(got, expected, rtol=n * eps, atol=n * tiny)

    return check


def within(size_of):
    """To 64 units of the last place of what is added up."""

    def check(got, expected, arrays):
        if expected.dtype.kind not in "fc":
            return equal(got, expected, arrays)
        size = size_of(*[abs(a).astype("float64") for a in arrays])
        is_told = numpy.isfinite(size) & (size < numpy.finfo(expected.dtype).max / 2)
        is_near = abs(got - expected) <= 64 * numpy.finfo(expected.dtype).eps * size
        assert numpy.all(is_near | ~is_told)
        return None

    return check


def bits(array):
    """Comparable bytes; one NaN is as good as another."""
    array = numpy.array(array, order="C")
    if array.dtype.kind in "fc":
        parts = array.reshape(-1).view(array.real.dtype)
        parts[numpy.isnan(parts)] = numpy.nan
    return array.tobytes()


# ---- functions: kinds of their operands, how many, numpy's, comparison ----


def promoted(function, kinds_to_float=""):
    """numpy's function, of operands in the dtype of NumPy 2, to which 0-d arrays are arrays."""

    def call(*arrays):
        dtype = numpy.result_type(*[a.dtype for a in arrays])
        if dtype.kind in kinds_to_float:
            dtype = numpy.dtype("float64")
        return function(*[a.astype(dtype) for a in arrays])

    return call


FUNCTIONS = {
    "negative": ("iufc", 1, numpy.negative, equal),
    "abs": ("iuf", 1, numpy.abs, equal),
    "square": ("iuf", 1, numpy.square, equal),
    "sign": ("iuf", 1, numpy.sign, equal),
    "conj": ("iufc", 1, numpy.conj, equal),
    "real": ("iufc", 1, lambda x: x.real.copy(), equal),
    "positive": ("iufc", 1, numpy.positive, equal),
    "imag": ("c", 1, lambda x: x.imag.copy(), equal),
    "floor": ("f", 1, numpy.floor, equal),
    "round": ("iuf", 1, numpy.round, equal),
    "trunc": ("iuf", 1, lambda x: x.copy() if x.dtype.kind != "f" else numpy.trunc(x), equal),
    "sqrt": ("f", 1, numpy.sqrt, equal),
    "isnan": ("fc", 1, numpy.isnan, equal),
    "signbit": ("f", 1, numpy.signbit, equal),
    "logical_not": ("b", 1, numpy.logical_not, equal),
    "bitwise_invert": ("biu", 1, numpy.invert, equal),
    "exp": ("f", 1, numpy.exp, ulps(8)),
    "tanh": ("f", 1, numpy.tanh, ulps(8)),
    "log1p": ("f", 1, numpy.log1p, ulps(8)),
    "add": ("biufc", 2, numpy.add, equal),
    "subtract": ("iufc", 2, numpy.subtract, equal),
    "multiply": ("biuf", 2, numpy.multiply, equal),
    "divide": ("f", 2, numpy.divide, equal),
    "floor_divide": ("iu", 2, numpy.floor_divide, equal),
    "remainder": ("iu", 2, numpy.remainder, equal),
    "maximum": ("iuf", 2, numpy.maximum, equal),
    "minimum": ("iuf", 2, numpy.minimum, equal),
    "hypot": ("f", 2, numpy.hypot, ulps(8)),
    "less": ("iuf", 2, numpy.less, equal),
    "not_equal": ("biufc", 2, numpy.not_equal, equal),
    "logical_xor": ("b", 2, numpy.logical_xor, equal),
    "bitwise_and": ("biu", 2, numpy.bitwise_and, equal),
}
REDUCTIONS = {
    "sum": ("biufc", numpy.sum, within(numpy.sum)),
    "mean": ("f", numpy.mean, within(numpy.mean)),
    "prod": ("biu", numpy.prod, equal),
    "max": ("iuf", numpy.max, equal),
    "min": ("iuf", numpy.min, equal),
    "any": ("biufc", numpy.any, equal),
    "all": ("biufc", numpy.all, equal),
    "argmax": ("iuf", numpy.argmax, equal),
    "count_nonzero": ("biufc", numpy.count_nonzero, equal),
}
IN_PLACE = {
    "iadd": ("biufc", operator.iadd, operator.add),
    "isub": ("iufc", operator.isub, operator.sub),
    "imul": ("biuf", operator.imul, operator.mul),
    "itruediv": ("f", operator.itruediv, operator.truediv),
    "ifloordiv": ("iu", operator.ifloordiv, operator.floordiv),
    "iand": ("biu", operator.iand, operator.and_),
    "ixor": ("biu", operator.ixor, operator.xor),
}


class Maker:
    """Makes up the steps of a program, knowing numpy's arrays.

    A method of the name ``make_...`` yields a step, or None where the arrays do not fit.
    """

    def __init__(self, seed, without=()):
        self.random = random.Random(seed)
        self.numbers = numpy.random.default_rng(seed)
        self.arrays = {}  # by their numbers
        names = [name for name in dir(type(self)) if name[:5] == "make_" and name not in without]
        self.kinds = [getattr(self, name) for name in names]

    def leaf(self):
        shape, dtype = self.random.choice(SHAPES), numpy.dtype(self.random.choice(DTYPES))
        values = self.numbers.integers(0 if dtype.kind in "ub" else -9, 9, shape)
        if dtype.kind in "fc":
            values = values / 4 + self.numbers.choice([0, 0, 0, -0.0, numpy.inf, numpy.nan], shape)
        if dtype.kind == "c":
            values = values + 1j * self.numbers.integers(-3, 3, shape)
        return numpy.array(values.astype(dtype), order=self.random.choice("CF"))

    def pick(self, kinds="biufc", is_written=False, fits=lambda a: True):
        """Number and array of one of those; None twice where there is none."""
        found = [
            (n, a)
            for n, a in self.arrays.items()
            if a.dtype.kind in kinds and fits(a) and (a.flags.writeable or not is_written)
        ]
        return self.random.choice(found) if found else (None, None)

    def like(self, x, kinds, goes_into=False):
        """One that broadcasts against x; into it."""

        def fits(a):
            try:
                shape = numpy.broadcast_shapes(a.shape, x.shape)
            except ValueError:
                return False
            return shape == x.shape if goes_into else numpy.prod(shape) <= LARGEST

        return self.pick(kinds, fits=fits)

    def key(self, shape):
        """A basic one; with ``...``, so that numpy makes no numbers of elements."""
        parts = []
        for extent in shape[: self.random.randint(0, len(shape))]:
            if extent and self.random.random() < 0.3:
                parts.append(self.random.randrange(-extent, extent))
            else:
                ends = [self.random.choice([None, self.random.randint(-extent, extent)])
                        for _ in range(2)]
                parts.append(slice(*ends, self.random.choice([None, 1, 2, -1, -2])))
        if self.random.random() < 0.2:
            parts.insert(self.random.randint(0, len(parts)), None)
        return (*parts, ...)

    def axis(self, x):
        return self.random.randrange(-x.ndim, x.ndim)

    def number(self, dtype):
        value = self.random.choice([0, 1, 2, 3, 5] + ([-1, -4] if dtype.kind in "ifc" else []))
        return bool(value) if dtype.kind == "b" else value

    # ---- what computes ----

    def make_function(self):
        name = self.random.choice(list(FUNCTIONS))
        kinds, n, theirs, check = FUNCTIONS[name]
        i, x = self.pick(kinds)
        if x is None:
            return None
        j, y = self.like(x, kinds if n == 2 else "")
        arrays = [x] if n == 1 else [x, y]
        if y is None and n == 2 or not self.is_plain(arrays, kinds):
            return None
        return Step(name, (i, j)[:n], getattr(tensord, name), promoted(theirs), check, True)

    @staticmethod
    def is_plain(arrays, kinds="biufc"):
        """Do they promote to one of those kinds, and integers to integers?"""
        own = {a.dtype.kind for a in arrays}
        kind = numpy.result_type(*[a.dtype for a in arrays]).kind
        return kind in kinds and (kind != "f" or "f" in own)

    def make_where(self):
        c, condition = self.pick("b")
        if condition is None:
            return None
        i, x = self.like(condition, "biufc")
        j, y = self.like(x, "biufc")
        shapes = {a.shape for a in (x, y, condition) if a is not None}
        if y is None or len(shapes) > 1 or not self.is_plain([x, y]):
            return None

        def theirs(condition, x, y):
            dtype = numpy.result_type(x.dtype, y.dtype)
            return numpy.where(condition, x.astype(dtype), y.astype(dtype))

        return Step("where", (c, i, j), tensord.where, theirs, equal, True)

    def make_reduction(self):
        name = self.random.choice(list(REDUCTIONS))
        kinds, theirs, check = REDUCTIONS[name]
        is_of_some = name in ("max", "min", "argmax", "mean")
        i, x = self.pick(kinds, fits=lambda a: a.size or not is_of_some)
        if x is None:
            return None
        axis = self.random.choice([None, *range(x.ndim)])
        if check is not equal:
            add_up = theirs
            check = within(lambda a: add_up(a, axis=axis))
        return Step(
            f"{name}(axis={axis})", (i,), lambda x: getattr(tensord, name)(x, axis=axis),
            lambda x: theirs(x, axis=axis), check, True,
        )

    def make_scan(self):
        i, x = self.pick("biuf", fits=lambda a: a.ndim)
        if x is None:
            return None
        axis = self.axis(x)
        name, theirs, check = self.random.choice([
            ("cumulative_sum", numpy.cumsum, within(lambda a: numpy.cumsum(a, axis=axis))),
            ("sort", lambda x, axis: numpy.sort(x, axis, kind="stable"), equal),
            ("argsort", lambda x, axis: numpy.argsort(x, axis, kind="stable"), equal),
            ("diff", numpy.diff, equal),
        ])
        return Step(
            f"{name}(axis={axis})", (i,), lambda x: getattr(tensord, name)(x, axis=axis),
            lambda x: theirs(x, axis=axis), check, True,
        )

    def make_product(self):
        i, x = self.pick("iufc", fits=lambda a: a.ndim >= 1)
        if x is None:
            return None
        j, y = self.pick("iufc", fits=lambda a: a.ndim in (1, 2)
                         and a.shape[0] == x.shape[-1] and self.is_plain([a, x]))
        if y is None:
            return None
        return Step("matmul", (i, j), operator.matmul, promoted(numpy.matmul),
                    within(numpy.matmul), True)

    def make_astype(self):
        i, x = self.pick("biu")
        if x is None:
            return None
        to = self.random.choice(DTYPES)
        return Step(f"astype({to})", (i,), lambda x: tensord.astype(x, to),
                    lambda x: x.astype(to), equal, True)

    # ---- what moves data ----

    def make_view(self):
        i, x = self.pick()
        shape = x.shape
        axes = self.random.sample(range(x.ndim), x.ndim)
        key, axis = self.key(shape), self.random.randrange(x.ndim + 1)
        flat = self.random.choice([(-1,), shape[::-1], (1, *shape)])
        if x.size == 0:
            flat = shape
        name, ours, theirs = self.random.choice([
            (f"[{key}]", lambda x: x[key], lambda x: x[key]),
            (f"[{key}]", lambda x: x[key], lambda x: x[key]),
            (f"permute_dims({axes})", lambda x: tensord.permute_dims(x, axes),
             lambda x: x.transpose(axes)),
            (f"reshape({flat})", lambda x: tensord.reshape(x, flat), lambda x: x.reshape(flat)),
            ("flip", tensord.flip, numpy.flip if x.ndim else operator.itemgetter(...)),
            (f"expand_dims({axis})", lambda x: tensord.expand_dims(x, axis=axis),
             lambda x: numpy.expand_dims(x, axis)),
            (f"broadcast_to((2, *{shape}))", lambda x: tensord.broadcast_to(x, (2, *shape)),
             lambda x: numpy.broadcast_to(x, (2, *shape))),
        ])
        if x.ndim > 5 or x.size > LARGEST // 2:
            return None
        return Step(name, (i,), ours, theirs, equal, True)

    def make_diagonal(self):
        i, x = self.pick(fits=lambda a: a.ndim >= 2)
        if x is None:
            return None
        k = self.random.randint(-1, 1)
        return Step(
            f"diagonal({k})", (i,), lambda x: tensord.linalg.diagonal(x, offset=k),
            lambda x: numpy.diagonal(x, k, -2, -1), equal, True,
        )

    def make_moved(self):
        """A copy of the elements in other places."""
        i, x = self.pick(fits=lambda a: 1 <= a.ndim <= 4 and 0 < a.size < LARGEST // 4)
        if x is None:
            return None
        axis, n = self.axis(x), self.random.randint(-2, 3)
        which = self.numbers.integers(-x.shape[axis], x.shape[axis], 3)
        name, ours, theirs = self.random.choice([
            ("roll", lambda x: tensord.roll(x, n, axis=axis), lambda x: numpy.roll(x, n, axis)),
            ("repeat", lambda x: tensord.repeat(x, abs(n), axis=axis),
             lambda x: numpy.repeat(x, abs(n), axis)),
            ("tile", lambda x: tensord.tile(x, (abs(n),)), lambda x: numpy.tile(x, (abs(n),))),
            ("concat", lambda x: tensord.concat([x, x], axis=axis),
             lambda x: numpy.concatenate([x, x], axis)),
            ("stack", lambda x: tensord.stack([x, x], axis=axis),
             lambda x: numpy.stack([x, x], axis)),
            (f"take({which})", lambda x: tensord.take(x, tensord.asarray(which, client=x.client),
                                                      axis=axis),
             lambda x: numpy.take(x, which, axis)),
            ("meshgrid", lambda x: tensord.meshgrid(x[..., 0].reshape(-1))[0],
             lambda x: numpy.meshgrid(x[..., 0].reshape(-1))[0]),
            ("triu", lambda x: tensord.triu(x[None]), lambda x: numpy.triu(x[None])),
            ("clip", lambda x: tensord.clip(x), numpy.copy),
            ("copy", lambda x: tensord.asarray(x, copy=True), numpy.copy),
            ("plus", operator.pos, numpy.copy),
        ])
        return Step(f"{name}(n={n}, axis={axis})", (i,), ours, theirs, equal, True)

    def make_chosen(self):
        """Shapes that depend on data."""
        i, x = self.pick("biuf", fits=lambda a: a.size < LARGEST and not numpy.isnan(a).any())
        if x is None:
            return None
        value = self.number(x.dtype)
        name, ours, theirs = self.random.choice([
            (f"x[x > {value}]", lambda x: x[x > value], lambda x: x[x > value]),
            ("unique_values", tensord.unique_values, numpy.unique),
            ("nonzero", lambda x: tensord.nonzero(tensord.reshape(x, (-1,)))[0],
             lambda x: numpy.nonzero(x.reshape(-1))[0]),
        ])
        return Step(name, (i,), ours, theirs, equal, True)

    # ---- what writes ----

    def make_in_place(self):
        name = self.random.choice(list(IN_PLACE))
        kinds, in_place, apart = IN_PLACE[name]
        # What is computed and has no axes is a number of numpy's: its name would mean another one.
        i, x = self.pick(kinds, is_written=True, fits=lambda a: a.ndim > 0)
        if x is None:
            return None
        j, y = self.like(x, kinds, goes_into=True)
        number = self.number(x.dtype)
        if y is None or self.random.random() < 0.4:
            return Step(f"{name} {number}", (i,), lambda x: in_place(x, number),
                        _stored(lambda x: apart(x, x.dtype.type(number))), equal, False)
        result = numpy.result_type(x.dtype, y.dtype)
        if result.kind not in kinds or not numpy.can_cast(result, x.dtype, "same_kind"):
            return None
        return Step(name, (i, j), in_place, _stored(promoted(apart)), equal, False)

    def make_assignment(self):
        i, x = self.pick(is_written=True)
        if x is None:
            return None
        key = self.key(x.shape)
        if self.random.random() < 0.3 and x.dtype.kind != "c" and x.ndim:
            key = x > self.number(x.dtype)
        elif self.random.random() < 0.3 and x.ndim and x.shape[0]:
            key = self.numbers.permutation(x.shape[0])[:2]
        part, number = x[key], self.number(x.dtype)
        j, y = self.like(part, "biufc", goes_into=True)
        text = f"[{key if isinstance(key, tuple) else type(key)}] ="

        def assign(x, value=number):
            x[key] = value

        if y is None or self.random.random() < 0.4 or not isinstance(key, tuple):
            return Step(f"{text} {number}", (i,), assign, assign, equal, False)
        if y.dtype.kind != x.dtype.kind or not numpy.can_cast(y.dtype, x.dtype, "same_kind"):
            return None
        return Step(text, (i, j), assign, assign, equal, False)

    def make_change_of_part(self):
        i, x = self.pick("iuf", is_written=True)
        if x is None:
            return None
        key, number = self.key(x.shape), self.number(x.dtype)

        def change(x, number=number):
            x[key] += number

        return Step(f"[{key}] += {number}", (i,), change,
                    lambda y: change(y, x.dtype.type(number)), equal, False)


def _stored(function):
    def call(x, *others):
        with numpy.errstate(all="ignore"):
            x[...] = function(x, *others).astype(x.dtype)

    return call
