/* SPDX-License-Identifier: MIT */
/* Comparison of real numbers and bool; the result is bool. */
#include "compute/kernels/set.h"

#define COMPARISON(BINARY, op, ...)                                                                \
        BOOLS(BINARY, op, TO_BOOL, __VA_ARGS__)                                                    \
        REALS(BINARY, op, TO_BOOL, __VA_ARGS__)

#define KERNELS(BINARY)                                                                            \
        COMPARISON(BINARY, EQUAL, a == b)                                                          \
        COMPARISON(BINARY, NOT_EQUAL, a != b)                                                      \
        COMPARISON(BINARY, LESS, a < b)                                                            \
        COMPARISON(BINARY, LESS_EQUAL, a <= b)                                                     \
        COMPARISON(BINARY, GREATER, a > b)                                                         \
        COMPARISON(BINARY, GREATER_EQUAL, a >= b)

KERNELS(KERNEL_BINARY)

KERNELS_FILL(compare)
{
        KERNELS(ENTER_BINARY)
}
