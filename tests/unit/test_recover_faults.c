/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * A start at which one allocation or system call fails, each in turn: it says so and leaves nothing
 * in memory, or it needs it not. The next start finds all that was named, bit for bit.
 */
#include "fault_calls.h"

#include <stddef.h>
#include <xxhash.h>

#include "base/error.h"
#include "store/lease.h"
#include "spill_kit.h"

#define OTHER 1001

static const struct op_id once = { true, "it was put here" }, both = { true, "a group of two." },
                          gone = { true, "it was deleted." };

static struct tensor *committed(struct store *store, struct tensor *tensor, const char *name)
{
        ck_assert_int_eq(kit_name(store, tensor_ref(tensor), name, NULL), 0);
        tensor_unref(tensor);
        return tensor;
}

static void name_two(struct store *store, struct user *user)
{
        static const char *const names[] = { "large", "pair" };
        struct commit commits[2] = { 0 };

        for (unsigned i = 0; i < 2; i++) {
                commits[i].tensor = i ? kit_small(store, user, 6)
                                      : kit_tensor(store, user, 5000, 5);
                ck_assert_int_eq(
                        store_reserve_name(store, user, names[i], false, &commits[i].reservation),
                        0);
        }
        ck_assert_int_eq(store_commit(store, commits, 2, &both), 0);
        tensor_unref(commits[0].tensor);
        tensor_unref(commits[1].tensor);
}

static void name_mutable(struct store *store, struct user *user)
{
        struct segment *segment = kit_segment(store, user, NULL, 8192);
        struct desc desc = kit_desc(1024), region = kit_desc(10);
        struct lease lease = { .is_lasting = true };
        struct tensor *tensor;

        ck_assert_int_eq(tensor_new(&tensor, store, user, &desc, segment, NULL, NULL), 0);
        ck_assert_int_eq(tensor_set_mutable(tensor), 0);
        ck_assert_int_eq(tensor_seal(tensor), 0);
        committed(store, tensor, "mutable");
        lease_begin(&lease, tensor, &region, true);
        ck_assert_int_eq(lease_record(&lease, (const uint8_t *)"of a killed one."), 0);
        lease_leave(&lease);
}

/* A catalog that holds every kind of record, and segments. */
static void first_life(void)
{
        struct store *store = spilling();
        struct user *user = kit_user(store, UID), *other = kit_user(store, OTHER);
        char path[200], random[2 * SHM_RANDOM + 1] = "";
        struct tensor *tensor;

        ck_assert_int_eq(kit_name(store, kit_small(store, user, 1), "gone", NULL), 0);
        ck_assert_int_eq(store_delete(store, UID, "gone", &gone), 0);
        ck_assert_int_eq(store_compaction_begin(store), 0);
        ck_assert_int_eq(store_compaction_copy(store), 0);
        ck_assert_int_eq(store_compaction_finish(store), 0);
        name_two(store, user);
        name_mutable(store, user);
        tensor = committed(store, kit_tensor(store, user, 3000, 3), "shared");
        ck_assert_int_eq(tensor_freeze(tensor, tensor->segment), 0);
        ck_assert_int_eq(store_share(store, tensor, true, NULL), 0);
        committed(store, kit_small(store, other, 7), "theirs");
        committed(store, kit_small(store, user, 8), "small");
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 2), "small", &once), 0);
        committed(store, kit_small(store, user, 9), "late");
        ck_assert_int_eq(store_delete(store, UID, "late", NULL), 0);
        put(store, "spilled", 11);
        out(store, "spilled");
        tensor = committed(store, kit_tensor(store, user, 2000, 4), "lost");
        for (unsigned i = 0; i < SHM_RANDOM; i++)
                sprintf(random + 2 * i, "%02x", tensor->segment->random[i]);
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".%u.%s", kit_directory, UID, random);
        ck_assert_int_eq(unlink(path), 0);
        user_unref(user);
        user_unref(other);
        store_free(store);
}

static bool is_as_it_was(struct store *store, uid_t uid, const char *name, double seed)
{
        struct tensor *tensor;

        return store_find(store, uid, name, &tensor) == 0 && kit_tensor_is(tensor, seed);
}

