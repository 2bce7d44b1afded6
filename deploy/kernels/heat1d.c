/* SPDX-License-Identifier: MIT */
/*
 * heat1d: a rod that cools
 *
 * u (n) float64, r () float64, steps () int64 -> (n): that many explicit steps of the heat
 * equation, u[i] += r * (u[i-1] - 2 u[i] + u[i+1]), ends held fixed (forward in time, centred in
 * space; stable for r <= 1/2). Each step goes through the rod in place, block by block, with a copy
 * of one block.
 */
#include <stdio.h>
#include <string.h>

#include "tensord/kernel.h"

#define BLOCK 512

static int heat1d_infer(struct td_kernel_types *types)
{
        const struct td_type *args = types->args;

        if (args[0].dtype == TD_FLOAT64 && args[1].dtype == TD_FLOAT64 && args[2].dtype == TD_INT64)
                return 0;
        snprintf(types->message, types->n_message,
                 "a float64 rod, r as float64 and steps as int64 "
                 "are wanted");
        return 1;
}

static void step(double *u, int64_t n, double r)
{
        double old[BLOCK + 2]; /* old[i] was u[first - 1 + i] */

        old[0] = u[0];
        for (int64_t first = 1; first < n - 1; first += BLOCK) {
                int64_t m = n - 1 - first < BLOCK ? n - 1 - first : BLOCK;

                memcpy(old + 1, u + first, (size_t)(m + 1) * sizeof(double));
                for (int64_t i = 0; i < m; i++)
                        u[first + i] = old[i + 1] + r * (old[i] - 2 * old[i + 1] + old[i + 2]);
                old[0] = old[m];
        }
}

static int heat1d_run(const struct td_kernel_call *call)
{
        const int64_t n = call->args[0].type.shape[0], n_steps = *(int64_t *)call->args[2].data;
        const double r = *(double *)call->args[1].data;
        double *u = call->results[0].data;

        if (n_steps < 0) {
                snprintf(call->message, call->n_message, "%lld steps are less than none",
                         (long long)n_steps);
                return 1;
        }
        memcpy(u, call->args[0].data, (size_t)n * sizeof(double));
        for (int64_t i = 0; i < n_steps && !call->should_stop(call); i++)
                step(u, n, r);
        return 0;
}

const struct td_kernel tensord_kernel = {
        .struct_size = sizeof(tensord_kernel),
        .abi = TD_KERNEL_ABI,
        .name = "heat1d",
        .version = "1.0",
        .doc = "explicit steps of the heat equation on a rod with fixed ends",
        .signature = "(n),(),()->(n)",
        .infer = heat1d_infer,
        .run = heat1d_run,
};
