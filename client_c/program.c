/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

td_builder *td_builder_new(void)
{
        td_builder *builder = calloc(1, sizeof(*builder));

        if (builder)
                builder->current = &builder->top;
        return builder;
}

static void block_deinit(struct td_block *block);

static void loop_free(struct td_loop *loop)
{
        if (!loop)
                return;
        block_deinit(&loop->body);
        free(loop->results);
        free(loop->watch);
        free(loop->at);
        free(loop);
}

static void block_deinit(struct td_block *block)
{
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                free(block->nodes[i].args);
                free((void *)(uintptr_t)block->nodes[i].user); /* its name lies behind it */
                loop_free(block->nodes[i].loop);
        }
        free(block->nodes);
}

void td_builder_free(td_builder *builder)
{
        if (!builder)
                return;
        while (builder->current != &builder->top) {
                struct builder_block *inner = builder->current;

                builder->current = inner->outer;
                inner->loop->body = inner->block;
                loop_free(inner->loop);
                free(inner->types);
                free(inner->args);
                free(inner);
        }
        for (uint32_t i = 0; i < builder->top.block.n_inputs; i++)
                free(builder->inputs[i].data);
        free(builder->inputs);
        block_deinit(&builder->top.block);
        free(builder->top.types);
        free(builder);
}

/* ---- refusals and room ---- */

static int refuse_memory(td_builder *builder)
{
        td_refuse(&builder->refusal, TD_E_CLIENT_MEMORY, "this process is out of memory");
        return -1;
}

static bool is_refused(const td_builder *builder)
{
        return builder->refusal.code != TD_OK;
}

static bool grow(void **arrayp, uint32_t *n_allocatedp, uint32_t n_wanted, size_t size)
{
        uint32_t n = *n_allocatedp ? *n_allocatedp : 4;
        void *array;

        if (n_wanted <= *n_allocatedp)
                return true;
        while (n < n_wanted)
                n *= 2;
        array = realloc(*arrayp, n * size);
        if (!array)
                return false;
        *arrayp = array;
        *n_allocatedp = n;
        return true;
}

/* Room for n more values of the current block. */
static bool values_reserve(td_builder *builder, uint32_t n)
{
        struct builder_block *b = builder->current;

        if (builder->n_all + n > TD_VALUES_MAX) {
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "the program has more values than the limit of %d", TD_VALUES_MAX);
                return false;
        }
        if (!grow((void **)&b->types, &b->n_values_allocated, b->n_values + n, sizeof(*b->types))) {
                refuse_memory(builder);
                return false;
        }
        return true;
}

static int values_add(td_builder *builder, uint32_t n)
{
        struct builder_block *b = builder->current;
        int first = (int)b->n_values;

        b->n_values += n;
        builder->n_all += n;
        return first;
}

/* Copy value numbers; NULL where one is wrong (refused) or memory is out. */
static uint32_t *take_values(td_builder *builder, const char *what, const int *values, size_t n,
                             uint32_t n_values)
{
        uint32_t *taken = malloc((n ? n : 1) * sizeof(*taken));

        if (!taken) {
                refuse_memory(builder);
                return NULL;
        }
        for (size_t i = 0; i < n; i++) {
                if (values[i] < 0 || (uint32_t)values[i] >= n_values) {
                        td_refuse(&builder->refusal, TD_E_BAD_PROGRAM, "%s: there is no value %d",
                                  what, values[i]);
                        free(taken);
                        return NULL;
                }
                taken[i] = (uint32_t)values[i];
        }
        return taken;
}

/* ---- inputs ---- */

static struct builder_input *input_add(td_builder *builder, const struct td_type *type)
{
        struct td_block *block = &builder->top.block;
        struct builder_input *input;

        if (is_refused(builder))
                return NULL;
        if (builder->current != &builder->top || block->n_nodes > 0) {
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "inputs are added before operations");
                return NULL;
        }
        if (td_check_type_of("input", type, &builder->refusal) || !values_reserve(builder, 1))
                return NULL;
        if (!grow((void **)&builder->inputs, &builder->n_inputs_allocated, block->n_inputs + 1,
                  sizeof(*builder->inputs))) {
                refuse_memory(builder);
                return NULL;
        }
        input = &builder->inputs[block->n_inputs];
        memset(input, 0, offsetof(struct builder_input, view));
        input->data = NULL;
        input->n_data = 0;
        input->view.type = *type;
        return input;
}

