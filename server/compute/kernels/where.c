/* SPDX-License-Identifier: MIT */
/*
 * Kernels of three operands
 *
 * where goes by the size of an item; a bool may be any byte in memory. clip keeps NaN of any of its
 * operands, as maximum and minimum do.
 */
#include "compute/kernels/set.h"

#define KERNEL_WHERE(T, ...)                                                                       \
        static void where_##T(size_t n, void *out, const void *condition, const void *x1,          \
                              const void *x2)                                                      \
        {                                                                                          \
                const at_BOOL *cs = condition;                                                     \
                const at_##T *as = x1, *bs = x2;                                                   \
                at_##T *o = out;                                                                   \
                                                                                                   \
                _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                                \
                {                                                                                  \
                        const type_##T a = READ_##T(as[i]), b = READ_##T(bs[i]);                   \
                                                                                                   \
                        o[i] = cs[i] != 0 ? a : b;                                                 \
                }                                                                                  \
        }
#define READ_COMPLEX128(x) (x)

BOOLS(KERNEL_WHERE, )
UNSIGNED(KERNEL_WHERE, )
KERNEL_WHERE(COMPLEX128)

#define LARGER(a, b) (((a) >= (b)) | ((a) != (a)) ? (a) : (b))
#define SMALLER(a, b) (((a) <= (b)) | ((a) != (a)) ? (a) : (b))
#define KERNEL_CLIP(T, ...)                                                                        \
        static void clip_##T(size_t n, void *out, const void *x, const void *min, const void *max) \
        {                                                                                          \
                const at_##T *xs = x, *mins = min, *maxs = max;                                    \
                at_##T *o = out;                                                                   \
                                                                                                   \
                _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                                \
                {                                                                                  \
                        const type_##T a = READ_##T(xs[i]), least = READ_##T(mins[i]),             \
                                       most = READ_##T(maxs[i]), b = LARGER(a, least);             \
                                                                                                   \
                        o[i] = SMALLER(b, most);                                                   \
                }                                                                                  \
        }
#define ENTER_CLIP(T, ...) kernels->clip[TD_##T] = clip_##T;

BOOLS(KERNEL_CLIP, )
REALS(KERNEL_CLIP, )

KERNELS_FILL(where)
{
        kernel_where *const by_size[17] = { [1] = where_UINT8,
                                            [2] = where_UINT16,
                                            [4] = where_UINT32,
                                            [8] = where_UINT64,
                                            [16] = where_COMPLEX128 };

        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++)
                kernels->where[dtype] = by_size[td_dtype_size(dtype)];
        kernels->where[TD_BOOL] = where_BOOL;
        BOOLS(ENTER_CLIP, )
        REALS(ENTER_CLIP, )
}
