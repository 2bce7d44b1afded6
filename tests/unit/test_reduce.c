/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

static struct td_attrs over(unsigned n_axes, const int16_t *axes)
{
        struct td_attrs attrs = { .set = TD_ATTR_AXES, .n_axes = (uint8_t)n_axes };

        for (unsigned i = 0; i < n_axes; i++)
                attrs.axes[i] = axes[i];
        return attrs;
}

/* ---- plain reductions ---- */

struct plain {
        long double sum, size; /* size: of all magnitudes */
        uint64_t sum_int, prod_int;
        int64_t n, n_set, argmax, argmin;
        double max, min;
        bool has_nan;
};

/* The result's index of an element of x, by dropping the reduced axes. */
static int64_t result_index(const struct array *x, const bool *is_reduced, int64_t index)
{
        int64_t at = 0, size = 1;

        for (unsigned d = x->desc.type.ndim; d-- > 0;) {
                int64_t i = index % x->desc.type.shape[d];

                index /= x->desc.type.shape[d];
                if (is_reduced[d])
                        continue;
                at += i * size;
                size *= x->desc.type.shape[d];
        }
        return at;
}

static void take(struct plain *r, double value, int64_t index)
{
        bool is_nan = isnan(value) && !r->has_nan;

        if (r->n == 0 || is_nan || (!r->has_nan && value > r->max)) {
                r->max = value;
                r->argmax = index;
        }
        if (r->n == 0 || is_nan || (!r->has_nan && value < r->min)) {
                r->min = value;
                r->argmin = index;
        }
        r->has_nan |= isnan(value);
        r->n_set += value != 0;
        r->sum += value;
        r->size += fabs(value);
        r->n++;
}

static struct plain *reduce_plainly(const struct array *x, const bool *is_reduced,
                                    int64_t n_results)
{
        struct plain *p = calloc((size_t)n_results + 1, sizeof(*p));

        for (int64_t i = 0, n = desc_n_elements(&x->desc); i < n; i++) {
                struct plain *r = &p[result_index(x, is_reduced, i)];

                if (r->n == 0)
                        r->prod_int = 1;
                take(r, array_get(x, i), r->n);
                if (td_dtype_kind(x->desc.type.dtype) <= TD_KIND_UINT) {
                        r->sum_int += (uint64_t)array_get_int(x, i);
                        r->prod_int *= (uint64_t)array_get_int(x, i);
                }
        }
        return p;
}

static void check_sum(enum td_op op, const struct array *got, int64_t i, const struct plain *p)
{
        double value = array_get(got, i),
               epsilon = got->desc.type.dtype == TD_FLOAT32 ? 6e-8 : 2e-16;
        long double n = op == TD_OP_MEAN ? p->n : 1;
        double want = (double)(p->sum / n), bound;

        if (td_dtype_is_integer(got->desc.type.dtype)) {
                EXPECT((uint64_t)array_get_int(got, i) == p->sum_int, "at %ld", (long)i);
                return;
        }
        /* rounded once, and pairwise sums in float64: blocks of 32 in a row, then trees */
        bound = (double)(fabsl(p->sum / n) * epsilon + p->size / n * 60 * 1.2e-16);
        if (p->has_nan || (op == TD_OP_MEAN && p->n == 0))
                EXPECT(isnan(value), "%s: element %ld is %a", td_op_name(op), (long)i, value);
        else
                EXPECT(fabs(value - want) <= bound || value == want,
                       "%s: element %ld is %a, not %a", td_op_name(op), (long)i, value, want);
}

static void check_one(enum td_op op, const struct array *got, int64_t i, const struct plain *p)
{
        double value = array_get(got, i), want;

        switch (op) {
        case TD_OP_SUM:
        case TD_OP_MEAN:
                check_sum(op, got, i, p);
                return;
        case TD_OP_PROD:
                EXPECT((uint64_t)array_get_int(got, i) == p->prod_int, "at %ld", (long)i);
                return;
        case TD_OP_MAX:
                want = p->max;
                break;
        case TD_OP_MIN:
                want = p->min;
                break;
        case TD_OP_ARGMAX:
                want = (double)p->argmax;
                break;
        case TD_OP_ARGMIN:
                want = (double)p->argmin;
                break;
        case TD_OP_ANY:
                want = p->n_set > 0;
                break;
        case TD_OP_ALL:
                want = p->n_set == p->n;
                break;
        default:
                want = (double)p->n_set;
                break;
        }
        EXPECT(value == want || (isnan(value) && isnan(want)), "%s: element %ld is %a, not %a",
               td_op_name(op), (long)i, value, want);
}

