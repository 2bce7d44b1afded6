/* SPDX-License-Identifier: MIT */
/*
 * Output
 *
 * The replies that one peer has yet to be sent, and the descriptors that it was sent and has yet to
 * read.
 *
 * Descriptors in flight are a resource of the daemon's user: beyond RLIMIT_NOFILE the kernel
 * refuses to send any (ETOOMANYREFS), to anybody. So they are counted from the sendmsg that took
 * them until the kernel says that the peer has read everything (SIOCOUTQ is 0): per connection, per
 * uid, and in all. A reply that would go beyond a bound waits, and what is behind it waits too.
 * There is no event for "has read"; the owner asks again now and then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/quota.h"
#include "wire/reply.h"

/* Descriptors in flight, over all connections. */
struct fd_budget {
        struct list outputs; /* those with unread ones */
        uint64_t n_unread;
        uint64_t n_max;
        uint64_t n_max_user;
};

struct output {
        struct list queue; /* of replies; the first may have been sent in part */
        size_t n_bytes;    /* memory of the queue */
        uint64_t since_ms; /* when the first of the queue got there */
        int fd;            /* not owned */
        struct fd_budget *budget;
        struct user *user; /* owned reference */
        struct charge charge; /* of the queue's memory, beyond what comes with a connection */
        bool is_over;         /* that is more than the user may have: if it is not sent now, the
                                 connection is to end */
        struct list link;  /* budget's list */
        unsigned n_fds_unread;
        uint64_t fds_since_ms; /* when the oldest of them was sent */
};

enum {
        OUTPUT_E_FULL = 1, /* the socket takes no more: flush again when it is writable */
        OUTPUT_E_LATER,    /* descriptors must be read first, or be free: flush again soon */
};

/* One uid gets a quarter of n_max. */
void fd_budget_init(struct fd_budget *budget, uint64_t n_max);
void fd_budget_deinit(struct fd_budget *budget);

void output_init(struct output *output, int fd, struct fd_budget *budget, struct user *user);
/* The queue is dropped. No descriptor is unread any more, or the socket is about to go. */
void output_deinit(struct output *output);

/* Takes the reply over. */
void output_push(struct output *output, struct reply *reply, uint64_t now_ms);
/* Send what can be sent: 0 if that is everything, OUTPUT_E_*, or negative errno: the connection is
 * of no use. */
int output_flush(struct output *output, uint64_t now_ms);
void output_drop(struct output *output);

static inline bool output_is_empty(const struct output *output)
{
        return list_is_empty(&output->queue);
}

/* Ask the kernel; true if no descriptor is unread now. */
bool output_is_read(struct output *output);
/* Ask the kernel; true if the peer has read all that it was sent, and no more waits to be sent. */
bool output_is_drained(const struct output *output);
