/* layer: service */
/* SPDX-License-Identifier: MIT */
/*
 * What a request takes of its user's share when it is almost used up: it is refused before it takes
 * effect, or not at all.
 */
#include "service_kit.h"

#include "store/state.h"

#define UID 1000
#define CAP (1 << 20)
#define SIDE 384 /* of a float64 matrix that a worker allocates */
#define N_MAPPED 8
#define KEPT_MAX 1024
#define RANGE 65536 /* more than any of these requests takes */
#define STEP 16

static struct user *user;

/* Leave the user so much. */
static void leave(struct charge *filler, uint64_t n)
{
        const uint64_t used = user->used[RESOURCE_WORKSPACE];

        ck_assert_uint_le(used + n, CAP);
        charge_adopt(filler, user, RESOURCE_WORKSPACE, CAP - used - n);
}

static struct service *start_capped(struct peer *peer)
{
        const struct quotas quotas = { .each = { [RESOURCE_WORKSPACE] = CAP } };
        struct service *service = start(1 << 28);

        users_set_quotas(store_users(service->store), &quotas);
        attach(peer, service, UID);
        user = peer->client.user;
        return service;
}

/* ones((64, 64)) + itself, N_MAPPED times, mapped, the first named x: the grants take the most. */
static void send_mapped(struct peer *peer)
{
        struct reply *message = begin("run", 3);

        reply_key(message, "inputs");
        reply_array(message, 0);
        reply_key(message, "nodes");
        reply_array(message, 2);
        write_ones(message, "ones", 64);
        write_twice(message, "add");
        reply_key(message, "outputs");
        reply_array(message, N_MAPPED);
        for (uint64_t i = 0; i < N_MAPPED; i++) {
                reply_map(message, 3u + (i == 0));
                key_uint(message, "value", 1);
                key_uint(message, "handle", 1 + i);
                if (i == 0)
                        key_str(message, "name", "x");
                reply_key(message, "map");
                reply_bool(message, true);
        }
        submit(peer, message);
}

/* So many replies: how many of them are no errors? They are taken off. */
static unsigned n_granted(struct peer *peer, unsigned n)
{
        unsigned n_good = 0;

        await(peer, n);
        for (; n > 0; n--) {
                struct reply *reply = list_first(&peer->replies, struct reply, link);

                n_good += memmem(reply->bytes, reply->n_bytes, "sealed", 6) != NULL;
                list_unlink(&reply->link);
                peer->n_replies--;
                reply_free(reply);
        }
        return n_good;
}

START_TEST(a_named_write_is_refused_before_it_takes_effect)
{
        struct peer first, peer;
        struct service *service = start_capped(&first);
        struct charge filler = { 0 };
        unsigned n_refused = 0;
        uint64_t n = 0;

        for (; n < RANGE; n += STEP, n_refused++) {
                attach(&peer, service, UID); /* nothing failed on it before */
                leave(&filler, n);
                send_mapped(&peer);
                if (n_granted(&peer, 1) == 1)
                        break;
                ck_assert(!is_named(service, UID, "x"));
                detach(&peer);
                charge_drop(&filler);
        }
        ck_assert(n < RANGE && n_refused > 10);
        ck_assert(is_named(service, UID, "x"));
        charge_drop(&filler);
        detach(&peer);
        finish(service, &first, "x");
}
END_TEST

/* ones((16, 16)) + itself, inline, so many times. */
static void send_inline(struct peer *peer, uint32_t n)
{
        struct reply *message = begin("run", 3);

        reply_key(message, "inputs");
        reply_array(message, 0);
        reply_key(message, "nodes");
        reply_array(message, 2);
        write_ones(message, "ones", 16);
        write_twice(message, "add");
        reply_key(message, "outputs");
        reply_array(message, n);
        for (uint32_t i = 0; i < n; i++) {
                reply_map(message, 1);
                key_uint(message, "value", 1);
        }
        submit(peer, message);
}

START_TEST(small_results_are_asked_for_before_there_is_memory_for_them)
{
        struct peer first, peer;
        struct service *service = start_capped(&first);
        struct charge filler = { 0 };
        struct reply *reply;

        attach(&peer, service, UID);
        leave(&filler, RANGE); /* enough for the request, not for 60 times 2 KiB */
        send_inline(&peer, 60);
        await(&peer, 1);
        reply = list_first(&peer.replies, struct reply, link);
        ck_assert_ptr_nonnull(memmem(reply->bytes, reply->n_bytes, "too_many", 8));
        charge_drop(&filler);
        send_inline(&peer, 60);
        await(&peer, 2);
        reply = list_entry(peer.replies.prev, struct reply, link);
        ck_assert_ptr_null(memmem(reply->bytes, reply->n_bytes, "too_many", 8));
        detach(&peer);
        finish(service, &first, NULL);
}
END_TEST

