/* SPDX-License-Identifier: MIT */
/*
 * Steps that create
 *
 * A result is written in chunks, each independent of the others. arange computes start + i * step
 * for each i, never by adding up: in integers modulo 2^64, else in float64.
 */
#include "compute/create/create.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/kernels/kernels.h"
#include "compute/step_base.h"

#define CHUNK 32768 /* elements */
#define TILE 512

struct create {
        struct step step;
        enum td_op op;
        enum td_dtype dtype;
        size_t item_size;
        int64_t n;
        union td_scalar value; /* of every element, or of the diagonal */
        int64_t n_columns, k;  /* of eye */
        struct linspace linspace;
        struct arange arange;
        kernel_load *convert; /* of arange, from what it counts in */
};

struct pass {
        const struct create *create;
        const struct run *run;
        char *out;
        atomic_bool is_stopped;
};

/* As astype converts: through the load kernels, so that NaN and what is out of range come out
 * alike. */
static union td_scalar number_as(struct td_number number, enum td_dtype dtype)
{
        static const enum td_dtype dtypes[] = { [TD_KIND_INT] = TD_INT64,
                                                [TD_KIND_UINT] = TD_UINT64,
                                                [TD_KIND_FLOAT] = TD_FLOAT64,
                                                [TD_KIND_COMPLEX] = TD_COMPLEX128 };
        union td_scalar value = { 0 };

        kernels_get()->load[dtypes[number.kind]][dtype](1, &value, &number.z, 0);
        return value;
}

static void write_arange(const struct create *c, char *out, int64_t index, int64_t end)
{
        const struct arange *a = &c->arange;
        union {
                int64_t i[TILE];
                double d[TILE];
        } counted;

        for (int64_t n; index < end; index += n, out += n * (int64_t)c->item_size) {
                n = end - index < TILE ? end - index : TILE;
                if (a->is_integer) {
                        for (int64_t j = 0; j < n; j++)
                                counted.i[j] = (int64_t)((uint64_t)a->start.i +
                                                         (uint64_t)(index + j) * (uint64_t)a->by.i);
                } else {
                        for (int64_t j = 0; j < n; j++)
                                counted.d[j] = a->start.d + (double)(index + j) * a->by.d;
                }
                c->convert((size_t)n, out, &counted, sizeof(int64_t));
        }
}

/* Element i is on diagonal k if its column is its row plus k. */
static void write_eye(const struct create *c, char *out, int64_t index, int64_t end)
{
        int64_t row = index / c->n_columns, last = (end - 1) / c->n_columns;

        memset(out, 0, (size_t)(end - index) * c->item_size);
        for (; row <= last; row++) {
                int64_t column, i;

                if (__builtin_add_overflow(row, c->k, &column) || column < 0 ||
                    column >= c->n_columns)
                        continue;
                i = row * c->n_columns + column;
                if (i >= index && i < end)
                        memcpy(out + (i - index) * (int64_t)c->item_size, &c->value, c->item_size);
        }
}

/* Of one part, real or imaginary, the element of that index. */
static double linspace_at(const struct linspace *l, unsigned part, int64_t i)
{
        double delta = l->stop[part] - l->start[part];
        double step = l->n_steps > 0 ? delta / (double)l->n_steps : 0;

        if (i == l->last)
                return l->stop[part];
        if (l->n_steps > 0 && step == 0) /* the quotient may have been too small */
                return (double)i / (double)l->n_steps * delta + l->start[part];
        return (double)i * step + l->start[part];
}

static void write_linspace(const struct create *c, char *out, int64_t index, int64_t end)
{
        for (; index < end; index++, out += c->item_size) {
                double real = linspace_at(&c->linspace, 0, index);
                float part = (float)real;

                if (td_dtype_real(c->dtype) == TD_FLOAT32)
                        memcpy(out, &part, sizeof(part));
                else
                        memcpy(out, &real, sizeof(real));
                if (!td_dtype_is_complex(c->dtype))
                        continue;
                real = linspace_at(&c->linspace, 1, index);
                part = (float)real;
                if (c->dtype == TD_COMPLEX64)
                        memcpy(out + sizeof(part), &part, sizeof(part));
                else
                        memcpy(out + sizeof(real), &real, sizeof(real));
        }
}

