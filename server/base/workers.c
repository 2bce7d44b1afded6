/* SPDX-License-Identifier: MIT */
/*
 * Workers
 *
 * One mutex guards the queue of works, the list of regions (loops being spread) and the list of
 * finished works. Chunks of a region are claimed by an atomic counter, without the mutex.
 *
 * An idle worker takes a queued work first, then helps a region that has chunks left; it leaves a
 * region for a work that should not wait for its end. Having helped, it spins for a moment before
 * it sleeps, since jobs open one region after the other and a wake-up costs more than a small
 * region. A helper that woke up on its caller's core goes to another.
 */
#include "base/workers.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/cores.h"
#include "base/error.h"

#define SPIN_NS 50000

/*
 * Workers give way to the loop thread, which answers others meanwhile. A ping beside a matmul on
 * all cores: p99 2.9 ms without, 0.05 ms with it.
 */
#define WORKER_NICE 5
/* The thread for small works gives way to the loop thread alone. */
#define SMALL_NICE 2

/* Differences in time spent that are none. */
#define TURN_NS 10000000

/* Small works of one queue that may begin while a large one waits. */
#define SMALL_IN_TURN 16

struct region {
        struct list link;
        uint64_t n_chunks;
        _Atomic uint64_t next;
        unsigned n_helpers; /* under the mutex */
        unsigned n_helpers_max;
        int cpu; /* where its caller began */
        struct work_queue *queue; /* whose time its helpers spend; NULL: nobody's */
        void (*fn)(void *ctx, uint64_t chunk);
        void *ctx;
};

struct workers {
        pthread_mutex_t mutex;
        pthread_cond_t has_work;  /* for sleeping workers */
        pthread_cond_t has_small; /* for the thread that takes small works alone */
        pthread_cond_t has_left;  /* a helper left a region */
        pthread_cond_t has_finished;
        struct list waiting;   /* queues that hold works: READY */
        struct work_queue own; /* of works that are nobody's */
        uint64_t at_ns;        /* where the queue stood that was taken from last; never back */
        struct list finished;  /* DONE */
        struct list regions;
        unsigned n_sleeping;
        unsigned n_running;
        unsigned n_busy; /* loop thread only */
        bool is_stopping;
        atomic_bool is_urgent;     /* a work waits that should not wait for the end of a region */
        _Atomic uint64_t n_events; /* grows with every submit and region: what spinning looks at */
        void (*wake)(void *ctx);
        void *wake_ctx;
        unsigned n_threads;
        pthread_t small_thread;
        bool has_small_thread;
        pthread_t threads[];
};

/* What the calling worker runs. */
static _Thread_local const struct work *current;

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* urgent: leave when it is true; NULL: stay to the end. */
static void region_run_chunks(struct region *region, const atomic_bool *urgent)
{
        while (!urgent || !atomic_load_explicit(urgent, memory_order_relaxed)) {
                uint64_t chunk = atomic_fetch_add_explicit(&region->next, 1, memory_order_relaxed);

                if (chunk >= region->n_chunks)
                        return;
                region->fn(region->ctx, chunk);
        }
}

static struct region *region_find_open(struct workers *workers)
{
        struct region *region;

        list_for_each (region, &workers->regions, link)
                if (region->n_helpers < region->n_helpers_max &&
                    atomic_load_explicit(&region->next, memory_order_relaxed) < region->n_chunks)
                        return region;
        return NULL;
}

/* ---- who is next; the mutex is held ---- */

static bool queue_is_empty(const struct work_queue *queue)
{
        return list_is_empty(&queue->small) && list_is_empty(&queue->large);
}

static void workers_judge(struct workers *workers)
{
        struct work_queue *queue;
        bool is_urgent = false;

        list_for_each (queue, &workers->waiting, link)
                is_urgent = is_urgent || !list_is_empty(&queue->small) || queue->n_running == 0;
        atomic_store_explicit(&workers->is_urgent, is_urgent, memory_order_relaxed);
}

static void queue_add(struct workers *workers, struct work *work)
{
        struct work_queue *queue = work->queue;

        if (queue_is_empty(queue)) {
                list_push_back(&workers->waiting, &queue->link);
                if (queue->n_running == 0 && queue->at_ns < workers->at_ns)
                        queue->at_ns = workers->at_ns;
        }
        list_push_back(work->cost_ns < WORK_SMALL_NS ? &queue->small : &queue->large, &work->link);
        workers_judge(workers);
}

static void queue_remove(struct workers *workers, struct work *work)
{
        list_unlink(&work->link);
        if (queue_is_empty(work->queue))
                list_unlink(&work->queue->link);
        workers_judge(workers);
}

static struct work *queue_next(const struct work_queue *queue, bool only_small)
{
        struct work *small = list_first(&queue->small, struct work, link);
        struct work *large = list_first(&queue->large, struct work, link);