static void check(enum td_op op, const struct td_attrs *attrs, struct array *x,
                  const struct array *got)
{
        bool is_reduced[TD_NDIM_MAX] = { false };
        struct plain *p;

        for (unsigned d = 0; d < x->desc.type.ndim; d++)
                is_reduced[d] = !(attrs->set & TD_ATTR_AXES);
        for (unsigned i = 0; i < attrs->n_axes; i++)
                is_reduced[attrs->axes[i] < 0 ? attrs->axes[i] + x->desc.type.ndim
                                              : attrs->axes[i]] = true;
        p = reduce_plainly(x, is_reduced, desc_n_elements(&got->desc));
        for (int64_t i = 0, n = desc_n_elements(&got->desc); i < n; i++)
                check_one(op, got, i, &p[i]);
        free(p);
}

static const enum td_op ops[] = { TD_OP_SUM,           TD_OP_MEAN,  TD_OP_ANY, TD_OP_ALL,
                                  TD_OP_COUNT_NONZERO, TD_OP_PROD,  TD_OP_MAX, TD_OP_MIN,
                                  TD_OP_ARGMAX,        TD_OP_ARGMIN };

static bool is_tried(enum td_op op, const struct td_attrs *attrs, const struct array *x)
{
        bool is_arg = op == TD_OP_ARGMAX || op == TD_OP_ARGMIN;

        if (op == TD_OP_PROD && td_dtype_kind(x->desc.type.dtype) > TD_KIND_UINT)
                return false; /* see tests/integration */
        if (is_arg && (attrs->set & TD_ATTR_AXES) && attrs->n_axes != 1)
                return false;
        return desc_n_elements(&x->desc) > 0 || (!is_arg && op != TD_OP_MAX && op != TD_OP_MIN);
}

static void try_all_ops(struct td_attrs attrs, struct array x, unsigned n_threads)
{
        for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
                struct array got;

                if (!is_tried(ops[i], &attrs, &x))
                        continue;
                got = kit_one(ops[i], &attrs, 1, &x, n_threads);
                check(ops[i], &attrs, &x, &got);
                array_free(&got);
        }
        array_free(&x);
}

/* ---- tests ---- */

START_TEST(test_axes_and_layouts)
{
        enum layout layout = (enum layout)(_i % N_LAYOUTS);
        unsigned dtype = (unsigned)_i / N_LAYOUTS;

        if (td_dtype_is_complex(dtype))
                return;
        for (unsigned mask = 0; mask < 16; mask++) {
                /* not every set of axes with every dtype */
                const bool is_tried_here = (mask + dtype) % 4 == 0 || dtype == TD_FLOAT32;
                struct td_attrs attrs = { .set = TD_ATTR_AXES };

                if (!is_tried_here)
                        continue;
                for (int16_t d = 3; d >= 0; d--)
                        if (mask >> d & 1)
                                attrs.axes[attrs.n_axes++] = (int16_t)(mask & 1 ? d : d - 4);
                try_all_ops(attrs, array_random(dtype, layout, SHAPE(5, 3, 4, 19)), 0);
                attrs.set |= TD_ATTR_KEEPDIMS;
                attrs.keepdims = true;
                try_all_ops(attrs, array_random(dtype, layout, SHAPE(3, 1, 2, 70)), 0);
        }
        try_all_ops((struct td_attrs){ 0 }, array_random(dtype, layout, SHAPE(7, 100)), 0);
        try_all_ops((struct td_attrs){ 0 }, array_random(dtype, layout, SHAPE(2000)), 0);
        try_all_ops((struct td_attrs){ 0 }, array_random(dtype, layout, SCALAR), 0);
        try_all_ops(over(1, (int16_t[]){ 0 }), array_random(dtype, layout, SHAPE(1100, 40)), 0);
        try_all_ops(over(1, (int16_t[]){ 1 }), array_random(dtype, layout, SHAPE(40, 1100)), 0);
        try_all_ops(over(1, (int16_t[]){ 1 }), array_random(dtype, layout, SHAPE(200, 3)), 0);
}
END_TEST

