/* SPDX-License-Identifier: MIT */
#include "compute/sort/items.h"

#include <string.h>

#define TD_DTYPE(sym, name, kind, ctype, size, npy)                                                \
        static void nonzero_##sym(size_t n, void *out, const void *in, ptrdiff_t stride)           \
        {                                                                                          \
                const char *p = in;                                                                \
                uint8_t *o = out;                                                                  \
                                                                                                   \
                for (size_t i = 0; i < n; i++, p += stride) {                                      \
                        ctype value;                                                               \
                                                                                                   \
                        memcpy(&value, p, sizeof(value));                                          \
                        o[i] = value != 0;                                                         \
                }                                                                                  \
        }
#include "tensord/dtypes.def"
#undef TD_DTYPE

struct bytes_16 {
        uint64_t words[2];
};

#define COPY(type, n_bytes)                                                                        \
        static void copy_##n_bytes(size_t n, void *out, const void *in, ptrdiff_t stride)          \
        {                                                                                          \
                const char *p = in;                                                                \
                char *o = out;                                                                     \
                                                                                                   \
                if (stride == n_bytes) {                                                           \
                        memcpy(out, in, n *n_bytes);                                               \
                        return;                                                                    \
                }                                                                                  \
                for (size_t i = 0; i < n; i++, p += stride, o += n_bytes) {                        \
                        type value;                                                                \
                                                                                                   \
                        memcpy(&value, p, n_bytes);                                                \
                        memcpy(o, &value, n_bytes);                                                \
                }                                                                                  \
        }
COPY(uint8_t, 1)
COPY(uint16_t, 2)
COPY(uint32_t, 4)
COPY(uint64_t, 8)
COPY(struct bytes_16, 16)

kernel_load *items_nonzero(unsigned dtype)
{
        static kernel_load *const rows[] = {
#define TD_DTYPE(sym, ...) [TD_##sym] = nonzero_##sym,
#include "tensord/dtypes.def"
#undef TD_DTYPE
        };

        return rows[dtype];
}

kernel_load *items_copy(unsigned dtype)
{
        if (dtype == TD_BOOL)
                return nonzero_BOOL;
        switch (td_dtype_size(dtype)) {
        case 1:
                return copy_1;
        case 2:
                return copy_2;
        case 4:
                return copy_4;
        case 8:
                return copy_8;
        default:
                return copy_16;
        }
}
