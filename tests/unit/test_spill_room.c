/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Room for what moves to files: on the disk, in the catalog, and in the line of those that move.
 */
#include "spill_kit.h"

#include <sys/statvfs.h>

/* ---- on the disk ---- */

/* Whose share is used up, or too small for what was not used for longest, does not hide others. */
START_TEST(test_shares_are_passed_over)
{
        struct quotas quotas = { .each = { [RESOURCE_SPILLED] = 8 * N + 2 * TD_HEADER_BYTES } };
        struct store *store = kit_store_with(
                &(struct store_config){ .prefix = KIT_PREFIX,
                                        .directory = kit_directory,
                                        .spill_directory = kit_spill,
                                        .quotas = &quotas,
                                        .limit = KIT_MIB });
        struct user *user = kit_user(store, UID), *other = kit_user(store, UID + 1);
        struct tensor *tensor;

        ck_assert_int_eq(kit_name(store, kit_tensor(store, user, 2 * N, 1), "large", NULL), 0);
        put(store, "a", 2);
        put(store, "b", 3);
        ck_assert_int_eq(kit_name(store, kit_tensor(store, other, N, 4), "c", NULL), 0);
        ck_assert_int_eq(memory_relieve(store, other, 12 * N, false), 0);
        ck_assert_int_eq(store_find(store, UID + 1, "c", &tensor), 0);
        ck_assert(tensor_is_spilled(tensor) && !tensor_is_spilled(find(store, "a")));
        ck_assert_int_eq(memory_relieve(store, other, 18 * N, false), 0);
        ck_assert(tensor_is_spilled(find(store, "a")));
        ck_assert(!tensor_is_spilled(find(store, "large")));
        ck_assert(!tensor_is_spilled(find(store, "b")));
        ck_assert_int_eq(memory_relieve(store, other, 40 * N, false), STORE_E_LIMIT);
        ck_assert(!tensor_is_spilled(find(store, "b")));
        ck_assert_int_eq(store_delete(store, UID + 1, "c", NULL), 0);
        user_unref(other);
        user_unref(user);
        forget(store);
}
END_TEST

/* What the file system keeps for others is not taken. */
START_TEST(test_disk_is_left_to_others)
{
        struct statvfs st;
        struct store *store;

        ck_assert_int_eq(statvfs(kit_spill, &st), 0);
        store = kit_store_with(
                &(struct store_config){ .prefix = KIT_PREFIX,
                                        .directory = kit_directory,
                                        .spill_directory = kit_spill,
                                        .spill_free = (uint64_t)st.f_blocks * st.f_frsize,
                                        .limit = LIMIT });
        put(store, "a", 1);
        ck_assert(spill_begin(store, find(store, "a")));
        ck_assert(!tensor_is_spilled(find(store, "a")));
        ck_assert_uint_gt(spill_ready_in_ms(store, clock_now_ms()), 0);
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* ---- what the catalog has to say ---- */

/* Nothing is free any more: neither memory nor, in the catalog, room for one record. */
static void fill_up(struct store *store, struct charge *charge)
{
        struct user *user = kit_user(store, UID);
        const struct total *total = &store_users(store)->totals[RESOURCE_BYTES];
        char name[16];

        for (unsigned i = 0; catalog_growth_least(&store->catalog, 8192) == 0; i++) {
                snprintf(name, sizeof(name), "small%u", i);
                ck_assert_int_eq(kit_name(store, kit_small(store, user, i), name, NULL), 0);
        }
        while (catalog_growth_least(&store->catalog, 256) == 0)
                ck_assert_int_eq(name_say_again(store, find(store, "small0")->name), 0);
        charge_adopt(charge, user, RESOURCE_BYTES, total->limit - total->n);
        user_unref(user);
}

/* A daemon that is full to the last byte gets room: by one step beyond the limit, for a while. */
START_TEST(test_out_of_full_memory)
{
        struct store *store = spilling();
        const struct total *total = &store_users(store)->totals[RESOURCE_BYTES];
        struct charge charge = { 0 };
        uint64_t n_catalog;

        put(store, "a", 1);
        put(store, "b", 2);
        fill_up(store, &charge);
        n_catalog = store->catalog.file->n_bytes;
        ck_assert(may_go(find(store, "a")) && spill_begin(store, find(store, "a")));
        ck_assert(tensor_is_spilled(find(store, "a")));
        ck_assert_uint_eq(store->catalog.file->n_bytes, n_catalog + CATALOG_MIN);
        ck_assert_uint_le(total->n - store->pool.n_idle_bytes, total->limit);
        ck_assert_uint_eq(store->spill.n_record_bytes, 0);
        charge_drop(&charge);
        ck_assert(is_there(store, "a", 1) && is_there(store, "b", 2));
        forget(store);
}
END_TEST

/* Before it is read there is room to say that it is back; another goes for that. */
START_TEST(test_back_to_full_memory)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct charge charge = { 0 };
        struct segment *segment;
        struct tensor *tensor;
        bool is_ready;

        put(store, "a", 1);
        put(store, "b", 2);
        tensor = find(store, "a");
        ck_assert(spill_begin(store, tensor));
        work(&slow);
        for (unsigned turn = 0; turn < 2; turn++) {
                ck_assert_int_eq(store_reserve(store, tensor->user, NULL, 8 * N, &segment,
                                               &is_ready),
                                 0);
                if (turn == 0)
                        fill_up(store, &charge);
                tensor_ref(tensor);
                ck_assert_int_eq(store_fetch_prepare(store, tensor, segment, is_ready),
                                 turn ? 0 : STORE_E_TRIMMING);
                tensor_unref(tensor);
                ck_assert_int_eq(tensor_wants_fetch(tensor), turn == 0);
                if (turn == 0) {
                        ck_assert_uint_eq(slow.n, 1);
                        work(&slow);
                        ck_assert(tensor_is_spilled(find(store, "b")));
                        charge_drop(&charge);
                }
        }
        /* Dropped, all is as before; then it is done. */
        ck_assert_uint_gt(store->spill.n_record_bytes, 0);
        store_fetch_drop(tensor);
        store_fetch_drop(tensor);
        ck_assert_uint_eq(store->spill.n_record_bytes, 0);
        ck_assert(tensor_wants_fetch(tensor));
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        store_fetch_drop(tensor);
        ck_assert(is_there(store, "a", 1));
        ck_assert_int_eq(fetch(store, find(store, "b")), 0);
        work(&slow);
        ck_assert(is_there(store, "b", 2));
        forget(store);
}
END_TEST

