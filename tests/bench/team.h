/* SPDX-License-Identifier: MIT */
/*
 * A team of running threads, for loops written by hand
 *
 * team_run() calls the body once per thread, with its number, the caller being number 0. Between
 * calls the others look for work for a while before they sleep, so a call in a row of calls finds
 * them running.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "serve.h"

#define TEAM_MAX 64
#define TEAM_SPIN_SECONDS 200e-6

static struct {
        int n;
        void (*body)(int thread, int n_threads);
        atomic_uint round;
        atomic_int n_busy;
        pthread_mutex_t lock;
        pthread_cond_t changed;
} team = { .n = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static inline void team_pause(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
}

static void *team_thread(void *argument)
{
        int thread = (int)(intptr_t)argument;
        unsigned seen = 0;

        for (;;) {
                double until = serve_now() + TEAM_SPIN_SECONDS;

                while (atomic_load(&team.round) == seen && serve_now() < until)
                        team_pause();
                pthread_mutex_lock(&team.lock);
                while (atomic_load(&team.round) == seen)
                        pthread_cond_wait(&team.changed, &team.lock);
                pthread_mutex_unlock(&team.lock);
                seen++;
                team.body(thread, team.n);
                atomic_fetch_sub(&team.n_busy, 1);
        }
        return NULL;
}

/* Once; false if the threads cannot be had. */
static inline bool team_start(int n_threads)
{
        if (n_threads < 1 || n_threads > TEAM_MAX || (team.n > 1 && team.n != n_threads))
                return false;
        for (; team.n < n_threads; team.n++) {
                pthread_t thread;

                if (pthread_create(&thread, NULL, team_thread, (void *)(intptr_t)team.n))
                        return false;
                pthread_detach(thread);
        }
        return true;
}

static inline void team_run(void (*body)(int thread, int n_threads))
{
        team.body = body;
        atomic_store(&team.n_busy, team.n - 1);
        pthread_mutex_lock(&team.lock);
        atomic_fetch_add(&team.round, 1);
        pthread_cond_broadcast(&team.changed);
        pthread_mutex_unlock(&team.lock);
        body(0, team.n);
        while (atomic_load(&team.n_busy))
                team_pause();
}
