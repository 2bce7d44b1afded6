/* SPDX-License-Identifier: MIT */
/*
 * The self-test of a core
 *
 * gemm, syrk, gemv, potrf and getrf of OpenBLAS, in float64 and float32 and in shapes on both sides
 * of its blocking, against plain loops. Operands are multiples of 2^-10, exact in both. Runs in a
 * process of its own, which an alarm ends.
 */
#include "compute/linalg/blas_core.h"

#include <cblas.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ELEMENTS_MAX (600 * 600) /* of the largest operand: syrk's result */
#define PIVOTS_MAX 200
#define SECONDS_MAX 20

void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t n_uplo);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t n_uplo);
void sgetrf_(const int *m, const int *n, float *a, const int *lda, int *pivots, int *info);
void dgetrf_(const int *m, const int *n, double *a, const int *lda, int *pivots, int *info);

/* Column-major throughout; the leading dimension is the number of rows. The float copies are what
 * float32 is computed on. */
static struct {
        double a[ELEMENTS_MAX], b[ELEMENTS_MAX], c[ELEMENTS_MAX];
        double expected[ELEMENTS_MAX];
        float af[ELEMENTS_MAX], bf[ELEMENTS_MAX], cf[ELEMENTS_MAX];
} data;

static void fill(double *x, float *xf, int n)
{
        static uint64_t state = 1;

        for (int i = 0; i < n; i++) {
                state = state * UINT64_C(6364136223846793005) + 1;
                x[i] = (double)((int)(state >> 53) - 1024) / 1024;
                xf[i] = (float)x[i];
        }
}

static void widen(double *x, const float *xf, int n)
{
        for (int i = 0; i < n; i++)
                x[i] = xf[i];
}

static void narrow(float *xf, const double *x, int n)
{
        for (int i = 0; i < n; i++)
                xf[i] = (float)x[i];
}

/* expected = op(a) op(b) by plain loops; strides from one row, and one column, to the next */
static void multiply(int m, int n, int k, const double *a, int a_row, int a_column, const double *b,
                     int b_row, int b_column)
{
        for (int j = 0; j < n; j++)
                for (int i = 0; i < m; i++) {
                        double sum = 0;

                        for (int p = 0; p < k; p++)
                                sum += a[i * a_row + p * a_column] * b[p * b_row + j * b_column];
                        data.expected[j * m + i] = sum;
                }
}

static bool agrees(const double *x, int n, double scale, bool is_float)
{
        double bound = scale * (is_float ? 1e-6 : 1e-15) * 4;

        for (int i = 0; i < n; i++)
                if (!(fabs(x[i] - data.expected[i]) <= bound))
                        return false;
        return true;
}

static bool test_gemm(int m, int n, int k, bool is_a_transposed, bool is_b_transposed,
                      bool is_float)
{
        CBLAS_TRANSPOSE ta = is_a_transposed ? CblasTrans : CblasNoTrans,
                        tb = is_b_transposed ? CblasTrans : CblasNoTrans;
        int lda = is_a_transposed ? k : m, ldb = is_b_transposed ? n : k;

        fill(data.a, data.af, m * k);
        fill(data.b, data.bf, k * n);
        for (int i = 0; i < m * n; i++)
                data.c[i] = data.cf[i] = NAN; /* beta 0 must not read it */
        multiply(m, n, k, data.a, is_a_transposed ? k : 1, is_a_transposed ? 1 : m, data.b,
                 is_b_transposed ? n : 1, is_b_transposed ? 1 : k);
        if (is_float) {
                cblas_sgemm(CblasColMajor, ta, tb, m, n, k, 1, data.af, lda, data.bf, ldb, 0,
                            data.cf, m);
                widen(data.c, data.cf, m * n);
        } else {
                cblas_dgemm(CblasColMajor, ta, tb, m, n, k, 1, data.a, lda, data.b, ldb, 0, data.c,
                            m);
        }
        return agrees(data.c, m * n, k + 1, is_float);
}

static bool test_gemv(int m, int n, int inc, bool is_transposed, bool is_float)
{
        CBLAS_TRANSPOSE trans = is_transposed ? CblasTrans : CblasNoTrans;
        int n_out = is_transposed ? n : m, n_in = is_transposed ? m : n;

        fill(data.a, data.af, m * n);
        fill(data.b, data.bf, n_in * inc);
        multiply(n_out, 1, n_in, data.a, is_transposed ? m : 1, is_transposed ? 1 : m, data.b, inc,
                 0);
        if (is_float) {
                cblas_sgemv(CblasColMajor, trans, m, n, 1, data.af, m, data.bf, inc, 0, data.cf, 1);
                widen(data.c, data.cf, n_out);
        } else {
                cblas_dgemv(CblasColMajor, trans, m, n, 1, data.a, m, data.b, inc, 0, data.c, 1);
        }
        return agrees(data.c, n_out, n_in + 1, is_float);
}

