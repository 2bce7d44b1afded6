/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for memory: in line, users in turns, until there is some, and gone with their
 * connection.
 */
#include "service_kit.h"

#include "service/core.h"

#define LIMIT (UINT64_C(32) << 20)
#define MIB (UINT64_C(1) << 20)

static void ask_for(struct peer *peer, uint64_t handle, uint64_t n_bytes, uint64_t wait_ms)
{
        struct reply *message = begin("create", wait_ms ? 4 : 3);

        key_uint(message, "handle", handle);
        key_str(message, "dtype", "uint8");
        reply_key(message, "shape");
        reply_array(message, 1);
        reply_uint(message, n_bytes);
        if (wait_ms)
                key_uint(message, "wait_ms", wait_ms);
        submit(peer, message);
}

/* The first reply, taken off: is it no error? */
static bool is_granted(struct peer *peer)
{
        struct reply *reply;
        bool is_good;

        await(peer, 1);
        reply = list_first(&peer->replies, struct reply, link);
        is_good = memmem(reply->bytes, reply->n_bytes, "unsealed", 8) != NULL;
        list_unlink(&reply->link);
        peer->n_replies--;
        reply_free(reply);
        return is_good;
}

START_TEST(in_line_and_users_in_turns)
{
        struct service *service = start(LIMIT);
        struct peer full, a, b, other;

        attach(&full, service, 1);
        attach(&a, service, 2);
        attach(&b, service, 2);
        attach(&other, service, 3);
        ask_for(&full, 1, 28 * MIB, 0);
        ck_assert(is_granted(&full));
        ask_for(&a, 1, 20 * MIB, 60000);
        ask_for(&b, 1, 8 * MIB, 60000);
        ask_for(&other, 1, 18 * MIB, 60000);
        ck_assert_uint_eq(a.n_replies + b.n_replies + other.n_replies, 0);
        ck_assert_uint_gt(service_tick_in_ms(service), 5 * TICK_MS); /* nobody looks meanwhile */

        /* of one user the one who came first; of two users whose turn it is */
        detach(&full);
        ck_assert(is_granted(&a));
        ck_assert(is_granted(&b));
        ck_assert_uint_eq(other.n_replies, 0);
        detach(&a);
        ck_assert(is_granted(&other));
        detach(&b);
        detach(&other);
        service_free(service);
}
END_TEST

START_TEST(gone_with_its_connection)
{
        struct service *service = start(LIMIT);
        struct peer full, a;

        attach(&full, service, 1);
        attach(&a, service, 2);
        ask_for(&full, 1, 28 * MIB, 0);
        ck_assert(is_granted(&full));
        for (uint64_t i = 1; i <= 3; i++)
                ask_for(&a, i, 20 * MIB, 60000);
        ck_assert(!list_is_empty(&service->lines));
        detach(&a);
        ck_assert(list_is_empty(&service->lines));
        detach(&full);
        service_free(service);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("starved");
        TCase *tcase = tcase_create("starved");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, in_line_and_users_in_turns);
        tcase_add_test(tcase, gone_with_its_connection);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
