# SPDX-License-Identifier: MIT
"""Rows of the table of operations: what moves elements."""

import numpy
from ops_kit import ALL, FLOAT, Row, in_program

import tensord


def axes(shape):
    """Each axis, once from the front and once from the back."""
    return [{"axis": i} for n in [len(shape)] for i in range(-n, n)]


def axes_or_none(shape):
    return [{"axis": None}, *axes(shape)]


def indices(shape):
    """For each axis, numbers of every sign and of several dtypes."""
    rows = []
    for i, n in enumerate(shape):
        if n == 0:
            continue
        random = numpy.random.default_rng(n)
        for dtype in ("int8", "uint16", "int64", "uint64"):
            low = 0 if dtype[0] == "u" else -min(n, 127)
            rows.append(
                {"indices": random.integers(low, min(n, 127), (7,)).astype(dtype), "axis": i}
            )
        rows.append({"indices": random.integers(-n, n, (2, 3)), "axis": i})
        rows.append({"indices": numpy.zeros(0, "int64"), "axis": i})
    return rows


def along(shape):
    rows = []
    for i, n in enumerate(shape):
        if n:
            random = numpy.random.default_rng(n)
            like = shape[:i] + (5,) + shape[i + 1 :]
            rows.append({"indices": random.integers(-n, n, like), "axis": i})
            ones = (1,) * i + (4,) + (1,) * (len(shape) - i - 1)
            rows.append({"indices": random.integers(-n, n, ones).astype("int32"), "axis": i})
    return rows


def take_along(x, indices, axis):
    like = list(numpy.broadcast_shapes(x.shape[:axis] + (1,) + x.shape[axis + 1 :], indices.shape))
    return numpy.take_along_axis(x, numpy.broadcast_to(indices, like).astype("int64"), axis)


def shifts(shape):
    rows = [{"shift": 3}, {"shift": -1}]
    rows += [{"shift": n, "axis": i} for i in range(len(shape)) for n in (1, -2, 1000)]
    if len(shape) > 1:
        rows.append({"shift": (1, -1), "axis": (0, 1)})
    return rows


def differences(shape):
    rows = [{"axis": i} for i in range(len(shape))]
    rows += [{"axis": -1, "n": n} for n in (0, 2)]
    return rows


def diff(x, axis, n=1):
    return numpy.diff(x, n=n, axis=axis)


def diagonals(shape):
    return [{"k": k} for k in (0, 1, -1, 3, -1000, 1000)]


def regions(shape):
    n = len(shape)
    keys = [(), ..., (slice(None, None, -1),) * n, (slice(1, None, 2),) * n]
    if n and shape[0]:
        keys += [0, -1, (slice(None), None)[:1]]
    if n > 1 and 0 not in shape:
        keys += [(..., 0)]
    return [{"key": key} for key in keys]


def places(shape):
    n = len(shape)
    keys = [[0, -1, 0]] if n and shape[0] else []
    if n > 1 and 0 not in shape:
        keys += [(slice(None), [0, -1]), ([0, -1], [-1, 0]), (0, ..., [0, 0])]
    return [{"key": key} for key in keys]


def assign(x, value, key):
    result = numpy.array(x)
    result[key] = value.reshape(-1)[0] if value.size else 0
    return result


def call_assign(x, value, key):
    return tensord.assign(x, key, value.reshape(-1)[0] if value.size else 0)


def index(x, key):
    return x[key]


def orders(shape):
    n = len(shape)
    return [{"axes": axes} for axes in {tuple(range(n)), tuple(range(n))[::-1],
                                        (*range(1, n), *range(n)[:1])}]


def lines(shape):
    size = int(numpy.prod(shape))
    found = [(size,), (1, size, 1), shape[::-1]]
    found += [(-1,), (2, -1)] if size and not size % 2 else []
    return [{"newshape": new} for new in found]


def wider(shape):
    return [{"shape": (*lead, *shape)} for lead in [(), (1,), (0,), (2, 1)]]


