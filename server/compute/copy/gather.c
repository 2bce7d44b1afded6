/* SPDX-License-Identifier: MIT */
/*
 * Steps that index by arrays of integers
 *
 * One space has the dimensions of what is indexed: along each, the bytes that the source, the
 * target and every array of indices move on. If no index moves along the last one, that is a row,
 * moved as a whole; else an item is. A tile of indices along the last dimension that is not a row
 * is turned into offsets, then its rows or items are moved. What lies out of range is counted as
 * the first element and refused in the end; of several, the first in C order is named.
 *
 * take reads through the indices, put writes through them. So that of several writes to one place
 * the last stays, the threads of put divide the target: each walks all indices and moves those that
 * fall to its part. So there are no more parts than threads. Any thread.
 */
#include "compute/copy/gather.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/copy/copy.h"
#include "compute/copy/gather_space.h"
#include "compute/step_base.h"

#define CHUNK_BYTES (64 * 1024)
#define PART_BYTES (256 * 1024) /* of put's target, at least */
#define PARTS_MAX 16

/* n items; at: what the indices add on the indexed side */
typedef void gather_items(int64_t n, const char *from, int64_t from_step, const int64_t *at,
                          char *to, int64_t to_step);

struct gather {
        struct step step;
        struct gather_space space;
        enum td_op op;
        size_t size; /* of an item; of a whole row, if that is as small as one */
        gather_items *items;
        copy_plane *plane; /* of a row */
        bool is_row;       /* the last dimension of the space is one */
        bool is_row_dense; /* on both sides */
        int64_t n_row, from_row, to_row;
        int64_t n_points; /* without rows */
        int64_t n_chunk;  /* points of a chunk */
        struct copy copy; /* of put: all of x */
        bool is_x_whole;
        struct copy convert; /* of put: the value, to what is written */
        bool is_converted;
        int64_t n_bytes;     /* of put's target */
        int64_t n_parts_max; /* that it is worth dividing into */
};

struct pass {
        const struct gather *g;
        const struct run *run;
        const char *from;
        char *to;
        const void *const *indices;
        int64_t n_parts, part_bytes; /* of put */
        atomic_bool is_stopped;
        struct gather_misfit misfit;
        atomic_flag is_misfit_held;
};

/* ---- moving ---- */

#define DEFINE_ITEMS(name, type, value)                                                            \
        static void take_##name(int64_t n, const char *from, int64_t from_step, const int64_t *at, \
                                char *to, int64_t to_step)                                         \
        {                                                                                          \
                for (int64_t i = 0; i < n; i++) {                                                  \
                        type item;                                                                 \
                        memcpy(&item, from + i * from_step + at[i], sizeof(item));                 \
                        item = value;                                                              \
                        memcpy(to + i * to_step, &item, sizeof(item));                             \
                }                                                                                  \
        }                                                                                          \
        static void put_##name(int64_t n, const char *from, int64_t from_step, const int64_t *at,  \
                               char *to, int64_t to_step)                                          \
        {                                                                                          \
                for (int64_t i = 0; i < n; i++) {                                                  \
                        type item;                                                                 \
                        memcpy(&item, from + i * from_step, sizeof(item));                         \
                        item = value;                                                              \
                        memcpy(to + i * to_step + at[i], &item, sizeof(item));                     \
                }                                                                                  \
        }

struct item_16 {
        uint64_t low, high;
};

DEFINE_ITEMS(bool, uint8_t, item != 0)
DEFINE_ITEMS(1, uint8_t, item)
DEFINE_ITEMS(2, uint16_t, item)
DEFINE_ITEMS(4, uint32_t, item)
DEFINE_ITEMS(8, uint64_t, item)
DEFINE_ITEMS(16, struct item_16, item)

static gather_items *items_of(size_t size, bool is_bool, bool is_put)
{
        if (is_bool)
                return is_put ? put_bool : take_bool;
        switch (size) {
        case 1:
                return is_put ? put_1 : take_1;
        case 2:
                return is_put ? put_2 : take_2;
        case 4:
                return is_put ? put_4 : take_4;
        case 8:
                return is_put ? put_8 : take_8;
        default:
                assert(size == 16);
                return is_put ? put_16 : take_16;
        }
}

static void move_row(const struct gather *g, const char *from, char *to)
{
        if (g->is_row_dense)
                memcpy(to, from, (size_t)g->n_row * g->size);
        else
                g->plane(1, g->n_row, from, 0, g->from_row, to, 0, g->to_row);
}

