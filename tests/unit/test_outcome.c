/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include "store/outcome.h"

static struct op_id op(uint8_t value)
{
        struct op_id id = { .is_set = true };

        memset(id.bytes, value, sizeof(id.bytes));
        return id;
}

START_TEST(test_remembered_while_young_or_named)
{
        const uint8_t id[16] = { 1 }, zeros[16] = { 0 };
        struct op_id one = op(1), two = op(2), three = op(3);
        struct outcomes outcomes;
        struct outcome *a, *b, *c;
        uint64_t old = 1000 + TD_OUTCOME_MS + 1;

        outcomes_init(&outcomes);
        ck_assert_int_eq(outcomes_put(&outcomes, 5, &one, id, 1000, &a), 0);
        outcome_hold(a);
        ck_assert_int_eq(outcomes_put(&outcomes, 5, &two, NULL, 1000, &b), 0);
        ck_assert_int_eq(outcomes_put(&outcomes, 5, &three, id, 2000, &c), 0);
        ck_assert_ptr_eq(outcomes_find(&outcomes, 5, &one, 1000), a);
        ck_assert_ptr_null(outcomes_find(&outcomes, 6, &one, 1000));
        ck_assert_ptr_eq(outcomes_find(&outcomes, 5, &two, old - 1), b);
        ck_assert_mem_eq(b->tensor_id, zeros, 16);
        ck_assert_ptr_null(outcomes_find(&outcomes, 5, &two, old));
        ck_assert_ptr_eq(outcomes_find(&outcomes, 5, &one, old), a);

        outcomes_sweep(&outcomes, old);
        ck_assert_uint_eq(outcomes.n_outcomes, 2);
        ck_assert_ptr_null(outcomes_find(&outcomes, 5, &two, 1000));
        ck_assert_ptr_eq(outcomes_find(&outcomes, 5, &three, old), c);
        ck_assert_mem_eq(a->tensor_id, id, 16);
        outcome_release(&outcomes, a);
        ck_assert_uint_eq(outcomes.n_outcomes, 1);

        outcome_hold(c);
        outcome_release(&outcomes, c); /* still young */
        ck_assert_ptr_eq(outcomes_find(&outcomes, 5, &three, old), c);
        outcome_cancel(&outcomes, c);
        ck_assert_uint_eq(outcomes.n_outcomes, 0);
        ck_assert_ptr_null(outcome_hold(NULL));
        ck_assert_ptr_null(outcome_release(&outcomes, NULL));
        ck_assert_int_eq(outcomes_put(&outcomes, 5, &one, id, 1000, &a), 0);
        ck_assert_int_eq(outcomes_put(&outcomes, 5, &one, NULL, 1001, &b), 0);
        ck_assert_ptr_eq(a, b);
        ck_assert_uint_eq(b->time_ms, 1001);
        outcomes_deinit(&outcomes);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("outcome");
        TCase *tcase = tcase_create("outcome");

        tcase_add_test(tcase, test_remembered_while_young_or_named);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
