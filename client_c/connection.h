/* SPDX-License-Identifier: MIT */
/*
 * Connection
 *
 * One socket to a daemon: bytes that wait to be sent, bytes that arrived, descriptors that arrived.
 * Nothing here blocks but connection_wait(), and nothing knows what messages mean.
 *
 * Sending and receiving touch different fields: one thread may do each at a time, the client sees
 * to that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"
#include "tensord/patience.h"

#define CONNECTION_FDS (2 * TD_FDS_UNREAD_MAX)

struct connection {
        struct td_patience patience;
        int fd; /* -1: not connected */

        struct frame out; /* bytes from n_sent on are still to be sent */
        size_t n_sent;

        uint8_t *in;
        size_t in_start; /* of the message that is being received */
        size_t n_in;     /* end of what arrived */
        size_t n_in_allocated;
        struct scan scan;

        int fds[CONNECTION_FDS]; /* in the order of their arrival */
        unsigned n_fds;
};

void connection_init(struct connection *connection);
/* Closes, and frees the buffers. */
void connection_deinit(struct connection *connection);

/*
 * 0, or a negative errno: -ENAMETOOLONG where the path does not fit a socket address. Does not
 * block.
 */
int connection_open(struct connection *connection, const char *path);
/* Close and forget everything that was underway. */
void connection_close(struct connection *connection);

/* Send what waits. 0: all of it is sent; 1: the socket takes no more now; or a negative errno. */
int connection_send(struct connection *connection);
/*
 * Receive once what is there. Bytes, 0 for none, or a negative errno: -ECONNRESET at the end,
 * -EPROTO where descriptors were lost.
 */
int connection_receive(struct connection *connection);
/* The next whole message, valid until connection_receive(). 1, 0: none yet, or -EPROTO. */
int connection_next(struct connection *connection, const uint8_t **bytesp, size_t *n_bytesp);
/* The oldest descriptor, now the caller's; -1: there is none. */
int connection_take_fd(struct connection *connection);

/*
 * Block until one of the events, or for timeout_ms (-1: for ever). The events that are there, 0 for
 * none, or a negative errno.
 */
int connection_wait(const struct connection *connection, short events, int timeout_ms);
