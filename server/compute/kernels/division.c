/* SPDX-License-Identifier: MIT */
/*
 * Division with rest
 *
 * The quotient is rounded down, the rest has the sign of the divisor, as in Python. Integers
 * divided by 0 give 0, and the most negative one by -1 itself. Floats as numpy has them, by fmod:
 * the quotient of rounded operands may be one off.
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

#define DIVISION_FLOAT(T, ...)                                                                     \
        static inline type_##T rest_##T(type_##T a, type_##T b)                                    \
        {                                                                                          \
                const type_##T rest = FMOD(a, b);                                                  \
                                                                                                   \
                if (b == 0 || rest != rest)                                                        \
                        return rest;                                                               \
                if (rest == 0)                                                                     \
                        return WITH_SIGN(rest, b);                                                 \
                return (rest < 0) != (b < 0) ? rest + b : rest;                                    \
        }                                                                                          \
        static inline type_##T quotient_##T(type_##T a, type_##T b)                                \
        {                                                                                          \
                const type_##T rest = FMOD(a, b);                                                  \
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

#define DIVISION(T, BINARY)                                                                        \
        BINARY(T, FLOOR_DIVIDE, SAME, quotient_##T(a, b))                                          \
        BINARY(T, REMAINDER, SAME, rest_##T(a, b))

REALS(DIVISION, KERNEL_BINARY)

KERNELS_FILL(division)
{
        REALS(DIVISION, ENTER_BINARY)
}
