/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * Mutable tensors: written in place under leases, and by runs.
 */
#include "daemon_kit.h"

START_TEST(leases)
{
        td_client *a = kit_connect(), *b = kit_connect();
        struct td_type type = f64_1d(1000), half = f64_1d(500);
        const int64_t stride = 8;
        td_tensor *tensor, *same, *none = NULL;
        td_mapping *mapping;
        td_builder *builder = td_builder_new();
        td_output output = { .has_into = true };
        td_lease *lease, *other;
        td_pending *pending;
        td_error error;
        double *data;

        OK(td_create_mutable(a, &type, 'C', "steps", false, &tensor, &error));
        FAILS(td_lease_begin(tensor, NULL, NULL, 0, true, false, 0, &lease, &error),
              TD_E_NOT_SEALED);
        OK(td_map(tensor, TD_MAP_WRITE, true, &mapping, &error));
        memset(td_mapping_data(mapping), 0, 8000);
        td_mapping_free(mapping);
        OK(td_seal(tensor, &error));
        ck_assert(td_tensor_is_mutable(tensor) && !td_tensor_is_sealed(tensor));
        OK(td_open(b, "steps", &same, &error));
        ck_assert(td_tensor_is_mutable(same));

        FAILS(td_map(same, TD_MAP_WRITE, true, &mapping, &error), TD_E_NOT_MUTABLE);
        OK(td_lease_begin(same, &half, &stride, 4000, true, false, 0, &lease, &error));
        FAILS(td_lease_begin(tensor, NULL, NULL, 0, false, false, 10, &other, &error),
              TD_E_LEASE_CONFLICT);
        OK(td_lease_begin(tensor, &half, &stride, 0, true, false, 0, &other, &error));
        OK(td_map(same, TD_MAP_WRITE, true, &mapping, &error));
        data = td_mapping_data(mapping);
        data[999] = 3;
        td_mapping_free(mapping);
        OK(td_lease_end(lease, &error));
        OK(td_lease_end(other, &error));

        /* twice itself, into itself */
        output.into = td_builder_input(builder, tensor);
        output.value = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ 0, 0 }, 2, NULL);
        OK(td_run(a, builder, &output, 1, &none, &error));
        ck_assert_ptr_null(none);
        OK(td_submit(a, builder, &output, 1, &none, &pending, &error));
        ck_assert_ptr_null(none);
        OK(td_wait(pending, &error));
        OK(td_map(tensor, TD_MAP_READ, true, &mapping, &error));
        ck_assert(((double *)td_mapping_data(mapping))[999] == 12);
        td_mapping_free(mapping);

        OK(td_delete(a, "steps", &error));
        td_builder_free(builder);
        td_tensor_free(tensor);
        td_tensor_free(same);
        td_close(a);
        td_close(b);
}
END_TEST

/* The lease ends with its connection, and what was written under it is torn. */
START_TEST(lost_with_the_connection)
{
        td_client *client = kit_connect(), *other = kit_connect();
        struct td_type type = f64_1d(1000);
        td_tensor *tensor, *same;
        td_lease *lease, *whole;
        td_error error;

        OK(td_create_mutable(client, &type, 'C', "steps", false, &tensor, &error));
        OK(td_seal(tensor, &error));
        OK(td_open(other, "steps", &same, &error));
        OK(td_lease_begin(tensor, NULL, NULL, 0, true, false, 0, &lease, &error));
        td_close(client);
        FAILS(td_lease_begin(same, NULL, NULL, 0, false, false, 5000, &whole, &error), TD_E_TORN);
        OK(td_lease_begin(same, NULL, NULL, 0, false, true, 0, &whole, &error));
        OK(td_lease_end(whole, &error));
        OK(td_lease_begin(same, NULL, NULL, 0, true, false, 0, &whole, &error));
        OK(td_lease_end(whole, &error));
        OK(td_lease_begin(same, NULL, NULL, 0, false, false, 0, &whole, &error));
        OK(td_lease_end(whole, &error));
        ck_assert_int_ne(td_lease_end(lease, &error), TD_OK);
        OK(td_delete(other, "steps", &error));
        td_tensor_free(tensor);
        td_tensor_free(same);
        td_close(other);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("client_lease");
        TCase *tc = tcase_create("client_lease");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, kit_setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, leases);
        tcase_add_test(tc, lost_with_the_connection);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
