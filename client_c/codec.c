/* SPDX-License-Identifier: MIT */
/*
 * Writing requests
 *
 * Every request is counted before it is written: a MessagePack map says first how many entries it
 * has. See codec.h; reading is in decode.c.
 */
#include "codec.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "tensord/infer_client.h"
#include "tensord/order.h"

static const char *const method_names[] = {
#define TD_METHOD(sym, name, ...) [METHOD_##sym] = name,
#include "tensord/methods.def"
#undef TD_METHOD
};

const char *method_name(enum td_method method)
{
        return method_names[method];
}

/* ---- frames ---- */

void frame_init(struct frame *frame)
{
        frame->bytes = frame->first;
        frame->n_bytes = 0;
        frame->n_allocated = sizeof(frame->first);
        frame->has_failed = false;
}

void frame_deinit(struct frame *frame)
{
        if (frame->bytes != frame->first)
                free(frame->bytes);
        frame->bytes = NULL;
}

void frame_truncate(struct frame *frame, size_t n_bytes)
{
        frame->n_bytes = n_bytes;
        frame->has_failed = false;
}

static bool frame_grow(struct frame *frame, size_t n_more)
{
        size_t n = frame->n_allocated * 2;
        uint8_t *bytes;

        while (n - frame->n_bytes < n_more)
                n *= 2;
        bytes = frame->bytes == frame->first ? malloc(n) : realloc(frame->bytes, n);
        if (!bytes)
                return false;
        if (frame->bytes == frame->first)
                memcpy(bytes, frame->first, frame->n_bytes);
        frame->bytes = bytes;
        frame->n_allocated = n;
        return true;
}

void frame_append(struct frame *frame, const void *bytes, size_t n_bytes)
{
        if (frame->has_failed || n_bytes == 0)
                return;
        if (n_bytes > frame->n_allocated - frame->n_bytes && !frame_grow(frame, n_bytes)) {
                frame->has_failed = true;
                return;
        }
        memcpy(frame->bytes + frame->n_bytes, bytes, n_bytes);
        frame->n_bytes += n_bytes;
}

static int frame_write(void *data, const char *bytes, size_t n_bytes)
{
        frame_append(data, bytes, n_bytes);
        return 0;
}

static msgpack_packer packer_of(struct frame *frame)
{
        msgpack_packer pk;

        msgpack_packer_init(&pk, frame, frame_write);
        return pk;
}

static void pack_text(msgpack_packer *pk, const char *text)
{
        size_t n = strlen(text);

        msgpack_pack_str(pk, n);
        msgpack_pack_str_body(pk, text, n);
}

static void pack_bytes(msgpack_packer *pk, const void *bytes, size_t n_bytes)
{
        msgpack_pack_bin(pk, n_bytes);
        msgpack_pack_bin_body(pk, bytes, n_bytes);
}

static void pack_bool(msgpack_packer *pk, bool value)
{
        if (value)
                msgpack_pack_true(pk);
        else
                msgpack_pack_false(pk);
}

static void pack_ints(msgpack_packer *pk, const int64_t *values, size_t n)
{
        msgpack_pack_array(pk, n);
        for (size_t i = 0; i < n; i++)
                msgpack_pack_int64(pk, values[i]);
}

static void pack_values(msgpack_packer *pk, const uint32_t *values, size_t n)
{
        msgpack_pack_array(pk, n);
        for (size_t i = 0; i < n; i++)
                msgpack_pack_uint32(pk, values[i]);
}

static void pack_number(msgpack_packer *pk, const struct td_number *number)
{
        switch (number->kind) {
        case TD_KIND_FLOAT:
                msgpack_pack_double(pk, number->d);
                break;
        case TD_KIND_UINT:
                msgpack_pack_uint64(pk, number->u);
                break;
        case TD_KIND_COMPLEX:
                msgpack_pack_array(pk, 2);
                msgpack_pack_double(pk, number->z[0]);
                msgpack_pack_double(pk, number->z[1]);
                break;
        default:
                msgpack_pack_int64(pk, number->i);
        }
}

static void pack_request(msgpack_packer *pk, uint32_t msgid, const char *method, bool has_params)
{
        msgpack_pack_array(pk, 4);
        msgpack_pack_uint8(pk, 0);
        msgpack_pack_uint32(pk, msgid);
        pack_text(pk, method);
        msgpack_pack_array(pk, has_params);
}

/* ---- requests ---- */

