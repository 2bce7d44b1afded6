/* layer: contract */
/* SPDX-License-Identifier: MIT */
/*
 * Inference of one operation: tables, promotion, every operation's dtypes and shapes, and what is
 * refused with which words.
 */
#include "tensord/infer_op.h"

#include <check.h>
#include <stdlib.h>

#include "program_kit.h"

static const struct td_attrs none;

/* ---- tables ---- */

START_TEST(names_are_found)
{
        for (int i = 0; i < TD_N_DTYPES; i++)
                ck_assert_int_eq(td_dtype_find(td_dtype_name((unsigned)i),
                                               strlen(td_dtype_name((unsigned)i))),
                                 i);
        for (int i = 0; i < TD_N_OPS; i++)
                ck_assert_int_eq(
                        td_op_find(td_op_name((unsigned)i), strlen(td_op_name((unsigned)i))), i);
        ck_assert_int_eq(td_dtype_find("float640", 7), TD_FLOAT64);
        ck_assert_int_eq(td_dtype_find("float6", 6), -1);
        ck_assert_int_eq(td_op_find("", 0), -1);
        ck_assert_int_eq(td_error_find("singular", 8), TD_E_SINGULAR);
        ck_assert_int_eq(td_error_find("fine", 4), -1);
        ck_assert_str_eq(td_error_name(TD_E_LOOP_SHAPE), "loop_shape");
        ck_assert_str_eq(td_error_info(TD_E_MEMORY_LIMIT)->exception, "OutOfMemory");
        ck_assert_ptr_null(td_error_info(12345));
        ck_assert_int_eq(td_dtype_size(TD_BOOL), 1);
        ck_assert_int_eq(td_dtype_size(TD_FLOAT32), 4);
        ck_assert_uint_eq(td_op_optional(TD_OP_SUM), TD_ATTR_AXES | TD_ATTR_KEEPDIMS);
        ck_assert_uint_eq(td_op_optional(TD_OP_PERMUTE_DIMS), 0);
        ck_assert_uint_eq(td_op_optional(TD_OP_EYE), TD_ATTR_K);
}
END_TEST

START_TEST(promotion_is_numpys)
{
        static const uint8_t expected[4][4] = {
                { TD_BOOL, TD_INT64, TD_FLOAT32, TD_FLOAT64 },
                { TD_INT64, TD_INT64, TD_FLOAT64, TD_FLOAT64 },
                { TD_FLOAT32, TD_FLOAT64, TD_FLOAT32, TD_FLOAT64 },
                { TD_FLOAT64, TD_FLOAT64, TD_FLOAT64, TD_FLOAT64 },
        };

        for (unsigned a = 0; a < 4; a++)
                for (unsigned b = 0; b < 4; b++)
                        ck_assert_uint_eq(td_promote(a, b), expected[a][b]);
}
END_TEST

START_TEST(types_are_bounded)
{
        struct td_refusal refusal;
        struct td_type type = type_of(TD_FLOAT64, 2, 3, -1);

        ck_assert_int_eq(td_check_type(&type, &refusal), TD_E_BAD_SHAPE);
        ck_assert_ptr_nonnull(strstr(refusal.message, "(3, -1)"));
        type = (struct td_type){ TD_FLOAT64, 2, { INT64_MAX / 8, 1 } };
        ck_assert_int_eq(td_check_type(&type, &refusal), TD_OK);
        type.shape[1] = 2;
        ck_assert_int_eq(td_check_type(&type, &refusal), TD_E_BAD_SHAPE);
        ck_assert_ptr_nonnull(strstr(refusal.message, "(1152921504606846975, 2)"));
        type = (struct td_type){ TD_FLOAT64, 3, { INT64_MAX, 0, INT64_MAX } };
        ck_assert_int_eq(td_check_type(&type, &refusal), TD_E_BAD_SHAPE);
        type = (struct td_type){ .dtype = TD_BOOL, .ndim = TD_NDIM_MAX + 1 };
        ck_assert_int_eq(td_check_type(&type, &refusal), TD_E_RANK_LIMIT);
        type = (struct td_type){ .dtype = TD_N_DTYPES };
        ck_assert_int_eq(td_check_type(&type, NULL), TD_E_UNSUPPORTED_DTYPE);
        type = type_of(TD_INT64, 3, 2, 0, 4);
        ck_assert_int_eq(td_type_n_elements(&type), 0);
        type = type_of(TD_INT64, 0);
        ck_assert_int_eq(td_type_n_bytes(&type), 8);
        ck_assert_str_eq(td_type_text(&type).s, "()");
        type = type_of(TD_INT64, 1, 3);
        ck_assert_str_eq(td_type_text(&type).s, "(3,)");
}
END_TEST

