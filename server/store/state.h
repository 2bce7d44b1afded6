/* SPDX-License-Identifier: MIT */
/*
 * The store's own state
 *
 * For the files of this room alone. Who changes what: memory.c and room.c the segments and the
 * pool, holder.c the grants, tensor.c the tensors, lease.c what is leased and torn, and the ledger,
 * commit.c the names and the catalog, unused.c the order of use, spill.c what lies in files,
 * recover.c all of it once, before anyone else is there.
 */
#pragma once

#include "store/catalog.h"
#include "store/ledger.h"
#include "store/names.h"
#include "store/outcome.h"
#include "store/pool.h"
#include "store/segment.h"
#include "store/spill.h"
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
/* Who wants memory has them tested, too, but not more often than that. */
#define RETRY_HELD_MS 20
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

struct spill {
        struct spill_dir dir;
        bool is_ours; /* it says so; else that is written before the first tensor is */
        atomic_bool is_stopping;
        atomic_bool has_failed; /* a job that wrote; those behind it do not try */
        unsigned n_out;         /* jobs that write, or wait for that: */
        struct list waiting;    /* one at a time does, the rest of the disk is for those who read */
        bool is_writing;
        const struct user *writer; /* whose tensor was written last; compared only */
        uint64_t n_record_bytes; /* that jobs under way are going to say in the catalog */
        struct list unremoved;   /* jobs whose file could not be removed */
        uint64_t remove_ms;     /* when they are tried again */
        uint64_t remove_wait_ms; /* how long that was put off last */
        uint64_t retry_ms;      /* not before */
        uint64_t wait_ms;       /* how long that was put off last; 0: the last one went well */
        uint64_t ended_ms;      /* when the last of them did */
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
        uint64_t held_retried_ms; /* for want of memory */
        struct list left;
        unsigned n_settled;       /* in this turn */
        bool is_at_once;          /* who wants memory waits for no worker: dispose on this thread */
        struct segment *segments; /* by id */
        uint64_t n_state_bytes[SEGMENT_N_STATES];
        uint64_t n_expected_bytes; /* of tensors that connections leave behind, at most */
        uint64_t n_state[SEGMENT_N_STATES];
        struct grant *grants;

