/* SPDX-License-Identifier: MIT */
#include "wire/nodes.h"

#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

/* Beside the memory: the struct, the zone's first chunk, the table's share. */
enum { NODES_OVERHEAD = 512 };

struct nodes *nodes_new(void *memory, size_t n_bytes)
{
        struct nodes *nodes = calloc(1, sizeof(*nodes));

        if (!nodes) {
                msgpack_zone_free(memory);
                return NULL;
        }
        nodes->n_refs = 1;
        nodes->memory = memory;
        nodes->n_bytes = n_bytes;
        list_init(&nodes->link);
        return nodes;
}

struct nodes *nodes_ref(struct nodes *nodes)
{
        nodes->n_refs++;
        return nodes;
}

struct nodes *nodes_unref(struct nodes *nodes)
{
        if (!nodes || --nodes->n_refs > 0)
                return NULL;
        assert(!nodes->cache);
        msgpack_zone_free(nodes->memory);
        free(nodes->key);
        free(nodes);
        return NULL;
}

void nodes_cache_init(struct nodes_cache *cache)
{
        *cache = (struct nodes_cache){ .by_key = NULL };
        list_init(&cache->used);
}

static void cache_drop(struct nodes_cache *cache, struct nodes *nodes)
{
        HASH_DEL(cache->by_key, nodes);
        list_unlink(&nodes->link);
        cache->n_bytes -= nodes->n_bytes + nodes->n_key + NODES_OVERHEAD;
        nodes->cache = NULL;
        nodes_unref(nodes);
}

void nodes_cache_deinit(struct nodes_cache *cache)
{
        struct nodes *nodes;

        while ((nodes = list_first(&cache->used, struct nodes, link)))
                cache_drop(cache, nodes);
        assert(cache->n_bytes == 0);
}

struct nodes *nodes_cache_find(struct nodes_cache *cache, const uint8_t *key, size_t n_key)
{
        struct nodes *nodes;

        HASH_FIND(hh, cache->by_key, key, (unsigned)n_key, nodes);
        if (nodes) {
                list_unlink(&nodes->link);
                list_push_back(&cache->used, &nodes->link);
        }
        return nodes;
}

void nodes_cache_add(struct nodes_cache *cache, struct nodes *nodes, const uint8_t *key,
                     size_t n_key)
{
        size_t n_bytes = nodes->n_bytes + n_key + NODES_OVERHEAD;

        assert(!nodes->cache);
        if (n_bytes > NODES_CACHED_MAX)
                return;
        nodes->key = malloc(n_key);
        if (!nodes->key)
                return;
        memcpy(nodes->key, key, n_key);
        HASH_ADD_KEYPTR(hh, cache->by_key, nodes->key, (unsigned)n_key, nodes);
        if (!table_has(nodes)) {
                free(steal_ptr(&nodes->key));
                return;
        }
        nodes->n_key = n_key;
        nodes->cache = cache;
        cache->n_bytes += n_bytes;
        while (cache->n_bytes > NODES_CACHE_BYTES)
                cache_drop(cache, list_first(&cache->used, struct nodes, link));
        list_push_back(&cache->used, &nodes_ref(nodes)->link);
}
