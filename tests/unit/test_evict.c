/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Eviction: whose go, in which order, when and when not. At random, what went is held against what
 * there was: nothing but evictable tensors that nobody uses, the longest unused first, one's own
 * before those of others, none in vain, and none while there is other memory.
 */
#include "base/clock.h"
#include "store_kit.h"
#include "store/unused.h"

#define LIMIT (64 * KIT_MIB)
#define N 120000 /* float64: a segment of 1 MiB */
#define N_NAMES 40
#define N_USERS 3

static void put(struct store *store, struct user *user, const char *name, bool is_evictable)
{
        ck_assert_int_eq(kit_put(store, kit_tensor(store, user, N, 1), name, is_evictable), 0);
}

/* As many of 1 MiB as there is room for; kept. Returns how many. */
static unsigned fill(struct store *store, struct user *user, struct segment *segments[])
{
        unsigned n = 0;
        bool is_ready;

        while (store_reserve(store, user, NULL, N * 8, &segments[n], &is_ready) == 0) {
                if (!is_ready)
                        ck_assert_int_eq(segment_allocate(segments[n]), 0);
                n++;
        }
        return n;
}

static void empty(struct segment *segments[], unsigned n)
{
        while (n > 0)
                segment_unref(segments[--n]);
}

static void forget(struct store *store, uid_t uid, const char *names)
{
        for (; *names; names++)
                store_delete(store, uid, (char[2]){ *names, '\0' }, NULL);
}

/* ---- by example ---- */

START_TEST(the_longest_unused_first_and_nothing_else)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segments[128], *one;
        struct tensor *used;
        unsigned n;
        bool is_ready;

        put(store, user, "k", false);
        put(store, user, "a", true);
        put(store, user, "b", true);
        put(store, user, "c", true);
        put(store, user, "d", true);
        used = tensor_ref(kit_find(store, 1, "b"));
        tensor_unref(tensor_ref(kit_find(store, 1, "a"))); /* read: the order is c, d, a */
        n = fill(store, user, segments);
        ck_assert_uint_ge(n, 50);
        ck_assert_ptr_nonnull(kit_find(store, 1, "k"));
        ck_assert_ptr_nonnull(kit_find(store, 1, "b"));
        ck_assert_ptr_null(kit_find(store, 1, "a"));
        ck_assert_ptr_null(kit_find(store, 1, "c"));
        ck_assert_ptr_null(kit_find(store, 1, "d"));
        ck_assert_uint_eq(store->n_evicted, 3);
        ck_assert(kit_tensor_is(used, 1));

        /* the next one goes when nobody uses it any more, for one of its size: warm */
        tensor_unref(used);
        ck_assert_int_eq(store_reserve(store, user, NULL, N * 8, &one, &is_ready), 0);
        ck_assert(is_ready);
        ck_assert_ptr_null(kit_find(store, 1, "b"));
        segment_unref(one);
        empty(segments, n);
        kit_check(store);
        forget(store, 1, "k");
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(what_is_idle_goes_before)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1), *other = kit_user(store, 2);
        struct segment *segments[128], *one;
        unsigned n;
        bool is_ready;

        put(store, user, "a", true);
        n = fill(store, other, segments);
        ck_assert_ptr_null(kit_find(store, 1, "a"));
        segment_unref(segments[--n]);
        put(store, user, "a", true);
        segment_unref(segments[--n]);
        ck_assert_uint_gt(kit_check(store).idle, 0);
        ck_assert_int_eq(store_reserve(store, user, NULL, N * 8, &one, &is_ready), 0);
        ck_assert_ptr_nonnull(kit_find(store, 1, "a"));
        segment_unref(one);
        empty(segments, n);
        forget(store, 1, "a");
        user_unref(user);
        user_unref(other);
        store_free(store);
}
END_TEST

START_TEST(not_in_vain)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *one, *large = kit_segment(store, user, NULL, LIMIT / 2);
        bool is_ready;

        put(store, user, "a", true);
        put(store, user, "b", true);
        ck_assert_int_eq(store_reserve(store, user, NULL, LIMIT / 2 + 1, &one, &is_ready),
                         STORE_E_LIMIT);
        ck_assert_ptr_nonnull(kit_find(store, 1, "a"));
        ck_assert_uint_eq(store->n_evicted, 0);
        segment_unref(large);
        forget(store, 1, "ab");
        user_unref(user);
        store_free(store);
}
END_TEST

static const struct quotas caps = { .each = { [RESOURCE_BYTES] = 16 * KIT_MIB } };

