/* SPDX-License-Identifier: MIT */
/*
 * Requests, drawn
 *
 * A method is a row of its parameters, each with a writer and with how often of 4 it is there. All
 * handles, names, ids, leases and definitions come from a few, so that requests meet each other.
 */
#pragma once

#include <string.h>

#include "fuzz.h"
#include "tensor/desc.h"
#include "wire/reply.h"

enum { N_NAMES = 3, N_HANDLES = 6, N_TYPES = 6, N_IDS = 4 };

static const char *const names[N_NAMES] = { "a", "b", "c" };

static const struct td_type types[N_TYPES] = {
        { TD_FLOAT64, 1, { 2 } },   { TD_FLOAT64, 0, { 0 } }, { TD_FLOAT64, 2, { 24, 24 } },
        { TD_FLOAT64, 1, { 600 } }, { TD_UINT8, 1, { 3 } },   { TD_FLOAT64, 2, { 0, 24 } },
};

/* What replies spoke of last: to be named in requests. */
static uint8_t seen_ids[N_IDS][16];
static uint64_t seen_segments[N_IDS];

struct making {
        struct draw *draw;
        struct reply *message;
        const char *method;
        const struct td_type *type;
        uint8_t fill;      /* of data */
        unsigned n_values; /* of the program so far */
        unsigned n_inputs;
        unsigned name_mask; /* names that it may give a meaning */
        unsigned name;      /* the last one written */
        bool has_name, has_op_id;
};

static inline void write_handle(struct making *making)
{
        reply_uint(making->message, 1 + draw_below(making->draw, N_HANDLES));
}

static inline void write_some(struct making *making, void (*write)(struct making *))
{
        unsigned n = draw_below(making->draw, 4);

        reply_array(making->message, n);
        while (n-- > 0)
                write(making);
}

static inline void write_handles(struct making *making)
{
        write_some(making, write_handle);
}

static inline void write_name(struct making *making)
{
        making->name = draw_below(making->draw, N_NAMES);
        making->has_name = true;
        making->name_mask |= 1u << making->name;
        reply_str(making->message, names[making->name]);
}

static inline void write_id(struct making *making)
{
        reply_bin(making->message, seen_ids[draw_below(making->draw, N_IDS)], 16);
}

static inline void write_segment(struct making *making)
{
        reply_uint(making->message, seen_segments[draw_below(making->draw, N_IDS)]);
}

static inline void write_segments(struct making *making)
{
        write_some(making, write_segment);
}

static inline void write_dtype(struct making *making)
{
        making->type = &types[draw_below(making->draw, N_TYPES)];
        reply_str(making->message, td_dtype_name(making->type->dtype));
}

static inline void write_shape(struct making *making)
{
        reply_array(making->message, making->type->ndim);
        for (unsigned i = 0; i < making->type->ndim; i++)
                reply_int(making->message, making->type->shape[i]);
}

static inline void write_order(struct making *making)
{
        reply_str(making->message, draw_bool(making->draw) ? "C" : "F");
}

static inline void write_data(struct making *making)
{
        static uint8_t bytes[8192];

        making->fill = draw_byte(making->draw);
        memset(bytes, making->fill, sizeof(bytes));
        reply_bin(making->message, bytes, (size_t)td_type_n_bytes(making->type));
}

static inline void write_bool(struct making *making)
{
        reply_bool(making->message, draw_bool(making->draw));
}

static inline void write_true(struct making *making)
{
        reply_bool(making->message, true);
}

static inline void write_op_id(struct making *making)
{
        uint8_t op_id[16];

        memset(op_id, 1 + (int)draw_below(making->draw, 3), sizeof(op_id));
        making->has_op_id = true;
        reply_bin(making->message, op_id, sizeof(op_id));
}

/* A lease, a definition, a number of threads. */
static inline void write_few(struct making *making)
{
        reply_uint(making->message, 1 + draw_below(making->draw, 3));
}

