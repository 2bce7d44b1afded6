/* SPDX-License-Identifier: MIT */
/*
 * What is reduced
 *
 * The space of the machine has the kept dimensions first, each part folded for itself. By rows, its
 * tiles are ranges, or bands (band.h); by columns, boxes whose columns are results, or, for what
 * lies in memory as it is wanted, no tiles at all.
 */
#include "compute/reduce/feed.h"

#include <string.h>

#include "compute/step_base.h"
#include "compute/region/stream.h"
#include "compute/region/vm_instr.h"

#define SHORT 16 /* fewer elements of a result, and columns are better if there are many */

/* ---- preparing ---- */

/* Axes in the order in which they are gone through: kept ones as the result has them. */
static void order_axes(const struct td_type *shape, uint32_t reduced, const struct desc *result,
                       uint8_t *order)
{
        const bool is_gone = result->type.ndim < shape->ndim; /* what is reduced has no axis */
        uint8_t own[TD_NDIM_MAX], axes[TD_NDIM_MAX];
        unsigned n = 0;

        for (unsigned d = 0; d < shape->ndim; d++)
                if (!is_gone || !(reduced >> d & 1))
                        axes[n++] = (uint8_t)d;
        desc_keep_order(own, &result->type, 1, result);
        for (unsigned i = 0; i < n; i++)
                order[i] = axes[own[i]];
        for (unsigned d = 0; is_gone && d < shape->ndim; d++)
                if (reduced >> d & 1)
                        order[n++] = (uint8_t)d;
}

static void split(const struct expr *expr, const struct td_type *shape, uint32_t reduced,
                  const uint8_t *order, struct space *kept, struct space *over)
{
        kept->ndim = over->ndim = 0;
        kept->n = over->n = 1;
        kept->n_operands = over->n_operands = expr->n_leaves;
        for (unsigned k = 0; k < shape->ndim; k++) {
                const unsigned d = order[k];
                int64_t strides[SPACE_OPERANDS_MAX] = { 0 };

                for (unsigned i = 0; i < expr->n_leaves; i++) {
                        const struct desc *leaf = &expr->leaves[i];
                        unsigned lead = (unsigned)shape->ndim - leaf->type.ndim;

                        if (d >= lead && leaf->type.shape[d - lead] != 1)
                                strides[i] = leaf->strides[d - lead];
                }
                space_push(reduced >> d & 1 ? over : kept, shape->shape[d], strides);
        }
        space_fold(kept);
        space_fold(over);
}

/* The leaf that most of the reading is about. */
static unsigned main_leaf(const struct space *space, const struct expr *expr)
{
        int64_t most = 0;
        unsigned found = 0;

        for (unsigned i = 0; i < space->n_operands; i++) {
                int64_t n = !expr_is_index(expr, i);

                for (unsigned d = 0; d < space->ndim; d++)
                        n *= space->strides[i][d] ? space->shape[d] : 1;
                if (n > most) {
                        most = n;
                        found = i;
                }
        }
        return found;
}

/* Is one result after the other slower than many at once? */
static bool wants_columns(const struct space *kept, const struct space *over, unsigned leaf)
{
        int64_t columns = kept->ndim > 0 ? kept->shape[kept->ndim - 1] : 1;
        int64_t kept_step = kept->ndim > 0 ? llabs(kept->strides[leaf][kept->ndim - 1]) : 0;
        int64_t over_step = over->ndim > 0 ? llabs(over->strides[leaf][over->ndim - 1]) : 0;

        if (columns < KERNEL_LANES || kept->n_operands == 0)
                return false;
        return (kept_step < over_step && kept_step > 0) ||
               (over->n < SHORT && columns >= 4 * KERNEL_LANES);
}

static bool is_direct(const struct expr *expr, const struct space *kept)
{
        const struct expr_value *value = &expr->values[expr->results[0]];

        return value->kind == EXPR_LEAF && !expr_is_index(expr, value->args[0]) && kept->ndim > 0 &&
               kept->strides[value->args[0]][kept->ndim - 1] == td_dtype_size(value->dtype);
}

static void join(struct space *space, const struct space *kept, const struct space *over)
{
        *space = *kept;
        for (unsigned d = 0; d < over->ndim; d++) {
                int64_t strides[SPACE_OPERANDS_MAX] = { 0 };

                for (unsigned i = 0; i < over->n_operands; i++)
                        strides[i] = over->strides[i][d];
                space_push(space, over->shape[d], strides);
        }
}

/* Another leaf: in which place of the stored results an element belongs. */
static void prepare_stored(struct feed *feed, struct expr *expr, const struct feed_of *of)
{
        uint64_t n_bytes = 0;
        struct desc places;

        feed->n_stored = expr->n_results - 1;
        feed->is_streamed = false;
        if (feed->n_stored == 0)
                return;
        for (unsigned i = 1; i < expr->n_results; i++)
                n_bytes += (uint64_t)td_dtype_size(expr->values[expr->results[i]].dtype);
        feed->is_streamed = n_bytes * (uint64_t)td_type_n_elements(of->shape) >= STREAM_MIN_BYTES;
        places = (struct desc){ .type = *of->shape };
        places.type.dtype = TD_INT64;
        for (unsigned d = 0; d < of->shape->ndim; d++)
                places.strides[d] = of->stored->strides[d] / td_dtype_size(of->stored->type.dtype);
        feed->out = expr->n_leaves;
        expr_index(expr, &places);
}

