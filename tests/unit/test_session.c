/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/session.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void on_wake(uv_async_t *handle)
{
        (void)handle;
        service_reap(service);
}

static void send_wake(void *ctx)
{
        uv_async_send(ctx);
}

static void on_ended(void *ctx)
{
        (void)ctx;
        n_ended++;
}

static bool never(void *ctx)
{
        (void)ctx;
        return false;
}

static void start(uint64_t n_fds_max)
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
        ck_assert_int_eq(loop_init(&loop, 0, never, NULL), 0);
        ck_assert_int_eq(uv_async_init(&loop.uv, &wake, on_wake), 0);
        ck_assert_int_eq(service_new(&service, &config, message), 0);
        sessions_init(&sessions, &loop, service, n_fds_max, on_ended, NULL);
}

static unsigned count_objects(void)
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

static void turn(void)
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

static void stop(void)
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

static struct peer *connect_peer(void)
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

static void disconnect_peer(struct peer *peer)
{
        close(peer->fd);
        for (unsigned i = 0; i < peer->n_fds; i++)
                close(peer->fds[i]);
        free(peer);
}

/* What is there now, at most max bytes. */
static void receive(struct peer *peer, size_t max)
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

static unsigned count_messages(const struct peer *peer)
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

static bool has_text(const struct peer *peer, const char *text)
{
        return memmem(peer->bytes, peer->n_bytes, text, strlen(text)) != NULL;
}

static unsigned received(struct peer *peer)
{
        receive(peer, 4096);
        return count_messages(peer);
}

static bool at_end(struct peer *peer)
{
        if (!peer->is_at_end)
                receive(peer, 4096);
        return peer->is_at_end;
}

static void send_message(struct peer *peer, struct reply *message)
{
        ck_assert_int_eq(reply_finish(message), 0);
        ck_assert_int_eq(send(peer->fd, message->bytes, message->n_bytes, MSG_NOSIGNAL),
                         (ssize_t)message->n_bytes);
        reply_free(message);
}

static void send_ping(struct peer *peer)
{
        struct reply *message = begin("ping");

        reply_map(message, 0);
        send_message(peer, message);
}

/* A tensor of two pages, so that a descriptor comes back. */
static void send_create(struct peer *peer, uint64_t handle)
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

/* ---- requests ---- */

START_TEST(answers)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        ck_assert_uint_eq(service_n_clients(service), 1);
        send_ping(peer);
        UNTIL(received(peer) == 1);
        ck_assert(has_text(peer, "pong"));
        disconnect_peer(peer);
        UNTIL(n_ended == 1);
        ck_assert_uint_eq(service_n_clients(service), 0);
        stop();
}
END_TEST

START_TEST(half_closed_peer_gets_its_answer)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        send_ping(peer);
        shutdown(peer->fd, SHUT_WR);
        UNTIL(at_end(peer));
        ck_assert(has_text(peer, "pong"));
        disconnect_peer(peer);
        stop();
}
END_TEST

START_TEST(malformed_bytes)
{
        struct peer *peer, *other;

        start(1024);
        peer = connect_peer();
        other = connect_peer();
        send_ping(peer);
        ck_assert_int_eq(send(peer->fd, "\xdd\xff\xff\xff\xff", 5, 0), 5);
        UNTIL(at_end(peer));
        ck_assert_uint_eq(count_messages(peer), 2);
        ck_assert(has_text(peer, "pong"));
        ck_assert(has_text(peer, "malformed"));
        UNTIL(n_ended == 1);

        /* a whole value that is no message; a message before it was answered, one behind it is not
         */
        disconnect_peer(peer);
        peer = connect_peer();
        ck_assert_int_eq(
                send(peer->fd, "\x94\x00\x01\xa4ping\x90\xc0\x94\x00\x02\xa4ping\x90", 19, 0), 19);
        UNTIL(at_end(peer));
        ck_assert_uint_eq(count_messages(peer), 2);
        ck_assert(has_text(peer, "malformed"));

        send_ping(other);
        UNTIL(received(other) == 1);
        disconnect_peer(peer);
        disconnect_peer(other);
        stop();
}
END_TEST

