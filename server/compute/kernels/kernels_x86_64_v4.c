/* SPDX-License-Identifier: MIT */
/* The kernels for x86-64-v4 (AVX-512): vectors of 64 bytes, the mathematics of libmvec. */
#define KERNELS kernels_x86_64_v4
#define KERNELS_ISA "x86-64-v4"
#define VEC 64
#define MATH_FLOAT64(arguments, name) _ZGVeN8##arguments##_##name
#define MATH_FLOAT32(arguments, name) _ZGVeN16##arguments##_##name
#include "compute/kernels/kernels.inc"
