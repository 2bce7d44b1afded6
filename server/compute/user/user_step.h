/* SPDX-License-Identifier: MIT */
/* Steps of user kernels; see user_kernel.h. */
#pragma once

#include "compute/step.h"
#include "compute/user/user_kernel.h"

/* Inference has passed. 0 or -ENOMEM. */
int user_step_new(struct step **stepp, const struct td_user_op *op, const struct desc *args,
                  const struct desc *results);
