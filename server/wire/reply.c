/* SPDX-License-Identifier: MIT */
/*
 * Replies
 *
 * Each value is written in its shortest form, so that equal replies are equal bytes. The buffer
 * doubles; after an allocation has failed nothing is written any more.
 */
#include "wire/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/utf8.h"

#define REPLY_FIRST_BYTES 256

struct reply *reply_new(void)
{
        struct reply *reply = calloc(1, sizeof(*reply));

        if (reply)
                list_init(&reply->link);
        return reply;
}

struct reply *reply_free(struct reply *reply)
{
        if (!reply)
                return NULL;

        if (reply->drop_fds)
                reply->drop_fds(reply);
        list_unlink(&reply->link);
        free(reply->bytes);
        free(reply);
        return NULL;
}

/* After a failure nothing has room any more. */
static bool reply_grow(struct reply *reply, size_t n)
{
        size_t n_allocated = reply->n_allocated ? reply->n_allocated : REPLY_FIRST_BYTES;
        uint8_t *bytes;

        if (reply->has_failed)
                return false;
        while (n_allocated - reply->n_bytes < n && n_allocated <= SIZE_MAX / 2)
                n_allocated *= 2;
        bytes = n_allocated - reply->n_bytes < n ? NULL : realloc(reply->bytes, n_allocated);
        if (!bytes) {
                reply->has_failed = true;
                reply->n_allocated = reply->n_bytes;
                return false;
        }
        reply->bytes = bytes;
        reply->n_allocated = n_allocated;
        return true;
}

/* Room for n more bytes, counted as written; NULL if there is none. */
static inline uint8_t *reply_extend(struct reply *reply, size_t n)
{
        uint8_t *at;

        if (n > reply->n_allocated - reply->n_bytes && !reply_grow(reply, n))
                return NULL;
        at = reply->bytes + reply->n_bytes;
        reply->n_bytes += n;
        return at;
}

static void put_byte(struct reply *reply, uint8_t byte)
{
        uint8_t *at = reply_extend(reply, 1);

        if (at)
                *at = byte;
}

