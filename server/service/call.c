/* SPDX-License-Identifier: MIT */
#include "service/call.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service/core.h"
#include "service/definition.h"
#include "service/dispatch.h"
#include "service/donate.h"
#include "service/progress.h"

/* ---- memory ---- */

static void call_unpin(struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct pin *pin = &call->pins[i];

                list_unlink(&pin->wait.link);
                if (pin->wait.promise)
                        pin->wait.promise = promise_unref(pin->wait.promise);
                else
                        tensor_unref(pin->tensor);
                pin->tensor = NULL;
        }
        call->n_pins = 0;
}

static void call_stop_waiting(struct call *call)
{
        if (call->is_waiting && call->client)
                call->client->n_waiting--;
        call->is_waiting = false;
}

void call_count_bytes(struct call *call, uint64_t n_bytes)
{
        call->n_bytes += n_bytes;
        if (call->client)
                call->client->n_bytes += n_bytes;
}

static void call_free(struct call *call)
{
        assert(!call->repeat && !call->is_submitted);
        call_unpin(call);
        for (uint32_t i = 0; i < call->n_results; i++) {
                reservation_free(call->reservations[i]);
                promise_unref(call->results[i]);
        }
        call_stop_waiting(call);
        if (call->client) {
                call->client->n_calls--;
                call->client->n_bytes -= call->n_bytes;
        }
        call->user->n_orphans -= call->is_orphan;
        list_unlink(&call->link);
        list_unlink(&call->queue);
        segment_unref(call->segment);
        list_unlink(&call->timed);
        progress_unwatch(call);
        run_state_free(call->run);
        definition_unref(call->definition);
        request_free(call->request);
        user_unref(call->user);
        free(call);
}

static int call_new(struct call **callp, struct client *client, struct request *request)
{
        bool is_run = request_is_run(request);
        uint32_t n_pins = is_run ? request->n_inputs : request->ref.kind != REF_NONE;
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
        call->request = request;
        list_init(&call->queue);
        list_init(&call->timed);
        list_init(&call->watched);
        list_push_back(&client->calls, &call->link);
        client->n_calls++;
        /* What is planned from a request takes about as much again. */
        call_count_bytes(call, sizeof(*call) + 2 * request->n_bytes + n_pins * sizeof(*call->pins));
        *callp = call;
        return 0;
}

/* ---- admission ---- */

static void id_to_text(char text[33], const uint8_t id[16])
{
        for (int i = 0; i < 16; i++)
                snprintf(text + 2 * i, 3, "%02x", id[i]);
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
                r = store_find(service->store, call->user->uid, ref->name, &pin->tensor);
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
        if (promise_new(&call->results[i], &client->promises, handle)) {
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon has no memory");
                return -1;
        }
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

/* Its time begins; what waits counts. */
static int call_set_deadline(struct call *call)
{
        struct service *service = call->service;

        if (!call->request->has_deadline)
                return 0;
        if (call->request->deadline_ms == 0) {
                call_set_stopped(call, CALL_STOPS_LATE);
                return -1;
        }
        if (__builtin_add_overflow(service_now_ms(), call->request->deadline_ms,
                                   &call->deadline_ms))
                return 0;
        list_push_back(&service->timed, &call->timed);
        if (call->deadline_ms < service->next_deadline_ms)
                service->next_deadline_ms = call->deadline_ms;
        return 0;
}

static int call_wait(struct call *call)
{
        if (call->n_pending == 0)
                return 0;
        if (call->client->n_waiting >= TD_WAITING_MAX) {
                failure_set(&call->failure, TD_E_TOO_MANY,
                            "%d requests of this connection wait for earlier ones, the limit",
                            TD_WAITING_MAX);
                return -1;
        }
        call->is_waiting = true;
        call->client->n_waiting++;
        return 0;
}

void call_admit(struct client *client, struct request *request)
{
        struct call *call;
        int r;

        if (call_new(&call, client, request)) {
                if (!request->is_notification)
                        client->sink->lost(client->sink);
                request_free(request);
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
            call_resolve_all(call) || call_claim_handles(call) || call_wait(call) ||
            call_register(call) || call_claim_names(call)) {
                call_fail(call);
                return;
        }
        progress_watch(call);
        if (call->n_pending == 0)
                list_push_back(&call->service->ready, &call->queue);
}

/* ---- start and end ---- */

void call_start(struct call *call)
{
        assert(call->n_pending == 0);

        if (call->is_repeat) {
                if (call->failure.code)
                        call_fail(call);
                else
                        handle_replay(call);
                return;
        }
        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct pin *pin = &call->pins[i];

                if (!pin->wait.promise)
                        continue;
                if (pin->wait.promise->state == PROMISE_FAILED) {
                        if (pin->wait.promise->failure)
                                call->failure = *pin->wait.promise->failure;
                        else
                                failure_set(&call->failure, TD_E_INTERNAL,
                                            "the daemon has no memory");
                        call_fail(call);
                        return;
                }
                pin->tensor = pin->wait.promise->tensor;
        }
        handlers[call->request->method].start(call);
}

