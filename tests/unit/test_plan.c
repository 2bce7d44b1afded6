/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Plans without loops: outputs of every origin, views, memory by lifetime, refusals, stopping,
 * cost; and the same plan on two threads.
 */
#include "compute/plan/plan.h"

#include <pthread.h>

#include "plan_kit.h"

START_TEST(one_operation)
{
        static const double a[] = { 1, 2, 3, 4, 5, 6 };
        static const int64_t b[] = { 10, 20, 30 };
        struct desc descs[] = {
                { .type = { TD_FLOAT64, 2, { 2, 3 } }, .strides = { 8, 16 } }, /* Fortran order */
                { .type = { TD_INT64, 1, { 3 } }, .strides = { -8 }, .offset = 16 },
        };
        const void *inputs[] = { a, b };
        struct kit kit;
        struct blk p;
        uint32_t sum;

        blk_init(&p, 2);
        sum = blk_two(&p, TD_OP_ADD, 0, 1);
        kit_do(&kit, &p, descs, inputs, 1, &sum);
        ck_assert_uint_eq(plan_n_outputs(kit.plan), 1);
        ck_assert(td_type_same(&plan_output(kit.plan, 0)->type,
                               &(struct td_type){ TD_FLOAT64, 2, { 2, 3 } }));
        ck_assert(desc_is_f(plan_output(kit.plan, 0)));
        ck_doubles(kit.outputs[0], 6, DOUBLES(31, 32, 23, 24, 15, 16));
        kit_deinit(&kit);
}
END_TEST

START_TEST(an_output_needs_no_copy)
{
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 1000)) };
        struct td_attrs shape = attrs_shape(2, 10, -1);
        uint32_t outputs[2];
        struct kit kit;
        struct blk p;

        blk_init(&p, 1);
        outputs[0] = blk_one(&p, TD_OP_EXP, 0);
        outputs[1] = blk_with(&p, TD_OP_RESHAPE, shape, 1, blk_one(&p, TD_OP_NEGATIVE, outputs[0]));
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 2, outputs), 0);
        ck_assert_uint_lt(plan_n_scratch(kit.plan), 8000);
        kit_deinit(&kit);
}
END_TEST

START_TEST(outputs_of_every_origin)
{
        static const int64_t a[] = { 1, 2, 3, 4, 5, 6 };
        struct desc descs[] = { dense(type_of(TD_INT64, 2, 2, 3)) };
        const void *inputs[] = { a };
        uint32_t outputs[10], fresh, turned;
        struct kit kit;
        struct blk p;

        blk_init(&p, 1);
        turned = blk_with(&p, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, 0);
        fresh = blk_one(&p, TD_OP_NEGATIVE, 0);
        outputs[0] = 0;      /* an input */
        outputs[1] = turned; /* a view of an input */
        outputs[2] = fresh;  /* the result of a node, and again */
        outputs[3] = fresh;
        /* a view of one that is an output already */
        outputs[4] = blk_with(&p, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, fresh);
        /* the same elements, which need a copy */
        outputs[5] = blk_with(&p, TD_OP_RESHAPE, attrs_shape(1, 6), 1, turned);
        /* and do not */
        outputs[6] = blk_with(&p, TD_OP_RESHAPE, attrs_shape(1, -1), 1, fresh);
        outputs[7] = blk_with(&p, TD_OP_SLICE, attrs_slice(5, 3, -2), 1, outputs[6]);
        outputs[8] = blk_with(&p, TD_OP_BROADCAST_TO, attrs_shape(2, 2, 3), 1, outputs[7]);
        outputs[9] = blk_one(&p, TD_OP_NEGATIVE, outputs[8]);
        kit_do(&kit, &p, descs, inputs, 10, outputs);
        ck_ints(kit.outputs[0], 6, a);
        ck_ints(kit.outputs[1], 6, a); /* in the same order */
        ck_assert(desc_is_f(plan_output(kit.plan, 1)));
        ck_ints(kit.outputs[2], 6, INTS(-1, -2, -3, -4, -5, -6));
        ck_ints(kit.outputs[3], 6, INTS(-1, -2, -3, -4, -5, -6));
        ck_ints(kit.outputs[4], 6, INTS(-1, -2, -3, -4, -5, -6));
        ck_ints(kit.outputs[5], 6, INTS(1, 4, 2, 5, 3, 6));
        ck_ints(kit.outputs[6], 6, INTS(-1, -2, -3, -4, -5, -6));
        ck_ints(kit.outputs[7], 3, INTS(-6, -4, -2));
        ck_ints(kit.outputs[8], 6, INTS(-6, -4, -2, -6, -4, -2));
        ck_ints(kit.outputs[9], 6, INTS(6, 4, 2, 6, 4, 2));
        kit_deinit(&kit);
}
END_TEST