static void pack_type(msgpack_packer *pk, const struct td_type *type)
{
        pack_text(pk, "dtype");
        pack_text(pk, td_dtype_info(type->dtype)->name);
        pack_text(pk, "shape");
        pack_ints(pk, type->shape, type->ndim);
}

static void pack_op_id(msgpack_packer *pk, const uint8_t *op_id, int64_t retry_ms)
{
        if (op_id) {
                pack_text(pk, "op_id");
                pack_bytes(pk, op_id, 16);
        }
        if (retry_ms >= 0) {
                pack_text(pk, "retry_ms");
                msgpack_pack_int64(pk, retry_ms);
        }
}

static void pack_flag(msgpack_packer *pk, const char *key, bool value)
{
        if (!value)
                return;
        pack_text(pk, key);
        msgpack_pack_true(pk);
}

static void pack_entry(msgpack_packer *pk, const char *key, const char *value)
{
        if (!value)
                return;
        pack_text(pk, key);
        pack_text(pk, value);
}

static void pack_number_of(msgpack_packer *pk, const char *key, uint64_t number)
{
        if (!number)
                return;
        pack_text(pk, key);
        msgpack_pack_uint64(pk, number);
}

static void pack_view(msgpack_packer *pk, const struct view *view)
{
        if (!view)
                return;
        pack_text(pk, "view");
        msgpack_pack_map(pk, 3);
        pack_text(pk, "shape");
        pack_ints(pk, view->type.shape, view->type.ndim);
        pack_text(pk, "strides");
        pack_ints(pk, view->strides, view->type.ndim);
        pack_text(pk, "offset");
        msgpack_pack_int64(pk, view->offset);
}

static bool says_order(const struct ask *ask)
{
        return ask->order && !td_order_is_c(ask->order, ask->type->ndim);
}

static void pack_order(msgpack_packer *pk, const uint8_t *order, unsigned ndim)
{
        bool is_f = true;

        pack_text(pk, "order");
        for (unsigned d = 0; d < ndim; d++)
                is_f = is_f && order[d] == ndim - 1 - d;
        if (is_f) {
                pack_text(pk, "F");
                return;
        }
        msgpack_pack_array(pk, ndim);
        for (unsigned d = 0; d < ndim; d++)
                msgpack_pack_uint8(pk, order[d]);
}

static unsigned ask_n_keys(const struct ask *ask)
{
        return (unsigned)!!ask->handle + !!ask->name + !!ask->id + (ask->type ? 2U : 0U) +
               says_order(ask) + !!ask->data + ask->replace + ask->evictable + ask->map +
               ask->writable +
               !!ask->op_id + (ask->retry_ms >= 0) + !!ask->prefix + !!ask->after + !!ask->limit +
               !!ask->client + ask->says_version + ask->mutable + !!ask->lease + !!ask->view +
               ask->torn + (ask->wait_ms || ask->method == METHOD_WAIT) + ask->has_owner +
               ask->hides + !!ask->result + !!ask->as + !!ask->nonce + ask->again +
               ask->lost;
}

void frame_ask(struct frame *frame, uint32_t msgid, const struct ask *ask)
{
        msgpack_packer pk = packer_of(frame);
        unsigned n_keys = ask_n_keys(ask);

        pack_request(&pk, msgid, method_names[ask->method], n_keys > 0);
        if (n_keys == 0)
                return;
        msgpack_pack_map(&pk, n_keys);
        if (ask->says_version) {
                pack_text(&pk, "version");
                msgpack_pack_int(&pk, TD_PROTOCOL_VERSION);
        }
        if (ask->id) {
                pack_text(&pk, "id");
                pack_bytes(&pk, ask->id, 16);
        }
        if (ask->method == METHOD_LEND) {
                pack_text(&pk, "handles");
                msgpack_pack_array(&pk, 1);
                msgpack_pack_uint64(&pk, ask->handle);
        } else {
                pack_number_of(&pk, "handle", ask->method == METHOD_PUT ? 0 : ask->handle);
        }
        if (ask->type)
                pack_type(&pk, ask->type);
        if (says_order(ask))
                pack_order(&pk, ask->order, ask->type->ndim);
        if (ask->data) {
                pack_text(&pk, "data");
                pack_bytes(&pk, ask->data, ask->n_data);
        }
        pack_number_of(&pk, "handle", ask->method == METHOD_PUT ? ask->handle : 0);
        pack_entry(&pk, "name", ask->name);
        pack_entry(&pk, "prefix", ask->prefix);
        pack_entry(&pk, "after", ask->after);
        if (ask->limit) {
                pack_text(&pk, "limit");
                msgpack_pack_uint32(&pk, ask->limit);
        }
        pack_entry(&pk, "client", ask->client);
        pack_flag(&pk, "replace", ask->replace);
        pack_flag(&pk, "evictable", ask->evictable);
        pack_flag(&pk, "map", ask->map);
        pack_flag(&pk, "writable", ask->writable);
        pack_flag(&pk, "mutable", ask->mutable);
        pack_flag(&pk, "torn", ask->torn);
        pack_number_of(&pk, "lease", ask->lease);
        if (ask->wait_ms || ask->method == METHOD_WAIT) {
                pack_text(&pk, "wait_ms");
                msgpack_pack_uint64(&pk, ask->wait_ms);
        }
        if (ask->has_owner) {
                pack_text(&pk, "owner");
                msgpack_pack_uint32(&pk, ask->owner);
        }
        if (ask->hides) {
                pack_text(&pk, "shared");
                msgpack_pack_false(&pk);
        }
        pack_number_of(&pk, "result", ask->result);
        pack_entry(&pk, "as", ask->as);
        if (ask->nonce) {
                pack_text(&pk, "nonce");
                pack_bytes(&pk, ask->nonce, 16);
        }
        pack_flag(&pk, "again", ask->again);
        pack_flag(&pk, "lost", ask->lost);
        pack_view(&pk, ask->view);
        pack_op_id(&pk, ask->op_id, ask->retry_ms);
}

