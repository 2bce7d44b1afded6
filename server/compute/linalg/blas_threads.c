/* SPDX-License-Identifier: MIT */
#include "compute/linalg/blas_threads.h"

#include <assert.h>
#include <cblas.h>
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_within;
static unsigned n_set; /* 0: not yet */

static void set_threads(unsigned n)
{
        if (n_set != n)
                openblas_set_num_threads((int)n);
        n_set = n;
}

void blas_enter(unsigned n_threads)
{
        pthread_mutex_lock(&mutex);
        set_threads(n_within == 0 && n_threads > 1 ? n_threads : 1);
        n_within++;
        pthread_mutex_unlock(&mutex);
}

void blas_leave(void)
{
        pthread_mutex_lock(&mutex);
        assert(n_within > 0);
        n_within--;
        if (n_within == 0)
                set_threads(1);
        pthread_mutex_unlock(&mutex);
}