/* "a" lies in a file, or is on its way there. */
static void leave(struct store *store, struct slow *slow, struct user *user, struct charge *charge)
{
        charge_drop(charge);
        user_unref(user);
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(slow);
        forget(store);
}

/*
 * A name finds no room in the catalog, and another tensor goes for that: 0, who can wait is told
 * so, and has it then; 1, who cannot has it at once; 2, one is shared.
 */
START_TEST(test_names_in_full_memory)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct charge charge = { 0 };
        struct user *user = kit_user(store, UID);
        const struct total *total = &store_users(store)->totals[RESOURCE_BYTES];
        struct commit commit = { 0 };
        int r = -1;

        put(store, "a", 1);
        put(store, "b", 2);
        commit.tensor = kit_small(store, user, 3);
        ck_assert_int_eq(store_reserve_name(store, user, "c", false, &commit.reservation), 0);
        fill_up(store, &charge);
        for (unsigned turn = 0; turn < 2 && r; turn++) {
                if (_i == 0)
                        r = store_commit(store, &commit, 1, NULL);
                else if (_i == 1)
                        r = store_commit_now(store, &commit, 1, NULL);
                else
                        r = store_share(store, find(store, "small0"), true, NULL);
                ck_assert_int_eq(r, _i != 1 && turn == 0 ? STORE_E_TRIMMING : 0);
                ck_assert_uint_eq(slow.n, turn == 0);
                ck_assert_uint_eq(commit.record.n, 0);
                work(&slow);
        }
        ck_assert(tensor_is_spilled(find(store, "a")) && !tensor_is_spilled(find(store, "b")));
        ck_assert_uint_le(total->n - store->pool.n_idle_bytes, total->limit);
        ck_assert_int_eq(tensor_is_shared(find(store, "small0")), _i == 2);
        reservation_free(commit.reservation);
        tensor_unref(commit.tensor);
        leave(store, &slow, user, &charge);
}
END_TEST

