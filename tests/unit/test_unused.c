/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * What is unused, and in which order it was used: by example, and at random against an array.
 */
#include "base/clock.h"
#include "store_kit.h"
#include "store/unused.h"

#define LIMIT (64 * KIT_MIB)
#define N_MODEL 24
#define N_USERS 3

/* ---- by example ---- */

/* The names of a walk, in its order. */
static void check_walk(struct store *store, enum unused_kind kind, struct user *user,
                       uint64_t n_at_least, const char *expected)
{
        struct unused_walk walk;
        struct tensor *tensor;
        char names[256] = "";

        unused_walk_begin(&walk, store, kind);
        while ((tensor = unused_walk_next(&walk, user, n_at_least)))
                strcat(names, tensor_name(tensor));
        ck_assert_str_eq(names, expected);
}

START_TEST(listed_while_nobody_uses_it)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct reservation *reservation;
        struct tensor *tensor;
        uint64_t n_bytes;

        tensor = kit_tensor(store, user, 20000, 1);
        n_bytes = tensor->segment->file_bytes;
        tensor_ref(tensor);
        ck_assert_int_eq(kit_put(store, tensor, "a", true), 0);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        tensor_unref(tensor);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "a");
        check_walk(store, UNUSED_KEPT, NULL, 0, "");
        ck_assert_uint_eq(unused_total(store, UNUSED_EVICTABLE), n_bytes);

        /* whoever is about to give the name another value needs this one no more, or keeps it */
        ck_assert_int_eq(store_reserve_name(store, user, "a", true, &reservation), 0);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        reservation_free(reservation);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "a");
        tensor_ref(tensor);
        ck_assert_uint_eq(unused_total(store, UNUSED_EVICTABLE), 0);
        tensor_unref(tensor);

        /* replaced by one that stays */
        ck_assert_int_eq(kit_put(store, kit_small(store, user, 3), "a", false), 0);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        check_walk(store, UNUSED_KEPT, NULL, 0, "a");
        ck_assert_uint_eq(unused_total(store, UNUSED_KEPT), sizeof(double));
        ck_assert_int_eq(store_delete(store, 1, "a", NULL), 0);
        check_walk(store, UNUSED_KEPT, NULL, 0, "");
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(by_user_and_by_what_they_hold)
{
        struct store *store = kit_store(LIMIT);
        struct user *a = kit_user(store, 1), *b = kit_user(store, 2);
        struct tensor *tensor;
        struct unused_walk walk;

        ck_assert_int_eq(kit_put(store, kit_tensor(store, a, 20000, 1), "a", true), 0);
        ck_assert_int_eq(kit_put(store, kit_tensor(store, b, 90000, 1), "b", true), 0);
        ck_assert_int_eq(kit_put(store, kit_tensor(store, a, 20000, 1), "c", true), 0);
        ck_assert_int_eq(kit_put(store, kit_tensor(store, b, 90000, 1), "d", true), 0);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "abcd");
        check_walk(store, UNUSED_EVICTABLE, a, 0, "ac");
        check_walk(store, UNUSED_EVICTABLE, b, 0, "bd");
        check_walk(store, UNUSED_EVICTABLE, NULL, b->used[RESOURCE_BYTES], "bd");
        check_walk(store, UNUSED_EVICTABLE, NULL, b->used[RESOURCE_BYTES] + 1, "");

        /* used within a walk: it does not come again, nor is any other passed over */
        unused_walk_begin(&walk, store, UNUSED_EVICTABLE);
        tensor = unused_walk_next(&walk, a, 0);
        ck_assert_str_eq(tensor_name(tensor), "a");
        tensor_unref(tensor_ref(tensor));
        tensor = unused_walk_next(&walk, NULL, 0);
        ck_assert_str_eq(tensor_name(tensor), "b");
        ck_assert_int_eq(store_delete(store, 2, "b", NULL), 0);
        tensor_unref(tensor_ref(kit_find(store, 1, "c"))); /* where it is next */
        ck_assert_str_eq(tensor_name(unused_walk_next(&walk, NULL, 0)), "d");
        ck_assert_ptr_null(unused_walk_next(&walk, NULL, 0));
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "dac");
        for (const char *name = "acd"; *name; name++)
                ck_assert_int_eq(
                        store_delete(store, *name == 'd' ? 2 : 1, (char[2]){ *name, '\0' }, NULL),
                        0);
        user_unref(a);
        user_unref(b);
        store_free(store);
}
END_TEST

static void grant(struct store *store, struct holder *holder, struct tensor *tensor)
{
        bool is_new;

        ck_assert_int_eq(store_grant(store, holder, tensor->segment, false, &is_new), 0);
}

