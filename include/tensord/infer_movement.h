/* SPDX-License-Identifier: MIT */
/*
 * Inference of data movement
 *
 * concat, take, take_along_axis, assign, put, tril and triu: what moves keeps its dtype, except
 * that concat promotes and that what is assigned takes the dtype of what it is assigned to. Indices
 * are integers of any width; whether they are in range is found when they are used. Included by
 * infer_op.h, behind the rules of views.
 */
#pragma once

/* The one axis that the attribute names, from 0 on. */
static inline int td_one_axis(const struct td_call *call, unsigned ndim, unsigned *axisp)
{
        uint8_t axes[TD_NDIM_MAX] = { 0 };
        int r;

        if (call->attrs->n_axes != 1)
                return td_refuse(call->refusal, TD_E_BAD_AXIS, "%s: takes one axis, not %u",
                                 call->name, call->attrs->n_axes);
        r = td_check_axes(call->name, call->attrs, ndim, axes, call->refusal);
        if (r)
                return r;
        *axisp = axes[0];
        return TD_OK;
}

static inline int td_infer_concat(const struct td_call *call, struct td_type *result)
{
        struct td_type joint = call->args[0];
        unsigned axis = 0;
        int r;

        r = td_one_axis(call, joint.ndim, &axis);
        if (r)
                return r;
        for (uint32_t i = 1; i < call->n_args; i++) {
                struct td_type next = call->args[i];
                int64_t extent = axis < next.ndim ? next.shape[axis] : 0;

                next.dtype = joint.dtype;
                next.shape[axis] = joint.shape[axis];
                if (!td_type_same(&next, &joint))
                        return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                         "%s: shapes %s and %s do not go together along axis %u",
                                         call->name, td_type_text(&call->args[0]).s,
                                         td_type_text(&call->args[i]).s, axis);
                joint.dtype = (uint8_t)td_promote(joint.dtype, call->args[i].dtype);
                if (__builtin_add_overflow(joint.shape[axis], extent, &joint.shape[axis]))
                        return td_refuse(call->refusal, TD_E_BAD_SHAPE,
                                         "%s: more elements than can be counted along axis %u",
                                         call->name, axis);
        }
        *result = joint;
        return TD_OK;
}

/* ---- indices ---- */

static inline int td_check_index(const struct td_call *call, uint32_t i)
{
        unsigned dtype = call->args[i].dtype;

        if (!td_dtype_is_integer(dtype))
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: indices are integers, not %s", call->name,
                                 td_dtype_name(dtype));
        return TD_OK;
}

/*
 * What indexing args[0] along the axes given by the integer arrays from args[first] on yields. They
 * broadcast; their shape stands in place of the first axis if the axes follow one another, else in
 * front, as in NumPy. *atp says where.
 */
static inline int td_infer_indexed(const struct td_call *call, uint32_t first, unsigned *atp,
                                   struct td_type *result)
{
        const struct td_type *x = &call->args[0];
        const uint32_t n = call->n_args - first;
        struct td_type index = { .dtype = TD_INT64 };
        uint8_t axes[TD_NDIM_MAX] = { 0 };
        uint32_t mask = 0;
        bool is_run = true;
        int r;

