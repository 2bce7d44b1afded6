/* SPDX-License-Identifier: MIT */
/*
 * Inference
 *
 * What dtype and shape an operation yields, or why it is refused. Pure functions over plain
 * structs: no allocation, no state, static inline. The daemon trusts only its own run of them; a
 * client runs the same code to raise on the right line.
 *
 * A function returns TD_OK, or an error code with a sentence in the refusal that names the
 * operation and what it was given. Programs are untrusted: counts, value numbers and attributes may
 * be anything; only the arrays must be as long as they say.
 */
#pragma once

#include "tensord/infer_op.h"
#include "tensord/types.h"

/* ---- counting ---- */

/* Does an operation carry a block? */
static inline bool td_op_has_body(enum td_op op)
{
        return op == TD_OP_LOOP || op == TD_OP_WHILE;
}

static inline const char *td_loop_name(const struct td_loop *loop)
{
        return loop->is_while ? "while" : "loop";
}

/* Results of a node: more than TD_RESULTS_MAX are possible in a program that was not checked. */
static inline uint64_t td_node_n_results(const struct td_node *node)
{
        const struct td_loop *loop = node->loop;

        if (td_op_has_body(node->op))
                return loop ? (uint64_t)loop->n_results + loop->n_watch + loop->is_while : 0;
        if (node->op == TD_OP_USER)
                return node->user ? node->user->n_results : 0;
        return (unsigned)node->op < TD_N_OPS ? (uint64_t)td_op_info(node->op)->n_results : 0;
}

/* Values of a block, without those of blocks inside of it. */
static inline uint64_t td_block_n_values(const struct td_block *block)
{
        uint64_t n = block->n_inputs;

        for (uint32_t i = 0; i < block->n_nodes; i++)
                n += td_node_n_results(&block->nodes[i]);
        return n;
}

/*
 * Values of a block and of the blocks inside of it, added to *np, where depth loops stand around
 * it. Operations, loop depth, results of each node and TD_VALUES_MAX are checked; a node without
 * results counts as one against the limit.
 */
static inline int td_check_counts(const struct td_block *block, unsigned depth, uint64_t *np,
                                  struct td_refusal *refusal)
{
        *np += (uint64_t)block->n_inputs;
        for (uint32_t i = 0; i < block->n_nodes && *np <= TD_VALUES_MAX; i++) {
                const struct td_node *node = &block->nodes[i];
                uint64_t n_results = td_node_n_results(node);
                int r = TD_OK;

                if ((unsigned)node->op >= TD_N_OPS)
                        r = td_refuse(refusal, TD_E_UNKNOWN_OP, "no operation has number %u",
                                      (unsigned)node->op);
                else if (node->op == TD_OP_USER && !node->user)
                        r = td_refuse(refusal, TD_E_UNKNOWN_OP, "there is no user kernel \"%s\"",
                                      node->name ? node->name : "");
                else if (td_op_has_body(node->op) != (node->loop != NULL) ||
                         (node->loop && node->loop->is_while != (node->op == TD_OP_WHILE)))
                        r = td_refuse(refusal, TD_E_BAD_PROGRAM, "%s: %s", td_op_name(node->op),
                                      node->loop ? "has no block" : "its block is missing");
                else if (n_results > TD_RESULTS_MAX)
                        r = td_refuse(refusal, TD_E_BAD_PROGRAM,
                                      "%s: %" PRIu64
                                      " carried and watched values are more than the limit of %d",
                                      td_op_name(node->op), n_results, TD_RESULTS_MAX);
                else if (node->loop && depth >= TD_LOOP_DEPTH_MAX)
                        r = td_refuse(refusal, TD_E_BAD_PROGRAM, "%s: nested deeper than %d loops",
                                      td_op_name(node->op), TD_LOOP_DEPTH_MAX);
                *np += n_results ? n_results : 1;
                if (!r && node->loop && *np <= TD_VALUES_MAX) {
                        r = td_check_counts(&node->loop->body, depth + 1, np, refusal);
                        if (r)
                                td_refuse_body(refusal, node->loop->is_while);
                }
                if (r) {
                        if (refusal)
                                refusal->node = (int32_t)i;
                        return r;
                }
        }
        if (*np > TD_VALUES_MAX)
                return td_refuse(refusal, TD_E_BAD_PROGRAM,
                                 "the program has more values than the limit of %d", TD_VALUES_MAX);
        return TD_OK;
}

