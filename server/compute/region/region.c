/* SPDX-License-Identifier: MIT */
/*
 * Regions
 *
 * The results are dense, so the space is walked in ranges of their elements, in the order in which
 * they lie. Where a leaf runs across the rows of the results, the space is walked in boxes instead,
 * so that each cache line is used while it is near.
 *
 * Any thread. A step is const while it runs; registers are on the stack.
 */
#include "compute/region/region.h"

#include <string.h>

#include "base/error.h"
#include "compute/region/pass.h"
#include "compute/region/stream.h"
#include "compute/region/vm.h"
#include "compute/region/vm_instr.h"

#define CHUNK VM_WHOLE /* elements that a thread takes at a time */
#define ROW_MIN 256    /* rows at least this long are walked one by one */
#define BOX_LEAST 8           /* extents below are not worth it */
#define BOX_MIN_ELEMENTS 4096 /* below, all is in the L1 cache anyway */

struct region {
        struct step step;
        struct vm *vm;       /* NULL: there are no elements */
        bool is_streamed;    /* results go past the caches */
        kernel_load *copies; /* boxes of a mere copy go to the result at once */
        unsigned n_results;
        size_t n_bytes; /* of an element of all results together */
        int64_t sizes[EXPR_RESULTS_MAX];
};

/* One run of a step, shared by its threads. */
struct pass {
        struct pass_base base;
        const struct region *region;
        void *const *results;
};

/* ---- ranges ---- */

/* The thread has begun. */
static unsigned run_range(const struct region *r, struct vm_thread *thread, void *const *results,
                          int64_t index, int64_t end)
{
        const struct vm *vm = r->vm;
        const struct space *s = vm->space;
        const bool is_rows = vm->walk == VM_ROWS && s->ndim > 1;
        const int64_t row = is_rows ? s->shape[s->ndim - 1] : 0;
        int64_t left = is_rows ? row - index % row : 0;
        char *outs[EXPR_RESULTS_MAX];
        unsigned mark = 0;

        for (unsigned i = 0; i < r->n_results; i++)
                outs[i] = (char *)results[i] + index * r->sizes[i];
        while (index < end && !mark) {
                int64_t n = end - index;

                n = n < (int64_t)vm->tile ? n : (int64_t)vm->tile;
                if (is_rows) {
                        n = n < left ? n : left;
                        left = n < left ? left - n : row;
                }
                mark = vm_range(thread, index, (size_t)n, outs);
                for (unsigned i = 0; r->is_streamed && i < r->n_results && !mark; i++)
                        stream(outs[i], vm_result(thread, i), (size_t)(n * r->sizes[i]));
                index += n;
                for (unsigned i = 0; i < r->n_results; i++)
                        outs[i] += n * r->sizes[i];
        }
        return mark;
}

static unsigned run_one_range(const struct pass *pass, int64_t index, int64_t end)
{
        struct vm_thread thread;
        unsigned mark = vm_begin(&thread, pass->region->vm, pass->base.leaves);

        if (!mark)
                mark = run_range(pass->region, &thread, pass->results, index, end);
        if (pass->region->is_streamed)
                stream_end();
        return mark;
}

static void run_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        int64_t begin = (int64_t)chunk * CHUNK, end = begin + CHUNK;
        unsigned mark;

        if (pass_must_end(&pass->base))
                return;
        if (end > pass->region->vm->space->n)
                end = pass->region->vm->space->n;
        mark = run_one_range(pass, begin, end);
        if (mark)
                pass_refuse(&pass->base, mark);
}

/* ---- boxes ---- */

/* Copy a box from the only leaf to the only result. */
static void copy_box(const struct pass *pass, const int64_t *at, int64_t n_rows, int64_t n_columns,
                     int64_t out, int64_t out_row)
{
        const struct region *r = pass->region;
        const struct vm *vm = r->vm;
        const int64_t *strides = vm->space->strides[0];
        const char *from = (const char *)pass->base.leaves[0] + vm->leaves[0].offset;
        char *to = (char *)pass->results[0] + out * r->sizes[0];

        for (unsigned d = 0; d < vm->space->ndim; d++)
                from += at[d] * strides[d];
        for (int64_t row = 0; row < n_rows; row++, from += strides[vm->row_dim])
                r->copies((size_t)n_columns, to + row * out_row * r->sizes[0], from,
                          strides[vm->column_dim]);
}