/* ---- one operation ---- */

static struct td_refusal refusal_of;

#define ck_infer(op, attrs, n, args, expected) \
        do { \
                struct td_attrs _attrs = (attrs); \
                struct td_type _expected = (expected), _result; \
                refusal_of.message[0] = '\0'; \
                int _r = td_infer((op), &_attrs, (n), (args), &_result, &refusal_of); \
                ck_assert_msg(_r == TD_OK, "%s", refusal_of.message); \
                ck_assert_msg(td_type_same(&_result, &_expected), "%s %s", \
                              td_dtype_name(_result.dtype), td_type_text(&_result).s); \
        } while (0)

#define ck_refuse(op, attrs, n, args, error) \
        do { \
                struct td_attrs _attrs = (attrs); \
                struct td_type _results[8]; \
                refusal_of = (struct td_refusal){ .code = TD_OK }; \
                ck_assert_int_eq(td_infer((op), &_attrs, (n), (args), _results, &refusal_of), \
                                 (error)); \
                ck_assert_int_eq(refusal_of.code, (error)); \
                ck_assert_msg( \
                        strncmp(refusal_of.message, td_op_name(op), strlen(td_op_name(op))) == 0, \
                        "%s", refusal_of.message); \
        } while (0)

static struct td_type *two(struct td_type a, struct td_type b)
{
        static struct td_type args[2];

        args[0] = a;
        args[1] = b;
        return args;
}

static struct td_type *one(struct td_type a)
{
        return two(a, a);
}

START_TEST(elementwise)
{
        struct td_type three[3] = { type_of(TD_BOOL, 1, 4), type_of(TD_INT64, 2, 3, 1),
                                    type_of(TD_FLOAT32, 0) };

        ck_infer(TD_OP_ADD, none, 2, two(type_of(TD_BOOL, 2, 3, 1), type_of(TD_BOOL, 1, 4)),
                 type_of(TD_BOOL, 2, 3, 4));
        ck_infer(TD_OP_ADD, none, 2, two(type_of(TD_INT64, 1, 1), type_of(TD_FLOAT32, 1, 0)),
                 type_of(TD_FLOAT64, 1, 0));
        ck_infer(TD_OP_DIVIDE, none, 2, two(type_of(TD_INT64, 0), type_of(TD_INT64, 0)),
                 type_of(TD_FLOAT64, 0));
        ck_infer(TD_OP_DIVIDE, none, 2, two(type_of(TD_BOOL, 0), type_of(TD_FLOAT32, 1, 2)),
                 type_of(TD_FLOAT32, 1, 2));
        ck_infer(TD_OP_SQRT, none, 1, one(type_of(TD_BOOL, 1, 2)), type_of(TD_FLOAT64, 1, 2));
        ck_infer(TD_OP_EXP, none, 1, one(type_of(TD_FLOAT32, 1, 2)), type_of(TD_FLOAT32, 1, 2));
        ck_infer(TD_OP_ABS, none, 1, one(type_of(TD_BOOL, 1, 2)), type_of(TD_BOOL, 1, 2));
        ck_infer(TD_OP_LESS, none, 2, two(type_of(TD_INT64, 1, 3), type_of(TD_FLOAT64, 2, 2, 3)),
                 type_of(TD_BOOL, 2, 2, 3));
        ck_infer(TD_OP_WHERE, none, 3, three, type_of(TD_FLOAT64, 2, 3, 4));
        ck_infer(TD_OP_ASTYPE, attrs_dtype(none, TD_BOOL), 1, one(type_of(TD_FLOAT64, 2, 2, 0)),
                 type_of(TD_BOOL, 2, 2, 0));

        ck_refuse(TD_OP_ADD, none, 2, two(type_of(TD_INT64, 2, 2, 3), type_of(TD_INT64, 1, 4)),
                  TD_E_SHAPE_MISMATCH);
        ck_assert_str_eq(refusal_of.message,
                         "add: shapes (2, 3) and (4,) cannot be broadcast together");
        ck_refuse(TD_OP_SUBTRACT, none, 2, two(type_of(TD_BOOL, 0), type_of(TD_BOOL, 0)),
                  TD_E_UNSUPPORTED_DTYPE);
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "bool and bool"));
        ck_refuse(TD_OP_NEGATIVE, none, 1, one(type_of(TD_BOOL, 0)), TD_E_UNSUPPORTED_DTYPE);
        three[0].dtype = TD_INT64;
        ck_refuse(TD_OP_WHERE, none, 3, three, TD_E_UNSUPPORTED_DTYPE);
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "int64"));
        three[0] = type_of(TD_BOOL, 1, 5);
        three[2] = type_of(TD_INT64, 1, 4);
        ck_refuse(TD_OP_WHERE, none, 3, three, TD_E_SHAPE_MISMATCH);
        /* broadcasting can ask for more than there is */
        three[0] = (struct td_type){ TD_INT64, 2, { 1, INT64_MAX / 16 } };
        three[1] = (struct td_type){ TD_INT64, 2, { INT64_MAX / 16, 1 } };
        ck_refuse(TD_OP_ADD, none, 2, three, TD_E_BAD_SHAPE);
}
END_TEST

