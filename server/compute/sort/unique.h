/* SPDX-License-Identifier: MIT */
/*
 * Steps that find the distinct elements: unique_all, unique_counts, unique_inverse, unique_values
 */
#pragma once

#include "compute/step.h"

/* A counted step, see step_finish(). */
int unique_new(struct step **stepp, enum td_op op, const struct desc *args,
               const struct desc *results);
