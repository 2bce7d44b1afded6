/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

static struct users users;

static struct segment *make(uid_t uid, uint64_t file_bytes)
{
        static uint8_t random[SHM_RANDOM];
        struct segment *segment;
        struct user *user;

        random[0]++;
        ck_assert_int_eq(segment_new(&segment, NULL, NULL, uid, random, file_bytes), 0);
        ck_assert_int_eq(user_get(&users, uid, &user), 0);
        charge_adopt(&segment->charge, user, RESOURCE_BYTES, file_bytes);
        user_unref(user);
        return segment;
}

START_TEST(test_by_user_class_and_holder)
{
        struct segment *segments[6];
        struct holder a, b;
        struct pool pool;

        users_init(&users, 1000);
        pool_init(&pool);
        segments[0] = make(1, 100);
        segments[1] = make(1, 100);
        segments[2] = make(1, 200);
        segments[3] = make(2, 100);
        segments[4] = make(1, 100);
        segments[5] = make(1, 100);
        for (unsigned i = 0; i < 4; i++)
                ck_assert_int_eq(pool_put(&pool, segments[i], NULL), 0);
        ck_assert_int_eq(pool_put(&pool, segments[4], &a), 0);
        ck_assert_int_eq(pool_put(&pool, segments[5], &b), 0);
        ck_assert_uint_eq(pool.n_idle_bytes, 500);
        ck_assert_uint_eq(pool.n_parked_bytes, 200);
        ck_assert_uint_eq(pool.n_segments, 6);

        ck_assert_ptr_null(pool_take(&pool, 3, 100, NULL));
        ck_assert_ptr_null(pool_take(&pool, 2, 200, NULL));
        ck_assert_ptr_null(pool_take(&pool, 1, 200, &a));
        ck_assert_ptr_null(pool_take(&pool, 2, 100, &a));
        ck_assert_ptr_eq(list_first(&pool.idle, struct segment, link), segments[0]);
        ck_assert_ptr_eq(pool_take(&pool, 1, 100, &b), segments[5]);
        ck_assert_ptr_null(pool_take(&pool, 1, 100, &b));
        ck_assert_ptr_eq(pool_take(&pool, 1, 100, NULL), segments[1]); /* used last */
        pool_remove(&pool, segments[0]);
        ck_assert_ptr_null(pool_take(&pool, 1, 100, NULL));
        ck_assert_ptr_eq(pool_take(&pool, 2, 100, NULL), segments[3]);
        ck_assert_ptr_eq(pool_take(&pool, 1, 200, NULL), segments[2]);
        ck_assert_uint_eq(pool.n_idle_bytes, 0);
        ck_assert_uint_eq(pool.n_parked_bytes, 100);
        pool_ask(&pool, segments[4]);
        ck_assert_uint_eq(pool.n_asked_bytes, 100);
        ck_assert(list_is_empty(&pool.parked));
        pool_give_up(&pool, segments[4]);
        ck_assert_uint_eq(pool.n_asked_bytes, 0);
        ck_assert_uint_eq(pool.n_deaf_bytes, 100);
        ck_assert_uint_eq(pool.n_parked_bytes, 100);
        /* found as before, and parked anew as if nobody had asked */
        ck_assert_ptr_eq(pool_take(&pool, 1, 100, &a), segments[4]);
        ck_assert_uint_eq(pool.n_deaf_bytes, 0);
        ck_assert_int_eq(pool_put(&pool, segments[4], &a), 0);
        ck_assert_ptr_eq(list_first(&pool.parked, struct segment, link), segments[4]);
        pool_remove(&pool, segments[4]);
        pool_deinit(&pool);
        for (unsigned i = 0; i < 6; i++) {
                charge_drop(&segments[i]->charge);
                segment_free(segments[i]);
        }
        users_deinit(&users);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("pool");
        TCase *tcase = tcase_create("pool");

        tcase_add_test(tcase, test_by_user_class_and_holder);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
