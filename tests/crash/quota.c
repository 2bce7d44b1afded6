/* layer: base */
/* SPDX-License-Identifier: MIT */
/*
 * base/quota against a model
 *
 *   quota SEED OPERATIONS
 *
 * Random users charge, grow, move, split and give back random amounts of all resources, under
 * random limits. The model knows no charges: it adds up what each user holds, in numbers that do
 * not overflow, and says from the sentences of quota.h who may have what. After every operation
 * both agree, and whoever was promised a share can have it; in the end everything came back.
 */
#include "base/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_kit.h"

typedef unsigned __int128 wide;

#define N_USERS 6
#define N_CHARGES 200
#define ROUND 5000 /* operations under the same limits */

static struct users users;
static struct quotas quotas;
static struct charge charges[N_CHARGES];
static wide held[N_USERS][N_RESOURCES];
static bool may_force;               /* in this round things are charged beyond shares, */
static bool was_forced[N_RESOURCES]; /* and were */
static uint64_t n_granted, n_over_limit, n_over_quota, n_dropped;
static uint64_t n_operations;

static uint64_t draw(void)
{
        return kit_random() * UINT64_C(0x2545F4914F6CDD1D);
}

/* From 0 to n - 1; 0 stands for 2**64. */
static uint64_t below(uint64_t n)
{
        return n ? draw() % n : draw();
}

#define MUST(condition)                                                                            \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "operation %" PRIu64 ": %s\n", n_operations, #condition);  \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* ---- the model ---- */

static wide limit_of(enum resource resource)
{
        return quotas.all[resource] ? quotas.all[resource] : UINT64_MAX;
}

static wide held_by_all(enum resource resource)
{
        wide sum = 0;

        for (int i = 0; i < N_USERS; i++)
                sum += held[i][resource];
        return sum;
}

static wide free_of(enum resource resource)
{
        wide n = held_by_all(resource);

        return n < limit_of(resource) ? limit_of(resource) - n : 0;
}

/* What is a user's whatever the others did. */
static wide sure_of(int user, enum resource resource)
{
        wide found = limit_of(resource);

        if (!quotas.is_shared || resource == RESOURCE_BYTES || found > UINT64_MAX / USER_SHARE)
                return 0;
        for (int i = 0; i < N_USERS; i++)
                if (i != user && held[i][resource])
                        found /= 4;
        return found * 3 / 4;
}

static int expected(int user, enum resource resource, uint64_t n)
{
        wide n_free = free_of(resource), n_held = held[user][resource];
        bool is_sure = n_held + n <= sure_of(user, resource);

        if (n == 0)
                return 0;
        if (n > n_free && !is_sure)
                return CHARGE_E_LIMIT;
        if (quotas.each[resource] && n_held + n > quotas.each[resource])
                return CHARGE_E_QUOTA;
        /* Shares of what has no limit are none. */
        if (quotas.is_shared && USER_SHARE * n_free <= UINT64_MAX && !is_sure &&
            n_held + n > USER_SHARE * (n_free - n))
                return CHARGE_E_QUOTA;
        return 0;
}

/* Whoever did not go beyond left a quarter of what was free. */
static void check_promise(enum resource resource)
{
        wide least = limit_of(resource);

        if (!quotas.is_shared || was_forced[resource] || least > UINT64_MAX / USER_SHARE)
                return;
        for (int i = 0; i < N_USERS; i++)
                if (held[i][resource])
                        least /= 4;
        MUST(free_of(resource) >= least);
        /* So the share that is sure takes nothing from anybody. */
        for (int i = 0; i < N_USERS; i++) {
                wide n_more = sure_of(i, resource);

                n_more -= n_more > held[i][resource] ? held[i][resource] : n_more;
                MUST(n_more <= free_of(resource));
                MUST(n_more == 0 ||
                     held[i][resource] + n_more <= USER_SHARE * (free_of(resource) - n_more));
        }
}

static void check_user(int i, enum resource resource)
{
        struct user *user;

        MUST(user_get(&users, (uid_t)(1000 + i), &user) == 0);
        MUST(user->used[resource] == held[i][resource]);
        MUST(users.totals[resource].n == held_by_all(resource));
        if (!quotas.each[resource] || held[i][resource] <= quotas.each[resource]) {
                uint64_t most = user_limit(user, resource);

                MUST(most >= held[i][resource]);
                MUST(expected(i, resource, (uint64_t)(most - held[i][resource])) == 0);
                if (most < UINT64_MAX)
                        MUST(expected(i, resource, (uint64_t)(most - held[i][resource]) + 1));
        }
        user_unref(user);
        check_promise(resource);
}

static void check_refusal(int r, int user, enum resource resource, uint64_t n)
{
        const struct charge_refusal *refusal = &users.refusal;
        bool is_whole = r == CHARGE_E_LIMIT;

        MUST(refusal->uid == (uid_t)(1000 + user) && refusal->resource == resource);
        MUST(refusal->asked == n && refusal->is_whole == is_whole);
        MUST(refusal->used == (is_whole ? held_by_all(resource) : held[user][resource]));
        n_over_limit += is_whole;
        n_over_quota += !is_whole;
}

