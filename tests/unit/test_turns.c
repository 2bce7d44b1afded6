/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/turns.h"

#include <check.h>
#include <stdlib.h>

#define N 4

static struct turns turns;
static struct turns_user *greedy, *modest;
static struct list links[N];

static void setup(void)
{
        turns_init(&turns);
        for (int i = 0; i < N; i++)
                list_init(&links[i]);
        ck_assert_int_eq(turns_join(&turns, 1, &greedy), 0);
        ck_assert_int_eq(turns_join(&turns, 2, &modest), 0);
}

static void teardown(void)
{
        turns_leave(greedy);
        turns_leave(modest);
        turns_deinit(&turns);
}

START_TEST(test_nobody)
{
        ck_assert(turns_is_empty(&turns));
        ck_assert_ptr_null(turns_next(&turns));
}
END_TEST

START_TEST(test_a_user_has_one_line)
{
        struct turns_user *again;

        ck_assert_int_eq(turns_join(&turns, 1, &again), 0);
        ck_assert_ptr_eq(again, greedy);
        turns_leave(again);
        turns_wait(greedy, &links[0]);
        turns_wait(greedy, &links[1]);
        ck_assert_ptr_eq(turns_next(&turns), &links[0]);
        turns_wait(greedy, &links[0]);
        ck_assert_ptr_eq(turns_next(&turns), &links[1]);
        ck_assert_ptr_eq(turns_next(&turns), &links[0]);
        ck_assert(turns_is_empty(&turns));
}
END_TEST

START_TEST(test_users_take_turns)
{
        for (int i = 0; i < 3; i++)
                turns_wait(greedy, &links[i]);
        turns_wait(modest, &links[3]);
        ck_assert_ptr_eq(turns_next(&turns), &links[0]);
        turns_wait(greedy, &links[0]);
        ck_assert_ptr_eq(turns_next(&turns), &links[3]);
        turns_wait(modest, &links[3]);
        ck_assert_ptr_eq(turns_next(&turns), &links[1]);
        ck_assert_ptr_eq(turns_next(&turns), &links[3]);
        ck_assert_ptr_eq(turns_next(&turns), &links[2]);
        ck_assert_ptr_eq(turns_next(&turns), &links[0]);
        ck_assert_ptr_null(turns_next(&turns));
}
END_TEST

START_TEST(test_who_left_is_passed_over)
{
        turns_wait(greedy, &links[0]);
        turns_wait(modest, &links[1]);
        list_unlink(&links[0]);
        ck_assert(!turns_is_empty(&turns));
        ck_assert_ptr_eq(turns_next(&turns), &links[1]);
        ck_assert(turns_is_empty(&turns));
        /* and stands in line as anybody when there is something again */
        turns_wait(greedy, &links[0]);
        ck_assert_ptr_eq(turns_next(&turns), &links[0]);
}
END_TEST

START_TEST(test_a_share_without_line)
{
        turns_begin_round(&turns);
        ck_assert(turns_may_go(greedy));
        turns_spend(greedy, TURNS_SHARE_NS - 1);
        ck_assert(turns_may_go(greedy));
        turns_spend(greedy, 1);
        ck_assert(!turns_may_go(greedy));
        ck_assert(turns_may_go(modest));
        turns_begin_round(&turns);
        ck_assert(turns_may_go(greedy));
        turns_wait(greedy, &links[0]);
        ck_assert(!turns_may_go(greedy));
        ck_assert(turns_may_go(modest));
        ck_assert_ptr_eq(turns_next(&turns), &links[0]);
        ck_assert(turns_may_go(greedy));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("turns");
        TCase *tcase = tcase_create("turns");
        SRunner *runner;
        int n_failed;

        tcase_add_checked_fixture(tcase, setup, teardown);
        tcase_add_test(tcase, test_nobody);
        tcase_add_test(tcase, test_a_user_has_one_line);
        tcase_add_test(tcase, test_users_take_turns);
        tcase_add_test(tcase, test_who_left_is_passed_over);
        tcase_add_test(tcase, test_a_share_without_line);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
