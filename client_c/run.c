/* SPDX-License-Identifier: MIT */
/*
 * Running programs
 *
 * A run keeps what it takes to ask again: inputs, encoded nodes, outputs. Handles are written when
 * it is sent, for the connection that is there then. An output that is unnamed, small and not to be
 * mapped is asked for as bytes: nothing of it stays in the daemon, and used again it travels along.
 * A call of a function is a run whose nodes the daemon has.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>

struct run {
        const struct builder_input *inputs;
        uint32_t n_inputs;
        td_function *function; /* that is called; NULL: a program with nodes of its own */
        struct frame nodes;
        const td_output *outputs;
        td_tensor **tensors; /* of the outputs */
        size_t n_outputs;
        bool is_write; /* it names something, and has an op_id */
        bool writes_into; /* a mutable tensor: not asked for twice */
        uint8_t op_id[16];
        int64_t deadline_ms; /* from its first sending on, -1: none */
        unsigned n_threads;  /* 0: all */
        unsigned progress_ms; /* 0: not told */
        bool (*tell)(void *ctx, uint64_t n_done, uint64_t n_steps);
        void *tell_ctx;
        int64_t first_ms;    /* when it was sent first, 0: not yet */
        bool takes_stale;    /* inputs that are gone: ask for the outcome all the same */
        td_tensor *stale;    /* input to be renewed; NULL: the function */
};

struct td_pending {
        td_client *client;
        struct run run;
        struct call call;
        struct builder_input *inputs; /* copies, with references to their tensors */
        td_output *outputs;           /* copies, with names */
};

/* ---- writing it ---- */

/* Bytes of a small tensor, as an immediate that lies in the same order. */
static int encode_bytes(struct frame *frame, const struct builder_input *input, td_error *error)
{
        const td_tensor *tensor = input->tensor;
        const struct view *view = &input->view;
        uint8_t bytes[TD_INLINE_MAX], order[TD_NDIM_MAX];
        int64_t low = view->offset, high = view->offset + td_dtype_size(view->type.dtype);
        int64_t n_bytes = td_type_n_bytes(&view->type);

        if (!input->has_view) {
                axes_in_order(order, &tensor->type, 'K', tensor->strides);
                frame_run_immediate(frame, &tensor->type, order, tensor->data, tensor->n_bytes);
                return TD_OK;
        }
        for (unsigned i = 0; i < view->type.ndim; i++) {
                int64_t reach;

                if (__builtin_mul_overflow(view->type.shape[i] - 1, view->strides[i], &reach) ||
                    __builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
                        low = -1;
        }
        if (n_bytes > 0 && (low < 0 || (uint64_t)high > tensor->n_bytes))
                return error_set(
                        error, TD_E_BAD_VIEW,
                        "shape %s, strides and offset reach outside of a tensor of shape %s",
                        td_type_text(&view->type).s, td_type_text(&tensor->type).s);
        if (n_bytes > TD_INLINE_MAX)
                return EXCHANGE_STALE;
        axes_in_order(order, &view->type, 'K', view->strides);
        copy_ordered(bytes, &view->type, order, tensor->data + view->offset, view->strides);
        frame_run_immediate(frame, &view->type, order, bytes, (size_t)n_bytes);
        return TD_OK;
}

static int encode_input(td_client *client, struct frame *frame, struct run *run,
                        const struct builder_input *input, td_error *error)
{
        td_tensor *tensor = input->tensor;
        int r;

        if (!tensor) {
                frame_run_immediate(frame, &input->view.type, input->order, input->data,
                                    input->n_data);
                return TD_OK;
        }
        if (tensor->client != client)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "a tensor of another client is no input; open it by name or id");
        if (tensor_check_donated(tensor, error))
                return TD_E_GONE;
        if (!tensor->handle) {
                r = encode_bytes(frame, input, error);
                if (r == EXCHANGE_STALE)
                        run->stale = tensor;
                return r;
        }
        if (tensor->epoch != client->epoch && !run->takes_stale) {
                run->stale = tensor;
                return EXCHANGE_STALE;
        }
        frame_run_handle(frame, tensor->handle, input->has_view ? &input->view : NULL,
                         input->donate && tensor_is_unused(tensor));
        return TD_OK;
}

