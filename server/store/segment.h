/* SPDX-License-Identifier: MIT */
/*
 * Segments
 *
 * One file of shared memory, of one uid, reserved as a whole. A segment knows its file, its mapping
 * in the daemon, and who was handed its descriptor; where it stands in its life (live, idle,
 * parked, held) is its owner's business: memory.c.
 *
 * Invariant: the daemon has at most one description of a file at a time beyond those it sent away,
 * since the holder test sees every other one. A mapping therefore keeps the descriptor that made
 * it.
 *
 * What the warm lock guards (map, fd, slot, n_pins) is used by any thread; the rest is the loop
 * thread's, but for what segment_allocate() and segment_destroy() write while the segment is theirs
 * alone.
 */
#pragma once

#include <pthread.h>

#include "store/shm.h"
#include "store/store.h"

/* Mappings kept without a pin, far below vm.max_map_count and the bound on descriptors. */
#define WARM_MAX 256

enum segment_state {
        SEGMENT_LIVE,      /* referenced */
        SEGMENT_LEFT,      /* not any more; what becomes of it is seen later, for many left it */
        SEGMENT_IDLE,      /* in the pool: nobody maps it */
        SEGMENT_PARKED,    /* in the pool: one holder maps it, and only that one ever did */
        SEGMENT_SHARED,    /* several holders map it and were asked not to */
        SEGMENT_HELD,      /* mapped by someone whom we do not know */
        SEGMENT_DISPOSING, /* on its way out */
        SEGMENT_N_STATES
};

/* Mappings that may be used again, oldest first. */
struct warm {
        pthread_mutex_t lock;
        struct list segments;
        unsigned n_segments;
};

/*
 * Whether it was handed out never, once or more often is all that matters: no count goes further,
 * so none ever wraps.
 */
#define N_HANDED_MAX 2

struct pool_bucket;

struct segment {
        struct store *store;
        const struct shm *shm;
        struct warm *warm;
        uint8_t random[SHM_RANDOM];
        uint64_t id;
        uid_t uid;
        uint64_t file_bytes;
        ino_t inode;
        bool has_file;
        uint32_t n_refs;
        enum segment_state state;
        struct charge charge;

        /* under warm->lock */
        atomic_uint n_pins; /* read by whoever has one, beside others who take theirs */
        int fd;
        int slot;
        uint8_t *map;
        struct list warm_link;
        atomic_bool is_poisoned;

        /* handing out */
        struct list grants;
        uint32_t n_grants;
        uint32_t n_handed; /* how often it was, since the last test that found nobody */
        bool was_writable; /* for writing, and whoever could may still be able to */
        bool is_sealed;    /* no descriptor for writing is opened any more */
        bool is_replaced;  /* those who map it show a tensor that lies elsewhere now: not parked */
        uint64_t asked_ms; /* when its holders were asked to unmap it; 0: not yet */
        enum { PARKED_QUIETLY, PARKED_ASKED, PARKED_DEAF } parked; /* in the pool: which list */
        bool was_forgiven; /* since it was parked: see pool_forgive() */

        struct list link;        /* pool by age, or the store's list of its state */
        struct list bucket_link; /* pool */
        struct list own_link;    /* idle: its user's */
        struct pool_bucket *bucket;
        struct list parked_link; /* its holder's */
        UT_hash_handle hh;       /* the store's, by id */
};

void warm_init(struct warm *warm);
void warm_deinit(struct warm *warm);

/*
 * File bytes for that many bytes of data: the header and (8 to 15) * 2^k pages, at most an eighth
 * wasted.
 */
uint64_t segment_class(uint64_t n_bytes);

/* Without a file yet. -ENOMEM. */
int segment_new(struct segment **segmentp, const struct shm *shm, struct warm *warm, uid_t uid,
                const uint8_t random[SHM_RANDOM], uint64_t file_bytes);
/* The object alone: mapped no longer, charged no longer, and the file stays. */
struct segment *segment_free(struct segment *segment);

/* Drop the mapping; pinned by nobody. */
void segment_unmap(struct segment *segment);

enum { SEGMENT_E_HELD = 1, SEGMENT_E_CHANGED };

/*
 * The holder test. 0: no description and no mapping of it exists beside ours; SEGMENT_E_HELD;
 * negative errno: it cannot be known.
 */
int segment_test(struct segment *segment);
/*
 * Any thread: can nobody write it any more? 0, SEGMENT_E_HELD (also where the daemon itself
 * computes with it) or negative errno.
 */
int segment_freeze(struct segment *segment);
/*
 * Is the file still as it was reserved? 0, SEGMENT_E_CHANGED or negative errno. One that grew is
 * cut back, so that no byte stays that nobody is charged for.
 */
int segment_verify(struct segment *segment);
/* Copy to the start of the file. */
int segment_write_header(struct segment *segment, const uint8_t header[TD_HEADER_BYTES]);