static unsigned run_box(const struct pass *pass, struct vm_thread *thread, const int64_t *at,
                        int64_t n_rows, int64_t n_columns, int64_t out, int64_t out_row)
{
        const struct region *r = pass->region;
        unsigned mark = vm_box(thread, at, n_rows, n_columns, NULL);

        for (unsigned i = 0; i < r->n_results && !mark; i++) {
                const size_t row_bytes = (size_t)(n_columns * r->sizes[i]);
                const char *from = vm_result(thread, i);
                char *to = (char *)pass->results[i] + out * r->sizes[i];

                for (int64_t row = 0; row < n_rows; row++, from += row_bytes)
                        memcpy(to + row * out_row * r->sizes[i], from, row_bytes);
        }
        return mark;
}

/*
 * A chunk is one band of boxes: VM_BOX_ROWS rows along one dimension, all columns, one index of
 * every other dimension.
 */
static void run_band(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct vm *vm = pass->region->vm;
        const struct space *s = vm->space;
        const unsigned last = vm->column_dim;
        const int64_t n_bands = div_up(s->shape[vm->row_dim], VM_BOX_ROWS);
        const int64_t most = vm_box_columns(vm);
        int64_t at[TD_NDIM_MAX], rest = (int64_t)chunk / n_bands, size = 1, out = 0, out_row = 0;
        int64_t n_rows = s->shape[vm->row_dim] - (int64_t)chunk % n_bands * VM_BOX_ROWS;
        struct vm_thread thread;
        unsigned mark = 0;

        if (pass_must_end(&pass->base))
                return;
        n_rows = n_rows < VM_BOX_ROWS ? n_rows : VM_BOX_ROWS;
        for (unsigned d = s->ndim; d-- > 0; size *= s->shape[d]) {
                at[d] = 0;
                if (d == vm->row_dim) {
                        at[d] = (int64_t)chunk % n_bands * VM_BOX_ROWS;
                        out_row = size;
                } else if (d != last) {
                        at[d] = rest % s->shape[d];
                        rest /= s->shape[d];
                }
                out += at[d] * size;
        }
        if (!pass->region->copies)
                mark = vm_begin(&thread, vm, pass->base.leaves);
        for (int64_t n; at[last] < s->shape[last] && !mark; at[last] += n) {
                n = s->shape[last] - at[last] < most ? s->shape[last] - at[last] : most;
                if (pass->region->copies)
                        copy_box(pass, at, n_rows, n, out + at[last], out_row);
                else
                        mark = run_box(pass, &thread, at, n_rows, n, out + at[last], out_row);
        }
        if (mark)
                pass_refuse(&pass->base, mark);
}

/* ---- the step ---- */

static int region_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct region *r = (const struct region *)step;
        struct pass pass = {
                .base = { .run = run, .leaves = args }, .region = r, .results = results
        };
        struct workers *workers = run_workers(run);
        int64_t n;

        (void)scratch;
        if (!r->vm)
                return 0;
        n = r->vm->space->n;
        if ((uint64_t)n * r->n_bytes < SPREAD_BYTES / 2)
                workers = NULL;
        if (r->vm->walk == VM_BOXES) {
                const struct space *s = r->vm->space;
                int64_t extent = s->shape[r->vm->row_dim];

                workers_for(workers,
                            (uint64_t)(n / extent / s->shape[r->vm->column_dim] *
                                       div_up(extent, VM_BOX_ROWS)),
                            run_band, &pass);
        } else if (n <= CHUNK) {
                pass.base.mark = run_one_range(&pass, 0, n);
        } else {
                workers_for(workers, (uint64_t)div_up(n, CHUNK), run_chunk, &pass);
        }
        return pass_is_well(&pass.base) ? 0 : pass_outcome(&pass.base, r->vm, refusal);
}

static struct step *region_free(struct step *step)
{
        struct region *r = (struct region *)step;

        vm_free(r->vm);
        free(r);
        return NULL;
}

static const struct step_class region_class = { "region", region_run, region_free };

void region_run_rows(const struct step *step, const void *const *leaves, void *const *results,
                     const struct region_rows *rows)
{
        const struct region *r = (const struct region *)step;
        const bool is_one = rows->n_columns == rows->apart;
        const int64_t n = is_one ? rows->n_rows * rows->n_columns : rows->n_columns;
        struct vm_thread thread;
        unsigned mark;

        assert(step->class == &region_class);
        mark = vm_begin(&thread, r->vm, leaves);
        for (int64_t k = 0; k < (is_one ? 1 : rows->n_rows) && !mark; k++) {
                int64_t index = rows->index + k * rows->apart;

                mark = run_range(r, &thread, results, index, index + n);
        }
        if (r->is_streamed)
                stream_end();
        assert(mark == 0);
        (void)mark;
}

