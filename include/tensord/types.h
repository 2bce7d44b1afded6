/* SPDX-License-Identifier: MIT */
/*
 * Types
 *
 * The tables of dtypes, operations and errors as C, and the arithmetic of dtypes and shapes that
 * everything else rests on. Pure functions over plain structs: no allocation, no state, static
 * inline.
 *
 * A struct td_type that passed td_check_type() has at most TD_NDIM_MAX extents, none negative, and
 * the product of those that are not 0, times the item size, fits an int64_t. So sizes and C strides
 * of it never overflow, those of empty shapes included.
 */
#pragma once

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tensord/attrs.h"
#include "tensord/program.h"

struct td_refusal {
        enum td_error_code code;
        int32_t node; /* index in its block, at last in the outermost; -1: none is to blame */
        char message[480];
};

/* Fill in the refusal (which may be NULL) and return its code. */
__attribute__((format(printf, 3, 4)))
static inline int td_refuse(struct td_refusal *refusal, enum td_error_code code,
                            const char *format, ...)
{
        va_list args;

        if (!refusal)
                return code;
        refusal->code = code;
        refusal->node = -1;
        va_start(args, format);
        vsnprintf(refusal->message, sizeof(refusal->message), format, args);
        va_end(args);
        return code;
}

/* Put words, at most 63 bytes of them, in front of the sentence. */
__attribute__((format(printf, 2, 3)))
static inline void td_refusal_prefix(struct td_refusal *refusal, const char *format, ...)
{
        const size_t last = sizeof(refusal->message) - 1;
        char prefix[64];
        size_t n;
        va_list args;

        va_start(args, format);
        vsnprintf(prefix, sizeof(prefix), format, args);
        va_end(args);
        n = strlen(prefix);
        memmove(refusal->message + n, refusal->message, last - n);
        memcpy(refusal->message, prefix, n);
        refusal->message[last] = '\0';
}

/*
 * A refusal of a node in a body becomes one of the loop, whose sentence says which node it was:
 * "loop: node 2 of its body: add: ...". The number of the loop's own node is the caller's to say.
 */
static inline void td_refuse_body(struct td_refusal *refusal, bool is_while)
{
        if (!refusal || refusal->node < 0)
                return;
        td_refusal_prefix(refusal, "%s: node %" PRId32 " of its body: ",
                          is_while ? "while" : "loop", refusal->node);
        refusal->node = -1;
}

/* ---- dtypes ---- */

struct td_dtype_info {
        const char *name;
        enum td_kind kind;
        uint8_t size;    /* bytes of an element */
        const char *npy; /* descriptor in an .npy header */
};

static inline const struct td_dtype_info *td_dtype_info(unsigned dtype)
{
        static const struct td_dtype_info rows[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) { name, TD_KIND_##kind, size, npy },
#include "tensord/dtypes.def"
#undef TD_DTYPE
        };

        return &rows[dtype];
}

static inline const char *td_dtype_name(unsigned dtype)
{
        return dtype < TD_N_DTYPES ? td_dtype_info(dtype)->name : "no dtype";
}

static inline int64_t td_dtype_size(unsigned dtype)
{
        return td_dtype_info(dtype)->size;
}

static inline enum td_kind td_dtype_kind(unsigned dtype)
{
        return td_dtype_info(dtype)->kind;
}

static inline bool td_dtype_is_float(unsigned dtype)
{
        return td_dtype_kind(dtype) == TD_KIND_FLOAT;
}

/* The dtype of that name, or -1. */
static inline int td_dtype_find(const char *s, size_t n_bytes)
{
        for (unsigned i = 0; i < TD_N_DTYPES; i++)
                if (td_is_name(td_dtype_info(i)->name, s, n_bytes))
                        return (int)i;
        return -1;
}

/* The dtype of a kind that has that many bytes an element; there is one. */
static inline unsigned td_dtype_of(enum td_kind kind, int64_t size)
{
        unsigned i = 0;

        while (td_dtype_kind(i) != kind || td_dtype_size(i) != size)
                i++;
        return i;
}

/* The narrowest float that holds every value of a dtype of 16 bits, and as good as any beyond. */
static inline unsigned td_float_for(unsigned dtype)
{
        switch (td_dtype_kind(dtype)) {
        case TD_KIND_FLOAT: return dtype;
        case TD_KIND_COMPLEX: return dtype == TD_COMPLEX64 ? TD_FLOAT32 : TD_FLOAT64;
        default: return td_dtype_size(dtype) <= 2 ? TD_FLOAT32 : TD_FLOAT64;
        }
}

