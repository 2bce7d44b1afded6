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
 * Everything is computed in float64, float32 too. Complex ones are lapack_lstsq_complex.c's.
 */
#include <float.h>
#include <math.h>

#include "compute/linalg/lapack_frame.h"

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

enum {
        AREA_A, /* and b: as given, by columns */
        AREA_B,
        AREA_FACTOR, /* QR of a; a itself if it is wide */
        AREA_TAU,
        AREA_SQUARE, /* and right: what gelsd writes over, R and Q'b */
        AREA_RIGHT,
        AREA_VALUES,
        AREA_X,
        AREA_WORK,
        AREA_IWORK,
        AREA_RESIDUAL, /* and long x: long double */
        AREA_LONG_X,
};

/* One problem: where everything lies. */
struct pass {
        const struct lapack_call *call;
        const struct lapack *s;
        double *a, *b, *factor, *tau, *square, *rhs, *values, *x, *work;
        int *iwork;
        long double *residual, *long_x;
        int rank;
};

/* gelsd cannot be called with none */
static int n_solved(const struct lapack *s)
{
        return s->n_rhs > 0 ? s->n_rhs : 1;
}

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
static int call_gelsd(struct pass *pass, int rows, int lda, int ldb)
{
        const struct lapack *s = pass->s;
        const int n = n_solved(s);
        int info = 0;

        dgelsd_(&rows, &s->n, &n, pass->square, &lda, pass->rhs, &ldb, pass->values,
                &s->rcond, &pass->rank, pass->work, &s->n_work, pass->iwork, &info);
        assert(info >= 0);
        if (info == 0)
                return 0;
        return lapack_refuse(pass->call, TD_E_NOT_CONVERGED,
                             "has singular values that did not converge (%d superdiagonals are "
                             "left)",
                             info);
}

/* rhs = Q' rhs or Q rhs, in place */
static void apply_q(struct pass *pass, const char *trans, int n_rhs, double *rhs)
{
        const struct lapack *s = pass->s;
        int info = 0;

        dormqr_("L", trans, &s->m, &n_rhs, &s->n, pass->factor, &s->m, pass->tau, rhs, &s->m,
                pass->work, &s->n_work, &info, 1, 1);
        assert(info == 0);
}

/* x = R^-1 x or R'^-1 x, in place; R has no zero on its diagonal */
static void apply_r_inverse(struct pass *pass, const char *trans, double *x)
{
        const struct lapack *s = pass->s;
        const int one = 1;
        int info = 0;

        dtrtrs_("U", trans, "N", &s->n, &one, pass->factor, &s->m, x, &s->n, &info, 1, 1, 1);
        assert(info == 0);
}

static int factor_tall(struct pass *pass)
{
        const struct lapack *s = pass->s;
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
        return call_gelsd(pass, s->n, s->n, s->m);
}

