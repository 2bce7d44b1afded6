/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/session.h"

#include <check.h>
#include <string.h>
#include <sys/ioctl.h>

#include "service/core.h"
#include "session_kit.h"

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

/* The latest to speak is read from without being polled, and forgotten when it goes. */
START_TEST(latest_is_glanced_at)
{
        bool is_read = false;
        struct peer *peer;

        start(1024);
        sessions_glance(&sessions);
        peer = connect_peer();
        send_ping(peer);
        UNTIL(received(peer) == 1);
        ck_assert_ptr_eq(sessions.latest, peer->session);
        sessions_glance(&sessions);
        /* where the machine stalls, a user's share of the round is spent: it stands in line then */
        for (unsigned n = 2; !is_read; n++) {
                ck_assert_uint_lt(n, 50);
                send_ping(peer);
                sessions_glance(&sessions);
                is_read = received(peer) == n;
                UNTIL(received(peer) == n);
        }
        disconnect_peer(peer);
        sessions_glance(&sessions);
        ck_assert_ptr_null(sessions.latest);
        UNTIL(n_ended == 1);
        sessions_glance(&sessions);
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
        UNTIL(peer->session->started_ms > before);
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

/* ---- the end ---- */

START_TEST(what_is_queued_is_sent_at_the_end)
{
        struct session *session;
        const struct reply *reply;
        struct peer *peer;
        size_t n_queued = 0;
        int n_sent;

        start(1024);
        peer = connect_peer();
        flood(peer);
        session = peer->session;
        list_for_each (reply, &session->output.queue, link)
                n_queued += reply->n_bytes - reply->n_sent;
        ck_assert_int_eq(ioctl(peer->fd, FIONREAD, &n_sent), 0);
        ck_assert(n_queued > 0 && n_sent > 0);
        sessions_end(&sessions);
        ck_assert_uint_eq(sessions.n, 1);
        session->ending_ms += 60000; /* however slow this process is */
        session_update(session);
        UNTIL(at_end(peer));
        ck_assert_uint_eq(peer->n_bytes, n_queued + (size_t)n_sent);
        UNTIL(sessions.n == 0);
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

/* So is what is left when the daemon stops. */
START_TEST(many_handles_end_with_the_daemon)
{
        enum { N_HANDLES = 100000 };
        struct peer *peer;
        struct promise *promise;

        start(1024);
        peer = connect_peer();
        for (uint64_t handle = 1; handle <= N_HANDLES; handle++) {
                ck_assert_int_eq(promise_new(&promise, &peer->session->client.promises, handle), 0);
                promise_unref(promise);
        }
        stop();
        ck_assert_uint_eq(n_ended, 1);
        disconnect_peer(peer);
}
END_TEST

/* Others of the same user are answered while what a connection had is taken out. */
START_TEST(many_handles_end_in_turns)
{
        enum { N_HANDLES = 400000 }; /* many ms, however fast the machine */
        struct peer *peer, *other;
        struct session *session;
        struct promise *promise;

        start(1024);
        peer = connect_peer();
        session = peer->session;
        session->has_spoken = true; /* however long it takes to fill its table */
        for (uint64_t handle = 1; handle <= N_HANDLES; handle++) {
                ck_assert_int_eq(promise_new(&promise, &session->client.promises, handle), 0);
                promise_unref(promise);
        }
        turn(); /* the loop's clock stood still meanwhile */
        other = connect_peer();
        disconnect_peer(peer);
        UNTIL(session->client.has_left);
        ck_assert_uint_gt(HASH_COUNT(session->client.promises), N_HANDLES / 2);
        ck_assert_uint_eq(service_n_clients(service), 1);
        UNTIL(session->state == SESSION_CLOSED);
        ck_assert_ptr_nonnull(session->client.promises); /* it has its place until all is gone */
        ck_assert_uint_eq(other->session->client.user->used[RESOURCE_CONNECTIONS], 2);
        send_ping(other);
        UNTIL(received(other) == 1);
        ck_assert_uint_eq(n_ended, 0);
        UNTIL(n_ended == 1);
        ck_assert_uint_eq(other->session->client.user->used[RESOURCE_CONNECTIONS], 1);
        disconnect_peer(other);
        stop();
}
END_TEST

/* ---- what users share ---- */

#define WORKSPACE (1 << 20)

/* Another user, and what that one may have: what the first one did must not change it. */
static struct user *start_shared(void)
{
        const struct quotas quotas = { .is_shared = true,
                                       .all = { [RESOURCE_WORKSPACE] = WORKSPACE } };
        struct user *user;

        start(1024);
        users_set_quotas(store_users(service->store), &quotas);
        ck_assert_int_eq(user_get(store_users(service->store), geteuid() + 1, &user), 0);
        return user;
}

/* The first bytes of each come with the connection, the rest are the user's as far as it may. */
START_TEST(messages_that_are_not_whole_leave_shares)
{
        enum { N_PEERS = 100, N_BYTES = 60000 };
        static const uint8_t begun[N_BYTES] = { 0x94, 0, 1, 0xdb, 0, 1, 0x86, 0xa0 };
        struct user *user = start_shared();
        struct peer *peers[N_PEERS];

        for (unsigned i = 0; i < N_PEERS; i++) {
                peers[i] = connect_peer();
                ck_assert_int_eq(send(peers[i]->fd, begun, 4000, MSG_NOSIGNAL), 4000);
                UNTIL(peers[i]->session->input.end == 4000);
        }
        ck_assert_uint_eq(store_users(service->store)->totals[RESOURCE_WORKSPACE].n, 0);
        for (unsigned i = 0; i < N_PEERS; i++) {
                ck_assert_int_eq(send(peers[i]->fd, begun, N_BYTES, MSG_NOSIGNAL), N_BYTES);
                UNTIL(n_ended > 0 || peers[i]->session->input.end == 4000 + N_BYTES);
                if (n_ended > 0)
                        break;
        }
        ck_assert_uint_eq(n_ended, 1);
        ck_assert_int_eq(user_may_take(user, RESOURCE_WORKSPACE, WORKSPACE / 8), 0);
        for (unsigned i = 0; i < N_PEERS; i++)
                disconnect_peer(peers[i]);
        user_unref(user);
        stop();
}
END_TEST

static void push_reply(struct peer *peer, const void *bytes, size_t n_bytes)
{
        struct reply *reply = reply_new();

        reply_bin(reply, bytes, n_bytes);
        ck_assert_int_eq(reply_finish(reply), 0);
        peer->session->sink.send(&peer->session->sink, reply);
}

/* So are replies that are not read; one that is ends no connection, however little is left. */
START_TEST(replies_that_are_not_read_leave_shares)
{
        enum { N_PEERS = 100, N_REPLY = 8000, N_BYTES = 100000 };
        static const uint8_t bytes[N_BYTES];
        struct user *user = start_shared();
        struct peer *peer = connect_peer(), *peers[N_PEERS];
        struct charge filler = { 0 };

        charge_adopt(&filler, peer->session->client.user, RESOURCE_WORKSPACE, WORKSPACE / 4 * 3);
        ck_assert_int_eq(user_may_take(filler.user, RESOURCE_WORKSPACE, 1), CHARGE_E_QUOTA);
        push_reply(peer, bytes, N_BYTES);
        UNTIL(received(peer) == 1);
        ck_assert_uint_eq(n_ended, 0);
        for (unsigned i = 0; i < N_PEERS; i++) {
                unsigned n_before = n_ended;

                peers[i] = connect_peer();
                while (n_ended == n_before && output_is_empty(&peers[i]->session->output)) {
                        push_reply(peers[i], bytes, N_REPLY);
                        turn();
                }
        }
        ck_assert_uint_gt(n_ended, 0);
        ck_assert_int_eq(user_may_take(user, RESOURCE_WORKSPACE, WORKSPACE / 8), 0);
        charge_drop(&filler);
        for (unsigned i = 0; i < N_PEERS; i++)
                disconnect_peer(peers[i]);
        disconnect_peer(peer);
        user_unref(user);
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
        tcase_add_test(tcase, latest_is_glanced_at);
        tcase_add_test(tcase, first_message_is_due);
        tcase_add_test(tcase, started_message_is_due);
        tcase_add_test(tcase, finished_message_is_not_due);
        tcase_add_test(tcase, unread_replies_stop_reading);
        tcase_add_test(tcase, unread_replies_end_the_connection);
        tcase_add_test(tcase, hard_bound_of_output);
        tcase_add_test(tcase, gone_while_not_read_from);
        tcase_add_test(tcase, what_is_queued_is_sent_at_the_end);
        tcase_add_test(tcase, end_does_not_wait_for_the_deaf);
        tcase_add_test(tcase, many_handles_end_in_turns);
        tcase_add_test(tcase, many_handles_end_with_the_daemon);
        tcase_add_test(tcase, messages_that_are_not_whole_leave_shares);
        tcase_add_test(tcase, replies_that_are_not_read_leave_shares);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
