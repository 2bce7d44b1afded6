/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

/* ---- solve ---- */

/* Random, and far from singular. */
static struct array regular(unsigned dtype, enum layout layout, unsigned ndim, const int64_t *shape)
{
        struct array a = array_random(dtype, layout, ndim, shape);
        int64_t n = shape[ndim - 1];

        for (int64_t i = 0; i < desc_n_elements(&a.desc); i++)
                if (i % n == i / n % n)
                        item_write(array_at(&a, i), dtype, 40 * (double)n + (double)(i % 7));
        return a;
}

/* a[index_a] @ x[product] = b[index_b], by plain loops */
static void check_solution(const struct array *a, int64_t index_a, const struct array *b,
                           int64_t index_b, const struct array *x, int64_t product, int64_t n,
                           int64_t n_rhs)
{
        double epsilon = x->desc.type.dtype == TD_FLOAT32 ? 1e-6 : 1e-14;

        for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n_rhs; j++) {
                        double sum = 0, size = 1;

                        for (int64_t k = 0; k < n; k++) {
                                double term = array_get(a, (index_a * n + i) * n + k) *
                                              array_get(x, (product * n + k) * n_rhs + j);

                                sum += term;
                                size += fabs(term);
                        }
                        EXPECT(fabs(sum - array_get(b, (index_b * n + i) * n_rhs + j)) <=
                                       size * (double)n * epsilon,
                               "%g", sum);
                }
}

START_TEST(test_solve)
{
        enum layout layout = (enum layout)(_i % N_LAYOUTS == LAYOUT_STILL ? LAYOUT_C
                                                                          : _i % N_LAYOUTS);
        unsigned dtype = TD_INT64 + (unsigned)_i / N_LAYOUTS;

        for (int64_t n = 0; n <= 50; n = n * 2 + 1)
                for (int64_t n_rhs = 0; n_rhs < 4; n_rhs++) {
                        struct array args[2] = { regular(dtype, layout, SHAPE(n, n)),
                                                 array_random(dtype, layout, SHAPE(n, n_rhs)) };
                        struct array x = kit_one(TD_OP_SOLVE, NULL, 2, args, 0);

                        ck_assert_uint_eq(x.desc.type.dtype,
                                          dtype == TD_FLOAT32 ? TD_FLOAT32 : TD_FLOAT64);
                        check_solution(&args[0], 0, &args[1], 0, &x, 0, n, n_rhs);
                        array_free(&x);
                        array_free(&args[1]);
                        args[1] = array_random(dtype, layout, SHAPE(n));
                        x = kit_one(TD_OP_SOLVE, NULL, 2, args, 0);
                        ck_assert_uint_eq(x.desc.type.ndim, 1);
                        check_solution(&args[0], 0, &args[1], 0, &x, 0, n, 1);
                        array_free(&x);
                        array_free(&args[0]);
                        array_free(&args[1]);
                }
}
END_TEST

