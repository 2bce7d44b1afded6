/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Loops: the two examples that everybody computes, carried values that change places, watch lists,
 * loops in loops, and random programs against an interpreter that shares no memory between values.
 */
#include "compute/plan/plan.h"

#include <stdatomic.h>

#include "compute/plan/plan_code.h"
#include "plan_kit.h"

/* ---- gradient descent and heat ---- */

START_TEST(gradient_descent)
{
        static const double x[] = { 1, 0, 1, 1, 1, 2, 1, 3, 1, 4 }, y[] = { 1, 3, 5, 7, 9 };
        static const double rate = 0.05 * 2 / 5, theta[] = { 0, 0 };
        struct desc descs[] = {
                dense(type_of(TD_FLOAT64, 2, 5, 2)),
                dense(type_of(TD_FLOAT64, 1, 5)),
                dense(type_of(TD_FLOAT64, 0)),
                dense(type_of(TD_FLOAT64, 1, 2)),
        };
        const void *inputs[] = { x, y, &rate, theta };
        int64_t at[] = { 1, 2, 2000 };
        uint32_t result, outputs[2], t, v;
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 5); /* x, y, rate, step, theta */
        v = blk_two(&body, TD_OP_SUBTRACT, blk_two(&body, TD_OP_MATMUL, 0, 4), 1);
        t = blk_with(&body, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, 0);
        v = blk_two(&body, TD_OP_MULTIPLY, 2, blk_two(&body, TD_OP_MATMUL, t, v));
        result = blk_two(&body, TD_OP_SUBTRACT, 4, v);
        loop = (struct td_loop){
                .n_steps = 2000,
                .n_captures = 3,
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
                .n_watch = 1,
                .watch = &result,
                .n_at = 3,
                .at = at,
        };
        blk_init(&p, 4);
        outputs[0] = blk_loop(&p, &loop, 4, 0, 1, 2, 3);
        outputs[1] = outputs[0] + 1;
        kit_do(&kit, &p, descs, inputs, 2, outputs);
        for (int i = 0; i < 2; i++) {
                static const double step_1[] = { 0.5, 1.4 }, step_2[] = { 0.67, 1.86 };
                const double *stack = kit.outputs[1];

                ck_assert_double_eq_tol(((double *)kit.outputs[0])[i], i + 1, 1e-12);
                ck_assert_double_eq_tol(stack[i], step_1[i], 1e-15);
                ck_assert_double_eq_tol(stack[2 + i], step_2[i], 1e-15);
                ck_assert_double_eq(stack[4 + i], ((double *)kit.outputs[0])[i]);
        }
        kit_deinit(&kit);
}
END_TEST

START_TEST(heat)
{
        static const double a[] = {
                1,   0, 0, 0, 0,   .25, .5,  .25, 0, 0, 0, .25, .5,
                .25, 0, 0, 0, .25, .5,  .25, 0,   0, 0, 0, 1,
        };
        static const double u[] = { 0, 0, 0, 0, 100 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 5, 5)),
                                dense(type_of(TD_FLOAT64, 1, 5)) };
        const void *inputs[] = { a, u };
        uint32_t result, outputs[2];
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 3);
        result = blk_two(&body, TD_OP_MATMUL, 0, 2);
        loop = (struct td_loop){
                .n_steps = 305,
                .n_captures = 1,
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
                .n_watch = 1,
                .watch = &result,
                .every = 10,
        };
        blk_init(&p, 2);
        outputs[1] = blk_loop(&p, &loop, 2, 0, 1);
        outputs[0] = outputs[1] + 1;
        kit_do(&kit, &p, descs, inputs, 2, outputs);
        ck_assert_int_eq(plan_output(kit.plan, 0)->type.shape[0], 30);
        ck_doubles(kit.outputs[0], 5,
                   DOUBLES(0, 16.26434326171875, 37.61138916015625, 66.21551513671875, 100));
        for (int i = 0; i < 5; i++)
                ck_assert_double_eq_tol(((double *)kit.outputs[1])[i], 25.0 * i, 1e-12);
        kit_deinit(&kit);
}
END_TEST

