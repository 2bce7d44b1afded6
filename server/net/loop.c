/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <assert.h>

#include "base/error.h"

/* Looks at one peer for each look at all of them. */
#define LOOP_GLANCES 8

int loop_init(struct loop *loop, unsigned busy_poll_us, bool (*may_spin)(void *ctx),
              void (*glance)(void *ctx), void *ctx)
{
        int r;

        *loop = (struct loop){ .busy_poll_ns = busy_poll_us * UINT64_C(1000),
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
        if (loop->is_stopped || !loop->last_message_ns || !loop->may_spin(loop->ctx))
                return false;
        if (uv_hrtime() - loop->last_message_ns < loop->busy_poll_ns)
                return true;
        if (loop->is_spinning)
                td_patience_polled(&loop->patience, true);
        loop->last_message_ns = 0;
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

void loop_note_message(struct loop *loop)
{
        if (loop->is_spinning)
                td_patience_polled(&loop->patience, false);
        if (!td_patience_may_poll(&loop->patience))
                td_patience_rest(&loop->patience);
        else if (loop->busy_poll_ns)
                loop->last_message_ns = uv_hrtime();
}

void loop_note_answer(struct loop *loop)
{
        if (loop->last_message_ns)
                loop->last_message_ns = uv_hrtime();
}
