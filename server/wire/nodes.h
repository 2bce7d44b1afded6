/* SPDX-License-Identifier: MIT */
/*
 * Nodes
 *
 * The node list of a program, decoded once: requests that bring the same bytes share what was made
 * of them. So a program that is run again and again is decoded the first time only, and who plans
 * programs knows by the pointer that it is the same one. Immutable, counted by those who use it;
 * the cache holds those that were used last, within a bound.
 *
 * Loop thread only, but for reading what a node list holds.
 */
#pragma once

#include "base/cleanup.h"
#include "base/list.h"
#include "base/table.h"
#include "tensord/program.h"

/*
 * What the cache holds of decoded programs at most, and of one: a program of TD_VALUES_MAX nodes
 * takes 3 MB.
 */
#define NODES_CACHE_BYTES (16 * 1024 * 1024)
#define NODES_CACHED_MAX (4 * 1024 * 1024)

struct nodes {
        uint32_t n_refs;
        uint32_t n_nodes;
        struct td_node *nodes;
        uint32_t n_values; /* nodes, those in loops included */
        size_t n_bytes;    /* of all that it takes */
        void *memory;      /* owner of the nodes */

        struct nodes_cache *cache; /* NULL: not in one */
        struct list link;          /* the cache's, least recently used first */
        uint8_t *key;              /* its bytes in a message, if it is in a cache */
        size_t n_key;
        UT_hash_handle hh;
};

struct nodes_cache {
        struct nodes *by_key;
        struct list used;
        size_t n_bytes;
};

void nodes_cache_init(struct nodes_cache *cache);
void nodes_cache_deinit(struct nodes_cache *cache);
/* NULL if there is none; the reference stays the cache's. */
struct nodes *nodes_cache_find(struct nodes_cache *cache, const uint8_t *key, size_t n_key);
/* Remember it by its bytes, unless it is too large or there is no memory. */
void nodes_cache_add(struct nodes_cache *cache, struct nodes *nodes, const uint8_t *key,
                     size_t n_key);

/* Takes memory (a zone) over, also when it yields NULL for want of memory. */
struct nodes *nodes_new(void *memory, size_t n_bytes);
struct nodes *nodes_ref(struct nodes *nodes);
struct nodes *nodes_unref(struct nodes *nodes);
DEFINE_CLEANUP(struct nodes, nodes_unref)
