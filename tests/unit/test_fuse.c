/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * What fusing leaves behind: how many steps a program becomes, what memory it needs, and that the
 * values are those of the program.
 */
#include "compute/plan/plan.h"

#include <math.h>

#include "compute/plan/plan_code.h"
#include "plan_kit.h"

enum { N = 1000 };

static double a[N], b[N], c[N];
static const void *const inputs[] = { a, b, c };

static void fill(struct desc *descs)
{
        for (int i = 0; i < N; i++) {
                a[i] = 0.001 * i - 0.4;
                b[i] = 1 + 0.01 * (i % 37);
                c[i] = 3 - 0.002 * i;
        }
        for (int i = 0; i < 3; i++)
                descs[i] = dense(type_of(TD_FLOAT64, 1, N));
}

static uint32_t n_steps(const struct kit *kit)
{
        return kit->plan->code.n_instrs;
}

START_TEST(a_chain_is_one_pass)
{
        const struct td_attrs two = attrs_value(
                attrs_dtype((struct td_attrs){ .set = TD_ATTR_SHAPE }, TD_FLOAT64), 2);
        struct desc descs[3];
        struct kit kit;
        struct blk p;
        uint32_t v, half;

        fill(descs);
        blk_init(&p, 3);
        v = blk_two(&p, TD_OP_ADD, blk_two(&p, TD_OP_MULTIPLY, 0, 0),
                    blk_two(&p, TD_OP_MULTIPLY, 1, 1));
        v = blk_two(&p, TD_OP_MULTIPLY, blk_one(&p, TD_OP_SQRT, v), 2);
        half = blk_two(&p, TD_OP_DIVIDE, 0, blk_with(&p, TD_OP_FULL, two, 0));
        v = blk_two(&p, TD_OP_SUBTRACT, v, half);
        kit_do(&kit, &p, descs, inputs, 1, &v);
        ck_assert_uint_eq(n_steps(&kit), 1);
        ck_assert_uint_eq(plan_n_scratch(kit.plan), 0);
        for (int i = 0; i < N; i++)
                ck_assert_double_eq(((double *)kit.outputs[0])[i],
                                    sqrt(a[i] * a[i] + b[i] * b[i]) * c[i] - a[i] / 2);
        kit_deinit(&kit);
}
END_TEST

START_TEST(what_is_said_twice_is_computed_once)
{
        struct desc descs[3];
        uint32_t v[2];
        struct kit kit;
        struct blk p;

        fill(descs);
        blk_init(&p, 3);
        v[0] = blk_two(&p, TD_OP_MATMUL, 0, 1);
        v[1] = blk_two(&p, TD_OP_MATMUL, 0, 1);
        v[0] = blk_two(&p, TD_OP_ADD, v[0], v[1]);
        v[1] = v[0];
        kit_do(&kit, &p, descs, inputs, 2, v);
        ck_assert_uint_eq(n_steps(&kit), 3); /* product, sum, copy of the second output */
        ck_assert_double_eq(*(double *)kit.outputs[0], *(double *)kit.outputs[1]);
        kit_deinit(&kit);
}
END_TEST

/* An output that is read on is stored by the pass that reads it; two passes would be three steps.
 */
START_TEST(a_pass_stores_what_it_goes_by)
{
        struct desc descs[3];
        uint32_t v[2];
        struct kit kit;
        struct blk p;

        fill(descs);
        blk_init(&p, 3);
        v[0] = blk_one(&p, TD_OP_EXP, blk_two(&p, TD_OP_SUBTRACT, 0, 1));
        v[1] = blk_two(&p, TD_OP_MULTIPLY, v[0], 2);
        kit_do(&kit, &p, descs, inputs, 2, v);
        ck_assert_uint_eq(n_steps(&kit), 1);
        ck_assert_uint_eq(plan_n_scratch(kit.plan), 0);
        for (int i = 0; i < N; i++)
                ck_assert_double_eq(((double *)kit.outputs[1])[i],
                                    ((double *)kit.outputs[0])[i] * c[i]);
        kit_deinit(&kit);
}
END_TEST

