/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Looks at one peer for each look at all of them. */
#define LOOP_GLANCES 8
/* Descriptors that libuv's table has place for from the start: 64 KB of it. */
#define LOOP_DESCRIPTORS 8190

static void on_nothing(uv_poll_t *poll, int status, int events)
{
        (void)poll;
        (void)status;
        (void)events;
}

/*
 * libuv aborts where its table of descriptors cannot grow. It grows to the highest that was ever
 * watched, so one that is as high as they come is, for a moment.
 */
static int loop_reserve(struct loop *loop)
{
        _cleanup_(closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), high = -1;
        struct rlimit limit;
        uv_poll_t poll;
        int r;

        if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit))
                return -errno;
        high = fcntl(fd, F_DUPFD_CLOEXEC,
                     limit.rlim_cur < LOOP_DESCRIPTORS ? (int)limit.rlim_cur - 1
                                                       : LOOP_DESCRIPTORS - 1);
        if (high < 0)
                return -errno;
        r = uv_poll_init(&loop->uv, &poll, high);
        if (r)
                return r;
        r = uv_poll_start(&poll, UV_READABLE, on_nothing);
        uv_close((uv_handle_t *)&poll, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT); /* until it is closed */
        return r;
}

int loop_init(struct loop *loop, unsigned busy_poll_us, bool (*may_spin)(void *ctx),
              void (*glance)(void *ctx), void *ctx)
{
        int r;

        *loop = (struct loop){ .busy_poll_ns = busy_poll_us * UINT64_C(1000),
                               .may_spin = may_spin,
                               .glance = glance,
                               .ctx = ctx };
        r = uv_loop_init(&loop->uv);
        if (r)
                return error_origin(r);
        r = loop_reserve(loop);
        if (r) {
                uv_loop_close(&loop->uv);
                return error_origin(r);
        }
        return 0;
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

/*
 * libuv tells epoll of a new descriptor only when it waits next, and aborts if epoll refuses. What
 * epoll has already it only changes, which takes no memory; so it is told here.
 */
int loop_watch(uv_poll_t *poll, int events, uv_poll_cb on_events)
{
        struct epoll_event event = { .events = 0 };
        int fd, r;

        r = events ? uv_poll_start(poll, events, on_events) : uv_poll_stop(poll);
        if (r || !events)
                return r ? error_origin(r) : 0;
        r = uv_fileno((const uv_handle_t *)poll, &fd);
        if (r)
                return error_origin(r);
        event.data.fd = fd;
        if (epoll_ctl(uv_backend_fd(poll->loop), EPOLL_CTL_ADD, fd, &event) && errno != EEXIST) {
                r = -errno;
                uv_poll_stop(poll);
                return error_origin(r);
        }
        return 0;
}

void loop_note_message(struct loop *loop, uint64_t now_ns)
{
        if (loop->is_spinning)
                td_patience_polled(&loop->patience, false);
        if (!td_patience_may_poll(&loop->patience))
                td_patience_rest(&loop->patience);
        else if (loop->busy_poll_ns)
                loop->last_message_ns = now_ns;
}

void loop_note_answer(struct loop *loop)
{
        if (loop->last_message_ns)
                loop->last_message_ns = uv_hrtime();
}
