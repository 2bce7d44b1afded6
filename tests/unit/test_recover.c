/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#include <time.h>

#include "base/once.h"
#include "kill_kit.h"

#define LIMIT (256 * KIT_MIB)
#define UID 1000

static struct store *trying(char message[256], int *rp)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        struct store *store = NULL;

        *rp = store_new(&store, &config, message);
        return store;
}

static bool is_there(struct store *store, const char *name, double seed)
{
        struct tensor *tensor;

        return store_find(store, UID, name, &tensor) == 0 && kit_tensor_is(tensor, seed);
}

/* A daemon that names, keeps unnamed and idle ones, and is gone without a word. */
static void live_and_die(void)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);

        kit_name(store, kit_tensor(store, user, 20000, 1), "large", NULL);
        kit_name(store, kit_small(store, user, 2), "small", NULL);
        kit_tensor(store, user, 30000, 3);
        segment_unref(kit_segment(store, user, NULL, 77777));
        _exit(0);
}

START_TEST(test_named_is_there_bit_for_bit_and_nothing_else)
{
        struct store *store;
        struct tensor *tensor;

        KIT_FORKED(live_and_die());
        ck_assert_uint_eq(kit_files("1000.", NULL), 3);
        for (unsigned turn = 0; turn < 2; turn++) {
                store = kit_store(LIMIT);
                ck_assert(is_there(store, "large", 1));
                ck_assert(is_there(store, "small", 2));
                ck_assert_uint_eq(kit_files("1000.", NULL), 1);
                ck_assert_uint_eq(kit_check(store).n_tensors, 2);
                ck_assert_uint_eq(kit_check(store).n_names, 2);
                ck_assert_int_eq(store_find(store, UID, "large", &tensor), 0);
                ck_assert_int_eq(tensor->state, TENSOR_SEALED);
                ck_assert_uint_eq(tensor->user->used[RESOURCE_BYTES],
                                  segment_map_bytes(tensor->segment) + 8);
                if (turn == 0)
                        store_free(store);
        }
        kit_forget(store, UID);
}
END_TEST

START_TEST(test_mapped_strays_are_held)
{
        struct kit_child child;
        struct store *store;
        char path[320];
        struct stat st;
        void *map;
        int fd;

        KIT_FORKED(live_and_die());
        /* Map all three, as clients do; the named one stays a tensor, the others are nobody's. */
        fd = open(kit_first("1000.", path), O_RDWR);
        ck_assert_int_eq(fstat(fd, &st), 0);
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        child = kit_child_begin();
        munmap(map, (size_t)st.st_size);
        store = kit_store(LIMIT);
        ck_assert(is_there(store, "large", 1));
        if (stat(path, &st) == 0 && kit_check(store).held > 0) {
                ck_assert_uint_eq(kit_check(store).held, (uint64_t)st.st_size);
                ck_assert_uint_eq(store_retry_held(store), 1);
        } else {
                /* It was the named one: once deleted, it is held. */
                ck_assert_int_eq(store_delete(store, UID, "large", NULL), 0);
                ck_assert_uint_eq(kit_check(store).held, (uint64_t)st.st_size);
        }
        kit_child_end(&child);
        ck_assert_uint_eq(store_retry_held(store), 0);
        ck_assert_uint_eq(kit_check(store).held, 0);
        kit_forget(store, UID);
}
END_TEST