/* Cheap: computed again for each reader. Expensive: stored once. */
START_TEST(what_is_cheap_is_computed_again)
{
        static const enum td_op ops[] = { TD_OP_SUBTRACT, TD_OP_POW };
        struct desc descs[3];

        fill(descs);
        for (int i = 0; i < 2; i++) {
                struct kit kit;
                struct blk p;
                uint32_t v, total;

                blk_init(&p, 3);
                v = blk_two(&p, ops[i], 1, 2);
                total = blk_with(&p, TD_OP_SUM, (struct td_attrs){ .set = 0 }, 1,
                                 blk_one(&p, TD_OP_SQRT, v));
                v = blk_two(&p, TD_OP_DIVIDE, v, total);
                kit_do(&kit, &p, descs, inputs, 1, &v);
                ck_assert_uint_eq(plan_n_outputs(kit.plan), 1);
                for (int k = 0; k < N; k++) {
                        double x = i ? pow(b[k], c[k]) : b[k] - c[k], sum = 0;

                        for (int j = 0; j < N; j++)
                                sum += sqrt(i ? pow(b[j], c[j]) : b[j] - c[j]);
                        if (!isnan(sum))
                                ck_assert_double_eq_tol(((double *)kit.outputs[0])[k] * sum, x,
                                                        1e-9);
                        else
                                ck_assert_double_nan(((double *)kit.outputs[0])[k]);
                }
                kit_deinit(&kit);
        }
}
END_TEST

/* The result of a pass lies where a dying operand lay; so three products need one buffer. */
START_TEST(results_lie_where_operands_die)
{
        static double m[64 * 64];
        const void *in[] = { m };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 64, 64)) };
        struct kit kit;
        struct blk p;
        uint32_t v;

        for (int i = 0; i < 64 * 64; i++)
                m[i] = 0.01 * (i % 101) - 0.5;
        blk_init(&p, 1);
        v = blk_two(&p, TD_OP_MATMUL, 0, 0);
        v = blk_one(&p, TD_OP_EXP, v);
        v = blk_two(&p, TD_OP_ADD, v, 0);
        kit_do(&kit, &p, descs, in, 1, &v);
        ck_assert_uint_eq(n_steps(&kit), 2);
        ck_assert_uint_lt(plan_n_scratch(kit.plan), sizeof(m)); /* packing aside */
        for (int i = 0; i < 64; i++)
                for (int j = 0; j < 64; j++) {
                        double sum = 0;

                        for (int k = 0; k < 64; k++)
                                sum += m[i * 64 + k] * m[k * 64 + j];
                        ck_assert_double_eq_tol(((double *)kit.outputs[0])[i * 64 + j],
                                                exp(sum) + m[i * 64 + j], 1e-9 * exp(sum));
                }
        kit_deinit(&kit);
}
END_TEST

/* An operand that is read askew, or again later, keeps its memory. */
START_TEST(operands_that_live_keep_their_memory)
{
        static double m[64 * 64];
        const void *in[] = { m };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 64, 64)) };
        struct kit kit;
        struct blk p;
        uint32_t v[2], x;

        for (int i = 0; i < 64 * 64; i++)
                m[i] = i == i / 64 * 65 ? 1 : 0.25 * (i % 7);
        blk_init(&p, 1);
        x = blk_two(&p, TD_OP_MATMUL, 0, 0);
        v[0] = blk_two(&p, TD_OP_SUBTRACT, x,
                       blk_with(&p, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, x));
        v[1] = blk_two(&p, TD_OP_MATMUL, v[0], x);
        kit_do(&kit, &p, descs, in, 2, v);
        for (int i = 0; i < 64; i++)
                for (int j = 0; j < 64; j++)
                        ck_assert_double_eq(((double *)kit.outputs[0])[i * 64 + j],
                                            -((double *)kit.outputs[0])[j * 64 + i]);
        kit_deinit(&kit);
}
END_TEST

