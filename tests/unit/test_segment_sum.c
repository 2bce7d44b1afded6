/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

static struct td_attrs segments(int64_t k)
{
        return (struct td_attrs){ .set = TD_ATTR_K, .k = k };
}

static const unsigned n_threads[] = { 0, 1, 2, 7 };

/* The same bits with any number of threads, and the sums that a loop gets. */
START_TEST(test_sums)
{
        enum { N = 20000, ROW = 16, K = 5 };
        enum layout layout = (enum layout)(_i % N_LAYOUTS);
        unsigned dtype = _i < N_LAYOUTS ? TD_FLOAT32 : TD_FLOAT64;
        struct array x[2] = { array_random(dtype, layout, SHAPE(N, ROW)),
                              array_new(TD_INT16, LAYOUT_SLICED, SHAPE(N)) };
        struct td_attrs attrs = segments(K);
        struct array first = { .bytes = NULL };
        double want[K][ROW] = { { 0 } };

        for (int64_t i = 0; i < N; i++) {
                int64_t label = i * i % K;

                item_write(array_at(&x[1], i), TD_INT16, (double)label);
                for (int64_t c = 0; c < ROW; c++)
                        want[label][c] += array_get(&x[0], i * ROW + c);
        }
        for (unsigned t = 0; t < 4; t++) {
                struct array got = kit_one(TD_OP_SEGMENT_SUM, &attrs, 2, x, n_threads[t]);

                for (int64_t i = 0; i < K * ROW; i++) {
                        double sum = want[i / ROW][i % ROW];

                        EXPECT(fabs(array_get(&got, i) - sum) < 1e-6 * N, "%ld", (long)i);
                }
                if (!first.bytes)
                        first = got;
                else
                        ck_assert_mem_eq(first.bytes, got.bytes, (size_t)desc_n_bytes(&got.desc));
                if (first.bytes != got.bytes)
                        array_free(&got);
        }
        array_free(&first);
        array_free(&x[0]);
        array_free(&x[1]);
}
END_TEST

/* The first label out of range is named, whichever thread meets another one before. */
START_TEST(test_refuses)
{
        enum { N = 30000 };
        struct array x[2] = { array_random(TD_FLOAT64, LAYOUT_C, SHAPE(N, 16)),
                              array_new(TD_INT64, LAYOUT_C, SHAPE(N)) },
                     got;
        struct td_attrs attrs = segments(3);
        struct td_refusal refusal = { 0 };

        item_write(array_at(&x[1], 29000), TD_INT64, 9);
        item_write(array_at(&x[1], 15000), TD_INT64, -1);
        ck_assert_int_eq(kit_run(TD_OP_SEGMENT_SUM, &attrs, 2, x, &got, n_threads[_i], &refusal),
                         PLAN_E_REFUSED);
        ck_assert_ptr_nonnull(strstr(refusal.message, "label -1 at index 15000"));
        array_free(&got);
        array_free(&x[0]);
        array_free(&x[1]);
}
END_TEST

START_TEST(test_of_nothing)
{
        struct array x[2] = { array_new(TD_FLOAT64, LAYOUT_C, SHAPE(0, 2)),
                              array_new(TD_UINT8, LAYOUT_C, SHAPE(0)) },
                     got;
        struct td_attrs attrs = segments(3);

        got = kit_one(TD_OP_SEGMENT_SUM, &attrs, 2, x, 0);
        ck_assert_int_eq(desc_n_elements(&got.desc), 6);
        for (int64_t i = 0; i < 6; i++)
                ck_assert(array_get(&got, i) == 0);
        array_free(&got);
        array_free(&x[0]);
        array_free(&x[1]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("segment_sum");
        TCase *tc = tcase_create("segment_sum");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_sums, 0, 2 * N_LAYOUTS);
        tcase_add_loop_test(tc, test_refuses, 0, 4);
        tcase_add_test(tc, test_of_nothing);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