void frame_raw(struct frame *frame, uint32_t msgid, const char *method, const void *params,
               size_t n_params)
{
        msgpack_packer pk = packer_of(frame);

        pack_request(&pk, msgid, method, params != NULL);
        if (params)
                frame_append(frame, params, n_params);
}

void frame_name(struct frame *frame, const char *name, int64_t owner)
{
        msgpack_packer pk = packer_of(frame);

        msgpack_pack_map(&pk, owner >= 0 ? 2 : 1);
        pack_entry(&pk, "name", name);
        if (owner < 0)
                return;
        pack_text(&pk, "owner");
        msgpack_pack_int64(&pk, owner);
}

void frame_number(struct frame *frame, const char *key, uint64_t number)
{
        msgpack_packer pk = packer_of(frame);

        msgpack_pack_map(&pk, 1);
        pack_text(&pk, key);
        msgpack_pack_uint64(&pk, number);
}

static void frame_ids(struct frame *frame, const char *method, const char *key, const uint64_t *ids,
                      size_t n_ids)
{
        msgpack_packer pk = packer_of(frame);

        while (n_ids > 0) {
                size_t n = n_ids < FRAME_IDS_MAX ? n_ids : FRAME_IDS_MAX;

                msgpack_pack_array(&pk, 3);
                msgpack_pack_uint8(&pk, 2);
                pack_text(&pk, method);
                msgpack_pack_array(&pk, 1);
                msgpack_pack_map(&pk, 1);
                pack_text(&pk, key);
                msgpack_pack_array(&pk, n);
                for (size_t i = 0; i < n; i++)
                        msgpack_pack_uint64(&pk, ids[i]);
                ids += n;
                n_ids -= n;
        }
}

void frame_release(struct frame *frame, const uint64_t *handles, size_t n_handles)
{
        frame_ids(frame, "release", "handles", handles, n_handles);
}

void frame_cancel(struct frame *frame, uint32_t msgid)
{
        msgpack_packer pk = packer_of(frame);

        msgpack_pack_array(&pk, 3);
        msgpack_pack_uint8(&pk, 2);
        pack_text(&pk, "cancel");
        msgpack_pack_array(&pk, 1);
        msgpack_pack_map(&pk, 1);
        pack_text(&pk, "msgid");
        msgpack_pack_uint32(&pk, msgid);
}

void frame_unmap(struct frame *frame, const uint64_t *segments, size_t n_segments)
{
        frame_ids(frame, "unmap", "segments", segments, n_segments);
}

void frame_unlease(struct frame *frame, uint32_t msgid, uint64_t lease)
{
        msgpack_packer pk = packer_of(frame);

        pack_request(&pk, msgid, method_names[METHOD_UNLEASE], true);
        msgpack_pack_map(&pk, 1);
        pack_text(&pk, "leases");
        msgpack_pack_array(&pk, 1);
        msgpack_pack_uint64(&pk, lease);
}

/* ---- run, define, call ---- */

void frame_undefine(struct frame *frame, const uint64_t *numbers, size_t n_numbers)
{
        frame_ids(frame, "undefine", "definitions", numbers, n_numbers);
}

