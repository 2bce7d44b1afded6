/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Tensors that move to files and back, and what happens to them meanwhile.
 */
#include "spill_kit.h"

#include <sys/statvfs.h>

/* ---- there and back ---- */

START_TEST(test_out_and_back)
{
        struct store *store = spilling();
        struct tensor *tensor;
        uint8_t id[16];
        struct user *user = kit_user(store, UID);

        put(store, "a", 1);
        put(store, "b", 2);
        tensor = find(store, "a");
        memcpy(id, tensor->id, 16);
        out(store, "a");
        ck_assert_uint_eq(kit_spilled(".npy"), 1);
        ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
        ck_assert_uint_eq(user->used[RESOURCE_SPILLED], TD_HEADER_BYTES + 8 * N);
        ck_assert_uint_eq(kit_check(store).live, segment_map_bytes(find(store, "b")->segment));
        /* It stays what it was: the same name, id and description. */
        ck_assert_ptr_eq(find(store, "a"), tensor);
        ck_assert_mem_eq(tensor->id, id, 16);
        ck_assert_int_eq(tensor->state, TENSOR_SEALED);
        ck_assert_ptr_null(tensor->segment);
        ck_assert(is_there(store, "a", 1));
        ck_assert(is_there(store, "b", 2));
        ck_assert_uint_eq(kit_spilled(""), 0);
        ck_assert_uint_eq(kit_check(store).spilled, 0);
        ck_assert_uint_eq(user->used[RESOURCE_SPILLED], 0);
        user_unref(user);
        forget(store);
}
END_TEST

static void on_trim(struct holder *holder, const uint64_t *segments, uint32_t n_segments)
{
        (void)holder;
        (void)segments;
        (void)n_segments;
}

/* What is used, mapped, written, small or unnamed stays. */
START_TEST(test_what_is_used_stays)
{
        struct store *store = spilling();
        struct user *user = kit_user(store, UID);
        struct tensor *tensor, *unnamed = kit_tensor(store, user, N, 9);
        struct kit_child child;
        struct holder holder;
        void *map;
        bool is_new;
        int fd;

        put(store, "a", 1);
        tensor = find(store, "a");
        ck_assert(!may_go(unnamed));
        tensor_unref(unnamed);
        ck_assert_int_eq(kit_name(store, kit_small(store, user, 2), "small", NULL), 0);
        ck_assert(!may_go(find(store, "small")));

        ck_assert(may_go(tensor));
        tensor_ref(tensor);
        ck_assert(!may_go(tensor));
        tensor_unref(tensor);
        segment_ref(tensor->segment);
        ck_assert(!may_go(tensor));
        segment_unref(tensor->segment);

        /* One connection has it, or a process that none explains. */
        holder_init(&holder, user, on_trim);
        ck_assert_int_eq(store_grant(store, &holder, tensor->segment, false, &is_new), 0);
        ck_assert(!may_go(tensor));
        fd = segment_open(tensor->segment, false);
        map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(map, MAP_FAILED);
        close(fd);
        child = kit_child_begin();
        munmap(map, 4096);
        store_unmap(store, &holder, segment_id(tensor->segment));
        ck_assert(!may_go(tensor));
        kit_child_end(&child);
        ck_assert(may_go(tensor));
        holder_deinit(store, &holder);
        out(store, "a");
        ck_assert(is_there(store, "a", 1));
        user_unref(user);
        forget(store);
}
END_TEST

/* 0: deleted, 1: replaced, 2: deleted behind a restart */
START_TEST(test_file_goes_with_the_name)
{
        struct store *store = spilling();

        put(store, "a", 1);
        put(store, "b", 2);
        out(store, "a");
        out(store, "b");
        if (_i == 2) {
                store_free(store);
                ck_assert_uint_eq(kit_spilled(".npy"), 2);
                store = spilling();
        }
        if (_i == 1)
                put(store, "a", 5);
        else
                ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        ck_assert_uint_eq(kit_spilled(""), 1);
        ck_assert(is_there(store, "b", 2));
        ck_assert(_i != 1 || is_there(store, "a", 5));
        forget(store);
}
END_TEST

