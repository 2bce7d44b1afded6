/* layer: contract */
/* SPDX-License-Identifier: MIT */
/*
 * Inference of programs: loops, what they yield and watch, and programs that lie about themselves.
 */
#include "tensord/infer.h"

#include <check.h>
#include <stdlib.h>

#include "program_kit.h"

static struct td_refusal refusal_of;

static struct td_type values[TD_VALUES_MAX];

static int infer_program(struct blk *b, const struct td_type *inputs, uint32_t output)
{
        struct td_program program = { .block = blk_block(b), .n_outputs = 1, .outputs = &output };

        refusal_of = (struct td_refusal){ .code = TD_OK };
        return td_infer_program(&program, inputs, values, &refusal_of);
}

/*
 * A loop that carries u and captures a: u = a @ u, with both the index and the new u watched every
 * 10 steps.
 */
struct heat {
        struct blk outer, body;
        struct td_loop loop;
        uint32_t results[1], watch[2];
        int64_t at[2];
        uint32_t u, stack;
};

static void heat_init(struct heat *h)
{
        blk_init(&h->body, 3);
        h->results[0] = blk_two(&h->body, TD_OP_MATMUL, 0, 2);
        h->watch[0] = h->results[0];
        h->watch[1] = 1;
        h->loop = (struct td_loop){
                .n_steps = 300,
                .n_captures = 1,
                .body = blk_block(&h->body),
                .n_results = 1,
                .results = h->results,
                .n_watch = 2,
                .watch = h->watch,
                .every = 10,
        };
        blk_init(&h->outer, 2);
        h->u = blk_loop(&h->outer, &h->loop, 2, 0, 1);
        h->stack = h->u + 1;
}

static const struct td_type heat_inputs[] = { { TD_FLOAT64, 2, { 5, 5 } },
                                              { TD_FLOAT64, 1, { 5 } } };

START_TEST(loop_types)
{
        struct heat h;

        heat_init(&h);
        ck_assert_int_eq(infer_program(&h.outer, heat_inputs, h.stack), TD_OK);
        ck_assert(td_type_same(&values[h.u], &heat_inputs[1]));
        ck_assert(td_type_same(&values[h.stack], &(struct td_type){ TD_FLOAT64, 2, { 30, 5 } }));
        ck_assert(td_type_same(&values[h.stack + 1], &(struct td_type){ TD_INT64, 1, { 30 } }));
        /* the body's types follow */
        ck_assert(td_type_same(&values[h.outer.n_values], &heat_inputs[0]));
        ck_assert(td_type_same(&values[h.outer.n_values + 1],
                               &(struct td_type){ TD_INT64, 0, { 0 } }));
        h.loop.every = 0;
        h.loop.n_at = 2;
        h.loop.at = h.at;
        h.at[0] = 1;
        h.at[1] = 300;
        ck_assert_int_eq(infer_program(&h.outer, heat_inputs, h.stack), TD_OK);
        ck_assert_int_eq(values[h.stack].shape[0], 2);
        h.loop.n_at = 0;
        h.loop.n_steps = 0;
        ck_assert_int_eq(infer_program(&h.outer, heat_inputs, h.stack), TD_OK);
        ck_assert_int_eq(values[h.stack].shape[0], 0);
}
END_TEST

#define ck_refuse_loop(change, error) \
        do { \
                struct heat h; \
                heat_init(&h); \
                h.loop.at = h.at; \
                change; \
                ck_assert_int_eq(infer_program(&h.outer, heat_inputs, 0), error); \
                ck_assert_int_eq(refusal_of.node, 0); \
        } while (0)

