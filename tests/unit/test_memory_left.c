/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Segments that nobody refers to any more: many in one turn of the loop, and handed out often.
 */
#include "base/clock.h"
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)
#define SIZE (100 * 1000)

enum { N_MANY = 3 * SETTLE_AT_ONCE };

static void leave_many(struct store *store, struct user *user)
{
        struct segment *segments[N_MANY];

        for (unsigned i = 0; i < N_MANY; i++)
                segments[i] = kit_segment(store, user, NULL, SIZE);
        for (unsigned i = 0; i < N_MANY; i++)
                segment_unref(segments[i]);
        ck_assert_uint_eq(store->n_state[SEGMENT_LEFT], N_MANY - SETTLE_AT_ONCE);
        kit_check(store);
}

START_TEST(test_many_left_take_turns)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment;
        uint64_t n_left;
        bool is_ready;

        ck_assert(!store_has_left(store));
        leave_many(store, user);
        /* Their memory is on its way. */
        ck_assert_int_eq(store_reserve(store, user, NULL, LIMIT - 4 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        while (store_has_left(store)) {
                n_left = store->n_state[SEGMENT_LEFT];
                store_settle(store);
                ck_assert_uint_ge(store->n_state[SEGMENT_LEFT] + SETTLE_MAX, n_left);
                ck_assert_uint_lt(store->n_state[SEGMENT_LEFT], n_left);
        }
        ck_assert_uint_le(kit_check(store).idle, LIMIT / 4);
        segment = kit_segment(store, user, NULL, LIMIT - 4 * KIT_MIB);
        segment_unref(segment);
        user_unref(user);
        store_free(store);
}
END_TEST

/* What cannot wait for a turn takes what is left. */
START_TEST(test_left_ones_give_way)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *held = kit_segment(store, user, NULL, SIZE);
        int fd = segment_open(held, false);
        struct holder holder;
        bool is_new;

        ck_assert_int_ge(fd, 0);
        holder_init(&holder, user, NULL);
        ck_assert_int_eq(store_grant(store, &holder, held, false, &is_new), 0);
        leave_many(store, user);
        holder_deinit(store, &holder);
        segment_unref(held);
        ck_assert_int_eq(held->state, SEGMENT_LEFT);
        /* All of it is not to be had: one of them is held, as is seen when it is looked at. */
        ck_assert_int_eq(memory_relieve(store, NULL, LIMIT - kit_check(store).catalog, true),
                         STORE_E_LIMIT);
        ck_assert(!store_has_left(store));
        ck_assert_int_eq(held->state, SEGMENT_HELD);
        ck_assert_int_eq(memory_relieve(store, NULL, LIMIT / 2, true), 0);
        close(fd);
        user_unref(user);
        store_free(store);
}
END_TEST

/* What was held and is not any more is had by who wants memory; it is not looked for all the time.
 */
START_TEST(test_held_no_more_when_it_is_wanted)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *held = kit_segment(store, user, NULL, LIMIT / 2), *segment;
        int fd = segment_open(held, false);
        struct holder holder;
        bool is_new, is_ready;

        ck_assert_int_ge(fd, 0);
        holder_init(&holder, user, NULL);
        ck_assert_int_eq(store_grant(store, &holder, held, false, &is_new), 0);
        holder_deinit(store, &holder);
        segment_unref(held);
        ck_assert_int_eq(held->state, SEGMENT_HELD);
        ck_assert_int_eq(store_reserve(store, user, NULL, LIMIT / 2, &segment, &is_ready),
                         STORE_E_LIMIT);
        close(fd);
        store->held_retried_ms = clock_now_ms();
        ck_assert_int_eq(store_reserve(store, user, NULL, LIMIT / 2, &segment, &is_ready),
                         STORE_E_LIMIT);
        store->held_retried_ms -= RETRY_HELD_MS;
        segment = kit_segment(store, user, NULL, LIMIT / 2);
        ck_assert_uint_eq(kit_check(store).held, 0);
        segment_unref(segment);
        user_unref(user);
        store_free(store);
}
END_TEST

/* However often it was handed out, it is not forgotten that it was. */
START_TEST(handed_out_without_end)
{
        struct store *store = kit_store(16 * KIT_MIB);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, 100 * 1000);
        uint64_t id = segment_id(segment), n_bytes = segment_map_bytes(segment);
        struct holder a;
        bool is_new;
        int fd;

        holder_init(&a, user, NULL);
        ck_assert_int_eq(store_grant(store, &a, segment, false, &is_new), 0);
        fd = segment_open_for_client(segment, false);
        ck_assert_int_ge(fd, 0);
        store_unmap(store, &a, id);
        segment->n_handed = UINT32_MAX; /* as many times */
        ck_assert_int_eq(store_grant(store, &a, segment, false, &is_new), 0);
        store_unmap(store, &a, id);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).held, n_bytes);
        close(fd);
        ck_assert_uint_eq(store_retry_held(store), 0);
        ck_assert_uint_eq(kit_check(store).idle, n_bytes);

        /* it is counted as far as that matters */
        segment = kit_segment(store, user, NULL, 100 * 1000);
        ck_assert_uint_eq(segment_id(segment), id);
        for (unsigned i = 1; i <= 5; i++) {
                ck_assert_int_eq(store_grant(store, &a, segment, false, &is_new), 0);
                store_unmap(store, &a, id);
                ck_assert_uint_eq(segment->n_handed, i < N_HANDED_MAX ? i : N_HANDED_MAX);
        }
        segment_unref(segment);
        holder_deinit(store, &a);
        user_unref(user);
        store_free(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("memory_left");
        TCase *tcase = tcase_create("memory_left");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_many_left_take_turns);
        tcase_add_test(tcase, test_left_ones_give_way);
        tcase_add_test(tcase, test_held_no_more_when_it_is_wanted);
        tcase_add_test(tcase, handed_out_without_end);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
