/* SPDX-License-Identifier: MIT */
/*
 * Starved
 *
 * Requests that wait for memory: for what clients were asked to give back, or is being evicted, for
 * STARVED_MS at most, or while tensors are written to files; with wait_ms as long as they said, for
 * whatever comes free. What is on its way when that time is over they wait for STARVED_LAST_MS
 * longer. What they could not have if it were all free is refused at once.
 *
 * Those with wait_ms stand in lines, one for each user, in the order in which they came. When
 * memory came free the first of each line is tried, and if it does not get through a few behind it
 * that ask for less; the line that got some goes behind the others. So memory that comes free in
 * many small pieces costs a few attempts each, however many wait. Those without wait_ms stand
 * beside their user's line, and have a few attempts, too. One that waits holds no memory; what it
 * had reserved before it came to what is missing it gave back, and what it refers to may be spilled
 * (fetch.h).
 *
 * Neither large nor small ones starve. Those behind it, beside it, and who come later and find room
 * at once overtake, until so many bytes went past the first one of their user as it asks for; then
 * what is free is kept for it. And it stays the first for FRONT_MS at most; then it goes to the end
 * of its line, and begins anew. Of another user nobody keeps anything back: there shares decide
 * (base/quota.h).
 *
 * Loop thread only.
 */
#pragma once

#include "service/call.h"

struct line {
        struct list link;  /* the service's */
        struct list calls; /* by their place; one may be away, being tried */
        struct list brief; /* those without wait_ms, in the order in which they are tried */
        struct user *user; /* owned reference */
        uint64_t n_places;
        const struct call *tried; /* NULL: none is now */
        bool has_got;             /* one of them got through in this turn */
        struct call *first; /* whose turn it is: the numbers below are its; NULL: none was tried */
        uint64_t since_ms;
        uint64_t n_asked;
        uint64_t n_overtaken; /* bytes that were had by later ones */
};

/*
 * The call found no room, as r says (of the store), for so many bytes. Does it wait? Then it is
 * started again. asked 0: it is not known.
 */
bool starved_wait(struct call *call, int r, uint64_t asked);
/* It ends, or is started: it does not wait any more. */
void starved_leave(struct call *call);
/* When its wait is over: it is tried then for the last time. UINT64_MAX: it does not wait. */
uint64_t starved_due_ms(const struct call *call);
void starved_try_last(struct call *call);
/* Memory came free: some are tried. */
void starved_feed(struct service *service);
/* Do some wait for what is to be asked for now and then? */
bool starved_want_ticks(const struct service *service);
/* The daemon ends: nobody gives memory back any more. */
void starved_refuse_all(struct service *service);

/*
 * store_reserve() for a call, in its turn among those of the user: its own, or whose tensor it
 * fetches. STORE_E_LIMIT also where what is free is kept for another.
 */
int starved_reserve(struct call *call, struct user *user, struct holder *holder, uint64_t n_bytes,
                    struct segment **segmentp, bool *is_readyp);