/* What is left of it, where it is sent again. */
static int64_t run_deadline_ms(const struct run *run)
{
        int64_t gone_ms = run->first_ms ? now_ms() - run->first_ms : 0;

        if (run->deadline_ms < 0)
                return -1;
        return gone_ms < run->deadline_ms ? run->deadline_ms - gone_ms : 0;
}

static unsigned output_how(const td_output *output)
{
        return (output->replace ? TD_REPLACE : 0U) | (output->evictable ? TD_EVICTABLE : 0U);
}

static int encode_run(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                      td_error *error)
{
        struct run *run = ctx;
        td_function *function = run->function;
        bool is_retry = run->is_write && run->first_ms;

        if (function && function->epoch != client->epoch) {
                run->stale = NULL;
                return EXCHANGE_STALE;
        }
        frame_run_begin(frame, msgid, function ? function->number : 0,
                        (unsigned)run->is_write + is_retry + (run->deadline_ms >= 0) +
                                (run->n_threads > 0) + (run->progress_ms > 0) +
                                (memory_wait_ms(client) > 0),
                        run->n_inputs);
        for (uint32_t i = 0; i < run->n_inputs; i++) {
                int r = encode_input(client, frame, run, &run->inputs[i], error);

                if (r)
                        return r;
        }
        frame_run_nodes(frame, function ? NULL : &run->nodes, run->n_outputs);
        for (size_t i = 0; i < run->n_outputs; i++) {
                const td_output *output = &run->outputs[i];

                if (output->has_into) {
                        frame_run_into(frame, function ? -1 : output->value, output->into);
                        continue;
                }
                run->tensors[i]->epoch = client->epoch;
                frame_run_output(frame, function ? -1 : output->value, run->tensors[i]->handle,
                                 output->name, output_how(output),
                                 output->map && run->tensors[i]->handle);
        }
        frame_run_end(frame, run->is_write ? run->op_id : NULL,
                      is_retry ? now_ms() - run->first_ms : -1, run_deadline_ms(run),
                      run->n_threads, run->progress_ms, memory_wait_ms(client));
        return TD_OK;
}

/* ---- beginning ---- */

static bool is_inline(const td_output *output, const struct td_type *type)
{
        return !output->name && !output->map && td_type_is_known(type) &&
               td_type_n_bytes(type) <= TD_INLINE_MAX;
}

static int check_outputs(const td_builder *builder, const td_output *outputs, size_t n_outputs,
                         td_error *error)
{
        int r = builder_check_bound(builder, error);

        if (r == TD_OK && n_outputs > TD_OUTPUTS_MAX)
                r = error_set(error, TD_E_BAD_PROGRAM, "%zu outputs are more than the limit of %d",
                              n_outputs, TD_OUTPUTS_MAX);
        for (size_t i = 0; i < n_outputs && r == TD_OK; i++) {
                if (!td_builder_type(builder, outputs[i].value))
                        r = error_set(error, TD_E_BAD_PROGRAM, "outputs: there is no value %d",
                                      outputs[i].value);
                else if (outputs[i].has_into &&
                         (outputs[i].name || output_how(&outputs[i]) || outputs[i].map))
                        r = error_set(error, TD_E_BAD_ARGUMENTS,
                                      "output %zu goes into a tensor: it has no name of its own, "
                                      "and is not mapped",
                                      i);
                else if (outputs[i].name)
                        r = check_name(outputs[i].name, error);
        }
        return r;
}

static void free_tensors(td_tensor **tensors, size_t n)
{
        for (size_t i = 0; i < n; i++)
                td_tensor_free(tensors[i]);
}

/* What goes into a mutable tensor has none of its own. */
static void hand_over(const td_output *outputs, size_t n, td_tensor **made, td_tensor **tensors)
{
        for (size_t i = 0; i < n; i++) {
                tensors[i] = outputs[i].has_into ? NULL : made[i];
                if (outputs[i].has_into)
                        td_tensor_free(made[i]);
        }
}

