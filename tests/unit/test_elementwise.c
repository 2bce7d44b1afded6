/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#include <complex.h>

#include "compute/kernels/kernels.h"

static const enum td_op binary_ops[] = {
        TD_OP_ADD,        TD_OP_SUBTRACT, TD_OP_MULTIPLY,      TD_OP_DIVIDE,    TD_OP_POW,
        TD_OP_MAXIMUM,    TD_OP_MINIMUM,  TD_OP_EQUAL,         TD_OP_NOT_EQUAL, TD_OP_LESS,
        TD_OP_LESS_EQUAL, TD_OP_GREATER,  TD_OP_GREATER_EQUAL,
};
static const enum td_op unary_ops[] = { TD_OP_NEGATIVE, TD_OP_ABS, TD_OP_SQRT, TD_OP_EXP,
                                        TD_OP_LOG };

/* One element by plain C. float32 computes in float. */
static double plain_double(enum td_op op, double a, double b)
{
        switch (op) {
        case TD_OP_ADD:
                return a + b;
        case TD_OP_SUBTRACT:
                return a - b;
        case TD_OP_MULTIPLY:
                return a * b;
        case TD_OP_DIVIDE:
                return a / b;
        case TD_OP_POW:
                return pow(a, b);
        case TD_OP_MAXIMUM:
                return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
        case TD_OP_MINIMUM:
                return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
        case TD_OP_EQUAL:
                return a == b;
        case TD_OP_NOT_EQUAL:
                return a != b;
        case TD_OP_LESS:
                return a < b;
        case TD_OP_LESS_EQUAL:
                return a <= b;
        case TD_OP_GREATER:
                return a > b;
        case TD_OP_GREATER_EQUAL:
                return a >= b;
        case TD_OP_NEGATIVE:
                return -a;
        case TD_OP_ABS:
                return fabs(a);
        case TD_OP_SQRT:
                return sqrt(a);
        case TD_OP_EXP:
                return exp(a);
        case TD_OP_LOG:
                return log(a);
        default:
                ck_abort_msg("no oracle");
                return 0;
        }
}

static uint64_t plain_power(uint64_t base, int64_t exponent)
{
        uint64_t result = 1;

        for (int64_t i = 0; i < exponent; i++)
                result *= base;
        return result;
}

static int64_t plain_int(enum td_op op, int64_t a, int64_t b)
{
        switch (op) {
        case TD_OP_ADD:
                return (int64_t)((uint64_t)a + (uint64_t)b);
        case TD_OP_SUBTRACT:
                return (int64_t)((uint64_t)a - (uint64_t)b);
        case TD_OP_MULTIPLY:
                return (int64_t)((uint64_t)a * (uint64_t)b);
        case TD_OP_POW:
                return (int64_t)plain_power((uint64_t)a, b);
        case TD_OP_MAXIMUM:
                return a > b ? a : b;
        case TD_OP_MINIMUM:
                return a < b ? a : b;
        case TD_OP_NEGATIVE:
                return (int64_t)(-(uint64_t)a);
        case TD_OP_ABS:
                return a < 0 ? (int64_t)(-(uint64_t)a) : a;
        default:
                return (int64_t)plain_double(op, (double)a, (double)b);
        }
}

/* The real part, of complex numbers that are real. */
static double plain_complex(enum td_op op, double a, double b)
{
        switch (op) {
        case TD_OP_SQRT:
                return creal(csqrt(a));
        case TD_OP_LOG:
                return creal(clog(a));
        default:
                return plain_double(op, a, b);
        }
}

/* Units in the last place between two values; NaN equals NaN. */
static double ulps(double a, double b, bool is_float)
{
        if (isnan(a) || isnan(b))
                return isnan(a) && isnan(b) ? 0 : INFINITY;
        if (a == b)
                return 0;
        if (isinf(a) || isinf(b))
                return INFINITY;
        if (is_float)
                return fabs(a - b) / (double)fabsf(nextafterf((float)b, INFINITY) - (float)b);
        return fabs(a - b) / fabs(nextafter(b, INFINITY) - b);
}

static bool is_rounded_once(enum td_op op, unsigned dtype)
{
        if (td_dtype_is_complex(dtype) && op == TD_OP_DIVIDE)
                return false;
        return op != TD_OP_EXP && op != TD_OP_LOG && op != TD_OP_POW;
}

