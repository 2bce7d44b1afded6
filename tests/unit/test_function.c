/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * Functions of the client against a real daemon: arguments, refusals, limits, and daemons that end.
 */
#include "daemon_kit.h"

#include <pthread.h>

#define N_LARGE 200000

/* x, y -> x * y, sum(x * y) + 1; of n elements */
static td_function *define_dot(td_client *client, int64_t n)
{
        const struct td_type type = f64_1d(n), scalar = { .dtype = TD_FLOAT64 };
        td_builder *builder = td_builder_new();
        td_function *function;
        const double one = 1;
        int x, y, z, values[2];
        td_error error;

        x = td_builder_parameter(builder, &type);
        y = td_builder_parameter(builder, &type);
        z = td_builder_immediate(builder, &scalar, &one);
        values[0] = td_builder_op(builder, TD_OP_MULTIPLY, NULL, (int[]){ x, y }, 2, NULL);
        values[1] = td_builder_op(builder, TD_OP_SUM, NULL, values, 1, NULL);
        values[1] = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ values[1], z }, 2, NULL);
        OK(td_define(client, builder, values, 2, &function, &error));
        td_builder_free(builder);
        return function;
}

static td_tensor *put_ramp(td_client *client, int64_t n, const char *name)
{
        const struct td_type type = f64_1d(n);
        double *data = malloc((size_t)n * sizeof(*data));
        td_tensor *tensor;
        td_error error;

        ck_assert_ptr_nonnull(data);
        for (int64_t i = 0; i < n; i++)
                data[i] = (double)i;
        OK(td_put(client, data, &type, NULL, 'C', name, true, &tensor, &error));
        free(data);
        return tensor;
}

/* x, 2, 1 as the three arguments, x backwards where it is asked for */
static td_builder *dot_arguments(const td_tensor *x, bool is_backwards, double last)
{
        const struct td_type *type = td_tensor_type(x), scalar = { .dtype = TD_FLOAT64 };
        const int64_t stride = -8, none = 0;
        td_builder *builder = td_builder_new();

        if (is_backwards)
                td_builder_input_view(builder, x, type, &stride, (type->shape[0] - 1) * 8);
        else
                td_builder_input(builder, x);
        td_builder_input_view(builder, x, type, &none, 2 * 8);
        td_builder_immediate(builder, &scalar, &last);
        return builder;
}

static double value_at(td_tensor *tensor, size_t i)
{
        td_mapping *mapping;
        td_error error;
        double value;

        OK(td_map(tensor, TD_MAP_READ, false, &mapping, &error));
        value = ((const double *)td_mapping_data(mapping))[i];
        td_mapping_free(mapping);
        return value;
}

/* Call it with a ramp of n numbers and check what comes. */
static void check_dot(td_function *function, const td_tensor *x, int64_t n, const char *name)
{
        const double sum = 2 * (double)n * (double)(n - 1) / 2;
        const td_output outputs[] = { { .name = name, .replace = true }, { .value = -7 } };
        td_tensor *tensors[2];
        td_error error;

        for (int is_backwards = 0; is_backwards < 2; is_backwards++) {
                td_builder *arguments = dot_arguments(x, is_backwards, 1 + is_backwards);

                td_builder_set_threads(arguments, 1);
                td_builder_set_deadline(arguments, 60000);
                OK(td_function_call(function, arguments, outputs, 2, tensors, &error));
                td_builder_free(arguments);
                ck_assert_double_eq(value_at(tensors[0], 0),
                                    is_backwards ? 2 * (double)(n - 1) : 0);
                ck_assert_double_eq(value_at(tensors[1], 0), sum + 1 + is_backwards);
                td_tensor_free(tensors[0]);
                td_tensor_free(tensors[1]);
        }
}

/* ---- calls ---- */

