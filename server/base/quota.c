/* SPDX-License-Identifier: MIT */
#include "base/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static const struct {
        const char *name;
        bool is_bytes;
} resources[N_RESOURCES] = {
#define RESOURCE(sym, name, is_bytes, doc) [RESOURCE_##sym] = { name, is_bytes },
#include "base/resources.def"
#undef RESOURCE
};

const char *resource_name(enum resource resource)
{
        return resources[resource].name;
}

bool resource_is_bytes(enum resource resource)
{
        return resources[resource].is_bytes;
}

/* ---- users ---- */

void users_init(struct users *users, uint64_t n_bytes)
{
        *users = (struct users){ .is_shared = false };
        for (int i = 0; i < N_RESOURCES; i++)
                users->totals[i].limit = users->totals[i].cap = UINT64_MAX;
        users->totals[RESOURCE_BYTES].limit = n_bytes;
}

void users_set_quotas(struct users *users, const struct quotas *quotas)
{
        users->is_shared = quotas->is_shared;
        for (int i = 0; i < N_RESOURCES; i++) {
                if (quotas->all[i])
                        users->totals[i].limit = quotas->all[i];
                if (quotas->each[i])
                        users->totals[i].cap = quotas->each[i];
        }
}

void users_deinit(struct users *users)
{
        assert(!users->by_uid);
        users_check(users);
}

void users_check(const struct users *users)
{
        uint64_t sums[N_RESOURCES] = { 0 }, n_holders[N_RESOURCES] = { 0 };
        const struct user *user;

        for (user = users->by_uid; user; user = user->hh.next)
                for (int i = 0; i < N_RESOURCES; i++) {
                        assert(!__builtin_add_overflow(sums[i], user->used[i], &sums[i]));
                        n_holders[i] += user->used[i] > 0;
                }
        for (int i = 0; i < N_RESOURCES; i++)
                assert(sums[i] == users->totals[i].n && n_holders[i] == users->totals[i].n_holders);
}

struct user *user_find(const struct users *users, uid_t uid)
{
        struct user *user;

        HASH_FIND(hh, users->by_uid, &uid, sizeof(uid), user);
        return user;
}

int user_get(struct users *users, uid_t uid, struct user **userp)
{
        struct user *user = user_find(users, uid);

        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return -ENOMEM;
                user->users = users;
                user->uid = uid;
                work_queue_init(&user->works);
                work_queue_init(&user->disk);
                list_init(&user->spare.idle);
                for (int i = 0; i < N_UNUSED_KINDS; i++)
                        list_init(&user->unused[i].tensors);
                HASH_ADD(hh, users->by_uid, uid, sizeof(user->uid), user);
                if (!table_has(user)) {
                        free(user);
                        return -ENOMEM;
                }
        }
        *userp = user_ref(user);
        return 0;
}

struct user *user_ref(struct user *user)
{
        user->n_refs++;
        return user;
}

struct user *user_unref(struct user *user)
{
        if (!user)
                return NULL;
        assert(user->n_refs > 0);
        if (--user->n_refs > 0)
                return NULL;
        for (int i = 0; i < N_RESOURCES; i++)
                assert(user->used[i] == 0);
        assert(list_is_empty(&user->spare.idle));
        for (int i = 0; i < N_UNUSED_KINDS; i++)
                assert(list_is_empty(&user->unused[i].tensors) && user->unused[i].n_bytes == 0);
        assert(user->n_names == 0 && user->n_lost == 0);
        assert(user->n_fds_unread == 0 && user->n_orphans == 0);
        HASH_DEL(user->users->by_uid, user);
        free(user);
        return NULL;
}

/* ---- what a user may take ---- */

static uint64_t total_free(const struct total *total)
{
        return total->n < total->limit ? total->limit - total->n : 0;
}

/* As much more as x + n <= USER_SHARE * (free - n) allows. */
static uint64_t share_left(const struct user *user, uint64_t n_free, uint64_t n_used)
{
        uint64_t most;

        if (!user->users->is_shared || __builtin_mul_overflow(n_free, USER_SHARE, &most))
                return n_free;
        return most > n_used ? (most - n_used) / (USER_SHARE + 1) : 0;
}

