/* layer: base */
/* SPDX-License-Identifier: MIT */
/*
 * A flood of causes becomes few lines: none is written as often as it comes, and none is lost from
 * the count.
 */
#include "base/once.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static uint64_t now_ms;
static char *lines;

static uint64_t test_clock(void)
{
        return now_ms;
}

/* What is written to the log meanwhile; the number of lines. */
static unsigned log_of(void (*act)(void))
{
        char path[] = "/tmp/tensord-test-XXXXXX";
        int fd = mkstemp(path), kept = dup(STDERR_FILENO);
        unsigned n = 0;
        off_t size;

        ck_assert_int_ge(fd, 0);
        unlink(path);
        dup2(fd, STDERR_FILENO);
        act();
        dup2(kept, STDERR_FILENO);
        close(kept);
        size = lseek(fd, 0, SEEK_END);
        free(lines);
        lines = calloc(1, (size_t)size + 1);
        ck_assert_int_eq(pread(fd, lines, (size_t)size, 0), size);
        close(fd);
        for (const char *p = lines; (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

static void setup(void)
{
        now_ms = 1000;
        once_reset(test_clock);
}

static void flood(void)
{
        for (unsigned i = 0; i < 100000; i++)
                once_log(LOG_LEVEL_INFO, i % 2 ? ONCE_LATE : ONCE_MALFORMED, 5 + i % 3, "line %u",
                         i);
}

static void tell(void)
{
        once_tell(false);
}

START_TEST(first_then_counted)
{
        ck_assert_uint_eq(log_of(flood), 6);
        ck_assert_ptr_nonnull(strstr(lines, "uid 5: line 0\n"));
        ck_assert(once_is_counting());
        ck_assert_uint_eq(log_of(tell), 0);
        now_ms += ONCE_MS;
        ck_assert_uint_eq(log_of(tell), 6);
        ck_assert_ptr_nonnull(strstr(lines, "uid 5: 16666 more in 60 s, the last: line 99996\n"));
        ck_assert(!once_is_counting());
        ck_assert_uint_eq(log_of(tell), 0);
        /* Silence for a minute: what comes is new. */
        now_ms += ONCE_MS;
        ck_assert_uint_eq(log_of(flood), 6);
        ck_assert_ptr_nonnull(strstr(lines, "uid 5: line 0\n"));
}
END_TEST

static void one(void)
{
        once_log(LOG_LEVEL_INFO, ONCE_DEAF, 1, "deaf");
}

START_TEST(the_next_one_tells)
{
        ck_assert_uint_eq(log_of(one), 1);
        ck_assert_uint_eq(log_of(one), 0);
        now_ms += 61000;
        ck_assert_uint_eq(log_of(one), 2);
        ck_assert_ptr_nonnull(strstr(lines, "uid 1: 1 more in 61 s, the last: deaf\n"));
}
END_TEST

static void many_users(void)
{
        for (unsigned turn = 0; turn < 10; turn++)
                for (unsigned uid = 0; uid < 1000; uid++)
                        once_log(LOG_LEVEL_INFO, ONCE_LATE, uid, "late");
}

static void tell_all(void)
{
        once_tell(true);
}

START_TEST(more_users_than_rows)
{
        ck_assert_uint_eq(log_of(many_users), ONCE_ROWS);
        ck_assert_uint_eq(log_of(tell_all), ONCE_ROWS + 1);
        ck_assert_ptr_nonnull(strstr(lines, "9360 more lines of other causes and users"));
        now_ms += ONCE_MS;
        ck_assert_uint_eq(log_of(many_users), ONCE_ROWS);
}
END_TEST

static void fail_often(void)
{
        for (unsigned i = 0; i < 1000; i++) {
                error_origin(-EMFILE);
                error_origin(-ENOMEM);
        }
}

START_TEST(machine_failures)
{
        ck_assert_uint_eq(log_of(fail_often), 2);
        ck_assert_uint_eq(log_of(fail_often), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("once");
        TCase *tcase = tcase_create("once");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tcase, setup, NULL);
        tcase_add_test(tcase, first_then_counted);
        tcase_add_test(tcase, the_next_one_tells);
        tcase_add_test(tcase, more_users_than_rows);
        tcase_add_test(tcase, machine_failures);
        suite_add_tcase(suite, tcase);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
