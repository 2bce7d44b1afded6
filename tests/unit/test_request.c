/* layer: wire */
/* SPDX-License-Identifier: MIT */
#include "wire/request.h"

#include <check.h>
#include <string.h>

#include "frames.h"
#include "random_kit.h"
#include "requests.h"

/* ---- golden frames ---- */

static void check_accepted(const struct frame *frame)
{
        struct request *request;
        int r = read_bytes(frame->bytes, frame->n_bytes, &request);

        ck_assert_msg(r == 0, "%s: %d: %s", frame->name, r, refusal.message);
        request_free(request);
}

static void check_golden_refusal(const struct frame *frame)
{
        const char *code = frame->name + strlen("refused-");
        size_t n_code = strcspn(code, "-");
        struct request *request;
        int r = read_bytes(frame->bytes, frame->n_bytes, &request);

        ck_assert_msg(r == REQUEST_E_REFUSED, "%s: %d", frame->name, r);
        ck_assert_ptr_nonnull(request);
        ck_assert_msg(td_is_name(error_name(refusal.code), code, n_code), "%s: %s: %s", frame->name,
                      error_name(refusal.code), refusal.message);
        ck_assert(request->is_notification || request->msgid == 99);
        ck_assert_uint_gt(strlen(refusal.message), 10);
        request_free(request);
}

static void check_malformed(const struct frame *frame)
{
        struct request *request;
        struct scan scan;
        int r;

        scan_init(&scan);
        r = scan_run(&scan, frame->bytes, frame->n_bytes);
        if (r == 0) {
                ck_assert_int_eq(
                        request_read(&request, frame->bytes, frame->n_bytes, NULL, &refusal),
                        REQUEST_E_MALFORMED);
                ck_assert_ptr_null(request);
                ck_assert_int_eq(refusal.code, TD_E_MALFORMED);
        } else {
                ck_assert_msg(r != SCAN_MORE, "%s is not complete", frame->name);
        }
}

START_TEST(golden_frames)
{
        ck_assert_uint_ge(frames_each("request-", check_accepted), 20);
        ck_assert_uint_ge(frames_each("notification-", check_accepted), 2);
        ck_assert_uint_ge(frames_each("refused-", check_golden_refusal), 20);
        ck_assert_uint_ge(frames_each("malformed-", check_malformed), 8);
}
END_TEST

START_TEST(small_methods)
{
        struct request *request = accepted("request-hello.hex");

        ck_assert_int_eq(request->method, METHOD_HELLO);
        ck_assert_int_eq(request->version, 1);
        ck_assert_str_eq(request->client, "golden");
        request_free(request);

        request = accepted("request-ping.hex");
        ck_assert_int_eq(request->method, METHOD_PING);
        ck_assert_uint_eq(request->msgid, 1);
        request_free(request);

        request = accepted("request-list.hex");
        ck_assert_str_eq(request->prefix, "run/");
        ck_assert_str_eq(request->after, "run/0999");
        ck_assert_uint_eq(request->limit, 1000);
        ck_assert(!request->lost);
        request_free(request);
        request = accepted("request-list-lost.hex");
        ck_assert(request->lost);
        request_free(request);

        request = accepted("request-release.hex");
        ck_assert_uint_eq(request->msgid, UINT32_MAX);
        ck_assert_uint_eq(request->n_ids, 2);
        ck_assert_uint_eq(request->ids[1], 10);
        request_free(request);

        request = accepted("notification-unmap.hex");
        ck_assert(request->is_notification);
        ck_assert_int_eq(request->method, METHOD_UNMAP);
        ck_assert_uint_eq(request->n_ids, 1);
        ck_assert_uint_eq(request->ids[0], 5);
        request_free(request);
}
END_TEST

