/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#define N_DTYPES (TD_FLOAT64 + 1) /* bool, int64 and floats */

/* One element by plain loops: the row of a and the column of b, as indices in C order of the
 * operands. */
struct shape {
        int64_t m, n, k;
        unsigned n_lead; /* of the result */
};

static struct shape shape_of(const struct array *args, const struct array *result)
{
        const struct td_type *a = &args[0].desc.type, *b = &args[1].desc.type;

        return (struct shape){
                .m = a->ndim == 1 ? 1 : a->shape[a->ndim - 2],
                .n = b->ndim == 1 ? 1 : b->shape[b->ndim - 1],
                .k = a->shape[a->ndim - 1],
                .n_lead = (unsigned)result->desc.type.ndim - (a->ndim > 1) - (b->ndim > 1),
        };
}

/* Which matrix of the operand's stack belongs to the product of that number. */
static int64_t stack_index(const struct array *x, const struct array *result, unsigned n_lead,
                           int64_t product)
{
        int64_t at = 0, size = 1;
        unsigned own = x->desc.type.ndim > 2 ? x->desc.type.ndim - 2U : 0;

        for (unsigned d = n_lead; d-- > 0;) {
                int64_t i = product % result->desc.type.shape[d];

                product /= result->desc.type.shape[d];
                if (d < n_lead - own)
                        continue;
                at += (x->desc.type.shape[d - (n_lead - own)] == 1 ? 0 : i) * size;
                size *= x->desc.type.shape[d - (n_lead - own)];
        }
        return at;
}

static void check_product(const struct array *args, const struct array *got, const struct shape *s,
                          int64_t i)
{
        int64_t product = i / (s->m * s->n), row = i / s->n % s->m, column = i % s->n;
        int64_t at_a = (stack_index(&args[0], got, s->n_lead, product) * s->m + row) * s->k;
        int64_t at_b = stack_index(&args[1], got, s->n_lead, product) * s->k * s->n + column;
        unsigned dtype = got->desc.type.dtype;
        uint64_t exact = 0;
        long double sum = 0, size = 0;
        bool any = false;

        for (int64_t p = 0; p < s->k; p++) {
                double x = array_get(&args[0], at_a + p), y = array_get(&args[1], at_b + p * s->n);

                if (dtype < TD_FLOAT32) {
                        exact += (uint64_t)array_get_int(&args[0], at_a + p) *
                                 (uint64_t)array_get_int(&args[1], at_b + p * s->n);
                        any |= x != 0 && y != 0;
                } else {
                        sum += (long double)x * y;
                        size += fabsl((long double)x * y);
                }
        }
        if (dtype == TD_BOOL)
                EXPECT(*(uint8_t *)array_at(got, i) == any, "element %ld", (long)i);
        else if (dtype == TD_INT64)
                EXPECT((uint64_t)array_get_int(got, i) == exact, "element %ld", (long)i);
        else
                EXPECT(fabsl(array_get(got, i) - sum) <=
                               size * (long double)(s->k + 2) *
                                       (dtype == TD_FLOAT32 ? 6e-8L : 1.2e-16L),
                       "element %ld is %a, not %La", (long)i, array_get(got, i), sum);
}

/* every: how far apart the elements are that are checked */
static void try_product(struct array a, struct array b, unsigned n_threads, int64_t every)
{
        struct array args[2] = { a, b }, got = kit_one(TD_OP_MATMUL, NULL, 2, args, n_threads);
        struct shape s = shape_of(args, &got);

        for (int64_t i = 0, n = desc_n_elements(&got.desc); i < n; i += every)
                check_product(args, &got, &s, i);
        array_free(&got);
        array_free(&args[0]);
        array_free(&args[1]);
}

#define OF(layout, ...) array_random(dtype, layout, SHAPE(__VA_ARGS__))

START_TEST(test_shapes)
{
        unsigned dtype = (unsigned)_i % N_DTYPES;

        for (enum layout x = 0; x < N_LAYOUTS; x++)
                for (enum layout y = 0; y < N_LAYOUTS; y++) {
                        try_product(OF(x, 5, 2), OF(y, 2), 0, 1);
                        try_product(OF(x, 7), OF(y, 7), 0, 1);
                        try_product(OF(x, 7), OF(y, 7, 3), 0, 1);
                        try_product(OF(x, 3, 4), OF(y, 4, 18), 0, 1);
                        try_product(OF(x, 40, 33), OF(y, 33, 37), 0, 1);
                        try_product(OF(x, 1, 300), OF(y, 300, 50), 0, 1);
                        try_product(OF(x, 90, 110), OF(y, 110, 1), 0, 1);
                        try_product(OF(x, 90, 110), OF(y, 110), 0, 1);
                        try_product(OF(x, 110), OF(y, 110, 90), 0, 1);
                        try_product(OF(x, 9000, 1), OF(y, 1, 2), 0, 1);
                        try_product(OF(x, 9000), OF(y, 9000), 0, 1);
                        /* stacks */
                        try_product(OF(x, 2, 3, 4), OF(y, 4, 5), 0, 1);
                        try_product(OF(x, 3, 30, 20), OF(y, 20, 25), 0, 7);
                        try_product(OF(x, 30, 20), OF(y, 3, 20, 25), 0, 7);
                        try_product(OF(x, 2, 1, 30, 20), OF(y, 3, 20, 25), 0, 7);
                        try_product(OF(x, 2, 3, 40, 300), OF(y, 300), 0, 1);
                        try_product(OF(x, 300), OF(y, 2, 3, 300, 40), 0, 1);
                }
}
END_TEST

