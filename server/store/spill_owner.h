/* SPDX-License-Identifier: MIT */
/*
 * Whose the files of a spill directory are
 *
 * A file that no record of the catalog names is removed. That is right only for the catalog that
 * the file was written for, so the directory remembers which that is, in a file of its own: by the
 * boot, by the directory that the catalog lies in (device and inode), and by its name there. Shared
 * memory does not outlive a boot, and what was spilled in another is nobody's.
 *
 * It is written before the first tensor is spilled, and read at the start, by who locked the
 * directory. Any thread.
 */
#pragma once

#include "store/shm.h"
#include "store/spill_file.h"

enum spill_owner {
        SPILL_OURS,     /* this daemon's catalog names the files */
        SPILL_OTHERS,   /* another one does, of this boot; or it is not known which */
        SPILL_NOBODYS,  /* the catalog that named them went with its boot */
};

/* The owner, or negative errno. */
int spill_owner_read(const struct spill_dir *dir, const struct shm *shm);
/* Ours from now on. 0 or negative errno: it is as it was. */
int spill_owner_write(const struct spill_dir *dir, const struct shm *shm);
/* Nobody's, without a file. */
void spill_owner_remove(const struct spill_dir *dir);