/* An element of an operand as the step is to see it: converted to the dtype computed in. */
static double seen(const struct array *x, int64_t index, unsigned dtype)
{
        double value = array_get(x, index);

        return td_dtype_real(dtype) == TD_FLOAT32 ? (double)(float)value : value;
}

static bool is_integral(unsigned dtype)
{
        return td_dtype_kind(dtype) <= TD_KIND_UINT;
}

/* What of an integer is left in that dtype; of uint64 as the int64 of the same bits. */
static int64_t wrap(int64_t x, unsigned dtype)
{
        unsigned n_lost = 64 - 8 * (unsigned)td_dtype_size(dtype);

        if (dtype == TD_BOOL)
                return x != 0;
        return td_dtype_kind(dtype) == TD_KIND_UINT ? (int64_t)((uint64_t)x << n_lost >> n_lost)
                                                    : (int64_t)((uint64_t)x << n_lost) >> n_lost;
}

/* The index of the operand's element that broadcasts to an index of the result. */
static int64_t broadcast_index(const struct array *x, const struct array *result, int64_t index)
{
        int64_t at = 0, size = 1;
        unsigned lead = (unsigned)result->desc.type.ndim - x->desc.type.ndim;

        for (unsigned d = result->desc.type.ndim; d-- > 0;) {
                int64_t i = index % result->desc.type.shape[d];

                index /= result->desc.type.shape[d];
                if (d < lead)
                        continue;
                at += (x->desc.type.shape[d - lead] == 1 ? 0 : i) * size;
                size *= x->desc.type.shape[d - lead];
        }
        return at;
}

static void check_result(enum td_op op, unsigned dtype, unsigned n_args, const struct array *args,
                         const struct array *result)
{
        int64_t n = desc_n_elements(&result->desc);

        for (int64_t i = 0; i < n; i++) {
                const struct array *b = &args[n_args - 1];
                int64_t at_a = broadcast_index(&args[0], result, i),
                        at_b = broadcast_index(b, result, i);
                double got, want;

                if (is_integral(dtype)) {
                        int64_t exact = plain_int(op, array_get_int(&args[0], at_a),
                                                  array_get_int(b, at_b));

                        EXPECT(array_get_int(result, i) == wrap(exact, result->desc.type.dtype),
                               "%s of %s: element %ld", td_op_name(op), td_dtype_name(dtype),
                               (long)i);
                        continue;
                }
                want = (td_dtype_is_complex(dtype) ? plain_complex : plain_double)(
                        op, seen(&args[0], at_a, dtype), seen(b, at_b, dtype));
                if (td_dtype_real(result->desc.type.dtype) == TD_FLOAT32)
                        want = (double)(float)want;
                got = array_get(result, i);
                EXPECT(ulps(got, want, td_dtype_real(dtype) == TD_FLOAT32) <=
                               (is_rounded_once(op, dtype) ? 0 : 4),
                       "%s of %s: element %ld is %a, not %a", td_op_name(op), td_dtype_name(dtype),
                       (long)i, got, want);
                if (result->desc.type.dtype == TD_BOOL)
                        EXPECT(*(uint8_t *)array_at(result, i) <= 1);
        }
}

static unsigned computed_in(enum td_op op, unsigned dtype)
{
        return td_computed_in(td_op_info(op)->rule, 1,
                              &(struct td_type){ .dtype = (uint8_t)dtype });
}

/* Complex powers are left to the table of special values: they are many ulps off. */
static bool is_defined(enum td_op op, unsigned dtype)
{
        if (op == TD_OP_POW && td_dtype_is_complex(dtype))
                return false;
        return td_category(td_op_info(op)->rule)->kinds >> td_dtype_kind(dtype) & 1;
}

static void make_exponents(struct array *x)
{
        for (int64_t i = 0, n = desc_n_elements(&x->desc); i < n; i++)
                item_write(array_at(x, i), x->desc.type.dtype, (double)(i % 5));
}

static void try_binary(enum td_op op, struct array a, struct array b, unsigned n_threads)
{
        unsigned dtype = computed_in(op, td_promote(a.desc.type.dtype, b.desc.type.dtype));
        struct array args[2] = { a, b }, result;

        if (is_defined(op, dtype)) {
                if (op == TD_OP_POW && is_integral(dtype))
                        make_exponents(&args[1]);
                result = kit_one(op, NULL, 2, args, n_threads);
                check_result(op, dtype, 2, args, &result);
                array_free(&result);
        }
        array_free(&a);
        array_free(&b);
}