START_TEST(test_empty)
{
        for (unsigned dtype = 0; dtype < N_DTYPES; dtype++) {
                struct array args[2] = { OF(LAYOUT_C, 3, 0), OF(LAYOUT_C, 0, 4) },
                             got = kit_one(TD_OP_MATMUL, NULL, 2, args, 0);

                ck_assert_int_eq(desc_n_elements(&got.desc), 12);
                for (int64_t i = 0; i < 12; i++)
                        ck_assert_double_eq(array_get(&got, i), 0);
                array_free(&got);
                array_free(&args[0]);
                array_free(&args[1]);
                try_product(OF(LAYOUT_C, 0, 3), OF(LAYOUT_C, 3, 4), 0, 1);
                try_product(OF(LAYOUT_C, 0), OF(LAYOUT_C, 0), 0, 1);
                try_product(OF(LAYOUT_C, 0, 2, 3), OF(LAYOUT_C, 3, 2), 0, 1);
        }
}
END_TEST

START_TEST(test_mixed_dtypes)
{
        for (unsigned x = 0; x < N_DTYPES; x++)
                for (unsigned y = 0; y < N_DTYPES; y++) {
                        try_product(array_random(x, LAYOUT_C, SHAPE(4, 5)),
                                    array_random(y, LAYOUT_F, SHAPE(5, 6)), 0, 1);
                        try_product(array_random(x, LAYOUT_SLICED, SHAPE(40, 50)),
                                    array_random(y, LAYOUT_C, SHAPE(50, 60)), 0, 1);
                }
}
END_TEST

/* Every cut: bands of rows, of many columns too, halves, cuts of k, of what a vector is multiplied
 * with, groups of small products; any number of threads, and the same bits. */
