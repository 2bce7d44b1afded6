/* layer: tensor */
/* SPDX-License-Identifier: MIT */
/*
 * Views: every element of a view is the one that the operation's definition names. Elements are
 * told apart by where they lie.
 */
#include "tensor/view.h"

#include <check.h>
#include <stdlib.h>

#include "program_kit.h"
#include "random_kit.h"

static int64_t address(const struct desc *desc, const int64_t *index)
{
        int64_t at = desc->offset;

        for (unsigned i = 0; i < desc->type.ndim; i++)
                at += index[i] * desc->strides[i];
        return at;
}

/* The index of the n-th element in C order. */
static void unravel(const struct td_type *type, int64_t n, int64_t *index)
{
        for (unsigned i = type->ndim; i-- > 0;) {
                index[i] = n % type->shape[i];
                n /= type->shape[i];
        }
}

/* Strided in every way: axes in a random order, gaps, negative and 0 strides. */
static void random_desc(struct desc *desc)
{
        int64_t stride = 8;

        *desc = (struct desc){ .type = { .dtype = TD_FLOAT64 }, .offset = 1 << 20 };
        desc->type.ndim = (uint8_t)(kit_random() % 5);
        for (unsigned i = 0; i < desc->type.ndim; i++)
                desc->type.shape[i] = 1 + (int64_t)(kit_random() % 4);
        if (kit_random() % 2) {
                desc_init_c(desc, &desc->type);
                desc->offset = 1 << 20;
        }
        for (unsigned i = desc->type.ndim; i-- > 0 && desc->strides[0] == 0;) {
                desc->strides[i] = stride;
                stride *= desc->type.shape[i] + (int64_t)(kit_random() % 2);
        }
        for (unsigned i = 0; i < desc->type.ndim; i++)
                if (kit_random() % 8 == 0)
                        desc->strides[i] *= (int64_t)(kit_random() % 2) - 1;
}

START_TEST(permute)
{
        struct desc of, view;
        struct td_attrs attrs = attrs_axes(3, 2, -3, 1);

        desc_init_c(&of, &(struct td_type){ TD_FLOAT64, 3, { 2, 3, 4 } });
        of.offset = 16;
        view_permute(&view, &of, &attrs);
        ck_assert_int_eq(view.type.shape[0], 4);
        ck_assert_int_eq(view.type.shape[1], 2);
        ck_assert_int_eq(view.type.shape[2], 3);
        ck_assert_int_eq(view.strides[0], 8);
        ck_assert_int_eq(view.strides[1], 96);
        ck_assert_int_eq(view.strides[2], 32);
        ck_assert_int_eq(view.offset, 16);
}
END_TEST

START_TEST(slice_of_anything)
{
        for (int round = 0; round < 20000; round++) {
                struct desc of, view;
                struct td_attrs attrs = { .set = TD_ATTR_START | TD_ATTR_SHAPE | TD_ATTR_STEP };
                struct td_type type;
                int64_t n;

                random_desc(&of);
                attrs.n_start = attrs.n_shape = attrs.n_step = of.type.ndim;
                for (unsigned i = 0; i < of.type.ndim; i++) {
                        attrs.start[i] = (int64_t)(kit_random() % (uint64_t)of.type.shape[i]);
                        attrs.shape[i] = (int64_t)(kit_random() % 4);
                        attrs.step[i] = kit_random() % 2 ? 1 + (int64_t)(kit_random() % 2) : -1;
                }
                if (td_infer(TD_OP_SLICE, &attrs, 1, &of.type, &type, NULL))
                        continue;
                view_slice(&view, &of, &attrs);
                ck_assert(td_type_same(&view.type, &type));
                n = desc_n_elements(&view);
                for (int64_t e = 0; e < n; e++) {
                        int64_t index[TD_NDIM_MAX], from[TD_NDIM_MAX];

                        unravel(&view.type, e, index);
                        for (unsigned i = 0; i < of.type.ndim; i++)
                                from[i] = attrs.start[i] + index[i] * attrs.step[i];
                        ck_assert_int_eq(address(&view, index), address(&of, from));
                }
        }
}
END_TEST

START_TEST(broadcast)
{
        struct desc of = { .type = { TD_FLOAT32, 2, { 3, 1 } },
                           .strides = { -4, 999 },
                           .offset = 8 };
        struct td_type to = type_of(TD_FLOAT32, 3, 5, 3, 7);
        struct desc view;

        view_broadcast(&view, &of, &to);
        ck_assert(td_type_same(&view.type, &to));
        ck_assert_int_eq(view.strides[0], 0);
        ck_assert_int_eq(view.strides[1], -4);
        ck_assert_int_eq(view.strides[2], 0);
        ck_assert_int_eq(view.offset, 8);
        to.shape[0] = 0;
        view_broadcast(&view, &of, &to);
        ck_assert_int_eq(desc_n_elements(&view), 0);
        ck_assert_int_eq(desc_check(&view, 12), 0);
}
END_TEST

