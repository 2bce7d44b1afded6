/* SPDX-License-Identifier: MIT */
/*
 * Listener
 *
 * The socket that clients connect to. At the bound on connections it stops accepting: those that
 * come wait in the kernel's queue, and the loop is not woken for them. Where descriptors run out it
 * waits a little instead of trying again at once.
 *
 * A socket that lies at the path is removed only if nobody listens on it; the caller holds the
 * instance lock that belongs to the path by then. At the end the socket is removed only if it is
 * still the one that was made here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "net/loop.h"

struct listener {
        struct loop *loop;
        int fd;
        char path[108];
        bool is_ours; /* bound here, not handed over */
        dev_t device; /* of the socket's path */
        ino_t inode;
        bool is_held;    /* at the bound: see listener_hold() */
        bool is_waiting; /* for descriptors */
        uv_poll_t poll;
        uv_timer_t timer;
        /* Takes the connected socket over. */
        void (*accepted)(void *ctx, int fd);
        void *ctx;
};

enum {
        LISTENER_E_IN_USE = 1, /* somebody listens there */
        LISTENER_E_NO_SOCKET,  /* something else lies there */
};

/* A listening socket at the absolute path. 0, LISTENER_E_*, or negative errno. */
int listener_bind(const char *path, mode_t mode, int *fdp);

/*
 * Begin to accept on the socket, which is taken over. is_ours: it was bound here, and its path is
 * removed at the end. 0 or negative errno: then the socket was closed.
 */
int listener_init(struct listener *listener, struct loop *loop, int fd, const char *path,
                  bool is_ours, void (*accepted)(void *ctx, int fd), void *ctx);
/* The memory must stay until loop_finish(). Does nothing the second time. */
void listener_close(struct listener *listener);

/* Stop accepting, or go on. */
void listener_hold(struct listener *listener, bool hold);
