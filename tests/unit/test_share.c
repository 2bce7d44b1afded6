/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * What is shared: who finds it, that nobody can write it, and that it still is after a restart.
 */
#include "store_kit.h"

#define ALICE 1000
#define BOB 1001
#define N 1000

/* Named, and written through a descriptor, which is still open. */
static struct tensor *tensor_written(struct store *store, struct user *user, const char *name,
                                     int *fdp)
{
        struct segment *segment = kit_segment(store, user, NULL, N * 8);
        struct desc desc = kit_desc(N);
        struct holder holder;
        struct commit commit = { 0 };
        struct tensor *tensor;
        bool is_new;

        holder_init(&holder, user, NULL);
        ck_assert_int_eq(store_grant(store, &holder, segment, true, &is_new), 0);
        *fdp = segment_open_for_client(segment, true);
        ck_assert_int_ge(*fdp, 0);
        ck_assert_int_eq(ftruncate(*fdp, (off_t)segment_map_bytes(segment)), 0);
        holder_deinit(store, &holder);
        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, &holder), 0);
        ck_assert_int_eq(tensor_seal(tensor), 0);
        commit.tensor = tensor;
        ck_assert_int_eq(store_reserve_name(store, user, name, false, &commit.reservation), 0);
        ck_assert_int_eq(store_commit(store, &commit, 1, NULL), 0);
        tensor_unref(tensor);
        return tensor;
}

static struct segment *copied(struct store *store, struct tensor *tensor)
{
        struct segment *to;
        unsigned n_pinned;
        bool is_ready;

        ck_assert_int_eq(
                store_reserve(store, tensor->user, NULL, tensor_n_bytes(tensor), &to, &is_ready),
                0);
        ck_assert_int_eq(tensor_copy(tensor, tensor->segment, to, is_ready, &n_pinned), 0);
        ck_assert_uint_eq(n_pinned, 2);
        segment_unpin(tensor->segment);
        segment_unpin(to);
        return to;
}

START_TEST(nobody_writes_what_is_frozen)
{
        struct store *store = kit_store(16 * KIT_MIB);
        struct user *alice = kit_user(store, ALICE);
        struct tensor *tensor;
        int fd;

        tensor = tensor_written(store, alice, "x", &fd);
        ck_assert(!tensor_is_frozen(tensor));
        ck_assert_int_eq(tensor_freeze(tensor, tensor->segment), STORE_E_WRITABLE);
        /* ours is not in the way, but while somebody computes with it */
        close(fd);
        ck_assert_int_eq(segment_pin(tensor->segment), 0);
        ck_assert_int_eq(tensor_freeze(tensor, tensor->segment), STORE_E_WRITABLE);
        segment_unpin(tensor->segment);
        ck_assert_int_eq(tensor_freeze(tensor, tensor->segment), 0);
        ck_assert_int_eq(store_share(store, tensor, true, NULL), 0);
        ck_assert(tensor_is_frozen(tensor) && tensor_is_shared(tensor));
        /* what was announced for writing is not opened for it any more */
        fd = segment_open_for_client(tensor->segment, true);
        ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        close(fd);
        ck_assert_int_eq(store_delete(store, ALICE, "x", NULL), 0);
        user_unref(alice);
        kit_check(store);
        store_free(store);
}
END_TEST

START_TEST(what_was_resized_is_not_frozen)
{
        struct store *store = kit_store(16 * KIT_MIB);
        struct user *alice = kit_user(store, ALICE);
        struct tensor *tensor;
        int fd;

        tensor = tensor_written(store, alice, "x", &fd);
        ck_assert_int_eq(ftruncate(fd, 4096), 0);
        close(fd);
        ck_assert_int_eq(tensor_freeze(tensor, tensor->segment), STORE_E_POISONED);
        ck_assert_int_eq(store_delete(store, ALICE, "x", NULL), 0);
        user_unref(alice);
        store_free(store);
}
END_TEST

START_TEST(a_copy_takes_the_place_of_what_can_be_written)
{
        struct store *store = kit_store(16 * KIT_MIB);
        struct user *alice = kit_user(store, ALICE);
        struct store_figures figures;
        struct tensor *tensor, *found;
        uint64_t id;
        int fd;

        tensor = tensor_written(store, alice, "x", &fd);
        id = segment_id(tensor->segment);
        ck_assert_int_eq(store_share(store, tensor, true, copied(store, tensor)), 0);
        ck_assert_uint_ne(segment_id(tensor->segment), id);
        ck_assert(tensor_is_frozen(tensor));
        figures = kit_check(store);
        ck_assert_uint_eq(figures.held, segment_map_bytes(tensor->segment));
        ck_assert_uint_eq(alice->n_held, figures.held);
        close(fd);
        ck_assert_uint_eq(store_retry_held(store), 0);
        ck_assert_uint_eq(alice->n_held, 0);
        user_unref(alice);
        store_free(store);

        store = kit_store(16 * KIT_MIB);
        ck_assert_int_eq(store_find_shared(store, ALICE, "x", &found), 0);
        ck_assert(tensor_is_frozen(found) && segment_id(found->segment) != id);
        ck_assert_int_eq(store_delete(store, ALICE, "x", NULL), 0);
        store_free(store);
}
END_TEST