START_TEST(test_binary_dtypes)
{
        enum td_op op = binary_ops[_i];

        for (unsigned x = 0; x < TD_N_DTYPES; x++)
                for (unsigned y = 0; y < TD_N_DTYPES; y++) {
                        try_binary(op, array_random(x, LAYOUT_C, SHAPE(37)),
                                   array_random(y, LAYOUT_C, SHAPE(37)), 0);
                        try_binary(op, array_random(x, LAYOUT_C, SHAPE(3, 37)),
                                   array_random(y, LAYOUT_C, SCALAR), 0);
                        try_binary(op, array_random(x, LAYOUT_C, SCALAR),
                                   array_random(y, LAYOUT_C, SHAPE(700)), 0);
                        try_binary(op, array_random(x, LAYOUT_C, SCALAR),
                                   array_random(y, LAYOUT_C, SCALAR), 0);
                }
}
END_TEST

START_TEST(test_binary_layouts)
{
        static const enum td_op ops[] = { TD_OP_ADD, TD_OP_LESS, TD_OP_POW };

        for (enum layout x = 0; x < N_LAYOUTS; x++)
                for (enum layout y = 0; y < N_LAYOUTS; y++)
                        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                                enum td_op op = ops[_i];
                                unsigned other = x % 2 ? dtype : TD_FLOAT64;

                                try_binary(op, array_random(dtype, x, SHAPE(5, 3, 7)),
                                           array_random(other, y, SHAPE(5, 3, 7)), 0);
                                try_binary(op, array_random(dtype, x, SHAPE(4, 300)),
                                           array_random(other, y, SHAPE(4, 1)), 0);
                                try_binary(op, array_random(dtype, x, SHAPE(2, 1, 40)),
                                           array_random(other, y, SHAPE(30, 40)), 0);
                                try_binary(op, array_random(dtype, x, SHAPE(70, 80)),
                                           array_random(other, y, SHAPE(80)), 0);
                                try_binary(op, array_random(dtype, x, SHAPE(300, 3)),
                                           array_random(other, y, SHAPE(3)), 0);
                                try_binary(op, array_random(dtype, x, SHAPE(90, 2, 5)),
                                           array_random(other, y, SHAPE(2, 1)), 0);
                                try_binary(op, array_random(dtype, x, SHAPE(0, 3)),
                                           array_random(other, y, SHAPE(1, 3)), 0);
                        }
}
END_TEST

START_TEST(test_unary)
{
        for (enum layout layout = 0; layout < N_LAYOUTS; layout++)
                for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                        enum td_op op = unary_ops[_i];
                        struct array x = array_random(dtype, layout, SHAPE(9, 61)), result;

                        if (!is_defined(op, dtype)) {
                                array_free(&x);
                                continue;
                        }
                        result = kit_one(op, NULL, 1, &x, 0);
                        check_result(op, computed_in(op, dtype), 1, &x, &result);
                        array_free(&result);
                        array_free(&x);
                }
}
END_TEST

START_TEST(test_large)
{
        static const enum td_op ops[] = { TD_OP_ADD, TD_OP_POW, TD_OP_GREATER };
        static const unsigned n_threads[] = { 1, 2, 7 };
        enum td_op op = ops[_i % 3];
        unsigned threads = n_threads[_i / 3];

        try_binary(op, array_random(TD_FLOAT64, LAYOUT_C, SHAPE(100003)),
                   array_random(TD_FLOAT64, LAYOUT_C, SHAPE(100003)), threads);
        try_binary(op, array_random(TD_FLOAT32, LAYOUT_F, SHAPE(331, 317)),
                   array_random(TD_INT64, LAYOUT_C, SHAPE(331, 317)), threads);
        try_binary(op, array_random(TD_FLOAT64, LAYOUT_NEGATIVE, SHAPE(50, 45, 47)),
                   array_random(TD_FLOAT64, LAYOUT_F, SHAPE(50, 45, 47)), threads);
        try_binary(op, array_random(TD_FLOAT64, LAYOUT_F, SHAPE(40, 50, 60)),
                   array_random(TD_FLOAT64, LAYOUT_STILL, SHAPE(40, 50, 60)), threads);
}
END_TEST

