/* SPDX-License-Identifier: MIT */
/*
 * Room in the catalog
 *
 * When it grows and when it is made anew, and who pays: the daemon, like anyone, within the limit
 * of memory. While a worker is late with a new one it grows where it lies: up to twice what a new
 * one would have, or a small share of the limit; then a new one is made at once.
 *
 * But what gives something back (a deletion, an eviction) is said in the catalog too, and is not to
 * be refused because it is full to the last byte. So for these a little of its room is left by what
 * names something; then it grows beyond the limit, by the least that will do. Nothing is named in
 * what was lent so, else whoever names and deletes in turn would have it grow for ever: there are
 * never more deletions than names. Who cannot wait for what is moving to files to make room for a
 * name, since its values are computed, is lent some, too, up to a bound that all share.
 *
 * Beyond the limit it is also made anew where that at least halves it.
 *
 * What moves to a file, or back (spill.h), has room made for its records before it begins to, and
 * says them beyond the limit if need be: as often out as back, and nothing sets out to come back
 * while it is beyond.
 *
 * Loop thread only, but for store_compaction_copy().
 */
#include "store/state.h"

#include <assert.h>

#include "base/clock.h"

/* Beside what the names mean, a new catalog has room for as much again, and for this. */
#define CATALOG_SLACK (32 * 1024)
/* So much of its room is left to what gives something back: the file system may be full, too. */
#define CATALOG_RESERVE 4096
/* It may have so much of the limit, however little of it counts, before it is made anew at once. */
#define CATALOG_SHARE 16
/* Names may be lent what brings the daemon so far beyond the limit, and no more. */
#define CATALOG_LENT_MAX (64 * 1024)

/* What would be left of the catalog. */
static uint64_t catalog_counts(const struct store *store)
{
        struct record outcome = { .type = RECORD_OUTCOME };

        return store->n_record_bytes + store->outcomes.n_outcomes * record_n_bytes(&outcome);
}

static uint64_t catalog_wants(const struct store *store, uint64_t n_more)
{
        return CATALOG_RECORDS + CATALOG_SLACK + n_more + 2 * catalog_counts(store);
}

/* Where memory is short, room for an eighth as much again. */
static uint64_t catalog_needs(const struct store *store, uint64_t n_more)
{
        uint64_t n_bytes = catalog_counts(store);

        n_bytes += CATALOG_RECORDS + CATALOG_RESERVE + n_more + n_bytes / 8;
        return (n_bytes + CATALOG_MIN - 1) / CATALOG_MIN * CATALOG_MIN;
}

/* What that lacks: it grows where it lies or, where it is mapped no further, is made anew. */
static uint64_t catalog_lacks(const struct store *store, uint64_t n_more)
{
        const struct catalog_file *file = store->catalog.file;
        uint64_t n_growth = catalog_growth_least(&store->catalog, n_more);

        return n_growth <= file->n_mapped - file->n_bytes ? n_growth : catalog_needs(store, n_more);
}

/* Of one that is made while there is time: it is larger than what it is to hold. */
static uint64_t catalog_size(const struct store *store, uint64_t n_more)
{
        uint64_t n_bytes = catalog_wants(store, n_more), n_rounded = CATALOG_MIN;

        while (n_rounded < n_bytes)
                n_rounded *= 2;
        return n_rounded;
}

/*
 * Up to here it grows where it lies. What is obsolete in it takes memory from others, and they
 * would be refused it: only who needs room in the catalog has it made anew at once.
 */
static uint64_t catalog_bound(const struct store *store, uint64_t n_more)
{
        uint64_t n_share = store->users.totals[RESOURCE_BYTES].limit / CATALOG_SHARE;
        uint64_t n_twice = 2 * catalog_size(store, n_more);

        return n_share > n_twice ? n_share : n_twice;
}

static int outcome_of_catalog(int r)
{
        return r == CATALOG_E_FULL ? STORE_E_FULL : r == CATALOG_E_LIMIT ? STORE_E_LIMIT : r;
}