/*
 * NumPy 2's promotion: bool gives way; of one kind the wider wins; signed and unsigned meet in the
 * next wider signed one, in float64 where there is none; integers and floats in a float that holds
 * both; complex wins, as wide as the float that belongs to both.
 */
static inline unsigned td_promote(unsigned a, unsigned b)
{
        enum td_kind ka = td_dtype_kind(a), kb = td_dtype_kind(b);
        int64_t sa = td_dtype_size(a), sb = td_dtype_size(b);

        if (a == b || kb == TD_KIND_BOOL)
                return a;
        if (ka == TD_KIND_BOOL)
                return b;
        if (ka == kb)
                return sa > sb ? a : b;
        if (ka > kb)
                return td_promote(b, a);
        if (kb == TD_KIND_UINT) { /* and a is signed */
                if (sb < sa)
                        return a;
                return sb < 8 ? td_dtype_of(TD_KIND_INT, 2 * sb) : TD_FLOAT64;
        }
        a = td_float_for(a) == TD_FLOAT64 || td_float_for(b) == TD_FLOAT64 ? TD_FLOAT64
                                                                           : TD_FLOAT32;
        if (kb == TD_KIND_FLOAT)
                return a;
        return a == TD_FLOAT64 ? TD_COMPLEX128 : TD_COMPLEX64;
}

static inline bool td_dtype_is_complex(unsigned dtype)
{
        return td_dtype_kind(dtype) == TD_KIND_COMPLEX;
}

static inline bool td_dtype_is_integer(unsigned dtype)
{
        return td_dtype_kind(dtype) == TD_KIND_INT || td_dtype_kind(dtype) == TD_KIND_UINT;
}

/* The dtype of the real part: of a complex one its float, of any other itself. */
static inline unsigned td_dtype_real(unsigned dtype)
{
        return td_dtype_is_complex(dtype) ? td_float_for(dtype) : dtype;
}

/*
 * The dtype that dividing or taking a root computes in: floats and complex stay, all else is
 * float64, the default float of the standard.
 */
static inline unsigned td_promote_to_float(unsigned dtype)
{
        return td_dtype_is_float(dtype) || td_dtype_is_complex(dtype) ? dtype : TD_FLOAT64;
}

/* The real part, as a double. */
static inline double td_number_double(const struct td_number *number)
{
        switch (number->kind) {
        case TD_KIND_FLOAT: return number->d;
        case TD_KIND_COMPLEX: return number->z[0];
        case TD_KIND_UINT: return (double)number->u;
        default: return (double)number->i;
        }
}

/* ---- operations ---- */

enum td_rule {
        TD_RULE_ANY, /* categories of element-wise operations, see infer_elementwise.h */
        TD_RULE_NUMERIC,
        TD_RULE_REAL,
        TD_RULE_REAL_OR_BOOL,
        TD_RULE_INTEGER,
        TD_RULE_INTEGER_OR_BOOL,
        TD_RULE_FLOATING,
        TD_RULE_REAL_FLOATING,
        TD_RULE_SIGN_BIT,
        TD_RULE_COMPLEX,
        TD_RULE_PART,
        TD_RULE_PREDICATE,
        TD_RULE_ORDER,
        TD_RULE_LOGICAL,
        TD_RULE_WHERE,
        TD_RULE_ASTYPE,
        TD_RULE_PERMUTE,
        TD_RULE_SLICE,
        TD_RULE_RESHAPE,
        TD_RULE_BROADCAST,
        TD_RULE_CONCAT,
        TD_RULE_TAKE,
        TD_RULE_TAKE_ALONG_AXIS,
        TD_RULE_ASSIGN,
        TD_RULE_PUT,
        TD_RULE_TRIANGLE,
        TD_RULE_SUM,
        TD_RULE_MEAN,
        TD_RULE_VARIANCE,
        TD_RULE_EXTREMUM,
        TD_RULE_ARG_EXTREMUM,
        TD_RULE_TEST,
        TD_RULE_COUNT,
        TD_RULE_SCAN,
        TD_RULE_SEGMENT_SUM,
        TD_RULE_MATMUL,
        TD_RULE_SOLVE,
        TD_RULE_LSTSQ,
        TD_RULE_LU_SOLVE,
        TD_RULE_SQUARE,
        TD_RULE_DET,
        TD_RULE_SLOGDET,
        TD_RULE_QR,
        TD_RULE_SVD,
        TD_RULE_SVDVALS,
        TD_RULE_EIGH,
        TD_RULE_EIGVALSH,
        TD_RULE_EIG,
        TD_RULE_EIGVALS,
        TD_RULE_LU,
        TD_RULE_CREATION,
        TD_RULE_ARANGE,
        TD_RULE_EYE,
        TD_RULE_SORT,
        TD_RULE_TOPK,
        TD_RULE_SEARCHSORTED,
        TD_RULE_ISIN,
        TD_RULE_NONZERO,
        TD_RULE_MASK,
        TD_RULE_LINSPACE,
        TD_RULE_RANDOM,
        TD_RULE_RANDOM_INTEGERS,
        TD_RULE_RANDOM_PERMUTATION,
        TD_RULE_UNIQUE,
        TD_RULE_USER,
        TD_RULE_LOOP,
};

