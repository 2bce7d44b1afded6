/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

/* The same bits with any number of threads as without workers. */
static void check_threads(enum td_op op, const struct td_attrs *attrs, const struct array *args,
                          const struct array *first)
{
        const unsigned n_threads[] = { 1, 2, 7 };

        for (unsigned t = 0; t < 3; t++) {
                struct array again = kit_one(op, attrs, 2, args, n_threads[t]);

                ck_assert_mem_eq(first->bytes, again.bytes, (size_t)desc_n_bytes(&first->desc));
                array_free(&again);
        }
}

/* What is searched need not be in order: then places are any, but within bounds. */
START_TEST(searchsorted_finds_places)
{
        const unsigned dtypes[] = { TD_BOOL, TD_INT16, TD_UINT64, TD_FLOAT32, TD_FLOAT64 };
        const unsigned dtype = dtypes[_i % 5];
        const bool is_right = _i >= 5;
        struct td_attrs sort = { .set = TD_ATTR_AXES, .n_axes = 1, .axes = { 0 } };
        struct td_attrs attrs = { .set = TD_ATTR_RIGHT, .right = is_right };
        struct array x = array_random(dtype, LAYOUT_SLICED, SHAPE(20000));
        struct array args[2] = { kit_one(TD_OP_SORT, &sort, 1, &x, 2),
                                 array_random(dtype, LAYOUT_NEGATIVE, SHAPE(41, 1000)) };
        struct array first = kit_one(TD_OP_SEARCHSORTED, &attrs, 2, args, 0);

        for (int64_t i = 0; i < 41 * 1000; i++) {
                int64_t at = array_get_int(&first, i);
                double value = array_get(&args[1], i);

                EXPECT(at >= 0 && at <= 20000, "place");
                if (at > 0)
                        EXPECT(is_right ? array_get(&args[0], at - 1) <= value
                                        : array_get(&args[0], at - 1) < value,
                               "before");
                if (at < 20000)
                        EXPECT(is_right ? array_get(&args[0], at) > value
                                        : array_get(&args[0], at) >= value,
                               "behind");
        }
        check_threads(TD_OP_SEARCHSORTED, &attrs, args, &first);
        array_free(&first);
        array_free(&args[0]);
        args[0] = x;
        first = kit_one(TD_OP_SEARCHSORTED, &attrs, 2, args, 2);
        for (int64_t i = 0; i < 41 * 1000; i++)
                EXPECT(array_get_int(&first, i) >= 0 && array_get_int(&first, i) <= 20000, "place");
        array_free(&first);
        array_free(&x);
        array_free(&args[1]);
}
END_TEST

