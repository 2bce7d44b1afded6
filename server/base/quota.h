/* SPDX-License-Identifier: MIT */
/*
 * Users and charges
 *
 * Whatever a uid makes the daemon hold is counted on that uid's struct user, resource by resource
 * (resources.def). It is taken by charges: an object that owns an amount of one resource, of one
 * user and of the whole, and gives exactly that back. Charge before allocating; drop after freeing.
 *
 * Shares. Let L be the limit of a resource, F what of it is free, and k the number of users who
 * hold some. Where several uids may connect, a user who holds x gets n more if
 *
 *     x + n <= 3 * (F - n)        (USER_SHARE; a threshold that falls as the whole fills up)
 *
 * and if it stays within its cap. From that follows, whatever they did, in whatever order:
 *
 *     F >= L / 4^k                each holder leaves a quarter of what it found,
 *     a user who holds nothing gets up to 3/4 of F, at once: at least 3/4 * L / 4^k,
 *     one greedy user alone holds at most 3/4 of L, k of equal greed 3 / (1 + 3 * k) of L each.
 *
 * (Of the k holders take who was granted something last, at the end, then the one before, and so
 * on: each got at most 3/4 of what those before it left.) Where one uid alone may connect it gets
 * everything. What exists already (recovery), gives something back, or is the daemon's own need
 * goes beyond shares. So that this takes nobody's: beside k others who hold some, 3/4 * L / 4^k are
 * a user's in any case, of all resources but bytes, which are memory that there is or is not. If
 * nobody went beyond, that says nothing new (leave the user out: what the k others leave free is
 * L / 4^k or more). Else the whole gets beyond L by a quarter of L more, at most: of those who were
 * granted something last in this way the first stands beside one other at least, the next beside
 * two.
 *
 * users_check() asserts at any time that the users' sums are the whole. Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/table.h"
#include "base/workers.h"

#define USER_SHARE 3

enum resource {
#define RESOURCE(sym, ...) RESOURCE_##sym,
#include "base/resources.def"
#undef RESOURCE
        N_RESOURCES
};

enum {
        CHARGE_E_LIMIT = 1, /* there is not so much left of the whole */
        CHARGE_E_QUOTA,     /* it would be more than the user's share, or its cap */
};

struct quotas {
        bool is_shared;             /* several uids may connect */
        uint64_t all[N_RESOURCES];  /* of all users together; 0: without limit */
        uint64_t each[N_RESOURCES]; /* caps of each; 0: none */
};

struct total {
        uint64_t n;      /* sum over users */
        uint64_t n_most; /* that ever were charged at once */
        uint64_t n_holders;
        uint64_t limit;
        uint64_t cap; /* of each user */
};

/* Why the last charge was refused. */
struct charge_refusal {
        uid_t uid;
        enum resource resource;
        bool is_whole; /* CHARGE_E_LIMIT: used and limit are those of all users */
        uint64_t asked, used, limit;
};

struct users {
        struct user *by_uid;
        bool is_shared;
        struct total totals[N_RESOURCES];
        struct charge_refusal refusal;
};

/* Of the bytes of a user: those that need not stay. The store keeps it. */
struct spare {
        struct list idle; /* segments, oldest first */
        uint64_t n_idle;
        uint64_t n_leaving; /* being given back */
        uint64_t n_parked;  /* with its connections, who can be asked for them; of these: */
        uint64_t n_asked;   /* they were, */
        uint64_t n_deaf;    /* and in vain */
};

/* May it move to a file, or be deleted, for its memory? */
enum unused_kind { UNUSED_KEPT, UNUSED_SPILLABLE, UNUSED_EVICTABLE, N_UNUSED_KINDS };

/* Of the tensors of a user: named ones that nobody uses. The store keeps it. */
struct unused {
        struct list tensors; /* used longest ago first */
        struct list *at;     /* of these: where a walk is */
        uint64_t n_bytes;    /* that they take, */
        uint64_t n_asked;    /* those included that are not in the list: who maps them was asked */
};

struct user {
        struct users *users;
        uid_t uid;
        uint32_t n_refs;
        uint64_t used[N_RESOURCES];
        struct spare spare;
        struct unused unused[N_UNUSED_KINDS];
        uint64_t n_names;
        uint64_t n_lost;       /* names whose tensor is lost */
        uint64_t n_fds_unread; /* sent to its connections and not yet read */
        uint64_t n_held;       /* bytes of segments that no connection explains */
        uint64_t n_loans;      /* tensors that are lent */
        uint64_t n_orphans;    /* requests under way whose connection ended */
        struct work_queue works;
        struct work_queue disk; /* of its tensors, apart from those */
        UT_hash_handle hh;
};

struct charge {
        struct user *user; /* owned reference; NULL: nothing is charged */
        uint64_t n;
        enum resource resource;
};

const char *resource_name(enum resource resource);
bool resource_is_bytes(enum resource resource);

/* Not shared, and without limits but this one. */
void users_init(struct users *users, uint64_t n_bytes);
void users_set_quotas(struct users *users, const struct quotas *quotas);
void users_deinit(struct users *users);
/* Asserts that what users hold is the whole. */
void users_check(const struct users *users);

/* Borrowed; NULL: nothing is known of one of that uid. */
struct user *user_find(const struct users *users, uid_t uid);
/* A reference to the user of that uid, made at first sight; -ENOMEM. */
int user_get(struct users *users, uid_t uid, struct user **userp);
struct user *user_ref(struct user *user);
struct user *user_unref(struct user *user);

/* The most that the user could hold now. */
uint64_t user_limit(const struct user *user, enum resource resource);
/* Would it be granted (no more always is)? 0, or CHARGE_E_* and users->refusal says why. */
int user_may_take(struct user *user, enum resource resource, uint64_t n);

/* 0, or CHARGE_E_*: nothing is charged, and users->refusal says why. The charge must be empty. */
int charge_take(struct charge *charge, struct user *user, enum resource resource, uint64_t n);
/* What the daemon needs for all: beyond any share, but within the limit. */
int charge_take_for_all(struct charge *charge, struct user *user, enum resource resource,
                        uint64_t n);
/* Charge what exists already (recovery), whatever the limit. */
void charge_adopt(struct charge *charge, struct user *user, enum resource resource, uint64_t n);
/* More, and less, of what is charged. */
int charge_grow(struct charge *charge, uint64_t n);
void charge_adopt_more(struct charge *charge, uint64_t n);
void charge_shrink(struct charge *charge, uint64_t n);
/* To another object, which must be empty: all of it, or a part. */
void charge_move(struct charge *to, struct charge *from);
void charge_split(struct charge *to, struct charge *from, uint64_t n);
void charge_drop(struct charge *charge);
