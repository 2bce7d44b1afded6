/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Names that others took: in a directory where everybody makes files, and nobody removes another's.
 * While the daemon runs they do not hinder it; at its start it says what stands in its way.
 */
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)
#define DAEMON 1000
#define OTHER 1003
#define HEX "00112233445566778899aabbccddeeff"

enum what { A_FILE, A_DIRECTORY, A_LINK, A_PIPE, N_WHATS };

static void path_of(char path[320], const char *suffix)
{
        snprintf(path, 320, "%s/" KIT_PREFIX ".%s", kit_directory, suffix);
}

static void put(const char *suffix, enum what what, uid_t uid)
{
        char path[320];
        int r;

        path_of(path, suffix);
        if (what == A_FILE)
                r = mknod(path, S_IFREG | 0666, 0);
        else if (what == A_DIRECTORY)
                r = mkdir(path, 0777);
        else if (what == A_LINK)
                r = symlink("/dev/null", path);
        else
                r = mkfifo(path, 0666);
        ck_assert_int_eq(r, 0);
        ck_assert_int_eq(lchown(path, uid, uid), 0);
        ck_assert(what == A_LINK || chmod(path, 0777) == 0);
}

/* Was it still there? */
static bool take_away(const char *suffix)
{
        char path[320];

        path_of(path, suffix);
        return unlink(path) == 0 || rmdir(path) == 0;
}

/* As it is for a daemon of its own user in /dev/shm. */
static void become_daemon(void)
{
        if (setresgid(DAEMON, DAEMON, DAEMON) || setresuid(DAEMON, DAEMON, DAEMON))
                _exit(20);
}

static bool open_to_all(void)
{
        if (geteuid())
                return false;
        ck_assert_int_eq(chmod(kit_directory, 01777), 0);
        return true;
}

static void live_and_grow(void)
{
        struct store *store;
        struct user *user;
        char name[160];

        become_daemon();
        store = kit_store(LIMIT);
        user = kit_user(store, 1);
        for (unsigned i = 0; i < 1500; i++) {
                snprintf(name, sizeof(name), "%0120u", i);
                if (kit_name(store, kit_small(store, user, i), name, NULL))
                        _exit(21);
        }
        if (store->catalog.file->n_bytes == CATALOG_MIN || store_compaction_begin(store) ||
            store_compaction_copy(store) || store_compaction_finish(store))
                _exit(22);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        for (unsigned i = 0; i < 1500; i++) {
                snprintf(name, sizeof(name), "%0120u", i);
                if (store_delete(store, 1, name, NULL))
                        _exit(23);
        }
        store_free(store);
        _exit(0);
}

START_TEST(they_do_not_hinder_it)
{
        static const char *const suffixes[] = { "catalog.new", "ledger.new", "new", "new." HEX,
                                                "1000." HEX };

        if (!open_to_all())
                return;
        for (unsigned i = 0; i < ARRAY_SIZE(suffixes); i++)
                put(suffixes[i], (enum what)_i, OTHER);
        KIT_FORKED(live_and_grow());
        for (unsigned i = 0; i < ARRAY_SIZE(suffixes); i++)
                ck_assert_msg(take_away(suffixes[i]), "%s", suffixes[i]);
        ck_assert_uint_eq(kit_files("", NULL), 0);
}
END_TEST

static void start_and_hear(const char *suffix, int expected)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        struct store *store;
        char message[256], name[320];
        int r;

        become_daemon();
        r = store_new(&store, &config, message);
        if (r != expected)
                _exit(24);
        path_of(name, suffix);
        if (r && (!strstr(message, name) || !strstr(message, "uid 1003") ||
                  !strstr(message, "remove it")))
                _exit(25);
        if (!r)
                store_free(store);
        _exit(0);
}

START_TEST(a_start_says_what_stands_in_its_way)
{
        static const char *const suffixes[] = { "catalog", "ledger", "lock" };

        if (!open_to_all())
                return;
        for (unsigned i = 0; i < ARRAY_SIZE(suffixes); i++) {
                put(suffixes[i], (enum what)_i, OTHER);
                KIT_FORKED(start_and_hear(suffixes[i], STORE_E_CATALOG));
                ck_assert(take_away(suffixes[i]));
                KIT_FORKED(start_and_hear(suffixes[i], 0));
                take_away("lock");
                ck_assert_uint_eq(kit_files("", NULL), 0);
        }
}
END_TEST

/* What a killed daemon had begun goes, whatever it is not. */
START_TEST(what_was_begun_goes)
{
        static const char *const others[] = { "new.", "new." HEX "0", "new.0" HEX "x",
                                              "newer." HEX };
        struct store *store;

        put("new." HEX, A_FILE, geteuid());
        for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
                put(others[i], A_FILE, geteuid());
        store = kit_store(LIMIT);
        ck_assert(!take_away("new." HEX));
        for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
                ck_assert(take_away(others[i]));
        kit_check(store);
        store_free(store);
        ck_assert_uint_eq(kit_files("", NULL), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("taken_names");
        TCase *tcase = tcase_create("taken_names");

        tcase_add_loop_test(tcase, they_do_not_hinder_it, 0, N_WHATS);
        tcase_add_loop_test(tcase, a_start_says_what_stands_in_its_way, 0, N_WHATS);
        tcase_add_test(tcase, what_was_begun_goes);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
