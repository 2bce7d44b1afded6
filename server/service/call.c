/* SPDX-License-Identifier: MIT */
#include "service/call.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "service/claims.h"
#include "service/core.h"
#include "service/definition.h"
#include "service/dispatch.h"
#include "service/donate.h"
#include "service/fetch.h"
#include "service/progress.h"
#include "service/starved.h"
#include "service/waiters.h"

/* ---- memory ---- */

static void call_unpin(struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct pin *pin = &call->pins[i];

                list_unlink(&pin->wait.link);
                pin->claim = claim_free(pin->claim);
                if (pin->wait.promise)
                        pin->wait.promise = promise_unref(pin->wait.promise);
                else
                        tensor_unref(pin->tensor);
                pin->tensor = NULL;
        }
        call->n_pins = 0;
}

void call_stop_waiting(struct call *call)
{
        if (call->is_waiting && call->client)
                call->client->n_waiting--;
        call->is_waiting = false;
}

void call_count_bytes(struct call *call, uint64_t n_bytes)
{
        call->n_bytes += n_bytes;
        charge_adopt_more(&call->workspace, n_bytes);
        if (call->client)
                call->client->n_bytes += n_bytes;
}

static void call_free(struct call *call)
{
        assert(!call->repeat && !call->is_submitted);
        starved_leave(call);
        fetch_end(call);
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
        waiters_remove(&call->service->waiters, call);
        list_unlink(&call->queue);
        segment_unref(call->segment);
        heap_remove(&call->service->timed, &call->timed);
        progress_unwatch(call);
        run_state_free(call->run);
        sharing_free(call->sharing);
        definition_unref(call->definition);
        request_free(call->request);
        charge_drop(&call->workspace);
        charge_drop(&call->counted);
        user_unref(call->user);
        free(call);
}

/* ---- start and end ---- */

int call_wait(struct call *call)
{
        return call->n_pending > 0 ? call_count_waiting(call) : 0;
}

int call_count_waiting(struct call *call)
{
        if (!call->client)
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

/* 0, or -1 and the call's failure is set. */
static int call_check_owner(struct call *call)
{
        if (!handlers[call->request->method].is_owners)
                return 0;
        for (uint32_t i = 0; i < call->n_pins; i++) {
                const struct tensor *tensor = call->pins[i].tensor;

                if (tensor->user == call->user)
                        continue;
                failure_set(&call->failure, TD_E_NOT_OWNER, "%s: the tensor is uid %u's",
                            method_name(call->request->method), (unsigned)tensor->user->uid);
                return -1;
        }
        return 0;
}

/*
 * What it names of another user's may be unshared while it waits. By a handle it stays to be had.
 * 0, or -1 and the call's failure is set.
 */
static int call_check_shared(struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins; i++) {
                const struct tensor *tensor = call->pins[i].tensor;

                if (!tensor || call->pins[i].wait.promise || tensor->user == call->user ||
                    tensor_is_shared(tensor) || call_is_administrators(call))
                        continue;
                failure_set(&call->failure, TD_E_NOT_FOUND,
                            "%s: uid %u does not share the tensor any more",
                            method_name(call->request->method), (unsigned)tensor->user->uid);
                return -1;
        }
        return 0;
}

/* Of what it refers to. */
static bool call_needs_bytes(const struct call *call)
{
        bool hides = call->request->method == METHOD_SHARE && !call->request->shared;

        return !handlers[call->request->method].leaves_spilled && !hides;
}

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
        /* What was to be fetched is not there. */
        if (call->failure.code || call_check_owner(call) || call_check_shared(call)) {
                call_fail(call);
                return;
        }
        if (call_needs_bytes(call) && fetch_all(call))
                return;
        /* What was promised may be mutable, and in use. */
        if (claim_promised(call) || call_wait(call) ||
            (!call->n_pending && claim_check(call)))
                call_fail(call);
        else if (!call->n_pending)
                handlers[call->request->method].start(call);
}

void call_unblock(struct call *call)
{
        if (--call->n_pending > 0)
                return;
        call_stop_waiting(call);
        list_push_back(&call->service->ready, &call->queue);
}

void call_settle(struct promise *promise)
{
        struct wait *wait;

        while ((wait = list_first(&promise->waits, struct wait, link))) {
                list_unlink(&wait->link);
                call_unblock(wait->call);
        }
}

void call_set_result(struct call *call, uint32_t i, struct tensor *tensor)
{
        struct promise *promise = call->results[i];

        if (!promise)
                return;
        promise_fulfil(promise, tensor);
        call_settle(promise);
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
        if (promise->table && call->client)
                client_remember_failed(call->client, promise);
        else if (promise->table)
                promise_unlink(promise); /* of a connection that left */
        promise->state = PROMISE_FAILED;
        promise->failure = malloc(sizeof(*promise->failure));
        if (promise->failure) {
                *promise->failure = call->failure;
                charge_adopt_more(&promise->charge, sizeof(*promise->failure));
        }
        call_settle(promise);
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
        repeat_end(&service->repeats, repeat, is_success ? NULL : &call->failure, clock_now_ms());
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

void call_done_nil(struct call *call)
{
        struct reply *reply = call_begin_reply(call);

        if (reply)
                reply_nil(reply);
        call_done(call, reply);
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
        call->number = ++call->service->n_orphans_ever;
        call->left_ms = clock_now_ms();
        call->user->n_orphans++;
        list_unlink(&call->link);
        list_push_back(&call->service->orphans, &call->link);
}

bool call_may_cancel(const struct call *call)
{
        return request_is_run(call->request) || call->request->method == METHOD_LEASE ||
               call->request->method == METHOD_WAIT || call->line;
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
        case CALL_STOPS_BLOCKED:
                claim_set_blocked(call);
                break;
        case CALL_STOPS_SHUT:
                failure_set(&call->failure, TD_E_SHUTTING_DOWN, "%s: the daemon is stopping",
                            method);
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
        atomic_store(&call->stop, why);
        if (is_submitted && !service_withdraw(call->service, call))
                return;
        call_set_stopped(call, why);
        if (is_submitted)
                call->done(call);
        else
                call_fail(call);
}

bool call_has_stopped(struct call *call)
{
        enum call_stop why = atomic_load(&call->stop);

        if (!why)
                return false;
        call_set_stopped(call, why);
        call_fail(call);
        return true;
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
        if (starved_wait(call, r, asked))
                return;
        failure_from_store(&call->failure, r, call->service->store, what, asked);
        if (call->is_kept_back)
                failure_append(&call->failure, "; what is free is kept for a request that waits");
        call_fail(call);
}

/* ---- questions ---- */

void call_set_timer(struct call *call, uint64_t at_ms)
{
        if (at_ms == UINT64_MAX || (call->timed.is_in && call->timed.key <= at_ms))
                return;
        heap_remove(&call->service->timed, &call->timed);
        heap_add(&call->service->timed, &call->timed, at_ms);
}

uint64_t call_due_ms(const struct call *call)
{
        if (starved_due_ms(call) < call->deadline_ms)
                return starved_due_ms(call);
        if (call->blocked_until_ms < call->deadline_ms && claim_is_blocked(call))
                return call->blocked_until_ms;
        return call->deadline_ms;
}

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

bool call_is_administrators(const struct call *call)
{
        return call->user->uid == 0 || call->user->uid == call->service->config.uid;
}

const struct user *call_viewer(const struct call *call, const struct tensor *tensor)
{
        return call_is_administrators(call) ? tensor->user : call->user;
}

struct tensor *call_visible_tensor(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;

        if (tensor->state != TENSOR_UNSEALED)
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