/* A chain over Fortran order lies in Fortran order, and a transposed result needs no copy. */
START_TEST(the_order_of_axes_is_kept)
{
        static const double a[] = { 1, 2, 3, 4, 5, 6 }, b[] = { 10, 20, 30, 40, 50, 60 };
        struct desc descs[2];
        const void *inputs[] = { a, b };
        struct kit kit;
        struct blk p;
        uint32_t outputs[2];

        desc_init_f(&descs[0], &(struct td_type){ TD_FLOAT64, 2, { 2, 3 } });
        desc_init_c(&descs[1], &descs[0].type);
        blk_init(&p, 2);
        outputs[0] = blk_one(&p, TD_OP_NEGATIVE, blk_two(&p, TD_OP_ADD, 0, 0));
        kit_do(&kit, &p, descs, inputs, 1, outputs);
        ck_assert(desc_is_f(plan_output(kit.plan, 0)));
        ck_doubles(kit.outputs[0], 6, DOUBLES(-2, -4, -6, -8, -10, -12));
        kit_deinit(&kit);

        outputs[0] = blk_with(&p, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, outputs[0]);
        kit_do(&kit, &p, descs, inputs, 1, outputs);
        ck_assert(desc_is_c(plan_output(kit.plan, 0)));
        ck_assert_uint_eq(plan_n_scratch(kit.plan), 0);
        ck_doubles(kit.outputs[0], 6, DOUBLES(-2, -4, -6, -8, -10, -12));
        kit_deinit(&kit);

        /* what is stored in two orders is stored by two regions */
        blk_init(&p, 2);
        outputs[0] = blk_two(&p, TD_OP_MULTIPLY, 0, 0);
        outputs[1] = blk_two(&p, TD_OP_ADD, outputs[0], 1);
        kit_do(&kit, &p, descs, inputs, 2, outputs);
        ck_assert(desc_is_f(plan_output(kit.plan, 0)) && desc_is_c(plan_output(kit.plan, 1)));
        ck_doubles(kit.outputs[0], 6, DOUBLES(1, 4, 9, 16, 25, 36));
        ck_doubles(kit.outputs[1], 6, DOUBLES(11, 29, 55, 44, 66, 96));
        kit_deinit(&kit);
}
END_TEST

START_TEST(views_of_views)
{
        static const double a[] = { 1, 2, 3, 4, 5, 6 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 6)) };
        const void *inputs[] = { a };
        struct kit kit;
        struct blk p;
        uint32_t v;

        blk_init(&p, 1);
        v = blk_one(&p, TD_OP_NEGATIVE, 0);
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(2, 3, 2), 1, v);
        v = blk_with(&p, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, v);
        v = blk_with(&p, TD_OP_BROADCAST_TO, attrs_shape(3, 2, 2, 3), 1, v);
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(1, 12), 1, v);
        v = blk_with(&p, TD_OP_SLICE, attrs_slice(11, 4, -3), 1, v);
        v = blk_two(&p, TD_OP_MULTIPLY, v, v);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_doubles(kit.outputs[0], 4, DOUBLES(36, 25, 36, 25));
        kit_deinit(&kit);
}
END_TEST

START_TEST(dead_nodes_leave_nothing)
{
        static const double a[] = { 0, 0, 0, 0 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 2, 2)) };
        const void *inputs[] = { a };
        struct kit kit;
        struct blk p;
        uint32_t v;

        blk_init(&p, 1);
        v = blk_two(&p, TD_OP_SOLVE, 0, 0); /* would be singular */
        blk_one(&p, TD_OP_EXP, v);
        v = blk_one(&p, TD_OP_EXP, 0);
        blk_one(&p, TD_OP_EXP, v);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_doubles(kit.outputs[0], 4, DOUBLES(1, 1, 1, 1));
        ck_assert_uint_lt(plan_n_scratch(kit.plan), 32);
        kit_deinit(&kit);
}
END_TEST

