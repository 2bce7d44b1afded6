/* layer: client */
/* SPDX-License-Identifier: MIT */
#define frame golden_frame /* frames.h and codec.h both have a struct of that name */
#define frame_read golden_read
#include "frames.h"
#undef frame
#undef frame_read

#include <math.h>

#include "codec.h"

static void check_golden(const struct frame *frame, const char *file)
{
        struct golden_frame golden = golden_read(file);

        ck_assert(!frame->has_failed);
        ck_assert_uint_eq(frame->n_bytes, golden.n_bytes);
        ck_assert_mem_eq(frame->bytes, golden.bytes, golden.n_bytes);
        free(golden.bytes);
}

static const uint8_t op_id[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const uint8_t id[16] = { 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
                                0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff };

static void check_ask(uint32_t msgid, const struct ask *ask, const char *file)
{
        struct frame frame;

        frame_init(&frame);
        frame_ask(&frame, msgid, ask);
        check_golden(&frame, file);
        frame_deinit(&frame);
}

START_TEST(requests_are_golden)
{
        const int64_t pair[] = { 1, -2 };

        check_ask(1, &(struct ask){ .method = METHOD_PING, .retry_ms = -1 }, "request-ping.hex");
        check_ask(0,
                  &(struct ask){ .method = METHOD_HELLO,
                                 .says_version = true,
                                 .client = "golden",
                                 .retry_ms = -1 },
                  "request-hello.hex");
        check_ask(6,
                  &(struct ask){ .method = METHOD_PUT,
                                 .type = &(struct td_type){ TD_INT64, 1, { 2 } },
                                 .data = pair,
                                 .n_data = 16,
                                 .name = "pair",
                                 .retry_ms = -1 },
                  "request-put.hex");
        check_ask(7,
                  &(struct ask){ .method = METHOD_PUT,
                                 .type = &(struct td_type){ TD_FLOAT64, 2, { 0, 5 } },
                                 .data = "",
                                 .handle = 8,
                                 .retry_ms = -1 },
                  "request-put-empty.hex");
        check_ask(3,
                  &(struct ask){ .method = METHOD_CREATE,
                                 .type = &(struct td_type){ TD_FLOAT32, 2, { 2, 3 } },
                                 .order = (uint8_t[]){ 1, 0 },
                                 .handle = 7,
                                 .name = "grid",
                                 .replace = true,
                                 .op_id = op_id,
                                 .retry_ms = 250 },
                  "request-create.hex");
        check_ask(4,
                  &(struct ask){ .method = METHOD_CREATE,
                                 .type = &(struct td_type){ TD_BOOL, 0, { 0 } },
                                 .handle = UINT64_MAX,
                                 .retry_ms = -1 },
                  "request-create-scalar.hex");
        check_ask(9, &(struct ask){ .method = METHOD_OPEN, .id = id, .handle = 10, .retry_ms = -1 },
                  "request-open-id.hex");
        check_ask(15,
                  &(struct ask){ .method = METHOD_LIST,
                                 .prefix = "run/",
                                 .after = "run/0999",
                                 .limit = 1000,
                                 .retry_ms = -1 },
                  "request-list.hex");
        check_ask(15,
                  &(struct ask){ .method = METHOD_LIST,
                                 .prefix = "run/",
                                 .after = "run/0999",
                                 .limit = 1000,
                                 .lost = true,
                                 .retry_ms = -1 },
                  "request-list-lost.hex");
        check_ask(14, &(struct ask){ .method = METHOD_DELETE, .name = "empty", .retry_ms = -1 },
                  "request-delete.hex");
}
END_TEST

START_TEST(notifications_are_golden)
{
        const uint64_t handles[] = { 1, 2 }, segment = 5, numbers[] = { 3, UINT64_C(1) << 40 };
        static const uint64_t many[FRAME_IDS_MAX + 1];
        struct frame frame;
        size_t n_bytes;

        frame_init(&frame);
        frame_release(&frame, handles, 2);
        check_golden(&frame, "notification-release.hex");
        frame_truncate(&frame, 0);
        frame_unmap(&frame, &segment, 1);
        check_golden(&frame, "notification-unmap.hex");
        frame_truncate(&frame, 0);
        frame_undefine(&frame, numbers, 2);
        check_golden(&frame, "notification-undefine.hex");
        /* More than a message may have are told in two. */
        frame_truncate(&frame, 0);
        frame_release(&frame, many, 1);
        frame_release(&frame, many, FRAME_IDS_MAX);
        n_bytes = frame.n_bytes;
        frame_truncate(&frame, 0);
        frame_release(&frame, many, FRAME_IDS_MAX + 1);
        ck_assert_uint_eq(frame.n_bytes, n_bytes);
        frame_deinit(&frame);
}
END_TEST

/* Nodes do not depend on the connection: they stand in the golden frame as they are. */
static void check_nodes(struct td_node *nodes, uint32_t n_nodes, const char *file)
{
        struct golden_frame golden = golden_read(file);
        struct td_block block = { .n_nodes = n_nodes, .nodes = nodes };
        struct frame frame;

        frame_init(&frame);
        frame_nodes(&frame, &block);
        ck_assert(!frame.has_failed);
        ck_assert_ptr_nonnull(memmem(golden.bytes, golden.n_bytes, frame.bytes, frame.n_bytes));
        ck_assert_uint_gt(frame.n_bytes, 20);
        frame_deinit(&frame);
        free(golden.bytes);
}

START_TEST(nodes_are_golden)
{
        struct td_node nodes[] = {
                { .op = TD_OP_MULTIPLY, .n_args = 2, .args = (uint32_t[]){ 0, 3 } },
                { .op = TD_OP_SUM,
                  .n_args = 1,
                  .args = (uint32_t[]){ 4 },
                  .attrs = { .set = TD_ATTR_AXES | TD_ATTR_KEEPDIMS,
                             .n_axes = 1,
                             .axes = { -1 },
                             .keepdims = true } },
                { .op = TD_OP_FULL,
                  .attrs = { .set = TD_ATTR_SHAPE | TD_ATTR_DTYPE | TD_ATTR_VALUE,
                             .n_shape = 2,
                             .shape = { 2, 2 },
                             .dtype = TD_FLOAT64,
                             .value = { .kind = TD_KIND_FLOAT, .d = 0.5 } } },
                { .op = TD_OP_SLICE,
                  .n_args = 1,
                  .args = (uint32_t[]){ 6 },
                  .attrs = { .set = TD_ATTR_START | TD_ATTR_SHAPE | TD_ATTR_STEP,
                             .n_start = 2,
                             .start = { 0, 1 },
                             .n_shape = 2,
                             .shape = { 2, 1 },
                             .n_step = 2,
                             .step = { 1, -1 } } },
                { .op = TD_OP_ARANGE,
                  .attrs = { .set = TD_ATTR_RANGE | TD_ATTR_DTYPE,
                             .dtype = TD_INT64,
                             .range = { { .i = 0 }, { .i = 10 }, { .i = 2 } } } },
        };

        check_nodes(nodes, 5, "request-run.hex");
}
END_TEST

START_TEST(loops_are_golden)
{
        struct td_node body = { .op = TD_OP_MATMUL, .n_args = 2, .args = (uint32_t[]){ 0, 2 } };
        struct td_loop loop = {
                .n_steps = 300,
                .n_captures = 1,
                .body = { .n_inputs = 3, .n_nodes = 1, .nodes = &body },
                .n_results = 1,
                .results = (uint32_t[]){ 3 },
                .n_watch = 1,
                .watch = (uint32_t[]){ 3 },
                .n_at = 4,
                .at = (int64_t[]){ 1, 10, 50, 300 },
        };
        struct td_node node = { .op = TD_OP_LOOP,
                                .n_args = 2,
                                .args = (uint32_t[]){ 0, 1 },
                                .attrs = { .set = TD_ATTR_LOOP },
                                .loop = &loop };

        check_nodes(&node, 1, "request-run-loop.hex");
}
END_TEST

START_TEST(definitions_are_golden)
{
        struct td_node nodes[] = {
                { .op = TD_OP_MULTIPLY, .n_args = 2, .args = (uint32_t[]){ 0, 0 } },
                { .op = TD_OP_SUM, .n_args = 1, .args = (uint32_t[]){ 2 } },
        };
        struct td_type types[] = { { TD_FLOAT64, 1, { 4 } }, { TD_INT64, 0, { 0 } } };
        struct definition definition = { .n_inputs = 2,
                                         .n_values = 2,
                                         .types = types,
                                         .values = (uint32_t[]){ 3, 1 } };
        const int64_t seven = 7;
        struct frame frame;

        frame_init(&definition.nodes);
        frame_nodes(&definition.nodes, &(struct td_block){ .n_nodes = 2, .nodes = nodes });
        frame_init(&frame);
        frame_define(&frame, 20, 3, &definition);
        check_golden(&frame, "request-define.hex");
        frame_truncate(&frame, 0);
        frame_run_begin(&frame, 21, 3, 3, 2);
        frame_run_handle(&frame, 9, NULL, false);
        frame_run_immediate(&frame, &types[1], NULL, &seven, 8);
        frame_run_nodes(&frame, NULL, 2);
        frame_run_output(&frame, -1, 0, NULL, 0, false);
        frame_run_output(&frame, -1, 22, "n", TD_REPLACE, false);
        frame_run_end(&frame, op_id, -1, 1000, 2, 0, 0);
        check_golden(&frame, "request-call.hex");
        frame_deinit(&frame);
        frame_deinit(&definition.nodes);
}
END_TEST

START_TEST(run_is_put_together)
{
        const struct view view = { .type = { TD_FLOAT64, 1, { 3 } },
                                   .strides = { -8 },
                                   .offset = 16 };
        const double two = 2;
        struct frame nodes, frame;
        struct reader reader;
        size_t n;

        frame_init(&nodes);
        frame_nodes(&nodes, &(struct td_block){ .n_nodes = 0 });
        frame_init(&frame);
        frame_run_begin(&frame, 18, 0, 2, 3);
        frame_run_handle(&frame, 9, NULL, false);
        frame_run_handle(&frame, 10, &view, false);
        frame_run_immediate(&frame, &(struct td_type){ TD_FLOAT64, 0, { 0 } }, NULL, &two, 8);
        frame_run_nodes(&frame, &nodes, 2);
        frame_run_output(&frame, 1, 0, NULL, 0, false);
        frame_run_output(&frame, 2, 21, "steps", TD_REPLACE, true);
        frame_run_end(&frame, op_id, 77, -1, 0, 0, 0);
        ck_assert(!frame.has_failed);

        reader = reader_of(frame.bytes, frame.n_bytes);
        ck_assert_uint_eq(reader_array(&reader), 4);
        ck_assert_uint_eq(reader_uint(&reader), 0);
        ck_assert_uint_eq(reader_uint(&reader), 18);
        reader_str(&reader, &n);
        ck_assert_uint_eq(reader_array(&reader), 1);
        ck_assert_uint_eq(reader_map(&reader), 5);
        reader_str(&reader, &n);
        ck_assert_uint_eq(reader_array(&reader), 3);
        ck_assert_uint_eq(reader_map(&reader), 1);
        reader_skip(&reader);
        ck_assert_uint_eq(reader_uint(&reader), 9);
        ck_assert_uint_eq(reader_map(&reader), 2);
        for (int i = 0; i < 4; i++)
                reader_skip(&reader);
        ck_assert_uint_eq(reader_map(&reader), 3);
        for (int i = 0; i < 6; i++)
                reader_skip(&reader);
        for (int i = 0; i < 8; i++)
                reader_skip(&reader); /* nodes, outputs, op_id, retry_ms */
        ck_assert(!reader.has_failed);
        ck_assert_ptr_eq(reader.at, reader.end);
        frame_deinit(&frame);
        frame_deinit(&nodes);
}
END_TEST

/* ---- reading ---- */

static void scan_one(const struct golden_frame *golden)
{
        struct scan scan, slow;

        scan_init(&scan);
        ck_assert_int_eq(scan_run(&scan, golden->bytes, golden->n_bytes), 0);
        ck_assert_uint_eq(scan.n_seen, golden->n_bytes);
        scan_init(&slow);
        for (size_t n = 0; n < golden->n_bytes; n++)
                ck_assert_int_eq(scan_run(&slow, golden->bytes, n), SCAN_MORE);
        ck_assert_int_eq(scan_run(&slow, golden->bytes, golden->n_bytes), 0);
}

START_TEST(every_frame_is_scanned)
{
        ck_assert_uint_gt(frames_each("request-", scan_one), 10);
        ck_assert_uint_gt(frames_each("response-", scan_one), 3);
        ck_assert_uint_gt(frames_each("push-", scan_one), 1);
}
END_TEST

START_TEST(no_message_is_no_message)
{
        static const uint8_t bomb[] = { 0xdd, 0xff, 0xff, 0xff, 0xff }, never[] = { 0xc1 },
                             ext[] = { 0x91, 0xd4, 1, 0 };
        static const uint8_t map[] = { 0xdf, 0xff, 0xff, 0xff, 0xff },
                             large[] = { 0xc6, 0x00, 0x20, 0x00, 0x00 };
        const struct {
                const uint8_t *bytes;
                size_t n;
        } bad[] = {
                { bomb, sizeof(bomb) }, { never, sizeof(never) }, { ext, sizeof(ext) },
                { map, sizeof(map) },   { large, sizeof(large) },
        };
        struct scan scan;
        struct message message;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                scan_init(&scan);
                ck_assert_int_eq(scan_run(&scan, bad[i].bytes, bad[i].n), SCAN_BAD);
        }
        ck_assert(!message_read(&message, (const uint8_t *)"\xc0", 1));
        ck_assert(!message_read(&message, (const uint8_t *)"\x94\x00\x01\xc0\xc0", 5));
        ck_assert(!message_read(&message, (const uint8_t *)"\x93\x01\x01\xc0", 4));
}
END_TEST

