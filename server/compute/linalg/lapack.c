/* SPDX-License-Identifier: MIT */
/*
 * The frame of linear algebra
 *
 * A stack is worked on in lanes: each is a region of scratch, used by one thread at a time, which
 * claims problems by an atomic counter. Problems are claimed in order, so of several that fail the
 * first one is told, whatever the number of threads.
 */
#include "compute/linalg/lapack.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "compute/linalg/blas_threads.h"
#include "compute/linalg/lapack_frame.h"

#define TINY 16 /* matrices up to this extent may be computed on the loop thread */
#define LANES_MAX 16
#define LANES_BYTES (64 << 20) /* scratch of all lanes, where more than two are wanted */
#define CLAIM_WORK 20000.0     /* operations that are worth a claim */
#define SPREAD_WORK 100000.0   /* operations that are worth more than one thread */
#define ALONE_WORK 2e6         /* operations of one problem that are worth OpenBLAS's threads */

/* One run of a step, shared by its threads. */
struct pass {
        const struct lapack *s;
        const struct run *run;
        const char *args[LAPACK_ARGS];
        char *results[LAPACK_RESULTS];
        char *lanes;
        int64_t n_claimed; /* problems that are claimed at a time */
        _Atomic int64_t next;
        atomic_bool is_stopped;
        pthread_mutex_t mutex;
        int64_t failed; /* the first problem that failed, under the mutex */
        struct td_refusal *refusal;
};

/* ---- for routines ---- */

uint64_t lapack_reserve(struct lapack *s, int64_t n, int64_t item_size)
{
        uint64_t at = s->lane_bytes, n_bytes;

        if (__builtin_mul_overflow((uint64_t)n, (uint64_t)item_size, &n_bytes) ||
            n_bytes > INT64_MAX / 64 || at > INT64_MAX / 64) {
                s->is_beyond = true;
                return 0;
        }
        s->lane_bytes = at + align_64(n_bytes);
        return at;
}

void lapack_take_query(struct lapack *s, const void *work, int *np)
{
        double n = creal(lapack_item(s, work, 0));

        /* a float counts to 2 ** 24 exactly, and LAPACK does not round up */
        n = s->size == 8 && s->dtype != TD_COMPLEX64 ? n : ceil(n * (1 + 0x1p-23));
        if (!(n < INT32_MAX))
                s->is_beyond = true;
        *np = n >= 1 && n < INT32_MAX ? (int)n : 1;
}

/* "the 3 x 3 matrix (2, 1) of the stack" */
static struct td_shape_text subject(const struct lapack_call *call)
{
        const struct lapack *s = call->s;
        struct td_shape_text text, index;
        int64_t at[TD_NDIM_MAX] = { 0 }, product = call->index;

        for (unsigned d = s->lead.ndim; d-- > 0;) {
                at[d] = product % s->lead.shape[d];
                product /= s->lead.shape[d];
        }
        index = td_shape_text(s->lead.ndim, at);
        snprintf(text.s, sizeof(text.s), "the %d x %d matrix%s%.200s%s", s->m, s->n,
                 s->lead.ndim ? " " : "", s->lead.ndim ? index.s : "",
                 s->lead.ndim ? " of the stack" : "");
        return text;
}

int lapack_refuse(const struct lapack_call *call, enum td_error_code code, const char *format, ...)
{
        char what[200];
        va_list args;

        va_start(args, format);
        vsnprintf(what, sizeof(what), format, args);
        va_end(args);
        td_refuse(call->refusal, code, "%s: %s %s", call->s->routine->name, subject(call).s, what);
        return PLAN_E_REFUSED;
}

int lapack_check_finite(const struct lapack_call *call, const void *x, int64_t n)
{
        const struct lapack *s = call->s;
        bool all = true;

        if (td_dtype_is_complex(s->dtype))
                n *= 2;
        if (td_float_for(s->dtype) == TD_FLOAT32)
                for (int64_t i = 0; i < n; i++)
                        all &= isfinite(((const float *)x)[i]) != 0;
        else
                for (int64_t i = 0; i < n; i++)
                        all &= isfinite(((const double *)x)[i]) != 0;
        if (all)
                return 0;
        return lapack_refuse(call, TD_E_NOT_CONVERGED,
                             "has NaN or infinite elements: no iteration on it converges");
}

/* ---- running ---- */

