/* SPDX-License-Identifier: MIT */
/*
 * Descriptions
 *
 * How a result speaks of a tensor (PROTOCOL.md section 3). Handing out memory has two halves, since
 * the answer is written front to back: describe_grant() records grants and gathers the descriptors
 * of all tensors of a reply, then describe_fds() and describe() write.
 */
#pragma once

#include "service/call.h"

enum describe_mode {
        DESCRIBE_DATA,  /* small ones with their bytes, others with the place where they lie */
        DESCRIBE_BRIEF, /* without bytes: rows of a list */
        DESCRIBE_PLACE, /* where the bytes lie, without a descriptor */
        DESCRIBE_MAP,   /* where they lie; describe_grant() came before */
};

/*
 * Note in the reply that the client needs a descriptor of this tensor's segment, unless it has one.
 * prepaid: grants that were charged for; NULL: it is charged now. 0, STORE_E_QUOTA or -ENOMEM.
 */
int describe_grant(struct call *call, struct reply *reply, const struct tensor *tensor,
                   bool writable, struct charge *prepaid);
/*
 * The map of one description, as the viewer may have it; with_fds: it is the whole result, `fds`
 * stands in it.
 */
void describe(struct reply *reply, const struct user *viewer, const struct tensor *tensor,
              enum describe_mode mode, bool writable, bool with_fds);
/* The row of a name whose tensor is lost. */
void describe_lost(struct reply *reply, const char *name, const struct loss *loss);
/* The array of reply->fds, without its key. */
void describe_fds(struct reply *reply);

/*
 * The description of one tensor as the call's result. Promotes and grants for DESCRIBE_MAP: all
 * that can fail, and so comes before the tensor is anybody's. 0 and the reply, which may be NULL;
 * or what the call failed for, or will be tried again for.
 */
int describe_begin(struct call *call, struct tensor *tensor, enum describe_mode mode, bool writable,
                   struct reply **replyp);
/* The same, and the call ends with it: its handle, if it asked for one, means the tensor. */
int describe_and_finish(struct call *call, struct tensor *tensor, enum describe_mode mode,
                        bool writable);
