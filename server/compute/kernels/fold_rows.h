/* SPDX-License-Identifier: MIT */
/*
 * Rows of which several are folded side by side, lanes as vectors
 */
#pragma once

#include "compute/kernels/fold_set.h"

/* Lanes, which are overwritten; the value is the first. per: numbers that make one element, and are
 * folded apart. */
#define COMBINE_LANES(name, A, per, fold)                                                          \
        static __attribute__((noinline)) void lanes_##name##_##A##_##per(type_##A *values)         \
        {                                                                                          \
                UNROLL for (size_t half = KERNEL_LANES / 2 * (per); half >= (per); half /= 2)      \
                        UNROLL for (size_t j = 0; j < half; j++)                                   \
                                values[j] = fold(values[j], values[j + half]);                     \
        }

/*
 * Rows go side by side, so that additions need not wait for one another, and what is left of many
 * is folded by columns, after a transposition in steps. GROUP: how many vectors' worth of rows;
 * BESIDE: how many at a time, of N vectors each, and spread over the group, so that they lie on
 * pages of their own if rows are long.
 */
#ifdef VEC
#define INLINE static inline __attribute__((always_inline))
#define BESIDE(N) ((N) <= VEC / 8 ? (N) <= VEC / 16 ? 4 : 2 : 1)
#define ITEMS(A) (VEC / sizeof(type_##A))
/* What the processor guesses to come next ends with a page, so the next rows are asked for, where
 * a block is less than a page. To ask does no harm, whatever lies there. */
