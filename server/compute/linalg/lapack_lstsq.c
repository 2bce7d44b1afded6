/* SPDX-License-Identifier: MIT */
/*
 * Least squares
 *
 * A tall matrix is factored once by Householder's QR. Rank and singular values are those of R,
 * found by divide and conquer (LAPACK gelsd), which also gives the solution of smallest norm where
 * the rank is not full. Where it is, R gives a first solution, and Bjorck's iteration on the
 * augmented system (r + a x = b, a' r = 0) refines x and r together, with residuals in long double:
 * ill-conditioned regressions come out right to the last digits. A. Bjorck, "Iterative refinement
 * of linear least squares solutions I", BIT 7 (1967).
 *
 * Everything is computed in float64, float32 too. Any thread; a step is const while it runs.
 */
#include "compute/linalg/lapack.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "compute/linalg/blas_threads.h"
#include "compute/kernels/kernels.h"
#include "compute/step_base.h"

#define TINY 16       /* matrices up to this extent may be computed on the loop thread */
#define REFINEMENTS 5 /* at most */

void dgelsd_(const int *m, const int *n, const int *n_rhs, double *a, const int *lda, double *b,
             const int *ldb, double *s, const double *rcond, int *rank, double *work,
             const int *n_work, int *iwork, int *info);
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
             const int *n_work, int *info);
void dormqr_(const char *side, const char *trans, const int *m, const int *n, const int *k,
             const double *a, const int *lda, const double *tau, double *c, const int *ldc,
             double *work, const int *n_work, int *info, size_t n_side, size_t n_trans);
void dtrtrs_(const char *uplo, const char *trans, const char *diag, const int *n, const int *n_rhs,
             const double *a, const int *lda, double *b, const int *ldb, int *info, size_t n_uplo,
             size_t n_trans, size_t n_diag);

struct lstsq {
        struct step step;
        enum td_dtype dtype;
        bool fits; /* LAPACK can count the extents and what it needs to work */
        int m, n, n_rhs, n_least;
        int n_solved; /* right sides that gelsd is given: it cannot be called with none */
        double rcond;
        struct step *copy_a, *copy_b; /* to column-major float64 */
        kernel_load *convert;         /* float64 to the dtype of the results */
        int n_work, n_iwork;
        /* in scratch */
        uint64_t a_at, b_at;        /* as given */
        uint64_t factor_at, tau_at; /* QR of a; a itself if it is wide */
        uint64_t square_at, rhs_at; /* what gelsd writes over: R and Q'b */
        uint64_t s_at, x_at, work_at, iwork_at;
        uint64_t r_at, long_x_at; /* long double */
};

/* One run: where everything lies. */
struct pass {
        const struct lstsq *s;
        double *a, *b, *factor, *tau, *square, *rhs, *values, *x, *work;
        int *iwork;
        long double *residual, *long_x;
        int rank;
};

static bool is_finite(const double *x, int64_t n)
{
        bool all = true;

        for (int64_t i = 0; i < n; i++)
                all &= isfinite(x[i]) != 0;
        return all;
}

/* ---- rank, singular values, smallest solution ---- */

/* square is rows[n] x n with leading dimension lda, rhs has leading dimension ldb; the solutions
 * are left in rhs. */
static int call_gelsd(struct pass *pass, int rows, int lda, int ldb, struct td_refusal *refusal)
{
        const struct lstsq *s = pass->s;
        int info = 0;

        dgelsd_(&rows, &s->n, &s->n_solved, pass->square, &lda, pass->rhs, &ldb, pass->values,
                &s->rcond, &pass->rank, pass->work, &s->n_work, pass->iwork, &info);
        assert(info >= 0);
        if (info == 0)
                return 0;
        td_refuse(refusal, TD_E_NOT_CONVERGED,
                  "lstsq: the singular values did not converge (%d superdiagonals are left)", info);
        return PLAN_E_REFUSED;
}

/* rhs = Q' rhs or Q rhs, in place */
static void apply_q(struct pass *pass, const char *trans, int n_rhs, double *rhs)
{
        const struct lstsq *s = pass->s;
        int info = 0;

        dormqr_("L", trans, &s->m, &n_rhs, &s->n, pass->factor, &s->m, pass->tau, rhs, &s->m,
                pass->work, &s->n_work, &info, 1, 1);
        assert(info == 0);
}

/* x = R^-1 x or R'^-1 x, in place; R has no zero on its diagonal */
static void apply_r_inverse(struct pass *pass, const char *trans, double *x)
{
        const struct lstsq *s = pass->s;
        const int one = 1;
        int info = 0;

        dtrtrs_("U", trans, "N", &s->n, &one, pass->factor, &s->m, x, &s->n, &info, 1, 1, 1);
        assert(info == 0);
}

