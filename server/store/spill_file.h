/* SPDX-License-Identifier: MIT */
/*
 * Files that tensors are spilled to
 *
 * A directory of the daemon's user alone, locked by one daemon at a time (spill_owner.h: and of one
 * catalog), with a .npy file for each tensor: tensord.<32 hex>.npy, a name that has nothing to do
 * with the tensor's. While it is written it ends in .part; it gets its name when all of it is on
 * the disk, and the catalog speaks of it only when that name is, too. So a file of that name which
 * the catalog does not know is of no use to anybody, and is ours to remove; others' files are not
 * looked at.
 *
 * What the catalog has of a file is its length and a hash of its data. Header and length are looked
 * at when the daemon starts, the hash when the data is read.
 *
 * Immutable after spill_dir_open(); any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/segment.h"
#include "tensor/desc.h"

/* A file, as the catalog has it. */
struct spill_place {
        uint8_t random[SHM_RANDOM];
        uint64_t n_bytes; /* of the file */
        uint64_t check;   /* of the data in it */
};

struct spill_dir {
        int fd;          /* -1: nothing is spilled */
        uint64_t n_free; /* bytes that its file system keeps for others */
};

enum {
        SPILL_E_DAMAGED = 1, /* cut, or other bytes than were written */
        SPILL_E_MISSING,     /* there is none */
        SPILL_E_POISONED,    /* the file is whole: the memory it was read to was cut or written */
        SPILL_E_FULL,        /* the file system has no room */
        SPILL_E_REFUSED,     /* no directory, or not the daemon's own, or another has it */
        SPILL_E_STOPPED,
};

/*
 * Nobody else may read or write it, and no other daemon has it until it is closed. 0,
 * SPILL_E_REFUSED (the message says why), or negative errno.
 */
int spill_dir_open(struct spill_dir *dir, const char *path, uint64_t n_free, char message[256]);
void spill_dir_close(struct spill_dir *dir);

/* Is this the name of such a file, whole or not? */
bool spill_parse(const char *name, uint8_t random[SHM_RANDOM], bool *is_wholep);

/*
 * Write what the segment holds to a new file, and fill in length and hash; place->random is given.
 * stop: looked at now and then. 0: the file is on the disk, under its name. SPILL_E_FULL,
 * SPILL_E_DAMAGED (the segment is not as it was reserved), SPILL_E_STOPPED or negative errno: there
 * may be something of it, spill_remove() it.
 */
int spill_write(const struct spill_dir *dir, struct segment *segment, const struct desc *desc,
                struct spill_place *place, const atomic_bool *stop);
/*
 * The data, to a segment that is pinned. 0, SPILL_E_DAMAGED, SPILL_E_MISSING, SPILL_E_POISONED,
 * SPILL_E_STOPPED or negative errno.
 */
int spill_read(const struct spill_dir *dir, const struct spill_place *place,
               const struct desc *desc, struct segment *segment, const atomic_bool *stop);
/* Are header and length what they have to be? 0, SPILL_E_DAMAGED, SPILL_E_MISSING or errno. */
int spill_look(const struct spill_dir *dir, const struct spill_place *place,
               const struct desc *desc);
/* Whole or not, unless it is gone. 0 or negative errno. */
int spill_remove(const struct spill_dir *dir, const uint8_t random[SHM_RANDOM]);
/* One that was not finished. */
int spill_remove_part(const struct spill_dir *dir, const uint8_t random[SHM_RANDOM]);
