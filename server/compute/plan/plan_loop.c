/* SPDX-License-Identifier: MIT */
/*
 * Loops of a plan
 *
 * What is carried lies densely, in one of two buffers; a turn reads the one, writes the other, and
 * swaps them by pointer. If the body's result is a buffer that a node of the body just wrote, that
 * buffer is the other one; if it is anything else (captured, carried, a view, or the result of
 * another carried value too) it is copied at the end of the turn, before any swap, so that results
 * may exchange carried values. A carried value that the body returns as it is needs neither.
 *
 * Buffers of the loop live from its begin to its end, as does all that the body uses from outside.
 */
#include "compute/plan/plan_code.h"

#include <errno.h>
#include <string.h>

struct loop *loop_free(struct loop *loop)
{
        if (!loop)
                return NULL;
        code_deinit(&loop->body);
        for (uint32_t i = 0; i < loop->n_watch; i++)
                instr_deinit(&loop->watch[i].copy);
        free(loop->watch);
        free(loop->carried);
        free(loop->at);
        free(loop);
        return NULL;
}

static int loop_new(struct loop **loopp, const struct td_loop *from)
{
        _cleanup_(loop_freep) struct loop *loop = calloc(1, sizeof(*loop));

        if (!loop)
                return -ENOMEM;
        loop->is_while = from->is_while;
        loop->n_steps = from->n_steps;
        loop->index = SLOT_NONE;
        loop->every = from->every;
        loop->n_at = from->n_at;
        loop->at = calloc((size_t)from->n_at + 1, sizeof(*loop->at));
        loop->carried = calloc((size_t)from->n_results + 1, sizeof(*loop->carried));
        loop->watch = calloc((size_t)from->n_watch + 1, sizeof(*loop->watch));
        if (!loop->at || !loop->carried || !loop->watch)
                return -ENOMEM;
        if (from->n_at)
                memcpy(loop->at, from->at, from->n_at * sizeof(*loop->at));
        *loopp = steal_ptr(&loop);
        return 0;
}

/* Does the body return the i-th carried value as it is? */
static bool is_kept(const struct td_loop *from, uint32_t i)
{
        return from->results[i] == from->n_captures + 1 + i;
}

/* Places of the body's inputs. What is carried is copied to where the first turn reads it. */
static int enter_loop(struct builder *builder, struct code *code, struct loop *loop,
                      const struct td_loop *from, const struct place *args, struct place *inputs)
{
        int r;

        for (uint32_t i = 0; i < from->n_captures; i++)
                inputs[i] = args[i];
        for (uint32_t i = 0; i < from->n_results; i++) {
                const struct place *initial = &args[from->n_captures + i];
                struct place *input = &inputs[from->n_captures + 1 + i];
                struct carried *carried = &loop->carried[loop->n_carried];

                *input = *initial;
                if (is_kept(from, i))
                        continue;
                r = code_copy(builder, code, TD_OP_LOOP, initial, input);
                if (r < 0)
                        return r;
                carried->first = input->slot;
                carried->n_bytes = (uint64_t)desc_n_bytes(&input->desc);
                r = slot_new(builder, SLOT_MOVING, 0, 0, &carried->read);
                if (r < 0)
                        return r;
                input->slot = carried->read;
                loop->n_carried++;
        }
        return 0;
}

/*
 * The slot through which the body writes what the next turn carries, from first_slot on a slot of
 * the body.
 */
static int carry_result(struct builder *builder, struct loop *loop, const struct place *result,
                        uint32_t first_slot, struct carried *carried)
{
        struct place written = *result;
        int r;

        if (result->slot < first_slot || !place_fills(builder, result) ||
            !desc_is_c(&result->desc)) {
                r = code_copy(builder, &loop->body, TD_OP_LOOP, result, &written);
                if (r < 0)
                        return r;
        }
        carried->written = written.slot;
        builder->plan->slots[written.slot].kind = SLOT_MOVING;
        return slot_new(builder, SLOT_SCRATCH, 0, builder->plan->slots[written.slot].n_bytes,
                        &carried->second);
}