static int factor_tall(struct pass *pass, struct td_refusal *refusal)
{
        const struct lstsq *s = pass->s;
        const int64_t m = s->m, n = s->n;
        int info = 0;

        memcpy(pass->factor, pass->a, (size_t)(m * n) * sizeof(double));
        dgeqrf_(&s->m, &s->n, pass->factor, &s->m, pass->tau, pass->work, &s->n_work, &info);
        assert(info == 0);
        memcpy(pass->rhs, pass->b, (size_t)(m * s->n_rhs) * sizeof(double));
        apply_q(pass, "T", s->n_rhs, pass->rhs);
        for (int64_t j = 0; j < n; j++)
                for (int64_t i = 0; i < n; i++)
                        pass->square[j * n + i] = i <= j ? pass->factor[j * m + i] : 0;
        return call_gelsd(pass, s->n, s->n, s->m, refusal);
}

static int factor_wide(struct pass *pass, struct td_refusal *refusal)
{
        const struct lstsq *s = pass->s;

        memcpy(pass->square, pass->a, (size_t)s->m * (size_t)s->n * sizeof(double));
        for (int64_t j = 0; j < s->n_rhs; j++)
                memcpy(pass->rhs + j * s->n, pass->b + j * s->m, (size_t)s->m * sizeof(double));
        return call_gelsd(pass, s->m, s->m, s->n, refusal);
}

/* ---- refinement ---- */

/* f = b - r - a x into the first m of work, g = -a' r into the last n */
static void augmented_residual(struct pass *pass, const double *b, double *f, double *g)
{
        const int64_t m = pass->s->m, n = pass->s->n;
        long double *sums = pass->residual + m;

        for (int64_t i = 0; i < m; i++)
                sums[i] = b[i] - pass->residual[i];
        for (int64_t j = 0; j < n; j++) {
                const double *column = pass->a + j * m;
                long double x = pass->long_x[j], sum = 0;

                for (int64_t i = 0; i < m; i++) {
                        sums[i] -= column[i] * x;
                        sum -= column[i] * pass->residual[i];
                }
                g[j] = (double)sum;
        }
        for (int64_t i = 0; i < m; i++)
                f[i] = (double)sums[i];
}

/* The largest element of x, each counted as far as its column moves a x. */
static double scaled_size(const struct pass *pass, const double *x)
{
        const int64_t m = pass->s->m;
        double most = 0;

        for (int64_t j = 0; j < pass->s->n; j++)
                most = fmax(most, fabs(x[j]) * fabs(pass->factor[j * m + j]));
        return most;
}

/*
 * One solution, from nothing: the first turn yields the plain QR solution, the others refine it.
 * With (d1, d2) = Q' f and h = R'^-1 g, dx = R^-1 (d1 - h) and dr = Q (h, d2).
 */
static void refine(struct pass *pass, const double *b, double *x)
{
        const int64_t m = pass->s->m, n = pass->s->n;
        double *f = pass->rhs, *g = f + m, *dx = g + n; /* gelsd is done with rhs */
        double before = INFINITY;

        for (int64_t i = 0; i < m; i++)
                pass->residual[i] = 0;
        for (int64_t j = 0; j < n; j++)
                pass->long_x[j] = x[j] = 0;
        for (int turn = 0; turn <= REFINEMENTS; turn++) {
                double moved;

                augmented_residual(pass, b, f, g);
                apply_q(pass, "T", 1, f);
                apply_r_inverse(pass, "T", g);
                for (int64_t j = 0; j < n; j++) {
                        dx[j] = f[j] - g[j];
                        f[j] = g[j];
                }
                apply_r_inverse(pass, "N", dx);
                apply_q(pass, "N", 1, f);
                moved = scaled_size(pass, dx);
                if (!(moved < before / 2))
                        return; /* not converging: keep what there is */
                for (int64_t i = 0; i < m; i++)
                        pass->residual[i] += f[i];
                for (int64_t j = 0; j < n; j++) {
                        pass->long_x[j] += dx[j];
                        x[j] = (double)pass->long_x[j];
                }
                if (moved <= DBL_EPSILON / 4 * scaled_size(pass, x))
                        return;
                before = moved;
        }
}

/* ---- running ---- */

static double residual_sum(struct pass *pass, const double *b, const double *x)
{
        const int64_t m = pass->s->m, n = pass->s->n;
        long double sum = 0;

        for (int64_t i = 0; i < m; i++)
                pass->residual[i] = b[i];
        for (int64_t j = 0; j < n; j++)
                for (int64_t i = 0; i < m; i++)
                        pass->residual[i] -= pass->a[j * m + i] * (long double)x[j];
        for (int64_t i = 0; i < m; i++)
                sum += pass->residual[i] * pass->residual[i];
        return (double)sum;
}