START_TEST(references_and_results)
{
        struct request *request = accepted("request-open-name.hex");

        ck_assert_int_eq(request->ref.kind, REF_NAME);
        ck_assert_str_eq(request->ref.name, "größe/2");
        ck_assert_uint_eq(request->handle, 9);
        ck_assert_ptr_null(request->name);
        ck_assert(request->map);
        request_free(request);

        request = accepted("request-open-id.hex");
        ck_assert_int_eq(request->ref.kind, REF_ID);
        for (unsigned i = 0; i < 16; i++)
                ck_assert_uint_eq(request->ref.id[i], 0xf0 + i);
        request_free(request);

        request = accepted("request-replace.hex");
        ck_assert_int_eq(request->ref.kind, REF_HANDLE);
        ck_assert_uint_eq(request->ref.handle, 8);
        ck_assert_uint_eq(request->handle, 0);
        ck_assert_str_eq(request->name, "empty");
        ck_assert(request->has_op_id && !request->is_retry);
        request_free(request);

        request = accepted("request-delete.hex");
        ck_assert_int_eq(request->ref.kind, REF_NONE);
        ck_assert_str_eq(request->name, "empty");
        request_free(request);

        request = accepted("request-stat.hex");
        ck_assert_int_eq(request->ref.kind, REF_NONE);
        request_free(request);
        request = accepted("request-stat-handle.hex");
        ck_assert_int_eq(request->ref.kind, REF_HANDLE);
        ck_assert_str_eq(request->prefix, "");
        ck_assert_uint_eq(request->limit, TD_LIST_MAX);
        request_free(request);
}
END_TEST

START_TEST(tensors)
{
        struct request *request = accepted("request-create.hex");
        static const int64_t pair[] = { 1, -2 };

        ck_assert_uint_eq(request->handle, 7);
        ck_assert_uint_eq(request->type.dtype, TD_FLOAT32);
        ck_assert_uint_eq(request->type.ndim, 2);
        ck_assert_int_eq(request->type.shape[0], 2);
        ck_assert_int_eq(request->type.shape[1], 3);
        ck_assert(request->has_order && request->order[0] == 1);
        ck_assert(request->replace && request->has_op_id &&
                  request->is_retry);
        ck_assert_str_eq(request->name, "grid");
        ck_assert_uint_eq(request->op_id[15], 15);
        ck_assert_uint_eq(request->retry_ms, 250);
        request_free(request);

        request = accepted("request-create-evictable.hex");
        ck_assert(request->evictable && !request->mutable);
        ck_assert_str_eq(request->name, "cache/1");
        request_free(request);

        request = accepted("request-create-scalar.hex");
        ck_assert_uint_eq(request->handle, UINT64_MAX);
        ck_assert_uint_eq(request->type.ndim, 0);
        request_free(request);

        request = accepted("request-put.hex");
        ck_assert_uint_eq(request->n_data, sizeof(pair));
        ck_assert_mem_eq(request->data, pair, sizeof(pair));
        ck_assert_uint_eq((uintptr_t)request->data % 8, 0);
        request_free(request);

        request = accepted("request-put-empty.hex");
        ck_assert_uint_eq(request->n_data, 0);
        request_free(request);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refusals_name_key_and_method)
{
        const char long_key[UINT8_MAX + 1 + 4] = "name";
        struct reply *w = begin("delete");

        reply_map(w, 2);
        reply_key(w, "name");
        reply_str(w, "a");
        reply_key(w, "co\x01lour");
        reply_nil(w);
        check_refused(w, TD_E_BAD_ARGUMENTS, "delete: there is no key \"co\\x01lour\" here");

        /* "name", were its length taken for that of a byte */
        w = begin("delete");
        reply_map(w, 1);
        reply_text(w, long_key, sizeof(long_key));
        reply_str(w, "a");
        check_refused(w, TD_E_BAD_ARGUMENTS, "delete: there is no key \"name");

        w = begin("delete");
        reply_map(w, 1);
        reply_key(w, "name");
        reply_uint(w, 5);
        check_refused(w, TD_E_BAD_ARGUMENTS, "delete: name is a str, not an integer");

        w = begin("delete");
        reply_map(w, 1);
        reply_uint(w, 5);
        reply_uint(w, 5);
        check_refused(w, TD_E_BAD_ARGUMENTS, "a key is a str");

        w = begin("no\xffsuch");
        reply_map(w, 0);
        check_refused(w, TD_E_UNKNOWN_METHOD, "no\\xffsuch");
}
END_TEST