/* 0: removed, 1: cut, 2: another file of that name, 3: a hole */
START_TEST(test_lost_is_told)
{
        struct tensor *tensor;
        struct store *store;
        struct user *user;
        struct reservation *reservation;
        char path[320], other[330];
        int fd;

        store = kit_store(LIMIT);
        user = kit_user(store, UID);
        ck_assert_int_eq(kit_name(store, kit_tensor(store, user, 20000, 1), "large", NULL), 0);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 2), "small", NULL), 0);
        user_unref(user);
        store_free(store);
        kit_first("1000.", path);
        if (_i == 0) {
                ck_assert_int_eq(unlink(path), 0);
        } else if (_i == 1) {
                ck_assert_int_eq(truncate(path, 8192), 0);
        } else if (_i == 2) {
                snprintf(other, sizeof(other), "%s.copy", path);
                fd = open(other, O_RDWR | O_CREAT, 0600);
                ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)segment_class(160000)), 0);
                close(fd);
                ck_assert_int_eq(rename(other, path), 0);
        } else {
                fd = open(path, O_RDWR);
                ck_assert_int_eq(
                        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
                close(fd);
        }
        for (unsigned turn = 0; turn < 2; turn++) {
                store = kit_store(LIMIT);
                ck_assert_int_eq(store_find(store, UID, "large", &tensor), STORE_E_LOST);
                ck_assert(is_there(store, "small", 2));
                ck_assert_uint_eq(kit_check(store).n_lost, 1);
                ck_assert_uint_eq(kit_check(store).n_names, 1);
                /* What was not adopted is gone when it starts again. */
                kit_check_listed_lost(store, UID, "large",
                                      _i && turn == 0 ? LOSS_MEMORY_CHANGED : LOSS_MEMORY_MISSING,
                                      20000);
                ck_assert_int_eq(store_compaction_begin(store), 0);
                ck_assert_int_eq(store_compaction_copy(store), 0);
                ck_assert_int_eq(store_compaction_finish(store), 0);
                store_free(store);
        }
        store = kit_store(LIMIT);
        user = kit_user(store, UID);
        ck_assert_int_eq(store_reserve_name(store, user, "large", false, &reservation),
                         STORE_E_TAKEN);
        if (_i % 2) {
                ck_assert_int_eq(store_delete(store, UID, "large", NULL), 0);
                ck_assert_int_eq(store_find(store, UID, "large", &tensor), STORE_E_NOT_FOUND);
        } else {
                ck_assert_int_eq(kit_name(store, kit_small(store, user, 9), "large", NULL), 0);
                ck_assert(is_there(store, "large", 9));
        }
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        user_unref(user);
        kit_forget(store, UID);
}
END_TEST

/* Lost names are rows like others, a page at a time, of their user alone. */
START_TEST(test_lost_are_listed)
{
        static const char *const names[] = { "a/1", "a/2", "b", "c" };
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct reservation *reservation;
        struct listed rows[4];
        char path[320];
        bool more;

        for (unsigned i = 0; i < 4; i++)
                ck_assert_int_eq(kit_name(store,
                                          i == 1 ? kit_small(store, user, 7)
                                                 : kit_tensor(store, user, 20000, i),
                                          names[i], NULL),
                                 0);
        user_unref(user);
        store_free(store);
        while (kit_files("1000.", NULL) > 0)
                ck_assert_int_eq(unlink(kit_first("1000.", path)), 0);
        store = kit_store(LIMIT);
        user = kit_user(store, UID);
        ck_assert_uint_eq(user->n_lost, 3);
        ck_assert_int_eq(store_reserve_name(store, user, "b", true, &reservation), 0);
        ck_assert_uint_eq(store_list(store, UID, "", NULL, true, rows, 4, &more), 4);
        ck_assert(!more);
        for (unsigned i = 0; i < 4; i++) {
                ck_assert_str_eq(rows[i].name, names[i]);
                ck_assert_int_eq(!rows[i].loss, i == 1);
        }
        ck_assert_uint_eq(store_list(store, UID, "", NULL, true, rows, 3, &more), 3);
        ck_assert(more);
        ck_assert_uint_eq(store_list(store, UID, "", rows[2].name, true, rows, 3, &more), 1);
        ck_assert(!more);
        ck_assert_uint_eq(store_list(store, UID, "a/", NULL, true, rows, 4, &more), 2);
        ck_assert_uint_eq(store_list(store, UID, "", NULL, false, rows, 4, &more), 1);
        ck_assert_ptr_eq(rows[0].tensor, kit_find(store, UID, "a/2"));
        ck_assert_uint_eq(store_list_shared(store, UID, "", NULL, rows, 4, &more), 0);
        ck_assert_uint_eq(store_list(store, UID + 1, "", NULL, true, rows, 4, &more), 0);
        ck_assert_ptr_null(user_find(store_users(store), UID + 1));
        reservation_free(reservation);
        ck_assert_int_eq(store_delete(store, UID, "b", NULL), 0);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 8), "c", NULL), 0);
        ck_assert_uint_eq(user->n_lost, 1);
        ck_assert_uint_eq(kit_check(store).n_lost, 1);
        user_unref(user);
        kit_forget(store, UID);
}
END_TEST

