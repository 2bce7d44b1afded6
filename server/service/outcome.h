/* SPDX-License-Identifier: MIT */
/*
 * Outcomes
 *
 * A named write carries an operation id, so that a client whose connection broke can ask again
 * without doing it twice. An entry is made when the request is admitted: repeats join it while it
 * runs. A success is then remembered by the store's catalog, which survives the daemon; a failure
 * changed nothing and is remembered here, for TD_OUTCOME_MS.
 */
#pragma once

#include <uthash.h>

#include "service/failure.h"

struct call;

struct outcome_key {
        uid_t uid;
        uint8_t op_id[16];
};

struct outcome {
        struct outcome_key key;
        struct call *running; /* NULL: it failed, as below */
        struct list joined;   /* calls that wait for its outcome */
        struct failure failure;
        uint64_t failed_at_ms;
        UT_hash_handle hh;
};

struct outcomes {
        struct outcome *by_key;
        uint32_t n_failed;
};

void outcomes_deinit(struct outcomes *outcomes);
struct outcome *outcome_find(struct outcomes *outcomes, uid_t uid, const uint8_t op_id[16]);
/* A running entry, which must not exist yet. -ENOMEM. */
int outcome_new(struct outcome **outcomep, struct outcomes *outcomes, uid_t uid,
                const uint8_t op_id[16], struct call *running);
/* It ended. failure NULL: the entry goes, the store remembers. The caller has emptied joined. */
void outcome_end(struct outcomes *outcomes, struct outcome *outcome, const struct failure *failure,
                 uint64_t now_ms);
/* Forget failures of more than TD_OUTCOME_MS ago. */
void outcomes_expire(struct outcomes *outcomes, uint64_t now_ms);
