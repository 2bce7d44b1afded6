/* SPDX-License-Identifier: MIT */
/*
 * Inference of sorting, searching and sets
 *
 * Rules of operations that order elements, and of those whose shape depends on data: their unknown
 * extent is TD_UNKNOWN. Its bound is known, and with it the result's bytes were checked.
 */
#pragma once

#include "tensord/infer_call.h"

/* Sorting wants an order that means something; complex numbers have none. */
static inline int td_check_ordered(const struct td_call *call, unsigned dtype)
{
        if (td_dtype_is_complex(dtype))
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: is not defined for %s, which has no order", call->name,
                                 td_dtype_name(dtype));
        return TD_OK;
}

/* What is sorted at a time is numbered by 32 bits. */
static inline int td_check_length(const struct td_call *call, int64_t n)
{
        if (n > UINT32_MAX)
                return td_refuse(call->refusal, TD_E_BAD_SHAPE,
                                 "%s: %" PRId64 " elements are more than the limit of %u",
                                 call->name, n, UINT32_MAX);
        return TD_OK;
}

/* The one axis that is meant. */
static inline int td_sort_axis(const struct td_call *call, unsigned *axisp)
{
        uint8_t axes[TD_NDIM_MAX] = { 0 };
        int r;

        if (call->attrs->n_axes != 1)
                return td_refuse(call->refusal, TD_E_BAD_AXIS, "%s: takes one axis, not %u",
                                 call->name, call->attrs->n_axes);
        r = td_check_axes(call->name, call->attrs, call->args[0].ndim, axes, call->refusal);
        if (r)
                return r;
        *axisp = axes[0];
        return td_check_length(call, call->args[0].shape[axes[0]]);
}

static inline int td_infer_sort(const struct td_call *call, bool is_indices, struct td_type *result)
{
        unsigned axis = 0;
        int r = td_check_ordered(call, call->args[0].dtype);

        *result = call->args[0];
        if (is_indices)
                result->dtype = TD_INT64;
        return r ? r : td_sort_axis(call, &axis);
}

static inline int td_infer_topk(const struct td_call *call, struct td_type *results)
{
        const struct td_type *a = &call->args[0];
        unsigned axis = 0;
        int r = td_check_ordered(call, a->dtype);

        if (!r)
                r = td_sort_axis(call, &axis);
        if (r)
                return r;
        if (!(call->attrs->set & TD_ATTR_K))
                return td_refuse(call->refusal, TD_E_BAD_PROGRAM, "%s: attribute 'k' is missing",
                                 call->name);
        if (call->attrs->k < 0 || call->attrs->k > a->shape[axis])
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: k is %" PRId64 ", axis %u of shape %s has other extents",
                                 call->name, call->attrs->k, axis, td_type_text(a).s);
        results[0] = results[1] = *a;
        results[0].shape[axis] = results[1].shape[axis] = call->attrs->k;
        results[1].dtype = TD_INT64;
        return TD_OK;
}

static inline int td_infer_searchsorted(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0], *b = &call->args[1];

        if (a->ndim != 1)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: what is searched has one dimension, not shape %s", call->name,
                                 td_type_text(a).s);
        *result = *b;
        result->dtype = TD_INT64;
        return td_check_ordered(call, td_promote(a->dtype, b->dtype));
}

static inline int td_infer_isin(const struct td_call *call, struct td_type *result)
{
        *result = call->args[0];
        result->dtype = TD_BOOL;
        return td_check_length(call, td_type_n_elements(&call->args[1]));
}

/* ---- shapes that depend on data ---- */

/* The extent of that axis is counted when data is there, and at most max. */
static inline int td_infer_counted(const struct td_call *call, unsigned axis, int64_t max,
                                   struct td_type *result)
{
        int r;

        result->shape[axis] = max;
        r = td_check_type_of(call->name, result, call->refusal);
        result->shape[axis] = TD_UNKNOWN;
        return r;
}

static inline int td_infer_nonzero(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0];

        if (a->ndim == 0)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shape () has no dimension to give indices of", call->name);
        *result = (struct td_type){ .dtype = TD_INT64, .ndim = 2, .shape = { a->ndim } };
        return td_infer_counted(call, 1, td_type_n_elements(a), result);
}

static inline int td_infer_mask(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0], *mask = &call->args[1];

        if (mask->dtype != TD_BOOL)
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: a mask is bool, not %s", call->name,
                                 td_dtype_name(mask->dtype));
        if (mask->ndim > a->ndim ||
            memcmp(mask->shape, a->shape, mask->ndim * sizeof(a->shape[0])) != 0)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: a mask of shape %s does not fit the leading dimensions of %s",
                                 call->name, td_type_text(mask).s, td_type_text(a).s);
        if (a->ndim - mask->ndim + 1 > TD_NDIM_MAX)
                return td_refuse(call->refusal, TD_E_RANK_LIMIT,
                                 "%s: the result has more dimensions than the limit of %d",
                                 call->name, TD_NDIM_MAX);
        *result = (struct td_type){ .dtype = a->dtype,
                                    .ndim = (uint8_t)(a->ndim - mask->ndim + 1) };
        memcpy(result->shape + 1, a->shape + mask->ndim,
               (size_t)(a->ndim - mask->ndim) * sizeof(a->shape[0]));
        return td_infer_counted(call, 0, td_type_n_elements(mask), result);
}

/*
 * The values; then, each where the operation has it, the index of its first occurrence, where in
 * values each element of x is (of x's shape), and how often each value occurs.
 */
static inline int td_infer_unique(const struct td_call *call, enum td_op op,
                                  struct td_type *results)
{
        const struct td_type *a = &call->args[0];
        const int64_t n = td_type_n_elements(a);
        int r = td_check_length(call, n);

        *results = (struct td_type){ .dtype = a->dtype, .ndim = 1 };
        r = r ? r : td_infer_counted(call, 0, n, results);
        if (op == TD_OP_UNIQUE_ALL && !r) {
                *++results = (struct td_type){ .dtype = TD_INT64, .ndim = 1 };
                r = td_infer_counted(call, 0, n, results);
        }
        if (op == TD_OP_UNIQUE_ALL || op == TD_OP_UNIQUE_INVERSE) {
                *++results = *a;
                results->dtype = TD_INT64;
        }
        if ((op == TD_OP_UNIQUE_ALL || op == TD_OP_UNIQUE_COUNTS) && !r) {
                *++results = (struct td_type){ .dtype = TD_INT64, .ndim = 1 };
                r = td_infer_counted(call, 0, n, results);
        }
        return r;
}
