/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "compute/reduce/cumulative.h"
#include "step_kit.h"

static struct td_attrs along(int16_t axis)
{
        return (struct td_attrs){ .set = TD_ATTR_AXES, .n_axes = 1, .axes = { axis } };
}

/* The documented order: within a block one after the other, then what came before is added. */
static void documented_sums(int64_t n, double *x)
{
        double before = 0;

        for (int64_t begin = 0; begin < n; begin += SCAN_BLOCK) {
                int64_t end = begin + SCAN_BLOCK < n ? begin + SCAN_BLOCK : n;

                for (int64_t i = begin + 1; i < end; i++)
                        x[i] += x[i - 1];
                for (int64_t i = begin; begin > 0 && i < end; i++)
                        x[i] = before + x[i];
                before = x[end - 1];
        }
}

static const int64_t lengths[] = { 1, 255, 256, 257, 1023, 1024, 1025, 5000, 100003 };
static const unsigned n_threads[] = { 0, 1, 2, 7 };

/* A line alone, and the same as each of many columns: the same bits, with any number of threads. */
START_TEST(test_documented_order)
{
        const int64_t n = lengths[_i];
        struct array line = array_random(TD_FLOAT64, LAYOUT_C, SHAPE(n)), got;
        struct array columns = array_new(TD_FLOAT64, LAYOUT_C, SHAPE(n, 3));
        struct td_attrs axis_0 = along(0);
        double *want = calloc((size_t)n, sizeof(double));

        for (int64_t i = 0; i < n; i++) {
                want[i] = array_get(&line, i) / 3 + (double)i * 1e-3;
                item_write(array_at(&line, i), TD_FLOAT64, want[i]);
                for (int64_t c = 0; c < 3; c++)
                        item_write(array_at(&columns, 3 * i + c), TD_FLOAT64, want[i]);
        }
        documented_sums(n, want);
        for (unsigned t = 0; t < 4; t++) {
                got = kit_one(TD_OP_CUMULATIVE_SUM, &axis_0, 1, &line, n_threads[t]);
                for (int64_t i = 0; i < n; i++)
                        EXPECT(array_get(&got, i) == want[i], "%ld", (long)i);
                array_free(&got);
                got = kit_one(TD_OP_CUMULATIVE_SUM, &axis_0, 1, &columns, n_threads[t]);
                for (int64_t i = 0; i < 3 * n; i++)
                        EXPECT(array_get(&got, i) == want[i / 3], "%ld", (long)i);
                array_free(&got);
        }
        free(want);
        array_free(&line);
        array_free(&columns);
}
END_TEST

/* Each result less the one before is the element, which for integers leaves no choice. */
START_TEST(test_axes_and_layouts)
{
        static const int64_t extents[] = { 300, 5, 70 }, steps[] = { 5 * 70, 70, 1 };
        enum layout layout = (enum layout)(_i % N_LAYOUTS);
        int axis = _i / N_LAYOUTS;
        struct td_attrs attrs = along((int16_t)(axis - 3 * (axis & 1)));

        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                struct array x, got;

                if (td_dtype_kind(dtype) > TD_KIND_UINT)
                        continue;
                x = array_random(dtype, layout, SHAPE(300, 5, 70));
                got = kit_one(TD_OP_CUMULATIVE_SUM, &attrs, 1, &x, 2);
                for (int64_t i = 0; i < 300 * 5 * 70; i++) {
                        uint64_t sum = (uint64_t)array_get_int(&got, i);

                        if (i / steps[axis] % extents[axis])
                                sum -= (uint64_t)array_get_int(&got, i - steps[axis]);
                        EXPECT(sum == (uint64_t)array_get_int(&x, i), "%ld", (long)i);
                }
                array_free(&got);
                array_free(&x);
        }
}
END_TEST

START_TEST(test_initial)
{
        struct array x = array_of(TD_UINT8, 3, (double[]){ 2, 200, 3 }), got;
        struct td_attrs attrs = along(0);

        attrs.set |= TD_ATTR_INCLUDE_INITIAL;
        attrs.include_initial = true;
        got = kit_one(TD_OP_CUMULATIVE_PROD, &attrs, 1, &x, 0);
        ck_assert_int_eq(got.desc.type.dtype, TD_UINT64);
        ck_assert_int_eq(desc_n_elements(&got.desc), 4);
        for (int64_t i = 0; i < 4; i++)
                ck_assert_int_eq(array_get_int(&got, i), ((int64_t[]){ 1, 2, 400, 1200 })[i]);
        array_free(&got);
        array_free(&x);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("cumulative");
        TCase *tc = tcase_create("cumulative");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_documented_order, 0, sizeof(lengths) / sizeof(lengths[0]));
        tcase_add_loop_test(tc, test_axes_and_layouts, 0, 3 * N_LAYOUTS);
        tcase_add_test(tc, test_initial);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
