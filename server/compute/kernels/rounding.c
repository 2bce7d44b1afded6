/* SPDX-License-Identifier: MIT */
/*
 * Rounding, signs, and what kind of number it is
 *
 * Of real numbers. Integers are whole and finite, and stay as they are.
 */
#include "compute/kernels/set.h"

#include <math.h>

#define OF_TYPE(x, function) _Generic((x), float : function##f, double : function)
#define RECIPROCAL_OF(x) ((x) == 1 || (x) == (type)-1 ? (x) : 0)

#define FINITE(UNARY, LIST)                                                                        \
        LIST(UNARY, ISFINITE, TO_BOOL, ((void)a, 1))                                               \
        LIST(UNARY, ISINF, TO_BOOL, ((void)a, 0))                                                  \
        LIST(UNARY, ISNAN, TO_BOOL, ((void)a, 0))                                                  \
        LIST(UNARY, REAL, SAME, a)                                                                 \
        LIST(UNARY, IMAG, SAME, ((void)a, 0))

#define KERNELS(UNARY, BINARY)                                                                     \
        FINITE(UNARY, BOOLS)                                                                       \
        FINITE(UNARY, INTEGERS)                                                                    \
        INTEGERS(UNARY, CEIL, SAME, a)                                                             \
        INTEGERS(UNARY, FLOOR, SAME, a)                                                            \
        INTEGERS(UNARY, TRUNC, SAME, a)                                                            \
        INTEGERS(UNARY, ROUND, SAME, a)                                                            \
        FLOATS(UNARY, CEIL, SAME, OF_TYPE(a, __builtin_ceil)(a))                                   \
        FLOATS(UNARY, FLOOR, SAME, OF_TYPE(a, __builtin_floor)(a))                                 \
        FLOATS(UNARY, TRUNC, SAME, OF_TYPE(a, __builtin_trunc)(a))                                 \
        FLOATS(UNARY, ROUND, SAME, OF_TYPE(a, __builtin_rint)(a))                                  \
        SIGNED(UNARY, SIGN, SAME, (a > 0) - (a < 0))                                               \
        UNSIGNED(UNARY, SIGN, SAME, a != 0)                                                        \
        FLOATS(UNARY, SIGN, SAME, a != a ? a : (type)((a > 0) - (a < 0)))                          \
        FLOATS(UNARY, SIGNBIT, TO_BOOL, __builtin_signbit(a) != 0)                                 \
        FLOATS(BINARY, COPYSIGN, SAME, OF_TYPE(a, __builtin_copysign)(a, b))                       \
        FLOATS(BINARY, NEXTAFTER, SAME, OF_TYPE(a, nextafter)(a, b))                               \
        FLOATS(UNARY, ISFINITE, TO_BOOL, FABS(a) < (type)INFINITY)                                 \
        FLOATS(UNARY, ISINF, TO_BOOL, FABS(a) == (type)INFINITY)                                   \
        FLOATS(UNARY, ISNAN, TO_BOOL, a != a)                                                      \
        FLOATS(UNARY, REAL, SAME, a)                                                               \
        FLOATS(UNARY, IMAG, SAME, ((void)a, 0))                                                    \
        REALS(UNARY, CONJ, SAME, a)                                                                \
        REALS(UNARY, SQUARE, SAME, (wide)a *(wide)a)                                               \
        INTEGERS(UNARY, RECIPROCAL, SAME, RECIPROCAL_OF(a))                                        \
        FLOATS(UNARY, RECIPROCAL, SAME, 1 / a)

KERNELS(KERNEL_UNARY, KERNEL_BINARY)

KERNELS_FILL(rounding)
{
        KERNELS(ENTER_UNARY, ENTER_BINARY)
}
