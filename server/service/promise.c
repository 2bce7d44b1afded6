/* SPDX-License-Identifier: MIT */
#include "service/promise.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "service/service.h"

struct promise *promise_find(struct promise *table, uint64_t handle)
{
        struct promise *promise;

        HASH_FIND(hh, table, &handle, sizeof(handle), promise);
        return promise;
}

int promise_new(struct promise **promisep, struct promise **table, uint64_t handle)
{
        struct promise *promise = calloc(1, sizeof(*promise));

        if (!promise)
                return error_origin(-ENOMEM);
        promise->stake = calloc(1, sizeof(*promise->stake));
        if (!promise->stake) {
                free(promise);
                return error_origin(-ENOMEM);
        }
        assert(!promise_find(*table, handle));
        promise->n_refs = 2;
        promise->handle = handle;
        promise->table = table;
        list_init(&promise->waits);
        list_init(&promise->failed);
        HASH_ADD(hh, *table, handle, sizeof(promise->handle), promise);
        if (!table_has(promise)) {
                free(promise->stake);
                free(promise);
                return error_origin(-ENOMEM);
        }
        *promisep = promise;
        return 0;
}

struct promise *promise_ref(struct promise *promise)
{
        promise->n_refs++;
        return promise;
}

struct promise *promise_unref(struct promise *promise)
{
        if (!promise || --promise->n_refs > 0)
                return NULL;
        assert(list_is_empty(&promise->waits));
        assert(!promise->table);
        reservation_free(promise->reservation);
        tensor_unref(promise->tensor);
        charge_drop(&promise->charge);
        free(promise->failure);
        free(promise);
        return NULL;
}

/* One more handle of the tensor: it is counted with the client's others. */
static void stake_join(struct promise *promise, struct client *client, struct tensor *tensor)
{
        struct stake *stake;

        HASH_FIND_PTR(client->stakes, &tensor, stake);
        if (stake) {
                free(promise->stake);
                promise->stake = stake;
        } else {
                stake = promise->stake;
                stake->client = client;
                stake->tensor = tensor;
                list_push_back(&tensor->stakes, &stake->link);
                /* where that fails, the next one has a stake of its own */
                HASH_ADD_PTR(client->stakes, tensor, stake);
        }
        stake->n_promises++;
}

static void stake_leave(struct promise *promise)
{
        struct stake *stake = steal_ptr(&promise->stake);

        if (stake->returning == promise)
                stake->returning = NULL;
        if (stake->n_promises > 0 && --stake->n_promises > 0)
                return;
        if (stake->tensor)
                list_unlink(&stake->link);
        if (table_has(stake))
                HASH_DEL(stake->client->stakes, stake);
        free(stake);
}

void promise_fulfil(struct promise *promise, struct tensor *tensor)
{
        struct client *client;

        assert(promise->state == PROMISE_PENDING && !promise->tensor);
        promise->state = PROMISE_READY;
        promise->tensor = tensor_ref(tensor);
        if (!promise->table)
                return;
        client = promise_client(promise);
        stake_join(promise, client, tensor);
        client->n_referred += tensor_n_bytes(tensor);
        /* only who made it and this handle refer to it: neither a name, nor others, nor a loan */
        if (tensor->n_refs != 2 || tensor->name)
                return;
        promise->stake->returning = promise;
        client->n_returning += tensor_n_bytes(tensor);
        if (client->has_left)
                store_expect(tensor->store, client->user, tensor_n_bytes(tensor));
}

/* What left is to be gone soon, and is not looked at again. */
void promise_named(const struct tensor *tensor)
{
        struct stake *stake = list_first(&tensor->stakes, struct stake, link);

        /* If any, it is the first of them. */
        if (!stake || !stake->returning || stake->client->has_left)
                return;
        stake->returning = NULL;
        stake->client->n_returning -= tensor_n_bytes(tensor);
}

struct client *promise_client(const struct promise *promise)
{
        return container_of(promise->table, struct client, promises);
}

void promise_unlink(struct promise *promise)
{
        const struct tensor *tensor = promise->tensor;
        struct client *client;

        assert(promise->table);
        client = promise_client(promise);
        if (promise->stake->n_promises > 0) {
                client->n_referred -= tensor_n_bytes(tensor);
                if (promise->stake->returning == promise) {
                        client->n_returning -= tensor_n_bytes(tensor);
                        if (client->has_left)
                                store_expect_no_more(tensor->store, client->user,
                                                     tensor_n_bytes(tensor));
                }
        }
        stake_leave(promise);
        HASH_DELETE(hh, *promise->table, promise);
        list_unlink(&promise->failed);
        promise->table = NULL;
        promise_unref(promise);
}
