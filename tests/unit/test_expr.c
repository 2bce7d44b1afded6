/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Expressions at their bounds: all that there is room for is computed, and one thing more makes no
 * machine, writes nothing beyond, and is an error.
 */
#include "plan_kit.h"

#include <errno.h>
#include <math.h>

#include "compute/region/expr.h"
#include "compute/region/region.h"
#include "compute/step.h"

/* What stands behind the expression is looked at, too. */
struct fenced {
        struct expr expr;
        unsigned char fence[4096];
};

static void fenced_init(struct fenced *f)
{
        memset(f, 0x5a, sizeof(*f));
        expr_init(&f->expr);
}

/* No step, however often it is tried. */
static void ck_overfull(const struct fenced *f, const struct desc *result)
{
        struct step *step = NULL;

        ck_assert(f->expr.is_overfull);
        ck_assert_uint_le(f->expr.n_leaves, EXPR_LEAVES_MAX);
        ck_assert_uint_le(f->expr.n_values, EXPR_VALUES_MAX);
        ck_assert_uint_le(f->expr.n_results, EXPR_RESULTS_MAX);
        ck_assert_int_eq(region_new(&step, &f->expr, result, 0), -EOVERFLOW);
        ck_assert_ptr_null(step);
        for (size_t i = 0; i < sizeof(f->fence); i++)
                ck_assert_uint_eq(f->fence[i], 0x5a);
}

static uint8_t add_two(struct expr *expr, uint8_t a, uint8_t b)
{
        return expr_apply(expr, TD_OP_ADD, -1, TD_FLOAT64, 2, (const uint8_t[]){ a, b });
}

/* 1 + 2 + ... of so many leaves of one element each */
static uint8_t sum_leaves(struct expr *expr, unsigned n, const struct desc *desc)
{
        uint8_t sum = expr_leaf(expr, desc);

        for (unsigned i = 1; i < n; i++)
                sum = add_two(expr, sum, expr_leaf(expr, desc));
        return sum;
}

START_TEST(leaves)
{
        const struct desc desc = dense(type_of(TD_FLOAT64, 1, 1));
        double numbers[EXPR_LEAVES_MAX], result = 0;
        const void *args[EXPR_LEAVES_MAX];
        void *results[] = { &result };
        struct fenced f;
        struct step *step;

        for (int i = 0; i < EXPR_LEAVES_MAX; i++) {
                numbers[i] = i + 1;
                args[i] = &numbers[i];
        }
        fenced_init(&f);
        expr_result(&f.expr, sum_leaves(&f.expr, EXPR_LEAVES_MAX, &desc));
        ck_assert(!f.expr.is_overfull);
        ck_assert_int_eq(region_new(&step, &f.expr, &desc, 0), 0);
        ck_assert_int_eq(step_run(step, NULL, args, results, NULL, NULL), 0);
        ck_assert_double_eq(result, EXPR_LEAVES_MAX * (EXPR_LEAVES_MAX + 1) / 2);
        step_free(step);
        for (int is_index = 0; is_index < 2; is_index++) {
                struct desc index = dense(type_of(TD_INT64, 1, 1));

                fenced_init(&f);
                expr_result(&f.expr, sum_leaves(&f.expr, EXPR_LEAVES_MAX, &desc));
                for (int i = 0; i < 20; i++)
                        is_index ? expr_index(&f.expr, &index) : expr_leaf(&f.expr, &desc);
                ck_assert_uint_eq(f.expr.indices, 0);
                ck_overfull(&f, &desc);
        }
}
END_TEST

