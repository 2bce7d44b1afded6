/* SPDX-License-Identifier: MIT */
#include "store/npy.h"

#include <assert.h>

#include "tensord/npy.h"

static_assert(TD_NPY_PREAMBLE + TD_NPY_TEXT < TD_HEADER_BYTES, "one page is enough for any");

void npy_write(uint8_t header[TD_HEADER_BYTES], const struct desc *desc)
{
        bool is_c = desc_is_c(desc), is_f = !is_c && desc_is_f(desc);
        struct td_type row = { .dtype = desc->type.dtype,
                               .ndim = 1,
                               .shape = { desc_n_elements(desc) } };

        td_npy_write(header, TD_HEADER_BYTES, TD_HEADER_BYTES, is_c || is_f ? &desc->type : &row,
                     is_f);
}