START_TEST(attributes_and_arguments_are_counted)
{
        struct td_type args[3] = { type_of(TD_INT64, 1, 2), type_of(TD_INT64, 1, 2),
                                   type_of(TD_INT64, 1, 2) };
        struct td_attrs attrs = attrs_shape(1, 2);

        ck_refuse(TD_OP_ADD, none, 3, args, TD_E_BAD_PROGRAM);
        ck_assert_str_eq(refusal_of.message, "add: takes 2 arguments, not 3");
        ck_refuse(TD_OP_EXP, none, 0, args, TD_E_BAD_PROGRAM);
        ck_refuse(TD_OP_ADD, attrs, 2, args, TD_E_BAD_PROGRAM);
        ck_assert_str_eq(refusal_of.message, "add: takes no attribute 'shape'");
        ck_refuse(TD_OP_ZEROS, attrs, 0, NULL, TD_E_BAD_PROGRAM);
        ck_assert_str_eq(refusal_of.message, "zeros: attribute 'dtype' is missing");
        ck_refuse(TD_OP_ZEROS, attrs_dtype(attrs, TD_N_DTYPES), 0, NULL, TD_E_UNSUPPORTED_DTYPE);
        attrs = attrs_dtype(attrs, TD_BOOL);
        attrs.n_shape = 255;
        ck_refuse(TD_OP_ZEROS, attrs, 0, NULL, TD_E_RANK_LIMIT);
        attrs = attrs_axes(0);
        attrs.n_axes = 200;
        ck_refuse(TD_OP_SUM, attrs, 1, args, TD_E_RANK_LIMIT);
        ck_refuse(TD_OP_LOOP, none, 1, args, TD_E_BAD_PROGRAM);
        ck_assert_int_eq(td_infer((enum td_op)TD_N_OPS, &none, 0, NULL, args, &refusal_of),
                         TD_E_UNKNOWN_OP);
}
END_TEST

