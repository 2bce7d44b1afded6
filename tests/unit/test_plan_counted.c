/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "plan_kit.h"

/* Both halves; the outputs get memory of just the size that was counted. */
static void run_counted(struct kit *kit, const void *const *inputs, int64_t *counts)
{
        uint64_t n_scratch = plan_n_scratch(kit->plan);
        void *scratch = kit_alloc(n_scratch), *moved;
        int r;

        for (uint32_t i = 0; i < plan_n_outputs(kit->plan); i++)
                if (td_type_is_known(&plan_output(kit->plan, i)->type))
                        kit->outputs[i] = kit_alloc(
                                (uint64_t)desc_n_bytes(plan_output(kit->plan, i)));
        r = plan_run(kit->plan, &kit->run, inputs, kit->outputs, scratch, &kit->refusal);
        ck_assert_int_eq(r, PLAN_E_COUNTED);
        plan_counts(kit->plan, scratch, counts);
        for (uint32_t i = 0; i < plan_n_outputs(kit->plan); i++) {
                struct desc desc;

                if (kit->outputs[i])
                        continue;
                plan_counted_output(kit->plan, i, counts, &desc);
                ck_assert(td_type_is_known(&desc.type));
                kit->outputs[i] = kit_alloc((uint64_t)desc_n_bytes(&desc));
        }
        moved = kit_alloc(n_scratch);
        memcpy(moved, scratch, n_scratch);
        memset(scratch, 0xff, n_scratch);
        free(scratch);
        r = plan_finish(kit->plan, &kit->run, inputs, kit->outputs, moved, counts);
        ck_assert_int_eq(r, 0);
        free(moved);
}

/* The mask and what it masks are intermediates, other outputs are listed beside and twice. */
START_TEST(intermediates_live_to_the_end)
{
        const double x[] = { 3, -1, 4, -1, 5, -9 };
        const double want[] = { 9, 16, 25 };
        const struct desc desc = dense(type_of(TD_FLOAT64, 1, 6));
        struct kit kit;
        struct blk b;
        uint32_t square, zero, mask, part, index, loud, outputs[6];
        int64_t counts[2];

        blk_init(&b, 1);
        square = blk_two(&b, TD_OP_MULTIPLY, 0, 0);
        zero = blk_with(&b, TD_OP_ZEROS, attrs_dtype(attrs_shape(0), TD_FLOAT64), 0);
        mask = blk_two(&b, TD_OP_GREATER, 0, zero);
        part = blk_two(&b, TD_OP_MASK, square, mask);
        index = blk_one(&b, TD_OP_NONZERO, mask);
        loud = blk_two(&b, TD_OP_ADD, blk_two(&b, TD_OP_ADD, 0, 0), 0);
        outputs[0] = part;
        outputs[1] = loud;
        outputs[2] = index;
        outputs[3] = part;
        outputs[4] = index;
        outputs[5] = mask;
        ck_assert_int_eq(kit_plan(&kit, &b, &desc, 6, outputs), 0);
        ck_assert_uint_eq(plan_n_counts(kit.plan), 2);
        run_counted(&kit, (const void *[]){ x }, counts);
        ck_assert_int_eq(counts[0], 3);
        ck_assert_int_eq(counts[1], 3);
        ck_assert_mem_eq(kit.outputs[0], want, sizeof(want));
        ck_assert_mem_eq(kit.outputs[3], want, sizeof(want));
        ck_assert_mem_eq(kit.outputs[2], ((int64_t[]){ 0, 2, 4 }), 24);
        ck_assert_mem_eq(kit.outputs[4], kit.outputs[2], 24);
        ck_assert_mem_eq(kit.outputs[5], ((uint8_t[]){ 1, 0, 1, 0, 1, 0 }), 6);
        ck_assert_double_eq(((double *)kit.outputs[1])[5], -27);
        kit_deinit(&kit);
}
END_TEST