/* One state is copied into a row of the stack; the result is the place of the stack. */
static int watch_value(struct builder *builder, struct loop *loop, const struct place *value,
                       int64_t n_rows, struct place *result)
{
        struct watch *watch = &loop->watch[loop->n_watch];
        struct td_type type = { .dtype = value->desc.type.dtype };
        struct desc row;
        int r;

        type.ndim = (uint8_t)(value->desc.type.ndim + 1);
        type.shape[0] = n_rows;
        memcpy(type.shape + 1, value->desc.type.shape,
               value->desc.type.ndim * sizeof(type.shape[0]));
        desc_init_c(&result->desc, &type);
        r = slot_new(builder, SLOT_SCRATCH, 0, (uint64_t)desc_n_bytes(&result->desc),
                     &result->slot);
        if (r < 0 || desc_n_elements(&result->desc) == 0)
                return r;

        desc_init_c(&row, &value->desc.type);
        slot_touch(builder, value->slot);
        watch->row_bytes = (uint64_t)desc_n_bytes(&row);
        r = instr_init(&watch->copy, TD_OP_LOOP, 1, 1);
        if (r < 0)
                return r;
        loop->n_watch++; /* from here on the loop frees it */
        watch->copy.node = builder->node;
        watch->copy.args[0] = value->slot;
        watch->copy.results[0] = result->slot;
        r = step_new_copy(&watch->copy.step, &value->desc, &row);
        if (r < 0)
                return r;
        if (step_n_scratch(watch->copy.step) == 0)
                return 0;
        return slot_new(builder, SLOT_SCRATCH, 0, step_n_scratch(watch->copy.step),
                        &watch->copy.scratch);
}

/* The end of a turn: what is carried on, and what is watched. */
static int finish_turn(struct builder *builder, struct loop *loop, const struct td_loop *from,
                       const struct place *values, uint32_t first_slot, const bool *is_live,
                       struct place *results)
{
        uint32_t k = 0;
        int r;

