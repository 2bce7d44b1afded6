/* SPDX-License-Identifier: MIT */
/*
 * The store's own state
 *
 * For the files of this room alone. Who changes what: memory.c and room.c the segments and the
 * pool, holder.c the grants, tensor.c the tensors, lease.c what is leased and torn, and the ledger,
 * commit.c the names and the catalog, unused.c the order of use, recover.c all of it once, before
 * anyone else is there.
 */
#pragma once

#include "store/catalog.h"
#include "store/ledger.h"
#include "store/names.h"
#include "store/outcome.h"
#include "store/pool.h"
#include "store/segment.h"
#include "store/store.h"

/* Idle and parked bytes, of the limit. */
#define POOL_SHARE 4
/* Idle and parked segments: an inode and a kilobyte of kernel memory each. */
#define POOL_SEGMENTS_MAX 4096
/* Freeing this much takes no time worth a worker. */
#define DISPOSE_AT_ONCE (1024 * 1024)
/* A holder that was asked to unmap and did not answer for so long is no longer waited for. */
#define TRIM_WAIT_MS 1000
/* The same for what has a name and could be had without it; long before its own waiter gives up. */
#define UNUSED_WAIT_MS 250
/* Who was asked in vain is not asked for more for so long, unless it lets go of something. */
#define DEAF_MS 1000
/* Unused tensors that are looked at for memory in one turn of the loop: 10 us each. */
#define EVICT_MAX 64
/* The same for who cannot wait for the next turn. */
#define EVICT_AT_ONCE_MAX 1024
/* Held segments tested by one store_retry_held(). */
#define RETRY_MAX 64
/* Segments that find their place as soon as nobody refers to them, in one turn of the loop. */
#define SETTLE_AT_ONCE 128
/* Of those that are left then, by one store_settle(): 10 us each. */
#define SETTLE_MAX 32

struct grant {
        struct {
                struct holder *holder;
                struct segment *segment;
        } key;
        bool writable;
        struct list holder_link;
        struct list segment_link;
        struct charge charge; /* of the object itself */
        UT_hash_handle hh;
};

struct store {
        struct store_config config; /* its strings are not kept */
        struct shm shm;
        int lock_fd;
        char huge_pages[16];
        struct users users;
        struct user *self;

        struct warm warm;
        struct pool pool;
        struct list shared;
        struct list held;
        struct list left;
        unsigned n_settled;       /* in this turn */
        bool is_at_once;          /* who wants memory waits for no worker: dispose on this thread */
        struct segment *segments; /* by id */
        uint64_t n_state_bytes[SEGMENT_N_STATES];
        uint64_t n_expected_bytes; /* of tensors that connections leave behind, at most */
        uint64_t n_state[SEGMENT_N_STATES];
        struct grant *grants;

        struct tensor *tensors; /* by id */
        uint64_t n_heap_bytes;
        uint64_t n_uses;     /* of named tensors: how often one came to be unused */
        struct list asked;   /* unused ones that those who map them were asked for, in that order */
        bool has_answered;   /* somebody let go of one of them, perhaps */
        struct list aside;   /* unused ones whose memory would not come free with them */
        uint64_t retried_ms; /* when that was looked at last */
        unsigned n_evicting; /* looked at in this turn, for memory */
        bool is_evicting;    /* and there would be more to look at in the next */
        uint64_t n_evicted;  /* ever */

        struct names names;
        struct names shown; /* of these, what is shared */
        uint64_t n_named;
        uint64_t n_lost;
        struct outcomes outcomes;
        struct catalog catalog;
        uint64_t n_record_bytes; /* of the catalog: what names mean */
        struct compaction *compaction;
        uint64_t n_refused; /* bytes that catalog or ledger lacked, when that was refused last */
        struct ledger ledger;
        struct list recovered; /* leases that an earlier daemon had granted */

        uint8_t random[1024];
        size_t n_random; /* bytes of it that are still fresh */
};

/* 16 bytes that nobody can guess, not all zero. */
int store_random(struct store *store, uint8_t bytes[16]);

/*
 * Is the object of this suffix, if there is one, the daemon's to use? Else STORE_E_CATALOG, and the
 * message says whose it is.
 */
int store_look_at(const struct store *store, const char *suffix, char message[256]);

/* ---- memory.c ---- */

/*
 * A segment of the store under a known name, referenced; the user is charged for it, whatever the
 * limit, if adopt; else charge is taken over.
 */
int memory_add(struct store *store, struct user *user, const uint8_t random[SHM_RANDOM],
               uint64_t file_bytes, struct charge *charge, struct segment **segmentp);
void memory_move(struct segment *segment, enum segment_state state);
/* Find the place of a segment that nobody refers to. */
void memory_settle(struct segment *segment);
/* Now, or where many are left in one turn, in one of the next. */
void memory_leave(struct segment *segment);
/* No more hold on the file: unlink now or, and that is later, through the dispose callback. */
void memory_dispose(struct segment *segment);
bool memory_disposes_later(const struct store *store, const struct segment *segment);
void memory_freed(struct store *store);

/* ---- room.c ---- */