START_TEST(turns_are_bounded)
{
        struct peer *peer, *other;

        start(1024);
        peer = connect_peer();
        other = connect_peer();
        for (int i = 0; i < 100; i++)
                send_ping(peer);
        send_ping(other);
        turn();
        ck_assert_uint_lt(received(peer), 100);
        ck_assert_uint_gt(count_messages(peer), 0);
        UNTIL(received(other) == 1);
        UNTIL(received(peer) == 100);
        disconnect_peer(peer);
        disconnect_peer(other);
        stop();
}
END_TEST

/* ---- deadlines: the clock is not waited for, the session's own record of when things began is
 * moved back ---- */

START_TEST(first_message_is_due)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        turn();
        ck_assert_uint_eq(sessions.n, 1);
        ck_assert_uint_le(uv_timer_get_due_in(&peer->session->timer), TD_FIRST_MESSAGE_MS);
        peer->session->born_ms -= TD_FIRST_MESSAGE_MS;
        session_update(peer->session);
        UNTIL(at_end(peer));
        ck_assert(has_text(peer, "timeout"));
        disconnect_peer(peer);

        /* one that spoke may be silent for as long as it likes */
        peer = connect_peer();
        send_ping(peer);
        UNTIL(received(peer) == 1);
        peer->session->born_ms -= 10 * TD_FIRST_MESSAGE_MS;
        session_update(peer->session);
        turn();
        ck_assert(!uv_is_active((uv_handle_t *)&peer->session->timer));
        ck_assert(!at_end(peer));
        disconnect_peer(peer);
        stop();
}
END_TEST

START_TEST(started_message_is_due)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        send_ping(peer);
        ck_assert_int_eq(send(peer->fd, "\x94\x00", 2, 0), 2);
        UNTIL(peer->session->started_ms != 0);
        ck_assert_uint_le(uv_timer_get_due_in(&peer->session->timer), TD_STARTED_MESSAGE_MS);
        /* a byte more does not put it off */
        ck_assert_int_eq(send(peer->fd, "\x01", 1, 0), 1);
        UNTIL(peer->session->input.end - peer->session->input.begin == 3);
        peer->session->started_ms -= TD_STARTED_MESSAGE_MS;
        session_update(peer->session);
        UNTIL(at_end(peer));
        ck_assert(has_text(peer, "pong"));
        ck_assert(has_text(peer, "timeout"));
        disconnect_peer(peer);
        stop();
}
END_TEST

/* Each message has its own time: what ends one and begins another begins anew. */
START_TEST(finished_message_is_not_due)
{
        struct peer *peer;
        uint64_t before;

        start(1024);
        peer = connect_peer();
        ck_assert_int_eq(send(peer->fd, "\x94\x00", 2, 0), 2);
        UNTIL(peer->session->started_ms != 0);
        before = peer->session->started_ms -= TD_STARTED_MESSAGE_MS / 2;
        ck_assert_int_eq(send(peer->fd, "\x01\xa4ping\x90\x94", 8, 0), 8);
        UNTIL(received(peer) == 1);
        ck_assert_uint_gt(peer->session->started_ms, before);
        ck_assert_int_eq(send(peer->fd, "\x00\x02\xa4ping\x90", 8, 0), 8);
        UNTIL(received(peer) == 2);
        ck_assert_uint_eq(peer->session->started_ms, 0);
        ck_assert(!uv_is_active((uv_handle_t *)&peer->session->timer));
        disconnect_peer(peer);
        stop();
}
END_TEST

/* Pings until the daemon stops reading: the socket takes no more. */
static unsigned flood(struct peer *peer)
{
        static const char ping[] = "\x94\x00\x01\xa4ping\x90";
        unsigned n = 0, n_idle = 0;

        while (n_idle < 100) {
                ssize_t k = send(peer->fd, ping, 9, MSG_NOSIGNAL);

                if (k == 9) {
                        n++;
                        n_idle = 0;
                        continue;
                }
                ck_assert_int_eq(k, -1);
                ck_assert_int_eq(errno, EAGAIN);
                n_idle++;
                turn();
        }
        return n;
}