        for (uint32_t i = 0; i < from->n_results; i++) {
                results[i] = values[from->n_captures + 1 + i];
                if (is_kept(from, i))
                        continue;
                r = carry_result(builder, loop, &values[from->results[i]], first_slot,
                                 &loop->carried[k]);
                if (r < 0)
                        return r;
                results[i].slot = loop->n_steps % 2 && !loop->is_while ? loop->carried[k].second
                                                                       : loop->carried[k].first;
                k++;
        }
        builder->time++;
        for (uint32_t i = 0; i < from->n_watch; i++) {
                if (!is_live[from->n_results + i])
                        continue;
                r = watch_value(builder, loop, &values[from->watch[i]], td_loop_n_watched(from),
                                &results[from->n_results + i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/*
 * Slots from outside that were looked at since begin, and the loop's own, live to the end, which is
 * now.
 */
static void extend_lives(struct builder *builder, const struct loop *loop, uint64_t begin,
                         uint32_t n_outer)
{
        struct slot *slots = builder->plan->slots;

        for (uint32_t i = 0; i < n_outer; i++)
                if (slots[i].end >= begin && slots[i].end < builder->time)
                        slots[i].end = builder->time;
        for (uint32_t i = 0; i < loop->n_carried; i++) {
                slots[loop->carried[i].first].end = builder->time;
                slots[loop->carried[i].second].start = begin;
                slots[loop->carried[i].second].end = builder->time;
        }
        if (loop->is_while) {
                slots[loop->n_turns].start = begin;
                slots[loop->n_turns].end = builder->time;
        }
        for (uint32_t i = 0; i < loop->n_watch; i++) {
                slots[loop->watch[i].copy.results[0]].start = begin;
                slots[loop->watch[i].copy.results[0]].end = builder->time;
        }
}

/* Where the condition of a while lies before each turn, and where its turns are counted. */
static int finish_while(struct builder *builder, struct loop *loop, const struct td_loop *from,
                        const struct place *values, struct place *results)
{
        const struct td_type count = { .dtype = TD_INT64 };
        const struct place *condition = &values[from->n_captures + 1];
        struct place *n_turns = &results[from->n_results];
        int r;

        slot_touch(builder, condition->slot);
        loop->condition = condition->slot;
        loop->condition_offset = condition->desc.offset;
        desc_init_c(&n_turns->desc, &count);
        r = slot_new(builder, SLOT_SCRATCH, 0, sizeof(int64_t), &n_turns->slot);
        loop->n_turns = n_turns->slot;
        return r;
}

/* No turn is made: what is carried stays what it was, and stacks have no rows. */
static int build_no_turns(struct builder *builder, const struct td_loop *from,
                          const struct place *args, const struct td_type *body_types,
                          struct place *results)
{
        int r;

        for (uint32_t i = 0; i < from->n_results; i++)
                results[i] = args[from->n_captures + i];
        for (uint32_t i = 0; i < from->n_watch; i++) {
                const struct td_type *of = &body_types[from->watch[i]];
                struct td_type type = { .dtype = of->dtype, .ndim = (uint8_t)(of->ndim + 1) };

                memcpy(type.shape + 1, of->shape, of->ndim * sizeof(of->shape[0]));
                desc_init_c(&results[from->n_results + i].desc, &type);
                r = slot_new(builder, SLOT_SCRATCH, 0, 0, &results[from->n_results + i].slot);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Mark what the body must yield; is the step's number among what it needs? */
static int build_body(struct builder *builder, struct loop *loop, const struct td_loop *from,
                      const struct td_type *nested, const bool *is_live, struct place *values,
                      uint32_t *first_slotp)
{
        uint64_t n_values = td_block_n_values(&from->body);
        struct typed_block typed = { .block = &from->body,
                                     .types = nested,
                                     .nested = nested + n_values };
        _cleanup_(freep) bool *live = calloc(n_values, sizeof(*live));
        int r;

        if (!live)
                return -ENOMEM;
        for (uint32_t i = 0; i < from->n_results; i++)
                live[from->results[i]] = true;
        for (uint32_t i = 0; i < from->n_watch; i++)
                if (is_live[from->n_results + i])
                        live[from->watch[i]] = true;
        r = slot_new(builder, SLOT_SCRATCH, 0, sizeof(int64_t), &loop->index);
        if (r < 0)
                return r;
        values[from->n_captures].slot = loop->index;
        desc_init_c(&values[from->n_captures].desc, &nested[from->n_captures]);
        *first_slotp = builder->plan->n_slots;
        return code_build(builder, &loop->body, &typed, values, live);
}

int loop_build(struct builder *builder, struct code *code, const struct td_node *node,
               const struct place *args, const struct td_type *nested, const bool *is_live,
               struct place *results)
{
        const struct td_loop *from = node->loop;
        struct instr instr = { .op = node->op, .node = builder->node, .scratch = SLOT_NONE };
        _cleanup_(freep) struct place *values = NULL;
        _cleanup_(loop_freep) struct loop *loop = NULL;
        uint32_t first_slot;
        uint64_t begin;
        int r;

        if (from->n_steps == 0 && !from->is_while)
                return build_no_turns(builder, from, args, nested, results);
        r = loop_new(&loop, from);
        if (r < 0)
                return r;
        values = calloc(td_block_n_values(&from->body), sizeof(*values));
        if (!values)
                return -ENOMEM;
        r = enter_loop(builder, code, loop, from, args, values);
        if (r < 0)
                return r;
        begin = ++builder->time;
        r = build_body(builder, loop, from, nested, is_live, values, &first_slot);
        if (r < 0)
                return r;
        r = finish_turn(builder, loop, from, values, first_slot, is_live, results);
        if (r == 0 && loop->is_while)
                r = finish_while(builder, loop, from, values, results);
        if (r < 0)
                return r;
        builder->time++;
        extend_lives(builder, loop, begin, first_slot);
        if (loop->n_carried == 0 && loop->n_watch == 0 && !loop->is_while)
                return 0;
        instr.loop = loop;
        r = code_append(code, &instr);
        if (r < 0)
                return r;
        steal_ptr(&loop);
        return 0;
}
