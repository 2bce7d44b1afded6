/* SPDX-License-Identifier: MIT */
/*
 * Sessions
 *
 * All connections of the daemon, and what they share: the service, the budget of descriptors, and
 * who is next. A session is dirty when a reply was queued for it outside of its own turn; that is
 * seen to in every turn of the loop. It stands in line when its turn ended before its messages did,
 * or could not begin.
 *
 * Loop thread only.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/output.h"
#include "net/turns.h"

struct service;
struct session;

struct sessions {
        struct loop *loop;
        struct service *service;
        struct list all;
        struct list dirty;
        struct turns turns;
        struct session *latest; /* that a message came from last; NULL: none, or it is gone */
        uint32_t n;
        struct fd_budget budget;
        uv_prepare_t prepare;
        uv_check_t check;
        uv_idle_t idle; /* active while some are ready or the service is behind: no sleep */
        /* A connection ended; n is up to date. */
        void (*ended)(void *ctx);
        void *ctx;
};

/* n_fds_max: descriptors in flight, in all. */
void sessions_init(struct sessions *sessions, struct loop *loop, struct service *service,
                   uint64_t n_fds_max, void (*ended)(void *ctx), void *ctx);
/* No session is left. The memory must stay until loop_finish(). */
void sessions_deinit(struct sessions *sessions);

/* Let on_idle() give the session its turn. */
void sessions_want_turn(struct sessions *sessions, struct session *session);

/* A connected socket, taken over even on failure. 0, CHARGE_E_*, or negative errno. */
int sessions_add(struct sessions *sessions, int fd);
/* Read from the latest, if something is there. */
void sessions_glance(struct sessions *sessions);
/* End all of them: what is queued is sent, for at most a second; ended() is called for each. */
void sessions_end(struct sessions *sessions);
