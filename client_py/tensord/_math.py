# SPDX-License-Identifier: MIT
"""Mathematical functions, by the names of the Python array API standard.

Integers and bool compute as float64; special values are the standard's.
"""

from ._elementwise import _binary, _unary

expm1 = _unary("expm1", "e ** x - 1, without cancellation near 0.")
log1p = _unary("log1p", "Natural logarithm of 1 + x, without cancellation near 0.")
log2 = _unary("log2", "Logarithm to base 2.")
log10 = _unary("log10", "Logarithm to base 10.")
sin = _unary("sin", "Sine, of an angle in radians.")
cos = _unary("cos", "Cosine, of an angle in radians.")
tan = _unary("tan", "Tangent, of an angle in radians.")
asin = _unary("asin", "Inverse sine, in radians; of real numbers in [-pi/2, pi/2].")
acos = _unary("acos", "Inverse cosine, in radians; of real numbers in [0, pi].")
atan = _unary("atan", "Inverse tangent, in radians; of real numbers in [-pi/2, pi/2].")
sinh = _unary("sinh", "Hyperbolic sine.")
cosh = _unary("cosh", "Hyperbolic cosine.")
tanh = _unary("tanh", "Hyperbolic tangent.")
asinh = _unary("asinh", "Inverse hyperbolic sine.")
acosh = _unary("acosh", "Inverse hyperbolic cosine.")
atanh = _unary("atanh", "Inverse hyperbolic tangent.")
atan2 = _binary("atan2", "Angle of the point (x2, x1) in radians, in [-pi, pi]; of real numbers.")
hypot = _binary("hypot", "sqrt(x1 ** 2 + x2 ** 2) without overflow between; real numbers.")
logaddexp = _binary("logaddexp", "log(exp(x1) + exp(x2)) without overflow between; real numbers.")
