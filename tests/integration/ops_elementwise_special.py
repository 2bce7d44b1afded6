# SPDX-License-Identifier: MIT
"""Right answers of element-wise operations where it matters: (operation, dtype, operands, answer).

From the array API standard 2024.12, and NumPy 2 where that is silent; a note says where numpy 1.24
differs. Answers are of the dtype named, or bool.
"""

from math import inf, nan

INT8_MIN, INT32_MIN, INT64_MIN = -(2**7), -(2**31), -(2**63)

SPECIAL = [
    # integers: division by 0 is 0, what does not fit wraps
    ("floor_divide", "int64", ([7, -7, 0], [0, 0, 0]), [0, 0, 0]),
    ("floor_divide", "int64", ([INT64_MIN, 7, -7, 7], [-1, -2, 2, 2]), [INT64_MIN, -4, -4, 3]),
    ("floor_divide", "int8", ([INT8_MIN, -7], [-1, 2]), [INT8_MIN, -4]),
    ("floor_divide", "uint8", ([7, 255], [0, 2]), [0, 127]),
    ("remainder", "int64", ([7, INT64_MIN, 7, -7], [0, -1, -2, 2]), [0, 0, -1, 1]),
    ("remainder", "int32", ([INT32_MIN, -1], [-1, 3]), [0, 2]),
    ("remainder", "uint64", ([2**64 - 1, 5], [10, 0]), [5, 0]),
    ("negative", "int8", ([INT8_MIN, 5],), [INT8_MIN, -5]),
    ("negative", "uint8", ([1, 0],), [255, 0]),
    ("abs", "int64", ([INT64_MIN, -5],), [INT64_MIN, 5]),
    ("add", "int8", ([127, -128], [1, -1]), [-128, 127]),
    ("multiply", "uint16", ([65535], [65535]), [1]),
    ("multiply", "int32", ([INT32_MIN], [-1]), [INT32_MIN]),
    ("pow", "int8", ([3, -2, 0], [5, 7, 0]), [-13, -128, 1]),
    ("reciprocal", "int32", ([0, 1, -1, 2],), [0, 1, -1, 0]),  # numpy: of 0 the most negative
    # shifts: numpy agrees for counts beyond the width, negative ones are undefined there
    ("bitwise_left_shift", "int8", ([1, 1, 1, 64], [7, 8, -1, 1]), [-128, 0, 0, -128]),
    ("bitwise_left_shift", "uint64", ([1, 1], [63, 64]), [2**63, 0]),
    ("bitwise_right_shift", "int64", ([-8, -8, 8, -8, 8], [1, 64, 99, -1, -1]), [-4, -1, 0, -1, 0]),
    ("bitwise_right_shift", "uint8", ([255, 255], [7, 8]), [1, 0]),
    # floats
    ("floor_divide", "float64", ([1.0, -1.0, 0.0], [0.0, 0.0, 0.0]), [inf, -inf, nan]),
    ("floor_divide", "float64", ([inf, 1.0, -1.0, nan], [1.0, inf, inf, 1.0]),
     [nan, 0.0, -1.0, nan]),
    ("floor_divide", "float32", ([-0.0, 0.0, 7.5, -7.5], [1.0, -1.0, 2.0, 2.0]),
     [-0.0, -0.0, 3, -4]),
    ("remainder", "float64", ([5.0, -5.0, 5.0], [-3.0, 3.0, 0.0]), [-1.0, 1.0, nan]),
    ("remainder", "float64", ([-0.0, 0.0, 4.0], [1.0, -1.0, -2.0]), [0.0, -0.0, -0.0]),
    ("remainder", "float64", ([1.0, -1.0, inf], [inf, inf, 2.0]), [1.0, inf, nan]),
    ("divide", "float64", ([1.0, -1.0, 0.0], [0.0, 0.0, 0.0]), [inf, -inf, nan]),
    ("maximum", "float64", ([nan, 1.0, nan], [1.0, nan, nan]), [nan, nan, nan]),
    ("minimum", "float32", ([nan, 1.0, -inf], [1.0, nan, 2.0]), [nan, nan, -inf]),
    ("clip", "float64", ([nan, 5.0, 5.0, 5.0, -9.0], [0.0, nan, 0.0, 7.0, 0.0],
                         [1.0, 9.0, nan, 1.0, 1.0]), [nan, nan, nan, 1.0, 0.0]),
    ("sign", "float64", ([nan, -0.0, -inf, 3.0],), [nan, 0.0, -1.0, 1.0]),
    ("signbit", "float64", ([-0.0, 0.0, -1.0, inf],), [True, False, True, False]),
    ("copysign", "float64", ([1.0, nan, -3.0], [-0.0, 1.0, 2.0]), [-1.0, nan, 3.0]),
    ("nextafter", "float64", ([0.0, 1.0, nan], [1.0, 1.0, 0.0]), [5e-324, 1.0, nan]),
    ("round", "float64", ([0.5, 1.5, 2.5, -0.5, -2.5, inf], ), [0.0, 2.0, 2.0, -0.0, -2.0, inf]),
    ("trunc", "float64", ([-0.9, 0.9, nan, -inf],), [-0.0, 0.0, nan, -inf]),
    ("ceil", "float32", ([-0.9, 0.1, nan],), [-0.0, 1.0, nan]),
    ("floor", "float32", ([-0.0, 0.9, -0.1],), [-0.0, 0.0, -1.0]),
    ("isfinite", "float64", ([nan, inf, -inf, 1e308],), [False, False, False, True]),
    ("isinf", "float32", ([nan, inf, -inf, 3e38],), [False, True, True, False]),
    ("isnan", "float64", ([nan, inf, 0.0],), [True, False, False]),
    ("isnan", "int8", ([0, 1],), [False, False]),
    ("isfinite", "uint8", ([0, 1],), [True, True]),
    ("reciprocal", "float64", ([0.0, -0.0, inf],), [inf, -inf, 0.0]),
    ("equal", "float64", ([nan, 0.0], [nan, -0.0]), [False, True]),
    ("not_equal", "float64", ([nan], [nan]), [True]),
    ("less", "float64", ([nan, -inf], [1.0, inf]), [False, True]),
    ("logical_and", "float64", ([nan, 1.0, 0.0], [1.0, 2.0, 1.0]), [True, True, False]),
    ("logical_not", "float32", ([nan, 0.0, -0.0],), [False, True, True]),
    # bool
    ("add", "bool", ([True, True, False], [True, False, False]), [True, True, False]),
    ("bitwise_invert", "bool", ([True, False],), [False, True]),
    # complex
    ("sign", "complex128", ([3 + 4j, 0j, -2 + 0j],), [0.6 + 0.8j, 0j, -1 + 0j]),
    ("isnan", "complex128", ([complex(nan, 0), complex(0, nan), 1j],), [True, True, False]),
    ("isinf", "complex64", ([complex(inf, nan), complex(0, -inf), 1j],), [True, True, False]),
    ("isfinite", "complex64", ([complex(inf, 0), complex(0, nan), 1j],), [False, False, True]),
    ("equal", "complex64", ([1 + 1j, 1 + 1j], [1 + 1j, 1 - 1j]), [True, False]),
    ("round", "complex128", ([0.5 + 1.5j, 2.5 - 0.5j],), [0 + 2j, complex(2, -0.0)]),
    ("abs", "complex128", ([complex(3 * 2.0**700, 4 * 2.0**700)],), [5 * 2.0**700]),
]

# (from, values, to, answers): what conversions make of what does not fit
CONVERSIONS = [
    ("float64", [nan, inf, -inf, 1e300], "int64", [INT64_MIN] * 4),
    ("float64", [nan, inf, 2.0**31, -1.9], "int32", [INT32_MIN, INT32_MIN, INT32_MIN, -1]),
    ("float64", [nan, 300.7, -1.0], "uint8", [0, 44, 255]),
    ("float32", [nan, 40000.0, 1e20], "int16", [0, -25536, 0]),
    ("float64", [2.0**63, 2.0**64, -1.0, nan], "uint64", [2**63, 2**63, 2**64 - 1, 2**63]),
    ("float64", [2.0**32 + 5, nan], "uint32", [5, 0]),
    ("float64", [nan, 0.5, 0.0, -0.0], "bool", [True, True, False, False]),
    ("complex128", [0.5j, 0j], "bool", [True, False]),
    ("complex128", [3.7 + 9j], "int64", [3]),
    ("complex64", [1.5 - 2j], "float64", [1.5]),
    ("int64", [300, -1], "uint8", [44, 255]),
    ("uint64", [2**64 - 1], "int64", [-1]),
    ("bool", [True, False], "complex64", [1, 0]),
]
