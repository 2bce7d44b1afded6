/* layer: base */
/* SPDX-License-Identifier: MIT */
#include "base/workers.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "gate_kit.h"

static sem_t woken;

static void wake(void *ctx)
{
        (void)ctx;
        sem_post(&woken);
}

struct job {
        struct work work;
        struct workers *workers;
        pthread_t ran_on;
        _Atomic uint64_t sum;
        uint64_t n_chunks;
        int n_done;
};

static void add_chunk(void *ctx, uint64_t chunk)
{
        struct job *job = ctx;

        atomic_fetch_add(&job->sum, chunk + 1);
}

static void job_run(struct work *work)
{
        struct job *job = container_of(work, struct job, work);

        job->ran_on = pthread_self();
        for (int i = 0; i < 20; i++)
                workers_for(job->workers, job->n_chunks, add_chunk, job);
}

static void job_done(struct work *work)
{
        container_of(work, struct job, work)->n_done++;
}

static void run_jobs(unsigned n_threads)
{
        struct job jobs[10] = { 0 };
        struct workers *workers;
        unsigned n_reaped = 0;

        sem_init(&woken, 0, 0);
        ck_assert_int_eq(workers_new(&workers, n_threads, wake, NULL), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(jobs); i++) {
                jobs[i].workers = workers;
                jobs[i].n_chunks = 100 * i;
                work_init(&jobs[i].work, job_run, job_done);
                workers_submit(workers, &jobs[i].work);
        }
        ck_assert_uint_eq(workers_n_busy(workers), ARRAY_SIZE(jobs));
        while (n_reaped < ARRAY_SIZE(jobs)) {
                sem_wait(&woken);
                n_reaped += workers_reap(workers);
        }
        ck_assert_uint_eq(workers_n_busy(workers), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(jobs); i++) {
                ck_assert_int_eq(jobs[i].n_done, 1);
                ck_assert_int_eq(jobs[i].work.state, WORK_IDLE);
                ck_assert(!pthread_equal(jobs[i].ran_on, pthread_self()));
                ck_assert_uint_eq(jobs[i].sum,
                                  20 * (jobs[i].n_chunks * (jobs[i].n_chunks + 1) / 2));
        }
        workers_free(workers);
}

START_TEST(every_work_and_chunk_runs_once)
{
        run_jobs(1);
        run_jobs(2);
        run_jobs(7);
}
END_TEST

START_TEST(free_runs_what_was_submitted)
{
        struct job jobs[5] = { 0 };
        struct workers *workers;

        sem_init(&woken, 0, 0);
        ck_assert_int_eq(workers_new(&workers, 2, wake, NULL), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(jobs); i++) {
                jobs[i].workers = workers;
                jobs[i].n_chunks = 3;
                work_init(&jobs[i].work, job_run, job_done);
                workers_submit(workers, &jobs[i].work);
        }
        workers_free(workers);
        for (unsigned i = 0; i < ARRAY_SIZE(jobs); i++)
                ck_assert_int_eq(jobs[i].n_done, 1);
}
END_TEST

struct pair {
        struct work work;
        pthread_barrier_t *barrier;
};

static void meet(struct work *work)
{
        pthread_barrier_wait(container_of(work, struct pair, work)->barrier);
}

static void met(struct work *work)
{
        (void)work;
}

START_TEST(two_works_run_at_once)
{
        pthread_barrier_t barrier;
        struct pair pairs[2] = { { .barrier = &barrier }, { .barrier = &barrier } };
        struct workers *workers;

        sem_init(&woken, 0, 0);
        pthread_barrier_init(&barrier, NULL, 2);
        ck_assert_int_eq(workers_new(&workers, 2, wake, NULL), 0);
        for (int i = 0; i < 2; i++) {
                work_init(&pairs[i].work, meet, met);
                workers_submit(workers, &pairs[i].work);
        }
        workers_free(workers); /* ends only if both met */
}
END_TEST