/* c = a a' + n on the diagonal: symmetric and positive definite, by plain loops in expected, by
 * syrk in c */
static bool test_syrk(int n, int k, bool is_float)
{
        fill(data.a, data.af, n * k);
        multiply(n, n, k, data.a, 1, n, data.a, n, 1);
        if (is_float) {
                cblas_ssyrk(CblasColMajor, CblasLower, CblasNoTrans, n, k, 1, data.af, n, 0,
                            data.cf, n);
                widen(data.c, data.cf, n * n);
        } else {
                cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, n, k, 1, data.a, n, 0, data.c,
                            n);
        }
        for (int j = 0; j < n; j++)
                for (int i = 0; i < j; i++)
                        data.c[j * n + i] = data.c[i * n + j];
        return agrees(data.c, n * n, k + 1, is_float);
}

static bool test_potrf(int n, bool is_lower, bool is_float)
{
        int info = -1;

        fill(data.a, data.af, n * n);
        multiply(n, n, n, data.a, 1, n, data.a, n, 1);
        for (int i = 0; i < n; i++)
                data.expected[i * n + i] += n;
        memcpy(data.a, data.expected, (size_t)(n * n) * sizeof(data.a[0]));
        memcpy(data.c, data.a, (size_t)(n * n) * sizeof(data.a[0]));
        if (is_float) {
                narrow(data.cf, data.a, n * n);
                spotrf_(is_lower ? "L" : "U", &n, data.cf, &n, &info, 1);
                widen(data.c, data.cf, n * n);
        } else {
                dpotrf_(is_lower ? "L" : "U", &n, data.c, &n, &info, 1);
        }
        for (int j = 0; j < n; j++)
                for (int i = 0; i < n; i++)
                        if (is_lower ? i < j : i > j)
                                data.c[j * n + i] = 0;
        multiply(n, n, n, data.c, is_lower ? 1 : n, is_lower ? n : 1, data.c, is_lower ? n : 1,
                 is_lower ? 1 : n);
        return info == 0 && agrees(data.a, n * n, 4.0 * n * n, is_float);
}

static bool test_getrf(int n, bool is_float)
{
        int pivots[PIVOTS_MAX], info = -1;

        fill(data.a, data.af, n * n);
        memcpy(data.c, data.a, (size_t)(n * n) * sizeof(data.a[0]));
        if (is_float) {
                sgetrf_(&n, &n, data.af, &n, pivots, &info);
                widen(data.c, data.af, n * n);
        } else {
                dgetrf_(&n, &n, data.c, &n, pivots, &info);
        }
        for (int i = 0; i < n; i++) { /* the rows of a as the factors have them */
                if (pivots[i] < i + 1 || pivots[i] > n)
                        return false;
                for (int j = 0; j < n; j++) {
                        double x = data.a[j * n + i];

                        data.a[j * n + i] = data.a[j * n + pivots[i] - 1];
                        data.a[j * n + pivots[i] - 1] = x;
                }
        }
        for (int j = 0; j < n; j++)
                for (int i = 0; i < n; i++) {
                        data.b[j * n + i] = i <= j ? data.c[j * n + i] : 0;
                        data.c[j * n + i] = i == j ? 1 : i > j ? data.c[j * n + i] : 0;
                }
        multiply(n, n, n, data.c, 1, n, data.b, 1, n);
        return info == 0 && agrees(data.a, n * n, 20.0 * n, is_float);
}

static bool test_products(bool is_float)
{
        static const int shapes[][3] = { { 1, 1, 1 },     { 3, 5, 7 },     { 16, 16, 16 },
                                         { 33, 65, 129 }, { 600, 30, 20 }, { 20, 30, 600 },
                                         { 129, 66, 200 } };
        bool is_right = true;

        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
                const int *s = shapes[i];

                for (int t = 0; t < 4; t++)
                        is_right = is_right && test_gemm(s[0], s[1], s[2], t & 1, t & 2, is_float);
                for (int t = 0; t < 4; t++)
                        is_right = is_right &&
                                   test_gemv(s[0], s[2], t & 1 ? 1 : 2, t & 2, is_float);
                is_right = is_right && test_syrk(s[0], s[2], is_float);
        }
        return is_right;
}

static bool test_factors(bool is_float)
{
        static const int extents[] = { 1, 2, 7, 32, 65, 200 };
        bool is_right = true;

        for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]); i++) {
                is_right = is_right && test_potrf(extents[i], true, is_float);
                is_right = is_right && test_potrf(extents[i], false, is_float);
                is_right = is_right && test_getrf(extents[i], is_float);
        }
        return is_right;
}

int blas_core_self_test(void)
{
        const char *forced = getenv("OPENBLAS_CORETYPE");

        alarm(SECONDS_MAX);
        if (forced && *forced && strcasecmp(forced, blas_core_name()))
                return 2;
        for (int is_float = 0; is_float < 2; is_float++)
                if (!test_products(is_float) || !test_factors(is_float))
                        return 1;
        alarm(0);
        return 0;
}