        if (only_small || !large)
                return small;
        return small && queue->n_in_turn < SMALL_IN_TURN ? small : large;
}

static bool queue_is_before(const struct work_queue *a, const struct work_queue *b)
{
        if (a->n_running != b->n_running)
                return a->n_running < b->n_running;
        return a->at_ns / TURN_NS < b->at_ns / TURN_NS;
}

/* Time that a thread spent on its works. */
static void queue_spend(struct work_queue *queue, uint64_t n_ns)
{
        queue->n_ns += n_ns;
        queue->at_ns += n_ns;
}

/* The work to begin with; it stays where it is. */
static struct work *workers_next(struct workers *workers, bool only_small)
{
        struct work_queue *queue, *best = NULL;

        list_for_each (queue, &workers->waiting, link)
                if (queue_next(queue, only_small) && (!best || queue_is_before(queue, best)))
                        best = queue;
        return best ? queue_next(best, only_small) : NULL;
}

static void workers_take(struct workers *workers, struct work *work)
{
        struct work_queue *queue = work->queue;

        assert(work->state == WORK_READY);
        work->state = WORK_RUNNING;
        workers->n_running++;
        queue->n_running++;
        if (workers->at_ns < queue->at_ns)
                workers->at_ns = queue->at_ns;
        queue->n_in_turn = work->cost_ns < WORK_SMALL_NS ? queue->n_in_turn + 1 : 0;
        queue_remove(workers, work);
        if (!queue_is_empty(queue)) { /* it is the others' turn */
                list_unlink(&queue->link);
                list_push_back(&workers->waiting, &queue->link);
        }
        if (workers->n_sleeping == 0 && workers_next(workers, true))
                pthread_cond_signal(&workers->has_small);
}

/* ---- running ---- */

/* Mutex held; let go while the work runs. */
static void worker_run(struct workers *workers, struct work *work)
{
        uint64_t begun_ns, spent_ns;

        workers_take(workers, work);
        pthread_mutex_unlock(&workers->mutex);

        begun_ns = now_ns();
        current = work;
        work->run(work);
        current = NULL;
        spent_ns = now_ns() - begun_ns;

        pthread_mutex_lock(&workers->mutex);
        queue_spend(work->queue, spent_ns);
        work->state = WORK_DONE;
        workers->n_running--;
        work->queue->n_running--;
        workers_judge(workers);
        list_push_back(&workers->finished, &work->link);
        pthread_cond_signal(&workers->has_finished);
        workers->wake(workers->wake_ctx);
}

/* A helper is often woken on the core of its caller, where both would share what one of them could
 * have alone. */
static void worker_part_from(int cpu)
{
        cpu_set_t all, others;

        if (sched_getcpu() != cpu || sched_getaffinity(0, sizeof(all), &all))
                return;
        others = all;
        CPU_CLR((size_t)cpu, &others);
        if (CPU_COUNT(&others) > 0)
                cores_go(&others, &all);
}

/* Mutex held; let go while chunks run. */
static void worker_help(struct workers *workers, struct region *region)
{
        uint64_t begun_ns = now_ns(), spent_ns;

        region->n_helpers++;
        pthread_mutex_unlock(&workers->mutex);

        worker_part_from(region->cpu);
        region_run_chunks(region, &workers->is_urgent);

        spent_ns = now_ns() - begun_ns;
        pthread_mutex_lock(&workers->mutex);
        if (region->queue)
                queue_spend(region->queue, spent_ns);
        if (--region->n_helpers == 0)
                pthread_cond_broadcast(&workers->has_left);
}

/* Mutex held; let go while spinning. */
static void worker_spin(struct workers *workers)
{
        uint64_t seen = atomic_load(&workers->n_events);
        uint64_t until;

        pthread_mutex_unlock(&workers->mutex);
        until = now_ns() + SPIN_NS;
        while (atomic_load_explicit(&workers->n_events, memory_order_relaxed) == seen &&
               now_ns() < until)
                for (int i = 0; i < 16; i++)
                        __asm__ volatile("" ::: "memory");
        pthread_mutex_lock(&workers->mutex);
}

static void worker_give_way(int by)
{
        id_t tid = (id_t)gettid();
        int nice;

        /* Where it is forbidden, answers are later under load, and that is all. */
        errno = 0;
        nice = getpriority(PRIO_PROCESS, tid);
        if (errno == 0 && setpriority(PRIO_PROCESS, tid, nice + by))
                log_debug("workers keep the priority of the loop thread");
}