/* ---- take ---- */

static void keep_misfit(struct pass *pass, const struct gather_misfit *misfit)
{
        while (atomic_flag_test_and_set_explicit(&pass->is_misfit_held, memory_order_acquire))
                ;
        if (misfit->point < pass->misfit.point)
                pass->misfit = *misfit;
        atomic_flag_clear_explicit(&pass->is_misfit_held, memory_order_release);
}

static void take_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct gather *g = pass->g;
        struct gather_misfit misfit = { .point = INT64_MAX };
        int64_t at = (int64_t)chunk * g->n_chunk, end = at + g->n_chunk;
        struct gather_tile tile;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        end = end < g->n_points ? end : g->n_points;
        for (; at < end; at += tile.n) {
                const char *from;
                char *to;

                gather_tile_load(&tile, &g->space, pass->indices, at, end, &misfit);
                if (g->space.is_of_nothing)
                        continue;
                from = pass->from + tile.from;
                to = pass->to + tile.to;
                if (!g->is_row) {
                        g->items(tile.n, from, tile.from_step, tile.offsets, to, tile.to_step);
                        continue;
                }
                for (int64_t i = 0; i < tile.n; i++)
                        move_row(g, from + i * tile.from_step + tile.offsets[i],
                                 to + i * tile.to_step);
        }
        if (misfit.point != INT64_MAX)
                keep_misfit(pass, &misfit);
}

static int gather_end(struct pass *pass, struct td_refusal *refusal)
{
        if (pass->is_stopped)
                return PLAN_E_STOPPED;
        if (pass->misfit.point == INT64_MAX)
                return 0;
        gather_refuse(&pass->misfit, td_op_name(pass->g->op), refusal);
        return PLAN_E_REFUSED;
}

static int take_run(const struct step *step, const struct run *run, const void *const *args,
                    void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct gather *g = (const struct gather *)step;
        struct pass pass = { .g = g,
                             .run = run,
                             .from = args[0],
                             .to = results[0],
                             .indices = args + 1,
                             .misfit = { .point = INT64_MAX },
                             .is_misfit_held = ATOMIC_FLAG_INIT };
        bool is_small = g->n_points * g->n_row * (int64_t)g->size < SPREAD_BYTES / 2;

        (void)scratch;
        workers_for(is_small ? NULL : run_workers(run), (uint64_t)div_up(g->n_points, g->n_chunk),
                    take_chunk, &pass);
        return gather_end(&pass, refusal);
}

/* ---- put ---- */

/* Part by part of the target's bytes, from the first to the last index. */
static void put_part(void *ctx, uint64_t part)
{
        struct pass *pass = ctx;
        const struct gather *g = pass->g;
        const int64_t low = (int64_t)part * pass->part_bytes, high = low + pass->part_bytes;
        struct gather_misfit misfit = { .point = INT64_MAX };
        struct gather_tile tile;
        const int64_t none = 0;

        for (int64_t at = 0; at < g->n_points; at += tile.n) {
                if (at % (64 * GATHER_TILE) == 0 && run_must_end(pass->run, &pass->is_stopped))
                        return;
                gather_tile_load(&tile, &g->space, pass->indices, at, g->n_points, &misfit);
                if (g->space.is_of_nothing)
                        continue;
                if (!g->is_row && pass->n_parts == 1) {
                        g->items(tile.n, pass->from + tile.from, tile.from_step, tile.offsets,
                                 pass->to + tile.to, tile.to_step);
                        continue;
                }
                for (int64_t i = 0; i < tile.n; i++) {
                        const char *from = pass->from + tile.from + i * tile.from_step;
                        int64_t offset = tile.to + i * tile.to_step + tile.offsets[i];

                        if (offset < low || offset >= high)
                                continue;
                        if (g->is_row)
                                move_row(g, from, pass->to + offset);
                        else
                                g->items(1, from, 0, &none, pass->to + offset, 0);
                }
        }
        if (misfit.point != INT64_MAX)
                keep_misfit(pass, &misfit);
}

static void put_divide(struct pass *pass)
{
        const struct workers *workers = run_workers(pass->run);
        int64_t n_threads = workers ? workers_n_threads(workers) : 1;

        pass->n_parts = pass->g->n_parts_max < n_threads ? pass->g->n_parts_max : n_threads;
        pass->part_bytes = div_up(pass->g->n_bytes, pass->n_parts);
}

