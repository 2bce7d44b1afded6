/* SPDX-License-Identifier: MIT */
/*
 * Extrema
 *
 * Of floats NaN wins, and of equals the first one stays. The processor's own instruction keeps the
 * accumulator where the new element is not better, a NaN included; sums of the elements, NaN if one
 * of them was, tell whether to fold them again in the slow way.
 */
#include "compute/kernels/fold_rows.h"

#ifdef VEC
#if VEC == 64
#define VECTOR_MAX(f, x, a) _mm512_max_##f(x, a)
#define VECTOR_MIN(f, x, a) _mm512_min_##f(x, a)
typedef __m512 reg_ps;
typedef __m512d reg_pd;
#elif VEC == 32
#define VECTOR_MAX(f, x, a) _mm256_max_##f(x, a)
#define VECTOR_MIN(f, x, a) _mm256_min_##f(x, a)
typedef __m256 reg_ps;
typedef __m256d reg_pd;
#else
#define VECTOR_MAX(f, x, a) _mm_max_##f(x, a)
#define VECTOR_MIN(f, x, a) _mm_min_##f(x, a)
typedef __m128 reg_ps;
typedef __m128d reg_pd;
#endif

#define BEST(which, T, f, e, a) ((vec_##T)VECTOR_##which(f, (reg_##f)(e), (reg_##f)(a)))
#define MAX_FLOAT32(a, e) BEST(MAX, FLOAT32, ps, e, a)
#define MIN_FLOAT32(a, e) BEST(MIN, FLOAT32, ps, e, a)
#define MAX_FLOAT64(a, e) BEST(MAX, FLOAT64, pd, e, a)
#define MIN_FLOAT64(a, e) BEST(MIN, FLOAT64, pd, e, a)
COMBINE_ROWS(MAX, FLOAT32, 1, FLOAT32, MAX_FLOAT32)
COMBINE_ROWS(MIN, FLOAT32, 1, FLOAT32, MIN_FLOAT32)
COMBINE_ROWS(MAX, FLOAT64, 1, FLOAT64, MAX_FLOAT64)
COMBINE_ROWS(MIN, FLOAT64, 1, FLOAT64, MIN_FLOAT64)

