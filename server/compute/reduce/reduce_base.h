/* SPDX-License-Identifier: MIT */
/*
 * What steps that read by a feed share
 */
#pragma once

#include "compute/reduce/feed.h"
#include "compute/region/pass.h"

/* Bit i: axis i is reduced. Inference has checked the axes. */
static inline uint32_t reduced_axes(const struct td_attrs *attrs, unsigned ndim)
{
        uint32_t mask = 0;

        if (!(attrs->set & TD_ATTR_AXES))
                return (1u << ndim) - 1;
        for (unsigned i = 0; i < attrs->n_axes; i++)
                mask |= 1u << (attrs->axes[i] < 0 ? attrs->axes[i] + (int)ndim : attrs->axes[i]);
        return mask;
}