/* Far more operands and operations than one region takes. */
START_TEST(long_programs_become_several_passes)
{
        enum { MANY = 60 };
        static double x[MANY][8];
        const void *in[MANY];
        struct desc descs[MANY];
        struct kit kit;
        struct blk p;
        uint32_t v;

        blk_init(&p, MANY);
        for (int i = 0; i < MANY; i++) {
                descs[i] = dense(type_of(TD_FLOAT64, 1, 8));
                in[i] = x[i];
                for (int k = 0; k < 8; k++)
                        x[i][k] = i * 8 + k;
        }
        v = 0;
        for (uint32_t i = 1; i < MANY; i++)
                v = blk_two(&p, i % 2 ? TD_OP_SUBTRACT : TD_OP_ADD, i, v);
        kit_do(&kit, &p, descs, in, 1, &v);
        ck_assert_uint_ge(n_steps(&kit), 2);
        ck_assert_uint_le(n_steps(&kit), 4);
        for (int k = 0; k < 8; k++) {
                double want = x[0][k];

                for (int i = 1; i < MANY; i++)
                        want = i % 2 ? x[i][k] - want : x[i][k] + want;
                ck_assert_double_eq(((double *)kit.outputs[0])[k], want);
        }
        kit_deinit(&kit);
}
END_TEST

/* The node that refuses its data is named, though it is one of many in its pass. */
START_TEST(refusals_name_the_node)
{
        static const int64_t x[] = { 2, 3 }, y[] = { 1, -1 };
        struct desc descs[] = { dense(type_of(TD_INT64, 1, 2)), dense(type_of(TD_INT64, 1, 2)) };
        const void *in[] = { x, y };
        struct kit kit;
        struct blk p;
        uint32_t v;

        blk_init(&p, 2);
        v = blk_two(&p, TD_OP_ADD, 0, 1);
        v = blk_two(&p, TD_OP_MULTIPLY, v, blk_two(&p, TD_OP_POW, 0, 1));
        v = blk_one(&p, TD_OP_NEGATIVE, v);
        ck_assert_int_eq(kit_plan(&kit, &p, descs, 1, &v), 0);
        ck_assert_uint_eq(n_steps(&kit), 1);
        ck_assert_int_eq(kit_run(&kit, in), PLAN_E_REFUSED);
        ck_assert_int_eq(kit.refusal.node, 1);
        ck_assert_int_eq(strncmp(kit.refusal.message, "pow: ", 5), 0);
        kit_deinit(&kit);
}
END_TEST

/* any knows the answer long before the element that is refused. */
START_TEST(refusals_behind_the_answer)
{
        enum { LONG = 1000000 };
        int64_t *x = calloc(LONG, sizeof(*x));
        struct desc desc = dense(type_of(TD_INT64, 1, LONG));

        ck_assert_ptr_nonnull(x);
        x[LONG - 1] = -1;
        for (int i = 0; i < 4; i++) {
                const bool is_plain = i & 1, is_all = i & 2;
                const struct plan_options options = { .is_plain = is_plain };
                const struct td_attrs scalar = attrs_dtype(attrs_shape(0), TD_INT64);
                const void *in[] = { x };
                struct kit kit;
                struct blk p;
                uint32_t v;

                blk_init(&p, 1);
                v = blk_two(&p, TD_OP_POW, blk_with(&p, TD_OP_FULL, attrs_value(scalar, 2), 0), 0);
                v = blk_two(&p, is_all ? TD_OP_LESS : TD_OP_GREATER, v,
                            blk_with(&p, TD_OP_ZEROS, scalar, 0));
                v = blk_one(&p, is_all ? TD_OP_ALL : TD_OP_ANY, v);
                plan_set_options(&options);
                ck_assert_int_eq(kit_plan(&kit, &p, &desc, 1, &v), 0);
                ck_assert_int_eq(kit_run(&kit, in), PLAN_E_REFUSED);
                ck_assert_int_eq(kit.refusal.node, 1);
                kit_deinit(&kit);
        }
        plan_set_options(&(struct plan_options){ .is_plain = false });
        free(x);
}
END_TEST

/* ---- programs of more than one pass, that need no memory of the size of their operands ---- */

enum { LARGE = 200 };

static double large[LARGE * LARGE];

static struct td_attrs along(int axis)
{
        struct td_attrs attrs = attrs_axes(1, axis);

        attrs.set |= TD_ATTR_KEEPDIMS;
        attrs.keepdims = true;
        return attrs;
}

static struct desc fill_large(void)
{
        for (int i = 0; i < LARGE * LARGE; i++)
                large[i] = 0.001 * (i % 977) - 0.3;
        return dense(type_of(TD_FLOAT64, 2, LARGE, LARGE));
}