static const int64_t shapes[][2][3] = {
        { { 0, 700, 300 }, { 0, 300, 900 } },   { { 0, 1100, 40 }, { 0, 40, 4100 } },
        { { 0, 170, 200 }, { 0, 200, 170 } },   { { 0, 10, 50000 }, { 0, 50000, 12 } },
        { { 0, 1, 200000 }, { 0, 200000, 1 } }, { { 0, 3000, 400 }, { 0, 400, 1 } },
        { { 0, 1, 400 }, { 0, 400, 3000 } },    { { 0, 100, 9000 }, { 0, 9000, 1 } },
        { { 0, 1, 9000 }, { 0, 9000, 100 } },   { { 0, 2000, 1500 }, { 0, 1500, 1 } },
        { { 0, 1, 1500 }, { 0, 1500, 2000 } },  { { 5000, 3, 3 }, { 5000, 3, 3 } },
        { { 6, 100, 80 }, { 6, 80, 120 } },     { { 3, 200, 180 }, { 3, 180, 190 } },
        { { 40, 30, 80 }, { 0, 80, 120 } },     { { 30, 330, 21 }, { 0, 21, 270 } },
        { { 31, 30, 50 }, { 31, 50, 2300 } },
};
enum { N_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

START_TEST(test_threads)
{
        static const unsigned n_threads[] = { 0, 1, 2, 7 };
        unsigned which = (unsigned)_i / N_DTYPES, dtype = (unsigned)_i % N_DTYPES;
        const int64_t *sa = shapes[which][0], *sb = shapes[which][1];
        struct array args[2] = {
                array_random(dtype, LAYOUT_C, sa[0] ? 3 : 2, sa[0] ? sa : sa + 1),
                array_random(dtype, LAYOUT_C, sb[0] ? 3 : 2, sb[0] ? sb : sb + 1),
        };
        struct array first = kit_one(TD_OP_MATMUL, NULL, 2, args, 0);
        struct shape s = shape_of(args, &first);

        for (int64_t i = 0, n = desc_n_elements(&first.desc); i < n; i += 1 + n / 701)
                check_product(args, &first, &s, i);
        for (unsigned t = KIT_SLOW ? 3 : 1; t < 4; t++) {
                struct array got = kit_one(TD_OP_MATMUL, NULL, 2, args, n_threads[t]);

                ck_assert_mem_eq(got.bytes, first.bytes, (size_t)desc_n_bytes(&got.desc));
                array_free(&got);
        }
        array_free(&first);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

/* ---- few results of a long k ---- */

/* Exact, modulo 2 to the width. */
static void try_long(unsigned dtype, enum layout layout, int64_t m, int64_t k, int64_t n)
{
        struct array args[2] = { OF(layout, m, k), OF(layout, k, n) };
        struct array got = kit_one(TD_OP_MATMUL, NULL, 2, args, 2);
        const uint64_t mask = UINT64_MAX >> (64 - 8 * td_dtype_size(dtype));

        for (int64_t i = 0; i < m * n; i++) {
                uint64_t sum = 0;

                for (int64_t q = 0; q < k; q++)
                        sum += (uint64_t)array_get_int(&args[0], i / n * k + q) *
                               (uint64_t)array_get_int(&args[1], q * n + i % n);
                EXPECT(((sum ^ (uint64_t)array_get_int(&got, i)) & mask) == 0,
                       "%s (%ld, %ld) @ (%ld, %ld), element %ld", td_dtype_name(dtype), (long)m,
                       (long)k, (long)k, (long)n, (long)i);
        }
        array_free(&got);
        array_free(&args[0]);
        array_free(&args[1]);
}

START_TEST(test_long)
{
        static const unsigned dtypes[] = { TD_INT8, TD_UINT16, TD_INT32, TD_INT64, TD_UINT64 };
        static const int64_t depths[] = { 4096, 4097, 8192, 13001 };

        for (unsigned d = 0; d < 5; d++)
                for (unsigned i = 0; i < 4; i++) {
                        try_long(dtypes[d], LAYOUT_C, 5, depths[i], 17);
                        try_long(dtypes[d], LAYOUT_F, 15, depths[i], 3);
                        try_long(dtypes[d], LAYOUT_SLICED, 1, depths[i], 33);
                        try_long(dtypes[d], LAYOUT_C, 1, depths[i], 1);
                }
}
END_TEST

static bool stop_after(void *ctx)
{
        int *patience = ctx;

        return (*patience)-- <= 0;
}

/* It cannot be cut into rows and columns any more, and is stopped on its way along k. */
START_TEST(test_long_stops)
{
        enum { M = 8, K = 1 << 20 };
        const unsigned dtype = TD_INT8;
        struct array args[2] = { OF(LAYOUT_C, M, K), OF(LAYOUT_C, K, M) };
        struct array got = array_new(dtype, LAYOUT_C, SHAPE(M, M));
        const struct desc descs[2] = { args[0].desc, args[1].desc };
        _cleanup_(step_freep) struct step *step = NULL;
        struct td_refusal refusal;
        int patience = 1 << 20;
        struct run run = { .should_stop = stop_after, .ctx = &patience };
        struct kit_work k = { .args = { args[0].bytes, args[1].bytes },
                              .results = { got.bytes },
                              .run = run,
                              .refusal = &refusal };

        ck_assert_int_eq(step_new(&step, TD_OP_MATMUL, &(struct td_attrs){ .set = 0 }, 2, descs, 1,
                                  &got.desc),
                         0);
        k.step = step;
        k.scratch = aligned_alloc(64, step_n_scratch(step) + 64);
        kit_work_run(&k.work);
        ck_assert_int_eq(k.r, 0);
        ck_assert_int_lt(patience, (1 << 20) - 100);
        patience = 100;
        kit_work_run(&k.work);
        ck_assert_int_eq(k.r, PLAN_E_STOPPED);
        ck_assert_int_gt(patience, -20);
        free(k.scratch);
        array_free(&got);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

/* Nothing that stood in the result's memory shows through, and NaN of an operand goes where it
 * belongs. */
START_TEST(test_nan)
{
        for (unsigned dtype = TD_FLOAT32; dtype <= TD_FLOAT64; dtype++) {
                struct array args[2] = { OF(LAYOUT_C, 60, 60), OF(LAYOUT_C, 60, 60) }, got;

                item_write(array_at(&args[0], 7 * 60 + 3), dtype, NAN);
                got = kit_one(TD_OP_MATMUL, NULL, 2, args, 0);
                for (int64_t i = 0; i < 60 * 60; i++)
                        EXPECT(isnan(array_get(&got, i)) == (i / 60 == 7), "element %ld", (long)i);
                array_free(&got);
                array_free(&args[0]);
                array_free(&args[1]);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("matmul");
        TCase *tc = tcase_create("matmul");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_shapes, 0, N_DTYPES);
        tcase_add_test(tc, test_empty);
        tcase_add_test(tc, test_mixed_dtypes);
        tcase_add_loop_test(tc, test_threads, 0, N_SHAPES * N_DTYPES);
        tcase_add_test(tc, test_long);
        tcase_add_test(tc, test_long_stops);
        tcase_add_test(tc, test_nan);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
