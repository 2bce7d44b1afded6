/* SPDX-License-Identifier: MIT */
/*
 * Expressions
 *
 * Values are looked for before they are added; with at most a few dozen of them, a walk through all
 * is the quickest way.
 */
#include "compute/region/expr.h"

#include "tensord/infer_elementwise.h"

#include <assert.h>
#include <string.h>

#include "compute/kernels/kernels.h"

void expr_init(struct expr *expr)
{
        expr->n_leaves = expr->n_values = expr->n_results = 0;
        expr->is_overfull = false;
        expr->indices = 0;
}

/* Without room: any value, since nothing comes of the expression. */
static uint8_t add(struct expr *expr, const struct expr_value *value)
{
        if (expr->n_values == EXPR_VALUES_MAX) {
                expr->is_overfull = true;
                return 0;
        }
        expr->values[expr->n_values] = *value;
        return (uint8_t)expr->n_values++;
}

uint8_t expr_leaf(struct expr *expr, const struct desc *desc)
{
        struct expr_value value = { .kind = EXPR_LEAF,
                                    .dtype = desc->type.dtype,
                                    .args = { (uint8_t)expr->n_leaves } };

        if (expr->n_leaves == EXPR_LEAVES_MAX) {
                expr->is_overfull = true;
                return 0;
        }
        expr->leaves[expr->n_leaves++] = *desc;
        return add(expr, &value);
}

uint8_t expr_index(struct expr *expr, const struct desc *desc)
{
        const unsigned leaf = expr->n_leaves;
        const uint8_t value = expr_leaf(expr, desc);

        assert(desc->type.dtype == TD_INT64);
        if (expr->n_leaves > leaf)
                expr->indices |= 1u << leaf;
        return value;
}

uint8_t expr_constant(struct expr *expr, enum td_dtype dtype, const union td_scalar *constant)
{
        struct expr_value value = { .kind = EXPR_CONSTANT, .dtype = (uint8_t)dtype };
        size_t size = (size_t)td_dtype_size(dtype);

        memcpy(&value.constant, constant, size);
        for (unsigned i = 0; i < expr->n_values; i++)
                if (expr->values[i].kind == EXPR_CONSTANT && expr->values[i].dtype == dtype &&
                    memcmp(&expr->values[i].constant, constant, size) == 0)
                        return (uint8_t)i;
        return add(expr, &value);
}

/* The value that says the same, or a new one. */
static uint8_t find_or_add(struct expr *expr, const struct expr_value *value)
{
        for (unsigned i = 0; i < expr->n_values; i++) {
                const struct expr_value *v = &expr->values[i];

                if (v->kind == value->kind && v->dtype == value->dtype && v->op == value->op &&
                    v->n_args == value->n_args && memcmp(v->args, value->args, v->n_args) == 0)
                        return (uint8_t)i;
        }
        return add(expr, value);
}

uint8_t expr_cast(struct expr *expr, uint8_t value, enum td_dtype dtype)
{
        const struct expr_value *v = &expr->values[value];
        struct expr_value cast = {
                .kind = EXPR_CAST, .dtype = (uint8_t)dtype, .n_args = 1, .args = { value }
        };

        if (v->dtype == dtype)
                return value;
        if (v->kind == EXPR_CONSTANT) {
                union td_scalar converted = { 0 };

                kernels_get()->load[v->dtype][dtype](1, &converted, &v->constant, 0);
                return expr_constant(expr, dtype, &converted);
        }
        return find_or_add(expr, &cast);
}

/* Compute an operation on constants; false if its kernel refuses. */
static bool fold(const struct expr *expr, const struct expr_value *value, enum td_dtype computed,
                 union td_scalar *resultp)
{
        const struct kernels *kernels = kernels_get();
        _Alignas(64) union td_scalar x[EXPR_ARGS_MAX][KERNEL_LANES], out[KERNEL_LANES];
        size_t n = kernel_is_padded(value->op, computed) ? KERNEL_LANES : 1;
        unsigned refused = 0;

        for (unsigned i = 0; i < value->n_args; i++) {
                const struct expr_value *v = &expr->values[value->args[i]];

                kernels->load[v->dtype][v->dtype](n, x[i], &v->constant, 0);
        }
        memset(out, 0, sizeof(out));
        if (value->n_args == 3)
                kernel_of_three(value->op, computed)(n, out, x[0], x[1], x[2]);
        else if (value->n_args == 1)
                refused = kernels->unary[value->op][computed](n, out, x[0]);
        else
                refused = kernel_of_two(value->op, expr->values[value->args[0]].dtype,
                                        computed)[KERNEL_VV](n, out, x[0], x[1]);
        *resultp = out[0];
        return !refused;
}

/* Is it a comparison of a signed integer with an uint64, which would meet in float64? */
static bool is_mixed(enum td_op op, enum td_dtype computed, const enum td_dtype *args)
{
        enum td_rule rule = td_op_info(op)->rule;

        return (rule == TD_RULE_PREDICATE || rule == TD_RULE_ORDER) && computed == TD_FLOAT64 &&
               td_op_info(op)->min_args == 2 && td_dtype_is_integer(args[0]) &&
               td_dtype_is_integer(args[1]);
}

