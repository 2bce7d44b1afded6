/* layer: store */
/* SPDX-License-Identifier: MIT */
#include "store_kit.h"

#define LIMIT (64 * KIT_MIB)
#define SIZE (100 * 1000)

static unsigned n_freed, n_trims;
static uint64_t trimmed[64];
static struct holder *trimmed_of[64];
static struct segment *disposing[64];
static unsigned n_disposing;

static void on_freed(void *ctx)
{
        (void)ctx;
        n_freed++;
}

static void on_trim(struct holder *holder, const uint64_t *segments, uint32_t n_segments)
{
        for (uint32_t i = 0; i < n_segments; i++) {
                ck_assert_uint_lt(n_trims, ARRAY_SIZE(trimmed));
                trimmed_of[n_trims] = holder;
                trimmed[n_trims++] = segments[i];
        }
}

static void on_dispose(void *ctx, struct segment *segment)
{
        (void)ctx;
        ck_assert_uint_lt(n_disposing, ARRAY_SIZE(disposing));
        disposing[n_disposing++] = segment;
}

static void dispose_all(struct store *store)
{
        while (n_disposing > 0) {
                segment_destroy(disposing[--n_disposing]);
                store_disposed(store, disposing[n_disposing]);
        }
}

/* What a client does with a descriptor. */
static void *client_map(const struct segment *segment, bool writable)
{
        int fd = segment_open(segment, writable);
        void *map;

        ck_assert_int_ge(fd, 0);
        map = mmap(NULL, segment_map_bytes(segment), writable ? PROT_READ | PROT_WRITE : PROT_READ,
                   MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(map, MAP_FAILED);
        close(fd);
        return map;
}

static void client_unmap(void *map, uint64_t n_bytes)
{
        ck_assert_int_eq(munmap(map, n_bytes), 0);
}

static void grant(struct store *store, struct holder *holder, struct segment *segment,
                  bool writable)
{
        bool is_new;

        ck_assert_int_eq(store_grant(store, holder, segment, writable, &is_new), 0);
        ck_assert(is_new);
}

START_TEST(test_reused_by_its_user_and_class_alone)
{
        struct store *store = kit_store(LIMIT);
        struct user *a = kit_user(store, 1), *b = kit_user(store, 2);
        struct segment *segment = kit_segment(store, a, NULL, SIZE), *other;
        uint64_t id = segment_id(segment), n_bytes = segment_map_bytes(segment);
        bool is_ready;

        ck_assert_uint_eq(kit_check(store).live, n_bytes);
        ck_assert_uint_eq(a->used[RESOURCE_BYTES], n_bytes);
        segment_ref(segment);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).live, n_bytes);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).idle, n_bytes);
        ck_assert_uint_eq(a->used[RESOURCE_BYTES], n_bytes);

        other = kit_segment(store, b, NULL, SIZE);
        ck_assert_uint_ne(segment_id(other), id);
        segment_unref(other);
        other = kit_segment(store, a, NULL, SIZE / 2);
        ck_assert_uint_ne(segment_id(other), id);
        segment_unref(other);
        ck_assert_int_eq(store_reserve(store, a, NULL, SIZE - 100, &other, &is_ready), 0);
        ck_assert(is_ready);
        ck_assert_uint_eq(segment_id(other), id);
        kit_check(store);
        segment_unref(other);
        user_unref(a);
        user_unref(b);
        store_free(store);
}
END_TEST

