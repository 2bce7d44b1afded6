/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Each call on the disk fails, once or lastingly, while tensors move to files and back: nothing is
 * lost, what lies in the directory is what is charged, and all works again when it does.
 */
#include "fault_calls.h"

#include "spill_kit.h"

#define LARGE (5 * 1024 * 1024) /* elements: the disk is waited for while it is written */

/* As long as it stays with what is there, or goes on without it. */
static void try_out(struct store *store, const char *name)
{
        struct tensor *tensor = find(store, name);

        store->spill.retry_ms = 0;
        if (!tensor_is_spilled(tensor) && may_go(tensor))
                spill_begin(store, tensor);
}

static void try_back(struct store *store, const char *name)
{
        struct tensor *tensor = tensor_ref(find(store, name));

        fetch(store, tensor);
        tensor_unref(tensor);
}

/* Of tensors, whole or not. */
static unsigned n_files(void)
{
        return kit_spilled(".npy") + kit_spilled(".part");
}

static void check_charges(struct store *store, uint64_t n_bytes)
{
        ck_assert_uint_eq(kit_check(store).spilled, n_files() * n_bytes);
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        ck_assert_uint_eq(store->spill.n_out, 0);
        ck_assert_uint_eq(store->spill.n_record_bytes, 0);
        users_check(store_users(store));
}

/* What could not be removed, or where that is not known, counts until it was. */
static void retry_removing(struct store *store)
{
        ck_assert_uint_ge(kit_check(store).spilled, n_files() * (TD_HEADER_BYTES + 8 * N));
        store->spill.remove_ms = 0;
        store_retry_held(store);
}

/* "a" goes and comes back, "b" goes and is deleted, "c" goes and stays; the n-th call fails. */
static bool live(struct store *store, long n)
{
        faults_after(n);
        try_out(store, "a");
        try_out(store, "b");
        try_back(store, "a");
        store_delete(store, UID, "b", NULL);
        try_out(store, "c");
        return faults_end();
}

/* All is there, also behind a restart, and moves again. */
static struct store *go_on(struct store *store, const char *where)
{
        struct tensor *tensor;

        retry_removing(store);
        ck_assert_msg(!store_has_held(store), "%s", where);
        ck_assert_uint_eq(n_files(), tensor_is_spilled(find(store, "a")) +
                                                   tensor_is_spilled(find(store, "c")));
        for (unsigned turn = 0; turn < 2; turn++) {
                check_charges(store, TD_HEADER_BYTES + 8 * N);
                ck_assert_msg(is_there(store, "a", 1) && is_there(store, "c", 3), "%s", where);
                ck_assert_int_eq(store_find(store, UID, "b", &tensor), STORE_E_NOT_FOUND);
                store->spill.retry_ms = 0;
                out(store, "a");
                store_free(store);
                store = spilling();
        }
        ck_assert(tensor_is_spilled(find(store, "a")) && is_there(store, "a", 1));
        return store;
}

/* With the directory its own already, or with that to be said first. */
START_TEST(test_every_call_fails)
{
        bool has_failed = true, is_owned = _i / 4;
        char path[80], where[80];
        struct store *store;
        long n;

        faults_error = _i % 2 ? ENOSPC : EIO;
        faults_lasting = _i / 2 % 2;
        faults_only = "";
        snprintf(path, sizeof(path), "%s/.tensord.new", kit_spill);
        for (n = 0; has_failed; n++) {
                snprintf(where, sizeof(where), "%s at call %ld%s", strerror(faults_error), n,
                         faults_lasting ? " on" : "");
                if (!is_owned)
                        ck_assert_int_eq(mkdir(path, 0700), 0);
                store = spilling();
                ck_assert_int_eq(store->spill.is_ours, is_owned);
                if (!is_owned)
                        ck_assert_int_eq(rmdir(path), 0);
                put(store, "a", 1);
                put(store, "b", 2);
                put(store, "c", 3);
                has_failed = live(store, n);
                store = go_on(store, where);
                forget(store);
        }
        ck_assert_int_gt(n, 40);
}
END_TEST

