/* SPDX-License-Identifier: MIT */
/*
 * What every family of kernels begins with
 *
 * A family is compiled once for each instruction set, with KERNELS_SET (what its global names end
 * in), KERNELS_ISA and, unless the set is the plain one, VEC (bytes of a vector). It lists its
 * kernels in one macro of rows, which is expanded twice: to define them, and in the function
 * KERNELS_FILL(family) to enter them into a set.
 *
 * Loops are left to the vectoriser where any order of instructions gives the same bits; where it
 * would not (libm's functions, sums), vectors are written out.
 */
#pragma once

#include "compute/kernels/kernels.h"

#include <string.h>

/* ---- names ---- */

#define KERNELS_JOIN(a, b) a##_fill_##b
#define KERNELS_NAME(family, set) KERNELS_JOIN(family, set)

/* void arithmetic_fill_v4(struct kernels *kernels) */
#define KERNELS_FILL(family) void KERNELS_NAME(family, KERNELS_SET)(struct kernels * kernels)

#define KERNEL_FAMILY(family) KERNELS_FILL(family);
#include "compute/kernels/families.def"
#undef KERNEL_FAMILY

/* ---- types ---- */

/* at_: the same in memory that need not be aligned */
#define AT __attribute__((aligned(1), may_alias))
#define TD_DTYPE(sym, name, kind, ctype, size, npy)                                                \
        typedef ctype type_##sym;                                                                  \
        typedef ctype at_##sym AT;
#include "tensord/dtypes.def"
#undef TD_DTYPE

/* a complex number in memory that need not be aligned, and one of its parts */
typedef struct __attribute__((packed, may_alias)) {
        float re, im;
} parts_COMPLEX64;
typedef struct __attribute__((packed, may_alias)) {
        double re, im;
} parts_COMPLEX128;
typedef float part_COMPLEX64 AT;
typedef double part_COMPLEX128 AT;

/* what arithmetic is done in: it wraps, and no narrower than int, to which C would promote */
typedef uint32_t wide_INT8, wide_INT16, wide_INT32, wide_UINT8, wide_UINT16, wide_UINT32;
typedef uint64_t wide_INT64, wide_UINT64;
typedef uint8_t wide_BOOL;
typedef float wide_FLOAT32;
typedef double wide_FLOAT64;

/* a bool may be any byte in memory */
#define READ_BOOL(x) ((uint8_t)((x) != 0))
#define READ_INT8(x) (x)
#define READ_INT16(x) (x)
#define READ_INT32(x) (x)
#define READ_INT64(x) (x)
#define READ_UINT8(x) (x)
#define READ_UINT16(x) (x)
#define READ_UINT32(x) (x)
#define READ_UINT64(x) (x)
#define READ_FLOAT32(x) (x)
#define READ_FLOAT64(x) (x)

/* ---- lists of dtypes: X(dtype, what else was given) ---- */

#define BOOLS(X, ...) X(BOOL, __VA_ARGS__)
#define SIGNED(X, ...)                                                                             \
        X(INT8, __VA_ARGS__) X(INT16, __VA_ARGS__) X(INT32, __VA_ARGS__) X(INT64, __VA_ARGS__)
#define UNSIGNED(X, ...)                                                                           \
        X(UINT8, __VA_ARGS__) X(UINT16, __VA_ARGS__) X(UINT32, __VA_ARGS__) X(UINT64, __VA_ARGS__)
#define INTEGERS(X, ...) SIGNED(X, __VA_ARGS__) UNSIGNED(X, __VA_ARGS__)
#define FLOATS(X, ...) X(FLOAT32, __VA_ARGS__) X(FLOAT64, __VA_ARGS__)
#define REALS(X, ...) INTEGERS(X, __VA_ARGS__) FLOATS(X, __VA_ARGS__)
#define COMPLEXES(X, ...) X(COMPLEX64, __VA_ARGS__) X(COMPLEX128, __VA_ARGS__)

/* of the two types of floats */
#define FABS(x) _Generic((x), float : __builtin_fabsf, double : __builtin_fabs)(x)

/* the dtype of a result, by that computed in */
#define SAME(T) T
#define TO_BOOL(T) BOOL

/* ---- kernels from an expression ---- */

/*
 * Of a (and b), values of the dtype computed in, whose type is called type; wide is what arithmetic
 * is done in.
 */
#define KERNEL_TYPES(T)                                                                            \
        typedef type_##T type __attribute__((unused));                                             \
        typedef wide_##T wide __attribute__((unused));