/* Tensors for the outputs, with handles for those that stay in the daemon. */
static int make_tensors(td_client *client, const td_builder *builder, const td_function *function,
                        const td_output *outputs, size_t n_outputs, bool allows_inline,
                        td_tensor **tensors, td_error *error)
{
        for (size_t i = 0; i < n_outputs; i++) {
                const struct td_type *type =
                        function ? &function->definition.types[function->definition.n_inputs + i]
                                 : td_builder_type(builder, outputs[i].value);

                tensors[i] = tensor_new(client, type, outputs[i].name);
                if (!tensors[i]) {
                        free_tensors(tensors, i);
                        return fail_no_memory(error);
                }
                tensors[i]->is_pending = true;
                if (!outputs[i].has_into && (!allows_inline || !is_inline(&outputs[i], type)))
                        tensors[i]->handle = client_new_handle(client);
        }
        return TD_OK;
}

static void run_init(struct run *run, const td_builder *builder, td_function *function,
                     const td_output *outputs, size_t n_outputs, td_tensor **tensors)
{
        run->function = function;
        run->inputs = builder->inputs;
        run->n_inputs = builder->top.block.n_inputs;
        run->outputs = outputs;
        run->tensors = tensors;
        run->n_outputs = n_outputs;
        run->is_write = false;
        run->deadline_ms = builder->has_deadline ? builder->deadline_ms : -1;
        run->n_threads = builder->n_threads;
        run->progress_ms = builder->progress_ms;
        run->tell = builder->tell;
        run->tell_ctx = builder->tell_ctx;
        run->first_ms = 0;
        run->takes_stale = false;
        run->stale = NULL;
        frame_init(&run->nodes);
        if (!function)
                frame_nodes(&run->nodes, &builder->top.block);
        for (size_t i = 0; i < n_outputs; i++)
                run->is_write = run->is_write || outputs[i].name;
        run->writes_into = false;
        for (size_t i = 0; i < n_outputs; i++)
                run->writes_into = run->writes_into || outputs[i].has_into;
        if (run->is_write)
                random_id(run->op_id);
}

/* An input or the function is of an earlier connection. */
static int run_renew(struct run *run, td_error *error)
{
        bool has_handle;

        if (!run->stale)
                return function_define(run->function, error);
        pthread_mutex_lock(&run->stale->client->lock);
        has_handle = run->stale->handle;
        pthread_mutex_unlock(&run->stale->client->lock);
        return has_handle ? tensor_renew(run->stale, error) : tensor_make_known(run->stale, error);
}

/* Send, renewing what is of an earlier connection. */
static int run_begin(td_client *client, struct run *run, struct call *call, td_error *error)
{
        int r;

        if (run->nodes.has_failed)
                return fail_no_memory(error);
        call->may_cancel = true;
        for (uint32_t i = 0; i < run->n_inputs; i++)
                call->gives_away |= run->inputs[i].donate;
        call->tell = run->tell;
        call->tell_ctx = run->tell_ctx;
        while ((r = exchange_begin(client, call, encode_run, run, error)) == EXCHANGE_STALE) {
                r = run_renew(run, error);
                if (r == TD_E_GONE && run->first_ms && run->is_write)
                        run->takes_stale = true;
                else if (r)
                        return r;
        }
        if (r == TD_OK && !run->first_ms)
                run->first_ms = now_ms();
        return r;
}

/* ---- ending ---- */

static int run_read(struct run *run, const struct call *call, struct reader *result,
                    td_error *error)
{
        uint32_t n_keys = reader_map(result);
        int r = TD_OK;

        for (uint32_t i = 0; i < n_keys && r == TD_OK && !result->has_failed; i++) {
                size_t n_key;
                const char *key = reader_str(result, &n_key);

                if (!text_is(key, n_key, "outputs")) {
                        reader_skip(result);
                        continue;
                }
                if (reader_array(result) != run->n_outputs)
                        return error_set(error, TD_E_MALFORMED,
                                         "the daemon answered with another number of outputs");
                for (size_t k = 0; k < run->n_outputs && r == TD_OK; k++) {
                        bool has_into = run->outputs[k].has_into;
                        struct description description;

                        if (!read_description(result, &description) ||
                            (!has_into && !run->tensors[k]->handle && !description.data))
                                return error_set(
                                        error, TD_E_MALFORMED,
                                        "the daemon's description of an output cannot be read");
                        if (has_into)
                                run->tensors[k]->is_pending = false;
                        else
                                r = tensor_describe(run->tensors[k], &description, call->epoch,
                                                    error);
                }
        }
        for (size_t k = 0; k < run->n_outputs && r == TD_OK; k++)
                if (run->tensors[k]->is_pending)
                        return error_set(error, TD_E_MALFORMED,
                                         "the daemon's answer to run cannot be read");
        return r;
}

