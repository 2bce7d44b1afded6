/* layer: wire */
/* SPDX-License-Identifier: MIT */
#include "wire/reply.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "tensord/infer.h"

/* The reply's bytes are exactly those of the golden frame; frees it. */
static void check_frame(struct reply *reply, const char *file)
{
        struct frame frame = frame_read(file);

        ck_assert_int_eq(reply_finish(reply), 0);
        ck_assert_uint_eq(reply->n_bytes, frame.n_bytes);
        for (size_t i = 0; i < frame.n_bytes; i++)
                ck_assert_msg(reply->bytes[i] == frame.bytes[i], "%s: byte %zu is %02x, not %02x",
                              file, i, reply->bytes[i], frame.bytes[i]);
        free(frame.bytes);
        ck_assert_ptr_null(reply_free(reply));
}

static struct reply *make(void)
{
        struct reply *reply = reply_new();

        ck_assert_ptr_nonnull(reply);
        return reply;
}

START_TEST(pong)
{
        struct reply *reply = make();

        reply_begin_result(reply, 1);
        reply_str(reply, "pong");
        check_frame(reply, "response-pong.hex");
}
END_TEST

START_TEST(errors)
{
        struct reply *reply = make();

        reply_begin_error(reply, 7, TD_E_MEMORY_LIMIT, "out", 3);
        reply_key(reply, "asked");
        reply_uint(reply, 134217728);
        reply_key(reply, "used");
        reply_uint(reply, 0);
        reply_key(reply, "limit");
        reply_uint(reply, 67108864);
        check_frame(reply, "response-error.hex");

        reply = make();
        reply_error(reply, 300, TD_E_NOT_FOUND, "no tensor \"größe\"");
        check_frame(reply, "response-error-plain.hex");
}
END_TEST

START_TEST(notifications)
{
        static const uint64_t segments[] = { 1, UINT64_C(1) << 40 };
        struct reply *reply = make();

        reply_notify_error(reply, TD_E_MALFORMED, "nested too deep");
        check_frame(reply, "push-error.hex");
        reply = make();
        reply_notify_trim(reply, segments, 2);
        check_frame(reply, "push-trim.hex");
}
END_TEST

static void put_text(struct reply *reply, char c, size_t n)
{
        char text[300];

        memset(text, c, n);
        text[n] = '\0';
        reply_str(reply, text);
}

/* Every encoding at its borders; the encoder that wrote the frame always takes the shortest. */
START_TEST(values)
{
        static const uint64_t unsigneds[] = { 0,     127,   128,        255,        256,
                                              65535, 65536, UINT32_MAX, 4294967296, UINT64_MAX };
        static const int64_t signeds[] = { -1,       -32,       -33,
                                           -128,     -129,      -32768,
                                           -32769,   INT32_MIN, INT32_MIN - INT64_C(1),
                                           INT64_MIN };
        struct reply *reply = make();
        char text[300];

        reply_begin_result(reply, 0);
        reply_array(reply, 35);
        reply_nil(reply);
        reply_bool(reply, true);
        reply_bool(reply, false);
        for (size_t i = 0; i < ARRAY_SIZE(unsigneds); i++)
                reply_uint(reply, unsigneds[i]);
        for (size_t i = 0; i < ARRAY_SIZE(signeds); i++)
                reply_int(reply, signeds[i]);
        reply_double(reply, 0.5);
        put_text(reply, 'x', 31);
        put_text(reply, 'x', 32);
        put_text(reply, 'y', 255);
        put_text(reply, 'z', 256);
        reply_bin(reply, NULL, 0);
        memset(text, 'b', sizeof(text));
        reply_bin(reply, text, 255);
        memset(text, 'c', sizeof(text));
        reply_bin(reply, text, 256);
        for (uint32_t n = 15; n <= 16; n++) {
                reply_array(reply, n);
                for (uint32_t i = 0; i < n; i++)
                        reply_int(reply, 0);
        }
        for (uint32_t n = 15; n <= 16; n++) {
                reply_map(reply, n);
                for (uint32_t i = 0; i < n; i++) {
                        snprintf(text, sizeof(text), "%u", i);
                        reply_key(reply, text);
                        reply_uint(reply, i);
                }
        }
        check_frame(reply, "response-values.hex");
}
END_TEST