struct td_op_info {
        const char *name;
        enum td_rule rule;
        uint16_t min_args;
        uint16_t max_args;
        int16_t n_results; /* -1: as many as the loop has */
        uint32_t attrs;    /* mask of enum td_attr */
        bool may_fail;     /* on data */
        const char *doc;
};

static inline const struct td_op_info *td_op_info(unsigned op)
{
        static const struct td_op_info rows[] = {
#define TD_OP(sym, name, rule, min_args, max_args, results, attrs, may_fail, doc) \
        { name, TD_RULE_##rule, min_args, max_args, results, attrs, may_fail, doc },
#include "tensord/ops.def"
#undef TD_OP
        };

        return &rows[op];
}

static inline const char *td_op_name(unsigned op)
{
        return op < TD_N_OPS ? td_op_info(op)->name : "no operation";
}

/* The operation of that name, or -1. */
static inline int td_op_find(const char *s, size_t n_bytes)
{
        for (unsigned i = 0; i < TD_N_OPS; i++)
                if (td_is_name(td_op_info(i)->name, s, n_bytes))
                        return (int)i;
        return -1;
}

/* Those of the operation's attributes that may be left out. */
static inline uint32_t td_op_optional(unsigned op)
{
        uint32_t attrs = td_op_info(op)->attrs, optional = 0;

        for (unsigned i = 0; i < TD_N_ATTRS; i++)
                if (td_attr_info(i)->is_optional)
                        optional |= attrs & 1u << i;
        if (attrs & TD_ATTR_KEEPDIMS)
                optional |= attrs & TD_ATTR_AXES;
        return optional;
}

static inline bool td_op_is_view(unsigned op)
{
        return op == TD_OP_PERMUTE_DIMS || op == TD_OP_SLICE || op == TD_OP_RESHAPE ||
               op == TD_OP_BROADCAST_TO;
}

/* Does the shape of a result depend on data? */
static inline bool td_op_is_counted(unsigned op)
{
        enum td_rule rule = td_op_info(op)->rule;

        return rule == TD_RULE_NONZERO || rule == TD_RULE_MASK || rule == TD_RULE_UNIQUE;
}

/* ---- errors ---- */

struct td_error_info {
        enum td_error_code code;
        const char *name;
        const char *exception; /* the Python class */
        const char *sentence;
};

/* NULL if there is no such error. */
static inline const struct td_error_info *td_error_info(int code)
{
        static const struct td_error_info rows[] = {
#define TD_ERROR(sym, number, name, exception, sentence) { TD_E_##sym, name, #exception, sentence },
#include "tensord/errors.def"
#undef TD_ERROR
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if ((int)rows[i].code == code)
                        return &rows[i];
        return NULL;
}

static inline const char *td_error_name(int code)
{
        const struct td_error_info *info = td_error_info(code);

        return info ? info->name : code == TD_OK ? "ok" : "internal";
}

/* The error of that name, or -1. */
static inline int td_error_find(const char *s, size_t n_bytes)
{
        static const struct {
                const char *name;
                int code;
        } rows[] = {
#define TD_ERROR(sym, number, name, ...) { name, TD_E_##sym },
#include "tensord/errors.def"
#undef TD_ERROR
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (td_is_name(rows[i].name, s, n_bytes))
                        return rows[i].code;
        return -1;
}

/* ---- shapes ---- */

struct td_shape_text {
        char s[TD_NDIM_MAX * 22 + 8];
};

/* "(2, 3)", "(3,)", "()"; lives as long as the expression that it is called in */
static inline struct td_shape_text td_shape_text(unsigned ndim, const int64_t *shape)
{
        struct td_shape_text text;
        size_t n = 0;

        text.s[n++] = '(';
        for (unsigned i = 0; i < ndim && i < TD_NDIM_MAX; i++)
                n += (size_t)snprintf(text.s + n, sizeof(text.s) - n, i ? ", %" PRId64 : "%" PRId64,
                                      shape[i]);
        snprintf(text.s + n, sizeof(text.s) - n,
                 ndim == 1            ? ",)"
                 : ndim > TD_NDIM_MAX ? ", ...)"
                                      : ")");
        return text;
}

static inline struct td_shape_text td_type_text(const struct td_type *type)
{
        return td_shape_text(type->ndim, type->shape);
}

/* Product of extents that are not 0 times the item size: what must fit. false if it does not. */
static inline bool td_type_span(const struct td_type *type, int64_t *n_bytesp)
{
        int64_t n = td_dtype_size(type->dtype);

        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] && __builtin_mul_overflow(n, type->shape[i], &n))
                        return false;
        *n_bytesp = n;
        return true;
}

/*
 * TD_OK, TD_E_UNSUPPORTED_DTYPE, TD_E_RANK_LIMIT or TD_E_BAD_SHAPE; what is named before the colon,
 * if not NULL.
 */
static inline int td_check_type_of(const char *what, const struct td_type *type,
                                   struct td_refusal *refusal)
{
        const char *colon = what ? ": " : "";
        int64_t n_bytes;

        what = what ? what : "";
        if (type->dtype >= TD_N_DTYPES)
                return td_refuse(refusal, TD_E_UNSUPPORTED_DTYPE, "%s%sno dtype has number %u",
                                 what, colon, type->dtype);
        if (type->ndim > TD_NDIM_MAX)
                return td_refuse(refusal, TD_E_RANK_LIMIT,
                                 "%s%s%u dimensions are more than the limit of %d", what, colon,
                                 type->ndim, TD_NDIM_MAX);
        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] < 0)
                        return td_refuse(refusal, TD_E_BAD_SHAPE,
                                         "%s%sshape %s has a negative extent", what, colon,
                                         td_type_text(type).s);
        if (!td_type_span(type, &n_bytes))
                return td_refuse(refusal, TD_E_BAD_SHAPE,
                                 "%s%sshape %s of %s has more bytes than can be addressed", what,
                                 colon, td_type_text(type).s, td_dtype_name(type->dtype));
        return TD_OK;
}

