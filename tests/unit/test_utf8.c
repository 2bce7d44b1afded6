/* layer: wire */
/* SPDX-License-Identifier: MIT */
#include "wire/utf8.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "loops.h"

/* By the definition: decode, then look at the code point. 0 if there is no character at the front.
 */
static size_t oracle(const uint8_t *b, size_t n)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t length = b[0] < 0x80             ? 1
                        : (b[0] & 0xe0) == 0xc0 ? 2
                        : (b[0] & 0xf0) == 0xe0 ? 3
                        : (b[0] & 0xf8) == 0xf0 ? 4
                                                : 0;
        uint32_t point;

        if (length == 1)
                return 1;
        if (length == 0 || length > n)
                return 0;
        point = b[0] & (0xffU >> (length + 1));
        for (size_t i = 1; i < length; i++) {
                if ((b[i] & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | (b[i] & 0x3f);
        }
        if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
                return 0;
        return length;
}

/* Every pair of leading bytes, with tails at their borders. */
START_TEST(agrees_with_the_definition)
{
        static const uint8_t tails[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };

        for (unsigned lead = 0; lead < 0x10000; lead++) {
                for (unsigned i = 0; i < 36; i++) {
                        uint8_t b[4] = { (uint8_t)(lead >> 8), (uint8_t)lead, tails[i / 6],
                                         tails[i % 6] };
                        size_t n_wanted = oracle(b, 4);

                        /* one character, then whatever follows it */
                        if (n_wanted)
                                EXPECT(utf8_valid_prefix((char *)b, n_wanted) == n_wanted);
                        else
                                EXPECT(utf8_valid_prefix((char *)b, 4) == 0);
                        for (size_t n = 1; n < n_wanted; n++)
                                EXPECT(utf8_valid_prefix((char *)b, n) == 0);
                }
        }
}
END_TEST

START_TEST(where_it_breaks_off)
{
        ck_assert_uint_eq(utf8_valid_prefix("", 0), 0);
        ck_assert_uint_eq(utf8_valid_prefix("abc", 3), 3);
        ck_assert_uint_eq(utf8_valid_prefix("ab\xc3", 3), 2);
        ck_assert_uint_eq(utf8_valid_prefix("ab\xff"
                                            "cd",
                                            5),
                          2);
}
END_TEST

START_TEST(controls)
{
        ck_assert(!utf8_has_control("a b\xc3\xb6", 5));
        ck_assert(utf8_has_control("a\tb", 3));
        ck_assert(utf8_has_control("\x7f", 1));
        ck_assert(utf8_has_control("\xc2\x80", 2));
        ck_assert(utf8_has_control("\xc2\x9f", 2));
        ck_assert(!utf8_has_control("\xc2\xa0", 2));
        ck_assert(utf8_has_control("a\0b", 3));
}
END_TEST

START_TEST(printable)
{
        char out[16];

        ck_assert_str_eq(utf8_printable(out, sizeof(out),
                                        "gr\xc3\xb6\xc3\x9f"
                                        "e",
                                        7),
                         "gr\xc3\xb6\xc3\x9f"
                         "e");
        ck_assert_str_eq(utf8_printable(out, sizeof(out), "a\nb\xff", 4), "a\\x0ab\\xff");
        ck_assert_str_eq(utf8_printable(out, sizeof(out), "", 0), "");
        /* cut at a character, whatever the length */
        for (size_t n = 0; n < 64; n++) {
                char text[128];

                memset(text, 'x', n);
                memcpy(text + n, "\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6\xc3\xb6",
                       16);
                utf8_printable(out, sizeof(out), text, n + 16);
                ck_assert_uint_lt(strlen(out), sizeof(out));
                ck_assert_uint_eq(utf8_valid_prefix(out, strlen(out)), strlen(out));
                ck_assert_ptr_nonnull(strstr(out, "..."));
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("utf8");
        TCase *tcase = tcase_create("utf8");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, agrees_with_the_definition);
        tcase_add_test(tcase, where_it_breaks_off);
        tcase_add_test(tcase, controls);
        tcase_add_test(tcase, printable);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? 1 : 0;
}
