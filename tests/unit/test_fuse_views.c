/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Views and generators inside of passes
 *
 * A view between two operations, or an operand that follows from its index, costs neither a pass
 * nor memory; and the values are the same as one by one.
 */
#include "compute/plan/plan.h"

#include <math.h>

#include "compute/plan/plan_code.h"
#include "plan_kit.h"

enum { ROWS = 30, COLUMNS = 50, ALL = ROWS * COLUMNS };

static double x[ALL], y[ALL], row[COLUMNS];
static const void *const inputs[] = { x, y, row };

static void fill(struct desc *descs)
{
        for (int i = 0; i < ALL; i++) {
                x[i] = 0.01 * (i % 301) - 1;
                y[i] = 2 - 0.003 * (i % 577);
        }
        for (int i = 0; i < COLUMNS; i++)
                row[i] = i * i;
        descs[0] = descs[1] = dense(type_of(TD_FLOAT64, 2, ROWS, COLUMNS));
        descs[2] = dense(type_of(TD_FLOAT64, 1, COLUMNS));
}

static void run_both(struct blk *p, uint32_t v, struct kit *wantp, struct kit *gotp)
{
        static const struct plan_options plain = { .tile = 7, .is_plain = true }, fused = { 0 };
        struct desc descs[3];

        fill(descs);
        plan_set_options(&plain);
        kit_do(wantp, p, descs, inputs, 1, &v);
        plan_set_options(&fused);
        kit_do(gotp, p, descs, inputs, 1, &v);
}

/* The same bits as node by node. */
static void ck_same(struct kit *want, struct kit *got)
{
        size_t n = (size_t)desc_n_bytes(plan_output(got->plan, 0));

        ck_assert_mem_eq(got->outputs[0], want->outputs[0], n);
        kit_deinit(want);
        kit_deinit(got);
}

static void check_values(struct blk *p, uint32_t v)
{
        struct kit want, got;

        run_both(p, v, &want, &got);
        ck_same(&want, &got);
}

/* So many steps, and no memory, too. */
static void check(struct blk *p, uint32_t v, uint32_t n_steps)
{
        struct kit want, got;

        run_both(p, v, &want, &got);
        ck_assert_uint_eq(got.plan->code.n_instrs, n_steps);
        ck_assert_uint_eq(plan_n_scratch(got.plan), 0);
        ck_same(&want, &got);
}

static uint32_t transposed(struct blk *p, uint32_t v)
{
        return blk_with(p, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, v);
}

static struct td_attrs rows_from(int64_t start, int64_t n, int64_t step)
{
        struct td_attrs attrs = attrs_slice(start, n, step);

        attrs.n_start = attrs.n_shape = attrs.n_step = 2;
        attrs.shape[1] = COLUMNS;
        attrs.step[1] = 1;
        return attrs;
}

START_TEST(a_transpose_between_operations)
{
        struct blk p;
        uint32_t v;

        blk_init(&p, 3);
        v = transposed(&p, blk_one(&p, TD_OP_EXP, blk_two(&p, TD_OP_ADD, 0, 2)));
        v = transposed(&p, blk_two(&p, TD_OP_MULTIPLY, v, transposed(&p, 1)));
        check(&p, blk_one(&p, TD_OP_NEGATIVE, v), 1);
}
END_TEST

/* Every second row, last one first; the pass computes no more than these. */
START_TEST(slices_and_flips)
{
        struct blk p;
        uint32_t v, w;

        blk_init(&p, 3);
        v = blk_two(&p, TD_OP_MULTIPLY, 0, 1);
        w = blk_with(&p, TD_OP_SLICE, rows_from(ROWS - 1, ROWS / 2, -2), 1, v);
        v = blk_with(&p, TD_OP_SLICE, rows_from(0, ROWS / 2, 1), 1, v);
        check(&p, blk_two(&p, TD_OP_SUBTRACT, v, blk_one(&p, TD_OP_ABS, w)), 1);
}
END_TEST

START_TEST(reshapes)
{
        struct blk p;
        uint32_t v;

        blk_init(&p, 3);
        v = blk_one(&p, TD_OP_SQRT, blk_one(&p, TD_OP_ABS, blk_two(&p, TD_OP_MULTIPLY, 0, 1)));
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(1, ALL), 1, v);
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(3, COLUMNS, 1, ROWS), 1,
                     blk_one(&p, TD_OP_NEGATIVE, v));
        check(&p, blk_one(&p, TD_OP_SQUARE, v), 1);
}
END_TEST