/* 0: no catalog, 1: a record damaged, 2: header damaged, 3: another boot, 4: catalog cut */
START_TEST(test_refuses_and_changes_nothing)
{
        char path[320], message[256];
        uint8_t *bytes = malloc(CATALOG_MIN), *kept = malloc(CATALOG_MIN);
        struct store *store;
        uint64_t before = 0, after = 0;
        unsigned n_before;
        int fd, r;

        KIT_FORKED(live_and_die());
        fd = open(kit_first(".catalog", path), O_RDWR);
        ck_assert_int_eq(pread(fd, kept, CATALOG_MIN, 0), CATALOG_MIN);
        memcpy(bytes, kept, CATALOG_MIN);
        if (_i == 0)
                ck_assert_int_eq(unlink(path), 0);
        else if (_i == 1)
                bytes[CATALOG_RECORDS + 70] ^= 1;
        else if (_i == 2)
                bytes[20] ^= 1;
        else if (_i == 3)
                catalog_header_write(bytes, CATALOG_MIN, "another");
        ck_assert_int_eq(pwrite(fd, bytes, CATALOG_MIN, 0), CATALOG_MIN);
        if (_i == 4)
                ck_assert_int_eq(ftruncate(fd, CATALOG_RECORDS), 0);
        n_before = kit_files("", &before);
        for (unsigned turn = 0; turn < 2; turn++) {
                store = trying(message, &r);
                ck_assert_ptr_null(store);
                ck_assert_int_eq(r, STORE_E_CATALOG);
                ck_assert_ptr_nonnull(strstr(message, KIT_PREFIX ".catalog"));
                ck_assert_uint_eq(kit_files("", &after), n_before);
                ck_assert_uint_eq(after, before);
                after = 0;
        }
        /* Mended, all is there. */
        if (_i != 0) {
                ck_assert_int_eq(posix_fallocate(fd, 0, CATALOG_MIN), 0);
                ck_assert_int_eq(pwrite(fd, kept, CATALOG_MIN, 0), CATALOG_MIN);
                store = kit_store(LIMIT);
                ck_assert(is_there(store, "large", 1));
                ck_assert(is_there(store, "small", 2));
                kit_forget(store, UID);
        }
        close(fd);
        kit_clear();
        free(bytes);
        free(kept);
}
END_TEST

/* 0: a symbolic link, 1: a directory, 2: a file of another user (all that others can put there) */
START_TEST(test_what_is_no_segment_of_ours_is_left_alone)
{
        static const char name[] = KIT_PREFIX ".1000.0123456789abcdef0123456789abcdef";
        bool is_made = true;
        char path[320];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", kit_directory, name);
        if (_i == 0) {
                ck_assert_int_eq(symlink("elsewhere", path), 0);
        } else if (_i == 1) {
                ck_assert_int_eq(mkdir(path, 0700), 0);
        } else {
                fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
                ck_assert_int_ge(fd, 0);
                is_made = fchown(fd, geteuid() + 1, (gid_t)-1) == 0;
                close(fd);
        }
        if (!is_made)
                puts("recover: no file of another user, for want of root");
        /* There is no catalog either time that it could belong to. */
        for (unsigned turn = 0; turn < 2 && is_made; turn++) {
                struct store *store = kit_store(LIMIT);
                struct store_figures figures;

                store_figures(store, &figures);
                ck_assert_uint_eq(figures.used, figures.catalog);
                store_free(store);
                ck_assert_uint_eq(kit_files("", NULL), 1);
                ck_assert_uint_eq(kit_files(name, NULL), 1);
        }
        ck_assert_int_eq(remove(path), 0);
}
END_TEST

/*
 * Names are read by all users: one puts something beside each segment, of the same number. That is
 * told once, however many they are.
 */
START_TEST(test_number_of_a_segment_is_not_taken_by_others)
{
        char others[4][340];
        struct store *store;
        unsigned n = 0;
        DIR *dir;

        KIT_FORKED(live_and_die());
        dir = opendir(kit_directory);
        for (struct dirent *entry; (entry = readdir(dir)) && n < 4;) {
                if (!strstr(entry->d_name, ".1000."))
                        continue;
                snprintf(others[n], sizeof(others[n]), "%s/%s", kit_directory, entry->d_name);
                others[n][strlen(others[n]) - 1] ^= 1; /* '0' to '1', 'b' to 'c' */
                if (strspn(others[n] + strlen(others[n]) - 1, "0123456789abcdef") == 0)
                        others[n][strlen(others[n]) - 1] = '0';
                n++;
        }
        closedir(dir);
        ck_assert_uint_eq(n, 3);
        for (unsigned i = 0; i < n; i++)
                ck_assert_int_eq(symlink("elsewhere", others[i]), 0);
        once_reset(NULL);
        store = kit_store(LIMIT);
        ck_assert(once_is_counting());
        once_reset(NULL);
        ck_assert(is_there(store, "large", 1));
        for (unsigned i = 0; i < n; i++)
                ck_assert_int_eq(unlink(others[i]), 0);
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        kit_forget(store, UID);
}
END_TEST

