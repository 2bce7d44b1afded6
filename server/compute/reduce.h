/* SPDX-License-Identifier: MIT */
/*
 * Reductions
 *
 * sum, mean, max, min over any set of axes. The order in which elements meet depends on the reduced
 * extent and the dtype alone: not on layout, threads, or on which axes they lie.
 */
#pragma once

#include "compute/step.h"

int reduce_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *arg, const struct desc *result);
