/* SPDX-License-Identifier: MIT */
/*
 * Steps that look for elements
 *
 * Both operands become keys of the dtype that they promote to. The one that is searched lies in the
 * scratch, private and (for isin, which sorts it) in order, so that no element that changes
 * meanwhile leads a search astray.
 */
#include "compute/sort/search.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "compute/sort/sort_line.h"
#include "compute/step_base.h"

enum {
        TILE = 512,
        ABREAST = 8, /* searches that go on together */
        CHUNK = 16 * 1024,
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
        const struct order *order;
        struct operand among, what;
        uint64_t sort_offset; /* behind the elements of the common dtype */
};

struct pass {
        const struct search *s;
        const struct run *run;
        const char *among, *what;
        char *items;
        const uint64_t *keys;
        void *out;
        atomic_bool is_stopped;
};

/* ---- one tile ---- */

/* n searches in keys that ascend; where each key belongs. */
static void find(const uint64_t *keys, int64_t n_keys, bool is_right, const uint64_t *what,
                 int64_t *at, size_t n)
{
        for (size_t k = 0; k < n; k += ABREAST) {
                size_t n_abreast = n - k < ABREAST ? n - k : ABREAST;
                int64_t left = n_keys;

                for (size_t i = 0; i < n_abreast; i++)
                        at[k + i] = 0;
                while (left > 1) {
                        int64_t half = left / 2;

                        for (size_t i = k; i < k + n_abreast; i++) {
                                uint64_t key = keys[at[i] + half - 1];

                                at[i] += key < what[i] || (is_right && key == what[i]) ? half : 0;
                        }
                        left -= half;
                }
                for (size_t i = k; i < k + n_abreast && n_keys > 0; i++) {
                        uint64_t key = keys[at[i]];

                        at[i] += key < what[i] || (is_right && key == what[i]);
                }
        }
}

static void search_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct search *s = pass->s;
        const uint64_t nan = s->order->nan;
        const int64_t n_keys = s->among.space.n;
        int64_t i = (int64_t)chunk * CHUNK, n_what = s->what.space.n;
        int64_t end = n_what - i < CHUNK ? n_what : i + CHUNK;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i += TILE) {
                size_t n = (size_t)(end - i < TILE ? end - i : TILE);
                uint64_t items[TILE], keys[TILE];
                int64_t at[TILE];

                space_load(&s->what.space, 0, s->what.load, s->order->item_size, pass->what, i, n,
                           items);
                s->order->load(n, keys, items, (ptrdiff_t)s->order->item_size);
                find(pass->keys, n_keys, s->is_right, keys, at, n);
                for (size_t k = 0; k < n; k++)
                        if (s->is_isin)
                                ((uint8_t *)pass->out)[i + (int64_t)k] = at[k] < n_keys &&
                                                                         pass->keys[at[k]] ==
                                                                                 keys[k] &&
                                                                         !(nan && keys[k] == nan);
                        else
                                ((int64_t *)pass->out)[i + (int64_t)k] = at[k];
        }
}

/* ---- what is searched ---- */

/* Elements of the common dtype, and, where they are in order as they are, their keys. */
static void load_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct search *s = pass->s;
        const size_t size = s->order->item_size;
        int64_t i = (int64_t)chunk * CHUNK, n_among = s->among.space.n;
        int64_t end = n_among - i < CHUNK ? n_among : i + CHUNK;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; i < end; i += TILE) {
                size_t n = (size_t)(end - i < TILE ? end - i : TILE);
                uint64_t tile[TILE];
                char *items = s->is_isin ? pass->items + i * (int64_t)size : (char *)tile;

                space_load(&s->among.space, 0, s->among.load, size, pass->among, i, n, items);
                if (!s->is_isin)
                        s->order->load(n, (uint64_t *)(uintptr_t)pass->keys + i, items,
                                       (ptrdiff_t)size);
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
        pass->keys = s->is_isin ? NULL : (uint64_t *)(void *)scratch;
        workers_for(workers, (uint64_t)div_up(n, CHUNK), load_chunk, pass);
        if (pass->is_stopped)
                return PLAN_E_STOPPED;
        if (!s->is_isin)
                return 0;
        space_push(&dense, n, (int64_t[]){ (int64_t)s->order->item_size });
        r = n > 0 ? sort_line(&source, false, pass->run, scratch + s->sort_offset) : 0;
        pass->keys = sort_line_at(n, false, scratch + s->sort_offset).keys;
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

int search_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *args, const struct desc *results)
{
        unsigned dtype = td_promote(args[0].type.dtype, args[1].type.dtype), depth = 1;
        struct search *s = calloc(1, sizeof(*s));
        uint64_t n;

        if (!s)
                return error_origin(-ENOMEM);
        (void)results;
        s->step.class = &search_class;
        s->is_isin = op == TD_OP_ISIN;
        s->is_right = (attrs->set & TD_ATTR_RIGHT) && attrs->right;
        s->order = order_of(dtype, false);
        operand_init(&s->among, &args[s->is_isin ? 1 : 0], dtype);
        operand_init(&s->what, &args[s->is_isin ? 0 : 1], dtype);
        n = (uint64_t)s->among.space.n;
        s->step.n_scratch = align_64(n * sizeof(uint64_t) + 1);
        if (s->is_isin) {
                s->sort_offset = align_64(n * s->order->item_size);
                s->step.n_scratch = s->sort_offset + sort_line_n_scratch((int64_t)n, false) + 64;
        }
        for (uint64_t left = n; left > 1; left /= 2)
                depth++;
        s->step.cost_ns = 100 + n * (s->is_isin ? 22 : 2) + (uint64_t)s->what.space.n * depth * 4;
        *stepp = &s->step;
        return 0;
}