#define LINE 64
#define ASK(p) __builtin_prefetch(p)
/* from the rows k, k + step, ... of a group to those that come next */
#define AHEAD(k, step, group, stride) ((ptrdiff_t)((k) + 1 < (step) ? 1 : (group) - (k)) * (stride))
typedef int32_t places_of_FLOAT32;
typedef int64_t places_of_FLOAT64;
/* vectors of ITEMS rows (by per) to one of their values */
#define COMBINE_ROWS(name, A, per, index, fold)                                                    \
        INLINE vec_##A rows_to_one_##name##_##A##_##per(vec_##A *v)                                \
        {                                                                                          \
                typedef mask_##index places;                                                       \
                places from = { 0 };                                                               \
                                                                                                   \
                UNROLL for (size_t i = 0; i < ITEMS(A); i++) from[i] = (places_of_##index)i;       \
                UNROLL for (size_t half = ITEMS(A) / 2; half >= (per); half /= 2)                  \
                {                                                                                  \
                        const places low = from + (from & -(places_of_##index)half),               \
                                     high = low + (places_of_##index)half;                         \
                                                                                                   \
                        UNROLL for (size_t j = 0; j < half / (per); j++)                           \
                        {                                                                          \
                                const vec_##A a = v[2 * j], b = v[2 * j + 1];                      \
                                                                                                   \
                                v[j] = fold(__builtin_shuffle(a, b, low),                          \
                                            __builtin_shuffle(a, b, high));                        \
                        }                                                                          \
                }                                                                                  \
                return v[0];                                                                       \
        }

#define ROWS_BESIDE(name, S, T, A, per, mean, vector, element, fold)                               \
        INLINE void beside_##name##_##S(const size_t n_rows, size_t n, vec_##A *out,               \
                                        const size_t step, ptrdiff_t ahead, const void *x,         \
                                        ptrdiff_t stride, const void *means)                       \
        {                                                                                          \
                enum {                                                                             \
                        N = KERNEL_LANES * (per) / WIDE_ITEMS,                                     \
                        BYTES = KERNEL_LANES * (per) * sizeof(type_##T)                            \
                };                                                                                 \
                type_##A m[4];                                                                     \
                vec_##A lanes[4][N];                                                               \
                size_t i = 0;                                                                      \
                                                                                                   \
                (void)means;                                                                       \
                (void)m;                                                                           \
                (void)ahead;                                                                       \
                UNROLL for (size_t r = 0; r < n_rows; r++)                                         \
                {                                                                                  \
                        m[r] = mean(A, r * step);                                                  \
                        UNROLL for (size_t j = 0; j < N; j++) lanes[r][j] = BEGIN_##fold(A);       \
                }                                                                                  \
                for (; i + KERNEL_LANES <= n; i += KERNEL_LANES)                                   \
                        UNROLL for (size_t r = 0; r < n_rows; r++)                                 \
                        {                                                                          \
                                const part_##T *p = (const void *)((const at_##T *)ROW(            \
                                                                           x, r * step) +          \
                                                                   i * (per));                     \
                                                                                                   \
                                if (BYTES == LINE)                                                 \
                                        ASK((const char *)p + ahead);                              \
                                UNROLL for (size_t j = 0; j < N; j++)                              \
                                        lanes[r][j] = fold(lanes[r][j], vector(p[j], m[r]));       \
                        }                                                                          \
                UNROLL for (size_t r = 0; r < n_rows; r++)                                         \
                {                                                                                  \
                        if (i < n) {                                                               \
                                const at_##T *xs = (const at_##T *)ROW(x, r * step) + i * (per);   \
                                type_##A values[KERNEL_LANES * (per)];                             \
                                                                                                   \
                                memcpy(values, lanes[r], sizeof(values));                          \
                                for (size_t j = 0; j < (n - i) * (per); j++)                       \
                                        values[j] = fold(values[j], element(xs[j], m[r]));         \
                                memcpy(lanes[r], values, sizeof(values));                          \
                        }                                                                          \
                        UNROLL for (size_t half = N / 2; half; half /= 2)                          \
                                UNROLL for (size_t j = 0; j < half; j++)                           \
                                        lanes[r][j] = fold(lanes[r][j], lanes[r][j + half]);       \
                        out[r * step] = lanes[r][0];                                               \
                }                                                                                  \
        }

/*
 * Lanes as vectors of accumulators A, for elements of T or pairs of such (per 2). They begin with
 * what changes no element that is folded with it.
 */
#define ROWS_LANES(name, S, T, A, per, mean, vector, element, fold)                                \
        ROWS_BESIDE(name, S, T, A, per, mean, vector, element, fold)                               \
        ROWS(name, S)                                                                              \
        {                                                                                          \
                enum {                                                                             \
                        GROUP = WIDE_ITEMS / (per),                                                \
                        N = KERNEL_LANES * (per) / WIDE_ITEMS,                                     \
                        AT_ONCE = BESIDE(N) < GROUP ? BESIDE(N) : GROUP,                           \
                        STEP = GROUP / AT_ONCE                                                     \
                };                                                                                 \
                const at_##A *m = means;                                                           \
                size_t r = 0;                                                                      \
                                                                                                   \
                for (; r + GROUP <= n_rows; r += GROUP) {                                          \
                        vec_##A v[GROUP];                                                          \
                                                                                                   \
                        UNROLL for (size_t k = 0; k < STEP; k++)                                   \
                                beside_##name##_##S(AT_ONCE, n, v + k, STEP,                       \
                                                    AHEAD(k, STEP, GROUP, stride), ROW(x, r + k),  \
                                                    stride, m ? m + (r + k) * (per) : NULL);       \
                        v[0] = rows_to_one_##fold##_##A##_##per(v);                                \
                        memcpy((at_##A *)out + r * (per), v, sizeof(v[0]));                        \
                }                                                                                  \
                for (; r < n_rows; r++) {                                                          \
                        vec_##A v;                                                                 \
                        type_##A values[WIDE_ITEMS];                                               \
                                                                                                   \
                        beside_##name##_##S(1, n, &v, 1, stride, ROW(x, r), stride,                \
                                            m ? m + r *(per) : NULL);                              \
                        memcpy(values, &v, sizeof(v));                                             \
                        UNROLL for (size_t half = WIDE_ITEMS / 2; half >= (per); half /= 2)        \
                                UNROLL for (size_t j = 0; j < half; j++)                           \
                                        values[j] = fold(values[j], values[j + half]);             \
                        memcpy((at_##A *)out + r * (per), values, (per) * sizeof(values[0]));      \
                }                                                                                  \
        }
#else
#define ROWS_LANES(name, S, T, A, per, mean, vector, element, fold)                                \
        ROWS(name, S)                                                                              \
        {                                                                                          \
                enum { N = KERNEL_LANES * (per) / WIDE_ITEMS };                                    \
                                                                                                   \
                (void)means;                                                                       \
                for (size_t r = 0; r < n_rows; r++) {                                              \
                        const at_##T *xs = ROW(x, r);                                              \
                        const type_##A m = mean(A, r);                                             \
                        type_##A values[KERNEL_LANES * (per)];                                     \
                        vec_##A lanes[N];                                                          \
                        size_t i = 0;                                                              \
                                                                                                   \
                        (void)m;                                                                   \
                        UNROLL for (size_t j = 0; j < N; j++) lanes[j] = BEGIN_##fold(A);          \
                        for (; i + KERNEL_LANES <= n; i += KERNEL_LANES) {                         \
                                const part_##T *p = (const void *)(xs + i * (per));                \
                                                                                                   \
                                UNROLL for (size_t j = 0; j < N; j++)                              \
                                        lanes[j] = fold(lanes[j], vector(p[j], m));                \
                        }                                                                          \
                        memcpy(values, lanes, sizeof(values));                                     \
                        for (size_t j = 0; j < (n - i) * (per); j++)                               \
                                values[j] = fold(values[j], element(xs[i * (per) + j], m));        \
                        lanes_##fold##_##A##_##per(values);                                        \
                        memcpy((at_##A *)out + r * (per), values, (per) * sizeof(m));              \
                }                                                                                  \
        }
#endif
/* x + -0.0 is x, also for 0 and -0.0 */
#define BEGIN_ADD(A) (-SPLAT(A, (type_##A)0))
#define BEGIN_MULTIPLY(A) SPLAT(A, (type_##A)1)

#define BOTH(name, S, T, A, per, mean, begin, vector, element, fold)                               \
        ROWS_LANES(name, S, T, A, per, mean, vector, element, fold)                                \
        COLUMNS(name, S, T, A, A, per, mean, begin, element, fold)