START_TEST(long_values)
{
        struct reply *reply = make();
        char *text = calloc(1, 70000);
        static const uint8_t str_head[] = { 0xdb, 0x00, 0x01, 0x11, 0x6f };
        static const uint8_t bin_head[] = { 0xc6, 0x00, 0x01, 0x11, 0x70 };
        static const uint8_t array_head[] = { 0xdd, 0x00, 0x01, 0x11, 0x70 };
        static const uint8_t map_head[] = { 0xdf, 0x00, 0x01, 0x11, 0x70 };

        ck_assert_ptr_nonnull(text);
        memset(text, 'q', 69999);
        reply_str(reply, text);
        reply_bin(reply, text, 70000);
        reply_array(reply, 70000);
        reply_map(reply, 70000);
        ck_assert_int_eq(reply_finish(reply), 0);
        ck_assert_uint_eq(reply->n_bytes, 5 + 69999 + 5 + 70000 + 5 + 5);
        ck_assert_mem_eq(reply->bytes, str_head, 5);
        ck_assert_mem_eq(reply->bytes + 5, text, 69999);
        ck_assert_mem_eq(reply->bytes + 5 + 69999, bin_head, 5);
        ck_assert_mem_eq(reply->bytes + 10 + 69999 + 70000, array_head, 5);
        ck_assert_mem_eq(reply->bytes + 15 + 69999 + 70000, map_head, 5);
        free(text);
        reply_free(reply);
}
END_TEST

/* A sentence that snprintf() cut within a character must not make a str that no client decodes. */
START_TEST(cut_sentences)
{
        struct reply *reply = make();
        static const char cut[] = "gr\xc3\xb6\xc3";

        reply_error(reply, 1, TD_E_BAD_NAME, cut);
        ck_assert_int_eq(reply_finish(reply), 0);
        ck_assert_ptr_nonnull(memmem(reply->bytes, reply->n_bytes,
                                     "\xa4gr\xc3\xb6\xa4"
                                     "data",
                                     10));
        reply_free(reply);
}
END_TEST

START_TEST(failure_is_remembered)
{
        struct reply *reply = make();
        size_t n_bytes;

        reply_begin_result(reply, 1);
        ck_assert_uint_eq(reply->n_bytes, 4);
        /* no machine has so many bytes */
        reply_bin(reply, reply, SIZE_MAX / 2 + 2);
        n_bytes = reply->n_bytes;
        ck_assert_uint_le(n_bytes, 4 + 5);
        reply_nil(reply);
        reply_uint(reply, UINT32_MAX);
        reply_str(reply, "never written");
        reply_error(reply, 1, TD_E_INTERNAL, "nor this");
        ck_assert_uint_eq(reply->n_bytes, n_bytes);
        ck_assert_int_eq(reply_finish(reply), -ENOMEM);
        reply_free(reply);
}
END_TEST

static unsigned n_dropped;

static void count_drop(struct reply *reply)
{
        n_dropped += reply->n_fds;
}

START_TEST(descriptors_are_dropped_with_it)
{
        struct reply *reply = make();

        reply->n_fds = 3;
        reply->drop_fds = count_drop;
        reply_free(reply);
        ck_assert_uint_eq(n_dropped, 3);
        ck_assert_ptr_null(reply_free(NULL));
}
END_TEST

START_TEST(error_names)
{
        ck_assert_str_eq(error_name(TD_E_NOT_FOUND), "not_found");
        ck_assert_str_eq(error_name(TD_E_UNKNOWN_METHOD), "unknown_method");
        ck_assert_str_eq(error_name((enum td_error_code)999), "internal");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("reply");
        TCase *tcase = tcase_create("reply");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, pong);
        tcase_add_test(tcase, errors);
        tcase_add_test(tcase, notifications);
        tcase_add_test(tcase, values);
        tcase_add_test(tcase, long_values);
        tcase_add_test(tcase, cut_sentences);
        tcase_add_test(tcase, failure_is_remembered);
        tcase_add_test(tcase, descriptors_are_dropped_with_it);
        tcase_add_test(tcase, error_names);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