static struct reader result_of(const struct golden_frame *golden)
{
        struct message message;
        td_error error;

        ck_assert(message_read(&message, golden->bytes, golden->n_bytes));
        ck_assert(!message.is_notification);
        ck_assert_int_eq(read_error(&message.body, &error), TD_OK);
        return message.body;
}

START_TEST(a_reply_with_descriptors)
{
        struct golden_frame golden = golden_read("response-fds.hex");
        struct reader result = result_of(&golden);
        struct handed handed[TD_FDS_MAX];
        struct description d;

        ck_assert_int_eq(read_handed(result, handed), 1);
        ck_assert_uint_eq(handed[0].segment, 1);
        ck_assert_uint_eq(handed[0].n_bytes, 0x3000);
        ck_assert(handed[0].is_writable);
        ck_assert(read_description(&result, &d));
        ck_assert_int_eq(d.type.dtype, TD_FLOAT64);
        ck_assert_int_eq(d.type.ndim, 2);
        ck_assert_int_eq(d.type.shape[0], 512);
        ck_assert_int_eq(d.strides[1], 8);
        ck_assert_uint_eq(d.n_bytes, 0x2000);
        ck_assert(d.has_id && memcmp(d.id, id, 16) == 0);
        ck_assert(d.is_unsealed && d.has_segment && d.is_writable);
        ck_assert_uint_eq(d.segment, 1);
        ck_assert_uint_eq(d.offset, 0x1000);
        ck_assert_uint_eq(d.map_bytes, 0x3000);
        ck_assert_ptr_eq(result.at, result.end);
        free(golden.bytes);
}
END_TEST

