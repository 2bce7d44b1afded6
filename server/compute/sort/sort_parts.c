/* SPDX-License-Identifier: MIT */
/*
 * Sorting elements of one key or of two
 *
 * Of two: by minor keys, then by the others, which are put in that order first; sorting is stable,
 * so that the order of both is left. What is sorted always needs its indices then.
 *
 * Scratch: the order by minor keys, keys in the order of the last sorting, what sort_line() takes.
 * Indices in there are not trusted for bounds.
 */
#include "compute/sort/sort_parts.h"

#include "compute/step_base.h"

enum { CHUNK = 32 * 1024 };

struct parts {
        const struct source *source;
        const struct run *run;
        kernel_load *load; /* of the keys that are picked */
        int64_t n;
        uint32_t *order;
        uint64_t *picked;
        void *scratch; /* of sort_line() */
        struct sorted line;
        atomic_bool is_stopped;
};

static uint64_t parts_lay_out(struct parts *parts, int64_t n, uintptr_t scratch)
{
        uint64_t at = align_64((uint64_t)n * sizeof(*parts->order));

        parts->n = n;
        parts->order = (uint32_t *)scratch;
        parts->picked = (uint64_t *)(scratch + at);
        at += align_64((uint64_t)n * sizeof(*parts->picked));
        parts->scratch = (void *)(scratch + at);
        return at + sort_line_n_scratch(n, true);
}

/* ---- passes ---- */

static void load_chunk(void *ctx, uint64_t chunk)
{
        struct parts *parts = ctx;
        const struct source *source = parts->source;
        int64_t i = (int64_t)chunk * CHUNK, end = chunk_end(i, CHUNK, parts->n);

        if (!run_must_end(parts->run, &parts->is_stopped))
                space_load(source->space, 0, parts->load, sizeof(*parts->line.room), source->base,
                           i, (size_t)(end - i), parts->line.room + i);
}

static uint64_t picked_at(const struct parts *parts, uint32_t index)
{
        return index < parts->n ? parts->line.room[index] : 0;
}

/* In the order of the first sorting. */
static void pick_chunk(void *ctx, uint64_t chunk)
{
        struct parts *parts = ctx;
        int64_t i = (int64_t)chunk * CHUNK, end = chunk_end(i, CHUNK, parts->n);

        if (run_must_end(parts->run, &parts->is_stopped))
                return;
        for (; i < end; i++) {
                parts->order[i] = parts->line.indices[i];
                parts->picked[i] = picked_at(parts, parts->order[i]);
        }
}

/* In that of both, whose indices come out. */
static void pick_chunk_again(void *ctx, uint64_t chunk)
{
        struct parts *parts = ctx;
        int64_t i = (int64_t)chunk * CHUNK, end = chunk_end(i, CHUNK, parts->n);

        if (run_must_end(parts->run, &parts->is_stopped))
                return;
        for (; i < end; i++) {
                uint32_t index = parts->line.indices[i];

                index = index < parts->n ? parts->order[index] : 0;
                parts->line.indices[i] = index;
                parts->picked[i] = picked_at(parts, index);
        }
}

/* Keys of all elements, put in the order that sorting has found. */
static int pick(struct parts *parts, kernel_load *load, void (*pick_one)(void *, uint64_t))
{
        uint64_t n_chunks = (uint64_t)div_up(parts->n, CHUNK);

        parts->load = load;
        workers_for(run_workers(parts->run), n_chunks, load_chunk, parts);
        if (!parts->is_stopped)
                workers_for(run_workers(parts->run), n_chunks, pick_one, parts);
        return parts->is_stopped ? PLAN_E_STOPPED : 0;
}

/* ---- all of it ---- */

static int sort_both(const struct source *source, const struct run *run, void *scratch)
{
        const struct order *order = source->order;
        struct order minor = { .load = order->load_minor };
        struct source by_minor = { &minor, source->space, source->base };
        struct space dense = { .n_operands = 1, .n = 1 };
        struct source by_both = { order_of(TD_UINT64, false), &dense, NULL };
        struct parts parts = { .source = source, .run = run };
        int r;

        parts_lay_out(&parts, source->space->n, (uintptr_t)scratch);
        parts.line = sort_line_at(parts.n, true, parts.scratch);
        space_push(&dense, parts.n, (int64_t[]){ sizeof(*parts.picked) });
        by_both.base = (const char *)parts.picked;
        r = sort_line(&by_minor, true, run, parts.scratch);
        if (!r)
                r = pick(&parts, order->load, pick_chunk);
        if (!r)
                r = sort_line(&by_both, true, run, parts.scratch);
        return r ? r : pick(&parts, order->load_minor, pick_chunk_again);
}

uint64_t sort_parts_n_scratch(const struct order *order, int64_t n, bool has_indices)
{
        struct parts parts;

        return order->load_minor ? parts_lay_out(&parts, n, 0)
                                 : sort_line_n_scratch(n, has_indices);
}

struct sorted sort_parts_at(const struct order *order, int64_t n, bool has_indices, void *scratch)
{
        struct parts parts;
        struct sorted sorted;

        if (!order->load_minor)
                return sort_line_at(n, has_indices, scratch);
        parts_lay_out(&parts, n, (uintptr_t)scratch);
        sorted = sort_line_at(n, true, parts.scratch);
        sorted.minor = parts.picked;
        return sorted;
}

int sort_parts(const struct source *source, bool has_indices, const struct run *run, void *scratch)
{
        if (source->order->load_minor)
                return sort_both(source, run, scratch);
        return sort_line(source, has_indices, run, scratch);
}
