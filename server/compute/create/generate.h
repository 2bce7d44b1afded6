/* SPDX-License-Identifier: MIT */
/*
 * Generators as expressions
 *
 * arange, linspace, eye, and the masks of tril and triu, written as operations on the indices of
 * their elements: the same bits as their steps make, and no memory. The caller provides the
 * indices, under whatever view the elements are wanted.
 */
#pragma once

#include "compute/region/expr.h"

enum {
        GENERATE_INDICES_MAX = 2,
        GENERATE_NODES = 4, /* what one takes of the operations that an expression may have */
};

/* An operation without operands that is one. */
bool generate_can(enum td_op op, enum td_dtype dtype);
/* Nanoseconds for 1000 elements in cache. */
enum { GENERATE_COST = 1500 };

/* How many indices it wants, tril and triu too; and each of them, for a result of that type. */
unsigned generate_n_indices(enum td_op op);
void generate_index(enum td_op op, const struct td_type *type, unsigned i, struct desc *index);

uint8_t generate_write(struct expr *expr, enum td_op op, const struct td_attrs *attrs,
                       const struct td_type *type, const uint8_t *indices);
/* x where tril or triu keep it, else zero */
uint8_t generate_triangle(struct expr *expr, enum td_op op, const struct td_attrs *attrs,
                          const struct td_type *type, const uint8_t *indices, uint8_t x);
