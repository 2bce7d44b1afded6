/* SPDX-License-Identifier: MIT */
/*
 * Sessions over a real service, and peers that talk to them, all in the process of the test.
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/session.h"
#include "net/sessions.h"
#include "requests.h"
#include "wire/scan.h"

/* A service and its sessions in this process; peers are the other ends of socket pairs. */
static struct loop loop;
static struct service *service;
static struct sessions sessions;
static uv_async_t wake;
static unsigned n_ended;
static char prefix[64];

static inline void on_wake(uv_async_t *handle)
{
        (void)handle;
        service_reap(service);
}

static inline void send_wake(void *ctx)
{
        uv_async_send(ctx);
}

static inline void on_ended(void *ctx)
{
        (void)ctx;
        n_ended++;
}

static inline bool never(void *ctx)
{
        (void)ctx;
        return false;
}

static inline void start(uint64_t n_fds_max)
{
        struct service_config config = { .prefix = prefix,
                                         .directory = "/dev/shm",
                                         .memory_limit = 64 << 20,
                                         .n_threads = 1,
                                         .uid = geteuid(),
                                         .blas_core = "none",
                                         .kernels = "none",
                                         .cpu = "none",
                                         .wake = send_wake,
                                         .ctx = &wake };
        char message[256];

        snprintf(prefix, sizeof(prefix), "tensord.test-session-%d", (int)getpid());
        ck_assert_int_eq(loop_init(&loop, 0, never, NULL, NULL), 0);
        ck_assert_int_eq(uv_async_init(&loop.uv, &wake, on_wake), 0);
        ck_assert_int_eq(service_new(&service, &config, message), 0);
        sessions_init(&sessions, &loop, service, n_fds_max, on_ended, NULL);
}

static inline unsigned count_objects(void)
{
        DIR *directory = opendir("/dev/shm");
        struct dirent *entry;
        unsigned n = 0;

        ck_assert_ptr_nonnull(directory);
        while ((entry = readdir(directory)))
                n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
        closedir(directory);
        return n;
}

static inline void turn(void)
{
        uv_run(&loop.uv, UV_RUN_NOWAIT);
}

/* Turns of the loop until the condition holds; 20 s are for ever. */
#define UNTIL(condition)                                                                           \
        do {                                                                                       \
                uint64_t _end = uv_hrtime() + UINT64_C(20000000000);                               \
                while (!(condition)) {                                                             \
                        ck_assert_msg(uv_hrtime() < _end, "never: %s", #condition);                \
                        turn();                                                                    \
                }                                                                                  \
        } while (0)

static inline void stop(void)
{
        sessions_end(&sessions);
        UNTIL(sessions.n == 0);
        sessions_deinit(&sessions);
        service = service_free(service);
        uv_close((uv_handle_t *)&wake, NULL);
        loop_finish(&loop);
        loop_deinit(&loop);
        ck_assert_uint_eq(count_objects(), 0);
}

/* ---- a peer ---- */

struct peer {
        int fd;
        struct session *session;
        uint8_t bytes[1 << 20];
        size_t n_bytes;
        bool is_at_end;
        int fds[256];
        unsigned n_fds;
};

static inline struct peer *connect_peer(void)
{
        struct peer *peer = calloc(1, sizeof(*peer));
        int ends[2];

        ck_assert_ptr_nonnull(peer);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                         0);
        peer->fd = ends[0];
        ck_assert_int_eq(session_new(&sessions, ends[1]), 0);
        peer->session = list_entry(sessions.all.prev, struct session, link);
        return peer;
}

static inline void disconnect_peer(struct peer *peer)
{
        close(peer->fd);
        for (unsigned i = 0; i < peer->n_fds; i++)
                close(peer->fds[i]);
        free(peer);
}

/* What is there now, at most max bytes. */
static inline void receive(struct peer *peer, size_t max)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * 64)];
        } control;
        struct iovec iov = { .iov_base = peer->bytes + peer->n_bytes, .iov_len = max };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
        ssize_t n;

        ck_assert_uint_le(peer->n_bytes + max, sizeof(peer->bytes));
        n = recvmsg(peer->fd, &msg, MSG_CMSG_CLOEXEC);
        if (n < 0) {
                ck_assert_int_eq(errno, EAGAIN);
                return;
        }
        ck_assert_int_eq(msg.msg_flags & MSG_CTRUNC, 0);
        peer->is_at_end = n == 0;
        peer->n_bytes += (size_t)n;
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&msg); header;
             header = CMSG_NXTHDR(&msg, header)) {
                unsigned n_fds = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));

                ck_assert_int_eq(header->cmsg_type, SCM_RIGHTS);
                ck_assert_uint_le(peer->n_fds + n_fds, 256);
                memcpy(peer->fds + peer->n_fds, CMSG_DATA(header), n_fds * sizeof(int));
                peer->n_fds += n_fds;
        }
}

static inline unsigned count_messages(const struct peer *peer)
{
        unsigned n = 0;
        size_t at = 0;
        struct scan scan;

        for (;;) {
                scan_init(&scan);
                if (scan_run(&scan, peer->bytes + at, peer->n_bytes - at))
                        return n;
                at += scan.n_seen;
                n++;
        }
}

static inline bool has_text(const struct peer *peer, const char *text)
{
        return memmem(peer->bytes, peer->n_bytes, text, strlen(text)) != NULL;
}

static inline unsigned received(struct peer *peer)
{
        receive(peer, 4096);
        return count_messages(peer);
}

static inline bool at_end(struct peer *peer)
{
        if (!peer->is_at_end)
                receive(peer, 4096);
        return peer->is_at_end;
}

static inline void send_message(struct peer *peer, struct reply *message)
{
        ck_assert_int_eq(reply_finish(message), 0);
        ck_assert_int_eq(send(peer->fd, message->bytes, message->n_bytes, MSG_NOSIGNAL),
                         (ssize_t)message->n_bytes);
        reply_free(message);
}

static inline void send_ping(struct peer *peer)
{
        struct reply *message = begin("ping");

        reply_map(message, 0);
        send_message(peer, message);
}

/* A tensor of two pages, so that a descriptor comes back. */
static inline void send_create(struct peer *peer, uint64_t handle)
{
        struct reply *message = begin("create");

        reply_map(message, 3);
        reply_key(message, "handle");
        reply_uint(message, handle);
        reply_key(message, "dtype");
        reply_str(message, "float64");
        reply_key(message, "shape");
        reply_array(message, 1);
        reply_uint(message, 1024);
        send_message(peer, message);
}