static int factor_wide(struct pass *pass)
{
        const struct lapack *s = pass->s;

        memcpy(pass->square, pass->a, (size_t)s->m * (size_t)s->n * sizeof(double));
        for (int64_t j = 0; j < s->n_rhs; j++)
                memcpy(pass->rhs + j * s->n, pass->b + j * s->m, (size_t)s->m * sizeof(double));
        return call_gelsd(pass, s->m, s->m, s->n);
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

/* x, and the sums of squares, one right side after the other; rank and singular values */
static int finish(struct pass *pass)
{
        const struct lapack *s = pass->s;
        char *const *results = pass->call->results;
        bool is_refined = s->n > 0 && s->m >= s->n && pass->rank == s->n;
        int ld = s->m > s->n ? s->m : s->n;

        if (!is_refined) /* rows of x lie ld apart in rhs */
                for (int64_t j = 0; j < s->n_rhs; j++)
                        memcpy(pass->x + j * s->n, pass->rhs + j * ld,
                               (size_t)s->n * sizeof(double));
        for (int64_t j = 0; j < s->n_rhs; j++) {
                double *x = pass->x + j * s->n;

                if (run_should_stop(pass->call->run))
                        return PLAN_E_STOPPED;
                if (is_refined)
                        refine(pass, pass->b + j * s->m, x);
                for (int64_t i = 0; i < s->n; i++)
                        lapack_set_item(s->result_dtype, results[0], i * s->n_rhs + j, x[i]);
                lapack_set_item(s->result_dtype, results[1], j,
                                residual_sum(pass, pass->b + j * s->m, x));
        }
        *(int64_t *)(void *)results[2] = pass->rank;
        for (int64_t i = 0; i < s->least; i++)
                lapack_set_item(s->result_dtype, results[3], i, pass->values[i]);
        return 0;
}

static void place(struct pass *pass, const struct lapack_call *call)
{
        *pass = (struct pass){
                .call = call,
                .s = call->s,
                .a = lapack_area(call, AREA_A),
                .b = lapack_area(call, AREA_B),
                .factor = lapack_area(call, AREA_FACTOR),
                .tau = lapack_area(call, AREA_TAU),
                .square = lapack_area(call, AREA_SQUARE),
                .rhs = lapack_area(call, AREA_RIGHT),
                .values = lapack_area(call, AREA_VALUES),
                .x = lapack_area(call, AREA_X),
                .work = lapack_area(call, AREA_WORK),
                .iwork = lapack_area(call, AREA_IWORK),
                .residual = lapack_area(call, AREA_RESIDUAL),
                .long_x = lapack_area(call, AREA_LONG_X),
        };
}

static int one(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        struct pass pass;
        int r;

        place(&pass, call);
        lapack_pack_columns(call, 0, pass.a);
        lapack_pack_columns(call, 1, pass.b);
        r = lapack_check_finite(call, pass.a, (int64_t)s->m * s->n);
        if (r)
                return r;
        if (!is_finite(pass.b, (int64_t)s->m * s->n_rhs))
                return lapack_refuse(call, TD_E_NOT_CONVERGED,
                                     "has a right side with NaN or infinite elements");
        memset(pass.rhs, 0,
               (size_t)(s->m > s->n ? s->m : s->n) * (size_t)n_solved(s) * sizeof(double));
        if (s->least > 0)
                r = s->m >= s->n ? factor_tall(&pass) : factor_wide(&pass);
        return r ? r : finish(&pass);
}

/* ---- preparing ---- */

/* How much LAPACK wants to work with. */
static void query_work(struct lapack *s)
{
        const int query = -1, n = n_solved(s), ldb = s->m > s->n ? s->m : s->n;
        int info = 0, rank, iwork = 1, rows = s->least;
        double work[3] = { 1, 1, 1 }, most = 1, any = 0;

        if (s->least > 0)
                dgelsd_(&rows, &s->n, &n, &any, &rows, &any, &ldb, &any, &s->rcond, &rank, &work[0],
                        &query, &iwork, &info);
        if (s->least > 0 && s->m >= s->n) {
                dgeqrf_(&s->m, &s->n, &any, &s->m, &any, &work[1], &query, &info);
                dormqr_("L", "T", &s->m, &s->n_rhs, &s->n, &any, &s->m, &any, &any, &s->m, &work[2],
                        &query, &info, 1, 1);
        }
        for (unsigned i = 0; i < 3; i++)
                most = fmax(most, work[i]);
        lapack_take_query(s, &most, &s->n_work);
        s->n_iwork = iwork;
        if (iwork < 1)
                s->is_beyond = true;
}

static void prepare(struct lapack *s)
{
        const int64_t m = s->m, n = s->n, n_rhs = s->n_rhs, ld = m > n ? m : n;

        query_work(s);
        if (s->is_beyond)
                return;
        s->at[AREA_A] = lapack_reserve(s, m * n, sizeof(double));
        s->at[AREA_B] = lapack_reserve(s, m * n_rhs, sizeof(double));
        s->at[AREA_FACTOR] = m >= n ? lapack_reserve(s, m * n, sizeof(double)) : s->at[AREA_A];
        s->at[AREA_TAU] = lapack_reserve(s, s->least, sizeof(double));
        s->at[AREA_SQUARE] = lapack_reserve(s, s->least * n, sizeof(double));
        /* also what refine() works in: m + 2n */
        s->at[AREA_RIGHT] = lapack_reserve(
                s, ld * n_rhs > ld + 2 * n ? ld * n_rhs : ld + 2 * n, sizeof(double));
        s->at[AREA_VALUES] = lapack_reserve(s, s->least, sizeof(double));
        s->at[AREA_X] = lapack_reserve(s, n * n_rhs, sizeof(double));
        s->at[AREA_WORK] = lapack_reserve(s, s->n_work, sizeof(double));
        s->at[AREA_IWORK] = lapack_reserve(s, s->n_iwork, sizeof(int));
        s->at[AREA_RESIDUAL] = lapack_reserve(s, 2 * m, sizeof(long double));
        s->at[AREA_LONG_X] = lapack_reserve(s, n, sizeof(long double));
}

const struct lapack_routine lapack_lstsq = { "lstsq", prepare, one };
