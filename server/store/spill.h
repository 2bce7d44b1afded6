/* SPDX-License-Identifier: MIT */
/*
 * Spilling
 *
 * Where memory runs out and idle memory does not help, named tensors that nobody uses move to files
 * (spill_file.h), those first that were not used for longest. The name stays, and the tensor keeps
 * its identity: it only has neither heap nor segment, but a struct spilled. Whoever needs its bytes
 * has it fetched, and waits until they are in memory again.
 *
 * Either way the catalog decides: out, the file is on the disk, then the record says so, then the
 * segment goes; back, the segment is filled and compared with the hash, then the record says so,
 * then the file goes. A daemon that is killed in between leaves a file or a segment that no name
 * claims, and the next one removes it. So that the catalog can say it, room is made there before
 * anything is written or read.
 *
 * What waits for the disk is a job: spill_job_run() on any thread, everything else on the loop
 * thread. One at a time writes, users in turn. A tensor on its way out may be used as before: then
 * it stays, and the file goes.
 */
#pragma once

#include "base/workers.h"
#include "store/spill_file.h"
#include "store/store.h"

/* Smaller ones stay: a file each takes the disk longer than it gives back. */
#define SPILL_MIN_BYTES (64 * 1024)
/* After the disk failed, or was full, it is left alone for so long; twice as long each time. */
#define SPILL_RETRY_MS 50
#define SPILL_RETRY_MAX_MS 10000
/* Files that could not be removed are tried again after so long; twice as long each time. */
#define SPILL_REMOVE_MS 1000
#define SPILL_REMOVE_MAX_MS 60000
/* Who wants memory waits for such a time to be over, if it is short. */
#define SPILL_SOON_MS 1000

/* What a tensor has whose bytes lie in a file; or a name that was lost, for what is left there. */
struct spilled {
        struct spill_place place;
        struct charge charge; /* none: the file is not ours to remove, or there is none */
        struct list waits; /* for it to be fetched; the service's */
        struct spill_job *back; /* owned: prepared, and not begun */
        bool is_counted;        /* by who looks at many of them; the service's */
        bool is_returning;
        bool is_lost; /* the file was not what was written */
};

struct spill_job {
        struct work work; /* the service's */
        struct list link; /* of those that wait to be written, or of files that stay */
        enum { SPILL_OUT, SPILL_BACK, SPILL_REMOVE } kind;
        struct store *store;
        struct user *user;       /* owned reference: whose file it is */
        struct tensor *tensor;   /* owned reference; NULL: of a file that is to be removed */
        struct segment *segment; /* owned reference: from, or to */
        bool is_ready;           /* it has its pages */
        bool is_owning;          /* the directory has to be made this catalog's first */
        bool is_pinned;
        struct desc desc;
        struct spill_place place;
        struct charge charge;    /* of the file */
        uint64_t n_record_bytes; /* counted in store->spill */
        int result;           /* SPILL_E_* or negative errno */
};

/* Any thread, which may have to wait for the disk. */
void spill_job_run(struct spill_job *job);
/* Loop thread; frees it. */
void spill_job_done(struct spill_job *job);

bool tensor_is_spilled(const struct tensor *tensor);
/* One of those who refer to it waits, and needs it in memory only when it goes on; or does so. */
void tensor_rest(struct tensor *tensor, bool is_resting);
/* Its file was not what was written, as somebody found who had it already. */
bool tensor_is_lost(const struct tensor *tensor);
/*
 * To have it back, in two steps: who wants several has room for all of them, or for none.
 *
 * Does it lie in a file, and is neither prepared nor on its way?
 */
bool tensor_wants_fetch(const struct tensor *tensor);
/*
 * Into a segment that was reserved for its user, and is taken over, whatever the outcome. It must
 * not be lost. 0, STORE_E_LIMIT, STORE_E_TRIMMING, STORE_E_FULL or negative errno.
 */
int store_fetch_prepare(struct store *store, struct tensor *tensor, struct segment *segment,
                        bool is_ready);
/* It is on its way; store_config.fetched tells how that ends (perhaps from within). */
void store_fetch_begin(struct store *store, struct tensor *tensor);
/* If it was prepared it is not any more. */
void store_fetch_drop(struct tensor *tensor);
/* When the last one was on its way out: now, if one is; 0: none ever was. */
uint64_t store_spilling_ms(const struct store *store);
/* The daemon ends: jobs that write or read give up. Any thread. */
void store_stop_spilling(struct store *store);
