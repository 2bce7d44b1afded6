/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * What is for others: shared without a copy, copied as it is now, lent, waited for.
 */
#include "client.h"
#include "daemon_kit.h"

static uint64_t segment_of(td_client *client, const char *name)
{
        td_tensor *tensor;
        td_error error;
        uint64_t segment;

        OK(td_open_mapped(client, name, &tensor, &error));
        segment = tensor->segment;
        td_tensor_free(tensor);
        return segment;
}

START_TEST(shared_without_a_copy)
{
        td_client *a = kit_connect(), *b = kit_connect();
        struct td_type type = f64_1d(1000);
        double data[1000] = { 7 };
        td_tensor *tensor, *same;
        td_mapping *mapping;
        td_error error;
        uint64_t before;

        OK(td_put(a, data, &type, NULL, 'C', "x", false, &tensor, &error));
        OK(td_map(tensor, TD_MAP_READ, true, &mapping, &error));
        ck_assert(tensor->mapped->can_write && !td_tensor_is_shared(tensor));
        before = segment_of(b, "x");
        OK(td_share(tensor, true, &error));
        ck_assert(td_tensor_is_shared(tensor) && !tensor->mapped->can_write);
        ck_assert_uint_eq(segment_of(b, "x"), before);
        ck_assert(((double *)td_mapping_data(mapping))[0] == 7);
        OK(td_open_of(b, (int64_t)geteuid(), "x", false, &same, &error));
        ck_assert_int_eq(td_tensor_owner(same), -1);
        OK(td_share(tensor, false, &error));
        ck_assert(!td_tensor_is_shared(tensor));
        FAILS(td_open_of(b, 4711, "x", false, &tensor, &error), TD_E_NOT_FOUND);
        FAILS(td_open_of(b, -2, "x", false, &tensor, &error), TD_E_BAD_ARGUMENTS);

        td_mapping_free(mapping);
        td_tensor_free(tensor);
        td_tensor_free(same);
        OK(td_delete(a, "x", &error));
        /* its memory is good for another one, written again */
        for (int i = 0; i < 3; i++) {
                data[0] = i;
                OK(td_put(a, data, &type, NULL, 'C', "x", true, &tensor, &error));
                OK(td_map(tensor, TD_MAP_READ, true, &mapping, &error));
                ck_assert(((double *)td_mapping_data(mapping))[0] == i);
                td_mapping_free(mapping);
                td_tensor_free(tensor);
        }
        OK(td_delete(a, "x", &error));
        td_close(a);
        td_close(b);
}
END_TEST

START_TEST(copied_lent_and_waited_for)
{
        td_client *a = kit_connect(), *b = kit_connect();
        struct td_type type = f64_1d(2);
        double data[2] = { 1, 2 };
        td_tensor *tensor, *copy, *found;
        uint8_t id[16];
        td_error error;

        FAILS(td_await(b, -1, "now", 10, false, &found, &error), TD_E_DEADLINE);
        FAILS(td_await(b, -1, "now", 0, false, &found, &error), TD_E_DEADLINE);
        OK(td_put(a, data, &type, NULL, 'C', NULL, false, &tensor, &error));
        FAILS(td_share(tensor, true, &error), TD_E_BAD_ARGUMENTS);
        FAILS(td_snapshot(tensor, NULL, false, 0, NULL, &error), TD_E_BAD_ARGUMENTS);
        OK(td_snapshot(tensor, "now", false, 0, &copy, &error));
        ck_assert_str_eq(td_tensor_name(copy), "now");
        FAILS(td_snapshot(tensor, "now", false, 0, NULL, &error), TD_E_NAME_TAKEN);
        OK(td_snapshot(tensor, "now", true, 0, NULL, &error));
        OK(td_await(b, -1, "now", -1, false, &found, &error));
        td_tensor_free(found);

        memcpy(id, td_tensor_id(tensor), sizeof(id));
        OK(td_lend(tensor, &error));
        td_tensor_free(tensor);
        td_tensor_free(copy);
        td_close(a);
        for (int i = 0; i < 2; i++) {
                OK(td_open_id(b, id, &found, &error));
                td_tensor_free(found);
        }
        OK(td_delete(b, "now", &error));
        td_close(b);
}
END_TEST

/* It is done by its name, which says nothing of a handle that the connection does not know. */
START_TEST(shared_after_a_new_start)
{
        td_client *client = kit_connect();
        struct td_type type = f64_1d(1000), other = f64_1d(2000);
        double *data = ramp(2000);
        td_tensor *tensor;
        td_error error;

        OK(td_put(client, data, &type, NULL, 'C', "x", false, &tensor, &error));
        kit_stop(SIGKILL);
        kit_start();
        OK(td_share(tensor, true, &error));
        ck_assert(td_tensor_is_shared(tensor));
        OK(td_lend(tensor, &error));

        /* What the name means by now is another one, which this does not become. */
        OK(td_put(client, data, &other, NULL, 'C', "x", true, NULL, &error));
        OK(td_share(tensor, true, &error));
        ck_assert_int_eq(td_tensor_type(tensor)->shape[0], 1000);
        OK(td_lend(tensor, &error));
        OK(td_delete(client, "x", &error));
        td_tensor_free(tensor);
        td_close(client);
        free(data);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("client_share");
        TCase *tc = tcase_create("client_share");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, kit_setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, shared_after_a_new_start);
        tcase_add_test(tc, shared_without_a_copy);
        tcase_add_test(tc, copied_lent_and_waited_for);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
