/* SPDX-License-Identifier: MIT */
/*
 * Systems, inverses and determinants
 *
 * All by LU factors with partial pivoting. LAPACK is given the C-ordered matrix as it lies, which
 * it sees transposed: P L U = a', so a = U' L' P'. Determinant and inverse do not mind; a system is
 * solved by two triangular ones on the right sides in C order, and exchanges of rows.
 */
#include <cblas.h>
#include <math.h>

#include "compute/linalg/lapack_frame.h"

LAPACK_FOUR(getrf, const int *m, const int *n, void *a, const int *lda, int *pivots, int *info);
LAPACK_FOUR(getri, const int *n, void *a, const int *lda, const int *pivots, void *work,
            const int *n_work, int *info);

enum { AREA_A, AREA_PIVOTS, AREA_WORK };

/* Factors of the n x n matrix a, in place; the number of the first pivot that is zero, or 0. */
static int factor(const struct lapack_call *call, void *a)
{
        const struct lapack *s = call->s;
        int info = 0;

        if (s->n > 0)
                getrf[s->letter](&s->n, &s->n, a, &s->n, lapack_area(call, AREA_PIVOTS), &info);
        assert(info >= 0);
        return info;
}

static void prepare_factor(struct lapack *s)
{
        s->at[AREA_PIVOTS] = lapack_reserve(s, s->n, sizeof(int));
}

static void prepare_copy(struct lapack *s)
{
        prepare_factor(s);
        s->at[AREA_A] = lapack_reserve(s, (int64_t)s->n * s->n, s->size);
}

static int refuse_singular(const struct lapack_call *call, int pivot)
{
        return lapack_refuse(call, TD_E_SINGULAR, "is singular: pivot %d is zero", pivot);
}

/* ---- triangular systems ---- */

/* x = t^-1 x in place, t triangular and both in C order (or t transposed: in column-major order) */
static void solve_triangle(const struct lapack *s, CBLAS_UPLO uplo, CBLAS_DIAG diag, const void *t,
                           void *x)
{
        static const double one_z[2] = { 1, 0 };
        static const float one_c[2] = { 1, 0 };
        const int n = s->n, k = s->n_rhs;

        if (k == 1) {
                switch (s->dtype) {
                case TD_FLOAT32:
                        cblas_strsv(CblasRowMajor, uplo, CblasNoTrans, diag, n, t, n, x, 1);
                        return;
                case TD_FLOAT64:
                        cblas_dtrsv(CblasRowMajor, uplo, CblasNoTrans, diag, n, t, n, x, 1);
                        return;
                case TD_COMPLEX64:
                        cblas_ctrsv(CblasRowMajor, uplo, CblasNoTrans, diag, n, t, n, x, 1);
                        return;
                default:
                        cblas_ztrsv(CblasRowMajor, uplo, CblasNoTrans, diag, n, t, n, x, 1);
                        return;
                }
        }
        switch (s->dtype) {
        case TD_FLOAT32:
                cblas_strsm(CblasRowMajor, CblasLeft, uplo, CblasNoTrans, diag, n, k, 1, t, n, x,
                            k);
                break;
        case TD_FLOAT64:
                cblas_dtrsm(CblasRowMajor, CblasLeft, uplo, CblasNoTrans, diag, n, k, 1, t, n, x,
                            k);
                break;
        case TD_COMPLEX64:
                cblas_ctrsm(CblasRowMajor, CblasLeft, uplo, CblasNoTrans, diag, n, k, one_c, t, n,
                            x, k);
                break;
        default:
                cblas_ztrsm(CblasRowMajor, CblasLeft, uplo, CblasNoTrans, diag, n, k, one_z, t, n,
                            x, k);
                break;
        }
}

static void swap_rows(const struct lapack *s, char *x, int64_t i, int64_t j)
{
        const int64_t n_bytes = s->n_rhs * s->size;
        char *a = x + i * n_bytes, *b = x + j * n_bytes, piece[256];

        for (int64_t at = 0; i != j && at < n_bytes; at += (int64_t)sizeof(piece)) {
                size_t n = n_bytes - at < (int64_t)sizeof(piece) ? (size_t)(n_bytes - at)
                                                                 : sizeof(piece);

                memcpy(piece, a + at, n);
                memcpy(a + at, b + at, n);
                memcpy(b + at, piece, n);
        }
}

/* ---- solve ---- */

static int one_solve(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        const int *pivots = lapack_area(call, AREA_PIVOTS);
        void *a = lapack_area(call, AREA_A);
        char *x = call->results[0];
        int pivot;

        if (s->n == 0)
                return 0;
        lapack_pack_rows(call, 0, a);
        pivot = factor(call, a);
        if (pivot)
                return refuse_singular(call, pivot);
        if (s->n_rhs == 0)
                return 0;
        lapack_pack_rows(call, 1, x);
        solve_triangle(s, CblasLower, CblasNonUnit, a, x); /* U' */
        solve_triangle(s, CblasUpper, CblasUnit, a, x);    /* L' */
        for (int i = s->n; i-- > 0;)
                swap_rows(s, x, i, pivots[i] - 1);
        return 0;
}

