/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IN_BYTES (64U * 1024U)

void connection_init(struct connection *connection)
{
        *connection = (struct connection){ .fd = -1 };
        frame_init(&connection->out);
        scan_init(&connection->scan);
}

void connection_close(struct connection *connection)
{
        if (connection->fd >= 0)
                close(connection->fd);
        connection->fd = -1;
        for (unsigned i = 0; i < connection->n_fds; i++)
                close(connection->fds[i]);
        connection->n_fds = 0;
        frame_truncate(&connection->out, 0);
        connection->n_sent = 0;
        connection->in_start = connection->n_in = 0;
        scan_init(&connection->scan);
}

void connection_deinit(struct connection *connection)
{
        connection_close(connection);
        frame_deinit(&connection->out);
        free(connection->in);
        connection->in = NULL;
        connection->n_in_allocated = 0;
}

int connection_open(struct connection *connection, const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t n_path = strlen(path);
        int fd;

        if (n_path >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, n_path);
        if (!connection->in) {
                connection->in = malloc(IN_BYTES);
                if (!connection->in)
                        return -ENOMEM;
                connection->n_in_allocated = IN_BYTES;
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                int error = errno;

                close(fd);
                return -error;
        }
        connection->fd = fd;
        return 0;
}

int connection_send(struct connection *connection)
{
        struct frame *out = &connection->out;

        while (connection->n_sent < out->n_bytes) {
                ssize_t n = send(connection->fd, out->bytes + connection->n_sent,
                                 out->n_bytes - connection->n_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 1 : -errno;
                connection->n_sent += (size_t)n;
        }
        frame_truncate(out, 0);
        connection->n_sent = 0;
        return 0;
}

/* Room for at least one more byte; the message under way moves to the front. */
static int connection_make_room(struct connection *connection)
{
        size_t n_message = connection->n_in - connection->in_start;
        uint8_t *in;

        if (n_message == 0) {
                connection->in_start = connection->n_in = 0;
                return 0;
        }
        if (connection->n_in < connection->n_in_allocated)
                return 0;
        if (connection->in_start > 0) {
                memmove(connection->in, connection->in + connection->in_start, n_message);
                connection->in_start = 0;
                connection->n_in = n_message;
                return 0;
        }
        in = realloc(connection->in, 2 * connection->n_in_allocated);
        if (!in)
                return -ENOMEM;
        connection->in = in;
        connection->n_in_allocated *= 2;
        return 0;
}

/* Queue the descriptors that came with a receive. */
static int connection_take_control(struct connection *connection, struct msghdr *header)
{
        int r = header->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < n_fds; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        if (connection->n_fds < CONNECTION_FDS) {
                                connection->fds[connection->n_fds++] = fd;
                        } else {
                                close(fd);
                                r = -EPROTO;
                        }
                }
        }
        return r;
}

int connection_receive(struct connection *connection)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * TD_FDS_UNREAD_MAX)];
        } control;
        struct iovec iov;
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;
        int r = connection_make_room(connection);

        if (r < 0)
                return r;
        iov.iov_base = connection->in + connection->n_in;
        iov.iov_len = connection->n_in_allocated - connection->n_in;
        do {
                header.msg_control = control.bytes;
                header.msg_controllen = sizeof(control.bytes);
                n = recvmsg(connection->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        r = connection_take_control(connection, &header);
        if (r < 0)
                return r;
        if (n == 0)
                return -ECONNRESET;
        connection->n_in += (size_t)n;
        return (int)n;
}

int connection_next(struct connection *connection, const uint8_t **bytesp, size_t *n_bytesp)
{
        int r = scan_run(&connection->scan, connection->in + connection->in_start,
                         connection->n_in - connection->in_start);

        if (r == SCAN_BAD)
                return -EPROTO;
        if (r == SCAN_MORE)
                return 0;
        *bytesp = connection->in + connection->in_start;
        *n_bytesp = connection->scan.n_seen;
        connection->in_start += connection->scan.n_seen;
        scan_init(&connection->scan);
        return 1;
}

int connection_take_fd(struct connection *connection)
{
        int fd;

        if (connection->n_fds == 0)
                return -1;
        fd = connection->fds[0];
        connection->n_fds--;
        memmove(connection->fds, connection->fds + 1,
                connection->n_fds * sizeof(connection->fds[0]));
        return fd;
}

int connection_wait(const struct connection *connection, short events, int timeout_ms)
{
        struct pollfd poll_fd = { .fd = connection->fd, .events = events };
        int r = poll(&poll_fd, 1, timeout_ms);

        if (r < 0)
                return errno == EINTR ? 0 : -errno;
        return r == 0 ? 0 : poll_fd.revents;
}
