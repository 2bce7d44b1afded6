/* SPDX-License-Identifier: MIT */
/*
 * The object that a catalog lies in, for catalog.c and compaction.c alone.
 */
#pragma once

#include "store/catalog.h"

/* Takes the descriptor over on success. */
int catalog_file_map(struct catalog_file **filep, int *fdp, uint64_t n_bytes);
/*
 * An empty catalog under the name of a new one, instead of one that was left there. 0,
 * CATALOG_E_FULL or negative errno.
 */
int catalog_file_create(struct catalog_file **filep, const struct shm *shm, uint64_t n_bytes);
/* The new one takes the catalog's name. */
int catalog_file_rename(const struct shm *shm);
void catalog_file_publish(struct catalog_file *file, uint64_t tail);
struct catalog_file *catalog_file_unref(struct catalog_file *file);
