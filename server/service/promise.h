/* SPDX-License-Identifier: MIT */
/*
 * Promises
 *
 * What a handle stands for: a tensor, or the promise of one. A client names the result of a request
 * before it exists, so a promise begins PENDING and becomes READY or FAILED once, when the request
 * that fills it ends.
 *
 * Requests pin the promises that they name when they arrive. Releasing a handle takes the promise
 * out of its client's table at once; what was pinned before stays until its request is done. So a
 * release never disturbs an earlier request, and its order needs no queue.
 */
#pragma once

#include "base/table.h"
#include "service/failure.h"

enum promise_state { PROMISE_PENDING, PROMISE_READY, PROMISE_FAILED };

struct promise {
        uint32_t n_refs;
        enum promise_state state;
        struct tensor *tensor;           /* READY: owned reference */
        struct failure *failure;         /* FAILED: owned; NULL if there was no memory for it */
        struct reservation *reservation; /* of a created tensor that is not sealed: the name that it
                                            will have, */
        bool is_evictable;               /* as which, */
        struct op_id op_id;              /* and by which operation */
        struct charge charge;            /* of this object, and of why it failed */
        struct list waits;               /* struct wait, in order of arrival */
        struct list failed;              /* FAILED, and still listed: its client's list of such */
        struct promise **table; /* the client's table that lists it under handle, NULL: none */
        uint64_t handle;
        struct stake *stake; /* owned until it is READY, then one of its n_promises has it; NULL
                                when it is not listed any more */
        UT_hash_handle hh;
};

/*
 * What one client's handles have of one tensor: it is there while there is such a handle, so that
 * who holds a tensor is told in as many steps as there are connections, however many handles they
 * have.
 */
struct stake {
        struct client *client;
        struct tensor *tensor;     /* the key; NULL until the promise is READY */
        uint32_t n_promises;       /* handles */
        struct promise *returning; /* the one that is counted in client->n_returning; NULL: none */
        struct list link;          /* the tensor's list */
        UT_hash_handle hh;         /* client->stakes; not there if there was no memory for it */
};

/* What a promise takes of the daemon's own memory. */
#define PROMISE_BYTES (sizeof(struct promise) + sizeof(struct stake))

/* One request's claim on one promise. */
struct wait {
        struct list link;        /* the promise's list while it is pending, else itself */
        struct promise *promise; /* owned reference */
        struct call *call;
};

struct promise *promise_find(struct promise *table, uint64_t handle);
/*
 * A pending promise in the table, which holds one reference, and one for the caller. -ENOMEM. The
 * handle must be free.
 */
int promise_new(struct promise **promisep, struct promise **table, uint64_t handle);
struct promise *promise_ref(struct promise *promise);
struct promise *promise_unref(struct promise *promise);
/* It is the tensor's from now on, whose reference is not taken over. */
void promise_fulfil(struct promise *promise, struct tensor *tensor);
/* The tensor has a name now: it stays when its handles go. */
void promise_named(const struct tensor *tensor);
/* Whose handle it is: it is listed. */
struct client *promise_client(const struct promise *promise);
/* The handle ends; the table's reference goes. */
void promise_unlink(struct promise *promise);
