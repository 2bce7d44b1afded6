/* SPDX-License-Identifier: MIT */
/*
 * How many threads OpenBLAS takes for a call
 *
 * The library knows one number for the whole process. It is 1, our workers being the threads,
 * except while a single problem of LAPACK runs that was alone when it began. Whatever uses BLAS
 * meanwhile sets it back to 1 first: the problem goes on with one thread from its next call within.
 * So products never see another number, and their bits do not depend on it.
 *
 * Any thread. Every call of BLAS or LAPACK stands between enter and leave.
 */
#pragma once

#include <stdbool.h>

/* Main thread, before all others: the library makes its threads. */
void blas_threads_init(void);

/* n_threads > 1: as many, if nothing else is within. */
void blas_enter(unsigned n_threads);
void blas_leave(void);