START_TEST(test_never_allocated)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment;
        bool is_ready;

        ck_assert_int_eq(store_reserve(store, user, NULL, SIZE, &segment, &is_ready), 0);
        ck_assert(!is_ready);
        ck_assert_uint_gt(user->used[RESOURCE_BYTES], SIZE);
        segment_unref(segment);
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], 0);
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_grants)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE);
        struct holder a, b;
        bool is_new;

        holder_init(&a, user, on_trim);
        holder_init(&b, user, on_trim);
        grant(store, &a, segment, false);
        ck_assert_int_eq(store_grant(store, &a, segment, false, &is_new), 0);
        ck_assert(!is_new);
        grant(store, &b, segment, false);
        grant(store, &a, segment, true); /* one for writing goes although one for reading went */
        ck_assert_int_eq(store_grant(store, &a, segment, false, &is_new), 0);
        ck_assert(!is_new);
        ck_assert_int_eq(store_grant(store, &a, segment, true, &is_new), 0);
        ck_assert(!is_new);
        store_unmap(store, &a, segment_id(segment));
        store_unmap(store, &a, segment_id(segment));
        store_unmap(store, &a, 12345);
        grant(store, &a, segment, false);
        segment_unref(segment);
        holder_deinit(store, &a);
        holder_deinit(store, &b);
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_a_forked_child_holds_it)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE), *next;
        uint64_t id = segment_id(segment), n_bytes = segment_map_bytes(segment);
        struct kit_child child;
        struct holder holder;
        uint8_t *map;

        holder_init(&holder, user, on_trim);
        grant(store, &holder, segment, true);
        map = client_map(segment, true);
        memset(map + TD_HEADER_BYTES, 7, 1000);
        child = kit_child_begin();
        client_unmap(map, n_bytes);
        store_unmap(store, &holder, id);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).held, n_bytes);
        ck_assert_uint_eq(kit_check(store).n_held, 1);
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], n_bytes);
        next = kit_segment(store, user, &holder, SIZE);
        ck_assert_uint_ne(segment_id(next), id);
        segment_unref(next);
        ck_assert_uint_eq(store_retry_held(store), 1);
        kit_child_end(&child);
        ck_assert_uint_eq(store_retry_held(store), 0);
        ck_assert_uint_eq(kit_check(store).held, 0);
        next = kit_segment(store, user, &holder, SIZE);
        ck_assert_uint_eq(segment_id(next), id);
        segment_unref(next);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_parked_comes_back_to_its_holder_alone)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE), *other;
        uint64_t id = segment_id(segment), n_bytes = segment_map_bytes(segment);
        struct holder a, b;
        bool is_ready, is_new;
        void *map;

        holder_init(&a, user, on_trim);
        holder_init(&b, user, on_trim);
        grant(store, &a, segment, true);
        map = client_map(segment, true);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).parked, n_bytes);
        ck_assert_uint_eq(n_trims, 0);
        ck_assert(!list_is_empty(&a.parked));

        other = kit_segment(store, user, &b, SIZE);
        ck_assert_uint_ne(segment_id(other), id);
        segment_unref(other);
        other = kit_segment(store, user, NULL, SIZE);
        ck_assert_uint_ne(segment_id(other), id);
        segment_unref(other);
        ck_assert_int_eq(store_reserve(store, user, &a, SIZE, &segment, &is_ready), 0);
        ck_assert(is_ready);
        ck_assert_uint_eq(segment_id(segment), id);
        ck_assert(list_is_empty(&a.parked));
        ck_assert_int_eq(store_grant(store, &a, segment, true, &is_new), 0);
        ck_assert(!is_new);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).parked, n_bytes);

        /* The connection ends, the process lives on and maps it: held, then anyone's. */
        holder_deinit(store, &a);
        ck_assert_uint_eq(kit_check(store).held, n_bytes);
        client_unmap(map, n_bytes);
        ck_assert_uint_eq(store_retry_held(store), 0);
        ck_assert_uint_eq(kit_check(store).held, 0);
        holder_deinit(store, &b);
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_unmapped_and_handed_again_is_not_parked)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE);
        uint64_t id = segment_id(segment), n_bytes = segment_map_bytes(segment);
        struct holder a;

        /*
         * A child forked before the unmap may still see the pages, so the holder must not write
         * them again untested.
         */
        holder_init(&a, user, on_trim);
        grant(store, &a, segment, false);
        store_unmap(store, &a, id);
        grant(store, &a, segment, false);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).parked, n_bytes);
        ck_assert(list_is_empty(&a.parked));
        ck_assert_uint_eq(n_trims, 1);
        ck_assert_uint_eq(trimmed[0], id);
        store_unmap(store, &a, id);
        ck_assert_uint_eq(kit_check(store).idle, n_bytes);

        /* The test passed: the count begins anew. */
        segment = kit_segment(store, user, &a, SIZE);
        ck_assert_uint_eq(segment_id(segment), id);
        grant(store, &a, segment, false);
        segment_unref(segment);
        ck_assert(!list_is_empty(&a.parked));
        holder_deinit(store, &a);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_several_holders_are_asked)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE);
        uint64_t id = segment_id(segment), n_bytes = segment_map_bytes(segment);
        struct holder a, b;

        holder_init(&a, user, on_trim);
        holder_init(&b, user, on_trim);
        grant(store, &a, segment, true);
        grant(store, &b, segment, false);
        segment_unref(segment);
        ck_assert_uint_eq(n_trims, 2);
        ck_assert_ptr_eq(trimmed_of[0], &a);
        ck_assert_ptr_eq(trimmed_of[1], &b);
        ck_assert_uint_eq(kit_check(store).parked, n_bytes);
        store_unmap(store, &a, id);
        ck_assert_uint_eq(kit_check(store).parked, n_bytes);
        ck_assert_uint_eq(n_trims, 2);
        holder_deinit(store, &b);
        ck_assert_uint_eq(kit_check(store).idle, n_bytes);
        holder_deinit(store, &a);
        user_unref(user);
        store_free(store);
}
END_TEST

