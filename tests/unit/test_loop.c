/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <check.h>

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
        loop_note_message(&loop, uv_hrtime());
        loop_note_message(&loop, uv_hrtime());
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
        loop_note_message(&loop, uv_hrtime());
        loop_note_message(&loop, uv_hrtime());
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
        loop_note_message(&loop, uv_hrtime());
        loop_note_message(&loop, uv_hrtime());
        run(20);
        ck_assert_uint_eq(n_spins + n_glances, 0);
        ck_assert_uint_le(n_turns, 3);
        stop();
}
END_TEST

START_TEST(off)
{
        start(0);
        loop_note_message(&loop, uv_hrtime());
        loop_note_message(&loop, uv_hrtime());
        run(20);
        ck_assert_uint_eq(n_spins, 0);
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
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