static uint32_t softmax(struct blk *p, uint32_t x, int axis)
{
        uint32_t v = blk_two(p, TD_OP_SUBTRACT, x, blk_with(p, TD_OP_MAX, along(axis), 1, x));

        v = blk_one(p, TD_OP_EXP, v);
        return blk_two(p, TD_OP_DIVIDE, v, blk_with(p, TD_OP_SUM, along(axis), 1, v));
}

/* Its exponentials are stored, where the result will lie, by the pass that adds them up. */
START_TEST(softmax_needs_a_column)
{
        const void *in[] = { large };

        for (int axis = 0; axis < 2; axis++) {
                const int step = axis ? 1 : LARGE, line = axis ? LARGE : 1;
                struct desc descs[] = { fill_large() };
                struct kit kit;
                struct blk p;
                uint32_t v;

                blk_init(&p, 1);
                v = softmax(&p, 0, axis);
                kit_do(&kit, &p, descs, in, 1, &v);
                ck_assert_uint_eq(n_steps(&kit), 3);
                ck_assert_uint_le(plan_n_scratch(kit.plan), sizeof(large) / 10);
                for (int k = 0; k < LARGE; k++) {
                        const double *x = large + k * line;
                        const double *y = (double *)kit.outputs[0] + k * line;
                        double most = -INFINITY, sum = 0;

                        for (int i = 0; i < LARGE; i++)
                                most = fmax(most, x[i * step]);
                        for (int i = 0; i < LARGE; i++)
                                sum += exp(x[i * step] - most);
                        for (int i = 0; i < LARGE; i++)
                                ck_assert_double_eq_tol(y[i * step], exp(x[i * step] - most) / sum,
                                                        1e-15);
                }
                kit_deinit(&kit);
        }
}
END_TEST

/* Of what dies on the way, the memory is taken: the product, its exponentials, the result. */
START_TEST(softmax_of_a_product_needs_no_more)
{
        static const struct plan_options plain = { .tile = 7, .is_plain = true }, fused = { 0 };
        struct desc descs[] = { fill_large() };
        const void *in[] = { large };
        struct kit want, got;
        struct blk p;
        uint32_t v;

        blk_init(&p, 1);
        v = softmax(&p, blk_two(&p, TD_OP_MATMUL, 0, 0), 1);
        plan_set_options(&plain);
        kit_do(&want, &p, descs, in, 1, &v);
        plan_set_options(&fused);
        kit_do(&got, &p, descs, in, 1, &v);
        ck_assert_uint_eq(n_steps(&got), 4);
        ck_assert_uint_le(plan_n_scratch(got.plan), sizeof(large) / 10);
        ck_assert_mem_eq(got.outputs[0], want.outputs[0], sizeof(large));
        kit_deinit(&want);
        kit_deinit(&got);
}
END_TEST

START_TEST(standardising_needs_two_rows)
{
        struct desc descs[] = { fill_large() };
        const void *in[] = { large };
        struct kit kit;
        struct blk p;
        uint32_t v, d;

        blk_init(&p, 1);
        d = blk_two(&p, TD_OP_SUBTRACT, 0, blk_with(&p, TD_OP_MEAN, along(0), 1, 0));
        v = blk_with(&p, TD_OP_MEAN, along(0), 1, blk_two(&p, TD_OP_MULTIPLY, d, d));
        v = blk_two(&p, TD_OP_DIVIDE, d, blk_one(&p, TD_OP_SQRT, v));
        kit_do(&kit, &p, descs, in, 1, &v);
        ck_assert_uint_le(plan_n_scratch(kit.plan), sizeof(large) / 5);
        for (int column = 0; column < LARGE; column++) {
                const double *y = (double *)kit.outputs[0] + column;
                double mean = 0, square = 0;

                for (int i = 0; i < LARGE; i++)
                        mean += y[i * LARGE] / LARGE;
                for (int i = 0; i < LARGE; i++)
                        square += y[i * LARGE] * y[i * LARGE] / LARGE;
                ck_assert_double_eq_tol(mean, 0, 1e-12);
                ck_assert_double_eq_tol(square, 1, 1e-12);
        }
        kit_deinit(&kit);
}
END_TEST

