/* SPDX-License-Identifier: MIT */
/*
 * Unused tensors
 *
 * Tensors that have a name and that nothing else in the daemon refers to: no handle, request, job,
 * loan or lease, and no write under way has reserved the name. Their memory can be had where there
 * is no other: an evictable one is deleted for it, one that may be spilled moves to a file. They
 * are kept by user and by kind, in the order in which they were used last. Used is what a request
 * refers to, from its arrival until the last reference ends; it costs two links each time.
 *
 * Invariant: a tensor is listed, asked for, or set aside, if, and only if, it has a name that is
 * not reserved, one reference, and does not lie in a file already. What is listed keeps its
 * segment. References of requests that wait for memory, and would have it fetched (spill.h), do not
 * count if it may be spilled.
 *
 * Loop thread only.
 */
#pragma once

#include "store/store.h"

/* The tensor's references, its name, or who reserved that, changed. Used just now, if it is. */
void unused_update(struct tensor *tensor);
/*
 * List what was recovered: first used is what was named first. tensor->used is when that was. 0 or
 * -ENOMEM.
 */
int unused_recover(struct store *store);

/* Oldest first, each once; what is used meanwhile is passed over. One walk of a kind at a time. */
struct unused_walk {
        struct store *store;
        enum unused_kind kind;
        uint64_t n_used; /* how many uses there were when it began */
};

void unused_walk_begin(struct unused_walk *walk, struct store *store, enum unused_kind kind);
/*
 * The next one of the user, or (NULL) of all users who hold at least so many bytes; NULL: there is
 * none. It may be deleted, or used, before the walk goes on; no other may.
 */
struct tensor *unused_walk_next(struct unused_walk *walk, struct user *user, uint64_t n_at_least);

/* It meets none of the user's any more. */
void unused_walk_leave(struct unused_walk *walk, struct user *user);

/* What it takes of the bytes of its user. */
uint64_t unused_n_bytes(const struct tensor *tensor);
/* The sum of all users. */
uint64_t unused_total(const struct store *store, enum unused_kind kind);

enum {
        UNUSED_E_ASKED = 1, /* who maps it was asked to let go of it: try again on freed(); until
                               unused_hear() no walk meets it, but sums have it */
        UNUSED_E_MAPPED,    /* who maps it does not, or is not known: it is in use after all, and
                               was set aside: no walk meets it, and no sum has it */
};

/* Would its memory come free with it? 0 or UNUSED_E_*. */
int unused_clear(struct tensor *tensor, uint64_t now_ms);
/*
 * Those that were let go of are listed again, in their order; those that were not in time are set
 * aside.
 */
void unused_hear(struct store *store, uint64_t now_ms);
/* Nobody who is known maps any more what somebody was asked for. */
void unused_answered(struct store *store);
/* Some of those that were set aside are looked at again, but not too often. */
void unused_retry(struct store *store, uint64_t now_ms);
