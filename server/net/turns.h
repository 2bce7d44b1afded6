/* SPDX-License-Identifier: MIT */
/*
 * Turns
 *
 * The loop thread is one; this says whose messages it looks at next. Users stand in a line, and
 * what waits for each of them in a line of its own: the first of the first user is taken, and that
 * user goes to the end. So a user waits for one turn of each other user, however many connections
 * those have, and a connection for one turn of each other connection of its user.
 *
 * What comes in while nothing of its user waits needs no line, as long as the user has not spent
 * its share of this round of the loop.
 *
 * Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/table.h"

/* Of one round of the loop, that a user gets without standing in line. */
#define TURNS_SHARE_NS (1000 * 1000)

struct turns {
        struct turns_user *by_uid;
        struct list line; /* next first; users with nothing waiting are passed over */
        uint64_t round;
};

struct turns_user {
        struct turns *turns;
        uid_t uid;
        uint32_t n_refs;
        struct list waiting;
        struct list link; /* turns->line */
        uint64_t round;
        uint64_t spent_ns; /* in that round */
        UT_hash_handle hh;
};

void turns_init(struct turns *turns);
/* Everybody left. */
void turns_deinit(struct turns *turns);

/* A reference to the user of that uid, made at first sight; -ENOMEM. */
int turns_join(struct turns *turns, uid_t uid, struct turns_user **userp);
struct turns_user *turns_leave(struct turns_user *user);

/* To the end of its user's line. Who waits no more is unlinked. */
void turns_wait(struct turns_user *user, struct list *link);
/* Whose turn it is, taken out of the line; NULL: nobody waits. */
struct list *turns_next(struct turns *turns);
bool turns_is_empty(struct turns *turns);

void turns_begin_round(struct turns *turns);
/* May something of this user be done at once? */
bool turns_may_go(const struct turns_user *user);
void turns_spend(struct turns_user *user, uint64_t ns);
