/* SPDX-License-Identifier: MIT */
/*
 * Reductions
 *
 * The elements that meet in one result are numbered in C order. Each block of KERNEL_BLOCK is
 * folded in KERNEL_LANES lanes, then blocks are combined pairwise (tower.h). Chunks of blocks that
 * are whole subtrees can be reduced apart and combined later, so bits depend neither on threads nor
 * on layout. Variances take two passes: the mean, then the squares of what differs from it.
 *
 * Any thread; a step is const while it runs.
 */
#include "compute/reduce/reduce.h"

#include <math.h>

#include "base/error.h"
#include "compute/reduce/cuts.h"
#include "compute/reduce/reduce_arg.h"
#include "compute/reduce/reduce_base.h"
#include "compute/reduce/tower.h"

#define BLOCKS_UNSTOPPED 64
#define BLOCKS_AT_ONCE 32
#define SUM_BYTES 16 /* the widest accumulator */

static_assert(FEED_COLUMNS * 8 <= TOWER_LEVEL_BYTES, "columns of float64 fit into a level");

struct reduce {
        struct step step;
        struct feed feed;
        enum td_op op;
        const struct kernel_fold *fold;
        const struct kernel_fold *squares; /* of var and std, else NULL */
        const struct kernel_fold *last;    /* squares or fold: what the results are made of */
        kernel_finish *finish;             /* NULL: the accumulator is the result */
        double divisor;
        bool is_root;
        bool looks_at_all; /* an element that is refused counts, whatever is decided before it */
        size_t result_size;
        struct cuts cuts;
};

/* One run of a step, shared by its threads. */
struct pass {
        struct pass_base base;
        const struct reduce *r;
        const struct kernel_fold *fold; /* of this pass, if there is more than one chunk */
        char *out;
        char *stored[EXPR_RESULTS_MAX];
        char *partial;          /* [n_chunks][results], if there is more than one chunk */
        char *means;            /* [results]; written before squares are folded */
        atomic_bool is_decided; /* any or all of everything: no more needs to be looked at */
};

/* What a thread has at hand. */
struct hand {
        struct pass *pass;
        struct mouth mouth;
        struct tower tower;
        unsigned n_unstopped; /* blocks since it was last asked */
};

static bool must_end(struct hand *hand, unsigned n_blocks)
{
        hand->n_unstopped += n_blocks;
        if (hand->n_unstopped < BLOCKS_UNSTOPPED)
                return false;
        hand->n_unstopped = 0;
        return pass_must_end(&hand->pass->base);
}

/* ---- by columns ---- */

static bool fold_columns(struct hand *hand, const struct kernel_fold *fold, int64_t n, size_t width,
                         const char *means, char *lanes)
{
        const size_t lane = width * (size_t)td_dtype_size(fold->accumulator);
        const char *rows[FEED_ROWS];
        int64_t got;

        for (int64_t i = 0; i < n; i += got) {
                int64_t wanted = n - i < FEED_ROWS ? n - i : FEED_ROWS, first = i % KERNEL_LANES;
                unsigned mark = mouth_columns(&hand->mouth, wanted, rows, &got);
                int64_t head = KERNEL_LANES - first < got ? KERNEL_LANES - first : got;

                if (mark) {
                        pass_refuse(&hand->pass->base, mark);
                        return false;
                }
                if (first == 0)
                        head = 0;
                if (head > 0)
                        fold->columns((size_t)head, width, lanes + (size_t)first * lane, rows,
                                      means, i < KERNEL_LANES);
                if (got > head)
                        fold->columns((size_t)(got - head), width, lanes, rows + head, means,
                                      i + head < KERNEL_LANES);
        }
        for (int64_t half = KERNEL_LANES / 2; half; half /= 2)
                for (int64_t i = 0; i < half && i + half < n; i++)
                        fold->combine(width, lanes + (size_t)i * lane, lanes + (size_t)i * lane,
                                      lanes + (size_t)(i + half) * lane);
        return true;
}

