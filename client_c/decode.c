/* SPDX-License-Identifier: MIT */
/*
 * Reading replies
 *
 * A cursor over the bytes of a message that scan_run() found whole. It allocates nothing, and what
 * it points out lies in the message. See codec.h.
 */
#include "codec.h"

#include <stdio.h>
#include <string.h>

#include "tensord/infer_client.h"

static uint64_t big_endian(const uint8_t *bytes, unsigned n)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < n; i++)
                value = value << 8 | bytes[i];
        return value;
}

/* ---- one value ---- */

enum form {
        FORM_BAD,
        FORM_NIL,
        FORM_FALSE,
        FORM_TRUE,
        FORM_FIXINT,
        FORM_NEGATIVE,
        FORM_UINT,
        FORM_INT,
        FORM_FLOAT,
        FORM_STR,
        FORM_BIN,
        FORM_ARRAY,
        FORM_MAP
};

/*
 * What the first byte says: what it is, how many bytes of number follow, and, where none do, the
 * number itself.
 */
struct head {
        enum form form;
        uint8_t n_bytes;
        uint8_t value;
};

static struct head head_wide(uint8_t byte)
{
        switch (byte) {
        case 0xc0:
                return (struct head){ FORM_NIL, 0, 0 };
        case 0xc2:
                return (struct head){ FORM_FALSE, 0, 0 };
        case 0xc3:
                return (struct head){ FORM_TRUE, 0, 0 };
        case 0xc4:
        case 0xc5:
        case 0xc6:
                return (struct head){ FORM_BIN, (uint8_t)(1U << (byte - 0xc4)), 0 };
        case 0xca:
                return (struct head){ FORM_FLOAT, 4, 0 };
        case 0xcb:
                return (struct head){ FORM_FLOAT, 8, 0 };
        case 0xcc:
        case 0xcd:
        case 0xce:
        case 0xcf:
                return (struct head){ FORM_UINT, (uint8_t)(1U << (byte - 0xcc)), 0 };
        case 0xd0:
        case 0xd1:
        case 0xd2:
        case 0xd3:
                return (struct head){ FORM_INT, (uint8_t)(1U << (byte - 0xd0)), 0 };
        case 0xd9:
        case 0xda:
        case 0xdb:
                return (struct head){ FORM_STR, (uint8_t)(1U << (byte - 0xd9)), 0 };
        case 0xdc:
        case 0xdd:
                return (struct head){ FORM_ARRAY, (uint8_t)(2U << (byte - 0xdc)), 0 };
        case 0xde:
        case 0xdf:
                return (struct head){ FORM_MAP, (uint8_t)(2U << (byte - 0xde)), 0 };
        default:
                return (struct head){ FORM_BAD, 0, 0 };
        }
}

static struct head head_of(uint8_t byte)
{
        if (byte < 0x80)
                return (struct head){ FORM_FIXINT, 0, byte };
        if (byte < 0x90)
                return (struct head){ FORM_MAP, 0, byte & 0x0f };
        if (byte < 0xa0)
                return (struct head){ FORM_ARRAY, 0, byte & 0x0f };
        if (byte < 0xc0)
                return (struct head){ FORM_STR, 0, byte & 0x1f };
        if (byte >= 0xe0)
                return (struct head){ FORM_NEGATIVE, 0, byte };
        return head_wide(byte);
}

void scan_init(struct scan *scan)
{
        scan->n_seen = 0;
        scan->n_left = 1;
}