START_TEST(params_that_are_no_map)
{
        struct reply *w = begin("ping");

        reply_uint(w, 1);
        check_refused(w, TD_E_BAD_ARGUMENTS, "map");

        w = reply_new();
        reply_array(w, 4);
        reply_uint(w, 0);
        reply_uint(w, 42);
        reply_str(w, "ping");
        reply_map(w, 0);
        check_refused(w, TD_E_BAD_ARGUMENTS, "params");

        w = reply_new();
        reply_array(w, 4);
        reply_uint(w, 0);
        reply_uint(w, 42);
        reply_str(w, "ping");
        reply_array(w, 2);
        reply_map(w, 0);
        reply_map(w, 0);
        check_refused(w, TD_E_BAD_ARGUMENTS, "params");
}
END_TEST

static void check_name(const char *bytes, size_t n_bytes, bool is_good)
{
        struct reply *w = begin("delete");
        struct request *request;

        reply_map(w, 1);
        reply_key(w, "name");
        /* a str with any bytes in it: the head, then raw bytes as bin would have them */
        ck_assert_uint_lt(n_bytes, 32);
        {
                char text[40];

                memset(text, 'x', n_bytes);
                text[n_bytes] = '\0';
                reply_str(w, text);
                memcpy(w->bytes + w->n_bytes - n_bytes, bytes, n_bytes);
        }
        if (is_good) {
                ck_assert_int_eq(finish(w, &request), 0);
                ck_assert_uint_eq(strlen(request->name), n_bytes);
                ck_assert_mem_eq(request->name, bytes, n_bytes);
                request_free(request);
        } else {
                check_refused(w, TD_E_BAD_NAME, "name");
        }
}

START_TEST(names)
{
        check_name("a/b c", 5, true);
        check_name("\xf0\x9f\x98\x80", 4, true); /* U+1F600 */
        check_name("\xed\x9f\xbf", 3, true);     /* the last before the surrogates */
        check_name("\xf4\x8f\xbf\xbf", 4, true); /* U+10FFFF */
        check_name("a\0b", 3, false);
        check_name("a\x7f", 2, false);
        check_name("\xc2\x85", 2, false); /* a C1 control */
        check_name("\xc2\xa0", 2, true);
        check_name("\xff", 1, false);
        check_name("\x80", 1, false);     /* a tail without a head */
        check_name("\xc3", 1, false);     /* a head without a tail */
        check_name("\xc0\xaf", 2, false); /* longer than need be */
        check_name("\xe0\x9f\xbf", 3, false);
        check_name("\xf0\x8f\xbf\xbf", 4, false);
        check_name("\xed\xa0\x80", 3, false);     /* a surrogate */
        check_name("\xf4\x90\x80\x80", 4, false); /* beyond Unicode */
        check_name("\xe2\x82", 2, false);
}
END_TEST

START_TEST(dtypes_are_listed)
{
        struct reply *w = begin("create");

        reply_map(w, 3);
        reply_key(w, "handle");
        reply_uint(w, 1);
        reply_key(w, "dtype");
        reply_str(w, "float16");
        reply_key(w, "shape");
        reply_array(w, 0);
        check_refused(w, TD_E_UNSUPPORTED_DTYPE, "float16");
        ck_assert_ptr_nonnull(strstr(refusal.message, "bool int64 float32 float64"));
}
END_TEST

static struct reply *begin_shape(uint32_t n)
{
        struct reply *w = begin("create");

