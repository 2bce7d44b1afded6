/* SPDX-License-Identifier: MIT */
/*
 * Inference of reductions and scans
 *
 * The dtypes of results, and which axes are left.
 */
#pragma once

#include "tensord/infer_call.h"

static_assert(TD_RULE_COUNT - TD_RULE_SUM == 6, "rules of reductions stand together");

static inline bool td_rule_is_reduction(enum td_rule rule)
{
        return rule >= TD_RULE_SUM && rule <= TD_RULE_COUNT;
}

/* Bit i: axis i is reduced. All of them if no axes were given, none if the list given is empty. */
static inline int td_reduced_axes(const char *name, const struct td_attrs *attrs, unsigned ndim,
                                  uint32_t *maskp, struct td_refusal *refusal)
{
        uint8_t axes[TD_NDIM_MAX];
        uint32_t mask = 0;
        int r;

        if (!(attrs->set & TD_ATTR_AXES)) {
                *maskp = (1u << ndim) - 1;
                return TD_OK;
        }
        r = td_check_axes(name, attrs, ndim, axes, refusal);
        if (r)
                return r;
        for (unsigned i = 0; i < attrs->n_axes; i++)
                mask |= 1u << axes[i];
        *maskp = mask;
        return TD_OK;
}

/* Sums and products of integers have 64 bits. */
static inline unsigned td_sum_dtype(unsigned dtype)
{
        switch (td_dtype_kind(dtype)) {
        case TD_KIND_BOOL:
        case TD_KIND_INT: return TD_INT64;
        case TD_KIND_UINT: return TD_UINT64;
        default: return dtype;
        }
}

static inline unsigned td_reduced_dtype(enum td_rule rule, unsigned dtype)
{
        switch (rule) {
        case TD_RULE_SUM: return td_sum_dtype(dtype);
        case TD_RULE_MEAN: return td_promote_to_float(dtype);
        case TD_RULE_VARIANCE: return td_dtype_real(td_promote_to_float(dtype));
        case TD_RULE_TEST: return TD_BOOL;
        case TD_RULE_COUNT:
        case TD_RULE_ARG_EXTREMUM: return TD_INT64;
        default: return dtype;
        }
}

static inline int td_infer_reduction(const struct td_call *call, enum td_rule rule,
                                     struct td_type *result)
{
        const struct td_type *a = &call->args[0];
        bool keepdims = (call->attrs->set & TD_ATTR_KEEPDIMS) && call->attrs->keepdims;
        bool is_extremum = rule == TD_RULE_EXTREMUM || rule == TD_RULE_ARG_EXTREMUM;
        bool is_of_nothing = false;
        uint32_t mask;
        int r;

        if (is_extremum && td_dtype_is_complex(a->dtype))
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: is not defined for %s", call->name, td_dtype_name(a->dtype));
        r = td_reduced_axes(call->name, call->attrs, a->ndim, &mask, call->refusal);
        if (r)
                return r;
        if (rule == TD_RULE_ARG_EXTREMUM && (call->attrs->set & TD_ATTR_AXES) &&
            call->attrs->n_axes != 1)
                return td_refuse(call->refusal, TD_E_BAD_AXIS,
                                 "%s: takes one axis or all of them, not %u", call->name,
                                 call->attrs->n_axes);
        result->dtype = (uint8_t)td_reduced_dtype(rule, a->dtype);
        for (unsigned i = 0; i < a->ndim; i++) {
                bool is_reduced = mask >> i & 1;

                if (is_reduced && a->shape[i] == 0)
                        is_of_nothing = true;
                if (!is_reduced || keepdims)
                        result->shape[result->ndim++] = is_reduced ? 1 : a->shape[i];
        }
        if (is_extremum && is_of_nothing && td_type_n_elements(result) > 0)
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: of no elements is not defined (shape %s, an axis of extent 0 "
                                 "is reduced)",
                                 call->name, td_type_text(a).s);
        return TD_OK;
}

/* Along one axis, which may get an element more. */
static inline int td_infer_scan(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0];
        uint8_t axes[TD_NDIM_MAX] = { 0 };
        int r;

        if (call->attrs->n_axes != 1)
                return td_refuse(call->refusal, TD_E_BAD_AXIS, "%s: takes one axis, not %u",
                                 call->name, call->attrs->n_axes);
        r = td_check_axes(call->name, call->attrs, a->ndim, axes, call->refusal);
        if (r)
                return r;
        *result = *a;
        result->dtype = (uint8_t)td_sum_dtype(a->dtype);
        if ((call->attrs->set & TD_ATTR_INCLUDE_INITIAL) && call->attrs->include_initial)
                if (__builtin_add_overflow(result->shape[axes[0]], 1, &result->shape[axes[0]]))
                        return td_refuse(call->refusal, TD_E_BAD_SHAPE,
                                         "%s: shape %s has no room for one more", call->name,
                                         td_type_text(a).s);
        return TD_OK;
}

/* Sums of rows with the same label: x (n, ...) and labels (n,) give (k, ...). */
static inline int td_infer_segment_sum(const struct td_call *call, struct td_type *result)
{
        const struct td_type *x = &call->args[0], *labels = &call->args[1];

        if (!td_dtype_is_float(x->dtype) || !td_dtype_is_integer(labels->dtype))
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: is defined for floats with integer labels, not for %s with "
                                 "%s",
                                 call->name, td_dtype_name(x->dtype),
                                 td_dtype_name(labels->dtype));
        if (x->ndim == 0 || labels->ndim != 1 || labels->shape[0] != x->shape[0])
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shapes %s and %s do not fit: each row has one label",
                                 call->name, td_type_text(x).s, td_type_text(labels).s);
        if (!(call->attrs->set & TD_ATTR_K) || call->attrs->k < 0)
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: k, the number of segments, is missing or negative",
                                 call->name);
        *result = *x;
        result->shape[0] = call->attrs->k;
        return TD_OK;
}
