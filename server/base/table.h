/* SPDX-License-Identifier: MIT */
/*
 * Tables: uthash, told not to end the process where memory runs out, and what to hash by
 *
 * HASH_ADD then leaves the element out; whoever adds asks table_has() at once, and undoes what it
 * did. The handle of an element is always its hh.
 *
 * Clients choose keys: handles, names, operation ids, node lists. So what a key hashes to depends
 * on numbers that this process drew when it began, and nobody can choose keys that collide. Only
 * this header includes uthash.h, so no table hashes otherwise.
 */
#pragma once

#include <stddef.h>

/* Any thread. */
unsigned table_hash(const void *key, size_t n_key);

#define HASH_FUNCTION(key, n_key, hash) ((hash) = table_hash(key, n_key))
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/*
 * So many elements in one bucket, and there are twice as many of these. Of a large table each that
 * is looked at on the way lies in no cache; and so do the buckets, of 16 bytes, if there are many:
 * with 4 there are 1 M or 2 M for 100,000 names, with 7 an eighth of that, and half of the names
 * stand alone in theirs.
 */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 7U

/* Was it added? */
#define table_has(element) ((element)->hh.tbl != NULL)
