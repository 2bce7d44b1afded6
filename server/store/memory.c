/* SPDX-License-Identifier: MIT */
/*
 * Memory
 *
 * Where a segment stands in its life. While it is referenced it is live. With the last reference:
 *
 *   nobody was handed it          -> idle, in its user's pool
 *   one holder maps it, the only  -> parked with that holder, who gets it back (unless that is
 *   one that ever did                another user's, or shows a tensor that lies elsewhere now)
 *   others map it                 -> shared: they are asked to unmap it, and it settles anew
 *                                    as they do
 *   nobody maps it as far as is   -> the holder test: idle, or held until it passes
 *   known, but somebody was sent it
 *
 * Where a connection ends that had very many, or gives them back at once, those that go beyond some
 * are left for the next turns of the loop.
 *
 * A segment that was cut, grown or poisoned takes the same way, but is disposed of where another
 * would become idle: its bytes stay charged while somebody may still use them. An idle one was seen
 * by the kernel to be nobody's.
 */
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

static struct list *memory_list(struct store *store, enum segment_state state)
{
        if (state == SEGMENT_SHARED)
                return &store->shared;
        if (state == SEGMENT_LEFT)
                return &store->left;
        return state == SEGMENT_HELD ? &store->held : NULL;
}

/* Where a user's bytes of that state are counted as spare; NULL: they are not. */
static uint64_t *spare_count(struct user *user, enum segment_state state)
{
        switch (state) {
        case SEGMENT_IDLE:
                return &user->spare.n_idle;
        case SEGMENT_PARKED:
                return &user->spare.n_parked;
        case SEGMENT_LEFT:
        case SEGMENT_DISPOSING:
                return &user->spare.n_leaving;
        default:
                return NULL;
        }
}

static void memory_count(struct segment *segment, enum segment_state state)
{
        struct store *store = segment->store;
        uint64_t *from = spare_count(segment->charge.user, segment->state);
        uint64_t *to = spare_count(segment->charge.user, state);

        if (from)
                *from -= segment->file_bytes;
        if (to)
                *to += segment->file_bytes;
        store->n_state_bytes[segment->state] -= segment->file_bytes;
        store->n_state_bytes[state] += segment->file_bytes;
        store->n_state[segment->state]--;
        store->n_state[state]++;
        if (segment->state == SEGMENT_HELD)
                segment->charge.user->n_held -= segment->file_bytes;
        if (state == SEGMENT_HELD)
                segment->charge.user->n_held += segment->file_bytes;
        segment->state = state;
}

void memory_move(struct segment *segment, enum segment_state state)
{
        struct store *store = segment->store;
        struct list *list = memory_list(store, state);

        if (segment->bucket)
                pool_remove(&store->pool, segment);
        list_unlink(&segment->parked_link);
        list_unlink(&segment->own_link);
        list_unlink(&segment->link);
        memory_count(segment, state);
        if (list)
                list_push_back(list, &segment->link);
}

int memory_add(struct store *store, struct user *user, const uint8_t random[SHM_RANDOM],
               uint64_t file_bytes, struct charge *charge, struct segment **segmentp)
{
        struct segment *segment;
        int r;

        r = segment_new(&segment, &store->shm, &store->warm, user->uid, random, file_bytes);
        if (r)
                return r;
        HASH_ADD(hh, store->segments, id, sizeof(segment->id), segment);
        if (!table_has(segment)) {
                segment_free(segment);
                return -ENOMEM;
        }
        segment->store = store;
        if (charge) {
                charge_move(&segment->charge, charge);
        } else {
                charge_adopt(&segment->charge, user, RESOURCE_BYTES, file_bytes);
        }
        store->n_state_bytes[SEGMENT_LIVE] += file_bytes;
        store->n_state[SEGMENT_LIVE]++;
        *segmentp = segment;
        return 0;
}

void memory_freed(struct store *store)
{
        if (store->config.freed)
                store->config.freed(store->config.ctx);
}

/* ---- giving back ---- */

bool memory_disposes_later(const struct store *store, const struct segment *segment)
{
        return store->config.dispose && !store->is_at_once && segment->has_file &&
               segment->file_bytes > DISPOSE_AT_ONCE;
}

void memory_dispose(struct segment *segment)
{
        struct store *store = segment->store;

        memory_move(segment, SEGMENT_DISPOSING);
        if (memory_disposes_later(store, segment)) {
                store->config.dispose(store->config.ctx, segment);
        } else {
                segment_destroy(segment);
                store_disposed(store, segment);
        }
}

void store_disposed(struct store *store, struct segment *segment)
{
        assert(segment->state == SEGMENT_DISPOSING);
        if (segment->has_file) {
                atomic_store(&segment->is_poisoned, true);
                memory_move(segment, SEGMENT_HELD);
                return;
        }
        list_unlink(&segment->link);
        store->n_state_bytes[SEGMENT_DISPOSING] -= segment->file_bytes;
        store->n_state[SEGMENT_DISPOSING]--;
        segment->charge.user->spare.n_leaving -= segment->file_bytes;
        HASH_DEL(store->segments, segment);
        charge_drop(&segment->charge);
        segment_free(segment);
        memory_freed(store);
}

void store_expect(struct store *store, struct user *user, uint64_t n_bytes)
{
        user->spare.n_leaving += n_bytes;
        store->n_expected_bytes += n_bytes;
}

void store_expect_no_more(struct store *store, struct user *user, uint64_t n_bytes)
{
        user->spare.n_leaving -= n_bytes;
        store->n_expected_bytes -= n_bytes;
        memory_freed(store);
}

