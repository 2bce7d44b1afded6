/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)
#define UID 1000

static struct op_id op(uint8_t value)
{
        struct op_id id = { .is_set = true };

        memset(id.bytes, value, sizeof(id.bytes));
        return id;
}

static void expect(struct store *store, const char *name, double seed)
{
        struct tensor *tensor;

        ck_assert_msg(store_find(store, UID, name, &tensor) == 0, "%s", name);
        ck_assert_str_eq(tensor_name(tensor), name);
        ck_assert(kit_tensor_is(tensor, seed));
}

static void expect_none(struct store *store, const char *name)
{
        struct tensor *tensor;

        ck_assert_int_eq(store_find(store, UID, name, &tensor), STORE_E_NOT_FOUND);
}

START_TEST(test_reserved_names)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID), *other = kit_user(store, UID + 1);
        struct reservation *a, *b;

        ck_assert_int_eq(store_reserve_name(store, user, "x", false, &a), 0);
        ck_assert_int_eq(store_reserve_name(store, user, "x", false, &b), STORE_E_TAKEN);
        ck_assert_int_eq(store_reserve_name(store, user, "x", true, &b), STORE_E_TAKEN);
        ck_assert_int_eq(store_reserve_name(store, other, "x", false, &b), 0);
        expect_none(store, "x");
        ck_assert_int_eq(store_delete(store, UID, "x", NULL), STORE_E_TAKEN);
        reservation_free(a);
        reservation_free(b);
        ck_assert_ptr_null(reservation_free(NULL));
        ck_assert_int_eq(store_delete(store, UID, "x", NULL), STORE_E_NOT_FOUND);

        ck_assert_int_eq(kit_name(store, kit_small(store, user, 1), "x", NULL), 0);
        ck_assert_int_eq(store_reserve_name(store, user, "x", false, &a), STORE_E_TAKEN);
        ck_assert_int_eq(store_reserve_name(store, user, "x", true, &a), 0);
        expect(store, "x", 1); /* the last committed value */
        ck_assert_int_eq(store_delete(store, UID, "x", NULL), STORE_E_TAKEN);
        reservation_free(a);
        expect(store, "x", 1);
        ck_assert_int_eq(store_delete(store, UID, "x", NULL), 0);
        expect_none(store, "x");
        ck_assert_uint_eq(user->n_names, 0);
        user_unref(user);
        user_unref(other);
        store_free(store);
}
END_TEST

START_TEST(test_replaced_lives_while_referenced)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct tensor *first = kit_tensor(store, user, 1000, 1);
        uint64_t live;

        ck_assert_int_eq(kit_name(store, tensor_ref(first), "x", NULL), 0);
        live = kit_check(store).live;
        ck_assert_int_eq(kit_name(store, kit_tensor(store, user, 1000, 2), "x", NULL), 0);
        ck_assert_ptr_null(tensor_name(first));
        ck_assert(kit_tensor_is(first, 1));
        expect(store, "x", 2);
        ck_assert_uint_eq(kit_check(store).live, 2 * live);
        ck_assert_uint_eq(kit_check(store).n_names, 1);
        /* Unnamed, it may get another name. */
        ck_assert_int_eq(kit_name(store, first, "y", NULL), 0);
        expect(store, "y", 1);
        kit_delete_all(store, UID);
        ck_assert_uint_eq(kit_check(store).live, 0);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_several_in_one_step)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct commit commits[3] = { 0 };
        struct op_id id = op(1);
        struct tensor *recalled;

        for (unsigned i = 0; i < 3; i++) {
                ck_assert_int_eq(store_reserve_name(store, user,
                                                    (const char *[]){ "a", "b", "c" }[i], false,
                                                    &commits[i].reservation),
                                 0);
                commits[i].tensor = i == 1 ? kit_tensor(store, user, 1000, i)
                                           : kit_small(store, user, i);
        }
        ck_assert_int_eq(store_commit(store, commits, 3, &id), 0);
        for (unsigned i = 0; i < 3; i++)
                ck_assert_ptr_null(commits[i].reservation);
        ck_assert_int_eq(store_recall(store, UID, &id, &recalled), 0);
        ck_assert_ptr_eq(recalled, commits[0].tensor);
        ck_assert_int_eq(store_recall(store, UID + 1, &id, &recalled), STORE_E_NOT_FOUND);
        for (unsigned i = 0; i < 3; i++)
                tensor_unref(commits[i].tensor);
        expect(store, "b", 1);
        user_unref(user);
        store_free(store);

        store = kit_store(LIMIT);
        expect(store, "a", 0);
        expect(store, "b", 1);
        expect(store, "c", 2);
        ck_assert_int_eq(store_recall(store, UID, &id, &recalled), 0);
        ck_assert_str_eq(tensor_name(recalled), "a");
        ck_assert_str_eq(tensor_name(store_recall_name(store, UID, &id, "c")), "c");
        ck_assert_ptr_null(store_recall_name(store, UID, &id, "d"));
        kit_delete_all(store, UID);
        ck_assert_ptr_null(store_recall_name(store, UID, &id, "c"));
        ck_assert_int_eq(store_recall(store, UID, &id, &recalled), 0);
        ck_assert_ptr_null(recalled); /* it happened; the value is gone */
        store_free(store);
}
END_TEST

