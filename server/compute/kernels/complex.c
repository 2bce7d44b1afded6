/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of complex numbers
 *
 * By the plain formulas for the parts, as numpy's are: infinities and NaN are not mended. Vectors
 * are written out: where one part is a sum of products and the other a difference, the vectoriser
 * of GCC 12 contracts them whatever it was told, so it is switched off for this file.
 */
#include "compute/kernels/set.h"

#include <math.h>


/* ---- several numbers at a time ---- */

#ifdef VEC
#define COMPLEX_NUMBERS(T, P, sign)                                                                \
        typedef vec_##P numbers_##T;                                                               \
        static inline vec_##P sum_##T(vec_##P a, vec_##P b)                                        \
        {                                                                                          \
                return a + b;                                                                      \
        }                                                                                          \
        static inline vec_##P difference_##T(vec_##P a, vec_##P b)                                 \
        {                                                                                          \
                return a - b;                                                                      \
        }                                                                                          \
        static inline vec_##P negated_##T(vec_##P a)                                               \
        {                                                                                          \
                return -a;                                                                         \
        }                                                                                          \
        static inline vec_##P product_##T(vec_##P a, vec_##P b)                                    \
        {                                                                                          \
                mask_##P swap, re, im, flip;                                                       \
                                                                                                   \
                for (int i = 0; i < (int)(VEC / sizeof(type_##P)); i++) {                          \
                        swap[i] = i ^ 1;                                                           \
                        re[i] = i & ~1;                                                            \
                        im[i] = i | 1;                                                             \
                        flip[i] = i & 1 ? 0 : (sign);                                              \
                }                                                                                  \
                return a * __builtin_shuffle(b, re) +                                              \
                       (vec_##P)(                                                                  \
                               (mask_##P)(__builtin_shuffle(a, swap) * __builtin_shuffle(b, im)) ^ \
                               flip);                                                              \
        }
COMPLEX_NUMBERS(COMPLEX64, FLOAT32, INT32_MIN)
COMPLEX_NUMBERS(COMPLEX128, FLOAT64, INT64_MIN)
#else
#define COMPLEX_NUMBERS(T, ...)                                                                    \
        typedef parts_##T numbers_##T;                                                             \
        static inline parts_##T sum_##T(parts_##T a, parts_##T b)                                  \
        {                                                                                          \
                return (parts_##T){ a.re + b.re, a.im + b.im };                                    \
        }                                                                                          \
        static inline parts_##T difference_##T(parts_##T a, parts_##T b)                           \
        {                                                                                          \
                return (parts_##T){ a.re - b.re, a.im - b.im };                                    \
        }                                                                                          \
        static inline parts_##T negated_##T(parts_##T a)                                           \
        {                                                                                          \
                return (parts_##T){ -a.re, -a.im };                                                \
        }                                                                                          \
        static inline parts_##T product_##T(parts_##T a, parts_##T b)                              \
        {                                                                                          \
                return (parts_##T){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };        \
        }
COMPLEXES(COMPLEX_NUMBERS, )
#endif

/* the operand from the i-th number on, of which left are left; a scalar is repeated */
#define COMPLEX_READ(T)                                                                            \
        enum { N_NUMBERS_##T = sizeof(numbers_##T) / sizeof(parts_##T) };                          \
        static inline numbers_##T read_##T(const void *x, size_t left)                             \
        {                                                                                          \
                numbers_##T numbers;                                                               \
                                                                                                   \
                if (left >= N_NUMBERS_##T)                                                         \
                        return *(const numbers_##T *)x;                                            \
                memset(&numbers, 0, sizeof(numbers));                                              \
                memcpy(&numbers, x, left * sizeof(parts_##T));                                     \
                return numbers;                                                                    \
        }                                                                                          \
        static inline numbers_##T repeat_##T(const void *x)                                        \
        {                                                                                          \
                numbers_##T numbers;                                                               \
                                                                                                   \
                for (size_t i = 0; i < N_NUMBERS_##T; i++)                                         \
                        memcpy((parts_##T *)&numbers + i, x, sizeof(parts_##T));                   \
                return numbers;                                                                    \
        }                                                                                          \
        static inline void write_##T(void *out, size_t left, numbers_##T numbers)                  \
        {                                                                                          \
                if (left >= N_NUMBERS_##T)                                                         \
                        *(numbers_##T *)out = numbers;                                             \
                else                                                                               \
                        memcpy(out, &numbers, left * sizeof(parts_##T));                           \
        }
COMPLEX_READ(COMPLEX64)
COMPLEX_READ(COMPLEX128)

#define COMPLEX_UNARY(T, op, function)                                                             \
        static unsigned unary_##op##_##T(size_t n, void *out, const void *x)                       \
        {                                                                                          \
                parts_##T *os = out;                                                               \
                const parts_##T *xs = x;                                                           \
                                                                                                   \
                for (size_t i = 0; i < n; i += N_NUMBERS_##T)                                      \
                        write_##T(os + i, n - i, function##_##T(read_##T(xs + i, n - i)));         \
                return 0;                                                                          \
        }
#define COMPLEX_BINARY_FORM(T, op, form, numbers1, numbers2, function)                             \
        static unsigned binary_##op##_##T##_##form(size_t n, void *out, const void *x1,            \
                                                   const void *x2)                                 \
        {                                                                                          \
                parts_##T *os = out;                                                               \
                const parts_##T *as = x1, *bs = x2;                                                \
                const numbers_##T a0 = repeat_##T(x1), b0 = repeat_##T(x2);                        \
                                                                                                   \
                (void)as;                                                                          \
                (void)bs;                                                                          \
                (void)a0;                                                                          \
                (void)b0;                                                                          \
                for (size_t i = 0; i < n; i += N_NUMBERS_##T)                                      \
                        write_##T(os + i, n - i, function##_##T(numbers1, numbers2));              \
                return 0;                                                                          \
        }
#define COMPLEX_BINARY(T, op, function)                                                            \
        COMPLEX_BINARY_FORM(T, op, VV, read_##T(as + i, n - i), read_##T(bs + i, n - i), function) \
        COMPLEX_BINARY_FORM(T, op, VS, read_##T(as + i, n - i), b0, function)                      \
        COMPLEX_BINARY_FORM(T, op, SV, a0, read_##T(bs + i, n - i), function)

/* ---- one number after the other ---- */

/* Smith's formula: the quotient overflows only where it must */
#define KERNEL_QUOTIENT(T, ...)                                                                    \
        static inline parts_##T quotient_##T(parts_##T a, parts_##T b)                             \
        {                                                                                          \
                const bool is_swapped = !(FABS(b.re) >= FABS(b.im));                               \
                const part_##T large = is_swapped ? b.im : b.re, small = is_swapped ? b.re : b.im; \
                const part_##T ratio = small / large, scale = 1 / (large + small * ratio);         \
                                                                                                   \
                if (b.re == 0 && b.im == 0)                                                        \
                        return (parts_##T){ a.re / FABS(b.re), a.im / FABS(b.re) };                \
                if (is_swapped)                                                                    \
                        return (parts_##T){ (a.re * ratio + a.im) * scale,                         \
                                            (a.im * ratio - a.re) * scale };                       \
                return (parts_##T){ (a.re + a.im * ratio) * scale,                                 \
                                    (a.im - a.re * ratio) * scale };                               \
        }
COMPLEXES(KERNEL_QUOTIENT, )

#define SCALAR_BINARY_FORM(T, R, op, form, index1, index2, expression)                             \
        static unsigned binary_##op##_##T##_##form(size_t n, void *out, const void *x1,            \
                                                   const void *x2)                                 \
        {                                                                                          \
                R *os = out;                                                                       \
                const parts_##T *as = x1, *bs = x2;                                                \
                const parts_##T a0 = as[0], b0 = bs[0];                                            \
                                                                                                   \
                (void)a0;                                                                          \
                (void)b0;                                                                          \
                for (size_t i = 0; i < n; i++) {                                                   \
                        const parts_##T a = index1, b = index2;                                    \
                                                                                                   \
                        os[i] = expression;                                                        \
                }                                                                                  \
                return 0;                                                                          \
        }
#define SCALAR_BINARY(T, op, R, expression)                                                        \
        SCALAR_BINARY_FORM(T, R, op, VV, as[i], bs[i], expression)                                 \
        SCALAR_BINARY_FORM(T, R, op, VS, as[i], b0, expression)                                    \
        SCALAR_BINARY_FORM(T, R, op, SV, a0, bs[i], expression)
#define SCALAR_UNARY(T, op, R, expression)                                                         \
        static unsigned unary_##op##_##T(size_t n, void *out, const void *x)                       \
        {                                                                                          \
                R *os = out;                                                                       \
                const parts_##T *xs = x;                                                           \
                                                                                                   \
                for (size_t i = 0; i < n; i++) {                                                   \
                        const parts_##T a = xs[i];                                                 \
                                                                                                   \
                        os[i] = expression;                                                        \
                }                                                                                  \
                return 0;                                                                          \
        }

#define OF_TYPE(x, function) _Generic((x), float : function##f, double : function)
#define SIZE_OF(a) OF_TYPE((a).re, hypot)((a).re, (a).im)
#define IS_INFINITE(x) (FABS(x) == INFINITY)
#define IS_FINITE(x) (FABS(x) < INFINITY)

/* z / |z|, towards an infinite part where one alone is infinite; 0 of 0 */
#define KERNEL_SIGN(T, ...)                                                                        \
        static inline parts_##T direction_##T(parts_##T a)                                         \
        {                                                                                          \
                const part_##T size = SIZE_OF(a);                                                  \
                                                                                                   \
                if (a.re != a.re || a.im != a.im || (IS_INFINITE(a.re) && IS_INFINITE(a.im)))      \
                        return (parts_##T){ NAN, NAN };                                            \
                if (IS_INFINITE(a.re))                                                             \
                        return (parts_##T){ a.re > 0 ? 1 : -1, 0 };                                \
                if (IS_INFINITE(a.im))                                                             \
                        return (parts_##T){ 0, a.im > 0 ? 1 : -1 };                                \
                return size == 0 ? (parts_##T){ 0, 0 } : (parts_##T){ a.re / size, a.im / size };  \
        }                                                                                          \
        static inline parts_##T inverse_##T(parts_##T a)                                           \
        {                                                                                          \
                if (FABS(a.im) <= FABS(a.re)) {                                                    \
                        const part_##T ratio = a.im / a.re, size = a.re + a.im * ratio;            \
                                                                                                   \
                        return (parts_##T){ 1 / size, -ratio / size };                             \
                } else {                                                                           \
                        const part_##T ratio = a.re / a.im, size = a.re * ratio + a.im;            \
                                                                                                   \
                        return (parts_##T){ ratio / size, -1 / size };                             \
                }                                                                                  \
        }                                                                                          \
        static inline parts_##T rounded_##T(parts_##T a)                                           \
        {                                                                                          \
                return (parts_##T){ OF_TYPE(a.re, __builtin_rint)(a.re),                           \
                                    OF_TYPE(a.im, __builtin_rint)(a.im) };                         \
        }                                                                                          \
        static inline parts_##T conjugate_##T(parts_##T a)                                         \
        {                                                                                          \
                return (parts_##T){ a.re, -a.im };                                                 \
        }                                                                                          \
        static inline numbers_##T squared_##T(numbers_##T a)                                       \
        {                                                                                          \
                return product_##T(a, a);                                                          \
        }
COMPLEXES(KERNEL_SIGN, )

/* by names that a dtype ends */
#define NUMBER_ROWS(T, SCALAR1, SCALAR)                                                            \
        SCALAR(T, DIVIDE, parts_##T, quotient_##T(a, b))                                           \
        SCALAR(T, COMPLEX, parts_##T, ((parts_##T){ a.re, b.re }))                                 \
        SCALAR1(T, ABS, part_##T, SIZE_OF(a))                                                      \
        SCALAR1(T, REAL, part_##T, a.re)                                                           \
        SCALAR1(T, IMAG, part_##T, a.im)                                                           \
        SCALAR1(T, CONJ, parts_##T, conjugate_##T(a))                                              \
        SCALAR1(T, ROUND, parts_##T, rounded_##T(a))                                               \
        SCALAR1(T, SIGN, parts_##T, direction_##T(a))                                              \
        SCALAR1(T, RECIPROCAL, parts_##T, inverse_##T(a))                                          \
        SCALAR1(T, ISNAN, uint8_t, ((a.re != a.re) | (a.im != a.im)))                              \
        SCALAR1(T, ISINF, uint8_t, (IS_INFINITE(a.re) | IS_INFINITE(a.im)))                        \
        SCALAR1(T, ISFINITE, uint8_t, (IS_FINITE(a.re) & IS_FINITE(a.im)))                         \
        SCALAR(T, EQUAL, uint8_t, ((a.re == b.re) & (a.im == b.im)))                               \
        SCALAR(T, NOT_EQUAL, uint8_t, ((a.re != b.re) | (a.im != b.im)))

#define KERNELS(UNARY, BINARY, SCALAR1, SCALAR)                                                    \
        COMPLEXES(BINARY, ADD, sum)                                                                \
        COMPLEXES(BINARY, SUBTRACT, difference)                                                    \
        COMPLEXES(BINARY, MULTIPLY, product)                                                       \
        COMPLEXES(UNARY, NEGATIVE, negated)                                                        \
        COMPLEXES(UNARY, SQUARE, squared)                                                          \
        COMPLEXES(NUMBER_ROWS, SCALAR1, SCALAR)

KERNELS(COMPLEX_UNARY, COMPLEX_BINARY, SCALAR_UNARY, SCALAR_BINARY)

KERNELS_FILL(complex)
{
        KERNELS(ENTER_UNARY, ENTER_BINARY, ENTER_UNARY, ENTER_BINARY)
}