static void run_lend(const struct run *run)
{
        for (uint32_t i = 0; i < run->n_inputs; i++)
                if (run->inputs[i].donate)
                        tensor_lend(run->inputs[i].tensor);
}

static void run_end_loans(const struct run *run, bool is_success)
{
        for (uint32_t i = 0; i < run->n_inputs; i++)
                if (run->inputs[i].donate)
                        tensor_end_loan(run->inputs[i].tensor, is_success);
}

/*
 * Wait for the answer of what was begun, asking again where the connection breaks. What was
 * donated is gone as soon as the daemon says that it succeeded, whatever becomes of its answer.
 */
static int run_finish(td_client *client, struct run *run, struct call *call, bool *is_donep,
                      td_error *error)
{
        struct reader result;
        unsigned n_lost = 0;
        int r;

        while ((r = exchange_finish(client, call, &result, error)) == EXCHANGE_LOST) {
                r = client_lost(call, client, ++n_lost, run->is_write, error);
                if (r == TD_OK && run->writes_into)
                        r = client_unreachable(client, TD_E_CONNECTION_LOST, true, error);
                if (r)
                        return r;
                call_deinit(call);
                call_init(call);
                r = run_begin(client, run, call, error);
                if (r == TD_E_GONE)
                        return r;
                if (r)
                        return client_unreachable(client, r, run->is_write, error);
        }
        if (r == TD_E_NOT_FOUND && run->takes_stale)
                return error_set(error, TD_E_GONE,
                                 "an unnamed tensor ended with the daemon; name what must survive");
        if (r == TD_OK) {
                *is_donep = true;
                r = run_read(run, call, &result, error);
        }
        return r;
}

int run_program(td_client *client, const td_builder *builder, td_function *function,
                const td_output *outputs, size_t n_outputs, td_tensor **tensors, td_error *error)
{
        td_tensor *made[TD_OUTPUTS_MAX];
        struct run run;
        struct call call;
        bool is_done = false;
        int r = make_tensors(client, builder, function, outputs, n_outputs, true, made, error);

        if (r)
                return r;
        run_init(&run, builder, function, outputs, n_outputs, made);
        run_lend(&run);
        call_init(&call);
        r = run_begin(client, &run, &call, error);
        if (r == TD_OK)
                r = run_finish(client, &run, &call, &is_done, error);
        run_end_loans(&run, is_done);
        call_deinit(&call);
        frame_deinit(&run.nodes);
        if (r)
                free_tensors(made, n_outputs);
        else
                hand_over(outputs, n_outputs, made, tensors);
        return r;
}

int td_run(td_client *client, const td_builder *builder, const td_output *outputs, size_t n_outputs,
           td_tensor **tensors, td_error *error)
{
        int r = check_outputs(builder, outputs, n_outputs, error);

        return r ? r : run_program(client, builder, NULL, outputs, n_outputs, tensors, error);
}

/* ---- in two halves ---- */

static void pending_free(td_pending *pending)
{
        for (uint32_t i = 0; pending->inputs && i < pending->run.n_inputs; i++) {
                td_tensor_free(pending->inputs[i].tensor);
                free(pending->inputs[i].data);
        }
        for (size_t i = 0; i < pending->run.n_outputs; i++) {
                free((char *)(uintptr_t)pending->outputs[i].name);
                td_tensor_free(pending->run.tensors[i]);
        }
        free(pending->inputs);
        free(pending->outputs);
        free(pending->run.tensors);
        frame_deinit(&pending->run.nodes);
        call_deinit(&pending->call);
        client_unref(pending->client);
        free(pending);
}

