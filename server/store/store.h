/* SPDX-License-Identifier: MIT */
/*
 * The store
 *
 * Who owns which bytes. Tensors, the segments and heap blocks that they lie in, names, the catalog
 * that makes names survive, the pool that keeps freed segments warm, and the record of who was
 * handed which segment.
 *
 * Loop thread only, but for what says otherwise: long system calls (reserving, unlinking, copying)
 * are split off so that the service can put them on workers. The store knows no session and no
 * message: a connection is a struct holder that the service embeds.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/quota.h"
#include "tensor/desc.h"

struct store;
struct segment;
struct tensor;
struct reservation;
struct spill_job;
struct spilled;

enum store_outcome {
        STORE_E_NOT_FOUND = 1,
        STORE_E_LOST,     /* named, but its memory or file was missing or another */
        STORE_E_TAKEN,    /* name in use or reserved */
        STORE_E_LIMIT,    /* beyond the memory limit */
        STORE_E_QUOTA,    /* beyond what there is of another resource, or the user's share or cap:
                             users->refusal says which */
        STORE_E_TRIMMING, /* beyond it now, but clients were asked for what they do not use, or
                             more could be evicted: try again on store_config.freed */
        STORE_E_FULL,     /* /dev/shm has no room (ENOSPC) */
        STORE_E_POISONED, /* truncated, grown or replaced by someone who could write it */
        STORE_E_CATALOG,  /* at start: damaged, newer, missing beside segments, or something of
                             another user stands in its way; nothing was written */
        STORE_E_BUSY,     /* at start: another daemon holds the lock */
        STORE_E_WRITABLE, /* somebody may still write it */
};

/*
 * A connection, as the store sees it: the list of grants (segments whose descriptor it was sent).
 */
struct holder {
        struct list grants;
        struct list parked; /* idle segments that only this holder maps */
        struct user *user;  /* not owned */
        uint64_t deaf_ms;   /* when something that it was asked for was given up; 0: it answers */
        /*
         * Ask it to unmap those it does not use; may be answered by store_unmap() much later or
         * never, not from within.
         */
        void (*trim)(struct holder *holder, const uint64_t *segments, uint32_t n_segments);
};

struct store_config {
        const char *prefix;          /* of shm object names, without '/': "tensord.<16 hex>" */
        const char *directory;       /* "/dev/shm"; tests mount their own */
        uint64_t limit;              /* bytes */
        const struct quotas *quotas; /* of everything else; NULL: none, and nothing is shared */
        void *ctx;
        /*
         * Take over a segment of more than 1 MiB whose memory must go: call segment_destroy() on
         * any thread, then store_disposed() on the loop thread. Smaller ones, and all if it is
         * NULL, the store disposes of at once.
         */
        void (*dispose)(void *ctx, struct segment *segment);
        /*
         * Bytes came free: whoever got STORE_E_TRIMMING may try again, but not from within. May be
         * NULL.
         */
        void (*freed)(void *ctx);
        /*
         * The tensor got its name, or is shared from now on. Nothing may be done to the store from
         * within. May be NULL.
         */
        void (*named)(void *ctx, const struct tensor *tensor);
        /* Where tensors are spilled to, if memory runs out; NULL: nowhere. See spill.h. */
        const char *spill_directory;
        uint64_t spill_free; /* bytes of its file system that are left to others */
        /*
         * Have spill_job_run() called on a thread that may wait for the disk, then spill_job_done()
         * on the loop thread. NULL: the store does both at once.
         */
        void (*disk)(void *ctx, struct spill_job *job);
        /*
         * What store_fetch() was asked for: 0, it is in memory; STORE_E_LOST, STORE_E_FULL, ..., or
         * negative errno: it is not. Of waits (struct spilled) none may be left. May be NULL.
         */
        void (*fetched)(void *ctx, struct tensor *tensor, struct list *waits, int r);
};

/* ---- life ---- */

