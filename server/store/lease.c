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

/* ---- leases ---- */

static bool leases_conflict(const struct lease *a, const struct lease *b)
{
        if ((!a->is_write && !b->is_write) || (a->owner && a->owner == b->owner))
                return false;
        return overlap_is_possible(&a->part, &b->part);
}

void lease_begin(struct lease *lease, struct tensor *tensor, const struct desc *region,
                 bool is_write)
{
        struct list *leases = &tensor->mutable->leases;
        struct lease *earlier;

        assert(tensor->state == TENSOR_MUTABLE);
        lease->tensor = tensor_ref(tensor);
        lease->region = *region;
        overlap_init(&lease->part, &tensor->desc, region);
        lease->is_write = is_write;
        lease->n_blockers = 0;
        lease->may_last = false;
        list_for_each (earlier, leases, link) {
                if (!leases_conflict(lease, earlier))
                        continue;
                lease->n_blockers++;
                lease->may_last |= earlier->is_lasting ||
                                   (earlier->n_blockers > 0 && earlier->may_last);
        }
        list_push_back(leases, &lease->link);
        tensor->mutable->n_leases++;
}

void lease_end(struct lease *lease)
{
        struct tensor *tensor = lease->tensor;
        struct lease *later, *next;

        if (!tensor)
                return;
        if (lease->slot)
                ledger_give(&tensor->store->ledger, lease->slot);
        lease->slot = 0;
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

/* ---- in the ledger ---- */

int ledger_make_free(struct store *store)
{
        struct ledger *ledger = &store->ledger;
        int r;

        if (ledger_has_free(ledger))
                return 0;
        r = memory_relieve(store, NULL, ledger->n_bytes, true);
        if (r)
                return r;
        r = ledger_grow(ledger, store->self);
        return r == LEDGER_E_LIMIT ? STORE_E_LIMIT : r == LEDGER_E_FULL ? STORE_E_FULL : r;
}

int lease_record(struct lease *lease, const uint8_t *nonce)
{
        struct store *store = lease->tensor->store;
        struct ledger_entry entry = { .region = lease->region };
        int r;

        assert(lease->is_write);
        if (lease->slot || lease->part.is_empty)
                return 0;
        r = ledger_make_free(store);
        if (r)
                return r;
        memcpy(entry.tensor_id, lease->tensor->id, sizeof(entry.tensor_id));
        if (nonce)
                memcpy(entry.nonce, nonce, sizeof(entry.nonce));
        lease->slot = ledger_take(&store->ledger, &entry);
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

static void tensor_give_torn(struct tensor *tensor, uint32_t i)
{
        struct mutable *mutable = tensor->mutable;

        if (mutable->torn_slots[i]) {
                ledger_give(&tensor->store->ledger, mutable->torn_slots[i]);
        } else if (mutable->is_torn) {
                mutable->is_torn = false;
                if (mutable->slot)
                        ledger_set_state(&tensor->store->ledger, mutable->slot, mutable->version,
                                         false);
        }
}

static void tensor_mend(struct tensor *tensor, const struct overlap *part)
{
        struct mutable *mutable = tensor->mutable;
        uint32_t n = 0;

        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                struct overlap torn;

                overlap_init(&torn, &tensor->desc, &mutable->torn[i]);
                if (overlap_is_covered(part, &torn)) {
                        tensor_give_torn(tensor, i);
                        continue;
                }
                mutable->torn[n] = mutable->torn[i];
                mutable->torn_slots[n++] = mutable->torn_slots[i];
        }
        mutable->n_torn = n;
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
        struct mutable *mutable = tensor->mutable;

        if (mutable->slot)
                ledger_set_state(&tensor->store->ledger, mutable->slot, mutable->version, true);
        for (uint32_t i = 0; i < mutable->n_torn; i++)
                if (mutable->torn_slots[i])
                        ledger_give(&tensor->store->ledger, mutable->torn_slots[i]);
        mutable->is_torn = true;
        mutable->torn[0] = tensor->desc;
        mutable->torn_slots[0] = 0;
        mutable->n_torn = 1;
}

void tensor_tear_as(struct tensor *tensor, const struct desc *region, uint32_t slot)
{
        struct mutable *mutable = tensor->mutable;
        struct overlap part;

        overlap_init(&part, &tensor->desc, region);
        if (!part.is_empty) {
                tensor_mend(tensor, &part); /* it says all that those inside of it said */
                if (mutable->n_torn < TORN_MAX) {
                        mutable->torn_slots[mutable->n_torn] = slot;
                        mutable->torn[mutable->n_torn++] = *region;
                        return;
                }
                tensor_tear_all(tensor);
        }
        if (slot)
                ledger_give(&tensor->store->ledger, slot);
}

void mutable_free(struct tensor *tensor)
{
        struct mutable *mutable = tensor->mutable;

        if (!mutable)
                return;
        for (uint32_t i = 0; i < mutable->n_torn; i++)
                if (mutable->torn_slots[i])
                        ledger_give(&tensor->store->ledger, mutable->torn_slots[i]);
        if (mutable->slot)
                ledger_give(&tensor->store->ledger, mutable->slot);
        free(mutable);
        tensor->mutable = NULL;
}

const struct desc *tensor_torn(const struct tensor *tensor, const struct desc *region)
{
        const struct mutable *mutable = tensor->mutable;
        struct overlap part, torn;

        overlap_init(&part, &tensor->desc, region);
        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                overlap_init(&torn, &tensor->desc, &mutable->torn[i]);
                if (overlap_is_possible(&part, &torn))
                        return &mutable->torn[i];
        }
        return NULL;
}
