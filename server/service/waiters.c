/* SPDX-License-Identifier: MIT */
#include "service/waiters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX (sizeof(uint32_t) + 1 + TD_NAME_MAX)

void waiters_init(struct waiters *waiters)
{
        *waiters = (struct waiters){ .by_name = NULL };
}

void waiters_deinit(struct waiters *waiters)
{
        assert(!waiters->by_name);
}

static unsigned write_key(uint8_t key[KEY_MAX], uint32_t uid, bool is_others, const char *name)
{
        size_t n_name = strlen(name);

        memcpy(key, &uid, sizeof(uid));
        key[sizeof(uid)] = is_others;
        memcpy(key + sizeof(uid) + 1, name, n_name);
        return (unsigned)(sizeof(uid) + 1 + n_name);
}

static struct awaited *awaited_find(struct waiters *waiters, const uint8_t *key, unsigned n_key)
{
        struct awaited *awaited;

        HASH_FIND(hh, waiters->by_name, key, n_key, awaited);
        return awaited;
}

int waiters_add(struct waiters *waiters, struct call *call)
{
        const struct ref *ref = &call->request->ref;
        uint32_t uid = ref->has_owner ? ref->owner : call->user->uid;
        uint8_t key[KEY_MAX];
        unsigned n_key = write_key(key, uid, uid != call->user->uid, ref->name);
        struct awaited *awaited = awaited_find(waiters, key, n_key);

        assert(!call->awaited && list_is_empty(&call->queue));
        if (!awaited) {
                awaited = calloc(1, sizeof(*awaited) + n_key);
                if (!awaited)
                        return -ENOMEM;
                list_init(&awaited->calls);
                memcpy(awaited->key, key, n_key);
                awaited->n_key = n_key;
                HASH_ADD_KEYPTR(hh, waiters->by_name, awaited->key, n_key, awaited);
                if (!table_has(awaited)) {
                        free(awaited);
                        return -ENOMEM;
                }
        }
        list_push_back(&awaited->calls, &call->queue);
        call->awaited = awaited;
        return 0;
}

void waiters_remove(struct waiters *waiters, struct call *call)
{
        struct awaited *awaited = steal_ptr(&call->awaited);

        if (!awaited)
                return;
        list_unlink(&call->queue);
        if (!list_is_empty(&awaited->calls))
                return;
        HASH_DEL(waiters->by_name, awaited);
        free(awaited);
}

static void wake(struct waiters *waiters, const struct tensor *tensor, bool is_others,
                 struct list *ready)
{
        uint8_t key[KEY_MAX];
        unsigned n_key = write_key(key, tensor->user->uid, is_others, tensor_name(tensor));
        struct awaited *awaited = awaited_find(waiters, key, n_key);
        bool is_last = !awaited;
        struct call *call;

        while (!is_last) {
                call = list_first(&awaited->calls, struct call, queue);
                is_last = call->queue.next == &awaited->calls;
                waiters_remove(waiters, call);
                call_stop_waiting(call);
                list_push_back(ready, &call->queue);
        }
}

void waiters_wake(struct waiters *waiters, const struct tensor *tensor, struct list *ready)
{
        if (!waiters->by_name)
                return;
        wake(waiters, tensor, false, ready);
        if (tensor_is_shared(tensor))
                wake(waiters, tensor, true, ready);
}
