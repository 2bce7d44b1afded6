/* SPDX-License-Identifier: MIT */
/*
 * A real daemon on a private socket, for tests of the client: checked fixtures start it and see to
 * it that nothing stays.
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensord/prefix.h"
#include "tensord/tensord.h"

static char kit_directory[64];
static char kit_socket[128];
static char kit_daemon[4096];
static pid_t kit_pid = -1;
static const char *kit_option; /* one more for the daemon, with its value */
static const char *kit_value;

#define OK(expression)                                                                             \
        do {                                                                                       \
                int _r = (expression);                                                             \
                ck_assert_msg(_r == TD_OK, "%s: %s: %s", #expression,                              \
                              td_error_name(_r) ? td_error_name(_r) : "?", error.message);         \
        } while (0)

#define FAILS(expression, wanted)                                                                  \
        do {                                                                                       \
                int _r = (expression);                                                             \
                ck_assert_msg(_r == (wanted), "%s: %s, wanted %s: %s", #expression,                \
                              td_error_name(_r) ? td_error_name(_r) : "?", td_error_name(wanted),  \
                              error.message);                                                      \
        } while (0)

static inline td_client *kit_connect(void)
{
        td_options options = { .address = kit_socket, .busy_poll_us = -1 };
        td_client *client = NULL;
        td_error error;

        OK(td_connect(&client, &options, &error));
        return client;
}

static inline bool kit_answers(void)
{
        td_options options = { .address = kit_socket, .no_start = true };
        td_client *client;

        if (td_connect(&client, &options, NULL))
                return false;
        td_close(client);
        return true;
}

static inline void kit_start(void)
{
        char log[128];

        kit_pid = fork();
        ck_assert_int_ge(kit_pid, 0);
        if (kit_pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                snprintf(log, sizeof(log), "%s/daemon.log", kit_directory);
                execl(kit_daemon, kit_daemon, "--socket", kit_socket, "--log-file", log, kit_option,
                      kit_value, (char *)NULL);
                _exit(127);
        }
        for (int i = 0; !kit_answers(); i++) {
                ck_assert_msg(waitpid(kit_pid, NULL, WNOHANG) == 0, "%s ended", kit_daemon);
                ck_assert_int_lt(i, 3000);
                poll(NULL, 0, 10);
        }
}

static inline void kit_stop(int signal)
{
        int status;

        kill(kit_pid, signal);
        ck_assert_int_eq(waitpid(kit_pid, &status, 0), kit_pid);
        if (signal == SIGTERM)
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                              "the daemon ended with %x", status);
        kit_pid = -1;
}

/* Objects of the daemon in /dev/shm, removed where asked for. */
static inline unsigned kit_objects(bool removes)
{
        char prefix[TD_SHM_PREFIX_SIZE], path[512];
        DIR *directory = opendir("/dev/shm");
        struct dirent *entry;
        unsigned n = 0;

        ck_assert_ptr_nonnull(directory);
        td_shm_prefix(prefix, geteuid(), kit_socket);
        while ((entry = readdir(directory))) {
                if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
                        continue;
                n++;
                snprintf(path, sizeof(path), "/dev/shm/%s", entry->d_name);
                if (removes)
                        unlink(path);
        }
        closedir(directory);
        return n;
}

/* Where the daemon is, and a directory of the test's own. */
static inline void kit_prepare(void)
{
        ssize_t n = readlink("/proc/self/exe", kit_daemon, sizeof(kit_daemon) - 32);
        char *slash;

        ck_assert_int_gt(n, 0);
        kit_daemon[n] = '\0';
        slash = strrchr(kit_daemon, '/');
        strcpy(slash, "/../bin/tensord");
        ck_assert_msg(access(kit_daemon, X_OK) == 0, "%s is not built", kit_daemon);
        strcpy(kit_directory, "/tmp/tensord-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(kit_directory));
        snprintf(kit_socket, sizeof(kit_socket), "%s/socket", kit_directory);
}

static inline void kit_setup(void)
{
        kit_prepare();
        kit_start();
}

static inline void kit_clean(const char *directory)
{
        DIR *entries = opendir(directory);
        struct dirent *entry;
        char path[4096];

        while (entries && (entry = readdir(entries))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name),
                                 (int)sizeof(path));
                if (unlink(path) < 0)
                        kit_clean(path);
        }
        if (entries)
                closedir(entries);
        rmdir(directory);
}

/* Tests remove the names that they made: nothing may stay. */
static inline void kit_teardown(void)
{
        unsigned n;

        if (kit_pid > 0)
                kit_stop(SIGTERM);
        n = kit_objects(true);
        kit_clean(kit_directory);
        ck_assert_msg(n == 0, "%u objects stayed in /dev/shm", n);
}

/* ---- what tests put ---- */

static inline struct td_type f64_1d(int64_t n)
{
        return (struct td_type){ .dtype = TD_FLOAT64, .ndim = 1, .shape = { n } };
}

static inline double *ramp(size_t n)
{
        double *data = malloc(n * sizeof(*data));

        ck_assert_ptr_nonnull(data);
        for (size_t i = 0; i < n; i++)
                data[i] = (double)i;
        return data;
}