START_TEST(others_find_what_is_shared)
{
        struct store *store = kit_store(16 * KIT_MIB);
        struct user *alice = kit_user(store, ALICE);
        struct tensor *tensor, *found;
        struct listed row;
        bool more;
        int fd;

        tensor = tensor_written(store, alice, "x", &fd);
        close(fd);
        ck_assert_int_eq(store_find_shared(store, ALICE, "x", &found), STORE_E_NOT_FOUND);
        ck_assert_int_eq(store_find_id(store, BOB, tensor->id, &found), STORE_E_NOT_FOUND);
        ck_assert_int_eq(tensor_freeze(tensor, tensor->segment), 0);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(store_share(store, tensor, true, NULL), 0);
                ck_assert_int_eq(store_find_shared(store, ALICE, "x", &found), 0);
                ck_assert_ptr_eq(found, tensor);
                ck_assert_int_eq(store_find_id(store, BOB, tensor->id, &found), 0);
                ck_assert_uint_eq(store_list_shared(store, ALICE, "", NULL, &row, 1, &more), 1);
                ck_assert_int_eq(store_find_shared(store, BOB, "x", &found), STORE_E_NOT_FOUND);
                ck_assert_int_eq(store_share(store, tensor, false, NULL), 0);
                ck_assert_int_eq(store_find_id(store, BOB, tensor->id, &found), STORE_E_NOT_FOUND);
                ck_assert_uint_eq(store_list_shared(store, ALICE, "", NULL, &row, 1, &more), 0);
        }
        ck_assert_int_eq(store_share(store, tensor, true, NULL), 0);
        tensor_ref(tensor);
        ck_assert_int_eq(store_delete(store, ALICE, "x", NULL), 0);
        ck_assert_int_eq(store_find_shared(store, ALICE, "x", &found), STORE_E_NOT_FOUND);
        ck_assert_int_eq(store_find_id(store, BOB, tensor->id, &found), STORE_E_NOT_FOUND);
        tensor_unref(tensor);
        user_unref(alice);
        kit_check(store);
        store_free(store);
}
END_TEST

/* Of a group that one operation named, each is shared: what the operation did stays known. */
START_TEST(the_outcome_of_an_operation_outlives_sharing_and_compaction)
{
        struct store *store = kit_store(16 * KIT_MIB);
        struct user *alice = kit_user(store, ALICE);
        struct op_id op_id = { .is_set = true, .bytes = "fifteen letters" };
        static const char *const names[] = { "a", "b" };
        struct tensor *tensors[2], *found;
        struct commit commits[2] = { 0 };
        struct desc desc = kit_desc(2);
        double data[2] = { 1, 2 };

        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(tensor_new(&tensors[i], store, alice, &desc, NULL, data, NULL), 0);
                commits[i].tensor = tensors[i];
                ck_assert_int_eq(
                        store_reserve_name(store, alice, names[i], false, &commits[i].reservation),
                        0);
        }
        ck_assert_int_eq(store_commit(store, commits, 2, &op_id), 0);
        for (int i = 1; i >= 0; i--) {
                ck_assert_int_eq(store_share(store, tensors[i], true, NULL), 0);
                tensor_unref(tensors[i]);
        }
        user_unref(alice);
        for (int round = 0; round < 3; round++) {
                store_free(store);
                store = kit_store(16 * KIT_MIB);
                ck_assert_int_eq(store_recall(store, ALICE, &op_id, &found), 0);
                ck_assert_ptr_nonnull(found);
                ck_assert_str_eq(tensor_name(found), "a");
                for (int i = 0; i < 2; i++) {
                        ck_assert_int_eq(store_find_shared(store, ALICE, names[i], &found), 0);
                        ck_assert_ptr_eq(store_recall_name(store, ALICE, &op_id, names[i]), found);
                }
                if (round == 0) {
                        ck_assert_int_eq(store_compaction_begin(store), 0);
                        ck_assert_int_eq(store_compaction_copy(store), 0);
                        ck_assert_int_eq(store_compaction_finish(store), 0);
                }
        }
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(store_delete(store, ALICE, names[i], NULL), 0);
        store_free(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("share");
        TCase *tests = tcase_create("share");

        tcase_add_test(tests, nobody_writes_what_is_frozen);
        tcase_add_test(tests, what_was_resized_is_not_frozen);
        tcase_add_test(tests, a_copy_takes_the_place_of_what_can_be_written);
        tcase_add_test(tests, others_find_what_is_shared);
        tcase_add_test(tests, the_outcome_of_an_operation_outlives_sharing_and_compaction);
        suite_add_tcase(suite, tests);
        return kit_run(suite);
}
