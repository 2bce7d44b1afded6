/* SPDX-License-Identifier: MIT */
/*
 * Eigenvalues and eigenvectors
 *
 * Of symmetric and Hermitian matrices by divide and conquer (LAPACK syevd, heevd), of others by the
 * QR algorithm (geev). Symmetric ones are given as they lie: in C order LAPACK sees the transpose,
 * which is the conjugate, so complex vectors are conjugated as they are turned round. Of a
 * symmetric matrix the lower triangle is read.
 */
#include "compute/linalg/lapack_frame.h"

#define SYEVD_ARGS                                                                                 \
        const char *jobz, const char *uplo, const int *n, void *a, const int *lda, void *w,        \
                void *work, const int *n_work
void ssyevd_(SYEVD_ARGS, int *iwork, const int *n_iwork, int *info, size_t n_jobz, size_t n_uplo);
void dsyevd_(SYEVD_ARGS, int *iwork, const int *n_iwork, int *info, size_t n_jobz, size_t n_uplo);
void cheevd_(SYEVD_ARGS, void *rwork, const int *n_rwork, int *iwork, const int *n_iwork, int *info,
             size_t n_jobz, size_t n_uplo);
void zheevd_(SYEVD_ARGS, void *rwork, const int *n_rwork, int *iwork, const int *n_iwork, int *info,
             size_t n_jobz, size_t n_uplo);
#define GEEV_REAL                                                                                  \
        const char *jobvl, const char *jobvr, const int *n, void *a, const int *lda, void *wr,     \
                void *wi, void *vl, const int *ldvl, void *vr, const int *ldvr, void *work,        \
                const int *n_work, int *info, size_t n_jobvl, size_t n_jobvr
#define GEEV_COMPLEX                                                                               \
        const char *jobvl, const char *jobvr, const int *n, void *a, const int *lda, void *w,      \
                void *vl, const int *ldvl, void *vr, const int *ldvr, void *work,                  \
                const int *n_work, void *rwork, int *info, size_t n_jobvl, size_t n_jobvr
void sgeev_(GEEV_REAL);
void dgeev_(GEEV_REAL);
void cgeev_(GEEV_COMPLEX);
void zgeev_(GEEV_COMPLEX);

enum { AREA_A, AREA_WORK, AREA_RWORK, AREA_IWORK, AREA_VALUES, AREA_VECTORS };

/* ---- symmetric ---- */

struct symmetric {
        void *a, *values, *work, *rwork;
        int *iwork;
        int n_work, n_rwork, n_iwork;
};

static int call_syevd(const struct lapack *s, bool wants_vectors, const struct symmetric *x)
{
        const char *job = wants_vectors ? "V" : "N";
        const int lda = s->n > 1 ? s->n : 1;
        int info = 0;

        switch (s->letter) {
        case 0:
                ssyevd_(job, "U", &s->n, x->a, &lda, x->values, x->work, &x->n_work, x->iwork,
                        &x->n_iwork, &info, 1, 1);
                break;
        case 1:
                dsyevd_(job, "U", &s->n, x->a, &lda, x->values, x->work, &x->n_work, x->iwork,
                        &x->n_iwork, &info, 1, 1);
                break;
        case 2:
                cheevd_(job, "U", &s->n, x->a, &lda, x->values, x->work, &x->n_work, x->rwork,
                        &x->n_rwork, x->iwork, &x->n_iwork, &info, 1, 1);
                break;
        default:
                zheevd_(job, "U", &s->n, x->a, &lda, x->values, x->work, &x->n_work, x->rwork,
                        &x->n_rwork, x->iwork, &x->n_iwork, &info, 1, 1);
                break;
        }
        return info;
}

