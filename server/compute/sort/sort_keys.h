/* SPDX-License-Identifier: MIT */
/*
 * Sorting keys
 *
 * Stable, on the calling thread: a run of keys, each with the index that goes along, or none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What is sorted, and as much room beside it. indices NULL: there are none. */
struct keys {
        uint64_t *keys;
        uint32_t *indices;
};

/* n keys of from; they end up in from or in room, whichever is returned. */
struct keys sort_keys(struct keys from, struct keys room, size_t n);
