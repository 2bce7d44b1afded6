/* SPDX-License-Identifier: MIT */
/*
 * Running a plan
 *
 * A run fills a table of slots, on its stack or in its scratch, and walks the code. Nothing is
 * allocated, and the plan is only read, so many threads may run it at once.
 */
#include "compute/plan/plan_code.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "compute/step_base.h"

struct frame {
        const struct run *run;
        void **slots;
        struct td_refusal *refusal;
};

/* Put the operation's name in front, unless it stands there, and say which node it was. */
static void blame(struct td_refusal *refusal, const struct instr *instr)
{
        const char *name = td_op_name(instr->op);
        size_t n = strlen(name);

        if (!refusal)
                return;
        if (refusal->node >= 0)
                return; /* a step of several nodes knows which one it was */
        refusal->node = instr->node;
        if (instr->op == TD_OP_USER)
                return; /* says "user." and its own name */
        if (strncmp(refusal->message, name, n) != 0 || refusal->message[n] != ':')
                td_refusal_prefix(refusal, "%s: ", name);
}

/* The first result lies offset bytes behind its slot. */
static int run_step(const struct frame *frame, const struct instr *instr, uint64_t offset)
{
        struct run unstopped;
        const struct run *run = frame->run;
        const void *args[TD_ARGS_MAX];
        void *results[TD_RESULTS_MAX];
        void *scratch = instr->scratch == SLOT_NONE ? NULL : frame->slots[instr->scratch];

        for (uint32_t i = 0; i < instr->n_args; i++)
                args[i] = frame->slots[instr->args[i]];
        for (uint32_t i = 0; i < instr->n_results; i++)
                results[i] = frame->slots[instr->results[i]];
        if (offset)
                results[0] = (char *)results[0] + offset;
        if (instr->is_final && run) {
                unstopped = *run;
                unstopped.should_stop = NULL;
                run = &unstopped;
        }
        return step_run(instr->step, run, args, results, scratch, frame->refusal);
}

/* One thread runs the plan: nobody else writes the number. */
static void count_step(const struct run *run)
{
        if (run && run->n_done)
                atomic_store_explicit(run->n_done,
                                      atomic_load_explicit(run->n_done, memory_order_relaxed) + 1,
                                      memory_order_relaxed);
}

static int run_loop(const struct frame *frame, const struct loop *loop);

static int run_code(const struct frame *frame, const struct code *code)
{
        for (uint32_t i = 0; i < code->n_instrs; i++) {
                const struct instr *instr = &code->instrs[i];
                int r;

                if (run_should_stop(frame->run))
                        return PLAN_E_STOPPED;
                r = instr->loop ? run_loop(frame, instr->loop) : run_step(frame, instr, 0);
                if (r == PLAN_E_REFUSED)
                        blame(frame->refusal, instr);
                if (r)
                        return r;
                if (!instr->loop)
                        count_step(frame->run);
        }
        return 0;
}

/* The number of the step that is watched into that row, or one that never comes. */
static int64_t watched_step(const struct loop *loop, uint64_t row)
{
        int64_t step;

        if (loop->n_watch == 0)
                return INT64_MAX;
        if (loop->every > 0)
                return __builtin_mul_overflow(loop->every, row + 1, &step) ? INT64_MAX : step;
        return row < loop->n_at ? loop->at[row] : INT64_MAX;
}

static int run_watch(const struct frame *frame, const struct loop *loop, uint64_t row)
{
        for (uint32_t i = 0; i < loop->n_watch; i++) {
                const struct watch *watch = &loop->watch[i];
                int r = run_step(frame, &watch->copy, row * watch->row_bytes);

                if (r)
                        return r;
        }
        return 0;
}

/* A while whose body changes nothing makes all of its turns or none, and needs none to know. */
static int64_t n_turns_at_most(const struct loop *loop)
{
        return loop->is_while && loop->n_carried == 0 ? 0 : loop->n_steps;
}

/* A byte that a client wrote may be any number. */
static bool goes_on(const struct frame *frame, const struct loop *loop)
{
        const char *condition = frame->slots[loop->condition];

        return condition[loop->condition_offset] != 0;
}

/* The state after so many turns, where the next instruction looks for it. */
static void end_while(const struct frame *frame, const struct loop *loop, int64_t n_turns)
{
        void **slots = frame->slots;

        if (loop->n_carried == 0)
                n_turns = goes_on(frame, loop) ? loop->n_steps : 0;
        for (uint32_t i = 0; i < loop->n_carried && n_turns % 2; i++)
                memcpy(slots[loop->carried[i].first], slots[loop->carried[i].second],
                       loop->carried[i].n_bytes);
        *(int64_t *)slots[loop->n_turns] = n_turns;
}

