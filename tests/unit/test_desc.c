/* layer: tensor */
/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: bounds against an oracle in 128 bits, orders against their definition.
 */
#include "tensor/desc.h"

#include <check.h>
#include <stdlib.h>

#include "random_kit.h"

typedef __int128 wide;

/* Small numbers, huge ones, and those next to the borders of int64_t. */
static int64_t random_int(void)
{
        switch (kit_random() % 6) {
        case 0: return (int64_t)(kit_random() % 5) - 2;
        case 1: return INT64_MIN + (int64_t)(kit_random() % 3);
        case 2: return INT64_MAX - (int64_t)(kit_random() % 3);
        case 3: return (int64_t)kit_random();
        default: return (int64_t)(kit_random() % 129) - 64;
        }
}

/* Lowest and highest byte of all elements, by the definition of strides. */
static bool oracle_fits(const struct desc *desc, uint64_t n_bytes)
{
        wide low = desc->offset, high = desc->offset;

        for (unsigned i = 0; i < desc->type.ndim; i++)
                if (desc->type.shape[i] == 0)
                        return true;
        for (unsigned i = 0; i < desc->type.ndim; i++) {
                wide reach = (wide)(desc->type.shape[i] - 1) * desc->strides[i];

                if (reach < 0)
                        low += reach;
                else
                        high += reach;
        }
        return low >= 0 && high + td_dtype_size(desc->type.dtype) <= (wide)n_bytes;
}

static void random_desc(struct desc *desc)
{
        do {
                *desc = (struct desc){ .offset = random_int() };
                desc->type.dtype = (uint8_t)(kit_random() % TD_N_DTYPES);
                desc->type.ndim = (uint8_t)(kit_random() % 5);
                for (unsigned i = 0; i < desc->type.ndim; i++) {
                        int64_t extent = random_int();

                        desc->type.shape[i] = kit_random() % 4 ? (int64_t)(kit_random() % 6)
                                                                : extent & INT64_MAX;
                        desc->strides[i] = random_int();
                }
        } while (td_check_type(&desc->type, NULL));
}

START_TEST(check_agrees_with_oracle)
{
        unsigned n_fit = 0, n_not = 0;

        for (int i = 0; i < 300000; i++) {
                struct desc desc;
                uint64_t n_bytes = kit_random() % 3 ? kit_random() % 600 : (uint64_t)random_int();
                bool fits;

                random_desc(&desc);
                fits = oracle_fits(&desc, n_bytes);
                ck_assert_int_eq(desc_check(&desc, n_bytes), fits ? 0 : DESC_E_BOUNDS);
                n_fit += fits;
                n_not += !fits;
        }
        /* both answers were tried often */
        ck_assert_uint_gt(n_fit, 20000);
        ck_assert_uint_gt(n_not, 20000);
}
END_TEST

START_TEST(check_is_exact_at_both_ends)
{
        struct desc desc = { .type = { TD_FLOAT64, 2, { 3, 4 } },
                             .strides = { -32, 8 },
                             .offset = 64 };

        ck_assert_int_eq(desc_check(&desc, 96), 0);
        ck_assert_int_eq(desc_check(&desc, 95), DESC_E_BOUNDS);
        desc.offset = 63;
        ck_assert_int_eq(desc_check(&desc, 96), DESC_E_BOUNDS);
        desc = (struct desc){ .type = { TD_BOOL, 1, { 1 } }, .strides = { INT64_MIN } };
        ck_assert_int_eq(desc_check(&desc, 1), 0);
        ck_assert_int_eq(desc_check(&desc, 0), DESC_E_BOUNDS);
        desc = (struct desc){ .type = { TD_FLOAT64, 1, { 0 } },
                              .strides = { INT64_MIN },
                              .offset = -5 };
        ck_assert_int_eq(desc_check(&desc, 0), 0);
        desc = (struct desc){ .type = { TD_FLOAT32, 0, { 0 } }, .offset = INT64_MAX };
        ck_assert_int_eq(desc_check(&desc, UINT64_MAX), 0);
        ck_assert_int_eq(desc_check(&desc, INT64_MAX), DESC_E_BOUNDS);
}
END_TEST

