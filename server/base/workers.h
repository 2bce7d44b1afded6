/* SPDX-License-Identifier: MIT */
/*
 * Workers
 *
 * The daemon's own threads. A work is submitted by the loop thread, run by one worker, and given
 * back to the loop thread: READY (loop) -> RUNNING (worker) -> DONE (loop). While it runs, it
 * belongs to its worker; run() must not touch what the loop thread owns.
 *
 * Several works run at once. Who is next: of those for whom works wait, the one for whom fewest
 * run; where that is equal the one for whom less time was spent, on whatever threads, by turns
 * where that is about equal too. So whoever has long works gets no more than whoever has many short
 * ones. Time for which somebody wanted nothing is not made up for. Of his works a small one comes
 * before a large one (every 17th time a large one all the same), and the oldest of these. One
 * thread more than there are cores takes small works alone, and only while no other is free: large
 * ones cannot hold them up, even where they cannot be interrupted.
 *
 * A running work may spread a loop over idle workers with workers_for(); the caller takes part, so
 * it never waits for a free thread. Results must not depend on which thread takes which chunk.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct workers;

/* Stack of each thread, whatever the limit of the process is; LAPACK wants more than 2 MiB. */
enum { WORKER_STACK = 8 << 20 };

enum work_state { WORK_IDLE, WORK_READY, WORK_RUNNING, WORK_DONE };

/* Below this a work is small. */
#define WORK_SMALL_NS 2000000

/* For whom works are done: those that wait, and how many run. */
struct work_queue {
        struct list link; /* the workers' list of those for whom works wait */
        struct list small;
        struct list large;
        unsigned n_running;
        unsigned n_in_turn; /* small works begun since a large one was */
        _Atomic uint64_t n_ns; /* that threads spent on its works, in all */
        uint64_t at_ns;        /* the same, and what it gave up by wanting nothing meanwhile */
};

struct work {
        struct list link;
        struct work_queue *queue; /* whose it is; may not end before the work. NULL: nobody's */
        uint64_t cost_ns;         /* estimated, on one thread */
        unsigned n_threads;       /* that may take part, 0: as many as there are */
        enum work_state state;
        void (*run)(struct work *work); /* on a worker */
        void (*done)(
                struct work *work); /* on the loop thread, from workers_reap(); may free the work */
};

/*
 * wake(ctx) is called on a worker when works wait to be reaped; it must be thread-safe
 * (uv_async_send).
 */
int workers_new(struct workers **workersp, unsigned n_threads, void (*wake)(void *ctx), void *ctx);
/* Waits for running works; those not begun are run too, so that every work's done() was called. */
struct workers *workers_free(struct workers *workers);
DEFINE_CLEANUP(struct workers, workers_free)

unsigned workers_n_threads(const struct workers *workers);
/* Works submitted and not yet reaped. */
unsigned workers_n_busy(const struct workers *workers);

/* From run() of a work: how many threads may take part in it. */
unsigned workers_n_allowed(const struct workers *workers);

/* Any thread: is one work running, and none waiting? */
bool workers_is_alone(struct workers *workers);

void work_queue_init(struct work_queue *queue);
/* A large one, nobody's, on all threads. */
void work_init(struct work *work, void (*run)(struct work *), void (*done)(struct work *));
void workers_submit(struct workers *workers, struct work *work);
/*
 * Loop thread: take a submitted work back if no worker has begun it: true, and done() is not
 * called.
 */
bool workers_withdraw(struct workers *workers, struct work *work);
/* Loop thread: calls done() of every finished work; returns how many. */
unsigned workers_reap(struct workers *workers);
/*
 * Loop thread: waits until every submitted work is finished and reaped, those submitted meanwhile
 * included.
 */
void workers_drain(struct workers *workers);
/* The same, but for so long at most; false: not all are finished. */
bool workers_drain_for(struct workers *workers, uint64_t ms);

/*
 * Call fn(ctx, chunk) for every chunk in [0, n_chunks), on the calling thread and whichever workers
 * are idle; returns when all are done. workers NULL: on the calling thread alone. Only from run()
 * of a work, or with workers NULL.
 */
void workers_for(struct workers *workers, uint64_t n_chunks, void (*fn)(void *ctx, uint64_t chunk),
                 void *ctx);
