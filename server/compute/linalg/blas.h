/* SPDX-License-Identifier: MIT */
/*
 * Matrix products
 *
 * numpy's matmul in all its shape cases, for every dtype. blas.c is the only place that calls BLAS.
 */
#pragma once

#include "compute/step.h"

/* two args */
int matmul_new(struct step **stepp, const struct desc *args, const struct desc *result);
