/* SPDX-License-Identifier: MIT */
/*
 * Scan
 *
 * A loop over values, with a stack of counts in place of recursion. Only whole scalars and whole
 * container heads are walked: where one is cut off, the next call looks at its head again, and at
 * nothing before it.
 *
 * Invariant: bytes seen, plus one byte for each value that open containers still want, are at most
 * TD_MESSAGE_MAX. So a count that no message could hold is refused at its head, and a decoder that
 * allocates by count is safe behind this.
 */
#include "wire/scan.h"

#include <stdbool.h>
#include <string.h>

/* The head of one value: its own bytes, the bytes that follow it raw, and the values that it
 * contains. */
struct head {
        size_t n_head;
        uint64_t n_raw;
        uint64_t n_values;
        bool is_container;
};

void scan_init(struct scan *scan)
{
        *scan = (struct scan){ .n_seen = 0 };
}

static uint64_t read_count(const uint8_t *bytes, size_t n)
{
        uint64_t value = 0;

        for (size_t i = 0; i < n; i++)
                value = value << 8 | bytes[i];
        return value;
}

/* Heads of a byte from 0xc0 to 0xdf. n_left >= 1 bytes are there. */
static int read_long_head(const uint8_t *bytes, size_t n_left, struct head *headp)
{
        enum { FIXED, RAW, ARRAY, MAP, REFUSED };
        /* what follows the byte: FIXED so many bytes, else a count of so many bytes */
        static const struct {
                uint8_t kind;
                uint8_t n;
        } rows[32] = {
                [0x00] = { FIXED, 0 },                          /* nil */
                [0x01] = { REFUSED, 0 }, [0x02] = { FIXED, 0 }, /* false, true */
                [0x03] = { FIXED, 0 },   [0x04] = { RAW, 1 },   /* bin */
                [0x05] = { RAW, 2 },     [0x06] = { RAW, 4 },     [0x07] = { REFUSED, 0 }, /* ext */
                [0x08] = { REFUSED, 0 }, [0x09] = { REFUSED, 0 }, [0x0a] = { FIXED, 4 }, /* float */
                [0x0b] = { FIXED, 8 },   [0x0c] = { FIXED, 1 },                          /* uint */
                [0x0d] = { FIXED, 2 },   [0x0e] = { FIXED, 4 },   [0x0f] = { FIXED, 8 },
                [0x10] = { FIXED, 1 }, /* int */
                [0x11] = { FIXED, 2 },   [0x12] = { FIXED, 4 },   [0x13] = { FIXED, 8 },
                [0x14] = { REFUSED, 0 }, /* fixext */
                [0x15] = { REFUSED, 0 }, [0x16] = { REFUSED, 0 }, [0x17] = { REFUSED, 0 },
                [0x18] = { REFUSED, 0 }, [0x19] = { RAW, 1 }, /* str */
                [0x1a] = { RAW, 2 },     [0x1b] = { RAW, 4 },     [0x1c] = { ARRAY, 2 },
                [0x1d] = { ARRAY, 4 },   [0x1e] = { MAP, 2 },     [0x1f] = { MAP, 4 },
        };
        uint8_t kind = rows[bytes[0] - 0xc0].kind, n = rows[bytes[0] - 0xc0].n;
        uint64_t count;

        if (kind == REFUSED)
                return SCAN_E_TYPE;
        if (kind == FIXED) {
                *headp = (struct head){ .n_head = 1, .n_raw = n };
                return 0;
        }
        *headp = (struct head){ .n_head = 1U + n, .is_container = kind != RAW };
        if (n_left < headp->n_head)
                return SCAN_MORE;

        count = read_count(bytes + 1, n);
        if (kind == RAW)
                headp->n_raw = count;
        else
                headp->n_values = kind == MAP ? 2 * count : count;
        return 0;
}

/* SCAN_MORE: it is cut off, and only n_head and is_container are known. */
static int read_head(const uint8_t *bytes, size_t n_left, struct head *headp)
{
        uint8_t byte = bytes[0];

        if (byte >= 0xc0 && byte <= 0xdf)
                return read_long_head(bytes, n_left, headp);

        *headp = (struct head){ .n_head = 1 };
        if (byte >= 0x80 && byte <= 0x8f) { /* fixmap */
                headp->is_container = true;
                headp->n_values = 2U * (byte & 0x0f);
        } else if (byte >= 0x90 && byte <= 0x9f) { /* fixarray */
                headp->is_container = true;
                headp->n_values = byte & 0x0f;
        } else if (byte >= 0xa0 && byte <= 0xbf) { /* fixstr */
                headp->n_raw = byte & 0x1f;
        }
        return 0;
}

int scan_run(struct scan *scan, const uint8_t *bytes, size_t n_bytes)
{
        uint64_t n_wanted =
                0; /* values, hence at least as many bytes, behind the value at n_seen */
        struct head head;
        int r;

        if (scan->n_seen > 0 && scan->depth == 0)
                return 0;

        for (unsigned i = 0; i < scan->depth; i++)
                n_wanted += scan->left[i];
        n_wanted -= scan->depth > 0;

        while (scan->n_seen < n_bytes) {
                size_t n_left = n_bytes - scan->n_seen;

                r = read_head(bytes + scan->n_seen, n_left, &head);
                if (r && r != SCAN_MORE)
                        return r;
                if (head.is_container && scan->depth == TD_DEPTH_MAX)
                        return SCAN_E_DEPTH;
                if (head.n_head + head.n_raw + n_wanted > TD_MESSAGE_MAX - scan->n_seen)
                        return SCAN_E_SIZE;
                if (r)
                        return r;
                if (head.n_values > TD_MESSAGE_MAX - scan->n_seen - head.n_head - n_wanted)
                        return SCAN_E_COUNT;
                if (head.n_head + head.n_raw > n_left)
                        return SCAN_MORE;

                scan->n_seen += head.n_head + (size_t)head.n_raw;
                if (scan->depth > 0)
                        scan->left[scan->depth - 1]--;
                if (head.n_values > 0)
                        scan->left[scan->depth++] = head.n_values;
                while (scan->depth > 0 && scan->left[scan->depth - 1] == 0)
                        scan->depth--;
                if (scan->depth == 0)
                        return 0;
                n_wanted += head.n_values;
                n_wanted--;
        }

        return SCAN_MORE;
}

const char *scan_error(int r)
{
        switch (r) {
        case SCAN_E_DEPTH: return "arrays and maps are nested deeper than the limit";
        case SCAN_E_COUNT: return "an array or map declares more elements than a message can hold";
        case SCAN_E_SIZE: return "the message is longer than the limit";
        case SCAN_E_TYPE:
                return "a byte that begins no value, or an ext type, which is not spoken here";
        default: return "the message is not complete";
        }
}
