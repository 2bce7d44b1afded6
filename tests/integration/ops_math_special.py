# SPDX-License-Identifier: MIT
"""Special values of the mathematical functions, written down from the array API standard.

Zeros count with their sign, where the standard gives one.
"""

from math import inf, nan, pi


def _odd(rows):
    """f(-x) is -f(x)."""
    return rows + [(-x, -y) for x, y in rows]


# function: [(x, expected)]
UNARY = {
    "exp": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0), (1e4, inf), (-1e4, 0.0)],
    "expm1": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1.0), (1e-20, 1e-20)],
    "log": [(nan, nan), (-1.0, nan), (-inf, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0)]
    + [(inf, inf)],
    "log1p": [(nan, nan), (-1.5, nan), (-inf, nan), (-1.0, -inf), (0.0, 0.0), (-0.0, -0.0)]
    + [(inf, inf), (1e-20, 1e-20)],
    "log2": [(nan, nan), (-1.0, nan), (-inf, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0)]
    + [(inf, inf)]
    + [(2.0**n, float(n)) for n in (-126, -3, -1, 2, 10, 127)],
    "log10": [(nan, nan), (-1.0, nan), (-inf, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0)]
    + [(inf, inf), (1000.0, 3.0)],
    "sqrt": [(nan, nan), (-1.0, nan), (-inf, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf)],
    "sin": [(nan, nan), (inf, nan), (-inf, nan)] + _odd([(0.0, 0.0)])
    + _odd([(2.0**70, -0.9981794021933068)]),
    "cos": [(nan, nan), (inf, nan), (-inf, nan), (0.0, 1.0), (-0.0, 1.0)]
    + [(2.0**70, 0.060314849224819785)],
    "tan": [(nan, nan), (inf, nan), (-inf, nan)] + _odd([(0.0, 0.0)]),
    "asin": [(nan, nan), (1.5, nan), (-1.5, nan), (inf, nan)] + _odd([(0.0, 0.0), (1.0, pi / 2)]),
    "acos": [(nan, nan), (1.5, nan), (-1.5, nan), (-inf, nan), (1.0, 0.0), (-1.0, pi)],
    "atan": [(nan, nan)] + _odd([(0.0, 0.0), (inf, pi / 2)]),
    "sinh": [(nan, nan)] + _odd([(0.0, 0.0), (inf, inf), (1e4, inf)]),
    "cosh": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, inf), (-1e4, inf)],
    "tanh": [(nan, nan)] + _odd([(0.0, 0.0), (inf, 1.0), (1e4, 1.0)]),
    "asinh": [(nan, nan)] + _odd([(0.0, 0.0), (inf, inf)]),
    "acosh": [(nan, nan), (0.5, nan), (-2.0, nan), (-inf, nan), (1.0, 0.0), (inf, inf)],
    "atanh": [(nan, nan), (1.5, nan), (-1.5, nan), (inf, nan)] + _odd([(0.0, 0.0), (1.0, inf)]),
}

_ATAN2 = [
    (1.0, 0.0, pi / 2), (1.0, -0.0, pi / 2), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (0.0, -0.0, pi),
    (0.0, -1.0, pi), (1.0, inf, 0.0), (1.0, -inf, pi), (inf, 1.0, pi / 2), (inf, -1.0, pi / 2),
    (inf, 0.0, pi / 2), (inf, inf, pi / 4), (inf, -inf, 3 * pi / 4), (0.0, inf, 0.0),
    (0.0, -inf, pi),
]  # fmt: skip

