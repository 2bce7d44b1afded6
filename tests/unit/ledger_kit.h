/* SPDX-License-Identifier: MIT */
/*
 * Kit for tests of the ledger: a mutable tensor of N numbers under a name, and leases of parts of
 * it.
 */
#pragma once

#include "store_kit.h"

#include "store/lease.h"

#define LIMIT (64 * KIT_MIB)
#define UID 1000
#define N 4096 /* elements of the tensor */

__attribute__((unused)) static const uint8_t nonce[16] = "the first nonce",
                                             other_nonce[16] = "another nonce..";

__attribute__((unused)) static struct desc part(int64_t first, int64_t last)
{
        struct desc region = kit_desc(last - first);

        region.offset = first * 8;
        return region;
}

__attribute__((unused)) static struct tensor *make(struct store *store, const char *name)
{
        struct user *user = kit_user(store, UID);
        struct segment *segment = kit_segment(store, user, NULL, N * 8);
        struct desc desc = kit_desc(N);
        struct tensor *tensor;

        if (tensor_new(&tensor, store, user, &desc, segment, NULL, user) ||
            tensor_set_mutable(tensor) || tensor_seal(tensor) ||
            kit_name(store, tensor_ref(tensor), name, NULL))
                _exit(9);
        tensor_unref(tensor);
        user_unref(user);
        return tensor;
}

__attribute__((unused)) static struct tensor *find(struct store *store, const char *name)
{
        struct tensor *tensor;

        ck_assert_int_eq(store_find(store, UID, name, &tensor), 0);
        ck_assert_ptr_nonnull(tensor->mutable);
        return tensor;
}

__attribute__((unused)) static void begin(struct lease *lease, struct tensor *tensor, int64_t first,
                                          int64_t last, const uint8_t *with)
{
        struct desc region = part(first, last);

        *lease = (struct lease){ .is_lasting = true };
        lease_begin(lease, tensor, &region, true);
        if (lease_record(lease, with))
                _exit(10);
}

__attribute__((unused)) static void end_written(struct lease *lease)
{
        lease_written(lease);
        lease_end(lease);
}

__attribute__((unused)) static void forget(struct store *store, const char *name)
{
        ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        kit_check(store);
        store_free(store);
        ck_assert_uint_eq(kit_files("", NULL), 0);
}

__attribute__((unused)) static bool is_torn(const struct tensor *tensor, int64_t first,
                                            int64_t last)
{
        struct desc region = part(first, last);

        return tensor_torn(tensor, &region) != NULL;
}
