/* SPDX-License-Identifier: MIT */
#include "store/record.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <xxhash.h>

struct record_head {
        uint64_t check;
        uint32_t n_bytes;
        uint16_t type;
        uint16_t n_name;
        uint32_t uid;
        uint16_t flags;
        uint16_t op_index;
        uint64_t time_ms;
        uint8_t op_id[16];
        uint8_t tensor_id[16];
};

struct record_value {
        uint64_t n_data;
        uint8_t dtype;
        uint8_t ndim;
        uint8_t zero[6];
};

struct record_place {
        uint8_t random[SHM_RANDOM];
        uint64_t file_bytes;
        uint64_t mark; /* inode or check */
};

enum {
        FLAG_OP_ID = 1,
        FLAG_SEGMENT = 2,
        FLAG_MUTABLE = 4,
        FLAG_SHARED = 8,
        FLAG_EVICTABLE = 16,
        FLAG_SPILLED = 32,
        FLAGS = 63
};

static_assert(sizeof(struct record_head) == 64, "no padding");
static_assert(sizeof(struct record_value) == 16, "no padding");
static_assert(sizeof(struct record_place) == 32, "no padding");
static_assert(TD_NAME_MAX <= UINT16_MAX, "a name's length fits");

static uint64_t record_check(const uint8_t *bytes, uint32_t n_bytes, uint64_t offset)
{
        size_t n_check = sizeof(uint64_t);

        return XXH3_64bits_withSeed(bytes + n_check, n_bytes - n_check, offset);
}

static bool record_has_place(const struct record *record)
{
        return record->has_segment || record->is_spilled;
}

uint32_t record_n_bytes(const struct record *record)
{
        uint64_t n = sizeof(struct record_head) + record->n_name;

        if (record->type == RECORD_COMMIT) {
                n += sizeof(struct record_value) + record->desc.type.ndim * 2 * sizeof(int64_t);
                n += record_has_place(record) ? sizeof(struct record_place) : record->n_data;
        }
        return (uint32_t)((n + 7) / 8 * 8);
}

static uint8_t *put(uint8_t *to, const void *from, size_t n_bytes)
{
        if (n_bytes)
                memcpy(to, from, n_bytes);
        return to + n_bytes;
}

void record_write(uint8_t *bytes, uint64_t offset, const struct record *record)
{
        uint32_t n_bytes = record_n_bytes(record);
        size_t n_axes = record->desc.type.ndim * sizeof(int64_t);
        struct record_head head = {
                .n_bytes = n_bytes,
                .type = (uint16_t)record->type,
                .n_name = record->n_name,
                .uid = record->uid,
                .flags = (uint16_t)((record->op_id.is_set ? FLAG_OP_ID : 0) |
                                    (record->has_segment ? FLAG_SEGMENT : 0) |
                                    (record->is_mutable ? FLAG_MUTABLE : 0) |
                                    (record->is_shared ? FLAG_SHARED : 0) |
                                    (record->is_evictable ? FLAG_EVICTABLE : 0) |
                                    (record->is_spilled ? FLAG_SPILLED : 0)),
                .op_index = record->op_index,
                .time_ms = record->time_ms,
        };
        uint8_t *p = bytes + sizeof(head);

        if (record->op_id.is_set)
                memcpy(head.op_id, record->op_id.bytes, sizeof(head.op_id));
        memcpy(head.tensor_id, record->tensor_id, sizeof(head.tensor_id));
        if (record->type == RECORD_COMMIT) {
                struct record_value value = { .n_data = record->n_data,
                                              .dtype = record->desc.type.dtype,
                                              .ndim = record->desc.type.ndim };
                struct record_place place = { .file_bytes = record->file_bytes,
                                              .mark = record->inode };

                memcpy(place.random, record->random, sizeof(place.random));
                p = put(p, &value, sizeof(value));
                p = put(p, record->desc.type.shape, n_axes);
                p = put(p, record->desc.strides, n_axes);
                p = record_has_place(record) ? put(p, &place, sizeof(place))
                                             : put(p, record->data, record->n_data);
        }
        p = put(p, record->name, record->n_name);
        assert(p <= bytes + n_bytes && n_bytes - (size_t)(p - bytes) < 8);
        memset(p, 0, n_bytes - (size_t)(p - bytes));
        memcpy(bytes, &head, sizeof(head));
        head.check = record_check(bytes, n_bytes, offset);
        memcpy(bytes, &head.check, sizeof(head.check));
}

void record_move(uint8_t *to, uint64_t to_offset, const uint8_t *from, uint32_t n_record_bytes)
{
        uint64_t check;

        memcpy(to, from, n_record_bytes);
        check = record_check(to, n_record_bytes, to_offset);
        memcpy(to, &check, sizeof(check));
}

/* Where the data is, in a segment or a file: that has room for it. */
static bool record_read_place(const uint8_t *p, uint64_t left, uint16_t flags,
                              struct record *record, const uint8_t **endp)
{
        struct record_place place;

