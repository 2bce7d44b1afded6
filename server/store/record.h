/* SPDX-License-Identifier: MIT */
/*
 * Catalog records
 *
 * The catalog's bytes and their meaning, as pure functions: nothing here knows a file. A record
 * begins with a checksum over all that follows and over its place, so one that was cut, moved or
 * overwritten is never taken for a whole one. Records lie back to back, each a multiple of 8 bytes.
 *
 *   head     u64 check | u32 n_bytes | u16 type | u16 n_name | u32 uid | u16 flags |
 *            u16 op_index | u64 time_ms | u8 op_id[16] | u8 tensor_id[16]
 *   COMMIT   u64 n_data | u8 dtype | u8 ndim | u8 zero[6] | i64 shape[ndim] | i64 strides[ndim]
 *            in a segment: u8 random[16] | u64 file_bytes | u64 inode
 *            in a file that it was spilled to: u8 random[16] | u64 file_bytes | u64 check
 *            else: u8 data[n_data]
 *   all      u8 name[n_name] | zeros up to a multiple of 8
 *
 * COMMIT lets a name mean a tensor, its own or shared, kept or evictable (flags), DELETE lets it
 * mean nothing, OUTCOME (after compaction) keeps what became of an operation whose value is gone.
 * Little-endian, as every machine that this runs on.
 */
#pragma once

#include "store/shm.h"
#include "store/store.h"

enum record_type { RECORD_COMMIT = 1, RECORD_DELETE = 2, RECORD_OUTCOME = 3 };

struct record {
        enum record_type type;
        uid_t uid;
        const char *name; /* not terminated */
        uint16_t n_name;
        struct op_id op_id;
        uint16_t op_index; /* in the group of that operation; the first is what it is remembered by
                            */
        uint64_t time_ms;
        uint8_t tensor_id[16];
        /* COMMIT */
        struct desc desc;
        bool is_mutable;
        bool is_shared;
        bool is_evictable;
        uint64_t n_data;
        const uint8_t *data; /* NULL: in the segment, or the file */
        bool has_segment;
        bool is_spilled;
        uint8_t random[SHM_RANDOM]; /* in the name of one or the other */
        uint64_t file_bytes;
        union {
                uint64_t inode; /* of the segment */
                uint64_t check; /* of the data in the file */
        };
};

uint32_t record_n_bytes(const struct record *record);
/*
 * bytes: record_n_bytes() of them; offset: their place in the catalog, which the checksum covers.
 */
void record_write(uint8_t *bytes, uint64_t offset, const struct record *record);

enum { RECORD_E_DAMAGED = 1 };

/* The record at the start of the bytes; points into them. */
int record_read(const uint8_t *bytes, uint64_t n_bytes, uint64_t offset, struct record *record,
                uint32_t *n_record_bytesp);
/* Move a whole record to another place. */
void record_move(uint8_t *to, uint64_t to_offset, const uint8_t *from, uint32_t n_record_bytes);

/*
 * Visit every record of the bytes, in order, but only if all of them are whole and fill the bytes:
 * else RECORD_E_DAMAGED and none is visited, *offsetp is where. A visit that returns non-zero ends
 * the walk with that.
 */
int record_scan(const uint8_t *bytes, uint64_t n_bytes, uint64_t offset,
                int (*visit)(void *ctx, const struct record *record, const uint8_t *bytes),
                void *ctx, uint64_t *offsetp);