START_TEST(a_description_cut_short_or_bent_is_refused)
{
        struct golden_frame golden = golden_read("response-fds.hex");
        struct reader whole = result_of(&golden);
        size_t n_whole = (size_t)(whole.end - whole.at);
        struct description d;

        for (size_t n = 0; n < n_whole; n++) {
                uint8_t *piece = malloc(n ? n : 1);
                struct reader reader;

                memcpy(piece, whole.at, n);
                reader = reader_of(piece, n);
                ck_assert_msg(!read_description(&reader, &d), "%zu of %zu bytes", n, n_whole);
                free(piece);
        }
        /* an offset beyond the end, a size that is none of the shape */
        for (const char *key = "offset"; key; key = strcmp(key, "offset") == 0 ? "nbytes" : NULL) {
                uint8_t *at = memmem(golden.bytes, golden.n_bytes, key, strlen(key));
                struct reader reader;
                uint8_t before;

                ck_assert_ptr_nonnull(at);
                at += strlen(key) + 1;
                before = *at;
                *at = 0x7f;
                reader = result_of(&golden);
                ck_assert(!read_description(&reader, &d));
                *at = before;
        }
        free(golden.bytes);
}
END_TEST

/* A row with such a text, or what else, under "lost". */
#define ROW(lost)                                                                             \
        "\x85\xa4name\xa1n\xa4lost" lost "\xa5\x64type\xa7\x66loat64\xa5shape\x91\x02\xa6nbytes\x10"

