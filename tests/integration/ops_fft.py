# SPDX-License-Identifier: MIT
"""Rows of the table of operations: Fourier transforms, and what orders their results."""

import numpy
from ops_kit import ALL, COMPLEX, FLOAT, Row

import tensord

SINGLE = ("float32", "complex64")
TO_REAL = ("irfft", "irfftn", "hfft")
OF_REAL = ("rfft", "rfftn", "ihfft")


def is_short(shape, axes, n, is_half):
    """Would a transform have no element?"""
    extents = [shape[axis] for axis in axes]
    if is_half:
        extents[-1] = 2 * (extents[-1] - 1)
    if n is not None:
        extents[-len(n) :] = n
    return min(extents) < 1


def transform(name):
    """What numpy says, in the dtype that the standard wants."""

    def expected(x, **keywords):
        axes = keywords.get("axes", [keywords.get("axis", -1)])
        axes = range(x.ndim) if axes is None else axes
        n = keywords.get("s", [keywords["n"]] if keywords.get("n") else None)
        if is_short(x.shape, axes, n, name in TO_REAL):
            return tensord.ValueRefused
        real, complex_ = ("f4", "c8") if x.dtype in SINGLE else ("f8", "c16")
        dtype = real if name in TO_REAL else complex_
        if 0 in x.shape and n is None:
            shape = list(x.shape)
            if name in TO_REAL:
                shape[axes[-1]] = 2 * (shape[axes[-1]] - 1)
            if name in OF_REAL:
                shape[axes[-1]] = shape[axes[-1]] // 2 + 1
            return numpy.zeros(shape, dtype)
        result = getattr(numpy.fft, name)(x, **keywords).astype(dtype)
        return result if x.size else numpy.zeros_like(result)  # numpy 2.4: whatever lay there

    return expected


def along_one(shape):
    rows = [{"axis": axis} for axis in range(-len(shape), len(shape))]
    rows += [{"axis": 0, "n": n} for n in (1, 2, 7)]
    return rows + [{"norm": "ortho"}, {"norm": "forward"}]


def along_several(shape):
    n = len(shape)
    rows = [{"axes": None}, {"axes": [-1]}, {"axes": [0], "norm": "ortho"}]
    rows.append({"axes": list(range(n))[::-1], "s": [5, 4, 3][:n], "norm": "forward"})
    return rows


def shifts(shape):
    rows = [{}, {"axes": None}]
    rows += [{"axes": axis} for axis in range(-len(shape), len(shape))]
    return rows + ([{"axes": [-1, 0]}] if len(shape) > 1 else [])


REAL = ["bool", "int8", "uint64", *FLOAT]  # of those that count as float64, some
SHAPES = [(0,), (1,), (3,), (0, 3), (2, 0, 4), (2, 3, 4), (30, 41)]

ROWS = [
    Row(f"fft.{name}", REAL if name in OF_REAL else REAL + COMPLEX, transform(name),
        options=along_several if name[-1] == "n" else along_one, shapes=SHAPES)
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft",
                 "fftn", "ifftn", "rfftn", "irfftn")
] + [
    Row("fft.fftshift", ALL, numpy.fft.fftshift, options=shifts, shapes=SHAPES),
    Row("fft.ifftshift", ALL, numpy.fft.ifftshift, options=shifts, shapes=SHAPES),
]
