/* SPDX-License-Identifier: MIT */
#include "base/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void users_init(struct users *users, uint64_t limit)
{
        *users = (struct users){ .limit = limit };
}

void users_deinit(struct users *users)
{
        assert(!users->by_uid);
        assert(users->n_bytes == 0);
}

int user_get(struct users *users, uid_t uid, struct user **userp)
{
        struct user *user;

        HASH_FIND(hh, users->by_uid, &uid, sizeof(uid), user);
        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return -ENOMEM;
                user->users = users;
                user->uid = uid;
                work_queue_init(&user->works);
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
        assert(user->n_bytes == 0 && user->n_tensors == 0 && user->n_names == 0);
        assert(user->n_connections == 0 && user->n_fds_unread == 0);
        assert(user->n_orphans == 0);
        HASH_DEL(user->users->by_uid, user);
        free(user);
        return NULL;
}

int charge_take(struct charge *charge, struct user *user, uint64_t n_bytes)
{
        struct users *users = user->users;

        if (users->n_bytes > users->limit || n_bytes > users->limit - users->n_bytes)
                return CHARGE_E_LIMIT;
        charge_adopt(charge, user, n_bytes);
        return 0;
}

void charge_adopt(struct charge *charge, struct user *user, uint64_t n_bytes)
{
        assert(!charge->user);
        assert(n_bytes <= UINT64_MAX - user->users->n_bytes);
        charge->user = user_ref(user);
        charge->n_bytes = n_bytes;
        user->n_bytes += n_bytes;
        user->users->n_bytes += n_bytes;
        if (user->users->n_bytes_most < user->users->n_bytes)
                user->users->n_bytes_most = user->users->n_bytes;
}

void charge_drop(struct charge *charge)
{
        struct user *user = charge->user;

        if (!user)
                return;
        assert(user->n_bytes >= charge->n_bytes && user->users->n_bytes >= charge->n_bytes);
        user->n_bytes -= charge->n_bytes;
        user->users->n_bytes -= charge->n_bytes;
        *charge = (struct charge){ 0 };
        user_unref(user);
}
