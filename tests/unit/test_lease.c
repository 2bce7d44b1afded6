/* layer: store */
/* SPDX-License-Identifier: MIT */
/*
 * Leases: no two that conflict are granted at a time, each is granted as soon as nothing that came
 * before it is in the way, and none is forgotten.
 */
#include "store/lease.h"

#include <check.h>
#include <stdlib.h>

#include "store/state.h"

enum { ROWS = 6, N = 12 };

static struct users users;
static struct mutable mutable;
static struct tensor tensor;
static struct lease leases[N];
static unsigned n_granted;

static void on_granted(struct lease *lease)
{
        ck_assert_uint_eq(lease->n_blockers, 0);
        n_granted++;
}

static void setup(void)
{
        mutable = (struct mutable){ .n_leases = 0 };
        list_init(&mutable.leases);
        users_init(&users, UINT64_MAX);
        ck_assert_int_eq(user_get(&users, 1000, &tensor.user), 0);
        tensor = (struct tensor){
                .user = tensor.user, .n_refs = 1, .state = TENSOR_MUTABLE, .mutable = &mutable
        };
        desc_init_c(&tensor.desc, &(struct td_type){ TD_FLOAT64, 2, { ROWS, 4 } });
        for (unsigned i = 0; i < N; i++)
                leases[i] = (struct lease){ .granted = on_granted };
        n_granted = 0;
}

static struct desc rows(int64_t first, int64_t last)
{
        struct desc region = tensor.desc;

        region.type.shape[0] = last - first;
        region.offset = first * region.strides[0];
        return region;
}

static void begin(struct lease *lease, int64_t first, int64_t last, bool is_write)
{
        struct desc region = rows(first, last);

        lease_begin(lease, &tensor, &region, is_write);
}

static bool rows_conflict(const struct lease *a, const struct lease *b)
{
        int64_t stride = tensor.desc.strides[0];
        int64_t a_first = a->region.offset / stride, b_first = b->region.offset / stride;

        if (!a->is_write && !b->is_write)
                return false;
        return a_first < b_first + b->region.type.shape[0] &&
               b_first < a_first + a->region.type.shape[0];
}

START_TEST(at_random)
{
        unsigned order[N], n = 0, n_expected = 0;

        srand(1);
        for (int turn = 0; turn < 10000; turn++) {
                unsigned i = (unsigned)rand() % N;

                if (leases[i].tensor) {
                        unsigned at = 0;

                        for (unsigned k = 0; k < n; k++)
                                if (order[k] != i)
                                        order[at++] = order[k];
                        n = at;
                        lease_end(&leases[i]);
                } else {
                        int64_t first = rand() % ROWS, n_rows = 1 + rand() % (ROWS - first);

                        begin(&leases[i], first, first + n_rows, rand() % 3 == 0);
                        order[n++] = i;
                        n_expected += leases[i].n_blockers > 0;
                }
                ck_assert_uint_eq(mutable.n_leases, n);
                ck_assert_uint_eq(tensor.n_refs, 1 + n);
                for (unsigned k = 0; k < n; k++) {
                        unsigned n_blockers = 0;

                        for (unsigned j = 0; j < k; j++)
                                n_blockers += rows_conflict(&leases[order[j]], &leases[order[k]]);
                        ck_assert_uint_eq(leases[order[k]].n_blockers, n_blockers);
                        ck_assert_int_eq(lease_blocker(&leases[order[k]]) == NULL, n_blockers == 0);
                }
        }
        ck_assert_uint_gt(n_granted, 1000);
        ck_assert_uint_ge(n_expected, n_granted);
}
END_TEST

START_TEST(of_one_owner)
{
        leases[0].owner = leases[1].owner = &leases;
        begin(&leases[0], 0, 3, true);
        begin(&leases[1], 0, 3, false);
        begin(&leases[2], 2, 4, false);
        ck_assert_uint_eq(leases[1].n_blockers, 0);
        ck_assert_uint_eq(leases[2].n_blockers, 1);
        for (unsigned i = 0; i < 3; i++)
                lease_end(&leases[i]);
        ck_assert_uint_eq(n_granted, 1);
}
END_TEST