START_TEST(views)
{
        struct td_attrs slice = {
                .set = TD_ATTR_START | TD_ATTR_SHAPE | TD_ATTR_STEP,
                .n_start = 2,
                .n_shape = 2,
                .n_step = 2,
                .start = { 4, 0 },
                .shape = { 3, 2 },
                .step = { -2, INT64_MAX / 2 },
        };
        struct td_type wide = { TD_BOOL, 2, { 5, INT64_MAX / 8 } };

        ck_infer(TD_OP_PERMUTE_DIMS, attrs_axes(3, -1, 0, 1), 1, one(type_of(TD_BOOL, 3, 2, 3, 4)),
                 type_of(TD_BOOL, 3, 4, 2, 3));
        ck_refuse(TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, -1), 1, one(type_of(TD_BOOL, 2, 2, 3)),
                  TD_E_BAD_AXIS);
        ck_refuse(TD_OP_PERMUTE_DIMS, attrs_axes(2, 0, 2), 1, one(type_of(TD_BOOL, 2, 2, 3)),
                  TD_E_BAD_AXIS);
        ck_refuse(TD_OP_PERMUTE_DIMS, attrs_axes(1, 0), 1, one(type_of(TD_BOOL, 2, 2, 3)),
                  TD_E_BAD_AXIS);

        ck_refuse(TD_OP_SLICE, slice, 1, one(wide), TD_E_BAD_VIEW);
        slice.step[1] = INT64_MAX / 8 - 1;
        ck_infer(TD_OP_SLICE, slice, 1, one(wide), type_of(TD_BOOL, 2, 3, 2));
        ck_infer(TD_OP_SLICE, attrs_slice(9, 4, -3), 1, one(type_of(TD_INT64, 1, 10)),
                 type_of(TD_INT64, 1, 4));
        ck_refuse(TD_OP_SLICE, attrs_slice(9, 5, -3), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_VIEW);
        ck_refuse(TD_OP_SLICE, attrs_slice(8, 2, INT64_MIN), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_VIEW);
        ck_infer(TD_OP_SLICE, attrs_slice(8, 1, INT64_MIN), 1, one(type_of(TD_INT64, 1, 10)),
                 type_of(TD_INT64, 1, 1));
        ck_refuse(TD_OP_SLICE, attrs_slice(10, 1, 1), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_VIEW);
        ck_refuse(TD_OP_SLICE, attrs_slice(-1, 1, 1), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_VIEW);
        ck_infer(TD_OP_SLICE, attrs_slice(10, 0, 1), 1, one(type_of(TD_INT64, 1, 10)),
                 type_of(TD_INT64, 1, 0));
        ck_refuse(TD_OP_SLICE, attrs_slice(11, 0, 1), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_VIEW);
        ck_refuse(TD_OP_SLICE, attrs_slice(0, 1, 0), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_VALUE);
        ck_refuse(TD_OP_SLICE, attrs_slice(0, -1, 1), 1, one(type_of(TD_INT64, 1, 10)),
                  TD_E_BAD_SHAPE);
        ck_refuse(TD_OP_SLICE, attrs_slice(0, 1, 1), 1, one(type_of(TD_INT64, 2, 10, 2)),
                  TD_E_BAD_PROGRAM);
}
END_TEST

START_TEST(shapes)
{
        ck_infer(TD_OP_RESHAPE, attrs_shape(2, -1, 4), 1, one(type_of(TD_INT64, 2, 6, 2)),
                 type_of(TD_INT64, 2, 3, 4));
        ck_infer(TD_OP_RESHAPE, attrs_shape(0), 1, one(type_of(TD_INT64, 2, 1, 1)),
                 type_of(TD_INT64, 0));
        ck_infer(TD_OP_RESHAPE, attrs_shape(2, 0, 9), 1, one(type_of(TD_INT64, 1, 0)),
                 type_of(TD_INT64, 2, 0, 9));
        ck_infer(TD_OP_RESHAPE, attrs_shape(2, -1, 9), 1, one(type_of(TD_INT64, 1, 0)),
                 type_of(TD_INT64, 2, 0, 9));
        ck_refuse(TD_OP_RESHAPE, attrs_shape(2, -1, 0), 1, one(type_of(TD_INT64, 1, 0)),
                  TD_E_SHAPE_MISMATCH);
        ck_refuse(TD_OP_RESHAPE, attrs_shape(2, -1, 5), 1, one(type_of(TD_INT64, 1, 12)),
                  TD_E_SHAPE_MISMATCH);
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "shapes (12,) and (-1, 5)"));
        ck_refuse(TD_OP_RESHAPE, attrs_shape(2, -1, -1), 1, one(type_of(TD_INT64, 1, 12)),
                  TD_E_BAD_SHAPE);
        ck_refuse(TD_OP_RESHAPE, attrs_shape(2, 3, 5), 1, one(type_of(TD_INT64, 1, 12)),
                  TD_E_SHAPE_MISMATCH);

        ck_infer(TD_OP_BROADCAST_TO, attrs_shape(3, 2, 0, 4), 1, one(type_of(TD_BOOL, 2, 1, 4)),
                 type_of(TD_BOOL, 3, 2, 0, 4));
        ck_refuse(TD_OP_BROADCAST_TO, attrs_shape(1, 4), 1, one(type_of(TD_BOOL, 2, 1, 4)),
                  TD_E_SHAPE_MISMATCH);
        ck_refuse(TD_OP_BROADCAST_TO, attrs_shape(1, 1), 1, one(type_of(TD_BOOL, 1, 4)),
                  TD_E_SHAPE_MISMATCH);
}
END_TEST

