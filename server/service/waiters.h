/* SPDX-License-Identifier: MIT */
/*
 * Waiters
 *
 * Requests that wait for a name to mean something, by the name: so a name that is given looks for
 * its own waiters alone, however many others there are. Those of the name's owner wait for it to be
 * given, those of other users, apart from them, for it to be shared.
 *
 * Loop thread only.
 */
#pragma once

#include "base/table.h"
#include "service/call.h"

/* A name that somebody waits for. */
struct awaited {
        struct list calls;
        UT_hash_handle hh;
        unsigned n_key;
        uint8_t key[]; /* the uid, whether others wait for it, the text */
};

struct waiters {
        struct awaited *by_name;
};

void waiters_init(struct waiters *waiters);
void waiters_deinit(struct waiters *waiters);
/* The call waits, in its queue, for what its request refers to. 0 or -ENOMEM. */
int waiters_add(struct waiters *waiters, struct call *call);
/* Before its queue is another: it does not wait any more. */
void waiters_remove(struct waiters *waiters, struct call *call);
/* Those who may see the tensor under its name, now that it has it or is shared, are ready. */
void waiters_wake(struct waiters *waiters, const struct tensor *tensor, struct list *ready);
