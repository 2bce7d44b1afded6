/* SPDX-License-Identifier: MIT */
/*
 * Steps that sort: sort, argsort, topk
 */
#pragma once

#include "compute/step.h"

int sort_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
             const struct desc *args, const struct desc *results);