START_TEST(who_maps_it_is_asked)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct holder a, b;
        struct tensor *tensor = kit_tensor(store, user, 20000, 1);
        uint64_t now_ms = 1000;

        holder_init(&a, user, kit_on_trim);
        holder_init(&b, user, kit_on_trim);
        kit_n_trims = 0;
        ck_assert_int_eq(kit_put(store, tensor, "a", true), 0);
        ck_assert_int_eq(unused_clear(tensor, now_ms), 0);
        grant(store, &a, tensor);
        grant(store, &b, tensor);
        ck_assert_int_eq(unused_clear(tensor, now_ms), UNUSED_E_ASKED);
        ck_assert_uint_eq(kit_n_trims, 2);
        ck_assert_int_eq(unused_clear(tensor, now_ms + UNUSED_WAIT_MS - 1), UNUSED_E_ASKED);
        store_unmap(store, &a, segment_id(tensor->segment));
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        ck_assert_uint_eq(unused_total(store, UNUSED_EVICTABLE), unused_n_bytes(tensor));
        ck_assert_int_eq(unused_clear(tensor, now_ms + UNUSED_WAIT_MS), UNUSED_E_MAPPED);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        ck_assert_uint_eq(unused_total(store, UNUSED_EVICTABLE), 0);
        ck_assert_uint_eq(kit_n_trims, 2);

        /* who uses it anew is asked anew */
        tensor_unref(tensor_ref(tensor));
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "a");
        ck_assert_int_eq(unused_clear(tensor, now_ms + UNUSED_WAIT_MS), UNUSED_E_ASKED);
        ck_assert_uint_eq(kit_n_trims, 3);
        ck_assert_int_eq(unused_clear(tensor, now_ms + 2 * UNUSED_WAIT_MS), UNUSED_E_MAPPED);
        unused_retry(store, now_ms + 2 * UNUSED_WAIT_MS);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        store_unmap(store, &b, segment_id(tensor->segment));
        unused_retry(store, now_ms + 3 * UNUSED_WAIT_MS - 1); /* it was just now */
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "");
        unused_retry(store, now_ms + 3 * UNUSED_WAIT_MS);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "a");
        ck_assert_uint_eq(unused_total(store, UNUSED_EVICTABLE), unused_n_bytes(tensor));
        ck_assert_int_eq(unused_clear(tensor, now_ms), 0);

        /* a reply that is still to be sent */
        segment_ref(tensor->segment);
        ck_assert_int_eq(unused_clear(tensor, now_ms), UNUSED_E_MAPPED);
        segment_unref(tensor->segment);
        ck_assert_int_eq(store_delete(store, 1, "a", NULL), 0);
        holder_deinit(store, &a);
        holder_deinit(store, &b);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(mapped_by_nobody_that_is_known)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct tensor *tensor = kit_tensor(store, user, 20000, 1);
        struct kit_child child;
        struct holder holder;
        int fd;

        holder_init(&holder, user, kit_on_trim);
        ck_assert_int_eq(kit_put(store, tensor, "a", true), 0);
        grant(store, &holder, tensor);
        fd = segment_open_for_client(tensor->segment, false);
        ck_assert_int_ge(fd, 0);
        child = kit_child_begin();
        close(fd);
        store_unmap(store, &holder, segment_id(tensor->segment));
        ck_assert_int_eq(unused_clear(tensor, 1000), UNUSED_E_MAPPED);
        kit_child_end(&child);
        unused_retry(store, 2000);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "a");
        ck_assert_int_eq(store_delete(store, 1, "a", NULL), 0);
        ck_assert_uint_gt(kit_check(store).idle, 0);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

