/* SPDX-License-Identifier: MIT */
/*
 * What a request says. A field that struct request gets needs a line here to be compared.
 */
#pragma once

#include "dump.h"
#include "wire/request.h"

static inline void dump_ref(struct dump *dump, const struct ref *ref)
{
        dump_number(dump, ref->kind);
        dump_number(dump, ref->handle);
        dump_text(dump, ref->name);
        dump_raw(dump, ref->id, sizeof(ref->id));
        dump_number(dump, ref->has_owner);
        dump_number(dump, ref->owner);
}

static inline void dump_order(struct dump *dump, bool has_order, const struct td_type *type,
                              const uint8_t *order)
{
        dump_number(dump, has_order);
        if (has_order)
                dump_raw(dump, order, type->ndim);
}

static inline void dump_data(struct dump *dump, const uint8_t *data, const struct td_type *type)
{
        dump_number(dump, data != NULL);
        if (data)
                dump_raw(dump, data, (size_t)td_type_n_bytes(type));
}

static inline void dump_td_number(struct dump *dump, const struct td_number *number)
{
        dump_number(dump, number->kind);
        dump_raw(dump, number->z,
                 number->kind == TD_KIND_COMPLEX ? sizeof(number->z) : sizeof(number->i));
}

static inline void dump_attr(struct dump *dump, const struct td_attrs *attrs, unsigned bit)
{
        const void *field = td_attr_field(attrs, bit);

        switch (td_attr_info(bit)->form) {
        case TD_FORM_DTYPE:
                dump_raw(dump, field, 1);
                break;
        case TD_FORM_EXTENTS:
                dump_int64s(dump, *td_attr_count(attrs, bit), field);
                break;
        case TD_FORM_AXES:
                dump_number(dump, *td_attr_count(attrs, bit));
                dump_raw(dump, field, *td_attr_count(attrs, bit) * sizeof(int16_t));
                break;
        case TD_FORM_BOOL:
                dump_raw(dump, field, sizeof(bool));
                break;
        case TD_FORM_INT:
        case TD_FORM_FLOAT:
                dump_raw(dump, field, 8);
                break;
        case TD_FORM_NUMBER:
                dump_td_number(dump, field);
                break;
        case TD_FORM_RANGE:
                for (unsigned i = 0; i < 3; i++)
                        dump_td_number(dump, (const struct td_number *)field + i);
                break;
        }
}

static inline void dump_block(struct dump *dump, const struct td_block *block)
{
        dump_number(dump, block->n_inputs);
        dump_number(dump, block->n_nodes);
        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_node *node = &block->nodes[i];
                const struct td_loop *loop = node->loop;

                dump_number(dump, node->op);
                dump_text(dump, node->name);
                dump_uint32s(dump, node->n_args, node->args);
                dump_number(dump, node->attrs.set);
                for (unsigned bit = 0; bit < TD_N_ATTRS; bit++)
                        if (node->attrs.set & 1u << bit)
                                dump_attr(dump, &node->attrs, bit);
                dump_number(dump, loop != NULL);
                if (!loop)
                        continue;
                dump_number(dump, loop->is_while);
                dump_number(dump, (uint64_t)loop->n_steps);
                dump_number(dump, loop->n_captures);
                dump_uint32s(dump, loop->n_results, loop->results);
                dump_uint32s(dump, loop->n_watch, loop->watch);
                dump_number(dump, (uint64_t)loop->every);
                dump_int64s(dump, loop->n_at, loop->at);
                dump_block(dump, &loop->body);
        }
}

static inline void dump_inputs(struct dump *dump, const struct request *request)
{
        dump_number(dump, request->n_inputs);
        for (uint32_t i = 0; i < request->n_inputs; i++) {
                const struct request_input *input = &request->inputs[i];

                dump_ref(dump, &input->ref);
                dump_type(dump, &input->type);
                dump_number(dump, input->has_view);
                dump_number(dump, input->donate);
                dump_number(dump, input->is_written);
                if (input->has_view)
                        dump_int64s(dump, input->type.ndim, input->strides);
                dump_number(dump, (uint64_t)input->offset);
                dump_order(dump, input->has_order, &input->type, input->order);
                dump_data(dump, input->data, &input->type);
        }
}

static inline void dump_outputs(struct dump *dump, const struct request *request)
{
        dump_uint32s(dump, request->program.n_outputs, request->program.outputs);
        for (uint32_t i = 0; i < request->program.n_outputs; i++) {
                const struct request_output *output = &request->outputs[i];

                dump_number(dump, output->handle);
                dump_text(dump, output->name);
                dump_number(dump, output->replace);
                dump_number(dump, output->evictable);
                dump_number(dump, output->map);
                dump_number(dump, output->has_into);
                dump_number(dump, output->into);
        }
}

static inline void dump_request(struct dump *dump, const struct request *request)
{
        dump_number(dump, request->is_notification);
        dump_number(dump, request->msgid);
        dump_number(dump, request->method);
        dump_ref(dump, &request->ref);
        dump_number(dump, request->handle);
        dump_text(dump, request->name);
        dump_type(dump, &request->type);
        dump_order(dump, request->has_order, &request->type, request->order);
        dump_number(dump, request->n_data);
        dump_data(dump, request->data, &request->type);
        dump_number(dump, request->replace);
        dump_number(dump, request->evictable);
        dump_number(dump, request->map);
        dump_number(dump, request->writable);
        dump_number(dump, request->mutable);
        dump_number(dump, request->shared);
        dump_number(dump, request->has_owner);
        dump_number(dump, request->owner);
        dump_number(dump, request->lease);
        dump_number(dump, request->torn);
        dump_number(dump, request->wait_ms);
        dump_number(dump, request->has_op_id);
        dump_number(dump, request->is_retry);
        dump_raw(dump, request->op_id, sizeof(request->op_id));
        dump_number(dump, request->retry_ms);
        dump_number(dump, (uint64_t)request->version);
        dump_text(dump, request->client);
        dump_text(dump, request->prefix);
        dump_text(dump, request->after);
        dump_number(dump, request->lost);
        dump_number(dump, request->after_number);
        dump_number(dump, request->has_nonce);
        dump_number(dump, request->again);
        dump_raw(dump, request->nonce, sizeof(request->nonce));
        dump_number(dump, request->limit);
        dump_number(dump, request->n_ids);
        dump_raw(dump, request->ids, request->n_ids * sizeof(request->ids[0]));
        dump_number(dump, request->has_of_msgid);
        dump_number(dump, request->of_msgid);
        dump_number(dump, request->of_handle);
        dump_number(dump, request->n_threads);
        dump_number(dump, request->has_deadline);
        dump_number(dump, request->deadline_ms);
        dump_number(dump, request->progress_ms);
        dump_number(dump, request->definition);
        dump_inputs(dump, request);
        dump_outputs(dump, request);
        dump_block(dump, &request->program.block);
}