static int run_one(struct pass *pass, int64_t lane, int64_t index)
{
        const struct lapack *s = pass->s;
        struct td_refusal refusal = { 0 };
        struct lapack_call call = {
                .s = s, .run = pass->run, .index = index, .refusal = &refusal
        };
        int r;

        call.lane = pass->lanes + lane * (int64_t)s->lane_bytes;
        for (unsigned i = 0; i < s->n_args; i++)
                call.args[i] = pass->args[i] + space_offset(&s->stack, i, index);
        for (unsigned i = 0; i < s->n_results; i++)
                call.results[i] = pass->results[i] + index * s->result_bytes[i];
        r = s->routine->one(&call);
        if (r == PLAN_E_STOPPED)
                atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
        if (!r || r == PLAN_E_STOPPED)
                return r;
        pthread_mutex_lock(&pass->mutex);
        if (pass->failed < 0 || index < pass->failed) {
                pass->failed = index;
                if (pass->refusal)
                        *pass->refusal = refusal;
        }
        pthread_mutex_unlock(&pass->mutex);
        return r;
}

static void run_lane(void *ctx, uint64_t lane)
{
        struct pass *pass = ctx;
        const int64_t n = pass->s->n_products;

        while (!atomic_load_explicit(&pass->is_stopped, memory_order_relaxed)) {
                int64_t index = atomic_fetch_add_explicit(&pass->next, pass->n_claimed,
                                                          memory_order_relaxed);
                int64_t end = n - index < pass->n_claimed ? n : index + pass->n_claimed;

                if (index >= n)
                        return;
                if (run_should_stop(pass->run))
                        atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
                for (; index < end && !pass->is_stopped; index++)
                        if (run_one(pass, (int64_t)lane, index)) {
                                /* what comes behind is not begun */
                                atomic_store(&pass->next, n);
                                return;
                        }
        }
}

/* Operations of one problem, roughly. */
static double work_of(const struct lapack *s)
{
        double most = s->m > s->n ? s->m : s->n;

        return most * s->least * (s->least + 3.0 * s->n_rhs) + 200;
}

static int convert_args(const struct lapack *s, const struct run *run, const void *const *args,
                        char *scratch, struct pass *pass)
{
        for (unsigned i = 0; i < s->n_args; i++) {
                const struct lapack_operand *arg = &s->args[i];
                void *converted = scratch + arg->convert_at;

                pass->args[i] = args[i];
                if (arg->convert) {
                        int r = step_run(arg->convert, run, &args[i], &converted, NULL,
                                         pass->refusal);

                        if (r)
                                return r;
                        pass->args[i] = converted;
                }
                pass->args[i] += arg->desc.offset;
        }
        return 0;
}

static int lapack_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct lapack *s = (const struct lapack *)step;
        struct pass pass = { .s = s, .run = run, .failed = -1, .refusal = refusal };
        struct workers *workers = run_workers(run);
        const double work = work_of(s);
        int r;

        if (s->is_beyond) {
                td_refuse(refusal, TD_E_BAD_SHAPE, "%s: matrices of that size are beyond LAPACK",
                          s->routine->name);
                return PLAN_E_REFUSED;
        }
        r = convert_args(s, run, args, scratch, &pass);
        if (r)
                return r;
        for (unsigned i = 0; i < s->n_results; i++)
                pass.results[i] = results[i];
        pass.lanes = (char *)scratch + s->lanes_at;
        pass.n_claimed = 1 + (int64_t)(CLAIM_WORK / work);
        pthread_mutex_init(&pass.mutex, NULL);
        if (s->n_products > 1 || work < ALONE_WORK || !workers || !workers_is_alone(workers))
                blas_enter(1);
        else
                blas_enter(workers_n_allowed(workers));
        if (work * (double)s->n_products < SPREAD_WORK)
                workers = NULL;
        workers_for(workers, (uint64_t)(workers ? s->n_lanes : 1), run_lane, &pass);
        blas_leave();
        pthread_mutex_destroy(&pass.mutex);
        if (pass.failed >= 0)
                return PLAN_E_REFUSED;
        /* LAPACK cannot be interrupted, but what it left is not wanted any more */
        return pass.is_stopped || run_should_stop(run) ? PLAN_E_STOPPED : 0;
}

static struct step *lapack_free(struct step *step)
{
        struct lapack *s = (struct lapack *)step;

        for (unsigned i = 0; i < s->n_args; i++)
                step_free(s->args[i].convert);
        free(s);
        return NULL;
}

static const struct step_class lapack_class = { "lapack", lapack_run, lapack_free };

/* ---- preparing ---- */

