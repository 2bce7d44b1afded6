/* SPDX-License-Identifier: MIT */
/*
 * Admission
 *
 * What happens to a request when it arrives, in this order: is it a repeat; what it refers to is
 * found and, of mutable tensors, claimed; the handles and names of its results are claimed. Where a
 * step fails the call ends, and gives back what the ones before took. Loop thread.
 */
#include "base/clock.h"
#include "service/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service/claims.h"
#include "service/core.h"
#include "service/definition.h"
#include "service/dispatch.h"
#include "service/progress.h"

static int call_new(struct call **callp, struct client *client, struct request *request)
{
        bool is_run = request_is_run(request);
        uint32_t n_pins = is_run                           ? request->n_inputs
                          : request->method == METHOD_LEND ? request->n_ids
                                                           : request->ref.kind != REF_NONE;
        uint32_t n_results = is_run ? request->program.n_outputs : 1;
        struct call *call = calloc(1, sizeof(*call) + n_pins * sizeof(*call->pins) +
                                              2 * n_results * sizeof(void *));

        if (!call)
                return -ENOMEM;
        call->pins = (struct pin *)(call + 1);
        call->results = (struct promise **)(call->pins + n_pins);
        call->reservations = (struct reservation **)(call->results + n_results);
        for (uint32_t i = 0; i < n_pins; i++) {
                list_init(&call->pins[i].wait.link);
                call->pins[i].wait.call = call;
        }
        call->n_pins = n_pins;
        call->n_results = n_results;
        call->service = client->service;
        call->client = client;
        call->user = user_ref(client->user);
        charge_adopt(&call->workspace, call->user, RESOURCE_WORKSPACE, 0);
        call->request = request;
        call->deadline_ms = call->blocked_until_ms = UINT64_MAX;
        list_init(&call->queue);
        list_init(&call->watched);
        list_push_back(&client->calls, &call->link);
        client->n_calls++;
        *callp = call;
        return 0;
}

/* Those that give something back are done at once, and never refused for want of it. */
static bool gives_back(const struct request *request)
{
        switch (request->method) {
        case METHOD_UNMAP:
        case METHOD_RELEASE:
        case METHOD_UNLEASE:
        case METHOD_UNDEFINE:
        case METHOD_CANCEL:
        case METHOD_DELETE:
                return true;
        default:
                return request->is_notification;
        }
}

/* It is one of its user's requests. 0, or -1 and its failure is set. */
static int call_charge(struct call *call)
{
        /* What is planned from a request takes about as much again. */
        const uint64_t n_bytes = sizeof(*call) + 2 * call->request->n_bytes +
                                 call->n_pins * sizeof(*call->pins);
        int r = 0;

        if (gives_back(call->request))
                charge_adopt(&call->counted, call->user, RESOURCE_REQUESTS, 1);
        else
                r = user_may_take(call->user, RESOURCE_WORKSPACE, n_bytes);
        if (!r && !call->counted.user)
                r = charge_take(&call->counted, call->user, RESOURCE_REQUESTS, 1);
        if (r)
                failure_from_charge(&call->failure, call->user->users);
        call_count_bytes(call, n_bytes);
        return r ? -1 : 0;
}

static void id_to_text(char text[33], const uint8_t id[16])
{
        for (int i = 0; i < 16; i++)
                snprintf(text + 2 * i, 3, "%02x", id[i]);
}

int call_find_name(const struct call *call, const struct ref *ref, struct tensor **tensorp)
{
        struct store *store = call->service->store;

        if (!ref->has_owner || ref->owner == call->user->uid)
                return store_find(store, call->user->uid, ref->name, tensorp);
        if (handlers[call->request->method].administers && call_is_administrators(call))
                return store_find(store, ref->owner, ref->name, tensorp);
        return store_find_shared(store, ref->owner, ref->name, tensorp);
}

/* 0, or -1 and the call's failure is set. */
static int call_resolve(struct call *call, struct pin *pin, const struct ref *ref)
{
        struct service *service = call->service;
        char text[33];
        int r;

        switch (ref->kind) {
        case REF_NONE:
                return 0;
        case REF_HANDLE:
                pin->wait.promise = promise_find(call->client->promises, ref->handle);
                if (!pin->wait.promise) {
                        failure_set(&call->failure, TD_E_NOT_FOUND,
                                    "this connection has no handle %llu",
                                    (unsigned long long)ref->handle);
                        return -1;
                }
                promise_ref(pin->wait.promise);
                if (pin->wait.promise->state == PROMISE_PENDING) {
                        list_push_back(&pin->wait.promise->waits, &pin->wait.link);
                        call->n_pending++;
                }
                return 0;
        case REF_NAME:
                r = call_find_name(call, ref, &pin->tensor);
                if (r) {
                        pin->tensor = NULL;
                        failure_from_store(&call->failure, r, service->store, ref->name, 0);
                        return -1;
                }
                break;
        case REF_ID:
                r = store_find_id(service->store, call->user->uid, ref->id, &pin->tensor);
                if (r) {
                        pin->tensor = NULL;
                        id_to_text(text, ref->id);
                        failure_set(&call->failure, TD_E_NOT_FOUND, "there is no tensor with id %s",
                                    text);
                        return -1;
                }
                break;
        }
        tensor_ref(pin->tensor);
        return 0;
}