#define ROWS_EXTREMUM(which, T, f, fold)                                                           \
        ROWS_ONE(SLOW_##which, T, T, T, NO_MEAN, AS_IT_IS, fold)                                   \
        INLINE void beside_##which##_##T(const size_t n_rows, size_t n, vec_##T *out,              \
                                         const size_t step, ptrdiff_t ahead, vec_##T *nanp,        \
                                         const void *x, ptrdiff_t stride)                          \
        {                                                                                          \
                enum { N = VECTORS(sizeof(type_##T)) };                                            \
                vec_##T lanes[4][N], nans[4];                                                      \
                size_t i = KERNEL_LANES;                                                           \
                                                                                                   \
                UNROLL for (size_t r = 0; r < n_rows; r++)                                         \
                {                                                                                  \
                        nans[r] = (vec_##T){ 0 };                                                  \
                        UNROLL for (size_t j = 0; j < N; j++)                                      \
                        {                                                                          \
                                lanes[r][j] = ((const vec_##T *)ROW(x, r * step))[j];              \
                                nans[r] += lanes[r][j];                                            \
                        }                                                                          \
                }                                                                                  \
                for (; i + KERNEL_LANES <= n; i += KERNEL_LANES)                                   \
                        UNROLL for (size_t r = 0; r < n_rows; r++)                                 \
                        {                                                                          \
                                const vec_##T *p = (const void *)((const at_##T *)ROW(             \
                                                                          x, r * step) +           \
                                                                  i);                              \
                                                                                                   \
                                if (sizeof(lanes[0]) == LINE)                                      \
                                        ASK((const char *)p + ahead);                              \
                                UNROLL for (size_t j = 0; j < N; j++)                              \
                                {                                                                  \
                                        nans[r] += p[j];                                           \
                                        lanes[r][j] = which##_##T(lanes[r][j], p[j]);              \
                                }                                                                  \
                        }                                                                          \
                UNROLL for (size_t r = 0; r < n_rows; r++)                                         \
                {                                                                                  \
                        if (i < n) {                                                               \
                                const at_##T *xs = (const at_##T *)ROW(x, r * step) + i;           \
                                type_##T values[KERNEL_LANES], sum = 0;                            \
                                                                                                   \
                                memcpy(values, lanes[r], sizeof(values));                          \
                                for (size_t j = 0; j < n - i; j++) {                               \
                                        sum += xs[j];                                              \
                                        values[j] = fold(values[j], xs[j]);                        \
                                }                                                                  \
                                memcpy(lanes[r], values, sizeof(values));                          \
                                nans[r] += sum;                                                    \
                        }                                                                          \
                        UNROLL for (size_t half = N / 2; half;                                     \
                                    half /= 2) UNROLL for (size_t j = 0; j < half; j++)            \
                                lanes[r][j] = which##_##T(lanes[r][j], lanes[r][j + half]);        \
                        out[r * step] = lanes[r][0];                                               \
                        *nanp += nans[r];                                                          \
                }                                                                                  \
        }                                                                                          \
        ROWS(which, T)                                                                             \
        {                                                                                          \
                enum { GROUP = ITEMS(T), AT_ONCE = GROUP < 4 ? GROUP : 4 };                        \
                size_t r = 0, n_done;                                                              \
                                                                                                   \
                for (; r < n_rows; r += n_done) {                                                  \
                        const size_t left = n_rows - r,                                            \
                                     step = (left < GROUP ? left : GROUP) / AT_ONCE;               \
                        vec_##T v[GROUP], nans = { 0 };                                            \
                        type_##T sum = 0;                                                          \
                                                                                                   \
                        n_done = step > 0 ? AT_ONCE * step : 1;                                    \
                        if (n < KERNEL_LANES) {                                                    \
                                sum = (type_##T)__builtin_nan("");                                 \
                        } else if (n_done == 1) {                                                  \
                                beside_##which##_##T(1, n, v, 1, stride, &nans, ROW(x, r),         \
                                                     stride);                                      \
                                UNROLL for (size_t half = GROUP / 2; half; half /= 2)              \
                                        UNROLL for (size_t j = 0; j < half; j++)                   \
                                                v[0][j] = fold(v[0][j], v[0][j + half]);           \
                                ((at_##T *)out)[r] = v[0][0];                                      \
                        } else {                                                                   \
                                for (size_t k = 0; k < step; k++)                                  \
                                        beside_##which##_##T(AT_ONCE, n, v + k, step,              \
                                                             AHEAD(k, step, n_done, stride),       \
                                                             &nans, ROW(x, r + k), stride);        \
                                for (size_t k = n_done; k < GROUP; k++)                            \
                                        v[k] = v[0];                                               \
                                v[0] = rows_to_one_##which##_##T##_1(v);                           \
                                memcpy((at_##T *)out + r, v, n_done * sizeof(type_##T));           \
                        }                                                                          \
                        for (size_t j = 0; j < GROUP; j++)                                         \
                                sum += nans[j];                                                    \
                        if (sum != sum)                                                            \
                                rows_SLOW_##which##_##T(n_done, n, (at_##T *)out + r, ROW(x, r),   \
                                                        stride, means);                            \
                }                                                                                  \
        }
#else
#define ROWS_EXTREMUM(which, T, f, fold) ROWS_ONE(which, T, T, T, NO_MEAN, AS_IT_IS, fold)
#endif

/*
 * Extrema of floats, eight rows of a vector at a time: as above, a NaN among them has the vector
 * folded again, element by element.
 */
#ifdef VEC
#define COLUMNS_EXTREMUM(which, T, worst, fold)                                                    \
        static void patch_##which##_##T(size_t n_rows, size_t c, size_t n, at_##T *out,            \
                                        const char *const *rows)                                   \
        {                                                                                          \
                for (size_t i = 0; i < n_rows; i += KERNEL_LANES)                                  \
                        for (size_t j = 0; j < n; j++)                                             \
                                out[j] = fold(out[j],                                              \
                                              ((const at_##T *)(const void *)rows[i])[c + j]);     \
        }                                                                                          \
        static void columns_##which##_##T(size_t n_rows, size_t n, void *lanes,                    \
                                          const char *const *rows, const void *means, bool begins) \
        {                                                                                          \
                const size_t step = 8 * KERNEL_LANES;                                              \
                                                                                                   \
                (void)means;                                                                       \
                for (size_t l = 0; l < n_rows && l < KERNEL_LANES; l++) {                          \
                        at_##T *out = (at_##T *)lanes + l * n;                                     \
                                                                                                   \
                        for (size_t c = 0; begins && c < n; c++)                                   \
                                out[c] = worst;                                                    \
                        for (size_t i = l, k; i < n_rows; i += k * KERNEL_LANES) {                 \
                                size_t c = 0;                                                      \
                                                                                                   \
                                k = i + step - KERNEL_LANES < n_rows ? 8 : 1;                      \
                                if (k == 8)                                                        \
                                        c = best_of_8_##which##_##T(n, out, rows + i);             \
                                else                                                               \
                                        c = best_of_1_##which##_##T(n, out, rows + i);             \
                                patch_##which##_##T((k - 1) * KERNEL_LANES + 1, c, n - c, out + c, \
                                                    rows + i);                                     \
                        }                                                                          \
                }                                                                                  \
        }
#define BEST_OF(k, which, T)                                                                       \
        static void patch_##which##_##T(size_t n_rows, size_t c, size_t n, at_##T *out,            \
                                        const char *const *rows);                                  \
        static size_t best_of_##k##_##which##_##T(size_t n, at_##T *out, const char *const *rows)  \
        {                                                                                          \
                const char *const *at = rows;                                                      \
                size_t c = 0;                                                                      \
                                                                                                   \
                for (; c + ITEMS(T) <= n; c += ITEMS(T)) {                                         \
                        vec_##T a = *(const vec_##T *)(const void *)(out + c), nans = { 0 };       \
                                                                                                   \
                        UNROLL for (size_t i = 0; i < (k); i++)                                    \
                        {                                                                          \
                                const vec_##T e = *(                                               \
                                        const vec_##T                                              \
                                                *)(const void *)((const at_##T *)(const void *)    \
                                                                         at[i * KERNEL_LANES] +    \
                                                                 c);                               \
                                                                                                   \
                                nans += e;                                                         \
                                a = which##_##T(a, e);                                             \
                        }                                                                          \
                        if (__builtin_expect(HAS_NAN_##T(nans), 0))                                \
                                patch_##which##_##T(((k)-1) * KERNEL_LANES + 1, c, ITEMS(T),       \
                                                    out + c, rows);                                \
                        else                                                                       \
                                *(vec_##T *)(void *)(out + c) = a;                                 \
                }                                                                                  \
                return c;                                                                          \
        }
#if VEC == 64
#define HAS_NAN_FLOAT32(v) _mm512_cmp_ps_mask((__m512)(v), (__m512)(v), _CMP_UNORD_Q)
#define HAS_NAN_FLOAT64(v) _mm512_cmp_pd_mask((__m512d)(v), (__m512d)(v), _CMP_UNORD_Q)
#elif VEC == 32
#define HAS_NAN_FLOAT32(v) _mm256_movemask_ps(_mm256_cmp_ps((__m256)(v), (__m256)(v), _CMP_UNORD_Q))
#define HAS_NAN_FLOAT64(v)                                                                         \
        _mm256_movemask_pd(_mm256_cmp_pd((__m256d)(v), (__m256d)(v), _CMP_UNORD_Q))
#else
#define HAS_NAN_FLOAT32(v) _mm_movemask_ps(_mm_cmpunord_ps((__m128)(v), (__m128)(v)))
#define HAS_NAN_FLOAT64(v) _mm_movemask_pd(_mm_cmpunord_pd((__m128d)(v), (__m128d)(v)))
#endif
#define COLUMNS_OF_FLOATS(which, T, worst, fold)                                                   \
        BEST_OF(1, which, T)                                                                       \
        BEST_OF(8, which, T)                                                                       \
        COLUMNS_EXTREMUM(which, T, worst, fold)
#else
#define COLUMNS_OF_FLOATS(which, T, worst, fold)                                                   \
        COLUMNS(which, T, T, T, T, 1, NO_MEAN, worst, AS_IT_IS, fold)
#endif

/* ---- all of them ---- */

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

#define ENTER_EXTREMA(T, ...) ENTER(MAX, T, MAX, T, MAX, T) ENTER(MIN, T, MIN, T, MIN, T)

KERNELS_FILL(fold_extrema)
{
        REALS(ENTER_EXTREMA, )
}
