/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Length of the UTF-8 sequence at the front, 0 if there is none. */
static size_t utf8_length(const uint8_t *s, size_t n)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t length = s[0] < 0x80       ? 1
                        : s[0] >> 5 == 6  ? 2
                        : s[0] >> 4 == 14 ? 3
                        : s[0] >> 3 == 30 ? 4
                                          : 0;
        uint32_t code;

        if (length < 2)
                return length;
        if (length > n)
                return 0;
        code = s[0] & (0x7fU >> length);
        for (size_t i = 1; i < length; i++) {
                if (s[i] >> 6 != 2)
                        return 0;
                code = code << 6 | (s[i] & 0x3fU);
        }
        return code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
                       ? 0
                       : length;
}

void json_text(FILE *out, const char *text, size_t n_text)
{
        const uint8_t *at = (const uint8_t *)text, *end = at + n_text;

        putc('"', out);
        while (at < end) {
                size_t n = utf8_length(at, (size_t)(end - at));

                if (n == 0)
                        fputs("\\ufffd", out);
                else if (*at == '"' || *at == '\\')
                        fprintf(out, "\\%c", *at);
                else if (*at < 0x20 || *at == 0x7f)
                        fprintf(out, "\\u%04x", *at);
                else
                        fwrite(at, 1, n, out);
                at += n ? n : 1;
        }
        putc('"', out);
}

void json_string(FILE *out, const char *text)
{
        json_text(out, text, strlen(text));
}

void json_hex(FILE *out, const uint8_t *bytes, size_t n_bytes)
{
        putc('"', out);
        for (size_t i = 0; i < n_bytes; i++)
                fprintf(out, "%02x", bytes[i]);
        putc('"', out);
}

static void json_number(FILE *out, double value)
{
        if (isfinite(value))
                fprintf(out, "%.17g", value);
        else
                fputs("null", out);
}

static void json_nested(FILE *out, struct reader *reader, unsigned depth);

static void json_array(FILE *out, struct reader *reader, uint64_t n, unsigned depth)
{
        putc('[', out);
        for (uint64_t i = 0; i < n && !reader->has_failed; i++) {
                if (i)
                        fputs(", ", out);
                json_nested(out, reader, depth + 1);
        }
        putc(']', out);
}

static void json_map(FILE *out, struct reader *reader, uint64_t n, unsigned depth)
{
        putc('{', out);
        for (uint64_t i = 0; i < n && !reader->has_failed; i++) {
                size_t n_key;
                const char *key = reader_str(reader, &n_key);

                if (i)
                        fputs(", ", out);
                json_text(out, key, n_key);
                fputs(": ", out);
                json_nested(out, reader, depth + 1);
        }
        putc('}', out);
}

static void json_nested(FILE *out, struct reader *reader, unsigned depth)
{
        struct reader_item item = reader_next(reader);

        if (depth > TD_DEPTH_MAX)
                reader->has_failed = true;
        switch (reader->has_failed ? READ_NOTHING : item.kind) {
        case READ_BOOL:
                fputs(item.b ? "true" : "false", out);
                break;
        case READ_UINT:
                fprintf(out, "%" PRIu64, item.u);
                break;
        case READ_INT:
                fprintf(out, "%" PRId64, item.i);
                break;
        case READ_FLOAT:
                json_number(out, item.d);
                break;
        case READ_STR:
                json_text(out, (const char *)item.bytes, item.u);
                break;
        case READ_BIN:
                json_hex(out, item.bytes, item.u);
                break;
        case READ_ARRAY:
                json_array(out, reader, item.u, depth);
                break;
        case READ_MAP:
                json_map(out, reader, item.u, depth);
                break;
        default:
                fputs("null", out);
        }
}

void json_value(FILE *out, struct reader *reader)
{
        json_nested(out, reader, 0);
}

void json_pair(FILE *out, const char *key, const char *value)
{
        fputc('{', out);
        json_string(out, key);
        fputs(": ", out);
        json_string(out, value);
        fputs("}\n", out);
}
