/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * The client against a real daemon: tensors, mappings, programs, threads.
 */
#include "daemon_kit.h"

#include <math.h>
#include <pthread.h>

static bool is_mapped_writable(const void *address)
{
        unsigned long begin, end;
        char line[512], mode[8];
        bool is_writable = false, is_found = false;
        FILE *maps = fopen("/proc/self/maps", "r");

        ck_assert_ptr_nonnull(maps);
        while (fgets(line, sizeof(line), maps)) {
                if (sscanf(line, "%lx-%lx %7s", &begin, &end, mode) == 3 &&
                    begin <= (unsigned long)address && (unsigned long)address < end) {
                        is_found = true;
                        is_writable = mode[1] == 'w';
                }
        }
        fclose(maps);
        ck_assert(is_found);
        return is_writable;
}

/* ---- tensors ---- */

START_TEST(put_open_map)
{
        td_client *a = kit_connect(), *b = kit_connect();
        double *data = ramp(100000);
        struct td_type type = f64_1d(100000);
        td_tensor *put, *first, *second;
        td_mapping *x, *y;
        td_error error;

        OK(td_put(a, data, &type, NULL, 'C', "numbers", false, &put, &error));
        ck_assert_str_eq(td_tensor_name(put), "numbers");
        ck_assert(td_tensor_is_sealed(put));
        OK(td_open(b, "numbers", &first, &error));
        OK(td_open_id(b, td_tensor_id(put), &second, &error));
        ck_assert_mem_eq(td_tensor_id(first), td_tensor_id(second), 16);
        ck_assert_uint_eq(td_tensor_n_bytes(first), 800000);
        OK(td_map(first, TD_MAP_READ, true, &x, &error));
        OK(td_map(second, TD_MAP_READ, true, &y, &error));
        ck_assert_ptr_eq(td_mapping_data(x), td_mapping_data(y));
        ck_assert_mem_eq(td_mapping_data(x), data, 800000);
        ck_assert(!is_mapped_writable(td_mapping_data(x)));
        td_mapping_free(x);
        td_tensor_free(first);
        ck_assert_mem_eq(td_mapping_data(y), data, 800000);
        FAILS(td_put(b, data, &type, NULL, 'C', "numbers", false, NULL, &error), TD_E_NAME_TAKEN);
        FAILS(td_map(second, TD_MAP_WRITE, true, &x, &error), TD_E_SEALED);
        OK(td_put(b, data, &type, NULL, 'C', "numbers", true, NULL, &error));
        OK(td_delete(b, "numbers", &error));
        FAILS(td_open(a, "numbers", &first, &error), TD_E_NOT_FOUND);
        td_close(b);
        ck_assert_mem_eq(td_mapping_data(y), data, 800000);
        td_mapping_free(y);
        td_tensor_free(second);
        td_tensor_free(put);
        td_close(a);
        free(data);
}
END_TEST

/* Any strides, all orders, as the daemon then sees them. */
START_TEST(put_strided)
{
        td_client *client = kit_connect();
        double *data = ramp(3 * 300 * 40);
        struct td_type type = { .dtype = TD_FLOAT64, .ndim = 3, .shape = { 40, 150, 3 } };
        const int64_t strides[] = { 8, -2 * 40 * 8, 300 * 40 * 8 };
        const uint8_t *first = (const uint8_t *)data + 299 * 40 * 8;
        td_error error;

        for (const char *order = "CFK"; *order; order++) {
                const int64_t nearest = *order == 'C' ? 150 * 3 * 8 : 8;
                td_tensor *tensor;
                td_mapping *mapping;
                const int64_t *s;

                OK(td_put(client, first, &type, strides, *order, NULL, false, &tensor, &error));
                s = td_tensor_strides(tensor);
                ck_assert_int_eq(s[0], nearest);
                OK(td_map(tensor, TD_MAP_READ, true, &mapping, &error));
                for (int64_t i = 0; i < 40; i++)
                        for (int64_t j = 0; j < 150; j++)
                                for (int64_t k = 0; k < 3; k++) {
                                        double wanted, got;

                                        memcpy(&wanted,
                                               first + i * strides[0] + j * strides[1] +
                                                       k * strides[2],
                                               8);
                                        memcpy(&got,
                                               (uint8_t *)td_mapping_data(mapping) + i * s[0] +
                                                       j * s[1] + k * s[2],
                                               8);
                                        ck_assert_double_eq(got, wanted);
                                }
                td_mapping_free(mapping);
                td_tensor_free(tensor);
        }
        td_close(client);
        free(data);
}
END_TEST

