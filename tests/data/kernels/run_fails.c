/* SPDX-License-Identifier: MIT */
#include "bad.h"

static int fail(const struct td_kernel_call *call)
{
        snprintf(call->message, call->n_message, "no \x01 luck today");
        return 1;
}

BAD_KERNEL("run_fails", TD_KERNEL_ABI, 0, NULL, fail)
