/* SPDX-License-Identifier: MIT */
/*
 * Cuts
 *
 * Items are long enough that taking one costs nothing beside, and enough of them that threads end
 * together.
 */
#include "compute/reduce/cuts.h"

#include "compute/step_base.h"

#define ITEM 16384              /* elements that a thread takes at a time, at least */
#define ITEM_BYTES (256 * 1024) /* what a thread reads at a time, if there is enough for all */
#define ITEMS_WANTED 32         /* fewer, and the reduced extent is cut too */
#define CHUNKS_MAX 4096

/* Elements of each result that a chunk has at least. */
static int64_t least_chunk(const struct feed *feed)
{
        const int64_t wanted = ITEM_BYTES / (int64_t)feed->item_size,
                      there = feed->n_over / (2 * ITEMS_WANTED);
        const int64_t least = wanted < there ? wanted : there;

        if (feed->is_banded) /* the last band of a chunk is read in part */
                return 4 * feed->bands.n_rows * feed->bands.n_row;
        return least > 2 * ITEM ? least : 2 * ITEM;
}

void cuts_init(struct cuts *cuts, const struct feed *feed, int64_t size, int64_t level)
{
        const int64_t n_over = feed->n_over, columns = feed_columns(feed);
        const int64_t least = least_chunk(feed);

        cuts->width = 1;
        if (feed->width > 0) {
                cuts->width = columns < feed->width ? columns : feed->width;
                cuts->width = cuts->width * size < level ? cuts->width : level / size;
                cuts->n_row_tiles = div_up(columns, cuts->width);
                cuts->n_tiles = feed->n_results / columns * cuts->n_row_tiles;
        } else {
                if (feed->is_short)
                        cuts->width = feed->most / n_over;
                cuts->width = cuts->width < FEED_COLUMNS ? cuts->width : FEED_COLUMNS;
                cuts->n_tiles = div_up(feed->n_results, cuts->width);
        }
        cuts->n_item_tiles = div_up(div_up(ITEM, n_over), cuts->width);
        cuts->n_items = div_up(cuts->n_tiles, cuts->n_item_tiles);

        cuts->chunk = n_over;
        cuts->n_chunks = 1;
        if (cuts->n_items >= ITEMS_WANTED || n_over <= 2 * KERNEL_BLOCK)
                return;
        cuts->chunk = KERNEL_BLOCK;
        while (cuts->chunk < n_over &&
               (cuts->chunk * cuts->width < least || div_up(n_over, cuts->chunk) > CHUNKS_MAX))
                cuts->chunk *= 2;
        cuts->n_chunks = div_up(n_over, cuts->chunk);
}

struct cut cuts_item(const struct cuts *cuts, const struct feed *feed, uint64_t item)
{
        struct cut cut = { .first_tile = (int64_t)item % cuts->n_items * cuts->n_item_tiles,
                           .chunk = (int64_t)item / cuts->n_items };

        cut.last_tile = cut.first_tile + cuts->n_item_tiles;
        cut.last_tile = cut.last_tile < cuts->n_tiles ? cut.last_tile : cuts->n_tiles;
        cut.begin = cut.chunk * cuts->chunk;
        cut.end = feed->n_over - cut.begin < cuts->chunk ? feed->n_over : cut.begin + cuts->chunk;
        return cut;
}

int64_t cuts_tile(const struct cuts *cuts, const struct feed *feed, int64_t tile, int64_t *np)
{
        int64_t result = tile * cuts->width, n = feed->n_results - result;

        if (feed->width > 0) {
                const int64_t columns = feed_columns(feed);

                result = tile % cuts->n_row_tiles * cuts->width;
                n = columns - result;
                result += tile / cuts->n_row_tiles * columns;
        }
        *np = n < cuts->width ? n : cuts->width;
        return result;
}
