/* SPDX-License-Identifier: MIT */
/*
 * Leases
 *
 * Claims on views of mutable tensors: of views that may overlap, many are read or one is written.
 * Leases of one tensor are granted in the order in which they came: one waits for all earlier ones
 * that it conflicts with, granted or not, so a writer is not starved by readers. Since each waits
 * for earlier ones only, leases that are asked for together and end by themselves (a job's) never
 * wait in a circle. Those that last until somebody gives them back may; who waits for such sets a
 * bound. A job of who holds one that lasts, to read, reads what it covers at once: that is
 * granted right behind it, before who waits for it.
 *
 * Where the writer of a lease vanished, its region is torn: nobody knows what lies there, until it
 * was written again. Leases to write and what is torn stand in the ledger too, so that it is known
 * when the daemon was killed: a lease under a nonce is recovered, for whoever has that, any other
 * write is torn.
 *
 * Loop thread only.
 */
#pragma once

#include "store/store.h"
#include "tensor/overlap.h"

struct lease {
        struct list link;      /* its tensor's leases; unlinked: none */
        struct tensor *tensor; /* owned reference */
        struct desc region;
        struct overlap part; /* the region, to be compared */
        bool is_write;
        bool is_lasting;     /* until it is given back, not only until a job ends */
        bool may_last;       /* what it waits for is_lasting, or waited for such when it came */
        const void *owner;   /* leases of one owner do not conflict; compared only */
        const void *holder;  /* whose connection it is for; NULL: not known; compared only */
        uint32_t n_blockers; /* earlier ones that it waits for; 0: granted */
        uint32_t slot;       /* of the ledger; 0: none */
        /* The last blocker ended. Not called from within lease_begin(). */
        void (*granted)(struct lease *lease);
};

/*
 * tensor: mutable. region: inside of it (desc_check()), of its dtype, strides and offset multiples
 * of the item size. The lease is linked until lease_end(), granted or not.
 */
void lease_begin(struct lease *lease, struct tensor *tensor, const struct desc *region,
                 bool is_write);
/* Whatever state it is in. May call granted() of others. Twice does no harm. */
void lease_end(struct lease *lease);
/*
 * One to write gets its place in the ledger. With a nonce the daemon's successor gives it back to
 * whoever has that; without one its region is torn then, from lease_touch() on. 0, STORE_E_LIMIT,
 * STORE_E_QUOTA (of the tensor's user; not if it covers what is torn), STORE_E_FULL or negative
 * errno.
 */
int lease_record(struct lease *lease, const uint8_t *nonce);
/* Its region is being written. Any thread. */
void lease_touch(const struct lease *lease);
/* The writer vanished: end it, its region is torn. */
void lease_abandon(struct lease *lease);
/* End it, as if the daemon had been killed: its successor knows of it. */
void lease_leave(struct lease *lease);
/* Its region was written, all of it: nothing there is torn any more. */
void lease_written(struct lease *lease);
/* The first that a lease waits for, or would wait for; NULL: none. */
const struct lease *lease_blocker(const struct lease *lease);

/* A lease to write that an earlier daemon had granted, and that nobody holds. */
struct recovered {
        struct list link;
        struct tensor *tensor; /* owned reference */
        struct desc region;
        uint8_t nonce[16];
        uint32_t slot;
};

/* The next of them, now the caller's; NULL: there is none. */
struct recovered *store_next_recovered(struct store *store);
struct recovered *recovered_free(struct recovered *recovered);
DEFINE_CLEANUP(struct recovered, recovered_free)
/* As lease_begin() and lease_record(), of that one. */
void lease_resume(struct lease *lease, const struct recovered *recovered);

/* Is any of it? */
bool tensor_is_torn(const struct tensor *tensor);
/* What of the region may be torn; NULL: nothing. */
const struct desc *tensor_torn(const struct tensor *tensor, const struct desc *region);
