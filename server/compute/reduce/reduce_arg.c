/* SPDX-License-Identifier: MIT */
/*
 * Where an extremum is
 *
 * The index of the first NaN, or else of the first element that no other exceeds. By rows, blocks
 * are folded, as for the extremum itself, and the first of the best ones is searched again; by
 * columns, the best so far and its index go along. Chunks are compared in their order.
 *
 * Any thread. Where somebody writes to the elements meanwhile, the index is still one of theirs.
 */
#include "compute/reduce/reduce_arg.h"

#include "base/error.h"
#include "compute/reduce/cuts.h"
#include "compute/reduce/reduce_base.h"

#define BLOCKS_AT_ONCE 32
#define ROWS_UNSTOPPED 4096
#define BEST_BYTES 8 /* the widest dtype that has an order */

struct arg {
        struct step step;
        struct feed feed;
        const struct kernel_fold *fold;
        kernel_find *find;
        kernel_better *better;
        kernel_load *copy;
        struct cuts cuts;
};

/* One run of a step, shared by its threads. */
struct pass {
        struct pass_base base;
        const struct arg *a;
        int64_t *out;
        int64_t *indices; /* [n_chunks][results], if there is more than one chunk */
        char *bests;
};

struct hand {
        struct pass *pass;
        struct mouth mouth;
};

/* Elements [begin, end) of n neighbouring results. */
static void find_columns(struct hand *hand, int64_t result, int64_t n, const struct cut *cut,
                         char *bests, int64_t *indices)
{
        const struct arg *a = hand->pass->a;
        const char *rows[FEED_ROWS];
        int64_t got;

        mouth_columns_begin(&hand->mouth, result, n, cut->begin);
        for (int64_t i = cut->begin; i < cut->end; i += got) {
                int64_t wanted = cut->end - i < FEED_ROWS ? cut->end - i : FEED_ROWS;
                unsigned mark = mouth_columns(&hand->mouth, wanted, rows, &got);

                if (mark) {
                        pass_refuse(&hand->pass->base, mark);
                        return;
                }
                if (i == cut->begin) {
                        a->copy((size_t)n, bests, rows[0], (ptrdiff_t)a->feed.item_size);
                        for (int64_t c = 0; c < n; c++)
                                indices[c] = i;
                }
                for (int64_t k = 0; k < got; k++)
                        a->better((size_t)n, bests, indices, rows[k], i + k);
                if (i / ROWS_UNSTOPPED != (i + got) / ROWS_UNSTOPPED &&
                    pass_must_end(&hand->pass->base))
                        return;
        }
}

/* Elements [index, index + n) of a result, at most a block. */
static const char *fetch(struct hand *hand, int64_t result, int64_t index, int64_t n, char *buffer)
{
        const struct feed *feed = &hand->pass->a->feed;
        const char *x = buffer;
        unsigned mark = 0;

        if (n <= feed->most)
                mark = mouth_rows(&hand->mouth, result, index, n, &x);
        for (int64_t i = 0, piece; n > feed->most && i < n && !mark; i += piece) {
                piece = n - i < feed->most ? n - i : feed->most;
                mark = mouth_rows(&hand->mouth, result, index + i, piece, &x);
                memcpy(buffer + i * (int64_t)feed->item_size, x, (size_t)piece * feed->item_size);
        }
        if (mark)
                pass_refuse(&hand->pass->base, mark);
        return mark ? NULL : n > feed->most ? buffer : x;
}

