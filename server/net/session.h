/* SPDX-License-Identifier: MIT */
/*
 * Session
 *
 * One connection: its bytes in, its client in the service, its replies out, its deadlines. Bytes
 * that a peer sends can end its own session and nothing else.
 *
 *   OPEN       requests are read, as long as the peer reads the answers and not too many are under
 *              way
 *   ENDING     the client is gone from the service; what is queued is sent, for a second at most
 *   LINGERING  nothing is sent any more, but descriptors in flight are still counted on this
 *              socket: it stays until they were read or the peer is gone
 *   CLOSED     handles are being closed; freed when they are
 *
 * Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "net/input.h"
#include "net/loop.h"
#include "net/output.h"
#include "net/turns.h"
#include "service/service.h"

struct sessions;

enum session_state { SESSION_OPEN, SESSION_ENDING, SESSION_LINGERING, SESSION_CLOSED };

struct session {
        struct list link;  /* sessions->all */
        struct list dirty; /* sessions->dirty */
        struct list ready; /* in the line of its user, for a turn */
        struct sessions *sessions;
        struct turns_user *turns;
        enum session_state state;
        uid_t uid;
        int fd;
        uv_poll_t poll;
        uv_timer_t timer;
        int events; /* asked of poll */
        unsigned n_handles; /* libuv's, and one while it is leaving: the memory stays */
        struct reply_sink sink;
        struct client client;
        struct charge connection; /* once the client has left, until all that it had is gone */
        struct charge memory;     /* of the input, beyond what comes with a connection */
        struct input input;
        struct output output;
        bool is_leaving;     /* what the client had is being taken out, in turns */
        bool has_spoken;     /* a whole message came */
        bool is_behind;      /* whole messages are left in the input */
        bool has_lost;       /* an answer, for lack of memory */
        bool is_half_closed; /* the peer sends no more, but we do not read now */
        uint64_t born_ms;
        uint64_t started_ms; /* since when a message is not whole; 0: none */
        uint64_t ending_ms;  /* when an ending session is closed at the latest */
        uint64_t later_ms;   /* when to flush again; 0: not waiting for that */
        uint64_t later_step_ms;
};

/*
 * Takes the connected socket over, also on failure. 0, CHARGE_E_* (the peer was told), or negative
 * errno.
 */
int session_new(struct sessions *sessions, int fd);
/* Read without having been told that something is there. */
void session_glance(struct session *session);
/* Messages left over from the last turn; or what the client left behind. */
void session_turn(struct session *session);
/* After anything that happened: send, and derive what is awaited next. May free the session. */
void session_update(struct session *session);
/* Gone from the service at once, closed when its queue was sent, or after a second. */
void session_end(struct session *session);
