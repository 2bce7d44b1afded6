/* SPDX-License-Identifier: MIT */
/*
 * Steps that select: nonzero, and the parts of an array where a mask is true
 */
#pragma once

#include "compute/step.h"

/* Counted steps, see step_finish(). 0 or -ENOMEM. */
int select_new(struct step **stepp, enum td_op op, const struct desc *args,
               const struct desc *results);