START_TEST(distances_need_nothing)
{
        enum { POINTS = 60, DIMS = 7 };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 3, POINTS, 1, DIMS)),
                                dense(type_of(TD_FLOAT64, 3, 1, POINTS, DIMS)) };
        const void *in[] = { large, large };
        struct kit kit;
        struct blk p;
        uint32_t v;

        fill_large();
        blk_init(&p, 2);
        v = blk_two(&p, TD_OP_SUBTRACT, 0, 1);
        v = blk_with(&p, TD_OP_SUM, attrs_axes(1, 2), 1, blk_two(&p, TD_OP_MULTIPLY, v, v));
        v = blk_one(&p, TD_OP_SQRT, v);
        kit_do(&kit, &p, descs, in, 1, &v);
        ck_assert_uint_eq(n_steps(&kit), 2);
        ck_assert_uint_lt(plan_n_scratch(kit.plan), POINTS * POINTS * DIMS * sizeof(double) / 2);
        for (int i = 0; i < POINTS; i++)
                for (int j = 0; j < POINTS; j++) {
                        double sum = 0;

                        for (int k = 0; k < DIMS; k++)
                                sum += pow(large[i * DIMS + k] - large[j * DIMS + k], 2);
                        ck_assert_double_eq_tol(((double *)kit.outputs[0])[i * POINTS + j],
                                                sqrt(sum), 1e-13);
                }
        kit_deinit(&kit);
}
END_TEST

/* ---- what programs on 100 MB take beyond their operands and results: planned, not run ---- */

enum { BEYOND = 8 << 20 };

static uint64_t scratch_of(struct blk *p, struct td_type type, uint32_t n_outputs,
                           uint32_t *outputs)
{
        struct desc descs[] = { dense(type), dense(type), dense(type) };
        struct kit kit;
        uint64_t n;

        ck_assert_int_eq(kit_plan(&kit, p, descs, n_outputs, outputs), 0);
        n = plan_n_scratch(kit.plan);
        kit_deinit(&kit);
        return n;
}

START_TEST(a_chain_takes_nothing)
{
        struct blk p;
        uint32_t v;

        blk_init(&p, 3);
        v = blk_two(&p, TD_OP_ADD, blk_two(&p, TD_OP_MULTIPLY, 0, 0),
                    blk_two(&p, TD_OP_MULTIPLY, 1, 1));
        v = blk_two(&p, TD_OP_MULTIPLY, blk_one(&p, TD_OP_SQRT, v), 2);
        v = blk_two(&p, TD_OP_SUBTRACT, v, blk_two(&p, TD_OP_DIVIDE, 0, 1));
        ck_assert_uint_eq(scratch_of(&p, type_of(TD_FLOAT64, 1, 10000000), 1, &v), 0);
}
END_TEST

START_TEST(softmax_takes_columns)
{
        for (int axis = 0; axis < 2; axis++) {
                struct blk p;
                uint32_t v;

                blk_init(&p, 1);
                v = softmax(&p, 0, axis);
                ck_assert_uint_le(scratch_of(&p, type_of(TD_FLOAT64, 2, 12500, 1000), 1, &v),
                                  BEYOND);
        }
}
END_TEST

/* What differs from the mean is cheap: computed again by each of its readers, never stored. */
START_TEST(standardising_takes_rows)
{
        struct blk p;
        uint32_t v, d;

        blk_init(&p, 1);
        d = blk_two(&p, TD_OP_SUBTRACT, 0, blk_with(&p, TD_OP_MEAN, along(0), 1, 0));
        v = blk_with(&p, TD_OP_MEAN, along(0), 1, blk_two(&p, TD_OP_MULTIPLY, d, d));
        v = blk_two(&p, TD_OP_DIVIDE, d, blk_one(&p, TD_OP_SQRT, v));
        ck_assert_uint_le(scratch_of(&p, type_of(TD_FLOAT64, 2, 125000, 100), 1, &v), BEYOND);

        blk_init(&p, 1);
        d = blk_two(&p, TD_OP_SUBTRACT, 0, blk_with(&p, TD_OP_MEAN, attrs_axes(1, 0), 1, 0));
        v = blk_two(&p, TD_OP_DIVIDE, d, blk_with(&p, TD_OP_STD, attrs_axes(1, 0), 1, 0));
        ck_assert_uint_le(scratch_of(&p, type_of(TD_FLOAT64, 2, 125000, 100), 1, &v), BEYOND);
}
END_TEST