/* It has grown as far as it is mapped: what goes for a name is as much as a new one takes. */
START_TEST(test_names_in_a_catalog_that_grows_no_more)
{
        enum { N_BEHIND = 12 };
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct charge charge = { 0 };
        struct user *user = kit_user(store, UID);
        const struct total *total = &store_users(store)->totals[RESOURCE_BYTES];
        const struct catalog_file *file = store->catalog.file;
        const uint64_t n_mapped = file->n_mapped;
        struct commit commit = { .tensor = kit_small(store, user, 1) };
        char name[251];

        put(store, "a", 1);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 0), "small0", NULL), 0);
        for (unsigned i = 0; i < N_BEHIND; i++) {
                snprintf(name, sizeof(name), "behind%u", i);
                put(store, name, i);
        }
        ck_assert_int_eq(store_reserve_name(store, user, "c", false, &commit.reservation), 0);
        for (unsigned i = 0; file->n_bytes < n_mapped ||
                             catalog_growth_least(&store->catalog, 8192) == 0;
             i++) {
                snprintf(name, sizeof(name), "%0250u", i);
                ck_assert_int_eq(kit_name(store, kit_small(store, user, i), name, NULL), 0);
        }
        ck_assert_ptr_eq(store->catalog.file, file);
        fill_up(store, &charge);
        charge_drop(&charge);
        /* It could grow by a step, if it could. */
        charge_adopt(&charge, user, RESOURCE_BYTES, total->limit - total->n - CATALOG_MIN);

        ck_assert_int_eq(store_commit(store, &commit, 1, NULL), STORE_E_TRIMMING);
        while (slow.n > 0)
                work(&slow);
        ck_assert_int_eq(store_commit(store, &commit, 1, NULL), 0);
        ck_assert(store->catalog.file->n_mapped > n_mapped);
        ck_assert(tensor_is_spilled(find(store, "a")));
        ck_assert_uint_le(total->n - store->pool.n_idle_bytes, total->limit);
        reservation_free(commit.reservation);
        tensor_unref(commit.tensor);
        for (unsigned i = 0; i < N_BEHIND; i++) {
                snprintf(name, sizeof(name), "behind%u", i);
                ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
        }
        leave(store, &slow, user, &charge);
}
END_TEST

/* What was shared is hidden at once, however full it is. */
START_TEST(test_hidden_in_full_memory)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct charge charge = { 0 };
        struct user *user = kit_user(store, UID);

        put(store, "a", 1);
        put(store, "b", 2);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 3), "shown", NULL), 0);
        ck_assert_int_eq(store_share(store, find(store, "shown"), true, NULL), 0);
        fill_up(store, &charge);
        ck_assert_int_eq(store_share(store, find(store, "shown"), false, NULL), 0);
        ck_assert(!tensor_is_shared(find(store, "shown")) && slow.n == 0);
        charge_drop(&charge);
        user_unref(user);
        forget(store);
}
END_TEST

/* However much is named while the disk is at it, little is lent. */
START_TEST(test_names_while_the_disk_is_slow)
{
        enum { N_NAMES = 400 };
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct charge charge = { 0 };
        struct user *user = kit_user(store, UID);
        const struct total *total = &store_users(store)->totals[RESOURCE_BYTES];
        struct commit commits[N_NAMES] = { { .tensor = NULL } };
        unsigned n_named = 0, n_refused = 0;

        put(store, "a", 1);
        put(store, "b", 2);
        for (unsigned i = 0; i < N_NAMES; i++) {
                char name[251];

                snprintf(name, sizeof(name), "%0250u", i);
                commits[i].tensor = kit_small(store, user, i);
                ck_assert_int_eq(
                        store_reserve_name(store, user, name, false, &commits[i].reservation), 0);
        }
        fill_up(store, &charge);
        for (unsigned i = 0; i < N_NAMES; i++) {
                int r = store_commit_now(store, &commits[i], 1, NULL);

                ck_assert(r == 0 || r == STORE_E_LIMIT);
                n_named += r == 0;
                n_refused += r != 0;
                ck_assert_uint_le(total->n, total->limit + 64 * 1024);
        }
        ck_assert_uint_gt(n_named, 50);
        ck_assert_uint_gt(n_refused, 50);
        work(&slow);
        ck_assert_uint_le(total->n - store->pool.n_idle_bytes, total->limit);
        for (unsigned i = 0; i < N_NAMES; i++) {
                reservation_free(commits[i].reservation);
                tensor_unref(commits[i].tensor);
        }
        leave(store, &slow, user, &charge);
}
END_TEST