START_TEST(calls)
{
        td_client *client = kit_connect();
        td_tensor *opened;
        td_error error;

        for (int64_t n = 4; n <= N_LARGE; n *= N_LARGE / 4) {
                td_function *function = define_dot(client, n);
                td_tensor *x = put_ramp(client, n, NULL);

                check_dot(function, x, n, NULL);
                check_dot(function, x, n, "product");
                OK(td_open(client, "product", &opened, &error));
                ck_assert_double_eq(value_at(opened, 0), 2 * (double)(n - 1));
                OK(td_delete(client, "product", &error));
                td_tensor_free(opened);
                td_tensor_free(x);
                td_function_free(function);
        }
        td_close(client);
}
END_TEST

/* Many under way at once; arguments and outputs may end before the answers are there. */
START_TEST(calls_in_two_halves)
{
        enum { N_CALLS = 20 };
        td_client *client = kit_connect();
        td_function *function = define_dot(client, N_LARGE);
        td_tensor *x = put_ramp(client, N_LARGE, "x"), *tensors[N_CALLS][2], *refused[2] = { x, x };
        td_pending *pending[N_CALLS], *late;
        td_error error;

        for (int restart = 0; restart < 2; restart++) {
                for (int i = 0; i < N_CALLS; i++) {
                        char name[] = "product";
                        const td_output outputs[2] = { { .name = i ? NULL : name,
                                                         .replace = true } };
                        td_builder *arguments = dot_arguments(x, false, i);

                        OK(td_function_submit(function, arguments, outputs, 2, tensors[i],
                                              &pending[i], &error));
                        FAILS(td_function_submit(function, arguments, outputs, 1, refused, &late,
                                                 &error),
                              TD_E_BAD_ARGUMENTS);
                        ck_assert_ptr_eq(refused[0], x);
                        td_builder_free(arguments);
                        memset(name, 'z', sizeof(name) - 1);
                }
                for (int i = N_CALLS; i-- > 0;) {
                        OK(td_wait(pending[i], &error));
                        ck_assert_double_eq(value_at(tensors[i][0], 3), 6);
                        ck_assert_double_eq(value_at(tensors[i][1], 0),
                                            (double)N_LARGE * (N_LARGE - 1) + i);
                        td_tensor_free(tensors[i][0]);
                        td_tensor_free(tensors[i][1]);
                }
                OK(td_delete(client, "product", &error));
                kit_stop(SIGKILL);
                kit_start();
        }
        td_tensor_free(x);
        td_function_free(function);
        OK(td_delete(client, "x", &error));
        td_close(client);
}
END_TEST

/* td_wait() says so and frees the tensors; what was donated stays. */
START_TEST(calls_that_are_late)
{
        td_client *client = kit_connect();
        td_function *function = define_dot(client, N_LARGE);
        td_tensor *x = put_ramp(client, N_LARGE, NULL), *tensors[2];
        const td_output outputs[2] = { { .value = 0 } };
        td_builder *arguments = dot_arguments(x, false, 1);
        td_pending *pending;
        td_error error;

        td_builder_donate(arguments, 0);
        td_builder_set_deadline(arguments, 0);
        OK(td_function_submit(function, arguments, outputs, 2, tensors, &pending, &error));
        FAILS(td_wait(pending, &error), TD_E_DEADLINE);
        ck_assert_double_eq(value_at(x, 3), 3);
        td_builder_set_deadline(arguments, -1);
        OK(td_function_submit(function, arguments, outputs, 2, tensors, &pending, &error));
        OK(td_wait(pending, &error));
        FAILS(td_function_submit(function, arguments, outputs, 2, tensors, &pending, &error),
              TD_E_GONE);
        td_builder_free(arguments);
        td_tensor_free(tensors[0]);
        td_tensor_free(tensors[1]);
        td_tensor_free(x);
        td_function_free(function);
        td_close(client);
}
END_TEST