# function: [(x1, x2, expected)]
BINARY = {
    "atan2": [(nan, 1.0, nan), (1.0, nan, nan), (nan, nan, nan)]
    + _ATAN2
    + [(-y, x, -angle) for y, x, angle in _ATAN2],
    "hypot": [
        (inf, 1.0, inf), (-inf, 1.0, inf), (1.0, inf, inf), (1.0, -inf, inf), (inf, nan, inf),
        (nan, -inf, inf), (nan, 1.0, nan), (1.0, nan, nan), (nan, nan, nan), (0.0, -3.0, 3.0),
        (-3.0, -0.0, 3.0), (-0.0, 0.0, 0.0), (3e38, 4.0, 3e38), (2e38, 2e38, 2.8284271247461903e38),
        (3e-38, 4e-38, 5e-38), (3e-30, -4e-30, 5e-30),
    ],
    "logaddexp": [
        (nan, 1.0, nan), (1.0, nan, nan), (nan, inf, nan), (-inf, nan, nan), (inf, 1.0, inf),
        (1.0, inf, inf), (inf, inf, inf), (inf, -inf, inf), (-inf, inf, inf), (-inf, -inf, -inf),
        (-inf, 2.5, 2.5), (2.5, -inf, 2.5), (0.0, 0.0, 0.6931471805599453),
        (1e4, 1e4, 10000.693147180559), (-1e4, 1e4, 1e4), (-0.0, 0.0, 0.6931471805599453),
    ],
    "pow": [
        (2.0, nan, nan), (nan, 0.0, 1.0), (nan, -0.0, 1.0), (inf, 0.0, 1.0), (-2.0, 0.0, 1.0),
        (0.0, -0.0, 1.0), (nan, 1.0, nan), (nan, nan, nan), (2.0, inf, inf), (-2.0, inf, inf),
        (2.0, -inf, 0.0), (-2.0, -inf, 0.0), (1.0, inf, 1.0), (1.0, -inf, 1.0), (-1.0, inf, 1.0),
        (-1.0, -inf, 1.0), (1.0, 2.5, 1.0), (1.0, nan, 1.0), (0.5, inf, 0.0), (-0.5, inf, 0.0),
        (0.5, -inf, inf), (-0.5, -inf, inf), (inf, 2.5, inf), (inf, -2.5, 0.0), (inf, inf, inf),
        (-inf, 3.0, -inf), (-inf, 2.0, inf), (-inf, 0.5, inf), (-inf, inf, inf), (-inf, -3.0, -0.0),
        (-inf, -2.0, 0.0), (-inf, -0.5, 0.0), (-inf, -inf, 0.0), (0.0, 3.0, 0.0), (0.0, 0.5, 0.0),
        (0.0, -3.0, inf), (0.0, -0.5, inf), (0.0, -inf, inf), (0.0, inf, 0.0), (-0.0, 3.0, -0.0),
        (-0.0, 2.0, 0.0), (-0.0, 0.5, 0.0), (-0.0, -3.0, -inf), (-0.0, -2.0, inf),
        (-0.0, -0.5, inf), (-0.0, -inf, inf), (-0.0, inf, 0.0), (-2.0, 0.5, nan), (-0.5, -1.5, nan),
        (-2.0, 3.0, -8.0), (-3.0, 2.0, 9.0), (-2.0, -1.0, -0.5), (10.0, 400.0, inf),
        (10.0, -400.0, 0.0), (-10.0, 401.0, -inf), (-10.0, -401.0, -0.0),
    ],
}  # fmt: skip


class Either(float):
    """A number whose sign the standard leaves open."""


ANY0, ANYINF = Either(0.0), Either(inf)

