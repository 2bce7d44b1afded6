/* SPDX-License-Identifier: MIT */
/*
 * create seal put open wait map unmap release lend
 */
#include <string.h>

#include "base/clock.h"
#include "service/claims.h"
#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"
#include "service/fetch.h"
#include "service/starved.h"

static void request_desc(struct desc *desc, const struct request *request)
{
        if (request->has_order)
                desc_init_ordered(desc, &request->type, request->order);
        else
                desc_init_c(desc, &request->type);
}

/* ---- create ---- */

/* The memory is there (or none is needed): the tensor exists, unsealed. */
static void create_finish(struct call *call)
{
        struct promise *promise = call->results[0];
        _cleanup_(tensor_unrefp) struct tensor *tensor = NULL;
        struct reply *reply;
        struct desc desc;
        int r;

        if (!call->client) {
                failure_set(&call->failure, TD_E_CANCELLED, "the connection ended");
                call_fail(call);
                return;
        }
        request_desc(&desc, call->request);
        r = tensor_new(&tensor, call->service->store, call->user, &desc, steal_ptr(&call->segment),
                       NULL, call->client);
        if (!r && call->request->mutable)
                r = tensor_set_mutable(tensor);
        if (r) {
                call_fail_store(call, r, "tensor", 0);
                return;
        }
        /* Who waits for it seals it: nothing fails behind that. */
        if (describe_begin(call, tensor, DESCRIBE_MAP, true, &reply))
                return;
        promise->reservation = steal_ptr(&call->reservations[0]);
        promise->op_id = call_op_id(call);
        promise->is_evictable = call->request->evictable;
        call_set_result(call, 0, tensor);
        call_done(call, reply);
}

static void create_run(struct work *work)
{
        struct call *call = container_of(work, struct call, work);

        call->result = segment_allocate(call->segment);
}

static void create_done(struct call *call)
{
        uint64_t n_bytes = segment_n_bytes(call->segment);

        if (call_has_stopped(call))
                return;
        if (call->result) {
                call->segment = segment_unref(call->segment);
                call_fail_store(call, call->result, "tensor", n_bytes);
                return;
        }
        create_finish(call);
}

void handle_create(struct call *call)
{
        uint64_t n_bytes = (uint64_t)td_type_n_bytes(&call->request->type);
        bool is_ready;
        int r;

        if (n_bytes == 0) {
                create_finish(call);
                return;
        }
        r = starved_reserve(call, call->user, call->client ? &call->client->holder : NULL, n_bytes,
                            &call->segment, &is_ready);
        if (r) {
                call->segment = NULL;
                call_fail_store(call, r, "tensor", n_bytes);
        } else if (is_ready) {
                create_finish(call);
        } else if (n_bytes > SMALL_BYTES) {
                service_submit(call->service, call, UINT64_MAX, create_run, create_done);
        } else {
                create_run(&call->work);
                create_done(call);
        }
}

void handle_seal(struct call *call)
{
        struct promise *promise = call->pins[0].wait.promise;
        struct tensor *tensor = call->pins[0].tensor;
        struct commit commit;
        int r;

        if (tensor->state != TENSOR_UNSEALED) {
                call_refuse(call, TD_E_SEALED, "seal: the tensor is sealed already");
                return;
        }
        if (!promise || tensor->creator != call->client) {
                call_refuse(call, TD_E_NOT_CREATOR,
                            "seal: only the connection that created the tensor seals it");
                return;
        }
        r = tensor_seal(tensor);
        if (!r && promise->reservation) {
                commit = (struct commit){ .reservation = promise->reservation,
                                          .tensor = tensor,
                                          .is_evictable = promise->is_evictable };
                r = store_commit(call->service->store, &commit, 1, &promise->op_id);
                if (!r)
                        promise->reservation = NULL;
                else
                        tensor_unseal(tensor, call->client);
        }
        if (r) {
                call_fail_store(call, r, "the tensor", 0);
                return;
        }
        describe_and_finish(call, tensor, DESCRIBE_PLACE, false);
}

/* ---- put ---- */

