/* SPDX-License-Identifier: MIT */
/*
 * Scans
 *
 * The result is dense. Where the axis is its last, each line is scanned by itself, four blocks in
 * step; long lines are shared among threads: totals of blocks, what they come to, then the
 * elements. Where it is not, many neighbouring lines go together, row by row.
 *
 * What lies in memory is loaded from there; an expression is fed, tile by tile. Lines are numbered
 * in C order of the other axes on either way.
 *
 * Any thread; a step is const while it runs.
 */
#include "compute/reduce/cumulative.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "compute/reduce/reduce_base.h"

#define IN_STEP 4                    /* blocks at a time */
#define GROUP (IN_STEP * SCAN_BLOCK) /* elements at a time */
#define ITEM (16 * GROUP)            /* elements that a thread takes at a time, about */
#define LINES_ENOUGH 16              /* fewer long ones are cut */
#define WIDTH 512                    /* lines that go together */
#define SUM_BYTES 16

/* Prefixes of up to IN_STEP blocks, each from its own first element on. */
typedef void scan_local(size_t n, void *out, const void *x);

struct cumulative {
        struct step step;
        bool is_fed;
        struct feed feed;   /* if it is, and there are elements; else it has no machine */
        struct space lines; /* operands: the argument, the result */
        int64_t n;          /* elements of a line */
        int64_t stride, out_stride;
        int64_t offset,
                out_first; /* bytes: of the argument; from a line's begin to its first sum */
        bool is_rows, is_cut, has_initial, is_product;
        kernel_load *load, *store, *copy; /* copy: of sums */
        kernel_binary *const *fold;
        scan_local *local;
        size_t sum_size, result_size;
        int64_t n_blocks, width, n_tiles;
        int64_t row; /* of lines that go together: so many neighbours in memory */
};

/* One run of a step, shared by its threads. */
struct pass {
        struct pass_base base;
        const struct cumulative *s;
        const char *x;
        char *out;
        char *totals;  /* [lines][blocks], of lines that are cut; then what comes before each */
        bool is_first; /* of the two passes over lines that are cut */
};

/* What a thread has at hand. */
struct hand {
        struct pass *pass;
        struct mouth mouth;
};

#define LOCAL(name, type, fold)                                                                    \
        static void local_##name(size_t n, void *out, const void *x)                               \
        {                                                                                          \
                const type *xs = x;                                                                \
                type *o = out;                                                                     \
                                                                                                   \
                if (n == GROUP) {                                                                  \
                        const type *x1 = xs + SCAN_BLOCK, *x2 = x1 + SCAN_BLOCK,                   \
                                   *x3 = x2 + SCAN_BLOCK;                                          \
                        type *o1 = o + SCAN_BLOCK, *o2 = o1 + SCAN_BLOCK, *o3 = o2 + SCAN_BLOCK;   \
                        type a = xs[0], b = x1[0], c = x2[0], d = x3[0];                           \
                                                                                                   \
                        for (size_t i = 0;; i++) {                                                 \
                                o[i] = a;                                                          \
                                o1[i] = b;                                                         \
                                o2[i] = c;                                                         \
                                o3[i] = d;                                                         \
                                if (i + 1 == SCAN_BLOCK)                                           \
                                        return;                                                    \
                                a = fold(a, xs[i + 1]);                                            \
                                b = fold(b, x1[i + 1]);                                            \
                                c = fold(c, x2[i + 1]);                                            \
                                d = fold(d, x3[i + 1]);                                            \
                        }                                                                          \
                }                                                                                  \
                for (size_t i = 0; i < n; i++)                                                     \
                        o[i] = i % SCAN_BLOCK ? fold(o[i - 1], xs[i]) : xs[i];                     \
        }
#define ADD(a, b) ((a) + (b))
#define MULTIPLY(a, b) ((a) * (b))
#define ADD_PAIRS(a, b) ((struct pair){ (a).re + (b).re, (a).im + (b).im })
#define MULTIPLY_PAIRS(a, b)                                                                       \
        ((struct pair){ (a).re * (b).re - (a).im * (b).im, (a).re * (b).im + (a).im * (b).re })

