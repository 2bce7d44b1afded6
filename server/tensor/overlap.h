/* SPDX-License-Identifier: MIT */
/*
 * Overlap
 *
 * Whether two views of one tensor share an element. Deciding it exactly for any strides is NP-hard
 * (bounded linear Diophantine equations, as in numpy.shares_memory); the answers here err on the
 * safe side only. They are exact for what slices with steps of 1 yield along any axes, so columns
 * and blocks of a matrix are told apart as well as rows. Pure.
 */
#pragma once

#include "tensor/desc.h"

/* The numbers start + i * step for i below n; step is 0 where n is 1. */
struct progression {
        int64_t start;
        int64_t step;
        int64_t n;
};

/* A view, prepared to be compared. */
struct overlap {
        bool is_empty;
        bool is_box; /* along each axis of the whole it takes a progression of indices */
        unsigned ndim;
        struct progression bytes; /* all its items begin at such bytes */
        struct progression axes[TD_NDIM_MAX];
};

/*
 * whole: dense, in any order of axes, offset 0. view: of its dtype, inside of it (desc_check()),
 * strides and offset multiples of the item size.
 */
void overlap_init(struct overlap *overlap, const struct desc *whole, const struct desc *view);
/* Of one whole. false: they share nothing. true: they may. */
bool overlap_is_possible(const struct overlap *a, const struct overlap *b);
/* true: each element of part is one of view. false: one may not be. */
bool overlap_is_covered(const struct overlap *view, const struct overlap *part);
/* true: no two elements of the view are one. false: two may be. */
bool overlap_is_distinct(const struct desc *view);
