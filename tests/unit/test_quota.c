/* layer: base */
/* SPDX-License-Identifier: MIT */
#include "fault_kit.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/quota.h"

#define BYTES RESOURCE_BYTES

START_TEST(test_one_user_per_uid)
{
        struct users users;
        struct user *a, *b, *c;

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(user_get(&users, 1, &b), 0);
        ck_assert_int_eq(user_get(&users, 2, &c), 0);
        ck_assert_ptr_eq(a, b);
        ck_assert_ptr_ne(a, c);
        ck_assert_uint_eq(a->n_refs, 2);
        ck_assert_ptr_null(user_unref(b));
        user_unref(a);
        user_unref(c);
        ck_assert_ptr_null(user_unref(NULL));
        users_deinit(&users);
}
END_TEST

START_TEST(test_charges_add_up)
{
        struct users users;
        struct user *a, *b;
        struct charge one = { 0 }, two = { 0 }, three = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(user_get(&users, 2, &b), 0);
        ck_assert_int_eq(charge_take(&one, a, BYTES, 60), 0);
        ck_assert_int_eq(charge_take(&two, b, BYTES, 41), CHARGE_E_LIMIT);
        ck_assert(users.refusal.is_whole && users.refusal.resource == BYTES);
        ck_assert_uint_eq(users.refusal.asked, 41);
        ck_assert_uint_eq(users.refusal.used, 60);
        ck_assert_uint_eq(users.refusal.limit, 100);
        ck_assert_ptr_null(two.user);
        ck_assert_uint_eq(b->used[BYTES], 0);
        ck_assert_int_eq(charge_take(&two, b, BYTES, UINT64_MAX), CHARGE_E_LIMIT);
        ck_assert_uint_eq(users.totals[BYTES].n_most, 60); /* what was refused never was */
        ck_assert_int_eq(charge_take(&two, b, BYTES, 40), 0);
        ck_assert_uint_eq(users.totals[BYTES].n, 100);
        ck_assert_uint_eq(a->used[BYTES], 60);
        ck_assert_uint_eq(b->used[BYTES], 40);

        /* What exists is charged whatever the limit; then nothing more fits. */
        charge_adopt(&three, b, BYTES, 50);
        ck_assert_uint_eq(users.totals[BYTES].n, 150);
        charge_drop(&two);
        ck_assert_uint_eq(users.totals[BYTES].n, 110);
        ck_assert_int_eq(charge_take(&two, a, BYTES, 1), CHARGE_E_LIMIT);
        ck_assert_int_eq(user_may_take(a, BYTES, 0), 0);
        charge_drop(&three);
        charge_drop(&three);
        ck_assert_uint_eq(users.totals[BYTES].n, 60);
        ck_assert_uint_eq(users.totals[BYTES].n_most, 150);
        ck_assert_int_eq(charge_take(&two, a, BYTES, 40), 0);
        users_check(&users);
        charge_drop(&one);
        charge_drop(&two);
        ck_assert_uint_eq(users.totals[BYTES].n, 0);
        user_unref(a);
        user_unref(b);
        users_deinit(&users);
}
END_TEST

START_TEST(test_resources_are_counted_apart)
{
        struct users users;
        struct user *a;
        struct charge charges[N_RESOURCES] = { 0 };

        users_init(&users, 10);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        for (int i = 0; i < N_RESOURCES; i++)
                ck_assert_int_eq(charge_take(&charges[i], a, i, 1u + (unsigned)i), 0);
        for (int i = 0; i < N_RESOURCES; i++) {
                ck_assert_uint_eq(a->used[i], 1u + (unsigned)i);
                ck_assert_uint_eq(users.totals[i].n, 1u + (unsigned)i);
                charge_drop(&charges[i]);
                ck_assert_uint_eq(a->used[i], 0);
                ck_assert_ptr_nonnull(resource_name(i));
        }
        user_unref(a);
        users_deinit(&users);
}
END_TEST

