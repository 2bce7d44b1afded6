/* SPDX-License-Identifier: MIT */
#include "service/promise.h"

#include <assert.h>
#include <errno.h>

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
        assert(!promise_find(*table, handle));
        promise->n_refs = 2;
        promise->handle = handle;
        promise->table = table;
        list_init(&promise->waits);
        list_init(&promise->failed);
        list_init(&promise->of_tensor);
        HASH_ADD(hh, *table, handle, sizeof(promise->handle), promise);
        if (!table_has(promise)) {
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

void promise_fulfil(struct promise *promise, struct tensor *tensor)
{
        struct client *client;

        assert(promise->state == PROMISE_PENDING && !promise->tensor);
        promise->state = PROMISE_READY;
        promise->tensor = tensor_ref(tensor);
        if (!promise->table)
                return;
        client = promise_client(promise);
        list_push_back(&tensor->promises, &promise->of_tensor);
        client->n_referred += tensor->n_bytes;
        /* only who made it and this handle refer to it: neither a name, nor others, nor a loan */
        promise->returns = tensor->n_refs == 2 && !tensor->name;
        if (!promise->returns)
                return;
        client->n_returning += tensor->n_bytes;
        if (client->has_left)
                store_expect(tensor->store, client->user, tensor->n_bytes);
}

/* What left is to be gone soon, and is not looked at again. */
void promise_named(const struct tensor *tensor)
{
        struct promise *promise = list_first(&tensor->promises, struct promise, of_tensor);

        /* If any, it is the first of them. */
        if (!promise || !promise->returns || promise_client(promise)->has_left)
                return;
        promise->returns = false;
        promise_client(promise)->n_returning -= tensor->n_bytes;
}

struct client *promise_client(const struct promise *promise)
{
        return container_of(promise->table, struct client, promises);
}

void promise_unlink(struct promise *promise)
{
        struct client *client;

        assert(promise->table);
        client = promise_client(promise);
        if (!list_is_empty(&promise->of_tensor)) {
                struct tensor *tensor = promise->tensor;

                list_unlink(&promise->of_tensor);
                client->n_referred -= tensor->n_bytes;
                client->n_returning -= promise->returns ? tensor->n_bytes : 0;
                if (promise->returns && client->has_left)
                        store_expect_no_more(tensor->store, client->user, tensor->n_bytes);
        }
        HASH_DELETE(hh, *promise->table, promise);
        list_unlink(&promise->failed);
        promise->table = NULL;
        promise_unref(promise);
}
