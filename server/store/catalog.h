/* SPDX-License-Identifier: MIT */
/*
 * The catalog
 *
 * What makes names survive the daemon: a log of records in a shared memory object, mapped. To
 * append is to copy a record behind the tail and to publish it by one release-store of the tail
 * word; no system call. Records behind the tail do not exist, so a group of records that one store
 * publishes appears as a whole or not at all, whenever the daemon is killed.
 *
 * Layout: a page with the header and, apart from it, the tail word; an empty page; the records. The
 * tail word holds its own check: offset << 16 | 16 bits of its hash.
 *
 * A catalog grows, and loses what is obsolete, by copying what counts into a second object that
 * takes the name of the first (rename). The copy up to a fixed tail may run on any thread while
 * records are appended; the rest is the loop thread's.
 */
#pragma once

#include "store/record.h"

/*
 * 1: without ledger. 2: beside a ledger; tensors may be shared. 3: they may be evictable, and the
 * object may be larger than it was made, by a multiple of CATALOG_MIN. 4: they may lie in files to
 * which they were spilled. A daemon adopts one of an earlier version, and refuses one of a later,
 * which says what it would not understand.
 */
#define CATALOG_VERSION 4
#define CATALOG_VERSION_LEDGER 2
#define CATALOG_VERSION_GROWN 3
#define CATALOG_PAGE 4096
#define CATALOG_RECORDS (2 * CATALOG_PAGE) /* offset of the first record */
#define CATALOG_MIN (64 * 1024)
#define CATALOG_MAX (UINT64_C(1) << 40)

struct catalog_header {
        char magic[8]; /* "tdcatlg" */
        uint32_t version;
        uint32_t records; /* offset of the first record */
        uint64_t n_bytes; /* of the object, as it was made */
        char boot_id[TD_BOOT_ID_SIZE];
        uint64_t check; /* of all above */
};

struct catalog_file {
        const struct shm *shm;
        char name[SHM_NAME_MAX]; /* until it has the catalog's; then empty */
        uint8_t *map;
        uint64_t n_bytes;  /* of the object */
        uint64_t n_mapped; /* it may grow so far */
        int fd;
        int slot;
        atomic_bool is_poisoned;
        uint32_t n_refs;
        struct charge charge;
};

struct catalog {
        const struct shm *shm;
        struct catalog_file *file;
        uint32_t version; /* of the file, before it was written anew */
        uint64_t tail;    /* published */
        uint64_t end;     /* staged up to here */
        bool is_lent;     /* it was made larger beyond the limit, for what gives something back */
};

enum { CATALOG_E_ABSENT = 1, CATALOG_E_DAMAGED, CATALOG_E_FULL, CATALOG_E_LIMIT };

uint64_t catalog_tail_word(uint64_t offset);
void catalog_header_write(uint8_t *page, uint64_t n_bytes, const char *boot_id);

/*
 * Map the one that is there. 0, CATALOG_E_ABSENT, CATALOG_E_DAMAGED (message says what is wrong) or
 * negative errno. Its records are not looked at.
 */
int catalog_open(struct catalog *catalog, const struct shm *shm, char message[256]);
/* Make an empty one, in one step. 0, CATALOG_E_FULL or negative errno. */
int catalog_create(struct catalog *catalog, const struct shm *shm);
/* Unmap; the object stays. */
void catalog_close(struct catalog *catalog);

/* CATALOG_E_FULL if fewer than n_bytes are left. */
int catalog_has_room(const struct catalog *catalog, uint64_t n_bytes);
/*
 * So much has the object to grow for n_bytes: in steps of as much as there is, but at most 1 MiB,
 * if that is enough, which take less than a millisecond; or as little as can be. 0: it has room.
 */
uint64_t catalog_growth(const struct catalog *catalog, uint64_t n_bytes);
uint64_t catalog_growth_least(const struct catalog *catalog, uint64_t n_bytes);
/*
 * It grows by that where it lies, charged to the user beyond any share and, if is_beyond, beyond
 * the limit. Nothing is copied, nothing moves. 0, CATALOG_E_FULL (also: as far as it is mapped),
 * CATALOG_E_LIMIT or negative errno.
 */
int catalog_grow(struct catalog *catalog, struct user *user, uint64_t n_more, bool is_beyond);
/* Write a record behind what is staged. There must be room. */
void catalog_stage(struct catalog *catalog, const struct record *record);
/* What was staged counts from now on. -EIO if the catalog's memory was lost. */
int catalog_publish(struct catalog *catalog);

/* ---- compaction ---- */

struct compaction {
        const struct shm *shm;
        struct catalog_file *from;
        struct catalog_file *to; /* NULL: it is still to be made, */
        uint64_t n_bytes;        /* of that size; */
        struct charge charge;    /* it is paid for */
        uint64_t from_tail;
        uint64_t to_end;
        uint64_t now_ms;
        atomic_bool has_failed; /* to copy */
};

/*
 * Into a new object of at least n_bytes, charged to the user; if is_beyond, whatever the limit. 0,
 * CATALOG_E_FULL, CATALOG_E_LIMIT or -ENOMEM.
 */
int compaction_new(struct compaction **compactionp, const struct catalog *catalog,
                   struct user *user, uint64_t n_bytes, bool is_beyond, uint64_t now_ms);
struct compaction *compaction_free(struct compaction *compaction);
DEFINE_CLEANUP(struct compaction, compaction_free)
/* Any thread. 0, CATALOG_E_FULL (also if it is too small) or negative errno. */
int compaction_copy(struct compaction *compaction);
/* Copies the rest and switches; on anything but 0 the catalog is as before. */
int compaction_finish(struct compaction *compaction, struct catalog *catalog);