/* A restart finds it where it was, behind a compaction too; shared ones still are. */
START_TEST(test_restarts)
{
        struct store *store = spilling();
        struct tensor *tensor;

        put(store, "a", 1);
        put(store, "b", 2);
        ck_assert_int_eq(store_share(store, find(store, "a"), true, NULL), 0);
        out(store, "a");
        for (unsigned i = 0; i < 3; i++) {
                store_free(store);
                ck_assert_uint_eq(kit_spilled(""), 1);
                store = spilling();
                ck_assert(tensor_is_spilled(find(store, "a")));
                ck_assert_int_eq(store_find_shared(store, UID, "a", &tensor), 0);
                ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
                ck_assert_uint_eq(kit_check(store).n_names, 2);
                ck_assert_int_eq(store_compaction_begin(store), 0);
                ck_assert_int_eq(store_compaction_copy(store), 0);
                ck_assert_int_eq(store_compaction_finish(store), 0);
        }
        ck_assert(is_there(store, "a", 1));
        store_free(store);
        store = spilling();
        ck_assert(!tensor_is_spilled(find(store, "a")));
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* ---- the disk ---- */

/* While the file is written, the tensor 0: is used, 1: deleted, 2: replaced, 3: cut, 4: moved */
START_TEST(test_out_overtaken)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct tensor *tensor;
        char path[320];

        put(store, "a", 1);
        tensor = find(store, "a");
        ck_assert(spill_begin(store, tensor) && slow.n == 1);
        ck_assert(store->spill.n_out == 1 && !may_go(tensor));
        if (_i == 0) {
                tensor_ref(tensor);
        } else if (_i == 1) {
                ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        } else if (_i == 2) {
                put(store, "a", 5);
        } else if (_i == 3) {
                kit_first("1000.", path);
                ck_assert_int_eq(truncate(path, 8192), 0);
        } else {
                struct segment *copy = kit_segment(store, tensor->user, NULL, 8 * N);

                ck_assert_int_eq(segment_pin(copy), 0);
                for (int i = 0; i < N; i++)
                        ((double *)segment_data(copy))[i] = kit_value(i, 1);
                segment_unpin(copy);
                ck_assert_int_eq(store_share(store, tensor, true, copy), 0);
        }
        work(&slow);
        ck_assert(store->spill.n_out == 0);
        ck_assert_uint_eq(kit_spilled(""), 0);
        ck_assert_uint_eq(store_users(store)->totals[RESOURCE_SPILLED].n, 0);
        if (_i == 0) {
                ck_assert(!tensor_is_spilled(tensor));
                tensor_unref(tensor);
        }
        ck_assert(_i == 1 || _i == 3 || is_there(store, "a", _i == 2 ? 5 : 1));
        ck_assert(_i != 3 || segment_is_poisoned(find(store, "a")->segment));
        forget(store);
}
END_TEST

/* Two ask for it, one fetch; then the name goes while it is on its way. */
START_TEST(test_back_overtaken)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct tensor *tensor;

        put(store, "a", 1);
        tensor = find(store, "a");
        ck_assert(spill_begin(store, tensor));
        work(&slow);
        ck_assert(tensor_is_spilled(tensor));
        ck_assert_int_eq(fetch(store, tensor), 0);
        ck_assert_int_eq(fetch(store, tensor), 0);
        ck_assert_uint_eq(slow.n, 1);
        tensor_ref(tensor);
        if (_i == 0)
                ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        else
                store_stop_spilling(store);
        work(&slow);
        ck_assert_uint_eq(slow.n_fetched, 1);
        ck_assert_int_eq(slow.fetched, _i == 0 ? 0 : -ECANCELED);
        ck_assert_int_eq(tensor_is_spilled(tensor), _i == 1);
        ck_assert(_i == 1 || kit_tensor_is(tensor, 1));
        ck_assert_uint_eq(kit_spilled(""), _i == 1);
        tensor_unref(tensor);
        if (_i == 1)
                ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(&slow);
        forget(store);
}
END_TEST