START_TEST(at_an_own_cap_own_ones_alone)
{
        struct store *store = kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                                     .directory = kit_directory,
                                                                     .limit = LIMIT,
                                                                     .quotas = &caps });
        struct user *a = kit_user(store, 1), *b = kit_user(store, 2);
        struct segment *segments[128];
        unsigned n;

        put(store, b, "x", true);
        put(store, a, "p", true);
        put(store, a, "q", true);
        n = fill(store, a, segments);
        ck_assert_uint_le(n, 16);
        ck_assert_ptr_null(kit_find(store, 1, "p"));
        ck_assert_ptr_null(kit_find(store, 1, "q"));
        ck_assert_ptr_nonnull(kit_find(store, 2, "x"));
        empty(segments, n);
        forget(store, 2, "x");
        user_unref(a);
        user_unref(b);
        store_free(store);
}
END_TEST

START_TEST(own_ones_then_of_who_holds_most)
{
        struct store *store = kit_store(LIMIT);
        struct user *a = kit_user(store, 1), *b = kit_user(store, 2), *c = kit_user(store, 3);
        struct segment *large = kit_segment(store, b, NULL, 40 * KIT_MIB), *ones[128];
        bool is_ready;
        unsigned n;

        put(store, c, "s", true); /* the longest unused, but of who holds little */
        put(store, b, "p", true);
        put(store, b, "q", true);
        put(store, a, "x", true);
        put(store, a, "y", true);
        for (n = 0; kit_find(store, 1, "x"); n++)
                ck_assert_int_eq(store_reserve(store, a, NULL, N * 8, &ones[n], &is_ready), 0);
        ck_assert_ptr_nonnull(kit_find(store, 1, "y"));
        ck_assert_ptr_nonnull(kit_find(store, 2, "p"));
        ck_assert_int_eq(store_reserve(store, a, NULL, N * 8, &ones[n++], &is_ready), 0);
        ck_assert_ptr_null(kit_find(store, 1, "y"));
        ck_assert_ptr_nonnull(kit_find(store, 2, "p"));
        ck_assert_int_eq(store_reserve(store, a, NULL, N * 8, &ones[n++], &is_ready), 0);
        ck_assert_ptr_null(kit_find(store, 2, "p"));
        ck_assert_int_eq(store_reserve(store, a, NULL, N * 8, &ones[n++], &is_ready), 0);
        ck_assert_ptr_null(kit_find(store, 2, "q"));
        ck_assert_ptr_nonnull(kit_find(store, 3, "s"));
        ck_assert_int_eq(store_reserve(store, a, NULL, N * 8, &ones[n++], &is_ready), 0);
        ck_assert_ptr_null(kit_find(store, 3, "s"));
        ck_assert_int_eq(store_reserve(store, a, NULL, N * 8, &ones[n], &is_ready), STORE_E_LIMIT);
        empty(ones, n);
        segment_unref(large);
        user_unref(a);
        user_unref(b);
        user_unref(c);
        store_free(store);
}
END_TEST

START_TEST(who_maps_one_is_asked_first)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segments[128], *one;
        struct holder holder;
        struct tensor *a;
        bool is_ready, is_new;
        unsigned n;

        holder_init(&holder, user, kit_on_trim);
        put(store, user, "a", true);
        a = kit_find(store, 1, "a");
        ck_assert_int_eq(store_grant(store, &holder, a->segment, false, &is_new), 0);
        kit_n_trims = 0;
        n = fill(store, user, segments); /* until it was asked for */
        ck_assert_uint_eq(kit_n_trims, 1);
        /* the heap does not wait for anybody */
        ck_assert_int_eq(store_reserve(store, user, NULL, N * 8, &one, &is_ready),
                         STORE_E_TRIMMING);
        ck_assert_ptr_eq(kit_find(store, 1, "a"), a);
        store_unmap(store, &holder, segment_id(a->segment));
        ck_assert_int_eq(store_reserve(store, user, NULL, N * 8, &one, &is_ready), 0);
        ck_assert_ptr_null(kit_find(store, 1, "a"));
        segment_unref(one);
        empty(segments, n);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(small_ones_in_the_heap_too)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct desc desc = kit_desc(512);
        struct segment *segments[128];
        static const double data[512];
        struct tensor *tensors[1000];
        unsigned n, n_kept = 0;

        ck_assert_int_eq(kit_put(store, kit_small(store, user, 1), "s", true), 0);
        n = fill(store, user, segments);
        /* 4096 bytes each, until nothing is left but what is evictable */
        while (kit_find(store, 1, "s")) {
                ck_assert_uint_lt(n_kept, 1000);
                ck_assert_int_eq(
                        tensor_new(&tensors[n_kept++], store, user, &desc, NULL, data, NULL), 0);
        }
        ck_assert_uint_eq(store->n_evicted, 1);
        kit_check(store);
        while (n_kept > 0)
                tensor_unref(tensors[--n_kept]);
        empty(segments, n);
        user_unref(user);
        store_free(store);
}
END_TEST

