/* SPDX-License-Identifier: MIT */
#include "store/lease.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/state.h"

static uint32_t steal_slot(uint32_t *slotp)
{
        uint32_t slot = *slotp;

        *slotp = 0;
        return slot;
}

/* ---- slots of the ledger ---- */

int slot_charge(struct tensor *tensor)
{
        struct charge *charge = &tensor->mutable->slots;
        int r;

        r = charge->user ? charge_grow(charge, 1)
                         : charge_take(charge, tensor->user, RESOURCE_LEDGER, 1);
        return outcome_of_charge(r, RESOURCE_LEDGER);
}

void slot_adopt(struct tensor *tensor)
{
        struct charge *charge = &tensor->mutable->slots;

        if (charge->user)
                charge_adopt_more(charge, 1);
        else
                charge_adopt(charge, tensor->user, RESOURCE_LEDGER, 1);
}

/*
 * It grows on this thread: so the slot is there when the caller goes on. The last doubling, of
 * 32 MiB, takes 20 ms; there are 14 of them in the life of a ledger.
 */
int slot_put(struct tensor *tensor, const struct ledger_entry *entry, uint32_t *slotp)
{
        struct store *store = tensor->store;
        struct ledger *ledger = &store->ledger;
        struct ledger_entry said = *entry;
        int r = 0;

        if (!ledger_has_free(ledger))
                r = memory_relieve(store, NULL, ledger->n_bytes, true);
        if (!r && !ledger_has_free(ledger)) {
                r = ledger_grow(ledger, store->self);
                r = r == LEDGER_E_LIMIT ? STORE_E_LIMIT : r == LEDGER_E_FULL ? STORE_E_FULL : r;
        }
        if (r) {
                store->n_refused = ledger->n_bytes;
                return r;
        }
        memcpy(said.tensor_id, tensor->id, sizeof(said.tensor_id));
        *slotp = ledger_take(ledger, &said);
        return 0;
}

/* It says nothing any more; 0: there is none. */
static void slot_give(struct tensor *tensor, uint32_t slot)
{
        if (!slot)
                return;
        ledger_give(&tensor->store->ledger, slot);
        charge_shrink(&tensor->mutable->slots, 1);
}

/* ---- leases ---- */

static bool leases_conflict(const struct lease *a, const struct lease *b)
{
        if ((!a->is_write && !b->is_write) || (a->owner && a->owner == b->owner))
                return false;
        return overlap_is_possible(&a->part, &b->part);
}

static struct lease *next_of(const struct lease *lease)
{
        return list_entry(lease->link.next, struct lease, link);
}

/* Does everything later that conflicts with it wait for held, too? */
static bool may_follow(const struct lease *lease, const struct lease *held)
{
        const struct list *leases = &held->tensor->mutable->leases;

        for (struct lease *later = next_of(held); &later->link != leases; later = next_of(later))
                if (leases_conflict(lease, later) && !leases_conflict(held, later))
                        return false;
        return true;
}

/* What its holder has to read, and it is within; NULL: nothing. One that lasts, too, would come
 * before writers for ever. */
static struct lease *held_around(const struct lease *lease)
{
        struct lease *held;

        if (!lease->holder || lease->is_write || lease->is_lasting)
                return NULL;
        list_for_each (held, &lease->tensor->mutable->leases, link)
                if (held->holder == lease->holder && held->is_lasting && !held->is_write &&
                    held->n_blockers == 0 && overlap_is_covered(&held->part, &lease->part) &&
                    may_follow(lease, held))
                        return held;
        return NULL;
}

void lease_begin(struct lease *lease, struct tensor *tensor, const struct desc *region,
                 bool is_write)
{
        struct list *leases = &tensor->mutable->leases;
        struct lease *earlier, *held;

        assert(tensor->state == TENSOR_MUTABLE);
        lease->tensor = tensor_ref(tensor);
        lease->region = *region;
        overlap_init(&lease->part, &tensor->desc, region);
        lease->is_write = is_write;
        lease->n_blockers = 0;
        lease->may_last = false;
        tensor->mutable->n_leases++;
        held = held_around(lease);
        if (held) {
                list_push_front(&held->link, &lease->link);
                for (struct lease *later = next_of(lease); &later->link != leases;
                     later = next_of(later))
                        later->n_blockers += leases_conflict(lease, later);
                return;
        }
        list_for_each (earlier, leases, link) {
                if (!leases_conflict(lease, earlier))
                        continue;
                lease->n_blockers++;
                lease->may_last |= earlier->is_lasting ||
                                   (earlier->n_blockers > 0 && earlier->may_last);
        }
        list_push_back(leases, &lease->link);
}

