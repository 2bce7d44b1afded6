/* SPDX-License-Identifier: MIT */
/*
 * MessagePack once more, as plainly as possible
 *
 * A recursive reader to hold the scan against, and a writer that says the same message in other
 * bytes: every head in its widest form, every map from its last pair to its first.
 */
#pragma once

#include <string.h>

#include "dump.h"
#include "tensord/limits.h"

enum message_verdict {
        MESSAGE_WHOLE,
        MESSAGE_CUT,    /* the bytes end before it does */
        MESSAGE_DEEP,   /* nested too deep */
        MESSAGE_STRANGE /* ext, or c1 */
};

struct message_head {
        size_t n_head;
        uint64_t n_raw;
        uint64_t n_values;
        enum { HEAD_SCALAR, HEAD_STR, HEAD_BIN, HEAD_ARRAY, HEAD_MAP } kind;
};

static inline uint64_t message_number(const uint8_t *bytes, size_t n)
{
        uint64_t value = 0;

        while (n-- > 0)
                value = value << 8 | *bytes++;
        return value;
}

/* By the table of MessagePack's specification, from its end. */
static inline enum message_verdict message_head(const uint8_t *bytes, size_t n_left,
                                                struct message_head *head)
{
        static const uint8_t scalars[] = { [0xca - 0xca] = 4, 8, 1, 2, 4, 8, 1, 2, 4, 8 };
        size_t n_count = 0;
        uint8_t first;

        if (n_left == 0)
                return MESSAGE_CUT;
        first = bytes[0];
        *head = (struct message_head){ .n_head = 1, .kind = HEAD_SCALAR };
        if (first >= 0xe0 || first < 0x80 || first == 0xc0 || first == 0xc2 || first == 0xc3)
                return MESSAGE_WHOLE;
        if (first >= 0xca && first <= 0xd3) {
                head->n_raw = scalars[first - 0xca];
                return MESSAGE_WHOLE;
        }
        if (first == 0xc1 || (first >= 0xc7 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8))
                return MESSAGE_STRANGE;
        if (first < 0x90) {
                head->kind = HEAD_MAP;
                head->n_values = first & 15;
        } else if (first < 0xa0) {
                head->kind = HEAD_ARRAY;
                head->n_values = first & 15;
        } else if (first < 0xc0) {
                head->kind = HEAD_STR;
                head->n_raw = first & 31;
        } else if (first <= 0xc6) {
                head->kind = HEAD_BIN;
                n_count = (size_t)1 << (first - 0xc4);
        } else if (first <= 0xdb) {
                head->kind = HEAD_STR;
                n_count = (size_t)1 << (first - 0xd9);
        } else {
                head->kind = first < 0xde ? HEAD_ARRAY : HEAD_MAP;
                n_count = first & 1 ? 4 : 2;
        }
        if (n_count) {
                if (n_left < 1 + n_count)
                        return MESSAGE_CUT;
                head->n_head += n_count;
                *(head->kind <= HEAD_BIN ? &head->n_raw
                                         : &head->n_values) = message_number(bytes + 1, n_count);
        }
        if (head->kind == HEAD_MAP)
                head->n_values *= 2;
        return MESSAGE_WHOLE;
}

/* One value at the front; *np: its bytes, where it is whole. */
static inline enum message_verdict message_walk(const uint8_t *bytes, size_t n_left, unsigned depth,
                                                size_t *np)
{
        struct message_head head;
        enum message_verdict verdict = message_head(bytes, n_left, &head);
        size_t at, n;

        if (verdict == MESSAGE_CUT && depth == TD_DEPTH_MAX && bytes < bytes + n_left &&
            bytes[0] >= 0xdc && bytes[0] <= 0xdf)
                return MESSAGE_DEEP; /* known by its first byte */
        if (verdict)
                return verdict;
        if (head.kind >= HEAD_ARRAY && depth == TD_DEPTH_MAX)
                return MESSAGE_DEEP;
        if (head.n_raw > n_left - head.n_head)
                return MESSAGE_CUT;
        at = head.n_head + (size_t)head.n_raw;
        for (uint64_t i = 0; i < head.n_values; i++) {
                verdict = message_walk(bytes + at, n_left - at, depth + 1, &n);
                if (verdict)
                        return verdict;
                at += n;
        }
        *np = at;
        return MESSAGE_WHOLE;
}

static inline size_t message_n_bytes(const uint8_t *bytes, size_t n_left)
{
        size_t n = 0;

        must(message_walk(bytes, n_left, 0, &n) == MESSAGE_WHOLE, "not one value");
        return n;
}

static inline void message_wide_head(struct dump *out, uint8_t first, uint64_t value, size_t n)
{
        dump_raw(out, &first, 1);
        for (size_t i = n; i-- > 0;) {
                uint8_t byte = (uint8_t)(value >> 8 * i);

                dump_raw(out, &byte, 1);
        }
}

static inline void message_widen_scalar(struct dump *out, const uint8_t *bytes, size_t n_bytes)
{
        uint8_t first = bytes[0];
        uint64_t value = message_number(bytes + 1, n_bytes - 1);

        if (first < 0x80)
                message_wide_head(out, 0xcf, first, 8);
        else if (first >= 0xe0)
                message_wide_head(out, 0xd3, (uint64_t)(int8_t)first, 8);
        else if (first >= 0xcc && first <= 0xcf)
                message_wide_head(out, 0xcf, value, 8);
        else if (first >= 0xd0 && first <= 0xd3)
                message_wide_head(out, 0xd3,
                                  (uint64_t)((int64_t)(value << (64 - 8 * (n_bytes - 1))) >>
                                             (64 - 8 * (n_bytes - 1))),
                                  8);
        else
                dump_raw(out, bytes, n_bytes);
}

/* The value at the front, which is whole, in other bytes. */
static inline size_t message_widen(struct dump *out, const uint8_t *bytes, size_t n_left)
{
        static const uint8_t firsts[] = { 0, 0xdb, 0xc6, 0xdd, 0xdf };
        struct message_head head;
        size_t at, n_pairs;

        must(message_head(bytes, n_left, &head) == MESSAGE_WHOLE, "not one value");
        at = head.n_head + (size_t)head.n_raw;
        if (head.kind == HEAD_SCALAR) {
                message_widen_scalar(out, bytes, at);
                return at;
        }
        n_pairs = head.kind == HEAD_MAP ? head.n_values / 2 : 0;
        message_wide_head(out, firsts[head.kind],
                          head.kind <= HEAD_BIN ? head.n_raw
                          : n_pairs             ? n_pairs
                                                : head.n_values,
                          4);
        dump_raw(out, bytes + head.n_head, (size_t)head.n_raw);
        if (head.kind == HEAD_ARRAY) {
                for (uint64_t i = 0; i < head.n_values; i++)
                        at += message_widen(out, bytes + at, n_left - at);
        } else if (n_pairs > 0) {
                size_t *begins = malloc((n_pairs + 1) * sizeof(*begins));

                must(begins != NULL, "no memory");
                for (size_t i = 0; i < n_pairs; i++) {
                        begins[i] = at;
                        at += message_n_bytes(bytes + at, n_left - at);
                        at += message_n_bytes(bytes + at, n_left - at);
                }
                begins[n_pairs] = at;
                for (size_t i = n_pairs; i-- > 0;) {
                        size_t from = begins[i];

                        while (from < begins[i + 1])
                                from += message_widen(out, bytes + from, begins[i + 1] - from);
                }
                free(begins);
        }
        return at;
}
