/* SPDX-License-Identifier: MIT */
/*
 * Folds of a block
 *
 * Sums run in KERNEL_LANES lanes, written out, since their order counts; extrema of integers in any
 * order. NaN wins, as in maximum and minimum.
 */
#include "compute/kernels/set.h"

#include <math.h>

#define KERNEL_FOLD(op, T, identity, fold, one)                                                    \
        static void fold_##op##_##T(size_t n, void *out, const void *x)                            \
        {                                                                                          \
                vec_##T lanes[VECTORS(sizeof(type_##T))];                                          \
                type_##T values[KERNEL_LANES];                                                     \
                const vec_##T *xs = x;                                                             \
                const at_##T *tail;                                                                \
                size_t i;                                                                          \
                                                                                                   \
                for (size_t j = 0; j < KERNEL_LANES; j++)                                          \
                        values[j] = (identity);                                                    \
                memcpy(lanes, values, sizeof(values));                                             \
                for (i = 0; i + KERNEL_LANES <= n;                                                 \
                     i += KERNEL_LANES, xs += VECTORS(sizeof(type_##T)))                           \
                        for (size_t j = 0; j < VECTORS(sizeof(type_##T)); j++) {                   \
                                const vec_##T a = lanes[j], b = xs[j];                             \
                                                                                                   \
                                lanes[j] = fold;                                                   \
                        }                                                                          \
                memcpy(values, lanes, sizeof(values));                                             \
                tail = (const at_##T *)xs;                                                         \
                for (size_t j = 0; i + j < n; j++) {                                               \
                        const type_##T a = values[j], b = tail[j];                                 \
                                                                                                   \
                        values[j] = one;                                                           \
                }                                                                                  \
                for (size_t half = KERNEL_LANES / 2; half; half /= 2)                              \
                        for (size_t j = 0; j < half; j++) {                                        \
                                const type_##T a = values[j], b = values[half + j];                \
                                                                                                   \
                                values[j] = one;                                                   \
                        }                                                                          \
                memcpy(out, values, sizeof(values[0]));                                            \
        }
KERNEL_FOLD(ADD, INT64, 0, (vec_INT64)((vec_UINT64)a + (vec_UINT64)b),
            (int64_t)((uint64_t)a + (uint64_t)b))
KERNEL_FOLD(ADD, FLOAT64, 0, a + b, a + b)

#define EXTREMUM_OF_FLOATS(T, ...)                                                                 \
        KERNEL_FOLD(MAXIMUM, T, -(type_##T)INFINITY, SELECT(T, (a >= b) | (a != a), a, b),         \
                    (a >= b) | (a != a) ? a : b)                                                   \
        KERNEL_FOLD(MINIMUM, T, (type_##T)INFINITY, SELECT(T, (a <= b) | (a != a), a, b),          \
                    (a <= b) | (a != a) ? a : b)
FLOATS(EXTREMUM_OF_FLOATS, )

/* n is not 0 */
#define KERNEL_EXTREMUM(T, op, sign)                                                               \
        static void fold_##op##_##T(size_t n, void *out, const void *x)                            \
        {                                                                                          \
                const at_##T *xs = x;                                                              \
                type_##T value = xs[0];                                                            \
                                                                                                   \
                for (size_t i = 1; i < n; i++)                                                     \
                        value = xs[i] sign value ? xs[i] : value;                                  \
                *(at_##T *)out = value;                                                            \
        }
INTEGERS(KERNEL_EXTREMUM, MAXIMUM, >)
INTEGERS(KERNEL_EXTREMUM, MINIMUM, <)

static void fold_MAXIMUM_BOOL(size_t n, void *out, const void *x)
{
        const uint8_t *xs = x;
        uint8_t any = 0;

        for (size_t i = 0; i < n; i++)
                any |= xs[i];
        *(uint8_t *)out = any != 0;
}

static void fold_MINIMUM_BOOL(size_t n, void *out, const void *x)
{
        const uint8_t *xs = x;
        uint8_t all = 1;

        for (size_t i = 0; i < n; i++)
                all &= xs[i] != 0;
        *(uint8_t *)out = all;
}

#define ENTER_FOLD(T, op, ...) kernels->fold[TD_OP_##op][TD_##T] = fold_##op##_##T;

KERNELS_FILL(fold)
{
        ENTER_FOLD(INT64, ADD)
        ENTER_FOLD(FLOAT64, ADD)
        BOOLS(ENTER_FOLD, MAXIMUM)
        BOOLS(ENTER_FOLD, MINIMUM)
        REALS(ENTER_FOLD, MAXIMUM)
        REALS(ENTER_FOLD, MINIMUM)
}
