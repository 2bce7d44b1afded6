/* SPDX-License-Identifier: MIT */
/*
 * Steps that look for elements
 *
 * Both operands become keys of the dtype that they promote to; but where signed integers meet
 * uint64, which have none in common, each of its own with 64 bits. The one that is searched lies in
 * the scratch, private and (for isin, which sorts it) in order, so that no element that changes
 * meanwhile leads a search astray.
 */
#include "compute/sort/search.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "compute/sort/sort_parts.h"
#include "compute/step_base.h"

enum {
        TILE = 512,
        ABREAST = 8, /* searches that go on together */
        CHUNK = 16 * 1024,
        ITEM_MAX = 16, /* bytes */
};

/* An operand, and how its elements become those of the common dtype. */
struct operand {
        struct space space;
        int64_t offset;
        kernel_load *load;
};

struct search {
        struct step step;
        bool is_isin, is_right;
        bool is_mixed; /* signed integers and uint64: equal bits below the highest are equal */
        int64_t mixed; /* there belongs what the dtype of those that are searched does not reach */
        const struct order *order; /* of what is searched */
        struct operand among, what;
        uint64_t sort_offset; /* behind the elements of the common dtype */
};

struct pass {
        const struct search *s;
        const struct run *run;
        const char *among, *what;
        char *items;
        struct sorted sorted;
        void *out;
        atomic_bool is_stopped;
};

/* ---- one tile ---- */

#define ALWAYS static inline __attribute__((always_inline))

/* Does the key that lies there come before the one that is looked for? Behind equal ones, if
 * is_right. */
ALWAYS bool precedes(const struct sorted *among, int64_t at, uint64_t key, uint64_t minor,
                     bool is_right, bool has_minor)
{
        uint64_t there = among->keys[at];

        if (!has_minor)
                return there < key || (is_right && there == key);
        if (there != key)
                return there < key;
        return among->minor[at] < minor || (is_right && among->minor[at] == minor);
}

/* n searches in n_keys that ascend; where each key belongs. */
ALWAYS void find_either(const struct sorted *among, int64_t n_keys, bool is_right,
                        const uint64_t *keys, const uint64_t *minor, int64_t *at, size_t n,
                        bool has_minor)
{
        for (size_t k = 0; k < n; k += ABREAST) {
                size_t end = n - k < ABREAST ? n : k + ABREAST;
                int64_t left = n_keys;

                for (size_t i = k; i < end; i++)
                        at[i] = 0;
                while (left > 1) {
                        int64_t half = left / 2;

                        for (size_t i = k; i < end; i++)
                                at[i] += precedes(among, at[i] + half - 1, keys[i],
                                                  has_minor ? minor[i] : 0, is_right, has_minor)
                                                 ? half
                                                 : 0;
                        left -= half;
                }
                for (size_t i = k; i < end && n_keys > 0; i++)
                        at[i] += precedes(among, at[i], keys[i], has_minor ? minor[i] : 0, is_right,
                                          has_minor);
        }
}

static void find(const struct sorted *among, int64_t n_keys, bool is_right, const uint64_t *keys,
                 const uint64_t *minor, int64_t *at, size_t n)
{
        if (among->minor)
                find_either(among, n_keys, is_right, keys, minor, at, n, true);
        else
                find_either(among, n_keys, is_right, keys, NULL, at, n, false);
}

/* From i on. */
static void search_tile(const struct pass *pass, int64_t i, size_t n)
{
        const struct search *s = pass->s;
        const struct sorted *among = &pass->sorted;
        const ptrdiff_t size = (ptrdiff_t)s->order->item_size;
        const uint64_t nan = s->order->nan;
        const int64_t n_keys = s->among.space.n;
        uint64_t items[TILE * ITEM_MAX / 8], keys[TILE], minor[TILE];
        int64_t at[TILE];

        space_load(&s->what.space, 0, s->what.load, (size_t)size, pass->what, i, n, items);
        s->order->load(n, keys, items, size);
        if (among->minor)
                s->order->load_minor(n, minor, items, size);
        find(among, n_keys, s->is_right, keys, minor, at, n);
        for (size_t k = 0; s->is_mixed && k < n; k++)
                at[k] = items[k] >> 63 ? s->mixed : at[k];
        for (size_t k = 0; k < n; k++)
                if (s->is_isin)
                        ((uint8_t *)pass->out)[i + (int64_t)k] =
                                at[k] < n_keys && among->keys[at[k]] == keys[k] &&
                                (!among->minor || among->minor[at[k]] == minor[k]) &&
                                !(nan && keys[k] == nan);
                else
                        ((int64_t *)pass->out)[i + (int64_t)k] = at[k];
}

static void search_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        int64_t i = (int64_t)chunk * CHUNK, n_what = pass->s->what.space.n;
        int64_t end = chunk_end(i, CHUNK, n_what);

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i += TILE)
                search_tile(pass, i, (size_t)(end - i < TILE ? end - i : TILE));
}

/* ---- what is searched ---- */

