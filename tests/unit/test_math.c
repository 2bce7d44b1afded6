/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#include "compute/kernels/kernels.h"

#define N 4096
#define ULPS 4 /* that a function of real numbers may be off */

static const struct {
        enum td_op op;
        long double (*wide)(long double);
        double low, high; /* of most arguments */
} functions[] = {
        { TD_OP_EXP, expl, -745, 710 },    { TD_OP_EXPM1, expm1l, -40, 710 },
        { TD_OP_LOG, logl, 0, 10 },        { TD_OP_LOG1P, log1pl, -1, 5 },
        { TD_OP_LOG2, log2l, 0, 10 },      { TD_OP_LOG10, log10l, 0, 10 },
        { TD_OP_SIN, sinl, -100, 100 },    { TD_OP_COS, cosl, -100, 100 },
        { TD_OP_TAN, tanl, -100, 100 },    { TD_OP_ASIN, asinl, -1, 1 },
        { TD_OP_ACOS, acosl, -1, 1 },      { TD_OP_ATAN, atanl, -10, 10 },
        { TD_OP_SINH, sinhl, -710, 710 },  { TD_OP_COSH, coshl, -710, 710 },
        { TD_OP_TANH, tanhl, -20, 20 },    { TD_OP_ASINH, asinhl, -1000, 1000 },
        { TD_OP_ACOSH, acoshl, 1, 10000 }, { TD_OP_ATANH, atanhl, -1, 1 },
};

static long double logaddexpl(long double a, long double b)
{
        if (a == b)
                return a + logl(2);
        return fmaxl(a, b) + log1pl(expl(-fabsl(a - b)));
}

static const struct {
        enum td_op op;
        long double (*wide)(long double, long double);
        double low, high;
} functions2[] = {
        { TD_OP_ATAN2, atan2l, -10, 10 },
        { TD_OP_HYPOT, hypotl, -10, 10 },
        { TD_OP_LOGADDEXP, logaddexpl, 0, 700 },
        { TD_OP_POW, powl, 0, 30 },
};

static const double specials[] = {
        NAN,         INFINITY,
        -INFINITY,   0.0,
        -0.0,        1,
        -1,          2,
        -2,          0.5,
        -0.5,        3,
        -3,          0x1p-1022,
        -0x1p-1074,  0x1p-126,
        -0x1p-149,   0x1p52,
        0x1p-1060,   0x1p1023,
        -0x1p127,    709.7,
        709.8,       -745.2,
        88.8,        -104,
        1e22,        -1e300,
        1e-10,       1 - 0x1p-53,
        1 + 0x1p-23, -1 + 0x1p-24,
        1e8,         3.1415926535897931,
};
enum { N_SPECIALS = sizeof(specials) / sizeof(specials[0]) };

union numbers {
        _Alignas(64) float f[N];
        double d[N];
};

static double number(const union numbers *x, unsigned dtype, size_t i)
{
        return dtype == TD_FLOAT32 ? (double)x->f[i] : x->d[i];
}

static void set_number(union numbers *x, unsigned dtype, size_t i, double value)
{
        if (dtype == TD_FLOAT32)
                x->f[i] = (float)value;
        else
                x->d[i] = value;
}

/* From low to high, any bits at all, and special values with a period of their own. */
static void fill(union numbers *x, unsigned dtype, double low, double high, size_t period)
{
        double scale = dtype == TD_FLOAT32 && high > 100 ? 0.12 : 1;

        for (size_t i = 0; i < N; i++) {
                uint64_t r = kit_random();

                if (i < N_SPECIALS * N_SPECIALS)
                        set_number(x, dtype, i, specials[i / period % N_SPECIALS]);
                else if (i % 4 == 0 && dtype == TD_FLOAT32)
                        memcpy(&x->f[i], &r, sizeof(x->f[i]));
                else if (i % 4 == 0)
                        memcpy(&x->d[i], &r, sizeof(x->d[i]));
                else
                        set_number(x, dtype, i,
                                   (low + (high - low) * (double)(r >> 11) * 0x1p-53) * scale);
        }
}

/* How far from an exact value, in units of the last place of that; infinite where a NaN, an
 * infinity or the sign of a zero is wrong. */