/* All of it, nothing else, and it was not torn. */
static void check_all(struct store *store, bool has_ledger)
{
        const struct desc whole = kit_desc(1024);
        struct store_figures figures = kit_check(store);
        struct tensor *tensor;

        ck_assert(is_as_it_was(store, UID, "small", 2) && is_as_it_was(store, UID, "large", 5) &&
                  is_as_it_was(store, UID, "pair", 6) && is_as_it_was(store, UID, "shared", 3) &&
                  is_as_it_was(store, OTHER, "theirs", 7));
        ck_assert_int_eq(store_find_shared(store, UID, "shared", &tensor), 0);
        ck_assert_int_eq(store_find_shared(store, UID, "large", &tensor), STORE_E_NOT_FOUND);
        ck_assert_int_eq(store_find(store, UID, "mutable", &tensor), 0);
        ck_assert(tensor->mutable && !tensor_torn(tensor, &whole));
        ck_assert_int_eq(!list_is_empty(&store->recovered), has_ledger);
        ck_assert_int_eq(store_find(store, UID, "lost", &tensor), STORE_E_LOST);
        ck_assert_int_eq(store_find(store, UID, "late", &tensor), STORE_E_NOT_FOUND);
        ck_assert_int_eq(store_recall(store, UID, &gone, &tensor), 0);
        ck_assert_ptr_null(tensor);
        ck_assert_int_eq(store_recall(store, UID, &once, &tensor), 0);
        ck_assert_str_eq(tensor_name(tensor), "small");
        ck_assert_int_eq(store_recall(store, UID, &both, &tensor), 0);
        ck_assert_str_eq(tensor_name(tensor), "large");
        ck_assert_str_eq(tensor_name(store_recall_name(store, UID, &both, "pair")), "pair");
        ck_assert(tensor_is_spilled(find(store, "spilled")));
        ck_assert_uint_eq(kit_spilled(""), 1);
        ck_assert_uint_eq(figures.n_names, 7);
        ck_assert_uint_eq(figures.n_lost, 1);
        ck_assert_uint_eq(figures.held, 0);
        ck_assert_uint_eq(kit_files(".new", NULL), 0);
        ck_assert_uint_eq(kit_files("1000.", NULL), 3);
}

/* ---- what a start finds beside it ---- */

static void leave_file(const char *suffix, int64_t n_bytes)
{
        char path[200];
        int fd;

        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".%s", kit_directory, suffix);
        fd = open(path, O_RDWR | O_CREAT, 0600);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(n_bytes ? posix_fallocate(fd, 0, n_bytes) : 0, 0);
        close(fd);
}

/* As the daemon left it that had no ledger. */
static void make_old(void)
{
        struct catalog_header header;
        char path[200];
        int fd;

        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".ledger", kit_directory);
        unlink(path);
        snprintf(path, sizeof(path), "%s/" KIT_PREFIX ".catalog", kit_directory);
        fd = open(path, O_RDWR);
        ck_assert_int_eq(pread(fd, &header, sizeof(header), 0), sizeof(header));
        header.version = CATALOG_VERSION_LEDGER - 1;
        header.check = XXH3_64bits(&header, offsetof(struct catalog_header, check));
        ck_assert_int_eq(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
        close(fd);
}

static unsigned n_lines(const char *path, const char *containing)
{
        FILE *file = fopen(path, "r");
        char line[4096];
        unsigned n = 0;

        while (fgets(line, sizeof(line), file))
                n += strstr(line, containing) != NULL;
        fclose(file);
        return n;
}

static unsigned n_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

enum kind { EMPTY, AS_IT_WAS, OLD };

static void prepare(enum kind kind)
{
        if (kind == EMPTY) {
                kit_clear();
                return;
        }
        leave_file("1000.0123456789abcdef0123456789abcdef", 12288);
        leave_file("1002.1123456789abcdef0123456789abcdef", 8192);
        leave_file("new.0123456789abcdef0123456789abcdef", 8192);
        leave_file("new.ffffffffffffffffffffffffffffffff", 8192);
        kit_spill_make("tensord.0123456789abcdef0123456789abcdef.npy");
        kit_spill_make("tensord.0123456789abcdef0123456789abcdef.part");
        if (kind == OLD)
                make_old();
}

