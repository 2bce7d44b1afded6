/* SPDX-License-Identifier: MIT */
/*
 * Bands
 *
 * Windows of whole rows follow one another. What is still wanted of one when the next is copied is
 * moved to just before it. Any thread.
 */
#include "compute/reduce/band.h"

#include <string.h>

#define LINE 64
#define ROWS_LEAST 8 /* fewer, and lines are not used up */
#define ROWS_MOST 64
#define PIECE 16 /* columns copied while those behind are fetched */

bool bands_init(struct bands *bands, const struct space *space, unsigned leaf, unsigned dtype)
{
        const int64_t *strides = space->strides[leaf];
        const unsigned last = space->ndim - 1;
        int64_t least;

        if (space->ndim < 2)
                return false;
        least = llabs(strides[last]);
        *bands = (struct bands){
                .space = space,
                .plane = copy_plane_of(dtype),
                .leaf = leaf,
                .dim = last,
                .n_row = 1,
                .n_rows = ROWS_MOST,
                .item_size = td_dtype_size(dtype),
        };
        if (least < LINE)
                return false;
        for (unsigned d = 0; d < last; d++) {
                if (strides[d] == 0 || llabs(strides[d]) >= least || space->shape[d] < ROWS_LEAST)
                        continue;
                least = llabs(strides[d]);
                bands->dim = d;
        }
        for (unsigned d = bands->dim + 1; d <= last; d++)
                bands->n_row *= space->shape[d];
        while (bands->n_rows >= ROWS_LEAST &&
               bands->n_rows > BAND_WINDOW_BYTES / bands->item_size / bands->n_row)
                bands->n_rows /= 2;
        return bands->dim < last && bands->n_rows >= ROWS_LEAST;
}

void band_begin(struct band *band, const struct bands *bands, const char *leaf, char *memory)
{
        *band = (struct band){ .bands = bands, .leaf = leaf, .memory = memory };
}

/* No two columns lie on one page, perhaps, so the processor does not guess which is next. */
static void ask(const char *from, int64_t n_rows, int64_t row, int64_t n_columns, int64_t column)
{
        const int64_t step = llabs(row) < LINE ? LINE : row, n_bytes = n_rows * llabs(row);

        if (row < 0 && step == LINE)
                from -= n_bytes;
        for (; n_columns > 0; n_columns--, from += column)
                for (int64_t i = 0; i < n_bytes; i += llabs(step))
                        __builtin_prefetch(from + (step < 0 ? -i : i), 0, 2);
}

/* Copy a plane whose columns lie apart, and whose rows are dense in the target. */
static void copy_plane_ahead(copy_plane *plane, int64_t n_rows, int64_t n_columns, const char *from,
                             int64_t row, int64_t column, char *to, int64_t to_row, int64_t size)
{
        for (int64_t c = 0, n; c < n_columns; c += n, from += n * column, to += n * size) {
                int64_t left = n_columns - c;

                n = left < PIECE ? left : PIECE;
                left -= n;
                ask(from + n * column, n_rows, row, left < PIECE ? left : PIECE, column);
                plane(n_rows, n, from, row, column, to, to_row, size);
        }
}

/* Copy rows from the given one on, up to the end of its window; returns how many. */
static int64_t copy_rows(const struct band *band, int64_t row, char *to)
{
        const struct bands *b = band->bands;
        const struct space *s = b->space;
        const int64_t *strides = s->strides[b->leaf];
        const unsigned last = s->ndim - 1;
        const int64_t extent = s->shape[b->dim], at = row % extent, n_columns = s->shape[last];
        int64_t n = b->n_rows - at % b->n_rows;
        const char *from = band->leaf + at * strides[b->dim];

        n = n < extent - at ? n : extent - at;
        row /= extent;
        for (unsigned d = b->dim; d-- > 0; row /= s->shape[d])
                from += row % s->shape[d] * strides[d];
        for (int64_t i = 0; i < b->n_row; i += n_columns) {
                int64_t rest = i / n_columns, offset = 0;

                for (unsigned d = last; --d > b->dim; rest /= s->shape[d])
                        offset += rest % s->shape[d] * strides[d];
                copy_plane_ahead(b->plane, n, n_columns, from + offset, strides[b->dim],
                                 strides[last], to + i * b->item_size, b->n_row * b->item_size,
                                 b->item_size);
        }
        return n;
}

const char *band_read(struct band *band, int64_t index, int64_t n)
{
        const struct bands *b = band->bands;
        char *window = band->memory + BAND_MOST * 16;

        if (index < band->begin || index > band->end)
                band->begin = band->middle = band->end = index / b->n_row * b->n_row;
        while (band->end < index + n) {
                int64_t left = band->end > index ? band->end - index : 0;

                memmove(window - left * b->item_size,
                        window + (index - band->middle) * b->item_size,
                        (size_t)(left * b->item_size));
                band->begin = band->end - left;
                band->middle = band->end;
                band->end += copy_rows(band, band->end / b->n_row, window) * b->n_row;
        }
        return window + (index - band->middle) * b->item_size;
}