/* Elements [begin, end) of one result. */
static void find_row(struct hand *hand, int64_t result, const struct cut *cut, char *best,
                     int64_t *indexp)
{
        const struct arg *a = hand->pass->a;
        const size_t size = a->feed.item_size;
        _Alignas(64) char buffer[KERNEL_BLOCK * BEST_BYTES];
        char values[BLOCKS_AT_ONCE * BEST_BYTES];
        int64_t most = a->feed.most / KERNEL_BLOCK, n, at = cut->begin, found;
        const char *x;

        most = most < 1 ? 1 : most < BLOCKS_AT_ONCE ? most : BLOCKS_AT_ONCE;
        *indexp = cut->begin;
        for (int64_t i = cut->begin; i < cut->end; i += n) {
                int64_t n_blocks = (cut->end - i) / KERNEL_BLOCK;

                n_blocks = n_blocks < most ? n_blocks : most;
                n = n_blocks > 0 ? n_blocks * KERNEL_BLOCK : cut->end - i;
                x = n_blocks > 1 ? NULL : fetch(hand, result, i, n, buffer);
                if (n_blocks > 1) {
                        unsigned mark = mouth_rows(&hand->mouth, result, i, n, &x);

                        if (mark)
                                pass_refuse(&hand->pass->base, mark);
                }
                if (!pass_is_well(&hand->pass->base) || pass_must_end(&hand->pass->base))
                        return;
                a->fold->rows(n_blocks > 0 ? (size_t)n_blocks : 1,
                              n_blocks > 0 ? KERNEL_BLOCK : (size_t)n, values, x,
                              (ptrdiff_t)(KERNEL_BLOCK * size), NULL);
                if (i == cut->begin)
                        memcpy(best, values, size);
                for (int64_t b = 0; b == 0 || b < n_blocks; b++)
                        a->better(1, best, &at, values + (size_t)b * size, i + b * KERNEL_BLOCK);
        }
        n = cut->end - at < KERNEL_BLOCK ? cut->end - at : KERNEL_BLOCK;
        x = fetch(hand, result, at, n, buffer);
        if (!x)
                return;
        found = (int64_t)a->find((size_t)n, x, best);
        *indexp = at + (found < n ? found : 0);
}

/* Many results of at most a block. */
static void find_short(struct hand *hand, int64_t result, int64_t n, char *bests, int64_t *indices)
{
        const struct arg *a = hand->pass->a;
        const size_t n_over = (size_t)a->feed.n_over, size = a->feed.item_size;
        const char *x;
        unsigned mark = mouth_rows(&hand->mouth, result, 0, n * (int64_t)n_over, &x);

        if (mark) {
                pass_refuse(&hand->pass->base, mark);
                return;
        }
        a->fold->rows((size_t)n, n_over, bests, x, (ptrdiff_t)(n_over * size), NULL);
        for (size_t i = 0; i < (size_t)n; i++) {
                size_t found = a->find(n_over, x + i * n_over * size, bests + i * size);

                indices[i] = found < n_over ? (int64_t)found : 0;
        }
}

static void run_tile(struct hand *hand, int64_t tile, const struct cut *cut)
{
        struct pass *pass = hand->pass;
        const struct arg *a = pass->a;
        const size_t size = a->feed.item_size;
        _Alignas(64) char bests[FEED_COLUMNS * BEST_BYTES];
        int64_t indices[FEED_COLUMNS];
        int64_t n, result = cuts_tile(&a->cuts, &a->feed, tile, &n);
        int64_t at = cut->chunk * a->feed.n_results + result;

        if (a->feed.width > 0)
                find_columns(hand, result, n, cut, bests, indices);
        else if (a->feed.is_short)
                find_short(hand, result, n, bests, indices);
        else
                for (int64_t i = 0; i < n; i++)
                        find_row(hand, result + i, cut, bests + (size_t)i * size, &indices[i]);
        if (!pass_is_well(&pass->base))
                return;
        if (a->cuts.n_chunks > 1)
                memcpy(pass->bests + at * (int64_t)size, bests, (size_t)n * size);
        memcpy(a->cuts.n_chunks > 1 ? &pass->indices[at] : &pass->out[result], indices,
               (size_t)n * sizeof(*indices));
}

/* band: for a feed that is banded */
static void run_item_in(struct pass *pass, uint64_t index, char *band)
{
        const struct arg *a = pass->a;
        const struct cut cut = cuts_item(&a->cuts, &a->feed, index);
        struct hand hand;
        unsigned mark;

        if (pass_must_end(&pass->base))
                return;
        hand.pass = pass;
        mark = mouth_begin(&hand.mouth, &a->feed, pass->base.leaves, NULL, band);
        if (mark)
                pass_refuse(&pass->base, mark);
        for (int64_t tile = cut.first_tile; tile < cut.last_tile && pass_is_well(&pass->base);
             tile++)
                run_tile(&hand, tile, &cut);
}