/* LAPACK counts what it needs in 32 bits, unchecked: 1 + 6 n + 2 n**2 at most. */
static void prepare_symmetric(struct lapack *s, bool wants_vectors)
{
        const int64_t n = s->n, real_size = td_dtype_size(td_dtype_real(s->dtype));
        double complex any = 0, work = 1;
        double rwork = 1;
        int iwork = 1;
        struct symmetric query = { &any, &any, &work, &rwork, &iwork, -1, -1, -1 };

        if (1 + 6 * n + 2 * n * n > INT32_MAX) {
                s->is_beyond = true;
                return;
        }
        if (!wants_vectors)
                s->at[AREA_A] = lapack_reserve(s, n * n, s->size);
        call_syevd(s, wants_vectors, &query);
        lapack_take_query(s, &work, &s->n_work);
        s->n_iwork = iwork > 1 ? iwork : 1;
        s->n_rwork = (int)(wants_vectors ? 1 + 5 * n + 2 * n * n : n + 1);
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, s->size);
        s->at[AREA_IWORK] = lapack_reserve(s, s->n_iwork, sizeof(int));
        if (td_dtype_is_complex(s->dtype))
                s->at[AREA_RWORK] = lapack_reserve(s, s->n_rwork, real_size);
}

static int compute_symmetric(const struct lapack_call *call, bool wants_vectors, void *a)
{
        const struct lapack *s = call->s;
        const struct symmetric x = { a,
                                     call->results[0],
                                     lapack_area(call, AREA_WORK),
                                     lapack_area(call, AREA_RWORK),
                                     lapack_area(call, AREA_IWORK),
                                     s->n_work,
                                     s->n_rwork,
                                     s->n_iwork };
        int r;

        if (s->n == 0)
                return 0;
        lapack_pack_rows(call, 0, a);
        r = lapack_check_finite(call, a, (int64_t)s->n * s->n);
        if (r)
                return r;
        if (call_syevd(s, wants_vectors, &x))
                return lapack_refuse(call, TD_E_NOT_CONVERGED,
                                     "has eigenvalues that did not converge");
        if (wants_vectors)
                lapack_transpose_square(s->dtype, s->n, a, true);
        return 0;
}

static void prepare_eigh(struct lapack *s)
{
        prepare_symmetric(s, true);
}

static int one_eigh(const struct lapack_call *call)
{
        return compute_symmetric(call, true, call->results[1]);
}

static void prepare_eigvalsh(struct lapack *s)
{
        prepare_symmetric(s, false);
}

static int one_eigvalsh(const struct lapack_call *call)
{
        return compute_symmetric(call, false, lapack_area(call, AREA_A));
}

const struct lapack_routine lapack_eigh = { "eigh", prepare_eigh, one_eigh };
const struct lapack_routine lapack_eigvalsh = { "eigvalsh", prepare_eigvalsh, one_eigvalsh };

/* ---- general ---- */

struct general {
        void *a, *values, *vectors, *work, *rwork;
        int n_work;
};

static int call_geev(const struct lapack *s, bool wants_vectors, const struct general *x)
{
        const char *job = wants_vectors ? "V" : "N";
        const int ld = s->n > 1 ? s->n : 1;
        char *wi = (char *)x->values + s->n * s->size;
        int info = 0;

        switch (s->letter) {
        case 0:
                sgeev_("N", job, &s->n, x->a, &ld, x->values, wi, NULL, &ld, x->vectors, &ld,
                       x->work, &x->n_work, &info, 1, 1);
                break;
        case 1:
                dgeev_("N", job, &s->n, x->a, &ld, x->values, wi, NULL, &ld, x->vectors, &ld,
                       x->work, &x->n_work, &info, 1, 1);
                break;
        case 2:
                cgeev_("N", job, &s->n, x->a, &ld, x->values, NULL, &ld, x->vectors, &ld, x->work,
                       &x->n_work, x->rwork, &info, 1, 1);
                break;
        default:
                zgeev_("N", job, &s->n, x->a, &ld, x->values, NULL, &ld, x->vectors, &ld, x->work,
                       &x->n_work, x->rwork, &info, 1, 1);
                break;
        }
        return info;
}