START_TEST(who_lets_go_in_time)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct holder quick, deaf;
        struct tensor *tensors[6];

        holder_init(&quick, user, kit_on_trim);
        holder_init(&deaf, user, kit_on_trim);
        for (unsigned i = 0; i < 6; i++) {
                tensors[i] = kit_tensor(store, user, 20000, 1);
                ck_assert_int_eq(
                        kit_put(store, tensors[i], (char[2]){ (char)('a' + i), '\0' }, true), 0);
                if (i != 1 && i != 5)
                        grant(store, i == 3 ? &deaf : &quick, tensors[i]);
        }
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "abcdef");
        for (unsigned i = 0; i < 5; i++)
                ck_assert_int_eq(unused_clear(tensors[i], 1000), i == 1 ? 0 : UNUSED_E_ASKED);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "bf");
        for (unsigned i = 0; i < 5; i += 2)
                store_unmap(store, &quick, segment_id(tensors[i]->segment));
        unused_hear(store, 1001);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "abcef");
        unused_hear(store, 1000 + UNUSED_WAIT_MS - 1);
        ck_assert(!store_has_aside(store));
        unused_hear(store, 1000 + UNUSED_WAIT_MS);
        ck_assert(store_has_aside(store));
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "abcef");

        /* who did not is not asked for the next one, for a while */
        kit_n_trims = 0;
        grant(store, &deaf, tensors[4]);
        grant(store, &deaf, tensors[5]);
        ck_assert_int_eq(unused_clear(tensors[4], 1000 + UNUSED_WAIT_MS), UNUSED_E_MAPPED);
        ck_assert_uint_eq(kit_n_trims, 0);
        store_unmap(store, &deaf, segment_id(tensors[3]->segment));
        ck_assert_int_eq(unused_clear(tensors[5], 1000 + UNUSED_WAIT_MS), UNUSED_E_ASKED);
        ck_assert_uint_eq(kit_n_trims, 1);
        for (const char *name = "abcdef"; *name; name++)
                ck_assert_int_eq(store_delete(store, 1, (char[2]){ *name, '\0' }, NULL), 0);
        ck_assert_uint_eq(unused_total(store, UNUSED_EVICTABLE), 0);
        ck_assert_uint_eq(user->unused[UNUSED_EVICTABLE].n_asked, 0);
        holder_deinit(store, &quick);
        holder_deinit(store, &deaf);
        user_unref(user);
        store_free(store);
}
END_TEST

/* Each of those aside is tested once in a while, be they few. */
START_TEST(each_is_tried_once)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);
        struct tensor *tensors[2];
        struct holder holder;

        holder_init(&holder, user, kit_on_trim);
        for (unsigned i = 0; i < 2; i++) {
                struct tensor *tensor = tensors[i] = kit_tensor(store, user, 20000, 1);

                ck_assert_int_eq(kit_put(store, tensor, (char[2]){ (char)('a' + i), '\0' }, true),
                                 0);
                segment_ref(tensor->segment);
                ck_assert_int_eq(unused_clear(tensor, 1000), UNUSED_E_MAPPED);
                segment_unref(tensor->segment);
                grant(store, &holder, tensor);
        }
        ck_assert(store_has_aside(store));
        kit_n_trims = 0;
        store->retried_ms = (uint64_t)-UNUSED_WAIT_MS;
        unused_retry(store, 0); /* who was asked at 0 is asked whenever it is looked at */
        ck_assert_uint_eq(kit_n_trims, 2);
        for (unsigned i = 0; i < 2; i++)
                store_unmap(store, &holder, segment_id(tensors[i]->segment));
        unused_retry(store, 2 * UNUSED_WAIT_MS);
        ck_assert(!store_has_aside(store));
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "ab");
        for (const char *name = "ab"; *name; name++)
                ck_assert_int_eq(store_delete(store, 1, (char[2]){ *name, '\0' }, NULL), 0);
        holder_deinit(store, &holder);
        user_unref(user);
        store_free(store);
}
END_TEST

static void first_life(void)
{
        struct store *store = kit_store(LIMIT);
        struct user *user = kit_user(store, 1);

        for (const char *name = "zebdya"; *name; name++) {
                bool is_evictable = *name != 'b';
                uint64_t now_ms;

                ck_assert_int_eq(kit_put(store, kit_tensor(store, user, 20000, 1),
                                         (char[2]){ *name, '\0' }, is_evictable),
                                 0);
                now_ms = clock_now_ms();
                while (clock_now_ms() == now_ms) /* which records tell apart */
                        ;
        }
        _exit(0);
}

START_TEST(the_next_daemon_knows)
{
        struct store *store;

        KIT_FORKED(first_life());
        for (int again = 0; again < 2; again++) {
                store = kit_store(LIMIT);
                check_walk(store, UNUSED_EVICTABLE, NULL, 0, "zedya");
                check_walk(store, UNUSED_KEPT, NULL, 0, "b");
                ck_assert_int_eq(catalog_renew(store), 0);
                store_free(store);
        }
        store = kit_store(LIMIT);
        check_walk(store, UNUSED_EVICTABLE, NULL, 0, "zedya");
        for (const char *name = "abdeyz"; *name; name++)
                ck_assert_int_eq(store_delete(store, 1, (char[2]){ *name, '\0' }, NULL), 0);
        store_free(store);
}
END_TEST

/* ---- at random ---- */

/* What a name of the model is; its tensor, once it had one, keeps it. */
struct row {
        struct tensor *tensor;
        struct reservation *reservation;
        bool is_evictable;
        unsigned n_uses; /* under way */
        unsigned used;   /* when it was used last */
        uid_t uid;
        char name[8];
};

struct model {
        struct store *store;
        struct user *users[N_USERS];
        struct row rows[N_MODEL];
        unsigned clock;
        unsigned random;
};

