/* SPDX-License-Identifier: MIT */
/*
 * Functions
 *
 * A definition is known to one connection, under a number of this client's. A function keeps all
 * that it takes to define it again: whoever calls it on a later connection does so first, and if
 * several threads do, one of their definitions stays.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- defining ---- */

struct defining {
        const struct definition *definition;
        uint64_t number;
};

static int encode_define(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                         td_error *error)
{
        const struct defining *defining = ctx;

        (void)client;
        (void)error;
        frame_define(frame, msgid, defining->number, defining->definition);
        return TD_OK;
}

/* The connection of that epoch knows it under that number. */
static void function_take(td_function *function, uint64_t number, uint32_t epoch)
{
        td_client *client = function->client;

        pthread_mutex_lock(&client->lock);
        if (function->epoch == client->epoch && epoch == client->epoch) {
                /* another thread was faster */
                exchange_undefined(client, number, function->definition.nodes.n_bytes);
        } else {
                function->number = number;
                function->epoch = epoch;
        }
        pthread_mutex_unlock(&client->lock);
}

int function_define(td_function *function, td_error *error)
{
        td_client *client = function->client;
        struct defining defining = {
                .definition = &function->definition,
                .number = atomic_fetch_add_explicit(&client->next_definition, 1,
                                                    memory_order_relaxed),
        };
        struct reader result;
        struct call call;
        int r;

        call_init(&call);
        r = client_repeat(client, encode_define, &defining, true, &call, &result, error);
        if (r == TD_OK)
                function_take(function, defining.number, call.epoch);
        call_deinit(&call);
        return r;
}

static int check_values(const td_builder *builder, const int *values, size_t n_values,
                        td_error *error)
{
        int r = td_builder_check(builder, error);

        if (r == TD_OK && n_values > TD_OUTPUTS_MAX)
                r = error_set(error, TD_E_BAD_PROGRAM, "%zu outputs are more than the limit of %d",
                              n_values, TD_OUTPUTS_MAX);
        for (size_t i = 0; i < n_values && r == TD_OK; i++)
                if (!td_builder_type(builder, values[i]))
                        r = error_set(error, TD_E_BAD_PROGRAM, "outputs: there is no value %d",
                                      values[i]);
        return r;
}

/* NULL: no memory */
static td_function *function_new(td_client *client, const td_builder *builder, const int *values,
                                 size_t n_values)
{
        td_function *function = calloc(1, sizeof(*function));
        struct definition *definition;

        if (!function)
                return NULL;
        function->client = client_ref(client);
        definition = &function->definition;
        frame_init(&definition->nodes);
        frame_nodes(&definition->nodes, &builder->top.block);
        definition->n_inputs = builder->top.block.n_inputs;
        definition->n_values = (uint32_t)n_values;
        definition->types = calloc(definition->n_inputs + n_values + 1, sizeof(*definition->types));
        definition->values = calloc(n_values + 1, sizeof(*definition->values));
        if (definition->nodes.has_failed || !definition->types || !definition->values) {
                td_function_free(function);
                return NULL;
        }
        for (uint32_t i = 0; i < definition->n_inputs; i++)
                definition->types[i] = builder->inputs[i].view.type;
        for (size_t i = 0; i < n_values; i++) {
                definition->types[definition->n_inputs + i] = *td_builder_type(builder, values[i]);
                definition->values[i] = (uint32_t)values[i];
        }
        return function;
}

int td_define(td_client *client, const td_builder *builder, const int *values, size_t n_values,
              td_function **functionp, td_error *error)
{
        td_function *function;
        int r = check_values(builder, values, n_values, error);

        if (r)
                return r;
        function = function_new(client, builder, values, n_values);
        if (!function)
                return fail_no_memory(error);
        r = function_define(function, error);
        if (r)
                td_function_free(function);
        else
                *functionp = function;
        return r;
}

void td_function_free(td_function *function)
{
        td_client *client;

        if (!function)
                return;
        client = function->client;
        pthread_mutex_lock(&client->lock);
        if (function->epoch && function->epoch == client->epoch)
                exchange_undefined(client, function->number, function->definition.nodes.n_bytes);
        pthread_mutex_unlock(&client->lock);
        frame_deinit(&function->definition.nodes);
        free(function->definition.types);
        free(function->definition.values);
        free(function);
        client_unref(client);
}

/* ---- calling ---- */

static int check_types(const struct definition *definition, const td_builder *arguments,
                       td_error *error)
{
        for (uint32_t i = 0; i < definition->n_inputs; i++) {
                const struct td_type *type = &arguments->inputs[i].view.type;
                const struct td_type *wanted = &definition->types[i];

                if (td_type_same(type, wanted))
                        continue;
                return error_set(error,
                                 type->dtype == wanted->dtype ? TD_E_SHAPE_MISMATCH
                                                              : TD_E_DTYPE_MISMATCH,
                                 "call: argument %u is %s of shape %s, but was defined as %s of "
                                 "shape %s",
                                 i, td_dtype_name(type->dtype), td_type_text(type).s,
                                 td_dtype_name(wanted->dtype), td_type_text(wanted).s);
        }
        return TD_OK;
}

static int check_call(const struct definition *definition, const td_builder *arguments,
                      const td_output *outputs, size_t n_outputs, td_error *error)
{
        const struct td_block *block = &arguments->top.block;
        int r = builder_check_bound(arguments, error);

        if (r)
                return r;
        if (block->n_nodes > 0)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "call: arguments are inputs alone, but there are operations too");
        if (block->n_inputs != definition->n_inputs || n_outputs != definition->n_values)
                return error_set(error, TD_E_BAD_ARGUMENTS,
                                 "call: %u arguments and %zu outputs, but the function has %u "
                                 "parameters and %u results",
                                 block->n_inputs, n_outputs, definition->n_inputs,
                                 definition->n_values);
        for (size_t i = 0; i < n_outputs && r == TD_OK; i++)
                if (outputs[i].name)
                        r = check_name(outputs[i].name, error);
        return r ? r : check_types(definition, arguments, error);
}

int td_function_call(td_function *function, const td_builder *arguments, const td_output *outputs,
                     size_t n_outputs, td_tensor **tensors, td_error *error)
{
        int r = check_call(&function->definition, arguments, outputs, n_outputs, error);

        return r ? r
                 : run_program(function->client, arguments, function, outputs, n_outputs, tensors,
                               error);
}

int td_function_submit(td_function *function, const td_builder *arguments, const td_output *outputs,
                       size_t n_outputs, td_tensor **tensors, td_pending **pending, td_error *error)
{
        int r = check_call(&function->definition, arguments, outputs, n_outputs, error);

        return r ? r
                 : submit_program(function->client, arguments, function, outputs, n_outputs,
                                  tensors, pending, error);
}
