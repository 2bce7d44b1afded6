/* SPDX-License-Identifier: MIT */
#include "net/turns.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

void turns_init(struct turns *turns)
{
        *turns = (struct turns){ .round = 1 };
        list_init(&turns->line);
}

void turns_deinit(struct turns *turns)
{
        assert(!turns->by_uid);
        assert(list_is_empty(&turns->line));
}

int turns_join(struct turns *turns, uid_t uid, struct turns_user **userp)
{
        struct turns_user *user;

        HASH_FIND(hh, turns->by_uid, &uid, sizeof(uid), user);
        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return error_origin(-ENOMEM);
                user->turns = turns;
                user->uid = uid;
                list_init(&user->waiting);
                list_init(&user->link);
                HASH_ADD(hh, turns->by_uid, uid, sizeof(user->uid), user);
                if (!table_has(user)) {
                        free(user);
                        return error_origin(-ENOMEM);
                }
        }
        user->n_refs++;
        *userp = user;
        return 0;
}

struct turns_user *turns_leave(struct turns_user *user)
{
        if (!user)
                return NULL;
        assert(user->n_refs > 0);
        if (--user->n_refs > 0)
                return NULL;
        assert(list_is_empty(&user->waiting));
        list_unlink(&user->link);
        HASH_DEL(user->turns->by_uid, user);
        free(user);
        return NULL;
}

void turns_wait(struct turns_user *user, struct list *link)
{
        list_push_back(&user->waiting, link);
        if (list_is_empty(&user->link))
                list_push_back(&user->turns->line, &user->link);
}

/* The first user for whom something waits. */
static struct turns_user *turns_first(struct turns *turns)
{
        struct turns_user *user;

        while ((user = list_first(&turns->line, struct turns_user, link)) &&
               list_is_empty(&user->waiting))
                list_unlink(&user->link);
        return user;
}

struct list *turns_next(struct turns *turns)
{
        struct turns_user *user = turns_first(turns);
        struct list *link;

        if (!user)
                return NULL;
        link = user->waiting.next;
        list_unlink(link);
        list_unlink(&user->link);
        list_push_back(&turns->line, &user->link);
        return link;
}

bool turns_is_empty(struct turns *turns)
{
        return !turns_first(turns);
}

void turns_begin_round(struct turns *turns)
{
        turns->round++;
}

bool turns_may_go(const struct turns_user *user)
{
        return list_is_empty(&user->waiting) &&
               (user->round != user->turns->round || user->spent_ns < TURNS_SHARE_NS);
}

void turns_spend(struct turns_user *user, uint64_t ns)
{
        if (user->round != user->turns->round) {
                user->round = user->turns->round;
                user->spent_ns = 0;
        }
        user->spent_ns += ns;
}
