/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "counted_kit.h"

enum { VALUES, INDICES, INVERSE, COUNTS, N_RESULTS };

static struct array framed(const struct td_type *type)
{
        struct array a = array_new(type->dtype, LAYOUT_C, type->ndim, type->shape);

        memset(a.bytes, 0xee, (size_t)desc_n_bytes(&a.desc) + 64);
        return a;
}

/* change: of x and of the scratch, between the halves. */
static void unique_all(const struct array *x, unsigned n_threads, struct array *results,
                       void (*change)(const struct array *x, char *scratch, size_t n_scratch))
{
        static const struct td_attrs none;
        struct td_type types[N_RESULTS];
        struct desc descs[N_RESULTS];
        struct halves h = { .args = { x->bytes } };
        size_t n_scratch;

        ck_assert_int_eq(td_infer(TD_OP_UNIQUE_ALL, &none, 1, &x->desc.type, types, NULL), TD_OK);
        for (unsigned i = 0; i < N_RESULTS; i++)
                desc_init_c(&descs[i], &types[i]);
        ck_assert_int_eq(step_new(&h.step, TD_OP_UNIQUE_ALL, &none, 1, &x->desc, N_RESULTS, descs),
                         0);
        ck_assert(step_is_counted(h.step));
        n_scratch = step_n_scratch(h.step);
        h.scratch = aligned_alloc(64, n_scratch + 64);
        memset(h.scratch, 0xdd, n_scratch);
        memset(h.scratch + n_scratch, 0xee, 64);
        results[INVERSE] = framed(&types[INVERSE]);
        h.results[INVERSE] = results[INVERSE].bytes;
        halves_half(&h, n_threads);
        ck_assert_int_eq(h.r, 0);
        h.count = step_count(h.step, h.scratch);
        for (unsigned i = 0; i < N_RESULTS; i++) {
                if (i == INVERSE)
                        continue;
                types[i].shape[0] = h.count;
                results[i] = framed(&types[i]);
                h.results[i] = results[i].bytes;
        }
        if (change)
                change(x, h.scratch, n_scratch);
        h.is_second = true;
        halves_half(&h, n_threads);
        ck_assert_int_eq(h.r, 0);
        for (unsigned k = 0; k < 64; k++) {
                EXPECT((uint8_t)h.scratch[n_scratch + k] == 0xee, "overrun of the scratch");
                for (unsigned i = 0; i < N_RESULTS; i++)
                        EXPECT((uint8_t)results[i].bytes[desc_n_bytes(&results[i].desc) + k] ==
                                       0xee,
                               "overrun");
        }
        free(h.scratch);
        step_free(h.step);
}

static void free_all(struct array *results)
{
        for (unsigned i = 0; i < N_RESULTS; i++)
                array_free(&results[i]);
}

struct number {
        double re, im;
};

static struct number number_at(const struct array *a, int64_t index)
{
        struct number number = { .re = array_get(a, index) };
        float im;

        if (a->desc.type.dtype == TD_COMPLEX128)
                memcpy(&number.im, array_at(a, index) + sizeof(double), sizeof(number.im));
        if (a->desc.type.dtype != TD_COMPLEX64)
                return number;
        memcpy(&im, array_at(a, index) + sizeof(im), sizeof(im));
        number.im = im;
        return number;
}

static bool is_nan(struct number a)
{
        return isnan(a.re) || isnan(a.im);
}

static bool is_equal(struct number a, struct number b)
{
        return is_nan(a) ? is_nan(b) : a.re == b.re && a.im == b.im;
}

static bool is_less(struct number a, struct number b)
{
        return a.re < b.re || (a.re == b.re && a.im < b.im);
}

/* Values ascend, NaN last and each alone; everything else follows from inverse and x. */
static void check_all(const struct array *x, const struct array *results)
{
        int64_t n = desc_n_elements(&x->desc), count = desc_n_elements(&results[VALUES].desc);
        int64_t *seen = calloc((size_t)count + 1, sizeof(*seen)), n_nans = 0;

        for (int64_t i = 0; i < n; i++) {
                int64_t at = array_get_int(&results[INVERSE], i);

                EXPECT(at >= 0 && at < count, "inverse");
                EXPECT(is_equal(number_at(x, i), number_at(&results[VALUES], at)), "value %ld",
                       (long)i);
                if (seen[at]++ == 0)
                        EXPECT(array_get_int(&results[INDICES], at) == i, "first");
                n_nans += is_nan(number_at(x, i));
        }
        for (int64_t i = 0; i < count; i++) {
                struct number value = number_at(&results[VALUES], i);
                struct number first = number_at(x, array_get_int(&results[INDICES], i));

                EXPECT(seen[i] > 0 && array_get_int(&results[COUNTS], i) == seen[i], "count");
                EXPECT(is_nan(value) == (i >= count - n_nans), "NaN");
                EXPECT(i == 0 || is_nan(value) ||
                               is_less(number_at(&results[VALUES], i - 1), value),
                       "order");
                EXPECT(!signbit(value.re) == !signbit(first.re) &&
                               !signbit(value.im) == !signbit(first.im),
                       "sign");
        }
        free(seen);
}

