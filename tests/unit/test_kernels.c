/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "step_kit.h"

#include "compute/kernels/kernels.h"

#define N 131 /* elements of an operand; a few vectors, and some more */

/* as much as N elements of any dtype take, from an odd address on */
struct buffer {
        char bytes[N * 16 + 64];
};

static char *buffer_at(struct buffer *buffer)
{
        return buffer->bytes + 3;
}

static const double specials[] = { 0.0,     -0.0,     1,         -1,     2,       0.5,    -7.9,
                                   NAN,     INFINITY, -INFINITY, 0x1p31, -0x1p31, 0x1p32, 0x1p63,
                                   -0x1p63, 0x1p64,   1e300,     5e-324, -2.5,    1.5,    255.5,
                                   -32769,  65536,    3e38,      1e-40 };

/* The special values of floats, what any dtype can hold, and random bytes. */
static void fill(struct buffer *buffer, unsigned dtype, bool is_tame)
{
        static const int64_t integers[] = { 0,   1,         -1,        INT64_MIN, INT64_MAX, 2,
                                            -2,  INT32_MIN, INT32_MAX, INT16_MIN, INT16_MAX, 127,
                                            128, 255,       63,        64,        31,        8 };
        bool is_float = td_dtype_kind(dtype) >= TD_KIND_FLOAT;
        unsigned part = td_dtype_real(dtype), size = (unsigned)td_dtype_size(part);
        unsigned n = (unsigned)(N * td_dtype_size(dtype)) / size;

        for (unsigned i = 0; i < n; i++) {
                uint64_t r = kit_random();
                char *p = buffer_at(buffer) + i * size;

                if (is_tame)
                        item_write(p, part, (double)(r >> 8) / 0x1p56 * (is_float ? 5 : 10));
                else if (r % 3 == 0 || dtype == TD_BOOL)
                        memcpy(p, &(uint64_t){ r >> 8 }, size);
                else if (is_float)
                        item_write(p, part,
                                   r % 3 == 1 ? specials[r / 3 % (sizeof(specials) / 8)]
                                              : (double)(r / 3 % 4001) / 64 - 31);
                else
                        memcpy(p, &integers[r / 3 % (sizeof(integers) / 8)], size);
        }
}

/* The same bits in each element, but one NaN is as good as another. */
static bool is_same(const char *a, const char *b, unsigned dtype, unsigned n_ulps)
{
        unsigned part = td_dtype_real(dtype), size = (unsigned)td_dtype_size(part);

        for (unsigned at = 0; at < td_dtype_size(dtype); at += size) {
                union td_scalar x = { 0 }, y = { 0 };
                double dx, dy;

                memcpy(&x, a + at, size);
                memcpy(&y, b + at, size);
                if (memcmp(&x, &y, size) == 0)
                        continue;
                dx = scalar_get(x, part);
                dy = scalar_get(y, part);
                if (isnan(dx) && isnan(dy))
                        continue;
                if (n_ulps &&
                    fabs(dx - dy) <= n_ulps * fabs(dy) * (part == TD_FLOAT32 ? 0x1p-23 : 0x1p-52))
                        continue;
                return false;
        }
        return true;
}

static void check_same(const struct buffer *got, const struct buffer *want, size_t n,
                       unsigned dtype, unsigned n_ulps, const char *isa, const char *what,
                       const char *of)
{
        size_t size = (size_t)td_dtype_size(dtype), n_bytes = 3 + n * size;

        for (size_t i = 0; i < n; i++)
                if (!is_same(got->bytes + 3 + i * size, want->bytes + 3 + i * size, dtype, n_ulps))
                        ck_abort_msg("%s: %s of %s: element %zu of %zu differs", isa, what, of, i,
                                     n);
        if (memcmp(got->bytes + n_bytes, want->bytes + n_bytes, sizeof(*got) - n_bytes) != 0)
                ck_abort_msg("%s: %s of %s writes behind %zu elements", isa, what, of, n);
}

