/* SPDX-License-Identifier: MIT */
/*
 * Inference of one operation
 *
 * td_infer(): attributes and number of arguments, then the rule that ops.def names for the
 * operation. Each rule is one function from argument types to result types. See infer.h.
 */
#pragma once

#include "tensord/infer_call.h"
#include "tensord/infer_elementwise.h"
#include "tensord/infer_linalg.h"
#include "tensord/infer_reduce.h"

/* ---- views ---- */

static inline int td_infer_permute(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0];
        uint8_t axes[TD_NDIM_MAX] = { 0 };
        int r;

        if (call->attrs->n_axes != a->ndim)
                return td_refuse(call->refusal, TD_E_BAD_AXIS, "%s: %u axes for shape %s",
                                 call->name, call->attrs->n_axes, td_type_text(a).s);
        r = td_check_axes(call->name, call->attrs, a->ndim, axes, call->refusal);
        if (r)
                return r;
        *result = *a;
        for (unsigned i = 0; i < a->ndim; i++)
                result->shape[i] = a->shape[axes[i]];
        return TD_OK;
}

/* Are all of the n > 0 elements from start on, step apart, in [0, extent)? */
static inline bool td_slice_fits(int64_t extent, int64_t start, int64_t n, int64_t step)
{
        uint64_t room, size;

        if (start < 0 || start >= extent)
                return false;
        room = (uint64_t)(step > 0 ? extent - 1 - start : start);
        size = step > 0 ? (uint64_t)step : -(uint64_t)step;
        return (uint64_t)n - 1 <= room / size;
}

static inline int td_infer_slice(const struct td_call *call, struct td_type *result)
{
        const struct td_attrs *attrs = call->attrs;
        const struct td_type *a = &call->args[0];

        if (attrs->n_start != a->ndim || attrs->n_shape != a->ndim || attrs->n_step != a->ndim)
                return td_refuse(call->refusal, TD_E_BAD_PROGRAM,
                                 "%s: shape %s wants %u entries in start, shape and step; they "
                                 "have %u, %u and %u",
                                 call->name, td_type_text(a).s, a->ndim, attrs->n_start,
                                 attrs->n_shape, attrs->n_step);
        *result = *a;
        for (unsigned i = 0; i < a->ndim; i++) {
                int64_t n = attrs->shape[i];
                bool fits;

                if (n < 0)
                        return td_refuse(call->refusal, TD_E_BAD_SHAPE,
                                         "%s: shape %s has a negative extent", call->name,
                                         td_shape_text(a->ndim, attrs->shape).s);
                if (attrs->step[i] == 0)
                        return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                         "%s: the step of axis %u is 0", call->name, i);
                fits = n ? td_slice_fits(a->shape[i], attrs->start[i], n, attrs->step[i])
                         : attrs->start[i] >= 0 && attrs->start[i] <= a->shape[i];
                if (!fits)
                        return td_refuse(call->refusal, TD_E_BAD_VIEW,
                                         "%s: %" PRId64 " elements from %" PRId64 " on, %" PRId64
                                         " apart, reach outside of axis %u of shape %s",
                                         call->name, n, attrs->start[i], attrs->step[i], i,
                                         td_type_text(a).s);
                result->shape[i] = n;
        }
        return TD_OK;
}

/* The shape attribute as a type of that dtype. */
static inline int td_infer_shape(const struct td_call *call, unsigned dtype, struct td_type *result)
{
        *result = (struct td_type){ .dtype = (uint8_t)dtype, .ndim = call->attrs->n_shape };
        memcpy(result->shape, call->attrs->shape, result->ndim * sizeof(result->shape[0]));
        return td_check_type_of(call->name, result, call->refusal);
}

static inline int td_infer_reshape(const struct td_call *call, struct td_type *result)
{
        const struct td_attrs *attrs = call->attrs;
        const struct td_type *a = &call->args[0];
        struct td_type known = { .dtype = a->dtype, .ndim = attrs->n_shape };
        int64_t n = td_type_n_elements(a), n_known;
        int unknown = -1;
        int r;

        for (unsigned i = 0; i < attrs->n_shape; i++) {
                known.shape[i] = attrs->shape[i];
                if (attrs->shape[i] == -1 && unknown < 0) {
                        unknown = (int)i;
                        known.shape[i] = 1;
                }
        }
        r = td_check_type_of(call->name, &known, call->refusal);
        if (r)
                return r;
        n_known = td_type_n_elements(&known);
        if (unknown >= 0 && n_known > 0 && n % n_known == 0) {
                known.shape[unknown] = n / n_known;
        } else if (unknown >= 0 || n_known != n) {
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shapes %s and %s do not fit: %" PRId64
                                 " elements cannot become them",
                                 call->name, td_type_text(a).s,
                                 td_shape_text(attrs->n_shape, attrs->shape).s, n);
        }
        *result = known;
        return TD_OK;
}