static unsigned model_random(struct model *model, unsigned n)
{
        model->random = model->random * 1664525 + 1013904223;
        return (model->random >> 8) % n;
}

static bool row_is_unused(const struct row *row)
{
        return row->tensor && row->n_uses == 0 && !row->reservation;
}

static void model_step(struct model *model)
{
        struct row *row = &model->rows[model_random(model, N_MODEL)];
        struct user *user = model->users[row->uid - 1];
        bool was_unused = row_is_unused(row);

        switch (model_random(model, 6)) {
        case 0:
                if (row->tensor || row->reservation)
                        break;
                row->is_evictable = model_random(model, 2);
                ck_assert_int_eq(kit_put(model->store, kit_small(model->store, user, 1), row->name,
                                         row->is_evictable),
                                 0);
                row->tensor = kit_find(model->store, row->uid, row->name);
                break;
        case 1:
                if (row->tensor && model_random(model, 4) == 0 && !row->n_uses &&
                    !row->reservation) {
                        ck_assert_int_eq(store_delete(model->store, row->uid, row->name, NULL), 0);
                        row->tensor = NULL;
                }
                break;
        case 2:
                if (row->tensor) {
                        tensor_ref(row->tensor);
                        row->n_uses++;
                }
                break;
        case 3:
                if (row->n_uses > 0) {
                        tensor_unref(row->tensor);
                        row->n_uses--;
                }
                break;
        case 4:
                if (!row->reservation)
                        ck_assert_int_eq(store_reserve_name(model->store, user, row->name, true,
                                                            &row->reservation),
                                         0);
                break;
        case 5:
                row->reservation = reservation_free(row->reservation);
                break;
        }
        if (!was_unused && row_is_unused(row))
                row->used = ++model->clock;
}

static int row_compare(const void *a, const void *b)
{
        const struct row *const *x = a, *const *y = b;

        return (*x)->used < (*y)->used ? -1 : 1;
}

static void model_check(struct model *model, enum unused_kind kind, struct user *user)
{
        struct row *expected[N_MODEL];
        struct unused_walk walk;
        unsigned n = 0;

        for (unsigned i = 0; i < N_MODEL; i++) {
                struct row *row = &model->rows[i];

                if (row_is_unused(row) && row->is_evictable == (kind == UNUSED_EVICTABLE) &&
                    (!user || user->uid == row->uid))
                        expected[n++] = row;
        }
        qsort(expected, n, sizeof(expected[0]), row_compare);
        unused_walk_begin(&walk, model->store, kind);
        for (unsigned i = 0; i < n; i++)
                ck_assert_ptr_eq(unused_walk_next(&walk, user, 0), expected[i]->tensor);
        ck_assert_ptr_null(unused_walk_next(&walk, user, 0));
        if (!user)
                ck_assert_uint_eq(unused_total(model->store, kind), n * sizeof(double));
}

START_TEST(as_the_model_says)
{
        struct model model = { .store = kit_store(LIMIT), .random = (unsigned)_i + 1 };

        for (unsigned i = 0; i < N_USERS; i++)
                model.users[i] = kit_user(model.store, i + 1);
        for (unsigned i = 0; i < N_MODEL; i++) {
                model.rows[i].uid = i % N_USERS + 1;
                snprintf(model.rows[i].name, sizeof(model.rows[i].name), "n%u", i);
        }
        for (unsigned n = 0; n < 20000; n++) {
                enum unused_kind kind = model_random(&model, 2) ? UNUSED_EVICTABLE : UNUSED_KEPT;

                model_step(&model);
                model_check(&model, kind, n % 4 ? NULL : model.users[n % N_USERS]);
        }
        for (unsigned i = 0; i < N_MODEL; i++) {
                struct row *row = &model.rows[i];

                reservation_free(row->reservation);
                for (; row->n_uses > 0; row->n_uses--)
                        tensor_unref(row->tensor);
                if (row->tensor)
                        ck_assert_int_eq(store_delete(model.store, row->uid, row->name, NULL), 0);
        }
        for (unsigned i = 0; i < N_USERS; i++)
                user_unref(model.users[i]);
        store_free(model.store);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("unused");
        TCase *tcase = tcase_create("unused");

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, listed_while_nobody_uses_it);
        tcase_add_test(tcase, by_user_and_by_what_they_hold);
        tcase_add_test(tcase, who_maps_it_is_asked);
        tcase_add_test(tcase, mapped_by_nobody_that_is_known);
        tcase_add_test(tcase, who_lets_go_in_time);
        tcase_add_test(tcase, each_is_tried_once);
        tcase_add_test(tcase, the_next_daemon_knows);
        tcase_add_loop_test(tcase, as_the_model_says, 0, 4);
        suite_add_tcase(suite, tcase);
        return kit_run(suite);
}