def masks(shape):
    """Of some leading dimensions; at least one."""
    found = []
    for n in range(1, len(shape) + 1):
        random = numpy.random.default_rng(n)
        found += [random.random(shape[:n]) > at for at in (0.4, 1, -1)]
    return [{"key": key} for key in found]


def segments(shape):
    random = numpy.random.default_rng(3)
    return [{"labels": random.integers(0, k, shape[0]).astype(dtype), "k": k}
            for k, dtype in [(3, "int64"), (1, "uint8"), (100, "int32")]]


def segment_sum(x, labels, k):
    sums = numpy.zeros((k, *x.shape[1:]))
    numpy.add.at(sums, labels, x)
    return sums.astype(x.dtype)


ROWS = [
    Row("concat", ALL, lambda x, y, axis: numpy.concatenate((x, y), axis), ("any", "any"),
        options=axes_or_none, call=lambda x, y, axis: tensord.concat((x, y), axis=axis)),
    Row("stack", ALL, lambda x, y, axis: numpy.stack((x, y), axis), ("any", "any"),
        options=lambda shape: [{"axis": i} for i in range(-len(shape) - 1, len(shape) + 1)],
        call=lambda x, y, axis: tensord.stack((x, y), axis=axis)),
    Row("flip", ALL, numpy.flip, options=axes_or_none),
    Row("expand_dims", ALL, numpy.expand_dims,
        options=lambda shape: [{"axis": 0}, {"axis": -1}, {"axis": (0, -1)}]),
    Row("roll", ALL, numpy.roll, options=shifts),
    Row("repeat", ALL, numpy.repeat,
        options=lambda shape: [{"axis": a["axis"], "repeats": n}
                               for a in axes_or_none(shape) for n in (0, 1, 3)],
        call=lambda x, repeats, axis: tensord.repeat(x, repeats, axis=axis)),
    Row("tile", ALL, lambda x, counts: numpy.tile(x, counts),
        options=lambda shape: [{"counts": c} for c in ((2,), (3, 1), (2, 1, 2, 2), (0,))],
        call=lambda x, counts: tensord.tile(x, counts)),
    Row("take", ALL, lambda x, indices, axis: numpy.take(x, indices.astype("int64"), axis),
        options=indices,
        call=lambda x, indices, axis: tensord.take(x, indices, axis=axis)),
    Row("take_along_axis", ALL, take_along, options=along,
        call=lambda x, indices, axis: tensord.take_along_axis(x, indices, axis=axis)),
    Row("tril", ALL, numpy.tril, options=diagonals, accepts=lambda shape: len(shape) > 1),
    Row("triu", ALL, numpy.triu, options=diagonals, accepts=lambda shape: len(shape) > 1),
    Row("diff", ALL, diff, options=differences,
        accepts=lambda shape: len(shape) > 0),
    Row("assign", ALL, assign, ("any", "any"), options=regions, call=call_assign),
    Row("put", ALL, assign, ("any", "any"), options=places, call=call_assign),
    Row("slice", ALL, index, options=regions, call=index),
    Row("slice", ALL, index, options=regions, call=in_program(index)),
    Row("permute_dims", ALL, numpy.transpose, options=orders,
        call=lambda x, axes: tensord.permute_dims(x, axes)),
    Row("permute_dims", ALL, numpy.transpose, options=orders,
        call=in_program(lambda x, axes: tensord.permute_dims(x, axes))),
    Row("reshape", ALL, lambda x, newshape: x.reshape(newshape), options=lines,
        call=lambda x, newshape: tensord.reshape(x, newshape)),
    Row("reshape", ALL, lambda x, newshape: x.reshape(newshape), options=lines,
        call=in_program(lambda x, newshape: tensord.reshape(x, newshape))),
    Row("broadcast_to", ALL, numpy.broadcast_to, options=wider,
        call=in_program(lambda x, shape: tensord.broadcast_to(x, shape))),
    Row("mask", ALL, lambda x, key: x[key], options=masks, call=index),
    Row("segment_sum", FLOAT, segment_sum, ("positive",), 32, segments, is_joint=True,
        call=lambda x, labels, k: tensord.segment_sum(x, labels, k), accepts=len),
]