static int input_done(td_builder *builder, const struct td_type *type)
{
        builder->top.types[builder->top.n_values] = *type;
        builder->top.block.n_inputs++;
        return values_add(builder, 1);
}

int td_builder_input(td_builder *builder, const td_tensor *tensor)
{
        struct builder_input *input = input_add(builder, &tensor->type);

        if (!input)
                return -1;
        input->tensor = (td_tensor *)(uintptr_t)tensor;
        return input_done(builder, &tensor->type);
}

int td_builder_input_view(td_builder *builder, const td_tensor *tensor, const struct td_type *view,
                          const int64_t *strides, int64_t offset)
{
        struct td_type type = *view;
        struct builder_input *input;

        type.dtype = tensor->type.dtype;
        input = input_add(builder, &type);
        if (!input)
                return -1;
        input->tensor = (td_tensor *)(uintptr_t)tensor;
        input->has_view = true;
        memcpy(input->view.strides, strides, type.ndim * sizeof(strides[0]));
        input->view.offset = offset;
        return input_done(builder, &type);
}

int td_builder_parameter(td_builder *builder, const struct td_type *type)
{
        struct builder_input *input = input_add(builder, type);

        if (!input)
                return -1;
        input->is_parameter = true;
        return input_done(builder, type);
}

void td_builder_donate(td_builder *builder, int input)
{
        if (input < 0 || (uint32_t)input >= builder->top.block.n_inputs ||
            !builder->inputs[input].tensor)
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "value %d is no tensor that is an input, and cannot be donated", input);
        else if (builder->inputs[input].has_view)
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "value %d is a view of a tensor, and only whole tensors can be donated",
                          input);
        else
                builder->inputs[input].donate = true;
}

int td_builder_immediate(td_builder *builder, const struct td_type *type, const void *data)
{
        return td_builder_array(builder, type, data, NULL);
}

int td_builder_array(td_builder *builder, const struct td_type *type, const void *data,
                     const int64_t *strides)
{
        struct builder_input *input = input_add(builder, type);
        size_t n_data;

        if (!input)
                return -1;
        n_data = (size_t)td_type_n_bytes(type);
        if (n_data > TD_INLINE_MAX) {
                td_refuse(&builder->refusal, TD_E_TOO_LARGE_INLINE,
                          "an immediate has %zu bytes; at most %d travel in a message", n_data,
                          TD_INLINE_MAX);
                return -1;
        }
        input->data = malloc(n_data ? n_data : 1);
        if (!input->data)
                return refuse_memory(builder);
        axes_in_order(input->order, type, 'K', strides);
        copy_ordered(input->data, type, input->order, data, strides);
        input->n_data = n_data;
        return input_done(builder, type);
}

/* ---- operations ---- */

static struct td_node *node_add(td_builder *builder, enum td_op op, uint32_t *args, size_t n_args)
{
        struct builder_block *b = builder->current;
        struct td_node *node;

        if (!grow((void **)&b->block.nodes, &b->n_nodes_allocated, b->block.n_nodes + 1,
                  sizeof(*b->block.nodes))) {
                refuse_memory(builder);
                return NULL;
        }
        node = &b->block.nodes[b->block.n_nodes];
        *node = (struct td_node){ .op = op, .n_args = (uint32_t)n_args, .args = args };
        return node;
}

/* The next node of a block is to blame. */
static int refuse_node_of(td_builder *builder, const struct builder_block *b)
{
        builder->refusal.node = (int32_t)b->block.n_nodes;
        for (; b->outer; b = b->outer) {
                td_refuse_body(&builder->refusal, b->loop->is_while);
                builder->refusal.node = (int32_t)b->outer->block.n_nodes;
        }
        return -1;
}

static int refuse_node(td_builder *builder)
{
        return refuse_node_of(builder, builder->current);
}

