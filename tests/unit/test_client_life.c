/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * The client while its process forks and its daemon is killed, started again, or started by itself.
 */
#include "daemon_kit.h"

#include <pthread.h>
#include <sys/pidfd.h>

#include "codec.h"

#define N_LARGE 200000

/* Not watched, and as fast as ever: what the daemon asks back it waits for a second for. */
__attribute__((no_sanitize("thread"))) static double *constant(size_t n, double value)
{
        double *data = malloc(n * sizeof(*data));

        ck_assert_ptr_nonnull(data);
        for (size_t i = 0; i < n; i++)
                data[i] = value;
        return data;
}

static bool is_constant(const td_mapping *mapping, double value)
{
        const double *data = td_mapping_data(mapping);

        for (size_t i = 0; i < td_mapping_n_bytes(mapping) / 8; i++)
                if (data[i] != value)
                        return false;
        return true;
}

static td_tensor *put_constant(td_client *client, double value, const char *name, size_t n)
{
        struct td_type type = f64_1d((int64_t)n);
        double *data = constant(n, value);
        td_tensor *tensor;
        td_error error;

        OK(td_put(client, data, &type, NULL, 'C', name, true, &tensor, &error));
        free(data);
        return tensor;
}

static td_mapping *map(td_tensor *tensor, enum td_map_mode mode)
{
        td_mapping *mapping;
        td_error error;

        OK(td_map(tensor, mode, true, &mapping, &error));
        return mapping;
}

/* ---- fork ---- */

/* The child's view of memory that the parent freed and would get back, were it parked. */
static void fork_and_free(enum td_map_mode mode)
{
        td_client *client = kit_connect();
        td_tensor *tensor = put_constant(client, 1, NULL, N_LARGE), *again;
        td_mapping *mapping = map(tensor, mode), *second;
        int pipes[2][2], status;
        char byte = 0;
        pid_t child;
        td_error error;

        ck_assert_int_eq(pipe(pipes[0]), 0);
        ck_assert_int_eq(pipe(pipes[1]), 0);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                bool is_closed = td_ping(client, &error) == TD_E_CLOSED;

                if (read(pipes[0][0], &byte, 1) != 1)
                        _exit(1);
                if (!is_constant(mapping, 1))
                        _exit(2);
                td_mapping_free(mapping);
                td_tensor_free(tensor);
                td_close(client);
                _exit(is_closed ? 0 : 3);
        }
        OK(td_ping(client, &error));
        td_mapping_free(mapping);
        td_tensor_free(tensor);
        again = put_constant(client, 2, NULL, N_LARGE);
        second = map(again, TD_MAP_READ);
        ck_assert(is_constant(second, 2));
        ck_assert_int_eq(write(pipes[0][1], &byte, 1), 1);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %x",
                      status);
        td_mapping_free(second);
        td_tensor_free(again);
        td_close(client);
}

START_TEST(a_child_keeps_what_it_maps)
{
        fork_and_free(TD_MAP_READ);
}
END_TEST

START_TEST(a_child_keeps_its_private_copy)
{
        fork_and_free(TD_MAP_COW);
}
END_TEST

/* A child may have a client of its own, and the parent's goes on. */
START_TEST(a_child_connects)
{
        td_client *client = kit_connect();
        td_tensor *tensor = put_constant(client, 3, "shared", N_LARGE);
        td_mapping *mapping = map(tensor, TD_MAP_READ);
        int status;
        td_error error;
        pid_t child = fork();

        if (child == 0) {
                td_client *own = kit_connect();
                td_tensor *opened;
                td_mapping *there;

                if (td_open(own, "shared", &opened, &error) ||
                    td_map(opened, TD_MAP_READ, true, &there, &error))
                        _exit(1);
                _exit(is_constant(there, 3) && is_constant(mapping, 3) ? 0 : 2);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %x",
                      status);
        OK(td_delete(client, "shared", &error));
        td_mapping_free(mapping);
        td_tensor_free(tensor);
        td_close(client);
}
END_TEST

/* ---- the daemon is killed ---- */