void handle_put(struct call *call)
{
        const struct request *request = call->request;
        _cleanup_(tensor_unrefp) struct tensor *tensor = NULL;
        struct op_id op_id = call_op_id(call);
        struct commit commit;
        struct desc desc;
        int r;

        request_desc(&desc, request);
        r = tensor_new_instead(&tensor, call->service->store, call->user, &desc, request->data,
                               reservation_leaves(call->reservations[0]));
        if (!r && call->reservations[0]) {
                commit = (struct commit){ .reservation = call->reservations[0],
                                          .tensor = tensor,
                                          .is_evictable = request->evictable };
                r = store_commit(call->service->store, &commit, 1, &op_id);
                if (!r)
                        call->reservations[0] = NULL;
        }
        if (r) {
                call_fail_store(call, r, request->name ? request->name : "tensor", request->n_data);
                return;
        }
        describe_and_finish(call, tensor, DESCRIBE_DATA, false);
}

/* ---- open, map ---- */

static void open_tensor(struct call *call, struct tensor *tensor)
{
        describe_and_finish(call, tensor, call->request->map ? DESCRIBE_MAP : DESCRIBE_DATA, false);
}

void handle_open(struct call *call)
{
        struct tensor *tensor = call_visible_tensor(call);

        if (tensor)
                open_tensor(call, tensor);
}

/* Entered again whenever the name was given a value, or memory came free. */
void handle_wait(struct call *call)
{
        struct pin *pin = &call->pins[0];
        struct tensor *tensor;
        int r;

        r = pin->tensor ? 0 : call_find_name(call, &call->request->ref, &tensor);
        if (!r) {
                if (!pin->tensor)
                        pin->tensor = tensor_ref(tensor);
                if (!fetch_all(call))
                        open_tensor(call, pin->tensor);
        } else if (r != STORE_E_NOT_FOUND) {
                call_fail_store(call, r, call->request->ref.name, 0);
        } else if (!call->request->has_deadline) {
                call_set_stopped(call, CALL_STOPS_LATE);
                call_fail(call);
        } else if (call_count_waiting(call)) {
                call_fail(call);
        } else if (waiters_add(&call->service->waiters, call)) {
                call_refuse(call, TD_E_INTERNAL, "the daemon has no memory");
        }
}

void handle_map(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;
        bool is_creator = tensor->state == TENSOR_UNSEALED && tensor->creator == call->client;

        if (call->request->writable && tensor->user != call->user) {
                call_refuse(call, TD_E_NOT_OWNER,
                            "map: the tensor is uid %u's, who alone may write",
                            (unsigned)tensor->user->uid);
                return;
        }
        if (call->request->writable && tensor->state == TENSOR_SEALED) {
                call_refuse(call, TD_E_SEALED, "map: a sealed tensor is not mapped for writing");
                return;
        }
        if (call->request->writable && tensor->state == TENSOR_MUTABLE &&
            !claim_may_write(call->client, tensor)) {
                call_refuse(call, TD_E_NOT_MUTABLE,
                            "map: this connection holds no lease to write the tensor");
                return;
        }
        if (!is_creator && !call_visible_tensor(call))
                return;
        describe_and_finish(call, tensor, DESCRIBE_MAP, call->request->writable);
}

/* ---- unmap, release ---- */

void handle_unmap(struct call *call)
{
        for (uint32_t i = 0; i < call->request->n_ids; i++)
                store_unmap(call->service->store, &call->client->holder, call->request->ids[i]);
        call_done_nil(call);
}

void handle_lend(struct call *call)
{
        struct loans *loans = &call->service->loans;

        for (uint32_t i = 0; i < call->n_pins; i++) {
                if (call->pins[i].tensor->state != TENSOR_UNSEALED)
                        continue;
                call_refuse(call, TD_E_NOT_SEALED, "lend: handle %llu is still being written",
                            (unsigned long long)call->request->ids[i]);
                return;
        }
        for (uint32_t i = 0; i < call->n_pins; i++) {
                int r = loan_begin(loans, call->pins[i].tensor, clock_now_ms());

                if (!r)
                        continue;
                call_refuse(call, r == LOAN_E_LIMIT ? TD_E_TOO_MANY : TD_E_INTERNAL,
                            r == LOAN_E_LIMIT ? "lend: this user has lent %d tensors, the limit"
                                              : "the daemon has no memory",
                            LOANS_MAX);
                return;
        }
        call_done_nil(call);
}

void handle_release(struct call *call)
{
        for (uint32_t i = 0; i < call->request->n_ids; i++) {
                struct promise *promise = promise_find(call->client->promises,
                                                       call->request->ids[i]);

                if (promise)
                        promise_unlink(promise);
        }
        call_done_nil(call);
}
