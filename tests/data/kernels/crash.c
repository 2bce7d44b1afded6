/* SPDX-License-Identifier: MIT */
/* Doubles, but crashes where the first element is negative. */
#include <signal.h>
#include <stdlib.h>

#include "bad.h"

static int crash(const struct td_kernel_call *call)
{
        if (call->args[0].type.shape[0] > 0 && *(double *)call->args[0].data < 0)
                raise(SIGSEGV);
        return bad_double(call);
}

BAD_KERNEL("crash", TD_KERNEL_ABI, TD_KERNEL_ISOLATE, NULL, crash)
