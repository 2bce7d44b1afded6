/* SPDX-License-Identifier: MIT */
#include "service/outcome.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"

static void outcome_forget(struct outcomes *outcomes, struct outcome *outcome)
{
        assert(list_is_empty(&outcome->joined));
        if (!outcome->running)
                outcomes->n_failed--;
        HASH_DELETE(hh, outcomes->by_key, outcome);
        free(outcome);
}

void outcomes_deinit(struct outcomes *outcomes)
{
        struct outcome *outcome, *next;

        HASH_ITER (hh, outcomes->by_key, outcome, next) {
                assert(!outcome->running);
                outcome_forget(outcomes, outcome);
        }
}

/* Keys are compared as bytes, so their padding is cleared too. */
static void key_init(struct outcome_key *key, uid_t uid, const uint8_t op_id[16])
{
        memset(key, 0, sizeof(*key));
        key->uid = uid;
        memcpy(key->op_id, op_id, sizeof(key->op_id));
}

struct outcome *outcome_find(struct outcomes *outcomes, uid_t uid, const uint8_t op_id[16])
{
        struct outcome_key key;
        struct outcome *outcome;

        key_init(&key, uid, op_id);
        HASH_FIND(hh, outcomes->by_key, &key, sizeof(key), outcome);
        return outcome;
}

int outcome_new(struct outcome **outcomep, struct outcomes *outcomes, uid_t uid,
                const uint8_t op_id[16], struct call *running)
{
        struct outcome *outcome = calloc(1, sizeof(*outcome));

        if (!outcome)
                return error_origin(-ENOMEM);
        assert(!outcome_find(outcomes, uid, op_id));
        key_init(&outcome->key, uid, op_id);
        outcome->running = running;
        list_init(&outcome->joined);
        HASH_ADD(hh, outcomes->by_key, key, sizeof(outcome->key), outcome);
        *outcomep = outcome;
        return 0;
}

void outcome_end(struct outcomes *outcomes, struct outcome *outcome, const struct failure *failure,
                 uint64_t now_ms)
{
        assert(outcome->running);
        if (!failure) {
                outcome_forget(outcomes, outcome);
                return;
        }
        outcome->running = NULL;
        outcome->failure = *failure;
        outcome->failed_at_ms = now_ms;
        outcomes->n_failed++;
}

void outcomes_expire(struct outcomes *outcomes, uint64_t now_ms)
{
        struct outcome *outcome, *next;

        HASH_ITER (hh, outcomes->by_key, outcome, next)
                if (!outcome->running && now_ms - outcome->failed_at_ms > TD_OUTCOME_MS)
                        outcome_forget(outcomes, outcome);
}
