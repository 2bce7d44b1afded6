/* SPDX-License-Identifier: MIT */
/*
 * name replace delete list
 */
#include <string.h>

#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"

/* name and replace: what they may find under the name was decided when it was reserved */
void handle_name(struct call *call)
{
        struct tensor *tensor = call_visible_tensor(call);
        struct op_id op_id;
        struct commit commit;
        int r;

        if (!tensor)
                return;
        op_id = call_op_id(call);
        if (tensor->name) {
                call_refuse(call, TD_E_NAME_TAKEN,
                            "%s: the tensor has the name '%s' already; a tensor has one name",
                            method_name(call->request->method), tensor_name(tensor));
                return;
        }
        if (call->request->evictable && tensor->mutable) {
                call_refuse(call, TD_E_BAD_ARGUMENTS, "%s: a mutable tensor is not evictable",
                            method_name(call->request->method));
                return;
        }
        commit = (struct commit){ .reservation = call->reservations[0],
                                  .tensor = tensor,
                                  .is_evictable = call->request->evictable };
        r = store_commit(call->service->store, &commit, 1, &op_id);
        if (r) {
                call_fail_store(call, r, call->request->name, 0);
                return;
        }
        call->reservations[0] = NULL;
        describe_and_finish(call, tensor, DESCRIBE_DATA, false);
}

static bool is_anothers(const struct call *call)
{
        return call->request->has_owner && call->request->owner != call->user->uid;
}

/* Others hear no more than that a name which they may read is not theirs. */
static void delete_anothers(struct call *call)
{
        const struct request *request = call->request;
        struct store *store = call->service->store;
        struct tensor *tensor;
        int r;

        if (request->has_op_id) {
                call_refuse(call, TD_E_BAD_ARGUMENTS,
                            "delete: op_id is for one's own names, this is uid %u's",
                            (unsigned)request->owner);
                return;
        }
        if (call_is_administrators(call))
                r = store_delete(store, request->owner, request->name, NULL);
        else
                r = store_find_shared(store, request->owner, request->name, &tensor);
        if (r)
                call_fail_store(call, r, request->name, 0);
        else if (!call_is_administrators(call))
                call_refuse(call, TD_E_NOT_OWNER, "delete: '%s' is uid %u's", request->name,
                            (unsigned)request->owner);
        else
                call_done_nil(call);
}

void handle_delete(struct call *call)
{
        struct op_id op_id = call_op_id(call);
        int r;

        if (is_anothers(call)) {
                delete_anothers(call);
                return;
        }
        r = store_delete(call->service->store, call->user->uid, call->request->name, &op_id);
        if (r) {
                call_fail_store(call, r, call->request->name, 0);
                return;
        }
        call_done_nil(call);
}

static uid_t listed_owner(const struct call *call)
{
        return call->request->has_owner ? call->request->owner : call->user->uid;
}

/* is_all: also what is not shared, or lost. */
static uint32_t find_rows(struct call *call, bool is_all, struct listed rows[TD_LIST_MAX],
                          bool *morep)
{
        const struct request *request = call->request;
        struct store *store = call->service->store;

        return is_all ? store_list(store, listed_owner(call), request->prefix, request->after,
                                   request->lost, rows, request->limit, morep)
                      : store_list_shared(store, listed_owner(call), request->prefix,
                                          request->after, rows, request->limit, morep);
}

/* Of all names of their owner, on whichever page. */
static uint64_t count_lost(struct call *call)
{
        const struct user *owner = user_find(store_users(call->service->store), listed_owner(call));

        return owner ? owner->n_lost : 0;
}

void handle_list(struct call *call)
{
        const bool is_all = !is_anothers(call) || call_is_administrators(call);
        struct listed rows[TD_LIST_MAX];
        struct reply *reply = call_begin_reply(call);
        uint32_t n;
        bool more;

        if (reply) {
                n = find_rows(call, is_all, rows, &more);
                reply_map(reply, 2 + is_all);
                reply_key(reply, "tensors");
                reply_array(reply, n);
                for (uint32_t i = 0; i < n; i++) {
                        struct tensor *tensor = rows[i].tensor;

                        if (tensor)
                                describe(reply, call_viewer(call, tensor), tensor, DESCRIBE_BRIEF,
                                         false, false);
                        else
                                describe_lost(reply, rows[i].name, rows[i].loss);
                }
                reply_key(reply, "more");
                reply_bool(reply, more);
                if (is_all)
                        reply_key_uint(reply, "lost", count_lost(call));
        }
        call_done(call, reply);
}

/* The outcome of a run that committed all its named outputs: what still is there of them. */
static void replay_run(struct call *call)
{
        struct service *service = call->service;
        struct op_id op_id = call_op_id(call);
        struct reply *reply = call_begin_reply(call);

        if (reply) {
                reply_map(reply, 2);
                reply_key(reply, "outputs");
                reply_array(reply, call->n_results);
        }
        for (uint32_t i = 0; i < call->n_results; i++) {
                const char *name = call->request->outputs[i].name;
                struct tensor *tensor = NULL;

                if (name)
                        tensor = store_recall_name(service->store, call->user->uid, &op_id, name);
                if (!tensor) {
                        if (reply)
                                reply_nil(reply);
                        continue;
                }
                call_set_result(call, i, tensor);
                if (reply)
                        describe(reply, call->user, tensor, DESCRIBE_DATA, false, false);
        }
        if (reply) {
                reply_key(reply, "fds");
                reply_array(reply, 0);
        }
        failure_set(&call->failure, TD_E_GONE,
                    "the result of an earlier run of this request is gone");
        call_done(call, reply);
}

void handle_replay(struct call *call)
{
        struct op_id op_id = call_op_id(call);
        struct tensor *tensor = NULL;

        if (request_is_run(call->request) && call->request->method != METHOD_SNAPSHOT) {
                replay_run(call);
                return;
        }
        if (call->request->name)
                tensor = store_recall_name(call->service->store, call->user->uid, &op_id,
                                           call->request->name);
        if (tensor) {
                describe_and_finish(call, tensor, DESCRIBE_DATA, false);
                return;
        }
        failure_set(&call->failure, TD_E_GONE,
                    "the tensor was written, but its name means something else since");
        call_done_nil(call);
}
