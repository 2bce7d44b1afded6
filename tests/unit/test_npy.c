/* layer: client */
/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "npy.h"

/* A file's first bytes: the header for a dictionary, as numpy writes it, and n bytes of data. */
static size_t make(uint8_t *out, int version, const char *dictionary, size_t n_data)
{
        size_t n_length = version == 1 ? 2 : 4, n = strlen(dictionary);

        memcpy(out, "\x93NUMPY", 6);
        out[6] = (uint8_t)version;
        out[7] = 0;
        memset(out + 8, 0, n_length);
        out[8] = (uint8_t)(n & 0xff);
        out[9] = (uint8_t)(n >> 8);
        memcpy(out + 8 + n_length, dictionary, n);
        memset(out + 8 + n_length + n, 7, n_data);
        return 8 + n_length + n + n_data;
}

static int parse(const char *dictionary, size_t n_data, struct npy *npy, td_error *error)
{
        uint8_t bytes[4096], *exact;
        size_t n = make(bytes, 1, dictionary, n_data);
        int r;

        exact = malloc(n);
        memcpy(exact, bytes, n);
        r = npy_parse(exact, n, n, npy, error);
        free(exact);
        return r;
}

START_TEST(headers)
{
        struct npy npy;
        td_error error;

        ck_assert_int_eq(parse("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\n", 96,
                               &npy, &error),
                         TD_OK);
        ck_assert_int_eq(npy.type.dtype, TD_FLOAT64);
        ck_assert_int_eq(npy.type.ndim, 2);
        ck_assert_int_eq(npy.type.shape[1], 4);
        ck_assert_int_eq(npy.order, 'C');
        ck_assert_uint_eq(npy.n_bytes, 96);
        ck_assert_int_eq(
                parse("{\"shape\":(5,),\"fortran_order\":True,\"descr\":\"|b1\"}", 5, &npy, &error),
                TD_OK);
        ck_assert_int_eq(npy.type.dtype, TD_BOOL);
        ck_assert_int_eq(npy.order, 'F');
        ck_assert_int_eq(
                parse("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", 8, &npy, &error),
                TD_OK);
        ck_assert_int_eq(npy.type.ndim, 0);
        ck_assert_int_eq(
                parse("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7)}", 0, &npy, &error),
                TD_OK);
        ck_assert_uint_eq(npy.n_bytes, 0);
}
END_TEST

START_TEST(later_versions)
{
        uint8_t bytes[256];
        struct npy npy;
        td_error error;

        for (int version = 1; version <= 4; version++) {
                size_t n = make(bytes, version,
                                "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", 16);

                ck_assert_int_eq(npy_parse(bytes, n, n, &npy, &error),
                                 version < 4 ? TD_OK : TD_E_BAD_FILE);
                if (version < 4)
                        ck_assert_uint_eq(npy.offset + 16, n);
        }
}
END_TEST

START_TEST(dtypes_that_tensors_do_not_have)
{
        static const struct {
                const char *dictionary, *named;
        } bad[] = {
                { "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "|O" },
                { "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }", ">f8" },
                { "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", "<f2" },
                { "{'descr': '<U5', 'fortran_order': False, 'shape': (2,), }", "<U5" },
                { "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (2,), }", "records" },
        };
        struct npy npy;
        td_error error;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                ck_assert_int_eq(parse(bad[i].dictionary, 64, &npy, &error),
                                 TD_E_UNSUPPORTED_DTYPE);
                ck_assert_msg(strstr(error.message, bad[i].named) != NULL, "%s", error.message);
        }
}
END_TEST

START_TEST(files_that_are_none)
{
        static const struct {
                const char *dictionary;
                int code;
        } bad[] = {
                { "", TD_E_BAD_FILE },
                { "{'descr': '<f8'", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False}", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': 1, 'shape': (2,)}", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': (2 3)}", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': 2}", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': (9,)}", TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'colour': 'red'}",
                  TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                  TD_E_BAD_FILE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
                  TD_E_BAD_SHAPE },
                { "{'descr': '<f8', 'fortran_order': False, 'shape': "
                  "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
                  TD_E_RANK_LIMIT },
        };
        uint8_t bytes[512];
        struct npy npy;
        td_error error;
        size_t n;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                ck_assert_msg(parse(bad[i].dictionary, 16, &npy, &error) == bad[i].code, "%s: %s",
                              bad[i].dictionary, error.message);
        n = make(bytes, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", 16);
        for (size_t k = 0; k < n; k++) {
                uint8_t *piece = malloc(k ? k : 1);

                memcpy(piece, bytes, k);
                ck_assert_int_eq(npy_parse(piece, k, k, &npy, &error), TD_E_BAD_FILE);
                free(piece);
        }
        bytes[0] = 'x';
        ck_assert_int_eq(npy_parse(bytes, n, n, &npy, &error), TD_E_BAD_FILE);
}
END_TEST