/*
 * Take the instance lock, recover the catalog, adopt and charge what it names, remove what nobody
 * names. 0, STORE_E_CATALOG, STORE_E_BUSY, STORE_E_FULL (the message says what to do), or a
 * negative errno. Can be killed at any step and run again.
 */
int store_new(struct store **storep, const struct store_config *config, char message[256]);
/*
 * Leaves named tensors and the catalog for the next start; removes everything where nothing is
 * named. All tensors and holders must be gone.
 */
struct store *store_free(struct store *store);
DEFINE_CLEANUP(struct store, store_free)

struct users *store_users(struct store *store);

/* ---- memory ---- */

/*
 * Charge n_bytes (> 0) to the user and find memory: a segment parked with this holder, an idle one
 * of the user, or a new one. Writable by the daemon. *is_readyp false: segment_allocate() must
 * succeed (any thread) before anything else is done with it. 0, STORE_E_LIMIT, STORE_E_QUOTA,
 * STORE_E_TRIMMING or -ENOMEM. holder may be NULL. The reference that is returned ends with
 * segment_unref().
 */
int store_reserve(struct store *store, struct user *user, struct holder *holder, uint64_t n_bytes,
                  struct segment **segmentp, bool *is_readyp);
/*
 * Any thread: create the shm object and reserve its pages. 0, STORE_E_FULL, or negative errno. On
 * failure unref it.
 */
int segment_allocate(struct segment *segment);

struct segment *segment_ref(struct segment *segment);
/*
 * Loop thread. With the last reference the segment goes to the pool, is parked, is held, or is
 * disposed of.
 */
struct segment *segment_unref(struct segment *segment);
DEFINE_CLEANUP(struct segment, segment_unref)

/*
 * Any thread, but one at a time for one segment; map it into the daemon (guarded) and keep it
 * mapped until unpinned. A warm segment is mapped already.
 */
int segment_pin(struct segment *segment);
/* Loop thread. The mapping may stay warm. */
void segment_unpin(struct segment *segment);
/* The first data byte. Pinned only. */
void *segment_data(const struct segment *segment);
/* Set by the guard, at any time. */
bool segment_is_poisoned(const struct segment *segment);

uint64_t segment_id(const struct segment *segment);
/* To be mapped by clients, header included. */
uint64_t segment_map_bytes(const struct segment *segment);
/* Reserved for data. */
uint64_t segment_n_bytes(const struct segment *segment);

/* A fresh open, O_RDONLY or O_RDWR, close-on-exec: a descriptor or a negative errno. */
int segment_open(const struct segment *segment, bool writable);
/* The same, but not for writing what was sealed meanwhile. */
int segment_open_for_client(const struct segment *segment, bool writable);

/*
 * Unlink and unmap. Any thread; then store_disposed() on the loop thread drops the charge and frees
 * the object. One that cannot be unlinked stays charged, as held, and is tried again.
 */
void segment_destroy(struct segment *segment);
void store_disposed(struct store *store, struct segment *segment);

/* ---- holders and grants ---- */

void holder_init(struct holder *holder, struct user *user,
                 void (*trim)(struct holder *, const uint64_t *, uint32_t));
/*
 * The connection ended: at most so many of its grants end; what it mapped is tested before it is
 * reused. Returns how many of the number are left, 0: perhaps there are more.
 */
unsigned holder_take_out(struct store *store, struct holder *holder, unsigned n);
/* All of them end. */
void holder_deinit(struct store *store, struct holder *holder);
/* So much of what the user has will perhaps be given back soon, by itself; or was, or will not. */
void store_expect(struct store *store, struct user *user, uint64_t n_bytes);
void store_expect_no_more(struct store *store, struct user *user, uint64_t n_bytes);
/*
 * May something else be written to the tensor's memory, as if it had been given back and reserved
 * again for the holder? It lies in a segment, has no name and n_refs references, and nobody but the
 * holder was ever sent the descriptor.
 */