/* So many in one turn of the loop, the others in the next ones. */
START_TEST(many_take_turns)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *one;
        bool is_ready;
        unsigned n_turns = 0;
        char name[16];
        int r;

        for (unsigned i = 0; i < 600; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                ck_assert_int_eq(kit_put(store, kit_tensor(store, user, 10000, 1), name, true), 0);
        }
        store_settle(store);
        while ((r = store_reserve(store, user, NULL, LIMIT - 8 * KIT_MIB, &one, &is_ready))) {
                ck_assert_int_eq(r, STORE_E_TRIMMING);
                ck_assert(store_has_left(store));
                ck_assert_uint_le(store->n_evicted, ++n_turns * EVICT_MAX);
                store_settle(store);
        }
        ck_assert_uint_gt(n_turns, 3);
        ck_assert(!store_has_left(store));
        segment_unref(one);
        for (unsigned i = 0; i < 600; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                store_delete(store, 1, name, NULL);
        }
        user_unref(user);
        store_free(store);
}
END_TEST

/* Nobody looks for ever at those that somebody keeps mapped, nor waits for each of them. */
START_TEST(who_is_deaf_hides_no_other)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *kept = kit_segment(store, user, NULL, 18 * KIT_MIB), *one;
        uint64_t began_ms = clock_now_ms();
        unsigned n_turns = 0;
        struct holder holder;
        bool is_ready, is_new;
        char name[16];
        int r;

        holder_init(&holder, user, kit_on_trim);
        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                ck_assert_int_eq(kit_put(store, kit_tensor(store, user, 10000, 1), name, true), 0);
                ck_assert_int_eq(store_grant(store, &holder, kit_find(store, 1, name)->segment,
                                             false, &is_new),
                                 0);
        }
        ck_assert_int_eq(kit_put(store, kit_tensor(store, user, 15 * KIT_MIB / 8, 1), "z", true),
                         0);
        store_settle(store);
        while ((r = store_reserve(store, user, NULL, 14 * KIT_MIB, &one, &is_ready))) {
                ck_assert_int_eq(r, STORE_E_TRIMMING);
                ck_assert_uint_le(clock_now_ms() - began_ms, 5000);
                if (store_has_left(store))
                        ck_assert_uint_le(++n_turns, 12);
                else
                        usleep(1000);
                store_settle(store);
        }
        ck_assert_ptr_null(kit_find(store, 1, "z"));
        ck_assert_uint_eq(store->n_evicted, 1);
        segment_unref(one);
        segment_unref(kept);
        holder_deinit(store, &holder);
        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "n%u", i);
                ck_assert_int_eq(store_delete(store, 1, name, NULL), 0);
                store_settle(store);
        }
        user_unref(user);
        store_free(store);
}
END_TEST

static struct segment *disposing[16];
static unsigned n_disposing;

static void on_dispose(void *ctx, struct segment *segment)
{
        (void)ctx;
        ck_assert_uint_lt(n_disposing, 16);
        disposing[n_disposing++] = segment;
}

static void dispose_all(struct store *store)
{
        while (n_disposing > 0) {
                segment_destroy(disposing[--n_disposing]);
                store_disposed(store, disposing[n_disposing]);
        }
}