/* After all that happens to a catalog, outcomes are told as before. */
START_TEST(test_outcomes_survive)
{
        struct op_id put = op(1), again = op(2), gone = op(3), never = op(9);
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct tensor *tensor;

        ck_assert_int_eq(kit_name(store, kit_small(store, user, 1), "x", &put), 0);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 2), "x", &again), 0);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 3), "y", NULL), 0);
        ck_assert_int_eq(store_delete(store, UID, "y", &gone), 0);
        user_unref(user);
        for (unsigned turn = 0; turn < 4; turn++) {
                ck_assert_int_eq(store_recall(store, UID, &put, &tensor), 0);
                ck_assert_ptr_null(tensor);
                ck_assert_int_eq(store_recall(store, UID, &again, &tensor), 0);
                ck_assert_str_eq(tensor_name(tensor), "x");
                ck_assert_int_eq(store_recall(store, UID, &gone, &tensor), 0);
                ck_assert_ptr_null(tensor);
                ck_assert_int_eq(store_recall(store, UID, &never, &tensor), STORE_E_NOT_FOUND);
                if (turn % 2) {
                        store_free(store);
                        store = kit_store(LIMIT);
                } else {
                        ck_assert_int_eq(store_compaction_begin(store), 0);
                        ck_assert_int_eq(store_compaction_copy(store), 0);
                        kit_check(store);
                        ck_assert_int_eq(store_compaction_finish(store), 0);
                        kit_check(store);
                }
        }
        kit_delete_all(store, UID);
        store_free(store);
}
END_TEST

START_TEST(test_pages_of_a_list)
{
        static const char *const all[] = { "a", "a/1", "a/10", "a/2", "ab", "b", "\xc3\xa4" };
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID), *other = kit_user(store, UID + 1);
        struct reservation *reservation;
        struct listed page[16];
        bool more;

        for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
                ck_assert_int_eq(kit_name(store, kit_small(store, user, i),
                                          all[(i * 3) % ARRAY_SIZE(all)], NULL),
                                 0);
        ck_assert_int_eq(kit_name(store, kit_small(store, other, 0), "a/3", NULL), 0);
        ck_assert_int_eq(store_reserve_name(store, user, "a/15", false, &reservation), 0);

        ck_assert_uint_eq(store_list(store, UID, "", NULL, false, page, 16, &more),
                          ARRAY_SIZE(all));
        ck_assert(!more);
        for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
                ck_assert_str_eq(page[i].name, all[i]);
        ck_assert_uint_eq(store_list(store, UID, "", NULL, false, page, 3, &more), 3);
        ck_assert(more);
        ck_assert_uint_eq(store_list(store, UID, "", "a/10", false, page, 4, &more), 4);
        ck_assert(!more);
        ck_assert_str_eq(page[0].name, "a/2");
        ck_assert_uint_eq(store_list(store, UID, "a/", NULL, false, page, 2, &more), 2);
        ck_assert(more);
        ck_assert_uint_eq(store_list(store, UID, "a/", "a/10", false, page, 2, &more), 1);
        ck_assert(!more);
        ck_assert_str_eq(page[0].name, "a/2");
        ck_assert_uint_eq(store_list(store, UID, "a/", "b", false, page, 2, &more), 0);
        ck_assert_uint_eq(store_list(store, UID, "zz", NULL, false, page, 2, &more), 0);
        ck_assert_uint_eq(store_list(store, UID + 1, "", "", false, page, 2, &more), 1);
        ck_assert_uint_eq(store_list(store, UID + 2, "", NULL, false, page, 2, &more), 0);
        reservation_free(reservation);
        kit_delete_all(store, UID);
        kit_delete_all(store, UID + 1);
        user_unref(user);
        user_unref(other);
        store_free(store);
}
END_TEST

