/* layer: client */
/* SPDX-License-Identifier: MIT */
/*
 * The client against a daemon that misbehaves: a thread that answers as each test says.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"

#define N_SEGMENT 12288

/* What the client said. */
struct said {
        uint32_t msgid;
        char method[32];
        struct reader params; /* of the one map; nothing where there is none */
        bool is_notification;
};

static char directory[64], path[128];
static int listener;
static atomic_int n_connections;
/* Answers one message on the connection; false ends it. */
static bool (*_Atomic answer)(int fd, const struct said *said);
static char heard[4096]; /* methods in their order, with a space behind each */

static void hear(const struct said *said)
{
        ck_assert_uint_lt(strlen(heard) + strlen(said->method) + 2, sizeof(heard));
        strcat(strcat(heard, said->method), " ");
}

static void send_bytes(int fd, const void *bytes, size_t n, const int *fds, unsigned n_fds)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * 4)];
        } control = { 0 };
        struct iovec iov = { (void *)(uintptr_t)bytes, n };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds) {
                header.msg_control = control.bytes;
                header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, sizeof(int) * n_fds);
        }
        ck_assert_int_eq(sendmsg(fd, &header, MSG_NOSIGNAL), (ssize_t)n);
}

/* [1, msgid, nil, result] */
static void reply_to(int fd, uint32_t msgid, const void *result, size_t n, const int *fds,
                     unsigned n_fds)
{
        uint8_t bytes[1024] = { 0x94,
                                0x01,
                                0xce,
                                (uint8_t)(msgid >> 24),
                                (uint8_t)(msgid >> 16),
                                (uint8_t)(msgid >> 8),
                                (uint8_t)msgid,
                                0xc0 };

        ck_assert_uint_le(n, sizeof(bytes) - 8);
        memcpy(bytes + 8, result, n);
        send_bytes(fd, bytes, 8 + n, fds, n_fds);
}

static void reply_hello(int fd, uint32_t msgid)
{
        static const char greeting[] = "\x83\xa7version\x01\xa3uid\x00\xac"
                                       "busy_poll_us\x32";

        reply_to(fd, msgid, greeting, sizeof(greeting) - 1, NULL, 0);
}

static struct said said_of(const uint8_t *bytes, size_t n_bytes)
{
        struct reader reader = reader_of(bytes, n_bytes);
        struct said said = { 0 };
        const char *method;
        size_t n;

        reader_array(&reader);
        said.is_notification = reader_uint(&reader) == 2;
        if (!said.is_notification)
                said.msgid = (uint32_t)reader_uint(&reader);
        method = reader_str(&reader, &n);
        snprintf(said.method, sizeof(said.method), "%.*s", (int)n, method);
        reader_array(&reader);
        ck_assert(!reader.has_failed);
        said.params = reader;
        return said;
}

static void serve(int fd)
{
        struct connection connection;
        const uint8_t *bytes;
        size_t n_bytes;

        connection_init(&connection);
        connection.fd = fd;
        connection.in = malloc(4096);
        connection.n_in_allocated = 4096;
        for (;;) {
                int r = connection_receive(&connection);

                if (r < 0)
                        break;
                if (r == 0)
                        connection_wait(&connection, POLLIN, -1);
                while ((r = connection_next(&connection, &bytes, &n_bytes)) > 0) {
                        struct said said = said_of(bytes, n_bytes);

                        if (strcmp(said.method, "hello") == 0) {
                                reply_hello(fd, said.msgid);
                                continue;
                        }
                        hear(&said);
                        if (!atomic_load(&answer)(fd, &said)) {
                                connection_deinit(&connection);
                                return;
                        }
                }
        }
        connection_deinit(&connection);
}

static void *run_server(void *arg)
{
        (void)arg;
        for (;;) {
                int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

                if (fd < 0)
                        return NULL;
                atomic_fetch_add(&n_connections, 1);
                serve(fd);
        }
}

static pthread_t server;

static void setup(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strcpy(directory, "/tmp/tensord-test-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/socket", directory);
        strcpy(address.sun_path, path);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        ck_assert_int_eq(listen(listener, 8), 0);
        ck_assert_int_eq(pthread_create(&server, NULL, run_server, NULL), 0);
}

static void teardown(void)
{
        shutdown(listener, SHUT_RDWR);
        pthread_join(server, NULL);
        close(listener);
        unlink(path);
        ck_assert_int_eq(rmdir(directory), 0);
}