int scan_run(struct scan *scan, const uint8_t *bytes, size_t n_bytes)
{
        while (scan->n_left > 0) {
                struct head head;
                uint64_t number, n_body = 0, n_more = 0;

                if (scan->n_seen >= TD_MESSAGE_MAX)
                        return SCAN_BAD;
                if (scan->n_seen >= n_bytes)
                        return SCAN_MORE;
                head = head_of(bytes[scan->n_seen]);
                if (head.form == FORM_BAD)
                        return SCAN_BAD;
                if (n_bytes - scan->n_seen - 1 < head.n_bytes)
                        return SCAN_MORE;
                number = head.n_bytes ? big_endian(bytes + scan->n_seen + 1, head.n_bytes)
                                      : head.value;
                if (head.form == FORM_STR || head.form == FORM_BIN)
                        n_body = number;
                else if (head.form == FORM_ARRAY || head.form == FORM_MAP)
                        n_more = head.form == FORM_MAP ? 2 * number : number;
                if (n_body > TD_MESSAGE_MAX || scan->n_left - 1 + n_more > TD_MESSAGE_MAX)
                        return SCAN_BAD;
                if (n_bytes - scan->n_seen - 1 - head.n_bytes < n_body)
                        return scan->n_seen + 1 + head.n_bytes + n_body > TD_MESSAGE_MAX
                                       ? SCAN_BAD
                                       : SCAN_MORE;
                scan->n_seen += 1 + (size_t)head.n_bytes + n_body;
                scan->n_left += n_more - 1;
        }
        return scan->n_seen > TD_MESSAGE_MAX ? SCAN_BAD : 0;
}

struct reader reader_of(const void *bytes, size_t n_bytes)
{
        const uint8_t *at = bytes;

        return (struct reader){ .at = at, .end = at + n_bytes };
}

static struct reader_item reader_float(const uint8_t *bytes, unsigned n_bytes)
{
        struct reader_item item = { .kind = READ_FLOAT };
        uint64_t bits = big_endian(bytes, n_bytes);
        uint32_t low = (uint32_t)bits;
        float f;

        if (n_bytes == 8) {
                memcpy(&item.d, &bits, sizeof(item.d));
        } else {
                memcpy(&f, &low, sizeof(f));
                item.d = f;
        }
        return item;
}

static struct reader_item reader_signed(uint64_t value, unsigned n_bytes)
{
        unsigned shift = 64 - 8 * n_bytes;
        int64_t i = (int64_t)(value << shift) >> shift;

        return i < 0 ? (struct reader_item){ .kind = READ_INT, .i = i }
                     : (struct reader_item){ .kind = READ_UINT, .u = (uint64_t)i };
}

static struct reader_item reader_fail(struct reader *reader)
{
        reader->has_failed = true;
        reader->at = reader->end;
        return (struct reader_item){ .kind = READ_NOTHING };
}

struct reader_item reader_next(struct reader *reader)
{
        const uint8_t *number_at;
        struct head head;
        uint64_t number;

        if (reader->at >= reader->end)
                return reader_fail(reader);
        head = head_of(*reader->at);
        number_at = reader->at + 1;
        if (head.form == FORM_BAD || (size_t)(reader->end - number_at) < head.n_bytes)
                return reader_fail(reader);
        number = head.n_bytes ? big_endian(number_at, head.n_bytes) : head.value;
        reader->at = number_at + head.n_bytes;
        switch (head.form) {
        case FORM_NIL:
                return (struct reader_item){ .kind = READ_NIL };
        case FORM_FALSE:
        case FORM_TRUE:
                return (struct reader_item){ .kind = READ_BOOL, .b = head.form == FORM_TRUE };
        case FORM_FIXINT:
        case FORM_UINT:
                return (struct reader_item){ .kind = READ_UINT, .u = number };
        case FORM_NEGATIVE:
                return reader_signed(number, 1);
        case FORM_INT:
                return reader_signed(number, head.n_bytes);
        case FORM_FLOAT:
                return reader_float(number_at, head.n_bytes);
        case FORM_STR:
        case FORM_BIN: {
                const uint8_t *bytes = reader->at;

                if (number > (size_t)(reader->end - reader->at))
                        return reader_fail(reader);
                reader->at += number;
                return (struct reader_item){ .kind = head.form == FORM_STR ? READ_STR : READ_BIN,
                                             .u = number,
                                             .bytes = bytes };
        }
        case FORM_ARRAY:
        case FORM_MAP:
                if (number > (size_t)(reader->end - reader->at))
                        return reader_fail(reader);
                return (struct reader_item){ .kind = head.form == FORM_ARRAY ? READ_ARRAY
                                                                             : READ_MAP,
                                             .u = number };
        default:
                return reader_fail(reader);
        }
}