/* 0: never mapped by us, 1: mapped and read by us, 2: parked */
START_TEST(test_cut_is_never_reused)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE), *next;
        uint64_t id = segment_id(segment);
        struct holder holder;
        int fd;

        holder_init(&holder, user, on_trim);
        grant(store, &holder, segment, true);
        fd = segment_open(segment, true);
        if (_i == 1)
                ck_assert_int_eq(segment_pin(segment), 0);
        if (_i < 2)
                ck_assert_int_eq(ftruncate(fd, 8192), 0);
        if (_i == 1) {
                ck_assert_uint_eq(((volatile uint8_t *)segment_data(segment))[SIZE - 1], 0);
                ck_assert(segment_is_poisoned(segment));
                segment_unpin(segment);
        }
        segment_unref(segment);
        if (_i == 2)
                ck_assert_int_eq(ftruncate(fd, 8192), 0);
        next = kit_segment(store, user, &holder, SIZE);
        ck_assert_uint_ne(segment_id(next), id);
        ck_assert_uint_eq(n_trims, 1); /* asked to let go */

        /* As long as it may be in use it is charged. */
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], 2 * segment_map_bytes(next));
        store_unmap(store, &holder, id);
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], 2 * segment_map_bytes(next));
        close(fd);
        ck_assert_uint_eq(store_retry_held(store), 0);
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], segment_map_bytes(next));
        kit_check(store);
        segment_unref(next);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_grown_is_cut_back)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segment = kit_segment(store, user, NULL, SIZE);
        struct holder holder;
        int fd;

        holder_init(&holder, user, on_trim);
        grant(store, &holder, segment, true);
        fd = segment_open(segment, true);
        ck_assert_int_eq(posix_fallocate(fd, 0, 1 << 22), 0);
        segment_unref(segment);
        kit_check(store);
        close(fd);
        holder_deinit(store, &holder);
        ck_assert_uint_eq(kit_check(store).idle, 0);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_the_pool_is_bounded)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segments[20];
        struct holder holder;

        holder_init(&holder, user, on_trim);
        for (unsigned i = 0; i < 20; i++)
                segments[i] = kit_segment(store, user, NULL, 2 * KIT_MIB);
        for (unsigned i = 0; i < 20; i++)
                segment_unref(segments[i]);
        ck_assert_uint_le(kit_check(store).idle, LIMIT / 4);
        ck_assert_uint_gt(kit_check(store).idle, LIMIT / 4 - 3 * KIT_MIB);

        /* Parked ones count too, and drive idle ones out. */
        for (unsigned i = 0; i < 20; i++) {
                segments[i] = kit_segment(store, user, NULL, 2 * KIT_MIB);
                grant(store, &holder, segments[i], false);
        }
        for (unsigned i = 0; i < 20; i++)
                segment_unref(segments[i]);
        ck_assert_uint_eq(kit_check(store).idle, 0);
        ck_assert_uint_gt(n_trims, 0);
        while (n_trims > 0)
                store_unmap(store, &holder, trimmed[--n_trims]);
        ck_assert_uint_le(kit_check(store).idle + kit_check(store).parked, LIMIT / 4);
        ck_assert_uint_gt(kit_check(store).parked, LIMIT / 8);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_the_limit)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1), *other = kit_user(store, 2);
        struct segment *segment, *large;
        bool is_ready;

        ck_assert_int_eq(store_reserve(store, user, NULL, LIMIT, &segment, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_int_eq(store_reserve(store, user, NULL, UINT64_MAX, &segment, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_int_eq(store_reserve(store, user, NULL, UINT64_C(1) << 62, &segment, &is_ready),
                         STORE_E_LIMIT);
        large = kit_segment(store, user, NULL, 40 * KIT_MIB);
        ck_assert_int_eq(store_reserve(store, other, NULL, 40 * KIT_MIB, &segment, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_uint_eq(other->used[RESOURCE_BYTES], 0);
        kit_check(store);

        /* Idle ones of anyone give way. */
        segment = kit_segment(store, user, NULL, 10 * KIT_MIB);
        segment_unref(segment);
        ck_assert_uint_gt(kit_check(store).idle, 0);
        segment = kit_segment(store, other, NULL, 20 * KIT_MIB);
        ck_assert_uint_eq(kit_check(store).idle, 0);
        /* But not for one that would not fit anyway. */
        segment_unref(large);
        large = kit_segment(store, user, NULL, 10 * KIT_MIB);
        segment_unref(large);
        ck_assert_int_eq(store_reserve(store, user, NULL, 60 * KIT_MIB, &large, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_uint_gt(kit_check(store).idle, 0);
        segment_unref(segment);
        user_unref(user);
        user_unref(other);
        store_free(store);
}
END_TEST

/* Who waits for memory tries again: small bytes went, or some are parked that can be asked for. */
START_TEST(test_whatever_comes_free_is_told)
{
        struct store *store = kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                                     .directory = kit_directory,
                                                                     .limit = LIMIT,
                                                                     .freed = on_freed });
        struct user *user = kit_user(store, 1);
        struct tensor *tensor = kit_small(store, user, 1.5);
        struct segment *segment = kit_segment(store, user, NULL, SIZE);
        struct holder holder;

        holder_init(&holder, user, on_trim);
        n_freed = 0;
        tensor_unref(tensor_ref(tensor));
        ck_assert_uint_eq(n_freed, 0);
        tensor_unref(tensor);
        ck_assert_uint_eq(n_freed, 1);
        grant(store, &holder, segment, true);
        segment_unref(segment);
        ck_assert_uint_eq(kit_check(store).parked, segment_class(SIZE));
        ck_assert_uint_eq(n_freed, 2);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(test_disposing_takes_time)
{
        struct store *store = kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                                     .directory = kit_directory,
                                                                     .limit = LIMIT,
                                                                     .dispose = on_dispose,
                                                                     .freed = on_freed });
        struct user *user = kit_user(store, 1);
        struct segment *live = kit_segment(store, user, NULL, 40 * KIT_MIB), *segment, *small;
        bool is_ready;

        segment = kit_segment(store, user, NULL, 12 * KIT_MIB);
        segment_unref(segment);
        ck_assert_uint_eq(n_disposing, 0);
        ck_assert_int_eq(store_reserve(store, user, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        ck_assert_uint_eq(n_disposing, 1);
        ck_assert_uint_gt(kit_check(store).idle, 12 * KIT_MIB);
        ck_assert_int_eq(store_reserve(store, user, NULL, 20 * KIT_MIB, &segment, &is_ready),
                         STORE_E_TRIMMING);
        ck_assert_uint_eq(n_disposing, 1);
        n_freed = 0;
        dispose_all(store);
        ck_assert_uint_eq(n_freed, 1);
        segment = kit_segment(store, user, NULL, 20 * KIT_MIB);
        kit_check(store);

        /* Small ones do not. */
        small = kit_segment(store, user, NULL, 900 * 1024);
        segment_unref(small);
        small = kit_segment(store, user, NULL, 3 * KIT_MIB + 700 * 1024);
        ck_assert_uint_eq(n_disposing, 0);
        segment_unref(small);
        segment_unref(segment);
        segment_unref(live);
        dispose_all(store);
        kit_check(store);
        user_unref(user);
        store_free(store);
}
END_TEST

/* A small value and a larger catalog find room where idle segments have it. */
START_TEST(test_small_ones_do_not_wait)
{
        uint64_t limit = CATALOG_MIN + LEDGER_MIN + segment_class(12 * KIT_MIB) +
                         segment_class(3 * KIT_MIB);
        struct store *store = kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                                     .directory = kit_directory,
                                                                     .limit = limit,
                                                                     .dispose = on_dispose });
        struct user *user = kit_user(store, 1);
        struct segment *live = kit_segment(store, user, NULL, 12 * KIT_MIB);
        char name[16];

        for (unsigned i = 0; i < 2000; i++) {
                if (i % 1000 == 0) {
                        segment_unref(kit_segment(store, user, NULL, i ? KIT_MIB : 3 * KIT_MIB));
                        ck_assert_uint_gt(kit_check(store).idle, 0);
                        ck_assert(i || kit_check(store).used == limit);
                }
                snprintf(name, sizeof(name), "%u", i);
                ck_assert_int_eq(kit_name(store, kit_small(store, user, i), name, NULL), 0);
        }
        ck_assert_uint_eq(n_disposing, 0);
        for (unsigned i = 0; i < 2000; i++) {
                snprintf(name, sizeof(name), "%u", i);
                ck_assert_int_eq(store_delete(store, 1, name, NULL), 0);
        }
        kit_check(store);
        segment_unref(live);
        dispose_all(store);
        user_unref(user);
        store_free(store);
}
END_TEST

static void *sum_all(void *arg)
{
        struct segment **segments = arg;
        uint64_t sum = 0;

        for (unsigned turn = 0; turn < 10; turn++)
                for (unsigned s = 0; s < 4; s++)
                        for (uint64_t i = 0; i < KIT_MIB; i += 64)
                                sum += ((volatile uint8_t *)segment_data(segments[s]))[i];
        return (void *)(uintptr_t)sum;
}

START_TEST(test_cut_by_a_client_in_mid_job)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segments[4];
        struct holder holder;
        pthread_t threads[3];
        int fd;

        holder_init(&holder, user, on_trim);
        for (unsigned turn = 0; turn < 10; turn++) {
                for (unsigned i = 0; i < 4; i++) {
                        segments[i] = kit_segment(store, user, NULL, KIT_MIB);
                        ck_assert_int_eq(segment_pin(segments[i]), 0);
                        memset(segment_data(segments[i]), (int)i + 1, KIT_MIB);
                        grant(store, &holder, segments[i], true);
                }
                for (unsigned i = 0; i < 3; i++)
                        ck_assert_int_eq(pthread_create(&threads[i], NULL, sum_all, segments), 0);
                for (unsigned i = 0; i < 2; i++) {
                        fd = segment_open(segments[i], true);
                        ck_assert_int_eq(ftruncate(fd, i ? 0 : 100000), 0);
                        close(fd);
                }
                for (unsigned i = 0; i < 3; i++)
                        pthread_join(threads[i], NULL);
                sum_all(segments);
                for (unsigned i = 0; i < 4; i++) {
                        const uint8_t *data = segment_data(segments[i]);

                        ck_assert_int_eq(segment_is_poisoned(segments[i]), i < 2);
                        for (uint64_t k = 0; i >= 2 && k < KIT_MIB; k += 4096)
                                ck_assert_uint_eq(data[k], i + 1);
                        segment_unpin(segments[i]);
                        segment_unref(segments[i]);
                }
                holder_deinit(store, &holder);
                ck_assert_uint_eq(kit_check(store).held, 0);
        }
        user_unref(user);
        store_free(store);
}
END_TEST

/* A file system of 2 MiB and a limit far beyond it. */
START_TEST(test_file_system_full)
{
        struct store *store;
        struct segment *a, *b;
        struct user *user;
        bool is_ready;

        if (!kit_mount("size=2m"))
                return;
        store = kit_store(LIMIT);
        user = kit_user(store, 1);
        a = kit_segment(store, user, NULL, KIT_MIB);
        ck_assert_int_eq(store_reserve(store, user, NULL, 3 * KIT_MIB, &b, &is_ready), 0);
        ck_assert_int_eq(segment_allocate(b), STORE_E_FULL);
        segment_unref(b);
        ck_assert_uint_eq(kit_check(store).live, segment_map_bytes(a));
        ck_assert_uint_eq(user->used[RESOURCE_BYTES], segment_map_bytes(a));

        /* Idle ones give way before anyone is told that it is full. */
        segment_unref(a);
        ck_assert_uint_gt(kit_check(store).idle, 0);
        b = kit_segment(store, user, NULL, KIT_MIB + KIT_MIB / 2);
        ck_assert_uint_eq(kit_check(store).idle, 0);
        segment_unref(b);
        user_unref(user);
        store_free(store);
        ck_assert_uint_eq(kit_files("", NULL), 0);
        ck_assert_int_eq(umount2(kit_directory, MNT_DETACH), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("memory");
        TCase *tcase = tcase_create("memory");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, test_reused_by_its_user_and_class_alone);
        tcase_add_test(tcase, test_never_allocated);
        tcase_add_test(tcase, test_grants);
        tcase_add_test(tcase, test_a_forked_child_holds_it);
        tcase_add_test(tcase, test_parked_comes_back_to_its_holder_alone);
        tcase_add_test(tcase, test_unmapped_and_handed_again_is_not_parked);
        tcase_add_test(tcase, test_several_holders_are_asked);
        tcase_add_loop_test(tcase, test_cut_is_never_reused, 0, 3);
        tcase_add_test(tcase, test_grown_is_cut_back);
        tcase_add_test(tcase, test_the_pool_is_bounded);
        tcase_add_test(tcase, test_the_limit);
        tcase_add_test(tcase, test_whatever_comes_free_is_told);
        tcase_add_test(tcase, test_disposing_takes_time);
        tcase_add_test(tcase, test_small_ones_do_not_wait);
        tcase_add_test(tcase, test_file_system_full);
        if (!KIT_SANITIZED)
                tcase_add_test(tcase, test_cut_by_a_client_in_mid_job);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
