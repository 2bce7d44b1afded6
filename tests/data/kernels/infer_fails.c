/* SPDX-License-Identifier: MIT */
#include "bad.h"

static int refuse(struct td_kernel_types *types)
{
        snprintf(types->message, types->n_message, "extent %lld is never right",
                 (long long)types->args[0].shape[0]);
        return 1;
}

BAD_KERNEL("infer_fails", TD_KERNEL_ABI, 0, refuse, bad_double)
