/* SPDX-License-Identifier: MIT */
/*
 * Linear algebra
 *
 * solve and cholesky for stacks of matrices (lapack.c), least squares (lapack_lstsq.c). The Fortran
 * interface of LAPACK, one thread a call; integers and bool compute as float64.
 */
#pragma once

#include "compute/step.h"

/* solve and cholesky */
int lapack_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *args, const struct desc *result);

/* four results */
int lstsq_new(struct step **stepp, const struct td_attrs *attrs, const struct desc *args,
              const struct desc *results);