/* An element's bits depend on its value, not on where it stands: body, tail, scalar, register. */
START_TEST(test_same_bits_everywhere)
{
        static const enum td_op ops[] = { TD_OP_EXP, TD_OP_LOG, TD_OP_SQRT };

        for (unsigned dtype = TD_FLOAT32; dtype <= TD_FLOAT64; dtype++)
                for (unsigned o = 0; o < 3; o++) {
                        struct array x = array_random(dtype, LAYOUT_C, SHAPE(1031)),
                                     all = kit_one(ops[o], NULL, 1, &x, 0);
                        size_t size = (size_t)td_dtype_size(dtype);

                        for (int64_t i = 0; i < 1031; i += 5) {
                                struct array part = x, got;

                                part.desc.type.shape[0] = 1031 - i < 21 ? 1031 - i : 1 + i % 21;
                                part.desc.offset = i * (int64_t)size;
                                got = kit_one(ops[o], NULL, 1, &part, 0);
                                EXPECT(memcmp(got.bytes, all.bytes + (size_t)i * size,
                                              (size_t)part.desc.type.shape[0] * size) == 0,
                                       "at %ld", (long)i);
                                array_free(&got);
                        }
                        array_free(&all);
                        array_free(&x);
                }
}
END_TEST

/* ---- special values ---- */

START_TEST(test_special_float)
{
        static const double a[] = {
                NAN, 1,   NAN,      INFINITY, -INFINITY, 0.0,       -0.0,  1,
                -1,  0.0, INFINITY, -8,       2,         -INFINITY, 1e308, 0.5
        };
        static const double b[] = { 1,   NAN, NAN,      -INFINITY, INFINITY, -0.0, 0.0, 0.0,
                                    0.0, 0.0, INFINITY, 1.0 / 3,   -1075,    0.5,  10,  INFINITY };
        enum { N = sizeof(a) / sizeof(a[0]) };

        for (unsigned dtype = TD_FLOAT32; dtype <= TD_FLOAT64; dtype++) {
                for (unsigned o = 0; o < sizeof(binary_ops) / sizeof(binary_ops[0]); o++)
                        try_binary(binary_ops[o], array_of(dtype, N, a), array_of(dtype, N, b), 0);
                for (unsigned o = 0; o < sizeof(unary_ops) / sizeof(unary_ops[0]); o++) {
                        struct array x = array_of(dtype, N, a),
                                     result = kit_one(unary_ops[o], NULL, 1, &x, 0);

                        check_result(unary_ops[o], dtype, 1, &x, &result);
                        if (unary_ops[o] == TD_OP_SQRT)
                                ck_assert(signbit(array_get(&result, 6)) &&
                                          !signbit(array_get(&result, 5)));
                        array_free(&result);
                        array_free(&x);
                }
        }
}
END_TEST

START_TEST(test_special_int)
{
        const int64_t values[] = { INT64_MIN,     INT64_MAX,       -1, 0, 1, 3,
                                   INT64_MIN + 1, INT64_C(1) << 53 };
        struct array args[2] = { array_new(TD_INT64, LAYOUT_C, SHAPE(8, 1)),
                                 array_new(TD_INT64, LAYOUT_C, SHAPE(8)) };
        static const enum td_op ops[] = { TD_OP_ADD, TD_OP_SUBTRACT, TD_OP_MULTIPLY, TD_OP_MAXIMUM,
                                          TD_OP_MINIMUM };

        memcpy(args[0].bytes, values, sizeof(values));
        memcpy(args[1].bytes, values, sizeof(values));
        for (unsigned o = 0; o < sizeof(ops) / sizeof(ops[0]); o++) {
                struct array result = kit_one(ops[o], NULL, 2, args, 0);

                check_result(ops[o], TD_INT64, 2, args, &result);
                array_free(&result);
        }
        for (unsigned o = 0; o < 2; o++) {
                struct array result = kit_one(unary_ops[o], NULL, 1, args, 0);

                check_result(unary_ops[o], TD_INT64, 1, args, &result);
                ck_assert_int_eq(array_get_int(&result, 0), INT64_MIN);
                array_free(&result);
        }
        for (unsigned i = 0; i < 2; i++)
                array_free(&args[i]);
}
END_TEST