struct meeting {
        struct work work;
        struct workers *workers;
        pthread_barrier_t barrier;
};

static void meet_chunk(void *ctx, uint64_t chunk)
{
        (void)chunk;
        pthread_barrier_wait(&((struct meeting *)ctx)->barrier);
}

static void meet_in_region(struct work *work)
{
        struct meeting *meeting = container_of(work, struct meeting, work);

        workers_for(meeting->workers, 2, meet_chunk, meeting);
}

/* What has begun goes on; what has not is given back and is never run. */
START_TEST(works_not_begun_are_withdrawn)
{
        struct job job = { .n_chunks = 1 };
        struct workers *workers;
        struct gate gate;

        sem_init(&woken, 0, 0);
        gate_init(&gate, false);
        ck_assert_int_eq(workers_new(&workers, 1, wake, NULL), 0);
        job.workers = workers;
        work_init(&job.work, job_run, job_done);
        workers_submit(workers, &gate.work);
        workers_submit(workers, &job.work);
        sem_wait(&gate.entered);
        ck_assert(!workers_withdraw(workers, &gate.work));
        ck_assert(workers_withdraw(workers, &job.work));
        ck_assert(!workers_withdraw(workers, &job.work));
        ck_assert_uint_eq(workers_n_busy(workers), 1);
        sem_post(&gate.open);
        workers_drain(workers);
        workers_free(workers);
        ck_assert_uint_eq(job.sum, 0);
        ck_assert_int_eq(job.n_done, 0);
}
END_TEST

START_TEST(draining_has_a_bound)
{
        struct workers *workers;
        struct gate gate;

        sem_init(&woken, 0, 0);
        gate_init(&gate, false);
        ck_assert_int_eq(workers_new(&workers, 1, wake, NULL), 0);
        ck_assert(workers_drain_for(workers, 0));
        workers_submit(workers, &gate.work);
        sem_wait(&gate.entered);
        ck_assert(!workers_drain_for(workers, 0));
        ck_assert(!workers_drain_for(workers, 1020));
        sem_post(&gate.open);
        ck_assert(workers_drain_for(workers, 60 * 1000));
        ck_assert_uint_eq(workers_n_busy(workers), 0);
        workers_free(workers);
}
END_TEST

START_TEST(idle_workers_help)
{
        struct meeting meeting;

        sem_init(&woken, 0, 0);
        pthread_barrier_init(&meeting.barrier, NULL, 2);
        ck_assert_int_eq(workers_new(&meeting.workers, 2, wake, NULL), 0);
        work_init(&meeting.work, meet_in_region, met);
        workers_submit(meeting.workers, &meeting.work);
        workers_drain(meeting.workers); /* ends only if another thread took a chunk */
        workers_free(meeting.workers);
}
END_TEST

START_TEST(without_workers_the_caller_does_all)
{
        struct job job = { 0 };

        workers_for(NULL, 10, add_chunk, &job);
        ck_assert_uint_eq(job.sum, 55);
}
END_TEST

/* ---- who is next ---- */

struct turn {
        struct work work;
        sem_t may_end;
        char name;
};

static sem_t begun;
static char order[16];
static atomic_uint n_begun;

static void turn_run(struct work *work)
{
        struct turn *turn = container_of(work, struct turn, work);

        order[atomic_fetch_add(&n_begun, 1)] = turn->name;
        sem_post(&begun);
        sem_wait(&turn->may_end);
}

static void turn_done(struct work *work)
{
        (void)work;
}

static void turn_submit(struct workers *workers, struct turn *turn, char name,
                        struct work_queue *queue, uint64_t cost_ns)
{
        sem_init(&turn->may_end, 0, 0);
        turn->name = name;
        work_init(&turn->work, turn_run, turn_done);
        turn->work.queue = queue;
        turn->work.cost_ns = cost_ns;
        workers_submit(workers, &turn->work);
}

/* One worker, and the thread for small works kept busy by a small one of its own. */
static struct workers *one_worker(struct turn turns[2], struct work_queue *queue)
{
        struct workers *workers;

