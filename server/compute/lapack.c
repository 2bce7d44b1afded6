/* SPDX-License-Identifier: MIT */
/*
 * solve and cholesky
 *
 * LAPACK wants matrices in column-major order and writes over them. solve copies each matrix, and
 * each right side, into scratch that way. cholesky works in the result itself: what is the lower
 * triangle by rows is the upper one by columns. The matrices of a stack follow one another on the
 * calling thread, which asks in between whether to stop.
 */
#include "compute/lapack.h"

#include <string.h>

#include "base/error.h"
#include "compute/blas.h"
#include "compute/space.h"
#include "compute/step_base.h"

#define TINY 16 /* matrices up to this extent may be computed on the loop thread */

/* Fortran passes the lengths of strings behind all other arguments. */
void sgesv_(const int *n, const int *n_rhs, float *a, const int *lda, int *pivots, float *b,
            const int *ldb, int *info);
void dgesv_(const int *n, const int *n_rhs, double *a, const int *lda, int *pivots, double *b,
            const int *ldb, int *info);
void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t n_uplo);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t n_uplo);

struct lapack {
        struct step step;
        enum td_op op;
        enum td_dtype dtype;
        int64_t size; /* of an item */
        bool is_upper;
        int64_t n, n_rhs;
        struct td_type lead; /* shape of the stack */
        struct space stack;  /* operands a and b */
        struct step *copy_a; /* of solve, one matrix to column-major order; of cholesky, the whole
                                stack */
        struct step *copy_b; /* one right side to column-major order */
        struct step *copy_x; /* one solution to row-major order; NULL if it is a vector */
        uint64_t b_at, pivots_at; /* in scratch; a is at its begin */
};

/* " of matrix (2, 1) of the stack", or nothing if there is no stack */
static struct td_shape_text where(const struct lapack *s, int64_t product)
{
        struct td_shape_text text = { "" }, index;
        int64_t at[TD_NDIM_MAX] = { 0 };

        if (s->lead.ndim == 0)
                return text;
        for (unsigned d = s->lead.ndim; d-- > 0;) {
                at[d] = product % s->lead.shape[d];
                product /= s->lead.shape[d];
        }
        index = td_shape_text(s->lead.ndim, at);
        snprintf(text.s, sizeof(text.s), " of matrix %.300s of the stack", index.s);
        return text;
}

static bool exceeds_lapack(const struct lapack *s, struct td_refusal *refusal)
{
        if (s->n <= INT32_MAX && s->n_rhs <= INT32_MAX)
                return false;
        td_refuse(refusal, TD_E_BAD_SHAPE, "%s: an extent of more than %d is beyond LAPACK",
                  td_op_name(s->op), INT32_MAX);
        return true;
}

static int solve_one(const struct lapack *s, int64_t product, void *a, void *b, int *pivots,
                     struct td_refusal *refusal)
{
        int n = (int)s->n, n_rhs = (int)s->n_rhs, info = 0;

        if (s->dtype == TD_FLOAT64)
                dgesv_(&n, &n_rhs, a, &n, pivots, b, &n, &info);
        else
                sgesv_(&n, &n_rhs, a, &n, pivots, b, &n, &info);
        assert(info >= 0);
        if (info == 0)
                return 0;
        td_refuse(refusal, TD_E_SINGULAR, "solve: the matrix is singular: pivot %d%s is zero", info,
                  where(s, product).s);
        return PLAN_E_REFUSED;
}

static int solve_run(const struct step *step, const struct run *run, const void *const *args,
                     void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct lapack *s = (const struct lapack *)step;
        int *pivots = (int *)((char *)scratch + s->pivots_at);
        const int64_t n_bytes = s->n * s->n_rhs * s->size;
        void *a = scratch;

        if (s->stack.n * n_bytes == 0)
                return 0;
        if (exceeds_lapack(s, refusal))
                return PLAN_E_REFUSED;
        for (int64_t i = 0; i < s->stack.n; i++) {
                const void *from_a = (const char *)args[0] + space_offset(&s->stack, 0, i);
                const void *from_b = (const char *)args[1] + space_offset(&s->stack, 1, i);
                void *x = (char *)results[0] + i * n_bytes;
                void *b = s->copy_x ? (char *)scratch + s->b_at : x;
                const void *solved = b;
                int r;

                if (run_should_stop(run))
                        return PLAN_E_STOPPED;
                r = step_run(s->copy_a, run, &from_a, &a, NULL, refusal);
                if (!r)
                        r = step_run(s->copy_b, run, &from_b, &b, NULL, refusal);
                if (!r)
                        r = solve_one(s, i, a, b, pivots, refusal);
                if (!r && s->copy_x)
                        r = step_run(s->copy_x, run, &solved, &x, NULL, refusal);
                if (r)
                        return r;
        }
        return 0;
}

static int cholesky_one(const struct lapack *s, int64_t product, char *x,
                        struct td_refusal *refusal)
{
        int n = (int)s->n, info = 0;

