/* SPDX-License-Identifier: MIT */
/*
 * Tensors
 *
 * A descriptor, an owner, and the bytes: in a segment, in the heap, or in both (a promoted one,
 * where the heap counts). A tensor lives while it is referenced; a name is one of the references.
 *
 * Loop thread only.
 */
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "store/npy.h"
#include "store/unused.h"

static_assert(sizeof(struct tensor) + sizeof(struct mutable) <= 1024,
              "one of the tensors that a user may have is so large");

static int tensor_make(struct tensor **tensorp, struct store *store, struct user *user,
                       const struct desc *desc, const void *data, const uint8_t id[16],
                       struct charge *charge, struct charge *counted)
{
        uint64_t n_heap = data ? (uint64_t)desc_n_bytes(desc) : 0;
        struct tensor *tensor = calloc(1, sizeof(*tensor) + n_heap);

        if (!tensor)
                return -ENOMEM;

        if (n_heap > 0) {
                tensor->heap = tensor->bytes;
                memcpy(tensor->heap, data, n_heap);
        }
        memcpy(tensor->id, id, sizeof(tensor->id));
        HASH_ADD(hh, store->tensors, id, sizeof(tensor->id), tensor);
        if (!table_has(tensor)) {
                free(tensor);
                return -ENOMEM;
        }
        tensor->store = store;
        list_init(&tensor->stakes);
        list_init(&tensor->unused_link);
        tensor->n_refs = 1;
        tensor->state = TENSOR_SEALED;
        tensor->user = user_ref(user);
        tensor->desc = *desc;
        charge_move(&tensor->charge, charge);
        charge_move(&tensor->counted, counted);
        store->n_heap_bytes += tensor->charge.n;
        *tensorp = tensor;
        return 0;
}

int tensor_new(struct tensor **tensorp, struct store *store, struct user *user,
               const struct desc *desc, struct segment *segment, const void *data,
               const void *creator)
{
        struct prepaid one = { .store = NULL };
        uint64_t n_heap = segment ? 0 : (uint64_t)desc_n_bytes(desc);
        int r;

        r = outcome_of_charge(charge_take(&one.tensors, user, RESOURCE_TENSORS, 1),
                              RESOURCE_TENSORS);
        /* So little is not worth to wait for a worker. */
        if (!r && n_heap > 0)
                r = prepaid_grow(store, &one, user, n_heap, true);
        if (r)
                segment_unref(segment);
        else
                r = tensor_new_prepaid(tensorp, store, user, desc, segment, data, creator, &one);
        charge_drop(&one.tensors);
        prepaid_give_back(&one);
        return r;
}

int tensor_new_prepaid(struct tensor **tensorp, struct store *store, struct user *user,
                       const struct desc *desc, struct segment *segment, const void *data,
                       const void *creator, struct prepaid *prepaid)
{
        _cleanup_(segment_unrefp) struct segment *owned = segment;
        uint64_t n_bytes = (uint64_t)desc_n_bytes(desc);
        struct charge charge = { 0 }, counted = { 0 };
        uint8_t id[16];
        int r;

        assert(desc->offset == 0);
        assert(segment ? n_bytes <= segment_n_bytes(segment)
                       : n_bytes == 0 || (data && n_bytes <= TD_INLINE_MAX));
        r = store_random(store, id);
        if (r)
                return r;
        if (!segment && n_bytes > 0) {
                charge_split(&charge, &prepaid->bytes, n_bytes);
                store->n_heap_bytes -= n_bytes; /* until it is a tensor's */
        }
        charge_split(&counted, &prepaid->tensors, 1);
        r = tensor_make(tensorp, store, user, desc, segment ? NULL : data, id, &charge, &counted);
        if (r) {
                charge_drop(&charge);
                charge_drop(&counted);
                return r;
        }
        (*tensorp)->segment = steal_ptr(&owned);
        if (creator) {
                (*tensorp)->state = TENSOR_UNSEALED;
                (*tensorp)->creator = creator;
        }
        return 0;
}