static void prepare_general(struct lapack *s, bool wants_vectors)
{
        const int64_t n = s->n;
        double complex any[2] = { 0 }, work = 1;
        double rwork = 0;
        struct general query = { any, any, any, &work, &rwork, -1 };

        if (n == 0)
                return;
        s->at[AREA_A] = lapack_reserve(s, n * n, s->size);
        call_geev(s, wants_vectors, &query);
        lapack_take_query(s, &work, &s->n_work);
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, s->size);
        if (td_dtype_is_complex(s->dtype)) {
                s->at[AREA_RWORK] = lapack_reserve(s, 2 * n, s->size / 2);
                return;
        }
        s->at[AREA_VALUES] = lapack_reserve(s, 2 * n, s->size);
        if (wants_vectors)
                s->at[AREA_VECTORS] = lapack_reserve(s, n * n, s->size);
}

/* Of a real matrix, eigenvalues come as two lists. */
static void join_values(const struct lapack *s, const void *values, void *out)
{
        const enum td_dtype dtype = s->dtype == TD_FLOAT32 ? TD_COMPLEX64 : TD_COMPLEX128;

        for (int64_t i = 0; i < s->n; i++)
                lapack_set_item(dtype, out, i,
                                CMPLX(creal(lapack_item(s, values, i)),
                                      creal(lapack_item(s, values, s->n + i))));
}

/* And the vectors of a conjugate pair as real and imaginary part, in two columns. */
static void join_vectors(const struct lapack *s, const void *values, const void *vectors, void *out)
{
        const enum td_dtype dtype = s->dtype == TD_FLOAT32 ? TD_COMPLEX64 : TD_COMPLEX128;
        const int64_t n = s->n;

        for (int64_t j = 0; j < n; j++) {
                const bool is_pair = creal(lapack_item(s, values, n + j)) != 0 && j + 1 < n;

                for (int64_t i = 0; i < n; i++) {
                        const double re = creal(lapack_item(s, vectors, j * n + i));
                        const double im = is_pair ? creal(lapack_item(s, vectors, (j + 1) * n + i))
                                                  : 0;

                        lapack_set_item(dtype, out, i * n + j, CMPLX(re, im));
                        if (is_pair)
                                lapack_set_item(dtype, out, i * n + j + 1, CMPLX(re, -im));
                }
                j += is_pair;
        }
}

static int compute_general(const struct lapack_call *call, bool wants_vectors)
{
        const struct lapack *s = call->s;
        const bool is_complex = td_dtype_is_complex(s->dtype);
        void *vectors = wants_vectors ? call->results[1] : NULL;
        struct general x = {
                .a = lapack_area(call, AREA_A),
                .values = is_complex ? call->results[0] : lapack_area(call, AREA_VALUES),
                .vectors = is_complex ? vectors : lapack_area(call, AREA_VECTORS),
                .work = lapack_area(call, AREA_WORK),
                .rwork = lapack_area(call, AREA_RWORK),
                .n_work = s->n_work,
        };
        int r;

        if (s->n == 0)
                return 0;
        lapack_pack_columns(call, 0, x.a);
        r = lapack_check_finite(call, x.a, (int64_t)s->n * s->n);
        if (r)
                return r;
        if (call_geev(s, wants_vectors, &x))
                return lapack_refuse(call, TD_E_NOT_CONVERGED,
                                     "has eigenvalues that did not converge");
        if (!is_complex)
                join_values(s, x.values, call->results[0]);
        if (!is_complex && wants_vectors)
                join_vectors(s, x.values, x.vectors, vectors);
        if (is_complex && wants_vectors)
                lapack_transpose_square(s->dtype, s->n, vectors, false);
        return 0;
}

static void prepare_eig(struct lapack *s)
{
        prepare_general(s, true);
}

static int one_eig(const struct lapack_call *call)
{
        return compute_general(call, true);
}

static void prepare_eigvals(struct lapack *s)
{
        prepare_general(s, false);
}

static int one_eigvals(const struct lapack_call *call)
{
        return compute_general(call, false);
}

const struct lapack_routine lapack_eig = { "eig", prepare_eig, one_eig };
const struct lapack_routine lapack_eigvals = { "eigvals", prepare_eigvals, one_eigvals };
