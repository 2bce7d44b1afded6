/* layer: wire */
/* SPDX-License-Identifier: MIT */
#include "wire/scan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "random_kit.h"

/* What a scan says of the bytes at once, and where it stopped. */
static int scan_at_once(const uint8_t *bytes, size_t n_bytes, size_t *n_seenp)
{
        struct scan scan;
        int r;

        scan_init(&scan);
        r = scan_run(&scan, bytes, n_bytes);
        *n_seenp = scan.n_seen;
        return r;
}

/*
 * The same, a byte more at a time, each time from a fresh copy of exactly so many bytes (a
 * sanitizer sees a read beyond). The first answer other than SCAN_MORE, and after how many bytes it
 * came.
 */
static int scan_by_bytes(const uint8_t *bytes, size_t n_bytes, size_t *n_seenp, size_t *n_fedp)
{
        struct scan scan;
        int r = SCAN_MORE;

        scan_init(&scan);
        for (size_t n = 1; n <= n_bytes && r == SCAN_MORE; n++) {
                uint8_t *copy = malloc(n);

                ck_assert_ptr_nonnull(copy);
                memcpy(copy, bytes, n);
                r = scan_run(&scan, copy, n);
                ck_assert_uint_le(scan.n_seen, n);
                free(copy);
                *n_fedp = n;
        }
        *n_seenp = scan.n_seen;
        return r;
}

static void check_both(const uint8_t *bytes, size_t n_bytes, int wanted)
{
        size_t n_seen, n_fed = 0;

        ck_assert_int_eq(scan_at_once(bytes, n_bytes, &n_seen), wanted);
        if (wanted == 0)
                ck_assert_uint_eq(n_seen, n_bytes);
        ck_assert_int_eq(scan_by_bytes(bytes, n_bytes, &n_seen, &n_fed), wanted);
        if (wanted == 0) {
                ck_assert_uint_eq(n_seen, n_bytes);
                ck_assert_uint_eq(n_fed, n_bytes);
        }
}

static void check_whole(const struct frame *frame)
{
        size_t n_seen;

        check_both(frame->bytes, frame->n_bytes, 0);
        /* one byte less is never a whole message */
        ck_assert_int_eq(scan_at_once(frame->bytes, frame->n_bytes - 1, &n_seen), SCAN_MORE);
}

START_TEST(golden_frames_are_whole)
{
        ck_assert_uint_ge(frames_each("request-", check_whole), 20);
        ck_assert_uint_ge(frames_each("notification-", check_whole), 2);
        ck_assert_uint_ge(frames_each("refused-", check_whole), 20);
        ck_assert_uint_ge(frames_each("response-", check_whole), 5);
        ck_assert_uint_ge(frames_each("push-", check_whole), 2);
}
END_TEST

START_TEST(bomb_is_refused_at_its_fifth_byte)
{
        static const uint8_t bomb[] = { 0xdd, 0xff, 0xff, 0xff, 0xff };
        size_t n_seen, n_fed;

        check_both(bomb, sizeof(bomb), SCAN_E_COUNT);
        ck_assert_int_eq(scan_by_bytes(bomb, sizeof(bomb), &n_seen, &n_fed), SCAN_E_COUNT);
        ck_assert_uint_eq(n_fed, 5);
        ck_assert_int_eq(scan_at_once(bomb, 4, &n_seen), SCAN_MORE);
}
END_TEST

START_TEST(counts_add_up_over_open_containers)
{
        /* an array of half a message, whose first element is an array that would fit alone */
        static const uint8_t both[] = {
                0xdd, 0x00, 0x08, 0x00, 0x00, 0xdd, 0x00, 0x08, 0x00, 0x00
        };
        static const uint8_t alone[] = { 0x91, 0xdd, 0x00, 0x08, 0x00, 0x00 };
        /* a map of n wants 2n bytes */
        static const uint8_t map[] = { 0xdf, 0x00, 0x08, 0x00, 0x00 };
        size_t n_seen;

        check_both(both, sizeof(both), SCAN_E_COUNT);
        ck_assert_int_eq(scan_at_once(alone, sizeof(alone), &n_seen), SCAN_MORE);
        check_both(map, sizeof(map), SCAN_E_COUNT);
}
END_TEST

START_TEST(depth_is_bounded)
{
        uint8_t bytes[TD_DEPTH_MAX + 1];

        memset(bytes, 0x91, sizeof(bytes));
        check_both(bytes, sizeof(bytes), SCAN_E_DEPTH);
        bytes[TD_DEPTH_MAX] = 0xc0;
        check_both(bytes, sizeof(bytes), 0);
        /* an empty one counts too */
        bytes[TD_DEPTH_MAX] = 0x80;
        check_both(bytes, sizeof(bytes), SCAN_E_DEPTH);
}
END_TEST

START_TEST(size_is_bounded)
{
        uint8_t *bytes = calloc(1, TD_MESSAGE_MAX + 8);
        uint32_t n = TD_MESSAGE_MAX - 5;
        size_t n_seen;

        ck_assert_ptr_nonnull(bytes);
        bytes[0] = 0xc6;
        for (int i = 0; i < 4; i++)
                bytes[1 + i] = (uint8_t)(n >> (24 - 8 * i));
        ck_assert_int_eq(scan_at_once(bytes, 5, &n_seen), SCAN_MORE);
        ck_assert_int_eq(scan_at_once(bytes, TD_MESSAGE_MAX - 1, &n_seen), SCAN_MORE);
        ck_assert_int_eq(scan_at_once(bytes, TD_MESSAGE_MAX, &n_seen), 0);
        ck_assert_uint_eq(n_seen, TD_MESSAGE_MAX);
        bytes[4]++;
        check_both(bytes, 5, SCAN_E_SIZE);
        /* the same bin has no room within an array whose second element is still to come */
        bytes[0] = 0x92;
        bytes[1] = 0xc6;
        n = TD_MESSAGE_MAX - 6;
        for (int i = 0; i < 4; i++)
                bytes[2 + i] = (uint8_t)(n >> (24 - 8 * i));
        check_both(bytes, 6, SCAN_E_SIZE);
        bytes[5]--;
        ck_assert_int_eq(scan_at_once(bytes, 6, &n_seen), SCAN_MORE);
        free(bytes);
}
END_TEST

