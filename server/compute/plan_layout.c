/* SPDX-License-Identifier: MIT */
/*
 * Where intermediates lie
 *
 * Slots are placed in the order in which their lives begin, each at the lowest offset where it fits
 * between those that still live. Offsets are multiples of 64. A chain of operations so needs two
 * buffers, however long it is.
 */
#include "compute/plan_code.h"

#include <errno.h>

enum { ALIGNMENT = 64 };

struct layout {
        struct slot **living; /* by offset */
        uint32_t n_living;
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

static void layout_forget(struct layout *layout, uint64_t time)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < layout->n_living; i++)
                if (layout->living[i]->end >= time)
                        layout->living[n++] = layout->living[i];
        layout->n_living = n;
}

static int layout_place(struct layout *layout, struct slot *slot)
{
        uint64_t offset = 0, end;
        uint32_t at = 0;

        if (!align_up(slot->n_bytes, &end))
                return -EOVERFLOW;
        for (; at < layout->n_living; at++) {
                const struct slot *other = layout->living[at];

                if (other->offset >= offset && other->offset - offset >= end)
                        break;
                (void)align_up(other->offset + other->n_bytes, &offset);
        }
        if (__builtin_add_overflow(offset, end, &end))
                return -EOVERFLOW;
        for (uint32_t i = layout->n_living++; i > at; i--)
                layout->living[i] = layout->living[i - 1];
        layout->living[at] = slot;
        slot->offset = offset;
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

int plan_lay_out(struct plan *plan)
{
        _cleanup_(freep) struct slot **slots = reallocarray(NULL, plan->n_slots + 1,
                                                            2 * sizeof(*slots));
        struct layout layout = { 0 };
        uint32_t n;

        if (!slots)
                return -ENOMEM;
        n = collect_slots(plan, slots);
        layout.living = slots + n;
        for (uint32_t i = 0; i < n; i++) {
                int r;

                layout_forget(&layout, slots[i]->start);
                r = layout_place(&layout, slots[i]);
                if (r < 0)
                        return r;
        }
        plan->n_scratch = plan->frame_offset = layout.peak;
        if (plan->n_slots > FRAME_SLOTS &&
            (__builtin_add_overflow(layout.peak, plan->n_slots * sizeof(void *),
                                    &plan->n_scratch) ||
             !align_up(plan->n_scratch, &plan->n_scratch)))
                return -EOVERFLOW;
        return 0;
}