START_TEST(test_left_over_new_catalog)
{
        struct store *store;
        char path[320];
        int fd;

        KIT_FORKED(live_and_die());
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".new.00112233445566778899aabbccddeeff",
                 kit_directory);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        ck_assert_int_eq(posix_fallocate(fd, 0, 100000), 0);
        close(fd);
        store = kit_store(LIMIT);
        ck_assert_int_ne(access(path, F_OK), 0);
        ck_assert(is_there(store, "large", 1));
        kit_check(store);
        kit_forget(store, UID);
}
END_TEST

/* ---- killed anywhere ---- */

#define N_STEPS 6

static void step(struct store *store, struct user *user, unsigned n)
{
        struct commit commits[2] = { 0 };
        bool is_failed = false;

        switch (n) {
        case 0:
                is_failed = kit_name(store, kit_tensor(store, user, 2000, 1), "a", NULL);
                break;
        case 1:
                is_failed = kit_name(store, kit_small(store, user, 2), "s", NULL);
                break;
        case 2:
                is_failed = kit_name(store, kit_tensor(store, user, 2000, 3), "a", NULL);
                break;
        case 3:
                for (unsigned i = 0; i < 2; i++) {
                        commits[i].tensor = kit_tensor(store, user, 3000, 4 + i);
                        is_failed |= store_reserve_name(store, user, i ? "c" : "b", false,
                                                        &commits[i].reservation) != 0;
                }
                is_failed |= store_commit(store, commits, 2, NULL) != 0;
                tensor_unref(commits[0].tensor);
                tensor_unref(commits[1].tensor);
                break;
        case 4:
                is_failed = store_delete(store, UID, "s", NULL);
                break;
        case 5:
                is_failed = store_compaction_begin(store) || store_compaction_copy(store) ||
                            store_compaction_finish(store);
                break;
        }
        if (is_failed)
                _exit(10 + (int)n);
}

static void check_state(struct store *store, unsigned n_done)
{
        ck_assert_int_eq(is_there(store, "a", 1), n_done >= 1 && n_done < 3);
        ck_assert_int_eq(is_there(store, "a", 3), n_done >= 3);
        ck_assert_int_eq(is_there(store, "s", 2), n_done >= 2 && n_done < 5);
        ck_assert_int_eq(is_there(store, "b", 4), n_done >= 4);
        ck_assert_int_eq(is_there(store, "c", 5), n_done >= 4);
}

/* What is there: 0 to N_STEPS - 1 steps (the last changes nothing that can be seen). */
static unsigned read_state(struct store *store)
{
        struct tensor *tensor;

        if (store_find(store, UID, "b", &tensor) == 0)
                return store_find(store, UID, "s", &tensor) == 0 ? 4 : 5;
        if (is_there(store, "a", 3))
                return 3;
        return store_find(store, UID, "a", &tensor)        ? 0
               : store_find(store, UID, "s", &tensor) == 0 ? 2
                                                           : 1;
}

static void whole_life(_Atomic unsigned *done)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        char message[256];
        struct store *store;
        struct user *user;

        if (store_new(&store, &config, message) || user_get(store_users(store), UID, &user))
                _exit(9);
        for (unsigned n = read_state(store); n < N_STEPS; n++) {
                step(store, user, n);
                atomic_store(done, n + 1 < N_STEPS ? n + 1 : n);
        }
        user_unref(user);
        store_free(store);
        _exit(0);
}

START_TEST(test_killed_at_every_system_call)
{
        _Atomic unsigned *done = kit_shared_word();
        unsigned n;

        for (n = 1;; n++) {
                struct store *store;
                unsigned acked, n_done;

                atomic_store(done, 0);
                if (kit_kill_at(whole_life, done, n, PTRACE_SYSCALL) != KIT_KILLED)
                        break;
                acked = atomic_load(done);
                store = kit_store(LIMIT);
                n_done = read_state(store);
                ck_assert_msg(n_done == acked || n_done == acked + 1,
                              "stop %u: %u acknowledged, %u there", n, acked, n_done);
                check_state(store, n_done);
                kit_check(store);
                kit_forget(store, UID);
        }
        printf("recover: killed at %u stops\n", n - 1);
        kit_clear();
}
END_TEST