/* What lies askew can't be reshaped without being copied: the sum, its copy, and the rest. */
START_TEST(reshapes_that_copy)
{
        static const struct plan_options fused = { 0 };
        struct desc descs[3];
        struct kit kit;
        struct blk p;
        uint32_t v;

        fill(descs);
        blk_init(&p, 3);
        v = blk_two(&p, TD_OP_ADD, transposed(&p, 0), transposed(&p, 1));
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(1, ALL), 1, v);
        v = blk_one(&p, TD_OP_NEGATIVE, v);
        plan_set_options(&fused);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_assert_uint_eq(kit.plan->code.n_instrs, 3);
        for (int i = 0; i < COLUMNS; i++)
                for (int k = 0; k < ROWS; k++)
                        ck_assert_double_eq(((double *)kit.outputs[0])[i * ROWS + k],
                                            -(x[k * COLUMNS + i] + y[k * COLUMNS + i]));
        kit_deinit(&kit);
}
END_TEST

/* A value that is stored and also seen through a view is stored by a pass of its own, before. */
START_TEST(stored_and_seen_askew)
{
        static const struct plan_options fused = { 0 };
        struct desc descs[3];
        struct kit kit;
        struct blk p;
        uint32_t v[2];

        fill(descs);
        blk_init(&p, 3);
        v[0] = blk_one(&p, TD_OP_EXP, 0);
        v[1] = blk_with(&p, TD_OP_SLICE, rows_from(ROWS - 1, ROWS, -1), 1, v[0]);
        v[1] = blk_two(&p, TD_OP_ADD, v[0], v[1]);
        plan_set_options(&fused);
        kit_do(&kit, &p, descs, inputs, 2, v);
        ck_assert_uint_eq(kit.plan->code.n_instrs, 2);
        for (int i = 0; i < ROWS; i++)
                for (int k = 0; k < COLUMNS; k++)
                        ck_assert_double_eq(
                                ((double *)kit.outputs[1])[i * COLUMNS + k],
                                ((double *)kit.outputs[0])[i * COLUMNS + k] +
                                        ((double *)kit.outputs[0])[(ROWS - 1 - i) * COLUMNS + k]);
        kit_deinit(&kit);
}
END_TEST

/* exp of a row, broadcast: computed once a column, not once an element. */
START_TEST(what_is_broadcast_is_computed_before)
{
        static const struct plan_options fused = { 0 };
        struct desc descs[3];
        struct kit kit;
        struct blk p;
        uint32_t v;

        fill(descs);
        blk_init(&p, 3);
        v = blk_one(&p, TD_OP_EXP, blk_one(&p, TD_OP_NEGATIVE, 2));
        v = blk_with(&p, TD_OP_BROADCAST_TO, attrs_shape(2, ROWS, COLUMNS), 1, v);
        v = blk_two(&p, TD_OP_ADD, v, 0);
        plan_set_options(&fused);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_assert_uint_eq(kit.plan->code.n_instrs, 2);
        ck_assert_uint_le(plan_n_scratch(kit.plan), sizeof(row) + 64);
        kit_deinit(&kit);
}
END_TEST

START_TEST(generators_want_no_memory)
{
        struct td_attrs line = attrs_range_d(-1, 1, 0);
        struct blk p;
        uint32_t v, w;

        line.range[2] = (struct td_number){ .kind = TD_KIND_INT, .i = COLUMNS };
        blk_init(&p, 3);
        v = blk_with(&p, TD_OP_ARANGE, attrs_dtype(attrs_range_i(7, 7 + 3 * ROWS, 3), TD_INT64), 0);
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(2, ROWS, 1), 1, v);
        w = blk_with(&p, TD_OP_LINSPACE, attrs_dtype(line, TD_FLOAT64), 0);
        v = blk_two(&p, TD_OP_MULTIPLY, v, w);
        v = blk_two(&p, TD_OP_ADD, v, 0);
        w = blk_with(&p, TD_OP_EYE, attrs_dtype(attrs_shape(2, ROWS, COLUMNS), TD_FLOAT64), 0);
        check(&p, blk_two(&p, TD_OP_SUBTRACT, v, w), 1);

        blk_init(&p, 3);
        v = blk_with(&p, TD_OP_ARANGE, attrs_dtype(attrs_range_d(0.5, 1e6 + 0.5, 1), TD_FLOAT64),
                     0);
        v = blk_one(&p, TD_OP_SQRT, v);
        v = blk_with(&p, TD_OP_RESHAPE, attrs_shape(2, 1000, 1000), 1, v);
        check(&p, blk_with(&p, TD_OP_MAX, attrs_axes(1, 1), 1, v), 1);
}
END_TEST