START_TEST(test_empty)
{
        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                struct array x = array_new(dtype, LAYOUT_C, SHAPE(0, 3)), got;
                struct td_attrs first = over(1, (int16_t[]){ 0 }), last = over(1, (int16_t[]){ 1 });

                got = kit_one(TD_OP_SUM, &first, 1, &x, 0);
                ck_assert_int_eq(desc_n_elements(&got.desc), 3);
                for (int64_t i = 0; i < 3; i++)
                        ck_assert_double_eq(array_get(&got, i), 0);
                array_free(&got);
                got = kit_one(TD_OP_MEAN, &first, 1, &x, 0);
                for (int64_t i = 0; i < 3; i++)
                        ck_assert(isnan(array_get(&got, i)));
                array_free(&got);
                if (td_dtype_is_complex(dtype)) {
                        array_free(&x);
                        continue;
                }
                got = kit_one(TD_OP_MAX, &last, 1, &x, 0);
                ck_assert_int_eq(desc_n_elements(&got.desc), 0);
                array_free(&got);
                array_free(&x);
        }
}
END_TEST

/* The order is the documented one, written here the plainest way: lanes, blocks, tree. */
static double tree(int64_t n_blocks, const double *blocks)
{
        int64_t half = 1;

        if (n_blocks == 1)
                return blocks[0];
        while (half * 2 < n_blocks)
                half *= 2;
        return tree(half, blocks) + tree(n_blocks - half, blocks + half);
}

static double documented_sum(const double *x, int64_t n)
{
        double *blocks = calloc((size_t)(n / 512 + 1), sizeof(*blocks)), sum;
        int64_t n_blocks = 0;

        for (int64_t begin = 0; begin < n; begin += 512) {
                double lanes[16] = { 0 };

                for (int64_t i = begin; i < n && i < begin + 512; i++)
                        lanes[i % 16] += x[i];
                for (int half = 8; half; half /= 2)
                        for (int i = 0; i < half; i++)
                                lanes[i] += lanes[i + half];
                blocks[n_blocks++] = lanes[0];
        }
        sum = tree(n_blocks, blocks);
        free(blocks);
        return sum;
}

static const int64_t lengths[] = { 1,    15,   16,    17,    511,    512,    513,
                                   1536, 4096, 65536, 65537, 131072, 200000, 1000003 };

START_TEST(test_documented_order)
{
        int64_t n = lengths[_i];
        struct array x = array_random(TD_FLOAT64, LAYOUT_C, SHAPE(n));
        double want;

        for (int64_t i = 0; i < n; i++)
                item_write(array_at(&x, i), TD_FLOAT64, array_get(&x, i) / 3 + (double)i * 1e-3);
        want = documented_sum((double *)x.bytes, n);
        for (unsigned n_threads = 0; n_threads <= 7;
             n_threads = n_threads < 2 ? n_threads + 1 : n_threads + 5) {
                struct array got = kit_one(TD_OP_SUM, NULL, 1, &x, n_threads);

                ck_assert_msg(array_get(&got, 0) == want, "%ld elements, %u threads: %a, not %a",
                              (long)n, n_threads, array_get(&got, 0), want);
                array_free(&got);
        }
        array_free(&x);
}
END_TEST

