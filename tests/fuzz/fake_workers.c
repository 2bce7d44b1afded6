/* SPDX-License-Identifier: MIT */
/*
 * Workers without threads
 *
 * base/workers.h again, for the target of the service: a work that was submitted waits until
 * fake_workers_run() is told to run one, there and then, on the calling thread. So the input of a
 * fuzzer decides in which order works are done, and the same input gives the same run.
 */
#include "fake_workers.h"

#include <assert.h>
#include <stdlib.h>

struct workers {
        struct list ready;
        struct list finished;
        struct work *running;
        unsigned n_ready;
        unsigned n_busy;
        unsigned n_threads;
};

int workers_new(struct workers **workersp, unsigned n_threads, void (*wake)(void *ctx), void *ctx)
{
        struct workers *workers = calloc(1, sizeof(*workers));

        (void)wake;
        (void)ctx;
        assert(workers);
        list_init(&workers->ready);
        list_init(&workers->finished);
        workers->n_threads = n_threads;
        *workersp = workers;
        return 0;
}

struct workers *workers_free(struct workers *workers)
{
        if (!workers)
                return NULL;
        workers_drain(workers);
        assert(list_is_empty(&workers->ready) && list_is_empty(&workers->finished));
        free(workers);
        return NULL;
}

unsigned workers_n_threads(const struct workers *workers)
{
        return workers->n_threads;
}

unsigned workers_n_busy(const struct workers *workers)
{
        return workers->n_busy;
}

unsigned workers_n_allowed(const struct workers *workers)
{
        return workers->n_threads;
}

bool workers_is_alone(struct workers *workers)
{
        return workers->running && list_is_empty(&workers->ready);
}

void work_queue_init(struct work_queue *queue)
{
        *queue = (struct work_queue){ .n_running = 0 };
        list_init(&queue->link);
        list_init(&queue->small);
        list_init(&queue->large);
}

void work_init(struct work *work, void (*run)(struct work *), void (*done)(struct work *))
{
        *work = (struct work){ .cost_ns = UINT64_MAX, .run = run, .done = done };
        list_init(&work->link);
}

void workers_submit(struct workers *workers, struct work *work)
{
        assert(work->state == WORK_IDLE);
        work->state = WORK_READY;
        list_push_back(&workers->ready, &work->link);
        workers->n_ready++;
        workers->n_busy++;
}

bool workers_withdraw(struct workers *workers, struct work *work)
{
        if (work->state != WORK_READY)
                return false;
        list_unlink(&work->link);
        work->state = WORK_IDLE;
        workers->n_ready--;
        workers->n_busy--;
        return true;
}

bool fake_workers_run(struct workers *workers, unsigned which)
{
        struct work *work;

        if (workers->n_ready == 0)
                return false;
        which %= workers->n_ready;
        list_for_each (work, &workers->ready, link)
                if (which-- == 0)
                        break;
        list_unlink(&work->link);
        workers->n_ready--;
        work->state = WORK_RUNNING;
        workers->running = work;
        work->run(work);
        workers->running = NULL;
        work->state = WORK_DONE;
        list_push_back(&workers->finished, &work->link);
        return true;
}

unsigned workers_reap(struct workers *workers)
{
        struct work *work;
        unsigned n = 0;

        for (; (work = list_first(&workers->finished, struct work, link)); n++) {
                list_unlink(&work->link);
                assert(work->state == WORK_DONE);
                work->state = WORK_IDLE;
                workers->n_busy--;
                work->done(work);
        }
        return n;
}

void workers_drain(struct workers *workers)
{
        while (workers->n_busy > 0) {
                fake_workers_run(workers, 0);
                workers_reap(workers);
        }
}

bool workers_drain_for(struct workers *workers, uint64_t ms)
{
        (void)ms;
        workers_drain(workers);
        return true;
}

void workers_for(struct workers *workers, uint64_t n_chunks, void (*fn)(void *ctx, uint64_t chunk),
                 void *ctx)
{
        (void)workers;
        for (uint64_t chunk = 0; chunk < n_chunks; chunk++)
                fn(ctx, chunk);
}
