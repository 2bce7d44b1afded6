/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * What is left of tensors in files when the daemon was killed, or the files are not what they were.
 */
#include "spill_kit.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "kill_kit.h"

/* The name's file 0: is gone, 1: cut, 2: longer, 3: has another header, 4: a byte of data changed,
 * 5: is a symbolic link, 6: a directory */
static void damage(unsigned how)
{
        char path[320], other[330];
        uint8_t byte;
        int fd;

        kit_spill_first(".npy", path);
        fd = open(path, O_RDWR);
        ck_assert_int_ge(fd, 0);
        if (how == 1)
                ck_assert_int_eq(ftruncate(fd, 8192), 0);
        if (how == 2)
                ck_assert_int_eq(ftruncate(fd, TD_HEADER_BYTES + 8 * N + 1), 0);
        if (how == 3 || how == 4) {
                off_t at = how == 3 ? 30 : TD_HEADER_BYTES + 8 * N - 3;

                ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
                byte ^= 1;
                ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        }
        close(fd);
        if (how == 5) {
                snprintf(other, sizeof(other), "%s/other", kit_spill);
                ck_assert_int_eq(rename(path, other), 0);
                ck_assert_int_eq(symlink(other, path), 0);
        } else if (how == 0 || how == 6) {
                ck_assert_int_eq(unlink(path), 0);
                ck_assert(how == 0 || mkdir(path, 0700) == 0);
        }
}

static struct store_config kit_config(void)
{
        return (struct store_config){ .prefix = KIT_PREFIX,
                                      .directory = kit_directory,
                                      .spill_directory = kit_spill,
                                      .limit = LIMIT };
}

/* Its file, if it has one, counts as before. */
static void check_lost(struct store *store, bool has_file)
{
        struct tensor *tensor;

        ck_assert_int_eq(store_find(store, UID, "a", &tensor), STORE_E_LOST);
        ck_assert_uint_eq(kit_check(store).n_lost, 1);
        ck_assert_uint_eq(kit_check(store).n_names, 1);
        kit_check_listed_lost(store, UID, "a", has_file ? LOSS_FILE_DAMAGED : LOSS_FILE_MISSING, N);
        ck_assert(is_there(store, "b", 2));
        ck_assert_uint_eq(kit_check(store).spilled, has_file ? TD_HEADER_BYTES + 8 * N : 0);
        users_check(store_users(store));
}

/* Found when it is wanted. */
START_TEST(test_damaged_when_it_is_fetched)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct tensor *tensor;

        put(store, "a", 1);
        put(store, "b", 2);
        tensor = tensor_ref(find(store, "a"));
        tensor_unref(tensor);
        ck_assert(spill_begin(store, tensor));
        work(&slow);
        damage((unsigned)_i);
        tensor_ref(tensor);
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, STORE_E_LOST);
        /* Who has it still is told so, too. */
        ck_assert_int_eq(fetch(store, tensor), STORE_E_LOST);
        check_lost(store, _i > 0);
        tensor_unref(tensor);
        check_lost(store, _i > 0);
        ck_assert_uint_eq(kit_spilled(".npy"), _i > 0);
        if (_i % 2)
                put(store, "a", 1);
        else
                ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(&slow);
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        /* What stands in its place goes with it, but for a directory. */
        ck_assert_uint_eq(kit_spilled(".npy"), _i == 6);
        ck_assert_uint_eq(kit_check(store).spilled, _i == 6 ? TD_HEADER_BYTES + 8 * N : 0);
        clear_spill();
        forget(store);
}
END_TEST

/* Found at the start; the data is not looked at then. */
START_TEST(test_damaged_when_it_starts)
{
        struct store *store = spilling();
        unsigned n_files;

        put(store, "a", 1);
        put(store, "b", 2);
        out(store, "a");
        store_free(store);
        damage((unsigned)_i);
        n_files = kit_spilled("");
        for (unsigned turn = 0; turn < 2; turn++) {
                store = spilling();
                if (_i == 4) {
                        ck_assert(tensor_is_spilled(find(store, "a")));
                        ck_assert_int_eq(fetch(store, find(store, "a")), 0);
                }
                check_lost(store, _i > 0);
                /* What a record names is not ours to remove. */
                ck_assert_uint_eq(kit_spilled(""), n_files);
                store_free(store);
        }
        store = spilling();
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        ck_assert_uint_eq(kit_spilled(".npy"), _i == 6);
        ck_assert_uint_eq(kit_check(store).spilled, _i == 6 ? TD_HEADER_BYTES + 8 * N : 0);
        clear_spill();
        forget(store);
}
END_TEST

