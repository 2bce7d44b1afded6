/* SPDX-License-Identifier: MIT */
/*
 * The object that a catalog lies in, for catalog.c and compaction.c alone.
 */
#pragma once

#include "store/catalog.h"

/* Takes the descriptor over on success. */
int catalog_file_map(struct catalog_file **filep, int *fdp, uint64_t n_bytes);
/* An empty catalog, under a name of its own. 0, CATALOG_E_FULL or negative errno. */
int catalog_file_create(struct catalog_file **filep, const struct shm *shm, uint64_t n_bytes);
/* It takes the catalog's name. */
int catalog_file_install(struct catalog_file *file);
/*
 * It grows where it lies, a multiple of CATALOG_MIN that is charged beside the rest;
 * if is_beyond, whatever the limit. 0,
 * CATALOG_E_FULL, CATALOG_E_LIMIT or negative errno.
 */
int catalog_file_grow(struct catalog_file *file, struct charge *charge, uint64_t n_more,
                      bool is_beyond);
void catalog_file_publish(struct catalog_file *file, uint64_t tail);
/* The last reference takes one that never had the catalog's name along. */
struct catalog_file *catalog_file_unref(struct catalog_file *file);