START_TEST(names_survive)
{
        td_client *client = kit_connect();
        td_tensor *named = put_constant(client, 1, "kept", N_LARGE),
                  *unnamed = put_constant(client, 2, NULL, N_LARGE);
        td_tensor *result, *small = put_constant(client, 5, "small", 2);
        td_mapping *before = map(named, TD_MAP_READ), *other = map(unnamed, TD_MAP_READ), *after;
        td_builder *builder;
        td_output output = { .map = true };
        td_error error;
        int x, y;

        kit_stop(SIGKILL);
        ck_assert(is_constant(before, 1));
        ck_assert(is_constant(other, 2));
        kit_start();
        builder = td_builder_new();
        x = td_builder_input(builder, named);
        y = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ x, x }, 2, NULL);
        output.value = y;
        OK(td_run(client, builder, &output, 1, &result, &error));
        after = map(result, TD_MAP_READ);
        ck_assert(is_constant(after, 2));
        td_builder_free(builder);

        builder = td_builder_new();
        x = td_builder_input(builder, unnamed);
        output.value = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ x, x }, 2, NULL);
        td_mapping_free(after);
        td_tensor_free(result);
        FAILS(td_run(client, builder, &output, 1, &result, &error), TD_E_GONE);
        ck_assert_ptr_nonnull(strstr(error.message, "name what must survive"));
        FAILS(td_name(unnamed, "late", false, &error), TD_E_GONE);
        td_builder_free(builder);
        ck_assert(is_constant(before, 1));
        ck_assert(is_constant(other, 2));
        td_mapping_free(other);
        td_tensor_free(unnamed);
        after = map(small, TD_MAP_READ);
        ck_assert(is_constant(after, 5));
        td_mapping_free(after);
        td_tensor_free(small);
        td_mapping_free(before);
        td_tensor_free(named);
        OK(td_delete(client, "kept", &error));
        OK(td_delete(client, "small", &error));
        td_close(client);
}
END_TEST

/* Another tensor got the name meanwhile: the reference does not turn into one to that. */
START_TEST(a_name_that_means_another)
{
        td_client *client = kit_connect(), *other = kit_connect();
        td_tensor *tensor = put_constant(client, 1, "n", N_LARGE), *result;
        td_builder *builder = td_builder_new();
        int x = td_builder_input(builder, tensor);
        td_output output = { .value = td_builder_op(builder, TD_OP_NEGATIVE, NULL, &x, 1, NULL) };
        td_error error;

        kit_stop(SIGKILL);
        kit_start();
        td_tensor_free(put_constant(other, 2, "n", N_LARGE));
        FAILS(td_run(client, builder, &output, 1, &result, &error), TD_E_GONE);
        td_builder_free(builder);
        td_tensor_free(tensor);
        OK(td_delete(client, "n", &error));
        td_close(client);
        td_close(other);
}
END_TEST

START_TEST(an_unsealed_one_is_written_again)
{
        td_client *client = kit_connect();
        struct td_type type = f64_1d(N_LARGE);
        td_tensor *tensor, *opened;
        td_mapping *mapping, *back;
        double *data = constant(N_LARGE, 4);
        td_error error;

        OK(td_create(client, &type, 'C', "late", false, &tensor, &error));
        mapping = map(tensor, TD_MAP_WRITE);
        memcpy(td_mapping_data(mapping), data, N_LARGE * 8);
        kit_stop(SIGKILL);
        kit_start();
        OK(td_seal(tensor, &error));
        ck_assert(is_constant(mapping, 4));
        OK(td_open(client, "late", &opened, &error));
        back = map(opened, TD_MAP_READ);
        ck_assert(is_constant(back, 4));
        td_mapping_free(back);
        td_mapping_free(mapping);
        td_tensor_free(opened);
        td_tensor_free(tensor);
        OK(td_delete(client, "late", &error));
        td_close(client);
        free(data);
}
END_TEST