/* The disk fills up, has no room to begin with, or goes: nothing is lost, and it is left alone. */
START_TEST(test_disk_fails)
{
        struct slow slow = { .n = 0 };
        struct store *store;
        struct statvfs st;
        const char *message = "mounting a file system needs root";

        if (mount("tmpfs", kit_spill, "tmpfs", 0, "size=256k,mode=700") < 0) {
                puts(message);
                return;
        }
        once_reset(NULL);
        store = slowly(&slow);
        put(store, "a", 1);
        put(store, "b", 2);
        put(store, "c", 3);
        ck_assert_uint_eq(spill_ready_in_ms(store, clock_now_ms()), 0);
        for (unsigned i = 0; i < 3; i++)
                ck_assert(spill_begin(store, find(store, (const char *[]){ "a", "b", "c" }[i])));
        work(&slow); /* there is room for one; the third is not tried */
        ck_assert(tensor_is_spilled(find(store, "a")));
        ck_assert(!tensor_is_spilled(find(store, "b")) && !tensor_is_spilled(find(store, "c")));
        ck_assert_uint_gt(spill_ready_in_ms(store, clock_now_ms()), 0);
        ck_assert_uint_le(spill_ready_in_ms(store, clock_now_ms()), SPILL_RETRY_MS);
        ck_assert_uint_eq(kit_spilled(".npy"), 1);
        ck_assert_uint_eq(kit_spilled(""), 1);
        ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
        ck_assert_int_eq(statvfs(kit_spill, &st), 0);
        ck_assert_uint_ge(st.f_bavail * st.f_frsize, 64 * 1024);
        store->spill.retry_ms = 0;
        ck_assert_uint_eq(spill_ready_in_ms(store, clock_now_ms()), 0);
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        work(&slow);
        ck_assert(spill_begin(store, find(store, "b")));
        work(&slow);
        ck_assert(tensor_is_spilled(find(store, "b")));
        ck_assert_int_eq(fetch(store, find(store, "b")), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, 0);
        ck_assert(is_there(store, "b", 2) && is_there(store, "c", 3));
        forget(store);
        ck_assert_int_eq(umount(kit_spill), 0);
}
END_TEST

/* A file that cannot be removed is tried again, and counts until then. */
START_TEST(test_removed_later)
{
        struct store *store = spilling();
        uint64_t n_wait_ms = 0;
        char path[320];

        put(store, "a", 1);
        out(store, "a");
        kit_spill_first(".npy", path);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        once_reset(NULL);
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        ck_assert(store_has_held(store));
        ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
        store_retry_held(store);
        ck_assert_uint_eq(kit_check(store).spilled, TD_HEADER_BYTES + 8 * N);
        for (unsigned turn = 1; turn < 10; turn++) { /* said once, and ever less often */
                ck_assert_int_eq(once_is_counting(), turn > 1);
                ck_assert_uint_gt(store->spill.remove_wait_ms, n_wait_ms);
                n_wait_ms = turn > 6 ? 0 : store->spill.remove_wait_ms;
                store->spill.remove_ms = 0;
                store_retry_held(store);
        }
        ck_assert_uint_eq(store->spill.remove_wait_ms, SPILL_REMOVE_MAX_MS);
        ck_assert_int_eq(rmdir(path), 0);
        store_retry_held(store);
        ck_assert(store_has_held(store)); /* not so soon */
        store->spill.remove_ms = 0;
        store_retry_held(store);
        ck_assert(!store_has_held(store));
        ck_assert_uint_eq(store->spill.remove_wait_ms, 0);
        ck_assert_uint_eq(kit_check(store).spilled, 0);
        once_reset(NULL);
        forget(store);
}
END_TEST

/* The memory that it comes back to is cut by somebody: not the file is damaged. */
START_TEST(test_cut_on_its_way_back)
{
        struct slow slow = { .n = 0 };
        struct store *store = slowly(&slow);
        struct tensor *tensor;
        char path[320];

        put(store, "a", 1);
        tensor = find(store, "a");
        ck_assert(spill_begin(store, tensor));
        work(&slow);
        ck_assert_int_eq(fetch(store, tensor), 0); /* to memory that was there already */
        kit_first("1000.", path);
        ck_assert_int_eq(truncate(path, _i ? 8192 : 0), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, STORE_E_POISONED);
        ck_assert_uint_eq(kit_check(store).n_lost, 0);
        ck_assert_int_eq(fetch(store, tensor), 0);
        work(&slow);
        ck_assert_int_eq(slow.fetched, 0);
        ck_assert(is_there(store, "a", 1));
        forget(store);
}
END_TEST