static td_client *connect_here(void)
{
        td_options options = { .address = path, .busy_poll_us = -1, .timeout_ms = 1000 };
        td_client *client = NULL;
        td_error error;

        ck_assert_msg(td_connect(&client, &options, &error) == TD_OK, "%s", error.message);
        return client;
}

/* ---- what it answers ---- */

static bool complain_once(int fd, const struct said *said)
{
        static const char complaint[] = "\x93\x02\xa5"
                                        "error\x92\xa7"
                                        "timeout\xa8too late";

        if (atomic_load(&n_connections) > 1) {
                reply_to(fd, said->msgid, "\xa4pong", 5, NULL, 0);
                return true;
        }
        send_bytes(fd, complaint, sizeof(complaint) - 1, NULL, 0);
        return false;
}

START_TEST(a_complaint_is_reported)
{
        td_client *client;
        td_error error;

        answer = complain_once;
        client = connect_here();
        ck_assert_int_eq(td_ping(client, &error), TD_E_TIMEOUT);
        ck_assert_str_eq(error.message, "too late");
        ck_assert_int_eq(td_ping(client, &error), TD_OK);
        td_close(client);
        ck_assert_int_eq(atomic_load(&n_connections), 2);
}
END_TEST

static bool babble(int fd, const struct said *said)
{
        (void)said;
        send_bytes(fd, "\xc1\xc1\xc1", 3, NULL, 0);
        return true;
}

static bool hang_up(int fd, const struct said *said)
{
        (void)fd;
        (void)said;
        return false;
}

static bool promise_descriptors(int fd, const struct said *said)
{
        static const char result[] = "\x81\xa3"
                                     "fds\x91\x93\x01\xcd\x30\x00\xc2";

        reply_to(fd, said->msgid, result, sizeof(result) - 1, NULL, 0);
        return true;
}

/* A connection that breaks at each attempt is not tried for ever. */
START_TEST(broken_again_and_again)
{
        bool (*const answers[])(int, const struct said *) = { babble, hang_up,
                                                              promise_descriptors };
        td_error error;

        for (int i = 0; i < 3; i++) {
                td_client *client;

                answer = answers[i];
                atomic_store(&n_connections, 0);
                client = connect_here();
                ck_assert_int_eq(td_ping(client, &error), TD_E_CONNECTION_LOST);
                ck_assert_int_eq(atomic_load(&n_connections), 3);
                ck_assert_int_eq(td_delete(client, "x", &error), TD_E_OUTCOME_UNKNOWN);
                td_close(client);
        }
}
END_TEST

static uint32_t delayed;

/* The second run's reply first; each says its msgid, as bytes. */
static bool reverse(int fd, const struct said *said)
{
        uint8_t result[] = "\x81\xa7outputs\x91\x85\xa5"
                           "dtype\xa4"
                           "bool\xa5shape\x90\xa7strides\x90\xa6nbytes\x01\xa4"
                           "data\xc4\x01?";

        if (!delayed) {
                delayed = said->msgid;
                return true;
        }
        for (int i = 0; i < 2; i++) {
                uint32_t msgid = i ? delayed : said->msgid;

                result[sizeof(result) - 2] = (uint8_t)msgid;
                reply_to(fd, msgid, result, sizeof(result) - 1, NULL, 0);
        }
        delayed = 0;
        return true;
}

START_TEST(replies_in_any_order)
{
        struct td_type type = { .dtype = TD_BOOL };
        td_client *client;
        td_error error;
        uint8_t values[2];

        answer = reverse;
        client = connect_here();
        for (int round = 0; round < 3; round++) {
                td_pending *pending[2];
                td_tensor *tensors[2];

                for (int i = 0; i < 2; i++) {
                        td_builder *builder = td_builder_new();
                        int x = td_builder_immediate(builder, &type, "");
                        td_output output = { .value = td_builder_op(builder, TD_OP_ADD, NULL,
                                                                    (int[]){ x, x }, 2, NULL) };

                        ck_assert_int_eq(td_submit(client, builder, &output, 1, &tensors[i],
                                                   &pending[i], &error),
                                         TD_OK);
                        td_builder_free(builder);
                }
                for (int i = 0; i < 2; i++) {
                        td_mapping *mapping;

                        ck_assert_int_eq(td_wait(pending[i], &error), TD_OK);
                        ck_assert_int_eq(td_map(tensors[i], TD_MAP_READ, false, &mapping, &error),
                                         TD_OK);
                        values[i] = *(uint8_t *)td_mapping_data(mapping);
                        td_mapping_free(mapping);
                        td_tensor_free(tensors[i]);
                }
                ck_assert_uint_eq(values[1], values[0] + 1);
        }
        td_close(client);
}
END_TEST

