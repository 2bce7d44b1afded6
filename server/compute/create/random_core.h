/* SPDX-License-Identifier: MIT */
/*
 * What random numbers are made of
 *
 * From the words of PHILOX_BLOCKS blocks: two doubles or four floats of each. Pure arithmetic, any
 * thread.
 */
#pragma once

#include "compute/create/philox.h"

/* In [0, 1), multiples of 2^-53: two of each block. */
void random_uniforms(const struct philox_words *words, double *out);
/* In [0, 1), multiples of 2^-24: four of each block. */
void random_uniforms_32(const struct philox_words *words, float *out);
/* Mean 0, variance 1: two of each block. */
void random_normals(const struct philox_words *words, double *out);