/* A random shape of as many elements, extents of 1 among them. */
static void random_shape(int64_t n, struct td_attrs *attrs)
{
        *attrs = (struct td_attrs){ .set = TD_ATTR_SHAPE };
        while (n > 1 || kit_random() % 3 == 0) {
                int64_t extent = 1 + (int64_t)(kit_random() % (uint64_t)n);

                if (attrs->n_shape == TD_NDIM_MAX - 1)
                        extent = n;
                else if (n % extent)
                        continue;
                attrs->shape[attrs->n_shape++] = extent;
                n /= extent;
                if (attrs->n_shape == TD_NDIM_MAX)
                        break;
        }
}

/*
 * Can C order over the shape be had by strides alone? They are forced: each is the distance of two
 * neighbours, so all that is left is to look whether every element lies where they say.
 */
static bool oracle_reshape(const struct desc *of, const struct td_type *to)
{
        struct desc view = { .type = *to, .offset = of->offset };
        int64_t n = desc_n_elements(of), index[TD_NDIM_MAX], step = 1;

        for (unsigned i = to->ndim; i-- > 0;) {
                if (to->shape[i] > 1) {
                        unravel(&of->type, step, index);
                        view.strides[i] = address(of, index) - of->offset;
                }
                step *= to->shape[i];
        }
        for (int64_t e = 0; e < n; e++) {
                int64_t from[TD_NDIM_MAX];

                unravel(&of->type, e, from);
                unravel(to, e, index);
                if (address(of, from) != address(&view, index))
                        return false;
        }
        return true;
}

START_TEST(reshape_of_anything)
{
        unsigned n_views = 0, n_copies = 0;

        for (int round = 0; round < 50000; round++) {
                struct desc of, view;
                struct td_attrs attrs;
                struct td_type to;
                int64_t n;
                int r;

                random_desc(&of);
                n = desc_n_elements(&of);
                random_shape(n, &attrs);
                ck_assert_int_eq(td_infer(TD_OP_RESHAPE, &attrs, 1, &of.type, &to, NULL), TD_OK);
                r = view_reshape(&view, &of, &to);
                ck_assert_int_eq(r, oracle_reshape(&of, &to) ? 0 : VIEW_E_COPY);
                n_views += r == 0;
                n_copies += r != 0;
                for (int64_t e = 0; e < n && r == 0; e++) {
                        int64_t from[TD_NDIM_MAX], index[TD_NDIM_MAX];

                        unravel(&of.type, e, from);
                        unravel(&to, e, index);
                        ck_assert_int_eq(address(&of, from), address(&view, index));
                }
        }
        ck_assert_uint_gt(n_views, 5000);
        ck_assert_uint_gt(n_copies, 5000);
}
END_TEST

START_TEST(reshape_of_nothing)
{
        struct desc of = { .type = { TD_INT64, 2, { 0, 5 } },
                           .strides = { INT64_MIN, INT64_MAX },
                           .offset = -3 };
        struct td_type to = type_of(TD_INT64, 3, 7, 0, 2);
        struct desc view;

        ck_assert_int_eq(view_reshape(&view, &of, &to), 0);
        ck_assert(td_type_same(&view.type, &to));
        ck_assert(desc_is_c(&view));
}
END_TEST

START_TEST(hostile_strides_of_extents_of_one)
{
        struct desc of = { .type = { TD_FLOAT64, 2, { 1, 2 } }, .strides = { INT64_MIN, 8 } };
        struct td_attrs slice = {
                .n_start = 2,
                .n_shape = 2,
                .n_step = 2,
                .shape = { 1, 1 },
                .start = { 0, 1 },
                .step = { INT64_MAX, -9 },
        };
        struct td_type to = type_of(TD_FLOAT64, 3, 1, 2, 1);
        struct desc view;

        view_slice(&view, &of, &slice);
        ck_assert_int_eq(view.offset, 8);
        ck_assert_int_eq(desc_check(&view, 16), 0);
        ck_assert_int_eq(view_reshape(&view, &of, &to), 0);
        ck_assert_int_eq(view.strides[1], 8);
        ck_assert_int_eq(desc_check(&view, 16), 0);
}
END_TEST

/* 2 * 2^62 is not the stride that it wraps to. */
START_TEST(strides_that_wrap)
{
        struct desc of = { .type = { TD_INT64, 2, { 2, 2 } },
                           .strides = { INT64_MIN, INT64_C(1) << 62 } };
        struct td_type to = { TD_INT64, 1, { 4 } };
        struct desc view;

        ck_assert_int_eq(view_reshape(&view, &of, &to), VIEW_E_COPY);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("view");
        TCase *tcase = tcase_create("view");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, permute);
        tcase_add_test(tcase, slice_of_anything);
        tcase_add_test(tcase, broadcast);
        tcase_add_test(tcase, reshape_of_anything);
        tcase_add_test(tcase, reshape_of_nothing);
        tcase_add_test(tcase, hostile_strides_of_extents_of_one);
        tcase_add_test(tcase, strides_that_wrap);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
