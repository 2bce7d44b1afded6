/* SPDX-License-Identifier: MIT */
/*
 * Linear algebra
 *
 * LAPACK by its Fortran interface, for stacks of matrices: factors (lapack_factor.c), systems
 * (lapack_solve.c), eigenvalues (lapack_eigen.c), singular values (lapack_svd.c), on a frame that
 * they share (lapack.c); least squares (lapack_lstsq.c). Integers and bool compute as float64.
 *
 * The matrices of a stack are spread over the workers, one thread each. A single large matrix gets
 * all threads of OpenBLAS that its job may have if nothing else runs when it begins
 * (blas_threads.h); its last bits then depend on how many there are.
 */
#pragma once

#include "compute/step.h"

struct lapack;

int lapack_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs, unsigned n_args,
               const struct desc *args, const struct desc *results);
