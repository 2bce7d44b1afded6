/* SPDX-License-Identifier: MIT */
/*
 * Repeats
 *
 * A named write carries an operation id, so that a client whose connection broke can ask again
 * without doing it twice. An entry is made when the request is admitted: repeats join it while it
 * runs. A success is then remembered by the store's catalog, which survives the daemon; a failure
 * changed nothing and is remembered here, for TD_OUTCOME_MS, or until there are too many: doing
 * such a one again is no harm.
 */
#pragma once

#include "base/table.h"
#include "service/failure.h"

struct call;

/* Failures remembered: a client can make as many as it likes, and none costs it anything. */
#define REPEATS_FAILED_MAX 4096

struct repeat_key {
        uid_t uid;
        uint8_t op_id[16];
};

struct repeat {
        struct repeat_key key;
        struct call *running; /* NULL: it failed, as below */
        struct list joined;   /* calls that wait for its outcome */
        struct failure failure;
        uint64_t failed_at_ms;
        struct list link; /* of those that failed, oldest first */
        UT_hash_handle hh;
};

struct repeats {
        struct repeat *by_key;
        struct list failed;
        uint32_t n_failed;
};

void repeats_init(struct repeats *repeats);
void repeats_deinit(struct repeats *repeats);
struct repeat *repeat_find(struct repeats *repeats, uid_t uid, const uint8_t op_id[16]);
/* A running entry, which must not exist yet. -ENOMEM. */
int repeat_new(struct repeat **repeatp, struct repeats *repeats, uid_t uid, const uint8_t op_id[16],
               struct call *running);
/* It ended. failure NULL: the entry goes, the store remembers. The caller has emptied joined. */
void repeat_end(struct repeats *repeats, struct repeat *repeat, const struct failure *failure,
                uint64_t now_ms);
/* Forget failures of more than TD_OUTCOME_MS ago. */
void repeats_expire(struct repeats *repeats, uint64_t now_ms);
