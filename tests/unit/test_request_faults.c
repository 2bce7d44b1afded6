/* layer: wire */
/* SPDX-License-Identifier: MIT */
/*
 * Decoding without memory: every golden frame, with every allocation failing once. Whatever is
 * copied into the zones that requests lie in is an allocation of its own here.
 */
#include "fault_kit.h"

#include <msgpack.h>

#include "requests.h"

static unsigned n_failed;

#if FAULTS_WORK
FAULTS_DEFINE bool msgpack_zone_init(msgpack_zone *zone, size_t chunk_size);

/* What msgpack_zone_new() is made of, but for chunks, which have no room. */
FAULTS_DEFINE msgpack_zone *msgpack_zone_new(size_t chunk_size)
{
        msgpack_zone *zone = malloc(sizeof(*zone));

        (void)chunk_size;
        if (zone && !msgpack_zone_init(zone, 0)) {
                free(zone);
                return NULL;
        }
        return zone;
}

/* So every allocation comes here, and is freed with the zone. */
FAULTS_DEFINE void *msgpack_zone_malloc_expand(msgpack_zone *zone, size_t n_bytes)
{
        void *memory = malloc(n_bytes);

        if (memory && !msgpack_zone_push_finalizer(zone, free, memory)) {
                free(memory);
                return NULL;
        }
        return memory;
}
#endif

/* Where nothing fails, r; where something does, that is what is said, or the same r. */
static void read_with_faults(const struct frame *frame, struct nodes_cache *cache)
{
        struct td_refusal without = { .message = "" };
        struct request *request;
        bool has_failed = true;
        int wanted;

        wanted = request_read(&request, frame->bytes, frame->n_bytes, NULL, &without);
        request_free(request);
        for (long n = 0; has_failed; n++) {
                struct td_refusal with = { .message = "" };
                long n_live = faults_live;
                int r;

                faults_after(n);
                r = request_read(&request, frame->bytes, frame->n_bytes, cache, &with);
                has_failed = faults_end();
                ck_assert_int_lt(n, 100000);
                if (r == -ENOMEM) {
                        ck_assert(has_failed);
                        ck_assert_ptr_null(request);
                        n_failed++;
                } else {
                        /* what is only kept to be quicker may be without memory */
                        ck_assert_int_eq(r, wanted);
                        ck_assert_str_eq(with.message, without.message);
                }
                request_free(request);
                if (cache) {
                        nodes_cache_deinit(cache);
                        nodes_cache_init(cache);
                }
                ck_assert_int_eq(faults_live - n_live, 0);
        }
}

static void read_frame(const struct frame *frame)
{
        struct nodes_cache cache;
        struct scan scan;

        scan_init(&scan);
        if (scan_run(&scan, frame->bytes, frame->n_bytes))
                return; /* what does not pass is never read */
        nodes_cache_init(&cache);
        read_with_faults(frame, NULL);
        read_with_faults(frame, &cache);
        nodes_cache_deinit(&cache);
}

START_TEST(every_frame_at_every_allocation)
{
        unsigned n = frames_each("request-", read_frame);

        n += frames_each("notification-", read_frame);
        n += frames_each("refused-", read_frame);
        n += frames_each("malformed-", read_frame);
        printf("request: %u frames, %u times without memory\n", n, n_failed);
        ck_assert_uint_ge(n, 65);
        if (FAULTS_WORK)
                ck_assert_uint_ge(n_failed, 1000);
}
END_TEST

/* More values than are decoded: its envelope alone is. */
START_TEST(dense_message_at_every_allocation)
{
        static uint8_t bytes[12 + REQUEST_VALUES_MAX] = { 0x93, 0x02, 0xa4, 'p', 'i',
                                                          'n',  'g',  0xdd };
        struct frame frame = { .bytes = bytes, .n_bytes = sizeof(bytes) };
        const unsigned before = n_failed;

        for (unsigned i = 0; i < 4; i++)
                bytes[8 + i] = (uint8_t)(REQUEST_VALUES_MAX >> (24 - 8 * i));
        read_frame(&frame);
        if (FAULTS_WORK)
                ck_assert_uint_gt(n_failed, before + 2);
}
END_TEST

/* The first of a thread wants memory to unpack in, and asks for it again where there was none. */
START_TEST(first_message_of_a_thread)
{
        struct frame frame = frame_read("request-ping.hex");
        struct td_refusal refused = { .message = "" };
        struct request *request;

        for (int turn = 0; turn < 2; turn++) {
                faults_after(0);
                ck_assert_int_eq(request_read(&request, frame.bytes, frame.n_bytes, NULL, &refused),
                                 -ENOMEM);
                ck_assert(faults_end());
                ck_assert_ptr_null(request);
        }
        ck_assert_int_eq(request_read(&request, frame.bytes, frame.n_bytes, NULL, &refused), 0);
        request_free(request);
        free(frame.bytes);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("request_faults");
        TCase *tcase = tcase_create("request_faults");
        SRunner *runner;
        int n;

        if (FAULTS_WORK)
                tcase_add_test(tcase, first_message_of_a_thread);
        tcase_add_test(tcase, every_frame_at_every_allocation);
        tcase_add_test(tcase, dense_message_at_every_allocation);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n ? 1 : 0;
}
