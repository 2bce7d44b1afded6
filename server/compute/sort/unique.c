/* SPDX-License-Identifier: MIT */
/*
 * Steps that find the distinct elements
 *
 * Elements are sorted as keys, with their indices if these are wanted or if values are found by
 * them; each key that differs from the one before it begins a run, and each NaN does. Runs are
 * counted by chunks; the second half walks the same keys again.
 *
 * Scratch: the tally, then what sorting takes.
 */
#include "compute/sort/unique.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "compute/sort/items.h"
#include "compute/sort/sort_parts.h"
#include "compute/step_base.h"
#include "compute/tally.h"

enum { CHUNK = 32 * 1024 };

struct unique {
        struct step step;
        const struct order *order;
        kernel_load *copy; /* of an element */
        struct space space;
        int64_t offset;
        bool has_sorted_indices;
        int indices, inverse, counts; /* numbers of these results, -1: none */
        int64_t n_chunks;
        uint64_t sort_offset;
};

struct pass {
        const struct unique *u;
        const struct run *run;
        struct source source;
        struct sorted sorted;
        struct tally *tally; /* of runs */
        char *values;
        int64_t *indices, *inverse, *counts;
        int64_t count;
        _Atomic int64_t zero; /* number of the run of zeros, -1: none */
        atomic_bool is_stopped;
};

static bool begins_run(const struct pass *pass, int64_t i)
{
        const uint64_t *keys = pass->sorted.keys, *minor = pass->sorted.minor;
        uint64_t nan = pass->u->order->nan;

        return i == 0 || keys[i] != keys[i - 1] || (minor && minor[i] != minor[i - 1]) ||
               (nan && keys[i] == nan);
}

/* ---- counting ---- */

static void count_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        int64_t i = (int64_t)chunk * CHUNK, end = chunk_end(i, CHUNK, pass->u->space.n), n = 0;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i++)
                n += begins_run(pass, i);
        pass->tally->starts[chunk] = n;
}

static void invert_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        int64_t i = (int64_t)chunk * CHUNK, end = chunk_end(i, CHUNK, pass->u->space.n);
        int64_t run = pass->tally->starts[chunk] - 1;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i++) {
                run += begins_run(pass, i);
                if (pass->sorted.indices[i] < pass->u->space.n)
                        pass->inverse[pass->sorted.indices[i]] = run;
        }
}

static void pass_init(struct pass *pass, const struct unique *u, const struct run *run,
                      const void *x, const void *scratch)
{
        char *bytes = (char *)(uintptr_t)scratch;

        *pass = (struct pass){ .u = u, .run = run };
        pass->source = (struct source){ u->order, &u->space, (const char *)x + u->offset };
        pass->tally = (struct tally *)(void *)bytes;
        pass->sorted = sort_parts_at(u->order, u->space.n, u->has_sorted_indices,
                                     bytes + u->sort_offset);
        atomic_init(&pass->zero, -1);
}

static int unique_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct unique *u = (const struct unique *)step;
        struct workers *workers = u->space.n < SPREAD_BYTES / 8 ? NULL : run_workers(run);
        struct pass pass;
        int r = 0;

        (void)refusal;
        pass_init(&pass, u, run, args[0], scratch);
        if (u->space.n > 0)
                r = sort_parts(&pass.source, u->has_sorted_indices, run,
                               (char *)scratch + u->sort_offset);
        if (r)
                return r;
        workers_for(workers, (uint64_t)u->n_chunks, count_chunk, &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        tally_close(pass.tally, u->n_chunks);
        if (u->inverse < 0)
                return 0;
        pass.inverse = results[u->inverse];
        workers_for(workers, (uint64_t)u->n_chunks, invert_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

/* ---- writing ---- */

/* How many elements the run has that begins there. */
static int64_t run_length(const struct pass *pass, int64_t begin)
{
        int64_t i = begin + 1;

        while (i < pass->u->space.n && !begins_run(pass, i))
                i++;
        return i - begin;
}

/* What begins at i becomes the value of its run. */
static void put_value(const struct pass *pass, int64_t run, int64_t i)
{
        const struct unique *u = pass->u;
        char *to = pass->values + run * (int64_t)u->order->item_size;
        int64_t index;

        if (u->order->store) {
                u->order->store(1, to, 0, &pass->sorted.keys[i]);
                return;
        }
        index = pass->sorted.indices[i] < u->space.n ? pass->sorted.indices[i] : 0;
        u->copy(1, to, pass->source.base + space_offset(&u->space, 0, index), 0);
}

static void write_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct unique *u = pass->u;
        const struct tally_part part = tally_part(pass->tally, chunk, pass->count);
        int64_t i = (int64_t)chunk * CHUNK, end = chunk_end(i, CHUNK, u->space.n);
        int64_t run = part.begin;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i++) {
                if (!begins_run(pass, i) || run >= part.end)
                        continue;
                if (pass->values)
                        put_value(pass, run, i);
                if (u->order->nan && pass->sorted.keys[i] == u->order->zero)
                        atomic_store(&pass->zero, run);
                if (pass->indices)
                        pass->indices[run] = pass->sorted.indices[i];
                if (pass->counts)
                        pass->counts[run] = run_length(pass, i);
                run++;
        }
        for (; run < part.end; run++) { /* only if the scratch was tampered with */
                if (pass->values)
                        memset(pass->values + run * (int64_t)u->order->item_size, 0,
                               u->order->item_size);
                if (pass->indices)
                        pass->indices[run] = 0;
                if (pass->counts)
                        pass->counts[run] = 0;
        }
}

