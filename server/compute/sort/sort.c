/* SPDX-License-Identifier: MIT */
/*
 * Steps that sort
 *
 * Lines along an axis become keys in the scratch, are sorted there, and go back as elements, as
 * indices, or as both. Long lines come one after the other, each sorted by all threads; short ones
 * are shared out among them.
 *
 * Scratch: for long lines 18 bytes per element of one of them, 26 with indices; for short ones 16,
 * or 24, for each of up to SLOTS lines that are under way.
 */
#include "compute/sort/sort.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "compute/sort/sort_line.h"
#include "compute/step_base.h"

enum {
        LONG = 48 * 1024, /* elements of a line that all threads sort together */
        SLOTS = 16,
        STORE_CHUNK = 64 * 1024,
};

struct sort {
        struct step step;
        const struct order *order;
        bool has_values, has_indices;
        int64_t offset;
        int64_t n, k;       /* elements of a line, and how many of them are wanted */
        int64_t out_stride; /* bytes of the first result */
        struct space line;  /* of the argument */
        struct space lines; /* operands: the argument, the first result */
        size_t result_size;
        int64_t n_slots, slot_bytes;
};

struct pass {
        const struct sort *s;
        const struct run *run;
        const char *x;
        char *values;
        int64_t *indices;
        char *scratch;
        struct sorted sorted;
        atomic_bool is_stopped;
};

/* ---- what comes out ---- */

