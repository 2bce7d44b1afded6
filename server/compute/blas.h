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

/* Called before the first use of BLAS or LAPACK: one thread a caller. Any thread, any number of
 * times. */
void blas_init(void);
