/* SPDX-License-Identifier: MIT */
/*
 * Steps that index by arrays of integers
 *
 * take, take_along_axis and put. Indices may be changed by others while they are read: each is
 * copied to private memory, checked there, and used from there.
 */
#pragma once

#include "compute/step.h"

int take_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs, uint32_t n_args,
             const struct desc *args, const struct desc *result);
/* As assign_new(): the result may lie in the memory of args[0]. */
int put_new(struct step **stepp, const struct td_attrs *attrs, uint32_t n_args,
            const struct desc *args, const struct desc *result);