START_TEST(dense_orders)
{
        struct td_type type = { TD_FLOAT32, 3, { 2, 3, 5 } };
        struct desc c, f;

        desc_init_c(&c, &type);
        desc_init_f(&f, &type);
        ck_assert_int_eq(c.strides[0], 60);
        ck_assert_int_eq(c.strides[1], 20);
        ck_assert_int_eq(c.strides[2], 4);
        ck_assert_int_eq(f.strides[0], 4);
        ck_assert_int_eq(f.strides[1], 8);
        ck_assert_int_eq(f.strides[2], 24);
        ck_assert_int_eq(c.offset, 0);
        ck_assert_int_eq(desc_n_elements(&c), 30);
        ck_assert_int_eq(desc_n_bytes(&c), 120);
        ck_assert(desc_is_c(&c) && !desc_is_f(&c));
        ck_assert(desc_is_f(&f) && !desc_is_c(&f));
        ck_assert_int_eq(desc_check(&c, 120), 0);
        ck_assert_int_eq(desc_check(&f, 119), DESC_E_BOUNDS);
}
END_TEST

static void check_kept(const struct desc *a, const struct desc *b, unsigned x, unsigned y,
                       unsigned z)
{
        struct desc operands[] = { *a, *b }, made;
        uint8_t order[TD_NDIM_MAX];

        desc_keep_order(order, &a->type, 2, operands);
        ck_assert(order[0] == x && order[1] == y && order[2] == z);
        desc_init_ordered(&made, &a->type, order);
        ck_assert(desc_is_dense(&made));
        ck_assert_int_eq(made.strides[z], td_dtype_size(made.type.dtype));
}

START_TEST(which_order_is_kept)
{
        const struct td_type type = { TD_FLOAT64, 3, { 3, 4, 5 } };
        struct desc c, f, other, row = { .type = { TD_FLOAT64, 1, { 5 } }, .strides = { 8 } };

        desc_init_c(&c, &type);
        desc_init_f(&f, &type);
        desc_init_ordered(&other, &type, (const uint8_t[]){ 2, 0, 1 });
        check_kept(&f, &f, 2, 1, 0);
        check_kept(&f, &c, 0, 1, 2); /* where they disagree, C order */
        check_kept(&f, &other, 2, 0, 1);
        check_kept(&other, &row, 2, 0, 1); /* it says nothing of two axes */
        for (unsigned d = 0; d < 3; d++)
                f.strides[d] = -f.strides[d];
        check_kept(&f, &f, 2, 1, 0);
        ck_assert(!desc_is_dense(&f)); /* it lies backwards */
        c.strides[1] = 0;
        ck_assert(!desc_is_dense(&c));
        f.strides[1] = INT64_MIN;
        check_kept(&f, &f, 1, 2, 0);
}
END_TEST

START_TEST(extents_of_one_and_none)
{
        struct desc desc = { .type = { TD_INT64, 3, { 1, 4, 1 } }, .strides = { -7, 8, 1000 } };

        ck_assert(desc_is_c(&desc) && desc_is_f(&desc));
        desc.strides[1] = 16;
        ck_assert(!desc_is_c(&desc) && !desc_is_f(&desc));
        desc.type.shape[0] = 0;
        ck_assert(desc_is_c(&desc) && desc_is_f(&desc));
        ck_assert_int_eq(desc_n_bytes(&desc), 0);
        desc = (struct desc){ .type = { TD_INT64, 0, { 0 } } };
        ck_assert(desc_is_c(&desc) && desc_is_f(&desc));
        ck_assert_int_eq(desc_n_elements(&desc), 1);
        /* strides of an empty array stay finite however large its other extents are */
        desc_init_c(&desc, &(struct td_type){ TD_FLOAT64, 3, { INT64_MAX / 16, 0, 1 } });
        ck_assert_int_eq(desc.strides[0], 8);
}
END_TEST

START_TEST(same_and_alike)
{
        const struct td_type type = { TD_FLOAT64, 2, { 3, 4 } };
        struct desc a, b;

        desc_init_c(&a, &type);
        desc_init_c(&b, &type);
        b.strides[2] = 5; /* of no axis */
        ck_assert(desc_is_same(&a, &b));
        b.offset = 8;
        ck_assert(!desc_is_same(&a, &b));
        desc_init_f(&b, &type);
        ck_assert(!desc_is_same(&a, &b) && !desc_is_alike(&a, &b));
        desc_init_c(&b, &(struct td_type){ TD_INT64, 2, { 3, 4 } });
        ck_assert(!desc_is_same(&a, &b));
        desc_init_c(&b, &(struct td_type){ TD_FLOAT64, 1, { 12 } });
        ck_assert(!desc_is_same(&a, &b));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("desc");
        TCase *tcase = tcase_create("desc");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, check_agrees_with_oracle);
        tcase_add_test(tcase, check_is_exact_at_both_ends);
        tcase_add_test(tcase, dense_orders);
        tcase_add_test(tcase, which_order_is_kept);
        tcase_add_test(tcase, extents_of_one_and_none);
        tcase_add_test(tcase, same_and_alike);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
