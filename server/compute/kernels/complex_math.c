/* SPDX-License-Identifier: MIT */
/*
 * Functions of complex numbers
 *
 * By C's complex mathematics, one number after the other and in double, so that every set has the
 * same bits. Branch cuts and special values are those of C's Annex G, which the array API names;
 * where C has no function, NumPy's answers count.
 */
#include "compute/kernels/set.h"

#include <complex.h>
#include <math.h>

/* ---- functions that C lacks ---- */

/* z times a real factor: infinities and NaN in one part leave the other alone */
static double complex scaled(double complex z, double factor)
{
        return CMPLX(creal(z) * factor, cimag(z) * factor);
}

static double complex log2_of(double complex z)
{
        return scaled(clog(z), 1.4426950408889634);
}

/* 2x + x^2 + y^2, which is |1 + z|^2 - 1: where it cancels, the squares' rounding would be all that
 * is left of it, so their errors are added. |x| and |y| are at most 2. */
static double square_above_one(double x, double y)
{
        const double xx = x * x, yy = y * y;
        const double xx_error = fma(x, x, -xx), yy_error = fma(y, y, -yy);
        const double first = 2 * x + xx, first_part = first - 2 * x;
        const double first_error = (2 * x - (first - first_part)) + (xx - first_part);
        const double sum = first + yy, sum_part = sum - first;
        const double sum_error = (first - (sum - sum_part)) + (yy - sum_part);

        return sum + (((xx_error + yy_error) + first_error) + sum_error);
}

static double complex log1p_of(double complex z)
{
        const double x = creal(z), y = cimag(z), radius = hypot(1 + x, y);

        return CMPLX(radius > 0.5 && radius < 2 ? log1p(square_above_one(x, y)) / 2 : log(radius),
                     atan2(y, 1 + x));
}

/* Near 0 without the difference of exp(x) cos(y) and 1. */
static double complex expm1_of(double complex z)
{
        const double x = creal(z), y = cimag(z), half = sin(y / 2);
        const double complex e = cexp(z);

        if (fabs(x) < 1 && isfinite(y))
                return CMPLX(expm1(x) * cos(y) - 2 * half * half, cimag(e));
        return CMPLX(creal(e) - 1, cimag(e));
}

static double complex square_of(double complex z)
{
        const double x = creal(z), y = cimag(z);

        return CMPLX(x * x - y * y, x * y + y * x);
}

static double complex product(double complex a, double complex b)
{
        return CMPLX(creal(a) * creal(b) - cimag(a) * cimag(b),
                     creal(a) * cimag(b) + cimag(a) * creal(b));
}

/* C's library rounds differently on either side of 0; the standard's are odd, bit for bit. (The
 * compiler holds -catanh(-z) for catanh(z).) */
static double complex atanh_of(double complex z)
{
        const double complex w = catanh(CMPLX(fabs(creal(z)), cimag(z)));

        return CMPLX(copysign(creal(w), creal(z)), cimag(w));
}

static double complex atan_of(double complex z)
{
        const double complex w = catan(CMPLX(creal(z), fabs(cimag(z))));

        return CMPLX(creal(w), copysign(cimag(w), cimag(z)));
}

/* scaled, so that no square overflows */
static double complex reciprocal_of(double complex z)
{
        const double x = creal(z), y = cimag(z);

        if (fabs(y) <= fabs(x)) {
                const double ratio = y / x, scale = x + y * ratio;

                return CMPLX(1 / scale, -ratio / scale);
        } else {
                const double ratio = x / y, scale = y + x * ratio;

                return CMPLX(ratio / scale, -1 / scale);
        }
}

