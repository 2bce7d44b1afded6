/* SPDX-License-Identifier: MIT */
/*
 * Room
 *
 * Where the memory for something new comes from, in this order: a segment that is parked with its
 * holder, or idle, of the right size; what is free; what is idle or parked, one's own before that
 * of others, which is given back; what is evictable (evict.c). What is given back for one who wants
 * memory is never more than it takes, and nothing is where that would not do.
 */
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <sys/statvfs.h>

#include "base/clock.h"

/* ---- asking for what is parked ---- */

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

void memory_trim_parked(struct store *store, uint64_t n_bytes, uint64_t now_ms)
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
                bool is_now = !memory_disposes_later(store, segment);
                uint64_t before = store->users.totals[RESOURCE_BYTES].n;

                if (!is_now)
                        room->n_leaving += segment->file_bytes;
                memory_dispose(segment);
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

bool memory_falls_short(const struct want *want, uint64_t n_own, uint64_t n_all,
                        bool *is_ownp)
{
        struct room own = { .user = want->user }, all;
        struct lack lack = { .all = want->n_lacking };

        room_look(&all, want->store, NULL, want->at_once);
        if (want->user)
                room_look(&own, want->store, want->user, want->at_once);
        own.n_spare += n_own;
        all.n_spare += n_all;
        if (!want->n_lacking)
                lack_find(&lack, &want->store->users, want->user, want->n_bytes, own.n_spare);
        *is_ownp = lack.own > own.n_spare;
        return *is_ownp || lack.all > all.n_spare;
}

/* Idle and parked bytes are, until n_bytes more may be charged; as memory_relieve(). */
static int memory_give_back(struct store *store, struct user *user, uint64_t n_bytes, bool at_once)
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
 * As memory_relieve(), and if segmentp is given: or find a segment of that size, be it one that is
 * evicted for it.
 */
static int memory_make_room(const struct want *want, struct holder *holder,
                            struct segment **segmentp)
{
        int r, e = 0;

        do {
                if (segmentp)
                        *segmentp = memory_take(want->store, want->user, holder, want->n_bytes);
                if (segmentp && *segmentp)
                        return 0;
                r = memory_give_back(want->store, want->user, want->n_bytes, want->at_once);
                if (r != STORE_E_LIMIT && r != STORE_E_QUOTA)
                        return r;
                if (!want->at_once && memory_retry_held(want->store))
                        continue;
                /* Who asks for memory was busy and not deaf: it reads what it was sent now. */
                if (want->user && !want->at_once && pool_forgive(&want->store->pool, want->user))
                        continue;
                e = memory_evict(want);
        } while (!e);
        return e == EVICT_E_LATER ? STORE_E_TRIMMING : r;
}

int memory_relieve(struct store *store, struct user *user, uint64_t n_bytes, bool at_once)
{
        const struct want want = {
                .store = store, .user = user, .n_bytes = n_bytes, .at_once = at_once
        };
        int r;

        store->is_at_once = at_once;
        r = memory_make_room(&want, NULL, NULL);
        store->is_at_once = false;
        return r;
}

int store_make_room(struct store *store, struct user *user, uint64_t n_bytes)
{
        return memory_relieve(store, user, n_bytes, false);
}

/* ---- beforehand ---- */

int prepaid_grow(struct store *store, struct prepaid *prepaid, struct user *user, uint64_t n_bytes,
                 bool at_once)
{
        int r = memory_relieve(store, user, n_bytes, at_once);

        if (r)
                return r;
        prepaid->store = store;
        if (!prepaid->bytes.user)
                charge_adopt(&prepaid->bytes, user, RESOURCE_BYTES, 0);
        r = charge_grow(&prepaid->bytes, n_bytes);
        assert(r == 0);
        store->n_heap_bytes += n_bytes;
        return 0;
}

int store_prepay(struct store *store, struct prepaid *prepaid, struct user *user, uint64_t n_bytes,
                 uint64_t n_record_bytes)
{
        uint64_t n_had = prepaid->n_record_bytes;
        int r = 0;

        prepaid->store = store;
        if (n_record_bytes > n_had) {
                r = catalog_await_room(store, store->n_prepaid_bytes + n_record_bytes - n_had);
                if (r)
                        return r;
        }
        if (n_bytes > prepaid->bytes.n)
                r = prepaid_grow(store, prepaid, user, n_bytes - prepaid->bytes.n, false);
        if (!r && n_record_bytes > n_had) {
                prepaid->n_record_bytes = n_record_bytes;
                store->n_prepaid_bytes += n_record_bytes - n_had;
        }
        return r;
}

void prepaid_spend_records(struct prepaid *prepaid)
{
        prepaid->store->n_prepaid_bytes -= prepaid->n_record_bytes;
        prepaid->n_record_bytes = 0;
}

void prepaid_give_back(struct prepaid *prepaid)
{
        bool has_bytes = prepaid->bytes.n > 0;

        if (!prepaid->store)
                return;
        prepaid_spend_records(prepaid);
        prepaid->store->n_heap_bytes -= prepaid->bytes.n;
        charge_drop(&prepaid->bytes);
        if (has_bytes)
                memory_freed(prepaid->store);
}

/* ---- reserving ---- */

/*
 * Where the file system lacks room for a new file, and giving back ours can help: do so. True: some
 * of it is still to come.
 */
static bool memory_clear_shm(struct store *store, struct user *user, uint64_t file_bytes)
{
        struct want want;
        struct room room;
        struct statvfs st;
        uint64_t n_free;
        bool is_own;
        int r = 0;

        if (fstatvfs(store->shm.fd, &st) < 0 || st.f_blocks == 0)
                return false;
        n_free = (uint64_t)st.f_bavail * st.f_frsize;
        if (n_free >= file_bytes)
                return false;
        want = (struct want){ .store = store, .user = user, .n_lacking = file_bytes - n_free };
        while (memory_falls_short(&want, 0, 0, &is_own) && !r)
                r = memory_evict(&want);
        if (r == EVICT_E_LATER)
                return true;
        room_look(&room, store, NULL, false);
        if (file_bytes - n_free > room.n_spare)
                return false;
        return room_make(&room, store, file_bytes - n_free) < file_bytes - n_free;
}

int store_reserve(struct store *store, struct user *user, struct holder *holder, uint64_t n_bytes,
                  struct segment **segmentp, bool *is_readyp)
{
        struct want want = { .store = store, .user = user };
        struct charge charge = { 0 };
        struct segment *segment;
        uint8_t random[SHM_RANDOM];
        uint64_t file_bytes, id;
        int r;

        assert(n_bytes > 0);
        if (n_bytes > store->config.limit)
                return STORE_E_LIMIT;
        want.n_bytes = file_bytes = segment_class(n_bytes);
        r = memory_make_room(&want, holder, &segment);
        if (r)
                return r;
        if (segment) {
                segment->n_refs = 1;
                segment->is_sealed = false;
                *segmentp = segment;
                *is_readyp = true;
                return 0;
        }

        if (memory_clear_shm(store, user, file_bytes))
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