/* Ours that no record names go, whole or not; others' stay. */
START_TEST(test_strays)
{
        static const char *const others[] = {
                "note.txt", "tensord.0123456789abcdef0123456789abcdef",
                "tensordx.0123456789abcdef0123456789abcdef.npy",
                "tensord.0123456789abcdef0123456789abcde.npy",
                "tensord.0123456789ABCDEF0123456789abcdef.npy",
                "tensord.0123456789abcdef0123456789abcdef.npy.old",
                "tensord.other.0123456789abcdef0123456789abcdef.npy"
        };
        struct store *store = spilling();
        char path[320];

        put(store, "a", 1);
        out(store, "a");
        store_free(store);
        for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
                kit_spill_make(others[i]);
        kit_spill_make("tensord.0123456789abcdef0123456789abcdef.npy");
        kit_spill_make("tensord.0123456789abcdef0123456789abcdef.part");
        kit_spill_make("tensord.00000000000000000000000000000000.part");
        store = spilling();
        ck_assert_uint_eq(kit_spilled(""), ARRAY_SIZE(others) + 1);
        ck_assert(is_there(store, "a", 1));
        ck_assert_uint_eq(kit_spilled(""), ARRAY_SIZE(others));
        for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
                snprintf(path, sizeof(path), "%s/%s", kit_spill, others[i]);
                ck_assert_int_eq(unlink(path), 0);
        }
        forget(store);
}
END_TEST