struct pair {
        double re, im;
} __attribute__((aligned(1)));
typedef uint64_t wrap __attribute__((aligned(1), may_alias));
typedef double wide __attribute__((aligned(1), may_alias));
LOCAL(add_integers, wrap, ADD)
LOCAL(add_floats, wide, ADD)
LOCAL(add_pairs, struct pair, ADD_PAIRS)
LOCAL(multiply_integers, wrap, MULTIPLY)
LOCAL(multiply_floats, wide, MULTIPLY)
LOCAL(multiply_pairs, struct pair, MULTIPLY_PAIRS)

/* false: an operation of the expression refused its values */
static bool hand_begin(struct hand *hand, struct pass *pass)
{
        unsigned mark = 0;

        hand->pass = pass;
        if (pass->s->feed.vm)
                mark = mouth_begin(&hand->mouth, &pass->s->feed, pass->base.leaves, NULL, NULL);
        if (mark)
                pass_refuse(&pass->base, mark);
        return !mark;
}

/* The value of nothing, in accumulators. */
static void fill_initial(const struct cumulative *s, size_t n, char *sums)
{
        const double one = 1;
        const int64_t one_integer = 1;

        memset(sums, 0, n * s->sum_size);
        for (size_t i = 0; s->is_product && i < n; i++)
                memcpy(sums + i * s->sum_size,
                       s->fold == kernels_get()->binary[TD_OP_MULTIPLY][TD_INT64]
                               ? (const void *)&one_integer
                               : (const void *)&one,
                       8);
}

/* ---- line by line ---- */

static const char *line_x(const struct pass *pass, int64_t line)
{
        return pass->x + space_offset(&pass->s->lines, 0, line);
}

static char *line_out(const struct pass *pass, int64_t line)
{
        return pass->out + space_offset(&pass->s->lines, 1, line) + pass->s->out_first;
}

/* Prefixes of the elements [index, index + n) of a line, n <= GROUP, by blocks. */
static bool load_local(struct hand *hand, int64_t line, int64_t index, size_t n, char *sums)
{
        const struct cumulative *s = hand->pass->s;
        char loaded[GROUP * SUM_BYTES];

        if (!s->feed.vm)
                s->load(n, loaded, line_x(hand->pass, line) + index * s->stride,
                        (ptrdiff_t)s->stride);
        for (size_t i = 0, piece; s->feed.vm && i < n; i += piece) {
                const char *x;
                unsigned mark;

                piece = n - i < (size_t)s->feed.most ? n - i : (size_t)s->feed.most;
                mark = mouth_rows(&hand->mouth, line, index + (int64_t)i, (int64_t)piece, &x);
                if (mark) {
                        pass_refuse(&hand->pass->base, mark);
                        return false;
                }
                memcpy(loaded + i * s->sum_size, x, piece * s->sum_size);
        }
        s->local(n, sums, loaded);
        return true;
}

/* Blocks of a group, folded with what came before and stored. carry: of the blocks before the first
 * one, if there are any; then of all. */
static void store_blocks(const struct cumulative *s, size_t n, char *sums, bool has_carry,
                         char *carry, char *out)
{
        for (size_t i = 0; i < n; i += SCAN_BLOCK) {
                size_t block = n - i < SCAN_BLOCK ? n - i : SCAN_BLOCK;
                char *p = sums + i * s->sum_size;

                if (has_carry)
                        s->fold[KERNEL_SV](block, p, carry, p);
                memcpy(carry, p + (block - 1) * s->sum_size, s->sum_size);
                has_carry = true;
        }
        s->store(n, out, sums, (ptrdiff_t)s->sum_size);
}