/* The file is written, but the catalog cannot say so: it goes, and the disk is left alone. */
START_TEST(test_not_said)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        uint64_t wait_ms = 0;

        once_reset(NULL);
        put(store, "a", 1);
        put(store, "b", 2);
        for (unsigned turn = 0; turn < 3; turn++) {
                store->spill.retry_ms = 0;
                ck_assert(spill_begin(store, find(store, "a")));
                ck_assert(spill_begin(store, find(store, "b")));
                spill_job_run(slow.jobs[0]);
                ck_assert_uint_eq(kit_spilled(".npy"), 1);
                atomic_store(&store->catalog.file->is_poisoned, true);
                spill_job_done(slow.jobs[0]);
                atomic_store(&store->catalog.file->is_poisoned, false);
                slow.n--;
                memmove(slow.jobs, slow.jobs + 1, slow.n * sizeof(slow.jobs[0]));
                work(&slow);
                ck_assert(!tensor_is_spilled(find(store, "a")));
                ck_assert(!tensor_is_spilled(find(store, "b"))); /* it was not tried */
                ck_assert_uint_eq(kit_spilled(""), 0);
                ck_assert_uint_gt(store->spill.wait_ms, wait_ms);
                ck_assert_uint_gt(spill_ready_in_ms(store, clock_now_ms()), 0);
                wait_ms = store->spill.wait_ms;
        }
        ck_assert(once_is_counting()); /* said once */
        ck_assert(spill_begin(store, find(store, "a")));
        work(&slow);
        ck_assert(tensor_is_spilled(find(store, "a")));
        ck_assert_uint_eq(store->spill.wait_ms, 0);
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(&slow);
        forget(store);
        once_reset(NULL);
}
END_TEST

/* However often it is said where a value lies, what its operation came to is said once. */
START_TEST(test_said_again)
{
        struct store *store = spilling();
        struct user *user = kit_user(store, UID);
        struct op_id id = { .is_set = true, .bytes = "said once" };
        struct commit commits[2] = { 0 };
        struct tensor *tensor;
        uint64_t n_bytes;

        for (unsigned i = 0; i < 2; i++) {
                ck_assert_int_eq(store_reserve_name(store, user, i ? "b" : "a", false,
                                                    &commits[i].reservation),
                                 0);
                commits[i].tensor = kit_tensor(store, user, N, i + 1);
        }
        ck_assert_int_eq(store_commit(store, commits, 2, &id), 0);
        n_bytes = store->catalog.tail;
        for (unsigned i = 0; i < 2; i++)
                tensor_unref(commits[i].tensor);
        for (unsigned turn = 0; turn < 100; turn++) {
                out(store, "a");
                ck_assert(is_there(store, "a", 1));
                out(store, "b");
                ck_assert(turn == 99 || is_there(store, "b", 2));
        }
        ck_assert_int_eq(store_compaction_begin(store), 0);
        ck_assert_int_eq(store_compaction_copy(store), 0);
        ck_assert_int_eq(store_compaction_finish(store), 0);
        ck_assert_uint_eq(store->catalog.tail, n_bytes);
        for (unsigned turn = 0; turn < 2; turn++) {
                ck_assert_int_eq(store_recall(store, UID, &id, &tensor), 0);
                ck_assert_str_eq(tensor_name(tensor), "a");
                ck_assert_ptr_nonnull(store_recall_name(store, UID, &id, "b"));
                user_unref(user);
                store_free(store);
                store = spilling();
                user = kit_user(store, UID);
        }
        ck_assert(is_there(store, "a", 1) && is_there(store, "b", 2));
        user_unref(user);
        forget(store);
}
END_TEST

/* ---- whose turn it is ---- */

/* Do the only one of that kind: the name of its tensor. */
static const char *work_at(struct slow *slow, int kind)
{
        struct spill_job *job = NULL;
        const char *name;
        unsigned at = 0;

        for (unsigned i = 0; i < slow->n; i++) {
                if ((int)slow->jobs[i]->kind != kind)
                        continue;
                ck_assert_ptr_null(job);
                job = slow->jobs[i];
                at = i;
        }
        ck_assert_ptr_nonnull(job);
        slow->jobs[at] = slow->jobs[--slow->n];
        name = tensor_name(job->tensor);
        spill_job_run(job);
        spill_job_done(job);
        return name;
}