START_TEST(unread_replies_stop_reading)
{
        struct peer *peer;
        unsigned n;

        start(1024);
        peer = connect_peer();
        n = flood(peer);
        ck_assert_uint_gt(peer->session->output.n_bytes, TD_OUTPUT_SOFT);
        ck_assert_uint_lt(peer->session->output.n_bytes, 2 * TD_OUTPUT_SOFT);
        ck_assert(!(peer->session->events & UV_READABLE));
        /* it reads at last, and gets every answer */
        UNTIL(received(peer) == n);
        send_ping(peer);
        UNTIL(received(peer) == n + 1);
        ck_assert(output_is_empty(&peer->session->output));
        disconnect_peer(peer);
        stop();
}
END_TEST

START_TEST(unread_replies_end_the_connection)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        flood(peer);
        ck_assert_uint_le(uv_timer_get_due_in(&peer->session->timer), TD_OUTPUT_MS);
        peer->session->output.since_ms -= TD_OUTPUT_MS;
        session_update(peer->session);
        UNTIL(n_ended == 1);
        disconnect_peer(peer);
        stop();
}
END_TEST

START_TEST(hard_bound_of_output)
{
        struct peer *peer;
        struct reply *reply = reply_new();
        void *bytes = calloc(1, TD_OUTPUT_HARD);

        start(1024);
        peer = connect_peer();
        reply_bin(reply, bytes, TD_OUTPUT_HARD);
        ck_assert_int_eq(reply_finish(reply), 0);
        peer->session->sink.send(&peer->session->sink, reply);
        UNTIL(n_ended == 1);
        free(bytes);
        disconnect_peer(peer);
        stop();
}
END_TEST

/* A peer that goes away while it is not read from is noticed. */
START_TEST(gone_while_not_read_from)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        flood(peer);
        disconnect_peer(peer);
        UNTIL(n_ended == 1);
        stop();
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors_come_with_the_first_byte)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        send_create(peer, 1);
        UNTIL((receive(peer, 1), peer->n_bytes == 1));
        ck_assert_uint_eq(peer->n_fds, 1);
        ck_assert_uint_eq(peer->session->client.user->n_fds_unread, 1);
        UNTIL(received(peer) == 1);
        ck_assert_uint_eq(peer->n_fds, 1);
        ck_assert_int_eq(fcntl(peer->fds[0], F_GETFL) & O_ACCMODE, O_RDWR);
        /* read: the next thing that happens sets the count right */
        ck_assert(output_is_read(&peer->session->output));
        ck_assert_uint_eq(sessions.budget.n_unread, 0);
        disconnect_peer(peer);
        stop();
}
END_TEST

START_TEST(unread_descriptors_are_bounded)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        for (uint64_t i = 1; i <= 80; i++)
                send_create(peer, i);
        UNTIL(peer->session->output.n_fds_unread == TD_FDS_UNREAD_MAX &&
              peer->session->later_ms != 0);
        for (int i = 0; i < 1000; i++) {
                turn();
                ck_assert_uint_le(sessions.budget.n_unread, TD_FDS_UNREAD_MAX);
        }
        ck_assert(!output_is_empty(&peer->session->output));
        UNTIL(received(peer) == 80);
        ck_assert_uint_eq(peer->n_fds, 80);
        disconnect_peer(peer);
        UNTIL(n_ended == 1);
        ck_assert_uint_eq(sessions.budget.n_unread, 0);
        stop();
}
END_TEST

/* One that never reads its descriptors is dropped, but they are counted until the kernel has them
 * back. */
START_TEST(unread_descriptors_end_the_connection)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        send_create(peer, 1);
        UNTIL(peer->session->output.n_fds_unread == 1);
        ck_assert_uint_le(uv_timer_get_due_in(&peer->session->timer), TD_OUTPUT_MS);
        peer->session->output.fds_since_ms -= TD_OUTPUT_MS;
        session_update(peer->session);
        UNTIL(peer->session->state == SESSION_LINGERING);
        ck_assert_uint_eq(service_n_clients(service), 0);
        ck_assert_uint_eq(sessions.n, 1);
        ck_assert_uint_eq(sessions.budget.n_unread, 1);
        /* read after all: the descriptor is good, then comes the end */
        UNTIL(at_end(peer));
        ck_assert_uint_eq(peer->n_fds, 1);
        UNTIL(n_ended == 1);
        ck_assert_uint_eq(sessions.budget.n_unread, 0);
        disconnect_peer(peer);

        peer = connect_peer();
        send_create(peer, 1);
        UNTIL(peer->session->output.n_fds_unread == 1);
        peer->session->output.fds_since_ms -= TD_OUTPUT_MS;
        session_update(peer->session);
        UNTIL(peer->session->state == SESSION_LINGERING);
        /* gone without a read: the kernel took them back */
        disconnect_peer(peer);
        UNTIL(n_ended == 2);
        ck_assert_uint_eq(sessions.budget.n_unread, 0);
        stop();
}
END_TEST