/* x, and the sums of squares, one right side after the other */
static int finish(struct pass *pass, const struct run *run, char *x_out, char *sums_out)
{
        const struct lstsq *s = pass->s;
        const int64_t size = td_dtype_size(s->dtype);
        bool is_refined = s->n > 0 && s->m >= s->n && pass->rank == s->n;
        int ld = s->m > s->n ? s->m : s->n;

        if (!is_refined) /* rows of x lie ld apart in rhs */
                for (int64_t j = 0; j < s->n_rhs; j++)
                        memcpy(pass->x + j * s->n, pass->rhs + j * ld,
                               (size_t)s->n * sizeof(double));
        for (int64_t j = 0; j < s->n_rhs; j++) {
                double *x = pass->x + j * s->n, sum;

                if (run_should_stop(run))
                        return PLAN_E_STOPPED;
                if (is_refined)
                        refine(pass, pass->b + j * s->m, x);
                for (int64_t i = 0; i < s->n; i++)
                        s->convert(1, x_out + (i * s->n_rhs + j) * size, &x[i], 0);
                sum = residual_sum(pass, pass->b + j * s->m, x);
                s->convert(1, sums_out + j * size, &sum, 0);
        }
        return 0;
}

static void place(struct pass *pass, const struct lstsq *s, char *scratch)
{
        pass->s = s;
        pass->a = (double *)(scratch + s->a_at);
        pass->b = (double *)(scratch + s->b_at);
        pass->factor = (double *)(scratch + s->factor_at);
        pass->tau = (double *)(scratch + s->tau_at);
        pass->square = (double *)(scratch + s->square_at);
        pass->rhs = (double *)(scratch + s->rhs_at);
        pass->values = (double *)(scratch + s->s_at);
        pass->x = (double *)(scratch + s->x_at);
        pass->work = (double *)(scratch + s->work_at);
        pass->iwork = (int *)(scratch + s->iwork_at);
        pass->residual = (long double *)(scratch + s->r_at);
        pass->long_x = (long double *)(scratch + s->long_x_at);
        pass->rank = 0;
}

static int lstsq_run(const struct step *step, const struct run *run, const void *const *args,
                     void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct lstsq *s = (const struct lstsq *)step;
        struct pass pass;
        int r;

        if (!s->fits) {
                td_refuse(refusal, TD_E_BAD_SHAPE,
                          "lstsq: the matrix is larger than LAPACK can count");
                return PLAN_E_REFUSED;
        }
        place(&pass, s, scratch);
        r = step_run(s->copy_a, run, &args[0], (void *[]){ pass.a }, NULL, refusal);
        if (!r)
                r = step_run(s->copy_b, run, &args[1], (void *[]){ pass.b }, NULL, refusal);
        if (r)
                return r;
        if (!is_finite(pass.a, (int64_t)s->m * s->n) ||
            !is_finite(pass.b, (int64_t)s->m * s->n_rhs)) {
                td_refuse(
                        refusal, TD_E_NOT_CONVERGED,
                        "lstsq: the %s has NaN or infinite elements: no iteration on it converges",
                        is_finite(pass.a, (int64_t)s->m * s->n) ? "right side" : "matrix");
                return PLAN_E_REFUSED;
        }
        blas_enter(1);
        memset(pass.rhs, 0,
               (size_t)(s->m > s->n ? s->m : s->n) * (size_t)s->n_solved * sizeof(double));
        if (s->n_least > 0)
                r = s->m >= s->n ? factor_tall(&pass, refusal) : factor_wide(&pass, refusal);
        if (!r)
                r = finish(&pass, run, results[0], results[1]);
        blas_leave();
        if (r)
                return r;
        *(int64_t *)results[2] = pass.rank;
        for (int i = 0; i < s->n_least; i++)
                s->convert(1, (char *)results[3] + i * td_dtype_size(s->dtype), &pass.values[i], 0);
        return run_should_stop(run) ? PLAN_E_STOPPED : 0;
}

static struct step *lstsq_free(struct step *step)
{
        struct lstsq *s = (struct lstsq *)step;

        step_free(s->copy_a);
        step_free(s->copy_b);
        free(s);
        return NULL;
}

static const struct step_class lstsq_class = { "lstsq", lstsq_run, lstsq_free };

/* ---- preparing ---- */

