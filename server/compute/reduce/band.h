/* SPDX-License-Identifier: MIT */
/*
 * Bands
 *
 * A leaf whose fastest dimension is not the last of those that are reduced, as in the sum of all of
 * a matrix in F order: element by element, each cache line would be read once for each of its
 * elements. So some rows along that dimension are copied to memory where they lie in C order, and
 * read there; the order of the elements is the same.
 */
#pragma once

#include "compute/copy/copy.h"
#include "compute/space.h"

enum {
        BAND_MOST = 8 * KERNEL_BLOCK, /* elements that are read at a time */
        BAND_WINDOW_BYTES = 512 * 1024,
        BAND_BYTES = BAND_WINDOW_BYTES + BAND_MOST * 16,
};

/* How a leaf is read; const once it is made. */
struct bands {
        const struct space *space;
        copy_plane *plane;
        unsigned leaf;
        unsigned dim;  /* of rows */
        int64_t n_row; /* elements of one */
        int64_t n_rows;
        int64_t item_size;
};

/* What a thread has copied: elements [begin, end), of which those from middle on came last. */
struct band {
        const struct bands *bands;
        const char *leaf;
        char *memory;
        int64_t begin, middle, end;
};

/* Is it worth it? The space is that of the reduced dimensions. */
bool bands_init(struct bands *bands, const struct space *space, unsigned leaf, unsigned dtype);

/* leaf: the first element; memory: BAND_BYTES of it. */
void band_begin(struct band *band, const struct bands *bands, const char *leaf, char *memory);
/* Elements [index, index + n), n <= BAND_MOST, contiguous; fastest in ascending order. */
const char *band_read(struct band *band, int64_t index, int64_t n);