START_TEST(nobody_comes_back)
{
        td_options options = { .address = kit_socket, .timeout_ms = 150, .busy_poll_us = -1 };
        td_client *client;
        td_error error;

        OK(td_connect(&client, &options, &error));
        kit_stop(SIGKILL);
        FAILS(td_ping(client, &error), TD_E_CONNECTION_LOST);
        FAILS(td_delete(client, "x", &error), TD_E_CONNECTION_LOST);
        kit_start();
        OK(td_ping(client, &error));
        td_close(client);
}
END_TEST

/* ---- killed while a request is under way ---- */

struct in_flight {
        td_client *client;
        int code;
        td_error error;
        pid_t thread;
};

static void *put_in_flight(void *arg)
{
        struct in_flight *f = arg;
        struct td_type type = f64_1d(N_LARGE);
        double *data = constant(N_LARGE, 6);

        __atomic_store_n(&f->thread, gettid(), __ATOMIC_RELEASE);
        f->code = td_put(f->client, data, &type, NULL, 'C', "flying", false, NULL, &f->error);
        free(data);
        return NULL;
}

/* The thread sleeps in poll(): its request is sent, the answer is not there. */
static void wait_asleep(const pid_t *thread)
{
        char path[64], text[256] = "";

        for (int i = 0; !strstr(text, ") S "); i++) {
                FILE *stat;

                ck_assert_int_lt(i, 2000);
                poll(NULL, 0, 5);
                snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
                         (int)__atomic_load_n(thread, __ATOMIC_ACQUIRE));
                stat = fopen(path, "r");
                if (!stat)
                        continue;
                if (!fgets(text, sizeof(text), stat))
                        text[0] = '\0';
                fclose(stat);
        }
}

START_TEST(a_put_is_asked_again)
{
        struct in_flight f = { .client = kit_connect() };
        td_tensor *opened;
        td_mapping *mapping;
        pthread_t thread;
        td_error error;

        kill(kit_pid, SIGSTOP);
        ck_assert_int_eq(pthread_create(&thread, NULL, put_in_flight, &f), 0);
        wait_asleep(&f.thread);
        kit_stop(SIGKILL);
        kit_start();
        pthread_join(thread, NULL);
        ck_assert_msg(f.code == TD_OK, "%s", f.error.message);
        OK(td_open(f.client, "flying", &opened, &error));
        mapping = map(opened, TD_MAP_READ);
        ck_assert(is_constant(mapping, 6));
        td_mapping_free(mapping);
        td_tensor_free(opened);
        OK(td_delete(f.client, "flying", &error));
        td_close(f.client);
}
END_TEST

START_TEST(runs_are_asked_again)
{
        td_client *client = kit_connect();
        td_tensor *named = put_constant(client, 1, "a", N_LARGE),
                  *unnamed = put_constant(client, 2, NULL, N_LARGE);
        td_tensor *results[2];
        td_pending *pending[2];
        td_error error;

        kill(kit_pid, SIGSTOP);
        for (int i = 0; i < 2; i++) {
                td_builder *builder = td_builder_new();
                int x = td_builder_input(builder, i ? unnamed : named);
                td_output output = { .value = td_builder_op(builder, TD_OP_ADD, NULL,
                                                            (int[]){ x, x }, 2, NULL),
                                     .name = i ? "c" : "b" };

                OK(td_submit(client, builder, &output, 1, &results[i], &pending[i], &error));
                td_builder_free(builder);
        }
        ck_assert(!td_poll(pending[0]));
        kit_stop(SIGKILL);
        kit_start();
        OK(td_wait(pending[0], &error));
        FAILS(td_wait(pending[1], &error), TD_E_GONE);
        td_mapping *mapping = map(results[0], TD_MAP_READ);
        ck_assert(is_constant(mapping, 2));
        td_mapping_free(mapping);
        td_tensor_free(results[0]);
        td_tensor_free(named);
        td_tensor_free(unnamed);
        OK(td_delete(client, "a", &error));
        OK(td_delete(client, "b", &error));
        FAILS(td_delete(client, "c", &error), TD_E_NOT_FOUND);
        td_close(client);
}
END_TEST