int tensor_make_mutable(struct tensor *tensor)
{
        struct mutable *mutable = calloc(1, sizeof(*mutable));

        assert(!tensor->mutable && tensor->n_refs == 1);
        if (!mutable)
                return -ENOMEM;
        list_init(&mutable->leases);
        tensor->mutable = mutable;
        if (tensor->state == TENSOR_SEALED)
                tensor->state = TENSOR_MUTABLE;
        return 0;
}

int tensor_enter(struct tensor *tensor)
{
        struct ledger *ledger = &tensor->store->ledger;
        struct mutable *mutable = tensor->mutable;
        struct ledger_entry entry = { 0 };
        int r;

        r = slot_put(tensor, &entry, &mutable->slot);
        if (r)
                return r;
        ledger_set_state(ledger, mutable->slot, mutable->version, mutable->is_torn);
        ledger_mark(ledger, mutable->slot, LEDGER_STATE);
        return 0;
}

int tensor_set_mutable(struct tensor *tensor)
{
        int r = tensor_make_mutable(tensor);

        if (!r)
                r = slot_charge(tensor);
        return r ? r : tensor_enter(tensor);
}

int tensor_adopt(struct tensor **tensorp, struct store *store, struct user *user,
                 const struct desc *desc, struct segment *segment, struct spilled *spilled,
                 const void *data, const uint8_t id[16])
{
        bool is_heap = !segment && !spilled;
        uint64_t n_bytes = (uint64_t)desc_n_bytes(desc);
        struct charge charge = { 0 }, counted = { 0 };
        int r;

        if (is_heap && n_bytes > 0)
                charge_adopt(&charge, user, RESOURCE_BYTES, n_bytes);
        charge_adopt(&counted, user, RESOURCE_TENSORS, 1);
        r = tensor_make(tensorp, store, user, desc, is_heap ? data : NULL, id, &charge, &counted);
        if (r) {
                charge_drop(&charge);
                charge_drop(&counted);
                spilled_free(spilled);
                return r;
        }
        (*tensorp)->segment = segment;
        (*tensorp)->spilled = spilled;
        return 0;
}

int tensor_new_instead(struct tensor **tensorp, struct store *store, struct user *user,
                       const struct desc *desc, const void *data, const struct tensor *before)
{
        uint64_t n_bytes = (uint64_t)desc_n_bytes(desc), n_before = before ? before->charge.n : 0;
        uint8_t id[16];
        int r;

        assert(desc->offset == 0 && (n_bytes == 0 || (data && n_bytes <= TD_INLINE_MAX)));
        r = outcome_of_charge(user_may_take(user, RESOURCE_TENSORS, before ? 0 : 1),
                              RESOURCE_TENSORS);
        if (!r && n_bytes > n_before)
                r = memory_relieve(store, user, n_bytes - n_before, false);
        if (!r)
                r = store_random(store, id);
        return r ? r : tensor_adopt(tensorp, store, user, desc, NULL, NULL, data, id);
}

struct tensor *tensor_ref(struct tensor *tensor)
{
        assert(tensor->n_refs > 0);
        tensor->n_refs++;
        if (tensor->name)
                unused_update(tensor);
        return tensor;
}

struct tensor *tensor_unref(struct tensor *tensor)
{
        struct store *store;
        struct user *user;
        bool has_heap;

        if (!tensor)
                return NULL;
        assert(tensor->n_refs > 0);
        if (--tensor->n_refs > 0) {
                if (tensor->name)
                        unused_update(tensor);
                return NULL;
        }
        assert(list_is_empty(&tensor->stakes));
        assert(!tensor->name && (!tensor->mutable || list_is_empty(&tensor->mutable->leases)));
        mutable_free(tensor);
        store = tensor->store;
        has_heap = tensor->charge.n > 0;
        HASH_DEL(store->tensors, tensor);
        store->n_heap_bytes -= tensor->charge.n;
        charge_drop(&tensor->charge);
        charge_drop(&tensor->counted);
        segment_unref(tensor->segment);
        if (tensor->spilled)
                spill_drop(tensor);
        user = tensor->user;
        free(tensor);
        user_unref(user);
        if (has_heap)
                memory_freed(store);
        return NULL;
}

