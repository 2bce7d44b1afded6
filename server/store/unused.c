/* SPDX-License-Identifier: MIT */
#include "store/unused.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/state.h"

/* Nothing of what it depends on changes while the tensor has its name. */
static enum unused_kind unused_kind(const struct tensor *tensor)
{
        if (tensor->is_evictable)
                return UNUSED_EVICTABLE;
        return tensor_is_spillable(tensor) ? UNUSED_SPILLABLE : UNUSED_KEPT;
}

static struct unused *unused_of(const struct tensor *tensor)
{
        return &tensor->user->unused[unused_kind(tensor)];
}

uint64_t unused_n_bytes(const struct tensor *tensor)
{
        return tensor->charge.n + (tensor->segment ? tensor->segment->file_bytes : 0);
}

uint64_t unused_total(const struct store *store, enum unused_kind kind)
{
        uint64_t n_bytes = 0;

        for (const struct user *user = store->users.by_uid; user; user = user->hh.next)
                n_bytes += user->unused[kind].n_bytes;
        return n_bytes;
}

static void unused_add(struct tensor *tensor)
{
        struct unused *unused = unused_of(tensor);

        list_push_back(&unused->tensors, &tensor->unused_link);
        unused->n_bytes += unused_n_bytes(tensor);
        tensor->used = ++tensor->store->n_uses;
        tensor->is_aside = false;
        /* It could be had from now on. */
        if (unused_kind(tensor) != UNUSED_KEPT)
                memory_freed(tensor->store);
}

static void unused_remove(struct tensor *tensor)
{
        struct unused *unused = unused_of(tensor);

        if (unused->at == &tensor->unused_link)
                unused->at = unused->at->next;
        list_unlink(&tensor->unused_link);
        if (!tensor->is_aside)
                unused->n_bytes -= unused_n_bytes(tensor);
        if (tensor->is_asked)
                unused->n_asked -= unused_n_bytes(tensor);
        tensor->is_asked = false;
}

/* Until those who map it let go, or do not, no walk meets it. */
static void unused_ask(struct tensor *tensor)
{
        struct unused *unused = unused_of(tensor);

        unused_remove(tensor);
        unused->n_bytes += unused_n_bytes(tensor);
        unused->n_asked += unused_n_bytes(tensor);
        tensor->is_asked = true;
        list_push_back(&tensor->store->asked, &tensor->unused_link);
}

/* It is listed again where it was. */
static void unused_return(struct tensor *tensor)
{
        struct unused *unused = unused_of(tensor);
        struct tensor *other;

        unused_remove(tensor);
        unused->n_bytes += unused_n_bytes(tensor);
        list_for_each(other, &unused->tensors, unused_link) {
                if (other->used > tensor->used) {
                        list_push_back(&other->unused_link, &tensor->unused_link);
                        return;
                }
        }
        list_push_back(&unused->tensors, &tensor->unused_link);
}

void unused_update(struct tensor *tensor)
{
        bool was_unused = !list_is_empty(&tensor->unused_link);
        uint32_t n_resting = tensor->n_resting > 0 && unused_kind(tensor) == UNUSED_SPILLABLE
                                     ? tensor->n_resting
                                     : 0;
        bool is_unused = tensor->name && !tensor->name->reservation && !tensor->spilled &&
                         tensor->n_refs == 1 + n_resting;

        if (was_unused && !is_unused) {
                unused_remove(tensor);
        } else if (is_unused && !was_unused) {
                unused_add(tensor);
                /* Who is asked for it next was not asked before. */
                if (tensor->segment)
                        tensor->segment->asked_ms = 0;
        }
}

void tensor_rest(struct tensor *tensor, bool is_resting)
{
        tensor->n_resting += is_resting ? 1 : -1U;
        unused_update(tensor);
}

static int used_compare(const void *ap, const void *bp)
{
        const struct tensor *a = *(struct tensor *const *)ap, *b = *(struct tensor *const *)bp;

        return a->used < b->used ? -1 : a->used > b->used;
}

int unused_recover(struct store *store)
{
        _cleanup_(freep) struct tensor **tensors = NULL;
        size_t n = 0;

        tensors = calloc(store->n_named + 1, sizeof(struct tensor *));
        if (!tensors)
                return -ENOMEM;
        for (struct name *name = store->names.first[0]; name; name = name->next[0])
                if (name->tensor)
                        tensors[n++] = name->tensor;
        qsort(tensors, n, sizeof(struct tensor *), used_compare);
        for (size_t i = 0; i < n; i++)
                unused_update(tensors[i]);
        return 0;
}

void unused_walk_begin(struct unused_walk *walk, struct store *store, enum unused_kind kind)
{
        *walk = (struct unused_walk){ .store = store, .kind = kind, .n_used = store->n_uses };
        for (struct user *user = store->users.by_uid; user; user = user->hh.next)
                user->unused[kind].at = user->unused[kind].tensors.next;
}

