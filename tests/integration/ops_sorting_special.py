# SPDX-License-Identifier: MIT
"""Right answers of sorting, searching and sets where it matters.

From the array API standard 2024.12, and NumPy 2 where that is silent; a note says where numpy
differs. Sorting is stable and puts NaN last, which the standard leaves open; numpy has no
descending order.
"""

from math import inf, nan

INT8_MIN, INT64_MIN, INT64_MAX, UINT64_MAX = -(2**7), -(2**63), 2**63 - 1, 2**64 - 1
DOWN = {"descending": True}

# (function, dtype, a line of elements, keywords, dtype of the answer, answer)
ALONG = [
    ("sort", "float64", [nan, 1.0, -inf, 0.0, -0.0, nan, inf], {}, "float64",
     [-inf, 0.0, -0.0, 1.0, inf, nan, nan]),
    ("sort", "float64", [nan, 1.0, -inf, 0.0, -0.0, nan, inf], DOWN, "float64",
     [inf, 1.0, 0.0, -0.0, -inf, nan, nan]),
    ("sort", "float32", [-0.0, 0.0, -0.0], {}, "float32", [-0.0, 0.0, -0.0]),
    ("sort", "float32", [-0.0, 0.0, -0.0], DOWN, "float32", [-0.0, 0.0, -0.0]),
    ("sort", "int8", [127, INT8_MIN, 0, -1], {}, "int8", [INT8_MIN, -1, 0, 127]),
    ("sort", "int64", [INT64_MAX, INT64_MIN, 0], DOWN, "int64", [INT64_MAX, 0, INT64_MIN]),
    ("sort", "uint64", [2**63, UINT64_MAX, 0, 2**63 - 1], {}, "uint64",
     [0, 2**63 - 1, 2**63, UINT64_MAX]),
    ("sort", "bool", [True, False, True], {}, "bool", [False, True, True]),
    ("sort", "bool", [True, False, True], DOWN, "bool", [True, True, False]),
    ("sort", "float64", [], {}, "float64", []),
    ("argsort", "float64", [nan, 1.0, nan, -1.0], {}, "int64", [3, 1, 0, 2]),
    ("argsort", "float64", [nan, 1.0, nan, -1.0], DOWN, "int64", [1, 3, 0, 2]),
    ("argsort", "float32", [0.0, -0.0, 0.0, -1.0], {}, "int64", [3, 0, 1, 2]),
    ("argsort", "int32", [1, 0, 1, 0], DOWN, "int64", [0, 2, 1, 3]),
    ("argsort", "bool", [True, False, True, False], {}, "int64", [1, 3, 0, 2]),
    ("argsort", "uint64", [UINT64_MAX, 0, UINT64_MAX], DOWN, "int64", [0, 2, 1]),
    ("argsort", "int8", [], {}, "int64", []),
]