/* With descriptors unread for long, output is held back: the peer that reads on has them read by
 * then. */
START_TEST(old_descriptors_hold_output_back)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        send_create(peer, 1);
        UNTIL(peer->session->output.n_fds_unread == 1);
        peer->session->output.fds_since_ms -= TD_OUTPUT_MS / 2;
        send_ping(peer);
        UNTIL(peer->session->later_ms != 0);
        ck_assert(!output_is_empty(&peer->session->output));
        UNTIL(received(peer) == 2);
        ck_assert_uint_eq(sessions.budget.n_unread, 0);
        disconnect_peer(peer);
        stop();
}
END_TEST

/* A quarter of what may be in flight is the most that one uid gets; counts of those that have read
 * are no obstacle. */
START_TEST(a_uid_gets_a_quarter)
{
        struct peer *peer, *other;

        start(64);
        peer = connect_peer();
        other = connect_peer();
        for (uint64_t i = 1; i <= 16; i++)
                send_create(peer, i);
        UNTIL(peer->session->output.n_fds_unread == 16);
        send_create(other, 1);
        UNTIL(other->session->later_ms != 0);
        ck_assert_uint_eq(sessions.budget.n_unread, 16);
        ck_assert_uint_eq(received(other), 0);
        /* pings pass, on connections without descriptors in the way */
        send_ping(peer);
        UNTIL(received(peer) == 17);
        UNTIL(received(other) == 1);
        ck_assert_uint_eq(other->n_fds, 1);
        disconnect_peer(peer);
        disconnect_peer(other);
        stop();
}
END_TEST

/* ---- the end ---- */

START_TEST(what_is_queued_is_sent_at_the_end)
{
        struct peer *peer;

        start(1024);
        peer = connect_peer();
        for (int i = 0; i < 20; i++)
                send_ping(peer);
        UNTIL(peer->session->has_spoken);
        sessions_end(&sessions);
        UNTIL(at_end(peer));
        ck_assert_uint_eq(count_messages(peer), 20);
        ck_assert_uint_eq(sessions.n, 0);
        disconnect_peer(peer);
        stop();
}
END_TEST

START_TEST(end_does_not_wait_for_the_deaf)
{
        struct peer *peer;
        struct session *session;

        start(1024);
        peer = connect_peer();
        flood(peer);
        session = peer->session;
        sessions_end(&sessions);
        turn();
        ck_assert_uint_eq(sessions.n, 1);
        ck_assert_uint_le(session->ending_ms - uv_now(&loop.uv), 1000);
        session->ending_ms = uv_now(&loop.uv);
        session_update(session);
        UNTIL(n_ended == 1);
        disconnect_peer(peer);
        stop();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("session");
        TCase *tcase = tcase_create("session");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, answers);
        tcase_add_test(tcase, half_closed_peer_gets_its_answer);
        tcase_add_test(tcase, malformed_bytes);
        tcase_add_test(tcase, turns_are_bounded);
        tcase_add_test(tcase, first_message_is_due);
        tcase_add_test(tcase, started_message_is_due);
        tcase_add_test(tcase, finished_message_is_not_due);
        tcase_add_test(tcase, unread_replies_stop_reading);
        tcase_add_test(tcase, unread_replies_end_the_connection);
        tcase_add_test(tcase, hard_bound_of_output);
        tcase_add_test(tcase, gone_while_not_read_from);
        tcase_add_test(tcase, descriptors_come_with_the_first_byte);
        tcase_add_test(tcase, unread_descriptors_are_bounded);
        tcase_add_test(tcase, unread_descriptors_end_the_connection);
        tcase_add_test(tcase, old_descriptors_hold_output_back);
        tcase_add_test(tcase, a_uid_gets_a_quarter);
        tcase_add_test(tcase, what_is_queued_is_sent_at_the_end);
        tcase_add_test(tcase, end_does_not_wait_for_the_deaf);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
