/* SPDX-License-Identifier: MIT */
/*
 * Writing programs down in tests
 *
 * A blk collects nodes in arrays of its own; blk_block() shows them as a td_block, valid as long as
 * the blk is. Attributes are made by the attrs_...() functions and handed over by value.
 */
#pragma once

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "tensord/infer.h"

enum { BLK_NODES = 256, BLK_ARGS = 16 };

struct blk {
        uint32_t n_inputs, n_nodes, n_values;
        struct td_node nodes[BLK_NODES];
        uint32_t args[BLK_NODES][BLK_ARGS];
};

static inline void blk_init(struct blk *b, uint32_t n_inputs)
{
        *b = (struct blk){ .n_inputs = n_inputs, .n_values = n_inputs };
}

static inline uint32_t blk_push(struct blk *b, struct td_node node, va_list args)
{
        uint32_t value = b->n_values;

        assert(b->n_nodes < BLK_NODES && node.n_args <= BLK_ARGS);
        for (uint32_t i = 0; i < node.n_args; i++)
                b->args[b->n_nodes][i] = va_arg(args, unsigned);
        node.args = b->args[b->n_nodes];
        b->nodes[b->n_nodes++] = node;
        b->n_values += (uint32_t)td_node_n_results(&node);
        return value;
}

/* The node's first result. The arguments are value numbers. */
static inline uint32_t blk_with(struct blk *b, enum td_op op, struct td_attrs attrs,
                                uint32_t n_args, ...)
{
        va_list args;
        uint32_t value;

        va_start(args, n_args);
        value = blk_push(b, (struct td_node){ .op = op, .n_args = n_args, .attrs = attrs }, args);
        va_end(args);
        return value;
}

static inline uint32_t blk_loop(struct blk *b, struct td_loop *loop, uint32_t n_args, ...)
{
        struct td_node node = { .op = TD_OP_LOOP, .n_args = n_args, .loop = loop };
        va_list args;
        uint32_t value;

        va_start(args, n_args);
        value = blk_push(b, node, args);
        va_end(args);
        return value;
}

static inline uint32_t blk_one(struct blk *b, enum td_op op, uint32_t x)
{
        return blk_with(b, op, (struct td_attrs){ .set = 0 }, 1, x);
}

static inline uint32_t blk_two(struct blk *b, enum td_op op, uint32_t x, uint32_t y)
{
        return blk_with(b, op, (struct td_attrs){ .set = 0 }, 2, x, y);
}

static inline struct td_block blk_block(struct blk *b)
{
        return (struct td_block){ .n_inputs = b->n_inputs,
                                  .n_nodes = b->n_nodes,
                                  .nodes = b->nodes };
}

static inline struct td_type type_of(unsigned dtype, unsigned ndim, ...)
{
        struct td_type type = { .dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim };
        va_list shape;

        va_start(shape, ndim);
        for (unsigned i = 0; i < ndim && i < TD_NDIM_MAX; i++)
                type.shape[i] = va_arg(shape, int);
        va_end(shape);
        return type;
}

static inline struct td_attrs attrs_shape(unsigned ndim, ...)
{
        struct td_attrs attrs = { .set = TD_ATTR_SHAPE, .n_shape = (uint8_t)ndim };
        va_list shape;

        va_start(shape, ndim);
        for (unsigned i = 0; i < ndim; i++)
                attrs.shape[i] = va_arg(shape, int);
        va_end(shape);
        return attrs;
}

static inline struct td_attrs attrs_axes(unsigned n, ...)
{
        struct td_attrs attrs = { .set = TD_ATTR_AXES, .n_axes = (uint8_t)n };
        va_list axes;

        va_start(axes, n);
        for (unsigned i = 0; i < n; i++)
                attrs.axes[i] = (int16_t)va_arg(axes, int);
        va_end(axes);
        return attrs;
}

/* a slice along one axis of a value of one dimension */
static inline struct td_attrs attrs_slice(int64_t start, int64_t n, int64_t step)
{
        return (struct td_attrs){
                .set = TD_ATTR_START | TD_ATTR_SHAPE | TD_ATTR_STEP,
                .n_start = 1,
                .n_shape = 1,
                .n_step = 1,
                .start = { start },
                .shape = { n },
                .step = { step },
        };
}

static inline struct td_attrs attrs_dtype(struct td_attrs attrs, unsigned dtype)
{
        attrs.set |= TD_ATTR_DTYPE;
        attrs.dtype = (uint8_t)dtype;
        return attrs;
}

static inline struct td_attrs attrs_value(struct td_attrs attrs, double value)
{
        attrs.set |= TD_ATTR_VALUE;
        attrs.value = (struct td_number){ .kind = TD_KIND_FLOAT, .d = value };
        return attrs;
}

static inline struct td_attrs attrs_range_i(int64_t start, int64_t stop, int64_t step)
{
        return (struct td_attrs){ .set = TD_ATTR_RANGE,
                                  .range = { { .i = start }, { .i = stop }, { .i = step } } };
}

static inline struct td_attrs attrs_range_d(double start, double stop, double step)
{
        return (struct td_attrs){
                .set = TD_ATTR_RANGE,
                .range = { { TD_KIND_FLOAT, { .d = start } },
                           { TD_KIND_FLOAT, { .d = stop } },
                           { TD_KIND_FLOAT, { .d = step } } },
        };
}