/* Two names of one tensor, or of one file, as no daemon writes them: one of them has it. */
START_TEST(test_twins)
{
        struct store *store = spilling();
        struct tensor *tensor;
        struct record record = { .type = RECORD_COMMIT, .uid = UID, .name = "b", .n_name = 1 };

        put(store, "a", 1);
        out(store, "a");
        tensor = find(store, "a");
        record.desc = tensor->desc;
        record.n_data = tensor_n_bytes(tensor);
        record.is_spilled = true;
        record.file_bytes = tensor->spilled->place.n_bytes;
        record.check = tensor->spilled->place.check;
        memcpy(record.random, tensor->spilled->place.random, SHM_RANDOM);
        memcpy(record.tensor_id, tensor->id, sizeof(record.tensor_id));
        record.tensor_id[0] ^= (uint8_t)_i;
        catalog_stage(&store->catalog, &record);
        ck_assert_int_eq(catalog_publish(&store->catalog), 0);
        store_free(store);
        for (unsigned turn = 0; turn < 2; turn++) {
                store = spilling();
                ck_assert(tensor_is_spilled(find(store, "a")));
                ck_assert_int_eq(store_find(store, UID, "b", &tensor), STORE_E_LOST);
                ck_assert_uint_eq(kit_spilled(""), 1);
                if (turn == 0)
                        store_free(store);
        }
        ck_assert_int_eq(store_delete(store, UID, "b", NULL), 0);
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* A file that somebody gave the name of one that was not finished is none. */
START_TEST(test_renamed)
{
        struct store *store = spilling();
        struct tensor *tensor;
        char path[320], other[320];

        put(store, "a", 1);
        out(store, "a");
        store_free(store);
        kit_spill_first(".npy", path);
        snprintf(other, sizeof(other), "%.*s.part", (int)strlen(path) - 4, path);
        ck_assert_int_eq(rename(path, other), 0);
        store = spilling();
        ck_assert_int_eq(store_find(store, UID, "a", &tensor), STORE_E_LOST);
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        forget(store);
}
END_TEST

/* A start without the directory, or with one that is not ours, changes nothing. */
START_TEST(test_refusals)
{
        struct store *store = spilling();
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        char message[256];

        put(store, "a", 1);
        out(store, "a");
        store_free(store);
        for (unsigned turn = 0; turn < 2; turn++) {
                ck_assert_int_eq(store_new(&store, &config, message), STORE_E_CATALOG);
                ck_assert_ptr_nonnull(strstr(message, "--spill-dir"));
                ck_assert_ptr_nonnull(strstr(message, "\"a\""));
        }
        config.spill_directory = kit_spill;
        ck_assert_int_eq(chmod(kit_spill, 0750), 0);
        ck_assert_int_eq(store_new(&store, &config, message), STORE_E_CATALOG);
        ck_assert_ptr_nonnull(strstr(message, "0750"));
        ck_assert_int_eq(chmod(kit_spill, 0700), 0);
        if (geteuid() == 0) {
                ck_assert_int_eq(chown(kit_spill, 65534, 0), 0);
                ck_assert_int_eq(store_new(&store, &config, message), STORE_E_CATALOG);
                ck_assert_ptr_nonnull(strstr(message, "65534"));
                ck_assert_int_eq(chown(kit_spill, 0, 0), 0);
        }
        config.spill_directory = "/nowhere/at/all";
        ck_assert_int_eq(store_new(&store, &config, message), STORE_E_CATALOG);
        ck_assert_ptr_nonnull(strstr(message, "/nowhere/at/all"));
        store = spilling();
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* ---- whose they are ---- */

static int start(const struct store_config *config, char message[256])
{
        struct store *store;
        int r = store_new(&store, config, message);

        if (!r)
                store_free(store);
        return r;
}

static void spill_a(void)
{
        struct store *store = spilling();

        put(store, "a", 1);
        out(store, "a");
        store_free(store);
        ck_assert_uint_eq(kit_spilled(".npy"), 1);
}

static void write_owner(const char *text)
{
        char path[80];
        FILE *file;

        snprintf(path, sizeof(path), "%s/.tensord", kit_spill);
        unlink(path);
        if (!text)
                return;
        file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fputs(text, file);
        fclose(file);
}

/*
 * What another catalog names is not touched: 0, of another name; 1, in another directory; 2, it is
 * not said of which; 3, what is said is cut off.
 */
START_TEST(test_of_another_catalog)
{
        struct store_config config = kit_config();
        char message[256], path[80], owner[300] = "";
        struct store *store;
        FILE *file;

        if (_i == 0)
                config.prefix = KIT_PREFIX "2";
        if (_i == 1)
                config.directory = "/dev/shm";
        spill_a();
        snprintf(path, sizeof(path), "%s/.tensord", kit_spill);
        file = fopen(path, "r");
        ck_assert_ptr_nonnull(fgets(owner, sizeof(owner), file));
        fclose(file);
        if (_i > 1)
                write_owner(_i == 2 ? NULL : "5b1d4bd7-0000-0000-0000-000000000000 1");
        for (unsigned turn = 0; turn < 2; turn++) {
                ck_assert_int_eq(start(&config, message), STORE_E_CATALOG);
                ck_assert_ptr_nonnull(strstr(message, "of another catalog"));
                ck_assert_ptr_nonnull(strstr(message, kit_spill));
                ck_assert_uint_eq(kit_spilled(".npy"), 1);
        }
        write_owner(owner);
        store = spilling();
        ck_assert(is_there(store, "a", 1));
        store_free(store);
        /* Where there is none of theirs it is this one's from now on. */
        write_owner(_i > 1 ? NULL : owner);
        kit_spill_make("tensord.0123456789abcdef0123456789abcdef.part");
        ck_assert_int_eq(start(&config, message), 0);
        ck_assert_uint_eq(kit_spilled(""), 0);
        forget(spilling());
}
END_TEST

/* A disk that is not there: nothing is lost, and nothing written where it should be. */
START_TEST(test_of_another_directory)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .limit = LIMIT };
        char message[256], empty[] = "/tmp/tensord-empty-XXXXXX", owner[64];
        struct store *store;

        spill_a();
        ck_assert_ptr_nonnull(mkdtemp(empty));
        snprintf(owner, sizeof(owner), "%s/.tensord", empty);
        config.spill_directory = empty;
        ck_assert_int_eq(start(&config, message), STORE_E_CATALOG);
        ck_assert_ptr_nonnull(strstr(message, "not this catalog's spill directory"));
        ck_assert_ptr_nonnull(strstr(message, "\"a\""));
        ck_assert_int_lt(access(owner, F_OK), 0);
        ck_assert_int_eq(rmdir(empty), 0);
        store = spilling();
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* Nor is what this one named, if it is gone; of another boot nothing can be named any more. */
START_TEST(test_without_its_catalog)
{
        struct store_config config = kit_config();
        struct store *store;
        char message[256];

        spill_a();
        kit_clear();
        ck_assert_int_eq(start(&config, message), STORE_E_CATALOG);
        ck_assert_ptr_nonnull(strstr(message, "which is missing"));
        ck_assert_uint_eq(kit_spilled(".npy"), 1);
        ck_assert_uint_eq(kit_files("", NULL), 0);
        write_owner("5b1d4bd7-0000-0000-0000-000000000000 1 1 " KIT_PREFIX "\n");
        store = spilling();
        ck_assert_uint_eq(kit_spilled(""), 0);
        put(store, "a", 1);
        out(store, "a");
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* One daemon at a time. */
START_TEST(test_locked)
{
        struct store_config config = kit_config();
        struct store *store = spilling();
        char message[256];

        config.prefix = KIT_PREFIX "2";
        ck_assert_int_eq(start(&config, message), STORE_E_CATALOG);
        ck_assert_ptr_nonnull(strstr(message, "in use by another daemon"));
        put(store, "a", 1);
        out(store, "a");
        ck_assert(is_there(store, "a", 1));
        forget(store);
        ck_assert_int_eq(start(&config, message), 0);
}
END_TEST

/* A file that cannot be read now stops no start, and is not taken for a lost one. */
START_TEST(test_unreadable)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct store *store = spilling();
        char path[320], other[330];
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        put(store, "a", 1);
        put(store, "b", 2);
        out(store, "a");
        store_free(store);
        kit_spill_first(".npy", path);
        snprintf(other, sizeof(other), "%s.kept", path);
        ck_assert_int_eq(rename(path, other), 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd);
        store = spilling();
        ck_assert(tensor_is_spilled(find(store, "a")) && !tensor_is_lost(find(store, "a")));
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
        ck_assert_int_eq(rename(other, path), 0);
        ck_assert(is_there(store, "a", 1) && is_there(store, "b", 2));
        forget(store);
}
END_TEST

static void delete_many(struct store *store, unsigned n)
{
        char name[16];

        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "a%u", i);
                ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        }
}