/* ---- what is carried ---- */

/*
 * A loop over two int64 scalars; results and watched values are numbers in the body: 0 a captured
 * value, 1 the step's number, 2 and 3 what is carried, 4 their sum, 5 and 6 sums of 2 and 3 with
 * the captured value.
 */
static void carry(int64_t n_steps, uint32_t r0, uint32_t r1, const int64_t *expected)
{
        static const int64_t values[] = { 7, 1, 2 };
        struct desc scalar = dense(type_of(TD_INT64, 0));
        struct desc descs[] = { scalar, scalar, scalar };
        const void *inputs[] = { &values[0], &values[1], &values[2] };
        uint32_t results[] = { r0, r1 }, outputs[3];
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 4);
        blk_two(&body, TD_OP_ADD, 2, 3);
        blk_two(&body, TD_OP_ADD, 2, 0);
        blk_two(&body, TD_OP_ADD, 3, 0);
        loop = (struct td_loop){
                .n_steps = n_steps,
                .n_captures = 1,
                .body = blk_block(&body),
                .n_results = 2,
                .results = results,
        };
        blk_init(&p, 3);
        outputs[0] = blk_loop(&p, &loop, 3, 0, 1, 2);
        outputs[1] = outputs[0] + 1;
        outputs[2] = blk_two(&p, TD_OP_SUBTRACT, outputs[0], outputs[1]);
        kit_do(&kit, &p, descs, inputs, 3, outputs);
        ck_ints(kit.outputs[0], 1, expected);
        ck_ints(kit.outputs[1], 1, expected + 1);
        ck_ints(kit.outputs[2], 1, INTS(expected[0] - expected[1]));
        kit_deinit(&kit);
}

START_TEST(carried_values_change_places)
{
        carry(5, 3, 4, INTS(13, 21)); /* Fibonacci */
        carry(4, 3, 2, INTS(1, 2));   /* exchanged, even and odd */
        carry(5, 3, 2, INTS(2, 1));
        carry(3, 4, 4, INTS(12, 12)); /* one result carried twice */
        carry(3, 2, 3, INTS(1, 2));   /* kept as they are */
        carry(3, 2, 4, INTS(1, 5));   /* one kept, one not */
        carry(3, 3, 3, INTS(2, 2));
        carry(3, 0, 5, INTS(7, 14)); /* a captured value */
        carry(6, 1, 4, INTS(5, 13)); /* the step's number */
        carry(1, 5, 6, INTS(8, 9));
        carry(1, 3, 2, INTS(2, 1));
        carry(0, 4, 1, INTS(1, 2)); /* no step */
}
END_TEST

/*
 * Two values, each computed from both: a turn is two passes that write where the next turn reads,
 * without a copy; and beside two buffers for each, one of which is the output, there is nothing.
 */
START_TEST(a_turn_copies_nothing)
{
        enum { N = 4096, STEPS = 7 };
        static double x[N], y[N];
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, N)),
                                dense(type_of(TD_FLOAT64, 1, N)) };
        const void *inputs[] = { x, y };
        const struct td_attrs flip = attrs_slice(N - 1, N, -1);
        uint32_t results[2], outputs[2];
        const struct loop *built = NULL;
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        for (int i = 0; i < N; i++) {
                x[i] = i % 7;
                y[i] = i % 5;
        }
        blk_init(&body, 3);
        results[0] = blk_two(&body, TD_OP_ADD, 1, blk_with(&body, TD_OP_SLICE, flip, 1, 2));
        results[1] = blk_two(&body, TD_OP_SUBTRACT, 1, 2);
        loop = (struct td_loop){
                .n_steps = STEPS, .body = blk_block(&body), .n_results = 2, .results = results
        };
        blk_init(&p, 2);
        outputs[0] = blk_loop(&p, &loop, 2, 0, 1);
        outputs[1] = outputs[0] + 1;
        kit_do(&kit, &p, descs, inputs, 2, outputs);
        for (uint32_t i = 0; i < kit.plan->code.n_instrs; i++)
                if (kit.plan->code.instrs[i].loop)
                        built = kit.plan->code.instrs[i].loop;
        ck_assert_ptr_nonnull(built);
        ck_assert_uint_eq(built->body.n_instrs, 2);
        ck_assert_uint_le(plan_n_scratch(kit.plan), 2 * sizeof(x) + 256);
        for (int step = 0; step < STEPS; step++) {
                static double next[2][N];

                for (int i = 0; i < N; i++) {
                        next[0][i] = x[i] + y[N - 1 - i];
                        next[1][i] = x[i] - y[i];
                }
                memcpy(x, next[0], sizeof(x));
                memcpy(y, next[1], sizeof(y));
        }
        ck_doubles(kit.outputs[0], N, x);
        ck_doubles(kit.outputs[1], N, y);
        kit_deinit(&kit);
}
END_TEST