/* How many types td_infer_program() writes, at most TD_VALUES_MAX; checked as above. */
static inline int td_program_n_values(const struct td_program *program, uint64_t *np,
                                      struct td_refusal *refusal)
{
        *np = 0;
        return td_check_counts(&program->block, 0, np, refusal);
}

/* ---- loops ---- */

/* How many steps a loop's watch list names. */
static inline int64_t td_loop_n_watched(const struct td_loop *loop)
{
        if (loop->every > 0)
                return loop->n_steps / loop->every;
        return loop->n_at;
}

/* What can be said of a loop node without its body's types. */
static inline int td_check_loop(const struct td_node *node, struct td_refusal *refusal)
{
        const struct td_loop *loop = node->loop;
        uint64_t n_args = (uint64_t)loop->n_captures + loop->n_results;

        if (node->attrs.set & ~(uint32_t)TD_ATTR_LOOP)
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "%s: takes no attribute beside its own",
                                 td_loop_name(loop));
        if (loop->is_while && (loop->n_watch || loop->every || loop->n_at))
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "while: watches nothing");
        if (loop->n_steps < 0)
                return td_refuse(refusal, TD_E_BAD_PROGRAM,
                                 "%s: %" PRId64 " steps are less than none", td_loop_name(loop),
                                 loop->n_steps);
        if (node->n_args != n_args || n_args > TD_ARGS_MAX)
                return td_refuse(
                        refusal, TD_E_BAD_PROGRAM,
                        "%s: %u arguments, but %u captures and %u results (at most %d arguments)",
                        td_loop_name(loop), node->n_args, loop->n_captures, loop->n_results,
                        TD_ARGS_MAX);
        if (loop->body.n_inputs != n_args + 1)
                return td_refuse(refusal, TD_E_BAD_PROGRAM,
                                 "%s: the body has %u inputs, but %u captures, the step and %u "
                                 "carried values",
                                 td_loop_name(loop), loop->body.n_inputs, loop->n_captures,
                                 loop->n_results);
        if (loop->every < 0 || (loop->every > 0 && loop->n_at > 0))
                return td_refuse(
                        refusal, TD_E_BAD_PROGRAM,
                        "loop: steps are watched either every k-th, k positive, or at a list");
        for (uint32_t i = 0; i < loop->n_at; i++)
                if (loop->at[i] <= (i ? loop->at[i - 1] : 0) || loop->at[i] > loop->n_steps)
                        return td_refuse(refusal, TD_E_BAD_PROGRAM,
                                         "loop: watched steps ascend from 1 to %" PRId64
                                         "; entry %u is %" PRId64,
                                         loop->n_steps, i, loop->at[i]);
        return TD_OK;
}

static inline int td_check_value(const char *what, uint32_t value, uint64_t n_values,
                                 struct td_refusal *refusal)
{
        if (value >= n_values)
                return td_refuse(refusal, TD_E_BAD_PROGRAM,
                                 "%s: value %u is not defined before it is used", what, value);
        return TD_OK;
}

/* The condition of a while, and the number of its turns. */
static inline int td_infer_while(const struct td_loop *loop, const struct td_type *args,
                                 struct td_type *results, struct td_refusal *refusal)
{
        const struct td_type *condition = &args[loop->n_captures];

