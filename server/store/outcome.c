/* SPDX-License-Identifier: MIT */
#include "store/outcome.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tensord/limits.h"

void outcomes_init(struct outcomes *outcomes)
{
        *outcomes = (struct outcomes){ .by_op = NULL };
        list_init(&outcomes->young);
}

static void outcome_forget(struct outcomes *outcomes, struct outcome *outcome)
{
        assert(outcome->n_names == 0);
        list_unlink(&outcome->link);
        HASH_DEL(outcomes->by_op, outcome);
        outcomes->n_outcomes--;
        charge_drop(&outcome->charge);
        free(outcome);
}

void outcomes_deinit(struct outcomes *outcomes)
{
        struct outcome *outcome, *next;

        HASH_ITER(hh, outcomes->by_op, outcome, next)
                outcome_forget(outcomes, outcome);
}

static struct outcome *outcomes_lookup(struct outcomes *outcomes, uid_t uid,
                                       const struct op_id *op_id)
{
        struct outcome key = { .key.uid = uid }, *outcome;

        memcpy(key.key.op_id, op_id->bytes, sizeof(key.key.op_id));
        HASH_FIND(hh, outcomes->by_op, &key.key, sizeof(key.key), outcome);
        return outcome;
}

int outcomes_put(struct outcomes *outcomes, uid_t uid, const struct op_id *op_id,
                 const uint8_t tensor_id[16], uint64_t time_ms, struct outcome **outcomep)
{
        struct outcome *outcome;

        outcome = outcomes_lookup(outcomes, uid, op_id);
        if (!outcome) {
                outcome = calloc(1, sizeof(*outcome));
                if (!outcome)
                        return -ENOMEM;
                outcome->key.uid = uid;
                memcpy(outcome->key.op_id, op_id->bytes, sizeof(outcome->key.op_id));
                list_init(&outcome->link);
                HASH_ADD(hh, outcomes->by_op, key, sizeof(outcome->key), outcome);
                if (!table_has(outcome)) {
                        free(outcome);
                        return -ENOMEM;
                }
                outcomes->n_outcomes++;
        }
        list_unlink(&outcome->link);
        list_push_back(&outcomes->young, &outcome->link);
        outcome->time_ms = time_ms;
        memset(outcome->tensor_id, 0, sizeof(outcome->tensor_id));
        if (tensor_id)
                memcpy(outcome->tensor_id, tensor_id, sizeof(outcome->tensor_id));
        *outcomep = outcome;
        return 0;
}

static bool outcome_is_old(const struct outcome *outcome, uint64_t now_ms)
{
        return now_ms > outcome->time_ms && now_ms - outcome->time_ms > TD_OUTCOME_MS;
}

struct outcome *outcomes_find(struct outcomes *outcomes, uid_t uid, const struct op_id *op_id,
                              uint64_t now_ms)
{
        struct outcome *outcome = outcomes_lookup(outcomes, uid, op_id);

        return outcome && (outcome->n_names > 0 || !outcome_is_old(outcome, now_ms)) ? outcome
                                                                                     : NULL;
}

void outcomes_sweep(struct outcomes *outcomes, uint64_t now_ms)
{
        struct outcome *outcome;

        while ((outcome = list_first(&outcomes->young, struct outcome, link)) &&
               outcome_is_old(outcome, now_ms)) {
                if (outcome->n_names > 0)
                        list_unlink(&outcome->link);
                else
                        outcome_forget(outcomes, outcome);
        }
}

void outcome_cancel(struct outcomes *outcomes, struct outcome *outcome)
{
        if (outcome && outcome->n_names == 0)
                outcome_forget(outcomes, outcome);
}

void outcome_charge(struct outcome *outcome, struct user *user)
{
        if (!outcome->charge.user)
                charge_adopt(&outcome->charge, user, RESOURCE_WORKSPACE, OUTCOME_BYTES);
}

struct outcome *outcome_hold(struct outcome *outcome)
{
        if (outcome)
                outcome->n_names++;
        return outcome;
}

struct outcome *outcome_release(struct outcomes *outcomes, struct outcome *outcome)
{
        if (!outcome)
                return NULL;
        assert(outcome->n_names > 0);
        if (--outcome->n_names == 0 && list_is_empty(&outcome->link))
                outcome_forget(outcomes, outcome);
        return NULL;
}
