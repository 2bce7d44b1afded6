/* layer: compute */
/* SPDX-License-Identifier: MIT */
#include "counted_kit.h"

/* change: called between the halves. */
static struct array select_of(enum td_op op, const struct array *args, unsigned n_args,
                              unsigned n_threads, void (*change)(struct halves *, void *),
                              void *ctx)
{
        static const struct td_attrs none;
        struct halves h = { .r = 0 };
        struct td_type types[4], types_of_results[4], result;
        struct desc descs[2], out;
        struct array a;

        for (unsigned i = 0; i < n_args; i++) {
                types[i] = args[i].desc.type;
                descs[i] = args[i].desc;
                h.args[i] = args[i].bytes;
        }
        ck_assert_int_eq(td_infer(op, &none, n_args, types, types_of_results, NULL), TD_OK);
        result = types_of_results[0];
        ck_assert(!td_type_is_known(&result));
        desc_init_c(&out, &result);
        ck_assert_int_eq(step_new(&h.step, op, &none, n_args, descs, 1, &out), 0);
        ck_assert(step_is_counted(h.step));
        h.scratch = aligned_alloc(64, step_n_scratch(h.step));
        memset(h.scratch, 0xdd, step_n_scratch(h.step));
        halves_half(&h, n_threads);
        ck_assert_int_eq(h.r, 0);
        h.count = step_count(h.step, h.scratch);
        for (unsigned d = 0; d < result.ndim; d++)
                if (result.shape[d] == TD_UNKNOWN)
                        result.shape[d] = h.count;
        a = array_new(result.dtype, LAYOUT_C, result.ndim, result.shape);
        memset(a.bytes, 0xee, (size_t)desc_n_bytes(&a.desc) + 64);
        h.results[0] = a.bytes;
        h.is_second = true;
        if (change)
                change(&h, ctx);
        halves_half(&h, n_threads);
        ck_assert_int_eq(h.r, 0);
        for (unsigned j = 0; j < 64; j++)
                EXPECT((uint8_t)a.bytes[desc_n_bytes(&a.desc) + j] == 0xee, "overrun");
        free(h.scratch);
        step_free(h.step);
        return a;
}

static const struct {
        unsigned ndim;
        int64_t shape[3];
} shapes[] = { { 1, { 0 } },       { 1, { 1 } },          { 1, { 63 } },
               { 1, { 70001 } },   { 2, { 3, 5 } },       { 2, { 0, 4 } },
               { 3, { 2, 3, 4 } }, { 3, { 41, 43, 47 } }, { 2, { 70001, 1 } } };

START_TEST(nonzero_finds_every_element)
{
        const unsigned dtypes[] = { TD_BOOL, TD_INT64, TD_FLOAT32, TD_FLOAT64 };

        for (unsigned s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
                for (enum layout layout = 0; layout < N_LAYOUTS; layout++)
                        for (unsigned t = 0; t < 4; t++) {
                                struct array x = array_random(dtypes[t], layout, shapes[s].ndim,
                                                              shapes[s].shape);
                                struct array got = select_of(TD_OP_NONZERO, &x, 1, 1 + s % 3, NULL,
                                                             NULL);
                                int64_t at = 0, count = got.desc.type.shape[1];

                                for (int64_t i = 0, n = desc_n_elements(&x.desc); i < n; i++) {
                                        int64_t rest = i;

                                        if (array_get(&x, i) == 0)
                                                continue;
                                        for (unsigned d = shapes[s].ndim; d-- > 0;) {
                                                int64_t want = rest % shapes[s].shape[d];

                                                EXPECT(array_get_int(&got, d * count + at) == want,
                                                       "element %ld", (long)i);
                                                rest /= shapes[s].shape[d];
                                        }
                                        at++;
                                }
                                ck_assert_int_eq(at, count);
                                array_free(&x);
                                array_free(&got);
                        }
}
END_TEST

START_TEST(mask_takes_parts)
{
        const unsigned dtypes[] = { TD_BOOL, TD_INT64, TD_FLOAT32, TD_FLOAT64 };

        for (unsigned s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
                for (unsigned n_lead = 0; n_lead <= shapes[s].ndim; n_lead++)
                        for (enum layout layout = 0; layout < N_LAYOUTS; layout++) {
                                struct array args[2], got;
                                int64_t at = 0, n_row = 1;

                                args[0] = array_random(dtypes[(s + n_lead) % 4], layout,
                                                       shapes[s].ndim, shapes[s].shape);
                                args[1] = array_random(TD_BOOL, (layout + 1) % N_LAYOUTS, n_lead,
                                                       shapes[s].shape);
                                for (unsigned d = n_lead; d < shapes[s].ndim; d++)
                                        n_row *= shapes[s].shape[d];
                                got = select_of(TD_OP_MASK, args, 2, 1 + s % 3, NULL, NULL);
                                for (int64_t i = 0, n = desc_n_elements(&args[1].desc); i < n;
                                     i++) {
                                        if (array_get(&args[1], i) == 0)
                                                continue;
                                        for (int64_t k = 0; k < n_row; k++)
                                                EXPECT(array_get(&got, at * n_row + k) ==
                                                               array_get(&args[0], i * n_row + k),
                                                       "part %ld", (long)i);
                                        at++;
                                }
                                ck_assert_int_eq(at, got.desc.type.shape[0]);
                                array_free(&args[0]);
                                array_free(&args[1]);
                                array_free(&got);
                        }
}
END_TEST

static void set_all(struct halves *h, void *ctx)
{
        const struct array *x = ctx;

        (void)h;
        memset(x->bytes, 1, (size_t)desc_n_bytes(&x->desc));
}

static void lose_scratch(struct halves *h, void *ctx)
{
        (void)ctx;
        memset(h->scratch, 0, step_n_scratch(h->step));
}

static void spoil_scratch(struct halves *h, void *ctx)
{
        (void)ctx;
        memset(h->scratch, 0x7f, step_n_scratch(h->step));
}

/* Who changes what was counted changes nothing of how much is written. */
START_TEST(nothing_is_overrun)
{
        struct array x = array_random(TD_BOOL, LAYOUT_C, SHAPE(200, 701));
        struct array want = select_of(TD_OP_NONZERO, &x, 1, 2, NULL, NULL), got;

        got = select_of(TD_OP_NONZERO, &x, 1, 2, set_all, &x);
        ck_assert_int_eq(desc_n_bytes(&got.desc), desc_n_bytes(&want.desc));
        ck_assert(memcmp(got.bytes, want.bytes, (size_t)desc_n_bytes(&want.desc)) == 0);
        array_free(&got);
        array_fill(&x);
        got = select_of(TD_OP_NONZERO, &x, 1, 2, lose_scratch, NULL);
        array_free(&got);
        got = select_of(TD_OP_NONZERO, &x, 1, 2, spoil_scratch, NULL);
        array_free(&got);
        array_free(&want);
        array_free(&x);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("select");
        TCase *tests = tcase_create("select");

        tcase_set_timeout(tests, 60);
        tcase_add_test(tests, nonzero_finds_every_element);
        tcase_add_test(tests, mask_takes_parts);
        tcase_add_test(tests, nothing_is_overrun);
        suite_add_tcase(suite, tests);
        return kit_main(suite);
}
