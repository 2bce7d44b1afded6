/* SPDX-License-Identifier: MIT */
/*
 * Mappings
 *
 * Segments of the daemon in this process. A connection has a table of them by segment number; each
 * is mapped once, so two arrays over one tensor share address and pages. Users are counted: a
 * segment without users stays mapped (parked), because the daemon may give it back warm to the same
 * connection. When the connection ends, unused ones go, and used ones leave the table and live
 * until their last user.
 *
 * fork() breaks parking: a child may hold arrays over any mapping that existed then. So every
 * mapping carries the number of forks before it, and an older one is unmapped instead of parked.
 *
 * Under the client's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where memory runs out, HASH_ADD leaves the element out (hh.tbl is NULL) and ends nothing. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "codec.h"

struct mapped {
        uint64_t segment;
        uint8_t *address;
        size_t n_bytes;
        bool can_write;   /* mapped from a descriptor open for writing */
        bool is_writable; /* its protection now */
        bool is_in_table;
        uint32_t n_users;
        uint64_t n_forks;   /* before it was mapped */
        unsigned n_wanting; /* threads that want a descriptor, for mappings of their own */
        int spare_fd;       /* the last that came for them, or -1 */
        bool is_asked;      /* the daemon wants it unmapped as soon as it has no users */
        bool is_populated;  /* writing does not fault in its pages any more */
        UT_hash_handle hh;
};

struct mappings {
        struct mapped *table;
        uint64_t n_forks; /* at the last purge */
        int error;        /* errno of the last mapping that failed */
};

/* Called by fork handlers: how often this process forked, or is the child of a fork. */
void mapping_count_fork(void);
uint64_t mapping_n_forks(void);

/* A descriptor arrived. It is closed in any case. */
void mappings_add(struct mappings *mappings, const struct handed *handed, int fd);
/* NULL: not mapped. */
struct mapped *mappings_find(const struct mappings *mappings, uint64_t segment);
void mapped_use(struct mapped *mapped);
/* true: it was unmapped, and the daemon is to be told so (segment is still its number). */
bool mapped_unuse(struct mappings *mappings, struct mapped *mapped);
/*
 * Unmap what has no users: true if it was unmapped. Others are when they have none. A segment that
 * is not in the table counts as unmapped.
 */
bool mappings_trim(struct mappings *mappings, uint64_t segment);
/* Unmap unused ones from before the last fork; calls gone for each. */
void mappings_purge(struct mappings *mappings, void (*gone)(void *ctx, uint64_t segment),
                    void *ctx);
/* The connection ended: unmap unused ones, let go of the others. */
void mappings_detach(struct mappings *mappings);

/* The spare descriptor, now the caller's, or -1. */
int mapped_take_spare(struct mapped *mapped);
/* The same pages, from a descriptor for reading, which is closed: they are not written here. */
void mapped_renounce(struct mapped *mapped, int fd);
/* Have its pages there before they are written: a fault costs more than a page in a row. */
void mapped_populate(struct mapped *mapped);
/* 0 or a negative errno; a writable one must have can_write. */
int mapped_protect(struct mapped *mapped, bool is_writable);