START_TEST(test_int_pow)
{
        const int64_t bases[] = { 2, 2, -3, 0, 7, -1, 3, 10 },
                      exponents[] = { 63, 64, 3, 0, 22, INT64_MAX, 41, 1 };
        const int64_t wanted[] = { INT64_MIN, 0, -27, 1, 3909821048582988049, -1, 0, 10 };
        struct array args[2] = { array_new(TD_INT64, LAYOUT_C, SHAPE(8)),
                                 array_new(TD_INT64, LAYOUT_C, SHAPE(8)) },
                     result;
        struct td_refusal refusal = { 0 };

        memcpy(args[0].bytes, bases, sizeof(bases));
        memcpy(args[1].bytes, exponents, sizeof(exponents));
        result = kit_one(TD_OP_POW, NULL, 2, args, 0);
        for (int i = 0; i < 8; i++)
                if (i != 6) /* by multiplication, below */
                        ck_assert_int_eq(array_get_int(&result, i), wanted[i]);
        ck_assert_int_eq(array_get_int(&result, 6), (int64_t)plain_power(3, 41));
        array_free(&result);

        ((int64_t *)args[1].bytes)[5] = -1;
        ck_assert_int_eq(kit_run(TD_OP_POW, NULL, 2, args, &result, 0, &refusal), PLAN_E_REFUSED);
        ck_assert_int_eq(refusal.code, TD_E_BAD_VALUE);
        ck_assert_ptr_nonnull(strstr(refusal.message, "pow: integers to negative integer powers"));
        array_free(&result);
        array_free(&args[0]);
        array_free(&args[1]);

        args[0] = array_random(TD_INT64, LAYOUT_C, SHAPE(100000));
        args[1] = array_random(TD_INT64, LAYOUT_C, SHAPE(100000));
        make_exponents(&args[1]);
        ((int64_t *)args[1].bytes)[99999] = INT64_MIN;
        ck_assert_int_eq(kit_run(TD_OP_POW, NULL, 2, args, &result, 2, &refusal), PLAN_E_REFUSED);
        for (unsigned i = 0; i < 2; i++)
                array_free(&args[i]);
        array_free(&result);
}
END_TEST

/* x ** 2 is x * x, whatever stands around it. */
START_TEST(test_squares)
{
        struct array args[2] = { array_random(TD_FLOAT64, LAYOUT_C, SHAPE(100)),
                                 array_new(TD_FLOAT64, LAYOUT_C, SHAPE(100)) },
                     result;

        for (int64_t i = 0; i < 100; i++)
                item_write(array_at(&args[1], i), TD_FLOAT64, i % 3 ? 2 : 1.5);
        result = kit_one(TD_OP_POW, NULL, 2, args, 0);
        for (int64_t i = 0; i < 100; i++)
                if (i % 3)
                        ck_assert_double_eq(array_get(&result, i),
                                            array_get(&args[0], i) * array_get(&args[0], i));
        for (unsigned i = 0; i < 2; i++)
                array_free(&args[i]);
        array_free(&result);
}
END_TEST

/* A float that becomes an integer, as cast.c says. */
static int64_t plain_truncate(double x, unsigned to)
{
        bool is_narrow = td_dtype_size(to) < 4 || to == TD_INT32;
        double bound = is_narrow ? 0x1p31 : 0x1p63;

        if (to == TD_UINT64 && x >= 0x1p63 && x < 0x1p64)
                return (int64_t)(uint64_t)x;
        if (!(x >= -bound && x < bound))
                return wrap(is_narrow ? INT32_MIN : INT64_MIN, to);
        return wrap((int64_t)x, to);
}

START_TEST(test_astype)
{
        static const double special[] = { NAN,    INFINITY,  -INFINITY, 0x1p63, -0x1p63,
                                          0x1p62, -0x1.8p63, 0.0,       -0.0,   0.5,
                                          -0.99,  1e300,     3.7 };
        enum { N = sizeof(special) / sizeof(special[0]) };

        for (unsigned from = 0; from < TD_N_DTYPES; from++)
                for (unsigned to = 0; to < TD_N_DTYPES; to++)
                        for (enum layout layout = 0; layout < N_LAYOUTS; layout++) {
                                struct td_attrs attrs = { .set = TD_ATTR_DTYPE,
                                                          .dtype = (uint8_t)to };
                                struct array x = array_random(from, layout, SHAPE(3, N * 5)), got;

                                for (int64_t i = 0; !is_integral(from) && i < N * 5; i++)
                                        item_write(array_at(&x, i), from, special[i % N]);
                                got = kit_one(TD_OP_ASTYPE, &attrs, 1, &x, 0);
                                for (int64_t i = 0; i < 3 * N * 5; i++) {
                                        double value = array_get(&x, i);

                                        if (to == TD_BOOL)
                                                EXPECT(*(uint8_t *)array_at(&got, i) ==
                                                               (value != 0),
                                                       "%a", value);
                                        else if (is_integral(to))
                                                EXPECT(array_get_int(&got, i) ==
                                                               plain_truncate(value, to),
                                                       "%a", value);
                                        else
                                                EXPECT(ulps(array_get(&got, i),
                                                            td_dtype_real(to) == TD_FLOAT32
                                                                    ? (double)(float)value
                                                                    : value,
                                                            false) == 0);
                                }
                                array_free(&got);
                                array_free(&x);
                        }
}
END_TEST