static inline void write_fews(struct making *making)
{
        write_some(making, write_few);
}

static inline void write_ms(struct making *making)
{
        reply_uint(making->message, 10u + 8u * draw_byte(making->draw));
}

static inline void write_owner(struct making *making)
{
        reply_uint(making->message, 1000 + draw_below(making->draw, 3));
}

static inline void write_msgid(struct making *making)
{
        reply_uint(making->message, draw_below(making->draw, 64));
}

/* Of a tensor of any of the types. */
static inline void write_view(struct making *making)
{
        reply_map(making->message, 3);
        reply_key(making->message, "shape");
        reply_array(making->message, 1);
        reply_uint(making->message, 1 + draw_below(making->draw, 3));
        reply_key(making->message, "strides");
        reply_array(making->message, 1);
        reply_int(making->message, 8 * ((int64_t)draw_below(making->draw, 7) - 2));
        reply_key(making->message, "offset");
        reply_int(making->message, 8 * (int64_t)draw_below(making->draw, 24));
}

static inline void write_type(struct making *making)
{
        reply_map(making->message, 2);
        reply_key(making->message, "dtype");
        write_dtype(making);
        reply_key(making->message, "shape");
        write_shape(making);
}

static inline void write_input(struct making *making)
{
        unsigned how = draw_below(making->draw, 8);
        bool has_view = how < 6 && draw_below(making->draw, 4) == 3;
        unsigned name_mask = making->name_mask;

        if (strcmp(making->method, "define") == 0) {
                write_type(making);
                return;
        }
        reply_map(making->message, how >= 6 ? 3u : 1u + has_view + (how == 5));
        if (how >= 6) {
                reply_key(making->message, "dtype");
                write_dtype(making);
                reply_key(making->message, "shape");
                write_shape(making);
                reply_key(making->message, "data");
                write_data(making);
                return;
        }
        reply_key(making->message, how == 3 ? "name" : how == 4 ? "id" : "handle");
        (how == 3 ? write_name : how == 4 ? write_id : write_handle)(making);
        making->name_mask = name_mask; /* it is read */
        if (has_view) {
                reply_key(making->message, "view");
                write_view(making);
        }
        if (how == 5) {
                reply_key(making->message, "donate");
                write_bool(making);
        }
}

static inline void write_inputs(struct making *making)
{
        making->n_inputs = draw_below(making->draw, 3);
        making->n_values = making->n_inputs;
        reply_array(making->message, making->n_inputs);
        for (unsigned i = 0; i < making->n_inputs; i++)
                write_input(making);
}

static inline void write_node(struct making *making)
{
        static const struct {
                const char *name;
                unsigned n_args;
        } ops[] = { { "add", 2 },   { "negative", 1 }, { "sum", 1 },
                    { "ones", 0 },  { "matmul", 2 },   { "nonzero", 1 },
                    { "solve", 2 }, { "ones", 0 },     { "multiply", 2 } };
        unsigned op = draw_below(making->draw, sizeof(ops) / sizeof(ops[0]));

        reply_array(making->message, 3);
        reply_str(making->message, ops[op].name);
        reply_array(making->message, ops[op].n_args);
        for (unsigned i = 0; i < ops[op].n_args; i++)
                reply_uint(making->message, draw_below(making->draw, making->n_values + 1));
        reply_map(making->message, ops[op].n_args ? 0 : 2);
        if (!ops[op].n_args) {
                /* some are large enough for a worker, or so large that few fill a small daemon */
                unsigned how = draw_below(making->draw, 8), n = how == 7 ? 200 : how > 4 ? 80 : 24;

                reply_key(making->message, "shape");
                reply_array(making->message, 2);
                reply_uint(making->message, n);
                reply_uint(making->message, n);
                reply_key(making->message, "dtype");
                reply_str(making->message, "float64");
        }
        making->n_values++;
}

static inline void write_nodes(struct making *making)
{
        write_some(making, write_node);
}