/* What is the user's in any case: 3/4 of what others left, each a quarter of what it found. */
static uint64_t user_guarantee(const struct user *user, enum resource resource)
{
        const struct total *total = &user->users->totals[resource];
        uint64_t n_others = total->n_holders - (user->used[resource] > 0);
        uint64_t n_found = n_others < 32 ? total->limit >> (2 * n_others) : 0;

        if (!user->users->is_shared || resource == RESOURCE_BYTES ||
            total->limit > UINT64_MAX / USER_SHARE)
                return 0;
        return n_found - n_found / 4 - (n_found % 4 > 0);
}

/* As much more as the user gets, but for its cap. */
static uint64_t user_left(const struct user *user, enum resource resource)
{
        uint64_t n_used = user->used[resource], n_sure = user_guarantee(user, resource);
        uint64_t n_left = share_left(user, total_free(&user->users->totals[resource]), n_used);

        return n_sure > n_used && n_sure - n_used > n_left ? n_sure - n_used : n_left;
}

uint64_t user_limit(const struct user *user, enum resource resource)
{
        const struct total *total = &user->users->totals[resource];
        uint64_t limit = user->used[resource] + user_left(user, resource);

        return limit < total->cap ? limit : total->cap;
}

int user_may_take(struct user *user, enum resource resource, uint64_t n)
{
        const struct total *total = &user->users->totals[resource];
        uint64_t n_used = user->used[resource], n_left = user_left(user, resource);
        bool is_whole = n > n_left && n > total_free(total);

        if (n == 0 || (n <= n_left && n_used <= total->cap && n <= total->cap - n_used))
                return 0;
        user->users->refusal = (struct charge_refusal){ .uid = user->uid,
                                                        .resource = resource,
                                                        .is_whole = is_whole,
                                                        .asked = n,
                                                        .used = n_used,
                                                        .limit = user_limit(user, resource) };
        if (is_whole) {
                user->users->refusal.used = total->n;
                user->users->refusal.limit = total->limit;
        }
        return is_whole ? CHARGE_E_LIMIT : CHARGE_E_QUOTA;
}

/* ---- charges ---- */

int charge_take(struct charge *charge, struct user *user, enum resource resource, uint64_t n)
{
        int r = user_may_take(user, resource, n);

        if (!r)
                charge_adopt(charge, user, resource, n);
        return r;
}

int charge_take_for_all(struct charge *charge, struct user *user, enum resource resource,
                        uint64_t n)
{
        if (n > total_free(&user->users->totals[resource]))
                return CHARGE_E_LIMIT;
        charge_adopt(charge, user, resource, n);
        return 0;
}

void charge_adopt(struct charge *charge, struct user *user, enum resource resource, uint64_t n)
{
        assert(!charge->user);
        *charge = (struct charge){ .user = user_ref(user), .resource = resource };
        charge_adopt_more(charge, n);
}

int charge_grow(struct charge *charge, uint64_t n)
{
        int r = user_may_take(charge->user, charge->resource, n);

        if (!r)
                charge_adopt_more(charge, n);
        return r;
}

void charge_adopt_more(struct charge *charge, uint64_t n)
{
        struct total *total = &charge->user->users->totals[charge->resource];

        if (n == 0)
                return;
        assert(n <= UINT64_MAX - total->n);
        total->n_holders += charge->user->used[charge->resource] == 0;
        charge->n += n;
        charge->user->used[charge->resource] += n;
        total->n += n;
        if (total->n_most < total->n)
                total->n_most = total->n;
}

void charge_shrink(struct charge *charge, uint64_t n)
{
        struct user *user = charge->user;
        struct total *total = &user->users->totals[charge->resource];

        if (n == 0)
                return;
        assert(n <= charge->n && charge->n <= user->used[charge->resource]);
        assert(n <= total->n);
        charge->n -= n;
        user->used[charge->resource] -= n;
        total->n -= n;
        total->n_holders -= user->used[charge->resource] == 0;
}

void charge_move(struct charge *to, struct charge *from)
{
        assert(!to->user);
        *to = *from;
        *from = (struct charge){ 0 };
}

void charge_split(struct charge *to, struct charge *from, uint64_t n)
{
        assert(!to->user && n <= from->n);
        *to = (struct charge){ .user = user_ref(from->user), .n = n, .resource = from->resource };
        from->n -= n;
}

void charge_drop(struct charge *charge)
{
        struct user *user = charge->user;

        if (!user)
                return;
        charge_shrink(charge, charge->n);
        *charge = (struct charge){ 0 };
        user_unref(user);
}