START_TEST(values)
{
        const struct desc desc = dense(type_of(TD_FLOAT64, 1, 1));
        double number = 1, result = 0;
        const void *args[] = { &number };
        void *results[] = { &result };
        struct fenced f;
        struct step *step;
        uint8_t x;

        fenced_init(&f);
        x = expr_leaf(&f.expr, &desc);
        while (f.expr.n_values < EXPR_VALUES_MAX)
                x = add_two(&f.expr, x, x); /* twice as much each */
        expr_result(&f.expr, x);
        ck_assert(!f.expr.is_overfull);
        ck_assert_int_eq(region_new(&step, &f.expr, &desc, 0), 0);
        ck_assert_int_eq(step_run(step, NULL, args, results, NULL, NULL), 0);
        ck_assert_double_eq(result, ldexp(1, EXPR_VALUES_MAX - 1));
        step_free(step);
        ck_assert_uint_eq(add_two(&f.expr, x - 1, x - 1), x); /* is there, and takes no room */
        ck_assert(!f.expr.is_overfull);
        for (int i = 0; i < 20; i++) {
                const union td_scalar constant = { .d = i };

                expr_constant(&f.expr, TD_FLOAT64, &constant);
                expr_cast(&f.expr, x, TD_BOOL);
                x = add_two(&f.expr, x, x);
                expr_apply(&f.expr, TD_OP_POW, -1, TD_INT64, 2, (const uint8_t[]){ x, x });
        }
        ck_overfull(&f, &desc);
}
END_TEST

START_TEST(results)
{
        const struct desc desc = dense(type_of(TD_FLOAT64, 1, 1));
        struct desc descs[EXPR_RESULTS_MAX];
        struct fenced f;
        struct step *step;
        uint8_t x;

        fenced_init(&f);
        x = expr_leaf(&f.expr, &desc);
        for (int i = 0; i < EXPR_RESULTS_MAX; i++) {
                descs[i] = desc;
                expr_result(&f.expr, x);
        }
        ck_assert_int_eq(region_new(&step, &f.expr, descs, 0), 0);
        step_free(step);
        expr_result(&f.expr, x);
        ck_overfull(&f, descs);
}
END_TEST

/*
 * The planner keeps to the bounds: programs that could fill many expressions, where each node
 * converts all that it takes, and reads inputs, constants and generators.
 */
START_TEST(plans_keep_within)
{
        enum { N = 36, M = N / 2, N_INPUTS = 30 };
        static const uint8_t dtypes[] = { TD_INT8, TD_UINT32, TD_FLOAT32, TD_UINT8, TD_INT64 };
        struct desc descs[N_INPUTS];
        const void *inputs[N_INPUTS];
        int64_t zeros[3] = { 0 };
        struct kit kit;
        struct blk p;
        uint32_t outputs[3], sum, kept = 0, ramp;

        blk_init(&p, N_INPUTS);
        for (int i = 0; i < N_INPUTS; i++) {
                descs[i] = dense(type_of(dtypes[i % 5], 1, 3));
                inputs[i] = zeros;
        }
        sum = 0;
        for (uint32_t i = 0; i < N; i++) {
                struct td_attrs value = attrs_value(attrs_shape(1, 3), i);

                ramp = blk_with(&p, TD_OP_ARANGE, attrs_dtype(attrs_range_i(i, i + 6, 2), TD_INT16),
                                0);
                sum = blk_two(&p, TD_OP_ADD, sum, i % N_INPUTS);
                sum = blk_with(&p, TD_OP_WHERE, (struct td_attrs){ .set = 0 }, 3,
                               blk_two(&p, TD_OP_LESS, ramp, i % N_INPUTS), sum,
                               blk_two(&p, TD_OP_ADD, sum, ramp));
                sum = blk_two(&p, TD_OP_ADD, sum,
                              blk_with(&p, TD_OP_FULL, attrs_dtype(value, TD_FLOAT32), 0));
                if (i == M - 1)
                        kept = sum;
        }
        outputs[0] = sum;
        outputs[1] = kept;
        outputs[2] = blk_one(&p, TD_OP_SUM, sum);
        kit_do(&kit, &p, descs, inputs, 3, outputs);
        ck_doubles(kit.outputs[0], 3, DOUBLES(N * (N - 1), N * (N + 1), N * (N + 3)));
        ck_doubles(kit.outputs[1], 3, DOUBLES(M * (M - 1), M * (M + 1), M * (M + 3)));
        ck_doubles(kit.outputs[2], 1, DOUBLES(3 * N * (N + 1)));
        kit_deinit(&kit);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("expr");
        TCase *tcase = tcase_create("expr");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, leaves);
        tcase_add_test(tcase, values);
        tcase_add_test(tcase, results);
        tcase_add_test(tcase, plans_keep_within);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