START_TEST(reductions)
{
        struct td_attrs keep = { .set = TD_ATTR_KEEPDIMS, .keepdims = true };
        struct td_attrs last = attrs_axes(1, -1);

        ck_infer(TD_OP_SUM, none, 1, one(type_of(TD_BOOL, 2, 2, 3)), type_of(TD_INT64, 0));
        ck_infer(TD_OP_SUM, keep, 1, one(type_of(TD_FLOAT32, 2, 2, 3)),
                 type_of(TD_FLOAT32, 2, 1, 1));
        ck_infer(TD_OP_MEAN, last, 1, one(type_of(TD_INT64, 2, 2, 3)), type_of(TD_FLOAT64, 1, 2));
        ck_infer(TD_OP_MEAN, none, 1, one(type_of(TD_FLOAT32, 1, 0)), type_of(TD_FLOAT32, 0));
        ck_infer(TD_OP_MAX, attrs_axes(2, 2, 0), 1, one(type_of(TD_BOOL, 3, 2, 3, 4)),
                 type_of(TD_BOOL, 1, 3));
        ck_infer(TD_OP_MAX, attrs_axes(0), 1, one(type_of(TD_INT64, 2, 2, 3)),
                 type_of(TD_INT64, 2, 2, 3));
        ck_infer(TD_OP_MAX, last, 1, one(type_of(TD_INT64, 2, 0, 3)), type_of(TD_INT64, 1, 0));
        ck_refuse(TD_OP_MAX, last, 1, one(type_of(TD_INT64, 2, 3, 0)), TD_E_BAD_VALUE);
        ck_refuse(TD_OP_MIN, none, 1, one(type_of(TD_INT64, 1, 0)), TD_E_BAD_VALUE);
        ck_refuse(TD_OP_SUM, attrs_axes(1, 2), 1, one(type_of(TD_INT64, 2, 3, 3)), TD_E_BAD_AXIS);
        ck_refuse(TD_OP_SUM, attrs_axes(2, 1, -1), 1, one(type_of(TD_INT64, 2, 3, 3)),
                  TD_E_BAD_AXIS);
        ck_refuse(TD_OP_SUM, attrs_axes(1, 0), 1, one(type_of(TD_INT64, 0)), TD_E_BAD_AXIS);
        ck_assert_str_eq(refusal_of.message, "sum: axis 0 is out of range for 0 dimensions");
        ck_infer(TD_OP_SUM, none, 1, one(type_of(TD_INT8, 1, 3)), type_of(TD_INT64, 0));
        ck_infer(TD_OP_PROD, none, 1, one(type_of(TD_UINT16, 1, 3)), type_of(TD_UINT64, 0));
        ck_infer(TD_OP_VAR, none, 1, one(type_of(TD_COMPLEX64, 1, 3)), type_of(TD_FLOAT32, 0));
        ck_infer(TD_OP_STD, none, 1, one(type_of(TD_BOOL, 1, 3)), type_of(TD_FLOAT64, 0));
        ck_infer(TD_OP_ANY, last, 1, one(type_of(TD_COMPLEX64, 2, 3, 4)), type_of(TD_BOOL, 1, 3));
        ck_infer(TD_OP_COUNT_NONZERO, none, 1, one(type_of(TD_INT8, 1, 0)), type_of(TD_INT64, 0));
        ck_infer(TD_OP_ARGMAX, last, 1, one(type_of(TD_INT8, 2, 3, 4)), type_of(TD_INT64, 1, 3));
        ck_refuse(TD_OP_ARGMAX, attrs_axes(2, 0, 1), 1, one(type_of(TD_INT8, 2, 3, 4)),
                  TD_E_BAD_AXIS);
        ck_refuse(TD_OP_ARGMIN, none, 1, one(type_of(TD_INT8, 1, 0)), TD_E_BAD_VALUE);
        ck_refuse(TD_OP_MAX, none, 1, one(type_of(TD_COMPLEX64, 1, 3)), TD_E_UNSUPPORTED_DTYPE);
        ck_infer(TD_OP_CUMULATIVE_SUM, last, 1, one(type_of(TD_UINT8, 2, 3, 4)),
                 type_of(TD_UINT64, 2, 3, 4));
        ck_refuse(TD_OP_CUMULATIVE_SUM, attrs_axes(1, 0), 1, one(type_of(TD_INT8, 0)),
                  TD_E_BAD_AXIS);
}
END_TEST

