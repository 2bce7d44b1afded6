/* SPDX-License-Identifier: MIT */
/*
 * Functions of real numbers
 *
 * Of libm in the plain set, of libmvec in the others, which stays within 4 units in the last place
 * and is right for NaN, infinities, zeros, subnormal numbers and huge arguments. Padded: they take
 * whole vectors, so that an element's bits do not depend on its place.
 */
#include "compute/kernels/set.h"

#define MATH_OF_FLOAT32(arguments, name) MATH_FLOAT32(arguments, name##f)
#define MATH_OF_FLOAT64(arguments, name) MATH_FLOAT64(arguments, name)

/* in both kernels n is a multiple of KERNEL_LANES */
#define KERNEL_MATH(T, op, name)                                                                   \
        __attribute__((const)) vec_##T MATH_OF_##T(v, name)(vec_##T);                              \
        static unsigned unary_##op##_##T(size_t n, void *out, const void *x)                       \
        {                                                                                          \
                vec_##T *o = out;                                                                  \
                const vec_##T *xs = x;                                                             \
                                                                                                   \
                for (size_t i = 0; i < n * sizeof(type_##T) / sizeof(vec_##T); i++)                \
                        o[i] = MATH_OF_##T(v, name)(xs[i]);                                        \
                return 0;                                                                          \
        }

#define KERNEL_MATH_FORM(T, op, function, form, vector1, vector2)                                  \
        static unsigned binary_##op##_##T##_##form(size_t n, void *out, const void *x1,            \
                                                   const void *x2)                                 \
        {                                                                                          \
                vec_##T *o = out;                                                                  \
                const vec_##T *as = x1, *bs = x2;                                                  \
                const vec_##T a0 = SPLAT(T, *(const at_##T *)x1),                                  \
                              b0 = SPLAT(T, *(const at_##T *)x2);                                  \
                                                                                                   \
                (void)as, (void)bs, (void)a0, (void)b0;                                            \
                for (size_t i = 0; i < n * sizeof(type_##T) / sizeof(vec_##T); i++)                \
                        o[i] = function(vector1, vector2);                                         \
                return 0;                                                                          \
        }
#define KERNEL_MATH_FORMS(T, op, function)                                                         \
        KERNEL_MATH_FORM(T, op, function, VV, as[i], bs[i])                                        \
        KERNEL_MATH_FORM(T, op, function, VS, as[i], b0)                                           \
        KERNEL_MATH_FORM(T, op, function, SV, a0, bs[i])
#define KERNEL_MATH2(T, op, name)                                                                  \
        __attribute__((const)) vec_##T MATH_OF_##T(vv, name)(vec_##T, vec_##T);                    \
        KERNEL_MATH_FORMS(T, op, MATH_OF_##T(vv, name))

#define KERNELS(UNARY, BINARY)                                                                     \
        FLOATS(UNARY, EXP, exp)                                                                    \
        FLOATS(UNARY, EXPM1, expm1)                                                                \
        FLOATS(UNARY, LOG, log)                                                                    \
        FLOATS(UNARY, LOG1P, log1p)                                                                \
        FLOATS(UNARY, LOG2, log2)                                                                  \
        FLOATS(UNARY, LOG10, log10)                                                                \
        FLOATS(UNARY, SIN, sin)                                                                    \
        FLOATS(UNARY, COS, cos)                                                                    \
        FLOATS(UNARY, TAN, tan)                                                                    \
        FLOATS(UNARY, ASIN, asin)                                                                  \
        FLOATS(UNARY, ACOS, acos)                                                                  \
        FLOATS(UNARY, ATAN, atan)                                                                  \
        FLOATS(UNARY, SINH, sinh)                                                                  \
        FLOATS(UNARY, COSH, cosh)                                                                  \
        FLOATS(UNARY, TANH, tanh)                                                                  \
        FLOATS(UNARY, ASINH, asinh)                                                                \
        FLOATS(UNARY, ACOSH, acosh)                                                                \
        FLOATS(UNARY, ATANH, atanh)                                                                \
        FLOATS(BINARY, ATAN2, atan2)                                                               \
        FLOATS(BINARY, HYPOT, hypot)

KERNELS(KERNEL_MATH, KERNEL_MATH2)

/*
 * The larger plus what the smaller adds; where both are equal, infinities included, that is the
 * logarithm of 2. A NaN is in the difference. What the difference was rounded by (Knuth's exact
 * sum) goes into the exponential's result: beside a larger near 0 that is several ulp of the whole.
 */
#define LOGADDEXP(T, ...)                                                                          \
        static inline vec_##T logaddexp_##T(vec_##T a, vec_##T b)                                  \
        {                                                                                          \
                const vec_##T larger = SELECT(T, a > b, a, b), smaller = SELECT(T, a > b, b, a);   \
                const vec_##T minus = smaller - larger, back = minus - smaller;                    \
                const vec_##T rest = (smaller - (minus - back)) - (larger + back);                 \
                const vec_##T known = SELECT(T, rest == rest, rest, SPLAT(T, 0));                  \
                const vec_##T added = MATH_OF_##T(v, exp)(minus);                                  \
                const vec_##T more = MATH_OF_##T(v, log1p)(added + added * known);                 \
                                                                                                   \
                return larger + SELECT(T, a == b, SPLAT(T, (type_##T)0x1.62e42fefa39efp-1), more); \
        }                                                                                          \
        KERNEL_MATH_FORMS(T, LOGADDEXP, logaddexp_##T)
FLOATS(LOGADDEXP, )

KERNELS_FILL(math)
{
        KERNELS(ENTER_UNARY, ENTER_BINARY)
        KERNELS(ENTER_PADDED, ENTER_PADDED)
        FLOATS(ENTER_BINARY, LOGADDEXP)
        FLOATS(ENTER_PADDED, LOGADDEXP)
}
