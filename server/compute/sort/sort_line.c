/* SPDX-License-Identifier: MIT */
/*
 * Sorting one long line, on all threads
 *
 * Three passes. By chunks: elements become keys, which from here on are private, and each is given
 * the number of its bucket. By chunks: keys go to their buckets, chunk after chunk within each, so
 * that equal ones stay in order. By buckets: each is sorted in the cache, and its keys return to
 * where the first pass wrote them. What lies in the scratch is trusted for values, not for bounds.
 *
 * Where one key is so frequent that the sample has it in several splitters, keys that equal their
 * splitter have buckets of their own, which need no sorting: no bucket holds nearly all.
 */
#include "compute/sort/sort_line.h"

#include <stdatomic.h>
#include <string.h>

#include "compute/step_base.h"

enum {
        CHUNK = 32 * 1024, /* elements, at least */
        CHUNKS_MAX = 1024,
        BUCKET = 16 * 1024, /* elements that are wanted in one */
        BUCKETS_MAX = 512,
        SAMPLES = 16, /* per bucket */
        ABREAST = 8,  /* keys that go down the tree together */
        TILE = 512,
};

struct line {
        const struct source *source;
        const struct run *run;
        int64_t n, chunk, n_chunks;
        unsigned n_levels; /* of the tree of splitters: 2 ** n_levels intervals */
        unsigned n_bits;   /* of a bucket's number; one more if splitters have buckets too */
        uint64_t *keys[2];
        uint32_t *indices[2];
        uint16_t *numbers; /* of each key's bucket */
        uint32_t *counts;  /* by chunk and bucket; become places within the bucket's chunks */
        int64_t starts[2 * BUCKETS_MAX + 1];
        uint64_t tree[BUCKETS_MAX];   /* node i has the children 2 i and 2 i + 1 */
        uint64_t lowest[BUCKETS_MAX]; /* of each interval: the splitter that it begins with */
        atomic_bool is_stopped;
};

static int64_t line_chunk(int64_t n)
{
        int64_t chunk = div_up(n, CHUNKS_MAX);

        return chunk < CHUNK ? CHUNK : chunk;
}

static unsigned line_levels(int64_t n)
{
        unsigned n_levels = 0;

        while (n > BUCKET && 1 << n_levels < BUCKETS_MAX) {
                n = (n + 1) / 2;
                n_levels++;
        }
        return n_levels;
}

/* ---- splitters ---- */

/* Splitters of an inner node lie between those of its children: the tree in order is the sample. */
static void fill_tree(struct line *line, const uint64_t *sample)
{
        unsigned n_buckets = 1U << line->n_levels;

        for (unsigned i = 1; i < n_buckets; i++) {
                unsigned depth = 31 - (unsigned)__builtin_clz(i);
                unsigned step = n_buckets >> (depth + 1); /* buckets below a child */
                unsigned first = (i - (1U << depth)) * 2 * step;

                line->tree[i] = sample[(first + step) * SAMPLES - SAMPLES / 2];
                line->lowest[first + step] = line->tree[i];
        }
        line->lowest[0] = UINT64_MAX; /* which no key of the first interval is */
        line->n_bits = line->n_levels;
        for (unsigned b = 2; b < n_buckets; b++)
                if (line->lowest[b] == line->lowest[b - 1])
                        line->n_bits = line->n_levels + 1;
}

/* Elements of about equal distance, each somewhere within its part. */
static void choose_splitters(struct line *line)
{
        size_t n = (size_t)SAMPLES << line->n_levels;
        struct keys sample = { .keys = line->keys[0] }, room = { .keys = line->keys[1] };
        uint64_t state = 88172645463325252U;

        for (size_t i = 0; i < n; i++) {
                int64_t begin = (int64_t)((__int128)line->n * (int64_t)i / (int64_t)n);
                int64_t end = (int64_t)((__int128)line->n * (int64_t)(i + 1) / (int64_t)n);

                state = state * 6364136223846793005U + 1442695040888963407U;
                source_load(line->source,
                            begin + (int64_t)((state >> 33) % (uint64_t)(end - begin)), 1,
                            &sample.keys[i]);
        }
        fill_tree(line, sort_keys(sample, room, n).keys);
}

