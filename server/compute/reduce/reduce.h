/* SPDX-License-Identifier: MIT */
/*
 * Reductions
 *
 * sum, prod, mean, max, min, var, std, any, all, count_nonzero, argmax, argmin over any set of
 * axes. The order in which elements meet depends on the reduced extent and the dtype alone: not on
 * layout, threads, on which axes they lie, or on whether they come from memory or from an
 * expression.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/step.h"

int reduce_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *arg, const struct desc *result);

/* Is it one that an expression can end in? */
bool reduce_can(enum td_op op);
/*
 * The same of a value of an expression, over the shape that its leaves broadcast to; the step's
 * arguments are the leaves. The expression gets its result, and perhaps a conversion, here.
 */
int reduce_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                  struct expr *expr, uint8_t value, const struct td_type *shape,
                  const struct desc *result);
