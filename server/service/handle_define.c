/* SPDX-License-Identifier: MIT */
/*
 * define, undefine
 *
 * A definition is checked whole when it is made: a call can only be refused for what it brings. It
 * is planned when it is called, once for each way in which its inputs lie (service/plans).
 */
#include <stdlib.h>

#include "compute/user/user_kernel.h"
#include "service/core.h"
#include "service/definition.h"
#include "service/dispatch.h"

/* 0, or -1 and the call is refused. */
static int check_room(struct call *call)
{
        const struct definitions *definitions = &call->client->definitions;
        unsigned n = HASH_COUNT(definitions->by_number);

        if (n >= TD_DEFINITIONS_MAX) {
                call_refuse(call, TD_E_TOO_MANY,
                            "define: this connection has %d definitions, the limit",
                            TD_DEFINITIONS_MAX);
                return -1;
        }
        if (definitions->n_bytes + call->request->nodes->n_bytes > DEFINITIONS_BYTES) {
                call_refuse(call, TD_E_TOO_MANY,
                            "define: the definitions of this connection take %zu bytes; with this "
                            "one they would pass the limit of %d",
                            definitions->n_bytes, DEFINITIONS_BYTES);
                return -1;
        }
        return 0;
}

static int infer(const struct call *call, struct td_refusal *refusal)
{
        struct request *request = call->request;
        _cleanup_(freep) struct td_type *types = NULL;
        uint64_t n;

        if (user_kernels_resolve(call->service->config.user_kernels, &request->program.block,
                                 refusal))
                return -1;
        if (td_program_n_values(&request->program, &n, refusal))
                return -1;
        types = reallocarray(NULL, n + 1, sizeof(*types));
        if (!types)
                return td_refuse(refusal, TD_E_INTERNAL, "the daemon has no memory");
        for (uint32_t i = 0; i < request->n_inputs; i++)
                types[i] = request->inputs[i].type;
        return td_infer_program(&request->program, types, types, refusal);
}

void handle_define(struct call *call)
{
        struct td_refusal refusal = { .node = -1 };
        int r;

        if (definition_find(&call->client->definitions, call->request->definition)) {
                call_refuse(call, TD_E_HANDLE_TAKEN,
                            "define: definition %llu is in use on this connection",
                            (unsigned long long)call->request->definition);
                return;
        }
        if (check_room(call))
                return;
        if (infer(call, &refusal)) {
                failure_from_refusal(&call->failure, &refusal);
                call_fail(call);
                return;
        }
        r = definition_new(&call->client->definitions, call->user, call->request);
        if (r > 0) {
                failure_from_charge(&call->failure, call->user->users);
                call_fail(call);
                return;
        }
        if (r) {
                call_refuse(call, TD_E_INTERNAL, "the daemon has no memory");
                return;
        }
        call_done_nil(call);
}

void handle_undefine(struct call *call)
{
        struct definitions *definitions = &call->client->definitions;

        for (uint32_t i = 0; i < call->request->n_ids; i++) {
                struct definition *definition = definition_find(definitions, call->request->ids[i]);

                if (definition)
                        definition_drop(definitions, definition);
        }
        call_done_nil(call);
}