        if (s->dtype == TD_FLOAT64)
                dpotrf_(s->is_upper ? "L" : "U", &n, (double *)x, &n, &info, 1);
        else
                spotrf_(s->is_upper ? "L" : "U", &n, (float *)x, &n, &info, 1);
        assert(info >= 0);
        if (info > 0) {
                td_refuse(refusal, TD_E_SINGULAR,
                          "cholesky: the matrix is not positive definite: the leading minor of "
                          "order %d%s is not positive",
                          info, where(s, product).s);
                return PLAN_E_REFUSED;
        }
        for (int64_t i = 0; i < s->n; i++, x += s->n * s->size) {
                if (s->is_upper)
                        memset(x, 0, (size_t)(i * s->size));
                else
                        memset(x + (i + 1) * s->size, 0, (size_t)((s->n - i - 1) * s->size));
        }
        return 0;
}

static int cholesky_run(const struct step *step, const struct run *run, const void *const *args,
                        void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct lapack *s = (const struct lapack *)step;
        int r;

        (void)scratch;
        if (s->stack.n * s->n == 0)
                return 0;
        if (exceeds_lapack(s, refusal))
                return PLAN_E_REFUSED;
        r = step_run(s->copy_a, run, args, results, NULL, refusal);
        for (int64_t i = 0; !r && i < s->stack.n; i++) {
                if (run_should_stop(run))
                        return PLAN_E_STOPPED;
                r = cholesky_one(s, i, (char *)results[0] + i * s->n * s->n * s->size, refusal);
        }
        return r;
}

static struct step *lapack_free(struct step *step)
{
        struct lapack *s = (struct lapack *)step;

        step_free(s->copy_a);
        step_free(s->copy_b);
        step_free(s->copy_x);
        free(s);
        return NULL;
}

static const struct step_class solve_class = { "solve", solve_run, lapack_free };
static const struct step_class cholesky_class = { "cholesky", cholesky_run, lapack_free };

/* A copy of one matrix, or vector, of a stack into column-major order, of the dtype computed in. */
static int new_column_copy(struct step **stepp, const struct desc *stack, unsigned ndim,
                           enum td_dtype dtype)
{
        struct desc from = { .type = { .dtype = stack->type.dtype, .ndim = (uint8_t)ndim },
                             .offset = stack->offset },
                    to;

        for (unsigned d = 0; d < ndim; d++) {
                from.type.shape[d] = stack->type.shape[stack->type.ndim - 1 - d];
                from.strides[d] = stack->strides[stack->type.ndim - 1 - d];
        }
        to = from;
        to.type.dtype = (uint8_t)dtype;
        desc_init_c(&to, &to.type);
        return step_new_copy(stepp, &from, &to);
}

static int prepare_solve(struct lapack *s, const struct desc *args)
{
        struct desc solved, x, stacks[2] = { args[0], args[1] };
        unsigned ndim_b = args[1].type.ndim == 1 ? 1 : 2;
        uint64_t n_a = (uint64_t)(s->n * s->n * s->size), n_b;
        int r;

        s->n_rhs = ndim_b == 1 ? 1 : args[1].type.shape[args[1].type.ndim - 1];
        n_b = (uint64_t)(s->n * s->n_rhs * s->size);
        stacks[0].type.ndim = (uint8_t)(args[0].type.ndim - 2);
        stacks[1].type.ndim = (uint8_t)(args[1].type.ndim - ndim_b);
        space_init(&s->stack, s->lead.ndim, s->lead.shape, 2, stacks);
        s->b_at = align_64(n_a);
        s->pivots_at = s->b_at + align_64(n_b);
        s->step.n_scratch = s->pivots_at + align_64((uint64_t)s->n * sizeof(int));

        r = new_column_copy(&s->copy_a, &args[0], 2, s->dtype);
        if (!r)
                r = new_column_copy(&s->copy_b, &args[1], ndim_b, s->dtype);
        if (r || s->n_rhs == 1)
                return r;
        x = (struct desc){
                .type = { .dtype = (uint8_t)s->dtype, .ndim = 2, .shape = { s->n, s->n_rhs } }
        };
        desc_init_f(&solved, &x.type);
        desc_init_c(&x, &x.type);
        return step_new_copy(&s->copy_x, &solved, &x);
}

int lapack_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *args, const struct desc *result)
{
        _cleanup_(step_freep) struct step *step = NULL;
        struct lapack *s = calloc(1, sizeof(*s));
        unsigned n_core = op == TD_OP_SOLVE && args[1].type.ndim == 1 ? 1 : 2;
        uint64_t n;
        int r;

        if (!s)
                return error_origin(-ENOMEM);
        blas_init();
        step = &s->step;
        assert(desc_is_c(result) && result->offset == 0);
        s->op = op;
        s->dtype = result->type.dtype;
        s->size = td_dtype_size(s->dtype);
        s->n = args[0].type.shape[args[0].type.ndim - 1];
        s->lead = result->type;
        s->lead.ndim = (uint8_t)(result->type.ndim - n_core);
        if (op == TD_OP_SOLVE) {
                step->class = &solve_class;
                r = prepare_solve(s, args);
        } else {
                step->class = &cholesky_class;
                s->is_upper = attrs->set & TD_ATTR_UPPER && attrs->upper;
                space_init(&s->stack, s->lead.ndim, s->lead.shape, 0, NULL);
                r = step_new_copy(&s->copy_a, args, result);
        }
        if (r)
                return r;
        n = (uint64_t)s->n;
        step->cost_ns = UINT64_MAX;
        if (n <= TINY && s->n_rhs <= TINY)
                step->cost_ns = (uint64_t)s->stack.n *
                                (1000 + n * n * (n + 3 * (uint64_t)s->n_rhs) / 2);
        *stepp = steal_ptr(&step);
        return 0;
}
