/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include <signal.h>
#include <sys/ptrace.h>

#define LIMIT (64 * KIT_MIB)

static unsigned n_objects(void)
{
        DIR *dir = opendir(kit_directory);
        struct dirent *entry;
        unsigned n = 0;

        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

START_TEST(test_leaves_nothing_where_nothing_is_named)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, 100000);

        ck_assert_uint_eq(n_objects(), 4); /* a segment, catalog, ledger, lock */
        segment_unref(segment);
        ck_assert_uint_eq(n_objects(), 4); /* a segment, catalog, ledger, lock */
        user_unref(user);
        ck_assert_ptr_null(store_free(store));
        ck_assert_uint_eq(n_objects(), 0);
        ck_assert_ptr_null(store_free(NULL));
}
END_TEST

START_TEST(test_leaves_what_is_named_and_nothing_else)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, 100000);
        struct tensor *tensor;

        ck_assert_int_eq(kit_name(store, kit_tensor(store, user, 1000, 5), "x", NULL), 0);
        segment_unref(segment);
        user_unref(user);
        store_free(store);
        ck_assert_uint_eq(n_objects(), 4); /* a segment, catalog, ledger, lock */
        store = kit_store(LIMIT);
        ck_assert_int_eq(store_find(store, 1, "x", &tensor), 0);
        ck_assert(kit_tensor_is(tensor, 5));
        ck_assert_int_eq(store_delete(store, 1, "x", NULL), 0);
        store_free(store);
        ck_assert_uint_eq(n_objects(), 0);
}
END_TEST

static void second_store(void)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        struct store *store;
        char message[256];

        if (store_new(&store, &config, message) != STORE_E_BUSY ||
            !strstr(message, KIT_PREFIX ".lock"))
                _exit(1);
        config.prefix = KIT_PREFIX "2";
        if (store_new(&store, &config, message))
                _exit(2);
        store_free(store);
}

START_TEST(test_one_at_a_time)
{
        struct store *store = kit_store(LIMIT);

        KIT_FORKED(second_store());
        kit_check(store);
        store_free(store);
}
END_TEST

static void come_and_go(void)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };

        for (unsigned i = 0; i < 200; i++) {
                struct store *store;
                char message[256];
                int r = store_new(&store, &config, message);

                if (!r)
                        store_free(store);
                else if (r != STORE_E_BUSY)
                        _exit(1);
        }
}

/* Two that start and end all the time never see each other's halves. */
START_TEST(test_the_lock_is_safe_to_remove)
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                come_and_go();
                _exit(0);
        }
        KIT_FORKED(come_and_go());
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        ck_assert_uint_eq(n_objects(), 0);
}
END_TEST

/*
 * Another daemon is held up at its n-th system call stop while this one leaves, removing the lock,
 * and comes again: of the two, one gets the store.
 */
static bool meet_at(unsigned n)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        struct store *store = kit_store(LIMIT), *other;
        bool is_stopped = true;
        char message[256];
        int status, r;
        pid_t pid = fork();

        if (pid == 0) {
                /* Let go of the lock that came along. */
                close(store->lock_fd);
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                        _exit(77);
                raise(SIGSTOP);
                r = store_new(&other, &config, message);
                _exit(r == 0 ? 1 : r == STORE_E_BUSY ? 2 : 3);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                puts("store: the lock is not tested at every system call, ptrace is forbidden");
                store_free(store);
                return false;
        }
        for (unsigned i = 0; i < n && is_stopped; i++) {
                ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                is_stopped = WIFSTOPPED(status);
        }
        store_free(store);
        r = store_new(&store, &config, message);
        if (is_stopped) {
                ck_assert_int_eq(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        }
        ck_assert(WIFEXITED(status));
        ck_assert_msg((r == 0) + (WEXITSTATUS(status) == 1) == 1, "stop %u: here %d, there %d", n,
                      r, WEXITSTATUS(status));
        ck_assert_int_ne(WEXITSTATUS(status), 3);
        if (!r)
                store_free(store);
        kit_clear();
        return is_stopped;
}

START_TEST(test_the_lock_at_every_system_call)
{
        unsigned n = 1;

        while (meet_at(n))
                n++;
        printf("store: two daemons met at %u stops\n", n - 1);
}
END_TEST

START_TEST(test_figures)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct tensor *small = kit_small(store, user, 1),
                      *large = kit_tensor(store, user, 100000, 2);
        struct segment *segment = kit_segment(store, user, NULL, 5000);
        struct store_figures figures = kit_check(store);

        ck_assert_uint_eq(figures.limit, LIMIT);
        ck_assert_uint_eq(figures.live,
                          segment_map_bytes(segment) + segment_map_bytes(large->segment));
        ck_assert_uint_eq(figures.heap, 8);
        ck_assert_uint_eq(figures.catalog, CATALOG_MIN + LEDGER_MIN);
        ck_assert_uint_eq(figures.n_tensors, 2);
        ck_assert_uint_eq(figures.n_names, 0);
        ck_assert_uint_gt(figures.shm_free, 0);
        ck_assert_str_ne(figures.huge_pages, "");
        tensor_unref(small);
        tensor_unref(large);
        segment_unref(segment);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_impossible_places)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = "/nonexistent",
                                       .limit = LIMIT };
        struct store *store;
        char message[256];

        ck_assert_int_eq(store_new(&store, &config, message), -ENOENT);
        config.directory = kit_directory;
        config.prefix = "a/b";
        ck_assert_int_eq(store_new(&store, &config, message), -EINVAL);
        ck_assert_uint_eq(n_objects(), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("store");
        TCase *tcase = tcase_create("store");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_leaves_nothing_where_nothing_is_named);
        tcase_add_test(tcase, test_leaves_what_is_named_and_nothing_else);
        tcase_add_test(tcase, test_one_at_a_time);
        tcase_add_test(tcase, test_the_lock_is_safe_to_remove);
        if (!KIT_SANITIZED)
                tcase_add_test(tcase, test_the_lock_at_every_system_call);
        tcase_add_test(tcase, test_figures);
        tcase_add_test(tcase, test_impossible_places);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
