/* SPDX-License-Identifier: MIT */
/*
 * Inference of products and linear algebra
 *
 * Leading dimensions are stacks of matrices. Integers and bool are solved and factored as float64.
 */
#pragma once

#include "tensord/infer_call.h"

static_assert(TD_RULE_LU - TD_RULE_SOLVE == 13, "rules of what LAPACK does stand together");

static inline bool td_rule_is_lapack(enum td_rule rule)
{
        return rule >= TD_RULE_SOLVE && rule <= TD_RULE_LU;
}

/* The leading dimensions of a stack, without the last n. */
static inline struct td_type td_lead(const struct td_type *type, unsigned n)
{
        struct td_type lead = *type;

        lead.ndim = (uint8_t)(type->ndim - n);
        return lead;
}

static inline int td_refuse_fit(const struct td_call *call, const char *why)
{
        return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH, "%s: shapes %s and %s do not fit: %s",
                         call->name, td_type_text(&call->args[0]).s, td_type_text(&call->args[1]).s,
                         why);
}

static inline int td_refuse_extents(const struct td_call *call, int64_t x, int64_t y)
{
        char why[64];

        snprintf(why, sizeof(why), "%" PRId64 " is not %" PRId64, x, y);
        return td_refuse_fit(call, why);
}

static inline int td_infer_matmul(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0], *b = &call->args[1];
        struct td_type lead_a, lead_b;
        int64_t k_a, k_b;

        result->dtype = (uint8_t)td_promote(a->dtype, b->dtype);
        if (a->ndim == 0 || b->ndim == 0)
                return td_refuse_fit(call, "a matrix product wants at least one dimension of each");
        k_a = a->shape[a->ndim - 1];
        k_b = b->shape[b->ndim == 1 ? 0 : b->ndim - 2];
        if (k_a != k_b)
                return td_refuse_extents(call, k_a, k_b);
        lead_a = td_lead(a, a->ndim == 1 ? 1 : 2);
        lead_b = td_lead(b, b->ndim == 1 ? 1 : 2);
        if (!td_broadcast_two(&lead_a, &lead_b, result))
                return td_refuse_fit(call, "their stacks do not broadcast");
        if (a->ndim > 1)
                result->shape[result->ndim++] = a->shape[a->ndim - 2];
        if (b->ndim > 1)
                result->shape[result->ndim++] = b->shape[b->ndim - 1];
        return TD_OK;
}

/* Is args[0] a square matrix, or a stack of such? */
static inline int td_check_square(const struct td_call *call)
{
        const struct td_type *a = &call->args[0];

        if (a->ndim < 2 || a->shape[a->ndim - 1] != a->shape[a->ndim - 2])
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shape %s is not that of a square matrix", call->name,
                                 td_type_text(a).s);
        return TD_OK;
}

/* NumPy 2: b is a vector if it has one dimension, else a matrix or a stack of matrices. */
static inline int td_infer_solve(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0], *b = &call->args[1];
        struct td_type lead_a, lead_b;
        int64_t n, n_b;
        int r;

        result->dtype = (uint8_t)td_promote_to_float(td_promote(a->dtype, b->dtype));
        r = td_check_square(call);
        if (r)
                return r;
        if (b->ndim == 0)
                return td_refuse_fit(call, "the right side has no dimension");
        n = a->shape[a->ndim - 1];
        n_b = b->shape[b->ndim == 1 ? 0 : b->ndim - 2];
        if (n != n_b)
                return td_refuse_extents(call, n, n_b);
        lead_a = td_lead(a, 2);
        lead_b = td_lead(b, b->ndim == 1 ? 1 : 2);
        if (!td_broadcast_two(&lead_a, &lead_b, result))
                return td_refuse_fit(call, "their stacks do not broadcast");
        result->shape[result->ndim++] = n;
        if (b->ndim > 1)
                result->shape[result->ndim++] = b->shape[b->ndim - 1];
        return TD_OK;
}

static inline struct td_type td_stack_of(const struct td_type *lead, unsigned dtype, unsigned ndim,
                                         int64_t rows, int64_t columns)
{
        struct td_type type = *lead;

        type.dtype = (uint8_t)dtype;
        if (ndim > 0)
                type.shape[type.ndim++] = rows;
        if (ndim > 1)
                type.shape[type.ndim++] = columns;
        return type;
}

static inline int td_infer_lstsq(const struct td_call *call, struct td_type *results)
{
        const struct td_type *a = &call->args[0], *b = &call->args[1];
        const unsigned dtype = td_promote_to_float(td_promote(a->dtype, b->dtype));
        const unsigned real = td_dtype_real(dtype), is_stack = b->ndim > 1;
        struct td_type lead_a, lead_b, lead = { 0 };
        int64_t m, n, m_b, n_rhs;

        if (a->ndim < 2 || b->ndim < 1)
                return td_refuse_fit(call, "a matrix, and a vector or a matrix, are wanted");
        m = a->shape[a->ndim - 2];
        n = a->shape[a->ndim - 1];
        m_b = b->shape[b->ndim - 1 - is_stack];
        n_rhs = b->shape[b->ndim - 1];
        if (m != m_b)
                return td_refuse_extents(call, m, m_b);
        lead_a = td_lead(a, 2);
        lead_b = td_lead(b, 1 + is_stack);
        if (!td_broadcast_two(&lead_a, &lead_b, &lead))
                return td_refuse_fit(call, "their stacks do not broadcast");
        results[0] = td_stack_of(&lead, dtype, 1 + is_stack, n, n_rhs);
        results[1] = td_stack_of(&lead, real, is_stack, n_rhs, 0);
        results[2] = td_stack_of(&lead, TD_INT64, 0, 0, 0);
        results[3] = td_stack_of(&lead, real, 1, m < n ? m : n, 0);
        return TD_OK;
}

