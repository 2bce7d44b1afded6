/* SPDX-License-Identifier: MIT */
/*
 * What every family of folds begins with
 *
 * Where the order of elements counts, in sums and products of floats and, for the sake of NaN and
 * of the sign of 0, in extrema of floats, lanes are written out as vectors. All else is left to the
 * vectoriser: integers are folded in any order, and each column is folded by itself.
 */
#pragma once

#include "compute/kernels/set.h"

#ifdef VEC
#include <immintrin.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNROLL /* a check of each address, unrolled, takes minutes to compile */
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define NO_ALIAS _Pragma("GCC ivdep")

#ifdef VEC
#define WIDE_ITEMS (VEC / 8) /* accumulators of a vector */
#define PART(T, ...) typedef type_##T part_##T VECTOR(WIDE_ITEMS * sizeof(type_##T));
#define WIDEN(A, x) __builtin_convertvector(x, vec_##A)
#define PART_BOOL(x) ((part_BOOL)((x) != 0) & 1)
#if VEC == 64 /* of which GCC 12 makes two halves */
#define WIDEN_FLOATS(x) ((vec_FLOAT64)_mm512_cvtps_pd((__m256)(x)))
#else
#define WIDEN_FLOATS(x) WIDEN(FLOAT64, x)
#endif
#else
#define WIDE_ITEMS 1
#define PART(T, ...) typedef at_##T part_##T;
#define WIDEN(A, x) ((type_##A)(x))
#define WIDEN_FLOATS(x) WIDEN(FLOAT64, x)
#define PART_BOOL(x) READ_BOOL(x)
#endif
BOOLS(PART, )
REALS(PART, )

/* flags and counts as wide as their dtype, if the vectoriser has its way */
typedef uint8_t flag_BOOL, flag_INT8, flag_UINT8;
typedef uint16_t flag_INT16, flag_UINT16, count_UINT8, count_UINT16;
typedef uint32_t flag_INT32, flag_UINT32, flag_FLOAT32, count_UINT32, count_FLOAT32;
typedef uint64_t flag_INT64, flag_UINT64, flag_FLOAT64, flag_COMPLEX64, flag_COMPLEX128,
        count_UINT64, count_FLOAT64, count_COMPLEX64, count_COMPLEX128;

/* elements, from one of memory and a mean */
#define AS_IT_IS(x, m) (x)
#define AS_UINT64(x, m) ((type_UINT64)(x))
#define AS_FLOAT64(x, m) ((type_FLOAT64)(x))
#define AS_SET(x, m) ((x) != 0)
#define AS_SQUARE(x, m) SQUARE((type_FLOAT64)(x), m)
#define AS_SQUARE_OF_COMPLEX(x, m)                                                                 \
        (SQUARE(__real__(x), __real__(m)) + SQUARE(__imag__(x), __imag__(m)))
#define SQUARE(x, m) (((x) - (m)) * ((x) - (m)))
/* the same of a vector */
#define VECTOR_AS_UINT64(x, m) WIDEN(UINT64, x)
#define VECTOR_OF_FLOAT32(x, m) WIDEN_FLOATS(x)
#define VECTOR_OF_FLOAT64(x, m) (x)
#define VECTOR_SQUARE_OF_FLOAT32(x, m) SQUARE(WIDEN_FLOATS(x), m)
#define VECTOR_SQUARE_OF_FLOAT64(x, m) SQUARE(x, m)
#define VECTOR_AS_SET(x, m) WIDEN(UINT64, PART_BOOL(x))

/* two of them */
#define ADD(a, b) ((a) + (b))
#define MULTIPLY(a, b) ((a) * (b))
#define OR(a, b) ((a) | (b))
#define AND(a, b) ((a) & (b))
/* NaN wins; of equals, a stays */
#define LARGER(a, b) (((a) >= (b)) | ((a) != (a)) ? (a) : (b))
#define SMALLER(a, b) (((a) <= (b)) | ((a) != (a)) ? (a) : (b))
#define GREATER(a, b) ((a) > (b) ? (a) : (b))
#define LESS(a, b) ((a) < (b) ? (a) : (b))
#define MULTIPLY_PAIRS(a, b) multiply_pairs(a, b)