# (function, (operand, ...), keywords, (answer, ...)); operands and answers: (dtype, elements)
WHOLE = [
    ("topk", [("float64", [nan, 1.0, 2.0, nan]), 3], {},
     [("float64", [2.0, 1.0, nan]), ("int64", [2, 1, 0])]),
    ("topk", [("float64", [nan, 1.0, 2.0]), 2], {"largest": False},
     [("float64", [1.0, 2.0]), ("int64", [1, 2])]),
    ("topk", [("int8", [5, 7, 7, 5]), 2], {}, [("int8", [7, 7]), ("int64", [1, 2])]),
    ("topk", [("int64", [INT64_MIN, 3]), 0], {}, [("int64", []), ("int64", [])]),
    # searchsorted: NaN belongs behind all, -0.0 is 0.0
    ("searchsorted", [("float64", [-inf, -0.0, 0.0, inf, nan, nan]),
                      ("float64", [nan, 0.0, -0.0, inf, -inf])], {}, [("int64", [4, 1, 1, 3, 0])]),
    ("searchsorted", [("float64", [-inf, -0.0, 0.0, inf, nan, nan]),
                      ("float64", [nan, 0.0, -0.0, inf, -inf])], {"side": "right"},
     [("int64", [6, 3, 3, 4, 1])]),
    ("searchsorted", [("float64", []), ("float64", [nan, 1.0])], {}, [("int64", [0, 0])]),
    ("searchsorted", [("int8", [-1, 1]), ("float64", [-0.5, 1.0, nan])], {},
     [("int64", [1, 1, 2])]),
    # exact, as comparisons are; numpy goes by float64
    ("searchsorted", [("int64", [-1, 2**53, 2**53 + 1, INT64_MAX]),
                      ("uint64", [0, 2**53 + 1, INT64_MAX, 2**63, UINT64_MAX])], {},
     [("int64", [1, 2, 3, 4, 4])]),
    ("searchsorted", [("uint64", [0, 2**53 + 1, 2**63]), ("int64", [-1, 2**53, INT64_MAX])],
     {"side": "right"}, [("int64", [0, 1, 2])]),
    # isin: by equal(), so NaN is in nothing
    ("isin", [("float64", [nan, -0.0, 1.0, inf]), ("float64", [nan, 0.0, inf])], {},
     [("bool", [False, True, False, True])]),
    ("isin", [("float64", [nan, 1.0]), ("float64", [1.0])], {"invert": True},
     [("bool", [True, False])]),
    ("isin", [("float32", [1.0]), ("float32", [])], {}, [("bool", [False])]),
    ("isin", [("float32", []), ("float32", [1.0])], {}, [("bool", [])]),
    ("isin", [("int64", [2**53 + 1, -1]), ("uint64", [2**53, UINT64_MAX])], {},
     [("bool", [False, False])]),  # numpy: 2**53 is the same as float64
    ("isin", [("complex128", [complex(0.0, -0.0), complex(1, nan), 1j]),
              ("complex128", [0j, complex(1, nan), 1 + 1j])], {}, [("bool", [True, False, False])]),
    ("isin", [("complex64", [complex(inf, 1), complex(-0.0, 2)]),
              ("complex64", [complex(inf, 1), 2j])], {}, [("bool", [True, True])]),
    # unique: each NaN is distinct (numpy 1.24: only if asked), zeros are one, the first is shown
    ("unique_values", [("float64", [nan, -0.0, 0.0, nan, -inf])], {},
     [("float64", [-inf, -0.0, nan, nan])]),
    ("unique_values", [("float64", [0.0, -0.0])], {}, [("float64", [0.0])]),
    ("unique_counts", [("float64", [nan, 1.0, nan, 1.0])], {},
     [("float64", [1.0, nan, nan]), ("int64", [2, 1, 1])]),
    ("unique_inverse", [("int8", [[INT8_MIN, 127], [127, INT8_MIN]])], {},
     [("int8", [INT8_MIN, 127]), ("int64", [[0, 1], [1, 0]])]),
    ("unique_inverse", [("float64", 2.5)], {}, [("float64", [2.5]), ("int64", 0)]),
    ("unique_all", [("float32", [3.0, nan, -0.0, 3.0, 0.0, nan])], {},
     [("float32", [-0.0, 3.0, nan, nan]), ("int64", [2, 0, 1, 5]), ("int64", [1, 2, 0, 1, 0, 3]),
      ("int64", [2, 2, 1, 1])]),
    ("unique_all", [("uint64", [UINT64_MAX, 0, UINT64_MAX])], {},
     [("uint64", [0, UINT64_MAX]), ("int64", [1, 0]), ("int64", [1, 0, 1]), ("int64", [1, 2])]),
    ("unique_all", [("bool", [True, True])], {},
     [("bool", [True]), ("int64", [0]), ("int64", [0, 0]), ("int64", [2])]),
    ("unique_all", [("int64", [])], {},
     [("int64", []), ("int64", []), ("int64", []), ("int64", [])]),
    ("unique_counts", [("complex128", [2j, 1 - 1j, complex(-0.0, 2), 1 + 1j, -inf])], {},
     [("complex128", [-inf, 2j, 1 - 1j, 1 + 1j]), ("int64", [1, 2, 1, 1])]),
    ("unique_inverse", [("complex64", [complex(nan, 1), 3j, complex(1, nan), 3j])], {},
     [("complex64", [3j, complex(nan, 1), complex(1, nan)]), ("int64", [1, 0, 2, 0])]),
    # nonzero: NaN is not zero, -0.0 is
    ("nonzero", [("float64", [nan, 0.0, -0.0, -inf])], {}, [("int64", [0, 3])]),
    ("nonzero", [("complex64", [[0j, 1j], [complex(0, nan), 0]])], {},
     [("int64", [0, 1]), ("int64", [1, 0])]),
    ("nonzero", [("int8", [INT8_MIN, 0])], {}, [("int64", [0])]),
]