/* The same numbers along the first, the last, and two axes, in any layout: the same bits. */
START_TEST(test_bits_do_not_depend_on_layout)
{
        enum { N = 3000, COLUMNS = 200 };
        unsigned dtype = _i ? TD_FLOAT32 : TD_FLOAT64;
        struct array line = array_random(dtype, LAYOUT_C, SHAPE(N)), first, last;
        struct array rows = array_new(dtype, LAYOUT_C, SHAPE(COLUMNS, N)),
                     columns = array_new(dtype, LAYOUT_C, SHAPE(N, COLUMNS));
        struct td_attrs axis_0 = over(1, (int16_t[]){ 0 }), axis_1 = over(1, (int16_t[]){ 1 }),
                        both = over(2, (int16_t[]){ 0, 2 });
        struct array folded = array_new(dtype, LAYOUT_C, SHAPE(50, COLUMNS, 60)), split;
        struct array want = kit_one(TD_OP_SUM, NULL, 1, &line, 0);
        double sum = array_get(&want, 0);

        for (int64_t c = 0; c < COLUMNS; c++)
                for (int64_t i = 0; i < N; i++) {
                        double value = array_get(&line, i);

                        item_write(array_at(&rows, c * N + i), dtype, value);
                        item_write(array_at(&columns, i * COLUMNS + c), dtype, value);
                        item_write(array_at(&folded, (i / 60 * COLUMNS + c) * 60 + i % 60), dtype,
                                   value);
                }
        first = kit_one(TD_OP_SUM, &axis_0, 1, &columns, 2);
        last = kit_one(TD_OP_SUM, &axis_1, 1, &rows, 2);
        split = kit_one(TD_OP_SUM, &both, 1, &folded, 2);
        for (int64_t c = 0; c < COLUMNS; c++)
                EXPECT(array_get(&first, c) == sum && array_get(&last, c) == sum &&
                               array_get(&split, c) == sum,
                       "column %ld", (long)c);
        array_free(&line);
        array_free(&rows);
        array_free(&columns);
        array_free(&folded);
        array_free(&want);
        array_free(&first);
        array_free(&last);
        array_free(&split);
}
END_TEST

/* The same array with another dimension as the fastest one. */
static struct array array_across(const struct array *x, unsigned fastest)
{
        const struct td_type *type = &x->desc.type;
        struct array a = array_new(type->dtype, LAYOUT_C, type->ndim, type->shape);
        int64_t size = td_dtype_size(type->dtype), stride = size * type->shape[fastest];

        a.desc.strides[fastest] = size;
        for (unsigned d = type->ndim; d-- > 0;) {
                if (d == fastest)
                        continue;
                a.desc.strides[d] = stride;
                stride *= type->shape[d];
        }
        for (int64_t i = 0, n = desc_n_elements(&x->desc); i < n; i++)
                memcpy(array_at(&a, i), array_at(x, i), (size_t)size);
        return a;
}

static void try_across(const struct td_attrs *attrs, struct array x, unsigned fastest)
{
        static const enum td_op tried[] = { TD_OP_SUM, TD_OP_MAX, TD_OP_ARGMAX, TD_OP_ANY,
                                            TD_OP_VAR };
        struct array across = array_across(&x, fastest);

        for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
                struct array want, got;

                if (tried[i] == TD_OP_VAR && !td_dtype_is_float(x.desc.type.dtype))
                        continue;
                if (tried[i] == TD_OP_ARGMAX && attrs->n_axes > 1)
                        continue;
                want = kit_one(tried[i], attrs, 1, &x, 1);
                got = kit_one(tried[i], attrs, 1, &across, 2);
                EXPECT(memcmp(want.bytes, got.bytes, (size_t)desc_n_bytes(&want.desc)) == 0,
                       "operation %d, fastest dimension %u", tried[i], fastest);
                array_free(&want);
                array_free(&got);
        }
        array_free(&across);
        array_free(&x);
}

START_TEST(test_bits_of_what_lies_across)
{
        static const unsigned dtypes[] = { TD_FLOAT64, TD_FLOAT32, TD_UINT8, TD_INT64 };
        const unsigned dtype = dtypes[_i];
        const struct td_attrs all = { 0 }, two = over(2, (int16_t[]){ 0, 2 });

        try_across(&all, array_random(dtype, LAYOUT_C, SHAPE(500, 1003)), 0);
        try_across(&all, array_random(dtype, LAYOUT_C, SHAPE(20, 7001)), 0);
        try_across(&all, array_random(dtype, LAYOUT_C, SHAPE(40000, 13)), 0);
        try_across(&all, array_random(dtype, LAYOUT_C, SHAPE(70, 9, 500)), 0);
        try_across(&all, array_random(dtype, LAYOUT_C, SHAPE(9, 70, 500)), 1);
        try_across(&two, array_random(dtype, LAYOUT_C, SHAPE(90, 3, 700)), 0);
}
END_TEST

