/* layer: client */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

static const double zeros[16];

static int immediate(td_builder *builder, int64_t rows, int64_t columns)
{
        struct td_type type = { .dtype = TD_FLOAT64, .ndim = 2, .shape = { rows, columns } };

        return td_builder_immediate(builder, &type, zeros);
}

static void check_refused(td_builder *builder, int code, int node, const char *text)
{
        td_error error;

        ck_assert_int_eq(td_builder_check(builder, &error), code);
        ck_assert_int_eq(error.node, node);
        ck_assert_msg(strstr(error.message, text) != NULL, "%s", error.message);
        ck_assert_int_eq(immediate(builder, 1, 1), -1); /* it stays refused */
        ck_assert_int_eq(td_builder_check(builder, &error), code);
        td_builder_free(builder);
}

START_TEST(values_and_types)
{
        td_builder *builder = td_builder_new();
        const struct td_type *type;
        int a = immediate(builder, 3, 2), b = immediate(builder, 3, 1), results[4], r;

        ck_assert_int_eq(a, 0);
        ck_assert_int_eq(b, 1);
        r = td_builder_op(builder, TD_OP_LSTSQ, NULL, (int[]){ a, b }, 2, results);
        ck_assert_int_eq(r, 2);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(results[i], 2 + i);
        type = td_builder_type(builder, results[0]);
        ck_assert_int_eq(type->ndim, 2);
        ck_assert_int_eq(type->shape[0], 2);
        ck_assert_int_eq(type->shape[1], 1);
        r = td_builder_op(builder, TD_OP_LESS, NULL, (int[]){ a, b }, 2, NULL);
        ck_assert_int_eq(r, 6);
        ck_assert_int_eq(td_builder_type(builder, r)->dtype, TD_BOOL);
        ck_assert_ptr_null(td_builder_type(builder, 7));
        ck_assert_ptr_null(td_builder_type(builder, -1));
        ck_assert_int_eq(td_builder_check(builder, NULL), TD_OK);
        td_builder_free(builder);
}
END_TEST

START_TEST(loops)
{
        td_builder *builder = td_builder_new();
        int a = immediate(builder, 2, 2), u = immediate(builder, 2, 1), body[3], inner[2],
            results[2], next, all[2];
        struct frame nodes;
        struct reader reader;

        ck_assert_int_eq(td_builder_loop_begin(builder, 10, &a, 1, &u, 1, body), 3);
        ck_assert_int_eq(body[0], 0);
        ck_assert_int_eq(body[2], 2);
        ck_assert_int_eq(td_builder_type(builder, body[1])->dtype, TD_INT64);
        ck_assert_int_eq(td_builder_type(builder, body[1])->ndim, 0);
        next = td_builder_op(builder, TD_OP_MATMUL, NULL, (int[]){ body[0], body[2] }, 2, NULL);
        ck_assert_int_eq(next, 3);
        ck_assert_int_eq(td_builder_loop_begin(builder, 2, NULL, 0, &next, 1, inner), 2);
        ck_assert_int_eq(td_builder_loop_end(builder, &inner[1], 1, NULL, 0, 0, NULL, 0, results),
                         4);
        ck_assert_int_eq(td_builder_loop_end(builder, results, 1, &body[2], 1, 3, NULL, 0, all), 2);
        ck_assert_int_eq(all[1], 3);
        ck_assert_int_eq(td_builder_type(builder, all[0])->shape[0], 2);
        ck_assert_int_eq(td_builder_type(builder, all[1])->ndim, 3);
        ck_assert_int_eq(td_builder_type(builder, all[1])->shape[0], 3);
        ck_assert_int_eq(td_builder_check(builder, NULL), TD_OK);

        frame_init(&nodes);
        frame_nodes(&nodes, &builder->top.block);
        reader = reader_of(nodes.bytes, nodes.n_bytes);
        ck_assert_uint_eq(reader_array(&reader), 1);
        reader_skip(&reader);
        ck_assert_ptr_eq(reader.at, reader.end);
        ck_assert(!reader.has_failed);
        frame_deinit(&nodes);
        td_builder_free(builder);
}
END_TEST