static struct array special(unsigned dtype, enum layout layout, unsigned ndim, const int64_t *shape)
{
        const double values[] = { (double)NAN, 0.0, -0.0, (double)INFINITY, 1 };
        const unsigned part = td_dtype_is_complex(dtype) ? td_float_for(dtype) : dtype;
        const int64_t size = td_dtype_size(part);
        struct array x = array_random(dtype, layout, ndim, shape);

        for (int64_t i = 0, n = desc_n_elements(&x.desc); td_dtype_is_float(part) && i < n; i++) {
                if (i % 3 == 0)
                        item_write(array_at(&x, i), part, values[kit_random() % 5]);
                if (part != dtype)
                        item_write(array_at(&x, i) + size, part,
                                   i % 5 ? 1.0 - (double)(i % 4) : values[kit_random() % 5]);
        }
        return x;
}

START_TEST(finds_distinct_elements)
{
        const unsigned n_threads[] = { 1, 2, 7 };
        const unsigned dtypes[] = { TD_BOOL,    TD_INT8,    TD_INT64,     TD_UINT16,
                                    TD_FLOAT32, TD_FLOAT64, TD_COMPLEX64, TD_COMPLEX128 };
        const struct {
                unsigned ndim;
                int64_t shape[2];
        } shapes[] = { { 1, { 0 } }, { 1, { 1 } }, { 2, { 3, 5 } }, { 2, { 301, 401 } } };

        for (unsigned s = 0; s < 4; s++)
                for (enum layout layout = 0; layout < N_LAYOUTS; layout++) {
                        struct array x = special(dtypes[_i], layout, shapes[s].ndim,
                                                 shapes[s].shape);
                        struct array first[N_RESULTS], again[N_RESULTS];

                        unique_all(&x, 1, first, NULL);
                        check_all(&x, first);
                        for (unsigned t = 1; t < 3; t++) {
                                unique_all(&x, n_threads[t], again, NULL);
                                for (unsigned i = 0; i < N_RESULTS; i++)
                                        ck_assert(memcmp(first[i].bytes, again[i].bytes,
                                                         (size_t)desc_n_bytes(&first[i].desc)) ==
                                                  0);
                                free_all(again);
                        }
                        free_all(first);
                        array_free(&x);
                }
}
END_TEST

static void change_elements(const struct array *x, char *scratch, size_t n_scratch)
{
        (void)scratch;
        (void)n_scratch;
        for (int64_t i = 0; i < desc_n_elements(&x->desc); i++)
                item_write(array_at(x, i), x->desc.type.dtype, i % 2 ? 0.0 : (double)NAN);
}

static void lose_scratch(const struct array *x, char *scratch, size_t n_scratch)
{
        (void)x;
        memset(scratch, 0, n_scratch);
}

static void spoil_scratch(const struct array *x, char *scratch, size_t n_scratch)
{
        (void)x;
        memset(scratch, 0xff, n_scratch);
}

static void spoil_scratch_7f(const struct array *x, char *scratch, size_t n_scratch)
{
        (void)x;
        memset(scratch, 0x7f, n_scratch);
}

/* Who changes what was counted changes nothing of how much is written. */
START_TEST(nothing_is_overrun)
{
        void (*changes[])(const struct array *, char *, size_t) = { change_elements, lose_scratch,
                                                                    spoil_scratch,
                                                                    spoil_scratch_7f };
        struct array x = special(_i < 4 ? TD_FLOAT64 : TD_COMPLEX128, LAYOUT_C, SHAPE(301, 401));
        struct array results[N_RESULTS];

        unique_all(&x, 2, results, changes[_i % 4]);
        free_all(results);
        array_free(&x);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("unique");
        TCase *test = tcase_create("unique");

        tcase_set_timeout(test, 60);
        tcase_add_loop_test(test, finds_distinct_elements, 0, 8);
        tcase_add_loop_test(test, nothing_is_overrun, 0, 8);
        suite_add_tcase(suite, test);
        return kit_main(suite);
}
