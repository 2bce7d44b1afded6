/* layer: service */
/* SPDX-License-Identifier: MIT */
#include "service_kit.h"

#include <signal.h>
#include <sys/resource.h>

START_TEST(put_open_delete)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        send_put(&peer, 1, "a", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_put(&peer, 1, NULL, 0);
        ck_assert(next_reply_has(&peer, "handle_taken"));
        send_put(&peer, 0, "a", 0);
        ck_assert(next_reply_has(&peer, "name_taken"));
        send_open(&peer, "a", 2);
        ck_assert(next_reply_has(&peer, "float64"));
        send_open(&peer, "b", 3);
        ck_assert(next_reply_has(&peer, "not_found"));
        send_sum(&peer, 9);
        ck_assert(next_reply_has(&peer, "not_found"));
        send_sum(&peer, 2);
        await(&peer, 1);
        ck_assert(next_reply_has(&peer, "outputs"));
        finish(service, &peer, "a");
}
END_TEST

START_TEST(names_belong_to_a_uid)
{
        struct service *service = start(1 << 26);
        struct peer peer, other;

        attach(&peer, service, 1000);
        attach(&other, service, 1001);
        send_put(&peer, 0, "a", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_open(&other, "a", 1);
        ck_assert(next_reply_has(&other, "not_found"));
        send_put(&other, 0, "a", 0);
        ck_assert(next_reply_has(&other, "sealed"));
        send_name(&other, "delete", "a");
        ck_assert(next_reply_has(&other, "\xc0\xc0"));
        send_open(&peer, "a", 1);
        ck_assert(next_reply_has(&peer, "sealed"));
        detach(&other);
        finish(service, &peer, "a");
}
END_TEST

START_TEST(requests_wait_for_unfinished_handles)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 600, 1, NULL, 0);
        ck_assert_uint_eq(peer.n_replies, 0); /* on a worker */
        send_sum(&peer, 1);
        send_release(&peer, 1);
        ck_assert_uint_eq(peer.n_replies, 1); /* the release, at once */
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        send_sum(&peer, 1);
        ck_assert(next_reply_has(&peer, "not_found"));
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "float64"));
        ck_assert(next_reply_has(&peer, "outputs"));
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(failure_is_inherited)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "solve", 100, 1, NULL, 0); /* ones: singular */
        send_sum(&peer, 1);
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "singular"));
        ck_assert(next_reply_has(&peer, "singular"));
        send_sum(&peer, 1); /* one that was on its way */
        ck_assert(next_reply_has(&peer, "singular"));
        send_put(&peer, 1, NULL, 0); /* the handle is free again */
        ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(client_ends_named_job_finishes)
{
        struct service *service = start(1 << 28);
        struct store_figures figures;
        struct tensor *tensor;
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "matmul", 500, 1, NULL, 0);
        send_run(&peer, "matmul", 500, 2, "kept", 0);
        send_sum(&peer, 1);
        detach(&peer);
        workers_drain(service->workers);
        service_reap(service);
        ck_assert(list_is_empty(&service->orphans));
        ck_assert_int_eq(store_find(service->store, 1000, "kept", &tensor), 0);
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.n_tensors, 1);
        attach(&peer, service, 1000);
        finish(service, &peer, "kept");
}
END_TEST

/* 1 + 1 of 150 x 150 ones: too large to be tiny, too small for workers to be faster. */
static void send_short(struct peer *peer, uint64_t handle)
{
        send_run(peer, "add", 150, handle, NULL, 0);
}

START_TEST(short_job_alone_waits_for_the_end_of_the_turn)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        ck_assert(!service_end_turn(service));
        send_short(&peer, 1);
        ck_assert_uint_eq(peer.n_replies, 0);
        ck_assert_uint_eq(workers_n_busy(service->workers), 0);
        ck_assert(service_end_turn(service));
        ck_assert(next_reply_has(&peer, "outputs"));
        ck_assert(!service_end_turn(service));
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(short_jobs_together_are_the_workers)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_short(&peer, 1);
        send_short(&peer, 2);
        ck_assert_uint_eq(workers_n_busy(service->workers), 2);
        send_short(&peer, 3);
        ck_assert_uint_eq(workers_n_busy(service->workers), 3);
        ck_assert(!service_end_turn(service));
        await(&peer, 3);
        finish(service, &peer, NULL);
}
END_TEST