/* What the operation has for operands of that dtype: TD_OK and the result's dtype, if it has. */
static int infer_one(enum td_op op, unsigned dtype, struct td_type *result)
{
        struct td_type types[3] = { { .dtype = (uint8_t)dtype },
                                    { .dtype = (uint8_t)dtype },
                                    { .dtype = (uint8_t)dtype } };

        return td_infer(op, &(struct td_attrs){ 0 }, td_op_info(op)->min_args, types, result, NULL);
}

static bool has_kernel(const struct kernels *set, enum td_op op, unsigned dtype)
{
        kernel_binary *const *forms = set->binary[op][dtype];

        switch (td_op_info(op)->min_args) {
        case 1:
                return set->unary[op][dtype] != NULL;
        case 2:
                return forms[KERNEL_VV] && forms[KERNEL_VS] && forms[KERNEL_SV];
        default:
                return set->clip[dtype] != NULL;
        }
}

/* Whatever inference lets through, every set computes. */
START_TEST(test_complete)
{
        const struct kernels *set;

        ck_assert_ptr_eq(kernels_get(), kernels_list(0));
        for (unsigned i = 0; (set = kernels_list(i)); i++)
                for (enum td_op op = 0; op < TD_N_OPS; op++)
                        for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                                struct td_type type = { .dtype = (uint8_t)dtype }, result;
                                enum td_rule rule = td_op_info(op)->rule;

                                ck_assert(set->where[dtype]);
                                for (unsigned to = 0; to < TD_N_DTYPES; to++)
                                        ck_assert(set->load[dtype][to]);
                                if (!td_category(rule) || infer_one(op, dtype, &result))
                                        continue;
                                ck_assert_msg(has_kernel(set, op, td_computed_in(rule, 1, &type)),
                                              "%s: %s of %s is missing", set->isa, td_op_name(op),
                                              td_dtype_name(dtype));
                        }
        ck_assert_str_eq(kernels_plain()->isa, "plain");
}
END_TEST

static void compare(const struct kernels *set, enum td_op op, unsigned dtype, struct buffer *x,
                    struct buffer *y)
{
        const struct kernels *plain = kernels_plain();
        unsigned n_ulps = set->is_padded[op][dtype] ? 4 : 0;
        bool is_of_parts = td_op_info(op)->rule == TD_RULE_COMPLEX; /* computed in, not taken */
        struct td_type result;

        ck_assert_int_eq(infer_one(op, is_of_parts ? td_dtype_real(dtype) : dtype, &result), TD_OK);
        for (size_t n = 1; n <= N; n++) {
                if (set->is_padded[op][dtype] && n % KERNEL_LANES)
                        continue;
                for (enum kernel_form form = 0; form < KERNEL_N_FORMS; form++) {
                        struct buffer got, want;
                        unsigned r_got, r_want;
                        char *out = buffer_at(&got), *out_plain = buffer_at(&want);

                        memset(&got, 0x55, sizeof(got));
                        memset(&want, 0x55, sizeof(want));
                        if (set->unary[op][dtype]) {
                                r_got = set->unary[op][dtype](n, out, buffer_at(x));
                                r_want = plain->unary[op][dtype](n, out_plain, buffer_at(x));
                        } else {
                                r_got = set->binary[op][dtype][form](n, out, buffer_at(x),
                                                                     buffer_at(y));
                                r_want = plain->binary[op][dtype][form](n, out_plain, buffer_at(x),
                                                                        buffer_at(y));
                        }
                        EXPECT(!r_got == !r_want);
                        check_same(&got, &want, n, result.dtype, n_ulps, set->isa, td_op_name(op),
                                   td_dtype_name(dtype));
                }
        }
}

/* Every kernel of a set against the plain one, in every length up to a few vectors. */
START_TEST(test_sets)
{
        const struct kernels *set = kernels_list((unsigned)_i);

        for (enum td_op op = 0; set && op < TD_N_OPS; op++)
                for (unsigned dtype = 0; dtype < TD_N_DTYPES; dtype++) {
                        struct buffer x, y;

                        if (!set->unary[op][dtype] && !set->binary[op][dtype][0])
                                continue;
                        fill(&x, dtype, set->is_padded[op][dtype]);
                        fill(&y, dtype, set->is_padded[op][dtype] || op == TD_OP_POW);
                        compare(set, op, dtype, &x, &y);
                }
}
END_TEST

