/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <assert.h>

#include "base/error.h"

/* Of so many messages the last few are followed by what seems the worse: 1 in 256. */
#define LOOP_TRIAL_EVERY 1024
#define LOOP_TRIAL_MESSAGES 4
/* A gap counts for no more than so many spins: it says nothing beyond "too late for it". */
#define LOOP_GAP_SPINS 4
/* Looks at one peer for each look at all of them. */
#define LOOP_GLANCES 8

int loop_init(struct loop *loop, unsigned busy_poll_us, bool (*may_spin)(void *ctx),
              void (*glance)(void *ctx), void *ctx)
{
        int r;

        *loop = (struct loop){ .busy_poll_ns = busy_poll_us * UINT64_C(1000),
                               .gap_ns[LOOP_SLEEP] = busy_poll_us * UINT64_C(2000),
                               .may_spin = may_spin,
                               .glance = glance,
                               .ctx = ctx };
        r = uv_loop_init(&loop->uv);
        return r ? error_origin(r) : 0;
}

void loop_deinit(struct loop *loop)
{
        int r = uv_loop_close(&loop->uv);

        assert(r == 0);
        (void)r;
}

static bool loop_wants_spin(struct loop *loop)
{
        if (loop->is_stopped || loop->wait != LOOP_SPIN ||
            uv_hrtime() - loop->last_message_ns >= loop->busy_poll_ns)
                return false;
        if (loop->may_spin(loop->ctx))
                return true;
        loop->wait = LOOP_HELD;
        return false;
}

void loop_run(struct loop *loop)
{
        while (!loop->is_stopped) {
                loop->is_spinning = loop_wants_spin(loop);
                for (int i = 0; i < LOOP_GLANCES && loop->is_spinning && !loop->is_stopped; i++)
                        loop->glance(loop->ctx);
                uv_run(&loop->uv, loop->is_spinning ? UV_RUN_NOWAIT : UV_RUN_ONCE);
        }
}

void loop_stop(struct loop *loop)
{
        loop->is_stopped = true;
}

void loop_finish(struct loop *loop)
{
        uv_run(&loop->uv, UV_RUN_DEFAULT);
}

/* The last gap, to the account of what the loop did in it. A trial is short, and weighs more. */
static void loop_learn(struct loop *loop, uint64_t gap_ns)
{
        uint64_t *mean = &loop->gap_ns[loop->wait], weight = loop->is_trial ? 2 : 8;

        if (gap_ns > LOOP_GAP_SPINS * loop->busy_poll_ns)
                gap_ns = LOOP_GAP_SPINS * loop->busy_poll_ns;
        *mean = (*mean * (weight - 1) + gap_ns) / weight;
}

void loop_note_message(struct loop *loop)
{
        const uint64_t *means = loop->gap_ns;
        uint64_t now;
        bool spins;

        if (!loop->busy_poll_ns)
                return;
        now = uv_hrtime();
        if (loop->last_message_ns && loop->wait != LOOP_HELD)
                loop_learn(loop, now - loop->last_message_ns);
        loop->last_message_ns = now;

        /* Spinning must be better by an eighth: it is not free. */
        spins = means[LOOP_SPIN] + means[LOOP_SLEEP] / 8 < means[LOOP_SLEEP];
        loop->is_trial = ++loop->n_messages % LOOP_TRIAL_EVERY >=
                         LOOP_TRIAL_EVERY - LOOP_TRIAL_MESSAGES;
        loop->wait = spins != loop->is_trial ? LOOP_SPIN : LOOP_SLEEP;
}