START_TEST(triangles_are_masks)
{
        struct td_attrs k = { .set = TD_ATTR_K, .k = -2 };
        struct blk p;
        uint32_t v;

        blk_init(&p, 3);
        v = blk_with(&p, TD_OP_TRIL, k, 1, blk_one(&p, TD_OP_EXP, 0));
        k.k = INT64_MAX;
        v = blk_with(&p, TD_OP_TRIU, k, 1, blk_two(&p, TD_OP_ADD, v, 1));
        check(&p, blk_two(&p, TD_OP_SUBTRACT, v, 1), 1);
        k.k = INT64_MIN;
        v = blk_with(&p, TD_OP_TRIU, k, 1, 0);
        check(&p, v, 1);
}
END_TEST

/* Neighbouring lines go together, single ones are scanned alone. */
START_TEST(scans_are_fed)
{
        static const int shapes[][3] = {
                { 1, 1, ALL }, { 1, ALL, 1 }, { ROWS, 1, COLUMNS }, { 2, ROWS, COLUMNS / 2 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
                for (int axis = 0; axis < 3; axis++) {
                        const struct td_attrs shape = attrs_shape(3, shapes[i][0], shapes[i][1],
                                                                  shapes[i][2]);
                        struct blk p;
                        uint32_t v;

                        blk_init(&p, 3);
                        v = blk_two(&p, TD_OP_MULTIPLY, blk_with(&p, TD_OP_RESHAPE, shape, 1, 0),
                                    blk_with(&p, TD_OP_RESHAPE, shape, 1, 1));
                        v = blk_two(&p, TD_OP_ADD, v,
                                    blk_with(&p, TD_OP_ONES,
                                             attrs_dtype(attrs_shape(1, 1), TD_FLOAT64), 0));
                        check(&p, blk_with(&p, TD_OP_CUMULATIVE_SUM, attrs_axes(1, axis), 1, v), 1);
                }
}
END_TEST

START_TEST(long_scans_are_fed_twice)
{
        static const struct plan_options plain = { .tile = 7, .is_plain = true }, fused = { 0 };
        enum { LONG = 100000 };

        for (int i = 0; i < 2; i++) {
                const struct td_attrs attrs = attrs_axes(1, 0);
                struct desc descs[3];
                struct kit want, got;
                struct blk p;
                uint32_t v;

                fill(descs);
                blk_init(&p, 3);
                v = blk_with(&p, TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, LONG, 1), TD_FLOAT64),
                             0);
                v = i ? blk_one(&p, TD_OP_SIN, v) : v;
                v = blk_with(&p, TD_OP_CUMULATIVE_SUM, attrs, 1, v);
                plan_set_options(&plain);
                kit_do(&want, &p, descs, inputs, 1, &v);
                plan_set_options(&fused);
                kit_do(&got, &p, descs, inputs, 1, &v);
                /* what is expensive is stored before */
                ck_assert_uint_eq(got.plan->code.n_instrs, i ? 2 : 1);
                ck_assert_mem_eq(got.outputs[0], want.outputs[0], LONG * sizeof(double));
                kit_deinit(&want);
                kit_deinit(&got);
        }
}
END_TEST

/* Constants are written down with their conversions, however many there are. */
START_TEST(many_constants)
{
        static const struct plan_options fused = { 0 };
        const struct td_attrs shape = { .set = TD_ATTR_SHAPE };
        struct desc descs[3];
        struct kit kit;
        struct blk p;
        uint32_t v = 0;

        fill(descs);
        blk_init(&p, 3);
        for (int i = 0; i < 60; i++) {
                uint32_t low = blk_with(&p, TD_OP_FULL,
                                        attrs_value(attrs_dtype(shape, TD_INT8), -i), 0);
                uint32_t high = blk_with(&p, TD_OP_FULL,
                                         attrs_value(attrs_dtype(shape, TD_FLOAT32), i + 1), 0);

                v = blk_with(&p, TD_OP_CLIP, (struct td_attrs){ .set = 0 }, 3, v, low, high);
        }
        plan_set_options(&fused);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        for (int i = 0; i < ALL; i++)
                ck_assert_double_eq(((double *)kit.outputs[0])[i], fmin(fmax(x[i], 0), 1));
        kit_deinit(&kit);
}
END_TEST