/* Keep the pool within its share: the oldest idle ones go, then parked ones are asked for. */
static void memory_bound_pool(struct store *store)
{
        uint64_t most = store->config.limit / POOL_SHARE, now_ms, n_bytes;
        struct segment *segment;

        while ((store->pool.n_idle_bytes + store->pool.n_parked_bytes > most ||
                store->pool.n_segments > POOL_SEGMENTS_MAX) &&
               (segment = list_first(&store->pool.idle, struct segment, link)))
                memory_dispose(segment);
        if (store->pool.n_parked_bytes > most) {
                now_ms = clock_now_ms();
                n_bytes = store->pool.n_parked_bytes - most;
                /* What was asked for in vain is not asked of others. */
                if (n_bytes > store->pool.n_deaf_bytes)
                        memory_trim_parked(store, n_bytes - store->pool.n_deaf_bytes, now_ms);
        } else if (store->pool.n_segments > POOL_SEGMENTS_MAX) {
                memory_trim_parked(store, 1, clock_now_ms());
        }
}

/* ---- settling ---- */

static void memory_idle(struct segment *segment)
{
        struct store *store = segment->store;

        memory_move(segment, SEGMENT_IDLE);
        segment->n_handed = 0;
        segment->was_writable = false;
        segment->is_replaced = false;
        segment->asked_ms = 0;
        if (pool_put(&store->pool, segment, NULL)) {
                memory_dispose(segment);
                return;
        }
        list_push_back(&segment->charge.user->spare.idle, &segment->own_link);
        memory_bound_pool(store);
        memory_freed(store);
}

static void memory_park(struct segment *segment, struct holder *holder)
{
        struct store *store = segment->store;

        memory_move(segment, SEGMENT_PARKED);
        segment->asked_ms = 0;
        if (pool_put(&store->pool, segment, holder)) {
                memory_move(segment, SEGMENT_SHARED);
                grants_trim(segment, clock_now_ms());
                return;
        }
        list_push_back(&holder->parked, &segment->parked_link);
        memory_bound_pool(store);
        memory_freed(store); /* it can be asked for from now on */
}

/* NULL: with nobody. */
static struct holder *memory_parks_with(const struct segment *segment)
{
        struct holder *holder;

        if (segment->n_grants != 1 || segment->n_handed != 1 || segment->is_replaced)
                return NULL;
        holder = list_first(&segment->grants, struct grant, segment_link)->key.holder;
        return holder->user->uid == segment->uid ? holder : NULL;
}

void memory_settle(struct segment *segment)
{
        struct holder *holder;
        bool is_good;
        int r = 0;

        assert(segment->n_refs == 0 && segment->n_pins == 0);
        if (!segment->has_file) {
                memory_dispose(segment);
                return;
        }
        if (segment->was_writable)
                r = segment_verify(segment);
        if (r)
                atomic_store(&segment->is_poisoned, true);
        is_good = !segment_is_poisoned(segment);

        holder = memory_parks_with(segment);
        if (holder && is_good) {
                memory_park(segment, holder);
                return;
        }
        if (segment->n_grants > 0) {
                if (segment->state != SEGMENT_SHARED) {
                        memory_move(segment, SEGMENT_SHARED);
                        grants_trim(segment, clock_now_ms());
                }
                return;
        }
        if (segment->n_handed > 0) {
                r = segment_test(segment);
                if (r == SEGMENT_E_HELD) {
                        memory_move(segment, SEGMENT_HELD);
                        return;
                }
                /* Only now is it certain that nobody writes any more: look once again. */
                if (r == 0 && segment->was_writable)
                        r = segment_verify(segment);
                is_good = is_good && r == 0;
        }
        if (is_good)
                memory_idle(segment);
        else
                memory_dispose(segment);
}

struct segment *segment_ref(struct segment *segment)
{
        assert(segment->n_refs > 0);
        segment->n_refs++;
        return segment;
}

struct segment *segment_unref(struct segment *segment)
{
        if (!segment)
                return NULL;
        assert(segment->n_refs > 0 && segment->state == SEGMENT_LIVE);
        if (--segment->n_refs == 0)
                memory_leave(segment);
        return NULL;
}

void memory_leave(struct segment *segment)
{
        struct store *store = segment->store;

        if (store->n_settled < SETTLE_AT_ONCE) {
                store->n_settled++;
                memory_settle(segment);
        } else if (segment->state != SEGMENT_LEFT) {
                memory_move(segment, SEGMENT_LEFT);
        }
}

void store_settle(struct store *store)
{
        struct segment *segment;

        store->n_evicting = 0;
        if (store->is_evicting) /* who wants memory looks for more of it */
                memory_freed(store);
        store->is_evicting = false;
        for (unsigned n = 0; n < SETTLE_MAX; n++) {
                segment = list_first(&store->left, struct segment, link);
                if (!segment)
                        break;
                memory_settle(segment);
        }
        store->n_settled = 0;
}

bool store_has_left(const struct store *store)
{
        return !list_is_empty(&store->left) || store->is_evicting;
}

static void retry_held(struct store *store)
{
        uint64_t n = store->n_state[SEGMENT_HELD];

        /* Those that stay held go to the end: the next call begins behind them. */
        for (n = n < RETRY_MAX ? n : RETRY_MAX; n > 0; n--)
                memory_settle(list_first(&store->held, struct segment, link));
}

bool memory_retry_held(struct store *store)
{
        uint64_t now_ms = clock_now_ms(), n_bytes = store->n_state_bytes[SEGMENT_HELD];

        if (n_bytes == 0 || now_ms - store->held_retried_ms < RETRY_HELD_MS)
                return false;
        store->held_retried_ms = now_ms;
        retry_held(store);
        return store->n_state_bytes[SEGMENT_HELD] < n_bytes;
}

uint32_t store_retry_held(struct store *store)
{
        retry_held(store);
        spill_retry_removing(store);
        return (uint32_t)store->n_state[SEGMENT_HELD];
}