static double error_of(double got, long double exact, unsigned dtype)
{
        bool is_float = dtype == TD_FLOAT32;
        double want = is_float ? (double)(float)exact : (double)exact;
        int exponent, digits = is_float ? 24 : 53, least = is_float ? -149 : -1074;

        if (isnan(got) || isnan(want))
                return isnan(got) && isnan(want) ? 0 : INFINITY;
        if (got == want)
                return got != 0 || !signbit(got) == !signbit(want) ? 0 : INFINITY;
        if (isinf(got) || isinf(want)) /* next to the largest, either will do */
                return fabs(isinf(got) ? want : got) >
                                       (is_float ? 0x1.fffff8p127 : 0x1.ffffffffffff8p1023)
                               ? 0
                               : INFINITY;
        frexp(want, &exponent);
        exponent = want == 0 || exponent - digits < least ? least : exponent - digits;
        return (double)fabsl(((long double)got - exact) / ldexpl(1, exponent));
}

/* Each element once more in other company: at another place, beside nothing but itself. */
static void check_places(const struct kernels *set, enum td_op op, unsigned dtype,
                         const union numbers *x, const union numbers *y, const union numbers *got)
{
        size_t size = (size_t)td_dtype_size(dtype);

        for (size_t i = 0; i < N; i += 7) {
                union numbers same[2], alone;

                for (size_t j = 0; j < KERNEL_LANES; j++) {
                        memcpy((char *)&same[0] + j * size, (const char *)x + i * size, size);
                        memcpy((char *)&same[1] + j * size, (const char *)y + i * size, size);
                }
                for (int form = 0; form < KERNEL_N_FORMS; form++) {
                        if (set->unary[op][dtype])
                                set->unary[op][dtype](KERNEL_LANES, &alone, &same[0]);
                        else
                                set->binary[op][dtype][form](KERNEL_LANES, &alone, &same[0],
                                                             &same[1]);
                        for (size_t j = 0; j < KERNEL_LANES; j++)
                                EXPECT(memcmp((char *)&alone + j * size,
                                              (const char *)got + i * size, size) == 0 ||
                                               isnan(number(got, dtype, i)),
                                       "%s: %s of %a depends on its place", set->isa,
                                       td_op_name(op), number(x, dtype, i));
                }
        }
}

START_TEST(test_unary)
{
        const struct kernels *set;
        unsigned dtype = _i % 2 ? TD_FLOAT32 : TD_FLOAT64;
        enum td_op op = functions[_i / 2].op;

        for (unsigned s = 0; (set = kernels_list(s)); s++) {
                static union numbers x, got;

                ck_assert(set->is_padded[op][dtype]);
                fill(&x, dtype, functions[_i / 2].low, functions[_i / 2].high, 1);
                set->unary[op][dtype](N, &got, &x);
                for (size_t i = 0; i < N; i++) {
                        double a = number(&x, dtype, i), result = number(&got, dtype, i);

                        EXPECT(error_of(result, functions[_i / 2].wide(a), dtype) <= ULPS,
                               "%s: %s of %a is %a", set->isa, td_op_name(op), a, result);
                }
                check_places(set, op, dtype, &x, &x, &got);
        }
}
END_TEST

START_TEST(test_binary)
{
        const struct kernels *set;
        unsigned dtype = _i % 2 ? TD_FLOAT32 : TD_FLOAT64;
        enum td_op op = functions2[_i / 2].op;

        for (unsigned s = 0; (set = kernels_list(s)); s++) {
                static union numbers x, y, got;

                ck_assert(set->is_padded[op][dtype]);
                fill(&x, dtype, functions2[_i / 2].low, functions2[_i / 2].high, 1);
                fill(&y, dtype, functions2[_i / 2].low, functions2[_i / 2].high, N_SPECIALS);
                set->binary[op][dtype][KERNEL_VV](N, &got, &x, &y);
                for (size_t i = 0; i < N; i++) {
                        double a = number(&x, dtype, i), b = number(&y, dtype, i),
                               result = number(&got, dtype, i);
                        long double exact = functions2[_i / 2].wide(a, b);

                        /* a sum near 0 of larger terms */
                        if (op == TD_OP_LOGADDEXP && fabsl(exact) < fabs(fmax(a, b)))
                                continue;
                        EXPECT(error_of(result, exact, dtype) <= ULPS, "%s: %s of %a and %a is %a",
                               set->isa, td_op_name(op), a, b, result);
                }
                check_places(set, op, dtype, &x, &y, &got);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("math");
        TCase *tc = tcase_create("math");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_unary, 0, 2 * sizeof(functions) / sizeof(functions[0]));
        tcase_add_loop_test(tc, test_binary, 0, 2 * sizeof(functions2) / sizeof(functions2[0]));
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
