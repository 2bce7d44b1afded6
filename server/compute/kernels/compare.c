/* SPDX-License-Identifier: MIT */
/*
 * Comparison of real numbers and bool
 *
 * The result is bool. int64 and uint64, which have no common integer, are compared as they are: a
 * negative one is less than all of the others.
 */
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

#define MIXED(X)                                                                                   \
        X(EQUAL, a >= 0 && (uint64_t)a == b)                                                       \
        X(NOT_EQUAL, a < 0 || (uint64_t)a != b)                                                    \
        X(LESS, a < 0 || (uint64_t)a < b)                                                          \
        X(LESS_EQUAL, a < 0 || (uint64_t)a <= b)                                                   \
        X(GREATER, a >= 0 && (uint64_t)a > b)                                                      \
        X(GREATER_EQUAL, a >= 0 && (uint64_t)a >= b)

KERNELS(KERNEL_BINARY)
MIXED(KERNEL_MIXED)

KERNELS_FILL(compare)
{
        KERNELS(ENTER_BINARY)
        MIXED(ENTER_MIXED)
}
