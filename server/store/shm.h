/* SPDX-License-Identifier: MIT */
/*
 * Shared memory objects
 *
 * The directory of our objects and how they are named: PREFIX.catalog, PREFIX.ledger, PREFIX.lock,
 * PREFIX.UID.<32 hex> for segments, and PREFIX.new.<32 hex> for what is to become a catalog or a
 * ledger. Opened relative to a descriptor of the directory, never through a symbolic link, never
 * handed down to a child.
 *
 * In a directory like /dev/shm everybody makes files of any name, and nobody removes another's. So
 * what is made while the daemon runs has a name that nobody can guess.
 *
 * Immutable after shm_init(); any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "tensord/prefix.h"

#define SHM_PREFIX_MAX 96
#define SHM_NAME_MAX (SHM_PREFIX_MAX + 48)
#define SHM_RANDOM 16

enum { SHM_E_FULL = 1 };

struct shm {
        int fd; /* the directory */
        char prefix[SHM_PREFIX_MAX];
        char boot_id[TD_BOOT_ID_SIZE]; /* read once: later there may be no descriptor for it */
};

int shm_init(struct shm *shm, const char *directory, const char *prefix);
void shm_deinit(struct shm *shm);

void shm_name(const struct shm *shm, const char *suffix, char name[SHM_NAME_MAX]);
void shm_segment_name(const struct shm *shm, uid_t uid, const uint8_t random[SHM_RANDOM],
                      char name[SHM_NAME_MAX]);
/* Is this the name of a segment under the prefix? */
bool shm_parse_segment(const struct shm *shm, const char *name, uid_t *uidp,
                       uint8_t random[SHM_RANDOM]);
/* 16 random bytes as a name has them, terminated; and are these, at the start of text? */
void shm_put_hex(char *p, const uint8_t random[SHM_RANDOM]);
bool shm_take_hex(const char *text, uint8_t random[SHM_RANDOM]);
/* The number of a segment of that name. */
uint64_t shm_segment_id(const uint8_t random[SHM_RANDOM]);

/*
 * A new object of n_bytes, all of them reserved. 0, SHM_E_FULL or negative errno; then there is
 * none.
 */
int shm_create(const struct shm *shm, const char *name, uint64_t n_bytes, int *fdp);
/* The same, under a random name, which is told. */
int shm_create_new(const struct shm *shm, uint64_t n_bytes, char name[SHM_NAME_MAX], int *fdp);
/* Is this such a name? */
bool shm_parse_new(const struct shm *shm, const char *name);
/* It gets the name of this suffix instead, whatever had that; then name is empty. */
int shm_install(const struct shm *shm, char name[SHM_NAME_MAX], const char *suffix);
/* Remove it, unless it is gone, or name is empty. */
void shm_remove(const struct shm *shm, char name[SHM_NAME_MAX]);
/*
 * From n_before bytes, which it must have (-EIO: it was cut, what lay there is lost), to n_bytes.
 * 0, SHM_E_FULL or negative errno; then it is as it was.
 */
int shm_grow(int fd, uint64_t n_before, uint64_t n_bytes);
/* Does the file have the size and the pages that it was reserved with, one name, and our owner? */
bool shm_is_whole(const struct stat *st, uint64_t n_bytes);

int shm_random(void *bytes, size_t n_bytes);