bool store_compaction_is_due(const struct store *store)
{
        const struct catalog *catalog = &store->catalog;
        uint64_t n_bytes = catalog->file->n_bytes;

        if (store->compaction && !atomic_load(&store->compaction->has_failed))
                return false;
        /* It fills up, or a much smaller one would do. */
        return n_bytes - catalog->end < n_bytes / 4 ||
               (n_bytes > 8 * CATALOG_MIN && catalog_wants(store, 0) < n_bytes / 8);
}

static int compaction_begin(struct store *store, uint64_t n_more, struct compaction **compactionp)
{
        struct want want = { .store = store,
                             .n_bytes = catalog_size(store, n_more),
                             .at_once = true };
        bool is_own;

        /*
         * The new one is charged beside the old one; what is idle must not stand in its way, but
         * nothing is evicted for what can be had with less.
         */
        if (memory_falls_short(&want, 0, 0, &is_own) ||
            memory_relieve(store, NULL, want.n_bytes, true))
                return STORE_E_LIMIT;
        return outcome_of_catalog(compaction_new(compactionp, &store->catalog, store->self,
                                                 want.n_bytes, false, clock_now_ms()));
}

/* At once. The compaction is consumed. */
static int catalog_switch(struct store *store, struct compaction *owned)
{
        _cleanup_(compaction_freep) struct compaction *compaction = owned;
        int r;

        r = outcome_of_catalog(compaction_copy(compaction));
        if (!r)
                r = outcome_of_catalog(compaction_finish(compaction, &store->catalog));
        if (!r)
                memory_freed(store);
        return r;
}

/* A tight one, at once. */
static int catalog_tighten(struct store *store, uint64_t n_more, bool is_beyond)
{
        struct compaction *compaction;
        int r = compaction_new(&compaction, &store->catalog, store->self,
                               catalog_needs(store, n_more), is_beyond, clock_now_ms());

        return r ? outcome_of_catalog(r) : catalog_switch(store, compaction);
}

/*
 * Where there is no room for both, but the new one is at most half as large, it is made at once,
 * beyond the limit: nobody sees both, and there is more room than before.
 */
static int catalog_halve(struct store *store, uint64_t n_more)
{
        if (catalog_needs(store, n_more) > store->catalog.file->n_bytes / 2)
                return STORE_E_LIMIT;
        return catalog_tighten(store, n_more, true);
}

static int catalog_replace(struct store *store, uint64_t n_more)
{
        struct compaction *compaction;
        int r = compaction_begin(store, n_more, &compaction);

        if (!r)
                return catalog_switch(store, compaction);
        if (r == STORE_E_LIMIT)
                r = catalog_halve(store, n_more);
        if (r == STORE_E_LIMIT && !memory_relieve(store, NULL, catalog_needs(store, n_more), true))
                r = catalog_tighten(store, n_more, false);
        return r;
}

void store_compaction_drop(struct store *store)
{
        assert(atomic_load(&store->compaction->has_failed));
        store->compaction = compaction_free(store->compaction);
}

int store_compaction_begin(struct store *store)
{
        int r;

        if (store->compaction)
                store_compaction_drop(store);
        r = compaction_begin(store, 0, &store->compaction);
        /* Or it stays as it is; what is written to a disk lets it grow a little. */
        if (r == STORE_E_LIMIT && catalog_halve(store, 0) == STORE_E_LIMIT)
                memory_relieve(store, NULL, CATALOG_MIN, false);
        return r;
}

int store_compaction_copy(struct store *store)
{
        int r = outcome_of_catalog(compaction_copy(store->compaction));

        if (r)
                atomic_store(&store->compaction->has_failed, true);
        return r;
}