void reader_skip(struct reader *reader)
{
        uint64_t n_left = 1;

        while (n_left > 0 && !reader->has_failed) {
                struct reader_item item = reader_next(reader);

                n_left--;
                if (item.kind == READ_ARRAY)
                        n_left += item.u;
                else if (item.kind == READ_MAP)
                        n_left += 2 * item.u;
        }
}

/* ---- values of a known kind ---- */

static struct reader_item reader_expect(struct reader *reader, enum reader_kind kind)
{
        struct reader_item item = reader_next(reader);

        return item.kind == kind ? item : reader_fail(reader);
}

uint32_t reader_map(struct reader *reader)
{
        struct reader_item item = reader_expect(reader, READ_MAP);

        return item.kind == READ_MAP ? (uint32_t)item.u : 0;
}

uint32_t reader_array(struct reader *reader)
{
        struct reader_item item = reader_expect(reader, READ_ARRAY);

        return item.kind == READ_ARRAY ? (uint32_t)item.u : 0;
}

bool reader_bool(struct reader *reader)
{
        struct reader_item item = reader_expect(reader, READ_BOOL);

        return item.kind == READ_BOOL && item.b;
}

uint64_t reader_uint(struct reader *reader)
{
        struct reader_item item = reader_expect(reader, READ_UINT);

        return item.kind == READ_UINT ? item.u : 0;
}

int64_t reader_int(struct reader *reader)
{
        struct reader_item item = reader_next(reader);

        if (item.kind == READ_INT)
                return item.i;
        if (item.kind == READ_UINT && item.u <= INT64_MAX)
                return (int64_t)item.u;
        reader_fail(reader);
        return 0;
}

const char *reader_str(struct reader *reader, size_t *n)
{
        struct reader_item item = reader_expect(reader, READ_STR);

        *n = item.kind == READ_STR ? item.u : 0;
        return item.kind == READ_STR ? (const char *)item.bytes : "";
}

const uint8_t *reader_bin(struct reader *reader, size_t *n)
{
        struct reader_item item = reader_expect(reader, READ_BIN);

        *n = item.kind == READ_BIN ? item.u : 0;
        return item.kind == READ_BIN ? item.bytes : NULL;
}

bool text_is(const char *text, size_t n_text, const char *wanted)
{
        return td_is_name(wanted, text, n_text);
}

/* ---- messages ---- */

bool message_read(struct message *message, const uint8_t *bytes, size_t n_bytes)
{
        struct reader reader = reader_of(bytes, n_bytes);
        uint32_t n = reader_array(&reader);
        uint64_t kind = reader_uint(&reader);

        *message = (struct message){ .is_notification = kind == 2 };
        if (kind == 1 && n == 4) {
                uint64_t msgid = reader_uint(&reader);

                if (msgid > UINT32_MAX)
                        return false;
                message->msgid = (uint32_t)msgid;
        } else if (kind == 2 && n == 3) {
                message->method = reader_str(&reader, &message->n_method);
        } else {
                return false;
        }
        message->body = reader;
        return !reader.has_failed;
}

int error_from_name(const char *name, size_t n_name)
{
        int code = td_error_find(name, n_name);

        return code < 0 ? TD_E_INTERNAL : code;
}

/* "node" of an error's data, -1 if it has none */
static int32_t read_error_node(struct reader *body)
{
        int32_t node = -1;
        struct reader_item item = reader_next(body);

        if (item.kind == READ_NIL)
                return -1;
        for (uint64_t i = 0; item.kind == READ_MAP && i < item.u && !body->has_failed; i++) {
                size_t n_key;
                const char *key = reader_str(body, &n_key);

                if (text_is(key, n_key, "node"))
                        node = (int32_t)reader_int(body);
                else
                        reader_skip(body);
        }
        return node;
}