START_TEST(nothing_and_scalars)
{
        static const double x = 5;
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 0, 3)),
                                dense(type_of(TD_FLOAT64, 0)) };
        const void *inputs[] = { NULL, &x };
        uint32_t outputs[5];
        struct kit kit;
        struct blk p;

        descs[0].strides[0] = INT64_MIN;
        descs[0].strides[1] = INT64_MAX;
        blk_init(&p, 2);
        outputs[0] = blk_two(&p, TD_OP_ADD, 0, 1);
        outputs[1] = blk_with(&p, TD_OP_SUM, attrs_axes(1, 0), 1, outputs[0]);
        outputs[2] = blk_two(&p, TD_OP_MULTIPLY, 1, 1);
        outputs[3] = 0;
        outputs[4] = 1;
        kit_do(&kit, &p, descs, inputs, 5, outputs);
        ck_assert_int_eq(desc_n_bytes(plan_output(kit.plan, 0)), 0);
        ck_doubles(kit.outputs[1], 3, DOUBLES(0, 0, 0));
        ck_doubles(kit.outputs[2], 1, DOUBLES(25));
        ck_doubles(kit.outputs[4], 1, DOUBLES(5));
        kit_deinit(&kit);
        /* a program that asks for nothing */
        kit_do(&kit, &p, descs, inputs, 0, outputs);
        ck_assert_uint_eq(plan_n_outputs(kit.plan), 0);
        kit_deinit(&kit);
}
END_TEST

START_TEST(creation_needs_no_input)
{
        uint32_t outputs[2];
        struct kit kit;
        struct blk p;

        blk_init(&p, 0);
        outputs[0] = blk_with(&p, TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, 4, 1), TD_FLOAT64), 0);
        outputs[1] = blk_two(&p, TD_OP_ADD, outputs[0],
                             blk_with(&p, TD_OP_ONES, attrs_dtype(attrs_shape(1, 4), TD_INT64), 0));
        kit_do(&kit, &p, NULL, NULL, 2, outputs);
        ck_doubles(kit.outputs[0], 4, DOUBLES(0, 1, 2, 3));
        ck_doubles(kit.outputs[1], 4, DOUBLES(1, 2, 3, 4));
        kit_deinit(&kit);
}
END_TEST

START_TEST(a_chain_needs_two_buffers)
{
        static const double a[4096];
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 4096)) };
        const void *inputs[] = { a };
        struct kit kit;
        struct blk p;
        uint32_t v = 0;

        blk_init(&p, 1);
        for (int i = 0; i < 120; i++) /* more slots than the stack's table has */
                v = blk_two(&p, TD_OP_ADD, v,
                            blk_with(&p, TD_OP_ONES, attrs_dtype(attrs_shape(0), TD_FLOAT64), 0));
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_assert_uint_lt(plan_n_scratch(kit.plan), 2 * sizeof(a) + sizeof(a) / 2);
        ck_doubles(kit.outputs[0], 2, DOUBLES(120, 120));
        ck_assert_double_eq(((double *)kit.outputs[0])[4095], 120);
        kit_deinit(&kit);
}
END_TEST

START_TEST(a_late_reader_keeps_its_buffer)
{
        static const double a[] = { 1, 2 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 2)) };
        const void *inputs[] = { a };
        struct kit kit;
        struct blk p;
        uint32_t early, v;

        blk_init(&p, 1);
        early = v = blk_two(&p, TD_OP_ADD, 0, 0);
        for (int i = 0; i < 10; i++)
                v = blk_two(&p, TD_OP_ADD, v, 0);
        v = blk_two(&p, TD_OP_SUBTRACT, v, early);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_doubles(kit.outputs[0], 2, DOUBLES(10, 20));
        kit_deinit(&kit);
}
END_TEST