/*
 * Multiples of divisors, and their neighbours: quotients of up to as many bits as a float has, some
 * of numbers that are next to nothing; if they are wild, any bits at all among them.
 */
static void fill_division(unsigned dtype, bool is_wild, char *xs, char *ys)
{
        const bool is_narrow = dtype == TD_FLOAT32;
        const int least = is_narrow ? -149 : -1074, n_bits = (int)(kit_random() % 52);
        const int exponent = kit_random() % 2 ? least + 20 : (int)(kit_random() % 20);
        const size_t size = (size_t)td_dtype_size(dtype);

        for (size_t i = 0; i < N; i++) {
                const uint64_t any[2] = { kit_random(), kit_random() };
                const double sign = kit_random() % 2 ? 1 : -1;
                const double times = (double)(kit_random() >> (is_narrow ? 35 : 12) >> n_bits % 29);
                double b = ldexp((double)(kit_random() >> 40), exponent - 24), a;

                b = is_narrow ? (double)(float)b : b;
                a = (sign * b) * times;
                if (kit_random() % 2)
                        a = is_narrow ? (double)nextafterf((float)a, (float)sign)
                                      : nextafter(a, sign);
                item_write(xs + i * size, dtype, a);
                item_write(ys + i * size, dtype, kit_random() % 2 ? b : -b);
                if (is_wild && kit_random() % 8 == 0) {
                        memcpy(xs + i * size, &any[0], size);
                        memcpy(ys + i * size, &any[1], size);
                }
        }
}

/* The bits of fmod, in pieces where all quotients have few bits and in others. */
START_TEST(test_division)
{
        static const enum td_op ops[] = { TD_OP_FLOOR_DIVIDE, TD_OP_REMAINDER };
        const struct kernels *set = kernels_list((unsigned)_i), *plain = kernels_plain();

        for (unsigned round = 0; set && round < 2000; round++)
                for (unsigned dtype = TD_FLOAT32; dtype <= TD_FLOAT64; dtype++) {
                        const size_t size = (size_t)td_dtype_size(dtype);
                        char x[N * 8], y[N * 8], got[N * 8], want[N * 8];

                        fill_division(dtype, round % 4 == 0, x, y);
                        for (unsigned k = 0; k < 2 * KERNEL_N_FORMS; k++) {
                                enum td_op op = ops[k / KERNEL_N_FORMS];
                                unsigned form = k % KERNEL_N_FORMS;

                                set->binary[op][dtype][form](N, got, x, y);
                                plain->binary[op][dtype][form](N, want, x, y);
                                for (size_t i = 0; i < N; i++)
                                        if (!is_same(got + i * size, want + i * size, dtype, 0))
                                                ck_abort_msg("%s: %s of %s: %zu of round %u",
                                                             set->isa, td_op_name(op),
                                                             td_dtype_name(dtype), i, round);
                        }
                }
}
END_TEST

/* int64 with uint64: every pair of these in every form, more often than a vector is wide. */
START_TEST(test_mixed)
{
        static const int64_t as[] = { INT64_MIN, -1, 0, 1, 1LL << 53, (1LL << 53) + 1, INT64_MAX };
        static const uint64_t bs[] = { 0, 1, 1ULL << 53, (1ULL << 53) + 1, INT64_MAX,
                                       (uint64_t)INT64_MAX + 1, UINT64_MAX };
        const struct kernels *set = kernels_list((unsigned)_i);
        int64_t a[40];
        uint64_t b[40];
        uint8_t out[40];

        for (unsigned k = 0; set && k < 49; k++)
                for (enum kernel_form form = 0; form < KERNEL_N_FORMS; form++) {
                        int order = as[k / 7] < 0 || (uint64_t)as[k / 7] < bs[k % 7] ? -1
                                    : (uint64_t)as[k / 7] > bs[k % 7]                ? 1
                                                                                     : 0;
                        const bool want[] = { order == 0, order != 0, order < 0,
                                              order <= 0, order > 0,  order >= 0 };

                        for (unsigned i = 0; i < 40; i++) {
                                a[i] = as[k / 7];
                                b[i] = bs[k % 7];
                        }
                        for (unsigned op = TD_OP_EQUAL; op <= TD_OP_GREATER_EQUAL; op++) {
                                set->mixed[op][form](40, out, a, b);
                                for (unsigned i = 0; i < 40; i++)
                                        ck_assert_int_eq(out[i], want[op - TD_OP_EQUAL]);
                        }
                }
}
END_TEST

