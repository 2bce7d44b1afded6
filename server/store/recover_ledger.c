/* SPDX-License-Identifier: MIT */
/*
 * Recovery of the ledger
 *
 * Once the names are there: versions and torn regions go back to their mutable tensors, leases wait
 * for whoever has their nonce, and what speaks of tensors that ended is given up. Where the ledger
 * is missing or damaged nobody knows what was being written: then all of every mutable tensor is
 * torn, and a new ledger says so before it takes the place of the old one. Killed anywhere, all of
 * this can be begun anew.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/lease.h"
#include "store/state.h"

/*
 * A version that is not known goes on where one that counted so many writes in each millisecond
 * since the machine started would be: each takes two requests, so none is there already.
 */
#define WRITES_PER_MS 512

static_assert(UINT64_C(8) * 366 * 24 * 3600 * 1000 * WRITES_PER_MS < LEDGER_VERSIONS,
              "the machine may be up for years");

static int recovered_add(struct store *store, struct tensor *tensor, uint32_t slot,
                         const struct ledger_entry *entry)
{
        struct recovered *recovered = calloc(1, sizeof(*recovered));

        if (!recovered)
                return -ENOMEM;
        recovered->tensor = tensor_ref(tensor);
        recovered->region = entry->region;
        recovered->slot = slot;
        memcpy(recovered->nonce, entry->nonce, sizeof(recovered->nonce));
        list_push_back(&store->recovered, &recovered->link);
        return 0;
}

/* It has passed its check, and is held against its tensor all the same. */
static bool region_is_possible(const struct tensor *tensor, const struct desc *region)
{
        const struct td_type *type = &region->type;
        int64_t n_item = td_dtype_size(tensor->desc.type.dtype);

        if (type->dtype != tensor->desc.type.dtype || region->offset % n_item)
                return false;
        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] < 0 || region->strides[i] % n_item)
                        return false;
        return !desc_check(region, tensor_n_bytes(tensor));
}

static int on_slot(void *ctx, uint32_t slot, enum ledger_kind kind,
                   const struct ledger_entry *entry)
{
        struct store *store = ctx;
        struct mutable *mutable;
        struct tensor *tensor;
        bool is_torn;

        HASH_FIND(hh, store->tensors, entry->tensor_id, sizeof(entry->tensor_id), tensor);
        mutable = tensor ? tensor->mutable : NULL;
        if (!mutable || (kind == LEDGER_STATE && mutable->slot)) {
                ledger_give(&store->ledger, slot);
        } else if (kind == LEDGER_STATE) {
                mutable->slot = slot;
                slot_adopt(tensor);
                ledger_state(&store->ledger, slot, &mutable->version, &is_torn);
                /* what an earlier slot said may have torn it, too */
                if (is_torn || mutable->is_torn)
                        tensor_tear_all(tensor);
        } else if (!region_is_possible(tensor, &entry->region)) {
                tensor_tear_all(tensor);
                ledger_give(&store->ledger, slot);
        } else if (kind == LEDGER_LEASE) {
                slot_adopt(tensor);
                return recovered_add(store, tensor, slot, entry);
        } else {
                slot_adopt(tensor);
                tensor_tear_as(tensor, &entry->region, slot);
        }
        return 0;
}

/* Of those that the ledger does not know; is_known: it should, so all of them is torn. */
static int enter_all(struct store *store, bool is_known)
{
        struct tensor *tensor, *next;
        int r = 0;

        HASH_ITER (hh, store->tensors, tensor, next) {
                struct mutable *mutable = tensor->mutable;

                if (!mutable || mutable->slot)
                        continue;
                if (is_known) {
                        /* No version that it ever had comes again. */
                        mutable->version = clock_now_ms() * WRITES_PER_MS;
                        tensor_tear_all(tensor);
                }
                slot_adopt(tensor);
                r = tensor_enter(tensor);
                if (r)
                        return r;
        }
        return 0;
}

int recover_ledger(struct store *store, bool is_known, char message[256])
{
        struct ledger *ledger = &store->ledger;
        bool is_new;
        int r;

        r = ledger_open(ledger, &store->shm, store->self);
        is_new = r > 0;
        if (is_new && store->n_named == 0)
                is_known = false;
        if (is_new && is_known)
                log_warning("the ledger of %s is %s: what was being written is not known, and all "
                            "mutable tensors are torn",
                            store->shm.prefix, r == LEDGER_E_ABSENT ? "missing" : "damaged");
        if (is_new)
                r = ledger_create(ledger, &store->shm, store->self);
        else if (!r)
                r = ledger_walk(ledger, on_slot, store);
        if (!r)
                r = enter_all(store, is_known);
        if (!r && is_new)
                r = ledger_install(ledger);
        if (r > 0) {
                snprintf(message, 256, "there is no room for the ledger, in %s or under the limit",
                         store->config.directory);
                return STORE_E_FULL;
        }
        return r;
}