        sem_init(&woken, 0, 0);
        sem_init(&begun, 0, 0);
        ck_assert_int_eq(workers_new(&workers, 1, wake, NULL), 0);
        turn_submit(workers, &turns[0], '.', queue, UINT64_MAX);
        sem_wait(&begun);
        turn_submit(workers, &turns[1], '.', queue, 0);
        sem_wait(&begun);
        return workers;
}

static void end_all(struct workers *workers, struct turn *turns, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                sem_post(&turns[i].may_end);
        workers_drain(workers);
        workers_free(workers);
}

/* Large works keep all workers busy: a small one begins all the same, and only a small one. */
START_TEST(small_works_do_not_wait_for_large_ones)
{
        struct work_queue queue;
        struct turn turns[4] = { 0 };
        struct workers *workers;

        work_queue_init(&queue);
        sem_init(&woken, 0, 0);
        sem_init(&begun, 0, 0);
        ck_assert_int_eq(workers_new(&workers, 2, wake, NULL), 0);
        for (unsigned i = 0; i < 3; i++)
                turn_submit(workers, &turns[i], 'L', &queue, UINT64_MAX);
        sem_wait(&begun);
        sem_wait(&begun);
        turn_submit(workers, &turns[3], 's', &queue, WORK_SMALL_NS - 1);
        sem_wait(&begun);
        ck_assert_str_eq(order, "LLs");
        end_all(workers, turns, 4);
        ck_assert_str_eq(order, "LLsL");
}
END_TEST

/* A user's works that wait take turns with another user's, however many there are. */
START_TEST(users_take_turns)
{
        struct work_queue first, second;
        struct turn turns[8] = { 0 };
        struct workers *workers;

        work_queue_init(&first);
        work_queue_init(&second);
        workers = one_worker(turns, NULL);
        for (unsigned i = 2; i < 6; i++)
                turn_submit(workers, &turns[i], 'a', &first, UINT64_MAX);
        for (unsigned i = 6; i < 8; i++)
                turn_submit(workers, &turns[i], 'b', &second, UINT64_MAX);
        end_all(workers, turns, 8);
        ck_assert_str_eq(order, "..ababaa");
}
END_TEST

static uint64_t clock_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Whoever's work took long waits until others, who came meanwhile, had as much. */
START_TEST(users_get_equal_time)
{
        struct work_queue first, second;
        struct turn turns[6] = { 0 };
        struct workers *workers;
        uint64_t begun_ns;

        work_queue_init(&first);
        work_queue_init(&second);
        workers = one_worker(turns, &first);
        begun_ns = clock_ns();
        for (unsigned i = 2; i < 4; i++)
                turn_submit(workers, &turns[i], 'a', &first, UINT64_MAX);
        for (unsigned i = 4; i < 6; i++)
                turn_submit(workers, &turns[i], 'b', &second, UINT64_MAX);
        while (clock_ns() - begun_ns < 50000000)
                ;
        end_all(workers, turns, 6);
        ck_assert_str_eq(order, "..bbaa");
        ck_assert_uint_ge(first.n_ns, 50000000);
}
END_TEST

/* Of one user's the small ones first, each kind in order of arrival. */
START_TEST(small_works_overtake)
{
        struct work_queue queue;
        struct turn turns[6] = { 0 };
        struct workers *workers;

        work_queue_init(&queue);
        workers = one_worker(turns, NULL);
        turn_submit(workers, &turns[2], 'L', &queue, UINT64_MAX);
        turn_submit(workers, &turns[3], 'M', &queue, UINT64_MAX);
        turn_submit(workers, &turns[4], 's', &queue, 1000);
        turn_submit(workers, &turns[5], 't', &queue, 1000);
        sem_post(&turns[0].may_end); /* the worker alone */
        for (unsigned i = 5; i >= 2; i--)
                sem_post(&turns[i].may_end);
        for (unsigned i = 0; i < 4; i++)
                sem_wait(&begun);
        ck_assert_str_eq(order, "..stLM");
        sem_post(&turns[1].may_end);
        workers_drain(workers);
        workers_free(workers);
}
END_TEST

