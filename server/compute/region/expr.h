/* SPDX-License-Identifier: MIT */
/*
 * Expressions
 *
 * Element-wise operations over leaves, as a list in which each value names only earlier ones.
 * Leaves lie in memory, strided in any way, and broadcast to the shape of the expression; or they
 * lie nowhere, and each element is its own offset: an index. Plain data without memory of its own:
 * an expression is put together on the stack, and a virtual machine (vm.h) made of it.
 *
 * What is said twice is kept once, conversions are written out, and what depends on constants alone
 * is computed at once, unless its kernel refuses.
 *
 * Whoever puts one together keeps to the bounds (fuse.c counts). An expression that is given more
 * all the same takes no harm: it is marked, keeps what it had, and no machine is made of it.
 */
#pragma once

#include <assert.h>

#include "compute/space.h"
#include "tensor/desc.h"

enum {
        EXPR_LEAVES_MAX = SPACE_OPERANDS_MAX,
        EXPR_NODES_MAX = 40, /* operations; each brings itself and up to three conversions */
        EXPR_VALUES_MAX = 224,
        EXPR_RESULTS_MAX = 8,
        EXPR_ARGS_MAX = 3,
};

static_assert(EXPR_LEAVES_MAX <= 32, "a mask of leaves has 32 bits");
static_assert(EXPR_LEAVES_MAX + 4 * EXPR_NODES_MAX + 3 * EXPR_RESULTS_MAX <= EXPR_VALUES_MAX,
              "a full expression has room for its conversions");

enum expr_kind {
        EXPR_LEAF,
        EXPR_CONSTANT,
        EXPR_CAST,
        EXPR_APPLY,
};

struct expr_value {
        uint8_t kind;
        uint8_t dtype;
        uint8_t n_args;
        uint8_t args[EXPR_ARGS_MAX]; /* values; of a leaf: its number */
        uint16_t op;                 /* enum td_op, of EXPR_APPLY */
        int32_t node;                /* to be blamed */
        union td_scalar constant;
};

struct expr {
        unsigned n_leaves, n_values, n_results;
        bool is_overfull; /* it was given more than there is room for */
        uint32_t indices; /* bit i: leaf i is an index */
        struct desc leaves[EXPR_LEAVES_MAX];
        struct expr_value values[EXPR_VALUES_MAX];
        uint8_t results[EXPR_RESULTS_MAX]; /* values */
};

/* Begin an expression of nothing. */
void expr_init(struct expr *expr);
/* A new leaf; its value. */
uint8_t expr_leaf(struct expr *expr, const struct desc *desc);
/* A leaf whose elements, int64, are offset and strides of the descriptor added up. */
uint8_t expr_index(struct expr *expr, const struct desc *desc);
uint8_t expr_constant(struct expr *expr, enum td_dtype dtype, const union td_scalar *constant);
uint8_t expr_cast(struct expr *expr, uint8_t value, enum td_dtype dtype);
/* The operation computes in one dtype (the condition of where aside), arguments are converted. */
uint8_t expr_apply(struct expr *expr, enum td_op op, int32_t node, enum td_dtype dtype,
                   unsigned n_args, const uint8_t *args);
void expr_result(struct expr *expr, uint8_t value);

static inline bool expr_is_index(const struct expr *expr, unsigned leaf)
{
        return expr->indices >> leaf & 1;
}

/* An operation that a machine can do: element by element, with kernels. */
bool expr_can(enum td_op op);
/* Can the operation, an element-wise one, refuse elements? Of floats none does. */
static inline bool expr_op_may_fail(enum td_op op, enum td_dtype result)
{
        return td_op_info(op)->may_fail && !td_dtype_is_float(result) &&
               !td_dtype_is_complex(result);
}

/* Can anything in it? */
bool expr_may_fail(const struct expr *expr);
/* The dtype that an element-wise operation computes in. */
enum td_dtype expr_compute_dtype(enum td_op op, unsigned n_args, const enum td_dtype *args,
                                 enum td_dtype result);
/* Nanoseconds for 1000 elements in cache. */
uint64_t expr_cost(enum td_op op, enum td_dtype dtype);