/* What is given back for it waits for no worker, though it is more than the pool may keep. */
START_TEST(at_once_one_is_enough)
{
        struct store *store = kit_store_with(&(struct store_config){ .prefix = KIT_PREFIX,
                                                                     .directory = kit_directory,
                                                                     .limit = LIMIT,
                                                                     .dispose = on_dispose });
        struct user *user = kit_user(store, 1);
        struct segment *kept = kit_segment(store, user, NULL, 7 * KIT_MIB), *left;

        for (const char *name = "abc"; *name; name++)
                ck_assert_int_eq(kit_put(store, kit_tensor(store, user, 17 * KIT_MIB / 8, 1),
                                         (char[2]){ *name, '\0' }, true),
                                 0);
        ck_assert_int_eq(memory_relieve(store, user, 6 * KIT_MIB, true), 0);
        ck_assert_uint_eq(n_disposing, 0);
        ck_assert_uint_eq(store->n_evicted, 1);
        ck_assert_ptr_null(kit_find(store, 1, "a"));

        /* of what was left for the next turn as well */
        left = kit_segment(store, user, NULL, 17 * KIT_MIB);
        store->n_settled = SETTLE_AT_ONCE;
        segment_unref(left);
        ck_assert_int_eq(memory_relieve(store, user, 12 * KIT_MIB, true), 0);
        ck_assert_uint_eq(n_disposing, 0);
        ck_assert_uint_eq(store->n_evicted, 1);
        kit_check(store);

        /* else on a worker */
        store->n_settled = 0;
        forget(store, 1, "b");
        ck_assert_uint_eq(n_disposing, 1);
        dispose_all(store);
        segment_unref(kept);
        forget(store, 1, "c");
        dispose_all(store);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(gone_for_the_next_daemon)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct segment *segments[128];

        put(store, user, "k", false);
        put(store, user, "a", true);
        put(store, user, "b", true);
        for (unsigned n = fill(store, user, segments); n > 0; n--)
                segment_unref(segments[n - 1]);
        put(store, user, "c", true);
        user_unref(user);
        store_free(store);
        store = kit_store(LIMIT);
        ck_assert_ptr_null(kit_find(store, 1, "a"));
        ck_assert_ptr_null(kit_find(store, 1, "b"));
        ck_assert(kit_find(store, 1, "c")->is_evictable && !kit_find(store, 1, "k")->is_evictable);
        ck_assert(kit_tensor_is(kit_find(store, 1, "k"), 1));
        kit_check(store);
        forget(store, 1, "kc");
        store_free(store);
}
END_TEST

/* ---- at random ---- */

struct row {
        struct tensor *tensor; /* NULL: there is none of that name */
        unsigned n_uses;       /* references that are kept */
        unsigned used;         /* when the last one ended */
        bool is_evictable;
        struct user *user;
        char name[8];
        uint64_t n_bytes;
};

struct world {
        struct store *store;
        struct user *users[N_USERS];
        struct row rows[N_NAMES];
        struct segment *kept[N_NAMES];
        unsigned clock, random;
        unsigned n_evictions, n_of_others;
};

static unsigned world_random(struct world *world, unsigned n)
{
        world->random = world->random * 1664525 + 1013904223;
        return (world->random >> 8) % n;
}

static bool row_may_go(const struct row *row)
{
        return row->tensor && row->is_evictable && row->n_uses == 0;
}

/* What went was allowed to, in its order, and was missing. */
static void world_check(struct world *world, struct user *asking, const struct row *gone,
                        unsigned n_gone, uint64_t n_free)
{
        bool others = false;
        uint64_t last = 0;

        for (unsigned i = 0; i < n_gone; i++) {
                ck_assert(row_may_go(&gone[i]));
                others = others || gone[i].user != asking;
                last = gone[i].n_bytes > last ? gone[i].n_bytes : last;
        }
        for (unsigned i = 0; i < N_NAMES; i++) {
                const struct row *row = &world->rows[i];

                if (!row_may_go(row))
                        continue;
                ck_assert(!others || row->user != asking);
                for (unsigned k = 0; k < n_gone; k++)
                        ck_assert(gone[k].user != row->user || gone[k].used < row->used);
        }
        /* with all but one of them it would not have done */
        if (n_gone > 0)
                ck_assert_uint_le(kit_check(world->store).limit - kit_check(world->store).used,
                                  n_free + last);
        world->n_evictions += n_gone;
        world->n_of_others += others;
}

static uint64_t evictable_bytes(const struct world *world)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < N_NAMES; i++)
                n += row_may_go(&world->rows[i]) ? world->rows[i].n_bytes : 0;
        return n;
}

/* A reservation, and what came of it. */
static void world_reserve(struct world *world, struct user *user, uint64_t n_bytes,
                          struct segment **segmentp)
{
        struct store_figures before = kit_check(world->store);
        const uint64_t n_evictable = evictable_bytes(world), n_file = segment_class(n_bytes);
        struct row gone[N_NAMES];
        unsigned n_gone = 0;
        bool is_ready;
        int r;

