/* SPDX-License-Identifier: MIT */
/*
 * Powers
 *
 * Of integers by squaring, modulo 2^64 and then the width; a negative exponent is refused. Of
 * floats by libmvec, padded; a square is x * x, correctly rounded, wherever the exponent is 2.
 */
#include "compute/kernels/set.h"

/* ---- floats ---- */

#define POW_FLOAT32 MATH_FLOAT32(vv, powf)
#define POW_FLOAT64 MATH_FLOAT64(vv, pow)

#define KERNEL_POW_FORM(T, form, vector1, vector2)                                                 \
        static unsigned binary_POW_##T##_##form(size_t n, void *out, const void *x1,               \
                                                const void *x2)                                    \
        {                                                                                          \
                vec_##T *o = out;                                                                  \
                                                                                                   \
                for (size_t i = 0; i < n * sizeof(type_##T) / sizeof(vec_##T); i++) {              \
                        const vec_##T a = vector1, b = vector2;                                    \
                                                                                                   \
                        o[i] = SELECT(T, b == 2, a * a, POW_##T(a, b));                            \
                }                                                                                  \
                return 0;                                                                          \
        }
#define KERNEL_POW(T, ...)                                                                         \
        __attribute__((const)) vec_##T POW_##T(vec_##T, vec_##T);                                  \
        KERNEL_POW_FORM(T, VV, ((const vec_##T *)x1)[i], ((const vec_##T *)x2)[i])                 \
        KERNEL_POW_FORM(T, SV, SPLAT(T, *(const at_##T *)x1), ((const vec_##T *)x2)[i])            \
        static unsigned binary_POW_##T##_VS(size_t n, void *out, const void *x1, const void *x2)   \
        {                                                                                          \
                const type_##T exponent = *(const at_##T *)x2;                                     \
                const vec_##T b = SPLAT(T, exponent);                                              \
                const vec_##T *as = x1;                                                            \
                vec_##T *o = out;                                                                  \
                                                                                                   \
                for (size_t i = 0; i < n * sizeof(type_##T) / sizeof(vec_##T); i++)                \
                        if (exponent == 2)                                                         \
                                o[i] = as[i] * as[i];                                              \
                        else                                                                       \
                                o[i] = POW_##T(as[i], b);                                          \
                return 0;                                                                          \
        }
FLOATS(KERNEL_POW, )

/* ---- integers ---- */

static inline uint64_t pow_integer(uint64_t base, uint64_t exponent)
{
        uint64_t result = 1;

        for (uint64_t square = base; exponent; exponent >>= 1, square *= square)
                if (exponent & 1)
                        result *= square;
        return result;
}

/* a < 1: a == 0 or less, without a warning for what is unsigned */
#define IS_NEGATIVE(x) ((x) < 1 && (x) != 0)
#define KERNEL_POW_INTEGER_FORM(T, form, index1, index2)                                           \
        static unsigned binary_POW_##T##_##form(size_t n, void *out, const void *x1,               \
                                                const void *x2)                                    \
        {                                                                                          \
                at_##T *o = out;                                                                   \
                const at_##T *as = x1, *bs = x2;                                                   \
                const type_##T a0 = as[0], b0 = bs[0];                                             \
                unsigned refused = 0;                                                              \
                                                                                                   \
                (void)a0;                                                                          \
                (void)b0;                                                                          \
                for (size_t i = 0; i < n; i++) {                                                   \
                        const type_##T a = index1, b = index2;                                     \
                                                                                                   \
                        refused |= IS_NEGATIVE(b);                                                 \
                        o[i] = (type_##T)(IS_NEGATIVE(b) ? 0                                       \
                                                         : pow_integer((uint64_t)a, (uint64_t)b)); \
                }                                                                                  \
                return refused;                                                                    \
        }
#define KERNEL_POW_INTEGER(T, ...)                                                                 \
        KERNEL_POW_INTEGER_FORM(T, VV, as[i], bs[i])                                               \
        KERNEL_POW_INTEGER_FORM(T, VS, as[i], b0)                                                  \
        KERNEL_POW_INTEGER_FORM(T, SV, a0, bs[i])
INTEGERS(KERNEL_POW_INTEGER, )

KERNELS_FILL(power)
{
        REALS(ENTER_BINARY, POW)
        FLOATS(ENTER_PADDED, POW)
}
