/* SPDX-License-Identifier: MIT */
/* The plain kernels: no vectors, the mathematics of libm. */
#define KERNELS kernels_plain
#define KERNELS_ISA "plain"
#include "compute/kernels/kernels.inc"