static void run_item(void *ctx, uint64_t index)
{
        run_item_in(ctx, index, NULL);
}

static void run_banded_item(void *ctx, uint64_t index)
{
        _Alignas(64) char band[BAND_BYTES];

        run_item_in(ctx, index, band);
}

static void combine_chunks(struct pass *pass)
{
        const struct arg *a = pass->a;
        const int64_t n = a->feed.n_results, size = (int64_t)a->feed.item_size;

        for (int64_t i = 0; i < n; i++)
                pass->out[i] = pass->indices[i];
        for (int64_t chunk = 1; chunk < a->cuts.n_chunks; chunk++)
                for (int64_t i = 0; i < n; i++)
                        a->better(1, pass->bests + i * size, &pass->out[i],
                                  pass->bests + (chunk * n + i) * size,
                                  pass->indices[chunk * n + i]);
}

static int arg_run(const struct step *step, const struct run *run, const void *const *args,
                   void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct arg *a = (const struct arg *)step;
        const int64_t n = a->feed.n_results;
        bool is_small = (uint64_t)(n * a->feed.n_over) * a->feed.item_size < SPREAD_BYTES;
        struct pass pass = {
                .base = { .run = run, .leaves = args },
                .a = a,
                .out = results[0],
                .indices = scratch,
        };

        if (!a->feed.vm)
                return 0;
        pass.bests = (char *)scratch + a->cuts.n_chunks * n * (int64_t)sizeof(int64_t);
        workers_for(is_small ? NULL : run_workers(run),
                    (uint64_t)(a->cuts.n_items * a->cuts.n_chunks),
                    a->feed.is_banded ? run_banded_item : run_item, &pass);
        if (!pass_is_well(&pass.base))
                return pass_outcome(&pass.base, a->feed.vm, refusal);
        if (a->cuts.n_chunks > 1)
                combine_chunks(&pass);
        return 0;
}

static struct step *arg_free(struct step *step)
{
        struct arg *a = (struct arg *)step;

        feed_deinit(&a->feed);
        free(a);
        return NULL;
}

static const struct step_class arg_class = { "reduce_arg", arg_run, arg_free };

int reduce_arg_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                      struct expr *expr, uint8_t value, const struct td_type *shape,
                      const struct desc *result)
{
        const enum td_dtype dtype = expr->values[value].dtype;
        const struct kernels *kernels = kernels_get();
        struct arg *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return error_origin(-ENOMEM);
        a->step.class = &arg_class;
        a->fold = &kernels->folds[op == TD_OP_ARGMAX ? FOLD_MAX : FOLD_MIN][dtype];
        a->better = kernels->better[op == TD_OP_ARGMAX ? 0 : 1][dtype];
        a->find = kernels->find[dtype];
        a->copy = kernels->load[dtype][dtype];
        expr_result(expr, value);
        r = feed_init(&a->feed, expr,
                      &(struct feed_of){ .shape = shape,
                                         .reduced = reduced_axes(attrs, shape->ndim),
                                         .result = result });
        if (r < 0) {
                free(a);
                return r;
        }
        if (a->feed.vm)
                cuts_init(&a->cuts, &a->feed, sizeof(int64_t), FEED_COLUMNS * sizeof(int64_t));
        if (a->cuts.n_chunks > 1)
                a->step.n_scratch = align_64((uint64_t)(a->cuts.n_chunks * a->feed.n_results) *
                                             (sizeof(int64_t) + BEST_BYTES));
        a->step.cost_ns = 50 + 30 * (uint64_t)a->feed.n_results + feed_cost_ns(&a->feed) +
                          (uint64_t)(a->feed.n_results * a->feed.n_over) / 2;
        *stepp = &a->step;
        return 0;
}