/* Recovery itself is killed at each of its system calls, and begun anew. */
START_TEST(test_killed_while_recovering)
{
        _Atomic unsigned *done = kit_shared_word();
        struct store *store;
        unsigned n;

        for (n = 1;; n++) {
                unsigned n_done;
                bool is_killed;

                atomic_store(done, 0);
                /* About in the middle of its life: names, strays, an idle one. */
                if (kit_kill_at(whole_life, done, 150, PTRACE_SYSCALL) != KIT_KILLED)
                        break;
                is_killed = kit_kill_at(whole_life, done, n, PTRACE_SYSCALL) == KIT_KILLED;
                n_done = atomic_load(done);
                store = kit_store(LIMIT);
                ck_assert_uint_ge(read_state(store), n_done);
                check_state(store, read_state(store));
                kit_check(store);
                kit_forget(store, UID);
                if (!is_killed)
                        break;
        }
        printf("recover: killed at %u stops of a second life\n", n - 1);
        kit_clear();
}
END_TEST

static void commit_alone(_Atomic unsigned *done)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct commit commits[2] = { 0 };

        for (unsigned i = 0; i < 2; i++) {
                commits[i].tensor = kit_small(store, user, 4 + i);
                if (store_reserve_name(store, user, i ? "c" : "b", false, &commits[i].reservation))
                        _exit(1);
        }
        atomic_store(done, 1);
        raise(SIGSTOP);
        if (store_commit(store, commits, 2, NULL))
                _exit(2);
        atomic_store(done, 2);
        raise(SIGSTOP);
        _exit(0);
}

/* Killed between any two instructions of a commit (a sample of them): both names or none. */
START_TEST(test_killed_between_instructions)
{
        _Atomic unsigned *done = kit_shared_word();
        unsigned n_none = 0, n_both = 0;

        for (unsigned n = 1; n_both < 3; n += 1 + n / 16) {
                struct store *store;
                bool b, c;

                if (kit_kill_after(commit_alone, done, n) == KIT_FORBIDDEN)
                        break;
                store = kit_store(LIMIT);
                b = is_there(store, "b", 4);
                c = is_there(store, "c", 5);
                ck_assert_int_eq(b, c);
                ck_assert(b || atomic_load(done) < 2);
                *(b ? &n_both : &n_none) += 1;
                kit_check(store);
                kit_forget(store, UID);
        }
        printf("recover: killed between instructions, %u before and %u behind the commit\n", n_none,
               n_both);
        ck_assert(n_both == 0 || n_none > 20);
}
END_TEST

/* ---- many ---- */

static double ms_since(const struct timespec *then)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - then->tv_sec) * 1e3 +
               (double)(now.tv_nsec - then->tv_nsec) / 1e6;
}

START_TEST(test_ten_thousand)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, UID);
        struct timespec then;
        char name[32];

        for (unsigned i = 0; i < 10000; i++) {
                struct segment *segment = kit_segment(store, user, NULL, 8192);
                struct desc desc = kit_desc(1024);
                struct tensor *tensor;

                snprintf(name, sizeof(name), "tensor number %u", i);
                ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, NULL), 0);
                ck_assert_int_eq(kit_name(store, tensor, name, NULL), 0);
        }
        user_unref(user);
        store_free(store);
        clock_gettime(CLOCK_MONOTONIC, &then);
        store = kit_store(LIMIT);
        printf("recover: 10000 named segments in %.1f ms\n", ms_since(&then));
        ck_assert_uint_eq(kit_check(store).n_names, 10000);
        ck_assert_uint_eq(kit_files("1000.", NULL), 10000);
        kit_forget(store, UID);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("recover");
        TCase *tcase = tcase_create("recover");

        tcase_set_timeout(tcase, 100);
        tcase_add_test(tcase, test_named_is_there_bit_for_bit_and_nothing_else);
        tcase_add_loop_test(tcase, test_mapped_strays_are_held, 0, 3);
        tcase_add_loop_test(tcase, test_lost_is_told, 0, 4);
        tcase_add_test(tcase, test_lost_are_listed);
        tcase_add_loop_test(tcase, test_refuses_and_changes_nothing, 0, 5);
        tcase_add_loop_test(tcase, test_what_is_no_segment_of_ours_is_left_alone, 0, 3);
        tcase_add_test(tcase, test_number_of_a_segment_is_not_taken_by_others);
        tcase_add_test(tcase, test_left_over_new_catalog);
        tcase_add_test(tcase, test_ten_thousand);
        if (!KIT_SANITIZED) {
                tcase_add_test(tcase, test_killed_at_every_system_call);
                tcase_add_test(tcase, test_killed_while_recovering);
                tcase_add_test(tcase, test_killed_between_instructions);
        }
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
