/* SPDX-License-Identifier: MIT */
/*
 * Steps that create
 *
 * zeros, ones, full, arange, eye: an element of the result depends on its index alone.
 */
#pragma once

#include "compute/step.h"

int create_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *result);

/* All elements are one value, known without running: what it is. */
bool create_is_constant(enum td_op op);
union td_scalar create_constant(enum td_op op, const struct td_attrs *attrs, enum td_dtype dtype);