START_TEST(a_row_of_what_is_lost)
{
        static const char row[] = ROW("\xac\x66ile_damaged"), bad[] = ROW("\x01");
        struct reader reader = reader_of((const uint8_t *)row, sizeof(row) - 1);
        struct description d;

        ck_assert(read_row(&reader, &d));
        ck_assert_uint_eq(d.n_lost, 12);
        ck_assert(memcmp(d.lost, "file_damaged", 12) == 0 && memcmp(d.name, "n", 1) == 0);
        ck_assert_int_eq(d.type.dtype, TD_FLOAT64);
        ck_assert_int_eq(d.type.shape[0], 2);
        ck_assert_uint_eq(d.n_bytes, 16);
        ck_assert_ptr_eq(reader.at, reader.end);
        /* as a description of what there is */
        reader = reader_of((const uint8_t *)row, sizeof(row) - 1);
        ck_assert(!read_description(&reader, &d));
        reader = reader_of((const uint8_t *)bad, sizeof(bad) - 1);
        ck_assert(!read_row(&reader, &d));
        for (size_t n = 0; n < sizeof(row) - 1; n++) {
                uint8_t *piece = malloc(n ? n : 1);

                memcpy(piece, row, n);
                reader = reader_of(piece, n);
                ck_assert(!read_row(&reader, &d));
                free(piece);
        }
}
END_TEST