/* One that waits for it is not done in the same turn. */
START_TEST(one_short_job_in_a_turn)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_short(&peer, 1);
        send_op(&peer, "negative", 1, 2);
        ck_assert_uint_eq(workers_n_busy(service->workers), 0);
        ck_assert(service_end_turn(service));
        ck_assert_uint_eq(peer.n_replies, 1);
        ck_assert_uint_eq(workers_n_busy(service->workers), 1);
        await(&peer, 2);
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(short_job_ends_with_its_client)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_short(&peer, 1);
        detach(&peer);
        ck_assert(!service_end_turn(service));
        ck_assert_uint_eq(service->n_jobs, 0);
        attach(&peer, service, 1000);
        finish(service, &peer, NULL);
}
END_TEST

START_TEST(short_named_job_outlives_its_client)
{
        struct service *service = start(1 << 28);
        struct tensor *tensor;
        struct peer peer;

        attach(&peer, service, 1000);
        send_run(&peer, "add", 150, 1, "kept", 0);
        detach(&peer);
        ck_assert(service_end_turn(service));
        ck_assert_int_eq(store_find(service->store, 1000, "kept", &tensor), 0);
        attach(&peer, service, 1000);
        finish(service, &peer, "kept");
}
END_TEST

START_TEST(named_write_is_done_once)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_put(&peer, 1, "a", 5);
        send_put(&peer, 2, "a", 5);
        ck_assert(next_reply_has(&peer, "sealed"));
        ck_assert(next_reply_has(&peer, "sealed"));
        send_put(&peer, 0, "a", 6);
        send_put(&peer, 0, "a", 6);
        ck_assert(next_reply_has(&peer, "name_taken"));
        ck_assert(next_reply_has(&peer, "name_taken"));
        send_name(&peer, "delete", "a");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        /* the failure is remembered, though the name is free now */
        send_put(&peer, 0, "a", 6);
        ck_assert(next_reply_has(&peer, "name_taken"));

        /* a repeat joins the running job, by another connection too */
        send_run(&peer, "matmul", 600, 3, "b", 7);
        send_run(&peer, "matmul", 600, 4, "b", 7);
        ck_assert_uint_eq(service->n_jobs, 1);
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "sealed"));
        ck_assert(next_reply_has(&peer, "sealed"));
        send_sum(&peer, 4);
        await(&peer, 1);
        ck_assert(next_reply_has(&peer, "outputs"));
        finish(service, &peer, "b");
}
END_TEST

START_TEST(created_name_appears_at_seal)
{
        struct service *service = start(1 << 28);
        struct peer peer, other;

        attach(&peer, service, 1000);
        attach(&other, service, 1000);
        send_create(&peer, 10, 1, "a");
        ck_assert(next_reply_has(&peer, "unsealed"));
        send_open(&other, "a", 1);
        ck_assert(next_reply_has(&other, "not_found"));
        send_put(&other, 0, "a", 0);
        ck_assert(next_reply_has(&other, "name_taken"));
        send_sum(&peer, 1);
        ck_assert(next_reply_has(&peer, "not_sealed"));
        send_seal(&peer, 1);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_seal(&peer, 1);
        ck_assert(next_reply_has(&peer, "sealed already"));
        send_open(&other, "a", 1);
        ck_assert(next_reply_has(&other, "float64"));
        send_create(&other, 10, 2, "b");
        ck_assert(next_reply_has(&other, "unsealed"));
        detach(&other);
        /* an unsealed tensor ends with its creator, and its name is free */
        send_put(&peer, 0, "b", 0);
        ck_assert(next_reply_has(&peer, "sealed"));
        send_name(&peer, "delete", "b");
        ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        finish(service, &peer, "a");
}
END_TEST

