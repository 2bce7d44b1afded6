/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for memory: in line, users in turns, until there is some, and gone with their
 * connection.
 */
#include "service_kit.h"

#include <glob.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/core.h"
#include "store/state.h"

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

/* One of user 1 has nearly all of it; another, of user 2, may ask. */
static struct service *start_full(struct peer *full, struct peer *a)
{
        struct service *service = start(LIMIT);

        attach(full, service, 1);
        attach(a, service, 2);
        ask_for(full, 1, 28 * MIB, 0);
        ck_assert(is_granted(full));
        return service;
}

START_TEST(in_line_and_users_in_turns)
{
        struct peer full, a, b, other;
        struct service *service = start_full(&full, &a);

        attach(&b, service, 2);
        attach(&other, service, 3);
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
        struct peer full, a;
        struct service *service = start_full(&full, &a);

        for (uint64_t i = 1; i <= 3; i++)
                ask_for(&a, i, 20 * MIB, 60000);
        ck_assert(!list_is_empty(&service->lines));
        detach(&a);
        ck_assert(list_is_empty(&service->lines));
        detach(&full);
        service_free(service);
}
END_TEST

START_TEST(smaller_ones_behind_get_through)
{
        struct service *service = start(LIMIT);
        struct peer one, two, large, small;

        attach(&one, service, 1);
        attach(&two, service, 1);
        attach(&large, service, 2);
        attach(&small, service, 2);
        ask_for(&one, 1, 16 * MIB, 0);
        ck_assert(is_granted(&one));
        ask_for(&two, 1, 14 * MIB, 0);
        ck_assert(is_granted(&two));
        ask_for(&large, 1, 30 * MIB, 60000);
        for (uint64_t i = 1; i <= 40; i++) /* a few are tried at a time */
                ask_for(&small, i, (44 - i) * MIB / 2, 60000);
        ck_assert_uint_eq(large.n_replies + small.n_replies, 0);
        detach(&two);
        ck_assert(is_granted(&small));
        ck_assert_uint_eq(large.n_replies, 0);
        detach(&small);
        detach(&one);
        ck_assert(is_granted(&large));
        detach(&large);
        service_free(service);
}
END_TEST

START_TEST(who_got_some_is_behind_the_others)
{
        struct peer full, a, b, other;
        struct service *service = start_full(&full, &a);

        attach(&b, service, 2);
        attach(&other, service, 3);
        ask_for(&a, 1, 20 * MIB, 60000);
        ask_for(&b, 1, 20 * MIB, 60000);
        ask_for(&other, 1, 20 * MIB, 60000);
        detach(&full);
        ck_assert(is_granted(&a));
        detach(&a);
        ck_assert(is_granted(&other));
        ck_assert_uint_eq(b.n_replies, 0);
        detach(&other);
        ck_assert(is_granted(&b));
        detach(&b);
        service_free(service);
}
END_TEST

START_TEST(as_long_as_can_be_said)
{
        static const uint64_t wait_ms[] = { UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1000000 };
        struct peer full, a;
        struct service *service = start_full(&full, &a);

        for (unsigned i = 0; i < 3; i++) {
                ask_for(&a, 1 + i, 8 * MIB, wait_ms[i]);
                service_tick(service);
                ck_assert_uint_eq(a.n_replies, 0);
        }
        detach(&full);
        for (unsigned i = 0; i < 3; i++)
                ck_assert(is_granted(&a));
        detach(&a);
        service_free(service);
}
END_TEST

START_TEST(what_can_never_be_had)
{
        struct service *service = start(LIMIT);
        struct peer a;

        attach(&a, service, 2);
        ask_for(&a, 1, LIMIT, 60000);
        ck_assert_uint_eq(a.n_replies, 1);
        ck_assert(next_reply_has(&a, "memory_limit"));
        ask_for(&a, 2, 1000 * LIMIT, UINT64_MAX);
        ck_assert_uint_eq(a.n_replies, 1);
        ck_assert(next_reply_has(&a, "memory_limit"));
        ck_assert(list_is_empty(&service->lines));
        detach(&a);
        service_free(service);
}
END_TEST

START_TEST(what_is_on_its_way_at_the_end)
{
        struct peer full, a;
        uint64_t until_ms;
        struct service *service = start_full(&full, &a);

        until_ms = clock_now_ms() + STARVED_MS + 50;
        ask_for(&a, 1, 20 * MIB, STARVED_MS + 20);
        while (clock_now_ms() < until_ms)
                usleep(1000);
        ck_assert_uint_eq(a.n_replies, 0);
        detach(&full); /* a worker gives it back, which is not seen yet */
        service_tick(service);
        ck_assert(is_granted(&a));

        /* but no longer than that */
        attach(&full, service, 2);
        ask_for(&full, 1, 20 * MIB, 20);
        ck_assert_uint_eq(full.n_replies, 0);
        usleep(40000);
        service_tick(service);
        ck_assert_uint_eq(full.n_replies, 1);
        ck_assert(!is_granted(&full));
        detach(&a);
        detach(&full);
        service_free(service);
}
END_TEST