/* Without memory, too, a file that no name has is gone, or counts. */
START_TEST(test_removed_without_memory)
{
        bool has_failed = true;
        long n;

        faults_only = NULL;
        for (n = 0; has_failed; n++) {
                struct store *store = spilling();

                put(store, "a", 1);
                out(store, "a");
                faults_after(n);
                store_delete(store, UID, "a", NULL);
                has_failed = faults_end();
                retry_removing(store);
                check_charges(store, TD_HEADER_BYTES + 8 * N);
                forget(store);
        }
        ck_assert_int_gt(n, 1);
}
END_TEST

/* What is told only while it is written is heard. */
START_TEST(test_disk_fails_meanwhile)
{
        bool has_failed = true;
        struct store *store = spilling();
        struct user *user = kit_user(store, UID);
        long n;

        faults_error = _i ? ENOSPC : EIO;
        ck_assert_int_eq(kit_name(store, kit_tensor(store, user, LARGE, 1), "a", NULL), 0);
        for (n = 0; has_failed; n++) {
                store->spill.retry_ms = 0;
                faults_only = "sync_file_range";
                faults_after(n);
                ck_assert(may_go(find(store, "a")) && spill_begin(store, find(store, "a")));
                has_failed = faults_end();
                ck_assert_int_eq(tensor_is_spilled(find(store, "a")), !has_failed);
                check_charges(store, TD_HEADER_BYTES + 8 * LARGE);
        }
        ck_assert_int_eq(n, 4);
        ck_assert(is_there(store, "a", 1));
        user_unref(user);
        forget(store);
}
END_TEST

static unsigned n_scribbles;

/* Of data, not of a header. */
static void scribble(uint8_t *bytes, size_t n)
{
        if (n == 8 * N && n_scribbles > 0) {
                n_scribbles--;
                bytes[n / 2] ^= 1;
        }
}

/*
 * Somebody writes into the memory that it comes back to: not the file is damaged. What is found in
 * the daemon's own memory, too, is in the file.
 */
START_TEST(test_written_on_its_way_back)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct tensor *tensor;

        put(store, "a", 1);
        tensor = find(store, "a");
        ck_assert(spill_begin(store, tensor));
        work(&slow);
        faults_read = scribble;
        n_scribbles = 1;
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, STORE_E_POISONED);
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, 0);
        ck_assert(is_there(store, "a", 1));

        ck_assert(spill_begin(store, tensor));
        work(&slow);
        n_scribbles = 2;
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, STORE_E_LOST);
        ck_assert_uint_eq(kit_check(store).n_lost, 1);
        faults_read = NULL;
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(&slow);
        forget(store);
}
END_TEST

/* 0: its file was cut, 1: it is gone. What there is no memory to note is found out once more. */
START_TEST(test_lost_without_memory)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        char path[320];
        long n;

        put(store, "a", 1);
        ck_assert(spill_begin(store, find(store, "a")));
        work(&slow);
        kit_spill_first(".npy", path);
        ck_assert_int_eq(_i ? unlink(path) : truncate(path, 8192), 0);
        faults_only = NULL;
        for (n = 0; slow.fetched != STORE_E_LOST; n++) {
                ck_assert_uint_eq(kit_check(store).n_lost, 0);
                ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
                ck_assert_int_eq(fetch(store, find(store, "a")), 0);
                ck_assert_uint_eq(slow.n, 1);
                spill_job_run(slow.jobs[0]);
                slow.n = 0;
                faults_after(n);
                spill_job_done(slow.jobs[0]);
                faults_end();
                ck_assert(slow.fetched == -ENOMEM || slow.fetched == STORE_E_LOST);
        }
        ck_assert_int_eq(n, _i ? 2 : 3);
        kit_check_listed_lost(store, UID, "a", _i ? LOSS_FILE_MISSING : LOSS_FILE_DAMAGED, N);
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(&slow);
        ck_assert_uint_eq(kit_check(store).spilled, 0);
        forget(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("spill_faults");
        TCase *tcase = tcase_create("spill_faults");

        tcase_add_checked_fixture(tcase, kit_spill_begin, kit_spill_end);
        tcase_set_timeout(tcase, 60);
        if (FAULTS_WORK) {
                tcase_add_loop_test(tcase, test_every_call_fails, 0, 8);
                tcase_add_test(tcase, test_removed_without_memory);
                tcase_add_loop_test(tcase, test_disk_fails_meanwhile, 0, 2);
                tcase_add_test(tcase, test_written_on_its_way_back);
                tcase_add_loop_test(tcase, test_lost_without_memory, 0, 2);
        }
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