void call_settle(struct promise *promise, struct service *service)
{
        struct wait *wait;

        while ((wait = list_first(&promise->waits, struct wait, link))) {
                list_unlink(&wait->link);
                if (--wait->call->n_pending > 0)
                        continue;
                call_stop_waiting(wait->call);
                list_push_back(&service->ready, &wait->call->queue);
        }
}

void call_set_result(struct call *call, uint32_t i, struct tensor *tensor)
{
        struct promise *promise = call->results[i];

        if (!promise)
                return;
        assert(promise->state == PROMISE_PENDING);
        promise->state = PROMISE_READY;
        promise->tensor = tensor_ref(tensor);
        call_settle(promise, call->service);
}

/* Requests that name it come to know why it failed, also those that are still on their way. */
static void client_remember_failed(struct client *client, struct promise *promise)
{
        struct promise *failed;
        unsigned n = 0;

        list_push_back(&client->failed, &promise->failed);
        list_for_each (failed, &client->failed, failed)
                n++;
        if (n > TD_FAILED_MAX)
                promise_unlink(list_first(&client->failed, struct promise, failed));
}

/* The handles of a call that failed may be chosen anew; who names them inherits the failure. */
static void call_fail_result(struct call *call, struct promise *promise)
{
        if (promise->state != PROMISE_PENDING) {
                if (promise->table)
                        promise_unlink(promise);
                return;
        }
        if (promise->table)
                client_remember_failed(call->client, promise);
        promise->state = PROMISE_FAILED;
        promise->failure = malloc(sizeof(*promise->failure));
        if (promise->failure)
                *promise->failure = call->failure;
        call_settle(promise, call->service);
}

static void call_end_repeat(struct call *call, bool is_success)
{
        struct service *service = call->service;
        struct repeat *repeat = call->repeat;
        struct call *joined;

        if (!repeat)
                return;
        call->repeat = NULL;
        while ((joined = list_first(&repeat->joined, struct call, queue))) {
                list_unlink(&joined->queue);
                if (!is_success)
                        joined->failure = call->failure;
                list_push_back(&service->ready, &joined->queue);
        }
        repeat_end(&service->repeats, repeat, is_success ? NULL : &call->failure, service_now_ms());
}

struct reply *call_begin_reply(struct call *call)
{
        struct reply *reply;

        if (!call->client || call->request->is_notification)
                return NULL;
        reply = reply_new();
        if (reply)
                reply_begin_result(reply, call->request->msgid);
        return reply;
}

static void call_send(struct call *call, struct reply *reply)
{
        if (call->client && !call->request->is_notification)
                client_send(call->client, reply);
        else
                reply_free(reply);
}

void call_done(struct call *call, struct reply *reply)
{
        /*
         * only a repeat can leave results pending: those that are gone since, as its failure says
         */
        for (uint32_t i = 0; i < call->n_results; i++)
                if (call->results[i] && call->results[i]->state == PROMISE_PENDING)
                        call_fail_result(call, call->results[i]);
        call_end_repeat(call, true);
        donate_end(call, true);
        call_send(call, reply);
        call_free(call);
}