static int run_loop(const struct frame *frame, const struct loop *loop)
{
        void **slots = frame->slots;
        int64_t n_steps = n_turns_at_most(loop), k;
        uint64_t row = 0;
        int64_t next = watched_step(loop, row);

        for (uint32_t i = 0; i < loop->n_carried; i++) {
                slots[loop->carried[i].read] = slots[loop->carried[i].first];
                slots[loop->carried[i].written] = slots[loop->carried[i].second];
        }
        for (k = 0; k < n_steps; k++) {
                int r;

                if (run_should_stop(frame->run))
                        return PLAN_E_STOPPED;
                if (loop->is_while && !goes_on(frame, loop))
                        break;
                *(int64_t *)slots[loop->index] = k;
                r = run_code(frame, &loop->body);
                if (r == PLAN_E_REFUSED)
                        td_refuse_body(frame->refusal, loop->is_while);
                if (r)
                        return r;
                if (k + 1 == next) {
                        r = run_watch(frame, loop, row);
                        if (r)
                                return r;
                        next = watched_step(loop, ++row);
                }
                for (uint32_t i = 0; i < loop->n_carried; i++) {
                        void *written = slots[loop->carried[i].written];

                        slots[loop->carried[i].written] = slots[loop->carried[i].read];
                        slots[loop->carried[i].read] = written;
                }
        }
        if (loop->is_while)
                end_while(frame, loop, k);
        return 0;
}

/* Of the frame's slots the first FRAME_SLOTS lie in table, if they are all. */
static void frame_fill(struct frame *frame, const struct plan *plan, void **table,
                       const void *const *inputs, void *const *outputs, void *scratch)
{
        /* where slots without bytes point; nobody writes there */
        static _Alignas(64) char nothing[64];
        char *bytes = plan->n_scratch ? scratch : nothing;

        assert(bytes && (uintptr_t)bytes % 64 == 0);
        frame->slots = table;
        if (plan->n_slots > FRAME_SLOTS)
                frame->slots = (void **)(void *)(bytes + plan->frame_offset);
        for (uint32_t i = 0; i < plan->n_slots; i++) {
                const struct slot *slot = &plan->slots[i];

                switch (slot->kind) {
                case SLOT_INPUT:
                        frame->slots[i] = (void *)(uintptr_t)inputs[slot->index];
                        break;
                case SLOT_OUTPUT:
                        frame->slots[i] = outputs[slot->index];
                        break;
                case SLOT_SCRATCH:
                        frame->slots[i] = bytes + slot->offset;
                        break;
                case SLOT_COUNTED:
                        frame->slots[i] = slot->index == SLOT_NONE ? NULL : outputs[slot->index];
                        break;
                default:
                        frame->slots[i] = nothing;
                        break; /* a loop points it */
                }
        }
}

int plan_run(const struct plan *plan, const struct run *run, const void *const *inputs,
             void *const *outputs, void *scratch, struct td_refusal *refusal)
{
        struct frame frame = { .run = run, .refusal = refusal };
        void *table[FRAME_SLOTS];
        int r;

        frame_fill(&frame, plan, table, inputs, outputs, scratch);
        r = run_code(&frame, &plan->code);
        return r == 0 && plan->n_counted > 0 ? PLAN_E_COUNTED : r;
}

/* ---- what was counted ---- */

static int finish_step(const struct frame *frame, const struct instr *instr, int64_t count)
{
        const void *args[TD_ARGS_MAX];
        void *results[TD_RESULTS_MAX];

        for (uint32_t i = 0; i < instr->n_args; i++)
                args[i] = frame->slots[instr->args[i]];
        for (uint32_t i = 0; i < instr->n_results; i++)
                results[i] = frame->slots[instr->results[i]];
        return step_finish(instr->step, frame->run, args, results, frame->slots[instr->scratch],
                           count);
}

int plan_finish(const struct plan *plan, const struct run *run, const void *const *inputs,
                void *const *outputs, void *scratch, const int64_t *counts)
{
        struct frame frame = { .run = run };
        void *table[FRAME_SLOTS];

        frame_fill(&frame, plan, table, inputs, outputs, scratch);
        for (uint32_t i = 0; i < plan->n_counted; i++) {
                int r = finish_step(&frame, &plan->code.instrs[plan->counted[i]], counts[i]);

                if (r)
                        return r;
        }
        for (uint32_t i = 0; i < plan->n_outputs; i++) {
                struct desc desc;

                if (plan->output_twins[i] == SLOT_NONE)
                        continue;
                plan_counted_output(plan, i, counts, &desc);
                if (desc_n_bytes(&desc) > 0)
                        memcpy(outputs[i], outputs[plan->output_twins[i]],
                               (size_t)desc_n_bytes(&desc));
        }
        return 0;
}
