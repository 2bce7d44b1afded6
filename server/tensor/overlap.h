/* SPDX-License-Identifier: MIT */
/*
 * Overlap
 *
 * Whether two views of one tensor share an element. Deciding it exactly for any strides is NP-hard
 * (bounded linear Diophantine equations, as in numpy.shares_memory); the answers here err on the
 * safe side only. They are exact for what slices with steps of 1 yield along any axes, so columns
 * and blocks of a matrix are told apart as well as rows.
 */
#pragma once

#include "tensor/desc.h"

/*
 * whole: dense, in any order of axes, offset 0. Views: of its dtype, inside of it (desc_check()),
 * strides and offsets multiples of the item size.
 */

/* false: they share nothing. true: they may. */
bool overlap_is_possible(const struct desc *whole, const struct desc *a, const struct desc *b);
/* true: no two elements of the view are one. false: two may be. */
bool overlap_is_distinct(const struct desc *view);
/* true: each element of part is one of view. false: one may not be. */
bool overlap_is_covered(const struct desc *whole, const struct desc *view, const struct desc *part);