START_TEST(matmul)
{
        unsigned f = TD_FLOAT64;

        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 1, 3), type_of(f, 1, 3)), type_of(f, 0));
        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 1, 3), type_of(f, 2, 3, 4)),
                 type_of(f, 1, 4));
        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 2, 2, 3), type_of(f, 1, 3)),
                 type_of(f, 1, 2));
        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 2, 2, 3), type_of(f, 2, 3, 4)),
                 type_of(f, 2, 2, 4));
        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 3, 5, 2, 3), type_of(f, 4, 7, 1, 3, 4)),
                 type_of(f, 4, 7, 5, 2, 4));
        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 1, 3), type_of(f, 3, 6, 3, 4)),
                 type_of(f, 2, 6, 4));
        ck_infer(TD_OP_MATMUL, none, 2, two(type_of(f, 3, 6, 4, 3), type_of(f, 1, 3)),
                 type_of(f, 2, 6, 4));
        ck_infer(TD_OP_MATMUL, none, 2,
                 two(type_of(TD_INT64, 2, 2, 0), type_of(TD_FLOAT32, 2, 0, 4)),
                 type_of(f, 2, 2, 4));
        ck_refuse(TD_OP_MATMUL, none, 2, two(type_of(f, 2, 2, 3), type_of(f, 2, 4, 5)),
                  TD_E_SHAPE_MISMATCH);
        ck_assert_str_eq(refusal_of.message,
                         "matmul: shapes (2, 3) and (4, 5) do not fit: 3 is not 4");
        ck_refuse(TD_OP_MATMUL, none, 2, two(type_of(f, 3, 2, 2, 3), type_of(f, 3, 3, 3, 5)),
                  TD_E_SHAPE_MISMATCH);
        ck_refuse(TD_OP_MATMUL, none, 2, two(type_of(f, 0), type_of(f, 1, 3)), TD_E_SHAPE_MISMATCH);
        ck_assert_ptr_nonnull(strstr(refusal_of.message, "shapes () and (3,)"));
}
END_TEST

