/* SPDX-License-Identifier: MIT */
/*
 * Scans: cumulative_sum, cumulative_prod
 *
 * Along one axis, cut into blocks of SCAN_BLOCK elements: within a block elements are folded one
 * after the other, and what was reached at the end of the block before is then folded with each.
 * Integers in 64 bits, float32 in float64, complex64 in complex128, rounded where they are stored.
 * So bits depend neither on threads nor on layout, and sums of what is not negative never fall.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/step.h"

#define SCAN_BLOCK 256

int cumulative_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                   const struct desc *arg, const struct desc *result);
/* The same of a value of an expression, over the shape that its leaves, the step's arguments,
 * broadcast to. The expression gets its result here. */
int cumulative_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                      struct expr *expr, uint8_t value, const struct td_type *shape,
                      const struct desc *result);
/* Would each element be wanted twice? */
bool cumulative_reads_twice(const struct td_attrs *attrs, const struct td_type *type);
