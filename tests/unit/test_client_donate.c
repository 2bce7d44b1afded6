/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * Tensors that are given away to runs: gone where that succeeded, never written over while shown.
 */
#include "daemon_kit.h"

#define N 100000

/* What is donated is gone where the run succeeds, and its memory is the result's. */
START_TEST(donated_tensors)
{
        td_client *client = kit_connect();
        double *data = ramp(N);
        struct td_type type = f64_1d(N);
        td_tensor *x, *y, *tensors[1];
        td_output output = { .value = 0 };
        td_builder *builder;
        td_mapping *mapping;
        td_error error;
        int value;

        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &x, &error));
        for (int is_submitted = 0; is_submitted < 2; is_submitted++) {
                td_pending *pending;

                builder = td_builder_new();
                value = td_builder_input(builder, x);
                td_builder_donate(builder, value);
                output.value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &value, 1, NULL);
                if (is_submitted) {
                        OK(td_submit(client, builder, &output, 1, &y, &pending, &error));
                        OK(td_wait(pending, &error));
                } else {
                        OK(td_run(client, builder, &output, 1, &y, &error));
                }
                FAILS(td_run(client, builder, &output, 1, tensors, &error), TD_E_GONE);
                FAILS(td_map(x, TD_MAP_READ, true, &mapping, &error), TD_E_GONE);
                FAILS(td_name(x, "donated", false, &error), TD_E_GONE);
                ck_assert_ptr_null(td_tensor_id(x));
                td_builder_free(builder);
                td_tensor_free(x);
                x = y;
        }
        OK(td_map(x, TD_MAP_READ, true, &mapping, &error));
        ck_assert_mem_eq(td_mapping_data(mapping), data, N * sizeof(*data));
        td_mapping_free(mapping);

        builder = td_builder_new();
        td_builder_immediate(builder, &(struct td_type){ .dtype = TD_FLOAT64 }, data);
        td_builder_donate(builder, 0);
        FAILS(td_builder_check(builder, &error), TD_E_BAD_PROGRAM);
        td_builder_free(builder);
        builder = td_builder_new(); /* all of it would be given away, not that part */
        value = td_builder_input_view(builder, x, &(struct td_type){ TD_FLOAT64, 1, { 5 } },
                                      (int64_t[]){ 8 }, 0);
        td_builder_donate(builder, value);
        FAILS(td_builder_check(builder, &error), TD_E_BAD_PROGRAM);
        td_builder_free(builder);
        OK(td_map(x, TD_MAP_READ, true, &mapping, &error));
        td_mapping_free(mapping);
        td_tensor_free(x);
        td_close(client);
        free(data);
}
END_TEST

/* x + x, perhaps with x donated, perhaps not waited for. */
static td_tensor *twice(td_client *client, td_tensor *x, bool donate, td_pending **pendingp)
{
        td_builder *builder = td_builder_new();
        td_output output = { .value = 0 };
        int value = td_builder_input(builder, x);
        td_tensor *y;
        td_error error;

        if (donate)
                td_builder_donate(builder, value);
        output.value = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ value, value }, 2,
                                     NULL);
        if (pendingp)
                OK(td_submit(client, builder, &output, 1, &y, pendingp, &error));
        else
                OK(td_run(client, builder, &output, 1, &y, &error));
        td_builder_free(builder);
        return y;
}

/* Memory that is shown stays as it is, as long as it is shown. */
START_TEST(donated_and_shown)
{
        td_client *client = kit_connect();
        double *data = ramp(N);
        struct td_type type = f64_1d(N);
        td_tensor *x, *results[8];
        td_mapping *mapping, *again;
        td_error error;

        for (int is_private = 0; is_private < 2; is_private++) {
                OK(td_put(client, data, &type, NULL, 'C', NULL, false, &x, &error));
                OK(td_map(x, is_private ? TD_MAP_COW : TD_MAP_READ, true, &mapping, &error));
                results[0] = twice(client, x, true, NULL);
                for (unsigned i = 1; i < 8; i++)
                        results[i] = twice(client, results[i - 1], false, NULL);
                ck_assert_mem_eq(td_mapping_data(mapping), data, N * sizeof(*data));
                FAILS(td_map(x, TD_MAP_READ, true, &again, &error), TD_E_GONE);
                FAILS(td_name(x, "donated", false, &error), TD_E_GONE);
                ck_assert_ptr_null(td_tensor_id(x));
                if (is_private)
                        td_tensor_free(x);
                td_mapping_free(mapping);
                if (!is_private)
                        td_tensor_free(x);
                for (unsigned i = 0; i < 8; i++)
                        td_tensor_free(results[i]);
        }
        td_close(client);
        free(data);
}
END_TEST

/* While a run may be writing over it, it is not shown; where that failed, it is as before. */
START_TEST(donated_and_under_way)
{
        td_client *client = kit_connect();
        double *data = ramp(N);
        struct td_type type = f64_1d(N), scalar = { .dtype = TD_INT64 };
        td_tensor *x, *y;
        td_mapping *mapping;
        td_pending *pending;
        td_builder *builder;
        td_output output = { .value = 0 };
        int64_t minus_one = -1;
        td_error error;
        int args[2];

        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &x, &error));
        OK(td_map(x, TD_MAP_READ, true, &mapping, &error));
        td_mapping_free(mapping);
        y = twice(client, x, true, &pending);
        FAILS(td_map(x, TD_MAP_READ, true, &mapping, &error), TD_E_BAD_ARGUMENTS);
        FAILS(td_map(x, TD_MAP_COW, false, &mapping, &error), TD_E_BAD_ARGUMENTS);
        OK(td_wait(pending, &error));
        FAILS(td_map(x, TD_MAP_READ, true, &mapping, &error), TD_E_GONE);
        td_tensor_free(y);
        td_tensor_free(x);

        type.dtype = TD_INT64;
        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &x, &error));
        OK(td_map(x, TD_MAP_READ, true, &mapping, &error));
        td_mapping_free(mapping);
        builder = td_builder_new();
        args[0] = td_builder_input(builder, x);
        args[1] = td_builder_immediate(builder, &scalar, &minus_one);
        td_builder_donate(builder, args[0]);
        output.value = td_builder_op(builder, TD_OP_POW, NULL, args, 2, NULL);
        for (int is_submitted = 0; is_submitted < 2; is_submitted++) {
                if (is_submitted) {
                        OK(td_submit(client, builder, &output, 1, &y, &pending, &error));
                        FAILS(td_map(x, TD_MAP_READ, true, &mapping, &error), TD_E_BAD_ARGUMENTS);
                        FAILS(td_wait(pending, &error), TD_E_BAD_VALUE);
                } else {
                        FAILS(td_run(client, builder, &output, 1, &y, &error), TD_E_BAD_VALUE);
                }
                OK(td_map(x, TD_MAP_READ, true, &mapping, &error));
                ck_assert_mem_eq(td_mapping_data(mapping), data, N * sizeof(*data));
                td_mapping_free(mapping);
        }
        td_builder_free(builder);
        td_tensor_free(x);
        td_close(client);
        free(data);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("client_donate");
        TCase *tc = tcase_create("client_donate");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, kit_setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, donated_tensors);
        tcase_add_test(tc, donated_and_shown);
        tcase_add_test(tc, donated_and_under_way);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
