/* SPDX-License-Identifier: MIT */
/*
 * What is known of a message before it is decoded
 *
 * Where its node list is, and whether it has more values than are decoded at once. A walk over
 * [0, msgid, method, [{key: value, ...}]] that steps over values without looking into them. The
 * scan has accepted the bytes; they are read within their bounds all the same, and what has another
 * form is left to the decoder, which says what is wrong with it.
 */
#include <string.h>

#include "wire/decode.h"

struct cursor {
        const uint8_t *at;
        const uint8_t *end;
};

static bool cursor_bytes(struct cursor *cursor, size_t n)
{
        if ((size_t)(cursor->end - cursor->at) < n)
                return false;
        cursor->at += n;
        return true;
}

/* A number of n bytes, big-endian. */
static bool cursor_length(struct cursor *cursor, unsigned n, uint64_t *lengthp)
{
        const uint8_t *at = cursor->at;

        if (!cursor_bytes(cursor, n))
                return false;
        *lengthp = 0;
        for (unsigned i = 0; i < n; i++)
                *lengthp = *lengthp << 8 | at[i];
        return true;
}

/* Step over the head of a value and its bytes; *insidep: values that follow as its elements. */
static bool cursor_head(struct cursor *cursor, uint64_t *insidep)
{
        /* 0xc0 to 0xdf: bytes of the length, and of the value where there is none */
        static const struct {
                uint8_t n_length, n_bytes, n_values;
        } heads[32] = {
                [0x04] = { 1, 0, 0 }, [0x05] = { 2, 0, 0 }, [0x06] = { 4, 0, 0 },
                [0x0a] = { 0, 4, 0 }, [0x0b] = { 0, 8, 0 }, [0x0c] = { 0, 1, 0 },
                [0x0d] = { 0, 2, 0 }, [0x0e] = { 0, 4, 0 }, [0x0f] = { 0, 8, 0 },
                [0x10] = { 0, 1, 0 }, [0x11] = { 0, 2, 0 }, [0x12] = { 0, 4, 0 },
                [0x13] = { 0, 8, 0 }, [0x19] = { 1, 0, 0 }, [0x1a] = { 2, 0, 0 },
                [0x1b] = { 4, 0, 0 }, [0x1c] = { 2, 0, 1 }, [0x1d] = { 4, 0, 1 },
                [0x1e] = { 2, 0, 2 }, [0x1f] = { 4, 0, 2 },
        };
        uint64_t length;
        uint8_t head;

        *insidep = 0;
        if (cursor->at == cursor->end)
                return false;
        head = *cursor->at++;
        if (head < 0x80 || head >= 0xe0)
                return true;
        if (head < 0x90)
                *insidep = 2 * (uint64_t)(head & 0x0f);
        else if (head < 0xa0)
                *insidep = head & 0x0f;
        else if (head < 0xc0)
                return cursor_bytes(cursor, head & 0x1f);
        else if (!heads[head & 0x1f].n_length)
                return cursor_bytes(cursor, heads[head & 0x1f].n_bytes);
        else if (!cursor_length(cursor, heads[head & 0x1f].n_length, &length))
                return false;
        else if (!heads[head & 0x1f].n_values)
                return cursor_bytes(cursor, length);
        else
                *insidep = length * heads[head & 0x1f].n_values;
        return true;
}

static bool cursor_skip(struct cursor *cursor)
{
        uint64_t left = 1, inside;

        while (left > 0) {
                if (!cursor_head(cursor, &inside))
                        return false;
                left += inside - 1;
        }
        return true;
}

static bool cursor_is(struct cursor *cursor, const void *bytes, size_t n_bytes)
{
        return (size_t)(cursor->end - cursor->at) >= n_bytes &&
               memcmp(cursor->at, bytes, n_bytes) == 0;
}

bool nodes_find(const uint8_t *bytes, size_t n_bytes, struct nodes_source *source)
{
        static const uint8_t run[] = "\xa3run",
                             define[] = "\xa6"
                                        "define",
                             nodes[] = "\xa5nodes";
        struct cursor cursor = { bytes, bytes + n_bytes };
        uint64_t n_keys;
        uint8_t head;

        if (!cursor_is(&cursor, "\x94\x00", 2))
                return false;
        cursor.at += 2;
        if (!cursor_skip(&cursor) ||
            !(cursor_is(&cursor, run, 4) || cursor_is(&cursor, define, 7)) ||
            !cursor_skip(&cursor) || !cursor_is(&cursor, "\x91", 1))
                return false;
        cursor.at++;
        head = cursor.at < cursor.end ? *cursor.at : 0;
        if (((head & 0xf0) != 0x80 && head != 0xde) || !cursor_head(&cursor, &n_keys))
                return false;
        for (n_keys /= 2; n_keys > 0; n_keys--) {
                bool is_nodes = cursor_is(&cursor, nodes, 6);
                const uint8_t *begin;

                if (!cursor_skip(&cursor))
                        return false;
                begin = cursor.at;
                if (!cursor_skip(&cursor))
                        return false;
                if (is_nodes) {
                        source->bytes = begin;
                        source->n_bytes = (size_t)(cursor.at - begin);
                        return true;
                }
        }
        return false;
}

bool message_is_within(const uint8_t *bytes, size_t n_bytes, uint64_t n_values)
{
        struct cursor cursor = { bytes, bytes + n_bytes };
        uint64_t left = 1, n = 1, inside;

        while (left > 0 && n <= n_values) {
                if (!cursor_head(&cursor, &inside))
                        break;
                left += inside - 1;
                n += inside;
        }
        return n <= n_values;
}

size_t message_find_params(const uint8_t *bytes, size_t n_bytes)
{
        struct cursor cursor = { bytes, bytes + n_bytes };
        uint64_t n, inside;

        if (!cursor_head(&cursor, &n) || n < 3 || n > 4)
                return 0;
        for (; n > 1; n--)
                if (!cursor_head(&cursor, &inside) || inside > 0)
                        return 0;
        return (size_t)(cursor.at - bytes);
}
