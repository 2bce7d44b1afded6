/* layer: base */
/* SPDX-License-Identifier: MIT */
#include "base/workers.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

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

struct gate {
        struct work work;
        sem_t entered, open;
};

static void gate_run(struct work *work)
{
        struct gate *gate = container_of(work, struct gate, work);

        sem_post(&gate->entered);
        sem_wait(&gate->open);
}

static void gate_done(struct work *work)
{
        (void)work;
}

/* What has begun goes on; what has not is given back and is never run. */
START_TEST(works_not_begun_are_withdrawn)
{
        struct job job = { .n_chunks = 1 };
        struct workers *workers;
        struct gate gate;

        sem_init(&woken, 0, 0);
        sem_init(&gate.entered, 0, 0);
        sem_init(&gate.open, 0, 0);
        ck_assert_int_eq(workers_new(&workers, 1, wake, NULL), 0);
        job.workers = workers;
        work_init(&gate.work, gate_run, gate_done);
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

START_TEST(idle_workers_help)
{
        struct meeting meeting;

        sem_init(&woken, 0, 0);
        pthread_barrier_init(&meeting.barrier, NULL, 2);
        ck_assert_int_eq(workers_new(&meeting.workers, 2, wake, NULL), 0);
        work_init(&meeting.work, meet_in_region, met);
        workers_submit(meeting.workers, &meeting.work);
        workers_free(meeting.workers); /* ends only if another thread took a chunk */
}
END_TEST

START_TEST(without_workers_the_caller_does_all)
{
        struct job job = { 0 };

        workers_for(NULL, 10, add_chunk, &job);
        ck_assert_uint_eq(job.sum, 55);
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
        tcase_add_test(tcase, idle_workers_help);
        tcase_add_test(tcase, without_workers_the_caller_does_all);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