/* Right on one thread, and the same bits on more. */
static void try_threads(struct td_attrs attrs, struct array x)
{
        for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
                struct array want;

                if (!is_tried(ops[i], &attrs, &x))
                        continue;
                want = kit_one(ops[i], &attrs, 1, &x, 1);
                check(ops[i], &attrs, &x, &want);
                for (unsigned n_threads = 2; n_threads <= 7; n_threads += 5) {
                        struct array got = kit_one(ops[i], &attrs, 1, &x, n_threads);

                        EXPECT(memcmp(want.bytes, got.bytes,
                                      (size_t)desc_n_bytes(&want.desc)) == 0,
                               "operation %d on %u threads", ops[i], n_threads);
                        array_free(&got);
                }
                array_free(&want);
        }
        array_free(&x);
}

START_TEST(test_large)
{
        unsigned dtype = (unsigned)_i;

        if (td_dtype_is_complex(dtype) || (KIT_SLOW && dtype % 4 != TD_INT8 % 4))
                return;
        try_threads((struct td_attrs){ 0 }, array_random(dtype, LAYOUT_C, SHAPE(300007)));
        try_threads((struct td_attrs){ 0 }, array_random(dtype, LAYOUT_F, SHAPE(300, 401)));
        try_threads(over(1, (int16_t[]){ 0 }), array_random(dtype, LAYOUT_C, SHAPE(70000, 3)));
        try_threads(over(1, (int16_t[]){ -1 }), array_random(dtype, LAYOUT_C, SHAPE(70000, 3)));
        try_threads(over(1, (int16_t[]){ 0 }),
                    array_random(dtype, LAYOUT_NEGATIVE, SHAPE(9000, 40)));
        try_threads(over(2, (int16_t[]){ 0, 2 }),
                    array_random(dtype, LAYOUT_SLICED, SHAPE(60, 50, 70)));
}
END_TEST

START_TEST(test_special)
{
        static const double values[] = { 1, NAN, 3, -INFINITY, INFINITY, -0.0 };

        for (unsigned dtype = TD_FLOAT32; dtype <= TD_FLOAT64; dtype++)
                for (unsigned n = 1; n <= 2048; n = n * 3 + 1)
                        for (unsigned v = 0; v < 6; v++) {
                                struct array x = array_new(dtype, LAYOUT_C, SHAPE(n));

                                for (unsigned i = 0; i < n; i++)
                                        item_write(array_at(&x, i), dtype, -5);
                                item_write(array_at(&x, n * v / 6), dtype, values[v]);
                                try_all_ops((struct td_attrs){ 0 }, x, 0);
                        }
}
END_TEST

/* A float32 sum of a million times 0.1 is right to float32's last bit, along either axis. */
START_TEST(test_float32_accuracy)
{
        struct array x = array_new(TD_FLOAT32, LAYOUT_C, SHAPE(1000000, 1)), got;
        struct td_attrs axis_0 = over(1, (int16_t[]){ 0 });
        double want = 1000000 * (double)0.1F;

        for (int64_t i = 0; i < 1000000; i++)
                item_write(array_at(&x, i), TD_FLOAT32, 0.1);
        got = kit_one(TD_OP_SUM, NULL, 1, &x, 2);
        ck_assert_float_eq((float)array_get(&got, 0), (float)want);
        array_free(&got);
        got = kit_one(TD_OP_SUM, &axis_0, 1, &x, 2);
        ck_assert_float_eq((float)array_get(&got, 0), (float)want);
        array_free(&got);
        array_free(&x);
}
END_TEST

START_TEST(test_wraps)
{
        struct array x = array_new(TD_INT64, LAYOUT_C, SHAPE(3)), got;

        memcpy(x.bytes, (int64_t[]){ INT64_MAX, 1, INT64_MIN }, 24);
        got = kit_one(TD_OP_SUM, NULL, 1, &x, 0);
        ck_assert_int_eq(array_get_int(&got, 0), 0);
        array_free(&got);
        got = kit_one(TD_OP_MAX, NULL, 1, &x, 0);
        ck_assert_int_eq(array_get_int(&got, 0), INT64_MAX);
        array_free(&got);
        array_free(&x);
}
END_TEST