static void number_keys(const struct line *line, const uint64_t *keys, uint16_t *numbers, size_t n)
{
        const uint32_t n_buckets = 1U << line->n_levels;
        size_t i = 0;

        for (; i + ABREAST <= n; i += ABREAST) {
                uint32_t at[ABREAST];

                for (unsigned k = 0; k < ABREAST; k++)
                        at[k] = 1;
                for (unsigned level = 0; level < line->n_levels; level++)
                        for (unsigned k = 0; k < ABREAST; k++)
                                at[k] = 2 * at[k] + (keys[i + k] >= line->tree[at[k]]);
                for (unsigned k = 0; k < ABREAST; k++)
                        numbers[i + k] = (uint16_t)(at[k] - n_buckets);
        }
        for (; i < n; i++) {
                uint32_t at = 1;

                for (unsigned level = 0; level < line->n_levels; level++)
                        at = 2 * at + (keys[i] >= line->tree[at]);
                numbers[i] = (uint16_t)(at - n_buckets);
        }
        for (i = 0; line->n_bits > line->n_levels && i < n; i++)
                numbers[i] = (uint16_t)(2 * numbers[i] + (keys[i] > line->lowest[numbers[i]]));
}

/* ---- passes ---- */

static void number_chunk(void *ctx, uint64_t chunk)
{
        struct line *line = ctx;
        uint32_t *counts = line->counts + (chunk << line->n_bits);
        int64_t i = (int64_t)chunk * line->chunk;
        int64_t end = chunk_end(i, line->chunk, line->n);

        if (run_must_end(line->run, &line->is_stopped))
                return;
        memset(counts, 0, sizeof(*counts) << line->n_bits);
        for (; i < end; i += TILE) {
                size_t n = (size_t)(end - i < TILE ? end - i : TILE);
                uint16_t *numbers = line->numbers + i;

                source_load(line->source, i, n, line->keys[0] + i);
                number_keys(line, line->keys[0] + i, numbers, n);
                for (size_t k = 0; k < n; k++)
                        counts[numbers[k]]++;
        }
}

/* Bucket after bucket, and in each chunk after chunk. */
static void place_buckets(struct line *line)
{
        int64_t sum = 0;

        for (size_t b = 0; b < (size_t)1 << line->n_bits; b++) {
                uint64_t within = 0;

                line->starts[b] = sum < line->n ? sum : line->n;
                for (int64_t c = 0; c < line->n_chunks; c++) {
                        uint32_t *count = &line->counts[((size_t)c << line->n_bits) + b];
                        uint32_t n = *count;

                        *count = (uint32_t)within;
                        within += n;
                }
                sum += (int64_t)within;
        }
        line->starts[(size_t)1 << line->n_bits] = line->n;
}

static void scatter_chunk(void *ctx, uint64_t chunk)
{
        struct line *line = ctx;
        const uint32_t *counts = line->counts + (chunk << line->n_bits);
        int64_t i = (int64_t)chunk * line->chunk;
        int64_t end = chunk_end(i, line->chunk, line->n);
        int64_t at[2 * BUCKETS_MAX];
        const size_t mask = ((size_t)1 << line->n_bits) - 1;

        if (run_must_end(line->run, &line->is_stopped))
                return;
        for (size_t b = 0; b <= mask; b++)
                at[b] = line->starts[b] + counts[b];
        for (; i < end; i++) {
                int64_t to = at[line->numbers[i] & mask]++;

                if (to >= line->n)
                        continue;
                line->keys[1][to] = line->keys[0][i];
                if (line->indices[1])
                        line->indices[1][to] = (uint32_t)i;
        }
}

static struct keys keys_at(const struct line *line, unsigned side, int64_t i)
{
        return (struct keys){ .keys = line->keys[side] + i,
                              .indices = line->indices[side] ? line->indices[side] + i : NULL };
}

/* Keys that are the splitter: the even ones of such numbers, but the first, which has none. */
static bool is_of_equals(const struct line *line, uint64_t bucket)
{
        return line->n_bits > line->n_levels && bucket > 0 && bucket % 2 == 0;
}

static void sort_bucket(void *ctx, uint64_t bucket)
{
        struct line *line = ctx;
        int64_t begin = line->starts[bucket];
        size_t n = (size_t)(line->starts[bucket + 1] - begin);
        struct keys to = keys_at(line, 0, begin), sorted;

        if (n == 0 || is_of_equals(line, bucket) || run_must_end(line->run, &line->is_stopped))
                return;
        sorted = sort_keys(keys_at(line, 1, begin), to, n);
        if (sorted.keys == to.keys)
                return;
        memcpy(to.keys, sorted.keys, n * sizeof(*to.keys));
        if (to.indices)
                memcpy(to.indices, sorted.indices, n * sizeof(*to.indices));
}