START_TEST(what_cannot_be_known)
{
        td_options options = { .address = kit_socket, .timeout_ms = 200, .busy_poll_us = -1 };
        struct in_flight f = { .code = -1 };
        pthread_t thread;
        td_error error;

        OK(td_connect(&f.client, &options, &error));
        kill(kit_pid, SIGSTOP);
        ck_assert_int_eq(pthread_create(&thread, NULL, put_in_flight, &f), 0);
        wait_asleep(&f.thread);
        kit_stop(SIGKILL);
        pthread_join(thread, NULL);
        ck_assert_int_eq(f.code, TD_E_OUTCOME_UNKNOWN);
        kit_start();
        td_close(f.client);
}
END_TEST

/* ---- memory is short ---- */

static void setup_small(void)
{
        kit_option = "--memory";
        kit_value = "64M";
        kit_setup();
}

/* What is parked goes when it is asked back; what is used stays. */
START_TEST(parked_memory_is_given_back)
{
        td_client *client = kit_connect();
        td_tensor *kept = put_constant(client, 1, NULL, 1000000),
                  *freed = put_constant(client, 2, NULL, 1500000), *large;
        td_mapping *mapping = map(kept, TD_MAP_READ);
        td_error error;

        td_tensor_free(freed);
        large = put_constant(client, 3, NULL, 6000000);
        ck_assert(is_constant(mapping, 1));
        td_mapping_free(mapping);
        td_tensor_free(kept);
        td_tensor_free(large);
        large = put_constant(client, 4, NULL, 7000000);
        td_tensor_free(large);
        OK(td_ping(client, &error));
        td_close(client);
}
END_TEST

/* Another client finds room, though this one asks for nothing and keeps as much mapped. */
static void check_gives_back(td_client *at_rest)
{
        td_client *other = kit_connect();

        td_tensor_free(put_constant(at_rest, 1, NULL, 5000000));
        td_tensor_free(put_constant(other, 2, NULL, 6000000));
        td_close(other);
}

