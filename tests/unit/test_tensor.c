/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)

START_TEST(test_small_lives_in_the_heap)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1000);
        struct tensor *tensor = kit_small(store, user, 2.5), *found;
        uint64_t id;

        ck_assert_int_eq(tensor->state, TENSOR_SEALED);
        ck_assert(tensor->heap);
        ck_assert_ptr_null(tensor->segment);
        ck_assert_uint_eq(kit_check(store).heap, 8);
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], 8);
        ck_assert_uint_eq(user->used[RESOURCE_TENSORS], 1);
        ck_assert_int_eq(store_find_id(store, 1000, tensor->id, &found), 0);
        ck_assert_ptr_eq(found, tensor);
        ck_assert_int_eq(store_find_id(store, 1001, tensor->id, &found), STORE_E_NOT_FOUND);
        memcpy(&id, tensor->id, 8);
        ck_assert_uint_ne(id, 0);
        tensor_ref(tensor);
        tensor_unref(tensor);
        ck_assert_ptr_null(tensor_name(tensor));
        tensor_unref(tensor);
        ck_assert_uint_eq(kit_check(store).heap, 0);
        ck_assert_uint_eq(kit_check(store).n_tensors, 0);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_of_no_elements)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1000);
        struct desc desc = kit_desc(0);
        struct tensor *tensor;

        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, NULL, NULL, NULL), 0);
        ck_assert(!tensor->heap && !tensor->segment);
        ck_assert_int_eq(tensor_seal(tensor), 0);
        ck_assert_int_eq(kit_name(store, tensor, "none", NULL), 0);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_int_eq(store_find(store, 1000, "none", &tensor), 0);
        ck_assert_uint_eq(tensor_n_bytes(tensor), 0);
        ck_assert_int_eq(tensor->desc.type.ndim, 1);
        ck_assert_int_eq(store_delete(store, 1000, "none", NULL), 0);
        store_free(store);
}
END_TEST

START_TEST(test_sealed_is_a_npy_file)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1000);
        struct segment *segment = kit_segment(store, user, NULL, 80000);
        struct desc desc = kit_desc(10000);
        struct tensor *tensor;
        char bytes[128];
        int fd, creator;

        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, &creator), 0);
        ck_assert_int_eq(tensor->state, TENSOR_UNSEALED);
        ck_assert_ptr_eq(tensor->creator, &creator);
        ck_assert_int_eq(tensor_seal(tensor), 0);
        ck_assert_int_eq(tensor->state, TENSOR_SEALED);
        ck_assert_ptr_null(tensor->creator);
        fd = segment_open(segment, false);
        ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        close(fd);
        ck_assert_mem_eq(
                bytes,
                "\x93NUMPY\x01\x00\xf6\x0f{'descr': '<f8', 'fortran_order': False, "
                "'shape': (10000,), }",
                66);
        tensor_unref(tensor);
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

/* 0: cut, 1: grown, 2: a hole, 3: replaced */
START_TEST(test_tampered_is_not_sealed)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1000);
        struct segment *segment = kit_segment(store, user, NULL, 80000);
        struct desc desc = kit_desc(10000);
        char name[SHM_NAME_MAX];
        struct tensor *tensor;
        int fd, creator, other = -1;

        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, &creator), 0);
        fd = segment_open(segment, true);
        shm_segment_name(&store->shm, 1000, segment->random, name);
        if (_i == 0)
                ck_assert_int_eq(ftruncate(fd, 4096), 0);
        else if (_i == 1)
                ck_assert_int_eq(posix_fallocate(fd, 0, 1 << 20), 0);
        else if (_i == 2)
                ck_assert_int_eq(
                        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
        else {
                /* Opened first, so that the inode is not the same again. */
                ck_assert_int_eq(unlinkat(store->shm.fd, name, 0), 0);
                other = openat(store->shm.fd, name, O_RDWR | O_CREAT, 0600);
                ck_assert_int_eq(posix_fallocate(other, 0, (off_t)segment_map_bytes(segment)), 0);
                close(other);
        }
        close(fd);
        ck_assert_int_eq(tensor_seal(tensor), STORE_E_POISONED);
        ck_assert(segment_is_poisoned(segment));
        ck_assert_int_eq(tensor->state, TENSOR_UNSEALED);
        tensor_unref(tensor);
        ck_assert_uint_eq(kit_files("1000.", NULL), 0); /* never used again */
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_promoted)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1000);
        struct tensor *tensor = kit_small(store, user, 6.5);
        struct segment *segment = kit_segment(store, user, NULL, 8);
        double value;
        int fd;

        ck_assert_int_eq(tensor_promote(tensor, segment), 0);
        ck_assert_ptr_eq(tensor->segment, segment);
        fd = segment_open(segment, false);
        ck_assert_int_eq(pread(fd, &value, 8, TD_HEADER_BYTES), 8);
        close(fd);
        ck_assert(value == 6.5);
        ck_assert_uint_eq(kit_check(store).live, segment_map_bytes(segment));
        ck_assert_int_eq(kit_name(store, tensor, "small", NULL), 0);
        user_unref(user);
        store_free(store);
        /* The mapping was a cache: what counts is in the catalog. */
        ck_assert_uint_eq(kit_files("1000.", NULL), 0);
        store = kit_store(LIMIT);
        ck_assert_int_eq(store_find(store, 1000, "small", &tensor), 0);
        ck_assert_ptr_null(tensor->segment);
        ck_assert(kit_tensor_is(tensor, 6.5));
        ck_assert_int_eq(store_delete(store, 1000, "small", NULL), 0);
        store_free(store);
}
END_TEST

START_TEST(test_limit_of_the_heap)
{
        struct store *store = kit_store(CATALOG_MIN + LEDGER_MIN + TD_INLINE_MAX + 8);
        struct user *user = kit_user(store, 1000);
        uint8_t data[TD_INLINE_MAX] = { 0 };
        struct desc desc = kit_desc(TD_INLINE_MAX / 8);
        struct tensor *a, *b, *c;

        ck_assert_int_eq(tensor_new(&a, store, user, &desc, NULL, data, NULL), 0);
        ck_assert_int_eq(tensor_new(&b, store, user, &desc, NULL, data, NULL), STORE_E_LIMIT);
        c = kit_small(store, user, 1);
        tensor_unref(a);
        ck_assert_int_eq(tensor_new(&b, store, user, &desc, NULL, data, NULL), 0);
        tensor_unref(b);
        tensor_unref(c);
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("tensor");
        TCase *tcase = tcase_create("tensor");

        tcase_add_test(tcase, test_small_lives_in_the_heap);
        tcase_add_test(tcase, test_of_no_elements);
        tcase_add_test(tcase, test_sealed_is_a_npy_file);
        tcase_add_loop_test(tcase, test_tampered_is_not_sealed, 0, 4);
        tcase_add_test(tcase, test_promoted);
        tcase_add_test(tcase, test_limit_of_the_heap);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
