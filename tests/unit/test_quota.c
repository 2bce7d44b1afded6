/* layer: base */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/quota.h"

START_TEST(test_one_user_per_uid)
{
        struct users users;
        struct user *a, *b, *c;

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(user_get(&users, 1, &b), 0);
        ck_assert_int_eq(user_get(&users, 2, &c), 0);
        ck_assert_ptr_eq(a, b);
        ck_assert_ptr_ne(a, c);
        ck_assert_uint_eq(a->n_refs, 2);
        ck_assert_ptr_null(user_unref(b));
        user_unref(a);
        user_unref(c);
        ck_assert_ptr_null(user_unref(NULL));
        users_deinit(&users);
}
END_TEST

START_TEST(test_charges_add_up)
{
        struct users users;
        struct user *a, *b;
        struct charge one = { 0 }, two = { 0 }, three = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(user_get(&users, 2, &b), 0);
        ck_assert_int_eq(charge_take(&one, a, 60), 0);
        ck_assert_int_eq(charge_take(&two, b, 41), CHARGE_E_LIMIT);
        ck_assert_ptr_null(two.user);
        ck_assert_uint_eq(b->n_bytes, 0);
        ck_assert_int_eq(charge_take(&two, b, UINT64_MAX), CHARGE_E_LIMIT);
        ck_assert_uint_eq(users.n_bytes_most, 60); /* what was refused never was */
        ck_assert_int_eq(charge_take(&two, b, 40), 0);
        ck_assert_uint_eq(users.n_bytes, 100);
        ck_assert_uint_eq(a->n_bytes, 60);
        ck_assert_uint_eq(b->n_bytes, 40);

        /* What exists is charged whatever the limit; then nothing more fits. */
        charge_adopt(&three, b, 50);
        ck_assert_uint_eq(users.n_bytes, 150);
        charge_drop(&two);
        ck_assert_uint_eq(users.n_bytes, 110);
        ck_assert_int_eq(charge_take(&two, a, 0), CHARGE_E_LIMIT);
        charge_drop(&three);
        charge_drop(&three);
        ck_assert_uint_eq(users.n_bytes, 60);
        ck_assert_uint_eq(users.n_bytes_most, 150);
        ck_assert_int_eq(charge_take(&two, a, 40), 0);
        charge_drop(&one);
        charge_drop(&two);
        ck_assert_uint_eq(users.n_bytes, 0);
        user_unref(a);
        user_unref(b);
        users_deinit(&users);
}
END_TEST

START_TEST(test_a_charge_keeps_its_user)
{
        struct users users;
        struct user *a;
        struct charge charge = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(charge_take(&charge, a, 10), 0);
        user_unref(a);
        ck_assert_ptr_nonnull(users.by_uid);
        charge_drop(&charge);
        ck_assert_ptr_null(users.by_uid);
        users_deinit(&users);
}
END_TEST

START_TEST(test_a_leak_is_noticed)
{
        struct users users;
        struct user *a;
        struct charge charge = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(charge_take(&charge, a, 10), 0);
        users_deinit(&users);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("quota");
        TCase *tcase = tcase_create("quota");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, test_one_user_per_uid);
        tcase_add_test(tcase, test_charges_add_up);
        tcase_add_test(tcase, test_a_charge_keeps_its_user);
        tcase_add_test_raise_signal(tcase, test_a_leak_is_noticed, SIGABRT);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
