/* SPDX-License-Identifier: MIT */
/*
 * Replies
 *
 * What goes back to a peer: bytes, and the segments whose descriptors travel with the first of
 * them. The writer is a flat MessagePack encoder: the caller says how many elements an array or map
 * has, then writes them. An allocation that fails is remembered; reply_finish() reports it once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/list.h"
#include "tensord/infer.h"

struct segment; /* the store's; only carried here */

struct reply_fd {
        struct segment *segment; /* a reference that the reply owns, see reply_free() */
        bool writable;
};

struct reply {
        struct list link; /* the session's queue */
        uint8_t *bytes;
        size_t n_bytes;
        size_t n_sent; /* the session's */
        size_t n_allocated;
        bool has_failed;
        bool wants_nil; /* an error response: its result, nil, is still to be written */
        unsigned n_fds;
        struct reply_fd fds[TD_FDS_MAX];
        /* gives segment references back; set by whoever fills fds */
        void (*drop_fds)(struct reply *reply);
};

struct reply *reply_new(void); /* NULL: no memory */
struct reply *reply_free(struct reply *reply);
DEFINE_CLEANUP(struct reply, reply_free)

/* The outer array of a response, result to be written next; or a whole error response. */
void reply_begin_result(struct reply *reply, uint32_t msgid);
void reply_error(struct reply *reply, uint32_t msgid, enum td_error_code code, const char *message);
/* An error response whose data map (n_data pairs) is to be written next. */
void reply_begin_error(struct reply *reply, uint32_t msgid, enum td_error_code code,
                       const char *message, uint32_t n_data);
/* Notifications: [2, "error", [code, message]] and [2, "trim", [id, ...]]. */
void reply_notify_error(struct reply *reply, enum td_error_code code, const char *message);
void reply_notify_progress(struct reply *reply, uint32_t msgid, uint64_t n_done, uint64_t n_steps);
void reply_notify_trim(struct reply *reply, const uint64_t *segments, uint32_t n_segments);
/* 0 or -ENOMEM */
int reply_finish(struct reply *reply);

void reply_nil(struct reply *reply);
void reply_bool(struct reply *reply, bool value);
void reply_uint(struct reply *reply, uint64_t value);
void reply_int(struct reply *reply, int64_t value);
void reply_double(struct reply *reply, double value);
/* A str of that many bytes; it needs no terminator. */
void reply_text(struct reply *reply, const char *bytes, size_t n_bytes);
void reply_bin(struct reply *reply, const void *bytes, size_t n_bytes);
void reply_array(struct reply *reply, uint32_t n);
void reply_map(struct reply *reply, uint32_t n);

static inline void reply_str(struct reply *reply, const char *value)
{
        reply_text(reply, value, strlen(value));
}

/* A map's key: the same as reply_str(), to be followed by the value. */
static inline void reply_key(struct reply *reply, const char *key)
{
        reply_str(reply, key);
}

static inline void reply_key_uint(struct reply *reply, const char *key, uint64_t value)
{
        reply_key(reply, key);
        reply_uint(reply, value);
}

const char *error_name(enum td_error_code code);
