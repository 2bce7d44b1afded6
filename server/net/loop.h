/* SPDX-License-Identifier: MIT */
/*
 * Loop
 *
 * libuv's loop, with a short spin in front of its sleep: where cores sleep, waking up costs more
 * than answering. It spins for at most busy_poll_us after a message, never while jobs want the
 * cores; an idle daemon sleeps. Where it spins in vain it has patience (tensord/patience.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "tensord/patience.h"

struct loop {
        uv_loop_t uv;
        uint64_t busy_poll_ns;    /* 0: never spin */
        uint64_t last_message_ns; /* that a spin follows; 0: none does */
        struct td_patience patience;
        bool is_stopped;
        bool is_spinning;            /* this turn does not sleep */
        bool (*may_spin)(void *ctx); /* asked between spins */
        /* Look where the last message came from, and handle one that is there: cheaper than a turn.
         */
        void (*glance)(void *ctx);
        void *ctx;
};

int loop_init(struct loop *loop, unsigned busy_poll_us, bool (*may_spin)(void *ctx),
              void (*glance)(void *ctx), void *ctx);
/* Every handle was closed before. */
void loop_deinit(struct loop *loop);

/* Until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Until the handles that are being closed are. */
void loop_finish(struct loop *loop);

/*
 * From now on this descriptor is watched for these events (0: none). On negative errno it is not
 * watched: the kernel had no memory for it.
 */
int loop_watch(uv_poll_t *poll, int events, uv_poll_cb on_events);

/* A message came, and this is the time: the next one may be near. */
void loop_note_message(struct loop *loop, uint64_t now_ns);

/* A message was answered only now: not before this is the next one to be expected. */
void loop_note_answer(struct loop *loop);

/* Of the turn, not of the moment. */
static inline uint64_t loop_now_ms(const struct loop *loop)
{
        return uv_now(&loop->uv);
}
