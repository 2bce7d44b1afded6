/* SPDX-License-Identifier: MIT */
/*
 * Functions of libm and libmvec
 *
 * Padded: they take whole vectors, so that an element's bits do not depend on its place.
 */
#include "compute/kernels/set.h"

#define EXP_FLOAT32 MATH_FLOAT32(v, expf)
#define EXP_FLOAT64 MATH_FLOAT64(v, exp)
#define LOG_FLOAT32 MATH_FLOAT32(v, logf)
#define LOG_FLOAT64 MATH_FLOAT64(v, log)

/* n is a multiple of KERNEL_LANES */
#define KERNEL_MATH(T, op)                                                                         \
        __attribute__((const)) vec_##T op##_##T(vec_##T);                                          \
        static unsigned unary_##op##_##T(size_t n, void *out, const void *x)                       \
        {                                                                                          \
                vec_##T *o = out;                                                                  \
                const vec_##T *xs = x;                                                             \
                                                                                                   \
                for (size_t i = 0; i < n * sizeof(type_##T) / sizeof(vec_##T); i++)                \
                        o[i] = op##_##T(xs[i]);                                                    \
                return 0;                                                                          \
        }

#define KERNELS(UNARY)                                                                             \
        FLOATS(UNARY, EXP)                                                                         \
        FLOATS(UNARY, LOG)

KERNELS(KERNEL_MATH)

KERNELS_FILL(math)
{
        KERNELS(ENTER_UNARY)
        KERNELS(ENTER_PADDED)
}