/* A tensor that is donated is gone; where the call is refused it is not. */
START_TEST(donated_arguments)
{
        td_client *client = kit_connect();
        td_function *function = define_dot(client, N_LARGE);
        td_tensor *x = put_ramp(client, N_LARGE, NULL), *tensors[2], *none[2];
        const td_output outputs[2] = { { .map = true } };
        td_builder *arguments = dot_arguments(x, false, 1);
        td_error error;

        td_builder_donate(arguments, 0);
        td_builder_set_deadline(arguments, 0);
        FAILS(td_function_call(function, arguments, outputs, 2, tensors, &error), TD_E_DEADLINE);
        ck_assert_double_eq(value_at(x, 3), 3);
        td_builder_set_deadline(arguments, -1);
        OK(td_function_call(function, arguments, outputs, 2, tensors, &error));
        ck_assert_double_eq(value_at(tensors[0], 3), 6);
        FAILS(td_function_call(function, arguments, outputs, 2, none, &error), TD_E_GONE);
        td_builder_free(arguments);
        td_tensor_free(tensors[0]);
        td_tensor_free(tensors[1]);
        td_tensor_free(x);
        td_function_free(function);
        td_close(client);
}
END_TEST

START_TEST(a_closed_client)
{
        td_client *client = kit_connect();
        td_function *function = define_dot(client, 4);
        td_tensor *x = put_ramp(client, 4, NULL), *tensors[2];
        td_builder *arguments = dot_arguments(x, false, 1);
        const td_output outputs[2] = { { .value = 0 } };
        td_error error;

        td_close(client);
        FAILS(td_function_call(function, arguments, outputs, 2, tensors, &error), TD_E_CLOSED);
        td_builder_free(arguments);
        td_tensor_free(x);
        td_function_free(function);
}
END_TEST

/* ---- refusals ---- */

static td_builder *builder_of(const struct td_type *types, size_t n)
{
        static const double zeros[64];
        td_builder *builder = td_builder_new();

        for (size_t i = 0; i < n; i++)
                td_builder_immediate(builder, &types[i], zeros);
        return builder;
}

START_TEST(wrong_arguments)
{
        const struct td_type right = f64_1d(4), scalar = { .dtype = TD_FLOAT64 };
        const struct td_type ints = { .dtype = TD_INT64, .ndim = 1, .shape = { 4 } };
        const struct {
                struct td_type types[4];
                size_t n, n_outputs;
                int code;
                const char *says;
        } rows[] = {
                { { right, right, scalar }, 3, 1, TD_E_BAD_ARGUMENTS, "1 outputs" },
                { { right, right }, 2, 2, TD_E_BAD_ARGUMENTS, "2 arguments" },
                { { right, right, scalar, scalar }, 4, 2, TD_E_BAD_ARGUMENTS, "4 arguments" },
                { { right, ints, scalar },
                  3,
                  2,
                  TD_E_DTYPE_MISMATCH,
                  "argument 1 is int64 of shape (4,), but was defined as float64 of shape (4,)" },
                { { f64_1d(5), right, scalar },
                  3,
                  2,
                  TD_E_SHAPE_MISMATCH,
                  "argument 0 is float64 of shape (5,), but was defined as float64 of shape (4,)" },
                { { right, right, f64_1d(1) }, 3, 2, TD_E_SHAPE_MISMATCH, "argument 2" },
        };
        td_client *client = kit_connect();
        td_function *function = define_dot(client, 4);
        td_output outputs[2] = { { .value = 0 } };
        td_tensor *tensors[2];
        td_builder *builder;
        td_error error;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                builder = builder_of(rows[i].types, rows[i].n);
                FAILS(td_function_call(function, builder, outputs, rows[i].n_outputs, tensors,
                                       &error),
                      rows[i].code);
                ck_assert_msg(strstr(error.message, rows[i].says), "%s", error.message);
                td_builder_free(builder);
        }
        builder = builder_of(rows[0].types, 3);
        outputs[0].name = "";
        FAILS(td_function_call(function, builder, outputs, 2, tensors, &error), TD_E_BAD_NAME);
        outputs[0].name = NULL;
        td_builder_op(builder, TD_OP_NEGATIVE, NULL, (int[]){ 0 }, 1, NULL);
        FAILS(td_function_call(function, builder, outputs, 2, tensors, &error), TD_E_BAD_ARGUMENTS);
        td_builder_free(builder);
        td_function_free(function);
        td_close(client);
}
END_TEST