int read_error(struct reader *body, td_error *error)
{
        struct reader_item item = reader_next(body);
        int code = TD_E_INTERNAL;
        int32_t node = -1;
        const char *text = "";
        size_t n_text = 0;

        if (item.kind == READ_NIL)
                return TD_OK;
        for (uint64_t i = 0; item.kind == READ_MAP && i < item.u && !body->has_failed; i++) {
                size_t n_key, n_name;
                const char *key = reader_str(body, &n_key), *name;

                if (text_is(key, n_key, "code")) {
                        name = reader_str(body, &n_name);
                        code = error_from_name(name, n_name);
                } else if (text_is(key, n_key, "message")) {
                        text = reader_str(body, &n_text);
                } else if (text_is(key, n_key, "data")) {
                        node = read_error_node(body);
                } else {
                        reader_skip(body);
                }
        }
        if (body->has_failed || item.kind != READ_MAP)
                code = TD_E_MALFORMED;
        if (error) {
                error->code = code;
                error->node = node;
                snprintf(error->message, sizeof(error->message), "%.*s", (int)n_text, text);
        }
        return code;
}

/* ---- results ---- */

static uint8_t read_extents(struct reader *reader, int64_t extents[TD_NDIM_MAX])
{
        uint32_t n = reader_array(reader);

        if (n > TD_NDIM_MAX) {
                reader_fail(reader);
                return 0;
        }
        for (uint32_t i = 0; i < n; i++)
                extents[i] = reader_int(reader);
        return (uint8_t)n;
}

static void read_dtype(struct reader *reader, uint8_t *dtypep)
{
        size_t n_name;
        const char *name = reader_str(reader, &n_name);
        int dtype = td_dtype_find(name, n_name);

        if (dtype < 0)
                reader_fail(reader);
        else
                *dtypep = (uint8_t)dtype;
}

static void read_id(struct reader *reader, struct description *d)
{
        size_t n_id;
        const uint8_t *id = reader_bin(reader, &n_id);

        if (!id || n_id != sizeof(d->id)) {
                reader_fail(reader);
                return;
        }
        memcpy(d->id, id, sizeof(d->id));
        d->has_id = true;
}

/* Where its bytes are. false: the key is none of these. */
static bool read_place(struct reader *reader, const char *key, size_t n_key, struct description *d)
{
        if (text_is(key, n_key, "segment")) {
                d->segment = reader_uint(reader);
                d->has_segment = true;
        } else if (text_is(key, n_key, "offset")) {
                d->offset = reader_uint(reader);
        } else if (text_is(key, n_key, "n_bytes")) {
                d->map_bytes = reader_uint(reader);
        } else if (text_is(key, n_key, "writable")) {
                d->is_writable = reader_bool(reader);
        } else if (text_is(key, n_key, "data")) {
                d->data = reader_bin(reader, &d->n_data);
        } else {
                return false;
        }
        return true;
}

static bool description_is_sound(const struct description *d, uint8_t n_strides)
{
        if (td_check_type(&d->type, NULL) || n_strides != d->type.ndim)
                return false;
        if ((uint64_t)td_type_n_bytes(&d->type) != d->n_bytes ||
            (d->data && d->n_data != d->n_bytes))
                return false;
        return !d->has_segment ||
               (d->offset <= d->map_bytes && d->n_bytes <= d->map_bytes - d->offset);
}