const struct lapack_routine lapack_solve = { "solve", prepare_copy, one_solve };

/* ---- solve with factors ---- */

static void prepare_lu_solve(struct lapack *s)
{
        s->at[AREA_PIVOTS] = lapack_reserve(s, s->n, sizeof(int64_t));
        s->at[AREA_A] = lapack_reserve(s, (int64_t)s->n * s->n, s->size);
}

/* Pivots are of the client's making: copied before they are checked. */
static int one_lu_solve(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        int64_t *pivots = lapack_area(call, AREA_PIVOTS);
        const void *a = lapack_rows(call, 0, lapack_area(call, AREA_A));
        char *x = call->results[0];

        lapack_pack_rows(call, 1, pivots);
        for (int i = 0; i < s->n; i++) {
                if (pivots[i] < i || pivots[i] >= s->n)
                        return lapack_refuse(call, TD_E_BAD_VALUE,
                                             "has no pivots: entry %d is %" PRId64, i, pivots[i]);
                if (lapack_item(s, a, i * (s->n + INT64_C(1))) == 0)
                        return refuse_singular(call, i + 1);
        }
        if (s->n == 0 || s->n_rhs == 0)
                return 0;
        lapack_pack_rows(call, 2, x);
        for (int i = 0; i < s->n; i++)
                swap_rows(s, x, i, pivots[i]);
        solve_triangle(s, CblasLower, CblasUnit, a, x);
        solve_triangle(s, CblasUpper, CblasNonUnit, a, x);
        return 0;
}

const struct lapack_routine lapack_lu_solve = { "lu_solve", prepare_lu_solve, one_lu_solve };

/* ---- inv ---- */

static void prepare_inv(struct lapack *s)
{
        const int query = -1;
        int pivot = 1, info = 0;
        double complex work = 1;
        double complex any = 0;

        prepare_factor(s);
        if (s->n == 0)
                return;
        getri[s->letter](&s->n, &any, &s->n, &pivot, &work, &query, &info);
        lapack_take_query(s, &work, &s->n_work);
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, s->size);
}

static int one_inv(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        void *x = call->results[0];
        int info;

        if (s->n == 0)
                return 0;
        lapack_pack_rows(call, 0, x);
        info = factor(call, x);
        if (info == 0)
                getri[s->letter](&s->n, x, &s->n, lapack_area(call, AREA_PIVOTS),
                                 lapack_area(call, AREA_WORK), &s->n_work, &info);
        assert(info >= 0);
        return info ? refuse_singular(call, info) : 0;
}

const struct lapack_routine lapack_inv = { "inv", prepare_inv, one_inv };

/* ---- determinants ---- */

/*
 * The determinant as mantissa * 2 ** exponent, the larger part of the mantissa in [0.5, 1): the
 * product of many pivots would leave the range of a double on its way.
 */
static double complex determinant(const struct lapack_call *call, int64_t *exponentp)
{
        const struct lapack *s = call->s;
        const int *pivots = lapack_area(call, AREA_PIVOTS);
        void *a = lapack_area(call, AREA_A);
        double complex mantissa = 1;

        *exponentp = 0;
        lapack_pack_rows(call, 0, a);
        (void)factor(call, a); /* a pivot of zero is a factor like others */
        for (int64_t i = 0; i < s->n; i++) {
                double complex pivot = lapack_item(s, a, i * (s->n + INT64_C(1)));
                double size;
                int exponent;

                if (td_dtype_is_complex(s->dtype))
                        mantissa *= pivot;
                else
                        mantissa = creal(mantissa) * creal(pivot);
                if (pivots[i] != i + 1)
                        mantissa = -mantissa;
                size = fmax(fabs(creal(mantissa)), fabs(cimag(mantissa)));
                if (!isfinite(size) || size == 0)
                        continue;
                frexp(size, &exponent);
                mantissa = CMPLX(ldexp(creal(mantissa), -exponent),
                                 ldexp(cimag(mantissa), -exponent));
                *exponentp += exponent;
        }
        return mantissa;
}

static int one_det(const struct lapack_call *call)
{
        int64_t exponent;
        double complex mantissa = determinant(call, &exponent);
        int shift = exponent > 20000 ? 20000 : exponent < -20000 ? -20000 : (int)exponent;

        lapack_set_item(call->s->dtype, call->results[0], 0,
                        CMPLX(ldexp(creal(mantissa), shift), ldexp(cimag(mantissa), shift)));
        return 0;
}

static int one_slogdet(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        int64_t exponent;
        double complex mantissa = determinant(call, &exponent);
        double size = cabs(mantissa), logarithm = log(size) + (double)exponent * M_LN2;

        lapack_set_item(s->dtype, call->results[0], 0, size == 0 ? 0 : mantissa / size);
        lapack_set_item(td_dtype_real(s->dtype), call->results[1], 0, logarithm);
        return 0;
}

const struct lapack_routine lapack_det = { "det", prepare_copy, one_det };
const struct lapack_routine lapack_slogdet = { "slogdet", prepare_copy, one_slogdet };