        if (loop->n_results == 0)
                return td_refuse(
                        refusal, TD_E_BAD_PROGRAM,
                        "while: carries nothing; its first carried value is the condition");
        if (condition->dtype != TD_BOOL || condition->ndim > 0)
                return td_refuse(refusal, TD_E_LOOP_SHAPE,
                                 "while: the first carried value is the condition, a bool of shape "
                                 "(), not %s of shape %s",
                                 td_dtype_name(condition->dtype), td_type_text(condition).s);
        results[loop->n_results] = (struct td_type){ .dtype = TD_INT64 };
        return TD_OK;
}

/* Results of a loop from its arguments and its body's values. */
static inline int td_infer_loop_results(const struct td_loop *loop, const struct td_type *args,
                                        const struct td_type *body, uint64_t n_body,
                                        struct td_type *results, struct td_refusal *refusal)
{
        int r;

        for (uint32_t i = 0; i < loop->n_results; i++) {
                const struct td_type *carried = &args[loop->n_captures + i];

                r = td_check_value("loop results", loop->results[i], n_body, refusal);
                if (r)
                        return r;
                if (!td_type_same(&body[loop->results[i]], carried))
                        return td_refuse(refusal, TD_E_LOOP_SHAPE,
                                         "%s: carried value %u is %s of shape %s, but the body "
                                         "yields %s of shape %s",
                                         td_loop_name(loop), i, td_dtype_name(carried->dtype),
                                         td_type_text(carried).s,
                                         td_dtype_name(body[loop->results[i]].dtype),
                                         td_type_text(&body[loop->results[i]]).s);
                results[i] = *carried;
        }
        if (loop->is_while)
                return td_infer_while(loop, args, results, refusal);
        for (uint32_t i = 0; i < loop->n_watch; i++) {
                struct td_type *stack = &results[loop->n_results + i];
                const struct td_type *of;

                r = td_check_value("loop watch", loop->watch[i], n_body, refusal);
                if (r)
                        return r;
                of = &body[loop->watch[i]];
                if (of->ndim >= TD_NDIM_MAX)
                        return td_refuse(
                                refusal, TD_E_RANK_LIMIT,
                                "loop: a stack of %s has more dimensions than the limit of %d",
                                td_type_text(of).s, TD_NDIM_MAX);
                *stack = (struct td_type){ .dtype = of->dtype, .ndim = (uint8_t)(of->ndim + 1) };
                stack->shape[0] = td_loop_n_watched(loop);
                memcpy(stack->shape + 1, of->shape, of->ndim * sizeof(of->shape[0]));
                r = td_check_type_of("loop: watched", stack, refusal);
                if (r)
                        return r;
        }
        return TD_OK;
}

/* ---- user kernels ---- */

static inline int td_infer_user(const struct td_node *node, const struct td_type *args,
                                struct td_type *results, struct td_refusal *refusal)
{
        const struct td_user_op *user = node->user;

        if (node->attrs.set)
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "user.%s: takes no attributes",
                                 user->name);
        if (node->n_args != user->n_args)
                return td_refuse(refusal, TD_E_BAD_PROGRAM, "user.%s: takes %u argument%s, not %u",
                                 user->name, user->n_args, user->n_args == 1 ? "" : "s",
                                 node->n_args);
        return user->infer(user, args, results, refusal);
}

/* ---- blocks and programs ---- */

static inline int td_refuse_counted(enum td_op op, struct td_refusal *refusal)
{
        return td_refuse(refusal, TD_E_BAD_PROGRAM,
                         "%s: its shape depends on data, so it cannot be in the body of a loop",
                         td_op_name(op));
}

static inline int td_infer_block(const struct td_block *block, unsigned depth,
                                 struct td_type *values, struct td_type **freep,
                                 struct td_refusal *refusal);

/* A loop node: its body's types are written from *freep on, which is moved behind them. */
static inline int td_infer_loop(const struct td_node *node, unsigned depth,
                                const struct td_type *args, struct td_type *results,
                                struct td_type **freep, struct td_refusal *refusal)
{
        const struct td_loop *loop = node->loop;
        uint64_t n_body = td_block_n_values(&loop->body);
        struct td_type *body = *freep;
        int r;