START_TEST(big_create_waits_for_its_pages)
{
        struct service *service = start(1 << 28);
        struct peer peer;

        attach(&peer, service, 1000);
        send_create(&peer, 2000, 1, "big"); /* 32 MB: reserved on a worker */
        ck_assert_uint_eq(peer.n_replies, 0);
        send_seal(&peer, 1);
        await(&peer, 2);
        ck_assert(next_reply_has(&peer, "unsealed"));
        ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, "big");
}
END_TEST

START_TEST(limit_is_an_error_with_figures)
{
        struct service *service = start(1 << 26);
        struct store_figures before, after;
        struct peer peer;

        attach(&peer, service, 1000);
        store_figures(service->store, &before);
        send_create(&peer, 4096, 1, "a"); /* 128 MiB of 64 */
        ck_assert(next_reply_has(&peer, "memory_limit"));
        send_run(&peer, "matmul", 4096, 1, NULL, 0);
        ck_assert(next_reply_has(&peer, "asked"));
        store_figures(service->store, &after);
        ck_assert_uint_eq(before.used, after.used);
        send_put(&peer, 1, "a", 0); /* handle and name are free */
        ck_assert(next_reply_has(&peer, "sealed"));
        finish(service, &peer, "a");
}
END_TEST

START_TEST(freed_memory_serves_the_next)
{
        struct service *service = start(1 << 26);
        struct peer peer;

        attach(&peer, service, 1000);
        for (uint64_t i = 1; i < 20; i++) { /* 8 MB each of 64 MiB, freed again */
                send_run(&peer, "add", 1000 + i, i, NULL, 0);
                await(&peer, 1);
                ck_assert(next_reply_has(&peer, "sealed"));
                send_release(&peer, i);
                ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        }
        finish(service, &peer, NULL);
}
END_TEST

/* Files that the process writes may have so many bytes, until it is told otherwise. */
static void limit_writes(rlim_t n_bytes)
{
        const struct rlimit limit = { .rlim_cur = n_bytes, .rlim_max = RLIM_INFINITY };

        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Computed, and then the system lets no tensor be made of it: what was written over is gone. */
START_TEST(what_fails_behind_computing_takes_what_was_donated)
{
        struct service *service = start(1 << 26);
        struct store_figures figures;
        struct peer peer;

        attach(&peer, service, 1000);
        for (int is_limited = 0; is_limited < 2; is_limited++) {
                send_run(&peer, "add", 200, 1, NULL, 0);
                await(&peer, 1);
                ck_assert(next_reply_has(&peer, "sealed"));
                limit_writes(is_limited ? 0 : RLIM_INFINITY);
                send_op_on(&peer, "negative", 1, true, 2);
                await(&peer, 1);
                ck_assert(next_reply_has(&peer, is_limited ? "internal" : "sealed"));
                limit_writes(RLIM_INFINITY);
                send_sum(&peer, 1);
                await(&peer, 1);
                ck_assert(next_reply_has(&peer, "not_found"));
                if (is_limited)
                        continue;
                send_release(&peer, 2);
                ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        }
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.n_tensors, 0);
        finish(service, &peer, NULL);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("service");
        TCase *tcase = tcase_create("service");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, put_open_delete);
        tcase_add_test(tcase, names_belong_to_a_uid);
        tcase_add_test(tcase, requests_wait_for_unfinished_handles);
        tcase_add_test(tcase, failure_is_inherited);
        tcase_add_test(tcase, client_ends_named_job_finishes);
        tcase_add_test(tcase, short_job_alone_waits_for_the_end_of_the_turn);
        tcase_add_test(tcase, short_jobs_together_are_the_workers);
        tcase_add_test(tcase, one_short_job_in_a_turn);
        tcase_add_test(tcase, short_job_ends_with_its_client);
        tcase_add_test(tcase, short_named_job_outlives_its_client);
        tcase_add_test(tcase, named_write_is_done_once);
        tcase_add_test(tcase, created_name_appears_at_seal);
        tcase_add_test(tcase, big_create_waits_for_its_pages);
        tcase_add_test(tcase, limit_is_an_error_with_figures);
        tcase_add_test(tcase, freed_memory_serves_the_next);
        tcase_add_test(tcase, what_fails_behind_computing_takes_what_was_donated);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
