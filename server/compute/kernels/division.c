/* SPDX-License-Identifier: MIT */
/*
 * Division with rest
 *
 * The quotient is rounded down, the rest has the sign of the divisor, as in Python. Integers
 * divided by 0 give 0, and the most negative one by -1 itself. Floats as numpy has them, by fmod:
 * the quotient of rounded operands may be one off.
 *
 * fmod goes bit by bit. Where the quotient has no more bits than a float, what is cut off the
 * rounded one is right or one too far, and a product that is rounded with its sum leaves exactly
 * what is left: the same bits, many at a time.
 */
#include "compute/kernels/set.h"

#include <math.h>

#define DIVISION_SIGNED(T, ...)                                                                    \
        static inline type_##T quotient_##T(type_##T a, type_##T b)                                \
        {                                                                                          \
                if (b == 0)                                                                        \
                        return 0;                                                                  \
                if (b == -1)                                                                       \
                        return (type_##T)(0 - (wide_##T)a);                                        \
                return (type_##T)(a / b - (a % b != 0 && (a % b < 0) != (b < 0)));                 \
        }                                                                                          \
        static inline type_##T rest_##T(type_##T a, type_##T b)                                    \
        {                                                                                          \
                if (b == 0 || b == -1)                                                             \
                        return 0;                                                                  \
                return (type_##T)(a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0));         \
        }
SIGNED(DIVISION_SIGNED, )

#define DIVISION_UNSIGNED(T, ...)                                                                  \
        static inline type_##T quotient_##T(type_##T a, type_##T b)                                \
        {                                                                                          \
                return (type_##T)(b ? a / b : 0);                                                  \
        }                                                                                          \
        static inline type_##T rest_##T(type_##T a, type_##T b)                                    \
        {                                                                                          \
                return (type_##T)(b ? a % b : 0);                                                  \
        }
UNSIGNED(DIVISION_UNSIGNED, )

#define FMOD(a, b) _Generic((a), float : fmodf, double : fmod)(a, b)
#define FLOOR_OF(x) _Generic((x), float : __builtin_floorf, double : __builtin_floor)(x)
#define WITH_SIGN(x, y)                                                                            \
        _Generic((x), float : __builtin_copysignf, double : __builtin_copysign)(x, y)

/* from what fmod left of a */
#define DIVISION_FLOAT(T, ...)                                                                     \
        static inline type_##T rest_##T(type_##T a, type_##T b, type_##T rest)                     \
        {                                                                                          \
                (void)a;                                                                           \
                if (b == 0 || rest != rest)                                                        \
                        return rest;                                                               \
                if (rest == 0)                                                                     \
                        return WITH_SIGN(rest, b);                                                 \
                return (rest < 0) != (b < 0) ? rest + b : rest;                                    \
        }                                                                                          \
        static inline type_##T quotient_##T(type_##T a, type_##T b, type_##T rest)                 \
        {                                                                                          \
                type_##T quotient, below;                                                          \
                                                                                                   \
                if (b == 0)                                                                        \
                        return a / b;                                                              \
                quotient = (a - rest) / b;                                                         \
                if (rest != 0 && (rest < 0) != (b < 0))                                            \
                        quotient -= 1;                                                             \
                if (quotient == 0)                                                                 \
                        return WITH_SIGN(quotient, a / b);                                         \
                below = FLOOR_OF(quotient);                                                        \
                return quotient - below > (type_##T)0.5 ? below + 1 : below;                       \
        }
FLOATS(DIVISION_FLOAT, )

#ifdef __FMA__
#define FMA(a, b, c) _Generic((a), float : __builtin_fmaf, double : __builtin_fma)(a, b, c)
#define TRUNC_OF(x) _Generic((x), float : __builtin_truncf, double : __builtin_trunc)(x)
#define WHOLE_FLOAT32 0x1p24f
#define WHOLE_FLOAT64 0x1p53
#define NEAR(T, ...)                                                                               \
        static inline type_##T near_##T(type_##T a, type_##T b, unsigned *is_farp)                 \
        {                                                                                          \
                const type_##T quotient = TRUNC_OF(a / b);                                         \
                const type_##T rest = quotient == 0 ? a : FMA(-quotient, b, a);                    \
                                                                                                   \
                *is_farp |= FABS(quotient) < WHOLE_##T ? 0 : 1U;                                   \
                return rest != 0 && (rest < 0) != (a < 0) ? rest + WITH_SIGN(b, a) : rest;         \
        }
FLOATS(NEAR, )
#else
#define near_FLOAT32(a, b, is_farp) (*(is_farp) = 1, (a))
#define near_FLOAT64(a, b, is_farp) (*(is_farp) = 1, (a))
#endif

#define PIECE 64
#define DIVISION_FORM(T, op, form, index1, index2, function)                                       \
        static unsigned binary_##op##_##T##_##form(size_t n, void *out, const void *x1,            \
                                                   const void *x2)                                 \
        {                                                                                          \
                const at_##T *as = x1, *bs = x2;                                                   \
                const type_##T a0 = as[0], b0 = bs[0];                                             \
                at_##T *o = out;                                                                   \
                                                                                                   \
                (void)a0;                                                                          \
                (void)b0;                                                                          \
                for (size_t end, begin = 0; begin < n; begin = end) {                              \
                        type_##T rests[PIECE];                                                     \
                        unsigned is_far = 0;                                                       \
                                                                                                   \
                        end = n - begin < PIECE ? n : begin + PIECE;                               \
                        for (size_t i = begin; i < end; i++)                                       \
                                rests[i - begin] = near_##T(index1, index2, &is_far);              \
                        for (size_t i = begin; is_far && i < end; i++)                             \
                                rests[i - begin] = FMOD(index1, index2);                           \
                        _Pragma("GCC ivdep") for (size_t i = begin; i < end; i++)                  \
                        {                                                                          \
                                o[i] = function(index1, index2, rests[i - begin]);                 \
                        }                                                                          \
                }                                                                                  \
                return 0;                                                                          \
        }
#define DIVISION_FORMS(T, op, function)                                                            \
        DIVISION_FORM(T, op, VV, (type_##T)as[i], (type_##T)bs[i], function)                       \
        DIVISION_FORM(T, op, VS, (type_##T)as[i], b0, function)                                    \
        DIVISION_FORM(T, op, SV, a0, (type_##T)bs[i], function)
#define DIVISIONS_OF_FLOATS(T, ...)                                                                \
        DIVISION_FORMS(T, FLOOR_DIVIDE, quotient_##T)                                              \
        DIVISION_FORMS(T, REMAINDER, rest_##T)
FLOATS(DIVISIONS_OF_FLOATS, )

#define DIVISION(T, BINARY)                                                                        \
        BINARY(T, FLOOR_DIVIDE, SAME, quotient_##T(a, b))                                          \
        BINARY(T, REMAINDER, SAME, rest_##T(a, b))

INTEGERS(DIVISION, KERNEL_BINARY)

KERNELS_FILL(division)
{
        REALS(DIVISION, ENTER_BINARY)
}
