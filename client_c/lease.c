/* SPDX-License-Identifier: MIT */
/*
 * Leases
 *
 * A lease belongs to the connection that it was granted on, and ends with it. Any thread; one lease
 * is given back once.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

struct td_lease {
        td_tensor *tensor; /* owned reference */
        uint64_t number;
        uint32_t epoch;
        bool is_write;
};

static td_lease *lease_free(td_lease *lease)
{
        td_tensor_free(lease->tensor);
        free(lease);
        return NULL;
}

static int encode_unlease(td_client *client, struct frame *frame, uint32_t msgid, void *ctx,
                          td_error *error)
{
        const td_lease *lease = ctx;

        (void)error;
        if (lease->epoch != client->epoch)
                return EXCHANGE_STALE;
        frame_unlease(frame, msgid, lease->number);
        return TD_OK;
}

/* Ask the connection that it belongs to; what it answered. */
static int lease_give_back(td_lease *lease, td_error *error)
{
        td_client *client = lease->tensor->client;
        struct reader result;
        struct call call;
        int r;

        call_init(&call);
        r = exchange_begin(client, &call, encode_unlease, lease, error);
        if (r == TD_OK)
                r = exchange_finish(client, &call, &result, error);
        call_deinit(&call);
        return r;
}

/* Whatever was asked for is granted by now, or never will be. */
static int lease_ask(td_lease *lease, struct ask *ask, td_error *error)
{
        td_tensor *tensor = lease->tensor;
        struct description description;
        struct reader result;
        struct call call;
        int r;

        call_init(&call);
        call.epoch = 0; /* of no connection, if none was there */
        r = client_ask(tensor->client, ask, tensor, 0, &call, &result, error);
        lease->epoch = call.epoch;
        if (r == TD_OK)
                r = expect_description(&result, &description, error);
        if (r == TD_OK)
                r = tensor_describe(tensor, &description, call.epoch, error);
        call_deinit(&call);
        if (r == TD_E_CANCELLED || r == TD_E_MALFORMED || r == TD_E_CLIENT_MEMORY)
                lease_give_back(lease, NULL);
        return r;
}

int td_lease_begin(td_tensor *tensor, const struct td_type *view, const int64_t *strides,
                   int64_t offset, bool write, bool torn, int64_t wait_ms, td_lease **leasep,
                   td_error *error)
{
        td_client *client = tensor->client;
        struct view region = { .offset = offset };
        struct ask ask = { .method = METHOD_LEASE,
                           .view = view ? &region : NULL,
                           .writable = write,
                           .torn = torn,
                           .wait_ms = wait_ms > 0 ? (uint64_t)wait_ms : 0 };
        td_lease *lease;
        int r;

        if (tensor->is_unsealed)
                return error_set(error, TD_E_NOT_SEALED, "an unsealed tensor is not leased");
        if (!tensor->is_mutable)
                return error_set(error, TD_E_NOT_MUTABLE,
                                 "a sealed tensor is not leased; it is read without");
        lease = calloc(1, sizeof(*lease));
        if (!lease)
                return fail_no_memory(error);
        if (view) {
                region.type = *view;
                memcpy(region.strides, strides, view->ndim * sizeof(*strides));
        }
        ask.lease = lease->number = atomic_fetch_add_explicit(&client->next_lease, 1,
                                                              memory_order_relaxed);
        lease->is_write = write;
        lease->tensor = tensor_ref(tensor);
        r = lease_ask(lease, &ask, error);
        if (r) {
                lease_free(lease);
                return r;
        }
        pthread_mutex_lock(&client->lock);
        tensor->n_writing += write;
        pthread_mutex_unlock(&client->lock);
        *leasep = lease;
        return TD_OK;
}

int td_lease_end(td_lease *lease, td_error *error)
{
        td_client *client;
        int r;

        if (!lease)
                return TD_OK;
        client = lease->tensor->client;
        r = lease_give_back(lease, error);
        if (r == EXCHANGE_STALE || r == EXCHANGE_LOST)
                r = error_set(error, TD_E_LEASE_LOST,
                              "the connection to %s ended while the lease was held; what was %s",
                              client->address,
                              lease->is_write ? "written under it may be half done"
                                              : "read under it may have been written by others");
        pthread_mutex_lock(&client->lock);
        lease->tensor->n_writing -= lease->is_write;
        pthread_mutex_unlock(&client->lock);
        lease_free(lease);
        return r;
}
