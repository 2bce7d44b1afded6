/* SPDX-License-Identifier: MIT */
/*
 * Singular values and vectors
 *
 * By divide and conquer (LAPACK gesdd), of the transpose that LAPACK sees in C order: where
 * a' = u s v', a = v'' s u', and what LAPACK writes by columns is what is wanted by rows. So both
 * factors are computed where they belong, without another copy.
 */
#include "compute/linalg/lapack_frame.h"

#define GESDD_REAL                                                                                 \
        const char *jobz, const int *m, const int *n, void *a, const int *lda, void *s, void *u,   \
                const int *ldu, void *vt, const int *ldvt, void *work, const int *n_work
void sgesdd_(GESDD_REAL, int *iwork, int *info, size_t n_jobz);
void dgesdd_(GESDD_REAL, int *iwork, int *info, size_t n_jobz);
void cgesdd_(GESDD_REAL, void *rwork, int *iwork, int *info, size_t n_jobz);
void zgesdd_(GESDD_REAL, void *rwork, int *iwork, int *info, size_t n_jobz);

enum { AREA_A, AREA_WORK, AREA_RWORK, AREA_IWORK };

/* What gesdd is given; the names are those of a, not of its transpose. */
struct svd {
        void *a, *values, *u, *vt, *work, *rwork;
        int *iwork;
        int n_work;
};

static int call_gesdd(const struct lapack *s, bool wants_vectors, const struct svd *x)
{
        const char *job = !wants_vectors ? "N" : s->is_full ? "A" : "S";
        const int n_u = s->is_full ? s->m : s->least;
        const int m = s->n, n = s->m, lda = m > 1 ? m : 1, ld_vt = n_u > 1 ? n_u : 1;
        int info = 0;

        switch (s->letter) {
        case 0:
                sgesdd_(job, &m, &n, x->a, &lda, x->values, x->vt, &lda, x->u, &ld_vt, x->work,
                        &x->n_work, x->iwork, &info, 1);
                break;
        case 1:
                dgesdd_(job, &m, &n, x->a, &lda, x->values, x->vt, &lda, x->u, &ld_vt, x->work,
                        &x->n_work, x->iwork, &info, 1);
                break;
        case 2:
                cgesdd_(job, &m, &n, x->a, &lda, x->values, x->vt, &lda, x->u, &ld_vt, x->work,
                        &x->n_work, x->rwork, x->iwork, &info, 1);
                break;
        default:
                zgesdd_(job, &m, &n, x->a, &lda, x->values, x->vt, &lda, x->u, &ld_vt, x->work,
                        &x->n_work, x->rwork, x->iwork, &info, 1);
                break;
        }
        return info;
}

/* as gesdd documents what it needs of real work: the most of all jobs */
static int64_t n_rwork(const struct lapack *s)
{
        const int64_t least = s->least, most = s->m > s->n ? s->m : s->n;
        const int64_t a = 5 * least * least + 5 * least,
                      b = 2 * most * least + 2 * least * least + least;

        return a > b ? a : b;
}

static void prepare(struct lapack *s, bool wants_vectors)
{
        const int64_t real_size = td_dtype_size(td_dtype_real(s->dtype));
        double complex any = 0, work = 1;
        int any_int = 0;
        struct svd query = { &any, &any, &any, &any, &work, &any, &any_int, -1 };

        s->at[AREA_A] = lapack_reserve(s, (int64_t)s->m * s->n, s->size);
        if (s->least == 0)
                return;
        if (8 * (int64_t)s->least > INT32_MAX) {
                s->is_beyond = true;
                return;
        }
        call_gesdd(s, wants_vectors, &query);
        lapack_take_query(s, &work, &s->n_work);
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, s->size);
        if (td_dtype_is_complex(s->dtype))
                s->at[AREA_RWORK] = lapack_reserve(s, n_rwork(s), real_size);
        s->at[AREA_IWORK] = lapack_reserve(s, 8 * (int64_t)s->least, sizeof(int));
}

static int compute(const struct lapack_call *call, bool wants_vectors, struct svd *x)
{
        const struct lapack *s = call->s;
        int info, r;

        x->a = lapack_area(call, AREA_A);
        x->work = lapack_area(call, AREA_WORK);
        x->rwork = lapack_area(call, AREA_RWORK);
        x->iwork = lapack_area(call, AREA_IWORK);
        x->n_work = s->n_work;
        lapack_pack_rows(call, 0, x->a);
        r = lapack_check_finite(call, x->a, (int64_t)s->m * s->n);
        if (r)
                return r;
        info = call_gesdd(s, wants_vectors, x);
        if (info == 0)
                return 0;
        return lapack_refuse(call, TD_E_NOT_CONVERGED, "has singular values that did not converge");
}

static void prepare_svd(struct lapack *s)
{
        prepare(s, true);
}

static int one_svd(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        struct svd x = { .u = call->results[0],
                         .values = call->results[1],
                         .vt = call->results[2] };

        if (s->least > 0)
                return compute(call, true, &x);
        if (s->is_full) {
                lapack_set_identity(s, s->m, x.u);
                lapack_set_identity(s, s->n, x.vt);
        }
        return 0;
}

static void prepare_svdvals(struct lapack *s)
{
        prepare(s, false);
}

static int one_svdvals(const struct lapack_call *call)
{
        double complex none = 0;
        struct svd x = { .values = call->results[0], .u = &none, .vt = &none };

        return call->s->least > 0 ? compute(call, false, &x) : 0;
}

const struct lapack_routine lapack_svd = { "svd", prepare_svd, one_svd };
const struct lapack_routine lapack_svdvals = { "svdvals", prepare_svdvals, one_svdvals };
