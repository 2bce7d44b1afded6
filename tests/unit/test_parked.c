/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Parked memory that is asked for, by others and by who parks it.
 */
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)

static unsigned n_freed, n_trims;

static void on_freed(void *ctx)
{
        (void)ctx;
        n_freed++;
}

static void on_trim(struct holder *holder, const uint64_t *segments, uint32_t n_segments)
{
        (void)holder;
        (void)segments;
        n_trims += n_segments;
}

static void grant(struct store *store, struct holder *holder, struct segment *segment)
{
        bool is_new;

        ck_assert_int_eq(store_grant(store, holder, segment, false, &is_new), 0);
        ck_assert(is_new);
}

START_TEST(test_parked_bytes_are_asked_back)
{
        struct store *store = kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                                     .directory = kit_directory,
                                                                     .limit = LIMIT,
                                                                     .freed = on_freed });
        struct user *user = kit_user(store, 1), *other = kit_user(store, 2);
        struct segment *live = kit_segment(store, user, NULL, 40 * KIT_MIB), *segment;
        struct holder holder;
        uint64_t id;
        bool is_ready;

        holder_init(&holder, user, on_trim);
        segment = kit_segment(store, user, NULL, 12 * KIT_MIB);
        id = segment_id(segment);
        grant(store, &holder, segment);
        segment_unref(segment);
        ck_assert_uint_eq(n_trims, 0);
        ck_assert_int_eq(store_reserve(store, other, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        ck_assert_uint_eq(n_trims, 1);
        ck_assert_int_eq(store_reserve(store, other, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        ck_assert_uint_eq(n_trims, 1);
        n_freed = 0;
        store_unmap(store, &holder, id);
        ck_assert_uint_gt(n_freed, 0);
        segment = kit_segment(store, other, NULL, 20 * KIT_MIB);
        segment_unref(segment);
        kit_check(store);

        /* One that does not answer is not waited for any longer. */
        segment = kit_segment(store, user, NULL, 12 * KIT_MIB);
        id = segment_id(segment);
        grant(store, &holder, segment);
        segment_unref(segment);
        ck_assert_int_eq(store_reserve(store, other, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        HASH_FIND(hh, store->segments, &id, sizeof(id), segment);
        segment->asked_ms -= TRIM_WAIT_MS;
        ck_assert_int_eq(store_reserve(store, other, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_LIMIT);
        segment_unref(live);
        holder_deinit(store, &holder);
        user_unref(user);
        user_unref(other);
        store_free(store);
}
END_TEST

/*
 * Who was busy for longer than the daemon waits is asked once more for what it has parked itself,
 * when it asks for memory: nothing of anyone is evicted for it, and it is not refused.
 */
START_TEST(test_who_asks_is_asked_again)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1), *other = kit_user(store, 2);
        struct segment *live = kit_segment(store, user, NULL, 40 * KIT_MIB), *segment, *parked;
        struct holder holder;
        uint64_t id;
        bool is_ready;

        holder_init(&holder, user, on_trim);
        parked = kit_segment(store, user, NULL, 12 * KIT_MIB);
        id = segment_id(parked);
        grant(store, &holder, parked);
        segment_unref(parked);
        n_trims = 0;
        ck_assert_int_eq(store_reserve(store, other, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        parked->asked_ms -= TRIM_WAIT_MS;
        ck_assert_int_eq(store_reserve(store, other, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_uint_eq(n_trims, 1);

        /* too much, in any case: nobody is asked */
        ck_assert_int_eq(store_reserve(store, user, &holder, 60 * KIT_MIB, &segment, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_uint_eq(n_trims, 1);
        ck_assert_int_eq(store_reserve(store, user, &holder, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        ck_assert_uint_eq(n_trims, 2);
        kit_check(store);

        /* In vain again: that was the last time. */
        parked->asked_ms -= TRIM_WAIT_MS;
        for (unsigned i = 0; i < 2; i++)
                ck_assert_int_eq(
                        store_reserve(store, user, &holder, 20 * KIT_MIB, &segment, &is_ready),
                        STORE_E_LIMIT);
        ck_assert_uint_eq(n_trims, 2);
        store_unmap(store, &holder, id);
        segment = kit_segment(store, user, &holder, 20 * KIT_MIB);
        segment_unref(segment);
        segment_unref(live);
        kit_check(store);
        holder_deinit(store, &holder);
        user_unref(user);
        user_unref(other);
        store_free(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("parked");
        TCase *tcase = tcase_create("parked");

        tcase_add_test(tcase, test_parked_bytes_are_asked_back);
        tcase_add_test(tcase, test_who_asks_is_asked_again);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
