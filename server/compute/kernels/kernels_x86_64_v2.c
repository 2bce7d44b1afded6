/* SPDX-License-Identifier: MIT */
/* The kernels for x86-64-v2 (SSE4.2): vectors of 16 bytes, the mathematics of libmvec. */
#define KERNELS kernels_x86_64_v2
#define KERNELS_ISA "x86-64-v2"
#define VEC 16
#define MATH_FLOAT64(arguments, name) _ZGVbN2##arguments##_##name
#define MATH_FLOAT32(arguments, name) _ZGVbN4##arguments##_##name
#include "compute/kernels/kernels.inc"
