/* SPDX-License-Identifier: MIT */
/*
 * Loads: strided elements of one dtype as dense ones of another
 *
 * Every conversion is defined, and the same in every set. Integers wrap. Floats are cut off towards
 * zero; what an integer cannot hold, and NaN, become
 *     int64, int32: the most negative one;
 *     int16, int8, uint16, uint8: what becomes of them as int32, which then wraps;
 *     uint32: what becomes of them as int64, which then wraps; uint64 likewise below 2^63 and from
 *     2^64 on.
 * as processors with 64 bits mostly have it. Of a complex number that becomes real, the imaginary
 * part is dropped; as bool, it is whether it differs from 0.
 */
#include "compute/kernels/set.h"

#define TO_INT32(x) ((x) >= -0x1p31f && (x) < 0x1p31f ? (int32_t)(x) : INT32_MIN)
#define TO_INT64(x) ((x) >= -0x1p63f && (x) < 0x1p63f ? (int64_t)(x) : INT64_MIN)
#define TO_UINT64(x) ((x) >= 0x1p63f && (x) < 0x1p64f ? (uint64_t)(x) : (uint64_t)TO_INT64(x))

#define FLOAT_TO_INT8(x) ((int8_t)TO_INT32(x))
#define FLOAT_TO_INT16(x) ((int16_t)TO_INT32(x))
#define FLOAT_TO_INT32(x) TO_INT32(x)
#define FLOAT_TO_INT64(x) TO_INT64(x)
#define FLOAT_TO_UINT8(x) ((uint8_t)TO_INT32(x))
#define FLOAT_TO_UINT16(x) ((uint16_t)TO_INT32(x))
#define FLOAT_TO_UINT32(x) ((uint32_t)TO_INT64(x))
#define FLOAT_TO_UINT64(x) TO_UINT64(x)

/* of x, a value of T, n elements stride bytes apart, as R */
#define KERNEL_LOAD(T, R, conversion)                                                              \
        static void load_##T##_##R(size_t n, void *out, const void *in, ptrdiff_t stride)          \
        {                                                                                          \
                at_##R *o = out;                                                                   \
                const at_##T *xs = in;                                                             \
                const char *p = in;                                                                \
                                                                                                   \
                if (stride == sizeof(type_##T)) {                                                  \
                        _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                        \
                        {                                                                          \
                                const type_##T x = xs[i];                                          \
                                                                                                   \
                                o[i] = (at_##R)(conversion);                                       \
                        }                                                                          \
                } else if (stride == 0) {                                                          \
                        const type_##T x = xs[0];                                                  \
                        const type_##R value = (type_##R)(conversion);                             \
                                                                                                   \
                        for (size_t i = 0; i < n; i++)                                             \
                                o[i] = value;                                                      \
                } else {                                                                           \
                        for (size_t i = 0; i < n; i++, p += stride) {                              \
                                const type_##T x = *(const at_##T *)p;                             \
                                                                                                   \
                                o[i] = (at_##R)(conversion);                                       \
                        }                                                                          \
                }                                                                                  \
        }

/* X(to, from, how) for each conversion, by the kinds of both */
#define TO_REALS(X, T, how)                                                                        \
        X(INT8, T, how)                                                                            \
        X(INT16, T, how) X(INT32, T, how) X(INT64, T, how) X(UINT8, T, how) X(UINT16, T, how)      \
                X(UINT32, T, how) X(UINT64, T, how) X(FLOAT32, T, how) X(FLOAT64, T, how)
#define TO_COMPLEXES(X, T, how) X(COMPLEX64, T, how) X(COMPLEX128, T, how)
#define FROM_BOOL(T, X) X(BOOL, T, x != 0) TO_REALS(X, T, x != 0) TO_COMPLEXES(X, T, x != 0)
#define FROM_INTEGER(T, X) X(BOOL, T, x != 0) TO_REALS(X, T, x) TO_COMPLEXES(X, T, x)
#define FROM_PART(X, T, part)                                                                      \
        X(BOOL, T, x != 0)                                                                         \
        X(INT8, T, FLOAT_TO_INT8(part))                                                            \
        X(INT16, T, FLOAT_TO_INT16(part))                                                          \
        X(INT32, T, FLOAT_TO_INT32(part))                                                          \
        X(INT64, T, FLOAT_TO_INT64(part))                                                          \
        X(UINT8, T, FLOAT_TO_UINT8(part))                                                          \
        X(UINT16, T, FLOAT_TO_UINT16(part))                                                        \
        X(UINT32, T, FLOAT_TO_UINT32(part))                                                        \
        X(UINT64, T, FLOAT_TO_UINT64(part))                                                        \
        X(FLOAT32, T, part)                                                                        \
        X(FLOAT64, T, part)                                                                        \
        TO_COMPLEXES(X, T, x)
#define FROM_FLOAT(T, X) FROM_PART(X, T, x)
#define FROM_COMPLEX(T, X) FROM_PART(X, T, __real__ x)
#define KERNELS(X)                                                                                 \
        BOOLS(FROM_BOOL, X)                                                                        \
        INTEGERS(FROM_INTEGER, X)                                                                  \
        FLOATS(FROM_FLOAT, X)                                                                      \
        COMPLEXES(FROM_COMPLEX, X)

#define DEFINE(R, T, conversion) KERNEL_LOAD(T, R, conversion)
#define ENTER(R, T, ...) kernels->load[TD_##T][TD_##R] = load_##T##_##R;

KERNELS(DEFINE)

KERNELS_FILL(cast)
{
        KERNELS(ENTER)
}
