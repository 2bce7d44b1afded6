/* SPDX-License-Identifier: MIT */
/*
 * Steps that look for elements: searchsorted, isin
 */
#pragma once

#include "compute/step.h"

int search_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *args, const struct desc *results);