/* What a loop uses beside a counted step does not shorten the lives of what that needs. */
START_TEST(loops_leave_it_alone)
{
        const double x[] = { 1, 0, 2 };
        const struct desc desc = dense(type_of(TD_FLOAT64, 1, 3));
        struct kit kit;
        struct blk b, body;
        struct td_loop loop = { .n_steps = 3, .n_captures = 1, .n_results = 1 };
        uint32_t twice, found, looped, results[1], outputs[2];
        int64_t counts[1];

        blk_init(&body, 3);
        results[0] = blk_two(&body, TD_OP_ADD, 2, 0);
        loop.body = blk_block(&body);
        loop.results = results;
        blk_init(&b, 1);
        twice = blk_two(&b, TD_OP_ADD, 0, 0);
        found = blk_two(
                &b, TD_OP_MASK, twice,
                blk_with(&b, TD_OP_ASTYPE, attrs_dtype((struct td_attrs){ 0 }, TD_BOOL), 1, 0));
        looped = blk_loop(&b, &loop, 2, twice, 0);
        outputs[0] = found;
        outputs[1] = looped;
        ck_assert_int_eq(kit_plan(&kit, &b, &desc, 2, outputs), 0);
        run_counted(&kit, (const void *[]){ x }, counts);
        ck_assert_int_eq(counts[0], 2);
        ck_assert_mem_eq(kit.outputs[0], ((double[]){ 2, 4 }), 16);
        ck_assert_mem_eq(kit.outputs[1], ((double[]){ 7, 0, 14 }), 24);
        kit_deinit(&kit);
}
END_TEST

START_TEST(such_results_are_outputs_only)
{
        const struct desc desc = dense(type_of(TD_BOOL, 1, 6));
        struct td_loop loop = { .n_steps = 3, .n_captures = 0, .n_results = 1 };
        uint32_t found, results[1], outputs[1];
        struct blk b, body;
        struct kit kit;

        blk_init(&b, 1);
        found = blk_one(&b, TD_OP_NONZERO, 0);
        outputs[0] = blk_two(&b, TD_OP_ADD, found, found);
        ck_assert_int_eq(kit_plan(&kit, &b, &desc, 1, outputs), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.code, TD_E_BAD_PROGRAM);
        ck_assert_int_eq(kit.refusal.node, 1);

        blk_init(&body, 2);
        blk_one(&body, TD_OP_NONZERO, 1);
        results[0] = 1;
        loop.body = blk_block(&body);
        loop.results = results;
        blk_init(&b, 1);
        outputs[0] = blk_loop(&b, &loop, 1, 0);
        ck_assert_int_eq(kit_plan(&kit, &b, &desc, 1, outputs), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.code, TD_E_BAD_PROGRAM);
        ck_assert_int_eq(kit.refusal.node, 0);
}
END_TEST

static bool stop(void *ctx)
{
        (void)ctx;
        return true;
}

START_TEST(the_second_half_stops)
{
        const struct desc desc = dense(type_of(TD_BOOL, 1, 100000));
        uint32_t outputs[1];
        struct kit kit;
        struct blk b;
        void *scratch, *x = kit_alloc(100000);
        int64_t counts[1];

        blk_init(&b, 1);
        outputs[0] = blk_one(&b, TD_OP_NONZERO, 0);
        ck_assert_int_eq(kit_plan(&kit, &b, &desc, 1, outputs), 0);
        scratch = kit_alloc(plan_n_scratch(kit.plan));
        ck_assert_int_eq(plan_run(kit.plan, &kit.run, (const void *[]){ x }, kit.outputs, scratch,
                                  &kit.refusal),
                         PLAN_E_COUNTED);
        plan_counts(kit.plan, scratch, counts);
        ck_assert_int_eq(counts[0], 100000);
        kit.outputs[0] = kit_alloc(800000);
        kit.run.should_stop = stop;
        ck_assert_int_eq(plan_finish(kit.plan, &kit.run, (const void *[]){ x }, kit.outputs,
                                     scratch, counts),
                         PLAN_E_STOPPED);
        free(scratch);
        free(x);
        kit_deinit(&kit);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_counted");
        TCase *tests = tcase_create("plan_counted");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tests, intermediates_live_to_the_end);
        tcase_add_test(tests, loops_leave_it_alone);
        tcase_add_test(tests, such_results_are_outputs_only);
        tcase_add_test(tests, the_second_half_stops);
        suite_add_tcase(suite, tests);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
