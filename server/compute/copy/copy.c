/* SPDX-License-Identifier: MIT */
/*
 * Copies
 *
 * A unit is a band of rows and a piece of columns, at one index of all other dimensions. Columns
 * are the target's fastest dimension; rows are the source's, if that is another one, so that a
 * transposition walks blocks in which each cache line is used while it is near. A chunk is some
 * units in order. Any thread.
 */
#include "compute/copy/copy.h"

#include <stdatomic.h>
#include <string.h>

#include "compute/step_base.h"

#define CHUNK_BYTES (128 * 1024)
#define BAND 64 /* rows of a unit that transposes */
#define TILE 512

/* Columns written together; as many lines of the source are then in use. */
#define BLOCK 8

struct item_16 {
        uint64_t low, high;
};

#define DEFINE_PLANE(name, type, value)                                                            \
        static void name(int64_t n_rows, int64_t n_columns, const char *from, int64_t from_row,    \
                         int64_t from_column, char *to, int64_t to_row, int64_t to_column)         \
        {                                                                                          \
                const int64_t size = (int64_t)sizeof(type);                                        \
                for (int64_t begin = 0, n; begin < n_columns; begin += n) {                        \
                        n = from_column == size || n_rows == 1 || n_columns - begin < BLOCK        \
                                    ? n_columns - begin                                            \
                                    : BLOCK;                                                       \
                        for (int64_t row = 0; row < n_rows; row++) {                               \
                                const char *f = from + row * from_row + begin * from_column;       \
                                char *t = to + row * to_row + begin * to_column;                   \
                                if (n == BLOCK && to_column == size) {                             \
                                        for (int64_t i = 0; i < BLOCK; i++) {                      \
                                                type item;                                         \
                                                memcpy(&item, f + i * from_column, sizeof(item));  \
                                                item = value;                                      \
                                                memcpy(t + i * size, &item, sizeof(item));         \
                                        }                                                          \
                                        continue;                                                  \
                                }                                                                  \
                                for (int64_t i = 0; i < n; i++) {                                  \
                                        type item;                                                 \
                                        memcpy(&item, f, sizeof(item));                            \
                                        item = value;                                              \
                                        memcpy(t, &item, sizeof(item));                            \
                                        f += from_column;                                          \
                                        t += to_column;                                            \
                                }                                                                  \
                        }                                                                          \
                }                                                                                  \
        }

DEFINE_PLANE(plane_bool, uint8_t, item != 0)
DEFINE_PLANE(plane_1, uint8_t, item)
DEFINE_PLANE(plane_2, uint16_t, item)
DEFINE_PLANE(plane_4, uint32_t, item)
DEFINE_PLANE(plane_8, uint64_t, item)
DEFINE_PLANE(plane_16, struct item_16, item)

copy_plane *copy_plane_of(unsigned dtype)
{
        if (dtype == TD_BOOL)
                return plane_bool;
        switch (td_dtype_size(dtype)) {
        case 1:
                return plane_1;
        case 2:
                return plane_2;
        case 4:
                return plane_4;
        case 8:
                return plane_8;
        default:
                assert(td_dtype_size(dtype) == 16);
                return plane_16;
        }
}

/* ---- preparing ---- */

static void push(struct copy *c, int64_t extent, int64_t from, int64_t to)
{
        unsigned d = c->ndim;

        if (to < 0) { /* from the other end */
                c->from_offset += (extent - 1) * from;
                c->to_offset += (extent - 1) * to;
                from = -from;
                to = -to;
        }
        for (; d > 0 && c->to[d - 1] < to; d--) {
                c->shape[d] = c->shape[d - 1];
                c->from[d] = c->from[d - 1];
                c->to[d] = c->to[d - 1];
        }
        c->shape[d] = extent;
        c->from[d] = from;
        c->to[d] = to;
        c->ndim++;
}

static void merge(struct copy *c)
{
        unsigned n = 0;

        for (unsigned d = 0; d < c->ndim; d++) {
                if (n > 0 && c->to[n - 1] == c->to[d] * c->shape[d] &&
                    c->from[n - 1] == c->from[d] * c->shape[d])
                        c->shape[n - 1] *= c->shape[d];
                else
                        c->shape[n++] = c->shape[d];
                c->from[n - 1] = c->from[d];
                c->to[n - 1] = c->to[d];
        }
        c->ndim = n;
}