START_TEST(test_where)
{
        const struct kernels *set = kernels_list((unsigned)_i);
        struct buffer condition, x, y, got, want;

        fill(&condition, TD_BOOL, false);
        for (unsigned dtype = 0; set && dtype < TD_N_DTYPES; dtype++) {
                size_t size = (size_t)td_dtype_size(dtype);

                fill(&x, dtype, false);
                fill(&y, dtype, false);
                memset(&got, 0x55, sizeof(got));
                memset(&want, 0x55, sizeof(want));
                set->where[dtype](N, buffer_at(&got), buffer_at(&condition), buffer_at(&x),
                                  buffer_at(&y));
                for (size_t i = 0; i < N; i++)
                        memcpy(buffer_at(&want) + i * size,
                               buffer_at(buffer_at(&condition)[i] ? &x : &y) + i * size, size);
                for (size_t i = 0; dtype == TD_BOOL && i < N; i++)
                        buffer_at(&want)[i] = buffer_at(&want)[i] != 0;
                ck_assert_mem_eq(&got, &want, sizeof(got));
        }
}
END_TEST

START_TEST(test_clip)
{
        const struct kernels *set = kernels_list((unsigned)_i), *plain = kernels_plain();
        struct buffer x, min, max, got, want;

        for (unsigned dtype = 0; set && dtype < TD_N_DTYPES; dtype++) {
                if (!set->clip[dtype])
                        continue;
                fill(&x, dtype, false);
                fill(&min, dtype, false);
                fill(&max, dtype, false);
                memset(&got, 0x55, sizeof(got));
                memset(&want, 0x55, sizeof(want));
                set->clip[dtype](N, buffer_at(&got), buffer_at(&x), buffer_at(&min),
                                 buffer_at(&max));
                plain->clip[dtype](N, buffer_at(&want), buffer_at(&x), buffer_at(&min),
                                   buffer_at(&max));
                check_same(&got, &want, N, dtype, 0, set->isa, "clip", td_dtype_name(dtype));
        }
}
END_TEST

START_TEST(test_loads)
{
        const struct kernels *set = kernels_list((unsigned)_i), *plain = kernels_plain();

        for (unsigned from = 0; set && from < TD_N_DTYPES; from++)
                for (unsigned to = 0; to < TD_N_DTYPES; to++)
                        for (ptrdiff_t step = -1; step < 3; step++) {
                                ptrdiff_t stride = step * (ptrdiff_t)td_dtype_size(from);
                                size_t n = step == 2 ? N / 2 : N;
                                struct buffer x, got, want;
                                const char *in = buffer_at(&x);

                                fill(&x, from, false);
                                memset(&got, 0x55, sizeof(got));
                                memset(&want, 0x55, sizeof(want));
                                if (step < 0)
                                        in -= (N - 1) * stride;
                                set->load[from][to](n, buffer_at(&got), in, stride);
                                plain->load[from][to](n, buffer_at(&want), in, stride);
                                check_same(&got, &want, n, to, 0, set->isa, td_dtype_name(to),
                                           td_dtype_name(from));
                        }
}
END_TEST