START_TEST(test_parts_and_moves_keep_the_sum)
{
        struct users users;
        struct user *a;
        struct charge whole = { 0 }, part = { 0 }, other = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(charge_take(&whole, a, BYTES, 50), 0);
        charge_split(&part, &whole, 20);
        ck_assert_uint_eq(whole.n, 30);
        ck_assert_uint_eq(a->used[BYTES], 50);
        charge_move(&other, &part);
        ck_assert_ptr_null(part.user);
        charge_drop(&whole);
        ck_assert_uint_eq(a->used[BYTES], 20);
        ck_assert_int_eq(charge_grow(&other, 81), CHARGE_E_LIMIT);
        ck_assert_int_eq(charge_grow(&other, 80), 0);
        charge_shrink(&other, 99);
        ck_assert_uint_eq(a->used[BYTES], 1);
        charge_adopt_more(&other, 1000);
        ck_assert_uint_eq(users.totals[BYTES].n, 1001);
        users_check(&users);
        charge_drop(&other);
        user_unref(a);
        users_deinit(&users);
}
END_TEST

START_TEST(test_caps_and_limits_of_each_resource)
{
        struct quotas quotas = { .all = { [RESOURCE_TENSORS] = 10 },
                                 .each = { [RESOURCE_TENSORS] = 6, [BYTES] = 30 } };
        struct users users;
        struct user *a, *b;
        struct charge one = { 0 }, two = { 0 }, three = { 0 };

        users_init(&users, 100);
        users_set_quotas(&users, &quotas);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(user_get(&users, 2, &b), 0);
        ck_assert_uint_eq(user_limit(a, BYTES), 30);
        ck_assert_int_eq(charge_take(&one, a, RESOURCE_TENSORS, 7), CHARGE_E_QUOTA);
        ck_assert(!users.refusal.is_whole);
        ck_assert_uint_eq(users.refusal.limit, 6);
        ck_assert_int_eq(charge_take(&one, a, RESOURCE_TENSORS, 6), 0);
        ck_assert_int_eq(charge_take(&two, b, RESOURCE_TENSORS, 5), CHARGE_E_LIMIT);
        ck_assert_int_eq(charge_take(&two, b, RESOURCE_TENSORS, 4), 0);
        ck_assert_int_eq(charge_take(&three, a, BYTES, 31), CHARGE_E_QUOTA);
        ck_assert_int_eq(charge_take(&three, a, BYTES, 30), 0);
        ck_assert_int_eq(charge_grow(&three, 1), CHARGE_E_QUOTA);
        charge_drop(&one);
        charge_drop(&two);
        charge_drop(&three);
        user_unref(a);
        user_unref(b);
        users_deinit(&users);
}
END_TEST

/* One greedy user, taking as much as it gets, by every step; then others, one after the other. */
START_TEST(test_greedy_users_leave_shares)
{
        const struct quotas quotas = { .is_shared = true };
        const uint64_t steps[] = { 1, 7, 4096 }, limit = 1 << 20;
        uint64_t n_free = limit;
        struct users users;
        struct user *all[5];
        struct charge charges[5] = { 0 };

        users_init(&users, limit);
        users_set_quotas(&users, &quotas);
        for (uid_t i = 0; i < 5; i++) {
                ck_assert_int_eq(user_get(&users, i, &all[i]), 0);
                /* the first request, of all that the formula gives a newcomer */
                ck_assert_uint_eq(user_limit(all[i], BYTES), n_free * 3 / 4);
                ck_assert_int_eq(charge_take(&charges[i], all[i], BYTES, n_free * 3 / 4 + 1),
                                 CHARGE_E_QUOTA);
                ck_assert_uint_eq(users.refusal.limit, n_free * 3 / 4);
                charge_adopt(&charges[i], all[i], BYTES, 0);
                while (charge_grow(&charges[i], steps[_i]) == 0)
                        ;
                ck_assert_uint_le(charges[i].n, n_free * 3 / 4);
                ck_assert_uint_gt(charges[i].n + steps[_i], n_free * 3 / 4);
                n_free -= charges[i].n;
                ck_assert_uint_ge(n_free << (2 * (i + 1)), limit);
        }
        users_check(&users);
        for (unsigned i = 0; i < 5; i++) {
                charge_drop(&charges[i]);
                user_unref(all[i]);
        }
        users_deinit(&users);
}
END_TEST