static inline void write_output(struct making *making)
{
        bool is_call = strcmp(making->method, "call") == 0;
        bool is_define = strcmp(making->method, "define") == 0;
        unsigned how = is_define ? 0 : draw_below(making->draw, 16);
        bool has_into = how == 15, has_handle = !has_into && how & 1,
             has_name = !has_into && how & 2;
        bool has_map = has_handle && how & 4, has_replace = has_name && how & 8;
        bool is_evictable = has_name && draw_below(making->draw, 4) == 3;

        reply_map(making->message, 0u + !is_call + has_into + has_handle + has_name + has_map +
                                           has_replace + is_evictable);
        if (!is_call) {
                reply_key(making->message, "value");
                reply_uint(making->message, draw_below(making->draw, making->n_values + 1));
        }
        if (has_into) {
                reply_key(making->message, "into");
                reply_uint(making->message, draw_below(making->draw, 2));
        }
        if (has_handle) {
                reply_key(making->message, "handle");
                write_handle(making);
        }
        if (has_name) {
                reply_key(making->message, "name");
                write_name(making);
        }
        if (has_map) {
                reply_key(making->message, "map");
                write_bool(making);
        }
        if (has_replace) {
                reply_key(making->message, "replace");
                write_true(making);
        }
        if (is_evictable) {
                reply_key(making->message, "evictable");
                write_true(making);
        }
}

static inline void write_outputs(struct making *making)
{
        write_some(making, write_output);
}

struct row {
        const char *method;
        bool may_notify;
        struct {
                const char *key;
                void (*write)(struct making *making);
                unsigned odds; /* of 4 */
        } params[12];
};

#define ONCE                                                                                       \
        { "op_id", write_op_id, 1 },                                                               \
        {                                                                                          \
                "retry_ms", write_ms, 1                                                            \
        }
#define JOB                                                                                        \
        { "deadline_ms", write_ms, 1 }, { "threads", write_few, 1 },                               \
                { "progress_ms", write_ms, 1 },                                                    \
        {                                                                                          \
                "wait_ms", write_ms, 1                                                             \
        }