/* Rows run along the dimension that is the source's fastest, where this is not that of columns. */
static bool choose_rows(struct copy *c)
{
        const unsigned last = c->ndim - 1;
        unsigned row = last - 1;
        int64_t least = llabs(c->from[last]), extent, from, to;
        bool is_found = false;

        for (unsigned d = 0; d < last; d++) {
                int64_t stride = llabs(c->from[d]);

                if (stride == 0 || stride >= least || c->shape[d] == 1)
                        continue;
                least = stride;
                row = d;
                is_found = true;
        }
        extent = c->shape[row];
        from = c->from[row];
        to = c->to[row];
        for (; row + 1 < last; row++) {
                c->shape[row] = c->shape[row + 1];
                c->from[row] = c->from[row + 1];
                c->to[row] = c->to[row + 1];
        }
        c->shape[row] = extent;
        c->from[row] = from;
        c->to[row] = to;
        return is_found;
}

static void cut(struct copy *c)
{
        const int64_t n_columns = c->shape[c->ndim - 1], n_rows = c->shape[c->ndim - 2];
        const int64_t size = (int64_t)c->to_size, n_wanted = CHUNK_BYTES / size;
        int64_t unit;

        c->piece = n_columns < n_wanted ? n_columns : n_wanted;
        if (c->is_across && c->piece > n_wanted / BAND)
                c->piece = n_wanted / BAND;
        c->n_pieces = div_up(n_columns, c->piece);
        c->band = c->is_across ? BAND : n_wanted / c->piece;
        c->band = c->band < 1 ? 1 : c->band > n_rows ? n_rows : c->band;
        c->n_bands = div_up(n_rows, c->band);
        c->n_units = c->n_pieces * c->n_bands;
        for (unsigned d = 0; d + 2 < c->ndim; d++)
                c->n_units *= c->shape[d];
        unit = c->band * c->piece;
        c->n_chunk = unit < n_wanted ? div_up(n_wanted, unit) : 1;
}

void copy_init(struct copy *copy, const struct desc *from, const struct desc *to)
{
        const unsigned lead = (unsigned)to->type.ndim - from->type.ndim;
        struct copy c = { .from_offset = from->offset, .to_offset = to->offset };

        assert(to->type.ndim >= from->type.ndim);
        c.to_size = (size_t)td_dtype_size(to->type.dtype);
        c.plane = copy_plane_of(to->type.dtype);
        if (from->type.dtype != to->type.dtype)
                c.load = kernels_get()->load[from->type.dtype][to->type.dtype];
        c.n_bytes = desc_n_bytes(to);
        if (c.n_bytes == 0) {
                *copy = c;
                return;
        }
        for (unsigned d = 0; d < to->type.ndim; d++) {
                int64_t extent = to->type.shape[d];
                bool is_still = d < lead || from->type.shape[d - lead] == 1;

                assert(is_still || from->type.shape[d - lead] == extent);
                if (extent > 1)
                        push(&c, extent, is_still ? 0 : from->strides[d - lead], to->strides[d]);
        }
        merge(&c);
        while (c.ndim < 2) /* one column after another, in one row */
                push(&c, 1, 0, c.ndim ? INT64_MAX : (int64_t)c.to_size);
        c.is_across = choose_rows(&c);
        cut(&c);
        *copy = c;
}

/* By measurement: 6 GB/s on one thread. */
uint64_t copy_cost_ns(const struct copy *c)
{
        return (uint64_t)c->n_bytes / (c->load ? 3 : 6) + 20 * (uint64_t)c->n_units;
}

/* ---- running ---- */

struct pass {
        const struct copy *copy;
        const struct run *run;
        const char *from;
        char *to;
        atomic_bool is_stopped;
};