/* Copy what the caller may free before the answer is there. */
static bool pending_take(td_pending *pending, const td_builder *builder, const td_output *outputs,
                         td_tensor *const *tensors)
{
        struct run *run = &pending->run;

        run->tensors = calloc(run->n_outputs + 1, sizeof(*run->tensors));
        pending->outputs = calloc(run->n_outputs + 1, sizeof(*pending->outputs));
        pending->inputs = calloc(run->n_inputs + 1, sizeof(*pending->inputs));
        if (!run->tensors || !pending->outputs || !pending->inputs) {
                run->n_outputs = 0;
                run->n_inputs = 0;
                return false;
        }
        run->inputs = pending->inputs;
        run->outputs = pending->outputs;
        for (size_t i = 0; i < run->n_outputs; i++) {
                run->tensors[i] = tensor_ref(tensors[i]);
                pending->outputs[i] = outputs[i];
                pending->outputs[i].name = NULL;
        }
        for (uint32_t i = 0; i < run->n_inputs; i++) {
                pending->inputs[i] = builder->inputs[i];
                pending->inputs[i].data = NULL;
                if (pending->inputs[i].tensor)
                        tensor_ref(pending->inputs[i].tensor);
        }
        for (size_t i = 0; i < run->n_outputs; i++)
                if (outputs[i].name && !(pending->outputs[i].name = strdup(outputs[i].name)))
                        return false;
        for (uint32_t i = 0; i < run->n_inputs; i++) {
                const struct builder_input *input = &builder->inputs[i];

                if (!input->data)
                        continue;
                pending->inputs[i].data = malloc(input->n_data ? input->n_data : 1);
                if (!pending->inputs[i].data)
                        return false;
                memcpy(pending->inputs[i].data, input->data, input->n_data);
        }
        return true;
}

int submit_program(td_client *client, const td_builder *builder, td_function *function,
                   const td_output *outputs, size_t n_outputs, td_tensor **tensors,
                   td_pending **pendingp, td_error *error)
{
        td_tensor *made[TD_OUTPUTS_MAX];
        td_pending *pending = calloc(1, sizeof(*pending));
        int r;

        if (!pending)
                return fail_no_memory(error);
        r = make_tensors(client, builder, function, outputs, n_outputs, false, made, error);
        if (r) {
                free(pending);
                return r;
        }
        pending->client = client_ref(client);
        run_init(&pending->run, builder, function, outputs, n_outputs, NULL);
        call_init(&pending->call);
        if (!pending_take(pending, builder, outputs, made))
                r = fail_no_memory(error);
        if (r == TD_OK) {
                run_lend(&pending->run);
                r = run_begin(client, &pending->run, &pending->call, error);
                if (r)
                        run_end_loans(&pending->run, false);
        }
        if (r) {
                pending_free(pending);
                free_tensors(made, n_outputs);
                return r;
        }
        hand_over(outputs, n_outputs, made, tensors);
        *pendingp = pending;
        return TD_OK;
}

int td_submit(td_client *client, const td_builder *builder, const td_output *outputs,
              size_t n_outputs, td_tensor **tensors, td_pending **pending, td_error *error)
{
        int r = check_outputs(builder, outputs, n_outputs, error);

        return r ? r
                 : submit_program(client, builder, NULL, outputs, n_outputs, tensors, pending,
                                  error);
}

void td_cancel(td_pending *pending)
{
        exchange_cancel(pending->client, &pending->call);
}

bool td_poll(td_pending *pending)
{
        return exchange_poll(pending->client, &pending->call);
}

int td_wait(td_pending *pending, td_error *error)
{
        struct run *run = &pending->run;
        bool is_done = false;
        int r = run_finish(pending->client, run, &pending->call, &is_done, error);

        run_end_loans(run, is_done);
        /* On failure the tensors end here: both references to them are ours. */
        for (size_t i = 0; r && i < run->n_outputs; i++)
                td_tensor_free(run->tensors[i]);
        pending_free(pending);
        return r;
}