/* Told once of each user, and counted: 0, when they are fetched; 1, at the start. */
START_TEST(test_many_are_lost)
{
        struct store *store = spilling();
        char name[16];

        once_reset(NULL);
        for (unsigned i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "a%u", i);
                put(store, name, i);
                out(store, name);
                if (_i)
                        continue;
                damage(4);
                ck_assert_int_eq(fetch(store, find(store, name)), 0);
                ck_assert_int_eq(once_is_counting(), i > 0);
                ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        }
        if (_i) {
                store_free(store);
                clear_spill();
                store = spilling();
                ck_assert_uint_eq(kit_check(store).n_lost, 20);
                ck_assert(once_is_counting());
                delete_many(store, 20);
        }
        once_reset(NULL);
        forget(store);
}
END_TEST

/*
 * Where it cannot be said whose they are nothing is spilled, until it can; where that cannot be
 * read, no start.
 */
START_TEST(test_nothing_can_be_said)
{
        struct store_config config = kit_config();
        char path[80], message[256];
        struct store *store;

        snprintf(path, sizeof(path), "%s/.tensord.new", kit_spill);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        store = spilling();
        put(store, "a", 1);
        for (unsigned turn = 1; turn <= 3; turn++) {
                ck_assert_uint_eq(store->spill.wait_ms, SPILL_RETRY_MS << (turn - 1));
                ck_assert_uint_gt(store->spill.retry_ms, 0);
                store->spill.retry_ms = 0;
                ck_assert_uint_eq(spill_ready_in_ms(store, clock_now_ms()), 0);
                ck_assert(spill_begin(store, find(store, "a")));
                ck_assert(!tensor_is_spilled(find(store, "a")));
                ck_assert_uint_eq(kit_spilled(""), 1); /* what is in the way */
        }
        ck_assert(is_there(store, "a", 1));
        ck_assert_int_eq(rmdir(path), 0);
        store->spill.retry_ms = 0;
        out(store, "a");
        ck_assert_uint_eq(store->spill.wait_ms, 0);
        store_free(store);
        store = spilling(); /* the directory says whose it is */
        ck_assert(tensor_is_spilled(find(store, "a")));
        ck_assert(is_there(store, "a", 1));
        store_free(store);

        write_owner(NULL);
        path[strlen(path) - 4] = '\0';
        ck_assert_int_eq(mkdir(path, 0700), 0);
        ck_assert_int_eq(start(&config, message), -EISDIR);
        ck_assert_int_eq(rmdir(path), 0);
        forget(spilling());
}
END_TEST

/* What stays where nothing is named is no reason not to start again. */
START_TEST(test_nothing_is_left)
{
        struct store *store = spilling();
        int fd;

        put(store, "a", 1);
        out(store, "a");
        damage(4);
        ck_assert_int_eq(fetch(store, find(store, "a")), 0);
        ck_assert_uint_eq(kit_spilled(".npy"), 1); /* it was lost: for people to look at */
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        forget(store);

        /* A directory that cannot be read at the end is left as it is. */
        store = spilling();
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert_int_eq(dup2(fd, store->spill.dir.fd), store->spill.dir.fd);
        close(fd);
        store_free(store);
        forget(spilling());
}
END_TEST

/* ---- killed ---- */

