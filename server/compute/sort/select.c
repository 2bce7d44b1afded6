/* SPDX-License-Identifier: MIT */
/*
 * Steps that select
 *
 * What decides (the elements, or a mask) is looked at once: the step keeps a bit for each of its
 * elements, and for each chunk of them how many come before it. The second half walks the bits, so
 * it finds just as many as were counted, whatever became of the elements.
 *
 * Scratch: the tally, then the bits.
 */
#include "compute/sort/select.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "compute/sort/items.h"
#include "compute/space.h"
#include "compute/step_base.h"
#include "compute/tally.h"

enum {
        TILE = 512,          /* elements loaded at a time */
        CHUNK = 64 * 1024,   /* elements, at most; a multiple of 64 */
        ROW_LARGE = 1 << 16, /* bytes of a row from which on we ask at each whether to stop */
};

struct select {
        struct step step;
        bool is_mask;
        struct space flags; /* of what decides */
        int64_t flags_offset;
        kernel_load *load_flags;
        unsigned ndim; /* of what decides, as it came */
        int64_t shape[TD_NDIM_MAX];
        int64_t strides[TD_NDIM_MAX]; /* of x along these, for masks */
        int64_t x_offset;
        struct space row; /* one part of x */
        kernel_load *load_row;
        size_t item_size;
        int64_t chunk, n_chunks;
        size_t bits_offset;
};

struct pass {
        const struct select *s;
        const struct run *run;
        const char *flags, *x;
        struct tally *tally;
        uint64_t *bits;
        char *out;
        int64_t count;
        atomic_bool is_stopped;
};

/* ---- counting ---- */

/* Eight bytes that are 0 or 1, the first into the lowest bit. */
static uint64_t pack_8(const uint8_t *bytes)
{
        uint64_t x;

        memcpy(&x, bytes, sizeof(x));
        return x * UINT64_C(0x0102040810204080) >> 56;
}

static uint64_t pack_64(const uint8_t *bytes)
{
        uint64_t word = 0;

        for (unsigned i = 0; i < 8; i++)
                word |= pack_8(bytes + 8 * i) << 8 * i;
        return word;
}

static void count_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct select *s = pass->s;
        int64_t index = (int64_t)chunk * s->chunk;
        int64_t end = chunk_end(index, s->chunk, s->flags.n), n = 0;
        uint8_t tile[TILE];

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; index < end; index += TILE) {
                size_t n_tile = (size_t)(end - index < TILE ? end - index : TILE);

                memset(tile, 0, sizeof(tile));
                space_load(&s->flags, 0, s->load_flags, 1, pass->flags, index, n_tile, tile);
                for (size_t i = 0; i < n_tile; i += 64) {
                        uint64_t word = pack_64(tile + i);

                        pass->bits[(size_t)index / 64 + i / 64] = word;
                        n += __builtin_popcountll(word);
                }
        }
        pass->tally->starts[chunk] = n;
}

static int select_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct select *s = (const struct select *)step;
        struct pass pass = { .s = s, .run = run };

        (void)results;
        (void)refusal;
        pass.flags = args[s->is_mask ? 1 : 0];
        pass.flags += s->flags_offset;
        pass.tally = scratch;
        pass.bits = (uint64_t *)(void *)((char *)scratch + s->bits_offset);
        workers_for(s->flags.n < SPREAD_BYTES ? NULL : run_workers(run), (uint64_t)s->n_chunks,
                    count_chunk, &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        tally_close(pass.tally, s->n_chunks);
        return 0;
}

/* ---- writing ---- */

/* Walks indices in ascending order, and knows the coordinates of each. */
struct cursor {
        const struct select *s;
        int64_t begin, end; /* indices of the run along the last axis that coordinates are of */
        int64_t at[TD_NDIM_MAX];
        int64_t offset; /* of the run's first element in x */
};

static void cursor_seek(struct cursor *cursor, int64_t index)
{
        const struct select *s = cursor->s;
        unsigned last = s->ndim - 1;
        int64_t rest = index / s->shape[last];

        cursor->begin = rest * s->shape[last];
        cursor->end = cursor->begin + s->shape[last];
        cursor->offset = s->x_offset;
        for (unsigned d = last; d-- > 0; rest /= s->shape[d]) {
                cursor->at[d] = rest % s->shape[d];
                cursor->offset += cursor->at[d] * s->strides[d];
        }
}

static void put_index(struct pass *pass, const struct cursor *cursor, int64_t index, int64_t at)
{
        int64_t *out = (int64_t *)(void *)pass->out + at;
        unsigned last = pass->s->ndim - 1;

        for (unsigned d = 0; d < last; d++)
                out[(int64_t)d * pass->count] = cursor->at[d];
        out[(int64_t)last * pass->count] = index - cursor->begin;
}

static void put_row(struct pass *pass, const char *x, int64_t at)
{
        const struct select *s = pass->s;
        char *out = pass->out + at * s->row.n * (int64_t)s->item_size;

        if (s->row.n == 1)
                s->load_row(1, out, x, 0);
        else if (s->row.n > 0)
                space_load(&s->row, 0, s->load_row, s->item_size, x, 0, (size_t)s->row.n, out);
}