START_TEST(refusals)
{
        td_builder *builder = td_builder_new();
        int a = immediate(builder, 2, 3), body[2];
        struct td_type large = { .dtype = TD_FLOAT64, .ndim = 1, .shape = { 513 } };

        td_builder_op(builder, TD_OP_NEGATIVE, NULL, &a, 1, NULL);
        ck_assert_int_eq(td_builder_op(builder, TD_OP_MATMUL, NULL, (int[]){ a, a }, 2, NULL), -1);
        check_refused(builder, TD_E_SHAPE_MISMATCH, 1, "(2, 3)");

        builder = td_builder_new();
        ck_assert_int_eq(td_builder_op(builder, TD_OP_NEGATIVE, NULL, (int[]){ 0 }, 1, NULL), -1);
        check_refused(builder, TD_E_BAD_PROGRAM, 0, "no value 0");

        builder = td_builder_new();
        a = immediate(builder, 2, 2);
        td_builder_op(builder, TD_OP_NEGATIVE, NULL, &a, 1, NULL);
        ck_assert_int_eq(immediate(builder, 2, 2), -1);
        check_refused(builder, TD_E_BAD_PROGRAM, -1, "before operations");

        builder = td_builder_new();
        ck_assert_int_eq(td_builder_immediate(builder, &large, zeros), -1);
        check_refused(builder, TD_E_TOO_LARGE_INLINE, -1, "4104");

        builder = td_builder_new();
        ck_assert_int_eq(td_builder_op(builder, (enum td_op)TD_N_OPS, NULL, NULL, 0, NULL), -1);
        check_refused(builder, TD_E_UNKNOWN_OP, 0, "operation");

        builder = td_builder_new();
        ck_assert_int_eq(td_builder_loop_end(builder, NULL, 0, NULL, 0, 0, NULL, 0, NULL), -1);
        check_refused(builder, TD_E_BAD_PROGRAM, 0, "did not begin");

        builder = td_builder_new();
        a = immediate(builder, 2, 2);
        td_builder_loop_begin(builder, 3, NULL, 0, &a, 1, body);
        ck_assert_int_eq(td_builder_check(builder, NULL), TD_E_BAD_PROGRAM);
        a = td_builder_op(builder, TD_OP_SUM, NULL, &body[1], 1, NULL);
        ck_assert_int_eq(td_builder_loop_end(builder, &a, 1, NULL, 0, 0, NULL, 0, NULL), -1);
        check_refused(builder, TD_E_LOOP_SHAPE, 0, "(2, 2)");

        builder = td_builder_new();
        a = immediate(builder, 2, 2);
        td_builder_loop_begin(builder, 3, NULL, 0, &a, 1, body);
        ck_assert_int_eq(td_builder_loop_end(builder, &body[1], 1, &body[1], 1, 0, (int64_t[]){ 4 },
                                             1, NULL),
                         -1);
        check_refused(builder, TD_E_BAD_PROGRAM, 0, "watched");

        builder = td_builder_new();
        a = immediate(builder, 2, 2);
        for (int i = 0; i < TD_LOOP_DEPTH_MAX; i++)
                ck_assert_int_eq(
                        td_builder_loop_begin(builder, 3, NULL, 0, i ? &body[1] : &a, 1, body), 2);
        ck_assert_int_eq(td_builder_loop_begin(builder, 3, NULL, 0, &body[1], 1, body), -1);
        check_refused(builder, TD_E_BAD_PROGRAM, 0, "deeper");

        builder = td_builder_new();
        a = immediate(builder, 1, 1);
        for (int i = 1; i < TD_VALUES_MAX; i++)
                a = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &a, 1, NULL);
        ck_assert_int_eq(a, TD_VALUES_MAX - 1);
        ck_assert_int_eq(td_builder_op(builder, TD_OP_NEGATIVE, NULL, &a, 1, NULL), -1);
        check_refused(builder, TD_E_BAD_PROGRAM, TD_VALUES_MAX - 1, "4096");
        td_builder_free(NULL);
}
END_TEST

START_TEST(refusals_in_a_body)
{
        int a, body[2];
        td_builder *builder;

        builder = td_builder_new();
        a = immediate(builder, 2, 3);
        td_builder_while_begin(builder, 3, NULL, 0, &a, 1, body);
        td_builder_op(builder, TD_OP_NEGATIVE, NULL, &body[1], 1, NULL);
        td_builder_loop_begin(builder, 3, NULL, 0, &body[1], 1, body);
        ck_assert_int_eq(
                td_builder_op(builder, TD_OP_MATMUL, NULL, (int[]){ body[1], body[1] }, 2, NULL),
                -1);
        check_refused(builder, TD_E_SHAPE_MISMATCH, 0,
                      "while: node 1 of its body: loop: node 0 of its body: matmul: ");

        builder = td_builder_new();
        a = immediate(builder, 2, 2);
        td_builder_loop_begin(builder, 3, NULL, 0, &a, 1, body);
        ck_assert_int_eq(td_builder_loop_begin(builder, 3, NULL, 0, (int[]){ 2 }, 1, body), -1);
        check_refused(builder, TD_E_BAD_PROGRAM, 0,
                      "loop: node 0 of its body: loop: there is no value 2");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("builder");
        TCase *tc = tcase_create("builder");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_test(tc, values_and_types);
        tcase_add_test(tc, loops);
        tcase_add_test(tc, refusals);
        tcase_add_test(tc, refusals_in_a_body);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
