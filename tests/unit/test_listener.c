/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char top[64], path[108];
static struct loop loop;
static struct listener listener;
static int accepted_fds[16];
static unsigned n_accepted;

static bool never(void *ctx)
{
        (void)ctx;
        return false;
}

static void on_accepted(void *ctx, int fd)
{
        (void)ctx;
        ck_assert_uint_lt(n_accepted, 16);
        accepted_fds[n_accepted++] = fd;
}

static void setup(void)
{
        snprintf(top, sizeof(top), "/tmp/test_listener.XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(top));
        snprintf(path, sizeof(path), "%s/socket", top);
        ck_assert_int_eq(loop_init(&loop, 0, never, NULL, NULL), 0);
}

static void teardown(void)
{
        loop_finish(&loop);
        loop_deinit(&loop);
        for (unsigned i = 0; i < n_accepted; i++)
                close(accepted_fds[i]);
        ck_assert_int_eq(rmdir(top), 0);
}

static void listen_at_path(void)
{
        int fd = -1;

        ck_assert_int_eq(listener_bind(path, 0600, &fd), 0);
        ck_assert_int_eq(listener_init(&listener, &loop, fd, path, true, on_accepted, NULL), 0);
}

static int connect_path(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

static void turn(void)
{
        uv_run(&loop.uv, UV_RUN_NOWAIT);
}

START_TEST(accepts)
{
        struct stat status;
        int fd;

        listen_at_path();
        ck_assert_int_eq(lstat(path, &status), 0);
        ck_assert(S_ISSOCK(status.st_mode));
        ck_assert_uint_eq(status.st_mode & 0777, 0600);
        fd = connect_path();
        turn();
        ck_assert_uint_eq(n_accepted, 1);
        ck_assert_int_ne(fcntl(accepted_fds[0], F_GETFL) & O_NONBLOCK, 0);
        ck_assert_int_ne(fcntl(accepted_fds[0], F_GETFD) & FD_CLOEXEC, 0);
        close(fd);
        listener_close(&listener);
        listener_close(&listener);
        ck_assert_int_eq(lstat(path, &status), -1);
}
END_TEST

START_TEST(mode_of_the_socket)
{
        struct stat status;
        int fd = -1;

        ck_assert_int_eq(listener_bind(path, 0666, &fd), 0);
        ck_assert_int_eq(lstat(path, &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0666);
        close(fd);
        unlink(path);
}
END_TEST

START_TEST(held_at_the_bound)
{
        int fds[3];

        listen_at_path();
        listener_hold(&listener, true);
        fds[0] = connect_path();
        turn();
        ck_assert_uint_eq(n_accepted, 0);
        /* nothing to poll for: the loop has no reason to wake */
        ck_assert(!uv_is_active((uv_handle_t *)&listener.poll));
        listener_hold(&listener, false);
        turn();
        ck_assert_uint_eq(n_accepted, 1);
        fds[1] = connect_path();
        fds[2] = connect_path();
        turn();
        ck_assert_uint_eq(n_accepted, 3);
        for (int i = 0; i < 3; i++)
                close(fds[i]);
        listener_close(&listener);
}
END_TEST

/* Without descriptors it waits, and does not spin; the connection is not lost. */
START_TEST(no_descriptors)
{
        struct rlimit limit, low;
        int fd;

        listen_at_path();
        fd = connect_path();
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        low = limit;
        low.rlim_cur = 3;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        turn();
        ck_assert_uint_eq(n_accepted, 0);
        ck_assert(listener.is_waiting);
        ck_assert(!uv_is_active((uv_handle_t *)&listener.poll));
        ck_assert(uv_is_active((uv_handle_t *)&listener.timer));
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        while (n_accepted == 0)
                uv_run(&loop.uv, UV_RUN_ONCE);
        ck_assert(!listener.is_waiting);
        close(fd);
        listener_close(&listener);
}
END_TEST

START_TEST(stale_sockets)
{
        int fd = -1, again = -1;

        ck_assert_int_eq(listener_bind(path, 0600, &fd), 0);
        ck_assert_int_eq(listener_bind(path, 0600, &again), LISTENER_E_IN_USE);
        ck_assert_int_eq(again, -1);
        /* its owner died: what lies there answers nobody */
        close(fd);
        ck_assert_int_eq(listener_bind(path, 0600, &fd), 0);
        close(fd);
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(no_socket_is_not_removed)
{
        struct stat status;
        int fd, other = -1;

        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ck_assert_int_ge(fd, 0);
        close(fd);
        ck_assert_int_eq(listener_bind(path, 0600, &other), LISTENER_E_NO_SOCKET);
        ck_assert_int_eq(lstat(path, &status), 0);
        ck_assert(S_ISREG(status.st_mode));
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(only_its_own_is_removed)
{
        struct stat status;
        int fd = -1;

        listen_at_path();
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(listener_bind(path, 0600, &fd), 0);
        listener_close(&listener);
        ck_assert_int_eq(lstat(path, &status), 0);
        close(fd);
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(handed_over_is_not_removed)
{
        struct stat status;
        int fd = -1;

        ck_assert_int_eq(listener_bind(path, 0600, &fd), 0);
        ck_assert_int_eq(listener_init(&listener, &loop, fd, path, false, on_accepted, NULL), 0);
        listener_close(&listener);
        ck_assert_int_eq(lstat(path, &status), 0);
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(long_paths)
{
        char longer[200];
        int fd = -1;

        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        longer[0] = '/';
        ck_assert_int_eq(listener_bind(longer, 0600, &fd), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("listener");
        TCase *tcase = tcase_create("listener");
        SRunner *runner;
        int n_failed;

        tcase_add_checked_fixture(tcase, setup, teardown);
        tcase_add_test(tcase, accepts);
        tcase_add_test(tcase, mode_of_the_socket);
        tcase_add_test(tcase, held_at_the_bound);
        tcase_add_test(tcase, no_descriptors);
        tcase_add_test(tcase, stale_sockets);
        tcase_add_test(tcase, no_socket_is_not_removed);
        tcase_add_test(tcase, only_its_own_is_removed);
        tcase_add_test(tcase, handed_over_is_not_removed);
        tcase_add_test(tcase, long_paths);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