bool tensor_may_take(const struct tensor *tensor, uint32_t n_refs, const struct holder *holder);
/*
 * Record that the descriptor goes to the holder. *is_newp false: it has it already (and in the
 * wanted mode), send none. 0, STORE_E_QUOTA or -ENOMEM.
 */
int store_grant(struct store *store, struct holder *holder, struct segment *segment, bool writable,
                bool *is_newp);
/* So many grants are paid for; and one of them is made, for which nothing is charged any more. */
int store_charge_grants(struct charge *charge, struct user *user, uint32_t n);
int store_grant_prepaid(struct store *store, struct holder *holder, struct segment *segment,
                        bool writable, struct charge *prepaid, bool *is_newp);
/* The holder says that it no longer maps the segment. Unknown ids are ignored. */
void store_unmap(struct store *store, struct holder *holder, uint64_t segment_id);

/* ---- tensors ---- */

enum tensor_state {
        TENSOR_UNSEALED, /* written by its creator, seen by nobody else */
        TENSOR_SEALED,   /* never written again */
        TENSOR_MUTABLE,  /* written under leases */
};

/* Regions that are remembered one by one; where there are more, all of the tensor is torn. */
#define TORN_MAX 8

struct torn {
        struct desc region;
        uint32_t slot; /* of the ledger, which says it too */
};

/* What a mutable tensor has beside the others. */
struct mutable {
        struct list leases; /* struct lease, in order of arrival */
        uint32_t n_leases;
        const void *reader; /* of many parts: has a lease of all instead; compared only */
        uint64_t version;   /* counts the writes that ended well */
        uint32_t slot;      /* of the ledger, which has the version too; 0: none */
        bool is_torn;       /* all of it, as that slot says; then no regions are remembered */
        uint32_t n_torn;
        struct torn *torn; /* owned: room for TORN_MAX; NULL: none is */
        struct charge torn_charge;
        struct charge slots; /* in the ledger: these, and those of leases to write */
};

struct tensor {
        struct store *store;
        uint32_t n_refs;
        uint32_t n_resting; /* of these: requests that wait, and would bring it back from a file */
        struct user *user;  /* owned reference */
        struct desc desc;  /* offset 0 */
        uint8_t id[16];
        uint8_t *heap;           /* small: bytes below (NULL: they lie in the segment alone) */
        struct segment *segment; /* may stand beside heap: a promoted mapping, a cache of it */
        struct spilled *spilled; /* owned: its bytes lie in a file instead */
        struct charge charge;    /* of the heap block */
        struct charge counted;   /* among the tensors of its user */
        struct mutable *mutable; /* owned; NULL: it is, or will be, sealed */
        struct name *name;       /* the store's entry, NULL: unnamed */
        const void *creator;     /* who may seal it, compared only */
        struct list stakes;      /* of connections that have handles of it; the service's */
        struct list unused_link; /* its user's, while nobody uses it */
        uint64_t used;           /* then: the how many-th use of any tensor was its last */
        enum tensor_state state : 8;
        bool is_evictable : 1;   /* a cache: deleted before anyone is refused memory */
        bool is_asked : 1;       /* who maps it was asked to let go; not listed meanwhile */
        bool is_aside : 1;       /* though somebody who is not known maps it; not listed */
        bool is_taken : 1;       /* a job writes over it: found by nobody */
        uint32_t n_hidden;       /* how often it was hidden, or lost its name: what is on the way to
                                    share it is overtaken */
        UT_hash_handle hh;       /* by id */
        _Alignas(16) uint8_t bytes[];
};

/* Of data. */
static inline uint64_t tensor_n_bytes(const struct tensor *tensor)
{
        return (uint64_t)desc_n_bytes(&tensor->desc);
}

/*
 * A tensor over a segment (its reference is taken over, whatever the outcome) or over a heap copy
 * of data (at most TD_INLINE_MAX bytes; segment NULL). One of no elements has neither. Sealed
 * unless creator is given. 0, STORE_E_LIMIT, STORE_E_QUOTA or -ENOMEM.
 */