static void name_many(struct store *store, struct user *user, unsigned from, unsigned to)
{
        char name[16];

        for (unsigned i = from; i < to; i++) {
                snprintf(name, sizeof(name), "n%05u", i);
                ck_assert_int_eq(kit_name(store, kit_small(store, user, i), name, NULL), 0);
        }
}

START_TEST(test_the_catalog_grows_and_shrinks)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        char name[16];

        name_many(store, user, 0, 5000);
        ck_assert_uint_gt(kit_check(store).catalog, 5000 * 100);
        ck_assert_uint_eq(kit_check(store).n_names, 5000);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, 5000);
        for (unsigned i = 0; i < 5000; i++) {
                snprintf(name, sizeof(name), "n%05u", i);
                expect(store, name, i);
                if (i >= 10)
                        ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        }
        ck_assert(store_compaction_is_due(store));
        ck_assert_int_eq(store_compaction_begin(store), 0);
        ck_assert(!store_compaction_is_due(store));
        ck_assert_int_eq(store_compaction_copy(store), 0);
        ck_assert_int_eq(store_compaction_finish(store), 0);
        ck_assert(!store_compaction_is_due(store));
        ck_assert_uint_eq(kit_check(store).catalog, CATALOG_MIN + LEDGER_MIN);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, 10);
        kit_delete_all(store, UID);
        store_free(store);
}
END_TEST

static void *copy(void *arg)
{
        return (void *)(intptr_t)store_compaction_copy(arg);
}

/* 0: the rest fits, 1: the catalog must grow before the copy is done */
START_TEST(test_named_while_it_is_copied)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct store_figures figures;
        uint64_t n_bytes = 0;
        pthread_t thread;
        void *result;

        name_many(store, user, 0, 300);
        ck_assert_int_eq(store_compaction_begin(store), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, copy, store), 0);
        name_many(store, user, 100, _i ? 6000 : 320);
        ck_assert_int_eq(store_delete(store, UID, "n00000", NULL), 0);
        pthread_join(thread, &result);
        ck_assert_ptr_null(result);
        /* It has grown meanwhile: what was copied, and where to, is there without a name. */
        store_figures(store, &figures);
        kit_files(".catalog", &n_bytes);
        ck_assert_uint_gt(figures.catalog - LEDGER_MIN, n_bytes);
        ck_assert_int_eq(store_compaction_finish(store), 0);
        kit_check(store);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, _i ? 5999 : 319);
        expect_none(store, "n00000");
        expect(store, "n00319", 319);
        kit_delete_all(store, UID);
        store_free(store);
}
END_TEST

/* What was copied to goes at once, whether or not there will be another. */
START_TEST(test_a_copy_that_failed_leaves_nothing)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);

        name_many(store, user, 0, 1000);
        ck_assert_int_eq(store_compaction_begin(store), 0);
        store->compaction->n_bytes = CATALOG_MIN; /* too little */
        ck_assert_int_eq(store_compaction_copy(store), STORE_E_FULL);
        ck_assert_uint_eq(kit_files(".new", NULL), 1);
        store_compaction_drop(store);
        ck_assert_uint_eq(kit_files(".new", NULL), 0);
        kit_check(store);
        kit_delete_all(store, UID);
        user_unref(user);
        store_free(store);
}
END_TEST

static ino_t catalog_inode(void)
{
        char path[sizeof(kit_directory) + 64];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s.catalog", kit_directory, KIT_PREFIX);
        ck_assert_int_eq(stat(path, &st), 0);
        return st.st_ino;
}

