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