/* A user's share of the disk is not what was asked for: the refusal that is told stays. */
START_TEST(test_share_of_the_disk)
{
        struct quotas quotas = { .each = { [RESOURCE_SPILLED] = 8 * N + TD_HEADER_BYTES } };
        struct store *store = kit_store_with(
                &(struct store_config){ .prefix = KIT_PREFIX,
                                        .directory = kit_directory,
                                        .spill_directory = kit_spill,
                                        .quotas = &quotas,
                                        .limit = LIMIT });
        struct user *user = kit_user(store, UID);

        put(store, "a", 1);
        put(store, "b", 2);
        out(store, "a");
        ck_assert_int_ne(user_may_take(user, RESOURCE_BYTES, 2 * LIMIT), 0);
        ck_assert(!spill_begin(store, find(store, "b")));
        ck_assert_int_eq(store_users(store)->refusal.resource, RESOURCE_BYTES);
        ck_assert_uint_eq(store_users(store)->refusal.asked, 2 * LIMIT);
        ck_assert(is_there(store, "b", 2));
        ck_assert_int_eq(store_delete(store, UID, "a", NULL), 0);
        ck_assert(spill_begin(store, find(store, "b")));
        user_unref(user);
        forget(store);
}
END_TEST

/* ---- at random ---- */

START_TEST(test_random_lives)
{
        unsigned seed = 4711, n_outs = 0, n_backs = 0;
        double seeds[6] = { 0 };
        struct store *store = spilling();

        for (unsigned turn = 0; turn < 1500; turn++) {
                unsigned i = (unsigned)rand_r(&seed) % 6;
                char name[2] = { (char)('a' + i), '\0' };
                struct tensor *tensor;

                switch (rand_r(&seed) % 8) {
                case 0:
                        seeds[i] = turn + 1;
                        put(store, name, seeds[i]);
                        break;
                case 1:
                        if (seeds[i] > 0)
                                ck_assert_int_eq(store_delete(store, UID, name, NULL), 0);
                        seeds[i] = 0;
                        break;
                case 2:
                case 3:
                case 4:
                        if (seeds[i] > 0 && !tensor_is_spilled(find(store, name)))
                                out(store, name), n_outs++;
                        break;
                case 5:
                        store_free(store);
                        store = spilling();
                        break;
                default:
                        n_backs += seeds[i] > 0 && tensor_is_spilled(find(store, name));
                        ck_assert(seeds[i] > 0
                                          ? is_there(store, name, seeds[i])
                                          : store_find(store, UID, name, &tensor) != 0);
                        break;
                }
                ck_assert_uint_eq(kit_check(store).spilled,
                                  kit_spilled("") * (uint64_t)(TD_HEADER_BYTES + 8 * N));
                users_check(store_users(store));
        }
        ck_assert_uint_gt(n_outs, 100);
        ck_assert_uint_gt(n_backs, 30);
        forget(store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("spill");
        TCase *tcase = tcase_create("spill");

        tcase_add_checked_fixture(tcase, kit_spill_begin, kit_spill_end);
        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, test_out_and_back);
        tcase_add_test(tcase, test_what_is_used_stays);
        tcase_add_loop_test(tcase, test_file_goes_with_the_name, 0, 3);
        tcase_add_test(tcase, test_restarts);
        tcase_add_loop_test(tcase, test_out_overtaken, 0, 5);
        tcase_add_loop_test(tcase, test_back_overtaken, 0, 2);
        tcase_add_test(tcase, test_disk_fails);
        tcase_add_test(tcase, test_removed_later);
        tcase_add_loop_test(tcase, test_cut_on_its_way_back, 0, 2);
        tcase_add_test(tcase, test_share_of_the_disk);
        tcase_add_test(tcase, test_random_lives);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
