/* SPDX-License-Identifier: MIT */
/*
 * Steps that make random numbers
 *
 * An element depends on seed, stream and its index alone.
 */
#pragma once

#include "compute/create/philox.h"
#include "compute/step.h"

int random_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *result);
int permutation_new(struct step **stepp, const struct td_attrs *attrs, const struct desc *result);

/* Seed and stream of the attributes. */
struct philox random_philox(const struct td_attrs *attrs);
