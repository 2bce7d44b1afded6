/* SPDX-License-Identifier: MIT */
/*
 * Eviction
 *
 * Where neither idle nor parked memory does, evictable tensors that nobody uses are deleted, those
 * that were used longest ago first:
 *
 *   own ones of who wants the memory, and these alone where it is its own cap that stands in the
 *   way;
 *   then those of users who hold more than as many users of equal greed would get (quota.h);
 *   then anyone's.
 *
 * Where these do not do, and there is a directory for it, tensors that are kept move to files
 * (spill.h), in the same order.
 *
 * First it is seen whether all of them would do, then whether each comes free with its name: who
 * maps one without referring to it is asked to let go. Nothing is deleted for what it could not
 * bring about: until all that is needed can be had, nothing is. The deletion is a record in the
 * catalog, as any other; where it cannot be made to have room for all of them, nothing is deleted
 * either.
 */
#include "store/state.h"

#include "base/clock.h"
#include "store/unused.h"

/* Too large for what their users have left of the disk, in one walk: 30 ns each. */
#define PASSED_MAX 1024

/* What is to go, so far; and what is expected of those who were asked. */
struct eviction {
        const struct want *want;
        enum unused_kind kind;
        struct unused_walk walk;
        uint64_t n_share; /* who holds more goes before others */
        uint64_t now_ms;
        uint64_t n_own, n_all; /* bytes that will be spare */
        uint64_t n_asked;       /* of these, bytes that somebody was asked for */
        bool counts_others;     /* that other users' tensors were asked for before */
        unsigned n_seen;
        unsigned n_passed; /* that have no room on the disk */
        unsigned n;
        struct tensor *tensors[EVICT_MAX];
};

/* As many bytes as each of those who hold some would get, were all of them as greedy. */
static uint64_t share_of_each(const struct users *users)
{
        const uint64_t limit = users->totals[RESOURCE_BYTES].limit;
        uint64_t n = 0;

        for (const struct user *user = users->by_uid; user; user = user->hh.next)
                n += user->used[RESOURCE_BYTES] > 0;
        return limit / (1 + USER_SHARE * n) * USER_SHARE;
}

/* NULL: there is none. */
static struct tensor *eviction_next_any(struct eviction *eviction, bool is_own)
{
        struct unused_walk *walk = &eviction->walk;
        struct user *user = eviction->want->user;
        struct tensor *tensor = user ? unused_walk_next(walk, user, 0) : NULL;

        if (!tensor && !is_own)
                tensor = unused_walk_next(walk, NULL, eviction->n_share + 1);
        if (!tensor && !is_own)
                tensor = unused_walk_next(walk, NULL, 0);
        return tensor;
}

/*
 * The next for which its user has something left of the disk. Whoever has nothing, or only very
 * large ones in front, keeps all of them in memory.
 */
static struct tensor *eviction_next(struct eviction *eviction, bool is_own)
{
        struct tensor *tensor;

        while ((tensor = eviction_next_any(eviction, is_own)) &&
               eviction->kind == UNUSED_SPILLABLE &&
               !spill_has_share(tensor->user, tensor_n_bytes(tensor)))
                if (++eviction->n_passed > PASSED_MAX ||
                    !spill_has_share(tensor->user, SPILL_MIN_BYTES))
                        unused_walk_leave(&eviction->walk, tensor->user);
        return tensor;
}

/* One more. */
static void eviction_add(struct eviction *eviction, struct tensor *tensor)
{
        int r = unused_clear(tensor, eviction->now_ms);

        if (r == UNUSED_E_MAPPED || (r == UNUSED_E_ASKED && eviction->want->at_once))
                return;
        if (r)
                eviction->n_asked += unused_n_bytes(tensor);
        else
                eviction->tensors[eviction->n++] = tensor;
        eviction->n_all += unused_n_bytes(tensor);
        if (tensor->user == eviction->want->user)
                eviction->n_own += unused_n_bytes(tensor);
}

/* What was asked for before and is still to come. */
static void eviction_expect(struct eviction *eviction, uint64_t n_bytes)
{
        eviction->n_asked += n_bytes;
        eviction->n_all += n_bytes;
}

/* Those of others only where one's own do not do. */
static bool eviction_expect_others(struct eviction *eviction)
{
        const struct user *user = eviction->want->user;

        if (eviction->counts_others || eviction->want->at_once)
                return false;
        eviction->counts_others = true;
        for (const struct user *other = eviction->want->store->users.by_uid; other;
             other = other->hh.next)
                if (other != user)
                        eviction_expect(eviction, other->unused[eviction->kind].n_asked);
        return true;
}

/*
 * Until they do, or this turn, or what is to be done at once, saw enough. 0 or EVICT_E_*. Those
 * that were asked for, or are mapped, left the walk: the next turn comes further. It would not
 * where all that was seen could go, and waits for what was asked for.
 */