#define KERNEL_UNARY(T, op, R, ...) KERNEL_UNARY_(T, op, R(T), __VA_ARGS__)
#define KERNEL_UNARY_(T, op, R, ...) KERNEL_UNARY__(T, op, R, __VA_ARGS__)
#define KERNEL_UNARY__(T, op, R, ...)                                                              \
        static unsigned unary_##op##_##T(size_t n, void *out, const void *x)                       \
        {                                                                                          \
                KERNEL_TYPES(T)                                                                    \
                at_##R *o = out;                                                                   \
                const at_##T *xs = x;                                                              \
                                                                                                   \
                _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                                \
                {                                                                                  \
                        const type a = READ_##T(xs[i]);                                            \
                                                                                                   \
                        o[i] = (at_##R)(__VA_ARGS__);                                              \
                }                                                                                  \
                return 0;                                                                          \
        }

#define KERNEL_BINARY(T, op, R, ...) KERNEL_BINARY_(binary_##op##_##T, T, T, R(T), __VA_ARGS__)
#define KERNEL_MIXED(op, ...) KERNEL_BINARY_(mixed_##op, INT64, UINT64, BOOL, __VA_ARGS__)
#define KERNEL_BINARY_(name, T, T2, R, ...)                                                        \
        KERNEL_BINARY_FORM(name##_VV, T, T2, R, READ_##T(as[i]), READ_##T2(bs[i]), __VA_ARGS__)    \
        KERNEL_BINARY_FORM(name##_VS, T, T2, R, READ_##T(as[i]), b0, __VA_ARGS__)                  \
        KERNEL_BINARY_FORM(name##_SV, T, T2, R, a0, READ_##T2(bs[i]), __VA_ARGS__)
#define KERNEL_BINARY_FORM(name, T, T2, R, index1, index2, ...)                                    \
        static unsigned name(size_t n, void *out, const void *x1, const void *x2)                  \
        {                                                                                          \
                KERNEL_TYPES(T)                                                                    \
                at_##R *o = out;                                                                   \
                const at_##T *as = x1;                                                             \
                const at_##T2 *bs = x2;                                                            \
                const type a0 = READ_##T(as[0]);                                                   \
                const type_##T2 b0 = READ_##T2(bs[0]);                                             \
                                                                                                   \
                (void)a0;                                                                          \
                (void)b0;                                                                          \
                _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                                \
                {                                                                                  \
                        const type a = index1;                                                     \
                        const type_##T2 b = index2;                                                \
                                                                                                   \
                        o[i] = (at_##R)(__VA_ARGS__);                                              \
                }                                                                                  \
                return 0;                                                                          \
        }

/* entering them into the set */
#define ENTER_UNARY(T, op, ...) kernels->unary[TD_OP_##op][TD_##T] = unary_##op##_##T;
#define ENTER_BINARY(T, op, ...)                                                                   \
        kernels->binary[TD_OP_##op][TD_##T][KERNEL_VV] = binary_##op##_##T##_VV;                   \
        kernels->binary[TD_OP_##op][TD_##T][KERNEL_VS] = binary_##op##_##T##_VS;                   \
        kernels->binary[TD_OP_##op][TD_##T][KERNEL_SV] = binary_##op##_##T##_SV;
#define ENTER_MIXED(op, ...)                                                                       \
        kernels->mixed[TD_OP_##op][KERNEL_VV] = mixed_##op##_VV;                                   \
        kernels->mixed[TD_OP_##op][KERNEL_VS] = mixed_##op##_VS;                                   \
        kernels->mixed[TD_OP_##op][KERNEL_SV] = mixed_##op##_SV;
#define ENTER_PADDED(T, op, ...) kernels->is_padded[TD_OP_##op][TD_##T] = true;

/* ---- vectors, where they are written out ---- */

#ifdef VEC
#define VECTOR(bytes) __attribute__((vector_size(bytes), aligned(1), may_alias))
#define VECTORS(size) (KERNEL_LANES * (size) / VEC) /* that make KERNEL_LANES elements */
typedef int64_t vec_INT64 VECTOR(VEC);
typedef uint64_t vec_UINT64 VECTOR(VEC);
typedef float vec_FLOAT32 VECTOR(VEC);
typedef double vec_FLOAT64 VECTOR(VEC);
typedef int64_t mask_INT64 VECTOR(VEC);
typedef int32_t mask_FLOAT32 VECTOR(VEC);
typedef int64_t mask_FLOAT64 VECTOR(VEC);
#define SELECT(T, mask, a, b) ((vec_##T)(((mask) & (mask_##T)(a)) | (~(mask) & (mask_##T)(b))))
#define SPLAT(T, x) ((x) - (vec_##T){ 0 }) /* keeps -0.0 */
#else
#define VECTORS(size) KERNEL_LANES
typedef int64_t vec_INT64 AT;
typedef uint64_t vec_UINT64 AT;
typedef float vec_FLOAT32 AT;
typedef double vec_FLOAT64 AT;
#define SELECT(T, mask, a, b) ((mask) ? (a) : (b))
#define SPLAT(T, x) (x)
#endif

/* a function of libmvec with that many arguments ("v", "vv"), for a whole vector; of libm for the
 * plain set */
#ifndef VEC
#define MATH_FLOAT64(arguments, name) name
#define MATH_FLOAT32(arguments, name) name
#elif VEC == 16
#define MATH_FLOAT64(arguments, name) _ZGVbN2##arguments##_##name
#define MATH_FLOAT32(arguments, name) _ZGVbN4##arguments##_##name
#elif VEC == 32
#define MATH_FLOAT64(arguments, name) _ZGVdN4##arguments##_##name
#define MATH_FLOAT32(arguments, name) _ZGVdN8##arguments##_##name
#else
#define MATH_FLOAT64(arguments, name) _ZGVeN8##arguments##_##name
#define MATH_FLOAT32(arguments, name) _ZGVeN16##arguments##_##name
#endif
