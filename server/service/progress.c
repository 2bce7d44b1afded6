/* SPDX-License-Identifier: MIT */
#include "service/progress.h"

#include "base/clock.h"
#include "service/run_state.h"

void progress_watch(struct call *call)
{
        uint64_t ms = call->request->progress_ms;

        if (ms == 0 || call->client->n_watched >= TD_PROGRESS_MAX)
                return;
        call->client->n_watched++;
        call->progress_ms = clock_now_ms() + ms;
        if (call->progress_ms < call->service->next_progress_ms)
                call->service->next_progress_ms = call->progress_ms;
        list_push_back(&call->service->watched, &call->watched);
}

void progress_unwatch(struct call *call)
{
        if (call->client && !list_is_empty(&call->watched))
                call->client->n_watched--;
        list_unlink(&call->watched);
}

static bool is_computing(const struct call *call)
{
        return call->is_submitted && call->run && call->run->plan;
}

/* All of a client's calls that are due at a time are told together, or none. */
static bool client_listens(struct client *client, uint64_t now)
{
        if (client->told_ms == now)
                return true;
        if (!client->sink->is_read(client->sink))
                return false;
        client->told_ms = now;
        return true;
}

static void call_tell(struct call *call)
{
        uint64_t n_steps = plan_n_steps(call->run->plan);
        uint64_t n_done = atomic_load_explicit(&call->run->n_done, memory_order_relaxed);
        struct reply *reply = reply_new();

        if (reply)
                reply_notify_progress(reply, call->request->msgid,
                                      n_done < n_steps ? n_done : n_steps, n_steps);
        client_send(call->client, reply);
}

void progress_tell(struct service *service)
{
        uint64_t now = clock_now_ms(), next = UINT64_MAX;
        struct call *call;

        if (now < service->next_progress_ms)
                return;
        list_for_each (call, &service->watched, watched) {
                if (!call->client) {
                        list_unlink(&call->watched);
                        continue;
                }
                if (call->progress_ms <= now) {
                        call->progress_ms = now + call->request->progress_ms;
                        if (is_computing(call) && client_listens(call->client, now))
                                call_tell(call);
                }
                next = call->progress_ms < next ? call->progress_ms : next;
        }
        service->next_progress_ms = next;
}