START_TEST(small_ones)
{
        td_client *client = kit_connect();
        const int64_t pair[] = { 7, -9 };
        struct td_type type = { .dtype = TD_INT64, .ndim = 1, .shape = { 2 } };
        struct td_type none = { .dtype = TD_FLOAT32, .ndim = 2, .shape = { 3, 0 } };
        td_tensor *tensor, *empty;
        td_mapping *copy, *cow, *a, *b;
        td_error error;

        OK(td_put(client, pair, &type, NULL, 'C', "pair", false, NULL, &error));
        OK(td_open(client, "pair", &tensor, &error));
        OK(td_map(tensor, TD_MAP_READ, false, &copy, &error));
        ck_assert_mem_eq(td_mapping_data(copy), pair, 16);
        OK(td_map(tensor, TD_MAP_COW, false, &cow, &error));
        ((int64_t *)td_mapping_data(cow))[0] = 1;
        OK(td_map(tensor, TD_MAP_READ, true, &a, &error));
        OK(td_map(tensor, TD_MAP_READ, true, &b, &error));
        ck_assert_ptr_eq(td_mapping_data(a), td_mapping_data(b));
        ck_assert_mem_eq(td_mapping_data(a), pair, 16);
        ck_assert_mem_eq(td_mapping_data(copy), pair, 16);
        OK(td_put(client, NULL, &none, NULL, 'C', NULL, false, &empty, &error));
        td_mapping_free(a);
        OK(td_map(empty, TD_MAP_READ, true, &a, &error));
        ck_assert_ptr_nonnull(td_mapping_data(a));
        ck_assert_uint_eq(td_mapping_n_bytes(a), 0);
        td_mapping_free(a);
        td_mapping_free(b);
        td_mapping_free(cow);
        td_mapping_free(copy);
        td_tensor_free(empty);
        td_tensor_free(tensor);
        OK(td_delete(client, "pair", &error));
        td_close(client);
}
END_TEST

START_TEST(create_write_seal)
{
        td_client *client = kit_connect();
        struct td_type type = f64_1d(5000);
        td_tensor *tensor, *other;
        td_mapping *mapping, *again;
        td_error error;

        OK(td_create(client, &type, 'C', "filled", false, &tensor, &error));
        ck_assert(!td_tensor_is_sealed(tensor));
        FAILS(td_map(tensor, TD_MAP_READ, true, &mapping, &error), TD_E_NOT_SEALED);
        OK(td_map(tensor, TD_MAP_WRITE, true, &mapping, &error));
        for (int i = 0; i < 5000; i++)
                ((double *)td_mapping_data(mapping))[i] = i;
        FAILS(td_open(client, "filled", &other, &error), TD_E_NOT_FOUND);
        OK(td_seal(tensor, &error));
        ck_assert(td_tensor_is_sealed(tensor));
        ck_assert(!is_mapped_writable(td_mapping_data(mapping)));
        FAILS(td_seal(tensor, &error), TD_E_SEALED);
        OK(td_open(client, "filled", &other, &error));
        OK(td_map(other, TD_MAP_READ, true, &again, &error));
        ck_assert_ptr_eq(td_mapping_data(again), td_mapping_data(mapping));
        ck_assert_double_eq(((double *)td_mapping_data(again))[4999], 4999);
        td_mapping_free(mapping);
        td_mapping_free(again);
        td_tensor_free(tensor);
        td_tensor_free(other);
        OK(td_delete(client, "filled", &error));
        td_close(client);
}
END_TEST

START_TEST(private_copies)
{
        td_client *client = kit_connect();
        double *data = ramp(20000);
        struct td_type type = f64_1d(20000);
        td_tensor *tensor;
        td_mapping *one, *two, *shared;
        td_error error;

        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &tensor, &error));
        OK(td_map(tensor, TD_MAP_COW, true, &one, &error));
        OK(td_map(tensor, TD_MAP_COW, true, &two, &error));
        OK(td_map(tensor, TD_MAP_READ, true, &shared, &error));
        ck_assert_ptr_ne(td_mapping_data(one), td_mapping_data(two));
        ck_assert_ptr_ne(td_mapping_data(one), td_mapping_data(shared));
        memset(td_mapping_data(one), 0, 160000);
        ck_assert_mem_eq(td_mapping_data(two), data, 160000);
        ck_assert_mem_eq(td_mapping_data(shared), data, 160000);
        td_tensor_free(tensor);
        td_mapping_free(one);
        td_mapping_free(shared);
        td_mapping_free(two);
        td_close(client);
        free(data);
}
END_TEST