/* Elements [begin, end) of width neighbouring results. */
static void reduce_columns(struct hand *hand, const struct kernel_fold *fold, int64_t result,
                           size_t width, const struct cut *cut, const char *means, char *values)
{
        _Alignas(64) char lanes[KERNEL_LANES * TOWER_LEVEL_BYTES];

        tower_begin(&hand->tower, fold, width);
        mouth_columns_begin(&hand->mouth, result, (int64_t)width, cut->begin);
        for (int64_t i = cut->begin; i < cut->end; i += KERNEL_BLOCK) {
                int64_t n = cut->end - i < KERNEL_BLOCK ? cut->end - i : KERNEL_BLOCK;

                if (!fold_columns(hand, fold, n, width, means, lanes))
                        return;
                tower_push(&hand->tower, lanes);
                if (must_end(hand, (unsigned)(1 + n * (int64_t)width / KERNEL_BLOCK)))
                        break;
        }
        tower_finish(&hand->tower, values, false);
}

/* ---- by rows ---- */

/* Many results of at most a block. */
static void reduce_short(struct hand *hand, const struct kernel_fold *fold, int64_t result,
                         int64_t n_rows, const char *means, char *values)
{
        const struct feed *feed = &hand->pass->r->feed;
        const size_t n = (size_t)feed->n_over, row_bytes = n * feed->item_size;
        const char *x;
        unsigned mark = mouth_rows(&hand->mouth, result, 0, n_rows * feed->n_over, &x);

        if (mark)
                pass_refuse(&hand->pass->base, mark);
        else
                fold->rows((size_t)n_rows, n, values, x, (ptrdiff_t)row_bytes, means);
}

/* A block in a machine whose tiles are smaller. */
static unsigned fetch(struct hand *hand, int64_t result, int64_t index, int64_t n, char *buffer,
                      const char **xp)
{
        const struct feed *feed = &hand->pass->r->feed;
        unsigned mark = 0;

        if (n <= feed->most)
                return mouth_rows(&hand->mouth, result, index, n, xp);
        for (int64_t i = 0, piece; i < n && !mark; i += piece) {
                const char *x;

                piece = n - i < feed->most ? n - i : feed->most;
                mark = mouth_rows(&hand->mouth, result, index + i, piece, &x);
                memcpy(buffer + i * (int64_t)feed->item_size, x, (size_t)piece * feed->item_size);
        }
        *xp = buffer;
        return mark;
}

static bool is_decided(const struct reduce *r, const char *value)
{
        if (r->looks_at_all)
                return false;
        return (r->op == TD_OP_ANY && *value) || (r->op == TD_OP_ALL && !*value);
}

/* Elements [begin, end) of one result. */
static void reduce_row(struct hand *hand, const struct kernel_fold *fold, int64_t result,
                       const struct cut *cut, const char *mean, char *value)
{
        const struct reduce *r = hand->pass->r;
        const size_t size = (size_t)td_dtype_size(fold->accumulator);
        const ptrdiff_t block_bytes = (ptrdiff_t)(KERNEL_BLOCK * r->feed.item_size);
        _Alignas(64) char buffer[KERNEL_BLOCK * SUM_BYTES], means[BLOCKS_AT_ONCE * SUM_BYTES];
        char values[BLOCKS_AT_ONCE * SUM_BYTES];
        int64_t most = r->feed.most / KERNEL_BLOCK, end = cut->end;

        most = most < 1 ? 1 : most < BLOCKS_AT_ONCE ? most : BLOCKS_AT_ONCE;
        for (int64_t i = 0; mean && i < most; i++)
                memcpy(means + i * SUM_BYTES, mean, SUM_BYTES);
        if (mean && r->fold->accumulator == TD_FLOAT64)
                for (int64_t i = 0; i < most; i++)
                        memcpy(means + i * 8, mean, 8);
        tower_begin(&hand->tower, fold, 1);
        for (int64_t i = cut->begin, n; i < end; i += n) {
                int64_t n_blocks = (end - i) / KERNEL_BLOCK;
                const char *x;
                unsigned mark;

                n_blocks = n_blocks < most ? n_blocks : most;
                n = n_blocks > 0 ? n_blocks * KERNEL_BLOCK : end - i;
                mark = fetch(hand, result, i, n, buffer, &x);
                if (mark) {
                        pass_refuse(&hand->pass->base, mark);
                        return;
                }
                if (fold->is_free)
                        n_blocks = 0;
                fold->rows(n_blocks > 0 ? (size_t)n_blocks : 1,
                           n_blocks > 0 ? KERNEL_BLOCK : (size_t)n, values, x, block_bytes, means);
                for (int64_t b = 0; b < n_blocks || b == 0; b++) {
                        tower_push(&hand->tower, values + (size_t)b * size);
                        if (is_decided(r, values + (size_t)b * size))
                                end = i;
                }
                if (must_end(hand, (unsigned)(n / KERNEL_BLOCK) + 1))
                        break;
                if (r->feed.n_results == 1 &&
                    atomic_load_explicit(&hand->pass->is_decided, memory_order_relaxed))
                        break;
        }
        tower_finish(&hand->tower, value, false);
        if (is_decided(r, value))
                atomic_store_explicit(&hand->pass->is_decided, true, memory_order_relaxed);
}