/* Without the n-th of all allocations and calls; false: there are not so many. */
static bool start_without(long n, enum kind kind, unsigned *n_refusedp)
{
        struct store_config config = { .prefix = KIT_PREFIX,
                                       .directory = kit_directory,
                                       .spill_directory = kit_spill,
                                       .limit = LIMIT };
        unsigned n_open, n_mapped;
        struct store *store = NULL;
        char message[256];
        long n_live;
        bool has_failed;
        int r;

        prepare(kind);
        n_open = n_fds();
        n_mapped = n_lines("/proc/self/maps", kit_directory);
        n_live = faults_live;
        faults_after(n);
        r = store_new(&store, &config, message);
        has_failed = faults_end();
        if (r == 0)
                store_free(store);
        n_live = faults_live - n_live;
        ck_assert_msg(r == 0 || (has_failed && (r == -ENOMEM || r == -faults_error ||
                                                (r == STORE_E_FULL && faults_error == ENOSPC))),
                      "call %ld: %d", n, r);
        ck_assert_msg(r <= 0 || *message, "call %ld: %d without a word", n, r);
        ck_assert_msg(n_live == 0, "call %ld: %d: %ld pieces of memory left", n, r, n_live);
        ck_assert_msg(n_fds() == n_open, "call %ld: %d: a descriptor is left", n, r);
        ck_assert_uint_eq(n_lines("/proc/self/maps", kit_directory), n_mapped);
        *n_refusedp += r != 0;
        return has_failed;
}

START_TEST(test_every_call_fails)
{
        const enum kind kind = (enum kind)(_i / 2);
        unsigned n_refused = 0;
        bool has_failed = true;
        long n;

        faults_error = _i % 2 ? ENOSPC : EIO;
        if (kind != EMPTY)
                first_life();
        /* what is made once in a process */
        error_origin(-faults_error);
        store_free(spilling());
        for (n = 0; has_failed; n++) {
                struct store *store;

                ck_assert_int_lt(n, 10000);
                has_failed = start_without(n, kind, &n_refused);
                store = spilling();
                if (kind == EMPTY)
                        ck_assert_uint_eq(kit_check(store).n_names, 0);
                else
                        check_all(store, kind == AS_IT_WAS);
                store_free(store);
        }
        printf("recover: %ld calls failed, %u starts refused\n", n - 1, n_refused);
        ck_assert_uint_ge(n_refused, kind == EMPTY ? 10 : 50);
        kit_clear();
        clear_spill();
}
END_TEST

/* ---- what is left alone ---- */

/* Of two files of one number it is not known which is meant, 0 is no number, a link no file. */
START_TEST(test_what_is_left_alone)
{
        struct store *store;
        char link[200];

        store_free(kit_store(LIMIT));
        store = kit_store(LIMIT);
        ck_assert_int_eq(kit_name(store, kit_small(store, store->self, 1), "it", NULL), 0);
        store_free(store);
        leave_file("1000.0123456789abcdef0123456789abcdef", 0);
        leave_file("1001.0123456789abcdefaaaaaaaaaaaaaaaa", 0);
        leave_file("1000.00000000000000000000000000000000", 0);
        snprintf(link, sizeof(link), "%s/" KIT_PREFIX ".new.%032d", kit_directory, 1);
        ck_assert_int_eq(symlink("elsewhere", link), 0);
        store = kit_store(LIMIT);
        ck_assert_int_eq(unlink(link), 0);
        ck_assert_uint_eq(kit_files("0123456789abcdef", NULL), 1);
        ck_assert_uint_eq(kit_files(".00000000000000000000000000000000", NULL), 1);
        ck_assert(is_as_it_was(store, store->self->uid, "it", 1));
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        store_free(store);
        kit_clear();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("recover_faults");
        TCase *tcase = tcase_create("recover_faults");

        tcase_add_checked_fixture(tcase, kit_spill_begin, kit_spill_end);
        tcase_set_timeout(tcase, 60);
        if (FAULTS_WORK)
                tcase_add_loop_test(tcase, test_every_call_fails, 0, 6);
        tcase_add_test(tcase, test_what_is_left_alone);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
