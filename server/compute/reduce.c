/* SPDX-License-Identifier: MIT */
/*
 * Reductions
 *
 * The elements that meet in one result are numbered in C order. Each block of KERNEL_BLOCK is
 * folded in KERNEL_LANES lanes, then blocks are combined pairwise, in a tree that their number
 * alone defines. Chunks of blocks that are whole subtrees can be reduced apart and combined later,
 * so bits depend neither on threads nor on layout. float32 sums in float64 lanes.
 *
 * Two ways through memory: by rows, one result after the other, or by columns, many neighbouring
 * results at once. Any thread; a step is const while it runs.
 */
#include "compute/reduce.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/space.h"
#include "compute/step_base.h"

#define WIDTH 128  /* results that go together by columns: their lanes are a third of the L1 cache \
                    */
#define LEVELS 54  /* of a tree of blocks: KERNEL_BLOCK << LEVELS exceeds an int64_t */
#define ITEM 16384 /* elements that a thread takes at a time, at least */
#define ITEMS_WANTED 32 /* fewer, and the reduced extent is cut too */
#define CHUNKS_MAX 4096
#define BLOCKS_UNSTOPPED 64

struct reduce {
        struct step step;
        struct space kept; /* results, and where their elements begin */
        struct space over; /* the elements of one result */
        enum td_op op;
        kernel_load *load; /* to the dtype accumulated in */
        kernel_fold *fold;
        kernel_binary *combine;
        kernel_binary *begin; /* identity and first element */
        kernel_binary *divide;
        kernel_load *convert; /* to the dtype of the result */
        union td_scalar identity;
        size_t item_size, sum_size, result_size;
        int64_t offset;
        bool is_same;       /* needs no conversion */
        bool is_over_dense; /* elements of a result lie together */
        bool is_columns;
        int64_t width;       /* results of one tile */
        int64_t n_row_tiles; /* tiles along the last kept dimension */
        int64_t n_tiles, n_item_tiles, n_items;
        int64_t chunk, n_chunks; /* cuts of the reduced extent */
};

/* One run of a step, shared by its threads. */
struct pass {
        const struct reduce *r;
        const struct run *run;
        const char *x;
        char *out;
        char *partial; /* [n_chunks][results], if there is more than one chunk */
        atomic_bool is_stopped;
};

/* Subtrees that wait for their right neighbour; level i holds 2^i blocks of each of width results.
 */
struct tower {
        uint64_t n_blocks;
        size_t width;
        _Alignas(64) char levels[LEVELS][WIDTH * sizeof(int64_t)];
};

static char *tower_level(const struct reduce *r, struct tower *tower, unsigned level)
{
        return (char *)tower->levels + level * tower->width * r->sum_size;
}

/* Takes the value, and writes over it. */
static void tower_push(const struct reduce *r, struct tower *tower, char *value)
{
        unsigned level = 0;

        for (uint64_t n = tower->n_blocks; n & 1; n >>= 1)
                r->combine(tower->width, value, tower_level(r, tower, level++), value);
        memcpy(tower_level(r, tower, level), value, tower->width * r->sum_size);
        tower->n_blocks++;
}

/* What is left, smallest first; has_value: value holds a subtree that ends the extent. */
static void tower_finish(const struct reduce *r, struct tower *tower, char *value, bool has_value)
{
        unsigned level = 0;

        if (!has_value && tower->n_blocks == 0)
                for (size_t i = 0; i < tower->width; i++)
                        memcpy(value + i * r->sum_size, &r->identity, r->sum_size);
        for (uint64_t n = tower->n_blocks; n; n >>= 1, level++) {
                if (!(n & 1))
                        continue;
                if (has_value)
                        r->combine(tower->width, value, tower_level(r, tower, level), value);
                else
                        memcpy(value, tower_level(r, tower, level), tower->width * r->sum_size);
                has_value = true;
        }
}

static bool pass_must_end(struct pass *pass)
{
        if (atomic_load_explicit(&pass->is_stopped, memory_order_relaxed))
                return true;
        if (!run_should_stop(pass->run))
                return false;
        atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
        return true;
}

/* ---- by columns ---- */

