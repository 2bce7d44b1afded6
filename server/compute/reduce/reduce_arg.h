/* SPDX-License-Identifier: MIT */
/*
 * Where an extremum is: argmax, argmin
 *
 * Over all axes, in C order, or along one. The first NaN, else the first of equals.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/step.h"

/* Of a value of an expression, as reduce_new_of(). The result is dense. */
int reduce_arg_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                      struct expr *expr, uint8_t value, const struct td_type *shape,
                      const struct desc *result);
