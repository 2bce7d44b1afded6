/* SPDX-License-Identifier: MIT */
/*
 * Slots
 *
 * What a handle stands for: a tensor, or the promise of one. A client names the result of a request
 * before it exists, so a slot begins PENDING and becomes READY or FAILED once, when the request
 * that fills it ends.
 *
 * Requests pin the slots that they name when they arrive. Releasing a handle takes the slot out of
 * its client's table at once; what was pinned before stays until its request is done. So a release
 * never disturbs an earlier request, and its order needs no queue.
 */
#pragma once

#include <uthash.h>

#include "service/failure.h"

enum slot_state { SLOT_PENDING, SLOT_READY, SLOT_FAILED };

struct slot {
        uint32_t n_refs;
        enum slot_state state;
        struct tensor *tensor;           /* READY: owned reference */
        struct failure *failure;         /* FAILED: owned; NULL if there was no memory for it */
        struct reservation *reservation; /* of a created tensor that is not sealed: the name that it
                                            will have */
        struct op_id op_id;
        struct list waits;   /* struct wait, in order of arrival */
        struct slot **table; /* the client's table that lists it under handle, NULL: none */
        uint64_t handle;
        UT_hash_handle hh;
};

/* One request's claim on one slot. */
struct wait {
        struct list link;  /* the slot's list while it is pending, else itself */
        struct slot *slot; /* owned reference */
        struct call *call;
};

struct slot *slot_find(struct slot *table, uint64_t handle);
/*
 * A pending slot in the table, which holds one reference, and one for the caller. -ENOMEM. The
 * handle must be free.
 */
int slot_new(struct slot **slotp, struct slot **table, uint64_t handle);
struct slot *slot_ref(struct slot *slot);
struct slot *slot_unref(struct slot *slot);
/* The handle ends; the table's reference goes. */
void slot_unlink(struct slot *slot);