/* Mixed dtypes are compared as what they promote to; NaN is nowhere, -0.0 is 0.0. */
START_TEST(isin_finds_elements)
{
        struct array args[2] = { array_random(TD_FLOAT64, LAYOUT_F, SHAPE(40, 1000)),
                                 array_random(TD_INT8, LAYOUT_SLICED, SHAPE(70000)) };
        bool is_there[256] = { false };
        struct array first;

        item_write(array_at(&args[0], 5), TD_FLOAT64, (double)NAN);
        item_write(array_at(&args[0], 6), TD_FLOAT64, -0.0);
        item_write(array_at(&args[1], 7), TD_INT8, 0);
        for (int64_t i = 0; i < 70000; i++)
                is_there[(uint8_t)array_get_int(&args[1], i)] = true;
        first = kit_one(TD_OP_ISIN, NULL, 2, args, 0);
        for (int64_t i = 0; i < 40 * 1000; i++) {
                double value = array_get(&args[0], i);
                bool want = value == floor(value) && is_there[(uint8_t)(int8_t)value];

                EXPECT(array_get_int(&first, i) == want, "%ld", (long)i);
        }
        ck_assert_int_eq(array_get_int(&first, 5), 0);
        ck_assert_int_eq(array_get_int(&first, 6), 1);
        check_threads(TD_OP_ISIN, NULL, args, &first);
        array_free(&first);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

/* Both parts tell, also where one of them is as frequent as can be. */
START_TEST(isin_finds_complex_elements)
{
        const unsigned dtype = _i == 0 ? TD_COMPLEX64 : TD_COMPLEX128, part = td_float_for(dtype);
        const int64_t size = td_dtype_size(part);
        struct array args[2] = { array_new(dtype, LAYOUT_F, SHAPE(40, 1000)),
                                 array_new(dtype, LAYOUT_SLICED, SHAPE(70000)) };
        bool is_there[300][7] = { { false } };
        struct array first;

        for (unsigned a = 0; a < 2; a++)
                for (int64_t i = 0; i < desc_n_elements(&args[a].desc); i++) {
                        uint64_t re = kit_random() % 300, im = kit_random() % (a ? 3 : 7);

                        item_write(array_at(&args[a], i), part, (double)re - 100);
                        item_write(array_at(&args[a], i) + size, part, (double)im - 3);
                        is_there[re][im] = is_there[re][im] || a == 1;
                }
        item_write(array_at(&args[0], 5) + size, part, (double)NAN);
        item_write(array_at(&args[1], 5) + size, part, (double)NAN);
        first = kit_one(TD_OP_ISIN, NULL, 2, args, 0);
        for (int64_t i = 0; i < 40 * 1000; i++) {
                union td_scalar im = { 0 };
                int64_t re = (int64_t)array_get(&args[0], i) + 100;

                memcpy(&im, array_at(&args[0], i) + size, (size_t)size);
                EXPECT(array_get_int(&first, i) ==
                               (i != 5 && is_there[re][(int)scalar_get(im, part) + 3]),
                       "%ld", (long)i);
        }
        check_threads(TD_OP_ISIN, NULL, args, &first);
        array_free(&first);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

static void check_places(enum td_op op, const struct td_attrs *attrs, const struct array *args,
                         const int64_t *expected)
{
        struct array result = kit_one(op, attrs, 2, args, 0);

        for (int64_t i = 0; i < desc_n_elements(&result.desc); i++)
                ck_assert_int_eq(array_get_int(&result, i), expected[i]);
        array_free(&result);
}

/* Signed integers beside uint64, as they are: as float64 most of these would be equal. */
START_TEST(mixed_integers_are_compared_exactly)
{
        const struct td_attrs right = { .set = TD_ATTR_RIGHT, .right = true };
        const int64_t i64[] = { INT64_MIN, -1, 0, (INT64_C(1) << 53) + 1, INT64_MAX };
        const uint64_t u64[] = { 0, (UINT64_C(1) << 53) + 1, INT64_MAX, UINT64_C(1) << 63,
                                 UINT64_MAX };
        struct array of_i64 = array_new(TD_INT64, LAYOUT_C, SHAPE(5));
        struct array of_u64 = array_new(TD_UINT64, LAYOUT_C, SHAPE(5));
        struct array of_i8 = array_of(TD_INT8, 3, (double[]){ -1, 0, 1 });

        memcpy(of_i64.bytes, i64, sizeof(i64));
        memcpy(of_u64.bytes, u64, sizeof(u64));
        check_places(TD_OP_SEARCHSORTED, NULL, (struct array[]){ of_i64, of_u64 },
                     (int64_t[]){ 2, 3, 4, 5, 5 });
        check_places(TD_OP_SEARCHSORTED, &right, (struct array[]){ of_i64, of_u64 },
                     (int64_t[]){ 3, 4, 5, 5, 5 });
        check_places(TD_OP_SEARCHSORTED, NULL, (struct array[]){ of_u64, of_i64 },
                     (int64_t[]){ 0, 0, 0, 1, 2 });
        check_places(TD_OP_SEARCHSORTED, &right, (struct array[]){ of_u64, of_i64 },
                     (int64_t[]){ 0, 0, 1, 2, 3 });
        check_places(TD_OP_ISIN, NULL, (struct array[]){ of_i64, of_u64 },
                     (int64_t[]){ 0, 0, 1, 1, 1 });
        check_places(TD_OP_ISIN, NULL, (struct array[]){ of_u64, of_i64 },
                     (int64_t[]){ 1, 1, 1, 0, 0 });
        check_places(TD_OP_ISIN, NULL, (struct array[]){ of_u64, of_i8 },
                     (int64_t[]){ 1, 0, 0, 0, 0 });
        check_places(TD_OP_SEARCHSORTED, &right, (struct array[]){ of_i8, of_u64 },
                     (int64_t[]){ 2, 3, 3, 3, 3 });
        of_u64.desc.offset = 3 * sizeof(u64[0]); /* from 2 ** 63 on: the bits of negative ones */
        of_u64.desc.type.shape[0] = 2;
        check_places(TD_OP_ISIN, NULL, (struct array[]){ of_i64, of_u64 },
                     (int64_t[]){ 0, 0, 0, 0, 0 });
        array_free(&of_i64);
        array_free(&of_u64);
        array_free(&of_i8);
}
END_TEST

START_TEST(nothing_is_in_nothing)
{
        struct array args[2] = { array_random(TD_INT32, LAYOUT_C, SHAPE(3)),
                                 array_new(TD_INT32, LAYOUT_C, SHAPE(0)) };
        struct array in = kit_one(TD_OP_ISIN, NULL, 2, args, 0), at, swap = args[0];

        args[0] = args[1];
        args[1] = swap;
        at = kit_one(TD_OP_SEARCHSORTED, NULL, 2, args, 0);
        for (int64_t i = 0; i < 3; i++)
                ck_assert(array_get_int(&in, i) == 0 && array_get_int(&at, i) == 0);
        array_free(&in);
        array_free(&at);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("search");
        TCase *test = tcase_create("search");

        tcase_set_timeout(test, 60);
        tcase_add_loop_test(test, searchsorted_finds_places, 0, 10);
        tcase_add_test(test, isin_finds_elements);
        tcase_add_loop_test(test, isin_finds_complex_elements, 0, 2);
        tcase_add_test(test, mixed_integers_are_compared_exactly);
        tcase_add_test(test, nothing_is_in_nothing);
        suite_add_tcase(suite, test);
        return kit_main(suite);
}