        if (left < sizeof(place))
                return false;
        memcpy(&place, p, sizeof(place));
        memcpy(record->random, place.random, sizeof(place.random));
        record->file_bytes = place.file_bytes;
        record->inode = place.mark;
        record->has_segment = flags & FLAG_SEGMENT;
        record->is_spilled = flags & FLAG_SPILLED;
        *endp = p + sizeof(place);
        if (place.file_bytes < TD_HEADER_BYTES || place.file_bytes > INT64_MAX)
                return false;
        if (record->has_segment)
                return !record->is_spilled && place.file_bytes - TD_HEADER_BYTES >= record->n_data;
        return record->n_data > 0 && place.file_bytes - TD_HEADER_BYTES == record->n_data;
}

/* The part of a COMMIT between head and name; the bytes left are counted down. */
static bool record_read_value(const uint8_t *p, uint64_t left, uint16_t flags,
                              struct record *record, const uint8_t **endp)
{
        struct record_value value;
        size_t n_axes;
        uint64_t n_data;

        if (left < sizeof(value))
                return false;
        memcpy(&value, p, sizeof(value));
        p += sizeof(value);
        left -= sizeof(value);
        if (value.ndim > TD_NDIM_MAX)
                return false;
        n_axes = value.ndim * sizeof(int64_t);
        if (left < 2 * n_axes)
                return false;
        record->desc.type.dtype = value.dtype;
        record->desc.type.ndim = value.ndim;
        memcpy(record->desc.type.shape, p, n_axes);
        memcpy(record->desc.strides, p + n_axes, n_axes);
        p += 2 * n_axes;
        left -= 2 * n_axes;

        if (td_check_type(&record->desc.type, NULL))
                return false;
        n_data = (uint64_t)desc_n_bytes(&record->desc);
        if (n_data != value.n_data || desc_check(&record->desc, n_data))
                return false;
        record->n_data = n_data;
        record->is_mutable = flags & FLAG_MUTABLE;
        record->is_shared = flags & FLAG_SHARED;
        record->is_evictable = flags & FLAG_EVICTABLE;
        if (record->is_mutable &&
            (record->is_shared || record->is_evictable || !desc_is_dense(&record->desc) ||
             (n_data > 0 && !(flags & FLAG_SEGMENT))))
                return false;

        if (flags & (FLAG_SEGMENT | FLAG_SPILLED))
                return record_read_place(p, left, flags, record, endp);
        if (n_data > TD_INLINE_MAX || left < n_data)
                return false;
        record->data = p;
        *endp = p + n_data;
        return true;
}

int record_read(const uint8_t *bytes, uint64_t n_bytes, uint64_t offset, struct record *record,
                uint32_t *n_record_bytesp)
{
        struct record_head head;
        const uint8_t *p, *end;

        if (n_bytes < sizeof(head))
                return RECORD_E_DAMAGED;
        memcpy(&head, bytes, sizeof(head));
        if (head.n_bytes < sizeof(head) || head.n_bytes > n_bytes || head.n_bytes % 8 ||
            record_check(bytes, head.n_bytes, offset) != head.check)
                return RECORD_E_DAMAGED;

        *record = (struct record){ .type = head.type,
                                   .uid = head.uid,
                                   .n_name = head.n_name,
                                   .op_index = head.op_index,
                                   .time_ms = head.time_ms };
        record->op_id.is_set = head.flags & FLAG_OP_ID;
        memcpy(record->op_id.bytes, head.op_id, sizeof(head.op_id));
        memcpy(record->tensor_id, head.tensor_id, sizeof(head.tensor_id));
        p = bytes + sizeof(head);
        end = bytes + head.n_bytes;
        if (head.flags & ~(head.type == RECORD_COMMIT ? FLAGS : FLAG_OP_ID))
                return RECORD_E_DAMAGED;
        if (head.type == RECORD_COMMIT) {
                if (!record_read_value(p, (uint64_t)(end - p), head.flags, record, &p))
                        return RECORD_E_DAMAGED;
        } else if (head.type != RECORD_DELETE && head.type != RECORD_OUTCOME) {
                return RECORD_E_DAMAGED;
        }

        /* The name and less than 8 bytes behind it; an OUTCOME has none. */
        if (head.n_name > end - p || end - p - head.n_name >= 8 || head.n_name > TD_NAME_MAX ||
            (head.n_name == 0) != (head.type == RECORD_OUTCOME) || memchr(p, 0, head.n_name))
                return RECORD_E_DAMAGED;
        record->name = (const char *)p;
        *n_record_bytesp = head.n_bytes;
        return 0;
}

int record_scan(const uint8_t *bytes, uint64_t n_bytes, uint64_t offset,
                int (*visit)(void *ctx, const struct record *record, const uint8_t *bytes),
                void *ctx, uint64_t *offsetp)
{
        struct record record;
        uint32_t n_record;
        int r;

        /* All are looked at before any is shown. */
        for (unsigned is_shown = 0; is_shown < 2; is_shown++) {
                for (uint64_t at = 0; at < n_bytes; at += n_record) {
                        *offsetp = offset + at;
                        r = record_read(bytes + at, n_bytes - at, offset + at, &record, &n_record);
                        if (!r && is_shown)
                                r = visit(ctx, &record, bytes + at);
                        if (r)
                                return r;
                }
        }
        return 0;
}
