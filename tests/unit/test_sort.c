/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#include "compute/sort/sort_keys.h"
#include "compute/sort/sort_line.h"
#include "compute/sort/sort_parts.h"
#include "compute/step_base.h"

/* Keys that are hard for one part or another. */
enum pattern {
        RANDOM,
        FEW,
        EQUAL,
        UP,
        DOWN,
        LOW_BITS,
        CLUSTERS,
        OUTLIER,
        HALF,
        MOSTLY,
        EXTREME,
        N_PATTERNS
};

static uint64_t key_of(enum pattern pattern, uint64_t i, uint64_t n)
{
        switch (pattern) {
        case FEW:
                return kit_random() % 5;
        case EQUAL:
                return 7;
        case UP:
                return i * 3;
        case DOWN:
                return (n - i) << 20;
        case LOW_BITS:
                return UINT64_C(0xabcd) << 48 | (kit_random() & 0xfff);
        case CLUSTERS:
                return (kit_random() % 4) << 60 | (n - i);
        case OUTLIER:
                return i == n / 2 ? UINT64_MAX : kit_random() % 1000;
        case HALF:
                return i % 2 ? 1000 : kit_random();
        case MOSTLY:
                return kit_random() % 20 ? UINT64_C(1) << 40 : kit_random();
        case EXTREME:
                return i % 2 ? 0 : UINT64_MAX;
        default:
                return kit_random();
        }
}

static const size_t lengths[] = { 0, 1, 2, 24, 25, 100, 1000, 2048, 2049, 70001 };

