/* SPDX-License-Identifier: MIT */
/*
 * LAPACK of OpenBLAS called directly, with its own threading, in warm memory and in column-major
 * order
 *
 *   cholesky N | solve N | qr N | eigh N | svd N   of an N x N matrix of float64
 *
 * Results: |L|, x, |R|, the eigenvalues, the singular values, for the matrix that prepare() makes
 * and the right side 0, 1, 2, ...
 *
 * Each time begins with a copy of the matrix, which LAPACK writes over, as a user's does. Core and
 * number of threads are those of OPENBLAS_CORETYPE and OPENBLAS_NUM_THREADS.
 */
#include <cblas.h>
#include <math.h>
#include <stdint.h>

#include "serve.h"

void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t n_uplo);
void dgesv_(const int *n, const int *n_rhs, double *a, const int *lda, int *pivots, double *b,
            const int *ldb, int *info);
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
             const int *n_work, int *info);
void dorgqr_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
             double *work, const int *n_work, int *info);
void dsyevd_(const char *job, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *n_work, int *iwork, const int *n_iwork, int *info,
             size_t n_job, size_t n_uplo);
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work,
             const int *n_work, int *iwork, int *info, size_t n_job);

static double *given, *a, *second, *third, *values, *work;
static int *iwork;
static int size, n_work, info;
static void (*compute)(void);

static void forget(void)
{
        double *all[] = { given, a, second, third, values, work };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                free(all[i]);
        free(iwork);
        given = a = second = third = values = work = NULL;
        iwork = NULL;
}

static size_t n_items(void)
{
        return (size_t)size * (size_t)size;
}

static void cholesky(void)
{
        dpotrf_("L", &size, a, &size, &info, 1);
        for (int j = 1; j < size; j++)
                memset(a + (size_t)j * (size_t)size, 0, (size_t)j * sizeof(*a));
}

static void solve(void)
{
        const int one = 1;

        for (int i = 0; i < size; i++)
                values[i] = i;
        dgesv_(&size, &one, a, &size, iwork, values, &size, &info);
}

static void qr(void)
{
        dgeqrf_(&size, &size, a, &size, values, work, &n_work, &info);
        memcpy(second, a, n_items() * sizeof(*a));
        for (int j = 0; j < size; j++)
                memset(second + (size_t)j * (size_t)size + j + 1, 0,
                       (size_t)(size - j - 1) * sizeof(*a));
        dorgqr_(&size, &size, &size, a, &size, values, work, &n_work, &info);
}

static void eigh(void)
{
        const int n_iwork = 5 * size + 3;

        dsyevd_("V", "L", &size, a, &size, values, work, &n_work, iwork, &n_iwork, &info, 1, 1);
}

static void svd(void)
{
        dgesdd_("S", &size, &size, a, &size, values, second, &size, third, &size, work, &n_work,
                iwork, &info, 1);
}

/* |x|, transposed: from LAPACK's order to C's. */
static const double *turn(const double *x, double *to)
{
        for (size_t i = 0; i < n_items(); i++)
                to[i] = fabs(x[i % (size_t)size * (size_t)size + i / (size_t)size]);
        return to;
}

static const void *lapack_result(size_t *n_bytesp)
{
        bool is_matrix = compute == cholesky || compute == qr;

        memcpy(a, given, n_items() * sizeof(*a));
        compute();
        *n_bytesp = (is_matrix ? n_items() : (size_t)size) * sizeof(*a);
        return !is_matrix ? values : turn(compute == qr ? second : a, third);
}

static bool prepare(char **arguments, void (*routine)(void))
{
        size = atoi(arguments[0]);
        if (size < 1 || size > 4096)
                return serve_no("that size does not go");
        compute = routine;
        n_work = 4 * size * size + 70 * size + 1;
        given = calloc(n_items(), sizeof(*given));
        a = calloc(n_items(), sizeof(*a));
        second = calloc(n_items(), sizeof(*a));
        third = calloc(n_items(), sizeof(*a));
        values = calloc((size_t)size, sizeof(*values));
        work = calloc((size_t)n_work, sizeof(*work));
        iwork = calloc(8 * (size_t)size + 8, sizeof(*iwork));
        if (!given || !a || !second || !third || !values || !work || !iwork)
                return serve_no("no memory");
        for (size_t i = 0; i < n_items(); i++) {
                size_t row = i % (size_t)size, column = i / (size_t)size;
                size_t low = row < column ? row : column, high = row < column ? column : row;

                given[i] = (double)((low * 7919 + high * 104729) % 1024) / 1024 - 0.5;
                given[i] += row == column ? size : 0;
        }
        return serve_ok("core=%s threads=%d", openblas_get_corename(), openblas_get_num_threads());
}

static bool prepare_cholesky(char **arguments)
{
        return prepare(arguments, cholesky);
}

static bool prepare_solve(char **arguments)
{
        return prepare(arguments, solve);
}

static bool prepare_qr(char **arguments)
{
        return prepare(arguments, qr);
}

static bool prepare_eigh(char **arguments)
{
        return prepare(arguments, eigh);
}

static bool prepare_svd(char **arguments)
{
        return prepare(arguments, svd);
}

static const char *lapack_time(double *seconds, long n)
{
        for (long i = 0; i < n; i++) {
                double start = serve_now();

                memcpy(a, given, n_items() * sizeof(*a));
                compute();
                seconds[i] = serve_now() - start;
                if (info)
                        return "LAPACK refused the matrix";
        }
        return NULL;
}

int main(void)
{
        static const struct serve_work works[] = {
                { "cholesky", 1, prepare_cholesky, lapack_time, forget, lapack_result },
                { "solve", 1, prepare_solve, lapack_time, forget, lapack_result },
                { "qr", 1, prepare_qr, lapack_time, forget, lapack_result },
                { "eigh", 1, prepare_eigh, lapack_time, forget, lapack_result },
                { "svd", 1, prepare_svd, lapack_time, forget, lapack_result },
                { 0 },
        };

        return serve(works);
}
