/* SPDX-License-Identifier: MIT */
/*
 * Cuts
 *
 * How a reduction is shared among threads: tiles of neighbouring results, some of them an item
 * that a thread takes at a time; and, where results are few, chunks of the reduced extent, which
 * are whole blocks, a power of two of them. Results do not depend on it.
 */
#pragma once

#include "compute/reduce/feed.h"

struct cuts {
        int64_t width;       /* results of one tile */
        int64_t n_row_tiles; /* by columns: tiles along the last kept dimension */
        int64_t n_tiles, n_item_tiles, n_items;
        int64_t chunk, n_chunks;
};

struct cut {
        int64_t first_tile, last_tile; /* the last is not part of it */
        int64_t chunk, begin, end;     /* elements of each result */
};

/* size: bytes of what is kept of a result; level: how many bytes of a tile's results may be. */
void cuts_init(struct cuts *cuts, const struct feed *feed, int64_t size, int64_t level);
/* Item n_items * n_chunks of them. */
struct cut cuts_item(const struct cuts *cuts, const struct feed *feed, uint64_t item);
/* The tile's first result, and how many. */
int64_t cuts_tile(const struct cuts *cuts, const struct feed *feed, int64_t tile, int64_t *np);