/* Any layout is written so that it reads back as the same array; dense ones are not rearranged. */
START_TEST(written_and_read)
{
        static const int64_t layouts[][2] = { { 32, 8 }, { 8, 24 }, { -32, 8 } };
        static const char orders[] = { 'C', 'F', 'C' };
        struct td_type type = { .dtype = TD_FLOAT64, .ndim = 2, .shape = { 3, 4 } };
        char directory[] = "/tmp/tensord-test-XXXXXX", path[64];
        double data[12];
        td_error error;

        ck_assert_ptr_nonnull(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/a.npy", directory);
        for (int i = 0; i < 12; i++)
                data[i] = i;
        for (int k = 0; k < 3; k++) {
                const uint8_t *first = (const uint8_t *)data + (layouts[k][0] < 0 ? 64 : 0);
                struct npy_file file;

                ck_assert_int_eq(npy_write(path, &type, layouts[k], first, &error), TD_OK);
                ck_assert_int_eq(npy_open(path, &file, &error), TD_OK);
                ck_assert_int_eq(file.npy.order, orders[k]);
                ck_assert_uint_eq(file.npy.offset % 64, 0);
                ck_assert_uint_eq(file.npy.offset + 96, file.n_bytes);
                for (int i = 0; i < 3; i++)
                        for (int j = 0; j < 4; j++) {
                                const uint8_t *at = (const uint8_t *)file.address +
                                                    file.npy.offset +
                                                    (orders[k] == 'C' ? i * 32 + j * 8
                                                                      : i * 8 + j * 24);

                                ck_assert_mem_eq(at, first + i * layouts[k][0] + j * layouts[k][1],
                                                 8);
                        }
                npy_close(&file);
        }
        unlink(path);
        ck_assert_int_eq(rmdir(directory), 0); /* no part of a file is left */
        ck_assert_int_eq(npy_write(path, &type, layouts[0], data, &error), TD_E_SYSTEM);
        ck_assert_int_eq(npy_open(path, &(struct npy_file){ 0 }, &error), TD_E_SYSTEM);
        ck_assert_int_eq(npy_open("/dev/null", &(struct npy_file){ 0 }, &error), TD_E_BAD_FILE);
}
END_TEST

/* copy_array() against the definition, over shapes, orders and strides. */
START_TEST(copies)
{
        static const struct td_type types[] = {
                { TD_FLOAT64, 2, { 70, 90 } }, { TD_FLOAT32, 3, { 5, 33, 7 } },
                { TD_BOOL, 1, { 100 } },       { TD_INT64, 4, { 3, 1, 65, 2 } },
                { TD_FLOAT64, 0, { 0 } },      { TD_FLOAT64, 2, { 0, 4 } },
        };
        static const unsigned sizes[] = { 1, 8, 4, 8 };

        for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
                const struct td_type *type = &types[t];
                int64_t size = sizes[type->dtype], from_strides[TD_NDIM_MAX],
                        to_strides[TD_NDIM_MAX], n = 1;
                uint8_t *from, *to;

                for (unsigned i = 0; i < type->ndim; i++)
                        n *= type->shape[i];
                from = malloc((size_t)(n * size * 2 + 8));
                to = malloc((size_t)(n * size) + 1);
                for (int64_t i = 0; i < n * size * 2 + 8; i++)
                        from[i] = (uint8_t)(i * 7 + i / 251);
                for (const char *p = "CFcfCF"; *p; p++) {
                        char order = p[0] == 'C' || p[0] == 'c' ? 'C' : 'F';
                        int64_t offset = 0;

                        dense_strides(type, order == 'C' && p[1] ? 'F' : 'C', from_strides);
                        for (unsigned i = 0; i < type->ndim; i++) {
                                from_strides[i] *= p[0] >= 'a' ? -2 : 1;
                                offset += from_strides[i] < 0 && type->shape[i]
                                                  ? -from_strides[i] * (type->shape[i] - 1)
                                                  : 0;
                        }
                        dense_strides(type, order, to_strides);
                        copy_array(to, type, order, from + offset, from_strides);
                        for (int64_t flat = 0; flat < n; flat++) {
                                int64_t rest = flat, at = offset, wanted_at = 0;

                                for (unsigned i = type->ndim; i-- > 0; rest /= type->shape[i]) {
                                        at += rest % type->shape[i] * from_strides[i];
                                        wanted_at += rest % type->shape[i] * to_strides[i];
                                }
                                ck_assert_mem_eq(to + wanted_at, from + at, (size_t)size);
                        }
                }
                free(from);
                free(to);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("npy");
        TCase *tc = tcase_create("npy");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_test(tc, headers);
        tcase_add_test(tc, later_versions);
        tcase_add_test(tc, dtypes_that_tensors_do_not_have);
        tcase_add_test(tc, files_that_are_none);
        tcase_add_test(tc, written_and_read);
        tcase_add_test(tc, copies);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