static inline int td_infer_broadcast_to(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = &call->args[0];
        struct td_type joint = { .dtype = a->dtype };
        int r;

        r = td_infer_shape(call, a->dtype, result);
        if (r)
                return r;
        if (!td_broadcast_two(a, result, &joint) || !td_type_same(&joint, result))
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shape %s does not broadcast to %s", call->name,
                                 td_type_text(a).s, td_type_text(result).s);
        return TD_OK;
}

#include "tensord/infer_movement.h"

/* ---- creation ---- */

#include "tensord/infer_creation.h"

/* How many floats, as numpy counts: the quotient rounded up, one element if it underflows. */
static inline bool td_arange_floats(double start, double stop, double step, int64_t *np)
{
        double quotient = (stop - start) / step;

        *np = 0;
        if (quotient != quotient || quotient >= 0x1p63)
                return false;
        if (quotient == 0 && stop != start)
                *np = __builtin_signbit(quotient) ? 0 : 1;
        if (quotient <= 0)
                return true;
        *np = (int64_t)quotient;
        *np += (double)*np < quotient;
        return true;
}

static inline int td_infer_arange(const struct td_call *call, struct td_type *result)
{
        const struct td_number *range = call->attrs->range;
        bool is_float = false;
        unsigned dtype = call->attrs->dtype;
        uint64_t n = 0;
        bool fits;

        *result = (struct td_type){ .dtype = (uint8_t)dtype, .ndim = 1 };
        if (dtype == TD_BOOL || td_dtype_is_complex(dtype))
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: is not defined for %s", call->name, td_dtype_name(dtype));
        for (unsigned i = 0; i < 3; i++) {
                if (range[i].kind == TD_KIND_COMPLEX)
                        return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                         "%s: start, stop and step are real", call->name);
                is_float |= range[i].kind == TD_KIND_FLOAT;
        }
        if (is_float && !td_dtype_is_float(dtype))
                return td_refuse(call->refusal, TD_E_DTYPE_MISMATCH,
                                 "%s: a range of floats does not go with %s", call->name,
                                 td_dtype_name(dtype));
        if (td_number_double(&range[2]) == 0)
                return td_refuse(call->refusal, TD_E_BAD_VALUE, "%s: the step is 0", call->name);
        if (is_float)
                fits = td_arange_floats(td_number_double(&range[0]), td_number_double(&range[1]),
                                        td_number_double(&range[2]), &result->shape[0]);
        else
                fits = td_count_integers(range, &n) && n <= INT64_MAX &&
                       (n > 0 || td_range_is_empty(range));
        if (!is_float)
                result->shape[0] = (int64_t)n;
        if (!fits)
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: from %g to %g by %g has no length", call->name,
                                 td_number_double(&range[0]), td_number_double(&range[1]),
                                 td_number_double(&range[2]));
        return TD_OK;
}

static inline int td_infer_eye(const struct td_call *call, struct td_type *result)
{
        if (call->attrs->n_shape != 2)
                return td_refuse(call->refusal, TD_E_BAD_SHAPE,
                                 "%s: shape %s is not that of a matrix", call->name,
                                 td_shape_text(call->attrs->n_shape, call->attrs->shape).s);
        return td_infer_shape(call, call->attrs->dtype, result);
}

#include "tensord/infer_sorting.h"

/* ---- all of them ---- */

/*
 * Those that the operation needs are there, no others are, and lists are no longer than their
 * arrays.
 */
static inline int td_check_attrs(enum td_op op, const struct td_attrs *attrs,
                                 struct td_refusal *refusal)
{
        const struct td_op_info *info = td_op_info(op);
        uint32_t unknown = attrs->set & ~info->attrs;
        uint32_t missing = info->attrs & ~td_op_optional(op) & ~attrs->set;

        if (unknown)
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "%s: takes no attribute '%s'",
                                 info->name, td_attr_name(unknown & -unknown));
        if (missing)
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "%s: attribute '%s' is missing",
                                 info->name, td_attr_name(missing & -missing));
        if ((attrs->set & TD_ATTR_DTYPE) && attrs->dtype >= TD_N_DTYPES)
                return td_refuse(refusal, TD_E_UNSUPPORTED_DTYPE, "%s: no dtype has number %u",
                                 info->name, attrs->dtype);
        if (((attrs->set & TD_ATTR_SHAPE) && attrs->n_shape > TD_NDIM_MAX) ||
            ((attrs->set & TD_ATTR_AXES) && attrs->n_axes > TD_NDIM_MAX) ||
            ((attrs->set & TD_ATTR_START) && attrs->n_start > TD_NDIM_MAX) ||
            ((attrs->set & TD_ATTR_STEP) && attrs->n_step > TD_NDIM_MAX))
                return td_refuse(
                        refusal, TD_E_RANK_LIMIT,
                        "%s: an attribute has more entries than the limit of %d dimensions",
                        info->name, TD_NDIM_MAX);
        return TD_OK;
}