START_TEST(test_solve_stacks)
{
        struct array args[2] = { regular(TD_FLOAT64, LAYOUT_F, SHAPE(2, 1, 4, 4)),
                                 array_random(TD_FLOAT64, LAYOUT_C, SHAPE(3, 4, 5)) };
        struct array x = kit_one(TD_OP_SOLVE, NULL, 2, args, 0);

        ck_assert_int_eq(desc_n_elements(&x.desc), 2 * 3 * 4 * 5);
        for (int64_t i = 0; i < 6; i++)
                check_solution(&args[0], i / 3, &args[1], i % 3, &x, i, 4, 5);
        array_free(&x);
        array_free(&args[1]);
        args[1] = array_random(TD_FLOAT64, LAYOUT_C, SHAPE(4)); /* a vector goes with each matrix */
        x = kit_one(TD_OP_SOLVE, NULL, 2, args, 0);
        for (int64_t i = 0; i < 2; i++)
                check_solution(&args[0], i, &args[1], 0, &x, i, 4, 1);
        array_free(&x);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

static void expect_refusal(enum td_op op, unsigned n_args, const struct array *args, int code,
                           const char *words)
{
        struct td_refusal refusal = { 0 };
        struct array results[4];

        ck_assert_int_eq(kit_run(op, NULL, n_args, args, results, 0, &refusal), PLAN_E_REFUSED);
        ck_assert_int_eq(refusal.code, code);
        ck_assert_msg(strstr(refusal.message, words) != NULL, "%s", refusal.message);
        for (int i = 0; i < td_op_info(op)->n_results; i++)
                array_free(&results[i]);
}

START_TEST(test_singular)
{
        struct array args[2] = { regular(TD_FLOAT64, LAYOUT_C, SHAPE(2, 3, 3, 3)),
                                 array_random(TD_FLOAT64, LAYOUT_C, SHAPE(3)) };

        for (int64_t i = 0; i < 9; i++) /* matrix (1, 2): its last two rows are alike */
                item_write(array_at(&args[0], 5 * 9 + i), TD_FLOAT64, i < 3 ? (double)(i == 0) : 1);
        expect_refusal(TD_OP_SOLVE, 2, args, TD_E_SINGULAR,
                       "solve: the 3 x 3 matrix (1, 2) of the stack is singular: pivot 3 is zero");
        args[0].desc.type.ndim = 2;
        for (int64_t i = 0; i < 9; i++)
                item_write(args[0].bytes + 8 * i, TD_FLOAT64, 0);
        args[0].desc.type.shape[0] = args[0].desc.type.shape[1] = 3;
        desc_init_c(&args[0].desc, &args[0].desc.type);
        expect_refusal(TD_OP_SOLVE, 2, args, TD_E_SINGULAR,
                       "solve: the 3 x 3 matrix is singular: pivot 1 is zero");
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

/* ---- cholesky ---- */

/* b @ b.T + n on the diagonal, for each matrix of the stack */
static struct array positive(unsigned dtype, enum layout layout, int64_t n_stack, int64_t n)
{
        struct array a = array_new(dtype, layout, SHAPE(n_stack, n, n)),
                     b = array_random(TD_INT64, LAYOUT_C, SHAPE(n_stack, n, n));

        for (int64_t s = 0; s < n_stack; s++)
                for (int64_t i = 0; i < n; i++)
                        for (int64_t j = 0; j < n; j++) {
                                double sum = i == j ? (double)n : 0;

                                for (int64_t k = 0; k < n; k++)
                                        sum += array_get(&b, (s * n + i) * n + k) *
                                               array_get(&b, (s * n + j) * n + k);
                                item_write(array_at(&a, (s * n + i) * n + j), dtype, sum);
                        }
        array_free(&b);
        return a;
}

static void check_factor(const struct array *a, const struct array *f, int64_t n_stack, int64_t n,
                         bool is_upper)
{
        double epsilon = f->desc.type.dtype == TD_FLOAT32 ? 1e-6 : 1e-14;

        for (int64_t s = 0; s < n_stack; s++)
                for (int64_t i = 0; i < n; i++)
                        for (int64_t j = 0; j < n; j++) {
                                double sum = 0, want = array_get(a, (s * n + i) * n + j);

                                if (is_upper ? j < i : j > i)
                                        EXPECT(array_get(f, (s * n + i) * n + j) == 0);
                                for (int64_t k = 0; k < n; k++)
                                        sum += is_upper ? array_get(f, (s * n + k) * n + i) *
                                                                  array_get(f, (s * n + k) * n + j)
                                                        : array_get(f, (s * n + i) * n + k) *
                                                                  array_get(f, (s * n + j) * n + k);
                                EXPECT(fabs(sum - want) <=
                                               epsilon * (double)n * array_get(a, s * n * n) * 50,
                                       "%g %g", sum, want);
                        }
}

START_TEST(test_cholesky)
{
        unsigned dtype = TD_INT64 + (unsigned)_i;

        for (int64_t n = 0; n < 60; n = n * 3 + 1)
                for (int is_upper = 0; is_upper < 2; is_upper++) {
                        struct td_attrs attrs = { .set = TD_ATTR_UPPER, .upper = is_upper };
                        struct array a = positive(dtype, is_upper ? LAYOUT_F : LAYOUT_SLICED, 2, n);
                        struct array f = kit_one(TD_OP_CHOLESKY, &attrs, 1, &a, 0);

                        check_factor(&a, &f, 2, n, is_upper);
                        array_free(&f);
                        array_free(&a);
                }
}
END_TEST

START_TEST(test_not_positive)
{
        struct array a = positive(TD_FLOAT64, LAYOUT_C, 2, 4);

        item_write(array_at(&a, 16 + 2 * 4 + 2), TD_FLOAT64, -1);
        expect_refusal(TD_OP_CHOLESKY, 1, &a, TD_E_SINGULAR,
                       "cholesky: the 4 x 4 matrix (1,) of the stack is not positive definite: its "
                       "leading minor of order 3 is");
        array_free(&a);
}
END_TEST

/* ---- lstsq ---- */

static const double longley[16][7] = {
        /* gnp_deflator, gnp, unemployed, armed_forces, population, year, employed */
        { 83.0, 234289, 2356, 1590, 107608, 1947, 60323 },
        { 88.5, 259426, 2325, 1456, 108632, 1948, 61122 },
        { 88.2, 258054, 3682, 1616, 109773, 1949, 60171 },
        { 89.5, 284599, 3351, 1650, 110929, 1950, 61187 },
        { 96.2, 328975, 2099, 3099, 112075, 1951, 63221 },
        { 98.1, 346999, 1932, 3594, 113270, 1952, 63639 },
        { 99.0, 365385, 1870, 3547, 115094, 1953, 64989 },
        { 100.0, 363112, 3578, 3350, 116219, 1954, 63761 },
        { 101.2, 397469, 2904, 3048, 117388, 1955, 66019 },
        { 104.6, 419180, 2822, 2857, 118734, 1956, 67857 },
        { 108.4, 442769, 2936, 2798, 120445, 1957, 68169 },
        { 110.8, 444546, 4681, 2637, 121950, 1958, 66513 },
        { 112.6, 482704, 3813, 2552, 123366, 1959, 68655 },
        { 114.2, 502601, 3931, 2514, 125368, 1960, 69564 },
        { 115.7, 518173, 4806, 2572, 127852, 1961, 69331 },
        { 116.9, 554894, 4007, 2827, 130081, 1962, 70551 },
};
static const double certified[] = { -3482258.63459582, 15.0618722713733,  -0.0358191792925910,
                                    -2.02022980381683, -1.03322686717359, -0.0511041056535807,
                                    1829.15146461355 };

START_TEST(test_longley)
{
        enum layout layout = (enum layout)_i;
        struct array args[2] = { array_new(TD_FLOAT64, layout, SHAPE(16, 7)),
                                 array_new(TD_FLOAT64, LAYOUT_C, SHAPE(16)) };
        struct array results[4];
        struct td_refusal refusal = { 0 };

        for (int64_t i = 0; i < 16; i++) {
                item_write(array_at(&args[0], i * 7), TD_FLOAT64, 1);
                for (int64_t j = 0; j < 6; j++)
                        item_write(array_at(&args[0], i * 7 + j + 1), TD_FLOAT64, longley[i][j]);
                item_write(array_at(&args[1], i), TD_FLOAT64, longley[i][6]);
        }
        ck_assert_int_eq(kit_run(TD_OP_LSTSQ, NULL, 2, args, results, 0, &refusal), 0);
        for (int64_t i = 0; i < 7; i++) /* as far as NIST's digits go */
                ck_assert_double_le(fabs(array_get(&results[0], i) / certified[i] - 1), 1e-13);
        ck_assert_double_le(fabs(array_get(&results[1], 0) / 836424.055505915 - 1), 1e-13);
        ck_assert_int_eq(array_get_int(&results[2], 0), 7);
        ck_assert_double_le(fabs(array_get(&results[3], 0) / 1663668.2278894703 - 1), 1e-9);
        for (unsigned i = 0; i < 4; i++)
                array_free(&results[i]);
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

/* a' (b - a x) = 0, and what the sums say is the sum of squares */
static void check_least(const struct array *args, const struct array *results, int64_t m, int64_t n,
                        int64_t n_rhs)
{
        double epsilon = results[0].desc.type.dtype == TD_FLOAT32 ? 2e-5 : 1e-11;

        for (int64_t r = 0; r < n_rhs; r++) {
                double residual[64], sum = 0, size = 1;

                for (int64_t i = 0; i < m; i++) {
                        residual[i] = array_get(&args[1], i * n_rhs + r);
                        size += residual[i] * residual[i];
                        for (int64_t j = 0; j < n; j++)
                                residual[i] -= array_get(&args[0], i * n + j) *
                                               array_get(&results[0], j * n_rhs + r);
                        sum += residual[i] * residual[i];
                }
                EXPECT(fabs(array_get(&results[1], r) - sum) <= size * epsilon, "%g %g",
                       array_get(&results[1], r), sum);
                for (int64_t j = 0; j < n; j++) {
                        double product = 0;

                        for (int64_t i = 0; i < m; i++)
                                product += array_get(&args[0], i * n + j) * residual[i];
                        EXPECT(fabs(product) <= size * epsilon * 100, "%g", product);
                }
        }
}

static void try_least(struct array a, struct array b, int64_t want_rank, double want_norm)
{
        struct array args[2] = { a, b }, results[4];
        struct td_refusal refusal = { 0 };
        int64_t m = a.desc.type.shape[0], n = a.desc.type.shape[1],
                n_rhs = b.desc.type.ndim > 1 ? b.desc.type.shape[1] : 1;
        double norm = 0, squares = 0, values = 0, epsilon;

        ck_assert_int_eq(kit_run(TD_OP_LSTSQ, NULL, 2, args, results, 0, &refusal), 0);
        check_least(args, results, m, n, n_rhs);
        ck_assert_int_eq(array_get_int(&results[2], 0), want_rank);
        /* singular values: descending, and their squares add up to those of the elements */
        for (int64_t i = 0; i < desc_n_elements(&results[3].desc); i++) {
                values += array_get(&results[3], i) * array_get(&results[3], i);
                ck_assert(i == 0 || array_get(&results[3], i) <= array_get(&results[3], i - 1));
        }
        for (int64_t i = 0; i < m * n; i++)
                squares += array_get(&a, i) * array_get(&a, i);
        epsilon = results[0].desc.type.dtype == TD_FLOAT32 ? 1e-5 : 1e-12;
        ck_assert_double_le(fabs(values - squares), epsilon * (squares + 1));
        for (int64_t i = 0; i < desc_n_elements(&results[0].desc); i++)
                norm += array_get(&results[0], i) * array_get(&results[0], i);
        if (want_norm >= 0)
                ck_assert_double_le(fabs(norm - want_norm), epsilon * (want_norm + 1));
        for (unsigned i = 0; i < 4; i++)
                array_free(&results[i]);
        array_free(&args[0]);
        array_free(&args[1]);
}

START_TEST(test_lstsq)
{
        unsigned dtype = (unsigned)_i;

        for (enum layout layout = 0; layout < LAYOUT_STILL; layout++) {
                if (dtype == TD_BOOL)
                        break; /* random bits have any rank */
                try_least(array_random(dtype, layout, SHAPE(30, 4)),
                          array_random(dtype, layout, SHAPE(30)), 4, -1);
                try_least(array_random(dtype, layout, SHAPE(30, 4)),
                          array_random(dtype, layout, SHAPE(30, 3)), 4, -1);
                try_least(array_random(dtype, layout, SHAPE(4, 30)),
                          array_random(dtype, layout, SHAPE(4, 2)), 4, -1);
                try_least(array_random(dtype, layout, SHAPE(8, 8)),
                          array_random(dtype, layout, SHAPE(8)), 8, -1);
        }
        try_least(array_new(dtype, LAYOUT_C, SHAPE(5, 3)), array_random(dtype, LAYOUT_C, SHAPE(5)),
                  0, 0);
        try_least(array_new(dtype, LAYOUT_C, SHAPE(0, 3)), array_random(dtype, LAYOUT_C, SHAPE(0)),
                  0, 0);
        try_least(array_new(dtype, LAYOUT_C, SHAPE(5, 0)),
                  array_random(dtype, LAYOUT_C, SHAPE(5, 2)), 0, 0);
        if (dtype != TD_BOOL)
                try_least(array_random(dtype, LAYOUT_C, SHAPE(1, 2)),
                          array_random(dtype, LAYOUT_C, SHAPE(1, 0)), 1, 0);
}
END_TEST

/* All ones: x is the smallest of many, m / n in each place. */
START_TEST(test_rank_deficient)
{
        for (unsigned dtype = TD_FLOAT32; dtype <= TD_FLOAT64; dtype++)
                for (int64_t m = 2; m < 30; m += 9)
                        for (int64_t n = 2; n < 30; n += 9) {
                                struct array a = array_new(dtype, LAYOUT_C, SHAPE(m, n)),
                                             b = array_new(dtype, LAYOUT_C, SHAPE(m));

                                for (int64_t i = 0; i < m * n; i++)
                                        item_write(array_at(&a, i), dtype, 1);
                                for (int64_t i = 0; i < m; i++)
                                        item_write(array_at(&b, i), dtype, (double)n);
                                try_least(a, b, 1, (double)n);
                        }
}
END_TEST

START_TEST(test_rcond)
{
        struct td_attrs attrs = { .set = TD_ATTR_RCOND };
        struct array args[2] = { array_new(TD_FLOAT64, LAYOUT_C, SHAPE(4, 2)),
                                 array_random(TD_FLOAT64, LAYOUT_C, SHAPE(4)) };

        item_write(array_at(&args[0], 0), TD_FLOAT64, 1);
        item_write(array_at(&args[0], 3), TD_FLOAT64, 1e-6);
        for (int is_coarse = 0; is_coarse < 2; is_coarse++) {
                struct array results[4];
                struct td_refusal refusal = { 0 };

                attrs.rcond = is_coarse ? 1e-5 : 1e-7;
                ck_assert_int_eq(kit_run(TD_OP_LSTSQ, &attrs, 2, args, results, 0, &refusal), 0);
                ck_assert_int_eq(array_get_int(&results[2], 0), is_coarse ? 1 : 2);
                if (is_coarse)
                        ck_assert_double_eq(array_get(&results[0], 1), 0);
                else
                        ck_assert_double_eq_tol(array_get(&results[0], 1),
                                                array_get(&args[1], 1) * 1e6, 1e-6);
                for (unsigned i = 0; i < 4; i++)
                        array_free(&results[i]);
        }
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

START_TEST(test_lstsq_refuses_nan)
{
        struct array args[2] = { array_random(TD_FLOAT64, LAYOUT_C, SHAPE(6, 2)),
                                 array_random(TD_FLOAT64, LAYOUT_C, SHAPE(6)) };

        item_write(array_at(&args[1], 3), TD_FLOAT64, INFINITY);
        expect_refusal(TD_OP_LSTSQ, 2, args, TD_E_NOT_CONVERGED,
                       "lstsq: the 6 x 2 matrix has a right side with NaN or infinite elements");
        item_write(array_at(&args[0], 5), TD_FLOAT64, NAN);
        expect_refusal(TD_OP_LSTSQ, 2, args, TD_E_NOT_CONVERGED,
                       "lstsq: the 6 x 2 matrix has NaN or infinite elements: no iteration on it "
                       "converges");
        array_free(&args[0]);
        array_free(&args[1]);
}
END_TEST

static uint64_t cost_of_solve(int64_t n)
{
        struct td_type a = type_of(TD_FLOAT64, SHAPE(n, n)), b = type_of(TD_FLOAT64, SHAPE(n));
        struct desc args[2], result;
        struct step *step = NULL;
        uint64_t cost;

        desc_init_c(&args[0], &a);
        desc_init_c(&args[1], &b);
        desc_init_c(&result, &b);
        ck_assert_int_eq(step_new(&step, TD_OP_SOLVE, &(struct td_attrs){ 0 }, 2, args, 1, &result),
                         0);
        cost = step_cost_ns(step);
        step_free(step);
        return cost;
}

static bool stops_second(void *ctx)
{
        return ++*(int *)ctx > 1;
}

/* It cannot be interrupted; what it returns after it was to stop is not wanted. */
START_TEST(test_stopped_when_it_returns)
{
        static const enum td_op ops[] = { TD_OP_INV, TD_OP_EIGVALSH, TD_OP_SVDVALS };
        static const struct td_attrs none;

        for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
                struct array a = regular(TD_FLOAT64, LAYOUT_C, SHAPE(20, 20)), result;
                struct td_refusal refusal;
                struct td_type type;
                struct step *step;
                int n_asked = 0;
                struct run run = { .should_stop = stops_second, .ctx = &n_asked };
                void *scratch;

                ck_assert_int_eq(td_infer(ops[i], &none, 1, &a.desc.type, &type, &refusal), TD_OK);
                result = array_new(type.dtype, LAYOUT_C, type.ndim, type.shape);
                ck_assert_int_eq(step_new(&step, ops[i], &none, 1, &a.desc, 1, &result.desc), 0);
                scratch = aligned_alloc(64, step_n_scratch(step) + 64);
                ck_assert_int_eq(step_run(step, &run, (const void *[]){ a.bytes },
                                          (void *[]){ result.bytes }, scratch, &refusal),
                                 PLAN_E_STOPPED);
                ck_assert_int_eq(n_asked, 2);
                free(scratch);
                step_free(step);
                array_free(&result);
                array_free(&a);
        }
}
END_TEST

START_TEST(test_cost)
{
        ck_assert_uint_lt(cost_of_solve(16), 100000);
        ck_assert(cost_of_solve(17) == UINT64_MAX);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("lapack");
        TCase *tc = tcase_create("lapack");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_solve, 0, N_LAYOUTS * 3);
        tcase_add_test(tc, test_solve_stacks);
        tcase_add_test(tc, test_singular);
        tcase_add_loop_test(tc, test_cholesky, 0, 3);
        tcase_add_test(tc, test_not_positive);
        tcase_add_loop_test(tc, test_longley, 0, LAYOUT_STILL);
        tcase_add_loop_test(tc, test_lstsq, TD_BOOL, TD_FLOAT64 + 1);
        tcase_add_test(tc, test_rank_deficient);
        tcase_add_test(tc, test_rcond);
        tcase_add_test(tc, test_lstsq_refuses_nan);
        tcase_add_test(tc, test_stopped_when_it_returns);
        tcase_add_test(tc, test_cost);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