START_TEST(a_name_is_deleted_by_who_has_nothing_left)
{
        struct peer first, peer;
        struct service *service = start_capped(&first);
        struct charge filler = { 0 };
        struct reply *message = begin("delete", 2);

        attach(&peer, service, UID);
        send_put(&peer, 0, "x", 0);
        await(&peer, 1);
        leave(&filler, 0);
        key_str(message, "name", "x");
        key_op_id(message, 7);
        submit(&peer, message);
        await(&peer, 2);
        ck_assert(!is_named(service, UID, "x"));
        charge_drop(&filler);
        detach(&peer);
        finish(service, &first, NULL);
}
END_TEST

/* So that the next one is not made of memory that is there. */
static void keep_idle(struct service *service, struct segment **kept, unsigned *n_keptp)
{
        struct segment *segment;
        bool is_ready;

        end_turns(service);
        ck_assert_uint_lt(*n_keptp, KEPT_MAX);
        ck_assert_int_eq(
                store_reserve(service->store, user, NULL, SIDE * SIDE * 8, &segment, &is_ready), 0);
        if (is_ready)
                kept[(*n_keptp)++] = segment;
        else
                segment_unref(segment);
}

/* Its seal is on the way already. */
START_TEST(what_was_not_created_is_not_sealed)
{
        struct peer first, peer;
        struct service *service = start_capped(&first);
        struct charge filler = { 0 };
        struct segment *kept[KEPT_MAX];
        unsigned n_refused = 0, n_kept = 0;
        uint64_t n = 0;

        for (; n < RANGE; n += STEP, n_refused++) {
                unsigned n_good;

                attach(&peer, service, UID); /* nothing failed on it before */
                leave(&filler, n);
                send_create(&peer, SIDE, 1, "x");
                send_seal(&peer, 1);
                n_good = n_granted(&peer, 2);
                if (n_good == 2)
                        break;
                ck_assert(!is_named(service, UID, "x"));
                charge_drop(&filler);
                detach(&peer); /* what was created though its seal was refused is gone */
                keep_idle(service, kept, &n_kept);
        }
        while (n_kept > 0)
                segment_unref(kept[--n_kept]);
        ck_assert(n < RANGE && n_refused > 10);
        charge_drop(&filler);
        detach(&peer);
        finish(service, &first, "x");
}
END_TEST

/* Seal handle 1 while its user may have only n more of the resource. Was it? */
static bool seal_within(struct peer *peer, enum resource resource, uint64_t n)
{
        const struct tensor *tensor = promise_find(peer->client.promises, 1)->tensor;
        struct charge filler = { 0 };

        charge_adopt(&filler, user, resource, CAP - user->used[resource] - n);
        send_seal(peer, 1);
        await(peer, 1);
        charge_drop(&filler);
        if (tensor->state == TENSOR_SEALED) {
                ck_assert(next_reply_has(peer, "segment"));
                return true;
        }
        ck_assert(next_reply_has(peer, "too_many"));
        ck_assert_ptr_eq(tensor->creator, &peer->client);
        ck_assert(!tensor->segment->is_sealed);
        return false;
}

/* Refused as a request, for the outcome of its operation, or for the name's record. */
START_TEST(a_seal_that_was_refused_is_said_again)
{
        const struct quotas quotas = { .each = { [RESOURCE_RECORDS] = CAP } };
        struct peer peer;
        struct service *service = start_capped(&peer);
        struct reply *message = begin("create", 5);
        uint64_t n = 0;

        users_set_quotas(store_users(service->store), &quotas);
        key_str(message, "dtype", "float64");
        key_shape(message, SIDE, SIDE);
        key_uint(message, "handle", 1);
        key_str(message, "name", "x");
        key_op_id(message, 7);
        submit(&peer, message);
        await(&peer, 1);
        ck_assert(next_reply_has(&peer, "unsealed"));
        ck_assert(!seal_within(&peer, RESOURCE_RECORDS, 10));
        while (!seal_within(&peer, RESOURCE_WORKSPACE, n)) {
                ck_assert(!is_named(service, UID, "x"));
                n += STEP;
        }
        ck_assert_uint_gt(n, sizeof(struct call) + OUTCOME_BYTES);
        ck_assert(is_named(service, UID, "x"));
        finish(service, &peer, "x");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("service_quota");
        TCase *tcase = tcase_create("service_quota");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, a_named_write_is_refused_before_it_takes_effect);
        tcase_add_test(tcase, small_results_are_asked_for_before_there_is_memory_for_them);
        tcase_add_test(tcase, a_name_is_deleted_by_who_has_nothing_left);
        tcase_add_test(tcase, what_was_not_created_is_not_sealed);
        tcase_add_test(tcase, a_seal_that_was_refused_is_said_again);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
