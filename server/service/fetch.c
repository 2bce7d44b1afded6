/* SPDX-License-Identifier: MIT */
#include "service/fetch.h"

#include <assert.h>
#include <errno.h>

#include "service/core.h"
#include "service/starved.h"
#include "store/spill.h"

/* ---- back into memory ---- */

static bool pin_wants_fetch(const struct pin *pin)
{
        return pin->tensor && tensor_wants_fetch(pin->tensor);
}

static int fetch_one(struct call *call, struct tensor *tensor)
{
        struct segment *segment = NULL;
        bool is_ready;
        int r;

        r = starved_reserve(call, tensor->user, NULL, tensor_n_bytes(tensor), &segment, &is_ready);
        return r ? r : store_fetch_prepare(call->service->store, tensor, segment, is_ready);
}

/* What goes for them goes at once: for several of the first one's user together. */
static int fetch_make_room(struct call *call, uint64_t *n_bytesp)
{
        struct user *user = NULL;
        uint64_t n_bytes = 0;
        unsigned n = 0;

        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct tensor *tensor = call->pins[i].tensor;

                if (!pin_wants_fetch(&call->pins[i]) || tensor->spilled->is_counted)
                        continue;
                tensor->spilled->is_counted = true;
                *n_bytesp += tensor_n_bytes(tensor);
                user = user ? user : tensor->user;
                n_bytes += user == tensor->user ? TD_HEADER_BYTES + tensor_n_bytes(tensor) : 0;
                n++;
        }
        for (uint32_t i = 0; i < call->n_pins; i++)
                if (pin_wants_fetch(&call->pins[i]))
                        call->pins[i].tensor->spilled->is_counted = false;
        return n > 1 ? store_make_room(call->service->store, user, n_bytes) : 0;
}

/* All of them are prepared, or none. */
static int fetch_prepare(struct call *call, uint64_t *n_bytesp)
{
        int r = fetch_make_room(call, n_bytesp);

        for (uint32_t i = 0; i < call->n_pins && !r; i++)
                if (pin_wants_fetch(&call->pins[i]))
                        r = fetch_one(call, call->pins[i].tensor);
        for (uint32_t i = 0; i < call->n_pins && r; i++)
                if (call->pins[i].tensor)
                        store_fetch_drop(call->pins[i].tensor);
        return r;
}

/* What the request calls it, for people to read. */
static const char *pin_text(const struct call *call, const struct pin *pin)
{
        const struct request *request = call->request;
        const struct ref *ref = request_is_run(request) ? &request->inputs[pin - call->pins].ref
                                                        : &request->ref;

        return ref->kind == REF_NAME ? ref->name : "the tensor";
}

bool fetch_all(struct call *call)
{
        const struct pin *out = NULL, *lost = NULL;
        uint64_t n_bytes = 0;
        int r;

        for (uint32_t i = 0; i < call->n_pins; i++) {
                const struct pin *pin = &call->pins[i];

                if (pin->tensor && tensor_is_spilled(pin->tensor))
                        out = pin;
                if (pin->tensor && tensor_is_lost(pin->tensor))
                        lost = pin;
        }
        if (!out)
                return false;
        r = lost ? STORE_E_LOST : fetch_prepare(call, &n_bytes);
        if (r) {
                call_fail_store(call, r, pin_text(call, lost ? lost : out), n_bytes);
                return true;
        }
        for (uint32_t i = 0; i < call->n_pins; i++) {
                struct pin *pin = &call->pins[i];

                if (!pin->tensor || !tensor_is_spilled(pin->tensor))
                        continue;
                list_push_back(&pin->tensor->spilled->waits, &pin->wait.link);
                call->n_pending++;
                if (pin->tensor->spilled->back)
                        store_fetch_begin(call->service->store, pin->tensor);
        }
        if (call_wait(call))
                call_fail(call);
        return true;
}

void fetch_done(struct service *service, struct tensor *tensor, struct list *waits, int r)
{
        struct wait *wait;

        while ((wait = list_first(waits, struct wait, link))) {
                list_unlink(&wait->link);
                if (r == -ECANCELED)
                        failure_set(&wait->call->failure, TD_E_SHUTTING_DOWN,
                                    "the daemon is stopping");
                else if (r)
                        failure_from_store(
                                &wait->call->failure, r, service->store,
                                pin_text(wait->call, container_of(wait, struct pin, wait)),
                                tensor_n_bytes(tensor));
                call_unblock(wait->call);
        }
}

/* ---- while others have the memory ---- */

static bool pin_may_rest(const struct pin *pin)
{
        return pin->tensor && !pin->wait.promise;
}

void fetch_rest(struct call *call)
{
        struct service *service = call->service;
        bool has_any = false;

        assert(!call->is_resting);
        for (uint32_t i = 0; i < call->n_pins && service->disk; i++)
                has_any = has_any || pin_may_rest(&call->pins[i]);
        if (!has_any)
                return;
        if (!service->keeper)
                service->keeper = call;
        if (service->keeper == call)
                return;
        call->is_resting = true;
        for (uint32_t i = 0; i < call->n_pins; i++)
                if (pin_may_rest(&call->pins[i]))
                        tensor_rest(call->pins[i].tensor, true);
}

void fetch_rest_over(struct call *call)
{
        for (uint32_t i = 0; i < call->n_pins && call->is_resting; i++)
                if (pin_may_rest(&call->pins[i]))
                        tensor_rest(call->pins[i].tensor, false);
        call->is_resting = false;
}

void fetch_end(struct call *call)
{
        if (call->service->keeper == call)
                call->service->keeper = NULL;
}