        reply_map(w, 3);
        reply_key(w, "handle");
        reply_uint(w, 1);
        reply_key(w, "dtype");
        reply_str(w, "float64");
        reply_key(w, "shape");
        reply_array(w, n);
        return w;
}

START_TEST(shapes)
{
        struct reply *w = begin_shape(2);
        struct request *request;

        reply_int(w, 3);
        reply_int(w, -1);
        check_refused(w, TD_E_BAD_SHAPE, "(3, -1)");

        w = begin_shape(1);
        reply_uint(w, UINT64_MAX);
        check_refused(w, TD_E_BAD_ARGUMENTS, "18446744073709551615");

        w = begin_shape(1);
        reply_double(w, 3.0);
        check_refused(w, TD_E_BAD_ARGUMENTS, "shape is an integer, not a float");

        w = begin_shape(17);
        for (int i = 0; i < 17; i++)
                reply_int(w, 1);
        check_refused(w, TD_E_RANK_LIMIT, "17");

        w = begin_shape(2);
        reply_int(w, INT64_C(1) << 40);
        reply_int(w, INT64_C(1) << 40);
        check_refused(w, TD_E_BAD_SHAPE, "(1099511627776, 1099511627776)");

        w = begin_shape(16);
        for (int i = 0; i < 16; i++)
                reply_int(w, 1);
        ck_assert_int_eq(finish(w, &request), 0);
        ck_assert_uint_eq(request->type.ndim, 16);
        request_free(request);
}
END_TEST

/* Damaged frames: whatever comes of them, it is an answer, and no memory of ours is touched
 * (sanitizers look on). */
static void damage(const struct frame *frame)
{
        for (int round = 0; round < 400; round++) {
                uint8_t *bytes = malloc(frame->n_bytes);
                struct request *request = NULL;
                struct scan scan;
                int r;

                ck_assert_ptr_nonnull(bytes);
                memcpy(bytes, frame->bytes, frame->n_bytes);
                for (int i = 0; i < 1 + round % 3; i++) {
                        uint64_t word = kit_random();

                        bytes[word % frame->n_bytes] = (uint8_t)(word >> 32);
                }
                scan_init(&scan);
                if (scan_run(&scan, bytes, frame->n_bytes) == 0) {
                        r = request_read(&request, bytes, scan.n_seen, NULL, &refusal);
                        ck_assert(r == 0 || r == REQUEST_E_MALFORMED || r == REQUEST_E_REFUSED);
                        ck_assert((r == REQUEST_E_MALFORMED) == (request == NULL));
                        request_free(request);
                }
                free(bytes);
        }
}

START_TEST(damaged_frames)
{
        ck_assert_uint_ge(frames_each("request-", damage), 20);
}
END_TEST

START_TEST(method_names)
{
        ck_assert_str_eq(method_name(METHOD_HELLO), "hello");
        ck_assert_str_eq(method_name(METHOD_RUN), "run");
        ck_assert_str_eq(method_name(N_METHODS), "no method");
}
END_TEST

/* What release, unmap and their like may name in one message. */
START_TEST(ids)
{
        static const char head[] = "\x94\x00\x07\xa7release\x91\x81\xa7handles\xdd";
        static uint8_t bytes[sizeof(head) + 3 + REQUEST_IDS_MAX + 1];
        struct request *request;

        for (size_t n = REQUEST_IDS_MAX; n <= REQUEST_IDS_MAX + 1; n++) {
                const size_t n_head = sizeof(head) - 1;
                int r;

                memcpy(bytes, head, n_head);
                for (unsigned i = 0; i < 4; i++)
                        bytes[n_head + i] = (uint8_t)(n >> (24 - 8 * i));
                memset(bytes + n_head + 4, 1, n);
                r = read_bytes(bytes, n_head + 4 + n, &request);
                ck_assert_int_eq(r, n > REQUEST_IDS_MAX ? REQUEST_E_REFUSED : 0);
                if (r) {
                        ck_assert_int_eq(refusal.code, TD_E_BAD_ARGUMENTS);
                        ck_assert_str_eq(refusal.message, "release: handles has 4097 elements, at "
                                                          "most 4096 are allowed");
                }
                request_free(request);
        }
}
END_TEST

