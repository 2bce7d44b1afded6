/* SPDX-License-Identifier: MIT */
/*
 * Copies
 *
 * Elements from one layout to another, prepared once: dimensions put into the order of the target,
 * merged where both sides allow it, cut into chunks that threads take. Bytes move by the size of an
 * item; a bool comes out as 0 or 1; where dtypes differ, elements are converted as astype does.
 *
 * The target's elements do not overlap one another, nor the source's.
 */
#pragma once

#include "compute/kernels/kernels.h"
#include "compute/step.h"

/* rows x columns elements; strides in bytes */
typedef void copy_plane(int64_t n_rows, int64_t n_columns, const char *from, int64_t from_row,
                        int64_t from_column, char *to, int64_t to_row, int64_t to_column);

/* Of elements of that dtype, unconverted. */
copy_plane *copy_plane_of(unsigned dtype);

struct copy {
        copy_plane *plane;
        kernel_load *load; /* converts; NULL: plane moves */
        size_t to_size;    /* of an item */
        bool is_across;    /* the source runs along rows */
        int64_t n_bytes;   /* written */
        int64_t from_offset, to_offset;
        unsigned ndim; /* at least 2: rows and columns come last */
        int64_t shape[TD_NDIM_MAX + 2];
        int64_t from[TD_NDIM_MAX + 2]; /* bytes from one to the next */
        int64_t to[TD_NDIM_MAX + 2];
        int64_t band, piece; /* rows and columns of a unit */
        int64_t n_bands, n_pieces;
        int64_t n_units, n_chunk; /* units of all; of a chunk */
};

/* The source broadcasts to the target. */
void copy_init(struct copy *copy, const struct desc *from, const struct desc *to);
uint64_t copy_cost_ns(const struct copy *copy);
/* from and to are the bytes that the descriptors' offsets count from. 0 or PLAN_E_STOPPED. */
int copy_run(const struct copy *copy, const struct run *run, const void *from, void *to);

/* A dense copy in C order of an operand of the same dtype. */
int copy_new(struct step **stepp, const struct desc *arg, const struct desc *result);
/* Arguments one behind the other along an axis. */
int concat_new(struct step **stepp, const struct td_attrs *attrs, uint32_t n_args,
               const struct desc *args, const struct desc *result);
/*
 * args[0] with a region replaced by args[1]. A run whose result is the very memory of args[0],
 * dense in C order, leaves out what would be copied onto itself.
 */
int assign_new(struct step **stepp, const struct td_attrs *attrs, const struct desc *args,
               const struct desc *result);
/* Rows of matrices on one side of a diagonal; the rest is zero. */
int triangle_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                 const struct desc *arg, const struct desc *result);