/* Where nobody copies it meanwhile it grows as it lies: 16 times over, before it is made anew. */
START_TEST(test_it_grows_where_it_lies)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        ino_t inode = catalog_inode();
        struct catalog_file *file = store->catalog.file;
        unsigned n = 0;

        while (file->n_bytes < file->n_mapped) {
                name_many(store, user, n, n + 1);
                n++;
                ck_assert_ptr_eq(store->catalog.file, file);
        }
        ck_assert_uint_gt(n, 4000);
        ck_assert(catalog_inode() == inode);
        kit_check(store);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, n);
        ck_assert(catalog_inode() == inode);
        expect(store, "n00007", 7);

        user = kit_user(store, UID);
        inode = catalog_inode();
        store->catalog.file->n_mapped = store->catalog.file->n_bytes;
        name_many(store, user, n, n + 6000);
        ck_assert(catalog_inode() != inode);
        ck_assert_uint_eq(kit_check(store).n_names, n + 6000);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        expect(store, "n00007", 7);
        ck_assert_uint_eq(kit_check(store).n_names, n + 6000);
        kit_delete_all(store, UID);
        store_free(store);
}
END_TEST

/* With something in the catalog that is as large as can be. */
static int put_small(struct store *store, struct user *user, const char *name, bool is_evictable)
{
        struct commit commit = { .is_evictable = is_evictable };
        struct desc desc = kit_desc(TD_INLINE_MAX / 8);
        static const double data[TD_INLINE_MAX / 8];
        int r = memory_relieve(store, user, TD_INLINE_MAX, true);

        if (r)
                return r;
        ck_assert_int_eq(tensor_new(&commit.tensor, store, user, &desc, NULL, data, NULL), 0);
        r = store_reserve_name(store, user, name, false, &commit.reservation);
        if (!r)
                r = store_commit(store, &commit, 1, NULL);
        reservation_free(commit.reservation);
        tensor_unref(commit.tensor);
        return r;
}

/* But not over what little counts in it: nobody is refused because a worker is late. */
START_TEST(test_a_late_copy_costs_no_memory)
{
        struct store *store = kit_store(LIMIT / 4);
        struct user *user = kit_user(store, UID);
        struct catalog_file *file;
        char name[16];

        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "%u", i);
                ck_assert_int_eq(put_small(store, user, name, false), 0);
        }
        ck_assert_int_eq(store_compaction_begin(store), 0);
        file = store->catalog.file;
        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "%u", i);
                ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        }
        for (unsigned i = 0; i < 2 * LIMIT / TD_INLINE_MAX; i++) {
                ck_assert_int_eq(put_small(store, user, "x", false), 0);
                ck_assert_int_eq(store_delete(store, UID, "x", NULL), 0);
                ck_assert(store->catalog.file == file ||
                          store->catalog.file->n_bytes <= LIMIT / 4 / 16);
        }
        ck_assert_ptr_ne(store->catalog.file, file);
        ck_assert_int_eq(store_compaction_copy(store), 0);
        ck_assert_int_eq(store_compaction_finish(store), 0); /* of no use any more */
        ck_assert_uint_le(kit_check(store).used, LIMIT / 4 / 16 + LEDGER_MIN);
        user_unref(user);
        store_free(store);
        store_free(kit_store(LIMIT));
}
END_TEST

START_TEST(test_no_room_for_the_catalog)
{
        struct store *store = kit_store(CATALOG_MIN + CATALOG_MIN / 2);
        struct user *user = kit_user(store, UID);
        struct tensor *tensor;
        char name[16];
        unsigned n = 0;
        int r;

        do {
                tensor = kit_small(store, user, n);
                snprintf(name, sizeof(name), "%u", n);
                r = kit_name(store, tensor, name, NULL);
        } while (!r && ++n < 10000);
        ck_assert_int_eq(r, STORE_E_LIMIT);
        ck_assert_uint_gt(n, 100);
        ck_assert_uint_eq(kit_check(store).n_names, n);
        expect_none(store, name);
        expect(store, "7", 7);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, n);
        kit_delete_all(store, UID);
        store_free(store);
}
END_TEST

/* As between the daemon's turns. */
static void compact(struct store *store)
{
        if (!store_compaction_is_due(store) || store_compaction_begin(store))
                return;
        ck_assert_int_eq(store_compaction_copy(store), 0);
        ck_assert_int_eq(store_compaction_finish(store), 0);
}

#define SMALL_LIMIT (8 * KIT_MIB)

static void expect_within_limit(struct store *store)
{
        ck_assert_uint_le(kit_check(store).used, SMALL_LIMIT + CATALOG_MIN);
}

