/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <dirent.h>
#include <unistd.h>

#include "base/cores.h"
#include "compute/linalg/blas_threads.h"
#include "gate_kit.h"
#include "step_kit.h"

/* What is alone gets threads; whoever comes meanwhile takes them away, from both. */
START_TEST(test_alone)
{
        blas_enter(1);
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        blas_leave();
        blas_enter(2);
        ck_assert_int_eq(openblas_get_num_threads(), 2);
        blas_enter(2);
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        blas_leave();
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        blas_leave();
        blas_enter(2);
        ck_assert_int_eq(openblas_get_num_threads(), 2);
        blas_leave();
        ck_assert_int_eq(openblas_get_num_threads(), 1);
}
END_TEST

/* The cores that a thread may have, without the first of ours. */
static bool is_off_first(pid_t tid, const cpu_set_t *ours, size_t first)
{
        cpu_set_t expected = *ours, its;

        CPU_CLR(first, &expected);
        ck_assert_int_eq(sched_getaffinity(tid, sizeof(its), &its), 0);
        return CPU_EQUAL(&its, &expected);
}

/* OpenBLAS's threads are kept off the first core; who calls goes there, and may have all again. */
START_TEST(test_apart)
{
        cpu_set_t ours, others;
        struct dirent *task;
        size_t first = 0;
        int n_tasks = 0, n_first = 0;
        DIR *tasks;

        ck_assert_int_eq(sched_getaffinity(0, sizeof(ours), &ours), 0);
        if (CPU_COUNT(&ours) < 2)
                return;
        while (!CPU_ISSET(first, &ours))
                first++;
        others = ours;
        CPU_CLR(first, &others);
        blas_threads_init();
        ck_assert_int_eq(openblas_get_num_threads(), 1);
        tasks = opendir("/proc/self/task");
        while ((task = readdir(tasks)))
                if (task->d_name[0] != '.' && atoi(task->d_name) != gettid()) {
                        ck_assert(is_off_first(atoi(task->d_name), &ours, first));
                        n_tasks++;
                }
        closedir(tasks);
        ck_assert_int_gt(n_tasks, 0);
        /* the scheduler, too, may move it before it looks: rarely */
        for (int i = 0; i < 50; i++) {
                cpu_set_t now;

                cores_go(&others, &ours);
                blas_enter(2);
                n_first += sched_getcpu() == (int)first;
                ck_assert_int_eq(sched_getaffinity(0, sizeof(now), &now), 0);
                ck_assert(CPU_EQUAL(&now, &ours));
                blas_leave();
        }
        ck_assert_int_gt(n_first, 25);
}
END_TEST

/* ---- what linear algebra takes ---- */

static int n_seen; /* when the problem began */

static bool look(void *ctx)
{
        (void)ctx;
        if (n_seen == 0)
                n_seen = openblas_get_num_threads();
        return false;
}

static struct array regular_matrix(int64_t n)
{
        struct array a = array_random(TD_FLOAT64, LAYOUT_C, 2, (int64_t[]){ n, n });

        for (int64_t i = 0; i < n; i++)
                item_write(array_at(&a, i * n + i), TD_FLOAT64, 40 * (double)n);
        return a;
}

/* The threads that OpenBLAS takes for a large problem, of a work that may have so many of two. */
static int n_taken(unsigned n_threads, bool is_beside)
{
        _cleanup_(workers_freep) struct workers *workers = NULL;
        _cleanup_(step_freep) struct step *step = NULL;
        struct array a = regular_matrix(300);
        struct array inverse = array_new(TD_FLOAT64, LAYOUT_C, 2, a.desc.type.shape);
        struct kit_work k = { .args = { a.bytes }, .results = { inverse.bytes } };
        static const struct td_attrs none;
        struct gate gate;

        ck_assert_int_eq(step_new(&step, TD_OP_INV, &none, 1, &a.desc, 1, &inverse.desc), 0);
        ck_assert_int_eq(workers_new(&workers, 2, kit_wake, NULL), 0);
        k.step = step;
        k.scratch = aligned_alloc(64, step_n_scratch(step) + 64);
        k.run = (struct run){ .workers = workers, .should_stop = look };
        work_init(&k.work, kit_work_run, kit_work_done);
        k.work.n_threads = n_threads;
        gate_init(&gate, !is_beside);
        workers_submit(workers, &gate.work);
        sem_wait(&gate.entered);
        if (!is_beside)
                workers_drain(workers);
        n_seen = 0;
        workers_submit(workers, &k.work);
        while (is_beside && !k.is_done)
                workers_reap(workers);
        sem_post(&gate.open);
        workers_drain(workers);
        ck_assert_int_eq(k.r, 0);
        free(k.scratch);
        array_free(&a);
        array_free(&inverse);
        return n_seen;
}

START_TEST(test_linear_algebra)
{
        ck_assert_int_eq(n_taken(0, false), 2);
        ck_assert_int_eq(n_taken(2, false), 2);
        ck_assert_int_eq(n_taken(1, false), 1);
        ck_assert_int_eq(n_taken(0, true), 1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("blas_threads");
        TCase *tc = tcase_create("blas_threads");
        SRunner *runner = srunner_create(suite);
        int n_failed;

#ifdef __SANITIZE_THREAD__
        (void)test_alone;
        (void)test_apart;
        (void)test_linear_algebra;
        puts("blas_threads: under the thread sanitizer OpenBLAS has one thread alone");
#else
        tcase_add_test(tc, test_alone);
        tcase_add_test(tc, test_apart);
        tcase_add_test(tc, test_linear_algebra);
#endif
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