static void convert_plane(const struct copy *c, int64_t n_rows, int64_t n_columns, const char *from,
                          char *to)
{
        const unsigned last = c->ndim - 1;
        const int64_t size = (int64_t)c->to_size;
        _Alignas(64) char tile[TILE * sizeof(struct item_16)];

        for (int64_t row = 0; row < n_rows; row++) {
                const char *f = from + row * c->from[last - 1];
                char *t = to + row * c->to[last - 1];

                for (int64_t i = 0, n; i < n_columns; i += n) {
                        bool is_dense = c->to[last] == size;

                        n = n_columns - i < TILE ? n_columns - i : TILE;
                        c->load((size_t)n, is_dense ? t + i * size : tile, f + i * c->from[last],
                                c->from[last]);
                        if (!is_dense)
                                c->plane(1, n, tile, 0, size, t + i * c->to[last], 0, c->to[last]);
                }
        }
}

static void run_unit(const struct pass *pass, const int64_t *at, int64_t band, int64_t piece)
{
        const struct copy *c = pass->copy;
        const unsigned last = c->ndim - 1;
        const int64_t row = band * c->band, column = piece * c->piece;
        int64_t n_rows = c->shape[last - 1] - row, n_columns = c->shape[last] - column;
        const char *from = pass->from + row * c->from[last - 1] + column * c->from[last];
        char *to = pass->to + column * c->to[last];

        if (row > 0)
                to += row * c->to[last - 1];
        for (unsigned d = 0; d + 2 < c->ndim; d++) {
                from += at[d] * c->from[d];
                to += at[d] * c->to[d];
        }
        n_rows = n_rows < c->band ? n_rows : c->band;
        n_columns = n_columns < c->piece ? n_columns : c->piece;
        if (c->load) {
                convert_plane(c, n_rows, n_columns, from, to);
        } else if (c->from[last] == (int64_t)c->to_size && c->to[last] == (int64_t)c->to_size &&
                   n_columns >= 32 && c->plane != plane_bool) {
                for (int64_t i = 0; i < n_rows; i++)
                        memcpy(to + (i ? i * c->to[last - 1] : 0), from + i * c->from[last - 1],
                               (size_t)n_columns * c->to_size);
        } else if (c->is_across || n_columns <= BLOCK) {
                c->plane(n_rows, n_columns, from, c->from[last - 1], c->from[last], to,
                         n_rows > 1 ? c->to[last - 1] : 0, c->to[last]);
        } else {
                for (int64_t i = 0; i < n_rows; i++)
                        c->plane(1, n_columns, from + i * c->from[last - 1], 0, c->from[last],
                                 to + (i ? i * c->to[last - 1] : 0), 0, c->to[last]);
        }
}

static void run_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct copy *c = pass->copy;
        int64_t unit = (int64_t)chunk * c->n_chunk, rest = unit, at[TD_NDIM_MAX + 2] = { 0 };
        int64_t n = c->n_units - unit < c->n_chunk ? c->n_units - unit : c->n_chunk, band, piece;

        if (atomic_load_explicit(&pass->is_stopped, memory_order_relaxed))
                return;
        if (run_should_stop(pass->run)) {
                atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
                return;
        }
        piece = rest % c->n_pieces;
        rest /= c->n_pieces;
        band = rest % c->n_bands;
        rest /= c->n_bands;
        for (unsigned d = c->ndim - 2; d-- > 0; rest /= c->shape[d])
                at[d] = rest % c->shape[d];
        for (;;) {
                run_unit(pass, at, band, piece);
                if (--n == 0)
                        return;
                if (++piece < c->n_pieces)
                        continue;
                piece = 0;
                if (++band < c->n_bands)
                        continue;
                band = 0;
                for (unsigned d = c->ndim - 2; d-- > 0; at[d] = 0)
                        if (++at[d] < c->shape[d])
                                break;
        }
}

int copy_run(const struct copy *copy, const struct run *run, const void *from, void *to)
{
        struct pass pass = { .copy = copy,
                             .run = run,
                             .from = (const char *)from + copy->from_offset,
                             .to = (char *)to + copy->to_offset };

        if (copy->n_bytes == 0)
                return 0;
        workers_for(copy->n_bytes < SPREAD_BYTES ? NULL : run_workers(run),
                    (uint64_t)div_up(copy->n_units, copy->n_chunk), run_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}
