/* SPDX-License-Identifier: MIT */
/* Never asks whether it should stop. */
#include <unistd.h>

#include "bad.h"

static int spin(const struct td_kernel_call *call)
{
        (void)call;
        for (;;)
                pause();
        return 0;
}

BAD_KERNEL("endless", TD_KERNEL_ABI, TD_KERNEL_ISOLATE, NULL, spin)