        struct tensor *tensors; /* by id */
        uint64_t n_heap_bytes; /* those included that are prepaid */
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
        uint64_t n_record_bytes; /* of the catalog: what names mean, */
        uint64_t n_prepaid_bytes; /* and what is kept for names to come */
        struct compaction *compaction;
        uint64_t n_refused; /* bytes that catalog or ledger lacked, when that was refused last */
        struct ledger ledger;
        struct list recovered; /* leases that an earlier daemon had granted */
        struct spill spill;

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
/* Before somebody is refused memory: test held segments again. True: some are held no more. */
bool memory_retry_held(struct store *store);
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

/* So many bytes more for the heap; as memory_relieve(). */
int prepaid_grow(struct store *store, struct prepaid *prepaid, struct user *user,
                 uint64_t n_bytes, bool at_once);

/* ---- evict.c ---- */

enum {
        EVICT_E_NONE = 1, /* there is nothing that would do */
        EVICT_E_LATER,    /* who maps it was asked to let go, or this turn did enough */
};

/*
 * Where what is idle or parked does not do: delete what is evictable and unused, or have what may
 * be spilled written to files, so that it does. 0: some is, look again; EVICT_E_*.
 */
int memory_evict(const struct want *want);

/* ---- holder.c ---- */

/* Tell all who map the segment to let go. */
void grants_trim(struct segment *segment, uint64_t now_ms);

/* ---- tensor.c ---- */

/*
 * Of a known id, and charged whatever the limit: recovery. In a segment, which is taken over on
 * success, in a file (spilled, taken over), or with data in the heap.
 */
int tensor_adopt(struct tensor **tensorp, struct store *store, struct user *user,
                 const struct desc *desc, struct segment *segment, struct spilled *spilled,
                 const void *data, const uint8_t id[16]);

/* The segment is as it was reserved, and gets its header. 0, STORE_E_POISONED or negative errno. */
int tensor_publish(const struct tensor *tensor, struct segment *segment);
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
/* What is known of a tensor that is lost; left: its file, which is taken over. NULL: no memory. */
struct loss *loss_new(enum loss_reason reason, const struct td_type *type, struct spilled *left);
/*
 * What it meant is lost until the name is deleted or replaced, or another start finds its file
 * sound; the loss is taken over, and logged.
 */
void name_lose(struct store *store, struct name *name, struct loss *loss);
/*
 * The catalog is told where the name's tensor lies now; whatever the limit, as room was made before
 * it moved. 0, STORE_E_FULL or negative errno.
 */
int name_say_again(struct store *store, const struct name *name);
/* What that takes. */
uint32_t name_again_bytes(const struct name *name);
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
/* The same for who names something and cannot wait: STORE_E_LIMIT where much is lent already. */
int catalog_lend_little(struct store *store, uint64_t n_bytes);
/*
 * The same as catalog_make_room() for who can wait: what may be spilled goes for it, too.
 * STORE_E_TRIMMING: soon.
 */
int catalog_await_room(struct store *store, uint64_t n_bytes);
/* Write the catalog anew, in the version of this daemon. 0, or as store_compaction_begin(). */
int catalog_renew(struct store *store);

/* ---- spill.c ---- */

/* When the disk may be tried: 0: now; UINT64_MAX: there is none. */
uint64_t spill_ready_in_ms(const struct store *store, uint64_t now_ms);
/* If it had a name and nobody used it. */
bool tensor_is_spillable(const struct tensor *tensor);
/* Would a file of so much data fit into what the user may have of them? */
bool spill_has_share(struct user *user, uint64_t n_bytes);
/* One that nobody uses (unused_clear()) is on its way out; false: it stays. */
bool spill_begin(struct store *store, struct tensor *tensor);
/* Files that could not be removed are tried again; and, at the end, left to the next start. */
bool spill_has_unremoved(const struct store *store);
void spill_retry_removing(struct store *store);
void spill_forget_unremoved(struct store *store);
/*
 * It failed: those that are under way do not try any more, and the next not before some time.
 */
void spill_back_off(struct store *store, const struct user *user, const char *why);
/* A spilled tensor ends, and its file with it. */
void spill_drop(struct tensor *tensor);
/* No name, nor tensor, has that file any more: it goes. NULL. */
struct spilled *spill_give_up(struct store *store, struct spilled *spilled);
/* The file stays. */
struct spilled *spilled_new(void);
struct spilled *spilled_free(struct spilled *spilled);

/* ---- recover_spill.c ---- */

/* A file of the spill directory, while recovering. */
struct spill_found {
        uint8_t random[SHM_RANDOM];
        bool is_whole; /* one has the name that it gets last, */
        bool is_part;  /* one another */
        bool is_claimed;
        UT_hash_handle hh;
};

/* All that are ours by their names. 0 or negative errno. */
int spill_look_around(struct store *store, struct spill_found **foundsp);
/*
 * Are these the files of this catalog (has_catalog: there is one), or nobody's? 0, STORE_E_CATALOG
 * with a message, or negative errno.
 */
int spill_check_owner(struct store *store, const struct spill_found *founds, bool has_catalog,
                      char message[256]);
/*
 * The file that a record speaks of: *spilledp, or NULL: it is missing, another, or cannot be read.
 * 0, STORE_E_CATALOG (nothing is spilled by this daemon) or -ENOMEM.
 */
int spill_adopt(struct store *store, struct user *user, const struct record *record,
                struct spill_found *founds, struct spilled **spilledp, char message[256]);
/* Those that no record speaks of go. */
void spill_remove_strays(struct store *store, struct spill_found *founds);
void spill_found_freep(struct spill_found **foundsp);
/* The directory is this catalog's from now on; or, where that cannot be written, later. */
void spill_own(struct store *store);
/* Nothing is named any more, and the catalog goes: no file is left. */
void spill_disown(struct store *store);

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