static void scan_range(struct hand *hand, int64_t line, int64_t begin, int64_t end, char *carry)
{
        const struct cumulative *s = hand->pass->s;
        char *out = line_out(hand->pass, line);
        _Alignas(64) char sums[GROUP * SUM_BYTES];

        for (int64_t i = begin; i < end; i += GROUP) {
                size_t n = (size_t)(end - i < GROUP ? end - i : GROUP);

                if (!load_local(hand, line, i, n, sums))
                        return;
                store_blocks(s, n, sums, i > 0, carry, out + i * (int64_t)s->result_size);
                if (i / ITEM != (i + GROUP) / ITEM && pass_must_end(&hand->pass->base))
                        return;
        }
}

static void store_initial(const struct cumulative *s, size_t n, char *out)
{
        char initial[SUM_BYTES];

        for (size_t i = 0; i < n; i++) {
                fill_initial(s, 1, initial);
                s->store(1, out + i * s->result_size, initial, (ptrdiff_t)s->sum_size);
        }
}

static void run_lines(void *ctx, uint64_t item)
{
        struct pass *pass = ctx;
        const struct cumulative *s = pass->s;
        const int64_t first = (int64_t)item * s->width;
        struct hand hand;

        if (!hand_begin(&hand, pass))
                return;
        for (int64_t line = first; line < first + s->width && line < s->lines.n; line++) {
                char carry[SUM_BYTES];

                if (pass_must_end(&pass->base))
                        return;
                if (s->has_initial)
                        store_initial(s, 1, line_out(pass, line) - s->out_first);
                scan_range(&hand, line, 0, s->n, carry);
        }
}

/* ---- lines that are cut ---- */

static void run_cut(void *ctx, uint64_t item)
{
        struct pass *pass = ctx;
        const struct cumulative *s = pass->s;
        const int64_t n_cuts = div_up(s->n, ITEM), line = (int64_t)item / n_cuts;
        const int64_t begin = (int64_t)item % n_cuts * ITEM;
        const int64_t end = chunk_end(begin, ITEM, s->n);
        char *totals = pass->totals +
                       (size_t)(line * s->n_blocks + begin / SCAN_BLOCK) * s->sum_size;
        _Alignas(64) char sums[GROUP * SUM_BYTES];
        char carry[SUM_BYTES];
        struct hand hand;

        if (pass_must_end(&pass->base) || !hand_begin(&hand, pass))
                return;
        if (!pass->is_first) {
                memcpy(carry, totals, s->sum_size);
                scan_range(&hand, line, begin, end, carry);
                return;
        }
        for (int64_t i = begin; i < end; i += GROUP) {
                size_t n = (size_t)(end - i < GROUP ? end - i : GROUP);

                if (!load_local(&hand, line, i, n, sums))
                        return;
                for (size_t k = 0; k < n; k += SCAN_BLOCK, totals += s->sum_size)
                        memcpy(totals,
                               sums + ((n < k + SCAN_BLOCK ? n : k + SCAN_BLOCK) - 1) * s->sum_size,
                               s->sum_size);
        }
}

/* From the totals of blocks to what comes before each. */
static void accumulate_totals(struct pass *pass)
{
        const struct cumulative *s = pass->s;

        for (int64_t line = 0; line < s->lines.n; line++) {
                char *p = pass->totals + (size_t)(line * s->n_blocks) * s->sum_size;
                char before[SUM_BYTES], total[SUM_BYTES];

                memcpy(before, p, s->sum_size);
                for (int64_t i = 1; i < s->n_blocks; i++) {
                        p += s->sum_size;
                        memcpy(total, p, s->sum_size);
                        memcpy(p, before, s->sum_size);
                        s->fold[KERNEL_VV](1, before, before, total);
                }
        }
}

/* ---- many lines at once ---- */

/* Rows of n lines, one element of each, from the first ones on. */
struct rows {
        size_t n;
        int64_t i; /* the next row */
        char *out;
        char *local, *carry, *sums;
};