/* A freed segment comes back to the connection that still maps it. */
START_TEST(puts_are_warm)
{
        td_client *client = kit_connect();
        double *data = ramp(500000);
        struct td_type type = f64_1d(500000);
        void *first = NULL;
        td_error error;

        for (int i = 0; i < 4; i++) {
                td_tensor *tensor;
                td_mapping *mapping;

                data[0] = i;
                OK(td_put(client, data, &type, NULL, 'C', NULL, false, &tensor, &error));
                OK(td_map(tensor, TD_MAP_READ, true, &mapping, &error));
                ck_assert_mem_eq(td_mapping_data(mapping), data, 4000000);
                if (i)
                        ck_assert_ptr_eq(td_mapping_data(mapping), first);
                first = td_mapping_data(mapping);
                td_mapping_free(mapping);
                td_tensor_free(tensor);
        }
        td_close(client);
        free(data);
}
END_TEST

START_TEST(everything_outlives_its_client)
{
        td_client *client = kit_connect();
        double *data = ramp(10000);
        struct td_type type = f64_1d(10000);
        td_tensor *tensor;
        td_mapping *mapping, *later;
        td_error error;

        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &tensor, &error));
        OK(td_map(tensor, TD_MAP_READ, true, &mapping, &error));
        td_close(client);
        OK(td_map(tensor, TD_MAP_READ, true, &later, &error));
        FAILS(td_name(tensor, "late", false, &error), TD_E_CLOSED);
        td_tensor_free(tensor);
        ck_assert_mem_eq(td_mapping_data(mapping), data, 80000);
        td_mapping_free(mapping);
        ck_assert_mem_eq(td_mapping_data(later), data, 80000);
        td_mapping_free(later);
        free(data);
}
END_TEST

/* ---- names ---- */

START_TEST(many_names)
{
        td_client *client = kit_connect();
        struct td_type type = f64_1d(1);
        char name[32], before[32] = "";
        td_list *list;
        td_error error;

        for (int i = 0; i < 2100; i++) {
                double value = i;

                snprintf(name, sizeof(name), "n/%04d", i);
                OK(td_put(client, &value, &type, NULL, 'C', name, false, NULL, &error));
        }
        OK(td_put(client, &(double){ 1 }, &type, NULL, 'C', "other", false, NULL, &error));
        OK(td_list_names(client, "n/", &list, &error));
        ck_assert_uint_eq(td_list_size(list), 2100);
        for (size_t i = 0; i < 2100; i++) {
                const td_list_row *row = td_list_at(list, i);

                ck_assert_int_lt(strcmp(before, row->name), 0);
                strcpy(before, row->name);
                ck_assert_uint_eq(row->n_bytes, 8);
                OK(td_delete(client, row->name, &error));
        }
        ck_assert_ptr_null(td_list_at(list, 2100));
        td_list_free(list);
        OK(td_list_names(client, NULL, &list, &error));
        ck_assert_uint_eq(td_list_size(list), 1);
        td_list_free(list);
        OK(td_delete(client, "other", &error));
        FAILS(td_delete(client, "other", &error), TD_E_NOT_FOUND);
        FAILS(td_delete(client, "", &error), TD_E_BAD_NAME);
        td_close(client);
}
END_TEST

START_TEST(naming_later)
{
        td_client *client = kit_connect();
        double *data = ramp(1000);
        struct td_type type = f64_1d(1000);
        td_tensor *one, *two, *back;
        td_error error;

        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &one, &error));
        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &two, &error));
        OK(td_name(one, "latest", false, &error));
        FAILS(td_name(two, "latest", false, &error), TD_E_NAME_TAKEN);
        OK(td_name(two, "latest", true, &error));
        OK(td_open(client, "latest", &back, &error));
        ck_assert_mem_eq(td_tensor_id(back), td_tensor_id(two), 16);
        OK(td_delete(client, "latest", &error));
        td_tensor_free(one);
        td_tensor_free(two);
        td_tensor_free(back);
        td_close(client);
        free(data);
}
END_TEST