START_TEST(errors_are_told)
{
        struct golden_frame figures = golden_read("response-error.hex"),
                            plain = golden_read("response-error-plain.hex");
        static const uint8_t node[] = "\x94\x01\x02\x82\xa4"
                                      "code\xa8"
                                      "singular\xa4"
                                      "data\x81\xa4node\x03\xc0";
        struct message message;
        td_error error;

        ck_assert(message_read(&message, figures.bytes, figures.n_bytes));
        ck_assert_uint_eq(message.msgid, 7);
        ck_assert_int_eq(read_error(&message.body, &error), TD_E_MEMORY_LIMIT);
        ck_assert_str_eq(error.message, "out");
        ck_assert_int_eq(error.node, -1);
        ck_assert(message_read(&message, plain.bytes, plain.n_bytes));
        ck_assert_int_eq(read_error(&message.body, &error), TD_E_NOT_FOUND);
        ck_assert_int_eq(error.code, TD_E_NOT_FOUND);
        ck_assert(message_read(&message, node, sizeof(node) - 1));
        ck_assert_int_eq(read_error(&message.body, &error), TD_E_SINGULAR);
        ck_assert_int_eq(error.node, 3);
        free(figures.bytes);
        free(plain.bytes);
}
END_TEST

START_TEST(values_at_every_border)
{
        struct golden_frame golden = golden_read("response-values.hex");
        struct reader r = result_of(&golden);
        static const uint64_t naturals[] = { 0,     127,   128,        255,        256,
                                             65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX };
        static const int64_t negatives[] = {
                -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN, INT32_MIN - 1ll, INT64_MIN
        };
        static const size_t texts[] = { 31, 32, 255, 256 }, bins[] = { 0, 255, 256 };
        size_t n;

        ck_assert_uint_eq(reader_array(&r), 35);
        ck_assert_int_eq(reader_next(&r).kind, READ_NIL);
        ck_assert(reader_bool(&r));
        ck_assert(!reader_bool(&r));
        for (size_t i = 0; i < sizeof(naturals) / sizeof(naturals[0]); i++)
                ck_assert_uint_eq(reader_uint(&r), naturals[i]);
        for (size_t i = 0; i < sizeof(negatives) / sizeof(negatives[0]); i++)
                ck_assert_int_eq(reader_int(&r), negatives[i]);
        ck_assert_double_eq(reader_next(&r).d, 0.5);
        for (size_t i = 0; i < 4; i++) {
                reader_str(&r, &n);
                ck_assert_uint_eq(n, texts[i]);
        }
        for (size_t i = 0; i < 3; i++) {
                reader_bin(&r, &n);
                ck_assert_uint_eq(n, bins[i]);
        }
        while (r.at < r.end && !r.has_failed)
                reader_skip(&r);
        ck_assert(!r.has_failed);
        reader_skip(&r);
        ck_assert(r.has_failed);
        free(golden.bytes);
}
END_TEST

START_TEST(large_frames_grow)
{
        uint8_t *params = calloc(1, 100000);
        struct frame frame;

        frame_init(&frame);
        frame_raw(&frame, 1, "ping", params, 100000);
        ck_assert(!frame.has_failed);
        ck_assert_uint_eq(frame.n_bytes, 100009);
        frame_deinit(&frame);
        free(params);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("codec");
        TCase *tc = tcase_create("codec");
        SRunner *runner = srunner_create(suite);
        int n_failed;

        tcase_add_test(tc, requests_are_golden);
        tcase_add_test(tc, notifications_are_golden);
        tcase_add_test(tc, nodes_are_golden);
        tcase_add_test(tc, loops_are_golden);
        tcase_add_test(tc, definitions_are_golden);
        tcase_add_test(tc, run_is_put_together);
        tcase_add_test(tc, every_frame_is_scanned);
        tcase_add_test(tc, no_message_is_no_message);
        tcase_add_test(tc, a_reply_with_descriptors);
        tcase_add_test(tc, a_description_cut_short_or_bent_is_refused);
        tcase_add_test(tc, a_row_of_what_is_lost);
        tcase_add_test(tc, errors_are_told);
        tcase_add_test(tc, values_at_every_border);
        tcase_add_test(tc, large_frames_grow);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
