/* SPDX-License-Identifier: MIT */
/*
 * Steps that create
 *
 * zeros, ones, full, arange, eye: an element of the result depends on its index alone.
 */
#pragma once

#include "compute/step.h"

/* What arange counts in, and from which numbers on. */
struct arange {
        bool is_integer; /* modulo 2^64; else in float64 */
        struct td_number start, by;
};

struct linspace {
        double start[2], stop[2]; /* real and imaginary parts */
        int64_t n_steps;
        int64_t last; /* the element that is stop itself, or -1 */
};

int create_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *result);

/* All elements are one value, known without running: what it is. */
bool create_is_constant(enum td_op op);
void create_arange(struct arange *arange, const struct td_attrs *attrs, enum td_dtype dtype);
/* Of n elements. */
void create_linspace(struct linspace *linspace, const struct td_attrs *attrs, int64_t n);
union td_scalar create_constant(enum td_op op, const struct td_attrs *attrs, enum td_dtype dtype);
