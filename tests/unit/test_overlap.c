/* layer: tensor */
/* SPDX-License-Identifier: MIT */
/*
 * Overlap: against the sets of elements themselves, of tensors of at most 64.
 */
#include "tensor/overlap.h"

#include <check.h>
#include <stdlib.h>

#include "loops.h"
#include "random_kit.h"

static int64_t below(int64_t n)
{
        return (int64_t)(kit_random() % (uint64_t)n);
}

static void random_whole(struct desc *whole)
{
        struct td_type type = { .dtype = TD_FLOAT64, .ndim = (uint8_t)(1 + below(3)) };
        uint8_t order[TD_NDIM_MAX] = { 0, 1, 2 };

        for (unsigned i = 0; i < type.ndim; i++)
                type.shape[i] = 1 + below(4);
        for (unsigned i = type.ndim; i-- > 1;) {
                unsigned k = (unsigned)below(i + 1);
                uint8_t axis = order[i];

                order[i] = order[k];
                order[k] = axis;
        }
        desc_init_ordered(whole, &type, order);
}

/* Any strides that stay inside. */
static void random_view(const struct desc *whole, struct desc *view)
{
        uint64_t n_bytes = (uint64_t)desc_n_bytes(whole);

        do {
                *view = (struct desc){ .type = { .dtype = TD_FLOAT64,
                                                 .ndim = (uint8_t)below(4) },
                                       .offset = 8 * below((int64_t)n_bytes / 8) };
                for (unsigned i = 0; i < view->type.ndim; i++) {
                        view->type.shape[i] = below(5);
                        view->strides[i] = 8 * (below(25) - 12);
                        if (view->type.shape[i] == 1 && below(4) == 0)
                                view->strides[i] = INT64_MIN;
                }
        } while (desc_check(view, n_bytes));
}

/* Any slice. Its steps are at most max_step, either way. */
static void random_slice(const struct desc *whole, struct desc *view, int64_t max_step)
{
        *view = *whole;
        for (unsigned i = 0; i < whole->type.ndim; i++) {
                int64_t extent = whole->type.shape[i], step = 1 + below(max_step);
                int64_t start = below(extent), n = 1 + below((extent - 1 - start) / step + 1);

                view->type.shape[i] = n;
                view->offset += start * whole->strides[i];
                view->strides[i] = step * whole->strides[i];
                if (below(2)) {
                        view->offset += (n - 1) * view->strides[i];
                        view->strides[i] = -view->strides[i];
                }
        }
}

/* Bit i: the i-th item of the tensor's memory is one of the view's. */
static uint64_t elements(const struct desc *view)
{
        int64_t n = desc_n_elements(view);
        uint64_t set = 0;

        for (int64_t e = 0; e < n; e++) {
                int64_t at = view->offset, rest = e;

                for (unsigned i = view->type.ndim; i-- > 0;) {
                        int64_t index = rest % view->type.shape[i];

                        rest /= view->type.shape[i];
                        if (index > 0)
                                at += index * view->strides[i];
                }
                EXPECT((at & 7) == 0 && at / 8 < 64);
                set |= 1ULL << (at / 8);
        }
        return set;
}

static bool is_possible(const struct desc *whole, const struct desc *a, const struct desc *b)
{
        struct overlap x, y;

        overlap_init(&x, whole, a);
        overlap_init(&y, whole, b);
        EXPECT(overlap_is_possible(&x, &y) == overlap_is_possible(&y, &x));
        return overlap_is_possible(&x, &y);
}

static bool is_covered(const struct desc *whole, const struct desc *view, const struct desc *part)
{
        struct overlap x, y;

        overlap_init(&x, whole, view);
        overlap_init(&y, whole, part);
        return overlap_is_covered(&x, &y);
}

START_TEST(never_too_little)
{
        unsigned n_apart = 0, n_covered = 0;

        for (int round = 0; round < 200000; round++) {
                struct desc whole, a, b;
                uint64_t set_a, set_b;

                random_whole(&whole);
                random_view(&whole, &a);
                if (round % 2)
                        random_view(&whole, &b);
                else
                        random_slice(&whole, &b, 3);
                set_a = elements(&a);
                set_b = elements(&b);
                if (!is_possible(&whole, &a, &b)) {
                        EXPECT((set_a & set_b) == 0);
                        n_apart++;
                }
                if (is_covered(&whole, &b, &a)) {
                        EXPECT((set_a & ~set_b) == 0);
                        n_covered++;
                }
        }
        ck_assert_uint_gt(n_apart, 50000);
        ck_assert_uint_gt(n_covered, 20000);
}
END_TEST

START_TEST(distinct)
{
        unsigned n_distinct = 0, n_not = 0;

        for (int round = 0; round < 100000; round++) {
                struct desc whole, view, slice;

                random_whole(&whole);
                random_view(&whole, &view);
                random_slice(&whole, &slice, 3);
                EXPECT(overlap_is_distinct(&slice));
                n_not += !overlap_is_distinct(&view);
                if (!overlap_is_distinct(&view) || desc_n_elements(&view) == 0)
                        continue;
                EXPECT(__builtin_popcountll(elements(&view)) == desc_n_elements(&view));
                n_distinct++;
        }
        ck_assert_uint_gt(n_distinct, 10000);
        ck_assert_uint_gt(n_not, 1000);
}
END_TEST

START_TEST(exact_for_blocks)
{
        unsigned n_apart = 0, n_covered = 0;

        for (int round = 0; round < 100000; round++) {
                struct desc whole, a, b;
                uint64_t set_a, set_b;

                random_whole(&whole);
                random_slice(&whole, &a, 1);
                random_slice(&whole, &b, 1);
                set_a = elements(&a);
                set_b = elements(&b);
                EXPECT(is_possible(&whole, &a, &b) == ((set_a & set_b) != 0));
                EXPECT(is_covered(&whole, &a, &b) == ((set_b & ~set_a) == 0));
                n_apart += (set_a & set_b) == 0;
                n_covered += (set_b & ~set_a) == 0;
        }
        ck_assert_uint_gt(n_apart, 10000);
        ck_assert_uint_gt(n_covered, 10000);
}
END_TEST

/* a[::2] and a[1::2], in one process each. */
START_TEST(interleaved)
{
        struct desc whole, even, odd;

        desc_init_c(&whole, &(struct td_type){ TD_FLOAT64, 1, { 1001 } });
        even = odd = whole;
        even.type.shape[0] = 501;
        odd.type.shape[0] = 500;
        even.strides[0] = odd.strides[0] = 16;
        odd.offset = 8;
        ck_assert(!is_possible(&whole, &even, &odd));
        odd.strides[0] = 24;
        ck_assert(is_possible(&whole, &even, &odd));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("overlap");
        TCase *tcase = tcase_create("overlap");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, never_too_little);
        tcase_add_test(tcase, distinct);
        tcase_add_test(tcase, exact_for_blocks);
        tcase_add_test(tcase, interleaved);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