static void *worker_main(void *arg)
{
        struct workers *workers = arg;
        bool has_helped = false;

        worker_give_way(WORKER_NICE);
        pthread_mutex_lock(&workers->mutex);
        for (;;) {
                struct work *work = workers_next(workers, false);
                struct region *region;

                if (work) {
                        worker_run(workers, work);
                        continue;
                }
                region = region_find_open(workers);
                if (region) {
                        worker_help(workers, region);
                        has_helped = true;
                        continue;
                }
                if (workers->is_stopping)
                        break;
                if (has_helped) {
                        has_helped = false;
                        worker_spin(workers);
                        continue;
                }
                workers->n_sleeping++;
                pthread_cond_wait(&workers->has_work, &workers->mutex);
                workers->n_sleeping--;
        }
        pthread_mutex_unlock(&workers->mutex);
        return NULL;
}

static void *small_main(void *arg)
{
        struct workers *workers = arg;

        worker_give_way(SMALL_NICE);
        pthread_mutex_lock(&workers->mutex);
        for (;;) {
                struct work *work = workers->n_sleeping > 0 ? NULL : workers_next(workers, true);

                if (work)
                        worker_run(workers, work);
                else if (workers->is_stopping)
                        break;
                else
                        pthread_cond_wait(&workers->has_small, &workers->mutex);
        }
        pthread_mutex_unlock(&workers->mutex);
        return NULL;
}

/* Not what the limit of the process happens to be: what runs here may count on it. */
static int start_thread(pthread_t *threadp, void *(*main)(void *), void *arg)
{
        pthread_attr_t attr;
        int r = pthread_attr_init(&attr);

        if (r)
                return r;
        r = pthread_attr_setstacksize(&attr, WORKER_STACK);
        if (!r)
                r = pthread_create(threadp, &attr, main, arg);
        pthread_attr_destroy(&attr);
        return r;
}

static int worker_start(struct workers *workers, pthread_t *threadp, void *(*main)(void *))
{
        sigset_t blocked, before;
        int r;

        /* Signals go to the loop thread; faults stay with the thread that made them. */
        sigfillset(&blocked);
        sigdelset(&blocked, SIGBUS);
        sigdelset(&blocked, SIGSEGV);
        sigdelset(&blocked, SIGFPE);
        sigdelset(&blocked, SIGILL);
        sigdelset(&blocked, SIGABRT);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
        r = start_thread(threadp, main, workers);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r ? error_origin(-r) : 0;
}

int workers_new(struct workers **workersp, unsigned n_threads, void (*wake)(void *ctx), void *ctx)
{
        _cleanup_(workers_freep) struct workers *workers = NULL;
        int r;

        assert(n_threads > 0);
        workers = calloc(1, sizeof(*workers) + n_threads * sizeof(workers->threads[0]));
        if (!workers)
                return error_origin(-ENOMEM);
        pthread_mutex_init(&workers->mutex, NULL);
        pthread_cond_init(&workers->has_work, NULL);
        pthread_cond_init(&workers->has_small, NULL);
        pthread_cond_init(&workers->has_left, NULL);
        pthread_cond_init(&workers->has_finished, NULL);
        list_init(&workers->waiting);
        work_queue_init(&workers->own);
        list_init(&workers->finished);
        list_init(&workers->regions);
        workers->wake = wake;
        workers->wake_ctx = ctx;

        for (; workers->n_threads < n_threads; workers->n_threads++) {
                r = worker_start(workers, &workers->threads[workers->n_threads], worker_main);

                if (r)
                        return r;
        }
        r = worker_start(workers, &workers->small_thread, small_main);
        if (r)
                return r;
        workers->has_small_thread = true;
        *workersp = steal_ptr(&workers);
        return 0;
}

struct workers *workers_free(struct workers *workers)
{
        if (!workers)
                return NULL;

        pthread_mutex_lock(&workers->mutex);
        workers->is_stopping = true;
        pthread_cond_broadcast(&workers->has_work);
        pthread_cond_broadcast(&workers->has_small);
        pthread_mutex_unlock(&workers->mutex);
        if (workers->has_small_thread)
                pthread_join(workers->small_thread, NULL);
        for (unsigned i = 0; i < workers->n_threads; i++)
                pthread_join(workers->threads[i], NULL);

        workers_reap(workers);
        assert(list_is_empty(&workers->waiting));
        assert(list_is_empty(&workers->finished));
        assert(list_is_empty(&workers->regions));
        pthread_cond_destroy(&workers->has_finished);
        pthread_cond_destroy(&workers->has_left);
        pthread_cond_destroy(&workers->has_small);
        pthread_cond_destroy(&workers->has_work);
        pthread_mutex_destroy(&workers->mutex);
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
        unsigned n = current ? current->n_threads : 0;

        return n > 0 && n < workers->n_threads ? n : workers->n_threads;
}

