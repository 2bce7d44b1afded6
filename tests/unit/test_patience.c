/* layer: base */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "tensord/patience.h"

/* Messages that it sleeps for after polling in vain once more. */
static unsigned rests(struct td_patience *patience)
{
        unsigned n = 0;

        ck_assert(td_patience_may_poll(patience));
        td_patience_polled(patience, true);
        for (; !td_patience_may_poll(patience); n++)
                td_patience_rest(patience);
        return n;
}

START_TEST(some_in_vain_are_borne)
{
        struct td_patience patience = { 0 };

        for (unsigned i = 1; i < TD_PATIENCE_VAIN; i++)
                ck_assert_uint_eq(rests(&patience), 0);
        ck_assert_uint_eq(rests(&patience), TD_PATIENCE_REST);
}
END_TEST

START_TEST(each_rest_is_twice_as_long)
{
        struct td_patience patience = { .n_vain = TD_PATIENCE_VAIN };

        for (unsigned n = TD_PATIENCE_REST; n < TD_PATIENCE_REST_MAX; n *= 2)
                ck_assert_uint_eq(rests(&patience), n);
        ck_assert_uint_eq(rests(&patience), TD_PATIENCE_REST_MAX);
        ck_assert_uint_eq(rests(&patience), TD_PATIENCE_REST_MAX);
}
END_TEST

START_TEST(one_answer_makes_good)
{
        struct td_patience patience = { .n_vain = 100, .n_last = TD_PATIENCE_REST_MAX };

        td_patience_polled(&patience, false);
        for (unsigned i = 1; i < TD_PATIENCE_VAIN; i++)
                ck_assert_uint_eq(rests(&patience), 0);
        ck_assert_uint_eq(rests(&patience), TD_PATIENCE_REST);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("patience");
        TCase *tcase = tcase_create("patience");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, some_in_vain_are_borne);
        tcase_add_test(tcase, each_rest_is_twice_as_long);
        tcase_add_test(tcase, one_answer_makes_good);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
