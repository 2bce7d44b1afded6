/* SPDX-License-Identifier: MIT */
/*
 * Holders and grants
 *
 * A grant says that a holder was sent a descriptor of a segment and has not said that it unmapped
 * it. It hangs on two lists, its holder's and its segment's: a connection that ends takes all of
 * its grants along.
 *
 * Loop thread only.
 */
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#include "store/unused.h"

void holder_init(struct holder *holder, struct user *user,
                 void (*trim)(struct holder *, const uint64_t *, uint32_t))
{
        list_init(&holder->grants);
        list_init(&holder->parked);
        holder->user = user;
        holder->deaf_ms = 0;
        holder->trim = trim;
}

static struct grant *grant_find(struct store *store, struct holder *holder, struct segment *segment)
{
        struct grant key = { .key = { .holder = holder, .segment = segment } }, *grant;

        HASH_FIND(hh, store->grants, &key.key, sizeof(key.key), grant);
        return grant;
}

static void grant_end(struct store *store, struct grant *grant)
{
        struct segment *segment = grant->key.segment;

        list_unlink(&grant->holder_link);
        list_unlink(&grant->segment_link);
        HASH_DEL(store->grants, grant);
        charge_drop(&grant->charge);
        free(grant);
        segment->n_grants--;
        if (segment->n_refs == 0)
                memory_leave(segment);
        else if (segment->n_grants == 0 && segment->asked_ms)
                unused_answered(store);
}

unsigned holder_take_out(struct store *store, struct holder *holder, unsigned n)
{
        struct grant *grant;

        for (; n > 0 && (grant = list_first(&holder->grants, struct grant, holder_link)); n--)
                grant_end(store, grant);
        return n;
}

void holder_deinit(struct store *store, struct holder *holder)
{
        holder_take_out(store, holder, UINT_MAX);
        assert(list_is_empty(&holder->parked));
}

int store_grant(struct store *store, struct holder *holder, struct segment *segment, bool writable,
                bool *is_newp)
{
        return store_grant_prepaid(store, holder, segment, writable, NULL, is_newp);
}

int store_charge_grants(struct charge *charge, struct user *user, uint32_t n)
{
        return outcome_of_charge(charge_take(charge, user, RESOURCE_WORKSPACE,
                                             n * sizeof(struct grant)),
                                 RESOURCE_WORKSPACE);
}

int store_grant_prepaid(struct store *store, struct holder *holder, struct segment *segment,
                        bool writable, struct charge *prepaid, bool *is_newp)
{
        struct grant *grant = grant_find(store, holder, segment);
        struct charge charge = { 0 };
        int r;

        assert(segment->n_refs > 0 && segment->has_file);
        *is_newp = !grant || (writable && !grant->writable);
        if (!grant) {
                r = prepaid ? 0 : store_charge_grants(&charge, holder->user, 1);
                if (r)
                        return r;
                if (prepaid)
                        charge_split(&charge, prepaid, sizeof(*grant));
                grant = calloc(1, sizeof(*grant));
                if (!grant) {
                        charge_drop(&charge);
                        return -ENOMEM;
                }
                charge_move(&grant->charge, &charge);
                grant->key.holder = holder;
                grant->key.segment = segment;
                HASH_ADD(hh, store->grants, key, sizeof(grant->key), grant);
                if (!table_has(grant)) {
                        charge_drop(&grant->charge);
                        free(grant);
                        return -ENOMEM;
                }
                list_push_back(&holder->grants, &grant->holder_link);
                list_push_back(&segment->grants, &grant->segment_link);
                segment->n_grants++;
                segment->asked_ms = 0;
                if (segment->n_handed < N_HANDED_MAX)
                        segment->n_handed++;
        }
        if (writable) {
                assert(!segment->is_sealed);
                grant->writable = true;
                segment->was_writable = true;
        }
        return 0;
}

void store_unmap(struct store *store, struct holder *holder, uint64_t segment_id)
{
        struct segment *segment;
        struct grant *grant;

        HASH_FIND(hh, store->segments, &segment_id, sizeof(segment_id), segment);
        grant = segment ? grant_find(store, holder, segment) : NULL;
        if (!grant)
                return;
        holder->deaf_ms = 0;
        grant_end(store, grant);
}

void grants_trim(struct segment *segment, uint64_t now_ms)
{
        struct grant *grant;

        segment->asked_ms = now_ms;
        list_for_each(grant, &segment->grants, segment_link)
                grant->key.holder->trim(grant->key.holder, &segment->id, 1);
}

bool tensor_may_take(const struct tensor *tensor, uint32_t n_refs, const struct holder *holder)
{
        const struct segment *segment = tensor->segment;

        if (!segment || tensor->heap || tensor->name || tensor->n_refs != n_refs ||
            segment->n_refs != 1 || segment_is_poisoned(segment) || tensor->user != holder->user)
                return false;
        if (segment->n_handed == 0)
                return true;
        return segment->n_handed == 1 && segment->n_grants == 1 &&
               list_first(&segment->grants, struct grant, segment_link)->key.holder == holder;
}

void tensor_each_holder(const struct tensor *tensor,
                        void (*visit)(void *ctx, struct holder *holder), void *ctx)
{
        struct grant *grant;

        if (!tensor->segment)
                return;
        list_for_each (grant, &tensor->segment->grants, segment_link)
                visit(ctx, grant->key.holder);
}

bool tensor_is_held(const struct tensor *tensor)
{
        struct segment *segment = tensor->segment;

        return segment && segment->n_grants == 0 && segment->n_handed > 0 &&
               segment_test(segment) == SEGMENT_E_HELD;
}
