/* SPDX-License-Identifier: MIT */
/*
 * Descriptors
 *
 * A descriptor says how elements lie in a run of bytes: dtype, shape, strides and the offset of the
 * first element. Pure arithmetic in overflow-free form. A descriptor that passed desc_check() may
 * be trusted; nothing else may.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tensord/infer.h"

struct desc {
        struct td_type type;
        int64_t strides[TD_NDIM_MAX]; /* bytes */
        int64_t offset;               /* bytes from the start of the run to the first element */
};

enum { DESC_E_BOUNDS = 1 };

/*
 * Strides of a dense array in C (last axis fastest) or Fortran order, offset 0. The type's bytes
 * must not overflow.
 */
void desc_init_c(struct desc *desc, const struct td_type *type);
void desc_init_f(struct desc *desc, const struct td_type *type);
/* Axes from the slowest to the fastest. */
void desc_init_ordered(struct desc *desc, const struct td_type *type, const uint8_t *order);

bool desc_is_c(const struct desc *desc); /* dense in C order; extents of 1 have any stride */
bool desc_is_f(const struct desc *desc);
bool desc_is_dense(const struct desc *desc); /* in any order of axes, none of them backwards */
/* Does it say the same? Strides of extents of 1 count. */
bool desc_is_same(const struct desc *a, const struct desc *b);
/* Of one shape and item size: does each element lie as far from the first? */
bool desc_is_alike(const struct desc *a, const struct desc *b);
/* The order that dense results of the operands keep; they broadcast to the type. At most
 * TD_ARGS_MAX. */
void desc_keep_order(uint8_t *order, const struct td_type *type, unsigned n,
                     const struct desc *operands);

int64_t desc_n_elements(const struct desc *desc);
int64_t
desc_n_bytes(const struct desc *desc); /* n_elements * item size: not the span of a strided one */

/*
 * DESC_E_BOUNDS if an element lies outside of [0, n_bytes); both ends are looked at, for strides of
 * any sign.
 */
int desc_check(const struct desc *desc, uint64_t n_bytes);