/* The chunk's bits, one after the other. Returns where the next one would be written. */
static int64_t write_bits(struct pass *pass, int64_t chunk, int64_t at, int64_t end)
{
        const struct select *s = pass->s;
        struct cursor cursor = { .s = s };
        const int64_t first = chunk * s->chunk;
        const int64_t n = chunk_end(first, s->chunk, s->flags.n) - first;
        const bool is_large = s->row.n * (int64_t)s->item_size >= ROW_LARGE;
        const int64_t step = s->ndim > 0 ? s->strides[s->ndim - 1] : 0;

        for (int64_t i = 0; i < n; i += 64) {
                for (uint64_t word = pass->bits[(first + i) / 64]; word; word &= word - 1) {
                        int64_t index = first + i + __builtin_ctzll(word);

                        if (at == end || index >= s->flags.n)
                                return at;
                        if (index >= cursor.end && s->ndim > 0)
                                cursor_seek(&cursor, index);
                        if (!s->is_mask)
                                put_index(pass, &cursor, index, at++);
                        else if (s->ndim == 0)
                                put_row(pass, pass->x + s->x_offset, at++);
                        else
                                put_row(pass,
                                        pass->x + cursor.offset + (index - cursor.begin) * step,
                                        at++);
                        if (is_large && run_must_end(pass->run, &pass->is_stopped))
                                return at;
                }
        }
        return at;
}

/* The commonest case: a vector of 8-byte elements. */
static int64_t write_words(struct pass *pass, int64_t chunk, int64_t at, int64_t end)
{
        const struct select *s = pass->s;
        const int64_t first = chunk * s->chunk;
        const int64_t n = chunk_end(first, s->chunk, s->flags.n) - first;
        const int64_t step = s->is_mask ? s->strides[0] : 0;
        const char *x = s->is_mask ? pass->x + s->x_offset : NULL;
        int64_t *out = (int64_t *)(void *)pass->out;

        for (int64_t i = 0; i < n; i += 64) {
                uint64_t word = pass->bits[(first + i) / 64];

                if (__builtin_popcountll(word) > end - at)
                        return at;
                for (; word; word &= word - 1) {
                        int64_t index = first + i + __builtin_ctzll(word);

                        if (index >= s->flags.n)
                                return at;
                        if (x)
                                memcpy(&out[at++], x + index * step, sizeof(*out));
                        else
                                out[at++] = index;
                }
        }
        return at;
}

static void write_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct select *s = pass->s;
        const bool is_words = s->ndim == 1 && (!s->is_mask || (s->row.n == 1 && s->item_size == 8));
        const size_t n_item = s->is_mask ? (size_t)s->row.n * s->item_size : sizeof(int64_t);
        const int64_t n_lists = s->is_mask ? 1 : (int64_t)s->ndim;
        const struct tally_part part = tally_part(pass->tally, chunk, pass->count);
        const int64_t end = part.end;
        int64_t at = part.begin;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        at = is_words ? write_words(pass, (int64_t)chunk, at, end)
                      : write_bits(pass, (int64_t)chunk, at, end);
        /* Bits are missing only if the scratch was tampered with. */
        for (int64_t d = 0; d < n_lists && at < end; d++)
                memset(pass->out + (size_t)(d * pass->count + at) * n_item, 0,
                       (size_t)(end - at) * n_item);
}

static int select_finish(const struct step *step, const struct run *run, const void *const *args,
                         void *const *results, const void *scratch, int64_t count)
{
        const struct select *s = (const struct select *)step;
        struct pass pass = { .s = s, .run = run, .x = args[0], .out = results[0], .count = count };
        bool is_small;

        if (!results[0] || count == 0 || (s->is_mask && s->row.n == 0))
                return 0;
        is_small = count * (s->is_mask ? s->row.n : (int64_t)s->ndim) * 8 + s->flags.n / 8 <
                   SPREAD_BYTES;
        pass.tally = (struct tally *)(uintptr_t)scratch;
        pass.bits = (uint64_t *)(uintptr_t)((const char *)scratch + s->bits_offset);
        workers_for(is_small ? NULL : run_workers(run), (uint64_t)s->n_chunks, write_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

/* ---- preparing ---- */

static struct step *select_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class select_class = { "select", select_run, select_free };

int select_new(struct step **stepp, enum td_op op, const struct desc *args,
               const struct desc *results)
{
        const struct desc *flags = &args[op == TD_OP_MASK ? 1 : 0];
        struct select *s = calloc(1, sizeof(*s));
        int64_t n_row;

        if (!s)
                return error_origin(-ENOMEM);
        s->step.class = &select_class;
        s->step.finish = select_finish;
        s->is_mask = op == TD_OP_MASK;
        s->ndim = flags->type.ndim;
        s->flags_offset = flags->offset;
        s->x_offset = args[0].offset;
        s->load_flags = items_nonzero(flags->type.dtype);
        space_init(&s->flags, s->ndim, flags->type.shape, 1, flags);
        memcpy(s->shape, flags->type.shape, sizeof(s->shape));
        memcpy(s->strides, args[0].strides, sizeof(s->strides));
        s->item_size = (size_t)td_dtype_size(results[0].type.dtype);
        s->load_row = items_copy(args[0].type.dtype);
        s->row = (struct space){ .n_operands = 1, .n = 1 };
        for (unsigned d = s->ndim; d < args[0].type.ndim; d++)
                space_push(&s->row, args[0].type.shape[d], &args[0].strides[d]);
        space_fold(&s->row);

        n_row = s->row.n > 0 ? s->row.n : 1;
        s->chunk = n_row < CHUNK / 64 ? CHUNK / n_row / 64 * 64 : 64;
        s->n_chunks = div_up(s->flags.n, s->chunk);
        s->bits_offset = tally_n_bytes(s->n_chunks);
        s->step.n_scratch = align_64(s->bits_offset +
                                     (uint64_t)div_up(s->flags.n, TILE) * TILE / 8);
        s->step.count_max = s->flags.n;
        s->step.cost_ns = 200 + (uint64_t)s->flags.n + (uint64_t)(s->flags.n * n_row) / 2;
        *stepp = &s->step;
        return 0;
}