/* ---- programs ---- */

static double value_of(td_tensor *tensor)
{
        td_mapping *mapping;
        double value;
        td_error error;

        OK(td_map(tensor, TD_MAP_READ, false, &mapping, &error));
        memcpy(&value, td_mapping_data(mapping), sizeof(value));
        td_mapping_free(mapping);
        return value;
}

/* Small results stay here, go in again as bytes, and get an id when somebody wants one. */
START_TEST(small_results)
{
        td_client *client = kit_connect(), *other = kit_connect();
        struct td_type scalar = { .dtype = TD_FLOAT64 }, row = f64_1d(4);
        const double four[] = { 1, 2, 3, 4 };
        td_builder *builder = td_builder_new();
        td_tensor *sums[2], *twice, *turned, *opened;
        td_output outputs[2] = { { .value = 0 }, { .value = 0 } };
        const int64_t back[] = { -8 };
        td_error error;
        int x, y;

        x = td_builder_immediate(builder, &row, four);
        y = td_builder_immediate(builder, &scalar, &(double){ 10 });
        outputs[0].value = td_builder_op(builder, TD_OP_SUM, NULL, &x, 1, NULL);
        outputs[1].value = td_builder_op(builder, TD_OP_MULTIPLY, NULL, (int[]){ x, y }, 2, NULL);
        OK(td_run(client, builder, outputs, 2, sums, &error));
        td_builder_free(builder);
        ck_assert_double_eq(value_of(sums[0]), 10);
        ck_assert_int_eq(td_tensor_type(sums[1])->shape[0], 4);

        builder = td_builder_new();
        x = td_builder_input(builder, sums[0]);
        y = td_builder_input_view(builder, sums[1], &(struct td_type){ TD_FLOAT64, 1, { 2 } }, back,
                                  24);
        outputs[0].value = td_builder_op(builder, TD_OP_SUBTRACT, NULL, (int[]){ y, x }, 2, NULL);
        OK(td_run(client, builder, outputs, 1, &twice, &error));
        td_builder_free(builder);
        ck_assert_double_eq(value_of(twice), 30);

        /* in the order of axes that they have, here and there */
        builder = td_builder_new();
        x = td_builder_array(builder, &(struct td_type){ TD_FLOAT64, 2, { 2, 2 } }, four,
                             (int64_t[]){ 8, 16 });
        outputs[0].value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &x, 1, NULL);
        OK(td_run(client, builder, outputs, 1, &turned, &error));
        td_builder_free(builder);
        ck_assert_int_eq(td_tensor_strides(turned)[0], 8);
        OK(td_open_id(other, td_tensor_id(turned), &opened, &error));
        ck_assert_int_eq(td_tensor_strides(opened)[0], 8);
        ck_assert_int_eq(td_tensor_strides(opened)[1], 16);
        td_tensor_free(opened);
        td_tensor_free(turned);

        OK(td_open_id(other, td_tensor_id(twice), &opened, &error));
        ck_assert_double_eq(value_of(opened), 30);
        td_tensor_free(opened);
        td_tensor_free(twice);
        td_tensor_free(sums[0]);
        td_tensor_free(sums[1]);
        td_close(client);
        td_close(other);
}
END_TEST

START_TEST(views_that_reach_outside)
{
        td_client *client = kit_connect();
        double *data = ramp(1000);
        struct td_type large = f64_1d(1000), small = f64_1d(4), view = f64_1d(3);
        td_tensor *tensors[2], *result;
        const int64_t stride = 8;
        td_builder *builder = td_builder_new();
        td_output output = { .value = 0 };
        td_error error;
        int x;

        OK(td_put(client, data, &large, NULL, 'C', NULL, false, &tensors[0], &error));
        x = td_builder_immediate(builder, &small, data);
        output.value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &x, 1, NULL);
        OK(td_run(client, builder, &output, 1, &tensors[1], &error));
        td_builder_free(builder);
        for (int i = 0; i < 2; i++) {
                builder = td_builder_new();
                x = td_builder_input_view(builder, tensors[i], &view, &stride, i ? 16 : 7984);
                output.value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &x, 1, NULL);
                FAILS(td_run(client, builder, &output, 1, &result, &error), TD_E_BAD_VIEW);
                td_builder_free(builder);
                td_tensor_free(tensors[i]);
        }
        td_close(client);
        free(data);
}
END_TEST