/* ---- results ---- */

static void reduce_results(struct hand *hand, const struct kernel_fold *fold, int64_t result,
                           int64_t n, const struct cut *cut, const char *means, char *values)
{
        const struct feed *feed = &hand->pass->r->feed;
        const size_t size = (size_t)td_dtype_size(fold->accumulator);
        const size_t mean_size = (size_t)td_dtype_size(hand->pass->r->fold->accumulator);

        if (feed->width > 0)
                reduce_columns(hand, fold, result, (size_t)n, cut, means, values);
        else if (feed->is_short)
                reduce_short(hand, fold, result, n, means, values);
        else
                for (int64_t i = 0; i < n; i++)
                        reduce_row(hand, fold, result + i, cut,
                                   means ? means + (size_t)i * mean_size : NULL,
                                   values + (size_t)i * size);
}

/* n means from their sums */
static void make_means(const struct reduce *r, size_t n, char *means, const char *sums)
{
        kernels_get()->finish[r->fold->accumulator](n, means, sums, (double)r->feed.n_over, false);
}

/* n results from the value of all their elements */
static void finish(const struct pass *pass, size_t n, const char *values, int64_t result)
{
        const struct reduce *r = pass->r;
        char *out = pass->out + result * (int64_t)r->result_size;

        if (r->finish)
                r->finish(n, out, values, r->divisor, r->is_root);
        else
                memcpy(out, values, n * r->result_size);
}

static void run_tile(struct hand *hand, int64_t tile, const struct cut *cut)
{
        struct pass *pass = hand->pass;
        const struct reduce *r = pass->r;
        const size_t size = (size_t)td_dtype_size(pass->fold->accumulator);
        const size_t mean_size = (size_t)td_dtype_size(r->fold->accumulator);
        _Alignas(64) char values[FEED_COLUMNS * SUM_BYTES], means[FEED_COLUMNS * SUM_BYTES];
        int64_t n, result = cuts_tile(&r->cuts, &r->feed, tile, &n);
        const char *known = pass->fold == r->squares ? pass->means + result * (int64_t)mean_size
                                                     : NULL;

        reduce_results(hand, pass->fold, result, n, cut, known, values);
        if (r->cuts.n_chunks > 1) {
                memcpy(pass->partial + (size_t)(cut->chunk * r->feed.n_results + result) * size,
                       values, (size_t)n * size);
                return;
        }
        if (r->squares) {
                char *const *stored = hand->mouth.stored;

                make_means(r, (size_t)n, means, values);
                hand->mouth.stored = NULL;
                reduce_results(hand, r->squares, result, n, cut, means, values);
                hand->mouth.stored = stored;
        }
        finish(pass, (size_t)n, values, result);
}

