/* SPDX-License-Identifier: MIT */
/*
 * Cholesky, QR and LU factors
 *
 * The lower factor of Cholesky by rows is the upper one by columns, so potrf works in the result.
 * QR and LU pack by columns, since LAPACK is faster at them than at those of the transpose, and
 * turn their factors round.
 */
#include "compute/linalg/lapack_frame.h"

LAPACK_FOUR(potrf, const char *uplo, const int *n, void *a, const int *lda, int *info,
            size_t n_uplo);
LAPACK_FOUR(getrf, const int *m, const int *n, void *a, const int *lda, int *pivots, int *info);
LAPACK_FOUR(geqrf, const int *m, const int *n, void *a, const int *lda, void *tau, void *work,
            const int *n_work, int *info);
void sorgqr_(const int *m, const int *n, const int *k, void *a, const int *lda, const void *tau,
             void *work, const int *n_work, int *info);
void dorgqr_(const int *m, const int *n, const int *k, void *a, const int *lda, const void *tau,
             void *work, const int *n_work, int *info);
void cungqr_(const int *m, const int *n, const int *k, void *a, const int *lda, const void *tau,
             void *work, const int *n_work, int *info);
void zungqr_(const int *m, const int *n, const int *k, void *a, const int *lda, const void *tau,
             void *work, const int *n_work, int *info);
static void (*const orgqr[4])(const int *m, const int *n, const int *k, void *a, const int *lda,
                              const void *tau, void *work, const int *n_work,
                              int *info) = { sorgqr_, dorgqr_, cungqr_, zungqr_ };

/* ---- cholesky ---- */

static void prepare_cholesky(struct lapack *s)
{
        (void)s;
}

static int one_cholesky(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        void *x = call->results[0];
        int info = 0;

        if (s->n == 0)
                return 0;
        lapack_pack_triangle(call, 0, x, s->is_upper);
        potrf[s->letter](s->is_upper ? "L" : "U", &s->n, x, &s->n, &info, 1);
        assert(info >= 0);
        if (info > 0)
                return lapack_refuse(call, TD_E_SINGULAR,
                                     "is not positive definite: its leading minor of order %d is "
                                     "not positive",
                                     info);
        return 0;
}

const struct lapack_routine lapack_cholesky = { "cholesky", prepare_cholesky, one_cholesky };

/* ---- qr ---- */

enum { AREA_A, AREA_TAU, AREA_WORK, AREA_PIVOTS };

/* a has room for the columns of q beside those of the matrix */
static void prepare_qr(struct lapack *s)
{
        const int query = -1, n_q = s->is_full ? s->m : s->least;
        double complex any = 0, work = 1;
        int info = 0, n_work = 1;

        s->at[AREA_A] = lapack_reserve(s, (int64_t)s->m * (n_q > s->n ? n_q : s->n), s->size);
        s->at[AREA_TAU] = lapack_reserve(s, s->least, s->size);
        if (s->least == 0)
                return;
        geqrf[s->letter](&s->m, &s->n, &any, &s->m, &any, &work, &query, &info);
        lapack_take_query(s, &work, &s->n_work);
        work = 1;
        orgqr[s->letter](&s->m, &n_q, &s->least, &any, &s->m, &any, &work, &query, &info);
        lapack_take_query(s, &work, &n_work);
        s->n_work = n_work > s->n_work ? n_work : s->n_work;
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, s->size);
}

static int one_qr(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        const int n_q = s->is_full ? s->m : s->least;
        void *a = lapack_area(call, AREA_A), *tau = lapack_area(call, AREA_TAU);
        void *work = lapack_area(call, AREA_WORK), *q = call->results[0], *r = call->results[1];
        int info = 0;

        if (s->least == 0) {
                if (s->is_full)
                        lapack_set_identity(s, s->m, q);
                return 0;
        }
        lapack_pack_columns(call, 0, a);
        geqrf[s->letter](&s->m, &s->n, a, &s->m, tau, work, &s->n_work, &info);
        assert(info == 0);
        lapack_copy(s->size, n_q, s->n, r, s->n, a, 1, s->m);
        lapack_clear_triangle(s->size, n_q, s->n, r, true);
        orgqr[s->letter](&s->m, &n_q, &s->least, a, &s->m, tau, work, &s->n_work, &info);
        assert(info == 0);
        lapack_copy(s->size, s->m, n_q, q, n_q, a, 1, s->m);
        return 0;
}

const struct lapack_routine lapack_qr = { "qr", prepare_qr, one_qr };

/* ---- lu ---- */

static void prepare_lu(struct lapack *s)
{
        s->at[AREA_A] = lapack_reserve(s, (int64_t)s->m * s->n, s->size);
        s->at[AREA_PIVOTS] = lapack_reserve(s, s->least, sizeof(int));
}

/* A pivot that is zero is no error here: what the factors are used for will tell. */
static int one_lu(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        int *pivots = lapack_area(call, AREA_PIVOTS), info = 0;
        int64_t *out = (int64_t *)(void *)call->results[1];
        void *a = lapack_area(call, AREA_A);

        if (s->least == 0)
                return 0;
        lapack_pack_columns(call, 0, a);
        getrf[s->letter](&s->m, &s->n, a, &s->m, pivots, &info);
        assert(info >= 0);
        lapack_copy(s->size, s->m, s->n, call->results[0], s->n, a, 1, s->m);
        for (int i = 0; i < s->least; i++)
                out[i] = pivots[i] - 1;
        return 0;
}

const struct lapack_routine lapack_lu = { "lu", prepare_lu, one_lu };