/* Fold n rows of width elements each into lanes[0]; the walk stands at the first row. */
static void fold_columns(const struct reduce *r, struct walk *walk, int64_t n, size_t width,
                         ptrdiff_t stride, char (*lanes)[WIDTH * sizeof(int64_t)])
{
        _Alignas(64) char loaded[WIDTH * sizeof(int64_t)];
        bool is_in_place = r->is_same && stride == (ptrdiff_t)r->item_size;
        int64_t n_lanes = n < KERNEL_LANES ? n : KERNEL_LANES;

        for (int64_t i = 0; i < n; i++, walk_next(walk)) {
                const char *row = walk->p;

                if (!is_in_place) {
                        r->load(width, loaded, row, stride);
                        row = loaded;
                }
                if (i < KERNEL_LANES)
                        r->begin(width, lanes[i], &r->identity, row);
                else
                        r->combine(width, lanes[i % KERNEL_LANES], lanes[i % KERNEL_LANES], row);
        }
        for (int64_t half = KERNEL_LANES / 2; half; half /= 2)
                for (int64_t i = 0; i < half && i + half < n_lanes; i++)
                        r->combine(width, lanes[i], lanes[i], lanes[i + half]);
}

/* Elements [begin, end) of width neighbouring results, whose first elements are stride apart from
 * base on. */
static void reduce_columns(struct pass *pass, const char *base, size_t width, ptrdiff_t stride,
                           int64_t begin, int64_t end, char *value)
{
        const struct reduce *r = pass->r;
        _Alignas(64) char lanes[KERNEL_LANES][WIDTH * sizeof(int64_t)];
        struct tower tower;
        struct walk walk;

        tower.n_blocks = 0;
        tower.width = width;
        walk_init(&walk, &r->over, 0, base, begin);
        for (int64_t i = begin; i < end; i += KERNEL_BLOCK) {
                fold_columns(r, &walk, end - i < KERNEL_BLOCK ? end - i : KERNEL_BLOCK, width,
                             stride, lanes);
                tower_push(r, &tower, lanes[0]);
                if (tower.n_blocks % BLOCKS_UNSTOPPED == 0 && pass_must_end(pass))
                        break;
        }
        tower_finish(r, &tower, value, false);
}

/* ---- by rows ---- */

static void reduce_row(struct pass *pass, const char *base, int64_t begin, int64_t end, char *value)
{
        const struct reduce *r = pass->r;
        _Alignas(64) char loaded[KERNEL_BLOCK * sizeof(int64_t)];
        struct tower tower;

        tower.n_blocks = 0;
        tower.width = 1;
        for (int64_t i = begin; i < end; i += KERNEL_BLOCK) {
                size_t n = (size_t)(end - i < KERNEL_BLOCK ? end - i : KERNEL_BLOCK);
                const char *x = base + i * (int64_t)r->item_size;
                union td_scalar folded;

                if (r->is_over_dense && !r->is_same)
                        r->load(n, loaded, x, (ptrdiff_t)r->item_size);
                else if (!r->is_over_dense)
                        space_load(&r->over, 0, r->load, r->sum_size, base, i, n, loaded);
                if (!(r->is_over_dense && r->is_same))
                        x = loaded;
                r->fold(n, &folded, x);
                tower_push(r, &tower, (char *)&folded);
                if (tower.n_blocks % BLOCKS_UNSTOPPED == 0 && pass_must_end(pass))
                        break;
        }
        tower_finish(r, &tower, value, false);
}

/* ---- results ---- */

/* n results from the value of all their elements */
static void finish(const struct pass *pass, size_t n, char *value, int64_t result)
{
        const struct reduce *r = pass->r;

        if (r->divide) {
                double count = (double)r->over.n;

                r->divide(n, value, value, &count);
        }
        r->convert(n, pass->out + result * (int64_t)r->result_size, value, (ptrdiff_t)r->sum_size);
}

static void store(const struct pass *pass, int64_t chunk, size_t n, char *value, int64_t result)
{
        const struct reduce *r = pass->r;

        if (r->n_chunks == 1)
                finish(pass, n, value, result);
        else
                memcpy(pass->partial + (chunk * r->kept.n + result) * (int64_t)r->sum_size, value,
                       n * r->sum_size);
}

static void run_tile(struct pass *pass, int64_t tile, int64_t chunk)
{
        const struct reduce *r = pass->r;
        _Alignas(64) char value[WIDTH * sizeof(int64_t)];
        int64_t begin = chunk * r->chunk;
        int64_t end = r->over.n - begin < r->chunk ? r->over.n : begin + r->chunk;

        if (r->is_columns) {
                int64_t extent = r->kept.shape[r->kept.ndim - 1];
                int64_t column = tile % r->n_row_tiles * r->width;
                int64_t result = tile / r->n_row_tiles * extent + column;
                int64_t width = extent - column < r->width ? extent - column : r->width;

                reduce_columns(pass, pass->x + space_offset(&r->kept, 0, result), (size_t)width,
                               r->kept.strides[0][r->kept.ndim - 1], begin, end, value);
                store(pass, chunk, (size_t)width, value, result);
        } else {
                int64_t last = r->kept.n - tile * r->width < r->width ? r->kept.n
                                                                      : (tile + 1) * r->width;
                struct walk walk;

                walk_init(&walk, &r->kept, 0, pass->x, tile * r->width);
                for (int64_t result = tile * r->width; result < last; result++, walk_next(&walk)) {
                        reduce_row(pass, walk.p, begin, end, value);
                        store(pass, chunk, 1, value, result);
                }
        }
}