void frame_define(struct frame *frame, uint32_t msgid, uint64_t number,
                  const struct definition *definition)
{
        msgpack_packer pk = packer_of(frame);

        pack_request(&pk, msgid, method_names[METHOD_DEFINE], true);
        msgpack_pack_map(&pk, 4);
        pack_text(&pk, "definition");
        msgpack_pack_uint64(&pk, number);
        pack_text(&pk, "inputs");
        msgpack_pack_array(&pk, definition->n_inputs);
        for (uint32_t i = 0; i < definition->n_inputs; i++) {
                msgpack_pack_map(&pk, 2);
                pack_type(&pk, &definition->types[i]);
        }
        frame_run_nodes(frame, &definition->nodes, definition->n_values);
        for (uint32_t i = 0; i < definition->n_values; i++)
                frame_run_output(frame, (int)definition->values[i], 0, NULL, 0, false);
}

void frame_run_begin(struct frame *frame, uint32_t msgid, uint64_t definition, unsigned n_more,
                     size_t n_inputs)
{
        msgpack_packer pk = packer_of(frame);

        pack_request(&pk, msgid, method_names[definition ? METHOD_CALL : METHOD_RUN], true);
        msgpack_pack_map(&pk, 3U + n_more);
        if (definition) {
                pack_text(&pk, "definition");
                msgpack_pack_uint64(&pk, definition);
        }
        pack_text(&pk, "inputs");
        msgpack_pack_array(&pk, n_inputs);
}

void frame_run_handle(struct frame *frame, uint64_t handle, const struct view *view, bool donate)
{
        msgpack_packer pk = packer_of(frame);

        msgpack_pack_map(&pk, 1U + !!view + donate);
        pack_text(&pk, "handle");
        msgpack_pack_uint64(&pk, handle);
        pack_flag(&pk, "donate", donate);
        pack_view(&pk, view);
}

void frame_run_immediate(struct frame *frame, const struct td_type *type, const uint8_t *order,
                         const void *data, size_t n_data)
{
        msgpack_packer pk = packer_of(frame);
        bool has_order = !td_order_is_c(order, type->ndim);

        msgpack_pack_map(&pk, 3 + has_order);
        pack_type(&pk, type);
        if (has_order)
                pack_order(&pk, order, type->ndim);
        pack_text(&pk, "data");
        pack_bytes(&pk, data, n_data);
}

void frame_run_nodes(struct frame *frame, const struct frame *nodes, size_t n_outputs)
{
        msgpack_packer pk = packer_of(frame);

        if (nodes) {
                pack_text(&pk, "nodes");
                frame_append(frame, nodes->bytes, nodes->n_bytes);
        }
        pack_text(&pk, "outputs");
        msgpack_pack_array(&pk, n_outputs);
}

void frame_run_output(struct frame *frame, int value, uint64_t handle, const char *name,
                      unsigned how, bool map)
{
        const bool replace = how & TD_REPLACE, evictable = how & TD_EVICTABLE;
        msgpack_packer pk = packer_of(frame);

        msgpack_pack_map(&pk, (value >= 0 ? 1U : 0U) + !!handle + !!name + replace + evictable +
                                      map);
        if (value >= 0) {
                pack_text(&pk, "value");
                msgpack_pack_int(&pk, value);
        }
        pack_entry(&pk, "name", name);
        pack_flag(&pk, "replace", replace);
        pack_flag(&pk, "evictable", evictable);
        pack_number_of(&pk, "handle", handle);
        pack_flag(&pk, "map", map);
}

void frame_run_into(struct frame *frame, int value, int into)
{
        msgpack_packer pk = packer_of(frame);

        msgpack_pack_map(&pk, value >= 0 ? 2 : 1);
        if (value >= 0) {
                pack_text(&pk, "value");
                msgpack_pack_int(&pk, value);
        }
        pack_text(&pk, "into");
        msgpack_pack_int(&pk, into);
}

void frame_run_end(struct frame *frame, const uint8_t *op_id, int64_t retry_ms, int64_t deadline_ms,
                   unsigned n_threads, unsigned progress_ms, uint64_t wait_ms)
{
        msgpack_packer pk = packer_of(frame);

        pack_op_id(&pk, op_id, retry_ms);
        if (deadline_ms >= 0) {
                pack_text(&pk, "deadline_ms");
                msgpack_pack_int64(&pk, deadline_ms);
        }
        if (n_threads) {
                pack_text(&pk, "threads");
                msgpack_pack_uint32(&pk, n_threads);
        }
        if (progress_ms) {
                pack_text(&pk, "progress_ms");
                msgpack_pack_uint32(&pk, progress_ms);
        }
        if (wait_ms) {
                pack_text(&pk, "wait_ms");
                msgpack_pack_uint64(&pk, wait_ms);
        }
}

