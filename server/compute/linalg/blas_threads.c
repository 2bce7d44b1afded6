/* SPDX-License-Identifier: MIT */
/*
 * How many threads OpenBLAS takes for a call
 *
 * A thread of OpenBLAS often wakes up on its caller's core, and both stay there for long where each
 * could have one alone: cholesky of 1024 x 1024 took 27 ms then, and 16 when they were apart. So
 * its threads are kept off the first core, and who calls with threads begins there. What cores the
 * process may have is looked at once, when it starts; if they become more its threads stay where
 * they are.
 */
#include "compute/linalg/blas_threads.h"

#include <assert.h>
#include <cblas.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cores.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_within;
static unsigned n_set; /* 0: not yet */

/* The first core that the calling thread may have, and the others; false if there is but one. */
static bool cores_divide(cpu_set_t *all, cpu_set_t *first, cpu_set_t *others)
{
        size_t cpu = 0;

        if (sched_getaffinity(0, sizeof(*all), all) || CPU_COUNT(all) < 2)
                return false;
        while (!CPU_ISSET(cpu, all))
                cpu++;
        CPU_ZERO(first);
        CPU_SET(cpu, first);
        CPU_XOR(others, all, first);
        return true;
}

static void set_threads(unsigned n)
{
#ifdef __SANITIZE_THREAD__
        n = 1; /* how threads of a library wait for one another is not seen */
#endif
        if (n_set != n)
                openblas_set_num_threads((int)n);
        n_set = n;
}

void blas_threads_init(void)
{
        cpu_set_t all, first, others;
        struct dirent *task;
        DIR *tasks;

        if (!cores_divide(&all, &first, &others))
                return;
        set_threads((unsigned)CPU_COUNT(&all));
        tasks = opendir("/proc/self/task");
        while (tasks && (task = readdir(tasks))) {
                pid_t tid = (pid_t)atoi(task->d_name);

                if (tid > 0 && tid != gettid())
                        sched_setaffinity(tid, sizeof(others), &others);
        }
        if (tasks)
                closedir(tasks);
        set_threads(1);
}

void blas_enter(unsigned n_threads)
{
        cpu_set_t all, first, others;

        pthread_mutex_lock(&mutex);
        set_threads(n_within == 0 && n_threads > 1 ? n_threads : 1);
        if (n_set > 1 && cores_divide(&all, &first, &others))
                cores_go(&first, &all);
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
