/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * The ledger is shared: who takes many places in it leaves some for others, and pays for what the
 * daemon remembers of torn regions.
 */
#include "ledger_kit.h"

#define SLOTS 64
#define OTHER 1001

static struct store *shared(uint64_t slots, uint64_t workspace)
{
        struct quotas quotas = { .is_shared = true };

        quotas.all[RESOURCE_LEDGER] = slots;
        quotas.each[RESOURCE_WORKSPACE] = workspace;
        return kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                      .directory = kit_directory,
                                                      .limit = LIMIT,
                                                      .quotas = &quotas });
}

/* A mutable tensor of nothing. */
static int make_empty(struct store *store, struct user *user, struct tensor **tensorp)
{
        struct desc desc = kit_desc(0);
        int r;

        ck_assert_int_eq(tensor_new(tensorp, store, user, &desc, NULL, NULL, user), 0);
        r = tensor_set_mutable(*tensorp);
        if (r)
                *tensorp = tensor_unref(*tensorp);
        return r;
}

START_TEST(tensors_of_nothing_take_their_share)
{
        struct store *store = shared(SLOTS, 0);
        struct user *greedy = kit_user(store, OTHER), *user = kit_user(store, UID);
        struct tensor *tensors[SLOTS + 1], *tensor;
        struct lease leases[4];
        unsigned n = 0;

        while (n <= SLOTS && !make_empty(store, greedy, &tensors[n]))
                n++;
        ck_assert_uint_eq(n, SLOTS * 3 / 4);
        ck_assert_int_eq(make_empty(store, greedy, &tensors[n]), STORE_E_QUOTA);
        ck_assert_int_eq(store->users.refusal.resource, RESOURCE_LEDGER);
        ck_assert_uint_eq(greedy->used[RESOURCE_LEDGER], n);

        tensor = make(store, "m");
        for (unsigned i = 0; i < 4; i++)
                begin(&leases[i], tensor, i, i + 1, nonce);
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 5);
        lease_abandon(&leases[0]);
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 5);
        for (unsigned i = 1; i < 4; i++)
                lease_end(&leases[i]);
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 2);
        while (n-- > 0)
                tensor_unref(tensors[n]);
        ck_assert_uint_eq(greedy->used[RESOURCE_LEDGER], 0);
        user_unref(greedy);
        user_unref(user);
        store_free(store);

        /* It was theirs before: it is, whatever the limit. */
        store = shared(1, 0);
        user = kit_user(store, UID);
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 2);
        ck_assert_int_eq(make_empty(store, user, &tensor), STORE_E_QUOTA);
        user_unref(user);
        forget(store, "m");
}
END_TEST

/* A lease that its tensor's user has no place for. */
START_TEST(a_lease_beyond_it)
{
        struct store *store = shared(8, 0);
        struct tensor *tensor = make(store, "m");
        struct desc region = part(0, 1);
        struct lease leases[8];
        unsigned n;
        int r = 0;

        for (n = 0; n < 8 && !r; n++) {
                leases[n] = (struct lease){ .is_lasting = true };
                lease_begin(&leases[n], tensor, &region, true);
                r = lease_record(&leases[n], nonce);
                region.offset += 8;
        }
        ck_assert_int_eq(r, STORE_E_QUOTA);
        ck_assert_uint_eq(n, 6);
        ck_assert_uint_eq(tensor->user->used[RESOURCE_LEDGER], 6);
        while (n-- > 0)
                lease_end(&leases[n]);
        ck_assert_uint_eq(tensor->user->used[RESOURCE_LEDGER], 1);
        forget(store, "m");
}
END_TEST

/* Whose torn regions take all its places mends them. 0: regions, 1: all of it is torn */
START_TEST(what_is_torn_is_mended_beyond_it)
{
        struct store *store = shared(8, _i ? 100 : 0);
        struct tensor *tensor = make(store, "m");
        struct user *user = tensor->user;
        struct tensor *others[8];
        struct desc region = part(9, 10);
        struct lease lease, untorn = { .is_lasting = true };
        unsigned n = 0;

        for (unsigned i = 0; i < 2; i++) {
                begin(&lease, tensor, 2 * i, 2 * i + 2, nonce);
                lease_abandon(&lease);
        }
        while (!make_empty(store, user, &others[n]))
                n++;
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 6);
        lease_begin(&untorn, tensor, &region, true);
        ck_assert_int_eq(lease_record(&untorn, nonce), STORE_E_QUOTA);
        lease_end(&untorn);

        /* half of the first region, that one, both */
        for (unsigned i = 0; i < 3 && !_i; i++) {
                region = part(0, 1 << i);
                lease = (struct lease){ .is_lasting = true };
                lease_begin(&lease, tensor, &region, true);
                ck_assert_int_eq(lease_record(&lease, nonce), i == 0 ? STORE_E_QUOTA : 0);
                ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 6 + (i > 0));
                lease_end(&lease);
        }
        begin(&lease, tensor, 0, N, nonce);
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], 7);
        end_written(&lease);
        ck_assert(!tensor_is_torn(tensor));
        ck_assert_uint_eq(user->used[RESOURCE_LEDGER], _i ? 6 : 4);
        while (n-- > 0)
                tensor_unref(others[n]);
        forget(store, "m");
}
END_TEST

/* 0: regions are remembered, 1: there is no memory for them, so all is torn */
START_TEST(torn_regions_are_paid_for)
{
        struct store *store = shared(SLOTS, _i ? 100 : 0);
        struct tensor *tensor = make(store, "m");
        struct lease lease;

        ck_assert_ptr_null(tensor->mutable->torn);
        for (unsigned i = 0; i < 3; i++) {
                begin(&lease, tensor, 10 * i, 10 * i + 5, nonce);
                lease_abandon(&lease);
        }
        ck_assert(is_torn(tensor, 0, 1) && tensor_is_torn(tensor));
        ck_assert_int_eq(is_torn(tensor, N - 1, N), _i);
        ck_assert_uint_eq(tensor->user->used[RESOURCE_WORKSPACE],
                          _i ? 0 : TORN_MAX * sizeof(struct torn));
        ck_assert_uint_eq(tensor->user->used[RESOURCE_LEDGER], _i ? 1 : 4);
        begin(&lease, tensor, 0, N, nonce);
        end_written(&lease);
        ck_assert(!tensor_is_torn(tensor));
        ck_assert_ptr_null(tensor->mutable->torn);
        ck_assert_uint_eq(tensor->user->used[RESOURCE_WORKSPACE], 0);
        ck_assert_uint_eq(tensor->user->used[RESOURCE_LEDGER], 1);
        forget(store, "m");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("ledger_shares");
        TCase *tcase = tcase_create("ledger_shares");

        tcase_add_test(tcase, tensors_of_nothing_take_their_share);
        tcase_add_test(tcase, a_lease_beyond_it);
        tcase_add_loop_test(tcase, what_is_torn_is_mended_beyond_it, 0, 2);
        tcase_add_loop_test(tcase, torn_regions_are_paid_for, 0, 2);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
