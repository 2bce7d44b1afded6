/* SPDX-License-Identifier: MIT */
/*
 * Where intermediates lie
 *
 * Slots are placed in the order in which their lives begin, each at the lowest offset where it fits
 * between those that still live. Offsets are multiples of 64. A chain of operations so needs two
 * buffers, however long it is.
 */
#include "compute/plan/plan_code.h"

#include <errno.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Bytes from begin to end, taken until a slot's last time. */
struct taken {
        uint64_t begin;
        uint64_t end;
        uint64_t until;
};

struct layout {
        struct taken *taken; /* in ascending order; none overlap */
        uint32_t n_taken;
        uint64_t first_until; /* none of them is given back before */
        uint64_t peak;
};

static int compare_starts(const void *a, const void *b)
{
        const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;

        if (x->start != y->start)
                return x->start < y->start ? -1 : 1;
        return x < y ? -1 : x > y;
}

static bool align_up(uint64_t n, uint64_t *alignedp)
{
        if (__builtin_add_overflow(n, ALIGNMENT - 1, alignedp))
                return false;
        *alignedp &= ~(uint64_t)(ALIGNMENT - 1);
        return true;
}

/* Give back what was last looked at before that time. */
static void layout_forget(struct layout *layout, uint64_t time)
{
        uint32_t n = 0;

        if (layout->first_until >= time)
                return;
        layout->first_until = UINT64_MAX;
        for (uint32_t i = 0; i < layout->n_taken; i++) {
                if (layout->taken[i].until < time)
                        continue;
                if (layout->taken[i].until < layout->first_until)
                        layout->first_until = layout->taken[i].until;
                layout->taken[n++] = layout->taken[i];
        }
        layout->n_taken = n;
}

static int layout_place(struct layout *layout, struct slot *slot)
{
        uint64_t begin = 0, n_bytes, end;
        uint32_t at = 0;

        if (!align_up(slot->n_bytes, &n_bytes))
                return -EOVERFLOW;
        for (; at < layout->n_taken && layout->taken[at].begin - begin < n_bytes; at++)
                begin = layout->taken[at].end;
        if (__builtin_add_overflow(begin, n_bytes, &end))
                return -EOVERFLOW;
        memmove(&layout->taken[at + 1], &layout->taken[at],
                (layout->n_taken - at) * sizeof(layout->taken[0]));
        layout->taken[at] = (struct taken){ .begin = begin, .end = end, .until = slot->end };
        layout->n_taken++;
        slot->offset = begin;
        if (slot->end < layout->first_until)
                layout->first_until = slot->end;
        if (end > layout->peak)
                layout->peak = end;
        return 0;
}

/* Slots that want bytes of the scratch, by the time at which they begin to live. */
static uint32_t collect_slots(struct plan *plan, struct slot **slots)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < plan->n_slots; i++)
                if (plan->slots[i].kind == SLOT_SCRATCH && plan->slots[i].n_bytes > 0)
                        slots[n++] = &plan->slots[i];
        if (n > 1)
                qsort(slots, n, sizeof(*slots), compare_starts);
        return n;
}

/*
 * An input's memory goes to an output where nothing comes after that, nothing can fail, and nobody
 * would want to stop it.
 */
static void take(struct builder *builder, const struct handover *h)
{
        struct plan *plan = builder->plan;
        const struct slot *from = &plan->slots[h->from], *to = &plan->slots[h->to];
        struct instr *last;

        if (from->kind != SLOT_INPUT || to->kind != SLOT_OUTPUT || !builder->takes ||
            !builder->takes[from->index] || h->time != builder->time || h->may_fail ||
            plan->n_counted > 0 || plan->taken[to->index] >= 0)
                return;
        last = &plan->code.instrs[plan->code.n_instrs - 1];
        if (step_cost_ns(last->step) > UNSTOPPED_NS_MAX)
                return;
        plan->taken[to->index] = (int32_t)from->index;
        last->is_final = true;
}

/*
 * Slots whose memory another slot takes over, at the very time that they are last looked at, share
 * one life. A slot that moves takes nothing over, since it lies elsewhere in every turn.
 */
static void share(struct builder *builder)
{
        struct slot *slots = builder->plan->slots;
        uint32_t n = 0;

        for (uint32_t i = 0; i < builder->n_handovers; i++) {
                const struct handover *h = &builder->handovers[i];
                struct slot *from = &slots[h->from], *to = &slots[h->to];

                take(builder, h);
                if (from->kind != SLOT_SCRATCH || from->end != h->time || to->start != h->time ||
                    (to->kind != SLOT_SCRATCH && to->kind != SLOT_OUTPUT) ||
                    (to->kind == SLOT_OUTPUT && builder->plan->taken[to->index] >= 0))
                        continue;
                to->start = from->start;
                from->kind = SLOT_SHARED;
                from->index = h->to;
                builder->handovers[n++] = *h;
        }
        builder->n_handovers = n;
}

/* From the last one on: what it took over lies where it lies. */
static void settle(struct builder *builder)
{
        struct slot *slots = builder->plan->slots;

        for (uint32_t i = builder->n_handovers; i-- > 0;) {
                struct slot *from = &slots[builder->handovers[i].from];
                const struct slot *to = &slots[builder->handovers[i].to];

                from->kind = to->kind;
                from->index = to->index;
                from->offset = to->offset;
        }
}

int plan_lay_out(struct builder *builder)
{
        struct plan *plan = builder->plan;
        _cleanup_(freep) struct slot **slots = NULL;
        _cleanup_(freep) struct taken *taken = NULL;
        struct layout layout = { .first_until = UINT64_MAX };
        uint32_t n;

        share(builder);
        slots = reallocarray(NULL, plan->n_slots + 1, sizeof(struct slot *));
        if (!slots)
                return -ENOMEM;
        n = collect_slots(plan, slots);
        layout.taken = taken = reallocarray(NULL, n + 1, sizeof(*taken));
        if (!taken)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                int r;

                layout_forget(&layout, slots[i]->start);
                r = layout_place(&layout, slots[i]);
                if (r < 0)
                        return r;
        }
        settle(builder);
        plan->n_scratch = plan->frame_offset = layout.peak;
        if (plan->n_slots > FRAME_SLOTS &&
            (__builtin_add_overflow(layout.peak, plan->n_slots * sizeof(void *),
                                    &plan->n_scratch) ||
             !align_up(plan->n_scratch, &plan->n_scratch)))
                return -EOVERFLOW;
        return 0;
}