void lease_end(struct lease *lease)
{
        struct tensor *tensor = lease->tensor;
        struct lease *later, *next;

        if (!tensor)
                return;
        slot_give(tensor, steal_slot(&lease->slot));
        for (later = list_entry(lease->link.next, struct lease, link);
             &later->link != &tensor->mutable->leases; later = next) {
                next = list_entry(later->link.next, struct lease, link);
                if (later->n_blockers > 0 && leases_conflict(lease, later) &&
                    --later->n_blockers == 0)
                        later->granted(later);
        }
        list_unlink(&lease->link);
        tensor->mutable->n_leases--;
        lease->tensor = NULL;
        tensor_unref(tensor);
}

const struct lease *lease_blocker(const struct lease *lease)
{
        struct lease *earlier;

        list_for_each (earlier, &lease->tensor->mutable->leases, link) {
                if (earlier == lease)
                        break;
                if (leases_conflict(lease, earlier))
                        return earlier;
        }
        return NULL;
}

/* ---- leases in the ledger ---- */

/* Would writing the part end what is torn? */
static bool tensor_is_mended_by(const struct tensor *tensor, const struct overlap *part)
{
        const struct mutable *mutable = tensor->mutable;
        struct overlap torn;

        overlap_init(&torn, &tensor->desc, &tensor->desc);
        if (mutable->is_torn && overlap_is_covered(part, &torn))
                return true;
        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                overlap_init(&torn, &tensor->desc, &mutable->torn[i].region);
                if (overlap_is_covered(part, &torn))
                        return true;
        }
        return false;
}

/*
 * Who mends gives places back: so it gets one beyond its share. Writers of what is torn do not
 * overlap, and there is a place for each torn region already: nobody comes to more than twice as
 * many in this way.
 */
static int lease_charge(const struct lease *lease)
{
        int r = slot_charge(lease->tensor);

        if (r != STORE_E_QUOTA || !tensor_is_mended_by(lease->tensor, &lease->part))
                return r;
        slot_adopt(lease->tensor);
        return 0;
}

int lease_record(struct lease *lease, const uint8_t *nonce)
{
        struct store *store = lease->tensor->store;
        struct ledger_entry entry = { .region = lease->region };
        int r;

        assert(lease->is_write);
        if (lease->slot || lease->part.is_empty)
                return 0;
        r = lease_charge(lease);
        if (r)
                return r;
        if (nonce)
                memcpy(entry.nonce, nonce, sizeof(entry.nonce));
        r = slot_put(lease->tensor, &entry, &lease->slot);
        if (r) {
                charge_shrink(&lease->tensor->mutable->slots, 1);
                return r;
        }
        if (nonce)
                ledger_mark(&store->ledger, lease->slot, LEDGER_LEASE);
        return 0;
}

void lease_touch(const struct lease *lease)
{
        if (lease->slot)
                ledger_mark(&lease->tensor->store->ledger, lease->slot, LEDGER_TORN);
}

void lease_abandon(struct lease *lease)
{
        lease_touch(lease);
        tensor_tear_as(lease->tensor, &lease->region, steal_slot(&lease->slot));
        lease_end(lease);
}

void lease_leave(struct lease *lease)
{
        lease->slot = 0;
        lease_end(lease);
}

struct recovered *store_next_recovered(struct store *store)
{
        struct recovered *recovered = list_first(&store->recovered, struct recovered, link);

        if (recovered)
                list_unlink(&recovered->link);
        return recovered;
}

struct recovered *recovered_free(struct recovered *recovered)
{
        if (!recovered)
                return NULL;
        list_unlink(&recovered->link);
        tensor_unref(recovered->tensor);
        free(recovered);
        return NULL;
}

void lease_resume(struct lease *lease, const struct recovered *recovered)
{
        lease_begin(lease, recovered->tensor, &recovered->region, true);
        lease->slot = recovered->slot;
}

