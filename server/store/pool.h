/* SPDX-License-Identifier: MIT */
/*
 * The pool
 *
 * Freed segments that may be used again, by user and size class: idle ones for anyone of the uid,
 * parked ones for the one holder that maps them. The pool only keeps and finds; whether a segment
 * may enter is decided by who puts it there. Of the parked ones it knows who was asked to unmap
 * them and who did not answer, so that none of it is looked for.
 *
 * Loop thread only.
 */
#pragma once

#include "store/segment.h"

struct pool {
        struct pool_bucket *buckets;
        struct list idle; /* oldest first */
        struct list parked; /* nobody was asked for them; parked longest first */
        struct list asked;  /* in the order of asking */
        struct list deaf;   /* asked for in vain */
        uint64_t n_idle_bytes;
        uint64_t n_parked_bytes; /* of the three lists, */
        uint64_t n_asked_bytes;
        uint64_t n_deaf_bytes;
        uint32_t n_segments;
};

void pool_init(struct pool *pool);
void pool_deinit(struct pool *pool);

/* -ENOMEM. holder NULL: idle. */
int pool_put(struct pool *pool, struct segment *segment, const struct holder *holder);
/* The one used last, taken out; NULL if there is none. */
struct segment *pool_take(struct pool *pool, uid_t uid, uint64_t file_bytes,
                          const struct holder *holder);
/* It is parked: its holder is being asked for it, or was in vain. */
void pool_ask(struct pool *pool, struct segment *segment);
void pool_give_up(struct pool *pool, struct segment *segment);
/*
 * Of what the user was asked for in vain: what it was asked for once only may be asked for again.
 * Was there some?
 */
bool pool_forgive(struct pool *pool, const struct user *user);
void pool_remove(struct pool *pool, struct segment *segment);
