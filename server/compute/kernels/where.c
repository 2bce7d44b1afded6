/* SPDX-License-Identifier: MIT */
/* where: by the size of an item; a bool may be any byte in memory. */
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
}