static int eviction_gather(struct eviction *eviction)
{
        struct store *store = eviction->want->store;
        const bool at_once = eviction->want->at_once;
        const unsigned most = at_once ? EVICT_AT_ONCE_MAX : EVICT_MAX;
        unsigned *n_seen = at_once ? &eviction->n_seen : &store->n_evicting;
        struct tensor *tensor;
        bool is_own;

        while (memory_falls_short(eviction->want, eviction->n_own, eviction->n_all, &is_own)) {
                if (*n_seen == most || eviction->n == EVICT_MAX) {
                        if (!at_once && !(eviction->n == EVICT_MAX && eviction->n_asked > 0))
                                store->is_evicting = true;
                        if (at_once && eviction->n == 0)
                                return EVICT_E_NONE;
                        break;
                }
                tensor = eviction_next(eviction, true);
                if (!tensor && !is_own && eviction_expect_others(eviction))
                        continue;
                if (!tensor && !is_own)
                        tensor = eviction_next(eviction, false);
                if (!tensor)
                        return EVICT_E_NONE;
                ++*n_seen;
                eviction_add(eviction, tensor);
        }
        if (eviction->n_asked > 0) {
                store->n_evicting -= eviction->n; /* looked at, and left where they are */
                return EVICT_E_LATER;
        }
        return 0;
}

/* As memory_evict(): those that are found are deleted. */
static int eviction_delete(struct eviction *eviction)
{
        struct store *store = eviction->want->store;
        const struct total *total = &store->users.totals[RESOURCE_BYTES];
        uint64_t n_used;
        int r;

        do { /* if the catalog grows for what is to be said in it, that is to come back too */
                r = eviction_gather(eviction);
                if (r)
                        return r;
                n_used = total->n;
                if (names_evict_prepare(store, eviction->tensors, eviction->n))
                        return EVICT_E_NONE;
        } while (total->n > n_used);
        store->n_settled = 0; /* what they lay in is idle at once */
        for (unsigned i = 0; i < eviction->n; i++)
                if (name_evict(store, eviction->tensors[i]->name))
                        return EVICT_E_NONE; /* the catalog's memory was lost */
        return store->is_evicting && eviction->n == 0 ? EVICT_E_LATER : 0;
}

/* The same: they are written to files. */
static int eviction_spill(struct eviction *eviction)
{
        unsigned n_begun = 0;
        int r = eviction_gather(eviction);

        if (r)
                return r;
        for (unsigned i = 0; i < eviction->n; i++)
                n_begun += spill_begin(eviction->want->store, eviction->tensors[i]);
        if (n_begun > 0)
                return 0;
        return eviction->want->store->is_evicting ? EVICT_E_LATER : EVICT_E_NONE;
}

static int memory_evict_kind(const struct want *want, enum unused_kind kind)
{
        struct store *store = want->store;
        struct eviction eviction = { .want = want, .kind = kind, .now_ms = clock_now_ms() };
        const struct user *user = want->user;
        uint64_t n_own = user ? user->unused[kind].n_bytes : 0, n_ready_ms = 0;
        bool is_own;

        /* Evictable ones alone did not do; they go when it is certain that they help. */
        if (kind == UNUSED_SPILLABLE) {
                eviction.n_own = user ? user->unused[UNUSED_EVICTABLE].n_bytes : 0;
                eviction.n_all = unused_total(store, UNUSED_EVICTABLE);
        }
        if (memory_falls_short(want, eviction.n_own + n_own,
                               eviction.n_all + unused_total(store, kind), &is_own))
                return EVICT_E_NONE;
        if (kind == UNUSED_SPILLABLE)
                n_ready_ms = spill_ready_in_ms(store, eviction.now_ms);
        if (n_ready_ms > 0)
                return n_ready_ms < SPILL_SOON_MS ? EVICT_E_LATER : EVICT_E_NONE;
        eviction.n_share = share_of_each(&store->users);
        unused_walk_begin(&eviction.walk, store, kind);
        if (user && !want->at_once) {
                eviction_expect(&eviction, user->unused[kind].n_asked);
                eviction.n_own += eviction.n_asked;
        }
        return kind == UNUSED_EVICTABLE ? eviction_delete(&eviction) : eviction_spill(&eviction);
}

int memory_evict(const struct want *want)
{
        uint64_t now_ms = clock_now_ms();
        int r;

        unused_hear(want->store, now_ms);
        unused_retry(want->store, now_ms);
        r = memory_evict_kind(want, UNUSED_EVICTABLE);
        /* What has to be written to a disk first does not come at once. */
        if (r == EVICT_E_NONE && !want->at_once)
                r = memory_evict_kind(want, UNUSED_SPILLABLE);
        return r;
}
