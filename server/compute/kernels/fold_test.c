/* SPDX-License-Identifier: MIT */
/* Is any set, are all, and how many; extrema of bool are the same. */
#include "compute/kernels/fold_set.h"

COMBINE(ADD, UINT64, 1, ADD)
COMBINE(ANY, BOOL, 1, OR)
COMBINE(ALL, BOOL, 1, AND)

#define TESTS(T, ...)                                                                              \
        ROWS_FREE(T, ANY, BOOL, flag_##T, 0, AS_SET, OR)                                           \
        ROWS_FREE(T, ALL, BOOL, flag_##T, 1, AS_SET, AND)                                          \
        ROWS_FREE(T, COUNT, UINT64, count_##T, 0, AS_SET, ADD)                                     \
        COLUMNS(ANY, T, T, BOOL, BOOL, 1, NO_MEAN, 0, AS_SET, OR)                                  \
        COLUMNS(ALL, T, T, BOOL, BOOL, 1, NO_MEAN, 1, AS_SET, AND)                                 \
        COLUMNS(COUNT, T, T, UINT64, UINT64, 1, NO_MEAN, 0, AS_SET, ADD)
UNSIGNED(TESTS, )
FLOATS(TESTS, )
COMPLEXES(TESTS, )

#define ENTER_TESTS(T, S)                                                                          \
        ENTER(ANY, T, ANY, S, ANY, BOOL)                                                           \
        ENTER(ALL, T, ALL, S, ALL, BOOL)                                                           \
        ENTER(COUNT, T, COUNT, S, ADD, UINT64)

KERNELS_FILL(fold_test)
{
        ENTER(MAX, BOOL, ANY, UINT8, ANY, BOOL)
        ENTER(MIN, BOOL, ALL, UINT8, ALL, BOOL)
        ENTER_TESTS(BOOL, UINT8)
        ENTER_TESTS(INT8, UINT8)
        ENTER_TESTS(INT16, UINT16)
        ENTER_TESTS(INT32, UINT32)
        ENTER_TESTS(INT64, UINT64)
        ENTER_TESTS(UINT8, UINT8)
        ENTER_TESTS(UINT16, UINT16)
        ENTER_TESTS(UINT32, UINT32)
        ENTER_TESTS(UINT64, UINT64)
        ENTER_TESTS(FLOAT32, FLOAT32)
        ENTER_TESTS(FLOAT64, FLOAT64)
        ENTER_TESTS(COMPLEX64, COMPLEX64)
        ENTER_TESTS(COMPLEX128, COMPLEX128)
}