START_TEST(carried_views)
{
        static const int64_t a[] = { 1, 2, 3, 4 };
        struct desc descs[] = { dense(type_of(TD_INT64, 1, 4)),
                                { .type = type_of(TD_INT64, 2, 2, 2) } };
        const void *inputs[] = { a, a };
        uint32_t results[2], outputs[2], v;
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        /* one is turned around, of the other the transposed negative is kept */
        blk_init(&body, 3);
        results[0] = blk_with(&body, TD_OP_SLICE, attrs_slice(3, 4, -1), 1, 1);
        v = blk_one(&body, TD_OP_NEGATIVE, 2);
        results[1] = blk_with(&body, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, v);
        loop = (struct td_loop){
                .n_steps = 3,
                .body = blk_block(&body),
                .n_results = 2,
                .results = results,
        };
        descs[1].strides[0] = 16;
        descs[1].strides[1] = 8;
        blk_init(&p, 2);
        outputs[0] = blk_loop(&p, &loop, 2, 0, 1);
        outputs[1] = outputs[0] + 1;
        kit_do(&kit, &p, descs, inputs, 2, outputs);
        ck_ints(kit.outputs[0], 4, INTS(4, 3, 2, 1));
        ck_ints(kit.outputs[1], 4, INTS(-1, -3, -2, -4));
        kit_deinit(&kit);
}
END_TEST

START_TEST(no_steps)
{
        static const double a[] = { 1, 2 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 2)) };
        const void *inputs[] = { a };
        uint32_t result, outputs[3];
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 2);
        result = blk_one(&body, TD_OP_EXP, 1);
        loop = (struct td_loop){
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
                .n_watch = 1,
                .watch = &result,
                .every = 3,
        };
        blk_init(&p, 1);
        outputs[0] = blk_loop(&p, &loop, 1, 0);
        outputs[1] = outputs[0] + 1;
        outputs[2] = blk_with(&p, TD_OP_SUM, attrs_axes(1, 0), 1, outputs[1]);
        kit_do(&kit, &p, descs, inputs, 3, outputs);
        ck_doubles(kit.outputs[0], 2, a);
        ck_assert(td_type_same(&plan_output(kit.plan, 1)->type,
                               &(struct td_type){ TD_FLOAT64, 2, { 0, 2 } }));
        ck_doubles(kit.outputs[2], 2, DOUBLES(0, 0));
        kit_deinit(&kit);
        /* more steps between watched ones than there are */
        loop.n_steps = 2;
        kit_do(&kit, &p, descs, inputs, 2, outputs);
        ck_assert_int_eq(plan_output(kit.plan, 1)->type.shape[0], 0);
        kit_deinit(&kit);
}
END_TEST

START_TEST(a_body_that_computes_nothing_is_not_run)
{
        static const double a = 3;
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 0)) };
        const void *inputs[] = { &a };
        uint32_t result = 1, output;
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 2);
        blk_one(&body, TD_OP_EXP, 1);
        loop = (struct td_loop){
                .n_steps = INT64_MAX,
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
        };
        blk_init(&p, 1);
        output = blk_loop(&p, &loop, 1, 0);
        kit_do(&kit, &p, descs, inputs, 1, &output);
        ck_doubles(kit.outputs[0], 1, &a);
        kit_deinit(&kit);
}
END_TEST