/* band: for a feed that is banded */
static void run_item_in(struct pass *pass, uint64_t index, char *band)
{
        const struct reduce *r = pass->r;
        const struct cut cut = cuts_item(&r->cuts, &r->feed, index);
        struct hand hand;
        unsigned mark;

        if (pass_must_end(&pass->base))
                return;
        hand.pass = pass;
        hand.n_unstopped = 0;
        mark = mouth_begin(&hand.mouth, &r->feed, pass->base.leaves,
                           pass->fold == r->fold ? pass->stored : NULL, band);
        if (mark)
                pass_refuse(&pass->base, mark);
        for (int64_t tile = cut.first_tile; tile < cut.last_tile && pass_is_well(&pass->base);
             tile++)
                run_tile(&hand, tile, &cut);
        mouth_end(&hand.mouth);
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

/*
 * Chunks are whole subtrees, but the last, which may be a part of one. Means are kept, of anything
 * else results are made.
 */
static void combine_chunks(struct pass *pass, bool is_mean)
{
        const struct reduce *r = pass->r;
        const size_t size = (size_t)td_dtype_size(pass->fold->accumulator);
        const int64_t n_results = r->feed.n_results;
        int64_t last_blocks = div_up(r->feed.n_over - (r->cuts.n_chunks - 1) * r->cuts.chunk,
                                     KERNEL_BLOCK);
        bool is_last_whole = last_blocks * KERNEL_BLOCK == r->cuts.chunk;
        const int64_t most = TOWER_LEVEL_BYTES / SUM_BYTES;
        struct tower tower;

        for (int64_t result = 0; result < n_results; result += most) {
                _Alignas(64) char values[TOWER_LEVEL_BYTES];
                size_t width = (size_t)(n_results - result < most ? n_results - result : most);

                tower_begin(&tower, pass->fold, width);
                for (int64_t chunk = 0; chunk < r->cuts.n_chunks; chunk++) {
                        memcpy(values, pass->partial + (size_t)(chunk * n_results + result) * size,
                               width * size);
                        if (chunk < r->cuts.n_chunks - 1 || is_last_whole)
                                tower_push(&tower, values);
                }
                tower_finish(&tower, values, !is_last_whole);
                if (is_mean)
                        make_means(r, width, pass->means + (size_t)result * size, values);
                else
                        finish(pass, width, values, result);
        }
}

/* The results of nothing: no means, no squares, only what folds begin with. */
static void finish_empty(const struct pass *pass)
{
        const struct reduce *r = pass->r;
        char value[SUM_BYTES] = { 0 };

        if (r->op == TD_OP_ALL)
                value[0] = 1;
        if (r->op == TD_OP_PROD && r->fold->accumulator == TD_UINT64)
                memcpy(value, &(uint64_t){ 1 }, sizeof(uint64_t));
        else if (r->op == TD_OP_PROD)
                memcpy(value, &(double){ 1 }, sizeof(double));
        for (int64_t i = 0; i < r->feed.n_results; i++)
                finish(pass, 1, value, i);
}

static void run_all(struct pass *pass, const struct kernel_fold *fold)
{
        const struct reduce *r = pass->r;
        bool is_small = (uint64_t)(r->feed.n_results * r->feed.n_over) * r->feed.item_size <
                        SPREAD_BYTES;

        pass->fold = fold;
        workers_for(is_small ? NULL : run_workers(pass->base.run),
                    (uint64_t)(r->cuts.n_items * r->cuts.n_chunks),
                    r->feed.is_banded ? run_banded_item : run_item, pass);
}

static int reduce_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct reduce *r = (const struct reduce *)step;
        struct pass pass = {
                .base = { .run = run, .leaves = args },
                .r = r,
                .out = results[0],
                .partial = scratch,
        };

        if (!r->feed.vm) {
                finish_empty(&pass);
                return 0;
        }
        for (unsigned i = 0; i < r->feed.n_stored; i++)
                pass.stored[i] = results[i + 1];
        pass.means = pass.partial + r->cuts.n_chunks * r->feed.n_results * SUM_BYTES;
        run_all(&pass, r->fold);
        if (r->cuts.n_chunks > 1 && r->squares && pass_is_well(&pass.base)) {
                combine_chunks(&pass, true);
                run_all(&pass, r->squares);
        }
        if (!pass_is_well(&pass.base))
                return pass_outcome(&pass.base, r->feed.vm, refusal);
        if (r->cuts.n_chunks > 1)
                combine_chunks(&pass, false);
        if (r->feed.n_results == 1 && pass.is_decided)
                *(uint8_t *)results[0] = r->op == TD_OP_ANY;
        return 0;
}

static struct step *reduce_free(struct step *step)
{
        struct reduce *r = (struct reduce *)step;

        feed_deinit(&r->feed);
        free(r);
        return NULL;
}

static const struct step_class reduce_class = { "reduce", reduce_run, reduce_free };

/* Squares are fed twice. */
bool reduce_may_replace(const struct step *step, unsigned arg, unsigned result)
{
        const struct reduce *r = (const struct reduce *)step;

        return step->class == &reduce_class && result > 0 && !r->squares &&
               feed_may_replace(&r->feed, arg, result);
}

/* ---- preparing ---- */

/* What is folded, and from which dtype. */
static enum fold choose_fold(enum td_op op, enum td_dtype dtype, enum td_dtype *readp)
{
        const bool is_float = td_dtype_is_float(dtype) || td_dtype_is_complex(dtype);