# function: [(real, imaginary part, real, imaginary part of f)]; of conj(z) it is the conjugate
COMPLEX = {
    "exp": [
        (0.0, 0.0, 1.0, 0.0), (-0.0, 0.0, 1.0, 0.0), (1.0, inf, nan, nan), (1.0, nan, nan, nan),
        (inf, 0.0, inf, 0.0), (-inf, 1.0, 0.0, 0.0), (-inf, 2.0, -0.0, 0.0), (inf, 1.0, inf, inf),
        (inf, 2.0, -inf, inf), (-inf, inf, ANY0, ANY0), (inf, inf, ANYINF, nan),
        (-inf, nan, ANY0, ANY0), (inf, nan, ANYINF, nan), (nan, 0.0, nan, 0.0),
        (nan, 1.0, nan, nan), (nan, nan, nan, nan),
    ],
    "expm1": [
        (0.0, 0.0, 0.0, 0.0), (1.0, inf, nan, nan), (1.0, nan, nan, nan), (inf, 0.0, inf, 0.0),
        (-inf, 1.0, -1.0, 0.0), (-inf, 4.0, -1.0, -0.0), (inf, 1.0, inf, inf),
        (inf, 2.0, -inf, inf), (-inf, inf, -1.0, ANY0), (inf, inf, ANYINF, nan),
        (-inf, nan, -1.0, ANY0), (inf, nan, ANYINF, nan), (nan, 0.0, nan, 0.0),
        (nan, 1.0, nan, nan), (nan, nan, nan, nan), (1e-20, 1e-20, 1e-20, 1e-20),
    ],
    "log": [
        (-0.0, 0.0, -inf, pi), (0.0, 0.0, -inf, 0.0), (1.0, inf, inf, pi / 2), (1.0, nan, nan, nan),
        (-inf, 1.0, inf, pi), (inf, 1.0, inf, 0.0), (-inf, inf, inf, 3 * pi / 4),
        (inf, inf, inf, pi / 4), (inf, nan, inf, nan), (-inf, nan, inf, nan), (nan, 1.0, nan, nan),
        (nan, inf, inf, nan), (nan, nan, nan, nan),
    ],
    "log1p": [
        (-1.0, 0.0, -inf, 0.0), (1.0, inf, inf, pi / 2), (1.0, nan, nan, nan), (-inf, 1.0, inf, pi),
        (inf, 1.0, inf, 0.0), (-inf, inf, inf, 3 * pi / 4), (inf, inf, inf, pi / 4),
        (inf, nan, inf, nan), (-inf, nan, inf, nan), (nan, 1.0, nan, nan), (nan, inf, inf, nan),
        (nan, nan, nan, nan), (1e-20, 1e-20, 1e-20, 1e-20), (0.0, 1e-9, 5e-19, 1e-9),
    ],
    "sqrt": [
        (0.0, 0.0, 0.0, 0.0), (-0.0, 0.0, 0.0, 0.0), (1.0, inf, inf, inf), (nan, inf, inf, inf),
        (-inf, inf, inf, inf), (1.0, nan, nan, nan), (-inf, 1.0, 0.0, inf), (inf, 1.0, inf, 0.0),
        (-inf, nan, nan, ANYINF), (inf, nan, inf, nan), (nan, 1.0, nan, nan), (nan, nan, nan, nan),
        (-4.0, 0.0, 0.0, 2.0),
    ],
    "sinh": [
        (0.0, 0.0, 0.0, 0.0), (0.0, inf, ANY0, nan), (0.0, nan, ANY0, nan), (1.0, inf, nan, nan),
        (1.0, nan, nan, nan), (inf, 0.0, inf, 0.0), (inf, 1.0, inf, inf), (inf, 2.0, -inf, inf),
        (inf, inf, ANYINF, nan), (inf, nan, ANYINF, nan), (nan, 0.0, nan, 0.0),
        (nan, 1.0, nan, nan), (nan, nan, nan, nan),
    ],
    "cosh": [
        (0.0, 0.0, 1.0, 0.0), (0.0, inf, nan, ANY0), (0.0, nan, nan, ANY0), (1.0, inf, nan, nan),
        (1.0, nan, nan, nan), (inf, 0.0, inf, 0.0), (inf, 1.0, inf, inf), (inf, 2.0, -inf, inf),
        (inf, inf, ANYINF, nan), (inf, nan, inf, nan), (nan, 0.0, nan, ANY0), (nan, 1.0, nan, nan),
        (nan, nan, nan, nan),
    ],
    "tanh": [
        (0.0, 0.0, 0.0, 0.0), (1.0, inf, nan, nan), (1.0, nan, nan, nan), (inf, 1.0, 1.0, 0.0),
        (inf, 2.0, 1.0, -0.0), (inf, inf, 1.0, ANY0), (inf, nan, 1.0, ANY0), (nan, 0.0, nan, 0.0),
        (nan, 1.0, nan, nan), (nan, nan, nan, nan), (0.0, inf, 0.0, nan), (0.0, nan, 0.0, nan),
        (800.0, 1.0, 1.0, 0.0),
    ],
    "asinh": [
        (0.0, 0.0, 0.0, 0.0), (1.0, inf, inf, pi / 2), (1.0, nan, nan, nan), (inf, 1.0, inf, 0.0),
        (inf, inf, inf, pi / 4), (inf, nan, inf, nan), (nan, 0.0, nan, 0.0), (nan, 1.0, nan, nan),
        (nan, inf, ANYINF, nan), (nan, nan, nan, nan),
    ],
    "acosh": [
        (0.0, 0.0, 0.0, pi / 2), (-0.0, 0.0, 0.0, pi / 2), (1.0, inf, inf, pi / 2),
        (1.0, nan, nan, nan), (-inf, 1.0, inf, pi), (inf, 1.0, inf, 0.0),
        (-inf, inf, inf, 3 * pi / 4), (inf, inf, inf, pi / 4), (inf, nan, inf, nan),
        (-inf, nan, inf, nan), (nan, 1.0, nan, nan), (nan, inf, inf, nan), (nan, nan, nan, nan),
    ],
    "atanh": [
        (0.0, 0.0, 0.0, 0.0), (0.0, nan, 0.0, nan), (1.0, 0.0, inf, 0.0), (1.0, inf, 0.0, pi / 2),
        (1.0, nan, nan, nan), (inf, 1.0, 0.0, pi / 2), (inf, inf, 0.0, pi / 2),
        (inf, nan, 0.0, nan),
        (nan, 1.0, nan, nan), (nan, inf, ANY0, pi / 2), (nan, nan, nan, nan),
    ],
    "acos": [
        (0.0, 0.0, pi / 2, -0.0), (-0.0, 0.0, pi / 2, -0.0), (0.0, nan, pi / 2, nan),
        (1.0, inf, pi / 2, -inf), (1.5, nan, nan, nan), (-inf, 1.0, pi, -inf),
        (inf, 1.0, 0.0, -inf), (-inf, inf, 3 * pi / 4, -inf), (inf, inf, pi / 4, -inf),
        (inf, nan, nan, ANYINF), (-inf, nan, nan, ANYINF), (nan, 1.0, nan, nan),
        (nan, inf, nan, -inf), (nan, nan, nan, nan),
    ],
    "conj": [(1.0, 2.0, 1.0, -2.0), (nan, 0.0, nan, -0.0), (inf, nan, inf, nan)],
}  # fmt: skip


def _turned(rows):
    """g(z) = -i f(iz): of sinh's rows those of sin, and so on."""
    return [(y, -x, im, Either(re) if isinstance(re, Either) else -re) for x, y, re, im in rows]


for _name in ("sinh", "tanh", "asinh", "atanh"):
    COMPLEX[_name[:-1]] = _turned(COMPLEX[_name])
# cos(z) is cosh(iz)
COMPLEX["cos"] = [(y, -x, re, im) for x, y, re, im in COMPLEX["cosh"]]

# [(a, b, expected)] of pow, each complex
COMPLEX_POW = [
    (0j, 0j, 1), (complex(nan, 1), 0j, 1), (0j, 2 + 1j, 0j), (0j, -1 + 0j, complex(nan, nan)),
    (0j, 1j, complex(nan, nan)), (1j, 2 + 0j, -1), (2 + 1j, 1 + 0j, 2 + 1j),
    (1 + 1j, 3 + 0j, -2 + 2j),
    (1 + 1j, -2 + 0j, -0.5j), (2 + 0j, 0.5 + 0j, 2**0.5), (-1 + 0j, 0.5 + 0j, 1j),
]  # fmt: skip
