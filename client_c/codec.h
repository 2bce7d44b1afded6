/* SPDX-License-Identifier: MIT */
/*
 * Codec
 *
 * Requests to MessagePack, replies from it. A frame is a growing buffer of encoded bytes; an
 * allocation that fails is remembered and reported once, by whoever sends it. A reader is a cursor
 * over the bytes of one whole message; what does not fit is remembered likewise, so that a decoder
 * reads on and asks once at its end.
 *
 * Pure: no socket, no state, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensord/tensord.h"

enum td_method {
#define TD_METHOD(sym, ...) METHOD_##sym,
#include "tensord/methods.def"
#undef TD_METHOD
        N_METHODS
};

const char *method_name(enum td_method method);
int error_from_name(const char *name, size_t n_name); /* TD_E_INTERNAL for one that is not known */

/* ---- writing ---- */

struct frame {
        uint8_t *bytes; /* first, or on the heap */
        size_t n_bytes;
        size_t n_allocated;
        bool has_failed;
        uint8_t first[1024];
};

void frame_init(struct frame *frame);
void frame_deinit(struct frame *frame);
/* Back to n_bytes, forgetting a failure since. */
void frame_truncate(struct frame *frame, size_t n_bytes);
void frame_append(struct frame *frame, const void *bytes, size_t n_bytes);

/* A view of a tensor: shape, strides, offset. */
struct view {
        struct td_type type;
        int64_t strides[TD_NDIM_MAX];
        int64_t offset;
};

/*
 * The parameters of any method but run, define and call. A field that is zero, NULL or false is
 * left out; retry_ms is left out below zero.
 */
struct ask {
        enum td_method method;
        uint64_t handle; /* of lend: its only one */
        const char *name;
        bool has_owner; /* the name is another user's */
        uint32_t owner;
        bool hides;        /* share: not any more */
        uint64_t result;   /* snapshot: the handle, */
        const char *as;    /* and the name of the copy */
        int64_t until_ms;  /* wait: as now_ms() tells it; wait_ms is what is left */
        const uint8_t *id; /* 16 bytes */
        const struct td_type *type;
        const uint8_t *order; /* axes of the type, the slowest first; C order is not said */
        const void *data;
        size_t n_data;
        bool replace;
        bool evictable;
        bool map;
        bool writable;
        bool mutable;
        uint64_t lease;
        const struct view *view; /* of a lease */
        bool torn;
        uint64_t wait_ms;
        const uint8_t *nonce; /* 16 bytes, of a lease to write */
        bool again;           /* it was granted before */
        const uint8_t *op_id; /* 16 bytes */
        int64_t retry_ms;
        const char *prefix;
        const char *after;
        uint32_t limit;
        bool lost; /* list: also names whose tensor is lost */
        const char *client;
        bool says_version;
};

void frame_ask(struct frame *frame, uint32_t msgid, const struct ask *ask);
/* params: one encoded map, or NULL for none */
void frame_raw(struct frame *frame, uint32_t msgid, const char *method, const void *params,
               size_t n_params);
/* {"name": name, "owner": owner}, as params of frame_raw(); owner -1: left out */
void frame_name(struct frame *frame, const char *name, int64_t owner);
/* {key: number}, as params of frame_raw() */
void frame_number(struct frame *frame, const char *key, uint64_t number);
/* Ids that one message gives back; more become several messages. */
#define FRAME_IDS_MAX 4096
/* [2, "release", [{"handles": ids}]], [2, "unmap", [{"segments": ids}]] */
void frame_release(struct frame *frame, const uint64_t *handles, size_t n_handles);
void frame_unmap(struct frame *frame, const uint64_t *segments, size_t n_segments);
/* A request: {"leases": [lease]} */
void frame_unlease(struct frame *frame, uint32_t msgid, uint64_t lease);

/* [2, "cancel", [{"msgid": msgid}]] */
void frame_cancel(struct frame *frame, uint32_t msgid);

/* A program that is checked once and called by its number. */
struct definition {
        uint32_t n_inputs;
        uint32_t n_values;
        struct td_type *types; /* of the inputs, then of the values */
        uint32_t *values;      /* that are asked for */
        struct frame nodes;    /* what frame_nodes() made */
};

void frame_define(struct frame *frame, uint32_t msgid, uint64_t number,
                  const struct definition *definition);
/* [2, "undefine", [{"definitions": numbers}]] */
void frame_undefine(struct frame *frame, const uint64_t *numbers, size_t n_numbers);

/*
 * run, piece by piece: begin, as many inputs as announced, nodes, outputs, end. The nodes are what
 * frame_nodes() made, once. A call is a run with the number of a definition (else 0), which needs
 * no nodes (NULL) and no values (-1).
 */
void frame_run_begin(struct frame *frame, uint32_t msgid, uint64_t definition, unsigned n_more,
                     size_t n_inputs);
void frame_run_handle(struct frame *frame, uint64_t handle, const struct view *view, bool donate);
void frame_run_immediate(struct frame *frame, const struct td_type *type, const uint8_t *order,
                         const void *data, size_t n_data);