START_TEST(test_where)
{
        for (enum layout layout = 0; layout < N_LAYOUTS; layout++)
                for (unsigned x = 0; x < TD_N_DTYPES; x++)
                        for (unsigned y = 0; y < TD_N_DTYPES; y++) {
                                struct array args[3] = {
                                        array_random(TD_BOOL, layout, SHAPE(6, 50)),
                                        array_random(x, layout, SHAPE(50)),
                                        y % 2 ? array_random(y, layout, SHAPE(6, 1))
                                              : array_random(y, LAYOUT_C, SCALAR),
                                };
                                struct array got = kit_one(TD_OP_WHERE, NULL, 3, args, 0);

                                for (int64_t i = 0; i < 300; i++) {
                                        bool holds = array_get(&args[0], i) != 0;
                                        double want = holds ? array_get(&args[1], i % 50)
                                                            : array_get(&args[2],
                                                                        y % 2 ? i / 50 : 0);

                                        EXPECT(array_get(&got, i) ==
                                               (got.desc.type.dtype == TD_FLOAT32
                                                        ? (double)(float)want
                                                        : want));
                                }
                                for (unsigned i = 0; i < 3; i++)
                                        array_free(&args[i]);
                                array_free(&got);
                        }
}
END_TEST

START_TEST(test_copy)
{
        for (enum layout layout = 0; layout < N_LAYOUTS; layout++)
                for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                        struct array x = array_random(dtype, layout, SHAPE(90, 3, 80)),
                                     out = array_new(dtype, LAYOUT_C, SHAPE(90, 3, 80));
                        struct step *step = NULL;

                        ck_assert_int_eq(step_new_copy(&step, &x.desc, &out.desc), 0);
                        ck_assert_int_eq(step_run(step, NULL, (const void *[]){ x.bytes },
                                                  (void *[]){ out.bytes }, NULL, NULL),
                                         0);
                        for (int64_t i = 0; i < 90 * 3 * 80; i++)
                                EXPECT(array_get(&out, i) == array_get(&x, i));
                        step_free(step);
                        array_free(&out);
                        array_free(&x);
                }
}
END_TEST

static bool stop_at_once(void *ctx)
{
        ++*(int *)ctx;
        return true;
}

START_TEST(test_stops)
{
        struct array x = array_random(TD_FLOAT64, LAYOUT_C, SHAPE(200000)),
                     out = array_new(TD_FLOAT64, LAYOUT_C, SHAPE(200000));
        struct step *step = NULL;
        int n_asked = 0;
        struct run run = { .should_stop = stop_at_once, .ctx = &n_asked };

        ck_assert_int_eq(
                step_new(&step, TD_OP_EXP, &(struct td_attrs){ 0 }, 1, &x.desc, 1, &out.desc), 0);
        ck_assert_int_eq(step_run(step, &run, (const void *[]){ x.bytes }, (void *[]){ out.bytes },
                                  NULL, NULL),
                         PLAN_E_STOPPED);
        ck_assert_int_eq(n_asked, 1);
        step_free(step);
        array_free(&out);
        array_free(&x);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("elementwise");
        TCase *tc = tcase_create("elementwise");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, test_binary_dtypes, 0, sizeof(binary_ops) / sizeof(binary_ops[0]));
        tcase_add_loop_test(tc, test_binary_layouts, 0, 3);
        tcase_add_loop_test(tc, test_unary, 0, sizeof(unary_ops) / sizeof(unary_ops[0]));
        tcase_add_loop_test(tc, test_large, 0, 9);
        tcase_add_test(tc, test_same_bits_everywhere);
        tcase_add_test(tc, test_special_float);
        tcase_add_test(tc, test_special_int);
        tcase_add_test(tc, test_int_pow);
        tcase_add_test(tc, test_squares);
        tcase_add_test(tc, test_astype);
        tcase_add_test(tc, test_where);
        tcase_add_test(tc, test_copy);
        tcase_add_test(tc, test_stops);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
