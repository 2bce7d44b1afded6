/* SPDX-License-Identifier: MIT */
/*
 * Least squares of complex matrices
 *
 * The solution of smallest norm by singular values (LAPACK gelsd), in complex128, complex64 too.
 * The real ones, which are refined, are lapack_lstsq.c's.
 */
#include <math.h>

#include "compute/linalg/lapack_frame.h"

void zgelsd_(const int *m, const int *n, const int *n_rhs, void *a, const int *lda, void *b,
             const int *ldb, double *s, const double *rcond, int *rank, void *work,
             const int *n_work, double *rwork, int *iwork, int *info);

enum { AREA_A, AREA_B, AREA_RIGHT, AREA_VALUES, AREA_WORK, AREA_RWORK, AREA_IWORK, AREA_COPY };

static int at_least_one(int n)
{
        return n > 1 ? n : 1;
}

static void prepare(struct lapack *s)
{
        const int ldb = at_least_one(s->m > s->n ? s->m : s->n), lda = at_least_one(s->m);
        const int n_rhs = at_least_one(s->n_rhs), query = -1; /* gelsd cannot be called with none */
        double complex any = 0, work = 1;
        double rwork = 1, value = 0;
        int iwork = 1, rank, info = 0;

        zgelsd_(&s->m, &s->n, &n_rhs, &any, &lda, &any, &ldb, &value, &s->rcond, &rank, &work,
                &query, &rwork, &iwork, &info);
        lapack_take_query(s, &work, &s->n_work);
        if (!(rwork < INT32_MAX) || iwork < 0)
                s->is_beyond = true;
        s->n_rwork = rwork >= 1 && rwork < INT32_MAX ? (int)rwork : 1;
        s->at[AREA_A] = lapack_reserve(s, (int64_t)s->m * s->n, s->size);
        s->at[AREA_B] = lapack_reserve(s, (int64_t)s->m * s->n_rhs, s->size);
        s->at[AREA_RIGHT] = lapack_reserve(s, (int64_t)ldb * n_rhs, s->size);
        s->at[AREA_VALUES] = lapack_reserve(s, s->least, sizeof(double));
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, s->size);
        s->at[AREA_RWORK] = lapack_reserve(s, s->n_rwork, sizeof(double));
        s->at[AREA_IWORK] = lapack_reserve(s, at_least_one(iwork), sizeof(int));
        s->at[AREA_COPY] = lapack_reserve(s, (int64_t)s->m * s->n, s->size);
}

/* The sum of squares of b - a x for one right side. */
static double residual_sum(const struct lapack_call *call, int64_t j)
{
        const struct lapack *s = call->s;
        const double complex *a = lapack_area(call, AREA_COPY), *b = lapack_area(call, AREA_B);
        const double complex *x = lapack_area(call, AREA_RIGHT);
        const int64_t m = s->m, n = s->n, ld = m > n ? m : n;
        double sum = 0;

        for (int64_t i = 0; i < m; i++) {
                double complex residual = b[j * m + i];

                for (int64_t q = 0; q < n; q++)
                        residual -= a[q * m + i] * x[j * ld + q];
                sum += creal(residual) * creal(residual) + cimag(residual) * cimag(residual);
        }
        return sum;
}

static void write_results(const struct lapack_call *call, int rank)
{
        const struct lapack *s = call->s;
        const enum td_dtype dtype = s->result_dtype, real = td_dtype_real(s->result_dtype);
        const double complex *x = lapack_area(call, AREA_RIGHT);
        const double *values = lapack_area(call, AREA_VALUES);
        const int64_t ld = s->m > s->n ? s->m : s->n;

        for (int64_t j = 0; j < s->n_rhs; j++) {
                for (int64_t i = 0; i < s->n; i++)
                        lapack_set_item(dtype, call->results[0], i * s->n_rhs + j, x[j * ld + i]);
                lapack_set_item(real, call->results[1], j, residual_sum(call, j));
        }
        *(int64_t *)(void *)call->results[2] = rank;
        for (int64_t i = 0; i < s->least; i++)
                lapack_set_item(real, call->results[3], i, values[i]);
}

/* One operand by columns, in complex128. */
static void take(const struct lapack_call *call, unsigned i, double complex *out, int64_t n)
{
        lapack_pack_columns(call, i, out);
        for (int64_t k = n; call->s->taken == TD_COMPLEX64 && k-- > 0;) {
                float complex narrow;

                memcpy(&narrow, (const char *)out + k * (int64_t)sizeof(narrow), sizeof(narrow));
                out[k] = narrow;
        }
}

static int one(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        const int ldb = at_least_one(s->m > s->n ? s->m : s->n), lda = at_least_one(s->m);
        const int n_rhs = at_least_one(s->n_rhs);
        void *a = lapack_area(call, AREA_A), *b = lapack_area(call, AREA_B);
        char *right = lapack_area(call, AREA_RIGHT);
        int rank = 0, info = 0, r;

        take(call, 0, a, (int64_t)s->m * s->n);
        take(call, 1, b, (int64_t)s->m * s->n_rhs);
        memcpy(lapack_area(call, AREA_COPY), a, (size_t)((int64_t)s->m * s->n * s->size));
        memset(right, 0, (size_t)((int64_t)ldb * n_rhs * s->size));
        for (int64_t j = 0; j < s->n_rhs; j++)
                memcpy(right + j * ldb * s->size, (char *)b + j * s->m * s->size,
                       (size_t)(s->m * s->size));
        r = lapack_check_finite(call, a, (int64_t)s->m * s->n);
        if (!r)
                r = lapack_check_finite(call, b, (int64_t)s->m * s->n_rhs);
        if (r)
                return r;
        if (s->least > 0)
                zgelsd_(&s->m, &s->n, &n_rhs, a, &lda, right, &ldb, lapack_area(call, AREA_VALUES),
                        &s->rcond, &rank, lapack_area(call, AREA_WORK), &s->n_work,
                        lapack_area(call, AREA_RWORK), lapack_area(call, AREA_IWORK), &info);
        if (info)
                return lapack_refuse(call, TD_E_NOT_CONVERGED,
                                     "has singular values that did not converge");
        if (s->least == 0)
                memset(right, 0, (size_t)((int64_t)ldb * n_rhs * s->size));
        write_results(call, rank);
        return 0;
}

const struct lapack_routine lapack_lstsq_complex = { "lstsq", prepare, one };