/* The next row: x is loaded, or to be loaded from where it lies. */
static void scan_row(const struct cumulative *s, struct rows *rows, const char *x,
                     kernel_load *load, ptrdiff_t stride)
{
        _Alignas(64) char loaded[WIDTH * SUM_BYTES];
        const size_t n = rows->n;
        const char *p = rows->local;

        if (rows->i % SCAN_BLOCK == 0) {
                load(n, rows->local, x, stride);
        } else {
                load(n, loaded, x, stride);
                s->fold[KERNEL_VV](n, rows->local, rows->local, loaded);
        }
        if (rows->i >= SCAN_BLOCK) {
                s->fold[KERNEL_VV](n, rows->sums, rows->carry, rows->local);
                p = rows->sums;
        }
        s->store(n, rows->out, p, (ptrdiff_t)s->sum_size);
        if (rows->i % SCAN_BLOCK == SCAN_BLOCK - 1)
                memcpy(rows->carry, p, n * s->sum_size);
        rows->out += s->out_stride;
        rows->i++;
}

static void scan_rows(struct hand *hand, int64_t line, struct rows *rows)
{
        const struct cumulative *s = hand->pass->s;
        const ptrdiff_t step = (ptrdiff_t)s->lines.strides[0][s->lines.ndim - 1];
        const char *x = line_x(hand->pass, line);

        for (; rows->i < s->n; x += s->stride) {
                scan_row(s, rows, x, s->load, step);
                if (rows->i % SCAN_BLOCK == 0 && pass_must_end(&hand->pass->base))
                        return;
        }
}

/* The same of an expression. */
static void scan_fed_rows(struct hand *hand, int64_t line, struct rows *rows)
{
        const struct cumulative *s = hand->pass->s;
        const char *fed[FEED_ROWS];
        int64_t n, before = 0;

        mouth_columns_begin(&hand->mouth, line, (int64_t)rows->n, 0);
        while (rows->i < s->n) {
                unsigned mark = mouth_columns(&hand->mouth,
                                              s->n - rows->i < FEED_ROWS ? s->n - rows->i
                                                                         : FEED_ROWS,
                                              fed, &n);

                if (mark) {
                        pass_refuse(&hand->pass->base, mark);
                        return;
                }
                for (int64_t k = 0; k < n; k++)
                        scan_row(s, rows, fed[k], s->copy, (ptrdiff_t)s->sum_size);
                if (rows->i / SCAN_BLOCK != before && pass_must_end(&hand->pass->base))
                        return;
                before = rows->i / SCAN_BLOCK;
        }
}

static void run_rows(void *ctx, uint64_t item)
{
        struct pass *pass = ctx;
        const struct cumulative *s = pass->s;
        const int64_t column = (int64_t)item % s->n_tiles * s->width;
        const int64_t line = (int64_t)item / s->n_tiles * s->row + column;
        _Alignas(64) char local[WIDTH * SUM_BYTES], carry[WIDTH * SUM_BYTES];
        _Alignas(64) char sums[WIDTH * SUM_BYTES];
        struct rows rows = {
                .n = (size_t)(s->row - column < s->width ? s->row - column : s->width),
                .out = line_out(pass, line),
                .local = local,
                .carry = carry,
                .sums = sums,
        };
        struct hand hand;

        if (pass_must_end(&pass->base) || !hand_begin(&hand, pass))
                return;
        if (s->has_initial)
                store_initial(s, rows.n, rows.out - s->out_first);
        if (s->n == 0)
                return;
        if (s->feed.vm)
                scan_fed_rows(&hand, line, &rows);
        else
                scan_rows(&hand, line, &rows);
}

/* ---- the step ---- */

