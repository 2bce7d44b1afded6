/* SPDX-License-Identifier: MIT */
/*
 * The choice of a kernel set
 *
 * By what the processor says of itself (and what the kernel lets it use). Any thread.
 */
#include "compute/kernels/kernels.h"

#include <stdatomic.h>

const struct kernels *kernels_list(unsigned i)
{
        const struct kernels *runs[5];
        unsigned n = 0;

#ifdef __x86_64__
        if (__builtin_cpu_supports("x86-64-v4"))
                runs[n++] = &kernels_x86_64_v4;
        if (__builtin_cpu_supports("x86-64-v3"))
                runs[n++] = &kernels_x86_64_v3;
        if (__builtin_cpu_supports("x86-64-v2"))
                runs[n++] = &kernels_x86_64_v2;
#endif
        runs[n++] = &kernels_plain;
        return i < n ? runs[i] : NULL;
}

const struct kernels *kernels_get(void)
{
        static _Atomic(const struct kernels *) chosen;
        const struct kernels *kernels = atomic_load_explicit(&chosen, memory_order_relaxed);

        if (!kernels) {
                kernels = kernels_list(0);
                atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
        }
        return kernels;
}
