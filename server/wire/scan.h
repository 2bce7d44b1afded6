/* SPDX-License-Identifier: MIT */
/*
 * Scan
 *
 * Is a whole, bounded, well-formed MessagePack value at the front of these bytes? Walks them
 * resumably, without allocating and without trust: depth, declared counts against the bytes that a
 * message may still have, total length, no ext. Only what passed is given to a decoder. Bytes are
 * looked at once, however many pieces they arrive in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tensord/limits.h"

struct scan {
        size_t n_seen;               /* bytes walked so far, all of them part of this message */
        unsigned depth;              /* open containers */
        uint64_t left[TD_DEPTH_MAX]; /* values each of them still wants */
};

enum {
        SCAN_MORE = 1, /* fine so far, not complete */
        SCAN_E_DEPTH,  /* nested too deep */
        SCAN_E_COUNT,  /* declares more than the message can hold */
        SCAN_E_SIZE,   /* longer than TD_MESSAGE_MAX */
        SCAN_E_TYPE,   /* ext, or the byte c1 */
};

void scan_init(struct scan *scan);
/* bytes: the whole message so far, from its first byte. 0: complete, scan->n_seen bytes long. */
int scan_run(struct scan *scan, const uint8_t *bytes, size_t n_bytes);
/* What to tell the peer. */
const char *scan_error(int r);
