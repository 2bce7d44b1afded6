/* SPDX-License-Identifier: MIT */
/* What the kernels that misbehave have in common: one float64 vector in, one out. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tensord/kernel.h"

#define BAD_KERNEL(kernel_name, kernel_abi, kernel_flags, infer_fn, run_fn)                        \
        const struct td_kernel tensord_kernel = {                                                  \
                .struct_size = sizeof(tensord_kernel),                                             \
                .abi = (kernel_abi),                                                               \
                .name = (kernel_name),                                                             \
                .version = "0",                                                                    \
                .doc = "misbehaves",                                                               \
                .signature = "(n)->(n)",                                                           \
                .flags = (kernel_flags),                                                           \
                .infer = (infer_fn),                                                               \
                .run = (run_fn),                                                                   \
        };

/* As it should be: twice the argument. */
static inline int bad_double(const struct td_kernel_call *call)
{
        const double *x = call->args[0].data;
        double *y = call->results[0].data;

        for (int64_t i = 0; i < call->args[0].type.shape[0]; i++)
                y[i] = 2 * x[i];
        return 0;
}
