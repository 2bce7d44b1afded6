/* SPDX-License-Identifier: MIT */
/*
 * Which order of axes is kept
 *
 * Dense memory is described by an order of its axes, the slowest first: 0 1 2 is C order, 2 1 0
 * Fortran order. A result lies in the order in which its operands lie, by NumPy's rule (order='K'):
 * axes are sorted by how far operands move along them. Axes along which none moves, and those about
 * which operands disagree, stay in C order. Pure arithmetic, used by server and client.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tensord/limits.h"

/* Is an operand known to move along both axes, and one further, or as far, along the slow one? */
static inline void td_compare_axes(unsigned n, const int64_t *const *strides, unsigned slow,
                                   unsigned fast, bool *is_knownp, bool *is_slowerp)
{
        *is_knownp = *is_slowerp = false;
        for (unsigned i = 0; i < n; i++) {
                uint64_t a = (uint64_t)strides[i][slow], b = (uint64_t)strides[i][fast];

                if (a == 0 || b == 0)
                        continue;
                a = strides[i][slow] < 0 ? 0 - a : a;
                b = strides[i][fast] < 0 ? 0 - b : b;
                *is_slowerp |= a >= b;
                *is_knownp = true;
        }
}

/*
 * strides[i][axis]: of the i-th operand, 0 where it does not move (an extent of 1, or broadcast).
 * NumPy's nditer: a stable insertion sort that begins with the fastest axis of C order.
 */
static inline void td_keep_order(uint8_t *order, unsigned ndim, unsigned n,
                                 const int64_t *const *strides)
{
        for (unsigned k = 0; k < ndim; k++) {
                const unsigned axis = ndim - 1 - k; /* order[axis + 1] on is sorted */
                unsigned at = axis;

                for (unsigned j = axis + 1; j < ndim; j++) {
                        bool is_known, is_slower;

                        td_compare_axes(n, strides, axis, order[j], &is_known, &is_slower);
                        if (is_known && is_slower)
                                break;
                        if (is_known)
                                at = j;
                }
                for (unsigned j = axis; j < at; j++)
                        order[j] = order[j + 1];
                order[at] = (uint8_t)axis;
        }
}

static inline bool td_order_is_c(const uint8_t *order, unsigned ndim)
{
        for (unsigned d = 0; d < ndim; d++)
                if (order[d] != d)
                        return false;
        return true;
}
