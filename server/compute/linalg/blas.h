/* SPDX-License-Identifier: MIT */
/*
 * Matrix products
 *
 * numpy's matmul in all its shape cases, for every dtype. blas.c is the only place that calls BLAS.
 */
#pragma once

#include "compute/step.h"

/* two args */
int matmul_new(struct step **stepp, const struct desc *args, const struct desc *result);

/*
 * Products that are larger than the caches can be read tile by tile while they are computed, if
 * their tiles are small, and have no memory then. A tile's
 * rows are parts of rows of the result, pitch bytes apart; it is read on the thread that computed
 * it, and the bits are those of the whole.
 */
struct matmul_tile {
        const char *items;
        int64_t index; /* of the first one in the result, in C order */
        int64_t n_rows, n_columns;
};

struct matmul_reader {
        void (*read)(void *ctx, const struct matmul_tile *tile); /* any thread, several at once */
        void *ctx;
};

/* Of a step of matmul; 0: not this one. */
int64_t matmul_pitch(const struct step *step);
/* The same before there is a step: of such operands, in whatever order they lie. */
int64_t matmul_pitch_of(const struct td_type *a, const struct td_type *b,
                        const struct td_type *result);
/* As step_run(), but the result goes to the reader. Only if there is a pitch. */
int matmul_run_read(const struct step *step, const struct run *run, const void *const *args,
                    void *scratch, const struct matmul_reader *reader, struct td_refusal *refusal);