void frame_run_nodes(struct frame *frame, const struct frame *nodes, size_t n_outputs);
void frame_run_output(struct frame *frame, int value, uint64_t handle, const char *name,
                      unsigned how, bool map);
/* The same for what goes into the tensor of an input. */
void frame_run_into(struct frame *frame, int value, int into);
/* As many more keys as were announced: op_id may be NULL, times below 0, 0 threads and a
 * progress_ms or wait_ms of 0 are none. */
void frame_run_end(struct frame *frame, const uint8_t *op_id, int64_t retry_ms, int64_t deadline_ms,
                   unsigned n_threads, unsigned progress_ms, uint64_t wait_ms);
/* The array of nodes of a block, loops and all. */
void frame_nodes(struct frame *frame, const struct td_block *block);

/* ---- reading ---- */

/* How much of a message has been seen, however many pieces it comes in. */
struct scan {
        size_t n_seen;   /* bytes looked at, all of this message */
        uint64_t n_left; /* values still wanted */
};

enum {
        SCAN_MORE = 1, /* fine so far, not complete */
        SCAN_BAD,      /* no message: too long, an ext, or the byte c1 */
};

void scan_init(struct scan *scan);
/* bytes: the message so far. 0: complete, scan->n_seen bytes long. */
int scan_run(struct scan *scan, const uint8_t *bytes, size_t n_bytes);

struct reader {
        const uint8_t *at;
        const uint8_t *end;
        bool has_failed;
};

struct reader reader_of(const void *bytes, size_t n_bytes);

enum reader_kind {
        READ_NIL,
        READ_BOOL,
        READ_UINT,
        READ_INT,
        READ_FLOAT,
        READ_STR,
        READ_BIN,
        READ_ARRAY,
        READ_MAP,
        READ_NOTHING
};

struct reader_item {
        enum reader_kind kind;
        union {
                bool b;
                uint64_t u; /* READ_UINT; of READ_STR and READ_BIN the bytes, of READ_ARRAY and
                               READ_MAP the elements */
                int64_t i;  /* READ_INT: negative */
                double d;
        };
        const uint8_t *bytes; /* of READ_STR, READ_BIN */
};

/*
 * The next value; of an array or map its head, its elements follow. READ_NOTHING at the end or
 * where bytes make no sense.
 */
struct reader_item reader_next(struct reader *reader);
void reader_skip(struct reader *reader);

uint32_t reader_map(struct reader *reader);
uint32_t reader_array(struct reader *reader);
bool reader_bool(struct reader *reader);
uint64_t reader_uint(struct reader *reader);
int64_t reader_int(struct reader *reader);
/* bytes of the text; not NUL-terminated */
const char *reader_str(struct reader *reader, size_t *n);
const uint8_t *reader_bin(struct reader *reader, size_t *n);
/* Read a str and compare. */
bool text_is(const char *text, size_t n_text, const char *wanted);

/* ---- messages from the daemon ---- */

struct message {
        bool is_notification;
        uint32_t msgid;
        const char *method; /* of a notification; not NUL-terminated */
        size_t n_method;
        struct reader
                body; /* of a response: error, then result; of a notification: its parameters */
};

/* One whole message. false: it is none that a daemon sends. */
bool message_read(struct message *message, const uint8_t *bytes, size_t n_bytes);

/*
 * The error of a response: TD_OK for nil, else the code, with *error filled. TD_E_MALFORMED if it
 * cannot be read.
 */
int read_error(struct reader *body, td_error *error);

struct description {
        struct td_type type;
        int64_t strides[TD_NDIM_MAX];
        uint64_t n_bytes; /* of data */
        bool has_id;
        uint8_t id[16];
        bool is_unsealed;
        bool is_mutable;
        bool is_shared;
        bool is_evictable;
        bool is_spilled;
        const char *lost; /* in the message: why there is none, of a row of a list; NULL: it is */
        size_t n_lost;
        bool has_owner; /* it is another user's */
        uint32_t owner;
        const char *name; /* in the message, not NUL-terminated; NULL: none */
        size_t n_name;
        const uint8_t *data; /* in the message; NULL: not here */
        size_t n_data;
        bool has_segment;
        bool is_writable;
        uint64_t segment;
        uint64_t offset;
        uint64_t map_bytes;
};

/* One description. false: it is none. */
bool read_description(struct reader *reader, struct description *description);
/* One row of a list: the same, or what is said of a tensor that is lost. */
bool read_row(struct reader *reader, struct description *description);

struct handed {
        uint64_t segment;
        uint64_t n_bytes;
        bool is_writable;
};

/*
 * The "fds" of a result; the reader is a copy, before it. Returns how many, 0 where there are none,
 * -1 where they cannot be understood.
 */
int read_handed(struct reader result, struct handed handed[TD_FDS_MAX]);

struct greeting {
        int64_t version;
        uint32_t uid;
        uint8_t epoch[16];
        int64_t busy_poll_us;
};

bool read_greeting(struct reader *reader, struct greeting *greeting);