/* The comparison of b and a that says the same as this one of a and b. */
static enum td_op swapped(enum td_op op)
{
        switch (op) {
        case TD_OP_LESS:
                return TD_OP_GREATER;
        case TD_OP_LESS_EQUAL:
                return TD_OP_GREATER_EQUAL;
        case TD_OP_GREATER:
                return TD_OP_LESS;
        case TD_OP_GREATER_EQUAL:
                return TD_OP_LESS_EQUAL;
        default:
                return op;
        }
}

/* Arguments in the dtypes that the kernel takes; returns that of the last one. */
static enum td_dtype convert(struct expr *expr, struct expr_value *value, const uint8_t *args)
{
        enum td_dtype dtypes[EXPR_ARGS_MAX], computed;

        for (unsigned i = 0; i < value->n_args; i++)
                dtypes[i] = expr->values[args[i]].dtype;
        computed = expr_compute_dtype(value->op, value->n_args, dtypes, value->dtype);
        if (is_mixed(value->op, computed, dtypes)) {
                bool is_swapped = dtypes[0] == TD_UINT64;

                value->op = (uint16_t)(is_swapped ? swapped(value->op) : value->op);
                value->args[0] = expr_cast(expr, args[is_swapped], TD_INT64);
                value->args[1] = expr_cast(expr, args[!is_swapped], TD_UINT64);
                return TD_UINT64;
        }
        for (unsigned i = 0; i < value->n_args; i++)
                value->args[i] = expr_cast(
                        expr, args[i], value->op == TD_OP_WHERE && i == 0 ? TD_BOOL : computed);
        return computed;
}

uint8_t expr_apply(struct expr *expr, enum td_op op, int32_t node, enum td_dtype dtype,
                   unsigned n_args, const uint8_t *args)
{
        struct expr_value value = { .kind = EXPR_APPLY,
                                    .dtype = (uint8_t)dtype,
                                    .n_args = (uint8_t)n_args,
                                    .op = (uint16_t)op,
                                    .node = node };
        enum td_dtype computed;
        union td_scalar constant;
        bool is_constant = !expr->is_overfull;

        assert(n_args > 0 && n_args <= EXPR_ARGS_MAX);
        if (op == TD_OP_ASTYPE)
                return expr_cast(expr, args[0], dtype);
        computed = convert(expr, &value, args);
        for (unsigned i = 0; i < n_args; i++)
                is_constant &= expr->values[value.args[i]].kind == EXPR_CONSTANT;
        if (is_constant && fold(expr, &value, computed, &constant))
                return expr_constant(expr, dtype, &constant);
        return find_or_add(expr, &value);
}

void expr_result(struct expr *expr, uint8_t value)
{
        if (expr->n_results == EXPR_RESULTS_MAX)
                expr->is_overfull = true;
        else
                expr->results[expr->n_results++] = value;
}

bool expr_can(enum td_op op)
{
        return td_category(td_op_info(op)->rule) || op == TD_OP_WHERE || op == TD_OP_ASTYPE;
}

/* What only a negative exponent makes fail: is it a constant that is none? */
static bool is_safe_power(const struct expr *expr, const struct expr_value *value)
{
        const struct expr_value *exponent = &expr->values[value->args[1]];
        union td_scalar converted;

        if (value->op != TD_OP_POW || exponent->kind != EXPR_CONSTANT ||
            !td_dtype_is_integer(exponent->dtype))
                return false;
        kernels_get()->load[exponent->dtype][TD_INT64](1, &converted, &exponent->constant, 0);
        return converted.i >= 0;
}

bool expr_may_fail(const struct expr *expr)
{
        for (unsigned i = 0; i < expr->n_values; i++) {
                const struct expr_value *value = &expr->values[i];

                if (value->kind == EXPR_APPLY && expr_op_may_fail(value->op, value->dtype) &&
                    !is_safe_power(expr, value))
                        return true;
        }
        return false;
}

enum td_dtype expr_compute_dtype(enum td_op op, unsigned n_args, const enum td_dtype *args,
                                 enum td_dtype result)
{
        struct td_type types[EXPR_ARGS_MAX] = { 0 };

        if (op == TD_OP_WHERE)
                return result;
        for (unsigned i = 0; i < n_args; i++)
                types[i].dtype = (uint8_t)args[i];
        return td_computed_in(td_op_info(op)->rule, n_args, types);
}

uint64_t expr_cost(enum td_op op, enum td_dtype dtype)
{
        if (op != TD_OP_POW && kernel_is_padded(op, dtype))
                return 3500;
        if (td_dtype_is_complex(dtype) && td_op_info(op)->rule == TD_RULE_FLOATING)
                return op == TD_OP_DIVIDE || op == TD_OP_RECIPROCAL
                               ? 3000
                               : 100000; /* C's functions, one by one */
        switch (op) {
        case TD_OP_POW:
                return td_dtype_is_integer(dtype)   ? 20000
                       : td_dtype_is_complex(dtype) ? 200000
                                                    : 8000;
        case TD_OP_DIVIDE:
        case TD_OP_SQRT:
        case TD_OP_RECIPROCAL:
                return 1200;
        case TD_OP_FLOOR_DIVIDE:
        case TD_OP_REMAINDER:
                return td_dtype_is_integer(dtype) ? 4000 : 30000;
        case TD_OP_NEXTAFTER:
                return 6500;
        default:
                return 200;
        }
}
