/* SPDX-License-Identifier: MIT */
/*
 * The choice of a kernel set
 *
 * By what the processor says of itself (and what the kernel lets it use). Sets are filled in once,
 * and const from then on. Any thread.
 */
#include "compute/kernels/kernels.h"

#include <pthread.h>

#define SETS_MAX 4

void kernels_fill_v4(struct kernels *kernels);
void kernels_fill_v3(struct kernels *kernels);
void kernels_fill_v2(struct kernels *kernels);
void kernels_fill_plain(struct kernels *kernels);

static struct kernels sets[SETS_MAX]; /* best first, the plain one last */
static unsigned n_sets;

static void fill(void)
{
#ifdef KERNELS_HAVE_v4
        if (__builtin_cpu_supports("x86-64-v4"))
                kernels_fill_v4(&sets[n_sets++]);
#endif
#ifdef KERNELS_HAVE_v3
        if (__builtin_cpu_supports("x86-64-v3"))
                kernels_fill_v3(&sets[n_sets++]);
#endif
#ifdef KERNELS_HAVE_v2
        if (__builtin_cpu_supports("x86-64-v2"))
                kernels_fill_v2(&sets[n_sets++]);
#endif
        kernels_fill_plain(&sets[n_sets++]);
}

const struct kernels *kernels_list(unsigned i)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, fill);
        return i < n_sets ? &sets[i] : NULL;
}

const struct kernels *kernels_get(void)
{
        return kernels_list(0);
}

const struct kernels *kernels_plain(void)
{
        kernels_get();
        return &sets[n_sets - 1];
}
