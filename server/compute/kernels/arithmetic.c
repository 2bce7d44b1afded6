/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of real numbers
 *
 * Integers wrap: they are computed unsigned. For bool, addition is or, multiplication and.
 */
#include "compute/kernels/set.h"

/* NaN in either wins: a is kept if it is the larger or a NaN, and b is taken if it is one */
#define LARGER(a, b) (((a) >= (b)) | ((a) != (a)) ? (a) : (b))
#define SMALLER(a, b) (((a) <= (b)) | ((a) != (a)) ? (a) : (b))
#define SQRT_OF(x) _Generic((x), float : __builtin_sqrtf, double : __builtin_sqrt)(x)

#define KERNELS(UNARY, BINARY)                                                                     \
        BOOLS(BINARY, ADD, SAME, a | b)                                                            \
        REALS(BINARY, ADD, SAME, (wide)a + (wide)b)                                                \
        REALS(BINARY, SUBTRACT, SAME, (wide)a - (wide)b)                                           \
        BOOLS(BINARY, MULTIPLY, SAME, a &b)                                                        \
        REALS(BINARY, MULTIPLY, SAME, (wide)a *(wide)b)                                            \
        FLOATS(BINARY, DIVIDE, SAME, a / b)                                                        \
        BOOLS(BINARY, MAXIMUM, SAME, a | b)                                                        \
        INTEGERS(BINARY, MAXIMUM, SAME, a >= b ? a : b)                                            \
        FLOATS(BINARY, MAXIMUM, SAME, LARGER(a, b))                                                \
        BOOLS(BINARY, MINIMUM, SAME, a &b)                                                         \
        INTEGERS(BINARY, MINIMUM, SAME, a <= b ? a : b)                                            \
        FLOATS(BINARY, MINIMUM, SAME, SMALLER(a, b))                                               \
        INTEGERS(UNARY, NEGATIVE, SAME, 0 - (wide)a)                                               \
        FLOATS(UNARY, NEGATIVE, SAME, -a)                                                          \
        BOOLS(UNARY, ABS, SAME, a)                                                                 \
        SIGNED(UNARY, ABS, SAME, a < 0 ? 0 - (wide)a : (wide)a)                                    \
        UNSIGNED(UNARY, ABS, SAME, a)                                                              \
        FLOATS(UNARY, ABS, SAME, FABS(a))                                                          \
        FLOATS(UNARY, SQRT, SAME, SQRT_OF(a))

KERNELS(KERNEL_UNARY, KERNEL_BINARY)

KERNELS_FILL(arithmetic)
{
        KERNELS(ENTER_UNARY, ENTER_BINARY)
}
