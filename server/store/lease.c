/* SPDX-License-Identifier: MIT */
#include "store/lease.h"

#include <assert.h>
#include <string.h>

#include "store/state.h"

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

static void tensor_mend(struct tensor *tensor, const struct overlap *part)
{
        struct mutable *mutable = tensor->mutable;
        uint32_t n = 0;

        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                struct overlap torn;

                overlap_init(&torn, &tensor->desc, &mutable->torn[i]);
                if (!overlap_is_covered(part, &torn))
                        mutable->torn[n++] = mutable->torn[i];
        }
        mutable->n_torn = n;
}

void lease_written(struct lease *lease)
{
        tensor_mend(lease->tensor, &lease->part);
        lease->tensor->mutable->version++;
}

void tensor_tear(struct tensor *tensor, const struct desc *region)
{
        struct mutable *mutable = tensor->mutable;
        struct overlap part;

        overlap_init(&part, &tensor->desc, region);
        if (part.is_empty)
                return;
        tensor_mend(tensor, &part); /* it says all that those inside of it said */
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
        struct overlap part, torn;

        overlap_init(&part, &tensor->desc, region);
        for (uint32_t i = 0; i < mutable->n_torn; i++) {
                overlap_init(&torn, &tensor->desc, &mutable->torn[i]);
                if (overlap_is_possible(&part, &torn))
                        return &mutable->torn[i];
        }
        return NULL;
}