struct want {
        struct store *store;
        struct user *user;  /* who wants so many bytes more; NULL: the daemon, for all */
        uint64_t n_bytes;
        uint64_t n_lacking; /* so many have to be given back, of anyone's: what the file system
                               lacks; 0: as many as have to be before they may be charged */
        bool at_once;
};

/*
 * Give idle bytes back, first of the user's own, then evict, until n_bytes more may be charged to
 * the user (NULL: to the daemon, for all). 0: they may now; STORE_E_TRIMMING: soon; STORE_E_LIMIT,
 * STORE_E_QUOTA: they may not, and nothing was given back. at_once: whatever it takes, on this
 * thread.
 */
int memory_relieve(struct store *store, struct user *user, uint64_t n_bytes, bool at_once);
/*
 * Does what is idle or parked not do, if the user had so many idle bytes more, and all users so
 * many? Then: is it own ones that are missing?
 */
bool memory_falls_short(const struct want *want, uint64_t n_own, uint64_t n_all, bool *is_ownp);
/* Ask for parked segments, those parked longest first, until n_bytes are asked for. */
void memory_trim_parked(struct store *store, uint64_t n_bytes, uint64_t now_ms);

/* ---- evict.c ---- */

enum {
        EVICT_E_NONE = 1, /* there is nothing that would do */
        EVICT_E_LATER,    /* who maps it was asked to let go, or this turn did enough */
};

/*
 * Where what is idle or parked does not do: delete what is evictable and unused, so that it does.
 * 0: some was, look again; EVICT_E_*.
 */
int memory_evict(const struct want *want);

/* ---- holder.c ---- */

/* Tell all who map the segment to let go. */
void grants_trim(struct segment *segment, uint64_t now_ms);

/* ---- tensor.c ---- */

/* Of a known id, and charged whatever the limit: recovery. */
int tensor_adopt(struct tensor **tensorp, struct store *store, struct user *user,
                 const struct desc *desc, struct segment *segment, const void *data,
                 const uint8_t id[16]);

/* Mutable, with nothing in the ledger yet. 0 or -ENOMEM. */
int tensor_make_mutable(struct tensor *tensor);
/*
 * The ledger has its version from now on, in a slot that is charged already. 0, STORE_E_LIMIT,
 * STORE_E_FULL or negative errno.
 */
int tensor_enter(struct tensor *tensor);

/* ---- lease.c ---- */

/* Its user may have one more slot of the ledger for it: 0 or STORE_E_QUOTA. */
int slot_charge(struct tensor *tensor);
/* It has one, whatever the limit: recovery. */
void slot_adopt(struct tensor *tensor);
/* One that is charged, with the entry. 0, STORE_E_LIMIT, STORE_E_FULL or negative errno. */
int slot_put(struct tensor *tensor, const struct ledger_entry *entry, uint32_t *slotp);
/* Torn, as the slot says that is given along, and taken over. */
void tensor_tear_as(struct tensor *tensor, const struct desc *region, uint32_t slot);
/* All of it is, until it was written. */
void tensor_tear_all(struct tensor *tensor);
/* Forget it, and with it what the ledger says of it. */
void mutable_free(struct tensor *tensor);

/* ---- commit.c ---- */

/* STORE_E_LIMIT or STORE_E_QUOTA of what a charge was refused for. */
int outcome_of_charge(int r, enum resource resource);

/*
 * What the name means from now on; the references, and the charge for its record (NULL: it means
 * nothing), are taken over.
 */
void name_assign(struct store *store, struct name *name, struct tensor *tensor,
                 struct outcome *outcome, struct charge *record);
/* Everybody sees what it means, or its owner alone. 0 or -ENOMEM. */
int name_show(struct store *store, struct name *name, bool is_shown);

/*
 * The catalog has room to say of n tensors that they are evicted; whatever the limit. 0,
 * STORE_E_FULL or negative errno.
 */
int names_evict_prepare(struct store *store, struct tensor *const tensors[], unsigned n);
/* Delete what it means; there must be room to say so. 0 or negative errno. */
int name_evict(struct store *store, struct name *name);

/* ---- catalog_room.c ---- */

/*
 * Room for n_bytes that name something. What is idle or evictable may go for it. 0, STORE_E_LIMIT,
 * STORE_E_FULL or negative errno.
 */
int catalog_make_room(struct store *store, uint64_t n_bytes);
/*
 * Room for n_bytes that give something back, whatever the limit; nothing is evicted. 0,
 * STORE_E_FULL or negative errno.
 */
int catalog_lend_room(struct store *store, uint64_t n_bytes);
/* Write the catalog anew, in the version of this daemon. 0, or as store_compaction_begin(). */
int catalog_renew(struct store *store);

/* ---- recover.c ---- */

/*
 * Open or make the catalog and adopt what it names. 0, STORE_E_CATALOG with a message,
 * STORE_E_FULL, or negative errno.
 */
int store_recover(struct store *store, char message[256]);

/* ---- recover_ledger.c ---- */

/*
 * When the names are there. is_known: a ledger is expected to speak of each mutable tensor. 0,
 * STORE_E_FULL with a message, or negative errno.
 */
int recover_ledger(struct store *store, bool is_known, char message[256]);