START_TEST(refusals_name_the_node)
{
        static const double singular[] = { 1, 2, 2, 4 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 2, 2)) };
        const void *inputs[] = { singular };
        struct kit kit;
        struct blk p;
        uint32_t v;

        blk_init(&p, 1);
        v = blk_one(&p, TD_OP_NEGATIVE, 0);
        v = blk_two(&p, TD_OP_SOLVE, v, 0);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
        ck_assert_int_eq(kit_run(&kit, inputs), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.code, TD_E_SINGULAR);
        ck_assert_int_eq(kit.refusal.node, 1);
        ck_assert_int_eq(strncmp(kit.refusal.message, "solve: ", 7), 0);
        ck_assert_int_ne(strncmp(kit.refusal.message, "solve: solve", 12), 0);
        kit_deinit(&kit);

        blk_with(&p, TD_OP_SUM, attrs_axes(1, 5), 1, v);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.code, TD_E_BAD_AXIS);
        ck_assert_int_eq(kit.refusal.node, 2);
        ck_assert_ptr_null(kit.plan);
}
END_TEST

START_TEST(too_much_in_all)
{
        struct desc descs[7];
        uint32_t v[6];
        struct kit kit;
        struct blk p;

        blk_init(&p, 7);
        descs[6] = dense(type_of(TD_FLOAT64, 2, 1, 1 << 29));
        for (uint32_t i = 0; i < 6; i++) {
                descs[i] = dense(type_of(TD_FLOAT64, 2, 1 << 30, 1));
                v[i] = blk_two(&p, TD_OP_MATMUL, i, 6);
        }
        for (int i = 1; i < 6; i++)
                v[0] = blk_two(&p, TD_OP_ADD, v[0], v[i]);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, v), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.code, TD_E_MEMORY_LIMIT);
}
END_TEST

static bool stop_after(void *ctx)
{
        return --*(int *)ctx < 0;
}

START_TEST(stops_between_steps)
{
        static const double a[] = { 1, 2, 3, 4 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 2, 2)) };
        const void *inputs[] = { a };
        int patience = 1;
        struct kit kit;
        struct blk p;
        uint32_t v = 0;

        blk_init(&p, 1);
        for (int i = 0; i < 5; i++)
                v = blk_two(&p, TD_OP_MATMUL, v, 0);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
        kit.run = (struct run){ .should_stop = stop_after, .ctx = &patience };
        ck_assert_int_eq(kit_run(&kit, inputs), PLAN_E_STOPPED);
        patience = 1000;
        ck_assert_int_eq(kit_run(&kit, inputs), 0);
        kit_deinit(&kit);
}
END_TEST

START_TEST(cost_adds_up)
{
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 100000)),
                                dense(type_of(TD_FLOAT64, 2, 40, 40)) };
        uint64_t one_ns;
        struct kit kit;
        struct blk p;
        uint32_t v;

        blk_init(&p, 2);
        v = blk_one(&p, TD_OP_EXP, 0);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
        one_ns = plan_cost_ns(kit.plan);
        ck_assert_uint_gt(one_ns, 1000);
        kit_deinit(&kit);
        v = blk_one(&p, TD_OP_EXP, v);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
        ck_assert_uint_gt(plan_cost_ns(kit.plan), one_ns * 3 / 2); /* one pass for both */
        ck_assert_uint_le(plan_cost_ns(kit.plan), 2 * one_ns);
        kit_deinit(&kit);
        v = blk_two(&p, TD_OP_SOLVE, 1, 1);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
        ck_assert_uint_eq(plan_cost_ns(kit.plan), UINT64_MAX);
        kit_deinit(&kit);
}
END_TEST

struct thread_run {
        struct kit kit; /* the plan is shared */
        double a[64];
        int r;
};

static void *run_thread(void *arg)
{
        struct thread_run *t = arg;
        const void *inputs[] = { t->a };

        for (int i = 0; i < 200 && t->r == 0; i++)
                t->r = kit_run(&t->kit, inputs);
        return NULL;
}