/* What conversions make of what does not fit, as cast.c says. */
START_TEST(test_conversions)
{
        static const struct {
                double x;
                int64_t i64;
                int32_t i32;
                int16_t i16;
                uint8_t u8;
                uint32_t u32;
                uint64_t u64;
        } rows[] = {
                { NAN, INT64_MIN, INT32_MIN, 0, 0, 0, 1UL << 63 },
                { INFINITY, INT64_MIN, INT32_MIN, 0, 0, 0, 1UL << 63 },
                { -INFINITY, INT64_MIN, INT32_MIN, 0, 0, 0, 1UL << 63 },
                { -1.9, -1, -1, -1, 255, UINT32_MAX, UINT64_MAX },
                { 300.7, 300, 300, 300, 44, 300, 300 },
                { -0x1p31 - 0.5, INT32_MIN, INT32_MIN, 0, 0, 1U << 31, -(1UL << 31) },
                { 0x1p31, 1L << 31, INT32_MIN, 0, 0, 1U << 31, 1UL << 31 },
                { 0x1p32 + 5, (1L << 32) + 5, INT32_MIN, 0, 0, 5, (1UL << 32) + 5 },
                { 0x1p63, INT64_MIN, INT32_MIN, 0, 0, 0, 1UL << 63 },
                { 0x1p63 + 2048, INT64_MIN, INT32_MIN, 0, 0, 0, (1UL << 63) + 2048 },
                { 0x1p64, INT64_MIN, INT32_MIN, 0, 0, 0, 1UL << 63 },
                { -0x1p63, INT64_MIN, INT32_MIN, 0, 0, 0, 1UL << 63 },
        };
        const struct kernels *set;

        for (unsigned s = 0; (set = kernels_list(s)); s++)
                for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                        double z[2] = { rows[i].x, 7 };
                        union td_scalar out;

#define CHECK(T, field, member)                                                                    \
        set->load[TD_FLOAT64][TD_##T](1, &out, &rows[i].x, 8);                                     \
        ck_assert_msg(out.field == rows[i].member, "%s: %g to %s", set->isa, rows[i].x, #T);       \
        set->load[TD_COMPLEX128][TD_##T](1, &out, z, 16);                                          \
        ck_assert_msg(out.field == rows[i].member, "%s: %g + 7j to %s", set->isa, rows[i].x, #T)
                        CHECK(INT64, i, i64);
                        CHECK(INT32, i32, i32);
                        CHECK(INT16, i16, i16);
                        CHECK(UINT8, u8, u8);
                        CHECK(UINT32, u32, u32);
                        CHECK(UINT64, u, u64);
#undef CHECK
                        set->load[TD_FLOAT64][TD_BOOL](1, &out, &rows[i].x, 8);
                        ck_assert_uint_eq(out.b, 1);
                        set->load[TD_COMPLEX128][TD_BOOL](1, &out, (double[]){ 0, 0.5 }, 16);
                        ck_assert_uint_eq(out.b, 1);
                }
}
END_TEST

/* A column of n elements, folded: its lanes are combined pairwise. */
static void fold_column(const struct kernel_fold *fold, size_t n, size_t item_size, const char *x,
                        const void *mean, union td_scalar *value)
{
        _Alignas(16) char lanes[KERNEL_LANES * sizeof(union td_scalar)];
        const size_t size = (size_t)td_dtype_size(fold->accumulator);
        const char *rows[KERNEL_BLOCK];

        for (size_t i = 0; i < n; i++)
                rows[i] = x + i * item_size;
        fold->columns(n, 1, lanes, rows, mean, true);
        for (size_t half = KERNEL_LANES / 2; half; half /= 2)
                for (size_t i = 0; i < half && i + half < n; i++)
                        fold->combine(1, lanes + i * size, lanes + i * size,
                                      lanes + (i + half) * size);
        memcpy(value, lanes, size);
}

/* Every set has the bits of the plain one, and columns those of rows. */
START_TEST(test_folds)
{
        const struct kernels *set = kernels_list((unsigned)_i), *plain = kernels_plain();
        static const double mean[2] = { 0.75, 0.25 };

        for (unsigned dtype = 0; set && dtype < TD_N_DTYPES; dtype++)
                for (enum fold fold = 0; fold < N_FOLDS; fold++)
                        for (size_t n = 1; n <= N; n++) {
                                const struct kernel_fold *f = &set->folds[fold][dtype],
                                                         *p = &plain->folds[fold][dtype];
                                union td_scalar got = { 0 }, want = { 0 }, column = { 0 };
                                struct buffer x;

                                ck_assert(!f->rows == !p->rows);
                                if (!f->rows)
                                        break;
                                fill(&x, dtype, n % 2);
                                f->rows(1, n, &got, buffer_at(&x), 0, mean);
                                p->rows(1, n, &want, buffer_at(&x), 0, mean);
                                fold_column(f, n, (size_t)td_dtype_size(dtype), buffer_at(&x), mean,
                                            &column);
                                ck_assert_msg(
                                        is_same((char *)&got, (char *)&want, p->accumulator, 0),
                                        "%s: fold %u of %zu %s", set->isa, fold, n,
                                        td_dtype_name(dtype));
                                ck_assert_msg(
                                        is_same((char *)&column, (char *)&want, p->accumulator, 0),
                                        "%s: fold %u of a column of %zu %s", set->isa, fold, n,
                                        td_dtype_name(dtype));
                        }
}
END_TEST

enum { ROWS = 29, COLUMNS = 37, LONG = 133 }; /* whole groups, parts, and one more */

/* Overlapping rows, and overlapping columns. */
static void fold_many(const struct kernel_fold *fold, size_t n, size_t item_size, const char *x,
                      union td_scalar *rows, union td_scalar *lanes)
{
        double means[2 * COLUMNS];
        const char *at[LONG];

        for (size_t i = 0; i < 2 * COLUMNS; i++)
                means[i] = (double)i / 8;
        for (size_t i = 0; i < LONG; i++)
                at[i] = x + i * 7 % (N - COLUMNS) * item_size;
        fold->rows(ROWS, n, rows, x, (ptrdiff_t)(3 * item_size), means);
        fold->columns(LONG, COLUMNS, lanes, at, means, true);
        fold->columns(n, COLUMNS, lanes, at, means, false);
}

/* So does each of many rows and columns. */
START_TEST(test_folds_of_many)
{
        const struct kernels *set = kernels_list((unsigned)_i), *plain = kernels_plain();
        union td_scalar got[ROWS], want[ROWS], lanes[KERNEL_LANES * COLUMNS],
                wanted[KERNEL_LANES * COLUMNS];

        for (unsigned dtype = 0; set && dtype < TD_N_DTYPES; dtype++)
                for (enum fold fold = 0; fold < N_FOLDS; fold++)
                        for (size_t n = 1; n <= N - 3 * ROWS; n++) {
                                const struct kernel_fold *f = &set->folds[fold][dtype],
                                                         *p = &plain->folds[fold][dtype];
                                const size_t item = (size_t)td_dtype_size(dtype);
                                const size_t size = (size_t)td_dtype_size(p->accumulator);
                                struct buffer x;

                                if (!f->rows)
                                        break;
                                fill(&x, dtype, n % 2);
                                fold_many(f, n, item, buffer_at(&x), got, lanes);
                                fold_many(p, n, item, buffer_at(&x), want, wanted);
                                for (size_t i = 0; i < KERNEL_LANES * COLUMNS; i++)
                                        if ((i < ROWS && !is_same((char *)got + i * size,
                                                                  (char *)want + i * size,
                                                                  p->accumulator, 0)) ||
                                            !is_same((char *)lanes + i * size,
                                                     (char *)wanted + i * size, p->accumulator, 0))
                                                ck_abort_msg("%s: fold %u of %zu %s, place %zu",
                                                             set->isa, fold, n,
                                                             td_dtype_name(dtype), i);
                        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("kernels");
        TCase *tc = tcase_create("kernels");

        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_complete);
        tcase_add_loop_test(tc, test_sets, 0, 4);
        tcase_add_loop_test(tc, test_division, 0, 4);
        tcase_add_loop_test(tc, test_mixed, 0, 4);
        tcase_add_loop_test(tc, test_where, 0, 4);
        tcase_add_loop_test(tc, test_clip, 0, 4);
        tcase_add_loop_test(tc, test_loads, 0, 4);
        tcase_add_test(tc, test_conversions);
        tcase_add_loop_test(tc, test_folds, 0, 4);
        tcase_add_loop_test(tc, test_folds_of_many, 0, 4);
        suite_add_tcase(suite, tc);
        return kit_main(suite);
}