bool workers_is_alone(struct workers *workers)
{
        bool is_alone;

        pthread_mutex_lock(&workers->mutex);
        is_alone = workers->n_running == 1 && list_is_empty(&workers->waiting);
        pthread_mutex_unlock(&workers->mutex);
        return is_alone;
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
        list_init(&work->link);
        work->queue = NULL;
        work->cost_ns = UINT64_MAX;
        work->n_threads = 0;
        work->state = WORK_IDLE;
        work->run = run;
        work->done = done;
}

void workers_submit(struct workers *workers, struct work *work)
{
        assert(work->state == WORK_IDLE);
        pthread_mutex_lock(&workers->mutex);
        assert(!workers->is_stopping);
        work->state = WORK_READY;
        if (!work->queue)
                work->queue = &workers->own;
        queue_add(workers, work);
        atomic_fetch_add(&workers->n_events, 1);
        if (workers->n_sleeping > 0)
                pthread_cond_signal(&workers->has_work);
        else if (work->cost_ns < WORK_SMALL_NS)
                pthread_cond_signal(&workers->has_small);
        pthread_mutex_unlock(&workers->mutex);
        workers->n_busy++;
}

bool workers_withdraw(struct workers *workers, struct work *work)
{
        bool is_ready;

        pthread_mutex_lock(&workers->mutex);
        is_ready = work->state == WORK_READY;
        if (is_ready) {
                queue_remove(workers, work);
                work->state = WORK_IDLE;
        }
        pthread_mutex_unlock(&workers->mutex);
        workers->n_busy -= is_ready;
        return is_ready;
}

unsigned workers_reap(struct workers *workers)
{
        unsigned n = 0;

        for (;;) {
                struct work *work;

                pthread_mutex_lock(&workers->mutex);
                work = list_first(&workers->finished, struct work, link);
                if (work)
                        list_unlink(&work->link);
                pthread_mutex_unlock(&workers->mutex);
                if (!work)
                        return n;

                assert(work->state == WORK_DONE);
                work->state = WORK_IDLE;
                workers->n_busy--;
                n++;
                work->done(work);
        }
}

void workers_drain(struct workers *workers)
{
        while (workers->n_busy > 0) {
                pthread_mutex_lock(&workers->mutex);
                while (list_is_empty(&workers->finished))
                        pthread_cond_wait(&workers->has_finished, &workers->mutex);
                pthread_mutex_unlock(&workers->mutex);
                workers_reap(workers);
        }
}

bool workers_drain_for(struct workers *workers, uint64_t ms)
{
        struct timespec end;
        int r = 0;

        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += (time_t)(ms / 1000);
        end.tv_nsec += (long)(ms % 1000) * 1000000;
        if (end.tv_nsec >= 1000000000) {
                end.tv_sec++;
                end.tv_nsec -= 1000000000;
        }
        while (workers->n_busy > 0 && !r) {
                pthread_mutex_lock(&workers->mutex);
                while (list_is_empty(&workers->finished) && !r)
                        r = pthread_cond_clockwait(&workers->has_finished, &workers->mutex,
                                                   CLOCK_MONOTONIC, &end);
                pthread_mutex_unlock(&workers->mutex);
                workers_reap(workers);
        }
        return workers->n_busy == 0;
}

/* Take part until no chunk is left, then wait for the helpers that still run one. */
static void region_finish(struct workers *workers, struct region *region)
{
        region_run_chunks(region, NULL);
        pthread_mutex_lock(&workers->mutex);
        list_unlink(&region->link);
        while (region->n_helpers > 0)
                pthread_cond_wait(&workers->has_left, &workers->mutex);
        pthread_mutex_unlock(&workers->mutex);
}

void workers_for(struct workers *workers, uint64_t n_chunks, void (*fn)(void *ctx, uint64_t chunk),
                 void *ctx)
{
        struct region region = {
                .n_chunks = n_chunks, .cpu = sched_getcpu(), .fn = fn, .ctx = ctx
        };
        uint64_t n_wanted;

        list_init(&region.link);
        region.queue = current ? current->queue : NULL;
        region.n_helpers_max = current && current->n_threads ? current->n_threads - 1 : UINT_MAX;
        if (!workers || workers->n_threads < 2 || n_chunks < 2 || region.n_helpers_max == 0) {
                region_run_chunks(&region, NULL);
                return;
        }

        pthread_mutex_lock(&workers->mutex);
        list_push_back(&workers->regions, &region.link);
        atomic_fetch_add(&workers->n_events, 1);
        n_wanted = n_chunks - 1 < region.n_helpers_max ? n_chunks - 1 : region.n_helpers_max;
        for (unsigned i = 0; i < workers->n_sleeping && i < n_wanted; i++)
                pthread_cond_signal(&workers->has_work);
        pthread_mutex_unlock(&workers->mutex);

        region_finish(workers, &region);
}
