/* SPDX-License-Identifier: MIT */
/*
 * Inference of sorting, searching and sets
 *
 * Rules of operations that order elements, and of those whose shape depends on data: their unknown
 * extent is TD_UNKNOWN. Its bound is known, and with it the result's bytes were checked.
 */
#pragma once

#include "tensord/types.h"

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