/* The first zero and every NaN as they came. */
static void restore(struct pass *pass)
{
        const struct order *order = pass->u->order;
        int64_t zero = atomic_load(&pass->zero), n_nans = 0;
        struct order_restore to = { .stride = (ptrdiff_t)order->item_size };

        while (n_nans < pass->count &&
               pass->sorted.keys[pass->u->space.n - 1 - n_nans] == order->nan)
                n_nans++;
        to.zeros = pass->values + (zero < 0 ? 0 : zero) * to.stride;
        to.n_zeros = zero >= 0;
        to.nans = pass->values + (pass->count - n_nans) * to.stride;
        to.n_nans = n_nans;
        order_restore(&pass->source, &to);
}

static int unique_finish(const struct step *step, const struct run *run, const void *const *args,
                         void *const *results, const void *scratch, int64_t count)
{
        const struct unique *u = (const struct unique *)step;
        struct pass pass;

        if (count == 0)
                return 0;
        pass_init(&pass, u, run, args[0], scratch);
        pass.count = count;
        pass.values = results[0];
        pass.indices = u->indices < 0 ? NULL : results[u->indices];
        pass.counts = u->counts < 0 ? NULL : results[u->counts];
        workers_for(u->space.n < SPREAD_BYTES / 8 ? NULL : run_workers(run), (uint64_t)u->n_chunks,
                    write_chunk, &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        if (pass.values && u->order->store && u->order->nan)
                restore(&pass);
        return 0;
}

/* ---- preparing ---- */

static struct step *unique_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class unique_class = { "unique", unique_run, unique_free };

int unique_new(struct step **stepp, enum td_op op, const struct desc *args,
               const struct desc *results)
{
        struct unique *u = calloc(1, sizeof(*u));
        int n = 1;

        if (!u)
                return error_origin(-ENOMEM);
        (void)results;
        u->step.class = &unique_class;
        u->step.finish = unique_finish;
        u->order = order_of(args[0].type.dtype, false);
        u->copy = items_copy(args[0].type.dtype);
        u->offset = args[0].offset;
        space_init(&u->space, args[0].type.ndim, args[0].type.shape, 1, &args[0]);
        u->indices = op == TD_OP_UNIQUE_ALL ? n++ : -1;
        u->inverse = op == TD_OP_UNIQUE_ALL || op == TD_OP_UNIQUE_INVERSE ? n++ : -1;
        u->counts = op == TD_OP_UNIQUE_ALL || op == TD_OP_UNIQUE_COUNTS ? n++ : -1;
        u->has_sorted_indices = u->indices >= 0 || u->inverse >= 0 || !u->order->store;
        u->n_chunks = div_up(u->space.n, CHUNK);
        u->sort_offset = tally_n_bytes(u->n_chunks);
        u->step.n_scratch = u->sort_offset +
                            sort_parts_n_scratch(u->order, u->space.n, u->has_sorted_indices);
        u->step.count_max = u->space.n;
        u->step.cost_ns = 200 + (uint64_t)u->space.n * (u->order->load_minor ? 90 : 30);
        *stepp = &u->step;
        return 0;
}