START_TEST(keys_are_sorted_stably)
{
        for (unsigned l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
                for (unsigned has_indices = 0; has_indices < 2; has_indices++) {
                        size_t n = lengths[l];
                        uint64_t *keys = malloc((2 * n + 1) * 8), *was = malloc(n * 8 + 8);
                        uint32_t *indices = malloc((2 * n + 1) * 4);
                        struct keys from = { keys, has_indices ? indices : NULL }, sorted;
                        struct keys room = { keys + n, has_indices ? indices + n : NULL };
                        uint64_t sum = 0;

                        for (size_t i = 0; i < n; i++) {
                                was[i] = keys[i] = key_of((enum pattern)_i, i, n);
                                indices[i] = (uint32_t)i;
                                sum += keys[i];
                        }
                        keys[2 * n] = indices[2 * n] = 0x5a5a;
                        sorted = sort_keys(from, room, n);
                        EXPECT(sorted.keys == from.keys || sorted.keys == room.keys, "elsewhere");
                        for (size_t i = 0; i < n; i++) {
                                sum -= sorted.keys[i];
                                if (has_indices)
                                        EXPECT(was[sorted.indices[i]] == sorted.keys[i], "index");
                                if (i == 0)
                                        continue;
                                EXPECT(sorted.keys[i - 1] <= sorted.keys[i], "order");
                                if (has_indices && sorted.keys[i - 1] == sorted.keys[i])
                                        EXPECT(sorted.indices[i - 1] < sorted.indices[i], "stable");
                        }
                        ck_assert_uint_eq(sum, 0);
                        ck_assert(keys[2 * n] == 0x5a5a && indices[2 * n] == 0x5a5a);
                        free(keys);
                        free(was);
                        free(indices);
                }
}
END_TEST

/* uint64 are their own keys: patterns come through as they are. */
static struct array pattern_array(unsigned dtype, enum pattern pattern, int64_t n)
{
        struct array a = array_new(dtype, LAYOUT_C, SHAPE(n));

        for (int64_t i = 0; i < n; i++) {
                uint64_t key = key_of(pattern, (uint64_t)i, (uint64_t)n);
                double value = (double)(int64_t)key * 1e-9;

                if (dtype == TD_FLOAT64 && key % 64 == 3)
                        value = key % 128 == 3 ? -0.0 : (double)NAN;
                memcpy(array_at(&a, i), dtype == TD_FLOAT64 ? (void *)&value : (void *)&key, 8);
        }
        return a;
}

static bool is_before(const struct array *x, int64_t a, int64_t b)
{
        double p, q;

        if (x->desc.type.dtype == TD_UINT64)
                return (uint64_t)array_get_int(x, a) < (uint64_t)array_get_int(x, b);
        p = array_get(x, a);
        q = array_get(x, b);
        return p < q || (p == p && q != q);
}

/* A long line, sorted by all threads: the same bits with any number of them. */
START_TEST(lines_are_sorted)
{
        const unsigned n_threads[] = { 0, 1, 2, 7 };
        const unsigned dtype = _i % 2 ? TD_FLOAT64 : TD_UINT64;
        struct td_attrs attrs = { .set = TD_ATTR_AXES, .n_axes = 1, .axes = { 0 } };
        const int64_t n = 150001;
        struct array x = pattern_array(dtype, (enum pattern)(_i / 2), n);
        struct array order = kit_one(TD_OP_ARGSORT, &attrs, 1, &x, 0);
        struct array values = kit_one(TD_OP_SORT, &attrs, 1, &x, 0);

        for (int64_t i = 0; i < n; i++) {
                int64_t at = array_get_int(&order, i), last;

                EXPECT(at >= 0 && at < n, "index");
                EXPECT(memcmp(array_at(&values, i), array_at(&x, at), 8) == 0, "value %ld",
                       (long)i);
                if (i == 0)
                        continue;
                last = array_get_int(&order, i - 1);
                EXPECT(is_before(&x, last, at) || (!is_before(&x, at, last) && last < at), "%ld",
                       (long)i);
        }
        for (unsigned t = 1; t < 4; t++) {
                struct array again = kit_one(TD_OP_ARGSORT, &attrs, 1, &x, n_threads[t]);
                struct array same = kit_one(TD_OP_SORT, &attrs, 1, &x, n_threads[t]);

                ck_assert_mem_eq(order.bytes, again.bytes, (size_t)n * 8);
                ck_assert_mem_eq(values.bytes, same.bytes, (size_t)n * 8);
                array_free(&again);
                array_free(&same);
        }
        array_free(&order);
        array_free(&values);
        array_free(&x);
}
END_TEST

/* Nothing beyond the scratch is written, with lengths around every change of method. */
START_TEST(scratch_is_enough)
{
        const int64_t n_elements[] = { 1, 16384, 16385, 32768, 32769, 49152, 200000 };

        for (unsigned i = 0; i < sizeof(n_elements) / sizeof(n_elements[0]); i++)
                for (unsigned has_indices = 0; has_indices < 2; has_indices++) {
                        const int64_t n = n_elements[i];
                        struct array x = pattern_array(TD_UINT64, i % 2 ? MOSTLY : RANDOM, n);
                        struct space space = { .n_operands = 1, .n = 1 };
                        struct source source = { order_of(TD_UINT64, false), &space, x.bytes };
                        const uint64_t n_scratch = sort_line_n_scratch(n, has_indices);
                        char *scratch = aligned_alloc(64, n_scratch + 64);
                        struct sorted sorted;

                        space_push(&space, n, &x.desc.strides[0]);
                        memset(scratch + n_scratch, 0xee, 64);
                        ck_assert_int_eq(sort_line(&source, has_indices, NULL, scratch), 0);
                        sorted = sort_line_at(n, has_indices, scratch);
                        ck_assert_int_eq(!sorted.indices, !has_indices);
                        for (int64_t k = 1; k < n; k++)
                                EXPECT(sorted.keys[k - 1] <= sorted.keys[k], "order");
                        for (unsigned k = 0; k < 64; k++)
                                EXPECT((uint8_t)scratch[n_scratch + k] == 0xee, "overrun");
                        free(scratch);
                        array_free(&x);
                }
}
END_TEST

static bool stop_after(void *ctx)
{
        int *patience = ctx;

        return (*patience)-- <= 0;
}

/* Wherever it is asked whether to; elements with two keys pass through all that there is. */
START_TEST(a_line_stops)
{
        struct array x = pattern_array(TD_COMPLEX128, RANDOM, 100000);
        struct space space = { .n_operands = 1, .n = 1 };
        struct source source = { order_of(TD_COMPLEX128, false), &space, x.bytes };
        struct run run = { .should_stop = stop_after };
        char *scratch = aligned_alloc(64, sort_parts_n_scratch(source.order, 100000, true));
        int n_stopped = 0, r = PLAN_E_STOPPED;

        space_push(&space, 100000, &x.desc.strides[0]);
        for (; r == PLAN_E_STOPPED; n_stopped++) {
                int patience = n_stopped;

                run.ctx = &patience;
                r = sort_parts(&source, true, &run, scratch);
        }
        ck_assert_int_eq(r, 0);
        ck_assert_int_gt(n_stopped, 20);
        free(scratch);
        array_free(&x);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("sort");
        TCase *test = tcase_create("sort");

        tcase_set_timeout(test, 60);
        tcase_add_loop_test(test, keys_are_sorted_stably, 0, N_PATTERNS);
        tcase_add_loop_test(test, lines_are_sorted, 0, 2 * N_PATTERNS);
        tcase_add_test(test, scratch_is_enough);
        tcase_add_test(test, a_line_stops);
        suite_add_tcase(suite, test);
        return kit_main(suite);
}
