/* layer: net */
/* SPDX-License-Identifier: MIT */
#include "net/input.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"

static int ends[2];
static struct input input;

static void setup(void)
{
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        input_init(&input);
}

static void teardown(void)
{
        input_deinit(&input);
        close(ends[0]);
        close(ends[1]);
}

static void send_all(const void *bytes, size_t n_bytes)
{
        ck_assert_int_eq(send(ends[0], bytes, n_bytes, 0), (ssize_t)n_bytes);
}

static void expect(const uint8_t *bytes, size_t n_bytes)
{
        const uint8_t *got;
        size_t n_got;

        ck_assert_int_eq(input_next(&input, &got, &n_got), 0);
        ck_assert_uint_eq(n_got, n_bytes);
        ck_assert_mem_eq(got, bytes, n_bytes);
}

static void expect_no_more(void)
{
        const uint8_t *got;
        size_t n_got;

        ck_assert_int_eq(input_next(&input, &got, &n_got), SCAN_MORE);
}

START_TEST(nothing_and_end)
{
        ck_assert_int_eq(input_receive(&input, ends[1]), INPUT_E_EMPTY);
        ck_assert(!input_is_started(&input));
        shutdown(ends[0], SHUT_WR);
        ck_assert_int_eq(input_receive(&input, ends[1]), INPUT_E_END);
}
END_TEST

START_TEST(many_at_once)
{
        static const uint8_t three[] = { 0x91, 0x01, 0x92, 0x02, 0x03, 0xc0, 0x93, 0x01 };
        static const uint8_t rest[] = { 0x02, 0x03 };
        static const uint8_t last[] = { 0x93, 0x01, 0x02, 0x03 };

        send_all(three, sizeof(three));
        ck_assert_int_eq(input_receive(&input, ends[1]), 0);
        expect(three, 2);
        expect(three + 2, 3);
        expect(three + 5, 1);
        expect_no_more();
        ck_assert(input_is_started(&input));
        input_settle(&input);
        send_all(rest, sizeof(rest));
        ck_assert_int_eq(input_receive(&input, ends[1]), 0);
        expect(last, sizeof(last));
        expect_no_more();
        ck_assert(!input_is_started(&input));
}
END_TEST

START_TEST(byte_by_byte)
{
        struct frame frame = frame_read("request-run.hex");

        for (size_t i = 0; i < frame.n_bytes; i++) {
                send_all(frame.bytes + i, 1);
                ck_assert_int_eq(input_receive(&input, ends[1]), 0);
                if (i + 1 < frame.n_bytes)
                        expect_no_more();
        }
        expect(frame.bytes, frame.n_bytes);
        free(frame.bytes);
}
END_TEST

/* The largest message fits, the buffer never becomes larger, and its memory is given back. */
START_TEST(largest_message)
{
        uint8_t *message = calloc(1, TD_MESSAGE_MAX);
        uint32_t n = TD_MESSAGE_MAX - 5;
        size_t n_sent = 0;
        const uint8_t *got;
        size_t n_got;
        int r;

        ck_assert_ptr_nonnull(message);
        message[0] = 0xc6;
        for (int i = 0; i < 4; i++)
                message[1 + i] = (uint8_t)(n >> (24 - 8 * i));
        message[TD_MESSAGE_MAX - 1] = 0x5a;
        do {
                ssize_t k = send(ends[0], message + n_sent, TD_MESSAGE_MAX - n_sent, MSG_DONTWAIT);

                n_sent += k > 0 ? (size_t)k : 0;
                ck_assert_int_eq(input_receive(&input, ends[1]), 0);
                ck_assert_uint_le(input.n_allocated, TD_MESSAGE_MAX);
                r = input_next(&input, &got, &n_got);
        } while (r == SCAN_MORE);
        ck_assert_int_eq(r, 0);
        ck_assert_uint_eq(n_got, TD_MESSAGE_MAX);
        ck_assert_mem_eq(got, message, TD_MESSAGE_MAX);
        expect_no_more();
        input_settle(&input);
        ck_assert_uint_le(input.n_allocated, 16384);
        free(message);
}
END_TEST

START_TEST(bombs)
{
        static const uint8_t bomb[] = { 0xdd, 0xff, 0xff, 0xff, 0xff };
        const uint8_t *got;
        size_t n_got;

        send_all(bomb, sizeof(bomb));
        ck_assert_int_eq(input_receive(&input, ends[1]), 0);
        ck_assert_int_eq(input_next(&input, &got, &n_got), SCAN_E_COUNT);
}
END_TEST

static unsigned count_descriptors(void)
{
        unsigned n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

START_TEST(descriptors_are_not_accepted)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .bytes = { 0 } };
        struct iovec iov = { .iov_base = (char[]){ '\xc0' }, .iov_len = 1 };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        unsigned n_before;

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &ends[0], sizeof(int));
        n_before = count_descriptors();
        ck_assert_int_eq(sendmsg(ends[0], &msg, 0), 1);
        ck_assert_int_eq(input_receive(&input, ends[1]), 0);
        expect((const uint8_t *)"\xc0", 1);
        ck_assert_uint_eq(count_descriptors(), n_before);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("input");
        TCase *tcase = tcase_create("input");
        SRunner *runner;
        int n_failed;

        tcase_add_checked_fixture(tcase, setup, teardown);
        tcase_add_test(tcase, nothing_and_end);
        tcase_add_test(tcase, many_at_once);
        tcase_add_test(tcase, byte_by_byte);
        tcase_add_test(tcase, largest_message);
        tcase_add_test(tcase, bombs);
        tcase_add_test(tcase, descriptors_are_not_accepted);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