static int64_t first_not_below(const uint64_t *keys, int64_t n, uint64_t key)
{
        int64_t low = 0;

        while (n > 0) {
                int64_t half = n / 2;

                if (keys[low + half] < key) {
                        low += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return low;
}

/* Zeros and NaN, which are more than their keys say. */
static void restore(const struct sort *s, const struct source *source, const uint64_t *keys,
                    char *values)
{
        int64_t zeros = first_not_below(keys, s->k, s->order->zero);
        int64_t zeros_end = first_not_below(keys, s->k, s->order->zero + 1);
        int64_t nans = first_not_below(keys, s->k, s->order->nan);
        struct order_restore to = { .zeros = values + zeros * s->out_stride,
                                    .n_zeros = zeros_end - zeros,
                                    .nans = values + nans * s->out_stride,
                                    .n_nans = s->k - nans,
                                    .stride = s->out_stride };

        if (s->order->nan)
                order_restore(source, &to);
}

static void put(const struct pass *pass, char *values, int64_t *indices, int64_t begin, int64_t end)
{
        const struct sort *s = pass->s;
        int64_t stride = s->out_stride / (int64_t)s->result_size;

        if (s->has_values)
                s->order->store((size_t)(end - begin), values + begin * s->out_stride,
                                s->out_stride, pass->sorted.keys + begin);
        for (int64_t i = begin; s->has_indices && i < end; i++)
                indices[i * stride] = pass->sorted.indices[i];
}

static void put_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        int64_t begin = (int64_t)chunk * STORE_CHUNK;
        int64_t end = chunk_end(begin, STORE_CHUNK, pass->s->k);

        put(pass, pass->values, pass->indices, begin, end);
}

/* ---- lines ---- */

/* Its first element, and where it goes to. */
static struct pass pass_line(const struct pass *pass, int64_t line, struct source *source)
{
        const struct sort *s = pass->s;
        int64_t out = space_offset(&s->lines, 1, line);
        struct pass of = { .s = s, .run = pass->run, .scratch = pass->scratch };

        *source = (struct source){ s->order, &s->line, pass->x + space_offset(&s->lines, 0, line) };
        of.values = s->has_values ? pass->values + out : NULL;
        if (s->has_indices)
                of.indices = pass->indices + out / (int64_t)s->result_size;
        return of;
}

static int sort_long(const struct pass *pass, int64_t at)
{
        struct source source;
        struct pass line = pass_line(pass, at, &source);
        int r = sort_line(&source, pass->s->has_indices, pass->run, pass->scratch);

        if (r)
                return r;
        line.sorted = sort_line_at(pass->s->n, pass->s->has_indices, pass->scratch);
        workers_for(run_workers(pass->run), (uint64_t)div_up(pass->s->k, STORE_CHUNK), put_chunk,
                    &line);
        if (pass->s->has_values)
                restore(pass->s, &source, line.sorted.keys, line.values);
        return 0;
}

/* Every so many lines, beginning with one. */
static void sort_slot(void *ctx, uint64_t slot)
{
        struct pass *pass = ctx;
        const struct sort *s = pass->s;
        char *scratch = pass->scratch + (int64_t)slot * s->slot_bytes;
        uint64_t *keys = (uint64_t *)(void *)scratch;
        uint32_t *indices = s->has_indices ? (uint32_t *)(void *)(keys + 2 * s->n) : NULL;
        struct keys from = { keys, indices };
        struct keys room = { keys + s->n, indices ? indices + s->n : NULL };

        for (int64_t at = (int64_t)slot; at < s->lines.n; at += s->n_slots) {
                struct source source;
                struct pass line = pass_line(pass, at, &source);
                struct keys sorted;

                if (run_must_end(pass->run, &pass->is_stopped))
                        return;
                source_load(&source, 0, (size_t)s->n, from.keys);
                for (int64_t i = 0; indices && i < s->n; i++)
                        indices[i] = (uint32_t)i;
                sorted = sort_keys(from, room, (size_t)s->n);
                line.sorted = (struct sorted){ .keys = sorted.keys, .indices = sorted.indices };
                put(&line, line.values, line.indices, 0, s->k);
                if (s->has_values)
                        restore(s, &source, sorted.keys, line.values);
        }
}

static int sort_run(const struct step *step, const struct run *run, const void *const *args,
                    void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct sort *s = (const struct sort *)step;
        struct pass pass = { .s = s, .run = run, .scratch = scratch };
        bool is_small = s->lines.n * s->n * 8 < SPREAD_BYTES;

        (void)refusal;
        pass.x = (const char *)args[0] + s->offset;
        pass.values = s->has_values ? results[0] : NULL;
        pass.indices = s->has_indices ? results[s->has_values ? 1 : 0] : NULL;
        if (s->k == 0)
                return 0;
        if (s->n >= LONG) {
                for (int64_t line = 0; line < s->lines.n; line++) {
                        int r = sort_long(&pass, line);

                        if (r)
                                return r;
                }
                return 0;
        }
        workers_for(is_small ? NULL : run_workers(run), (uint64_t)s->n_slots, sort_slot, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

/* ---- preparing ---- */

static struct step *sort_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class sort_class = { "sort", sort_run, sort_free };

static void lay_out(struct sort *s)
{
        uint64_t per_key = s->has_indices ? 12 : 8;

        if (s->n >= LONG) {
                s->step.n_scratch = sort_line_n_scratch(s->n, s->has_indices);
                return;
        }
        s->n_slots = s->lines.n < SLOTS ? s->lines.n : SLOTS;
        s->slot_bytes = (int64_t)align_64(2 * (uint64_t)s->n * per_key);
        s->step.n_scratch = (uint64_t)(s->n_slots * s->slot_bytes);
}

int sort_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
             const struct desc *args, const struct desc *results)
{
        const struct desc *x = &args[0];
        bool is_descending = (attrs->set & TD_ATTR_DESCENDING) && attrs->descending;
        unsigned axis = (unsigned)(attrs->axes[0] < 0 ? attrs->axes[0] + x->type.ndim
                                                      : attrs->axes[0]);
        struct sort *s = calloc(1, sizeof(*s));
        uint8_t order[TD_NDIM_MAX];

        if (!s)
                return error_origin(-ENOMEM);
        s->step.class = &sort_class;
        if (op == TD_OP_TOPK)
                is_descending = !(attrs->set & TD_ATTR_DESCENDING) || attrs->descending;
        s->order = order_of(x->type.dtype, is_descending);
        s->has_values = op != TD_OP_ARGSORT;
        s->has_indices = op != TD_OP_SORT;
        s->offset = x->offset;
        s->n = x->type.shape[axis];
        s->k = results[0].type.shape[axis];
        s->line = (struct space){ .n_operands = 1, .n = 1 };
        space_push(&s->line, s->n, &x->strides[axis]);
        s->result_size = (size_t)td_dtype_size(results[0].type.dtype);
        s->out_stride = results[0].strides[axis];
        s->lines = (struct space){ .n_operands = 2, .n = 1 };
        desc_keep_order(order, &results[0].type, 1, &results[0]);
        for (unsigned i = 0; i < x->type.ndim; i++) {
                const unsigned d = order[i];

                if (d != axis)
                        space_push(&s->lines, x->type.shape[d],
                                   (int64_t[]){ x->strides[d], results[0].strides[d] });
        }
        space_fold(&s->lines);
        lay_out(s);
        s->step.cost_ns = 100 + (uint64_t)(s->lines.n * s->n) * 20;
        *stepp = &s->step;
        return 0;
}