/* However much is put: what is evictable makes room, in the catalog too. */
START_TEST(test_a_full_cache_goes_on)
{
        struct store *store = kit_store(SMALL_LIMIT);
        struct user *user = kit_user(store, UID);
        char name[16];
        unsigned n = 0;

        for (; n < 20000; n++) {
                snprintf(name, sizeof(name), "c%u", n);
                ck_assert_msg(put_small(store, user, name, true) == 0, "%s", name);
                if (n % 100 == 0)
                        expect_within_limit(store);
        }
        ck_assert_uint_gt(store->n_evicted, n / 2);
        ck_assert_uint_gt(kit_check(store).n_names, 100);
        ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        user_unref(user);
        n = (unsigned)kit_check(store).n_names;
        store_free(store);
        store = kit_store(SMALL_LIMIT);
        ck_assert_uint_eq(kit_check(store).n_names, n);
        kit_delete_all(store, UID);
        store_free(store);
}
END_TEST

/* Whoever deletes is not refused, and gets room for as much again; _i: with operation ids. */
START_TEST(test_what_is_full_can_be_deleted)
{
        struct store *store = kit_store(SMALL_LIMIT);
        struct user *user = kit_user(store, UID);
        struct op_id id = op(1);
        unsigned n = 0, n_first = 0;
        char name[16];

        for (unsigned round = 0; round < 3; round++) {
                for (n = 0;; n++) {
                        snprintf(name, sizeof(name), "k%u", n);
                        if (!put_small(store, user, name, false))
                                continue;
                        compact(store);
                        if (put_small(store, user, name, false))
                                break;
                }
                if (round == 0)
                        n_first = n;
                ck_assert_uint_gt(n, 700);
                ck_assert_uint_ge(n, n_first * 3 / 4);
                ck_assert_uint_eq(kit_check(store).n_names, n);
                for (unsigned i = 0; i < n; i++) {
                        snprintf(name, sizeof(name), "k%u", i);
                        memcpy(id.bytes, &(unsigned){ n * round + i }, sizeof(unsigned));
                        ck_assert_msg(store_delete(store, UID, name, _i ? &id : NULL) == 0, "%s",
                                      name);
                        expect_within_limit(store);
                }
        }
        user_unref(user);
        store_free(store);
        store_free(kit_store(SMALL_LIMIT));
}
END_TEST

/* Who names nothing, and deletes it, in turn, gets nothing of what is lent beyond the limit. */
START_TEST(test_what_is_lent_is_for_deletion)
{
        struct store *store = kit_store(SMALL_LIMIT);
        struct user *user = kit_user(store, UID);
        char name[300];
        int n = 0, r;

        do {
                snprintf(name, sizeof(name), "k%u", n++);
                r = put_small(store, user, name, false);
        } while (!r);
        for (unsigned i = 0; i < 20000; i++) {
                struct desc desc = kit_desc(0);
                struct commit commit = { .tensor = NULL };

                snprintf(name, sizeof(name), "%0200u", i);
                ck_assert_int_eq(tensor_new(&commit.tensor, store, user, &desc, NULL, "", NULL), 0);
                ck_assert_int_eq(store_reserve_name(store, user, name, false, &commit.reservation),
                                 0);
                r = store_commit(store, &commit, 1, NULL);
                ck_assert(r == 0 || r == STORE_E_LIMIT);
                reservation_free(commit.reservation);
                tensor_unref(commit.tensor);
                if (!r)
                        ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        }
        expect_within_limit(store);
        kit_delete_all(store, UID);
        user_unref(user);
        store_free(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("commit");
        TCase *tcase = tcase_create("commit");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_reserved_names);
        tcase_add_test(tcase, test_replaced_lives_while_referenced);
        tcase_add_test(tcase, test_several_in_one_step);
        tcase_add_test(tcase, test_outcomes_survive);
        tcase_add_test(tcase, test_pages_of_a_list);
        tcase_add_test(tcase, test_the_catalog_grows_and_shrinks);
        tcase_add_loop_test(tcase, test_named_while_it_is_copied, 0, 2);
        tcase_add_test(tcase, test_it_grows_where_it_lies);
        tcase_add_test(tcase, test_a_late_copy_costs_no_memory);
        tcase_add_test(tcase, test_a_copy_that_failed_leaves_nothing);
        tcase_add_test(tcase, test_no_room_for_the_catalog);
        tcase_add_test(tcase, test_a_full_cache_goes_on);
        tcase_add_loop_test(tcase, test_what_is_full_can_be_deleted, 0, 2);
        tcase_add_test(tcase, test_what_is_lent_is_for_deletion);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
