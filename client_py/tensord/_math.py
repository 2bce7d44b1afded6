# SPDX-License-Identifier: MIT
"""Mathematical functions, by the names of the Python array API standard.

Integers and bool compute as float64; special values are the standard's.
"""

from ._elementwise import _binary, _unary

expm1 = _unary(
    "expm1",
    "e ** x - 1, without cancellation near 0.",
    "[0.0, 1e-9] -> Array([0.e+00, 1.e-09], shape=(2,), dtype=float64, 16 bytes)",
)
log1p = _unary(
    "log1p",
    "Natural logarithm of 1 + x, without cancellation near 0.",
    "[0.0, 1e-9] -> Array([0.00000000e+00, 9.99999999e-10], shape=(2,), dtype=float64, 16 bytes)",
)
log2 = _unary(
    "log2",
    "Logarithm to base 2.",
    "[1.0, 8.0] -> Array([0., 3.], shape=(2,), dtype=float64, 16 bytes)",
)
log10 = _unary(
    "log10",
    "Logarithm to base 10.",
    "[1.0, 1000.0] -> Array([0., 3.], shape=(2,), dtype=float64, 16 bytes)",
)
sin = _unary(
    "sin",
    "Sine, of an angle in radians.",
    "[0.0, 1.0] -> Array([0.        , 0.84147098], shape=(2,), dtype=float64, 16 bytes)",
)
cos = _unary(
    "cos",
    "Cosine, of an angle in radians.",
    "[0.0, 1.0] -> Array([1.        , 0.54030231], shape=(2,), dtype=float64, 16 bytes)",
)
tan = _unary(
    "tan",
    "Tangent, of an angle in radians.",
    "[0.0, 1.0] -> Array([0.        , 1.55740772], shape=(2,), dtype=float64, 16 bytes)",
)
asin = _unary(
    "asin",
    "Inverse sine, in radians; of real numbers in [-pi/2, pi/2].",
    "[0.0, 1.0] -> Array([0.        , 1.57079633], shape=(2,), dtype=float64, 16 bytes)",
)
acos = _unary(
    "acos",
    "Inverse cosine, in radians; of real numbers in [0, pi].",
    "[0.0, 1.0] -> Array([1.57079633, 0.        ], shape=(2,), dtype=float64, 16 bytes)",
)
atan = _unary(
    "atan",
    "Inverse tangent, in radians; of real numbers in [-pi/2, pi/2].",
    "[0.0, 1.0] -> Array([0.        , 0.78539816], shape=(2,), dtype=float64, 16 bytes)",
)
sinh = _unary(
    "sinh",
    "Hyperbolic sine.",
    "[0.0, 1.0] -> Array([0.        , 1.17520119], shape=(2,), dtype=float64, 16 bytes)",
)
cosh = _unary(
    "cosh",
    "Hyperbolic cosine.",
    "[0.0, 1.0] -> Array([1.        , 1.54308063], shape=(2,), dtype=float64, 16 bytes)",
)
tanh = _unary(
    "tanh",
    "Hyperbolic tangent.",
    "[0.0, 1.0] -> Array([0.        , 0.76159416], shape=(2,), dtype=float64, 16 bytes)",
)
asinh = _unary(
    "asinh",
    "Inverse hyperbolic sine.",
    "[0.0, 1.0] -> Array([0.        , 0.88137359], shape=(2,), dtype=float64, 16 bytes)",
)
acosh = _unary(
    "acosh",
    "Inverse hyperbolic cosine.",
    "[1.0, 2.0] -> Array([0.       , 1.3169579], shape=(2,), dtype=float64, 16 bytes)",
)
atanh = _unary(
    "atanh",
    "Inverse hyperbolic tangent.",
    "[0.0, 0.5] -> Array([0.        , 0.54930614], shape=(2,), dtype=float64, 16 bytes)",
)
atan2 = _binary(
    "atan2",
    "Angle of the point (x2, x1) in radians, in [-pi, pi]; of real numbers.",
    "[1.0, -1.0], 0.0 -> Array([ 1.57079633, -1.57079633], shape=(2,), dtype=float64, 16 bytes)",
)
hypot = _binary(
    "hypot",
    "sqrt(x1 ** 2 + x2 ** 2) without overflow between; real numbers.",
    "[3.0, 5.0], [4.0, 12.0] -> Array([ 5., 13.], shape=(2,), dtype=float64, 16 bytes)",
)
logaddexp = _binary(
    "logaddexp",
    "log(exp(x1) + exp(x2)) without overflow between; real numbers.",
    "[1000.0], [1000.0] -> Array([1000.69314718], shape=(1,), dtype=float64, 8 bytes)",
)