int td_builder_op(td_builder *builder, enum td_op op, const struct td_attrs *attrs, const int *args,
                  size_t n_args, int *results)
{
        static const struct td_attrs none;
        struct builder_block *b = builder->current;
        struct td_type arg_types[TD_ARGS_MAX];
        struct td_node *node;
        uint32_t *taken;
        int n_results, first;

        if (is_refused(builder))
                return -1;
        if ((unsigned)op >= TD_N_OPS || td_op_has_body(op) || op == TD_OP_USER ||
            n_args > TD_ARGS_MAX) {
                td_refuse(&builder->refusal,
                          (unsigned)op >= TD_N_OPS ? TD_E_UNKNOWN_OP : TD_E_BAD_PROGRAM,
                          "operation %u with %zu arguments is not to be had", (unsigned)op, n_args);
                return refuse_node(builder);
        }
        n_results = td_op_info(op)->n_results;
        taken = take_values(builder, td_op_info(op)->name, args, n_args, b->n_values);
        if (!taken)
                return refuse_node(builder);
        for (size_t i = 0; i < n_args; i++)
                arg_types[i] = b->types[taken[i]];
        attrs = attrs ? attrs : &none;
        if (b->outer && td_op_is_counted(op)) {
                free(taken);
                td_refuse_counted(op, &builder->refusal);
                return refuse_node(builder);
        }
        node = values_reserve(builder, (uint32_t)n_results) ? node_add(builder, op, taken, n_args)
                                                            : NULL;
        if (!node || td_infer(op, attrs, (uint32_t)n_args, arg_types, b->types + b->n_values,
                              &builder->refusal)) {
                free(taken);
                return refuse_node(builder);
        }
        node->attrs = *attrs;
        b->block.n_nodes++;
        first = values_add(builder, (uint32_t)n_results);
        for (int i = 0; results && i < n_results; i++)
                results[i] = first + i;
        return first;
}

/* Only what its name is and how many results it has: the daemon knows the rest. */
static struct td_user_op *user_op_new(const char *name, size_t n_args, size_t n_results)
{
        struct td_user_op *user = calloc(1, sizeof(*user) + strlen(name) + 1);

        if (!user)
                return NULL;
        user->name = strcpy((char *)(user + 1), name);
        user->n_args = (uint32_t)n_args;
        user->n_results = (uint32_t)n_results;
        return user;
}

int td_builder_user(td_builder *builder, const char *name, const int *args, size_t n_args,
                    const struct td_type *types, size_t n_results, int *results)
{
        struct builder_block *b = builder->current;
        struct td_user_op *user;
        struct td_node *node = NULL;
        uint32_t *taken;
        int first;

        if (is_refused(builder))
                return -1;
        if (n_args > TD_ARGS_MAX || n_results == 0 || n_results > TD_RESULTS_MAX) {
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "user.%s: %zu arguments and %zu results are not to be had", name, n_args,
                          n_results);
                return refuse_node(builder);
        }
        taken = take_values(builder, name, args, n_args, b->n_values);
        if (!taken)
                return refuse_node(builder);
        for (size_t i = 0; i < n_results && !is_refused(builder); i++)
                td_check_type_of(name, &types[i], &builder->refusal);
        user = user_op_new(name, n_args, n_results);
        if (!user)
                refuse_memory(builder);
        if (!is_refused(builder) && values_reserve(builder, (uint32_t)n_results))
                node = node_add(builder, TD_OP_USER, taken, n_args);
        if (!node) {
                free(taken);
                free(user);
                return refuse_node(builder);
        }
        node->user = user;
        node->name = user->name;
        memcpy(b->types + b->n_values, types, n_results * sizeof(*types));
        b->block.n_nodes++;
        first = values_add(builder, (uint32_t)n_results);
        for (size_t i = 0; results && i < n_results; i++)
                results[i] = first + (int)i;
        return first;
}

/* ---- loops ---- */

static struct builder_block *block_new(td_builder *builder, int64_t n_steps, size_t n_captures,
                                       size_t n_carried)
{
        struct builder_block *inner = calloc(1, sizeof(*inner));

        if (inner)
                inner->loop = calloc(1, sizeof(*inner->loop));
        if (!inner || !inner->loop) {
                free(inner);
                refuse_memory(builder);
                return NULL;
        }
        inner->outer = builder->current;
        inner->loop->n_steps = n_steps;
        inner->loop->n_captures = (uint32_t)n_captures;
        inner->loop->n_results = (uint32_t)n_carried;
        inner->block.n_inputs = (uint32_t)(n_captures + 1 + n_carried);
        return inner;
}

static unsigned loop_depth(const td_builder *builder)
{
        unsigned depth = 0;

        for (const struct builder_block *b = builder->current; b->outer; b = b->outer)
                depth++;
        return depth;
}