/* A run that waits and takes nothing, up to its two nodes. */
static struct reply *begin_waiting(void)
{
        struct reply *message = begin("run", 4);

        key_uint(message, "wait_ms", 60000);
        reply_key(message, "inputs");
        reply_array(message, 0);
        reply_key(message, "nodes");
        reply_array(message, 2);
        return message;
}

/* n by n, small. */
static void ask_small(struct peer *peer, uint64_t n, uint64_t handle, const char *name)
{
        struct reply *message = begin_waiting();

        write_ones(message, "ones", n);
        write_twice(message, "add");
        write_output(message, handle, name);
        submit(peer, message);
}

/* Names of nothing, until the catalog is full; nothing may be charged any more. */
static void fill_catalog(struct peer *peer)
{
        bool is_full = false;

        for (unsigned i = 0; !is_full; i++) {
                struct reply *message = begin("put", 4);
                char name[32];

                snprintf(name, sizeof(name), "%u", i);
                key_str(message, "dtype", "float64");
                key_shape(message, 0, 0);
                reply_key(message, "data");
                reply_bin(message, "", 0);
                key_str(message, "name", name);
                submit(peer, message);
                await(peer, 1);
                is_full = memmem(list_first(&peer->replies, struct reply, link)->bytes, 64,
                                 "memory_limit", 12);
                ck_assert(next_reply_has(peer, is_full ? "memory_limit" : "sealed"));
        }
}

/* What has names would outlive it. */
static void end(struct service *service)
{
        char pattern[80];
        glob_t found;

        service_free(service);
        snprintf(pattern, sizeof(pattern), "/dev/shm/%s.*", prefix);
        ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
        for (size_t i = 0; i < found.gl_pathc; i++)
                ck_assert_int_eq(unlink(found.gl_pathv[i]), 0);
        globfree(&found);
}

/* A small output of a run waits as a large one: 0, for its bytes; 1, for the record of its name. */
START_TEST(small_outputs_of_a_run)
{
        struct peer full, a;
        struct service *service = start_full(&full, &a);
        struct users *users = store_users(service->store);
        const struct total *total = &users->totals[RESOURCE_BYTES];
        struct prepaid rest = { .store = service->store };
        struct user *user;

        ck_assert_int_eq(user_get(users, 1, &user), 0);
        charge_adopt(&rest.bytes, user, RESOURCE_BYTES, total->limit - total->n);
        service->store->n_heap_bytes += rest.bytes.n;
        if (_i == 1)
                fill_catalog(&a);
        ask_small(&a, _i == 1 ? 0 : 8, 1, _i == 1 ? "named" : NULL);
        ck_assert_uint_eq(a.n_replies, 0);
        ck_assert(!list_is_empty(&service->lines));
        detach(&full);
        await(&a, 1);
        ck_assert(next_reply_has(&a, "sealed"));

        /* What was kept for it is kept no more. */
        ask_small(&a, 8, 2, "another");
        await(&a, 1);
        ck_assert(next_reply_has(&a, "sealed"));
        ck_assert_uint_eq(service->store->n_prepaid_bytes, 0);
        prepaid_give_back(&rest);
        user_unref(user);
        detach(&a);
        end(service);
}
END_TEST

/* Who waits for more keeps none of it. */
START_TEST(what_waits_holds_nothing)
{
        struct peer full, a;
        struct service *service = start_full(&full, &a);
        const struct total *total = &store_users(service->store)->totals[RESOURCE_BYTES];
        uint64_t n_before = total->n;
        struct reply *message = begin_waiting();

        write_ones(message, "ones", 8);
        write_ones(message, "ones", 1600);
        reply_key(message, "outputs");
        reply_array(message, 2);
        for (unsigned i = 0; i < 2; i++) {
                reply_map(message, 2);
                key_uint(message, "value", i);
                key_str(message, "name", i ? "large" : "small");
        }
        submit(&a, message);
        ck_assert_uint_eq(a.n_replies, 0);
        ck_assert_uint_eq(total->n, n_before);
        ck_assert_uint_eq(service->store->n_prepaid_bytes, 0);
        detach(&full);
        await(&a, 1);
        ck_assert(next_reply_has(&a, "large"));
        ck_assert_uint_eq(service->store->n_prepaid_bytes, 0);
        detach(&a);
        end(service);
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
        tcase_add_test(tcase, smaller_ones_behind_get_through);
        tcase_add_test(tcase, who_got_some_is_behind_the_others);
        tcase_add_test(tcase, as_long_as_can_be_said);
        tcase_add_test(tcase, what_can_never_be_had);
        tcase_add_test(tcase, what_is_on_its_way_at_the_end);
        tcase_add_loop_test(tcase, small_outputs_of_a_run, 0, 2);
        tcase_add_test(tcase, what_waits_holds_nothing);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
