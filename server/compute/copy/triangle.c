/* SPDX-License-Identifier: MIT */
/*
 * Steps that keep a triangle
 *
 * tril and triu: of each row of each matrix, columns up to or from its diagonal on are copied, the
 * others are zero. A chunk is some rows. Any thread.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/copy/copy.h"
#include "compute/step_base.h"

#define CHUNK_ELEMENTS 16384

struct triangle {
        struct step step;
        struct desc arg;
        copy_plane *plane;
        int64_t size;
        int64_t n_rows, n_columns; /* of one matrix */
        int64_t n_all;             /* rows of all */
        int64_t n_chunk;           /* rows of a chunk */
        int64_t k;
        bool is_upper;
};

struct pass {
        const struct triangle *t;
        const struct run *run;
        const char *from;
        char *to;
        atomic_bool is_stopped;
};

/* The first column above the diagonal: row + k + 1, within the matrix. */
static int64_t first_above(const struct triangle *t, int64_t row)
{
        int64_t column;

        if (__builtin_add_overflow(row + 1, t->k, &column))
                return t->n_columns;
        return column < 0 ? 0 : column < t->n_columns ? column : t->n_columns;
}

static void write_row(const struct pass *pass, int64_t row)
{
        const struct triangle *t = pass->t;
        const unsigned last = t->arg.type.ndim - 1;
        char *to = pass->to + row * t->n_columns * t->size;
        const char *from = pass->from;
        int64_t begin = 0, end = t->n_columns, rest = row;

        for (unsigned d = last; d-- > 0; rest /= t->arg.type.shape[d])
                from += rest % t->arg.type.shape[d] * t->arg.strides[d];
        if (t->is_upper) /* on the diagonal itself too: above the one before */
                begin = first_above(t, row % t->n_rows - 1);
        else
                end = first_above(t, row % t->n_rows);
        memset(to, 0, (size_t)(begin * t->size));
        t->plane(1, end - begin, from + begin * t->arg.strides[last], 0, t->arg.strides[last],
                 to + begin * t->size, 0, t->size);
        memset(to + end * t->size, 0, (size_t)((t->n_columns - end) * t->size));
}

static void write_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct triangle *t = pass->t;
        int64_t row = (int64_t)chunk * t->n_chunk, end = row + t->n_chunk;

        if (atomic_load_explicit(&pass->is_stopped, memory_order_relaxed))
                return;
        if (run_should_stop(pass->run)) {
                atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
                return;
        }
        for (; row < end && row < t->n_all; row++)
                write_row(pass, row);
}

static int triangle_run(const struct step *step, const struct run *run, const void *const *args,
                        void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct triangle *t = (const struct triangle *)step;
        struct pass pass = {
                .t = t, .run = run, .from = (const char *)args[0] + t->arg.offset, .to = results[0]
        };
        bool is_small = t->n_all * t->n_columns * t->size < SPREAD_BYTES;

        (void)scratch;
        (void)refusal;
        workers_for(is_small ? NULL : run_workers(run), (uint64_t)div_up(t->n_all, t->n_chunk),
                    write_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

static struct step *triangle_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class triangle_class = { "triangle", triangle_run, triangle_free };

int triangle_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                 const struct desc *arg, const struct desc *result)
{
        struct triangle *t = calloc(1, sizeof(*t));
        int64_t n = desc_n_elements(result);

        if (!t)
                return error_origin(-ENOMEM);
        assert(desc_is_c(result) && result->offset == 0);
        t->step.class = &triangle_class;
        t->arg = *arg;
        t->plane = copy_plane_of(arg->type.dtype);
        t->size = td_dtype_size(arg->type.dtype);
        t->n_rows = arg->type.shape[arg->type.ndim - 2];
        t->n_columns = arg->type.shape[arg->type.ndim - 1];
        t->n_all = n ? n / t->n_columns : 0;
        t->n_chunk = n ? div_up(CHUNK_ELEMENTS, t->n_columns) : 1;
        t->k = attrs->set & TD_ATTR_K ? attrs->k : 0;
        t->is_upper = op == TD_OP_TRIU;
        t->step.cost_ns = 50 + 20 * (uint64_t)t->n_all + (uint64_t)n;
        *stepp = &t->step;
        return 0;
}
