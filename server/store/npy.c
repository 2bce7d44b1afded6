/* SPDX-License-Identifier: MIT */
#include "store/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* magic, version, and the length of the text in two bytes */
#define NPY_PREAMBLE 10

static const char *const npy_descrs[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) [TD_##sym] = npy,
#include "tensord/dtypes.def"
#undef TD_DTYPE
};

void npy_write(uint8_t *header, const struct desc *desc)
{
        bool is_c = desc_is_c(desc), is_f = !is_c && desc_is_f(desc);
        uint8_t ndim = is_c || is_f ? desc->type.ndim : 1;
        int64_t row = desc_n_elements(desc);
        const int64_t *shape = is_c || is_f ? desc->type.shape : &row;
        size_t length = TD_HEADER_BYTES - NPY_PREAMBLE;
        char text[512];
        int n;

        n = snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': %s, 'shape': (",
                     npy_descrs[desc->type.dtype], is_f ? "True" : "False");
        for (unsigned i = 0; i < ndim; i++)
                n += snprintf(text + n, sizeof(text) - (size_t)n, "%" PRId64 "%s", shape[i],
                              i + 1 < ndim ? ", "
                              : ndim == 1  ? ","
                                           : "");
        n += snprintf(text + n, sizeof(text) - (size_t)n, "), }");

        memcpy(header, "\x93NUMPY\x01\x00", 8);
        header[8] = (uint8_t)length;
        header[9] = (uint8_t)(length >> 8);
        memset(header + NPY_PREAMBLE, ' ', length);
        memcpy(header + NPY_PREAMBLE, text, (size_t)n);
        header[TD_HEADER_BYTES - 1] = '\n';
}