/* Of equal greed, all at the same time: each has 3 / (1 + 3 k) of it. */
START_TEST(test_equal_greed_is_equal)
{
        const struct quotas quotas = { .is_shared = true };
        struct users users;
        struct user *all[4];
        struct charge charges[4] = { 0 };
        bool has_grown = true;

        users_init(&users, 13000);
        users_set_quotas(&users, &quotas);
        for (uid_t i = 0; i < 4; i++) {
                ck_assert_int_eq(user_get(&users, i, &all[i]), 0);
                charge_adopt(&charges[i], all[i], BYTES, 0);
        }
        while (has_grown) {
                has_grown = false;
                for (unsigned i = 0; i < 4; i++)
                        has_grown = charge_grow(&charges[i], 10) == 0 || has_grown;
        }
        for (unsigned i = 0; i < 4; i++) {
                ck_assert_uint_ge(charges[i].n, 2980);
                ck_assert_uint_le(charges[i].n, 3010);
                charge_drop(&charges[i]);
                user_unref(all[i]);
        }
        users_deinit(&users);
}
END_TEST

/* Others have more than there is, and each newcomer gets what it would at least have found. */
START_TEST(test_what_went_beyond_takes_nobodys_share)
{
        const struct quotas quotas = { .is_shared = true, .all = { [RESOURCE_REQUESTS] = 1000 } };
        struct users users;
        struct user *greedy, *all[3];
        struct charge beyond = { 0 }, charges[3] = { 0 }, bytes = { 0 };
        uint64_t least = 1000;

        users_init(&users, 1000);
        users_set_quotas(&users, &quotas);
        ck_assert_int_eq(user_get(&users, 9, &greedy), 0);
        charge_adopt(&beyond, greedy, RESOURCE_REQUESTS, 5000);
        for (uid_t i = 0; i < 3; i++) {
                least /= 4;
                ck_assert_int_eq(user_get(&users, i, &all[i]), 0);
                ck_assert_uint_eq(user_limit(all[i], RESOURCE_REQUESTS), least * 3 / 4);
                ck_assert_int_eq(charge_take(&charges[i], all[i], RESOURCE_REQUESTS,
                                             least * 3 / 4 + 1),
                                 CHARGE_E_LIMIT);
                ck_assert_int_eq(charge_take(&charges[i], all[i], RESOURCE_REQUESTS, 1), 0);
                ck_assert_int_eq(charge_grow(&charges[i], least * 3 / 4 - 1), 0);
                ck_assert_int_eq(charge_grow(&charges[i], 1), CHARGE_E_LIMIT);
        }
        users_check(&users);
        ck_assert_uint_le(users.totals[RESOURCE_REQUESTS].n, 5000 + 1000 / 4);
        ck_assert_int_eq(user_may_take(greedy, RESOURCE_REQUESTS, 1), CHARGE_E_LIMIT);

        /* Memory that is not there is nobody's. */
        charge_adopt(&bytes, greedy, BYTES, 1001);
        ck_assert_int_eq(user_may_take(all[0], BYTES, 1), CHARGE_E_LIMIT);
        charge_drop(&bytes);
        charge_drop(&beyond);
        for (unsigned i = 0; i < 3; i++) {
                charge_drop(&charges[i]);
                user_unref(all[i]);
        }
        user_unref(greedy);
        users_deinit(&users);
}
END_TEST

/* However small a share gets: that of who comes last is nothing. */
START_TEST(test_a_share_beside_very_many_is_nothing)
{
        enum { N = 40 };
        const struct quotas quotas = { .is_shared = true,
                                       .all = { [RESOURCE_REQUESTS] = UINT64_C(1) << 62 } };
        struct charge charges[N] = { 0 };
        struct users users;
        struct user *all[N + 1];

        users_init(&users, 1000);
        users_set_quotas(&users, &quotas);
        for (unsigned i = 0; i <= N; i++) {
                ck_assert_int_eq(user_get(&users, i, &all[i]), 0);
                if (i < N)
                        charge_adopt(&charges[i], all[i], RESOURCE_REQUESTS, UINT64_C(1) << 57);
        }
        ck_assert_int_eq(user_may_take(all[N], RESOURCE_REQUESTS, 1), CHARGE_E_LIMIT);
        for (unsigned i = 0; i <= N; i++) {
                if (i < N)
                        charge_drop(&charges[i]);
                user_unref(all[i]);
        }
        users_deinit(&users);
}
END_TEST