int tensor_new(struct tensor **tensorp, struct store *store, struct user *user,
               const struct desc *desc, struct segment *segment, const void *data,
               const void *creator);
/*
 * One over a heap copy of data instead of another of its user, which goes at once when this one is
 * named (reservation_leaves(); NULL: of none): only what is more is asked for.
 * As tensor_new(), and STORE_E_TRIMMING.
 */
int tensor_new_instead(struct tensor **tensorp, struct store *store, struct user *user,
                       const struct desc *desc, const void *data, const struct tensor *before);

/* What is charged, and kept, for tensors that are still to be made and named. */
struct prepaid {
        struct store *store;     /* NULL: neither bytes nor records are */
        struct charge tensors;   /* so many */
        struct charge bytes;     /* of those that will lie in the heap */
        uint64_t n_record_bytes; /* in the catalog; store_prepay() */
};

/*
 * From now on it has so many bytes, and room for such records, if it had less. 0, STORE_E_LIMIT,
 * STORE_E_QUOTA, STORE_E_TRIMMING, STORE_E_FULL or negative errno: it has what it had.
 */
int store_prepay(struct store *store, struct prepaid *prepaid, struct user *user, uint64_t n_bytes,
                 uint64_t n_record_bytes);
/* The names are committed now. */
void prepaid_spend_records(struct prepaid *prepaid);
/* Bytes and records go; who waits for memory is told. */
void prepaid_give_back(struct prepaid *prepaid);
/* As tensor_new(), but what was prepaid is charged for: of the tensors one, and its bytes. */
int tensor_new_prepaid(struct tensor **tensorp, struct store *store, struct user *user,
                       const struct desc *desc, struct segment *segment, const void *data,
                       const void *creator, struct prepaid *prepaid);
struct tensor *tensor_ref(struct tensor *tensor);
struct tensor *tensor_unref(struct tensor *tensor);
DEFINE_CLEANUP(struct tensor, tensor_unref)

const char *tensor_name(const struct tensor *tensor); /* NULL: unnamed */
/*
 * One that nobody else refers to is mutable; if it is unsealed, from tensor_seal() on. It lies in a
 * segment. 0, STORE_E_LIMIT, STORE_E_QUOTA, STORE_E_FULL or negative errno.
 */
int tensor_set_mutable(struct tensor *tensor);
/*
 * Publish what was written: check that the segment is as it was reserved (fstat), write its .npy
 * header, make the tensor immutable, or mutable under leases if that was set. 0, STORE_E_POISONED,
 * or negative errno. A tensor born sealed over a segment needs it too, before anybody hears of it.
 */
int tensor_seal(struct tensor *tensor);
/* That is undone before anybody heard of it: its creator may write on, and seal it later. */
void tensor_unseal(struct tensor *tensor, const void *creator);
/*
 * A write ended: the segment is still as it was reserved. 0, STORE_E_POISONED (from now on), or
 * negative errno.
 */
int tensor_audit(const struct tensor *tensor);
/*
 * Give a small tensor a segment, reserved by store_reserve() and allocated: the bytes are copied
 * there and it is published. Takes the reference over, whatever the outcome. 0, STORE_E_POISONED or
 * negative errno.
 */
int tensor_promote(struct tensor *tensor, struct segment *segment);

int store_find(struct store *store, uid_t uid, const char *name,
               struct tensor **tensorp); /* borrowed; 0, NOT_FOUND, LOST */
/* Calls back for each holder that was sent its segment, and did not say that it unmapped it. */
void tensor_each_holder(const struct tensor *tensor,
                        void (*visit)(void *ctx, struct holder *holder), void *ctx);
/* Is it mapped by somebody, though by no holder? (With holders that is not to be known: false.) */
bool tensor_is_held(const struct tensor *tensor);

