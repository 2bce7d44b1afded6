/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * What is lent, and for how long; and who waits for a name, however many wait for others.
 */
#include "service_kit.h"

#include "base/clock.h"

/* ---- loans ---- */

static void send_lend(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("lend", 1);

        reply_key(message, "handles");
        reply_array(message, 1);
        reply_uint(message, handle);
        submit(peer, message);
}

static struct loan *first_loan(struct service *service)
{
        return list_first(&service->loans.soonest, struct loan, link);
}

START_TEST(what_was_lent_last_lives_longest)
{
        struct service *service = start(1 << 24);
        struct store_figures figures;
        struct peer peer, other;

        attach(&peer, service, 1000);
        attach(&other, service, 1001);
        for (uint64_t handle = 1; handle <= 2; handle++) {
                send_put(&peer, handle, NULL, 0);
                ck_assert(next_reply_has(&peer, "sealed"));
        }
        send_lend(&peer, 1);
        send_lend(&peer, 2);
        send_lend(&peer, 1);
        for (int i = 0; i < 3; i++)
                ck_assert(next_reply_has(&peer, "\xc0\xc0"));
        ck_assert_uint_eq(peer.client.user->n_loans, 2);
        ck_assert_ptr_eq(first_loan(service)->tensor,
                         promise_find(peer.client.promises, 2)->tensor);
        detach(&peer);
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.n_tensors, 2);

        /* The loop is woken for the first, and not before. */
        ck_assert_uint_le(service_tick_in_ms(service), TD_LEND_MS);
        ck_assert_uint_gt(service_tick_in_ms(service), TD_LEND_MS / 2);
        service_tick(service);
        store_figures(service->store, &figures);
        ck_assert_uint_eq(figures.n_tensors, 2);
        for (unsigned n_left = 2; n_left-- > 0;) {
                first_loan(service)->until_ms = clock_now_ms();
                service_tick(service);
                store_figures(service->store, &figures);
                ck_assert_uint_eq(figures.n_tensors, n_left);
        }
        ck_assert_uint_eq(service_tick_in_ms(service), UINT64_MAX);
        finish(service, &other, NULL);
}
END_TEST

START_TEST(a_user_lends_so_many_and_what_is_lent_ends_with_the_service)
{
        struct service *service = start(1 << 24);
        struct peer peer;

        attach(&peer, service, 1000);
        send_put(&peer, 1, NULL, 0);
        send_put(&peer, 2, NULL, 0);
        send_lend(&peer, 1);
        peer.client.user->n_loans = LOANS_MAX;
        send_lend(&peer, 1); /* one that is lent already */
        send_lend(&peer, 2);
        ck_assert(next_reply_has(&peer, "sealed") && next_reply_has(&peer, "sealed"));
        ck_assert(next_reply_has(&peer, "\xc0\xc0") && next_reply_has(&peer, "\xc0\xc0"));
        ck_assert(next_reply_has(&peer, "too_many"));
        peer.client.user->n_loans = 1;
        detach(&peer);
        service_free(service);
}
END_TEST

/* ---- waiting for a name ---- */

static void send_wait(struct peer *peer, const char *name, int64_t owner)
{
        struct reply *message = begin("wait", 2u + (owner >= 0));

        key_str(message, "name", name);
        key_uint(message, "wait_ms", 1000000);
        if (owner >= 0)
                key_uint(message, "owner", (uint64_t)owner);
        submit(peer, message);
}

static void send_share(struct peer *peer, const char *name, bool is_shared)
{
        struct reply *message = begin("share", 2);

        key_str(message, "name", name);
        reply_key(message, "shared");
        reply_bool(message, is_shared);
        submit(peer, message);
}

START_TEST(a_name_wakes_its_own_waiters)
{
        struct service *service = start(1 << 24);
        struct peer alice, bob;
        char name[16];

        attach(&alice, service, 1000);
        attach(&bob, service, 1001);
        for (int i = 0; i < 500; i++) {
                snprintf(name, sizeof(name), "other %d", i % 5);
                send_wait(&alice, name, -1);
        }
        send_wait(&alice, "x", 1000);
        send_wait(&bob, "x", 1000);
        send_wait(&bob, "x", -1);
        /* One entry a name, and for each of who may see it. */
        ck_assert_uint_eq(HASH_COUNT(service->waiters.by_name), 5 + 3);
        ck_assert_uint_eq(alice.n_replies + bob.n_replies, 0);

        send_put(&alice, 0, "x", 0);
        ck_assert_uint_eq(alice.n_replies, 2);
        ck_assert_uint_eq(bob.n_replies, 0);
        send_share(&alice, "x", true);
        ck_assert_uint_eq(bob.n_replies, 1);
        ck_assert(next_reply_has(&bob, "owner"));
        ck_assert_uint_eq(HASH_COUNT(service->waiters.by_name), 5 + 1);
        send_put(&bob, 0, "x", 0);
        ck_assert_uint_eq(bob.n_replies, 2);

        send_name(&bob, "delete", "x");
        detach(&bob);
        ck_assert_uint_eq(HASH_COUNT(service->waiters.by_name), 5);
        while (alice.n_replies > 0)
                next_reply_has(&alice, "x");
        finish(service, &alice, "x");
}
END_TEST

/* What is woken and finds that the name is gone again, or not for it any more, waits on. */
START_TEST(who_wakes_up_too_late_waits_on)
{
        struct service *service = start(1 << 24);
        struct peer alice, bob;

        attach(&alice, service, 1000);
        attach(&bob, service, 1001);
        send_wait(&bob, "x", 1000);
        send_put(&alice, 0, "x", 0);
        service->is_pumping = true; /* what is ready starts later */
        send_share(&alice, "x", true);
        send_share(&alice, "x", false);
        service->is_pumping = false;
        service_pump(service);
        ck_assert_uint_eq(bob.n_replies, 0);
        ck_assert_uint_eq(HASH_COUNT(service->waiters.by_name), 1);
        send_share(&alice, "x", true);
        ck_assert_uint_eq(bob.n_replies, 1);
        detach(&bob);
        while (alice.n_replies > 0)
                next_reply_has(&alice, "x");
        finish(service, &alice, "x");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("loans");
        TCase *tests = tcase_create("loans and waiters");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tests, what_was_lent_last_lives_longest);
        tcase_add_test(tests, a_user_lends_so_many_and_what_is_lent_ends_with_the_service);
        tcase_add_test(tests, a_name_wakes_its_own_waiters);
        tcase_add_test(tests, who_wakes_up_too_late_waits_on);
        suite_add_tcase(suite, tests);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