/* The variance of numbers with a large mean, over either axis; squares of the numbers would not do.
 */
START_TEST(test_variance)
{
        enum { N = 3000, COLUMNS = 100 };
        unsigned dtype = _i & 1 ? TD_FLOAT32 : TD_FLOAT64;
        struct array x = array_new(dtype, _i & 2 ? LAYOUT_F : LAYOUT_C, SHAPE(N, COLUMNS)), got;
        struct td_attrs attrs = over(1, (int16_t[]){ 0 });
        double offset = dtype == TD_FLOAT32 ? 4096 : 1e9;

        attrs.set |= TD_ATTR_CORRECTION;
        attrs.correction = 1;
        for (int64_t i = 0; i < N * COLUMNS; i++)
                item_write(array_at(&x, i), dtype, offset + (double)(i / COLUMNS % 3));
        got = kit_one(TD_OP_VAR, &attrs, 1, &x, 2);
        for (int64_t c = 0; c < COLUMNS; c++)
                EXPECT(fabs(array_get(&got, c) - 2000.0 / 2999) < 1e-6, "%a", array_get(&got, c));
        array_free(&got);
        attrs = (struct td_attrs){ .set = 0 };
        got = kit_one(TD_OP_STD, &attrs, 1, &x, 2);
        EXPECT(fabs(array_get(&got, 0) - sqrt(2.0 / 3)) < 1e-6, "%a", array_get(&got, 0));
        array_free(&got);
        array_free(&x);
}
END_TEST

/* A NaN or the first of equals anywhere, also across threads. */
START_TEST(test_first_index)
{
        enum { N = 200000 };
        static const unsigned n_threads[] = { 1, 2, 7 };
        struct array x = array_new(TD_FLOAT64, LAYOUT_C, SHAPE(N)), got;

        for (int64_t at = 3; at < N; at = at * 5 + 1) {
                for (int64_t i = at; i < N; i += 777)
                        item_write(array_at(&x, i), TD_FLOAT64, 2);
                got = kit_one(TD_OP_ARGMAX, NULL, 1, &x, n_threads[_i]);
                ck_assert_int_eq(array_get_int(&got, 0), at);
                array_free(&got);
                item_write(array_at(&x, N - 5), TD_FLOAT64, NAN);
                item_write(array_at(&x, N - 3), TD_FLOAT64, NAN);
                got = kit_one(TD_OP_ARGMIN, NULL, 1, &x, n_threads[_i]);
                ck_assert_int_eq(array_get_int(&got, 0), N - 5);
                array_free(&got);
                memset(x.bytes, 0, N * sizeof(double));
        }
        array_free(&x);
}
END_TEST

/* The sum of negative zeros is one, that of nothing is not. */
START_TEST(test_zeros)
{
        for (int64_t n = 0; n < 2000; n = 3 * n + 1) {
                struct array x = array_new(TD_FLOAT64, LAYOUT_C, SHAPE(n)), got;

                for (int64_t i = 0; i < n; i++)
                        item_write(array_at(&x, i), TD_FLOAT64, -0.0);
                got = kit_one(TD_OP_SUM, NULL, 1, &x, 0);
                ck_assert(array_get(&got, 0) == 0 && !signbit(array_get(&got, 0)) == (n == 0));
                array_free(&got);
                array_free(&x);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("reduce");
        TCase *tc = tcase_create("reduce");

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, test_axes_and_layouts, 0, N_LAYOUTS * TD_N_DTYPES);
        tcase_add_test(tc, test_empty);
        tcase_add_loop_test(tc, test_documented_order, 0, sizeof(lengths) / sizeof(lengths[0]));
        tcase_add_loop_test(tc, test_bits_do_not_depend_on_layout, 0, 2);
        tcase_add_loop_test(tc, test_bits_of_what_lies_across, 0, 4);
        tcase_add_loop_test(tc, test_large, 0, TD_N_DTYPES);
        tcase_add_test(tc, test_special);
        tcase_add_test(tc, test_float32_accuracy);
        tcase_add_test(tc, test_wraps);
        tcase_add_loop_test(tc, test_variance, 0, 4);
        tcase_add_loop_test(tc, test_first_index, 0, 3);
        tcase_add_test(tc, test_zeros);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