/* ---- torn regions ---- */

static void tensor_tear_set(struct tensor *tensor, bool is_torn)
{
        struct mutable *mutable = tensor->mutable;

        mutable->is_torn = is_torn;
        if (mutable->slot)
                ledger_set_state(&tensor->store->ledger, mutable->slot, mutable->version, is_torn);
}

/* Room to remember regions. false: their user may have no more memory, or there is none. */
static bool torn_make_room(struct tensor *tensor)
{
        struct mutable *mutable = tensor->mutable;
        const size_t n_bytes = TORN_MAX * sizeof(struct torn);

        if (mutable->torn)
                return mutable->n_torn < TORN_MAX;
        if (charge_take(&mutable->torn_charge, tensor->user, RESOURCE_WORKSPACE, n_bytes))
                return false;
        mutable->torn = malloc(n_bytes);
        if (!mutable->torn)
                charge_drop(&mutable->torn_charge);
        return mutable->torn;
}

static void torn_keep(struct mutable *mutable, uint32_t n)
{
        mutable->n_torn = n;
        if (n > 0)
                return;
        free(mutable->torn);
        mutable->torn = NULL;
        charge_drop(&mutable->torn_charge);
}

static void torn_forget(struct tensor *tensor)
{
        struct mutable *mutable = tensor->mutable;

        for (uint32_t i = 0; i < mutable->n_torn; i++)
                slot_give(tensor, mutable->torn[i].slot);
        torn_keep(mutable, 0);
}

static void tensor_mend(struct tensor *tensor, const struct overlap *part)
{
        struct mutable *mutable = tensor->mutable;
        struct overlap torn;
        uint32_t n = 0;

        if (mutable->is_torn) {
                overlap_init(&torn, &tensor->desc, &tensor->desc);
                if (overlap_is_covered(part, &torn))
                        tensor_tear_set(tensor, false);
        }
        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                overlap_init(&torn, &tensor->desc, &mutable->torn[i].region);
                if (overlap_is_covered(part, &torn))
                        slot_give(tensor, mutable->torn[i].slot);
                else
                        mutable->torn[n++] = mutable->torn[i];
        }
        torn_keep(mutable, n);
}

void lease_written(struct lease *lease)
{
        struct mutable *mutable = lease->tensor->mutable;

        tensor_mend(lease->tensor, &lease->part);
        mutable->version++;
        if (mutable->slot)
                ledger_set_state(&lease->tensor->store->ledger, mutable->slot, mutable->version,
                                 mutable->is_torn);
}

void tensor_tear_all(struct tensor *tensor)
{
        tensor_tear_set(tensor, true);
        torn_forget(tensor);
}

void tensor_tear_as(struct tensor *tensor, const struct desc *region, uint32_t slot)
{
        struct mutable *mutable = tensor->mutable;
        struct overlap part;

        overlap_init(&part, &tensor->desc, region);
        if (!part.is_empty && !mutable->is_torn) {
                tensor_mend(tensor, &part); /* it says all that those inside of it said */
                if (torn_make_room(tensor)) {
                        mutable->torn[mutable->n_torn++] = (struct torn){ .region = *region,
                                                                          .slot = slot };
                        return;
                }
                tensor_tear_all(tensor);
        }
        slot_give(tensor, slot);
}

void mutable_free(struct tensor *tensor)
{
        struct mutable *mutable = tensor->mutable;

        if (!mutable)
                return;
        torn_forget(tensor);
        slot_give(tensor, mutable->slot);
        charge_drop(&mutable->slots);
        free(mutable);
        tensor->mutable = NULL;
}

bool tensor_is_torn(const struct tensor *tensor)
{
        return tensor->mutable->is_torn || tensor->mutable->n_torn > 0;
}

const struct desc *tensor_torn(const struct tensor *tensor, const struct desc *region)
{
        const struct mutable *mutable = tensor->mutable;
        struct overlap part, torn;

        overlap_init(&part, &tensor->desc, region);
        if (mutable->is_torn && !part.is_empty)
                return &tensor->desc;
        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                overlap_init(&torn, &tensor->desc, &mutable->torn[i].region);
                if (overlap_is_possible(&part, &torn))
                        return &mutable->torn[i].region;
        }
        return NULL;
}