/* How much LAPACK wants to work with; false if it cannot count it. */
static bool query_work(struct lstsq *s)
{
        int query = -1, info = 0, rank, iwork = 1, rows = s->n_least,
            ldb = s->m > s->n ? s->m : s->n;
        double work[3] = { 1, 1, 1 }, most = 1, any = 0;

        dgelsd_(&rows, &s->n, &s->n_solved, &any, &rows, &any, &ldb, &any, &s->rcond, &rank,
                &work[0], &query, &iwork, &info);
        if (s->m >= s->n) {
                dgeqrf_(&s->m, &s->n, &any, &s->m, &any, &work[1], &query, &info);
                dormqr_("L", "T", &s->m, &s->n_rhs, &s->n, &any, &s->m, &any, &any, &s->m, &work[2],
                        &query, &info, 1, 1);
        }
        for (unsigned i = 0; i < 3; i++)
                most = fmax(most, work[i]);
        s->n_work = (int)fmin(most, INT32_MAX);
        s->n_iwork = iwork;
        return most < INT32_MAX && iwork > 0;
}

static uint64_t reserve(struct lstsq *s, int64_t n, size_t size)
{
        uint64_t at = s->step.n_scratch;

        s->step.n_scratch += align_64((uint64_t)n * size);
        return at;
}

static void lay_out(struct lstsq *s)
{
        const int64_t m = s->m, n = s->n, n_rhs = s->n_rhs, ld = m > n ? m : n;

        s->a_at = reserve(s, m * n, sizeof(double));
        s->b_at = reserve(s, m * n_rhs, sizeof(double));
        s->factor_at = m >= n ? reserve(s, m * n, sizeof(double)) : s->a_at;
        s->tau_at = reserve(s, s->n_least, sizeof(double));
        s->square_at = reserve(s, s->n_least * n, sizeof(double));
        /* also what refine() works in: m + 2n */
        s->rhs_at = reserve(s, ld * n_rhs > ld + 2 * n ? ld * n_rhs : ld + 2 * n, sizeof(double));
        s->s_at = reserve(s, s->n_least, sizeof(double));
        s->x_at = reserve(s, n * n_rhs, sizeof(double));
        s->work_at = reserve(s, s->n_work, sizeof(double));
        s->iwork_at = reserve(s, s->n_iwork, sizeof(int));
        s->r_at = reserve(s, 2 * m, sizeof(long double));
        s->long_x_at = reserve(s, n, sizeof(long double));
}

static int new_column_copy(struct step **stepp, const struct desc *arg)
{
        struct desc from = *arg, to;

        if (arg->type.ndim == 2)
                for (unsigned d = 0; d < 2; d++) {
                        from.type.shape[d] = arg->type.shape[1 - d];
                        from.strides[d] = arg->strides[1 - d];
                }
        to.type = from.type;
        to.type.dtype = TD_FLOAT64;
        desc_init_c(&to, &to.type);
        return step_new_copy(stepp, &from, &to);
}

int lstsq_new(struct step **stepp, const struct td_attrs *attrs, const struct desc *args,
              const struct desc *results)
{
        _cleanup_(step_freep) struct step *step = NULL;
        const int64_t m = args[0].type.shape[0], n = args[0].type.shape[1];
        const int64_t n_rhs = args[1].type.ndim == 1 ? 1 : args[1].type.shape[1];
        struct lstsq *s = calloc(1, sizeof(*s));
        double epsilon;
        int r;

        if (!s)
                return error_origin(-ENOMEM);
        step = &s->step;
        step->class = &lstsq_class;
        step->cost_ns = UINT64_MAX;
        s->dtype = results[0].type.dtype;
        s->convert = kernels_get()->load[TD_FLOAT64][s->dtype];
        epsilon = s->dtype == TD_FLOAT64 ? DBL_EPSILON : FLT_EPSILON;
        s->rcond = attrs->set & TD_ATTR_RCOND ? attrs->rcond : (double)(m > n ? m : n) * epsilon;
        if (!(s->rcond >= 0))
                s->rcond = epsilon;
        s->fits = m <= INT32_MAX && n <= INT32_MAX && n_rhs <= INT32_MAX;
        if (s->fits) {
                s->m = (int)m;
                s->n = (int)n;
                s->n_rhs = (int)n_rhs;
                s->n_solved = n_rhs > 0 ? s->n_rhs : 1;
                s->n_least = (int)(m < n ? m : n);
                blas_enter(1);
                s->fits = s->n_least == 0 || query_work(s);
                blas_leave();
        }
        if (s->fits)
                lay_out(s);
        r = new_column_copy(&s->copy_a, &args[0]);
        if (!r)
                r = new_column_copy(&s->copy_b, &args[1]);
        if (r)
                return r;
        if (m <= TINY && n <= TINY && n_rhs <= TINY)
                step->cost_ns = 20000 + (uint64_t)(m * n * (n + 10 * n_rhs)) * 8;
        *stepp = steal_ptr(&step);
        return 0;
}