/* Memory as it is wanted but for the order; what is few is read before its lines are lost. */
static bool is_banded(struct feed *feed, const struct expr *expr)
{
        const struct expr_value *value = &expr->values[expr->results[0]];

        return feed->n_stored == 0 && value->kind == EXPR_LEAF &&
               !expr_is_index(expr, value->args[0]) && feed->n_over > BAND_MOST &&
               bands_init(&feed->bands, &feed->over, value->args[0], value->dtype);
}

int feed_init(struct feed *feed, struct expr *expr, const struct feed_of *of)
{
        struct space kept, space;
        uint8_t order[TD_NDIM_MAX];
        struct vm_layout layout = { .space = &space, .walk = VM_RANGES };
        enum feed_way way = of->way;
        int r;

        prepare_stored(feed, expr, of);
        order_axes(of->shape, of->reduced, of->result, order);
        split(expr, of->shape, of->reduced, order, &kept, &feed->over);
        feed->vm = NULL;
        feed->n_results = kept.n;
        feed->n_over = feed->over.n;
        feed->n_kept = kept.ndim;
        feed->item_size = (size_t)td_dtype_size(expr->values[expr->results[0]].dtype);
        feed->width = 0;
        feed->is_direct = false;
        feed->is_banded = false;
        if (kept.n == 0 || feed->over.n == 0)
                return 0;
        join(&space, &kept, &feed->over);
        if (way == FEED_AS_IT_LIES && feed->over.ndim > 0 &&
            wants_columns(&kept, &feed->over, main_leaf(&space, expr)))
                way = FEED_BY_COLUMNS;
        if (way == FEED_BY_COLUMNS && kept.ndim > 0 && feed->over.ndim > 0) {
                layout.walk = VM_BOXES;
                layout.row_dim = space.ndim - 1;
                layout.column_dim = kept.ndim - 1;
                feed->is_direct = feed->n_stored == 0 && is_direct(expr, &kept);
                feed->leaf = expr->values[expr->results[0]].args[0];
                feed->width = feed->is_direct ? FEED_COLUMNS : 4 * KERNEL_LANES;
        } else if (feed->over.ndim == 1 && feed->over.n > KERNEL_BLOCK) {
                layout.walk = VM_ROWS;
        }
        r = vm_new(&feed->vm, expr, &layout);
        if (r < 0)
                return r;
        feed->most = (int64_t)feed->vm->tile;
        if (layout.walk == VM_RANGES && is_banded(feed, expr)) {
                feed->is_banded = true;
                feed->most = BAND_MOST;
        }
        if (layout.walk == VM_BOXES && !feed->is_direct && feed->width > feed->most / KERNEL_LANES)
                feed->width = feed->most / KERNEL_LANES;
        feed->is_short = layout.walk == VM_RANGES && feed->n_over <= KERNEL_BLOCK &&
                         feed->n_over <= feed->most;
        return 0;
}

void feed_deinit(struct feed *feed)
{
        feed->vm = vm_free(feed->vm);
}

bool feed_may_replace(const struct feed *feed, unsigned leaf, unsigned result)
{
        const struct vm *vm = feed->vm;
        const int64_t size = vm ? vm->result_sizes[result] : 0;

        if (!vm || vm->leaves[leaf].is_index || vm->leaves[leaf].item_size != size)
                return false;
        for (unsigned k = 0; k < vm->n_results; k++)
                if (vm->results[k] == leaf)
                        return false;
        for (unsigned d = 0; d < vm->space->ndim; d++)
                if (vm->space->strides[leaf][d] != vm->space->strides[feed->out][d] * size)
                        return false;
        return true;
}

uint64_t feed_cost_ns(const struct feed *feed)
{
        return feed->vm ? (uint64_t)feed->vm->space->n * feed->vm->cost / 1000 : 0;
}

/* ---- delivering ---- */

unsigned mouth_begin(struct mouth *mouth, const struct feed *feed, const void *const *leaves,
                     char *const *stored, char *band)
{
        assert(band || !feed->is_banded);
        mouth->feed = feed;
        mouth->stored = feed->n_stored > 0 ? stored : NULL;
        mouth->band_result = -1;
        mouth->band_memory = band;
        return vm_begin(&mouth->vm, feed->vm, leaves);
}

void mouth_end(const struct mouth *mouth)
{
        if (mouth->stored && mouth->feed->is_streamed)
                stream_end();
}