static bool loop_is_possible(td_builder *builder, int64_t n_steps, size_t n_captures,
                             size_t n_carried)
{
        if (n_steps < 0)
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "loop: %" PRId64 " steps are less than none", n_steps);
        else if (n_captures > TD_ARGS_MAX || n_carried > TD_ARGS_MAX ||
                 n_captures + n_carried > TD_ARGS_MAX)
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM,
                          "loop: %zu captured and carried values are more than the limit of %d",
                          n_captures + n_carried, TD_ARGS_MAX);
        else if (loop_depth(builder) >= TD_LOOP_DEPTH_MAX)
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM, "loop: nested deeper than %d loops",
                          TD_LOOP_DEPTH_MAX);
        return !is_refused(builder);
}

static int loop_begin(td_builder *builder, bool is_while, int64_t n_steps, const int *captures,
                      size_t n_captures, const int *carried, size_t n_carried, int *body_values)
{
        struct builder_block *outer = builder->current, *inner;
        int args[TD_ARGS_MAX];
        uint32_t n_inputs = (uint32_t)(n_captures + 1 + n_carried);

        if (is_refused(builder))
                return -1;
        if (!loop_is_possible(builder, n_steps, n_captures, n_carried))
                return refuse_node(builder);
        if (n_captures)
                memcpy(args, captures, n_captures * sizeof(args[0]));
        if (n_carried)
                memcpy(args + n_captures, carried, n_carried * sizeof(args[0]));
        inner = block_new(builder, n_steps, n_captures, n_carried);
        if (!inner)
                return -1;
        inner->loop->is_while = is_while;
        builder->current = inner;
        inner->n_args = n_inputs - 1;
        inner->args = take_values(builder, "loop", args, inner->n_args, outer->n_values);
        if (!inner->args || !values_reserve(builder, n_inputs))
                return refuse_node_of(builder, outer);
        for (uint32_t i = 0; i < inner->n_args; i++)
                inner->types[i < n_captures ? i : i + 1] = outer->types[inner->args[i]];
        inner->types[n_captures] = (struct td_type){ .dtype = TD_INT64 };
        values_add(builder, n_inputs);
        for (uint32_t i = 0; i < n_inputs; i++)
                body_values[i] = (int)i;
        return (int)n_inputs;
}

int td_builder_loop_begin(td_builder *builder, int64_t n_steps, const int *captures,
                          size_t n_captures, const int *carried, size_t n_carried, int *body_values)
{
        return loop_begin(builder, false, n_steps, captures, n_captures, carried, n_carried,
                          body_values);
}

int td_builder_while_begin(td_builder *builder, int64_t max_steps, const int *captures,
                           size_t n_captures, const int *carried, size_t n_carried,
                           int *body_values)
{
        return loop_begin(builder, true, max_steps, captures, n_captures, carried, n_carried,
                          body_values);
}

/* What the loop yields and watches. */
static bool loop_complete(td_builder *builder, struct builder_block *inner, const int *body_results,
                          size_t n_results, const int *watch, size_t n_watch, int64_t every,
                          const int64_t *at, size_t n_at)
{
        struct td_loop *loop = inner->loop;

        if (n_results != loop->n_results || n_results + n_watch > TD_RESULTS_MAX ||
            n_at > TD_VALUES_MAX * 16U) {
                td_refuse(
                        &builder->refusal, TD_E_BAD_PROGRAM,
                        "loop: %zu results for %u carried values, %zu watched (at most %d in all)",
                        n_results, loop->n_results, n_watch, TD_RESULTS_MAX);
                return false;
        }
        loop->results = take_values(builder, "loop results", body_results, n_results,
                                    inner->n_values);
        loop->watch = loop->results
                              ? take_values(builder, "loop watch", watch, n_watch, inner->n_values)
                              : NULL;
        if (!loop->watch)
                return false;
        loop->n_watch = (uint32_t)n_watch;
        loop->every = n_watch ? every : 0;
        if (n_watch && n_at) {
                loop->at = malloc(n_at * sizeof(*loop->at));
                if (!loop->at) {
                        refuse_memory(builder);
                        return false;
                }
                memcpy(loop->at, at, n_at * sizeof(*loop->at));
                loop->n_at = (uint32_t)n_at;
        }
        return true;
}

static uint32_t loop_n_results(const struct td_loop *loop)
{
        return loop->n_results + loop->n_watch + loop->is_while;
}