/* A bound on the threads of one work: so many chunks run at once, and no more. */
static atomic_int n_at_once, most_at_once;

static void count_chunk(void *ctx, uint64_t chunk)
{
        int n = atomic_fetch_add(&n_at_once, 1) + 1, most = atomic_load(&most_at_once);

        (void)ctx;
        (void)chunk;
        while (n > most && !atomic_compare_exchange_weak(&most_at_once, &most, n))
                ;
        for (int i = 0; i < 20000; i++)
                __asm__ volatile("" ::: "memory");
        atomic_fetch_sub(&n_at_once, 1);
}

static cpu_set_t allowed;
static atomic_int n_elsewhere; /* chunks that might not run where the process may */

static void look_around(void *ctx, uint64_t chunk)
{
        cpu_set_t mine;

        count_chunk(ctx, chunk);
        if (sched_getaffinity(0, sizeof(mine), &mine) || !CPU_EQUAL(&mine, &allowed))
                atomic_fetch_add(&n_elsewhere, 1);
}

static void look_run(struct work *work)
{
        struct job *job = container_of(work, struct job, work);

        for (int i = 0; i < 100; i++)
                workers_for(job->workers, 20, look_around, NULL);
}

/* Helpers leave their caller's core, but are bound to none. */
START_TEST(helpers_may_run_anywhere)
{
        for (int n = 0; n < 2; n++) {
                struct workers *workers;
                struct job job = { 0 };

                ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
                for (size_t i = 0; i < CPU_SETSIZE && n == 1; i++)
                        if (CPU_COUNT(&allowed) > 1)
                                CPU_CLR(i, &allowed);
                ck_assert_int_eq(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
                sem_init(&woken, 0, 0);
                ck_assert_int_eq(workers_new(&workers, 3, wake, NULL), 0);
                job.workers = workers;
                work_init(&job.work, look_run, job_done);
                workers_submit(workers, &job.work);
                workers_drain(workers);
                ck_assert_int_eq(job.n_done, 1);
                ck_assert_int_eq(atomic_load(&n_elsewhere), 0);
                workers_free(workers);
        }
}
END_TEST

static void bounded_run(struct work *work)
{
        struct job *job = container_of(work, struct job, work);

        workers_for(job->workers, 2000, count_chunk, NULL);
}

START_TEST(threads_of_a_work_are_bounded)
{
        for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
                struct workers *workers;
                struct job job = { 0 };

                sem_init(&woken, 0, 0);
                ck_assert_int_eq(workers_new(&workers, 4, wake, NULL), 0);
                atomic_store(&most_at_once, 0);
                job.workers = workers;
                work_init(&job.work, bounded_run, job_done);
                job.work.n_threads = n_threads;
                workers_submit(workers, &job.work);
                workers_drain(workers);
                ck_assert_int_le(atomic_load(&most_at_once), (int)n_threads);
                workers_free(workers);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("workers");
        TCase *tcase = tcase_create("workers");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, every_work_and_chunk_runs_once);
        tcase_add_test(tcase, free_runs_what_was_submitted);
        tcase_add_test(tcase, two_works_run_at_once);
        tcase_add_test(tcase, works_not_begun_are_withdrawn);
        tcase_add_test(tcase, draining_has_a_bound);
        tcase_add_test(tcase, idle_workers_help);
        tcase_add_test(tcase, without_workers_the_caller_does_all);
        tcase_add_test(tcase, small_works_do_not_wait_for_large_ones);
        tcase_add_test(tcase, users_take_turns);
        tcase_add_test(tcase, users_get_equal_time);
        tcase_add_test(tcase, small_works_overtake);
        tcase_add_test(tcase, threads_of_a_work_are_bounded);
        tcase_add_test(tcase, helpers_may_run_anywhere);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
