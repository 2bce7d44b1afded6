/* SPDX-License-Identifier: MIT */
/*
 * The memory of a run
 *
 * One piece of the heap for all that is small; a segment for each other output, and for a large
 * scratch. Inputs are pinned while it computes, in the segments in which they lay when it began: a
 * tensor that is shared meanwhile may lie in another one.
 *
 * One that is to be mapped has a segment, however small it is.
 *
 * What small outputs need to become tensors, and names in the catalog, is charged for before, so
 * that a run waits for it as for any memory. Where an output takes the memory of an input, or goes
 * into a mutable tensor, nothing may fail once that is written over: there they are made before.
 */
#include "service/run_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/claims.h"
#include "service/starved.h"

#define ALIGNMENT 64
#define SCRATCH_MAX (64 * 1024) /* more comes from the pool */

static size_t align(uint64_t n_bytes)
{
        return (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_immediate(const struct call *call, uint32_t i)
{
        return call->request->inputs[i].ref.kind == REF_NONE;
}

/* What a small area takes. An output of unknown size may turn out to be small, so there is room. */
static size_t area_small_bytes(const struct call *call, uint32_t i)
{
        if (i < call->n_results && !run_knows_output(call, i))
                return TD_INLINE_MAX;
        return align(call->run->areas[i].n_bytes);
}

int32_t run_taken(const struct call *call, uint32_t i)
{
        return call->run->areas[i].n_bytes <= TD_INLINE_MAX ? -1 : plan_taken(call->run->plan, i);
}

/* Is memory that others see, or that a failure would give back, written over? */
static bool writes_over(const struct call *call)
{
        for (uint32_t i = 0; i < call->n_results; i++)
                if (call->request->outputs[i].has_into || run_taken(call, i) >= 0)
                        return true;
        return false;
}

bool run_is_small(const struct call *call, uint32_t i)
{
        uint64_t n_bytes = call->run->areas[i].n_bytes;

        if (i == call->n_results)
                return n_bytes <= SCRATCH_MAX;
        return n_bytes <= TD_INLINE_MAX && !(n_bytes > 0 && call->request->outputs[i].map);
}

/*
 * One piece of memory for all that is small: aligned copies of the inline inputs, which lie
 * anywhere in the message, then the small areas. 0, STORE_E_QUOTA or -ENOMEM.
 */
int run_reserve_small(struct call *call)
{
        const struct request_input *inputs = call->request->inputs;
        struct run_state *run = call->run;
        size_t n = ALIGNMENT;
        uint8_t *next;

        for (uint32_t i = 0; i < call->request->n_inputs; i++)
                if (is_immediate(call, i))
                        n += align((uint64_t)td_type_n_bytes(&inputs[i].type));
        for (uint32_t i = 0; i < run->n_areas; i++) {
                struct area *area = &run->areas[i];

                area->is_small = run_is_small(call, i);
                n += area->is_small ? area_small_bytes(call, i) : 0;
        }
        if (user_may_take(call->user, RESOURCE_WORKSPACE, n))
                return STORE_E_QUOTA;
        run->small = malloc(n);
        if (!run->small)
                return -ENOMEM;
        call_count_bytes(call, n);

        next = run->small + (-(uintptr_t)run->small & (ALIGNMENT - 1));
        for (uint32_t i = 0; i < call->request->n_inputs; i++) {
                if (!is_immediate(call, i))
                        continue;
                n = (size_t)td_type_n_bytes(&inputs[i].type);
                run->inputs[i] = memcpy(next, inputs[i].data, n);
                next += align(n);
        }
        for (uint32_t i = 0; i < run->n_areas; i++) {
                if (!run->areas[i].is_small)
                        continue;
                run->areas[i].data = next;
                next += area_small_bytes(call, i);
        }
        return 0;
}

/* The tensor of a small output, whose bytes are not computed yet. */
static int area_make_tensor(struct call *call, uint32_t i)
{
        struct area *area = &call->run->areas[i];
        bool is_known = run_knows_output(call, i) || call->run->is_sized;
        struct desc desc;

        if (area->tensor || !call->request->outputs[i].handle || !writes_over(call) || !is_known)
                return 0;
        run_output_desc(call->run, i, &desc);
        return tensor_new_prepaid(&area->tensor, call->service->store, call->user, &desc, NULL,
                                  area->data, NULL, &call->run->prepaid);
}

/* 0, a store outcome or a negative errno. */
static int area_reserve(struct call *call, struct area *area, bool is_scratch)
{
        struct run_state *run = call->run;
        const uint32_t i = (uint32_t)(area - run->areas);
        const int32_t taken = is_scratch ? -1 : run_taken(call, i);
        int r;

        if (area->is_small)
                return is_scratch ? 0 : area_make_tensor(call, i);
        if (taken >= 0) {
                area->segment = segment_ref(call->pins[taken].tensor->segment);
                area->is_ready = true;
                return 0;
        }
        r = starved_reserve(call, call->user,
                            call->client && !is_scratch ? &call->client->holder : NULL,
                            area->n_bytes, &area->segment, &area->is_ready);
        if (r) {
                area->segment = NULL;
                return r;
        }
        if (!area->is_ready)
                run->is_allocating = true;
        return 0;
}

/* Where a tensor's bytes are, in the daemon's memory; NULL for no bytes. */
static int input_pin(struct run_state *run, const struct tensor *tensor, uint32_t i)
{
        int r;

        if (tensor_n_bytes(tensor) == 0)
                return 0;
        if (tensor->heap) {
                run->inputs[i] = tensor->heap;
                return 0;
        }
        r = segment_pin(tensor->segment);
        if (r)
                return r;
        run->segments[i] = segment_ref(tensor->segment);
        run->inputs[i] = segment_data(tensor->segment);
        return 0;
}

void run_unpin_inputs(struct call *call)
{
        struct run_state *run = call->run;

        for (uint32_t i = 0; i < run->n_pinned; i++) {
                if (!run->segments[i])
                        continue;
                segment_unpin(run->segments[i]);
                run->segments[i] = segment_unref(run->segments[i]);
        }
        run->n_pinned = 0;
}

int run_pin_inputs(struct call *call)
{
        struct run_state *run = call->run;

        for (; run->n_pinned < call->request->n_inputs; run->n_pinned++) {
                uint32_t i = run->n_pinned;
                int r;

                if (is_immediate(call, i))
                        continue;
                r = input_pin(run, call->pins[i].tensor, i);
                if (r) {
                        run_unpin_inputs(call);
                        return r;
                }
        }
        return 0;
}

static uint32_t output_record_bytes(const struct call *call, uint32_t i)
{
        struct desc desc;

        run_output_desc(call->run, i, &desc);
        return reservation_record_bytes(call->reservations[i], &desc, call->run->areas[i].is_small);
}

int run_charge(struct call *call)
{
        struct run_state *run = call->run;
        uint64_t n_bytes = 0, n_record_bytes = 0;
        uint32_t n = 0, n_map = 0;

        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];
                const struct area *area = &run->areas[i];

                n_map += output->map;
                if (!output->handle && !output->name)
                        continue;
                n++;
                if (!run_knows_output(call, i) && !run->is_sized)
                        continue;
                n_bytes += area->is_small && !area->tensor ? area->n_bytes : 0;
                n_record_bytes += call->reservations[i] ? output_record_bytes(call, i) : 0;
        }
        if (n > 0 && !run->prepaid.tensors.user &&
            charge_take(&run->prepaid.tensors, call->user, RESOURCE_TENSORS, n))
                return STORE_E_QUOTA;
        if (n_map > 0 && !run->grants.user && store_charge_grants(&run->grants, call->user, n_map))
                return STORE_E_QUOTA;
        return store_prepay(call->service->store, &run->prepaid, call->user, n_bytes,
                            n_record_bytes);
}