/* ---- nodes ---- */

static void pack_block(msgpack_packer *pk, const struct td_block *block);

static unsigned loop_n_keys(const struct td_loop *loop)
{
        return loop->n_watch ? 6 : 4;
}

static void pack_loop(msgpack_packer *pk, const struct td_loop *loop)
{
        pack_text(pk, loop->is_while ? "max_steps" : "steps");
        msgpack_pack_int64(pk, loop->n_steps);
        pack_text(pk, "captures");
        msgpack_pack_uint32(pk, loop->n_captures);
        pack_text(pk, "body");
        pack_block(pk, &loop->body);
        pack_text(pk, "results");
        pack_values(pk, loop->results, loop->n_results);
        if (!loop->n_watch)
                return;
        pack_text(pk, "watch");
        pack_values(pk, loop->watch, loop->n_watch);
        if (loop->every > 0) {
                pack_text(pk, "every");
                msgpack_pack_int64(pk, loop->every);
        } else {
                pack_text(pk, "at");
                pack_ints(pk, loop->at, loop->n_at);
        }
}

static void pack_axes(msgpack_packer *pk, const int16_t *axes, size_t n)
{
        msgpack_pack_array(pk, n);
        for (size_t i = 0; i < n; i++)
                msgpack_pack_int16(pk, axes[i]);
}

static void pack_range(msgpack_packer *pk, const struct td_number *range)
{
        msgpack_pack_array(pk, 3);
        for (unsigned i = 0; i < 3; i++)
                pack_number(pk, &range[i]);
}

static void pack_attr(msgpack_packer *pk, const struct td_attrs *attrs, unsigned bit)
{
        const struct td_attr_info *info = td_attr_info(bit);
        const void *field = td_attr_field(attrs, bit);
        const uint8_t *count = td_attr_count(attrs, bit);

        pack_text(pk, info->name);
        switch (info->form) {
        case TD_FORM_DTYPE:
                pack_text(pk, td_dtype_name(*(const uint8_t *)field));
                break;
        case TD_FORM_EXTENTS:
                pack_ints(pk, field, *count);
                break;
        case TD_FORM_AXES:
                pack_axes(pk, field, *count);
                break;
        case TD_FORM_BOOL:
                pack_bool(pk, *(const bool *)field);
                break;
        case TD_FORM_INT:
                msgpack_pack_int64(pk, *(const int64_t *)field);
                break;
        case TD_FORM_FLOAT:
                msgpack_pack_double(pk, *(const double *)field);
                break;
        case TD_FORM_NUMBER:
                pack_number(pk, field);
                break;
        case TD_FORM_RANGE:
                pack_range(pk, field);
                break;
        }
}

static void pack_attrs(msgpack_packer *pk, const struct td_attrs *attrs, const struct td_loop *loop)
{
        uint32_t set = attrs->set & ~(uint32_t)TD_ATTR_LOOP;

        msgpack_pack_map(pk, (unsigned)__builtin_popcount(set) + (loop ? loop_n_keys(loop) : 0));
        for (unsigned bit = 0; bit < TD_N_ATTRS; bit++)
                if (set & 1u << bit)
                        pack_attr(pk, attrs, bit);
        if (loop)
                pack_loop(pk, loop);
}

static void pack_op(msgpack_packer *pk, const struct td_node *node)
{
        const size_t n_user = strlen("user.");
        size_t n;

        if (node->op != TD_OP_USER) {
                pack_text(pk, td_op_info(node->op)->name);
                return;
        }
        n = strlen(node->name);
        msgpack_pack_str(pk, n_user + n);
        msgpack_pack_str_body(pk, "user.", n_user);
        msgpack_pack_str_body(pk, node->name, n);
}

static void pack_block(msgpack_packer *pk, const struct td_block *block)
{
        msgpack_pack_array(pk, block->n_nodes);
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_node *node = &block->nodes[i];

                msgpack_pack_array(pk, 3);
                pack_op(pk, node);
                pack_values(pk, node->args, node->n_args);
                pack_attrs(pk, &node->attrs, node->loop);
        }
}

void frame_nodes(struct frame *frame, const struct td_block *block)
{
        msgpack_packer pk = packer_of(frame);

        pack_block(&pk, block);
}
