/* SPDX-License-Identifier: MIT */
/*
 * What a rule of inference looks at
 *
 * Each family of operations has its rules in a header of its own, infer_*.h; infer_op.h picks one.
 */
#pragma once

#include "tensord/types.h"

struct td_call {
        const char *name; /* of the operation, for messages */
        const struct td_attrs *attrs;
        uint32_t n_args;
        const struct td_type *args;
        struct td_refusal *refusal;
};

/*
 * Axes from 0 on, in the order given. TD_E_BAD_AXIS if one is out of range or named twice. axes has
 * room for TD_NDIM_MAX.
 */
static inline int td_check_axes(const char *name, const struct td_attrs *attrs, unsigned ndim,
                                uint8_t *axes, struct td_refusal *refusal)
{
        uint32_t seen = 0;

        for (unsigned i = 0; i < attrs->n_axes; i++) {
                int axis = attrs->axes[i];

                if (axis < -(int)ndim || axis >= (int)ndim)
                        return td_refuse(refusal, TD_E_BAD_AXIS,
                                         "%s: axis %d is out of range for %u dimensions", name,
                                         axis, ndim);
                if (axis < 0)
                        axis += (int)ndim;
                if (seen & 1u << axis)
                        return td_refuse(refusal, TD_E_BAD_AXIS, "%s: axis %d is named twice", name,
                                         axis);
                seen |= 1u << axis;
                axes[i] = (uint8_t)axis;
        }
        return TD_OK;
}