START_TEST(loop_lies)
{
        ck_refuse_loop(h.loop.n_steps = -1, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.loop.n_captures = 2, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.loop.n_captures = UINT32_MAX, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.loop.body.n_inputs = 2, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.results[0] = 4, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.results[0] = UINT32_MAX, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.results[0] = 1, TD_E_LOOP_SHAPE);
        ck_refuse_loop(h.results[0] = 0, TD_E_LOOP_SHAPE);
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "float64 of shape (5,)"));
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "float64 of shape (5, 5)"));
        ck_refuse_loop(h.watch[1] = 4, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.loop.every = -1, TD_E_BAD_PROGRAM);
        ck_refuse_loop((h.loop.n_at = 1, h.at[0] = 5), TD_E_BAD_PROGRAM);
        ck_refuse_loop((h.loop.every = 0, h.loop.n_at = 2, h.at[0] = 5, h.at[1] = 5),
                       TD_E_BAD_PROGRAM);
        ck_refuse_loop((h.loop.every = 0, h.loop.n_at = 1, h.at[0] = 0), TD_E_BAD_PROGRAM);
        ck_refuse_loop((h.loop.every = 0, h.loop.n_at = 1, h.at[0] = 301), TD_E_BAD_PROGRAM);
        ck_refuse_loop((h.loop.every = 1, h.loop.n_steps = INT64_MAX), TD_E_BAD_SHAPE);
        ck_refuse_loop(h.loop.n_watch = TD_RESULTS_MAX, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.loop.n_watch = UINT32_MAX, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.loop.body.n_inputs = UINT32_MAX, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.outer.nodes[0].loop = NULL, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.outer.nodes[0].attrs = attrs_shape(0), TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.body.args[0][0] = 3, TD_E_BAD_PROGRAM);
        ck_refuse_loop(h.body.nodes[0].op = TD_N_OPS, TD_E_UNKNOWN_OP);
        ck_refuse_loop(h.body.nodes[0].loop = &h.loop, TD_E_BAD_PROGRAM);
}
END_TEST

START_TEST(watching_adds_a_dimension)
{
        struct heat h;
        struct td_type inputs[2] = { { TD_BOOL, 2, { 1, 1 } }, { TD_BOOL, TD_NDIM_MAX, { 0 } } };

        heat_init(&h);
        h.results[0] = 2;
        h.watch[0] = 2;
        h.loop.body.n_nodes = 0;
        ck_assert_int_eq(infer_program(&h.outer, inputs, 0), TD_E_RANK_LIMIT);
        inputs[1].ndim--;
        ck_assert_int_eq(infer_program(&h.outer, inputs, 0), TD_OK);
}
END_TEST

/* Loops within loops, innermost an operation; each body has a node before that one. */
static int infer_nested(unsigned depth, enum td_op op)
{
        static struct blk blocks[8];
        static struct td_loop loops[8];
        static uint32_t carried[8];
        struct td_type input = type_of(TD_FLOAT32, 1, 3);

        for (unsigned i = depth; i-- > 0;) {
                blk_init(&blocks[i], 2);
                blk_one(&blocks[i], TD_OP_ABS, 1);
                carried[i] = i + 1 < depth ? blk_loop(&blocks[i], &loops[i + 1], 1, 1)
                                           : blk_one(&blocks[i], op, 1);
                loops[i] = (struct td_loop){
                        .n_steps = 2,
                        .body = blk_block(&blocks[i]),
                        .n_results = 1,
                        .results = &carried[i],
                };
        }
        blk_init(&blocks[7], 1);
        blk_loop(&blocks[7], &loops[0], 1, 0);
        return infer_program(&blocks[7], &input, 1);
}

START_TEST(loops_within_loops)
{
        ck_assert_int_eq(infer_nested(TD_LOOP_DEPTH_MAX, TD_OP_EXP), TD_OK);
        ck_assert_int_eq(infer_nested(TD_LOOP_DEPTH_MAX + 1, TD_OP_EXP), TD_E_BAD_PROGRAM);
        ck_assert_int_eq(refusal_of.node, 0);
        ck_assert_str_eq(refusal_of.message,
                         "loop: node 1 of its body: loop: node 1 of its body: "
                         "loop: node 1 of its body: loop: nested deeper than 3 loops");
}
END_TEST