static int memory_of(char c)
{
        int fd = memfd_create("segment", MFD_CLOEXEC);
        char bytes[N_SEGMENT];

        memset(bytes, c, sizeof(bytes));
        ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), N_SEGMENT);
        return fd;
}

static bool hands_out_anew; /* the segment, at each map */
static uint8_t n_opened;

/*
 * open and map: tensor n lies in segment n, filled with 'a' + n; ping: first ask for segments 1, 2
 * and 9 back.
 */
static bool hand_out(int fd, const struct said *said)
{
        static const char trim[] = "\x93\x02\xa4trim\x93\x01\x02\x09";
        uint8_t result[] = "\x88\xa5"
                           "dtype\xa4"
                           "bool\xa5shape\x91\xcd\x10\x00\xa7strides\x91\x01\xa6nbytes\xcd\x10\x00"
                           "\xa7segment?\xa6offset\xcd\x10\x00\xa7n_bytes\xcd\x30\x00\xa3"
                           "fds\x91\x93?\xcd\x30\x00\xc2";
        uint8_t *segment = memchr(result, '?', sizeof(result)),
                *in_fds = memchr(segment + 1, '?', 64);
        int memory;

        if (said->is_notification)
                return true;
        if (strcmp(said->method, "ping") == 0) {
                send_bytes(fd, trim, sizeof(trim) - 1, NULL, 0);
                reply_to(fd, said->msgid, "\xa4pong", 5, NULL, 0);
                return true;
        }
        if (strcmp(said->method, "open") == 0)
                n_opened++;
        *segment = *in_fds = n_opened;
        memory = memory_of((char)('a' + n_opened));
        if (strcmp(said->method, "open") == 0 || hands_out_anew)
                reply_to(fd, said->msgid, result, sizeof(result) - 1, &memory, 1);
        close(memory);
        return true;
}

/*
 * What is parked is unmapped and told, what is used is not; segments that went are asked for again.
 */
START_TEST(segments_are_asked_back)
{
        td_tensor *used, *parked, *other;
        td_mapping *mapping, *late;
        td_client *client;
        td_error error;

        answer = hand_out;
        client = connect_here();
        ck_assert_int_eq(td_open(client, "a", &used, &error), TD_OK);
        ck_assert_int_eq(td_map(used, TD_MAP_READ, true, &mapping, &error), TD_OK);
        ck_assert_int_eq(*(char *)td_mapping_data(mapping), 'b');
        ck_assert_int_eq(td_open(client, "b", &parked, &error), TD_OK);
        ck_assert_str_eq(heard, "open open ");
        ck_assert_int_eq(td_ping(client, &error), TD_OK);
        ck_assert_int_eq(td_ping(client, &error), TD_OK);
        ck_assert_int_eq(strncmp(heard, "open open ping unmap ping ", 26), 0);
        ck_assert_ptr_nonnull(mappings_find(&client->mappings, 1));
        ck_assert_ptr_null(mappings_find(&client->mappings, 2));
        ck_assert_int_eq(*(char *)td_mapping_data(mapping), 'b');

        hands_out_anew = true;
        ck_assert_int_eq(td_map(parked, TD_MAP_READ, true, &late, &error), TD_OK);
        ck_assert_int_eq(*(char *)td_mapping_data(late), 'c');
        td_mapping_free(late);
        td_tensor_free(parked);
        ck_assert_int_eq(td_open(client, "c", &other, &error), TD_OK);
        ck_assert_ptr_nonnull(strstr(heard, "map release open "));
        td_tensor_free(other);
        td_mapping_free(mapping);
        td_tensor_free(used);
        td_close(client);
}
END_TEST

static bool hand_out_and_babble(int fd, const struct said *said)
{
        if (strcmp(said->method, "run") != 0)
                return hand_out(fd, said);
        reply_to(fd, said->msgid, "\xc0", 1, NULL, 0);
        return true;
}

