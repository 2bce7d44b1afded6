/* SPDX-License-Identifier: MIT */
/*
 * Sums of segments
 *
 * Each chunk of rows has sums of its own, as many as there are segments. Labels are copied before
 * they are checked, and the copy is what is used: somebody may write to them meanwhile. The first
 * label out of range is the one that is refused, whichever thread comes to it first.
 *
 * Any thread; a step is const while it runs.
 */
#include "compute/reduce/segment_sum.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "compute/space.h"
#include "compute/step_base.h"

#define CHUNK 65536 /* elements at least */
#define CHUNKS_MAX 16
#define SUMS_BYTES (4 << 20) /* of all chunks together, at most, unless there is but one */
#define LABELS 256           /* copied at a time */
#define PIECE 512            /* elements of a row at a time */

struct segments {
        struct step step;
        struct space row; /* of x */
        int64_t n, k;
        int64_t stride, label_stride;
        int64_t offset, label_offset;
        int64_t rows_of_chunk, n_chunks;
        kernel_load *load, *load_label, *store;
        kernel_binary *add;
        bool is_direct; /* rows are dense float64 */
        size_t item_size;
};

/* What a chunk found wrong. */
struct wrong {
        int64_t index; /* -1: nothing */
        int64_t label;
};

/* One run of a step, shared by its threads. */
struct pass {
        const struct segments *s;
        const struct run *run;
        const char *x, *labels;
        double *sums; /* [n_chunks][k][row] */
        struct wrong *wrong;
        atomic_bool is_stopped;
};

static void add_row(const struct segments *s, const char *x, double *sums)
{
        double piece[PIECE];

        if (s->is_direct) {
                s->add((size_t)s->row.n, sums, sums, x);
                return;
        }
        for (int64_t i = 0; i < s->row.n; i += PIECE) {
                size_t n = (size_t)(s->row.n - i < PIECE ? s->row.n - i : PIECE);

                space_load(&s->row, 0, s->load, sizeof(double), x, i, n, piece);
                s->add(n, sums + i, sums + i, piece);
        }
}

static void run_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct segments *s = pass->s;
        const int64_t first = (int64_t)chunk * s->rows_of_chunk;
        const int64_t end = chunk_end(first, s->rows_of_chunk, s->n);
        double *sums = pass->sums + (int64_t)chunk * s->k * s->row.n;
        int64_t labels[LABELS];

        pass->wrong[chunk].index = -1;
        memset(sums, 0, (size_t)(s->k * s->row.n) * sizeof(double));
        for (int64_t i = first; i < end; i += LABELS) {
                int64_t n = end - i < LABELS ? end - i : LABELS;

                if (run_should_stop(pass->run)) {
                        atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
                        return;
                }
                s->load_label((size_t)n, labels, pass->labels + i * s->label_stride,
                              (ptrdiff_t)s->label_stride);
                for (int64_t j = 0; j < n; j++) {
                        if (labels[j] < 0 || labels[j] >= s->k) {
                                pass->wrong[chunk] = (struct wrong){ i + j, labels[j] };
                                return;
                        }
                        add_row(s, pass->x + (i + j) * s->stride, sums + labels[j] * s->row.n);
                }
        }
}

static int segments_run(const struct step *step, const struct run *run, const void *const *args,
                        void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct segments *s = (const struct segments *)step;
        const size_t n_sums = (size_t)(s->k * s->row.n);
        struct wrong wrong[CHUNKS_MAX];
        struct pass pass = {
                .s = s,
                .run = run,
                .x = (const char *)args[0] + s->offset,
                .labels = (const char *)args[1] + s->label_offset,
                .sums = scratch,
                .wrong = wrong,
        };

        workers_for(s->n_chunks > 1 ? run_workers(run) : NULL, (uint64_t)s->n_chunks, run_chunk,
                    &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        for (int64_t i = 0; i < s->n_chunks; i++) {
                if (wrong[i].index >= 0) {
                        td_refuse(refusal, TD_E_BAD_VALUE,
                                  "segment_sum: label %" PRId64 " at index %" PRId64
                                  " is not in [0, %" PRId64 ")",
                                  wrong[i].label, wrong[i].index, s->k);
                        return PLAN_E_REFUSED;
                }
                if (i > 0)
                        s->add(n_sums, pass.sums, pass.sums, pass.sums + (size_t)i * n_sums);
        }
        s->store(n_sums, results[0], pass.sums, sizeof(double));
        return 0;
}

static struct step *segments_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class segments_class = { "segment_sum", segments_run, segments_free };

int segment_sum_new(struct step **stepp, const struct desc *args, const struct desc *result)
{
        const struct kernels *kernels = kernels_get();
        const struct desc *x = &args[0], *labels = &args[1];
        struct segments *s = calloc(1, sizeof(*s));

        if (!s)
                return error_origin(-ENOMEM);
        assert(desc_is_c(result));
        s->step.class = &segments_class;
        s->row = (struct space){ .n_operands = 1, .n = 1 };
        for (unsigned d = 1; d < x->type.ndim; d++)
                space_push(&s->row, x->type.shape[d], &x->strides[d]);
        space_fold(&s->row);
        s->n = x->type.shape[0];
        s->k = result->type.shape[0];
        s->stride = x->strides[0];
        s->offset = x->offset;
        s->label_stride = labels->strides[0];
        s->label_offset = labels->offset;
        s->item_size = (size_t)td_dtype_size(x->type.dtype);
        s->load = kernels->load[x->type.dtype][TD_FLOAT64];
        s->load_label = kernels->load[labels->type.dtype][TD_INT64];
        s->store = kernels->load[TD_FLOAT64][result->type.dtype];
        s->add = kernels->binary[TD_OP_ADD][TD_FLOAT64][KERNEL_VV];
        s->is_direct = x->type.dtype == TD_FLOAT64 &&
                       space_is_dense(&s->row, 0, (int64_t)s->item_size);
        s->n_chunks = s->n * s->row.n / CHUNK;
        s->n_chunks = s->n_chunks < 1 ? 1 : s->n_chunks < CHUNKS_MAX ? s->n_chunks : CHUNKS_MAX;
        while (s->n_chunks > 1 && s->n_chunks * s->k * s->row.n * 8 > SUMS_BYTES)
                s->n_chunks /= 2;
        s->rows_of_chunk = div_up(s->n, s->n_chunks);
        s->n_chunks = s->n > 0 ? div_up(s->n, s->rows_of_chunk) : 1;
        s->step.n_scratch = align_64((uint64_t)(s->n_chunks * s->k * s->row.n) * sizeof(double));
        s->step.cost_ns = 50 + (uint64_t)(s->n * (10 + s->row.n) + s->k * s->row.n);
        *stepp = &s->step;
        return 0;
}