void call_fail(struct call *call)
{
        assert(call->failure.code);

        for (uint32_t i = 0; i < call->n_results; i++)
                if (call->results[i])
                        call_fail_result(call, call->results[i]);
        call_end_repeat(call, false);
        donate_end(call, false);
        if (call->client && !call->request->is_notification) {
                struct reply *reply = reply_new();

                if (reply)
                        failure_write(&call->failure, reply, call->request->msgid);
                call_send(call, reply);
        }
        call_free(call);
}

void call_orphan(struct call *call)
{
        assert(!call->is_orphan);
        call_stop_waiting(call);
        call->client->n_calls--;
        call->client->n_bytes -= call->n_bytes;
        call->client = NULL;
        call->is_orphan = true;
        call->user->n_orphans++;
        list_unlink(&call->link);
        list_push_back(&call->service->orphans, &call->link);
}

void call_set_stopped(struct call *call, enum call_stop why)
{
        const char *method = method_name(call->request->method);

        switch (why) {
        case CALL_STOPS_LATE:
                failure_set(&call->failure, TD_E_DEADLINE,
                            "%s: not done within its deadline of %llu ms", method,
                            (unsigned long long)call->request->deadline_ms);
                break;
        case CALL_STOPS_CANCELLED:
                failure_set(&call->failure, TD_E_CANCELLED, "%s: cancelled on request", method);
                break;
        case CALL_STOPS_GONE:
        case CALL_GOES_ON:
                failure_set(&call->failure, TD_E_CANCELLED,
                            "%s: cancelled, since the connection ended", method);
        }
}

void call_stop(struct call *call, enum call_stop why)
{
        bool is_submitted = call->is_submitted;

        if (atomic_load(&call->stop))
                return;
        if (is_submitted && !service_withdraw(call->service, call)) {
                atomic_store(&call->stop, why);
                return;
        }
        call_set_stopped(call, why);
        if (is_submitted)
                call->done(call);
        else
                call_fail(call);
}

void call_refuse(struct call *call, enum td_error_code code, const char *format, ...)
{
        char message[sizeof(call->failure.message)];
        va_list args;

        va_start(args, format);
        vsnprintf(message, sizeof(message), format, args);
        va_end(args);
        failure_set(&call->failure, code, "%s", message);
        call_fail(call);
}

void call_fail_store(struct call *call, int r, const char *what, uint64_t asked)
{
        struct service *service = call->service;

        if (r == STORE_E_TRIMMING) {
                uint64_t now_ms = service_now_ms();

                bool is_first = !call->starved_ms;

                if (is_first)
                        call->starved_ms = now_ms;
                if (now_ms - call->starved_ms < STARVED_MS) {
                        list_unlink(&call->queue);
                        /* Only the head of the queue is tried again, and stays it. */
                        if (is_first)
                                list_push_back(&service->starved, &call->queue);
                        else
                                list_push_front(&service->starved, &call->queue);
                        service->has_starved = true;
                        return;
                }
        }
        failure_from_store(&call->failure, r, service->store, what, asked);
        call_fail(call);
}

/* ---- questions ---- */

bool call_names_something(const struct call *call)
{
        for (uint32_t i = 0; i < call->n_results; i++)
                if (call->reservations[i])
                        return true;
        return call->repeat != NULL;
}

bool call_is_awaited(const struct call *call)
{
        for (uint32_t i = 0; i < call->n_results; i++)
                if (call->results[i] && !list_is_empty(&call->results[i]->waits))
                        return true;
        return false;
}

struct tensor *call_sealed_tensor(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;

        if (tensor->state == TENSOR_SEALED)
                return tensor;
        call_refuse(call, TD_E_NOT_SEALED, "%s: the tensor is still being written by its creator",
                    method_name(call->request->method));
        return NULL;
}

struct op_id call_op_id(const struct call *call)
{
        struct op_id op_id = { .is_set = call->request->has_op_id };

        memcpy(op_id.bytes, call->request->op_id, sizeof(op_id.bytes));
        return op_id;
}