START_TEST(linear_algebra)
{
        unsigned f = TD_FLOAT64;
        struct td_type results[4];
        struct td_attrs rcond = { .set = TD_ATTR_RCOND, .rcond = 1e-9 };

        ck_infer(TD_OP_SOLVE, none, 2, two(type_of(TD_INT64, 2, 3, 3), type_of(TD_BOOL, 1, 3)),
                 type_of(f, 1, 3));
        ck_infer(TD_OP_SOLVE, none, 2, two(type_of(f, 2, 3, 3), type_of(f, 2, 3, 5)),
                 type_of(f, 2, 3, 5));
        ck_infer(TD_OP_SOLVE, none, 2, two(type_of(f, 3, 4, 3, 3), type_of(f, 1, 3)),
                 type_of(f, 2, 4, 3));
        ck_infer(TD_OP_SOLVE, none, 2, two(type_of(f, 4, 2, 1, 3, 3), type_of(f, 3, 4, 3, 5)),
                 type_of(f, 4, 2, 4, 3, 5));
        ck_infer(TD_OP_SOLVE, none, 2, two(type_of(TD_FLOAT32, 2, 0, 0), type_of(TD_FLOAT32, 1, 0)),
                 type_of(TD_FLOAT32, 1, 0));
        ck_refuse(TD_OP_SOLVE, none, 2, two(type_of(f, 2, 3, 4), type_of(f, 1, 3)),
                  TD_E_SHAPE_MISMATCH);
        ck_refuse(TD_OP_SOLVE, none, 2, two(type_of(f, 2, 3, 3), type_of(f, 1, 4)),
                  TD_E_SHAPE_MISMATCH);
        ck_refuse(TD_OP_SOLVE, none, 2, two(type_of(f, 2, 3, 3), type_of(f, 0)),
                  TD_E_SHAPE_MISMATCH);
        ck_infer(TD_OP_CHOLESKY, none, 1, one(type_of(TD_INT64, 3, 2, 3, 3)),
                 type_of(f, 3, 2, 3, 3));
        ck_refuse(TD_OP_CHOLESKY, none, 1, one(type_of(f, 1, 3)), TD_E_SHAPE_MISMATCH);

        ck_assert_int_eq(td_infer(TD_OP_LSTSQ, &rcond, 2,
                                  two(type_of(f, 2, 16, 7), type_of(f, 2, 16, 2)), results, NULL),
                         TD_OK);
        ck_assert(td_type_same(&results[0], &(struct td_type){ TD_FLOAT64, 2, { 7, 2 } }));
        ck_assert(td_type_same(&results[1], &(struct td_type){ TD_FLOAT64, 1, { 2 } }));
        ck_assert(td_type_same(&results[2], &(struct td_type){ TD_INT64, 0, { 0 } }));
        ck_assert(td_type_same(&results[3], &(struct td_type){ TD_FLOAT64, 1, { 7 } }));
        ck_assert_int_eq(td_infer(TD_OP_LSTSQ, &none, 2, two(type_of(f, 2, 3, 7), type_of(f, 1, 3)),
                                  results, NULL),
                         TD_OK);
        ck_assert(td_type_same(&results[0], &(struct td_type){ TD_FLOAT64, 1, { 7 } }));
        ck_assert(td_type_same(&results[1], &(struct td_type){ TD_FLOAT64, 0, { 0 } }));
        ck_assert(td_type_same(&results[3], &(struct td_type){ TD_FLOAT64, 1, { 3 } }));
        ck_refuse(TD_OP_LSTSQ, none, 2, two(type_of(f, 2, 3, 7), type_of(f, 1, 7)),
                  TD_E_SHAPE_MISMATCH);
        ck_assert_int_eq(td_infer(TD_OP_LSTSQ, &none, 2,
                                  two(type_of(f, 3, 2, 3, 7), type_of(f, 4, 5, 1, 3, 4)), results,
                                  NULL),
                         TD_OK);
        ck_assert(td_type_same(&results[0], &(struct td_type){ TD_FLOAT64, 4, { 5, 2, 7, 4 } }));
        ck_assert(td_type_same(&results[1], &(struct td_type){ TD_FLOAT64, 3, { 5, 2, 4 } }));
        ck_assert(td_type_same(&results[2], &(struct td_type){ TD_INT64, 2, { 5, 2 } }));
        ck_assert(td_type_same(&results[3], &(struct td_type){ TD_FLOAT64, 3, { 5, 2, 3 } }));
        ck_refuse(TD_OP_LSTSQ, none, 2, two(type_of(f, 3, 2, 3, 7), type_of(f, 3, 4, 3, 1)),
                  TD_E_SHAPE_MISMATCH);
}
END_TEST

START_TEST(creation)
{
        unsigned f = TD_FLOAT64;

        ck_infer(TD_OP_FULL, attrs_value(attrs_dtype(attrs_shape(2, 3, 0), TD_BOOL), 1), 0, NULL,
                 type_of(TD_BOOL, 2, 3, 0));
        ck_refuse(TD_OP_ONES, attrs_dtype(attrs_shape(2, 3, -1), f), 0, NULL, TD_E_BAD_SHAPE);
        ck_infer(TD_OP_EYE, attrs_dtype(attrs_shape(2, 3, 4), f), 0, NULL, type_of(f, 2, 3, 4));
        ck_refuse(TD_OP_EYE, attrs_dtype(attrs_shape(1, 3), f), 0, NULL, TD_E_BAD_SHAPE);
}
END_TEST