static int call_claim_handle(struct call *call, uint32_t i, uint64_t handle)
{
        struct client *client = call->client;
        struct promise *taken;

        if (!handle)
                return 0;
        taken = promise_find(client->promises, handle);
        if (taken && taken->state == PROMISE_FAILED) {
                promise_unlink(taken);
        } else if (taken) {
                failure_set(&call->failure, TD_E_HANDLE_TAKEN,
                            "handle %llu is in use on this connection", (unsigned long long)handle);
                return -1;
        }
        if (HASH_COUNT(client->promises) >= TD_HANDLES_MAX) {
                failure_set(&call->failure, TD_E_TOO_MANY,
                            "this connection has %d handles, the limit; release some",
                            TD_HANDLES_MAX);
                return -1;
        }
        if (user_may_take(call->user, RESOURCE_WORKSPACE, PROMISE_BYTES)) {
                failure_from_charge(&call->failure, call->user->users);
                return -1;
        }
        if (promise_new(&call->results[i], &client->promises, handle)) {
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon has no memory");
                return -1;
        }
        charge_adopt(&call->results[i]->charge, call->user, RESOURCE_WORKSPACE, PROMISE_BYTES);
        return 0;
}

static int call_claim_name(struct call *call, uint32_t i, const char *name, bool replace)
{
        int r;

        if (!name)
                return 0;
        r = store_reserve_name(call->service->store, call->user, name, replace,
                               &call->reservations[i]);
        if (r) {
                call->reservations[i] = NULL;
                failure_from_store(&call->failure, r, call->service->store, name, 0);
                return -1;
        }
        return 0;
}

static int call_claim_handles(struct call *call)
{
        const struct request *request = call->request;

        if (!request_is_run(request))
                return call_claim_handle(call, 0, request->handle);
        for (uint32_t i = 0; i < call->n_results; i++)
                if (call_claim_handle(call, i, request->outputs[i].handle))
                        return -1;
        return 0;
}

static int call_claim_names(struct call *call)
{
        const struct request *request = call->request;

        if (!handlers[request->method].is_named_write)
                return 0;
        if (!request_is_run(request))
                return call_claim_name(call, 0, request->name,
                                       request->replace || request->method == METHOD_REPLACE);
        for (uint32_t i = 0; i < call->n_results; i++)
                if (call_claim_name(call, i, request->outputs[i].name, request->outputs[i].replace))
                        return -1;
        return 0;
}

/* Does it commit a name, or take one away? Only then its operation id means anything. */
static bool call_is_named_write(const struct call *call)
{
        const struct request *request = call->request;

        if (!handlers[request->method].is_named_write)
                return request->method == METHOD_DELETE;
        if (!request_is_run(request))
                return request->name;
        for (uint32_t i = 0; i < call->n_results; i++)
                if (request->outputs[i].name)
                        return true;
        return false;
}

/* Is this a repeat? 0: no, go on; 1: yes, and it is taken care of; -1: failure is set. */
static int call_check_repeat(struct call *call)
{
        const struct request *request = call->request;
        struct service *service = call->service;
        struct op_id op_id = call_op_id(call);
        struct tensor *tensor;
        struct repeat *repeat;

        if (!request->has_op_id || !call_is_named_write(call))
                return 0;
        repeat = repeat_find(&service->repeats, call->user->uid, request->op_id);
        if (repeat && repeat->running && gives_back(request)) {
                /* What is done at once was let in beyond the user's share: it does not wait. */
                failure_set(&call->failure, TD_E_BAD_ARGUMENTS,
                            "%s: op_id is that of another request, which is under way",
                            method_name(request->method));
                return -1;
        }
        if (repeat && repeat->running) {
                call->is_repeat = true;
                list_push_back(&repeat->joined, &call->queue);
                return 1;
        }
        if (repeat) {
                call->failure = repeat->failure;
                return -1;
        }
        if (!store_recall(service->store, call->user->uid, &op_id, &tensor)) {
                call->is_repeat = true;
                list_push_back(&service->ready, &call->queue);
                return 1;
        }
        if (request->is_retry && request->retry_ms > TD_OUTCOME_MS) {
                failure_set(&call->failure, TD_E_OUTCOME_UNKNOWN,
                            "first sent %llu ms ago; outcomes are remembered for %d ms, and "
                            "whether it took effect is not known",
                            (unsigned long long)request->retry_ms, TD_OUTCOME_MS);
                return -1;
        }
        return 0;
}

