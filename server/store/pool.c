/* SPDX-License-Identifier: MIT */
#include "store/pool.h"

#include <assert.h>
#include <errno.h>

struct pool_key {
        const struct holder *holder;
        uint64_t file_bytes;
        uint64_t uid;
};

struct pool_bucket {
        struct pool_key key;
        struct list segments; /* used last at the end */
        UT_hash_handle hh;
};

void pool_init(struct pool *pool)
{
        *pool = (struct pool){ 0 };
        list_init(&pool->idle);
        list_init(&pool->parked);
        list_init(&pool->asked);
        list_init(&pool->deaf);
}

void pool_deinit(struct pool *pool)
{
        assert(!pool->buckets && pool->n_segments == 0);
        assert(pool->n_idle_bytes == 0 && pool->n_parked_bytes == 0);
        assert(pool->n_asked_bytes == 0 && pool->n_deaf_bytes == 0);
}

static struct pool_bucket *pool_find(struct pool *pool, uid_t uid, uint64_t file_bytes,
                                     const struct holder *holder)
{
        struct pool_key key = { .holder = holder, .file_bytes = file_bytes, .uid = uid };
        struct pool_bucket *bucket;

        HASH_FIND(hh, pool->buckets, &key, sizeof(key), bucket);
        return bucket;
}

int pool_put(struct pool *pool, struct segment *segment, const struct holder *holder)
{
        struct pool_bucket *bucket = pool_find(pool, segment->uid, segment->file_bytes, holder);

        assert(!segment->bucket && list_is_empty(&segment->link));
        if (!bucket) {
                bucket = calloc(1, sizeof(*bucket));
                if (!bucket)
                        return -ENOMEM;
                bucket->key = (struct pool_key){ .holder = holder,
                                                 .file_bytes = segment->file_bytes,
                                                 .uid = segment->uid };
                list_init(&bucket->segments);
                HASH_ADD(hh, pool->buckets, key, sizeof(bucket->key), bucket);
                if (!table_has(bucket)) {
                        free(bucket);
                        return -ENOMEM;
                }
        }
        list_push_back(&bucket->segments, &segment->bucket_link);
        segment->bucket = bucket;
        segment->parked = PARKED_QUIETLY;
        segment->was_forgiven = false;
        list_push_back(holder ? &pool->parked : &pool->idle, &segment->link);
        *(holder ? &pool->n_parked_bytes : &pool->n_idle_bytes) += segment->file_bytes;
        pool->n_segments++;
        return 0;
}

struct segment *pool_take(struct pool *pool, uid_t uid, uint64_t file_bytes,
                          const struct holder *holder)
{
        struct pool_bucket *bucket = pool_find(pool, uid, file_bytes, holder);
        struct segment *segment;

        if (!bucket)
                return NULL;
        segment = list_entry(bucket->segments.prev, struct segment, bucket_link);
        pool_remove(pool, segment);
        return segment;
}

/* Out of the counts of what is parked in its way. */
static void pool_uncount(struct pool *pool, const struct segment *segment)
{
        struct user *user = segment->charge.user;

        if (segment->parked == PARKED_ASKED) {
                pool->n_asked_bytes -= segment->file_bytes;
                user->spare.n_asked -= segment->file_bytes;
        } else if (segment->parked == PARKED_DEAF) {
                pool->n_deaf_bytes -= segment->file_bytes;
                user->spare.n_deaf -= segment->file_bytes;
        }
}

void pool_ask(struct pool *pool, struct segment *segment)
{
        assert(segment->bucket && segment->bucket->key.holder);
        pool_uncount(pool, segment);
        list_unlink(&segment->link);
        segment->parked = PARKED_ASKED;
        pool->n_asked_bytes += segment->file_bytes;
        segment->charge.user->spare.n_asked += segment->file_bytes;
        list_push_back(&pool->asked, &segment->link);
}

void pool_give_up(struct pool *pool, struct segment *segment)
{
        assert(segment->bucket && segment->bucket->key.holder);
        pool_uncount(pool, segment);
        list_unlink(&segment->link);
        segment->parked = PARKED_DEAF;
        pool->n_deaf_bytes += segment->file_bytes;
        segment->charge.user->spare.n_deaf += segment->file_bytes;
        list_push_back(&pool->deaf, &segment->link);
}

bool pool_forgive(struct pool *pool, const struct user *user)
{
        struct list *next, *link;
        bool has_forgiven = false;

        if (user->spare.n_deaf == 0)
                return false;
        for (link = pool->deaf.next; link != &pool->deaf; link = next) {
                struct segment *segment = list_entry(link, struct segment, link);

                next = link->next;
                if (segment->charge.user != user || segment->was_forgiven)
                        continue;
                pool_uncount(pool, segment);
                list_unlink(&segment->link);
                segment->parked = PARKED_QUIETLY;
                segment->was_forgiven = true;
                list_push_front(&pool->parked, &segment->link);
                has_forgiven = true;
        }
        return has_forgiven;
}

void pool_remove(struct pool *pool, struct segment *segment)
{
        struct pool_bucket *bucket = segment->bucket;

        assert(bucket);
        pool_uncount(pool, segment);
        segment->parked = PARKED_QUIETLY;
        list_unlink(&segment->bucket_link);
        list_unlink(&segment->link);
        segment->bucket = NULL;
        *(bucket->key.holder ? &pool->n_parked_bytes : &pool->n_idle_bytes) -= segment->file_bytes;
        pool->n_segments--;
        if (list_is_empty(&bucket->segments)) {
                HASH_DEL(pool->buckets, bucket);
                free(bucket);
        }
}