/* Read a message of n_values values, all but a few of them in arrays of 1024 in its parameters. */
static int read_dense(const char *head, size_t n_head, unsigned n_values, struct request **requestp)
{
        static uint8_t bytes[TD_MESSAGE_MAX];
        unsigned n_left = n_values - 4, n = 0;
        uint8_t *p = bytes + n_head, *count;

        memcpy(bytes, head, n_head);
        *p++ = 0xdc;
        count = p;
        for (p += 2; n_left > 0; n++) {
                unsigned n_here = n_left < 1025 ? n_left - 1 : 1024;

                *p++ = 0xdc;
                *p++ = (uint8_t)(n_here >> 8);
                *p++ = (uint8_t)n_here;
                memset(p, 1, n_here);
                p += n_here;
                n_left -= n_here + 1;
        }
        count[0] = (uint8_t)(n >> 8);
        count[1] = (uint8_t)n;
        return read_bytes(bytes, (size_t)(p - bytes), requestp);
}

/* Refused before they are decoded, and answered all the same. */
START_TEST(dense_messages)
{
        struct request *request;

        /* array, type, method, params: 4 values; a msgid is the fifth */
        ck_assert_int_eq(read_dense("\x93\x02\xa4ping", 7, REQUEST_VALUES_MAX, &request),
                         REQUEST_E_REFUSED);
        ck_assert_int_eq(refusal.code, TD_E_BAD_ARGUMENTS);
        request_free(request);
        ck_assert_int_eq(read_dense("\x93\x02\xa4ping", 7, REQUEST_VALUES_MAX + 1, &request),
                         REQUEST_E_REFUSED);
        ck_assert_int_eq(refusal.code, TD_E_TOO_MANY);
        ck_assert_str_eq(refusal.message, "the message has more than 131072 values, the limit");
        ck_assert(request->is_notification);
        request_free(request);

        ck_assert_int_eq(read_dense("\x94\x00\x07\xa4ping", 8, REQUEST_VALUES_MAX, &request),
                         REQUEST_E_REFUSED);
        ck_assert_int_eq(refusal.code, TD_E_TOO_MANY);
        ck_assert_uint_eq(request->msgid, 7);
        request_free(request);

        ck_assert_int_eq(read_dense("\x94\x00\x90\xa4ping", 8, REQUEST_VALUES_MAX, &request),
                         REQUEST_E_MALFORMED);
        ck_assert_int_eq(read_dense("\x93\x05\xa4ping", 7, REQUEST_VALUES_MAX + 1, &request),
                         REQUEST_E_MALFORMED);
        ck_assert_int_eq(refusal.code, TD_E_MALFORMED);
        /* no envelope to be found */
        ck_assert_int_eq(read_dense("\x93\x91\x02\xa4ping", 8, REQUEST_VALUES_MAX + 1, &request),
                         REQUEST_E_MALFORMED);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("request");
        TCase *tcase = tcase_create("request");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, golden_frames);
        tcase_add_test(tcase, small_methods);
        tcase_add_test(tcase, references_and_results);
        tcase_add_test(tcase, tensors);
        tcase_add_test(tcase, refusals_name_key_and_method);
        tcase_add_test(tcase, params_that_are_no_map);
        tcase_add_test(tcase, names);
        tcase_add_test(tcase, dtypes_are_listed);
        tcase_add_test(tcase, shapes);
        tcase_add_test(tcase, damaged_frames);
        tcase_add_test(tcase, method_names);
        tcase_add_test(tcase, ids);
        tcase_add_test(tcase, dense_messages);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
