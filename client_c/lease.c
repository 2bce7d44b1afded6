/* SPDX-License-Identifier: MIT */
/*
 * Leases
 *
 * A lease belongs to the connection that it was granted on, and ends with it; but one to write has
 * a nonce, by which the successor of a daemon that ended gives it back. So the first requests of a
 * new connection ask for all of those that are held; whether one came back is looked at when it
 * ends. Any thread; one lease is given back once.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

struct td_lease {
        td_lease *next; /* of the client's, if it is one to write and granted */
        td_lease **link;
        td_tensor *tensor; /* owned reference */
        uint64_t number;
        uint32_t epoch;
        bool is_write;
        bool has_view;
        struct view view;
        uint8_t nonce[16];
        struct call back; /* asks for it again, on the connection of that epoch */
};

/* ---- asked for again ---- */

/* Under the lock. */
static void lease_ask_back(td_client *client, td_lease *lease)
{
        struct frame *out = &client->connection.out;
        struct ask ask = { .method = METHOD_LEASE,
                           .id = lease->tensor->id,
                           .lease = lease->number,
                           .view = lease->has_view ? &lease->view : NULL,
                           .writable = true,
                           .nonce = lease->nonce,
                           .again = true,
                           .retry_ms = -1 };
        size_t n_before = out->n_bytes;

        exchange_forget(client, &lease->back);
        call_deinit(&lease->back);
        call_init(&lease->back);
        if (!lease->tensor->has_id)
                return;
        exchange_expect(client, &lease->back);
        frame_ask(out, lease->back.msgid, &ask);
        if (out->has_failed) {
                frame_truncate(out, n_before);
                exchange_forget(client, &lease->back);
                return;
        }
        lease->epoch = client->epoch;
}

/* Under the lock: was it refused when it was asked for last? Then it is lost for ever. */
static bool lease_is_lost(const td_lease *lease)
{
        struct reader result;

        if (lease->back.state != CALL_DONE)
                return false;
        result = reader_of(lease->back.reply, lease->back.n_reply);
        return read_error(&result, NULL) != TD_OK;
}

void leases_ask_back(td_client *client)
{
        for (td_lease *lease = client->leases; lease; lease = lease->next)
                if (!lease_is_lost(lease))
                        lease_ask_back(client, lease);
}

/* Granted: from now on it is asked for again, at once where another connection is there by now. */
static void lease_hold(td_lease *lease)
{
        td_client *client = lease->tensor->client;

        pthread_mutex_lock(&client->lock);
        lease->tensor->n_writing++;
        lease->link = &client->leases;
        lease->next = client->leases;
        if (lease->next)
                lease->next->link = &lease->next;
        client->leases = lease;
        if (client->is_connected && lease->epoch != client->epoch) {
                lease_ask_back(client, lease);
                exchange_flush(client);
        }
        pthread_mutex_unlock(&client->lock);
}

/* Under the lock: it is not asked for again. */
static void lease_leave(td_lease *lease)
{
        if (!lease->link)
                return;
        lease->tensor->n_writing--;
        *lease->link = lease->next;
        if (lease->next)
                lease->next->link = lease->link;
        lease->link = NULL;
}

static bool lease_is_held(td_lease *lease)
{
        td_client *client = lease->tensor->client;
        bool is_held;

        pthread_mutex_lock(&client->lock);
        is_held = lease->link;
        pthread_mutex_unlock(&client->lock);
        return is_held;
}

static td_lease *lease_free(td_lease *lease)
{
        td_client *client = lease->tensor->client;

        pthread_mutex_lock(&client->lock);
        lease_leave(lease);
        exchange_forget(client, &lease->back);
        pthread_mutex_unlock(&client->lock);
        call_deinit(&lease->back);
        td_tensor_free(lease->tensor);
        free(lease);
        return NULL;
}

/* ---- given back ---- */

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
        unsigned n_lost = 0;
        struct call call;
        int r;

        do {
                call_init(&call);
                r = exchange_begin(client, &call, encode_unlease, lease, error);
                if (r == TD_OK)
                        r = exchange_finish(client, &call, &result, error);
                call_deinit(&call);
        } while (r == EXCHANGE_LOST && lease_is_held(lease) &&
                 client_lost(&call, client, ++n_lost, false, NULL) == TD_OK);
        return r;
}

/*
 * It was given back on a connection on which it had to be asked for again: had it come back? First
 * it leaves the others, whom another thread asks for on a connection that is newer still.
 */
static int lease_came_back(td_lease *lease, td_error *error)
{
        td_client *client = lease->tensor->client;
        struct reader result;
        bool was_asked;

        pthread_mutex_lock(&client->lock);
        lease_leave(lease);
        was_asked = lease->back.state != CALL_NEW;
        pthread_mutex_unlock(&client->lock);
        if (!was_asked)
                return TD_OK;
        return exchange_finish(client, &lease->back, &result, error) == TD_OK ? TD_OK
                                                                              : EXCHANGE_LOST;
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

        if (tensor_is_unsealed(tensor))
                return error_set(error, TD_E_NOT_SEALED, "an unsealed tensor is not leased");
        if (!td_tensor_is_mutable(tensor))
                return error_set(error, TD_E_NOT_MUTABLE,
                                 "a sealed tensor is not leased; it is read without");
        lease = calloc(1, sizeof(*lease));
        if (!lease)
                return fail_no_memory(error);
        if (view) {
                region.type = *view;
                memcpy(region.strides, strides, view->ndim * sizeof(*strides));
        }
        call_init(&lease->back);
        lease->has_view = view != NULL;
        lease->view = region;
        if (write) {
                random_id(lease->nonce);
                ask.nonce = lease->nonce;
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
        if (write)
                lease_hold(lease);
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
        if (r == TD_OK)
                r = lease_came_back(lease, error);
        if (r == EXCHANGE_STALE || r == EXCHANGE_LOST)
                r = error_set(error, TD_E_LEASE_LOST,
                              "the connection to %s ended while the lease was held; what was %s",
                              client->address,
                              lease->is_write ? "written under it may be half done"
                                              : "read under it may have been written by others");
        lease_free(lease);
        return r;
}
