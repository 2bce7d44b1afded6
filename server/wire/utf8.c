/* SPDX-License-Identifier: MIT */
#include "wire/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the character at the front, 0 if there is no whole valid one. */
static size_t char_length(const char *text, size_t n_left)
{
        const uint8_t *b = (const uint8_t *)text;
        uint8_t low = 0x80, high = 0xbf; /* of the second byte */
        size_t n;

        if (b[0] < 0x80)
                return 1;
        if (b[0] >= 0xc2 && b[0] <= 0xdf) {
                n = 2;
        } else if (b[0] >= 0xe0 && b[0] <= 0xef) {
                n = 3;
                if (b[0] == 0xe0)
                        low = 0xa0; /* shorter forms exist below */
                if (b[0] == 0xed)
                        high = 0x9f; /* surrogates above */
        } else if (b[0] >= 0xf0 && b[0] <= 0xf4) {
                n = 4;
                if (b[0] == 0xf0)
                        low = 0x90;
                if (b[0] == 0xf4)
                        high = 0x8f; /* beyond U+10FFFF above */
        } else {
                return 0;
        }
        if (n > n_left || b[1] < low || b[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (b[i] < 0x80 || b[i] > 0xbf)
                        return 0;
        return n;
}

static bool is_control(const char *text, size_t n_char)
{
        const uint8_t *b = (const uint8_t *)text;

        if (n_char == 1)
                return b[0] < 0x20 || b[0] == 0x7f;
        return n_char == 2 && b[0] == 0xc2 && b[1] < 0xa0;
}

size_t utf8_valid_prefix(const char *bytes, size_t n_bytes)
{
        size_t i = 0;

        while (i < n_bytes) {
                size_t n = char_length(bytes + i, n_bytes - i);

                if (n == 0)
                        break;
                i += n;
        }
        return i;
}

bool utf8_has_control(const char *bytes, size_t n_bytes)
{
        for (size_t i = 0; i < n_bytes;) {
                size_t n = char_length(bytes + i, n_bytes - i);

                if (n == 0 || is_control(bytes + i, n))
                        return true;
                i += n;
        }
        return false;
}

char *utf8_printable(char *out, size_t n_out, const char *bytes, size_t n_bytes)
{
        size_t at = 0;

        for (size_t i = 0; i < n_bytes;) {
                size_t n = char_length(bytes + i, n_bytes - i);
                bool is_plain = n > 0 && !is_control(bytes + i, n);
                char escape[5];

                if (!is_plain) {
                        snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)(uint8_t)bytes[i]);
                        n = 1;
                }
                /* room is kept for "..." and the end */
                if (at + (is_plain ? n : 4) + 4 > n_out) {
                        memcpy(out + at, "...", 3);
                        at += 3;
                        break;
                }
                memcpy(out + at, is_plain ? bytes + i : escape, is_plain ? n : 4);
                at += is_plain ? n : 4;
                i += n;
        }
        out[at] = '\0';
        return out;
}