static inline int td_infer_rule(enum td_op op, const struct td_call *call, struct td_type *results)
{
        enum td_rule rule = td_op_info(op)->rule;

        if (td_category(rule))
                return td_infer_elementwise(call, rule, results);
        if (td_rule_is_reduction(rule))
                return td_infer_reduction(call, rule, results);
        if (td_rule_is_lapack(rule))
                return td_infer_lapack(rule, call, results);
        switch (rule) {
        case TD_RULE_WHERE: return td_infer_where(call, results);
        case TD_RULE_ASTYPE: return td_infer_astype(call, results);
        case TD_RULE_PERMUTE: return td_infer_permute(call, results);
        case TD_RULE_SLICE: return td_infer_slice(call, results);
        case TD_RULE_RESHAPE: return td_infer_reshape(call, results);
        case TD_RULE_BROADCAST: return td_infer_broadcast_to(call, results);
        case TD_RULE_CONCAT: return td_infer_concat(call, results);
        case TD_RULE_TAKE: return td_infer_take(call, results);
        case TD_RULE_TAKE_ALONG_AXIS: return td_infer_take_along_axis(call, results);
        case TD_RULE_ASSIGN: return td_infer_assign(call, results);
        case TD_RULE_PUT: return td_infer_put(call, results);
        case TD_RULE_TRIANGLE: return td_infer_triangle(call, results);
        case TD_RULE_SCAN: return td_infer_scan(call, results);
        case TD_RULE_SEGMENT_SUM: return td_infer_segment_sum(call, results);
        case TD_RULE_MATMUL: return td_infer_matmul(call, results);
        case TD_RULE_CREATION: return td_infer_shape(call, call->attrs->dtype, results);
        case TD_RULE_ARANGE: return td_infer_arange(call, results);
        case TD_RULE_EYE: return td_infer_eye(call, results);
        case TD_RULE_SORT: return td_infer_sort(call, op == TD_OP_ARGSORT, results);
        case TD_RULE_TOPK: return td_infer_topk(call, results);
        case TD_RULE_SEARCHSORTED: return td_infer_searchsorted(call, results);
        case TD_RULE_ISIN: return td_infer_isin(call, results);
        case TD_RULE_NONZERO: return td_infer_nonzero(call, results);
        case TD_RULE_MASK: return td_infer_mask(call, results);
        case TD_RULE_LINSPACE: return td_infer_linspace(call, results);
        case TD_RULE_RANDOM: return td_infer_random(call, results);
        case TD_RULE_RANDOM_INTEGERS: return td_infer_random_integers(call, results);
        case TD_RULE_RANDOM_PERMUTATION: return td_infer_random_permutation(call, results);
        case TD_RULE_UNIQUE: return td_infer_unique(call, op, results);
        default: break;
        }
        return td_refuse(call->refusal, TD_E_BAD_PROGRAM, "%s: has no types without its block",
                         call->name);
}

/*
 * Types of the results of one operation, loop excepted (see td_infer_program()). results has room
 * for what ops.def says. The arguments' types passed td_check_type().
 */
static inline int td_infer(enum td_op op, const struct td_attrs *attrs, uint32_t n_args,
                           const struct td_type *args, struct td_type *results,
                           struct td_refusal *refusal)
{
        const struct td_op_info *info;
        struct td_call call;
        int r;

        if ((unsigned)op >= TD_N_OPS)
                return td_refuse(refusal, TD_E_UNKNOWN_OP, "no operation has number %u",
                                 (unsigned)op);
        info = td_op_info(op);
        if (n_args < info->min_args || n_args > info->max_args)
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "%s: takes %u argument%s, not %u",
                                 info->name, info->min_args, info->min_args == 1 ? "" : "s",
                                 n_args);
        r = td_check_attrs(op, attrs, refusal);
        if (r)
                return r;
        for (uint32_t i = 0; i < n_args; i++)
                if (!td_type_is_known(&args[i]))
                        return td_refuse_unknown(info->name, refusal);
        for (int i = 0; i < info->n_results; i++)
                results[i] = (struct td_type){ .dtype = 0 };
        call = (struct td_call){ .name = info->name,
                                 .attrs = attrs,
                                 .n_args = n_args,
                                 .args = args,
                                 .refusal = refusal };
        r = td_infer_rule(op, &call, results);
        for (int i = 0; i < info->n_results && !r; i++)
                if (!td_op_is_counted(op) || td_type_is_known(&results[i]))
                        r = td_check_type_of(info->name, &results[i], refusal);
        return r;
}