/* A byte, and a value in n bytes, most significant first. */
static void put_wide(struct reply *reply, uint8_t byte, uint64_t value, unsigned n)
{
        uint8_t *at = reply_extend(reply, 1 + n);

        if (!at)
                return;
        at[0] = byte;
        for (unsigned i = 0; i < n; i++)
                at[1 + i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

static void put_raw(struct reply *reply, const void *bytes, size_t n_bytes)
{
        uint8_t *at = reply_extend(reply, n_bytes);

        if (at && n_bytes)
                memcpy(at, bytes, n_bytes);
}

/* ---- values ---- */

void reply_nil(struct reply *reply)
{
        put_byte(reply, 0xc0);
}

void reply_bool(struct reply *reply, bool value)
{
        put_byte(reply, value ? 0xc3 : 0xc2);
}

void reply_uint(struct reply *reply, uint64_t value)
{
        if (value < 0x80)
                put_byte(reply, (uint8_t)value);
        else if (value <= UINT8_MAX)
                put_wide(reply, 0xcc, value, 1);
        else if (value <= UINT16_MAX)
                put_wide(reply, 0xcd, value, 2);
        else if (value <= UINT32_MAX)
                put_wide(reply, 0xce, value, 4);
        else
                put_wide(reply, 0xcf, value, 8);
}

void reply_int(struct reply *reply, int64_t value)
{
        if (value >= 0)
                reply_uint(reply, (uint64_t)value);
        else if (value >= -32)
                put_byte(reply, (uint8_t)value);
        else if (value >= INT8_MIN)
                put_wide(reply, 0xd0, (uint64_t)value, 1);
        else if (value >= INT16_MIN)
                put_wide(reply, 0xd1, (uint64_t)value, 2);
        else if (value >= INT32_MIN)
                put_wide(reply, 0xd2, (uint64_t)value, 4);
        else
                put_wide(reply, 0xd3, (uint64_t)value, 8);
}

void reply_double(struct reply *reply, double value)
{
        uint64_t bits;

        memcpy(&bits, &value, sizeof(bits));
        put_wide(reply, 0xcb, bits, 8);
}

void reply_text(struct reply *reply, const char *bytes, size_t n_bytes)
{
        if (n_bytes < 32) {
                uint8_t *at = reply_extend(reply, 1 + n_bytes);

                if (!at)
                        return;
                at[0] = (uint8_t)(0xa0 | n_bytes);
                memcpy(at + 1, bytes, n_bytes);
                return;
        }
        if (n_bytes <= UINT8_MAX)
                put_wide(reply, 0xd9, n_bytes, 1);
        else if (n_bytes <= UINT16_MAX)
                put_wide(reply, 0xda, n_bytes, 2);
        else
                put_wide(reply, 0xdb, n_bytes, 4);
        put_raw(reply, bytes, n_bytes);
}

void reply_bin(struct reply *reply, const void *bytes, size_t n_bytes)
{
        if (n_bytes <= UINT8_MAX)
                put_wide(reply, 0xc4, n_bytes, 1);
        else if (n_bytes <= UINT16_MAX)
                put_wide(reply, 0xc5, n_bytes, 2);
        else
                put_wide(reply, 0xc6, n_bytes, 4);
        put_raw(reply, bytes, n_bytes);
}

void reply_array(struct reply *reply, uint32_t n)
{
        if (n < 16)
                put_byte(reply, (uint8_t)(0x90 | n));
        else if (n <= UINT16_MAX)
                put_wide(reply, 0xdc, n, 2);
        else
                put_wide(reply, 0xdd, n, 4);
}

void reply_map(struct reply *reply, uint32_t n)
{
        if (n < 16)
                put_byte(reply, (uint8_t)(0x80 | n));
        else if (n <= UINT16_MAX)
                put_wide(reply, 0xde, n, 2);
        else
                put_wide(reply, 0xdf, n, 4);
}

/* ---- messages ---- */

const char *error_name(enum td_error_code code)
{
        return td_error_name((int)code);
}

/* A sentence that was cut to fit its buffer may end within a character; a str must not. */
static void put_sentence(struct reply *reply, const char *message)
{
        reply_text(reply, message, utf8_valid_prefix(message, strlen(message)));
}

void reply_begin_result(struct reply *reply, uint32_t msgid)
{
        reply_array(reply, 4);
        reply_uint(reply, 1);
        reply_uint(reply, msgid);
        reply_nil(reply);
}

void reply_begin_error(struct reply *reply, uint32_t msgid, enum td_error_code code,
                       const char *message, uint32_t n_data)
{
        reply_array(reply, 4);
        reply_uint(reply, 1);
        reply_uint(reply, msgid);
        reply_map(reply, 3);
        reply_key(reply, "code");
        reply_str(reply, error_name(code));
        reply_key(reply, "message");
        put_sentence(reply, message);
        reply_key(reply, "data");
        reply_map(reply, n_data);
        reply->wants_nil = true;
}

void reply_error(struct reply *reply, uint32_t msgid, enum td_error_code code, const char *message)
{
        reply_begin_error(reply, msgid, code, message, 0);
}

void reply_notify_error(struct reply *reply, enum td_error_code code, const char *message)
{
        reply_array(reply, 3);
        reply_uint(reply, 2);
        reply_str(reply, "error");
        reply_array(reply, 2);
        reply_str(reply, error_name(code));
        put_sentence(reply, message);
}

void reply_notify_progress(struct reply *reply, uint32_t msgid, uint64_t n_done, uint64_t n_steps)
{
        reply_array(reply, 3);
        reply_uint(reply, 2);
        reply_str(reply, "progress");
        reply_array(reply, 3);
        reply_uint(reply, msgid);
        reply_uint(reply, n_done);
        reply_uint(reply, n_steps);
}

void reply_notify_trim(struct reply *reply, const uint64_t *segments, uint32_t n_segments)
{
        reply_array(reply, 3);
        reply_uint(reply, 2);
        reply_str(reply, "trim");
        reply_array(reply, n_segments);
        for (uint32_t i = 0; i < n_segments; i++)
                reply_uint(reply, segments[i]);
}

int reply_finish(struct reply *reply)
{
        if (reply->wants_nil)
                reply_nil(reply);
        reply->wants_nil = false;
        return reply->has_failed ? -ENOMEM : 0;
}
