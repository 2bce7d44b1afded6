/* SPDX-License-Identifier: MIT */
/*
 * Towers
 *
 * Blocks, folded to an accumulator each, are combined pairwise in a tree that their number alone
 * defines. A tower holds the subtrees that wait for their right neighbour: level i that of 2 ** i
 * blocks, of each of width results. What is combined is whole before it is combined, so a tower
 * can be built on one built elsewhere, of the blocks before.
 */
#pragma once

#include <string.h>

#include "compute/kernels/kernels.h"

enum {
        TOWER_LEVELS = 54,        /* KERNEL_BLOCK << TOWER_LEVELS exceeds an int64_t */
        TOWER_LEVEL_BYTES = 4096, /* of width accumulators, at most */
};

struct tower {
        const struct kernel_fold *fold;
        size_t width;
        size_t level_bytes;
        uint64_t n_blocks;
        _Alignas(64) char levels[TOWER_LEVELS * TOWER_LEVEL_BYTES];
};

static inline void tower_begin(struct tower *tower, const struct kernel_fold *fold, size_t width)
{
        tower->fold = fold;
        tower->width = width;
        tower->level_bytes = width * (size_t)td_dtype_size(fold->accumulator);
        tower->n_blocks = 0;
}

/* Takes the values of the next block, and writes over them. */
static inline void tower_push(struct tower *tower, char *values)
{
        char *level = tower->levels;

        for (uint64_t n = tower->n_blocks; n & 1; n >>= 1, level += tower->level_bytes)
                tower->fold->combine(tower->width, values, level, values);
        memcpy(level, values, tower->level_bytes);
        tower->n_blocks++;
}

/* What is left, smallest first; has_values: they hold a subtree that ends the extent. */
static inline void tower_finish(struct tower *tower, char *values, bool has_values)
{
        char *level = tower->levels;

        for (uint64_t n = tower->n_blocks; n; n >>= 1, level += tower->level_bytes) {
                if (!(n & 1))
                        continue;
                if (has_values)
                        tower->fold->combine(tower->width, values, level, values);
                else
                        memcpy(values, level, tower->level_bytes);
                has_values = true;
        }
}
