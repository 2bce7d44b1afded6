/* SPDX-License-Identifier: MIT */
/*
 * Folds
 *
 * Where the order of elements counts, in sums and products and, for the sake of NaN and of the sign
 * of 0, in extrema of floats, lanes are written out as vectors. All else is left to the vectoriser:
 * integers are folded in any order, and each column is folded by itself.
 */
#include "compute/kernels/set.h"

#ifdef VEC
#include <immintrin.h>
#endif

#define UNROLL _Pragma("GCC unroll 32")
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

/* GCC 12 contracts a product and a sum where it vectorises a sum beside a difference, whatever
 * -ffp-contract says. */
static __attribute__((noinline, optimize("no-tree-vectorize"))) type_COMPLEX128
multiply_pairs(type_COMPLEX128 a, type_COMPLEX128 b)
{
        type_COMPLEX128 c;

        __real__ c = __real__ a * __real__ b - __imag__ a * __imag__ b;
        __imag__ c = __real__ a * __imag__ b + __imag__ a * __real__ b;
        return c;
}

/* ---- rows ---- */

#define ROWS(name, S)                                                                              \
        static void rows_##name##_##S(size_t n_rows, size_t n, void *out, const void *x,           \
                                      ptrdiff_t stride, const void *means)
#define ROW(x, r) ((const void *)((const char *)(x) + (ptrdiff_t)(r)*stride))
#define NO_MEAN(A, r) 0
#define MEAN(A, r) ((const at_##A *)means)[r]

/* Lanes, which are overwritten; the value is the first. per: numbers that make one element, and are
 * folded apart. */
#define COMBINE_LANES(name, A, per, fold)                                                          \
        static __attribute__((noinline)) void lanes_##name##_##A##_##per(type_##A *values)         \
        {                                                                                          \
                UNROLL for (size_t half = KERNEL_LANES / 2 * (per); half >= (per); half /= 2)      \
                        UNROLL for (size_t j = 0; j < half; j++)                                   \
                                values[j] = fold(values[j], values[j + half]);                     \
        }
#ifndef VEC
COMBINE_LANES(ADD, UINT64, 1, ADD)
COMBINE_LANES(ADD, FLOAT64, 1, ADD)
COMBINE_LANES(ADD, FLOAT64, 2, ADD)
COMBINE_LANES(MULTIPLY, UINT64, 1, MULTIPLY)
COMBINE_LANES(MULTIPLY, FLOAT64, 1, MULTIPLY)
#endif

/*
 * Rows go side by side, so that additions need not wait for one another, and what is left of many
 * is folded by columns, after a transposition in steps. GROUP: how many vectors' worth of rows;
 * BESIDE: how many at a time, of N vectors each.
 */
#ifdef VEC
#define INLINE static inline __attribute__((always_inline))
#define BESIDE(N) ((N) <= VEC / 8 ? (N) <= VEC / 16 ? 4 : 2 : 1)
#define ITEMS(A) (VEC / sizeof(type_##A))
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
COMBINE_ROWS(ADD, UINT64, 1, FLOAT64, ADD)
COMBINE_ROWS(ADD, FLOAT64, 1, FLOAT64, ADD)
COMBINE_ROWS(ADD, FLOAT64, 2, FLOAT64, ADD)
COMBINE_ROWS(MULTIPLY, UINT64, 1, FLOAT64, MULTIPLY)
COMBINE_ROWS(MULTIPLY, FLOAT64, 1, FLOAT64, MULTIPLY)