/* A parameter stands for nothing that could be computed. */
START_TEST(parameters_are_for_definitions)
{
        const struct td_type type = f64_1d(4), bad = f64_1d(-1);
        td_client *client = kit_connect();
        td_builder *builder = td_builder_new();
        td_function *function;
        td_tensor *tensor;
        td_pending *pending;
        td_output output = { .value = td_builder_parameter(builder, &type) };
        td_error error;

        FAILS(td_run(client, builder, &output, 1, &tensor, &error), TD_E_BAD_PROGRAM);
        ck_assert_ptr_nonnull(strstr(error.message, "value 0"));
        FAILS(td_submit(client, builder, &output, 1, &tensor, &pending, &error), TD_E_BAD_PROGRAM);
        FAILS(td_define(client, builder, (int[]){ 1 }, 1, &function, &error), TD_E_BAD_PROGRAM);
        OK(td_define(client, builder, (int[]){ 0 }, 1, &function, &error));
        FAILS(td_function_call(function, builder, &output, 1, &tensor, &error), TD_E_BAD_PROGRAM);
        td_function_free(function);
        td_builder_donate(builder, 0);
        FAILS(td_builder_check(builder, &error), TD_E_BAD_PROGRAM);
        FAILS(td_define(client, builder, (int[]){ 0 }, 1, &function, &error), TD_E_BAD_PROGRAM);
        td_builder_free(builder);
        builder = td_builder_new();
        ck_assert_int_eq(td_builder_parameter(builder, &bad), -1);
        FAILS(td_builder_check(builder, &error), TD_E_BAD_SHAPE);
        td_builder_free(builder);
        td_close(client);
}
END_TEST

/* ---- how many ---- */

/* So many more can be defined, and not one more. */
static void check_room(td_client *client, unsigned n_room)
{
        const struct td_type type = f64_1d(4);
        td_builder *builder = td_builder_new();
        td_function *functions[TD_DEFINITIONS_MAX], *one_more;
        int value = td_builder_parameter(builder, &type);
        td_error error;

        for (unsigned i = 0; i < n_room; i++)
                OK(td_define(client, builder, &value, 1, &functions[i], &error));
        FAILS(td_define(client, builder, &value, 1, &one_more, &error), TD_E_TOO_MANY);
        for (unsigned i = 0; i < n_room; i++)
                td_function_free(functions[i]);
        td_builder_free(builder);
}

START_TEST(definitions_are_bounded)
{
        td_client *client = kit_connect();
        td_function *kept = define_dot(client, 4);
        td_tensor *x = put_ramp(client, 4, NULL);

        check_room(client, TD_DEFINITIONS_MAX - 1);
        for (int i = 0; i < 3000; i++)
                td_function_free(define_dot(client, 4));
        check_room(client, TD_DEFINITIONS_MAX - 1);
        check_dot(kept, x, 4, NULL);
        td_function_free(kept);
        check_room(client, TD_DEFINITIONS_MAX);
        td_tensor_free(x);
        td_close(client);
}
END_TEST

/* ---- daemons that end ---- */

START_TEST(defined_again)
{
        td_client *client = kit_connect();
        td_function *function = define_dot(client, N_LARGE), *freed = define_dot(client, 4);
        td_tensor *x = put_ramp(client, N_LARGE, "x"), *lost = put_ramp(client, N_LARGE, NULL);
        const td_output outputs[2] = { { .value = 0 } };
        td_tensor *tensors[2];
        td_builder *arguments;
        td_error error;

        for (int i = 0; i < 3; i++) {
                check_dot(function, x, N_LARGE, i == 1 ? "product" : NULL);
                kit_stop(SIGKILL);
                kit_start();
        }
        td_function_free(freed); /* no daemon knows it */
        check_dot(function, x, N_LARGE, "product");
        arguments = dot_arguments(lost, false, 1);
        FAILS(td_function_call(function, arguments, outputs, 2, tensors, &error), TD_E_GONE);
        td_builder_free(arguments);
        check_room(client, TD_DEFINITIONS_MAX - 1);
        td_function_free(function);
        td_tensor_free(x);
        td_tensor_free(lost);
        OK(td_delete(client, "x", &error));
        OK(td_delete(client, "product", &error));
        td_close(client);
}
END_TEST

