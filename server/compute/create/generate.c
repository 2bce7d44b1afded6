/* SPDX-License-Identifier: MIT */
/*
 * Generators as expressions
 *
 * Each follows its step (create.c, triangle.c) operation by operation: integers modulo 2^64, floats
 * in float64, converted at the end. What only adds 0 or multiplies by 1 is left out where that
 * changes no bit.
 */
#include "compute/create/generate.h"

#include <string.h>

#include "compute/create/create.h"

bool generate_can(enum td_op op, enum td_dtype dtype)
{
        return op == TD_OP_ARANGE || op == TD_OP_EYE ||
               (op == TD_OP_LINSPACE && !td_dtype_is_complex(dtype));
}

unsigned generate_n_indices(enum td_op op)
{
        return op == TD_OP_ARANGE || op == TD_OP_LINSPACE ? 1 : 2;
}

/* The first index counts rows, the second columns; if there is one, it counts elements. */
void generate_index(enum td_op op, const struct td_type *type, unsigned i, struct desc *index)
{
        *index = (struct desc){ .type = *type };
        index->type.dtype = TD_INT64;
        index->strides[(unsigned)type->ndim - generate_n_indices(op) + i] = 1;
}

/* ---- operations ---- */

static uint8_t integer(struct expr *expr, int64_t i)
{
        const union td_scalar scalar = { .i = i };

        return expr_constant(expr, TD_INT64, &scalar);
}

static uint8_t number(struct expr *expr, double d)
{
        const union td_scalar scalar = { .d = d };

        return expr_constant(expr, TD_FLOAT64, &scalar);
}

static uint8_t apply(struct expr *expr, enum td_op op, enum td_dtype dtype, uint8_t a, uint8_t b)
{
        return expr_apply(expr, op, -1, dtype, 2, (const uint8_t[]){ a, b });
}

/* ---- generators ---- */

static uint8_t write_arange(struct expr *expr, const struct arange *a, uint8_t index)
{
        uint8_t v = index;

        if (a->is_integer) {
                if (a->by.i != 1)
                        v = apply(expr, TD_OP_MULTIPLY, TD_INT64, v, integer(expr, a->by.i));
                if (a->start.i != 0)
                        v = apply(expr, TD_OP_ADD, TD_INT64, integer(expr, a->start.i), v);
                return v;
        }
        v = expr_cast(expr, v, TD_FLOAT64);
        if (a->by.d != 1)
                v = apply(expr, TD_OP_MULTIPLY, TD_FLOAT64, v, number(expr, a->by.d));
        return apply(expr, TD_OP_ADD, TD_FLOAT64, number(expr, a->start.d), v);
}

static uint8_t write_linspace(struct expr *expr, const struct linspace *l, uint8_t index)
{
        const double delta = l->stop[0] - l->start[0];
        const double step = l->n_steps > 0 ? delta / (double)l->n_steps : 0;
        uint8_t v = expr_cast(expr, index, TD_FLOAT64), is_last;

        if (l->n_steps > 0 && step == 0) {
                v = apply(expr, TD_OP_DIVIDE, TD_FLOAT64, v, number(expr, (double)l->n_steps));
                v = apply(expr, TD_OP_MULTIPLY, TD_FLOAT64, v, number(expr, delta));
        } else {
                v = apply(expr, TD_OP_MULTIPLY, TD_FLOAT64, v, number(expr, step));
        }
        v = apply(expr, TD_OP_ADD, TD_FLOAT64, v, number(expr, l->start[0]));
        if (l->last < 0)
                return v;
        is_last = apply(expr, TD_OP_EQUAL, TD_BOOL, index, integer(expr, l->last));
        return expr_apply(expr, TD_OP_WHERE, -1, TD_FLOAT64, 3,
                          (const uint8_t[]){ is_last, number(expr, l->stop[0]), v });
}

/* row + k, as far as that makes a difference */
static uint8_t diagonal(struct expr *expr, const struct td_attrs *attrs, const struct td_type *type,
                        uint8_t row)
{
        const int64_t n_rows = type->shape[type->ndim - 2], n_columns = type->shape[type->ndim - 1];
        int64_t k = attrs->set & TD_ATTR_K ? attrs->k : 0;

        k = k < -n_rows ? -n_rows : k > n_columns ? n_columns : k;
        return k ? apply(expr, TD_OP_ADD, TD_INT64, row, integer(expr, k)) : row;
}

uint8_t generate_write(struct expr *expr, enum td_op op, const struct td_attrs *attrs,
                       const struct td_type *type, const uint8_t *indices)
{
        struct arange arange;
        struct linspace linspace;
        uint8_t v;

        switch (op) {
        case TD_OP_ARANGE:
                create_arange(&arange, attrs, type->dtype);
                v = write_arange(expr, &arange, indices[0]);
                break;
        case TD_OP_LINSPACE:
                create_linspace(&linspace, attrs, type->shape[0]);
                v = write_linspace(expr, &linspace, indices[0]);
                break;
        default:
                assert(op == TD_OP_EYE);
                v = apply(expr, TD_OP_EQUAL, TD_BOOL, diagonal(expr, attrs, type, indices[0]),
                          indices[1]);
                break;
        }
        return expr_cast(expr, v, type->dtype);
}

uint8_t generate_triangle(struct expr *expr, enum td_op op, const struct td_attrs *attrs,
                          const struct td_type *type, const uint8_t *indices, uint8_t x)
{
        const enum td_op keeps = op == TD_OP_TRIL ? TD_OP_GREATER_EQUAL : TD_OP_LESS_EQUAL;
        const union td_scalar zero = { 0 };
        uint8_t is_kept = apply(expr, keeps, TD_BOOL, diagonal(expr, attrs, type, indices[0]),
                                indices[1]);

        return expr_apply(expr, TD_OP_WHERE, -1, type->dtype, 3,
                          (const uint8_t[]){ is_kept, x,
                                             expr_constant(expr, type->dtype, &zero) });
}