/* What another user has under that name, as far as it is shared: borrowed; 0, NOT_FOUND. */
int store_find_shared(struct store *store, uid_t owner, const char *name, struct tensor **tensorp);
/* Of the uid's own, or a shared one: borrowed; 0, NOT_FOUND. */
int store_find_id(struct store *store, uid_t uid, const uint8_t id[16], struct tensor **tensorp);

/* ---- names ---- */

struct op_id {
        bool is_set;
        uint8_t bytes[16];
};

/*
 * Reserve a name for a write under way. 0, STORE_E_TAKEN (unless replace; always if another write
 * reserved it) or -ENOMEM.
 */
int store_reserve_name(struct store *store, struct user *user, const char *name, bool replace,
                       struct reservation **reservationp);
/* Give it up, if it was not committed. */
struct reservation *reservation_free(struct reservation *reservation);
DEFINE_CLEANUP(struct reservation, reservation_free)
/* What a tensor of that name takes in the catalog, whose data lie there or in a segment. */
uint32_t reservation_record_bytes(const struct reservation *reservation, const struct desc *desc,
                                  bool is_heap);
/* The tensor that the name means and that nothing else keeps; NULL: there is none such. */
const struct tensor *reservation_leaves(const struct reservation *reservation);

struct commit {
        struct reservation *reservation; /* consumed on success */
        struct tensor *tensor;           /* sealed or mutable, unnamed */
        bool is_evictable;               /* it may be deleted for its memory; sealed */
        struct charge record;            /* the store's: nothing is charged before */
};

/*
 * Name all of them in one step: either every record is in the catalog, or none. 0, STORE_E_FULL,
 * STORE_E_LIMIT (the catalog had to grow), STORE_E_TRIMMING (it has to, and others move to files
 * for that), STORE_E_QUOTA or negative errno. What the names meant before is unnamed.
 */
int store_commit(struct store *store, struct commit *commits, uint32_t n_commits,
                 const struct op_id *op_id);
/* The same for who cannot wait: a little is lent meanwhile, then it is STORE_E_LIMIT. */
int store_commit_now(struct store *store, struct commit *commits, uint32_t n_commits,
                     const struct op_id *op_id);
/*
 * 0, STORE_E_NOT_FOUND, STORE_E_TAKEN (reserved by a write under way), STORE_E_FULL or negative
 * errno. A lost name is forgotten.
 */
int store_delete(struct store *store, uid_t uid, const char *name, const struct op_id *op_id);

/*
 * What became of an earlier named write. 0: *tensorp is what it committed first (borrowed; NULL: it
 * deleted, or the value is gone since).
 */
int store_recall(struct store *store, uid_t uid, const struct op_id *op_id,
                 struct tensor **tensorp); /* 0 or NOT_FOUND */
/* What the name still means by that operation (borrowed); NULL: nothing, or another's since. */
struct tensor *store_recall_name(struct store *store, uid_t uid, const struct op_id *op_id,
                                 const char *name);

/* How a tensor was lost, as far as could be seen. */
enum loss_reason {
        LOSS_MEMORY_MISSING, /* when the daemon started */
        LOSS_MEMORY_CHANGED,
        LOSS_FILE_MISSING, /* then, or when it was wanted back from there */
        LOSS_FILE_DAMAGED,
};

struct loss {
        enum loss_reason reason;
        struct td_type type;
        struct spilled *left; /* owned: its file; NULL: there is none */
};

/* A name of a list, borrowed. */
struct listed {
        const char *name;
        struct tensor *tensor;   /* NULL: it is lost */
        const struct loss *loss; /* NULL: it is not */
};

/*
 * Names of the uid in order, those after `after`, beginning with prefix; with_lost: also those
 * whose tensor is lost. Returns the number of rows written (at most max); *morep: there are more.
 */
uint32_t store_list(struct store *store, uid_t uid, const char *prefix, const char *after,
                    bool with_lost, struct listed *rows, uint32_t max, bool *morep);
/* The same, of those that are shared: none of them is lost. */
uint32_t store_list_shared(struct store *store, uid_t owner, const char *prefix, const char *after,
                           struct listed *rows, uint32_t max, bool *morep);

