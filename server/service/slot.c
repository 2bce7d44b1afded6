/* SPDX-License-Identifier: MIT */
#include "service/slot.h"

#include <assert.h>
#include <errno.h>

#include "base/error.h"

struct slot *slot_find(struct slot *table, uint64_t handle)
{
        struct slot *slot;

        HASH_FIND(hh, table, &handle, sizeof(handle), slot);
        return slot;
}

int slot_new(struct slot **slotp, struct slot **table, uint64_t handle)
{
        struct slot *slot = calloc(1, sizeof(*slot));

        if (!slot)
                return error_origin(-ENOMEM);
        assert(!slot_find(*table, handle));
        slot->n_refs = 2;
        slot->handle = handle;
        slot->table = table;
        list_init(&slot->waits);
        HASH_ADD(hh, *table, handle, sizeof(slot->handle), slot);
        *slotp = slot;
        return 0;
}

struct slot *slot_ref(struct slot *slot)
{
        slot->n_refs++;
        return slot;
}

struct slot *slot_unref(struct slot *slot)
{
        if (!slot || --slot->n_refs > 0)
                return NULL;
        assert(list_is_empty(&slot->waits));
        assert(!slot->table);
        reservation_free(slot->reservation);
        tensor_unref(slot->tensor);
        free(slot->failure);
        free(slot);
        return NULL;
}

void slot_unlink(struct slot *slot)
{
        assert(slot->table);
        HASH_DELETE(hh, *slot->table, slot);
        slot->table = NULL;
        slot_unref(slot);
}