/* What lies there of such buckets, which may be longer than others by far. */
static void copy_equals(void *ctx, uint64_t chunk)
{
        struct line *line = ctx;
        int64_t low = (int64_t)chunk * line->chunk;
        int64_t high = chunk_end(low, line->chunk, line->n);

        if (run_must_end(line->run, &line->is_stopped))
                return;
        for (uint64_t b = 2; b < UINT64_C(1) << line->n_bits; b += 2) {
                int64_t begin = line->starts[b] > low ? line->starts[b] : low;
                int64_t end = line->starts[b + 1] < high ? line->starts[b + 1] : high;

                if (begin >= end)
                        continue;
                memcpy(line->keys[0] + begin, line->keys[1] + begin,
                       (size_t)(end - begin) * sizeof(*line->keys[0]));
                if (line->indices[0])
                        memcpy(line->indices[0] + begin, line->indices[1] + begin,
                               (size_t)(end - begin) * sizeof(*line->indices[0]));
        }
}

/* ---- all of it ---- */

static uint64_t line_lay_out(struct line *line, uintptr_t scratch, bool has_indices)
{
        uint64_t n = (uint64_t)line->n, at = 0;

        for (unsigned i = 0; i < 2; i++) {
                line->keys[i] = (uint64_t *)(scratch + at);
                at += align_64(n * sizeof(*line->keys[i]));
                line->indices[i] = has_indices ? (uint32_t *)(scratch + at) : NULL;
                at += has_indices ? align_64(n * sizeof(*line->indices[i])) : 0;
        }
        line->numbers = (uint16_t *)(scratch + at);
        if (line->n_levels > 0)
                at += align_64(n * sizeof(*line->numbers));
        line->counts = (uint32_t *)(scratch + at);
        return at + align_64(((uint64_t)line->n_chunks * sizeof(*line->counts))
                             << (line->n_levels + 1));
}

static struct line line_of(int64_t n)
{
        struct line line = { .n = n, .chunk = line_chunk(n), .n_levels = line_levels(n) };

        line.n_bits = line.n_levels;

        line.n_chunks = div_up(n, line.chunk);
        return line;
}

uint64_t sort_line_n_scratch(int64_t n, bool has_indices)
{
        struct line line = line_of(n);

        return line_lay_out(&line, 0, has_indices);
}

struct sorted sort_line_at(int64_t n, bool has_indices, void *scratch)
{
        struct line line = line_of(n);

        line_lay_out(&line, (uintptr_t)scratch, has_indices);
        return (struct sorted){ .keys = line.keys[0],
                                .indices = line.indices[0],
                                .room = line.keys[1] };
}

/* A short one: no buckets, one thread. */
static void sort_short(struct line *line)
{
        struct keys from = keys_at(line, 1, 0);

        source_load(line->source, 0, (size_t)line->n, from.keys);
        for (int64_t i = 0; from.indices && i < line->n; i++)
                from.indices[i] = (uint32_t)i;
        line->starts[0] = 0;
        line->starts[1] = line->n;
        sort_bucket(line, 0);
}

int sort_line(const struct source *source, bool has_indices, const struct run *run, void *scratch)
{
        struct line line = line_of(source->space->n);

        line_lay_out(&line, (uintptr_t)scratch, has_indices);
        line.source = source;
        line.run = run;
        if (line.n_levels == 0) {
                sort_short(&line);
                return line.is_stopped ? PLAN_E_STOPPED : 0;
        }
        choose_splitters(&line);
        workers_for(run_workers(run), (uint64_t)line.n_chunks, number_chunk, &line);
        if (line.is_stopped)
                return PLAN_E_STOPPED;
        place_buckets(&line);
        workers_for(run_workers(run), (uint64_t)line.n_chunks, scatter_chunk, &line);
        if (line.is_stopped)
                return PLAN_E_STOPPED;
        workers_for(run_workers(run), UINT64_C(1) << line.n_bits, sort_bucket, &line);
        if (line.n_bits > line.n_levels)
                workers_for(run_workers(run), (uint64_t)line.n_chunks, copy_equals, &line);
        return line.is_stopped ? PLAN_E_STOPPED : 0;
}