/* From here on a repeat joins it, and a failure is remembered. */
static int call_register(struct call *call)
{
        const struct request *request = call->request;
        struct service *service = call->service;

        if (!request->has_op_id || !handlers[request->method].has_outcome ||
            !call_is_named_write(call))
                return 0;
        if (repeat_new(&call->repeat, &service->repeats, call->user->uid, request->op_id, call)) {
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon has no memory");
                return -1;
        }
        return 0;
}

static int call_resolve_all(struct call *call)
{
        const struct request *request = call->request;

        if (request_is_run(request)) {
                for (uint32_t i = 0; i < call->n_pins; i++)
                        if (call_resolve(call, &call->pins[i], &request->inputs[i].ref))
                                return -1;
        } else if (request->method == METHOD_LEND) {
                for (uint32_t i = 0; i < call->n_pins; i++) {
                        struct ref ref = { .kind = REF_HANDLE, .handle = request->ids[i] };

                        if (call_resolve(call, &call->pins[i], &ref))
                                return -1;
                }
        } else if (handlers[request->method].refers && call->n_pins > 0) {
                return call_resolve(call, &call->pins[0], &request->ref);
        }
        return 0;
}

/* A call by number gets its program here, so that it may be undefined right behind it. */
static int call_find_definition(struct call *call)
{
        struct request *request = call->request;
        struct definition *definition;

        if (request->method != METHOD_CALL)
                return 0;
        definition = definition_find(&call->client->definitions, request->definition);
        if (!definition) {
                failure_set(&call->failure, TD_E_NOT_FOUND,
                            "this connection has no definition %llu",
                            (unsigned long long)request->definition);
                return -1;
        }
        if (request->n_inputs != definition->program.block.n_inputs ||
            request->program.n_outputs != definition->program.n_outputs) {
                failure_set(&call->failure, TD_E_BAD_ARGUMENTS,
                            "call: %u inputs and %u outputs, but definition %llu has %u and %u",
                            request->n_inputs, request->program.n_outputs,
                            (unsigned long long)request->definition,
                            definition->program.block.n_inputs, definition->program.n_outputs);
                return -1;
        }
        definition->n_refs++;
        call->definition = definition;
        request->nodes = nodes_ref(definition->nodes);
        request->program = definition->program;
        return 0;
}

static uint64_t after_ms(uint64_t ms)
{
        uint64_t at;

        /* UINT64_MAX: no bound was given */
        return __builtin_add_overflow(clock_now_ms(), ms, &at) || at == UINT64_MAX ? UINT64_MAX - 1
                                                                                   : at;
}

/* Its time begins; what waits counts. */
static int call_set_deadline(struct call *call)
{
        const struct request *request = call->request;
        uint64_t next_ms;

        if (!request->has_deadline && !request->wait_ms)
                return 0;
        if (request->has_deadline && request->deadline_ms == 0) {
                call_set_stopped(call, CALL_STOPS_LATE);
                return -1;
        }
        if (request->has_deadline)
                call->deadline_ms = after_ms(request->deadline_ms);
        if (request->wait_ms)
                call->blocked_until_ms = after_ms(request->wait_ms);
        next_ms = call->deadline_ms < call->blocked_until_ms ? call->deadline_ms
                                                             : call->blocked_until_ms;
        call_set_timer(call, next_ms);
        return 0;
}

void call_admit(struct client *client, struct request *request)
{
        struct call *call;
        int r;

        /* A notification, too: the peer counts on what it said. */
        if (call_new(&call, client, request)) {
                client->sink->lost(client->sink);
                request_free(request);
                return;
        }

        if (call_charge(call)) {
                call_fail(call);
                return;
        }
        /* A repeat needs nothing of what the first one needed: that may be gone by now. */
        r = call_check_repeat(call);
        if (r > 0) {
                if (call_claim_handles(call) || call_set_deadline(call))
                        call_fail(call);
                return;
        }
        /* What the request refers to was there before it: it is resolved first, so that it cannot
         * be its own result. */
        if (r < 0 || call_set_deadline(call) || call_find_definition(call) ||
            call_resolve_all(call) || claim_known(call) || call_claim_handles(call) ||
            call_wait(call) || call_register(call) || call_claim_names(call)) {
                call_fail(call);
                return;
        }
        progress_watch(call);
        if (call->n_pending == 0)
                list_push_back(&call->service->ready, &call->queue);
}
