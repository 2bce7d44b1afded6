/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Connections accepted in one turn of the loop. */
#define LISTENER_TURN 16
/* How long to wait when there are no descriptors. */
#define LISTENER_WAIT_MS 100

/* ---- binding ---- */

static int make_address(const char *path, struct sockaddr_un *address)
{
        *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if (strlen(path) >= sizeof(address->sun_path))
                return -ENAMETOOLONG;
        strcpy(address->sun_path, path);
        return 0;
}

/* Remove a socket that a dead daemon left behind. */
static int remove_stale(const char *path, const struct sockaddr_un *address)
{
        _cleanup_(closep) int fd = -1;
        struct stat status;

        if (lstat(path, &status))
                return errno == ENOENT ? 0 : error_origin(-errno);
        if (!S_ISSOCK(status.st_mode))
                return LISTENER_E_NO_SOCKET;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_origin(-errno);
        if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)) || errno == EAGAIN)
                return LISTENER_E_IN_USE;
        if (errno != ECONNREFUSED)
                return error_origin(-errno);
        if (unlink(path) && errno != ENOENT)
                return error_origin(-errno);
        return 0;
}

int listener_bind(const char *path, mode_t mode, int *fdp)
{
        _cleanup_(closep) int fd = -1;
        struct sockaddr_un address;
        mode_t umask_before;
        int r;

        r = make_address(path, &address);
        if (r)
                return r;
        r = remove_stale(path, &address);
        if (r)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_origin(-errno);
        /* Nobody connects before listen(), so that the mode is never wider than asked for. */
        umask_before = umask(0177);
        r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
        umask(umask_before);
        if (r)
                return error_origin(r);
        if (chmod(path, mode) || listen(fd, SOMAXCONN)) {
                r = -errno;
                unlink(path);
                return error_origin(r);
        }
        *fdp = steal_fd(&fd);
        return 0;
}

/* ---- accepting ---- */

static void on_readable(uv_poll_t *poll, int status, int events);
static void listener_wait(struct listener *listener);

static void listener_update(struct listener *listener)
{
        if (listener->fd < 0)
                return;
        if (listener->is_held || listener->is_waiting)
                loop_watch(&listener->poll, 0, NULL);
        else if (loop_watch(&listener->poll, UV_READABLE, on_readable))
                listener_wait(listener);
}

static void on_timer(uv_timer_t *timer)
{
        struct listener *listener = timer->data;

        listener->is_waiting = false;
        listener_update(listener);
}

static void listener_wait(struct listener *listener)
{
        listener->is_waiting = true;
        uv_timer_start(&listener->timer, on_timer, LISTENER_WAIT_MS, 0);
        listener_update(listener);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct listener *listener = poll->data;

        (void)events;
        if (status < 0) {
                error_origin(status);
                listener_wait(listener);
                return;
        }
        for (int i = 0; i < LISTENER_TURN && listener->fd >= 0 && !listener->is_held; i++) {
                int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (fd >= 0) {
                        listener->accepted(listener->ctx, fd);
                        continue;
                }
                if (errno == EAGAIN)
                        return;
                if (errno == EINTR || errno == ECONNABORTED)
                        continue;
                /* EMFILE, ENFILE, ENOMEM, ENOBUFS: the connection stays in the queue */
                error_origin(-errno);
                listener_wait(listener);
                return;
        }
}

void listener_hold(struct listener *listener, bool hold)
{
        if (listener->is_held == hold)
                return;
        listener->is_held = hold;
        listener_update(listener);
}

/* ---- life ---- */

int listener_init(struct listener *listener, struct loop *loop, int fd_in, const char *path,
                  bool is_ours, void (*accepted)(void *ctx, int fd), void *ctx)
{
        _cleanup_(closep) int fd = fd_in;
        struct stat status;
        int r;

        *listener = (struct listener){
                .loop = loop, .fd = -1, .is_ours = is_ours, .accepted = accepted, .ctx = ctx
        };
        snprintf(listener->path, sizeof(listener->path), "%s", path);
        if (is_ours) {
                if (lstat(path, &status))
                        return error_origin(-errno);
                listener->device = status.st_dev;
                listener->inode = status.st_ino;
        }
        r = uv_poll_init(&loop->uv, &listener->poll, fd);
        if (r)
                return error_origin(r);
        uv_timer_init(&loop->uv, &listener->timer);
        listener->poll.data = listener->timer.data = listener;
        listener->fd = steal_fd(&fd);
        listener_update(listener);
        return 0;
}

static void listener_unlink(const struct listener *listener)
{
        struct stat status;

        if (!listener->is_ours || lstat(listener->path, &status))
                return;
        if (status.st_dev == listener->device && status.st_ino == listener->inode)
                unlink(listener->path);
}

void listener_close(struct listener *listener)
{
        if (listener->fd < 0)
                return;
        listener_unlink(listener);
        uv_close((uv_handle_t *)&listener->poll, NULL);
        uv_close((uv_handle_t *)&listener->timer, NULL);
        close(listener->fd);
        listener->fd = -1;
}