/* One is written at a time, of users by turns; what comes back does not stand behind them. */
START_TEST(test_turns)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct user *other = kit_user(store, UID + 1);
        struct tensor *theirs;

        put(store, "a", 1);
        put(store, "b", 2);
        put(store, "c", 3);
        ck_assert_int_eq(kit_name(store, kit_tensor(store, other, N, 4), "d", NULL), 0);
        ck_assert_int_eq(store_find(store, UID + 1, "d", &theirs), 0);
        ck_assert(spill_begin(store, find(store, "a")));
        work(&slow);
        ck_assert(spill_begin(store, find(store, "b")) && spill_begin(store, find(store, "c")) &&
                  spill_begin(store, theirs));
        ck_assert_uint_eq(store->spill.n_out, 3);
        ck_assert_int_eq(fetch(store, find(store, "a")), 0);
        ck_assert_uint_eq(slow.n, 2);
        ck_assert_str_eq(work_at(&slow, SPILL_OUT), "b");
        ck_assert_str_eq(work_at(&slow, SPILL_BACK), "a");
        ck_assert_str_eq(work_at(&slow, SPILL_OUT), "d");
        ck_assert_str_eq(work_at(&slow, SPILL_OUT), "c");
        ck_assert_uint_eq(store->spill.n_out, 0);
        ck_assert(tensor_is_spilled(theirs) && kit_tensor_is(find(store, "a"), 1));
        ck_assert_int_eq(store_delete(store, UID + 1, "d", NULL), 0);
        ck_assert_int_eq(store_delete(store, UID, "b", NULL), 0);
        ck_assert_int_eq(store_delete(store, UID, "c", NULL), 0);
        work(&slow);
        user_unref(other);
        forget(store);
}
END_TEST

/* The daemon is told to end: what is being written stays in memory, nothing is waited for. */
START_TEST(test_stopped)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);

        put(store, "a", 1);
        put(store, "b", 2);
        ck_assert(spill_begin(store, find(store, "a")) && spill_begin(store, find(store, "b")));
        store_stop_spilling(store);
        ck_assert_uint_eq(spill_ready_in_ms(store, clock_now_ms()), UINT64_MAX);
        work(&slow);
        ck_assert_uint_eq(store->spill.n_out, 0);
        ck_assert_uint_eq(kit_spilled(""), 0);
        ck_assert(is_there(store, "a", 1) && is_there(store, "b", 2));
        forget(store);
}
END_TEST

static void put_evictable(struct store *store, const char *name, double seed)
{
        struct user *user = kit_user(store, UID);
        struct commit commit = { .tensor = kit_tensor(store, user, N, seed), .is_evictable = true };

        ck_assert_int_eq(store_reserve_name(store, user, name, false, &commit.reservation), 0);
        ck_assert_int_eq(store_commit(store, &commit, 1, NULL), 0);
        tensor_unref(commit.tensor);
        user_unref(user);
}

/* Who waits for memory keeps none by what it refers to, unless that is evictable. */
START_TEST(test_resting)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct tensor *tensor;

        put(store, "a", 1);
        tensor = tensor_ref(find(store, "a"));
        ck_assert(!may_go(tensor));
        tensor_rest(tensor, true);
        ck_assert(may_go(tensor) && spill_begin(store, tensor));
        /* It goes on meanwhile: it is not taken away. */
        tensor_rest(tensor, false);
        work(&slow);
        ck_assert(!tensor_is_spilled(tensor));
        tensor_rest(tensor, true);
        ck_assert(may_go(tensor) && spill_begin(store, tensor));
        work(&slow);
        ck_assert(tensor_is_spilled(tensor));
        tensor_rest(tensor, false);
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        ck_assert(kit_tensor_is(tensor, 1));
        tensor_unref(tensor);

        put_evictable(store, "e", 2);
        tensor = tensor_ref(find(store, "e"));
        tensor_rest(tensor, true);
        ck_assert(list_is_empty(&tensor->unused_link));
        tensor_rest(tensor, false);
        tensor_unref(tensor);
        forget(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("spill_room");
        TCase *tcase = tcase_create("spill_room");

        tcase_add_checked_fixture(tcase, kit_spill_begin, kit_spill_end);
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, test_shares_are_passed_over);
        tcase_add_test(tcase, test_disk_is_left_to_others);
        tcase_add_test(tcase, test_out_of_full_memory);
        tcase_add_test(tcase, test_back_to_full_memory);
        tcase_add_loop_test(tcase, test_names_in_full_memory, 0, 3);
        tcase_add_test(tcase, test_names_in_a_catalog_that_grows_no_more);
        tcase_add_test(tcase, test_hidden_in_full_memory);
        tcase_add_test(tcase, test_names_while_the_disk_is_slow);
        tcase_add_test(tcase, test_not_said);
        tcase_add_test(tcase, test_said_again);
        tcase_add_test(tcase, test_turns);
        tcase_add_test(tcase, test_stopped);
        tcase_add_test(tcase, test_resting);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
