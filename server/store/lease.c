/* SPDX-License-Identifier: MIT */
#include "store/lease.h"

#include <assert.h>
#include <string.h>

#include "store/state.h"
#include "tensor/overlap.h"

/* ---- leases ---- */

static bool leases_conflict(const struct lease *a, const struct lease *b)
{
        if ((!a->is_write && !b->is_write) || (a->owner && a->owner == b->owner))
                return false;
        return overlap_is_possible(&a->tensor->desc, &a->region, &b->region);
}

void lease_begin(struct lease *lease, struct tensor *tensor, const struct desc *region,
                 bool is_write)
{
        struct list *leases = &tensor->mutable->leases;
        struct lease *earlier;

        assert(tensor->state == TENSOR_MUTABLE);
        lease->tensor = tensor_ref(tensor);
        lease->region = *region;
        lease->is_write = is_write;
        lease->n_blockers = 0;
        lease->may_last = false;
        list_for_each (earlier, leases, link) {
                if (!leases_conflict(lease, earlier))
                        continue;
                lease->n_blockers++;
                lease->may_last |= earlier->is_lasting || earlier->may_last;
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

/* ---- torn regions ---- */

static void tensor_mend(struct tensor *tensor, const struct desc *region)
{
        struct mutable *mutable = tensor->mutable;
        uint32_t n = 0;

        for (uint32_t i = 0; i < mutable->n_torn; i++)
                if (!overlap_is_covered(&tensor->desc, region, &mutable->torn[i]))
                        mutable->torn[n++] = mutable->torn[i];
        mutable->n_torn = n;
}

void lease_written(struct lease *lease)
{
        tensor_mend(lease->tensor, &lease->region);
        lease->tensor->mutable->version++;
}

void tensor_tear(struct tensor *tensor, const struct desc *region)
{
        struct mutable *mutable = tensor->mutable;

        if (desc_n_elements(region) == 0)
                return;
        tensor_mend(tensor, region); /* it says all that those inside of it said */
        if (mutable->n_torn < TORN_MAX) {
                mutable->torn[mutable->n_torn++] = *region;
                return;
        }
        mutable->torn[0] = tensor->desc;
        mutable->n_torn = 1;
}

const struct desc *tensor_torn(const struct tensor *tensor, const struct desc *region)
{
        const struct mutable *mutable = tensor->mutable;

        for (uint32_t i = 0; i < mutable->n_torn; i++)
                if (overlap_is_possible(&tensor->desc, region, &mutable->torn[i]))
                        return &mutable->torn[i];
        return NULL;
}