static int put_run(const struct step *step, const struct run *run, const void *const *args,
                   void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct gather *g = (const struct gather *)step;
        struct pass pass = { .g = g,
                             .run = run,
                             .from = g->is_converted ? scratch : args[1],
                             .to = results[0],
                             .indices = args + 2,
                             .misfit = { .point = INT64_MAX },
                             .is_misfit_held = ATOMIC_FLAG_INIT };
        int r = 0;

        if (!g->is_x_whole || args[0] != results[0])
                r = copy_run(&g->copy, run, args[0], results[0]);
        if (!r && g->is_converted)
                r = copy_run(&g->convert, run, args[1], scratch);
        if (r)
                return r;
        put_divide(&pass);
        workers_for(pass.n_parts > 1 ? run_workers(run) : NULL, (uint64_t)pass.n_parts, put_part,
                    &pass);
        return gather_end(&pass, refusal);
}

/* ---- preparing ---- */

static struct step *gather_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class take_class = { "take", take_run, gather_free };
static const struct step_class put_class = { "put", put_run, gather_free };

static bool is_item_size(int64_t size)
{
        return size == 1 || size == 2 || size == 4 || size == 8 || size == 16;
}

/* What is moved at once: a row of the space, or an item. */
static void choose_row(struct gather *g, unsigned dtype)
{
        const int64_t size = td_dtype_size(dtype);

        g->size = (size_t)size;
        g->plane = copy_plane_of(dtype);
        g->n_row = gather_space_take_row(&g->space, &g->from_row, &g->to_row);
        g->n_points = g->space.n;
        g->is_row = g->n_row > 1;
        g->is_row_dense = g->from_row == size && g->to_row == size && dtype != TD_BOOL;
        if (g->is_row && g->is_row_dense && is_item_size(g->n_row * size)) {
                g->size = (size_t)(g->n_row * size);
                g->n_row = 1;
                g->is_row = false;
        }
        g->items = items_of(g->is_row ? (size_t)size : g->size, dtype == TD_BOOL,
                            g->op == TD_OP_PUT);
        g->n_chunk = CHUNK_BYTES / (g->n_row * (int64_t)g->size);
        g->n_chunk = g->n_chunk < 1 ? 1 : g->n_chunk;
        g->step.cost_ns = 50 + (uint64_t)g->n_points *
                                       (3 + (uint64_t)g->n_row * g->size / 8 + g->space.n_indices);
}

int take_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs, uint32_t n_args,
             const struct desc *args, const struct desc *result)
{
        struct gather *g = calloc(1, sizeof(*g));

        if (!g)
                return error_origin(-ENOMEM);
        g->step.class = &take_class;
        g->op = op;
        gather_space_init(&g->space, op, attrs, &args[0], result, n_args - 1, args + 1);
        choose_row(g, result->type.dtype);
        *stepp = &g->step;
        return 0;
}

/*
 * The value as it is written: the argument where it has the target's dtype, else a dense copy of it
 * in scratch, converted.
 */
static void prepare_value(struct gather *g, const struct desc *value, unsigned dtype,
                          struct desc *written)
{
        *written = *value;
        if (value->type.dtype == dtype)
                return;
        written->type.dtype = (uint8_t)dtype;
        desc_init_c(written, &written->type);
        copy_init(&g->convert, value, written);
        g->is_converted = true;
        g->step.n_scratch = align_64((uint64_t)desc_n_bytes(written));
}

int put_new(struct step **stepp, const struct td_attrs *attrs, uint32_t n_args,
            const struct desc *args, const struct desc *result)
{
        struct gather *g = calloc(1, sizeof(*g));
        struct desc value;

        if (!g)
                return error_origin(-ENOMEM);
        g->step.class = &put_class;
        g->op = TD_OP_PUT;
        copy_init(&g->copy, &args[0], result);
        g->is_x_whole = args[0].offset == 0 && desc_is_alike(&args[0], result);
        prepare_value(g, &args[1], result->type.dtype, &value);
        gather_space_init_put(&g->space, attrs, &value, result, n_args - 2, args + 2);
        choose_row(g, result->type.dtype);
        g->n_bytes = desc_n_bytes(result);
        g->n_parts_max = g->n_points * g->n_row < 4096 ? 1 : g->n_bytes / PART_BYTES;
        g->n_parts_max = g->n_parts_max < 1 ? 1 : g->n_parts_max;
        g->n_parts_max = g->n_parts_max > PARTS_MAX ? PARTS_MAX : g->n_parts_max;
        g->step.cost_ns += copy_cost_ns(&g->copy);
        *stepp = &g->step;
        return 0;
}