static const struct row rows[] = {
        { "put",
          false,
          { { "dtype", write_dtype, 4 },
            { "shape", write_shape, 4 },
            { "data", write_data, 4 },
            { "handle", write_handle, 3 },
            { "name", write_name, 2 },
            { "replace", write_bool, 2 },
            { "evictable", write_true, 2 },
            { "order", write_order, 1 },
            ONCE } },
        { "create",
          false,
          { { "handle", write_handle, 4 },
            { "dtype", write_dtype, 4 },
            { "shape", write_shape, 4 },
            { "name", write_name, 2 },
            { "replace", write_bool, 2 },
            { "mutable", write_bool, 2 },
            { "evictable", write_bool, 1 },
            { "order", write_order, 1 },
            ONCE } },
        { "seal", false, { { "handle", write_handle, 4 } } },
        { "open",
          false,
          { { "handle", write_handle, 4 }, { "name", write_name, 4 }, { "map", write_bool, 2 } } },
        { "open",
          false,
          { { "handle", write_handle, 4 }, { "id", write_id, 4 }, { "map", write_bool, 2 } } },
        { "map", false, { { "handle", write_handle, 4 }, { "writable", write_bool, 1 } } },
        { "unmap", true, { { "segments", write_segments, 4 } } },
        { "release", true, { { "handles", write_handles, 4 } } },
        { "name",
          false,
          { { "handle", write_handle, 4 },
            { "name", write_name, 4 },
            { "evictable", write_true, 2 },
            ONCE } },
        { "replace",
          false,
          { { "handle", write_handle, 4 },
            { "name", write_name, 4 },
            { "evictable", write_true, 2 },
            ONCE } },
        { "delete", false, { { "name", write_name, 4 }, ONCE } },
        { "share", false, { { "name", write_name, 4 }, { "shared", write_bool, 2 } } },
        { "lease",
          false,
          { { "handle", write_handle, 4 },
            { "lease", write_few, 4 },
            { "view", write_view, 2 },
            { "writable", write_bool, 3 },
            { "torn", write_bool, 1 },
            { "wait_ms", write_ms, 2 } } },
        { "lease",
          false,
          { { "name", write_name, 4 },
            { "lease", write_few, 4 },
            { "writable", write_bool, 3 },
            { "wait_ms", write_ms, 2 } } },
        { "snapshot",
          false,
          { { "handle", write_handle, 4 },
            { "result", write_handle, 3 },
            { "as", write_name, 2 },
            { "replace", write_true, 1 },
            { "evictable", write_bool, 1 },
            { "map", write_bool, 1 },
            { "wait_ms", write_ms, 1 },
            ONCE } },
        { "lend", false, { { "handles", write_handles, 4 } } },
        { "wait",
          false,
          { { "name", write_name, 4 },
            { "wait_ms", write_ms, 4 },
            { "owner", write_owner, 1 },
            { "handle", write_handle, 2 },
            { "map", write_bool, 1 } } },
        { "holders", false, { { "handle", write_handle, 2 }, { "limit", write_few, 1 } } },
        { "unlease", true, { { "leases", write_fews, 4 } } },
        { "list",
          false,
          { { "prefix", write_name, 1 },
            { "after", write_name, 1 },
            { "limit", write_few, 1 },
            { "owner", write_owner, 1 },
            { "lost", write_bool, 1 } } },
        { "stat", false, { { "handle", write_handle, 2 } } },
        { "stat", false, { { "name", write_name, 2 } } },
        { "run",
          false,
          { { "inputs", write_inputs, 4 },
            { "nodes", write_nodes, 4 },
            { "outputs", write_outputs, 4 },
            ONCE,
            JOB } },
        { "run",
          false,
          { { "inputs", write_inputs, 4 },
            { "nodes", write_nodes, 4 },
            { "outputs", write_outputs, 4 } } },
        { "define",
          false,
          { { "definition", write_few, 4 },
            { "inputs", write_inputs, 4 },
            { "nodes", write_nodes, 4 },
            { "outputs", write_outputs, 4 } } },
        { "call",
          false,
          { { "definition", write_few, 4 },
            { "inputs", write_inputs, 4 },
            { "outputs", write_outputs, 4 },
            ONCE,
            JOB } },
        { "undefine", true, { { "definitions", write_fews, 4 } } },
        { "cancel", true, { { "msgid", write_msgid, 4 } } },
        { "cancel", true, { { "handle", write_handle, 4 } } },
        { "cancel", true, { { "request", write_few, 4 } } },
        { "ping", false, { { NULL, NULL, 0 } } },
        { "hello", false, { { "version", write_few, 4 } } },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]), N_PARAMS = 12 };

/* [0, msgid, method, [params]], or without a number where that is allowed and drawn. */
static inline bool write_request(struct making *making, uint32_t msgid)
{
        const struct row *row = &rows[draw_below(making->draw, N_ROWS)];
        bool is_there[N_PARAMS] = { false }, is_notification;
        unsigned n = 0;

        making->method = row->method;
        making->type = &types[0];
        for (unsigned i = 0; i < N_PARAMS && row->params[i].key; i++) {
                is_there[i] = draw_below(making->draw, 4) < row->params[i].odds;
                n += is_there[i];
        }
        is_notification = row->may_notify && draw_bool(making->draw);
        reply_array(making->message, is_notification ? 3 : 4);
        reply_uint(making->message, is_notification ? 2 : 0);
        if (!is_notification)
                reply_uint(making->message, msgid);
        reply_str(making->message, row->method);
        reply_array(making->message, 1);
        reply_map(making->message, n);
        for (unsigned i = 0; i < N_PARAMS; i++) {
                if (!is_there[i])
                        continue;
                reply_key(making->message, row->params[i].key);
                row->params[i].write(making);
        }
        return is_notification;
}