START_TEST(distances_take_nothing)
{
        enum { POINTS = 3600, DIMS = 32 };
        struct blk p;
        uint32_t v;

        blk_init(&p, 1);
        v = blk_two(&p, TD_OP_SUBTRACT,
                    blk_with(&p, TD_OP_RESHAPE, attrs_shape(3, POINTS, 1, DIMS), 1, 0),
                    blk_with(&p, TD_OP_RESHAPE, attrs_shape(3, 1, POINTS, DIMS), 1, 0));
        v = blk_with(&p, TD_OP_SUM, attrs_axes(1, 2), 1, blk_two(&p, TD_OP_MULTIPLY, v, v));
        v = blk_one(&p, TD_OP_SQRT, v);
        ck_assert_uint_le(scratch_of(&p, type_of(TD_FLOAT64, 2, POINTS, DIMS), 1, &v), BEYOND);
}
END_TEST

/* Read by three passes: the first one stores it where the result will lie, written last. */
START_TEST(what_is_expensive_lies_where_the_result_will)
{
        struct blk p;
        uint32_t v, sum, most;

        blk_init(&p, 1);
        v = blk_one(&p, TD_OP_EXP, 0);
        sum = blk_with(&p, TD_OP_SUM, along(1), 1, v);
        most = blk_with(&p, TD_OP_MAX, along(0), 1, v);
        v = blk_two(&p, TD_OP_DIVIDE, v, blk_two(&p, TD_OP_ADD, sum, most));
        ck_assert_uint_le(scratch_of(&p, type_of(TD_FLOAT64, 2, 12500, 1000), 1, &v), BEYOND);
}
END_TEST

/* A power of two is divided by as it is multiplied with: the bits are the same, to the edges. */
START_TEST(division_by_powers_of_two)
{
        static const double x[] = {
                1.0, -3.5, 1e308, 5e-324, 3e-308, INFINITY, NAN, -0.0, 0x1p-1022
        };
        static const double by[] = { 2, -4, 0x1p1000, 0x1p-1000, 0x1p1023, 0x1p-1074, 3, INFINITY };
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 1, 9)), dense(type_of(TD_FLOAT64, 0)) };

        for (size_t k = 0; k < sizeof(by) / sizeof(by[0]); k++) {
                const void *in[] = { x, &by[k] };
                struct kit kit;
                struct blk p;
                uint32_t v;

                blk_init(&p, 2);
                v = blk_two(&p, TD_OP_DIVIDE, 0, 1);
                kit_do(&kit, &p, descs, in, 1, &v);
                for (int i = 0; i < 9; i++) {
                        volatile double dividend = x[i], divisor = by[k];
                        double want = dividend / divisor, got = ((double *)kit.outputs[0])[i];

                        if (isnan(want))
                                ck_assert_double_nan(got);
                        else
                                ck_assert_mem_eq(&got, &want, sizeof(got));
                }
                kit_deinit(&kit);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("fuse");
        TCase *tcase = tcase_create("fuse");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, a_chain_is_one_pass);
        tcase_add_test(tcase, what_is_said_twice_is_computed_once);
        tcase_add_test(tcase, a_pass_stores_what_it_goes_by);
        tcase_add_test(tcase, what_is_cheap_is_computed_again);
        tcase_add_test(tcase, results_lie_where_operands_die);
        tcase_add_test(tcase, operands_that_live_keep_their_memory);
        tcase_add_test(tcase, long_programs_become_several_passes);
        tcase_add_test(tcase, refusals_name_the_node);
        tcase_add_test(tcase, refusals_behind_the_answer);
        tcase_add_test(tcase, softmax_needs_a_column);
        tcase_add_test(tcase, softmax_of_a_product_needs_no_more);
        tcase_add_test(tcase, standardising_needs_two_rows);
        tcase_add_test(tcase, distances_need_nothing);
        tcase_add_test(tcase, division_by_powers_of_two);
        tcase_add_test(tcase, a_chain_takes_nothing);
        tcase_add_test(tcase, softmax_takes_columns);
        tcase_add_test(tcase, standardising_takes_rows);
        tcase_add_test(tcase, distances_take_nothing);
        tcase_add_test(tcase, what_is_expensive_lies_where_the_result_will);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