        r = td_check_loop(node, refusal);
        if (r)
                return r;
        *freep += n_body;
        for (uint32_t i = 0; i < loop->n_captures; i++)
                body[i] = args[i];
        body[loop->n_captures] = (struct td_type){ .dtype = TD_INT64 };
        for (uint32_t i = 0; i < loop->n_results; i++)
                body[loop->n_captures + 1 + i] = args[loop->n_captures + i];
        r = td_infer_block(&loop->body, depth + 1, body, freep, refusal);
        if (r) {
                td_refuse_body(refusal, loop->is_while);
                return r;
        }
        return td_infer_loop_results(loop, args, body, n_body, results, refusal);
}

/*
 * Types of a block's values: values[0 .. n_inputs) are given, the rest is written. Types of nested
 * bodies are written from *freep on, in the order of the loops, each body followed by the bodies
 * inside of it. td_check_counts() has passed.
 */
static inline int td_infer_block(const struct td_block *block, unsigned depth,
                                 struct td_type *values, struct td_type **freep,
                                 struct td_refusal *refusal)
{
        uint64_t n_values = block->n_inputs;

        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_node *node = &block->nodes[i];
                struct td_type args[TD_ARGS_MAX];
                int r = TD_OK;

                if (node->n_args > TD_ARGS_MAX)
                        r = td_refuse(refusal, TD_E_BAD_PROGRAM,
                                      "%s: %u arguments are more than the limit of %d",
                                      td_op_name(node->op), node->n_args, TD_ARGS_MAX);
                for (uint32_t k = 0; k < node->n_args && !r; k++) {
                        r = td_check_value(td_op_name(node->op), node->args[k], n_values, refusal);
                        if (!r)
                                args[k] = values[node->args[k]];
                        if (!r && !td_type_is_known(&args[k]))
                                r = td_refuse_unknown(td_op_name(node->op), refusal);
                }
                if (!r && depth > 0 && td_op_is_counted(node->op))
                        r = td_refuse_counted(node->op, refusal);
                if (!r && td_op_has_body(node->op))
                        r = td_infer_loop(node, depth, args, values + n_values, freep, refusal);
                else if (!r && node->op == TD_OP_USER)
                        r = td_infer_user(node, args, values + n_values, refusal);
                else if (!r)
                        r = td_infer(node->op, &node->attrs, node->n_args, args, values + n_values,
                                     refusal);
                if (r) {
                        if (refusal)
                                refusal->node = (int32_t)i;
                        return r;
                }
                n_values += td_node_n_results(node);
        }
        return TD_OK;
}

/*
 * Types of all values of a program. values has room for td_program_n_values(): first those of the
 * outermost block, td_block_n_values() of them, then those of loop bodies as td_infer_block() says.
 * inputs may be values itself.
 */
static inline int td_infer_program(const struct td_program *program, const struct td_type *inputs,
                                   struct td_type *values, struct td_refusal *refusal)
{
        uint64_t n_all, n_values;
        struct td_type *free_types;
        int r;

        r = td_program_n_values(program, &n_all, refusal);
        if (r)
                return r;
        if (program->n_outputs > TD_OUTPUTS_MAX)
                return td_refuse(refusal, TD_E_BAD_PROGRAM,
                                 "%u outputs are more than the limit of %d", program->n_outputs,
                                 TD_OUTPUTS_MAX);
        for (uint32_t i = 0; i < program->block.n_inputs; i++) {
                r = td_check_type_of("input", &inputs[i], refusal);
                if (r)
                        return r;
                values[i] = inputs[i];
        }
        n_values = td_block_n_values(&program->block);
        free_types = values + n_values;
        r = td_infer_block(&program->block, 0, values, &free_types, refusal);
        if (r)
                return r;
        for (uint32_t i = 0; i < program->n_outputs; i++) {
                r = td_check_value("outputs", program->outputs[i], n_values, refusal);
                if (r)
                        return r;
        }
        return TD_OK;
}
