# SPDX-License-Identifier: MIT
"""A zoom into the Mandelbrot set: frames of 8 bits, as portable grey maps.

    python mandelbrot.py DIRECTORY [PIXELS]

One function is traced once; each frame is one call of it, one request for all its turns.
"""

import pathlib
import sys

import numpy

import tensord as td

N_TURNS, CENTRE = 200, -0.743643887 + 0.131825904j


@td.jit(static_argnums=(1,))
def frame(radius, n):
    """(n, n) uint8: how long each point stays near 0."""
    axis = td.linspace(-1.0, 1.0, n) * radius
    c = CENTRE + axis + 1j * axis[:, None]

    def turn(i, state):
        z, count = state
        is_near = td.real(z) ** 2 + td.imag(z) ** 2 < 4
        return td.where(is_near, z * z + c, z), count + td.astype(is_near, "int32")

    zero = td.zeros((n, n), dtype="int32")
    _, count = td.fori_loop(0, N_TURNS, turn, (c * 0, zero))
    return td.astype(count * 255 // N_TURNS, "uint8")


directory = pathlib.Path(sys.argv[1])
n = int(sys.argv[2]) if len(sys.argv) > 2 else 400
for number in range(5):
    radius = 1.5 * 0.2**number
    pixels = numpy.asarray(frame(radius, n))  # the shared memory itself
    path = directory / f"mandelbrot_{number}.pgm"
    path.write_bytes(f"P5 {n} {n} 255\n".encode() + pixels.tobytes())
    print(f"{path.name}: radius {radius:g}, {(pixels == 255).mean():.1%} of the points stay")