/* At rest the client answers; its child does no harm; a new daemon is answered, too. */
START_TEST(memory_is_given_back_at_rest)
{
        td_client *client = kit_connect();
        int status;
        td_error error;
        pid_t child;

        OK(td_attend(client, &error));
        OK(td_attend(client, &error));
        check_gives_back(client);
        child = fork();
        if (child == 0) {
                int r = td_attend(client, &error);

                td_close(client);
                _exit(r == TD_E_CLOSED ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        check_gives_back(client);
        kit_stop(SIGKILL);
        kit_start();
        check_gives_back(client);
        td_close(client);
}
END_TEST

/* ---- a daemon of one's own ---- */

static uint64_t daemon_pid(td_client *client)
{
        struct reader reader;
        td_error error;
        uint64_t pid = 0;
        void *result;
        size_t n;

        OK(td_call(client, "stat", NULL, 0, &result, &n, &error));
        reader = reader_of(result, n);
        for (uint32_t i = reader_map(&reader); i > 0; i--) {
                size_t n_key;
                const char *key = reader_str(&reader, &n_key);

                if (text_is(key, n_key, "pid"))
                        pid = reader_uint(&reader);
                else
                        reader_skip(&reader);
        }
        td_free(result);
        ck_assert_uint_gt(pid, 1);
        return pid;
}

static void end_process(pid_t pid, int signal)
{
        int fd = pidfd_open(pid, 0);
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        ck_assert_int_ge(fd, 0);
        kill(pid, signal);
        ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
        close(fd);
}

static void setup_private(void)
{
        kit_prepare();
        unsetenv("TENSORD_SOCKET");
        setenv("XDG_RUNTIME_DIR", kit_directory, 1);
        setenv("TENSORD_DAEMON", kit_daemon, 1);
        snprintf(kit_socket, sizeof(kit_socket), "%s/tensord/socket", kit_directory);
}

START_TEST(one_daemon_is_started)
{
        td_output output = { .name = "kept too" };
        td_tensor *tensor, *result;
        td_builder *builder;
        uint64_t pids[4];
        td_client *client;
        td_error error;
        int pipes[2], x;

        ck_assert_int_eq(pipe(pipes), 0);
        for (int i = 0; i < 4; i++) {
                if (fork() == 0) {
                        td_client *own;
                        uint64_t pid = 0;

                        if (td_connect(&own, NULL, &error) == TD_OK)
                                pid = daemon_pid(own);
                        else
                                fprintf(stderr, "%s\n", error.message);
                        _exit(write(pipes[1], &pid, sizeof(pid)) != sizeof(pid));
                }
        }
        for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(read(pipes[0], &pids[i], sizeof(pids[i])), sizeof(pids[i]));
                ck_assert_uint_eq(pids[i], pids[0]);
                ck_assert_uint_gt(pids[i], 1);
        }
        while (wait(NULL) > 0)
                ;
        OK(td_connect(&client, NULL, &error));
        ck_assert_str_eq(td_address(client), kit_socket);
        ck_assert_uint_eq(daemon_pid(client), pids[0]);
        tensor = put_constant(client, 8, "kept", N_LARGE);
        end_process((pid_t)pids[0], SIGKILL);
        builder = td_builder_new();
        x = td_builder_input(builder, tensor);
        output.value = td_builder_op(builder, TD_OP_ADD, NULL, (int[]){ x, x }, 2, NULL);
        OK(td_run(client, builder, &output, 1, &result, &error));
        ck_assert_uint_ne(daemon_pid(client), pids[0]);
        td_builder_free(builder);
        td_tensor_free(result);
        td_tensor_free(tensor);
        OK(td_delete(client, "kept", &error));
        OK(td_delete(client, "kept too", &error));
        end_process((pid_t)daemon_pid(client), SIGTERM);
        td_close(client);
}
END_TEST

START_TEST(no_daemon_where_others_write)
{
        td_options options = { .daemon_path = "/bin/false", .busy_poll_us = -1 },
                   no_start = { .no_start = true };
        char path[256];
        td_client *client;
        td_error error;

        FAILS(td_connect(&client, &no_start, &error), TD_E_NO_DAEMON);
        FAILS(td_connect(&client, &options, &error), TD_E_NO_DAEMON);
        ck_assert_ptr_nonnull(strstr(error.message, "ended"));
        snprintf(path, sizeof(path), "%s/tensord", kit_directory);
        ck_assert_int_eq(chmod(path, 0777), 0);
        FAILS(td_connect(&client, NULL, &error), TD_E_SYSTEM);
        ck_assert_ptr_nonnull(strstr(error.message, path));
        kit_clean(path);
        ck_assert_int_eq(symlink("/tmp", path), 0);
        FAILS(td_connect(&client, NULL, &error), TD_E_SYSTEM);
}
END_TEST

static TCase *case_of(Suite *suite, const char *name, void (*setup)(void))
{
        TCase *tc = tcase_create(name);

        tcase_add_checked_fixture(tc, setup, kit_teardown);
        tcase_set_timeout(tc, 60);
        suite_add_tcase(suite, tc);
        return tc;
}

int main(void)
{
        Suite *suite = suite_create("client_life");
        SRunner *runner = srunner_create(suite);
        TCase *tc = case_of(suite, "life", kit_setup);
        int n_failed;

        tcase_add_test(tc, a_child_keeps_what_it_maps);
        tcase_add_test(tc, a_child_keeps_its_private_copy);
        tcase_add_test(tc, a_child_connects);
        tcase_add_test(tc, names_survive);
        tcase_add_test(tc, a_name_that_means_another);
        tcase_add_test(tc, an_unsealed_one_is_written_again);
        tcase_add_test(tc, nobody_comes_back);
        tcase_add_test(tc, a_put_is_asked_again);
        tcase_add_test(tc, runs_are_asked_again);
        tcase_add_test(tc, what_cannot_be_known);
        tc = case_of(suite, "short", setup_small);
        tcase_add_test(tc, parked_memory_is_given_back);
        tcase_add_test(tc, memory_is_given_back_at_rest);
        tc = case_of(suite, "private", setup_private);
        tcase_add_test(tc, one_daemon_is_started);
        tcase_add_test(tc, no_daemon_where_others_write);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