/* More than a cap that came later; nothing whatever is left of what is unlimited. */
START_TEST(test_beyond_a_cap_and_without_one)
{
        const struct quotas quotas = { .is_shared = true, .each = { [RESOURCE_TENSORS] = 5 } };
        struct users users;
        struct user *a;
        struct charge charge = { 0 }, more = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(charge_take(&charge, a, RESOURCE_TENSORS, 7), 0);
        users_set_quotas(&users, &quotas);
        ck_assert_int_eq(user_may_take(a, RESOURCE_TENSORS, 0), 0);
        ck_assert_int_eq(charge_take(&more, a, RESOURCE_TENSORS, 1), CHARGE_E_QUOTA);
        ck_assert_uint_eq(users.refusal.used, 7);
        ck_assert_uint_eq(users.refusal.limit, 5);
        ck_assert_uint_eq(user_limit(a, RESOURCE_TENSORS), 5);
        charge_shrink(&charge, 3);
        ck_assert_int_eq(charge_take(&more, a, RESOURCE_TENSORS, 1), 0);
        charge_drop(&more);
        charge_drop(&charge);

        /* Shares of 2^64 - 1 are beyond 64 bits. */
        ck_assert_uint_eq(user_limit(a, RESOURCE_LEASES), UINT64_MAX);
        ck_assert_int_eq(charge_take(&charge, a, RESOURCE_LEASES, UINT64_MAX), 0);
        ck_assert_int_eq(charge_take(&more, a, RESOURCE_LEASES, 1), CHARGE_E_LIMIT);
        charge_drop(&charge);
        user_unref(a);
        users_deinit(&users);
}
END_TEST

/* A user that there is no memory for is none, and nothing of it is left. */
START_TEST(test_no_memory_for_a_user)
{
        bool has_failed = true;
        unsigned n_failed = 0;

        for (long n = 0; has_failed; n++) {
                struct user *user = NULL;
                struct users users;
                int r;

                users_init(&users, 100);
                faults_after(n);
                r = user_get(&users, 1, &user);
                has_failed = faults_end();
                ck_assert_int_eq(r, has_failed ? -ENOMEM : 0);
                ck_assert_int_eq(user == NULL, has_failed);
                n_failed += has_failed;
                user_unref(user);
                users_deinit(&users); /* asserts that it is empty */
        }
        ck_assert_uint_ge(n_failed, 2);
}
END_TEST

/* ---- against a model ---- */

#define N_USERS 5
#define N_CHARGES 64
#define LIMIT 100000
#define CAP 60000

struct model {
        uint64_t used[N_USERS];
        struct charge charges[N_CHARGES];
        unsigned owner[N_CHARGES];
};

static uint64_t model_sum(const struct model *model, unsigned *n_holdersp)
{
        uint64_t sum = 0;

        *n_holdersp = 0;
        for (unsigned i = 0; i < N_USERS; i++) {
                sum += model->used[i];
                *n_holdersp += model->used[i] > 0;
        }
        return sum;
}

static int model_expects(const struct model *model, unsigned user, uint64_t n, bool is_shared)
{
        unsigned n_holders;
        uint64_t n_free = LIMIT - model_sum(model, &n_holders), n_then;

        if (n > n_free)
                return CHARGE_E_LIMIT;
        if (n == 0) /* more of nothing is no more */
                return 0;
        n_then = model->used[user] + n;
        if (n_then > CAP || (is_shared && n_then > 3 * (n_free - n)))
                return CHARGE_E_QUOTA;
        return 0;
}

static void model_look(const struct model *model, const struct users *users, bool is_shared)
{
        unsigned n_holders;
        uint64_t sum = model_sum(model, &n_holders);

        users_check(users);
        ck_assert_uint_eq(users->totals[RESOURCE_WORKSPACE].n, sum);
        /* F >= L / 4^k */
        if (is_shared)
                ck_assert_uint_ge((uint64_t)(LIMIT - sum) << (2 * n_holders), LIMIT);
}

/* Amounts of every magnitude: some users take small bites, some all they get. */
static uint64_t some(unsigned *seed, struct user *user)
{
        unsigned roll = (unsigned)rand_r(seed);

        if (roll % 4 == 0)
                return user_limit(user, RESOURCE_WORKSPACE) - user->used[RESOURCE_WORKSPACE];
        return ((unsigned)rand_r(seed) % LIMIT) >> (roll % 17);
}

