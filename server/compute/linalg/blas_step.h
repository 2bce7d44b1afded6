/* SPDX-License-Identifier: MIT */
/*
 * The inside of a product's step
 */
#pragma once

#include "compute/kernels/kernels.h"
#include "compute/space.h"
#include "compute/step_base.h"

/* The matrices of an operand: bytes from one element to the next along each dimension. */
struct matrix {
        int64_t row, column, offset;
};

struct matmul {
        struct step step;
        enum td_dtype dtype;
        int64_t size; /* of an item */
        int64_t m, n, k;
        bool is_merged;     /* a stack times one matrix: all rows of the stack are rows of a */
        struct space stack; /* operands a and b, one product at each index */
        struct matrix a, b;
        kernel_matmul *kernel;           /* NULL: BLAS */
        struct step *packs[2];           /* to dense C order; NULL: as it lies */
        uint64_t pack_at[2], partial_at; /* in scratch */
        /* what matmul_cut() found */
        int64_t tile_m, tile_n, tile_k;
        int64_t n_tiles_m, n_tiles_n, n_parts; /* of one product */
        int64_t n_grouped;                     /* products that go together */
};

/* Bytes of a buffer that a tile goes by. */
enum { MATMUL_BUFFER = 512 * 1024 };

/* Into tiles: a function of m, n, k, the size of an item and the number of products alone, for bits
 * depend on it. */
void matmul_cut(struct matmul *s);
/* The result is larger than the caches. */
bool matmul_is_large(const struct matmul *s);
/* It is, and costs as much to write down as to compute: tiles go by a buffer, if they fit. */
bool matmul_is_shallow(const struct matmul *s);