/* Each request names the result of the one before, none waits. */
START_TEST(pipelined)
{
        enum { N = 200 };
        td_client *client = kit_connect();
        struct td_type type = f64_1d(1000);
        double *data = ramp(1000);
        td_tensor *tensors[N + 1];
        td_pending *pending[N];
        td_error error;

        OK(td_put(client, data, &type, NULL, 'C', NULL, false, &tensors[0], &error));
        for (int i = 0; i < N; i++) {
                td_builder *builder = td_builder_new();
                int x = td_builder_input(builder, tensors[i]), one;
                td_output output = { .value = 0 };

                one = td_builder_immediate(builder, &(struct td_type){ .dtype = TD_FLOAT64 },
                                           &(double){ 1 });
                output.value = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ x, one }, 2, NULL);
                OK(td_submit(client, builder, &output, 1, &tensors[i + 1], &pending[i], &error));
                td_builder_free(builder);
                td_tensor_free(tensors[i]);
        }
        for (int i = 0; i < N; i++)
                OK(td_wait(pending[i], &error));
        ck_assert_double_eq(value_of(tensors[N]), N);
        td_tensor_free(tensors[N]);
        td_close(client);
        free(data);
}
END_TEST

/* More than the socket takes, sent without reading: the client reads meanwhile. */
START_TEST(a_full_socket)
{
        enum { N = 1500 };
        static td_tensor *tensors[N];
        static td_pending *pending[N];
        td_client *client = kit_connect();
        struct td_type type = f64_1d(512);
        double *data = ramp(512);
        td_builder *builder = td_builder_new();
        int x = td_builder_immediate(builder, &type, data);
        td_output output = { .value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &x, 1, NULL) };
        td_error error;

        for (int i = 0; i < N; i++)
                OK(td_submit(client, builder, &output, 1, &tensors[i], &pending[i], &error));
        while (!td_poll(pending[N - 1]))
                ;
        for (int i = N - 1; i >= 0; i--) {
                td_mapping *mapping;

                OK(td_wait(pending[i], &error));
                OK(td_map(tensors[i], TD_MAP_READ, false, &mapping, &error));
                ck_assert_double_eq(((double *)td_mapping_data(mapping))[511], -511);
                td_mapping_free(mapping);
                td_tensor_free(tensors[i]);
        }
        td_builder_free(builder);
        td_close(client);
        free(data);
}
END_TEST

struct worker {
        td_client *client;
        int number;
};

static void *work(void *arg)
{
        const struct worker *worker = arg;
        struct td_type type = f64_1d(2000);
        double *data = ramp(2000);
        td_error error;

        for (int i = 0; i < 100; i++) {
                td_builder *builder = td_builder_new();
                td_tensor *tensor, *result;
                td_mapping *mapping;
                td_output output = { .map = i % 2 };
                int x;

                data[1] = worker->number * 1000 + i;
                OK(td_put(worker->client, data, &type, NULL, 'C', NULL, false, &tensor, &error));
                x = td_builder_input(builder, tensor);
                output.value = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ x, x }, 2, NULL);
                OK(td_run(worker->client, builder, &output, 1, &result, &error));
                OK(td_map(result, TD_MAP_READ, true, &mapping, &error));
                ck_assert_double_eq(((double *)td_mapping_data(mapping))[1], 2 * data[1]);
                ck_assert_double_eq(((double *)td_mapping_data(mapping))[1999], 2 * 1999);
                td_mapping_free(mapping);
                td_tensor_free(result);
                td_tensor_free(tensor);
                td_builder_free(builder);
        }
        free(data);
        return NULL;
}

