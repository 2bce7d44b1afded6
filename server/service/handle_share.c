/* SPDX-License-Identifier: MIT */
/*
 * share
 *
 * What another user reads, its owner must not be able to change any more. So before a tensor is
 * shown, the kernel is asked whether anybody can still write its segment; where somebody can, or
 * where that is not to be known at this moment, its bytes are copied into a segment that nobody was
 * ever handed, and it lies there from then on. Whoever maps the first one keeps it.
 *
 * Asking may take long (a mapping of ours goes), copying does: of more than SMALL_BYTES workers do
 * it. Who hides it again meanwhile overtakes them. Several that ask for the same at a time are each
 * answered when it is so: the first that is done shares it, the others find it shared.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"

#define COPY_BYTES_PER_NS 4
#define UNMAP_BYTES_PER_NS 64

struct sharing {
        uint32_t n_hidden;    /* the tensor's, when it was asked for */
        struct segment *from; /* owned: where it lay when that was asked */
        struct segment *to;   /* owned; NULL: not copied, or not yet */
        bool is_ready;        /* to */
        unsigned n_pinned;    /* of from and to */
};

struct sharing *sharing_free(struct sharing *sharing)
{
        if (!sharing)
                return NULL;
        segment_unref(sharing->from);
        segment_unref(sharing->to);
        free(sharing);
        return NULL;
}

/* It was not hidden since, and the name is there. */
static void share_finish(struct call *call, struct segment *copy)
{
        struct tensor *tensor = call->pins[0].tensor;
        int r = store_share(call->service->store, tensor, call->request->shared, copy);

        if (r)
                call_fail_store(call, r, call->request->ref.name, tensor_n_bytes(tensor));
        else
                describe_and_finish(call, tensor, DESCRIBE_PLACE, false);
}

static bool is_named_so(const struct call *call)
{
        const char *name = tensor_name(call->pins[0].tensor);

        return name && strcmp(name, call->request->ref.name) == 0;
}

/* Back from a worker: true if the call has ended: something came between, or another did it. */
static bool share_ended(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;

        if (call_has_stopped(call))
                return true;
        if (tensor->n_hidden == call->sharing->n_hidden) {
                if (!tensor_is_frozen(tensor))
                        return false;
                share_finish(call, NULL);
        } else if (is_named_so(call)) {
                describe_and_finish(call, tensor, DESCRIBE_PLACE, false);
        } else {
                call_refuse(call, TD_E_NOT_FOUND,
                            "share: '%s' was deleted or replaced before it was shared",
                            call->request->ref.name);
        }
        return true;
}

/* ---- with a copy ---- */

static void copy_run(struct work *work)
{
        struct call *call = container_of(work, struct call, work);
        struct sharing *sharing = call->sharing;

        call->result = tensor_copy(call->pins[0].tensor, sharing->from, sharing->to,
                                   sharing->is_ready, &sharing->n_pinned);
}

static void copy_done(struct call *call)
{
        struct sharing *sharing = call->sharing;

        if (sharing->n_pinned > 0)
                segment_unpin(sharing->from);
        if (sharing->n_pinned > 1)
                segment_unpin(sharing->to);
        sharing->n_pinned = 0;
        if (share_ended(call))
                return;
        if (call->result)
                call_fail_store(call, call->result, "the tensor",
                                tensor_n_bytes(call->pins[0].tensor));
        else
                share_finish(call, steal_ptr(&sharing->to));
}

/* Entered again where it had to wait for memory. */
static void share_copy(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;
        struct sharing *sharing = call->sharing;
        int r;

        r = store_reserve(call->service->store, call->user, NULL, tensor_n_bytes(tensor),
                          &sharing->to, &sharing->is_ready);
        if (r) {
                sharing->to = NULL;
                call_fail_store(call, r, "tensor", tensor_n_bytes(tensor));
        } else if (tensor_n_bytes(tensor) > SMALL_BYTES) {
                service_submit(call->service, call, tensor_n_bytes(tensor) / COPY_BYTES_PER_NS,
                               copy_run, copy_done);
        } else {
                copy_run(&call->work);
                copy_done(call);
        }
}

/* ---- without ---- */

static void freeze_run(struct work *work)
{
        struct call *call = container_of(work, struct call, work);

        call->result = tensor_freeze(call->pins[0].tensor, call->sharing->from);
}

static void freeze_done(struct call *call)
{
        if (share_ended(call))
                return;
        if (call->result == STORE_E_WRITABLE)
                share_copy(call);
        else if (call->result)
                call_fail_store(call, call->result, "the tensor", 0);
        else
                share_finish(call, NULL);
}

static void share_freeze(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;

        call->sharing = calloc(1, sizeof(*call->sharing));
        if (!call->sharing) {
                call_refuse(call, TD_E_INTERNAL, "the daemon has no memory");
                return;
        }
        call->sharing->n_hidden = tensor->n_hidden;
        call->sharing->from = segment_ref(tensor->segment);
        if (tensor_n_bytes(tensor) > SMALL_BYTES) {
                service_submit(call->service, call, tensor_n_bytes(tensor) / UNMAP_BYTES_PER_NS,
                               freeze_run, freeze_done);
        } else {
                freeze_run(&call->work);
                freeze_done(call);
        }
}

void handle_share(struct call *call)
{
        struct tensor *tensor = call->pins[0].tensor;

        if (call->sharing) {
                if (!share_ended(call))
                        share_copy(call);
                return;
        }
        if (!is_named_so(call)) {
                call_refuse(call, TD_E_NOT_FOUND, "there is no tensor named '%s'",
                            call->request->ref.name);
                return;
        }
        if (tensor->state == TENSOR_MUTABLE) {
                call_refuse(call, TD_E_MUTABLE,
                            "share: '%s' is mutable; share a snapshot of it, which is sealed",
                            call->request->ref.name);
                return;
        }
        if (!call->request->shared)
                tensor->n_hidden++;
        if (!call->request->shared || tensor_is_frozen(tensor))
                share_finish(call, NULL);
        else
                share_freeze(call);
}