START_TEST(an_unread_stack_takes_no_memory)
{
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 8)) };
        uint32_t result, output;
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 2);
        result = blk_one(&body, TD_OP_NEGATIVE, 1);
        loop = (struct td_loop){
                .n_steps = 100000,
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
                .n_watch = 1,
                .watch = &result,
                .every = 1,
        };
        blk_init(&p, 1);
        output = blk_loop(&p, &loop, 1, 0);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        ck_assert_uint_lt(plan_n_scratch(kit.plan), 1000);
        kit_deinit(&kit);
        output++;
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        ck_assert_uint_lt(plan_n_scratch(kit.plan),
                          1000); /* the stack is written where it belongs */
        kit_deinit(&kit);
}
END_TEST

START_TEST(loops_in_loops)
{
        static const int64_t start = 0;
        struct desc descs[] = { dense(type_of(TD_INT64, 0)) };
        const void *inputs[] = { &start };
        uint32_t inner_result, outer_result, output, stacked[2];
        struct td_loop inner, outer;
        _Atomic uint64_t n_done = 0;
        struct kit kit;
        struct blk p, outer_body, inner_body;

        /* for i < 3: for j < 5: s += i * i * j, with the inner sums watched at every second j */
        blk_init(&inner_body, 3); /* i, j, s */
        inner_result = blk_two(&inner_body, TD_OP_MULTIPLY, 0, 0);
        inner_result = blk_two(&inner_body, TD_OP_MULTIPLY, inner_result, 1);
        inner_result = blk_two(&inner_body, TD_OP_ADD, inner_result, 2);
        inner = (struct td_loop){
                .n_steps = 5,
                .n_captures = 1,
                .body = blk_block(&inner_body),
                .n_results = 1,
                .results = &inner_result,
                .n_watch = 1,
                .watch = &inner_result,
                .every = 2,
        };
        blk_init(&outer_body, 2); /* i, s */
        outer_result = blk_loop(&outer_body, &inner, 2, 0, 1);
        stacked[0] = outer_result + 1;
        stacked[1] = 0;
        outer = (struct td_loop){
                .n_steps = 3,
                .body = blk_block(&outer_body),
                .n_results = 1,
                .results = &outer_result,
                .n_watch = 2,
                .watch = stacked,
                .every = 1,
        };
        blk_init(&p, 1);
        output = blk_loop(&p, &outer, 1, 0);
        kit_do(&kit, &p, descs, inputs, 3, (uint32_t[]){ output, output + 1, output + 2 });
        ck_ints(kit.outputs[0], 1, INTS(50));
        ck_assert(td_type_same(&plan_output(kit.plan, 1)->type,
                               &(struct td_type){ TD_INT64, 2, { 3, 2 } }));
        ck_ints(kit.outputs[1], 6, INTS(0, 0, 1, 6, 14, 34));
        ck_ints(kit.outputs[2], 3, INTS(0, 1, 2));

        kit.run.n_done = &n_done;
        ck_assert_int_eq(kit_run(&kit, inputs), 0);
        ck_assert_uint_eq(atomic_load(&n_done), plan_n_steps(kit.plan));
        ck_assert_uint_ge(plan_n_steps(kit.plan), 3 * 5);
        kit_deinit(&kit);
}
END_TEST

static bool stop_after(void *ctx)
{
        return --*(int64_t *)ctx < 0;
}