/* How charging that much more went, which should have gone as expected. */
static void check_charged(int r, int wanted, int user, enum resource resource, uint64_t n)
{
        MUST(r == wanted);
        if (r)
                check_refusal(r, user, resource, n);
        else
                held[user][resource] += n;
        n_granted += !r;
}

/* ---- operations ---- */

/* Amounts that matter: small ones, ones around what is left, and absurd ones. */
static uint64_t amount(enum resource resource)
{
        uint64_t n_free = (uint64_t)free_of(resource);

        switch (below(8)) {
        case 0:
                return below(4);
        case 1:
                return n_free;
        case 2:
                return n_free + 1;
        case 3:
                return n_free / 4 * 3 + below(3);
        case 4:
                return UINT64_MAX - below(3);
        default:
                return n_free ? below(n_free / (1 + below(20)) + 1) : below(100);
        }
}

static int owner_of(const struct charge *charge)
{
        return (int)charge->user->uid - 1000;
}

static void new_charge(struct charge *charge)
{
        enum resource resource = (enum resource)below(N_RESOURCES);
        uint64_t n = amount(resource), kind = may_force ? below(20) : 2;
        int i = (int)below(N_USERS), r;
        struct user *user;

        MUST(user_get(&users, (uid_t)(1000 + i), &user) == 0);
        if (kind == 0) {
                n = below(1 << 20);
                if (held_by_all(resource) + n <= UINT64_MAX) {
                        charge_adopt(charge, user, resource, n);
                        held[i][resource] += n;
                        was_forced[resource] = true;
                }
        } else if (kind == 1) {
                r = charge_take_for_all(charge, user, resource, n);
                MUST(!r == (n <= free_of(resource)));
                if (!r) {
                        held[i][resource] += n;
                        was_forced[resource] = true;
                }
        } else {
                int wanted = expected(i, resource, n);

                MUST(user_may_take(user, resource, n) == wanted);
                check_charged(charge_take(charge, user, resource, n), wanted, i, resource, n);
        }
        user_unref(user);
        MUST(!!charge->user == (charge->user && charge->n == n));
        check_user(i, resource);
}

static void change_charge(struct charge *charge)
{
        struct charge *other = &charges[below(N_CHARGES)];
        enum resource resource = charge->resource;
        int i = owner_of(charge), wanted;
        uint64_t n = amount(resource);

        switch (below(6)) {
        case 0:
                wanted = expected(i, resource, n);
                check_charged(charge_grow(charge, n), wanted, i, resource, n);
                break;
        case 1:
                n = below(charge->n + 1);
                charge_shrink(charge, n);
                held[i][resource] -= n;
                break;
        case 2:
                if (!other->user) {
                        charge_move(other, charge);
                        MUST(!charge->user && owner_of(other) == i);
                }
                break;
        case 3:
                if (!other->user) {
                        n = below(charge->n + 1);
                        charge_split(other, charge, n);
                        MUST(other->n == n);
                }
                break;
        default:
                held[i][resource] -= charge->n;
                charge_drop(charge);
                MUST(!charge->user);
                charge_drop(charge); /* what is empty may be dropped */
                n_dropped++;
        }
        check_user(i, resource);
}

/* ---- rounds ---- */

static void begin_round(void)
{
        uint64_t bytes = 1 + below(UINT64_C(1) << (1 + below(40)));

        memset(&quotas, 0, sizeof(quotas));
        memset(was_forced, 0, sizeof(was_forced));
        may_force = below(2) > 0;
        quotas.is_shared = below(4) > 0;
        for (int i = 0; i < N_RESOURCES; i++) {
                quotas.all[i] = below(3) ? 1 + below(UINT64_C(1) << (1 + below(40))) : 0;
                quotas.each[i] = below(3) ? 0 : 1 + below(UINT64_C(1) << (1 + below(40)));
        }
        if (!quotas.all[RESOURCE_BYTES])
                quotas.all[RESOURCE_BYTES] = bytes;
        users_init(&users, bytes);
        users_set_quotas(&users, &quotas);
}

static void end_round(void)
{
        for (int i = 0; i < N_CHARGES; i++) {
                if (charges[i].user)
                        held[owner_of(&charges[i])][charges[i].resource] -= charges[i].n;
                charge_drop(&charges[i]);
        }
        for (int i = 0; i < N_RESOURCES; i++)
                MUST(held_by_all((enum resource)i) == 0 && users.totals[i].n == 0);
        users_deinit(&users);
}

int main(int argc, char **argv)
{
        uint64_t n_wanted = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

        if (n_wanted == 0)
                return 64;
        kit_random_state = strtoull(argv[1], NULL, 10) * UINT64_C(0x9E3779B97F4A7C15) | 1;
        while (n_operations < n_wanted) {
                begin_round();
                for (int i = 0; i < ROUND && n_operations < n_wanted; i++, n_operations++) {
                        struct charge *charge = &charges[below(N_CHARGES)];

                        if (charge->user)
                                change_charge(charge);
                        else
                                new_charge(charge);
                        users_check(&users);
                }
                end_round();
        }
        printf("%" PRIu64 " operations: %" PRIu64 " granted, %" PRIu64
               " refused by limits, %" PRIu64 " by quotas, %" PRIu64 " given back\n",
               n_operations, n_granted, n_over_limit, n_over_quota, n_dropped);
        return n_granted && n_over_limit && n_over_quota && n_dropped ? 0 : 1;
}