/*
 * Memory for those areas that have a size and none yet, and room in the ledger for what is written.
 * 0, a store outcome or a negative errno.
 */
int run_reserve(struct call *call)
{
        struct run_state *run = call->run;

        for (; run->n_reserved < run->n_areas; run->n_reserved++) {
                struct area *area = &run->areas[run->n_reserved];
                int r = area->segment
                                ? 0
                                : area_reserve(call, area, run->n_reserved == call->n_results);

                if (r)
                        return r;
        }
        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];
                int r;

                if (!output->has_into)
                        continue;
                r = lease_record(&call->pins[output->into].claim->lease, NULL);
                if (r)
                        return r;
        }
        return 0;
}

void run_give_back(struct call *call)
{
        struct run_state *run = call->run;

        for (uint32_t i = 0; i < run->n_areas; i++) {
                struct area *area = &run->areas[i];

                if (!area->segment || area->is_pinned)
                        continue;
                area->segment = segment_unref(area->segment);
                area->is_ready = false;
        }
        prepaid_give_back(&run->prepaid);
        run->n_reserved = 0;
        run->is_allocating = false;
}

/* Any thread. 0, a store outcome, or a negative errno. */
int run_prepare(struct run_state *run)
{
        for (uint32_t i = 0; i < run->n_areas; i++) {
                struct area *area = &run->areas[i];
                int r;

                if (!area->segment || area->is_pinned)
                        continue;
                if (!area->is_ready) {
                        r = segment_allocate(area->segment);
                        if (r)
                                return r;
                        area->is_ready = true;
                }
                r = segment_pin(area->segment);
                if (r)
                        return r;
                area->is_pinned = true;
                area->data = segment_data(area->segment);
        }
        for (uint32_t i = 0; i + 1 < run->n_areas; i++)
                run->outputs[i] = run->areas[i].data;
        return 0;
}

/* Which input lost its pages while it was computed on, -1: none. */
int64_t run_find_poisoned(const struct call *call)
{
        for (uint32_t i = 0; i < call->run->n_pinned; i++)
                if (call->run->segments[i] && segment_is_poisoned(call->run->segments[i]))
                        return i;
        return -1;
}

const struct segment *run_find_segment(const struct call *call, const char *at)
{
        for (uint32_t i = 0; i < call->run->n_pinned; i++) {
                const struct segment *segment = call->run->segments[i];

                if (segment && (size_t)(at - (char *)segment_data(segment)) <
                                       tensor_n_bytes(call->pins[i].tensor))
                        return segment;
        }
        for (uint32_t i = 0; i < call->run->n_areas; i++) {
                const struct area *area = &call->run->areas[i];

                if (area->segment && (size_t)(at - (char *)area->data) < area->n_bytes)
                        return area->segment;
        }
        return NULL;
}