bool region_may_replace(const struct step *step, unsigned arg, unsigned result)
{
        const struct region *r = (const struct region *)step;

        return step->class == &region_class && r->vm && vm_may_replace(r->vm, arg, result);
}

/* ---- preparing ---- */

/* Whether a leaf runs across the rows of the results, and along which dimension it runs instead. */
static bool find_box(const struct space *space, const struct expr *expr, unsigned *dimp)
{
        unsigned last = space->ndim - 1;

        if (space->ndim < 2 || space->n < BOX_MIN_ELEMENTS || space->shape[last] < BOX_LEAST)
                return false;
        for (unsigned i = 0; i < space->n_operands; i++) {
                int64_t least = llabs(space->strides[i][last]);
                bool is_found = false;

                if (least < 64 || expr_is_index(expr, i))
                        continue;
                for (unsigned d = 0; d < last; d++) {
                        int64_t stride = llabs(space->strides[i][d]);

                        if (stride == 0 || stride >= least || space->shape[d] < BOX_LEAST)
                                continue;
                        least = stride;
                        *dimp = d;
                        is_found = true;
                }
                if (is_found)
                        return true;
        }
        return false;
}

static void make_space(struct space *space, const struct expr *expr, const struct desc *result)
{
        uint8_t order[TD_NDIM_MAX];

        desc_keep_order(order, &result->type, 1, result);
        space_init_ordered(space, result->type.ndim, result->type.shape, order, expr->n_leaves,
                           expr->leaves);
}

bool region_goes_by_rows(const struct expr *expr, const struct desc *result)
{
        struct space space;
        unsigned dim;

        make_space(&space, expr, result);
        return space.n > 0 && desc_is_c(result) && !find_box(&space, expr, &dim) &&
               !expr_may_fail(expr);
}

static int prepare(struct region *r, const struct expr *expr, const struct desc *results,
                   size_t tile)
{
        struct vm_layout layout = { .walk = VM_RANGES, .tile_max = tile };
        struct space space;
        int result;

        make_space(&space, expr, &results[0]);
        if (space.n == 0)
                return 0;
        layout.space = &space;
        if (find_box(&space, expr, &layout.row_dim)) {
                layout.walk = VM_BOXES;
                layout.column_dim = space.ndim - 1;
        } else if (space.ndim < 2 || space.shape[space.ndim - 1] >= ROW_MIN) {
                layout.walk = VM_ROWS;
        }
        r->is_streamed = layout.walk != VM_BOXES &&
                         (uint64_t)space.n * r->n_bytes >= STREAM_MIN_BYTES;
        layout.is_stored = layout.walk != VM_BOXES && !r->is_streamed;
        result = vm_new(&r->vm, expr, &layout);
        if (result < 0)
                return result;
        if (layout.walk == VM_BOXES && r->vm->n_vector == 1 &&
            r->vm->instrs[0].form == VM_LOAD && expr->indices == 0)
                r->copies = r->vm->instrs[0].load;
        r->step.cost_ns = 50 + (uint64_t)space.n * r->vm->cost / 1000;
        return 0;
}

int region_new(struct step **stepp, const struct expr *expr, const struct desc *results,
               size_t tile)
{
        struct region *r = calloc(1, sizeof(*r));
        int result;

        if (!r)
                return error_origin(-ENOMEM);
        r->step.class = &region_class;
        r->step.cost_ns = 50;
        r->n_results = expr->n_results;
        for (unsigned i = 0; i < expr->n_results; i++) {
                assert(results[i].offset == 0);
                r->sizes[i] = td_dtype_size(results[i].type.dtype);
                r->n_bytes += (size_t)r->sizes[i];
        }
        result = prepare(r, expr, results, tile);
        if (result < 0) {
                free(r);
                return result;
        }
        *stepp = &r->step;
        return 0;
}

int region_new_one(struct step **stepp, enum td_op op, unsigned n_args, const struct desc *args,
                   const struct desc *result)
{
        uint8_t values[EXPR_ARGS_MAX];
        struct expr expr;

        expr_init(&expr);
        for (unsigned i = 0; i < n_args; i++)
                values[i] = expr_leaf(&expr, &args[i]);
        expr_result(&expr, expr_apply(&expr, op, -1, result->type.dtype, n_args, values));
        return region_new(stepp, &expr, result, 0);
}

int region_new_copy(struct step **stepp, const struct desc *arg, const struct desc *result)
{
        struct expr expr;

        expr_init(&expr);
        expr_result(&expr, expr_cast(&expr, expr_leaf(&expr, arg), result->type.dtype));
        return region_new(stepp, &expr, result, 0);
}