static const struct lapack_routine *routine_of(enum td_op op, bool is_complex)
{
        switch (op) {
        case TD_OP_SOLVE:
                return &lapack_solve;
        case TD_OP_LU_SOLVE:
                return &lapack_lu_solve;
        case TD_OP_INV:
                return &lapack_inv;
        case TD_OP_DET:
                return &lapack_det;
        case TD_OP_SLOGDET:
                return &lapack_slogdet;
        case TD_OP_CHOLESKY:
                return &lapack_cholesky;
        case TD_OP_QR:
                return &lapack_qr;
        case TD_OP_LU:
                return &lapack_lu;
        case TD_OP_LSTSQ:
                return is_complex ? &lapack_lstsq_complex : &lapack_lstsq;
        case TD_OP_SVD:
                return &lapack_svd;
        case TD_OP_SVDVALS:
                return &lapack_svdvals;
        case TD_OP_EIGH:
                return &lapack_eigh;
        case TD_OP_EIGVALSH:
                return &lapack_eigvalsh;
        case TD_OP_EIG:
                return &lapack_eig;
        default:
                assert(op == TD_OP_EIGVALS);
                return &lapack_eigvals;
        }
}

/* Dimensions of a result that belong to one problem. */
static unsigned core_of_result(enum td_op op, unsigned i, const struct desc *args)
{
        switch (op) {
        case TD_OP_SOLVE:
                return args[1].type.ndim == 1 ? 1 : 2;
        case TD_OP_LU_SOLVE:
                return args[2].type.ndim == 1 ? 1 : 2;
        case TD_OP_DET:
        case TD_OP_SLOGDET:
                return 0;
        case TD_OP_SVDVALS:
        case TD_OP_EIGVALSH:
        case TD_OP_EIGVALS:
                return 1;
        case TD_OP_LU:
                return i == 0 ? 2 : 1;
        case TD_OP_LSTSQ:
                return i < 2 ? (args[1].type.ndim > 1 ? 1U : 0U) + (i == 0 ? 1U : 0U) : i == 3;
        case TD_OP_EIGH:
        case TD_OP_EIG:
                return i == 0 ? 1 : 2;
        case TD_OP_SVD:
                return i == 1 ? 1 : 2;
        default:
                return 2;
        }
}

static int prepare_arg(struct lapack *s, unsigned i, const struct desc *given, enum td_dtype dtype)
{
        struct lapack_operand *arg = &s->args[i];
        struct desc from = *given, to;
        uint64_t n_bytes;

        arg->desc = *given;
        if (given->type.dtype == dtype)
                return 0;
        for (unsigned d = 0; d + arg->n_core < from.type.ndim; d++)
                if (from.strides[d] == 0 && from.type.shape[d] > 0)
                        from.type.shape[d] = 1; /* once, not for each problem */
        to = from;
        to.type.dtype = (uint8_t)dtype;
        if (td_check_type(&to.type, NULL)) {
                s->is_beyond = true;
                return 0;
        }
        desc_init_c(&to, &to.type);
        arg->desc = to;
        arg->convert_at = s->step.n_scratch;
        n_bytes = (uint64_t)desc_n_bytes(&to);
        if (n_bytes > INT64_MAX / 64) {
                s->is_beyond = true;
                return 0;
        }
        s->step.n_scratch += align_64(n_bytes);
        return step_new_copy(&arg->convert, &from, &to);
}

/* Conversions, the stack, and where each problem's results begin. */
static int prepare_operands(struct lapack *s, const struct desc *args, const struct desc *results)
{
        struct desc stacks[LAPACK_ARGS];
        unsigned core = core_of_result(s->op, 0, args);
        int r = 0;

        s->lead = results[0].type;
        s->lead.ndim = (uint8_t)(results[0].type.ndim - core);
        s->n_products = td_type_n_elements(&s->lead);
        for (unsigned i = 0; i < s->n_args && !r; i++) {
                bool is_index = s->op == TD_OP_LU_SOLVE && i == 1;

                s->args[i].n_core = is_index || args[i].type.ndim == 1 ? 1 : 2;
                r = prepare_arg(s, i, &args[i], is_index ? TD_INT64 : s->taken);
                stacks[i] = s->args[i].desc;
                stacks[i].type.ndim = (uint8_t)(args[i].type.ndim - s->args[i].n_core);
        }
        if (r)
                return r;
        space_init(&s->stack, s->lead.ndim, s->lead.shape, s->n_args, stacks);
        for (unsigned i = 0; i < s->n_results; i++) {
                struct td_type one = results[i].type;

                core = core_of_result(s->op, i, args);
                for (unsigned d = 0; d < core; d++)
                        one.shape[d] = one.shape[one.ndim - core + d];
                one.ndim = (uint8_t)core;
                s->result_bytes[i] = td_type_n_elements(&one) * td_dtype_size(one.dtype);
        }
        return 0;
}