/* Small whole exponents by multiplication; a zero to a negative or complex one is no number. */
static double complex pow_of(double complex a, double complex b)
{
        const double exponent = creal(b);

        if (b == 0)
                return 1;
        if (a == 0)
                return exponent > 0 ? 0 : CMPLX(NAN, NAN);
        if (cimag(b) == 0 && exponent == rint(exponent) && fabs(exponent) < 100) {
                double complex power = 1, square = a;
                unsigned n = (unsigned)fabs(exponent);

                for (bool is_first = true;; square = square_of(square)) {
                        if (n & 1) {
                                power = is_first ? square : product(power, square);
                                is_first = false;
                        }
                        n >>= 1;
                        if (n == 0)
                                return exponent < 0 ? reciprocal_of(power) : power;
                }
        }
        return cpow(a, b);
}

/* ---- kernels ---- */

#define READ_PARTS(x) CMPLX((x).re, (x).im)

/* of a function from complex to complex */
#define COMPLEX_MATH(T, op, function)                                                              \
        static unsigned unary_##op##_##T(size_t n, void *out, const void *x)                       \
        {                                                                                          \
                parts_##T *os = out;                                                               \
                const parts_##T *xs = x;                                                           \
                                                                                                   \
                for (size_t i = 0; i < n; i++) {                                                   \
                        const double complex z = function(READ_PARTS(xs[i]));                      \
                                                                                                   \
                        os[i] = (parts_##T){ (part_##T)creal(z), (part_##T)cimag(z) };             \
                }                                                                                  \
                return 0;                                                                          \
        }
#define COMPLEX_POW_FORM(T, form, index1, index2)                                                  \
        static unsigned binary_POW_##T##_##form(size_t n, void *out, const void *x1,               \
                                                const void *x2)                                    \
        {                                                                                          \
                parts_##T *os = out;                                                               \
                const parts_##T *as = x1, *bs = x2;                                                \
                const parts_##T a0 = as[0], b0 = bs[0];                                            \
                                                                                                   \
                (void)a0;                                                                          \
                (void)b0;                                                                          \
                for (size_t i = 0; i < n; i++) {                                                   \
                        const double complex z = pow_of(READ_PARTS(index1), READ_PARTS(index2));   \
                                                                                                   \
                        os[i] = (parts_##T){ (part_##T)creal(z), (part_##T)cimag(z) };             \
                }                                                                                  \
                return 0;                                                                          \
        }
#define COMPLEX_POW(T, ...)                                                                        \
        COMPLEX_POW_FORM(T, VV, as[i], bs[i])                                                      \
        COMPLEX_POW_FORM(T, VS, as[i], b0)                                                         \
        COMPLEX_POW_FORM(T, SV, a0, bs[i])
COMPLEXES(COMPLEX_POW, )

#define KERNELS(UNARY)                                                                             \
        COMPLEXES(UNARY, SQRT, csqrt)                                                              \
        COMPLEXES(UNARY, EXP, cexp)                                                                \
        COMPLEXES(UNARY, EXPM1, expm1_of)                                                          \
        COMPLEXES(UNARY, LOG, clog)                                                                \
        COMPLEXES(UNARY, LOG1P, log1p_of)                                                          \
        COMPLEXES(UNARY, LOG2, log2_of)                                                            \
        COMPLEXES(UNARY, LOG10, clog10)                                                            \
        COMPLEXES(UNARY, SIN, csin)                                                                \
        COMPLEXES(UNARY, COS, ccos)                                                                \
        COMPLEXES(UNARY, TAN, ctan)                                                                \
        COMPLEXES(UNARY, ASIN, casin)                                                              \
        COMPLEXES(UNARY, ACOS, cacos)                                                              \
        COMPLEXES(UNARY, ATAN, atan_of)                                                            \
        COMPLEXES(UNARY, SINH, csinh)                                                              \
        COMPLEXES(UNARY, COSH, ccosh)                                                              \
        COMPLEXES(UNARY, TANH, ctanh)                                                              \
        COMPLEXES(UNARY, ASINH, casinh)                                                            \
        COMPLEXES(UNARY, ACOSH, cacosh)                                                            \
        COMPLEXES(UNARY, ATANH, atanh_of)

KERNELS(COMPLEX_MATH)

KERNELS_FILL(complex_math)
{
        KERNELS(ENTER_UNARY)
        COMPLEXES(ENTER_BINARY, POW)
}
