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
#include <sys/statvfs.h>

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

void memory_dispose(struct segment *segment)
{
        struct store *store = segment->store;

        memory_move(segment, SEGMENT_DISPOSING);
        if (store->config.dispose && segment->has_file && segment->file_bytes > DISPOSE_AT_ONCE) {
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

/* Parked bytes that their holders were not yet asked for, or were just now. */
static uint64_t memory_parked_bytes(struct store *store, uint64_t now_ms)
{
        struct pool *pool = &store->pool;
        struct segment *segment;
        uint64_t n_bytes;

        while ((segment = list_first(&pool->asked, struct segment, link)) &&
               now_ms - segment->asked_ms >= TRIM_WAIT_MS)
                pool_give_up(pool, segment);
        n_bytes = pool->n_parked_bytes - pool->n_deaf_bytes;
        /* Of shared ones all were asked for; the latest are at the end. */
        for (struct list *link = store->shared.prev; link != &store->shared; link = link->prev) {
                segment = list_entry(link, struct segment, link);
                if (now_ms - segment->asked_ms >= TRIM_WAIT_MS)
                        break;
                n_bytes += segment->file_bytes;
        }
        return n_bytes;
}

/* Ask for parked segments, those parked longest first, until n_bytes are asked for. */
static void memory_trim_parked(struct store *store, uint64_t n_bytes, uint64_t now_ms)
{
        struct segment *segment;

        while (store->pool.n_asked_bytes < n_bytes &&
               (segment = list_first(&store->pool.parked, struct segment, link))) {
                pool_ask(&store->pool, segment);
                grants_trim(segment, now_ms);
        }
}

/* The same of one user's. */
static void memory_trim_own(struct store *store, struct user *user, uint64_t n_bytes,
                            uint64_t now_ms)
{
        struct segment *segment;

        list_for_each (segment, &store->pool.parked, link) {
                if (user->spare.n_asked >= n_bytes)
                        return;
                if (segment->charge.user == user) {
                        pool_ask(&store->pool, segment);
                        grants_trim(segment, now_ms);
                }
        }
}

/* ---- making room ---- */

/* What can be given back, of one user or (user NULL) of all. */
struct room {
        struct user *user;
        bool at_once;
        uint64_t now_ms;
        uint64_t n_leaving; /* on its way already */
        uint64_t n_spare;   /* that, and what could follow */
};

static void room_look(struct room *room, struct store *store, struct user *user, bool at_once)
{
        uint64_t parked, left = store->n_state_bytes[SEGMENT_LEFT];

        *room = (struct room){ .user = user, .at_once = at_once, .now_ms = clock_now_ms() };
        parked = at_once ? 0 : memory_parked_bytes(store, room->now_ms);
        if (!at_once)
                room->n_leaving = user ? user->spare.n_leaving
                                       : left + store->n_state_bytes[SEGMENT_DISPOSING] +
                                                 store->n_expected_bytes;
        room->n_spare = room->n_leaving;
        if (!user)
                room->n_spare += store->pool.n_idle_bytes + parked + (at_once ? left : 0);
        else if (at_once) /* of what is left some may turn out to be in use */
                room->n_spare += user->spare.n_idle;
        else
                room->n_spare += user->spare.n_idle + user->spare.n_parked - user->spare.n_deaf;
}

/* The oldest idle one. at_once: if there is none, of those that were left. */
static struct segment *room_next_idle(const struct room *room, struct store *store)
{
        if (room->user)
                return list_first(&room->user->spare.idle, struct segment, own_link);
        while (room->at_once && list_is_empty(&store->pool.idle) && !list_is_empty(&store->left))
                memory_settle(list_first(&store->left, struct segment, link));
        return list_first(&store->pool.idle, struct segment, link);
}

/* Give back need bytes, as far as there are so many. Returns how many are back already. */
static uint64_t room_make(struct room *room, struct store *store, uint64_t need)
{
        struct segment *segment;
        uint64_t now = 0;

        while (need > room->n_leaving + now && (segment = room_next_idle(room, store))) {
                bool is_now = room->at_once || !store->config.dispose ||
                              segment->file_bytes <= DISPOSE_AT_ONCE;
                uint64_t before = store->users.totals[RESOURCE_BYTES].n;

                if (!is_now)
                        room->n_leaving += segment->file_bytes;
                if (room->at_once) {
                        memory_move(segment, SEGMENT_DISPOSING);
                        segment_destroy(segment);
                        store_disposed(store, segment);
                } else {
                        memory_dispose(segment);
                }
                if (is_now) /* unless it could not be removed */
                        now += before - store->users.totals[RESOURCE_BYTES].n;
        }
        if (room->at_once || need <= room->n_leaving + now)
                return now;
        if (room->user)
                memory_trim_own(store, room->user, need - room->n_leaving - now, room->now_ms);
        else
                memory_trim_parked(store, need - room->n_leaving - now, room->now_ms);
        return now;
}

/* What has to come back before the user (NULL: the daemon) may be charged for n_bytes more. */
struct lack {
        uint64_t own; /* of the user's own, */
        uint64_t all; /* and of anyone's, these included */
};

static uint64_t not_below_0(__int128 n)
{
        return n > 0 ? (uint64_t)n : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

/* Of the user's own spare bytes as many as help, before those of others. */
static void lack_find(struct lack *lack, const struct users *users, const struct user *user,
                      uint64_t n_bytes, uint64_t n_own_spare)
{
        const struct total *total = &users->totals[RESOURCE_BYTES];
        __int128 n_free = (__int128)total->limit - total->n, n_used, more;
        uint64_t helps;

        *lack = (struct lack){ .all = not_below_0(n_bytes - n_free) };
        if (!user)
                return;
        n_used = user->used[RESOURCE_BYTES];
        lack->own = not_below_0(n_used + n_bytes - total->cap);
        /* own bytes that come back count for the user and for what is free, others' for that */
        more = users->is_shared ? n_used + n_bytes - USER_SHARE * (n_free - n_bytes) : 0;
        helps = larger(lack->all, not_below_0(more + USER_SHARE) / (USER_SHARE + 1));
        lack->own = larger(lack->own, helps < n_own_spare ? helps : n_own_spare);
        more -= (__int128)(USER_SHARE + 1) * lack->own;
        lack->all = larger(larger(lack->all, lack->own),
                           lack->own + not_below_0(more + USER_SHARE - 1) / USER_SHARE);
}

static int memory_may_charge(struct store *store, struct user *user, uint64_t n_bytes)
{
        const struct total *total = &store->users.totals[RESOURCE_BYTES];

        if (user)
                return outcome_of_charge(user_may_take(user, RESOURCE_BYTES, n_bytes),
                                         RESOURCE_BYTES);
        return total->n <= total->limit && n_bytes <= total->limit - total->n ? 0 : STORE_E_LIMIT;
}

int memory_relieve(struct store *store, struct user *user, uint64_t n_bytes, bool at_once)
{
        struct room own = { .user = user }, all;
        struct lack lack;
        uint64_t now = 0;
        int r;

        r = memory_may_charge(store, user, n_bytes);
        if (!r)
                return 0;
        room_look(&all, store, NULL, at_once);
        if (user)
                room_look(&own, store, user, at_once);
        lack_find(&lack, &store->users, user, n_bytes, own.n_spare);
        if (lack.own > own.n_spare || lack.all > all.n_spare)
                return r;
        if (lack.own > 0) {
                now = room_make(&own, store, lack.own);
                room_look(&all, store, NULL, at_once);
        }
        if (lack.all > now)
                room_make(&all, store, lack.all - now);
        if (!memory_may_charge(store, user, n_bytes))
                return 0;
        return at_once ? r : STORE_E_TRIMMING; /* at once: what was left is not idle after all */
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
        return !list_is_empty(&store->left);
}

uint32_t store_retry_held(struct store *store)
{
        struct segment *segment;
        uint64_t n = store->n_state[SEGMENT_HELD];

        /* Those that stay held go to the end: the next call begins behind them. */
        for (n = n < RETRY_MAX ? n : RETRY_MAX; n > 0; n--) {
                segment = list_first(&store->held, struct segment, link);
                memory_settle(segment);
        }
        return (uint32_t)store->n_state[SEGMENT_HELD];
}

/* ---- reserving ---- */

/* One that may be used at once: parked with the holder, or idle. */
static struct segment *memory_take(struct store *store, struct user *user, struct holder *holder,
                                   uint64_t file_bytes)
{
        struct segment *segment;

        while (holder && (segment = pool_take(&store->pool, user->uid, file_bytes, holder))) {
                memory_move(segment, SEGMENT_LIVE);
                if (!segment_is_poisoned(segment) &&
                    (!segment->was_writable || segment_verify(segment) == 0))
                        return segment;
                memory_settle(segment);
        }
        segment = pool_take(&store->pool, user->uid, file_bytes, NULL);
        if (segment)
                memory_move(segment, SEGMENT_LIVE);
        return segment;
}

/*
 * Where the file system lacks room for a new file, and giving back ours can help: do so. True: some
 * of it is still to come.
 */
static bool memory_clear_shm(struct store *store, uint64_t file_bytes)
{
        struct room room;
        struct statvfs st;
        uint64_t n_free;

        if (fstatvfs(store->shm.fd, &st) < 0 || st.f_blocks == 0)
                return false;
        n_free = (uint64_t)st.f_bavail * st.f_frsize;
        if (n_free >= file_bytes)
                return false;
        room_look(&room, store, NULL, false);
        if (file_bytes - n_free > room.n_spare)
                return false;
        return room_make(&room, store, file_bytes - n_free) < file_bytes - n_free;
}

int store_reserve(struct store *store, struct user *user, struct holder *holder, uint64_t n_bytes,
                  struct segment **segmentp, bool *is_readyp)
{
        struct charge charge = { 0 };
        struct segment *segment;
        uint8_t random[SHM_RANDOM];
        uint64_t file_bytes, id;
        int r;

        assert(n_bytes > 0);
        if (n_bytes > store->config.limit)
                return STORE_E_LIMIT;
        file_bytes = segment_class(n_bytes);
        segment = memory_take(store, user, holder, file_bytes);
        if (segment) {
                segment->n_refs = 1;
                segment->is_sealed = false;
                *segmentp = segment;
                *is_readyp = true;
                return 0;
        }

        r = memory_relieve(store, user, file_bytes, false);
        if (r)
                return r;
        if (memory_clear_shm(store, file_bytes))
                return STORE_E_TRIMMING;

        do {
                r = store_random(store, random);
                if (r)
                        return r;
                id = shm_segment_id(random);
                HASH_FIND(hh, store->segments, &id, sizeof(id), segment);
        } while (id == 0 || segment);
        r = charge_take(&charge, user, RESOURCE_BYTES, file_bytes);
        assert(r == 0);
        r = memory_add(store, user, random, file_bytes, &charge, &segment);
        if (r) {
                charge_drop(&charge);
                return r;
        }
        *segmentp = segment;
        *is_readyp = false;
        return 0;
}
