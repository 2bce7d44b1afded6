/* SPDX-License-Identifier: MIT */
/*
 * Leases
 *
 * Claims on views of mutable tensors: of views that may overlap, many are read or one is written.
 * Leases of one tensor are granted in the order in which they came: one waits for all earlier ones
 * that it conflicts with, granted or not, so a writer is not starved by readers. Since each waits
 * for earlier ones only, leases that are asked for together and end by themselves (a job's) never
 * wait in a circle. Those that last until somebody gives them back may; who waits for such sets a
 * bound.
 *
 * Where the writer of a lease vanished, its region is torn: nobody knows what lies there, until it
 * was written again.
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
        bool is_lasting;  /* until it is given back, not only until a job ends */
        bool may_last;    /* what it waits for is_lasting, or waited for such when it came */
        const void *owner; /* leases of one owner do not conflict; compared only */
        uint32_t n_blockers; /* earlier ones that it waits for; 0: granted */
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
/* Its region was written, all of it: nothing there is torn any more. */
void lease_written(struct lease *lease);
/* The first that a lease waits for, or would wait for; NULL: none. */
const struct lease *lease_blocker(const struct lease *lease);

/* The region's content is not to be trusted any more. */
void tensor_tear(struct tensor *tensor, const struct desc *region);
/* What of the region may be torn; NULL: nothing. */
const struct desc *tensor_torn(const struct tensor *tensor, const struct desc *region);
