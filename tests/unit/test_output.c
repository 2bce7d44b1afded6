/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/output.h"

#include <check.h>
#include <fcntl.h>

#include "session_kit.h"

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

int main(void)
{
        Suite *suite = suite_create("output");
        TCase *tcase = tcase_create("output");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, descriptors_come_with_the_first_byte);
        tcase_add_test(tcase, unread_descriptors_are_bounded);
        tcase_add_test(tcase, unread_descriptors_end_the_connection);
        tcase_add_test(tcase, old_descriptors_hold_output_back);
        tcase_add_test(tcase, a_uid_gets_a_quarter);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