#define ROWS_BESIDE(name, S, T, A, per, mean, vector, element, fold)                               \
        INLINE void beside_##name##_##S(const size_t n_rows, size_t n, vec_##A *out,               \
                                        const void *x, ptrdiff_t stride, const void *means)        \
        {                                                                                          \
                enum { N = KERNEL_LANES * (per) / WIDE_ITEMS };                                    \
                type_##A m[4];                                                                     \
                vec_##A lanes[4][N];                                                               \
                size_t i = 0;                                                                      \
                                                                                                   \
                (void)means;                                                                       \
                (void)m;                                                                           \
                UNROLL for (size_t r = 0; r < n_rows; r++)                                         \
                {                                                                                  \
                        m[r] = mean(A, r);                                                         \
                        UNROLL for (size_t j = 0; j < N; j++) lanes[r][j] = BEGIN_##fold(A);       \
                }                                                                                  \
                for (; i + KERNEL_LANES <= n; i += KERNEL_LANES)                                   \
                        UNROLL for (size_t r = 0; r < n_rows; r++)                                 \
                        {                                                                          \
                                const part_##T *p = (const void *)((const at_##T *)ROW(x, r) +     \
                                                                   i * (per));                     \
                                                                                                   \
                                UNROLL for (size_t j = 0; j < N; j++)                              \
                                        lanes[r][j] = fold(lanes[r][j], vector(p[j], m[r]));       \
                        }                                                                          \
                UNROLL for (size_t r = 0; r < n_rows; r++)                                         \
                {                                                                                  \
                        if (i < n) {                                                               \
                                const at_##T *xs = (const at_##T *)ROW(x, r) + i * (per);          \
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
                        out[r] = lanes[r][0];                                                      \
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
                        AT_ONCE = BESIDE(N) < GROUP ? BESIDE(N) : GROUP                            \
                };                                                                                 \
                const at_##A *m = means;                                                           \
                size_t r = 0;                                                                      \
                                                                                                   \
                for (; r + GROUP <= n_rows; r += GROUP) {                                          \
                        vec_##A v[GROUP];                                                          \
                                                                                                   \
                        UNROLL for (size_t k = 0; k < GROUP; k += AT_ONCE)                         \
                                beside_##name##_##S(AT_ONCE, n, v + k, ROW(x, r + k), stride,      \
                                                    m ? m + (r + k) * (per) : NULL);               \
                        v[0] = rows_to_one_##fold##_##A##_##per(v);                                \
                        memcpy((at_##A *)out + r * (per), v, sizeof(v[0]));                        \
                }                                                                                  \
                for (; r < n_rows; r++) {                                                          \
                        vec_##A v;                                                                 \
                        type_##A values[WIDE_ITEMS];                                               \
                                                                                                   \
                        beside_##name##_##S(1, n, &v, ROW(x, r), stride, m ? m + r *(per) : NULL); \
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

/* In any order, in a type that the vectoriser likes. */
#define ROWS_FREE(S, name, A, type, start, element, fold)                                          \
        ROWS(name, S)                                                                              \
        {                                                                                          \
                (void)means;                                                                       \
                for (size_t r = 0; r < n_rows; r++) {                                              \
                        const at_##S *xs = ROW(x, r);                                              \
                        type value = (type)start;                                                  \
                                                                                                   \
                        for (size_t i = 0; i < n; i++)                                             \
                                value = (type)fold(value, element(xs[i], 0));                      \
                        ((at_##A *)out)[r] = (at_##A)value;                                        \
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

#include "compute/kernels/fold_extrema.h"

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

COMBINE(ADD, UINT64, 1, ADD)
COMBINE(ADD, FLOAT64, 1, ADD)
COMBINE(ADD, COMPLEX128, 1, ADD)
COMBINE(MULTIPLY, UINT64, 1, MULTIPLY)
COMBINE(MULTIPLY, FLOAT64, 1, MULTIPLY)
COMBINE(MULTIPLY, COMPLEX128, 1, MULTIPLY_PAIRS)
COMBINE(ANY, BOOL, 1, OR)
COMBINE(ALL, BOOL, 1, AND)

#define FINISH(A, R)                                                                               \
        static void finish_##R(size_t n, void *out, const void *values, double divisor,            \
                               bool is_root)                                                       \
        {                                                                                          \
                const at_##A *xs = values;                                                         \
                at_##R *o = out;                                                                   \
                                                                                                   \
                if (is_root)                                                                       \
                        NO_ALIAS for (size_t i = 0; i < n; i++)                                    \
                                o[i] = (type_##R)__builtin_sqrt(__real__(xs[i] / divisor));        \
                else                                                                               \
                        NO_ALIAS for (size_t i = 0; i < n; i++)                                    \
                                o[i] = (type_##R)(xs[i] / divisor);                                \
        }
FINISH(FLOAT64, FLOAT32)
FINISH(FLOAT64, FLOAT64)
FINISH(COMPLEX128, COMPLEX64)
FINISH(COMPLEX128, COMPLEX128)

/* ---- the place of an extremum ---- */

#define FIND(T, ...)                                                                               \
        static size_t find_##T(size_t n, const void *x, const void *value)                         \
        {                                                                                          \
                const at_##T *xs = x;                                                              \
                const type_##T v = *(const at_##T *)value;                                         \
                size_t i = 0;                                                                      \
                                                                                                   \
                for (; i + 64 <= n; i += 64) {                                                     \
                        flag_##T any = 0;                                                          \
                                                                                                   \
                        for (size_t j = 0; j < 64; j++) {                                          \
                                const type_##T e = READ_##T(xs[i + j]);                            \
                                                                                                   \
                                any |= (e == v) | ((e != e) & (v != v));                           \
                        }                                                                          \
                        if (any)                                                                   \
                                break;                                                             \
                }                                                                                  \
                for (; i < n; i++) {                                                               \
                        const type_##T e = READ_##T(xs[i]);                                        \
                                                                                                   \
                        if ((e == v) | ((e != e) & (v != v)))                                      \
                                break;                                                             \
                }                                                                                  \
                return i;                                                                          \
        }
BOOLS(FIND, )
REALS(FIND, )

#define BETTER(T, which, sign)                                                                     \
        static void better_##which##_##T(size_t n, void *best, int64_t *indices, const void *row,  \
                                         int64_t index)                                            \
        {                                                                                          \
                const at_##T *xs = row;                                                            \
                at_##T *bests = best;                                                              \
                                                                                                   \
                NO_ALIAS for (size_t c = 0; c < n; c++)                                            \
                {                                                                                  \
                        const type_##T e = READ_##T(xs[c]), b = bests[c];                          \
                        const bool is_better = (e sign b) | ((e != e) & (b == b));                 \
                                                                                                   \
                        bests[c] = is_better ? e : b;                                              \
                        indices[c] = is_better ? index : indices[c];                               \
                }                                                                                  \
        }
BOOLS(BETTER, MAX, >)
REALS(BETTER, MAX, >)
BOOLS(BETTER, MIN, <)
REALS(BETTER, MIN, <)

/* ---- all of them ---- */

#define BOTH(name, S, T, A, per, mean, begin, vector, element, fold)                               \
        ROWS_LANES(name, S, T, A, per, mean, vector, element, fold)                                \
        COLUMNS(name, S, T, A, A, per, mean, begin, element, fold)
#define SUM_OF_INTEGERS(T, ...)                                                                    \
        BOTH(SUM, T, T, UINT64, 1, NO_MEAN, 0, VECTOR_AS_UINT64, AS_UINT64, ADD)
#define SUM_OF_FLOATS(T, ...)                                                                      \
        BOTH(SUM, T, T, FLOAT64, 1, NO_MEAN, -0.0, VECTOR_OF_##T, AS_FLOAT64, ADD)
INTEGERS(SUM_OF_INTEGERS, )
FLOATS(SUM_OF_FLOATS, )
BOTH(SUM, BOOL, BOOL, UINT64, 1, NO_MEAN, 0, VECTOR_AS_SET, AS_SET, ADD)
BOTH(SUM, COMPLEX64, FLOAT32, FLOAT64, 2, NO_MEAN, -0.0, VECTOR_OF_FLOAT32, AS_FLOAT64, ADD)
BOTH(SUM, COMPLEX128, FLOAT64, FLOAT64, 2, NO_MEAN, -0.0, VECTOR_OF_FLOAT64, AS_FLOAT64, ADD)

BOTH(PROD, UINT64, UINT64, UINT64, 1, NO_MEAN, 1, VECTOR_AS_UINT64, AS_UINT64, MULTIPLY)
BOTH(PROD, FLOAT64, FLOAT64, FLOAT64, 1, NO_MEAN, 1, VECTOR_OF_FLOAT64, AS_FLOAT64, MULTIPLY)
ROWS_ONE(PROD, COMPLEX128, COMPLEX128, COMPLEX128, NO_MEAN, AS_IT_IS, MULTIPLY_PAIRS)
COLUMNS_ONE(PROD, COMPLEX128, COMPLEX128, COMPLEX128, NO_MEAN, AS_IT_IS, MULTIPLY_PAIRS)

#define SQUARES(T, ...)                                                                            \
        BOTH(SQUARES, T, T, FLOAT64, 1, MEAN, -0.0, VECTOR_SQUARE_OF_##T, AS_SQUARE, ADD)
FLOATS(SQUARES, )
ROWS_ONE(SQUARES, COMPLEX128, FLOAT64, COMPLEX128, MEAN, AS_SQUARE_OF_COMPLEX, ADD)
COLUMNS_ONE(SQUARES, COMPLEX128, FLOAT64, COMPLEX128, MEAN, AS_SQUARE_OF_COMPLEX, ADD)

#define EXTREMUM_OF_INTEGERS(T, which, fold)                                                       \
        ROWS_FREE(T, which, T, type_##T, xs[0], AS_IT_IS, fold)                                    \
        COLUMNS(which, T, T, T, T, 1, NO_MEAN, ((const at_##T *)(const void *)rows[l])[c],         \
                AS_IT_IS, fold)                                                                    \
        COMBINE(which, T, 1, fold)
INTEGERS(EXTREMUM_OF_INTEGERS, MAX, GREATER)
INTEGERS(EXTREMUM_OF_INTEGERS, MIN, LESS)

#define EXTREMUM_OF_FLOATS(which, T, f, worst, fold)                                               \
        ROWS_EXTREMUM(which, T, f, fold)                                                           \
        COLUMNS_OF_FLOATS(which, T, worst, fold)                                                   \
        COMBINE(which, T, 1, fold)
EXTREMUM_OF_FLOATS(MAX, FLOAT32, ps, -__builtin_inff(), LARGER)
EXTREMUM_OF_FLOATS(MIN, FLOAT32, ps, __builtin_inff(), SMALLER)
EXTREMUM_OF_FLOATS(MAX, FLOAT64, pd, -__builtin_inf(), LARGER)
EXTREMUM_OF_FLOATS(MIN, FLOAT64, pd, __builtin_inf(), SMALLER)

#define TESTS(T, ...)                                                                              \
        ROWS_FREE(T, ANY, BOOL, flag_##T, 0, AS_SET, OR)                                           \
        ROWS_FREE(T, ALL, BOOL, flag_##T, 1, AS_SET, AND)                                          \
        ROWS_FREE(T, COUNT, UINT64, count_##T, 0, AS_SET, ADD)                                     \
        COLUMNS(ANY, T, T, BOOL, BOOL, 1, NO_MEAN, 0, AS_SET, OR)                                  \
        COLUMNS(ALL, T, T, BOOL, BOOL, 1, NO_MEAN, 1, AS_SET, AND)                                 \
        COLUMNS(COUNT, T, T, UINT64, UINT64, 1, NO_MEAN, 0, AS_SET, ADD)
UNSIGNED(TESTS, )
FLOATS(TESTS, )
COMPLEXES(TESTS, )

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
#define ENTER_EXTREMA(T, ...) ENTER(MAX, T, MAX, T, MAX, T) ENTER(MIN, T, MIN, T, MIN, T)
#define ENTER_TESTS(T, S)                                                                          \
        ENTER(ANY, T, ANY, S, ANY, BOOL)                                                           \
        ENTER(ALL, T, ALL, S, ALL, BOOL)                                                           \
        ENTER(COUNT, T, COUNT, S, ADD, UINT64)
#define ENTER_FIND(T, ...)                                                                         \
        kernels->find[TD_##T] = find_##T;                                                          \
        kernels->better[0][TD_##T] = better_MAX_##T;                                               \
        kernels->better[1][TD_##T] = better_MIN_##T;
#define ENTER_FINISH(T, ...) kernels->finish[TD_##T] = finish_##T;

KERNELS_FILL(fold)
{
        BOOLS(ENTER_SAME, SUM, ADD, UINT64)
        INTEGERS(ENTER_SAME, SUM, ADD, UINT64)
        FLOATS(ENTER_SAME, SUM, ADD, FLOAT64)
        COMPLEXES(ENTER_SAME, SUM, ADD, COMPLEX128)
        ENTER(PROD, INT64, PROD, UINT64, MULTIPLY, UINT64)
        ENTER(PROD, UINT64, PROD, UINT64, MULTIPLY, UINT64)
        ENTER(PROD, FLOAT64, PROD, FLOAT64, MULTIPLY, FLOAT64)
        ENTER(PROD, COMPLEX128, PROD, COMPLEX128, MULTIPLY, COMPLEX128)
        FLOATS(ENTER_SAME, SQUARES, ADD, FLOAT64)
        ENTER(SQUARES, COMPLEX128, SQUARES, COMPLEX128, ADD, FLOAT64)
        REALS(ENTER_EXTREMA, )
        ENTER(MAX, BOOL, ANY, UINT8, ANY, BOOL)
        ENTER(MIN, BOOL, ALL, UINT8, ALL, BOOL)
        ENTER_TESTS(BOOL, UINT8)
        ENTER_TESTS(INT8, UINT8)
        ENTER_TESTS(INT16, UINT16)
        ENTER_TESTS(INT32, UINT32)
        ENTER_TESTS(INT64, UINT64)
        ENTER_TESTS(UINT8, UINT8)
        ENTER_TESTS(UINT16, UINT16)
        ENTER_TESTS(UINT32, UINT32)
        ENTER_TESTS(UINT64, UINT64)
        ENTER_TESTS(FLOAT32, FLOAT32)
        ENTER_TESTS(FLOAT64, FLOAT64)
        ENTER_TESTS(COMPLEX64, COMPLEX64)
        ENTER_TESTS(COMPLEX128, COMPLEX128)
        BOOLS(ENTER_FIND, )
        REALS(ENTER_FIND, )
        FLOATS(ENTER_FINISH, )
        COMPLEXES(ENTER_FINISH, )
}
