/* SPDX-License-Identifier: MIT */
/*
 * Sums of segments
 *
 * Rows of x that have the same label are added up, in float64. The rows are cut into chunks whose
 * number depends on the shapes alone; within a chunk rows are added in their order, then chunks in
 * theirs, so bits do not depend on threads.
 */
#pragma once

#include "compute/step.h"

/* args: x and labels. A label out of range is refused when the step runs. */
int segment_sum_new(struct step **stepp, const struct desc *args, const struct desc *result);