/* The last value's head would end beyond the bound: refused by what is there of it. */
START_TEST(cut_off_head_at_the_bound)
{
        static const uint8_t heads[] = {
                0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf
        };
        uint8_t *bytes = calloc(1, TD_MESSAGE_MAX);
        uint32_t n = TD_MESSAGE_MAX - 7;
        size_t n_seen;

        ck_assert_ptr_nonnull(bytes);
        bytes[0] = 0x92;
        bytes[1] = 0xc6;
        for (int i = 0; i < 4; i++)
                bytes[2 + i] = (uint8_t)(n >> (24 - 8 * i));
        ck_assert_int_eq(scan_at_once(bytes, TD_MESSAGE_MAX - 1, &n_seen), SCAN_MORE);
        for (size_t i = 0; i < sizeof(heads); i++) {
                bytes[TD_MESSAGE_MAX - 1] = heads[i];
                ck_assert_int_eq(scan_at_once(bytes, TD_MESSAGE_MAX, &n_seen), SCAN_E_SIZE);
        }
        free(bytes);
}
END_TEST

START_TEST(types_that_are_not_spoken)
{
        static const uint8_t refused[] = { 0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8 };

        for (size_t i = 0; i < sizeof(refused); i++) {
                uint8_t bytes[] = { 0x92, 0x01, refused[i] };

                check_both(bytes, sizeof(bytes), SCAN_E_TYPE);
                check_both(&refused[i], 1, SCAN_E_TYPE);
        }
}
END_TEST

START_TEST(every_first_byte)
{
        for (unsigned first = 0; first < 256; first++) {
                uint8_t bytes[64] = { (uint8_t)first };
                size_t n_seen, n_fed = 0, n_again;
                int r = scan_at_once(bytes, sizeof(bytes), &n_seen);

                /* behind the head there are zeros: whole values, zero counts */
                ck_assert_int_ne(r, SCAN_MORE);
                if (r == 0) {
                        ck_assert_int_eq(scan_by_bytes(bytes, sizeof(bytes), &n_again, &n_fed), 0);
                        ck_assert_uint_eq(n_again, n_seen);
                        ck_assert_uint_eq(n_fed, n_seen);
                } else {
                        ck_assert_int_eq(r, SCAN_E_TYPE);
                }
        }
}
END_TEST

START_TEST(stops_at_the_end_of_a_message)
{
        static const uint8_t two[] = { 0x91, 0x01, 0x92 };
        struct scan scan;

        scan_init(&scan);
        ck_assert_int_eq(scan_run(&scan, two, sizeof(two)), 0);
        ck_assert_uint_eq(scan.n_seen, 2);
        /* asked again, it says the same */
        ck_assert_int_eq(scan_run(&scan, two, sizeof(two)), 0);
        ck_assert_uint_eq(scan.n_seen, 2);
}
END_TEST

/* Random bytes: in pieces and at once the answer is the same. */
START_TEST(random_bytes_in_pieces)
{
        kit_random_state += (uint64_t)_i;
        for (int round = 0; round < 2000; round++) {
                uint8_t bytes[48];
                size_t n_seen, n_again, n_fed = 0;
                int r;

                for (size_t i = 0; i < sizeof(bytes); i++) {
                        uint64_t word = kit_random();

                        /* mostly small containers and strings, so that some of it is nested */
                        bytes[i] = word & 0x100 ? (uint8_t)(0x80 | (word & 0x23))
                                                : (uint8_t)(word >> 16);
                }
                r = scan_at_once(bytes, sizeof(bytes), &n_seen);
                ck_assert_int_eq(scan_by_bytes(bytes, sizeof(bytes), &n_again, &n_fed), r);
                ck_assert_uint_eq(n_again, n_seen);
        }
}
END_TEST

START_TEST(errors_have_sentences)
{
        for (int r = SCAN_MORE; r <= SCAN_E_TYPE; r++) {
                ck_assert_ptr_nonnull(scan_error(r));
                for (int other = SCAN_MORE; other < r; other++)
                        ck_assert_str_ne(scan_error(r), scan_error(other));
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("scan");
        TCase *tcase = tcase_create("scan");
        SRunner *runner;
        int n_failed;

        tcase_add_test(tcase, golden_frames_are_whole);
        tcase_add_test(tcase, bomb_is_refused_at_its_fifth_byte);
        tcase_add_test(tcase, counts_add_up_over_open_containers);
        tcase_add_test(tcase, depth_is_bounded);
        tcase_add_test(tcase, size_is_bounded);
        tcase_add_test(tcase, cut_off_head_at_the_bound);
        tcase_add_test(tcase, types_that_are_not_spoken);
        tcase_add_test(tcase, every_first_byte);
        tcase_add_test(tcase, stops_at_the_end_of_a_message);
        tcase_add_loop_test(tcase, random_bytes_in_pieces, 0, 8);
        tcase_add_test(tcase, errors_have_sentences);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