START_TEST(several_threads)
{
        td_client *client = kit_connect();
        struct worker workers[4];
        pthread_t threads[4];

        for (int i = 0; i < 4; i++) {
                workers[i] = (struct worker){ client, i };
                ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        td_close(client);
}
END_TEST

START_TEST(refusals)
{
        td_client *client = kit_connect();
        struct td_type two = f64_1d(2), three = f64_1d(3), bad = f64_1d(-1);
        const double data[3] = { 1, 2, 3 };
        td_builder *builder = td_builder_new();
        td_tensor *tensor;
        td_error error;
        void *result;
        size_t n;
        int x = td_builder_immediate(builder, &two, data),
            y = td_builder_immediate(builder, &three, data);

        ck_assert_int_eq(td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ x, y }, 2, NULL), -1);
        FAILS(td_run(client, builder, &(td_output){ .value = 0 }, 1, &tensor, &error),
              TD_E_SHAPE_MISMATCH);
        ck_assert_ptr_nonnull(strstr(error.message, "(2,)"));
        ck_assert_ptr_nonnull(strstr(error.message, "(3,)"));
        td_builder_free(builder);
        FAILS(td_put(client, data, &bad, NULL, 'C', NULL, false, &tensor, &error), TD_E_BAD_SHAPE);
        FAILS(td_put(client, data, &two, NULL, 'X', NULL, false, &tensor, &error),
              TD_E_BAD_ARGUMENTS);
        FAILS(td_put(client, data, &two, NULL, 'C', "a\nb", false, &tensor, &error), TD_E_BAD_NAME);
        FAILS(td_call(client, "frobnicate", NULL, 0, &result, &n, &error), TD_E_UNKNOWN_METHOD);
        FAILS(td_call(client, "ping", "\x81\xa1x\x01", 4, &result, &n, &error), TD_E_BAD_ARGUMENTS);
        OK(td_ping(client, &error));
        td_close(client);
}
END_TEST

/* What stood there before a call that failed is still the caller's. */
START_TEST(out_arguments_are_written_on_success_only)
{
        td_client *client = kit_connect();
        struct td_type scalar = { .dtype = TD_INT64 };
        const int64_t minus_one = -1;
        td_builder *builder = td_builder_new();
        int x = td_builder_immediate(builder, &scalar, &minus_one);
        td_output outputs[2] = { { .value = x }, { .value = -1 } };
        td_tensor *const kept[2] = { (void *)&scalar, (void *)&outputs };
        td_tensor *tensors[2] = { kept[0], kept[1] };
        td_pending *pending = (void *)client;
        td_error error;

        FAILS(td_run(client, builder, outputs, 2, tensors, &error), TD_E_BAD_PROGRAM);
        FAILS(td_submit(client, builder, outputs, 2, tensors, &pending, &error), TD_E_BAD_PROGRAM);
        outputs[1].value = td_builder_op(builder, TD_OP_POW, NULL, (int[]){ x, x }, 2, NULL);
        FAILS(td_run(client, builder, outputs, 2, tensors, &error), TD_E_BAD_VALUE);
        outputs[0].map = true;
        FAILS(td_run(client, builder, outputs, 2, tensors, &error), TD_E_BAD_VALUE);
        ck_assert_mem_eq(tensors, kept, sizeof(kept));
        ck_assert_ptr_eq(pending, (void *)client);
        OK(td_run(client, builder, outputs, 1, tensors, &error));
        ck_assert_ptr_ne(tensors[0], kept[0]);
        ck_assert_ptr_eq(tensors[1], kept[1]);
        td_tensor_free(tensors[0]);
        td_builder_free(builder);
        td_close(client);
}
END_TEST

START_TEST(addresses)
{
        char path[256];
        td_options options = { .address = path, .timeout_ms = 200 };
        td_client *client;
        td_error error;

        snprintf(path, sizeof(path), "%s/nobody", kit_directory);
        FAILS(td_connect(&client, &options, &error), TD_E_NO_DAEMON);
        memset(path, 'x', 200);
        path[0] = '/';
        path[200] = '\0';
        FAILS(td_connect(&client, &options, &error), TD_E_BAD_ARGUMENTS);
        ck_assert_ptr_nonnull(strstr(error.message, "200"));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("client");
        TCase *tc = tcase_create("client");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, kit_setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, put_open_map);
        tcase_add_test(tc, put_strided);
        tcase_add_test(tc, small_ones);
        tcase_add_test(tc, create_write_seal);
        tcase_add_test(tc, private_copies);
        tcase_add_test(tc, puts_are_warm);
        tcase_add_test(tc, everything_outlives_its_client);
        tcase_add_test(tc, many_names);
        tcase_add_test(tc, naming_later);
        tcase_add_test(tc, small_results);
        tcase_add_test(tc, views_that_reach_outside);
        tcase_add_test(tc, pipelined);
        tcase_add_test(tc, a_full_socket);
        tcase_add_test(tc, several_threads);
        tcase_add_test(tc, refusals);
        tcase_add_test(tc, out_arguments_are_written_on_success_only);
        tcase_add_test(tc, addresses);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