struct caller {
        td_function *function;
        pthread_t thread;
        pthread_barrier_t *barrier;
};

/* Calls with immediates alone, which nothing can take away. */
static void *call_in_turns(void *ctx)
{
        const struct td_type types[] = { f64_1d(4), f64_1d(4), { .dtype = TD_FLOAT64 } };
        const td_output outputs[2] = { { .value = 0 } };
        const double data[] = { 1, 2, 3, 4 };
        struct caller *caller = ctx;
        td_tensor *tensors[2];
        td_error error;

        for (int turn = 0; turn < 5; turn++) {
                pthread_barrier_wait(caller->barrier);
                for (int i = 0; i < 20; i++) {
                        td_builder *builder = td_builder_new();

                        for (int k = 0; k < 3; k++)
                                td_builder_immediate(builder, &types[k], data);
                        OK(td_function_call(caller->function, builder, outputs, 2, tensors,
                                            &error));
                        ck_assert_double_eq(value_at(tensors[1], 0), 31);
                        td_builder_free(builder);
                        td_tensor_free(tensors[0]);
                        td_tensor_free(tensors[1]);
                }
                pthread_barrier_wait(caller->barrier);
        }
        return NULL;
}

/* Threads that find the connection renewed at once define at once; one definition stays. */
START_TEST(defined_again_by_several_threads)
{
        td_client *client = kit_connect();
        td_function *function = define_dot(client, 4);
        struct caller callers[8];
        pthread_barrier_t barrier;

        pthread_barrier_init(&barrier, NULL, 9);
        for (int i = 0; i < 8; i++) {
                callers[i] = (struct caller){ .function = function, .barrier = &barrier };
                ck_assert_int_eq(
                        pthread_create(&callers[i].thread, NULL, call_in_turns, &callers[i]), 0);
        }
        for (int turn = 0; turn < 5; turn++) {
                pthread_barrier_wait(&barrier);
                pthread_barrier_wait(&barrier);
                check_room(client, TD_DEFINITIONS_MAX - 1);
                kit_stop(SIGKILL);
                kit_start();
        }
        for (int i = 0; i < 8; i++)
                pthread_join(callers[i].thread, NULL);
        pthread_barrier_destroy(&barrier);
        td_function_free(function);
        td_close(client);
}
END_TEST

START_TEST(a_child_has_none)
{
        td_client *client = kit_connect();
        td_function *function = define_dot(client, 4);
        td_tensor *x = put_ramp(client, 4, NULL);
        td_builder *arguments = dot_arguments(x, false, 1);
        int status;
        pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0) {
                const td_output outputs[2] = { { .value = 0 } };
                td_tensor *tensors[2];
                int r = td_function_call(function, arguments, outputs, 2, tensors, NULL);

                td_function_free(function);
                _exit(r == TD_E_CLOSED ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        check_dot(function, x, 4, NULL);
        td_builder_free(arguments);
        td_tensor_free(x);
        td_function_free(function);
        td_close(client);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("function");
        TCase *tc = tcase_create("function");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, kit_setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, calls);
        tcase_add_test(tc, calls_in_two_halves);
        tcase_add_test(tc, calls_that_are_late);
        tcase_add_test(tc, donated_arguments);
        tcase_add_test(tc, a_closed_client);
        tcase_add_test(tc, wrong_arguments);
        tcase_add_test(tc, parameters_are_for_definitions);
        tcase_add_test(tc, definitions_are_bounded);
        tcase_add_test(tc, defined_again);
        tcase_add_test(tc, defined_again_by_several_threads);
        tcase_add_test(tc, a_child_has_none);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
