/* SPDX-License-Identifier: MIT */
#include "service/promise.h"

#include <assert.h>
#include <errno.h>

#include "base/error.h"

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
        HASH_ADD(hh, *table, handle, sizeof(promise->handle), promise);
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
        free(promise->failure);
        free(promise);
        return NULL;
}

void promise_unlink(struct promise *promise)
{
        assert(promise->table);
        HASH_DELETE(hh, *promise->table, promise);
        list_unlink(&promise->failed);
        promise->table = NULL;
        promise_unref(promise);
}
