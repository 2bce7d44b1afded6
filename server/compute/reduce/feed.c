/* SPDX-License-Identifier: MIT */
/*
 * What is reduced
 *
 * The space of the machine has the kept dimensions first, each part folded for itself. By rows, its
 * tiles are ranges; by columns, boxes whose columns are results, or, for what lies in memory as it
 * is wanted, no tiles at all.
 */
#include "compute/reduce/feed.h"

#include <string.h>

#include "compute/step_base.h"
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

int feed_init(struct feed *feed, const struct expr *expr, const struct td_type *shape,
              uint32_t reduced, const struct desc *result)
{
        struct space kept, space;
        uint8_t order[TD_NDIM_MAX];
        struct vm_layout layout = { .space = &space, .walk = VM_RANGES };
        int r;

        order_axes(shape, reduced, result, order);
        split(expr, shape, reduced, order, &kept, &feed->over);
        feed->vm = NULL;
        feed->n_results = kept.n;
        feed->n_over = feed->over.n;
        feed->n_kept = kept.ndim;
        feed->item_size = (size_t)td_dtype_size(expr->values[expr->results[0]].dtype);
        feed->width = 0;
        feed->is_direct = false;
        if (kept.n == 0 || feed->over.n == 0)
                return 0;
        join(&space, &kept, &feed->over);
        if (feed->over.ndim > 0 && wants_columns(&kept, &feed->over, main_leaf(&space, expr))) {
                layout.walk = VM_BOXES;
                layout.row_dim = space.ndim - 1;
                layout.column_dim = kept.ndim - 1;
                feed->is_direct = is_direct(expr, &kept);
                feed->leaf = expr->values[expr->results[0]].args[0];
                feed->width = feed->is_direct ? FEED_COLUMNS : 4 * KERNEL_LANES;
        } else if (feed->over.ndim == 1 && feed->over.n >= KERNEL_BLOCK) {
                layout.walk = VM_ROWS;
        }
        r = vm_new(&feed->vm, expr, &layout);
        if (r < 0)
                return r;
        feed->most = (int64_t)feed->vm->tile;
        if (layout.walk == VM_BOXES && !feed->is_direct && feed->width > feed->most / KERNEL_LANES)
                feed->width = feed->most / KERNEL_LANES;
        return 0;
}

void feed_deinit(struct feed *feed)
{
        feed->vm = vm_free(feed->vm);
}

uint64_t feed_cost_ns(const struct feed *feed)
{
        return feed->vm ? (uint64_t)feed->vm->space->n * feed->vm->cost / 1000 : 0;
}

/* ---- delivering ---- */

unsigned mouth_begin(struct mouth *mouth, const struct feed *feed, const void *const *leaves)
{
        mouth->feed = feed;
        return vm_begin(&mouth->vm, feed->vm, leaves);
}

unsigned mouth_rows(struct mouth *mouth, int64_t result, int64_t index, int64_t n, const char **xp)
{
        unsigned mark = vm_range(&mouth->vm, result * mouth->feed->n_over + index, (size_t)n, NULL);

        *xp = vm_result(&mouth->vm, 0);
        return mark;
}

void mouth_columns_begin(struct mouth *mouth, int64_t result, int64_t n_columns, int64_t index)
{
        const struct feed *feed = mouth->feed;
        const struct space *space = feed->vm->space;
        const unsigned leaf = feed->leaf;
        ptrdiff_t offset = 0;

        mouth->result = result;
        mouth->index = index;
        mouth->n_columns = n_columns;
        if (!feed->is_direct)
                return;
        for (unsigned d = feed->n_kept; d-- > 0; result /= space->shape[d])
                offset += result % space->shape[d] * space->strides[leaf][d];
        walk_init(&mouth->walk, &feed->over, leaf, mouth->vm.bases[leaf] + offset, index);
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
        x = vm_result(&mouth->vm, 0);
        row_bytes = mouth->n_columns * (int64_t)feed->item_size;
        for (int64_t i = 0; i < n; i++)
                rows[i] = x + i * row_bytes;
        mouth->index += n;
        *np = n;
        return mark;
}
