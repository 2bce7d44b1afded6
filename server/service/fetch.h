/* SPDX-License-Identifier: MIT */
/*
 * Fetching
 *
 * What a request refers to may lie in a file (store/spill.h). Before it is started, all of that
 * comes back: there is memory for all of it, or none is taken and the request waits for memory in
 * its user's line (starved.h), as for anything else. So two that want more than there is for both
 * never hold half of it each.
 *
 * For the same reason a request that waits for memory keeps none by what it refers to: that may
 * move to files meanwhile, and comes back when the request goes on. One of all of them is excepted,
 * the keeper, until it has what it waits for: else two could take each other's inputs for ever.
 *
 * Loop thread only.
 */
#pragma once

#include "service/call.h"

/*
 * Have what it refers to in memory: false, it is. Else the call waits, to be started again, or has
 * ended.
 */
bool fetch_all(struct call *call);
/* What was asked for is there (r 0), or is not: who waits for it goes on, or fails. */
void fetch_done(struct service *service, struct tensor *tensor, struct list *waits, int r);

/* The call waits for memory; it does not any more; and it has all, or has ended. */
void fetch_rest(struct call *call);
void fetch_rest_over(struct call *call);
void fetch_end(struct call *call);
