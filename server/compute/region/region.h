/* SPDX-License-Identifier: MIT */
/*
 * Regions
 *
 * An expression computed over a space, its results stored densely: one pass through memory,
 * however many operations. A single element-wise operation is a region too, and so is a copy.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/step.h"

/*
 * The step's arguments are the expression's leaves, which broadcast to the shape of the results;
 * its results are the expression's. All results have one shape and one order of dimensions, in
 * which they are dense. tile: elements at a time, at most; 0: as many as are fast. 0 or -ENOMEM.
 */
int region_new(struct step **stepp, const struct expr *expr, const struct desc *results,
               size_t tile);
/* May a result of the step lie in the very memory of an argument that is not used any more? */
bool region_may_replace(const struct step *step, unsigned arg, unsigned result);

/*
 * Rows of elements of the results, all in C order: the first one begins at the index, each other so
 * many behind the one before it. They may be computed apart, on the calling thread, where
 * region_goes_by_rows() says so. leaves and results are as step_run() has them.
 */
struct region_rows {
        int64_t index;
        int64_t n_rows, n_columns;
        int64_t apart;
};

bool region_goes_by_rows(const struct expr *expr, const struct desc *result);
void region_run_rows(const struct step *step, const void *const *leaves, void *const *results,
                     const struct region_rows *rows);

/* One operation; operands of other dtypes than it computes in are converted on load. */
int region_new_one(struct step **stepp, enum td_op op, unsigned n_args, const struct desc *args,
                   const struct desc *result);
/* Conversion to the dtype of the result. */
int region_new_copy(struct step **stepp, const struct desc *arg, const struct desc *result);