/* Where the walk is among those of the user; NULL: at their end. */
static struct tensor *walk_at(const struct unused_walk *walk, const struct user *user)
{
        const struct unused *unused = &user->unused[walk->kind];
        struct tensor *tensor;

        if (unused->at == &unused->tensors)
                return NULL;
        tensor = list_entry(unused->at, struct tensor, unused_link);
        return tensor->used <= walk->n_used ? tensor : NULL;
}

struct tensor *unused_walk_next(struct unused_walk *walk, struct user *user, uint64_t n_at_least)
{
        struct tensor *first = user ? walk_at(walk, user) : NULL, *tensor;

        for (user = user ? NULL : walk->store->users.by_uid; user; user = user->hh.next) {
                tensor = user->used[RESOURCE_BYTES] >= n_at_least ? walk_at(walk, user) : NULL;
                if (tensor && (!first || tensor->used < first->used))
                        first = tensor;
        }
        if (first)
                first->user->unused[walk->kind].at = first->unused_link.next;
        return first;
}

void unused_walk_leave(struct unused_walk *walk, struct user *user)
{
        user->unused[walk->kind].at = &user->unused[walk->kind].tensors;
}

/* Is one of those who map it not worth asking? */
static bool segment_is_with_deaf(const struct segment *segment, uint64_t now_ms)
{
        const struct grant *grant;

        list_for_each(grant, &segment->grants, segment_link)
                if (grant->key.holder->deaf_ms && now_ms - grant->key.holder->deaf_ms < DEAF_MS)
                        return true;
        return false;
}

static void segment_give_up(struct segment *segment, uint64_t now_ms)
{
        struct grant *grant;

        list_for_each(grant, &segment->grants, segment_link)
                grant->key.holder->deaf_ms = now_ms;
}

/* 0 or UNUSED_E_*. */
static int segment_clear(struct segment *segment, uint64_t now_ms)
{
        if (segment->n_refs > 1) /* a reply that is still to be sent */
                return UNUSED_E_MAPPED;
        if (segment->n_grants > 0) {
                if (!segment->asked_ms && segment_is_with_deaf(segment, now_ms))
                        return UNUSED_E_MAPPED;
                if (!segment->asked_ms)
                        grants_trim(segment, now_ms);
                return now_ms - segment->asked_ms < UNUSED_WAIT_MS ? UNUSED_E_ASKED
                                                                   : UNUSED_E_MAPPED;
        }
        if (segment->n_handed > 0) {
                if (segment_test(segment))
                        return UNUSED_E_MAPPED;
                segment->n_handed = 0;
        }
        return 0;
}

int unused_clear(struct tensor *tensor, uint64_t now_ms)
{
        int r = tensor->segment ? segment_clear(tensor->segment, now_ms) : 0;

        assert(!list_is_empty(&tensor->unused_link));
        if (r == UNUSED_E_ASKED && !tensor->is_aside && !tensor->is_asked)
                unused_ask(tensor);
        if (r == UNUSED_E_MAPPED && !tensor->is_aside) {
                unused_remove(tensor);
                tensor->is_aside = true;
                list_push_back(&tensor->store->aside, &tensor->unused_link);
        }
        return r;
}

void unused_answered(struct store *store)
{
        store->has_answered = true;
        memory_freed(store);
}

void unused_hear(struct store *store, uint64_t now_ms)
{
        struct list *link = store->asked.prev;
        struct tensor *tensor;
        int r;

        /* The last ones first: each comes to stand before the one that was returned before it. */
        while (store->has_answered && link != &store->asked) {
                tensor = list_entry(link, struct tensor, unused_link);
                link = link->prev;
                if (tensor->segment->n_grants == 0)
                        unused_return(tensor);
        }
        store->has_answered = false;
        while ((tensor = list_first(&store->asked, struct tensor, unused_link)) &&
               now_ms - tensor->segment->asked_ms >= UNUSED_WAIT_MS) {
                r = unused_clear(tensor, now_ms);
                if (r == UNUSED_E_MAPPED)
                        segment_give_up(tensor->segment, now_ms);
                else if (r == UNUSED_E_ASKED) /* of another who maps it since */
                        return;
                else
                        unused_return(tensor);
        }
}

void unused_retry(struct store *store, uint64_t now_ms)
{
        const struct list *last = store->aside.prev;
        bool is_last = list_is_empty(&store->aside);
        struct tensor *tensor;

        if (now_ms - store->retried_ms < UNUSED_WAIT_MS)
                return;
        store->retried_ms = now_ms;
        for (unsigned n = 0; n < RETRY_MAX && !is_last; n++) {
                tensor = list_first(&store->aside, struct tensor, unused_link);
                is_last = &tensor->unused_link == last;
                /* It was in use until now; or goes to the end: the next call begins behind it. */
                list_unlink(&tensor->unused_link);
                list_push_back(&store->aside, &tensor->unused_link);
                if (unused_clear(tensor, now_ms) == 0) {
                        unused_remove(tensor);
                        unused_add(tensor);
                }
        }
}

bool store_has_aside(const struct store *store)
{
        return !list_is_empty(&store->aside);
}