/* Extents as LAPACK counts them. */
static void prepare_extents(struct lapack *s, const struct desc *args)
{
        const struct td_type *a = &args[0].type, *b = &args[s->n_args - 1].type;
        int64_t m = a->shape[a->ndim - 2], n = a->shape[a->ndim - 1], n_rhs = 0;

        if (s->n_args > 1)
                n_rhs = b->ndim == 1 ? 1 : b->shape[b->ndim - 1];
        if (m > INT32_MAX || n > INT32_MAX || n_rhs > INT32_MAX) {
                s->is_beyond = true;
                return;
        }
        s->m = (int)m;
        s->n = (int)n;
        s->least = s->m < s->n ? s->m : s->n;
        s->n_rhs = (int)n_rhs;
}

static void lay_out_lanes(struct lapack *s)
{
        struct step *step = &s->step;
        int64_t most = s->lane_bytes ? LANES_BYTES / (int64_t)s->lane_bytes : LANES_MAX;

        most = most < 2 ? 2 : most > LANES_MAX ? LANES_MAX : most;
        s->n_lanes = s->n_products < most ? s->n_products : most;
        if (s->n_lanes < 1)
                s->n_lanes = 1;
        s->lanes_at = step->n_scratch;
        step->n_scratch += (uint64_t)s->n_lanes * s->lane_bytes;
}

/* Computed in float64 or complex128, whatever the result is. */
static void prepare_lstsq(struct lapack *s, const struct td_attrs *attrs, const struct td_type *a)
{
        const bool is_double = td_float_for(s->result_dtype) == TD_FLOAT64;
        const double epsilon = is_double ? DBL_EPSILON : FLT_EPSILON;
        const int64_t *shape = a->shape + a->ndim - 2, most = shape[shape[1] > shape[0]];

        s->dtype = td_dtype_is_complex(s->result_dtype) ? TD_COMPLEX128 : TD_FLOAT64;
        s->taken = s->dtype == TD_COMPLEX128 ? s->result_dtype : TD_FLOAT64;
        s->rcond = attrs->set & TD_ATTR_RCOND ? attrs->rcond : (double)most * epsilon;
        if (!(s->rcond >= 0))
                s->rcond = epsilon;
}

int lapack_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs, unsigned n_args,
               const struct desc *args, const struct desc *results)
{
        _cleanup_(step_freep) struct step *step = NULL;
        struct lapack *s = calloc(1, sizeof(*s));
        double cost;
        int r;

        if (!s)
                return error_origin(-ENOMEM);
        step = &s->step;
        step->class = &lapack_class;
        s->op = op;
        s->routine = routine_of(op, td_dtype_is_complex(results[0].type.dtype));
        s->n_args = n_args;
        s->n_results = (unsigned)td_op_info(op)->n_results;
        s->dtype = td_promote_to_float(args[0].type.dtype);
        s->result_dtype = results[0].type.dtype;
        if (op == TD_OP_SOLVE || op == TD_OP_LU_SOLVE)
                s->dtype = s->result_dtype;
        s->taken = s->dtype;
        if (op == TD_OP_LSTSQ)
                prepare_lstsq(s, attrs, &args[0].type);
        s->letter = (td_dtype_is_complex(s->dtype) ? 2U : 0U) +
                    (td_float_for(s->dtype) == TD_FLOAT64 ? 1U : 0U);
        s->size = td_dtype_size(s->dtype);
        s->is_upper = attrs->set & TD_ATTR_UPPER && attrs->upper;
        s->is_full = attrs->set & TD_ATTR_FULL_MATRICES && attrs->full_matrices;
        prepare_extents(s, args);
        r = prepare_operands(s, args, results);
        if (r)
                return r;
        if (!s->is_beyond) {
                blas_enter(1);
                s->routine->prepare(s);
                blas_leave();
        }
        if (s->is_beyond)
                step->n_scratch = s->lane_bytes = 0;
        lay_out_lanes(s);
        step->cost_ns = UINT64_MAX;
        cost = (double)s->n_products * ((op == TD_OP_LSTSQ ? 20000 : 2000) + 4 * work_of(s));
        if (s->m <= TINY && s->n <= TINY && s->n_rhs <= TINY && cost < 1e9)
                step->cost_ns = (uint64_t)cost;
        *stepp = steal_ptr(&step);
        return 0;
}