static void run_item(void *ctx, uint64_t index)
{
        struct pass *pass = ctx;
        const struct reduce *r = pass->r;
        int64_t item = (int64_t)index % r->n_items, chunk = (int64_t)index / r->n_items;
        int64_t last = r->n_tiles - item * r->n_item_tiles < r->n_item_tiles
                               ? r->n_tiles
                               : (item + 1) * r->n_item_tiles;

        if (pass_must_end(pass))
                return;
        for (int64_t tile = item * r->n_item_tiles; tile < last; tile++)
                run_tile(pass, tile, chunk);
}

/* Chunks are whole subtrees, but the last, which may be a part of one. */
static void combine_chunks(struct pass *pass)
{
        const struct reduce *r = pass->r;
        int64_t last_blocks = div_up(r->over.n - (r->n_chunks - 1) * r->chunk, KERNEL_BLOCK);
        bool is_last_whole = last_blocks * KERNEL_BLOCK == r->chunk;
        struct tower tower;

        for (int64_t result = 0; result < r->kept.n; result += WIDTH) {
                _Alignas(64) char value[WIDTH * sizeof(int64_t)];
                size_t width = (size_t)(r->kept.n - result < WIDTH ? r->kept.n - result : WIDTH);

                tower.n_blocks = 0;
                tower.width = width;
                for (int64_t chunk = 0; chunk < r->n_chunks; chunk++) {
                        memcpy(value,
                               pass->partial + (chunk * r->kept.n + result) * (int64_t)r->sum_size,
                               width * r->sum_size);
                        if (chunk < r->n_chunks - 1 || is_last_whole)
                                tower_push(r, &tower, value);
                }
                tower_finish(r, &tower, value, !is_last_whole);
                finish(pass, width, value, result);
        }
}

static int reduce_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct reduce *r = (const struct reduce *)step;
        struct pass pass = { .r = r,
                             .run = run,
                             .x = (const char *)args[0] + r->offset,
                             .out = results[0],
                             .partial = scratch };
        bool is_small = (uint64_t)(r->kept.n * r->over.n) * r->item_size < SPREAD_BYTES;

        (void)refusal;
        workers_for(is_small ? NULL : run_workers(run), (uint64_t)(r->n_items * r->n_chunks),
                    run_item, &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        if (r->n_chunks > 1)
                combine_chunks(&pass);
        return 0;
}

static struct step *reduce_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class reduce_class = { "reduce", reduce_run, reduce_free };

/* ---- preparing ---- */

static void split_axes(struct reduce *r, const struct td_attrs *attrs, const struct desc *arg)
{
        bool is_reduced[TD_NDIM_MAX] = { false };

        for (unsigned d = 0; d < arg->type.ndim; d++)
                is_reduced[d] = !(attrs->set & TD_ATTR_AXES);
        for (unsigned i = 0; attrs->set & TD_ATTR_AXES && i < attrs->n_axes; i++)
                is_reduced[attrs->axes[i] < 0 ? attrs->axes[i] + arg->type.ndim : attrs->axes[i]] =
                        true;

        r->kept = r->over = (struct space){ .n_operands = 1, .n = 1 };
        for (unsigned d = 0; d < arg->type.ndim; d++)
                space_push(is_reduced[d] ? &r->over : &r->kept, arg->type.shape[d],
                           &arg->strides[d]);
        space_fold(&r->kept);
        space_fold(&r->over);
}

/* The least or the largest that the dtype holds, in the low bytes. */
static int64_t extreme_integer(enum td_dtype dtype, bool is_least)
{
        unsigned n_bits = 8 * (unsigned)td_dtype_size(dtype);

        switch (td_dtype_kind(dtype)) {
        case TD_KIND_BOOL:
                return !is_least;
        case TD_KIND_UINT:
                return is_least ? 0 : -1;
        default:
                return (is_least ? INT64_MIN : INT64_MAX) >> (64 - n_bits);
        }
}