static int cumulative_run(const struct step *step, const struct run *run, const void *const *args,
                          void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct cumulative *s = (const struct cumulative *)step;
        struct pass pass = {
                .base = { .run = run, .leaves = args },
                .s = s,
                .x = s->is_fed ? NULL : (const char *)args[0] + s->offset,
                .out = results[0],
                .totals = scratch,
                .is_first = true,
        };
        bool is_small = (uint64_t)(s->lines.n * s->n) * s->result_size < SPREAD_BYTES;
        struct workers *workers = is_small ? NULL : run_workers(run);

        if (s->lines.n == 0)
                return 0;
        if (s->is_rows) {
                workers_for(workers, (uint64_t)(s->lines.n / s->row * s->n_tiles), run_rows, &pass);
        } else if (s->is_cut) {
                uint64_t n_items = (uint64_t)(s->lines.n * div_up(s->n, ITEM));

                for (int64_t line = 0; s->has_initial && line < s->lines.n; line++)
                        store_initial(s, 1, line_out(&pass, line) - s->out_first);
                workers_for(workers, n_items, run_cut, &pass);
                if (pass_is_well(&pass.base)) {
                        accumulate_totals(&pass);
                        pass.is_first = false;
                        workers_for(workers, n_items, run_cut, &pass);
                }
        } else {
                workers_for(workers, (uint64_t)div_up(s->lines.n, s->width), run_lines, &pass);
        }
        return pass_is_well(&pass.base) ? 0 : pass_outcome(&pass.base, s->feed.vm, refusal);
}

static struct step *cumulative_free(struct step *step)
{
        struct cumulative *s = (struct cumulative *)step;

        feed_deinit(&s->feed);
        free(s);
        return NULL;
}

static const struct step_class cumulative_class = { "cumulative", cumulative_run, cumulative_free };

/* ---- preparing ---- */

static enum td_dtype sum_dtype(enum td_dtype result)
{
        return td_dtype_is_complex(result) ? TD_COMPLEX128
               : td_dtype_is_float(result) ? TD_FLOAT64
                                           : TD_INT64;
}

static void choose_kernels(struct cumulative *s, enum td_dtype from, enum td_dtype result)
{
        const struct kernels *kernels = kernels_get();
        enum td_op op = s->is_product ? TD_OP_MULTIPLY : TD_OP_ADD;
        enum td_dtype sum = sum_dtype(result);

        if (sum == TD_COMPLEX128)
                s->local = s->is_product ? local_multiply_pairs : local_add_pairs;
        else if (sum == TD_FLOAT64)
                s->local = s->is_product ? local_multiply_floats : local_add_floats;
        else
                s->local = s->is_product ? local_multiply_integers : local_add_integers;
        s->load = kernels->load[from][sum];
        /* unsigned ones go the way of signed ones, bit for bit */
        s->store = kernels->load[sum][sum == TD_INT64 ? TD_INT64 : result];
        s->copy = kernels->load[sum][sum];
        s->fold = kernels->binary[op][sum];
        s->sum_size = (size_t)td_dtype_size(sum);
        s->result_size = (size_t)td_dtype_size(result);
}

static bool is_cut(int64_t n_lines, int64_t n)
{
        return n_lines < LINES_ENOUGH && n > 2 * ITEM;
}

static unsigned axis_of(const struct td_attrs *attrs, unsigned ndim)
{
        return (unsigned)(attrs->axes[0] < 0 ? attrs->axes[0] + (int)ndim : attrs->axes[0]);
}

bool cumulative_reads_twice(const struct td_attrs *attrs, const struct td_type *type)
{
        const int64_t n = type->ndim > 0 ? type->shape[axis_of(attrs, type->ndim)] : 0;

        return n > 0 && is_cut(td_type_n_elements(type) / n, n);
}