/* ---- one matrix, or a stack of such ---- */

static inline int td_infer_lu_solve(const struct td_call *call, struct td_type *result)
{
        const struct td_type *pivots = &call->args[1];
        struct td_type args[2] = { call->args[0], call->args[2] };
        struct td_call solve = *call;

        if (pivots->ndim < 1 || !td_dtype_is_integer(pivots->dtype))
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: pivots of dtype %s and shape %s are not a list of integers",
                                 call->name, td_dtype_name(pivots->dtype), td_type_text(pivots).s);
        solve.args = args;
        if (args[0].ndim >= 2) {
                const struct td_type lead = td_lead(&args[0], 2), lead_pivots = td_lead(pivots, 1);

                if (lead.ndim != lead_pivots.ndim ||
                    memcmp(lead.shape, lead_pivots.shape, lead.ndim * sizeof(lead.shape[0])) != 0 ||
                    pivots->shape[pivots->ndim - 1] != args[0].shape[args[0].ndim - 1])
                        return td_refuse_fit(call, "there is one pivot for each row");
        }
        return td_infer_solve(&solve, result);
}

/* The rules of what takes a matrix of any extents. */
static inline int td_infer_rectangular(enum td_rule rule, const struct td_call *call,
                                       struct td_type *results)
{
        const struct td_type *a = &call->args[0];
        const unsigned dtype = td_promote_to_float(a->dtype);
        const bool is_full = call->attrs->set & TD_ATTR_FULL_MATRICES && call->attrs->full_matrices;
        struct td_type lead;
        int64_t m, n, k;

        if (a->ndim < 2)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shape %s is not that of a matrix", call->name,
                                 td_type_text(a).s);
        lead = td_lead(a, 2);
        m = a->shape[a->ndim - 2];
        n = a->shape[a->ndim - 1];
        k = m < n ? m : n;
        switch (rule) {
        case TD_RULE_QR:
                results[0] = td_stack_of(&lead, dtype, 2, m, is_full ? m : k);
                results[1] = td_stack_of(&lead, dtype, 2, is_full ? m : k, n);
                return TD_OK;
        case TD_RULE_SVD:
                results[0] = td_stack_of(&lead, dtype, 2, m, is_full ? m : k);
                results[1] = td_stack_of(&lead, td_dtype_real(dtype), 1, k, 0);
                results[2] = td_stack_of(&lead, dtype, 2, is_full ? n : k, n);
                return TD_OK;
        case TD_RULE_SVDVALS:
                results[0] = td_stack_of(&lead, td_dtype_real(dtype), 1, k, 0);
                return TD_OK;
        default: /* LU */
                results[0] = td_stack_of(&lead, dtype, 2, m, n);
                results[1] = td_stack_of(&lead, TD_INT64, 1, k, 0);
                return TD_OK;
        }
}

/* The rules of what takes square matrices. */
static inline int td_infer_square(enum td_rule rule, const struct td_call *call,
                                  struct td_type *results)
{
        const struct td_type *a = &call->args[0];
        const unsigned dtype = td_promote_to_float(a->dtype), real = td_dtype_real(dtype);
        const unsigned joint = real == TD_FLOAT32 ? TD_COMPLEX64 : TD_COMPLEX128;
        struct td_type lead;
        int64_t n;
        int r = td_check_square(call);

        if (r)
                return r;
        lead = td_lead(a, 2);
        n = a->shape[a->ndim - 1];
        switch (rule) {
        case TD_RULE_DET:
                results[0] = td_stack_of(&lead, dtype, 0, 0, 0);
                return TD_OK;
        case TD_RULE_SLOGDET:
                results[0] = td_stack_of(&lead, dtype, 0, 0, 0);
                results[1] = td_stack_of(&lead, real, 0, 0, 0);
                return TD_OK;
        case TD_RULE_EIGVALSH:
                results[0] = td_stack_of(&lead, real, 1, n, 0);
                return TD_OK;
        case TD_RULE_EIGH:
                results[0] = td_stack_of(&lead, real, 1, n, 0);
                results[1] = td_stack_of(&lead, dtype, 2, n, n);
                return TD_OK;
        case TD_RULE_EIGVALS:
                results[0] = td_stack_of(&lead, joint, 1, n, 0);
                return TD_OK;
        case TD_RULE_EIG:
                results[0] = td_stack_of(&lead, joint, 1, n, 0);
                results[1] = td_stack_of(&lead, joint, 2, n, n);
                return TD_OK;
        default: /* SQUARE */
                results[0] = td_stack_of(&lead, dtype, 2, n, n);
                return TD_OK;
        }
}

static inline int td_infer_lapack(enum td_rule rule, const struct td_call *call,
                                  struct td_type *results)
{
        switch (rule) {
        case TD_RULE_SOLVE:
                return td_infer_solve(call, results);
        case TD_RULE_LU_SOLVE:
                return td_infer_lu_solve(call, results);
        case TD_RULE_LSTSQ:
                return td_infer_lstsq(call, results);
        case TD_RULE_QR:
        case TD_RULE_SVD:
        case TD_RULE_SVDVALS:
        case TD_RULE_LU:
                return td_infer_rectangular(rule, call, results);
        default:
                return td_infer_square(rule, call, results);
        }
}