static void choose_kernels(struct reduce *r, enum td_dtype from, enum td_dtype result)
{
        const struct kernels *kernels = kernels_get();
        enum td_dtype sum = from;
        enum td_op op = r->op == TD_OP_MAX   ? TD_OP_MAXIMUM
                        : r->op == TD_OP_MIN ? TD_OP_MINIMUM
                                             : TD_OP_ADD;

        if (op == TD_OP_ADD)
                sum = td_dtype_is_float(result) ? TD_FLOAT64 : TD_INT64;
        r->load = kernels->load[from][sum];
        r->fold = kernels->fold[op][sum];
        r->combine = kernels->binary[op][sum][KERNEL_VV];
        r->begin = kernels->binary[op][sum][KERNEL_SV];
        r->divide = r->op == TD_OP_MEAN ? kernels->binary[TD_OP_DIVIDE][TD_FLOAT64][KERNEL_VS]
                                        : NULL;
        r->convert = kernels->load[sum][result];
        r->item_size = (size_t)td_dtype_size(from);
        r->sum_size = (size_t)td_dtype_size(sum);
        r->result_size = (size_t)td_dtype_size(result);
        r->is_same = from == sum;
        r->is_over_dense = space_is_dense(&r->over, 0, (int64_t)r->item_size);

        if (op == TD_OP_ADD)
                return; /* 0 in every dtype */
        if (td_dtype_is_float(sum))
                kernels->load[TD_FLOAT64][sum](
                        1, &r->identity,
                        &(double){ op == TD_OP_MAXIMUM ? -__builtin_inf() : __builtin_inf() }, 0);
        else
                r->identity.i = extreme_integer(sum, op == TD_OP_MAXIMUM);
}

/* How the work is cut: tiles of results, and the reduced extent where results are few. Bits do not
 * depend on it. */
static void cut(struct reduce *r)
{
        int64_t extent = r->kept.ndim > 0 ? r->kept.shape[r->kept.ndim - 1] : 1;
        int64_t n_over = r->over.n > 0 ? r->over.n : 1;
        int64_t kept_step = r->kept.ndim > 0 ? llabs(r->kept.strides[0][r->kept.ndim - 1]) : 0;
        int64_t over_step = r->over.ndim > 0 ? llabs(r->over.strides[0][r->over.ndim - 1]) : 0;

        r->is_columns = r->over.n > 0 && extent >= KERNEL_LANES &&
                        (kept_step < over_step ||
                         (n_over <= 2 * KERNEL_LANES && extent >= WIDTH / 2));
        if (r->is_columns) {
                r->width = extent < WIDTH ? extent : WIDTH;
                r->n_row_tiles = div_up(extent, WIDTH);
                r->n_tiles = r->kept.n / extent * r->n_row_tiles;
        } else {
                r->width = 1;
                r->n_tiles = r->kept.n;
        }
        r->n_item_tiles = div_up(div_up(ITEM, n_over), r->width);
        r->n_items = div_up(r->n_tiles, r->n_item_tiles);

        r->chunk = n_over;
        r->n_chunks = 1;
        if (r->n_items >= ITEMS_WANTED || n_over <= 2 * KERNEL_BLOCK || r->kept.n == 0)
                return;
        r->chunk = KERNEL_BLOCK;
        while ((r->chunk * r->width < 2 * ITEM || div_up(n_over, r->chunk) > CHUNKS_MAX) &&
               r->chunk < n_over)
                r->chunk *= 2;
        r->n_chunks = div_up(n_over, r->chunk);
}

int reduce_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *arg, const struct desc *result)
{
        struct reduce *r = calloc(1, sizeof(*r));

        if (!r)
                return error_origin(-ENOMEM);
        r->step.class = &reduce_class;
        r->op = op;
        r->offset = arg->offset;
        split_axes(r, attrs, arg);
        choose_kernels(r, arg->type.dtype, result->type.dtype);
        assert(desc_is_c(result) && r->kept.n == desc_n_elements(result));
        assert(r->over.n > 0 || r->kept.n == 0 || op == TD_OP_SUM || op == TD_OP_MEAN);
        cut(r);
        if (r->n_chunks > 1)
                r->step.n_scratch = align_64((uint64_t)(r->n_chunks * r->kept.n) * r->sum_size);
        r->step.cost_ns = 50 + 20 * (uint64_t)r->kept.n +
                          (uint64_t)(r->kept.n * r->over.n) * (r->is_same ? 1 : 2) / 3;
        *stepp = &r->step;
        return 0;
}