START_TEST(arange)
{
        unsigned f = TD_FLOAT64, i = TD_INT64;

        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, 10, 3), i), 0, NULL, type_of(i, 1, 4));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, 9, 3), f), 0, NULL, type_of(f, 1, 3));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_i(5, 0, -2), i), 0, NULL, type_of(i, 1, 3));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_i(5, 5, -2), i), 0, NULL, type_of(i, 1, 0));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_i(INT64_MIN, INT64_MAX, INT64_MAX), i), 0,
                 NULL, type_of(i, 1, 3));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_i(INT64_MAX, INT64_MIN, INT64_MIN), i), 0,
                 NULL, type_of(i, 1, 2));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, 1, 0.1), f), 0, NULL,
                 type_of(f, 1, 10));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_d(1, 1.3, 0.1), f), 0, NULL,
                 type_of(f, 1, 4)); /* as numpy */
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, -5, 0.5), TD_FLOAT32), 0, NULL,
                 type_of(TD_FLOAT32, 1, 0));
        ck_infer(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, 1e-300, 1e300), f), 0, NULL,
                 type_of(f, 1, 1));
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_i(INT64_MIN, INT64_MAX, 1), i), 0, NULL,
                  TD_E_BAD_VALUE);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, INT64_MAX, 1), i), 0, NULL,
                  TD_E_BAD_SHAPE);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, 5, 0), i), 0, NULL, TD_E_BAD_VALUE);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, 5, 0), f), 0, NULL, TD_E_BAD_VALUE);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, __builtin_inf(), 1), f), 0, NULL,
                  TD_E_BAD_VALUE);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, __builtin_nan(""), 1), f), 0, NULL,
                  TD_E_BAD_VALUE);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_d(0, 5, 0.5), i), 0, NULL,
                  TD_E_DTYPE_MISMATCH);
        ck_refuse(TD_OP_ARANGE, attrs_dtype(attrs_range_i(0, 2, 1), TD_BOOL), 0, NULL,
                  TD_E_UNSUPPORTED_DTYPE);
}
END_TEST

/*
 * Random bytes in every field: whatever is said, nothing outside is read or written, and what
 * passes is bounded.
 */
START_TEST(random_operations)
{
        uint64_t state = 4101842887655102017ULL;
        unsigned n_passed = 0;

        for (int i = 0; i < 200000; i++) {
                struct td_attrs attrs;
                struct td_type args[3], results[4];
                enum td_op op;

                for (size_t k = 0; k < sizeof(attrs); k++) {
                        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                        ((uint8_t *)&attrs)[k] = (uint8_t)(state >> 56);
                }
                for (unsigned bit = 0; bit < TD_N_ATTRS; bit++)
                        if (td_attr_info(bit)->form == TD_FORM_BOOL)
                                *(bool *)td_attr_field(&attrs, bit) = state >> bit & 1;
                attrs.value.kind = attrs.n_axes & 4 ? TD_KIND_FLOAT : TD_KIND_INT;
                for (int k = 0; k < 3; k++)
                        attrs.range[k].kind =
                                attrs.n_shape & (1 << k) ? TD_KIND_FLOAT : TD_KIND_INT;
                op = (enum td_op)(state % TD_N_OPS);
                if (state >> 40 & 1)
                        attrs.set = td_op_info(op)->attrs;
                if (state >> 41 & 1) {
                        attrs.dtype %= TD_N_DTYPES;
                        attrs.n_shape %= 3;
                        attrs.n_axes %= 3;
                        attrs.n_start %= 3;
                        attrs.n_step %= 3;
                        for (int k = 0; k < 3; k++) {
                                attrs.shape[k] = attrs.shape[k] % 4 + (attrs.shape[k] & 3);
                                attrs.axes[k] %= 3;
                        }
                }
                for (int k = 0; k < 3; k++)
                        args[k] = type_of((unsigned)(state >> (8 + k) & 3),
                                          (unsigned)(state >> (12 + 2 * k) & 3),
                                          (int)(state >> 20 & 3), (int)(state >> 22 & 3), 2);
                if (td_infer(op, &attrs, td_op_info(op)->min_args, args, results, &refusal_of))
                        continue;
                n_passed++;
                for (int k = 0; k < td_op_info(op)->n_results; k++)
                        if (td_type_is_known(&results[k]))
                                ck_assert_int_eq(td_check_type(&results[k], NULL), TD_OK);
                        else
                                ck_assert(td_op_is_counted(op));
        }
        ck_assert_uint_gt(n_passed, 10000);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("infer_op");
        TCase *tcase = tcase_create("infer_op");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, names_are_found);
        tcase_add_test(tcase, promotion_is_numpys);
        tcase_add_test(tcase, types_are_bounded);
        tcase_add_test(tcase, elementwise);
        tcase_add_test(tcase, attributes_and_arguments_are_counted);
        tcase_add_test(tcase, views);
        tcase_add_test(tcase, shapes);
        tcase_add_test(tcase, reductions);
        tcase_add_test(tcase, matmul);
        tcase_add_test(tcase, linear_algebra);
        tcase_add_test(tcase, creation);
        tcase_add_test(tcase, arange);
        tcase_add_test(tcase, random_operations);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
