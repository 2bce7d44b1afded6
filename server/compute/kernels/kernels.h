/* SPDX-License-Identifier: MIT */
/*
 * Kernels
 *
 * Small loops over contiguous or scalar operands, in sets: the same sources, one for each family,
 * compiled for several instruction sets, of which one is chosen for the processor. The plain set
 * uses no vectors and no vector mathematics; it is complete, and the oracle of the others. How to
 * write a family is said in set.h.
 *
 * A kernel reads and writes n elements; memory needs no alignment. An output may be the very memory
 * of an input, else they do not overlap. A bool operand may hold any byte, a bool result is 0 or 1.
 * Padded kernels take a multiple of KERNEL_LANES elements, so that an element's bits do not depend
 * on its place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compute/kernels/fold.h"
#include "tensord/types.h"

#define KERNEL_LANES 16  /* of padded kernels and of reductions */
#define KERNEL_BLOCK 512 /* elements that are folded at a time, at most */

/* operands of binary kernels: V a vector of n elements, S one element */
enum kernel_form { KERNEL_VV, KERNEL_VS, KERNEL_SV, KERNEL_N_FORMS };

/* not 0: refused for these values */
typedef unsigned kernel_unary(size_t n, void *out, const void *x);
typedef unsigned kernel_binary(size_t n, void *out, const void *x1, const void *x2);
typedef void kernel_where(size_t n, void *out, const void *condition, const void *x1,
                          const void *x2);

/* n elements, stride bytes apart, converted */
typedef void kernel_load(size_t n, void *out, const void *in, ptrdiff_t stride);

/* c = a @ b for any strides, in bytes; rows of c are contiguous, those of b had better be. Sums run
 * in the order of k. */
struct kernel_product {
        int64_t m, n, k;
        const char *a, *b;
        char *c;
        int64_t a_row, a_col;
        int64_t b_row, b_col;
        int64_t c_row;
};
typedef void kernel_matmul(const struct kernel_product *p);

/* Slots are numbered by operation and by the dtype computed in, that of the operands; the result's
 * may be another. NULL: there is no such kernel. */
struct kernels {
        const char *isa;
        kernel_unary *unary[TD_N_OPS][TD_N_DTYPES];
        kernel_binary *binary[TD_N_OPS][TD_N_DTYPES][KERNEL_N_FORMS];
        kernel_binary *mixed[TD_N_OPS][KERNEL_N_FORMS]; /* comparisons of int64 with uint64 */
        kernel_where *where[TD_N_DTYPES];
        kernel_where *clip[TD_N_DTYPES];             /* x, min, max */
        kernel_load *load[TD_N_DTYPES][TD_N_DTYPES]; /* [from][to] */
        struct kernel_fold folds[N_FOLDS][TD_N_DTYPES]; /* by what is folded */
        kernel_find *find[TD_N_DTYPES];
        kernel_better *better[2][TD_N_DTYPES]; /* maximum, minimum */
        kernel_finish *finish[TD_N_DTYPES];    /* by the result's dtype; floats and complex */
        kernel_matmul *matmul[TD_N_DTYPES];
        bool is_padded[TD_N_OPS][TD_N_DTYPES];
};

/* The best set that the processor runs; of an index from 0 on, NULL behind the last that it runs,
 * which is the plain one. */
const struct kernels *kernels_get(void);
const struct kernels *kernels_list(unsigned i);
const struct kernels *kernels_plain(void);

/* The kernel of an operation with three operands. */
static inline kernel_where *kernel_of_three(enum td_op op, enum td_dtype dtype)
{
        return op == TD_OP_CLIP ? kernels_get()->clip[dtype] : kernels_get()->where[dtype];
}

/* The kernels of one with two, by what these are; dtypes differ only where that is compared. */
static inline kernel_binary *const *kernel_of_two(enum td_op op, enum td_dtype dtype1,
                                                  enum td_dtype dtype2)
{
        return dtype1 == dtype2 ? kernels_get()->binary[op][dtype1] : kernels_get()->mixed[op];
}

static inline bool kernel_is_padded(enum td_op op, enum td_dtype dtype)
{
        return kernels_get()->is_padded[op][dtype];
}
