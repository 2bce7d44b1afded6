/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <check.h>
#include <string.h>

static struct loop loop;
static uv_timer_t timer;
static uv_prepare_t prepare;
static unsigned n_turns, n_spins, n_glances;
static bool is_allowed = true;

static bool may_spin(void *ctx)
{
        ck_assert_str_eq(ctx, "asked");
        return is_allowed;
}

static void glance(void *ctx)
{
        ck_assert_str_eq(ctx, "asked");
        n_glances++;
}

static void on_prepare(uv_prepare_t *handle)
{
        (void)handle;
        n_turns++;
        n_spins += loop.is_spinning;
}

static void on_timer(uv_timer_t *handle)
{
        (void)handle;
        loop_stop(&loop);
}

static void start(unsigned busy_poll_us)
{
        static char asked[] = "asked";

        ck_assert_int_eq(loop_init(&loop, busy_poll_us, may_spin, glance, asked), 0);
        uv_timer_init(&loop.uv, &timer);
        uv_prepare_init(&loop.uv, &prepare);
        uv_prepare_start(&prepare, on_prepare);
}

static void run(uint64_t ms)
{
        n_turns = n_spins = n_glances = 0;
        loop.is_stopped = false;
        uv_update_time(&loop.uv);
        uv_timer_start(&timer, on_timer, ms, 0);
        loop_run(&loop);
}

static void stop(void)
{
        uv_close((uv_handle_t *)&timer, NULL);
        uv_close((uv_handle_t *)&prepare, NULL);
        loop_finish(&loop);
        loop_deinit(&loop);
}

START_TEST(idle_sleeps)
{
        start(1000000);
        run(30);
        ck_assert_uint_eq(n_spins + n_glances, 0);
        ck_assert_uint_le(n_turns, 3);
        stop();
}
END_TEST

START_TEST(spins_after_a_message)
{
        start(1000000);
        loop_note_message(&loop);
        loop_note_message(&loop);
        run(200);
        ck_assert_uint_gt(n_spins, 10);
        ck_assert_uint_ge(n_spins + 2, n_turns);
        ck_assert_uint_gt(n_glances, n_spins);
        stop();
}
END_TEST

START_TEST(spin_ends)
{
        start(1000);
        loop_note_message(&loop);
        loop_note_message(&loop);
        run(50);
        ck_assert_uint_gt(n_spins, 0);
        /* asleep again: the turn that ends it is the timer's */
        ck_assert(!loop.is_spinning);
        run(20);
        ck_assert_uint_eq(n_spins, 0);
        stop();
}
END_TEST

START_TEST(never_while_jobs_want_the_cores)
{
        start(1000000);
        is_allowed = false;
        loop_note_message(&loop);
        loop_note_message(&loop);
        run(20);
        ck_assert_uint_eq(n_spins + n_glances, 0);
        ck_assert_uint_le(n_turns, 3);
        stop();
}
END_TEST

START_TEST(off)
{
        start(0);
        loop_note_message(&loop);
        loop_note_message(&loop);
        run(20);
        ck_assert_uint_eq(n_spins, 0);
        stop();
}
END_TEST

/* Messages that come so long after the last one, by what the loop did meanwhile; what it does most
 * of the time then. */
static enum loop_wait learn(uint64_t spin_us, uint64_t sleep_us)
{
        unsigned n[2] = { 0, 0 };

        for (int i = 0; i < 4096; i++) {
                uint64_t gap_us = loop.wait == LOOP_SPIN ? spin_us : sleep_us;

                loop.last_message_ns = uv_hrtime() - gap_us * 1000;
                loop_note_message(&loop);
                if (i >= 2048)
                        n[loop.wait]++;
        }
        /* the other is tried, but seldom */
        ck_assert_uint_gt(n[0], 0);
        ck_assert_uint_gt(n[1], 0);
        ck_assert(n[0] < 100 || n[1] < 100);
        return n[1] > n[0] ? LOOP_SPIN : LOOP_SLEEP;
}

START_TEST(only_where_it_pays)
{
        start(1000);
        /* a core for each: a wake-up is what takes long */
        ck_assert_int_eq(learn(100, 800), LOOP_SPIN);
        /* one core for both: the peer runs when the spin is over */
        ck_assert_int_eq(learn(1100, 300), LOOP_SLEEP);
        /* and back */
        ck_assert_int_eq(learn(100, 800), LOOP_SPIN);
        /* slow peers: neither is better */
        ck_assert_int_eq(learn(60000, 60000), LOOP_SLEEP);
        ck_assert_int_eq(learn(2000, 2000), LOOP_SLEEP);
        ck_assert_int_eq(learn(100, 800), LOOP_SPIN);
        stop();
}
END_TEST

/* What happens while jobs run says nothing about spinning. */
START_TEST(learns_nothing_while_jobs_run)
{
        uint64_t gap_ns[2];

        start(1000);
        ck_assert_int_eq(learn(100, 800), LOOP_SPIN);
        is_allowed = false;
        memcpy(gap_ns, loop.gap_ns, sizeof(gap_ns));
        loop.wait = LOOP_SPIN;
        loop.last_message_ns = uv_hrtime();
        run(20);
        ck_assert_int_eq(loop.wait, LOOP_HELD);
        loop_note_message(&loop);
        ck_assert_mem_eq(gap_ns, loop.gap_ns, sizeof(gap_ns));
        stop();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("loop");
        TCase *tcase = tcase_create("loop");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, idle_sleeps);
        tcase_add_test(tcase, spins_after_a_message);
        tcase_add_test(tcase, spin_ends);
        tcase_add_test(tcase, never_while_jobs_want_the_cores);
        tcase_add_test(tcase, off);
        tcase_add_test(tcase, only_where_it_pays);
        tcase_add_test(tcase, learns_nothing_while_jobs_run);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