/* Elements of the common dtype, and, where they are in order as they are, their keys. */
static void load_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct search *s = pass->s;
        const size_t size = s->order->item_size;
        int64_t i = (int64_t)chunk * CHUNK, n_among = s->among.space.n;
        int64_t end = chunk_end(i, CHUNK, n_among);

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i += TILE) {
                size_t n = (size_t)(end - i < TILE ? end - i : TILE);
                uint64_t tile[TILE];
                char *items = s->is_isin ? pass->items + i * (int64_t)size : (char *)tile;

                space_load(&s->among.space, 0, s->among.load, size, pass->among, i, n, items);
                if (!s->is_isin)
                        s->order->load(n, pass->sorted.keys + i, items, (ptrdiff_t)size);
        }
}

static int load_among(struct pass *pass, struct workers *workers, char *scratch)
{
        const struct search *s = pass->s;
        const int64_t n = s->among.space.n;
        struct space dense = { .n_operands = 1, .n = 1 };
        struct source source = { s->order, &dense, scratch };
        int r;

        pass->items = scratch;
        pass->sorted = (struct sorted){ .keys = (uint64_t *)(void *)scratch };
        workers_for(workers, (uint64_t)div_up(n, CHUNK), load_chunk, pass);
        if (pass->is_stopped)
                return PLAN_E_STOPPED;
        if (!s->is_isin)
                return 0;
        space_push(&dense, n, (int64_t[]){ (int64_t)s->order->item_size });
        r = n > 0 ? sort_parts(&source, false, pass->run, scratch + s->sort_offset) : 0;
        pass->sorted = sort_parts_at(s->order, n, false, scratch + s->sort_offset);
        return r;
}

static int search_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct search *s = (const struct search *)step;
        struct pass pass = { .s = s, .run = run, .out = results[0] };
        bool is_small = (s->among.space.n + 4 * s->what.space.n) * 8 < SPREAD_BYTES;
        struct workers *workers = is_small ? NULL : run_workers(run);
        int r;

        (void)refusal;
        pass.among = (const char *)args[s->is_isin ? 1 : 0] + s->among.offset;
        pass.what = (const char *)args[s->is_isin ? 0 : 1] + s->what.offset;
        r = load_among(&pass, workers, scratch);
        if (r)
                return r;
        workers_for(workers, (uint64_t)div_up(s->what.space.n, CHUNK), search_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

/* ---- preparing ---- */

static struct step *search_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class search_class = { "search", search_run, search_free };

static void operand_init(struct operand *operand, const struct desc *desc, unsigned dtype)
{
        space_init(&operand->space, desc->type.ndim, desc->type.shape, 1, desc);
        operand->offset = desc->offset;
        operand->load = kernels_get()->load[desc->type.dtype][dtype];
}

/* Nanoseconds, of loading or also sorting what is searched. */
static uint64_t cost_of_key(const struct search *s)
{
        if (!s->is_isin)
                return 2;
        return s->order->load_minor ? 70 : 22;
}

/* Of integers. */
static unsigned widest(const struct desc *desc)
{
        return td_dtype_kind(desc->type.dtype) == TD_KIND_INT ? TD_INT64 : TD_UINT64;
}

int search_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *args, const struct desc *results)
{
        const struct desc *among = &args[op == TD_OP_ISIN ? 1 : 0];
        const struct desc *what = &args[op == TD_OP_ISIN ? 0 : 1];
        unsigned dtype = td_promote(among->type.dtype, what->type.dtype), depth = 1;
        struct search *s = calloc(1, sizeof(*s));
        uint64_t n;

        if (!s)
                return error_origin(-ENOMEM);
        (void)results;
        s->step.class = &search_class;
        s->is_isin = op == TD_OP_ISIN;
        s->is_right = (attrs->set & TD_ATTR_RIGHT) && attrs->right;
        s->is_mixed = td_dtype_is_float(dtype) && td_dtype_is_integer(among->type.dtype) &&
                      td_dtype_is_integer(what->type.dtype);
        operand_init(&s->among, among, s->is_mixed ? widest(among) : dtype);
        operand_init(&s->what, what, s->is_mixed ? widest(what) : dtype);
        s->order = order_of(s->is_mixed ? widest(among) : dtype, false);
        n = (uint64_t)s->among.space.n;
        if (s->is_isin || among->type.dtype != TD_UINT64)
                s->mixed = s->among.space.n;
        s->step.n_scratch = align_64(n * sizeof(uint64_t) + 1);
        if (s->is_isin) {
                s->sort_offset = align_64(n * s->order->item_size);
                s->step.n_scratch = s->sort_offset +
                                    sort_parts_n_scratch(s->order, (int64_t)n, false) + 64;
        }
        for (uint64_t left = n; left > 1; left /= 2)
                depth++;
        s->step.cost_ns = 100 + n * cost_of_key(s) + (uint64_t)s->what.space.n * depth * 4;
        *stepp = &s->step;
        return 0;
}