static void model_step(struct model *model, struct user **users, unsigned *seed, bool is_shared)
{
        unsigned i = (unsigned)rand_r(seed) % N_CHARGES, user = model->owner[i];
        struct charge *charge = &model->charges[i];
        uint64_t n;
        int r;

        if (!charge->user) {
                user = (unsigned)rand_r(seed) % N_USERS;
                n = some(seed, users[user]);
                r = charge_take(charge, users[user], RESOURCE_WORKSPACE, n);
                ck_assert_int_eq(r, model_expects(model, user, n, is_shared));
                model->owner[i] = user;
                model->used[user] += r ? 0 : n;
        } else if ((unsigned)rand_r(seed) % 3 == 0) {
                n = some(seed, users[user]);
                r = charge_grow(charge, n);
                ck_assert_int_eq(r, model_expects(model, user, n, is_shared));
                model->used[user] += r ? 0 : n;
        } else {
                n = (unsigned)rand_r(seed) % 2 ? charge->n : charge->n / 2;
                charge_shrink(charge, n);
                model->used[user] -= n;
                if (charge->n == 0)
                        charge_drop(charge);
        }
}

START_TEST(test_as_a_model_says)
{
        const bool is_shared = _i % 2;
        const struct quotas quotas = { .is_shared = is_shared,
                                       .all = { [RESOURCE_WORKSPACE] = LIMIT },
                                       .each = { [RESOURCE_WORKSPACE] = CAP } };
        const char *scale = getenv("TENSORD_QUOTA_STEPS");
        unsigned long n_steps = scale ? strtoul(scale, NULL, 10) : 100000;
        unsigned seed = 1 + (unsigned)_i;
        struct model model = { 0 };
        struct users users;
        struct user *all[N_USERS];

        users_init(&users, 1);
        users_set_quotas(&users, &quotas);
        for (uid_t i = 0; i < N_USERS; i++)
                ck_assert_int_eq(user_get(&users, i, &all[i]), 0);
        for (unsigned long i = 0; i < n_steps; i++) {
                model_step(&model, all, &seed, is_shared);
                model_look(&model, &users, is_shared);
        }
        for (unsigned i = 0; i < N_CHARGES; i++)
                charge_drop(&model.charges[i]);
        for (unsigned i = 0; i < N_USERS; i++)
                user_unref(all[i]);
        users_deinit(&users);
}
END_TEST

START_TEST(test_a_charge_keeps_its_user)
{
        struct users users;
        struct user *a;
        struct charge charge = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(charge_take(&charge, a, BYTES, 10), 0);
        user_unref(a);
        ck_assert_ptr_nonnull(users.by_uid);
        charge_drop(&charge);
        ck_assert_ptr_null(users.by_uid);
        users_deinit(&users);
}
END_TEST

START_TEST(test_a_leak_is_noticed)
{
        struct users users;
        struct user *a;
        struct charge charge = { 0 };

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        ck_assert_int_eq(charge_take(&charge, a, BYTES, 10), 0);
        users_deinit(&users);
}
END_TEST

START_TEST(test_what_was_not_charged_is_noticed)
{
        struct users users;
        struct user *a;

        users_init(&users, 100);
        ck_assert_int_eq(user_get(&users, 1, &a), 0);
        a->used[RESOURCE_LEASES]++;
        users_check(&users);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("quota");
        TCase *tcase = tcase_create("quota");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, test_one_user_per_uid);
        tcase_add_test(tcase, test_charges_add_up);
        tcase_add_test(tcase, test_resources_are_counted_apart);
        tcase_add_test(tcase, test_parts_and_moves_keep_the_sum);
        tcase_add_test(tcase, test_caps_and_limits_of_each_resource);
        tcase_add_loop_test(tcase, test_greedy_users_leave_shares, 0, 3);
        tcase_add_test(tcase, test_equal_greed_is_equal);
        tcase_add_test(tcase, test_what_went_beyond_takes_nobodys_share);
        tcase_add_test(tcase, test_a_share_beside_very_many_is_nothing);
        tcase_add_test(tcase, test_beyond_a_cap_and_without_one);
        if (FAULTS_WORK)
                tcase_add_test(tcase, test_no_memory_for_a_user);
        tcase_add_loop_test(tcase, test_as_a_model_says, 0, 4);
        tcase_add_test(tcase, test_a_charge_keeps_its_user);
        tcase_add_test_raise_signal(tcase, test_a_leak_is_noticed, SIGABRT);
        tcase_add_test_raise_signal(tcase, test_what_was_not_charged_is_noticed, SIGABRT);
        tcase_set_timeout(tcase, 600);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
