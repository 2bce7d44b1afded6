/* SPDX-License-Identifier: MIT */
#include "service/repeat.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

static void repeat_forget(struct repeats *repeats, struct repeat *repeat)
{
        assert(list_is_empty(&repeat->joined));
        if (!repeat->running)
                repeats->n_failed--;
        list_unlink(&repeat->link);
        HASH_DELETE(hh, repeats->by_key, repeat);
        free(repeat);
}

void repeats_init(struct repeats *repeats)
{
        *repeats = (struct repeats){ .n_failed = 0 };
        list_init(&repeats->failed);
}

void repeats_deinit(struct repeats *repeats)
{
        struct repeat *repeat, *next;

        HASH_ITER(hh, repeats->by_key, repeat, next) {
                assert(!repeat->running);
                repeat_forget(repeats, repeat);
        }
}

/* Keys are compared as bytes, so their padding is cleared too. */
static void key_init(struct repeat_key *key, uid_t uid, const uint8_t op_id[16])
{
        memset(key, 0, sizeof(*key));
        key->uid = uid;
        memcpy(key->op_id, op_id, sizeof(key->op_id));
}

struct repeat *repeat_find(struct repeats *repeats, uid_t uid, const uint8_t op_id[16])
{
        struct repeat_key key;
        struct repeat *repeat;

        key_init(&key, uid, op_id);
        HASH_FIND(hh, repeats->by_key, &key, sizeof(key), repeat);
        return repeat;
}

int repeat_new(struct repeat **repeatp, struct repeats *repeats, uid_t uid, const uint8_t op_id[16],
               struct call *running)
{
        struct repeat *repeat = calloc(1, sizeof(*repeat));

        if (!repeat)
                return error_origin(-ENOMEM);
        assert(!repeat_find(repeats, uid, op_id));
        key_init(&repeat->key, uid, op_id);
        repeat->running = running;
        list_init(&repeat->joined);
        list_init(&repeat->link);
        HASH_ADD(hh, repeats->by_key, key, sizeof(repeat->key), repeat);
        if (!table_has(repeat)) {
                free(repeat);
                return error_origin(-ENOMEM);
        }
        *repeatp = repeat;
        return 0;
}

void repeat_end(struct repeats *repeats, struct repeat *repeat, const struct failure *failure,
                uint64_t now_ms)
{
        assert(repeat->running);
        if (!failure) {
                repeat_forget(repeats, repeat);
                return;
        }
        repeat->running = NULL;
        repeat->failure = *failure;
        repeat->failed_at_ms = now_ms;
        list_push_back(&repeats->failed, &repeat->link);
        if (++repeats->n_failed > REPEATS_FAILED_MAX)
                repeat_forget(repeats, list_first(&repeats->failed, struct repeat, link));
}

void repeats_expire(struct repeats *repeats, uint64_t now_ms)
{
        struct repeat *repeat;

        while ((repeat = list_first(&repeats->failed, struct repeat, link)) &&
               now_ms - repeat->failed_at_ms > TD_OUTCOME_MS)
                repeat_forget(repeats, repeat);
}
