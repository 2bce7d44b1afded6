/* SPDX-License-Identifier: MIT */
/*
 * Spaces of indexing
 *
 * The dimensions of what is indexed by arrays of integers, and how source, target and arrays move
 * along them; a range of its points is walked in tiles along the last dimension. The indexed side
 * (the source of take, the target of put) stands still along indexed axes: there, indices say
 * where.
 */
#pragma once

#include "compute/step.h"

#define GATHER_TILE 512

struct gather_index {
        int64_t offset;
        int64_t strides[TD_NDIM_MAX + 1];
        unsigned dtype;
        int axis;       /* of x, for messages */
        int64_t extent; /* of that axis */
        int64_t item;   /* bytes along it */
};

struct gather_space {
        unsigned ndim; /* at least 1 */
        int64_t n;
        bool is_of_nothing; /* x has no element: only whether indices are in range is asked */
        int64_t from_offset, to_offset;
        int64_t shape[TD_NDIM_MAX + 1];
        int64_t from[TD_NDIM_MAX + 1];
        int64_t to[TD_NDIM_MAX + 1];
        unsigned n_indices;
        struct gather_index indices[TD_NDIM_MAX];
};

/* The first index that is out of range. */
struct gather_misfit {
        int64_t point; /* INT64_MAX: none */
        int64_t value;
        bool is_unsigned; /* the value is a uint64_t */
        int axis;
        int64_t extent;
};

/* Points that follow one another along the last dimension. */
struct gather_tile {
        int64_t n;
        int64_t from, to; /* bytes, of the first point, offsets of descriptors included */
        int64_t from_step, to_step;
        int64_t offsets[GATHER_TILE]; /* what the indices add to the indexed side */
};

/* take and take_along_axis: result from x. */
void gather_space_init(struct gather_space *space, enum td_op op, const struct td_attrs *attrs,
                       const struct desc *x, const struct desc *result, uint32_t n_indices,
                       const struct desc *indices);
/* put: result from value, which broadcasts. */
void gather_space_init_put(struct gather_space *space, const struct td_attrs *attrs,
                           const struct desc *value, const struct desc *result, uint32_t n_indices,
                           const struct desc *indices);
/*
 * Remove the last dimension if no array of indices moves along it: how many elements a row has
 * then, and how both sides move along it; 1 if there is no such dimension.
 */
int64_t gather_space_take_row(struct gather_space *space, int64_t *fromp, int64_t *top);

/*
 * Points from at on, before end and at most to the end of the last dimension. Those with an index
 * out of range use 0 in its place, and the first of them is noted.
 */
void gather_tile_load(struct gather_tile *tile, const struct gather_space *space,
                      const void *const *indices, int64_t at, int64_t end,
                      struct gather_misfit *misfit);

void gather_refuse(const struct gather_misfit *misfit, const char *name,
                   struct td_refusal *refusal);
