/* SPDX-License-Identifier: MIT */
/*
 * Inference of element-wise operations
 *
 * A rule says which kinds of dtypes an operation takes, in which dtype it computes, and what dtype
 * the result has: one row for each category of the standard, and what NumPy 2 adds to it. Operands
 * are promoted first; the kind of what they promote to is what counts. See infer.h.
 */
#pragma once

#include "tensord/infer_call.h"

enum td_computing {
        TD_COMPUTING_PROMOTED, /* in the dtype that the operands promote to */
        TD_COMPUTING_FLOATING, /* in that, integers and bool in float64 */
        TD_COMPUTING_COMPLEX,  /* in that, as the parts of complex numbers */
        TD_COMPUTING_BOOL,     /* in bool: whether operands differ from 0 */
};

enum td_resulting {
        TD_RESULTING_SAME, /* the dtype computed in */
        TD_RESULTING_BOOL,
        TD_RESULTING_REAL, /* of complex the dtype of its parts */
};

#define TD_KINDS_BOOL (1u << TD_KIND_BOOL)
#define TD_KINDS_INTEGER (1u << TD_KIND_INT | 1u << TD_KIND_UINT)
#define TD_KINDS_REAL (TD_KINDS_INTEGER | 1u << TD_KIND_FLOAT)
#define TD_KINDS_NUMERIC (TD_KINDS_REAL | 1u << TD_KIND_COMPLEX)
#define TD_KINDS_ANY (TD_KINDS_NUMERIC | TD_KINDS_BOOL)

struct td_category {
        unsigned kinds; /* that are taken */
        enum td_computing computing;
        enum td_resulting resulting;
        const char *takes; /* for messages */
};

/* Of a rule of element-wise operations (where and astype have functions of their own), else NULL.
 */
static inline const struct td_category *td_category(enum td_rule rule)
{
        static const struct td_category rows[] = {
                [TD_RULE_ANY] = { TD_KINDS_ANY, TD_COMPUTING_PROMOTED, TD_RESULTING_SAME, "all" },
                [TD_RULE_NUMERIC] = { TD_KINDS_NUMERIC, TD_COMPUTING_PROMOTED, TD_RESULTING_SAME,
                                      "numbers" },
                [TD_RULE_REAL] = { TD_KINDS_REAL, TD_COMPUTING_PROMOTED, TD_RESULTING_SAME,
                                   "real numbers" },
                [TD_RULE_REAL_OR_BOOL] = { TD_KINDS_REAL | TD_KINDS_BOOL, TD_COMPUTING_PROMOTED,
                                           TD_RESULTING_SAME, "real numbers and bool" },
                [TD_RULE_INTEGER] = { TD_KINDS_INTEGER, TD_COMPUTING_PROMOTED, TD_RESULTING_SAME,
                                      "integers" },
                [TD_RULE_INTEGER_OR_BOOL] = { TD_KINDS_INTEGER | TD_KINDS_BOOL,
                                              TD_COMPUTING_PROMOTED, TD_RESULTING_SAME,
                                              "integers and bool" },
                [TD_RULE_FLOATING] = { TD_KINDS_ANY, TD_COMPUTING_FLOATING, TD_RESULTING_SAME,
                                       "all" },
                [TD_RULE_REAL_FLOATING] = { TD_KINDS_REAL | TD_KINDS_BOOL, TD_COMPUTING_FLOATING,
                                            TD_RESULTING_SAME, "real numbers" },
                [TD_RULE_SIGN_BIT] = { TD_KINDS_REAL | TD_KINDS_BOOL, TD_COMPUTING_FLOATING,
                                       TD_RESULTING_BOOL, "real numbers" },
                [TD_RULE_COMPLEX] = { TD_KINDS_REAL | TD_KINDS_BOOL, TD_COMPUTING_COMPLEX,
                                      TD_RESULTING_SAME, "real numbers" },
                [TD_RULE_PART] = { TD_KINDS_ANY, TD_COMPUTING_PROMOTED, TD_RESULTING_REAL, "all" },
                [TD_RULE_PREDICATE] = { TD_KINDS_ANY, TD_COMPUTING_PROMOTED, TD_RESULTING_BOOL,
                                        "all" },
                [TD_RULE_ORDER] = { TD_KINDS_REAL | TD_KINDS_BOOL, TD_COMPUTING_PROMOTED,
                                    TD_RESULTING_BOOL, "real numbers and bool" },
                [TD_RULE_LOGICAL] = { TD_KINDS_ANY, TD_COMPUTING_BOOL, TD_RESULTING_BOOL, "all" },
        };

        return rule < sizeof(rows) / sizeof(rows[0]) && rows[rule].kinds ? &rows[rule] : NULL;
}