/* Make the loop a node of the outer block, which is the current one again. */
static int loop_close(td_builder *builder, struct builder_block *inner)
{
        struct builder_block *outer = builder->current;
        struct td_type arg_types[TD_ARGS_MAX];
        struct td_node *node = NULL;
        uint32_t n_results = loop_n_results(inner->loop);

        inner->loop->body = inner->block;
        for (uint32_t i = 0; i < inner->n_args; i++)
                arg_types[i] = outer->types[inner->args[i]];
        if (values_reserve(builder, n_results))
                node = node_add(builder, inner->loop->is_while ? TD_OP_WHILE : TD_OP_LOOP,
                                inner->args, inner->n_args);
        if (!node)
                return -1;
        node->attrs = (struct td_attrs){ .set = TD_ATTR_LOOP };
        node->loop = inner->loop;
        if (td_check_loop(node, &builder->refusal) ||
            td_infer_loop_results(node->loop, arg_types, inner->types, inner->n_values,
                                  outer->types + outer->n_values, &builder->refusal))
                return -1;
        outer->block.n_nodes++;
        return values_add(builder, n_results);
}

int td_builder_loop_end(td_builder *builder, const int *body_results, size_t n_results,
                        const int *watch, size_t n_watch, int64_t every, const int64_t *at,
                        size_t n_at, int *results)
{
        struct builder_block *inner = builder->current;
        int first;

        if (is_refused(builder))
                return -1;
        if (inner == &builder->top) {
                td_refuse(&builder->refusal, TD_E_BAD_PROGRAM, "loop: one ends that did not begin");
                return refuse_node(builder);
        }
        if (!loop_complete(builder, inner, body_results, n_results, watch, n_watch, every, at,
                           n_at))
                return refuse_node_of(builder, inner->outer);
        builder->current = inner->outer;
        first = loop_close(builder, inner);
        for (uint32_t i = 0; first >= 0 && results && i < loop_n_results(inner->loop); i++)
                results[i] = first + (int)i;
        if (first < 0) {
                loop_free(inner->loop);
                free(inner->args);
                refuse_node(builder);
        }
        free(inner->types);
        free(inner);
        return first;
}

int td_builder_while_end(td_builder *builder, const int *body_results, size_t n_results,
                         int *results)
{
        return td_builder_loop_end(builder, body_results, n_results, NULL, 0, 0, NULL, 0, results);
}

/* ---- bounds of a run ---- */

void td_builder_set_deadline(td_builder *builder, int64_t deadline_ms)
{
        builder->has_deadline = deadline_ms >= 0;
        builder->deadline_ms = deadline_ms;
}

void td_builder_set_threads(td_builder *builder, unsigned n_threads)
{
        builder->n_threads = n_threads;
}

void td_builder_set_progress(td_builder *builder, unsigned every_ms,
                             bool (*tell)(void *ctx, uint64_t n_done, uint64_t n_steps), void *ctx)
{
        builder->progress_ms = !tell                           ? 0
                               : every_ms < TD_PROGRESS_MS_MIN ? TD_PROGRESS_MS_MIN
                                                               : every_ms;
        builder->tell = tell;
        builder->tell_ctx = ctx;
}

/* ---- what there is ---- */

const struct td_type *td_builder_type(const td_builder *builder, int value)
{
        const struct builder_block *b = builder->current;

        return value >= 0 && (uint32_t)value < b->n_values ? &b->types[value] : NULL;
}

int td_builder_check(const td_builder *builder, td_error *error)
{
        const struct td_refusal *refusal = &builder->refusal;

        if (refusal->code == TD_OK && builder->current != &builder->top)
                return error_set(error, TD_E_BAD_PROGRAM, "loop: one was begun and not ended");
        if (refusal->code == TD_OK)
                return TD_OK;
        error_set(error, refusal->code, "%s", refusal->message);
        if (error)
                error->node = refusal->node;
        return refusal->code;
}

int builder_check_bound(const td_builder *builder, td_error *error)
{
        int r = td_builder_check(builder, error);

        for (uint32_t i = 0; r == TD_OK && i < builder->top.block.n_inputs; i++)
                if (builder->inputs[i].is_parameter)
                        r = error_set(error, TD_E_BAD_PROGRAM,
                                      "value %u is a parameter, which stands for nothing: only a "
                                      "definition has some",
                                      i);
        return r;
}