START_TEST(bodies_say_which_node_it_was)
{
        ck_assert_int_eq(infer_nested(2, TD_OP_BITWISE_INVERT), TD_E_UNSUPPORTED_DTYPE);
        ck_assert_int_eq(refusal_of.node, 0);
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "float32"));
        ck_assert_ptr_eq(strstr(refusal_of.message, "loop: node 1 of its body: "
                                                    "loop: node 1 of its body: bitwise_invert: "),
                         refusal_of.message);
}
END_TEST

START_TEST(long_sentences_keep_their_beginning)
{
        struct td_refusal refusal;
        const size_t last = sizeof(refusal.message) - 1;

        td_refuse(&refusal, TD_E_BAD_VALUE, "%0*d", (int)last, 7);
        ck_assert_int_eq(refusal.message[last - 1], '7');
        refusal.node = INT32_MAX;
        td_refuse_body(&refusal, true);
        ck_assert_int_eq(refusal.node, -1);
        ck_assert_uint_eq(strlen(refusal.message), last);
        ck_assert_ptr_eq(strstr(refusal.message, "while: node 2147483647 of its body: 000"),
                         refusal.message);
        ck_assert_int_eq(refusal.message[last - 1], '0');
}
END_TEST

START_TEST(programs_that_lie)
{
        static struct td_node nodes[TD_VALUES_MAX + 1];
        static uint32_t zero[TD_ARGS_MAX + 1];
        struct td_type input = type_of(TD_INT64, 0);
        struct td_program program = {
                .block = { .n_inputs = 1, .n_nodes = TD_VALUES_MAX - 1, .nodes = nodes }
        };
        struct blk b;

        for (uint32_t i = 0; i <= TD_VALUES_MAX; i++)
                nodes[i] = (struct td_node){ .op = TD_OP_ABS, .n_args = 1, .args = zero };
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_OK);
        program.block.n_nodes++;
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_E_BAD_PROGRAM);
        program.block.n_nodes = UINT32_MAX;
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_E_BAD_PROGRAM);
        program.block = (struct td_block){ .n_inputs = UINT32_MAX };
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_E_BAD_PROGRAM);

        program = (struct td_program){ .block = { .n_inputs = 1, .n_nodes = 3, .nodes = nodes } };
        nodes[2].n_args = TD_ARGS_MAX + 1;
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_E_BAD_PROGRAM);
        ck_assert_int_eq(refusal_of.node, 2);
        program.block.n_nodes = 2;
        program.n_outputs = TD_OUTPUTS_MAX + 1;
        program.outputs = zero;
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_E_BAD_PROGRAM);
        input.ndim = 17;
        program.n_outputs = 1;
        ck_assert_int_eq(td_infer_program(&program, &input, values, &refusal_of), TD_E_RANK_LIMIT);

        input = type_of(TD_INT64, 1, 2);
        blk_init(&b, 1);
        blk_one(&b, TD_OP_ABS, 0);
        blk_two(&b, TD_OP_ADD, 1, 2); /* itself */
        ck_assert_int_eq(infer_program(&b, &input, 0), TD_E_BAD_PROGRAM);
        ck_assert_int_eq(refusal_of.node, 1);
        ck_assert_str_eq(refusal_of.message, "add: value 2 is not defined before it is used");
        b.n_nodes = 1;
        ck_assert_int_eq(infer_program(&b, &input, 1), TD_OK);
        ck_assert_int_eq(infer_program(&b, &input, 2), TD_E_BAD_PROGRAM);
        ck_assert_int_eq(refusal_of.node, -1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("infer");
        TCase *tcase = tcase_create("infer");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, loop_types);
        tcase_add_test(tcase, loop_lies);
        tcase_add_test(tcase, watching_adds_a_dimension);
        tcase_add_test(tcase, loops_within_loops);
        tcase_add_test(tcase, bodies_say_which_node_it_was);
        tcase_add_test(tcase, long_sentences_keep_their_beginning);
        tcase_add_test(tcase, programs_that_lie);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