/* ---- sharing ---- */

/* It has a name, under which every user may read it. */
bool tensor_is_shared(const struct tensor *tensor);
/*
 * Others read only what nobody can write any more. Could somebody, as far as is known? Then
 * tensor_freeze() is to be tried, and where it answers STORE_E_WRITABLE, tensor_copy().
 */
bool tensor_is_frozen(const struct tensor *tensor);
/*
 * Any thread; the segment is that of the sealed tensor, and referenced. 0: nobody writes it any
 * more; STORE_E_WRITABLE, STORE_E_POISONED or negative errno.
 */
int tensor_freeze(const struct tensor *tensor, struct segment *segment);
/*
 * Any thread: allocate to, unless it is ready, and write there what the tensor has in from. Pins
 * both; what *n_pinnedp says of from and to, in this order, is to be unpinned on the loop thread.
 * 0, STORE_E_FULL, STORE_E_POISONED or negative errno.
 */
int tensor_copy(const struct tensor *tensor, struct segment *from, struct segment *to,
                bool is_ready, unsigned *n_pinnedp);
/*
 * Show the tensor, under its name, to every user, or not any more: who has it keeps it. copy: a
 * segment that nobody can write, and that it lies in from now on (the reference is taken over,
 * whatever the outcome); NULL: it is frozen, or not to be shown. 0, STORE_E_FULL, STORE_E_LIMIT,
 * STORE_E_TRIMMING or negative errno; to be hidden needs no room.
 */
int store_share(struct store *store, struct tensor *tensor, bool is_shared, struct segment *copy);

/* ---- upkeep ---- */

/*
 * Catalog compaction is due: begin on the loop thread, copy on a worker, finish on the loop thread
 * unless the copy failed. 0, STORE_E_LIMIT (where that halves it, it was done at once),
 * STORE_E_FULL or negative errno.
 */
bool store_compaction_is_due(const struct store *store);
int store_compaction_begin(struct store *store);
int store_compaction_copy(struct store *store);   /* any thread */
int store_compaction_finish(struct store *store); /* loop thread: copies the rest, switches */
/* Instead of that, where the copy failed: all of it is given back. */
void store_compaction_drop(struct store *store);

/*
 * Once in each turn of the loop: some of the segments that nobody refers to any more find their
 * place. While any are left there is to be a next turn.
 */
void store_settle(struct store *store);
bool store_has_left(const struct store *store);

/*
 * What is idle goes, or what may be evicted or spilled, until the user may have n_bytes of data
 * more: 0, STORE_E_LIMIT, STORE_E_QUOTA, STORE_E_TRIMMING (soon). Nothing is reserved.
 */
int store_make_room(struct store *store, struct user *user, uint64_t n_bytes);

/*
 * Try held segments again, and files that could not be removed; returns how many segments are still
 * held. Call now and then while there are any of either.
 */
uint32_t store_retry_held(struct store *store);
bool store_has_held(const struct store *store);
/*
 * Are there tensors that could be had for memory, did nobody who is not known map them? Nobody says
 * when that ends: who waits for memory has to try again now and then.
 */
bool store_has_aside(const struct store *store);

struct store_figures {
        uint64_t limit, used, live, idle, parked, held, catalog,
                heap;       /* bytes; used = the sum of these but limit */
        uint64_t evictable; /* of these: what is, and is used by nobody */
        uint64_t refused;   /* that catalog or ledger lacked, when it was refused last */
        uint64_t peak;      /* the most that used ever was */
        uint64_t spilled;   /* bytes of files, beside all that */
        uint64_t n_tensors, n_names, n_lost, n_held, n_evicted;
        uint64_t shm_free;
        char huge_pages[16]; /* what the mount says: "never", "always", ... */
};
/* Of the heap that its tensors take. */
uint64_t store_heap_bytes(const struct store *store);
void store_figures(struct store *store, struct store_figures *figures);