/* n elements that follow one another in a tile, step places apart in the results. */
static void store_run(const struct mouth *mouth, size_t at, size_t n, int64_t place, int64_t step)
{
        const struct vm *vm = mouth->feed->vm;

        for (unsigned i = 1; i < vm->n_results; i++) {
                const size_t size = vm->result_sizes[i];
                const char *from = vm_result(&mouth->vm, i) + at * size;
                char *to = mouth->stored[i - 1] + place * (int64_t)size;

                if (step == 1 && mouth->feed->is_streamed)
                        stream(to, from, n * size);
                else if (step == 1)
                        memcpy(to, from, n * size);
                else
                        for (size_t k = 0; k < n; k++, to += step * (int64_t)size)
                                memcpy(to, from + k * size, size);
        }
}

/* A tile from an index of the space on. */
static void store_range(const struct mouth *mouth, int64_t index, int64_t n)
{
        const struct space *space = mouth->feed->vm->space;
        const unsigned out = mouth->feed->out, last = space->ndim - 1;
        const int64_t row = space->ndim > 0 ? space->shape[last] : 1;
        const int64_t step = space->ndim > 0 ? space->strides[out][last] : 1;

        if (space->ndim <= 1 || space_is_dense(space, out, 1)) {
                store_run(mouth, 0, (size_t)n, index * step, step);
                return;
        }
        for (int64_t i = 0, run; i < n; i += run) {
                run = row - (index + i) % row;
                run = run < n - i ? run : n - i;
                store_run(mouth, (size_t)i, (size_t)run, space_offset(space, out, index + i), step);
        }
}

/* Rows of columns, from that place of the space on. */
static void store_box(const struct mouth *mouth, const int64_t *at, int64_t n_rows)
{
        const struct vm *vm = mouth->feed->vm;
        const int64_t *strides = vm->space->strides[mouth->feed->out];
        int64_t place = 0;

        for (unsigned d = 0; d < vm->space->ndim; d++)
                place += at[d] * strides[d];
        for (int64_t i = 0; i < n_rows; i++, place += strides[vm->row_dim])
                store_run(mouth, (size_t)(i * mouth->n_columns), (size_t)mouth->n_columns, place,
                          strides[vm->column_dim]);
}

/* Where the result's elements begin. */
static const char *leaf_of_result(const struct mouth *mouth, unsigned leaf, int64_t result)
{
        const struct feed *feed = mouth->feed;
        const struct space *space = feed->vm->space;
        ptrdiff_t offset = 0;

        for (unsigned d = feed->n_kept; d-- > 0; result /= space->shape[d])
                offset += result % space->shape[d] * space->strides[leaf][d];
        return mouth->vm.bases[leaf] + offset;
}

unsigned mouth_rows(struct mouth *mouth, int64_t result, int64_t index, int64_t n, const char **xp)
{
        const struct feed *feed = mouth->feed;
        unsigned mark;

        if (feed->is_banded) {
                if (mouth->band_result != result)
                        band_begin(&mouth->band, &feed->bands,
                                   leaf_of_result(mouth, feed->bands.leaf, result),
                                   mouth->band_memory);
                mouth->band_result = result;
                *xp = band_read(&mouth->band, index, n);
                return 0;
        }
        mark = vm_range(&mouth->vm, result * feed->n_over + index, (size_t)n, NULL);
        if (mouth->stored && !mark)
                store_range(mouth, result * feed->n_over + index, n);
        *xp = vm_result(&mouth->vm, 0);
        return mark;
}

void mouth_columns_begin(struct mouth *mouth, int64_t result, int64_t n_columns, int64_t index)
{
        const struct feed *feed = mouth->feed;

        mouth->result = result;
        mouth->index = index;
        mouth->n_columns = n_columns;
        if (feed->is_direct)
                walk_init(&mouth->walk, &feed->over, feed->leaf,
                          leaf_of_result(mouth, feed->leaf, result), index);
}

unsigned mouth_columns(struct mouth *mouth, int64_t n, const char **rows, int64_t *np)
{
        const struct feed *feed = mouth->feed;
        const struct space *space = feed->vm->space;
        int64_t at[TD_NDIM_MAX], left = mouth->index, row_bytes;
        const int64_t most = feed->most / mouth->n_columns;
        const char *x;
        unsigned mark;

        mouth->index += n;
        *np = n;
        if (feed->is_direct) {
                for (int64_t i = 0; i < n; i++, walk_next(&mouth->walk))
                        rows[i] = mouth->walk.p;
                return 0;
        }
        mouth->index = left;
        for (unsigned d = space->ndim; d-- > feed->n_kept; left /= space->shape[d])
                at[d] = left % space->shape[d];
        left = mouth->result;
        for (unsigned d = feed->n_kept; d-- > 0; left /= space->shape[d])
                at[d] = left % space->shape[d];
        left = space->shape[space->ndim - 1] - at[space->ndim - 1];
        n = n < left ? n : left;
        n = n < most ? n : most;
        mark = vm_box(&mouth->vm, at, n, mouth->n_columns, NULL);
        if (mouth->stored && !mark)
                store_box(mouth, at, n);
        x = vm_result(&mouth->vm, 0);
        row_bytes = mouth->n_columns * (int64_t)feed->item_size;
        for (int64_t i = 0; i < n; i++)
                rows[i] = x + i * row_bytes;
        mouth->index += n;
        *np = n;
        return mark;
}
