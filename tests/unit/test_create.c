/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

static struct td_number integer(int64_t i)
{
        return (struct td_number){ .kind = TD_KIND_INT, .i = i };
}

static struct td_number real(double d)
{
        return (struct td_number){ .kind = TD_KIND_FLOAT, .d = d };
}

static struct td_attrs shaped(unsigned dtype, unsigned ndim, const int64_t *shape)
{
        struct td_attrs attrs = { .set = TD_ATTR_DTYPE | TD_ATTR_SHAPE,
                                  .dtype = (uint8_t)dtype,
                                  .n_shape = (uint8_t)ndim };

        for (unsigned d = 0; d < ndim; d++)
                attrs.shape[d] = shape[d];
        return attrs;
}

static void check_all(enum td_op op, struct td_attrs attrs, double want, unsigned n_threads)
{
        struct array got = kit_one(op, &attrs, 0, NULL, n_threads);

        ck_assert_uint_eq(got.desc.type.dtype, attrs.dtype);
        for (int64_t i = 0, n = desc_n_elements(&got.desc); i < n; i++)
                EXPECT(array_get(&got, i) == want, "%s: element %ld", td_op_name(op), (long)i);
        array_free(&got);
}

START_TEST(test_constants)
{
        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++)
                for (unsigned n_threads = 0; n_threads < 3; n_threads++) {
                        struct td_attrs attrs;

                        check_all(TD_OP_ZEROS, shaped(dtype, SHAPE(300, 250)), 0, n_threads);
                        check_all(TD_OP_ONES, shaped(dtype, SHAPE(70001)), 1, n_threads);
                        check_all(TD_OP_ONES, shaped(dtype, SCALAR), 1, n_threads);
                        check_all(TD_OP_ZEROS, shaped(dtype, SHAPE(3, 0)), 0, n_threads);
                        attrs = shaped(dtype, SHAPE(5, 7));
                        attrs.set |= TD_ATTR_VALUE;
                        attrs.value = integer(3);
                        check_all(TD_OP_FULL, attrs, dtype == TD_BOOL ? 1 : 3, n_threads);
                }
}
END_TEST

START_TEST(test_full_keeps_integers)
{
        struct td_attrs attrs = shaped(TD_INT64, SHAPE(2));
        struct array got;

        attrs.set |= TD_ATTR_VALUE;
        attrs.value = integer(INT64_MAX - 1); /* no float64 is this */
        got = kit_one(TD_OP_FULL, &attrs, 0, NULL, 0);
        ck_assert_int_eq(array_get_int(&got, 1), INT64_MAX - 1);
        array_free(&got);
}
END_TEST

START_TEST(test_eye)
{
        static const int64_t diagonals[] = { 0, 1, -2, 199, -299, 200, -300, INT64_MAX, INT64_MIN };

        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++)
                for (unsigned d = 0; d < sizeof(diagonals) / sizeof(diagonals[0]); d++) {
                        struct td_attrs attrs = shaped(dtype, SHAPE(300, 200));
                        struct array got;

                        if (diagonals[d] != 0) {
                                attrs.set |= TD_ATTR_K;
                                attrs.k = diagonals[d];
                        }
                        got = kit_one(TD_OP_EYE, &attrs, 0, NULL, d % 3);
                        for (int64_t i = 0; i < 300 * 200; i++) {
                                bool is_on = i % 200 - i / 200 == diagonals[d];

                                EXPECT(array_get(&got, i) == is_on, "diagonal %ld, element %ld",
                                       (long)diagonals[d], (long)i);
                        }
                        array_free(&got);
                }
        check_all(TD_OP_EYE, shaped(TD_FLOAT64, SHAPE(0, 0)), 0, 0);
        check_all(TD_OP_EYE, shaped(TD_FLOAT64, SHAPE(4, 0)), 0, 0);
}
END_TEST

static struct array arange(unsigned dtype, struct td_number start, struct td_number stop,
                           struct td_number step)
{
        struct td_attrs attrs = { .set = TD_ATTR_DTYPE | TD_ATTR_RANGE,
                                  .dtype = (uint8_t)dtype,
                                  .range = { start, stop, step } };

        return kit_one(TD_OP_ARANGE, &attrs, 0, NULL, 2);
}

START_TEST(test_arange)
{
        struct array got = arange(TD_INT64, integer(5), integer(-200000), integer(-3));

        ck_assert_int_eq(desc_n_elements(&got.desc), 66669);
        for (int64_t i = 0; i < 66669; i++)
                EXPECT(array_get_int(&got, i) == 5 - 3 * i, "element %ld", (long)i);
        array_free(&got);

        got = arange(TD_FLOAT64, real(1), real(2),
                     real(0.1)); /* by multiplication, not by adding up */
        ck_assert_int_eq(desc_n_elements(&got.desc), 10);
        for (int64_t i = 0; i < 10; i++)
                ck_assert_double_eq(array_get(&got, i), 1 + (double)i * 0.1);
        array_free(&got);

        got = arange(TD_FLOAT32, integer(0), integer(3), real(0.5));
        ck_assert_int_eq(desc_n_elements(&got.desc), 6);
        ck_assert_double_eq(array_get(&got, 5), 2.5);
        array_free(&got);

        got = arange(TD_INT64, integer(INT64_MAX - 2), integer(INT64_MAX), integer(1));
        ck_assert_int_eq(array_get_int(&got, 1), INT64_MAX - 1);
        array_free(&got);

        got = arange(TD_FLOAT64, integer(0), integer(0), integer(1));
        ck_assert_int_eq(desc_n_elements(&got.desc), 0);
        array_free(&got);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("create");
        TCase *tc = tcase_create("create");

        tcase_add_test(tc, test_constants);
        tcase_add_test(tc, test_full_keeps_integers);
        tcase_add_test(tc, test_eye);
        tcase_add_test(tc, test_arange);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