static void write_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct create *c = pass->create;
        int64_t index = (int64_t)chunk * CHUNK, end = chunk_end(index, CHUNK, c->n);
        char *out = pass->out + index * (int64_t)c->item_size;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        if (c->op == TD_OP_LINSPACE)
                write_linspace(c, out, index, end);
        else if (c->op == TD_OP_ARANGE)
                write_arange(c, out, index, end);
        else if (c->op == TD_OP_EYE)
                write_eye(c, out, index, end);
        else if (c->op == TD_OP_ZEROS)
                memset(out, 0, (size_t)(end - index) * c->item_size);
        else
                kernels_get()->load[c->dtype][c->dtype]((size_t)(end - index), out, &c->value, 0);
}

static int create_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct create *c = (const struct create *)step;
        struct pass pass = { .create = c, .run = run, .out = results[0] };

        (void)args;
        (void)scratch;
        (void)refusal;
        workers_for((uint64_t)c->n * c->item_size < SPREAD_BYTES ? NULL : run_workers(run),
                    (uint64_t)div_up(c->n, CHUNK), write_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

static struct step *create_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class create_class = { "create", create_run, create_free };

void create_arange(struct arange *arange, const struct td_attrs *attrs, enum td_dtype dtype)
{
        struct td_number *bounds[] = { &arange->start, &arange->by };

        arange->start = attrs->range[0];
        arange->by = attrs->range[2];
        arange->is_integer = td_number_is_integer(&arange->start) &&
                             td_number_is_integer(&arange->by) &&
                             !(td_dtype_is_float(dtype) && arange->start.kind == TD_KIND_UINT);
        for (unsigned i = 0; i < 2 && !arange->is_integer; i++)
                *bounds[i] = (struct td_number){ .kind = TD_KIND_FLOAT,
                                                 .d = td_number_double(bounds[i]) };
        if (!arange->is_integer && isinf(arange->by.d))
                arange->by.d = 0; /* the first is the only one, and 0 times infinity is NaN */
}

bool create_is_constant(enum td_op op)
{
        return op == TD_OP_ZEROS || op == TD_OP_ONES || op == TD_OP_FULL;
}

union td_scalar create_constant(enum td_op op, const struct td_attrs *attrs, enum td_dtype dtype)
{
        const struct td_number number = { .kind = TD_KIND_INT, .i = op == TD_OP_ONES };

        return number_as(op == TD_OP_FULL ? attrs->value : number, dtype);
}

void create_linspace(struct linspace *linspace, const struct td_attrs *attrs, int64_t n)
{
        bool has_endpoint = !(attrs->set & TD_ATTR_ENDPOINT) || attrs->endpoint;

        for (unsigned i = 0; i < 2; i++) {
                const struct td_number *bound = &attrs->range[i];
                double *parts = i ? linspace->stop : linspace->start;

                parts[0] = td_number_double(bound);
                parts[1] = bound->kind == TD_KIND_COMPLEX ? bound->z[1] : 0;
        }
        linspace->n_steps = has_endpoint ? n - 1 : n;
        linspace->last = has_endpoint && n > 1 ? n - 1 : -1;
}

int create_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *result)
{
        const struct td_number one = { .kind = TD_KIND_INT, .i = 1 };
        struct create *c = calloc(1, sizeof(*c));

        if (!c)
                return error_origin(-ENOMEM);
        assert(desc_is_c(result) && result->offset == 0);
        c->step.class = &create_class;
        c->op = op;
        c->dtype = result->type.dtype;
        c->item_size = (size_t)td_dtype_size(c->dtype);
        c->n = desc_n_elements(result);
        if (op == TD_OP_FULL || op == TD_OP_ONES || op == TD_OP_EYE)
                c->value = number_as(op == TD_OP_FULL ? attrs->value : one, c->dtype);
        c->k = attrs->set & TD_ATTR_K ? attrs->k : 0;
        if (op == TD_OP_EYE)
                c->n_columns = result->type.shape[1];
        if (op == TD_OP_ARANGE) {
                create_arange(&c->arange, attrs, c->dtype);
                c->convert = kernels_get()
                                     ->load[c->arange.is_integer ? TD_INT64 : TD_FLOAT64][c->dtype];
        }
        if (op == TD_OP_LINSPACE)
                create_linspace(&c->linspace, attrs, c->n);
        c->step.cost_ns = 50 +
                          (uint64_t)c->n / (op == TD_OP_ARANGE || op == TD_OP_LINSPACE ? 1 : 4);
        *stepp = &c->step;
        return 0;
}
