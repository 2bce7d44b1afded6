/* SPDX-License-Identifier: MIT */
/*
 * Iteration spaces
 *
 * The elements of a result in C order, and how operands move along: extents of 1 dropped,
 * neighbouring dimensions merged wherever all operands allow it. What is left of a dense or scalar
 * operation is one dimension, or none. Pure arithmetic; loading touches data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "compute/kernels/kernels.h"
#include "tensor/desc.h"

#define SPACE_OPERANDS_MAX 24

struct space {
        unsigned ndim; /* 0: one element */
        unsigned n_operands;
        int64_t n; /* elements; 0 if there are none, whatever ndim says */
        int64_t shape[TD_NDIM_MAX];
        int64_t strides[SPACE_OPERANDS_MAX][TD_NDIM_MAX]; /* bytes; a copy may end with the last
                                                             operand's row */
};

/* The bytes of a space that are not 0 or beyond the last operand. */
size_t space_n_bytes(const struct space *space);
/* Operands broadcast to the shape; their offsets are not part of the space. */
void space_init(struct space *space, unsigned ndim, const int64_t *shape, unsigned n_operands,
                const struct desc *operands);
/* The same with the dimensions in another order: order[0] is the slowest. */
void space_init_ordered(struct space *space, unsigned ndim, const int64_t *shape,
                        const uint8_t *order, unsigned n_operands, const struct desc *operands);
/* Append a dimension, slower ones first, to a space begun with ndim 0 and n 1; then fold. */
void space_push(struct space *space, int64_t extent, const int64_t *strides);
void space_fold(struct space *space);

/* The operand lies dense in the order of the space; or it is one element for the whole of it. */
bool space_is_dense(const struct space *space, unsigned operand, int64_t item_size);
bool space_is_scalar(const struct space *space, unsigned operand);

/* Bytes from the operand's first element to that of the given index in the space. */
ptrdiff_t space_offset(const struct space *space, unsigned operand, int64_t index);

/* Load n > 0 elements of the operand, from the given index on, into contiguous items of item_size
 * bytes. */
void space_load(const struct space *space, unsigned operand, kernel_load *load, size_t item_size,
                const void *base, int64_t index, size_t n, void *out);

/* One operand, element by element through the space. */
struct walk {
        const struct space *space;
        unsigned operand;
        const char *p;
        int64_t at[TD_NDIM_MAX];
};

void walk_init(struct walk *walk, const struct space *space, unsigned operand, const char *base,
               int64_t index);
void walk_carry(struct walk *walk);

/* May step one behind the last element. */
static inline void walk_next(struct walk *walk)
{
        unsigned last = walk->space->ndim - 1;

        if (walk->space->ndim == 0)
                return;
        walk->p += walk->space->strides[walk->operand][last];
        if (++walk->at[last] == walk->space->shape[last])
                walk_carry(walk);
}