const char *tensor_name(const struct tensor *tensor)
{
        return tensor->name ? name_text(tensor->name) : NULL;
}

/* ---- publishing ---- */

/* r: what a look at the segment, or a write to its file, said. */
static int segment_outcome(struct segment *segment, int r)
{
        if (r == SEGMENT_E_CHANGED)
                atomic_store(&segment->is_poisoned, true);
        if (r < 0)
                return r;
        return segment_is_poisoned(segment) ? STORE_E_POISONED : 0;
}

int tensor_publish(const struct tensor *tensor, struct segment *segment)
{
        uint8_t header[TD_HEADER_BYTES];
        int r;

        r = segment_verify(segment);
        if (!r) {
                npy_write(header, &tensor->desc);
                r = segment_write_header(segment, header);
        }
        return segment_outcome(segment, r);
}

int tensor_audit(const struct tensor *tensor)
{
        struct segment *segment = tensor->segment;

        return segment ? segment_outcome(segment, segment_verify(segment)) : 0;
}

int tensor_seal(struct tensor *tensor)
{
        int r = 0;

        if (tensor->segment)
                r = tensor_publish(tensor, tensor->segment);
        if (r)
                return r;
        tensor->state = tensor->mutable ? TENSOR_MUTABLE : TENSOR_SEALED;
        tensor->creator = NULL;
        if (tensor->segment)
                tensor->segment->is_sealed = tensor->state == TENSOR_SEALED;
        return 0;
}

void tensor_unseal(struct tensor *tensor, const void *creator)
{
        assert(tensor->state != TENSOR_UNSEALED && !tensor->name);
        tensor->state = TENSOR_UNSEALED;
        tensor->creator = creator;
        if (tensor->segment)
                tensor->segment->is_sealed = false;
}

bool tensor_is_shared(const struct tensor *tensor)
{
        return tensor->name && tensor->name->shown;
}

bool tensor_is_frozen(const struct tensor *tensor)
{
        return tensor->heap || !tensor->segment || !tensor->segment->was_writable;
}

int tensor_freeze(const struct tensor *tensor, struct segment *segment)
{
        int r;

        assert(tensor->state == TENSOR_SEALED && !tensor->heap);
        r = segment_freeze(segment);
        if (r)
                return r == SEGMENT_E_HELD ? STORE_E_WRITABLE : r;
        /* Whatever was done to the file and its header, it is the last. */
        return tensor_publish(tensor, segment);
}

int tensor_copy(const struct tensor *tensor, struct segment *from, struct segment *to,
                bool is_ready, unsigned *n_pinnedp)
{
        int r = is_ready ? 0 : segment_allocate(to);

        *n_pinnedp = 0;
        if (!r)
                r = segment_pin(from);
        if (r)
                return r;
        ++*n_pinnedp;
        r = segment_pin(to);
        if (r)
                return r;
        ++*n_pinnedp;
        memcpy(segment_data(to), segment_data(from), tensor_n_bytes(tensor));
        return segment_is_poisoned(from) ? STORE_E_POISONED : tensor_publish(tensor, to);
}

int tensor_promote(struct tensor *tensor, struct segment *segment)
{
        _cleanup_(segment_unrefp) struct segment *owned = segment;
        int r;

        assert(tensor->heap && !tensor->segment &&
               tensor_n_bytes(tensor) <= segment_n_bytes(segment));
        r = segment_pin(segment);
        if (r)
                return r;
        memcpy(segment_data(segment), tensor->heap, tensor_n_bytes(tensor));
        segment_unpin(segment);
        r = tensor_publish(tensor, segment);
        if (r)
                return r;
        tensor->segment = steal_ptr(&owned);
        return 0;
}

/* ---- finding ---- */

int store_find_id(struct store *store, uid_t uid, const uint8_t id[16], struct tensor **tensorp)
{
        struct tensor *tensor;

        HASH_FIND(hh, store->tensors, id, sizeof(tensor->id), tensor);
        if (!tensor || tensor->is_taken || (tensor->user->uid != uid && !tensor_is_shared(tensor)))
                return STORE_E_NOT_FOUND;
        *tensorp = tensor;
        return 0;
}
