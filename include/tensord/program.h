/* SPDX-License-Identifier: MIT */
/*
 * Programs
 *
 * A program is a list of nodes over numbered values. Inputs come first (values 0 to n_inputs - 1);
 * each node then defines as many values as it has results, numbered on in the order of the nodes. A
 * node names only values defined before it, so a program cannot be circular.
 *
 * A loop node carries a block of its own. Its body sees only its own values: first what the loop
 * captures, then the step's number (int64, 0-d, counting from 0), then the carried values; results
 * name the body's values that the next step carries, and that the loop yields in the end. A watch
 * list names values of the body; the loop also yields each of them as a stack over the watched
 * steps. Steps are counted from 1 when they are watched: step k is the state after k turns.
 *
 * A while node is a loop whose first carried value is its condition, looked at before each turn. It
 * watches nothing; behind what it carried it yields the number of turns made.
 *
 * Plain data: the client's builder fills it, the codecs carry it, infer.h checks it, the engine
 * plans it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tensord/limits.h"

enum td_dtype {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) TD_##sym,
#include "tensord/dtypes.def"
#undef TD_DTYPE
        TD_N_DTYPES
};

enum td_kind { TD_KIND_BOOL, TD_KIND_INT, TD_KIND_UINT, TD_KIND_FLOAT, TD_KIND_COMPLEX };

enum td_op {
#define TD_OP(sym, ...) TD_OP_##sym,
#include "tensord/ops.def"
#undef TD_OP
        TD_N_OPS
};

enum td_error_code {
        TD_OK = 0,
#define TD_ERROR(sym, number, ...) TD_E_##sym = number,
#include "tensord/errors.def"
#undef TD_ERROR
};

/* dtype and shape of a value; ndim 0 is a scalar array */
struct td_type {
        uint8_t dtype; /* enum td_dtype */
        uint8_t ndim;
        int64_t shape[TD_NDIM_MAX];
};

/* one element of any dtype; the dtype stands beside it */
union td_scalar {
        uint8_t b;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u;
        float f;
        double d;
        float c[2]; /* real, imaginary */
        double z[2];
};

/* a number as it was written, before it has a dtype */
struct td_number {
        uint8_t kind; /* enum td_kind: INT in i, UINT (beyond int64) in u, FLOAT, COMPLEX */
        union {
                int64_t i;
                uint64_t u;
                double d;
                double z[2]; /* real, imaginary */
        };
};

/* what a node's attributes may be, see attrs.def; a loop's are those of struct td_loop */
enum td_attr_bit {
#define TD_ATTRIBUTE(sym, ...) TD_ATTR_BIT_##sym,
#include "tensord/attrs.def"
#undef TD_ATTRIBUTE
        TD_N_ATTRS
};

enum td_attr {
#define TD_ATTRIBUTE(sym, ...) TD_ATTR_##sym = 1 << TD_ATTR_BIT_##sym,
#include "tensord/attrs.def"
#undef TD_ATTRIBUTE
        TD_ATTR_LOOP = 1 << TD_N_ATTRS, /* "steps" "captures" "body" "results", and optional "watch"
                                           with "every" or "at" */
};

struct td_attrs {
        uint32_t set; /* mask of enum td_attr: which of the fields below were given */
        uint8_t dtype;
        bool keepdims;
        bool upper;
        bool include_initial;
        bool descending;
        bool right;
        bool endpoint;
        bool full_matrices;
        uint8_t n_shape; /* extents in shape */
        uint8_t n_axes;
        uint8_t n_start; /* entries in start */
        uint8_t n_step;  /* entries in step */
        int16_t axes[TD_NDIM_MAX];
        int64_t shape[TD_NDIM_MAX];
        int64_t start[TD_NDIM_MAX];
        int64_t step[TD_NDIM_MAX];
        struct td_number value;
        struct td_number range[3];
        int64_t k;
        int64_t seed;
        int64_t stream;
        double rcond;
        double correction;
};

struct td_refusal;

/* An operation that is not of ops.def: a user kernel, see kernel.h. */
struct td_user_op {
        const char *name; /* without "user." */
        uint32_t n_args, n_results;
        /* as td_infer() */
        int (*infer)(const struct td_user_op *op, const struct td_type *args,
                     struct td_type *results, struct td_refusal *refusal);
};

struct td_node {
        enum td_op op;
        uint32_t n_args;
        uint32_t *args; /* value numbers, in the block of this node */
        struct td_attrs attrs;
        struct td_loop *loop; /* of TD_OP_LOOP and TD_OP_WHILE, else NULL */
        const char *name;     /* of TD_OP_USER, else NULL */
        const struct td_user_op *user; /* of TD_OP_USER: what the name means; NULL: not known */
};

struct td_block {
        uint32_t n_inputs;
        uint32_t n_nodes;
        struct td_node *nodes;
};

struct td_loop {
        bool is_while;        /* goes on while the first carried value, a bool, is true */
        int64_t n_steps;      /* >= 0; of a while at most so many */
        uint32_t n_captures;  /* the node's first arguments; the rest are carried */
        struct td_block body; /* n_inputs = n_captures + 1 + n_carried */
        uint32_t n_results;   /* = n_carried */
        uint32_t *results;    /* value numbers in the body */
        uint32_t n_watch;
        uint32_t *watch; /* value numbers in the body */
        int64_t every;   /* > 0: steps every, 2 * every, ... up to n_steps; 0: the list below */
        uint32_t n_at;
        int64_t *at; /* ascending, each from 1 to n_steps */
};

struct td_program {
        struct td_block block;
        uint32_t n_outputs;
        uint32_t *outputs; /* value numbers */
};