/* Who holds it reads on, though another waits to write; and that one waits for what is read. */
START_TEST(within_what_is_held)
{
        int holder, other;

        for (unsigned i = 0; i < N; i++)
                leases[i].holder = i == 5 ? &other : &holder;
        leases[0].is_lasting = true;
        begin(&leases[0], 0, 3, false);
        begin(&leases[1], 2, 4, true); /* it waits */
        begin(&leases[2], 1, 3, false);
        ck_assert_uint_eq(leases[2].n_blockers, 0);
        ck_assert_uint_eq(leases[1].n_blockers, 2);
        begin(&leases[3], 1, 4, false); /* more than is held */
        begin(&leases[4], 2, 3, true);
        begin(&leases[5], 2, 3, false); /* somebody else's */
        ck_assert_uint_eq(leases[3].n_blockers, 1);
        ck_assert_uint_eq(leases[4].n_blockers, 4);
        ck_assert_uint_eq(leases[5].n_blockers, 2);
        lease_end(&leases[0]);
        ck_assert_uint_eq(n_granted, 0);
        begin(&leases[6], 1, 2, false); /* it does not conflict; nothing is held any more */
        begin(&leases[7], 2, 3, false);
        ck_assert_uint_eq(leases[7].n_blockers, 2);
        lease_end(&leases[7]);
        leases[2].is_lasting = leases[7].is_lasting = true;
        begin(&leases[7], 2, 3, false); /* writers would wait for ever */
        ck_assert_uint_eq(leases[7].n_blockers, 2);
        lease_end(&leases[2]);
        ck_assert_uint_eq(n_granted, 1);
        ck_assert_uint_eq(leases[1].n_blockers, 0);
        for (unsigned i = 0; i < 8; i++)
                lease_end(&leases[i]);
        ck_assert_uint_eq(n_granted, 5);
        ck_assert_uint_eq(mutable.n_leases, 0);
}
END_TEST

/* What lasts until somebody gives it back is in the way of those that wait for who waits for it. */
START_TEST(lasting)
{
        begin(&leases[0], 0, 1, true);
        ck_assert(!leases[0].may_last);
        leases[0].is_lasting = true;
        begin(&leases[1], 0, 2, true);
        ck_assert(leases[1].may_last);
        begin(&leases[2], 1, 3, true);
        ck_assert(leases[2].may_last);
        begin(&leases[3], 3, 4, true);
        begin(&leases[4], 3, 5, true);
        ck_assert(leases[4].n_blockers == 1 && !leases[4].may_last);
        for (unsigned i = 0; i < 5; i++)
                lease_end(&leases[i]);
        lease_end(&leases[0]);
}
END_TEST

static bool is_torn(int64_t first, int64_t last)
{
        struct desc region = rows(first, last);

        return tensor_torn(&tensor, &region) != NULL;
}

static void tear(int64_t first, int64_t last)
{
        struct desc region = rows(first, last);

        tensor_tear_as(&tensor, &region, 0);
}

static void write_rows(int64_t first, int64_t last)
{
        begin(&leases[0], first, last, true);
        lease_written(&leases[0]);
        lease_end(&leases[0]);
}

START_TEST(torn)
{
        tear(1, 3);
        tear(2, 2);
        ck_assert(!is_torn(0, 1) && is_torn(0, 2) && is_torn(2, 3) && !is_torn(3, 6));
        write_rows(0, 2);
        ck_assert(is_torn(2, 3));
        write_rows(1, 4);
        ck_assert(!is_torn(0, 6));
        ck_assert_uint_eq(mutable.version, 2);
}
END_TEST

START_TEST(torn_in_many_places)
{
        for (int64_t i = 0; i < 24; i++) {
                struct desc region = { .type = { TD_FLOAT64, 0, { 0 } }, .offset = 8 * i };

                tensor_tear_as(&tensor, &region, 0);
                ck_assert_uint_le(mutable.n_torn, TORN_MAX);
                ck_assert(tensor_torn(&tensor, &region));
        }
        write_rows(0, 6);
        ck_assert_uint_eq(mutable.n_torn, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("lease");
        TCase *tcase = tcase_create("lease");
        SRunner *runner;
        int n_failed;

        tcase_add_checked_fixture(tcase, setup, NULL);
        tcase_add_test(tcase, at_random);
        tcase_add_test(tcase, of_one_owner);
        tcase_add_test(tcase, within_what_is_held);
        tcase_add_test(tcase, lasting);
        tcase_add_test(tcase, torn);
        tcase_add_test(tcase, torn_in_many_places);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
