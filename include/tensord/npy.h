/* SPDX-License-Identifier: MIT */
/*
 * The header of an .npy file
 *
 * Numpy's format for one array, version 1.0 (numpy.lib.format describes it): a magic string, the
 * length of a Python dictionary with dtype, order and shape, and that, padded with blanks. The
 * daemon writes it before segments and the files that tensors are spilled to, clients where they
 * save one. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tensord/types.h"

/* Magic string, version, and the length of the dictionary in two bytes. */
#define TD_NPY_PREAMBLE 10
/* The longest dictionary, of TD_NDIM_MAX extents, takes less. */
#define TD_NPY_TEXT 768

/* A multiple of n_pad bytes, which is returned; 0: it would be more than n_out. */
static inline size_t td_npy_write(uint8_t *out, size_t n_out, size_t n_pad,
                                  const struct td_type *type, bool is_fortran)
{
        char text[TD_NPY_TEXT];
        size_t n, n_all;

        n = (size_t)snprintf(text, sizeof(text),
                             "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }",
                             td_dtype_info(type->dtype)->npy, is_fortran ? "True" : "False",
                             td_type_text(type).s);
        n_all = (TD_NPY_PREAMBLE + n + 1 + n_pad - 1) / n_pad * n_pad;
        if (n_all > n_out)
                return 0;
        memcpy(out, "\x93NUMPY\x01\x00", 8);
        out[8] = (uint8_t)(n_all - TD_NPY_PREAMBLE);
        out[9] = (uint8_t)((n_all - TD_NPY_PREAMBLE) >> 8);
        memset(out + TD_NPY_PREAMBLE, ' ', n_all - TD_NPY_PREAMBLE);
        memcpy(out + TD_NPY_PREAMBLE, text, n);
        out[n_all - 1] = '\n';
        return n_all;
}