        ck_assert_uint_eq(unused_total(world->store, UNUSED_EVICTABLE), n_evictable);
        r = store_reserve(world->store, user, NULL, n_bytes, segmentp, &is_ready);
        if (!r && !is_ready)
                ck_assert_int_eq(segment_allocate(*segmentp), 0);
        for (unsigned i = 0; i < N_NAMES; i++) {
                struct row *row = &world->rows[i];

                if (!row->tensor || kit_find(world->store, row->user->uid, row->name))
                        continue;
                gone[n_gone++] = *row;
                row->tensor = NULL;
        }
        if (r) {
                ck_assert_int_eq(r, STORE_E_LIMIT);
                *segmentp = NULL;
                ck_assert_uint_eq(n_gone, 0);
                ck_assert_uint_gt(before.used - before.idle - n_evictable + n_file, LIMIT);
                return;
        }
        if (before.used - before.idle + n_file <= LIMIT)
                ck_assert_uint_eq(n_gone, 0);
        world_check(world, user, gone, n_gone, n_file);
}

static void world_put(struct world *world, struct row *row)
{
        struct segment *segment;
        struct desc desc;
        uint64_t n = 4096 + world_random(world, 400000);

        row->user = world->users[world_random(world, N_USERS)];
        world_reserve(world, row->user, n * 8, &segment);
        if (!segment)
                return;
        desc = kit_desc((int64_t)n);
        row->n_bytes = segment_map_bytes(segment);
        row->is_evictable = world_random(world, 4) > 0;
        ck_assert_int_eq(
                tensor_new(&row->tensor, world->store, row->user, &desc, segment, NULL, NULL), 0);
        ck_assert_int_eq(tensor_seal(row->tensor), 0);
        ck_assert_int_eq(kit_put(world->store, row->tensor, row->name, row->is_evictable), 0);
        row->used = ++world->clock;
        row->n_uses = 0;
}

static void world_step(struct world *world)
{
        struct row *row = &world->rows[world_random(world, N_NAMES)];
        unsigned i = world_random(world, N_NAMES);

        switch (world_random(world, 6)) {
        case 0:
        case 1:
                if (!row->tensor)
                        world_put(world, row);
                break;
        case 2:
                if (row->tensor) {
                        tensor_ref(row->tensor);
                        row->n_uses++;
                }
                break;
        case 3:
                if (row->tensor && row->n_uses > 0) {
                        tensor_unref(row->tensor);
                        row->n_uses--;
                        row->used = ++world->clock;
                }
                break;
        case 4:
                if (!world->kept[i])
                        world_reserve(world, world->users[world_random(world, N_USERS)],
                                      8 * (4096 + world_random(world, 400000)), &world->kept[i]);
                break;
        case 5:
                world->kept[i] = segment_unref(world->kept[i]);
                break;
        }
        store_settle(world->store);
}

START_TEST(as_the_rules_say)
{
        struct world world = { .store = kit_store(LIMIT), .random = (unsigned)_i * 77 + 1 };

        for (unsigned i = 0; i < N_USERS; i++)
                world.users[i] = kit_user(world.store, i + 1);
        for (unsigned i = 0; i < N_NAMES; i++)
                snprintf(world.rows[i].name, sizeof(world.rows[i].name), "n%u", i);
        for (unsigned n = 0; n < 4000; n++)
                world_step(&world);
        ck_assert_uint_gt(world.n_evictions, 50);
        ck_assert_uint_gt(world.n_of_others, 10);
        ck_assert_uint_eq(world.store->n_evicted, world.n_evictions);
        for (unsigned i = 0; i < N_NAMES; i++) {
                struct row *row = &world.rows[i];

                segment_unref(world.kept[i]);
                for (; row->tensor && row->n_uses > 0; row->n_uses--)
                        tensor_unref(row->tensor);
                if (row->tensor)
                        store_delete(world.store, row->user->uid, row->name, NULL);
        }
        for (unsigned i = 0; i < N_USERS; i++)
                user_unref(world.users[i]);
        store_free(world.store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("evict");
        TCase *tcase = tcase_create("evict");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, the_longest_unused_first_and_nothing_else);
        tcase_add_test(tcase, what_is_idle_goes_before);
        tcase_add_test(tcase, not_in_vain);
        tcase_add_test(tcase, at_an_own_cap_own_ones_alone);
        tcase_add_test(tcase, own_ones_then_of_who_holds_most);
        tcase_add_test(tcase, who_maps_one_is_asked_first);
        tcase_add_test(tcase, small_ones_in_the_heap_too);
        tcase_add_test(tcase, many_take_turns);
        tcase_add_test(tcase, who_is_deaf_hides_no_other);
        tcase_add_test(tcase, at_once_one_is_enough);
        tcase_add_test(tcase, gone_for_the_next_daemon);
        tcase_add_loop_test(tcase, as_the_rules_say, 0, 4);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
