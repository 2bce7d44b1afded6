/* SPDX-License-Identifier: MIT */
/*
 * Users and charges
 *
 * Whatever a uid makes the daemon hold is counted on that uid's struct user. Memory is taken by
 * charges: an object that owns a number of bytes of one user and of the whole, and gives exactly
 * those back. Charge before allocating; drop after freeing.
 *
 * users_deinit() asserts that everything came back. Loop thread only.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "base/workers.h"

enum { CHARGE_E_LIMIT = 1 };

struct users {
        struct user *by_uid;
        uint64_t n_bytes;      /* sum over users */
        uint64_t n_bytes_most; /* that ever were charged at once */
        uint64_t limit;        /* bytes, of all users together */
};

struct user {
        struct users *users;
        uid_t uid;
        uint32_t n_refs;
        uint64_t n_bytes;
        uint64_t n_tensors;
        uint64_t n_names;
        uint64_t n_connections;
        uint64_t n_fds_unread; /* sent to its connections and not yet read */
        uint64_t n_held;       /* bytes of segments that no connection explains */
        uint64_t n_loans;      /* tensors that are lent */
        uint64_t n_orphans;    /* requests under way whose connection ended */
        struct work_queue works;
        UT_hash_handle hh;
};

struct charge {
        struct user *user; /* NULL: nothing is charged */
        uint64_t n_bytes;
};

void users_init(struct users *users, uint64_t limit);
void users_deinit(struct users *users);

/* A reference to the user of that uid, made at first sight; -ENOMEM. */
int user_get(struct users *users, uid_t uid, struct user **userp);
struct user *user_ref(struct user *user);
struct user *user_unref(struct user *user);

/* Charge n_bytes, or CHARGE_E_LIMIT and nothing is charged. The charge must be empty. */
int charge_take(struct charge *charge, struct user *user, uint64_t n_bytes);
/* Charge n_bytes that exist already (recovery), whatever the limit. */
void charge_adopt(struct charge *charge, struct user *user, uint64_t n_bytes);
void charge_drop(struct charge *charge);