static inline int td_check_type(const struct td_type *type, struct td_refusal *refusal)
{
        return td_check_type_of(NULL, type, refusal);
}

/* An extent that depends on data, as inference gives it. */
#define TD_UNKNOWN (-1)

/* Are all extents known? Inference alone gives others. */
static inline bool td_type_is_known(const struct td_type *type)
{
        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] == TD_UNKNOWN)
                        return false;
        return true;
}

static inline int td_refuse_unknown(const char *name, struct td_refusal *refusal)
{
        return td_refuse(refusal, TD_E_BAD_PROGRAM,
                         "%s: the shape of an argument depends on data; a result of such a shape "
                         "can only be an output",
                         name);
}

/* Of a type that td_check_type() passed. */
static inline int64_t td_type_n_elements(const struct td_type *type)
{
        int64_t n = 1;

        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] == 0)
                        return 0;
        for (unsigned i = 0; i < type->ndim; i++)
                n *= type->shape[i];
        return n;
}

/* Of a type that td_check_type() passed. */
static inline int64_t td_type_n_bytes(const struct td_type *type)
{
        return td_type_n_elements(type) * td_dtype_size(type->dtype);
}

static inline bool td_type_same(const struct td_type *a, const struct td_type *b)
{
        return a->dtype == b->dtype && a->ndim == b->ndim &&
               memcmp(a->shape, b->shape, a->ndim * sizeof(a->shape[0])) == 0;
}

/*
 * numpy's broadcasting of two shapes; dtypes are not looked at and result's is not set. Result may
 * be a or b.
 */
static inline bool td_broadcast_two(const struct td_type *a, const struct td_type *b,
                                    struct td_type *result)
{
        struct td_type r = { .dtype = result->dtype,
                             .ndim = a->ndim > b->ndim ? a->ndim : b->ndim };

        for (unsigned i = 0; i < r.ndim; i++) {
                unsigned lead_a = (unsigned)r.ndim - a->ndim, lead_b = (unsigned)r.ndim - b->ndim;
                int64_t x = i < lead_a ? 1 : a->shape[i - lead_a];
                int64_t y = i < lead_b ? 1 : b->shape[i - lead_b];

                if (x != y && x != 1 && y != 1)
                        return false;
                r.shape[i] = x == 1 ? y : x;
        }
        *result = r;
        return true;
}

/* The shape that n shapes broadcast to, or false. */
static inline bool td_broadcast_shapes(uint32_t n, const struct td_type *types,
                                       struct td_type *result)
{
        struct td_type r = { .dtype = result->dtype };

        for (uint32_t i = 0; i < n; i++)
                if (!td_broadcast_two(&r, &types[i], &r))
                        return false;
        *result = r;
        return true;
}