        if (call->attrs->n_axes != n)
                return td_refuse(call->refusal, TD_E_BAD_AXIS,
                                 "%s: %u axes, but %u arrays of indices", call->name,
                                 call->attrs->n_axes, n);
        r = td_check_axes(call->name, call->attrs, x->ndim, axes, call->refusal);
        for (uint32_t i = 0; i < n && !r; i++) {
                r = td_check_index(call, first + i);
                mask |= 1u << axes[i];
                is_run = is_run && axes[i] == axes[0] + i;
        }
        if (r)
                return r;
        if (!td_broadcast_shapes(n, call->args + first, &index))
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: the shapes of the arrays of indices do not broadcast",
                                 call->name);
        if (x->ndim - n + index.ndim > TD_NDIM_MAX)
                return td_refuse(call->refusal, TD_E_RANK_LIMIT,
                                 "%s: indices of shape %s for shape %s make more dimensions than "
                                 "the limit of %d",
                                 call->name, td_type_text(&index).s, td_type_text(x).s,
                                 TD_NDIM_MAX);
        *atp = is_run ? axes[0] : 0;
        *result = (struct td_type){ .dtype = x->dtype };
        for (unsigned d = 0; d < x->ndim; d++)
                if (!(mask >> d & 1))
                        result->shape[result->ndim++] = x->shape[d];
        memmove(result->shape + *atp + index.ndim, result->shape + *atp,
                (result->ndim - *atp) * sizeof(result->shape[0]));
        memcpy(result->shape + *atp, index.shape, index.ndim * sizeof(index.shape[0]));
        result->ndim = (uint8_t)(result->ndim + index.ndim);
        return TD_OK;
}

static inline int td_infer_take(const struct td_call *call, struct td_type *result)
{
        unsigned at;

        return td_infer_indexed(call, 1, &at, result);
}

static inline int td_infer_take_along_axis(const struct td_call *call, struct td_type *result)
{
        const struct td_type *x = &call->args[0], *index = &call->args[1];
        struct td_type other = *x;
        unsigned axis = 0;
        int r;

        r = td_check_index(call, 1);
        if (r)
                return r;
        if (index->ndim != x->ndim)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: indices of shape %s for shape %s; they must have as many "
                                 "dimensions",
                                 call->name, td_type_text(index).s, td_type_text(x).s);
        r = td_one_axis(call, x->ndim, &axis);
        if (r)
                return r;
        other.shape[axis] = index->shape[axis];
        if (!td_broadcast_two(&other, index, result) || result->shape[axis] != index->shape[axis])
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: indices of shape %s do not broadcast with shape %s beside "
                                 "axis %u",
                                 call->name, td_type_text(index).s, td_type_text(x).s, axis);
        result->dtype = x->dtype;
        return TD_OK;
}

/* ---- assignment ---- */

/* Does args[1] broadcast to the region, and may it be converted to the dtype of args[0]? */
static inline int td_check_assigned(const struct td_call *call, const struct td_type *region)
{
        const struct td_type *x = &call->args[0], *value = &call->args[1];
        struct td_type joint = { .dtype = region->dtype };

        if (td_dtype_is_complex(value->dtype) && !td_dtype_is_complex(x->dtype))
                return td_refuse(call->refusal, TD_E_DTYPE_MISMATCH,
                                 "%s: %s does not become %s; take the real part first", call->name,
                                 td_dtype_name(value->dtype), td_dtype_name(x->dtype));
        if (!td_broadcast_two(value, region, &joint) || joint.ndim != region->ndim ||
            memcmp(joint.shape, region->shape, joint.ndim * sizeof(joint.shape[0])) != 0)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shape %s does not broadcast to shape %s, which is assigned "
                                 "to",
                                 call->name, td_type_text(value).s, td_type_text(region).s);
        return TD_OK;
}

static inline int td_infer_assign(const struct td_call *call, struct td_type *result)
{
        struct td_type region = { .dtype = 0 };
        int r;

        r = td_infer_slice(call, &region);
        if (r)
                return r;
        *result = call->args[0];
        return td_check_assigned(call, &region);
}

static inline int td_infer_put(const struct td_call *call, struct td_type *result)
{
        struct td_type region = { .dtype = 0 };
        unsigned at;
        int r;

        r = td_infer_indexed(call, 2, &at, &region);
        if (r)
                return r;
        *result = call->args[0];
        return td_check_assigned(call, &region);
}

static inline int td_infer_triangle(const struct td_call *call, struct td_type *result)
{
        if (call->args[0].ndim < 2)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shape %s is not that of a matrix", call->name,
                                 td_type_text(&call->args[0]).s);
        *result = call->args[0];
        return TD_OK;
}

static_assert(TD_NDIM_MAX == 16, "take and put have a row in ops.def that counts on it");
