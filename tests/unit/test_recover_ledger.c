/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Ledgers that say what cannot be, though every check of theirs is right: nothing is read as whole
 * that may not be, and the next start finds no more of it.
 */
#include "store/lease.h"
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)
#define UID 1000
#define N 1024 /* elements of a tensor */

static void make(struct store *store, const char *name)
{
        struct user *user = kit_user(store, UID);
        struct segment *segment = kit_segment(store, user, NULL, N * 8);
        struct desc desc = kit_desc(N);
        struct tensor *tensor;

        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, NULL), 0);
        ck_assert_int_eq(tensor_set_mutable(tensor), 0);
        ck_assert_int_eq(tensor_seal(tensor), 0);
        ck_assert_int_eq(kit_name(store, tensor, name, NULL), 0);
        user_unref(user);
}

static struct tensor *find(struct store *store, const char *name)
{
        struct tensor *tensor;

        ck_assert_int_eq(store_find(store, UID, name, &tensor), 0);
        return tensor;
}

static uint32_t say(struct store *store, enum ledger_kind kind, const struct desc *region)
{
        struct ledger_entry entry = { .region = *region };
        uint32_t slot;

        memcpy(entry.tensor_id, find(store, "m")->id, sizeof(entry.tensor_id));
        slot = ledger_take(&store->ledger, &entry);
        ledger_mark(&store->ledger, slot, kind);
        return slot;
}

static bool is_torn(struct store *store, int64_t first, int64_t last)
{
        struct desc region = kit_desc(last - first);

        region.offset = first * 8;
        return tensor_torn(find(store, "m"), &region) != NULL;
}

static void forget(struct store *store)
{
        kit_delete_all(store, UID);
        kit_check(store);
        kit_forget(store, UID);
}

/* Of another dtype, beside elements, of a negative extent, beyond: as a lease, and as torn. */
START_TEST(regions_that_cannot_be)
{
        struct desc region = kit_desc(4);
        struct store *store = kit_store(LIMIT);

        make(store, "m");
        switch (_i / 2) {
        case 0:
                region.type.dtype = TD_INT64;
                break;
        case 1:
                region.offset = 4;
                break;
        case 2:
                region.type.shape[0] = -1;
                break;
        case 3:
                region.strides[0] = 12;
                break;
        default:
                region.offset = N * 8 - 16;
        }
        say(store, _i % 2 ? LEDGER_TORN : LEDGER_LEASE, &region);
        store_free(store);
        for (unsigned turn = 0; turn < 2; turn++) {
                store = kit_store(LIMIT);
                ck_assert(is_torn(store, 0, 1) && is_torn(store, N - 1, N));
                ck_assert(list_is_empty(&store->recovered));
                if (turn == 0)
                        store_free(store);
        }
        forget(store);
}
END_TEST

/* What is torn stays so, whether its slot stands before its tensor's state or behind it. */
START_TEST(order_of_slots)
{
        struct desc region = kit_desc(4), beyond = kit_desc(N + 1);
        struct store *store = kit_store(LIMIT);
        struct tensor *tensor;
        uint32_t slot;

        make(store, "m");
        tensor = find(store, "m");
        ledger_give(&store->ledger, tensor->mutable->slot);
        slot = say(store, LEDGER_TORN, _i ? &beyond : &region);
        tensor->mutable->slot = say(store, LEDGER_STATE, &region);
        ck_assert_uint_lt(slot, tensor->mutable->slot);
        ledger_set_state(&store->ledger, tensor->mutable->slot, 7, false);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert(is_torn(store, 0, 1));
        ck_assert_int_eq(is_torn(store, 5, 6), _i);
        ck_assert_uint_eq(find(store, "m")->mutable->version, 7);
        forget(store);
}
END_TEST

/* The first counts, the other is given up. */
START_TEST(two_states_of_a_tensor)
{
        struct desc region = kit_desc(1);
        struct store *store = kit_store(LIMIT);
        uint32_t slot;

        make(store, "m");
        ledger_set_state(&store->ledger, find(store, "m")->mutable->slot, 7, false);
        slot = say(store, LEDGER_STATE, &region);
        ck_assert_uint_gt(slot, find(store, "m")->mutable->slot);
        ledger_set_state(&store->ledger, slot, 9, true);
        store_free(store);
        for (unsigned turn = 0; turn < 2; turn++) {
                store = kit_store(LIMIT);
                ck_assert_uint_eq(find(store, "m")->mutable->version, 7);
                ck_assert(!is_torn(store, 0, N));
                if (turn == 0)
                        store_free(store);
        }
        forget(store);
}
END_TEST

/* A new ledger does not fit under the limit: refused with a word, and nothing was changed. */
START_TEST(no_room_for_a_new_one)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = 1 };
        struct store *store = kit_store(LIMIT);
        char path[200], name[16], message[256];
        uint64_t before = 0, after = 0;
        unsigned n_files;

        for (unsigned i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "m%u", i);
                make(store, name);
        }
        make(store, "m");
        ck_assert_uint_gt(store->ledger.n_bytes, LEDGER_MIN);
        store_free(store);
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".ledger", kit_directory);
        ck_assert_int_eq(unlink(path), 0);
        n_files = kit_files("", &before);
        store = NULL;
        ck_assert_int_eq(store_new(&store, &config, message), STORE_E_FULL);
        ck_assert_ptr_null(store);
        ck_assert_ptr_nonnull(strstr(message, "no room for the ledger"));
        ck_assert_uint_eq(kit_files("", &after), n_files);
        ck_assert_uint_eq(after, before);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, 41);
        ck_assert(is_torn(store, 0, 1));
        forget(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("recover_ledger");
        TCase *tcase = tcase_create("recover_ledger");

        tcase_add_loop_test(tcase, regions_that_cannot_be, 0, 10);
        tcase_add_loop_test(tcase, order_of_slots, 0, 2);
        tcase_add_test(tcase, two_states_of_a_tensor);
        tcase_add_test(tcase, no_room_for_a_new_one);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