/* ---- rows ---- */

#define ROWS(name, S)                                                                              \
        static void rows_##name##_##S(size_t n_rows, size_t n, void *out, const void *x,           \
                                      ptrdiff_t stride, const void *means)
#define ROW(x, r) ((const void *)((const char *)(x) + (ptrdiff_t)(r)*stride))
#define NO_MEAN(A, r) 0
#define MEAN(A, r) ((const at_##A *)means)[r]

/* Lanes one by one; those that no element reached are left out. */
#define ROWS_ONE(name, S, A, M, mean, element, fold)                                               \
        ROWS(name, S)                                                                              \
        {                                                                                          \
                (void)means;                                                                       \
                for (size_t r = 0; r < n_rows; r++) {                                              \
                        const at_##S *xs = ROW(x, r);                                              \
                        const type_##M m = mean(M, r);                                             \
                        type_##A values[KERNEL_LANES];                                             \
                                                                                                   \
                        (void)m;                                                                   \
                        for (size_t i = 0; i < n; i++) {                                           \
                                const type_##A e = element(xs[i], m);                              \
                                const size_t j = i % KERNEL_LANES;                                 \
                                                                                                   \
                                values[j] = i < KERNEL_LANES ? e : fold(values[j], e);             \
                        }                                                                          \
                        for (size_t half = KERNEL_LANES / 2; half; half /= 2)                      \
                                for (size_t j = 0; j < half && j + half < n; j++)                  \
                                        values[j] = fold(values[j], values[j + half]);             \
                        ((at_##A *)out)[r] = values[0];                                            \
                }                                                                                  \
        }

/*
 * In any order, in a type that the vectoriser likes: four quarters side by side, since what the
 * processor fetches by itself ends with a page.
 */
#define ROWS_FREE(S, name, A, type, start, element, fold)                                          \
        ROWS(name, S)                                                                              \
        {                                                                                          \
                const size_t step = n / 4;                                                         \
                                                                                                   \
                (void)means;                                                                       \
                for (size_t r = 0; r < n_rows; r++) {                                              \
                        const at_##S *xs = ROW(x, r);                                              \
                        type a = (type)start, b = a, c = a, d = a;                                 \
                                                                                                   \
                        for (size_t i = 0; i < step; i++) {                                        \
                                a = (type)fold(a, element(xs[i], 0));                              \
                                b = (type)fold(b, element(xs[i + step], 0));                       \
                                c = (type)fold(c, element(xs[i + 2 * step], 0));                   \
                                d = (type)fold(d, element(xs[i + 3 * step], 0));                   \
                        }                                                                          \
                        for (size_t i = 4 * step; i < n; i++)                                      \
                                a = (type)fold(a, element(xs[i], 0));                              \
                        a = (type)fold(a, b);                                                      \
                        c = (type)fold(c, d);                                                      \
                        ((at_##A *)out)[r] = (at_##A)fold(a, c);                                   \
                }                                                                                  \
        }

/* ---- columns ---- */

/*
 * A lane's rows are KERNEL_LANES apart; eight are folded at a time, so that accumulators are read
 * and written less often. begin: changes no element that is folded with it.
 */
#define COLUMNS(name, S, T, A, M, per, mean, begin, element, fold)                                 \
        static void columns_##name##_##S(size_t n_rows, size_t width, void *lanes,                 \
                                         const char *const *rows, const void *means, bool begins)  \
        {                                                                                          \
                const size_t n = width * (per), step = 7 * KERNEL_LANES;                           \
                                                                                                   \
                (void)means;                                                                       \
                for (size_t l = 0; l < n_rows && l < KERNEL_LANES; l++) {                          \
                        at_##A *out = (at_##A *)lanes + l * n;                                     \
                        size_t i = l;                                                              \
                                                                                                   \
                        for (size_t c = 0; begins && c < n; c++)                                   \
                                out[c] = begin;                                                    \
                        for (; i + step < n_rows; i += step + KERNEL_LANES) {                      \
                                const at_##T *x0 = ROW_AT(0), *x1 = ROW_AT(1), *x2 = ROW_AT(2),    \
                                             *x3 = ROW_AT(3), *x4 = ROW_AT(4), *x5 = ROW_AT(5),    \
                                             *x6 = ROW_AT(6), *x7 = ROW_AT(7);                     \
                                                                                                   \
                                NO_ALIAS for (size_t c = 0; c < n; c++)                            \
                                {                                                                  \
                                        const type_##M m = mean(M, c);                             \
                                        type_##A a = out[c];                                       \
                                                                                                   \
                                        (void)m;                                                   \
                                        a = (type_##A)fold(a, (type_##A)element(x0[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x1[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x2[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x3[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x4[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x5[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x6[c], m));        \
                                        a = (type_##A)fold(a, (type_##A)element(x7[c], m));        \
                                        out[c] = a;                                                \
                                }                                                                  \
                        }                                                                          \
                        for (; i < n_rows; i += KERNEL_LANES) {                                    \
                                const at_##T *x0 = ROW_AT(0);                                      \
                                                                                                   \
                                NO_ALIAS for (size_t c = 0; c < n; c++)                            \
                                {                                                                  \
                                        const type_##M m = mean(M, c);                             \
                                                                                                   \
                                        (void)m;                                                   \
                                        out[c] = (type_##A)fold(out[c],                            \
                                                                (type_##A)element(x0[c], m));      \
                                }                                                                  \
                        }                                                                          \
                }                                                                                  \
        }
#define ROW_AT(k) (const void *)rows[i + (k)*KERNEL_LANES]
/* Row by row; a lane begins with its first element. */
#define COLUMNS_ONE(name, S, A, M, mean, element, fold)                                            \
        static void columns_##name##_##S(size_t n_rows, size_t n, void *lanes,                     \
                                         const char *const *rows, const void *means, bool begins)  \
        {                                                                                          \
                (void)means;                                                                       \
                for (size_t i = 0; i < n_rows; i++) {                                              \
                        at_##A *out = (at_##A *)lanes + i % KERNEL_LANES * n;                      \
                        const at_##S *xs = (const void *)rows[i];                                  \
                                                                                                   \
                        for (size_t c = 0; c < n; c++) {                                           \
                                const type_##M m = mean(M, c);                                     \
                                const type_##A a = element(xs[c], m);                              \
                                                                                                   \
                                (void)m;                                                           \
                                out[c] = begins && i < KERNEL_LANES ? a : fold(out[c], a);         \
                        }                                                                          \
                }                                                                                  \
        }

/* ---- accumulators ---- */

#define COMBINE(name, A, per, fold)                                                                \
        static void combine_##name##_##A(size_t n, void *out, const void *x1, const void *x2)      \
        {                                                                                          \
                at_##A *o = out;                                                                   \
                const at_##A *as = x1, *bs = x2;                                                   \
                                                                                                   \
                NO_ALIAS for (size_t i = 0; i < n * (per); i++)                                    \
                {                                                                                  \
                        const type_##A a = as[i], b = bs[i];                                       \
                                                                                                   \
                        o[i] = fold(a, b);                                                         \
                }                                                                                  \
        }

/* ---- entering them into the set ---- */

/* folded by ROWS_FREE(), whatever the dtype */
#define FREE_SUM false
#define FREE_PROD false
#define FREE_MAX false
#define FREE_MIN false
#define FREE_SQUARES false
#define FREE_ANY true
#define FREE_ALL true
#define FREE_COUNT true

/* what is folded, source, whose kernels, which combine, accumulator */
#define ENTER(which, T, name, S, fold, A)                                                          \
        kernels->folds[FOLD_##which][TD_##T] =                                                     \
                (struct kernel_fold){                                                              \
                        rows_##name##_##S, columns_##name##_##S, combine_##fold##_##A, TD_##A,     \
                        FREE_##which,                                                              \
                };
#define ENTER_SAME(T, name, fold, A) ENTER(name, T, name, T, fold, A)