START_TEST(two_threads_share_a_plan)
{
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 64)) };
        struct thread_run runs[2] = { 0 };
        struct plan *plan;
        pthread_t threads[2];
        struct blk p;
        uint32_t v = 0;

        blk_init(&p, 1);
        for (int i = 0; i < 20; i++)
                v = blk_two(&p, TD_OP_ADD, v, 0);
        ck_assert_int_eq(kit_plan(&runs[0].kit, &p, descs, 1, &v), 0);
        plan = runs[0].kit.plan;
        runs[1].kit.plan = plan;
        for (int t = 0; t < 2; t++) {
                for (int i = 0; i < 64; i++)
                        runs[t].a[i] = t + 1;
                ck_assert_int_eq(pthread_create(&threads[t], NULL, run_thread, &runs[t]), 0);
        }
        for (int t = 0; t < 2; t++) {
                ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
                ck_assert_int_eq(runs[t].r, 0);
                ck_doubles(runs[t].kit.outputs[0], 2, DOUBLES(21.0 * (t + 1), 21.0 * (t + 1)));
                runs[t].kit.plan = NULL;
                kit_deinit(&runs[t].kit);
        }
        plan_free(plan);
}
END_TEST

/* Memory of an input is taken by what can't be stopped, so that must not take long. */
START_TEST(only_short_passes_take_memory)
{
        enum { LARGE = 1 << 26 };
        const struct desc desc = dense(type_of(TD_COMPLEX128, 1, LARGE));

        for (int i = 0; i < 2; i++) {
                const bool takes = true;
                struct td_refusal refusal;
                struct plan *plan = NULL;
                struct td_program program;
                struct blk p;
                uint32_t v = 0;

                blk_init(&p, 1);
                for (int k = 0; k < (i ? 40 : 1); k++)
                        v = blk_two(&p, i ? TD_OP_POW : TD_OP_ADD, v, 0);
                program = (struct td_program){ .block = blk_block(&p),
                                               .n_outputs = 1,
                                               .outputs = &v };
                ck_assert_int_eq(plan_new_taking(&plan, &program, &desc, &takes, &refusal), 0);
                ck_assert_int_eq(plan_taken(plan, 0), i ? -1 : 0);
                plan_free(plan);
        }
}
END_TEST

/* What an input might give at the end alone keeps no intermediate from giving it now. */
START_TEST(an_intermediate_gives_its_memory_first)
{
        const struct desc desc = dense(type_of(TD_FLOAT64, 1, 1 << 16));
        const struct td_attrs attrs = attrs_axes(1, 0);
        uint64_t n_scratch[2];

        for (int i = 0; i < 2; i++) {
                const bool takes = i;
                struct td_refusal refusal;
                struct plan *plan = NULL;
                struct td_program program;
                struct blk p;
                uint32_t v;

                blk_init(&p, 1);
                v = blk_with(&p, TD_OP_SORT, attrs, 1, 0);
                v = blk_two(&p, TD_OP_ADD, 0, v);
                v = blk_with(&p, TD_OP_SORT, attrs, 1, v);
                program = (struct td_program){ .block = blk_block(&p),
                                               .n_outputs = 1,
                                               .outputs = &v };
                ck_assert_int_eq(plan_new_taking(&plan, &program, &desc, &takes, &refusal), 0);
                n_scratch[i] = plan_n_scratch(plan);
                plan_free(plan);
        }
        ck_assert_uint_eq(n_scratch[1], n_scratch[0]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan");
        TCase *tcase = tcase_create("plan");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, one_operation);
        tcase_add_test(tcase, an_output_needs_no_copy);
        tcase_add_test(tcase, outputs_of_every_origin);
        tcase_add_test(tcase, the_order_of_axes_is_kept);
        tcase_add_test(tcase, views_of_views);
        tcase_add_test(tcase, dead_nodes_leave_nothing);
        tcase_add_test(tcase, nothing_and_scalars);
        tcase_add_test(tcase, creation_needs_no_input);
        tcase_add_test(tcase, a_chain_needs_two_buffers);
        tcase_add_test(tcase, a_late_reader_keeps_its_buffer);
        tcase_add_test(tcase, refusals_name_the_node);
        tcase_add_test(tcase, too_much_in_all);
        tcase_add_test(tcase, stops_between_steps);
        tcase_add_test(tcase, cost_adds_up);
        tcase_add_test(tcase, two_threads_share_a_plan);
        tcase_add_test(tcase, only_short_passes_take_memory);
        tcase_add_test(tcase, an_intermediate_gives_its_memory_first);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
