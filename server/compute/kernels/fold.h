/* SPDX-License-Identifier: MIT */
/*
 * Kernels of folds
 *
 * A fold makes one value of many, in an accumulator that is as wide as reductions promise: sums and
 * products of integers in 64 bits, of floats in float64, of complex in complex128; extrema in the
 * dtype itself; any and all in a byte; counts in 64 bits. The source is read as it is, and widened
 * on the way.
 *
 * Rows: element i of a row goes to lane i % KERNEL_LANES, each lane folds its own from the first
 * on, and lanes that have any are combined pairwise: the first half with the second, and so on.
 * Columns: the same, with row i of the source in the place of element i, for many columns at once;
 * the caller combines the lanes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fold {
        FOLD_SUM,
        FOLD_PROD, /* from accumulators only */
        FOLD_MAX,
        FOLD_MIN,
        FOLD_ANY,
        FOLD_ALL,
        FOLD_COUNT,   /* of what is not 0 */
        FOLD_SQUARES, /* |x - mean| ** 2, from floats and complex128; in float64 */
        N_FOLDS
};

/* One value of each of n_rows rows of n elements, n from 1 to KERNEL_BLOCK; rows are dense, and
 * stride bytes apart. means: one per row, as wide as an accumulator of FOLD_MEAN; only squares
 * look. */
typedef void kernel_fold_rows(size_t n_rows, size_t n, void *out, const void *x, ptrdiff_t stride,
                              const void *means);
/* Rows of width dense elements, added to KERNEL_LANES lanes of width accumulators each; row i goes
 * to lane i % KERNEL_LANES. begins: the lanes that rows go to hold nothing yet. */
typedef void kernel_fold_columns(size_t n_rows, size_t width, void *lanes, const char *const *rows,
                                 const void *means, bool begins);
/* n accumulators out[i] = a[i] and b[i]; out may be a or b */
typedef void kernel_fold_combine(size_t n, void *out, const void *a, const void *b);

struct kernel_fold {
        kernel_fold_rows *rows;
        kernel_fold_columns *columns;
        kernel_fold_combine *combine;
        uint8_t accumulator; /* dtype */
        bool is_free;        /* in any order: rows may be of up to 32 * KERNEL_BLOCK elements */
};

/*
 * The first of n elements that is equal to the value, or, if the value is NaN, is NaN; n if there
 * is none. For bool, what is not 0 is equal to 1.
 */
typedef size_t kernel_find(size_t n, const void *x, const void *value);
/*
 * One row of n more candidates, of the given index, for the extremum of each column: best and
 * indices are overwritten where the new one is better, or NaN.
 */
typedef void kernel_better(size_t n, void *best, int64_t *indices, const void *row, int64_t index);

/* n results from accumulators: divided (by 1: as they are), the root taken if so wished */
typedef void kernel_finish(size_t n, void *out, const void *values, double divisor, bool is_root);