        *readp = dtype;
        switch (op) {
        case TD_OP_PROD:
                if (td_dtype_is_complex(dtype))
                        *readp = TD_COMPLEX128;
                else
                        *readp = is_float                               ? TD_FLOAT64
                                 : td_dtype_kind(dtype) == TD_KIND_UINT ? TD_UINT64
                                                                        : TD_INT64;
                return FOLD_PROD;
        case TD_OP_MEAN:
                *readp = is_float ? dtype : TD_FLOAT64;
                return FOLD_SUM;
        case TD_OP_VAR:
        case TD_OP_STD:
                *readp = td_dtype_is_complex(dtype) ? TD_COMPLEX128 : is_float ? dtype : TD_FLOAT64;
                return FOLD_SUM;
        case TD_OP_MAX:
                return FOLD_MAX;
        case TD_OP_MIN:
                return FOLD_MIN;
        case TD_OP_ANY:
                return FOLD_ANY;
        case TD_OP_ALL:
                return FOLD_ALL;
        case TD_OP_COUNT_NONZERO:
                return FOLD_COUNT;
        default:
                return FOLD_SUM;
        }
}

static void choose_finish(struct reduce *r, const struct td_attrs *attrs, enum td_dtype result)
{
        r->last = r->squares ? r->squares : r->fold;
        r->divisor = 1;
        r->result_size = (size_t)td_dtype_size(result);
        if (r->op == TD_OP_MEAN)
                r->divisor = (double)r->feed.n_over;
        if (r->squares) {
                r->divisor = (double)r->feed.n_over -
                             (attrs->set & TD_ATTR_CORRECTION ? attrs->correction : 0);
                r->divisor = r->divisor > 0 ? r->divisor : (double)NAN;
                r->is_root = r->op == TD_OP_STD;
        }
        if (r->last->accumulator != result || r->op == TD_OP_MEAN || r->squares)
                r->finish = kernels_get()->finish[result]; /* NULL: as many bytes, wrapped */
}

bool reduce_can_store(enum td_op op)
{
        enum td_rule rule = td_op_info(op)->rule;

        return td_rule_is_reduction(rule) && rule != TD_RULE_ARG_EXTREMUM && rule != TD_RULE_TEST;
}

int reduce_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                  const struct reduce_of *of, const struct desc *result)
{
        const struct td_type *shape = of->shape;
        struct expr *expr = of->expr;
        struct reduce *r;
        enum td_dtype dtype = expr->values[of->value].dtype, read;
        int error;

        assert(of->n_stored == 0 || reduce_can_store(op));
        if (td_op_info(op)->rule == TD_RULE_ARG_EXTREMUM)
                return reduce_arg_new_of(stepp, op, attrs, expr, of->value, shape, result);
        r = calloc(1, sizeof(*r));
        if (!r)
                return error_origin(-ENOMEM);
        r->step.class = &reduce_class;
        r->op = op;
        r->fold = &kernels_get()->folds[choose_fold(op, dtype, &read)][read];
        if (op == TD_OP_VAR || op == TD_OP_STD)
                r->squares = &kernels_get()->folds[FOLD_SQUARES][read];
        expr_result(expr, expr_cast(expr, of->value, read));
        for (unsigned i = 0; i < of->n_stored; i++)
                expr_result(expr, of->stored[i]);
        r->looks_at_all = expr_may_fail(expr);
        error = feed_init(&r->feed, expr,
                          &(struct feed_of){ .shape = shape,
                                             .reduced = reduced_axes(attrs, shape->ndim),
                                             .result = result,
                                             .stored = of->place });
        if (error < 0) {
                free(r);
                return error;
        }
        choose_finish(r, attrs, result->type.dtype);
        if (r->feed.vm)
                cuts_init(&r->cuts, &r->feed, td_dtype_size(r->fold->accumulator),
                          TOWER_LEVEL_BYTES);
        if (r->cuts.n_chunks > 1)
                r->step.n_scratch = align_64(
                        (uint64_t)((r->cuts.n_chunks + 1) * r->feed.n_results) * SUM_BYTES);
        r->step.cost_ns = 50 + 20 * (uint64_t)r->feed.n_results +
                          feed_cost_ns(&r->feed) * (r->squares ? 2 : 1) +
                          (uint64_t)(r->feed.n_results * r->feed.n_over) / 3;
        *stepp = &r->step;
        return 0;
}

int reduce_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *arg, const struct desc *result)
{
        struct expr expr;
        struct reduce_of of = { .expr = &expr, .shape = &arg->type };

        expr_init(&expr);
        of.value = expr_leaf(&expr, arg);
        return reduce_new_of(stepp, op, attrs, &of, result);
}