/* The dtype that an element-wise operation computes in; operands are converted to it. */
static inline unsigned td_computed_in(enum td_rule rule, uint32_t n_args,
                                      const struct td_type *args)
{
        unsigned dtype = args[0].dtype;

        for (uint32_t i = 1; i < n_args; i++)
                dtype = td_promote(dtype, args[i].dtype);
        switch (td_category(rule)->computing) {
        case TD_COMPUTING_FLOATING:
                return td_promote_to_float(dtype);
        case TD_COMPUTING_COMPLEX:
                return td_promote(td_promote_to_float(dtype), TD_COMPLEX64);
        case TD_COMPUTING_BOOL:
                return TD_BOOL;
        case TD_COMPUTING_PROMOTED:
                break;
        }
        return dtype;
}

static inline int td_infer_broadcast(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = call->args;

        if (td_broadcast_shapes(call->n_args, a, result))
                return TD_OK;
        if (call->n_args == 2)
                return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                                 "%s: shapes %s and %s cannot be broadcast together", call->name,
                                 td_type_text(&a[0]).s, td_type_text(&a[1]).s);
        return td_refuse(call->refusal, TD_E_SHAPE_MISMATCH,
                         "%s: shapes %s, %s and %s cannot be broadcast together", call->name,
                         td_type_text(&a[0]).s, td_type_text(&a[1]).s, td_type_text(&a[2]).s);
}

/* "is not defined for bool and int8" */
static inline int td_refuse_dtypes(const struct td_call *call, const char *takes)
{
        const struct td_type *a = call->args;
        const char *name = td_dtype_name(a[0].dtype);

        if (call->n_args == 1)
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: is not defined for %s; it takes %s", call->name, name, takes);
        if (call->n_args == 2)
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: is not defined for %s and %s; it takes %s", call->name, name,
                                 td_dtype_name(a[1].dtype), takes);
        return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                         "%s: is not defined for %s, %s and %s; it takes %s", call->name, name,
                         td_dtype_name(a[1].dtype), td_dtype_name(a[2].dtype), takes);
}

static inline int td_infer_elementwise(const struct td_call *call, enum td_rule rule,
                                       struct td_type *result)
{
        const struct td_category *category = td_category(rule);
        unsigned dtype = call->args[0].dtype;

        for (uint32_t i = 1; i < call->n_args; i++)
                dtype = td_promote(dtype, call->args[i].dtype);
        if (!(category->kinds >> td_dtype_kind(dtype) & 1))
                return td_refuse_dtypes(call, category->takes);
        dtype = td_computed_in(rule, call->n_args, call->args);
        switch (category->resulting) {
        case TD_RESULTING_BOOL:
                dtype = TD_BOOL;
                break;
        case TD_RESULTING_REAL:
                dtype = td_dtype_real(dtype);
                break;
        case TD_RESULTING_SAME:
                break;
        }
        result->dtype = (uint8_t)dtype;
        return td_infer_broadcast(call, result);
}

static inline int td_infer_where(const struct td_call *call, struct td_type *result)
{
        const struct td_type *a = call->args;

        if (a[0].dtype != TD_BOOL)
                return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE,
                                 "%s: the condition is %s; it must be bool (of %s and %s)",
                                 call->name, td_dtype_name(a[0].dtype), td_dtype_name(a[1].dtype),
                                 td_dtype_name(a[2].dtype));
        result->dtype = (uint8_t)td_promote(a[1].dtype, a[2].dtype);
        return td_infer_broadcast(call, result);
}

static inline int td_infer_astype(const struct td_call *call, struct td_type *result)
{
        *result = call->args[0];
        result->dtype = call->attrs->dtype;
        return TD_OK;
}