/* A view is one operand, what is behind it may want more room than its readers have left. */
START_TEST(many_generators_behind_views)
{
        enum { MANY = 24, WIDE = 8 };
        uint32_t v, seen[MANY];
        struct blk p;

        blk_init(&p, 3);
        for (int i = 0; i < MANY; i++) {
                struct td_attrs attrs;

                if (_i == 0) {
                        attrs = attrs_dtype(attrs_shape(2, WIDE, WIDE), TD_FLOAT64);
                        attrs.set |= TD_ATTR_K;
                        attrs.k = i % (2 * WIDE - 1) - WIDE + 1;
                        seen[i] = transposed(&p, blk_with(&p, TD_OP_EYE, attrs, 0));
                        continue;
                }
                attrs = attrs_dtype(attrs_range_d(i, 3 * i + 1, 0), TD_FLOAT64);
                attrs.range[2] = (struct td_number){ .kind = TD_KIND_INT, .i = WIDE };
                v = blk_with(&p, TD_OP_LINSPACE, attrs, 0);
                seen[i] = blk_with(&p, TD_OP_SLICE, attrs_slice(WIDE - 1, WIDE, -1), 1, v);
        }
        v = seen[MANY - 1];
        for (int i = MANY - 1; i-- > 0;)
                v = blk_two(&p, TD_OP_ADD, seen[i], v);
        check_values(&p, v);
}
END_TEST

/* What is not seen is refused all the same. */
START_TEST(refusals_behind_slices)
{
        static const int64_t a[] = { 1, 2 }, b[] = { 1, -1 };
        static const void *const in[] = { a, b };
        const struct desc descs[] = { dense(type_of(TD_INT64, 1, 2)),
                                      dense(type_of(TD_INT64, 1, 2)) };

        for (int i = 0; i < 2; i++) {
                const struct plan_options options = { .tile = 7, .is_plain = i == 0 };
                struct kit kit;
                struct blk p;
                uint32_t v;

                blk_init(&p, 2);
                v = blk_two(&p, TD_OP_POW, 0, 1);
                v = blk_two(&p, TD_OP_ADD, v, 0);
                v = blk_with(&p, TD_OP_SLICE, attrs_slice(0, 1, 1), 1, v);
                v = blk_one(&p, TD_OP_NEGATIVE, v);
                plan_set_options(&options);
                ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
                ck_assert_int_eq(kit_run(&kit, in), PLAN_E_REFUSED);
                ck_assert_int_eq(kit.refusal.node, 0);
                kit_deinit(&kit);
        }
}
END_TEST

/* One element, stretched over none. */
START_TEST(refusals_of_what_nobody_wants)
{
        static const int64_t a[] = { 2 }, b[] = { -1 };
        static const void *const in[] = { a, b, b };
        const struct desc descs[] = { dense(type_of(TD_INT64, 1, 1)),
                                      dense(type_of(TD_INT64, 1, 1)),
                                      dense(type_of(TD_INT64, 1, 0)) };

        for (int i = 0; i < 2; i++) {
                const struct plan_options options = { .tile = 7, .is_plain = i == 0 };
                struct kit kit;
                struct blk p;
                uint32_t v;

                blk_init(&p, 3);
                v = blk_two(&p, TD_OP_ADD, blk_two(&p, TD_OP_POW, 0, 1), 2);
                plan_set_options(&options);
                ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
                ck_assert_int_eq(kit_run(&kit, in), PLAN_E_REFUSED);
                kit_deinit(&kit);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("fuse_views");
        TCase *tcase = tcase_create("fuse_views");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, a_transpose_between_operations);
        tcase_add_test(tcase, slices_and_flips);
        tcase_add_test(tcase, reshapes);
        tcase_add_test(tcase, reshapes_that_copy);
        tcase_add_test(tcase, stored_and_seen_askew);
        tcase_add_test(tcase, what_is_broadcast_is_computed_before);
        tcase_add_test(tcase, generators_want_no_memory);
        tcase_add_test(tcase, triangles_are_masks);
        tcase_add_test(tcase, scans_are_fed);
        tcase_add_test(tcase, long_scans_are_fed_twice);
        tcase_add_test(tcase, many_constants);
        tcase_add_loop_test(tcase, many_generators_behind_views, 0, 2);
        tcase_add_test(tcase, refusals_behind_slices);
        tcase_add_test(tcase, refusals_of_what_nobody_wants);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