/* arg: its strides are read, if it lies in memory. */
static void describe_lines(struct cumulative *s, const struct td_attrs *attrs,
                           const struct desc *arg, const struct desc *result)
{
        const unsigned ndim = arg->type.ndim, axis = axis_of(attrs, ndim);
        uint8_t order[TD_NDIM_MAX];
        bool is_inner = false;
        int64_t inner = 1;

        desc_keep_order(order, &result->type, 1, result);
        s->lines = (struct space){ .n_operands = 2, .n = 1 };
        for (unsigned k = 0; k < ndim; k++) {
                const unsigned d = order[k];

                is_inner |= d == axis;
                if (d == axis)
                        continue;
                inner *= is_inner ? arg->type.shape[d] : 1;
                space_push(&s->lines, arg->type.shape[d],
                           (int64_t[]){ arg->strides[d], result->strides[d] });
        }
        space_fold(&s->lines);
        s->n = arg->type.shape[axis];
        s->stride = arg->strides[axis];
        s->out_stride = result->strides[axis];
        s->offset = arg->offset;
        s->out_first = s->has_initial ? s->out_stride : 0;
        s->n_blocks = div_up(s->n, SCAN_BLOCK);
        s->is_rows = inner > 1 && s->lines.ndim > 0;
        s->is_cut = !s->is_rows && is_cut(s->lines.n, s->n);
        s->width = s->is_rows ? WIDTH : s->n < ITEM ? ITEM / (s->n + 1) + 1 : 1;
        s->row = s->is_rows ? s->lines.shape[s->lines.ndim - 1] : 1;
}

/* The expression's result is converted to what is summed in. */
static int prepare_feed(struct cumulative *s, const struct td_attrs *attrs, struct expr *expr,
                        uint8_t value, const struct td_type *shape, const struct desc *result)
{
        struct feed_of of = { .shape = shape, .result = result };
        int r;

        expr_result(expr, expr_cast(expr, value, sum_dtype(result->type.dtype)));
        if (s->lines.n == 0 || s->n == 0)
                return 0;
        of.reduced = 1u << axis_of(attrs, shape->ndim);
        of.way = s->is_rows && s->n > 1 ? FEED_BY_COLUMNS : FEED_BY_ROWS;
        r = feed_init(&s->feed, expr, &of);
        if (r < 0)
                return r;
        s->is_rows = s->is_rows && s->feed.width > 0;
        if (!s->is_rows)
                return 0;
        s->row = feed_columns(&s->feed) < s->row ? feed_columns(&s->feed) : s->row;
        s->width = s->feed.width < WIDTH ? s->feed.width : WIDTH;
        return 0;
}

static int cumulative_make(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                           struct expr *expr, uint8_t value, const struct desc *arg,
                           const struct desc *result)
{
        struct cumulative *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return error_origin(-ENOMEM);
        s->step.class = &cumulative_class;
        s->is_product = op == TD_OP_CUMULATIVE_PROD;
        s->has_initial = (attrs->set & TD_ATTR_INCLUDE_INITIAL) && attrs->include_initial;
        choose_kernels(s, arg->type.dtype, result->type.dtype);
        describe_lines(s, attrs, arg, result);
        s->is_fed = expr != NULL;
        if (s->is_fed) {
                r = prepare_feed(s, attrs, expr, value, &arg->type, result);
                if (r < 0) {
                        free(s);
                        return r;
                }
        }
        if (s->is_rows)
                s->n_tiles = div_up(s->row, s->width);
        if (s->is_cut)
                s->step.n_scratch = align_64((uint64_t)(s->lines.n * s->n_blocks) * s->sum_size);
        s->step.cost_ns = 50 + 20 * (uint64_t)s->lines.n + 2 * (uint64_t)(s->lines.n * s->n) +
                          feed_cost_ns(&s->feed) * (s->is_cut ? 2 : 1);
        *stepp = &s->step;
        return 0;
}

int cumulative_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                   const struct desc *arg, const struct desc *result)
{
        return cumulative_make(stepp, op, attrs, NULL, 0, arg, result);
}

int cumulative_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                      struct expr *expr, uint8_t value, const struct td_type *shape,
                      const struct desc *result)
{
        const struct expr_value *v = &expr->values[value];
        uint8_t order[TD_NDIM_MAX];
        struct desc arg;

        if (v->kind == EXPR_LEAF && !expr_is_index(expr, v->args[0]) &&
            td_type_same(&expr->leaves[v->args[0]].type, shape))
                return cumulative_new(stepp, op, attrs, &expr->leaves[v->args[0]], result);
        desc_keep_order(order, &result->type, 1, result);
        desc_init_ordered(&arg, shape, order);
        return cumulative_make(stepp, op, attrs, expr, value, &arg, result);
}
