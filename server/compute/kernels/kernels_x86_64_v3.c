/* SPDX-License-Identifier: MIT */
/* The kernels for x86-64-v3 (AVX2): vectors of 32 bytes, the mathematics of libmvec. */
#define KERNELS kernels_x86_64_v3
#define KERNELS_ISA "x86-64-v3"
#define VEC 32
#define MATH_FLOAT64(arguments, name) _ZGVdN4##arguments##_##name
#define MATH_FLOAT32(arguments, name) _ZGVdN8##arguments##_##name
#include "compute/kernels/kernels.inc"