START_TEST(stops_and_costs)
{
        static const double a = 0;
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 0)) };
        const void *inputs[] = { &a };
        int64_t patience = 1000;
        uint32_t result, output;
        uint64_t some_ns;
        struct td_loop loop;
        struct kit kit;
        struct blk p, body;

        blk_init(&body, 2);
        result = blk_two(&body, TD_OP_ADD, 0, 1);
        loop = (struct td_loop){
                .n_steps = 1000,
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
        };
        blk_init(&p, 1);
        output = blk_loop(&p, &loop, 1, 0);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        some_ns = plan_cost_ns(kit.plan);
        kit_deinit(&kit);
        loop.n_steps = 1000000;
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        ck_assert_uint_gt(plan_cost_ns(kit.plan), 900 * some_ns);
        ck_assert_uint_lt(plan_cost_ns(kit.plan), 1001 * some_ns);
        kit_deinit(&kit);
        loop.n_steps = INT64_MAX;
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        ck_assert_uint_eq(plan_cost_ns(kit.plan), UINT64_MAX);
        ck_assert_uint_ge(plan_n_steps(kit.plan), INT64_MAX);
        kit.run = (struct run){ .should_stop = stop_after, .ctx = &patience };
        ck_assert_int_eq(kit_run(&kit, inputs), PLAN_E_STOPPED);
        kit_deinit(&kit);
}
END_TEST

static void ck_refused_at(const struct kit *kit, const char *place)
{
        ck_assert_msg(strncmp(kit->refusal.message, place, strlen(place)) == 0, "%s",
                      kit->refusal.message);
}

START_TEST(refusals_in_a_body_name_its_node)
{
        static const int64_t a[] = { 2, 1 };
        struct desc descs[] = { dense(type_of(TD_INT64, 1, 2)) };
        const void *inputs[] = { a };
        uint32_t result, outer_result, output;
        struct td_loop loop, outer;
        struct kit kit;
        struct blk p, outer_body, body;

        /* 3 ** (1 - step) is an integer for two steps */
        blk_init(&body, 2);
        result = blk_with(&body, TD_OP_ONES, attrs_dtype(attrs_shape(1, 2), TD_INT64), 0);
        result = blk_two(&body, TD_OP_SUBTRACT, result, 0);
        result = blk_two(&body, TD_OP_POW, 1, result);
        loop = (struct td_loop){
                .n_steps = 2,
                .body = blk_block(&body),
                .n_results = 1,
                .results = &result,
        };
        blk_init(&p, 1);
        output = blk_one(&p, TD_OP_NEGATIVE, 0);
        output = blk_loop(&p, &loop, 1, output);
        kit_do(&kit, &p, descs, inputs, 1, &output);
        ck_ints(kit.outputs[0], 2, INTS(1, 1));
        kit_deinit(&kit);
        loop.n_steps = 3;
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        ck_assert_int_eq(kit_run(&kit, inputs), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.code, TD_E_BAD_VALUE);
        ck_assert_int_eq(kit.refusal.node, 1);
        ck_refused_at(&kit, "loop: node 2 of its body: pow: ");
        kit_deinit(&kit);

        blk_init(&outer_body, 2);
        outer_result = blk_one(&outer_body, TD_OP_ABS, 1);
        outer_result = blk_loop(&outer_body, &loop, 1, outer_result);
        outer = (struct td_loop){
                .n_steps = 1,
                .body = blk_block(&outer_body),
                .n_results = 1,
                .results = &outer_result,
        };
        blk_init(&p, 1);
        output = blk_one(&p, TD_OP_NEGATIVE, 0);
        output = blk_loop(&p, &outer, 1, output);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &output), 0);
        ck_assert_int_eq(kit_run(&kit, inputs), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.node, 1);
        ck_refused_at(&kit, "loop: node 1 of its body: loop: node 2 of its body: pow: ");
        kit_deinit(&kit);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_loop");
        TCase *tcase = tcase_create("plan_loop");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, gradient_descent);
        tcase_add_test(tcase, heat);
        tcase_add_test(tcase, carried_values_change_places);
        tcase_add_test(tcase, a_turn_copies_nothing);
        tcase_add_test(tcase, carried_views);
        tcase_add_test(tcase, no_steps);
        tcase_add_test(tcase, a_body_that_computes_nothing_is_not_run);
        tcase_add_test(tcase, an_unread_stack_takes_no_memory);
        tcase_add_test(tcase, loops_in_loops);
        tcase_add_test(tcase, stops_and_costs);
        tcase_add_test(tcase, refusals_in_a_body_name_its_node);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