int store_compaction_finish(struct store *store)
{
        _cleanup_(compaction_freep) struct compaction *compaction = steal_ptr(&store->compaction);
        int r = 0;

        /* Too much was said meanwhile, or another one was made: this one is of no use any more. */
        if (compaction->from == store->catalog.file)
                r = compaction_finish(compaction, &store->catalog);
        return r == CATALOG_E_FULL ? 0 : outcome_of_catalog(r);
}

int catalog_renew(struct store *store)
{
        return catalog_replace(store, 0);
}

static bool is_beyond_limit(const struct store *store)
{
        const struct total *total = &store->users.totals[RESOURCE_BYTES];

        return total->n > total->limit;
}

/* What is evicted for it is said in the catalog too, and it may be another one then. */
static int catalog_extend(struct store *store, uint64_t n_bytes, uint64_t n_most,
                          uint64_t (*growth)(const struct catalog *catalog, uint64_t n_bytes))
{
        uint64_t n_more = growth(&store->catalog, n_bytes);
        int r;

        if (store->catalog.file->n_bytes + n_more > n_most)
                return STORE_E_LIMIT;
        r = memory_relieve(store, NULL, n_more, true);
        if (r)
                return r;
        n_more = growth(&store->catalog, n_bytes);
        return n_more == 0 ? 0 : catalog_grow(&store->catalog, store->self, n_more, false);
}

/*
 * Room for n_bytes more, and the reserve. Where the last quarter of the catalog was filled before a
 * worker had copied it, it grows, on this thread, a little. Where it may not, or cannot (there is
 * no memory for that), a smaller one of what counts is made at once: 1 us a record. Only where that
 * is not to be had either it grows as far as it can.
 */
int catalog_make_room(struct store *store, uint64_t n_bytes)
{
        struct catalog *catalog = &store->catalog;
        uint64_t n_lacking, n_most;
        int r;

        n_bytes += CATALOG_RESERVE;
        n_lacking = catalog_lacks(store, n_bytes);
        catalog->is_lent = catalog->is_lent && is_beyond_limit(store);
        if (!catalog->is_lent && !catalog_has_room(catalog, n_bytes))
                return 0;
        n_most = catalog_bound(store, n_bytes);
        if (!catalog_extend(store, n_bytes, n_most, catalog_growth) ||
            !catalog_extend(store, n_bytes, n_most, catalog_growth_least))
                return 0;
        r = catalog_replace(store, n_bytes);
        if (!r) {
                catalog->is_lent = false;
                return 0;
        }
        if (!catalog_extend(store, n_bytes, UINT64_MAX, catalog_growth_least))
                return 0;
        store->n_refused = n_lacking > 0 ? n_lacking : n_bytes;
        return r;
}

int catalog_await_room(struct store *store, uint64_t n_bytes)
{
        int r = catalog_make_room(store, n_bytes);

        if (r != STORE_E_LIMIT)
                return r;
        n_bytes += CATALOG_RESERVE;
        r = memory_relieve(store, NULL, catalog_lacks(store, n_bytes), false);
        return r ? r : catalog_make_room(store, n_bytes - CATALOG_RESERVE);
}

int catalog_lend_room(struct store *store, uint64_t n_bytes)
{
        struct catalog *catalog = &store->catalog;
        uint64_t n_more = catalog_growth_least(catalog, n_bytes);
        int r;

        if (n_more == 0)
                return 0;
        r = catalog_grow(catalog, store->self, n_more, true);
        if (r == CATALOG_E_FULL) /* or as far as it is mapped */
                r = catalog_tighten(store, n_bytes, true);
        catalog->is_lent = catalog->is_lent || is_beyond_limit(store);
        return r;
}

int catalog_lend_little(struct store *store, uint64_t n_bytes)
{
        const struct total *total = &store->users.totals[RESOURCE_BYTES];
        uint64_t n_more = catalog_growth_least(&store->catalog, n_bytes);

        if (n_more > 0 && total->n + n_more > total->limit + CATALOG_LENT_MAX)
                return STORE_E_LIMIT;
        return catalog_lend_room(store, n_bytes);
}
