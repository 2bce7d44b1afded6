/* SPDX-License-Identifier: MIT */
/*
 * Element-wise steps
 *
 * Everything of ops.def whose element of the result depends on one element of each operand, and
 * copies.
 */
#pragma once

#include "compute/step.h"

/* The operation computes in this dtype; operands of others are converted on load (the condition of
 * where aside). */
int elementwise_new(struct step **stepp, enum td_op op, unsigned n_args, const struct desc *args,
                    const struct desc *result);
/* Conversion to the dtype of the result, which is dense. */
int elementwise_new_copy(struct step **stepp, const struct desc *arg, const struct desc *result);