static void live_and_spill(_Atomic unsigned *done)
{
        struct store *store = spilling();

        put(store, "a", 1);
        atomic_store(done, 1);
        put(store, "b", 2);
        atomic_store(done, 2);
        raise(SIGSTOP);
        out(store, "a");
        ck_assert_int_eq(fetch(store, find(store, "a")), 0);
        out(store, "b");
        ck_assert_int_eq(store_delete(store, UID, "b", NULL), 0);
        atomic_store(done, 3);
        out(store, "a");
        _exit(0);
}

/* At each system call of a life. */
START_TEST(test_killed_at_every_system_call)
{
        _Atomic unsigned *done = kit_shared_word();
        enum kit_end end = KIT_KILLED;
        unsigned n = 0, n_spilled = 0;

        for (n = 1; end == KIT_KILLED; n++) {
                struct store *store;
                struct tensor *tensor;
                unsigned n_done;

                atomic_store(done, 0);
                end = kit_kill_at(live_and_spill, done, n, PTRACE_SYSCALL);
                if (end == KIT_FORBIDDEN)
                        return;
                n_done = atomic_load(done);
                store = spilling();
                for (unsigned i = 0; i < 2; i++) {
                        const char *name = i ? "b" : "a";
                        bool is_known = store_find(store, UID, name, &tensor) == 0;

                        n_spilled += is_known && tensor_is_spilled(tensor);
                        ck_assert_msg(!is_known || is_there(store, name, i + 1),
                                      "%s, killed at %u", name, n);
                        ck_assert(is_known || n_done <= i || (i == 1 && n_done >= 2));
                        ck_assert(!is_known || n_done < 3 || i == 0);
                }
                ck_assert_uint_eq(kit_check(store).n_lost, 0);
                ck_assert_uint_eq(kit_spilled(""), 0);
                forget(store);
        }
        ck_assert_uint_gt(n, 100);
        ck_assert_uint_gt(n_spilled, 10);
}
END_TEST

static void start_again(_Atomic unsigned *done)
{
        (void)done;
        spilling();
        _exit(0);
}

/* The recovery itself, with files that go and one that stays. */
START_TEST(test_recovery_killed_at_every_system_call)
{
        static const char stray[] = "tensord.0123456789abcdef0123456789abcdef";
        _Atomic unsigned *done = kit_shared_word();
        enum kit_end end = KIT_KILLED;
        struct store *store = spilling();
        char name[80];
        unsigned n;

        put(store, "a", 1);
        put(store, "b", 2);
        for (n = 1; end == KIT_KILLED; n++) {
                if (!tensor_is_spilled(find(store, "a")))
                        out(store, "a");
                store_free(store);
                snprintf(name, sizeof(name), "%s.npy", stray);
                kit_spill_make(name);
                snprintf(name, sizeof(name), "%s.part", stray);
                kit_spill_make(name);
                end = kit_kill_at(start_again, done, n, PTRACE_SYSCALL);
                store = spilling();
                ck_assert_uint_eq(kit_spilled(""), 1);
                ck_assert_uint_eq(kit_check(store).n_lost, 0);
                ck_assert(n % 8 > 0 || is_there(store, "a", 1));
                ck_assert(is_there(store, "b", 2));
        }
        ck_assert(end == KIT_FORBIDDEN || n > 100);
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("recover_spill");
        TCase *tcase = tcase_create("recover_spill");

        tcase_add_checked_fixture(tcase, kit_spill_begin, kit_spill_end);
        tcase_set_timeout(tcase, 120);
        tcase_add_loop_test(tcase, test_damaged_when_it_is_fetched, 0, 7);
        tcase_add_loop_test(tcase, test_damaged_when_it_starts, 0, 7);
        tcase_add_test(tcase, test_strays);
        tcase_add_loop_test(tcase, test_twins, 0, 2);
        tcase_add_test(tcase, test_renamed);
        tcase_add_test(tcase, test_refusals);
        tcase_add_loop_test(tcase, test_of_another_catalog, 0, 4);
        tcase_add_test(tcase, test_of_another_directory);
        tcase_add_test(tcase, test_without_its_catalog);
        tcase_add_test(tcase, test_locked);
        tcase_add_test(tcase, test_unreadable);
        tcase_add_loop_test(tcase, test_many_are_lost, 0, 2);
        tcase_add_test(tcase, test_nothing_can_be_said);
        tcase_add_test(tcase, test_nothing_is_left);
        tcase_add_test(tcase, test_killed_at_every_system_call);
        tcase_add_test(tcase, test_recovery_killed_at_every_system_call);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
