/* SPDX-License-Identifier: MIT */
/*
 * Claims
 *
 * Leases as requests and connections hold them. A run claims what it reads of mutable tensors, and
 * what it writes into them, from its arrival to its end; `lease` claims for its connection, until
 * `unlease` or until the connection ends.
 *
 * A request that conflicts with what others hold as long as they like is refused at once, unless it
 * said how long it would wait; one that conflicts with requests alone waits for them, which may
 * take as long as what they wait for themselves: as long as it said, if it did. A request waits for
 * those alone that arrived before it, so requests never wait in a circle. Two connections that each
 * hold a lease and wait for the other's do, until the bound of the first.
 *
 * Leases to write that an earlier daemon had granted are kept for TD_LEASE_RETURN_MS for whoever
 * has their nonce; then what they cover is torn.
 *
 * Loop thread; a worker reads the leases of its own call, which stay until the call ends.
 */
#pragma once

#include "base/table.h"
#include "service/call.h"
#include "store/lease.h"

struct claim {
        struct lease lease;
        struct call *call;     /* that waits for it or computes under it; NULL: */
        struct client *client; /* who holds it, under a number */
        uint64_t number;
        struct list returning; /* the service's: an earlier daemon's, that nobody asked for yet */
        uint64_t until_ms;     /* when that is over; 0: it is no such claim, or was asked for */
        uint8_t nonce[16];     /* of such a one */
        struct charge charge;
        UT_hash_handle hh;
};

/* Take over what the store recovered. 0 or -ENOMEM. */
int claims_recover(struct service *service);
/* What nobody asked for in time is torn. */
void claims_expire(struct service *service, uint64_t now_ms);
/* When the next one is; UINT64_MAX: there is none. */
uint64_t claims_expire_at_ms(const struct service *service);
/* The daemon ends: it is left for the next one. */
void claims_leave(struct service *service);

/*
 * The call arrived: claim what it needs of those tensors that are known by now. call->n_pending
 * counts what has to be waited for. 0, or -1 and the call's failure is set.
 */
int claim_known(struct call *call);
/*
 * All are known, and all that was claimed is granted: claim the others. Where one of them is in use
 * the call fails: who waited for it would wait for what came later.
 */
int claim_promised(struct call *call);
/* All is granted. Is what will be read whole? 0, or -1 and the call's failure is set. */
int claim_check(struct call *call);
/* Given back; nothing is said about what was written. Accepts NULL. */
struct claim *claim_free(struct claim *claim);
/* Does it wait for leases that may last? */
bool claim_may_last(const struct call *call);
/* Does it wait for any? Then the failure that says so can be set. */
bool claim_is_blocked(const struct call *call);
void claim_set_blocked(struct call *call);

/* Does the connection hold a lease to write some of it? */
bool claim_may_write(const struct client *client, const struct tensor *tensor);
/*
 * The connection ended: what it was writing is torn. Where the daemon ended it, as it stops, the
 * next one knows of the lease.
 */
void claims_end(struct client *client);