/* Returns the number of strides. */
static uint8_t read_keys(struct reader *reader, struct description *d)
{
        uint32_t n = reader_map(reader);
        uint8_t n_strides = 0;

        *d = (struct description){ .is_unsealed = false };
        for (uint32_t i = 0; i < n && !reader->has_failed; i++) {
                size_t n_key, n_state;
                const char *key = reader_str(reader, &n_key), *state;

                if (text_is(key, n_key, "dtype")) {
                        read_dtype(reader, &d->type.dtype);
                } else if (text_is(key, n_key, "shape")) {
                        d->type.ndim = read_extents(reader, d->type.shape);
                } else if (text_is(key, n_key, "strides")) {
                        n_strides = read_extents(reader, d->strides);
                } else if (text_is(key, n_key, "nbytes")) {
                        d->n_bytes = reader_uint(reader);
                } else if (text_is(key, n_key, "id")) {
                        read_id(reader, d);
                } else if (text_is(key, n_key, "state")) {
                        state = reader_str(reader, &n_state);
                        d->is_unsealed = text_is(state, n_state, "unsealed");
                        d->is_mutable = text_is(state, n_state, "mutable");
                } else if (text_is(key, n_key, "name")) {
                        d->name = reader_str(reader, &d->n_name);
                } else if (text_is(key, n_key, "shared")) {
                        d->is_shared = reader_bool(reader);
                } else if (text_is(key, n_key, "evictable")) {
                        d->is_evictable = reader_bool(reader);
                } else if (text_is(key, n_key, "spilled")) {
                        d->is_spilled = reader_bool(reader);
                } else if (text_is(key, n_key, "lost")) {
                        d->lost = reader_str(reader, &d->n_lost);
                } else if (text_is(key, n_key, "owner")) {
                        d->has_owner = true;
                        d->owner = (uint32_t)reader_uint(reader);
                } else if (!read_place(reader, key, n_key, d)) {
                        reader_skip(reader);
                }
        }
        return n_strides;
}

bool read_description(struct reader *reader, struct description *d)
{
        const uint8_t n_strides = read_keys(reader, d);

        return !reader->has_failed && !d->lost && description_is_sound(d, n_strides);
}

bool read_row(struct reader *reader, struct description *d)
{
        const uint8_t n_strides = read_keys(reader, d);

        /* What is lost has no strides; nor is any of it read by them. */
        return !reader->has_failed && description_is_sound(d, d->lost ? d->type.ndim : n_strides);
}

int read_handed(struct reader result, struct handed handed[TD_FDS_MAX])
{
        struct reader_item item = reader_next(&result);

        for (uint64_t i = 0; item.kind == READ_MAP && i < item.u && !result.has_failed; i++) {
                struct reader_item key = reader_next(&result);
                uint32_t n;

                if (key.kind != READ_STR || !text_is((const char *)key.bytes, key.u, "fds")) {
                        reader_skip(&result);
                        continue;
                }
                n = reader_array(&result);
                if (n > TD_FDS_MAX)
                        return -1;
                for (uint32_t k = 0; k < n; k++) {
                        if (reader_array(&result) != 3)
                                return -1;
                        handed[k].segment = reader_uint(&result);
                        handed[k].n_bytes = reader_uint(&result);
                        handed[k].is_writable = reader_bool(&result);
                }
                return result.has_failed ? -1 : (int)n;
        }
        return 0;
}

bool read_greeting(struct reader *reader, struct greeting *greeting)
{
        uint32_t n = reader_map(reader);

        *greeting = (struct greeting){ .version = 0 };
        for (uint32_t i = 0; i < n && !reader->has_failed; i++) {
                size_t n_key, n_epoch;
                const char *key = reader_str(reader, &n_key);
                const uint8_t *epoch;

                if (text_is(key, n_key, "version")) {
                        greeting->version = reader_int(reader);
                } else if (text_is(key, n_key, "uid")) {
                        greeting->uid = (uint32_t)reader_uint(reader);
                } else if (text_is(key, n_key, "busy_poll_us")) {
                        greeting->busy_poll_us = reader_int(reader);
                } else if (text_is(key, n_key, "epoch")) {
                        epoch = reader_bin(reader, &n_epoch);
                        if (epoch && n_epoch == sizeof(greeting->epoch))
                                memcpy(greeting->epoch, epoch, n_epoch);
                } else {
                        reader_skip(reader);
                }
        }
        return !reader->has_failed;
}