/* The daemon says that the run succeeded, in whatever words: what was donated is gone. */
START_TEST(donated_to_what_cannot_be_read)
{
        td_builder *builder = td_builder_new();
        td_tensor *x, *y;
        td_mapping *mapping;
        td_client *client;
        td_output output = { .value = 0 };
        td_error error;
        int value;

        answer = hand_out_and_babble;
        client = connect_here();
        ck_assert_int_eq(td_open(client, "a", &x, &error), TD_OK);
        value = td_builder_input(builder, x);
        td_builder_donate(builder, value);
        output.value = td_builder_op(builder, TD_OP_LOGICAL_NOT, NULL, &value, 1, NULL);
        ck_assert_int_eq(td_run(client, builder, &output, 1, &y, &error), TD_E_MALFORMED);
        ck_assert_int_eq(td_map(x, TD_MAP_READ, true, &mapping, &error), TD_E_GONE);
        td_builder_free(builder);
        td_tensor_free(x);
        td_close(client);
}
END_TEST

/* Small ones are told together with the next request, large ones and many at once. */
START_TEST(releases_are_told)
{
        td_client *client;
        td_tensor *tensors[RELEASES_MAX];
        td_error error;

        answer = hand_out;
        client = connect_here();
        for (unsigned i = 0; i < RELEASES_MAX; i++)
                ck_assert_int_eq(td_open(client, "a", &tensors[i], &error), TD_OK);
        ck_assert_ptr_null(strstr(heard, "release"));
        for (unsigned i = 0; i < RELEASES_MAX; i++) {
                ck_assert_uint_eq(client->n_released, i);
                td_tensor_free(tensors[i]);
        }
        ck_assert_uint_eq(client->n_released, 0);
        ck_assert_int_eq(td_open(client, "a", &tensors[0], &error), TD_OK);
        ck_assert_str_eq(heard + strlen(heard) - 18, "open release open ");
        td_tensor_free(tensors[0]);
        td_close(client);
}
END_TEST

#define N_ASKED 200000U

static uint8_t asks_much[12 + 5 * N_ASKED];
/* Threads of this program need larger stacks than they might ask for. */
static _Thread_local volatile char on_each_stack[300 * 1024];

/* A byte that says what follows, and the number. */
static uint8_t *write_u32(uint8_t *at, uint8_t kind, uint32_t value)
{
        *at++ = kind;
        for (int shift = 24; shift >= 0; shift -= 8)
                *at++ = (uint8_t)(value >> shift);
        return at;
}

/* Ask for so much back that the answer fills the socket, and do not read it. */
static bool ask_and_not_read(int fd, const struct said *said)
{
        struct pollfd end = { .fd = fd };
        uint8_t *at = asks_much + 7;

        memcpy(asks_much, "\x93\x02\xa4trim", 7);
        at = write_u32(at, 0xdd, N_ASKED);
        for (uint32_t i = 0; i < N_ASKED; i++)
                at = write_u32(at, 0xce, N_ASKED + i);
        reply_to(fd, said->msgid, "\xa4pong", 5, NULL, 0);
        send_bytes(fd, asks_much, sizeof(asks_much), NULL, 0);
        poll(&end, 1, -1);
        return false;
}

static bool is_sending(td_client *client)
{
        bool is;

        pthread_mutex_lock(&client->lock);
        is = client->has_sender;
        pthread_mutex_unlock(&client->lock);
        return is;
}

/* The thread of a client at rest waits for nothing that its end does not end. */
START_TEST(closed_while_its_thread_sends)
{
        td_client *client;
        td_error error;

        on_each_stack[0] = 1;
        answer = ask_and_not_read;
        client = connect_here();
        ck_assert_msg(td_attend(client, &error) == TD_OK, "%s", error.message);
        ck_assert_int_eq(td_ping(client, &error), TD_OK);
        while (!is_sending(client))
                poll(NULL, 0, 1);
        td_close(client);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("exchange");
        TCase *tc = tcase_create("exchange");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, a_complaint_is_reported);
        tcase_add_test(tc, broken_again_and_again);
        tcase_add_test(tc, replies_in_any_order);
        tcase_add_test(tc, segments_are_asked_back);
        tcase_add_test(tc, donated_to_what_cannot_be_read);
        tcase_add_test(tc, releases_are_told);
        tcase_add_test(tc, closed_while_its_thread_sends);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
